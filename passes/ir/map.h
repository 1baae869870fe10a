// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A hash table from a pointer and a small number to an index. Internal.
#ifndef FIAR_PASSES_IR_MAP_H
#define FIAR_PASSES_IR_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct FiarMapSlot {
  const void* pointer;  // NULL: the slot is free
  uint32_t number;
  uint32_t value;
} FiarMapSlot;

// Zero-initialised is empty. Not for several threads at once.
typedef struct FiarMap {
  FiarMapSlot* slots;
  size_t capacity;  // a power of two, or 0
  size_t size;
} FiarMap;

// The value of (pointer, number), or NULL. The result is valid until the next fiarMapSet.
uint32_t* fiarMapFind(const FiarMap* map, const void* pointer, uint32_t number);

// Sets or replaces; pointer is not NULL. False: out of memory, the map is as before.
bool fiarMapSet(FiarMap* map, const void* pointer, uint32_t number, uint32_t value);

// Removes (pointer, number) if it is there.
void fiarMapRemove(FiarMap* map, const void* pointer, uint32_t number);

// Frees the slots and leaves the map empty.
void fiarMapClear(FiarMap* map);

#endif  // FIAR_PASSES_IR_MAP_H
