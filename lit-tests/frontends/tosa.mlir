// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-check,fiar-fuse)' %s 2>/dev/null | FileCheck %s
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-fuse{report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=TEXT

// TOSA has no all-reduce of its own: upstream's shard dialect brings it.
shard.grid @line(shape = 4)

// TEXT: 6 all-reduces seen, 3 fused, 3 left

// TEXT: fused residual + RMSNorm + fp8_static world 4
// CHECK-LABEL: func.func @norm_fp8
// CHECK:         %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %arg1, %arg2, %arg3) {eps = 9.99999974E-6 : f32, {{.*}}norm_rounding = "before_weight", {{.*}}quant = "fp8_static", {{.*}}scale_is = "multiplier"
// CHECK-NEXT:    return %[[F]]#0, %[[F]]#1
func.func @norm_fp8(%x: tensor<4x64xbf16>, %r: tensor<4x64xbf16>, %w: tensor<1x64xbf16>, %s: tensor<1x1xf32>) -> (tensor<4x64xbf16>, tensor<4x64xf8E4M3FN>) {
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
  %clamped = tosa.clamp %scaled {min_val = -4.480000e+02 : f32, max_val = 4.480000e+02 : f32} : (tensor<4x64xf32>) -> tensor<4x64xf32>
  %codes = tosa.cast %clamped : (tensor<4x64xf32>) -> tensor<4x64xf8E4M3FN>
  return %h, %codes : tensor<4x64xbf16>, tensor<4x64xf8E4M3FN>
}

// TEXT: fused RMSNorm + fp8_token world 4
// A power for the square, a reciprocal of a root, a tile for the broadcast, three dimensions.
// CHECK-LABEL: func.func @other_spellings
// CHECK:         "fiar.all_reduce_norm"(%arg0, %{{.*}}) {{.*}}norm_rounding = "after_weight", {{.*}}quant = "fp8_token"
func.func @other_spellings(%x: tensor<1x4x64xbf16>, %w: tensor<64xf32>) -> (tensor<1x4x64xf8E4M3FN>, tensor<1x4x1xf32>) {
  %shift = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %two = "tosa.const"() <{values = dense<2.0> : tensor<1x1x1xf32>}> : () -> tensor<1x1x1xf32>
  %n = "tosa.const"() <{values = dense<1.562500e-02> : tensor<1x1x1xf32>}> : () -> tensor<1x1x1xf32>
  %eps = "tosa.const"() <{values = dense<1.0e-5> : tensor<1x1x1xf32>}> : () -> tensor<1x1x1xf32>
  %half = "tosa.const"() <{values = dense<5.0e-1> : tensor<1x1x1xf32>}> : () -> tensor<1x1x1xf32>
  %floor = "tosa.const"() <{values = dense<1.0e-12> : tensor<1x1x1xf32>}> : () -> tensor<1x1x1xf32>
  %sum = shard.all_reduce %x on @line grid_axes = [0] : tensor<1x4x64xbf16> -> tensor<1x4x64xbf16>
  %f = tosa.cast %sum : (tensor<1x4x64xbf16>) -> tensor<1x4x64xf32>
  %q = tosa.pow %f, %two : (tensor<1x4x64xf32>, tensor<1x1x1xf32>) -> tensor<1x4x64xf32>
  %t = tosa.reduce_sum %q {axis = 2 : i32} : (tensor<1x4x64xf32>) -> tensor<1x4x1xf32>
  %m = tosa.mul %t, %n, %shift : (tensor<1x4x1xf32>, tensor<1x1x1xf32>, tensor<1xi8>) -> tensor<1x4x1xf32>
  %e = tosa.add %m, %eps : (tensor<1x4x1xf32>, tensor<1x1x1xf32>) -> tensor<1x4x1xf32>
  %root = tosa.pow %e, %half : (tensor<1x4x1xf32>, tensor<1x1x1xf32>) -> tensor<1x4x1xf32>
  %i = tosa.reciprocal %root : (tensor<1x4x1xf32>) -> tensor<1x4x1xf32>
  %multiples = tosa.const_shape {values = dense<[1, 1, 64]> : tensor<3xindex>} : () -> !tosa.shape<3>
  %ib = tosa.tile %i, %multiples : (tensor<1x4x1xf32>, !tosa.shape<3>) -> tensor<1x4x64xf32>
  %shape = tosa.const_shape {values = dense<[1, 1, 64]> : tensor<3xindex>} : () -> !tosa.shape<3>
  %w3 = tosa.reshape %w, %shape : (tensor<64xf32>, !tosa.shape<3>) -> tensor<1x1x64xf32>
  %y = tosa.mul %f, %ib, %shift : (tensor<1x4x64xf32>, tensor<1x4x64xf32>, tensor<1xi8>) -> tensor<1x4x64xf32>
  %v = tosa.mul %w3, %y, %shift : (tensor<1x1x64xf32>, tensor<1x4x64xf32>, tensor<1xi8>) -> tensor<1x4x64xf32>
  %norm = tosa.cast %v : (tensor<1x4x64xf32>) -> tensor<1x4x64xbf16>
  %nf = tosa.cast %norm : (tensor<1x4x64xbf16>) -> tensor<1x4x64xf32>
  %range = arith.constant dense<4.480000e+02> : tensor<1x4x1xf32>
  %a = tosa.abs %nf : (tensor<1x4x64xf32>) -> tensor<1x4x64xf32>
  %amax = tosa.reduce_max %a {axis = 2 : i32} : (tensor<1x4x64xf32>) -> tensor<1x4x1xf32>
  %floored = tosa.maximum %amax, %floor : (tensor<1x4x1xf32>, tensor<1x1x1xf32>) -> tensor<1x4x1xf32>
  %step = arith.divf %floored, %range : tensor<1x4x1xf32>
  %inverse = tosa.reciprocal %step : (tensor<1x4x1xf32>) -> tensor<1x4x1xf32>
  %scaled = tosa.mul %nf, %inverse, %shift : (tensor<1x4x64xf32>, tensor<1x4x1xf32>, tensor<1xi8>) -> tensor<1x4x64xf32>
  %codes = tosa.cast %scaled : (tensor<1x4x64xf32>) -> tensor<1x4x64xf8E4M3FN>
  return %codes, %step : tensor<1x4x64xf8E4M3FN>, tensor<1x4x1xf32>
}

// TEXT: left the norm is not over the last dimension of the all-reduce
// TEXT: left no RMSNorm follows: the all-reduced sum goes into tosa.tile
// TEXT: left no RMSNorm follows: the mean square
// Rows summed down the columns; a tile that repeats the rows; a power that is no root.
// CHECK-LABEL: func.func @left
// CHECK-NOT: fiar.all_reduce_norm
func.func @left(%x: tensor<64x64xf32>) -> (tensor<64x64xf32>, tensor<128x64xf32>, tensor<64x64xf32>) {
  %shift = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %n = "tosa.const"() <{values = dense<1.562500e-02> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
  %s0 = shard.all_reduce %x on @line grid_axes = [0] : tensor<64x64xf32> -> tensor<64x64xf32>
  %q0 = tosa.mul %s0, %s0, %shift : (tensor<64x64xf32>, tensor<64x64xf32>, tensor<1xi8>) -> tensor<64x64xf32>
  %t0 = tosa.reduce_sum %q0 {axis = 0 : i32} : (tensor<64x64xf32>) -> tensor<1x64xf32>
  %m0 = tosa.mul %t0, %n, %shift : (tensor<1x64xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<1x64xf32>
  %i0 = tosa.rsqrt %m0 : (tensor<1x64xf32>) -> tensor<1x64xf32>
  %y0 = tosa.mul %s0, %i0, %shift : (tensor<64x64xf32>, tensor<1x64xf32>, tensor<1xi8>) -> tensor<64x64xf32>
  %s1 = shard.all_reduce %x on @line grid_axes = [0] : tensor<64x64xf32> -> tensor<64x64xf32>
  %multiples = tosa.const_shape {values = dense<[2, 1]> : tensor<2xindex>} : () -> !tosa.shape<2>
  %y1 = tosa.tile %s1, %multiples : (tensor<64x64xf32>, !tosa.shape<2>) -> tensor<128x64xf32>
  %s2 = shard.all_reduce %x on @line grid_axes = [0] : tensor<64x64xf32> -> tensor<64x64xf32>
  %q2 = tosa.mul %s2, %s2, %shift : (tensor<64x64xf32>, tensor<64x64xf32>, tensor<1xi8>) -> tensor<64x64xf32>
  %t2 = tosa.reduce_sum %q2 {axis = 1 : i32} : (tensor<64x64xf32>) -> tensor<64x1xf32>
  %m2 = tosa.mul %t2, %n, %shift : (tensor<64x1xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<64x1xf32>
  %i2 = tosa.pow %m2, %n : (tensor<64x1xf32>, tensor<1x1xf32>) -> tensor<64x1xf32>
  %y2 = tosa.mul %s2, %i2, %shift : (tensor<64x64xf32>, tensor<64x1xf32>, tensor<1xi8>) -> tensor<64x64xf32>
  return %y0, %y1, %y2 : tensor<64x64xf32>, tensor<128x64xf32>, tensor<64x64xf32>
}

// TEXT: fused RMSNorm without weight world 4
// shard's two halves of an all-reduce.
// CHECK-LABEL: func.func @halves
// CHECK-NEXT:    %[[F:.*]] = "fiar.all_reduce_norm"(%arg0)
// CHECK-NEXT:    return %[[F]]
func.func @halves(%x: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %shift = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %n = "tosa.const"() <{values = dense<1.562500e-02> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
  %part = shard.reduce_scatter %x on @line grid_axes = [0] reduction = sum scatter_axis = 0 : tensor<64x64xf32> -> tensor<16x64xf32>
  %s = shard.all_gather %part on @line grid_axes = [0] gather_axis = 0 : tensor<16x64xf32> -> tensor<64x64xf32>
  %q = tosa.mul %s, %s, %shift : (tensor<64x64xf32>, tensor<64x64xf32>, tensor<1xi8>) -> tensor<64x64xf32>
  %t = tosa.reduce_sum %q {axis = 1 : i32} : (tensor<64x64xf32>) -> tensor<64x1xf32>
  %m = tosa.mul %t, %n, %shift : (tensor<64x1xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<64x1xf32>
  %i = tosa.rsqrt %m : (tensor<64x1xf32>) -> tensor<64x1xf32>
  %y = tosa.mul %s, %i, %shift : (tensor<64x64xf32>, tensor<64x1xf32>, tensor<1xi8>) -> tensor<64x64xf32>
  return %y : tensor<64x64xf32>
}
