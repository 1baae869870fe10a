// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-check{world=4},fiar-fuse{world=4})' %s 2>/dev/null | FileCheck %s
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-fuse{world=4 report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=TEXT

// vLLM's norms and quantisers, with results (as torch-mlir imports auto_functionalized) and as they are, writing over operands.

!x = !torch.vtensor<[4,64],bf16>
!w = !torch.vtensor<[64],bf16>
!wf = !torch.vtensor<[64],f32>
!q = !torch.vtensor<[4,64],f8E4M3FN>
!s = !torch.vtensor<[1],f32>
!t = !torch.vtensor<[4,1],f32>
!g = !torch.vtensor<[4,2],f32>
!p = !torch.vtensor<[4,32],ui8>
!z = !torch.vtensor<[128,1],si32>
!l = !torch.vtensor<[4,4],ui8>

// ---- with results ----

// TEXT: 40 all-reduces seen, 22 fused, 18 left

// TEXT: fused RMSNorm world 4 eps 1e-06 -> norm
// CHECK-LABEL: @rms_norm
// CHECK:      %[[F:.*]] = "fiar.all_reduce_norm"(%arg0, %arg1) {eps = 9.99999997E-7 : f32, {{.*}}groups = "tp:0", {{.*}}norm_rounding = "before_weight"
// CHECK-NEXT: return %[[F]]
func.func @rms_norm(%x: !x, %w: !w, %out: !x) -> !x {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1 = torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  return %1 : !x
}

// TEXT: fused residual + RMSNorm + fp8_static world 4 eps 1e-06 -> residual, quant
// The kernel multiplies with 1 / scale.
// CHECK-LABEL: @static_fp8
// CHECK:      %[[I:.*]] = "torch.aten.reciprocal"(%arg3)
// CHECK-NEXT: %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %arg1, %arg2, %[[I]]) {{.*}}quant = "fp8_static"{{.*}}scale_is = "multiplier"
// CHECK-NEXT: return %[[F]]#1, %[[F]]#0
func.func @static_fp8(%x: !x, %r: !x, %w: !w, %s: !s, %out: !q) -> (!q, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %none = torch.constant.none
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1:2 = torch.operator "torch._C.fused_add_rms_norm"(%0, %r, %w, %eps) : (!x, !x, !w, !torch.float) -> (!x, !x)
  %2 = torch.operator "torch._C.static_scaled_fp8_quant"(%out, %1#0, %s, %none) : (!q, !x, !s, !torch.none) -> !q
  return %2, %1#1 : !q, !x
}

// TEXT: fused RMSNorm + fp8_static
// TEXT: fused residual + RMSNorm + fp8_static
// Norm and quantiser in one op.
// CHECK-LABEL: @norm_and_static_fp8
// CHECK: "fiar.all_reduce_norm"(%arg0, %arg2, %{{.*}}) {{.*}}quant = "fp8_static", {{.*}}resultSegmentSizes = array<i32: 0, 0, 0, 1, 0>
// CHECK: "fiar.all_reduce_norm"(%arg0, %arg1, %arg2, %{{.*}}) {{.*}}quant = "fp8_static", {{.*}}resultSegmentSizes = array<i32: 0, 1, 0, 1, 0>
// CHECK-NOT: torch._C
func.func @norm_and_static_fp8(%x: !x, %r: !x, %w: !w, %s: !s, %out: !q) -> (!q, !q, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1 = torch.operator "torch._C.rms_norm_static_fp8_quant"(%out, %0, %w, %s, %eps) : (!q, !x, !w, !s, !torch.float) -> !q
  %2 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %3:2 = torch.operator "torch._C.fused_add_rms_norm_static_fp8_quant"(%out, %2, %r, %w, %s, %eps) : (!q, !x, !x, !w, !s, !torch.float) -> (!q, !x)
  return %1, %3#0, %3#1 : !q, !q, !x
}

// TEXT: fused RMSNorm + fp8_token world 4 eps 1e-06 -> quant, scales
// CHECK-LABEL: @token_fp8
// CHECK: "fiar.all_reduce_norm"(%arg0, %arg1) {{.*}}quant = "fp8_token"{{.*}}scale_is = "divisor"{{.*}}scale_min = 4.35965421E-6 : f32
func.func @token_fp8(%x: !x, %w: !w, %out: !x, %codes: !q, %scales: !t) -> (!q, !t) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %none = torch.constant.none
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1 = torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  %2:2 = torch.operator "torch._C.dynamic_per_token_scaled_fp8_quant"(%codes, %1, %scales, %none) : (!q, !x, !t, !torch.none) -> (!q, !t)
  return %2#0, %2#1 : !q, !t
}

// TEXT: fused RMSNorm + fp8_group world 4 eps 1e-06 -> norm, quant, scales
// The norm is used, too.
// CHECK-LABEL: @group_fp8
// CHECK: "fiar.all_reduce_norm"(%arg0, %arg1) {{.*}}group_size = 32 : i64{{.*}}quant = "fp8_group"{{.*}}scale_min = 2.23214283E-13 : f32, scale_type = "f32"
func.func @group_fp8(%x: !x, %w: !w, %out: !x, %codes: !q, %scales: !g) -> (!x, !q, !g) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %int32 = torch.constant.int 32
  %floor = torch.constant.float 1.0e-10
  %low = torch.constant.float -4.48e2
  %high = torch.constant.float 4.48e2
  %false = torch.constant.bool false
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1 = torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  %2:2 = torch.operator "torch._C.per_token_group_fp8_quant"(%1, %codes, %scales, %int32, %floor, %low, %high, %false) : (!x, !q, !g, !torch.int, !torch.float, !torch.float, !torch.float, !torch.bool) -> (!q, !g)
  return %1, %2#0, %2#1 : !x, !q, !g
}

// TEXT: fused RMSNorm + nvfp4 world 4 eps 1e-06 -> quant, scales
// TEXT: fused RMSNorm + nvfp4
// Codes two to a byte; scales swizzled in words, or one a block in bytes.
// CHECK-LABEL: @nvfp4
// CHECK: "fiar.all_reduce_norm"(%arg0, %arg1, %arg2) {{.*}}group_size = 16 : i64{{.*}}quant = "nvfp4"{{.*}}scale_is = "multiplier", scale_layout = "swizzled_128x4"{{.*}}scale_type = "e4m3"{{.*}} -> (!torch.vtensor<[4,32],ui8>, !torch.vtensor<[128,1],si32>)
// CHECK: "fiar.all_reduce_norm"(%arg0, %arg1, %arg2) {{.*}}scale_layout = "linear"{{.*}} -> (!torch.vtensor<[4,32],ui8>, !torch.vtensor<[4,4],ui8>)
func.func @nvfp4(%x: !x, %w: !w, %g: !s, %out: !x, %codes: !p, %scales: !z, %rows: !l) -> (!p, !z, !p, !l) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %true = torch.constant.bool true
  %false = torch.constant.bool false
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1 = torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  %2:2 = torch.operator "torch._C.scaled_fp4_quant"(%codes, %1, %scales, %g, %true) : (!p, !x, !z, !s, !torch.bool) -> (!p, !z)
  %3 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %4 = torch.operator "torch._C.rms_norm"(%out, %3, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  %5:2 = torch.operator "torch._C.scaled_fp4_quant.out"(%4, %g, %false, %codes, %rows) : (!x, !s, !torch.bool, !p, !l) -> (!p, !l)
  return %2#0, %2#1, %5#0, %5#1 : !p, !z, !p, !l
}

// TEXT: fused RMSNorm world
// TEXT: fused RMSNorm world
// x is rounded to the weight's type before the product: the sum's or f32.
// CHECK-LABEL: @vllm_ir
// CHECK: norm_rounding = "before_weight"
// CHECK: norm_rounding = "after_weight"
func.func @vllm_ir(%x: !x, %w: !w, %wf: !wf) -> (!x, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %none = torch.constant.none
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1 = torch.operator "torch.vllm_ir.rms_norm"(%0, %w, %eps, %none) : (!x, !w, !torch.float, !torch.none) -> !x
  %2 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %3 = torch.operator "torch.vllm_ir.rms_norm"(%2, %wf, %eps) : (!x, !wf, !torch.float) -> !x
  return %1, %3 : !x, !x
}

// TEXT: fused RMSNorm world {{.*}}-> norm
// TEXT-NEXT: without its quantiser {{.*}}: the quantiser's results do not have the shapes of its format
// TEXT-NEXT: fused RMSNorm world {{.*}}-> norm
// A bound on the scale cannot be said; 128 does not divide the scales' tensor.
// CHECK-LABEL: @quantisers_left
// CHECK: "torch.operator"({{.*}}) <{name = "torch._C.per_token_group_fp8_quant"}>
// CHECK: "torch.operator"({{.*}}) <{name = "torch._C.dynamic_per_token_scaled_fp8_quant"}>
func.func @quantisers_left(%x: !x, %w: !w, %b: !s, %out: !x, %codes: !q, %scales: !t, %groups: !g) -> (!q, !g, !q, !t) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %int16 = torch.constant.int 16
  %low = torch.constant.float -4.48e2
  %high = torch.constant.float 4.48e2
  %false = torch.constant.bool false
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1 = torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  %2:2 = torch.operator "torch._C.per_token_group_fp8_quant"(%1, %codes, %groups, %int16, %eps, %low, %high, %false) : (!x, !q, !g, !torch.int, !torch.float, !torch.float, !torch.float, !torch.bool) -> (!q, !g)
  %3 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %4 = torch.operator "torch._C.rms_norm"(%out, %3, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  %5:2 = torch.operator "torch._C.dynamic_per_token_scaled_fp8_quant"(%codes, %4, %scales, %b) : (!q, !x, !t, !s) -> (!q, !t)
  return %2#0, %2#1, %5#0, %5#1 : !q, !g, !q, !t
}

// ---- writing over operands ----

// TEXT: fused residual + RMSNorm + fp8_static world 4 eps 1e-06 -> residual, quant
// What is used after the op is what it wrote; the sum itself (%m) was used before.
// CHECK-LABEL: @written
// CHECK:      %[[R:.*]] = "torch.aten.mul.Tensor"
// CHECK:      %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %[[R]], %arg2, %{{.*}})
// CHECK-NEXT: return %[[F]]#1, %[[F]]#0
func.func @written(%x: !x, %a: !x, %w: !w, %s: !s) -> (!q, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %none = torch.constant.none
  %r = torch.aten.mul.Tensor %a, %a : !x, !x -> !x
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  torch.operator "torch._C.fused_add_rms_norm"(%0, %r, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  %out = torch.aten.empty_like %0, %none, %none, %none, %none, %none : !x, !torch.none, !torch.none, !torch.none, !torch.none, !torch.none -> !q
  torch.operator "torch._C.static_scaled_fp8_quant"(%out, %0, %s) : (!q, !x, !s) -> ()
  return %out, %r : !q, !x
}

// TEXT: fused RMSNorm world 4 eps 1e-06 -> sum, norm
// CHECK-LABEL: @sum_used_before
// CHECK:      %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %arg1)
// CHECK-NEXT: %[[S:.*]] = "torch.aten.mul.Tensor"(%[[F]]#0, %arg0)
// CHECK-NEXT: return %[[S]], %[[F]]#1
func.func @sum_used_before(%x: !x, %w: !w) -> (!x, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %s = torch.aten.mul.Tensor %0, %x : !x, !x -> !x
  %out = torch.aten.mul.Tensor %x, %x : !x, !x -> !x
  torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  return %s, %out : !x, !x
}

// TEXT: fused RMSNorm world 4 eps 1e-06 -> norm
// An op that is not known may change the norm after it is there, and what is then used is that.
// CHECK-LABEL: @norm_changed_later
// CHECK:      %[[F:.*]] = "fiar.all_reduce_norm"(%arg0, %arg1)
// CHECK-NEXT: "torch.operator"(%[[F]]) <{name = "torch.my.experts"}> : (!torch.vtensor<[4,64],bf16>) -> ()
// CHECK-NEXT: return %[[F]]
func.func @norm_changed_later(%x: !x, %w: !w) -> !x {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %out = torch.aten.mul.Tensor %x, %x : !x, !x -> !x
  torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  torch.operator "torch.my.experts"(%out) : (!x) -> ()
  return %out : !x
}

// TEXT: fused RMSNorm world 4 eps 1e-06 -> norm
// ... and the quantiser reads the changed one.
// CHECK-LABEL: @quantiser_reads_the_changed
// CHECK:      %[[F:.*]] = "fiar.all_reduce_norm"(%arg0, %arg1) {{.*}}quant = "none"
// CHECK-NEXT: "torch.operator"(%[[F]]) <{name = "torch.my.experts"}>
// CHECK:      "torch.operator"(%arg3, %[[F]], %arg2) <{name = "torch._C.static_scaled_fp8_quant"}>
func.func @quantiser_reads_the_changed(%x: !x, %w: !w, %s: !s, %codes: !q) -> !q {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %out = torch.aten.mul.Tensor %x, %x : !x, !x -> !x
  torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  torch.operator "torch.my.experts"(%out) : (!x) -> ()
  %1 = torch.operator "torch._C.static_scaled_fp8_quant"(%codes, %out, %s) : (!q, !x, !s) -> !q
  return %1 : !q
}

// TEXT: fused RMSNorm world 4 eps 1e-06 -> norm
// c10d's form that writes over its operand, which nothing else uses.
// CHECK-LABEL: @all_reduce_in_place
// CHECK:      %[[X:.*]] = "torch.aten.mul.Tensor"
// CHECK-NEXT: %[[F:.*]] = "fiar.all_reduce_norm"(%[[X]], %arg1)
// CHECK-NEXT: return %[[F]]
func.func @all_reduce_in_place(%a: !x, %w: !w, %out: !x) -> !x {
  %sum = torch.constant.str "sum"
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %x = torch.aten.mul.Tensor %a, %a : !x, !x -> !x
  %0 = torch.operator "torch._c10d_functional.all_reduce_"(%x, %sum, %group) : (!x, !torch.str, !torch.str) -> !x
  %1 = torch.operator "torch._c10d_functional.wait_tensor"(%0) : (!x) -> !x
  %2 = torch.operator "torch._C.rms_norm"(%out, %1, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  return %2 : !x
}

// ---- left as they are ----

// TEXT: left its reducer is no sum but one that writes over an operand that other ops use
// CHECK-LABEL: @all_reduce_in_place_seen
// CHECK-NOT: fiar.all_reduce_norm
func.func @all_reduce_in_place_seen(%a: !x, %w: !w, %out: !x) -> (!x, !x) {
  %sum = torch.constant.str "sum"
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %x = torch.aten.mul.Tensor %a, %a : !x, !x -> !x
  %0 = torch.operator "torch._c10d_functional.all_reduce_"(%x, %sum, %group) : (!x, !torch.str, !torch.str) -> !x
  %1 = torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  return %1, %x : !x, !x
}

// TEXT: left torch._C.fused_add_rms_norm may write over its operands, in ways that cannot be followed
// The caller may look at the residual.
// CHECK-LABEL: @argument_written
// CHECK:      %[[S:.*]] = "torch.operator"(%arg0, %{{.*}}) <{name = "torch.vllm.all_reduce"}>
// CHECK-NEXT: "torch.operator"(%[[S]], %arg1, %arg2, %{{.*}}) <{name = "torch._C.fused_add_rms_norm"}>
// CHECK-NEXT: return %[[S]], %arg1
func.func @argument_written(%x: !x, %r: !x, %w: !w) -> (!x, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  torch.operator "torch._C.fused_add_rms_norm"(%0, %r, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  return %0, %r : !x, !x
}

// TEXT: left torch._C.rms_norm may write over its operands, in ways that cannot be followed
// A view of what is written is used afterwards.
// CHECK-LABEL: @view_of_the_written
// CHECK-NOT: fiar.all_reduce_norm
func.func @view_of_the_written(%x: !x, %w: !w) -> !torch.vtensor<[256],bf16> {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %int256 = torch.constant.int 256
  %size = torch.prim.ListConstruct %int256 : (!torch.int) -> !torch.list<int>
  %out = torch.aten.mul.Tensor %x, %x : !x, !x -> !x
  %view = torch.aten.view %out, %size : !x, !torch.list<int> -> !torch.vtensor<[256],bf16>
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  return %view : !torch.vtensor<[256],bf16>
}

// TEXT: left torch.my.scale may write over its operands, in ways that cannot be followed
// CHECK-LABEL: @sum_changed_before
// CHECK-NOT: fiar.all_reduce_norm
func.func @sum_changed_before(%x: !x, %w: !w, %out: !x) -> !x {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  torch.operator "torch.my.scale"(%0) : (!x) -> ()
  %1 = torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  return %1 : !x
}

// TEXT: left an op that may have effects stands between the all-reduce and the norm's operands
// The input's memory is written again before the residual is there: the call may not stand behind that.
// CHECK-LABEL: @input_written_between
// CHECK-NOT: fiar.all_reduce_norm
func.func @input_written_between(%a: !x, %w: !w, %out: !x) -> (!x, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %x = torch.aten.mul.Tensor %a, %a : !x, !x -> !x
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  torch.operator "torch._C.rms_norm"(%x, %a, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  %r = torch.aten.mul.Tensor %a, %x : !x, !x -> !x
  %1:2 = torch.operator "torch._C.fused_add_rms_norm"(%0, %r, %w, %eps) : (!x, !x, !w, !torch.float) -> (!x, !x)
  return %1#0, %x : !x, !x
}

// TEXT: left torch._C.rms_norm may write over its operands, in ways that cannot be followed
// One tensor is both read and written.
// CHECK-LABEL: @read_and_written
// CHECK-NOT: fiar.all_reduce_norm
func.func @read_and_written(%x: !x, %w: !w) -> !x {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  torch.operator "torch._C.rms_norm"(%0, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  return %0 : !x
}

// TEXT: left torch._C.rms_norm may write over its operands, in ways that cannot be followed
// The tensor is made outside the block that writes it.
// CHECK-LABEL: @written_in_a_region
// CHECK-NOT: fiar.all_reduce_norm
func.func @written_in_a_region(%x: !x, %w: !w, %n: !torch.int, %true: !torch.bool) -> !x {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %out = torch.aten.mul.Tensor %x, %x : !x, !x -> !x
  "torch.prim.Loop"(%n, %true) ({
  ^bb0(%i: !torch.int):
    %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
    torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
    "torch.prim.Loop.condition"(%true) : (!torch.bool) -> ()
  }) : (!torch.int, !torch.bool) -> ()
  return %out : !x
}

// TEXT: left no RMSNorm follows: the all-reduced sum goes into torch.operator
// What the weight holds when the norm reads it is not what it held before.
// CHECK-LABEL: @weight_changed_between
// CHECK-NOT: fiar.all_reduce_norm
func.func @weight_changed_between(%x: !x, %w: !w, %out: !x) -> !x {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  torch.operator "torch.my.change"(%w) : (!w) -> ()
  %1 = torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  return %1 : !x
}

// TEXT: fused RMSNorm world 4 eps 1e-06 -> sum, norm
// Two norms with the same values, one of which is written over afterwards: they stay two.
// CHECK-LABEL: @equal_norms_one_written
// CHECK:      %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %arg1)
// CHECK:      "torch.operator"(%[[F]]#1) <{name = "torch.my.experts"}>
// CHECK:      %[[N:.*]] = "torch.operator"(%arg3, %[[F]]#0, %arg1, %{{.*}}) <{name = "torch._C.rms_norm"}>
// CHECK-NEXT: return %[[F]]#1, %[[N]]
func.func @equal_norms_one_written(%x: !x, %w: !w, %a: !x, %b: !x) -> (!x, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1 = torch.operator "torch._C.rms_norm"(%a, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  torch.operator "torch.my.experts"(%1) : (!x) -> ()
  %2 = torch.operator "torch._C.rms_norm"(%b, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  return %1, %2 : !x, !x
}

// ---- halves of an all-reduce ----

// TEXT: fused residual + RMSNorm world 4
// TEXT: fused residual + RMSNorm world 4
// A reduce-scatter and an all-gather of the same ranks along the same rows; gathered along the columns they are no sum.
// CHECK-LABEL: @halves
// CHECK:       %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %arg1, %arg2)
// CHECK-NEXT:  %[[G:.*]]:2 = "fiar.all_reduce_norm"(%[[F]]#1, %[[F]]#0, %arg2)
// CHECK:       torch.vllm.reduce_scatter
// CHECK:       torch.vllm.all_gather
// CHECK-NOT:   fiar.all_reduce_norm
func.func @halves(%x: !x, %r: !x, %w: !w) -> (!x, !x, !torch.vtensor<[1,256],bf16>) {
  %sum = torch.constant.str "sum"
  %group = torch.constant.str "tp:0"
  %int0 = torch.constant.int 0
  %int1 = torch.constant.int 1
  %int4 = torch.constant.int 4
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch._c10d_functional.reduce_scatter_tensor"(%x, %sum, %int4, %group) : (!x, !torch.str, !torch.int, !torch.str) -> !torch.vtensor<[1,64],bf16>
  %1 = torch.operator "torch._c10d_functional.wait_tensor"(%0) : (!torch.vtensor<[1,64],bf16>) -> !torch.vtensor<[1,64],bf16>
  %2 = torch.operator "torch._c10d_functional.all_gather_into_tensor"(%1, %int4, %group) : (!torch.vtensor<[1,64],bf16>, !torch.int, !torch.str) -> !x
  %3 = torch.operator "torch._c10d_functional.wait_tensor"(%2) : (!x) -> !x
  %4:2 = torch.operator "torch._C.fused_add_rms_norm"(%3, %r, %w, %eps) : (!x, !x, !w, !torch.float) -> (!x, !x)
  %5 = torch.operator "torch.vllm.reduce_scatter"(%4#0, %int0, %int4, %group) : (!x, !torch.int, !torch.int, !torch.str) -> !torch.vtensor<[1,64],bf16>
  %6 = torch.operator "torch.vllm.all_gather"(%5, %int0, %int4, %group) : (!torch.vtensor<[1,64],bf16>, !torch.int, !torch.int, !torch.str) -> !x
  %7:2 = torch.operator "torch._C.fused_add_rms_norm"(%6, %4#1, %w, %eps) : (!x, !x, !w, !torch.float) -> (!x, !x)
  %8 = torch.operator "torch.vllm.reduce_scatter"(%x, %int0, %int4, %group) : (!x, !torch.int, !torch.int, !torch.str) -> !torch.vtensor<[1,64],bf16>
  %9 = torch.operator "torch.vllm.all_gather"(%8, %int1, %int4, %group) : (!torch.vtensor<[1,64],bf16>, !torch.int, !torch.int, !torch.str) -> !torch.vtensor<[1,256],bf16>
  return %7#0, %7#1, %9 : !x, !x, !torch.vtensor<[1,256],bf16>
}

// TEXT: left an op that may have effects stands between the all-reduce and the norm's operands
// The input is written over once its parts are summed: the call may not read it later.
// CHECK-LABEL: @input_written_between_halves
// CHECK-NOT:   fiar.all_reduce_norm
func.func @input_written_between_halves(%x: !x, %w: !w, %out: !x) -> !x {
  %group = torch.constant.str "tp:0"
  %int0 = torch.constant.int 0
  %int4 = torch.constant.int 4
  %eps = torch.constant.float 1.0e-6
  %0 = torch.operator "torch.vllm.reduce_scatter"(%x, %int0, %int4, %group) : (!x, !torch.int, !torch.int, !torch.str) -> !torch.vtensor<[1,64],bf16>
  torch.operator "torch.my.change"(%x) : (!x) -> ()
  %1 = torch.operator "torch.vllm.all_gather"(%0, %int0, %int4, %group) : (!torch.vtensor<[1,64],bf16>, !torch.int, !torch.int, !torch.str) -> !x
  %2 = torch.operator "torch._C.rms_norm"(%out, %1, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  return %2 : !x
}

// TEXT: fused RMSNorm world 4
// TEXT: fused RMSNorm world 4
// What is reduced is what was written last: the first norm.
// CHECK-LABEL: @input_written_by_the_norm_before
// CHECK:       %[[F:.*]] = "fiar.all_reduce_norm"(%arg0, %arg1)
// CHECK-NEXT:  %[[G:.*]] = "fiar.all_reduce_norm"(%[[F]], %arg1)
// CHECK-NEXT:  return %[[G]]
func.func @input_written_by_the_norm_before(%x: !x, %w: !w, %out: !x) -> !x {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %buffer = torch.aten.mul.Tensor %x, %x : !x, !x -> !x
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  torch.operator "torch._C.rms_norm"(%buffer, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  %1 = torch.operator "torch.vllm.all_reduce"(%buffer, %group) : (!x, !torch.str) -> !x
  %2 = torch.operator "torch._C.rms_norm"(%out, %1, %w, %eps) : (!x, !x, !w, !torch.float) -> !x
  return %2 : !x
}

// ---- writers by their names, and other names of what they write ----

// TEXT: left an op writes over its result
// CHECK-LABEL: @added_in_place
// CHECK-NOT:   fiar.all_reduce_norm
func.func @added_in_place(%x: !x, %r: !x, %w: !w) -> !x {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %int1 = torch.constant.int 1
  %int64 = torch.constant.int 64
  %dims = torch.prim.ListConstruct %int64 : (!torch.int) -> !torch.list<int>
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1 = torch.operator "torch.aten.add_.Tensor"(%0, %r, %int1) : (!x, !x, !torch.int) -> !x
  %2 = torch.aten.rms_norm %0, %dims, %w, %eps : !x, !torch.list<int>, !w, !torch.float -> !x
  return %2 : !x
}

// TEXT: left
// The residual that is added is what was copied over it.
// CHECK-LABEL: @residual_copied_over
// CHECK-NOT:   fiar.all_reduce_norm
func.func @residual_copied_over(%x: !x, %r: !x, %w: !w, %d: !x) -> (!x, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %int1 = torch.constant.int 1
  %false = torch.constant.bool false
  %int64 = torch.constant.int 64
  %dims = torch.prim.ListConstruct %int64 : (!torch.int) -> !torch.list<int>
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1 = torch.aten.copy_ %r, %d, %false : !x, !x, !torch.bool -> !x
  %h = torch.aten.add.Tensor %0, %r, %int1 : !x, !x, !torch.int -> !x
  %2 = torch.aten.rms_norm %h, %dims, %w, %eps : !x, !torch.list<int>, !w, !torch.float -> !x
  return %2, %h : !x, !x
}

// TEXT: left an op writes over its result, which other names may share
// CHECK-LABEL: @written_by_way_of_a_list
// CHECK-NOT:   fiar.all_reduce_norm
func.func @written_by_way_of_a_list(%x: !x, %w: !w, %z: !x) -> !x {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %two = torch.constant.float 2.0
  %int64 = torch.constant.int 64
  %dims = torch.prim.ListConstruct %int64 : (!torch.int) -> !torch.list<int>
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %list = torch.prim.ListConstruct %z, %0 : (!x, !x) -> !torch.list<vtensor>
  torch.operator "torch.aten._foreach_mul_.Scalar"(%list, %two) : (!torch.list<vtensor>, !torch.float) -> ()
  %2 = torch.aten.rms_norm %0, %dims, %w, %eps : !x, !torch.list<int>, !w, !torch.float -> !x
  return %2 : !x
}

// TEXT: left torch.my.write_many may write over its operands, in ways that cannot be followed
// CHECK-LABEL: @written_with_many_others
// CHECK-NOT:   fiar.all_reduce_norm
func.func @written_with_many_others(%x: !x, %w: !w, %z0: !x, %z1: !x, %z2: !x, %z3: !x, %z4: !x, %z5: !x, %z6: !x, %z7: !x, %z8: !x, %z9: !x, %z10: !x, %z11: !x, %z12: !x, %z13: !x, %z14: !x, %z15: !x) -> !x {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %int64 = torch.constant.int 64
  %dims = torch.prim.ListConstruct %int64 : (!torch.int) -> !torch.list<int>
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  torch.operator "torch.my.write_many"(%z0, %z1, %z2, %z3, %z4, %z5, %z6, %z7, %z8, %z9, %z10, %z11, %z12, %z13, %z14, %z15, %0) : (!x, !x, !x, !x, !x, !x, !x, !x, !x, !x, !x, !x, !x, !x, !x, !x, !x) -> ()
  %2 = torch.aten.rms_norm %0, %dims, %w, %eps : !x, !torch.list<int>, !w, !torch.float -> !x
  return %2 : !x
}

// TEXT: left torch._C.rms_norm may write over its operands, in ways that cannot be followed
// CHECK-LABEL: @written_in_a_list
// CHECK-NOT:   fiar.all_reduce_norm
func.func @written_in_a_list(%x: !x, %w: !w, %z: !x) -> !torch.vtensor<[8,64],bf16> {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %int0 = torch.constant.int 0
  %int4 = torch.constant.int 4
  %int64 = torch.constant.int 64
  %int15 = torch.constant.int 15
  %none = torch.constant.none
  %false = torch.constant.bool false
  %size = torch.prim.ListConstruct %int4, %int64 : (!torch.int, !torch.int) -> !torch.list<int>
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %out = torch.aten.empty.memory_format %size, %int15, %none, %none, %false, %none : !torch.list<int>, !torch.int, !torch.none, !torch.none, !torch.bool, !torch.none -> !x
  %list = torch.prim.ListConstruct %z, %out : (!x, !x) -> !torch.list<vtensor>
  torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  %2 = torch.aten.cat %list, %int0 : !torch.list<vtensor>, !torch.int -> !torch.vtensor<[8,64],bf16>
  return %2 : !torch.vtensor<[8,64],bf16>
}

// TEXT: left torch._C.rms_norm may write over its operands, in ways that cannot be followed
// CHECK-LABEL: @written_as_an_optional
// CHECK-NOT:   fiar.all_reduce_norm
func.func @written_as_an_optional(%x: !x, %w: !w) -> (!torch.optional<vtensor>, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %int4 = torch.constant.int 4
  %int64 = torch.constant.int 64
  %int15 = torch.constant.int 15
  %none = torch.constant.none
  %false = torch.constant.bool false
  %size = torch.prim.ListConstruct %int4, %int64 : (!torch.int, !torch.int) -> !torch.list<int>
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %out = torch.aten.empty.memory_format %size, %int15, %none, %none, %false, %none : !torch.list<int>, !torch.int, !torch.none, !torch.none, !torch.bool, !torch.none -> !x
  %v = torch.derefine %out : !x to !torch.optional<vtensor>
  torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  return %v, %out : !torch.optional<vtensor>, !x
}

// TEXT: left torch._C.rms_norm may write over its operands, in ways that cannot be followed
func.func private @itself(%e: !x) -> !x {
  return %e : !x
}
// CHECK-LABEL: @written_where_a_call_gives_it_back
// CHECK-NOT:   fiar.all_reduce_norm
func.func @written_where_a_call_gives_it_back(%x: !x, %w: !w) -> (!x, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %int4 = torch.constant.int 4
  %int64 = torch.constant.int 64
  %int15 = torch.constant.int 15
  %none = torch.constant.none
  %false = torch.constant.bool false
  %size = torch.prim.ListConstruct %int4, %int64 : (!torch.int, !torch.int) -> !torch.list<int>
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %out = torch.aten.empty.memory_format %size, %int15, %none, %none, %false, %none : !torch.list<int>, !torch.int, !torch.none, !torch.none, !torch.bool, !torch.none -> !x
  %v = func.call @itself(%out) : (!x) -> !x
  torch.operator "torch._C.rms_norm"(%out, %0, %w, %eps) : (!x, !x, !w, !torch.float) -> ()
  return %v, %out : !x, !x
}

// TEXT: left func.call may write over its operands, in ways that cannot be followed
func.func private @changes(%e: !x) {
  torch.operator "torch.my.change"(%e) : (!x) -> ()
  return
}
func.func private @changes_too(%e: !x) {
  func.call @changes(%e) : (!x) -> ()
  return
}
// CHECK-LABEL: @written_in_a_call
// CHECK-NOT:   fiar.all_reduce_norm
func.func @written_in_a_call(%x: !x, %w: !w) -> !x {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %int64 = torch.constant.int 64
  %dims = torch.prim.ListConstruct %int64 : (!torch.int) -> !torch.list<int>
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  func.call @changes_too(%0) : (!x) -> ()
  %2 = torch.aten.rms_norm %0, %dims, %w, %eps : !x, !torch.list<int>, !w, !torch.float -> !x
  return %2 : !x
}

// TEXT: left an op writes over its result
// CHECK-LABEL: @written_as_out
// CHECK-NOT:   fiar.all_reduce_norm
func.func @written_as_out(%x: !x, %r: !x, %w: !w) -> (!x, !x) {
  %group = torch.constant.str "tp:0"
  %eps = torch.constant.float 1.0e-6
  %int64 = torch.constant.int 64
  %dims = torch.prim.ListConstruct %int64 : (!torch.int) -> !torch.list<int>
  %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!x, !torch.str) -> !x
  %1 = torch.operator "torch.aten.mul.out"(%r, %r, %0) : (!x, !x, !x) -> !x
  %2 = torch.aten.rms_norm %0, %dims, %w, %eps : !x, !torch.list<int>, !w, !torch.float -> !x
  return %2, %1 : !x, !x
}
