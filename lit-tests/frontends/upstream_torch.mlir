// RUN: fiar-opt %s --pass-pipeline='builtin.module(fiar-check,fiar-fuse)' --verify-diagnostics | FileCheck %s

// What torch-mlir makes of a decoder layer's norm in linalg: sums keep their dimension with size 1, squares are integer powers,
// and the count is an integer that the body converts.

#all = affine_map<(d0, d1) -> (d0, d1)>
#kept = affine_map<(d0, d1) -> (d0, 0)>
#row = affine_map<(d0, d1) -> (d1)>
#turned = affine_map<(d0, d1) -> (d1, d0)>
shard.grid @g(shape = 4)

// CHECK-LABEL: @norm
// CHECK:       %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %arg1, %arg2) {{.*}}norm_rounding = "before_weight"
// CHECK-NEXT:  return %[[F]]#0, %[[F]]#1
func.func @norm(%x: tensor<4x64xbf16>, %r: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>) {
  %two = arith.constant 2 : i64
  %hidden = arith.constant 64 : i64
  %eps = arith.constant 1.0e-5 : f64
  %zero = arith.constant 0.0 : f32
  %eb = tensor.empty() : tensor<4x64xbf16>
  %ef = tensor.empty() : tensor<4x64xf32>
  %er = tensor.empty() : tensor<4x1xf32>
  %s = shard.all_reduce %x on @g grid_axes = [0] : tensor<4x64xbf16> -> tensor<4x64xbf16>
  %h = linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel", "parallel"]} ins(%s, %r : tensor<4x64xbf16>, tensor<4x64xbf16>) outs(%eb : tensor<4x64xbf16>) {
  ^bb0(%a: bf16, %b: bf16, %o: bf16):
    %c = arith.addf %a, %b : bf16
    linalg.yield %c : bf16
  } -> tensor<4x64xbf16>
  %f = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]} ins(%h : tensor<4x64xbf16>) outs(%ef : tensor<4x64xf32>) {
  ^bb0(%a: bf16, %o: f32):
    %c = arith.extf %a : bf16 to f32
    linalg.yield %c : f32
  } -> tensor<4x64xf32>
  %sq = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]} ins(%f : tensor<4x64xf32>) outs(%ef : tensor<4x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = math.fpowi %a, %two : f32, i64
    linalg.yield %c : f32
  } -> tensor<4x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%er : tensor<4x1xf32>) -> tensor<4x1xf32>
  %t = linalg.generic {indexing_maps = [#all, #kept], iterator_types = ["parallel", "reduction"]} ins(%sq : tensor<4x64xf32>) outs(%zeros : tensor<4x1xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = arith.addf %a, %o : f32
    linalg.yield %c : f32
  } -> tensor<4x1xf32>
  %i = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]} ins(%t : tensor<4x1xf32>) outs(%er : tensor<4x1xf32>) {
  ^bb0(%a: f32, %o: f32):
    %n = arith.sitofp %hidden : i64 to f32
    %m = arith.divf %a, %n : f32
    %e = arith.truncf %eps : f64 to f32
    %me = arith.addf %m, %e : f32
    %c = math.rsqrt %me : f32
    linalg.yield %c : f32
  } -> tensor<4x1xf32>
  %y = linalg.generic {indexing_maps = [#all, #kept, #all], iterator_types = ["parallel", "parallel"]} ins(%f, %i : tensor<4x64xf32>, tensor<4x1xf32>) outs(%eb : tensor<4x64xbf16>) {
  ^bb0(%a: f32, %b: f32, %o: bf16):
    %p = arith.mulf %a, %b : f32
    %c = arith.truncf %p : f32 to bf16
    linalg.yield %c : bf16
  } -> tensor<4x64xbf16>
  %n = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%y, %w : tensor<4x64xbf16>, tensor<64xbf16>) outs(%eb : tensor<4x64xbf16>) {
  ^bb0(%a: bf16, %b: bf16, %o: bf16):
    %c = arith.mulf %a, %b : bf16
    linalg.yield %c : bf16
  } -> tensor<4x64xbf16>
  return %h, %n : tensor<4x64xbf16>, tensor<4x64xbf16>
}

// Loops over values from outside that walk in another order, or combine with another op, end nothing.
// CHECK-LABEL: @transposed_beside
// CHECK-NOT:   fiar.all_reduce_norm
func.func @transposed_beside(%x: tensor<4x64xf32>, %y: tensor<64x4xf32>) -> tensor<4x64xf32> {
  %e = tensor.empty() : tensor<4x64xf32>
  // expected-remark@+1 {{no RMSNorm follows}}
  %s = shard.all_reduce %x on @g grid_axes = [0] : tensor<4x64xf32> -> tensor<4x64xf32>
  %t = linalg.generic {indexing_maps = [#all, #turned], iterator_types = ["parallel", "parallel"]} ins(%y : tensor<64x4xf32>) outs(%e : tensor<4x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<4x64xf32>
  %q = arith.addf %s, %t : tensor<4x64xf32>
  return %q : tensor<4x64xf32>
}

// CHECK-LABEL: @gated
// CHECK-NOT:   fiar.all_reduce_norm
func.func @gated(%x: tensor<4x64xf32>, %y: tensor<4x8xf32>) -> tensor<4x64xf32> {
  %one = arith.constant 1.0 : f32
  // expected-remark@+1 {{no RMSNorm follows: the all-reduced sum goes into arith.mulf}}
  %s = shard.all_reduce %x on @g grid_axes = [0] : tensor<4x64xf32> -> tensor<4x64xf32>
  %er = tensor.empty() : tensor<4x1xf32>
  %e = tensor.empty() : tensor<4x64xf32>
  %ones = linalg.fill ins(%one : f32) outs(%er : tensor<4x1xf32>) -> tensor<4x1xf32>
  %k = linalg.generic {indexing_maps = [#all, #kept], iterator_types = ["parallel", "reduction"]} ins(%y : tensor<4x8xf32>) outs(%ones : tensor<4x1xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = arith.mulf %a, %o : f32
    linalg.yield %c : f32
  } -> tensor<4x1xf32>
  %q = linalg.generic {indexing_maps = [#all, #kept, #all], iterator_types = ["parallel", "parallel"]} ins(%s, %k : tensor<4x64xf32>, tensor<4x1xf32>) outs(%e : tensor<4x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.mulf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<4x64xf32>
  return %q : tensor<4x64xf32>
}
