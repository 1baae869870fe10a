// RUN: not fiar-opt --pass-pipeline='builtin.module(fiar-check{rewrite=raise-separate})' %s -o /dev/null 2>&1 | FileCheck %s
// What is written by hand and does not fit is not computed, out of bounds or otherwise.
// CHECK: fiar-check cannot run the module: fiar.activate of shapes that do not fit
func.func @activated(%x: tensor<4x32xf32>, %u: tensor<4x16xf32>) -> tensor<4x32xf32> {
  %0 = "fiar.activate"(%x, %u) {activation = "silu", combine = "mul", operandSegmentSizes = array<i32: 1, 1, 0>, quant = "none", resultSegmentSizes = array<i32: 1, 0>, rounding = "none", scale_is = "divisor"} : (tensor<4x32xf32>, tensor<4x16xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}
