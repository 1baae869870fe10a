module @jit_mlp attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["tp"=2]> {stablehlo.mesh = {axes = [{name = "tp", size = 2 : i64}]}}
  func.func public @main(%arg0: tensor<4x64xbf16> {fiar.name = "residual"}, %arg1: tensor<64xbf16> {fiar.name = "norm_weight"}, %arg2: tensor<64x128xbf16> {fiar.name = "w_gate"}, %arg3: tensor<64x128xbf16> {fiar.name = "w_up"}, %arg4: tensor<128x64xbf16> {fiar.name = "w_down"}) -> (tensor<4x64xbf16> {fiar.name = "residual_out", jax.result_info = "result"}) {
    %0 = sdy.manual_computation(%arg0, %arg1, %arg2, %arg3, %arg4) in_shardings=[<@mesh, [{}, {}]>, <@mesh, [{}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{"tp"}, {}]>] out_shardings=[<@mesh, [{}, {}]>] manual_axes={"tp"} (%arg5: tensor<4x64xbf16>, %arg6: tensor<64xbf16>, %arg7: tensor<64x64xbf16>, %arg8: tensor<64x64xbf16>, %arg9: tensor<64x64xbf16>) {
      %1 = stablehlo.convert %arg5 : (tensor<4x64xbf16>) -> tensor<4x64xf32>
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
      %12 = stablehlo.convert %arg6 : (tensor<64xbf16>) -> tensor<64xf32>
      %cst_2 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
      %13 = stablehlo.broadcast_in_dim %cst_2, dims = [] : (tensor<f32>) -> tensor<64xf32>
      %14 = stablehlo.add %13, %12 : tensor<64xf32>
      %15 = stablehlo.broadcast_in_dim %14, dims = [1] : (tensor<64xf32>) -> tensor<1x64xf32>
      %16 = stablehlo.broadcast_in_dim %15, dims = [0, 1] : (tensor<1x64xf32>) -> tensor<4x64xf32>
      %17 = stablehlo.multiply %11, %16 : tensor<4x64xf32>
      %18 = stablehlo.convert %17 : (tensor<4x64xf32>) -> tensor<4x64xbf16>
      %19 = stablehlo.dot_general %18, %arg7, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %20 = stablehlo.multiply %19, %19 : tensor<4x64xbf16>
      %21 = stablehlo.multiply %20, %19 : tensor<4x64xbf16>
      %cst_3 = stablehlo.constant dense<4.467770e-02> : tensor<bf16>
      %22 = stablehlo.broadcast_in_dim %cst_3, dims = [] : (tensor<bf16>) -> tensor<4x64xbf16>
      %23 = stablehlo.multiply %22, %21 : tensor<4x64xbf16>
      %24 = stablehlo.add %19, %23 : tensor<4x64xbf16>
      %cst_4 = stablehlo.constant dense<7.968750e-01> : tensor<bf16>
      %25 = stablehlo.broadcast_in_dim %cst_4, dims = [] : (tensor<bf16>) -> tensor<4x64xbf16>
      %26 = stablehlo.multiply %25, %24 : tensor<4x64xbf16>
      %27 = stablehlo.tanh %26 : tensor<4x64xbf16>
      %cst_5 = stablehlo.constant dense<1.000000e+00> : tensor<bf16>
      %28 = stablehlo.broadcast_in_dim %cst_5, dims = [] : (tensor<bf16>) -> tensor<4x64xbf16>
      %29 = stablehlo.add %28, %27 : tensor<4x64xbf16>
      %cst_6 = stablehlo.constant dense<5.000000e-01> : tensor<bf16>
      %30 = stablehlo.broadcast_in_dim %cst_6, dims = [] : (tensor<bf16>) -> tensor<4x64xbf16>
      %31 = stablehlo.multiply %30, %29 : tensor<4x64xbf16>
      %32 = stablehlo.multiply %19, %31 : tensor<4x64xbf16>
      %33 = stablehlo.dot_general %18, %arg8, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %34 = stablehlo.multiply %32, %33 : tensor<4x64xbf16>
      %35 = stablehlo.dot_general %34, %arg9, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %36 = "stablehlo.all_reduce"(%35) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>, use_global_device_ids}> ({
      ^bb0(%arg10: tensor<bf16>, %arg11: tensor<bf16>):
        %38 = stablehlo.add %arg10, %arg11 : tensor<bf16>
        stablehlo.return %38 : tensor<bf16>
      }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
      %37 = stablehlo.add %arg5, %36 : tensor<4x64xbf16>
      sdy.return %37 : tensor<4x64xbf16>
    } : (tensor<4x64xbf16>, tensor<64xbf16>, tensor<64x128xbf16>, tensor<64x128xbf16>, tensor<128x64xbf16>) -> tensor<4x64xbf16>
    return %0 : tensor<4x64xbf16>
  }
}
