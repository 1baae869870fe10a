// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-rotate-loops)' %s | FileCheck %s
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-rotate-loops,fiar-rotate-loops)' %s | FileCheck %s
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-rotate-loops,fiar-fuse)' %s 2>/dev/null | FileCheck %s --check-prefix=FUSED
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-check{rewrite=rotate-and-fuse seeds=2})' %s -o /dev/null

// As jax.lax.scan has layers: a body begins with the norm of what the body before it summed, under a weight of its own.
// CHECK-LABEL: func.func @scan
// CHECK:         %[[W0:.*]] = call @layer(%arg2, %{{.*}})
// CHECK:         %[[N0:.*]] = "stablehlo.custom_call"(%arg1, %[[W0]])
// CHECK:         "stablehlo.while"(%{{.*}}, %arg1, %[[N0]])
// CHECK:         }, {
// CHECK-NEXT:    ^bb0(%{{.*}}: tensor<i32>, %{{.*}}: tensor<4x64xbf16>, %[[N:[a-z0-9]*]]: tensor<4x64xbf16>):
// CHECK-NEXT:      "stablehlo.multiply"(%[[N]], %arg0)
// CHECK:           %[[H:.*]] = "stablehlo.add"(%{{.*}}, %{{.*}}) : (tensor<4x64xbf16>, tensor<4x64xbf16>)
// CHECK:           %[[NEXT:.*]] = "stablehlo.add"({{.*}}tensor<i32>
// CHECK:           %[[W1:.*]] = func.call @layer(%arg2, %[[NEXT]])
// CHECK:           %[[N1:.*]] = "stablehlo.custom_call"(%[[H]], %[[W1]])
// CHECK:           "stablehlo.return"(%[[NEXT]], %[[H]], %[[N1]])
// FUSED-LABEL: func.func @scan
// FUSED:         "fiar.all_reduce_norm"
func.func private @layer(%stack: tensor<3x64xbf16>, %i: tensor<i32>) -> tensor<64xbf16> {
  %z = stablehlo.constant dense<0> : tensor<i32>
  %0 = stablehlo.dynamic_slice %stack, %i, %z, sizes = [1, 64] : (tensor<3x64xbf16>, tensor<i32>, tensor<i32>) -> tensor<1x64xbf16>
  %1 = stablehlo.reshape %0 : (tensor<1x64xbf16>) -> tensor<64xbf16>
  return %1 : tensor<64xbf16>
}
func.func @scan(%x: tensor<4x64xbf16>, %h0: tensor<4x64xbf16>, %stack: tensor<3x64xbf16>) -> tensor<4x64xbf16> {
  %c0 = stablehlo.constant dense<0> : tensor<i32>
  %1:2 = stablehlo.while(%i = %c0, %h = %h0) : tensor<i32>, tensor<4x64xbf16>
  cond {
    %c3 = stablehlo.constant dense<3> : tensor<i32>
    %2 = stablehlo.compare LT, %i, %c3, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %2 : tensor<i1>
  } do {
    %w = func.call @layer(%stack, %i) : (tensor<3x64xbf16>, tensor<i32>) -> tensor<64xbf16>
    %n = stablehlo.custom_call @aten.rms_norm(%h, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    %p = stablehlo.multiply %n, %x : tensor<4x64xbf16>
    %s = "stablehlo.all_reduce"(%p) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %a = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %a : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    %next_h = stablehlo.add %h, %s : tensor<4x64xbf16>
    %c1 = stablehlo.constant dense<1> : tensor<i32>
    %next = stablehlo.add %i, %c1 : tensor<i32>
    stablehlo.return %next, %next_h : tensor<i32>, tensor<4x64xbf16>
  }
  return %1#1 : tensor<4x64xbf16>
}

// Sequence parallelism: what a norm's rows are gathered to is carried, too.
// CHECK-LABEL: func.func @rows
// CHECK:         "stablehlo.all_gather"({{.*}}) {{.*}} -> tensor<4x64xbf16>
// CHECK:         "stablehlo.while"(%{{.*}}, %arg1, %{{.*}})
// CHECK:         }, {
// CHECK-NEXT:    ^bb0(%{{.*}}: tensor<i32>, %{{.*}}: tensor<2x64xbf16>, %[[N:[a-z0-9]*]]: tensor<4x64xbf16>):
// CHECK-NEXT:      "stablehlo.multiply"(%[[N]], %arg0)
// FUSED-LABEL: func.func @rows
// FUSED:         "fiar.all_reduce_norm"{{.*}}residual_layout = "token_block"
func.func @rows(%x: tensor<4x64xbf16>, %h0: tensor<2x64xbf16>, %stack: tensor<3x64xbf16> {mhlo.sharding = "{replicated}"}) -> tensor<2x64xbf16> {
  %c0 = stablehlo.constant dense<0> : tensor<i32>
  %1:2 = stablehlo.while(%i = %c0, %h = %h0) : tensor<i32>, tensor<2x64xbf16>
  cond {
    %c3 = stablehlo.constant dense<3> : tensor<i32>
    %2 = stablehlo.compare LT, %i, %c3, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %2 : tensor<i1>
  } do {
    %z = stablehlo.constant dense<0> : tensor<i32>
    %l1 = stablehlo.dynamic_slice %stack, %i, %z, sizes = [1, 64] : (tensor<3x64xbf16>, tensor<i32>, tensor<i32>) -> tensor<1x64xbf16>
    %w = stablehlo.reshape %l1 : (tensor<1x64xbf16>) -> tensor<64xbf16>
    %n = stablehlo.custom_call @aten.rms_norm(%h, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<2x64xbf16>, tensor<64xbf16>) -> tensor<2x64xbf16>
    %all = "stablehlo.all_gather"(%n) <{all_gather_dim = 0 : i64, replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> : (tensor<2x64xbf16>) -> tensor<4x64xbf16>
    %p = stablehlo.multiply %all, %x : tensor<4x64xbf16>
    %s = "stablehlo.reduce_scatter"(%p) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>, scatter_dimension = 0 : i64}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %a = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %a : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<2x64xbf16>
    %next_h = stablehlo.add %h, %s : tensor<2x64xbf16>
    %c1 = stablehlo.constant dense<1> : tensor<i32>
    %next = stablehlo.add %i, %c1 : tensor<i32>
    stablehlo.return %next, %next_h : tensor<i32>, tensor<2x64xbf16>
  }
  return %1#1 : tensor<2x64xbf16>
}

// A quantised norm is carried as its codes and scales, not as what spreads them.
// CHECK-LABEL: func.func @quantised
// CHECK:         "stablehlo.while"
// CHECK:         }, {
// CHECK-NEXT:    ^bb0({{.*}}: tensor<4x64xbf16>, %[[Q:[a-z0-9]*]]: tensor<4x64xf8E4M3FN>, %[[SCALES:[a-z0-9]*]]: tensor<4x1xf32>):
// CHECK-NEXT:      "stablehlo.dot_general"(%[[Q]], %arg0)
// CHECK-NEXT:      "stablehlo.broadcast_in_dim"(%[[SCALES]])
// FUSED-LABEL: func.func @quantised
// FUSED:         "fiar.all_reduce_norm"{{.*}}quant = "fp8_token"
func.func private @quantise(%n: tensor<4x64xbf16>) -> (tensor<4x64xf8E4M3FN>, tensor<4x1xf32>) {
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %f = stablehlo.convert %n : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %a = stablehlo.abs %f : tensor<4x64xf32>
  %m = stablehlo.reduce(%a init: %z) applies stablehlo.maximum across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
  %k = stablehlo.broadcast_in_dim %m, dims = [0] : (tensor<4xf32>) -> tensor<4x1xf32>
  %c = stablehlo.constant dense<448.0> : tensor<4x1xf32>
  %s = stablehlo.divide %k, %c : tensor<4x1xf32>
  %b = stablehlo.broadcast_in_dim %s, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x64xf32>
  %d = stablehlo.divide %f, %b : tensor<4x64xf32>
  %q = stablehlo.convert %d : (tensor<4x64xf32>) -> tensor<4x64xf8E4M3FN>
  return %q, %s : tensor<4x64xf8E4M3FN>, tensor<4x1xf32>
}
func.func @quantised(%y: tensor<64x64xf8E4M3FN>, %h0: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> tensor<4x64xbf16> {
  %c0 = stablehlo.constant dense<0> : tensor<i32>
  %1:2 = stablehlo.while(%i = %c0, %h = %h0) : tensor<i32>, tensor<4x64xbf16>
  cond {
    %c3 = stablehlo.constant dense<3> : tensor<i32>
    %2 = stablehlo.compare LT, %i, %c3, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %2 : tensor<i1>
  } do {
    %n = stablehlo.custom_call @aten.rms_norm(%h, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    %q:2 = func.call @quantise(%n) : (tensor<4x64xbf16>) -> (tensor<4x64xf8E4M3FN>, tensor<4x1xf32>)
    %qf = stablehlo.dot_general %q#0, %y, contracting_dims = [1] x [0] : (tensor<4x64xf8E4M3FN>, tensor<64x64xf8E4M3FN>) -> tensor<4x64xf32>
    %b = stablehlo.broadcast_in_dim %q#1, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x64xf32>
    %d = stablehlo.multiply %qf, %b : tensor<4x64xf32>
    %p = stablehlo.convert %d : (tensor<4x64xf32>) -> tensor<4x64xbf16>
    %s = "stablehlo.all_reduce"(%p) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %a = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %a : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    %next_h = stablehlo.add %h, %s : tensor<4x64xbf16>
    %c1 = stablehlo.constant dense<1> : tensor<i32>
    %next = stablehlo.add %i, %c1 : tensor<i32>
    stablehlo.return %next, %next_h : tensor<i32>, tensor<4x64xbf16>
  }
  return %1#1 : tensor<4x64xbf16>
}

// What a counting loop computes behind its last round must not read behind the last layer, so nothing that depends on
// its counter moves; a weight that all rounds share does not.
// CHECK-LABEL: func.func @counts
// CHECK:         scf.for {{.*}} iter_args(%{{.*}} = %arg1, %{{.*}} = %{{.*}}) -> (tensor<4x64xbf16>, tensor<4x64xbf16>)
// CHECK-LABEL: func.func @counts_layers
// CHECK:         scf.for {{.*}} iter_args(%{{.*}} = %arg1) -> (tensor<4x64xbf16>)
// FUSED-LABEL: func.func @counts
// FUSED:         "fiar.all_reduce_norm"
// FUSED-LABEL: func.func @counts_layers
// FUSED-NOT:     "fiar.all_reduce_norm"
func.func @counts(%x: tensor<4x64xbf16>, %h0: tensor<4x64xbf16>, %w: tensor<64xbf16>, %n: index) -> tensor<4x64xbf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %1 = scf.for %i = %c0 to %n step %c1 iter_args(%h = %h0) -> (tensor<4x64xbf16>) {
    %norm = stablehlo.custom_call @aten.rms_norm(%h, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    %p = stablehlo.multiply %norm, %x : tensor<4x64xbf16>
    %s = "stablehlo.all_reduce"(%p) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %a = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %a : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    %next_h = stablehlo.add %h, %s : tensor<4x64xbf16>
    scf.yield %next_h : tensor<4x64xbf16>
  }
  return %1 : tensor<4x64xbf16>
}
func.func @counts_layers(%x: tensor<4x64xbf16>, %h0: tensor<4x64xbf16>, %stack: tensor<3x64xbf16>, %n: index) -> tensor<4x64xbf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %1 = scf.for %i = %c0 to %n step %c1 iter_args(%h = %h0) -> (tensor<4x64xbf16>) {
    %w = tensor.extract_slice %stack[%i, 0] [1, 64] [1, 1] : tensor<3x64xbf16> to tensor<64xbf16>
    %norm = stablehlo.custom_call @aten.rms_norm(%h, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    %p = stablehlo.multiply %norm, %x : tensor<4x64xbf16>
    %s = "stablehlo.all_reduce"(%p) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %a = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %a : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    %next_h = stablehlo.add %h, %s : tensor<4x64xbf16>
    scf.yield %next_h : tensor<4x64xbf16>
  }
  return %1 : tensor<4x64xbf16>
}

// Nothing moves where nothing more would fuse: the sum and the norm are of two carried values; a product of matrices
// stands before the norm; the loop's results have shardings, of which there would be too few.
// CHECK-LABEL: func.func @other_value
// CHECK:         "stablehlo.while"(%{{.*}}, %arg1, %arg1)
// CHECK-LABEL: func.func @product_first
// CHECK:         "stablehlo.while"(%{{.*}}, %arg1) ({
// CHECK-LABEL: func.func @annotated
// CHECK:         "stablehlo.while"(%{{.*}}, %arg1) ({
func.func @other_value(%x: tensor<64x64xbf16>, %h0: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> tensor<4x64xbf16> {
  %c0 = stablehlo.constant dense<0> : tensor<i32>
  %1:3 = "stablehlo.while"(%c0, %h0, %h0) ({
  ^bb0(%i: tensor<i32>, %h: tensor<4x64xbf16>, %g: tensor<4x64xbf16>):
    %c3 = stablehlo.constant dense<3> : tensor<i32>
    %2 = stablehlo.compare LT, %i, %c3, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %2 : tensor<i1>
  }, {
  ^bb0(%i: tensor<i32>, %h: tensor<4x64xbf16>, %g: tensor<4x64xbf16>):
    %n = stablehlo.custom_call @aten.rms_norm(%g, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    %p = stablehlo.dot_general %n, %x, contracting_dims = [1] x [0] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
    %s = "stablehlo.all_reduce"(%p) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %a = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %a : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    %next_h = stablehlo.add %h, %s : tensor<4x64xbf16>
    %c1 = stablehlo.constant dense<1> : tensor<i32>
    %next = stablehlo.add %i, %c1 : tensor<i32>
    stablehlo.return %next, %next_h, %n : tensor<i32>, tensor<4x64xbf16>, tensor<4x64xbf16>
  }) : (tensor<i32>, tensor<4x64xbf16>, tensor<4x64xbf16>) -> (tensor<i32>, tensor<4x64xbf16>, tensor<4x64xbf16>)
  return %1#1 : tensor<4x64xbf16>
}
func.func @product_first(%x: tensor<64x64xbf16>, %h0: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> tensor<4x64xbf16> {
  %c0 = stablehlo.constant dense<0> : tensor<i32>
  %1:2 = "stablehlo.while"(%c0, %h0) ({
  ^bb0(%i: tensor<i32>, %h: tensor<4x64xbf16>):
    %c3 = stablehlo.constant dense<3> : tensor<i32>
    %2 = stablehlo.compare LT, %i, %c3, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %2 : tensor<i1>
  }, {
  ^bb0(%i: tensor<i32>, %h: tensor<4x64xbf16>):
    %y = stablehlo.dot_general %h, %x, contracting_dims = [1] x [0] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
    %n = stablehlo.custom_call @aten.rms_norm(%y, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    %p = stablehlo.dot_general %n, %x, contracting_dims = [1] x [0] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
    %s = "stablehlo.all_reduce"(%p) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %a = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %a : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    %next_h = stablehlo.add %h, %s : tensor<4x64xbf16>
    %c1 = stablehlo.constant dense<1> : tensor<i32>
    %next = stablehlo.add %i, %c1 : tensor<i32>
    stablehlo.return %next, %next_h : tensor<i32>, tensor<4x64xbf16>
  }) : (tensor<i32>, tensor<4x64xbf16>) -> (tensor<i32>, tensor<4x64xbf16>)
  return %1#1 : tensor<4x64xbf16>
}
func.func @annotated(%x: tensor<64x64xbf16>, %h0: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> tensor<4x64xbf16> {
  %c0 = stablehlo.constant dense<0> : tensor<i32>
  %1:2 = "stablehlo.while"(%c0, %h0) ({
  ^bb0(%i: tensor<i32>, %h: tensor<4x64xbf16>):
    %c3 = stablehlo.constant dense<3> : tensor<i32>
    %2 = stablehlo.compare LT, %i, %c3, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %2 : tensor<i1>
  }, {
  ^bb0(%i: tensor<i32>, %h: tensor<4x64xbf16>):
    %n = stablehlo.custom_call @aten.rms_norm(%h, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    %p = stablehlo.dot_general %n, %x, contracting_dims = [1] x [0] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
    %s = "stablehlo.all_reduce"(%p) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %a = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %a : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    %next_h = stablehlo.add %h, %s : tensor<4x64xbf16>
    %c1 = stablehlo.constant dense<1> : tensor<i32>
    %next = stablehlo.add %i, %c1 : tensor<i32>
    stablehlo.return %next, %next_h : tensor<i32>, tensor<4x64xbf16>
  }) {mhlo.sharding = "{{replicated}, {replicated}}"} : (tensor<i32>, tensor<4x64xbf16>) -> (tensor<i32>, tensor<4x64xbf16>)
  return %1#1 : tensor<4x64xbf16>
}
