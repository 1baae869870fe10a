// RUN: fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-check{world=2},fiar-fuse{world=2})' %s 2>/dev/null | FileCheck %s
// RUN: fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-fuse{world=2 report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=TEXT
// Numbers that converts, scalars and modes of their own change, and sizes that are not known: each beside the nearest form that fuses.

// A whole number that the integers hold comes back as it was.

// TEXT: fused RMSNorm without weight world 2 eps 2
// CHECK-LABEL: func.func @whole
// CHECK:         fiar.all_reduce_norm{{.*}}eps = 2.000000e+00 : f32
func.func @whole(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %c = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %c : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %f = stablehlo.convert %s : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %q = stablehlo.multiply %f, %f : tensor<4x64xf32>
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %t = stablehlo.reduce(%q init: %z) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
  %n = stablehlo.constant dense<64.0> : tensor<4xf32>
  %m = stablehlo.divide %t, %n : tensor<4xf32>
  %k = stablehlo.constant dense<2.0> : tensor<4xf32>
  %w = stablehlo.convert %k : (tensor<4xf32>) -> tensor<4xui8>
  %e = stablehlo.convert %w : (tensor<4xui8>) -> tensor<4xf32>
  %me = stablehlo.add %m, %e : tensor<4xf32>
  %i = stablehlo.rsqrt %me : tensor<4xf32>
  %ib = stablehlo.broadcast_in_dim %i, dims = [0] : (tensor<4xf32>) -> tensor<4x64xf32>
  %y = stablehlo.multiply %f, %ib : tensor<4x64xf32>
  %o = stablehlo.convert %y : (tensor<4x64xf32>) -> tensor<4x64xbf16>
  return %o : tensor<4x64xbf16>
}

// -----

// TEXT: left eps is not a constant
// CHECK-LABEL: func.func @truncated
// CHECK-NOT:     fiar.
func.func @truncated(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %c = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %c : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %f = stablehlo.convert %s : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %q = stablehlo.multiply %f, %f : tensor<4x64xf32>
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %t = stablehlo.reduce(%q init: %z) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
  %n = stablehlo.constant dense<64.0> : tensor<4xf32>
  %m = stablehlo.divide %t, %n : tensor<4xf32>
  %k = stablehlo.constant dense<1.7> : tensor<4xf32>
  %w = stablehlo.convert %k : (tensor<4xf32>) -> tensor<4xi32>
  %e = stablehlo.convert %w : (tensor<4xi32>) -> tensor<4xf32>
  %me = stablehlo.add %m, %e : tensor<4xf32>
  %i = stablehlo.rsqrt %me : tensor<4xf32>
  %ib = stablehlo.broadcast_in_dim %i, dims = [0] : (tensor<4xf32>) -> tensor<4x64xf32>
  %y = stablehlo.multiply %f, %ib : tensor<4x64xf32>
  %o = stablehlo.convert %y : (tensor<4x64xf32>) -> tensor<4x64xbf16>
  return %o : tensor<4x64xbf16>
}

// -----

// TEXT: left eps is not a constant
// CHECK-LABEL: func.func @wrapped
// CHECK-NOT:     fiar.
func.func @wrapped(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %c = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %c : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %f = stablehlo.convert %s : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %q = stablehlo.multiply %f, %f : tensor<4x64xf32>
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %t = stablehlo.reduce(%q init: %z) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
  %n = stablehlo.constant dense<64.0> : tensor<4xf32>
  %m = stablehlo.divide %t, %n : tensor<4xf32>
  %k = stablehlo.constant dense<300.0> : tensor<4xf32>
  %w = stablehlo.convert %k : (tensor<4xf32>) -> tensor<4xui8>
  %e = stablehlo.convert %w : (tensor<4xui8>) -> tensor<4xf32>
  %me = stablehlo.add %m, %e : tensor<4xf32>
  %i = stablehlo.rsqrt %me : tensor<4xf32>
  %ib = stablehlo.broadcast_in_dim %i, dims = [0] : (tensor<4xf32>) -> tensor<4x64xf32>
  %y = stablehlo.multiply %f, %ib : tensor<4x64xf32>
  %o = stablehlo.convert %y : (tensor<4x64xf32>) -> tensor<4x64xbf16>
  return %o : tensor<4x64xbf16>
}

// -----

// TEXT: left eps is not a constant
// CHECK-LABEL: func.func @narrow
// CHECK-NOT:     fiar.
func.func @narrow(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %c = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %c : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %f = stablehlo.convert %s : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %q = stablehlo.multiply %f, %f : tensor<4x64xf32>
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %t = stablehlo.reduce(%q init: %z) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
  %n = stablehlo.constant dense<64.0> : tensor<4xf32>
  %m = stablehlo.divide %t, %n : tensor<4xf32>
  %k = stablehlo.constant dense<0.3> : tensor<4xf32>
  %w = stablehlo.convert %k : (tensor<4xf32>) -> tensor<4xf8E4M3FN>
  %e = stablehlo.convert %w : (tensor<4xf8E4M3FN>) -> tensor<4xf32>
  %me = stablehlo.add %m, %e : tensor<4xf32>
  %i = stablehlo.rsqrt %me : tensor<4xf32>
  %ib = stablehlo.broadcast_in_dim %i, dims = [0] : (tensor<4xf32>) -> tensor<4x64xf32>
  %y = stablehlo.multiply %f, %ib : tensor<4x64xf32>
  %o = stablehlo.convert %y : (tensor<4x64xf32>) -> tensor<4x64xbf16>
  return %o : tensor<4x64xbf16>
}

// -----

// true is 1, though its one bit would be a sign.

// TEXT: fused RMSNorm without weight world 2 eps 1
// CHECK-LABEL: func.func @one
// CHECK:         fiar.all_reduce_norm{{.*}}eps = 1.000000e+00 : f32
func.func @one(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %c = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %c : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %f = stablehlo.convert %s : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %q = stablehlo.multiply %f, %f : tensor<4x64xf32>
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %t = stablehlo.reduce(%q init: %z) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
  %n = stablehlo.constant dense<64.0> : tensor<4xf32>
  %m = stablehlo.divide %t, %n : tensor<4xf32>
  %k = stablehlo.constant dense<true> : tensor<4xi1>
  %e = stablehlo.convert %k : (tensor<4xi1>) -> tensor<4xf32>
  %me = stablehlo.add %m, %e : tensor<4xf32>
  %i = stablehlo.rsqrt %me : tensor<4xf32>
  %ib = stablehlo.broadcast_in_dim %i, dims = [0] : (tensor<4xf32>) -> tensor<4x64xf32>
  %y = stablehlo.multiply %f, %ib : tensor<4x64xf32>
  %o = stablehlo.convert %y : (tensor<4x64xf32>) -> tensor<4x64xbf16>
  return %o : tensor<4x64xbf16>
}

// -----

// A bf16 value that is widened before it is added is the residual, whatever it was computed from.
// TEXT: fused residual + RMSNorm without weight world 2
// CHECK-LABEL: func.func @widened
// CHECK:         %[[R:.*]] = "stablehlo.add"(%arg1
// CHECK:         "fiar.all_reduce_norm"(%arg0, %[[R]])
func.func @widened(%x: tensor<4x64xbf16>, %r: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %c = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %c : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %one = stablehlo.constant dense<1.0> : tensor<4x64xbf16>
  %p = stablehlo.add %r, %one : tensor<4x64xbf16>
  %pf = stablehlo.convert %p : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %sf = stablehlo.convert %s : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %f = stablehlo.add %sf, %pf : tensor<4x64xf32>
  %q = stablehlo.multiply %f, %f : tensor<4x64xf32>
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %t = stablehlo.reduce(%q init: %z) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
  %n = stablehlo.constant dense<64.0> : tensor<4xf32>
  %m = stablehlo.divide %t, %n : tensor<4xf32>
  %e = stablehlo.constant dense<1.0e-5> : tensor<4xf32>
  %me = stablehlo.add %m, %e : tensor<4xf32>
  %i = stablehlo.rsqrt %me : tensor<4xf32>
  %ib = stablehlo.broadcast_in_dim %i, dims = [0] : (tensor<4xf32>) -> tensor<4x64xf32>
  %y = stablehlo.multiply %f, %ib : tensor<4x64xf32>
  %o = stablehlo.convert %y : (tensor<4x64xf32>) -> tensor<4x64xbf16>
  return %o : tensor<4x64xbf16>
}

// -----

// What a third operand of an addition is, nobody has said.
// TEXT: left no RMSNorm follows: the all-reduced sum goes into stablehlo.add
// CHECK-LABEL: func.func @three
// CHECK-NOT:     fiar.
func.func @three(%x: tensor<4x64xbf16>, %r: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %c = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %c : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %h = "stablehlo.add"(%s, %r, %x) : (tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %f = stablehlo.convert %h : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %q = stablehlo.multiply %f, %f : tensor<4x64xf32>
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %t = stablehlo.reduce(%q init: %z) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
  %n = stablehlo.constant dense<64.0> : tensor<4xf32>
  %m = stablehlo.divide %t, %n : tensor<4xf32>
  %i = stablehlo.rsqrt %m : tensor<4xf32>
  %ib = stablehlo.broadcast_in_dim %i, dims = [0] : (tensor<4xf32>) -> tensor<4x64xf32>
  %y = stablehlo.multiply %f, %ib : tensor<4x64xf32>
  %o = stablehlo.convert %y : (tensor<4x64xf32>) -> tensor<4x64xbf16>
  return %o : tensor<4x64xbf16>
}

// -----

// Rows whose number is not known may be one that is added to many.
// TEXT: left no RMSNorm follows: the all-reduced sum goes into chlo.broadcast_add
// CHECK-LABEL: func.func @added_rows
// CHECK-NOT:     fiar.
  func.func @added_rows(%x: tensor<?x64xbf16>, %r: tensor<?x64xbf16>, %w: tensor<64xbf16>) -> (tensor<?x64xbf16>, tensor<?x64xbf16>) {
    %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
      %c = stablehlo.add %a, %b : tensor<bf16>
      "stablehlo.return"(%c) : (tensor<bf16>) -> ()
    }) : (tensor<?x64xbf16>) -> tensor<?x64xbf16>
    %h = "chlo.broadcast_add"(%s, %r) : (tensor<?x64xbf16>, tensor<?x64xbf16>) -> tensor<?x64xbf16>
    %f = stablehlo.convert %h : (tensor<?x64xbf16>) -> tensor<?x64xf32>
    %q = stablehlo.multiply %f, %f : tensor<?x64xf32>
    %z = stablehlo.constant dense<0.0> : tensor<f32>
    %ss = stablehlo.reduce(%q init: %z) applies stablehlo.add across dimensions = [1] : (tensor<?x64xf32>, tensor<f32>) -> tensor<?xf32>
    %shp1 = stablehlo.constant dense<0> : tensor<1xi32>
    %d0 = stablehlo.get_dimension_size %f, dim = 0 : (tensor<?x64xf32>) -> tensor<i32>
    %d1 = stablehlo.constant dense<64> : tensor<1xi32>
    %d0v = stablehlo.reshape %d0 : (tensor<i32>) -> tensor<1xi32>
    %sh = stablehlo.concatenate %d0v, %d1, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %k0 = stablehlo.constant dense<64.0> : tensor<f32>
    %k = stablehlo.dynamic_broadcast_in_dim %k0, %d0v, dims = [] : (tensor<f32>, tensor<1xi32>) -> tensor<?xf32>
    %m = stablehlo.divide %ss, %k : tensor<?xf32>
    %e0 = stablehlo.constant dense<1.0e-5> : tensor<f32>
    %e = stablehlo.dynamic_broadcast_in_dim %e0, %d0v, dims = [] : (tensor<f32>, tensor<1xi32>) -> tensor<?xf32>
    %me = stablehlo.add %m, %e : tensor<?xf32>
    %i = stablehlo.rsqrt %me : tensor<?xf32>
    %ib = stablehlo.dynamic_broadcast_in_dim %i, %sh, dims = [0] : (tensor<?xf32>, tensor<2xi32>) -> tensor<?x64xf32>
    %nf = stablehlo.multiply %f, %ib : tensor<?x64xf32>
    %nb = stablehlo.convert %nf : (tensor<?x64xf32>) -> tensor<?x64xbf16>
    %wb = stablehlo.dynamic_broadcast_in_dim %w, %sh, dims = [1] : (tensor<64xbf16>, tensor<2xi32>) -> tensor<?x64xbf16>
    %n = stablehlo.multiply %nb, %wb : tensor<?x64xbf16>
    return %h, %n : tensor<?x64xbf16>, tensor<?x64xbf16>
  }

// -----

// A clamp that drops NaN gives a code where ours stays NaN.
// TEXT: fused residual + RMSNorm world 2 eps 1e-05
// CHECK-LABEL: func.func @ignoring
// CHECK:         fiar.all_reduce_norm{{.*}}quant = "none"
shard.grid @line(shape = 2)
func.func @ignoring(%x: tensor<4x64xbf16>, %r: tensor<4x64xbf16>, %w: tensor<1x64xbf16>, %s: tensor<1x1xf32>) -> (tensor<4x64xbf16>, tensor<4x64xf8E4M3FN>) {
  %shift = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %n = "tosa.const"() <{values = dense<1.562500e-02> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
  %eps = "tosa.const"() <{values = dense<1.0e-5> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
  %sum = shard.all_reduce %x on @line grid_axes = [0] : tensor<4x64xbf16> -> tensor<4x64xbf16>
  %h = tosa.add %sum, %r : (tensor<4x64xbf16>, tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %f = tosa.cast %h : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %q = tosa.mul %f, %f, %shift : (tensor<4x64xf32>, tensor<4x64xf32>, tensor<1xi8>) -> tensor<4x64xf32>
  %t = tosa.reduce_sum %q {axis = 1 : i32} : (tensor<4x64xf32>) -> tensor<4x1xf32>
  %m = tosa.mul %t, %n, %shift : (tensor<4x1xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<4x1xf32>
  %e = tosa.add %m, %eps : (tensor<4x1xf32>, tensor<1x1xf32>) -> tensor<4x1xf32>
  %i = tosa.rsqrt %e : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %y = tosa.mul %f, %i, %shift : (tensor<4x64xf32>, tensor<4x1xf32>, tensor<1xi8>) -> tensor<4x64xf32>
  %b = tosa.cast %y : (tensor<4x64xf32>) -> tensor<4x64xbf16>
  %norm = tosa.mul %b, %w, %shift : (tensor<4x64xbf16>, tensor<1x64xbf16>, tensor<1xi8>) -> tensor<4x64xbf16>
  %nf = tosa.cast %norm : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %scaled = tosa.mul %nf, %s, %shift : (tensor<4x64xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<4x64xf32>
  %clamped = tosa.clamp %scaled {min_val = -4.480000e+02 : f32, max_val = 4.480000e+02 : f32, nan_mode = IGNORE} : (tensor<4x64xf32>) -> tensor<4x64xf32>
  %codes = tosa.cast %clamped : (tensor<4x64xf32>) -> tensor<4x64xf8E4M3FN>
  return %h, %codes : tensor<4x64xbf16>, tensor<4x64xf8E4M3FN>
}

// -----

// TEXT: fused residual + RMSNorm + fp8_static world 2 eps 1e-05
// CHECK-LABEL: func.func @keeping
// CHECK:         fiar.all_reduce_norm{{.*}}quant = "fp8_static"
shard.grid @line(shape = 2)
func.func @keeping(%x: tensor<4x64xbf16>, %r: tensor<4x64xbf16>, %w: tensor<1x64xbf16>, %s: tensor<1x1xf32>) -> (tensor<4x64xbf16>, tensor<4x64xf8E4M3FN>) {
  %shift = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %n = "tosa.const"() <{values = dense<1.562500e-02> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
  %eps = "tosa.const"() <{values = dense<1.0e-5> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
  %sum = shard.all_reduce %x on @line grid_axes = [0] : tensor<4x64xbf16> -> tensor<4x64xbf16>
  %h = tosa.add %sum, %r : (tensor<4x64xbf16>, tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %f = tosa.cast %h : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %q = tosa.mul %f, %f, %shift : (tensor<4x64xf32>, tensor<4x64xf32>, tensor<1xi8>) -> tensor<4x64xf32>
  %t = tosa.reduce_sum %q {axis = 1 : i32} : (tensor<4x64xf32>) -> tensor<4x1xf32>
  %m = tosa.mul %t, %n, %shift : (tensor<4x1xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<4x1xf32>
  %e = tosa.add %m, %eps : (tensor<4x1xf32>, tensor<1x1xf32>) -> tensor<4x1xf32>
  %i = tosa.rsqrt %e : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %y = tosa.mul %f, %i, %shift : (tensor<4x64xf32>, tensor<4x1xf32>, tensor<1xi8>) -> tensor<4x64xf32>
  %b = tosa.cast %y : (tensor<4x64xf32>) -> tensor<4x64xbf16>
  %norm = tosa.mul %b, %w, %shift : (tensor<4x64xbf16>, tensor<1x64xbf16>, tensor<1xi8>) -> tensor<4x64xbf16>
  %nf = tosa.cast %norm : (tensor<4x64xbf16>) -> tensor<4x64xf32>
  %scaled = tosa.mul %nf, %s, %shift : (tensor<4x64xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<4x64xf32>
  %clamped = tosa.clamp %scaled {min_val = -4.480000e+02 : f32, max_val = 4.480000e+02 : f32, nan_mode = PROPAGATE} : (tensor<4x64xf32>) -> tensor<4x64xf32>
  %codes = tosa.cast %clamped : (tensor<4x64xf32>) -> tensor<4x64xf8E4M3FN>
  return %h, %codes : tensor<4x64xbf16>, tensor<4x64xf8E4M3FN>
}

// -----

// One sum's row is added to each of another's: no residual of as many rows.
// TEXT: left no RMSNorm follows: the all-reduced sum goes into tosa.add
// TEXT: left what is added to the sum is broadcast or transposed, so it is no residual
// CHECK-LABEL: func.func @two_sums
// CHECK-NOT:     fiar.
shard.grid @line(shape = 2)
func.func @two_sums(%x: tensor<4x64xf32>, %r: tensor<1x64xf32>) -> (tensor<4x64xf32>, tensor<4x64xf32>) {
  %shift = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %n = "tosa.const"() <{values = dense<1.562500e-02> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
  %row = shard.all_reduce %r on @line grid_axes = [0] : tensor<1x64xf32> -> tensor<1x64xf32>
  %sum = shard.all_reduce %x on @line grid_axes = [0] : tensor<4x64xf32> -> tensor<4x64xf32>
  %h = tosa.add %sum, %row : (tensor<4x64xf32>, tensor<1x64xf32>) -> tensor<4x64xf32>
  %q = tosa.mul %h, %h, %shift : (tensor<4x64xf32>, tensor<4x64xf32>, tensor<1xi8>) -> tensor<4x64xf32>
  %t = tosa.reduce_sum %q {axis = 1 : i32} : (tensor<4x64xf32>) -> tensor<4x1xf32>
  %m = tosa.mul %t, %n, %shift : (tensor<4x1xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<4x1xf32>
  %i = tosa.rsqrt %m : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %y = tosa.mul %h, %i, %shift : (tensor<4x64xf32>, tensor<4x1xf32>, tensor<1xi8>) -> tensor<4x64xf32>
  return %h, %y : tensor<4x64xf32>, tensor<4x64xf32>
}

// -----

// PyTorch adds a number in f32 to bf16 elements, without rounding it before.
// TEXT: fused residual + RMSNorm(0.3 + w) world 2
// CHECK-LABEL: func.func @scalar
// CHECK:         fiar.all_reduce_norm{{.*}}weight_bias = 3.000000e-01 : f32
func.func @scalar(%x: !torch.vtensor<[4,64],bf16>, %r: !torch.vtensor<[4,64],bf16>, %w: !torch.vtensor<[64],bf16>) -> (!torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>) {
  %sum = torch.constant.str "sum"
  %group = torch.constant.str "tp:0"
  %int1 = torch.constant.int 1
  %int2 = torch.constant.int 2
  %int-1 = torch.constant.int -1
  %int6 = torch.constant.int 6
  %int15 = torch.constant.int 15
  %true = torch.constant.bool true
  %none = torch.constant.none
  %eps = torch.constant.float 9.9999999999999995E-7
  %0 = torch.operator "torch._c10d_functional.all_reduce"(%x, %sum, %group) : (!torch.vtensor<[4,64],bf16>, !torch.str, !torch.str) -> !torch.vtensor<[4,64],bf16>
  %1 = torch.operator "torch._c10d_functional.wait_tensor"(%0) : (!torch.vtensor<[4,64],bf16>) -> !torch.vtensor<[4,64],bf16>
  %h = torch.aten.add.Tensor %1, %r, %int1 : !torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>, !torch.int -> !torch.vtensor<[4,64],bf16>
  %f = torch.prims.convert_element_type %h, %int6 : !torch.vtensor<[4,64],bf16>, !torch.int -> !torch.vtensor<[4,64],f32>
  %q = torch.aten.pow.Tensor_Scalar %f, %int2 : !torch.vtensor<[4,64],f32>, !torch.int -> !torch.vtensor<[4,64],f32>
  %dims = torch.prim.ListConstruct %int-1 : (!torch.int) -> !torch.list<int>
  %m = torch.aten.mean.dim %q, %dims, %true, %none : !torch.vtensor<[4,64],f32>, !torch.list<int>, !torch.bool, !torch.none -> !torch.vtensor<[4,1],f32>
  %e = torch.aten.add.Scalar %m, %eps, %int1 : !torch.vtensor<[4,1],f32>, !torch.float, !torch.int -> !torch.vtensor<[4,1],f32>
  %i = torch.aten.rsqrt %e : !torch.vtensor<[4,1],f32> -> !torch.vtensor<[4,1],f32>
  %y = torch.aten.mul.Tensor %f, %i : !torch.vtensor<[4,64],f32>, !torch.vtensor<[4,1],f32> -> !torch.vtensor<[4,64],f32>
  %t = torch.prims.convert_element_type %y, %int15 : !torch.vtensor<[4,64],f32>, !torch.int -> !torch.vtensor<[4,64],bf16>
  %p3 = torch.constant.float 3.000000e-01
  %w1 = torch.aten.add.Scalar %w, %p3, %int1 : !torch.vtensor<[64],bf16>, !torch.float, !torch.int -> !torch.vtensor<[64],bf16>
  %n = torch.aten.mul.Tensor %w1, %t : !torch.vtensor<[64],bf16>, !torch.vtensor<[4,64],bf16> -> !torch.vtensor<[4,64],bf16>
  return %h, %n : !torch.vtensor<[4,64],bf16>, !torch.vtensor<[4,64],bf16>
}
