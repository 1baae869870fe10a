// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Arrays that do not lie as the vector kernels want them, by their address or their row stride,
// travel through copies that do. Whether a rank needs that is its own affair: the kernel, and so
// what the ranks say to each other, stays the same. Internal.
#ifndef FIAR_CUDA_STAGING_H
#define FIAR_CUDA_STAGING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "fiar/abi.h"

// Zeros to begin with. CUDA graphs may hold calls that used a block, so none goes before the end;
// each is at least twice as large as the one before.
typedef struct fiar_staging {
  void* blocks[48];  // of the current device
  int32_t count;
  size_t bytes;  // of the last
} fiar_staging_t;

// Is there an array to stage?
bool fiar_staging_needed(const fiar_all_reduce_norm_params* params);

// Gives the call with copies in the place of such arrays, and enqueues the copying of the inputs.
// Grows the staging memory if need be (UNSUPPORTED while the stream is captured).
fiar_status_t fiar_staging_in(fiar_staging_t* staging, const fiar_all_reduce_norm_params* params,
                              int32_t rank, int32_t world, void* stream,
                              fiar_all_reduce_norm_params* out_staged);

// Enqueues the copies of the outputs, after the kernel.
fiar_status_t fiar_staging_out(const fiar_all_reduce_norm_params* params,
                               const fiar_all_reduce_norm_params* staged, int32_t rank,
                               int32_t world, void* stream);

void fiar_staging_finish(fiar_staging_t* staging);

#endif  // FIAR_CUDA_STAGING_H
