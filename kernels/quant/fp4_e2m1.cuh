// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// e2m1: nearest even, saturating at 6, NaN as +6. In software everywhere: few chips convert it, and
// it is a handful of instructions.
#ifndef FIAR_QUANT_FP4_E2M1_CUH
#define FIAR_QUANT_FP4_E2M1_CUH

#include <stdint.h>

namespace {

// Values are 0.5 apart up to 2, 1 up to 4, 2 up to 6. Adding a number whose last bit is worth that
// much, 2^22 times the power of two below, rounds as wanted and leaves the count in the low bits;
// counts and codes are even together. NaNs are positive: arithmetic here makes no others.
__device__ __forceinline__ uint32_t e2m1_code(float value) {
  const float magnitude = fminf(fabsf(value), 6.0f);  // a NaN becomes 6
  const uint32_t power = __float_as_uint(fmaxf(magnitude, 1.0f)) & 0x7F800000u;
  const float anchor = __uint_as_float(power + (22u << 23));
  const uint32_t count = __float_as_uint(__fadd_rn(magnitude, anchor)) & 0x7u;
  return (count + (power >> 22) - 254u) | (__float_as_uint(value) >> 28 & 8u);
}

// count codes, the first in the low nibble.
template <int COUNT>
__device__ __forceinline__ uint32_t e2m1_codes(const float* values) {
  uint32_t codes = 0;
#pragma unroll
  for (int i = 0; i < COUNT; ++i) {
    codes |= e2m1_code(values[i]) << 4 * i;
  }
  return codes;
}

}  // namespace

#endif  // FIAR_QUANT_FP4_E2M1_CUH
