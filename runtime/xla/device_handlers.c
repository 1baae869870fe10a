// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The targets of platform "CUDA".
#include "fiar/xla.h"

#include "comm/comm.h"
#include "runtime_impl.h"
#include "xla/call.h"
#include "xla/device_comm.h"

// Whatever allocates or asks the other ranks is done before the programs of the ranks run, so that
// XLA can record the call into a command buffer.
static fiar_status_t make_ready(fiar_comm_t* comm, const fiar_xla_call_t* call) {
  fiar_all_reduce_norm_params checked;
  fiar_problem_t problem;
  const fiar_backend_t* backend;
  void* state;
  if (call->op == FIAR_XLA_TAKE_ROWS || call->params.tokens == 0 || !call->params.input) {
    return FIAR_OK;  // nothing to make, or an XLA that does not give addresses yet
  }
  FIAR_TRY(fiar_comm_ready(comm));
  if (call->op == FIAR_XLA_ALL_GATHER_ROWS) {
    checked = (fiar_all_reduce_norm_params){
        .tokens = call->params.tokens, .hidden = call->params.hidden, .dtype = call->params.dtype};
    problem = fiar_problem_of_shape(checked.tokens, checked.hidden, checked.dtype, false);
    problem.op = FIAR_OP_ALL_GATHER_ROWS;
  } else {
    FIAR_TRY(fiar_params_check(&call->params, fiar_comm_world(comm), &checked));
    problem = fiar_problem_of(&checked);
  }
  FIAR_TRY(fiar_comm_same_call(comm, &checked));
  return fiar_workspace_for_call(comm, &problem, NULL, &backend, &state);
}

static XLA_FFI_Error* stream_of(XLA_FFI_CallFrame* frame, void** out_stream) {
  XLA_FFI_Stream_Get_Args args = {.struct_size = XLA_FFI_Stream_Get_Args_STRUCT_SIZE,
                                  .ctx = frame->ctx};
  XLA_FFI_Error* error = frame->api->XLA_FFI_Stream_Get(&args);
  *out_stream = args.stream;
  return error;
}

// XLA does not take a call into a command buffer that puts nothing on its stream.
static bool launches_nothing(const fiar_xla_call_t* call, const fiar_comm_t* comm) {
  const int64_t least = call->op == FIAR_XLA_TAKE_ROWS ? fiar_comm_rank(comm) : 0;
  return call->params.tokens <= least;
}

static XLA_FFI_Error* launch(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call,
                             fiar_comm_t* comm) {
  void* stream = NULL;
  XLA_FFI_Error* error = stream_of(frame, &stream);
  if (error) {
    return error;
  }
  const fiar_all_reduce_norm_params* params = &call->params;
  fiar_status_t status;
  switch (call->op) {
    case FIAR_XLA_ALL_GATHER_ROWS:
      status = fiar_rt_all_gather_rows(comm, 0, params->input, params->sum_out, params->tokens,
                                       params->hidden, params->dtype, stream);
      break;
    case FIAR_XLA_TAKE_ROWS:
      status = fiar_rt_take_rows(comm, 0, params->input, params->sum_out, params->tokens,
                                 params->hidden, params->dtype, stream);
      break;
    default:
      status = fiar_rt_all_reduce_norm(comm, params, stream);
  }
  if (status == FIAR_OK && launches_nothing(call, comm)) {
    status = fiar_cuda_capture_nothing(stream);
  }
  return fiar_xla_error(frame->api, status);
}

static XLA_FFI_Error* run(XLA_FFI_CallFrame* frame, fiar_xla_op_t op) {
  if (fiar_xla_answer_metadata(frame, XLA_FFI_HANDLER_TRAITS_COMMAND_BUFFER_COMPATIBLE)) {
    return NULL;
  }
  fiar_xla_call_t call;
  fiar_status_t status = fiar_xla_call_read(frame, op, &call);
  if (status != FIAR_OK) {
    return fiar_xla_error(frame->api, status);
  }
  if (frame->stage == XLA_FFI_ExecutionStage_PREPARE) {
    return fiar_xla_comm_request(frame, &call);
  }
  fiar_comm_t* comm = NULL;
  XLA_FFI_Error* error = fiar_xla_comm_get(frame, &call, &comm);
  if (error) {
    return error;
  }
  return frame->stage == XLA_FFI_ExecutionStage_INITIALIZE
             ? fiar_xla_error(frame->api, make_ready(comm, &call))
             : launch(frame, &call, comm);
}

XLA_FFI_Error* fiar_xla_all_reduce_norm(XLA_FFI_CallFrame* frame) {
  return run(frame, FIAR_XLA_ALL_REDUCE_NORM);
}

XLA_FFI_Error* fiar_xla_all_reduce(XLA_FFI_CallFrame* frame) {
  return run(frame, FIAR_XLA_ALL_REDUCE);
}

XLA_FFI_Error* fiar_xla_all_gather_rows(XLA_FFI_CallFrame* frame) {
  return run(frame, FIAR_XLA_ALL_GATHER_ROWS);
}

XLA_FFI_Error* fiar_xla_take_rows(XLA_FFI_CallFrame* frame) {
  return run(frame, FIAR_XLA_TAKE_ROWS);
}
