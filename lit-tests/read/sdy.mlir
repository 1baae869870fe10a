// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --emit-bytecode | fiar-opt | FileCheck %s

// CHECK: "sdy.mesh"() <{mesh = #sdy.mesh<["x"=2, "y"=4]>, sym_name = "mesh"}> {stablehlo.mesh = {axes = []}} : () -> ()
sdy.mesh @mesh = <["x"=2, "y"=4]> {stablehlo.mesh = {axes = []}}
// CHECK: "sdy.mesh"() <{mesh = #sdy.mesh<["x"=2, "y"=2], device_ids=[0, 2, 1, 3]>, sym_name = "ids"}> : () -> ()
sdy.mesh @ids = <["x"=2, "y"=2], device_ids=[0, 2, 1, 3]>
// CHECK: "sdy.mesh"() <{mesh = #sdy.mesh<[]>, sym_name = "empty"}> : () -> ()
sdy.mesh @empty = <[]>
// CHECK: "sdy.mesh"() <{mesh = #sdy.mesh<[], device_ids=[0]>, sym_name = "one"}> : () -> ()
sdy.mesh @one = <[], device_ids=[0]>

// CHECK-LABEL: func.func @shardings(
func.func @shardings(%x: tensor<8x16xf32>) {
  // CHECK: {{.*}} = "sdy.sharding_constraint"({{.*}}) <{sharding = #sdy.sharding<@mesh, [{"x"}, {?}], replicated={"y"}>}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %0 = sdy.sharding_constraint %x <@mesh, [{"x"}, {?}], replicated={"y"}> : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.reshard"({{.*}}) <{sharding = #sdy.sharding<@mesh, [{"x", "y":(1)2}, {}p1]>}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %1 = sdy.reshard %x <@mesh, [{"x", "y":(1)2}, {}p1]> : tensor<8x16xf32>
  // CHECK: "sdy.sharding_group"({{.*}}) <{group_id = 21 : i64}> : (tensor<8x16xf32>) -> ()
  sdy.sharding_group %x group_id=21 : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.propagation_barrier"({{.*}}) <{allowed_direction = 2 : i32}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %2 = sdy.propagation_barrier %x allowed_direction=BACKWARD : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.constant"() <{value = dense<1.000000e+00> : tensor<4xf32>}> : () -> tensor<4xf32>
  %3 = sdy.constant dense<1.0> : tensor<4xf32>
  // CHECK: {{.*}} = "stablehlo.add"({{.*}}) {sdy.sharding_rule = #sdy.op_sharding_rule<([i, j], [i, j])->([i, j]) {i=8, j=16}>} : (tensor<8x16xf32>, tensor<8x16xf32>) -> tensor<8x16xf32>
  %4 = stablehlo.add %x, %x {sdy.sharding_rule = #sdy.op_sharding_rule<([i, j], [i, j])->([i, j]) {i=8, j=16}>} : tensor<8x16xf32>
  return
}

// CHECK-LABEL: func.func @edges(
func.func @edges(%x: tensor<8x16xf32>) {
  // CHECK: {{.*}} = "sdy.data_flow_edge"({{.*}}) <{sharding = #sdy.sharding<@mesh, [{"x"}, {}]>}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %0 = sdy.data_flow_edge %x sharding=<@mesh, [{"x"}, {}]> : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.data_flow_edge"({{.*}}) : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %1 = sdy.data_flow_edge %x : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.func_data_flow_edge"({{.*}}) : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %2 = sdy.func_data_flow_edge %x : tensor<8x16xf32>
  return
}

// CHECK-LABEL: func.func @collectives(
func.func @collectives(%x: tensor<8x16xf32> {sdy.sharding = #sdy.sharding<@mesh, [{"x"}, {}]>}) {
  // CHECK: {{.*}} = "sdy.all_gather"({{.*}}) <{gathering_axes = #sdy<list_of_axis_ref_lists[{"x"}, {}]>, out_sharding = #sdy.sharding<@mesh, [{}, {}]>}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %0 = sdy.all_gather [{"x"}, {}] %x out_sharding=<@mesh, [{}, {}]> : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.all_slice"({{.*}}) <{out_sharding = #sdy.sharding<@mesh, [{"x", "y"}, {}]>, slicing_axes = #sdy<list_of_axis_ref_lists[{"y"}, {}]>}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %1 = sdy.all_slice [{"y"}, {}] %x out_sharding=<@mesh, [{"x", "y"}, {}]> : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.all_to_all"({{.*}}) <{out_sharding = #sdy.sharding<@mesh, [{}, {"x"}]>, params = #sdy<all_to_all_param_list[{"x"}: 0->1]>}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %2 = sdy.all_to_all [{"x"}: 0->1] %x out_sharding=<@mesh, [{}, {"x"}]> : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.collective_permute"({{.*}}) <{out_sharding = #sdy.sharding<@mesh, [{"x"}, {}]>}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %3 = sdy.collective_permute %x out_sharding=<@mesh, [{"x"}, {}]> : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.all_reduce"({{.*}}) <{out_sharding = #sdy.sharding<@mesh, [{"x"}, {}]>, reduction_axes = #sdy<axis_ref_list{"y"}>}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %4 = sdy.all_reduce {"y"} %x out_sharding=<@mesh, [{"x"}, {}]> : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.all_reduce"({{.*}}) <{out_sharding = #sdy.sharding<@mesh, [{"x"}, {}]>, reduction_axes = #sdy<axis_ref_list{"y":(2)2}>, reduction_op = 1 : i32}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %5 = sdy.all_reduce max {"y":(2)2} %x out_sharding=<@mesh, [{"x"}, {}]> : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.sharded_to_unreduced"({{.*}}) <{axes = #sdy<list_of_axis_ref_lists[{"x"}, {}]>, out_sharding = #sdy.sharding<@mesh, [{}, {}], unreduced={"x"}>}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %6 = sdy.sharded_to_unreduced [{"x"}, {}] %x out_sharding=<@mesh, [{}, {}], unreduced={"x"}> : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.replicated_to_unreduced"({{.*}}) <{axes = #sdy<axis_ref_list{"x"}>, out_sharding = #sdy.sharding<@mesh, [{}, {}], unreduced={"x"}>}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %7 = sdy.replicated_to_unreduced {"x"} %x out_sharding=<@mesh, [{}, {}], unreduced={"x"}> : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.reduce_scatter"({{.*}}) <{out_sharding = #sdy.sharding<@mesh, [{"x"}, {"y"}]>, reduce_scatter_axes = #sdy<list_of_axis_ref_lists[{}, {"y"}]>, reduction_op = 2 : i32}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %8 = sdy.reduce_scatter min [{}, {"y"}] %x out_sharding=<@mesh, [{"x"}, {"y"}]> : tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.reduce_scatter"({{.*}}) <{out_sharding = #sdy.sharding<@mesh, [{"x"}, {"y"}]>, reduce_scatter_axes = #sdy<list_of_axis_ref_lists[{}, {"y"}]>}> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %9 = sdy.reduce_scatter [{}, {"y"}] %x out_sharding=<@mesh, [{"x"}, {"y"}]> : tensor<8x16xf32>
  return
}

// CHECK-LABEL: func.func @computations(
func.func @computations(%x: tensor<8x16xf32>, %y: tensor<16xf32>) {
  // CHECK: {{.*}} = "sdy.manual_computation"({{.*}}) <{in_shardings = #sdy.sharding_per_value<[<@mesh, [{"x"}, {}]>, <@mesh, [{}]>]>, manual_axes = #sdy<manual_axes{"x"}>, out_shardings = #sdy.sharding_per_value<[<@mesh, [{"x"}, {}]>]>}> ({
  %0 = sdy.manual_computation(%x, %y) in_shardings=[<@mesh, [{"x"}, {}]>, <@mesh, [{}]>] out_shardings=[<@mesh, [{"x"}, {}]>] manual_axes={"x"} (%a: tensor<4x16xf32>, %b: tensor<16xf32>) {
    // CHECK: {{.*}} = "stablehlo.add"({{.*}}) : (tensor<4x16xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
    %1 = stablehlo.add %a, %a : tensor<4x16xf32>
    // CHECK: "sdy.return"({{.*}}) : (tensor<4x16xf32>) -> ()
    sdy.return %1 : tensor<4x16xf32>
  } {a.b} : (tensor<8x16xf32>, tensor<16xf32>) -> tensor<8x16xf32>
  // CHECK: "sdy.manual_computation"() <{in_shardings = #sdy.sharding_per_value<[]>, manual_axes = #sdy<manual_axes{}>, out_shardings = #sdy.sharding_per_value<[]>}> ({
  sdy.manual_computation() in_shardings=[] out_shardings=[] manual_axes={} () {
    // CHECK: "sdy.return"() : () -> ()
    sdy.return
  } : () -> ()
  // CHECK: {{.*}} = "sdy.named_computation"({{.*}}) <{in_shardings = #sdy.sharding_per_value<[<@mesh, [{"x"}, {}]>]>, name = "f", out_shardings = #sdy.sharding_per_value<[<@mesh, [{}, {}]>]>}> ({
  %2 = sdy.named_computation<"f">(%x) in_shardings=[<@mesh, [{"x"}, {}]>] out_shardings=[<@mesh, [{}, {}]>] (%a: tensor<8x16xf32>) {
    // CHECK: "sdy.return"({{.*}}) : (tensor<8x16xf32>) -> ()
    sdy.return %a : tensor<8x16xf32>
  } : (tensor<8x16xf32>) -> tensor<8x16xf32>
  // CHECK: {{.*}} = "sdy.named_computation"({{.*}}) <{name = "g"}> ({
  %3 = sdy.named_computation<"g">(%x) (%a: tensor<8x16xf32>) {
    // CHECK: "sdy.return"({{.*}}) : (tensor<8x16xf32>) -> ()
    sdy.return %a : tensor<8x16xf32>
  } : (tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}
