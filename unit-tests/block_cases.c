// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "block_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/reference.h"

enum { F16 = FIAR_ELEMENT_F16, BF16 = FIAR_ELEMENT_BF16, F32 = FIAR_ELEMENT_F32 };
enum { E4M3 = FIAR_ELEMENT_E4M3, E5M2 = FIAR_ELEMENT_E5M2, E2M1 = FIAR_ELEMENT_E2M1 };
enum { BYTE = FIAR_ELEMENT_BYTE, NONE = FIAR_SCALING_NONE, VECTOR = FIAR_SCALING_VECTOR };
enum { BLOCK = FIAR_SCALING_BLOCK };
enum {
  MULTIPLIER = 2
};  // a scale that values were multiplied with; 1: one that they were divided by

typedef struct matmul_row {
  int64_t m, n, k, pad;  // pad: elements between rows of every array
  uint8_t a, b, out, transposed, bias;
  uint8_t a_scale, b_scale, a_scaling, b_scaling;
  uint8_t block_type, block_layout;
} matmul_row_t;

static const matmul_row_t matmuls[] = {
    {16, 64, 128, 0, BF16, BF16, BF16, 0, 0, 0, 0, 0, 0, 0, 0},
    {1, 64, 128, 0, BF16, BF16, BF16, 1, 0, 0, 0, 0, 0, 0, 0},
    {33, 48, 72, 8, F16, F16, F16, 0, 0, 0, 0, 0, 0, 0, 0},
    {7, 320, 512, 0, BF16, BF16, F32, 1, 0, 0, 0, 0, 0, 0, 0},
    {16, 64, 8192, 0, BF16, BF16, BF16, 1, 0, 0, 0, 0, 0, 0, 0},
    {5, 300, 64, 4, F16, F16, BF16, 0, F16, 1, 0, 0, VECTOR, 0, 0},
    {5, 24, 40, 0, F32, F32, F32, 0, 0, 0, 0, 0, 0, 0, 0},
    {16, 64, 128, 0, BF16, BF16, BF16, 1, BF16, 0, 0, 0, 0, 0, 0},
    {16, 64, 128, 0, BF16, BF16, BF16, 0, F32, 1, MULTIPLIER, 0, 0, 0, 0},
    {9, 64, 128, 0, BF16, BF16, F32, 1, 0, 0, 0, VECTOR, VECTOR, 0, 0},
    {16, 64, 128, 0, E4M3, E4M3, F32, 1, 0, 1, 1, 0, 0, 0, 0},
    {1, 64, 128, 0, E4M3, E4M3, BF16, 1, 0, 1, 1, 0, 0, 0, 0},
    {64, 512, 256, 0, E4M3, E4M3, BF16, 1, 0, 0, 0, 0, 0, 0, 0},
    {16, 64, 128, 0, E4M3, E4M3, BF16, 1, BF16, 1, 1, 0, 0, 0, 0},
    {16, 64, 128, 16, E4M3, E4M3, F16, 1, F32, MULTIPLIER, 1, 0, 0, 0, 0},
    {48, 64, 128, 0, E4M3, E4M3, F32, 1, 0, 0, 1, VECTOR, 0, 0, 0},
    {48, 64, 128, 0, E4M3, E4M3, BF16, 1, 0, 0, 0, VECTOR, VECTOR, 0, 0},
    {3, 64, 128, 0, E4M3, E4M3, BF16, 1, BF16, 1, 1, VECTOR, VECTOR, 0, 0},
    {16, 64, 128, 0, E5M2, E4M3, BF16, 1, 0, 1, 1, 0, 0, 0, 0},
    {16, 64, 128, 0, E4M3, E4M3, BF16, 0, 0, 1, 1, 0, 0, 0, 0},
    {16, 64, 128, 0, E2M1, E2M1, BF16, 1, 0, 1, 1, BLOCK, BLOCK, 1, 1},
    {130, 160, 256, 0, E2M1, E2M1, F32, 1, 0, MULTIPLIER, 1, BLOCK, BLOCK, 1, 1},
    {16, 64, 128, 0, E2M1, E2M1, BF16, 1, BF16, 0, 0, BLOCK, BLOCK, 1, 1},
    {16, 64, 128, 0, E4M3, E4M3, BF16, 1, 0, 0, 0, BLOCK, BLOCK, 2, 1},
    {130, 160, 384, 0, E4M3, E4M3, F32, 1, 0, 1, 0, BLOCK, BLOCK, 2, 1},
    {16, 64, 128, 0, E2M1, E2M1, BF16, 1, 0, 0, 0, BLOCK, BLOCK, 2, 0},
};

typedef struct activate_row {
  int64_t rows, cols, pad;
  uint8_t in, out, rounding, packed, quant, scale_is, in_place;
  uint8_t activation, combine;
} activate_row_t;

static const activate_row_t activates[] = {
    {16, 512, 0, F32, BF16, 0, 0, 0, 0, 0, 0, 0},
    {16, 512, 0, BF16, BF16, 2, 0, 0, 0, 0, 0, 0},
    {7, 512, 0, BF16, BF16, 1, 1, 0, 0, 0, 0, 0},
    {16, 256, 8, F16, F16, 0, 0, 0, 0, 0, 0, 0},
    {16, 512, 0, F32, BF16, 0, 1, 1, 0, 0, 0, 0},
    {5, 33, 3, F32, F32, 0, 0, 1, 1, 0, 0, 0},
    {16, 512, 0, BF16, BF16, 2, 0, 1, 0, 0, 0, 0},
    {3, 17, 0, F16, F32, 1, 1, 0, 0, 0, 0, 0},
    {16, 64, 0, BF16, BF16, 0, 0, 0, 0, 1, 0, 0},
    {16, 512, 0, BF16, BF16, 2, 0, 0, 0, 0, FIAR_ACTIVATION_GELU_TANH, FIAR_COMBINE_MUL},
    {7, 512, 0, F32, BF16, 0, 1, 1, 0, 0, FIAR_ACTIVATION_GELU_TANH, FIAR_COMBINE_MUL},
    {16, 512, 8, F16, F16, 2, 0, 0, 0, 0, FIAR_ACTIVATION_GELU_TANH, FIAR_COMBINE_NONE},
    {16, 512, 0, BF16, BF16, 1, 0, 0, 0, 0, FIAR_ACTIVATION_GELU, FIAR_COMBINE_MUL},
    {5, 33, 3, F32, F32, 0, 0, 1, 1, 0, FIAR_ACTIVATION_GELU, FIAR_COMBINE_MUL},
    {16, 512, 0, BF16, BF16, 2, 0, 0, 0, 1, FIAR_ACTIVATION_GELU, FIAR_COMBINE_NONE},
    {16, 256, 0, BF16, BF16, 0, 0, 0, 0, 1, FIAR_ACTIVATION_NONE, FIAR_COMBINE_ADD},
    {9, 65, 1, F32, F16, 0, 0, 0, 0, 0, FIAR_ACTIVATION_NONE, FIAR_COMBINE_ADD},
    // So many that threads take eight elements each.
    {1100, 1024, 0, F32, F16, 0, 0, 2, 0, 0, 0, 0},
    {1100, 1024, 0, BF16, BF16, 2, 1, 1, 0, 0, 0, 0},
    {1100, 1024, 8, F16, F16, 2, 0, 0, 0, 0, FIAR_ACTIVATION_GELU_TANH, FIAR_COMBINE_MUL},
    {1100, 1024, 0, BF16, BF16, 1, 0, 0, 0, 1, FIAR_ACTIVATION_GELU, FIAR_COMBINE_MUL},
    {1100, 1024, 0, F32, F32, 0, 0, 0, 0, 0, FIAR_ACTIVATION_NONE, FIAR_COMBINE_ADD},
};

typedef struct copy_row {
  int64_t rows, cols, pad;  // of swizzled rows the input's
  uint8_t in, out, transposed, layout;
} copy_row_t;

static const copy_row_t copies[] = {
    {16, 512, 0, F32, BF16, 0, 0}, {16, 512, 0, BF16, F32, 0, 0}, {5, 33, 3, F32, F16, 0, 0},
    {16, 64, 0, BF16, E4M3, 0, 0}, {9, 31, 1, F32, E5M2, 0, 0},   {16, 64, 0, E4M3, BF16, 0, 0},
    {16, 64, 0, E5M2, F16, 0, 0},  {16, 64, 0, BF16, BF16, 0, 0}, {7, 64, 16, BYTE, BYTE, 0, 0},
    {6, 64, 2, E2M1, E2M1, 0, 0},  {40, 72, 0, BF16, BF16, 1, 0}, {33, 65, 1, E4M3, E4M3, 1, 0},
    {33, 65, 0, F32, BF16, 1, 0},  {1, 100, 0, F32, F32, 1, 0},   {7, 64, 8, F16, BF16, 0, 0},
    {300, 9, 0, BYTE, BYTE, 0, 1}, {128, 8, 3, E4M3, E4M3, 0, 1}, {6, 131, 0, BYTE, BYTE, 1, 1},
    {1, 1, 0, E4M3, E4M3, 0, 1},
};

typedef struct quantize_row {
  int64_t rows, cols, pad;
  uint8_t dtype, quant, layout, scale_type, scale_is, scale;
  int32_t group;
} quantize_row_t;

static const quantize_row_t quantizes[] = {
    {16, 512, 0, BF16, FIAR_QUANT_FP8_STATIC, 0, 0, 0, 1, 0},
    {16, 512, 8, F16, FIAR_QUANT_FP8_STATIC, 0, 0, 1, 1, 0},
    {9, 1000, 0, F32, FIAR_QUANT_FP8_TOKEN, 0, 0, 0, 0, 0},
    {16, 4096, 0, BF16, FIAR_QUANT_FP8_TOKEN, 0, 0, 1, 0, 0},
    {16, 512, 0, BF16, FIAR_QUANT_FP8_GROUP, 3, 0, 0, 0, 128},
    {17, 512, 0, F32, FIAR_QUANT_FP8_GROUP, 0, 2, 0, 0, 64},
    {16, 512, 0, BF16, FIAR_QUANT_NVFP4, 1, 1, 0, 1, 0},
    {33, 208, 0, F32, FIAR_QUANT_NVFP4, 2, 1, 1, 1, 0},
    {130, 512, 0, BF16, FIAR_QUANT_MXFP8, 1, 2, 0, 0, 0},
    {16, 512, 32, F16, FIAR_QUANT_MXFP4, 0, 2, 0, 0, 0},
    {5, 33, 1, BF16, FIAR_QUANT_FP8_TOKEN, 0, 0, 0, 0, 0},
    {2, 16384, 0, F32, FIAR_QUANT_FP8_STATIC, 0, 0, 0, 0, 0},
};

typedef struct norm_row {
  int64_t tokens, hidden, pad;
  uint8_t dtype, residual, before, quant;
} norm_row_t;

static const norm_row_t norms[] = {
    {16, 512, 0, BF16, 1, 1, FIAR_QUANT_FP8_STATIC}, {1, 4096, 0, BF16, 0, 0, FIAR_QUANT_NONE},
    {7, 1000, 8, F16, 1, 0, FIAR_QUANT_FP8_TOKEN},   {3, 33, 1, F32, 1, 1, FIAR_QUANT_NONE},
    {16, 512, 0, BF16, 1, 0, FIAR_QUANT_NVFP4},
};

enum {
  MATMULS = sizeof matmuls / sizeof *matmuls,
  ACTIVATES = sizeof activates / sizeof *activates,
  COPIES = sizeof copies / sizeof *copies,
  QUANTIZES = sizeof quantizes / sizeof *quantizes,
  NORMS = sizeof norms / sizeof *norms
};

// ---- Arrays ----

static uint32_t hash(uint32_t a, uint32_t b) {
  uint32_t h = a * 0x9E3779B1u ^ b * 0x85EBCA77u;
  h = (h ^ h >> 15) * 0x2C1B3C6Du;
  h = (h ^ h >> 12) * 0x297A2D39u;
  return h ^ h >> 15;
}

static void* add(block_call_t* call, const char* name, size_t at, size_t bytes, bool output) {
  block_array_t* array = &call->arrays[call->count];
  *array = (block_array_t){name, at, bytes, output, NULL};
  array->data = aligned_alloc(256, (bytes + 256) / 256 * 256);
  if (!array->data) {
    (void)fprintf(stderr, "no memory for %zu bytes\n", bytes);
    exit(2);
  }
  memset(array->data, BLOCK_POISON, bytes);
  block_case_point(call, call->count++, array->data);
  return array->data;
}
#define ADD(call, member, field, bytes, output)                                                    \
  add(call, #field, (size_t)((char*)&(call)->params.member.field - (char*)&(call)->params), bytes, \
      output)

void block_case_point(block_call_t* call, int array, void* to) {
  memcpy((char*)&call->params + call->arrays[array].at, &to, sizeof(to));
  if (call->in_place && array == 0) {
    call->params.activate.out = to;
  }
}

void block_case_free(block_call_t* call) {
  for (int i = 0; i < call->count; ++i) {
    free(call->arrays[i].data);
  }
  call->count = 0;
}

static size_t bytes_of(int64_t rows, int64_t stride, int64_t cols, uint8_t element) {
  return (size_t)(((rows - 1) * stride + cols) * fiar_element_bits(element)) / 8;
}

// Small whole numbers, exact in every type.
static void fill_exact(void* array, uint8_t element, int64_t count, uint32_t seed) {
  static const uint8_t nibbles[] = {0x0, 0x2, 0x4, 0x5, 0xA, 0xC, 0x0, 0x2};  // 0 1 2 3 -1 -2 0 1
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t h = hash(seed, (uint32_t)i);
    if (element == E2M1) {
      uint8_t* byte = (uint8_t*)array + i / 2;
      *byte = (uint8_t)(i % 2 == 0 ? nibbles[h % 8] : *byte | nibbles[h % 8] << 4);
    } else {
      fiar_store_element(array, element, i, (float)((int)(h % 9) - 4));
    }
  }
}

static void fill_powers(float* array, int64_t count, uint32_t seed) {
  for (int64_t i = 0; i < count; ++i) {
    array[i] = ldexpf(1.0f, (int)(hash(seed, (uint32_t)i) % 5) - 2);
  }
}

static void fill_values(void* array, uint8_t dtype, int64_t count, uint32_t seed) {
  static const float special[] = {NAN,      INFINITY, -INFINITY, -0.0f,
                                  65504.0f, 1e-40f,   90.0f,     -105.0f};
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t h = hash(seed, (uint32_t)i);
    const float ordinary = (float)((int)(h % 65536) - 32768) / 4096;
    fiar_store(array, dtype, i, h % 131 == 0 ? special[h / 131 % 8] : ordinary);
  }
}

static void fill_ordinary(void* array, uint8_t dtype, int64_t count, uint32_t seed) {
  for (int64_t i = 0; i < count; ++i) {
    fiar_store(array, dtype, i, (float)((int)(hash(seed, (uint32_t)i) % 65536) - 32768) / 8192);
  }
}

// ---- Calls ----

static size_t block_bytes(const matmul_row_t* row, int64_t rows) {
  const fiar_all_reduce_norm_params sizes = {.tokens = rows,
                                             .hidden = row->k,
                                             .quant = row->a == E4M3         ? FIAR_QUANT_MXFP8
                                                      : row->block_type == 1 ? FIAR_QUANT_NVFP4
                                                                             : FIAR_QUANT_MXFP4,
                                             .scale_type = row->block_type,
                                             .scale_layout = row->block_layout};
  return fiar_reference_scales_bytes(&sizes);
}

// Powers of two again; the padding of swizzled scales is zero, as quantisers write it.
static void fill_scales(const matmul_row_t* row, uint8_t scaling, void* scales, int64_t rows,
                        uint32_t seed) {
  if (scaling == VECTOR) {
    fill_powers(scales, rows, seed);
    return;
  }
  uint8_t* bytes = scales;
  for (size_t i = 0; i < block_bytes(row, rows); ++i) {
    const int power = (int)(hash(seed, (uint32_t)i) % 3) - 1;
    bytes[i] = row->block_type == 1 ? fiar_f32_to_e4m3(ldexpf(1, power)) : (uint8_t)(127 + power);
  }
}

static void add_matmul_scales(block_call_t* call, const matmul_row_t* row, uint32_t seed) {
  fiar_matmul_params* p = &call->params.matmul;
  p->a_scale_is = row->a_scale == MULTIPLIER;
  p->b_scale_is = row->b_scale == MULTIPLIER;
  if (row->a_scale) {
    *(float*)ADD(call, matmul, a_scale, sizeof(float), false) = 0.5f;
  }
  if (row->b_scale) {
    *(float*)ADD(call, matmul, b_scale, sizeof(float), false) = 4.0f;
  }
  p->a_scaling = row->a_scaling;
  p->b_scaling = row->b_scaling;
  if (row->a_scaling) {
    const size_t bytes = row->a_scaling == VECTOR ? (size_t)row->m * 4 : block_bytes(row, row->m);
    fill_scales(row, row->a_scaling, ADD(call, matmul, a_scales, bytes, false), row->m, seed + 4);
  }
  if (row->b_scaling) {
    const size_t bytes = row->b_scaling == VECTOR ? (size_t)row->n * 4 : block_bytes(row, row->n);
    fill_scales(row, row->b_scaling, ADD(call, matmul, b_scales, bytes, false), row->n, seed + 5);
  }
}

static void make_matmul(const matmul_row_t* row, uint32_t seed, block_call_t* call) {
  const int64_t b_rows = row->transposed ? row->n : row->k;
  const int64_t b_cols = row->transposed ? row->k : row->n;
  call->op = BLOCK_MATMUL;
  call->params.matmul = (fiar_matmul_params){.struct_size = sizeof(fiar_matmul_params),
                                             .m = row->m,
                                             .n = row->n,
                                             .k = row->k,
                                             .a_stride = row->k + row->pad,
                                             .b_stride = b_cols + row->pad,
                                             .out_stride = row->n + row->pad,
                                             .a_dtype = row->a,
                                             .b_dtype = row->b,
                                             .out_dtype = row->out,
                                             .bias_dtype = row->bias,
                                             .b_transposed = row->transposed,
                                             .block_scale_type = row->block_type,
                                             .block_scale_layout = row->block_layout};
  const fiar_matmul_params* p = &call->params.matmul;
  const size_t a = bytes_of(row->m, p->a_stride, row->k, row->a);
  const size_t b = bytes_of(b_rows, p->b_stride, b_cols, row->b);
  fill_exact(ADD(call, matmul, a, a, false), row->a, (row->m - 1) * p->a_stride + row->k, seed);
  fill_exact(ADD(call, matmul, b, b, false), row->b, (b_rows - 1) * p->b_stride + b_cols, seed + 1);
  if (row->bias) {
    const size_t bytes = (size_t)row->n * fiar_dtype_bytes(row->bias);
    fill_exact(ADD(call, matmul, bias, bytes, false), row->bias, row->n, seed + 2);
  }
  add_matmul_scales(call, row, seed);
  (void)ADD(call, matmul, out, bytes_of(row->m, p->out_stride, row->n, row->out), true);
  (void)snprintf(call->name, sizeof call->name,
                 "matmul %lldx%lldx%lld types %d x %d -> %d%s bias %d scales %d %d %d %d blocks %d "
                 "layout %d pad %lld",
                 (long long)row->m, (long long)row->n, (long long)row->k, row->a, row->b, row->out,
                 row->transposed ? " transposed" : "", row->bias, row->a_scale, row->b_scale,
                 row->a_scaling, row->b_scaling, row->block_type, row->block_layout,
                 (long long)row->pad);
}

static void make_activate(const activate_row_t* row, uint32_t seed, block_call_t* call) {
  const int64_t width = row->packed ? 2 * row->cols : row->cols, stride = width + row->pad;
  const int64_t out_stride = row->cols + row->pad;
  call->op = BLOCK_ACTIVATE;
  call->params.activate =
      (fiar_activate_params){.struct_size = sizeof(fiar_activate_params),
                             .rows = row->rows,
                             .cols = row->cols,
                             .gate_stride = stride,
                             .up_stride = row->packed ? 0 : stride,
                             .out_stride = out_stride,
                             .dtype = row->in,
                             .out_dtype = row->out,
                             .rounding = row->rounding,
                             .quant = row->quant ? FIAR_QUANT_FP8_STATIC : FIAR_QUANT_NONE,
                             .scale_is = row->scale_is,
                             .activation = row->activation,
                             .combine = row->combine};
  call->in_place = row->in_place;
  const int64_t count = (row->rows - 1) * stride + width;
  const size_t bytes = bytes_of(row->rows, stride, width, row->in);
  fill_values(ADD(call, activate, gate, bytes, row->in_place), row->in, count, seed);
  if (!row->packed && row->combine != FIAR_COMBINE_NONE) {
    fill_values(ADD(call, activate, up, bytes, false), row->in, count, seed + 1);
  }
  if (!row->in_place && row->quant != 2) {
    (void)ADD(call, activate, out, bytes_of(row->rows, out_stride, row->cols, row->out), true);
  }
  if (row->quant) {
    *(float*)ADD(call, activate, scale, sizeof(float), false) = 0.37f;
    (void)ADD(call, activate, quant_out, (size_t)(row->rows * row->cols), true);
  }
  (void)snprintf(
      call->name, sizeof call->name,
      "activate %lldx%lld act %d combine %d types %d -> %d rounding %d%s quant %d %d pad %lld",
      (long long)row->rows, (long long)row->cols, row->activation, row->combine, row->in, row->out,
      row->rounding, row->packed ? " packed" : "", row->quant, row->scale_is, (long long)row->pad);
}

static void make_copy(const copy_row_t* row, uint32_t seed, block_call_t* call) {
  const int64_t out_rows = row->transposed ? row->cols : row->rows;
  const int64_t out_cols = row->transposed ? row->rows : row->cols;
  call->op = BLOCK_COPY;
  call->params.copy = (fiar_copy_params){.struct_size = sizeof(fiar_copy_params),
                                         .rows = row->rows,
                                         .cols = row->cols,
                                         .input_stride = row->cols + row->pad,
                                         .out_stride = row->layout ? 0 : out_cols + row->pad,
                                         .in_dtype = row->in,
                                         .out_dtype = row->out,
                                         .transposed = row->transposed,
                                         .out_layout = row->layout};
  const fiar_copy_params* p = &call->params.copy;
  const size_t bytes = bytes_of(row->rows, p->input_stride, row->cols, row->in);
  unsigned char* input = ADD(call, copy, input, bytes, false);
  if (fiar_element_bits(row->in) >= 16) {
    fill_values(input, row->in, (row->rows - 1) * p->input_stride + row->cols, seed);
  } else {
    for (size_t i = 0; i < bytes; ++i) {
      input[i] = (unsigned char)hash(seed, (uint32_t)i);
    }
  }
  const size_t out_bytes = row->layout
                               ? (size_t)((out_rows + 127) / 128 * 128 * ((out_cols + 3) / 4 * 4))
                               : bytes_of(out_rows, p->out_stride, out_cols, row->out);
  (void)ADD(call, copy, out, out_bytes, true);
  (void)snprintf(call->name, sizeof call->name, "copy %lldx%lld types %d -> %d%s%s pad %lld",
                 (long long)row->rows, (long long)row->cols, row->in, row->out,
                 row->transposed ? " transposed" : "", row->layout ? " swizzled" : "",
                 (long long)row->pad);
}

static void make_quantize(const quantize_row_t* row, uint32_t seed, block_call_t* call) {
  const int64_t stride = row->cols + row->pad;
  call->op = BLOCK_QUANTIZE;
  call->params.quantize = (fiar_quantize_params){.struct_size = sizeof(fiar_quantize_params),
                                                 .rows = row->rows,
                                                 .cols = row->cols,
                                                 .input_stride = stride,
                                                 .group_size = row->group,
                                                 .dtype = row->dtype,
                                                 .quant = row->quant,
                                                 .scale_layout = row->layout,
                                                 .scale_type = row->scale_type,
                                                 .scale_is = row->scale_is};
  const fiar_all_reduce_norm_params sizes = {.tokens = row->rows,
                                             .hidden = row->cols,
                                             .group_size = row->group,
                                             .quant = row->quant,
                                             .scale_layout = row->layout,
                                             .scale_type = row->scale_type};
  fill_values(ADD(call, quantize, input, bytes_of(row->rows, stride, row->cols, row->dtype), false),
              row->dtype, (row->rows - 1) * stride + row->cols, seed);
  if (row->scale) {
    *(float*)ADD(call, quantize, scale, sizeof(float), false) = 0.37f;
  }
  (void)ADD(call, quantize, quant_out, fiar_reference_codes_bytes(&sizes), true);
  if (fiar_reference_scales_bytes(&sizes) > 0) {
    (void)ADD(call, quantize, scales_out, fiar_reference_scales_bytes(&sizes), true);
  }
  (void)snprintf(call->name, sizeof call->name,
                 "quantize %lldx%lld type %d format %d layout %d scales %d is %d group %d pad %lld",
                 (long long)row->rows, (long long)row->cols, row->dtype, row->quant, row->layout,
                 row->scale_type, row->scale_is, row->group, (long long)row->pad);
}

static void make_norm(const norm_row_t* row, uint32_t seed, block_call_t* call) {
  const int64_t stride = row->hidden + row->pad;
  const bool nvfp4 = row->quant == FIAR_QUANT_NVFP4;
  call->op = BLOCK_RMS_NORM;
  call->params.norm = (fiar_all_reduce_norm_params){
      .struct_size = sizeof(fiar_all_reduce_norm_params),
      .tokens = row->tokens,
      .hidden = row->hidden,
      .input_stride = stride,
      .eps = 1e-6f,
      .dtype = row->dtype,
      .weight_dtype = row->dtype,
      .quant = row->quant,
      .scale_type = nvfp4 ? FIAR_SCALE_TYPE_E4M3 : FIAR_SCALE_TYPE_F32,
      .scale_layout = nvfp4 ? FIAR_SCALE_LAYOUT_SWIZZLED_128X4 : FIAR_SCALE_LAYOUT_LINEAR,
      .norm_rounding =
          row->before ? FIAR_NORM_ROUNDING_BEFORE_WEIGHT : FIAR_NORM_ROUNDING_AFTER_WEIGHT};
  const size_t element = fiar_dtype_bytes(row->dtype);
  const size_t full = (size_t)(row->tokens * row->hidden) * element;
  const fiar_all_reduce_norm_params sizes = call->params.norm;
  fill_ordinary(
      ADD(call, norm, input, bytes_of(row->tokens, stride, row->hidden, row->dtype), false),
      row->dtype, (row->tokens - 1) * stride + row->hidden, seed);
  fill_ordinary(ADD(call, norm, weight, (size_t)row->hidden * element, false), row->dtype,
                row->hidden, seed + 1);
  if (row->residual) {
    fill_ordinary(ADD(call, norm, residual, full, false), row->dtype, row->tokens * row->hidden,
                  seed + 2);
    (void)ADD(call, norm, residual_out, full, true);
  }
  if (row->quant) {
    (void)ADD(call, norm, quant_out, fiar_reference_codes_bytes(&sizes), true);
  }
  if (row->quant == FIAR_QUANT_FP8_STATIC) {
    *(float*)ADD(call, norm, scale, sizeof(float), false) = 0.37f;
  } else if (row->quant) {
    (void)ADD(call, norm, scales_out, fiar_reference_scales_bytes(&sizes), true);
  }
  (void)ADD(call, norm, norm_out, full, true);
  (void)snprintf(call->name, sizeof call->name,
                 "rms_norm %lldx%lld type %d residual %d before_weight %d format %d pad %lld",
                 (long long)row->tokens, (long long)row->hidden, row->dtype, row->residual,
                 row->before, row->quant, (long long)row->pad);
}

int block_cases_count(void) {
  return MATMULS + ACTIVATES + COPIES + QUANTIZES + NORMS;
}

void block_case_make(int index, uint32_t variant, block_call_t* out_call) {
  const uint32_t seed = (uint32_t)index * 100 + variant * 10000;
  memset(out_call, 0, sizeof *out_call);
  if (index < MATMULS) {
    make_matmul(&matmuls[index], seed, out_call);
  } else if ((index -= MATMULS) < ACTIVATES) {
    make_activate(&activates[index], seed, out_call);
  } else if ((index -= ACTIVATES) < COPIES) {
    make_copy(&copies[index], seed, out_call);
  } else if ((index -= COPIES) < QUANTIZES) {
    make_quantize(&quantizes[index], seed, out_call);
  } else {
    make_norm(&norms[index - QUANTIZES], seed, out_call);
  }
}

fiar_status_t block_case_issue(const block_call_t* call, fiar_comm_t* comm, void* stream) {
  switch (call->op) {
    case BLOCK_MATMUL:
      return fiar_rt_matmul(comm, &call->params.matmul, stream);
    case BLOCK_RMS_NORM:
      return fiar_rt_rms_norm(comm, &call->params.norm, stream);
    case BLOCK_QUANTIZE:
      return fiar_rt_quantize(comm, &call->params.quantize, stream);
    case BLOCK_ACTIVATE:
      return fiar_rt_activate(comm, &call->params.activate, stream);
    default:
      return fiar_rt_copy(comm, &call->params.copy, stream);
  }
}
