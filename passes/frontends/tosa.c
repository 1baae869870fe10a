// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// TOSA, beside another dialect's all-reduce. Elementwise operands of one rank are broadcast along
// dimensions of size 1; shapes are operands, the products' shifts too.
#include <string.h>

#include "frontends/primitive.h"
#include "mlir-c/BuiltinAttributes.h"

static void read_first(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 1;
}

static void read_two(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 2;
  p->broadcasts = true;
}

// A third operand shifts the product of integers.
static void read_mul(FiarView* view, FiarPrimitive* p) {
  FiarShape shape;
  read_two(view, p);
  if (!fiarShapeRead(mlirValueGetType(p->in[0]), &shape) || shape.elem == FIAR_ELEM_INTEGER) {
    p->kind = FIAR_PRIM_PURE;
  }
}

// nan_mode IGNORE drops NaN; the primitives give it on. A registered enum has its word in no piece
// of the C API but its text.
static bool keeps_nan(MlirOperation op) {
  MlirAttribute mode = fiarOpAttribute(op, "nan_mode");
  char text[64];
  if (mlirAttributeIsNull(mode)) {
    return true;
  }
  if (mlirAttributeIsAInteger(mode)) {
    return mlirIntegerAttrGetValueInt(mode) != 2;
  }
  fiarAttributePrint(mode, text, sizeof text);
  return strstr(text, "IGNORE") == NULL;
}

static void read_extremum(FiarView* view, FiarPrimitive* p) {
  read_two(view, p);
  p->kind = keeps_nan(p->op) ? p->kind : FIAR_PRIM_PURE;
}

static void read_clamp(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 1;
  p->has_number = fiarReadNumber(fiarOpAttribute(p->op, "min_val"), &p->number) &&
                  fiarReadNumber(fiarOpAttribute(p->op, "max_val"), &p->number2);
  p->kind = p->has_number && keeps_nan(p->op) ? p->kind : FIAR_PRIM_PURE;
}

// One axis, which stays with size 1.
static void read_reduce(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 1;
  p->keep_dims = true;
  p->n_dims = fiarReadInts(fiarOpAttribute(p->op, "axis"), p->dims, 1);
  if (p->n_dims != 1 || !keeps_nan(p->op)) {
    p->n_dims = 0;
    p->kind = FIAR_PRIM_PURE;
  }
}

static void read_transpose(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 1;
  p->n_dims = fiarReadInts(fiarOpAttribute(p->op, "perms"), p->dims, FIAR_MAX_RANK);
  if (p->n_dims < 0) {
    p->n_dims = 0;
    p->kind = FIAR_PRIM_PURE;
  }
}

// tile repeats whole tensors; along dimensions of size 1 that is a broadcast.
static void read_tile(FiarView* view, FiarPrimitive* p) {
  (void)view;
  FiarShape from, to;
  p->n_in = 1;
  bool known = fiarShapeRead(mlirValueGetType(p->in[0]), &from) &&
               fiarShapeRead(mlirValueGetType(mlirOperationGetResult(p->op, 0)), &to) &&
               from.rank == to.rank;
  for (int i = 0; known && i < from.rank; ++i) {
    known = from.size[i] == 1 || (from.size[i] >= 0 && from.size[i] == to.size[i]);
    p->dims[p->n_dims++] = i;
  }
  if (!known) {
    p->n_dims = 0;
    p->kind = FIAR_PRIM_PURE;
  }
}

static void read_constant(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->has_number = fiarReadNumber(fiarOpAttribute(p->op, "values"), &p->number);
}

static const char* const dialects[] = {"tosa", NULL};

static const FiarOpRow rows[] = {
    {"add", FIAR_PRIM_ADD, read_two},
    {"sub", FIAR_PRIM_SUB, read_two},
    {"mul", FIAR_PRIM_MUL, read_mul},
    {"maximum", FIAR_PRIM_MAX, read_extremum},
    {"minimum", FIAR_PRIM_MIN, read_extremum},
    {"pow", FIAR_PRIM_POWER, read_two},
    {"rsqrt", FIAR_PRIM_RSQRT, NULL},
    {"reciprocal", FIAR_PRIM_RECIPROCAL, NULL},
    {"abs", FIAR_PRIM_ABS, NULL},
    {"clamp", FIAR_PRIM_CLAMP, read_clamp},
    {"reduce_sum", FIAR_PRIM_REDUCE_ADD, read_reduce},
    {"reduce_max", FIAR_PRIM_REDUCE_MAX, read_reduce},
    {"cast", FIAR_PRIM_CONVERT, NULL},
    {"reshape", FIAR_PRIM_RESHAPE, read_first},
    {"transpose", FIAR_PRIM_TRANSPOSE, read_transpose},
    {"tile", FIAR_PRIM_BROADCAST, read_tile},
    {"identity", FIAR_PRIM_IDENTITY, NULL},
    {"const", FIAR_PRIM_CONSTANT, read_constant},
#define PURE(name) {name, FIAR_PRIM_PURE, NULL},
    // clang-format off
    PURE("argmax") PURE("avg_pool2d") PURE("ceil") PURE("concat") PURE("const_shape")
    PURE("conv2d") PURE("cos") PURE("equal") PURE("erf") PURE("exp") PURE("floor")
    PURE("gather") PURE("greater") PURE("greater_equal") PURE("log") PURE("logical_and")
    PURE("logical_not") PURE("logical_or") PURE("matmul") PURE("negate") PURE("pad")
    PURE("reverse") PURE("select") PURE("sigmoid") PURE("sin") PURE("slice") PURE("tanh")
// clang-format on
#undef PURE
                            {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_tosa = {dialects, rows};
