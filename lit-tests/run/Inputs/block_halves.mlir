// Gate and up as one product, whose halves they are; block_wholes.mlir has them as two.
func.func @main(%x: tensor<3x4xf32> {fiar.name = "x"}) -> tensor<3x2xf32> {
  %w = stablehlo.constant dense<[[1.0, 2.0, -1.0, 4.0], [0.0, 1.0, 3.0, 0.0], [3.0, 0.0, 1.0, 1.0], [1.0, -1.0, 0.0, 2.0]]> : tensor<4x4xf32>
  %h = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<3x4xf32>, tensor<4x4xf32>) -> tensor<3x4xf32>
  %g = stablehlo.slice %h [0:3, 0:2] : (tensor<3x4xf32>) -> tensor<3x2xf32>
  %u = stablehlo.slice %h [0:3, 2:4] : (tensor<3x4xf32>) -> tensor<3x2xf32>
  %0 = stablehlo.logistic %g : tensor<3x2xf32>
  %1 = stablehlo.multiply %g, %0 : tensor<3x2xf32>
  %2 = stablehlo.multiply %1, %u : tensor<3x2xf32>
  return %2 : tensor<3x2xf32>
}
