// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "gpu_kernels.h"

namespace {

__global__ void late_copy(char* to, const char* from, size_t bytes) {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
  for (int i = 0; i < 20; ++i) {
    __nanosleep(1000);
  }
  for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < bytes;
       i += (size_t)gridDim.x * blockDim.x) {
    to[i] = from[i];
  }
}

__global__ void early_copy(char* to, const char* from, size_t bytes) {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
  for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < bytes;
       i += (size_t)gridDim.x * blockDim.x) {
    to[i] = from[i];
  }
}

cudaError_t launch(const void* kernel, void* to, const void* from, size_t bytes, bool dependent,
                   cudaStream_t stream) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(8);
  config.blockDim = dim3(256);
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = dependent ? 1 : 0;
  void* arguments[] = {&to, &from, &bytes};
  return cudaLaunchKernelExC(&config, kernel, arguments);
}

}  // namespace

cudaError_t gpu_late_copy(void* to, const void* from, size_t bytes, cudaStream_t stream) {
  return launch((const void*)late_copy, to, from, bytes, false, stream);
}

cudaError_t gpu_early_copy(void* to, const void* from, size_t bytes, cudaStream_t stream) {
  return launch((const void*)early_copy, to, from, bytes, true, stream);
}
