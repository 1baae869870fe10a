// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// e4m3: nearest even, saturating at 448, NaN as 0x7F.
#ifndef FIAR_QUANT_FP8_E4M3_CUH
#define FIAR_QUANT_FP8_E4M3_CUH

#include <cuda_fp16.h>
#include <cuda_fp8.h>

namespace {

// Two codes; the first value in the low byte.
__device__ __forceinline__ uint32_t e4m3_pair(float low, float high) {
#if __CUDA_ARCH__ >= 890
  uint16_t codes;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(high), "f"(low));
  return codes;
#else
  uint32_t first = low != low ? 0x7F : __nv_cvt_float_to_fp8(low, __NV_SATFINITE, __NV_E4M3);
  uint32_t second = high != high ? 0x7F : __nv_cvt_float_to_fp8(high, __NV_SATFINITE, __NV_E4M3);
  return first | second << 8;
#endif
}

__device__ __forceinline__ uint32_t e4m3_four(const float* values) {
  return e4m3_pair(values[0], values[1]) | e4m3_pair(values[2], values[3]) << 16;
}

__device__ __forceinline__ float e4m3_value(uint32_t code) {
#if __CUDA_ARCH__ >= 890
  uint32_t halves;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"((uint16_t)code));
  return __half2float(__ushort_as_half((uint16_t)halves));
#else
  uint32_t field = code >> 3 & 0xF, units = code & 7;
  if ((code & 0x7F) == 0x7F) {
    return __uint_as_float(0x7FFFFFFFu);
  }
  float magnitude =
      field == 0 ? (float)units * 0x1p-9f : __uint_as_float((field + 120) << 23 | units << 20);
  return code & 0x80 ? -magnitude : magnitude;
#endif
}

}  // namespace

#endif  // FIAR_QUANT_FP8_E4M3_CUH
