// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The frame of kernels that have their rows already: no other rank takes part. The loop over rows
// is the kernel's own: as a function that takes the row's work it costs registers.
#ifndef FIAR_DEVICE_LOCAL_CUH
#define FIAR_DEVICE_LOCAL_CUH

#include "device/row.cuh"

namespace {

template <typename K>
__device__ __forceinline__ void begin_local(const fiar_kernel_args_t& args, row_shared_t* shared,
                                            worker<K>* me) {
  begin_work<K>(args, shared, me);
  wait_dependency();
  load_weight<K>(args, me);
  exchange_ready(args.cluster_shift);
  __syncthreads();  // for begin_exchange
  load_scale<K>(args, me);
}

// What follows the last row: the padding of scales.
template <typename K>
__device__ __forceinline__ void end_local(const fiar_kernel_args_t& args) {
  pad_scales<K>(args);
  release_dependents();
}

}  // namespace

#endif  // FIAR_DEVICE_LOCAL_CUH
