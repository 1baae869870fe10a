// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The call, a row at a time: docs/numerics.md in the order of its table.
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "host/reference.h"
#include "residual.h"

static fiar_quantise_row_fn* const quantise_row[] = {
    [FIAR_QUANT_NONE] = NULL,
    [FIAR_QUANT_FP8_STATIC] = fiar_quantise_row_fp8_static,
    [FIAR_QUANT_FP8_TOKEN] = fiar_quantise_row_fp8_token,
    [FIAR_QUANT_FP8_GROUP] = fiar_quantise_row_fp8_group,
    [FIAR_QUANT_NVFP4] = fiar_quantise_row_nvfp4,
    [FIAR_QUANT_MXFP8] = fiar_quantise_row_mxfp8,
    [FIAR_QUANT_MXFP4] = fiar_quantise_row_mxfp4,
};
_Static_assert(sizeof quantise_row / sizeof *quantise_row == FIAR_QUANT_COUNT,
               "a format of quant_formats.def has no quantiser here");

static bool wants_quant(const fiar_all_reduce_norm_params* params) {
  return params->quant_out || params->scales_out;
}

static void clear_scale_padding(const fiar_all_reduce_norm_params* params) {
  if (params->scales_out) {
    memset(params->scales_out, 0, fiar_reference_scales_bytes(params));
  }
}

// h = f32(s) + f32(residual), and the row's sum_out and residual_out.
static void add_row(int32_t world, int32_t rank, const void* const* inputs,
                    const void* const* residuals, int64_t row,
                    const fiar_all_reduce_norm_params* params, float* h) {
  const int64_t hidden = params->hidden;
  const int64_t input_stride = params->input_stride ? params->input_stride : hidden;
  const int64_t residual_stride = params->residual_stride ? params->residual_stride : hidden;
  const uint8_t layout = params->residual_layout;
  const int32_t owner = fiar_residual_owner(layout, row, params->tokens, rank, world);
  const int64_t residual_row = fiar_residual_place(layout, row, params->tokens, world);
  for (int64_t i = 0; i < hidden; ++i) {
    float sum = fiar_load(inputs[0], params->dtype, row * input_stride + i);
    for (int32_t r = 1; r < world; ++r) {
      sum += fiar_load(inputs[r], params->dtype, row * input_stride + i);
    }
    sum = fiar_rounded(sum, params->dtype);
    h[i] = sum;
    if (residuals) {
      h[i] += fiar_load(residuals[owner], params->dtype, residual_row * residual_stride + i);
    }
    if (params->sum_out) {
      fiar_store(params->sum_out, params->dtype, row * hidden + i, sum);
    }
    if (params->residual_out && owner == rank) {
      fiar_store(params->residual_out, params->dtype, residual_row * hidden + i, h[i]);
    }
    if (params->norm_input == FIAR_NORM_INPUT_ROUNDED) {
      h[i] = fiar_rounded(h[i], params->dtype);
    }
  }
}

// In place: h becomes the rounded norm.
static void norm_row(const fiar_all_reduce_norm_params* params, float* h) {
  double squares = 0;  // association is free; this one is the closest to the truth
  for (int64_t i = 0; i < params->hidden; ++i) {
    squares += (double)(h[i] * h[i]);
  }
  float mean = (float)squares / (float)params->hidden;
  float root = (float)(1.0 / sqrt((double)(mean + params->eps)));
  const bool before = params->norm_rounding == FIAR_NORM_ROUNDING_BEFORE_WEIGHT;
  for (int64_t i = 0; i < params->hidden; ++i) {
    float value = h[i] * root;
    if (params->weight) {
      float weight = fiar_load(params->weight, params->weight_dtype, i);
      weight = params->weight_bias == 0 ? weight : params->weight_bias + weight;  // -0 stays
      if (before) {
        value = fiar_rounded(value, params->dtype);
        weight =
            params->weight_dtype == params->dtype ? fiar_rounded(weight, params->dtype) : weight;
      }
      value *= weight;
    }
    h[i] = fiar_rounded(value, params->dtype);
  }
}

fiar_status_t fiar_reference_all_reduce_norm(int32_t world, int32_t rank, const void* const* inputs,
                                             const void* const* residuals,
                                             const fiar_all_reduce_norm_params* params) {
  float* row = malloc((size_t)params->hidden * sizeof *row);
  if (!row) {
    return FIAR_OUT_OF_MEMORY;
  }
  clear_scale_padding(params);
  for (int64_t t = 0; t < params->tokens; ++t) {
    add_row(world, rank, inputs, residuals, t, params, row);
    if (!params->norm_out && !wants_quant(params)) {
      continue;
    }
    norm_row(params, row);
    for (int64_t i = 0; params->norm_out && i < params->hidden; ++i) {
      fiar_store(params->norm_out, params->dtype, t * params->hidden + i, row[i]);
    }
    if (wants_quant(params)) {
      quantise_row[params->quant](row, t, params);
    }
  }
  free(row);
  return FIAR_OK;
}

fiar_status_t fiar_reference_quantise(const void* norm, const fiar_all_reduce_norm_params* params) {
  return fiar_reference_quantise_rows(norm, params->hidden, params);
}

fiar_status_t fiar_reference_quantise_rows(const void* rows, int64_t stride,
                                           const fiar_all_reduce_norm_params* params) {
  float* row = malloc((size_t)params->hidden * sizeof *row);
  if (!row) {
    return FIAR_OUT_OF_MEMORY;
  }
  clear_scale_padding(params);
  for (int64_t t = 0; t < params->tokens; ++t) {
    for (int64_t i = 0; i < params->hidden; ++i) {
      row[i] = fiar_load(rows, params->dtype, t * stride + i);
    }
    quantise_row[params->quant](row, t, params);
  }
  free(row);
  return FIAR_OK;
}
