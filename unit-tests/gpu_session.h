// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What every body of gpu_test starts from: a rank's communicator, a stream, and calls on it.
#ifndef FIAR_UNIT_TESTS_GPU_SESSION_H
#define FIAR_UNIT_TESTS_GPU_SESSION_H

#include "gpu_calls.h"
#include "ranks.h"

enum { GPU_SESSION_CALLS = 40 };  // at most

typedef struct gpu_session {
  fiar_comm_t* comm;
  cudaStream_t stream;
  gpu_call_t calls[GPU_SESSION_CALLS];
  int made;
} gpu_session_t;

// A communicator of a rank that is a process, on the backend that the rank's argument names. The
// caller destroys it.
fiar_status_t gpu_comm_make(const ranks_self_t* self, fiar_comm_t** out_comm);

// Collective. `calls` random calls of at most max_tokens rows, whose arrays miss their alignment by
// `shift` bytes. Nonzero: some went wrong, and how is printed. gpu_session_end frees what it made.
int gpu_session_begin(const ranks_self_t* self, int calls, int64_t max_tokens, size_t shift,
                      gpu_session_t* session);
void gpu_session_end(const ranks_self_t* self, gpu_session_t* session);

#endif  // FIAR_UNIT_TESTS_GPU_SESSION_H
