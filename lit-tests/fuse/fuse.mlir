// RUN: fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-fuse)' %s 2>/dev/null | FileCheck %s
// A second run changes nothing.
// RUN: fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-fuse)' %s -o %t.once 2>/dev/null
// RUN: fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-fuse,fiar-fuse)' %s -o %t.twice 2>/dev/null
// RUN: cmp %t.once %t.twice
// RUN: fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-fuse)' %s --mlir-print-debuginfo 2>/dev/null | FileCheck %s --check-prefix=LOC
// RUN: fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-fuse{report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=TEXT
// RUN: fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-fuse{report=json})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=JSON

// The layer of a scanned model: the all-reduce in the loop's body.
// CHECK-LABEL: func.func @scan
// CHECK:         "stablehlo.while"
// CHECK:           %[[F:.*]]:2 = "fiar.all_reduce_norm"({{.*}}) {eps = 9.99999974E-6 : f32, {{.*}}norm_input = "rounded", norm_rounding = "before_weight", {{.*}}quant = "none", {{.*}}world = 2 : i64} : (tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>)
// CHECK-NOT:       stablehlo.rsqrt
// CHECK:           "stablehlo.add"(%[[F]]#0, {{.*}})
// LOC: "fiar.all_reduce_norm"{{.*}} loc(#[[L:.*]])
// LOC: #[[L]] = loc(fused[
// TEXT: fiar-fuse: 1 all-reduce seen, 1 fused, 0 left
// TEXT: fuse.mlir:{{[0-9]+}}:{{[0-9]+}} fused residual + RMSNorm world 2 eps 1e-05 -> residual, norm
// JSON: {"pass": "fiar-fuse", "seen": 1, "fused": 1, "refused": 0,
// JSON: "fused": true, "world": 2, "residual": true, "weight": true, "weight_bias": 0, "eps": 9.99999975e-06, "quant": "none", "results": ["residual", "norm"]
func.func @scan(%n: tensor<i32>, %r0: tensor<4x64xbf16>, %w: tensor<64xbf16>, %m: tensor<64x64xbf16>) -> tensor<4x64xbf16> {
  %zero = stablehlo.constant dense<0> : tensor<i32>
  %0:2 = stablehlo.while(%i = %zero, %r = %r0) : tensor<i32>, tensor<4x64xbf16>
    cond {
      %c = stablehlo.compare LT, %i, %n, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %c : tensor<i1>
    } do {
      %x = stablehlo.dot_general %r, %m, contracting_dims = [1] x [0] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
      ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
        %y = stablehlo.add %a, %b : tensor<bf16>
        stablehlo.return %y : tensor<bf16>
      }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
      %h = stablehlo.add %r, %s : tensor<4x64xbf16>
      %f = stablehlo.convert %h : (tensor<4x64xbf16>) -> tensor<4x64xf32>
      %q = stablehlo.multiply %f, %f : tensor<4x64xf32>
      %z = stablehlo.constant dense<0.0> : tensor<f32>
      %t = stablehlo.reduce(%q init: %z) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
      %count = stablehlo.constant dense<64.0> : tensor<4xf32>
      %mean = stablehlo.divide %t, %count : tensor<4xf32>
      %eps = stablehlo.constant dense<1.0e-5> : tensor<4xf32>
      %e = stablehlo.add %mean, %eps : tensor<4xf32>
      %root = stablehlo.rsqrt %e : tensor<4xf32>
      %full = stablehlo.broadcast_in_dim %root, dims = [0] : (tensor<4xf32>) -> tensor<4x64xf32>
      %normed = stablehlo.multiply %f, %full : tensor<4x64xf32>
      %narrow = stablehlo.convert %normed : (tensor<4x64xf32>) -> tensor<4x64xbf16>
      %wide_w = stablehlo.broadcast_in_dim %w, dims = [1] : (tensor<64xbf16>) -> tensor<4x64xbf16>
      %norm = stablehlo.multiply %narrow, %wide_w : tensor<4x64xbf16>
      %next = stablehlo.dot_general %norm, %m, contracting_dims = [1] x [0] : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xbf16>
      %out = stablehlo.add %h, %next : tensor<4x64xbf16>
      %one = stablehlo.constant dense<1> : tensor<i32>
      %j = stablehlo.add %i, %one : tensor<i32>
      stablehlo.return %j, %out : tensor<i32>, tensor<4x64xbf16>
    }
  return %0#1 : tensor<4x64xbf16>
}

// -----

// No norm: the all-reduce stays as it was, and the report says why and where.
// CHECK-LABEL: func.func @left
// CHECK:         "stablehlo.all_reduce"
// CHECK-NOT:     fiar.
// TEXT: fiar-fuse: 1 all-reduce seen, 0 fused, 1 left
// TEXT: left no RMSNorm follows: the all-reduced sum goes into stablehlo.tanh (fuse.mlir:{{[0-9]+}}:{{[0-9]+}})
// JSON: "refusals": [
// JSON: {"count": 1, "reason": "no RMSNorm follows: the all-reduced sum goes into stablehlo.tanh"}]
func.func @left(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %y = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %y : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %t = stablehlo.tanh %s : tensor<4x64xbf16>
  return %t : tensor<4x64xbf16>
}

// -----

// Shardings but no all-reduce yet: the partitioner has still to run.
// TEXT: fiar-fuse: 0 all-reduces seen
// TEXT: {{^}}  0 all_reduce found; the module still carries sharding annotations
// JSON: "note": "0 all_reduce found; the module still carries sharding annotations
module attributes {mhlo.num_partitions = 4 : i32} {
  func.func @before_partitioning(%x: tensor<4x64xbf16> {mhlo.sharding = "{devices=[1,4]<=[4]}"}) -> tensor<4x64xbf16> {
    return %x : tensor<4x64xbf16>
  }
}

// -----

// Sums are scattered by rows, but it is no norm that is gathered.
// TEXT: fiar-fuse: 0 all-reduces seen
// TEXT: {{^}}  0 all_reduce found, but sums that are scattered by rows: no norm of the rows follows
// JSON: "note": "0 all_reduce found, but sums that are scattered by rows: no norm of the rows follows
func.func @rows_without_norm(%x: tensor<4x64xbf16>, %r: tensor<2x64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.reduce_scatter"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>, scatter_dimension = 0 : i64}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %y = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %y : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<2x64xbf16>
  %h = stablehlo.add %s, %r : tensor<2x64xbf16>
  %t = "stablehlo.all_gather"(%h) <{all_gather_dim = 0 : i64, replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> : (tensor<2x64xbf16>) -> tensor<4x64xbf16>
  return %t : tensor<4x64xbf16>
}

// -----

// Replicated everywhere is no sharding.
// TEXT: fiar-fuse: 0 all-reduces seen
// TEXT-NOT: sharding annotations
module attributes {mhlo.num_partitions = 4 : i32} {
  func.func @replicated(%x: tensor<4x64xbf16> {mhlo.sharding = "{replicated}"}) -> tensor<4x64xbf16> {
    return %x : tensor<4x64xbf16>
  }
}

// -----

// A shard_map around the product alone leaves the norm outside.
// TEXT: left no RMSNorm follows: the all-reduced sum goes into sdy.return: a norm fuses with it only inside the same manual computation (shard_map)
sdy.mesh @mesh = <["tp"=2]>
func.func @product_alone(%x: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> tensor<4x64xbf16> {
  %0 = sdy.manual_computation(%x) in_shardings=[<@mesh, [{}, {}]>] out_shardings=[<@mesh, [{}, {}]>] manual_axes={"tp"} (%y: tensor<4x64xbf16>) {
    %s = "stablehlo.all_reduce"(%y) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
      %z = stablehlo.add %a, %b : tensor<bf16>
      stablehlo.return %z : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    sdy.return %s : tensor<4x64xbf16>
  } : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %n = stablehlo.custom_call @aten.rms_norm(%0, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  return %n : tensor<4x64xbf16>
}

// -----

// JAX puts constraints into the reducer where axes of the mesh are not manual: of one element they change nothing. An axis of one device needs no
// partitioner, one of two does: it would have to replicate the call, and calls with effects it does not.
// CHECK-LABEL: func.func @partly_manual
// CHECK-COUNT-2: "fiar.all_reduce_norm"({{.*}}) {{.*}} world = 2 : i64} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
// CHECK-NOT:     fiar.
// TEXT: fiar-fuse: 4 all-reduces seen, 2 fused, 2 left
// TEXT: fused RMSNorm world 2 eps 1e-06 -> norm
// TEXT: left its manual computation leaves an axis of the mesh to the partitioner, which cannot split the fused call
// TEXT: fused RMSNorm world 2 eps 1e-06 -> norm
// TEXT: left its manual computation leaves an axis of the mesh to the partitioner, which cannot split the fused call
sdy.mesh @one = <["dp"=1, "tp"=2]>
sdy.mesh @two = <["dp"=2, "tp"=2]>
func.func @partly_manual(%x: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>) {
  %0 = sdy.manual_computation(%x, %w) in_shardings=[<@one, [{?}, {?}]>, <@one, [{?}]>] out_shardings=[<@one, [{?}, {?}]>] manual_axes={"tp"} (%y: tensor<4x64xbf16>, %v: tensor<64xbf16>) {
    %s = "stablehlo.all_reduce"(%y) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
      %c = sdy.sharding_constraint %a <@one, []> : tensor<bf16>
      %t = stablehlo.add %c, %b : tensor<bf16>
      %u = sdy.sharding_constraint %t <@one, []> : tensor<bf16>
      stablehlo.return %u : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    %n = stablehlo.custom_call @aten.rms_norm(%s, %v) {tt.composite_attributes = {epsilon = 1.0e-6 : f32, normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    sdy.return %n : tensor<4x64xbf16>
  } : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  %1 = sdy.manual_computation(%x, %w) in_shardings=[<@two, [{?}, {?}]>, <@two, [{?}]>] out_shardings=[<@two, [{?}, {?}]>] manual_axes={"tp"} (%y: tensor<4x64xbf16>, %v: tensor<64xbf16>) {
    %s = "stablehlo.all_reduce"(%y) <{replica_groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>}> ({
    ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
      %t = stablehlo.add %a, %b : tensor<bf16>
      stablehlo.return %t : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    %n = stablehlo.custom_call @aten.rms_norm(%s, %v) {tt.composite_attributes = {epsilon = 1.0e-6 : f32, normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    sdy.return %n : tensor<4x64xbf16>
  } : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  // The inner computation makes the other axis manual.
  %2 = sdy.manual_computation(%x, %w) in_shardings=[<@two, [{?}, {?}]>, <@two, [{?}]>] out_shardings=[<@two, [{?}, {?}]>] manual_axes={"dp"} (%p: tensor<4x64xbf16>, %q: tensor<64xbf16>) {
    %i = sdy.manual_computation(%p, %q) in_shardings=[<@two, [{?}, {?}]>, <@two, [{?}]>] out_shardings=[<@two, [{?}, {?}]>] manual_axes={"tp"} (%y: tensor<4x64xbf16>, %v: tensor<64xbf16>) {
      %s = "stablehlo.all_reduce"(%y) <{replica_groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>}> ({
      ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
        %t = stablehlo.add %a, %b : tensor<bf16>
        stablehlo.return %t : tensor<bf16>
      }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
      %n = stablehlo.custom_call @aten.rms_norm(%s, %v) {tt.composite_attributes = {epsilon = 1.0e-6 : f32, normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
      sdy.return %n : tensor<4x64xbf16>
    } : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    sdy.return %i : tensor<4x64xbf16>
  } : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  %3 = sdy.manual_computation(%x, %w) in_shardings=[<@two, [{?}, {?}]>, <@two, [{?}]>] out_shardings=[<@two, [{?}, {?}]>] manual_axes={"tp"} (%y: tensor<4x64xbf16>, %v: tensor<64xbf16>) {
    %n = func.call @called(%y, %v) : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
    sdy.return %n : tensor<4x64xbf16>
  } : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  return %0, %1, %2, %3 : tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>
}
func.func private @called(%y: tensor<4x64xbf16>, %v: tensor<64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.all_reduce"(%y) <{replica_groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %t = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %t : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %n = stablehlo.custom_call @aten.rms_norm(%s, %v) {tt.composite_attributes = {epsilon = 1.0e-6 : f32, normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  return %n : tensor<4x64xbf16>
}
