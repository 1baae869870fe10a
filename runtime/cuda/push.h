// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The push workspace: two slots of memory that all ranks can store into, and the kernels that use
// them. The backends trtllm and mnnvl are this over two kinds of peer memory. Internal.
//
// Layout of a rank's share: slot 0, slot 1, each slot_bytes and filled with FIAR_SLOT_FILL between
// calls. The control block with the call's epoch is in device memory, so graphs replay in any
// order. A wait that runs out of time leaves the slots torn: from then on every call fails with
// TIMEOUT, until the workspace is made anew.
#ifndef FIAR_CUDA_PUSH_H
#define FIAR_CUDA_PUSH_H

#include "cuda/peer_memory.h"
#include "runtime_impl.h"

typedef struct fiar_push fiar_push_t;

// Collective. Takes over memory (2 * slot_bytes a rank), also on failure.
fiar_status_t fiar_push_open(fiar_comm_t* comm, fiar_peer_memory_t* memory, fiar_push_t** out_push);
void fiar_push_close(fiar_push_t* push);

// The rest is as fiar_backend_t has it; state is a fiar_push_t.
const char* fiar_push_refuses(const fiar_problem_t* problem, const fiar_caps_t* caps);
size_t fiar_push_workspace_size(const fiar_problem_t* problem, const fiar_caps_t* caps);
fiar_status_t fiar_push_run(void* state, const fiar_all_reduce_norm_params* params, void* stream);
fiar_status_t fiar_push_all_gather_rows(void* state, const void* rows, void* out, int64_t tokens,
                                        int64_t hidden, uint8_t dtype, void* stream);
fiar_status_t fiar_push_async_error(void* state);

#endif  // FIAR_CUDA_PUSH_H
