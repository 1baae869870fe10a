// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The border to CUDA: errors become sentences, a device's limits are asked once. Internal.
#ifndef FIAR_CUDA_IMPL_H
#define FIAR_CUDA_IMPL_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fiar/abi.h"
#include "runtime_impl.h"

// CUDA_ERROR (OUT_OF_MEMORY, UNAVAILABLE where that is what it means) with the call's name, CUDA's
// name of the error and its text. Clears the runtime's last error, which belongs to the caller's
// own calls.
fiar_status_t fiar_cuda_fail(cudaError_t error, const char* call);

#define FIAR_CUDA_TRY(call)                          \
  do {                                               \
    cudaError_t fiar_cuda_error = (call);            \
    if (fiar_cuda_error != cudaSuccess) {            \
      return fiar_cuda_fail(fiar_cuda_error, #call); \
    }                                                \
  } while (0)

#define FIAR_CUDA_TRY_DONE(call)                       \
  do {                                                 \
    cudaError_t fiar_cuda_error = (call);              \
    if (fiar_cuda_error != cudaSuccess) {              \
      status = fiar_cuda_fail(fiar_cuda_error, #call); \
      goto done;                                       \
    }                                                  \
  } while (0)

// FIAR_OK where a driver and a device answer; else UNAVAILABLE, which says which of the two is
// missing.
fiar_status_t fiar_cuda_available(int* out_devices);

// What no backend of devices can serve; as fiar_backend_t.refuses.
const char* fiar_cuda_refuses(const fiar_problem_t* problem, const fiar_caps_t* caps);

// Makes device current for this thread and says what was before, for leave to restore. Costs no
// driver call where it is current already.
fiar_status_t fiar_cuda_enter(int32_t device, int* out_previous);
void fiar_cuda_leave(int32_t device, int previous);

// Is the stream being captured into a graph?
bool fiar_cuda_capturing(void* stream);

// Remembers in which pages of device memory pointers were found good, so that a call asks the
// driver only about pages it has not met. One a communicator; zeros to begin with.
typedef struct fiar_pointer_cache {
  uintptr_t pages[64];
} fiar_pointer_cache_t;

// INVALID_ARGUMENT, with `name` and what it is, where the pointer is not memory of `device`. NULL
// is.
fiar_status_t fiar_cuda_check_pointer(fiar_pointer_cache_t* cache, int32_t device, const char* name,
                                      const void* pointer);

// INVALID_ARGUMENT, naming the first of params' pointers that is not memory of `device`, and what
// it is.
fiar_status_t fiar_cuda_check_pointers(fiar_pointer_cache_t* cache, int32_t device,
                                       const fiar_all_reduce_norm_params* params);

#endif  // FIAR_CUDA_IMPL_H
