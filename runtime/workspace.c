// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Workspaces: one for each backend of a communicator, shared by whoever asks, growing by agreement.
//
// There is one slot a backend, so "reuse the other kind's workspace where it is the same backend's"
// needs no code: both kinds find the same slot. Its size in bytes is its whole key.
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "comm/comm.h"

enum { LEAST_BYTES = 1 << 20 };

// Powers of two, so that slowly growing calls do not reopen every time.
static size_t generous(size_t bytes) {
  size_t rounded = LEAST_BYTES;
  while (rounded < bytes && rounded <= SIZE_MAX / 2) {
    rounded *= 2;
  }
  return rounded < bytes ? bytes : rounded;
}

static uint32_t failed_for(fiar_comm_t* comm, const fiar_backend_t* const* table, size_t count,
                           const fiar_problem_t* problem) {
  uint32_t failed = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t least = comm->workspaces[i].failed_bytes;
    if (least > 0 && table[i]->workspace_size(problem, &comm->caps) >= least) {
      failed |= 1u << i;
    }
  }
  return failed;
}

// A forced backend that failed before for this size or a smaller one fails again, in the same
// words.
static fiar_status_t remembered_failure(const fiar_comm_t* comm, const fiar_backend_t* const* table,
                                        size_t count, const char* forced, uint32_t failed) {
  for (size_t i = 0; i < count; ++i) {
    if ((failed >> i & 1u) != 0 && strcmp(table[i]->name, forced) == 0) {
      return fiar_fail(comm->workspaces[i].failed_status, "%s", comm->workspaces[i].failed_text);
    }
  }
  return FIAR_OK;
}

// Opens a larger state beside the former one, which CUDA graphs may still use. All ranks agree on
// the outcome and remember a failure.
static fiar_status_t grow(fiar_comm_t* comm, struct fiar_workspace* workspace,
                          const fiar_backend_t* backend, size_t bytes) {
  void* state = NULL;
  fiar_status_t status = backend->open(comm, bytes, &state);
  status = fiar_comm_vote(comm, status);
  if (status != FIAR_OK) {
    backend->close(state);
    status = fiar_annotate(status, "a %s workspace of %zu bytes", backend->name, bytes);
    workspace->failed_bytes = bytes;
    workspace->failed_status = status;
    (void)snprintf(workspace->failed_text, sizeof workspace->failed_text, "%s", fiar_last_error());
    FIAR_LOG(WARN, WORKSPACE, "rank %d: %s", comm->rank, workspace->failed_text);
    return status;
  }
  (void)pthread_mutex_lock(&comm->lock);
  void* former = workspace->state;
  workspace->comm = comm;
  workspace->backend = backend;
  workspace->state = state;
  workspace->bytes = bytes;
  const bool keeps = former && workspace->outgrown_count < FIAR_MAX_OUTGROWN;
  if (keeps) {
    workspace->outgrown[workspace->outgrown_count++] = former;
  }
  (void)pthread_mutex_unlock(&comm->lock);
  if (!keeps) {
    backend->close(former);
  }
  FIAR_LOG(INFO, WORKSPACE, "rank %d: %s, %zu bytes", comm->rank, backend->name, bytes);
  return FIAR_OK;
}

// With room to spare where that is to be had, else with just enough.
static fiar_status_t ensure(fiar_comm_t* comm, struct fiar_workspace* workspace,
                            const fiar_backend_t* backend, size_t bytes) {
  const size_t spare = generous(bytes);
  const bool too_much = workspace->failed_bytes > 0 && spare >= workspace->failed_bytes;
  fiar_status_t status = grow(comm, workspace, backend, too_much ? bytes : spare);
  if (status != FIAR_OK && !too_much && spare > bytes && comm->broken == FIAR_OK) {
    status = grow(comm, workspace, backend, bytes);
  }
  return status;
}

// The slot of the backend that serves the problem, open and large enough. `auto` goes on to the
// next backend where one cannot be opened; nothing falls back once the communicator itself has
// failed.
static fiar_status_t open_slot(fiar_comm_t* comm, const char* forced, const fiar_problem_t* problem,
                               void* stream, struct fiar_workspace** out_workspace) {
  size_t count, index;
  const fiar_backend_t* const* table = fiar_backend_table(&count);
  for (;;) {
    const uint32_t failed = failed_for(comm, table, count, problem);
    FIAR_TRY(remembered_failure(comm, table, count, forced, failed));
    FIAR_TRY(fiar_select(table, count, problem, &comm->caps, forced, failed, &index));
    const fiar_backend_t* backend = table[index];
    *out_workspace = &comm->workspaces[index];
    const size_t bytes = backend->workspace_size(problem, &comm->caps);
    if ((*out_workspace)->state && bytes <= (*out_workspace)->bytes) {
      return FIAR_OK;
    }
    if (backend->capturing && backend->capturing(stream)) {
      return FIAR_FAIL(UNSUPPORTED,
                       "the %s workspace would have to grow to %zu bytes while the stream is "
                       "captured; make a call of this size, or fiar_workspace_get, before",
                       backend->name, bytes);
    }
    const fiar_status_t status = ensure(comm, *out_workspace, backend, bytes);
    if (status == FIAR_OK || strcmp(forced, "auto") != 0 || comm->broken != FIAR_OK) {
      return status;
    }
  }
}

fiar_status_t fiar_workspace_for_call(fiar_comm_t* comm, const fiar_problem_t* problem,
                                      void* stream, const fiar_backend_t** out_backend,
                                      void** out_state) {
  struct fiar_workspace* workspace;
  FIAR_TRY(open_slot(comm, comm->forced_backend, problem, stream, &workspace));
  const char* name = workspace->backend->name;
  if (comm->latest_backend != name) {
    FIAR_LOG(INFO, SELECT, "rank %d: %s serves [%lld, %lld]", comm->rank, name,
             (long long)problem->tokens, (long long)problem->hidden);
  }
  comm->latest_backend = name;
  workspace->serves_calls = true;
  *out_backend = workspace->backend;
  *out_state = workspace->state;
  return FIAR_OK;
}

// ---- Handles ----

static fiar_status_t check_shape(const fiar_comm_t* comm, int64_t tokens, int64_t hidden,
                                 uint8_t dtype) {
  if (!comm) {
    return FIAR_FAIL(INVALID_ARGUMENT, "comm is NULL");
  }
  return fiar_shape_check(tokens, hidden, dtype);
}

// Every rank's request, compared before anything is made.
static fiar_status_t same_request(fiar_comm_t* comm, const char* forced,
                                  const fiar_problem_t* problem) {
  FIAR_TRY(fiar_comm_ready(comm));
  FIAR_TRY(fiar_comm_same_word(comm, "backend", forced));
  FIAR_TRY(fiar_comm_same(comm, "quantises", problem->quantises));
  FIAR_TRY(fiar_comm_same(comm, "tokens", problem->tokens));
  FIAR_TRY(fiar_comm_same(comm, "hidden", problem->hidden));
  return fiar_comm_same(comm, "dtype", problem->dtype);
}

static fiar_status_t get(fiar_comm_t* comm, const char* forced, const fiar_problem_t* problem,
                         fiar_workspace_t** out_workspace) {
  FIAR_TRY(same_request(comm, forced, problem));
  struct fiar_workspace* workspace;
  FIAR_TRY(open_slot(comm, forced, problem, NULL, &workspace));
  ++workspace->holders;
  *out_workspace = workspace;
  return FIAR_OK;
}

fiar_status_t fiar_workspace_create(fiar_comm_t* comm, const char* backend, int64_t tokens,
                                    int64_t hidden, uint8_t dtype,
                                    fiar_workspace_t** out_workspace) {
  FIAR_NOT_NULL(out_workspace);
  *out_workspace = NULL;
  FIAR_TRY(check_shape(comm, tokens, hidden, dtype));
  char word[16];
  FIAR_TRY(fiar_parse_choice("backend", backend ? backend : "", FIAR_BACKEND_CHOICES, word,
                             sizeof word));
  const fiar_problem_t problem = fiar_problem_of_shape(tokens, hidden, dtype, false);
  return get(comm, word, &problem, out_workspace);
}

fiar_status_t fiar_workspace_get(fiar_comm_t* comm, int64_t tokens, int64_t hidden, uint8_t dtype,
                                 fiar_workspace_t** out_workspace) {
  FIAR_NOT_NULL(out_workspace);
  *out_workspace = NULL;
  FIAR_TRY(check_shape(comm, tokens, hidden, dtype));
  const fiar_problem_t problem = fiar_problem_of_shape(tokens, hidden, dtype, false);
  return get(comm, comm->forced_backend, &problem, out_workspace);
}

fiar_status_t fiar_workspace_get_quant(fiar_comm_t* comm, int64_t tokens, int64_t hidden,
                                       uint8_t dtype, fiar_workspace_t** out_workspace) {
  FIAR_NOT_NULL(out_workspace);
  *out_workspace = NULL;
  FIAR_TRY(check_shape(comm, tokens, hidden, dtype));
  const fiar_problem_t problem = fiar_problem_of_shape(tokens, hidden, dtype, true);
  return get(comm, "trtllm", &problem, out_workspace);
}

void fiar_workspace_close(fiar_workspace_t* workspace) {
  fiar_comm_t* comm = workspace->comm;
  if (!comm) {
    return;  // never opened
  }
  (void)pthread_mutex_lock(&comm->lock);
  struct fiar_workspace closing = *workspace;
  workspace->state = NULL;
  workspace->bytes = 0;
  workspace->outgrown_count = 0;
  (void)pthread_mutex_unlock(&comm->lock);
  closing.backend->close(closing.state);
  for (int32_t i = closing.outgrown_count; i-- > 0;) {
    closing.backend->close(closing.outgrown[i]);
  }
}

void fiar_workspace_destroy(fiar_workspace_t* workspace) {
  if (!workspace || workspace->holders == 0 || --workspace->holders > 0 ||
      workspace->serves_calls) {
    return;
  }
  fiar_workspace_close(workspace);
}

const char* fiar_workspace_backend(const fiar_workspace_t* workspace) {
  return workspace ? workspace->backend->name : "none";
}

size_t fiar_workspace_bytes(const fiar_workspace_t* workspace) {
  return workspace ? workspace->bytes : 0;
}
