// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Rows of one element type to another.
#include "device/dependency.cuh"
#include "device/elements.cuh"

namespace {

template <int W>
__device__ __forceinline__ void convert_at(const fiar_copy_params& call, int64_t row, int64_t col) {
  float values[W];
  load_elements<W>(call.input, call.in_dtype, row * call.input_stride + col, values);
  store_elements<W>(call.out, call.out_dtype, row * call.out_stride + col, values);
}

__global__ void __launch_bounds__(FIAR_BLOCK_THREADS)
    convert_kernel(const __grid_constant__ fiar_copy_args_t args) {
  wait_dependency();
  const fiar_copy_params& call = args.call;
  if (args.width == FIAR_BLOCK_WIDTH) {
    for_each<FIAR_BLOCK_WIDTH>(call.rows, call.cols, [&](int64_t row, int64_t col) {
      convert_at<FIAR_BLOCK_WIDTH>(call, row, col);
    });
  } else {
    for_each<1>(call.rows, call.cols,
                [&](int64_t row, int64_t col) { convert_at<1>(call, row, col); });
  }
  release_dependents();
}

}  // namespace

FIAR_BLOCK_ENTRY(convert)
