// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Residual kept by rows: rank t % world sums row t, adds its residual row, normalises and
// quantises; only the codes (or the norm, where the call wants it) go back to the others.
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

__device__ __forceinline__ packet_t take_packet(const fiar_peers_t& peers, call_t* call, char* at,
                                                int rank, int row) {
#if FIAR_IS_F32
  return take_word(peers, call, at, rank, row);
#else
  return take_packet64(peers, call, at, rank, row);
#endif
}

// Byte offsets in the slot of a vector's packet and of a scale's word.
__device__ __forceinline__ int64_t packet_offset(const fiar_kernel_args_t& args,
                                                 const split_t& split, int row, int vector) {
  return split.back + (row * args.vectors + vector) * (int64_t)sizeof(packet_t);
}

__device__ __forceinline__ int64_t scale_offset(const fiar_kernel_args_t& args,
                                                const split_t& split, int row, int col) {
  return split.back + args.call.tokens * args.vectors * (int64_t)sizeof(packet_t) +
         (row * args.scale_cols + col) * (int64_t)sizeof(uint32_t);
}

template <int NR, int V>
__device__ __forceinline__ void send_codes(const fiar_kernel_args_t& args, const call_t& call,
                                           const split_t& split, const place_t& at, int row,
                                           const encoded_t* codes) {
  const bool fp4 = is_fp4(args.call.quant);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const int vector = at.vector + v * at.vector_step;
    if (v >= at.count) {
      break;
    }
    push_to_peers<NR>(args.peers, call, packet_offset(args, split, row, vector),
                      make_packet(codes[v], fp4));
    int col;
    if (!fp4 && leads_block(args, vector, &col)) {
      push_to_peers<NR>(args.peers, call, scale_offset(args, split, row, col), codes[v].scale);
    }
  }
}

template <int V>
__device__ __forceinline__ void take_codes(const fiar_kernel_args_t& args, call_t* call,
                                           const split_t& split, const place_t& at, int row,
                                           encoded_t* codes) {
  char* slot = slot_of(args.peers, *call, args.peers.rank);
  const bool fp4 = is_fp4(args.call.quant);
  const int owner = row % split.world;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const int vector = at.vector + v * at.vector_step;
    if (v >= at.count) {
      break;
    }
    packet_t packet =
        take_packet(args.peers, call, slot + packet_offset(args, split, row, vector), owner, row);
    codes[v] = open_packet(packet, fp4);
    int col;
    if (!fp4 && leads_block(args, vector, &col)) {
      codes[v].scale =
          take_word(args.peers, call, slot + scale_offset(args, split, row, col), owner, row);
    }
  }
}

// The row's norm at its owner, or as it came back: gives fp8_token its largest magnitude too.
template <int NR, int V>
__device__ __forceinline__ void make_norm(const fiar_kernel_args_t& args, call_t* call,
                                          const split_t& split, worker<V>* me, int row, uint4* norm,
                                          float* out_amax) {
  if (row % split.world == args.peers.rank) {
    uint4 residual[V], sum[V];
    load_row<V>(args.call.residual, row / split.world, args.call.residual_stride, me->at, residual);
    sum_shares<NR, V>(args, call, split, me->at, row, sum);
    norm_row<V>(args, me, sum, residual, row, row / split.world, norm, out_amax);
    if (args.call.norm_out) {
      send_back<NR, V>(args, *call, split, me->at, row, norm);
    }
    return;
  }
  take_back<V>(args, call, split, me->at, row, norm);
  if (args.call.quant == FIAR_QUANT_FP8_TOKEN) {
    *out_amax = row_amax<V>(args, me, norm);
  }
}

template <int NR, int V>
__device__ __forceinline__ void serve_row(const fiar_kernel_args_t& args, call_t* call,
                                          const split_t& split, worker<V>* me, int row) {
  const bool mine = row % split.world == args.peers.rank;
  const bool quantises = args.call.quant != FIAR_QUANT_NONE;
  encoded_t codes[V];
  if (mine || args.call.norm_out) {
    uint4 norm[V];
    float amax = 0.0f;
    make_norm<NR, V>(args, call, split, me, row, norm, &amax);
    store_row<V>(args.call.norm_out, row, args.vectors, me->at, norm);
    if (quantises) {
      quantise_row<V>(args, me, norm, amax, codes);
    }
  } else if (quantises) {
    take_codes<V>(args, call, split, me->at, row, codes);
  }
  if (quantises) {
    if (mine && !args.call.norm_out) {
      send_codes<NR, V>(args, *call, split, me->at, row, codes);
    }
    store_quantised<V>(args, me, row, codes);
  }
}

template <int NR, int V>
__global__ void __launch_bounds__(FIAR_MAX_THREADS(V), FIAR_MIN_BLOCKS(V))
    sharded(const __grid_constant__ fiar_kernel_args_t args) {
  __shared__ row_shared_t shared;
  worker<V> me;
  begin_work<V>(args, &shared, &me);
  call_t call = open_call(args.peers);
  const place_t& at = me.at;
  const split_t split = split_rows<NR>(args);
  const int tokens = (int)args.call.tokens;

  send_share<V>(args, call, split, at, at.row);
  me.given = given_divisor(args.call);
  reduce_ready(args.cluster);
  // As in twoshot.cu: shares a row ahead, what comes back a row behind.
  for (int turn = at.row; turn - at.row_step < tokens; turn += at.row_step) {
    if (turn + at.row_step < tokens) {
      send_share<V>(args, call, split, at, turn + at.row_step);
    }
#pragma unroll 1
    for (int behind = 0; behind < 2; ++behind) {
      const int row = turn - behind * at.row_step;
      const bool mine = row % split.world == args.peers.rank;
      if (row >= 0 && row < tokens && mine == (behind == 0)) {
        serve_row<NR, V>(args, &call, split, &me, row);
      }
    }
  }
  release_dependents();
  close_call(args.peers);
  finish_scales(args);
}

}  // namespace

FIAR_KERNEL_TABLE(sharded, SHARDED)
