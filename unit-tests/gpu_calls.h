// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Calls that the GPU tests make again and again: their arrays on the device, and what their outputs
// must be.
#ifndef FIAR_UNIT_TESTS_GPU_CALLS_H
#define FIAR_UNIT_TESTS_GPU_CALLS_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fiar/fiar.h"

// Failures of CUDA itself, or of memory, are no findings: they end the program.
#define GPU_MUST(call)                                                    \
  do {                                                                    \
    cudaError_t gpu_must_error = (call);                                  \
    if (gpu_must_error != cudaSuccess) {                                  \
      (void)fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, \
                    cudaGetErrorString(gpu_must_error));                  \
      exit(2);                                                            \
    }                                                                     \
  } while (0)

enum {
  GPU_INPUT,
  GPU_RESIDUAL,
  GPU_WEIGHT,
  GPU_SCALE,
  GPU_SUM,
  GPU_RESIDUAL_OUT,
  GPU_NORM,
  GPU_CODES,
  GPU_SCALES,
  GPU_ARRAYS
};

typedef struct gpu_call {
  fiar_all_reduce_norm_params params;  // on the device
  fiar_comm_t* comm;
  void* arrays[GPU_ARRAYS];
  size_t bytes[GPU_ARRAYS];
  unsigned char* host[GPU_ARRAYS];  // inputs as written, outputs as they must be
} gpu_call_t;

// Collective. A call of random shape (at most max_tokens rows), element type, format and residual
// layout, the same on all ranks. Makes it once by itself and holds the outcome against the
// reference. shift: bytes by which the arrays miss their alignment. Nonzero: the outcome was wrong,
// and how is printed.
int gpu_call_make(fiar_comm_t* comm, uint32_t seed, int64_t max_tokens, size_t shift,
                  cudaStream_t stream, gpu_call_t* out_call);

// Enqueues it.
fiar_status_t gpu_call_issue(const gpu_call_t* call, cudaStream_t stream);

// Enqueues overwriting the outputs with nonsense.
void gpu_call_poison(const gpu_call_t* call, cudaStream_t stream);

// Waits for the stream and compares the outputs with the first ones, byte for byte. Nonzero: they
// differ.
int gpu_call_verify(const gpu_call_t* call, const char* when, cudaStream_t stream);

void gpu_call_free(gpu_call_t* call);

#endif  // FIAR_UNIT_TESTS_GPU_CALLS_H
