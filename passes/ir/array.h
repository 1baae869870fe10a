// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Arrays that grow. Internal.
#ifndef FIAR_PASSES_IR_ARRAY_H
#define FIAR_PASSES_IR_ARRAY_H

#include <stddef.h>

// The array of `count` items (NULL: none yet) with room for one more: it is moved, and *capacity
// doubled, where it is full. NULL: out of memory; the array and *capacity are as before. The
// caller's to free.
void* fiarGrow(void* items, size_t count, size_t* capacity, size_t item_bytes);

#endif  // FIAR_PASSES_IR_ARRAY_H
