// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Quotients by one scale for many values, as IEEE division rounds them.
//
// With r = 1/s rounded, two residual corrections give the rounded quotient (P. Markstein,
// "Computation of elementary functions on the IBM RISC System/6000 processor", 1990, theorem 8.6)
// while nothing on the way over- or underflows. Quotients only choose an 8- or 4-bit code here, so
// those below 2^-12 and above 2^12 need not be exact: the code is zero or saturates either way.
#ifndef FIAR_QUANT_DIVIDE_CUH
#define FIAR_QUANT_DIVIDE_CUH

#include <stdint.h>

#include "scale_math.h"

namespace {

// Does quotient_for_code serve this scale? Else it is so small, large or special that only the
// division itself will do.
__device__ __forceinline__ bool divides_fast(float scale) {
  return fabsf(scale) >= 0x1p-60f && fabsf(scale) <= 0x1p60f;
}

__device__ __forceinline__ float quotient_for_code(float value, float scale, float reciprocal) {
  const float rough = __fmul_rn(value, reciprocal);
  const float near = __fmaf_rn(__fmaf_rn(-rough, scale, value), reciprocal, rough);
  const float exact = __fmaf_rn(__fmaf_rn(-near, scale, value), reciprocal, near);
  const float magnitude = fabsf(rough) < 0x1p12f ? exact : rough;  // also infinities and NaN
  return copysignf(magnitude, rough);                              // of zeros too
}

// Out of line: rare, and long.
__device__ __noinline__ float divide(float value, float by) {
  return __fdiv_rn(value, by);
}

// amax / largest: 448 or 6.
__device__ __forceinline__ float divide_by_largest(float amax, float largest) {
  if (amax > 0.0f && amax < FIAR_LEAST_AMAX) {
    return divide(amax, largest);
  }
  return fiar_divide_by_largest(amax, largest);
}

// z[i] = y[i] / scale, as far as codes can tell. reciprocal: 1 / scale, rounded.
template <int COUNT>
__device__ __forceinline__ void divide_for_codes(const float* y, float scale, float reciprocal,
                                                 float* z) {
  if (divides_fast(scale)) {
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
      z[i] = quotient_for_code(y[i], scale, reciprocal);
    }
  } else {
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
      z[i] = divide(y[i], scale);
    }
  }
}

template <int COUNT>
__device__ __forceinline__ void multiply_for_codes(const float* y, float factor, float* z) {
#pragma unroll
  for (int i = 0; i < COUNT; ++i) {
    z[i] = __fmul_rn(y[i], factor);
  }
}

}  // namespace

#endif  // FIAR_QUANT_DIVIDE_CUH
