// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --emit-bytecode | fiar-opt | FileCheck %s

// CHECK-LABEL: func.func @unary(
func.func @unary(%x: tensor<4xf32>, %z: tensor<4xcomplex<f32>>) {
  // CHECK: {{.*}} = "chlo._asin_acos_kernel"({{.*}}) : (tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>>
  %0 = chlo._asin_acos_kernel %z : tensor<4xcomplex<f32>> -> tensor<4xcomplex<f32>>
  // CHECK: {{.*}} = "chlo.acos"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %1 = chlo.acos %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.acosh"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %2 = chlo.acosh %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.asin"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %3 = chlo.asin %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.asinh"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %4 = chlo.asinh %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.atan"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %5 = chlo.atan %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.atanh"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %6 = chlo.atanh %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.bessel_i1e"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %7 = chlo.bessel_i1e %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.conj"({{.*}}) : (tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>>
  %8 = chlo.conj %z : tensor<4xcomplex<f32>> -> tensor<4xcomplex<f32>>
  // CHECK: {{.*}} = "chlo.cosh"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %9 = chlo.cosh %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.digamma"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %10 = chlo.digamma %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.erf"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %11 = chlo.erf %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.erf_inv"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %12 = chlo.erf_inv %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.erfc"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %13 = chlo.erfc %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.is_inf"({{.*}}) : (tensor<4xf32>) -> tensor<4xi1>
  %14 = chlo.is_inf %x : tensor<4xf32> -> tensor<4xi1>
  // CHECK: {{.*}} = "chlo.is_neg_inf"({{.*}}) : (tensor<4xf32>) -> tensor<4xi1>
  %15 = chlo.is_neg_inf %x : tensor<4xf32> -> tensor<4xi1>
  // CHECK: {{.*}} = "chlo.is_pos_inf"({{.*}}) : (tensor<4xf32>) -> tensor<4xi1>
  %16 = chlo.is_pos_inf %x : tensor<4xf32> -> tensor<4xi1>
  // CHECK: {{.*}} = "chlo.lgamma"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %17 = chlo.lgamma %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.sinh"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %18 = chlo.sinh %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.square"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %19 = chlo.square %x : tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.tan"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %20 = chlo.tan %x : tensor<4xf32> -> tensor<4xf32>
  return
}

// CHECK-LABEL: func.func @binary(
func.func @binary(%x: tensor<4xf32>, %i: tensor<4xi32>) {
  // CHECK: {{.*}} = "chlo.next_after"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %0 = chlo.next_after %x, %x : tensor<4xf32>, tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.polygamma"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %1 = chlo.polygamma %x, %x : tensor<4xf32>, tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.zeta"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %2 = chlo.zeta %x, %x : tensor<4xf32>, tensor<4xf32> -> tensor<4xf32>
  // CHECK: {{.*}} = "chlo.mulhi"({{.*}}) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %3 = chlo.mulhi %i, %i : tensor<4xi32>, tensor<4xi32> -> tensor<4xi32>
  return
}

// CHECK-LABEL: func.func @broadcasting(
func.func @broadcasting(%x: tensor<4xf32>, %y: tensor<2x4xf32>, %i: tensor<4xi32>, %p: tensor<4xi1>) {
  // CHECK: {{.*}} = "chlo.broadcast_add"({{.*}}) <{broadcast_dimensions = array<i64: 1>}> : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %0 = chlo.broadcast_add %x, %y {broadcast_dimensions = array<i64: 1>} : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_atan2"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %1 = chlo.broadcast_atan2 %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_complex"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xcomplex<f32>>
  %2 = chlo.broadcast_complex %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xcomplex<f32>>
  // CHECK: {{.*}} = "chlo.broadcast_divide"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %3 = chlo.broadcast_divide %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_maximum"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %4 = chlo.broadcast_maximum %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_minimum"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %5 = chlo.broadcast_minimum %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_multiply"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %6 = chlo.broadcast_multiply %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_next_after"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %7 = chlo.broadcast_next_after %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_polygamma"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %8 = chlo.broadcast_polygamma %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_power"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %9 = chlo.broadcast_power %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_remainder"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %10 = chlo.broadcast_remainder %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_subtract"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %11 = chlo.broadcast_subtract %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_zeta"({{.*}}) : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %12 = chlo.broadcast_zeta %x, %y : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_shift_left"({{.*}}) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %13 = chlo.broadcast_shift_left %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: {{.*}} = "chlo.broadcast_shift_right_arithmetic"({{.*}}) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %14 = chlo.broadcast_shift_right_arithmetic %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: {{.*}} = "chlo.broadcast_shift_right_logical"({{.*}}) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %15 = chlo.broadcast_shift_right_logical %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: {{.*}} = "chlo.broadcast_and"({{.*}}) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %16 = chlo.broadcast_and %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: {{.*}} = "chlo.broadcast_or"({{.*}}) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %17 = chlo.broadcast_or %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: {{.*}} = "chlo.broadcast_xor"({{.*}}) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %18 = chlo.broadcast_xor %i, %i : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: {{.*}} = "chlo.broadcast_select"({{.*}}) : (tensor<4xi1>, tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %19 = chlo.broadcast_select %p, %x, %y : (tensor<4xi1>, tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: {{.*}} = "chlo.broadcast_compare"({{.*}}) <{comparison_direction = #chlo<comparison_direction LT>}> : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xi1>
  %20 = chlo.broadcast_compare %x, %y {comparison_direction = #chlo<comparison_direction LT>} : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xi1>
  return
}

// CHECK-LABEL: func.func @others(
func.func @others(%x: tensor<4x16xf32>, %c: tensor<4xf32>) {
  // CHECK: {{.*}} = "chlo.constant"() <{value = dense<1.000000e+00> : tensor<4xf32>}> : () -> tensor<4xf32>
  %0 = chlo.constant dense<1.0> : tensor<4xf32>
  // CHECK: {{.*}} = "chlo.top_k"({{.*}}) <{k = 8 : i64}> : (tensor<4x16xf32>) -> (tensor<4x8xf32>, tensor<4x8xi32>)
  %1:2 = chlo.top_k(%x, k = 8) : tensor<4x16xf32> -> (tensor<4x8xf32>, tensor<4x8xi32>)
  // CHECK: {{.*}} = "chlo.top_k"({{.*}}) <{is_stable = false, k = 8 : i64}> : (tensor<4x16xf32>) -> (tensor<4x8xf32>, tensor<4x8xi32>)
  %2:2 = chlo.top_k(%x, k = 8, is_stable = false) : tensor<4x16xf32> -> (tensor<4x8xf32>, tensor<4x8xi32>)
  return
}

// CHECK-LABEL: func.func @scan(
func.func @scan(%x: tensor<4x16xf32>, %c: tensor<4xf32>) {
  // CHECK: {{.*}} = "chlo.scan"({{.*}}) <{dimension = 1 : i64, is_reverse = true, operandSegmentSizes = array<i32: 1, 1>, resultSegmentSizes = array<i32: 1, 1>}> ({
  %0:2 = chlo.scan(%x) inits (%c) dimension=1 attributes {is_reverse = true} {
  ^bb0(%input: tensor<4xf32>, %carry: tensor<4xf32>):
    // CHECK: {{.*}} = "stablehlo.add"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = stablehlo.add %input, %carry : tensor<4xf32>
    // CHECK: "stablehlo.return"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> ()
    stablehlo.return %1, %1 : tensor<4xf32>, tensor<4xf32>
  } : (tensor<4x16xf32>, tensor<4xf32>) -> (tensor<4x16xf32>, tensor<4xf32>)
  return
}
