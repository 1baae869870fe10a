// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Shardy: annotations between the steps. Its own all_reduce works on global shapes, whose rows and
// hidden dimension may both be sharded, so it is reported and left.
#include "frontends/primitive.h"
#include "mlir-c/BuiltinAttributes.h"

// ---- manual computations ----

enum { MAX_NESTED = 8, MAX_CALLS = 32 };

// Whether the op stands in manual computations that leave an axis of more than one device open.
static bool stands_open(FiarView* view, MlirOperation op, bool* out_in_manual) {
  MlirAttribute manual[MAX_NESTED], shardings = mlirAttributeGetNull();
  int n = 0;
  for (MlirOperation at = mlirOperationGetParentOperation(op);
       !mlirOperationIsNull(at) && n < MAX_NESTED; at = mlirOperationGetParentOperation(at)) {
    if (!fiarIsOp(at, "sdy.manual_computation")) {
      continue;
    }
    // One without operands has its mesh in the results' shardings only.
    for (int i = 0; i < 2 && fiarAttributeText(shardings).length < sizeof "sharding_per_value<[]>";
         ++i) {
      shardings = fiarOpAttribute(at, i == 0 ? "in_shardings" : "out_shardings");
    }
    manual[n++] = fiarOpAttribute(at, "manual_axes");
  }
  *out_in_manual = n > 0;
  return n > 0 && fiarMeshHasAxisBeside(view->module, shardings, manual, n);
}

typedef struct called {
  FiarView* view;
  bool open;  // whether all that is visited stands open
  int depth;
} called_t;

static MlirWalkResult note_called(MlirOperation op, void* data) {
  called_t at = *(called_t*)data;
  bool in_manual;
  if (fiarPrimitiveKind(at.view, op) != FIAR_PRIM_CALL || at.depth == MAX_CALLS) {
    return MlirWalkResultAdvance;
  }
  bool open = stands_open(at.view, op, &in_manual);
  MlirOperation callee = fiarPrimitiveRead(at.view, op).callee;
  if ((open || (!in_manual && at.open)) && !mlirOperationIsNull(callee) &&
      fiarMapFind(&at.view->open_functions, callee.ptr, 0) == NULL) {
    (void)fiarMapSet(&at.view->open_functions, callee.ptr, 0, 1);
    called_t inner = {at.view, true, at.depth + 1};
    mlirOperationWalk(callee, note_called, &inner, MlirWalkPreOrder);
  }
  return MlirWalkResultAdvance;
}

bool fiarIsPartlyManual(FiarView* view, MlirOperation op) {
  bool in_manual;
  const bool open = stands_open(view, op, &in_manual);
  if (in_manual) {
    return open;
  }
  if (!view->open_functions_known) {
    called_t whole = {view, false, 0};
    view->open_functions_known = true;
    mlirOperationWalk(view->module, note_called, &whole, MlirWalkPreOrder);
  }
  while (!mlirOperationIsNull(op) && fiarMapFind(&view->open_functions, op.ptr, 0) == NULL) {
    op = mlirOperationGetParentOperation(op);
  }
  return !mlirOperationIsNull(op);
}

// ---- ops ----

static void read_all_reduce(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->mode = FIAR_GROUPS_FLATTENED;
  p->reduction = "one of global shapes; run Shardy's export to local shapes first";
}

static const char* const dialects[] = {"sdy", NULL};

static const FiarOpRow rows[] = {
    {"all_reduce", FIAR_PRIM_ALL_REDUCE, read_all_reduce},
    {"sharding_constraint", FIAR_PRIM_IDENTITY, NULL},
    {"reshard", FIAR_PRIM_IDENTITY, NULL},
    {"propagation_barrier", FIAR_PRIM_IDENTITY, NULL},
    {"mesh", FIAR_PRIM_PURE, NULL},
    {"manual_computation", FIAR_PRIM_PURE, NULL},
    {"named_computation", FIAR_PRIM_PURE, NULL},
    {"return", FIAR_PRIM_PURE, NULL},
    {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_shardy = {dialects, rows};
