// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Small readers of values, and products of scales taken apart.
#include "block/raise.h"

enum { MAX_DEPTH = 32 };

FiarPrimitive fiarRaiseSource(FiarRaising* raising, MlirValue value) {
  value = fiarRaiseThrough(raising, value);
  if (!mlirValueIsAOpResult(value)) {
    return (FiarPrimitive){.kind = FIAR_PRIM_PURE};
  }
  return fiarPrimitiveRead(&raising->fusion.view, mlirOpResultGetOwner(value));
}

MlirValue fiarRaiseThrough(FiarRaising* raising, MlirValue value) {
  for (int depth = 0; depth < MAX_DEPTH && mlirValueIsAOpResult(value); ++depth) {
    MlirOperation op = mlirOpResultGetOwner(value);
    if (fiarPrimitiveRead(&raising->fusion.view, op).kind != FIAR_PRIM_IDENTITY) {
      break;
    }
    MlirValue in = mlirOperationGetOperand(op, mlirOpResultGetResultNumber(value));
    if (!mlirTypeEqual(mlirValueGetType(in), mlirValueGetType(value))) {
      break;
    }
    value = in;
  }
  return value;
}

bool fiarRaiseNumber(FiarRaising* raising, MlirValue value, double* out_number) {
  for (int depth = 0; depth < MAX_DEPTH; ++depth) {
    FiarPrimitive source = fiarRaiseSource(raising, value);
    switch (source.kind) {
      case FIAR_PRIM_CONSTANT:
        *out_number = source.number;
        return source.has_number;
      case FIAR_PRIM_BROADCAST:
      case FIAR_PRIM_RESHAPE:
      case FIAR_PRIM_CONVERT:
        value = source.in[0];
        break;
      default:
        return false;
    }
  }
  return false;
}

MlirValue fiarRaiseNarrow(FiarRaising* raising, MlirValue value) {
  value = fiarRaiseThrough(raising, value);
  FiarPrimitive source = fiarRaiseSource(raising, value);
  if (source.kind != FIAR_PRIM_CONVERT || fiarValueElement(value) != FIAR_ELEM_F32) {
    return value;
  }
  FiarElement from = fiarValueElement(source.in[0]);
  return from == FIAR_ELEM_F16 || from == FIAR_ELEM_BF16 ? fiarRaiseThrough(raising, source.in[0])
                                                         : value;
}

MlirOperation fiarRaiseOnlyUser(MlirValue value) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  if (mlirOpOperandIsNull(use) || !mlirOpOperandIsNull(mlirOpOperandGetNextUse(use))) {
    return (MlirOperation){NULL};
  }
  return mlirOpOperandGetOwner(use);
}

// ---- factors ----

// Where a tensor's dimensions lie in the product it is a factor of.
enum { ALONG_NONE = -1, ALONG_COLUMNS = FIAR_MAX_RANK };

typedef struct factors {
  FiarRaising* raising;
  FiarShape whole;
  FiarFactor* list;
  int count;
} factors_t;

typedef struct places {
  FiarShape shape;
  int along[FIAR_MAX_RANK];  // a row dimension of the product, ALONG_COLUMNS or ALONG_NONE
} places_t;

// The operand of a broadcast: its dimensions of size 1 walk along nothing.
static bool before_broadcast(const FiarPrimitive* broadcast, const places_t* after, places_t* out) {
  if (!fiarShapeRead(mlirValueGetType(broadcast->in[0]), &out->shape) ||
      out->shape.rank != broadcast->n_dims) {
    return false;
  }
  for (int i = 0; i < out->shape.rank; ++i) {
    int64_t to = broadcast->dims[i];
    if (to < 0 || to >= after->shape.rank) {
      return false;
    }
    out->along[i] = out->shape.size[i] == 1 ? ALONG_NONE : after->along[to];
  }
  return true;
}

// Reshapes that add or drop dimensions of size 1.
static bool before_reshape(const FiarPrimitive* reshape, const places_t* after, places_t* out) {
  if (!fiarShapeRead(mlirValueGetType(reshape->in[0]), &out->shape)) {
    return false;
  }
  int at = 0;
  for (int i = 0; i < out->shape.rank; ++i) {
    out->along[i] = ALONG_NONE;
    if (out->shape.size[i] == 1) {
      continue;
    }
    while (at < after->shape.rank && after->shape.size[at] == 1) {
      ++at;
    }
    if (at == after->shape.rank || after->shape.size[at] != out->shape.size[i]) {
      return false;
    }
    out->along[i] = after->along[at++];
  }
  while (at < after->shape.rank && after->shape.size[at] == 1) {
    ++at;
  }
  return at == after->shape.rank;
}

static bool add_factor(factors_t* factors, MlirValue value, const places_t* places) {
  int64_t rows = 1, elements = fiarShapeElements(&places->shape);
  for (int i = 0; i < factors->whole.rank - 1; ++i) {
    rows *= factors->whole.size[i];
  }
  bool along_rows = false, along_columns = false;
  int last_row = -1;
  for (int i = 0; i < places->shape.rank; ++i) {
    int along = places->along[i];
    if (along == ALONG_NONE) {
      continue;
    }
    along_columns |= along == ALONG_COLUMNS;
    along_rows |= along != ALONG_COLUMNS;
    if (along != ALONG_COLUMNS && along <= last_row) {
      return false;  // not in the order of the rows
    }
    last_row = along == ALONG_COLUMNS ? last_row : along;
  }
  if (factors->count == FIAR_MAX_FACTORS || places->shape.elem != FIAR_ELEM_F32 ||
      (along_rows && along_columns)) {
    return false;
  }
  FiarFactorKind kind = along_columns ? FIAR_FACTOR_COLUMNS
                        : along_rows  ? FIAR_FACTOR_ROWS
                                      : FIAR_FACTOR_ONE;
  int64_t want = kind == FIAR_FACTOR_COLUMNS ? factors->whole.size[factors->whole.rank - 1]
                 : kind == FIAR_FACTOR_ROWS  ? rows
                                             : 1;
  factors->list[factors->count++] = (FiarFactor){kind, value};
  return elements == want;
}

static bool take_apart(factors_t* factors, MlirValue value, const places_t* places, int depth) {
  value = fiarRaiseThrough(factors->raising, value);
  FiarPrimitive source = fiarRaiseSource(factors->raising, value);
  places_t before;
  if (depth < MAX_DEPTH && source.kind == FIAR_PRIM_BROADCAST &&
      before_broadcast(&source, places, &before)) {
    return take_apart(factors, source.in[0], &before, depth + 1);
  }
  if (depth < MAX_DEPTH && source.kind == FIAR_PRIM_RESHAPE &&
      before_reshape(&source, places, &before)) {
    return take_apart(factors, source.in[0], &before, depth + 1);
  }
  if (depth < MAX_DEPTH && source.kind == FIAR_PRIM_MUL && source.n_in == 2 && !source.broadcasts) {
    return take_apart(factors, source.in[0], places, depth + 1) &&
           take_apart(factors, source.in[1], places, depth + 1);
  }
  return add_factor(factors, value, places);
}

int fiarRaiseFactors(FiarRaising* raising, MlirValue value, FiarFactor* out_factors) {
  factors_t factors = {.raising = raising, .list = out_factors};
  places_t places;
  if (!fiarShapeRead(mlirValueGetType(value), &factors.whole) || factors.whole.rank < 1) {
    return -1;
  }
  places.shape = factors.whole;
  for (int i = 0; i < places.shape.rank; ++i) {
    if (places.shape.size[i] < 0) {
      return -1;
    }
    places.along[i] = places.shape.size[i] == 1    ? ALONG_NONE
                      : i == places.shape.rank - 1 ? ALONG_COLUMNS
                                                   : i;
  }
  return take_apart(&factors, value, &places, 0) ? factors.count : -1;
}
