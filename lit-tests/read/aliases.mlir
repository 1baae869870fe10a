// RUN: fiar-opt %s | FileCheck %s
// RUN: fiar-opt %s | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --emit-bytecode | fiar-opt | FileCheck %s
// RUN: fiar-opt %s --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s --check-prefix=LOC

// Aliases of attributes, types and locations, also inside the text of attributes that stay opaque.
#handle = #stablehlo.channel_handle<handle = 1, type = 1>
#bounds = #stablehlo.bounds<4, ?>
#memory = #ttnn.buffer_type<dram>
#layout = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x96xbf16, #memory>, "#memory", #memory interleaved>
!bounded = tensor<4x?xf32, #bounds>
!tile = !ttcore.tile<32x32, bf16>
#source = loc("model.py":1:2)

// CHECK-LABEL: func.func @main(
// CHECK-SAME: tensor<4x?xf32, #stablehlo.bounds<4, ?>>
func.func @main(%x: !bounded) -> !bounded {
  // CHECK: "stablehlo.all_reduce"(%{{.*}}) <{channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>
  %0 = "stablehlo.all_reduce"(%x) <{channel_handle = #handle, replica_groups = dense<0> : tensor<1x1xi64>}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    // LOC: "stablehlo.add"{{.*}} loc("model.py":1:2)
    %1 = stablehlo.add %a, %b : tensor<f32> loc(#source)
    stablehlo.return %1 : tensor<f32>
  // LOC: }) : {{.*}} loc("psum"("model.py":3:4))
  }) : (!bounded) -> !bounded loc("psum"("model.py":3:4))
  // CHECK: layout = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x96xbf16, #ttnn.buffer_type<dram>>, "#memory", #ttnn.buffer_type<dram> interleaved>
  // CHECK-SAME: type = !ttnn.nested<!ttcore.tile<32x32, bf16>>
  "ttnn.empty"() {layout = #layout, type = !ttnn.nested<!tile>} : () -> ()
  return %0 : !bounded
}

// The body that `applies` stands for has the reduction's location.
// LOC-LABEL: func.func @reduce
func.func @reduce(%x: tensor<4x8xf32>, %c: tensor<f32>) -> tensor<4xf32> {
  // LOC: "stablehlo.add"{{.*}} loc("sum")
  // LOC: }) : (tensor<4x8xf32>, tensor<f32>) -> tensor<4xf32> loc("sum")
  %0 = stablehlo.reduce(%x init: %c) applies stablehlo.add across dimensions = [1] : (tensor<4x8xf32>, tensor<f32>) -> tensor<4xf32> loc("sum")
  return %0 : tensor<4xf32>
}
