// RUN: fiar-opt %s --fiar-check --fiar-fuse --verify-diagnostics | FileCheck %s
// RUN: fiar-opt %s --convert-elementwise-to-linalg --fiar-fuse --verify-diagnostics | FileCheck %s
// RUN: fiar-opt %s --convert-elementwise-to-linalg --linalg-generalize-named-ops --fiar-fuse --verify-diagnostics | FileCheck %s
// RUN: fiar-opt %s --convert-elementwise-to-linalg --linalg-generalize-named-ops --linalg-fuse-elementwise-ops --fiar-fuse --verify-diagnostics | FileCheck %s

// Upstream MLIR: elementwise arith and math on tensors, linalg's named ops, and linalg.generic. The four
// runs are the same program in ever fewer, larger generic ops; each must give the same ops.

// The tokens are as many as the hidden size, so that shapes alone do not tell rows from columns.
shard.grid @line(shape = 4)
shard.grid @plane(shape = 2x3)

// CHECK-LABEL: func.func @residual_norm_fp8
// CHECK:         %[[FUSED:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %arg1, %arg2, %arg3)
// CHECK-SAME:      eps = 9.99999974E-6 : f32
// CHECK-SAME{LITERAL}: groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>
// CHECK-SAME:      norm_rounding = "after_weight"
// CHECK-SAME:      quant = "fp8_static"
// CHECK-SAME:      scale_is = "multiplier"
// CHECK-SAME:      world = 4 : i64
// CHECK-NEXT:    return %[[FUSED]]#0, %[[FUSED]]#1
func.func @residual_norm_fp8(%x: tensor<32x32xbf16>, %r: tensor<32x32xbf16>, %w: tensor<32xbf16>, %s: tensor<f32>)
    -> (tensor<32x32xbf16>, tensor<32x32xf8E4M3FN>) {
  %zero = arith.constant 0.0 : f32
  %hidden = arith.constant dense<32.0> : tensor<32xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<32xf32>
  %low = arith.constant dense<-448.0> : tensor<32x32xf32>
  %high = arith.constant dense<448.0> : tensor<32x32xf32>
  %e1 = tensor.empty() : tensor<32xf32>
  %e2 = tensor.empty() : tensor<32x32xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<32xf32>) -> tensor<32xf32>
  %sum = shard.all_reduce %x on @line grid_axes = [0] : tensor<32x32xbf16> -> tensor<32x32xbf16>
  %res = arith.addf %r, %sum : tensor<32x32xbf16>
  %h = arith.extf %res : tensor<32x32xbf16> to tensor<32x32xf32>
  %sq = arith.mulf %h, %h : tensor<32x32xf32>
  %t = linalg.reduce ins(%sq : tensor<32x32xf32>) outs(%zeros : tensor<32xf32>) dimensions = [1]
    (%a: f32, %b: f32) { %c = arith.addf %a, %b : f32  linalg.yield %c : f32 }
  %m = arith.divf %t, %hidden : tensor<32xf32>
  %me = arith.addf %m, %eps : tensor<32xf32>
  %i = math.rsqrt %me : tensor<32xf32>
  %is = linalg.broadcast ins(%i : tensor<32xf32>) outs(%e2 : tensor<32x32xf32>) dimensions = [1]
  %n = arith.mulf %h, %is : tensor<32x32xf32>
  %w32 = arith.extf %w : tensor<32xbf16> to tensor<32xf32>
  %ws = linalg.broadcast ins(%w32 : tensor<32xf32>) outs(%e2 : tensor<32x32xf32>) dimensions = [0]
  %nw = arith.mulf %n, %ws : tensor<32x32xf32>
  %norm = arith.truncf %nw : tensor<32x32xf32> to tensor<32x32xbf16>
  %y = arith.extf %norm : tensor<32x32xbf16> to tensor<32x32xf32>
  %ss = linalg.broadcast ins(%s : tensor<f32>) outs(%e2 : tensor<32x32xf32>) dimensions = [0, 1]
  %q = arith.mulf %y, %ss : tensor<32x32xf32>
  %q1 = arith.maximumf %q, %low : tensor<32x32xf32>
  %q2 = arith.minimumf %q1, %high : tensor<32x32xf32>
  %codes = arith.truncf %q2 : tensor<32x32xf32> to tensor<32x32xf8E4M3FN>
  return %res, %codes : tensor<32x32xbf16>, tensor<32x32xf8E4M3FN>
}

// The groups of a grid's axis: rows of the plane lie side by side, columns a row apart.
// CHECK-LABEL: func.func @groups
// CHECK:         "fiar.all_reduce_norm"(%arg0)
// CHECK-SAME{LITERAL}: groups = dense<[[0, 3], [1, 4], [2, 5]]> : tensor<3x2xi64>
// CHECK-SAME:      world = 2 : i64
func.func @groups(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %zero = arith.constant 0.0 : f32
  %inverse = arith.constant dense<0.03125> : tensor<4xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<4xf32>
  %e1 = tensor.empty() : tensor<4xf32>
  %e2 = tensor.empty() : tensor<4x32xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<4xf32>) -> tensor<4xf32>
  %sum = shard.all_reduce %x on @plane grid_axes = [0] reduction = sum : tensor<4x32xf32> -> tensor<4x32xf32>
  %sq = linalg.square ins(%sum : tensor<4x32xf32>) outs(%e2 : tensor<4x32xf32>) -> tensor<4x32xf32>
  %t = linalg.reduce ins(%sq : tensor<4x32xf32>) outs(%zeros : tensor<4xf32>) dimensions = [1]
    (%a: f32, %b: f32) { %c = arith.addf %a, %b : f32  linalg.yield %c : f32 }
  %m = linalg.mul ins(%t, %inverse : tensor<4xf32>, tensor<4xf32>) outs(%e1 : tensor<4xf32>) -> tensor<4xf32>
  %me = linalg.add ins(%m, %eps : tensor<4xf32>, tensor<4xf32>) outs(%e1 : tensor<4xf32>) -> tensor<4xf32>
  %root = math.sqrt %me : tensor<4xf32>
  %roots = linalg.broadcast ins(%root : tensor<4xf32>) outs(%e2 : tensor<4x32xf32>) dimensions = [1]
  %norm = arith.divf %sum, %roots : tensor<4x32xf32>
  return %norm : tensor<4x32xf32>
}
