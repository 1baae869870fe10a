// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What follows a matmul whose scales, bias or output type cuBLASLt does not serve: its f32 sums
// times the factor of their row and of their column, plus bias, rounded once.
#include "device/dependency.cuh"
#include "device/elements.cuh"

namespace {

// The one f32 scale of an operand, as what values are multiplied with.
__device__ __forceinline__ float factor_of(const float* scale, int scale_is) {
  return !scale ? 1.0f : scale_is == FIAR_SCALE_IS_MULTIPLIER ? __fdiv_rn(1.0f, *scale) : *scale;
}

__device__ __forceinline__ float of_vector(float factor, int scaling, const void* scales,
                                           int64_t index) {
  return scaling == FIAR_SCALING_VECTOR
             ? __fmul_rn(factor, static_cast<const float*>(scales)[index])
             : factor;
}

template <int W>
__device__ __forceinline__ void scale_at(const fiar_scale_matmul_args_t& args, float a, float b,
                                         int64_t row, int64_t col) {
  const fiar_matmul_params& call = args.call;
  float values[W], bias[W];
  load_elements<W>(args.sums, FIAR_ELEMENT_F32, row * call.n + col, values);
  if (call.bias) {
    load_elements<W>(call.bias, call.bias_dtype, col, bias);
  }
  a = of_vector(a, call.a_scaling, call.a_scales, row);
#pragma unroll
  for (int i = 0; i < W; ++i) {
    const float factor = __fmul_rn(a, of_vector(b, call.b_scaling, call.b_scales, col + i));
    values[i] = __fmul_rn(values[i], factor);
    values[i] = call.bias ? __fadd_rn(values[i], bias[i]) : values[i];
  }
  store_elements<W>(call.out, call.out_dtype, row * call.out_stride + col, values);
}

__global__ void __launch_bounds__(FIAR_BLOCK_THREADS)
    scale_matmul_kernel(const __grid_constant__ fiar_scale_matmul_args_t args) {
  wait_dependency();
  const fiar_matmul_params& call = args.call;
  const float a = factor_of(call.a_scale, call.a_scale_is);
  const float b = factor_of(call.b_scale, call.b_scale_is);
  if (args.width == FIAR_BLOCK_WIDTH) {
    for_each<FIAR_BLOCK_WIDTH>(call.m, call.n, [&](int64_t row, int64_t col) {
      scale_at<FIAR_BLOCK_WIDTH>(args, a, b, row, col);
    });
  } else {
    for_each<1>(call.m, call.n,
                [&](int64_t row, int64_t col) { scale_at<1>(args, a, b, row, col); });
  }
  release_dependents();
}

}  // namespace

FIAR_BLOCK_ENTRY(scale_matmul)
