module @jit_mlp attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @empty_mesh = <[]> {stablehlo.mesh = {axes = []}}
  sdy.mesh @mesh = <["tp"=2]> {stablehlo.mesh = {axes = [{name = "tp", size = 2 : i64}]}}
  func.func public @main(%arg0: tensor<4x128xbf16> {fiar.name = "attn"}, %arg1: tensor<4x128xbf16> {fiar.name = "residual"}, %arg2: tensor<128xbf16> {fiar.name = "norm_weight"}, %arg3: tensor<128xbf16> {fiar.name = "next_norm_weight"}, %arg4: tensor<f32> {fiar.name = "x_scale", sdy.sharding = #sdy.sharding<@empty_mesh, []>}, %arg5: tensor<f32> {fiar.name = "w_scale", sdy.sharding = #sdy.sharding<@empty_mesh, []>}, %arg6: tensor<128x128xbf16> {fiar.name = "wo"}, %arg7: tensor<128x256xf8E4M3FN> {fiar.name = "w_gate"}, %arg8: tensor<128x256xf8E4M3FN> {fiar.name = "w_up"}, %arg9: tensor<256x128xbf16> {fiar.name = ""}) -> (tensor<4x128xbf16> {fiar.name = "norm", jax.result_info = "result[0]"}, tensor<4x128xbf16> {fiar.name = "residual_out", jax.result_info = "result[1]"}) {
    %0:2 = sdy.manual_computation(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6, %arg7, %arg8, %arg9) in_shardings=[<@mesh, [{}, {"tp"}]>, <@mesh, [{}, {}]>, <@mesh, [{}]>, <@mesh, [{}]>, <@mesh, []>, <@mesh, []>, <@mesh, [{"tp"}, {}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{"tp"}, {}]>] out_shardings=[<@mesh, [{}, {}]>, <@mesh, [{}, {}]>] manual_axes={"tp"} (%arg10: tensor<4x64xbf16>, %arg11: tensor<4x128xbf16>, %arg12: tensor<128xbf16>, %arg13: tensor<128xbf16>, %arg14: tensor<f32>, %arg15: tensor<f32>, %arg16: tensor<64x128xbf16>, %arg17: tensor<128x128xf8E4M3FN>, %arg18: tensor<128x128xf8E4M3FN>, %arg19: tensor<128x128xbf16>) {
      %1 = stablehlo.dot_general %arg10, %arg16, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x128xbf16>) -> tensor<4x128xbf16>
      %2 = "stablehlo.all_reduce"(%1) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>, use_global_device_ids}> ({
      ^bb0(%arg20: tensor<bf16>, %arg21: tensor<bf16>):
        %53 = stablehlo.add %arg20, %arg21 : tensor<bf16>
        stablehlo.return %53 : tensor<bf16>
      }) : (tensor<4x128xbf16>) -> tensor<4x128xbf16>
      %3 = stablehlo.add %arg11, %2 : tensor<4x128xbf16>
      %4 = stablehlo.convert %3 : (tensor<4x128xbf16>) -> tensor<4x128xf32>
      %5 = stablehlo.multiply %4, %4 : tensor<4x128xf32>
      %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
      %6 = stablehlo.reduce(%5 init: %cst) applies stablehlo.add across dimensions = [1] : (tensor<4x128xf32>, tensor<f32>) -> tensor<4xf32>
      %7 = stablehlo.broadcast_in_dim %6, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
      %cst_0 = stablehlo.constant dense<1.280000e02> : tensor<f32>
      %8 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %9 = stablehlo.divide %7, %8 : tensor<4x1xf32>
      %cst_1 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
      %10 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %11 = stablehlo.add %9, %10 : tensor<4x1xf32>
      %12 = stablehlo.rsqrt %11 : tensor<4x1xf32>
      %13 = stablehlo.broadcast_in_dim %12, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x128xf32>
      %14 = stablehlo.multiply %4, %13 : tensor<4x128xf32>
      %15 = stablehlo.convert %14 : (tensor<4x128xf32>) -> tensor<4x128xbf16>
      %16 = stablehlo.broadcast_in_dim %arg12, dims = [1] : (tensor<128xbf16>) -> tensor<1x128xbf16>
      %17 = stablehlo.broadcast_in_dim %16, dims = [0, 1] : (tensor<1x128xbf16>) -> tensor<4x128xbf16>
      %18 = stablehlo.multiply %15, %17 : tensor<4x128xbf16>
      %19 = stablehlo.convert %18 : (tensor<4x128xbf16>) -> tensor<4x128xf32>
      %20 = stablehlo.broadcast_in_dim %arg14, dims = [] : (tensor<f32>) -> tensor<4x128xf32>
      %21 = stablehlo.divide %19, %20 : tensor<4x128xf32>
      %cst_2 = stablehlo.constant dense<-4.480000e+02> : tensor<f32>
      %cst_3 = stablehlo.constant dense<4.480000e+02> : tensor<f32>
      %22 = func.call @clip(%21, %cst_2, %cst_3) : (tensor<4x128xf32>, tensor<f32>, tensor<f32>) -> tensor<4x128xf32>
      %23 = stablehlo.convert %22 : (tensor<4x128xf32>) -> tensor<4x128xf8E4M3FN>
      %24 = stablehlo.dot_general %23, %arg17, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>) -> tensor<4x128xf32>
      %25 = stablehlo.multiply %arg14, %arg15 : tensor<f32>
      %26 = stablehlo.broadcast_in_dim %25, dims = [] : (tensor<f32>) -> tensor<4x128xf32>
      %27 = stablehlo.multiply %24, %26 : tensor<4x128xf32>
      %28 = stablehlo.dot_general %23, %arg18, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>) -> tensor<4x128xf32>
      %29 = stablehlo.multiply %arg14, %arg15 : tensor<f32>
      %30 = stablehlo.broadcast_in_dim %29, dims = [] : (tensor<f32>) -> tensor<4x128xf32>
      %31 = stablehlo.multiply %28, %30 : tensor<4x128xf32>
      %32 = func.call @silu(%27) : (tensor<4x128xf32>) -> tensor<4x128xf32>
      %33 = stablehlo.multiply %32, %31 : tensor<4x128xf32>
      %34 = stablehlo.convert %33 : (tensor<4x128xf32>) -> tensor<4x128xbf16>
      %35 = stablehlo.dot_general %34, %arg19, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x128xbf16>, tensor<128x128xbf16>) -> tensor<4x128xbf16>
      %36 = "stablehlo.all_reduce"(%35) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>, use_global_device_ids}> ({
      ^bb0(%arg20: tensor<bf16>, %arg21: tensor<bf16>):
        %53 = stablehlo.add %arg20, %arg21 : tensor<bf16>
        stablehlo.return %53 : tensor<bf16>
      }) : (tensor<4x128xbf16>) -> tensor<4x128xbf16>
      %37 = stablehlo.add %3, %36 : tensor<4x128xbf16>
      %38 = stablehlo.convert %37 : (tensor<4x128xbf16>) -> tensor<4x128xf32>
      %39 = stablehlo.multiply %38, %38 : tensor<4x128xf32>
      %cst_4 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
      %40 = stablehlo.reduce(%39 init: %cst_4) applies stablehlo.add across dimensions = [1] : (tensor<4x128xf32>, tensor<f32>) -> tensor<4xf32>
      %41 = stablehlo.broadcast_in_dim %40, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
      %cst_5 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
      %42 = stablehlo.broadcast_in_dim %cst_5, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %43 = stablehlo.divide %41, %42 : tensor<4x1xf32>
      %cst_6 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
      %44 = stablehlo.broadcast_in_dim %cst_6, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %45 = stablehlo.add %43, %44 : tensor<4x1xf32>
      %46 = stablehlo.rsqrt %45 : tensor<4x1xf32>
      %47 = stablehlo.broadcast_in_dim %46, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x128xf32>
      %48 = stablehlo.multiply %38, %47 : tensor<4x128xf32>
      %49 = stablehlo.convert %48 : (tensor<4x128xf32>) -> tensor<4x128xbf16>
      %50 = stablehlo.broadcast_in_dim %arg13, dims = [1] : (tensor<128xbf16>) -> tensor<1x128xbf16>
      %51 = stablehlo.broadcast_in_dim %50, dims = [0, 1] : (tensor<1x128xbf16>) -> tensor<4x128xbf16>
      %52 = stablehlo.multiply %49, %34 : tensor<4x128xbf16>
      sdy.return %52, %37 : tensor<4x128xbf16>, tensor<4x128xbf16>
    } : (tensor<4x128xbf16>, tensor<4x128xbf16>, tensor<128xbf16>, tensor<128xbf16>, tensor<f32>, tensor<f32>, tensor<128x128xbf16>, tensor<128x256xf8E4M3FN>, tensor<128x256xf8E4M3FN>, tensor<256x128xbf16>) -> (tensor<4x128xbf16>, tensor<4x128xbf16>)
    return %0#0, %0#1 : tensor<4x128xbf16>, tensor<4x128xbf16>
  }
  func.func private @clip(%arg0: tensor<4x128xf32>, %arg1: tensor<f32>, %arg2: tensor<f32>) -> tensor<4x128xf32> {
    %0 = stablehlo.convert %arg1 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<4x128xf32>
    %2 = stablehlo.maximum %1, %arg0 : tensor<4x128xf32>
    %3 = stablehlo.convert %arg2 : tensor<f32>
      %cst_1 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [] : (tensor<f32>) -> tensor<4x128xf32>
    %5 = stablehlo.minimum %4, %2 : tensor<4x128xf32>
    return %5 : tensor<4x128xf32>
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
