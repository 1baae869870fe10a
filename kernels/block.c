// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The table of block.def's kernels.
#include "block.h"

#include <stddef.h>

#define X(stem, name, text) extern const void* const fiar_block_kernel_##stem;
#include "block.def"
#undef X

const void* fiar_block_entry(fiar_block_kernel_t kernel) {
  const void* const entries[] = {
#define X(stem, name, text) fiar_block_kernel_##stem,
#include "block.def"
#undef X
  };
  return kernel < FIAR_BLOCK_KERNELS ? entries[kernel] : NULL;
}

bool fiar_block_is_entry(const void* entry) {
  for (int kernel = 0; kernel < FIAR_BLOCK_KERNELS; ++kernel) {
    if (fiar_block_entry((fiar_block_kernel_t)kernel) == entry) {
      return true;
    }
  }
  return false;
}
