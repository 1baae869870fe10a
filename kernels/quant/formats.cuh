// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From the largest magnitude of a block of values to its scale, and from a vector of values to
// codes: one pair of functions a format, and the one switch between them. docs/numerics.md has the
// formulas; the arithmetic here is theirs, operation by operation.
#ifndef FIAR_QUANT_FORMATS_CUH
#define FIAR_QUANT_FORMATS_CUH

#include "device/common.cuh"
#include "quant/divide.cuh"
#include "quant/fp4_e2m1.cuh"
#include "quant/fp8_e4m3.cuh"
#include "quant/scales.cuh"

namespace {

// FIAR_E codes of 8 or 4 bits, low first, and the scale they share: an f32's bits or a byte.
typedef struct {
  uint32_t low, high;  // high: the second four of eight 8-bit codes, else 0
  uint32_t scale;
} encoded_t;

// Divides by the scale that the caller gave (1 where none): of fp8_static and nvfp4. Reads it: only
// after the dependency wait.
__device__ __forceinline__ divisor_t given_divisor(const fiar_all_reduce_norm_params& call) {
  const bool given = call.quant == FIAR_QUANT_FP8_STATIC || call.quant == FIAR_QUANT_NVFP4;
  return make_divisor(given && call.scale ? *call.scale : 1.0f);
}

__device__ __forceinline__ bool divides(const fiar_all_reduce_norm_params& call) {
  return call.scale_is == FIAR_SCALE_IS_DIVISOR;
}

__device__ __forceinline__ void encode_e4m3(const float* y, encoded_t* out) {
  out->low = e4m3_four(y);
  out->high = FIAR_E == 8 ? e4m3_four(y + FIAR_E - 4) : 0;
}

__device__ __forceinline__ void scale_e4m3(const float* y, float factor, encoded_t* out) {
  float z[FIAR_E];
#pragma unroll
  for (int i = 0; i < FIAR_E; ++i) {
    z[i] = __fmul_rn(y[i], factor);
  }
  encode_e4m3(z, out);
}

__device__ __forceinline__ void divide_e4m3(const float* y, const divisor_t& by, encoded_t* out) {
  float z[FIAR_E];
#pragma unroll
  for (int i = 0; i < FIAR_E; ++i) {
    z[i] = quotient_for_code(y[i], by);
  }
  encode_e4m3(z, out);
}

__device__ __forceinline__ void encode_fp8_static(const fiar_all_reduce_norm_params& call,
                                                  const divisor_t& given, const float* y,
                                                  encoded_t* out) {
  if (divides(call)) {
    divide_e4m3(y, given, out);
  } else {
    scale_e4m3(y, given.scale, out);
  }
}

// fp8_token and fp8_group.
__device__ __forceinline__ void encode_fp8_scaled(const fiar_all_reduce_norm_params& call,
                                                  const float* y, float amax, encoded_t* out) {
  float scale = max_or_nan(__fdiv_rn(amax, 448.0f), call.scale_min);
  if (call.scale_type == FIAR_SCALE_TYPE_UE8M0) {
    out->scale = ue8m0_above(scale);
    scale_e4m3(y, ue8m0_reciprocal(out->scale), out);
    return;
  }
  out->scale = __float_as_uint(scale);
  divisor_t divisor = make_divisor(scale);
  if (divides(call)) {
    divide_e4m3(y, divisor, out);
  } else {
    scale_e4m3(y, divisor.reciprocal, out);
  }
}

__device__ __forceinline__ void encode_mxfp8(const float* y, float amax, encoded_t* out) {
  out->scale = ue8m0_of_amax(__float_as_uint(amax), 8);
  scale_e4m3(y, ue8m0_reciprocal(out->scale), out);
}

__device__ __forceinline__ void encode_mxfp4(const float* y, float amax, encoded_t* out) {
  out->scale = ue8m0_of_amax(__float_as_uint(amax), 2);
  const float factor = ue8m0_reciprocal(out->scale);
  float z[FIAR_E];
#pragma unroll
  for (int i = 0; i < FIAR_E; ++i) {
    z[i] = __fmul_rn(y[i], factor);
  }
  out->low = e2m1_codes<FIAR_E>(z);
}

__device__ __forceinline__ void encode_nvfp4(const fiar_all_reduce_norm_params& call,
                                             const divisor_t& given, const float* y, float amax,
                                             encoded_t* out) {
  float wanted = max_or_nan(__fdiv_rn(amax, 6.0f), call.scale_min);
  out->scale = e4m3_pair(divides(call) ? wanted : __fmul_rn(given.scale, wanted), 0.0f) & 0xFFu;
  const float scale = e4m3_value(out->scale);
  const divisor_t divisor = make_divisor(scale);
  const float factor = divides(call) ? 0.0f : __fdiv_rn(given.scale, scale);
  float z[FIAR_E];
#pragma unroll
  for (int i = 0; i < FIAR_E; ++i) {
    z[i] = divides(call) ? quotient_for_code(y[i], divisor) : __fmul_rn(y[i], factor);
  }
  out->low = scale == 0.0f ? 0 : e2m1_codes<FIAR_E>(z);
}

// What the scale is taken of, in place: only nvfp4 by division changes the values first.
__device__ __forceinline__ void prepare_values(const fiar_all_reduce_norm_params& call,
                                               const divisor_t& given, float* y) {
  if (call.quant == FIAR_QUANT_NVFP4 && divides(call) && given.scale != 1.0f) {
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      y[i] = __fdiv_rn(y[i], given.scale);
    }
  }
}

__device__ __forceinline__ uint32_t largest_magnitude(const float* y) {
  uint32_t largest = 0;
#pragma unroll
  for (int i = 0; i < FIAR_E; ++i) {
    uint32_t magnitude = __float_as_uint(y[i]) & 0x7FFFFFFFu;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

// y: prepared values; amax: the largest magnitude of their block.
__device__ __forceinline__ encoded_t encode(const fiar_all_reduce_norm_params& call,
                                            const divisor_t& given, const float* y, float amax) {
  encoded_t out = {0, 0, 0};
  switch (call.quant) {
    case FIAR_QUANT_FP8_STATIC:
      encode_fp8_static(call, given, y, &out);
      break;
    case FIAR_QUANT_FP8_TOKEN:
    case FIAR_QUANT_FP8_GROUP:
      encode_fp8_scaled(call, y, amax, &out);
      break;
    case FIAR_QUANT_MXFP8:
      encode_mxfp8(y, amax, &out);
      break;
    case FIAR_QUANT_MXFP4:
      encode_mxfp4(y, amax, &out);
      break;
    case FIAR_QUANT_NVFP4:
      encode_nvfp4(call, given, y, amax, &out);
      break;
    default:
      break;
  }
  return out;
}

__device__ __forceinline__ bool is_fp4(int quant) {
  return quant == FIAR_QUANT_NVFP4 || quant == FIAR_QUANT_MXFP4;
}

// Vector `index` of the codes, counted over all rows.
__device__ __forceinline__ void store_codes(const fiar_all_reduce_norm_params& call, int64_t index,
                                            const encoded_t& codes) {
  if (is_fp4(call.quant)) {
#if FIAR_IS_F32
    static_cast<uint16_t*>(call.quant_out)[index] = (uint16_t)codes.low;
#else
    static_cast<uint32_t*>(call.quant_out)[index] = codes.low;
#endif
  } else {
#if FIAR_IS_F32
    static_cast<uint32_t*>(call.quant_out)[index] = codes.low;
#else
    static_cast<uint2*>(call.quant_out)[index] = make_uint2(codes.low, codes.high);
#endif
  }
}

}  // namespace

#endif  // FIAR_QUANT_FORMATS_CUH
