"builtin.module"() <{sym_name = "jit_model"}> ({
  "sdy.mesh"() <{mesh = #sdy.mesh<["tp"=4]>, sym_name = "mesh"}> {stablehlo.mesh = {axes = [{name = "tp", size = 4 : i64}]}} : () -> ()
  "sdy.mesh"() <{mesh = #sdy.mesh<["tp"=4]>, sym_name = "mesh_0"}> {stablehlo.mesh = {axes = [{name = "tp", size = 4 : i64}]}} : () -> ()
  "func.func"() <{arg_attrs = [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}], function_type = (tensor<16x1024xbf16>, tensor<16x1024xbf16>, tensor<1024xbf16>, tensor<1024xbf16>, tensor<2048x1024xbf16>, tensor<1024x2048xbf16>, tensor<1024x1024xbf16>, tensor<1024x1024xbf16>, tensor<1024x1024xbf16>, tensor<1024x2048xbf16>, tensor<1024x1024xbf16>, tensor<1024xbf16>, tensor<1024xbf16>, tensor<2048x1024xbf16>, tensor<1024x2048xbf16>, tensor<1024x1024xbf16>, tensor<1024x1024xbf16>, tensor<1024x1024xbf16>, tensor<1024x2048xbf16>, tensor<1024x1024xbf16>) -> (tensor<16x1024xbf16>, tensor<16x1024xbf16>), res_attrs = [{jax.result_info = "result[0]"}, {jax.result_info = "result[1]"}], sym_name = "main", sym_visibility = "public"}> ({
  ^bb0(%arg5: tensor<16x1024xbf16>, %arg6: tensor<16x1024xbf16>, %arg7: tensor<1024xbf16>, %arg8: tensor<1024xbf16>, %arg9: tensor<2048x1024xbf16>, %arg10: tensor<1024x2048xbf16>, %arg11: tensor<1024x1024xbf16>, %arg12: tensor<1024x1024xbf16>, %arg13: tensor<1024x1024xbf16>, %arg14: tensor<1024x2048xbf16>, %arg15: tensor<1024x1024xbf16>, %arg16: tensor<1024xbf16>, %arg17: tensor<1024xbf16>, %arg18: tensor<2048x1024xbf16>, %arg19: tensor<1024x2048xbf16>, %arg20: tensor<1024x1024xbf16>, %arg21: tensor<1024x1024xbf16>, %arg22: tensor<1024x1024xbf16>, %arg23: tensor<1024x2048xbf16>, %arg24: tensor<1024x1024xbf16>):
    %22:2 = "sdy.manual_computation"(%arg5, %arg6, %arg7, %arg8, %arg9, %arg10, %arg11, %arg12, %arg13, %arg14, %arg15, %arg16, %arg17, %arg18, %arg19, %arg20, %arg21, %arg22, %arg23, %arg24) <{in_shardings = #sdy.sharding_per_value<[<@mesh, [{}, {}]>, <@mesh, [{}, {}]>, <@mesh, [{}]>, <@mesh, [{}]>, <@mesh, [{"tp"}, {}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{"tp"}, {}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}]>, <@mesh, [{}]>, <@mesh, [{"tp"}, {}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{"tp"}, {}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}, {"tp"}]>]>, manual_axes = #sdy<manual_axes{"tp"}>, out_shardings = #sdy.sharding_per_value<[<@mesh, [{}, {}]>, <@mesh, [{}, {}]>]>}> ({
    ^bb0(%arg25: tensor<16x1024xbf16>, %arg26: tensor<16x1024xbf16>, %arg27: tensor<1024xbf16>, %arg28: tensor<1024xbf16>, %arg29: tensor<512x1024xbf16>, %arg30: tensor<1024x512xbf16>, %arg31: tensor<1024x256xbf16>, %arg32: tensor<256x1024xbf16>, %arg33: tensor<1024x256xbf16>, %arg34: tensor<1024x512xbf16>, %arg35: tensor<1024x256xbf16>, %arg36: tensor<1024xbf16>, %arg37: tensor<1024xbf16>, %arg38: tensor<512x1024xbf16>, %arg39: tensor<1024x512xbf16>, %arg40: tensor<1024x256xbf16>, %arg41: tensor<256x1024xbf16>, %arg42: tensor<1024x256xbf16>, %arg43: tensor<1024x512xbf16>, %arg44: tensor<1024x256xbf16>):
      %23 = "stablehlo.dot_general"(%arg25, %arg33) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x1024xbf16>, tensor<1024x256xbf16>) -> tensor<16x256xbf16>
      %24 = "stablehlo.reshape"(%23) : (tensor<16x256xbf16>) -> tensor<16x4x64xbf16>
      %25 = "stablehlo.dot_general"(%arg25, %arg31) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x1024xbf16>, tensor<1024x256xbf16>) -> tensor<16x256xbf16>
      %26 = "stablehlo.reshape"(%25) : (tensor<16x256xbf16>) -> tensor<16x4x64xbf16>
      %27 = "stablehlo.dot_general"(%arg25, %arg35) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x1024xbf16>, tensor<1024x256xbf16>) -> tensor<16x256xbf16>
      %28 = "stablehlo.reshape"(%27) : (tensor<16x256xbf16>) -> tensor<16x4x64xbf16>
      %29 = "stablehlo.dot_general"(%24, %26) <{dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [1], rhs_batching_dimensions = [1], lhs_contracting_dimensions = [2], rhs_contracting_dimensions = [2]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x4x64xbf16>, tensor<16x4x64xbf16>) -> tensor<4x16x16xbf16>
      %30 = "stablehlo.convert"(%29) : (tensor<4x16x16xbf16>) -> tensor<4x16x16xf32>
      %31 = "stablehlo.constant"() <{value = dense<8.000000e+00> : tensor<f32>}> : () -> tensor<f32>
      %32 = "stablehlo.broadcast_in_dim"(%31) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<4x16x16xf32>
      %33 = "stablehlo.divide"(%30, %32) : (tensor<4x16x16xf32>, tensor<4x16x16xf32>) -> tensor<4x16x16xf32>
      %34 = "stablehlo.constant"() <{value = dense<true> : tensor<i1>}> : () -> tensor<i1>
      %35 = "stablehlo.broadcast_in_dim"(%34) <{broadcast_dimensions = array<i64>}> : (tensor<i1>) -> tensor<16x16xi1>
      %36 = "func.call"(%35) <{callee = @tril}> : (tensor<16x16xi1>) -> tensor<16x16xi1>
      %37 = "broadcast_in_dim"() <{value = dense<-1.000000e+09> : tensor<f32>}> : () -> tensor<f32>
      %38 = "func.call"(%36, %33, %37) <{callee = @_where}> : (tensor<16x16xi1>, tensor<4x16x16xf32>, tensor<f32>) -> tensor<4x16x16xf32>
      %39 = "stablehlo.constant"() <{value = dense<0xFF800000> : tensor<f32>}> : () -> tensor<f32>
      %40 = "stablehlo.reduce"(%38, %39) <{dimensions = array<i64: 2>}> ({
      ^bb0(%arg67: tensor<f32>, %arg68: tensor<f32>):
        %194 = "stablehlo.maximum"(%arg67, %arg68) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%194) : (tensor<f32>) -> ()
      }) : (tensor<4x16x16xf32>, tensor<f32>) -> tensor<4x16xf32>
      %41 = "stablehlo.constant"() <{value = dense<0xFF800000> : tensor<f32>}> : () -> tensor<f32>
      %42 = "stablehlo.broadcast_in_dim"(%41) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<4x16xf32>
      %43 = "stablehlo.maximum"(%42, %40) : (tensor<4x16xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
      %44 = "stablehlo.broadcast_in_dim"(%43) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<4x16xf32>) -> tensor<4x16x1xf32>
      %45 = "stablehlo.broadcast_in_dim"(%44) <{broadcast_dimensions = array<i64: 0, 1, 2>}> : (tensor<4x16x1xf32>) -> tensor<4x16x16xf32>
      %46 = "stablehlo.subtract"(%38, %45) : (tensor<4x16x16xf32>, tensor<4x16x16xf32>) -> tensor<4x16x16xf32>
      %47 = "stablehlo.exponential"(%46) : (tensor<4x16x16xf32>) -> tensor<4x16x16xf32>
      %48 = "stablehlo.constant"() <{value = dense<0.000000e+00> : tensor<f32>}> : () -> tensor<f32>
      %49 = "stablehlo.reduce"(%47, %48) <{dimensions = array<i64: 2>}> ({
      ^bb0(%arg65: tensor<f32>, %arg66: tensor<f32>):
        %193 = "stablehlo.add"(%arg65, %arg66) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%193) : (tensor<f32>) -> ()
      }) : (tensor<4x16x16xf32>, tensor<f32>) -> tensor<4x16xf32>
      %50 = "stablehlo.broadcast_in_dim"(%49) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<4x16xf32>) -> tensor<4x16x1xf32>
      %51 = "stablehlo.broadcast_in_dim"(%50) <{broadcast_dimensions = array<i64: 0, 1, 2>}> : (tensor<4x16x1xf32>) -> tensor<4x16x16xf32>
      %52 = "stablehlo.divide"(%47, %51) : (tensor<4x16x16xf32>, tensor<4x16x16xf32>) -> tensor<4x16x16xf32>
      %53 = "stablehlo.convert"(%52) : (tensor<4x16x16xf32>) -> tensor<4x16x16xbf16>
      %54 = "stablehlo.dot_general"(%28, %53) <{dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [1], rhs_batching_dimensions = [0], lhs_contracting_dimensions = [0], rhs_contracting_dimensions = [2]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x4x64xbf16>, tensor<4x16x16xbf16>) -> tensor<4x64x16xbf16>
      %55 = "stablehlo.transpose"(%54) <{permutation = array<i64: 2, 0, 1>}> : (tensor<4x64x16xbf16>) -> tensor<16x4x64xbf16>
      %56 = "stablehlo.reshape"(%55) : (tensor<16x4x64xbf16>) -> tensor<16x256xbf16>
      %57 = "stablehlo.dot_general"(%56, %arg32) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x256xbf16>, tensor<256x1024xbf16>) -> tensor<16x1024xbf16>
      %58 = "stablehlo.all_reduce"(%57) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = #stablehlo.replica_group_mesh_axes<mesh = @mesh_0, axes = [#stablehlo.axis_ref<name = "tp">]>, use_global_device_ids}> ({
      ^bb0(%arg63: tensor<bf16>, %arg64: tensor<bf16>):
        %192 = "stablehlo.add"(%arg63, %arg64) : (tensor<bf16>, tensor<bf16>) -> tensor<bf16>
        "stablehlo.return"(%192) : (tensor<bf16>) -> ()
      }) : (tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      %59 = "stablehlo.add"(%arg26, %58) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      %60 = "stablehlo.convert"(%59) : (tensor<16x1024xbf16>) -> tensor<16x1024xf32>
      %61 = "stablehlo.multiply"(%60, %60) : (tensor<16x1024xf32>, tensor<16x1024xf32>) -> tensor<16x1024xf32>
      %62 = "stablehlo.constant"() <{value = dense<0.000000e+00> : tensor<f32>}> : () -> tensor<f32>
      %63 = "stablehlo.reduce"(%61, %62) <{dimensions = array<i64: 1>}> ({
      ^bb0(%arg61: tensor<f32>, %arg62: tensor<f32>):
        %191 = "stablehlo.add"(%arg61, %arg62) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%191) : (tensor<f32>) -> ()
      }) : (tensor<16x1024xf32>, tensor<f32>) -> tensor<16xf32>
      %64 = "stablehlo.broadcast_in_dim"(%63) <{broadcast_dimensions = array<i64: 0>}> : (tensor<16xf32>) -> tensor<16x1xf32>
      %65 = "stablehlo.constant"() <{value = dense<1.024000e+03> : tensor<f32>}> : () -> tensor<f32>
      %66 = "stablehlo.broadcast_in_dim"(%65) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x1xf32>
      %67 = "stablehlo.divide"(%64, %66) : (tensor<16x1xf32>, tensor<16x1xf32>) -> tensor<16x1xf32>
      %68 = "stablehlo.constant"() <{value = dense<9.99999997E-7> : tensor<f32>}> : () -> tensor<f32>
      %69 = "stablehlo.broadcast_in_dim"(%68) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x1xf32>
      %70 = "stablehlo.add"(%67, %69) : (tensor<16x1xf32>, tensor<16x1xf32>) -> tensor<16x1xf32>
      %71 = "stablehlo.rsqrt"(%70) : (tensor<16x1xf32>) -> tensor<16x1xf32>
      %72 = "stablehlo.broadcast_in_dim"(%71) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<16x1xf32>) -> tensor<16x1024xf32>
      %73 = "stablehlo.multiply"(%60, %72) : (tensor<16x1024xf32>, tensor<16x1024xf32>) -> tensor<16x1024xf32>
      %74 = "stablehlo.convert"(%73) : (tensor<16x1024xf32>) -> tensor<16x1024xbf16>
      %75 = "stablehlo.broadcast_in_dim"(%arg27) <{broadcast_dimensions = array<i64: 1>}> : (tensor<1024xbf16>) -> tensor<1x1024xbf16>
      %76 = "stablehlo.broadcast_in_dim"(%75) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<1x1024xbf16>) -> tensor<16x1024xbf16>
      %77 = "stablehlo.multiply"(%74, %76) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      %78 = "stablehlo.dot_general"(%77, %arg30) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x1024xbf16>, tensor<1024x512xbf16>) -> tensor<16x512xbf16>
      %79 = "func.call"(%78) <{callee = @silu}> : (tensor<16x512xbf16>) -> tensor<16x512xbf16>
      %80 = "stablehlo.dot_general"(%77, %arg34) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x1024xbf16>, tensor<1024x512xbf16>) -> tensor<16x512xbf16>
      %81 = "stablehlo.multiply"(%79, %80) : (tensor<16x512xbf16>, tensor<16x512xbf16>) -> tensor<16x512xbf16>
      %82 = "stablehlo.dot_general"(%81, %arg29) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x512xbf16>, tensor<512x1024xbf16>) -> tensor<16x1024xbf16>
      %83 = "stablehlo.all_reduce"(%82) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = #stablehlo.replica_group_mesh_axes<mesh = @mesh_0, axes = [#stablehlo.axis_ref<name = "tp">]>, use_global_device_ids}> ({
      ^bb0(%arg59: tensor<bf16>, %arg60: tensor<bf16>):
        %190 = "stablehlo.add"(%arg59, %arg60) : (tensor<bf16>, tensor<bf16>) -> tensor<bf16>
        "stablehlo.return"(%190) : (tensor<bf16>) -> ()
      }) : (tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      %84 = "stablehlo.add"(%59, %83) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      %85 = "stablehlo.convert"(%84) : (tensor<16x1024xbf16>) -> tensor<16x1024xf32>
      %86 = "stablehlo.multiply"(%85, %85) : (tensor<16x1024xf32>, tensor<16x1024xf32>) -> tensor<16x1024xf32>
      %87 = "stablehlo.constant"() <{value = dense<0.000000e+00> : tensor<f32>}> : () -> tensor<f32>
      %88 = "stablehlo.reduce"(%86, %87) <{dimensions = array<i64: 1>}> ({
      ^bb0(%arg57: tensor<f32>, %arg58: tensor<f32>):
      %158 = "stablehlo.dot_general"(%157, %arg39) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x1024xbf16>, tensor<1024x512xbf16>) -> tensor<16x512xbf16>
        %189 = "stablehlo.add"(%arg57, %arg58) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%189) : (tensor<f32>) -> ()
      }) : (tensor<16x1024xf32>, tensor<f32>) -> tensor<16xf32>
      %89 = "stablehlo.broadcast_in_dim"(%88) <{broadcast_dimensions = array<i64: 0>}> : (tensor<16xf32>) -> tensor<16x1xf32>
      %90 = "stablehlo.constant"() <{value = dense<1.024000e+03> : tensor<f32>}> : () -> tensor<f32>
      %91 = "stablehlo.broadcast_in_dim"(%90) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x1xf32>
      %92 = "stablehlo.divide"(%89, %91) : (tensor<16x1xf32>, tensor<16x1xf32>) -> tensor<16x1xf32>
      %93 = "stablehlo.constant"() <{value = dense<9.99999997E-7> : tensor<f32>}> : () -> tensor<f32>
      %94 = "stablehlo.broadcast_in_dim"(%93) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x1xf32>
      %95 = "stablehlo.add"(%92, %94) : (tensor<16x1xf32>, tensor<16x1xf32>) -> tensor<16x1xf32>
      %96 = "stablehlo.rsqrt"(%95) : (tensor<16x1xf32>) -> tensor<16x1xf32>
      %97 = "stablehlo.broadcast_in_dim"(%96) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<16x1xf32>) -> tensor<16x1024xf32>
      %98 = "stablehlo.multiply"(%85, %97) : (tensor<16x1024xf32>, tensor<16x1024xf32>) -> tensor<16x1024xf32>
      %99 = "stablehlo.convert"(%98) : (tensor<16x1024xf32>) -> tensor<16x1024xbf16>
      %100 = "stablehlo.broadcast_in_dim"(%arg28) <{broadcast_dimensions = array<i64: 1>}> : (tensor<1024xbf16>) -> tensor<1x1024xbf16>
      %101 = "stablehlo.broadcast_in_dim"(%100) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<1x1024xbf16>) -> tensor<16x1024xbf16>
      %102 = "stablehlo.multiply"(%99, %101) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      %103 = "stablehlo.dot_general"(%102, %arg42) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x1024xbf16>, tensor<1024x256xbf16>) -> tensor<16x256xbf16>
      %104 = "stablehlo.reshape"(%103) : (tensor<16x256xbf16>) -> tensor<16x4x64xbf16>
      %105 = "stablehlo.dot_general"(%102, %arg40) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x1024xbf16>, tensor<1024x256xbf16>) -> tensor<16x256xbf16>
      %106 = "stablehlo.reshape"(%105) : (tensor<16x256xbf16>) -> tensor<16x4x64xbf16>
      %107 = "stablehlo.dot_general"(%102, %arg44) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x1024xbf16>, tensor<1024x256xbf16>) -> tensor<16x256xbf16>
      %108 = "stablehlo.reshape"(%107) : (tensor<16x256xbf16>) -> tensor<16x4x64xbf16>
      %109 = "stablehlo.dot_general"(%104, %106) <{dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [1], rhs_batching_dimensions = [1], lhs_contracting_dimensions = [2], rhs_contracting_dimensions = [2]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x4x64xbf16>, tensor<16x4x64xbf16>) -> tensor<4x16x16xbf16>
      %110 = "stablehlo.convert"(%109) : (tensor<4x16x16xbf16>) -> tensor<4x16x16xf32>
      %111 = "stablehlo.constant"() <{value = dense<8.000000e+00> : tensor<f32>}> : () -> tensor<f32>
      %112 = "stablehlo.broadcast_in_dim"(%111) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<4x16x16xf32>
      %113 = "stablehlo.divide"(%110, %112) : (tensor<4x16x16xf32>, tensor<4x16x16xf32>) -> tensor<4x16x16xf32>
      %114 = "stablehlo.constant"() <{value = dense<true> : tensor<i1>}> : () -> tensor<i1>
      %115 = "stablehlo.broadcast_in_dim"(%114) <{broadcast_dimensions = array<i64>}> : (tensor<i1>) -> tensor<16x16xi1>
      %116 = "func.call"(%115) <{callee = @tril}> : (tensor<16x16xi1>) -> tensor<16x16xi1>
      %117 = "stablehlo.constant"() <{value = dense<-1.000000e+09> : tensor<f32>}> : () -> tensor<f32>
      %118 = "func.call"(%116, %113, %117) <{callee = @_where}> : (tensor<16x16xi1>, tensor<4x16x16xf32>, tensor<f32>) -> tensor<4x16x16xf32>
      %119 = "stablehlo.constant"() <{value = dense<0xFF800000> : tensor<f32>}> : () -> tensor<f32>
      %120 = "stablehlo.reduce"(%118, %119) <{dimensions = array<i64: 2>}> ({
      ^bb0(%arg55: tensor<f32>, %arg56: tensor<f32>):
        %188 = "stablehlo.maximum"(%arg55, %arg56) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%188) : (tensor<f32>) -> ()
      }) : (tensor<4x16x16xf32>, tensor<f32>) -> tensor<4x16xf32>
      %121 = "stablehlo.constant"() <{value = dense<0xFF800000> : tensor<f32>}> : () -> tensor<f32>
      %122 = "stablehlo.broadcast_in_dim"(%121) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<4x16xf32>
      %123 = "stablehlo.maximum"(%122, %120) : (tensor<4x16xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
      %124 = "stablehlo.broadcast_in_dim"(%123) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<4x16xf32>) -> tensor<4x16x1xf32>
      %125 = "stablehlo.broadcast_in_dim"(%124) <{broadcast_dimensions = array<i64: 0, 1, 2>}> : (tensor<4x16x1xf32>) -> tensor<4x16x16xf32>
      %126 = "stablehlo.subtract"(%118, %125) : (tensor<4x16x16xf32>, tensor<4x16x16xf32>) -> tensor<4x16x16xf32>
      %127 = "stablehlo.exponential"(%126) : (tensor<4x16x16xf32>) -> tensor<4x16x16xf32>
      %128 = "stablehlo.constant"() <{value = dense<0.000000e+00> : tensor<f32>}> : () -> tensor<f32>
      %129 = "stablehlo.reduce"(%127, %128) <{dimensions = array<i64: 2>}> ({
      ^bb0(%arg53: tensor<f32>, %arg54: tensor<f32>):
        %187 = "stablehlo.add"(%arg53, %arg54) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%187) : (tensor<f32>) -> ()
      }) : (tensor<4x16x16xf32>, tensor<f32>) -> tensor<4x16xf32>
      %130 = "stablehlo.broadcast_in_dim"(%129) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<4x16xf32>) -> tensor<4x16x1xf32>
      %131 = "stablehlo.broadcast_in_dim"(%130) <{broadcast_dimensions = array<i64: 0, 1, 2>}> : (tensor<4x16x1xf32>) -> tensor<4x16x16xf32>
      %132 = "stablehlo.divide"(%127, %131) : (tensor<4x16x16xf32>, tensor<4x16x16xf32>) -> tensor<4x16x16xf32>
      %133 = "stablehlo.convert"(%132) : (tensor<4x16x16xf32>) -> tensor<4x16x16xbf16>
      %134 = "stablehlo.dot_general"(%108, %133) <{dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [1], rhs_batching_dimensions = [0], lhs_contracting_dimensions = [0], rhs_contracting_dimensions = [2]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x4x64xbf16>, tensor<4x16x16xbf16>) -> tensor<4x64x16xbf16>
      %135 = "stablehlo.transpose"(%134) <{permutation = array<i64: 2, 0, 1>}> : (tensor<4x64x16xbf16>) -> tensor<16x4x64xbf16>
      %136 = "stablehlo.reshape"(%135) : (tensor<16x4x64xbf16>) -> tensor<16x256xbf16>
      %137 = "stablehlo.dot_general"(%136, %arg41) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x256xbf16>, tensor<256x1024xbf16>) -> tensor<16x1024xbf16>
      %138 = "stablehlo.all_reduce"(%137) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = #stablehlo.replica_group_mesh_axes<mesh = @mesh_0, axes = [#stablehlo.axis_ref<name = "tp">]>, use_global_device_ids}> ({
      ^bb0(%arg51: tensor<bf16>, %arg52: tensor<bf16>):
        %186 = "stablehlo.add"(%arg51, %arg52) : (tensor<bf16>, tensor<bf16>) -> tensor<bf16>
        "stablehlo.return"(%186) : (tensor<bf16>) -> ()
      }) : (tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      %139 = "stablehlo.add"(%84, %138) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      %140 = "stablehlo.convert"(%139) : (tensor<16x1024xbf16>) -> tensor<16x1024xf32>
      %141 = "stablehlo.multiply"(%140, %140) : (tensor<16x1024xf32>, tensor<16x1024xf32>) -> tensor<16x1024xf32>
      %142 = "stablehlo.constant"() <{value = dense<0.000000e+00> : tensor<f32>}> : () -> tensor<f32>
      %143 = "stablehlo.reduce"(%141, %142) <{dimensions = array<i64: 1>}> ({
      ^bb0(%arg49: tensor<f32>, %arg50: tensor<f32>):
        %185 = "stablehlo.add"(%arg49, %arg50) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%185) : (tensor<f32>) -> ()
      }) : (tensor<16x1024xf32>, tensor<f32>) -> tensor<16xf32>
      %144 = "stablehlo.broadcast_in_dim"(%143) <{broadcast_dimensions = array<i64: 0>}> : (tensor<16xf32>) -> tensor<16x1xf32>
      %145 = "stablehlo.constant"() <{value = dense<1.024000e+03> : tensor<f32>}> : () -> tensor<f32>
      %146 = "stablehlo.broadcast_in_dim"(%145) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x1xf32>
      %147 = "stablehlo.divide"(%144, %146) : (tensor<16x1xf32>, tensor<16x1xf32>) -> tensor<16x1xf32>
      %148 = "stablehlo.constant"() <{value = dense<9.99999997E-7> : tensor<f32>}> : () -> tensor<f32>
      %149 = "stablehlo.broadcast_in_dim"(%148) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x1xf32>
      %150 = "stablehlo.add"(%147, %149) : (tensor<16x1xf32>, tensor<16x1xf32>) -> tensor<16x1xf32>
      %151 = "stablehlo.rsqrt"(%150) : (tensor<16x1xf32>) -> tensor<16x1xf32>
      %152 = "stablehlo.broadcast_in_dim"(%151) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<16x1xf32>) -> tensor<16x1024xf32>
      %153 = "stablehlo.multiply"(%140, %152) : (tensor<16x1024xf32>, tensor<16x1024xf32>) -> tensor<16x1024xf32>
      %154 = "stablehlo.convert"(%153) : (tensor<16x1024xf32>) -> tensor<16x1024xbf16>
      %155 = "stablehlo.broadcast_in_dim"(%arg36) <{broadcast_dimensions = array<i64: 1>}> : (tensor<1024xbf16>) -> tensor<1x1024xbf16>
      %156 = "stablehlo.broadcast_in_dim"(%155) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<1x1024xbf16>) -> tensor<16x1024xbf16>
      %157 = "stablehlo.multiply"(%154, %156) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      %158 = "stablehlo.dot_general"(%157, %arg39) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x1024xbf16>, tensor<1024x512xbf16>) -> tensor<16x512xbf16>
      %159 = "func.call"(%158) <{callee = @silu}> : (tensor<16x512xbf16>) -> tensor<16x512xbf16>
      %160 = "stablehlo.dot_general"(%157, %arg43) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x1024xbf16>, tensor<1024x512xbf16>) -> tensor<16x512xbf16>
      %161 = "stablehlo.multiply"(%159, %160) : (tensor<16x512xbf16>, tensor<16x512xbf16>) -> tensor<16x512xbf16>
      %162 = "stablehlo.dot_general"(%161, %arg38) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<16x512xbf16>, tensor<512x1024xbf16>) -> tensor<16x1024xbf16>
      %163 = "stablehlo.all_reduce"(%162) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = #stablehlo.replica_group_mesh_axes<mesh = @mesh_0, axes = [#stablehlo.axis_ref<name = "tp">]>, use_global_device_ids}> ({
      ^bb0(%arg47: tensor<bf16>, %arg48: tensor<bf16>):
        %184 = "stablehlo.add"(%arg47, %arg48) : (tensor<bf16>, tensor<bf16>) -> tensor<bf16>
        "stablehlo.return"(%184) : (tensor<bf16>) -> ()
      }) : (tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      %164 = "stablehlo.add"(%139, %163) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      %165 = "stablehlo.convert"(%164) : (tensor<16x1024xbf16>) -> tensor<16x1024xf32>
      %166 = "stablehlo.multiply"(%165, %165) : (tensor<16x1024xf32>, tensor<16x1024xf32>) -> tensor<16x1024xf32>
      %167 = "stablehlo.constant"() <{value = dense<0.000000e+00> : tensor<f32>}> : () -> tensor<f32>
      %168 = "stablehlo.reduce"(%166, %167) <{dimensions = array<i64: 1>}> ({
      ^bb0(%arg45: tensor<f32>, %arg46: tensor<f32>):
        %183 = "stablehlo.add"(%arg45, %arg46) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%183) : (tensor<f32>) -> ()
      }) : (tensor<16x1024xf32>, tensor<f32>) -> tensor<16xf32>
      %169 = "stablehlo.broadcast_in_dim"(%168) <{broadcast_dimensions = array<i64: 0>}> : (tensor<16xf32>) -> tensor<16x1xf32>
      %170 = "stablehlo.constant"() <{value = dense<1.024000e+03> : tensor<f32>}> : () -> tensor<f32>
      %171 = "stablehlo.broadcast_in_dim"(%170) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x1xf32>
      %172 = "stablehlo.divide"(%169, %171) : (tensor<16x1xf32>, tensor<16x1xf32>) -> tensor<16x1xf32>
      %173 = "stablehlo.constant"() <{value = dense<9.99999997E-7> : tensor<f32>}> : () -> tensor<f32>
      %174 = "stablehlo.broadcast_in_dim"(%173) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<16x1xf32>
      %175 = "stablehlo.add"(%172, %174) : (tensor<16x1xf32>, tensor<16x1xf32>) -> tensor<16x1xf32>
      %176 = "stablehlo.rsqrt"(%175) : (tensor<16x1xf32>) -> tensor<16x1xf32>
      %177 = "stablehlo.broadcast_in_dim"(%176) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<16x1xf32>) -> tensor<16x1024xf32>
      %178 = "stablehlo.multiply"(%165, %177) : (tensor<16x1024xf32>, tensor<16x1024xf32>) -> tensor<16x1024xf32>
      %179 = "stablehlo.convert"(%178) : (tensor<16x1024xf32>) -> tensor<16x1024xbf16>
      %180 = "stablehlo.broadcast_in_dim"(%arg37) <{broadcast_dimensions = array<i64: 1>}> : (tensor<1024xbf16>) -> tensor<1x1024xbf16>
      %181 = "stablehlo.broadcast_in_dim"(%180) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<1x1024xbf16>) -> tensor<16x1024xbf16>
      %182 = "stablehlo.multiply"(%179, %181) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
      "sdy.return"(%182, %164) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> ()
    }) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>, tensor<1024xbf16>, tensor<1024xbf16>, tensor<2048x1024xbf16>, tensor<1024x2048xbf16>, tensor<1024x1024xbf16>, tensor<1024x1024xbf16>, tensor<1024x1024xbf16>, tensor<1024x2048xbf16>, tensor<1024x1024xbf16>, tensor<1024xbf16>, tensor<1024xbf16>, tensor<2048x1024xbf16>, tensor<1024x2048xbf16>, tensor<1024x1024xbf16>, tensor<1024x1024xbf16>, tensor<1024x1024xbf16>, tensor<1024x2048xbf16>, tensor<1024x1024xbf16>) -> (tensor<16x1024xbf16>, tensor<16x1024xbf16>)
    "func.return"(%22#0, %22#1) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> ()
  }) : () -> ()
  "func.func"() <{arg_attrs = [{}], function_type = (tensor<16x16xi1>) -> tensor<16x16xi1>, res_attrs = [{}], sym_name = "tril", sym_visibility = "private"}> ({
  ^bb0(%arg4: tensor<16x16xi1>):
    %13 = "stablehlo.iota"() <{iota_dimension = 0 : i64}> : () -> tensor<16x16xi32>
    %14 = "stablehlo.constant"() <{value = dense<0> : tensor<i32>}> : () -> tensor<i32>
    %15 = "stablehlo.broadcast_in_dim"(%14) <{broadcast_dimensions = array<i64>}> : (tensor<i32>) -> tensor<16x16xi32>
    %16 = "stablehlo.add"(%13, %15) : (tensor<16x16xi32>, tensor<16x16xi32>) -> tensor<16x16xi32>
    %17 = "stablehlo.iota"() <{iota_dimension = 1 : i64}> : () -> tensor<16x16xi32>
    %18 = "stablehlo.compare"(%16, %17) <{compare_type = #stablehlo<comparison_type SIGNED>, comparison_direction = #stablehlo<comparison_direction GE>}> : (tensor<16x16xi32>, tensor<16x16xi32>) -> tensor<16x16xi1>
    %19 = "stablehlo.constant"() <{value = dense<false> : tensor<i1>}> : () -> tensor<i1>
    %20 = "stablehlo.broadcast_in_dim"(%19) <{broadcast_dimensions = array<i64>}> : (tensor<i1>) -> tensor<16x16xi1>
    %21 = "stablehlo.select"(%18, %arg4, %20) : (tensor<16x16xi1>, tensor<16x16xi1>, tensor<16x16xi1>) -> tensor<16x16xi1>
    "func.return"(%21) : (tensor<16x16xi1>) -> ()
  }) : () -> ()
  "func.func"() <{arg_attrs = [{}, {}, {}], function_type = (tensor<16x16xi1>, tensor<4x16x16xf32>, tensor<f32>) -> tensor<4x16x16xf32>, res_attrs = [{}], sym_name = "_where", sym_visibility = "private"}> ({
  ^bb0(%arg1: tensor<16x16xi1>, %arg2: tensor<4x16x16xf32>, %arg3: tensor<f32>):
    %9 = "stablehlo.convert"(%arg3) : (tensor<f32>) -> tensor<f32>
    %10 = "stablehlo.broadcast_in_dim"(%arg1) <{broadcast_dimensions = array<i64: 1, 2>}> : (tensor<16x16xi1>) -> tensor<4x16x16xi1>
    %11 = "stablehlo.broadcast_in_dim"(%9) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<4x16x16xf32>
    %12 = "stablehlo.select"(%10, %arg2, %11) : (tensor<4x16x16xi1>, tensor<4x16x16xf32>, tensor<4x16x16xf32>) -> tensor<4x16x16xf32>
    "func.return"(%12) : (tensor<4x16x16xf32>) -> ()
  }) : () -> ()
  "func.func"() <{arg_attrs = [{}], function_type = (tensor<16x512xbf16>) -> tensor<16x512xbf16>, res_attrs = [{}], sym_name = "silu", sym_visibility = "private"}> ({
  ^bb0(%arg0: tensor<16x512xbf16>):
    %0 = "stablehlo.negate"(%arg0) : (tensor<16x512xbf16>) -> tensor<16x512xbf16>
    %1 = "stablehlo.exponential"(%0) : (tensor<16x512xbf16>) -> tensor<16x512xbf16>
    %2 = "stablehlo.constant"() <{value = dense<1.000000e+00> : tensor<bf16>}> : () -> tensor<bf16>
    %3 = "stablehlo.broadcast_in_dim"(%2) <{broadcast_dimensions = array<i64>}> : (tensor<bf16>) -> tensor<16x512xbf16>
    %4 = "stablehlo.add"(%3, %1) : (tensor<16x512xbf16>, tensor<16x512xbf16>) -> tensor<16x512xbf16>
    %5 = "stablehlo.constant"() <{value = dense<1.000000e+00> : tensor<bf16>}> : () -> tensor<bf16>
    %6 = "stablehlo.broadcast_in_dim"(%5) <{broadcast_dimensions = array<i64>}> : (tensor<bf16>) -> tensor<16x512xbf16>
    %7 = "stablehlo.divide"(%6, %4) : (tensor<16x512xbf16>, tensor<16x512xbf16>) -> tensor<16x512xbf16>
    %8 = "stablehlo.multiply"(%arg0, %7) : (tensor<16x512xbf16>, tensor<16x512xbf16>) -> tensor<16x512xbf16>
    "func.return"(%8) : (tensor<16x512xbf16>) -> ()
  }) : () -> ()
}) {mhlo.num_partitions = 4 : i32, mhlo.num_replicas = 1 : i32} : () -> ()
