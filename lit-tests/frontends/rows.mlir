// RUN: fiar-opt --allow-unregistered-dialect --pass-pipeline='builtin.module(fiar-fuse{world=4 assume-replicated})' %s 2>/dev/null | FileCheck %s
// RUN: fiar-opt --allow-unregistered-dialect --pass-pipeline='builtin.module(fiar-fuse{world=4 report=text assume-replicated})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=TEXT

// Sequence parallelism: sums scattered by rows, norms and codes of a rank's rows, gathered. (StableHLO's are in structures.py.)

!x = !torch.vtensor<[8,64],bf16>
!p = !torch.vtensor<[2,64],bf16>
!w = !torch.vtensor<[64],bf16>
!q = !torch.vtensor<[8,64],f8E4M3FN>
!c = !torch.vtensor<[2,64],f8E4M3FN>
!s = !torch.vtensor<[1],f32>

// RUN: fiar-opt --allow-unregistered-dialect --pass-pipeline='builtin.module(fiar-fuse{world=4 report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=UNPROVED

// UNPROVED: 11 all-reduces seen, 1 fused, 10 left
// UNPROVED: left the sum is scattered by rows, and the weight is not known to be the same on all ranks: assume-replicated says so

// TEXT: 11 all-reduces seen, 6 fused, 5 left

// As vLLM's pass for sequence parallelism leaves it: codes are gathered, the residual goes on by rows.
// TEXT: fused residual + RMSNorm + fp8_static, by rows world 4 eps 1e-06 -> residual, quant
// TEXT: fused residual + RMSNorm, by rows world 4 eps 1e-06 -> residual, norm
// CHECK-LABEL: @vllm
// CHECK:      %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %arg1, %arg2, %{{.*}}) {{.*}}quant = "fp8_static", residual_layout = "token_block"{{.*}} : (!torch.vtensor<[8,64],bf16>, !torch.vtensor<[2,64],bf16>, !torch.vtensor<[64],bf16>, !torch.vtensor<[1],f32>) -> (!torch.vtensor<[2,64],bf16>, !torch.vtensor<[8,64],f8E4M3FN>)
// CHECK-NEXT: %[[G:.*]]:2 = "fiar.all_reduce_norm"(%arg4, %[[F]]#0, %arg2) {{.*}}quant = "none", residual_layout = "token_block"
// CHECK-NEXT: return %[[F]]#1, %[[G]]#1, %[[G]]#0
func.func @vllm(%x: !x, %r: !p, %w: !w, %s: !s, %x2: !x, %out: !c) -> (!q, !x, !p) {
  %group = torch.constant.str "tp:0"
  %int0 = torch.constant.int 0
  %int4 = torch.constant.int 4
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.reduce_scatter"(%x, %int0, %int4, %group) : (!x, !torch.int, !torch.int, !torch.str) -> !p
  %1:2 = torch.operator "torch._C.fused_add_rms_norm_static_fp8_quant"(%out, %0, %r, %w, %s, %eps) : (!c, !p, !p, !w, !s, !torch.float) -> (!c, !p)
  %2 = torch.operator "torch.vllm.all_gather"(%1#0, %int0, %int4, %group) : (!c, !torch.int, !torch.int, !torch.str) -> !q
  %3 = torch.operator "torch.vllm.reduce_scatter"(%x2, %int0, %int4, %group) : (!x, !torch.int, !torch.int, !torch.str) -> !p
  %4:2 = torch.operator "torch._C.fused_add_rms_norm"(%3, %1#1, %w, %eps) : (!p, !p, !w, !torch.float) -> (!p, !p)
  %5 = torch.operator "torch.vllm.all_gather"(%4#0, %int0, %int4, %group) : (!p, !torch.int, !torch.int, !torch.str) -> !x
  return %2, %5, %4#1 : !q, !x, !p
}

// The same ops as they are, writing over what they are given.
// TEXT: fused residual + RMSNorm, by rows world 4 eps 1e-06 -> residual, norm
// CHECK-LABEL: @in_place
// CHECK:      "fiar.all_reduce_norm"(%arg0, %{{.*}}, %arg2) {{.*}}residual_layout = "token_block"
// CHECK-NOT:  torch.vllm
func.func @in_place(%x: !x, %a: !p, %w: !w) -> (!x, !p) {
  %group = torch.constant.str "tp:0"
  %int0 = torch.constant.int 0
  %int4 = torch.constant.int 4
  %eps = torch.constant.float 1.0e-6
  %r = torch.aten.mul.Tensor %a, %a : !p, !p -> !p
  %0 = torch.operator "torch.vllm.reduce_scatter"(%x, %int0, %int4, %group) : (!x, !torch.int, !torch.int, !torch.str) -> !p
  torch.operator "torch._C.fused_add_rms_norm"(%0, %r, %w, %eps) : (!p, !p, !w, !torch.float) -> ()
  %1 = torch.operator "torch.vllm.all_gather"(%0, %int0, %int4, %group) : (!p, !torch.int, !torch.int, !torch.str) -> !x
  return %1, %r : !x, !p
}

// c10d's, with what waits for them.
// TEXT: fused residual + RMSNorm, by rows world 4 eps 1e-06 -> norm
// CHECK-LABEL: @c10d
// CHECK:      %[[F:.*]] = "fiar.all_reduce_norm"(%arg0, %arg1, %arg2) {{.*}}residual_layout = "token_block"
// CHECK-NEXT: return %[[F]]
func.func @c10d(%x: !x, %r: !p, %w: !w) -> !x {
  %sum = torch.constant.str "sum"
  %group = torch.constant.str "tp:0"
  %int4 = torch.constant.int 4
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch._c10d_functional.reduce_scatter_tensor"(%x, %sum, %int4, %group) : (!x, !torch.str, !torch.int, !torch.str) -> !p
  %1 = torch.operator "torch._c10d_functional.wait_tensor"(%0) : (!p) -> !p
  %2:2 = torch.operator "torch._C.fused_add_rms_norm"(%1, %r, %w, %eps) : (!p, !p, !w, !torch.float) -> (!p, !p)
  %3 = torch.operator "torch._c10d_functional.all_gather_into_tensor"(%2#0, %int4, %group) : (!p, !torch.int, !torch.str) -> !x
  %4 = torch.operator "torch._c10d_functional.wait_tensor"(%3) : (!x) -> !x
  return %4 : !x
}

// What other ranks gather is another norm.
// TEXT: left the sum is scattered by rows, and their norm is not gathered from the same ranks
// CHECK-LABEL: @other_ranks
// CHECK-NOT:   fiar.all_reduce_norm
func.func @other_ranks(%x: !x, %r: !p, %w: !w) -> !x {
  %group = torch.constant.str "tp:0"
  %others = torch.constant.str "pp:0"
  %int0 = torch.constant.int 0
  %int4 = torch.constant.int 4
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.reduce_scatter"(%x, %int0, %int4, %group) : (!x, !torch.int, !torch.int, !torch.str) -> !p
  %1:2 = torch.operator "torch._C.fused_add_rms_norm"(%0, %r, %w, %eps) : (!p, !p, !w, !torch.float) -> (!p, !p)
  %2 = torch.operator "torch.vllm.all_gather"(%1#0, %int0, %int4, %others) : (!p, !torch.int, !torch.int, !torch.str) -> !x
  return %2 : !x
}

// A group of another size is not what `world` says; one whose sum no norm follows is nothing to this pass.
// TEXT: left the op's group has 2 ranks, but it is said to have 4
func.func @other_world(%x: !x, %r: !torch.vtensor<[4,64],bf16>, %w: !w) -> (!x, !torch.vtensor<[4,64],bf16>) {
  %group = torch.constant.str "dp:0"
  %int0 = torch.constant.int 0
  %int2 = torch.constant.int 2
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.reduce_scatter"(%x, %int0, %int2, %group) : (!x, !torch.int, !torch.int, !torch.str) -> !torch.vtensor<[4,64],bf16>
  %1:2 = torch.operator "torch._C.fused_add_rms_norm"(%0, %r, %w, %eps) : (!torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>, !w, !torch.float) -> (!torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>)
  %2 = torch.operator "torch.vllm.all_gather"(%1#0, %int0, %int2, %group) : (!torch.vtensor<[4,64],bf16>, !torch.int, !torch.int, !torch.str) -> !x
  %3 = torch.operator "torch.vllm.reduce_scatter"(%x, %int0, %int2, %group) : (!x, !torch.int, !torch.int, !torch.str) -> !torch.vtensor<[4,64],bf16>
  return %2, %3 : !x, !torch.vtensor<[4,64],bf16>
}

// TEXT: left it scatters rows whose number is not known at compile time
// TEXT: left it scatters along a dimension that others of the rows come before: no rank's rows are one block
// TEXT: left the sum's rows are used beside the residual's
func.func @no_blocks(%x: !torch.vtensor<[?,64],bf16>, %y: !torch.vtensor<[2,8,64],bf16>, %z: !x, %r: !p, %w: !w) -> (!torch.vtensor<[?,64],bf16>, !torch.vtensor<[2,8,64],bf16>, !x, !p) {
  %group = torch.constant.str "tp:0"
  %int0 = torch.constant.int 0
  %int1 = torch.constant.int 1
  %int4 = torch.constant.int 4
  %eps = torch.constant.float 1.0e-6
  %none = torch.constant.none
  %0 = torch.operator "torch.vllm.reduce_scatter"(%x, %int0, %int4, %group) : (!torch.vtensor<[?,64],bf16>, !torch.int, !torch.int, !torch.str) -> !torch.vtensor<[?,64],bf16>
  %1 = torch.operator "torch.vllm_ir.rms_norm"(%0, %w, %eps, %none) : (!torch.vtensor<[?,64],bf16>, !w, !torch.float, !torch.none) -> !torch.vtensor<[?,64],bf16>
  %2 = torch.operator "torch.vllm.all_gather"(%1, %int0, %int4, %group) : (!torch.vtensor<[?,64],bf16>, !torch.int, !torch.int, !torch.str) -> !torch.vtensor<[?,64],bf16>
  %3 = torch.operator "torch.vllm.reduce_scatter"(%y, %int1, %int4, %group) : (!torch.vtensor<[2,8,64],bf16>, !torch.int, !torch.int, !torch.str) -> !torch.vtensor<[2,2,64],bf16>
  %4 = torch.operator "torch.vllm_ir.rms_norm"(%3, %w, %eps, %none) : (!torch.vtensor<[2,2,64],bf16>, !w, !torch.float, !torch.none) -> !torch.vtensor<[2,2,64],bf16>
  %5 = torch.operator "torch.vllm.all_gather"(%4, %int1, %int4, %group) : (!torch.vtensor<[2,2,64],bf16>, !torch.int, !torch.int, !torch.str) -> !torch.vtensor<[2,8,64],bf16>
  %6 = torch.operator "torch.vllm.reduce_scatter"(%z, %int0, %int4, %group) : (!x, !torch.int, !torch.int, !torch.str) -> !p
  %7:2 = torch.operator "torch._C.fused_add_rms_norm"(%6, %r, %w, %eps) : (!p, !p, !w, !torch.float) -> (!p, !p)
  %8 = torch.operator "torch.vllm.all_gather"(%7#0, %int0, %int4, %group) : (!p, !torch.int, !torch.int, !torch.str) -> !x
  return %2, %5, %8, %6 : !torch.vtensor<[?,64],bf16>, !torch.vtensor<[2,8,64],bf16>, !x, !p
}

// TTIR: the rows lie in the second dimension, behind a batch of one.
// TEXT: fused residual + RMSNorm, by rows world 4 eps 1e-05 -> residual, norm
module attributes {ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x4>]>} {
  // CHECK-LABEL: @ttir
  // CHECK:      %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %arg1, %arg2) {{.*}}residual_layout = "token_block"{{.*}} : (tensor<1x32x64xbf16>, tensor<1x8x64xbf16>, tensor<64xbf16>) -> (tensor<1x8x64xbf16>, tensor<1x32x64xbf16>)
  // CHECK-NEXT: return %[[F]]#0, %[[F]]#1
  func.func @ttir(%x: tensor<1x32x64xbf16>, %r: tensor<1x8x64xbf16>, %w: tensor<64xbf16>) -> (tensor<1x8x64xbf16>, tensor<1x32x64xbf16>) {
    %0 = "ttir.reduce_scatter"(%x) <{cluster_axis = 1 : ui32, reduce_type = #ttcore.reduce_type<sum>, scatter_dim = 1 : si32}> : (tensor<1x32x64xbf16>) -> tensor<1x8x64xbf16>
    %1 = "ttir.add"(%r, %0) : (tensor<1x8x64xbf16>, tensor<1x8x64xbf16>) -> tensor<1x8x64xbf16>
    %2 = "ttir.rms_norm"(%1, %w) <{epsilon = 1.0e-05 : f32, normalized_shape = array<i64: 64>, operandSegmentSizes = array<i32: 1, 1, 0>}> : (tensor<1x8x64xbf16>, tensor<64xbf16>) -> tensor<1x8x64xbf16>
    %3 = "ttir.all_gather"(%2) <{all_gather_dim = 1 : si32, cluster_axis = 1 : ui32}> : (tensor<1x8x64xbf16>) -> tensor<1x32x64xbf16>
    return %1, %3 : tensor<1x8x64xbf16>, tensor<1x32x64xbf16>
  }
}

// shard's, with a norm of TOSA's ops.
// TEXT: fused RMSNorm without weight, by rows world 4 eps 0 -> norm
shard.grid @line(shape = 4)
shard.grid @square(shape = 2x2)
// CHECK-LABEL: @tosa
// CHECK-NEXT:    %[[F:.*]] = "fiar.all_reduce_norm"(%arg0) {{.*}}residual_layout = "token_block"
// CHECK-NEXT:    return %[[F]]
func.func @tosa(%x: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %shift = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %n = "tosa.const"() <{values = dense<1.562500e-02> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
  %s = shard.reduce_scatter %x on @line grid_axes = [0] reduction = sum scatter_axis = 0 : tensor<64x64xf32> -> tensor<16x64xf32>
  %q = tosa.mul %s, %s, %shift : (tensor<16x64xf32>, tensor<16x64xf32>, tensor<1xi8>) -> tensor<16x64xf32>
  %t = tosa.reduce_sum %q {axis = 1 : i32} : (tensor<16x64xf32>) -> tensor<16x1xf32>
  %m = tosa.mul %t, %n, %shift : (tensor<16x1xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<16x1xf32>
  %i = tosa.rsqrt %m : (tensor<16x1xf32>) -> tensor<16x1xf32>
  %y = tosa.mul %s, %i, %shift : (tensor<16x64xf32>, tensor<16x1xf32>, tensor<1xi8>) -> tensor<16x64xf32>
  %all = shard.all_gather %y on @line grid_axes = [0] gather_axis = 0 : tensor<16x64xf32> -> tensor<64x64xf32>
  return %all : tensor<64x64xf32>
}

// Parts lie in the order of the axes that are named, which is not the ranks'.
// CHECK-LABEL: @order_of_axes
// CHECK-NOT:     fiar.all_reduce_norm
func.func @order_of_axes(%x: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %shift = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %n = "tosa.const"() <{values = dense<1.562500e-02> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
  %s = shard.reduce_scatter %x on @square grid_axes = [1, 0] reduction = sum scatter_axis = 0 : tensor<64x64xf32> -> tensor<16x64xf32>
  %q = tosa.mul %s, %s, %shift : (tensor<16x64xf32>, tensor<16x64xf32>, tensor<1xi8>) -> tensor<16x64xf32>
  %t = tosa.reduce_sum %q {axis = 1 : i32} : (tensor<16x64xf32>) -> tensor<16x1xf32>
  %m = tosa.mul %t, %n, %shift : (tensor<16x1xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<16x1xf32>
  %i = tosa.rsqrt %m : (tensor<16x1xf32>) -> tensor<16x1xf32>
  %y = tosa.mul %s, %i, %shift : (tensor<16x64xf32>, tensor<16x1xf32>, tensor<1xi8>) -> tensor<16x64xf32>
  %all = shard.all_gather %y on @square grid_axes = [0, 1] gather_axis = 0 : tensor<16x64xf32> -> tensor<64x64xf32>
  return %all : tensor<64x64xf32>
}
