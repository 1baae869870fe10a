// Block-scaled products: as JAX exports them all is raised; a form that the runtime has not keeps its dequantisation.
// RUN: fiar-opt %S/Inputs/jax_scaled_dot_mxfp8.mlir --pass-pipeline='builtin.module(fiar-raise-block{report=text})' 2>&1 | FileCheck %s --check-prefix=DOT
// RUN: fiar-opt %S/Inputs/jax_scaled_matmul_mxfp8.mlir --pass-pipeline='builtin.module(fiar-raise-block{report=text})' 2>&1 | FileCheck %s --check-prefix=MX
// RUN: fiar-opt %S/Inputs/jax_scaled_matmul_nvfp4.mlir --pass-pipeline='builtin.module(fiar-raise-block{report=text})' 2>&1 | FileCheck %s --check-prefix=NV
// RUN: fiar-opt %S/Inputs/jax_scaled_dot_general_nvfp4.mlir --pass-pipeline='builtin.module(fiar-raise-block{report=text})' 2>&1 | FileCheck %s --check-prefix=WHOLE
// RUN: fiar-opt %S/Inputs/jax_scaled_dot_mxfp8.mlir --pass-pipeline='builtin.module(fiar-check{rewrite=fuse-and-raise seeds=2})' -o /dev/null
// RUN: fiar-opt %S/Inputs/jax_scaled_matmul_mxfp8.mlir --pass-pipeline='builtin.module(fiar-check{rewrite=fuse-and-raise seeds=2})' -o /dev/null
// RUN: fiar-opt %S/Inputs/jax_scaled_matmul_nvfp4.mlir --pass-pipeline='builtin.module(fiar-check{rewrite=fuse-and-raise seeds=2})' -o /dev/null
// RUN: fiar-opt %S/Inputs/jax_scaled_dot_general_nvfp4.mlir --pass-pipeline='builtin.module(fiar-check{rewrite=fuse-and-raise seeds=2})' -o /dev/null
// RUN: fiar-opt --split-input-file %s --pass-pipeline='builtin.module(fiar-check{rewrite=fuse-and-raise},fiar-raise-block)' 2>/dev/null | FileCheck %s

// DOT:   2 fiar ops (matmul 1, copy 1), 0 ops left
// DOT:   %[[T:.*]] = "fiar.copy"(%arg3) {transposed = true} : (tensor<2x16xf8E8M0FNU>) -> tensor<16x2xf8E8M0FNU>
// DOT:   "fiar.matmul"(%arg0, %arg1, %arg2, %[[T]]) {{.*}}a_scaling = "block"{{.*}}b_scaling = "block", b_transposed = false{{.*}}block_scale_type = "ue8m0"
// MX:    1 fiar ops (matmul 1), 0 ops left
// MX:    "fiar.matmul"(%arg0, %arg1, %arg2, %arg3) {{.*}}b_transposed = true{{.*}}block_scale_type = "ue8m0"
// NV:    1 fiar ops (matmul 1), 0 ops left
// NV:    "fiar.matmul"(%arg0, %arg1, %arg2, %arg3) {{.*}}b_transposed = true{{.*}}block_scale_type = "e4m3"
// WHOLE: 3 fiar ops (matmul 1, quantize 2), 0 ops left
// WHOLE-COUNT-2: "fiar.quantize"({{.*}}scale_layout = "linear"
// WHOLE: "fiar.matmul"({{.*}}operandSegmentSizes = array<i32: 1, 1, 0, 1, 1, 1, 1>

// Dequantised by hand in f32, in blocks beside the rows, before a rounding to bf16 that loses nothing.
// CHECK-LABEL: @by_hand
// CHECK-NEXT:    "fiar.matmul"(%arg0, %arg1, %arg2, %arg3) {{.*}}a_scaling = "block"{{.*}}b_transposed = true{{.*}}block_scale_type = "e4m3"
func.func @by_hand(%a: tensor<4x32xf4E2M1FN>, %b: tensor<8x32xf4E2M1FN>, %sa: tensor<4x2xf8E4M3FN>, %sb: tensor<8x2xf8E4M3FN>) -> tensor<4x8xf32> {
  %0 = stablehlo.convert %a : (tensor<4x32xf4E2M1FN>) -> tensor<4x32xf32>
  %1 = stablehlo.reshape %0 : (tensor<4x32xf32>) -> tensor<4x2x16xf32>
  %2 = stablehlo.convert %sa : (tensor<4x2xf8E4M3FN>) -> tensor<4x2xf32>
  %3 = stablehlo.broadcast_in_dim %2, dims = [0, 1] : (tensor<4x2xf32>) -> tensor<4x2x16xf32>
  %4 = stablehlo.multiply %1, %3 : tensor<4x2x16xf32>
  %5 = stablehlo.reshape %4 : (tensor<4x2x16xf32>) -> tensor<4x32xf32>
  %6 = stablehlo.convert %5 : (tensor<4x32xf32>) -> tensor<4x32xbf16>
  %7 = stablehlo.convert %sb : (tensor<8x2xf8E4M3FN>) -> tensor<8x2xbf16>
  %8 = stablehlo.broadcast_in_dim %7, dims = [0, 1] : (tensor<8x2xbf16>) -> tensor<8x2x16xbf16>
  %9 = stablehlo.reshape %8 : (tensor<8x2x16xbf16>) -> tensor<8x32xbf16>
  %10 = stablehlo.convert %b : (tensor<8x32xf4E2M1FN>) -> tensor<8x32xbf16>
  %11 = stablehlo.multiply %9, %10 : tensor<8x32xbf16>
  %12 = stablehlo.dot_general %6, %11, contracting_dims = [1] x [1] : (tensor<4x32xbf16>, tensor<8x32xbf16>) -> tensor<4x8xf32>
  return %12 : tensor<4x8xf32>
}

// -----
// Scales of neighbouring elements instead of blocks: the same sizes, other products.
// CHECK-LABEL: @interleaved
// CHECK:         stablehlo.multiply
// CHECK:         "fiar.matmul"({{.*}}a_scaling = "none"
func.func @interleaved(%a: tensor<4x64xf8E4M3FN>, %b: tensor<8x64xf8E4M3FN>, %sa: tensor<4x2xf8E8M0FNU>, %sb: tensor<8x2xf8E8M0FNU>) -> tensor<4x8xf32> {
  %0 = stablehlo.convert %a : (tensor<4x64xf8E4M3FN>) -> tensor<4x64xbf16>
  %1 = stablehlo.convert %sa : (tensor<4x2xf8E8M0FNU>) -> tensor<4x2xbf16>
  %2 = stablehlo.broadcast_in_dim %1, dims = [0, 2] : (tensor<4x2xbf16>) -> tensor<4x32x2xbf16>
  %3 = stablehlo.reshape %2 : (tensor<4x32x2xbf16>) -> tensor<4x64xbf16>
  %4 = stablehlo.multiply %0, %3 : tensor<4x64xbf16>
  %5 = stablehlo.convert %b : (tensor<8x64xf8E4M3FN>) -> tensor<8x64xbf16>
  %6 = stablehlo.convert %sb : (tensor<8x2xf8E8M0FNU>) -> tensor<8x2xbf16>
  %7 = stablehlo.broadcast_in_dim %6, dims = [0, 1] : (tensor<8x2xbf16>) -> tensor<8x2x32xbf16>
  %8 = stablehlo.reshape %7 : (tensor<8x2x32xbf16>) -> tensor<8x64xbf16>
  %9 = stablehlo.multiply %5, %8 : tensor<8x64xbf16>
  %10 = stablehlo.dot_general %4, %9, contracting_dims = [1] x [1] : (tensor<4x64xbf16>, tensor<8x64xbf16>) -> tensor<4x8xf32>
  return %10 : tensor<4x8xf32>
}

// -----
// One side alone, and blocks of a size that no format has.
// CHECK-LABEL: @one_side
// CHECK:         "fiar.matmul"({{.*}}a_scaling = "none"
// CHECK-LABEL: @blocks_of_16
// CHECK:         stablehlo.custom_call{{.*}}__op$block_scaled_dot
func.func @one_side(%a: tensor<4x64xbf16>, %b: tensor<8x64xf8E4M3FN>, %sb: tensor<8x2xf8E8M0FNU>) -> tensor<4x8xf32> {
  %0 = stablehlo.convert %b : (tensor<8x64xf8E4M3FN>) -> tensor<8x64xbf16>
  %1 = stablehlo.convert %sb : (tensor<8x2xf8E8M0FNU>) -> tensor<8x2xbf16>
  %2 = stablehlo.broadcast_in_dim %1, dims = [0, 1] : (tensor<8x2xbf16>) -> tensor<8x2x32xbf16>
  %3 = stablehlo.reshape %2 : (tensor<8x2x32xbf16>) -> tensor<8x64xbf16>
  %4 = stablehlo.multiply %0, %3 : tensor<8x64xbf16>
  %5 = stablehlo.dot_general %a, %4, contracting_dims = [1] x [1] : (tensor<4x64xbf16>, tensor<8x64xbf16>) -> tensor<4x8xf32>
  return %5 : tensor<4x8xf32>
}
func.func @blocks_of_16(%a: tensor<4x64xf8E4M3FN>, %b: tensor<8x64xf8E4M3FN>, %sa: tensor<4x4xf8E8M0FNU>, %sb: tensor<8x4xf8E8M0FNU>) -> tensor<4x8xf32> {
  %0 = stablehlo.custom_call @__op$block_scaled_dot(%a, %b, %sa, %sb) : (tensor<4x64xf8E4M3FN>, tensor<8x64xf8E4M3FN>, tensor<4x4xf8E8M0FNU>, tensor<8x4xf8E8M0FNU>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
// Dimensions that the result does not have are no broadcast's: nobody has verified them.
// CHECK-LABEL: @no_dimension
// CHECK:         "fiar.matmul"(%{{.*}}, %{{.*}}) {{.*}}a_scaling = "none"
func.func @no_dimension(%a: tensor<4x32xf4E2M1FN>, %b: tensor<8x32xf4E2M1FN>, %sa: tensor<4x2xf8E4M3FN>, %sb: tensor<8x2xf8E4M3FN>) -> tensor<4x8xf32> {
  %0 = stablehlo.convert %a : (tensor<4x32xf4E2M1FN>) -> tensor<4x32xbf16>
  %1 = stablehlo.convert %sa : (tensor<4x2xf8E4M3FN>) -> tensor<4x2xbf16>
  %2 = stablehlo.broadcast_in_dim %1, dims = [0, 900000000] : (tensor<4x2xbf16>) -> tensor<4x2x16xbf16>
  %3 = stablehlo.reshape %2 : (tensor<4x2x16xbf16>) -> tensor<4x32xbf16>
  %4 = stablehlo.multiply %0, %3 : tensor<4x32xbf16>
  %5 = stablehlo.convert %sb : (tensor<8x2xf8E4M3FN>) -> tensor<8x2xbf16>
  %6 = stablehlo.broadcast_in_dim %5, dims = [0, 1] : (tensor<8x2xbf16>) -> tensor<8x2x16xbf16>
  %7 = stablehlo.reshape %6 : (tensor<8x2x16xbf16>) -> tensor<8x32xbf16>
  %8 = stablehlo.convert %b : (tensor<8x32xf4E2M1FN>) -> tensor<8x32xbf16>
  %9 = stablehlo.multiply %8, %7 : tensor<8x32xbf16>
  %10 = stablehlo.dot_general %4, %9, contracting_dims = [1] x [1] : (tensor<4x32xbf16>, tensor<8x32xbf16>) -> tensor<4x8xf32>
  return %10 : tensor<4x8xf32>
}

// -----
// Scales of another number of rows are no scales of the operand's.
// CHECK-LABEL: @fewer_scales
// CHECK:         __op$block_scaled_dot
func.func @fewer_scales(%a: tensor<400x64xf8E4M3FN>, %b: tensor<8x64xf8E4M3FN>, %sa: tensor<4x2xf8E8M0FNU>, %sb: tensor<8x2xf8E8M0FNU>) -> tensor<400x8xf32> {
  %0 = stablehlo.custom_call @__op$block_scaled_dot(%a, %b, %sa, %sb) : (tensor<400x64xf8E4M3FN>, tensor<8x64xf8E4M3FN>, tensor<4x2xf8E8M0FNU>, tensor<8x2xf8E8M0FNU>) -> tensor<400x8xf32>
  return %0 : tensor<400x8xf32>
}
