// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --emit-bytecode | fiar-opt | FileCheck %s

// CHECK-LABEL: func.func @as_stablehlo(
func.func @as_stablehlo(%x: tensor<4x8xf32>, %c: tensor<f32>, %p: tensor<4x8xi1>) {
  // CHECK: {{.*}} = "mhlo.constant"() <{value = dense<1.000000e+00> : tensor<f32>}> : () -> tensor<f32>
  %0 = mhlo.constant dense<1.0> : tensor<f32>
  // CHECK: {{.*}} = "mhlo.add"({{.*}}) : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = mhlo.add %x, %x : tensor<4x8xf32>
  // CHECK: {{.*}} = "mhlo.convert"({{.*}}) : (tensor<4x8xf32>) -> tensor<4x8xbf16>
  %2 = mhlo.convert %x : (tensor<4x8xf32>) -> tensor<4x8xbf16>
  // CHECK: {{.*}} = "mhlo.reduce"({{.*}}) <{dimensions = dense<1> : tensor<1xi64>}> ({
  %3 = mhlo.reduce(%x init: %c) applies mhlo.add across dimensions = [1] : (tensor<4x8xf32>, tensor<f32>) -> tensor<4xf32>
  // CHECK: {{.*}} = "mhlo.add"({{.*}}) : (tensor<f32>, tensor<f32>) -> tensor<f32>
  // CHECK: "mhlo.return"({{.*}}) : (tensor<f32>) -> ()
  // CHECK: {{.*}} = "mhlo.select"({{.*}}) : (tensor<4x8xi1>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = mhlo.select %p, %x, %x : tensor<4x8xi1>, tensor<4x8xf32>
  // CHECK: {{.*}} = "mhlo.compare"({{.*}}) <{compare_type = #mhlo<comparison_type FLOAT>, comparison_direction = #mhlo<comparison_direction LT>}> : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xi1>
  %5 = mhlo.compare LT, %x, %x, FLOAT : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xi1>
  // CHECK: {{.*}} = "mhlo.reshape"({{.*}}) : (tensor<4x8xf32>) -> tensor<32xf32>
  %6 = mhlo.reshape %x : (tensor<4x8xf32>) -> tensor<32xf32>
  // CHECK: {{.*}} = "mhlo.rsqrt"({{.*}}) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %7 = mhlo.rsqrt %x : tensor<4x8xf32>
  // CHECK: {{.*}} = "mhlo.custom_call"({{.*}}) <{call_target_name = "foo"}> : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %8 = mhlo.custom_call @foo(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: {{.*}} = "mhlo.clamp"({{.*}}) : (tensor<f32>, tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %9 = mhlo.clamp %c, %x, %c : (tensor<f32>, tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  // CHECK: {{.*}} = "mhlo.optimization_barrier"({{.*}}) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %10 = mhlo.optimization_barrier %x : tensor<4x8xf32>
  return
}
// CHECK-LABEL: func.func @own(
func.func @own(%x: tensor<4x8xf32>) {
  // CHECK: {{.*}} = "mhlo.copy"({{.*}}) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %0 = mhlo.copy %x : tensor<4x8xf32>
  // CHECK: {{.*}} = "mhlo.erf"({{.*}}) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = mhlo.erf %x : tensor<4x8xf32>
  // CHECK: {{.*}} = "mhlo.topk"({{.*}}) <{k = 4 : i64, largest = true}> : (tensor<4x8xf32>) -> (tensor<4x4xf32>, tensor<4x4xi32>)
  %2:2 = mhlo.topk(%x, k = 4, largest = true) : tensor<4x8xf32> -> (tensor<4x4xf32>, tensor<4x4xi32>)
  return
}
