// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "gpu_session.h"

fiar_status_t gpu_comm_make(const ranks_self_t* self, fiar_comm_t** out_comm) {
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  if (getenv("FIAR_TEST_SHARED_DEVICE")) {
    options.device = 0;
  }
  options.backend = self->argument;
  return fiar_comm_create_from_env(&options, out_comm);
}

int gpu_session_begin(const ranks_self_t* self, int calls, int64_t max_tokens, size_t shift,
                      gpu_session_t* session) {
  *session = (gpu_session_t){.comm = self->comm};
  if (!session->comm) {
    RANKS_OK(gpu_comm_make(self, &session->comm));
  }
  GPU_MUST(cudaSetDevice(fiar_comm_device(session->comm)));
  GPU_MUST(cudaStreamCreateWithFlags(&session->stream, cudaStreamNonBlocking));
  fiar_workspace_t* workspace =
      NULL;  // large enough for all, so that no capture finds it too small
  RANKS_OK(
      fiar_workspace_create(session->comm, self->argument, 512, 8192, FIAR_DTYPE_F32, &workspace));
  int wrong = 0;
  for (; session->made < calls; ++session->made) {
    wrong += gpu_call_make(session->comm, 7919u * (uint32_t)(session->made + 1), max_tokens, shift,
                           session->stream, &session->calls[session->made]);
  }
  return wrong;
}

void gpu_session_end(const ranks_self_t* self, gpu_session_t* session) {
  for (int i = 0; i < session->made; ++i) {
    gpu_call_free(&session->calls[i]);
  }
  GPU_MUST(cudaStreamDestroy(session->stream));
  if (!self->comm) {
    fiar_comm_destroy(session->comm);
  }
}
