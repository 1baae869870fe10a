// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Is a call well formed? Each refusal names the argument and its value.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "extent.h"
#include "host/reference.h"
#include "residual.h"
#include "runtime_impl.h"

typedef struct format_rule {
  const char* name;
  unsigned scale_types;  // bit i: FIAR_SCALE_TYPE i
  bool takes_scale, has_scales;
} format_rule_t;

#define TYPE(name) (1u << FIAR_SCALE_TYPE_##name)
static const format_rule_t formats[] = {
    [FIAR_QUANT_NONE] = {"none", ~0u, true, false},
    [FIAR_QUANT_FP8_STATIC] = {"fp8_static", TYPE(F32), true, false},
    [FIAR_QUANT_FP8_TOKEN] = {"fp8_token", TYPE(F32), false, true},
    [FIAR_QUANT_FP8_GROUP] = {"fp8_group", TYPE(F32) | TYPE(UE8M0), false, true},
    [FIAR_QUANT_NVFP4] = {"nvfp4", TYPE(E4M3), true, true},
    [FIAR_QUANT_MXFP8] = {"mxfp8", TYPE(UE8M0), false, true},
    [FIAR_QUANT_MXFP4] = {"mxfp4", TYPE(UE8M0), false, true},
};
_Static_assert(FIAR_ARRAY_LENGTH(formats) == FIAR_QUANT_COUNT,
               "a format of quant_formats.def has no rule here");
#undef TYPE

#define X(name, value, text) text,
static const char* const scale_types[] = {FIAR_SCALE_TYPE_TABLE(X)};
static const char* const scale_layouts[] = {FIAR_SCALE_LAYOUT_TABLE(X)};
#undef X

// ---- Fields ----

static fiar_status_t check_enum(const char* name, uint8_t value, size_t count) {
  return value < count
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "%s is %u, must be below %zu", name, value, count);
}

static fiar_status_t check_dtype(const char* name, uint8_t dtype) {
  return fiar_dtype_bytes(dtype) != 0
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "%s is %u, must be 1 (f16), 2 (bf16) or 3 (f32)", name,
                         dtype);
}

static fiar_status_t check_enums(const fiar_all_reduce_norm_params* params) {
  FIAR_TRY(check_dtype("dtype", params->dtype));
  FIAR_TRY(params->weight ? check_dtype("weight_dtype", params->weight_dtype) : FIAR_OK);
  FIAR_TRY(check_enum("quant", params->quant, FIAR_ARRAY_LENGTH(formats)));
  FIAR_TRY(check_enum("scale_layout", params->scale_layout, FIAR_ARRAY_LENGTH(scale_layouts)));
  FIAR_TRY(check_enum("scale_type", params->scale_type, FIAR_ARRAY_LENGTH(scale_types)));
  FIAR_TRY(check_enum("scale_is", params->scale_is, FIAR_SCALE_IS_MULTIPLIER + 1));
  FIAR_TRY(check_enum("norm_input", params->norm_input, FIAR_NORM_INPUT_F32 + 1));
  FIAR_TRY(check_enum("norm_rounding", params->norm_rounding, FIAR_NORM_ROUNDING_AFTER_WEIGHT + 1));
  return check_enum("residual_layout", params->residual_layout,
                    FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK + 1);
}

static fiar_status_t check_finite(const char* name, float value, bool negative_allowed) {
  if (isfinite(value) && (negative_allowed || value >= 0)) {
    return FIAR_OK;
  }
  return FIAR_FAIL(INVALID_ARGUMENT, "%s is %g, must be finite%s", name, (double)value,
                   negative_allowed ? "" : " and >= 0");
}

static fiar_status_t check_row_blocks(const fiar_all_reduce_norm_params* params, int32_t world) {
  return params->residual_layout != FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK || params->tokens % world == 0
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT,
                         "tokens is %lld, must be a multiple of world = %d where residual_layout "
                         "is token_block",
                         (long long)params->tokens, world);
}

fiar_status_t fiar_shape_check(int64_t tokens, int64_t hidden, uint8_t dtype) {
  FIAR_TRY(check_dtype("dtype", dtype));
  if (tokens < 0) {
    return FIAR_FAIL(INVALID_ARGUMENT, "tokens is %lld, must be >= 0", (long long)tokens);
  }
  if (hidden < 1) {
    return FIAR_FAIL(INVALID_ARGUMENT, "hidden is %lld, must be >= 1", (long long)hidden);
  }
  int64_t stride = hidden;
  return fiar_stride_check("hidden", tokens, "hidden", hidden, &stride);
}

// ---- Quantisation ----

static fiar_status_t check_layout(const fiar_all_reduce_norm_params* params) {
  const bool one_byte = params->scale_type != FIAR_SCALE_TYPE_F32;
  const bool swizzled = params->scale_layout == FIAR_SCALE_LAYOUT_SWIZZLED_128X4 ||
                        params->scale_layout == FIAR_SCALE_LAYOUT_SWIZZLED_8X4;
  const bool column_major = params->scale_layout == FIAR_SCALE_LAYOUT_COLUMN_MAJOR;
  const bool columns = formats[params->quant].has_scales && params->quant != FIAR_QUANT_FP8_TOKEN;
  if (params->scale_layout == FIAR_SCALE_LAYOUT_LINEAR || (swizzled && one_byte && columns) ||
      (column_major && params->scale_type != FIAR_SCALE_TYPE_E4M3 && columns)) {
    return FIAR_OK;
  }
  return FIAR_FAIL(INVALID_ARGUMENT, "scale_layout is %s, which %s with %s scales has not",
                   scale_layouts[params->scale_layout], formats[params->quant].name,
                   scale_types[params->scale_type]);
}

static fiar_status_t check_blocks(const fiar_all_reduce_norm_params* params) {
  const char* name = formats[params->quant].name;
  if (params->quant == FIAR_QUANT_FP8_GROUP && params->group_size < 1) {
    return FIAR_FAIL(INVALID_ARGUMENT, "group_size is %d, must be >= 1 for fp8_group",
                     params->group_size);
  }
  const int64_t block = fiar_quant_block(params);
  if (params->group_size != 0 && params->group_size != block) {
    return FIAR_FAIL(INVALID_ARGUMENT, "group_size is %d, must be 0 for %s", params->group_size,
                     name);
  }
  if (block > 0 && params->hidden % block != 0) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "hidden is %lld, must be a multiple of %lld, the block of %s",
                     (long long)params->hidden, (long long)block, name);
  }
  return FIAR_OK;
}

static fiar_status_t check_quant(const fiar_all_reduce_norm_params* params) {
  const format_rule_t* format = &formats[params->quant];
  if (params->quant == FIAR_QUANT_NONE) {
    return !params->quant_out && !params->scales_out
               ? FIAR_OK
               : FIAR_FAIL(INVALID_ARGUMENT, "%s is given, but quant is none",
                           params->quant_out ? "quant_out" : "scales_out");
  }
  if ((format->scale_types >> params->scale_type & 1u) == 0) {
    return FIAR_FAIL(INVALID_ARGUMENT, "scale_type is %s, which %s has not",
                     scale_types[params->scale_type], format->name);
  }
  if (params->scales_out && !format->has_scales) {
    return FIAR_FAIL(INVALID_ARGUMENT, "scales_out is given, but %s computes no scales",
                     format->name);
  }
  if (params->scale && !format->takes_scale) {
    return FIAR_FAIL(INVALID_ARGUMENT, "scale is given, but %s computes its own", format->name);
  }
  FIAR_TRY(check_layout(params));
  return check_blocks(params);
}

// ---- Memory ----

enum {
  INPUT,
  RESIDUAL,
  WEIGHT,
  SCALE,
  SUM_OUT,
  RESIDUAL_OUT,
  NORM_OUT,
  QUANT_OUT,
  SCALES_OUT,
  EXTENTS
};

static void list_extents(const fiar_all_reduce_norm_params* params, int32_t world,
                         fiar_extent_t extents[EXTENTS]) {
  const int64_t tokens = params->tokens, hidden = params->hidden;
  const int64_t rows = fiar_residual_rows(params->residual_layout, tokens, world);
  const size_t element = fiar_dtype_bytes(params->dtype);
  const int bits = (int)element * 8;
  const size_t weight_element = params->weight ? fiar_dtype_bytes(params->weight_dtype) : 1;
  const size_t full = fiar_strided_bytes(tokens, hidden, hidden, bits);
  const bool scales_f32 = params->scale_type == FIAR_SCALE_TYPE_F32;
  const fiar_extent_t list[EXTENTS] = {
      {"input", params->input, fiar_strided_bytes(tokens, params->input_stride, hidden, bits),
       element, false},
      {"residual", params->residual,
       fiar_strided_bytes(rows, params->residual_stride, hidden, bits), element, false},
      {"weight", params->weight, (size_t)hidden * weight_element, weight_element, false},
      {"scale", params->scale, sizeof(float), sizeof(float), false},
      {"sum_out", params->sum_out, full, element, true},
      {"residual_out", params->residual_out, fiar_strided_bytes(rows, hidden, hidden, bits),
       element, true},
      {"norm_out", params->norm_out, full, element, true},
      {"quant_out", params->quant_out, fiar_reference_codes_bytes(params), 1, true},
      {"scales_out", params->scales_out, fiar_reference_scales_bytes(params), scales_f32 ? 4 : 1,
       true},
  };
  memcpy(extents, list, sizeof list);
}

static bool may_alias(const void* opaque, int first, int second) {
  const fiar_all_reduce_norm_params* params = opaque;
  if (first == RESIDUAL && second == RESIDUAL_OUT) {
    return params->residual == params->residual_out && params->residual_stride == params->hidden;
  }
  if (first == INPUT && second == NORM_OUT) {
    return params->input == params->norm_out && params->input_stride == params->hidden;
  }
  // A plain all-reduce in place.
  return first == INPUT && second == SUM_OUT && params->input == params->sum_out &&
         params->input_stride == params->hidden && !params->residual_out && !params->norm_out &&
         !params->quant_out && !params->scales_out;
}

static fiar_status_t check_memory(const fiar_all_reduce_norm_params* params, int32_t world) {
  fiar_extent_t extents[EXTENTS];
  list_extents(params, world, extents);
  bool any_output = false;
  for (int i = 0; i < EXTENTS; ++i) {
    any_output |= extents[i].output && extents[i].at;
  }
  if (!params->input || !any_output) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     !params->input ? "input is NULL, with %lld tokens"
                                    : "every output is NULL, with %lld tokens",
                     (long long)params->tokens);
  }
  return fiar_extents_check(extents, EXTENTS, may_alias, params);
}

// ---- The whole ----

fiar_status_t fiar_params_check(const fiar_all_reduce_norm_params* params, int32_t world,
                                fiar_all_reduce_norm_params* out_params) {
  memset(out_params, 0, sizeof *out_params);
  FIAR_TRY(FIAR_STRUCT_TAKE(fiar_all_reduce_norm_params, params, out_params));
  FIAR_TRY(check_enums(out_params));
  FIAR_TRY(fiar_shape_check(out_params->tokens, out_params->hidden, out_params->dtype));
  FIAR_TRY(check_row_blocks(out_params, world));
  FIAR_TRY(fiar_stride_check("input_stride", out_params->tokens, "hidden", out_params->hidden,
                             &out_params->input_stride));
  FIAR_TRY(fiar_stride_check("residual_stride", out_params->tokens, "hidden", out_params->hidden,
                             &out_params->residual_stride));
  FIAR_TRY(check_finite("eps", out_params->eps, false));
  FIAR_TRY(check_finite("weight_bias", out_params->weight_bias, true));
  if (out_params->weight_bias == 0) {
    out_params->weight_bias = -0.0F;  // the zero that a weight of -0 survives
  }
  FIAR_TRY(check_finite("scale_min", out_params->scale_min, false));
  FIAR_TRY(check_quant(out_params));
  if (!out_params->weight) {
    out_params->weight_dtype = out_params->dtype;
  }
  return out_params->tokens == 0 ? FIAR_OK : check_memory(out_params, world);
}

fiar_problem_t fiar_problem_of(const fiar_all_reduce_norm_params* checked) {
  const bool quantises = checked->quant_out || checked->scales_out;
  const bool plain =
      !checked->residual && !checked->residual_out && !checked->norm_out && !quantises;
  return (fiar_problem_t){
      .op = plain ? FIAR_OP_ALL_REDUCE : FIAR_OP_ALL_REDUCE_NORM,
      .tokens = checked->tokens,
      .hidden = checked->hidden,
      .input_stride = checked->input_stride,
      .residual_stride = checked->residual_stride,
      .group_size = checked->group_size,
      .dtype = checked->dtype,
      .weight_dtype = checked->weight_dtype,
      .quant = checked->quant,
      .scale_layout = checked->scale_layout,
      .scale_type = checked->scale_type,
      .residual_layout = checked->residual_layout,
      .quantises = quantises,
  };
}

fiar_problem_t fiar_problem_of_shape(int64_t tokens, int64_t hidden, uint8_t dtype,
                                     bool quantises) {
  return (fiar_problem_t){
      .op = FIAR_OP_ALL_REDUCE_NORM,
      .tokens = tokens,
      .hidden = hidden,
      .input_stride = hidden,
      .residual_stride = hidden,
      .dtype = dtype,
      .weight_dtype = dtype,
      .quant = quantises ? FIAR_QUANT_FP8_STATIC : FIAR_QUANT_NONE,
      .quantises = quantises,
  };
}

// ---- Sizes for callers ----

static fiar_status_t check_for_size(const fiar_all_reduce_norm_params* params,
                                    fiar_all_reduce_norm_params* out_sizes, size_t* out_bytes) {
  FIAR_NOT_NULL(out_bytes);
  *out_bytes = 0;
  if (!params) {
    return FIAR_FAIL(INVALID_ARGUMENT, "params is NULL");
  }
  *out_sizes = (fiar_all_reduce_norm_params){
      .struct_size = sizeof *params,
      .tokens = params->tokens,
      .hidden = params->hidden,
      .group_size = params->group_size,
      .dtype = FIAR_DTYPE_F32,
      .quant = params->quant,
      .scale_type = params->scale_type,
      .scale_layout = params->scale_layout,
  };
  FIAR_TRY(check_enums(out_sizes));
  FIAR_TRY(fiar_shape_check(out_sizes->tokens, out_sizes->hidden, out_sizes->dtype));
  return check_quant(out_sizes);
}

fiar_status_t fiar_codes_bytes(const fiar_all_reduce_norm_params* params, size_t* out_bytes) {
  fiar_all_reduce_norm_params sizes;
  FIAR_TRY(check_for_size(params, &sizes, out_bytes));
  *out_bytes = fiar_reference_codes_bytes(&sizes);
  return FIAR_OK;
}

fiar_status_t fiar_scales_bytes(const fiar_all_reduce_norm_params* params, size_t* out_bytes) {
  fiar_all_reduce_norm_params sizes;
  FIAR_TRY(check_for_size(params, &sizes, out_bytes));
  *out_bytes = fiar_reference_scales_bytes(&sizes);
  return FIAR_OK;
}
