// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <string.h>

#include "cuda/cuda_impl.h"

fiar_status_t fiar_cuda_fail(cudaError_t error, const char* call) {
  (void)cudaGetLastError();
  fiar_status_t status = FIAR_CUDA_ERROR;
  if (error == cudaErrorMemoryAllocation) {
    status = FIAR_OUT_OF_MEMORY;
  } else if (error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver) {
    status = FIAR_UNAVAILABLE;
  }
  // The macros hand over the call's source text: its name is what precedes the parenthesis.
  return fiar_fail(status, "%.*s failed: %s (%s)", (int)strcspn(call, "("), call,
                   cudaGetErrorString(error), cudaGetErrorName(error));
}

fiar_status_t fiar_cuda_available(int* out_devices) {
  *out_devices = 0;
  cudaError_t error = cudaGetDeviceCount(out_devices);
  if (error == cudaSuccess && *out_devices > 0) {
    return FIAR_OK;
  }
  (void)cudaGetLastError();
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    return FIAR_FAIL(UNAVAILABLE, "no CUDA driver (libcuda.so.1) on this machine: %s (%s)",
                     cudaGetErrorString(error), cudaGetErrorName(error));
  }
  return FIAR_FAIL(UNAVAILABLE, "no CUDA device: the driver (CUDA %d.%d) answers %s (%s)",
                   driver / 1000, driver % 1000 / 10, cudaGetErrorString(error),
                   cudaGetErrorName(error));
}
