// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// out[cols, rows] = input[rows, cols], through a tile of shared memory so that both sides move
// whole lines. A block of FIAR_BLOCK_TILE x 8 threads a tile.
#include "device/dependency.cuh"
#include "device/elements.cuh"

namespace {

const int kTile = FIAR_BLOCK_TILE, kRows = FIAR_BLOCK_THREADS / FIAR_BLOCK_TILE;

__device__ __forceinline__ void transpose_tile(const fiar_copy_params& call, int64_t row0,
                                               int64_t col0, uint32_t (*tile)[kTile + 1]) {
  const int x = (int)threadIdx.x % kTile, y = (int)threadIdx.x / kTile;
  const int in = element_bytes(call.in_dtype), out = element_bytes(call.out_dtype);
  for (int i = y; i < kTile; i += kRows) {
    if (row0 + i < call.rows && col0 + x < call.cols) {
      uint32_t bits = load_bits(call.input, in, (row0 + i) * call.input_stride + col0 + x);
      if (call.in_dtype != call.out_dtype) {
        bits = encode_element(decode_element(bits, call.in_dtype), call.out_dtype);
      }
      tile[i][x] = bits;
    }
  }
  __syncthreads();
  for (int i = y; i < kTile; i += kRows) {
    if (col0 + i < call.cols && row0 + x < call.rows) {
      store_bits(call.out, out, (col0 + i) * call.out_stride + row0 + x, tile[x][i]);
    }
  }
  __syncthreads();
}

__global__ void __launch_bounds__(FIAR_BLOCK_THREADS)
    transpose_kernel(const __grid_constant__ fiar_copy_args_t args) {
  __shared__ uint32_t tile[kTile][kTile + 1];
  wait_dependency();
  const fiar_copy_params& call = args.call;
  for (int64_t row = (int64_t)blockIdx.y * kTile; row < call.rows;
       row += (int64_t)gridDim.y * kTile) {
    for (int64_t col = (int64_t)blockIdx.x * kTile; col < call.cols;
         col += (int64_t)gridDim.x * kTile) {
      transpose_tile(call, row, col, tile);
    }
  }
  release_dependents();
}

}  // namespace

FIAR_BLOCK_ENTRY(transpose)
