// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ir/map.h"

#include <stdlib.h>

// Ops and values made one after another lie side by side, and are asked for in that order: they
// stay neighbours in the table, in runs of RUN slots whose places are spread by the finaliser of
// SplitMix64. A table that is at most half full has room for the runs that fall on one another.
enum { RUN = 64, GRAIN = 64, LEAST = RUN, GROWTH = 4 };

static size_t hash(const void* pointer, uint32_t number) {
  uint64_t grain = (uint64_t)(uintptr_t)pointer / GRAIN;
  uint64_t bits = grain / RUN + number * UINT64_C(0x9E3779B97F4A7C15);
  bits = (bits ^ (bits >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  bits = (bits ^ (bits >> 27)) * UINT64_C(0x94D049BB133111EB);
  return (size_t)((bits ^ (bits >> 31)) * RUN + grain % RUN);
}

static FiarMapSlot* slot_of(const FiarMap* map, const void* pointer, uint32_t number) {
  size_t at = hash(pointer, number) & (map->capacity - 1);
  while (map->slots[at].pointer != NULL &&
         (map->slots[at].pointer != pointer || map->slots[at].number != number)) {
    at = (at + 1) & (map->capacity - 1);
  }
  return &map->slots[at];
}

uint32_t* fiarMapFind(const FiarMap* map, const void* pointer, uint32_t number) {
  if (map->capacity == 0) {
    return NULL;
  }
  FiarMapSlot* slot = slot_of(map, pointer, number);
  return slot->pointer == NULL ? NULL : &slot->value;
}

static bool grow(FiarMap* map) {
  FiarMap larger = {.capacity = map->capacity == 0 ? LEAST : map->capacity * GROWTH,
                    .size = map->size};
  larger.slots = calloc(larger.capacity, sizeof *larger.slots);
  if (larger.slots == NULL) {
    return false;
  }
  for (size_t i = 0; i < map->capacity; ++i) {
    if (map->slots[i].pointer != NULL) {
      *slot_of(&larger, map->slots[i].pointer, map->slots[i].number) = map->slots[i];
    }
  }
  free(map->slots);
  *map = larger;
  return true;
}

bool fiarMapSet(FiarMap* map, const void* pointer, uint32_t number, uint32_t value) {
  if (map->size * 2 >= map->capacity && !grow(map)) {
    return false;
  }
  FiarMapSlot* slot = slot_of(map, pointer, number);
  map->size += slot->pointer == NULL;
  *slot = (FiarMapSlot){pointer, number, value};
  return true;
}

void fiarMapRemove(FiarMap* map, const void* pointer, uint32_t number) {
  if (map->capacity == 0) {
    return;
  }
  FiarMapSlot* slot = slot_of(map, pointer, number);
  if (slot->pointer == NULL) {
    return;
  }
  slot->pointer = NULL;
  --map->size;
  // The slots behind it, up to the next free one, may have been pushed past the gap: place them
  // anew.
  size_t at = (size_t)(slot - map->slots);
  for (at = (at + 1) & (map->capacity - 1); map->slots[at].pointer != NULL;
       at = (at + 1) & (map->capacity - 1)) {
    FiarMapSlot moved = map->slots[at];
    map->slots[at].pointer = NULL;
    *slot_of(map, moved.pointer, moved.number) = moved;
  }
}

void fiarMapClear(FiarMap* map) {
  free(map->slots);
  *map = (FiarMap){0};
}
