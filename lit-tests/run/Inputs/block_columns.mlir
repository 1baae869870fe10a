// No collective: the ranks are the parts of the weight. The bias is closed over.
module @jit_columns attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["tp"=2]>
  func.func public @open(%x: tensor<4x64xbf16> {fiar.name = "size_t"}, %w: tensor<64x16xbf16> {fiar.name = "layers.0.w"}, %y: tensor<4x8xbf16> {fiar.name = "result0"}) -> tensor<4x16xbf16> {
    %bias = stablehlo.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xbf16>
    %0 = sdy.manual_computation(%bias, %x, %w, %y) in_shardings=[<@mesh, [{}]>, <@mesh, [{}, {}]>, <@mesh, [{}, {"tp"}]>, <@mesh, [{}, {}]>] out_shardings=[<@mesh, [{}, {"tp"}]>] manual_axes={"tp"} (%c: tensor<8xbf16>, %a: tensor<4x64xbf16>, %b: tensor<64x8xbf16>, %d: tensor<4x8xbf16>) {
      %1 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<4x64xbf16>, tensor<64x8xbf16>) -> tensor<4x8xf32>
      %2 = stablehlo.convert %c : (tensor<8xbf16>) -> tensor<8xf32>
      %3 = stablehlo.broadcast_in_dim %2, dims = [1] : (tensor<8xf32>) -> tensor<4x8xf32>
      %4 = stablehlo.add %1, %3 : tensor<4x8xf32>
      %5 = stablehlo.convert %4 : (tensor<4x8xf32>) -> tensor<4x8xbf16>
      sdy.return %5 : tensor<4x8xbf16>
    } : (tensor<8xbf16>, tensor<4x64xbf16>, tensor<64x16xbf16>, tensor<4x8xbf16>) -> tensor<4x16xbf16>
    return %0 : tensor<4x16xbf16>
  }
}
