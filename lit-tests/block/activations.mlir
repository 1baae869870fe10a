// gelu in both forms, with and without a product, by where it is rounded; sums; and near misses, which stay.
// RUN: fiar-opt %s --pass-pipeline='builtin.module(fiar-check{rewrite=fuse-and-raise seeds=3},fiar-raise-block)' -split-input-file 2>/dev/null | FileCheck %s

// As JAX exports it: every step in bf16.
// CHECK-LABEL: @tanh_each
// CHECK-NEXT:    "fiar.activate"(%arg0, %arg1) {activation = "gelu_tanh", combine = "mul"{{.*}}rounding = "each"
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
  %8 = stablehlo.multiply %x, %7 : tensor<4x16xbf16>
  %9 = stablehlo.multiply %u, %8 : tensor<4x16xbf16>
  return %9 : tensor<4x16xbf16>
}

// -----
// In f32, rounded before the product; the half elsewhere, and alone.
// CHECK-LABEL: @erfc_rounded
// CHECK-NEXT:    "fiar.activate"(%arg0, %arg1) {activation = "gelu", combine = "mul"{{.*}}rounding = "act"
// CHECK-LABEL: @erfc_alone
// CHECK-NEXT:    "fiar.activate"(%arg0) {activation = "gelu", combine = "none", operandSegmentSizes = array<i32: 1, 0, 0>{{.*}}rounding = "none"{{.*}} (tensor<4x16xbf16>) -> tensor<4x16xbf16>
func.func @erfc_rounded(%g: tensor<4x16xbf16>, %u: tensor<4x16xbf16>) -> tensor<4x16xbf16> {
  %r = stablehlo.constant dense<0.707106769> : tensor<4x16xf32>
  %half = stablehlo.constant dense<0.5> : tensor<4x16xf32>
  %x = stablehlo.convert %g : (tensor<4x16xbf16>) -> tensor<4x16xf32>
  %0 = stablehlo.multiply %half, %x : tensor<4x16xf32>
  %1 = stablehlo.negate %x : tensor<4x16xf32>
  %2 = stablehlo.multiply %1, %r : tensor<4x16xf32>
  %3 = chlo.erfc %2 : tensor<4x16xf32> -> tensor<4x16xf32>
  %4 = stablehlo.multiply %0, %3 : tensor<4x16xf32>
  %5 = stablehlo.convert %4 : (tensor<4x16xf32>) -> tensor<4x16xbf16>
  %6 = stablehlo.multiply %5, %u : tensor<4x16xbf16>
  return %6 : tensor<4x16xbf16>
}
func.func @erfc_alone(%g: tensor<4x16xbf16>) -> tensor<4x16xbf16> {
  %r = stablehlo.constant dense<-0.707106769> : tensor<4x16xf32>
  %half = stablehlo.constant dense<0.5> : tensor<4x16xf32>
  %x = stablehlo.convert %g : (tensor<4x16xbf16>) -> tensor<4x16xf32>
  %0 = stablehlo.multiply %x, %r : tensor<4x16xf32>
  %1 = chlo.erfc %0 : tensor<4x16xf32> -> tensor<4x16xf32>
  %2 = stablehlo.multiply %1, %half : tensor<4x16xf32>
  %3 = stablehlo.multiply %x, %2 : tensor<4x16xf32>
  %4 = stablehlo.convert %3 : (tensor<4x16xf32>) -> tensor<4x16xbf16>
  return %4 : tensor<4x16xbf16>
}

// -----
// A sum of two values, in f32 and rounded once; one of a broadcast stays.
// CHECK-LABEL: @sum
// CHECK-NEXT:    "fiar.activate"(%arg0, %arg1) {activation = "none", combine = "add"{{.*}} (tensor<4x16xbf16>, tensor<4x16xbf16>) -> tensor<4x16xbf16>
// CHECK-LABEL: @sum_of_a_row
// CHECK-NOT:     fiar.activate
func.func @sum(%a: tensor<4x16xbf16>, %b: tensor<4x16xbf16>) -> tensor<4x16xbf16> {
  %0 = stablehlo.convert %a : (tensor<4x16xbf16>) -> tensor<4x16xf32>
  %1 = stablehlo.convert %b : (tensor<4x16xbf16>) -> tensor<4x16xf32>
  %2 = stablehlo.add %0, %1 : tensor<4x16xf32>
  %3 = stablehlo.convert %2 : (tensor<4x16xf32>) -> tensor<4x16xbf16>
  return %3 : tensor<4x16xbf16>
}
func.func @sum_of_a_row(%a: tensor<4x16xbf16>, %b: tensor<16xbf16>) -> tensor<4x16xbf16> {
  %0 = stablehlo.broadcast_in_dim %b, dims = [1] : (tensor<16xbf16>) -> tensor<4x16xbf16>
  %1 = stablehlo.add %a, %0 : tensor<4x16xbf16>
  return %1 : tensor<4x16xbf16>
}

// -----
// Near misses: another factor inside the tanh, the cube of another value, erfc of x for that of -x, no half.
// CHECK-LABEL: @no_gelu
// CHECK-NOT:     gelu
func.func @no_gelu(%x: tensor<4x16xf32>, %u: tensor<4x16xf32>) -> (tensor<4x16xf32>, tensor<4x16xf32>, tensor<4x16xf32>, tensor<4x16xf32>) {
  %c = stablehlo.constant dense<4.471500e-02> : tensor<4x16xf32>
  %d = stablehlo.constant dense<0.797884583> : tensor<4x16xf32>
  %e = stablehlo.constant dense<0.796875> : tensor<4x16xf32>
  %r = stablehlo.constant dense<0.707106769> : tensor<4x16xf32>
  %one = stablehlo.constant dense<1.0> : tensor<4x16xf32>
  %half = stablehlo.constant dense<0.5> : tensor<4x16xf32>
  %0 = stablehlo.multiply %x, %x : tensor<4x16xf32>
  %1 = stablehlo.multiply %0, %x : tensor<4x16xf32>
  %2 = stablehlo.multiply %c, %1 : tensor<4x16xf32>
  %3 = stablehlo.add %x, %2 : tensor<4x16xf32>
  %4 = stablehlo.multiply %e, %3 : tensor<4x16xf32>
  %5 = stablehlo.tanh %4 : tensor<4x16xf32>
  %6 = stablehlo.add %one, %5 : tensor<4x16xf32>
  %7 = stablehlo.multiply %half, %6 : tensor<4x16xf32>
  %8 = stablehlo.multiply %x, %7 : tensor<4x16xf32>
  %10 = stablehlo.multiply %0, %u : tensor<4x16xf32>
  %11 = stablehlo.multiply %c, %10 : tensor<4x16xf32>
  %12 = stablehlo.add %x, %11 : tensor<4x16xf32>
  %13 = stablehlo.multiply %d, %12 : tensor<4x16xf32>
  %14 = stablehlo.tanh %13 : tensor<4x16xf32>
  %15 = stablehlo.add %one, %14 : tensor<4x16xf32>
  %16 = stablehlo.multiply %half, %15 : tensor<4x16xf32>
  %17 = stablehlo.multiply %x, %16 : tensor<4x16xf32>
  %20 = stablehlo.multiply %x, %r : tensor<4x16xf32>
  %21 = chlo.erfc %20 : tensor<4x16xf32> -> tensor<4x16xf32>
  %22 = stablehlo.multiply %half, %21 : tensor<4x16xf32>
  %23 = stablehlo.multiply %x, %22 : tensor<4x16xf32>
  %30 = stablehlo.negate %20 : tensor<4x16xf32>
  %31 = chlo.erfc %30 : tensor<4x16xf32> -> tensor<4x16xf32>
  %32 = stablehlo.multiply %x, %31 : tensor<4x16xf32>
  return %8, %17, %23, %32 : tensor<4x16xf32>, tensor<4x16xf32>, tensor<4x16xf32>, tensor<4x16xf32>
}

// -----
// Gate and up as the halves of one product's columns: one operand. Not so where up comes first, or where the halves are none: then the slices stay.
// CHECK-LABEL: @packed
// CHECK-NEXT:    "fiar.activate"(%arg0) {activation = "silu", combine = "mul", operandSegmentSizes = array<i32: 1, 0, 0>{{.*}}rounding = "none"{{.*}} (tensor<4x32xf32>) -> tensor<4x16xbf16>
// CHECK-NEXT:    return
// CHECK-LABEL: @packed_upstream
// CHECK-NEXT:    "fiar.activate"(%arg0) {activation = "silu", combine = "mul"{{.*}} (tensor<4x32xf32>) -> tensor<4x16xf32>
// CHECK-NEXT:    return
// CHECK-LABEL: @up_first
// CHECK-COUNT-2: stablehlo.slice
// CHECK-NEXT:    "fiar.activate"(%{{[0-9]}}, %{{[0-9]}}) {
// CHECK-LABEL: @overlapping
// CHECK-COUNT-2: stablehlo.slice
// CHECK-NEXT:    "fiar.activate"(%{{[0-9]}}, %{{[0-9]}}) {
// CHECK-LABEL: @rounding_slices
// CHECK-COUNT-2: stablehlo.slice
// CHECK-LABEL: @halves_of_rows
// CHECK-COUNT-2: stablehlo.slice
// CHECK-NEXT:    "fiar.activate"(%{{[0-9]}}, %{{[0-9]}}) {
func.func @packed(%x: tensor<4x32xf32>) -> tensor<4x16xbf16> {
  %g = stablehlo.slice %x [0:4, 0:16] : (tensor<4x32xf32>) -> tensor<4x16xf32>
  %u = stablehlo.slice %x [0:4, 16:32] : (tensor<4x32xf32>) -> tensor<4x16xf32>
  %0 = stablehlo.logistic %g : tensor<4x16xf32>
  %1 = stablehlo.multiply %g, %0 : tensor<4x16xf32>
  %2 = stablehlo.multiply %1, %u : tensor<4x16xf32>
  %3 = stablehlo.convert %2 : (tensor<4x16xf32>) -> tensor<4x16xbf16>
  return %3 : tensor<4x16xbf16>
}
func.func @packed_upstream(%x: tensor<4x32xf32>) -> tensor<4x16xf32> {
  %g = tensor.extract_slice %x[0, 0] [4, 16] [1, 1] : tensor<4x32xf32> to tensor<4x16xf32>
  %u = tensor.extract_slice %x[0, 16] [4, 16] [1, 1] : tensor<4x32xf32> to tensor<4x16xf32>
  %one = arith.constant dense<1.0> : tensor<4x16xf32>
  %0 = arith.negf %g : tensor<4x16xf32>
  %1 = math.exp %0 : tensor<4x16xf32>
  %2 = arith.addf %1, %one : tensor<4x16xf32>
  %3 = arith.divf %one, %2 : tensor<4x16xf32>
  %4 = arith.mulf %g, %3 : tensor<4x16xf32>
  %5 = arith.mulf %4, %u : tensor<4x16xf32>
  return %5 : tensor<4x16xf32>
}
func.func @up_first(%x: tensor<4x32xf32>) -> tensor<4x16xf32> {
  %u = stablehlo.slice %x [0:4, 0:16] : (tensor<4x32xf32>) -> tensor<4x16xf32>
  %g = stablehlo.slice %x [0:4, 16:32] : (tensor<4x32xf32>) -> tensor<4x16xf32>
  %0 = stablehlo.logistic %g : tensor<4x16xf32>
  %1 = stablehlo.multiply %g, %0 : tensor<4x16xf32>
  %2 = stablehlo.multiply %1, %u : tensor<4x16xf32>
  return %2 : tensor<4x16xf32>
}
func.func @overlapping(%x: tensor<4x32xf32>) -> tensor<4x20xf32> {
  %g = stablehlo.slice %x [0:4, 0:20] : (tensor<4x32xf32>) -> tensor<4x20xf32>
  %u = stablehlo.slice %x [0:4, 12:32] : (tensor<4x32xf32>) -> tensor<4x20xf32>
  %0 = stablehlo.logistic %g : tensor<4x20xf32>
  %1 = stablehlo.multiply %g, %0 : tensor<4x20xf32>
  %2 = stablehlo.multiply %1, %u : tensor<4x20xf32>
  return %2 : tensor<4x20xf32>
}
func.func @rounding_slices(%h: tensor<4x32xf32>) -> tensor<4x16xbf16> {
  %g = "stablehlo.slice"(%h) {start_indices = array<i64: 0, 0>, limit_indices = array<i64: 4, 16>, strides = array<i64: 1, 1>} : (tensor<4x32xf32>) -> tensor<4x16xbf16>
  %u = "stablehlo.slice"(%h) {start_indices = array<i64: 0, 16>, limit_indices = array<i64: 4, 32>, strides = array<i64: 1, 1>} : (tensor<4x32xf32>) -> tensor<4x16xbf16>
  %n = "stablehlo.negate"(%g) : (tensor<4x16xbf16>) -> tensor<4x16xbf16>
  %e = "stablehlo.exponential"(%n) : (tensor<4x16xbf16>) -> tensor<4x16xbf16>
  %one = "stablehlo.constant"() {value = dense<1.0> : tensor<4x16xbf16>} : () -> tensor<4x16xbf16>
  %a = "stablehlo.add"(%one, %e) : (tensor<4x16xbf16>, tensor<4x16xbf16>) -> tensor<4x16xbf16>
  %s = "stablehlo.divide"(%one, %a) : (tensor<4x16xbf16>, tensor<4x16xbf16>) -> tensor<4x16xbf16>
  %m = "stablehlo.multiply"(%g, %s) : (tensor<4x16xbf16>, tensor<4x16xbf16>) -> tensor<4x16xbf16>
  %r = "stablehlo.multiply"(%m, %u) : (tensor<4x16xbf16>, tensor<4x16xbf16>) -> tensor<4x16xbf16>
  return %r : tensor<4x16xbf16>
}
func.func @halves_of_rows(%x: tensor<4x32xf32>) -> tensor<2x32xf32> {
  %g = stablehlo.slice %x [0:2, 0:32] : (tensor<4x32xf32>) -> tensor<2x32xf32>
  %u = stablehlo.slice %x [2:4, 0:32] : (tensor<4x32xf32>) -> tensor<2x32xf32>
  %0 = stablehlo.logistic %g : tensor<2x32xf32>
  %1 = stablehlo.multiply %g, %0 : tensor<2x32xf32>
  %2 = stablehlo.multiply %1, %u : tensor<2x32xf32>
  return %2 : tensor<2x32xf32>
}
