// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// One-shot push: every rank writes its rows into every peer's slot, sums all ranks' rows from its
// own slot and finishes them. One hop; (world - 1) times the message leaves each rank.
//
// Slot: [source rank][token][vector]. The own share stays in registers.
#include "device/row.cuh"
#include "device/sync.cuh"
#include "device/table.cuh"

namespace {

template <int NR, int V>
__device__ __forceinline__ void push_row(const fiar_kernel_args_t& args, const call_t& call,
                                         const place_t& at, int row, uint4* own) {
  load_row<V>(args.call.input, row, args.call.input_stride, at, own);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    own[v] = sendable(own[v]);
    if (v < at.count) {
      const int64_t vector = (args.peers.rank * args.call.tokens + row) * args.vectors + at.vector;
      push_to_peers<NR>(args.peers, call, (vector + v * at.vector_step) * sizeof(uint4), own[v]);
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
  const int64_t source_bytes = args.call.tokens * args.vectors * (int64_t)sizeof(uint4);

  uint4 own[V], next[V], residual[V], sum[V];
  push_row<NR, V>(args, call, at, at.row, own);
  me.given = given_divisor(args.call);
  reduce_ready(args.cluster);
  for (int row = at.row; row < tokens; row += at.row_step) {
    load_row<V>(args.call.residual, row, args.call.residual_stride, at, residual);
    // A row ahead, so that the wait for one hides behind the flight of the next.
    if (row + at.row_step < tokens) {
      push_row<NR, V>(args, call, at, row + at.row_step, next);
    } else if (args.flags & FIAR_LAUNCH_EARLY_RELEASE) {
      release_dependents();
    }
    const shares_t shares = {slot_of(args.peers, call, args.peers.rank) +
                                 (row * args.vectors + at.vector) * (int64_t)sizeof(uint4),
                             source_bytes, at.vector_step * (int64_t)sizeof(uint4), at.count};
    take_sums<NR, V>(args.peers, &call, shares, own, row, sum);
    finish_row<V>(args, &me, sum, residual, row);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      own[v] = next[v];
    }
  }
  release_dependents();
  close_call(args.peers);
  finish_scales(args);
}

}  // namespace

FIAR_KERNEL_TABLE(oneshot, ONESHOT)
