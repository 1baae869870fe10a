// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The local part alone: residual, norm and quantiser of rows that are summed already (sum_out
// copies them). What an all-reduce of another library is followed by.
#include "device/local.cuh"
#include "device/table.cuh"

namespace {

template <typename K>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(K::vectors), FIAR_MIN_BLOCKS(K::vectors))
    norm_quant(const __grid_constant__ fiar_kernel_args_t args) {
  __shared__ row_shared_t shared;
  worker<K> me;
  begin_local<K>(args, &shared, &me);
  for (int row = me.at.row; row < args.tokens; row += me.at.row_step) {
    uint4 sum[K::vectors], residual[K::vectors];
    load_input<K>(args, me.at, row, sum);
    load_residual<K>(args, me.at, row, residual);
    outputs_t outputs[K::vectors];
    find_outputs<K>(args, me.at, row, outputs);
#pragma unroll
    for (int v = 0; v < K::vectors; ++v) {
      float values[FIAR_E];
      unpack(sum[v], values);
      sum[v] = pack(values);  // NaNs become canonical
    }
    finish_row<K>(args, &me, sum, residual, row, outputs);
  }
  end_local<K>(args);
}

}  // namespace

FIAR_KERNEL_TABLE_ANY_WORLD(norm_quant, LOCAL)
