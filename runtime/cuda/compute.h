// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a communicator keeps on its device for the ops around the fused call. Internal.
#ifndef FIAR_CUDA_COMPUTE_H
#define FIAR_CUDA_COMPUTE_H

#include "cuda/cuda_impl.h"
#include "launch.h"

typedef struct fiar_cuda_matmul fiar_cuda_matmul_t;  // handle, chosen algorithms, scratch

typedef struct fiar_cuda_compute {
  fiar_device_caps_t caps;
  fiar_pointer_cache_t checked;
  fiar_cuda_matmul_t* matmul;  // NULL before the first one
  uint32_t flags;              // FIAR_LAUNCH_*
  int32_t device;
} fiar_cuda_compute_t;

// On the current device, which is the compute's. params are checked and complete, m > 0.
fiar_status_t fiar_cuda_matmul_run(fiar_cuda_compute_t* compute, const fiar_matmul_params* params,
                                   void* stream);
void fiar_cuda_matmul_close(fiar_cuda_matmul_t* matmul);  // NULL is harmless

// How a matmul is made of what cuBLASLt has. Pure.
typedef enum fiar_matmul_scales {
  FIAR_MATMUL_SCALES_NONE,
  FIAR_MATMUL_SCALES_TENSOR,  // one f32 an operand
  FIAR_MATMUL_SCALES_VECTOR,  // an f32 a row and a column
  FIAR_MATMUL_SCALES_BLOCK
} fiar_matmul_scales_t;

typedef struct fiar_matmul_path {
  fiar_matmul_scales_t scales;  // what cuBLASLt applies
  uint8_t out_dtype;            // what it writes: out's type, or f32 sums for scale_matmul
  bool bias;                    // it adds the bias
  bool finishes;                // it writes out; else scale_matmul follows
} fiar_matmul_path_t;

// UNSUPPORTED, with a sentence, where the device or the version of cuBLASLt cannot do it. whole:
// try to have cuBLASLt do all of it.
fiar_status_t fiar_cuda_matmul_path(const fiar_matmul_params* params, int32_t sm, int version,
                                    bool whole, fiar_matmul_path_t* out_path);

#endif  // FIAR_CUDA_COMPUTE_H
