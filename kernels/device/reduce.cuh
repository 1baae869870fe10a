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
const int kMaxBlocks = 1408;   // groups that no shuffle serves have 3 vectors at least

// A partial is a sum (as bits) and a maximum. Two buffers: who writes the next-but-one has seen
// everyone done with this one.
typedef struct {
  uint2 partials[2][kMaxPartials];
  uint32_t block_amax[kMaxBlocks];
  uint64_t arrived[2];  // mbarriers of a cluster's partials
} row_shared_t;

typedef struct {
  float sum;
  uint32_t max;  // over non-negative floats as bits, so that NaN is above all
} row_total_t;

#if __CUDA_ARCH__ >= 900
__device__ __forceinline__ uint32_t shared_address(const void* at) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(at));
}

__device__ __forceinline__ uint32_t in_block(uint32_t address, int rank) {
  uint32_t mapped;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(rank));
  return mapped;
}

__device__ __forceinline__ void send_partial(row_shared_t* shared, int buffer, int index, int rank,
                                             uint2 partial) {
  uint32_t to = in_block(shared_address(&shared->partials[buffer][index]), rank);
  uint32_t barrier = in_block(shared_address(&shared->arrived[buffer]), rank);
  asm volatile(
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%0], {%1, %2}, [%3];" ::"r"(
          to),
      "r"(partial.x), "r"(partial.y), "r"(barrier)
      : "memory");
}

__device__ __forceinline__ void expect_partials(row_shared_t* shared, int buffer, int count) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                   shared_address(&shared->arrived[buffer])),
               "r"(count * (int)sizeof(uint2))
               : "memory");
}

__device__ __forceinline__ void wait_partials(row_shared_t* shared, int buffer, uint32_t phase) {
  uint32_t done = 0;
  while (!done) {
    asm volatile(
        "{\n\t.reg .pred p;\n\t"
        "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n\t"
        "selp.u32 %0, 1, 0, p;\n\t}"
        : "=r"(done)
        : "r"(shared_address(&shared->arrived[buffer])), "r"(phase)
        : "memory");
  }
}
#endif

// Before the first exchange of a cluster: barriers ready in every block. Split in two, so that the
// wait hides behind the push.
__device__ __forceinline__ void reduce_begin(row_shared_t* shared, int shift) {
#if __CUDA_ARCH__ >= 900
  if (shift > 0) {
    if (threadIdx.x == 0) {
      for (int i = 0; i < 2; ++i) {
        asm volatile(
            "mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&shared->arrived[i]))
            : "memory");
      }
      asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
  }
#endif
}

__device__ __forceinline__ void reduce_ready(int shift) {
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

// All threads of a row call this together, once or twice a row; *turn counts the calls. sums[v] and
// maxima[v] are the thread's own; with_max says whether maxima matter. 1 << shift blocks share a
// row.
template <int V>
__device__ __forceinline__ row_total_t reduce_row(row_shared_t* shared, const place_t& at,
                                                  int shift, uint32_t* turn, const float* sums,
                                                  const uint32_t* maxima, bool with_max) {
  const int buffer = *turn & 1, lane = threadIdx.x % 32;
  const int warps = (int)(at.step / (32 * sizeof(uint4))), first = vector_of(at, 0) / 32;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const float sum = warp_sum(sums[v]);
    const uint32_t max = with_max ? __reduce_max_sync(0xFFFFFFFFu, maxima[v]) : 0;
    const uint2 partial = make_uint2(__float_as_uint(sum), max);
    const int index = first + v * warps;
#if __CUDA_ARCH__ >= 900
    if (shift > 0) {
      if (lane < 1 << shift) {
        send_partial(shared, buffer, index, lane, partial);
      }
      continue;
    }
#endif
    if (lane == 0) {
      shared->partials[buffer][index] = partial;
    }
  }
#if __CUDA_ARCH__ >= 900
  if (shift > 0) {
    if (threadIdx.x == 0) {
      expect_partials(shared, buffer, V * warps);
    }
    wait_partials(shared, buffer, *turn / 2 & 1);
  } else
#endif
  {
    __syncthreads();
  }
  ++*turn;
  uint2 mine = lane < V * warps ? shared->partials[buffer][lane] : make_uint2(0, 0);
  float sum = __uint_as_float(mine.x);
#pragma unroll 1
  for (int i = lane + 32; i < V * warps; i += 32) {
    const uint2 partial = shared->partials[buffer][i];
    sum = __fadd_rn(sum, __uint_as_float(partial.x));
    mine.y = partial.y > mine.y ? partial.y : mine.y;
  }
  row_total_t total;
  total.sum = warp_sum(sum);
  total.max = with_max ? __reduce_max_sync(0xFFFFFFFFu, mine.y) : 0;
  return total;
}

// The maximum over the block of `lanes` neighbouring vectors that holds this one. All threads of
// the block call it, once for each v.
__device__ __forceinline__ uint32_t block_max_shuffled(uint32_t max, int lanes) {
  for (int mask = lanes / 2; mask > 0; mask /= 2) {
    uint32_t other = __shfl_xor_sync(0xFFFFFFFFu, max, mask);
    max = other > max ? other : max;
  }
  return max;
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

}  // namespace

#endif  // FIAR_DEVICE_REDUCE_CUH
