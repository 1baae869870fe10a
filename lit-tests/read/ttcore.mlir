// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --emit-bytecode | fiar-opt | FileCheck %s

// tt-mlir's wrapper of a module; most ops inside print in generic form.

// CHECK: "ttcore.device_module"() ({
ttcore.device_module {
  builtin.module @inner attributes {ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x2>]>} {
    // CHECK: "ttcore.device"() <{device_attr = #ttcore.device<workerGrid = #ttcore.grid<8x8, (d0, d1) -> (0, d0, d1)>, meshShape = 1x2, chipIds = [0, 1]>, sym_name = "default_device"}> : () -> ()
    ttcore.device @default_device = <workerGrid = #ttcore.grid<8x8, (d0, d1) -> (0, d0, d1)>, meshShape = 1x2, chipIds = [0, 1]>
// CHECK-LABEL: func.func @callee(
    func.func @callee(%x: tensor<32x3072xbf16>) -> tensor<32x3072xbf16> {
      return %x : tensor<32x3072xbf16>
    }
// CHECK-LABEL: func.func @caller(
    func.func @caller(%x: tensor<32x3072xbf16>) -> tensor<32x3072xbf16> {
      // CHECK: {{.*}} = "ttir.empty"() : () -> tensor<32x3072xbf16>
      %0 = ttir.empty() : tensor<32x3072xbf16>
      // CHECK: {{.*}} = "ttir.all_reduce"({{.*}}) <{cluster_axis = 1 : ui32, reduce_type = #ttcore.reduce_type<sum>}> : (tensor<32x3072xbf16>, tensor<32x3072xbf16>) -> tensor<32x3072xbf16>
      %1 = "ttir.all_reduce"(%x, %0) <{cluster_axis = 1 : ui32, reduce_type = #ttcore.reduce_type<sum>}> : (tensor<32x3072xbf16>, tensor<32x3072xbf16>) -> tensor<32x3072xbf16>
      %2 = call @callee(%1) : (tensor<32x3072xbf16>) -> tensor<32x3072xbf16>
      // CHECK: {{.*}} = "ttcore.load_cached"({{.*}}) <{callee = @callee}> : (tensor<32x3072xbf16>) -> tensor<32x3072xbf16>
      %3 = ttcore.load_cached(@callee, [%2]) : (tensor<32x3072xbf16>) -> tensor<32x3072xbf16>
      // CHECK: {{.*}} = "ttcore.tuple"({{.*}}) : (tensor<32x3072xbf16>, tensor<32x3072xbf16>) -> tuple<tensor<32x3072xbf16>, tensor<32x3072xbf16>>
      %4 = ttcore.tuple %3, %2 : tuple<tensor<32x3072xbf16>, tensor<32x3072xbf16>>
      // CHECK: {{.*}} = "ttcore.get_tuple_element"({{.*}}) <{index = 0 : i32}> : (tuple<tensor<32x3072xbf16>, tensor<32x3072xbf16>>) -> tensor<32x3072xbf16>
      %5 = ttcore.get_tuple_element %4[0] : (tuple<tensor<32x3072xbf16>, tensor<32x3072xbf16>>) -> tensor<32x3072xbf16>
      return %5 : tensor<32x3072xbf16>
    }
  }
}
