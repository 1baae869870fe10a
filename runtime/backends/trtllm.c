// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Push kernels over peer memory of one host: CUDA IPC between processes, plain pointers inside one.
#include "cuda/cuda_impl.h"
#include "cuda/push.h"
#include "kernels.h"

static const char* refuses(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  const char* reason = fiar_push_refuses(problem, caps);
  if (!reason && !caps->one_host) {
    reason = "needs all ranks on one host";
  }
  if (!reason && !caps->peer_access) {
    reason = "needs devices that access one another's memory";
  }
  return reason;
}

static fiar_status_t open_state(fiar_comm_t* comm, size_t bytes, void** out_state) {
  fiar_peer_memory_t* memory = NULL;
  fiar_push_t* push = NULL;
  int previous = 0;
  *out_state = NULL;
  FIAR_TRY(fiar_comm_vote(comm, fiar_cuda_enter(fiar_comm_device(comm), &previous)));
  fiar_status_t status = fiar_peer_memory_create_ipc(comm, bytes, FIAR_SLOT_FILL, &memory);
  if (status == FIAR_OK) {
    status = fiar_push_open(comm, memory, &push);
  }
  fiar_cuda_leave(fiar_comm_device(comm), previous);
  *out_state = push;
  return status;
}

static void close_state(void* state) {
  fiar_push_close(state);
}

const fiar_backend_t fiar_backend_trtllm = {
    .name = "trtllm",
    .refuses = refuses,
    .workspace_size = fiar_push_workspace_size,
    .open = open_state,
    .close = close_state,
    .run = fiar_push_run,
    .all_gather_rows = fiar_push_all_gather_rows,
    .capturing = fiar_cuda_capturing,
    .async_error = fiar_push_async_error,
};
