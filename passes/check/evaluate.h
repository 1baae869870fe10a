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
// With OVERFLOW only what no norm went into is compared: products overflow or not as they
// associate.
#define FIAR_CHECK_DATA_TABLE(X)                                                      \
  X(INTEGER, "integer", "integers of 8 bits, so that sums are exact in any order")    \
  X(RANDOM, "random", "uniform in -4 .. 4, rounded to the element type")              \
  X(EDGE, "edge", "as random, with zeros of both signs, rows of zeros and denormals") \
  X(OVERFLOW, "overflow", "as random, with values near overflow and infinities")

typedef enum FiarCheckData {
#define X(name, text, meaning) FIAR_CHECK_##name,
  FIAR_CHECK_DATA_TABLE(X)
#undef X
} FiarCheckData;

// X(NAME, "text", "how reciprocal square roots are rounded, in the IR and in fused ops alike")
// Products with coarse roots are exact, so association is invisible and everything compares bit for
// bit. Two bits also show where a product is rounded; they are exact for f16 and bf16 only, and as
// long as the IR takes no square root that it divides by.
#define FIAR_ROOTS_TABLE(X)                      \
  X(TRUE, "true", "as f32")                      \
  X(POWERS, "power-of-two", "to a power of two") \
  X(TWO_BITS, "two-bit", "to two significant bits")

typedef enum FiarRoots {
#define X(name, text, meaning) FIAR_ROOTS_##name,
  FIAR_ROOTS_TABLE(X)
#undef X
} FiarRoots;

// What docs/numerics.md leaves open. A run takes the first, or the other where its options say so:
// a value of the source that depends on it may become anything, one of the rewrite may be either.
typedef enum FiarOpen {
  FIAR_OPEN_CODES = 1,  // the fp4 code that a NaN of the IR becomes: 6, as a fused op's, or 0
  FIAR_OPEN_SCALES = 2  // a fused op's nvfp4 scale beyond 448: NaN, as the IR's conversion, or 448
} FiarOpen;

typedef struct FiarEvalOptions {
  int ranks;
  FiarCheckData data;
  FiarRoots roots;
  uint64_t seed;
  int64_t world;  // the ranks of groups that have only a name
  // Matrix products are computed, else uninterpreted. With coarse roots, invented f32 vectors and
  // scalars, which may be the scales of products, are powers of two: association is invisible then.
  bool products;
  unsigned instead;  // a mask of FiarOpen: where the other is taken
} FiarEvalOptions;

typedef struct FiarObservation {
  int64_t id;  // of the op that saw the value
  int operand;
  MlirOperation op;
  FiarTensor tensor;
} FiarObservation;

// One tensor's memory.
typedef struct FiarRoom {
  double* at;
  size_t count;
} FiarRoom;

typedef struct FiarEvaluation {
  FiarObservation* list;
  size_t count, capacity;
  // Kept from one run to the next, which asks for the same sizes in the same order.
  FiarRoom* rooms;
  size_t n_used, n_rooms, rooms_capacity;
  unsigned open;    // a mask of FiarOpen: what the run met
  char error[256];  // empty: it ran to the end
} FiarEvaluation;

// Writes an invented tensor's elements, options->ranks * tensor->count of them.
void fiarInvent(const FiarEvalOptions* options, const FiarTensor* tensor, double* out);

// Evaluates every function body of the module. *out is zero, or what another run left, whose
// tensors are then gone. False: *out has the reason; free it all the same.
bool fiarEvaluate(MlirOperation module, const FiarEvalOptions* options, FiarEvaluation* out);

void fiarEvaluationFree(FiarEvaluation* evaluation);

// The ranks that the module's collectives name: the largest id + 1, or 0 where they name none.
// Groups that have only a name count `world`.
int fiarEvaluationRanks(MlirOperation module, int64_t world);

#endif  // FIAR_PASSES_CHECK_EVALUATE_H
