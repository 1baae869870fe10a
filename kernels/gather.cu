// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The owners' rows to everyone: residual [ceil(tokens / world), hidden] holds rows rank, rank +
// world,
// ...; sum_out [tokens, hidden] gets them all, in order. Bits travel as they are, but for NaNs of
// all ones.
//
// Slot: [token][vector].
#include "device/owner.cuh"
#include "device/table.cuh"

namespace {

template <typename K>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(K::vectors), FIAR_MIN_BLOCKS(K::vectors))
    gather(const __grid_constant__ fiar_kernel_args_t args) {
  const place_t at = find_place<K::vectors>(args);
  wait_dependency();
  call_t call = open_call(args);
  const int world = world_of<K>(args);
  const int tokens = args.tokens;
  // All pushes before the first wait.
  for (int row = at.row; row < tokens; row += at.row_step) {
    if (row % world == args.rank) {
      uint4 x[K::vectors];
      load_row<K::vectors>(args.residual, row / world, args.residual_row_bytes, at, x);
#pragma unroll
      for (int v = 0; v < K::vectors; ++v) {
        x[v] = sendable(x[v]);
      }
      send_back<K>(args, call, 0, at, row, x);
      store_row<K::vectors>(args.call.sum_out, row, args.row_bytes, at, x);
    }
  }
  count_block(args, &call);
  for (int row = at.row; row < tokens; row += at.row_step) {
    if (row % world != args.rank) {
      uint4 x[K::vectors];
      take_back<K>(args, &call, 0, at, row, x);
      store_row<K::vectors>(args.call.sum_out, row, args.row_bytes, at, x);
    }
  }
  release_dependents();
}

}  // namespace

FIAR_KERNEL_TABLE_ANY_WORLD(gather, GATHER)
