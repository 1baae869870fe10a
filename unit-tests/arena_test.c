// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The memory plan of compiled blocks: passes/block/arena.c, which knows nothing of IR.
#include "block/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ALIGNMENT = 256 };

static void assert_apart(const FiarLifetime* values, size_t count, size_t bytes) {
  for (size_t i = 0; i < count; ++i) {
    assert_int_equal(values[i].offset % ALIGNMENT, 0);
    assert_true(values[i].offset + values[i].bytes <= bytes);
    for (size_t j = 0; j < i; ++j) {
      bool alive_together = values[i].first <= values[j].last && values[j].first <= values[i].last;
      bool apart = values[i].offset + values[i].bytes <= values[j].offset ||
                   values[j].offset + values[j].bytes <= values[i].offset;
      assert_true(!alive_together || apart || values[i].bytes == 0 || values[j].bytes == 0);
    }
  }
}

static void a_chain_needs_two_values(void** state) {
  (void)state;
  FiarLifetime values[] = {{4096, 0, 1, 0}, {4096, 1, 2, 0}, {4096, 2, 3, 0}, {4096, 3, 4, 0}};
  size_t bytes;
  assert_true(fiarArenaPlan(values, 4, ALIGNMENT, &bytes));
  assert_int_equal(bytes, 8192);
  assert_apart(values, 4, bytes);
}

// A value read and another written in one step are both alive in it.
static void what_a_step_reads_is_not_where_it_writes(void** state) {
  (void)state;
  FiarLifetime values[] = {{100, 0, 1, 0}, {100, 1, 2, 0}};
  size_t bytes;
  assert_true(fiarArenaPlan(values, 2, ALIGNMENT, &bytes));
  assert_int_not_equal(values[0].offset, values[1].offset);
  assert_int_equal(bytes, 512);
}

// Behind the two large ones lies a gap of 1024 and one of 512: 512 bytes go into the smaller.
static void the_smallest_gap_that_fits_is_taken(void** state) {
  (void)state;
  FiarLifetime values[] = {
      {8192, 0, 0, 0},  // at 0
      {1024, 0, 9, 0},  // behind it
      {2048, 2, 9, 0},  // at 0
      {512, 2, 9, 0},   // where? 2048 .. 8192 is the only gap then
  };
  size_t bytes;
  assert_true(fiarArenaPlan(values, 4, ALIGNMENT, &bytes));
  assert_int_equal(values[1].offset, 8192);
  assert_int_equal(values[2].offset, 0);
  assert_int_equal(values[3].offset, 2048);
  assert_int_equal(bytes, 8192 + 1024);
}

static void of_two_gaps_the_smaller(void** state) {
  (void)state;
  // Step 0 fixes 4096 | 2048 | 1024 | 768 from the bottom; in step 1 the first and third are free.
  FiarLifetime values[] = {
      {4096, 0, 0, 0}, {2048, 0, 1, 0}, {1024, 0, 0, 0}, {768, 0, 1, 0}, {512, 1, 1, 0},
  };
  size_t bytes;
  assert_true(fiarArenaPlan(values, 5, ALIGNMENT, &bytes));
  assert_int_equal(values[2].offset, 6144);
  assert_int_equal(values[4].offset, 6144);
}

// The same with the smaller gap below the larger one.
static void of_two_gaps_the_smaller_wherever_it_lies(void** state) {
  (void)state;
  FiarLifetime values[] = {
      {8192, 0, 0, 0}, {7168, 1, 1, 0}, {4096, 0, 1, 0},
      {2816, 0, 0, 0}, {2560, 0, 1, 0}, {512, 1, 1, 0},
  };
  size_t bytes;
  assert_true(fiarArenaPlan(values, 6, ALIGNMENT, &bytes));
  assert_int_equal(values[3].offset, 12288);
  assert_int_equal(values[5].offset, 7168);
}

static void nothing_needs_no_arena(void** state) {
  (void)state;
  FiarLifetime empty = {0, 0, 3, 7};
  size_t bytes = 1;
  assert_true(fiarArenaPlan(NULL, 0, ALIGNMENT, &bytes));
  assert_int_equal(bytes, 0);
  assert_true(fiarArenaPlan(&empty, 1, ALIGNMENT, &bytes));
  assert_int_equal(bytes, 0);
}

static void sizes_beyond_a_size_t_are_refused(void** state) {
  (void)state;
  FiarLifetime one = {SIZE_MAX - 10, 0, 0, 0};
  FiarLifetime two[] = {{SIZE_MAX / 2, 0, 0, 0}, {SIZE_MAX / 2, 1, 1, 0}};
  size_t bytes;
  assert_false(fiarArenaPlan(&one, 1, ALIGNMENT, &bytes));
  assert_false(fiarArenaPlan(two, 2, ALIGNMENT, &bytes));
}

// Thousands of random programs: never an overlap, never more than half above the floor.
static void random_programs_stay_apart(void** state) {
  (void)state;
  uint32_t bits = 1;
  for (int program = 0; program < 3000; ++program) {
    FiarLifetime values[24];
    size_t count = 1 + (size_t)program % 24, bytes;
    for (size_t i = 0; i < count; ++i) {
      bits = bits * 1664525u + 1013904223u;
      values[i] = (FiarLifetime){.bytes = (bits >> 12) % 9000, .first = (int)(bits >> 4 & 15)};
      values[i].last = values[i].first + (int)(bits >> 26);
    }
    assert_true(fiarArenaPlan(values, count, ALIGNMENT, &bytes));
    assert_apart(values, count, bytes);
    size_t least = fiarArenaFloor(values, count, ALIGNMENT);
    assert_true(bytes >= least && bytes <= least + least / 2);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_chain_needs_two_values),
      cmocka_unit_test(what_a_step_reads_is_not_where_it_writes),
      cmocka_unit_test(the_smallest_gap_that_fits_is_taken),
      cmocka_unit_test(of_two_gaps_the_smaller),
      cmocka_unit_test(of_two_gaps_the_smaller_wherever_it_lies),
      cmocka_unit_test(nothing_needs_no_arena),
      cmocka_unit_test(sizes_beyond_a_size_t_are_refused),
      cmocka_unit_test(random_programs_stay_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
