// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What kernels work out of scales in a way of their own, in C so that unit-tests/kernel_plan_test.c
// can hold all of it against the plain way. Internal.
#ifndef FIAR_SCALE_MATH_H
#define FIAR_SCALE_MATH_H

#include "kernels.h"
#include "shared.h"

// Where scale (row, col) lies, in elements of its type.
FIAR_SHARED_FN uint64_t fiar_scale_index(fiar_scale_strides_t strides, uint32_t row, uint32_t col) {
  const uint32_t in_tile = row & ((1u << strides.row_shift) - 1);
  const uint32_t place =
      strides.row_shift == 7 ? in_tile % 32 * 16 + in_tile / 32 * 4 : in_tile * 4;
  return (uint64_t)(row >> strides.row_shift) * strides.row_tile +
         (uint64_t)(col / 4) * strides.col_fours * 4 + (uint64_t)(col % 4) * strides.col_step +
         place;
}

// The smallest amax that fiar_divide_by_largest serves.
#define FIAR_LEAST_AMAX 0x1p-100f

// amax / largest as IEEE division rounds it, where largest is 448 or 6 (the largest codes of e4m3
// and e2m1) and amax is 0 or FIAR_LEAST_AMAX to infinity, or NaN: the rough quotient and one
// correction by its residue (P. Markstein, 1990: quant/divide.cuh), exact for both divisors. The
// first has no test for infinity, where it gives NaN.
FIAR_SHARED_FN float fiar_divide_finite_by_largest(float amax, float largest) {
  const float reciprocal = 1.0f / largest;
  const float rough = FIAR_MUL(amax, reciprocal);
  return FIAR_FMA(FIAR_FMA(-rough, largest, amax), reciprocal, rough);
}
FIAR_SHARED_FN float fiar_divide_by_largest(float amax, float largest) {
  return amax < INFINITY ? fiar_divide_finite_by_largest(amax, largest) : amax;
}

// value / scale, as far as an e4m3 or e2m1 code of it can tell: the rough quotient, which is value
// times the rounded reciprocal, and one correction by its residue. factor: that reciprocal, or 0
// for the rough quotient itself. For 2^-60 <= |scale| <= 2^60 and quotients below 2^12; those below
// 2^-12 are zero to a code.
//
// The correction leaves less than 2^-46 of the quotient, so that its rounding to f32 can differ
// from a division's only where the quotient is that near to a midpoint of two floats. With a value
// of 11 bits or less (f16, bf16) one such midpoint is beside a quotient where codes change, of a
// power of two by 1 - 2^-24, and there the result is right (kernel_plan_test looks at them all).
// f32 values take two corrections.
FIAR_SHARED_FN float fiar_quotient_for_code(float value, float scale, float rough, float factor) {
  return FIAR_FMA(FIAR_FMA(-rough, scale, value), factor, rough);
}

#endif  // FIAR_SCALE_MATH_H
