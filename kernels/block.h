// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The kernels of the ops around the fused call, as the C runtime launches them: a table of entries
// and their argument structs. Plain C, internal to libfiar.
#ifndef FIAR_BLOCK_KERNELS_H
#define FIAR_BLOCK_KERNELS_H

#include <stdbool.h>

#include "fiar/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fiar_block_kernel {
#define X(stem, name, text) FIAR_BLOCK_##name,
#include "block.def"
#undef X
  FIAR_BLOCK_KERNELS
} fiar_block_kernel_t;

// Elements that a thread moves at once: FIAR_BLOCK_WIDTH where every array is aligned to 16 bytes
// and rows and strides are multiples of it, else 1.
enum { FIAR_BLOCK_WIDTH = 8, FIAR_BLOCK_THREADS = 256, FIAR_BLOCK_TILE = 32 };

// All kernels take one of these by value, by kernel: ACTIVATE; CONVERT, TRANSPOSE and SWIZZLE;
// SCALE_MATMUL.
typedef struct fiar_activate_args {
  fiar_activate_params call;  // complete
  int32_t width;
} fiar_activate_args_t;

typedef struct fiar_copy_args {
  fiar_copy_params call;  // complete
  int32_t width;          // CONVERT; TRANSPOSE moves tiles of FIAR_BLOCK_TILE rows and columns
} fiar_copy_args_t;

typedef struct fiar_scale_matmul_args {
  fiar_matmul_params call;  // complete; a and b are not read
  const float* sums;        // [m, n]
  int32_t width;
} fiar_scale_matmul_args_t;

// Only in builds with CUDA. fiar_block_is_entry: is it one of them?
const void* fiar_block_entry(fiar_block_kernel_t kernel);
bool fiar_block_is_entry(const void* entry);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_BLOCK_KERNELS_H
