// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cuda/cuda_impl.h"
#include "cuda/peer_memory.h"

// What a rank tells the others about its share.
typedef struct share {
  cudaIpcMemHandle_t handle;
  uint64_t process[2];  // pid and a nonce: pids of two containers may be equal
  void* pointer;
  uint64_t bytes;
  int64_t device;
} share_t;

// Which of the peers' shares are IPC mappings, to be closed again.
typedef struct mappings {
  void* of[FIAR_MAX_WORLD];
} mappings_t;

// An IPC handle is of a whole allocation; one of this granularity is never part of a larger one.
static const size_t granularity = (size_t)2 << 20;

static uint64_t process_nonce;
static void process_nonce_draw(void) {
  if (getrandom(&process_nonce, sizeof process_nonce, 0) != (ssize_t)sizeof process_nonce) {
    process_nonce =
        (uint64_t)(uintptr_t)&process_nonce;  // the loader's random base; the pid tells the rest
  }
}

static void ipc_unmap(fiar_peer_memory_t* memory) {
  mappings_t* mappings = memory->provider;
  for (int rank = 0; mappings && rank < FIAR_MAX_WORLD; ++rank) {
    if (mappings->of[rank]) {
      (void)cudaIpcCloseMemHandle(mappings->of[rank]);
    }
  }
}

static void ipc_release(fiar_peer_memory_t* memory) {
  (void)cudaFree(memory->own);
  free(memory->provider);
}

static fiar_status_t share_make(fiar_peer_memory_t* memory, share_t* out_share) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, process_nonce_draw);
  int device = 0;
  FIAR_CUDA_TRY(cudaGetDevice(&device));
  size_t rounded = (memory->bytes + granularity - 1) / granularity * granularity;
  cudaError_t error = cudaMalloc(&memory->own, rounded);
  if (error != cudaSuccess) {
    memory->own = NULL;
    return fiar_annotate(fiar_cuda_fail(error, "cudaMalloc"), "workspace of %zu bytes on device %d",
                         rounded, device);
  }
  // The words that peers write when the memory is tried out: a tool that does not see their writes
  // would find them read and never written.
  FIAR_CUDA_TRY(cudaMemset(memory->own, 0, FIAR_MAX_WORLD * sizeof(uint32_t)));
  FIAR_CUDA_TRY(cudaDeviceSynchronize());
  FIAR_CUDA_TRY(cudaIpcGetMemHandle(&out_share->handle, memory->own));
  out_share->process[0] = (uint64_t)getpid();
  out_share->process[1] = process_nonce;
  out_share->pointer = memory->own;
  out_share->bytes = memory->bytes;
  out_share->device = device;
  return FIAR_OK;
}

// Inside one process a peer's pointer is good as it is, once this device may follow it.
static fiar_status_t peer_open_direct(const share_t* mine, const share_t* peer, void** out_at) {
  if (peer->device != mine->device) {
    int can = 0;
    FIAR_CUDA_TRY(cudaDeviceCanAccessPeer(&can, (int)mine->device, (int)peer->device));
    if (!can) {
      return FIAR_FAIL(UNAVAILABLE, "device %d cannot access the memory of device %d",
                       (int)mine->device, (int)peer->device);
    }
    cudaError_t error = cudaDeviceEnablePeerAccess((int)peer->device, 0);
    if (error == cudaErrorPeerAccessAlreadyEnabled) {
      (void)cudaGetLastError();
    } else if (error != cudaSuccess) {
      return fiar_cuda_fail(error, "cudaDeviceEnablePeerAccess");
    }
  }
  *out_at = peer->pointer;
  return FIAR_OK;
}

static fiar_status_t peer_open_ipc(const share_t* theirs, int peer, void** out_mapping,
                                   void** out_at) {
  cudaError_t error =
      cudaIpcOpenMemHandle(out_mapping, theirs->handle, cudaIpcMemLazyEnablePeerAccess);
  if (error != cudaSuccess) {
    *out_mapping = NULL;
    return fiar_annotate(fiar_cuda_fail(error, "cudaIpcOpenMemHandle"),
                         "mapping the memory of rank %d", peer);
  }
  *out_at = *out_mapping;
  return FIAR_OK;
}

static fiar_status_t peers_open(fiar_peer_memory_t* memory, const share_t* shares) {
  int rank = fiar_comm_rank(memory->comm), world = fiar_comm_world(memory->comm);
  const share_t* mine = &shares[rank];
  mappings_t* mappings = memory->provider;
  for (int peer = 0; peer < world; ++peer) {
    const share_t* theirs = &shares[peer];
    if (theirs->bytes != mine->bytes) {
      return FIAR_FAIL(MISMATCH, "rank %d wants a workspace of %llu bytes, rank %d one of %llu",
                       rank, (unsigned long long)mine->bytes, peer,
                       (unsigned long long)theirs->bytes);
    }
    if (peer == rank) {
      memory->at[peer] = memory->own;
    } else if (memcmp(theirs->process, mine->process, sizeof mine->process) == 0) {
      FIAR_TRY(peer_open_direct(mine, theirs, &memory->at[peer]));
    } else {
      FIAR_TRY(peer_open_ipc(theirs, peer, &mappings->of[peer], &memory->at[peer]));
    }
  }
  return FIAR_OK;
}

fiar_status_t fiar_peer_memory_create_ipc(fiar_comm_t* comm, size_t bytes, unsigned char fill,
                                          fiar_peer_memory_t** out_memory) {
  *out_memory = NULL;
  share_t mine = {0}, shares[FIAR_MAX_WORLD];
  fiar_peer_memory_t* memory = calloc(1, sizeof *memory);
  mappings_t* mappings = calloc(1, sizeof *mappings);
  if (!memory || !mappings) {
    free(memory);
    free(mappings);
    // The others learn of it from the vote, as of any other reason.
    return fiar_comm_vote(comm,
                          FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *memory));
  }
  *memory = (fiar_peer_memory_t){.comm = comm,
                                 .bytes = bytes,
                                 .unmap = ipc_unmap,
                                 .release = ipc_release,
                                 .provider = mappings};
  fiar_status_t status = FIAR_OK;
  FIAR_TRY_DONE(fiar_comm_vote(comm, share_make(memory, &mine)));
  memory->shared = true;
  FIAR_TRY_DONE(fiar_comm_all_gather(comm, &mine, shares, sizeof mine));
  FIAR_TRY_DONE(fiar_comm_vote(comm, peers_open(memory, shares)));
  FIAR_TRY_DONE(fiar_peer_memory_try_out(memory, fill));
  *out_memory = memory;
  memory = NULL;
done:
  fiar_peer_memory_destroy(memory, false);
  return status;
}
