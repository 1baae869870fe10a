// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Workspaces and the gated all-reduce, on threads over a fake trtllm and nccl: who shares what,
// what grows, and that a failure is everyone's and is remembered.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <string.h>

#include "fake_backend.h"
#include "ranks.h"

enum { WORLD = 3, HIDDEN = 1024, TWICE = 2048, EIGHTFOLD = 8192, HALF = 512 };

static const fiar_backend_t* const table[] = {&fake_picky, &fake_trtllm, &fake_nccl};

#define RANKS_SAYS(words)                                                                        \
  RANKS_CHECK(strstr(fiar_last_error(), words), "\"%s\" does not say \"%s\"", fiar_last_error(), \
              words)

// ---- Bodies ----

static int shares_one_way(const ranks_self_t* self) {
  fiar_workspace_t *plain, *quant;
  RANKS_OK(fiar_workspace_get(self->comm, 16, HIDDEN, FIAR_DTYPE_BF16, &plain));
  RANKS_OK(fiar_workspace_get_quant(self->comm, 16, HIDDEN, FIAR_DTYPE_BF16, &quant));
  RANKS_CHECK(plain == quant, "two workspaces");
  fiar_workspace_destroy(plain);
  RANKS_OK(fiar_comm_barrier(self->comm));
  RANKS_CHECK(atomic_load(&fake_counts.closed) == 0, "closed while shared");
  RANKS_OK(fiar_comm_barrier(self->comm));
  fiar_workspace_destroy(quant);
  return 0;
}

static int shares_the_other_way(const ranks_self_t* self) {
  fiar_workspace_t *plain, *quant;
  RANKS_OK(fiar_workspace_get_quant(self->comm, 16, HIDDEN, FIAR_DTYPE_BF16, &quant));
  RANKS_OK(fiar_workspace_get(self->comm, 8, HIDDEN, FIAR_DTYPE_F16, &plain));
  RANKS_CHECK(plain == quant, "two workspaces");
  fiar_workspace_destroy(quant);
  fiar_workspace_destroy(plain);
  fiar_workspace_destroy(NULL);
  return 0;
}

static int quant_is_always_trtllm(const ranks_self_t* self) {
  fiar_workspace_t *plain, *quant;
  RANKS_OK(fiar_workspace_get(self->comm, 16, HIDDEN, FIAR_DTYPE_BF16, &plain));
  RANKS_OK(fiar_workspace_get_quant(self->comm, 16, HIDDEN, FIAR_DTYPE_BF16, &quant));
  RANKS_CHECK(strcmp(fiar_workspace_backend(plain), "nccl") == 0, "%s",
              fiar_workspace_backend(plain));
  RANKS_CHECK(strcmp(fiar_workspace_backend(quant), "trtllm") == 0, "%s",
              fiar_workspace_backend(quant));
  fiar_workspace_destroy(plain);
  fiar_workspace_destroy(quant);
  return 0;
}

static int grows_for_a_larger_request(const ranks_self_t* self) {
  fiar_workspace_t *small, *large, *again;
  RANKS_OK(fiar_workspace_get(self->comm, 16, HIDDEN, FIAR_DTYPE_BF16, &small));
  const size_t first = fiar_workspace_bytes(small);
  RANKS_OK(fiar_workspace_get(self->comm, 4096, HIDDEN, FIAR_DTYPE_F32, &large));
  RANKS_CHECK(large == small && fiar_workspace_bytes(small) > first, "%zu then %zu bytes", first,
              fiar_workspace_bytes(small));
  const size_t second = fiar_workspace_bytes(small);
  RANKS_OK(fiar_workspace_get(self->comm, 2, EIGHTFOLD, FIAR_DTYPE_F16, &again));
  RANKS_CHECK(fiar_workspace_bytes(again) == second, "a smaller request changed the size");
  RANKS_OK(fiar_comm_barrier(self->comm));
  RANKS_CHECK(atomic_load(&fake_counts.opened) == 2 * WORLD, "%d openings",
              atomic_load(&fake_counts.opened));
  RANKS_OK(fiar_comm_barrier(self->comm));
  fiar_workspace_destroy(small);
  fiar_workspace_destroy(large);
  fiar_workspace_destroy(again);
  return 0;
}

static int differing_requests_are_refused(const ranks_self_t* self) {
  fiar_workspace_t* workspace;
  const int64_t tokens = self->rank == 1 ? 32 : 16;
  const fiar_status_t status =
      fiar_workspace_get(self->comm, tokens, HIDDEN, FIAR_DTYPE_BF16, &workspace);
  RANKS_CHECK(status == FIAR_MISMATCH && !workspace, "%d", status);
  RANKS_SAYS("tokens is 16 on rank 0, 32 on rank 1");
  const char* name = self->rank == 1 ? "trtllm" : "host";
  RANKS_CHECK(fiar_workspace_create(self->comm, name, 16, HIDDEN, FIAR_DTYPE_BF16, &workspace) ==
                  FIAR_MISMATCH,
              "%s", fiar_last_error());
  RANKS_SAYS("backend is \"host\" on rank 0, \"trtllm\" on rank 1");
  return 0;
}

static int one_ranks_failure_is_everyones(const ranks_self_t* self) {
  fiar_workspace_t* workspace;
  for (int i = 0; i < 3; ++i) {
    const fiar_status_t status =
        fiar_workspace_get_quant(self->comm, 16, HIDDEN, FIAR_DTYPE_BF16, &workspace);
    RANKS_CHECK(status == FIAR_OUT_OF_MEMORY && !workspace, "%d", status);
    RANKS_SAYS("bytes of fake memory");
  }
  RANKS_OK(fiar_comm_barrier(self->comm));
  const int opened = atomic_load(&fake_counts.opened);
  // Two sizes were tried once: with room to spare, then just enough.
  RANKS_CHECK(opened == 2 * (WORLD - 1), "%d openings: retried", opened);
  RANKS_CHECK(atomic_load(&fake_counts.closed) == opened, "the others kept theirs");
  return 0;
}

static int auto_falls_back_and_stays_there(const ranks_self_t* self) {
  uint16_t input[4] = {0}, norm[4];
  const fiar_all_reduce_norm_params call = {.struct_size = sizeof call,
                                            .input = input,
                                            .norm_out = norm,
                                            .tokens = 1,
                                            .hidden = 4,
                                            .dtype = FIAR_DTYPE_F16};
  for (int i = 0; i < 3; ++i) {
    RANKS_OK(fiar_rt_all_reduce_norm(self->comm, &call, NULL));
    RANKS_CHECK(strcmp(fiar_comm_backend(self->comm), "nccl") == 0, "%s",
                fiar_comm_backend(self->comm));
  }
  return 0;
}

static int a_captured_stream_opens_nothing(const ranks_self_t* self) {
  uint16_t input[4] = {0}, norm[4];
  const fiar_all_reduce_norm_params call = {.struct_size = sizeof call,
                                            .input = input,
                                            .norm_out = norm,
                                            .tokens = 1,
                                            .hidden = 4,
                                            .dtype = FIAR_DTYPE_F16};
  const fiar_status_t status = fiar_rt_all_reduce_norm(self->comm, &call, norm);
  RANKS_CHECK(status == FIAR_UNSUPPORTED, "%d", status);
  RANKS_SAYS("while the stream is captured");
  RANKS_OK(fiar_rt_all_reduce_norm(self->comm, &call, NULL));
  RANKS_OK(fiar_rt_all_reduce_norm(self->comm, &call, norm));
  return 0;
}

// ---- The gate ----

static int the_gate_says_why_not(const ranks_self_t* self) {
  fiar_allreduce_t* allreduce;
  RANKS_OK(fiar_allreduce_create(self->comm, &allreduce));
  RANKS_CHECK(!fiar_allreduce_disabled_reason(allreduce), "disabled");
  const int64_t shape[] = {16, HIDDEN}, strides[] = {TWICE, 1}, large[] = {1 << 20, HIDDEN},
                other[] = {16, HALF}, cube[] = {2, 8, HIDDEN};
  float data[1] = {0};
  const fiar_tensor_t good = {data, shape, NULL, 2, FIAR_DEVICE_NONE, FIAR_DTYPE_BF16};
  const struct {
    fiar_tensor_t tensor;
    const char* words;
  } rows[] = {
      {{data, shape, NULL, 2, 0, FIAR_DTYPE_BF16}, "on device 0"},
      {{data, cube, NULL, 3, FIAR_DEVICE_NONE, FIAR_DTYPE_BF16}, "3 dimensions"},
      {{data, shape, strides, 2, FIAR_DEVICE_NONE, FIAR_DTYPE_BF16}, "not contiguous"},
      {{data, large, NULL, 2, FIAR_DEVICE_NONE, FIAR_DTYPE_BF16},
       "tokens is 1048576, must be 0 to"},
      {{data, other, NULL, 2, FIAR_DEVICE_NONE, FIAR_DTYPE_BF16}, "hidden is 512"},
      {{data, shape, NULL, 2, FIAR_DEVICE_NONE, FIAR_DTYPE_F32}, "dtype 3"},
  };
  const char* reason;
  RANKS_CHECK(fiar_allreduce_run(allreduce, data, data, 1, HIDDEN, NULL) == FIAR_INVALID_ARGUMENT,
              "ran before its first use");
  RANKS_CHECK(fiar_allreduce_should_use(allreduce, &good, &reason), "%s", reason);
  RANKS_CHECK(!reason, "%s", reason);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    RANKS_CHECK(!fiar_allreduce_should_use(allreduce, &rows[i].tensor, &reason), "row %zu", i);
    RANKS_CHECK(strstr(reason, rows[i].words), "\"%s\" does not say \"%s\"", reason, rows[i].words);
  }
  static float in[16 * HIDDEN], out[WORLD][16 * HIDDEN];
  RANKS_OK(fiar_allreduce_run(allreduce, in, out[self->rank], 16, HIDDEN, NULL));
  RANKS_OK(fiar_comm_barrier(self->comm));
  RANKS_CHECK(atomic_load(&fake_counts.runs) == WORLD, "%d runs", atomic_load(&fake_counts.runs));
  RANKS_CHECK(fiar_allreduce_run(allreduce, in, out[self->rank], self->rank == 1 ? 0 : 16, HIDDEN,
                                 NULL) == FIAR_MISMATCH,
              "%s", fiar_last_error());
  RANKS_SAYS("tokens is 16 on rank 0, 0 on rank 1");
  RANKS_OK(fiar_comm_barrier(self->comm));
  fiar_allreduce_destroy(allreduce);
  fiar_allreduce_destroy(NULL);
  return 0;
}

static int a_failed_workspace_disables_the_gate(const ranks_self_t* self) {
  fiar_allreduce_t* allreduce;
  RANKS_OK(fiar_allreduce_create(self->comm, &allreduce));
  const int64_t shape[] = {16, HIDDEN};
  const fiar_tensor_t tensor = {shape, shape, NULL, 2, FIAR_DEVICE_NONE, FIAR_DTYPE_BF16};
  const char* reason;
  RANKS_CHECK(!fiar_allreduce_should_use(allreduce, &tensor, &reason), "served");
  RANKS_CHECK(strstr(reason, "fake memory"), "%s", reason);
  RANKS_CHECK(strstr(fiar_allreduce_disabled_reason(allreduce), "fake memory"), "not disabled");
  RANKS_CHECK(!fiar_allreduce_should_use(allreduce, &tensor, NULL), "served");
  fiar_allreduce_destroy(allreduce);
  return 0;
}

static int a_lone_rank_is_disabled(const ranks_self_t* self) {
  fiar_allreduce_t* allreduce;
  RANKS_OK(fiar_allreduce_create(self->comm, &allreduce));
  const char* reason = fiar_allreduce_disabled_reason(allreduce);
  RANKS_CHECK(reason && strstr(reason, "world is 1"), "%s", reason ? reason : "enabled");
  fiar_allreduce_destroy(allreduce);
  return 0;
}

// ---- Tests ----

static const ranks_body_t bodies[] = {
    RANKS_BODY(shares_one_way),
    RANKS_BODY(shares_the_other_way),
    RANKS_BODY(quant_is_always_trtllm),
    RANKS_BODY(grows_for_a_larger_request),
    RANKS_BODY(differing_requests_are_refused),
    RANKS_BODY(one_ranks_failure_is_everyones),
    RANKS_BODY(auto_falls_back_and_stays_there),
    RANKS_BODY(a_captured_stream_opens_nothing),
    RANKS_BODY(the_gate_says_why_not),
    RANKS_BODY(a_failed_workspace_disables_the_gate),
    RANKS_BODY(a_lone_rank_is_disabled),
};

static void run_body(const char* body, int32_t world, const char* backend, size_t fails_from) {
  atomic_store(&fake_counts.opened, 0);
  atomic_store(&fake_counts.closed, 0);
  atomic_store(&fake_counts.runs, 0);
  atomic_store(&fake_counts.fails_from, fails_from);
  atomic_store(&fake_counts.failing_rank, 1);
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.backend = backend;
  options.device = FIAR_DEVICE_NONE;
  const ranks_run_t run = {.body = body, .world = world, .threads = 1, .options = &options};
  assert_int_equal(ranks_run(&run, NULL), 0);
  assert_int_equal(atomic_load(&fake_counts.opened), atomic_load(&fake_counts.closed));
}

#define TEST(name, world, backend, fails_from)   \
  static void test_##name(void** state) {        \
    (void)state;                                 \
    run_body(#name, world, backend, fails_from); \
  }
TEST(shares_one_way, WORLD, "auto", 0)
TEST(shares_the_other_way, WORLD, "auto", 0)
TEST(quant_is_always_trtllm, WORLD, "nccl", 0)
TEST(grows_for_a_larger_request, WORLD, "auto", 0)
TEST(differing_requests_are_refused, WORLD, "auto", 0)
TEST(one_ranks_failure_is_everyones, WORLD, "auto", 1)
TEST(auto_falls_back_and_stays_there, WORLD, "auto", 1)
TEST(a_captured_stream_opens_nothing, WORLD, "auto", 0)
TEST(the_gate_says_why_not, WORLD, "auto", 0)
TEST(a_failed_workspace_disables_the_gate, WORLD, "trtllm", 1)
TEST(a_lone_rank_is_disabled, 1, "auto", 0)

int main(void) {
  ranks_main(bodies, sizeof bodies / sizeof *bodies);
  fiar_backend_table_replace(table, 3);
#define RUN(name) \
  { #name, test_##name, NULL, NULL, NULL }
  const struct CMUnitTest tests[] = {
      RUN(shares_one_way),
      RUN(shares_the_other_way),
      RUN(quant_is_always_trtllm),
      RUN(grows_for_a_larger_request),
      RUN(differing_requests_are_refused),
      RUN(one_ranks_failure_is_everyones),
      RUN(auto_falls_back_and_stays_there),
      RUN(a_captured_stream_opens_nothing),
      RUN(the_gate_says_why_not),
      RUN(a_failed_workspace_disables_the_gate),
      RUN(a_lone_rank_is_disabled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
