// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The quantiser by itself: codes and scales of rows as they are.
#include "device/row.cuh"
#include "device/table.cuh"

namespace {

template <int NR, int V>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(V), FIAR_MIN_BLOCKS(V))
    quantize(const __grid_constant__ fiar_kernel_args_t args) {
  __shared__ row_shared_t shared;
  worker<V> me;
  begin_work<V>(args, &shared, &me);
  reduce_ready(args.cluster_shift);
  load_scale<V>(args, &me);
  for (int row = me.at.row; row < (int)args.call.tokens; row += me.at.row_step) {
    uint4 x[V];
    encoded_t codes[V];
    load_input<V>(args, me.at, row, x);
    const float amax = args.traits & FIAR_TRAIT_ROW_AMAX ? row_amax<V>(args, &me, x) : 0.0f;
    quantise_row<V>(args, &me, x, amax, codes);
    store_quantised<V>(args, me.at, row, codes);
  }
  pad_scales(args);
  release_dependents();
}

}  // namespace

FIAR_KERNEL_TABLE_ANY_WORLD(quantize, QUANTIZE)
