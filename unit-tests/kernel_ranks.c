// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "kernel_ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void die(const char* what, int line) {
  fprintf(stderr, "line %d: %s failed: %s; %s\n", line, what,
          cudaGetErrorString(cudaGetLastError()), fiar_last_error());
  exit(1);
}

static int devices_for(int world, int one_gpu) {
  int count = 0;
  CUDA_OR_DIE(cudaGetDeviceCount(&count));
  if (one_gpu || count < world) {
    return 1;
  }
  for (int a = 0; a < world; ++a) {
    for (int b = 0; b < world; ++b) {
      int reaches = 1;
      if (a != b) {
        CUDA_OR_DIE(cudaDeviceCanAccessPeer(&reaches, a, b));
      }
      if (!reaches) {
        return 1;
      }
    }
  }
  return world;
}

// Once a process: what is enabled a second time is an error, which compute-sanitizer reports.
static void connect(int devices) {
  static int connected = 1;
  for (int a = 0; a < devices; ++a) {
    CUDA_OR_DIE(cudaSetDevice(a));
    for (int b = 0; b < devices; ++b) {
      if (a != b && (a >= connected || b >= connected)) {
        CUDA_OR_DIE(cudaDeviceEnablePeerAccess(b, 0));
      }
    }
  }
  connected = devices > connected ? devices : connected;
}

static void rank_open(ranks_t* ranks, int r, int device, uint64_t slot_bytes, uint64_t timeout_ns) {
  rank_memory_t* rank = &ranks->rank[r];
  void* slots = NULL;
  rank->device = device;
  rank->peers = (fiar_peers_t){
      .slot_bytes = slot_bytes, .timeout_ns = timeout_ns, .rank = r, .world = ranks->world};
  CUDA_OR_DIE(cudaSetDevice(device));
  CUDA_OR_DIE(cudaStreamCreateWithFlags(&rank->stream, cudaStreamNonBlocking));
  CUDA_OR_DIE(cudaMalloc((void**)&rank->arena, ranks->arena_bytes));
  CUDA_OR_DIE(cudaMalloc((void**)&rank->peers.control, FIAR_CONTROL_BYTES));
  CUDA_OR_DIE(cudaMemset(rank->peers.control, 0, FIAR_CONTROL_BYTES));
  CUDA_OR_DIE(
      cudaHostAlloc((void**)&rank->peers.host_error, sizeof(uint64_t), cudaHostAllocMapped));
  *rank->peers.host_error = 0;
  CUDA_OR_DIE(cudaMalloc(&slots, 2 * slot_bytes));
  CUDA_OR_DIE(cudaMemset(slots, FIAR_SLOT_FILL, 2 * slot_bytes));
  CUDA_OR_DIE(cudaDeviceSynchronize());
  for (int other = 0; other < ranks->world; ++other) {
    ranks->rank[other].peers.slots[r] = slots;
  }
  rank->peers.slots[r] = slots;
}

void ranks_open(ranks_t* ranks, int world, uint64_t slot_bytes, size_t arena_bytes,
                uint64_t timeout_ns, int one_gpu) {
  void* slots[FIAR_KERNEL_MAX_WORLD];
  memset(ranks, 0, sizeof *ranks);
  ranks->world = world;
  ranks->arena_bytes = arena_bytes;
  const int devices = devices_for(world, one_gpu);
  connect(devices);
  for (int r = 0; r < world; ++r) {
    rank_open(ranks, r, r % devices, slot_bytes, timeout_ns);
    slots[r] = ranks->rank[r].peers.slots[r];
  }
  for (int r = 0; r < world; ++r) {
    memcpy(ranks->rank[r].peers.slots, slots, sizeof(void*) * (size_t)world);
  }
  FIAR_OR_DIE(fiar_launch_caps(&ranks->caps));
  if (devices == 1) {
    ranks->caps.sm_count /= world;
  }
}

void ranks_close(ranks_t* ranks) {
  ranks_wait(ranks);
  for (int r = 0; r < ranks->world; ++r) {
    rank_memory_t* rank = &ranks->rank[r];
    CUDA_OR_DIE(cudaSetDevice(rank->device));
    CUDA_OR_DIE(cudaStreamDestroy(rank->stream));
    CUDA_OR_DIE(cudaFree(rank->arena));
    CUDA_OR_DIE(cudaFree(rank->peers.slots[r]));
    CUDA_OR_DIE(cudaFree(rank->peers.control));
    CUDA_OR_DIE(cudaFreeHost(rank->peers.host_error));
  }
}

void ranks_wait(const ranks_t* ranks) {
  for (int r = 0; r < ranks->world; ++r) {
    CUDA_OR_DIE(cudaSetDevice(ranks->rank[r].device));
    CUDA_OR_DIE(cudaStreamSynchronize(ranks->rank[r].stream));
  }
}

void ranks_settle(const ranks_t* ranks) {
  for (int r = 0; r < ranks->world; ++r) {
    CUDA_OR_DIE(cudaSetDevice(ranks->rank[r].device));
    CUDA_OR_DIE(cudaDeviceSynchronize());
  }
}

int ranks_slots_are_empty(const ranks_t* ranks) {
  const size_t bytes = 2 * ranks->rank[0].peers.slot_bytes;
  unsigned char* copy = malloc(bytes);
  die_if(!copy, "malloc", __LINE__);
  size_t full = 0;
  for (int r = 0; r < ranks->world; ++r) {
    CUDA_OR_DIE(cudaMemcpy(copy, ranks->rank[r].peers.slots[r], bytes, cudaMemcpyDeviceToHost));
    for (size_t i = 0; i < bytes; ++i) {
      full += copy[i] != FIAR_SLOT_FILL;
    }
  }
  free(copy);
  return full == 0;
}
