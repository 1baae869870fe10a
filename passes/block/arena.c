// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "block/arena.h"

#include <stdint.h>
#include <stdlib.h>

static size_t round_up(size_t bytes, size_t alignment) {
  return (bytes + alignment - 1) & ~(alignment - 1);
}

static bool meet(const FiarLifetime* a, const FiarLifetime* b) {
  return a->first <= b->last && b->first <= a->last;
}

// Largest first; of equal ones the one that is taken earlier, then the one that stands earlier, so
// that a plan depends on its input alone.
static int larger_first(const void* a, const void* b) {
  const FiarLifetime *x = *(const FiarLifetime*const*)a, *y = *(const FiarLifetime*const*)b;
  if (x->bytes != y->bytes) {
    return x->bytes > y->bytes ? -1 : 1;
  }
  if (x->first != y->first) {
    return x->first < y->first ? -1 : 1;
  }
  return x < y ? -1 : x > y;
}

// Puts `value` beside those of `placed`, which are in the order of their offsets.
static size_t place(const FiarLifetime* value, FiarLifetime* const* placed, size_t count,
                    size_t alignment) {
  size_t want = round_up(value->bytes, alignment), end = 0, best = SIZE_MAX, best_room = SIZE_MAX;
  for (size_t i = 0; i < count; ++i) {
    if (!meet(value, placed[i])) {
      continue;
    }
    if (placed[i]->offset > end) {
      size_t room = placed[i]->offset - end;
      if (room >= want && room < best_room) {
        best = end;
        best_room = room;
      }
    }
    size_t behind = placed[i]->offset + round_up(placed[i]->bytes, alignment);
    end = behind > end ? behind : end;
  }
  return best == SIZE_MAX ? end : best;
}

static void insert(FiarLifetime** placed, size_t count, FiarLifetime* value) {
  size_t at = count;
  for (; at > 0 && placed[at - 1]->offset > value->offset; --at) {
    placed[at] = placed[at - 1];
  }
  placed[at] = value;
}

// Offsets are sums of sizes, so they fit where the sum of all does.
static bool sizes_fit(const FiarLifetime* values, size_t count, size_t alignment) {
  size_t sum = 0;
  for (size_t i = 0; i < count; ++i) {
    if (values[i].bytes > SIZE_MAX - alignment ||
        __builtin_add_overflow(sum, round_up(values[i].bytes, alignment), &sum)) {
      return false;
    }
  }
  return true;
}

bool fiarArenaPlan(FiarLifetime* values, size_t count, size_t alignment, size_t* out_bytes) {
  *out_bytes = 0;
  if (!sizes_fit(values, count, alignment)) {
    return false;
  }
  FiarLifetime** order = calloc(2 * count + 1, sizeof *order);
  if (order == NULL) {
    return false;
  }
  FiarLifetime** placed = order + count;
  size_t n_placed = 0;
  for (size_t i = 0; i < count; ++i) {
    order[i] = &values[i];
  }
  qsort(order, count, sizeof *order, larger_first);
  for (size_t i = 0; i < count && order[i]->bytes > 0; ++i) {
    order[i]->offset = place(order[i], placed, n_placed, alignment);
    size_t end = order[i]->offset + round_up(order[i]->bytes, alignment);
    *out_bytes = end > *out_bytes ? end : *out_bytes;
    insert(placed, n_placed++, order[i]);
  }
  free(order);
  return true;
}

size_t fiarArenaFloor(const FiarLifetime* values, size_t count, size_t alignment) {
  size_t most = 0;
  for (size_t i = 0; i < count; ++i) {  // some value's first step has the most
    size_t alive = 0;
    for (size_t j = 0; j < count; ++j) {
      bool there = values[j].first <= values[i].first && values[i].first <= values[j].last;
      alive += there ? round_up(values[j].bytes, alignment) : 0;
    }
    most = alive > most ? alive : most;
  }
  return most;
}
