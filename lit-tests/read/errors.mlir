// RUN: fiar-opt %s --split-input-file --verify-diagnostics

// An op that the table lacks: the note says how to get a file that reads.
func.func @unknown_op(%x: tensor<4xf32>) {
  // expected-error@below {{custom op 'stablehlo.frobnicate' has no pretty form that fiar reads}}
  // expected-note@below {{print it with: stablehlo-opt --mlir-print-op-generic FILE; in JAX: lowered.compiler_ir().operation.get_asm(print_generic_op_form=True)}}
  %0 = stablehlo.frobnicate %x : tensor<4xf32>
  return
}

// -----

// The same for a dialect of which fiar reads the generic form only.
func.func @unknown_dialect(%x: tensor<4xf32>) {
  // expected-error@below {{custom op 'flow.tensor.clone' has no pretty form that fiar reads}}
  // expected-note@below {{iree-opt --mlir-print-op-generic FILE}}
  %0 = flow.tensor.clone %x : tensor<4xf32>
  return
}

// -----

func.func @missing_operand(%x: tensor<4xf32>) {
  // expected-error@+2 {{expected SSA operand}}
  // expected-note@+1 {{fiar reads the generic form of every op}}
  %0 = stablehlo.add %x, : tensor<4xf32>
  return
}

// -----

func.func @misspelt_keyword(%x: tensor<4xf32>) {
  // expected-error@+2 {{expected 'dims'}}
  // expected-note@+1 {{fiar reads the generic form of every op}}
  %0 = stablehlo.transpose %x, permutation = [0] : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @not_a_function_type(%x: tensor<4xf32>) {
  // expected-error@+2 {{expected a function type, (operand types) -> result types}}
  // expected-note@+1 {{fiar reads the generic form of every op}}
  %0 = stablehlo.reshape %x : tensor<4xf32>
  return
}

// -----

func.func @too_few_types(%x: tensor<4xf32>) {
  // expected-error@below {{number of operands and types do not match: got 2 operands and 1 types}}
  %0 = stablehlo.dot %x, %x : (tensor<4xf32>) -> tensor<f32>
  return
}

// -----

func.func @bad_precision(%x: tensor<4xf32>) {
  // expected-error@+2 {{expected a format such as e5m10, got e5}}
  // expected-note@+1 {{fiar reads the generic form of every op}}
  %0 = stablehlo.reduce_precision %x, format = e5 : tensor<4xf32>
  return
}

// -----

func.func @bad_window(%x: tensor<1x8x8x4xf32>, %k: tensor<3x3x4x16xf32>) {
  // expected-error@+2 {{expected stride, pad, lhs_dilate, rhs_dilate or reverse, got dilate}}
  // expected-note@+1 {{fiar reads the generic form of every op}}
  %0 = stablehlo.convolution(%x, %k) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {dilate = [1, 1]} : (tensor<1x8x8x4xf32>, tensor<3x3x4x16xf32>) -> tensor<1x6x6x16xf32>
  return
}

// -----

func.func @not_a_tuple(%x: tensor<4xf32>) {
  // expected-error@+2 {{expected a tuple type, got 'tensor<4xf32>'}}
  // expected-note@+1 {{fiar reads the generic form of every op}}
  %0 = stablehlo.tuple %x : tensor<4xf32>
  return
}

// -----

func.func @bad_direction(%x: tensor<4xf32>) {
  // expected-error@+2 {{expected one of NONE, FORWARD, BACKWARD, BOTH, got SIDEWAYS}}
  // expected-note@+1 {{sdy_opt --mlir-print-op-generic FILE}}
  %0 = sdy.propagation_barrier %x allowed_direction=SIDEWAYS : tensor<4xf32>
  return
}

// -----

// expected-error@+2 {{expected the rest of an attribute that opened with '<'}}
// expected-note@+1 {{sdy_opt --mlir-print-op-generic FILE}}
sdy.mesh @mesh = <["x"=2, %y]>

// -----

// An error inside a region is about the op inside: no advice there about the op around it.
func.func @inside_a_region(%x: tensor<8xf32>) {
  %0 = sdy.manual_computation(%x) in_shardings=[<@m, [{}]>] out_shardings=[<@m, [{}]>] manual_axes={} (%a: tensor<8xf32>) {
    // expected-error@below {{use of undeclared SSA value name}}
    %1 = stablehlo.add %a, %b : tensor<8xf32>
    sdy.return %1 : tensor<8xf32>
  } : (tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @results_without_types(%x: !torch.int) {
  // expected-error@+2 {{expected ':'}}
  // expected-note@+1 {{torch-mlir-opt --mlir-print-op-generic FILE}}
  %0 = torch.aten.neg.int %x
  return
}

// -----

// What torch-mlir infers, we cannot; nor do we read TorchScript's classes.
func.func @results_inferred(%x: !torch.int) {
  // expected-error@+2 {{expected '->' and the types of its results}}
  // expected-note@+1 {{torch-mlir-opt --mlir-print-op-generic FILE}}
  %0 = torch.linear_params.create %x, %x : !torch.int, !torch.int
  return
}

// -----

// expected-error@+2 {{expected operands or results}}
// expected-note@+1 {{torch-mlir-opt --mlir-print-op-generic FILE}}
torch.class_type @m {
}
