// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The host as a device: calls have finished when they return, so a chain is a loop under a clock.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fiar_bench_device.h"
#include "fiar_bench_random.h"
#include "host/reference.h"

struct bench_chain {
  bench_enqueue_fn enqueue, align;
  void* context;
};

static fiar_status_t open_device(int32_t ordinal, void** out_state) {
  (void)ordinal;
  *out_state = NULL;
  return FIAR_OK;
}

static void close_device(void* state) {
  (void)state;
}

static void* stream_of(void* state) {
  (void)state;
  return NULL;
}

static size_t cache_bytes(void* state) {
  (void)state;
  return 0;
}

static void describe(void* state, char* out_text, size_t room) {
  (void)state;
  (void)snprintf(out_text, room, "host");
}

static fiar_status_t alloc(void* state, size_t bytes, void** out_memory) {
  (void)state;
  *out_memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (*out_memory == NULL) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", bytes);
  }
  return FIAR_OK;
}

static void release(void* state, void* memory) {
  (void)state;
  free(memory);
}

static fiar_status_t fill_array(void* state, void* array, const bench_fill_t* fill) {
  (void)state;
  for (int64_t row = 0; row < fill->rows; ++row) {
    for (int64_t i = 0; i < fill->hidden; ++i) {
      int32_t level =
          bench_level(fill->seed, fill->first_row + row * fill->row_step, i, fill->levels);
      fiar_store(array, fill->dtype, row * fill->hidden + i,
                 (float)level * fill->step + fill->base);
    }
  }
  return FIAR_OK;
}

static fiar_status_t poison(void* state, void* array, size_t bytes) {
  (void)state;
  memset(array, 0xA5, bytes);
  return FIAR_OK;
}

static fiar_status_t to_host(void* state, void* host, const void* array, size_t bytes) {
  (void)state;
  memcpy(host, array, bytes);
  return FIAR_OK;
}

static fiar_status_t to_device(void* state, void* array, const void* host, size_t bytes) {
  (void)state;
  memcpy(array, host, bytes);
  return FIAR_OK;
}

static fiar_status_t hash_array(void* state, const void* array, size_t bytes, uint64_t* out_hash) {
  (void)state;
  uint64_t hash = 0;
  for (size_t at = 0; at < bytes; at += sizeof(uint32_t)) {
    uint32_t word = 0;
    memcpy(&word, (const char*)array + at, bytes - at < sizeof word ? bytes - at : sizeof word);
    hash += bench_hash_part(at / sizeof word, word);
  }
  *out_hash = hash;
  return FIAR_OK;
}

static fiar_status_t synchronise(void* state) {
  (void)state;
  return FIAR_OK;
}

static fiar_status_t chain_create(void* state, bench_launch_t launch, bench_enqueue_fn enqueue,
                                  bench_enqueue_fn align, void* context,
                                  bench_chain_t** out_chain) {
  (void)state;
  *out_chain = NULL;
  if (launch != BENCH_EAGER) {
    return FIAR_FAIL(UNSUPPORTED, "--launch graph needs CUDA devices; the host has eager alone");
  }
  bench_chain_t* chain = malloc(sizeof *chain);
  if (chain == NULL) {
    return FIAR_FAIL(OUT_OF_MEMORY, "a chain of calls");
  }
  *chain = (bench_chain_t){enqueue, align, context};
  *out_chain = chain;
  return FIAR_OK;
}

static double now_us(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

static fiar_status_t chain_replay(void* state, bench_chain_t* chain, bench_time_t* out_time) {
  (void)state;
  FIAR_TRY(chain->align(chain->context, NULL));
  double start = now_us();
  FIAR_TRY(chain->enqueue(chain->context, NULL));
  out_time->device_us = now_us() - start;
  out_time->host_us = out_time->device_us;
  return FIAR_OK;
}

static void chain_destroy(void* state, bench_chain_t* chain) {
  (void)state;
  free(chain);
}

const bench_device_t bench_host_device = {
    .name = "host",
    .open = open_device,
    .close = close_device,
    .stream = stream_of,
    .cache_bytes = cache_bytes,
    .describe = describe,
    .alloc = alloc,
    .release = release,
    .fill = fill_array,
    .poison = poison,
    .to_host = to_host,
    .to_device = to_device,
    .hash = hash_array,
    .synchronise = synchronise,
    .chain_create = chain_create,
    .chain_replay = chain_replay,
    .chain_destroy = chain_destroy,
};
