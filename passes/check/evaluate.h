// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs a module on simulated ranks, in lockstep, over the primitive view. Internal.
//
// An op that the view does not know is uninterpreted: its results are data made from its identity,
// a discardable attribute that a clone keeps, and its operands are observations. Two versions of a
// module mean the same where all their observations agree: everything a fused region computes
// reaches some operand of an op outside it.
#ifndef FIAR_PASSES_CHECK_EVALUATE_H
#define FIAR_PASSES_CHECK_EVALUATE_H

#include "check/tensor.h"
#include "frontends/primitive.h"

// The identity of an op: set on every op before the module is cloned.
#define FIAR_CHECK_ID "fiar.check_id"

// X(NAME, "text", "the data that uninterpreted ops and arguments give")
#define FIAR_CHECK_DATA_TABLE(X)                                               \
  X(INTEGER, "integer", "small integers, so that sums are exact in any order") \
  X(RANDOM, "random", "uniform in -4 .. 4, rounded to the element type")       \
  X(EDGE, "edge", "zeros of both signs, denormals, values near overflow, and a few infinities")

typedef enum FiarCheckData {
#define X(name, text, meaning) FIAR_CHECK_##name,
  FIAR_CHECK_DATA_TABLE(X)
#undef X
} FiarCheckData;

typedef struct FiarEvalOptions {
  int ranks;
  FiarCheckData data;
  // Reciprocal roots are rounded to powers of two, in the IR and in fused ops alike. Products with
  // them are then exact, so association is invisible and everything compares bit for bit.
  bool coarse;
  uint64_t seed;
} FiarEvalOptions;

typedef struct FiarObservation {
  int64_t id;  // of the op that saw the value
  int operand;
  MlirOperation op;
  FiarTensor tensor;
} FiarObservation;

typedef struct FiarEvaluation {
  FiarObservation* list;
  size_t count, capacity;
  double** owned;  // every tensor's memory
  size_t n_owned, owned_capacity;
  char error[256];  // empty: it ran to the end
} FiarEvaluation;

// Evaluates every function body of the module. False: *out has the reason; free it all the same.
bool fiarEvaluate(MlirOperation module, const FiarEvalOptions* options, FiarEvaluation* out);

void fiarEvaluationFree(FiarEvaluation* evaluation);

// The ranks that the module's collectives name: the largest id + 1, or 0 where they name none.
int fiarEvaluationRanks(MlirOperation module);

#endif  // FIAR_PASSES_CHECK_EVALUATE_H
