// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --emit-bytecode | fiar-opt | FileCheck %s

// Tuples, calls and ops with regions, in short and long form.

// CHECK-LABEL: func.func @tuples_and_calls(
func.func @tuples_and_calls(%a: tensor<4xf32>, %b: tensor<i32>) {
  // CHECK: {{.*}} = "stablehlo.tuple"({{.*}}) : (tensor<4xf32>, tensor<i32>) -> tuple<tensor<4xf32>, tensor<i32>>
  %0 = stablehlo.tuple %a, %b : tuple<tensor<4xf32>, tensor<i32>>
  // CHECK: {{.*}} = "stablehlo.get_tuple_element"({{.*}}) <{index = 1 : i32}> : (tuple<tensor<4xf32>, tensor<i32>>) -> tensor<i32>
  %1 = stablehlo.get_tuple_element %0[1] : (tuple<tensor<4xf32>, tensor<i32>>) -> tensor<i32>
  // CHECK: {{.*}} = "stablehlo.tuple"({{.*}}) {a.b} : (tuple<tensor<4xf32>, tensor<i32>>) -> tuple<tuple<tensor<4xf32>, tensor<i32>>>
  %2 = stablehlo.tuple %0 {a.b} : tuple<tuple<tensor<4xf32>, tensor<i32>>>
  // CHECK: {{.*}} = "stablehlo.custom_call"({{.*}}) <{call_target_name = "foo"}> : (tensor<4xf32>, tensor<i32>) -> tensor<4xf32>
  %3 = stablehlo.custom_call @foo(%a, %b) : (tensor<4xf32>, tensor<i32>) -> tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.custom_call"({{.*}}) <{api_version = 4 : i32, backend_config = {bar = 42 : i32}, call_target_name = "all-reduce-start", called_computations = [@impl], has_side_effect = true, operand_layouts = [dense<0> : tensor<1xindex>], output_operand_aliases = [#stablehlo.output_operand_alias<output_tuple_indices = [0], operand_index = 0, operand_tuple_indices = []>], result_layouts = [dense<0> : tensor<1xindex>, dense<0> : tensor<1xindex>]}> {mhlo.sharding = "{replicated}"} : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  %4:2 = stablehlo.custom_call @"all-reduce-start"(%a) {api_version = 4 : i32, backend_config = {bar = 42 : i32}, called_computations = [@impl], has_side_effect = true, mhlo.sharding = "{replicated}", operand_layouts = [dense<0> : tensor<1xindex>], output_operand_aliases = [#stablehlo.output_operand_alias<output_tuple_indices = [0], operand_index = 0, operand_tuple_indices = []>], result_layouts = [dense<0> : tensor<1xindex>, dense<0> : tensor<1xindex>]} : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  // CHECK: "stablehlo.custom_call"() <{call_target_name = "sink", has_side_effect = true}> : () -> ()
  stablehlo.custom_call @sink() {has_side_effect = true} : () -> ()
  // CHECK: {{.*}} = "stablehlo.composite"({{.*}}) <{composite_attributes = {epsilon = 9.99999997E-7 : f32}, decomposition = @impl, name = "aten.rms_norm", version = 1 : i32}> : (tensor<4xf32>) -> tensor<4xf32>
  %5 = stablehlo.composite "aten.rms_norm" %a {composite_attributes = {epsilon = 9.99999997E-7 : f32}, decomposition = @impl, version = 1 : i32} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.optimization_barrier"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %6 = stablehlo.optimization_barrier %a : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.optimization_barrier"({{.*}}) : (tensor<4xf32>, tensor<i32>) -> (tensor<4xf32>, tensor<i32>)
  %7:2 = stablehlo.optimization_barrier %a, %b : tensor<4xf32>, tensor<i32>
  // CHECK: "stablehlo.optimization_barrier"() : () -> ()
  stablehlo.optimization_barrier ()
  return
}
// CHECK-LABEL: func.func private @impl(
func.func private @impl(%a: tensor<4xf32>) -> tensor<4xf32> {
  return %a : tensor<4xf32>
}

// CHECK-LABEL: func.func @reduces(
func.func @reduces(%x: tensor<4x8xf32>, %i: tensor<4x8xi32>, %c: tensor<f32>, %d: tensor<i32>) {
  // CHECK: {{.*}} = "stablehlo.reduce"({{.*}}) <{dimensions = array<i64: 1>}> ({
  %0 = stablehlo.reduce(%x init: %c) applies stablehlo.add across dimensions = [1] : (tensor<4x8xf32>, tensor<f32>) -> tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.add"({{.*}}) : (tensor<f32>, tensor<f32>) -> tensor<f32>
  // CHECK: "stablehlo.return"({{.*}}) : (tensor<f32>) -> ()
  // CHECK: {{.*}} = "stablehlo.reduce"({{.*}}) <{dimensions = array<i64: 0, 1>}> ({
  %1 = stablehlo.reduce(%x init: %c) applies stablehlo.maximum across dimensions = [0, 1] {a.b = 1 : i32} : (tensor<4x8xf32>, tensor<f32>) -> tensor<f32>
  // CHECK: {{.*}} = "stablehlo.maximum"({{.*}}) : (tensor<f32>, tensor<f32>) -> tensor<f32>
  // CHECK: "stablehlo.return"({{.*}}) : (tensor<f32>) -> ()
  // CHECK: {{.*}} = "stablehlo.reduce"({{.*}}) <{dimensions = array<i64: 1>}> ({
  %2:2 = stablehlo.reduce(%x init: %c), (%i init: %d) across dimensions = [1] : (tensor<4x8xf32>, tensor<4x8xi32>, tensor<f32>, tensor<i32>) -> (tensor<4xf32>, tensor<4xi32>)
    reducer(%a: tensor<f32>, %b: tensor<f32>) (%e: tensor<i32>, %f: tensor<i32>) {
    // CHECK: {{.*}} = "stablehlo.add"({{.*}}) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    %5 = stablehlo.add %a, %b : tensor<f32>
    // CHECK: {{.*}} = "stablehlo.maximum"({{.*}}) : (tensor<i32>, tensor<i32>) -> tensor<i32>
    %6 = stablehlo.maximum %e, %f : tensor<i32>
    // CHECK: "stablehlo.return"({{.*}}) : (tensor<f32>, tensor<i32>) -> ()
    stablehlo.return %5, %6 : tensor<f32>, tensor<i32>
  }
  return
}

// CHECK-LABEL: func.func @loops(
func.func @loops(%n: tensor<i32>, %x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: {{.*}} = "stablehlo.while"({{.*}}) ({
  %0:2 = stablehlo.while(%iter = %n, %acc = %x) : tensor<i32>, tensor<4xf32>
   cond {
    // CHECK: {{.*}} = "stablehlo.compare"({{.*}}) <{compare_type = #stablehlo<comparison_type SIGNED>, comparison_direction = #stablehlo<comparison_direction LT>}> : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %1 = stablehlo.compare LT, %iter, %n, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    // CHECK: "stablehlo.return"({{.*}}) : (tensor<i1>) -> ()
    stablehlo.return %1 : tensor<i1>
  } do {
    // CHECK: {{.*}} = "stablehlo.add"({{.*}}) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = stablehlo.add %acc, %x : tensor<4xf32>
    // CHECK: "stablehlo.return"({{.*}}) : (tensor<i32>, tensor<4xf32>) -> ()
    stablehlo.return %iter, %1 : tensor<i32>, tensor<4xf32>
  }
  // CHECK: {{.*}} = "stablehlo.while"({{.*}}) ({
  %2 = stablehlo.while(%iter = %n) : tensor<i32> attributes {a.b = "c"}
   cond {
    // CHECK: {{.*}} = "stablehlo.constant"() <{value = dense<false> : tensor<i1>}> : () -> tensor<i1>
    %1 = stablehlo.constant dense<false> : tensor<i1>
    // CHECK: "stablehlo.return"({{.*}}) : (tensor<i1>) -> ()
    stablehlo.return %1 : tensor<i1>
  } do {
    // CHECK: "stablehlo.return"({{.*}}) : (tensor<i32>) -> ()
    stablehlo.return %iter : tensor<i32>
  }
  // CHECK: {{.*}} = "stablehlo.case"({{.*}}) ({
  %3 = "stablehlo.case"(%n) ({
    // CHECK: "stablehlo.return"({{.*}}) : (tensor<4xf32>) -> ()
    stablehlo.return %x : tensor<4xf32>
  }, {
    // CHECK: {{.*}} = "stablehlo.negate"({{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
    %1 = stablehlo.negate %x : tensor<4xf32>
    // CHECK: "stablehlo.return"({{.*}}) : (tensor<4xf32>) -> ()
    stablehlo.return %1 : tensor<4xf32>
  }) : (tensor<i32>) -> tensor<4xf32>
  return %3 : tensor<4xf32>
}

// CHECK-LABEL: func.func @collectives(
func.func @collectives(%x: tensor<4xf32>, %t: !stablehlo.token) {
  // CHECK: {{.*}} = "stablehlo.all_reduce"({{.*}}) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<{{\[\[}}0, 1], [2, 3]]> : tensor<2x2xi64>, use_global_device_ids}> ({
  %0 = "stablehlo.all_reduce"(%x) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>, replica_groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>, use_global_device_ids}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    // CHECK: {{.*}} = "stablehlo.add"({{.*}}) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    %1 = stablehlo.add %a, %b : tensor<f32>
    // CHECK: "stablehlo.return"({{.*}}) : (tensor<f32>) -> ()
    stablehlo.return %1 : tensor<f32>
  }) : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.send"({{.*}}) <{channel_handle = #stablehlo.channel_handle<handle = 5, type = 2>, is_host_transfer = true}> : (tensor<4xf32>, !stablehlo.token) -> !stablehlo.token
  %2 = "stablehlo.send"(%x, %t) <{channel_handle = #stablehlo.channel_handle<handle = 5, type = 2>, is_host_transfer = true}> : (tensor<4xf32>, !stablehlo.token) -> !stablehlo.token
  return
}
