// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The NCCL communicator behind one of ours. Internal.
#ifndef FIAR_CUDA_NCCL_COMM_H
#define FIAR_CUDA_NCCL_COMM_H

#include "cuda/nccl_dl.h"
#include "runtime_impl.h"

typedef struct fiar_nccl_group {
  const fiar_nccl_t* nccl;
  fiar_nccl_comm_t comm;
  bool owned;   // made here, not the caller's
  bool failed;  // a wait ran out: operations of it may still hold memory
} fiar_nccl_group_t;

// Collective. The caller's ncclComm_t where comm was made from one, else a new one over its ranks.
// A rank that cannot makes all fail alike.
fiar_status_t fiar_nccl_group_init(fiar_comm_t* comm, fiar_nccl_group_t* out_group);

// Frees what init made; of a group of zeros, nothing.
void fiar_nccl_group_finish(fiar_nccl_group_t* group);

// What NCCL has found wrong since the last call; does not wait.
fiar_status_t fiar_nccl_group_error(const fiar_nccl_group_t* group);

// The bound of what starts NCCL, which takes seconds by itself, also where all is well.
int32_t fiar_nccl_start_ms(const fiar_comm_t* comm);

// Waits until the event (a cudaEvent_t behind an operation of the group) has come, at most until
// deadline_ns (fiar_now_ns). TIMEOUT, or what NCCL reports; the group has failed then.
fiar_status_t fiar_nccl_group_wait(fiar_nccl_group_t* group, void* event, int64_t deadline_ns);

// Makes ahead, once, what fiar_comm_create_from_nccl allocates on the device (-1: the current one).
// Where several ranks are threads of one process, they call it before any of them calls that:
// memory must not be allocated while the NCCL kernel of another rank runs and waits for this one.
fiar_status_t fiar_nccl_exchange_reserve(int32_t device);

#endif  // FIAR_CUDA_NCCL_COMM_H
