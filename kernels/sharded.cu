// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Residual kept by rows: rank t % world sums row t, adds its residual row, normalises and
// quantises; only the codes (or the norm, where the call wants it) go back to the others. With
// token_block, too, t is such a number, and place_of_row says where the row lies in input and
// outputs.
//
// Codes travel in packets of FIAR_E bytes a vector: eight (four for f32) 8-bit codes, or half as
// much of 4-bit codes with their scale behind them, so that no packet's last word is all ones. The
// scales of 8-bit codes follow as a word each.
#include "device/owner.cuh"
#include "device/table.cuh"

namespace {

#if FIAR_IS_F32
typedef uint32_t packet_t;
__device__ __forceinline__ packet_t make_packet(const encoded_t& codes, bool fp4) {
  return fp4 ? codes.low | codes.scale << 16 : codes.low;
}
__device__ __forceinline__ encoded_t open_packet(packet_t packet, bool fp4) {
  encoded_t codes = {fp4 ? packet & 0xFFFFu : packet, 0, packet >> 16};
  return codes;
}
#else
typedef uint64_t packet_t;
__device__ __forceinline__ packet_t make_packet(const encoded_t& codes, bool fp4) {
  return (uint64_t)(fp4 ? codes.scale : codes.high) << 32 | codes.low;
}
__device__ __forceinline__ encoded_t open_packet(packet_t packet, bool fp4) {
  (void)fp4;
  uint32_t high = (uint32_t)(packet >> 32);
  encoded_t codes = {(uint32_t)packet, high, high};
  return codes;
}
#endif

__device__ __forceinline__ packet_t take_packet(const fiar_kernel_args_t& args, call_t* call,
                                                char* at, int rank, int row) {
#if FIAR_IS_F32
  return take_word(args, call, at, rank, row);
#else
  return take_packet64(args, call, at, rank, row);
#endif
}

// Byte offsets in the slot of a vector's packet and of a scale's word.
__device__ __forceinline__ uint64_t packet_offset(const fiar_kernel_args_t& args, int row,
                                                  int vector) {
  return ((int64_t)row * args.vectors + vector) * sizeof(packet_t);
}

__device__ __forceinline__ uint64_t scale_offset(const fiar_kernel_args_t& args, int row, int col) {
  return args.tokens * args.vectors * sizeof(packet_t) +
         ((int64_t)row * args.scale_cols + col) * sizeof(uint32_t);
}

template <typename K>
__device__ __forceinline__ void send_codes(const fiar_kernel_args_t& args, const call_t& call,
                                           uint64_t back, const place_t& at, int row,
                                           const encoded_t* codes) {
  const bool fp4 = K::traits(args) & FIAR_TRAIT_FP4;
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    const int vector = vector_of(at, v);
    if (v >= at.count) {
      break;
    }
    push_to_others<K::world>(args, call, back + packet_offset(args, row, vector),
                             make_packet(codes[v], fp4));
    int col;
    if (!fp4 && leads_block<K>(args, vector, &col)) {
      push_to_others<K::world>(args, call, back + scale_offset(args, row, col), codes[v].scale);
    }
  }
}

template <typename K>
__device__ __forceinline__ void take_codes(const fiar_kernel_args_t& args, call_t* call,
                                           uint64_t back, const place_t& at, int row,
                                           encoded_t* codes) {
  char* from = own_slot(args, *call) + back;
  const bool fp4 = K::traits(args) & FIAR_TRAIT_FP4;
  const int owner = row % world_of<K>(args);
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    const int vector = vector_of(at, v);
    if (v >= at.count) {
      break;
    }
    codes[v] = open_packet(
        take_packet(args, call, from + packet_offset(args, row, vector), owner, row), fp4);
    int col;
    if (!fp4 && leads_block<K>(args, vector, &col)) {
      codes[v].scale = take_word(args, call, from + scale_offset(args, row, col), owner, row);
    }
  }
}

// The row's norm at its owner, or as it came back; and the largest magnitudes for its scales.
template <typename K>
__device__ __forceinline__ void make_norm(const fiar_kernel_args_t& args, call_t* call,
                                          uint64_t back, worker<K>* me, int row, uint4* norm,
                                          uint32_t* largest) {
  const int world = world_of<K>(args);
  if (row % world == args.rank) {
    uint4 residual[K::vectors], sum[K::vectors];
    load_residual<K>(args, me->at, row / world, residual);
    sum_shares<K, true>(args, call, me->at, row, sum);
    norm_row<K>(args, me, sum, residual, row, row / world, norm, largest);
    if (K::traits(args) & FIAR_TRAIT_NORM_OUT) {
      send_back<K>(args, *call, back, me->at, row, norm);
    }
    return;
  }
  take_back<K>(args, call, back, me->at, row, norm);
  if (K::traits(args) & FIAR_TRAIT_QUANT) {
    find_largest<K>(args, me, norm, largest);
  }
}

template <typename K>
__device__ __forceinline__ void serve_row(const fiar_kernel_args_t& args, call_t* call,
                                          uint64_t back, worker<K>* me, int row, bool mine) {
  const bool quantises = K::traits(args) & FIAR_TRAIT_QUANT;
  const bool norm_back = K::traits(args) & FIAR_TRAIT_NORM_OUT;
  encoded_t codes[K::vectors];
  outputs_t outputs[K::vectors];
  const int place = place_of_row<K>(args, row);
  find_outputs<K>(args, me->at, place, outputs);
  if (mine || norm_back) {
    uint4 norm[K::vectors];
    uint32_t largest[K::vectors];
    make_norm<K>(args, call, back, me, row, norm, largest);
    if (K::traits(args) & FIAR_TRAIT_NORM_OUT) {
      store_row<K::vectors>(args.norm_out, place, args.row_bytes, me->at, norm);
    }
    if (quantises) {
      quantise_row<K>(args, me, norm, largest, codes);
    }
  } else if (quantises) {
    take_codes<K>(args, call, back, me->at, row, codes);
  }
  if (quantises) {
    if (mine && !norm_back) {
      send_codes<K>(args, *call, back, me->at, row, codes);
    }
    store_quantised<K>(args, me->at, place, codes, outputs);
  }
  if (mine) {
    clear_shares<K::world, K::vectors>(args, owned_shares<K>(args, *call, me->at, row));
  }
}

template <typename K>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(K::vectors), FIAR_MIN_BLOCKS(K::vectors))
    sharded(const __grid_constant__ fiar_kernel_args_t args) {
  if (K::has_code) {
    using shards_t = with_shards<K>;
    serve_rows<shards_t, serve_row<shards_t>>(args);
  }
}

}  // namespace

FIAR_KERNEL_TABLE_WITH(sharded, SHARDED, FIAR_ROWS_DRAWN(sharded, SHARDED, 8))
