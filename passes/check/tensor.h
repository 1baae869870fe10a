// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Values of the evaluator: one tensor a simulated rank, every element a double that its element
// type can hold. Internal.
#ifndef FIAR_PASSES_CHECK_TENSOR_H
#define FIAR_PASSES_CHECK_TENSOR_H

#include "ir/match.h"

// How a value came to be in the module under test, in rising order of what may differ.
typedef enum FiarTaint {
  FIAR_TAINT_EXACT,   // from nothing that a fused op normalised
  FIAR_TAINT_NORM,    // a fused op's norm, moved or widened
  FIAR_TAINT_DERIVED  // computed from such a norm, or its codes or scales
} FiarTaint;

typedef struct FiarTensor {
  FiarShape shape;  // every size known
  int64_t count;    // elements a rank
  FiarTaint taint;
  double* at;       // at[rank * count + i], row-major; NULL: invented, and not yet looked at
  uint64_t key;     // of invented data
  bool replicated;  // invented data are the same on every rank
} FiarTensor;

// fiarElementRound of the types that are rounded to seldom.
double fiarElementRoundOther(FiarElement elem, double number);

static inline double fiarElementOverflow(double number, double largest) {
  return fabs(number) > largest ? copysign(INFINITY, number) : number;
}

// Rounds a result that is exact, or correct to double precision, to the element type as the IR's
// own operations do: nearest even; e4m3 overflows to NaN, e2m1 saturates (a NaN stays one, until
// fiarEvalBind chooses the code that the IR leaves open); integers truncate.
// Rounding through double is innocuous for f32, f16 and bf16 (53 bits are at least twice their
// precision plus two).
static inline double fiarElementRound(FiarElement elem, double number) {
  switch (elem) {
    case FIAR_ELEM_F32:
      return (double)(float)number;
    case FIAR_ELEM_BF16:
      return fiarElementOverflow(fiarRoundBits(number, 8, -133), 0x1.FEp127);
    case FIAR_ELEM_F16:
      return fiarElementOverflow(fiarRoundBits(number, 11, -24), 65504);
    default:
      return fiarElementRoundOther(elem, number);
  }
}

// Can values of this element type be held?
bool fiarElementKnown(FiarElement elem);

// Row-major strides of a shape.
void fiarShapeStrides(const FiarShape* shape, int64_t* out_strides);

#endif  // FIAR_PASSES_CHECK_TENSOR_H
