// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// One-shot push: every rank writes its rows into every peer's slot, sums all ranks' rows from its
// own slot and finishes them. One hop; (world - 1) times the message leaves each rank.
//
// Slot: [source rank][token][vector]. The own share never goes there.
#include "device/row.cuh"
#include "device/table.cuh"

namespace {

template <int NR, int V>
__device__ __forceinline__ void push_row(const fiar_kernel_args_t& args, const call_t& call,
                                         const place_t& at, int row) {
  uint4 own[V];
  load_input<V>(args, at, row, own);
  const uint64_t offset = args.peers.rank * args.all_bytes + row_offset(at, row, args.row_bytes);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (v < at.count) {
      push_to_others<NR>(args, call, offset + v * at.step, sendable(own[v]));
    }
  }
}

template <int NR, int V>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(V), FIAR_MIN_BLOCKS(V))
    oneshot(const __grid_constant__ fiar_kernel_args_t args) {
  __shared__ row_shared_t shared;
  worker<V> me;
  begin_work<V>(args, &shared, &me);
  call_t call = open_call(args.peers);
  const place_t& at = me.at;
  const int tokens = (int)args.call.tokens;

  if (at.row < tokens) {
    push_row<NR, V>(args, call, at, at.row);
  }
  load_scale<V>(args, &me);
  pad_scales(args);
  reduce_ready(args.cluster_shift);
  for (int row = at.row; row < tokens; row += at.row_step) {
    uint4 own[V], residual[V], sum[V];
    load_residual<V>(args, at, row, residual);
    load_input<V>(args, at, row, own);
    // A row ahead, so that the wait for one hides behind the flight of the next.
    if (row + at.row_step < tokens) {
      push_row<NR, V>(args, call, at, row + at.row_step);
    } else if (args.flags & FIAR_LAUNCH_EARLY_RELEASE) {
      release_dependents();
    }
    const shares_t shares = {own_slot(args, call) + row_offset(at, row, args.row_bytes),
                             args.all_bytes, at.step, at.count};
    take_sums<NR, V>(args.peers, &call, shares, own, row, sum);
    finish_row<V>(args, &me, sum, residual, row);
    clear_shares<NR, V>(args.peers, shares);
  }
  release_dependents();
  close_call(args.peers);
}

}  // namespace

FIAR_KERNEL_TABLE(oneshot, ONESHOT)
