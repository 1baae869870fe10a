// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which push kernel serves a message: a pure function of the message, the group and the tuning.
// Internal.
#ifndef FIAR_CUDA_ALGORITHM_H
#define FIAR_CUDA_ALGORITHM_H

#include "kernels.h"
#include "runtime_impl.h"

// The largest message (tokens * hidden * element, in bytes) that goes one-shot, for one world and
// hidden size.
typedef struct fiar_crossover {
  int32_t world;
  int64_t hidden;
  int64_t oneshot_max_bytes;
} fiar_crossover_t;

typedef struct fiar_tuning {
  int32_t forced;  // a fiar_algorithm_t, or -1
  int32_t count;
  fiar_crossover_t rows[64];
} fiar_tuning_t;

// FIAR_ALGORITHM (auto, oneshot, twoshot) and the file that FIAR_TUNING_FILE names, which
// `fiar-bench --tune` writes: a line `oneshot WORLD HIDDEN MAX_BYTES` a row, `#` begins a comment.
// Neither set: nothing forced, no rows. INVALID_ARGUMENT, with the line, for a file that does not
// read.
fiar_status_t fiar_tuning_load(fiar_tuning_t* out_tuning);

// Benches' and tests' way to force an algorithm in the workspaces that are opened from now on; -1:
// as the environment says. Same on all ranks.
void fiar_algorithm_force(int32_t algorithm);

// Reads the text of a tuning file into rows. name is for the sentence of a failure.
fiar_status_t fiar_tuning_parse(const char* text, const char* name, fiar_tuning_t* tuning);

// A number that differs where two tunings would choose differently; ranks compare it.
int64_t fiar_tuning_digest(const fiar_tuning_t* tuning);

// The largest one-shot message of the group: the row for this world with the nearest hidden size,
// of the tuning, else of the built-in table, else an estimate (algorithm.c).
int64_t fiar_oneshot_max_bytes(const fiar_tuning_t* tuning, int32_t world, int64_t hidden);

// ONESHOT, TWOSHOT, SHARDED or GATHER. slot_bytes: what there is of one slot; a message that fits
// only one of the forms takes it, also against the tuning.
fiar_algorithm_t fiar_algorithm_select(const fiar_tuning_t* tuning, const fiar_problem_t* problem,
                                       int32_t world, uint64_t slot_bytes);

// Bytes of a slot with which every message as large as the problem's can be served, by whichever
// form is chosen.
uint64_t fiar_slot_bytes_for(const fiar_problem_t* problem, int32_t world);

#endif  // FIAR_CUDA_ALGORITHM_H
