// RUN: fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-check,fiar-fuse)' %s 2>/dev/null | FileCheck %s
// RUN: fiar-opt --split-input-file --pass-pipeline='builtin.module(fiar-fuse{report=text})' %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=TEXT

// An all-reduce that one op starts and another waits for: the fused op stands where the sum is waited for.

// StableHLO has what is started in a region.
// TEXT: 1 all-reduce seen, 1 fused, 0 left
// CHECK-LABEL: func.func @in_a_region
// CHECK-NEXT:    %[[R:.*]] = "stablehlo.multiply"(%arg1, %arg1)
// CHECK-NEXT:    %[[F:.*]]:2 = "fiar.all_reduce_norm"(%arg0, %[[R]], %arg2)
// CHECK-NEXT:    return %[[F]]#0, %[[F]]#1
// CHECK-NOT:     async
func.func @in_a_region(%x: tensor<4x64xbf16>, %a: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>) {
  %future = "stablehlo.async_start"(%x) ({
  ^bb0(%in: tensor<4x64xbf16>):
    %s = "stablehlo.all_reduce"(%in) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %0 = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %0 : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    stablehlo.return %s : tensor<4x64xbf16>
  }) : (tensor<4x64xbf16>) -> !stablehlo.future<tensor<4x64xbf16>>
  %r = stablehlo.multiply %a, %a : tensor<4x64xbf16>
  %sum = "stablehlo.async_done"(%future) : (!stablehlo.future<tensor<4x64xbf16>>) -> tensor<4x64xbf16>
  %h = stablehlo.add %sum, %r : tensor<4x64xbf16>
  %n = stablehlo.custom_call @tenstorrent.rms_norm(%h, %w) {tt.composite_attributes = {epsilon = 1.0e-5 : f32, normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  return %h, %n : tensor<4x64xbf16>, tensor<4x64xbf16>
}

// -----

// MHLO and XLA's custom calls have it in a function, which goes with its last start.
// TEXT: 2 all-reduces seen, 2 fused, 0 left
// CHECK-NOT:     func.func private
// CHECK-LABEL: func.func @in_a_function
// CHECK:         "fiar.all_reduce_norm"(%arg0, %arg1)
// CHECK:         "fiar.all_reduce_norm"(%arg0, %arg1)
// CHECK-NOT:     async
// CHECK-NOT:     custom_call
func.func private @reduce(%in: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %s = "mhlo.all_reduce"(%in) ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %0 = mhlo.add %l, %r : tensor<bf16>
    mhlo.return %0 : tensor<bf16>
  }) {replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %s : tensor<4x64xbf16>
}
func.func @in_a_function(%x: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>) {
  %future = "mhlo.async_start"(%x) {called_computation = @reduce, execution_thread = "main"} : (tensor<4x64xbf16>) -> !mhlo.async_bundle<tensor<4x64xbf16>, tensor<4x64xbf16>>
  %sum = "mhlo.async_done"(%future) : (!mhlo.async_bundle<tensor<4x64xbf16>, tensor<4x64xbf16>>) -> tensor<4x64xbf16>
  %n = stablehlo.custom_call @aten.rms_norm(%sum, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  %started = stablehlo.custom_call @"all-reduce-start"(%x) {called_computations = [@reduce]} : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %again = stablehlo.custom_call @"all-reduce-done"(%started) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %m = stablehlo.custom_call @aten.rms_norm(%again, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  return %n, %m : tensor<4x64xbf16>, tensor<4x64xbf16>
}

// -----

// Two ops wait: fused, the all-reduce would run twice.
// TEXT: 1 all-reduce seen, 0 fused, 1 left
// CHECK-LABEL: func.func @waited_for_twice
// CHECK-NOT:     fiar.all_reduce_norm
func.func @waited_for_twice(%x: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>) {
  %future = "stablehlo.async_start"(%x) ({
  ^bb0(%in: tensor<4x64xbf16>):
    %s = "stablehlo.all_reduce"(%in) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %0 = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %0 : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    stablehlo.return %s : tensor<4x64xbf16>
  }) : (tensor<4x64xbf16>) -> !stablehlo.future<tensor<4x64xbf16>>
  %sum = "stablehlo.async_done"(%future) : (!stablehlo.future<tensor<4x64xbf16>>) -> tensor<4x64xbf16>
  %n = stablehlo.custom_call @tenstorrent.rms_norm(%sum, %w) {tt.composite_attributes = {epsilon = 1.0e-5 : f32, normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  %again = "stablehlo.async_done"(%future) : (!stablehlo.future<tensor<4x64xbf16>>) -> tensor<4x64xbf16>
  return %n, %again : tensor<4x64xbf16>, tensor<4x64xbf16>
}

// -----

// What is started does more than reduce, or starts a gather.
// TEXT: 1 all-reduce seen, 0 fused, 1 left
// CHECK-LABEL: func.func @more_is_started
// CHECK-NOT:     fiar.all_reduce_norm
func.func @more_is_started(%x: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> tensor<4x64xbf16> {
  %future = "stablehlo.async_start"(%x) ({
  ^bb0(%in: tensor<4x64xbf16>):
    %s = "stablehlo.all_reduce"(%in) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
    ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
      %0 = stablehlo.add %l, %r : tensor<bf16>
      stablehlo.return %0 : tensor<bf16>
    }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
    %t = stablehlo.add %s, %s : tensor<4x64xbf16>
    stablehlo.return %t : tensor<4x64xbf16>
  }) : (tensor<4x64xbf16>) -> !stablehlo.future<tensor<4x64xbf16>>
  %sum = "stablehlo.async_done"(%future) : (!stablehlo.future<tensor<4x64xbf16>>) -> tensor<4x64xbf16>
  %n = stablehlo.custom_call @tenstorrent.rms_norm(%sum, %w) {tt.composite_attributes = {epsilon = 1.0e-5 : f32, normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  return %n : tensor<4x64xbf16>
}

// -----

// Norms by name: another shape than the last dimension, a bias, another name; a composite is its decomposition
// where it has one, and its name where that is only declared.
// TEXT: 5 all-reduces seen, 1 fused, 4 left
// TEXT: fused RMSNorm world 2 eps 1e-05
// TEXT: left no RMSNorm follows: the all-reduced sum goes into stablehlo.custom_call
// TEXT: left no RMSNorm follows: the all-reduced sum goes into stablehlo.custom_call
// TEXT: left no RMSNorm follows: the all-reduced sum goes into stablehlo.custom_call
// TEXT: left the norm is computed in bf16, not in f32
// CHECK-LABEL: func.func @by_name
// CHECK-COUNT-1: fiar.all_reduce_norm
// CHECK-NOT:     fiar.all_reduce_norm
func.func private @declared(tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
func.func private @other(%x: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> tensor<4x64xbf16> {
  %0 = stablehlo.multiply %x, %x : tensor<4x64xbf16>
  return %0 : tensor<4x64xbf16>
}
func.func @by_name(%x: tensor<4x64xbf16>, %w: tensor<64xbf16>, %v: tensor<4x64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>) {
  %s0 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %0 = stablehlo.add %l, %r : tensor<bf16>
    stablehlo.return %0 : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %s1 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %0 = stablehlo.add %l, %r : tensor<bf16>
    stablehlo.return %0 : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %s2 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %0 = stablehlo.add %l, %r : tensor<bf16>
    stablehlo.return %0 : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %s3 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %0 = stablehlo.add %l, %r : tensor<bf16>
    stablehlo.return %0 : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %s4 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %0 = stablehlo.add %l, %r : tensor<bf16>
    stablehlo.return %0 : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %a = stablehlo.composite "tenstorrent.rms_norm" %s0, %w {composite_attributes = {epsilon = 1.0e-5 : f32, normalized_shape = dense<64> : tensor<1xi64>}, decomposition = @declared} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  %b = stablehlo.custom_call @tenstorrent.rms_norm(%s1, %v) {tt.composite_attributes = {epsilon = 1.0e-5 : f32, normalized_shape = dense<[4, 64]> : tensor<2xi64>}} : (tensor<4x64xbf16>, tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %c = stablehlo.custom_call @tenstorrent.rms_norm(%s2, %w, %w) {tt.composite_attributes = {epsilon = 1.0e-5 : f32, normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  %d = stablehlo.custom_call @tenstorrent.layer_norm(%s3, %w) {tt.composite_attributes = {epsilon = 1.0e-5 : f32, normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  %e = stablehlo.composite "tenstorrent.rms_norm" %s4, %w {composite_attributes = {epsilon = 1.0e-5 : f32, normalized_shape = dense<64> : tensor<1xi64>}, decomposition = @other} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  return %a, %b, %c, %d, %e : tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>
}
