// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ranks for the kernel tests, driven by one thread: a GPU each where there are enough that reach
// one another, else all on one GPU with a share of its multiprocessors, so that their kernels run
// at once.
#ifndef FIAR_KERNEL_RANKS_H
#define FIAR_KERNEL_RANKS_H

#include <cuda_runtime_api.h>

#include "launch.h"

typedef struct rank_memory {
  int device;
  cudaStream_t stream;
  fiar_peers_t peers;
  unsigned char* arena;  // device memory for the calls' arrays
} rank_memory_t;

typedef struct ranks {
  int world;
  fiar_device_caps_t caps;
  size_t arena_bytes;
  rank_memory_t rank[FIAR_KERNEL_MAX_WORLD];
} ranks_t;

// Ends the program with a sentence when a CUDA call or a fiar call fails: nothing can be tested
// then.
#define CUDA_OR_DIE(call) die_if((call) != cudaSuccess, #call, __LINE__)
#define FIAR_OR_DIE(call) die_if((call) != FIAR_OK, #call, __LINE__)
_Noreturn void die(const char* what, int line);
static inline void die_if(int failed, const char* what, int line) {
  if (failed) {
    die(what, line);
  }
}

// one_gpu: all ranks on device 0 even where there are more.
void ranks_open(ranks_t* ranks, int world, uint64_t slot_bytes, size_t arena_bytes,
                uint64_t timeout_ns, int one_gpu);
void ranks_close(ranks_t* ranks);
void ranks_wait(const ranks_t* ranks);
// After copies from pageable memory, which may return before the data has landed.
void ranks_settle(const ranks_t* ranks);

// 1 when every byte of every slot is empty again.
int ranks_slots_are_empty(const ranks_t* ranks);

#endif  // FIAR_KERNEL_RANKS_H
