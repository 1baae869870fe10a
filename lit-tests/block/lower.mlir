// A raised block as calls of the runtime: what the function takes, where values lie, and what is refused.
// RUN: fiar-opt %s --fiar-lower-to-block -split-input-file -verify-diagnostics | FileCheck %s

// Two products in a chain: the first's result lies in the arena, the second's in the caller's memory.
// CHECK-LABEL: llvm.func @chain(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr, %arg4: !llvm.ptr, %arg5: i64, %arg6: !llvm.ptr, %arg7: !llvm.ptr) -> i32
// CHECK:         llvm.call @fiar_rt_block_start(%arg7,
// CHECK:         llvm.call @fiar_rt_matmul(%arg7, %{{.*}}, %arg6)
// CHECK:         llvm.call @fiar_rt_matmul(%arg7, %{{.*}}, %arg6)
// CHECK-NOT:     llvm.call
// 4 x 16 bf16, then the scratch of the products behind it: 33 MiB and 4 x 32 f32
// CHECK-LABEL: llvm.func @chain_arena_bytes
// CHECK-NEXT:    llvm.mlir.constant(34603776 : i64)
// CHECK-NOT:   @chain_pack
func.func @chain(%x: tensor<4x32xbf16> {fiar.name = "x"}, %a: tensor<32x16xbf16>, %b: tensor<16x32xbf16>) -> tensor<4x32xbf16> {
  %0 = "fiar.matmul"(%x, %a) {a_scale_is = "divisor", a_scaling = "none", b_scale_is = "divisor", b_scaling = "none", b_transposed = false, block_scale_layout = "linear", block_scale_type = "f32", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0>} : (tensor<4x32xbf16>, tensor<32x16xbf16>) -> tensor<4x16xbf16>
  %1 = "fiar.matmul"(%0, %b) {a_scale_is = "divisor", a_scaling = "none", b_scale_is = "divisor", b_scaling = "none", b_transposed = false, block_scale_layout = "linear", block_scale_type = "f32", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0>} : (tensor<4x16xbf16>, tensor<16x32xbf16>) -> tensor<4x32xbf16>
  return %1 : tensor<4x32xbf16>
}

// -----
// An argument that is a result is copied, and so is a value that is two results.
// CHECK-LABEL: llvm.func @passes(
// CHECK:         llvm.call @fiar_rt_copy
// CHECK:         llvm.call @fiar_rt_copy
// CHECK:         llvm.call @fiar_rt_copy
// CHECK-NOT:     llvm.call
func.func @passes(%x: tensor<4x32xbf16>) -> (tensor<4x32xbf16>, tensor<128xf32>, tensor<4x32xf32>) {
  %0 = "fiar.copy"(%x) {transposed = false} : (tensor<4x32xbf16>) -> tensor<4x32xf32>
  %1 = stablehlo.reshape %0 : (tensor<4x32xf32>) -> tensor<128xf32>
  return %x, %1, %0 : tensor<4x32xbf16>, tensor<128xf32>, tensor<4x32xf32>
}

// -----
// f8 weights [k, n] are packed; those that lie right are arguments.
// CHECK-LABEL: llvm.func @packs(
// CHECK-LABEL: llvm.func @packs_pack(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr)
// CHECK:         llvm.call @fiar_rt_copy
// CHECK-NOT:     llvm.call
// CHECK-LABEL: llvm.func @packs_packed_bytes
// CHECK-NEXT:    llvm.mlir.constant(512 : i64)
func.func @packs(%x: tensor<4x32xf8E4M3FN>, %a: tensor<32x16xf8E4M3FN>, %b: tensor<16x32xf8E4M3FN>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  %0 = "fiar.matmul"(%x, %a) {a_scale_is = "divisor", a_scaling = "none", b_scale_is = "divisor", b_scaling = "none", b_transposed = false, block_scale_layout = "linear", block_scale_type = "f32", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0>} : (tensor<4x32xf8E4M3FN>, tensor<32x16xf8E4M3FN>) -> tensor<4x16xf32>
  %1 = "fiar.matmul"(%x, %b) {a_scale_is = "divisor", a_scaling = "none", b_scale_is = "divisor", b_scaling = "none", b_transposed = true, block_scale_layout = "linear", block_scale_type = "f32", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0>} : (tensor<4x32xf8E4M3FN>, tensor<16x32xf8E4M3FN>) -> tensor<4x16xf32>
  return %0, %1 : tensor<4x16xf32>, tensor<4x16xf32>
}

// -----
func.func @left(%x: tensor<4x32xbf16>) -> (tensor<4x32xbf16>, tensor<4x32xbf16>) {
  // expected-error@+1 {{stablehlo.subtract cannot be lowered: no call of the runtime computes it}}
  %0 = stablehlo.subtract %x, %x : tensor<4x32xbf16>
  // expected-error@+1 {{stablehlo.tanh cannot be lowered}}
  %1 = stablehlo.tanh %x : tensor<4x32xbf16>
  return %0, %1 : tensor<4x32xbf16>, tensor<4x32xbf16>
}

// -----
func.func @first(%x: tensor<4x32xbf16>) -> tensor<4x32xbf16> {
  return %x : tensor<4x32xbf16>
}
// expected-error@+1 {{a second public function}}
func.func @second(%x: tensor<4x32xbf16>) -> tensor<4x32xbf16> {
  return %x : tensor<4x32xbf16>
}

// -----
// expected-error@+1 {{argument 0 is no tensor of}}
func.func @types(%x: tensor<4xi64>) -> tensor<4xi64> {
  return %x : tensor<4xi64>
}

// -----
// expected-error@+1 {{no known size}}
func.func @dynamic(%x: tensor<?x32xbf16>) -> tensor<?x32xbf16> {
  return %x : tensor<?x32xbf16>
}

// -----
// A constant is written into the packed memory by the pack function, behind the weights.
// CHECK:       llvm.mlir.global internal constant @fiar.constant.constant0("\00\00\00@")
// CHECK-LABEL: llvm.func @constant(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr,
// CHECK-LABEL: llvm.func @constant_pack(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr)
// CHECK:         llvm.call @fiar_rt_write
func.func @constant(%x: tensor<4x32xbf16>) -> tensor<4x32xf8E4M3FN> {
  %scale = stablehlo.constant dense<2.0> : tensor<f32>
  %0 = "fiar.quantize"(%x, %scale) {group_size = 0 : i64, operandSegmentSizes = array<i32: 1, 1>, quant = "fp8_static", resultSegmentSizes = array<i32: 1, 0>, scale_is = "divisor", scale_layout = "linear", scale_min = 0.0 : f32, scale_type = "f32"} : (tensor<4x32xbf16>, tensor<f32>) -> tensor<4x32xf8E4M3FN>
  return %0 : tensor<4x32xf8E4M3FN>
}

// -----
func.func @large(%x: tensor<4x1024xbf16>) -> tensor<4x1024xbf16> {
  %w = stablehlo.constant dense<2.0> : tensor<1024x1024xbf16>
  // expected-error@+1 {{an operand is a constant of another type than the runtime's, or of more than 1048576 bytes}}
  %0 = "fiar.matmul"(%x, %w) {a_scale_is = "divisor", a_scaling = "none", b_scale_is = "divisor", b_scaling = "none", b_transposed = false, block_scale_layout = "linear", block_scale_type = "f32", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0>} : (tensor<4x1024xbf16>, tensor<1024x1024xbf16>) -> tensor<4x1024xbf16>
  return %0 : tensor<4x1024xbf16>
}

// -----
func.func @groups(%x: tensor<4x32xbf16>) -> tensor<4x32xbf16> {
  %0 = "fiar.all_reduce"(%x) {world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<4x32xbf16>) -> tensor<4x32xbf16>
  // expected-error@+1 {{its replica groups are others than an earlier op's}}
  %1 = "fiar.all_reduce"(%0) {world = 2 : i64, groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>} : (tensor<4x32xbf16>) -> tensor<4x32xbf16>
  return %1 : tensor<4x32xbf16>
}

// -----
// What is raised from ops that nobody has verified may be of any shape: no call reads or writes beyond its tensors.
func.func @copied(%x: tensor<4x32xbf16>) -> tensor<8x32xf32> {
  // expected-error@+1 {{out has 8 rows of 32 elements; 4 of 32 are computed}}
  %0 = "fiar.copy"(%x) {transposed = false} : (tensor<4x32xbf16>) -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}

// -----
func.func @transposed(%x: tensor<4x32xbf16>) -> tensor<8x32xbf16> {
  // expected-error@+1 {{out has 8 rows of 32 elements; 32 of 4 are computed}}
  %0 = "fiar.copy"(%x) {transposed = true} : (tensor<4x32xbf16>) -> tensor<8x32xbf16>
  return %0 : tensor<8x32xbf16>
}

// -----
func.func @activated(%x: tensor<4x32xf32>, %u: tensor<4x16xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{up has 4 rows of 16 elements; 4 of 32 are computed}}
  %0 = "fiar.activate"(%x, %u) {activation = "silu", combine = "mul", operandSegmentSizes = array<i32: 1, 1, 0>, quant = "none", resultSegmentSizes = array<i32: 1, 0>, rounding = "none", scale_is = "divisor"} : (tensor<4x32xf32>, tensor<4x16xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----
// Without up, gate's rows hold both.
func.func @activated_halves(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  // expected-error@+1 {{out has 4 rows of 32 elements; 4 of 16 are computed}}
  %0 = "fiar.activate"(%x) {activation = "silu", combine = "mul", operandSegmentSizes = array<i32: 1, 0, 0>, quant = "none", resultSegmentSizes = array<i32: 1, 0>, rounding = "none", scale_is = "divisor"} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----
func.func @activated_no_halves(%x: tensor<4x31xf32>) -> tensor<4x15xf32> {
  // expected-error@+1 {{gate has rows of 31 elements, which are no two halves}}
  %0 = "fiar.activate"(%x) {activation = "silu", combine = "mul", operandSegmentSizes = array<i32: 1, 0, 0>, quant = "none", resultSegmentSizes = array<i32: 1, 0>, rounding = "none", scale_is = "divisor"} : (tensor<4x31xf32>) -> tensor<4x15xf32>
  return %0 : tensor<4x15xf32>
}

// -----
func.func @activated_into(%x: tensor<4x32xf32>, %u: tensor<4x32xf32>) -> tensor<8x32xf32> {
  // expected-error@+1 {{out has 8 rows of 32 elements; 4 of 32 are computed}}
  %0 = "fiar.activate"(%x, %u) {activation = "silu", combine = "mul", operandSegmentSizes = array<i32: 1, 1, 0>, quant = "none", resultSegmentSizes = array<i32: 1, 0>, rounding = "none", scale_is = "divisor"} : (tensor<4x32xf32>, tensor<4x32xf32>) -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}

// -----
func.func @codes(%x: tensor<4x32xbf16>, %s: tensor<f32>) -> tensor<2x32xf8E4M3FN> {
  // expected-error@+1 {{quant must have the rows of x and 32 elements in each}}
  %0 = "fiar.quantize"(%x, %s) {quant = "fp8_static", scale_layout = "linear", scale_type = "f32", scale_is = "divisor", group_size = 0 : i64, scale_min = 0.0 : f32, operandSegmentSizes = array<i32: 1, 1>, resultSegmentSizes = array<i32: 1, 0>} : (tensor<4x32xbf16>, tensor<f32>) -> tensor<2x32xf8E4M3FN>
  return %0 : tensor<2x32xf8E4M3FN>
}

// -----
func.func @scales(%x: tensor<4x32xbf16>) -> (tensor<4x32xf8E4M3FN>, tensor<3x1xf32>) {
  // expected-error@+1 {{scales must have the rows of x and 1 elements in each}}
  %0:2 = "fiar.quantize"(%x) {quant = "fp8_token", scale_layout = "linear", scale_type = "f32", scale_is = "divisor", group_size = 0 : i64, scale_min = 0.0 : f32, operandSegmentSizes = array<i32: 1, 0>, resultSegmentSizes = array<i32: 1, 1>} : (tensor<4x32xbf16>) -> (tensor<4x32xf8E4M3FN>, tensor<3x1xf32>)
  return %0#0, %0#1 : tensor<4x32xf8E4M3FN>, tensor<3x1xf32>
}

// -----
func.func @padded_scales(%x: tensor<4x64xbf16>) -> (tensor<4x64xf8E4M3FN>, tensor<8x4xf8E8M0FNU>) {
  // expected-error@+1 {{scales of this layout must have 512 elements, padding included}}
  %0:2 = "fiar.quantize"(%x) {quant = "mxfp8", scale_layout = "swizzled_128x4", scale_type = "ue8m0", scale_is = "divisor", group_size = 32 : i64, scale_min = 0.0 : f32, operandSegmentSizes = array<i32: 1, 0>, resultSegmentSizes = array<i32: 1, 1>} : (tensor<4x64xbf16>) -> (tensor<4x64xf8E4M3FN>, tensor<8x4xf8E8M0FNU>)
  return %0#0, %0#1 : tensor<4x64xf8E4M3FN>, tensor<8x4xf8E8M0FNU>
}

// -----
func.func @scale_of_two(%x: tensor<4x32xbf16>, %s: tensor<2xf32>) -> tensor<4x32xf8E4M3FN> {
  // expected-error@+1 {{scale must be a tensor of one f32}}
  %0 = "fiar.quantize"(%x, %s) {quant = "fp8_static", scale_layout = "linear", scale_type = "f32", scale_is = "divisor", group_size = 0 : i64, scale_min = 0.0 : f32, operandSegmentSizes = array<i32: 1, 1>, resultSegmentSizes = array<i32: 1, 0>} : (tensor<4x32xbf16>, tensor<2xf32>) -> tensor<4x32xf8E4M3FN>
  return %0 : tensor<4x32xf8E4M3FN>
}

// -----
func.func @bias(%x: tensor<4x32xf8E4M3FN>, %w: tensor<16x32xf8E4M3FN>, %bias: tensor<4xf32>) -> tensor<4x16xf32> {
  // expected-error@+1 {{bias must have 16 elements}}
  %0 = "fiar.matmul"(%x, %w, %bias) {b_scale_is = "divisor", a_scale_is = "divisor", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", a_scaling = "none", b_scaling = "none", operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>} : (tensor<4x32xf8E4M3FN>, tensor<16x32xf8E4M3FN>, tensor<4xf32>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----
func.func @a_scale(%x: tensor<4x32xf8E4M3FN>, %w: tensor<16x32xf8E4M3FN>, %s: tensor<4xf32>) -> tensor<4x16xf32> {
  // expected-error@+1 {{a_scale must have 1 f32}}
  %0 = "fiar.matmul"(%x, %w, %s) {b_scale_is = "divisor", a_scale_is = "divisor", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", a_scaling = "none", b_scaling = "none", operandSegmentSizes = array<i32: 1, 1, 0, 1, 0, 0, 0>} : (tensor<4x32xf8E4M3FN>, tensor<16x32xf8E4M3FN>, tensor<4xf32>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----
func.func @vector(%x: tensor<4x32xf8E4M3FN>, %w: tensor<16x32xf8E4M3FN>, %s: tensor<3xf32>) -> tensor<4x16xf32> {
  // expected-error@+1 {{a_scales must have 4 f32}}
  %0 = "fiar.matmul"(%x, %w, %s) {b_scale_is = "divisor", a_scale_is = "divisor", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", a_scaling = "vector", b_scaling = "none", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 0>} : (tensor<4x32xf8E4M3FN>, tensor<16x32xf8E4M3FN>, tensor<3xf32>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----
func.func @unsaid(%x: tensor<4x32xf8E4M3FN>, %w: tensor<16x32xf8E4M3FN>, %s: tensor<4xf32>) -> tensor<4x16xf32> {
  // expected-error@+1 {{a_scales is there, but its scaling is none}}
  %0 = "fiar.matmul"(%x, %w, %s) {b_scale_is = "divisor", a_scale_is = "divisor", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", a_scaling = "none", b_scaling = "none", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 0>} : (tensor<4x32xf8E4M3FN>, tensor<16x32xf8E4M3FN>, tensor<4xf32>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----
func.func @tiles(%x: tensor<4x32xf8E4M3FN>, %w: tensor<16x32xf8E4M3FN>, %s: tensor<128x1xf8E8M0FNU>, %t: tensor<512x1xf8E8M0FNU>) -> tensor<4x16xf32> {
  // expected-error@+1 {{a_scales has 128 scales of a byte, not 512}}
  %0 = "fiar.matmul"(%x, %w, %s, %t) {b_scale_is = "divisor", a_scale_is = "divisor", b_transposed = true, block_scale_layout = "swizzled_128x4", block_scale_type = "ue8m0", a_scaling = "block", b_scaling = "block", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 1>} : (tensor<4x32xf8E4M3FN>, tensor<16x32xf8E4M3FN>, tensor<128x1xf8E8M0FNU>, tensor<512x1xf8E8M0FNU>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----
func.func @missing(%x: tensor<4x32xf8E4M3FN>, %w: tensor<16x32xf8E4M3FN>, %s0: tensor<4x1xf8E8M0FNU>) -> tensor<4x16xf32> {
  // expected-error@+1 {{b_scales is missing, but its scaling is not none}}
  %0 = "fiar.matmul"(%x, %w, %s0) {b_scale_is = "divisor", a_scale_is = "divisor", b_transposed = true, block_scale_layout = "linear", block_scale_type = "ue8m0", a_scaling = "block", b_scaling = "block", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 0>} : (tensor<4x32xf8E4M3FN>, tensor<16x32xf8E4M3FN>, tensor<4x1xf8E8M0FNU>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----
func.func @one_of_blocks(%x: tensor<4x32xf8E4M3FN>, %w: tensor<16x32xf8E4M3FN>, %s0: tensor<4x1xf8E8M0FNU>) -> tensor<4x16xf32> {
  // expected-error@+1 {{only one of a_scaling and b_scaling is block}}
  %0 = "fiar.matmul"(%x, %w, %s0) {b_scale_is = "divisor", a_scale_is = "divisor", b_transposed = true, block_scale_layout = "linear", block_scale_type = "ue8m0", a_scaling = "block", b_scaling = "none", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 0>} : (tensor<4x32xf8E4M3FN>, tensor<16x32xf8E4M3FN>, tensor<4x1xf8E8M0FNU>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----
func.func @activated_by_none(%x: tensor<4x32xf32>, %s: tensor<0xf32>) -> tensor<4x32xf8E4M3FN> {
  // expected-error@+1 {{scale must have 1 f32}}
  %0 = "fiar.activate"(%x, %s) {activation = "silu", combine = "none", operandSegmentSizes = array<i32: 1, 0, 1>, quant = "fp8_static", resultSegmentSizes = array<i32: 0, 1>, rounding = "none", scale_is = "divisor"} : (tensor<4x32xf32>, tensor<0xf32>) -> tensor<4x32xf8E4M3FN>
  return %0 : tensor<4x32xf8E4M3FN>
}

// -----
func.func @no_return(%x: tensor<4x32xbf16>) -> tensor<4x32xbf16> {
  // expected-error@+1 {{ends a function of 1 results with 0 operands}}
  %0 = stablehlo.constant dense<2.0> : tensor<bf16>
}

// -----
func.func @more_arguments(%x: tensor<4x32xbf16>) -> tensor<4x32xbf16> {
  // expected-error@+1 {{its body has not one argument for each operand}}
  %0 = "sdy.manual_computation"(%x) ({
  ^bb0(%a: tensor<4x32xbf16>, %b: tensor<4x32xbf16>):
    "sdy.return"(%b) : (tensor<4x32xbf16>) -> ()
  }) : (tensor<4x32xbf16>) -> tensor<4x32xbf16>
  return %0 : tensor<4x32xbf16>
}

// -----
func.func @fewer_results(%x: tensor<4x32xbf16>) -> tensor<4x32xbf16> {
  %0 = "sdy.manual_computation"(%x) ({
  ^bb0(%a: tensor<4x32xbf16>):
    "sdy.return"() : () -> ()
  }) : (tensor<4x32xbf16>) -> tensor<4x32xbf16>
  // expected-error@+1 {{result 0 is none of the manual computation's}}
  return %0 : tensor<4x32xbf16>
}

// -----
// A name of libfiar's is not the block's.
// CHECK-LABEL: llvm.func @block(
// CHECK: llvm.call @fiar_rt_copy
func.func @fiar_rt_copy(%x: tensor<4x32xbf16>) -> tensor<4x32xf32> {
  %0 = "fiar.copy"(%x) {transposed = false} : (tensor<4x32xbf16>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}
