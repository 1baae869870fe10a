// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-bench: what its files share. docs/bench.md is the manual. Internal.
#ifndef FIAR_BENCH_H
#define FIAR_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fiar/types.h"
#include "residual.h"

enum { BENCH_MAX_RANKS = 16, BENCH_MAX_LIST = 32, BENCH_MAX_REPLAYS = 256 };

// How the ranks run: threads or forked processes of this program, or one rank a process as a
// launcher (fiar-run, torchrun, mpirun) started it.
typedef enum bench_mode { BENCH_THREADS, BENCH_PROCESSES, BENCH_LAUNCHED } bench_mode_t;

// How a chain of calls reaches the device: enqueued one by one, replayed as one CUDA graph, or as a
// graph in which every call stands between the matmuls of a layer. AUTO is a graph where there are
// CUDA devices.
typedef enum bench_launch {
  BENCH_EAGER,
  BENCH_GRAPH,
  BENCH_CHAIN,
  BENCH_LAUNCH_AUTO
} bench_launch_t;

// What the call does with a residual; the last three as fiar_residual_layout_t has them.
typedef enum bench_residual {
  BENCH_RESIDUAL_NONE,
  BENCH_RESIDUAL_FULL,
  BENCH_RESIDUAL_TOKEN_SHARD,
  BENCH_RESIDUAL_TOKEN_BLOCK
} bench_residual_t;

// Which rank's time stands for a replay.
typedef enum bench_over { BENCH_OVER_MAX, BENCH_OVER_MIN } bench_over_t;

typedef enum bench_format { BENCH_TABLE, BENCH_CSV, BENCH_JSON } bench_format_t;

typedef struct bench_list {
  int64_t at[BENCH_MAX_LIST];
  int count;
} bench_list_t;

// The command line. Lists of names hold the names' values.
typedef struct bench_options {
  int64_t ranks;  // 0: one a GPU, or 2 without GPUs
  int64_t mode;   // bench_mode_t
  const char* backend;
  bench_list_t tokens, hidden, dtypes, quants, residuals, launches;
  bench_list_t impls;
  int64_t calls, replays, warmup;
  int64_t rotate;  // sets of arrays that a chain goes round; 0: by size
  int64_t over;    // bench_over_t
  int64_t format;  // bench_format_t
  const char* output;
  const char* tune;
  int64_t floors;  // 0 or 1
  bool list, help;
} bench_options_t;

// One point of the sweep.
typedef struct bench_case {
  int64_t tokens, hidden;
  uint8_t dtype, quant;
  uint8_t residual;  // bench_residual_t
  uint8_t launch;    // bench_launch_t
} bench_case_t;

// The layout that the point's calls have.
static inline uint8_t bench_residual_layout(const bench_case_t* point) {
  switch (point->residual) {
    case BENCH_RESIDUAL_TOKEN_SHARD:
      return FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD;
    case BENCH_RESIDUAL_TOKEN_BLOCK:
      return FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK;
    default:
      return FIAR_RESIDUAL_LAYOUT_FULL;
  }
}

static inline bool bench_is_sharded(const bench_case_t* point) {
  return fiar_residual_is_sharded(bench_residual_layout(point));
}

// Fills the options from the command line, defaults first. INVALID_ARGUMENT names the option and
// its value.
fiar_status_t bench_options_parse(int argc, char** argv, bench_options_t* out_options);
void bench_options_help(void);

// The sweep in the order it is run and printed: hidden, dtype, quant, residual, launch, tokens.
// *out_cases is freed by the caller.
fiar_status_t bench_cases_expand(const bench_options_t* options, bench_case_t** out_cases,
                                 int* out_count);

// The names that the command line, the table and the JSON use; "?" for a value without a name.
const char* bench_dtype_name(int64_t value);
const char* bench_quant_name(int64_t value);
const char* bench_residual_name(int64_t value);
const char* bench_launch_name(int64_t value);
const char* bench_mode_name(int64_t value);
const char* bench_over_name(int64_t value);

#endif  // FIAR_BENCH_H
