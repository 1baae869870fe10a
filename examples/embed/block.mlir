// One all-reduce with its residual add and RMSNorm, in StableHLO's generic form: an embedder without
// StableHLO's own library needs no pretty form.
func.func @block(%x: tensor<8x64xf32>, %residual: tensor<8x64xf32>, %weight: tensor<64xf32>)
    -> (tensor<8x64xf32>, tensor<8x64xf32>) {
  %sum = "stablehlo.all_reduce"(%x) <{
      channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>,
      replica_groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>, use_global_device_ids}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %c = "stablehlo.add"(%a, %b) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    "stablehlo.return"(%c) : (tensor<f32>) -> ()
  }) : (tensor<8x64xf32>) -> tensor<8x64xf32>
  %h = "stablehlo.add"(%sum, %residual) : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<8x64xf32>
  %square = "stablehlo.multiply"(%h, %h) : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<8x64xf32>
  %zero = "stablehlo.constant"() <{value = dense<0.0> : tensor<f32>}> : () -> tensor<f32>
  %total = "stablehlo.reduce"(%square, %zero) <{dimensions = array<i64: 1>}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %c = "stablehlo.add"(%a, %b) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    "stablehlo.return"(%c) : (tensor<f32>) -> ()
  }) : (tensor<8x64xf32>, tensor<f32>) -> tensor<8xf32>
  %hidden = "stablehlo.constant"() <{value = dense<64.0> : tensor<8xf32>}> : () -> tensor<8xf32>
  %mean = "stablehlo.divide"(%total, %hidden) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %eps = "stablehlo.constant"() <{value = dense<1.0e-6> : tensor<8xf32>}> : () -> tensor<8xf32>
  %shifted = "stablehlo.add"(%mean, %eps) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %root = "stablehlo.rsqrt"(%shifted) : (tensor<8xf32>) -> tensor<8xf32>
  %roots = "stablehlo.broadcast_in_dim"(%root) <{broadcast_dimensions = array<i64: 0>}> : (tensor<8xf32>) -> tensor<8x64xf32>
  %unit = "stablehlo.multiply"(%h, %roots) : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<8x64xf32>
  %weights = "stablehlo.broadcast_in_dim"(%weight) <{broadcast_dimensions = array<i64: 1>}> : (tensor<64xf32>) -> tensor<8x64xf32>
  %norm = "stablehlo.multiply"(%unit, %weights) : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<8x64xf32>
  return %h, %norm : tensor<8x64xf32>, tensor<8x64xf32>
}
