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

// Byte offset in a slot of what comes back.
template <typename K>
__device__ __forceinline__ uint64_t back_offset(const fiar_kernel_args_t& args) {
  return world_of<K>(args) * args.owned_bytes;
}

// Is this rank's share of a row on its way to another rank? Not past the last row.
template <typename K>
__device__ __forceinline__ bool sends_share(const fiar_kernel_args_t& args, int row) {
  return row < args.tokens && row % world_of<K>(args) != args.rank;
}

// The vectors of a row that sends_share, if it does.
template <typename K>
__device__ __forceinline__ void load_share(const fiar_kernel_args_t& args, const place_t& at,
                                           int row, uint4* share) {
  if (sends_share<K>(args, row)) {
    load_input<K>(args, at, row, share);
  }
}

template <typename K>
__device__ __forceinline__ void send_share(const fiar_kernel_args_t& args, const call_t& call,
                                           const place_t& at, int row, const uint4* share) {
  if (!sends_share<K>(args, row) || call.broken) {
    return;
  }
  const int world = world_of<K>(args);
  char* to = static_cast<char*>(args.peers.slots[row % world]) + call.slot + args.owned_offset +
             row_offset(at, row / world, args.row_bytes);
#pragma unroll
  for (int v = 0; v < K::vectors; ++v) {
    if (v < at.count) {
      store_slot(to + v * at.step, sendable(share[v]));
    }
  }
}

// The start of both kernels: the first row's share is on its way when this returns, and the second
// is loaded into `share`.
template <typename K>
__device__ __forceinline__ call_t open_shares(const fiar_kernel_args_t& args, worker<K>* me,
                                              uint4* share) {
  const place_t& at = me->at;
  call_t call = open_work<K>(args, me, sends_share<K>(args, at.row), share);
  send_share<K>(args, call, at, at.row, share);
  load_share<K>(args, at, at.row + at.row_step, share);
  pad_scales<K>(args);
  exchange_ready(args.cluster_shift);
  count_block(args, &call);
  return call;
}

// ---- Which rows a cluster serves ----
//
// Every at.row_step-th, a turn each: then a turn has its row's number. Or, in kernels that draw
// (K::draws), the first two of those, and then what the cluster draws, turns counted from 0: rows
// over a full wire take their time, some three times that of others, and with as many for each,
// some clusters would keep all others waiting. What a cluster has drawn it sends at once, since
// other ranks wait for it.

const int kGivenRows = 2;

template <typename K>
__device__ __forceinline__ int first_turn(const place_t& at) {
  return K::draws ? 0 : at.row;
}

template <typename K>
__device__ __forceinline__ int turn_step(const place_t& at) {
  return K::draws ? 1 : at.row_step;
}

// Negative before the first turn, at least args.tokens after the last.
template <typename K>
__device__ __forceinline__ int row_of_turn(const place_t& at, const row_shared_t& shared,
                                           int turn) {
  return !K::draws           ? turn
         : turn < kGivenRows ? at.row + turn * at.row_step
                             : shared.drawn[turn & (kDrawnRows - 1)];
}

// Each row once. Every cluster draws until none is left, so that the last number is known; who
// draws it puts the counter back for the next call.
__device__ __forceinline__ int draw_row(const fiar_kernel_args_t& args, const place_t& at) {
  const int number = (int)atomicAdd(&args.control->drawn, 1u);
  if (number == args.tokens - (kGivenRows - 1) * at.row_step - 1) {
    args.control->drawn = 0;
  }
  return number + kGivenRows * at.row_step;
}

// The start of a turn: the share of the next one's row, which was loaded into `share`, goes out.
// The one after that is loaded, if it is known.
template <typename K>
__device__ __forceinline__ void send_ahead(const fiar_kernel_args_t& args, const call_t& call,
                                           const worker<K>& me, int turn, uint4* share) {
  const int ahead = row_of_turn<K>(me.at, *me.shared, turn + turn_step<K>(me.at));
  send_share<K>(args, call, me.at, ahead, share);
  if (!K::draws) {
    load_share<K>(args, me.at, ahead + me.at.row_step, share);
  }
}

// The end of a turn: draws the row whose share the next one sends, if rows are drawn, and loads it.
template <typename K>
__device__ __forceinline__ void draw_ahead(const fiar_kernel_args_t& args, const worker<K>& me,
                                           int turn, uint4* share) {
  if (!K::draws) {
    return;
  }
  const bool draws = me.at.byte == 0 && row_of_turn<K>(me.at, *me.shared, turn + 1) < args.tokens;
  const int number = draws ? draw_row(args, me.at) : args.tokens;
  const int next = turn + kGivenRows;
  share_number(number, me.at.byte == 0, &me.shared->drawn[next & (kDrawnRows - 1)],
               args.cluster_shift);
  load_share<K>(args, me.at, row_of_turn<K>(me.at, *me.shared, next), share);
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

template <typename K, bool OWN_LAST = false>
__device__ __forceinline__ void sum_shares(const fiar_kernel_args_t& args, call_t* call,
                                           const place_t& at, int row, uint4* sum) {
  uint4 own[K::vectors];
  load_input<K>(args, at, row, own);
  take_sums<K::world, K::vectors, OWN_LAST>(args, call, owned_shares<K>(args, *call, at, row), own,
                                            row, sum);
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
  take_row<K::vectors>(args, call,
                       own_slot(args, *call) + back + row_offset(at, row, args.row_bytes), at.step,
                       at.count, row % world_of<K>(args), row, x);
}

// ---- The kernels' one loop ----

// What a kernel does with a row: its owner sums it and sends back what the others need, they take
// it; all finish it.
template <typename K>
using serve_row_t = void (*)(const fiar_kernel_args_t& args, call_t* call, uint64_t back,
                             worker<K>* me, int row, bool mine);

// Shares go out a row ahead, what comes back is taken a row behind: each wait hides behind other
// rows' flights.
template <typename K, serve_row_t<K> serve_row>
__device__ __forceinline__ void serve_rows(const fiar_kernel_args_t& args) {
  __shared__ row_shared_t shared;
  worker<K> me;
  begin_work<K>(args, &shared, &me);
  const place_t& at = me.at;
  const uint64_t back = back_offset<K>(args);
  const int tokens = args.tokens;
  uint4 share[K::vectors];
  call_t call = open_shares<K>(args, &me, share);
  const int step = turn_step<K>(at);
  for (int turn = first_turn<K>(at); row_of_turn<K>(at, shared, turn - step) < tokens;
       turn += step) {
    send_ahead<K>(args, call, me, turn, share);
#pragma unroll 1
    for (int behind = 0; behind < 2; ++behind) {
      const int row = row_of_turn<K>(at, shared, turn - behind * step);
      const bool mine = row % world_of<K>(args) == args.rank;
      if (row >= 0 && row < tokens && mine == (behind == 0)) {
        serve_row(args, &call, back, &me, row, mine);
      }
    }
    draw_ahead<K>(args, me, turn, share);
  }
  release_dependents();
}

}  // namespace

#endif  // FIAR_DEVICE_OWNER_CUH
