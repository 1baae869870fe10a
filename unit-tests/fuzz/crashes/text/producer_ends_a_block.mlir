func.func @tanh_each(%x: tensor<4x16xbf16>, %u: tensor<4x16xbf16>) -> tensor<4x16xbf16> {
  %c = stablehlo.constant dense<4.467770e-02> : tensor<4x16xbf16>
  %d = stablehlo.constant dense<7.968750e-01> : tensor<4x16xbf16>
  %one = stablehlo.constant dense<1.0> : tensor<4x16xbf16>
  %half = stablehlo.constant dense<0.5> : tensor<4x16xbf16>
  %0 = stablehlo.multiply %x, %x : tensor<4x16xbf16>
  %1 = stablehlo.multiply %0, %x : tensor<4x16xbf16>
  %2 = stablehlo.multiply %c, %1 : tensor<4x16xbf16>
  %3 = stablehlo.add %x, %2 : tensor<4x16xbf16>
  %4 = stablehlo.multiply %d, %3 : tensor<4x16xbf16>
  %5 = stablehlo.tanh %4 : tensor<4x16xbf16>
  %6 = stablehlo.add %one, %5 : tensor<4x16xbf16>
  %7 = stablehlo.multiply %half, %6 : tensor<4x16xbf16>
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
  %8 = stablehlo.multiply %x, %7 : tensor<4x16xbf16>
  %9 = stablehlo.multiply %u, %8 : tensor<4x16xbf16>
  return %9 : tensor<4x16xbf16>
}
