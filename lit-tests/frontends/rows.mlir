// RUN: fiar-opt --allow-unregistered-dialect --pass-pipeline='builtin.module(fiar-check{world=4},fiar-fuse{world=4})' %s 2>/dev/null | FileCheck %s
// RUN: fiar-opt --allow-unregistered-dialect --pass-pipeline='builtin.module(fiar-fuse{world=4 report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=TEXT

// Sequence parallelism: sums scattered by rows, norms and codes of a rank's rows, gathered. (StableHLO's are in structures.py.)

!x = !torch.vtensor<[8,64],bf16>
!p = !torch.vtensor<[2,64],bf16>
!w = !torch.vtensor<[64],bf16>
!q = !torch.vtensor<[8,64],f8E4M3FN>
!c = !torch.vtensor<[2,64],f8E4M3FN>
!s = !torch.vtensor<[1],f32>

// TEXT: 6 all-reduces seen, 5 fused, 1 left

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
