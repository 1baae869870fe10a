// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Rows of one element type to another, or to the same, bit for bit.
#include "device/dependency.cuh"
#include "device/elements.cuh"

namespace {

template <int W>
__device__ __forceinline__ void convert_at(const fiar_copy_params& call, int64_t row, int64_t col) {
  const int64_t from = row * call.input_stride + col, to = row * call.out_stride + col;
  const int bytes = element_bytes(call.in_dtype);
  if (call.in_dtype != call.out_dtype) {
    float values[W];
    load_elements<W>(call.input, call.in_dtype, from, values);
    store_elements<W>(call.out, call.out_dtype, to, values);
  } else if constexpr (W == 1) {
    store_bits(call.out, bytes, to, load_bits(call.input, bytes, from));
  } else {
    uint32_t words[W];
    load_words(call.input, bytes, from, words);
    store_words(call.out, bytes, to, words);
  }
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
