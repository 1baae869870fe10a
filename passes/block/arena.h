// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// One block of memory for values that live for a while each. Internal; plain C, no IR.
#ifndef FIAR_PASSES_BLOCK_ARENA_H
#define FIAR_PASSES_BLOCK_ARENA_H

#include <stdbool.h>
#include <stddef.h>

// A value's memory. It is taken in step `first` and free again after step `last`.
typedef struct FiarLifetime {
  size_t bytes;  // 0: needs no room
  int first, last;
  size_t offset;  // set by the plan, a multiple of the alignment
} FiarLifetime;

// Gives every value an offset such that no two that are alive in one step overlap: the largest
// first, each into the smallest gap that holds it, or else behind all it meets. *out_bytes: the
// arena's size. `alignment` is a power of two. False: out of memory, or the sizes do not add up in
// a size_t.
bool fiarArenaPlan(FiarLifetime* values, size_t count, size_t alignment, size_t* out_bytes);

// The most bytes that are alive in one step, each value rounded up to the alignment: no arena can
// be smaller.
size_t fiarArenaFloor(const FiarLifetime* values, size_t count, size_t alignment);

#endif  // FIAR_PASSES_BLOCK_ARENA_H
