// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a call may not say: each row breaks one thing of a good call, and the text names it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "runtime_impl.h"

enum { TOKENS = 4, HIDDEN = 64, WORLD = 2 };

static struct {
  _Alignas(256) uint16_t input[TOKENS * HIDDEN * 2], residual[TOKENS * HIDDEN], weight[HIDDEN];
  _Alignas(256) uint16_t sum[TOKENS * HIDDEN], residual_out[TOKENS * HIDDEN], norm[TOKENS * HIDDEN];
  _Alignas(256) unsigned char codes[TOKENS * HIDDEN * 2], scales[4096];
  _Alignas(256) float scale;
} room;

static fiar_all_reduce_norm_params good(void) {
  return (fiar_all_reduce_norm_params){
      .struct_size = sizeof(fiar_all_reduce_norm_params),
      .input = room.input,
      .residual = room.residual,
      .weight = room.weight,
      .sum_out = room.sum,
      .residual_out = room.residual_out,
      .norm_out = room.norm,
      .quant_out = room.codes,
      .scales_out = room.scales,
      .tokens = TOKENS,
      .hidden = HIDDEN,
      .eps = 1e-6f,
      .dtype = FIAR_DTYPE_BF16,
      .weight_dtype = FIAR_DTYPE_BF16,
      .quant = FIAR_QUANT_NVFP4,
      .scale_type = FIAR_SCALE_TYPE_E4M3,
  };
}

static void refuses_as(const fiar_all_reduce_norm_params* params, fiar_status_t status,
                       const char* words) {
  fiar_all_reduce_norm_params checked;
  assert_int_equal(fiar_params_check(params, WORLD, &checked), status);
  if (!strstr(fiar_last_error(), words)) {
    fail_msg("\"%s\" does not say \"%s\"", fiar_last_error(), words);
  }
}

static void refuses(const fiar_all_reduce_norm_params* params, const char* words) {
  refuses_as(params, FIAR_INVALID_ARGUMENT, words);
}

static void accepts(const fiar_all_reduce_norm_params* params) {
  fiar_all_reduce_norm_params checked;
  if (fiar_params_check(params, WORLD, &checked) != FIAR_OK) {
    fail_msg("refused: %s", fiar_last_error());
  }
}

static void a_good_call_passes_and_is_completed(void** state) {
  (void)state;
  const fiar_all_reduce_norm_params params = good();
  fiar_all_reduce_norm_params checked;
  assert_int_equal(fiar_params_check(&params, WORLD, &checked), FIAR_OK);
  assert_int_equal(checked.input_stride, HIDDEN);
  assert_int_equal(checked.residual_stride, HIDDEN);
}

static void numbers_out_of_their_domain_are_named(void** state) {
  (void)state;
  fiar_all_reduce_norm_params p;
#define REFUSES(field, value, words) \
  p = good();                        \
  p.field = value;                   \
  refuses(&p, words);
  REFUSES(tokens, -1, "tokens is -1")
  REFUSES(hidden, 0, "hidden is 0")
  REFUSES(hidden, -5, "hidden is -5")
  REFUSES(tokens, INT64_MAX / 2, "more than memory")
  REFUSES(input_stride, HIDDEN - 1, "input_stride is 63")
  REFUSES(residual_stride, -HIDDEN, "residual_stride is -64")
  REFUSES(eps, NAN, "eps is nan")
  REFUSES(eps, -1e-6f, "eps is -1e-06")
  REFUSES(weight_bias, INFINITY, "weight_bias is inf")
  REFUSES(scale_min, -1, "scale_min is -1")
  REFUSES(dtype, 0, "dtype is 0")
  REFUSES(dtype, 9, "dtype is 9")
  REFUSES(weight_dtype, 4, "weight_dtype is 4")
  REFUSES(quant, 7, "quant is 7")
  REFUSES(scale_layout, 4, "scale_layout is 4")
  REFUSES(scale_type, 3, "scale_type is 3")
  REFUSES(scale_is, 2, "scale_is is 2")
  REFUSES(norm_input, 2, "norm_input is 2")
  REFUSES(norm_rounding, 2, "norm_rounding is 2")
  REFUSES(residual_layout, 3, "residual_layout is 3")
  REFUSES(reserved[3], 1, "reserved")
  REFUSES(input, NULL, "input is NULL")
#undef REFUSES
  p = good();
  p.sum_out = p.residual_out = p.norm_out = p.quant_out = p.scales_out = NULL;
  refuses(&p, "every output is NULL");
  refuses(NULL, "params is NULL");
}

static void rows_in_blocks_are_as_many_on_every_rank(void** state) {
  (void)state;
  fiar_all_reduce_norm_params p = good(), checked;
  p.residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK;
  p.tokens = INT64_C(2) * WORLD;
  accepts(&p);
  p.tokens = 0;
  accepts(&p);
  p.tokens = WORLD + 1;
  refuses(&p, "must be a multiple of world = ");
  assert_int_equal(fiar_params_check(&p, 1, &checked), FIAR_OK);
  p.residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD;
  accepts(&p);
}

static void a_hidden_that_blocks_do_not_divide_is_refused(void** state) {
  (void)state;
  static const struct {
    uint8_t quant, type;
    int32_t group;
    int64_t hidden;
    const char* words;
  } rows[] = {
      {FIAR_QUANT_NVFP4, FIAR_SCALE_TYPE_E4M3, 0, 56, "hidden is 56, must be a multiple of 16"},
      {FIAR_QUANT_MXFP8, FIAR_SCALE_TYPE_UE8M0, 0, 48, "hidden is 48, must be a multiple of 32"},
      {FIAR_QUANT_MXFP4, FIAR_SCALE_TYPE_UE8M0, 0, 16, "hidden is 16, must be a multiple of 32"},
      {FIAR_QUANT_FP8_GROUP, FIAR_SCALE_TYPE_F32, 48, 64, "hidden is 64, must be a multiple of 48"},
      {FIAR_QUANT_FP8_GROUP, FIAR_SCALE_TYPE_F32, 0, 64, "group_size is 0, must be >= 1"},
      {FIAR_QUANT_NVFP4, FIAR_SCALE_TYPE_E4M3, 32, 64, "group_size is 32, must be 0 for nvfp4"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    fiar_all_reduce_norm_params p = good();
    p.quant = rows[i].quant;
    p.scale_type = rows[i].type;
    p.group_size = rows[i].group;
    p.hidden = rows[i].hidden;
    refuses(&p, rows[i].words);
  }
}

static void a_format_takes_only_its_own_scales(void** state) {
  (void)state;
  fiar_all_reduce_norm_params p = good();
  p.scale_type = FIAR_SCALE_TYPE_F32;
  refuses(&p, "scale_type is f32, which nvfp4 has not");
  p = good();
  p.scale_layout = FIAR_SCALE_LAYOUT_COLUMN_MAJOR;
  refuses(&p, "scale_layout is column_major, which nvfp4");
  p = good();
  p.quant = FIAR_QUANT_NONE;
  refuses(&p, "quant_out is given, but quant is none");
  p = good();
  p.quant = FIAR_QUANT_FP8_STATIC;
  p.scale_type = FIAR_SCALE_TYPE_F32;
  refuses(&p, "scales_out is given, but fp8_static");
  p = good();
  p.quant = FIAR_QUANT_FP8_TOKEN;
  p.scale_type = FIAR_SCALE_TYPE_F32;
  p.scale = &room.scale;
  refuses(&p, "scale is given, but fp8_token");
  p.scale = NULL;
  p.scale_layout = FIAR_SCALE_LAYOUT_SWIZZLED_128X4;
  refuses(&p, "scale_layout is swizzled_128x4, which fp8_token");
}

static void only_the_two_documented_aliases_pass(void** state) {
  (void)state;
  fiar_all_reduce_norm_params p = good();
  p.residual_out = room.residual;
  p.norm_out = room.input;
  accepts(&p);
  p.residual_stride = HIDDEN + 8;  // then the rows would not lie on one another
  p.residual = room.input;
  p.residual_out = room.input;
  refuses(&p, "overlaps residual_out");
  p = good();
  p.sum_out = room.input;
  refuses(&p, "input");
  p = good();
  p.residual_out = room.residual + 1;
  refuses(&p, "residual (");
  p = good();
  p.quant_out = (unsigned char*)room.norm + 100;
  refuses(&p, "norm_out (");
  p = good();
  p.scales_out = room.codes + 16;
  refuses(&p, "overlaps scales_out");
  p = good();  // inputs may share memory
  p.residual = room.input;
  accepts(&p);
}

static void a_plain_all_reduce_may_be_in_place(void** state) {
  (void)state;
  const fiar_all_reduce_norm_params p = {.struct_size = sizeof p,
                                         .input = room.input,
                                         .sum_out = room.input,
                                         .tokens = TOKENS,
                                         .hidden = HIDDEN,
                                         .dtype = FIAR_DTYPE_F16};
  accepts(&p);
}

// To their element: more is the backend's business.
static void misaligned_arrays_are_named(void** state) {
  (void)state;
  fiar_all_reduce_norm_params p = good();
  p.residual = (const unsigned char*)room.residual + 1;
  refuses(&p, "residual is");
  p = good();
  p.scale = (const float*)(const void*)((const unsigned char*)room.scales + 4090);
  refuses(&p, "scale is");
  p = good();
  p.quant_out = room.codes + 1;
  accepts(&p);
}

static void zero_tokens_need_no_memory(void** state) {
  (void)state;
  const fiar_all_reduce_norm_params p = {
      .struct_size = sizeof p, .hidden = HIDDEN, .dtype = FIAR_DTYPE_F16};
  accepts(&p);
}

static void an_older_struct_is_refused_a_longer_one_must_end_in_zeros(void** state) {
  (void)state;
  struct {
    fiar_all_reduce_norm_params params;
    uint64_t newer;
  } longer = {good(), 0};
  longer.params.struct_size = sizeof longer;
  accepts(&longer.params);
  longer.newer = 1;
  refuses_as(&longer.params, FIAR_ABI_MISMATCH, "struct_size is 152");
  longer.params.struct_size = 100;
  refuses_as(&longer.params, FIAR_ABI_MISMATCH, "struct_size is 100, must be at least 144");
}

static void sizes_include_the_padding(void** state) {
  (void)state;
  static const struct {
    uint8_t quant, type, layout;
    int32_t group;
    int64_t tokens, hidden;
    size_t codes, scales;
  } rows[] = {
      {FIAR_QUANT_NONE, 0, 0, 0, 5, 192, 0, 0},
      {FIAR_QUANT_FP8_STATIC, 0, 0, 0, 5, 192, 960, 0},
      {FIAR_QUANT_FP8_TOKEN, 0, 0, 0, 5, 192, 960, 20},
      {FIAR_QUANT_FP8_GROUP, 0, 0, 64, 5, 192, 960, 60},
      {FIAR_QUANT_FP8_GROUP, 0, FIAR_SCALE_LAYOUT_COLUMN_MAJOR, 64, 5, 192, 960, 96},
      {FIAR_QUANT_FP8_GROUP, 2, FIAR_SCALE_LAYOUT_COLUMN_MAJOR, 64, 5, 192, 960, 32},
      {FIAR_QUANT_NVFP4, 1, 0, 0, 5, 192, 480, 60},
      {FIAR_QUANT_NVFP4, 1, FIAR_SCALE_LAYOUT_SWIZZLED_128X4, 0, 5, 192, 480, 1536},
      {FIAR_QUANT_NVFP4, 1, FIAR_SCALE_LAYOUT_SWIZZLED_8X4, 0, 9, 208, 936, 256},
      {FIAR_QUANT_MXFP4, 2, FIAR_SCALE_LAYOUT_SWIZZLED_128X4, 0, 129, 160, 10320, 2048},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    const fiar_all_reduce_norm_params p = {.quant = rows[i].quant,
                                           .scale_type = rows[i].type,
                                           .scale_layout = rows[i].layout,
                                           .group_size = rows[i].group,
                                           .tokens = rows[i].tokens,
                                           .hidden = rows[i].hidden};
    size_t codes, scales;
    assert_int_equal(fiar_codes_bytes(&p, &codes), FIAR_OK);
    assert_int_equal(fiar_scales_bytes(&p, &scales), FIAR_OK);
    assert_int_equal(codes, rows[i].codes);
    assert_int_equal(scales, rows[i].scales);
  }
}

// Whatever the bytes are: a verdict, and under the sanitizers no overflow on the way to it.
static void any_bytes_are_judged(void** state) {
  (void)state;
  uint32_t seed = 1;
  for (int i = 0; i < 200000; ++i) {
    fiar_all_reduce_norm_params p = good(), checked;
    unsigned char* bytes = (unsigned char*)&p;
    for (int j = 0; j < 3; ++j) {
      seed = seed * 1664525u + 1013904223u;
      const size_t at = sizeof p.struct_size + seed / 7 % (sizeof p - sizeof p.struct_size);
      bytes[at] = (unsigned char)(seed >> 24);
    }
    size_t size;
    (void)fiar_params_check(&p, WORLD, &checked);
    (void)fiar_codes_bytes(&p, &size);
    (void)fiar_scales_bytes(&p, &size);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_good_call_passes_and_is_completed),
      cmocka_unit_test(numbers_out_of_their_domain_are_named),
      cmocka_unit_test(rows_in_blocks_are_as_many_on_every_rank),
      cmocka_unit_test(a_hidden_that_blocks_do_not_divide_is_refused),
      cmocka_unit_test(a_format_takes_only_its_own_scales),
      cmocka_unit_test(only_the_two_documented_aliases_pass),
      cmocka_unit_test(a_plain_all_reduce_may_be_in_place),
      cmocka_unit_test(misaligned_arrays_are_named),
      cmocka_unit_test(zero_tokens_need_no_memory),
      cmocka_unit_test(an_older_struct_is_refused_a_longer_one_must_end_in_zeros),
      cmocka_unit_test(sizes_include_the_padding),
      cmocka_unit_test(any_bytes_are_judged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
