// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The quantiser by itself: codes and scales of rows as they are.
#include "device/local.cuh"
#include "device/table.cuh"

namespace {

template <typename K>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(K::vectors), FIAR_MIN_BLOCKS(K::vectors))
    quantize(const __grid_constant__ fiar_kernel_args_t args) {
  __shared__ row_shared_t shared;
  worker<K> me;
  begin_local<K>(args, &shared, &me);
  for (int row = me.at.row; row < args.tokens; row += me.at.row_step) {
    uint4 x[K::vectors];
    encoded_t codes[K::vectors];
    outputs_t outputs[K::vectors];
    load_input<K>(args, me.at, row, x);
    find_outputs<K>(args, me.at, row, outputs);
    uint32_t largest[K::vectors];
    find_largest<K>(args, &me, x, largest);
    quantise_row<K>(args, &me, x, largest, codes);
    store_quantised<K>(args, me.at, row, codes, outputs);
  }
  end_local<K>(args);
}

}  // namespace

FIAR_KERNEL_TABLE_ANY_WORLD(quantize, QUANTIZE)
