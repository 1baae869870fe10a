// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// One call of a kernel with random arrays, and its check against the reference.
#ifndef FIAR_KERNEL_CASE_H
#define FIAR_KERNEL_CASE_H

#include <stdint.h>

#include "kernel_ranks.h"

enum {
  CASE_SPECIALS = 1,
  CASE_IN_PLACE = 2,
  CASE_NO_NORM = 4,
  CASE_NO_RESIDUAL = 8,
  CASE_NO_WEIGHT = 16,
  CASE_SUM_OUT = 32,
  CASE_PADDED_ROWS = 64,
  CASE_SUM_ONLY = 128
};

// params without pointers, and which arrays there are.
typedef struct kernel_case {
  fiar_algorithm_t algorithm;
  fiar_all_reduce_norm_params params;
  uint32_t wants, seed, launch_flags;
} kernel_case_t;

typedef struct random {
  uint64_t state;
} random_t;
uint32_t random_next(random_t* random);
uint32_t random_below(random_t* random, uint32_t bound);

// A random valid case for dtype.
kernel_case_t case_random(random_t* random, fiar_dtype_t dtype, int world);

// So many tokens, or as many more as make a block of rows for every rank, where the residual wants
// that.
void case_set_tokens(kernel_case_t* test, int64_t tokens, int world);

// Many wide rows, in a call as a decoder layer makes it: with CASE_FEW multiprocessors, clusters of
// the two-hop kernels draw their rows, where there is a kernel for it.
enum { CASE_FEW = 2 };
kernel_case_t case_long(fiar_algorithm_t algorithm, fiar_dtype_t dtype, fiar_quant_t quant,
                        uint32_t seed);

// Arrays of a case in an arena: the same offsets on every rank and on the host.
typedef struct case_layout {
  fiar_all_reduce_norm_params at;  // pointers are offsets + 1; 0 where there is no array
  size_t bytes;
} case_layout_t;
case_layout_t case_layout(const kernel_case_t* test, int world);
fiar_all_reduce_norm_params case_params(const case_layout_t* layout, unsigned char* arena);

// What the arena of rank r holds before the call: inputs, and poison everywhere else.
void case_fill(const kernel_case_t* test, const case_layout_t* layout, int world, int rank,
               unsigned char* arena);

// Launches the case on every rank, arenas filled beforehand.
void case_launch(const kernel_case_t* test, const case_layout_t* layout, const ranks_t* ranks,
                 size_t arena_offset);

// Runs the case and compares every byte of every rank's arena with the reference's. Returns 0, or 1
// after it has printed what differs. *worst_ulps grows to the largest distance of a norm.
int case_check(const kernel_case_t* test, const ranks_t* ranks, int* worst_ulps);

// The case in a line, for messages.
const char* case_text(const kernel_case_t* test, int world);

#endif  // FIAR_KERNEL_CASE_H
