// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// out = act(gate) * up, + up or alone, and its fp8 codes: docs/numerics.md, operation by operation.
#include "device/dependency.cuh"
#include "device/elements.cuh"

#define FIAR_ROUND_TO(value, element) round_to(value, element)
#include "activation.h"

namespace {

template <int W>
__device__ __forceinline__ void activate_at(const fiar_activate_params& call, float scale,
                                            int64_t row, int64_t col) {
  float gate[W], up[W];
  load_elements<W>(call.gate, call.dtype, row * call.gate_stride + col, gate);
  if (call.up) {
    load_elements<W>(call.up, call.dtype, row * call.up_stride + col, up);
  }
#pragma unroll
  for (int i = 0; i < W; ++i) {
    const float value = fiar_activated(gate[i], call.activation, call.rounding, call.dtype);
    gate[i] = round_to(fiar_combined(value, call.up ? up[i] : 0.0f, call.combine), call.out_dtype);
  }
  if (call.out) {
    store_elements<W>(call.out, call.out_dtype, row * call.out_stride + col, gate);
  }
  if (call.quant_out) {
#pragma unroll
    for (int i = 0; i < W; ++i) {
      gate[i] = call.scale_is == FIAR_SCALE_IS_DIVISOR ? __fdiv_rn(gate[i], scale)
                                                       : __fmul_rn(gate[i], scale);
    }
    store_elements<W>(call.quant_out, FIAR_ELEMENT_E4M3, row * call.cols + col, gate);
  }
}

__global__ void __launch_bounds__(FIAR_BLOCK_THREADS)
    activate_kernel(const __grid_constant__ fiar_activate_args_t args) {
  wait_dependency();
  const fiar_activate_params& call = args.call;
  const float scale = call.scale ? *call.scale : 1.0f;
  if (args.width == FIAR_BLOCK_WIDTH) {
    for_each<FIAR_BLOCK_WIDTH>(call.rows, call.cols, [&](int64_t row, int64_t col) {
      activate_at<FIAR_BLOCK_WIDTH>(call, scale, row, col);
    });
  } else {
    for_each<1>(call.rows, call.cols,
                [&](int64_t row, int64_t col) { activate_at<1>(call, scale, row, col); });
  }
  release_dependents();
}

}  // namespace

FIAR_BLOCK_ENTRY(activate)
