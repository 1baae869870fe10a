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
  float given, reciprocal;  // the caller's scale, and 1 over it
  uint4 weight[V];          // as it lies in memory, of the element type; zeros where there is none
};

// The start of every kernel up to the dependency wait, before which only the immutable weight is
// read.
template <int V>
__device__ __forceinline__ void begin_work(const fiar_kernel_args_t& args, row_shared_t* shared,
                                           worker<V>* me) {
  me->at = find_place<V>(args);
  me->shared = shared;
  me->turn = 0;
  reduce_begin(shared, args.cluster_shift);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    me->weight[v] = filled(0);
  }
  if (args.traits & FIAR_TRAIT_WEIGHT) {
    load_row<V>(args.call.weight, 0, 0, me->at, me->weight);
  }
  wait_dependency();
}

// Reads the caller's scale: after the dependency wait.
template <int V>
__device__ __forceinline__ void load_scale(const fiar_kernel_args_t& args, worker<V>* me) {
  me->given = given_scale(args);
  me->reciprocal = __frcp_rn(me->given);
}

// weight_bias + weight in f32; the host sets the bias to 1 where there is no weight.
template <int V>
__device__ __forceinline__ void weight_values(const fiar_kernel_args_t& args, const worker<V>& me,
                                              int v, float* weight) {
  uint4 raw = me.weight[v];
  // Opaque, or the compiler would unpack before the loop over rows and spill twice the registers.
  asm volatile("" : "+r"(raw.x), "+r"(raw.y), "+r"(raw.z), "+r"(raw.w));
  unpack(raw, weight);
  if (args.traits & FIAR_TRAIT_WEIGHT_F32 && v < me.at.count) {
    const float4* from =
        static_cast<const float4*>(args.call.weight) + vector_of(me.at, v) * (FIAR_E / 4);
#pragma unroll
    for (int i = 0; i < FIAR_E; i += 4) {
      const float4 four = from[i / 4];
      weight[i] = four.x;
      weight[i + 1] = four.y;
      weight[i + 2] = four.z;
      weight[i + 3] = four.w;
    }
  }
#pragma unroll
  for (int i = 0; i < FIAR_E; ++i) {
    weight[i] = __fadd_rn(args.weight_bias, weight[i]);
  }
  if (args.traits & FIAR_TRAIT_ROUND_WEIGHT) {
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      weight[i] = round_element(weight[i]);
    }
  }
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
      reduce_row<V>(me->shared, me->at, args.cluster_shift, &me->turn, nothing, maxima, true).max);
}

// h = sum + residual; writes sum_out at `row` and residual_out at `residual_row`.
template <int V>
__device__ __forceinline__ void add_residual(const fiar_kernel_args_t& args, const place_t& at,
                                             const uint4* sum, const uint4* residual, int row,
                                             int residual_row, float (&h)[V][FIAR_E]) {
  uint4 added[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    unpack(sum[v], h[v]);
    added[v] = sum[v];
    if (args.traits & FIAR_TRAIT_RESIDUAL) {
      float other[FIAR_E];
      unpack(residual[v], other);
#pragma unroll
      for (int i = 0; i < FIAR_E; ++i) {
        h[v][i] = __fadd_rn(h[v][i], other[i]);
      }
      added[v] = pack(h[v]);
      if (!(args.traits & FIAR_TRAIT_NORM_OF_F32)) {
        unpack(added[v], h[v]);
      }
    }
  }
  if (args.call.sum_out) {
    store_row<V>(args.call.sum_out, row, args.row_bytes, at, sum);
  }
  if (args.call.residual_out) {
    store_row<V>(args.call.residual_out, residual_row, args.row_bytes, at, added);
  }
}

// From the row's rounded sum: sum_out, residual_out, the rounded norm and, where fp8_token wants
// it, its largest magnitude.
//
// The weight is multiplied before the reciprocal root where the order is free: rounding keeps
// order, so the largest |h * weight| gives the largest norm, and one reduction serves both.
template <int V>
__device__ __forceinline__ void norm_row(const fiar_kernel_args_t& args, worker<V>* me,
                                         const uint4* sum, const uint4* residual, int row,
                                         int residual_row, uint4* norm, float* out_amax) {
  const bool before = args.traits & FIAR_TRAIT_BEFORE_WEIGHT;
  const bool with_max = args.traits & FIAR_TRAIT_ROW_AMAX;
  float h[V][FIAR_E], squares[V];
  uint32_t maxima[V];
  add_residual<V>(args, me->at, sum, residual, row, residual_row, h);
  if (!(args.traits & FIAR_TRAIT_NORM)) {
    return;
  }
#pragma unroll
  for (int v = 0; v < V; ++v) {
    squares[v] = 0.0f;
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      squares[v] = __fmaf_rn(h[v][i], h[v][i], squares[v]);
    }
    if (!before) {
      float weight[FIAR_E];
      weight_values<V>(args, *me, v, weight);
#pragma unroll
      for (int i = 0; i < FIAR_E; ++i) {
        h[v][i] = __fmul_rn(h[v][i], weight[i]);
      }
    }
    maxima[v] = with_max ? largest_magnitude(h[v]) : 0;
  }
  const row_total_t total = reduce_row<V>(me->shared, me->at, args.cluster_shift, &me->turn,
                                          squares, maxima, with_max && !before);
  const float root = rsqrtf(__fmaf_rn(total.sum, args.inverse_hidden, args.call.eps));
#pragma unroll
  for (int v = 0; v < V; ++v) {
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      h[v][i] = __fmul_rn(h[v][i], root);
    }
    if (before) {
      float weight[FIAR_E];
      weight_values<V>(args, *me, v, weight);
#pragma unroll
      for (int i = 0; i < FIAR_E; ++i) {
        h[v][i] = __fmul_rn(round_element(h[v][i]), weight[i]);
      }
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
  if (args.traits & FIAR_TRAIT_STATIC) {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      float y[FIAR_E];
      unpack(norm[v], y);
      encode_fp8_static(y, args.traits & FIAR_TRAIT_DIVIDES, me->given, me->reciprocal, &codes[v]);
    }
    return;
  }
  const format_t format = format_of(args, me->given);
  uint32_t largest[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    largest[v] = __float_as_uint(amax);
    if (args.traits & FIAR_TRAIT_BLOCKS) {
      largest[v] = v < me->at.count ? largest_to_encode(norm[v], format) : 0;
    }
    if (args.traits & FIAR_TRAIT_SHUFFLES) {
      largest[v] = block_max_shuffled(largest[v], args.block_vectors);
    }
  }
  if ((args.traits & (FIAR_TRAIT_BLOCKS | FIAR_TRAIT_SHUFFLES)) == FIAR_TRAIT_BLOCKS) {
    int block[V];
#pragma unroll
    for (int v = 0; v < V; ++v) {
      block[v] = v < me->at.count ? vector_of(me->at, v) / args.block_vectors : 0;
    }
    block_max_shared<V>(me->shared, args.scale_cols, block, largest);
  }
#pragma unroll
  for (int v = 0; v < V; ++v) {
    codes[v] = V == 1 ? encode_here(norm[v], __uint_as_float(largest[v]), format)
                      : encode(norm[v], __uint_as_float(largest[v]), format);
  }
}

// Is this vector the first of its scale's block, so that its thread writes the scale? Gives the
// column.
__device__ __forceinline__ bool leads_block(const fiar_kernel_args_t& args, int vector,
                                            int* out_col) {
  if (args.scale_cols == 0) {
    return false;
  }
  if (args.traits & FIAR_TRAIT_ROW_AMAX) {
    *out_col = 0;
    return vector == 0;
  }
  *out_col = args.block_shift >= 0 ? vector >> args.block_shift : vector / args.block_vectors;
  return vector == *out_col * args.block_vectors;
}

template <int V>
__device__ __forceinline__ void store_quantised(const fiar_kernel_args_t& args, const place_t& at,
                                                int row, const encoded_t* codes) {
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const int vector = vector_of(at, v);
    if (v >= at.count) {
      break;
    }
    if (args.call.quant_out) {
      store_codes(args, (int64_t)row * args.vectors + vector, codes[v]);
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
  if (args.call.norm_out) {
    store_row<V>(args.call.norm_out, row, args.row_bytes, me->at, norm);
  }
  if (args.traits & FIAR_TRAIT_QUANT) {
    encoded_t codes[V];
    quantise_row<V>(args, me, norm, amax, codes);
    store_quantised<V>(args, me->at, row, codes);
  }
}

// The rows that are inputs; zeros where there is no residual.
template <int V>
__device__ __forceinline__ void load_input(const fiar_kernel_args_t& args, const place_t& at,
                                           int row, uint4* x) {
  load_row<V>(args.call.input, row, args.input_row_bytes, at, x);
}

template <int V>
__device__ __forceinline__ void load_residual(const fiar_kernel_args_t& args, const place_t& at,
                                              int row, uint4* x) {
  if (args.traits & FIAR_TRAIT_RESIDUAL) {
    load_row<V>(args.call.residual, row, args.residual_row_bytes, at, x);
  }
}

}  // namespace

#endif  // FIAR_DEVICE_ROW_CUH
