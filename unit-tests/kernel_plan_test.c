// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What surrounds the kernels and needs no GPU: limits, slot sizes and launch shapes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// cmocka wants the four above first.
#include <cmocka.h>

#include "host/reference.h"
#include "scale_math.h"

static const fiar_device_caps_t h200 = {.sm = 90, .sm_count = 132};
static const fiar_device_caps_t a100 = {.sm = 80, .sm_count = 108};

static fiar_all_reduce_norm_params call_of(int64_t tokens, int64_t hidden, fiar_dtype_t dtype) {
  return (fiar_all_reduce_norm_params){.struct_size = sizeof(fiar_all_reduce_norm_params),
                                       .tokens = tokens,
                                       .hidden = hidden,
                                       .input_stride = hidden,
                                       .residual_stride = hidden,
                                       .dtype = (uint8_t)dtype,
                                       .weight_dtype = (uint8_t)dtype};
}

static fiar_kernel_shape_t shape_of(fiar_algorithm_t algorithm,
                                    const fiar_all_reduce_norm_params* params,
                                    const fiar_device_caps_t* caps, int32_t world) {
  fiar_peers_t peers = {.world = world};
  fiar_kernel_args_t args;
  fiar_kernel_shape_t shape;
  fiar_kernel_args_init(params, &peers, 0, &args);
  fiar_kernel_shape(algorithm, &args, caps, &shape);
  return shape;
}

static void check_shape(const fiar_all_reduce_norm_params* params, const fiar_kernel_shape_t* shape,
                        const fiar_device_caps_t* caps) {
  const bool f32 = params->dtype == FIAR_DTYPE_F32;
  const int64_t row = params->hidden / (f32 ? 4 : 8);
  assert_true((int64_t)shape->threads * shape->vectors_a_thread * shape->cluster >= row);
  assert_true(shape->threads % 32 == 0 && shape->threads > 0);
  assert_true(shape->threads <= (shape->vectors_a_thread == 4 && f32 ? 1024 : 512));
  assert_true(shape->grid > 0 && shape->grid % shape->cluster == 0);
  assert_true((int64_t)shape->grid * shape->threads <= (int64_t)caps->sm_count * 1024);
}

static void every_row_fits_its_threads_and_the_grid_is_resident(void** state) {
  (void)state;
  static const fiar_algorithm_t algorithms[] = {FIAR_ALGORITHM_ONESHOT, FIAR_ALGORITHM_TWOSHOT,
                                                FIAR_ALGORITHM_SHARDED};
  static const fiar_dtype_t dtypes[] = {FIAR_DTYPE_F16, FIAR_DTYPE_F32};
  static const int64_t tokens[] = {1, 2, 31, 33, 66, 67, 85, 132, 133, 200, 1000, 8192};
  for (int64_t hidden = 64; hidden <= 16384; hidden += 8) {
    for (size_t t = 0; t < sizeof tokens / sizeof *tokens; ++t) {
      for (size_t i = 0; i < 6; ++i) {
        const fiar_all_reduce_norm_params params = call_of(tokens[t], hidden, dtypes[i / 3]);
        const fiar_device_caps_t* caps = hidden % 16 || hidden % 1024 == 0 ? &h200 : &a100;
        const fiar_kernel_shape_t shape = shape_of(algorithms[i % 3], &params, caps, 4);
        check_shape(&params, &shape, caps);
      }
    }
  }
}

static void few_wide_rows_take_a_cluster_each_where_there_are_clusters(void** state) {
  (void)state;
  const fiar_all_reduce_norm_params one = call_of(1, 8192, FIAR_DTYPE_BF16);
  const fiar_all_reduce_norm_params many = call_of(512, 8192, FIAR_DTYPE_BF16);
  assert_int_equal(shape_of(FIAR_ALGORITHM_ONESHOT, &one, &h200, 4).cluster, 4);
  assert_int_equal(shape_of(FIAR_ALGORITHM_ONESHOT, &one, &a100, 4).cluster, 1);
  assert_int_equal(shape_of(FIAR_ALGORITHM_TWOSHOT, &many, &h200, 4).cluster, 2);
  assert_int_equal(shape_of(FIAR_ALGORITHM_TWOSHOT, &many, &h200, 4).vectors_a_thread, 1);
  assert_int_equal(shape_of(FIAR_ALGORITHM_TWOSHOT, &many, &a100, 4).cluster, 1);
  assert_int_equal(shape_of(FIAR_ALGORITHM_LOCAL, &many, &h200, 4).cluster, 1);
  const fiar_device_caps_t rtx = {.sm = 120, .sm_count = 188};
  assert_int_equal(shape_of(FIAR_ALGORITHM_ONESHOT, &one, &rtx, 4).cluster, 1);
}

static void long_calls_of_wide_rows_draw_them(void** state) {
  (void)state;
  static const struct {
    int64_t tokens, hidden;
    bool draws;
  } cases[] = {{1024, 8192, false}, {2048, 8192, true}, {8192, 7168, true}, {8192, 4096, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    const fiar_all_reduce_norm_params call =
        call_of(cases[i].tokens, cases[i].hidden, FIAR_DTYPE_BF16);
    assert_int_equal(shape_of(FIAR_ALGORITHM_TWOSHOT, &call, &h200, 8).draws, cases[i].draws);
    assert_false(shape_of(FIAR_ALGORITHM_TWOSHOT, &call, &a100, 8).draws);
  }
}

static void rows_are_spread_over_the_device_as_was_measured(void** state) {
  (void)state;
  static const struct {
    fiar_algorithm_t algorithm;
    int64_t tokens, hidden;
    int32_t cluster, rows;
  } cases[] = {{FIAR_ALGORITHM_ONESHOT, 64, 8192, 2, 64},    // a multiprocessor a block
               {FIAR_ALGORITHM_ONESHOT, 128, 8192, 4, 128},  // all at once
               {FIAR_ALGORITHM_ONESHOT, 128, 7168, 2, 128},  // a quarter is seven warps
               {FIAR_ALGORITHM_ONESHOT, 256, 4096, 4, 256},
               {FIAR_ALGORITHM_ONESHOT, 144, 8192, 2, 132},  // a short second turn
               {FIAR_ALGORITHM_ONESHOT, 256, 8192, 2, 66},   // four turns
               {FIAR_ALGORITHM_ONESHOT, 512, 8192, 2, 132},
               {FIAR_ALGORITHM_ONESHOT, 512, 4096, 1, 132},
               {FIAR_ALGORITHM_ONESHOT, 80, 12288, 2, 66},  // by quarters they do not all fit
               {FIAR_ALGORITHM_SHARDED, 64, 8192, 4, 64},
               {FIAR_ALGORITHM_TWOSHOT, 64, 8192, 2, 64},
               {FIAR_ALGORITHM_SHARDED, 128, 4096, 2, 128}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    const fiar_all_reduce_norm_params call =
        call_of(cases[i].tokens, cases[i].hidden, FIAR_DTYPE_BF16);
    const fiar_kernel_shape_t shape = shape_of(cases[i].algorithm, &call, &h200, 2);
    assert_int_equal(shape.cluster, cases[i].cluster);
    assert_int_equal(shape.grid, cases[i].cluster * cases[i].rows);
  }
}

static void a_scale_block_that_no_shuffle_serves_keeps_its_row_in_one_block(void** state) {
  (void)state;
  static const struct {
    int32_t group, cluster;
  } cases[] = {{128, 4}, {96, 1}, {512, 1}, {8192, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    fiar_all_reduce_norm_params params = call_of(1, 8192, FIAR_DTYPE_BF16);
    params.hidden = cases[i].group == 96 ? 7680 : 8192;
    params.quant = FIAR_QUANT_FP8_GROUP;
    params.group_size = cases[i].group;
    params.quant_out = &params;
    assert_int_equal(shape_of(FIAR_ALGORITHM_ONESHOT, &params, &h200, 4).cluster, cases[i].cluster);
  }
}

static void rows_of_an_owner_do_not_all_fall_to_one_block(void** state) {
  (void)state;
  for (int32_t world = 2; world <= 16; ++world) {
    const fiar_all_reduce_norm_params params = call_of(8192, 4096, FIAR_DTYPE_BF16);
    const fiar_kernel_shape_t shape = shape_of(FIAR_ALGORITHM_TWOSHOT, &params, &h200, world);
    assert_true(shape.grid / shape.cluster % world != 0);
  }
}

static void slots_hold_every_source_and_what_comes_back(void** state) {
  (void)state;
  const uint64_t row = (uint64_t)4096 * 2;
  assert_int_equal(fiar_kernel_slot_bytes(FIAR_ALGORITHM_ONESHOT, 3, 4096, FIAR_DTYPE_BF16, 4),
                   12 * row);
  assert_int_equal(fiar_kernel_slot_bytes(FIAR_ALGORITHM_TWOSHOT, 5, 4096, FIAR_DTYPE_BF16, 4),
                   13 * row);
  assert_int_equal(fiar_kernel_slot_bytes(FIAR_ALGORITHM_GATHER, 5, 4096, FIAR_DTYPE_F32, 4),
                   10 * row);
  assert_int_equal(fiar_kernel_slot_bytes(FIAR_ALGORITHM_LOCAL, 5, 4096, FIAR_DTYPE_F32, 4), 0);
  // Beyond 32 bits.
  assert_true(fiar_kernel_slot_bytes(FIAR_ALGORITHM_ONESHOT, 65536, 16384, FIAR_DTYPE_F32, 16) ==
              (uint64_t)16 * 65536 * 65536);
}

static void calls_that_vectors_cannot_serve_are_refused_with_the_reason(void** state) {
  (void)state;
  fiar_all_reduce_norm_params params = call_of(1, 100, FIAR_DTYPE_BF16);
  assert_int_equal(fiar_kernel_supports(FIAR_ALGORITHM_ONESHOT, &params, 4), FIAR_UNSUPPORTED);
  assert_non_null(strstr(fiar_last_error(), "hidden is 100"));
  assert_int_equal(fiar_kernel_supports(FIAR_ALGORITHM_ANY, &params, 4), FIAR_OK);
  params = call_of(1, 4096, FIAR_DTYPE_BF16);
  params.input = (const void*)(uintptr_t)24;
  assert_int_equal(fiar_kernel_supports(FIAR_ALGORITHM_TWOSHOT, &params, 4), FIAR_UNSUPPORTED);
  assert_non_null(strstr(fiar_last_error(), "input is 0x18"));
  params = call_of(1, 4096, FIAR_DTYPE_BF16);
  params.input_stride = 4100;
  assert_int_equal(fiar_kernel_supports(FIAR_ALGORITHM_LOCAL, &params, 1), FIAR_UNSUPPORTED);
  assert_non_null(strstr(fiar_last_error(), "input_stride is 4100"));
  params = call_of(1, 4096, FIAR_DTYPE_BF16);
  assert_int_equal(fiar_kernel_supports(FIAR_ALGORITHM_SHARDED, &params, 4), FIAR_UNSUPPORTED);
  assert_int_equal(fiar_kernel_supports(FIAR_ALGORITHM_ONESHOT, &params, 17), FIAR_UNSUPPORTED);
  assert_int_equal(fiar_kernel_supports(FIAR_ALGORITHM_ONESHOT, &params, 16), FIAR_OK);
}

static void a_sharded_residual_has_one_kernel(void** state) {
  (void)state;
  static const char* const names[] = {"", "layout token_shard needs", "layout token_block needs"};
  fiar_all_reduce_norm_params params = call_of(8, 4096, FIAR_DTYPE_BF16);
  for (int layout = FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD; layout <= FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK;
       ++layout) {
    params.residual_layout = (uint8_t)layout;
    params.sum_out = NULL;
    assert_int_equal(fiar_kernel_supports(FIAR_ALGORITHM_SHARDED, &params, 4), FIAR_OK);
    assert_int_equal(fiar_kernel_supports(FIAR_ALGORITHM_ONESHOT, &params, 4), FIAR_UNSUPPORTED);
    assert_non_null(strstr(fiar_last_error(), names[layout]));
    assert_int_equal(fiar_kernel_supports(FIAR_ALGORITHM_TWOSHOT, &params, 4), FIAR_UNSUPPORTED);
    assert_non_null(strstr(fiar_last_error(), names[layout]));
    params.sum_out = (void*)(uintptr_t)256;
    assert_int_equal(fiar_kernel_supports(FIAR_ALGORITHM_SHARDED, &params, 4), FIAR_UNSUPPORTED);
  }
}

// The strides against the switch of the reference.
static void strides_find_every_scale_where_its_layout_puts_it(void** state) {
  (void)state;
  static const uint8_t types[] = {FIAR_SCALE_TYPE_F32, FIAR_SCALE_TYPE_UE8M0};
  for (int64_t tokens = 1; tokens <= 300; tokens += 13) {
    for (int cols = 1; cols <= 37; cols += 4) {
      for (int variant = 0; variant < 8; ++variant) {
        fiar_all_reduce_norm_params params = call_of(tokens, cols * INT64_C(64), FIAR_DTYPE_BF16);
        params.quant = FIAR_QUANT_FP8_GROUP;
        params.group_size = 64;
        params.scale_type = types[variant % 2];
        params.scale_layout = (uint8_t)(variant / 2);
        params.scales_out = &params;  // wanted; not looked at
        fiar_kernel_args_t args;
        fiar_kernel_args_init(&params, NULL, 0, &args);
        const bool f32 = params.scale_type == FIAR_SCALE_TYPE_F32;
        if (f32 && (params.scale_layout == FIAR_SCALE_LAYOUT_SWIZZLED_128X4 ||
                    params.scale_layout == FIAR_SCALE_LAYOUT_SWIZZLED_8X4)) {
          continue;  // of bytes only
        }
        for (uint32_t row = 0; row < tokens; ++row) {
          for (uint32_t col = 0; col < (uint32_t)cols; ++col) {
            assert_int_equal(fiar_scale_index(args.scale_strides, row, col) * (f32 ? 4 : 1),
                             fiar_scale_offset(&params, row, col));
          }
        }
      }
    }
  }
}

// All mantissas, at the least exponent and at others.
static void quotients_by_the_largest_code_are_exact(void** state) {
  (void)state;
  static const int exponents[] = {-100, -99, -5, 0, 7, 126, 127};
  static const float divisors[] = {448.0f, 6.0f};
  for (size_t d = 0; d < 2; ++d) {
    size_t wrong = 0;
    for (size_t e = 0; e < sizeof exponents / sizeof *exponents; ++e) {
      for (uint32_t mantissa = 0; mantissa < 1u << 23; ++mantissa) {
        const float amax = ldexpf(1.0f + (float)mantissa * 0x1p-23f, exponents[e]);
        wrong += fiar_divide_by_largest(amax, divisors[d]) != amax / divisors[d];
      }
    }
    assert_int_equal(wrong, 0);
    assert_true(fiar_divide_by_largest(0.0f, divisors[d]) == 0.0f);
    assert_true(isinf(fiar_divide_by_largest(INFINITY, divisors[d])));
    assert_true(isnan(fiar_divide_by_largest(NAN, divisors[d])));
  }
}

// The value halfway between magnitudes `code` and code + 1 of a format of that many mantissa bits.
static float halfway(int code, int mantissa_bits, int bias) {
  float at[2];
  for (int i = 0; i < 2; ++i) {
    const int field = (code + i) >> mantissa_bits, units = (code + i) & ((1 << mantissa_bits) - 1);
    at[i] = ldexpf((float)((field > 0) << mantissa_bits | units),
                   (field > 0 ? field : 1) - bias - mantissa_bits);
  }
  return (at[0] + at[1]) / 2;
}

static int side(float quotient, float of) {
  return quotient < of ? -1 : quotient > of;
}

// Codes change at these values: a quotient that is on the right side of each, or on it, has the
// right code. Every mantissa of `bits` over all scales that bring it near.
static size_t quotients_on_the_wrong_side(float of, int bits) {
  size_t wrong = 0;
  for (int mantissa = 1 << (bits - 1); mantissa < 1 << bits; ++mantissa) {
    float scale = (float)mantissa / of;
    for (int i = 0; i < 8; ++i) {
      scale = nextafterf(scale, 0.0f);
    }
    for (int i = 0; i < 17; ++i, scale = nextafterf(scale, INFINITY)) {
      const float value = (float)mantissa, reciprocal = 1.0f / scale, rough = value * reciprocal;
      wrong += side(fiar_quotient_for_code(value, scale, rough, reciprocal), of) !=
               side(value / scale, of);
    }
  }
  return wrong;
}

static void quotients_have_the_codes_of_divisions(void** state) {
  (void)state;
  enum { E4M3_CODES = 126, E2M1_CODES = 7 };
  for (int bits = 8; bits <= 11; bits += 3) {
    for (int code = 0; code < E4M3_CODES; ++code) {
      assert_int_equal(quotients_on_the_wrong_side(halfway(code, 3, 7), bits), 0);
    }
    for (int code = 0; code < E2M1_CODES; ++code) {
      assert_int_equal(quotients_on_the_wrong_side(halfway(code, 1, 1), bits), 0);
    }
  }
  assert_true(fiar_quotient_for_code(3.0f, 7.0f, 0.5f, 0.0f) == 0.5f);
}

static void an_error_word_names_the_rank_and_the_row(void** state) {
  (void)state;
  const uint64_t error = FIAR_WAIT_ERROR(15, 1u << 30);
  assert_int_not_equal(FIAR_WAIT_ERROR(0, 0), 0);
  assert_int_equal(FIAR_WAIT_ERROR_RANK(error), 15);
  assert_int_equal(FIAR_WAIT_ERROR_ROW(error), 1u << 30);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_fits_its_threads_and_the_grid_is_resident),
      cmocka_unit_test(long_calls_of_wide_rows_draw_them),
      cmocka_unit_test(rows_are_spread_over_the_device_as_was_measured),
      cmocka_unit_test(few_wide_rows_take_a_cluster_each_where_there_are_clusters),
      cmocka_unit_test(a_scale_block_that_no_shuffle_serves_keeps_its_row_in_one_block),
      cmocka_unit_test(rows_of_an_owner_do_not_all_fall_to_one_block),
      cmocka_unit_test(slots_hold_every_source_and_what_comes_back),
      cmocka_unit_test(calls_that_vectors_cannot_serve_are_refused_with_the_reason),
      cmocka_unit_test(a_sharded_residual_has_one_kernel),
      cmocka_unit_test(strides_find_every_scale_where_its_layout_puts_it),
      cmocka_unit_test(quotients_by_the_largest_code_are_exact),
      cmocka_unit_test(quotients_have_the_codes_of_divisions),
      cmocka_unit_test(an_error_word_names_the_rank_and_the_row),
  };
  return cmocka_run_group_tests_name("kernel_plan", tests, NULL, NULL);
}
