// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// linalg on tensors: named ops, and generic ones as loops around a body.
//
// An op's last operand is its destination, which is no input of the value except for reduce, where
// it is the start.
#include <stdlib.h>
#include <string.h>

#include "frontends/primitive.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

enum { MAP_TEXT = 256 };  // of indexing maps

// On memrefs the ops write, and have no results.
static bool on_tensors(FiarPrimitive* p) {
  if (mlirOperationGetNumResults(p->op) > 0) {
    return true;
  }
  p->kind = FIAR_PRIM_UNKNOWN;
  return false;
}

static void read_pure(FiarView* view, FiarPrimitive* p) {
  (void)view;
  (void)on_tensors(p);
}

// Named elementwise ops: all operands but the destination.
static void read_elementwise(FiarView* view, FiarPrimitive* p) {
  (void)view;
  if (on_tensors(p) && p->n_in > 0) {
    p->n_in = (int)mlirOperationGetNumOperands(p->op) - 1;
  }
}

// linalg.fill of a scalar constant is a splat; of another scalar, a value that is not looked into.
static void read_fill(FiarView* view, FiarPrimitive* p) {
  MlirValue scalar = p->in[0];
  p->n_in = 0;
  if (!on_tensors(p)) {
    return;
  }
  if (mlirValueIsAOpResult(scalar)) {
    FiarPrimitive source = fiarPrimitiveRead(view, mlirOpResultGetOwner(scalar));
    if (source.kind == FIAR_PRIM_CONSTANT && source.has_number) {
      p->has_number = true;
      p->number = source.number;
      return;
    }
  }
  p->kind = FIAR_PRIM_PURE;
}

// linalg.broadcast names the dimensions that it adds; the primitive those where the operand's go.
static void read_broadcast(FiarView* view, FiarPrimitive* p) {
  (void)view;
  int64_t added[FIAR_MAX_RANK];
  int n = fiarReadInts(fiarOpAttribute(p->op, "dimensions"), added, FIAR_MAX_RANK);
  FiarShape shape;
  p->n_in = 1;
  if (!on_tensors(p)) {
    return;
  }
  if (n < 0 || !fiarShapeRead(mlirValueGetType(mlirOperationGetResult(p->op, 0)), &shape)) {
    p->kind = FIAR_PRIM_PURE;
    return;
  }
  for (int i = 0; i < shape.rank; ++i) {
    bool is_added = false;
    for (int j = 0; j < n; ++j) {
      is_added = is_added || added[j] == i;
    }
    if (!is_added) {
      p->dims[p->n_dims++] = i;
    }
  }
}

// linalg.matmul on a destination of zeros. Operands narrower than the result are widened; indexing
// maps of its own (a transposed operand, say) are not read.
static void read_matmul(FiarView* view, FiarPrimitive* p) {
  if (!on_tensors(p)) {
    return;
  }
  FiarPrimitive start = {.kind = FIAR_PRIM_PURE};
  if (p->n_in == 3 && mlirValueIsAOpResult(p->in[2])) {
    start = fiarPrimitiveRead(view, mlirOpResultGetOwner(p->in[2]));
  }
  bool zeros = start.kind == FIAR_PRIM_CONSTANT && start.has_number && start.number == 0;
  MlirAttribute maps = fiarOpAttribute(p->op, "indexing_maps");
  char text[MAP_TEXT] = "";
  if (!mlirAttributeIsNull(maps)) {
    fiarAttributePrint(maps, text, sizeof text);
  }
  static const char usual[] =
      "[affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, "
      "affine_map<(d0, d1, d2) -> (d0, d1)>]";
  p->n_in = 2;
  p->n_dims = 1;
  p->dims[0] = 1;
  p->dims2[0] = 0;
  if (!zeros || (text[0] != '\0' && strcmp(text, usual) != 0)) {
    p->kind = FIAR_PRIM_PURE;
  }
}

static void read_transpose(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 1;
  if (!on_tensors(p)) {
    return;
  }
  p->n_dims = fiarReadInts(fiarOpAttribute(p->op, "permutation"), p->dims, FIAR_MAX_RANK);
  if (p->n_dims < 0) {
    p->n_dims = 0;
    p->kind = FIAR_PRIM_PURE;
  }
}

static void read_reduce(FiarView* view, FiarPrimitive* p) {
  if (!on_tensors(p)) {
    return;
  }
  FiarPrimitiveKind kind =
      p->n_in == 2 ? fiarReducerKind(view, mlirOperationGetFirstRegion(p->op)) : FIAR_PRIM_UNKNOWN;
  p->kind = kind == FIAR_PRIM_ADD   ? FIAR_PRIM_REDUCE_ADD
            : kind == FIAR_PRIM_MAX ? FIAR_PRIM_REDUCE_MAX
                                    : FIAR_PRIM_PURE;
  p->n_dims = fiarReadInts(fiarOpAttribute(p->op, "dimensions"), p->dims, FIAR_MAX_RANK);
  if (p->n_dims < 0) {
    p->n_dims = 0;
    p->kind = FIAR_PRIM_PURE;
  }
}

// ---- linalg.generic ------------------------------------------------------------

static const char* skip_blanks(const char* at) {
  return at + strspn(at, " ,");
}

// affine_map<(d0, d1) -> (d1, 0)>: MLIR 22's C API gives no affine map out of an attribute, so its
// text is read. Gives the number of results, or -1 for a map that does more than pick dimensions.
static int read_map(MlirAttribute map, int rank, int* out_place) {
  char text[MAP_TEXT];
  fiarAttributePrint(map, text, sizeof text);
  const char* at = strstr(text, "-> (");
  if (at == NULL || strchr(text, '[') != NULL) {
    return -1;
  }
  int n = 0;
  for (at = skip_blanks(at + strlen("-> (")); *at != ')'; at = skip_blanks(at)) {
    bool picks = *at == 'd';
    char* end;
    long number = strtol(at + (picks ? 1 : 0), &end, 10);
    bool known = end != at + (picks ? 1 : 0) && strchr(",)", *end) != NULL;
    if (!known || n == FIAR_MAX_RANK || (picks ? number < 0 || number >= rank : number != 0)) {
      return -1;
    }
    out_place[n++] = picks ? (int)number : FIAR_LOOPS_UNIT;
    at = end;
  }
  return n;
}

// Takes the loops' sizes from the operand.
static bool note_sizes(FiarLoops* loops, int operand, MlirValue value) {
  FiarShape shape;
  if (loops->operand_rank[operand] == 0 && !mlirTypeIsAShaped(mlirValueGetType(value))) {
    return true;
  }
  if (!fiarShapeRead(mlirValueGetType(value), &shape) ||
      shape.rank != loops->operand_rank[operand]) {
    return false;
  }
  for (int i = 0; i < shape.rank; ++i) {
    int place = loops->place[operand][i];
    if (place == FIAR_LOOPS_UNIT ? shape.size[i] != 1
                                 : loops->size[place] != 0 && loops->size[place] != shape.size[i]) {
      return false;
    }
    if (place != FIAR_LOOPS_UNIT) {
      loops->size[place] = shape.size[i];
    }
  }
  return true;
}

bool fiarLoopsRead(MlirOperation op, FiarLoops* out_loops) {
  *out_loops = (FiarLoops){0};
  MlirAttribute maps = fiarOpAttribute(op, "indexing_maps");
  MlirAttribute iterators = fiarOpAttribute(op, "iterator_types");
  intptr_t operands = mlirOperationGetNumOperands(op);
  if (mlirAttributeIsNull(maps) || mlirAttributeIsNull(iterators) || !mlirAttributeIsAArray(maps) ||
      !mlirAttributeIsAArray(iterators) || operands > FIAR_MAX_LOOP_OPERANDS ||
      mlirArrayAttrGetNumElements(maps) != operands ||
      mlirArrayAttrGetNumElements(iterators) > FIAR_MAX_RANK) {
    return false;
  }
  out_loops->rank = (int)mlirArrayAttrGetNumElements(iterators);
  out_loops->n_operands = (int)operands;
  for (int i = 0; i < (int)operands; ++i) {
    out_loops->operand_rank[i] =
        read_map(mlirArrayAttrGetElement(maps, i), out_loops->rank, out_loops->place[i]);
    if (out_loops->operand_rank[i] < 0 ||
        !note_sizes(out_loops, i, mlirOperationGetOperand(op, i))) {
      return false;
    }
  }
  for (int i = 0; i < out_loops->rank; ++i) {
    if (out_loops->size[i] == 0) {
      return false;  // no operand walks along it, or it is empty
    }
  }
  return true;
}

static void read_generic(FiarView* view, FiarPrimitive* p) {
  (void)view;
  FiarLoops loops;
  p->callee = p->op;
  if (on_tensors(p) && !fiarLoopsRead(p->op, &loops)) {
    p->kind = FIAR_PRIM_PURE;
  }
}

static const char* const dialects[] = {"linalg", NULL};

static const FiarOpRow rows[] = {
    {"add", FIAR_PRIM_ADD, read_elementwise},
    {"sub", FIAR_PRIM_SUB, read_elementwise},
    {"mul", FIAR_PRIM_MUL, read_elementwise},
    {"div", FIAR_PRIM_DIV, read_elementwise},
    {"max", FIAR_PRIM_MAX, read_elementwise},
    {"min", FIAR_PRIM_MIN, read_elementwise},
    {"powf", FIAR_PRIM_POWER, read_elementwise},
    {"square", FIAR_PRIM_SQUARE, read_elementwise},
    {"sqrt", FIAR_PRIM_SQRT, read_elementwise},
    {"rsqrt", FIAR_PRIM_RSQRT, read_elementwise},
    {"reciprocal", FIAR_PRIM_RECIPROCAL, read_elementwise},
    {"abs", FIAR_PRIM_ABS, read_elementwise},
    {"select", FIAR_PRIM_SELECT, read_elementwise},
    {"fill", FIAR_PRIM_CONSTANT, read_fill},
    {"broadcast", FIAR_PRIM_BROADCAST, read_broadcast},
    {"transpose", FIAR_PRIM_TRANSPOSE, read_transpose},
    {"reduce", FIAR_PRIM_PURE, read_reduce},
    {"generic", FIAR_PRIM_LOOPS, read_generic},
    {"index", FIAR_PRIM_PURE, NULL},
    {"yield", FIAR_PRIM_PURE, NULL},
    {"batch_matmul", FIAR_PRIM_PURE, read_pure},
    {"contract", FIAR_PRIM_PURE, read_pure},
    {"copy", FIAR_PRIM_PURE, read_pure},
    {"elementwise", FIAR_PRIM_PURE, read_pure},
    {"exp", FIAR_PRIM_EXP, read_elementwise},
    {"log", FIAR_PRIM_PURE, read_pure},
    {"map", FIAR_PRIM_PURE, read_pure},
    {"matmul", FIAR_PRIM_MATMUL, read_matmul},
    {"negf", FIAR_PRIM_NEGATE, read_elementwise},
    {"softmax", FIAR_PRIM_PURE, read_pure},
    {"tanh", FIAR_PRIM_TANH, read_elementwise},
    {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_linalg = {dialects, rows};
