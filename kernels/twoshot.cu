// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Two-shot push: row t is summed by rank t % world, which pushes the rounded sum to all; every rank
// finishes every row. Two hops; 2 (world - 1) / world times the message leaves each rank.
#include "device/owner.cuh"
#include "device/table.cuh"

namespace {

template <typename K>
__device__ __forceinline__ void serve_row(const fiar_kernel_args_t& args, call_t* call,
                                          uint64_t back, worker<K>* me, int row, bool mine) {
  const place_t& at = me->at;
  uint4 residual[K::vectors], sum[K::vectors];
  load_residual<K>(args, at, row, residual);
  outputs_t outputs[K::vectors];
  find_outputs<K>(args, at, row, outputs);
  if (mine) {
    sum_shares<K>(args, call, at, row, sum);
    send_back<K>(args, *call, back, at, row, sum);
    clear_shares<K::world, K::vectors>(args, owned_shares<K>(args, *call, at, row));
  } else {
    take_back<K>(args, call, back, at, row, sum);
  }
  finish_row<K>(args, me, sum, residual, row, outputs);
}

template <typename K>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(K::vectors), FIAR_MIN_BLOCKS(K::vectors))
    twoshot(const __grid_constant__ fiar_kernel_args_t args) {
  if (K::has_code) {
    serve_rows<K, serve_row<K>>(args);
  }
}

}  // namespace

FIAR_KERNEL_TABLE_WITH(twoshot, TWOSHOT,
                       FIAR_ROWS_DRAWN(twoshot, TWOSHOT, 4) FIAR_ROWS_DRAWN(twoshot, TWOSHOT, 8))
