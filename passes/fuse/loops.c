// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops whose region computes one element at a time (linalg.generic): inside, a scalar stands for a
// tensor over the iteration space, so that the body's ops meet the same rules as ops on tensors.
#include "fuse/fuse.h"

// An operand as the body sees it: a tensor over the iteration space.
FiarTerm fiarLoopsArgument(const FiarLoops* loops, int number, const FiarTerm* operand) {
  FiarTerm out = *operand;
  FiarLayout from = operand->layout;
  out.layout = (FiarLayout){.shape = fiarLoopsShape(loops, from.shape.elem)};
  for (int i = 0; i < loops->rank; ++i) {
    out.layout.label[i] = loops->size[i] == 1 ? FIAR_LABEL_ONE : FIAR_LABEL_SAME;
  }
  bool itself = loops->operand_rank[number] == loops->rank;
  for (int i = 0; i < loops->operand_rank[number] && i < from.shape.rank; ++i) {
    int place = loops->place[number][i];
    itself = itself && place == i;
    if (place != FIAR_LOOPS_UNIT) {
      out.layout.label[place] = from.label[i];
    }
  }
  if (!itself) {
    out.value = out.narrow = (MlirValue){NULL};
  }
  return out;
}

FiarShape fiarLoopsShape(const FiarLoops* loops, FiarElement elem) {
  FiarShape shape = {.rank = loops->rank, .elem = elem};
  for (int i = 0; i < loops->rank; ++i) {
    shape.size[i] = loops->size[i];
  }
  return shape;
}

int fiarLoopsReduced(const FiarLoops* loops, int operand, int64_t* out_dims, bool* out_keeps) {
  bool kept[FIAR_MAX_RANK] = {false};
  int last = -1, n = 0;
  *out_keeps = false;
  for (int i = 0; i < loops->operand_rank[operand]; ++i) {
    *out_keeps = *out_keeps || loops->place[operand][i] == FIAR_LOOPS_UNIT;
  }
  if (*out_keeps && loops->operand_rank[operand] != loops->rank) {
    return -1;
  }
  for (int i = 0; i < loops->operand_rank[operand]; ++i) {
    int place = loops->place[operand][i];
    if (place == FIAR_LOOPS_UNIT) {
      continue;
    }
    if (place <= last || (*out_keeps && place != i)) {
      return -1;
    }
    kept[place] = true;
    last = place;
  }
  for (int i = 0; i < loops->rank; ++i) {
    if (!kept[i]) {
      out_dims[n++] = i;
    }
  }
  return n;
}

// For a reduction: the value that the body combines with its accumulator, and how.
FiarPrimitiveKind fiarLoopsCombined(FiarView* view, MlirValue yielded, MlirBlock block,
                                    intptr_t accumulator, MlirValue* out_value) {
  if (!mlirValueIsAOpResult(yielded)) {
    return FIAR_PRIM_UNKNOWN;
  }
  FiarPrimitive combine = fiarPrimitiveRead(view, mlirOpResultGetOwner(yielded));
  MlirValue argument = mlirBlockGetArgument(block, accumulator);
  if (combine.n_in != 2) {
    return FIAR_PRIM_UNKNOWN;
  }
  int other = mlirValueEqual(combine.in[0], argument) ? 1 : 0;
  if (!mlirValueEqual(combine.in[1 - other], argument)) {
    return FIAR_PRIM_UNKNOWN;
  }
  *out_value = combine.in[other];
  return combine.kind == FIAR_PRIM_ADD   ? FIAR_PRIM_REDUCE_ADD
         : combine.kind == FIAR_PRIM_MAX ? FIAR_PRIM_REDUCE_MAX
                                         : FIAR_PRIM_UNKNOWN;
}
