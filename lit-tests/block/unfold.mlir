// Activations and conversions in linalg.generic, as torch-mlir writes them; and loops that stay loops.
// RUN: fiar-opt %s --pass-pipeline='builtin.module(fiar-check{rewrite=fuse-and-raise seeds=3},fiar-raise-block)' -split-input-file 2>/dev/null | FileCheck %s

// A sigmoid in one loop, products in others, over the halves of one product.
// CHECK-LABEL: @halves
// CHECK:         %[[H:.*]] = "fiar.matmul"(%arg0, %arg1)
// CHECK-NEXT:    %[[A:.*]] = "fiar.activate"(%[[H]]) {activation = "silu", combine = "mul", operandSegmentSizes = array<i32: 1, 0, 0>{{.*}}rounding = "each"
// CHECK-NEXT:    return %[[A]]
#map = affine_map<(d0, d1) -> (d0, d1)>
func.func @halves(%x: tensor<4x64xbf16>, %w: tensor<64x32xbf16>) -> tensor<4x16xbf16> {
  %one = arith.constant 1.0 : bf16
  %zero = arith.constant 0.0 : bf16
  %e = tensor.empty() : tensor<4x16xbf16>
  %wide = tensor.empty() : tensor<4x32xbf16>
  %zeros = linalg.fill ins(%zero : bf16) outs(%wide : tensor<4x32xbf16>) -> tensor<4x32xbf16>
  %h = linalg.matmul ins(%x, %w : tensor<4x64xbf16>, tensor<64x32xbf16>) outs(%zeros : tensor<4x32xbf16>) -> tensor<4x32xbf16>
  %g = tensor.extract_slice %h[0, 0] [4, 16] [1, 1] : tensor<4x32xbf16> to tensor<4x16xbf16>
  %u = tensor.extract_slice %h[0, 16] [4, 16] [1, 1] : tensor<4x32xbf16> to tensor<4x16xbf16>
  %s = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<4x16xbf16>) outs(%e : tensor<4x16xbf16>) {
  ^bb0(%in: bf16, %out: bf16):
    %0 = arith.negf %in : bf16
    %1 = math.exp %0 : bf16
    %2 = arith.addf %1, %one : bf16
    %3 = arith.divf %one, %2 : bf16
    linalg.yield %3 : bf16
  } -> tensor<4x16xbf16>
  %m = linalg.generic {indexing_maps = [#map, #map, #map], iterator_types = ["parallel", "parallel"]} ins(%s, %g : tensor<4x16xbf16>, tensor<4x16xbf16>) outs(%e : tensor<4x16xbf16>) {
  ^bb0(%in: bf16, %other: bf16, %out: bf16):
    %0 = arith.mulf %in, %other : bf16
    linalg.yield %0 : bf16
  } -> tensor<4x16xbf16>
  %r = linalg.generic {indexing_maps = [#map, #map, #map], iterator_types = ["parallel", "parallel"]} ins(%m, %u : tensor<4x16xbf16>, tensor<4x16xbf16>) outs(%e : tensor<4x16xbf16>) {
  ^bb0(%in: bf16, %other: bf16, %out: bf16):
    %0 = arith.mulf %in, %other : bf16
    linalg.yield %0 : bf16
  } -> tensor<4x16xbf16>
  return %r : tensor<4x16xbf16>
}

// -----
// All of it in one loop, in f32; a sum; a conversion alone.
// CHECK-LABEL: @fused
// CHECK:         "fiar.activate"(%arg0, %arg1) {activation = "silu", combine = "mul"{{.*}}rounding = "none"{{.*}} (tensor<2x3x16xbf16>, tensor<2x3x16xbf16>) -> tensor<2x3x16xbf16>
// CHECK-NEXT:    "fiar.activate"(%{{.*}}, %arg0) {activation = "none", combine = "add"
// CHECK-NEXT:    "fiar.copy"({{.*}}) {transposed = false} : (tensor<2x3x16xbf16>) -> tensor<2x3x16xf32>
// CHECK-NEXT:    return
#map = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @fused(%g: tensor<2x3x16xbf16>, %u: tensor<2x3x16xbf16>) -> tensor<2x3x16xf32> {
  %one = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<2x3x16xbf16>
  %e32 = tensor.empty() : tensor<2x3x16xf32>
  %a = linalg.generic {indexing_maps = [#map, #map, #map], iterator_types = ["parallel", "parallel", "parallel"]} ins(%g, %u : tensor<2x3x16xbf16>, tensor<2x3x16xbf16>) outs(%e : tensor<2x3x16xbf16>) {
  ^bb0(%in: bf16, %other: bf16, %out: bf16):
    %0 = arith.extf %in : bf16 to f32
    %1 = arith.negf %0 : f32
    %2 = math.exp %1 : f32
    %3 = arith.addf %2, %one : f32
    %4 = arith.divf %one, %3 : f32
    %5 = arith.mulf %0, %4 : f32
    %6 = arith.extf %other : bf16 to f32
    %7 = arith.mulf %5, %6 : f32
    %8 = arith.truncf %7 : f32 to bf16
    linalg.yield %8 : bf16
  } -> tensor<2x3x16xbf16>
  %s = linalg.generic {indexing_maps = [#map, #map, #map], iterator_types = ["parallel", "parallel", "parallel"]} ins(%a, %g : tensor<2x3x16xbf16>, tensor<2x3x16xbf16>) outs(%e : tensor<2x3x16xbf16>) {
  ^bb0(%in: bf16, %other: bf16, %out: bf16):
    %0 = arith.addf %in, %other : bf16
    linalg.yield %0 : bf16
  } -> tensor<2x3x16xbf16>
  %c = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel", "parallel"]} ins(%s : tensor<2x3x16xbf16>) outs(%e32 : tensor<2x3x16xf32>) {
  ^bb0(%in: bf16, %out: f32):
    %0 = arith.extf %in : bf16 to f32
    linalg.yield %0 : f32
  } -> tensor<2x3x16xf32>
  return %c : tensor<2x3x16xf32>
}

// -----
// A loop that reads what it writes over, one whose operand is a row for all, one that transposes, one of a sine, one over sizes that are not
// known: none is touched.
// CHECK-LABEL: @stays
// CHECK-NOT:     arith{{.*}}tensor<4x4xf32>
// CHECK-COUNT-4: linalg.generic
// CHECK-LABEL: @dynamic
// CHECK:         linalg.generic
#map = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>
#turned = affine_map<(d0, d1) -> (d1, d0)>
func.func @stays(%x: tensor<4x4xf32>, %w: tensor<4xf32>) -> tensor<4x4xf32> {
  %0 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x4xf32>) outs(%x : tensor<4x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = arith.mulf %in, %out : f32
    linalg.yield %a : f32
  } -> tensor<4x4xf32>
  %e = tensor.empty() : tensor<4x4xf32>
  %1 = linalg.generic {indexing_maps = [#map, #row, #map], iterator_types = ["parallel", "parallel"]} ins(%0, %w : tensor<4x4xf32>, tensor<4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%in: f32, %other: f32, %out: f32):
    %a = arith.divf %in, %other : f32
    linalg.yield %a : f32
  } -> tensor<4x4xf32>
  %2 = linalg.generic {indexing_maps = [#turned, #map], iterator_types = ["parallel", "parallel"]} ins(%1 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = arith.negf %in : f32
    linalg.yield %a : f32
  } -> tensor<4x4xf32>
  %3 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = math.sin %in : f32
    linalg.yield %a : f32
  } -> tensor<4x4xf32>
  return %3 : tensor<4x4xf32>
}
func.func @dynamic(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x4xf32>) outs(%x : tensor<?x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = arith.negf %in : f32
    linalg.yield %a : f32
  } -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
