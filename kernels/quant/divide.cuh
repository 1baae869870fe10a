// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Quotients by one scale for many values: those of IEEE division, as far as codes can tell.
#ifndef FIAR_QUANT_DIVIDE_CUH
#define FIAR_QUANT_DIVIDE_CUH

#include <stdint.h>

#include "scale_math.h"

namespace {

// Does fiar_quotient_for_code serve this scale? Else it is so small, large or special that only the
// division itself will do.
__device__ __forceinline__ bool divides_fast(float scale) {
  return fabsf(scale) >= 0x1p-60f && fabsf(scale) <= 0x1p60f;
}

// 1 / scale as IEEE division rounds it, for scales that divides_fast: one Newton step from what the
// chip looks up, as the compiler's own division takes behind its tests for other scales.
__device__ __forceinline__ float reciprocal_of(float scale) {
  float near;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(near) : "f"(scale));
  return __fmaf_rn(near, -__fmaf_rn(scale, near, -1.0f), near);
}

// value / scale as IEEE division rounds it, from the rounded reciprocal, while nothing on the way
// over- or underflows: two corrections by the residue (P. Markstein, "Computation of elementary
// functions on the IBM RISC System/6000 processor", 1990, theorem 8.6).
__device__ __forceinline__ float divide_by(float value, float scale, float reciprocal) {
  const float rough = __fmul_rn(value, reciprocal);
  const float near = fiar_quotient_for_code(value, scale, rough, reciprocal);
  return fiar_quotient_for_code(value, scale, near, reciprocal);
}

// z[i] = y[i] / scale as far as codes can tell, or y[i] * by, without a branch. by: 1 / scale,
// rounded, and factor the same, or 0 where the rough quotient is wanted. For scales that
// divides_fast, and finite values with quotients below 2^12 (larger ones saturate either way).
template <int COUNT>
__device__ __forceinline__ void quotients_for_codes(const float* y, float scale, float by,
                                                    float factor, float* z) {
#pragma unroll
  for (int i = 0; i < COUNT; ++i) {
    const float rough = __fmul_rn(y[i], by);
    float quotient = fiar_quotient_for_code(y[i], scale, rough, factor);
    if (FIAR_IS_F32) {
      quotient = fiar_quotient_for_code(y[i], scale, quotient, factor);
    }
    z[i] = copysignf(quotient, rough);  // of zeros too
  }
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

// The same for any values, by a scale that need not be fast: larger quotients, infinities and NaNs
// stay rough, which is as good.
template <int COUNT>
__device__ __forceinline__ void divide_for_codes(const float* y, float scale, float reciprocal,
                                                 float* z) {
  if (divides_fast(scale)) {
    quotients_for_codes<COUNT>(y, scale, reciprocal, reciprocal, z);
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
      const float rough = __fmul_rn(y[i], reciprocal);
      z[i] = fabsf(rough) < 0x1p12f ? z[i] : rough;
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
