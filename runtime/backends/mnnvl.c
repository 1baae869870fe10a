// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The push kernels of trtllm over NCCL's symmetric windows, which also span the hosts of one NVLink
// domain. Multicast is not used.
#include <stdlib.h>

#include "cuda/cuda_impl.h"
#include "cuda/push.h"
#include "kernels.h"

typedef struct state {
  fiar_nccl_group_t group;
  fiar_push_t* push;
} state_t;

static const char* refuses(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  const char* reason = fiar_push_refuses(problem, caps);
  if (!reason && !caps->nccl_windows) {
    reason = "needs NCCL 2.28 or later, and a device for each rank";
  }
  return reason;
}

static void close_state(void* opaque) {
  state_t* state = opaque;
  if (state) {
    fiar_push_close(state->push);
    fiar_nccl_group_finish(&state->group);
    free(state);
  }
}

static fiar_status_t open_state(fiar_comm_t* comm, size_t bytes, void** out_state) {
  *out_state = NULL;
  fiar_peer_memory_t* memory = NULL;
  int previous = fiar_comm_device(comm);
  fiar_status_t status = fiar_cuda_enter(fiar_comm_device(comm), &previous);
  state_t* state = calloc(1, sizeof *state);
  if (status == FIAR_OK && !state) {
    status = FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *state);
  }
  FIAR_TRY_DONE(fiar_comm_vote(comm, status));
  FIAR_TRY_DONE(fiar_nccl_group_init(comm, &state->group));
  FIAR_TRY_DONE(
      fiar_peer_memory_create_window(comm, &state->group, bytes, FIAR_SLOT_FILL, &memory));
  FIAR_TRY_DONE(fiar_push_open(comm, memory, &state->push));
  *out_state = state;
  state = NULL;
done:
  close_state(state);
  fiar_cuda_leave(fiar_comm_device(comm), previous);
  return status;
}

static fiar_status_t run(void* state, const fiar_all_reduce_norm_params* params, void* stream) {
  return fiar_push_run(((state_t*)state)->push, params, stream);
}

static fiar_status_t all_gather_rows(void* state, const void* rows, void* out, int64_t tokens,
                                     int64_t hidden, uint8_t dtype, void* stream) {
  return fiar_push_all_gather_rows(((state_t*)state)->push, rows, out, tokens, hidden, dtype,
                                   stream);
}

static fiar_status_t async_error(void* state) {
  return fiar_push_async_error(((state_t*)state)->push);
}

const fiar_backend_t fiar_backend_mnnvl = {
    .name = "mnnvl",
    .refuses = refuses,
    .workspace_size = fiar_push_workspace_size,
    .open = open_state,
    .close = close_state,
    .run = run,
    .all_gather_rows = all_gather_rows,
    .capturing = fiar_cuda_capturing,
    .async_error = async_error,
};
