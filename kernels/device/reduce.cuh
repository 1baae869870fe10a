// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Sums and maxima over a row that a block, or a cluster of blocks, holds.
//
// The order of a sum depends on the row's length alone: 32 neighbouring vectors make a partial by a
// butterfly, and the partials are added by their place in the row. So every kernel, launch shape
// and rank gets the same bits.
#ifndef FIAR_DEVICE_REDUCE_CUH
#define FIAR_DEVICE_REDUCE_CUH

#include "device/common.cuh"

namespace {

const int kMaxPartials = 128;  // 16384 f32 in vectors of 4, 32 to a partial
const int kDrawnRows = 4;      // a power of two, as many as are in use and being written
const int kMaxBlocks = 1408;   // groups that no shuffle serves have 3 vectors at least

// Sums and maxima of partials. Two buffers: who writes the next-but-one has seen everyone done with
// this one.
typedef struct {
  alignas(16) float sums[2][kMaxPartials];  // both: zeros past the last, up to a multiple of 32
  alignas(16) uint32_t maxima[2][kMaxPartials];
  uint32_t block_amax[kMaxBlocks];
  uint64_t arrived[2];    // mbarriers of a cluster's partials
  int drawn[kDrawnRows];  // by turns (device/owner.cuh)
} row_shared_t;

// What a thread knows of its row's exchanges.
typedef struct {
  uint32_t shared;  // address of the block's row_shared_t
  int shift;        // 1 << shift blocks share a row
  int count;        // partials of a row
  uint32_t turn;    // exchanges so far
} exchange_t;

typedef struct {
  float sum;
  uint32_t max;  // over non-negative floats as bits, so that NaN is above all
} row_total_t;

// Where the exchange's turn has its partials and its barrier, in shared memory.
__device__ __forceinline__ uint32_t sums_of(const exchange_t& x) {
  return x.shared + (x.turn & 1) * (uint32_t)(kMaxPartials * sizeof(float));
}
__device__ __forceinline__ uint32_t barrier_of(const exchange_t& x) {
  return x.shared + (uint32_t)offsetof(row_shared_t, arrived) +
         (x.turn & 1) * (uint32_t)sizeof(uint64_t);
}
const uint32_t kToMaxima = offsetof(row_shared_t, maxima);  // from a sum to its maximum

// Plain C++ would look up the block's place in its cluster at every access.
__device__ __forceinline__ float load_shared(uint32_t at) {
  float x;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(x) : "r"(at) : "memory");
  return x;
}
__device__ __forceinline__ float4 load_shared_four(uint32_t at) {
  float4 x;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
               : "r"(at)
               : "memory");
  return x;
}
__device__ __forceinline__ void store_shared(uint32_t at, uint32_t x) {
  asm volatile("st.shared.u32 [%0], %1;" ::"r"(at), "r"(x) : "memory");
}

#if __CUDA_ARCH__ >= 900
__device__ __forceinline__ uint32_t in_block(uint32_t address, int rank) {
  uint32_t mapped;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(rank));
  return mapped;
}

// A word into another block's shared memory, which its barrier counts.
__device__ __forceinline__ void send_word(uint32_t to, uint32_t barrier, uint32_t word) {
  asm volatile(
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(to),
      "r"(word), "r"(barrier)
      : "memory");
}

__device__ __forceinline__ void expect_words(uint32_t barrier, int count) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
               "r"(count * (int)sizeof(uint32_t))
               : "memory");
}

// The acquire is the block's own: shared memory has no cache that one of the cluster would have to
// empty, which takes a while.
__device__ __forceinline__ void wait_words(uint32_t barrier, uint32_t phase) {
  uint32_t done = 0;
  while (!done) {
    asm volatile(
        "{\n\t.reg .pred p;\n\t"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n\t"
        "selp.u32 %0, 1, 0, p;\n\t}"
        : "=r"(done)
        : "r"(barrier), "r"(phase)
        : "memory");
  }
}
#endif

// Before the first exchange: the places past the last partial are zero, and a cluster's barriers
// are ready in every block. Split in two, so that the wait hides behind the push; a barrier of the
// block must follow too.
template <int V>
__device__ __forceinline__ exchange_t begin_exchange(row_shared_t* shared, const place_t& at,
                                                     int shift) {
  exchange_t x = {static_cast<uint32_t>(__cvta_generic_to_shared(shared)), shift,
                  V * (int)(at.step / (32 * sizeof(uint4))), 0};
  asm volatile("" : "+r"(x.shared), "+r"(x.count));  // worked out here, and not again
  if (threadIdx.x < 32 && x.count + threadIdx.x < (x.count + 31) / 32 * 32) {
    for (int buffer = 0; buffer < 2; ++buffer) {
      shared->sums[buffer][x.count + threadIdx.x] = 0.0f;
      shared->maxima[buffer][x.count + threadIdx.x] = 0;
    }
  }
#if __CUDA_ARCH__ >= 900
  if (shift > 0) {
    if (threadIdx.x == 0) {
      for (x.turn = 0; x.turn < 2; ++x.turn) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(barrier_of(x)) : "memory");
      }
      asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
  }
#endif
  x.turn = 0;
  return x;
}

__device__ __forceinline__ void exchange_ready(int shift) {
#if __CUDA_ARCH__ >= 900
  if (shift > 0) {
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
  }
#endif
}

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    value = __fadd_rn(value, __shfl_xor_sync(0xFFFFFFFFu, value, mask));
  }
  return value;
}

// All threads of a row call this together, once or twice a row, and then take_total, with whatever
// can hide behind the exchange between them. sums[v] and maxima[v] are the thread's own; with_max
// says whether maxima matter. Addresses are worked out before the sums, which wait for data.
template <int V>
__device__ __forceinline__ void send_partials(const exchange_t& x, const place_t& at,
                                              const float* sums, const uint32_t* maxima,
                                              bool with_max) {
  const int lane = threadIdx.x % 32;
  const bool sends = lane < 1 << x.shift;  // a lane a block of the cluster
  uint32_t to = sums_of(x) + vector_of(at, 0) / 32 * (uint32_t)sizeof(float);
  const uint32_t step = x.count / V * (uint32_t)sizeof(float);
#if __CUDA_ARCH__ >= 900
  uint32_t barrier = barrier_of(x);
  if (x.shift > 0) {
    if (threadIdx.x == 0) {
      expect_words(barrier, with_max ? 2 * x.count : x.count);
    }
    to = in_block(to, lane & ((1 << x.shift) - 1));
    barrier = in_block(barrier, lane & ((1 << x.shift) - 1));
  }
  asm volatile("" : "+r"(to), "+r"(barrier));
#endif
#pragma unroll
  for (int v = 0; v < V; ++v, to += step) {
    const uint32_t sum = __float_as_uint(warp_sum(sums[v]));
    const uint32_t max = with_max ? __reduce_max_sync(0xFFFFFFFFu, maxima[v]) : 0;
    if (!sends) {
      continue;
    }
#if __CUDA_ARCH__ >= 900
    if (x.shift > 0) {
      send_word(to, barrier, sum);
      if (with_max) {
        send_word(to + kToMaxima, barrier, max);
      }
      continue;
    }
#endif
    store_shared(to, sum);
    store_shared(to + kToMaxima, max);
  }
}

__device__ __forceinline__ float4 add_four(const float4& a, const float4& b) {
  return make_float4(__fadd_rn(a.x, b.x), __fadd_rn(a.y, b.y), __fadd_rn(a.z, b.z),
                     __fadd_rn(a.w, b.w));
}

// The sum over the places from `at` on, by a butterfly of which lane i holds those at i, i + 32,
// ... Up to 32 places it is worked out in registers, since shuffles wait for each other.
__device__ __forceinline__ float sum_places(uint32_t at, int count) {
  const uint32_t four = sizeof(float4);
  if (count > 32) {
    float sum = 0.0f;
#pragma unroll 1
    for (int i = threadIdx.x % 32; i < count; i += 32) {
      sum = __fadd_rn(sum, load_shared(at + i * (uint32_t)sizeof(float)));
    }
    return warp_sum(sum);
  }
  float4 sum[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    sum[i] = load_shared_four(at + i * four);
  }
  if (count > 16) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      sum[i] = add_four(sum[i], load_shared_four(at + (i + 4) * four));
    }
  }
  const float4 rest = add_four(add_four(sum[0], sum[2]), add_four(sum[1], sum[3]));
  return __fadd_rn(__fadd_rn(rest.x, rest.z), __fadd_rn(rest.y, rest.w));
}

__device__ __forceinline__ uint32_t max_four(const float4& x) {
  return max(max(__float_as_uint(x.x), __float_as_uint(x.y)),
             max(__float_as_uint(x.z), __float_as_uint(x.w)));
}

// The same for the maximum.
__device__ __forceinline__ uint32_t max_places(uint32_t at, int count) {
  uint32_t most = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    most = max(most, max_four(load_shared_four(at + i * (uint32_t)sizeof(float4))));
  }
#pragma unroll 1
  for (int i = 4; i * 4 < count; ++i) {
    most = max(most, max_four(load_shared_four(at + i * (uint32_t)sizeof(float4))));
  }
  return most;
}

// The row's total. with_max as it was sent.
__device__ __forceinline__ row_total_t take_total(exchange_t* x, bool with_max) {
  uint32_t sums = sums_of(*x);
  asm volatile("" : "+r"(sums));
#if __CUDA_ARCH__ >= 900
  if (x->shift > 0) {
    wait_words(barrier_of(*x), x->turn / 2 & 1);
  } else
#endif
  {
    __syncthreads();
  }
  ++x->turn;
  row_total_t total = {sum_places(sums, x->count), 0};
  if (with_max) {
    total.max = max_places(sums + kToMaxima, x->count);
  }
  return total;
}

// The largest of a row: a turn more. Out of line: rare.
template <int V>
__device__ __noinline__ uint32_t row_maximum(exchange_t x, place_t at, uint32_t largest) {
  const float nothing[V] = {};
  uint32_t maxima[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    maxima[v] = largest;
  }
  send_partials<V>(x, at, nothing, maxima, true);
  return take_total(&x, true).max;
}

// The maximum over the block of `lanes` neighbouring vectors that holds this one, at most MOST. All
// threads of the block call it, once for each v. Without a branch, which would cost more than the
// shuffles that it saves.
template <int MOST>
__device__ __forceinline__ uint32_t block_max_shuffled(uint32_t largest, int lanes) {
#pragma unroll
  for (int mask = MOST / 2; mask > 0; mask /= 2) {
    const uint32_t other = __shfl_xor_sync(0xFFFFFFFFu, largest, mask);
    largest = mask < lanes ? max(largest, other) : largest;
  }
  return largest;
}

// Any number of lanes, one block a row: through shared memory, for all V vectors at once. max[v] of
// vectors past the row's end must be 0 with block[v] in range.
template <int V>
__device__ __forceinline__ void block_max_shared(row_shared_t* shared, int blocks, const int* block,
                                                 uint32_t* max) {
  for (int i = threadIdx.x; i < blocks; i += blockDim.x) {
    shared->block_amax[i] = 0;
  }
  __syncthreads();
#pragma unroll
  for (int v = 0; v < V; ++v) {
    atomicMax(&shared->block_amax[block[v]], max[v]);
  }
  __syncthreads();
#pragma unroll
  for (int v = 0; v < V; ++v) {
    max[v] = shared->block_amax[block[v]];
  }
}

// Writes the number of the one thread of a cluster that has it to `place` in every block. All
// threads of the cluster call this together, and find it there afterwards.
__device__ __forceinline__ void share_number(int number, bool has_it, int* place, int shift) {
#if __CUDA_ARCH__ >= 900
  const uint32_t here = static_cast<uint32_t>(__cvta_generic_to_shared(place));
  for (int block = 0; has_it && block < 1 << shift; ++block) {
    asm volatile("st.shared::cluster.u32 [%0], %1;" ::"r"(in_block(here, block)), "r"(number)
                 : "memory");
  }
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

}  // namespace

#endif  // FIAR_DEVICE_REDUCE_CUH
