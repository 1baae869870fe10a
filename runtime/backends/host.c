// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The reference backend: every rank gathers every rank's input and computes the whole call on the
// CPU by the reference of kernels/host. Slow and exact.
#include <stdlib.h>
#include <string.h>

#include "host/reference.h"
#include "residual.h"
#include "runtime_impl.h"

typedef struct host_state {
  fiar_comm_t* comm;
  unsigned char* room;  // inputs of all ranks, then residual shards of all ranks
} host_state_t;

enum { MOST_RANKS = 16 };

static size_t row_bytes(int64_t hidden, uint8_t dtype) {
  return (size_t)hidden * fiar_dtype_bytes(dtype);
}

static int64_t shard_rows(int64_t tokens, int32_t world) {
  return (tokens + world - 1) / world;
}

static const char* host_refuses(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  (void)problem;
  return caps->sm > 0               ? "it computes on the host, and the ranks' data is on devices"
         : caps->world > MOST_RANKS ? "it serves up to 16 ranks"
                                    : NULL;
}

static size_t host_workspace_size(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  const int64_t rows = problem->tokens + shard_rows(problem->tokens, caps->world);
  return (size_t)caps->world * (size_t)rows * row_bytes(problem->hidden, problem->dtype);
}

static void host_close(void* state) {
  host_state_t* host = state;
  if (host) {
    free(host->room);
    free(host);
  }
}

static fiar_status_t host_open(fiar_comm_t* comm, size_t bytes, void** out_state) {
  *out_state = NULL;
  host_state_t* host = calloc(1, sizeof *host);
  if (!host) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *host);
  }
  host->comm = comm;
  host->room = malloc(bytes);
  if (!host->room) {
    host_close(host);
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", bytes);
  }
  *out_state = host;
  return FIAR_OK;
}

// ---- The call ----

// Gathers [rows, hidden] of every rank into room, contiguous; ranks[r] becomes rank r's.
static fiar_status_t gather_rows(fiar_comm_t* comm, const void* array, int64_t rows, size_t row,
                                 size_t stride, unsigned char* room, const void** ranks) {
  const size_t bytes = (size_t)rows * row;
  unsigned char* mine = room + (size_t)fiar_comm_rank(comm) * bytes;
  for (int64_t t = 0; array && t < rows; ++t) {
    memcpy(mine + (size_t)t * row, (const unsigned char*)array + (size_t)t * stride, row);
  }
  for (int32_t rank = 0; rank < fiar_comm_world(comm); ++rank) {
    ranks[rank] = room + (size_t)rank * bytes;
  }
  return fiar_comm_all_gather(comm, mine, room, bytes);
}

static fiar_status_t host_run(void* state, const fiar_all_reduce_norm_params* params,
                              void* stream) {
  (void)stream;
  host_state_t* host = state;
  fiar_comm_t* comm = host->comm;
  const int32_t world = fiar_comm_world(comm), rank = fiar_comm_rank(comm);
  const size_t element = fiar_dtype_bytes(params->dtype);
  const size_t row = (size_t)params->hidden * element;
  const void *inputs[MOST_RANKS] = {NULL}, *residuals[MOST_RANKS] = {NULL};
  FIAR_TRY(gather_rows(comm, params->input, params->tokens, row,
                       (size_t)params->input_stride * element, host->room, inputs));
  fiar_all_reduce_norm_params packed = *params;
  packed.input_stride = params->hidden;
  residuals[rank] = params->residual;
  if (params->residual && fiar_residual_is_sharded(params->residual_layout)) {
    const int64_t rows = shard_rows(params->tokens, world);
    FIAR_TRY(gather_rows(comm, params->residual, rows, row,
                         (size_t)params->residual_stride * element,
                         host->room + (size_t)world * (size_t)params->tokens * row, residuals));
    packed.residual_stride = params->hidden;
  }
  const fiar_status_t status = fiar_reference_all_reduce_norm(
      world, rank, inputs, params->residual ? residuals : NULL, &packed);
  return status == FIAR_OK ? FIAR_OK
                           : fiar_fail(status, "%zu bytes of host memory for a row",
                                       (size_t)params->hidden * sizeof(float));
}

static fiar_status_t host_all_gather_rows(void* state, const void* rows, void* out, int64_t tokens,
                                          int64_t hidden, uint8_t dtype, void* stream) {
  (void)stream;
  host_state_t* host = state;
  fiar_comm_t* comm = host->comm;
  const int32_t world = fiar_comm_world(comm);
  const size_t row = row_bytes(hidden, dtype);
  const void* shards[MOST_RANKS] = {NULL};
  const int64_t own = shard_rows(tokens, world);
  FIAR_TRY(gather_rows(comm, rows, own, row, row, host->room, shards));
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t at = t % world * own + t / world;
    memcpy((unsigned char*)out + (size_t)t * row, host->room + (size_t)at * row, row);
  }
  return FIAR_OK;
}

const fiar_backend_t fiar_backend_host = {
    .name = "host",
    .refuses = host_refuses,
    .workspace_size = host_workspace_size,
    .open = host_open,
    .close = host_close,
    .run = host_run,
    .all_gather_rows = host_all_gather_rows,
};
