// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What compiled models call (fiar/abi.h): check, choose, run.
#include <string.h>

#include "comm/comm.h"
#include "extent.h"
#include "host/reference.h"

fiar_status_t fiar_rt_check_abi(uint32_t model_abi_version) {
  if (model_abi_version == 0 || model_abi_version > FIAR_ABI_VERSION) {
    return FIAR_FAIL(ABI_MISMATCH,
                     "the model was compiled for fiar ABI %u, this library serves 1 to %u",
                     model_abi_version, FIAR_ABI_VERSION);
  }
  return FIAR_OK;
}

fiar_status_t fiar_rt_check_world(fiar_comm_t* comm, int32_t group, int64_t world) {
  FIAR_TRY(fiar_comm_alone(comm, group, &comm));
  return comm->world == world
             ? FIAR_OK
             : FIAR_FAIL(MISMATCH, "the model was compiled for %lld ranks, group %d has %d",
                         (long long)world, group, comm->world);
}

// ---- Calls ----

fiar_status_t fiar_rt_all_reduce_norm(fiar_comm_t* comm, const fiar_all_reduce_norm_params* params,
                                      void* stream) {
  FIAR_TRY(fiar_struct_check(params, sizeof *params));  // before its group is read
  FIAR_TRY(fiar_comm_alone(comm, params->group, &comm));
  fiar_all_reduce_norm_params checked;
  FIAR_TRY(fiar_params_check(params, comm->world, &checked));
  FIAR_TRY(fiar_comm_ready(comm));  // asks the others, which a refused call does not
  FIAR_TRY(fiar_comm_same_call(comm, &checked));
  if (checked.tokens == 0) {
    return FIAR_OK;
  }
  const fiar_problem_t problem = fiar_problem_of(&checked);
  const fiar_backend_t* backend;
  void* state;
  FIAR_TRY(fiar_workspace_for_call(comm, &problem, stream, &backend, &state));
  return backend->run(state, &checked, stream);
}

fiar_status_t fiar_rt_all_reduce(fiar_comm_t* comm, int32_t group, const void* in, void* out,
                                 int64_t tokens, int64_t hidden, uint8_t dtype, void* stream) {
  const fiar_all_reduce_norm_params params = {.struct_size = sizeof params,
                                              .group = group,
                                              .input = in,
                                              .sum_out = out,
                                              .tokens = tokens,
                                              .hidden = hidden,
                                              .dtype = dtype};
  const fiar_status_t status = fiar_rt_all_reduce_norm(comm, &params, stream);
  return status == FIAR_INVALID_ARGUMENT
             ? fiar_annotate(status, "in is input here, and out sum_out")
             : status;
}

// `full`, called `name`, has every row; `rows` one rank's.
static fiar_status_t check_rows(const fiar_comm_t* comm, const void* rows, const char* name,
                                const void* full, int64_t tokens, int64_t hidden, uint8_t dtype) {
  const size_t element = fiar_dtype_bytes(dtype);
  if (!rows || !full) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s is NULL, with %lld tokens", rows ? name : "rows",
                     (long long)tokens);
  }
  if ((uintptr_t)rows % element != 0 || (uintptr_t)full % element != 0) {
    return FIAR_FAIL(INVALID_ARGUMENT, "rows (%p) and %s (%p) must be aligned to %zu bytes", rows,
                     name, full, element);
  }
  const size_t row = (size_t)hidden * element;
  const size_t bytes = (size_t)tokens * row;
  const size_t own = (size_t)((tokens + comm->world - 1) / comm->world) * row;
  if ((uintptr_t)rows < (uintptr_t)full + bytes && (uintptr_t)full < (uintptr_t)rows + own) {
    return FIAR_FAIL(INVALID_ARGUMENT, "rows (%p, %zu bytes) overlaps %s (%p, %zu bytes)", rows,
                     own, name, full, bytes);
  }
  return FIAR_OK;
}

fiar_status_t fiar_rt_all_gather_rows(fiar_comm_t* comm, int32_t group, const void* rows, void* out,
                                      int64_t tokens, int64_t hidden, uint8_t dtype, void* stream) {
  FIAR_TRY(fiar_comm_alone(comm, group, &comm));
  FIAR_TRY(fiar_shape_check(tokens, hidden, dtype));
  FIAR_TRY(tokens > 0 ? check_rows(comm, rows, "out", out, tokens, hidden, dtype) : FIAR_OK);
  FIAR_TRY(fiar_comm_ready(comm));
  fiar_problem_t problem = fiar_problem_of_shape(tokens, hidden, dtype, false);
  problem.op = FIAR_OP_ALL_GATHER_ROWS;
  const fiar_all_reduce_norm_params shape = {.tokens = tokens, .hidden = hidden, .dtype = dtype};
  FIAR_TRY(fiar_comm_same_call(comm, &shape));
  if (tokens == 0) {
    return FIAR_OK;
  }
  const fiar_backend_t* backend;
  void* state;
  FIAR_TRY(fiar_workspace_for_call(comm, &problem, stream, &backend, &state));
  return backend->all_gather_rows(state, rows, out, tokens, hidden, dtype, stream);
}

fiar_status_t fiar_rt_take_rows(fiar_comm_t* comm, int32_t group, const void* full, void* rows,
                                int64_t tokens, int64_t hidden, uint8_t dtype, void* stream) {
  FIAR_TRY(fiar_comm_alone(comm, group, &comm));
  FIAR_TRY(fiar_shape_check(tokens, hidden, dtype));
  FIAR_TRY(tokens > 0 ? check_rows(comm, rows, "full", full, tokens, hidden, dtype) : FIAR_OK);
  const size_t row = (size_t)hidden * fiar_dtype_bytes(dtype);
  if (tokens <= comm->rank) {
    return FIAR_OK;  // it owns none
  }
#if FIAR_HAVE_CUDA
  if (comm->device >= 0) {
    return fiar_cuda_take_rows(comm, full, rows, tokens, row, stream);
  }
#endif
  (void)stream;
  unsigned char* to = rows;
  for (int64_t t = comm->rank; t < tokens; t += comm->world, to += row) {
    memcpy(to, (const unsigned char*)full + (size_t)t * row, row);
  }
  return FIAR_OK;
}
