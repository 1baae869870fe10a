// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-bench: its own few kernels, for inputs, checks, floors and one baseline. Internal.
#ifndef FIAR_BENCH_KERNELS_H
#define FIAR_BENCH_KERNELS_H

#include <stdint.h>

#include "fiar_bench_device.h"

#ifdef __cplusplus
extern "C" {
#endif

// Each kernel takes the one struct named beside it, by value.
typedef enum bench_kernel {
  BENCH_KERNEL_FILL,    // bench_fill_args_t
  BENCH_KERNEL_HASH,    // bench_hash_args_t
  BENCH_KERNEL_DELAY,   // uint64_t: nanoseconds that one thread spins
  BENCH_KERNEL_EMPTY,   // int: unused
  BENCH_KERNEL_FLAG,    // bench_flag_args_t
  BENCH_KERNEL_EGRESS,  // bench_egress_args_t
  BENCH_KERNEL_QUANT,   // bench_quant_args_t
  BENCH_KERNEL_COUNT
} bench_kernel_t;

// Entries for cudaLaunchKernelExC.
extern const void* const bench_kernels[BENCH_KERNEL_COUNT];

typedef struct bench_fill_args {
  bench_fill_t fill;
  void* array;
} bench_fill_args_t;

typedef struct bench_hash_args {
  const void* array;
  uint64_t bytes;
  unsigned long long* hash;  // added to
} bench_hash_args_t;

// A ball between two devices, `rounds` there and back. The one that serves writes round numbers to
// `theirs`, which the other one sees in its `mine` and answers. Leaves after timeout_ns, which
// *error then says.
typedef struct bench_flag_args {
  volatile uint32_t* mine;
  volatile uint32_t* theirs;
  uint32_t* error;
  uint64_t timeout_ns;
  uint32_t first, rounds;
  int32_t serves;
} bench_flag_args_t;

// Every block stores its part of `vectors` 16-byte vectors to each of the peers.
typedef struct bench_egress_args {
  void* peers[BENCH_MAX_RANKS];
  uint64_t vectors;
  int32_t peer_count;
  uint32_t value;
} bench_egress_args_t;

// codes = e4m3(norm / *scale): the static quantiser as a kernel of its own. elements % 8 == 0.
typedef struct bench_quant_args {
  const void* norm;
  const float* scale;
  void* codes;
  uint64_t elements;
  uint8_t dtype;
} bench_quant_args_t;

#ifdef __cplusplus
}
#endif
#endif  // FIAR_BENCH_KERNELS_H
