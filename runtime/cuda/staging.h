// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Arrays that are not aligned as the vector kernels want them travel through copies that are.
// Whether a rank needs that is its own affair: the kernel, and so what the ranks say to each other,
// stays the same. Internal.
#ifndef FIAR_CUDA_STAGING_H
#define FIAR_CUDA_STAGING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "fiar/abi.h"

typedef struct fiar_staging {
  void* memory;  // of the current device; zeros to begin with
  size_t bytes;
} fiar_staging_t;

// Is there an array to stage?
bool fiar_staging_needed(const fiar_all_reduce_norm_params* params);

// Gives the call with aligned arrays in the place of those that are not, and enqueues the copies of
// the inputs. Grows the staging memory if need be (UNSUPPORTED while the stream is captured).
fiar_status_t fiar_staging_in(fiar_staging_t* staging, const fiar_all_reduce_norm_params* params,
                              int32_t rank, int32_t world, void* stream,
                              fiar_all_reduce_norm_params* out_staged);

// Enqueues the copies of the outputs, after the kernel.
fiar_status_t fiar_staging_out(const fiar_all_reduce_norm_params* params,
                               const fiar_all_reduce_norm_params* staged, int32_t rank,
                               int32_t world, void* stream);

void fiar_staging_finish(fiar_staging_t* staging);

#endif  // FIAR_CUDA_STAGING_H
