// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From the largest magnitude of a block of values to its scale, and from a vector of values to
// codes: a function a format, and the one switch between them. docs/numerics.md has the formulas;
// the arithmetic here is theirs, operation by operation.
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

// What the call says of its quantiser.
typedef struct {
  uint32_t traits;
  float given, scale_min;  // given: the caller's scale, else 1
} format_t;

// The caller's scale, or 1. Only after the dependency wait.
template <typename K>
__device__ __forceinline__ float given_scale(const fiar_kernel_args_t& args) {
  return K::traits(args) & FIAR_TRAIT_GIVEN ? *args.scale : 1.0f;
}

template <typename K>
__device__ __forceinline__ format_t format_of(const fiar_kernel_args_t& args, float given) {
  const format_t format = {K::traits(args), given, args.scale_min};
  return format;
}

__device__ __forceinline__ void encode_e4m3(const float* z, encoded_t* out) {
  out->low = e4m3_four(z);
  out->high = FIAR_E == 8 ? e4m3_four(z + FIAR_E - 4) : 0;
}

__device__ __forceinline__ void encode_fp8_static(const float* y, bool divides, float given,
                                                  float reciprocal, encoded_t* out) {
  float z[FIAR_E];
  if (divides) {
    divide_for_codes<FIAR_E>(y, given, reciprocal, z);
  } else {
    multiply_for_codes<FIAR_E>(y, given, z);
  }
  encode_e4m3(z, out);
}

// fp8_token and fp8_group, out of line: any scale.
__device__ __noinline__ encoded_t encode_fp8_rare(uint4 values, float amax, format_t format) {
  const float scale = max_or_nan(divide_by_largest(amax, 448.0f), format.scale_min);
  encoded_t out;
  float y[FIAR_E], z[FIAR_E];
  unpack(values, y);
  if (format.traits & FIAR_TRAIT_EXPONENTS) {
    out.scale = ue8m0_above(scale);
    multiply_for_codes<FIAR_E>(y, ue8m0_reciprocal(out.scale), z);
  } else {
    out.scale = __float_as_uint(scale);
    const float reciprocal = __frcp_rn(scale);
    if (format.traits & FIAR_TRAIT_DIVIDES) {
      divide_for_codes<FIAR_E>(y, scale, reciprocal, z);
    } else {
      multiply_for_codes<FIAR_E>(y, reciprocal, z);
    }
  }
  encode_e4m3(z, &out);
  return out;
}

// The same: amounts as most are, without a branch; what is very small, very large or NaN out of
// line. No value is above amax, so no quotient above 448.
__device__ __forceinline__ encoded_t encode_fp8_scaled(const format_t& format, const uint4& values,
                                                       float amax) {
  const float wanted = fmaxf(fiar_divide_finite_by_largest(amax, 448.0f), format.scale_min);
  if (!(amax >= 0x1p-50f && amax <= 0x1p50f && wanted <= 0x1p50f)) {  // NaNs neither
    return encode_fp8_rare(values, amax, format);
  }
  encoded_t out;
  float y[FIAR_E], z[FIAR_E];
  unpack(values, y);
  const bool exponents = format.traits & FIAR_TRAIT_EXPONENTS;
  const uint32_t bits = __float_as_uint(wanted);
  const uint32_t power = (bits + 0x007FFFFFu) & 0x7F800000u;  // the power of two at or above it
  const float scale = __uint_as_float(exponents ? power : bits);
  const float by = reciprocal_of(scale);
  quotients_for_codes<FIAR_E>(y, scale, by, format.traits & FIAR_TRAIT_DIVIDES ? by : 0.0f, z);
  out.scale = exponents ? power >> 23 : bits;
  encode_e4m3(z, &out);
  return out;
}

__device__ __forceinline__ void encode_mx(const format_t& format, const float* y, float amax,
                                          encoded_t* out) {
  const bool fp4 = format.traits & FIAR_TRAIT_FP4;
  out->scale = ue8m0_of_amax(__float_as_uint(amax), fp4 ? 2 : 8);
  float z[FIAR_E];
  multiply_for_codes<FIAR_E>(y, ue8m0_reciprocal(out->scale), z);
  if (fp4) {
    out->low = e2m1_codes<FIAR_E>(z);
  } else {
    encode_e4m3(z, out);
  }
}

// Only nvfp4 by division changes the values before their block's largest is taken.
__device__ __forceinline__ bool divides_first(const format_t& format) {
  return format.traits & FIAR_TRAIT_NVFP4 && format.traits & FIAR_TRAIT_DIVIDES &&
         format.given != 1.0f;
}

__device__ __noinline__ encoded_t encode_nvfp4_rare(uint4 values, float amax, format_t format) {
  const bool divides = format.traits & FIAR_TRAIT_DIVIDES;
  const float wanted = max_or_nan(divide_by_largest(amax, 6.0f), format.scale_min);
  encoded_t out = {0, 0, 0};
  out.scale = e4m3_pair(divides ? wanted : __fmul_rn(format.given, wanted), 0.0f) & 0xFFu;
  const float scale = e4m3_value(out.scale);
  float y[FIAR_E], z[FIAR_E];
  unpack(values, y);
  if (divides_first(format)) {
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      y[i] = __fdiv_rn(y[i], format.given);
    }
  }
  if (divides) {
    divide_for_codes<FIAR_E>(y, scale, __frcp_rn(scale), z);
  } else {
    multiply_for_codes<FIAR_E>(y, __fdiv_rn(format.given, scale), z);
  }
  out.low = scale == 0.0f ? 0 : e2m1_codes<FIAR_E>(z);
  return out;
}

// As encode_fp8_scaled; quotients by a scale that saturated become the largest code.
__device__ __forceinline__ encoded_t encode_nvfp4(const format_t& format, const uint4& values,
                                                  float amax) {
  const bool divides = format.traits & FIAR_TRAIT_DIVIDES;
  const float wanted = fmaxf(fiar_divide_finite_by_largest(amax, 6.0f), format.scale_min);
  encoded_t out = {0, 0, 0};
  out.scale = e4m3_pair(divides ? wanted : __fmul_rn(format.given, wanted), 0.0f) & 0xFFu;
  if (!(amax >= 0x1p-50f && amax <= 0x1p60f && divides_fast(format.given)) ||
      (out.scale & 0x7Fu) == 0 || divides_first(format)) {
    return encode_nvfp4_rare(values, amax, format);
  }
  const float scale = e4m3_value(out.scale);
  const float reciprocal = reciprocal_of(scale);
  float y[FIAR_E], z[FIAR_E];
  unpack(values, y);
  quotients_for_codes<FIAR_E>(y, scale,
                              divides ? reciprocal : divide_by(format.given, scale, reciprocal),
                              divides ? reciprocal : 0.0f, z);
  out.low = e2m1_codes<FIAR_E>(z);
  return out;
}

// A vector's codes, and its block's scale from the block's largest magnitude (largest_to_encode).
__device__ __forceinline__ encoded_t encode_here(const uint4& values, float amax,
                                                 const format_t& format) {
  if (format.traits & FIAR_TRAIT_NVFP4) {
    return encode_nvfp4(format, values, amax);
  }
  if (!(format.traits & (FIAR_TRAIT_STATIC | FIAR_TRAIT_MX))) {
    return encode_fp8_scaled(format, values, amax);
  }
  encoded_t out = {0, 0, 0};
  float y[FIAR_E];
  unpack(values, y);
  if (format.traits & FIAR_TRAIT_STATIC) {
    encode_fp8_static(y, format.traits & FIAR_TRAIT_DIVIDES, format.given, __frcp_rn(format.given),
                      &out);
  } else {
    encode_mx(format, y, amax, &out);
  }
  return out;
}

// The same out of line, where it would be there several times.
__device__ __noinline__ encoded_t encode(uint4 values, float amax, format_t format) {
  return encode_here(values, amax, format);
}

// As bits of a non-negative float, so that NaN is above all.
__device__ __forceinline__ uint32_t largest_magnitude(const float* y) {
  uint32_t largest = 0;
#pragma unroll
  for (int i = 0; i < FIAR_E; ++i) {
    largest = max(largest, __float_as_uint(y[i]) & 0x7FFFFFFFu);
  }
  return largest;
}

__device__ __noinline__ uint32_t largest_quotient(uint4 values, float by) {
  float y[FIAR_E];
  unpack(values, y);
#pragma unroll
  for (int i = 0; i < FIAR_E; ++i) {
    y[i] = __fdiv_rn(y[i], by);
  }
  return largest_magnitude(y);
}

// A vector's largest magnitude, of what the format takes the scale of.
__device__ __forceinline__ uint32_t largest_to_encode(const uint4& values, const format_t& format) {
  if (divides_first(format)) {
    return largest_quotient(values, format.given);
  }
  float y[FIAR_E];
  unpack(values, y);
  return largest_magnitude(y);
}

// Where vector `index` of the codes lies, counted over all rows.
template <typename K>
__device__ __forceinline__ void* codes_at(const fiar_kernel_args_t& args, int64_t index) {
  const int bytes = K::traits(args) & FIAR_TRAIT_FP4 ? FIAR_E / 2 : FIAR_E;
  return static_cast<char*>(args.quant_out) + index * bytes;
}

template <typename K>
__device__ __forceinline__ void store_codes(const fiar_kernel_args_t& args, void* at,
                                            const encoded_t& codes) {
  if (K::traits(args) & FIAR_TRAIT_FP4) {
#if FIAR_IS_F32
    *static_cast<uint16_t*>(at) = (uint16_t)codes.low;
#else
    *static_cast<uint32_t*>(at) = codes.low;
#endif
  } else {
#if FIAR_IS_F32
    *static_cast<uint32_t*>(at) = codes.low;
#else
    *static_cast<uint2*>(at) = make_uint2(codes.low, codes.high);
#endif
  }
}

}  // namespace

#endif  // FIAR_QUANT_FORMATS_CUH
