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

// -----
// Scalars, encodings and vectors, which ops on tensors do not take: these loops stay, too.
// CHECK-LABEL: @scalar
// CHECK:         linalg.generic
// CHECK-LABEL: @encoded
// CHECK:         linalg.generic
// CHECK-LABEL: @vectors
// CHECK:         linalg.generic
#map = affine_map<(d0) -> (d0)>
#point = affine_map<() -> ()>
func.func @scalar(%s: f32) -> tensor<f32> {
  %e = tensor.empty() : tensor<f32>
  %0 = linalg.generic {indexing_maps = [#point, #point], iterator_types = []} ins(%s : f32) outs(%e : tensor<f32>) {
  ^bb0(%in: f32, %out: f32):
    %a = arith.negf %in : f32
    linalg.yield %a : f32
  } -> tensor<f32>
  return %0 : tensor<f32>
}
func.func @encoded(%x: tensor<4xf32, "some">) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  %0 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%x : tensor<4xf32, "some">) outs(%e : tensor<4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %a = arith.negf %in : f32
    linalg.yield %a : f32
  } -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
func.func @vectors(%x: tensor<4xvector<4xf32>>) -> tensor<4xvector<4xf32>> {
  %e = tensor.empty() : tensor<4xvector<4xf32>>
  %0 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%x : tensor<4xvector<4xf32>>) outs(%e : tensor<4xvector<4xf32>>) {
  ^bb0(%in: vector<4xf32>, %out: vector<4xf32>):
    %a = arith.negf %in : vector<4xf32>
    linalg.yield %a : vector<4xf32>
  } -> tensor<4xvector<4xf32>>
  return %0 : tensor<4xvector<4xf32>>
}

// -----
// A constant keeps all of its bits, and what the loop computes for nobody goes.
// CHECK-LABEL: @exact
// CHECK-NOT:     math.exp
// CHECK:         arith.constant dense<1.000000e-01> : tensor<4xf128>
#map = affine_map<(d0) -> (d0)>
func.func @exact(%x: tensor<4xf128>) -> tensor<4xf128> {
  %tenth = arith.constant 0x3FFB999999999999999999999999999A : f128
  %e = tensor.empty() : tensor<4xf128>
  %0 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%x : tensor<4xf128>) outs(%e : tensor<4xf128>) {
  ^bb0(%in: f128, %out: f128):
    %unused = math.exp %in : f128
    %a = arith.mulf %in, %tenth : f128
    linalg.yield %a : f128
  } -> tensor<4xf128>
  return %0 : tensor<4xf128>
}

// -----
// A norm whose square stands apart from the loop that adds it up, as torch-mlir has it.
// CHECK-LABEL: @norm
// CHECK-NEXT:    "fiar.rms_norm"(%arg0)
// CHECK-NEXT:    return
func.func @norm(%x: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %n = arith.constant dense<64.0> : tensor<4x1xf32>
  %eps = arith.constant dense<9.99999974E-6> : tensor<4x1xf32>
  %zero = arith.constant 0.0 : f32
  %sq = arith.mulf %x, %x : tensor<4x64xf32>
  %c = tensor.empty() : tensor<4x1xf32>
  %z = linalg.fill ins(%zero : f32) outs(%c : tensor<4x1xf32>) -> tensor<4x1xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, 0)>], iterator_types = ["parallel", "reduction"]} ins(%sq : tensor<4x64xf32>) outs(%z : tensor<4x1xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<4x1xf32>
  %m = arith.divf %sum, %n : tensor<4x1xf32>
  %me = arith.addf %m, %eps : tensor<4x1xf32>
  %r = math.rsqrt %me : tensor<4x1xf32>
  %e = tensor.empty() : tensor<4x64xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, 0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x, %r : tensor<4x64xf32>, tensor<4x1xf32>) outs(%e : tensor<4x64xf32>) {
  ^bb0(%in: f32, %rr: f32, %out: f32):
    %0 = arith.mulf %in, %rr : f32
    linalg.yield %0 : f32
  } -> tensor<4x64xf32>
  return %y : tensor<4x64xf32>
}
