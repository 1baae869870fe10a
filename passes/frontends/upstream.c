// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// MLIR's own dialects: calls and scalar constants that other dialects' modules also hold.
#include "frontends/primitive.h"

static void read_call(FiarView* view, FiarPrimitive* p) {
  p->callee = fiarViewSymbol(view, fiarOpAttribute(p->op, "callee"));
  if (mlirOperationIsNull(p->callee)) {
    p->kind = FIAR_PRIM_UNKNOWN;
  }
}

static void read_constant(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->has_number = fiarReadNumber(fiarOpAttribute(p->op, "value"), &p->number);
}

static const char* const dialects[] = {"func", "arith", NULL};

static const FiarOpRow rows[] = {
    {"call", FIAR_PRIM_CALL, read_call},
    {"constant", FIAR_PRIM_CONSTANT, read_constant},
    {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_upstream = {dialects, rows};
