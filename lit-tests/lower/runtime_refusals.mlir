// RUN: fiar-opt %s --fiar-lower-to-runtime --split-input-file --verify-diagnostics

// What the runtime cannot serve is an error at the op, never a call that writes outside a tensor.
func.func @f64(%x: tensor<4x32xf64>) -> tensor<4x32xf64> {
  // expected-error@+1 {{x has element type f64; the runtime takes f16, bf16 and f32}}
  %0 = "fiar.all_reduce"(%x) {world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>} : (tensor<4x32xf64>) -> tensor<4x32xf64>
  return %0 : tensor<4x32xf64>
}

// -----

func.func @two_worlds(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %0 = "fiar.all_reduce"(%x) {world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  // expected-error@+1 {{world is 2, but an earlier op has another for these groups}}
  %1 = "fiar.all_reduce"(%0) {world = 2 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %1 : tensor<4x32xf32>
}

// -----

func.func @short_weight(%x: tensor<4x32xf32>, %w: tensor<16xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{weight must have 32 elements, the last dimension of x}}
  %0 = "fiar.all_reduce_norm"(%x, %w) {
    operandSegmentSizes = array<i32: 1, 0, 1, 0>, resultSegmentSizes = array<i32: 0, 0, 1, 0, 0>,
    eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "none", scale_layout = "linear",
    group_size = 0 : i64, scale_is = "divisor", norm_input = "rounded", scale_type = "f32",
    norm_rounding = "after_weight", residual_layout = "full", world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>
  } : (tensor<4x32xf32>, tensor<16xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----

func.func @few_scales(%x: tensor<?x64xf32>) -> (tensor<?x64xf8E4M3FN>, tensor<?x1xf32>) {
  // expected-error@+1 {{scales must have the rows of x and 2 elements in each}}
  %0:2 = "fiar.all_reduce_norm"(%x) {
    operandSegmentSizes = array<i32: 1, 0, 0, 0>, resultSegmentSizes = array<i32: 0, 0, 0, 1, 1>,
    eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "fp8_group", scale_layout = "linear",
    group_size = 32 : i64, scale_is = "divisor", norm_input = "rounded", scale_type = "f32",
    norm_rounding = "after_weight", residual_layout = "full", world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>
  } : (tensor<?x64xf32>) -> (tensor<?x64xf8E4M3FN>, tensor<?x1xf32>)
  return %0#0, %0#1 : tensor<?x64xf8E4M3FN>, tensor<?x1xf32>
}

// -----

func.func @unequal_blocks(%x: tensor<6x32xf32>, %r: tensor<2x32xf32>) -> tensor<6x32xf32> {
  // expected-error@+1 {{x has 6 rows, of which 4 ranks have no equal blocks}}
  %0 = "fiar.all_reduce_norm"(%x, %r) {
    operandSegmentSizes = array<i32: 1, 1, 0, 0>, resultSegmentSizes = array<i32: 0, 0, 1, 0, 0>,
    eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "none", scale_layout = "linear",
    group_size = 0 : i64, scale_is = "divisor", norm_input = "rounded", scale_type = "f32",
    norm_rounding = "after_weight", residual_layout = "token_block", world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>
  } : (tensor<6x32xf32>, tensor<2x32xf32>) -> tensor<6x32xf32>
  return %0 : tensor<6x32xf32>
}

// -----

// The swizzled layout pads 4 rows to 128: a tensor without the padding is too small.
func.func @unpadded(%x: tensor<4x64xbf16>) -> (tensor<4x32xi8>, tensor<4x4xf8E4M3FN>) {
  // expected-error@+1 {{scales of this layout must have 512 elements, padding included}}
  %0:2 = "fiar.all_reduce_norm"(%x) {
    operandSegmentSizes = array<i32: 1, 0, 0, 0>, resultSegmentSizes = array<i32: 0, 0, 0, 1, 1>,
    eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "nvfp4", scale_layout = "swizzled_128x4",
    group_size = 16 : i64, scale_is = "multiplier", norm_input = "rounded", scale_type = "e4m3",
    norm_rounding = "after_weight", residual_layout = "full", world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>
  } : (tensor<4x64xbf16>) -> (tensor<4x32xi8>, tensor<4x4xf8E4M3FN>)
  return %0#0, %0#1 : tensor<4x32xi8>, tensor<4x4xf8E4M3FN>
}

// -----

func.func @wide_codes(%x: tensor<4x64xbf16>) -> tensor<4x64xf16> {
  // expected-error@+1 {{quant has elements of 16 bits, its format codes of 8}}
  %0 = "fiar.all_reduce_norm"(%x) {
    operandSegmentSizes = array<i32: 1, 0, 0, 0>, resultSegmentSizes = array<i32: 0, 0, 0, 1, 0>,
    eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "fp8_static", scale_layout = "linear",
    group_size = 0 : i64, scale_is = "multiplier", norm_input = "rounded", scale_type = "f32",
    norm_rounding = "after_weight", residual_layout = "full", world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>
  } : (tensor<4x64xbf16>) -> tensor<4x64xf16>
  return %0 : tensor<4x64xf16>
}

// -----

// A token shard of 5 rows over 4 ranks has 2 rows, not 5.
func.func @whole_shard(%x: tensor<5x64xbf16>, %r: tensor<5x64xbf16>) -> tensor<5x64xbf16> {
  // expected-error@+1 {{the residual operand must be [2, 64]: the rows of one of 4 ranks}}
  %0 = "fiar.all_reduce_norm"(%x, %r) {
    operandSegmentSizes = array<i32: 1, 1, 0, 0>, resultSegmentSizes = array<i32: 0, 0, 1, 0, 0>,
    eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "none", scale_layout = "linear",
    group_size = 0 : i64, scale_is = "multiplier", norm_input = "rounded", scale_type = "f32",
    norm_rounding = "after_weight", residual_layout = "token_shard", world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>
  } : (tensor<5x64xbf16>, tensor<5x64xbf16>) -> tensor<5x64xbf16>
  return %0 : tensor<5x64xbf16>
}

// -----

// expected-error@+1 {{argument 0 is neither a ranked tensor nor an integer, index, f32 or f64}}
func.func @memref(%x: memref<4xf32>) {
  return
}

// -----

// The runtime only adds, and gives the element type it took.
shard.grid @ranks(shape = 4)
func.func @maximum(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{the all-reduce's reduction is max; the runtime only adds}}
  %0 = shard.all_reduce %x on @ranks grid_axes = [0] reduction = max : tensor<4xf32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

shard.grid @ranks(shape = 4)
func.func @wider(%x: tensor<4xbf16>) -> tensor<4xf32> {
  // expected-error@+1 {{the all-reduce must have one operand and a result of the same type}}
  %0 = shard.all_reduce %x on @ranks grid_axes = [0] : tensor<4xbf16> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

shard.grid @ranks(shape = ?)
func.func @unknown(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{the runtime has no such all-reduce: which ranks it adds up is not known: its grid is not in the module}}
  %0 = shard.all_reduce %x on @ranks grid_axes = [0] : tensor<4xf32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// One rank of two has three of five rows.
func.func @too_few_rows(%x: tensor<5x32xf32>) -> tensor<2x32xf32> {
  // expected-error@+1 {{the rows must have one rank's part of the whole, ceil(tokens / 2) rows}}
  %0 = "fiar.take_rows"(%x) {world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<5x32xf32>) -> tensor<2x32xf32>
  return %0 : tensor<2x32xf32>
}

// -----

func.func @rows_unknown(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // expected-error@+1 {{the rows must have one rank's part of the whole, ceil(tokens / 2) rows}}
  %0 = "fiar.all_gather_rows"(%x) {world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

func.func @no_return(%x: tensor<4x32xbf16>) {
  // expected-error@+1 {{it stands where its block's terminator should}}
  %0 = "stablehlo.all_reduce"(%x) ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %1 = stablehlo.add %l, %r : tensor<bf16>
    stablehlo.return %1 : tensor<bf16>
  }) {replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<4x32xbf16>) -> tensor<4x32xbf16>
}
