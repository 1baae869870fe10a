// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --emit-bytecode | fiar-opt | FileCheck %s

// tt-mlir's wrapper of a module; the ops inside print in generic form.

// CHECK: "ttcore.device_module"() ({
ttcore.device_module {
  builtin.module @inner attributes {ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x2>]>} {
// CHECK-LABEL: func.func @callee(
    func.func @callee(%x: tensor<32x3072xbf16>) -> tensor<32x3072xbf16> {
      return %x : tensor<32x3072xbf16>
    }
// CHECK-LABEL: func.func @caller(
    func.func @caller(%x: tensor<32x3072xbf16>) -> tensor<32x3072xbf16> {
      %0 = "ttir.all_reduce"(%x) <{cluster_axis = 1 : ui32, reduce_type = #ttcore.reduce_type<sum>}> : (tensor<32x3072xbf16>) -> tensor<32x3072xbf16>
      %1 = call @callee(%0) : (tensor<32x3072xbf16>) -> tensor<32x3072xbf16>
      return %1 : tensor<32x3072xbf16>
    }
  }
}
