// RUN: fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-check{rewrite=raise-separate world=2},fiar-check{rewrite=fuse-and-raise world=2})' %s -o /dev/null
// What is written in place between a norm's ops is what they read, here as in fiar-fuse.

func.func @residual_overwritten(%x: !torch.vtensor<[4,64],bf16>, %r: !torch.vtensor<[4,64],bf16>, %w: !torch.vtensor<[64],bf16>) -> (!torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>) {
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
  %0 = torch.operator "torch._c10d_functional.all_reduce"(%x, %sum, %group) : (!torch.vtensor<[4,64],bf16>, !torch.str, !torch.str) -> !torch.vtensor<[4,64],bf16>
  %1 = torch.operator "torch._c10d_functional.wait_tensor"(%0) : (!torch.vtensor<[4,64],bf16>) -> !torch.vtensor<[4,64],bf16>
  %junk = torch.operator "torch.aten.copy_"(%r, %x) : (!torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>) -> !torch.vtensor<[4,64],bf16>
  %h = torch.aten.add.Tensor %1, %r, %int1 : !torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>, !torch.int -> !torch.vtensor<[4,64],bf16>
  %f = torch.prims.convert_element_type %h, %int6 : !torch.vtensor<[4,64],bf16>, !torch.int -> !torch.vtensor<[4,64],f32>
  %q = torch.aten.pow.Tensor_Scalar %f, %int2 : !torch.vtensor<[4,64],f32>, !torch.int -> !torch.vtensor<[4,64],f32>
  %dims = torch.prim.ListConstruct %int-1 : (!torch.int) -> !torch.list<int>
  %m = torch.aten.mean.dim %q, %dims, %true, %none : !torch.vtensor<[4,64],f32>, !torch.list<int>, !torch.bool, !torch.none -> !torch.vtensor<[4,1],f32>
  %e = torch.aten.add.Scalar %m, %eps, %int1 : !torch.vtensor<[4,1],f32>, !torch.float, !torch.int -> !torch.vtensor<[4,1],f32>
  %i = torch.aten.rsqrt %e : !torch.vtensor<[4,1],f32> -> !torch.vtensor<[4,1],f32>
  %y = torch.aten.mul.Tensor %f, %i : !torch.vtensor<[4,64],f32>, !torch.vtensor<[4,1],f32> -> !torch.vtensor<[4,64],f32>
  %t = torch.prims.convert_element_type %y, %int15 : !torch.vtensor<[4,64],f32>, !torch.int -> !torch.vtensor<[4,64],bf16>
  %n = torch.aten.mul.Tensor %w, %t : !torch.vtensor<[64],bf16>, !torch.vtensor<[4,64],bf16> -> !torch.vtensor<[4,64],bf16>
  return %h, %n : !torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>
}

// -----

func.func @sum_changed(%x: !torch.vtensor<[4,64],bf16>, %r: !torch.vtensor<[4,64],bf16>, %w: !torch.vtensor<[64],bf16>) -> (!torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>) {
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
  %0 = torch.operator "torch._c10d_functional.all_reduce"(%x, %sum, %group) : (!torch.vtensor<[4,64],bf16>, !torch.str, !torch.str) -> !torch.vtensor<[4,64],bf16>
  %1 = torch.operator "torch._c10d_functional.wait_tensor"(%0) : (!torch.vtensor<[4,64],bf16>) -> !torch.vtensor<[4,64],bf16>
  %h = torch.aten.add.Tensor %1, %r, %int1 : !torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>, !torch.int -> !torch.vtensor<[4,64],bf16>
  %junk = torch.operator "torch.aten.mul_.Tensor"(%h, %r) : (!torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>) -> !torch.vtensor<[4,64],bf16>
  %f = torch.prims.convert_element_type %h, %int6 : !torch.vtensor<[4,64],bf16>, !torch.int -> !torch.vtensor<[4,64],f32>
  %q = torch.aten.pow.Tensor_Scalar %f, %int2 : !torch.vtensor<[4,64],f32>, !torch.int -> !torch.vtensor<[4,64],f32>
  %dims = torch.prim.ListConstruct %int-1 : (!torch.int) -> !torch.list<int>
  %m = torch.aten.mean.dim %q, %dims, %true, %none : !torch.vtensor<[4,64],f32>, !torch.list<int>, !torch.bool, !torch.none -> !torch.vtensor<[4,1],f32>
  %e = torch.aten.add.Scalar %m, %eps, %int1 : !torch.vtensor<[4,1],f32>, !torch.float, !torch.int -> !torch.vtensor<[4,1],f32>
  %i = torch.aten.rsqrt %e : !torch.vtensor<[4,1],f32> -> !torch.vtensor<[4,1],f32>
  %y = torch.aten.mul.Tensor %f, %i : !torch.vtensor<[4,64],f32>, !torch.vtensor<[4,1],f32> -> !torch.vtensor<[4,64],f32>
  %t = torch.prims.convert_element_type %y, %int15 : !torch.vtensor<[4,64],f32>, !torch.int -> !torch.vtensor<[4,64],bf16>
  %n = torch.aten.mul.Tensor %w, %t : !torch.vtensor<[64],bf16>, !torch.vtensor<[4,64],bf16> -> !torch.vtensor<[4,64],bf16>
  return %h, %n : !torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>
}
