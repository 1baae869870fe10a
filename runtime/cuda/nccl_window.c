// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <stdlib.h>

#include "cuda/cuda_impl.h"
#include "cuda/nccl_comm.h"
#include "cuda/peer_memory.h"

// How NCCL 2.28 lays out the head of what an ncclWindow_t points to, in device memory. From 2.29 on
// there is a call for peer pointers and this is not used.
typedef struct window_head_228 {
  void* host;
  char* flat_base;  // the first byte of the first rank of the load-store team
  int32_t team_rank, world_rank;
  uint32_t stride_4g;  // between ranks, in units of 4 GiB
} window_head_228_t;

typedef struct window {
  const fiar_nccl_group_t* group;
  fiar_nccl_window_t handle;
} window_t;

static void window_unmap(fiar_peer_memory_t* memory) {
  window_t* window = memory->provider;
  if (window->handle) {
    (void)window->group->nccl->CommWindowDeregister(window->group->comm, window->handle);
  }
}

static void window_release(fiar_peer_memory_t* memory) {
  window_t* window = memory->provider;
  if (memory->own) {
    (void)window->group->nccl->MemFree(memory->own);
  }
  free(window);
}

static fiar_status_t share_make(fiar_peer_memory_t* memory) {
  const fiar_nccl_t* nccl = ((window_t*)memory->provider)->group->nccl;
  if (!nccl->CommWindowRegister || nccl->version < 22800) {
    return FIAR_FAIL(UNAVAILABLE, "NCCL %d has no symmetric windows with peer pointers, 22800 does",
                     nccl->version);
  }
  FIAR_NCCL_TRY(nccl, MemAlloc, &memory->own, memory->bytes);
  return FIAR_OK;
}

static fiar_status_t window_register(fiar_peer_memory_t* memory) {
  window_t* window = memory->provider;
  FIAR_NCCL_TRY(window->group->nccl, CommWindowRegister, window->group->comm, memory->own,
                memory->bytes, &window->handle, FIAR_NCCL_WINDOW_SYMMETRIC);
  if (!window->handle) {
    return FIAR_FAIL(UNAVAILABLE, "NCCL has no symmetric memory over these ranks");
  }
  return FIAR_OK;
}

static fiar_status_t peers_find(fiar_peer_memory_t* memory) {
  const window_t* window = memory->provider;
  const fiar_nccl_t* nccl = window->group->nccl;
  int rank = fiar_comm_rank(memory->comm), world = fiar_comm_world(memory->comm);
  window_head_228_t head = {0};
  if (!nccl->GetPeerDevicePointer) {
    FIAR_CUDA_TRY(cudaMemcpy(&head, (const void*)window->handle, sizeof head, cudaMemcpyDefault));
    if (head.world_rank != rank || !head.flat_base || head.stride_4g == 0) {
      return FIAR_FAIL(UNAVAILABLE, "NCCL %d lays its windows out in a way that is not known here",
                       nccl->version);
    }
  }
  for (int peer = 0; peer < world; ++peer) {
    if (nccl->GetPeerDevicePointer) {
      FIAR_NCCL_TRY(nccl, GetPeerDevicePointer, window->handle, 0, peer, &memory->at[peer]);
    } else {
      int64_t place = head.team_rank + (peer - rank);
      memory->at[peer] =
          place < 0 ? NULL : head.flat_base + place * ((int64_t)head.stride_4g << 32);
    }
    if (!memory->at[peer]) {
      return FIAR_FAIL(UNAVAILABLE, "rank %d is out of this rank's load-store reach", peer);
    }
  }
  return FIAR_OK;
}

fiar_status_t fiar_peer_memory_create_window(fiar_comm_t* comm, const fiar_nccl_group_t* group,
                                             size_t bytes, unsigned char fill,
                                             fiar_peer_memory_t** out_memory) {
  *out_memory = NULL;
  fiar_peer_memory_t* memory = calloc(1, sizeof *memory);
  window_t* window = calloc(1, sizeof *window);
  if (!memory || !window) {
    free(memory);
    free(window);
    return fiar_comm_vote(comm,
                          FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *memory));
  }
  window->group = group;
  *memory = (fiar_peer_memory_t){.comm = comm,
                                 .bytes = bytes,
                                 .unmap = window_unmap,
                                 .release = window_release,
                                 .provider = window};
  fiar_status_t status = FIAR_OK;
  FIAR_TRY_DONE(fiar_comm_vote(comm, share_make(memory)));
  memory->shared = true;
  FIAR_TRY_DONE(fiar_comm_vote(comm, window_register(memory)));
  FIAR_TRY_DONE(fiar_comm_vote(comm, peers_find(memory)));
  FIAR_TRY_DONE(fiar_peer_memory_try_out(memory, fill));
  *out_memory = memory;
  memory = NULL;
done:
  fiar_peer_memory_destroy(memory, false);
  return status;
}
