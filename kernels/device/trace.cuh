// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Where a call's time goes: in builds with FIAR_KERNEL_TRACE the first thread of a launch notes the
// clock at the places of FIAR_MARK_TABLE, and the runtime logs them when the workspace closes. Else
// nothing of it is compiled.
#ifndef FIAR_DEVICE_TRACE_CUH
#define FIAR_DEVICE_TRACE_CUH

#include "kernels.h"

namespace {

#if FIAR_KERNEL_TRACE
__shared__ uint32_t trace_marks[FIAR_MARKS];
#endif

// A place that is passed more than once keeps the last time.
__device__ __forceinline__ void mark(fiar_mark_t place) {
#if FIAR_KERNEL_TRACE
  if (threadIdx.x == 0) {
    const uint32_t now = (uint32_t)clock();
    trace_marks[place] = now;
    for (int i = 1; place == FIAR_MARK_START && i < FIAR_MARKS; ++i) {
      trace_marks[i] = now;  // of places that this call does not come by
    }
  }
#else
  (void)place;
#endif
}

// At the end of the kernel.
__device__ __forceinline__ void store_marks(const fiar_kernel_args_t& args) {
#if FIAR_KERNEL_TRACE
  if (threadIdx.x == 0 && blockIdx.x == 0) {
    for (int i = 0; i < FIAR_MARKS; ++i) {
      args.control->marks[i] = trace_marks[i];
    }
  }
#else
  (void)args;
#endif
}

}  // namespace

#endif  // FIAR_DEVICE_TRACE_CUH
