// Scales of block-scaled products, as the runtime calls of a block: linear in the IR, swizzled_128x4 where they are multiplied.
// RUN: fiar-opt %s --fiar-lower-to-block -split-input-file -verify-diagnostics | FileCheck %s
// RUN: not fiar-opt %s --pass-pipeline='builtin.module(fiar-lower-to-block{max-tokens=130})' -split-input-file 2>/dev/null | FileCheck %s --check-prefix=TOKENS

// By the quantiser (the third byte of the last word in its params, as in the product's, is the layout), and in the packed weights: 160 rows of 4 are two tiles of 512 bytes.
// CHECK-LABEL: llvm.func @quantised(
// CHECK:         llvm.call @fiar_rt_block_start
// CHECK:         llvm.mlir.constant(16843778 : i64)
// CHECK:         llvm.call @fiar_rt_quantize
// CHECK-NOT:     llvm.call @fiar_rt_copy
// CHECK:         llvm.mlir.constant(65794 : i64)
// CHECK:         llvm.call @fiar_rt_matmul
// CHECK-LABEL: llvm.func @quantised_pack(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr)
// CHECK:         llvm.call @fiar_rt_copy
// CHECK-NOT:     llvm.call
// CHECK-LABEL: llvm.func @quantised_packed_bytes
// CHECK-NEXT:    llvm.mlir.constant(1024 : i64)
// 33 MiB and 130 x 160 f32, then 130 rows of codes (4160 bytes) and two tiles of 512 bytes of scales, in steps of 256
// TOKENS-LABEL: llvm.func @quantised_arena_bytes
// TOKENS-NEXT:   llvm.mlir.constant(34691584 : i64)
func.func @quantised(%x: tensor<4x64xbf16>, %w: tensor<160x64xf4E2M1FN>, %ws: tensor<160x4xf8E4M3FN>) -> tensor<4x160xf32> {
  %q:2 = "fiar.quantize"(%x) {group_size = 16 : i64, operandSegmentSizes = array<i32: 1, 0>, quant = "nvfp4", resultSegmentSizes = array<i32: 1, 1>, scale_is = "divisor", scale_layout = "linear", scale_min = 0.0 : f32, scale_type = "e4m3"} : (tensor<4x64xbf16>) -> (tensor<4x64xf4E2M1FN>, tensor<4x4xf8E4M3FN>)
  %0 = "fiar.matmul"(%q#0, %w, %q#1, %ws) {a_scale_is = "divisor", a_scaling = "block", b_scale_is = "divisor", b_scaling = "block", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 1>} : (tensor<4x64xf4E2M1FN>, tensor<160x64xf4E2M1FN>, tensor<4x4xf8E4M3FN>, tensor<160x4xf8E4M3FN>) -> tensor<4x160xf32>
  return %0 : tensor<4x160xf32>
}

// -----
// The quantiser's scales are a result, too, and so stay linear; a copy has the others, once for both products.
// CHECK-LABEL: llvm.func @both(
// CHECK:         llvm.call @fiar_rt_quantize
// CHECK:         llvm.call @fiar_rt_copy
// CHECK-NEXT:    llvm.icmp
// CHECK:         llvm.call @fiar_rt_matmul
// CHECK-NOT:     llvm.call @fiar_rt_copy
// CHECK:         llvm.call @fiar_rt_matmul
// CHECK-NOT:     llvm.call
// CHECK-LABEL: llvm.func @both_arena_bytes
func.func @both(%x: tensor<4x64xbf16>, %w: tensor<160x64xf4E2M1FN>, %ws: tensor<160x4xf8E4M3FN>) -> (tensor<4x160xf32>, tensor<4x160xf32>, tensor<4x4xf8E4M3FN>) {
  %q:2 = "fiar.quantize"(%x) {group_size = 16 : i64, operandSegmentSizes = array<i32: 1, 0>, quant = "nvfp4", resultSegmentSizes = array<i32: 1, 1>, scale_is = "divisor", scale_layout = "linear", scale_min = 0.0 : f32, scale_type = "e4m3"} : (tensor<4x64xbf16>) -> (tensor<4x64xf4E2M1FN>, tensor<4x4xf8E4M3FN>)
  %0 = "fiar.matmul"(%q#0, %w, %q#1, %ws) {a_scale_is = "divisor", a_scaling = "block", b_scale_is = "divisor", b_scaling = "block", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 1>} : (tensor<4x64xf4E2M1FN>, tensor<160x64xf4E2M1FN>, tensor<4x4xf8E4M3FN>, tensor<160x4xf8E4M3FN>) -> tensor<4x160xf32>
  %1 = "fiar.matmul"(%q#0, %w, %q#1, %ws) {a_scale_is = "divisor", a_scaling = "block", b_scale_is = "divisor", b_scaling = "block", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 1>} : (tensor<4x64xf4E2M1FN>, tensor<160x64xf4E2M1FN>, tensor<4x4xf8E4M3FN>, tensor<160x4xf8E4M3FN>) -> tensor<4x160xf32>
  return %0, %1, %q#1 : tensor<4x160xf32>, tensor<4x160xf32>, tensor<4x4xf8E4M3FN>
}

// -----
// A caller's scales, beside a weight whose scales lie the other way round: transposed when they are packed.
// CHECK-LABEL: llvm.func @given(
// CHECK:         llvm.call @fiar_rt_copy
// CHECK-NOT:     llvm.call @fiar_rt_copy
// CHECK:         llvm.call @fiar_rt_matmul
// CHECK-LABEL: llvm.func @given_pack(
// CHECK:         llvm.call @fiar_rt_copy
// CHECK-LABEL: llvm.func @given_packed_bytes
// CHECK-NEXT:    llvm.mlir.constant(1024 : i64)
// The transpose of a weight's scales is no op of the step, whose rows would have to be tokens.
// TOKENS-LABEL: llvm.func @given(%arg0: i64,
// TOKENS-LABEL: llvm.func @given_arena_bytes
// TOKENS-NEXT:   llvm.mlir.constant(34687232 : i64)
func.func @given(%x: tensor<4x64xf4E2M1FN>, %xs: tensor<4x4xf8E4M3FN>, %w: tensor<160x64xf4E2M1FN>, %ws: tensor<4x160xf8E4M3FN>) -> tensor<4x160xf32> {
  %t = "fiar.copy"(%ws) {transposed = true} : (tensor<4x160xf8E4M3FN>) -> tensor<160x4xf8E4M3FN>
  %0 = "fiar.matmul"(%x, %w, %xs, %t) {a_scale_is = "divisor", a_scaling = "block", b_scale_is = "divisor", b_scaling = "block", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 1>} : (tensor<4x64xf4E2M1FN>, tensor<160x64xf4E2M1FN>, tensor<4x4xf8E4M3FN>, tensor<160x4xf8E4M3FN>) -> tensor<4x160xf32>
  return %0 : tensor<4x160xf32>
}

// -----
// What else reads a weight's scales has them as they are: they are no part of the packed weights.
// CHECK-LABEL: llvm.func @shared(
// CHECK-COUNT-3: llvm.call @fiar_rt_copy
// CHECK:         llvm.call @fiar_rt_matmul
// CHECK-NOT:   @shared_pack
func.func @shared(%x: tensor<4x64xf4E2M1FN>, %xs: tensor<4x4xf8E4M3FN>, %w: tensor<160x64xf4E2M1FN>, %ws: tensor<160x4xf8E4M3FN>) -> (tensor<4x160xf32>, tensor<160x4xf32>) {
  %f = "fiar.copy"(%ws) {transposed = false} : (tensor<160x4xf8E4M3FN>) -> tensor<160x4xf32>
  %0 = "fiar.matmul"(%x, %w, %xs, %ws) {a_scale_is = "divisor", a_scaling = "block", b_scale_is = "divisor", b_scaling = "block", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 1>} : (tensor<4x64xf4E2M1FN>, tensor<160x64xf4E2M1FN>, tensor<4x4xf8E4M3FN>, tensor<160x4xf8E4M3FN>) -> tensor<4x160xf32>
  return %0, %f : tensor<4x160xf32>, tensor<160x4xf32>
}

// -----
// By the norms that quantise: the fused call, and one rank's.
// CHECK-LABEL: llvm.func @norms(
// CHECK:         llvm.call @fiar_rt_all_reduce_norm
// CHECK-NOT:     llvm.call @fiar_rt_copy
// CHECK:         llvm.call @fiar_rt_matmul
// CHECK-NOT:     llvm.call @fiar_rt_copy
// CHECK:         llvm.call @fiar_rt_rms_norm
// CHECK-NOT:     llvm.call @fiar_rt_copy
// CHECK:         llvm.call @fiar_rt_matmul
// CHECK-LABEL: llvm.func @norms_arena_bytes
func.func @norms(%x: tensor<4x64xbf16>, %g: tensor<64xbf16>, %w: tensor<160x64xf4E2M1FN>, %ws: tensor<160x4xf8E4M3FN>, %v: tensor<160x64xf4E2M1FN>, %vs: tensor<160x4xf8E4M3FN>) -> (tensor<4x160xf32>, tensor<4x160xf32>) {
  %q:2 = "fiar.all_reduce_norm"(%x, %g) {eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "nvfp4", scale_layout = "linear", group_size = 16 : i64, scale_is = "divisor", norm_input = "rounded", scale_type = "e4m3", norm_rounding = "after_weight", world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>, residual_layout = "full", group_mode = "cross_replica", operandSegmentSizes = array<i32: 1, 0, 1, 0>, resultSegmentSizes = array<i32: 0, 0, 0, 1, 1>} : (tensor<4x64xbf16>, tensor<64xbf16>) -> (tensor<4x64xf4E2M1FN>, tensor<4x4xf8E4M3FN>)
  %0 = "fiar.matmul"(%q#0, %w, %q#1, %ws) {a_scale_is = "divisor", a_scaling = "block", b_scale_is = "divisor", b_scaling = "block", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 1>} : (tensor<4x64xf4E2M1FN>, tensor<160x64xf4E2M1FN>, tensor<4x4xf8E4M3FN>, tensor<160x4xf8E4M3FN>) -> tensor<4x160xf32>
  %r:2 = "fiar.rms_norm"(%x, %g) {eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "nvfp4", scale_layout = "linear", group_size = 16 : i64, scale_is = "divisor", norm_input = "rounded", scale_type = "e4m3", norm_rounding = "after_weight", operandSegmentSizes = array<i32: 1, 0, 1, 0>, resultSegmentSizes = array<i32: 0, 0, 1, 1>} : (tensor<4x64xbf16>, tensor<64xbf16>) -> (tensor<4x64xf4E2M1FN>, tensor<4x4xf8E4M3FN>)
  %1 = "fiar.matmul"(%r#0, %v, %r#1, %vs) {a_scale_is = "divisor", a_scaling = "block", b_scale_is = "divisor", b_scaling = "block", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 1>} : (tensor<4x64xf4E2M1FN>, tensor<160x64xf4E2M1FN>, tensor<4x4xf8E4M3FN>, tensor<160x4xf8E4M3FN>) -> tensor<4x160xf32>
  return %0, %1 : tensor<4x160xf32>, tensor<4x160xf32>
}

// -----
func.func @few(%x: tensor<4x64xf4E2M1FN>, %xs: tensor<4x2xf8E4M3FN>, %w: tensor<160x64xf4E2M1FN>, %ws: tensor<160x4xf8E4M3FN>) -> tensor<4x160xf32> {
  // expected-error@+1 {{a_scales has 8 scales of a byte, not 16}}
  %0 = "fiar.matmul"(%x, %w, %xs, %ws) {a_scale_is = "divisor", a_scaling = "block", b_scale_is = "divisor", b_scaling = "block", b_transposed = true, block_scale_layout = "linear", block_scale_type = "e4m3", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 1>} : (tensor<4x64xf4E2M1FN>, tensor<160x64xf4E2M1FN>, tensor<4x2xf8E4M3FN>, tensor<160x4xf8E4M3FN>) -> tensor<4x160xf32>
  return %0 : tensor<4x160xf32>
}
