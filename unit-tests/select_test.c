// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The choice of a backend: pure, so a table of cases is all it takes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <string.h>

#include "base/env.h"
#include "fake_backend.h"

static const fiar_backend_t* const table[] = {&fake_picky, &fake_trtllm, &fake_nccl};
static const fiar_caps_t caps = {.world = 4, .one_host = 1};

static fiar_status_t select_for(const char* forced, uint32_t failed, size_t* out_index) {
  const fiar_problem_t problem = fiar_problem_of_shape(16, 4096, FIAR_DTYPE_BF16, true);
  return fiar_select(table, 3, &problem, &caps, forced, failed, out_index);
}

static void error_says(const char* words) {
  if (!strstr(fiar_last_error(), words)) {
    fail_msg("\"%s\" does not say \"%s\"", fiar_last_error(), words);
  }
}

static void auto_takes_the_first_that_does_not_refuse(void** state) {
  (void)state;
  size_t index;
  assert_int_equal(select_for("auto", 0, &index), FIAR_OK);
  assert_int_equal(index, 1);
}

static void auto_passes_over_one_that_could_not_be_opened(void** state) {
  (void)state;
  size_t index;
  assert_int_equal(select_for("auto", 1u << 1, &index), FIAR_OK);
  assert_int_equal(index, 2);
}

static void a_forced_backend_is_taken_out_of_order(void** state) {
  (void)state;
  size_t index;
  assert_int_equal(select_for("nccl", 0, &index), FIAR_OK);
  assert_int_equal(index, 2);
}

static void a_forced_backend_that_refuses_is_an_error_not_a_fallback(void** state) {
  (void)state;
  size_t index;
  assert_int_equal(select_for("mnnvl", 0, &index), FIAR_UNSUPPORTED);
  error_says("all-reduce + norm of [16, 4096] bf16 to fp8_static on 4 ranks (mnnvl: it is picky)");
}

static void a_backend_that_is_not_built_in_is_named(void** state) {
  (void)state;
  size_t index;
  assert_int_equal(select_for("host", 0, &index), FIAR_UNSUPPORTED);
  error_says("\"host\"");
}

static void when_none_serves_every_reason_is_told(void** state) {
  (void)state;
  size_t index;
  assert_int_equal(select_for("auto", 6, &index), FIAR_UNSUPPORTED);
  error_says("mnnvl: it is picky; trtllm: its workspace could not be made; nccl: its workspace");
}

static void host_serves_host_ranks_alone_and_up_to_sixteen(void** state) {
  (void)state;
  size_t count, index;
  const fiar_backend_t* const* built_in = fiar_backend_table(&count);
  const fiar_problem_t problem = fiar_problem_of_shape(16, 4096, FIAR_DTYPE_BF16, false);
  const fiar_caps_t sixteen = {.world = 16}, more = {.world = 17}, device = {.world = 2, .sm = 90};
  assert_int_equal(fiar_select(built_in, count, &problem, &sixteen, "host", 0, &index), FIAR_OK);
  assert_string_equal(built_in[index]->name, "host");
  assert_int_equal(fiar_select(built_in, count, &problem, &more, "host", 0, &index),
                   FIAR_UNSUPPORTED);
  assert_int_equal(fiar_select(built_in, count, &problem, &device, "host", 0, &index),
                   FIAR_UNSUPPORTED);
  assert_int_equal(fiar_select(built_in, count, &problem, &sixteen, "auto", 0, &index), FIAR_OK);
  assert_string_equal(built_in[index]->name, "host");
}

static void every_backend_can_be_forced_by_the_environment(void** state) {
  (void)state;
  size_t count;
  const fiar_backend_t* const* built_in = fiar_backend_table(&count);
  char word[16];
  for (size_t i = 0; i < count; ++i) {
    assert_int_equal(fiar_parse_choice("name", built_in[i]->name, FIAR_BACKEND_CHOICES, word, 16),
                     FIAR_OK);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(auto_takes_the_first_that_does_not_refuse),
      cmocka_unit_test(auto_passes_over_one_that_could_not_be_opened),
      cmocka_unit_test(a_forced_backend_is_taken_out_of_order),
      cmocka_unit_test(a_forced_backend_that_refuses_is_an_error_not_a_fallback),
      cmocka_unit_test(a_backend_that_is_not_built_in_is_named),
      cmocka_unit_test(when_none_serves_every_reason_is_told),
      cmocka_unit_test(host_serves_host_ranks_alone_and_up_to_sixteen),
      cmocka_unit_test(every_backend_can_be_forced_by_the_environment),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
