module @jit_mlp attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @empty_mesh = <[]> {stablehlo.mesh = {axes = []}}
  sdy.mesh @mesh = <["tp"=2]> {stablehlo.mesh = {axes = [{name = "tp", size = 2 : i64}]}}
  func.func public @main(%arg0: tensor<4x128xbf16> {fiar.name = "attn"}, %arg1: tensor<4x128xbf16> {fiar.name = "residual"}, %arg2: tensor<128xbf16> {fiar.name = "norm_weight"}, %arg3: tensor<128xbf16> {fiar.name = "next_norm_weight"}, %arg4: tensor<f32> {fiar.name = "w_scale", sdy.sharding = #sdy.sharding<@empty_mesh, []>}, %arg5: tensor<128x128xbf16> {fiar.name = "wo"}, %arg6: tensor<128x256xf8E4M3FN> {fiar.name = "w_gate"}, %arg7: tensor<128x256xf8E4M3FN> {fiar.name = "w_up"}, %arg8: tensor<256x128xbf16> {fiar.name = "w_down"}) -> (tensor<4x128xbf16> {fiar.name = "norm", jax.result_info = "result[0]"}, tensor<4x128xbf16> {fiar.name = "residual_out", jax.result_info = "result[1]"}) {
    %0:2 = sdy.manual_computation(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6, %arg7, %arg8) in_shardings=[<@mesh, [{}, {"tp"}]>, <@mesh, [{}, {}]>, <@mesh, [{}]>, <@mesh, [{}]>, <@mesh, []>, <@mesh, [{"tp"}, {}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{"tp"}, {}]>] out_shardings=[<@mesh, [{}, {}]>, <@mesh, [{}, {}]>] manual_axes={"tp"} (%arg9: tensor<4x64xbf16>, %arg10: tensor<4x128xbf16>, %arg11: tensor<128xbf16>, %arg12: tensor<128xbf16>, %arg13: tensor<f32>, %arg14: tensor<64x128xbf16>, %arg15: tensor<128x128xf8E4M3FN>, %arg16: tensor<128x128xf8E4M3FN>, %arg17: tensor<128x128xbf16>) {
      %1 = stablehlo.dot_general %arg9, %arg14, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x128xbf16>) -> tensor<4x128xbf16>
      %2 = "stablehlo.all_reduce"(%1) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>, use_global_device_ids}> ({
      ^bb0(%arg18: tensor<bf16>, %arg19: tensor<bf16>):
        %61 = stablehlo.add %arg18, %arg19 : tensor<bf16>
        stablehlo.return %61 : tensor<bf16>
      }) : (tensor<4x128xbf16>) -> tensor<4x128xbf16>
      %3 = stablehlo.add %arg10, %2 : tensor<4x128xbf16>
      %4 = stablehlo.convert %3 : (tensor<4x128xbf16>) -> tensor<4x128xf32>
      %5 = stablehlo.multiply %4, %4 : tensor<4x128xf32>
      %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
      %6 = stablehlo.reduce(%5 init: %cst) applies stablehlo.add across dimensions = [1] : (tensor<4x128xf32>, tensor<f32>) -> tensor<4xf32>
      %7 = stablehlo.broadcast_in_dim %6, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
      %cst_0 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
      %8 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %9 = stablehlo.divide %7, %8 : tensor<4x1xf32>
      %cst_1 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
      %10 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %11 = stablehlo.add %9, %10 : tensor<4x1xf32>
      %12 = stablehlo.rsqrt %11 : tensor<4x1xf32>
      %13 = stablehlo.broadcast_in_dim %12, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x128xf32>
      %14 = stablehlo.multiply %4, %13 : tensor<4x128xf32>
      %15 = stablehlo.convert %14 : (tensor<4x128xf32>) -> tensor<4x128xbf16>
      %16 = stablehlo.broadcast_in_dim %arg11, dims = [1] : (tensor<128xbf16>) -> tensor<1x128xbf16>
      %17 = stablehlo.broadcast_in_dim %16, dims = [0, 1] : (tensor<1x128xbf16>) -> tensor<4x128xbf16>
      %18 = stablehlo.multiply %15, %17 : tensor<4x128xbf16>
      %19 = stablehlo.convert %18 : (tensor<4x128xbf16>) -> tensor<4x128xf32>
      %20 = stablehlo.abs %19 : tensor<4x128xf32>
      %cst_2 = stablehlo.constant dense<0xFF800000> : tensor<f32>
      %21 = stablehlo.reduce(%20 init: %cst_2) applies stablehlo.maximum across dimensions = [1] : (tensor<4x128xf32>, tensor<f32>) -> tensor<4xf32>
      %22 = stablehlo.broadcast_in_dim %21, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
      %cst_3 = stablehlo.constant dense<4.480000e+02> : tensor<f32>
      %23 = stablehlo.broadcast_in_dim %cst_3, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %24 = stablehlo.divide %22, %23 : tensor<4x1xf32>
      %cst_4 = stablehlo.constant dense<9.99999996E-13> : tensor<f32>
      %25 = stablehlo.broadcast_in_dim %cst_4, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %26 = stablehlo.maximum %24, %25 : tensor<4x1xf32>
      %27 = stablehlo.broadcast_in_dim %26, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x128xf32>
      %28 = stablehlo.divide %19, %27 : tensor<4x128xf32>
      %29 = stablehlo.convert %28 : (tensor<4x128xf32>) -> tensor<4x128xf8E4M3FN>
      %30 = stablehlo.dot_general %29, %arg15, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>) -> tensor<4x128xf32>
      %31 = stablehlo.broadcast_in_dim %arg13, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %32 = stablehlo.multiply %26, %31 : tensor<4x1xf32>
      %33 = stablehlo.broadcast_in_dim %32, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x128xf32>
      %34 = stablehlo.multiply %30, %33 : tensor<4x128xf32>
      %35 = stablehlo.dot_general %29, %arg16, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>) -> tensor<4x128xf32>
      %36 = stablehlo.broadcast_in_dim %arg13, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %37 = stablehlo.multiply %26, %36 : tensor<4x1xf32>
      %38 = stablehlo.broadcast_in_dim %37, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x128xf32>
      %39 = stablehlo.multiply %35, %38 : tensor<4x128xf32>
      %40 = func.call @silu(%34) : (tensor<4x128xf32>) -> tensor<4x128xf32>
      %41 = stablehlo.multiply %40, %39 : tensor<4x128xf32>
      %42 = stablehlo.convert %41 : (tensor<4x128xf32>) -> tensor<4x128xbf16>
      %43 = stablehlo.dot_general %42, %arg17, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x128xbf16>, tensor<128x128xbf16>) -> tensor<4x128xbf16>
      %44 = "stablehlo.all_reduce"(%43) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>, use_global_device_ids}> ({
      ^bb0(%arg18: tensor<bf16>, %arg19: tensor<bf16>):
        %61 = stablehlo.add %arg18, %arg19 : tensor<bf16>
        stablehlo.return %61 : tensor<bf16>
      }) : (tensor<4x128xbf16>) -> tensor<4x128xbf16>
      %45 = stablehlo.add %3, %44 : tensor<4x128xbf16>
      %46 = stablehlo.convert %45 : (tensor<4x128xbf16>) -> tensor<4x128xf32>
      %47 = stablehlo.multiply %46, %46 : tensor<4x128xf32>
      %cst_5 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
      %48 = stablehlo.reduce(%47 init: %cst_5) applies stablehlo.add across dimensions = [1] : (tensor<4x128xf32>, tensor<f32>) -> tensor<4xf32>
      %49 = stablehlo.broadcast_in_dim %48, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
      %cst_6 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
      %50 = stablehlo.broadcast_in_dim %cst_6, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %51 = stablehlo.divide %49, %50 : tensor<4x1xf32>
      %cst_7 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
      %52 = stablehlo.broadcast_in_dim %cst_7, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %53 = stablehlo.add %51, %52 : tensor<4x1xf32>
      %54 = stablehlo.rsqrt %53 : tensor<4x1xf32>
      %55 = stablehlo.broadcast_in_dim %54, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x128xf32>
      %56 = stablehlo.multiply %46, %55 : tensor<4x128xf32>
      %57 = stablehlo.convert %56 : (tensor<4x128xf32>) -> tensor<4x128xbf16>
      %58 = stablehlo.broadcast_in_dim %arg12, dims = [1] : (tensor<128xbf16>) -> tensor<1x128xbf16>
      %59 = stablehlo.broadcast_in_dim %58, dims = [0, 1] : (tensor<1x128xbf16>) -> tensor<4x128xbf16>
      %60 = stablehlo.multiply %57, %59 : tensor<4x128xbf16>
      sdy.return %60, %45 : tensor<4x128xbf16>, tensor<4x128xbf16>
    } : (tensor<4x128xbf16>, tensor<4x128xbf16>, tensor<128xbf16>, tensor<128xbf16>, tensor<f32>, tensor<128x128xbf16>, tensor<128x256xf8E4M3FN>, tensor<128x256xf8E4M3FN>, tensor<256x128xbf16>) -> (tensor<4x128xbf16>, tensor<4x128xbf16>)
    return %0#0, %0#1 : tensor<4x128xbf16>, tensor<4x128xbf16>
  }
  func.func private @silu(%arg0: tensor<4x128xf32>) -> tensor<4x128xf32> {
    %0 = stablehlo.negate %arg0 : tensor<4x128xf32>
    %1 = stablehlo.exponential %0 : tensor<4x128xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<4x128xf32>
    %3 = stablehlo.add %2, %1 : tensor<4x128xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<4x128xf32>
    %5 = stablehlo.divide %4, %3 : tensor<4x128xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<4x128xf32>
    return %6 : tensor<4x128xf32>
  }
}
