// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-bench: launching its kernels, and CUDA errors as statuses. Internal, only with CUDA.
#ifndef FIAR_BENCH_CUDA_H
#define FIAR_BENCH_CUDA_H

#include <cuda_runtime_api.h>

#include "cuda/cuda_impl.h"
#include "fiar_bench_kernels.h"

// Launches bench_kernels[kernel] with its one argument; grid 0 fills the device. With `pdl` it may
// start before its predecessor has ended.
fiar_status_t bench_launch(bench_kernel_t kernel, int grid, int threads, bool pdl, void* argument,
                           cudaStream_t stream);

#endif  // FIAR_BENCH_CUDA_H
