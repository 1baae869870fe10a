// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What is timed: fiar as it selects, fiar with one algorithm forced, and (fiar_bench_nccl.c) the
// unfused programs beside it.
#include <stdlib.h>
#include <string.h>

#include "fiar/runtime.h"
#include "fiar_bench_rank.h"
#include "host/reference.h"
#include "kernels.h"
#if FIAR_HAVE_CUDA
#include "cuda/algorithm.h"
#endif

typedef struct fiar_state {
  fiar_comm_t* comm;
  fiar_workspace_t* workspace;
  int64_t algorithm;  // -1: as selected
} fiar_state_t;

static int64_t most(const bench_list_t* list) {
  int64_t value = 0;
  for (int i = 0; i < list->count; ++i) {
    value = list->at[i] > value ? list->at[i] : value;
  }
  return value;
}

// The workspace for the sweep's largest call is made at once, so no later call makes another.
static fiar_status_t open_workspace(bench_rank_t* rank, fiar_state_t* state) {
  const bench_options_t* options = rank->options;
  uint8_t dtype = (uint8_t)options->dtypes.at[0];
  for (int i = 1; i < options->dtypes.count; ++i) {
    uint8_t other = (uint8_t)options->dtypes.at[i];
    dtype = fiar_dtype_bytes(other) > fiar_dtype_bytes(dtype) ? other : dtype;
  }
  return fiar_workspace_get(state->comm, most(&options->tokens), most(&options->hidden), dtype,
                            &state->workspace);
}

static void close_fiar(void* opaque) {
  fiar_state_t* state = opaque;
  if (state == NULL) {
    return;
  }
  fiar_workspace_destroy(state->workspace);
  fiar_comm_destroy(state->comm);
  free(state);
}

// A workspace reads what is forced when it is made. Threads share it: rank 0 alone writes, while
// the others wait.
static fiar_status_t force_algorithm(bench_rank_t* rank, int64_t algorithm) {
  FIAR_TRY(fiar_comm_barrier(rank->team));
#if FIAR_HAVE_CUDA
  if (rank->options->mode != BENCH_THREADS || rank->rank == 0) {
    fiar_algorithm_force((int32_t)algorithm);
  }
#else
  (void)algorithm;
#endif
  return fiar_comm_barrier(rank->team);
}

static bool pushes(const fiar_workspace_t* workspace) {
  const char* backend = fiar_workspace_backend(workspace);
  return strcmp(backend, "trtllm") == 0 || strcmp(backend, "mnnvl") == 0;
}

static fiar_status_t open_fiar(bench_rank_t* rank, const bench_impl_t* impl, void** out_state) {
  *out_state = NULL;
  fiar_state_t* state = calloc(1, sizeof *state);
  if (state == NULL) {
    return FIAR_FAIL(OUT_OF_MEMORY, "an implementation's record");
  }
  fiar_status_t status = FIAR_OK;
  bool nccl = impl == bench_impls[BENCH_IMPL_NCCL];
  state->algorithm = impl->setting;
  FIAR_TRY_DONE(force_algorithm(rank, impl->setting));
  FIAR_TRY_DONE(bench_comm_create(rank, nccl ? "nccl" : rank->options->backend, &state->comm));
  FIAR_TRY_DONE(open_workspace(rank, state));
  if (state->algorithm >= 0 && !pushes(state->workspace)) {
    status = FIAR_FAIL(UNSUPPORTED, "the backend %s has no choice of algorithm",
                       fiar_workspace_backend(state->workspace));
    goto done;
  }
  *out_state = state;
  state = NULL;
done:
  close_fiar(state);
  return status;
}

// A forced algorithm that does not fit its slot, or that the layout has no use for, would be
// another one under its name. Of a sweep's tokens, those that make no blocks are left out.
static fiar_status_t serves(const fiar_state_t* state, const fiar_all_reduce_norm_params* params) {
  if (params->residual_layout == FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK &&
      params->tokens % fiar_comm_world(state->comm) != 0) {
    return FIAR_FAIL(UNSUPPORTED, "tokens is %lld, must be a multiple of the ranks for token_block",
                     (long long)params->tokens);
  }
  if (state->algorithm < 0) {
    return FIAR_OK;
  }
  if (fiar_residual_is_sharded(params->residual_layout)) {
    return FIAR_FAIL(UNSUPPORTED, "a sharded residual has one algorithm, not this one");
  }
  uint64_t slot =
      fiar_kernel_slot_bytes((fiar_algorithm_t)state->algorithm, params->tokens, params->hidden,
                             (fiar_dtype_t)params->dtype, fiar_comm_world(state->comm));
  if (slot > fiar_workspace_bytes(state->workspace) / 2) {
    return FIAR_FAIL(UNSUPPORTED, "a slot of %llu bytes does not fit the workspace",
                     (unsigned long long)slot);
  }
  return FIAR_OK;
}

static fiar_status_t run_fiar(void* opaque, const bench_call_t* call, void* stream) {
  fiar_state_t* state = opaque;
  FIAR_TRY(serves(state, &call->params));
  return fiar_rt_all_reduce_norm(state->comm, &call->params, stream);
}

static fiar_status_t fiar_async_error(void* opaque) {
  return fiar_comm_async_error(((fiar_state_t*)opaque)->comm);
}

static const char* fiar_served_by(void* opaque) {
  return fiar_comm_backend(((fiar_state_t*)opaque)->comm);
}

#define FIAR_IMPL(text, is_baseline, algorithm)                                           \
  {                                                                                       \
    .name = (text), .baseline = (is_baseline), .setting = (algorithm), .open = open_fiar, \
    .run = run_fiar, .async_error = fiar_async_error, .served_by = fiar_served_by,        \
    .close = close_fiar                                                                   \
  }

const bench_impl_t* const bench_impls[BENCH_IMPL_COUNT] = {
    [BENCH_IMPL_FIAR] = &(const bench_impl_t)FIAR_IMPL("fiar", false, -1),
    [BENCH_IMPL_ONESHOT] = &(const bench_impl_t)FIAR_IMPL("oneshot", false, FIAR_ALGORITHM_ONESHOT),
    [BENCH_IMPL_TWOSHOT] = &(const bench_impl_t)FIAR_IMPL("twoshot", false, FIAR_ALGORITHM_TWOSHOT),
    [BENCH_IMPL_NCCL] = &(const bench_impl_t)FIAR_IMPL("nccl", true, -1),
    [BENCH_IMPL_NCCL_SEPARATE] = &bench_impl_nccl_separate,
    [BENCH_IMPL_NCCL_SYMMETRIC] = &bench_impl_nccl_symmetric,
};
