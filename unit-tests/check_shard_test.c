// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-check must notice a residual that is sharded where it may not be, or by the wrong rows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "check_holds.h"

#define T "tensor<5x64xbf16>"
#define V "tensor<64xbf16>"
#define FUSED(name, x, residual, weight)                                                          \
  "%" name ":2 = \"fiar.all_reduce_norm\"(%" x ", %" residual ", %" weight                        \
  ") {operandSegmentSizes = array<i32: 1, 1, 1, 0>, resultSegmentSizes = array<i32: 0, 1, 1, 0, " \
  "0>, eps = 1.0e-6 : f32, weight_bias = 0.0 : f32, scale_min = 0.0 : f32, quant = \"none\", "    \
  "scale_layout = \"linear\", group_size = 0 : i64, scale_is = \"divisor\", norm_input = "        \
  "\"rounded\", scale_type = \"f32\", norm_rounding = \"before_weight\", residual_layout = "      \
  "\"full\", world = 2 : i64, groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (" T ", " T ", " V    \
  ") -> (" T ", " T ")\n"

// A chain of two. Arguments are the same on all ranks, what "test.local" gives is not. The plain
// all-reduce says how many ranks there are.
#define MODEL(residual, weight)                                                           \
  "func.func @main(%x: " T ", %r: " T ", %w: " V                                          \
  ") {\n"                                                                                 \
  "%lr, %lw = \"test.local\"() : () -> (" T ", " V                                        \
  ")\n"                                                                                   \
  "%y = \"stablehlo.all_reduce\"(%lr) <{replica_groups = dense<[[0, 1]]> : "              \
  "tensor<1x2xi64>}> ({\n"                                                                \
  "^bb0(%a: tensor<bf16>, %b: tensor<bf16>):\n"                                           \
  "  %q = \"stablehlo.add\"(%a, %b) : (tensor<bf16>, tensor<bf16>) -> tensor<bf16>\n"     \
  "  \"stablehlo.return\"(%q) : (tensor<bf16>) -> ()\n"                                   \
  "}) : (" T ") -> " T "\n" FUSED("f", "x", residual, weight)                             \
      FUSED("g", "y", "f#0", weight) "\"test.use\"(%f#1, %g#0, %g#1) : (" T ", " T ", " T \
                                     ") -> ()\nreturn\n}\n"

// The same, in a loop that carries the residual.
#define LOOP(first)                                                                   \
  "func.func @main(%x: " T ", %r: " T ", %w: " V                                      \
  ") {\n"                                                                             \
  "%lr = \"test.local\"() : () -> " T                                                 \
  "\n"                                                                                \
  "%y = \"stablehlo.all_reduce\"(%lr) <{replica_groups = dense<[[0, 1]]> : "          \
  "tensor<1x2xi64>}> ({\n"                                                            \
  "^bb0(%a: tensor<bf16>, %b: tensor<bf16>):\n"                                       \
  "  %q = \"stablehlo.add\"(%a, %b) : (tensor<bf16>, tensor<bf16>) -> tensor<bf16>\n" \
  "  \"stablehlo.return\"(%q) : (tensor<bf16>) -> ()\n"                               \
  "}) : (" T ") -> " T                                                                \
  "\n"                                                                                \
  "%lo, %hi, %st = \"test.bounds\"() : () -> (index, index, index)\n"                 \
  "%l = scf.for %i = %lo to %hi step %st iter_args(%c = %" first ") -> (" T           \
  ") {\n" FUSED("f", "x", "c", "w")                                                   \
      FUSED("g", "y", "f#0", "w") "\"test.use\"(%f#1, %g#1) : (" T ", " T             \
                                  ") -> ()\n"                                         \
                                  "scf.yield %g#0 : " T                               \
                                  "\n}\n"                                             \
                                  "\"test.use\"(%l) : (" T ") -> ()\nreturn\n}\n"

// Rows of another rank.
#define OTHER_ROWS(op) \
  { op, "groups", "dense<[[1, 0]]> : tensor<1x2xi64>", 0, 0 }

static MlirLogicalResult shard_and_break(MlirOperation clone, void* data) {
  FiarShardOptions options = {.struct_size = sizeof options, .assume_replicated = true};
  FiarShardCounts counts = {0};
  MlirLogicalResult result = fiarShardResidual(clone, &options, &counts);
  assert_int_equal(counts.sharded, 2);
  check_break(clone, data);
  return result;
}

static void a_replicated_residual_may_be_sharded(void** state) {
  (void)state;
  assert_true(check_holds(MODEL("r", "w"), shard_and_break, NULL, 1));
}

static void a_residual_of_each_ranks_own_may_not(void** state) {
  (void)state;
  assert_false(check_holds(MODEL("lr", "w"), shard_and_break, NULL, 1));
}

static void a_weight_of_each_ranks_own_may_not(void** state) {
  (void)state;
  assert_false(check_holds(MODEL("r", "lw"), shard_and_break, NULL, 1));
}

static void a_loop_may_carry_rows_of_a_replicated_residual_alone(void** state) {
  (void)state;
  static const check_breakage_t take = OTHER_ROWS("fiar.take_rows");
  assert_true(check_holds(LOOP("r"), shard_and_break, NULL, 1));
  assert_false(check_holds(LOOP("lr"), shard_and_break, NULL, 1));
  assert_false(check_holds(LOOP("r"), shard_and_break, &take, 1));
}

static void rows_of_another_rank_are_noticed(void** state) {
  (void)state;
  static const check_breakage_t take = OTHER_ROWS("fiar.take_rows");
  static const check_breakage_t gather = OTHER_ROWS("fiar.all_gather_rows");
  assert_false(check_holds(MODEL("r", "w"), shard_and_break, &take, 1));
  assert_false(check_holds(MODEL("r", "w"), shard_and_break, &gather, 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_replicated_residual_may_be_sharded),
      cmocka_unit_test(a_residual_of_each_ranks_own_may_not),
      cmocka_unit_test(a_weight_of_each_ranks_own_may_not),
      cmocka_unit_test(a_loop_may_carry_rows_of_a_replicated_residual_alone),
      cmocka_unit_test(rows_of_another_rank_are_noticed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
