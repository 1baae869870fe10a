// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the kernels share in which row t has an owner, rank t % world.
//
// Slot: [source rank][owned row][vector], the shares of the rows that this rank owns, and behind
// them what comes back: [token][vector] of the element type, or packets of codes and then their
// scales.
#ifndef FIAR_DEVICE_OWNER_CUH
#define FIAR_DEVICE_OWNER_CUH

#include "device/row.cuh"
#include "device/sync.cuh"

namespace {

typedef struct {
  int world;
  int64_t source_bytes;  // the shares of one source
  int64_t back;          // byte offset of what comes back
} split_t;

template <int NR>
__device__ __forceinline__ split_t split_rows(const fiar_kernel_args_t& args) {
  split_t split;
  split.world = NR ? NR : args.peers.world;
  const int64_t owned = ((int)args.call.tokens + split.world - 1) / split.world;
  split.source_bytes = owned * args.vectors * (int64_t)sizeof(uint4);
  split.back = split.world * split.source_bytes;
  return split;
}

template <int V>
__device__ __forceinline__ int64_t row_bytes_of(const fiar_kernel_args_t& args, const place_t& at,
                                                int64_t row) {
  return (row * args.vectors + at.vector) * (int64_t)sizeof(uint4);
}

// Sends this rank's share of a row to its owner, unless that is this rank.
template <int V>
__device__ __forceinline__ void send_share(const fiar_kernel_args_t& args, const call_t& call,
                                           const split_t& split, const place_t& at, int row) {
  const int owner = row % split.world;
  if (owner == args.peers.rank || call.broken) {
    return;
  }
  uint4 share[V];
  load_row<V>(args.call.input, row, args.call.input_stride, at, share);
  char* to = slot_of(args.peers, call, owner) + args.peers.rank * split.source_bytes +
             row_bytes_of<V>(args, at, row / split.world);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (v < at.count) {
      store_slot(to + v * at.vector_step * (int64_t)sizeof(uint4), sendable(share[v]));
    }
  }
}

// The owner's side: the sum of all ranks' shares of a row.
template <int NR, int V>
__device__ __forceinline__ void sum_shares(const fiar_kernel_args_t& args, call_t* call,
                                           const split_t& split, const place_t& at, int row,
                                           uint4* sum) {
  uint4 own[V];
  load_row<V>(args.call.input, row, args.call.input_stride, at, own);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    own[v] = sendable(own[v]);
  }
  const shares_t shares = {
      slot_of(args.peers, *call, args.peers.rank) + row_bytes_of<V>(args, at, row / split.world),
      split.source_bytes, at.vector_step * (int64_t)sizeof(uint4), at.count};
  take_sums<NR, V>(args.peers, call, shares, own, row, sum);
}

// A row of vectors to all peers, and from its owner.
template <int NR, int V>
__device__ __forceinline__ void send_back(const fiar_kernel_args_t& args, const call_t& call,
                                          const split_t& split, const place_t& at, int row,
                                          const uint4* x) {
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (v < at.count) {
      push_to_peers<NR>(
          args.peers, call,
          split.back + row_bytes_of<V>(args, at, row) + v * at.vector_step * (int64_t)sizeof(uint4),
          x[v]);
    }
  }
}

template <int V>
__device__ __forceinline__ void take_back(const fiar_kernel_args_t& args, call_t* call,
                                          const split_t& split, const place_t& at, int row,
                                          uint4* x) {
  char* from =
      slot_of(args.peers, *call, args.peers.rank) + split.back + row_bytes_of<V>(args, at, row);
  take_row<V>(args.peers, call, from, at.vector_step * (int64_t)sizeof(uint4), at.count,
              row % split.world, row, x);
}

}  // namespace

#endif  // FIAR_DEVICE_OWNER_CUH
