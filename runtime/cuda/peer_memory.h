// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Device memory that every rank of a communicator can address with plain loads and stores.
// Internal.
#ifndef FIAR_CUDA_PEER_MEMORY_H
#define FIAR_CUDA_PEER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "cuda/nccl_comm.h"
#include "runtime_impl.h"

typedef struct fiar_peer_memory fiar_peer_memory_t;
struct fiar_peer_memory {
  fiar_comm_t* comm;
  size_t bytes;              // of every rank's share
  bool shared;               // every rank has its share, so peers may have mapped this one
  void* at[FIAR_MAX_WORLD];  // rank's share, as this rank addresses it; at[own rank] is this rank's
                             // own memory
  // The provider's: unmap takes the peers' shares out of this address space, release frees the own
  // one.
  void (*unmap)(fiar_peer_memory_t* memory);
  void (*release)(fiar_peer_memory_t* memory);
  void* own;
  void* provider;
};

// All collective: every rank of comm calls with the same bytes, its device current. A rank that
// cannot (no peer access, out of memory, another host) makes all ranks fail alike, with its number
// and its reason in the text. Every word of the memory is `fill` when the call returns, on every
// rank.

// CUDA IPC between processes, plain peer access inside one. One host.
fiar_status_t fiar_peer_memory_create_ipc(fiar_comm_t* comm, size_t bytes, unsigned char fill,
                                          fiar_peer_memory_t** out_memory);

// A symmetric window of NCCL (2.28 and later), which also spans the hosts of one NVLink domain.
// Multicast is not used. group: the ranks of comm, in the same order; it outlives the memory.
fiar_status_t fiar_peer_memory_create_window(fiar_comm_t* comm, const fiar_nccl_group_t* group,
                                             size_t bytes, unsigned char fill,
                                             fiar_peer_memory_t** out_memory);

// Unmaps and frees. `quiet` is the caller's promise that no peer stores into this rank's memory any
// more; true after calls that all ended well, since such a call ends when everything sent to this
// rank is there. Inside one process that is all it takes, so one thread may destroy all ranks' in
// turn. Otherwise it is collective: it waits, within the communicator's time bound, until every
// rank has come this far; where one does not come, this rank's side is freed anyway. NULL is
// allowed.
void fiar_peer_memory_destroy(fiar_peer_memory_t* memory, bool quiet);

// For the providers.

// Collective: writes a word into every peer's share and looks for theirs in the own one, then fills
// it. A mapping that was made but does not work is found here, on all ranks.
fiar_status_t fiar_peer_memory_try_out(fiar_peer_memory_t* memory, unsigned char fill);

#endif  // FIAR_CUDA_PEER_MEMORY_H
