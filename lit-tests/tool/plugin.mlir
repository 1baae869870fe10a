// Stock mlir-opt reads pretty text with the plugin, and has the passes.
// REQUIRES: plugin
// RUN: mlir-opt --load-dialect-plugin=%plugin --load-pass-plugin=%plugin --allow-unregistered-dialect %s -o %t.mlir-opt
// RUN: fiar-opt %s -o %t.fiar-opt
// RUN: diff %t.mlir-opt %t.fiar-opt
// RUN: mlir-opt --load-dialect-plugin=%plugin --load-pass-plugin=%plugin --pass-pipeline='builtin.module(fiar-fuse)' %s -o %t.fused
// RUN: mlir-opt --load-dialect-plugin=%plugin --show-dialects | FileCheck %s --check-prefix=DIALECTS
// DIALECTS: {{[, ]}}chlo,{{.*}}fiar,{{.*}}sdy,{{.*}}stablehlo,

sdy.mesh @mesh = <["tp"=4]>

func.func @main(%x: tensor<16x1024xbf16>, %r: tensor<16x1024xbf16>) -> tensor<16x1024xbf16> {
  %0 = sdy.manual_computation(%x, %r) in_shardings=[<@mesh, [{}, {}]>, <@mesh, [{}, {}]>] out_shardings=[<@mesh, [{}, {}]>] manual_axes={"tp"} (%a: tensor<16x1024xbf16>, %b: tensor<16x1024xbf16>) {
    %1 = func.call @sum(%a, %b) : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
    sdy.return %1 : tensor<16x1024xbf16>
  } : (tensor<16x1024xbf16>, tensor<16x1024xbf16>) -> tensor<16x1024xbf16>
  return %0 : tensor<16x1024xbf16>
}

func.func private @sum(%a: tensor<16x1024xbf16>, %b: tensor<16x1024xbf16>) -> tensor<16x1024xbf16> {
  %0 = stablehlo.add %a, %b : tensor<16x1024xbf16>
  return %0 : tensor<16x1024xbf16>
}
