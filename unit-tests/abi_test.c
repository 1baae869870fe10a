// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What compiled models rely on: values that are never reused, sizes that only grow, and versions.
// The offsets of the call's struct are asserted in fiar/abi.h itself, for every compiler that reads
// it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <string.h>

#include "fiar/fiar.h"

static void enumerators_keep_their_values(void** state) {
  (void)state;
  static const struct {
    int is, was;
  } rows[] = {
      {FIAR_OK, 0},
      {FIAR_INVALID_ARGUMENT, 1},
      {FIAR_OUT_OF_MEMORY, 2},
      {FIAR_UNSUPPORTED, 3},
      {FIAR_UNAVAILABLE, 4},
      {FIAR_MISMATCH, 5},
      {FIAR_TIMEOUT, 6},
      {FIAR_PEER_LOST, 7},
      {FIAR_ABI_MISMATCH, 8},
      {FIAR_CUDA_ERROR, 9},
      {FIAR_NCCL_ERROR, 10},
      {FIAR_SYSTEM_ERROR, 11},
      {FIAR_INTERNAL, 12},
      {FIAR_DTYPE_F16, 1},
      {FIAR_DTYPE_BF16, 2},
      {FIAR_DTYPE_F32, 3},
      {FIAR_QUANT_NONE, 0},
      {FIAR_QUANT_FP8_STATIC, 1},
      {FIAR_QUANT_FP8_TOKEN, 2},
      {FIAR_QUANT_FP8_GROUP, 3},
      {FIAR_QUANT_NVFP4, 4},
      {FIAR_QUANT_MXFP8, 5},
      {FIAR_QUANT_MXFP4, 6},
      {FIAR_SCALE_LAYOUT_LINEAR, 0},
      {FIAR_SCALE_LAYOUT_SWIZZLED_128X4, 1},
      {FIAR_SCALE_LAYOUT_SWIZZLED_8X4, 2},
      {FIAR_SCALE_LAYOUT_COLUMN_MAJOR, 3},
      {FIAR_SCALE_TYPE_F32, 0},
      {FIAR_SCALE_TYPE_E4M3, 1},
      {FIAR_SCALE_TYPE_UE8M0, 2},
      {FIAR_SCALE_IS_DIVISOR, 0},
      {FIAR_SCALE_IS_MULTIPLIER, 1},
      {FIAR_NORM_INPUT_ROUNDED, 0},
      {FIAR_NORM_INPUT_F32, 1},
      {FIAR_NORM_ROUNDING_BEFORE_WEIGHT, 0},
      {FIAR_NORM_ROUNDING_AFTER_WEIGHT, 1},
      {FIAR_RESIDUAL_LAYOUT_FULL, 0},
      {FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD, 1},
      {FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK, 2},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    assert_int_equal(rows[i].is, rows[i].was);
  }
}

static void structs_do_not_shrink(void** state) {
  (void)state;
  assert_int_equal(sizeof(fiar_all_reduce_norm_params), 144);
  assert_int_equal(sizeof(fiar_comm_options_t), 24);
  assert_int_equal(offsetof(fiar_comm_options_t, backend), 16);
  assert_int_equal(sizeof(fiar_status_t), 4);
}

static void a_newer_model_is_refused_with_both_versions(void** state) {
  (void)state;
  assert_int_equal(fiar_rt_check_abi(FIAR_ABI_VERSION), FIAR_OK);
  assert_int_equal(fiar_rt_check_abi(7), FIAR_ABI_MISMATCH);
  assert_non_null(strstr(fiar_last_error(), "fiar ABI 7, this library serves 1 to 1"));
  assert_int_equal(fiar_rt_check_abi(0), FIAR_ABI_MISMATCH);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(enumerators_keep_their_values),
      cmocka_unit_test(structs_do_not_shrink),
      cmocka_unit_test(a_newer_model_is_refused_with_both_versions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
