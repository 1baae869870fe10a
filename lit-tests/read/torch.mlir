// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --emit-bytecode | fiar-opt | FileCheck %s

// torch-mlir's ops: operands, a dictionary, and types before and behind an arrow.

// CHECK-LABEL: func.func @norm(
func.func @norm(%x: !torch.vtensor<[4,4096],bf16>, %w: !torch.vtensor<[4096],bf16>) -> !torch.vtensor<[4,4096],bf16> {
  // CHECK: {{.*}} = "torch.constant.int"() <{value = 1 : i64}> : () -> !torch.int
  %int1 = torch.constant.int 1
  %int-1 = torch.constant.int -1
  // CHECK: {{.*}} = "torch.constant.int"() <{value = -1 : i64}> : () -> !torch.int
  // CHECK: {{.*}} = "torch.constant.float"() <{value = 9.9999999747524271E-7 : f64}> : () -> !torch.float
  %float = torch.constant.float 9.9999999747524271E-7
  // CHECK: {{.*}} = "torch.constant.bool"() <{value = true}> : () -> !torch.bool
  %true = torch.constant.bool true
  // CHECK: {{.*}} = "torch.constant.none"() : () -> !torch.none
  %none = torch.constant.none
  // CHECK: {{.*}} = "torch.constant.str"() <{value = "sum"}> : () -> !torch.str
  %str = torch.constant.str "sum"
  // CHECK: {{.*}} = "torch.operator"({{.*}}) <{name = "torch._c10d_functional.all_reduce"}> : (!torch.vtensor<[4,4096],bf16>, !torch.str, !torch.str) -> !torch.vtensor<[4,4096],bf16>
  %0 = torch.operator "torch._c10d_functional.all_reduce"(%x, %str, %str) : (!torch.vtensor<[4,4096],bf16>, !torch.str, !torch.str) -> !torch.vtensor<[4,4096],bf16>
  // CHECK: {{.*}} = "torch.aten.mul.Tensor"({{.*}}) : (!torch.vtensor<[4,4096],bf16>, !torch.vtensor<[4,4096],bf16>) -> !torch.vtensor<[4,4096],bf16>
  %1 = torch.aten.mul.Tensor %0, %x : !torch.vtensor<[4,4096],bf16>, !torch.vtensor<[4,4096],bf16> -> !torch.vtensor<[4,4096],bf16>
  // CHECK: {{.*}} = "torch.prim.ListConstruct"({{.*}}) : (!torch.int) -> !torch.list<int>
  %2 = torch.prim.ListConstruct %int-1 : (!torch.int) -> !torch.list<int>
  // CHECK: {{.*}} = "torch.prim.ListConstruct"() : () -> !torch.list<int>
  %3 = torch.prim.ListConstruct  : () -> !torch.list<int>
  // CHECK: {{.*}} = "torch.aten.mean.dim"({{.*}}) : (!torch.vtensor<[4,4096],bf16>, !torch.list<int>, !torch.bool, !torch.none) -> !torch.vtensor<[4,1],bf16>
  %4 = torch.aten.mean.dim %1, %2, %true, %none : !torch.vtensor<[4,4096],bf16>, !torch.list<int>, !torch.bool, !torch.none -> !torch.vtensor<[4,1],bf16>
  // CHECK: {{.*}} = "torch.vtensor.literal"() <{value = dense<1.000000e+00> : tensor<1xf32>}> : () -> !torch.vtensor<[1],f32>
  %5 = torch.vtensor.literal(dense<1.0> : tensor<1xf32>) : !torch.vtensor<[1],f32>
  // CHECK: {{.*}} = "torch_c.to_builtin_tensor"({{.*}}) : (!torch.vtensor<[4,4096],bf16>) -> tensor<4x4096xbf16>
  %6 = torch_c.to_builtin_tensor %x : !torch.vtensor<[4,4096],bf16> -> tensor<4x4096xbf16>
  return %1 : !torch.vtensor<[4,4096],bf16>
}

// CHECK-LABEL: func.func @mutating(
func.func @mutating(%x: !torch.vtensor<[4],f32>) {
  // CHECK: {{.*}} = "torch.copy.to_tensor"({{.*}}) : (!torch.vtensor<[4],f32>) -> !torch.tensor<[4],f32>
  %0 = torch.copy.to_tensor %x : !torch.tensor<[4],f32>
  // CHECK: {{.*}} = "torch.copy.to_vtensor"({{.*}}) : (!torch.tensor<[4],f32>) -> !torch.vtensor<[4],f32>
  %1 = torch.copy.to_vtensor %0 : !torch.vtensor<[4],f32>
  // CHECK: "torch.overwrite.tensor.contents"({{.*}}) : (!torch.vtensor<[4],f32>, !torch.tensor<[4],f32>) -> ()
  torch.overwrite.tensor.contents %1 overwrites %0 : !torch.vtensor<[4],f32>, !torch.tensor<[4],f32>
  // CHECK: "torch.operator"({{.*}}) <{name = "torch._C.static_scaled_fp8_quant"}> : (!torch.tensor<[4],f32>, !torch.vtensor<[4],f32>) -> ()
  torch.operator "torch._C.static_scaled_fp8_quant"(%0, %1) : (!torch.tensor<[4],f32>, !torch.vtensor<[4],f32>) -> ()
  // CHECK: {{.*}} = "torch.tensor_static_info_cast"({{.*}}) : (!torch.vtensor<[4],f32>) -> !torch.vtensor<[?],f32>
  %2 = torch.tensor_static_info_cast %1 : !torch.vtensor<[4],f32> to !torch.vtensor<[?],f32>
  // CHECK: {{.*}} = "torch.constant.none"() : () -> !torch.none
  %none = torch.constant.none
  // CHECK: {{.*}} = "torch.derefine"({{.*}}) : (!torch.none) -> !torch.optional<int>
  %3 = torch.derefine %none : !torch.none to !torch.optional<int>
  // CHECK: {{.*}} = "torch.constant.device"() <{value = "cuda:0"}> : () -> !torch.Device
  %device = torch.constant.device "cuda:0"
  return
}

// CHECK-LABEL: func.func @regions(
// CHECK:         "torch.operator"({{.*}}) <{name = "onnx.If"}> ({
// CHECK:         }, {
// CHECK:         }) : (!torch.vtensor<[1],i1>) -> !torch.vtensor<[1],f32>
// CHECK:         "torch.operator"({{.*}}) <{name = "onnx.Loop"}> ({
// CHECK-NEXT:    ^bb0(%{{.*}}: !torch.vtensor<[1],f32>):
func.func @regions(%c: !torch.vtensor<[1],i1>, %x: !torch.vtensor<[1],f32>) -> !torch.vtensor<[1],f32> {
  %0 = torch.operator "onnx.If"(%c) : (!torch.vtensor<[1],i1>) -> !torch.vtensor<[1],f32> {
    torch.operator_terminator %x : !torch.vtensor<[1],f32>
  }, {
    torch.operator_terminator %x : !torch.vtensor<[1],f32>
  }
  %1 = torch.operator "onnx.Loop"(%0) : (!torch.vtensor<[1],f32>) -> !torch.vtensor<[1],f32> {
  ^bb0(%a: !torch.vtensor<[1],f32>):
    torch.operator_terminator %a : !torch.vtensor<[1],f32>
  }
  return %1 : !torch.vtensor<[1],f32>
}
