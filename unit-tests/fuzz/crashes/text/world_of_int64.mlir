func.func @main(%x: tensor<5x64xbf16>, %r: tensor<5x64xbf16>) {
  %a:2 = "fiar.all_reduce_norm"(%x, %r) {operandSegmentSizes = array<i32: 1, 1, 0, 0>, resultSegmentSizes = array<i32: 0, 1, 1, 0, 0>, eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "none", scale_layout = "linear", group_size = 0 : i64, scale_is = "divisor", norm_input = "rounded", scale_type = "f32", norm_rounding = "before_weight", residual_layout = "full", world = 9223372036854775807 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<5x64xbf16>, tensor<5x64xbf16>) -> (tensor<5x64xbf16>, tensor<5x64xbf16>)
  return
}
