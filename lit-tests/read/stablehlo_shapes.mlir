// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --emit-bytecode | fiar-opt | FileCheck %s

// Creation, shapes and indices.

// CHECK-LABEL: func.func @creation(
func.func @creation(%n: tensor<2xi64>, %f: tensor<f32>, %seed: tensor<3xui64>) {
  // CHECK: {{.*}} = "stablehlo.constant"() <{value = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf8E4M3FN>}> : () -> tensor<2xf8E4M3FN>
  %0 = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf8E4M3FN>
  // CHECK: {{.*}} = "stablehlo.constant"() <{value = dense<true> : tensor<i1>}> {a.b = "c"} : () -> tensor<i1>
  %1 = stablehlo.constant {a.b = "c"} dense<true> : tensor<i1>
  // CHECK: {{.*}} = "stablehlo.constant"() {value = dense<1> : tensor<i32>} : () -> tensor<i32>
  %2 = stablehlo.constant() {value = dense<1> : tensor<i32>} : () -> tensor<i32>
  // CHECK: {{.*}} = "stablehlo.iota"() <{iota_dimension = 1 : i64}> : () -> tensor<4x8xui32>
  %3 = stablehlo.iota dim = 1 : tensor<4x8xui32>
  // CHECK: {{.*}} = "stablehlo.dynamic_iota"({{.*}}) <{iota_dimension = 0 : i64}> : (tensor<2xi64>) -> tensor<?x?xf32>
  %4 = stablehlo.dynamic_iota %n, dim = 0 : (tensor<2xi64>) -> tensor<?x?xf32>
  // CHECK: {{.*}} = "stablehlo.create_token"() : () -> !stablehlo.token
  %5 = stablehlo.create_token : !stablehlo.token
  // CHECK: {{.*}} = "stablehlo.after_all"({{.*}}) : (!stablehlo.token, !stablehlo.token) -> !stablehlo.token
  %6 = stablehlo.after_all %5, %5 : !stablehlo.token
  // CHECK: {{.*}} = "stablehlo.after_all"() : () -> !stablehlo.token
  %7 = stablehlo.after_all  : !stablehlo.token
  // CHECK: {{.*}} = "stablehlo.partition_id"() : () -> tensor<ui32>
  %8 = stablehlo.partition_id : tensor<ui32>
  // CHECK: {{.*}} = "stablehlo.replica_id"() : () -> tensor<ui32>
  %9 = stablehlo.replica_id : tensor<ui32>
  // CHECK: {{.*}} = "stablehlo.rng"({{.*}}) <{rng_distribution = #stablehlo<rng_distribution UNIFORM>}> : (tensor<f32>, tensor<f32>, tensor<2xi64>) -> tensor<2x3xf32>
  %10 = stablehlo.rng %f, %f, %n, distribution = UNIFORM : (tensor<f32>, tensor<f32>, tensor<2xi64>) -> tensor<2x3xf32>
  // CHECK: {{.*}} = "stablehlo.rng_bit_generator"({{.*}}) <{rng_algorithm = #stablehlo<rng_algorithm PHILOX>}> : (tensor<3xui64>) -> (tensor<3xui64>, tensor<2x2xui32>)
  %11:2 = stablehlo.rng_bit_generator %seed, algorithm = PHILOX : (tensor<3xui64>) -> (tensor<3xui64>, tensor<2x2xui32>)
  return
}

// CHECK-LABEL: func.func @shapes(
func.func @shapes(%x: tensor<4x8xf32>, %n: tensor<2xi64>, %v: tensor<f32>, %i: tensor<i64>, %s: tensor<i32>) {
  // CHECK: {{.*}} = "stablehlo.reshape"({{.*}}) : (tensor<4x8xf32>) -> tensor<32xf32>
  %0 = stablehlo.reshape %x : (tensor<4x8xf32>) -> tensor<32xf32>
  // CHECK: {{.*}} = "stablehlo.bitcast_convert"({{.*}}) : (tensor<4x8xf32>) -> tensor<4x8xi32>
  %1 = stablehlo.bitcast_convert %x : (tensor<4x8xf32>) -> tensor<4x8xi32>
  // CHECK: {{.*}} = "stablehlo.dynamic_reshape"({{.*}}) : (tensor<4x8xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %2 = stablehlo.dynamic_reshape %x, %n : (tensor<4x8xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  // CHECK: {{.*}} = "stablehlo.broadcast"({{.*}}) <{broadcast_sizes = array<i64: 2, 3>}> : (tensor<4x8xf32>) -> tensor<2x3x4x8xf32>
  %3 = stablehlo.broadcast %x, sizes = [2, 3] : (tensor<4x8xf32>) -> tensor<2x3x4x8xf32>
  // CHECK: {{.*}} = "stablehlo.broadcast_in_dim"({{.*}}) <{broadcast_dimensions = array<i64: 0, 2>}> : (tensor<4x8xf32>) -> tensor<4x1x8xf32>
  %4 = stablehlo.broadcast_in_dim %x, dims = [0, 2] : (tensor<4x8xf32>) -> tensor<4x1x8xf32>
  // CHECK: {{.*}} = "stablehlo.broadcast_in_dim"({{.*}}) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<4x8xf32>
  %5 = stablehlo.broadcast_in_dim %v, dims = [] : (tensor<f32>) -> tensor<4x8xf32>
  // CHECK: {{.*}} = "stablehlo.dynamic_broadcast_in_dim"({{.*}}) <{broadcast_dimensions = array<i64: 0, 1>, known_expanding_dimensions = array<i64>, known_nonexpanding_dimensions = array<i64: 0>}> : (tensor<4x8xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %6 = stablehlo.dynamic_broadcast_in_dim %x, %n, dims = [0, 1] {known_expanding_dimensions = array<i64>, known_nonexpanding_dimensions = array<i64: 0>} : (tensor<4x8xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  // CHECK: {{.*}} = "stablehlo.transpose"({{.*}}) <{permutation = array<i64: 1, 0>}> : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %7 = stablehlo.transpose %x, dims = [1, 0] : (tensor<4x8xf32>) -> tensor<8x4xf32>
  // CHECK: {{.*}} = "stablehlo.reverse"({{.*}}) <{dimensions = array<i64: 0, 1>}> : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %8 = stablehlo.reverse %x, dims = [0, 1] : tensor<4x8xf32>
  // CHECK: {{.*}} = "stablehlo.concatenate"({{.*}}) <{dimension = 0 : i64}> : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
  %9 = stablehlo.concatenate %x, %x, dim = 0 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
  // CHECK: {{.*}} = "stablehlo.get_dimension_size"({{.*}}) <{dimension = 1 : i64}> : (tensor<4x8xf32>) -> tensor<i32>
  %10 = stablehlo.get_dimension_size %x, dim = 1 : (tensor<4x8xf32>) -> tensor<i32>
  // CHECK: {{.*}} = "stablehlo.set_dimension_size"({{.*}}) <{dimension = 0 : i64}> : (tensor<4x8xf32>, tensor<i32>) -> tensor<?x8xf32, #stablehlo.bounds<4, ?>>
  %11 = stablehlo.set_dimension_size %x, %s, dim = 0 : (tensor<4x8xf32>, tensor<i32>) -> tensor<?x8xf32, #stablehlo.bounds<4, ?>>
  return
}

// CHECK-LABEL: func.func @slices(
func.func @slices(%x: tensor<4x8xf32>, %u: tensor<2x2xf32>, %v: tensor<f32>, %i: tensor<i64>, %n: tensor<2xi64>) {
  // CHECK: {{.*}} = "stablehlo.slice"({{.*}}) <{limit_indices = array<i64: 4, 8>, start_indices = array<i64: 0, 0>, strides = array<i64: 1, 2>}> : (tensor<4x8xf32>) -> tensor<4x4xf32>
  %0 = stablehlo.slice %x [0:4, 0:8:2] : (tensor<4x8xf32>) -> tensor<4x4xf32>
  // CHECK: {{.*}} = "stablehlo.slice"({{.*}}) <{limit_indices = array<i64>, start_indices = array<i64>, strides = array<i64>}> : (tensor<f32>) -> tensor<f32>
  %1 = stablehlo.slice %v [] : (tensor<f32>) -> tensor<f32>
  // CHECK: {{.*}} = "stablehlo.dynamic_slice"({{.*}}) <{slice_sizes = array<i64: 2, 2>}> : (tensor<4x8xf32>, tensor<i64>, tensor<i64>) -> tensor<2x2xf32>
  %2 = stablehlo.dynamic_slice %x, %i, %i, sizes = [2, 2] : (tensor<4x8xf32>, tensor<i64>, tensor<i64>) -> tensor<2x2xf32>
  // CHECK: {{.*}} = "stablehlo.dynamic_slice"({{.*}}) <{slice_sizes = array<i64>}> : (tensor<f32>) -> tensor<f32>
  %3 = stablehlo.dynamic_slice %v, sizes = [] : (tensor<f32>) -> tensor<f32>
  // CHECK: {{.*}} = "stablehlo.dynamic_update_slice"({{.*}}) : (tensor<4x8xf32>, tensor<2x2xf32>, tensor<i64>, tensor<i64>) -> tensor<4x8xf32>
  %4 = stablehlo.dynamic_update_slice %x, %u, %i, %i : (tensor<4x8xf32>, tensor<2x2xf32>, tensor<i64>, tensor<i64>) -> tensor<4x8xf32>
  // CHECK: {{.*}} = "stablehlo.real_dynamic_slice"({{.*}}) : (tensor<4x8xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x?xf32>
  %5 = stablehlo.real_dynamic_slice %x, %n, %n, %n : (tensor<4x8xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x?xf32>
  // CHECK: {{.*}} = "stablehlo.pad"({{.*}}) <{edge_padding_high = array<i64: 1, 0>, edge_padding_low = array<i64: 0, -1>, interior_padding = array<i64: 0, 2>}> : (tensor<4x8xf32>, tensor<f32>) -> tensor<5x21xf32>
  %6 = stablehlo.pad %x, %v, low = [0, -1], high = [1, 0], interior = [0, 2] : (tensor<4x8xf32>, tensor<f32>) -> tensor<5x21xf32>
  // CHECK: {{.*}} = "stablehlo.dynamic_pad"({{.*}}) : (tensor<4x8xf32>, tensor<f32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x?xf32>
  %7 = stablehlo.dynamic_pad %x, %v, %n, %n, %n : (tensor<4x8xf32>, tensor<f32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x?xf32>
  return
}
