func.func @main(%x: tensor<4x64xbf16>, %m: tensor<64x64xbf16>) -> tensor<4x64xbf16> {
  %0 = "stablehlo.dot_general"(%x) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>}> : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %0 : tensor<4x64xbf16>
}
