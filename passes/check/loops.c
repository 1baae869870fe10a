// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// linalg.generic: the body's scalars stand for tensors over the loops that a result walks along;
// the other loops are gone through one place after another.
#include <stdlib.h>
#include <string.h>

#include "check/eval_impl.h"
#include "ir/carried.h"

typedef struct Body {
  FiarLoops loops;
  MlirBlock block;
  MlirOperation yield;
  bool kept[FIAR_MAX_RANK];  // the loops that the results walk along
  FiarShape space;           // these loops
} Body;

// A body of ops that are computed one element at a time, from its arguments and constants.
static bool simple(FiarEval* eval, const Body* body) {
  for (MlirOperation op = mlirBlockGetFirstOperation(body->block);
       !mlirOperationEqual(op, body->yield); op = mlirOperationGetNextInBlock(op)) {
    const FiarPrimitiveKind kind = fiarPrimitiveRead(&eval->view, op).kind;
    const bool elementwise = kind >= FIAR_PRIM_ADD && kind <= FIAR_PRIM_CLAMP;
    if (!elementwise && kind != FIAR_PRIM_CONVERT && kind != FIAR_PRIM_CONSTANT) {
      return false;
    }
  }
  return true;
}

static bool read_body(FiarEval* eval, const FiarPrimitive* p, Body* body) {
  *body = (Body){0};
  const intptr_t results = mlirOperationGetNumResults(p->op);
  if (!fiarLoopsRead(p->op, &body->loops) || results < 1) {
    return false;
  }
  body->block = mlirRegionGetFirstBlock(mlirOperationGetRegion(p->op, 0));
  body->yield = fiarLastOp(body->block);
  const int first = body->loops.n_operands - (int)results;
  for (int i = 0; i < body->loops.operand_rank[first]; ++i) {
    if (body->loops.place[first][i] != FIAR_LOOPS_UNIT) {
      body->kept[body->loops.place[first][i]] = true;
    }
  }
  for (int i = 0; i < body->loops.rank; ++i) {
    if (body->loops.size[i] < 0) {
      body->loops.size[i] = FIAR_CHECK_DYNAMIC_SIZE;
    }
    if (body->kept[i]) {
      body->space.size[body->space.rank++] = body->loops.size[i];
    }
  }
  return simple(eval, body);
}

// What an operand has at each place of the space, where the other loops stand at `at`.
static bool bind_argument(FiarEval* eval, const Body* body, int number, MlirValue operand,
                          const int64_t* at) {
  const FiarTensor* found = fiarEvalFind(eval, operand);
  if (found == NULL) {
    return false;
  }
  const FiarTensor in = *found;
  FiarTensor out = {.shape = body->space, .taint = in.taint};
  out.shape.elem = in.shape.elem;
  out.count = fiarShapeElements(&out.shape);
  out.at = fiarEvalRoom(eval, out.count);
  int64_t strides[FIAR_MAX_RANK], space[FIAR_MAX_RANK];
  fiarShapeStrides(&in.shape, strides);
  fiarShapeStrides(&out.shape, space);
  for (int64_t i = 0; out.at != NULL && i < out.count; ++i) {
    int64_t place[FIAR_MAX_RANK], from = 0;
    for (int loop = 0, kept = 0; loop < body->loops.rank; ++loop) {
      place[loop] = body->kept[loop] ? i / space[kept] % out.shape.size[kept] : at[loop];
      kept += body->kept[loop];
    }
    for (int d = 0; d < body->loops.operand_rank[number] && d < in.shape.rank; ++d) {
      const int loop = body->loops.place[number][d];
      from += loop == FIAR_LOOPS_UNIT || in.shape.size[d] == 1 ? 0 : place[loop] * strides[d];
    }
    for (int rank = 0; rank < eval->options->ranks; ++rank) {
      out.at[rank * out.count + i] = in.at[rank * in.count + (from < in.count ? from : 0)];
    }
  }
  return out.at != NULL && fiarEvalBind(eval, mlirBlockGetArgument(body->block, number), &out);
}

// The next place of the loops that are gone through; false after the last.
static bool advance(const Body* body, int64_t* at) {
  for (int loop = body->loops.rank - 1; loop >= 0; --loop) {
    if (!body->kept[loop] && ++at[loop] < body->loops.size[loop]) {
      return true;
    }
    at[loop] = 0;
  }
  return false;
}

static bool run_place(FiarEval* eval, const Body* body, const FiarPrimitive* p, const int64_t* at,
                      bool first) {
  const int inputs = body->loops.n_operands - (int)mlirOperationGetNumResults(p->op);
  for (int i = 0; i < body->loops.n_operands; ++i) {
    // An accumulator goes on from what the place before has yielded.
    if ((i < inputs || first) &&
        !bind_argument(eval, body, i, mlirOperationGetOperand(p->op, i), at)) {
      return false;
    }
  }
  for (MlirOperation op = mlirBlockGetFirstOperation(body->block);
       !mlirOperationEqual(op, body->yield); op = mlirOperationGetNextInBlock(op)) {
    if (!fiarEvalOp(eval, op)) {
      return false;
    }
  }
  for (int i = inputs; i < body->loops.n_operands; ++i) {
    const FiarTensor* found = fiarEvalFind(eval, mlirOperationGetOperand(body->yield, i - inputs));
    if (found == NULL) {
      return false;
    }
    const FiarTensor held = *found;
    if (!fiarEvalBind(eval, mlirBlockGetArgument(body->block, i), &held)) {
      return false;
    }
  }
  return true;
}

// From the space to the result, whose dimensions may walk along it in another order.
static bool bind_result(FiarEval* eval, const Body* body, const FiarPrimitive* p, int index) {
  const int number = body->loops.n_operands - (int)mlirOperationGetNumResults(p->op) + index;
  const FiarTensor* found = fiarEvalFind(eval, mlirBlockGetArgument(body->block, number));
  FiarTensor out = {0};
  if (found == NULL || !fiarEvalShape(mlirOperationGetResult(p->op, index), NULL, &out.shape)) {
    return false;
  }
  const FiarTensor in = *found;
  out.count = fiarShapeElements(&out.shape);
  out.taint = in.taint == FIAR_TAINT_NORM ? FIAR_TAINT_DERIVED : in.taint;
  out.at = fiarEvalRoom(eval, out.count);
  int64_t space[FIAR_MAX_RANK], to[FIAR_MAX_RANK], kept[FIAR_MAX_RANK];
  fiarShapeStrides(&body->space, space);
  fiarShapeStrides(&out.shape, to);
  for (int loop = 0, n = 0; loop < body->loops.rank; ++loop) {
    kept[loop] = n;
    n += body->kept[loop];
  }
  for (int64_t i = 0; out.at != NULL && i < out.count; ++i) {
    int64_t from = 0;
    for (int d = 0; d < out.shape.rank; ++d) {
      const int loop = body->loops.place[number][d];
      from += loop == FIAR_LOOPS_UNIT ? 0 : i / to[d] % out.shape.size[d] * space[kept[loop]];
    }
    for (int rank = 0; rank < eval->options->ranks; ++rank) {
      out.at[rank * out.count + i] = in.at[rank * in.count + (in.count == 1 ? 0 : from)];
    }
  }
  return out.at != NULL && fiarEvalBind(eval, mlirOperationGetResult(p->op, index), &out);
}

bool fiarEvalLoops(FiarEval* eval, const FiarPrimitive* p, bool* out_done) {
  Body body;
  int64_t at[FIAR_MAX_RANK] = {0};
  *out_done = false;
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(p->op); ++i) {
    if (fiarEvalFind(eval, mlirOperationGetOperand(p->op, i)) == NULL) {
      return true;
    }
  }
  if (!read_body(eval, p, &body)) {
    return true;
  }
  const FiarShape* outer = eval->space;
  eval->space = &body.space;
  bool done = true, first = true;
  do {
    done = run_place(eval, &body, p, at, first);
    first = false;
  } while (done && advance(&body, at));
  eval->space = outer;
  for (int i = 0; done && i < (int)mlirOperationGetNumResults(p->op); ++i) {
    done = bind_result(eval, &body, p, i);
  }
  *out_done = done;
  return done || fiarEvalFail(eval, "a linalg op whose body cannot be run");
}
