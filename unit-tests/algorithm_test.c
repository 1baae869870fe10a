// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which push kernel serves a message, and what a workspace needs for it: pure, so without a GPU.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/algorithm.h"

static const fiar_tuning_t builtin = {.forced = -1};

static fiar_problem_t message(int64_t tokens, int64_t hidden, uint8_t dtype) {
  return (fiar_problem_t){.op = FIAR_OP_ALL_REDUCE_NORM,
                          .tokens = tokens,
                          .hidden = hidden,
                          .input_stride = hidden,
                          .residual_stride = hidden,
                          .dtype = dtype,
                          .weight_dtype = dtype};
}

static fiar_algorithm_t choice(const fiar_tuning_t* tuning, int64_t tokens, int64_t hidden,
                               int32_t world) {
  const fiar_problem_t problem = message(tokens, hidden, FIAR_DTYPE_BF16);
  return fiar_algorithm_select(tuning, &problem, world, fiar_slot_bytes_for(&problem, world));
}

static void small_messages_go_one_shot_and_large_ones_two_shot(void** state) {
  (void)state;
  for (int32_t world = 3; world <= FIAR_KERNEL_MAX_WORLD; ++world) {
    assert_int_equal(choice(&builtin, 1, 4096, world), FIAR_ALGORITHM_ONESHOT);
    assert_int_equal(choice(&builtin, 8192, 8192, world), FIAR_ALGORITHM_TWOSHOT);
  }
}

// At the points that were timed (bench/NOTES.md).
static void without_a_file_the_measured_crossover_of_4_and_8_ranks_holds(void** state) {
  (void)state;
  static const struct {
    int32_t world;
    int64_t hidden, oneshot, twoshot;  // tokens
  } timed[] = {{4, 4096, 16, 32}, {4, 7168, 8, 16}, {4, 8192, 8, 16},
               {8, 4096, 8, 16},  {8, 7168, 4, 8},  {8, 8192, 4, 8}};
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(timed); ++i) {
    assert_int_equal(choice(&builtin, timed[i].oneshot, timed[i].hidden, timed[i].world),
                     FIAR_ALGORITHM_ONESHOT);
    assert_int_equal(choice(&builtin, timed[i].twoshot, timed[i].hidden, timed[i].world),
                     FIAR_ALGORITHM_TWOSHOT);
  }
}

static void the_crossover_falls_as_ranks_are_added(void** state) {
  (void)state;
  for (int32_t world = 3; world <= FIAR_KERNEL_MAX_WORLD; ++world) {
    assert_true(fiar_oneshot_max_bytes(&builtin, world, 4096) <
                fiar_oneshot_max_bytes(&builtin, world - 1, 4096));
  }
}

static void the_choice_changes_once_as_messages_grow(void** state) {
  (void)state;
  for (int32_t world = 2; world <= FIAR_KERNEL_MAX_WORLD; ++world) {
    int changes = 0;
    fiar_algorithm_t before = FIAR_ALGORITHM_ONESHOT;
    for (int64_t tokens = 1; tokens <= 4096; ++tokens) {
      fiar_algorithm_t now = choice(&builtin, tokens, 4096, world);
      changes += now != before;
      before = now;
    }
    assert_true(changes <= 1);
  }
}

static void a_sharded_residual_takes_the_sharded_kernel(void** state) {
  (void)state;
  fiar_problem_t problem = message(1, 4096, FIAR_DTYPE_BF16);
  problem.residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK;
  assert_int_equal(fiar_algorithm_select(&builtin, &problem, 4, UINT64_MAX),
                   FIAR_ALGORITHM_SHARDED);
  problem.residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD;
  assert_int_equal(fiar_algorithm_select(&builtin, &problem, 4, UINT64_MAX),
                   FIAR_ALGORITHM_SHARDED);
  problem.op = FIAR_OP_ALL_GATHER_ROWS;
  assert_int_equal(fiar_algorithm_select(&builtin, &problem, 4, UINT64_MAX), FIAR_ALGORITHM_GATHER);
}

static void a_message_too_large_for_one_shot_goes_two_shot_even_when_forced(void** state) {
  (void)state;
  const fiar_tuning_t forced = {.forced = FIAR_ALGORITHM_ONESHOT};
  const fiar_problem_t problem = message(64, 4096, FIAR_DTYPE_BF16);
  const uint64_t two = fiar_kernel_slot_bytes(FIAR_ALGORITHM_TWOSHOT, 64, 4096, FIAR_DTYPE_BF16, 4);
  assert_int_equal(fiar_algorithm_select(&forced, &problem, 4, two), FIAR_ALGORITHM_TWOSHOT);
  assert_int_equal(fiar_algorithm_select(&forced, &problem, 4, 4 * two), FIAR_ALGORITHM_ONESHOT);
}

static void a_slot_serves_whatever_is_chosen_for_messages_of_its_size(void** state) {
  (void)state;
  static const int64_t hiddens[] = {64, 4096, 7168, 16384};
  for (int32_t world = 2; world <= FIAR_KERNEL_MAX_WORLD; ++world) {
    for (size_t h = 0; h < FIAR_ARRAY_LENGTH(hiddens); ++h) {
      for (int64_t tokens = 1; tokens <= 100000; tokens = tokens * 3 + 1) {
        const fiar_problem_t problem = message(tokens, hiddens[h], FIAR_DTYPE_F32);
        const uint64_t slot = fiar_slot_bytes_for(&problem, world);
        const fiar_algorithm_t algorithm = fiar_algorithm_select(&builtin, &problem, world, slot);
        assert_true(fiar_kernel_slot_bytes(algorithm, tokens, hiddens[h], FIAR_DTYPE_F32, world) <=
                    slot);
      }
    }
  }
}

static void slots_of_huge_messages_are_counted_in_64_bits(void** state) {
  (void)state;
  const fiar_problem_t problem = message(INT64_C(1) << 20, 16384, FIAR_DTYPE_F32);  // 64 GiB a rank
  assert_true(fiar_slot_bytes_for(&problem, 8) >= (uint64_t)2 << 36);
}

static void a_tuning_file_moves_the_crossover_of_its_world_and_nearest_hidden(void** state) {
  (void)state;
  fiar_tuning_t tuning = {.forced = -1};
  const char* text =
      "# measured\n"
      "oneshot 4 4096 65536\n"
      "\n"
      "  oneshot 4 8192 1048576  # wide rows\n"
      "oneshot 8 4096 8192\n";
  assert_int_equal(fiar_tuning_parse(text, "file", &tuning), FIAR_OK);
  assert_int_equal(tuning.count, 3);
  assert_int_equal(fiar_oneshot_max_bytes(&tuning, 4, 4096), 65536);
  assert_int_equal(fiar_oneshot_max_bytes(&tuning, 4, 5000), 65536);
  assert_int_equal(fiar_oneshot_max_bytes(&tuning, 4, 7168), 1048576);
  assert_int_equal(fiar_oneshot_max_bytes(&tuning, 2, 4096),
                   fiar_oneshot_max_bytes(&builtin, 2, 4096));
  assert_int_equal(choice(&tuning, 8, 4096, 4), FIAR_ALGORITHM_ONESHOT);
  assert_int_equal(choice(&tuning, 9, 4096, 4), FIAR_ALGORITHM_TWOSHOT);
}

static void a_bad_line_of_a_tuning_file_is_named(void** state) {
  (void)state;
  static const char* const bad[] = {"oneshot 4 4096", "twoshot 4 4096 1",  "oneshot 1 4096 1",
                                    "oneshot 4 0 1",  "oneshot 4 4096 -1", "oneshot 4 4096 1 2"};
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(bad); ++i) {
    char text[64] = "# first\n";
    fiar_tuning_t tuning = {.forced = -1};
    strncat(text, bad[i], sizeof text - strlen(text) - 1);
    assert_int_equal(fiar_tuning_parse(text, "my.tuning", &tuning), FIAR_INVALID_ARGUMENT);
    assert_non_null(strstr(fiar_last_error(), "my.tuning:2"));
    assert_non_null(strstr(fiar_last_error(), bad[i]));
  }
}

static void tunings_that_choose_differently_have_different_digests(void** state) {
  (void)state;
  fiar_tuning_t other = {.forced = -1, .count = 1, .rows = {{4, 4096, 65536}}};
  assert_true(fiar_tuning_digest(&builtin) == fiar_tuning_digest(&(fiar_tuning_t){.forced = -1}));
  assert_true(fiar_tuning_digest(&builtin) != fiar_tuning_digest(&other));
  const int64_t digest = fiar_tuning_digest(&other);
  other.rows[0].oneshot_max_bytes = 65537;
  assert_true(digest != fiar_tuning_digest(&other));
}

static void a_missing_tuning_file_is_named(void** state) {
  (void)state;
  fiar_tuning_t tuning;
  assert_int_equal(setenv("FIAR_TUNING_FILE", "/nowhere/fiar.tuning", 1), 0);
  assert_int_equal(fiar_tuning_load(&tuning), FIAR_INVALID_ARGUMENT);
  assert_non_null(strstr(fiar_last_error(), "/nowhere/fiar.tuning"));
  assert_int_equal(unsetenv("FIAR_TUNING_FILE"), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_messages_go_one_shot_and_large_ones_two_shot),
      cmocka_unit_test(without_a_file_the_measured_crossover_of_4_and_8_ranks_holds),
      cmocka_unit_test(the_crossover_falls_as_ranks_are_added),
      cmocka_unit_test(the_choice_changes_once_as_messages_grow),
      cmocka_unit_test(a_sharded_residual_takes_the_sharded_kernel),
      cmocka_unit_test(a_message_too_large_for_one_shot_goes_two_shot_even_when_forced),
      cmocka_unit_test(a_slot_serves_whatever_is_chosen_for_messages_of_its_size),
      cmocka_unit_test(slots_of_huge_messages_are_counted_in_64_bits),
      cmocka_unit_test(a_tuning_file_moves_the_crossover_of_its_world_and_nearest_hidden),
      cmocka_unit_test(a_bad_line_of_a_tuning_file_is_named),
      cmocka_unit_test(tunings_that_choose_differently_have_different_digests),
      cmocka_unit_test(a_missing_tuning_file_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
