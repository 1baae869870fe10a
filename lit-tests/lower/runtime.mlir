// RUN: fiar-opt %s --fiar-lower-to-runtime | FileCheck %s
// RUN: fiar-opt %s --fiar-to-llvm | FileCheck %s --check-prefix=LLVM

// The fused op becomes a call of a function over tensors; the function fills the runtime's struct.
// CHECK-LABEL: func.func private @fused.tensors
// CHECK:         call @fiar.call.0(%arg0, %arg1, %arg2, %arg3)
// CHECK-NEXT:    return
func.func @fused(%x: tensor<4x32xbf16>, %r: tensor<4x32xbf16>, %w: tensor<32xf32>, %s: tensor<f32>)
    -> (tensor<4x32xbf16>, tensor<4x32xf8E4M3FN>) {
  %0:2 = "fiar.all_reduce_norm"(%x, %r, %w, %s) {
    operandSegmentSizes = array<i32: 1, 1, 1, 1>, resultSegmentSizes = array<i32: 0, 1, 0, 1, 0>,
    eps = 1.0e-6 : f32, weight_bias = 1.0 : f32, scale_min = 0.0 : f32, quant = "fp8_static", scale_layout = "linear",
    group_size = 0 : i64, scale_is = "multiplier", norm_input = "rounded", scale_type = "f32",
    norm_rounding = "after_weight", residual_layout = "full", world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>
  } : (tensor<4x32xbf16>, tensor<4x32xbf16>, tensor<32xf32>, tensor<f32>) -> (tensor<4x32xbf16>, tensor<4x32xf8E4M3FN>)
  return %0#0, %0#1 : tensor<4x32xbf16>, tensor<4x32xf8E4M3FN>
}

// Two equal calls share a function; another communicator is another group and another function.
// CHECK-LABEL: func.func private @plain.tensors
// CHECK:         call @[[PLAIN:fiar.call.1]](
// CHECK:         call @[[PLAIN]](
// CHECK:         call @fiar.call.2(
func.func @plain(%x: tensor<?x8x16xf32>) -> tensor<?x8x16xf32> {
  %0 = "fiar.all_reduce"(%x) {world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>} : (tensor<?x8x16xf32>) -> tensor<?x8x16xf32>
  %1 = "fiar.all_reduce"(%0) {world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>} : (tensor<?x8x16xf32>) -> tensor<?x8x16xf32>
  %2 = "fiar.all_reduce"(%1) {world = 2 : i64, groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>} : (tensor<?x8x16xf32>) -> tensor<?x8x16xf32>
  return %2 : tensor<?x8x16xf32>
}

// fp4 codes are an element a byte in the IR's tensors, and two a byte for the runtime.
// CHECK-LABEL: func.func private @unpacked.tensors
// CHECK:         call @[[FP4:fiar.call.3]](
func.func @unpacked(%x: tensor<4x32xf16>) -> (tensor<4x32xf4E2M1FN>, tensor<4x2xf8E4M3FN>) {
  %0:2 = "fiar.all_reduce_norm"(%x) {
    operandSegmentSizes = array<i32: 1, 0, 0, 0>, resultSegmentSizes = array<i32: 0, 0, 0, 1, 1>,
    eps = 1.0e-5 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = "nvfp4", scale_layout = "linear",
    group_size = 16 : i64, scale_is = "multiplier", norm_input = "f32", scale_type = "e4m3",
    norm_rounding = "before_weight", residual_layout = "full", world = 4 : i64, groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>
  } : (tensor<4x32xf16>) -> (tensor<4x32xf4E2M1FN>, tensor<4x2xf8E4M3FN>)
  return %0#0, %0#1 : tensor<4x32xf4E2M1FN>, tensor<4x2xf8E4M3FN>
}

// A private function is nobody's entry.
// CHECK-LABEL: func.func private @inner
// CHECK-NOT:   inner.tensors
func.func private @inner(%x: f32) -> f32 {
  return %x : f32
}

// CHECK:         llvm.mlir.global internal thread_local @fiar.status(0 : i32)
// CHECK:         func.func private @fiar.call.0(%{{.*}}: tensor<4x32xbf16>, %{{.*}}: tensor<4x32xbf16>, %{{.*}}: tensor<32xf32>, %{{.*}}: tensor<f32>)
// CHECK-SAME:    no_inline
// CHECK:           %[[BEFORE:.*]] = llvm.load %[[STATUS:.*]] : !llvm.ptr -> i32
// CHECK:           %[[GO:.*]] = arith.cmpi eq, %[[BEFORE]]
// CHECK:           scf.if %[[GO]]
// struct_size 144 in the low half of the first word, group 0 in the high half.
// CHECK:             %[[PARAMS:.*]] = llvm.alloca %{{.*}} x !llvm.array<18 x i64>
// CHECK-NEXT:        %[[WORD:.*]] = arith.constant 144 : i64
// CHECK-NEXT:        %[[AT:.*]] = llvm.getelementptr %[[PARAMS]][0]
// CHECK-NEXT:        llvm.store %[[WORD]], %[[AT]]
// CHECK:             %[[AFTER:.*]] = llvm.call @fiar_rt_all_reduce_norm(%{{.*}}, %[[PARAMS]], %{{.*}})
// CHECK-NEXT:        llvm.store %[[AFTER]], %[[STATUS]]

// CHECK:         func.func private @fiar.call.1(%{{.*}}: tensor<?x8x16xf32>)
// CHECK:           memref.dim
// CHECK:           llvm.call @fiar_rt_all_reduce(
// CHECK:         func.func private @fiar.call.2(%{{.*}}: tensor<?x8x16xf32>)
// CHECK:           %[[GROUP:.*]] = arith.constant 1 : i32
// CHECK:           llvm.call @fiar_rt_all_reduce(%{{[a-z0-9]*}}, %[[GROUP]]

// CHECK:         func.func private @[[FP4]]
// CHECK:           memref.alloc() : memref<4x16xi8>
// CHECK:           llvm.call @fiar_rt_all_reduce_norm
// CHECK:           linalg.generic
// CHECK:             arith.bitcast %{{.*}} : i4 to f4E2M1FN

// The start of every entry: version 1, then each communicator's size.
// CHECK:         func.func private @fiar.start() -> i1
// CHECK:           %[[V:.*]] = arith.constant 1 : i32
// CHECK:           llvm.call @fiar_rt_check_abi(%[[V]])
// CHECK:           llvm.call @fiar_rt_check_world
// CHECK:           arith.constant 2 : i64
// CHECK:           llvm.call @fiar_rt_check_world

// Pointers, with an i64 for each dynamic dimension; results last.
// CHECK:         func.func @fused(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr) -> i32
// CHECK:         func.func @plain(%{{.*}}: !llvm.ptr, %{{.*}}: i64, %{{.*}}: !llvm.ptr) -> i32
// CHECK:         func.func @unpacked(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr) -> i32

// LLVM-NOT: unrealized_conversion_cast
// LLVM: llvm.func internal @fiar.call.0
// LLVM: llvm.func @fused(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr) -> i32
