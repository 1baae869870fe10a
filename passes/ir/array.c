// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ir/array.h"

#include <stdlib.h>

void* fiarGrow(void* items, size_t count, size_t* capacity, size_t item_bytes) {
  enum { FIRST = 32 };
  if (count < *capacity) {
    return items;
  }
  size_t wanted = *capacity == 0 ? FIRST : 2 * *capacity;
  void* larger = realloc(items, wanted * item_bytes);
  if (larger != NULL) {
    *capacity = wanted;
  }
  return larger;
}
