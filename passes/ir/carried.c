// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ir/carried.h"

#include "ir/match.h"

// Terminators of unregistered dialects have no trait that says so.
MlirOperation fiarLastOp(MlirBlock block) {
  MlirOperation last = {NULL};
  for (MlirOperation op = mlirBlockGetFirstOperation(block); !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    last = op;
  }
  return last;
}

// The only block of a region; null where there are none or several.
static MlirBlock only_block(MlirOperation op, intptr_t region) {
  if (region >= mlirOperationGetNumRegions(op)) {
    return (MlirBlock){NULL};
  }
  MlirBlock block = mlirRegionGetFirstBlock(mlirOperationGetRegion(op, region));
  return mlirBlockIsNull(block) || mlirBlockIsNull(mlirBlockGetNextInRegion(block))
             ? block
             : (MlirBlock){NULL};
}

bool fiarCarriedLoopRead(MlirOperation op, FiarCarriedLoop* out_loop) {
  FiarCarriedLoop loop = {.op = op, .count = mlirOperationGetNumResults(op)};
  const bool counts = fiarStringEqual(fiarOpName(op), "scf.for");
  if (!counts && !fiarStringEqual(fiarOpName(op), "stablehlo.while")) {
    return false;
  }
  if (mlirOperationGetNumRegions(op) != (counts ? 1 : 2)) {
    return false;
  }
  loop.body = only_block(op, counts ? 0 : 1);
  loop.condition = counts ? (MlirBlock){NULL} : only_block(op, 0);
  loop.first_operand = counts ? 3 : 0;  // behind the bounds and the step
  loop.first_argument = counts ? 1 : 0;
  if (mlirBlockIsNull(loop.body) || (!counts && mlirBlockIsNull(loop.condition))) {
    return false;
  }
  loop.yield = fiarLastOp(loop.body);
  *out_loop = loop;
  return !mlirOperationIsNull(loop.yield) &&
         mlirOperationGetNumOperands(op) == loop.first_operand + loop.count &&
         mlirBlockGetNumArguments(loop.body) == loop.first_argument + loop.count &&
         mlirOperationGetNumOperands(loop.yield) == loop.count &&
         (counts || (mlirBlockGetNumArguments(loop.condition) == loop.count &&
                     !mlirOperationIsNull(fiarLastOp(loop.condition))));
}
