// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// out = silu(gate) * up and its fp8 codes: docs/numerics.md, operation by operation.
#include "device/dependency.cuh"
#include "device/elements.cuh"
#include "exp.h"

namespace {

__device__ __forceinline__ float silu(float x, int rounding, int dtype) {
  const int each = rounding == FIAR_SILU_ROUNDING_EACH ? dtype : FIAR_ELEMENT_F32;
  float value = round_to(fiar_exp(-x), each);
  value = round_to(__fadd_rn(1.0f, value), each);
  value = round_to(__fdiv_rn(1.0f, value), each);
  value = __fmul_rn(x, value);
  return rounding == FIAR_SILU_ROUNDING_NONE ? value : round_to(value, dtype);
}

template <int W>
__device__ __forceinline__ void silu_mul_at(const fiar_silu_mul_params& call, float scale,
                                            int64_t row, int64_t col) {
  float gate[W], up[W];
  load_elements<W>(call.gate, call.dtype, row * call.gate_stride + col, gate);
  load_elements<W>(call.up, call.dtype, row * call.up_stride + col, up);
#pragma unroll
  for (int i = 0; i < W; ++i) {
    gate[i] = __fmul_rn(silu(gate[i], call.rounding, call.dtype), up[i]);
    gate[i] = round_to(gate[i], call.out_dtype);
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
    silu_mul_kernel(const __grid_constant__ fiar_silu_mul_args_t args) {
  wait_dependency();
  const fiar_silu_mul_params& call = args.call;
  const float scale = call.scale ? *call.scale : 1.0f;
  if (args.width == FIAR_BLOCK_WIDTH) {
    for_each<FIAR_BLOCK_WIDTH>(call.rows, call.cols, [&](int64_t row, int64_t col) {
      silu_mul_at<FIAR_BLOCK_WIDTH>(call, scale, row, col);
    });
  } else {
    for_each<1>(call.rows, call.cols,
                [&](int64_t row, int64_t col) { silu_mul_at<1>(call, scale, row, col); });
  }
  release_dependents();
}

}  // namespace

FIAR_BLOCK_ENTRY(silu_mul)
