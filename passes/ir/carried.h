// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Loops that carry values from one round to the next: scf.for and stablehlo.while. Internal.
#ifndef FIAR_PASSES_IR_CARRIED_H
#define FIAR_PASSES_IR_CARRIED_H

#include <stdbool.h>

#include "mlir-c/IR.h"

// Carried value i: operand first_operand + i of the loop to begin with, argument first_argument + i
// of the body (and argument i of the condition), operand i of the body's yield for the next round,
// and result i at the end.
typedef struct FiarCarriedLoop {
  MlirOperation op;
  MlirBlock body;
  MlirBlock condition;  // null: the loop counts
  MlirOperation yield;
  intptr_t first_operand, first_argument, count;
} FiarCarriedLoop;

// False for any other op, and for one whose values are not so many everywhere.
bool fiarCarriedLoopRead(MlirOperation op, FiarCarriedLoop* out_loop);

// The block's last op; null where it has none.
MlirOperation fiarLastOp(MlirBlock block);

#endif  // FIAR_PASSES_IR_CARRIED_H
