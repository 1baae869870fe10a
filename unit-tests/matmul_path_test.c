// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What is asked of cuBLASLt, and what a device refuses, without a device.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cuda/compute.h"
#include "cuda/cublaslt_dl.h"

static const float one = 1;

static fiar_matmul_params f8(void) {
  return (fiar_matmul_params){.m = 16,
                              .n = 64,
                              .k = 128,
                              .a_dtype = FIAR_ELEMENT_E4M3,
                              .b_dtype = FIAR_ELEMENT_E4M3,
                              .out_dtype = FIAR_ELEMENT_BF16,
                              .b_transposed = 1};
}

static fiar_matmul_params nvfp4(void) {
  fiar_matmul_params params = f8();
  params.a_dtype = params.b_dtype = FIAR_ELEMENT_E2M1;
  params.a_scaling = params.b_scaling = FIAR_SCALING_BLOCK;
  params.a_scales = params.b_scales = &one;
  params.block_scale_type = FIAR_SCALE_TYPE_E4M3;
  params.block_scale_layout = FIAR_SCALE_LAYOUT_SWIZZLED_128X4;
  return params;
}

static fiar_matmul_path_t path_of(const fiar_matmul_params* params, int32_t sm, int version) {
  fiar_matmul_path_t path;
  if (fiar_cuda_matmul_path(params, sm, version, true, &path) != FIAR_OK) {
    fail_msg("%s", fiar_last_error());
  }
  return path;
}

static void cublaslt_does_what_it_can(void** state) {
  (void)state;
  fiar_matmul_params p = f8();
  assert_true(path_of(&p, 90, 130000).finishes);
  p.a_scale = p.b_scale = &one;
  assert_int_equal(path_of(&p, 90, 130000).scales, FIAR_MATMUL_SCALES_TENSOR);
  assert_true(path_of(&p, 90, 130000).finishes);
  p.bias = &one;
  p.bias_dtype = FIAR_ELEMENT_BF16;
  assert_true(path_of(&p, 90, 130000).bias);
  p.bias_dtype = FIAR_ELEMENT_F32;
  assert_false(path_of(&p, 90, 130000).finishes);
  assert_int_equal(path_of(&p, 90, 130000).out_dtype, FIAR_ELEMENT_F32);
  p = f8();
  p.a_scaling = p.b_scaling = FIAR_SCALING_VECTOR;
  p.a_scales = p.b_scales = &one;
  assert_int_equal(path_of(&p, 90, 130000).scales, FIAR_MATMUL_SCALES_VECTOR);
  assert_false(path_of(&p, 90, 120800).finishes);
  assert_false(path_of(&p, 100, 130000).finishes);
  p.b_scaling = FIAR_SCALING_NONE;
  assert_false(path_of(&p, 90, 130000).finishes);
  p = f8();
  p.a_scale = &one;
  p.a_scale_is = FIAR_SCALE_IS_MULTIPLIER;
  assert_false(path_of(&p, 90, 130000).finishes);
  p = f8();
  p.a_dtype = p.b_dtype = FIAR_ELEMENT_BF16;
  assert_true(path_of(&p, 80, 120000).finishes);
  p.out_dtype = FIAR_ELEMENT_F16;
  assert_false(path_of(&p, 80, 120000).finishes);
  p = nvfp4();
  assert_int_equal(path_of(&p, 100, 130000).scales, FIAR_MATMUL_SCALES_BLOCK);
  assert_true(path_of(&p, 100, 130000).finishes);
  p.a_scale = &one;
  assert_false(path_of(&p, 100, 130000).finishes);
  assert_int_equal(path_of(&p, 100, 130000).scales, FIAR_MATMUL_SCALES_BLOCK);
}

static void a_device_says_what_it_lacks(void** state) {
  (void)state;
  fiar_matmul_params bad_k = f8(), bad_n = f8(), rows = f8(), mxfp4 = nvfp4(), linear = nvfp4();
  fiar_matmul_params bare = nvfp4(), plain = f8(), blocks = nvfp4();
  bad_k.k = 72;
  bad_n.n = 40;
  rows.b_transposed = 0;
  mxfp4.block_scale_type = FIAR_SCALE_TYPE_UE8M0;
  linear.block_scale_layout = FIAR_SCALE_LAYOUT_LINEAR;
  bare.a_scaling = bare.b_scaling = FIAR_SCALING_NONE;
  const struct {
    const fiar_matmul_params* params;
    int32_t sm;
    int version;
    const char* words;
  } refused[] = {
      {&plain, 80, 130000, "f8 matmuls need compute capability 8.9 or later, this device has 8.0"},
      {&rows, 90, 130000, "b is [k, n], f8 matmuls of compute capability 9.0 need [n, k]"},
      {&rows, 120, 130000, "compute capability 12.0 need [n, k]"},
      {&bad_k, 90, 130000, "k is 72, f8 matmuls on devices need a multiple of 16"},
      {&bad_n, 90, 130000, "n is 40, f8 matmuls on devices need a multiple of 16"},
      {&blocks, 90, 130000,
       "block scales need compute capability 10.0 or later, this device has 9.0"},
      {&blocks, 100, 120600, "block scales need cuBLASLt 120800 or later, this one is 120600"},
      {&mxfp4, 100, 130000, "no matmul of e2m1 codes with ue8m0 scales"},
      {&linear, 100, 130000, "block_scale_layout is 0, matmuls on devices need 1"},
      {&bare, 100, 130000, "matmuls of e2m1 codes on devices need block scales"},
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; ++i) {
    fiar_matmul_path_t path;
    assert_int_equal(
        fiar_cuda_matmul_path(refused[i].params, refused[i].sm, refused[i].version, true, &path),
        FIAR_UNSUPPORTED);
    if (!strstr(fiar_last_error(), refused[i].words)) {
      fail_msg("\"%s\" does not say \"%s\"", fiar_last_error(), refused[i].words);
    }
  }
  fiar_matmul_path_t path;
  assert_int_equal(fiar_cuda_matmul_path(&rows, 100, 130000, true, &path), FIAR_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cublaslt_does_what_it_can),
      cmocka_unit_test(a_device_says_what_it_lacks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
