// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// gpu_test BACKEND processes|threads RANKS [TEST]: what exists only on devices: streams, graphs,
// programmatic dependents, device memory, ranks that stay away. Exit status 77: this machine cannot
// run it, and why is printed. FIAR_TEST_SHARED_DEVICE=1 puts all ranks on device 0 (for checking
// tools on one GPU); FIAR_TEST_CALLS sets how many calls the long tests make (10000).
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuda/nccl_dl.h"
#include "gpu_between.h"
#include "gpu_session.h"
#include "runtime_impl.h"

enum { CALLS = GPU_SESSION_CALLS, ROUND = 500, ABSENT_TIMEOUT_MS = 1500 };

static long calls_wanted(void) {
  const char* text = getenv("FIAR_TEST_CALLS");
  return text ? atol(text) : 10000;
}

static int verify_all(gpu_session_t* session, const char* when) {
  int wrong = 0;
  for (int i = 0; i < session->made; ++i) {
    wrong += gpu_call_verify(&session->calls[i], when, session->stream);
    gpu_call_poison(&session->calls[i], session->stream);
  }
  return wrong;
}

static uint32_t next(uint32_t* state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

// ---- Bodies ----

static int calls_of_random_sizes_back_to_back(const ranks_self_t* self) {
  gpu_session_t session;
  int wrong = gpu_session_begin(self, CALLS, 40, 0, &session);
  uint32_t state = 1;
  for (long done = 0; done < calls_wanted() && wrong == 0; done += ROUND) {
    for (int i = 0; i < session.made; ++i) {  // each at least once, so that none is left poisoned
      RANKS_OK(gpu_call_issue(&session.calls[i], session.stream));
    }
    for (int i = session.made; i < ROUND; ++i) {
      RANKS_OK(gpu_call_issue(&session.calls[next(&state) % CALLS], session.stream));
    }
    wrong += verify_all(&session, "back to back");
  }
  gpu_session_end(self, &session);
  return wrong;
}

static int graphs_replay_in_any_order(const ranks_self_t* self) {
  gpu_session_t session;
  int wrong = gpu_session_begin(self, CALLS, 40, 0, &session);
  cudaGraphExec_t graphs[CALLS];
  for (int i = 0; i < CALLS; ++i) {  // graph i: calls i, i + 1, ... of it, one to three
    cudaGraph_t graph;
    GPU_MUST(cudaStreamBeginCapture(session.stream, cudaStreamCaptureModeThreadLocal));
    for (int k = 0; k <= i % 3; ++k) {
      RANKS_OK(gpu_call_issue(&session.calls[(i + k) % CALLS], session.stream));
    }
    GPU_MUST(cudaStreamEndCapture(session.stream, &graph));
    GPU_MUST(cudaGraphInstantiate(&graphs[i], graph, 0));
    GPU_MUST(cudaGraphDestroy(graph));
  }
  uint32_t state = 2;
  for (int round = 0; round < 5 && wrong == 0; ++round) {
    for (int i = 0; i < CALLS; ++i) {
      GPU_MUST(cudaGraphLaunch(graphs[(i * 7 + round) % CALLS], session.stream));
      GPU_MUST(cudaGraphLaunch(graphs[next(&state) % CALLS], session.stream));
      RANKS_OK(gpu_call_issue(&session.calls[next(&state) % CALLS], session.stream));
    }
    wrong += verify_all(&session, "replayed");
  }
  for (int i = 0; i < CALLS; ++i) {
    GPU_MUST(cudaGraphExecDestroy(graphs[i]));
  }
  gpu_session_end(self, &session);
  return wrong;
}

static int a_graph_outlives_growth_of_its_workspace(const ranks_self_t* self) {
  fiar_comm_t* comm = self->comm;
  gpu_call_t small, large;
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  cudaStream_t stream;
  if (!comm) {
    RANKS_OK(gpu_comm_make(self, &comm));
  }
  GPU_MUST(cudaSetDevice(fiar_comm_device(comm)));
  GPU_MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  int wrong = gpu_call_make(comm, 11, 2, 0, stream, &small);
  GPU_MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  RANKS_OK(gpu_call_issue(&small, stream));
  GPU_MUST(cudaStreamEndCapture(stream, &graph));
  GPU_MUST(cudaGraphInstantiate(&executable, graph, 0));
  for (int64_t tokens = 64; tokens <= 1024 && wrong == 0; tokens *= 4) {
    wrong += gpu_call_make(comm, 40 + (uint32_t)tokens, tokens, 0, stream, &large);
    gpu_call_poison(&small, stream);
    GPU_MUST(cudaGraphLaunch(executable, stream));
    wrong += gpu_call_verify(&small, "replayed after growth", stream);
    gpu_call_free(&large);
  }
  GPU_MUST(cudaGraphExecDestroy(executable));
  GPU_MUST(cudaGraphDestroy(graph));
  GPU_MUST(cudaStreamDestroy(stream));
  gpu_call_free(&small);
  if (!self->comm) {
    fiar_comm_destroy(comm);
  }
  return wrong;
}

// A second group over the same ranks: its calls run beside the first one's, on a stream of their
// own. Few rows, so that both groups' kernels find room on the device at once.
static int two_groups_on_two_streams(const ranks_self_t* self) {
  enum { EACH = 12 };
  gpu_session_t session;
  int wrong = gpu_session_begin(self, EACH, 4, 0, &session);
  fiar_comm_t* second = NULL;
  cudaStream_t stream;
  gpu_call_t calls[EACH];
  if (self->comm) {
    static fiar_comm_t* made[FIAR_MAX_WORLD];
    fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
    int32_t devices[FIAR_MAX_WORLD];
    for (int32_t r = 0; r < self->world; ++r) {
      devices[r] = getenv("FIAR_TEST_SHARED_DEVICE") ? 0 : r;
    }
    options.backend = self->argument;
    if (self->rank == 0) {
      RANKS_OK(fiar_comm_create_threads(self->world, devices, &options, made));
    }
    RANKS_OK(fiar_comm_barrier(session.comm));
    second = made[self->rank];
  } else {
    RANKS_OK(gpu_comm_make(self, &second));
  }
  GPU_MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  for (int i = 0; i < EACH; ++i) {
    wrong += gpu_call_make(second, 31337u + (uint32_t)i, 4, 0, stream, &calls[i]);
  }
  uint32_t state = 3;
  for (long done = 0; done < calls_wanted() / 5 && wrong == 0; done += 100) {
    for (int i = 0; i < 100; ++i) {
      RANKS_OK(gpu_call_issue(&session.calls[next(&state) % EACH], session.stream));
      RANKS_OK(gpu_call_issue(&calls[next(&state) % EACH], stream));
    }
  }
  for (int i = 0; i < EACH; ++i) {
    RANKS_OK(gpu_call_issue(&session.calls[i], session.stream));
    wrong += gpu_call_verify(&session.calls[i], "beside another group", session.stream);
    RANKS_OK(gpu_call_issue(&calls[i], stream));
    wrong += gpu_call_verify(&calls[i], "beside another group", stream);
    gpu_call_free(&calls[i]);
  }
  GPU_MUST(cudaStreamDestroy(stream));
  RANKS_OK(fiar_comm_barrier(session.comm));
  fiar_comm_destroy(second);
  gpu_session_end(self, &session);
  return wrong;
}

static int dependents_see_whole_inputs_and_outputs(const ranks_self_t* self) {
  enum { EACH = 16, ROUNDS = 8 };
  gpu_session_t session;
  int wrong = gpu_session_begin(self, EACH, 24, 0, &session);
  for (int i = 0; i < EACH; ++i) {
    gpu_between_t between = gpu_between_make(&session.calls[i]);
    for (int round = 0; round < ROUNDS; ++round) {
      wrong += gpu_between_run(&between, round % GPU_SUM, round >= GPU_SUM, session.stream);
    }
    gpu_between_free(&between);
  }
  gpu_session_end(self, &session);
  return wrong;
}

static int misaligned_arrays_give_the_same_answers(const ranks_self_t* self) {
  gpu_session_t session;
  // Every rank in its own way: how a rank's arrays lie is its own affair.
  const int wrong = gpu_session_begin(self, 24, 12, self->rank % 2 == 0 ? 4 : 0, &session);
  gpu_session_end(self, &session);
  return wrong;
}

static int gathered_rows_are_the_shards_rows(const ranks_self_t* self) {
  gpu_session_t session;
  int wrong = gpu_session_begin(self, 0, 1, 0, &session);
  for (int64_t tokens = 1; tokens <= 300 && wrong == 0; tokens = tokens * 3 + 1) {
    enum { HIDDEN = 320 };
    const int64_t held = (tokens + self->world - 1) / self->world;
    float* host = calloc((size_t)(tokens * HIDDEN), sizeof *host);
    float *rows, *out;
    RANKS_CHECK(host, "no memory");
    for (int64_t i = 0; i < held * HIDDEN; ++i) {
      const int64_t row = i / HIDDEN * self->world + self->rank;
      host[i < tokens * HIDDEN ? i : 0] = (float)(row * HIDDEN + i % HIDDEN);
    }
    GPU_MUST(cudaMalloc((void**)&rows, (size_t)(held * HIDDEN) * sizeof *rows));
    GPU_MUST(cudaMalloc((void**)&out, (size_t)(tokens * HIDDEN) * sizeof *out));
    GPU_MUST(cudaMemset(out, 0xC7, (size_t)(tokens * HIDDEN) * sizeof *out));
    GPU_MUST(
        cudaMemcpy(rows, host, (size_t)(held * HIDDEN) * sizeof *rows, cudaMemcpyHostToDevice));
    RANKS_OK(fiar_rt_all_gather_rows(session.comm, 0, rows, out, tokens, HIDDEN, FIAR_DTYPE_F32,
                                     session.stream));
    GPU_MUST(cudaStreamSynchronize(session.stream));
    GPU_MUST(
        cudaMemcpy(host, out, (size_t)(tokens * HIDDEN) * sizeof *out, cudaMemcpyDeviceToHost));
    for (int64_t i = 0; i < tokens * HIDDEN && wrong == 0; ++i) {
      wrong += host[i] != (float)i;
    }
    RANKS_CHECK(wrong == 0, "%lld rows", (long long)tokens);
    GPU_MUST(cudaMemset(rows, 0xC7, (size_t)(held * HIDDEN) * sizeof *rows));
    GPU_MUST(cudaDeviceSynchronize());
    RANKS_OK(fiar_rt_take_rows(session.comm, 0, out, rows, tokens, HIDDEN, FIAR_DTYPE_F32,
                               session.stream));
    GPU_MUST(cudaStreamSynchronize(session.stream));
    GPU_MUST(
        cudaMemcpy(host, rows, (size_t)(held * HIDDEN) * sizeof *rows, cudaMemcpyDeviceToHost));
    for (int64_t i = 0; i < held * HIDDEN && wrong == 0; ++i) {
      const int64_t row = i / HIDDEN * self->world + self->rank;
      wrong += row < tokens && host[i] != (float)(row * HIDDEN + i % HIDDEN);
    }
    RANKS_CHECK(wrong == 0, "%lld rows taken back", (long long)tokens);
    GPU_MUST(cudaFree(rows));
    GPU_MUST(cudaFree(out));
    free(host);
  }
  gpu_session_end(self, &session);
  return wrong;
}

#define REFUSED(name)                                                                          \
  do {                                                                                         \
    RANKS_CHECK(gpu_call_issue(&bad, session.stream) == FIAR_INVALID_ARGUMENT, "%s was taken", \
                name);                                                                         \
    RANKS_CHECK(strstr(fiar_last_error(), name) != NULL, "%s is not in: %s", name,             \
                fiar_last_error());                                                            \
    bad = session.calls[0];                                                                    \
  } while (0)

static int bad_calls_are_refused_by_name(const ranks_self_t* self) {
  gpu_session_t session;
  int wrong = gpu_session_begin(self, 1, 4, 0, &session);
  gpu_call_t bad = session.calls[0];
  char on_stack[64];
  void* pinned;
  GPU_MUST(cudaMallocHost(&pinned, 1 << 20));
  bad.params.input = NULL;
  REFUSED("input");
  bad.params.input = on_stack;
  REFUSED("input");
  bad.params.residual_out = pinned;
  REFUSED("residual_out");
  bad.params.weight = (const char*)bad.params.weight + 1;
  REFUSED("weight");
  bad.params.norm_out = (char*)bad.params.residual_out;
  REFUSED("overlaps");
  bad.params.dtype = 17;
  REFUSED("dtype");
  bad.params.tokens = -1;
  REFUSED("tokens");
  int devices = 0;
  GPU_MUST(cudaGetDeviceCount(&devices));
  if (devices > 1) {
    void* elsewhere;
    const int own = fiar_comm_device(session.comm);
    GPU_MUST(cudaSetDevice((own + 1) % devices));
    GPU_MUST(cudaMalloc(&elsewhere, 1 << 20));
    bad.params.norm_out = elsewhere;
    REFUSED("norm_out");
    gpu_call_poison(&bad, session.stream);
    // In one process an allocation may wait for the kernels of devices that have access to it.
    RANKS_OK(fiar_comm_barrier(session.comm));
    // With another device current, the good call does what it should.
    RANKS_OK(gpu_call_issue(&bad, session.stream));
    int current = -1;
    GPU_MUST(cudaGetDevice(&current));
    RANKS_CHECK(current == (own + 1) % devices, "the call left device %d current", current);
    wrong += gpu_call_verify(&bad, "with another device current", session.stream);
    RANKS_OK(fiar_comm_barrier(session.comm));
    GPU_MUST(cudaFree(elsewhere));
    GPU_MUST(cudaSetDevice(own));
    RANKS_OK(fiar_comm_barrier(session.comm));
  }
  gpu_call_poison(&bad, session.stream);
  RANKS_OK(gpu_call_issue(&bad, session.stream));
  wrong += gpu_call_verify(&bad, "after refusals", session.stream);
  GPU_MUST(cudaFreeHost(pinned));
  gpu_session_end(self, &session);
  return wrong;
}

// Processes only: a process has its device to itself.
static int destroying_gives_all_device_memory_back(const ranks_self_t* self) {
  const int times = strcmp(self->argument, "trtllm") == 0
                        ? 100
                        : 4;  // making an NCCL communicator takes a second
  size_t before = 0, after = 0, total = 0;
  RANKS_CHECK(!self->comm, "for processes");
  for (int i = 0; i <= times; ++i) {
    fiar_comm_t* comm;
    gpu_call_t call;
    RANKS_OK(gpu_comm_make(self, &comm));
    GPU_MUST(cudaSetDevice(fiar_comm_device(comm)));
    const int wrong = gpu_call_make(comm, 5, 8, 0, NULL, &call);
    gpu_call_free(&call);
    fiar_comm_destroy(comm);
    RANKS_CHECK(wrong == 0, "the call went wrong");
    GPU_MUST(cudaMemGetInfo(&after, &total));
    before = i == 0 ? after : before;  // the first round loads the kernels
  }
  // NCCL may give memory back later: of its first round, and of the last.
  for (int tenths = 0; tenths < 50 && after < before; ++tenths) {
    (void)usleep(100 * 1000);
    GPU_MUST(cudaMemGetInfo(&after, &total));
  }
  RANKS_CHECK(after >= before, "%zu bytes are free, %zu were before", after, before);
  return 0;
}

// The last rank does not make its second call: the others' kernels give up in time and say who was
// missing.
static int a_rank_that_stays_away_is_named_in_time(const ranks_self_t* self) {
  gpu_session_t session;
  int wrong = gpu_session_begin(self, 1, 4, 0, &session);
  char name[32];
  (void)snprintf(name, sizeof name, "rank %d", self->world - 1);
  if (self->rank < self->world - 1) {
    RANKS_OK(gpu_call_issue(&session.calls[0], session.stream));
    GPU_MUST(cudaStreamSynchronize(session.stream));  // the kernel has left by itself
    RANKS_CHECK(fiar_comm_async_error(session.comm) == FIAR_TIMEOUT, "%s", fiar_last_error());
    RANKS_CHECK(strstr(fiar_last_error(), name) != NULL, "%s is not in: %s", name,
                fiar_last_error());
    RANKS_CHECK(gpu_call_issue(&session.calls[0], session.stream) == FIAR_TIMEOUT,
                "the next call was taken");
    GPU_MUST(cudaMemsetAsync(session.calls[0].arrays[GPU_NORM], 0, 16,
                             session.stream));  // the stream still works
    GPU_MUST(cudaStreamSynchronize(session.stream));
  } else {
    (void)usleep(ABSENT_TIMEOUT_MS *
                 1000);  // or this rank's own wait would end before the others come
  }
  RANKS_OK(fiar_comm_barrier(session.comm));
  gpu_session_end(self, &session);
  return wrong;
}

// The last rank's process dies between two calls. The others' kernels leave within the bound, their
// calls end with a sentence that names it, and their devices go on.
static int a_killed_rank_is_named_in_time(const ranks_self_t* self) {
  gpu_session_t session;
  int wrong = gpu_session_begin(self, 1, 4, 0, &session);
  for (int i = 0; i < 3; ++i) {
    RANKS_OK(gpu_call_issue(&session.calls[0], session.stream));
  }
  GPU_MUST(cudaStreamSynchronize(session.stream));
  RANKS_OK(fiar_comm_barrier(session.comm));
  if (self->rank == self->world - 1) {
    (void)raise(SIGKILL);
  }
  fiar_status_t status = FIAR_OK;
  for (int i = 0; i < 100 && status == FIAR_OK; ++i) {
    status = gpu_call_issue(&session.calls[0], session.stream);
    GPU_MUST(cudaStreamSynchronize(session.stream));
    status = status == FIAR_OK ? fiar_comm_async_error(session.comm) : status;
  }
  char name[32];
  (void)snprintf(name, sizeof name, "rank %d", self->world - 1);
  RANKS_CHECK(status == FIAR_TIMEOUT || status == FIAR_PEER_LOST, "status %d: %s", (int)status,
              fiar_last_error());
  RANKS_CHECK(strstr(fiar_last_error(), name) != NULL, "%s is not in: %s", name, fiar_last_error());
  GPU_MUST(cudaMemsetAsync(session.calls[0].arrays[GPU_NORM], 0, 16, session.stream));
  GPU_MUST(cudaStreamSynchronize(session.stream));
  gpu_session_end(self, &session);
  return wrong;
}

// One rank asks for another shape: a sentence on every rank, nothing launched.
static int ranks_with_different_shapes_are_told(const ranks_self_t* self) {
  gpu_session_t session;
  int wrong = gpu_session_begin(self, 1, 4, 0, &session);
  gpu_call_t other = session.calls[0];
  other.params.tokens = self->rank == 1 ? 3 : 2;
  other.params.norm_input = FIAR_NORM_INPUT_F32;  // no call before was like it
  RANKS_CHECK(gpu_call_issue(&other, session.stream) == FIAR_MISMATCH, "%s", fiar_last_error());
  RANKS_CHECK(strstr(fiar_last_error(), "tokens is 2 on rank 0, 3 on rank 1") != NULL, "%s",
              fiar_last_error());
  gpu_call_poison(&session.calls[0], session.stream);
  RANKS_OK(gpu_call_issue(&session.calls[0], session.stream));
  wrong += gpu_call_verify(&session.calls[0], "after a mismatch", session.stream);
  gpu_session_end(self, &session);
  return wrong;
}

// fiar_allreduce over the same workspace, in place and not.
static int the_plain_all_reduce_sums(const ranks_self_t* self) {
  enum { TOKENS = 9, HIDDEN = 1000, COUNT = TOKENS * HIDDEN };
  gpu_session_t session;
  int wrong = gpu_session_begin(self, 0, 1, 0, &session);
  fiar_allreduce_t* allreduce;
  float *in, *out, host[COUNT];
  RANKS_OK(fiar_allreduce_create(session.comm, &allreduce));
  const char* reason = fiar_allreduce_disabled_reason(allreduce);
  RANKS_CHECK(reason == NULL || self->world == 3, "disabled: %s", reason);
  GPU_MUST(cudaMalloc((void**)&in, sizeof host));
  GPU_MUST(cudaMalloc((void**)&out, sizeof host));
  const int64_t shape[] = {TOKENS, HIDDEN};
  const fiar_tensor_t tensor = {.data = in,
                                .shape = shape,
                                .rank = 2,
                                .device = fiar_comm_device(session.comm),
                                .dtype = FIAR_DTYPE_F32};
  if (!reason && !fiar_allreduce_should_use(allreduce, &tensor, &reason)) {
    RANKS_CHECK(0, "%s", reason);
  }
  for (int round = 0; round < 4 && !reason; ++round) {
    float* to = round % 2 == 0 ? out : in;
    for (int i = 0; i < COUNT; ++i) {
      host[i] = (float)((i + round) % 100 + self->rank);
    }
    GPU_MUST(cudaMemcpy(in, host, sizeof host, cudaMemcpyHostToDevice));
    RANKS_OK(fiar_comm_barrier(session.comm));
    RANKS_OK(fiar_allreduce_run(allreduce, in, to, TOKENS, HIDDEN, session.stream));
    GPU_MUST(cudaStreamSynchronize(session.stream));
    GPU_MUST(cudaMemcpy(host, to, sizeof host, cudaMemcpyDeviceToHost));
    for (int i = 0; i < COUNT; ++i) {
      const int ranks = self->world * (self->world - 1) / 2;
      wrong += host[i] != (float)(self->world * ((i + round) % 100) + ranks);
    }
    RANKS_CHECK(wrong == 0, "round %d: %d sums", round, wrong);
    RANKS_OK(fiar_comm_barrier(session.comm));
  }
  fiar_allreduce_destroy(allreduce);
  GPU_MUST(cudaFree(in));
  GPU_MUST(cudaFree(out));
  gpu_session_end(self, &session);
  return wrong;
}

// A communicator of ours over an ncclComm_t that the program has.
static int a_programs_own_nccl_communicator_serves(const ranks_self_t* self) {
  gpu_session_t session;
  int wrong = gpu_session_begin(self, 0, 1, 0, &session);
  const fiar_nccl_t* nccl;
  fiar_nccl_id_t id = {{0}}, ids[FIAR_MAX_WORLD];
  fiar_nccl_comm_t theirs;
  fiar_comm_t* comm;
  gpu_call_t call;
  RANKS_OK(fiar_nccl_open(&nccl));
  RANKS_CHECK(self->rank != 0 || nccl->GetUniqueId(&id) == FIAR_NCCL_SUCCESS, "ncclGetUniqueId");
  RANKS_OK(fiar_comm_all_gather(session.comm, &id, ids, sizeof id));
  RANKS_CHECK(nccl->CommInitRank(&theirs, self->world, ids[0], self->rank) == FIAR_NCCL_SUCCESS,
              "ncclCommInitRank");
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.backend = self->argument;
  RANKS_OK(fiar_comm_create_from_nccl(theirs, &options, &comm));
  RANKS_CHECK(fiar_comm_rank(comm) == self->rank && fiar_comm_world(comm) == self->world &&
                  fiar_comm_device(comm) == fiar_comm_device(session.comm),
              "rank %d of %d on device %d", fiar_comm_rank(comm), fiar_comm_world(comm),
              fiar_comm_device(comm));
  wrong += gpu_call_make(comm, 77, 16, 0, session.stream, &call);
  RANKS_OK(fiar_comm_async_error(comm));
  gpu_call_free(&call);
  RANKS_OK(fiar_comm_barrier(session.comm));
  fiar_comm_destroy(comm);
  RANKS_OK(fiar_comm_barrier(session.comm));
  (void)nccl->CommDestroy(theirs);
  gpu_session_end(self, &session);
  return wrong;
}

// ---- Running them ----

enum {
  ANY_MODE = 0,
  ONLY_PROCESSES = 1,
  NOT_NCCL = 2,
  OWN_DEVICES = 4,
  SHORT_TIMEOUT = 8,
  LAST_IS_KILLED = 16,
  OWN_PROCESSES = 32
};
static const struct {
  ranks_body_t body;
  unsigned flags;
} tests[] = {
    {RANKS_BODY(calls_of_random_sizes_back_to_back), ANY_MODE},
    {RANKS_BODY(graphs_replay_in_any_order), ANY_MODE},
    {RANKS_BODY(a_graph_outlives_growth_of_its_workspace), ANY_MODE},
    {RANKS_BODY(two_groups_on_two_streams),
     NOT_NCCL},  // NCCL itself asks for one order of its kernels
    {RANKS_BODY(dependents_see_whole_inputs_and_outputs), ANY_MODE},
    {RANKS_BODY(misaligned_arrays_give_the_same_answers), ANY_MODE},
    {RANKS_BODY(gathered_rows_are_the_shards_rows), ANY_MODE},
    {RANKS_BODY(bad_calls_are_refused_by_name), ANY_MODE},
    {RANKS_BODY(ranks_with_different_shapes_are_told), ANY_MODE},
    {RANKS_BODY(the_plain_all_reduce_sums), ANY_MODE},
    {RANKS_BODY(a_programs_own_nccl_communicator_serves), OWN_DEVICES},
    {RANKS_BODY(destroying_gives_all_device_memory_back),
     ONLY_PROCESSES | OWN_DEVICES | OWN_PROCESSES},
    {RANKS_BODY(a_rank_that_stays_away_is_named_in_time),
     NOT_NCCL | SHORT_TIMEOUT},  // NCCL has no time bound
    {RANKS_BODY(a_killed_rank_is_named_in_time),
     NOT_NCCL | SHORT_TIMEOUT | ONLY_PROCESSES | OWN_DEVICES | LAST_IS_KILLED},
};
enum { TESTS = sizeof tests / sizeof *tests };

static const char* why_not(unsigned flags, const char* backend, bool threads, bool shared) {
  return flags & ONLY_PROCESSES && threads                  ? "for ranks that are processes"
         : flags & NOT_NCCL && strcmp(backend, "nccl") == 0 ? "not promised by NCCL"
         : flags & OWN_DEVICES && shared                    ? "needs a device for each rank"
                                                            : NULL;
}

static bool shares_device(void) {
  return getenv("FIAR_TEST_SHARED_DEVICE") != NULL;
}

static bool shares_processes(unsigned flags) {
  return (flags & (SHORT_TIMEOUT | OWN_PROCESSES)) == 0;
}

// The tests that need nothing of their processes, one after the other: starting processes on
// devices takes longer than most tests.
static int all_in_one_process(const ranks_self_t* self) {
  for (int i = 0; i < TESTS; ++i) {
    if (shares_processes(tests[i].flags) &&
        !why_not(tests[i].flags, self->argument, false, shares_device())) {
      RANKS_CHECK(tests[i].body.run(self) == 0, "in %s", tests[i].body.name);
    }
  }
  return 0;
}

static int devices_here(void) {
  const pid_t child = fork();  // a process that has asked CUDA cannot fork ranks
  if (child == 0) {
    int devices = 0;
    _exit(cudaGetDeviceCount(&devices) == cudaSuccess ? devices : 0);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                               : 0;
}

typedef struct job {
  const char* backend;
  int32_t world;
  bool threads;
  int timeout_ms;  // of a wait
} job_t;

static int tests_of(const char* body) {
  return strcmp(body, "all_in_one_process") == 0 ? TESTS : 1;
}

// Did all ranks do what they should?
static bool runs(const job_t* job, const char* body, unsigned flags) {
  const int bound = (flags & SHORT_TIMEOUT) != 0 ? ABSENT_TIMEOUT_MS : job->timeout_ms;
  char timeout[48], forced[64];
  (void)snprintf(timeout, sizeof timeout, "FIAR_TIMEOUT_MS=%d", bound);
  (void)snprintf(forced, sizeof forced, "FIAR_ALLREDUCE_BACKEND=%s", job->backend);
  const char* const environment[] = {timeout, forced, NULL};
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = shares_device() ? 0 : FIAR_DEVICE_AUTO;
  options.backend = job->backend;
  options.timeout_ms = bound;
  const ranks_run_t run = {.body = body,
                           .argument = job->backend,
                           .world = job->world,
                           .threads = job->threads,
                           .timeout_ms = 6 * job->timeout_ms * tests_of(body),
                           .environment = environment,
                           .options = &options};
  int results[FIAR_MAX_WORLD] = {0};
  const int wrong = ranks_run(&run, results);
  const bool killed =
      (flags & LAST_IS_KILLED) != 0 && results[job->world - 1] == RANKS_KILLED + SIGKILL;
  return wrong == (killed ? 1 : 0);
}

int main(int argc, char** argv) {
  ranks_body_t bodies[TESTS + 1] = {RANKS_BODY(all_in_one_process)};
  for (int i = 0; i < TESTS; ++i) {
    bodies[i + 1] = tests[i].body;
  }
  ranks_main(bodies, TESTS + 1);
  if (argc < 4 || atoi(argv[3]) < 1) {
    (void)fprintf(stderr, "usage: gpu_test BACKEND processes|threads RANKS [TEST]\n");
    return 2;
  }
  const char* bound = getenv("FIAR_TIMEOUT_MS");  // checking tools need a long one
  const job_t job = {.backend = argv[1],
                     .world = atoi(argv[3]),
                     .threads = strcmp(argv[2], "threads") == 0,
                     .timeout_ms = bound ? atoi(bound) : 20000};
  const int devices = devices_here(), needed = shares_device() ? 1 : job.world;
  if (devices < needed) {
    (void)printf("skipped: needs %d CUDA devices, this machine has %d\n", needed, devices);
    return 77;
  }
  // If they do not pass together, each runs by itself, too, and says which it is.
  const bool one_by_one = job.threads || argc > 4;
  const bool together = one_by_one || runs(&job, "all_in_one_process", ANY_MODE);
  int passed = 0, failed = 0, skipped = 0;
  if (!together) {
    (void)printf("FAILED all_in_one_process\n");
    ++failed;
  }
  for (int i = 0; i < TESTS; ++i) {
    const char* name = tests[i].body.name;
    const unsigned flags = tests[i].flags;
    const char* reason = why_not(flags, argv[1], job.threads, shares_device());
    if (argc > 4 && strcmp(argv[4], name) != 0) {
      continue;
    }
    if (reason) {
      (void)printf("skipped %s: %s\n", name, reason);
      ++skipped;
      continue;
    }
    const bool ran = !one_by_one && together && shares_processes(flags);
    const bool good = ran || runs(&job, name, flags);
    (void)printf("%s %s\n", good ? "passed" : "FAILED", name);
    (void)fflush(stdout);
    good ? ++passed : ++failed;
  }
  (void)printf("%s %s %d: %d passed, %d failed, %d skipped\n", argv[1], argv[2], job.world, passed,
               failed, skipped);
  return failed > 0 || passed == 0;
}
