// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Buffers in the evaluator: each memref names a cell, and what an op writes is the cell's new
// tensor. Ops that are not known here see their cells, and leave them with invented data.
#include <string.h>

#include "check/eval_impl.h"
#include "ir/array.h"
#include "mlir-c/BuiltinTypes.h"

FiarTensor* fiarEvalCell(FiarEval* eval, MlirValue buffer) {
  const uint32_t* found = fiarMapFind(&eval->cell_index, buffer.ptr, 0);
  return found == NULL ? NULL : &eval->cells[*found];
}

// A new cell for the buffer, whose tensor is `like` or, where that is NULL, invented.
static bool cell_add(FiarEval* eval, MlirValue buffer, const FiarTensor* like, int64_t id) {
  MlirType type = mlirValueGetType(buffer);
  FiarTensor cell = like == NULL ? (FiarTensor){0} : *like;
  if (!mlirTypeIsAMemRef(type) || mlirShapedTypeGetRank(type) > FIAR_MAX_RANK) {
    return true;
  }
  cell.shape.rank = (int)mlirShapedTypeGetRank(type);
  cell.shape.elem = fiarElementOf(mlirShapedTypeGetElementType(type));
  for (int i = 0; i < cell.shape.rank && like == NULL; ++i) {
    cell.shape.size[i] = mlirShapedTypeIsDynamicDim(type, i) ? FIAR_CHECK_DYNAMIC_SIZE
                                                             : mlirShapedTypeGetDimSize(type, i);
  }
  if (!fiarElementKnown(cell.shape.elem)) {
    return true;
  }
  if (like == NULL) {
    cell.count = fiarShapeElements(&cell.shape);
    cell.key = fiarEvalKey(eval, id, 3000);
  }
  FiarTensor* cells = fiarGrow(eval->cells, eval->n_cells, &eval->cell_capacity, sizeof *cells);
  if (cells == NULL) {
    return fiarEvalFail(eval, "out of memory");
  }
  eval->cells = cells;
  cells[eval->n_cells] = cell;
  return fiarMapSet(&eval->cell_index, buffer.ptr, 0, (uint32_t)eval->n_cells++) ||
         fiarEvalFail(eval, "out of memory");
}

// The cell's elements, invented now if nothing has looked at them.
static bool look_at(FiarEval* eval, FiarTensor* cell) {
  if (cell->at == NULL && (cell->at = fiarEvalRoom(eval, cell->count)) != NULL) {
    fiarInvent(eval->options, cell, cell->at);
  }
  return cell->at != NULL;
}

static bool alias(FiarEval* eval, MlirOperation op) {
  const uint32_t* cell = fiarMapFind(&eval->cell_index, mlirOperationGetOperand(op, 0).ptr, 0);
  return cell == NULL ||
         fiarMapSet(&eval->cell_index, mlirOperationGetResult(op, 0).ptr, 0, *cell) ||
         fiarEvalFail(eval, "out of memory");
}

// The cell gets the data of `from`, of as many elements.
static void write_cell(FiarTensor* cell, const FiarTensor* from) {
  FiarShape shape = cell->shape;
  *cell = *from;
  cell->shape = shape;
}

static bool to_tensor(FiarEval* eval, MlirOperation op, FiarTensor* cell) {
  FiarTensor tensor = *cell;
  MlirValue result = mlirOperationGetResult(op, 0);
  if (!fiarEvalShape(result, cell, &tensor.shape) ||
      fiarShapeElements(&tensor.shape) != tensor.count) {
    return fiarEvalFail(eval, "a buffer has not its tensor's size");
  }
  return fiarEvalBind(eval, result, &tensor);
}

static bool all_reduce(FiarEval* eval, MlirOperation op, FiarTensor* from, FiarTensor* to) {
  FiarPrimitive p = fiarPrimitiveRead(&eval->view, op);
  FiarGroups groups;
  FiarTensor sum = *from;
  if (!look_at(eval, from) || !fiarEvalGroups(eval, p.groups, p.world, &groups)) {
    return false;
  }
  sum.at = fiarEvalRoom(eval, sum.count);
  for (int rank = 0; sum.at != NULL && rank < eval->options->ranks; ++rank) {
    int64_t position;
    const int64_t* members = fiarEvalGroupOf(&groups, rank, &position);
    if (members != NULL) {
      fiarEvalSum(from, members, groups.size, 0, sum.count, sum.at + rank * sum.count);
    }
  }
  fiarGroupsFree(&groups);
  write_cell(to, &sum);
  return sum.at != NULL;
}

// Whether the groups of the op are known, and it adds.
static bool adds(FiarEval* eval, MlirOperation op) {
  FiarPrimitive p = fiarPrimitiveRead(&eval->view, op);
  return p.kind == FIAR_PRIM_ALL_REDUCE && p.reduction != NULL && strcmp(p.reduction, "sum") == 0 &&
         !mlirAttributeIsNull(p.groups) && fiarEvalGroupsKnown(eval, &p);
}

bool fiarEvalBuffer(FiarEval* eval, MlirOperation op, bool* out_done) {
  *out_done = true;
  intptr_t operands = mlirOperationGetNumOperands(op);
  FiarTensor* cell = operands > 0 ? fiarEvalCell(eval, mlirOperationGetOperand(op, 0)) : NULL;
  FiarTensor* second = operands > 1 ? fiarEvalCell(eval, mlirOperationGetOperand(op, 1)) : NULL;
  bool copies = fiarIsOp(op, "linalg.copy") || fiarIsOp(op, "memref.copy");
  if (fiarIsOp(op, "memref.alloc")) {
    return cell_add(eval, mlirOperationGetResult(op, 0), NULL, fiarEvalId(op));
  }
  if (fiarIsOp(op, "bufferization.to_buffer")) {
    const FiarTensor* tensor = fiarEvalFind(eval, mlirOperationGetOperand(op, 0));
    return tensor == NULL || cell_add(eval, mlirOperationGetResult(op, 0), tensor, fiarEvalId(op));
  }
  if (fiarIsOp(op, "memref.collapse_shape") || fiarIsOp(op, "memref.expand_shape") ||
      fiarIsOp(op, "memref.cast")) {
    return alias(eval, op);
  }
  if (cell != NULL && second != NULL && cell->count == second->count) {
    if (copies) {
      if (look_at(eval, cell)) {
        write_cell(second, cell);
      }
      return cell->at != NULL;
    }
    if (fiarIsOp(op, "mpi.allreduce") && adds(eval, op)) {
      return all_reduce(eval, op, cell, second);
    }
  }
  if (cell != NULL && fiarIsOp(op, "bufferization.to_tensor")) {
    return look_at(eval, cell) && to_tensor(eval, op, cell);
  }
  *out_done = false;
  return true;
}

void fiarEvalForget(FiarEval* eval, MlirOperation op) {
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    FiarTensor* cell = fiarEvalCell(eval, mlirOperationGetOperand(op, i));
    if (cell != NULL && !fiarIsOp(op, "memref.dim")) {
      cell->at = NULL;
      cell->taint = FIAR_TAINT_EXACT;
      cell->replicated = false;
      cell->key = fiarEvalKey(eval, fiarEvalId(op), 4000 + i);
    }
  }
}
