// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/peer_memory.h"

#include <stdint.h>
#include <stdlib.h>

#include "cuda/cuda_impl.h"

static fiar_status_t words_write(const fiar_peer_memory_t* memory, int rank, int world) {
  uint32_t word = 0xF1A20000u + (uint32_t)rank;
  for (int peer = 0; peer < world; ++peer) {
    uint32_t* slot = (uint32_t*)memory->at[peer] + rank;
    FIAR_CUDA_TRY(cudaMemcpy(slot, &word, sizeof word, cudaMemcpyDefault));
  }
  FIAR_CUDA_TRY(cudaDeviceSynchronize());
  return FIAR_OK;
}

static fiar_status_t words_check(const fiar_peer_memory_t* memory, int world) {
  uint32_t words[FIAR_MAX_WORLD];
  FIAR_CUDA_TRY(cudaMemcpy(words, memory->own, (size_t)world * sizeof words[0], cudaMemcpyDefault));
  for (int peer = 0; peer < world; ++peer) {
    if (words[peer] != 0xF1A20000u + (uint32_t)peer) {
      return FIAR_FAIL(UNAVAILABLE, "a store of rank %d into this rank's memory did not arrive",
                       peer);
    }
  }
  return FIAR_OK;
}

static fiar_status_t fill_all(const fiar_peer_memory_t* memory, unsigned char fill) {
  FIAR_CUDA_TRY(cudaMemset(memory->own, fill, memory->bytes));
  FIAR_CUDA_TRY(cudaDeviceSynchronize());
  return FIAR_OK;
}

fiar_status_t fiar_peer_memory_try_out(fiar_peer_memory_t* memory, unsigned char fill) {
  int world = fiar_comm_world(memory->comm);
  FIAR_TRY(fiar_comm_vote(memory->comm, words_write(memory, fiar_comm_rank(memory->comm), world)));
  fiar_status_t status = words_check(memory, world);
  if (status == FIAR_OK) {
    status = fill_all(memory, fill);
  }
  return fiar_comm_vote(memory->comm, status);
}

void fiar_peer_memory_destroy(fiar_peer_memory_t* memory, bool quiet) {
  if (!memory) {
    return;
  }
  if (memory->shared) {
    // Freeing what another process still maps is undefined, so unmapping and freeing are two steps.
    // A vote that fails means that a peer is gone, and with it its mappings.
    bool wait = !(quiet && fiar_comm_caps(memory->comm)->one_process);
    (void)cudaDeviceSynchronize();
    if (wait) {
      (void)fiar_comm_vote(memory->comm, FIAR_OK);
    }
    memory->unmap(memory);
    if (wait) {
      (void)fiar_comm_vote(memory->comm, FIAR_OK);
    }
  }
  memory->release(memory);
  free(memory);
}
