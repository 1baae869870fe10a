// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// One-shot push: every rank writes its rows into every peer's slot, sums all ranks' rows from its
// own slot and finishes them. One hop; (world - 1) times the message leaves each rank.
//
// Slot: [source rank][token][vector]. The own share never goes there.
#include "device/row.cuh"
#include "device/table.cuh"

namespace {

template <typename K>
__device__ __forceinline__ void push_row(const fiar_kernel_args_t& args, const call_t& call,
                                         const place_t& at, int row, const uint4* own) {
  const uint64_t offset = args.all_offset + row_offset(at, row, args.row_bytes);
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    if (v < at.count) {
      push_to_others<K::world>(args, call, offset + v * at.step, sendable(own[v]));
    }
  }
}

template <typename K>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(K::vectors), FIAR_MIN_BLOCKS(K::vectors))
    oneshot(const __grid_constant__ fiar_kernel_args_t args) {
  if (!K::has_code) {
    return;
  }
  constexpr bool codes_ahead = K::world < 8;  // eight ranks' shares leave no registers for them
  __shared__ row_shared_t shared;
  worker<K> me;
  mark(FIAR_MARK_START);
  begin_work<K>(args, &shared, &me);
  mark(FIAR_MARK_PROLOGUE);
  const place_t& at = me.at;
  const int tokens = args.tokens;
  uint4 own[K::vectors];
  call_t call = open_work<K>(args, &me, at.row < tokens, own);
  if (at.row < tokens) {
    push_row<K>(args, call, at, at.row, own);
  }
  mark(FIAR_MARK_PUSHED);
  pad_scales<K>(args);
  exchange_ready(args.cluster_shift);
  count_block(args, &call);
  mark(FIAR_MARK_COUNTED);
  for (int row = at.row; row < tokens; row += at.row_step) {
    uint4 residual[K::vectors], sum[K::vectors];
    load_residual<K>(args, at, row, residual);
    load_input<K>(args, at, row, own);
    outputs_t outputs[K::vectors];
    find_outputs<K, codes_ahead>(args, at, row, outputs);
    // A row ahead, so that the wait for one hides behind the flight of the next.
    if (row + at.row_step < tokens) {
      uint4 next[K::vectors];
      load_input<K>(args, at, row + at.row_step, next);
      push_row<K>(args, call, at, row + at.row_step, next);
    } else if (args.flags & FIAR_LAUNCH_EARLY_RELEASE) {
      release_dependents();
    }
    const shares_t shares = {own_slot(args, call) + row_offset(at, row, args.row_bytes),
                             args.all_bytes, at.step, at.count};
    mark(FIAR_MARK_POLLING);
    take_sums<K::world, K::vectors>(args, &call, shares, own, row, sum);
    mark(FIAR_MARK_ARRIVED);
    finish_row<K, codes_ahead>(args, &me, sum, residual, row, outputs);
    mark(FIAR_MARK_STORED);
    if (row + at.row_step >= tokens) {
      release_dependents();  // the outputs are stored; the slots are this family's own affair
    }
    clear_shares<K::world, K::vectors>(args, shares);
  }
  mark(FIAR_MARK_END);
  release_dependents();
  store_marks(args);
}

}  // namespace

FIAR_KERNEL_TABLE(oneshot, ONESHOT)
