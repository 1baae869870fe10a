// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fake_backend.h"

#include <stdlib.h>

#include "host/reference.h"

fake_counts_t fake_counts;

static const char* serves(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  (void)problem;
  (void)caps;
  return NULL;
}

static const char* refuses(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  (void)problem;
  (void)caps;
  return "it is picky";
}

static size_t message_bytes(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  (void)caps;
  return (size_t)(problem->tokens * problem->hidden) * fiar_dtype_bytes(problem->dtype);
}

static fiar_status_t counting_open(fiar_comm_t* comm, size_t bytes, void** out_state) {
  *out_state = NULL;
  const size_t fails_from = atomic_load(&fake_counts.fails_from);
  if (fails_from > 0 && bytes >= fails_from &&
      fiar_comm_rank(comm) == atomic_load(&fake_counts.failing_rank)) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of fake memory", bytes);
  }
  atomic_fetch_add(&fake_counts.opened, 1);
  *out_state = malloc(1);
  return FIAR_OK;
}

static void counting_close(void* state) {
  if (state) {
    atomic_fetch_add(&fake_counts.closed, 1);
    free(state);
  }
}

static fiar_status_t plain_open(fiar_comm_t* comm, size_t bytes, void** out_state) {
  (void)comm;
  (void)bytes;
  *out_state = malloc(1);
  return FIAR_OK;
}

static fiar_status_t counting_run(void* state, const fiar_all_reduce_norm_params* params,
                                  void* stream) {
  (void)state;
  (void)params;
  (void)stream;
  atomic_fetch_add(&fake_counts.runs, 1);
  return FIAR_OK;
}

static bool capturing(void* stream) {
  return stream != NULL;
}

const fiar_backend_t fake_trtllm = {.name = "trtllm",
                                    .refuses = serves,
                                    .workspace_size = message_bytes,
                                    .open = counting_open,
                                    .close = counting_close,
                                    .run = counting_run,
                                    .capturing = capturing};
const fiar_backend_t fake_nccl = {.name = "nccl",
                                  .refuses = serves,
                                  .workspace_size = message_bytes,
                                  .open = plain_open,
                                  .close = free,
                                  .run = counting_run};
const fiar_backend_t fake_picky = {.name = "mnnvl",
                                   .refuses = refuses,
                                   .workspace_size = message_bytes,
                                   .open = plain_open,
                                   .close = free,
                                   .run = counting_run};
