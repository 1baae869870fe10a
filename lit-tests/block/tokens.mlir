// The number of rows as a parameter: max-tokens. What the rows are is found from the ops that read them.
// RUN: fiar-opt %s --pass-pipeline='builtin.module(fiar-lower-to-block{max-tokens=100})' -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: llvm.func @rows(%arg0: i64, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr, %arg4: !llvm.ptr,
// CHECK:         llvm.mul %arg0,
// CHECK:         llvm.call @fiar_rt_matmul
// 33 MiB and 100 x 16 f32
// CHECK-LABEL: llvm.func @rows_arena_bytes
// CHECK-NEXT:    llvm.mlir.constant(34609408 : i64)
func.func @rows(%x: tensor<4x32xbf16>, %a: tensor<32x16xbf16>) -> tensor<4x16xbf16> {
  %0 = "fiar.matmul"(%x, %a) {a_scale_is = "divisor", a_scaling = "none", b_scale_is = "divisor", b_scaling = "none", b_transposed = false, block_scale_layout = "linear", block_scale_type = "f32", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0>} : (tensor<4x32xbf16>, tensor<32x16xbf16>) -> tensor<4x16xbf16>
  return %0 : tensor<4x16xbf16>
}

// -----
// The rows of one product are the weight of another.
func.func @both(%x: tensor<4x4xbf16>) -> tensor<4x4xbf16> {
  %0 = "fiar.copy"(%x) {transposed = false} : (tensor<4x4xbf16>) -> tensor<4x4xf32>
  %1 = "fiar.copy"(%0) {transposed = false} : (tensor<4x4xf32>) -> tensor<4x4xbf16>
  // expected-error@+1 {{an operand that is the same for all rows depends on the tokens}}
  %2 = "fiar.matmul"(%1, %1) {a_scale_is = "divisor", a_scaling = "none", b_scale_is = "divisor", b_scaling = "none", b_transposed = false, block_scale_layout = "linear", block_scale_type = "f32", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0>} : (tensor<4x4xbf16>, tensor<4x4xbf16>) -> tensor<4x4xbf16>
  return %2 : tensor<4x4xbf16>
}

// -----
// With one row, nothing tells rows from values that all rows share.
func.func @one(%x: tensor<1x32xbf16>) -> tensor<1x32xf32> {
  // expected-error@+1 {{tokens cannot vary here}}
  %0 = "fiar.copy"(%x) {transposed = false} : (tensor<1x32xbf16>) -> tensor<1x32xf32>
  return %0 : tensor<1x32xf32>
}

// -----
func.func @transposed(%x: tensor<4x32xbf16>) -> tensor<32x4xbf16> {
  // expected-error@+1 {{tokens cannot vary here}}
  %0 = "fiar.copy"(%x) {transposed = true} : (tensor<4x32xbf16>) -> tensor<32x4xbf16>
  return %0 : tensor<32x4xbf16>
}

// -----
// The other way round: what all rows share turns out to be rows.
func.func @rows_later(%x: tensor<4x4xbf16>, %w: tensor<4x4xbf16>) -> tensor<4x4xf32> {
  // expected-error@+1 {{an operand that is the same for all rows depends on the tokens}}
  %0 = "fiar.matmul"(%x, %w) {a_scale_is = "divisor", a_scaling = "none", b_scale_is = "divisor", b_scaling = "none", b_transposed = false, block_scale_layout = "linear", block_scale_type = "f32", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0>} : (tensor<4x4xbf16>, tensor<4x4xbf16>) -> tensor<4x4xbf16>
  %1 = "fiar.copy"(%w) {transposed = false} : (tensor<4x4xbf16>) -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// -----
// expected-error@+1 {{the first dimension of result 0 is not them}}
func.func @flattened(%x: tensor<4x32xbf16>) -> tensor<128xf32> {
  %0 = "fiar.copy"(%x) {transposed = false} : (tensor<4x32xbf16>) -> tensor<4x32xf32>
  %1 = stablehlo.reshape %0 : (tensor<4x32xf32>) -> tensor<128xf32>
  return %1 : tensor<128xf32>
}
