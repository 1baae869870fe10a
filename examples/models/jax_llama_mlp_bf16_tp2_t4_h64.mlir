module @jit_mlp attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["tp"=2]> {stablehlo.mesh = {axes = [{name = "tp", size = 2 : i64}]}}
  func.func public @main(%arg0: tensor<4x64xbf16> {fiar.name = "residual"}, %arg1: tensor<64xbf16> {fiar.name = "norm_weight"}, %arg2: tensor<64xbf16> {fiar.name = "next_norm_weight"}, %arg3: tensor<64x128xbf16> {fiar.name = "w_gate"}, %arg4: tensor<64x128xbf16> {fiar.name = "w_up"}, %arg5: tensor<128x64xbf16> {fiar.name = "w_down"}) -> (tensor<4x64xbf16> {fiar.name = "norm", jax.result_info = "result[0]"}, tensor<4x64xbf16> {fiar.name = "residual_out", jax.result_info = "result[1]"}) {
    %0:2 = sdy.manual_computation(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5) in_shardings=[<@mesh, [{}, {}]>, <@mesh, [{}]>, <@mesh, [{}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{"tp"}, {}]>] out_shardings=[<@mesh, [{}, {}]>, <@mesh, [{}, {}]>] manual_axes={"tp"} (%arg6: tensor<4x64xbf16>, %arg7: tensor<64xbf16>, %arg8: tensor<64xbf16>, %arg9: tensor<64x64xbf16>, %arg10: tensor<64x64xbf16>, %arg11: tensor<64x64xbf16>) {
      %1 = stablehlo.convert %arg6 : (tensor<4x64xbf16>) -> tensor<4x64xf32>
      %2 = stablehlo.multiply %1, %1 : tensor<4x64xf32>
      %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
      %3 = stablehlo.reduce(%2 init: %cst) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
      %4 = stablehlo.broadcast_in_dim %3, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
      %cst_0 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
      %5 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %6 = stablehlo.divide %4, %5 : tensor<4x1xf32>
      %cst_1 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
      %7 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %8 = stablehlo.add %6, %7 : tensor<4x1xf32>
      %9 = stablehlo.rsqrt %8 : tensor<4x1xf32>
      %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x64xf32>
      %11 = stablehlo.multiply %1, %10 : tensor<4x64xf32>
      %12 = stablehlo.convert %11 : (tensor<4x64xf32>) -> tensor<4x64xbf16>
      %13 = stablehlo.broadcast_in_dim %arg7, dims = [1] : (tensor<64xbf16>) -> tensor<1x64xbf16>
      %14 = stablehlo.broadcast_in_dim %13, dims = [0, 1] : (tensor<1x64xbf16>) -> tensor<4x64xbf16>
      %15 = stablehlo.multiply %12, %14 : tensor<4x64xbf16>
      %16 = stablehlo.dot_general %15, %arg9, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %17 = func.call @silu(%16) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
      %18 = stablehlo.dot_general %15, %arg10, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %19 = stablehlo.multiply %17, %18 : tensor<4x64xbf16>
      %20 = stablehlo.dot_general %19, %arg11, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %21 = "stablehlo.all_reduce"(%20) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>, use_global_device_ids}> ({
      ^bb0(%arg12: tensor<bf16>, %arg13: tensor<bf16>):
        %38 = stablehlo.add %arg12, %arg13 : tensor<bf16>
        stablehlo.return %38 : tensor<bf16>
      }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
      %22 = stablehlo.add %arg6, %21 : tensor<4x64xbf16>
      %23 = stablehlo.convert %22 : (tensor<4x64xbf16>) -> tensor<4x64xf32>
      %24 = stablehlo.multiply %23, %23 : tensor<4x64xf32>
      %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
      %25 = stablehlo.reduce(%24 init: %cst_2) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
      %26 = stablehlo.broadcast_in_dim %25, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
      %cst_3 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
      %27 = stablehlo.broadcast_in_dim %cst_3, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %28 = stablehlo.divide %26, %27 : tensor<4x1xf32>
      %cst_4 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
      %29 = stablehlo.broadcast_in_dim %cst_4, dims = [] : (tensor<f32>) -> tensor<4x1xf32>
      %30 = stablehlo.add %28, %29 : tensor<4x1xf32>
      %31 = stablehlo.rsqrt %30 : tensor<4x1xf32>
      %32 = stablehlo.broadcast_in_dim %31, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x64xf32>
      %33 = stablehlo.multiply %23, %32 : tensor<4x64xf32>
      %34 = stablehlo.convert %33 : (tensor<4x64xf32>) -> tensor<4x64xbf16>
      %35 = stablehlo.broadcast_in_dim %arg8, dims = [1] : (tensor<64xbf16>) -> tensor<1x64xbf16>
      %36 = stablehlo.broadcast_in_dim %35, dims = [0, 1] : (tensor<1x64xbf16>) -> tensor<4x64xbf16>
      %37 = stablehlo.multiply %34, %36 : tensor<4x64xbf16>
      sdy.return %37, %22 : tensor<4x64xbf16>, tensor<4x64xbf16>
    } : (tensor<4x64xbf16>, tensor<64xbf16>, tensor<64xbf16>, tensor<64x128xbf16>, tensor<64x128xbf16>, tensor<128x64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>)
    return %0#0, %0#1 : tensor<4x64xbf16>, tensor<4x64xbf16>
  }
  func.func private @silu(%arg0: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
    %0 = stablehlo.negate %arg0 : tensor<4x64xbf16>
    %1 = stablehlo.exponential %0 : tensor<4x64xbf16>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<bf16>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<bf16>) -> tensor<4x64xbf16>
    %3 = stablehlo.add %2, %1 : tensor<4x64xbf16>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<bf16>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<bf16>) -> tensor<4x64xbf16>
    %5 = stablehlo.divide %4, %3 : tensor<4x64xbf16>
    %6 = stablehlo.multiply %arg0, %5 : tensor<4x64xbf16>
    return %6 : tensor<4x64xbf16>
  }
}
