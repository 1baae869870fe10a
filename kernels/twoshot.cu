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
  const split_t split = split_rows<NR>(args);
  const int tokens = (int)args.call.tokens;

  send_share<V>(args, call, split, at, at.row);
  me.given = given_divisor(args.call);
  reduce_ready(args.cluster);
  // Shares go out a row ahead, sums are taken a row behind: each wait hides behind other rows'
  // flights.
  for (int turn = at.row; turn - at.row_step < tokens; turn += at.row_step) {
    if (turn + at.row_step < tokens) {
      send_share<V>(args, call, split, at, turn + at.row_step);
    }
#pragma unroll 1
    for (int behind = 0; behind < 2; ++behind) {
      const int row = turn - behind * at.row_step;
      const bool mine = row % split.world == args.peers.rank;
      if (row < 0 || row >= tokens || mine != (behind == 0)) {
        continue;
      }
      uint4 residual[V], sum[V];
      load_row<V>(args.call.residual, row, args.call.residual_stride, at, residual);
      if (mine) {
        sum_shares<NR, V>(args, &call, split, at, row, sum);
        send_back<NR, V>(args, call, split, at, row, sum);
      } else {
        take_back<V>(args, &call, split, at, row, sum);
      }
      finish_row<V>(args, &me, sum, residual, row);
    }
  }
  release_dependents();
  close_call(args.peers);
  finish_scales(args);
}

}  // namespace

FIAR_KERNEL_TABLE(twoshot, TWOSHOT)
