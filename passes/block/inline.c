// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Calls of private functions without effects become the ops that they call: JAX outlines silu, clip
// and where, and what is raised may stand on both sides of a call.
#include <stdlib.h>

#include "block/raise.h"
#include "ir/array.h"

enum { MAX_OPS = 200000 };  // an end for functions that call one another many times

typedef struct copying {
  FiarMap map;  // a value of the callee -> place in values
  MlirValue* values;
  size_t n_values, capacity;
  bool failed;
} copying_t;

static void remember(copying_t* copying, MlirValue from, MlirValue to) {
  MlirValue* values =
      fiarGrow(copying->values, copying->n_values, &copying->capacity, sizeof *values);
  if (values == NULL) {
    copying->failed = true;
    return;
  }
  copying->values = values;
  copying->values[copying->n_values] = to;
  copying->failed |= !fiarMapSet(&copying->map, from.ptr, 0, (uint32_t)copying->n_values++);
}

static MlirValue copied(const copying_t* copying, MlirValue value) {
  const uint32_t* at = fiarMapFind(&copying->map, value.ptr, 0);
  return at == NULL ? value : copying->values[*at];
}

// Regions of the copied op may use the callee's values, too.
static MlirWalkResult remap(MlirOperation op, void* user) {
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    mlirOperationSetOperand(op, i, copied(user, mlirOperationGetOperand(op, i)));
  }
  return MlirWalkResultAdvance;
}

// The callee's body in front of the call. Gives the first op put in, or the call where there is
// none.
static MlirOperation put_in(FiarRaising* raising, MlirOperation call, MlirBlock body) {
  copying_t copying = {0};
  MlirOperation first = call, end = mlirBlockGetTerminator(body);
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(body); ++i) {
    remember(&copying, mlirBlockGetArgument(body, i), mlirOperationGetOperand(call, i));
  }
  for (MlirOperation op = mlirBlockGetFirstOperation(body);
       !mlirOperationEqual(op, end) && !copying.failed; op = mlirOperationGetNextInBlock(op)) {
    MlirOperation copy = mlirOperationClone(op);
    mlirOperationWalk(copy, remap, &copying, MlirWalkPreOrder);
    for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
      remember(&copying, mlirOperationGetResult(op, i), mlirOperationGetResult(copy, i));
    }
    mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(call), call, copy);
    first = mlirOperationEqual(first, call) ? copy : first;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumResults(call) && !copying.failed; ++i) {
    mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(call, i),
                                  copied(&copying, mlirOperationGetOperand(end, i)));
  }
  raising->fusion.failed |= copying.failed || !fiarMarkOpDead(&raising->fusion, call);
  fiarMapClear(&copying.map);
  free(copying.values);
  return first;
}

// The body of a callee that may take the call's place; null where none may.
static MlirBlock body_of(FiarRaising* raising, const FiarPrimitive* call) {
  MlirBlock none = {NULL};
  MlirOperation callee = call->callee;
  if (mlirOperationIsNull(callee) || !fiarStringEqual(fiarOpName(callee), "func.func") ||
      !fiarPrimitivePure(&raising->fusion.view, call->op)) {
    return none;
  }
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(callee));
  if (mlirBlockIsNull(body) || !mlirBlockIsNull(mlirBlockGetNextInRegion(body)) ||
      mlirBlockGetNumArguments(body) != mlirOperationGetNumOperands(call->op)) {
    return none;
  }
  MlirOperation end = mlirBlockGetTerminator(body);
  bool fits = !mlirOperationIsNull(end) &&
              mlirOperationGetNumOperands(end) == mlirOperationGetNumResults(call->op);
  return fits ? body : none;
}

static void inline_in(FiarRaising* raising, MlirRegion region, int64_t* budget) {
  for (MlirBlock block = mlirRegionGetFirstBlock(region); !mlirBlockIsNull(block);
       block = mlirBlockGetNextInRegion(block)) {
    MlirOperation op = mlirBlockGetFirstOperation(block);
    while (!mlirOperationIsNull(op) && --*budget > 0 && !raising->fusion.failed) {
      FiarPrimitive primitive = fiarPrimitiveRead(&raising->fusion.view, op);
      MlirBlock body = {NULL};
      if (primitive.kind == FIAR_PRIM_CALL && !fiarIsDead(&raising->fusion, op)) {
        body = body_of(raising, &primitive);
      }
      if (!mlirBlockIsNull(body)) {
        op = put_in(raising, op, body);
        continue;  // what was put in may call, too; a call is dead once its body is in
      }
      if (fiarBlockIsWrapper(op)) {
        inline_in(raising, mlirOperationGetFirstRegion(op), budget);
      }
      op = mlirOperationGetNextInBlock(op);
    }
  }
}

void fiarRaiseInline(FiarRaising* raising) {
  int64_t budget = MAX_OPS;
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(raising->module));
  for (MlirOperation op = mlirBlockGetFirstOperation(body); !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    if (fiarBlockIsEntry(op)) {
      inline_in(raising, mlirOperationGetFirstRegion(op), &budget);
    }
  }
}
