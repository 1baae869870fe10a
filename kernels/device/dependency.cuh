// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Programmatic dependent launch: a kernel may start before the one before it in the stream has
// ended.
#ifndef FIAR_DEVICE_DEPENDENCY_CUH
#define FIAR_DEVICE_DEPENDENCY_CUH

namespace {

// Until the kernels before this one have ended and what they wrote is visible.
__device__ __forceinline__ void wait_dependency(void) {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void release_dependents(void) {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

}  // namespace

#endif  // FIAR_DEVICE_DEPENDENCY_CUH
