// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The unfused programs: NCCL's all-reduce, then the norm and the quantiser as kernels of their own,
// or as the one local kernel that fiar's nccl backend uses, with NCCL reading symmetric windows.
#include <stdlib.h>

#include "fiar/runtime.h"
#include "fiar_bench_rank.h"

#if FIAR_HAVE_CUDA
#include "cuda/nccl_comm.h"
#include "fiar_bench_cuda.h"
#include "launch.h"

typedef struct nccl_state {
  fiar_comm_t* comm;
  fiar_nccl_group_t group;
  fiar_device_caps_t caps;
  void* arena;
  fiar_nccl_window_t window;
} nccl_state_t;

static void close_nccl(void* opaque) {
  nccl_state_t* state = opaque;
  if (state == NULL) {
    return;
  }
  if (state->window != NULL) {
    (void)state->group.nccl->CommWindowDeregister(state->group.comm, state->window);
  }
  if (state->arena != NULL) {
    (void)state->group.nccl->MemFree(state->arena);
  }
  fiar_nccl_group_finish(&state->group);
  fiar_comm_destroy(state->comm);
  free(state);
}

static fiar_status_t open_nccl(bench_rank_t* rank, const bench_impl_t* impl, void** out_state) {
  (void)impl;
  *out_state = NULL;
  if (rank->ordinal == FIAR_DEVICE_NONE) {
    return FIAR_FAIL(UNSUPPORTED, "needs CUDA devices");
  }
  nccl_state_t* state = calloc(1, sizeof *state);
  if (state == NULL) {
    return FIAR_FAIL(OUT_OF_MEMORY, "an implementation's record");
  }
  fiar_status_t status = FIAR_OK;
  FIAR_TRY_DONE(bench_comm_create(rank, "nccl", &state->comm));
  FIAR_TRY_DONE(fiar_nccl_group_init(state->comm, &state->group));
  FIAR_TRY_DONE(fiar_launch_caps(&state->caps));
  *out_state = state;
  state = NULL;
done:
  close_nccl(state);
  return status;
}

// The sum that NCCL writes, then fiar's local kernel on it.
static fiar_status_t reduce_and_norm(const nccl_state_t* state, const bench_call_t* call,
                                     const fiar_all_reduce_norm_params* norm, void* stream) {
  size_t count = (size_t)(norm->tokens * norm->hidden);
  FIAR_NCCL_TRY(state->group.nccl, AllReduce, call->params.input, call->sum, count,
                fiar_nccl_type(norm->dtype), FIAR_NCCL_SUM, state->group.comm, stream);
  fiar_all_reduce_norm_params local = *norm;
  local.input = call->sum;
  local.input_stride = local.residual_stride = norm->hidden;
  fiar_kernel_args_t args;
  fiar_kernel_args_init(&local, NULL, state->caps.sm >= 90 ? FIAR_LAUNCH_PDL : 0, &args);
  return fiar_launch(FIAR_ALGORITHM_LOCAL, &args, &state->caps, NULL, stream);
}

static fiar_status_t run_separate(void* opaque, const bench_call_t* call, void* stream) {
  const nccl_state_t* state = opaque;
  if (call->params.quant != FIAR_QUANT_FP8_STATIC || call->params.hidden % 8 != 0 ||
      call->params.residual_layout != FIAR_RESIDUAL_LAYOUT_FULL) {
    return FIAR_FAIL(UNSUPPORTED, "has fp8_static with a full residual alone");
  }
  fiar_all_reduce_norm_params norm = call->params;
  norm.quant = FIAR_QUANT_NONE;
  norm.quant_out = norm.scales_out = NULL;
  norm.scale = NULL;
  norm.norm_out = norm.norm_out == NULL ? call->norm : norm.norm_out;
  FIAR_TRY(reduce_and_norm(state, call, &norm, stream));
  bench_quant_args_t quant = {.norm = norm.norm_out,
                              .scale = call->params.scale,
                              .codes = call->params.quant_out,
                              .elements = (uint64_t)(norm.tokens * norm.hidden),
                              .dtype = norm.dtype};
  return bench_launch(BENCH_KERNEL_QUANT, 0, 256, state->caps.sm >= 90, &quant, stream);
}

static fiar_status_t run_symmetric(void* opaque, const bench_call_t* call, void* stream) {
  const nccl_state_t* state = opaque;
  if (call->params.residual_layout != FIAR_RESIDUAL_LAYOUT_FULL) {
    return FIAR_FAIL(UNSUPPORTED, "has the full residual alone");
  }
  return reduce_and_norm(state, call, &call->params, stream);
}

static fiar_status_t make_arena(void* opaque, size_t bytes, void** out_arena) {
  nccl_state_t* state = opaque;
  const fiar_nccl_t* nccl = state->group.nccl;
  *out_arena = NULL;
  if (nccl->MemAlloc == NULL || nccl->CommWindowRegister == NULL) {
    return FIAR_FAIL(UNAVAILABLE, "NCCL %d has no symmetric windows", nccl->version);
  }
  FIAR_NCCL_TRY(nccl, MemAlloc, &state->arena, bytes);
  FIAR_NCCL_TRY(nccl, CommWindowRegister, state->group.comm, state->arena, bytes, &state->window,
                FIAR_NCCL_WINDOW_SYMMETRIC);
  *out_arena = state->arena;
  return FIAR_OK;
}

static fiar_status_t nccl_error(void* opaque) {
  return fiar_nccl_group_error(&((nccl_state_t*)opaque)->group);
}

const bench_impl_t bench_impl_nccl_separate = {.name = "nccl_separate",
                                               .baseline = true,
                                               .open = open_nccl,
                                               .run = run_separate,
                                               .async_error = nccl_error,
                                               .close = close_nccl};
const bench_impl_t bench_impl_nccl_symmetric = {.name = "nccl_symmetric",
                                                .baseline = true,
                                                .open = open_nccl,
                                                .run = run_symmetric,
                                                .async_error = nccl_error,
                                                .make_arena = make_arena,
                                                .close = close_nccl};

#else  // a build without CUDA: rows that never open

static fiar_status_t open_nccl(bench_rank_t* rank, const bench_impl_t* impl, void** out_state) {
  (void)rank;
  (void)impl;
  *out_state = NULL;
  return FIAR_FAIL(UNSUPPORTED, "this build has no CUDA");
}

const bench_impl_t bench_impl_nccl_separate = {
    .name = "nccl_separate", .baseline = true, .open = open_nccl};
const bench_impl_t bench_impl_nccl_symmetric = {
    .name = "nccl_symmetric", .baseline = true, .open = open_nccl};
#endif
