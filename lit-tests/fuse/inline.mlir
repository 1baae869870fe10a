// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-inline)' %s | FileCheck %s --check-prefix=INLINED
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-inline,fiar-inline)' %s | FileCheck %s --check-prefix=INLINED
// RUN: fiar-opt --pass-pipeline='builtin.module(fiar-inline,fiar-check,fiar-fuse)' %s 2>/dev/null | FileCheck %s

// A nested jit of JAX becomes a private function: the sum that it returns is normalised by its callers.
// INLINED-NOT:   @row_parallel
// INLINED-LABEL: func.func @two_callers
// INLINED:         "stablehlo.all_reduce"
// INLINED:         "stablehlo.all_reduce"
// CHECK-NOT:     @row_parallel
// CHECK-LABEL: func.func @two_callers
// CHECK:         "fiar.all_reduce_norm"(%{{.*}}, %arg1)
// CHECK:         "fiar.all_reduce_norm"(%{{.*}}, %arg1)
func.func private @reduce(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %0 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %s = stablehlo.add %l, %r : tensor<bf16>
    stablehlo.return %s : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %0 : tensor<4x64xbf16>
}
func.func private @row_parallel(%x: tensor<4x64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>) {
  %0 = stablehlo.multiply %x, %x : tensor<4x64xbf16>
  %1 = call @reduce(%0) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %1, %x : tensor<4x64xbf16>, tensor<4x64xbf16>
}
func.func @two_callers(%x: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>) {
  %0:2 = call @row_parallel(%x) : (tensor<4x64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>)
  %1 = stablehlo.custom_call @aten.rms_norm(%0#0, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  %2:2 = call @row_parallel(%1) : (tensor<4x64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>)
  %3 = stablehlo.custom_call @aten.rms_norm(%2#0, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  return %2#1, %3 : tensor<4x64xbf16>, tensor<4x64xbf16>
}

// What fuses inside its function stays there; so do functions that others may call, that return no sum, and
// that call themselves.
// INLINED-LABEL: func.func private @whole
// INLINED-LABEL: func.func @public
// INLINED-LABEL: func.func private @no_sum
// INLINED-LABEL: func.func private @recursive
// INLINED-LABEL: func.func @stays
// INLINED-NEXT:    call @whole
// INLINED-NEXT:    call @public
// INLINED-NEXT:    call @no_sum
// INLINED-NEXT:    call @recursive
func.func private @whole(%x: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>) {
  %0 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %s = stablehlo.add %l, %r : tensor<bf16>
    stablehlo.return %s : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %1 = stablehlo.custom_call @aten.rms_norm(%0, %w) {tt.composite_attributes = {normalized_shape = dense<64> : tensor<1xi64>}} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  return %0, %1 : tensor<4x64xbf16>, tensor<4x64xbf16>
}
func.func @public(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %0 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %s = stablehlo.add %l, %r : tensor<bf16>
    stablehlo.return %s : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %0 : tensor<4x64xbf16>
}
func.func private @no_sum(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %0 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %s = stablehlo.add %l, %r : tensor<bf16>
    stablehlo.return %s : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %1 = stablehlo.tanh %0 : tensor<4x64xbf16>
  return %1 : tensor<4x64xbf16>
}
func.func private @recursive(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %0 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
  ^bb0(%l: tensor<bf16>, %r: tensor<bf16>):
    %s = stablehlo.add %l, %r : tensor<bf16>
    stablehlo.return %s : tensor<bf16>
  }) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %1 = call @recursive(%0) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %0 : tensor<4x64xbf16>
}
func.func @stays(%x: tensor<4x64xbf16>, %w: tensor<64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>) {
  %0:2 = call @whole(%x, %w) : (tensor<4x64xbf16>, tensor<64xbf16>) -> (tensor<4x64xbf16>, tensor<4x64xbf16>)
  %1 = call @public(%x) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %2 = call @no_sum(%x) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  %3 = call @recursive(%x) : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  return %0#1, %1, %2, %3 : tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>, tensor<4x64xbf16>
}
