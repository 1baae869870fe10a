// A compiled model's C interface, held against calls of the runtime by hand: dynamic token counts, rank 3, fp4
// codes packed and not, group scales, a token-sharded residual with its gather, scalars, and a world that is wrong.
// REQUIRES: native
// RUN: fiar-opt %s --fiar-to-llvm -o %t.llvm.mlir
// RUN: mlir-translate --mlir-to-llvmir %t.llvm.mlir -o %t.ll
// RUN: clang -O1 -fPIC -Wno-override-module -c %t.ll -o %t.o
// RUN: %cc -O1 -I%S/../../include -I%build/include %S/Inputs/abi.c %t.o -pthread -o %t.exe -L%build/lib -lfiar -L%llvm_lib -lmlir_apfloat_wrappers -Wl,-rpath,%build/lib:%llvm_lib
// RUN: %build/bin/fiar-run -n 2 %t.exe | FileCheck %s
// RUN: %t.exe threads | FileCheck %s
// RUN: not %build/bin/fiar-run -n 3 %t.exe 2>&1 | FileCheck %s --check-prefix=WORLD
// CHECK-COUNT-2: all as by hand
// WORLD: compiled for 2 ranks
!rows = tensor<?x64xbf16>

// Codes as bytes that hold two, and one an element.
func.func @packed(%x: !rows, %g: tensor<1xf32>) -> (tensor<?x32xi8>, tensor<?x4xf8E4M3FN>) {
  %0:2 = "fiar.all_reduce_norm"(%x, %g) {
    operandSegmentSizes = array<i32: 1, 0, 0, 1>, resultSegmentSizes = array<i32: 0, 0, 0, 1, 1>,
    eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "nvfp4", scale_layout = "linear",
    group_size = 0 : i64, scale_is = "multiplier", norm_input = "rounded", scale_type = "e4m3",
    norm_rounding = "before_weight", residual_layout = "full", world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>
  } : (!rows, tensor<1xf32>) -> (tensor<?x32xi8>, tensor<?x4xf8E4M3FN>)
  return %0#0, %0#1 : tensor<?x32xi8>, tensor<?x4xf8E4M3FN>
}
func.func @unpacked(%x: tensor<2x?x64xbf16>, %g: tensor<f32>) -> tensor<2x?x64xf4E2M1FN> {
  %0 = "fiar.all_reduce_norm"(%x, %g) {
    operandSegmentSizes = array<i32: 1, 0, 0, 1>, resultSegmentSizes = array<i32: 0, 0, 0, 1, 0>,
    eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "nvfp4", scale_layout = "linear",
    group_size = 0 : i64, scale_is = "multiplier", norm_input = "rounded", scale_type = "e4m3",
    norm_rounding = "before_weight", residual_layout = "full", world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>
  } : (tensor<2x?x64xbf16>, tensor<f32>) -> tensor<2x?x64xf4E2M1FN>
  return %0 : tensor<2x?x64xf4E2M1FN>
}

// Groups of 32, the sum and a weight of another type.
func.func @groups(%x: !rows, %w: tensor<64xf32>) -> (!rows, tensor<?x64xf8E4M3FN>, tensor<?x2xf32>) {
  %0:3 = "fiar.all_reduce_norm"(%x, %w) {
    operandSegmentSizes = array<i32: 1, 0, 1, 0>, resultSegmentSizes = array<i32: 1, 0, 0, 1, 1>,
    eps = 1.0e-6 : f32, weight_bias = 1.0 : f32, scale_min = 1.0e-10 : f32, quant = "fp8_group", scale_layout = "linear",
    group_size = 32 : i64, scale_is = "divisor", norm_input = "rounded", scale_type = "f32",
    norm_rounding = "after_weight", residual_layout = "full", world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>
  } : (!rows, tensor<64xf32>) -> (!rows, tensor<?x64xf8E4M3FN>, tensor<?x2xf32>)
  return %0#0, %0#1, %0#2 : !rows, tensor<?x64xf8E4M3FN>, tensor<?x2xf32>
}

// Three rows over two ranks: rank 0 owns rows 0 and 2, rank 1 row 1. The gathered residual is the whole one.
func.func @sharded(%x: tensor<3x64xbf16>, %r: tensor<2x64xbf16>) -> (tensor<3x64xbf16>, tensor<3x64xbf16>) {
  %0:2 = "fiar.all_reduce_norm"(%x, %r) {
    operandSegmentSizes = array<i32: 1, 1, 0, 0>, resultSegmentSizes = array<i32: 0, 1, 1, 0, 0>,
    eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "none", scale_layout = "linear",
    group_size = 0 : i64, scale_is = "divisor", norm_input = "rounded", scale_type = "f32",
    norm_rounding = "after_weight", residual_layout = "token_shard", world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>
  } : (tensor<3x64xbf16>, tensor<2x64xbf16>) -> (tensor<2x64xbf16>, tensor<3x64xbf16>)
  %1 = "fiar.all_gather_rows"(%0#0) {world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<2x64xbf16>) -> tensor<3x64xbf16>
  return %1, %0#1 : tensor<3x64xbf16>, tensor<3x64xbf16>
}

// Scalars, a loop, and an argument that the function would like to overwrite.
func.func @loop(%x: tensor<4xf32>, %n: index, %by: f32) -> (tensor<4xf32>, index, f32) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %0 = scf.for %i = %zero to %n step %one iter_args(%sum = %x) -> tensor<4xf32> {
    %next = "fiar.all_reduce"(%sum) {world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<4xf32>) -> tensor<4xf32>
    scf.yield %next : tensor<4xf32>
  }
  %at = tensor.insert %by into %x[%zero] : tensor<4xf32>
  %1 = arith.addf %0, %at : tensor<4xf32>
  %twice = arith.addi %n, %n : index
  return %1, %twice, %by : tensor<4xf32>, index, f32
}
