// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-bench: the inputs, as a function of their place, in C and CUDA alike. So the host can give
// the oracle any row of any rank without asking that rank. Internal.
#ifndef FIAR_BENCH_RANDOM_H
#define FIAR_BENCH_RANDOM_H

#include <stdint.h>

#ifdef __CUDACC__
#define BENCH_BOTH static __host__ __device__ __forceinline__
#else
#define BENCH_BOTH static inline
#endif

// A bijection that spreads every input bit over all output bits (the finaliser of MurmurHash3).
BENCH_BOTH uint64_t bench_mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

// An integer in [-levels, levels), levels a power of two.
BENCH_BOTH int32_t bench_level(uint64_t seed, int64_t row, int64_t column, int32_t levels) {
  uint64_t place = ((uint64_t)row << 24) ^ (uint64_t)column;
  uint32_t bits = (uint32_t)(bench_mix(place ^ bench_mix(seed)) >> 32);
  return (int32_t)(bits & (uint32_t)(2 * levels - 1)) - levels;
}

// A word's part in an array's hash, which is the sum of all parts: any order gives the same.
BENCH_BOTH uint64_t bench_hash_part(uint64_t index, uint32_t word) {
  return bench_mix((index << 32) ^ (index >> 32) ^ word ^ 0x9e3779b97f4a7c15ULL);
}

#endif  // FIAR_BENCH_RANDOM_H
