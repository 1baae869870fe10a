// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --emit-bytecode | fiar-opt | FileCheck %s

// CHECK-LABEL: func.func @gather
// CHECK: "fiar.all_gather_rows"(%{{.*}})
func.func @gather(%x: tensor<4x64xbf16>) -> tensor<16x64xbf16> {
  %0 = "fiar.all_gather_rows"(%x) {world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>} : (tensor<4x64xbf16>) -> tensor<16x64xbf16>
  return %0 : tensor<16x64xbf16>
}
