module @jit_reshaped attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["tp"=2]> {stablehlo.mesh = {axes = [{name = "tp", size = 2 : i64}]}}
  func.func public @main(%arg0: tensor<4x64xbf16> {fiar.name = "model.x"}, %arg1: tensor<64x128xbf16> {fiar.name = "a"}, %arg2: tensor<64x128xbf16> {fiar.name = "b"}) -> (tensor<4x4x32xbf16> {jax.result_info = "result"}) {
    %0 = sdy.manual_computation(%arg0, %arg1, %arg2) in_shardings=[<@mesh, [{}, {}]>, <@mesh, [{}, {}]>, <@mesh, [{}, {}]>] out_shardings=[<@mesh, [{}, {}, {}]>] manual_axes={"tp"} (%arg3: tensor<4x64xbf16>, %arg4: tensor<64x128xbf16>, %arg5: tensor<64x128xbf16>) {
      %1 = stablehlo.dot_general %arg3, %arg4, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x128xbf16>) -> tensor<4x128xbf16>
      %2 = stablehlo.reshape %1 : (tensor<4x128xbf16>) -> tensor<4x4x32xbf16>
      %3 = func.call @silu(%2) : (tensor<4x4x32xbf16>) -> tensor<4x4x32xbf16>
      %4 = stablehlo.dot_general %arg3, %arg5, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x64xbf16>, tensor<64x128xbf16>) -> tensor<4x128xbf16>
      %5 = stablehlo.reshape %4 : (tensor<4x128xbf16>) -> tensor<4x4x32xbf16>
      %6 = stablehlo.multiply %3, %5 : tensor<4x4x32xbf16>
      sdy.return %6 : tensor<4x4x32xbf16>
    } : (tensor<4x64xbf16>, tensor<64x128xbf16>, tensor<64x128xbf16>) -> tensor<4x4x32xbf16>
    return %0 : tensor<4x4x32xbf16>
  }
  func.func private @silu(%arg0: tensor<4x4x32xbf16>) -> tensor<4x4x32xbf16> {
    %0 = stablehlo.negate %arg0 : tensor<4x4x32xbf16>
    %1 = stablehlo.exponential %0 : tensor<4x4x32xbf16>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<bf16>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<bf16>) -> tensor<4x4x32xbf16>
    %3 = stablehlo.add %2, %1 : tensor<4x4x32xbf16>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<bf16>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<bf16>) -> tensor<4x4x32xbf16>
    %5 = stablehlo.divide %4, %3 : tensor<4x4x32xbf16>
    %6 = stablehlo.multiply %arg0, %5 : tensor<4x4x32xbf16>
    return %6 : tensor<4x4x32xbf16>
  }
}
