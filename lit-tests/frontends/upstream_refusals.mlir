// RUN: fiar-opt %s --fiar-fuse --verify-diagnostics | FileCheck %s

// What upstream MLIR can say and the fused op cannot. Tokens are as many as the hidden size: only the
// dimensions' names, never their sizes, tell rows from columns.
shard.grid @line(shape = 4)
shard.grid @open(shape = ?)
// CHECK-NOT: fiar.all_reduce_norm

// Not a sum.
func.func @maximum(%x: tensor<32x32xf32>, %s: tensor<32x32xf32>) -> tensor<32x32xf32> {
  %zero = arith.constant 0.0 : f32
  %hidden = arith.constant dense<32.0> : tensor<32xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<32xf32>
  %e1 = tensor.empty() : tensor<32xf32>
  %e2 = tensor.empty() : tensor<32x32xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<32xf32>) -> tensor<32xf32>
  // expected-remark@+1 {{its reducer is no sum but max}}
  %sum = shard.all_reduce %x on @line grid_axes = [0] reduction = max : tensor<32x32xf32> -> tensor<32x32xf32>
  %sq = arith.mulf %sum, %sum : tensor<32x32xf32>
  %t = linalg.reduce ins(%sq : tensor<32x32xf32>) outs(%zeros : tensor<32xf32>) dimensions = [1]
    (%a: f32, %b: f32) { %c = arith.addf %a, %b : f32  linalg.yield %c : f32 }
  %m = arith.divf %t, %hidden : tensor<32xf32>
  %me = arith.addf %m, %eps : tensor<32xf32>
  %i = math.rsqrt %me : tensor<32xf32>
  %is = linalg.broadcast ins(%i : tensor<32xf32>) outs(%e2 : tensor<32x32xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<32x32xf32>
  return %norm : tensor<32x32xf32>
}

// A grid whose size is not known.
func.func @unknown_size(%x: tensor<32x32xf32>, %s: tensor<32x32xf32>) -> tensor<32x32xf32> {
  %zero = arith.constant 0.0 : f32
  %hidden = arith.constant dense<32.0> : tensor<32xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<32xf32>
  %e1 = tensor.empty() : tensor<32xf32>
  %e2 = tensor.empty() : tensor<32x32xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<32xf32>) -> tensor<32xf32>
  // expected-remark@+1 {{which ranks it adds up is not known: its grid is not in the module, or has no such axis or sizes that are not known}}
  %sum = shard.all_reduce %x on @open grid_axes = [0] reduction = sum : tensor<32x32xf32> -> tensor<32x32xf32>
  %sq = arith.mulf %sum, %sum : tensor<32x32xf32>
  %t = linalg.reduce ins(%sq : tensor<32x32xf32>) outs(%zeros : tensor<32xf32>) dimensions = [1]
    (%a: f32, %b: f32) { %c = arith.addf %a, %b : f32  linalg.yield %c : f32 }
  %m = arith.divf %t, %hidden : tensor<32xf32>
  %me = arith.addf %m, %eps : tensor<32xf32>
  %i = math.rsqrt %me : tensor<32xf32>
  %is = linalg.broadcast ins(%i : tensor<32xf32>) outs(%e2 : tensor<32x32xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<32x32xf32>
  return %norm : tensor<32x32xf32>
}

// The mean over the tokens.
func.func @columns(%x: tensor<32x32xf32>, %s: tensor<32x32xf32>) -> tensor<32x32xf32> {
  %zero = arith.constant 0.0 : f32
  %hidden = arith.constant dense<32.0> : tensor<32xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<32xf32>
  %e1 = tensor.empty() : tensor<32xf32>
  %e2 = tensor.empty() : tensor<32x32xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<32xf32>) -> tensor<32xf32>
  // expected-remark@+1 {{the norm is not over the last dimension of the all-reduce}}
  %sum = shard.all_reduce %x on @line grid_axes = [0] reduction = sum : tensor<32x32xf32> -> tensor<32x32xf32>
  %sq = arith.mulf %sum, %sum : tensor<32x32xf32>
  %t = linalg.reduce ins(%sq : tensor<32x32xf32>) outs(%zeros : tensor<32xf32>) dimensions = [0]
    (%a: f32, %b: f32) { %c = arith.addf %a, %b : f32  linalg.yield %c : f32 }
  %m = arith.divf %t, %hidden : tensor<32xf32>
  %me = arith.addf %m, %eps : tensor<32xf32>
  %i = math.rsqrt %me : tensor<32xf32>
  %is = linalg.broadcast ins(%i : tensor<32xf32>) outs(%e2 : tensor<32x32xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<32x32xf32>
  return %norm : tensor<32x32xf32>
}

// The row's factor spread over the columns.
func.func @crossed(%x: tensor<32x32xf32>, %s: tensor<32x32xf32>) -> tensor<32x32xf32> {
  %zero = arith.constant 0.0 : f32
  %hidden = arith.constant dense<32.0> : tensor<32xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<32xf32>
  %e1 = tensor.empty() : tensor<32xf32>
  %e2 = tensor.empty() : tensor<32x32xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<32xf32>) -> tensor<32xf32>
  // expected-remark@+1 {{the reciprocal root goes into arith.mulf}}
  %sum = shard.all_reduce %x on @line grid_axes = [0] reduction = sum : tensor<32x32xf32> -> tensor<32x32xf32>
  %sq = arith.mulf %sum, %sum : tensor<32x32xf32>
  %t = linalg.reduce ins(%sq : tensor<32x32xf32>) outs(%zeros : tensor<32xf32>) dimensions = [1]
    (%a: f32, %b: f32) { %c = arith.addf %a, %b : f32  linalg.yield %c : f32 }
  %m = arith.divf %t, %hidden : tensor<32xf32>
  %me = arith.addf %m, %eps : tensor<32xf32>
  %i = math.rsqrt %me : tensor<32xf32>
  %is = linalg.broadcast ins(%i : tensor<32xf32>) outs(%e2 : tensor<32x32xf32>) dimensions = [0]
  %norm = arith.mulf %sum, %is : tensor<32x32xf32>
  return %norm : tensor<32x32xf32>
}

// A generic op that squares the transposed sum.
func.func @transposed_body(%x: tensor<32x32xf32>, %s: tensor<32x32xf32>) -> tensor<32x32xf32> {
  %zero = arith.constant 0.0 : f32
  %hidden = arith.constant dense<32.0> : tensor<32xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<32xf32>
  %e1 = tensor.empty() : tensor<32xf32>
  %e2 = tensor.empty() : tensor<32x32xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<32xf32>) -> tensor<32xf32>
  // expected-remark@+1 {{the norm is not over the last dimension of the all-reduce}}
  %sum = shard.all_reduce %x on @line grid_axes = [0] reduction = sum : tensor<32x32xf32> -> tensor<32x32xf32>
  %sq = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0, d1)>],
                        iterator_types = ["parallel", "parallel"]}
      ins(%sum : tensor<32x32xf32>) outs(%e2 : tensor<32x32xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.mulf %a, %a : f32
    linalg.yield %c : f32
  } -> tensor<32x32xf32>
  %t = linalg.reduce ins(%sq : tensor<32x32xf32>) outs(%zeros : tensor<32xf32>) dimensions = [1]
    (%a: f32, %b: f32) { %c = arith.addf %a, %b : f32  linalg.yield %c : f32 }
  %m = arith.divf %t, %hidden : tensor<32xf32>
  %me = arith.addf %m, %eps : tensor<32xf32>
  %i = math.rsqrt %me : tensor<32xf32>
  %is = linalg.broadcast ins(%i : tensor<32xf32>) outs(%e2 : tensor<32x32xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<32x32xf32>
  return %norm : tensor<32x32xf32>
}

// A body that adds its accumulator twice.
func.func @accumulator_twice(%x: tensor<32x32xf32>, %s: tensor<32x32xf32>) -> tensor<32x32xf32> {
  %zero = arith.constant 0.0 : f32
  %hidden = arith.constant dense<32.0> : tensor<32xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<32xf32>
  %e1 = tensor.empty() : tensor<32xf32>
  %e2 = tensor.empty() : tensor<32x32xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<32xf32>) -> tensor<32xf32>
  // expected-remark@+1 {{the square goes into arith.addf}}
  %sum = shard.all_reduce %x on @line grid_axes = [0] reduction = sum : tensor<32x32xf32> -> tensor<32x32xf32>

  %t = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
                       iterator_types = ["parallel", "reduction"]}
      ins(%sum : tensor<32x32xf32>) outs(%zeros : tensor<32xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.mulf %a, %a : f32
    %d = arith.addf %b, %c : f32
    %e = arith.addf %d, %b : f32
    linalg.yield %e : f32
  } -> tensor<32xf32>
  %m = arith.divf %t, %hidden : tensor<32xf32>
  %me = arith.addf %m, %eps : tensor<32xf32>
  %i = math.rsqrt %me : tensor<32xf32>
  %is = linalg.broadcast ins(%i : tensor<32xf32>) outs(%e2 : tensor<32x32xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<32x32xf32>
  return %norm : tensor<32x32xf32>
}

// A body that adds its destination to the squares.
func.func @reads_destination(%x: tensor<32x32xf32>, %s: tensor<32x32xf32>) -> tensor<32x32xf32> {
  %zero = arith.constant 0.0 : f32
  %hidden = arith.constant dense<32.0> : tensor<32xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<32xf32>
  %e1 = tensor.empty() : tensor<32xf32>
  %e2 = tensor.empty() : tensor<32x32xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<32xf32>) -> tensor<32xf32>
  // expected-remark@+1 {{the square goes into arith.addf}}
  %sum = shard.all_reduce %x on @line grid_axes = [0] reduction = sum : tensor<32x32xf32> -> tensor<32x32xf32>
  %sq = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
                        iterator_types = ["parallel", "parallel"]}
      ins(%sum : tensor<32x32xf32>) outs(%s : tensor<32x32xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.mulf %a, %a : f32
    %d = arith.addf %c, %b : f32
    linalg.yield %d : f32
  } -> tensor<32x32xf32>
  %t = linalg.reduce ins(%sq : tensor<32x32xf32>) outs(%zeros : tensor<32xf32>) dimensions = [1]
    (%a: f32, %b: f32) { %c = arith.addf %a, %b : f32  linalg.yield %c : f32 }
  %m = arith.divf %t, %hidden : tensor<32xf32>
  %me = arith.addf %m, %eps : tensor<32xf32>
  %i = math.rsqrt %me : tensor<32xf32>
  %is = linalg.broadcast ins(%i : tensor<32xf32>) outs(%e2 : tensor<32x32xf32>) dimensions = [1]
  %norm = arith.mulf %sum, %is : tensor<32x32xf32>
  return %norm : tensor<32x32xf32>
}
