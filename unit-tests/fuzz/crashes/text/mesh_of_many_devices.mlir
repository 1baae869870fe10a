// RUN: fiar-opt %s --fiar-lower-to-ffi | FileCheck %s
// RUN: fiar-opt %s --fiar-lower-to-ffi | fiar-opt | FileCheck %s

sdy.mesh @mesh = <["dp"=2, "tp"=2147483648]>

// Every attribute but `groups` goes along, and the number of the call, f32 and i64 wide; masks say which operands and results there are.
// CHECK-LABEL: func.func @fused
// CHECK:         %0:2 = "stablehlo.custom_call"(%arg0, %arg1, %arg2) <{api_version = 4 : i32,
// CHECK-SAME:      backend_config = {call_id = 0 : i64, eps = 9.99999997E-7 : f32, group_ids = array<i64: 0, 1, 2, 3>, group_mode = 3 : i64,
// CHECK-SAME:      group_size = 0 : i64, groups_count = 1 : i64, norm_input = "rounded", norm_rounding = "after_weight",
// CHECK-SAME:      operands = 13 : i64, quant = "fp8_static", residual_layout = "full", results = 12 : i64,
  // CHECK: {{.*}} = "stablehlo.dot_general"({{.*}}) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>}> : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
// CHECK-SAME:      scale_is = "multiplier", scale_layout = "linear", scale_min = 0.000000e+00 : f32, scale_type = "f32",
// CHECK-SAME:      weight_bias = 1.000000e+00 : f32, world = 2147483648 : i64},
// CHECK-SAME:      call_target_name = "fiar.all_reduce_norm", return = [], has_side_effect = true,
// CHECK-SAME:      operand_layouts = [dense<[1, 0]> : tensor<2xindex>, dense<0> : tensor<1xindex>, dense<> : tensor<0xindex>],
// CHECK-SAME:      output_operand_aliases = [],
// CHECK-SAME:      result_layouts = [dense<[1, 0]> : tensor<2xindex>, dense<[1, 0]> : tensor<2xindex>]}>
func.func @fused(%x: tensor<4x32xbf16>, %w: tensor<32xf32>, %s: tensor<f32>) -> (tensor<4x32xbf16>, tensor<4x32xf8E4M3FN>) {
  %0:2 = "fiar.all_reduce_norm"(%x, %w, %s) {
    operandSegmentSizes = array<i32: 1, 0, 1, 1>, resultSegmentSizes = array<i32: 0, 0, 1, 1, 0>,
    eps = 9.99999997E-7 : f64, weight_bias = 1.0 : f32, scale_min = 0.0 : f32, quant = "fp8_static", scale_layout = "linear",
    group_size = 0 : i32, scale_is = "multiplier", norm_input = "rounded", scale_type = "f32",
    norm_rounding = "after_weight", residual_layout = "full", world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>
  } : (tensor<4x32xbf16>, tensor<32xf32>, tensor<f32>) -> (tensor<4x32xbf16>, tensor<4x32xf8E4M3FN>)
  return %0#0, %0#1 : tensor<4x32xbf16>, tensor<4x32xf8E4M3FN>
}

// A mesh's axes are written out: "tp" is the inner one.
// CHECK-LABEL: func.func @mesh_axes
// CHECK:         backend_config = {call_id = 1 : i64, group_ids = array<i64: 0, 1, 2, 3>, group_mode = 3 : i64, groups_count = 2 : i64, world = 2 : i64}
// CHECK:         backend_config = {call_id = 2 : i64, group_ids = array<i64: 0, 2, 1, 3>, group_mode = 3 : i64, groups_count = 2 : i64, world = 2 : i64}
// CHECK-SAME:    operand_layouts = [dense<[2, 1, 0]> : tensor<3xindex>]
func.func @mesh_axes(%x: tensor<2x4x32xf32>) -> tensor<2x4x32xf32> {
  %0 = "fiar.all_reduce"(%x) {world = 2 : i64, groups = #stablehlo.replica_group_mesh_axes<mesh = @mesh, axes = [#stablehlo.axis_ref<name = "tp">]>} : (tensor<2x4x32xf32>) -> tensor<2x4x32xf32>
  %1 = "fiar.all_reduce"(%0) {world = 2 : i64, groups = #stablehlo.replica_group_mesh_axes<mesh = @mesh, axes = [#stablehlo.axis_ref<name = "dp">]>} : (tensor<2x4x32xf32>) -> tensor<2x4x32xf32>
  return %1 : tensor<2x4x32xf32>
}

// The modes of the source's groups. Replicas over all of two partitions become flattened ids.
// CHECK-LABEL: func.func @modes
// CHECK:         group_ids = array<i64: 0, 1>, group_mode = 0 : i64, groups_count = 1 : i64, world = 2 : i64
// CHECK:         group_ids = array<i64: 0, 1, 4, 5, 2, 3, 6, 7>, group_mode = 3 : i64, groups_count = 2 : i64, world = 4 : i64
func.func @modes(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %0 = "fiar.all_reduce"(%x) {world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>, group_mode = "cross_replica"} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  %1 = "fiar.all_reduce"(%0) {world = 4 : i64, groups = dense<[[0, 2], [1, 3]]> : tensor<2x2xi64>, group_mode = "cross_replica_and_partition"} : (tensor<4x32xf32>) -> tensor<4x32xf32>
  return %1 : tensor<4x32xf32>
}

// Rows that come back from their owners.
// CHECK-LABEL: func.func @gather
// CHECK:         call_target_name = "fiar.all_gather_rows"
func.func @gather(%x: tensor<1x32xf32>) -> tensor<4x32xf32> {
  %0 = "fiar.all_gather_rows"(%x) {world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>} : (tensor<1x32xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// Rows that their owner keeps.
// CHECK-LABEL: func.func @take
// CHECK:         call_target_name = "fiar.take_rows"
func.func @take(%x: tensor<5x32xf32>) -> tensor<2x32xf32> {
  %0 = "fiar.take_rows"(%x) {world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>} : (tensor<5x32xf32>) -> tensor<2x32xf32>
  return %0 : tensor<2x32xf32>
}
