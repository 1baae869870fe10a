// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The local part alone: residual, norm and quantiser of rows that are summed already (sum_out
// copies them). What an all-reduce of another library is followed by.
#include "device/row.cuh"
#include "device/table.cuh"

namespace {

template <int NR, int V>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(V), FIAR_MIN_BLOCKS(V))
    norm_quant(const __grid_constant__ fiar_kernel_args_t args) {
  __shared__ row_shared_t shared;
  worker<V> me;
  begin_work<V>(args, &shared, &me);
  reduce_ready(args.cluster_shift);
  load_scale<V>(args, &me);
  for (int row = me.at.row; row < (int)args.call.tokens; row += me.at.row_step) {
    uint4 sum[V], residual[V];
    load_input<V>(args, me.at, row, sum);
    load_residual<V>(args, me.at, row, residual);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      float values[FIAR_E];
      unpack(sum[v], values);
      sum[v] = pack(values);  // NaNs become canonical
    }
    finish_row<V>(args, &me, sum, residual, row);
  }
  pad_scales(args);
  release_dependents();
}

}  // namespace

FIAR_KERNEL_TABLE_ANY_WORLD(norm_quant, LOCAL)
