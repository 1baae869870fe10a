// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/log.h"
#include "cuda/algorithm.h"
#include "cuda/cuda_impl.h"
#include "cuda/staging.h"
#include "launch.h"

struct fiar_push {
  fiar_comm_t* comm;
  fiar_peer_memory_t* memory;
  fiar_peers_t peers;
  fiar_device_caps_t caps;
  fiar_tuning_t tuning;
  fiar_pointer_cache_t checked;
  fiar_staging_t staging;
  int32_t device;
  uint32_t flags;  // FIAR_LAUNCH_*
  bool opened;     // on all ranks
};

// ---- What can be served ----

// A call as the kernels' own rules see it, with every row aligned: pointers and strides are each
// rank's own (cuda/staging.h).
static fiar_all_reduce_norm_params params_of(const fiar_problem_t* problem) {
  return (fiar_all_reduce_norm_params){
      .struct_size = sizeof(fiar_all_reduce_norm_params),
      .tokens = problem->tokens,
      .hidden = problem->hidden,
      .input_stride = problem->hidden,
      .residual_stride = problem->hidden,
      .group_size = problem->group_size,
      .dtype = problem->dtype,
      .weight_dtype = problem->weight_dtype,
      .quant = problem->quantises ? problem->quant : (uint8_t)FIAR_QUANT_NONE,
      .scale_layout = problem->scale_layout,
      .scale_type = problem->scale_type,
      .residual_layout = problem->residual_layout,
  };
}

const char* fiar_push_refuses(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  const char* reason = fiar_cuda_refuses(problem, caps);
  if (reason) {
    return reason;
  }
  if (caps->world < 2 || caps->world > FIAR_KERNEL_MAX_WORLD) {
    return "needs 2 to 16 ranks";
  }
  const fiar_all_reduce_norm_params params = params_of(problem);
  const fiar_tuning_t none = {.forced = -1};
  fiar_algorithm_t algorithm = fiar_algorithm_select(&none, problem, caps->world, UINT64_MAX);
  if (fiar_kernel_supports(algorithm, &params, caps->world) != FIAR_OK) {
    return "needs rows and groups in whole 16-byte vectors, rows of at most 16384 elements";
  }
  return NULL;
}

size_t fiar_push_workspace_size(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  return 2 * (size_t)fiar_slot_bytes_for(problem, caps->world);
}

// ---- Life ----

static fiar_status_t control_open(fiar_push_t* push) {
  const fiar_env_t* env = NULL;
  FIAR_TRY(fiar_env_get(&env));
  FIAR_TRY(fiar_tuning_load(&push->tuning));
  FIAR_TRY(fiar_launch_caps(&push->caps));
  // It came with compute capability 9.0.
  if (push->caps.sm >= 90 && strcmp(env->pdl, "on") == 0) {
    push->flags = FIAR_LAUNCH_PDL;
    push->flags |= strcmp(env->early_release, "on") == 0 ? FIAR_LAUNCH_EARLY_RELEASE : 0;
  }
  FIAR_CUDA_TRY(cudaMalloc((void**)&push->peers.control, FIAR_CONTROL_BYTES));
  FIAR_CUDA_TRY(cudaMemset(push->peers.control, 0, FIAR_CONTROL_BYTES));
  void* host_error = NULL;
  FIAR_CUDA_TRY(
      cudaHostAlloc(&host_error, sizeof(uint64_t), cudaHostAllocMapped | cudaHostAllocPortable));
  push->peers.host_error = host_error;
  *push->peers.host_error = 0;
  FIAR_CUDA_TRY(cudaDeviceSynchronize());
  return FIAR_OK;
}

fiar_status_t fiar_push_open(fiar_comm_t* comm, fiar_peer_memory_t* memory,
                             fiar_push_t** out_push) {
  *out_push = NULL;
  fiar_status_t status = FIAR_OK;
  fiar_push_t* push = calloc(1, sizeof *push);
  if (!push) {
    status =
        fiar_comm_vote(comm, FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *push));
    fiar_peer_memory_destroy(memory, false);
    return status;
  }
  push->comm = comm;
  push->memory = memory;
  push->device = fiar_comm_device(comm);
  push->peers.rank = fiar_comm_rank(comm);
  push->peers.world = fiar_comm_world(comm);
  push->peers.slot_bytes = memory->bytes / 2 / 256 * 256;
  push->peers.timeout_ns = (uint64_t)fiar_comm_timeout_ms(comm) * 1000000u;
  for (int rank = 0; rank < push->peers.world; ++rank) {
    push->peers.slots[rank] = memory->at[rank];
  }
  FIAR_TRY_DONE(fiar_comm_vote(comm, control_open(push)));
  FIAR_TRY_DONE(fiar_comm_same(comm, "the choice of algorithm (FIAR_ALGORITHM, FIAR_TUNING_FILE)",
                               fiar_tuning_digest(&push->tuning)));
  push->opened = true;
  *out_push = push;
  push = NULL;
done:
  fiar_push_close(push);
  return status;
}

#if FIAR_KERNEL_TRACE
// What the last call's first thread noted, as cycles since it began.
static void log_marks(const fiar_push_t* push) {
#define X(name, text) text,
  static const char* const places[] = {FIAR_MARK_TABLE(X)};
#undef X
  fiar_control_t control;
  char line[512] = "";
  size_t length = 0;
  if (!push->peers.control || cudaMemcpy(&control, push->peers.control, sizeof control,
                                         cudaMemcpyDeviceToHost) != cudaSuccess) {
    return;
  }
  for (int i = 1; i < FIAR_MARKS && length < sizeof line; ++i) {
    length += (size_t)snprintf(line + length, sizeof line - length, ", %s %u", places[i],
                               control.marks[i] - control.marks[0]);
  }
  FIAR_LOG(INFO, KERNEL, "rank %d, cycles of the last call%s", push->peers.rank, line);
}
#else
static void log_marks(const fiar_push_t* push) {
  (void)push;
}
#endif

void fiar_push_close(fiar_push_t* push) {
  if (!push) {
    return;
  }
  int previous = push->device;
  (void)fiar_cuda_enter(push->device, &previous);
  (void)cudaDeviceSynchronize();
  log_marks(push);
  fiar_peer_memory_destroy(push->memory, push->opened && fiar_push_async_error(push) == FIAR_OK);
  (void)cudaFree(push->peers.control);
  (void)cudaFreeHost(push->peers.host_error);
  fiar_staging_finish(&push->staging);
  fiar_cuda_leave(push->device, previous);
  free(push);
}

// ---- Calls ----

fiar_status_t fiar_push_async_error(void* state) {
  const fiar_push_t* push = state;
  uint64_t error = __atomic_load_n(push->peers.host_error, __ATOMIC_RELAXED);
  return fiar_launch_wait_status(error, push->peers.world, push->peers.timeout_ns);
}

static fiar_status_t launch(fiar_push_t* push, fiar_algorithm_t algorithm,
                            const fiar_all_reduce_norm_params* params, void* stream) {
  fiar_kernel_args_t args;
  fiar_kernel_args_init(params, &push->peers, push->flags, &args);
  return fiar_launch(algorithm, &args, &push->caps, NULL, stream);
}

// The sharded kernel does not write the sum, which no rank has whole: a plain all-reduce does.
static fiar_status_t launch_sharded(fiar_push_t* push, const fiar_all_reduce_norm_params* params,
                                    void* stream) {
  fiar_all_reduce_norm_params call = *params;
  if (params->sum_out) {
    fiar_all_reduce_norm_params plain = *params;
    plain.residual = plain.weight = NULL;
    plain.scale = NULL;
    plain.residual_out = plain.norm_out = plain.quant_out = plain.scales_out = NULL;
    plain.quant = FIAR_QUANT_NONE;
    plain.residual_layout = FIAR_RESIDUAL_LAYOUT_FULL;
    FIAR_TRY(launch(push, FIAR_ALGORITHM_TWOSHOT, &plain, stream));
    call.sum_out = NULL;
  }
  return launch(push, FIAR_ALGORITHM_SHARDED, &call, stream);
}

static fiar_status_t run_aligned(fiar_push_t* push, const fiar_all_reduce_norm_params* params,
                                 void* stream) {
  const fiar_problem_t problem = fiar_problem_of(params);
  fiar_algorithm_t algorithm =
      fiar_algorithm_select(&push->tuning, &problem, push->peers.world, push->peers.slot_bytes);
  return algorithm == FIAR_ALGORITHM_SHARDED ? launch_sharded(push, params, stream)
                                             : launch(push, algorithm, params, stream);
}

static fiar_status_t run_staged(fiar_push_t* push, const fiar_all_reduce_norm_params* params,
                                void* stream) {
  fiar_all_reduce_norm_params staged;
  FIAR_TRY(fiar_staging_in(&push->staging, params, push->peers.rank, push->peers.world, stream,
                           &staged));
  FIAR_TRY(run_aligned(push, &staged, stream));
  return fiar_staging_out(params, &staged, push->peers.rank, push->peers.world, stream);
}

fiar_status_t fiar_push_run(void* state, const fiar_all_reduce_norm_params* params, void* stream) {
  fiar_push_t* push = state;
  FIAR_TRY(fiar_push_async_error(push));
  FIAR_TRY(fiar_cuda_check_pointers(&push->checked, push->device, params));
  int previous = push->device;
  FIAR_TRY(fiar_cuda_enter(push->device, &previous));
  fiar_status_t status = fiar_staging_needed(params) ? run_staged(push, params, stream)
                                                     : run_aligned(push, params, stream);
  fiar_cuda_leave(push->device, previous);
  return status;
}

fiar_status_t fiar_push_all_gather_rows(void* state, const void* rows, void* out, int64_t tokens,
                                        int64_t hidden, uint8_t dtype, void* stream) {
  fiar_push_t* push = state;
  // The gather kernel reads the rank's rows as the residual of a sharded call, and writes all rows
  // as the sum.
  fiar_all_reduce_norm_params params = {.struct_size = sizeof params,
                                        .residual = rows,
                                        .sum_out = out,
                                        .tokens = tokens,
                                        .hidden = hidden,
                                        .input_stride = hidden,
                                        .residual_stride = hidden,
                                        .dtype = dtype,
                                        .weight_dtype = dtype,
                                        .residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD};
  FIAR_TRY(fiar_push_async_error(push));
  FIAR_TRY(fiar_cuda_check_pointers(&push->checked, push->device, &params));
  fiar_all_reduce_norm_params staged = params;
  int previous = push->device;
  FIAR_TRY(fiar_cuda_enter(push->device, &previous));
  fiar_status_t status = FIAR_OK;
  if (fiar_staging_needed(&params)) {
    status = fiar_staging_in(&push->staging, &params, push->peers.rank, push->peers.world, stream,
                             &staged);
  }
  if (status == FIAR_OK) {
    status = launch(push, FIAR_ALGORITHM_GATHER, &staged, stream);
  }
  if (status == FIAR_OK) {
    status = fiar_staging_out(&params, &staged, push->peers.rank, push->peers.world, stream);
  }
  fiar_cuda_leave(push->device, previous);
  return status;
}
