// What fiar-raise-block makes of one form, beside the nearest form that it leaves.
// RUN: fiar-opt %s --fiar-raise-block -split-input-file 2>/dev/null | FileCheck %s
// RUN: fiar-opt %s --fiar-raise-block -split-input-file 2>/dev/null | fiar-opt --fiar-raise-block -split-input-file 2>/dev/null | FileCheck %s
// RUN: fiar-opt %s --pass-pipeline='builtin.module(fiar-raise-block{report=text})' -split-input-file -o /dev/null 2>&1 | FileCheck %s --check-prefix=REPORT

// The scales, the bias and the rounding belong to the product.
// CHECK-LABEL: @scaled
// CHECK-NEXT:    %[[M:.*]] = "fiar.matmul"(%arg0, %arg1, %arg2, %arg3, %arg4) {{.*}}b_transposed = false{{.*}}operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0>{{.*}} -> tensor<4x16xbf16>
// CHECK-NEXT:    return %[[M]]
// REPORT: fiar-raise-block: 1 fiar ops (matmul 1), 0 ops left
func.func @scaled(%a: tensor<4x32xf8E4M3FN>, %b: tensor<32x16xf8E4M3FN>, %bias: tensor<16xbf16>, %x: tensor<f32>, %w: tensor<f32>) -> tensor<4x16xbf16> {
  %0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<4x32xf8E4M3FN>, tensor<32x16xf8E4M3FN>) -> tensor<4x16xf32>
  %1 = stablehlo.multiply %x, %w : tensor<f32>
  %2 = stablehlo.broadcast_in_dim %1, dims = [] : (tensor<f32>) -> tensor<4x16xf32>
  %3 = stablehlo.multiply %0, %2 : tensor<4x16xf32>
  %4 = stablehlo.convert %bias : (tensor<16xbf16>) -> tensor<16xf32>
  %5 = stablehlo.broadcast_in_dim %4, dims = [1] : (tensor<16xf32>) -> tensor<4x16xf32>
  %6 = stablehlo.add %3, %5 : tensor<4x16xf32>
  %7 = stablehlo.convert %6 : (tensor<4x16xf32>) -> tensor<4x16xbf16>
  return %7 : tensor<4x16xbf16>
}

// -----
// A product that is rounded before its scale is another one: the scale stays outside.
// CHECK-LABEL: @rounded_first
// CHECK:         "fiar.matmul"(%arg0, %arg1) {{.*}} -> tensor<4x16xbf16>
// CHECK:         stablehlo.multiply
// REPORT: fiar-raise-block: 1 fiar ops (matmul 1), 2 ops left
// REPORT: left  stablehlo.broadcast_in_dim
// REPORT: left  stablehlo.multiply: a product, elementwise
func.func @rounded_first(%a: tensor<4x32xbf16>, %b: tensor<32x16xbf16>, %x: tensor<bf16>) -> tensor<4x16xbf16> {
  %0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<4x32xbf16>, tensor<32x16xbf16>) -> tensor<4x16xbf16>
  %1 = stablehlo.broadcast_in_dim %x, dims = [] : (tensor<bf16>) -> tensor<4x16xbf16>
  %2 = stablehlo.multiply %0, %1 : tensor<4x16xbf16>
  return %2 : tensor<4x16xbf16>
}

// -----
// One scale a row, and one a column.
// CHECK-LABEL: @vectors
// CHECK:         "fiar.matmul"(%arg0, %arg1, %arg2, %arg3) {{.*}}a_scaling = "vector"{{.*}}b_scaling = "vector"{{.*}}operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1, 1>
// REPORT: fiar-raise-block: 1 fiar ops (matmul 1), 0 ops left
func.func @vectors(%a: tensor<4x32xf8E4M3FN>, %b: tensor<16x32xf8E4M3FN>, %r: tensor<4x1xf32>, %c: tensor<16xf32>) -> tensor<4x16xf32> {
  %0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [1] : (tensor<4x32xf8E4M3FN>, tensor<16x32xf8E4M3FN>) -> tensor<4x16xf32>
  %1 = stablehlo.broadcast_in_dim %r, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x16xf32>
  %2 = stablehlo.broadcast_in_dim %c, dims = [1] : (tensor<16xf32>) -> tensor<4x16xf32>
  %3 = stablehlo.multiply %1, %2 : tensor<4x16xf32>
  %4 = stablehlo.multiply %0, %3 : tensor<4x16xf32>
  return %4 : tensor<4x16xf32>
}

// -----
// Of a square product the rows' scale is not the columns'.
// CHECK-LABEL: @square_rows
// CHECK:         "fiar.matmul"(%arg0, %arg1, %arg2) {{.*}}a_scaling = "vector"{{.*}}b_scaling = "none"
// CHECK-LABEL: @square_columns
// CHECK:         "fiar.matmul"(%arg0, %arg1, %arg2) {{.*}}a_scaling = "none"{{.*}}b_scaling = "vector"
func.func @square_rows(%a: tensor<8x8xbf16>, %b: tensor<8x8xbf16>, %s: tensor<8xf32>) -> tensor<8x8xf32> {
  %0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<8x8xbf16>, tensor<8x8xbf16>) -> tensor<8x8xf32>
  %1 = stablehlo.broadcast_in_dim %s, dims = [0] : (tensor<8xf32>) -> tensor<8x8xf32>
  %2 = stablehlo.multiply %0, %1 : tensor<8x8xf32>
  return %2 : tensor<8x8xf32>
}
func.func @square_columns(%a: tensor<8x8xbf16>, %b: tensor<8x8xbf16>, %s: tensor<8xf32>) -> tensor<8x8xf32> {
  %0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<8x8xbf16>, tensor<8x8xbf16>) -> tensor<8x8xf32>
  %1 = stablehlo.broadcast_in_dim %s, dims = [1] : (tensor<8xf32>) -> tensor<8x8xf32>
  %2 = stablehlo.multiply %0, %1 : tensor<8x8xf32>
  return %2 : tensor<8x8xf32>
}

// -----
// A product that others read before its scale keeps its own result.
// CHECK-LABEL: @two_uses
// CHECK:         %[[M:.*]] = "fiar.matmul"(%arg0, %arg1)
// CHECK:         "stablehlo.multiply"(%[[M]]
func.func @two_uses(%a: tensor<4x32xbf16>, %b: tensor<32x16xbf16>, %x: tensor<f32>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  %0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<4x32xbf16>, tensor<32x16xbf16>) -> tensor<4x16xf32>
  %1 = stablehlo.broadcast_in_dim %x, dims = [] : (tensor<f32>) -> tensor<4x16xf32>
  %2 = stablehlo.multiply %0, %1 : tensor<4x16xf32>
  return %0, %2 : tensor<4x16xf32>, tensor<4x16xf32>
}

// -----
// A weight that is transposed on its way is read as it lies; a residual is no bias.
// CHECK-LABEL: @transposed
// CHECK-NEXT:    %[[M:.*]] = "fiar.matmul"(%arg0, %arg1) {{.*}}b_transposed = true
// CHECK-NEXT:    "fiar.activate"(%[[M]], %arg2) {activation = "none", combine = "add"
func.func @transposed(%a: tensor<4x32xbf16>, %b: tensor<16x32xbf16>, %r: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = stablehlo.transpose %b, dims = [1, 0] : (tensor<16x32xbf16>) -> tensor<32x16xbf16>
  %1 = stablehlo.dot_general %a, %0, contracting_dims = [1] x [0] : (tensor<4x32xbf16>, tensor<32x16xbf16>) -> tensor<4x16xf32>
  %2 = stablehlo.add %1, %r : tensor<4x16xf32>
  return %2 : tensor<4x16xf32>
}

// -----
// Of square matrices the sizes do not say which way they lie, nor a vector which way it goes: a bias is one over the columns.
// CHECK-LABEL: @square_transposed
// CHECK-NEXT:    "fiar.matmul"(%arg0, %arg1) {{.*}}b_transposed = true
// CHECK-LABEL: @square_bias
// CHECK:         "fiar.matmul"(%arg0, %arg1, %arg2) {{.*}}operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>
// CHECK-LABEL: @square_no_bias
// CHECK:         "fiar.matmul"(%arg0, %arg1) {{.*}}operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0>
func.func @square_transposed(%a: tensor<4x16xbf16>, %b: tensor<16x16xbf16>) -> tensor<4x16xf32> {
  %0 = stablehlo.transpose %b, dims = [1, 0] : (tensor<16x16xbf16>) -> tensor<16x16xbf16>
  %1 = stablehlo.dot_general %a, %0, contracting_dims = [1] x [0] : (tensor<4x16xbf16>, tensor<16x16xbf16>) -> tensor<4x16xf32>
  return %1 : tensor<4x16xf32>
}
func.func @square_bias(%a: tensor<8x16xbf16>, %b: tensor<16x8xbf16>, %v: tensor<8xf32>) -> tensor<8x8xf32> {
  %0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<8x16xbf16>, tensor<16x8xbf16>) -> tensor<8x8xf32>
  %1 = stablehlo.broadcast_in_dim %v, dims = [1] : (tensor<8xf32>) -> tensor<8x8xf32>
  %2 = stablehlo.add %0, %1 : tensor<8x8xf32>
  return %2 : tensor<8x8xf32>
}
func.func @square_no_bias(%a: tensor<8x16xbf16>, %b: tensor<16x8xbf16>, %v: tensor<8xf32>) -> tensor<8x8xf32> {
  %0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<8x16xbf16>, tensor<16x8xbf16>) -> tensor<8x8xf32>
  %1 = stablehlo.broadcast_in_dim %v, dims = [0] : (tensor<8xf32>) -> tensor<8x8xf32>
  %2 = stablehlo.add %0, %1 : tensor<8x8xf32>
  return %2 : tensor<8x8xf32>
}

// -----
// Products that no call computes, each with its reason.
// REPORT: left  stablehlo.dot_general: a product with batching dimensions
// REPORT: left  stablehlo.dot_general: only products of the left operand's last dimension
// REPORT: left  stablehlo.dot_general: a product of bf16 and f32
// CHECK-LABEL: @products_left
// CHECK-COUNT-3: stablehlo.dot_general
// CHECK-NOT:     fiar.matmul
func.func @products_left(%a: tensor<2x4x8xbf16>, %b: tensor<2x8x4xbf16>, %c: tensor<8x4xbf16>, %d: tensor<8x4xf32>) -> (tensor<2x4x4xbf16>, tensor<4x4xbf16>, tensor<4x4xf32>) {
  %0 = stablehlo.dot_general %a, %b, batching_dims = [0] x [0], contracting_dims = [2] x [1] : (tensor<2x4x8xbf16>, tensor<2x8x4xbf16>) -> tensor<2x4x4xbf16>
  %1 = stablehlo.dot_general %c, %c, contracting_dims = [0] x [0] : (tensor<8x4xbf16>, tensor<8x4xbf16>) -> tensor<4x4xbf16>
  %2 = stablehlo.reshape %c : (tensor<8x4xbf16>) -> tensor<4x8xbf16>
  %3 = stablehlo.dot_general %2, %d, contracting_dims = [1] x [0] : (tensor<4x8xbf16>, tensor<8x4xf32>) -> tensor<4x4xf32>
  return %0, %1, %3 : tensor<2x4x4xbf16>, tensor<4x4xbf16>, tensor<4x4xf32>
}

// -----
// silu, where it is rounded: not before the end, at silu, after each step.
// CHECK-LABEL: @silu_f32
// CHECK-NEXT:    "fiar.activate"(%arg0, %arg1) {{.*}}rounding = "none"{{.*}} (tensor<4x16xbf16>, tensor<4x16xbf16>) -> tensor<4x16xbf16>
func.func @silu_f32(%g: tensor<4x16xbf16>, %u: tensor<4x16xbf16>) -> tensor<4x16xbf16> {
  %0 = stablehlo.convert %g : (tensor<4x16xbf16>) -> tensor<4x16xf32>
  %1 = stablehlo.convert %u : (tensor<4x16xbf16>) -> tensor<4x16xf32>
  %2 = stablehlo.logistic %0 : tensor<4x16xf32>
  %3 = stablehlo.multiply %2, %0 : tensor<4x16xf32>
  %4 = stablehlo.multiply %1, %3 : tensor<4x16xf32>
  %5 = stablehlo.convert %4 : (tensor<4x16xf32>) -> tensor<4x16xbf16>
  return %5 : tensor<4x16xbf16>
}
// CHECK-LABEL: @silu_rounded
// CHECK-NEXT:    "fiar.activate"(%arg0, %arg1) {{.*}}rounding = "act"{{.*}} (tensor<4x16xbf16>, tensor<4x16xbf16>) -> tensor<4x16xbf16>
func.func @silu_rounded(%g: tensor<4x16xbf16>, %u: tensor<4x16xbf16>) -> tensor<4x16xbf16> {
  %0 = stablehlo.convert %g : (tensor<4x16xbf16>) -> tensor<4x16xf32>
  %1 = stablehlo.logistic %0 : tensor<4x16xf32>
  %2 = stablehlo.multiply %0, %1 : tensor<4x16xf32>
  %3 = stablehlo.convert %2 : (tensor<4x16xf32>) -> tensor<4x16xbf16>
  %4 = stablehlo.multiply %3, %u : tensor<4x16xbf16>
  return %4 : tensor<4x16xbf16>
}
// CHECK-LABEL: @silu_each
// CHECK-NEXT:    "fiar.activate"(%arg0, %arg1) {{.*}}rounding = "each"
func.func @silu_each(%g: tensor<4x16xbf16>, %u: tensor<4x16xbf16>) -> tensor<4x16xbf16> {
  %0 = func.call @silu(%g) : (tensor<4x16xbf16>) -> tensor<4x16xbf16>
  %1 = stablehlo.multiply %0, %u : tensor<4x16xbf16>
  return %1 : tensor<4x16xbf16>
}
// CHECK-NOT: @silu
func.func private @silu(%x: tensor<4x16xbf16>) -> tensor<4x16xbf16> {
  %0 = stablehlo.negate %x : tensor<4x16xbf16>
  %1 = stablehlo.exponential %0 : tensor<4x16xbf16>
  %one = stablehlo.constant dense<1.0> : tensor<bf16>
  %2 = stablehlo.broadcast_in_dim %one, dims = [] : (tensor<bf16>) -> tensor<4x16xbf16>
  %3 = stablehlo.add %1, %2 : tensor<4x16xbf16>
  %4 = stablehlo.divide %2, %3 : tensor<4x16xbf16>
  %5 = stablehlo.multiply %4, %x : tensor<4x16xbf16>
  return %5 : tensor<4x16xbf16>
}

// -----
// Near misses: 2 for 1, exp(x) for exp(-x), the sigmoid of another value, a logistic rounded in bf16.
// CHECK-LABEL: @no_silu
// CHECK-NOT:     activation = "silu"
// REPORT: left  stablehlo.multiply: logistic in bf16: its roundings are not those of any silu here
func.func @no_silu(%g: tensor<4x16xf32>, %u: tensor<4x16xf32>, %h: tensor<4x16xbf16>) -> (tensor<4x16xf32>, tensor<4x16xf32>, tensor<4x16xf32>, tensor<4x16xbf16>) {
  %one = stablehlo.constant dense<1.0> : tensor<4x16xf32>
  %two = stablehlo.constant dense<2.0> : tensor<4x16xf32>
  %n = stablehlo.negate %g : tensor<4x16xf32>
  %e = stablehlo.exponential %n : tensor<4x16xf32>
  %a = stablehlo.add %e, %two : tensor<4x16xf32>
  %b = stablehlo.divide %one, %a : tensor<4x16xf32>
  %c = stablehlo.multiply %g, %b : tensor<4x16xf32>
  %r0 = stablehlo.multiply %c, %u : tensor<4x16xf32>
  %f = stablehlo.exponential %g : tensor<4x16xf32>
  %i = stablehlo.add %f, %one : tensor<4x16xf32>
  %j = stablehlo.divide %one, %i : tensor<4x16xf32>
  %k = stablehlo.multiply %g, %j : tensor<4x16xf32>
  %r1 = stablehlo.multiply %k, %u : tensor<4x16xf32>
  %s = stablehlo.logistic %u : tensor<4x16xf32>
  %t = stablehlo.multiply %s, %g : tensor<4x16xf32>
  %v = stablehlo.add %u, %u : tensor<4x16xf32>
  %r2 = stablehlo.multiply %t, %v : tensor<4x16xf32>
  %w = stablehlo.logistic %h : tensor<4x16xbf16>
  %x = stablehlo.multiply %w, %h : tensor<4x16xbf16>
  %r3 = stablehlo.multiply %x, %h : tensor<4x16xbf16>
  return %r0, %r1, %r2, %r3 : tensor<4x16xf32>, tensor<4x16xf32>, tensor<4x16xf32>, tensor<4x16xbf16>
}

// -----
// linalg on zeros, its operands widened: the product of what they widen.
// CHECK-LABEL: @linalg
// CHECK-NEXT:    %[[M:.*]] = "fiar.matmul"(%arg0, %arg1) {{.*}}(tensor<4x32xbf16>, tensor<32x16xbf16>) -> tensor<4x16xbf16>
// CHECK-NEXT:    return %[[M]]
func.func @linalg(%a: tensor<4x32xbf16>, %b: tensor<32x16xbf16>) -> tensor<4x16xbf16> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4x16xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x16xf32>) -> tensor<4x16xf32>
  %0 = arith.extf %a : tensor<4x32xbf16> to tensor<4x32xf32>
  %1 = arith.extf %b : tensor<32x16xbf16> to tensor<32x16xf32>
  %2 = linalg.matmul ins(%0, %1 : tensor<4x32xf32>, tensor<32x16xf32>) outs(%zeros : tensor<4x16xf32>) -> tensor<4x16xf32>
  %3 = arith.truncf %2 : tensor<4x16xf32> to tensor<4x16xbf16>
  return %3 : tensor<4x16xbf16>
}
// A product added to something is none on zeros.
// CHECK-LABEL: @linalg_accumulates
// CHECK:         linalg.matmul
func.func @linalg_accumulates(%a: tensor<4x32xf32>, %b: tensor<32x16xf32>, %c: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = linalg.matmul ins(%a, %b : tensor<4x32xf32>, tensor<32x16xf32>) outs(%c : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----
// A private function that is not called from a public one is not looked into; nor is a public one's loop.
// CHECK-LABEL: @private
// CHECK:         stablehlo.dot_general
func.func private @private(%a: tensor<4x32xbf16>, %b: tensor<32x16xbf16>) -> tensor<4x16xbf16> {
  %0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<4x32xbf16>, tensor<32x16xbf16>) -> tensor<4x16xbf16>
  return %0 : tensor<4x16xbf16>
}

// -----
// An all-reduce that one op starts and another waits for is of the start's operand.
// CHECK-LABEL: @async
// CHECK-NEXT:    %[[S:.*]] = "fiar.all_reduce"(%arg0)
// CHECK-NEXT:    return %[[S]]
// REPORT: fiar-raise-block: 1 fiar ops (all_reduce 1), 0 ops left
func.func @async(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %future = "stablehlo.async_start"(%x) ({
  ^bb0(%in: tensor<4x64xbf16>):
    %s = "stablehlo.all_reduce"(%in) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %0 = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %0 : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    stablehlo.return %s : tensor<4x64xbf16>
  }) : (tensor<4x64xbf16>) -> !stablehlo.future<tensor<4x64xbf16>>
  %sum = "stablehlo.async_done"(%future) : (!stablehlo.future<tensor<4x64xbf16>>) -> tensor<4x64xbf16>
  return %sum : tensor<4x64xbf16>
}

// -----
// A function that ends in an op with a result has no terminator, and a fiar op would be none.
// CHECK-LABEL: @no_return
// CHECK-NEXT:    stablehlo.convert
func.func @no_return(%a: tensor<4x32xbf16>) {
  %0 = stablehlo.convert %a : (tensor<4x32xbf16>) -> tensor<4x32xf32>
}

// -----
// The weight belongs to the norm, though what is normalised is a sum of what was converted.
// CHECK-LABEL: @sum_of_f32
// CHECK:       %[[B:.*]] = "fiar.copy"(%arg0)
// CHECK-NEXT:  %[[N:.*]]:2 = "fiar.rms_norm"(%arg1, %[[B]], %arg2)
// CHECK-NEXT:  return %[[N]]#0, %[[N]]#1
func.func @sum_of_f32(%y: tensor<4x64xf32>, %r: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>) {
  %zero = stablehlo.constant dense<0.0> : tensor<f32>
  %count = stablehlo.constant dense<64.0> : tensor<4x1xf32>
  %eps = stablehlo.constant dense<1.0e-6> : tensor<4x1xf32>
  %b = stablehlo.convert %y : (tensor<4x64xf32>) -> tensor<4x64xbf16>
  %h = stablehlo.add %r, %b : tensor<4x64xbf16>
  %f = stablehlo.convert %h : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %s = stablehlo.multiply %f, %f : tensor<4x64xf32>
  %t = stablehlo.reduce(%s init: %zero) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
  %k = stablehlo.reshape %t : (tensor<4xf32>) -> tensor<4x1xf32>
  %m = stablehlo.divide %k, %count : tensor<4x1xf32>
  %e = stablehlo.add %m, %eps : tensor<4x1xf32>
  %i = stablehlo.rsqrt %e : tensor<4x1xf32>
  %j = stablehlo.broadcast_in_dim %i, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x64xf32>
  %n = stablehlo.multiply %f, %j : tensor<4x64xf32>
  %q = stablehlo.convert %n : (tensor<4x64xf32>) -> tensor<4x64xbf16>
  %v = stablehlo.broadcast_in_dim %w, dims = [1] : (tensor<64xbf16>) -> tensor<4x64xbf16>
  %o = stablehlo.multiply %q, %v : tensor<4x64xbf16>
  return %h, %o : tensor<4x64xbf16>, tensor<4x64xbf16>
}

// -----

// Foreign ops are not verified: a product with one operand is none.
// CHECK-LABEL: @one_operand
// CHECK-NEXT:    "stablehlo.dot_general"(%arg0)
func.func @one_operand(%a: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %0 = "stablehlo.dot_general"(%a) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>}> : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %0 : tensor<4x64xbf16>
}

// -----

// So is one with an algorithm, which rounds its operands.
// CHECK-LABEL: @algorithm
// CHECK-NEXT:    stablehlo.dot_general
func.func @algorithm(%a: tensor<4x64xf32>, %b: tensor<64x64xf32>) -> tensor<4x64xf32> {
  %0 = "stablehlo.dot_general"(%a, %b) <{algorithm = #stablehlo.dot_algorithm<lhs_precision_type = bf16, rhs_precision_type = bf16, accumulation_type = f32, lhs_component_count = 1, rhs_component_count = 1, num_primitive_operations = 1, allow_imprecise_accumulation = false>, dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>}> : (tensor<4x64xf32>, tensor<64x64xf32>) -> tensor<4x64xf32>
  return %0 : tensor<4x64xf32>
}
