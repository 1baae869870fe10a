// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Matmul: operands widened to f32 with their block scales (both exact), multiplied a panel of
// columns at a time, then scaled, biased and rounded once.
#include <stdbool.h>
#include <stdlib.h>

#include "host/reference.h"

enum { PANEL = 256 };

// An operand as rows along k: a's rows, or b's columns.
typedef struct operand {
  const void* data;
  const float* scale;  // one for all
  const void* scales;  // VECTOR or BLOCK
  int64_t rows, k;
  int64_t row_step, k_step;  // elements from row to row, and along k
  uint8_t dtype, scale_is, scaling;
  fiar_all_reduce_norm_params blocks;  // what fiar_scale_offset wants to know of block scales
} operand_t;

static fiar_all_reduce_norm_params blocks_of(const fiar_matmul_params* p, int64_t rows) {
  const bool fp8 = p->a_dtype == FIAR_ELEMENT_E4M3;
  const bool nvfp4 = p->block_scale_type == FIAR_SCALE_TYPE_E4M3;
  return (fiar_all_reduce_norm_params){.tokens = rows,
                                       .hidden = p->k,
                                       .quant = fp8     ? FIAR_QUANT_MXFP8
                                                : nvfp4 ? FIAR_QUANT_NVFP4
                                                        : FIAR_QUANT_MXFP4,
                                       .scale_type = p->block_scale_type,
                                       .scale_layout = p->block_scale_layout};
}

static operand_t operand_a(const fiar_matmul_params* p) {
  return (operand_t){
      p->a,          p->a_scale,   p->a_scales,       p->m, p->k, p->a_stride, 1, p->a_dtype,
      p->a_scale_is, p->a_scaling, blocks_of(p, p->m)};
}

static operand_t operand_b(const fiar_matmul_params* p) {
  const bool rows = p->b_transposed != 0;
  return (operand_t){p->b,
                     p->b_scale,
                     p->b_scales,
                     p->n,
                     p->k,
                     rows ? p->b_stride : 1,
                     rows ? 1 : p->b_stride,
                     p->b_dtype,
                     p->b_scale_is,
                     p->b_scaling,
                     blocks_of(p, p->n)};
}

static float block_scale(const operand_t* from, int64_t row, int64_t block) {
  const uint8_t byte = ((const uint8_t*)from->scales)[fiar_scale_offset(&from->blocks, row, block)];
  return from->blocks.scale_type == FIAR_SCALE_TYPE_E4M3 ? fiar_e4m3_to_f32(byte)
                                                         : fiar_ue8m0_to_f32(byte);
}

// The values of all codes of a type of up to 16 bits, for operands with more elements than that;
// NULL where there are fewer, or no memory.
static float* values_of(uint8_t dtype, int64_t elements) {
  const int bits = fiar_element_bits(dtype);
  const uint32_t codes = bits <= 16 ? 1u << bits : 0;
  float* values = codes > 0 && elements > codes ? malloc(codes * sizeof *values) : NULL;
  for (uint32_t code = 0; values && code < codes; ++code) {
    const uint8_t byte = (uint8_t)code;
    const uint16_t pair = (uint16_t)code;
    values[code] =
        bits <= 8 ? fiar_load_element(&byte, dtype, 0) : fiar_load_element(&pair, dtype, 0);
  }
  return values;
}

static float value_at(const operand_t* from, const float* values, int64_t at) {
  if (!values) {
    return fiar_load_element(from->data, from->dtype, at);
  }
  const int bits = fiar_element_bits(from->dtype);
  const uint8_t* bytes = from->data;
  return values[bits == 16  ? ((const uint16_t*)from->data)[at]
                : bits == 8 ? bytes[at]
                            : (uint32_t)bytes[at / 2] >> at % 2 * 4 & 0xFu];
}

// `count` rows from `first` on, with their block scales, as f32 without gaps.
static void widen(const operand_t* from, const float* values, int64_t first, int64_t count,
                  float* to) {
  const int64_t block = from->scaling == FIAR_SCALING_BLOCK ? fiar_quant_block(&from->blocks) : 0;
  for (int64_t row = first; row < first + count; ++row) {
    float scale = 1;
    for (int64_t i = 0; i < from->k; ++i) {
      if (block > 0 && i % block == 0) {
        scale = block_scale(from, row, i / block);
      }
      const int64_t at = row * from->row_step + i * from->k_step;
      *to++ = value_at(from, values, at) * scale;
    }
  }
}

// The f32 scales of one row.
static float factor_of(const operand_t* of, int64_t row) {
  float factor = !of->scale                                 ? 1.0f
                 : of->scale_is == FIAR_SCALE_IS_MULTIPLIER ? 1.0f / *of->scale
                                                            : *of->scale;
  if (of->scaling == FIAR_SCALING_VECTOR) {
    factor *= ((const float*)of->scales)[row];
  }
  return factor;
}

void fiar_multiply_plain(int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                         float* c) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t x = 0; x < k; ++x) {
        sum += a[i * k + x] * b[j * k + x];
      }
      c[i * n + j] = sum;
    }
  }
}

static void finish_panel(const fiar_matmul_params* p, const operand_t* a, const operand_t* b,
                         int64_t first, int64_t count, const float* sums) {
  const bool scaled = a->scale || b->scale || a->scaling == FIAR_SCALING_VECTOR ||
                      b->scaling == FIAR_SCALING_VECTOR;
  for (int64_t i = 0; i < p->m; ++i) {
    const float row_factor = factor_of(a, i);
    for (int64_t j = 0; j < count; ++j) {
      float value = sums[i * count + j];
      if (scaled) {
        value *= row_factor * factor_of(b, first + j);
      }
      if (p->bias) {
        value += fiar_load(p->bias, p->bias_dtype, first + j);
      }
      fiar_store(p->out, p->out_dtype, i * p->out_stride + first + j, value);
    }
  }
}

fiar_status_t fiar_reference_matmul(const fiar_matmul_params* params, fiar_multiply_fn* multiply) {
  const operand_t a = operand_a(params), b = operand_b(params);
  const int64_t m = params->m, n = params->n, k = params->k, most = n < PANEL ? n : PANEL;
  float* room = malloc((size_t)(m * k + most * k + m * most) * sizeof *room);
  if (!room) {
    return FIAR_OUT_OF_MEMORY;
  }
  float *wide_a = room, *wide_b = wide_a + m * k, *sums = wide_b + most * k;
  float *a_values = values_of(a.dtype, m * k), *b_values = values_of(b.dtype, n * k);
  widen(&a, a_values, 0, m, wide_a);
  for (int64_t first = 0; first < n; first += most) {
    const int64_t count = n - first < most ? n - first : most;
    widen(&b, b_values, first, count, wide_b);
    multiply(m, count, k, wide_a, wide_b, sums);
    finish_panel(params, &a, &b, first, count, sums);
  }
  free(a_values);
  free(b_values);
  free(room);
  return FIAR_OK;
}
