// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What fiar-bench computes from measurements, and how it reads its command line. Nothing is timed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fiar_bench_random.h"
#include "fiar_bench_report.h"

static fiar_status_t parse(bench_options_t* options, const char* name, const char* value) {
  char* arguments[] = {"fiar-bench", (char*)name, (char*)value};
  return bench_options_parse(value == NULL ? 2 : 3, arguments, options);
}

static void ranges_double_and_lists_keep_their_order(void** state) {
  (void)state;
  bench_options_t options;
  assert_int_equal(parse(&options, "--tokens", "3..20,7,1"), FIAR_OK);
  const int64_t want[] = {3, 6, 12, 7, 1};
  assert_int_equal(options.tokens.count, 5);
  assert_memory_equal(options.tokens.at, want, sizeof want);
  assert_int_equal(parse(&options, "--quant=nvfp4,none", NULL), FIAR_OK);
  assert_int_equal(options.quants.at[0], FIAR_QUANT_NVFP4);
  assert_int_equal(options.quants.at[1], FIAR_QUANT_NONE);
}

static void a_bad_option_is_named_with_its_value(void** state) {
  (void)state;
  static const char* const cases[][3] = {
      {"--dtype", "fp9", "--dtype is \"fp9\""},    {"--tokens", "8..2", "8..2"},
      {"--tokens", "", "--tokens is \"\""},        {"--ranks", "17", "--ranks is \"17\""},
      {"--calls", "4x", "--calls is \"4x\""},      {"--colour", "red", "--colour"},
      {"--output", NULL, "--output needs a value"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    bench_options_t options;
    assert_int_equal(parse(&options, cases[i][0], cases[i][1]), FIAR_INVALID_ARGUMENT);
    assert_non_null(strstr(fiar_last_error(), cases[i][2]));
  }
}

static void points_are_every_combination_with_tokens_innermost(void** state) {
  (void)state;
  bench_options_t options;
  bench_case_t* cases = NULL;
  int count = 0;
  char* arguments[] = {"fiar-bench", "--tokens",   "1,2",      "--hidden",
                       "64,128",     "--residual", "full,none"};
  assert_int_equal(bench_options_parse(7, arguments, &options), FIAR_OK);
  assert_int_equal(bench_cases_expand(&options, &cases, &count), FIAR_OK);
  assert_int_equal(count, 8);
  assert_true(cases[0].tokens == 1 && cases[1].tokens == 2);
  assert_true(cases[1].residual == BENCH_RESIDUAL_FULL && cases[2].residual == BENCH_RESIDUAL_NONE);
  assert_true(cases[3].hidden == 64 && cases[4].hidden == 128);
  free(cases);
}

// Two points of the design's table, with the rates measured there.
static void floors_are_those_of_the_better_number_of_hops(void** state) {
  (void)state;
  const bench_floors_t floors = {
      .measured = true, .empty_us = 0.6, .flag_us = 0.76, .egress_gb_s = 350};
  bench_case_t point = {.tokens = 8192,
                        .hidden = 4096,
                        .dtype = FIAR_DTYPE_BF16,
                        .quant = FIAR_QUANT_FP8_STATIC,
                        .residual = BENCH_RESIDUAL_FULL};
  double codes = 8192.0 * 4096;
  assert_int_equal(bench_floor_us(&floors, &point, 4, codes) + 0.5, 288);
  for (int residual = BENCH_RESIDUAL_TOKEN_SHARD; residual <= BENCH_RESIDUAL_TOKEN_BLOCK;
       ++residual) {
    point.residual = (uint8_t)residual;
    assert_int_equal(bench_floor_us(&floors, &point, 4, codes) + 0.5, 216);
  }
  point.tokens = 1;
  assert_int_equal(bench_floor_us(&floors, &point, 4, 4096) * 100 + 0.5, 136);
  const bench_floors_t none = {0};
  assert_true(bench_floor_us(&none, &point, 4, 4096) == 0);
}

static void inputs_stay_within_their_levels_and_use_them_all(void** state) {
  (void)state;
  int seen[16] = {0};
  for (int64_t i = 0; i < 1000; ++i) {
    int32_t level = bench_level(7, i / 100, i % 100, 8);
    assert_in_range(level + 8, 0, 15);
    ++seen[level + 8];
  }
  for (int i = 0; i < 16; ++i) {
    assert_in_range(seen[i], 30, 100);
  }
  assert_true(bench_level(7, 1, 2, 1024) != bench_level(8, 1, 2, 1024));
}

// A report of `count` points, tokens 1, 2, 4, ..., with the given times.
static void tune(const char* path, int32_t world, int64_t hidden, int count, const double* oneshot,
                 const double* twoshot, fiar_status_t want) {
  bench_options_t options;
  bench_row_t* rows = calloc((size_t)count, sizeof *rows);
  assert_non_null(rows);
  char* arguments[] = {"fiar-bench", "--tune", (char*)path};
  assert_int_equal(bench_options_parse(3, arguments, &options), FIAR_OK);
  options.hidden.at[0] = hidden;
  for (int i = 0; i < count; ++i) {
    rows[i].point = (bench_case_t){.tokens = 1 << i, .hidden = hidden, .dtype = FIAR_DTYPE_BF16};
    rows[i].results[BENCH_IMPL_ONESHOT] = (bench_result_t){.served = true, .us = oneshot[i]};
    rows[i].results[BENCH_IMPL_TWOSHOT] =
        (bench_result_t){.served = twoshot[i] > 0, .us = twoshot[i]};
  }
  bench_report_t report = {.options = &options, .world = world, .rows = rows, .count = count};
  assert_int_equal(bench_tune_write(&report), want);
  free(rows);
}

static void read_text(const char* path, char* text, size_t room) {
  FILE* file = fopen(path, "r");
  assert_non_null(file);
  text[fread(text, 1, room - 1, file)] = '\0';
  assert_int_equal(fclose(file), 0);
}

static void tuning_splits_where_least_is_lost_and_keeps_other_lines(void** state) {
  (void)state;
  char path[] = "fiar-bench-tune-XXXXXX";
  char text[512];
  int file = mkstemp(path);
  assert_true(file >= 0);
  assert_int_equal(close(file), 0);
  // Two-shot is better from the third point on, but for one outlier that costs little.
  const double one[] = {3, 4, 8, 9.9, 40};
  const double two[] = {5, 6, 7, 10, 20};
  tune(path, 4, 128, 5, one, two, FIAR_OK);
  tune(path, 2, 128, 2, one, two, FIAR_OK);  // one-shot everywhere: up to the last point
  const double swapped[] = {9, 9, 9};
  tune(path, 4, 256, 3, swapped, two, FIAR_OK);  // two-shot everywhere
  read_text(path, text, sizeof text);
  assert_string_equal(text,
                      "oneshot 4 128 724\n"  // sqrt(512 * 1024)
                      "oneshot 2 128 512\n"  // 2 tokens x 128 x 2 bytes
                      "oneshot 4 256 0\n");
  tune(path, 4, 128, 2, two, one, FIAR_OK);  // measured anew: its line is replaced
  read_text(path, text, sizeof text);
  assert_string_equal(text, "oneshot 2 128 512\noneshot 4 256 0\noneshot 4 128 0\n");
  assert_int_equal(unlink(path), 0);
}

static void tuning_without_both_algorithms_is_refused(void** state) {
  (void)state;
  const double one[] = {1};
  const double none[] = {0};
  tune("fiar-bench-no-such", 4, 128, 1, one, none, FIAR_UNAVAILABLE);
  assert_non_null(strstr(fiar_last_error(), "oneshot and twoshot"));
  assert_int_not_equal(access("fiar-bench-no-such", F_OK), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ranges_double_and_lists_keep_their_order),
      cmocka_unit_test(a_bad_option_is_named_with_its_value),
      cmocka_unit_test(points_are_every_combination_with_tokens_innermost),
      cmocka_unit_test(floors_are_those_of_the_better_number_of_hops),
      cmocka_unit_test(inputs_stay_within_their_levels_and_use_them_all),
      cmocka_unit_test(tuning_splits_where_least_is_lost_and_keeps_other_lines),
      cmocka_unit_test(tuning_without_both_algorithms_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
