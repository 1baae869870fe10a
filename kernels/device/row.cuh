// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What every kernel does with a summed row: residual, norm, quantiser. All threads of a row's block
// or cluster call these together; threads past the row's end (at.count) take part in the reductions
// alone.
#ifndef FIAR_DEVICE_ROW_CUH
#define FIAR_DEVICE_ROW_CUH

#include "device/common.cuh"
#include "device/reduce.cuh"
#include "device/sync.cuh"
#include "quant/formats.cuh"

namespace {

// What a thread keeps over the rows of a call.
template <int V>
struct worker {
  place_t at;
  row_shared_t* shared;
  uint32_t turn;            // of reduce_row
  divisor_t given;          // the caller's scale
  float weight[V][FIAR_E];  // with its bias, and 1 where there is none
};

__device__ __forceinline__ bool wants_norm(const fiar_all_reduce_norm_params& call) {
  return call.norm_out || call.quant_out || call.scales_out;
}

// The weight is immutable: it may be read before the dependency wait.
template <int V>
__device__ __forceinline__ void load_weight(const fiar_all_reduce_norm_params& call,
                                            worker<V>* me) {
  const bool same_type = call.weight_dtype == FIAR_KERNEL_DTYPE;
  const bool rounds = same_type && call.norm_rounding == FIAR_NORM_ROUNDING_BEFORE_WEIGHT;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const int vector = me->at.vector + v * me->at.vector_step;
    float* weight = me->weight[v];
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      weight[i] = 1.0f;
    }
    if (!call.weight || v >= me->at.count) {
      continue;
    }
    if (same_type) {
      unpack(load_vector(call.weight, vector), weight);
    } else {
#pragma unroll
      for (int i = 0; i < FIAR_E; i += 4) {
        float4 four = static_cast<const float4*>(call.weight)[(vector * FIAR_E + i) / 4];
        weight[i] = four.x;
        weight[i + 1] = four.y;
        weight[i + 2] = four.z;
        weight[i + 3] = four.w;
      }
    }
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      weight[i] = __fadd_rn(call.weight_bias, weight[i]);
      weight[i] = rounds ? round_element(weight[i]) : weight[i];
    }
  }
}

// A thread's vectors of a row, `stride` elements from the row before; zero past the end.
template <int V>
__device__ __forceinline__ void load_row(const void* array, int row, int64_t stride,
                                         const place_t& at, uint4* x) {
#pragma unroll
  for (int v = 0; v < V; ++v) {
    x[v] = filled(0);
    if (array && v < at.count) {
      x[v] = load_vector(array, row * (stride / FIAR_E) + at.vector + v * at.vector_step);
    }
  }
}

// A row of an output, which has no gaps.
template <int V>
__device__ __forceinline__ void store_row(void* array, int row, int64_t vectors, const place_t& at,
                                          const uint4* x) {
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (array && v < at.count) {
      store_vector(array, row * vectors + at.vector + v * at.vector_step, x[v]);
    }
  }
}

// total / hidden, to within an ulp.
__device__ __forceinline__ float mean_of(float total, const fiar_kernel_args_t& args) {
  float near = __fmul_rn(total, args.inverse_hidden);
  float left = __fmaf_rn(-near, (float)args.call.hidden, total);
  return isfinite(near) ? __fmaf_rn(left, args.inverse_hidden, near) : near;
}

// The largest magnitude of a row of rounded values.
template <int V>
__device__ __forceinline__ float row_amax(const fiar_kernel_args_t& args, worker<V>* me,
                                          const uint4* x) {
  float nothing[V];
  uint32_t maxima[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    float y[FIAR_E];
    unpack(x[v], y);
    nothing[v] = 0.0f;
    maxima[v] = v < me->at.count ? largest_magnitude(y) : 0;
  }
  return __uint_as_float(
      reduce_row<V>(me->shared, me->at, args.cluster, &me->turn, nothing, maxima, true).max);
}

// From the row's rounded sum: writes sum_out (at `row`) and residual_out (at residual_row), gives
// the rounded norm and, where fp8_token wants it, its largest magnitude.
//
// The weight is multiplied before the reciprocal root when the order is free: rounding keeps order,
// so the largest |h * weight| gives the largest norm, and one reduction serves both.
template <int V>
__device__ __forceinline__ void norm_row(const fiar_kernel_args_t& args, worker<V>* me,
                                         const uint4* sum, const uint4* residual, int row,
                                         int residual_row, uint4* norm, float* out_amax) {
  const fiar_all_reduce_norm_params& call = args.call;
  const bool before = call.norm_rounding == FIAR_NORM_ROUNDING_BEFORE_WEIGHT;
  const bool with_max = args.call.quant == FIAR_QUANT_FP8_TOKEN;
  float h[V][FIAR_E], squares[V];
  uint32_t maxima[V];
  uint4 added[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    unpack(sum[v], h[v]);
    added[v] = sum[v];
    if (call.residual) {
      float other[FIAR_E];
      unpack(residual[v], other);
#pragma unroll
      for (int i = 0; i < FIAR_E; ++i) {
        h[v][i] = __fadd_rn(h[v][i], other[i]);
      }
      added[v] = pack(h[v]);
    }
    if (call.norm_input == FIAR_NORM_INPUT_ROUNDED) {
      unpack(added[v], h[v]);
    }
    squares[v] = 0.0f;
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      squares[v] = __fmaf_rn(h[v][i], h[v][i], squares[v]);
      h[v][i] = before ? h[v][i] : __fmul_rn(h[v][i], me->weight[v][i]);
    }
    maxima[v] = with_max ? largest_magnitude(h[v]) : 0;
  }
  store_row<V>(call.sum_out, row, args.vectors, me->at, sum);
  store_row<V>(call.residual_out, residual_row, args.vectors, me->at, added);
  if (!wants_norm(call)) {
    return;
  }
  row_total_t total = reduce_row<V>(me->shared, me->at, args.cluster, &me->turn, squares, maxima,
                                    with_max && !before);
  const float root = rsqrtf(mean_of(total.sum, args) + call.eps);
#pragma unroll
  for (int v = 0; v < V; ++v) {
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      h[v][i] = __fmul_rn(h[v][i], root);
      h[v][i] = before ? __fmul_rn(round_element(h[v][i]), me->weight[v][i]) : h[v][i];
    }
    norm[v] = pack(h[v]);
  }
  *out_amax = fabsf(round_element(__fmul_rn(__uint_as_float(total.max), root)));
  if (with_max && before) {
    *out_amax = row_amax<V>(args, me, norm);
  }
}

// Codes of a rounded norm. amax: the row's, for fp8_token.
template <int V>
__device__ __forceinline__ void quantise_row(const fiar_kernel_args_t& args, worker<V>* me,
                                             const uint4* norm, float amax, encoded_t* codes) {
  const bool blocks = args.scale_cols > 0 && args.call.quant != FIAR_QUANT_FP8_TOKEN;
  const int lanes = blocks ? (int)args.vectors / (int)args.scale_cols : 1;
  float y[V][FIAR_E];
  uint32_t largest[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    unpack(norm[v], y[v]);
    prepare_values(args.call, me->given, y[v]);
    largest[v] = __float_as_uint(amax);
    if (blocks) {
      largest[v] = v < me->at.count ? largest_magnitude(y[v]) : 0;
    }
  }
  if (blocks && lanes <= 32 && (lanes & (lanes - 1)) == 0) {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      largest[v] = group_max_shuffled(largest[v], lanes);
    }
  } else if (blocks) {
    int group[V];
#pragma unroll
    for (int v = 0; v < V; ++v) {
      group[v] = v < me->at.count ? (me->at.vector + v * me->at.vector_step) / lanes : 0;
    }
    group_max_shared<V>(me->shared, (int)args.scale_cols, group, largest);
  }
#pragma unroll
  for (int v = 0; v < V; ++v) {
    codes[v] = encode(args.call, me->given, y[v], __uint_as_float(largest[v]));
  }
}

// Is this vector the first of its scale's block, so that its thread writes the scale? Gives the
// column.
__device__ __forceinline__ bool leads_block(const fiar_kernel_args_t& args, int vector,
                                            int* out_col) {
  if (args.scale_cols == 0) {
    return false;
  }
  const int lanes = (int)args.vectors / (int)args.scale_cols;
  *out_col = vector / lanes;
  return vector % lanes == 0;
}

template <int V>
__device__ __forceinline__ void store_quantised(const fiar_kernel_args_t& args, const worker<V>* me,
                                                int row, const encoded_t* codes) {
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const int vector = me->at.vector + v * me->at.vector_step;
    if (v >= me->at.count) {
      break;
    }
    if (args.call.quant_out) {
      store_codes(args.call, row * args.vectors + vector, codes[v]);
    }
    int col;
    if (args.call.scales_out && leads_block(args, vector, &col)) {
      store_scale(args, row, col, codes[v].scale);
    }
  }
}

// norm_row, quantise_row and all outputs.
template <int V>
__device__ __forceinline__ void finish_row(const fiar_kernel_args_t& args, worker<V>* me,
                                           const uint4* sum, const uint4* residual, int row) {
  uint4 norm[V];
  float amax = 0.0f;
  norm_row<V>(args, me, sum, residual, row, row, norm, &amax);
  store_row<V>(args.call.norm_out, row, args.vectors, me->at, norm);
  if (args.call.quant != FIAR_QUANT_NONE) {
    encoded_t codes[V];
    quantise_row<V>(args, me, norm, amax, codes);
    store_quantised<V>(args, me, row, codes);
  }
}

// The start of every kernel up to the dependency wait.
template <int V>
__device__ __forceinline__ void begin_work(const fiar_kernel_args_t& args, row_shared_t* shared,
                                           worker<V>* me) {
  me->at = find_place<V>(args);
  me->shared = shared;
  me->turn = 0;
  reduce_begin(shared, args.cluster);
  load_weight<V>(args.call, me);
  wait_dependency();
}

}  // namespace

#endif  // FIAR_DEVICE_ROW_CUH
