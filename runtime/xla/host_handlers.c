// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The targets of platform "cpu".
#include "fiar/xla.h"

#include <string.h>

#include "host/reference.h"
#include "residual.h"
#include "runtime_impl.h"
#include "xla/call.h"
#include "xla/meeting.h"

// On the host the devices read one another's operands while results are written.
static fiar_status_t check_aliases(const fiar_xla_call_t* call) {
  const fiar_all_reduce_norm_params* params = &call->params;
  const bool sharded = fiar_residual_is_sharded(params->residual_layout);
  if (params->tokens > 0 &&
      (params->norm_out == params->input || params->sum_out == params->input ||
       (sharded && params->residual && params->residual_out == params->residual))) {
    return FIAR_FAIL(UNSUPPORTED,
                     "a result shares the memory of an operand that other devices read");
  }
  return FIAR_OK;
}

// Needs no other rank: this device's place in its group says which rows are its own.
static XLA_FFI_Error* take_rows(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call) {
  int32_t device = -1, rank = -1, devices[FIAR_MAX_WORLD];
  XLA_FFI_Error* error = fiar_xla_device(frame, &device);
  if (error) {
    return error;
  }
  const fiar_all_reduce_norm_params* params = &call->params;
  const fiar_status_t status = fiar_xla_call_group(call, device, devices, &rank);
  const size_t row = (size_t)params->hidden * fiar_dtype_bytes(params->dtype);
  char* to = params->sum_out;
  for (int64_t t = rank; status == FIAR_OK && t < params->tokens; t += call->world, to += row) {
    memcpy(to, (const char*)params->input + (size_t)t * row, row);
  }
  return fiar_xla_error(frame->api, status);
}

static XLA_FFI_Error* run(XLA_FFI_CallFrame* frame, fiar_xla_op_t op) {
  if (fiar_xla_answer_metadata(frame, 0)) {
    return NULL;
  }
  if (frame->stage != XLA_FFI_ExecutionStage_EXECUTE) {
    return NULL;
  }
  fiar_xla_call_t call;
  fiar_status_t status = fiar_xla_call_read(frame, op, &call);
  if (status == FIAR_OK && op == FIAR_XLA_ALL_REDUCE_NORM && call.params.tokens > 0) {
    const fiar_all_reduce_norm_params given = call.params;
    status = fiar_params_check(&given, (int32_t)call.world, &call.params);
  }
  if (status == FIAR_OK) {
    status = check_aliases(&call);
  }
  if (status != FIAR_OK) {
    return fiar_xla_error(frame->api, status);
  }
  return op == FIAR_XLA_TAKE_ROWS ? take_rows(frame, &call) : fiar_xla_meet(frame, &call);
}

XLA_FFI_Error* fiar_xla_host_all_reduce_norm(XLA_FFI_CallFrame* frame) {
  return run(frame, FIAR_XLA_ALL_REDUCE_NORM);
}

XLA_FFI_Error* fiar_xla_host_all_reduce(XLA_FFI_CallFrame* frame) {
  return run(frame, FIAR_XLA_ALL_REDUCE);
}

XLA_FFI_Error* fiar_xla_host_all_gather_rows(XLA_FFI_CallFrame* frame) {
  return run(frame, FIAR_XLA_ALL_GATHER_ROWS);
}

XLA_FFI_Error* fiar_xla_host_take_rows(XLA_FFI_CallFrame* frame) {
  return run(frame, FIAR_XLA_TAKE_ROWS);
}
