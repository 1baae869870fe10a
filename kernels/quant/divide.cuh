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

namespace {

typedef struct {
  float scale, reciprocal;
  bool plain;  // the scale is so small, large or special that only the division itself will do
} divisor_t;

__device__ __forceinline__ divisor_t make_divisor(float scale) {
  divisor_t divisor;
  divisor.scale = scale;
  divisor.reciprocal = __frcp_rn(scale);
  divisor.plain = !(fabsf(scale) >= 0x1p-60f && fabsf(scale) <= 0x1p60f);
  return divisor;
}

__device__ __noinline__ float divide(float value, float by) {
  return __fdiv_rn(value, by);
}

__device__ __forceinline__ float quotient_for_code(float value, const divisor_t& by) {
  if (by.plain) {
    return divide(value, by.scale);
  }
  float rough = __fmul_rn(value, by.reciprocal);
  float near = __fmaf_rn(__fmaf_rn(-rough, by.scale, value), by.reciprocal, rough);
  float exact = __fmaf_rn(__fmaf_rn(-near, by.scale, value), by.reciprocal, near);
  float magnitude = fabsf(rough) < 0x1p12f ? exact : rough;  // also infinities and NaN
  uint32_t sign = (__float_as_uint(value) ^ __float_as_uint(by.scale)) & 0x80000000u;
  return __uint_as_float((__float_as_uint(magnitude) & 0x7FFFFFFFu) | sign);
}

}  // namespace

#endif  // FIAR_QUANT_DIVIDE_CUH
