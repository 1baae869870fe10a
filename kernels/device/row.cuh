// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What every kernel does with a summed row: residual, norm, quantiser. All threads of a row's block
// or cluster call these together; threads past the row's end (at.count) take part in the reductions
// alone.
#ifndef FIAR_DEVICE_ROW_CUH
#define FIAR_DEVICE_ROW_CUH

#include "device/common.cuh"
#include "device/reduce.cuh"
#include "device/sync.cuh"
#include "device/trace.cuh"
#include "quant/formats.cuh"

namespace {

// What a thread keeps over the rows of a call.
template <typename K>
struct worker {
  place_t at;
  row_shared_t* shared;
  exchange_t exchange;
  float given, reciprocal;   // the caller's scale, and 1 over it
  uint4 weight[K::vectors];  // as it lies in memory, of the element type; zeros where there is none
};

// The rows that are inputs; zeros where there is no residual.
template <typename K>
__device__ __forceinline__ void load_input(const fiar_kernel_args_t& args, const place_t& at,
                                           int row, uint4* x) {
  load_row<K::vectors>(args.input, place_of_row<K>(args, row), args.input_row_bytes, at, x);
}

template <typename K>
__device__ __forceinline__ void load_residual(const fiar_kernel_args_t& args, const place_t& at,
                                              int row, uint4* x) {
  if (K::traits(args) & FIAR_TRAIT_RESIDUAL) {
    load_row<K::vectors>(args.residual, row, args.residual_row_bytes, at, x);
  }
}

// The start of every kernel before the dependency wait: nothing is read but the arguments.
template <typename K>
__device__ __forceinline__ void begin_work(const fiar_kernel_args_t& args, row_shared_t* shared,
                                           worker<K>* me) {
  me->at = find_place<K::vectors>(args);
  me->shared = shared;
  me->exchange = begin_exchange<K::vectors>(shared, me->at, args.cluster_shift);
}

// What follows is read after the wait.
template <typename K>
__device__ __forceinline__ void load_weight(const fiar_kernel_args_t& args, worker<K>* me) {
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    me->weight[v] = filled(0);
  }
  if (K::traits(args) & FIAR_TRAIT_WEIGHT) {
    load_row<K::vectors>(args.weight, 0, 0, me->at, me->weight);
  }
}

// The caller's.
template <typename K>
__device__ __forceinline__ void load_scale(const fiar_kernel_args_t& args, worker<K>* me) {
  me->given = given_scale<K>(args);
  me->reciprocal = __frcp_rn(me->given);
}

// The dependency wait, then, in flight together, where `reads` the thread's vectors of its first
// input row (else zeros), the caller's scale, the ticket and the weight.
template <typename K>
__device__ __forceinline__ call_t open_work(const fiar_kernel_args_t& args, worker<K>* me,
                                            bool reads, uint4* input) {
  // No branch around the loads, or they would wait in line for the ticket.
  place_t at = me->at;
  at.count = reads ? at.count : 0;
  wait_dependency();
  load_input<K>(args, at, at.row, input);
  load_scale<K>(args, me);
  const call_t call = open_call(args);
  load_weight<K>(args, me);
  return call;
}

// weight_bias + weight in f32; the host sets the bias to 1 where there is no weight.
template <typename K>
__device__ __forceinline__ void weight_values(const fiar_kernel_args_t& args, const worker<K>& me,
                                              int v, float* weight) {
  uint4 raw = me.weight[v];
  // Opaque, or the compiler would unpack before the loop over rows and spill twice the registers.
  asm volatile("" : "+r"(raw.x), "+r"(raw.y), "+r"(raw.z), "+r"(raw.w));
  unpack(raw, weight);
  if (K::traits(args) & FIAR_TRAIT_WEIGHT_F32 && v < me.at.count) {
    const float4* from =
        static_cast<const float4*>(args.weight) + vector_of(me.at, v) * (FIAR_E / 4);
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
  if (K::traits(args) & FIAR_TRAIT_ROUND_WEIGHT) {
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      weight[i] = round_element(weight[i]);
    }
  }
}

// Log2 of the vectors a scale, -1 where that is no power of two. nvfp4 has a scale for 16 values,
// mx for 32.
template <typename K>
__device__ __forceinline__ int block_shift(const fiar_kernel_args_t& args) {
  const uint32_t traits = K::traits(args);
  return traits & FIAR_TRAIT_NVFP4 ? (FIAR_E == 8 ? 1 : 2)
         : traits & FIAR_TRAIT_MX  ? (FIAR_E == 8 ? 2 : 3)
                                   : args.block_shift;
}

// The largest over the block that a vector's scale serves, where shuffles find it.
template <typename K>
__device__ __forceinline__ uint32_t block_largest(const fiar_kernel_args_t& args,
                                                  uint32_t largest) {
  constexpr uint32_t known = K::known_traits;
  constexpr int most = known & FIAR_TRAIT_NVFP4 ? 32 / FIAR_E / 2
                       : known & FIAR_TRAIT_MX  ? 32 / FIAR_E
                                                : 32;
  return block_max_shuffled<most>(largest, 1 << block_shift<K>(args));
}

// The largest magnitude, as bits, of the row or block of rounded values that each vector's scale
// serves; nothing where the format computes no scales.
template <typename K>
__device__ __forceinline__ void find_largest(const fiar_kernel_args_t& args, worker<K>* me,
                                             const uint4* x, uint32_t* largest) {
  const uint32_t traits = K::traits(args);
  if (!(traits & (FIAR_TRAIT_ROW_AMAX | FIAR_TRAIT_BLOCKS))) {
    return;
  }
  const format_t format = format_of<K>(args, me->given);
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    largest[v] = v < me->at.count ? largest_to_encode(x[v], format) : 0;
  }
  if (traits & FIAR_TRAIT_ROW_AMAX) {
    uint32_t most = 0;
#pragma unroll
    for (int v = 0; v < K::vectors; ++v) {
      most = max(most, largest[v]);
    }
    most = row_maximum<K::vectors>(me->exchange, me->at, most);
    ++me->exchange.turn;
#pragma unroll
    for (int v = 0; v < K::vectors; ++v) {
      largest[v] = most;
    }
  } else if (traits & FIAR_TRAIT_SHUFFLES) {
#pragma unroll
    for (int v = 0; v < K::vectors; ++v) {
      largest[v] = block_largest<K>(args, largest[v]);
    }
  } else if (traits & FIAR_TRAIT_BLOCKS) {
    int block[K::vectors];
#pragma unroll
    for (int v = 0; v < K::vectors; ++v) {
      block[v] = v < me->at.count ? vector_of(me->at, v) / args.block_vectors : 0;
    }
    block_max_shared<K::vectors>(me->shared, args.scale_cols, block, largest);
  }
}

// h = sum + residual; writes sum_out at `row` and residual_out at `residual_row`.
template <typename K>
__device__ __forceinline__ void add_residual(const fiar_kernel_args_t& args, const place_t& at,
                                             const uint4* sum, const uint4* residual, int row,
                                             int residual_row, float (&h)[K::vectors][FIAR_E]) {
  uint4 added[K::vectors];
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    unpack(sum[v], h[v]);
    added[v] = sum[v];
    if (K::traits(args) & FIAR_TRAIT_RESIDUAL) {
      float other[FIAR_E];
      unpack(residual[v], other);
#pragma unroll
      for (int i = 0; i < FIAR_E; ++i) {
        h[v][i] = __fadd_rn(h[v][i], other[i]);
      }
      added[v] = pack(h[v]);
      if (!(K::traits(args) & FIAR_TRAIT_NORM_OF_F32)) {
        unpack(added[v], h[v]);
      }
    }
  }
  if (K::traits(args) & FIAR_TRAIT_SUM_OUT) {
    store_row<K::vectors>(args.call.sum_out, row, args.row_bytes, at, sum);
  }
  if (K::traits(args) & FIAR_TRAIT_RESIDUAL_OUT) {
    store_row<K::vectors>(args.residual_out, residual_row, args.row_bytes, at, added);
  }
}

// Does the largest norm come from the largest |h * weight|? Both roundings that make a norm of it
// keep order, so it does where the weight comes first and nothing is divided before. (Not where the
// root is infinite: zero times that is NaN.)
template <typename K>
__device__ __forceinline__ bool finds_largest_ahead(const fiar_kernel_args_t& args,
                                                    const worker<K>& me) {
  const uint32_t traits = K::traits(args);
  return !(traits & FIAR_TRAIT_BEFORE_WEIGHT) &&
         traits & (FIAR_TRAIT_ROW_AMAX | FIAR_TRAIT_SHUFFLES) &&
         !divides_first(format_of<K>(args, me.given));
}

// h times the weight, and the largest magnitudes of that.
template <typename K>
__device__ __forceinline__ void weigh(const fiar_kernel_args_t& args, const worker<K>& me,
                                      float (&h)[K::vectors][FIAR_E], uint32_t* largest) {
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    float weight[FIAR_E];
    weight_values<K>(args, me, v, weight);
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      h[v][i] = __fmul_rn(h[v][i], weight[i]);
    }
    largest[v] = largest_magnitude(h[v]);
  }
}

// From the row's rounded sum: sum_out, residual_out, the rounded norm and, where its scales need
// them, the largest magnitudes (find_largest), which hide behind the row's exchange where they can.
template <typename K>
__device__ __forceinline__ void norm_row(const fiar_kernel_args_t& args, worker<K>* me,
                                         const uint4* sum, const uint4* residual, int row,
                                         int residual_row, uint4* norm, uint32_t* largest) {
  const uint32_t traits = K::traits(args);
  const bool before = traits & FIAR_TRAIT_BEFORE_WEIGHT;
  const bool ahead = finds_largest_ahead<K>(args, *me);
  const bool with_max = traits & FIAR_TRAIT_ROW_AMAX && ahead;
  float h[K::vectors][FIAR_E], squares[K::vectors];
  add_residual<K>(args, me->at, sum, residual, row, residual_row, h);
  if (!(traits & FIAR_TRAIT_NORM)) {
    return;
  }
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    squares[v] = 0.0f;
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      squares[v] = __fmaf_rn(h[v][i], h[v][i], squares[v]);
    }
  }
  if (with_max) {
    weigh<K>(args, *me, h, largest);
  }
  mark(FIAR_MARK_SENDING);
  send_partials<K::vectors>(me->exchange, me->at, squares, largest, with_max);
  if (!with_max && !before) {
    weigh<K>(args, *me, h, largest);
  }
  if (ahead && !with_max) {
#pragma unroll
    for (int v = 0; v < K::vectors; ++v) {
      largest[v] = block_largest<K>(args, largest[v]);
    }
  }
  const row_total_t total = take_total(&me->exchange, with_max);
  mark(FIAR_MARK_TOTAL);
  const float root = rsqrtf(__fmaf_rn(total.sum, args.inverse_hidden, args.eps));
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
#pragma unroll
    for (int i = 0; i < FIAR_E; ++i) {
      h[v][i] = __fmul_rn(h[v][i], root);
    }
    if (before) {
      float weight[FIAR_E];
      weight_values<K>(args, *me, v, weight);
#pragma unroll
      for (int i = 0; i < FIAR_E; ++i) {
        h[v][i] = __fmul_rn(round_element(h[v][i]), weight[i]);
      }
    }
    norm[v] = pack(h[v]);
  }
  if (!ahead || root == INFINITY) {
    find_largest<K>(args, me, norm, largest);
    return;
  }
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    const float most = __uint_as_float(with_max ? total.max : largest[v]);
    largest[v] = __float_as_uint(fabsf(round_element(__fmul_rn(most, root))));
  }
}

// Codes of a rounded norm. largest: find_largest's, where the format has scales of its own.
template <typename K>
__device__ __forceinline__ void quantise_row(const fiar_kernel_args_t& args, worker<K>* me,
                                             const uint4* norm, const uint32_t* largest,
                                             encoded_t* codes) {
  if (K::traits(args) & FIAR_TRAIT_STATIC) {
#pragma unroll
    for (int v = 0; v < K::vectors; ++v) {
      float y[FIAR_E];
      unpack(norm[v], y);
      encode_fp8_static(y, K::traits(args) & FIAR_TRAIT_DIVIDES, me->given, me->reciprocal,
                        &codes[v]);
    }
    return;
  }
  const format_t format = format_of<K>(args, me->given);
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    codes[v] = K::vectors == 1 || K::special
                   ? encode_here(norm[v], __uint_as_float(largest[v]), format)
                   : encode(norm[v], __uint_as_float(largest[v]), format);
  }
}

// Is this vector the first of its scale's block, so that its thread writes the scale? Gives the
// column.
template <typename K>
__device__ __forceinline__ bool leads_block(const fiar_kernel_args_t& args, int vector,
                                            int* out_col) {
  if (K::traits(args) & FIAR_TRAIT_STATIC || args.scale_cols == 0) {
    return false;
  }
  if (K::traits(args) & FIAR_TRAIT_ROW_AMAX) {
    *out_col = 0;
    return vector == 0;
  }
  if (K::traits(args) & FIAR_TRAIT_SHUFFLES) {
    const int shift = block_shift<K>(args);
    *out_col = vector >> shift;
    return vector == *out_col << shift;
  }
  *out_col = vector / args.block_vectors;
  return vector == *out_col * args.block_vectors;
}

// Where a vector's codes and its block's scale go; null where this thread writes none, or looks for
// the place when it does.
typedef struct {
  void *codes, *scale;
} outputs_t;

// Of this thread's vectors of a row, worked out while the row is on its way. CODES_AHEAD: codes'
// places too, where there are registers to keep them.
template <typename K, bool CODES_AHEAD = false>
__device__ __forceinline__ void find_outputs(const fiar_kernel_args_t& args, const place_t& at,
                                             int row, outputs_t* outputs) {
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    int col;
    outputs_t found = {nullptr, nullptr};
    if (CODES_AHEAD && K::traits(args) & FIAR_TRAIT_CODES_OUT && v < at.count) {
      found.codes = codes_at<K>(args, (int64_t)row * args.vectors + vector_of(at, v));
    }
    if (K::traits(args) & FIAR_TRAIT_SCALES_OUT && v < at.count &&
        leads_block<K>(args, vector_of(at, v), &col)) {
      found.scale = scale_at<K>(args, row, col);
    }
    if (K::special) {
      asm volatile("" : "+l"(found.scale));  // here, not behind the wait
      if (CODES_AHEAD) {
        asm volatile("" : "+l"(found.codes));
      }
    }
    outputs[v] = found;
  }
}

// outputs: find_outputs's, of the same CODES_AHEAD.
template <typename K, bool CODES_AHEAD = false>
__device__ __forceinline__ void store_quantised(const fiar_kernel_args_t& args, const place_t& at,
                                                int row, const encoded_t* codes,
                                                const outputs_t* outputs) {
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    const int vector = vector_of(at, v);
    void* to = outputs[v].codes;
    if (!CODES_AHEAD && v >= at.count) {
      break;
    }
    if (!CODES_AHEAD && K::traits(args) & FIAR_TRAIT_CODES_OUT) {
      to = codes_at<K>(args, (int64_t)row * args.vectors + vector);
    }
    if (to) {
      store_codes<K>(args, to, codes[v]);
    }
    if (K::traits(args) & FIAR_TRAIT_SCALES_OUT && outputs[v].scale) {
      store_scale<K>(args, outputs[v].scale, codes[v].scale);
    }
  }
}

// norm_row, quantise_row and all outputs. outputs: find_outputs's.
template <typename K, bool CODES_AHEAD = false>
__device__ __forceinline__ void finish_row(const fiar_kernel_args_t& args, worker<K>* me,
                                           const uint4* sum, const uint4* residual, int row,
                                           const outputs_t* outputs) {
  uint4 norm[K::vectors];
  uint32_t largest[K::vectors];
  norm_row<K>(args, me, sum, residual, row, row, norm, largest);
  if (K::traits(args) & FIAR_TRAIT_NORM_OUT) {
    store_row<K::vectors>(args.norm_out, row, args.row_bytes, me->at, norm);
  }
  if (K::traits(args) & FIAR_TRAIT_QUANT) {
    encoded_t codes[K::vectors];
    quantise_row<K>(args, me, norm, largest, codes);
    mark(FIAR_MARK_CODES);
    store_quantised<K, CODES_AHEAD>(args, me->at, row, codes, outputs);
  }
}

}  // namespace

#endif  // FIAR_DEVICE_ROW_CUH
