// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-bench: where the ranks compute. One table of functions for the host, one for CUDA, so that
// the rest of the tool does not know which it runs on. Internal.
#ifndef FIAR_BENCH_DEVICE_H
#define FIAR_BENCH_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fiar_bench.h"

// Enqueues one chain of calls on the stream; called once to warm up, and once to be captured or
// once a chain.
typedef fiar_status_t (*bench_enqueue_fn)(void* context, void* stream);

// What fills an array: element i of row r of array `seed` has the value bench_level(seed, r, i) *
// step + base, a number that dtype holds exactly. Rows of a token shard are rows first_row,
// first_row + row_step, ... of the full array.
typedef struct bench_fill {
  uint64_t seed;
  int64_t rows, hidden;
  int64_t first_row, row_step;
  int32_t levels;  // the level is in [-levels, levels)
  float step, base;
  uint8_t dtype;
} bench_fill_t;

typedef struct bench_time {
  double device_us;  // the whole chain, on the device's clock
  double host_us;    // of it, what the calling thread took to enqueue it
} bench_time_t;

typedef struct bench_chain bench_chain_t;

typedef struct bench_device {
  const char* name;

  // Makes the device current for the calling thread and opens a stream on it.
  fiar_status_t (*open)(int32_t ordinal, void** out_state);
  void (*close)(void* state);
  void* (*stream)(void* state);
  size_t (*cache_bytes)(void* state);  // last level, 0: not known
  void (*describe)(void* state, char* out_text, size_t room);

  fiar_status_t (*alloc)(void* state, size_t bytes, void** out_memory);
  void (*release)(void* state, void* memory);

  // These return when they are done.
  fiar_status_t (*fill)(void* state, void* array, const bench_fill_t* fill);
  fiar_status_t (*poison)(void* state, void* array, size_t bytes);
  fiar_status_t (*to_host)(void* state, void* host, const void* array, size_t bytes);
  fiar_status_t (*to_device)(void* state, void* array, const void* host, size_t bytes);
  fiar_status_t (*hash)(void* state, const void* array, size_t bytes, uint64_t* out_hash);
  fiar_status_t (*synchronise)(void* state);

  // Readies a chain for replaying (captures it, for BENCH_GRAPH). `align` is enqueued before every
  // timed chain: one call of the same kind, behind which the ranks start together.
  fiar_status_t (*chain_create)(void* state, bench_launch_t launch, bench_enqueue_fn enqueue,
                                bench_enqueue_fn align, void* context, bench_chain_t** out_chain);
  fiar_status_t (*chain_replay)(void* state, bench_chain_t* chain, bench_time_t* out_time);
  void (*chain_destroy)(void* state, bench_chain_t* chain);
} bench_device_t;

extern const bench_device_t bench_host_device;
#if FIAR_HAVE_CUDA
extern const bench_device_t bench_cuda_device;
// CUDA devices that answer; 0 where there is no driver. Asked in a forked child, because a process
// that has asked can no longer fork ranks.
int bench_cuda_count(void);
#endif

#endif  // FIAR_BENCH_DEVICE_H
