// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Between launches and between ranks: the slot in use, pushes and bounded waits.
// docs/kernels.md argues why two slots and no barrier are enough.
#ifndef FIAR_DEVICE_SYNC_CUH
#define FIAR_DEVICE_SYNC_CUH

#include "device/common.cuh"
#include "device/dependency.cuh"

namespace {

const uint32_t kEmpty = 0xFFFFFFFFu;  // a word of a slot that has not arrived
const uint32_t kPollsAClockRead = 512;
const uint64_t kExpired = ~0ull;

// ---- The call in progress ----

typedef struct {
  uint64_t slot;  // byte offset of the slot in use
  bool broken;    // a wait has expired: no more pushes and waits
} call_t;

__device__ __forceinline__ call_t open_call(const fiar_kernel_args_t& args) {
  uint4 control;
  asm volatile("ld.volatile.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(control.x), "=r"(control.y), "=r"(control.z), "=r"(control.w)
               : "l"(args.control)
               : "memory");
  call_t call;
  call.slot = control.x & FIAR_TICKETS_A_CALL ? args.slot_bytes : 0;
  call.broken = (control.z | control.w) != 0;
  return call;
}

// Every block adds its share, and the shares of a launch make FIAR_TICKETS_A_CALL: the slot's bit
// flips when the last block has read the old ticket. All threads of a block call this once, when
// their first pushes are out, so that it hides behind the flight. The next launch reads the ticket
// when this one has ended.
__device__ __forceinline__ void count_block(const fiar_kernel_args_t& args, call_t* call) {
  // A thread has the ticket when it has used what came with it, which a plain barrier would not.
  call->broken = __syncthreads_or(call->broken);
  if (threadIdx.x == 0) {
    uint32_t share = blockIdx.x == 0 ? FIAR_TICKETS_A_CALL - (gridDim.x - 1) : 1u;
    asm volatile("red.relaxed.gpu.global.add.u32 [%0], %1;" ::"l"(&args.control->ticket), "r"(share)
                 : "memory");
  }
}

// ---- Slots ----

__device__ __forceinline__ char* own_slot(const fiar_kernel_args_t& args, const call_t& call) {
  return static_cast<char*>(args.own_slots) + call.slot;
}

__device__ __forceinline__ uint4 load_slot(const void* at) {
  uint4 x;
  asm volatile("ld.relaxed.sys.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
               : "l"(at)
               : "memory");
  return x;
}

__device__ __forceinline__ void store_slot(void* at, const uint4& x) {
  asm volatile("st.relaxed.sys.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(at), "r"(x.x), "r"(x.y),
               "r"(x.z), "r"(x.w)
               : "memory");
}

__device__ __forceinline__ uint64_t load_slot_pair(const void* at) {
  uint64_t x;
  asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(x) : "l"(at) : "memory");
  return x;
}

__device__ __forceinline__ void store_slot(void* at, uint64_t x) {
  asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(at), "l"(x) : "memory");
}

__device__ __forceinline__ uint32_t load_slot_word(const void* at) {
  uint32_t x;
  asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(x) : "l"(at) : "memory");
  return x;
}

__device__ __forceinline__ void store_slot(void* at, uint32_t x) {
  asm volatile("st.relaxed.sys.global.u32 [%0], %1;" ::"l"(at), "r"(x) : "memory");
}

// A vector arrives in words, in any order; an empty word is the largest there is.
__device__ __forceinline__ uint32_t largest_word(const uint4& x) {
  return max(max(x.x, x.y), max(x.z, x.w));
}
__device__ __forceinline__ bool is_empty(const uint4& x) {
  return largest_word(x) == kEmpty;
}

__device__ __forceinline__ uint32_t sendable(uint32_t word) {
  return word == kEmpty ? kCanonicalNan : word;
}

// Only NaNs look like an empty word; they travel as the canonical one.
__device__ __forceinline__ uint4 sendable(const uint4& x) {
  return make_uint4(sendable(x.x), sendable(x.y), sendable(x.z), sendable(x.w));
}

// Writes x (16, 8 or 4 bytes) to byte `offset` of every other rank's slot; each rank starts at
// another.
template <int NR, typename Word>
__device__ __forceinline__ void push_to_others(const fiar_kernel_args_t& args, const call_t& call,
                                               uint64_t offset, const Word& x) {
  if (call.broken) {
    return;
  }
  offset += call.slot;
  if (NR) {
#pragma unroll
    for (int k = 0; k < NR - 1; ++k) {
      store_slot(static_cast<char*>(args.others[k]) + offset, x);
    }
  } else {
    for (int k = 0; k < args.peers.world - 1; ++k) {
      store_slot(static_cast<char*>(args.others[k]) + offset, x);
    }
  }
}

// ---- Bounded waits ----

__device__ __forceinline__ uint64_t clock_ns(void) {
  uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

// Off the fast path: the deadline of the wait in progress, or kExpired when it, or another wait of
// this rank, has run out of time. The first to do so leaves the rank and the row for the host.
// Takes no reference to the arguments: their address would be looked up ahead of every wait.
__device__ __noinline__ uint64_t check_clock(fiar_control_t* control, uint64_t* host_error,
                                             uint64_t timeout_ns, uint64_t deadline,
                                             uint64_t missing) {
  if (*static_cast<volatile uint64_t*>(&control->error) != 0) {
    return kExpired;
  }
  if (timeout_ns == 0) {
    return 0;
  }
  uint64_t now = clock_ns();
  if (deadline == 0) {
    return now + timeout_ns;
  }
  if (now < deadline) {
    return deadline;
  }
  if (atomicCAS(reinterpret_cast<unsigned long long*>(&control->error), 0ull, missing) == 0 &&
      host_error) {
    *static_cast<volatile uint64_t*>(host_error) = missing;
    __threadfence_system();
  }
  return kExpired;
}

typedef struct {
  uint64_t deadline;  // 0: has not looked at the clock yet
  uint32_t polls;
} wait_t;

// Counts a fruitless poll; true: stop waiting. `rank` is the one that is missing.
__device__ __forceinline__ bool give_up(const fiar_kernel_args_t& args, call_t* call, wait_t* wait,
                                        int rank, int row) {
  if (!call->broken && ++wait->polls % kPollsAClockRead == 0) {
    wait->deadline = check_clock(args.control, args.peers.host_error, args.peers.timeout_ns,
                                 wait->deadline, FIAR_WAIT_ERROR(rank, row));
    call->broken = wait->deadline == kExpired;
  }
  return call->broken;
}

// Waits for a packet of 64 bits, whose high word is never empty, or for one word, that `rank`
// pushes; leaves its place empty for the call after the next.
__device__ __forceinline__ uint64_t take_packet64(const fiar_kernel_args_t& args, call_t* call,
                                                  char* at, int rank, int row) {
  uint64_t x = load_slot_pair(at);
  wait_t wait = {0, 0};
  while (static_cast<uint32_t>(x >> 32) == kEmpty && !give_up(args, call, &wait, rank, row)) {
    x = load_slot_pair(at);
  }
  store_slot(at, ~uint64_t{0});
  return x;
}

__device__ __forceinline__ uint32_t take_word(const fiar_kernel_args_t& args, call_t* call,
                                              char* at, int rank, int row) {
  uint32_t x = load_slot_word(at);
  wait_t wait = {0, 0};
  while (x == kEmpty && !give_up(args, call, &wait, rank, row)) {
    x = load_slot_word(at);
  }
  store_slot(at, kEmpty);
  return x;
}

// Where the ranks' shares of a row lie in this rank's slot: rank r's at r * source_bytes from
// `from`, a thread's vectors step bytes apart, `count` of them.
typedef struct {
  char* from;
  uint64_t source_bytes;
  uint32_t step;
  int count;
} shares_t;

__device__ __forceinline__ char* share_at(const shares_t& shares, int rank, int v) {
  return shares.from + rank * shares.source_bytes + v * shares.step;
}

// Polls until the shares of ranks first .. first + K - 1 are there; only what is missing is read
// again.
template <int K, int V>
__device__ __forceinline__ void poll_shares(const fiar_kernel_args_t& args, call_t* call,
                                            const shares_t& shares, int first, int row,
                                            uint4 (&x)[K][V]) {
  for (wait_t wait = {0, 0};;) {
    uint32_t largest = 0;
#pragma unroll
    for (int k = 0; k < K; ++k) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        largest = max(largest, largest_word(x[k][v]));
      }
    }
    if (largest != kEmpty) {
      return;
    }
    int missing = first;
#pragma unroll
    for (int k = 0; k < K; ++k) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        missing = is_empty(x[k][v]) ? first + k : missing;
      }
    }
    if (give_up(args, call, &wait, missing, row)) {
      return;
    }
#pragma unroll
    for (int k = 0; k < K; ++k) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        if (is_empty(x[k][v])) {
          x[k][v] = load_slot(share_at(shares, first + k, v));
        }
      }
    }
  }
}

// Waits for the V vectors that `rank` pushes to `from`, step bytes apart, and leaves their places
// empty.
template <int V>
__device__ __forceinline__ void take_row(const fiar_kernel_args_t& args, call_t* call, char* from,
                                         uint32_t step, int count, int rank, int row, uint4* out) {
  const shares_t shares = {from, 0, step, count};
  uint4 x[1][V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    x[0][v] = v < count ? load_slot(share_at(shares, 0, v)) : filled(0);
  }
  poll_shares<1, V>(args, call, shares, rank, row, x);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    out[v] = x[0][v];
    if (v < count) {
      store_slot(share_at(shares, 0, v), filled(kEmpty));
    }
  }
}

// sums[v] = ((x0 + x1) + x2) + ... over the ranks, rounded once to the element type. own[v] is this
// rank's share: merged behind the first polls, or, with OWN_LAST, when the others' are there, so
// that nothing waits for its load. The places are then cleared by clear_shares.
template <int NR, int V, bool OWN_LAST = false>
__device__ __forceinline__ void take_sums(const fiar_kernel_args_t& args, call_t* call,
                                          const shares_t& shares, const uint4* own, int row,
                                          uint4* sums) {
  const int world = NR ? NR : args.peers.world;
  constexpr int flight = (NR == 8 ? 8 : 4) / V;
  constexpr int K = flight < (NR ? NR : 4) ? flight : (NR ? NR : 4);  // sources in flight at once

  float total[V][FIAR_E];
  for (int first = 0; first < world; first += K) {
    uint4 x[K][V];
#pragma unroll
    for (int k = 0; k < K; ++k) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const int rank = first + k;
        x[k][v] = filled(0);
        if (rank != args.rank && rank < world && v < shares.count) {
          x[k][v] = load_slot(share_at(shares, rank, v));
        }
      }
    }
#pragma unroll
    for (int k = 0; k < K && !OWN_LAST; ++k) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        x[k][v] = first + k == args.rank ? sendable(own[v]) : x[k][v];
      }
    }
    poll_shares<K, V>(args, call, shares, first, row, x);
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int rank = first + k;
      if (rank >= world) {
        break;
      }
#pragma unroll
      for (int v = 0; v < V; ++v) {
        float share[FIAR_E];
        unpack(OWN_LAST && rank == args.rank ? sendable(own[v]) : x[k][v], share);
#pragma unroll
        for (int i = 0; i < FIAR_E; ++i) {
          total[v][i] = rank == 0 ? share[i] : __fadd_rn(total[v][i], share[i]);
        }
      }
    }
  }
#pragma unroll
  for (int v = 0; v < V; ++v) {
    sums[v] = pack(total[v]);
  }
}

// Leaves the places empty for the call after the next. Apart from take_sums, so that what others
// wait for goes first.
template <int NR, int V>
__device__ __forceinline__ void clear_shares(const fiar_kernel_args_t& args,
                                             const shares_t& shares) {
  const int world = NR ? NR : args.peers.world;
#pragma unroll
  for (int rank = 0; rank < world; ++rank) {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      if (rank != args.rank && v < shares.count) {
        store_slot(share_at(shares, rank, v), filled(kEmpty));
      }
    }
  }
}

}  // namespace

#endif  // FIAR_DEVICE_SYNC_CUH
