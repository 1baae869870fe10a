// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elements of a type that the call names (fiar_element_t), one or FIAR_BLOCK_WIDTH at a time. For
// kernels that wait for memory: the branch on the type is the same for all threads.
#ifndef FIAR_DEVICE_ELEMENTS_CUH
#define FIAR_DEVICE_ELEMENTS_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include "block.h"
#include "quant/fp8_e4m3.cuh"

namespace {

__device__ __forceinline__ float e5m2_value(uint32_t code) {
  return __half2float(__ushort_as_half((unsigned short)(code << 8)));
}

// Two codes; the first value in the low byte. As e4m3_pair.
__device__ __forceinline__ uint32_t e5m2_pair(float low, float high) {
#if __CUDA_ARCH__ >= 890
  uint16_t codes;
  asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(high), "f"(low));
  return codes;
#else
  uint32_t first = low != low ? 0x7F : __nv_cvt_float_to_fp8(low, __NV_SATFINITE, __NV_E5M2);
  uint32_t second = high != high ? 0x7F : __nv_cvt_float_to_fp8(high, __NV_SATFINITE, __NV_E5M2);
  return first | second << 8;
#endif
}

__device__ __forceinline__ float round_to(float value, int element) {
  return element == FIAR_ELEMENT_BF16  ? __bfloat162float(__float2bfloat16_rn(value))
         : element == FIAR_ELEMENT_F16 ? __half2float(__float2half_rn(value))
                                       : value;
}

// `value` in the low bits, canonical where it is NaN. f16, bf16, f32, e4m3, e5m2.
__device__ __forceinline__ uint32_t encode_element(float value, int element) {
  switch (element) {
    case FIAR_ELEMENT_F16:
      return __half_as_ushort(__float2half_rn(value));
    case FIAR_ELEMENT_BF16:
      return __bfloat16_as_ushort(__float2bfloat16_rn(value));
    case FIAR_ELEMENT_F32:
      return value != value ? 0x7FFFFFFFu : __float_as_uint(value);
    case FIAR_ELEMENT_E4M3:
      return e4m3_pair(value, 0.0f) & 0xFFu;
    default:
      return e5m2_pair(value, 0.0f) & 0xFFu;
  }
}

__device__ __forceinline__ float decode_element(uint32_t bits, int element) {
  switch (element) {
    case FIAR_ELEMENT_F16:
      return __half2float(__ushort_as_half((unsigned short)bits));
    case FIAR_ELEMENT_BF16:
      return __uint_as_float(bits << 16);
    case FIAR_ELEMENT_F32:
      return __uint_as_float(bits);
    case FIAR_ELEMENT_E4M3:
      return e4m3_value(bits & 0xFFu);
    default:
      return e5m2_value(bits & 0xFFu);
  }
}

__device__ __forceinline__ int element_bytes(int element) {
  return element == FIAR_ELEMENT_F32                                   ? 4
         : element == FIAR_ELEMENT_F16 || element == FIAR_ELEMENT_BF16 ? 2
                                                                       : 1;
}

__device__ __forceinline__ uint32_t load_bits(const void* array, int bytes, int64_t index) {
  return bytes == 4   ? static_cast<const uint32_t*>(array)[index]
         : bytes == 2 ? static_cast<const uint16_t*>(array)[index]
                      : static_cast<const uint8_t*>(array)[index];
}

__device__ __forceinline__ void store_bits(void* array, int bytes, int64_t index, uint32_t bits) {
  if (bytes == 4) {
    static_cast<uint32_t*>(array)[index] = bits;
  } else if (bytes == 2) {
    static_cast<uint16_t*>(array)[index] = (uint16_t)bits;
  } else {
    static_cast<uint8_t*>(array)[index] = (uint8_t)bits;
  }
}

// Eight elements as words, 16 bytes or fewer at a time.
__device__ __forceinline__ void load_words(const void* array, int bytes, int64_t index,
                                           uint32_t* words) {
  const char* from = static_cast<const char*>(array) + index * bytes;
  if (bytes == 1) {
    const uint2 two = *reinterpret_cast<const uint2*>(from);
    words[0] = two.x;
    words[1] = two.y;
    return;
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if (i < bytes / 2) {
      const uint4 four = reinterpret_cast<const uint4*>(from)[i];
      words[4 * i] = four.x;
      words[4 * i + 1] = four.y;
      words[4 * i + 2] = four.z;
      words[4 * i + 3] = four.w;
    }
  }
}

__device__ __forceinline__ void store_words(void* array, int bytes, int64_t index,
                                            const uint32_t* words) {
  char* to = static_cast<char*>(array) + index * bytes;
  if (bytes == 1) {
    *reinterpret_cast<uint2*>(to) = make_uint2(words[0], words[1]);
    return;
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if (i < bytes / 2) {
      reinterpret_cast<uint4*>(to)[i] =
          make_uint4(words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3]);
    }
  }
}

template <int W>
__device__ __forceinline__ void load_elements(const void* array, int element, int64_t index,
                                              float* values) {
  const int bytes = element_bytes(element);
  if constexpr (W == 1) {
    values[0] = decode_element(load_bits(array, bytes, index), element);
  } else {
    uint32_t words[W];
    load_words(array, bytes, index, words);
#pragma unroll
    for (int i = 0; i < W; ++i) {
      const uint32_t bits = bytes == 4   ? words[i]
                            : bytes == 2 ? words[i / 2] >> 16 * (i % 2) & 0xFFFFu
                                         : words[i / 4] >> 8 * (i % 4) & 0xFFu;
      values[i] = decode_element(bits, element);
    }
  }
}

template <int W>
__device__ __forceinline__ void store_elements(void* array, int element, int64_t index,
                                               const float* values) {
  const int bytes = element_bytes(element);
  if constexpr (W == 1) {
    store_bits(array, bytes, index, encode_element(values[0], element));
  } else {
    uint32_t words[W] = {};
#pragma unroll
    for (int i = 0; i < W; ++i) {
      const uint32_t bits = encode_element(values[i], element);
      if (bytes == 4) {
        words[i] = bits;
      } else if (bytes == 2) {
        words[i / 2] |= bits << 16 * (i % 2);
      } else {
        words[i / 4] |= bits << 8 * (i % 4);
      }
    }
    store_words(array, bytes, index, words);
  }
}

// Calls body(row, col) for every W-th column of [rows, cols]: blocks along y share the rows,
// threads along x the columns.
template <int W, typename Body>
__device__ __forceinline__ void for_each(int64_t rows, int64_t cols, const Body& body) {
  const int64_t first = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * W;
  const int64_t step = (int64_t)gridDim.x * blockDim.x * W;
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    for (int64_t col = first; col < cols; col += step) {
      body(row, col);
    }
  }
}

}  // namespace

#define FIAR_BLOCK_ENTRY(stem)                                                                \
  extern "C" {                                                                                \
  extern const void* const fiar_block_kernel_##stem;                                          \
  const void* const fiar_block_kernel_##stem = reinterpret_cast<const void*>(&stem##_kernel); \
  }

#endif  // FIAR_DEVICE_ELEMENTS_CUH
