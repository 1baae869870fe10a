// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "gpu_between.h"

#include "gpu_kernels.h"

enum { WRONG = 0x11 };

static void* input_of(const gpu_call_t* call, int i) {
  const fiar_all_reduce_norm_params* p = &call->params;
  const void* const at[GPU_SUM] = {p->input, p->residual, p->weight, p->scale};
  return (void*)at[i];
}

gpu_between_t gpu_between_make(gpu_call_t* call) {
  gpu_between_t between = {.call = call,
                           .code_bytes = call->params.quant_out ? call->bytes[GPU_CODES] : 0};
  for (int i = 0; i < GPU_SUM; ++i) {
    GPU_MUST(cudaMalloc(&between.held[i], call->bytes[i] + 1));
    GPU_MUST(cudaMemcpy(between.held[i], call->host[i], call->bytes[i], cudaMemcpyHostToDevice));
  }
  GPU_MUST(cudaMalloc(&between.norm, call->bytes[GPU_NORM]));
  GPU_MUST(cudaMalloc(&between.codes, between.code_bytes + 1));
  return between;
}

void gpu_between_free(gpu_between_t* between) {
  for (int i = 0; i < GPU_SUM; ++i) {
    GPU_MUST(cudaFree(between->held[i]));
  }
  GPU_MUST(cudaFree(between->norm));
  GPU_MUST(cudaFree(between->codes));
}

static void spoil(const gpu_call_t* call, cudaStream_t stream) {
  for (int i = 0; i < GPU_SUM; ++i) {
    if (call->bytes[i] > 0) {
      GPU_MUST(cudaMemsetAsync(input_of(call, i), WRONG, call->bytes[i], stream));
    }
  }
  gpu_call_poison(call, stream);
}

static fiar_status_t issue(const gpu_between_t* between, int last_input, cudaStream_t stream) {
  const gpu_call_t* call = between->call;
  for (int i = 1; i <= GPU_SUM; ++i) {
    const int input = (last_input + i) % GPU_SUM;
    if (call->bytes[input] > 0) {
      GPU_MUST(
          gpu_late_copy(input_of(call, input), between->held[input], call->bytes[input], stream));
    }
  }
  fiar_status_t status = gpu_call_issue(call, stream);
  GPU_MUST(gpu_early_copy(between->norm, call->params.norm_out, call->bytes[GPU_NORM], stream));
  if (status == FIAR_OK) {
    status = gpu_call_issue(call, stream);
  }
  if (between->code_bytes) {
    GPU_MUST(gpu_early_copy(between->codes, call->params.quant_out, between->code_bytes, stream));
  }
  return status;
}

static fiar_status_t issue_captured(const gpu_between_t* between, int last_input,
                                    cudaStream_t stream) {
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  GPU_MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  const fiar_status_t status = issue(between, last_input, stream);
  GPU_MUST(cudaStreamEndCapture(stream, &graph));
  GPU_MUST(cudaGraphInstantiate(&exec, graph, 0));
  GPU_MUST(cudaGraphLaunch(exec, stream));
  GPU_MUST(cudaGraphExecDestroy(exec));
  GPU_MUST(cudaGraphDestroy(graph));
  return status;
}

// What was read behind it, through the same comparison as the outputs themselves.
static int verify(const gpu_between_t* between, const char* when, cudaStream_t stream) {
  gpu_call_t* call = between->call;
  const fiar_all_reduce_norm_params whole = call->params;
  gpu_call_poison(call, stream);
  GPU_MUST(cudaMemcpyAsync(whole.norm_out, between->norm, call->bytes[GPU_NORM], cudaMemcpyDefault,
                           stream));
  if (between->code_bytes) {
    GPU_MUST(cudaMemcpyAsync(whole.quant_out, between->codes, between->code_bytes,
                             cudaMemcpyDefault, stream));
  }
  call->params.sum_out = call->params.residual_out = call->params.scales_out = NULL;
  const int wrong = gpu_call_verify(call, when, stream);
  call->params = whole;
  return wrong;
}

int gpu_between_run(const gpu_between_t* between, int last_input, bool captures,
                    cudaStream_t stream) {
  spoil(between->call, stream);
  const fiar_status_t status = (captures ? issue_captured : issue)(between, last_input, stream);
  if (status != FIAR_OK) {
    GPU_MUST(cudaStreamSynchronize(stream));
    (void)fprintf(stderr, "%s\n", fiar_last_error());
    return 1;
  }
  return verify(between, captures ? "captured between dependents" : "between dependents", stream);
}
