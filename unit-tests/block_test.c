// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The ops around the fused call on the host: their values against formulas written out anew here,
// and what they refuse.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "block/blas.h"
#include "block/block.h"
#include "block_cases.h"
#define FIAR_ROUND_TO(value, element) fiar_rounded(value, element)
#include "activation.h"
#include "extent.h"
#include "host/reference.h"

static fiar_comm_t* comm;

static int on_the_host(void** state) {
  (void)state;
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = FIAR_DEVICE_NONE;
  return fiar_comm_create_threads(1, NULL, &options, &comm) != FIAR_OK;
}

static int done(void** state) {
  (void)state;
  fiar_comm_destroy(comm);
  return 0;
}

#define OK(call)                                    \
  do {                                              \
    if ((call) != FIAR_OK) {                        \
      fail_msg("%s: %s", #call, fiar_last_error()); \
    }                                               \
  } while (0)

#define REFUSED(call, status, words)                                    \
  do {                                                                  \
    assert_int_equal(call, FIAR_##status);                              \
    if (!strstr(fiar_last_error(), words)) {                            \
      fail_msg("\"%s\" does not say \"%s\"", fiar_last_error(), words); \
    }                                                                   \
  } while (0)

// ---- Values ----

// Where the scale (row, col) of `cols` a row lies in swizzled_128x4, by docs/numerics.md.
static int64_t swizzled_at(int64_t row, int64_t col, int64_t cols) {
  const int64_t padded = (cols + 3) / 4 * 4;
  return row / 128 * 128 * padded + col / 4 * 512 + row % 32 * 16 + row % 128 / 32 * 4 + col % 4;
}

// A scale of the swizzled layout, or the linear one.
static double block_scale(const fiar_matmul_params* p, const void* scales, int64_t row,
                          int64_t element) {
  const int64_t block = p->block_scale_type == FIAR_SCALE_TYPE_E4M3 ? 16 : 32;
  const int64_t cols = p->k / block, col = element / block;
  const int64_t at = p->block_scale_layout == FIAR_SCALE_LAYOUT_LINEAR
                         ? row * cols + col
                         : swizzled_at(row, col, cols);
  const uint8_t byte = ((const uint8_t*)scales)[at];
  return p->block_scale_type == FIAR_SCALE_TYPE_E4M3 ? (double)fiar_e4m3_to_f32(byte)
                                                     : ldexp(1.0, byte - 127);
}

static double dot(const fiar_matmul_params* p, int64_t i, int64_t j) {
  double sum = 0;
  for (int64_t x = 0; x < p->k; ++x) {
    const int64_t at = p->b_transposed ? j * p->b_stride + x : x * p->b_stride + j;
    double product = (double)fiar_load_element(p->a, p->a_dtype, i * p->a_stride + x) *
                     (double)fiar_load_element(p->b, p->b_dtype, at);
    if (p->a_scaling == FIAR_SCALING_BLOCK) {
      product *= block_scale(p, p->a_scales, i, x) * block_scale(p, p->b_scales, j, x);
    }
    sum += product;
  }
  const double a = p->a_scale ? (double)*p->a_scale : 1, b = p->b_scale ? (double)*p->b_scale : 1;
  sum = p->a_scale_is ? sum / a : sum * a;
  sum = p->b_scale_is ? sum / b : sum * b;
  sum *= p->a_scaling == FIAR_SCALING_VECTOR ? (double)((const float*)p->a_scales)[i] : 1;
  sum *= p->b_scaling == FIAR_SCALING_VECTOR ? (double)((const float*)p->b_scales)[j] : 1;
  return sum + (p->bias ? (double)fiar_load(p->bias, p->bias_dtype, j) : 0);
}

static void check_matmul(const block_call_t* call) {
  const fiar_matmul_params* p = &call->params.matmul;
  for (int64_t i = 0; i < p->m; ++i) {
    for (int64_t j = 0; j < p->n; ++j) {
      const double sum = dot(p, i, j);
      assert_true((double)(float)sum == sum);  // else the case is not exact
      const float want = fiar_rounded((float)sum, p->out_dtype);
      const float got = fiar_load(p->out, p->out_dtype, i * p->out_stride + j);
      if (want != got) {
        fail_msg("%s: [%d, %d] is %g, must be %g", call->name, (int)i, (int)j, (double)got,
                 (double)want);
      }
    }
  }
}

static void each_case(block_op_t op, void (*check)(const block_call_t* call)) {
  int checked = 0;
  for (int i = 0; i < block_cases_count(); ++i) {
    block_call_t call;
    block_case_make(i, 0, &call);
    if (call.op == op) {
      OK(block_case_issue(&call, comm, NULL));
      check(&call);
      ++checked;
    }
    block_case_free(&call);
  }
  assert_true(checked > 0);
}

static void matmuls_are_exact(void** state) {
  (void)state;
  each_case(BLOCK_MATMUL, check_matmul);
}

// Each step of an activation, rounded to `step`.
static float r(float value, uint8_t step) {
  return fiar_rounded(value, step);
}

static float silu(float x, uint8_t step) {
  return x * r(1 / r(1 + r(fiar_exp(-x), step), step), step);
}

static float gelu_tanh(float x, uint8_t step) {
  const float cube = r(r(x * x, step) * x, step);
  const float sum = r(x + r(r(0.044715f, step) * cube, step), step);
  const float inner = r(r(0.79788456f, step) * sum, step);
  return x * r(0.5f * r(1 + r(fiar_tanh(inner), step), step), step);
}

static float gelu(float x, uint8_t step) {
  return r(0.5f * x, step) * r(fiar_erfc(r(-x * r(0.70710678f, step), step)), step);
}

static float no_activation(float x, uint8_t step) {
  (void)step;
  return x;
}

// What docs/numerics.md says of one element.
static float activate(const fiar_activate_params* p, float gate, float up) {
  static float (*const of[])(float, uint8_t) = {[FIAR_ACTIVATION_SILU] = silu,
                                                [FIAR_ACTIVATION_GELU_TANH] = gelu_tanh,
                                                [FIAR_ACTIVATION_GELU] = gelu,
                                                [FIAR_ACTIVATION_NONE] = no_activation};
  const bool each = p->rounding == FIAR_ACT_ROUNDING_EACH;
  float value = of[p->activation](gate, each ? p->dtype : FIAR_ELEMENT_F32);
  value = p->rounding == FIAR_ACT_ROUNDING_NONE ? value : fiar_rounded(value, p->dtype);
  value = p->combine == FIAR_COMBINE_MUL   ? value * up
          : p->combine == FIAR_COMBINE_ADD ? value + up
                                           : value;
  return fiar_rounded(value, p->out_dtype);
}

static bool same(float a, float b) {
  return isnan(a) ? isnan(b) != 0 : a == b && signbit(a) == signbit(b);
}

static void check_activate(const block_call_t* call) {
  const fiar_activate_params* p = &call->params.activate;
  block_call_t fresh;  // where the call was in place its gate is gone
  int index = 0;
  do {
    block_case_make(index++, 0, &fresh);
    if (strcmp(fresh.name, call->name) == 0) {
      break;
    }
    block_case_free(&fresh);
  } while (index < block_cases_count());
  const fiar_activate_params* in = &fresh.params.activate;
  for (int64_t i = 0; i < p->rows; ++i) {
    for (int64_t j = 0; j < p->cols; ++j) {
      const float gate = fiar_load(in->gate, p->dtype, i * p->gate_stride + j);
      const bool alone = p->combine == FIAR_COMBINE_NONE;
      const float up = alone    ? 0
                       : in->up ? fiar_load(in->up, p->dtype, i * p->up_stride + j)
                                : fiar_load(in->gate, p->dtype, i * p->gate_stride + p->cols + j);
      const float want = activate(p, gate, up);
      if (p->out) {
        assert_true(same(want, fiar_load(p->out, p->out_dtype, i * p->out_stride + j)));
      }
      if (p->quant_out) {
        const float code = p->scale_is ? want * *p->scale : want / *p->scale;
        assert_int_equal(((const uint8_t*)p->quant_out)[i * p->cols + j], fiar_f32_to_e4m3(code));
      }
    }
  }
  block_case_free(&fresh);
}

static void activations_round_where_they_say(void** state) {
  (void)state;
  each_case(BLOCK_ACTIVATE, check_activate);
}

typedef struct sweep {
  const char* name;
  float (*of)(float);
  double (*want)(double);
  float low, high;
  double most, mean;  // ulps: of any error, and of the mean of errors over a part
  uint32_t bits;      // a hash of all results
} sweep_t;

enum { PARTS = 64, IN_PART = 10000 };

// Dense f32 numbers against libm's double function. Errors of rounding cancel in a part's mean, so
// that a wrong coefficient shows there long before in the largest error.
static void sweep(const sweep_t* row) {
  uint32_t bits = 2166136261u;
  for (int part = 0; part < PARTS; ++part) {
    double sum = 0;
    for (int i = 0; i < IN_PART; ++i) {
      const double at = (part + (i + 0.5) / IN_PART) / PARTS;
      const float x = (float)((double)row->low + at * ((double)row->high - (double)row->low));
      const float got = row->of(x);
      const double exact = row->want((double)x);
      int exponent;
      (void)frexp(exact, &exponent);
      const double error = ((double)got - exact) / ldexp(1, exponent - 24);
      if (!(fabs(error) <= row->most)) {
        fail_msg("%s(%a) is %a, %.2f ulp off: more than %.2f", row->name, (double)x, (double)got,
                 error, row->most);
      }
      uint32_t word;
      memcpy(&word, &got, sizeof word);
      bits = (bits ^ word) * 16777619u;
      sum += error;
    }
    if (!(fabs(sum / IN_PART) <= row->mean)) {
      fail_msg("%s in part %d of %a to %a is %.3f ulp off on average: more than %.3f", row->name,
               part, (double)row->low, (double)row->high, sum / IN_PART, row->mean);
    }
  }
  if (bits != row->bits) {
    fail_msg("%s from %a to %a has other bits than it had: hash %08x, was %08x", row->name,
             (double)row->low, (double)row->high, bits, row->bits);
  }
}

// The bounds are little above what is measured. The hashes hold to the bits that all backends have
// in common: within the bounds a coefficient may change by some units of its last place.
static void tanh_and_erfc_are_accurate(void** state) {
  (void)state;
  static const sweep_t sweeps[] = {
      {"tanh", fiar_tanh, tanh, -0.6f, 0.6f, 0.75, 0.1, 0x20068805},
      {"tanh", fiar_tanh, tanh, 0.6f, 10, 1.4, 0.4, 0x23bd8c8a},
      {"tanh", fiar_tanh, tanh, -12, -0.6f, 1.4, 0.4, 0xeeabb489},
      {"erfc", fiar_erfc, erfc, -11, -0.5f, 1.4, 0.2, 0xcaab1e41},
      {"erfc", fiar_erfc, erfc, -0.5f, 0.5f, 3.0, 1.0, 0xdf3bb2a7},
      {"erfc", fiar_erfc, erfc, 0.5f, 2, 5.0, 0.6, 0xccf6f388},
      {"erfc", fiar_erfc, erfc, 2, 9.1f, 5.5, 0.6, 0x958fba58},
  };
  for (size_t i = 0; i < sizeof sweeps / sizeof *sweeps; ++i) {
    sweep(&sweeps[i]);
  }
  assert_true(isnan(fiar_tanh(NAN)) && isnan(fiar_erfc(NAN)));
  assert_true(fiar_tanh(INFINITY) == 1 && fiar_tanh(-INFINITY) == -1);
  assert_true(fiar_erfc(INFINITY) == 0 && fiar_erfc(-INFINITY) == 2);
  assert_true(signbit(fiar_tanh(-0.0f)) && fiar_erfc(0) == 1);
}

static void exp_is_within_an_ulp(void** state) {
  (void)state;
  uint32_t seen = 0;
  for (uint64_t bits = 0; bits < UINT64_C(0x100000000); bits += 9973) {
    const uint32_t word = (uint32_t)bits;
    float x;
    memcpy(&x, &word, sizeof x);
    const float got = fiar_exp(x);
    const double want = exp((double)x);
    if (isnan(x)) {
      assert_true(isnan(got));
    } else if (want > 0x1.ffffffp127) {
      assert_true(isinf(got));
    } else {
      int power;
      (void)frexp(want, &power);
      const double ulp = ldexp(1, power < -125 ? -149 : power - 24);
      if (!(fabs((double)got - want) <= ulp)) {
        fail_msg("exp(%a) is %a, must be about %a", (double)x, (double)got, want);
      }
      ++seen;
    }
  }
  assert_true(seen > 100000);
}

// Each scale at its place, and nothing but zeros between them.
static void check_swizzled(const fiar_copy_params* p) {
  const int64_t rows = p->transposed ? p->cols : p->rows, cols = p->transposed ? p->rows : p->cols;
  const size_t bytes = (size_t)((rows + 127) / 128 * 128 * ((cols + 3) / 4 * 4));
  unsigned char* want = calloc(bytes, 1);
  assert_non_null(want);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      const int64_t from = p->transposed ? j * p->input_stride + i : i * p->input_stride + j;
      want[swizzled_at(i, j, cols)] = ((const unsigned char*)p->input)[from];
    }
  }
  assert_memory_equal(p->out, want, bytes);
  free(want);
}

static void check_copy(const block_call_t* call) {
  const fiar_copy_params* p = &call->params.copy;
  const int bits = fiar_element_bits(p->in_dtype);
  if (p->out_layout != FIAR_SCALE_LAYOUT_LINEAR) {
    check_swizzled(p);
    return;
  }
  if (p->in_dtype == p->out_dtype && !p->transposed) {
    for (int64_t i = 0; i < p->rows; ++i) {
      assert_memory_equal((const char*)p->out + i * p->out_stride * bits / 8,
                          (const char*)p->input + i * p->input_stride * bits / 8,
                          (size_t)(p->cols * bits / 8));
    }
    return;
  }
  for (int64_t i = 0; i < p->rows; ++i) {
    for (int64_t j = 0; j < p->cols; ++j) {
      const int64_t to = p->transposed ? j * p->out_stride + i : i * p->out_stride + j;
      unsigned char want[4] = {0};
      fiar_store_element(want, p->out_dtype, 0,
                         fiar_load_element(p->input, p->in_dtype, i * p->input_stride + j));
      if (p->in_dtype == p->out_dtype) {
        memcpy(want, (const char*)p->input + (i * p->input_stride + j) * bits / 8,
               (size_t)bits / 8);
      }
      const int bytes = fiar_element_bits(p->out_dtype) / 8;
      assert_memory_equal((const char*)p->out + to * bytes, want, (size_t)bytes);
    }
  }
}

static void copies_convert_and_transpose(void** state) {
  (void)state;
  each_case(BLOCK_COPY, check_copy);
}

// By the host quantiser on the rows without gaps.
static void check_quantize(const block_call_t* call) {
  const fiar_quantize_params* p = &call->params.quantize;
  const size_t row = (size_t)p->cols * fiar_dtype_bytes(p->dtype);
  unsigned char *dense = malloc((size_t)p->rows * row), *codes = NULL, *scales = NULL;
  fiar_all_reduce_norm_params want = {.tokens = p->rows,
                                      .hidden = p->cols,
                                      .scale = p->scale,
                                      .scale_min = p->scale_min,
                                      .group_size = p->group_size,
                                      .dtype = p->dtype,
                                      .quant = p->quant,
                                      .scale_layout = p->scale_layout,
                                      .scale_type = p->scale_type,
                                      .scale_is = p->scale_is};
  const size_t code_bytes = fiar_reference_codes_bytes(&want);
  const size_t scale_bytes = fiar_reference_scales_bytes(&want);
  want.quant_out = codes = malloc(code_bytes);
  want.scales_out = scales = scale_bytes > 0 ? malloc(scale_bytes) : NULL;
  assert_non_null(dense);
  for (int64_t i = 0; i < p->rows; ++i) {
    memcpy(dense + (size_t)i * row,
           (const char*)p->input + (size_t)(i * p->input_stride) * fiar_dtype_bytes(p->dtype), row);
  }
  assert_int_equal(fiar_reference_quantise(dense, &want), FIAR_OK);
  assert_memory_equal(p->quant_out, codes, code_bytes);
  if (scales) {
    assert_memory_equal(p->scales_out, scales, scale_bytes);
  }
  free(dense);
  free(codes);
  free(scales);
}

static void codes_are_the_host_quantisers(void** state) {
  (void)state;
  each_case(BLOCK_QUANTIZE, check_quantize);
}

// A world of one makes the same of the same params.
static void check_norm(const block_call_t* call) {
  unsigned char* first[BLOCK_MAX_ARRAYS] = {NULL};
  for (int i = 0; i < call->count; ++i) {
    first[i] = malloc(call->arrays[i].bytes);
    assert_non_null(first[i]);
    memcpy(first[i], call->arrays[i].data, call->arrays[i].bytes);
    if (call->arrays[i].output) {
      memset(call->arrays[i].data, 0, call->arrays[i].bytes);
    }
  }
  OK(fiar_rt_all_reduce_norm(comm, &call->params.norm, NULL));
  for (int i = 0; i < call->count; ++i) {
    assert_memory_equal(first[i], call->arrays[i].data, call->arrays[i].bytes);
    free(first[i]);
  }
}

static void rms_norm_is_the_fused_call_of_one_rank(void** state) {
  (void)state;
  each_case(BLOCK_RMS_NORM, check_norm);
}

static void a_blas_and_plain_c_agree(void** state) {
  (void)state;
  enum { M = 5, N = 7, K = 33 };
  float a[M * K], b[N * K], plain[M * N], other[M * N];
  for (int i = 0; i < M * K; ++i) {
    a[i] = (float)(i * 7 % 11 - 5);
  }
  for (int i = 0; i < N * K; ++i) {
    b[i] = (float)(i * 5 % 13 - 6);
  }
  fiar_multiply_fn* multiply = NULL;
  OK(fiar_blas_multiply(&multiply));
  fiar_multiply_plain(M, N, K, a, b, plain);
  multiply(M, N, K, a, b, other);
  assert_memory_equal(plain, other, sizeof plain);
  if (multiply == fiar_multiply_plain) {
    print_message("skipped: no libopenblas.so.0 or libblis.so.4 on this machine\n");
    skip();
  }
}

// The halves of packed rows lie between each other: writing one of them leaves the other alone.
static void packed_rows_are_activated_in_place(void** state) {
  (void)state;
  enum { ROWS = 3, COLS = 8, PACKED = 2 * COLS };
  float packed[ROWS * PACKED];
  for (int i = 0; i < ROWS * PACKED; ++i) {
    packed[i] = (float)i;
  }
  fiar_activate_params params = {.struct_size = sizeof params,
                                 .gate = packed,
                                 .out = packed,
                                 .rows = ROWS,
                                 .cols = COLS,
                                 .gate_stride = PACKED,
                                 .out_stride = PACKED,
                                 .dtype = FIAR_DTYPE_F32,
                                 .out_dtype = FIAR_DTYPE_F32,
                                 .activation = FIAR_ACTIVATION_NONE,
                                 .combine = FIAR_COMBINE_MUL};
  OK(fiar_rt_activate(comm, &params, NULL));
  for (int i = 0; i < ROWS * COLS; ++i) {
    const int at = i / COLS * PACKED + i % COLS;
    assert_float_equal(packed[at], (float)(at * (at + COLS)), 0);
    assert_float_equal(packed[at + COLS], (float)(at + COLS), 0);
  }
  params.out = &packed[COLS / 2];
  assert_int_equal(fiar_rt_activate(comm, &params, NULL), FIAR_INVALID_ARGUMENT);
  assert_non_null(strstr(fiar_last_error(), "overlaps"));
}

// ---- Refusals ----

static void an_empty_call_does_nothing(void** state) {
  (void)state;
  const fiar_matmul_params matmul = {
      .struct_size = sizeof matmul, .n = 4, .k = 4, .a_dtype = 3, .b_dtype = 3, .out_dtype = 3};
  const fiar_activate_params silu = {
      .struct_size = sizeof silu, .cols = 4, .dtype = 3, .out_dtype = 3};
  const fiar_copy_params copy = {
      .struct_size = sizeof copy, .cols = 4, .in_dtype = 3, .out_dtype = 2};
  const fiar_quantize_params quantize = {
      .struct_size = sizeof quantize, .cols = 4, .dtype = 3, .quant = FIAR_QUANT_FP8_TOKEN};
  OK(fiar_rt_matmul(comm, &matmul, NULL));
  OK(fiar_rt_activate(comm, &silu, NULL));
  OK(fiar_rt_copy(comm, &copy, NULL));
  OK(fiar_rt_quantize(comm, &quantize, NULL));
}

static block_call_t case_named(const char* words) {
  for (int i = 0; i < block_cases_count(); ++i) {
    block_call_t call;
    block_case_make(i, 0, &call);
    if (strstr(call.name, words)) {
      return call;
    }
    block_case_free(&call);
  }
  fail_msg("no case is called %s", words);
  abort();
}

static void matmul_names_what_it_refuses(void** state) {
  (void)state;
  block_call_t call = case_named("types 8 x 8 -> 3 transposed");
  const fiar_matmul_params good = call.params.matmul;
#define REFUSES(field, value, words)                                  \
  do {                                                                \
    fiar_matmul_params p = good;                                      \
    p.field = value;                                                  \
    REFUSED(fiar_rt_matmul(comm, &p, NULL), INVALID_ARGUMENT, words); \
  } while (0)
  REFUSES(m, -1, "m is -1");
  REFUSES(n, 0, "n is 0");
  REFUSES(k, 0, "k is 0");
  REFUSES(a_stride, 127, "a_stride is 127, must be 0 or at least k = 128");
  REFUSES(b_stride, 5, "b_stride is 5, must be 0 or at least k = 128");
  REFUSES(out_stride, 63, "out_stride is 63, must be 0 or at least n = 64");
  REFUSES(a_stride, INT64_MAX / 2, "more than memory can hold");
  REFUSES(a_dtype, 0, "a_dtype is 0");
  REFUSES(a_dtype, FIAR_ELEMENT_BYTE, "a_dtype is 11");
  REFUSES(a_dtype, FIAR_ELEMENT_BF16, "a_dtype is bf16 and b_dtype f8E4M3FN");
  REFUSES(out_dtype, FIAR_ELEMENT_E4M3, "out_dtype is 8");
  REFUSES(b_transposed, 2, "b_transposed is 2");
  REFUSES(a_scale_is, 2, "a_scale_is is 2");
  REFUSES(a_scaling, FIAR_SCALING_VECTOR, "a_scales is NULL");
  REFUSES(b_scales, good.a, "b_scales is given, but nothing uses it");
  REFUSES(block_scale_type, 1, "block_scale_type is 1, must be 0 without block scales");
  REFUSES(a, NULL, "a is NULL");
  REFUSES(out, NULL, "out is NULL");
  REFUSES(out, (void*)good.a, "overlaps");
  REFUSES(out, (char*)good.out + 2, "must be aligned to 4 bytes");
  REFUSES(workspace_bytes, 256, "workspace is NULL, with workspace_bytes = 256");
  REFUSES(reserved[4], 1, "reserved");
  REFUSED(fiar_rt_matmul(comm, NULL, NULL), INVALID_ARGUMENT, "params is NULL");
  fiar_matmul_params p = good;
  p.struct_size = 8;
  REFUSED(fiar_rt_matmul(comm, &p, NULL), ABI_MISMATCH, "struct_size is 8");
  block_case_free(&call);
}

static void block_scales_are_checked_for_their_codes(void** state) {
  (void)state;
  block_call_t call = case_named("types 10 x 10 -> 2 transposed");
  const fiar_matmul_params good = call.params.matmul;
  REFUSES(block_scale_type, 0, "block_scale_type is 0, which f4E2M1FN and f4E2M1FN have not");
  REFUSES(block_scale_layout, FIAR_SCALE_LAYOUT_COLUMN_MAJOR, "block_scale_layout is 3");
  REFUSES(k, 120, "k is 120, must be a multiple of 16");
  REFUSES(k, 127, "k is 127, must be even");
  REFUSES(a_stride, 129, "a_stride is 129, must be even");
  REFUSES(b_scaling, FIAR_SCALING_VECTOR, "a_scaling is block, so b_scaling must be");
  block_case_free(&call);
#undef REFUSES
}

static void the_other_ops_name_what_they_refuse(void** state) {
  (void)state;
  block_call_t silu = case_named("activate 5x33"), copy = case_named("copy 5x33");
  block_call_t scales = case_named("copy 300x9");
  block_call_t quantize = case_named("quantize 16x512 type 2 format 1");
  block_call_t norm = case_named("rms_norm 16x512");
#define REFUSES(entry, call, member, field, value, words)                        \
  do {                                                                           \
    block_call_t changed = call;                                                 \
    changed.params.member.field = value;                                         \
    REFUSED(entry(comm, &changed.params.member, NULL), INVALID_ARGUMENT, words); \
  } while (0)
  REFUSES(fiar_rt_activate, silu, activate, dtype, 8, "dtype is 8");
  REFUSES(fiar_rt_activate, silu, activate, rounding, 3, "rounding is 3");
  REFUSES(fiar_rt_activate, silu, activate, activation, 4, "activation is 4, must be below 4");
  REFUSES(fiar_rt_activate, silu, activate, combine, 3, "combine is 3, must be below 3");
  REFUSES(fiar_rt_activate, silu, activate, combine, 2, "up is given, but combine is 2 (none)");
  REFUSES(fiar_rt_activate, silu, activate, quant, 2, "quant is 2, must be 0 (none) or 1");
  REFUSES(fiar_rt_activate, silu, activate, quant, 0, "quant_out is given, but quant is none");
  REFUSES(fiar_rt_activate, silu, activate, up, NULL,
          "gate_stride is 36, must be 0 or at least 2 * cols = 66");
  REFUSES(fiar_rt_activate, silu, activate, gate, NULL, "gate is NULL");
  REFUSES(fiar_rt_activate, silu, activate, out, (void*)silu.params.activate.scale, "overlaps");
  REFUSES(fiar_rt_copy, copy, copy, in_dtype, 4, "in_dtype is 4");
  REFUSES(fiar_rt_copy, copy, copy, out_dtype, FIAR_ELEMENT_E2M1, "there is no conversion");
  REFUSES(fiar_rt_copy, copy, copy, transposed, 2, "transposed is 2");
  REFUSES(fiar_rt_copy, copy, copy, out_stride, 32,
          "out_stride is 32, must be 0 or at least cols = 33");
  REFUSES(fiar_rt_copy, copy, copy, out, (void*)copy.params.copy.input, "overlaps");
  REFUSES(fiar_rt_copy, copy, copy, cols, 0, "cols is 0");
  REFUSES(fiar_rt_copy, copy, copy, out_layout, 2, "out_layout is 2, must be below 2");
  REFUSES(fiar_rt_copy, copy, copy, out_layout, 1, "which f32 to f16 has not");
  REFUSES(fiar_rt_copy, scales, copy, out_stride, 12, "out_stride is 12, must be 0");
  REFUSES(fiar_rt_copy, scales, copy, cols, INT64_MAX / 9, "more than memory can hold");
  REFUSES(fiar_rt_copy, scales, copy, out, (char*)scales.params.copy.out + 2, "aligned to 4");
  REFUSES(fiar_rt_copy, copy, copy, input, NULL, "input is NULL");
  REFUSES(fiar_rt_quantize, quantize, quantize, quant, 0, "quant is none");
  REFUSES(fiar_rt_quantize, quantize, quantize, rows, -2, "rows is -2");
  REFUSES(fiar_rt_quantize, quantize, quantize, input_stride, 3, "input_stride is 3");
  REFUSES(fiar_rt_quantize, quantize, quantize, scale_layout, 1, "scale_layout is swizzled_128x4");
  REFUSES(fiar_rt_rms_norm, norm, norm, residual_layout, 1, "residual_layout is token_shard");
  REFUSES(fiar_rt_rms_norm, norm, norm, residual_layout, 2, "residual_layout is token_block");
  REFUSES(fiar_rt_rms_norm, norm, norm, hidden, 0, "hidden is 0");
#undef REFUSES
  block_case_free(&silu);
  block_case_free(&copy);
  block_case_free(&scales);
  block_case_free(&quantize);
  block_case_free(&norm);
}

static void extents_do_not_wrap(void** state) {
  (void)state;
  const int64_t most = INT64_MAX / 8;
  assert_int_equal(fiar_strided_bytes(1, most, most, 32), (size_t)most * 4);
  assert_int_equal(fiar_strided_bytes(3, 10, 8, 16), 56);
  assert_int_equal(fiar_strided_bytes(3, 10, 8, 4), 14);
  assert_int_equal(fiar_strided_bytes(0, 10, 8, 8), 0);
}

// Whatever the bytes are: a verdict, and under the sanitizers no overflow on the way to it.
static void any_bytes_are_judged(void** state) {
  (void)state;
  uint32_t seed = 1;
  for (int i = 0; i < block_cases_count(); ++i) {
    block_call_t call;
    block_case_make(i, 0, &call);
    const block_call_t good = call;
    for (int turn = 0; turn < 4000; ++turn) {
      call.params = good.params;
      unsigned char* bytes = (unsigned char*)&call.params;
      for (int change = 0; change < 3; ++change) {
        seed = seed * 1664525u + 1013904223u;
        const size_t at = sizeof(uint32_t) + seed / 7 % (sizeof call.params - sizeof(uint32_t));
        bytes[at] = (unsigned char)(seed >> 24);
      }
      fiar_matmul_params matmul;
      fiar_all_reduce_norm_params norm;
      fiar_activate_params activate;
      fiar_copy_params copy;
      (void)(call.op == BLOCK_MATMUL     ? fiar_matmul_check(&call.params.matmul, &matmul)
             : call.op == BLOCK_RMS_NORM ? fiar_rms_norm_check(&call.params.norm, &norm)
             : call.op == BLOCK_QUANTIZE ? fiar_quantize_check(&call.params.quantize, &norm)
             : call.op == BLOCK_ACTIVATE ? fiar_activate_check(&call.params.activate, &activate)
                                         : fiar_copy_check(&call.params.copy, &copy));
    }
    block_case_free(&call);
  }
}

static void an_arena_is_zeroed_and_aligned(void** state) {
  (void)state;
  enum { BYTES = 1000 };
  unsigned char* arena = NULL;
  unsigned char back[BYTES];
  OK(fiar_rt_arena_create(comm, 0, BYTES, (void**)&arena));
  assert_int_equal((uintptr_t)arena % 256, 0);
  for (int i = 0; i < BYTES; ++i) {
    assert_int_equal(arena[i], 0);
  }
  OK(fiar_rt_write(comm, 0, arena + 8, "twelve bytes", 12, NULL));
  OK(fiar_rt_read(comm, 0, back, arena, BYTES, NULL));
  assert_memory_equal(back + 8, "twelve bytes", 12);
  OK(fiar_rt_wait(comm, 0, NULL));
  OK(fiar_rt_arena_destroy(comm, 0, arena));
  OK(fiar_rt_arena_destroy(comm, 0, NULL));
  void* none = &none;
  REFUSED(fiar_rt_arena_create(comm, 0, 0, &none), INVALID_ARGUMENT, "bytes is 0");
  assert_null(none);
  REFUSED(fiar_rt_arena_create(comm, 0, UINT64_C(1) << 62, &none), OUT_OF_MEMORY, "bytes of host");
  REFUSED(fiar_rt_write(comm, 0, NULL, back, 4, NULL), INVALID_ARGUMENT, "destination");
  REFUSED(fiar_rt_read(comm, 0, back, NULL, 4, NULL), INVALID_ARGUMENT, "source");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(matmuls_are_exact),
      cmocka_unit_test(activations_round_where_they_say),
      cmocka_unit_test(packed_rows_are_activated_in_place),
      cmocka_unit_test(tanh_and_erfc_are_accurate),
      cmocka_unit_test(exp_is_within_an_ulp),
      cmocka_unit_test(copies_convert_and_transpose),
      cmocka_unit_test(codes_are_the_host_quantisers),
      cmocka_unit_test(rms_norm_is_the_fused_call_of_one_rank),
      cmocka_unit_test(a_blas_and_plain_c_agree),
      cmocka_unit_test(an_empty_call_does_nothing),
      cmocka_unit_test(matmul_names_what_it_refuses),
      cmocka_unit_test(block_scales_are_checked_for_their_codes),
      cmocka_unit_test(the_other_ops_name_what_they_refuse),
      cmocka_unit_test(extents_do_not_wrap),
      cmocka_unit_test(any_bytes_are_judged),
      cmocka_unit_test(an_arena_is_zeroed_and_aligned),
  };
  return cmocka_run_group_tests(tests, on_the_host, done);
}
