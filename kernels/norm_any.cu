// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// norm_quant.cu for everything that its vectors cannot serve: odd hidden sizes, unaligned or
// strided rows, any group size. An element at a time, a block a row, the row in dynamic shared
// memory. Not fast.
#include "device/row.cuh"
#include "device/table.cuh"

namespace {

#if FIAR_IS_F32
typedef float element_t;
#elif FIAR_IS_BF16
typedef __nv_bfloat16 element_t;
#else
typedef __half element_t;
#endif

__device__ __forceinline__ float load_element(const void* array, int64_t index) {
  return (float)static_cast<const element_t*>(array)[index];
}

__device__ __forceinline__ void store_element(void* array, int64_t index, float value) {
  static_cast<element_t*>(array)[index] =
      value != value ? (element_t)__uint_as_float(0x7FFFFFFFu) : (element_t)value;
}

__device__ __forceinline__ float load_weight_at(const fiar_all_reduce_norm_params& call, int i) {
  if (!call.weight) {
    return 1.0f;
  }
  const bool same_type = call.weight_dtype == FIAR_KERNEL_DTYPE;
  float weight =
      same_type ? load_element(call.weight, i) : static_cast<const float*>(call.weight)[i];
  weight = __fadd_rn(call.weight_bias, weight);
  return same_type && call.norm_rounding == FIAR_NORM_ROUNDING_BEFORE_WEIGHT ? round_element(weight)
                                                                             : weight;
}

// h = sum + residual into shared memory, with sum_out and residual_out; gives the thread's squares.
__device__ __forceinline__ float add_elements(const fiar_kernel_args_t& args, int row, float* h) {
  const fiar_all_reduce_norm_params& call = args.call;
  float squares = 0.0f;
  for (int i = threadIdx.x; i < call.hidden; i += blockDim.x) {
    float value = load_element(call.input, row * call.input_stride + i);
    if (call.sum_out) {
      store_element(call.sum_out, row * call.hidden + i, value);
    }
    if (call.residual) {
      value = __fadd_rn(value, load_element(call.residual, row * call.residual_stride + i));
    }
    if (call.residual_out) {
      store_element(call.residual_out, row * call.hidden + i, value);
    }
    h[i] = call.norm_input == FIAR_NORM_INPUT_ROUNDED ? round_element(value) : value;
    squares = __fmaf_rn(h[i], h[i], squares);
  }
  return squares;
}

// In place: the rounded norm, and norm_out.
__device__ __forceinline__ void norm_elements(const fiar_kernel_args_t& args, int row, float root,
                                              float* h) {
  const fiar_all_reduce_norm_params& call = args.call;
  const bool before = call.norm_rounding == FIAR_NORM_ROUNDING_BEFORE_WEIGHT;
  for (int i = threadIdx.x; i < call.hidden; i += blockDim.x) {
    const float weight = load_weight_at(call, i);
    const float value = before ? __fmul_rn(round_element(__fmul_rn(h[i], root)), weight)
                               : __fmul_rn(__fmul_rn(h[i], weight), root);
    h[i] = round_element(value);
    if (call.norm_out) {
      store_element(call.norm_out, row * call.hidden + i, h[i]);
    }
  }
}

// Encodes `count` <= FIAR_E values from `at` on. Two 4-bit codes make a byte: blocks of them are
// even.
__device__ __forceinline__ uint32_t encode_elements(const fiar_kernel_args_t& args,
                                                    const format_t& format, const float* h,
                                                    int64_t at, int count, float amax) {
  float y[FIAR_E];
#pragma unroll
  for (int i = 0; i < FIAR_E; ++i) {
    y[i] = i < count ? h[i] : 0.0f;
  }
  const encoded_t codes = encode(pack(y), amax, format);
  uint8_t* out = static_cast<uint8_t*>(args.quant_out);
  const int step = args.traits & FIAR_TRAIT_FP4 ? 2 : 1;  // codes a byte
  for (int i = 0; out && i < count; i += step) {
    const int byte = i / step;
    out[(at + i) / step] = (uint8_t)((byte < 4 ? codes.low : codes.high) >> 8 * (byte % 4));
  }
  return codes.scale;
}

__device__ __forceinline__ float largest_element(const format_t& format, const float* h,
                                                 int count) {
  uint32_t largest = 0;
  for (int i = 0; i < count; ++i) {
    const float y = divides_first(format) ? __fdiv_rn(h[i], format.given) : h[i];
    largest = max(largest, __float_as_uint(y) & 0x7FFFFFFFu);
  }
  return __uint_as_float(largest);
}

// A thread a block of values, or a thread a vector where the scale is given.
template <typename K>
__device__ __forceinline__ void quantise_elements(const fiar_kernel_args_t& args,
                                                  const format_t& format, int row, const float* h) {
  const int hidden = (int)args.call.hidden;
  const int cols = args.scale_cols > 0 ? args.scale_cols : (hidden + FIAR_E - 1) / FIAR_E;
  const int block = args.scale_cols > 0 ? hidden / cols : FIAR_E;
  for (int col = (int)threadIdx.x; col < cols; col += (int)blockDim.x) {
    const int first = col * block, last = min(first + block, hidden);
    const float amax = largest_element(format, h + first, last - first);
    uint32_t scale = 0;
    for (int i = first; i < last; i += FIAR_E) {
      scale = encode_elements(args, format, h + i, (int64_t)row * hidden + i, min(last - i, FIAR_E),
                              amax);
    }
    if (args.scale_cols > 0 && args.scales_out) {
      store_scale<K>(args, scale_at<K>(args, row, col), scale);
    }
  }
}

template <typename K>
__global__ void __launch_bounds__(256) norm_any(const __grid_constant__ fiar_kernel_args_t args) {
  extern __shared__ float h[];
  __shared__ row_shared_t shared;
  wait_dependency();
  const place_t at = {0, 0, threadIdx.x * (uint32_t)sizeof(uint4),
                      blockDim.x * (uint32_t)sizeof(uint4), 1};
  const format_t format = format_of<K>(args, given_scale<K>(args));
  exchange_t exchange = begin_exchange<1>(&shared, at, 0);
  for (int row = (int)blockIdx.x; row < args.tokens; row += (int)gridDim.x) {
    float squares[1] = {add_elements(args, row, h)};
    if (args.traits & FIAR_TRAIT_NORM) {
      const uint32_t nothing[1] = {0};
      send_partials<1>(exchange, at, squares, nothing, false);
      const float total = take_total(&exchange, false).sum;
      norm_elements(args, row, rsqrtf(__fmaf_rn(total, args.inverse_hidden, args.eps)), h);
    }
    __syncthreads();
    if (args.traits & FIAR_TRAIT_QUANT) {
      quantise_elements<K>(args, format, row, h);
      __syncthreads();
    }
  }
  pad_scales<K>(args);
  release_dependents();
}

}  // namespace

FIAR_TABLE(norm_any, FIAR_ROW_GENERAL(norm_any, ANY, 0, 1))
