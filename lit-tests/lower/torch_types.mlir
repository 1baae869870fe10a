// RUN: fiar-opt --split-input-file --verify-diagnostics --fiar-torch-to-builtin %s | FileCheck %s
// RUN: fiar-opt --split-input-file --verify-diagnostics --fiar-torch-to-builtin %s | fiar-opt --split-input-file --fiar-torch-to-builtin | FileCheck %s

// fiar ops leave torch's types; what torch-mlir lowers around them keeps its own.
// CHECK-LABEL: func.func @codes_in_bytes
// CHECK-NEXT:    %[[X:.*]] = "torch_c.to_builtin_tensor"(%arg0) : (!torch.vtensor<[?,64],bf16>) -> tensor<?x64xbf16>
// CHECK-NEXT:    %[[W:.*]] = "torch_c.to_builtin_tensor"(%arg1) : (!torch.vtensor<[64],bf16>) -> tensor<64xbf16>
// CHECK-NEXT:    %[[F:.*]]:2 = "fiar.all_reduce_norm"(%[[X]], %[[W]]) {{.*}} : (tensor<?x64xbf16>, tensor<64xbf16>) -> (tensor<?x32xi8>, tensor<?x4xf8E4M3FN>)
// CHECK-NEXT:    %[[Q:.*]] = "torch_c.from_builtin_tensor"(%[[F]]#0) : (tensor<?x32xi8>) -> !torch.vtensor<[?,32],ui8>
// CHECK-NEXT:    %[[S:.*]] = "torch_c.from_builtin_tensor"(%[[F]]#1) : (tensor<?x4xf8E4M3FN>) -> !torch.vtensor<[?,4],f8E4M3FN>
// CHECK-NEXT:    return %[[Q]], %[[S]]
func.func @codes_in_bytes(%x: !torch.vtensor<[?,64],bf16>, %w: !torch.vtensor<[64],bf16>) -> (!torch.vtensor<[?,32],ui8>, !torch.vtensor<[?,4],f8E4M3FN>) {
  %q:2 = "fiar.all_reduce_norm"(%x, %w) {eps = 1.0e-6 : f32, group_mode = "process_group", group_size = 16 : i64, groups = "tp:0", norm_input = "rounded", norm_rounding = "before_weight", operandSegmentSizes = array<i32: 1, 0, 1, 0>, quant = "nvfp4", residual_layout = "full", resultSegmentSizes = array<i32: 0, 0, 0, 1, 1>, scale_is = "multiplier", scale_layout = "linear", scale_min = 0.0 : f32, scale_type = "e4m3", weight_bias = 0.0 : f32, world = 4 : i64} : (!torch.vtensor<[?,64],bf16>, !torch.vtensor<[64],bf16>) -> (!torch.vtensor<[?,32],ui8>, !torch.vtensor<[?,4],f8E4M3FN>)
  return %q#0, %q#1 : !torch.vtensor<[?,32],ui8>, !torch.vtensor<[?,4],f8E4M3FN>
}

// Builtin tensors stay.
// CHECK-LABEL: func.func @builtin
// CHECK-NEXT:    "fiar.all_reduce"(%arg0)
// CHECK-NEXT:    return
func.func @builtin(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %0 = "fiar.all_reduce"(%x) {groups = "tp:0", world = 4 : i64} : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %0 : tensor<4x64xbf16>
}

// -----

func.func @of_unknown_rank(%x: !torch.vtensor<*,bf16>) -> !torch.vtensor<*,bf16> {
  // expected-error@below {{vtensor<*,bf16> has no builtin tensor type: its rank and element type must be known}}
  %0 = "fiar.all_reduce"(%x) {groups = "tp:0", world = 4 : i64} : (!torch.vtensor<*,bf16>) -> !torch.vtensor<*,bf16>
  return %0 : !torch.vtensor<*,bf16>
}
