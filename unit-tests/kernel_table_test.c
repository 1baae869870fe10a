// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which compiled kernel a call gets. Needs the kernels, but no GPU.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// cmocka wants the four above first.
#include <cmocka.h>

#include "block.h"
#include "host/reference.h"
#include "kernels.h"

static char somewhere[16];

// A decoder layer's call: residual, a weight of the element type, the residual and the codes (or
// the norm) wanted.
static fiar_all_reduce_norm_params layer_call(fiar_quant_t quant) {
  fiar_all_reduce_norm_params call = {.struct_size = sizeof call,
                                      .input = somewhere,
                                      .residual = somewhere,
                                      .weight = somewhere,
                                      .residual_out = somewhere,
                                      .tokens = 4,
                                      .hidden = 4096,
                                      .group_size = quant == FIAR_QUANT_FP8_GROUP ? 128 : 0,
                                      .dtype = FIAR_DTYPE_BF16,
                                      .weight_dtype = FIAR_DTYPE_BF16,
                                      .quant = (uint8_t)quant};
  const bool given = quant == FIAR_QUANT_FP8_STATIC || quant == FIAR_QUANT_NVFP4;
  call.scale = given ? (const float*)(const void*)somewhere : NULL;
  call.norm_out = quant == FIAR_QUANT_NONE ? somewhere : NULL;
  call.quant_out = quant == FIAR_QUANT_NONE ? NULL : somewhere;
  call.scales_out =
      quant == FIAR_QUANT_NONE || quant == FIAR_QUANT_FP8_STATIC ? NULL : (void*)somewhere;
  return call;
}

static const fiar_kernel_t* kernel_of(const fiar_all_reduce_norm_params* call, int32_t world,
                                      int32_t sm) {
  const fiar_peers_t peers = {.world = world};
  fiar_kernel_args_t args;
  fiar_kernel_args_init(call, &peers, 0, &args);
  const fiar_kernel_shape_t shape = {.vectors_a_thread = 1, .cluster = 1};
  const fiar_kernel_t* kernel = fiar_kernel_find(FIAR_ALGORITHM_ONESHOT, &args, &shape, sm);
  assert_non_null(kernel);
  assert_int_equal(args.traits & kernel->known, kernel->traits);
  return kernel;
}

static void every_format_of_a_layer_has_a_kernel_of_its_own(void** state) {
  (void)state;
  const fiar_kernel_t* seen[FIAR_QUANT_COUNT] = {NULL};
  for (int quant = 0; quant < FIAR_QUANT_COUNT; ++quant) {
    const fiar_all_reduce_norm_params call = layer_call((fiar_quant_t)quant);
    for (int32_t world = 2; world <= 8; world *= 2) {
      seen[quant] = kernel_of(&call, world, 90);
      assert_int_equal(seen[quant]->world, world);
      assert_int_not_equal(seen[quant]->known, 0);
    }
    for (int other = 0; other < quant; ++other) {
      assert_ptr_not_equal(seen[quant], seen[other]);
    }
  }
}

static void other_calls_ranks_and_chips_get_the_general_kernel(void** state) {
  (void)state;
  fiar_all_reduce_norm_params call = layer_call(FIAR_QUANT_FP8_STATIC);
  assert_int_not_equal(kernel_of(&call, 4, 100)->known, 0);
  assert_int_equal(kernel_of(&call, 4, 80)->known, 0);
  assert_int_equal(kernel_of(&call, 4, 120)->known, 0);
  assert_int_equal(kernel_of(&call, 3, 90)->known, 0);
  assert_int_equal(kernel_of(&call, 3, 90)->world, 0);
  call.sum_out = somewhere;
  assert_int_equal(kernel_of(&call, 4, 90)->known, 0);
  call = layer_call(FIAR_QUANT_FP8_STATIC);
  call.residual = NULL;
  assert_int_equal(kernel_of(&call, 4, 90)->known, 0);
  call = layer_call(FIAR_QUANT_NONE);
  call.weight_dtype = FIAR_DTYPE_F32;
  assert_int_equal(kernel_of(&call, 4, 90)->known, 0);
}

// On `few` multiprocessors many rows are left for each cluster, as kernel_test has it.
static bool draws(fiar_algorithm_t algorithm, fiar_all_reduce_norm_params call, int32_t world,
                  int32_t few) {
  const fiar_peers_t peers = {.world = world};
  const fiar_device_caps_t caps = {.sm = 90, .sm_count = few};
  fiar_kernel_shape_t shape;
  fiar_kernel_args_t args;
  call.tokens = 40;
  call.hidden = 7680;
  fiar_kernel_args_init(&call, &peers, 0, &args);
  fiar_kernel_shape(algorithm, &args, &caps, &shape);
  const fiar_kernel_t* kernel = fiar_kernel_find(algorithm, &args, &shape, 90);
  assert_non_null(kernel);
  return (kernel->traits & (uint32_t)FIAR_TRAIT_DRAWS) != 0;
}

static void kernels_draw_where_the_shape_asks_and_it_was_found_to_pay(void** state) {
  (void)state;
  enum { FEW = 2, MANY = 132 };
  for (int quant = 0; quant < FIAR_QUANT_COUNT; ++quant) {
    const fiar_all_reduce_norm_params call = layer_call((fiar_quant_t)quant);
    for (int32_t few = FEW; few <= FEW + 1; ++few) {
      assert_true(draws(FIAR_ALGORITHM_TWOSHOT, call, 4, few));
      assert_true(draws(FIAR_ALGORITHM_TWOSHOT, call, 8, few));
      assert_true(draws(FIAR_ALGORITHM_SHARDED, call, 8, few));
    }
    assert_false(draws(FIAR_ALGORITHM_TWOSHOT, call, 8, MANY));
    assert_false(draws(FIAR_ALGORITHM_TWOSHOT, call, 2, FEW));
    assert_false(draws(FIAR_ALGORITHM_SHARDED, call, 4, FEW));
    assert_false(draws(FIAR_ALGORITHM_ONESHOT, call, 8, FEW));
  }
  fiar_all_reduce_norm_params other = layer_call(FIAR_QUANT_FP8_STATIC);
  other.residual = NULL;
  assert_false(draws(FIAR_ALGORITHM_TWOSHOT, other, 8, FEW));
}

static void the_table_knows_its_own(void** state) {
  (void)state;
  const fiar_all_reduce_norm_params call = layer_call(FIAR_QUANT_NVFP4);
  assert_true(fiar_kernel_is_entry(kernel_of(&call, 4, 90)->entry));
  assert_true(fiar_kernel_is_entry(kernel_of(&call, 3, 80)->entry));
  assert_true(fiar_block_is_entry(fiar_block_entry(FIAR_BLOCK_ACTIVATE)));
  assert_false(fiar_block_is_entry(kernel_of(&call, 4, 90)->entry));
  assert_false(fiar_kernel_is_entry(fiar_block_entry(FIAR_BLOCK_ACTIVATE)));
  assert_false(fiar_kernel_is_entry(NULL) || fiar_block_is_entry(NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_format_of_a_layer_has_a_kernel_of_its_own),
      cmocka_unit_test(other_calls_ranks_and_chips_get_the_general_kernel),
      cmocka_unit_test(kernels_draw_where_the_shape_asks_and_it_was_found_to_pay),
      cmocka_unit_test(the_table_knows_its_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
