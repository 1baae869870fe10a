// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --emit-bytecode | fiar-opt | FileCheck %s

// Operands, a dictionary, and one type for all or a function type.

// CHECK: "sdy.mesh"() <{mesh = #sdy.mesh<["x"=2]>, sym_name = "mesh"}> : () -> ()
sdy.mesh @mesh = <["x"=2]>

// CHECK-LABEL: func.func @unary(
func.func @unary(%f: tensor<2x?xf32>, %i: tensor<4xi32>, %z: tensor<2xcomplex<f32>>, %q: tensor<2x!quant.uniform<i8:f32, 5.000000e-01:3>>) {
  // CHECK: {{.*}} = "stablehlo.abs"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %0 = stablehlo.abs %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.cbrt"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %1 = stablehlo.cbrt %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.ceil"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %2 = stablehlo.ceil %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.cosine"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %3 = stablehlo.cosine %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.exponential"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %4 = stablehlo.exponential %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.exponential_minus_one"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %5 = stablehlo.exponential_minus_one %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.floor"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %6 = stablehlo.floor %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.log"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %7 = stablehlo.log %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.log_plus_one"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %8 = stablehlo.log_plus_one %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.logistic"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %9 = stablehlo.logistic %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.negate"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %10 = stablehlo.negate %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.round_nearest_afz"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %11 = stablehlo.round_nearest_afz %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.round_nearest_even"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %12 = stablehlo.round_nearest_even %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.rsqrt"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %13 = stablehlo.rsqrt %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.sign"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %14 = stablehlo.sign %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.sine"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %15 = stablehlo.sine %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.sqrt"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %16 = stablehlo.sqrt %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.tan"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %17 = stablehlo.tan %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.tanh"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %18 = stablehlo.tanh %f : tensor<2x?xf32>
  // CHECK: {{.*}} = "stablehlo.count_leading_zeros"({{.*}}) : (tensor<4xi32>) -> tensor<4xi32>
  %19 = stablehlo.count_leading_zeros %i : tensor<4xi32>
  // CHECK: {{.*}} = "stablehlo.not"({{.*}}) : (tensor<4xi32>) -> tensor<4xi32>
  %20 = stablehlo.not %i : tensor<4xi32>
  // CHECK: {{.*}} = "stablehlo.popcnt"({{.*}}) : (tensor<4xi32>) -> tensor<4xi32>
  %21 = stablehlo.popcnt %i : tensor<4xi32>
  // CHECK: {{.*}} = "stablehlo.abs"({{.*}}) : (tensor<2xcomplex<f32>>) -> tensor<2xf32>
  %22 = stablehlo.abs %z : (tensor<2xcomplex<f32>>) -> tensor<2xf32>
  // CHECK: {{.*}} = "stablehlo.real"({{.*}}) : (tensor<2xcomplex<f32>>) -> tensor<2xf32>
  %23 = stablehlo.real %z : (tensor<2xcomplex<f32>>) -> tensor<2xf32>
  // CHECK: {{.*}} = "stablehlo.imag"({{.*}}) : (tensor<2xcomplex<f32>>) -> tensor<2xf32>
  %24 = stablehlo.imag %z : (tensor<2xcomplex<f32>>) -> tensor<2xf32>
  // CHECK: {{.*}} = "stablehlo.is_finite"({{.*}}) : (tensor<2x?xf32>) -> tensor<2x?xi1>
  %25 = stablehlo.is_finite %f : (tensor<2x?xf32>) -> tensor<2x?xi1>
  // CHECK: {{.*}} = "stablehlo.convert"({{.*}}) : (tensor<4xi32>) -> tensor<4xf8E4M3FN>
  %26 = stablehlo.convert %i : (tensor<4xi32>) -> tensor<4xf8E4M3FN>
  // CHECK: {{.*}} = "stablehlo.convert"({{.*}}) : (tensor<4xi32>) -> tensor<4xi32>
  %27 = stablehlo.convert %i : tensor<4xi32>
  // CHECK: {{.*}} = "stablehlo.uniform_dequantize"({{.*}}) : (tensor<2x!quant.uniform<i8:f32, 5.000000e-01:3>>) -> tensor<2xf32>
  %28 = stablehlo.uniform_dequantize %q : (tensor<2x!quant.uniform<i8:f32, 5.000000e-01:3>>) -> tensor<2xf32>
  // CHECK: {{.*}} = "stablehlo.uniform_quantize"({{.*}}) : (tensor<2xf32>) -> tensor<2x!quant.uniform<i8:f32, 5.000000e-01:3>>
  %29 = stablehlo.uniform_quantize %28 : (tensor<2xf32>) -> tensor<2x!quant.uniform<i8:f32, 5.000000e-01:3>>
  // CHECK: {{.*}} = "stablehlo.reduce_precision"({{.*}}) <{exponent_bits = 5 : i32, mantissa_bits = 10 : i32}> : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %30 = stablehlo.reduce_precision %f, format = e5m10 : tensor<2x?xf32>
  // What the op declares is a property, wherever it was written; anything else stays discardable.
  // CHECK: {{.*}} = "stablehlo.tanh"({{.*}}) <{result_accuracy = #stablehlo.result_accuracy<ulps = 5, mode = #stablehlo.result_accuracy_mode<TOLERANCE>>}> {mhlo.frontend_attributes = {a = "b"}} : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %31 = stablehlo.tanh %f {mhlo.frontend_attributes = {a = "b"}, result_accuracy = #stablehlo.result_accuracy<ulps = 5, mode = #stablehlo.result_accuracy_mode<TOLERANCE>>} : tensor<2x?xf32>
  return
}

// CHECK-LABEL: func.func @binary(
func.func @binary(%f: tensor<4xf32>, %i: tensor<4xi32>, %p: tensor<4xi1>) {
  // CHECK: {{.*}} = "stablehlo.add"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %0 = stablehlo.add %f, %f : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.atan2"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %1 = stablehlo.atan2 %f, %f : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.divide"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %2 = stablehlo.divide %f, %f : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.maximum"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = stablehlo.maximum %f, %f : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.minimum"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = stablehlo.minimum %f, %f : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.multiply"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %5 = stablehlo.multiply %f, %f : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.power"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %6 = stablehlo.power %f, %f : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.remainder"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %7 = stablehlo.remainder %f, %f : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.subtract"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %8 = stablehlo.subtract %f, %f : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.and"({{.*}}) : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  %9 = stablehlo.and %p, %p : tensor<4xi1>
  // CHECK: {{.*}} = "stablehlo.or"({{.*}}) : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  %10 = stablehlo.or %p, %p : tensor<4xi1>
  // CHECK: {{.*}} = "stablehlo.xor"({{.*}}) : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  %11 = stablehlo.xor %p, %p : tensor<4xi1>
  // CHECK: {{.*}} = "stablehlo.shift_left"({{.*}}) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %12 = stablehlo.shift_left %i, %i : tensor<4xi32>
  // CHECK: {{.*}} = "stablehlo.shift_right_arithmetic"({{.*}}) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %13 = stablehlo.shift_right_arithmetic %i, %i : tensor<4xi32>
  // CHECK: {{.*}} = "stablehlo.shift_right_logical"({{.*}}) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %14 = stablehlo.shift_right_logical %i, %i : tensor<4xi32>
  // CHECK: {{.*}} = "stablehlo.complex"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xcomplex<f32>>
  %15 = stablehlo.complex %f, %f : tensor<4xcomplex<f32>>
  // CHECK: {{.*}} = "stablehlo.complex"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xcomplex<f32>>
  %16 = stablehlo.complex %f, %f : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xcomplex<f32>>
  // CHECK: {{.*}} = "stablehlo.add"({{.*}}) {sdy.sharding = #sdy.sharding_per_value<[<@mesh, [{"x"}]>]>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %17 = stablehlo.add %f, %f {sdy.sharding = #sdy.sharding_per_value<[<@mesh, [{"x"}]>]>} : tensor<4xf32>
  return
}

// CHECK-LABEL: func.func @select_compare_clamp(
func.func @select_compare_clamp(%p: tensor<4xi1>, %s: tensor<i1>, %f: tensor<4xf32>, %lo: tensor<f32>) {
  // CHECK: {{.*}} = "stablehlo.select"({{.*}}) : (tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %0 = stablehlo.select %p, %f, %f : tensor<4xi1>, tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.select"({{.*}}) : (tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %1 = stablehlo.select %s, %f, %f : (tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.compare"({{.*}}) <{comparison_direction = #stablehlo<comparison_direction GE>}> : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
  %2 = stablehlo.compare GE, %f, %f : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
  // CHECK: {{.*}} = "stablehlo.compare"({{.*}}) <{compare_type = #stablehlo<comparison_type TOTALORDER>, comparison_direction = #stablehlo<comparison_direction LT>}> : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
  %3 = stablehlo.compare  LT, %f, %f,  TOTALORDER : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
  // CHECK: {{.*}} = "stablehlo.clamp"({{.*}}) : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = stablehlo.clamp %f, %f, %f : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.clamp"({{.*}}) : (tensor<f32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %5 = stablehlo.clamp %lo, %f, %lo : (tensor<f32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return
}
