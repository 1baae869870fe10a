// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "frontends/primitive.h"
#include "ir/array.h"

#include <stdlib.h>
#include <string.h>

#include "mlir-c/BuiltinAttributes.h"

#define X(stem, what) extern const FiarFrontend fiar_frontend_##stem;
#include "frontends/frontends.def"
#undef X

static const FiarFrontend* const frontends[] = {
#define X(stem, what) &fiar_frontend_##stem,
#include "frontends/frontends.def"
#undef X
};

// Calls this deep are taken as opaque when purity is asked for; recursion ends there too.
enum { MAX_CALL_DEPTH = 8 };

static bool dialect_of(const FiarFrontend* frontend, MlirStringRef name, size_t* out_length) {
  for (const char* const* dialect = frontend->dialects; *dialect != NULL; ++dialect) {
    size_t length = strlen(*dialect);
    if (name.length > length && name.data[length] == '.' &&
        memcmp(name.data, *dialect, length) == 0) {
      *out_length = length + 1;
      return true;
    }
  }
  return false;
}

static const FiarOpRow* row_by_name(MlirStringRef name) {
  for (size_t i = 0; i < sizeof frontends / sizeof *frontends; ++i) {
    size_t prefix;
    if (!dialect_of(frontends[i], name, &prefix)) {
      continue;
    }
    MlirStringRef rest = mlirStringRefCreate(name.data + prefix, name.length - prefix);
    for (const FiarOpRow* row = frontends[i]->rows; row->name != NULL; ++row) {
      if (fiarStringEqual(rest, row->name)) {
        return row;
      }
    }
  }
  return NULL;
}

// The names are searched once a context's identifier; after that the row is found by its pointer.
static const FiarOpRow* row_of(FiarView* view, MlirOperation op) {
  MlirIdentifier name = mlirOperationGetName(op);
  uint32_t* found = fiarMapFind(&view->rows, name.ptr, 0);
  if (found != NULL) {
    return *found == UINT32_MAX ? NULL : view->row_list[*found];
  }
  const FiarOpRow* row = row_by_name(mlirIdentifierStr(name));
  uint32_t index = UINT32_MAX;
  if (row != NULL && view->n_rows < sizeof view->row_list / sizeof *view->row_list) {
    index = (uint32_t)view->n_rows;
    view->row_list[view->n_rows++] = row;
  }
  if (row == NULL || index != UINT32_MAX) {
    (void)fiarMapSet(&view->rows, name.ptr, 0, index);
  }
  return row;
}

FiarPrimitiveKind fiarPrimitiveKind(FiarView* view, MlirOperation op) {
  const FiarOpRow* row = row_of(view, op);
  return row == NULL ? FIAR_PRIM_UNKNOWN : row->kind;
}

// Foreign ops are not verified: readers of these may count on an operand and a result.
static bool computes(FiarPrimitiveKind kind) {
  return kind >= FIAR_PRIM_ALL_REDUCE && kind != FIAR_PRIM_COLLECTIVE &&
         kind != FIAR_PRIM_CONSTANT && kind != FIAR_PRIM_CALL && kind != FIAR_PRIM_LOOPS;
}

bool fiarPrimitiveIsBinary(FiarPrimitiveKind kind) {
  return (kind >= FIAR_PRIM_ADD && kind <= FIAR_PRIM_POWER) ||
         (kind >= FIAR_PRIM_EQUAL && kind <= FIAR_PRIM_SHIFT_RIGHT);
}

FiarPrimitive fiarPrimitiveRead(FiarView* view, MlirOperation op) {
  FiarPrimitive primitive = {.op = op};
  const FiarOpRow* row = row_of(view, op);
  if (row == NULL) {
    return primitive;
  }
  intptr_t operands = mlirOperationGetNumOperands(op);
  // An all-reduce may write to a buffer.
  const bool gives = row->kind == FIAR_PRIM_ALL_REDUCE || mlirOperationGetNumResults(op) > 0;
  if (computes(row->kind) && (operands == 0 || !gives)) {
    return primitive;
  }
  primitive.kind = row->kind;
  primitive.n_in = operands > FIAR_MAX_INPUTS ? FIAR_MAX_INPUTS : (int)operands;
  for (int i = 0; i < primitive.n_in; ++i) {
    primitive.in[i] = mlirOperationGetOperand(op, i);
  }
  if (row->read != NULL) {
    row->read(view, &primitive);
  }
  // Foreign ops are not verified: one with more results than operands is identical to nothing, and
  // some have fewer operands than their kind takes.
  if ((primitive.kind == FIAR_PRIM_IDENTITY && mlirOperationGetNumResults(op) > operands) ||
      (primitive.kind == FIAR_PRIM_MATMUL && primitive.n_in < 2) || primitive.n_in > operands) {
    primitive.kind = FIAR_PRIM_UNKNOWN;
  }
  if (fiarPrimitiveIsBinary(primitive.kind) && primitive.n_in > 2) {
    primitive.kind = FIAR_PRIM_PURE;  // what the third is, nobody has said
  }
  return primitive;
}

bool fiarPrimitiveLacksOperands(const FiarPrimitive* p) {
  if (fiarPrimitiveIsBinary(p->kind)) {
    return p->n_in < 2 && !(p->n_in == 1 && p->has_number);
  }
  switch (p->kind) {
    case FIAR_PRIM_BATCH_MUL:
    case FIAR_PRIM_REDUCE_DOT:
      return p->n_in < 2;
    case FIAR_PRIM_CLAMP:
      return p->n_in < 3 && !(p->n_in == 1 && p->has_number);
    case FIAR_PRIM_SELECT:
      return p->n_in < 3;
    case FIAR_PRIM_CONSTANT:
    case FIAR_PRIM_CALL:
      return false;
    default:
      return p->n_in < 1;
  }
}

static bool symbol_add(FiarView* view, MlirOperation op) {
  MlirAttribute name = fiarOpAttribute(op, "sym_name");
  if (mlirAttributeIsNull(name) || !mlirAttributeIsAString(name)) {
    return true;
  }
  MlirOperation* ops =
      fiarGrow(view->symbol_ops, view->n_symbols, &view->symbol_capacity, sizeof *ops);
  if (ops == NULL) {
    return false;
  }
  view->symbol_ops = ops;
  view->symbol_ops[view->n_symbols] = op;
  return fiarMapSet(&view->symbols, name.ptr, 0, (uint32_t)view->n_symbols++);
}

bool fiarViewInit(FiarView* view, MlirOperation module) {
  *view = (FiarView){.module = module};
  for (MlirRegion region = mlirOperationGetFirstRegion(module); !mlirRegionIsNull(region);
       region = mlirRegionGetNextInOperation(region)) {
    for (MlirBlock block = mlirRegionGetFirstBlock(region); !mlirBlockIsNull(block);
         block = mlirBlockGetNextInRegion(block)) {
      for (MlirOperation op = mlirBlockGetFirstOperation(block); !mlirOperationIsNull(op);
           op = mlirOperationGetNextInBlock(op)) {
        if (!symbol_add(view, op)) {
          return false;
        }
      }
    }
  }
  return true;
}

void fiarViewClear(FiarView* view) {
  fiarMapClear(&view->rows);
  fiarMapClear(&view->symbols);
  fiarMapClear(&view->open_functions);
  free(view->symbol_ops);
  *view = (FiarView){0};
}

MlirOperation fiarViewSymbol(FiarView* view, MlirAttribute reference) {
  MlirOperation none = {NULL};
  if (mlirAttributeIsNull(reference) || !mlirAttributeIsAFlatSymbolRef(reference)) {
    return none;
  }
  MlirAttribute name = mlirStringAttrGet(mlirAttributeGetContext(reference),
                                         mlirFlatSymbolRefAttrGetValue(reference));
  uint32_t* found = fiarMapFind(&view->symbols, name.ptr, 0);
  return found == NULL ? none : view->symbol_ops[*found];
}

void fiarViewForget(FiarView* view, MlirOperation op) {
  MlirAttribute name = fiarOpAttribute(op, "sym_name");
  if (!mlirAttributeIsNull(name)) {
    fiarMapRemove(&view->symbols, name.ptr, 0);
  }
}

// Terminators of unregistered dialects have no trait that says so: the last op is it.
static MlirOperation last_op(MlirBlock block) {
  MlirOperation last = mlirBlockGetTerminator(block);
  if (mlirOperationIsNull(last)) {
    for (MlirOperation op = mlirBlockGetFirstOperation(block); !mlirOperationIsNull(op);
         op = mlirOperationGetNextInBlock(op)) {
      last = op;
    }
  }
  return last;
}

static bool pure_at(FiarView* view, MlirOperation op, bool gathers, int depth);

static bool body_pure(FiarView* view, MlirOperation op, bool gathers, int depth) {
  for (MlirRegion region = mlirOperationGetFirstRegion(op); !mlirRegionIsNull(region);
       region = mlirRegionGetNextInOperation(region)) {
    for (MlirBlock block = mlirRegionGetFirstBlock(region); !mlirBlockIsNull(block);
         block = mlirBlockGetNextInRegion(block)) {
      MlirOperation terminator = last_op(block);
      for (MlirOperation inner = mlirBlockGetFirstOperation(block); !mlirOperationIsNull(inner);
           inner = mlirOperationGetNextInBlock(inner)) {
        if (!mlirOperationEqual(inner, terminator) && !pure_at(view, inner, gathers, depth)) {
          return false;
        }
      }
    }
  }
  return true;
}

// gathers: all-gathers count as pure.
static bool pure_at(FiarView* view, MlirOperation op, bool gathers, int depth) {
  if (depth == MAX_CALL_DEPTH) {
    return false;
  }
  FiarPrimitive primitive = fiarPrimitiveRead(view, op);
  switch (primitive.kind) {
    case FIAR_PRIM_UNKNOWN:
    case FIAR_PRIM_ALL_REDUCE:
    case FIAR_PRIM_REDUCE_SCATTER:
    case FIAR_PRIM_COLLECTIVE:
    case FIAR_PRIM_START:
      return false;
    case FIAR_PRIM_ALL_GATHER:
      return gathers;
    case FIAR_PRIM_CALL:
      return !mlirOperationIsNull(primitive.callee) &&
             body_pure(view, primitive.callee, gathers, depth + 1);
    default:
      return body_pure(view, op, gathers, depth + 1);
  }
}

bool fiarPrimitivePure(FiarView* view, MlirOperation op) {
  return pure_at(view, op, false, 0);
}

bool fiarPrimitivePureButGathers(FiarView* view, MlirOperation op) {
  return pure_at(view, op, true, 0);
}

void fiarReadSlice(FiarPrimitive* p, const char* starts, const char* strides) {
  FiarShape from, to;
  int64_t steps[FIAR_MAX_RANK];
  int rank = fiarReadInts(fiarOpAttribute(p->op, starts), p->dims, FIAR_MAX_RANK);
  bool known = mlirOperationGetNumOperands(p->op) == 1 && rank >= 0 &&
               fiarReadInts(fiarOpAttribute(p->op, strides), steps, FIAR_MAX_RANK) == rank &&
               fiarShapeRead(mlirValueGetType(p->in[0]), &from) && from.rank == rank &&
               fiarShapeRead(mlirValueGetType(mlirOperationGetResult(p->op, 0)), &to) &&
               to.rank == rank && from.elem == to.elem;
  for (int i = 0; known && i < rank; ++i) {
    known = steps[i] == 1 && p->dims[i] >= 0 && to.size[i] >= 0 &&
            (from.size[i] < 0 || p->dims[i] <= from.size[i] - to.size[i]);
  }
  p->n_dims = known ? rank : 0;
  p->kind = known ? p->kind : FIAR_PRIM_PURE;
}

// Whether the convert keeps every value: to the same type or a wider float.
static bool widens(MlirValue from, MlirValue to) {
  FiarShape a, b;
  return fiarShapeRead(mlirValueGetType(from), &a) && fiarShapeRead(mlirValueGetType(to), &b) &&
         (a.elem == b.elem ||
          (b.elem == FIAR_ELEM_F32 && (a.elem == FIAR_ELEM_BF16 || a.elem == FIAR_ELEM_F16)));
}

// What a reducer's value is without sharding constraints, which JAX puts behind every op where some
// axes are not manual: one element is split over nothing.
static MlirValue unconstrained(MlirValue value) {
  for (int depth = 0; depth < 8 && mlirValueIsAOpResult(value) &&
                      fiarIsOpOf(mlirOpResultGetOwner(value), "sdy.sharding_constraint", 1, 1);
       ++depth) {
    value = mlirOperationGetOperand(mlirOpResultGetOwner(value), 0);
  }
  return value;
}

// An operand of a reducer's op, back to the region's argument through widening converts.
static bool is_argument(FiarView* view, MlirValue value, MlirBlock block, intptr_t number) {
  for (int depth = 0; depth < 3; ++depth) {
    value = unconstrained(value);
    if (mlirValueIsABlockArgument(value)) {
      return mlirBlockEqual(mlirBlockArgumentGetOwner(value), block) &&
             mlirBlockArgumentGetArgNumber(value) == number;
    }
    FiarPrimitive primitive = fiarPrimitiveRead(view, mlirOpResultGetOwner(value));
    if (primitive.kind != FIAR_PRIM_CONVERT || !widens(primitive.in[0], value)) {
      return false;
    }
    value = primitive.in[0];
  }
  return false;
}

FiarPrimitiveKind fiarReducerKind(FiarView* view, MlirRegion region) {
  if (mlirRegionIsNull(region)) {
    return FIAR_PRIM_UNKNOWN;
  }
  MlirBlock block = mlirRegionGetFirstBlock(region);
  if (mlirBlockIsNull(block) || !mlirBlockIsNull(mlirBlockGetNextInRegion(block)) ||
      mlirBlockGetNumArguments(block) != 2) {
    return FIAR_PRIM_UNKNOWN;
  }
  MlirOperation terminator = last_op(block);
  if (mlirOperationIsNull(terminator) || mlirOperationGetNumOperands(terminator) != 1) {
    return FIAR_PRIM_UNKNOWN;
  }
  MlirValue yielded = unconstrained(mlirOperationGetOperand(terminator, 0));
  for (int depth = 0; depth < 3 && mlirValueIsAOpResult(yielded); ++depth) {
    FiarPrimitive primitive = fiarPrimitiveRead(view, mlirOpResultGetOwner(yielded));
    if (primitive.kind == FIAR_PRIM_CONVERT && widens(yielded, primitive.in[0])) {
      yielded = unconstrained(primitive.in[0]);
      continue;
    }
    if (primitive.n_in != 2) {
      return FIAR_PRIM_UNKNOWN;
    }
    bool straight = is_argument(view, primitive.in[0], block, 0) &&
                    is_argument(view, primitive.in[1], block, 1);
    bool commuted = is_argument(view, primitive.in[0], block, 1) &&
                    is_argument(view, primitive.in[1], block, 0);
    return straight || commuted ? primitive.kind : FIAR_PRIM_UNKNOWN;
  }
  return FIAR_PRIM_UNKNOWN;
}
