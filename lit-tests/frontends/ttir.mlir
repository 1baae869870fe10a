// RUN: fiar-opt --allow-unregistered-dialect --pass-pipeline='builtin.module(fiar-fuse)' %s 2>/dev/null | FileCheck %s
// RUN: fiar-opt --allow-unregistered-dialect --pass-pipeline='builtin.module(fiar-fuse{report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=TEXT

// TTIR: an axis of the mesh is the group; rows may get a dimension of 1 between the steps.
module attributes {ttcore.meshes = #ttcore.meshes<[<"mesh" = 2x4>]>} {
  // CHECK-LABEL: func.func @named_norm
  // CHECK:         %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %arg1, %arg2) {eps = 9.99999974E-6 : f32, {{.*}}groups = dense<{{\[\[}}0, 1, 2, 3], [4, 5, 6, 7]]> : tensor<2x4xi64>, {{.*}}world = 4 : i64} : (tensor<32x3072xbf16>, tensor<32x1x3072xbf16>, tensor<3072xbf16>) -> (tensor<32x1x3072xbf16>, tensor<32x3072xbf16>)
  // CHECK-NEXT:    return %[[F]]#0, %[[F]]#1
  func.func @named_norm(%x: tensor<32x3072xbf16>, %r: tensor<32x1x3072xbf16>, %w: tensor<3072xbf16>) -> (tensor<32x1x3072xbf16>, tensor<32x3072xbf16>) {
    %0 = "ttir.all_reduce"(%x) <{cluster_axis = 1 : ui32, reduce_type = #ttcore.reduce_type<sum>}> : (tensor<32x3072xbf16>) -> tensor<32x3072xbf16>
    %1 = "ttir.reshape"(%0) <{shape = [32 : i32, 1 : i32, 3072 : i32]}> : (tensor<32x3072xbf16>) -> tensor<32x1x3072xbf16>
    %2 = "ttir.add"(%r, %1) : (tensor<32x1x3072xbf16>, tensor<32x1x3072xbf16>) -> tensor<32x1x3072xbf16>
    %3 = "ttir.rms_norm"(%2, %w) <{epsilon = 9.99999974E-6 : f32, normalized_shape = array<i64: 3072>, operandSegmentSizes = array<i32: 1, 1, 0>}> : (tensor<32x1x3072xbf16>, tensor<3072xbf16>) -> tensor<32x1x3072xbf16>
    %4 = "ttir.reshape"(%3) <{shape = [32 : i32, 3072 : i32]}> : (tensor<32x1x3072xbf16>) -> tensor<32x3072xbf16>
    return %2, %4 : tensor<32x1x3072xbf16>, tensor<32x3072xbf16>
  }

  // The same norm taken apart, over the other axis of the mesh.
  // CHECK-LABEL: func.func @decomposed_norm
  // CHECK:         "fiar.all_reduce_norm"(%arg0, %arg1) {{{.*}}groups = dense<{{\[\[}}0, 4], [1, 5], [2, 6], [3, 7]]>{{.*}}norm_rounding = "before_weight"{{.*}}world = 2
  // CHECK-NEXT:    return
  func.func @decomposed_norm(%x: tensor<32x2048xbf16>, %w: tensor<2048xbf16>) -> tensor<32x2048xbf16> {
    %s = "ttir.all_reduce"(%x) <{cluster_axis = 0 : ui32, reduce_type = #ttcore.reduce_type<sum>}> : (tensor<32x2048xbf16>) -> tensor<32x2048xbf16>
    %eps = "ttir.constant"() <{value = dense<9.99999974E-6> : tensor<32x1x1xf32>}> : () -> tensor<32x1x1xf32>
    %n = "ttir.constant"() <{value = dense<4.8828125E-4> : tensor<32x1xf32>}> : () -> tensor<32x1xf32>
    %two = "ttir.full"() <{fill_value = 2.0 : f32, shape = array<i32: 32, 1, 2048>}> : () -> tensor<32x1x2048xf32>
    %w3 = "ttir.reshape"(%w) <{shape = [1 : i32, 1 : i32, 2048 : i32]}> : (tensor<2048xbf16>) -> tensor<1x1x2048xbf16>
    %wb = "ttir.broadcast"(%w3) <{broadcast_dimensions = array<i64: 32, 1, 1>}> : (tensor<1x1x2048xbf16>) -> tensor<32x1x2048xbf16>
    %s3 = "ttir.reshape"(%s) <{shape = [32 : i32, 1 : i32, 2048 : i32]}> : (tensor<32x2048xbf16>) -> tensor<32x1x2048xbf16>
    %f = "ttir.typecast"(%s3) <{conservative_folding = false}> : (tensor<32x1x2048xbf16>) -> tensor<32x1x2048xf32>
    %q = "ttir.pow"(%f, %two) : (tensor<32x1x2048xf32>, tensor<32x1x2048xf32>) -> tensor<32x1x2048xf32>
    %t = "ttir.sum"(%q) <{dim_arg = [2 : i32], keep_dim = false}> : (tensor<32x1x2048xf32>) -> tensor<32x1xf32>
    %m = "ttir.multiply"(%t, %n) : (tensor<32x1xf32>, tensor<32x1xf32>) -> tensor<32x1xf32>
    %m3 = "ttir.reshape"(%m) <{shape = [32 : i32, 1 : i32, 1 : i32]}> : (tensor<32x1xf32>) -> tensor<32x1x1xf32>
    %e = "ttir.add"(%m3, %eps) : (tensor<32x1x1xf32>, tensor<32x1x1xf32>) -> tensor<32x1x1xf32>
    %i = "ttir.rsqrt"(%e) : (tensor<32x1x1xf32>) -> tensor<32x1x1xf32>
    %ib = "ttir.broadcast"(%i) <{broadcast_dimensions = array<i64: 1, 1, 2048>}> : (tensor<32x1x1xf32>) -> tensor<32x1x2048xf32>
    %y = "ttir.multiply"(%f, %ib) : (tensor<32x1x2048xf32>, tensor<32x1x2048xf32>) -> tensor<32x1x2048xf32>
    %yt = "ttir.typecast"(%y) <{conservative_folding = false}> : (tensor<32x1x2048xf32>) -> tensor<32x1x2048xbf16>
    %p = "ttir.multiply"(%wb, %yt) : (tensor<32x1x2048xbf16>, tensor<32x1x2048xbf16>) -> tensor<32x1x2048xbf16>
    %o = "ttir.reshape"(%p) <{shape = [32 : i32, 2048 : i32]}> : (tensor<32x1x2048xbf16>) -> tensor<32x2048xbf16>
    return %o : tensor<32x2048xbf16>
  }

  // Two halves along one axis of the mesh; older files name destinations.
  // CHECK-LABEL: func.func @halves
  // CHECK:         "fiar.all_reduce_norm"(%arg0, %arg1, %arg2) {{.*}}world = 4
  // CHECK-NEXT:    return
  func.func @halves(%x: tensor<32x64xbf16>, %r: tensor<32x64xbf16>, %w: tensor<64xbf16>) -> tensor<32x64xbf16> {
    %e0 = "ttir.empty"() : () -> tensor<32x16xbf16>
    %0 = "ttir.reduce_scatter"(%x, %e0) <{cluster_axis = 1 : ui32, reduce_type = #ttcore.reduce_type<sum>, scatter_dim = -1 : si32}> : (tensor<32x64xbf16>, tensor<32x16xbf16>) -> tensor<32x16xbf16>
    %1 = "ttir.all_gather"(%0) <{all_gather_dim = 1 : si32, cluster_axis = 1 : ui32}> : (tensor<32x16xbf16>) -> tensor<32x64xbf16>
    %e2 = "ttir.empty"() : () -> tensor<32x64xbf16>
    %2 = "ttir.add"(%r, %1, %e2) <{operandSegmentSizes = array<i32: 2, 1>}> : (tensor<32x64xbf16>, tensor<32x64xbf16>, tensor<32x64xbf16>) -> tensor<32x64xbf16>
    %3 = "ttir.rms_norm"(%2, %w) <{epsilon = 1.0e-05 : f32, normalized_shape = array<i64: 64>, operandSegmentSizes = array<i32: 1, 1, 0>}> : (tensor<32x64xbf16>, tensor<64xbf16>) -> tensor<32x64xbf16>
    return %3 : tensor<32x64xbf16>
  }

  // A norm with a bias is another norm; a maximum is no sum; axis 2 is not of the mesh.
  // CHECK-LABEL: func.func @left
  // CHECK-NOT:     fiar.all_reduce_norm
  // TEXT: 6 all-reduces seen, 3 fused, 3 left
  // TEXT: left no RMSNorm follows: the all-reduced sum goes into ttir.rms_norm
  // TEXT: left its reducer is no sum but another reduction
  // TEXT: left which ranks it adds up is not known: the module's ttcore.meshes is no one mesh that has its cluster_axis
  func.func @left(%x: tensor<32x64xbf16>, %w: tensor<64xbf16>) -> (tensor<32x64xbf16>, tensor<32x64xbf16>, tensor<32x64xbf16>) {
    %0 = "ttir.all_reduce"(%x) <{cluster_axis = 1 : ui32, reduce_type = #ttcore.reduce_type<sum>}> : (tensor<32x64xbf16>) -> tensor<32x64xbf16>
    %1 = "ttir.rms_norm"(%0, %w, %w) <{epsilon = 1.0e-05 : f32, normalized_shape = array<i64: 64>, operandSegmentSizes = array<i32: 1, 1, 1>}> : (tensor<32x64xbf16>, tensor<64xbf16>, tensor<64xbf16>) -> tensor<32x64xbf16>
    %2 = "ttir.all_reduce"(%x) <{cluster_axis = 1 : ui32, reduce_type = #ttcore.reduce_type<max>}> : (tensor<32x64xbf16>) -> tensor<32x64xbf16>
    %3 = "ttir.rms_norm"(%2, %w) <{epsilon = 1.0e-05 : f32, normalized_shape = array<i64: 64>, operandSegmentSizes = array<i32: 1, 1, 0>}> : (tensor<32x64xbf16>, tensor<64xbf16>) -> tensor<32x64xbf16>
    %4 = "ttir.all_reduce"(%x) <{cluster_axis = 2 : ui32, reduce_type = #ttcore.reduce_type<sum>}> : (tensor<32x64xbf16>) -> tensor<32x64xbf16>
    %5 = "ttir.rms_norm"(%4, %w) <{epsilon = 1.0e-05 : f32, normalized_shape = array<i64: 64>, operandSegmentSizes = array<i32: 1, 1, 0>}> : (tensor<32x64xbf16>, tensor<64xbf16>) -> tensor<32x64xbf16>
    return %1, %3, %5 : tensor<32x64xbf16>, tensor<32x64xbf16>, tensor<32x64xbf16>
  }
}
