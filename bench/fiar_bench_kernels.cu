// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fiar_bench_kernels.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include "fiar_bench_random.h"

namespace {

// Programmatic dependent launch begins with sm_90.
__device__ __forceinline__ void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

__device__ __forceinline__ uint64_t first_index() {
  return blockIdx.x * (uint64_t)blockDim.x + threadIdx.x;
}

__device__ __forceinline__ uint64_t index_step() {
  return (uint64_t)gridDim.x * blockDim.x;
}

__device__ __forceinline__ uint64_t now_ns() {
  uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

__device__ void store(void* array, uint8_t dtype, uint64_t i, float value) {
  if (dtype == FIAR_DTYPE_F32) {
    ((float*)array)[i] = value;
  } else if (dtype == FIAR_DTYPE_F16) {
    ((__half*)array)[i] = __float2half_rn(value);
  } else {
    ((__nv_bfloat16*)array)[i] = __float2bfloat16_rn(value);
  }
}

__device__ __forceinline__ float load(const void* array, uint8_t dtype, uint64_t i) {
  if (dtype == FIAR_DTYPE_F32) {
    return ((const float*)array)[i];
  }
  return dtype == FIAR_DTYPE_F16 ? __half2float(((const __half*)array)[i])
                                 : __bfloat162float(((const __nv_bfloat16*)array)[i]);
}

__global__ void fill_kernel(const __grid_constant__ bench_fill_args_t args) {
  const bench_fill_t& fill = args.fill;
  uint64_t count = (uint64_t)fill.rows * (uint64_t)fill.hidden;
  for (uint64_t i = first_index(); i < count; i += index_step()) {
    int64_t row = fill.first_row + (int64_t)(i / (uint64_t)fill.hidden) * fill.row_step;
    int32_t level = bench_level(fill.seed, row, (int64_t)(i % (uint64_t)fill.hidden), fill.levels);
    store(args.array, fill.dtype, i, (float)level * fill.step + fill.base);
  }
}

__global__ void hash_kernel(const __grid_constant__ bench_hash_args_t args) {
  uint64_t words = args.bytes / sizeof(uint32_t);
  uint64_t hash = 0;
  for (uint64_t i = first_index(); i < words; i += index_step()) {
    hash += bench_hash_part(i, ((const uint32_t*)args.array)[i]);
  }
  if (first_index() == 0 && args.bytes % sizeof(uint32_t) != 0) {
    uint32_t word = 0;
    for (uint64_t k = 0; k < args.bytes % sizeof(uint32_t); ++k) {
      word |= (uint32_t)((const uint8_t*)args.array)[words * sizeof(uint32_t) + k] << (8 * k);
    }
    hash += bench_hash_part(words, word);
  }
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    hash += __shfl_xor_sync(~0u, hash, lanes);
  }
  if (threadIdx.x % 32 == 0) {
    atomicAdd(args.hash, (unsigned long long)hash);
  }
}

__global__ void delay_kernel(uint64_t nanoseconds) {
  for (uint64_t end = now_ns() + nanoseconds; now_ns() < end;) {
    __nanosleep(100);
  }
}

// Waits for its predecessor as every kernel of a chain does.
__global__ void empty_kernel(int unused) {
  (void)unused;
  wait_for_previous();
}

__global__ void flag_kernel(const __grid_constant__ bench_flag_args_t args) {
  uint64_t end = now_ns() + args.timeout_ns;
  for (uint32_t round = args.first; round < args.first + args.rounds; ++round) {
    if (args.serves) {
      *args.theirs = round;
    }
    for (uint32_t polls = 1; *args.mine != round; ++polls) {
      if (polls % 1024 == 0 && now_ns() > end) {
        *args.error = 1;
        return;
      }
    }
    if (!args.serves) {
      *args.theirs = round;
    }
  }
}

__global__ void egress_kernel(const __grid_constant__ bench_egress_args_t args) {
  uint4 value = make_uint4(args.value, args.value + 1, args.value + 2, args.value + 3);
  for (uint64_t i = first_index(); i < args.vectors; i += index_step()) {
    for (int peer = 0; peer < args.peer_count; ++peer) {
      ((uint4*)args.peers[peer])[i] = value;
    }
  }
}

__global__ void quant_kernel(const __grid_constant__ bench_quant_args_t args) {
  float scale = *args.scale;
  wait_for_previous();
  for (uint64_t i = first_index(); i < args.elements / 8; i += index_step()) {
    uint64_t codes = 0;
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      float value = load(args.norm, args.dtype, i * 8 + k) / scale;
      codes |= (uint64_t)__nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3) << (8 * k);
    }
    ((uint64_t*)args.codes)[i] = codes;
  }
}

}  // namespace

extern "C" const void* const bench_kernels[BENCH_KERNEL_COUNT] = {
    (const void*)fill_kernel,  (const void*)hash_kernel, (const void*)delay_kernel,
    (const void*)empty_kernel, (const void*)flag_kernel, (const void*)egress_kernel,
    (const void*)quant_kernel,
};
