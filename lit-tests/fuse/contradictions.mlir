// RUN: not fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-fuse{world=4})' %s -o %t 2>&1 | FileCheck %s
// Groups that contradict the module, or the option `world`, are errors: nothing is written.
// RUN: not ls %t

// CHECK: error: the replica groups name rank 5, but the module has only 4 (mhlo.num_replicas, mhlo.num_partitions)
module attributes {mhlo.num_replicas = 4 : i32, mhlo.num_partitions = 1 : i32} {
  func.func @too_many(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
    %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1, 2, 5]]> : tensor<1x4xi64>}> ({
    ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
      %y = stablehlo.add %a, %b : tensor<bf16>
      stablehlo.return %y : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    return %s : tensor<4x64xbf16>
  }
}

// -----

// CHECK: error: the replica groups name rank 1 twice
func.func @twice(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1], [1, 2]]> : tensor<2x2xi64>}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %y = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %y : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %s : tensor<4x64xbf16>
}

// -----

// CHECK: error: world is 4, but this all-reduce has groups of 2 ranks
func.func @option(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %s = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>}> ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    %y = stablehlo.add %a, %b : tensor<bf16>
    stablehlo.return %y : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %s : tensor<4x64xbf16>
}
