// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Two-shot push: row t is summed by rank t % world, which pushes the rounded sum to all; every rank
// finishes every row. Two hops; 2 (world - 1) / world times the message leaves each rank.
#include "device/owner.cuh"
#include "device/table.cuh"

namespace {

template <typename K>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(K::vectors), FIAR_MIN_BLOCKS(K::vectors))
    twoshot(const __grid_constant__ fiar_kernel_args_t args) {
  if (!K::has_code) {
    return;
  }
  __shared__ row_shared_t shared;
  worker<K> me;
  begin_work<K>(args, &shared, &me);
  const place_t& at = me.at;
  const uint64_t back = back_offset<K>(args);
  const int tokens = args.tokens;
  uint4 share[K::vectors];
  call_t call = open_shares<K>(args, &me, share);
  // Shares go out a row ahead, sums are taken a row behind: each wait hides behind other rows'
  // flights.
  const int step = turn_step<K>(at);
  for (int turn = first_turn<K>(at); row_of_turn<K>(at, shared, turn - step) < tokens;
       turn += step) {
    send_ahead<K>(args, call, me, turn, share);
#pragma unroll 1
    for (int behind = 0; behind < 2; ++behind) {
      const int row = row_of_turn<K>(at, shared, turn - behind * step);
      const bool mine = row % world_of<K>(args) == args.rank;
      if (row < 0 || row >= tokens || mine != (behind == 0)) {
        continue;
      }
      uint4 residual[K::vectors], sum[K::vectors];
      load_residual<K>(args, at, row, residual);
      void* scales[K::vectors];
      find_scales<K>(args, at, row, scales);
      if (mine) {
        sum_shares<K>(args, &call, at, row, sum);
        send_back<K>(args, call, back, at, row, sum);
        clear_shares<K::world, K::vectors>(args, owned_shares<K>(args, call, at, row));
      } else {
        take_back<K>(args, &call, back, at, row, sum);
      }
      finish_row<K>(args, &me, sum, residual, row, scales);
    }
    draw_ahead<K>(args, me, turn, share);
  }
  release_dependents();
}

}  // namespace

FIAR_KERNEL_TABLE_WITH(twoshot, TWOSHOT,
                       FIAR_ROWS_DRAWN(twoshot, TWOSHOT, 4) FIAR_ROWS_DRAWN(twoshot, TWOSHOT, 8))
