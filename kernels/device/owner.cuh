// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the kernels share in which row t has an owner, rank t % world.
//
// Slot: [source rank][owned row][vector], the shares of the rows that this rank owns, and behind
// them what comes back: [token][vector] of the element type, or packets of codes and then their
// scales.
#ifndef FIAR_DEVICE_OWNER_CUH
#define FIAR_DEVICE_OWNER_CUH

#include "device/row.cuh"

namespace {

template <typename K>
__device__ __forceinline__ int world_of(const fiar_kernel_args_t& args) {
  return K::world ? K::world : args.peers.world;
}

// Byte offset in a slot of what comes back.
template <typename K>
__device__ __forceinline__ uint64_t back_offset(const fiar_kernel_args_t& args) {
  return world_of<K>(args) * args.owned_bytes;
}

// Sends this rank's share of a row to its owner, unless that is this rank.
template <typename K>
__device__ __forceinline__ void send_share(const fiar_kernel_args_t& args, const call_t& call,
                                           const place_t& at, int row) {
  const int world = world_of<K>(args);
  const int owner = row % world;
  if (owner == args.peers.rank || call.broken) {
    return;
  }
  uint4 share[K::vectors];
  load_input<K>(args, at, row, share);
  char* to = static_cast<char*>(args.peers.slots[owner]) + call.slot +
             args.peers.rank * args.owned_bytes + row_offset(at, row / world, args.row_bytes);
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    if (v < at.count) {
      store_slot(to + v * at.step, sendable(share[v]));
    }
  }
}

// The owner's side: where the shares of a row lie, and their sum. clear_shares must follow.
template <typename K>
__device__ __forceinline__ shares_t owned_shares(const fiar_kernel_args_t& args, const call_t& call,
                                                 const place_t& at, int row) {
  const shares_t shares = {
      own_slot(args, call) + row_offset(at, row / world_of<K>(args), args.row_bytes),
      args.owned_bytes, at.step, at.count};
  return shares;
}

template <typename K>
__device__ __forceinline__ void sum_shares(const fiar_kernel_args_t& args, call_t* call,
                                           const place_t& at, int row, uint4* sum) {
  uint4 own[K::vectors];
  load_input<K>(args, at, row, own);
  take_sums<K::world, K::vectors>(args.peers, call, owned_shares<K>(args, *call, at, row), own, row,
                                  sum);
}

// A row of vectors to all others; and from its owner. back: back_offset.
template <typename K>
__device__ __forceinline__ void send_back(const fiar_kernel_args_t& args, const call_t& call,
                                          uint64_t back, const place_t& at, int row,
                                          const uint4* x) {
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    if (v < at.count) {
      push_to_others<K::world>(args, call, back + row_offset(at, row, args.row_bytes) + v * at.step,
                               x[v]);
    }
  }
}

template <typename K>
__device__ __forceinline__ void take_back(const fiar_kernel_args_t& args, call_t* call,
                                          uint64_t back, const place_t& at, int row, uint4* x) {
  take_row<K::vectors>(args.peers, call,
                       own_slot(args, *call) + back + row_offset(at, row, args.row_bytes), at.step,
                       at.count, row % world_of<K>(args), row, x);
}

}  // namespace

#endif  // FIAR_DEVICE_OWNER_CUH
