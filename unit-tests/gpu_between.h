// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A call between kernels that use programmatic dependent launch to the full: those before it write
// all that it reads late, those after it read its outputs early.
#ifndef FIAR_UNIT_TESTS_GPU_BETWEEN_H
#define FIAR_UNIT_TESTS_GPU_BETWEEN_H

#include "gpu_calls.h"

typedef struct gpu_between {
  gpu_call_t* call;
  void* held[GPU_SUM];  // what the inputs must be
  void *norm, *codes;   // what the kernels behind it read
  size_t code_bytes;
} gpu_between_t;

// The call must outlive it.
gpu_between_t gpu_between_make(gpu_call_t* call);
void gpu_between_free(gpu_between_t* between);

// Collective. Spoils inputs and outputs, then enqueues the kernels and, among them, the call twice,
// if `captures` as a graph; last_input (GPU_INPUT ... GPU_SCALE) comes from the kernel right before
// it. Waits. Nonzero: what was read behind it is not what the call gives by itself.
int gpu_between_run(const gpu_between_t* between, int last_input, bool captures,
                    cudaStream_t stream);

#endif  // FIAR_UNIT_TESTS_GPU_BETWEEN_H
