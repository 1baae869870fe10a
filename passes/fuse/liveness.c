// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Upstream's dead-code elimination skips unregistered ops, so the pass does its own, by the view's
// word on what has no effect.
#include <stdlib.h>
#include <string.h>

#include "fuse/fuse.h"
#include "ir/array.h"
#include "mlir-c/BuiltinAttributes.h"

bool fiarIsDead(const FiarFusion* fusion, MlirOperation op) {
  // What is inside a dead op goes with it.
  while (!mlirOperationIsNull(op) && fiarMapFind(&fusion->dead, op.ptr, 0) == NULL) {
    op = mlirOperationGetParentOperation(op);
  }
  return !mlirOperationIsNull(op);
}

bool fiarMarkOpDead(FiarFusion* fusion, MlirOperation op) {
  if (fiarIsDead(fusion, op)) {
    return true;
  }
  MlirOperation* ops =
      fiarGrow(fusion->dead_ops, fusion->n_dead, &fusion->dead_capacity, sizeof *ops);
  if (ops == NULL) {
    fusion->failed = true;
    return false;
  }
  fusion->dead_ops = ops;
  if (!fiarMapSet(&fusion->dead, op.ptr, 0, (uint32_t)fusion->n_dead)) {
    fusion->failed = true;
    return false;
  }
  fusion->dead_ops[fusion->n_dead++] = op;
  return true;
}

void fiarUnmarkDead(FiarFusion* fusion, size_t n_dead) {
  while (fusion->n_dead > n_dead) {
    fiarMapRemove(&fusion->dead, fusion->dead_ops[--fusion->n_dead].ptr, 0);
  }
}

static bool only_dead_uses(const FiarFusion* fusion, MlirOperation op, const FiarMap* is_replaced) {
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
    MlirValue result = mlirOperationGetResult(op, i);
    if (fiarMapFind(is_replaced, result.ptr, 0) != NULL) {
      continue;
    }
    for (MlirOpOperand use = mlirValueGetFirstUse(result); !mlirOpOperandIsNull(use);
         use = mlirOpOperandGetNextUse(use)) {
      if (!fiarIsDead(fusion, mlirOpOperandGetOwner(use))) {
        return false;
      }
    }
  }
  return true;
}

// What gathers a sequence's rows, which all ranks leave out as they leave out the rest.
static bool gathers_rows(FiarFusion* fusion, MlirOperation op) {
  bool gathered = true;
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op) && gathered; ++i) {
    MlirValue result = mlirOperationGetResult(op, i);
    const uint32_t* number = fiarMapFind(&fusion->terms, result.ptr, 0);
    const FiarTerm* term = number == NULL ? NULL : fiarTermAt(fusion, *number);
    gathered = term != NULL && fiarIsChain(term) && term->facts.gathered;
  }
  return gathered && fiarPrimitivePureButGathers(&fusion->view, op);
}

static void mark(FiarFusion* fusion, MlirOperation op, const FiarMap* is_replaced);

void fiarMarkOperands(FiarFusion* fusion, MlirOperation op, const FiarMap* is_replaced) {
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    MlirValue operand = mlirOperationGetOperand(op, i);
    if (mlirValueIsAOpResult(operand)) {
      mark(fusion, mlirOpResultGetOwner(operand), is_replaced);
    }
  }
}

// Marks the op, then what only it kept. An op that stands where a terminator should be, as foreign
// text may have it, stays: its block may not end without.
static void mark(FiarFusion* fusion, MlirOperation op, const FiarMap* is_replaced) {
  if (fiarIsDead(fusion, op) || fiarMapFind(&fusion->kept, op.ptr, 0) != NULL ||
      mlirOperationIsNull(mlirOperationGetNextInBlock(op)) || mlirOperationGetNumResults(op) == 0 ||
      !only_dead_uses(fusion, op, is_replaced) ||
      (!fiarPrimitivePure(&fusion->view, op) && !gathers_rows(fusion, op)) ||
      !fiarMarkOpDead(fusion, op)) {
    return;
  }
  fiarMarkOperands(fusion, op, is_replaced);
}

size_t fiarMarkDead(FiarFusion* fusion, const FiarAnchor* anchor, const FiarMap* is_replaced) {
  size_t before = fusion->n_dead;
  for (size_t i = anchor->n_members; i > 0; --i) {
    MlirOperation op = mlirOpResultGetOwner(anchor->members[i - 1].value);
    mark(fusion, op, is_replaced);
  }
  return before;
}
