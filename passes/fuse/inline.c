// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The pass fiar-inline: functions that return an all-reduced sum go into their callers, where the
// norm may be.
//
//   %s = call @row_parallel(%x, %w)                  %0 = dot %x, %w
//   norm of %s                               ->      %s = all_reduce %0
//   func private @row_parallel { .. all_reduce .. }  norm of %s
//
// Which all-reduces fiar-fuse leaves is asked of itself, on a clone.
#include <stdlib.h>

#include "fuse/fuse.h"
#include "ir/array.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

enum { MAX_ROUNDS = 16, MAX_FOLLOWED = 4096 };

static const char tag_name[] = "fiar.inline_id";

typedef struct list {
  MlirOperation* ops;
  size_t n, capacity;
  FiarView* view;
  bool failed;
} list_t;

static void add(list_t* list, MlirOperation op) {
  MlirOperation* ops = fiarGrow(list->ops, list->n, &list->capacity, sizeof *ops);
  if (ops == NULL) {
    list->failed = true;
    return;
  }
  list->ops = ops;
  list->ops[list->n++] = op;
}

static bool contains(const list_t* list, MlirOperation op) {
  for (size_t i = 0; i < list->n; ++i) {
    if (mlirOperationEqual(list->ops[i], op)) {
      return true;
    }
  }
  return false;
}

// ---- which functions ----

static MlirWalkResult find_sums(MlirOperation op, void* user) {
  list_t* list = user;
  FiarPrimitiveKind kind = fiarPrimitiveRead(list->view, op).kind;
  if ((kind == FIAR_PRIM_ALL_REDUCE || kind == FIAR_PRIM_REDUCE_SCATTER ||
       kind == FIAR_PRIM_ALL_GATHER) &&
      mlirOperationGetNumResults(op) > 0) {
    add(list, op);
  }
  return MlirWalkResultAdvance;
}

static void tag(const list_t* sums) {
  for (size_t i = 0; i < sums->n; ++i) {
    MlirType type = mlirIntegerTypeGet(mlirOperationGetContext(sums->ops[i]), 64);
    mlirOperationSetDiscardableAttributeByName(sums->ops[i],
                                               mlirStringRefCreateFromCString(tag_name),
                                               mlirIntegerAttrGet(type, (int64_t)i));
  }
}

static void untag(const list_t* sums) {
  for (size_t i = 0; i < sums->n; ++i) {
    (void)mlirOperationRemoveDiscardableAttributeByName(sums->ops[i],
                                                        mlirStringRefCreateFromCString(tag_name));
  }
}

static MlirWalkResult note_left(MlirOperation op, void* left) {
  int64_t id;
  if (fiarReadInts(fiarOpAttribute(op, tag_name), &id, 1) == 1) {
    ((bool*)left)[id] = true;
  }
  return MlirWalkResultAdvance;
}

// Which of the sums fiar-fuse would leave. NULL: it fails on this module, or out of memory.
static bool* sums_left(MlirOperation module, const list_t* sums, int64_t world) {
  bool* left = calloc(sums->n + 1, sizeof *left);
  FiarFuseOptions options = {
      .struct_size = sizeof options, .world = world, .message = fiarSayNothing};
  tag(sums);
  MlirOperation clone = mlirOperationClone(module);
  untag(sums);
  bool ok = left != NULL && mlirLogicalResultIsSuccess(fiarFuse(clone, &options, NULL));
  if (ok) {
    mlirOperationWalk(clone, note_left, left, MlirWalkPreOrder);
  }
  mlirOperationDestroy(clone);
  if (!ok) {
    free(left);
    left = NULL;
  }
  return left;
}

static bool carries_on(FiarPrimitiveKind kind) {
  return kind == FIAR_PRIM_ADD || kind == FIAR_PRIM_IDENTITY || kind == FIAR_PRIM_RESHAPE ||
         kind == FIAR_PRIM_TRANSPOSE || kind == FIAR_PRIM_CONVERT;
}

// Whether the sum, moved or with a residual, is among what the function returns.
static bool is_returned(FiarView* view, MlirOperation sum) {
  list_t to_follow = {0};
  bool returned = false;
  add(&to_follow, sum);
  for (size_t at = 0; at < to_follow.n && at < MAX_FOLLOWED && !returned; ++at) {
    MlirOperation op = to_follow.ops[at];
    for (intptr_t i = 0; i < mlirOperationGetNumResults(op) && !returned; ++i) {
      for (MlirOpOperand use = mlirValueGetFirstUse(mlirOperationGetResult(op, i));
           !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
        MlirOperation user = mlirOpOperandGetOwner(use);
        returned |= fiarStringEqual(fiarOpName(user), "func.return");
        if (carries_on(fiarPrimitiveRead(view, user).kind) && !contains(&to_follow, user)) {
          add(&to_follow, user);
        }
      }
    }
  }
  free(to_follow.ops);
  return returned;
}

static MlirWalkResult find_calls(MlirOperation op, void* user) {
  if (fiarStringEqual(fiarOpName(op), "func.call")) {
    add(user, op);
  }
  return MlirWalkResultAdvance;
}

static MlirOperation callee_of(FiarView* view, MlirOperation call) {
  return fiarViewSymbol(view, fiarOpAttribute(call, "callee"));
}

// A private function of one block that does not call itself.
static bool can_go(FiarView* view, MlirOperation function) {
  MlirRegion region = mlirOperationGetFirstRegion(function);
  if (!fiarStringEqual(fiarOpName(function), "func.func") ||
      !fiarStringEqual(fiarAttributeText(fiarOpAttribute(function, "sym_visibility")), "private") ||
      !mlirBlockIsNull(mlirBlockGetNextInRegion(mlirRegionGetFirstBlock(region)))) {
    return false;
  }
  list_t calls = {0};
  bool ok = true;
  mlirOperationWalk(function, find_calls, &calls, MlirWalkPreOrder);
  for (size_t i = 0; i < calls.n; ++i) {
    ok = ok && !mlirOperationEqual(callee_of(view, calls.ops[i]), function);
  }
  free(calls.ops);
  return ok;
}

static void find_functions(FiarView* view, int64_t world, list_t* functions) {
  list_t sums = {.view = view};
  mlirOperationWalk(view->module, find_sums, &sums, MlirWalkPreOrder);
  bool* left = sums.n == 0 ? NULL : sums_left(view->module, &sums, world);
  for (size_t i = 0; i < sums.n && left != NULL; ++i) {
    MlirOperation function = mlirOperationGetParentOperation(sums.ops[i]);
    if (left[i] && !contains(functions, function) && can_go(view, function) &&
        is_returned(view, sums.ops[i])) {
      add(functions, function);
    }
  }
  free(left);
  free(sums.ops);
}

// ---- inlining ----

static void inline_call(MlirOperation call, MlirOperation function) {
  MlirOperation clone = mlirOperationClone(function);
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(clone));
  MlirOperation end = mlirBlockGetTerminator(body);
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(body); ++i) {
    mlirValueReplaceAllUsesOfWith(mlirBlockGetArgument(body, i), mlirOperationGetOperand(call, i));
  }
  MlirOperation op = mlirBlockGetFirstOperation(body);
  while (!mlirOperationEqual(op, end)) {
    MlirOperation next = mlirOperationGetNextInBlock(op);
    mlirOperationRemoveFromParent(op);
    mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(call), call, op);
    op = next;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumResults(call); ++i) {
    mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(call, i), mlirOperationGetOperand(end, i));
  }
  mlirOperationDestroy(call);
  mlirOperationDestroy(clone);
}

// One round; false: nothing was to do.
static bool inline_round(FiarView* view, int64_t world) {
  list_t functions = {0}, calls = {0};
  bool done = false;
  find_functions(view, world, &functions);
  mlirOperationWalk(view->module, find_calls, &calls, MlirWalkPreOrder);
  for (size_t i = 0; i < calls.n && functions.n > 0; ++i) {
    MlirOperation function = callee_of(view, calls.ops[i]);
    if (!mlirOperationIsNull(function) && contains(&functions, function)) {
      inline_call(calls.ops[i], function);
      done = true;
    }
  }
  if (done) {
    fiarEraseUnreferenced(view, functions.ops, functions.n);
  }
  free(functions.ops);
  free(calls.ops);
  return done;
}

MlirLogicalResult fiarInline(MlirOperation module, int64_t world) {
  for (int round = 0; round < MAX_ROUNDS; ++round) {
    FiarView view;
    bool more = fiarViewInit(&view, module) && inline_round(&view, world);
    fiarViewClear(&view);
    if (!more) {
      break;
    }
  }
  return mlirLogicalResultSuccess();
}
