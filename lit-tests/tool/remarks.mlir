// What fiar-fuse says, and where it goes.

// A miss is a remark among the diagnostics; what was fused is silent.
// RUN: fiar-opt --fiar-fuse --verify-diagnostics %s
// MLIR's flags filter both, by kind and by the pass's name.
// RUN: fiar-opt --fiar-fuse --remarks-filter-passed=fiar-fuse %s 2>&1 | FileCheck %s --check-prefix=PASSED
// RUN: fiar-opt --fiar-fuse --remarks-filter-missed=fiar-fuse %s 2>&1 | FileCheck %s --check-prefix=MISSED
// RUN: fiar-opt --fiar-fuse --remarks-filter=fiar.* --remark-format=yaml --remarks-output-file=%t.yaml %s
// RUN: FileCheck %s --check-prefix=YAML --input-file %t.yaml

// PASSED: remarks.mlir:[[#]]:[[#]]: remark: [Passed] fused | Category:fiar-fuse | Remark="{{.*}}residual + RMSNorm
// MISSED-NOT: [Passed]
// MISSED: remarks.mlir:[[#]]:[[#]]: remark: [Missed] missed | Category:fiar-fuse | Remark="{{.*}}no RMSNorm follows
// YAML: --- !Passed
// YAML: Pass:{{ *}}fiar-fuse
// YAML: --- !Missed

func.func @fused(%x: tensor<4x64xf32>, %residual: tensor<4x64xf32>, %w: tensor<64xf32>) -> (tensor<4x64xf32>, tensor<4x64xf32>) {
  %0 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %s = stablehlo.add %a, %b : tensor<f32>
    stablehlo.return %s : tensor<f32>
  }) : (tensor<4x64xf32>) -> tensor<4x64xf32>
  %1 = stablehlo.add %residual, %0 : tensor<4x64xf32>
  %2 = stablehlo.multiply %1, %1 : tensor<4x64xf32>
  %zero = stablehlo.constant dense<0.0> : tensor<f32>
  %3 = stablehlo.reduce(%2 init: %zero) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
  %4 = stablehlo.reshape %3 : (tensor<4xf32>) -> tensor<4x1xf32>
  %n = stablehlo.constant dense<64.0> : tensor<4x1xf32>
  %5 = stablehlo.divide %4, %n : tensor<4x1xf32>
  %eps = stablehlo.constant dense<1.0e-6> : tensor<4x1xf32>
  %6 = stablehlo.add %5, %eps : tensor<4x1xf32>
  %7 = stablehlo.rsqrt %6 : tensor<4x1xf32>
  %8 = stablehlo.broadcast_in_dim %7, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x64xf32>
  %9 = stablehlo.multiply %1, %8 : tensor<4x64xf32>
  %10 = stablehlo.broadcast_in_dim %w, dims = [1] : (tensor<64xf32>) -> tensor<4x64xf32>
  %11 = stablehlo.multiply %9, %10 : tensor<4x64xf32>
  return %1, %11 : tensor<4x64xf32>, tensor<4x64xf32>
}

func.func @missed(%x: tensor<4x64xf32>) -> tensor<4x64xf32> {
  // expected-remark@below {{no RMSNorm follows}}
  %0 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %s = stablehlo.add %a, %b : tensor<f32>
    stablehlo.return %s : tensor<f32>
  }) : (tensor<4x64xf32>) -> tensor<4x64xf32>
  return %0 : tensor<4x64xf32>
}
