// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Scales: power-of-two exponents, and where a scale lies (docs/numerics.md, "Scale layouts").
#ifndef FIAR_QUANT_SCALES_CUH
#define FIAR_QUANT_SCALES_CUH

#include <stdint.h>

#include "scale_math.h"

namespace {

// The larger; a NaN wins. Both are >= 0.
__device__ __forceinline__ float max_or_nan(float a, float b) {
  return a != a || b != b ? __uint_as_float(0x7FFFFFFFu) : a > b ? a : b;
}

__device__ __forceinline__ float ue8m0_value(uint32_t byte) {
  return __uint_as_float(byte == 0 ? 0x00400000u : byte == 255 ? 0x7FFFFFFFu : byte << 23);
}

// 1 / ue8m0_value(byte), exactly.
__device__ __forceinline__ float ue8m0_reciprocal(uint32_t byte) {
  return ue8m0_value(byte == 255 ? 255 : 254 - byte);
}

// The power of two at or above scale >= 0, within 2^-127 .. 2^127.
__device__ __forceinline__ uint32_t ue8m0_above(float scale) {
  uint32_t bits = __float_as_uint(scale) & 0x7FFFFFFFu;
  if (bits > 0x7F800000u) {
    return 255;
  }
  if (bits <= 0x00400000u) {
    return 0;
  }
  uint32_t byte = (bits + 0x007FFFFFu) >> 23;
  return byte < 254 ? byte : 254;
}

// floor(log2(amax)) less the exponent of the code's largest value (OCP MX 1.0, 6.3), within the
// same.
__device__ __forceinline__ uint32_t ue8m0_of_amax(uint32_t amax, int largest_exponent) {
  if (amax > 0x7F800000u) {
    return 255;
  }
  int byte = (int)(amax >> 23) - largest_exponent;
  return amax == 0x7F800000u ? 254 : byte > 0 ? byte : 0;
}

__device__ __forceinline__ int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// Rows and columns with the layout's padding.
__device__ __forceinline__ int64_t padded_rows(const fiar_kernel_args_t& args) {
  const int layout = args.call.scale_layout;
  return round_up(args.tokens, layout == FIAR_SCALE_LAYOUT_SWIZZLED_128X4 ? 128
                               : layout == FIAR_SCALE_LAYOUT_SWIZZLED_8X4 ? 8
                               : layout == FIAR_SCALE_LAYOUT_COLUMN_MAJOR ? 4
                                                                          : 1);
}

__device__ __forceinline__ int64_t padded_cols(const fiar_kernel_args_t& args) {
  const bool whole_words = args.call.scale_layout != FIAR_SCALE_LAYOUT_LINEAR &&
                           args.call.scale_type != FIAR_SCALE_TYPE_F32;
  return whole_words ? round_up(args.scale_cols, 4) : args.scale_cols;
}

template <typename K>
__device__ __forceinline__ bool scales_are_bytes(const fiar_kernel_args_t& args) {
  return K::traits(args) & (FIAR_TRAIT_EXPONENTS | FIAR_TRAIT_NVFP4 | FIAR_TRAIT_MX);
}

template <typename K>
__device__ __forceinline__ void* scale_at(const fiar_kernel_args_t& args, uint32_t row,
                                          uint32_t col) {
  const uint64_t index = fiar_scale_index(args.scale_strides, row, col);
  return static_cast<uint8_t*>(args.scales_out) + (scales_are_bytes<K>(args) ? index : 4 * index);
}

// scale: the f32's bits, or the byte.
template <typename K>
__device__ __forceinline__ void store_scale(const fiar_kernel_args_t& args, void* at,
                                            uint32_t scale) {
  if (scales_are_bytes<K>(args)) {
    *static_cast<uint8_t*>(at) = (uint8_t)scale;
  } else {
    *static_cast<uint32_t*>(at) = scale;
  }
}

// Rows past the last. Four one-byte scales lie together in a word, in every layout that has
// padding.
__device__ __forceinline__ void clear_padded_rows(const fiar_kernel_args_t& args, int thread,
                                                  int threads) {
  const bool f32 = args.call.scale_type == FIAR_SCALE_TYPE_F32;
  const int width = f32 ? 1 : 4;
  const int words = (int)(f32 ? args.scale_cols : padded_cols(args) / 4);
  const int rows = (int)(padded_rows(args) - args.tokens);
  for (int i = thread; i < rows * words; i += threads) {
    const uint64_t at =
        fiar_scale_index(args.scale_strides, args.tokens + i / words, i % words * width);
    static_cast<uint32_t*>(args.scales_out)[at / width] = 0;
  }
}

__device__ __noinline__ void clear_padding(const fiar_kernel_args_t& args, int thread,
                                           int threads) {
  const int cols = args.scale_cols, all_cols = (int)padded_cols(args);
  clear_padded_rows(args, thread, threads);
  if (cols < all_cols) {
    for (int row = thread; row < args.tokens; row += threads) {
      for (int col = cols; col < all_cols; ++col) {
        static_cast<uint8_t*>(args.scales_out)[fiar_scale_index(args.scale_strides, row, col)] = 0;
      }
    }
  }
}

// Zeroes what lies between the scales and the ends of their padded rows and columns. The blocks
// that have no row do it, where there are some, else all; once.
template <typename K>
__device__ __forceinline__ void pad_scales(const fiar_kernel_args_t& args) {
  if (!(K::traits(args) & FIAR_TRAIT_PADDED)) {
    return;
  }
  const int busy = args.tokens << args.cluster_shift, blocks = (int)gridDim.x;
  const int first = busy < blocks ? busy : 0;
  if ((int)blockIdx.x >= first) {
    clear_padding(args, (int)((blockIdx.x - first) * blockDim.x + threadIdx.x),
                  (int)((blocks - first) * blockDim.x));
  }
}

}  // namespace

#endif  // FIAR_QUANT_SCALES_CUH
