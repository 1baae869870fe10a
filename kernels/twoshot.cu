// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Two-shot push: row t is summed by rank t % world, which pushes the rounded sum to all; every rank
// finishes every row. Two hops; 2 (world - 1) / world times the message leaves each rank.
#include "device/owner.cuh"
#include "device/table.cuh"

namespace {

template <int NR, int V>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(V), FIAR_MIN_BLOCKS(V))
    twoshot(const __grid_constant__ fiar_kernel_args_t args) {
  __shared__ row_shared_t shared;
  worker<V> me;
  begin_work<V>(args, &shared, &me);
  call_t call = open_call(args.peers);
  const place_t& at = me.at;
  const uint64_t back = back_offset<NR>(args);
  const int tokens = (int)args.call.tokens;

  if (at.row < tokens) {
    send_share<NR, V>(args, call, at, at.row);
  }
  load_scale<V>(args, &me);
  pad_scales(args);
  reduce_ready(args.cluster_shift);
  // Shares go out a row ahead, sums are taken a row behind: each wait hides behind other rows'
  // flights.
  for (int turn = at.row; turn - at.row_step < tokens; turn += at.row_step) {
    if (turn + at.row_step < tokens) {
      send_share<NR, V>(args, call, at, turn + at.row_step);
    }
#pragma unroll 1
    for (int behind = 0; behind < 2; ++behind) {
      const int row = turn - behind * at.row_step;
      const bool mine = row % world_of<NR>(args) == args.peers.rank;
      if (row < 0 || row >= tokens || mine != (behind == 0)) {
        continue;
      }
      uint4 residual[V], sum[V];
      load_residual<V>(args, at, row, residual);
      if (mine) {
        sum_shares<NR, V>(args, &call, at, row, sum);
        send_back<NR, V>(args, call, back, at, row, sum);
        clear_shares<NR, V>(args.peers, owned_shares<NR>(args, call, at, row));
      } else {
        take_back<NR, V>(args, &call, back, at, row, sum);
      }
      finish_row<V>(args, &me, sum, residual, row);
    }
  }
  release_dependents();
  close_call(args.peers);
}

}  // namespace

FIAR_KERNEL_TABLE(twoshot, TWOSHOT)
