// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Small readers of types, attributes and constants over the MLIR C API. Internal.
#ifndef FIAR_PASSES_IR_MATCH_H
#define FIAR_PASSES_IR_MATCH_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "mlir-c/IR.h"

#define FIAR_MAX_RANK 8

// X(NAME, "MLIR's spelling", bytes)
#define FIAR_ELEM_TABLE(X)       \
  X(OTHER, "", 0)                \
  X(F16, "f16", 2)               \
  X(BF16, "bf16", 2)             \
  X(F32, "f32", 4)               \
  X(F64, "f64", 8)               \
  X(F8E4M3FN, "f8E4M3FN", 1)     \
  X(F8E8M0FNU, "f8E8M0FNU", 1)   \
  X(F4E2M1FN, "f4E2M1FN", 0)     \
  X(F8OTHER, "another 8-bit", 1) \
  X(INTEGER, "integer", 0)

typedef enum FiarElement {
#define X(name, text, bytes) FIAR_ELEM_##name,
  FIAR_ELEM_TABLE(X)
#undef X
} FiarElement;

// A ranked tensor's type. size is -1 where dynamic.
typedef struct FiarShape {
  int rank;
  FiarElement elem;
  int64_t size[FIAR_MAX_RANK];
} FiarShape;

// False for other types than ranked tensors (or torch's vtensor) of at most FIAR_MAX_RANK
// dimensions.
bool fiarShapeRead(MlirType type, FiarShape* out_shape);
// A tensor of any kind, or one of torch's types that may hold some: list<vtensor>,
// optional<tensor>.
bool fiarMayHoldTensors(MlirType type);
FiarElement fiarElementOf(MlirType element_type);
FiarElement fiarValueElement(MlirValue value);  // of what is no known tensor: OTHER
const char* fiarElementText(FiarElement elem);

// The product of the sizes, or -1 where one is dynamic.
int64_t fiarShapeElements(const FiarShape* shape);
bool fiarSameSizes(const FiarShape* a, const FiarShape* b);  // rank and sizes, whatever elements

// Reads up to `max` integers from a dense array, dense elements, an array of integers or one
// integer. Gives the count, or -1 where the attribute is none of these, absent, or longer than max.
int fiarReadInts(MlirAttribute attribute, int64_t* out_ints, int max);

// A number from a float or integer attribute, or from a splat of one. False for others.
bool fiarReadNumber(MlirAttribute attribute, double* out_number);

// The whole number of a count, size or place that was read as one; what no tensor or group can have
// becomes 2^53 or its negative, and NaN 0.
int64_t fiarWhole(double number);

// The attribute whatever its home is: properties or the discardable dictionary.
MlirAttribute fiarOpAttribute(MlirOperation op, const char* name);

// An opaque attribute's text or a string attribute's value; empty for others.
MlirStringRef fiarAttributeText(MlirAttribute attribute);
// Any attribute as MLIR prints it, cut to `size` with its '\0'.
void fiarAttributePrint(MlirAttribute attribute, char* out_text, size_t size);

// The op's full name. Static storage of the context.
MlirStringRef fiarOpName(MlirOperation op);

// Whether there is an op, and it has this name.
bool fiarIsOp(MlirOperation op, const char* name);

// The same, and the op has at least so many operands and results: for ops that nobody may have
// verified.
bool fiarIsOpOf(MlirOperation op, const char* name, intptr_t operands, intptr_t results);

// Inline: names are compared all the time, and a literal's length is known to the compiler.
static inline bool fiarStringEqual(MlirStringRef a, const char* b) {
  return a.length == strlen(b) && memcmp(a.data, b, a.length) == 0;
}

// Of tables: a name whose length is known to the compiler, and its comparison.
#define FIAR_TEXT(literal) \
  { literal, sizeof(literal) - 1 }
static inline bool fiarTextEqual(MlirStringRef a, MlirStringRef b) {
  return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

// Rounds to `digits` significant bits, at most to multiples of 2^least_exponent; ties to even.
// Overflow to infinity is left to the caller.
static inline double fiarRoundBits(double number, int digits, int least_exponent) {
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  const int exponent = (int)(bits >> 52 & 0x7FF) - 1022;
  const int keep = exponent - digits < least_exponent ? least_exponent : exponent - digits;
  if (keep > 900) {
    return number;  // beyond every type that is rounded to: infinities and NaNs, too
  }
  // In the sum with 1.5 * 2^(52 + keep) the last place is 2^keep.
  const uint64_t shift_bits = (uint64_t)(keep + 52 + 1023) << 52 | UINT64_C(1) << 51;
  double shift;
  memcpy(&shift, &shift_bits, sizeof shift);
  return copysign(number + shift - shift, number);
}

// Rounds as a convert to `elem` would: exact for f64, nearest even for f32, bf16 and f16. Overflow
// of bf16 and f16 is not looked for: the constants that matter (counts, bounds, eps) are far from
// it.
double fiarRoundTo(FiarElement elem, double number);
// Does converting the number to elements of this type give what fiarRoundTo says? To floats that it
// knows, and of whole numbers to integers that hold them; else types round, wrap and saturate in
// ways of their own, each dialect in another.
bool fiarConvertsExactly(MlirType to, double number);

#endif  // FIAR_PASSES_IR_MATCH_H
