// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The reference's conversions: known values, and over all 2^16 f16 and bf16 values CUDA's own host
// conversions where its headers are found. `convert_test --all` compares all 2^32 f32 values
// (minutes).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "host/reference.h"

#if FIAR_HAVE_CUDA_HEADERS
#include <cuda_fp4.h>
#include <cuda_fp8.h>
#endif

static void fp4_ties_go_to_even(void** state) {
  (void)state;
  static const struct {
    float in, out;
  } rows[] = {{0.25f, 0.0f},   {0.75f, 1.0f},    {1.25f, 1.0f}, {1.75f, 2.0f},
              {2.5f, 2.0f},    {3.5f, 4.0f},     {5.0f, 4.0f},  {6.9f, 6.0f},
              {-0.75f, -1.0f}, {INFINITY, 6.0f}, {NAN, 6.0f},   {-1e30f, -6.0f}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    assert_true(fiar_e2m1_to_f32(fiar_f32_to_e2m1(rows[i].in)) == rows[i].out);
  }
}

static void fp8_saturates_and_keeps_nan(void** state) {
  (void)state;
  assert_int_equal(fiar_f32_to_e4m3(448.0f), 0x7E);
  assert_int_equal(fiar_f32_to_e4m3(1e30f), 0x7E);
  assert_int_equal(fiar_f32_to_e4m3(-INFINITY), 0xFE);
  assert_int_equal(fiar_f32_to_e4m3(NAN), 0x7F);
  assert_int_equal(fiar_f32_to_e4m3(-NAN), 0x7F);
  assert_int_equal(fiar_f32_to_e4m3(-0.0f), 0x80);
  assert_int_equal(fiar_f32_to_e4m3(0x1p-10f), 0x00);  // a tie with the smallest subnormal
  assert_int_equal(fiar_f32_to_e4m3(0x1.000002p-10f), 0x01);
}

static void sixteen_bit_types_keep_their_edges(void** state) {
  (void)state;
  assert_int_equal(fiar_f32_to_f16(65519.996f), 0x7BFF);
  assert_int_equal(fiar_f32_to_f16(65520.0f), 0x7C00);
  assert_int_equal(fiar_f32_to_f16(0x1p-25f), 0x0000);
  assert_int_equal(fiar_f32_to_f16(0x1.8p-25f), 0x0001);
  assert_int_equal(fiar_f32_to_f16(NAN), 0x7FFF);
  assert_int_equal(fiar_f32_to_bf16(3.4028235e38f), 0x7F80);
  assert_int_equal(fiar_f32_to_bf16(0x1.01p0f), 0x3F80);
  assert_int_equal(fiar_f32_to_bf16(0x1.03p0f), 0x3F82);
  assert_int_equal(fiar_f32_to_bf16(-0.0f), 0x8000);
}

static void every_value_comes_back_from_f32(void** state) {
  (void)state;
  for (uint32_t bits = 0; bits < 1u << 16; ++bits) {
    const float half = fiar_f16_to_f32((uint16_t)bits), brain = fiar_bf16_to_f32((uint16_t)bits);
    assert_int_equal(fiar_f32_to_f16(half), isnan(half) ? 0x7FFF : bits);
    assert_int_equal(fiar_f32_to_bf16(brain), isnan(brain) ? 0x7FFF : bits);
  }
  for (uint32_t bits = 0; bits < 256; ++bits) {
    const float value = fiar_e4m3_to_f32((uint8_t)bits);
    assert_int_equal(fiar_f32_to_e4m3(value), isnan(value) ? 0x7F : bits);
    assert_int_equal(fiar_f32_to_e2m1(fiar_e2m1_to_f32((uint8_t)bits)), bits % 16);
  }
  assert_true(fiar_ue8m0_to_f32(127) == 1.0f && fiar_ue8m0_to_f32(0) == 0x1p-127f);
  assert_true(isnan(fiar_ue8m0_to_f32(255)));
}

#if FIAR_HAVE_CUDA_HEADERS
#if defined(__FLT16_MAX__)
__extension__ typedef _Float16 compiler_f16_t;
#endif

// CUDA's 16-bit types are C++ only: the compiler's f16 and bf16's definition by its bits stand in.
static const char* differs_from_ieee(float value) {
  if (isnan(value)) {
    return fiar_f32_to_f16(value) == 0x7FFF && fiar_f32_to_bf16(value) == 0x7FFF ? NULL : "NaN";
  }
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (fiar_f32_to_bf16(value) != (bits + 0x7FFF + (bits >> 16 & 1)) >> 16) {
    return "bf16";
  }
#if defined(__FLT16_MAX__)
  const compiler_f16_t half = (compiler_f16_t)value;
  uint16_t half_bits;
  memcpy(&half_bits, &half, sizeof half_bits);
  return fiar_f32_to_f16(value) != half_bits ? "f16" : NULL;
#else
  return NULL;
#endif
}

// NULL, or the first of the conversions that differs.
static const char* differs_from_cuda(float value) {
  if (fiar_f32_to_e4m3(value) != __nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3)) {
    return "e4m3";
  }
  if (fiar_f32_to_e2m1(value) !=
      (__nv_cvt_float_to_fp4(value, __NV_E2M1, cudaRoundNearest) & 0xF)) {
    return "e2m1";
  }
  return differs_from_ieee(value);
}

static uint64_t compare(uint64_t from, uint64_t to, uint64_t step, float (*value_of)(uint32_t)) {
  uint64_t different = 0;
  for (uint64_t bits = from; bits < to; bits += step) {
    const float value = value_of((uint32_t)bits);
    const char* what = differs_from_cuda(value);
    if (what && different++ < 10) {
      print_error("%s of %a differs\n", what, (double)value);
    }
  }
  return different;
}

static float f32_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float f16_of(uint32_t bits) {
  return fiar_f16_to_f32((uint16_t)bits);
}

static float bf16_of(uint32_t bits) {
  return fiar_bf16_to_f32((uint16_t)bits);
}

static void every_sixteen_bit_value_converts_as_in_cuda(void** state) {
  (void)state;
  assert_int_equal(compare(0, 1 << 16, 1, f16_of), 0);
  assert_int_equal(compare(0, 1 << 16, 1, bf16_of), 0);
  for (uint32_t bits = 0; bits < 1u << 16; ++bits) {
    const __half_raw half = {.x = (uint16_t)bits};
    const __nv_bfloat16_raw brain = {.x = (uint16_t)bits};
    const float half_value = f16_of(bits), brain_value = bf16_of(bits);
    assert_int_equal(fiar_f32_to_e4m3(half_value),
                     __nv_cvt_halfraw_to_fp8(half, __NV_SATFINITE, __NV_E4M3));
    assert_int_equal(fiar_f32_to_e4m3(brain_value),
                     __nv_cvt_bfloat16raw_to_fp8(brain, __NV_SATFINITE, __NV_E4M3));
    assert_int_equal(fiar_f32_to_e2m1(half_value),
                     __nv_cvt_halfraw_to_fp4(half, __NV_E2M1, cudaRoundNearest));
    assert_int_equal(fiar_f32_to_e2m1(brain_value),
                     __nv_cvt_bfloat16raw_to_fp4(brain, __NV_E2M1, cudaRoundNearest));
  }
}

static void every_code_means_what_it_means_in_cuda(void** state) {
  (void)state;
  for (uint32_t bits = 0; bits < 256; ++bits) {
    const uint16_t fp8 = __nv_cvt_fp8_to_halfraw((uint8_t)bits, __NV_E4M3).x;
    const uint16_t fp4 = __nv_cvt_fp4_to_halfraw((uint8_t)(bits % 16), __NV_E2M1).x;
    assert_int_equal(fiar_f32_to_f16(fiar_e4m3_to_f32((uint8_t)bits)), fp8);
    assert_int_equal(fiar_f32_to_f16(fiar_e2m1_to_f32((uint8_t)bits)), fp4);
    assert_int_equal(fiar_f32_to_bf16(fiar_ue8m0_to_f32((uint8_t)bits)),
                     __nv_cvt_e8m0_to_bf16raw((uint8_t)bits).x);
  }
}

static void a_sample_of_f32_converts_as_in_cuda(void** state) {
  (void)state;
  assert_int_equal(compare(0, UINT64_C(1) << 32, 9973, f32_of), 0);
}
#endif

int main(int argc, char** argv) {
#if FIAR_HAVE_CUDA_HEADERS
  if (argc == 2 && strcmp(argv[1], "--all") == 0) {
    const uint64_t different = compare(0, UINT64_C(1) << 32, 1, f32_of);
    print_message("4294967296 values, %llu differ\n", (unsigned long long)different);
    return different == 0 ? 0 : 1;
  }
#else
  (void)argc;
  (void)argv;
  print_message("without CUDA's headers: known values only\n");
#endif
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(fp4_ties_go_to_even),
    cmocka_unit_test(fp8_saturates_and_keeps_nan),
    cmocka_unit_test(sixteen_bit_types_keep_their_edges),
    cmocka_unit_test(every_value_comes_back_from_f32),
#if FIAR_HAVE_CUDA_HEADERS
    cmocka_unit_test(every_sixteen_bit_value_converts_as_in_cuda),
    cmocka_unit_test(every_code_means_what_it_means_in_cuda),
    cmocka_unit_test(a_sample_of_f32_converts_as_in_cuda),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
