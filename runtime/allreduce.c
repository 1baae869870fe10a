// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The plain all-reduce behind a gate: whether fiar, rather than the caller's own all-reduce, should
// take a tensor.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/log.h"
#include "comm/comm.h"
#include "host/reference.h"

#define MIB (INT64_C(1) << 20)

// Messages up to this size are served; the first row that applies. sm 0 is the host, world 0 any.
// sm_90 with 2 and 4 ranks: up to here a prototype of the push kernels was ahead of NCCL on H200.
// The other rows are the limits that vLLM uses for FlashInfer's kernels.
static const struct {
  int32_t sm, world;
  int64_t bytes;
} size_limits[] = {
    {0, 0, 64 * MIB},   {90, 2, 64 * MIB},  {90, 4, 64 * MIB}, {90, 8, MIB / 2},
    {100, 2, 64 * MIB}, {100, 4, 32 * MIB}, {100, 8, 1 * MIB}, {103, 2, 64 * MIB},
    {103, 4, 64 * MIB}, {103, 8, 4 * MIB},
};

struct fiar_allreduce {
  fiar_comm_t* comm;
  fiar_workspace_t* workspace;  // from first use on
  int64_t max_bytes, max_tokens, hidden;
  uint8_t dtype;
  bool disabled;
  char disabled_reason[512];
  char reason[512];  // of the latest refusal by should_use
};

static void disable(fiar_allreduce_t* allreduce, const char* reason) {
  allreduce->disabled = true;
  (void)snprintf(allreduce->disabled_reason, sizeof allreduce->disabled_reason, "%s", reason);
  FIAR_LOG(WARN, INIT, "rank %d: fiar's all-reduce is disabled: %s", allreduce->comm->rank, reason);
}

static int64_t size_limit(const fiar_caps_t* caps) {
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(size_limits); ++i) {
    if (size_limits[i].sm == caps->sm &&
        (size_limits[i].world == caps->world || size_limits[i].world == 0)) {
      return size_limits[i].bytes;
    }
  }
  return 0;
}

// The states of a new object, in the order in which a user would ask.
static void decide(fiar_allreduce_t* allreduce, int64_t env_limit) {
  const fiar_comm_t* comm = allreduce->comm;
  const fiar_problem_t smallest = fiar_problem_of_shape(1, 16, FIAR_DTYPE_BF16, false);
  size_t count, index;
  const fiar_backend_t* const* table = fiar_backend_table(&count);
  char reason[128];
  allreduce->max_bytes = env_limit ? env_limit : size_limit(&comm->caps);
  if (comm->world == 1) {
    disable(allreduce, "world is 1, nothing to reduce");
  } else if (fiar_select(table, count, &smallest, &comm->caps, comm->forced_backend, 0, &index) !=
             FIAR_OK) {
    disable(allreduce, fiar_last_error());
  } else if (allreduce->max_bytes == 0) {
    (void)snprintf(
        reason, sizeof reason,
        "no size limit is known for %d ranks of sm_%d; FIAR_ALLREDUCE_MAX_BYTES sets one",
        comm->world, comm->caps.sm);
    disable(allreduce, reason);
  }
}

fiar_status_t fiar_allreduce_create(fiar_comm_t* comm, fiar_allreduce_t** out_allreduce) {
  FIAR_NOT_NULL(out_allreduce);
  *out_allreduce = NULL;
  if (!comm) {
    return FIAR_FAIL(INVALID_ARGUMENT, "comm is NULL");
  }
  const fiar_env_t* env;
  FIAR_TRY(fiar_env_get(&env));
  FIAR_TRY(fiar_comm_ready(comm));
  fiar_allreduce_t* allreduce = calloc(1, sizeof *allreduce);
  if (!allreduce) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *allreduce);
  }
  allreduce->comm = comm;
  decide(allreduce, env->allreduce_max_bytes);
  *out_allreduce = allreduce;
  return FIAR_OK;
}

const char* fiar_allreduce_disabled_reason(const fiar_allreduce_t* allreduce) {
  return !allreduce ? "allreduce is NULL" : allreduce->disabled ? allreduce->disabled_reason : NULL;
}

// ---- The gate ----

// Leaves the sentence in fiar_last_error.
static fiar_status_t check_tensor(const fiar_allreduce_t* allreduce, const fiar_tensor_t* tensor) {
  if (!tensor || !tensor->shape) {
    return FIAR_FAIL(INVALID_ARGUMENT, "the tensor or its shape is NULL");
  }
  if (tensor->device != allreduce->comm->device) {
    return FIAR_FAIL(INVALID_ARGUMENT, "the tensor is on device %d, the communicator on %d",
                     tensor->device, allreduce->comm->device);
  }
  if (tensor->rank != 2) {
    return FIAR_FAIL(INVALID_ARGUMENT, "the tensor has %d dimensions, must have 2", tensor->rank);
  }
  FIAR_TRY(fiar_shape_check(tensor->shape[0], tensor->shape[1], tensor->dtype));
  const size_t element = fiar_dtype_bytes(tensor->dtype);
  if (tensor->shape[0] > 0 && (!tensor->data || (uintptr_t)tensor->data % element != 0)) {
    return FIAR_FAIL(INVALID_ARGUMENT, "the tensor's data is %p, must be a multiple of %zu",
                     tensor->data, element);
  }
  if (tensor->strides && tensor->shape[0] > 0 &&
      (tensor->strides[1] != 1 ||
       (tensor->shape[0] > 1 && tensor->strides[0] != tensor->shape[1]))) {
    return FIAR_FAIL(INVALID_ARGUMENT, "the tensor is not contiguous: strides %lld, %lld",
                     (long long)tensor->strides[0], (long long)tensor->strides[1]);
  }
  return FIAR_OK;
}

// Once: a failure, which all ranks share, disables.
static void ensure_workspace(fiar_allreduce_t* allreduce, int64_t hidden, uint8_t dtype) {
  if (allreduce->workspace || allreduce->disabled) {
    return;
  }
  const int64_t row = hidden * (int64_t)fiar_dtype_bytes(dtype);
  allreduce->max_tokens = allreduce->max_bytes / row;
  allreduce->hidden = hidden;
  allreduce->dtype = dtype;
  char reason[128];
  if (allreduce->max_tokens == 0) {
    (void)snprintf(reason, sizeof reason, "a row has %lld bytes, the size limit is %lld",
                   (long long)row, (long long)allreduce->max_bytes);
    disable(allreduce, reason);
  } else if (fiar_workspace_get(allreduce->comm, allreduce->max_tokens, hidden, dtype,
                                &allreduce->workspace) != FIAR_OK) {
    disable(allreduce, fiar_last_error());
  }
}

static fiar_status_t check_request(const fiar_allreduce_t* allreduce, int64_t tokens,
                                   int64_t hidden, uint8_t dtype) {
  if (allreduce->disabled) {
    return FIAR_FAIL(UNSUPPORTED, "%s", allreduce->disabled_reason);
  }
  if (hidden != allreduce->hidden || dtype != allreduce->dtype) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "hidden is %lld and dtype %u; the first use was of %lld and %u",
                     (long long)hidden, dtype, (long long)allreduce->hidden, allreduce->dtype);
  }
  if (tokens < 0 || tokens > allreduce->max_tokens) {
    return FIAR_FAIL(INVALID_ARGUMENT, "tokens is %lld, must be 0 to %lld (%lld bytes)",
                     (long long)tokens, (long long)allreduce->max_tokens,
                     (long long)allreduce->max_bytes);
  }
  return FIAR_OK;
}

bool fiar_allreduce_should_use(fiar_allreduce_t* allreduce, const fiar_tensor_t* input,
                               const char** out_reason) {
  if (!allreduce) {
    if (out_reason) {
      *out_reason = "allreduce is NULL";
    }
    return false;
  }
  fiar_status_t status = allreduce->disabled
                             ? FIAR_FAIL(UNSUPPORTED, "%s", allreduce->disabled_reason)
                             : check_tensor(allreduce, input);
  if (status == FIAR_OK) {
    ensure_workspace(allreduce, input->shape[1], input->dtype);
    status = check_request(allreduce, input->shape[0], input->shape[1], input->dtype);
  }
  (void)snprintf(allreduce->reason, sizeof allreduce->reason, "%s",
                 status == FIAR_OK ? "" : fiar_last_error());
  if (out_reason) {
    *out_reason = status == FIAR_OK ? NULL : allreduce->reason;
  }
  return status == FIAR_OK;
}

fiar_status_t fiar_allreduce_run(fiar_allreduce_t* allreduce, const void* in, void* out,
                                 int64_t tokens, int64_t hidden, void* stream) {
  if (!allreduce) {
    return FIAR_FAIL(INVALID_ARGUMENT, "allreduce is NULL");
  }
  if (!allreduce->disabled && !allreduce->workspace) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "dtype is not known yet: ask fiar_allreduce_should_use before the first run");
  }
  FIAR_TRY(check_request(allreduce, tokens, hidden, allreduce->dtype));
  const fiar_all_reduce_norm_params params = {.struct_size = sizeof params,
                                              .input = in,
                                              .sum_out = out,
                                              .tokens = tokens,
                                              .hidden = hidden,
                                              .dtype = allreduce->dtype};
  fiar_all_reduce_norm_params checked;
  FIAR_TRY(fiar_params_check(&params, allreduce->comm->world, &checked));
  FIAR_TRY(fiar_comm_ready(allreduce->comm));
  FIAR_TRY(fiar_comm_same_call(allreduce->comm, &checked));
  if (tokens == 0) {
    return FIAR_OK;
  }
  struct fiar_workspace* workspace = allreduce->workspace;
  allreduce->comm->latest_backend = workspace->backend->name;
  return workspace->backend->run(workspace->state, &checked, stream);
}

void fiar_allreduce_destroy(fiar_allreduce_t* allreduce) {
  if (allreduce) {
    fiar_workspace_destroy(allreduce->workspace);
    free(allreduce);
  }
}
