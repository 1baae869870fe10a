// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Neighbours in a stream that use programmatic dependent launch to the full: what a call must not
// be confused by.
#ifndef FIAR_UNIT_TESTS_GPU_KERNELS_H
#define FIAR_UNIT_TESTS_GPU_KERNELS_H

#include <cuda_runtime_api.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Lets its dependents start at once, and writes `to` only some 20 us later.
cudaError_t gpu_late_copy(void* to, const void* from, size_t bytes, cudaStream_t stream);

// Starts as early as it may, waits for what is before it, and then copies.
cudaError_t gpu_early_copy(void* to, const void* from, size_t bytes, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_UNIT_TESTS_GPU_KERNELS_H
