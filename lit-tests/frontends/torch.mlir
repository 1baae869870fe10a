// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-check{world=4},fiar-fuse{world=4})' %s 2>/dev/null | FileCheck %s
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-fuse{world=4 report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=TEXT
// Without `world` nobody knows how many ranks a named group has.
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-fuse{report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: 4 all-reduces seen, 0 fused, 4 left
// UNKNOWN: left how many ranks "tp:0" has is not known: neither the option `world` nor the module's attribute fiar.groups says

// TEXT: 4 all-reduces seen, 2 fused, 2 left

// c10d's all-reduce and its wait, the residual, and the norm taken apart; operands broadcast as PyTorch's do.
// CHECK-LABEL: func.func @decomposed
// CHECK-NEXT:    %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %arg1, %arg2) {eps = 9.99999997E-7 : f32, group_mode = "process_group", {{.*}}groups = "tp:0", {{.*}}norm_rounding = "before_weight", {{.*}}world = 4 : i64} : (!torch.vtensor<[4,4096],bf16>, !torch.vtensor<[4,4096],bf16>, !torch.vtensor<[4096],bf16>) -> (!torch.vtensor<[4,4096],bf16>, !torch.vtensor<[4,4096],bf16>)
// CHECK-NEXT:    return %[[F]]#0, %[[F]]#1
func.func @decomposed(%x: !torch.vtensor<[4,4096],bf16>, %r: !torch.vtensor<[4,4096],bf16>, %w: !torch.vtensor<[4096],bf16>) -> (!torch.vtensor<[4,4096],bf16>, !torch.vtensor<[4,4096],bf16>) {
  %sum = torch.constant.str "sum"
  %group = torch.constant.str "tp:0"
  %int1 = torch.constant.int 1
  %int2 = torch.constant.int 2
  %int-1 = torch.constant.int -1
  %int6 = torch.constant.int 6
  %int15 = torch.constant.int 15
  %true = torch.constant.bool true
  %none = torch.constant.none
  %eps = torch.constant.float 9.9999999999999995E-7
  %0 = torch.operator "torch._c10d_functional.all_reduce"(%x, %sum, %group) : (!torch.vtensor<[4,4096],bf16>, !torch.str, !torch.str) -> !torch.vtensor<[4,4096],bf16>
  %1 = torch.operator "torch._c10d_functional.wait_tensor"(%0) : (!torch.vtensor<[4,4096],bf16>) -> !torch.vtensor<[4,4096],bf16>
  %h = torch.aten.add.Tensor %1, %r, %int1 : !torch.vtensor<[4,4096],bf16>, !torch.vtensor<[4,4096],bf16>, !torch.int -> !torch.vtensor<[4,4096],bf16>
  %f = torch.prims.convert_element_type %h, %int6 : !torch.vtensor<[4,4096],bf16>, !torch.int -> !torch.vtensor<[4,4096],f32>
  %q = torch.aten.pow.Tensor_Scalar %f, %int2 : !torch.vtensor<[4,4096],f32>, !torch.int -> !torch.vtensor<[4,4096],f32>
  %dims = torch.prim.ListConstruct %int-1 : (!torch.int) -> !torch.list<int>
  %m = torch.aten.mean.dim %q, %dims, %true, %none : !torch.vtensor<[4,4096],f32>, !torch.list<int>, !torch.bool, !torch.none -> !torch.vtensor<[4,1],f32>
  %e = torch.aten.add.Scalar %m, %eps, %int1 : !torch.vtensor<[4,1],f32>, !torch.float, !torch.int -> !torch.vtensor<[4,1],f32>
  %i = torch.aten.rsqrt %e : !torch.vtensor<[4,1],f32> -> !torch.vtensor<[4,1],f32>
  %y = torch.aten.mul.Tensor %f, %i : !torch.vtensor<[4,4096],f32>, !torch.vtensor<[4,1],f32> -> !torch.vtensor<[4,4096],f32>
  %t = torch.prims.convert_element_type %y, %int15 : !torch.vtensor<[4,4096],f32>, !torch.int -> !torch.vtensor<[4,4096],bf16>
  %n = torch.aten.mul.Tensor %w, %t : !torch.vtensor<[4096],bf16>, !torch.vtensor<[4,4096],bf16> -> !torch.vtensor<[4,4096],bf16>
  return %h, %n : !torch.vtensor<[4,4096],bf16>, !torch.vtensor<[4,4096],bf16>
}

// CHECK-LABEL: func.func @named
// CHECK:         "fiar.all_reduce_norm"(%arg0, %arg1) {eps = 9.99999974E-6 : f32, {{.*}}norm_rounding = "after_weight"
// CHECK-NOT:     aten.rms_norm
func.func @named(%x: !torch.vtensor<[?,4096],f16>, %w: !torch.vtensor<[4096],f16>) -> !torch.vtensor<[?,4096],f16> {
  %group = torch.constant.str "tp:0"
  %int4096 = torch.constant.int 4096
  %eps = torch.constant.float 1.0000000000000001E-5
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!torch.vtensor<[?,4096],f16>, !torch.str) -> !torch.vtensor<[?,4096],f16>
  %dims = torch.prim.ListConstruct %int4096 : (!torch.int) -> !torch.list<int>
  %1 = torch.aten.rms_norm %0, %dims, %w, %eps : !torch.vtensor<[?,4096],f16>, !torch.list<int>, !torch.vtensor<[4096],f16>, !torch.float -> !torch.vtensor<[?,4096],f16>
  return %1 : !torch.vtensor<[?,4096],f16>
}

// alpha = 2 doubles the residual; a maximum over the group is no sum.
// CHECK-LABEL: func.func @left
// CHECK-NOT:     fiar.all_reduce_norm
// TEXT: left no RMSNorm follows: the all-reduced sum goes into torch.aten.add.Tensor
// TEXT: left its reducer is no sum but another reduction
func.func @left(%x: !torch.vtensor<[4,64],bf16>, %w: !torch.vtensor<[64],bf16>) -> (!torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>) {
  %sum = torch.constant.str "sum"
  %max = torch.constant.str "max"
  %group = torch.constant.str "tp:0"
  %int2 = torch.constant.int 2
  %int64 = torch.constant.int 64
  %eps = torch.constant.float 1.0000000000000001E-5
  %dims = torch.prim.ListConstruct %int64 : (!torch.int) -> !torch.list<int>
  %0 = torch.operator "torch._c10d_functional.all_reduce"(%x, %sum, %group) : (!torch.vtensor<[4,64],bf16>, !torch.str, !torch.str) -> !torch.vtensor<[4,64],bf16>
  %1 = torch.aten.add.Tensor %0, %x, %int2 : !torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>, !torch.int -> !torch.vtensor<[4,64],bf16>
  %2 = torch.aten.rms_norm %1, %dims, %w, %eps : !torch.vtensor<[4,64],bf16>, !torch.list<int>, !torch.vtensor<[64],bf16>, !torch.float -> !torch.vtensor<[4,64],bf16>
  %3 = torch.operator "torch._c10d_functional.all_reduce"(%x, %max, %group) : (!torch.vtensor<[4,64],bf16>, !torch.str, !torch.str) -> !torch.vtensor<[4,64],bf16>
  %4 = torch.aten.rms_norm %3, %dims, %w, %eps : !torch.vtensor<[4,64],bf16>, !torch.list<int>, !torch.vtensor<[64],bf16>, !torch.float -> !torch.vtensor<[4,64],bf16>
  return %2, %4 : !torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>
}
