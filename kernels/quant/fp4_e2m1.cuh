// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// e2m1: nearest even, saturating at 6, NaN as +6. In software everywhere: few chips convert it, and
// it is a handful of instructions.
#ifndef FIAR_QUANT_FP4_E2M1_CUH
#define FIAR_QUANT_FP4_E2M1_CUH

#include <stdint.h>

namespace {

// Values are 0.5 apart up to 2, 1 up to 4, 2 up to 6. Adding a number whose last bit is worth that
// much rounds as wanted and leaves the count in the low bits; counts and codes are even together.
__device__ __forceinline__ uint32_t e2m1_code(float value) {
  float magnitude = fminf(fabsf(value), 6.0f);  // a NaN becomes 6
  float anchor = magnitude < 2.0f ? 0x1p22f : magnitude < 4.0f ? 0x1p23f : 0x1p24f;
  uint32_t base = magnitude < 2.0f ? 0u : magnitude < 4.0f ? 2u : 4u;
  uint32_t code = (__float_as_uint(__fadd_rn(magnitude, anchor)) & 0x7u) + base;
  return code | (value < 0.0f || __float_as_uint(value) == 0x80000000u ? 8u : 0u);
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
