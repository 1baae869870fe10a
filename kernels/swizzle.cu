// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Rows of one-byte scales, transposed or not, in the order that block-scaled matmuls read
// (docs/numerics.md, swizzled_128x4): a thread a word of four columns of one row, padding included.
#include "device/dependency.cuh"
#include "device/elements.cuh"

namespace {

// Of out's rows and columns; 0 past their ends.
__device__ __forceinline__ uint32_t scale_at(const fiar_copy_params& call, int64_t row,
                                             int64_t col) {
  const int64_t from_row = call.transposed ? col : row, from_col = call.transposed ? row : col;
  if (from_row >= call.rows || from_col >= call.cols) {
    return 0;
  }
  return static_cast<const uint8_t*>(call.input)[from_row * call.input_stride + from_col];
}

__global__ void __launch_bounds__(FIAR_BLOCK_THREADS)
    swizzle_kernel(const __grid_constant__ fiar_copy_args_t args) {
  wait_dependency();
  const fiar_copy_params& call = args.call;
  const int64_t rows = call.transposed ? call.cols : call.rows;
  const int64_t cols = call.transposed ? call.rows : call.cols;
  const int64_t across = (cols + 3) / 4 * 128;  // words of 128 rows
  for_each<1>(1, (rows + 127) / 128 * across, [&](int64_t, int64_t word) {
    const int64_t in_tile = word % 128;  // of 128 rows and four columns
    const int64_t row = word / across * 128 + in_tile % 4 * 32 + in_tile / 4;
    const int64_t col = word % across / 128 * 4;
    uint32_t four = 0;
    for (int i = 0; i < 4; ++i) {
      four |= scale_at(call, row, col + i) << 8 * i;
    }
    static_cast<uint32_t*>(call.out)[word] = four;
  });
  release_dependents();
}

}  // namespace

FIAR_BLOCK_ENTRY(swizzle)
