// RUN: split-file %s %t
// RUN: fiar-opt --fiar-lower-to-ffi %t/ids.mlir | FileCheck %s --check-prefix=IDS
// RUN: fiar-opt --fiar-lower-to-ffi %t/number.mlir | FileCheck %s --check-prefix=NUMBER
// RUN: fiar-opt --fiar-lower-to-ffi --verify-diagnostics %t/no_ids.mlir
// RUN: fiar-opt --fiar-lower-to-runtime %t/no_ids.mlir | FileCheck %s --check-prefix=RUNTIME
// RUN: fiar-opt --fiar-lower-to-runtime --split-input-file --verify-diagnostics %t/left.mlir
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-check,fiar-fuse{report=text})' %t/fuse.mlir 2>&1 | FileCheck %s --check-prefix=FUSE
// RUN: not fiar-opt --fiar-fuse %t/twice.mlir 2>&1 | FileCheck %s --check-prefix=TWICE

// A group with a name is a communicator; which ranks it has, the module's attribute fiar.groups says.

//--- ids.mlir
// IDS: group_ids = array<i64: 0, 1, 2, 3>, group_mode = 3 : i64, group_size = 0 : i64, groups_count = 2 : i64, {{.*}}world = 2 : i64
module attributes {fiar.groups = {"ep:0" = 8 : i64, "tp:0" = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>}} {
  func.func @f(%x: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> tensor<4x64xbf16> {
    %n = "fiar.all_reduce_norm"(%x, %w) {eps = 1.0e-6 : f32, group_mode = "process_group", group_size = 0 : i64, groups = "tp:0", norm_input = "rounded", norm_rounding = "before_weight", operandSegmentSizes = array<i32: 1, 0, 1, 0>, quant = "none", residual_layout = "full", resultSegmentSizes = array<i32: 0, 0, 1, 0, 0>, scale_is = "divisor", scale_layout = "linear", scale_min = 0.0 : f32, scale_type = "f32", weight_bias = 0.0 : f32, world = 2 : i64} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    return %n : tensor<4x64xbf16>
  }
}

//--- number.mlir
// NUMBER: group_ids = array<i64: 0, 1, 2, 3>, group_mode = 3 : i64, groups_count = 1 : i64, world = 4 : i64
module attributes {fiar.groups = {"tp:0" = 4 : i64}} {
  func.func @f(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
    %n = "fiar.all_reduce"(%x) {groups = "tp:0", world = 4 : i64} : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    return %n : tensor<4x64xbf16>
  }
}

//--- no_ids.mlir
// The runtime asks for no ids: the names are its communicators 0 and 1.
// RUNTIME: llvm.call @fiar_rt_check_world(%{{.*}}, %{{.*}}, %{{.*}})
// RUNTIME: llvm.call @fiar_rt_check_world(%{{.*}}, %{{.*}}, %{{.*}})
// RUNTIME-NOT: fiar_rt_check_world
func.func @f(%x: tensor<4x64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>) {
  // expected-error@below {{which ranks the group "tp:0" has is not known: the module's attribute fiar.groups does not say}}
  %n = "fiar.all_reduce"(%x) {groups = "tp:0", world = 4 : i64} : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %m = "fiar.all_reduce"(%n) {groups = "ep:0", world = 8 : i64} : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %o = "fiar.all_reduce"(%m) {groups = "tp:0", world = 4 : i64} : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %n, %m, %o : tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>
}

//--- left.mlir
// torch's own, left unfused; other operators are none of the lowering's business.
func.func @left(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %group = torch.constant.str "tp:0"
  %0 = torch.operator "torch.my.identity"(%x) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  // expected-error@below {{how many ranks "tp:0" has is not known: neither the option `world` nor the module's attribute fiar.groups says}}
  %1 = torch.operator "torch.vllm.all_reduce"(%0, %group) : (tensor<4x64xbf16>, !torch.str) -> tensor<4x64xbf16>
  return %1 : tensor<4x64xbf16>
}

//--- fuse.mlir
// FUSE: 2 all-reduces seen, 1 fused, 1 left
// FUSE: fused RMSNorm world 2
// FUSE: left how many ranks "pp:0" has is not known
module attributes {fiar.groups = {"tp:0" = dense<[[0, 2], [1, 3]]> : tensor<2x2xi64>}} {
  func.func @f(%x: !torch.vtensor<[4,64],bf16>, %w: !torch.vtensor<[64],bf16>) -> (!torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>) {
    %tp = torch.constant.str "tp:0"
    %pp = torch.constant.str "pp:0"
    %eps = torch.constant.float 1.0e-6
    %0 = torch.operator "torch.vllm.all_reduce"(%x, %tp) : (!torch.vtensor<[4,64],bf16>, !torch.str) -> !torch.vtensor<[4,64],bf16>
    %1 = torch.operator "torch.vllm_ir.rms_norm"(%0, %w, %eps) : (!torch.vtensor<[4,64],bf16>, !torch.vtensor<[64],bf16>, !torch.float) -> !torch.vtensor<[4,64],bf16>
    %2 = torch.operator "torch.vllm.all_reduce"(%x, %pp) : (!torch.vtensor<[4,64],bf16>, !torch.str) -> !torch.vtensor<[4,64],bf16>
    %3 = torch.operator "torch.vllm_ir.rms_norm"(%2, %w, %eps) : (!torch.vtensor<[4,64],bf16>, !torch.vtensor<[64],bf16>, !torch.float) -> !torch.vtensor<[4,64],bf16>
    return %1, %3 : !torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>
  }
}

//--- twice.mlir
// TWICE: error: the replica groups name rank 1 twice
module attributes {fiar.groups = {"tp:0" = dense<[[0, 1], [1, 3]]> : tensor<2x2xi64>}} {
  func.func @f(%x: !torch.vtensor<[4,64],bf16>) -> !torch.vtensor<[4,64],bf16> {
    %tp = torch.constant.str "tp:0"
    %0 = torch.operator "torch.vllm.all_reduce"(%x, %tp) : (!torch.vtensor<[4,64],bf16>, !torch.str) -> !torch.vtensor<[4,64],bf16>
    return %0 : !torch.vtensor<[4,64],bf16>
  }
}
