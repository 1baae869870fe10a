// The same block in upstream MLIR, compiled by fiarc to calls alone and by fiar-to-llvm for the CPU: the same bits of integer inputs,
// on 2 ranks.
// REQUIRES: native
// RUN: rm -rf %t && mkdir %t
// RUN: fiarc %s -o %t/calls.o --name=calls --max-tokens=16
// RUN: sed s/@block/@cpu/ %s | fiar-opt --fiar-fuse --fiar-to-llvm -o %t/cpu.llvm.mlir
// RUN: mlir-translate --mlir-to-llvmir %t/cpu.llvm.mlir -o %t/cpu.ll
// RUN: clang -O1 -fPIC -Wno-override-module -c %t/cpu.ll -o %t/cpu.o
// RUN: %cc -O1 -I%S/../../include -I%build/include -I%t %S/Inputs/block_upstream.c %t/calls.o %t/cpu.o -o %t/compare -L%build/lib -lfiar -L%llvm_lib -lmlir_apfloat_wrappers -lm -Wl,-rpath,%build/lib:%llvm_lib
// RUN: fiar-run --no-prefix -n 2 %t/compare | FileCheck %s
// CHECK-COUNT-2: norm 0, residual 0, product 0 differ
shard.grid @tp(shape = 2)

func.func @block(%x: tensor<8x32xbf16> {fiar.name = "x"}, %w: tensor<32x64xbf16> {fiar.name = "w"}, %stream: tensor<8x64xbf16> {fiar.name = "stream"},
                 %gamma: tensor<64xbf16> {fiar.name = "gamma"}, %v: tensor<64x16xbf16> {fiar.name = "v"})
    -> (tensor<8x64xbf16> {fiar.name = "norm"}, tensor<8x64xbf16> {fiar.name = "residual"}, tensor<8x16xf32> {fiar.name = "product"}) {
  %zero = arith.constant 0.0 : f32
  %hidden = arith.constant dense<64.0> : tensor<8xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<8xf32>
  %rows = tensor.empty() : tensor<8xf32>
  %wide = tensor.empty() : tensor<8x64xf32>
  %wide_bf16 = tensor.empty() : tensor<8x64xbf16>
  %small = tensor.empty() : tensor<8x16xf32>
  %row_zeros = linalg.fill ins(%zero : f32) outs(%rows : tensor<8xf32>) -> tensor<8xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%wide : tensor<8x64xf32>) -> tensor<8x64xf32>
  %small_zeros = linalg.fill ins(%zero : f32) outs(%small : tensor<8x16xf32>) -> tensor<8x16xf32>
  %x_f32 = arith.extf %x : tensor<8x32xbf16> to tensor<8x32xf32>
  %w_f32 = arith.extf %w : tensor<32x64xbf16> to tensor<32x64xf32>
  %partial_f32 = linalg.matmul ins(%x_f32, %w_f32 : tensor<8x32xf32>, tensor<32x64xf32>) outs(%zeros : tensor<8x64xf32>) -> tensor<8x64xf32>
  %partial = arith.truncf %partial_f32 : tensor<8x64xf32> to tensor<8x64xbf16>
  %sum = shard.all_reduce %partial on @tp grid_axes = [0] : tensor<8x64xbf16> -> tensor<8x64xbf16>
  %residual = arith.addf %stream, %sum : tensor<8x64xbf16>
  %h = arith.extf %residual : tensor<8x64xbf16> to tensor<8x64xf32>
  %square = arith.mulf %h, %h : tensor<8x64xf32>
  %total = linalg.reduce ins(%square : tensor<8x64xf32>) outs(%row_zeros : tensor<8xf32>) dimensions = [1]
    (%a: f32, %b: f32) {
      %c = arith.addf %a, %b : f32
      linalg.yield %c : f32
    }
  %mean = arith.divf %total, %hidden : tensor<8xf32>
  %shifted = arith.addf %mean, %eps : tensor<8xf32>
  %root = math.rsqrt %shifted : tensor<8xf32>
  %roots = linalg.broadcast ins(%root : tensor<8xf32>) outs(%wide : tensor<8x64xf32>) dimensions = [1]
  %unit = arith.mulf %h, %roots : tensor<8x64xf32>
  %unit_bf16 = arith.truncf %unit : tensor<8x64xf32> to tensor<8x64xbf16>
  %gammas = linalg.broadcast ins(%gamma : tensor<64xbf16>) outs(%wide_bf16 : tensor<8x64xbf16>) dimensions = [0]
  %norm = arith.mulf %unit_bf16, %gammas : tensor<8x64xbf16>
  %v_f32 = arith.extf %v : tensor<64x16xbf16> to tensor<64x16xf32>
  %product = linalg.matmul ins(%h, %v_f32 : tensor<8x64xf32>, tensor<64x16xf32>) outs(%small_zeros : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %norm, %residual, %product : tensor<8x64xbf16>, tensor<8x64xbf16>, tensor<8x16xf32>
}
