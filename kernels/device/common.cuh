// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Element type, 16-byte vectors and their conversions. Every .cu file is compiled once an element
// type, which FIAR_KERNEL_DTYPE names (a value of fiar_dtype_t).
#ifndef FIAR_DEVICE_COMMON_CUH
#define FIAR_DEVICE_COMMON_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include "kernels.h"

#define FIAR_IS_BF16 (FIAR_KERNEL_DTYPE == 2)
#define FIAR_IS_F32 (FIAR_KERNEL_DTYPE == 3)

// Elements a vector.
#define FIAR_E (FIAR_IS_F32 ? 4 : 8)

// Compute capabilities that special kernels serve: at least, and below.
#define FIAR_SPECIAL_MIN_SM 90
#define FIAR_SPECIAL_MAX_SM 120

namespace {

const uint32_t kCanonicalNan = FIAR_IS_F32 ? 0x7FFFFFFFu : 0x7FFF7FFFu;

__device__ __forceinline__ uint32_t word_of(const uint4& x, int i) {
  return i == 0 ? x.x : i == 1 ? x.y : i == 2 ? x.z : x.w;
}

#if FIAR_IS_F32
const int kElementsAWord = 1;
__device__ __forceinline__ void unpack(const uint4& x, float* values) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[i] = __uint_as_float(word_of(x, i));
  }
}
__device__ __forceinline__ float round_element(float value) {
  return value;
}
__device__ __forceinline__ uint32_t pack_word(const float* values) {
  return values[0] != values[0] ? kCanonicalNan : __float_as_uint(values[0]);
}
#elif FIAR_IS_BF16
const int kElementsAWord = 2;
__device__ __forceinline__ void unpack(const uint4& x, float* values) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[2 * i] = __uint_as_float(word_of(x, i) << 16);
    values[2 * i + 1] = __uint_as_float(word_of(x, i) & 0xFFFF0000u);
  }
}
__device__ __forceinline__ uint32_t pack_word(const float* values) {
  __nv_bfloat162 pair = __floats2bfloat162_rn(values[0], values[1]);
  return *reinterpret_cast<uint32_t*>(&pair);
}
// In pairs: the conversion of one alone takes longer.
__device__ __forceinline__ float round_element(float value) {
  const float pair[2] = {value, value};
  return __uint_as_float(pack_word(pair) << 16);
}
#else
const int kElementsAWord = 2;
__device__ __forceinline__ void unpack(const uint4& x, float* values) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    uint32_t word = word_of(x, i);
    float2 pair = __half22float2(*reinterpret_cast<__half2*>(&word));
    values[2 * i] = pair.x;
    values[2 * i + 1] = pair.y;
  }
}
__device__ __forceinline__ uint32_t pack_word(const float* values) {
  __half2 pair = __floats2half2_rn(values[0], values[1]);
  return *reinterpret_cast<uint32_t*>(&pair);
}
__device__ __forceinline__ float round_element(float value) {
  return __half2float(__float2half_rn(value));
}
#endif

// Rounds to the element type; a NaN becomes the canonical one (the conversions see to it).
__device__ __forceinline__ uint4 pack(const float* values) {
  return make_uint4(pack_word(values), pack_word(values + kElementsAWord),
                    pack_word(values + 2 * kElementsAWord), pack_word(values + 3 * kElementsAWord));
}

__device__ __forceinline__ uint4 filled(uint32_t word) {
  return make_uint4(word, word, word, word);
}

// What a compiled kernel knows of its calls; the rest it looks up in the arguments. WORLD 0: any.
// Of the traits KNOWN a call has just TRAITS.
template <int WORLD, int VECTORS, uint32_t KNOWN, uint32_t TRAITS>
struct kind {
  static constexpr int world = WORLD;
  static constexpr int vectors = VECTORS;  // a thread
  static constexpr bool special = KNOWN != 0;
  static constexpr uint32_t known_traits = TRAITS;  // that all of its calls have
  static constexpr bool draws = TRAITS & FIAR_TRAIT_DRAWS;
  static constexpr bool shards = false;  // may ranks hold the residual by rows?
#ifdef __CUDA_ARCH__
  // Special kernels are for the chips of NVLink machines; elsewhere they are empty.
  static constexpr bool has_code = !special || (__CUDA_ARCH__ >= 10 * FIAR_SPECIAL_MIN_SM &&
                                                __CUDA_ARCH__ < 10 * FIAR_SPECIAL_MAX_SM);
#else
  static constexpr bool has_code = true;
#endif
  static __device__ __forceinline__ uint32_t traits(const fiar_kernel_args_t& args) {
    return (args.traits & ~KNOWN) | TRAITS;
  }
};

// The same kind, for kernels of which they do.
template <typename K>
struct with_shards : K {
  static constexpr bool shards = true;
};

template <typename K>
__device__ __forceinline__ int world_of(const fiar_kernel_args_t& args) {
  return K::world ? K::world : args.peers.world;
}

// Where a row lies in the arrays that hold all of them. The kernels number rows so that rank
// row % world owns a row, which lies at row / world in that rank's residual. That is the place,
// too, where ranks hold every world-th row; where they hold blocks, one behind the other, it is
// not.
template <typename K>
__device__ __forceinline__ int place_of_row(const fiar_kernel_args_t& args, int row) {
  if (!K::shards || !(args.flags & FIAR_LAUNCH_ROW_BLOCKS)) {
    return row;
  }
  const uint32_t world = (uint32_t)world_of<K>(args), number = (uint32_t)row;
  return (int)(number % world * ((uint32_t)args.tokens / world) + number / world);
}

// How the threads of a launch share rows: a cluster of neighbouring blocks (or one block) a row,
// neighbouring threads on neighbouring vectors, V vectors a thread a cluster's width apart.
typedef struct {
  int row, row_step;    // this cluster's first row, and the number of clusters
  uint32_t byte, step;  // where this thread's first vector lies in a row, and how far the next is
  int count;            // of the thread's V vectors that are in the row
} place_t;

template <int V>
__device__ __forceinline__ place_t find_place(const fiar_kernel_args_t& args) {
  place_t at;
  const uint32_t rank = blockIdx.x & ((1u << args.cluster_shift) - 1);
  at.row = (int)(blockIdx.x >> args.cluster_shift);
  at.row_step = (int)(gridDim.x >> args.cluster_shift);
  at.step = (blockDim.x << args.cluster_shift) * (uint32_t)sizeof(uint4);
  at.byte = (rank * blockDim.x + threadIdx.x) * (uint32_t)sizeof(uint4);
  at.count = 0;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    at.count += at.byte + v * at.step < args.row_bytes;
  }
  return at;
}

// The thread's v-th vector, counted in the row.
__device__ __forceinline__ int vector_of(const place_t& at, int v) {
  return (int)((at.byte + v * at.step) / (uint32_t)sizeof(uint4));
}

// The thread's first vector of a row.
__device__ __forceinline__ uint64_t row_offset(const place_t& at, int row, uint32_t row_bytes) {
  return (uint64_t)(uint32_t)row * row_bytes + at.byte;
}

// A thread's vectors of a row; zero past the end.
template <int V>
__device__ __forceinline__ void load_row(const void* array, int row, uint32_t row_bytes,
                                         const place_t& at, uint4* x) {
  const char* from = static_cast<const char*>(array) + row_offset(at, row, row_bytes);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    x[v] = filled(0);
    if (v < at.count) {
      x[v] = *reinterpret_cast<const uint4*>(from + v * at.step);
    }
  }
}

template <int V>
__device__ __forceinline__ void store_row(void* array, int row, uint32_t row_bytes,
                                          const place_t& at, const uint4* x) {
  char* to = static_cast<char*>(array) + row_offset(at, row, row_bytes);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (v < at.count) {
      *reinterpret_cast<uint4*>(to + v * at.step) = x[v];
    }
  }
}

}  // namespace

#endif  // FIAR_DEVICE_COMMON_CUH
