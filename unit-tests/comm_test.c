// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Communicators: every way to make one, and what the others get when a rank is killed, leaves,
// stops, never starts, or asks for something else. Each wait has a bound, which the harness's own
// limit checks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "comm/comm.h"
#include "ranks.h"

#define RANKS_SAYS(words)                                                                        \
  RANKS_CHECK(strstr(fiar_last_error(), words), "\"%s\" does not say \"%s\"", fiar_last_error(), \
              words)

static int finish(const ranks_self_t* self, fiar_comm_t* comm) {
  if (!self->comm) {
    fiar_comm_destroy(comm);
  }
  return 0;
}

// ---- What works ----

static int exchanges(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_OK(ranks_comm(self, &comm));
  RANKS_OK(fiar_comm_ready(comm));
  RANKS_CHECK(fiar_comm_rank(comm) == self->rank && fiar_comm_world(comm) == self->world,
              "who am I?");
  RANKS_CHECK(fiar_comm_caps(comm)->one_host == 1, "one host");
  RANKS_CHECK(fiar_comm_caps(comm)->one_process == (self->comm != NULL), "one process");
  static const size_t sizes[] = {1, 8, 1000, 1 << 18, (1 << 18) + 1, 3000000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    unsigned char* all = malloc(sizes[i] * (size_t)self->world);
    unsigned char* mine = all + sizes[i] * (size_t)self->rank;  // in place
    for (size_t j = 0; j < sizes[i]; ++j) {
      mine[j] = (unsigned char)(j * 7 + (size_t)self->rank);
    }
    RANKS_OK(fiar_comm_all_gather(comm, mine, all, sizes[i]));
    for (size_t j = 0; j < sizes[i] * (size_t)self->world; ++j) {
      const unsigned char expected = (unsigned char)(j % sizes[i] * 7 + j / sizes[i]);
      RANKS_CHECK(all[j] == expected, "byte %zu of %zu", j, sizes[i]);
    }
    free(all);
  }
  RANKS_OK(fiar_comm_async_error(comm));
  for (int i = 0; i < 200; ++i) {
    RANKS_OK(fiar_comm_barrier(comm));
  }
  return finish(self, comm);
}

static int votes(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_OK(ranks_comm(self, &comm));
  RANKS_OK(fiar_comm_vote(comm, FIAR_OK));
  const bool fails = self->rank == 1;
  const fiar_status_t mine = fails ? FIAR_FAIL(UNAVAILABLE, "no such thing") : FIAR_OK;
  RANKS_CHECK(fiar_comm_vote(comm, mine) == FIAR_UNAVAILABLE, "not agreed");
  RANKS_SAYS(fails ? "no such thing" : "on rank 1: no such thing");
  RANKS_OK(fiar_comm_barrier(comm));  // a vote that failed has not broken anything
  return finish(self, comm);
}

static int two_communicators(const ranks_self_t* self) {
  fiar_comm_t *first, *second;
  RANKS_OK(fiar_comm_create_from_env(NULL, &first));
  RANKS_OK(fiar_comm_create_from_env(NULL, &second));
  RANKS_OK(fiar_comm_same(first, "x", 1));
  RANKS_OK(fiar_comm_same(second, "x", 2));
  RANKS_CHECK(fiar_comm_same(first, "x", self->rank) == FIAR_MISMATCH, "the same?");
  RANKS_SAYS("x is 0 on rank 0, 1 on rank 1");
  fiar_comm_destroy(first);
  RANKS_OK(fiar_comm_barrier(second));
  fiar_comm_destroy(second);
  return 0;
}

static int gather_over(void* context, const void* mine, void* all, size_t bytes) {
  return fiar_comm_all_gather(context, mine, all, bytes) == FIAR_OK ? 0 : 5;
}

static int from_a_callback(const ranks_self_t* self) {
  fiar_comm_t *base, *comm;
  RANKS_OK(ranks_comm(self, &base));
  RANKS_OK(
      fiar_comm_create_from_all_gather(self->rank, self->world, gather_over, base, NULL, &comm));
  RANKS_OK(fiar_comm_same(comm, "x", 1));
  RANKS_CHECK(comm->transport == &fiar_board_transport, "ranks of one host use the board");
  fiar_comm_destroy(comm);
  return finish(self, base);
}

// The gathering has all ranks; one of them was told of fewer, or that it is another.
static int from_a_callback_that_knows_better(const ranks_self_t* self) {
  fiar_comm_t *board, *comm;
  RANKS_OK(ranks_comm(self, &board));
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = FIAR_DEVICE_NONE;
  const int32_t world = self->rank == 1 ? self->world - 1 : self->world;
  RANKS_CHECK(fiar_comm_create_from_all_gather(self->rank, world, gather_over, board, &options,
                                               &comm) == FIAR_MISMATCH,
              "%s", fiar_last_error());
  RANKS_CHECK(fiar_comm_create_from_all_gather(0, self->world, gather_over, board, &options,
                                               &comm) == FIAR_MISMATCH,
              "%s", fiar_last_error());
  RANKS_SAYS("in the gathering is rank 0 of");
  return finish(self, board);
}

static int refuse_to_gather(void* context, const void* mine, void* all, size_t bytes) {
  (void)context;
  (void)mine;
  (void)all;
  (void)bytes;
  return 5;
}

static int from_a_bad_callback(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_CHECK(fiar_comm_create_from_all_gather(self->rank, self->world, refuse_to_gather, NULL,
                                               NULL, &comm) == FIAR_PEER_LOST,
              "made");
  RANKS_SAYS("returned 5");
  RANKS_CHECK(!comm, "left behind");
  RANKS_CHECK(
      fiar_comm_create_from_all_gather(0, 2, NULL, NULL, NULL, &comm) == FIAR_INVALID_ARGUMENT,
      "made");
  RANKS_CHECK(fiar_comm_create_from_all_gather(2, 2, gather_over, NULL, NULL, &comm) ==
                  FIAR_INVALID_ARGUMENT,
              "made");
  RANKS_SAYS("rank is 2, must be 0 to 1");
  return 0;
}

// ---- What goes wrong ----

static int one_is_killed(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_OK(ranks_comm(self, &comm));
  if (self->rank == 2) {
    (void)raise(SIGKILL);
  }
  RANKS_CHECK(fiar_comm_barrier(comm) == FIAR_PEER_LOST, "%s", fiar_last_error());
  RANKS_SAYS("rank 2 of 4");  // not those that left because of it
  RANKS_CHECK(fiar_comm_barrier(comm) == FIAR_PEER_LOST, "mended");
  RANKS_SAYS("failed before");
  RANKS_CHECK(fiar_comm_async_error(comm) == FIAR_PEER_LOST, "no error");
  fiar_comm_destroy(comm);
  return 0;
}

// All ranks come through a first call; then one is killed in the middle of many.
static int one_is_killed_at_work(const ranks_self_t* self) {
  float in[64] = {1}, out[64];
  for (int i = 0; i < 100000; ++i) {
    if (self->rank == 1 && i == 50) {
      (void)raise(SIGKILL);
    }
    const fiar_status_t status = fiar_rt_all_reduce(NULL, 0, in, out, 1, 64, FIAR_DTYPE_F32, NULL);
    if (status != FIAR_OK) {
      RANKS_CHECK(status == FIAR_PEER_LOST, "%s: %s", fiar_status_name(status), fiar_last_error());
      return 0;
    }
  }
  RANKS_CHECK(false, "never noticed");
  return 1;
}

static int one_leaves(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_OK(ranks_comm(self, &comm));
  RANKS_OK(fiar_comm_barrier(comm));
  if (self->rank == 0) {
    fiar_comm_destroy(comm);
    (void)poll(NULL, 0, 300);
    return 0;
  }
  RANKS_CHECK(fiar_comm_barrier(comm) == FIAR_PEER_LOST, "%s", fiar_last_error());
  RANKS_SAYS("has left the group");
  fiar_comm_destroy(comm);
  return 0;
}

static int one_is_stopped(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_OK(ranks_comm(self, &comm));
  RANKS_OK(fiar_comm_barrier(comm));
  if (self->rank == 1) {
    (void)raise(SIGSTOP);  // the harness's limit ends it
  }
  RANKS_CHECK(fiar_comm_barrier(comm) != FIAR_OK, "came through");
  // Whoever runs into the bound first gives up, and the others may hear of that instead.
  RANKS_CHECK(strstr(fiar_last_error(), "rank 1 of 3 did not arrive") ||
                  strstr(fiar_last_error(), "has left the group"),
              "%s", fiar_last_error());
  fiar_comm_destroy(comm);
  return 0;
}

// What is refused on one rank alone takes its number: the next attempts meet.
static int one_is_refused_and_all_try_again(const ranks_self_t* self) {
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.timeout_ms = 500;
  options.backend = self->rank == 0 ? "no such backend" : NULL;
  fiar_comm_t* comm;
  const fiar_status_t status = fiar_comm_create_from_env(&options, &comm);
  RANKS_CHECK(status == (self->rank == 0 ? FIAR_INVALID_ARGUMENT : FIAR_TIMEOUT), "%d: %s", status,
              fiar_last_error());
  RANKS_OK(fiar_comm_create_from_env(NULL, &comm));
  RANKS_OK(fiar_comm_barrier(comm));
  fiar_comm_destroy(comm);
  return 0;
}

static int a_forked_child_is_not_the_rank(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_OK(fiar_comm_create_from_env(NULL, &comm));
  const pid_t child = self->rank == 0 ? fork() : -1;
  if (child == 0) {
    fiar_comm_destroy(comm);
    _exit(0);
  }
  if (child > 0) {
    int status = 1;
    RANKS_CHECK(waitpid(child, &status, 0) == child && status == 0, "the child's status is %d",
                status);
  }
  RANKS_OK(fiar_comm_barrier(comm));
  fiar_comm_destroy(comm);
  return 0;
}

static int one_never_starts(const ranks_self_t* self) {
  fiar_comm_t* comm;
  const fiar_status_t status = fiar_comm_create_from_env(NULL, &comm);
  RANKS_CHECK(status == FIAR_TIMEOUT && !comm, "%d: %s", status, fiar_last_error());
  RANKS_SAYS(self->argument);
  return 0;
}

static int the_environment_attempt_is_not_repeated(const ranks_self_t* self) {
  for (int i = 0; i < 1000; ++i) {  // a thousand bounds would run into the harness's
    const fiar_status_t status = fiar_rt_check_world(NULL, 0, 2);
    RANKS_CHECK(status == FIAR_TIMEOUT, "%d", status);
    RANKS_SAYS("did not arrive");
  }
  return 0;
}

static int ranks_disagree_on_the_world(const ranks_self_t* self) {
  (void)setenv("WORLD_SIZE", self->rank == 1 ? "4" : "2", 1);
  (void)unsetenv("LOCAL_WORLD_SIZE");
  fiar_comm_t* comm;
  const fiar_status_t status = fiar_comm_create_from_env(NULL, &comm);
  RANKS_CHECK(status == FIAR_MISMATCH, "%d: %s", status, fiar_last_error());
  RANKS_SAYS("rank 0 was told of 2 ranks, rank 1 of 4");
  return 0;
}

static int one_has_no_descriptors_left(const ranks_self_t* self) {
  if (self->rank == 0) {  // the board's memory and the listener take two
    const int low = dup(0);
    (void)close(low);
    const struct rlimit limit = {(rlim_t)low + 2, (rlim_t)low + 2};
    RANKS_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
  }
  fiar_comm_t* comm;
  const fiar_status_t status = fiar_comm_create_from_env(NULL, &comm);
  RANKS_CHECK(status == (self->rank == 0 ? FIAR_SYSTEM_ERROR : FIAR_PEER_LOST), "%d: %s", status,
              fiar_last_error());
  return 0;
}

static int two_say_they_are_rank_one(const ranks_self_t* self) {
  (void)setenv("RANK", self->rank == 0 ? "0" : "1", 1);
  fiar_comm_t* comm;
  RANKS_CHECK(fiar_comm_create_from_env(NULL, &comm) == FIAR_MISMATCH, "%s", fiar_last_error());
  RANKS_SAYS("two processes say that they are rank 1 of 3");
  return 0;
}

static int ranks_force_different_backends(const ranks_self_t* self) {
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = FIAR_DEVICE_NONE;
  options.backend = self->rank == 1 ? "nccl" : "host";
  fiar_comm_t* comm;
  RANKS_CHECK(fiar_comm_create_from_env(&options, &comm) == FIAR_MISMATCH, "%s", fiar_last_error());
  RANKS_SAYS("backend is \"host\" on rank 0, \"nccl\" on rank 1");
  return 0;
}

static int ranks_make_different_calls(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_OK(ranks_comm(self, &comm));
  float in[128] = {1}, out[128];
  const bool odd = self->rank == 1;
  fiar_status_t status =
      fiar_rt_all_reduce(comm, 0, in, out, 1, odd ? 128 : 64, FIAR_DTYPE_F32, NULL);
  RANKS_CHECK(status == FIAR_MISMATCH, "%d: %s", status, fiar_last_error());
  RANKS_SAYS("hidden is 64 on rank 0, 128 on rank 1");
  status =
      fiar_rt_all_reduce(comm, 0, in, out, 1, 64, odd ? FIAR_DTYPE_BF16 : FIAR_DTYPE_F32, NULL);
  RANKS_CHECK(status == FIAR_MISMATCH, "%d: %s", status, fiar_last_error());
  RANKS_SAYS("dtype is 3 on rank 0, 2 on rank 1");
  // What is wanted takes part in choosing the backend.
  const fiar_all_reduce_norm_params wants = {.struct_size = sizeof wants,
                                             .input = in,
                                             .sum_out = odd ? NULL : out,
                                             .norm_out = odd ? out : NULL,
                                             .tokens = 1,
                                             .hidden = 64,
                                             .dtype = FIAR_DTYPE_F32};
  status = fiar_rt_all_reduce_norm(comm, &wants, NULL);
  RANKS_CHECK(status == FIAR_MISMATCH, "%d: %s", status, fiar_last_error());
  RANKS_SAYS("scales_out (wanted: 1) is 0 on rank 0, 1 on rank 1");
  // One that has no tokens, and so nothing to do, tells the others so.
  status = fiar_rt_all_reduce(comm, 0, in, out, odd ? 0 : 1, 64, FIAR_DTYPE_F32, NULL);
  RANKS_CHECK(status == FIAR_MISMATCH, "%d: %s", status, fiar_last_error());
  RANKS_SAYS("tokens is 1 on rank 0, 0 on rank 1");
  RANKS_OK(
      fiar_rt_all_reduce(comm, 0, odd ? in : NULL, odd ? out : NULL, 0, 64, FIAR_DTYPE_F32, NULL));
  // One that needs a larger workspace on one rank only is found out, too, before it is made.
  float *large_in = calloc(1 << 20, sizeof *large_in),
        *large_out = calloc(1 << 20, sizeof *large_out);
  status =
      fiar_rt_all_reduce(comm, 0, large_in, large_out, odd ? 1 << 14 : 1, 64, FIAR_DTYPE_F32, NULL);
  free(large_in);
  free(large_out);
  RANKS_CHECK(status == FIAR_MISMATCH, "%d: %s", status, fiar_last_error());
  RANKS_SAYS("tokens is 1 on rank 0, 16384 on rank 1");
  // The ranks still agree on where they are, so a good call goes through.
  RANKS_OK(fiar_rt_all_reduce(comm, 0, in, out, 1, 64, FIAR_DTYPE_F32, NULL));
  return finish(self, comm);
}

static int ranks_exchange_different_amounts(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_OK(ranks_comm(self, &comm));
  char mine[32] = "", all[3 * 32];
  const size_t bytes = self->rank == 2 ? 32 : 16;
  RANKS_CHECK(fiar_comm_all_gather(comm, mine, all, bytes) != FIAR_OK, "came through");
  // Whoever sees it first leaves, and the others may hear of that instead.
  RANKS_CHECK(strstr(fiar_last_error(), "the ranks make different calls") ||
                  strstr(fiar_last_error(), "has left the group"),
              "%s", fiar_last_error());
  return finish(self, comm);
}

static int models_are_checked(const ranks_self_t* self) {
  RANKS_OK(fiar_rt_check_world(NULL, 0, 2));
  RANKS_CHECK(fiar_rt_check_world(NULL, 0, 4) == FIAR_MISMATCH, "4 of 2 ranks");
  RANKS_SAYS("compiled for 4 ranks, group 0 has 2");
  RANKS_CHECK(fiar_rt_check_world(NULL, 3, 2) == FIAR_INVALID_ARGUMENT, "group 3");
  RANKS_SAYS("group 3 has no communicator");
  RANKS_OK(fiar_rt_check_abi(FIAR_ABI_VERSION));
  RANKS_CHECK(fiar_rt_check_abi(FIAR_ABI_VERSION + 1) == FIAR_ABI_MISMATCH, "newer");
  RANKS_SAYS("ABI 2, this library serves 1 to 1");
  return 0;
}

static int groups_are_set_and_taken_back(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_OK(ranks_comm(self, &comm));
  float in[4] = {1, 2, 3, 4}, out[4];
  const int32_t group = 100 + self->rank;  // threads share the process's groups
  RANKS_OK(fiar_rt_set_comm(group, comm));
  RANKS_OK(fiar_rt_all_reduce(NULL, group, in, out, 1, 4, FIAR_DTYPE_F32, NULL));
  RANKS_CHECK(out[3] == 4.0f * (float)self->world, "%g", (double)out[3]);
  RANKS_OK(fiar_rt_set_comm(group, NULL));
  RANKS_CHECK(
      fiar_rt_all_reduce(NULL, group, in, out, 1, 4, FIAR_DTYPE_F32, NULL) == FIAR_INVALID_ARGUMENT,
      "still there");
  return finish(self, comm);
}

// As threads of one process run the same model, whose calls all say group 5.
static int threads_have_groups_of_their_own(const ranks_self_t* self) {
  float in[4] = {1, 2, 3, 4}, out[4];
  RANKS_OK(fiar_rt_set_thread_comm(5, self->comm));
  RANKS_OK(fiar_rt_check_world(NULL, 5, self->world));
  RANKS_OK(fiar_rt_all_reduce(NULL, 5, in, out, 1, 4, FIAR_DTYPE_F32, NULL));
  RANKS_CHECK(out[1] == 2.0f * (float)self->world, "%g", (double)out[1]);
  RANKS_OK(fiar_rt_set_thread_comm(5, NULL));
  RANKS_CHECK(fiar_rt_check_world(NULL, 5, self->world) == FIAR_INVALID_ARGUMENT, "still there");
  for (int32_t group = 0; group < 64; ++group) {
    RANKS_OK(fiar_rt_set_thread_comm(group, self->comm));
  }
  RANKS_CHECK(fiar_rt_set_thread_comm(64, self->comm) == FIAR_UNSUPPORTED, "a 65th");
  RANKS_OK(fiar_rt_set_thread_comm(63, NULL));
  RANKS_OK(fiar_rt_set_thread_comm(64, self->comm));
  return 0;
}

static int rows_are_gathered_in_order(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_OK(ranks_comm(self, &comm));
  enum { TOKENS = 7, HIDDEN = 3 };
  float rows[4 * HIDDEN], out[TOKENS * HIDDEN];
  for (int i = 0; i < 4 * HIDDEN; ++i) {
    const int token = i / HIDDEN * self->world + self->rank;
    rows[i] = (float)(token * 10 + i % HIDDEN);
  }
  RANKS_OK(fiar_rt_all_gather_rows(comm, 0, rows, out, TOKENS, HIDDEN, FIAR_DTYPE_F32, NULL));
  for (int i = 0; i < TOKENS * HIDDEN; ++i) {
    const int expected = i / HIDDEN * 10 + i % HIDDEN;
    RANKS_CHECK(out[i] == (float)expected, "[%d] is %g", i, (double)out[i]);
  }
  RANKS_CHECK(fiar_rt_all_gather_rows(comm, 0, out, out + 2, TOKENS, HIDDEN, FIAR_DTYPE_F32,
                                      NULL) == FIAR_INVALID_ARGUMENT,
              "overlap");
  RANKS_OK(fiar_rt_all_gather_rows(comm, 0, NULL, NULL, 0, HIDDEN, FIAR_DTYPE_F32, NULL));
  return finish(self, comm);
}

static int rows_are_taken_by_their_owners(const ranks_self_t* self) {
  fiar_comm_t* comm;
  RANKS_OK(ranks_comm(self, &comm));
  enum { TOKENS = 7, HIDDEN = 3, HELD = 3 };
  float full[TOKENS * HIDDEN], rows[HELD * HIDDEN];
  for (int i = 0; i < TOKENS * HIDDEN; ++i) {
    const int row = i / HIDDEN;
    full[i] = (float)(row * 10 + i % HIDDEN);
  }
  for (int i = 0; i < HELD * HIDDEN; ++i) {
    rows[i] = -1;
  }
  RANKS_OK(fiar_rt_take_rows(comm, 0, full, rows, TOKENS, HIDDEN, FIAR_DTYPE_F32, NULL));
  for (int i = 0; i < HELD * HIDDEN; ++i) {
    const int token = i / HIDDEN * self->world + self->rank;
    const int expected = token < TOKENS ? token * 10 + i % HIDDEN : -1;
    RANKS_CHECK(rows[i] == (float)expected, "[%d] is %g", i, (double)rows[i]);
  }
  RANKS_CHECK(fiar_rt_take_rows(comm, 0, full, full + 2, TOKENS, HIDDEN, FIAR_DTYPE_F32, NULL) ==
                  FIAR_INVALID_ARGUMENT,
              "overlap");
  RANKS_CHECK(fiar_rt_take_rows(comm, 0, NULL, rows, TOKENS, HIDDEN, FIAR_DTYPE_F32, NULL) ==
                  FIAR_INVALID_ARGUMENT,
              "no full");
  RANKS_OK(fiar_rt_take_rows(comm, 0, NULL, NULL, 0, HIDDEN, FIAR_DTYPE_F32, NULL));
  return finish(self, comm);
}

// ---- Tests ----

#define PROCESSES(name, ranks, ...)                                                            \
  static void test_##name(void** state) {                                                      \
    (void)state;                                                                               \
    const ranks_run_t run = {.body = #name, .world = ranks, .timeout_ms = 20000, __VA_ARGS__}; \
    assert_int_equal(ranks_run(&run, NULL), 0);                                                \
  }
static const char* const short_bound[] = {"FIAR_TIMEOUT_MS=1500", NULL};
static const char* const long_bound[] = {"FIAR_TIMEOUT_MS=600000", NULL};

PROCESSES(exchanges, 5, .argument = "")
PROCESSES(votes, 3, .argument = "")
PROCESSES(two_communicators, 3, .argument = "")
PROCESSES(from_a_callback, 4, .argument = "")
PROCESSES(from_a_callback_that_knows_better, 4, .argument = "")
PROCESSES(from_a_bad_callback, 2, .argument = "")
PROCESSES(ranks_disagree_on_the_world, 2, .argument = "")
PROCESSES(ranks_force_different_backends, 3, .argument = "")
PROCESSES(ranks_make_different_calls, 3, .argument = "")
PROCESSES(ranks_exchange_different_amounts, 3, .environment = long_bound)
PROCESSES(models_are_checked, 2, .argument = "")
PROCESSES(groups_are_set_and_taken_back, 3, .argument = "")
PROCESSES(rows_are_gathered_in_order, 3, .argument = "")
PROCESSES(rows_are_taken_by_their_owners, 3, .argument = "")
PROCESSES(two_say_they_are_rank_one, 3, .argument = "")
PROCESSES(one_has_no_descriptors_left, 2, .environment = long_bound)
PROCESSES(one_leaves, 3, .environment = long_bound)
PROCESSES(one_is_refused_and_all_try_again, 2, .argument = "")
PROCESSES(a_forked_child_is_not_the_rank, 2, .argument = "")

static void run_one_lost(const char* body, int32_t world, int32_t lost,
                         const char* const* environment, int lost_result, int32_t limit_ms) {
  int results[FIAR_MAX_WORLD];
  const ranks_run_t run = {
      .body = body, .world = world, .timeout_ms = limit_ms, .environment = environment};
  assert_int_equal(ranks_run(&run, results), 1);
  assert_int_equal(results[lost], lost_result);
}

// The bound is ten minutes, the harness's limit 8 s: it is the death that is noticed.
static void test_one_is_killed(void** state) {
  (void)state;
  run_one_lost("one_is_killed", 4, 2, long_bound, RANKS_KILLED + SIGKILL, 8000);
}

static void test_one_is_killed_at_work(void** state) {
  (void)state;
  run_one_lost("one_is_killed_at_work", 3, 1, long_bound, RANKS_KILLED + SIGKILL, 8000);
}

static void test_one_is_stopped(void** state) {
  (void)state;
  run_one_lost("one_is_stopped", 3, 1, short_bound, RANKS_LATE, 5000);
}

static void run_absent(int32_t absent, const char* words) {
  const ranks_run_t run = {.body = "one_never_starts",
                           .argument = words,
                           .world = 3,
                           .absent = 1u << absent,
                           .timeout_ms = 8000,
                           .environment = short_bound};
  assert_int_equal(ranks_run(&run, NULL), 0);
}

static void test_one_never_starts(void** state) {
  (void)state;
  run_absent(0, "rank 0 did not arrive");
  run_absent(2, "2 of 3 did not arrive");
}

static void test_the_environment_attempt_is_not_repeated(void** state) {
  (void)state;
  const ranks_run_t run = {.body = "the_environment_attempt_is_not_repeated",
                           .world = 2,
                           .absent = 2,
                           .timeout_ms = 8000,
                           .environment = short_bound};
  assert_int_equal(ranks_run(&run, NULL), 0);
}

static void threads_do_what_processes_do(void** state) {
  (void)state;
  static const char* const shared[] = {"exchanges",
                                       "votes",
                                       "from_a_callback",
                                       "ranks_make_different_calls",
                                       "groups_are_set_and_taken_back",
                                       "rows_are_gathered_in_order",
                                       "rows_are_taken_by_their_owners",
                                       "threads_have_groups_of_their_own"};
  for (size_t i = 0; i < sizeof shared / sizeof *shared; ++i) {
    const ranks_run_t run = {.body = shared[i], .world = 3, .threads = 1};
    assert_int_equal(ranks_run(&run, NULL), 0);
  }
}

// What a rank does by itself needs no other rank, so one thread may do it for all.
static void one_thread_works_alone_for_all_ranks(void** state) {
  (void)state;
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  fiar_comm_t* comms[2];
  options.device = FIAR_DEVICE_NONE;
  assert_int_equal(fiar_comm_create_threads(2, NULL, &options, comms), FIAR_OK);
  for (int rank = 0; rank < 2; ++rank) {
    void* memory = NULL;
    const float in[2][2] = {{1, 2}, {3, 4}};
    assert_int_equal(fiar_rt_check_world(comms[rank], 0, 2), FIAR_OK);
    assert_int_equal(fiar_rt_arena_create(comms[rank], 0, 64, &memory), FIAR_OK);
    assert_int_equal(fiar_rt_take_rows(comms[rank], 0, in, memory, 2, 2, FIAR_DTYPE_F32, NULL),
                     FIAR_OK);
    assert_memory_equal(memory, in[rank], sizeof *in);
    assert_int_equal(fiar_rt_arena_destroy(comms[rank], 0, memory), FIAR_OK);
    // A call that is refused asks nobody either.
    assert_int_equal(fiar_rt_all_reduce(comms[rank], 0, NULL, NULL, 1, 4, FIAR_DTYPE_F32, NULL),
                     FIAR_INVALID_ARGUMENT);
  }
  // No group keeps the name of what is gone.
  assert_int_equal(fiar_rt_set_comm(77, comms[0]), FIAR_OK);
  assert_int_equal(fiar_rt_set_thread_comm(78, comms[0]), FIAR_OK);
  fiar_comm_destroy(comms[0]);
  fiar_comm_destroy(comms[1]);
  assert_int_equal(fiar_rt_check_world(NULL, 77, 2), FIAR_INVALID_ARGUMENT);
  assert_int_equal(fiar_rt_check_world(NULL, 78, 2), FIAR_INVALID_ARGUMENT);
}

static void bad_options_are_refused(void** state) {
  (void)state;
  fiar_comm_t* comms[2];
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.backend = "trt";
  assert_int_equal(fiar_comm_create_threads(2, NULL, &options, comms), FIAR_INVALID_ARGUMENT);
  assert_non_null(strstr(fiar_last_error(), "options.backend is \"trt\""));
  assert_null(comms[0]);
  options = (fiar_comm_options_t)FIAR_COMM_OPTIONS_DEFAULT;
  options.timeout_ms = -1;
  assert_int_equal(fiar_comm_create_threads(2, NULL, &options, comms), FIAR_INVALID_ARGUMENT);
  options.timeout_ms = 0;
  options.backend = "host";
  for (uint32_t size = 0; size < sizeof options + 8; ++size) {  // no field is taken in part
    options.struct_size = size;
    const bool whole = size == 4 || size == 8 || size == 12 || size == sizeof options;
    assert_int_equal(fiar_comm_create_threads(2, NULL, &options, comms),
                     whole ? FIAR_OK : FIAR_ABI_MISMATCH);
    fiar_comm_destroy(comms[0]);
    fiar_comm_destroy(comms[1]);
  }
  options.struct_size = sizeof options;
  options.device = -7;
  assert_int_equal(fiar_comm_create_threads(2, NULL, &options, comms), FIAR_INVALID_ARGUMENT);
  assert_int_equal(fiar_comm_create_threads(0, NULL, NULL, comms), FIAR_INVALID_ARGUMENT);
  assert_int_equal(fiar_comm_create_threads(65, NULL, NULL, comms), FIAR_INVALID_ARGUMENT);
  fiar_comm_destroy(NULL);
}

static void nothing_is_known_of_no_communicator(void** state) {
  (void)state;
  assert_int_equal(fiar_comm_rank(NULL), -1);
  assert_int_equal(fiar_comm_world(NULL), 0);
  assert_int_equal(fiar_comm_device(NULL), FIAR_DEVICE_NONE);
  assert_int_equal(fiar_comm_timeout_ms(NULL), 0);
  assert_string_equal(fiar_comm_backend(NULL), "none");
  assert_string_equal(fiar_workspace_backend(NULL), "none");
  assert_int_equal(fiar_workspace_bytes(NULL), 0);
  assert_int_equal(fiar_comm_async_error(NULL), FIAR_INVALID_ARGUMENT);
  assert_string_equal(fiar_allreduce_disabled_reason(NULL), "allreduce is NULL");
  const char* reason = NULL;
  assert_false(fiar_allreduce_should_use(NULL, NULL, &reason));
  assert_string_equal(reason, "allreduce is NULL");
}

#define BODIES(X)                      \
  X(exchanges)                         \
  X(votes)                             \
  X(two_communicators)                 \
  X(from_a_callback)                   \
  X(from_a_callback_that_knows_better) \
  X(from_a_bad_callback)               \
  X(ranks_disagree_on_the_world)       \
  X(ranks_force_different_backends)    \
  X(ranks_make_different_calls)        \
  X(ranks_exchange_different_amounts)  \
  X(models_are_checked)                \
  X(groups_are_set_and_taken_back)     \
  X(rows_are_gathered_in_order)        \
  X(rows_are_taken_by_their_owners)    \
  X(two_say_they_are_rank_one)         \
  X(one_has_no_descriptors_left)       \
  X(one_leaves)                        \
  X(one_is_refused_and_all_try_again)  \
  X(a_forked_child_is_not_the_rank)    \
  X(one_is_killed)                     \
  X(one_is_killed_at_work)             \
  X(one_is_stopped)                    \
  X(one_never_starts)                  \
  X(the_environment_attempt_is_not_repeated)

int main(void) {
#define X(name) RANKS_BODY(name),
  static const ranks_body_t bodies[] = {BODIES(X) X(threads_have_groups_of_their_own)};
#undef X
  ranks_main(bodies, sizeof bodies / sizeof *bodies);
#define X(name) {#name, test_##name, NULL, NULL, NULL},
  const struct CMUnitTest tests[] = {
      BODIES(X) cmocka_unit_test(threads_do_what_processes_do),
      cmocka_unit_test(one_thread_works_alone_for_all_ranks),
      cmocka_unit_test(bad_options_are_refused),
      cmocka_unit_test(nothing_is_known_of_no_communicator),
  };
#undef X
  return cmocka_run_group_tests(tests, NULL, NULL);
}
