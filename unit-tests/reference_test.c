// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The reference itself, against numbers worked out by hand from docs/numerics.md: everything else
// is compared with the reference, so this is where its own formulas are held to the page.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "host/reference.h"

static float f32_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// One row of f32 quantised as given.
static void quantise(const float* row, fiar_all_reduce_norm_params p, void* codes, void* scales) {
  p.tokens = 1;
  p.dtype = FIAR_DTYPE_F32;
  p.quant_out = codes;
  p.scales_out = scales;
  assert_int_equal(fiar_reference_quantise(row, &p), FIAR_OK);
}

static void the_sum_is_in_rank_order_in_f32_rounded_once(void** state) {
  (void)state;
  // (2^24 + 1) - 2^24 is 0 in f32, any other order gives 1; 256 + 1 + 1 is 258 where each step in
  // bf16 would stay at 256.
  const float big[] = {0x1p24f}, one[] = {1}, minus[] = {-0x1p24f};
  const void* floats[] = {big, one, minus};
  float sum;
  fiar_all_reduce_norm_params p = {
      .tokens = 1, .hidden = 1, .dtype = FIAR_DTYPE_F32, .sum_out = &sum};
  assert_int_equal(fiar_reference_all_reduce_norm(3, 0, floats, NULL, &p), FIAR_OK);
  assert_true(sum == 0);
  const uint16_t a[] = {fiar_f32_to_bf16(256)}, b[] = {fiar_f32_to_bf16(1)};
  const void* brains[] = {a, b, b};
  uint16_t brain;
  p.dtype = FIAR_DTYPE_BF16;
  p.sum_out = &brain;
  assert_int_equal(fiar_reference_all_reduce_norm(3, 0, brains, NULL, &p), FIAR_OK);
  assert_true(fiar_bf16_to_f32(brain) == 258);
}

static void a_sum_of_negative_zeros_is_negative(void** state) {
  (void)state;
  const float zero[] = {-0.0f};
  const void* inputs[] = {zero, zero};
  float sum = 1;
  const fiar_all_reduce_norm_params p = {
      .tokens = 1, .hidden = 1, .dtype = FIAR_DTYPE_F32, .sum_out = &sum};
  assert_int_equal(fiar_reference_all_reduce_norm(2, 1, inputs, NULL, &p), FIAR_OK);
  assert_true(sum == 0 && signbit(sum));
}

static void nan_is_canonical(void** state) {
  (void)state;
  const float nan[] = {f32_of(0xFFC12345)};
  const void* inputs[] = {nan};
  uint32_t sum = 0;
  const fiar_all_reduce_norm_params p = {
      .tokens = 1, .hidden = 1, .dtype = FIAR_DTYPE_F32, .sum_out = &sum};
  assert_int_equal(fiar_reference_all_reduce_norm(1, 0, inputs, NULL, &p), FIAR_OK);
  assert_int_equal(sum, 0x7FFFFFFF);
}

// h = {3, 4}: mean square 12.5, eps 3.5 makes the root exactly 1/4.
static void the_norm_divides_by_the_root_of_the_mean_square_and_eps(void** state) {
  (void)state;
  const float input[] = {1, 1}, residual[] = {2, 3}, weight[] = {2, 0.5f};
  const void *inputs[] = {input}, *residuals[] = {residual};
  float norm[2], sum[2], added[2];
  fiar_all_reduce_norm_params p = {.tokens = 1,
                                   .hidden = 2,
                                   .dtype = FIAR_DTYPE_F32,
                                   .weight_dtype = FIAR_DTYPE_F32,
                                   .weight = weight,
                                   .eps = 3.5f,
                                   .sum_out = sum,
                                   .residual_out = added,
                                   .norm_out = norm};
  assert_int_equal(fiar_reference_all_reduce_norm(1, 0, inputs, residuals, &p), FIAR_OK);
  assert_true(sum[0] == 1 && added[0] == 3 && added[1] == 4);
  assert_true(norm[0] == 1.5f && norm[1] == 0.5f);
  p.weight_bias = 1;  // Gemma's 1 + weight
  assert_int_equal(fiar_reference_all_reduce_norm(1, 0, inputs, residuals, &p), FIAR_OK);
  assert_true(norm[0] == 2.25f && norm[1] == 1.5f);
  p.weight = NULL;  // no weight: the bias is unused
  assert_int_equal(fiar_reference_all_reduce_norm(1, 0, inputs, residuals, &p), FIAR_OK);
  assert_true(norm[0] == 0.75f && norm[1] == 1);
}

// 256 + 1 in bf16 is 256; the unrounded 257 differs in the norm.
static void norm_input_f32_sees_the_unrounded_sum(void** state) {
  (void)state;
  const uint16_t input[] = {fiar_f32_to_bf16(256)}, residual[] = {fiar_f32_to_bf16(1)};
  const void *inputs[] = {input}, *residuals[] = {residual};
  uint16_t norm, added;
  fiar_all_reduce_norm_params p = {.tokens = 1,
                                   .hidden = 1,
                                   .dtype = FIAR_DTYPE_BF16,
                                   .eps = 991000,  // 257 and 256 land on neighbours
                                   .residual_out = &added,
                                   .norm_out = &norm,
                                   .norm_input = FIAR_NORM_INPUT_F32};
  assert_int_equal(fiar_reference_all_reduce_norm(1, 0, inputs, residuals, &p), FIAR_OK);
  assert_true(fiar_bf16_to_f32(added) == 256);
  assert_int_equal(norm, fiar_f32_to_bf16(257.0f / sqrtf(66049.0f + 991000.0f)));
  p.norm_input = FIAR_NORM_INPUT_ROUNDED;
  assert_int_equal(fiar_reference_all_reduce_norm(1, 0, inputs, residuals, &p), FIAR_OK);
  assert_int_equal(norm, fiar_f32_to_bf16(256.0f / sqrtf(65536.0f + 991000.0f)));
}

// h * root = 1.00390625 rounds to bf16's 1 (a tie, to even), and 3 x 1 is not bf16(3.01171875)
// = 3.015625.
static void before_weight_rounds_twice(void** state) {
  (void)state;
  const uint16_t input[] = {fiar_f32_to_bf16(1)}, weight[] = {fiar_f32_to_bf16(3)};
  const void* inputs[] = {input};
  uint16_t norm;
  fiar_all_reduce_norm_params p = {.tokens = 1,
                                   .hidden = 1,
                                   .dtype = FIAR_DTYPE_BF16,
                                   .weight_dtype = FIAR_DTYPE_BF16,
                                   .weight = weight,
                                   .norm_out = &norm};
  const float root = 1.00390625f;
  p.eps = 1 / (root * root) - 1;  // negative, which only the reference takes
  p.norm_rounding = FIAR_NORM_ROUNDING_BEFORE_WEIGHT;
  assert_int_equal(fiar_reference_all_reduce_norm(1, 0, inputs, NULL, &p), FIAR_OK);
  assert_true(fiar_bf16_to_f32(norm) == 3);
  p.norm_rounding = FIAR_NORM_ROUNDING_AFTER_WEIGHT;
  assert_int_equal(fiar_reference_all_reduce_norm(1, 0, inputs, NULL, &p), FIAR_OK);
  assert_true(fiar_bf16_to_f32(norm) == 3.015625f);
}

// Rank 1 of 2 owns row 1: it reads and writes its own shard only, and still norms both rows.
static void a_sharded_residual_belongs_to_the_rows_owner(void** state) {
  (void)state;
  const float input[] = {1, 1, 1}, shard0[] = {10, 30}, shard1[] = {20, -1};
  const void *inputs[] = {input, input}, *residuals[] = {shard0, shard1};
  float added[2] = {7, 7}, norm[3];
  const fiar_all_reduce_norm_params p = {.tokens = 3,
                                         .hidden = 1,
                                         .dtype = FIAR_DTYPE_F32,
                                         .residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD,
                                         .residual_out = added,
                                         .norm_out = norm};
  assert_int_equal(fiar_reference_all_reduce_norm(2, 1, inputs, residuals, &p), FIAR_OK);
  assert_true(added[0] == 22 && added[1] == 7);
  assert_true(norm[0] == 1 && norm[1] == 1 && norm[2] == 1);
}

// Row t of a call with blocks is that of the call with the whole residual, at every rank, and the
// ranks' blocks one behind the other are the whole.
static void blocks_of_rows_are_the_whole_residual_cut_up(void** state) {
  (void)state;
  enum { WORLD = 3, TOKENS = 6, HIDDEN = 2, BLOCK = TOKENS / WORLD * HIDDEN };
  float input[WORLD][TOKENS * HIDDEN], whole[TOKENS * HIDDEN];
  const void *inputs[WORLD], *same[WORLD], *blocks[WORLD];
  for (int r = 0; r < WORLD; ++r) {
    for (int i = 0; i < TOKENS * HIDDEN; ++i) {
      input[r][i] = (float)(i * i + 7 * r);
      whole[i] = (float)(3 * i - 40);
    }
    inputs[r] = input[r];
    same[r] = whole;
    blocks[r] = whole + (ptrdiff_t)r * BLOCK;
  }
  float norm[TOKENS * HIDDEN], added[TOKENS * HIDDEN];
  fiar_all_reduce_norm_params p = {.tokens = TOKENS,
                                   .hidden = HIDDEN,
                                   .dtype = FIAR_DTYPE_F32,
                                   .residual_out = added,
                                   .norm_out = norm};
  assert_int_equal(fiar_reference_all_reduce_norm(WORLD, 0, inputs, same, &p), FIAR_OK);
  for (int r = 0; r < WORLD; ++r) {
    float norm_here[TOKENS * HIDDEN], block[BLOCK + 1] = {[BLOCK] = 7};
    p.residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK;
    p.residual_out = block;
    p.norm_out = norm_here;
    assert_int_equal(fiar_reference_all_reduce_norm(WORLD, r, inputs, blocks, &p), FIAR_OK);
    assert_memory_equal(norm_here, norm, sizeof norm);
    assert_memory_equal(block, added + (ptrdiff_t)r * BLOCK, BLOCK * sizeof *block);
    assert_true(block[BLOCK] == 7);
  }
}

static void fp8_token_scales_by_amax_over_448(void** state) {
  (void)state;
  const float row[] = {-896, 448, 1, 0};
  uint8_t codes[4];
  float scale;
  const fiar_all_reduce_norm_params p = {
      .hidden = 4, .quant = FIAR_QUANT_FP8_TOKEN, .scale_min = 0.5f};
  quantise(row, p, codes, &scale);
  assert_true(scale == 2);
  assert_int_equal(codes[0], 0xFE);
  assert_int_equal(codes[1], fiar_f32_to_e4m3(224));
  assert_int_equal(codes[2], fiar_f32_to_e4m3(0.5f));
  const float small[] = {1, 0, 0, 0};
  quantise(small, p, codes, &scale);
  assert_true(scale == 0.5f);  // the floor
  assert_int_equal(codes[0], fiar_f32_to_e4m3(2));
}

static void ue8m0_group_scales_round_up(void** state) {
  (void)state;
  const float row[] = {448, 0, 449, 0};
  uint8_t codes[4], scales[2];
  const fiar_all_reduce_norm_params p = {.hidden = 4,
                                         .group_size = 2,
                                         .quant = FIAR_QUANT_FP8_GROUP,
                                         .scale_type = FIAR_SCALE_TYPE_UE8M0};
  quantise(row, p, codes, scales);
  assert_int_equal(scales[0], 127);
  assert_int_equal(scales[1], 128);
  assert_int_equal(codes[2], fiar_f32_to_e4m3(224.5f));
}

static void nvfp4_scales_by_amax_over_6_under_the_global_scale(void** state) {
  (void)state;
  float row[16] = {12, -6, 1};
  uint8_t codes[8], scales[1];
  const float two = 2;
  fiar_all_reduce_norm_params p = {.hidden = 16,
                                   .quant = FIAR_QUANT_NVFP4,
                                   .scale = &two,
                                   .scale_type = FIAR_SCALE_TYPE_E4M3,
                                   .scale_is = FIAR_SCALE_IS_MULTIPLIER};
  quantise(row, p, codes, scales);
  assert_true(fiar_e4m3_to_f32(scales[0]) == 4);  // 2 * 12 / 6
  assert_int_equal(codes[0], fiar_f32_to_e2m1(6) | fiar_f32_to_e2m1(-3) << 4);
  assert_int_equal(codes[1], fiar_f32_to_e2m1(0.5f));
  p.scale_is = FIAR_SCALE_IS_DIVISOR;
  quantise(row, p, codes, scales);
  assert_true(fiar_e4m3_to_f32(scales[0]) == 1);  // 12 / 2 / 6
  assert_int_equal(codes[0], fiar_f32_to_e2m1(6) | fiar_f32_to_e2m1(-3) << 4);
}

static void an_nvfp4_scale_of_zero_makes_codes_of_plus_zero(void** state) {
  (void)state;
  float row[16] = {-1e-30f, 1e-30f};
  uint8_t codes[8], scales[1];
  memset(codes, 0xFF, sizeof codes);
  const fiar_all_reduce_norm_params p = {
      .hidden = 16, .quant = FIAR_QUANT_NVFP4, .scale_type = FIAR_SCALE_TYPE_E4M3};
  quantise(row, p, codes, scales);
  assert_int_equal(scales[0], 0);
  for (int i = 0; i < 8; ++i) {
    assert_int_equal(codes[i], 0);
  }
}

static void mx_scales_follow_the_ocp_rule(void** state) {
  (void)state;
  static const struct {
    float amax;
    uint8_t fp8, fp4;
  } rows[] = {{0, 0, 0},         {1, 119, 125},        {1.99f, 119, 125}, {448, 127, 133},
              {0x1p-127f, 0, 0}, {INFINITY, 254, 254}, {NAN, 255, 255},   {0x1.8p127f, 246, 252}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    float row[32] = {0, -rows[i].amax};
    uint8_t codes[32], scales[1];
    fiar_all_reduce_norm_params p = {
        .hidden = 32, .quant = FIAR_QUANT_MXFP8, .scale_type = FIAR_SCALE_TYPE_UE8M0};
    quantise(row, p, codes, scales);
    assert_int_equal(scales[0], rows[i].fp8);
    p.quant = FIAR_QUANT_MXFP4;
    quantise(row, p, codes, scales);
    assert_int_equal(scales[0], rows[i].fp4);
  }
}

// The formulas of the page, evaluated here for a few places.
static void scales_lie_where_the_layouts_say(void** state) {
  (void)state;
  static const struct {
    uint8_t type, layout;
    int64_t row, column;
    size_t offset;
  } rows[] = {
      {FIAR_SCALE_TYPE_E4M3, FIAR_SCALE_LAYOUT_LINEAR, 2, 3, 15},
      {FIAR_SCALE_TYPE_F32, FIAR_SCALE_LAYOUT_LINEAR, 2, 3, 60},
      {FIAR_SCALE_TYPE_E4M3, FIAR_SCALE_LAYOUT_SWIZZLED_128X4, 0, 5, 512 + 1},
      {FIAR_SCALE_TYPE_E4M3, FIAR_SCALE_LAYOUT_SWIZZLED_128X4, 33, 0, 16 + 4},
      {FIAR_SCALE_TYPE_E4M3, FIAR_SCALE_LAYOUT_SWIZZLED_128X4, 129, 2, 1042},
      {FIAR_SCALE_TYPE_E4M3, FIAR_SCALE_LAYOUT_SWIZZLED_8X4, 9, 5, 101},
      {FIAR_SCALE_TYPE_F32, FIAR_SCALE_LAYOUT_COLUMN_MAJOR, 2, 3, 1592},
      {FIAR_SCALE_TYPE_UE8M0, FIAR_SCALE_LAYOUT_COLUMN_MAJOR, 2, 5, 537},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    const fiar_all_reduce_norm_params p = {.tokens = 130,
                                           .hidden = 192,
                                           .group_size = 32,
                                           .quant = FIAR_QUANT_FP8_GROUP,
                                           .scale_type = rows[i].type,
                                           .scale_layout = rows[i].layout};
    assert_int_equal(fiar_scale_offset(&p, rows[i].row, rows[i].column), rows[i].offset);
  }
}

// Each scale has a place of its own within the array, in every layout.
static void layouts_are_one_to_one(void** state) {
  (void)state;
  for (int layout = 0; layout <= FIAR_SCALE_LAYOUT_COLUMN_MAJOR; ++layout) {
    static unsigned char seen[1 << 16];
    memset(seen, 0, sizeof seen);
    const fiar_all_reduce_norm_params p = {.tokens = 131,
                                           .hidden = 224,
                                           .quant = FIAR_QUANT_MXFP8,
                                           .scale_type = FIAR_SCALE_TYPE_UE8M0,
                                           .scale_layout = (uint8_t)layout};
    const size_t bytes = fiar_reference_scales_bytes(&p);
    for (int64_t row = 0; row < p.tokens; ++row) {
      for (int64_t column = 0; column < 7; ++column) {
        const size_t at = fiar_scale_offset(&p, row, column);
        assert_true(at < bytes && !seen[at]);
        seen[at] = 1;
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_sum_is_in_rank_order_in_f32_rounded_once),
      cmocka_unit_test(a_sum_of_negative_zeros_is_negative),
      cmocka_unit_test(nan_is_canonical),
      cmocka_unit_test(the_norm_divides_by_the_root_of_the_mean_square_and_eps),
      cmocka_unit_test(norm_input_f32_sees_the_unrounded_sum),
      cmocka_unit_test(before_weight_rounds_twice),
      cmocka_unit_test(a_sharded_residual_belongs_to_the_rows_owner),
      cmocka_unit_test(blocks_of_rows_are_the_whole_residual_cut_up),
      cmocka_unit_test(fp8_token_scales_by_amax_over_448),
      cmocka_unit_test(ue8m0_group_scales_round_up),
      cmocka_unit_test(nvfp4_scales_by_amax_over_6_under_the_global_scale),
      cmocka_unit_test(an_nvfp4_scale_of_zero_makes_codes_of_plus_zero),
      cmocka_unit_test(mx_scales_follow_the_ocp_rule),
      cmocka_unit_test(scales_lie_where_the_layouts_say),
      cmocka_unit_test(layouts_are_one_to_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
