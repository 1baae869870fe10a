// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-check{world=4},fiar-fuse{world=4})' %s 2>/dev/null | FileCheck %s
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-fuse{world=4 report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=TEXT
// Without `world` nobody knows how many ranks a named group has.
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-fuse{report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: 5 all-reduces seen, 0 fused, 5 left
// UNKNOWN: left how many ranks "tp:0" has is not known: neither the option `world` nor the module's attribute fiar.groups says

// TEXT: 5 all-reduces seen, 3 fused, 2 left

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

// A division by a root, 1 + w in f32, and a quantiser in scalars.
// TEXT: fused residual + RMSNorm(1 + w) + fp8_token world 4
// CHECK-LABEL: func.func @gemma_tok
// CHECK:         %[[F:.*]]:3 = "fiar.all_reduce_norm"(%arg0, %arg1, %arg2) {{.*}}norm_rounding = "after_weight"{{.*}}quant = "fp8_token"{{.*}}scale_is = "divisor"
// CHECK-NEXT:    return %[[F]]#0, %[[F]]#1, %[[F]]#2
!x = !torch.vtensor<[4,64],bf16>
!f = !torch.vtensor<[4,64],f32>
!c = !torch.vtensor<[4,1],f32>
!w = !torch.vtensor<[64],bf16>
!wf = !torch.vtensor<[64],f32>
!q = !torch.vtensor<[4,64],f8E4M3FN>
!s = !torch.vtensor<[],f32>
func.func @gemma_tok(%x: !x, %r: !x, %w: !w) -> (!x, !q, !c) {
  %group = torch.constant.str "tp:0"
  %int1 = torch.constant.int 1
  %int2 = torch.constant.int 2
  %int-1 = torch.constant.int -1
  %int6 = torch.constant.int 6
  %int15 = torch.constant.int 15
  %int24 = torch.constant.int 24
  %float1 = torch.constant.float 1.0
  %true = torch.constant.bool true
  %false = torch.constant.bool false
  %none = torch.constant.none
  %eps = torch.constant.float 1.0e-6
  %range = torch.constant.float 4.48e2
  %low = torch.constant.float -4.48e2
  %floor = torch.constant.float 1.0e-12
  %dims = torch.prim.ListConstruct %int-1 : (!torch.int) -> !torch.list<int>
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %h = torch.aten.add.Tensor %0, %r, %int1 : !x, !x, !torch.int -> !x
  %f = torch.aten.to.dtype %h, %int6, %false, %false, %none : !x, !torch.int, !torch.bool, !torch.bool, !torch.none -> !f
  %sq = torch.aten.mul.Tensor %f, %f : !f, !f -> !f
  %m = torch.aten.mean.dim %sq, %dims, %true, %none : !f, !torch.list<int>, !torch.bool, !torch.none -> !c
  %e = torch.aten.add.Scalar %m, %eps, %int1 : !c, !torch.float, !torch.int -> !c
  %rt = torch.aten.sqrt %e : !c -> !c
  %y = torch.aten.div.Tensor %f, %rt : !f, !c -> !f
  %wf = torch.aten._to_copy %w, %int6, %none, %none, %none, %false, %none : !w, !torch.int, !torch.none, !torch.none, !torch.none, !torch.bool, !torch.none -> !wf
  %w1 = torch.aten.add.Scalar %wf, %float1, %int1 : !wf, !torch.float, !torch.int -> !wf
  %n32 = torch.aten.mul.Tensor %y, %w1 : !f, !wf -> !f
  %n = torch.prims.convert_element_type %n32, %int15 : !f, !torch.int -> !x
  %nf = torch.prims.convert_element_type %n, %int6 : !x, !torch.int -> !f
  %a = torch.aten.abs %nf : !f -> !f
  %am = torch.aten.amax %a, %dims, %true : !f, !torch.list<int>, !torch.bool -> !c
  %st = torch.aten.div.Scalar %am, %range : !c, !torch.float -> !c
  %sc = torch.aten.clamp_min %st, %floor : !c, !torch.float -> !c
  %d = torch.aten.div.Tensor %nf, %sc : !f, !c -> !f
  %cl = torch.aten.clamp %d, %low, %range : !f, !torch.float, !torch.float -> !f
  %q = torch.prims.convert_element_type %cl, %int24 : !f, !torch.int -> !q
  return %h, %q, %sc : !x, !q, !c
}
