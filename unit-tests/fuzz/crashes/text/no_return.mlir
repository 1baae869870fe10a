func.func @large(%x: tensor<4x1024xbf16>) -> tensor<4x1024xbf16> {
  %w = stablehlo.constant dense<2.0> : tensor<1024x1024xbf16>
  // expected-error@+1 {{an operand is a f16 of another type than the runtime's, or of more than 64 bytes}}
}
