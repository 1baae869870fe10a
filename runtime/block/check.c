// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Are the calls around the fused one well formed? Each refusal names the argument and its value.
#include <math.h>
#include <string.h>

#include "block/block.h"
#include "extent.h"
#include "host/reference.h"
#include "residual.h"

#define X(name, value, text, bits) [value] = text,
static const char* const elements[] = {FIAR_ELEMENT_TABLE(X)};
#undef X

enum { FLOATS, FLOATS_AND_CODES, ANYTHING };

static fiar_status_t check_element(const char* name, uint8_t element, int kinds) {
  static const char* const accepted[] = {"1 (f16), 2 (bf16) or 3 (f32)",
                                         "1 (f16), 2 (bf16), 3 (f32) or a code type, 8 to 10",
                                         "a type of FIAR_ELEMENT_TABLE"};
  const int bits = fiar_element_bits(element);
  const bool known = kinds == FLOATS             ? bits >= 16
                     : kinds == FLOATS_AND_CODES ? bits != 0 && element != FIAR_ELEMENT_BYTE
                                                 : bits != 0;
  return known
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "%s is %u, must be %s", name, element, accepted[kinds]);
}

static fiar_status_t check_below(const char* name, uint8_t value, unsigned count) {
  return value < count
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "%s is %u, must be below %u", name, value, count);
}

static fiar_status_t check_least(const char* name, int64_t value, int64_t least) {
  return value >= least ? FIAR_OK
                        : FIAR_FAIL(INVALID_ARGUMENT, "%s is %lld, must be >= %lld", name,
                                    (long long)value, (long long)least);
}

static fiar_status_t check_given(const char* name, const void* array, bool wanted) {
  return (array != NULL) == wanted
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT,
                         wanted ? "%s is NULL" : "%s is given, but nothing uses it", name);
}

// Two codes share a byte, so rows of them are whole bytes.
static fiar_status_t check_nibbles(const char* name, uint8_t element, int64_t count) {
  return element != FIAR_ELEMENT_E2M1 || count % 2 == 0
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "%s is %lld, must be even: e2m1 codes are two a byte",
                         name, (long long)count);
}

static size_t alignment_of(uint8_t element) {
  const int bits = fiar_element_bits(element);
  return bits < 8 ? 1 : (size_t)bits / 8;
}

// ---- matmul ----

static fiar_status_t check_matmul_types(const fiar_matmul_params* p) {
  FIAR_TRY(check_element("a_dtype", p->a_dtype, FLOATS_AND_CODES));
  FIAR_TRY(check_element("b_dtype", p->b_dtype, FLOATS_AND_CODES));
  FIAR_TRY(check_element("out_dtype", p->out_dtype, FLOATS));
  FIAR_TRY(p->bias ? check_element("bias_dtype", p->bias_dtype, FLOATS) : FIAR_OK);
  FIAR_TRY(check_below("b_transposed", p->b_transposed, 2));
  FIAR_TRY(check_below("a_scale_is", p->a_scale_is, 2));
  FIAR_TRY(check_below("b_scale_is", p->b_scale_is, 2));
  FIAR_TRY(check_below("a_scaling", p->a_scaling, FIAR_SCALING_BLOCK + 1));
  FIAR_TRY(check_below("b_scaling", p->b_scaling, FIAR_SCALING_BLOCK + 1));
  FIAR_TRY(check_below("block_scale_type", p->block_scale_type, FIAR_SCALE_TYPE_UE8M0 + 1));
  FIAR_TRY(
      check_below("block_scale_layout", p->block_scale_layout, FIAR_SCALE_LAYOUT_COLUMN_MAJOR));
  const bool both_f8 = fiar_element_bits(p->a_dtype) == 8 && fiar_element_bits(p->b_dtype) == 8;
  const bool two_e5m2 = p->a_dtype == FIAR_ELEMENT_E5M2 && p->b_dtype == FIAR_ELEMENT_E5M2;
  if ((p->a_dtype != p->b_dtype && !both_f8) || two_e5m2) {
    return FIAR_FAIL(INVALID_ARGUMENT, "a_dtype is %s and b_dtype %s, which do not go together",
                     elements[p->a_dtype], elements[p->b_dtype]);
  }
  return FIAR_OK;
}

// Elements along k that share a scale; 0 where there is no such format.
static int64_t block_of(uint8_t element, uint8_t scale_type) {
  return scale_type == FIAR_SCALE_TYPE_E4M3 ? (element == FIAR_ELEMENT_E2M1 ? 16 : 0)
         : scale_type == FIAR_SCALE_TYPE_UE8M0 &&
                 (element == FIAR_ELEMENT_E2M1 || element == FIAR_ELEMENT_E4M3)
             ? 32
             : 0;
}

static fiar_status_t check_matmul_scales(const fiar_matmul_params* p) {
  FIAR_TRY(check_given("a_scales", p->a_scales, p->a_scaling != FIAR_SCALING_NONE));
  FIAR_TRY(check_given("b_scales", p->b_scales, p->b_scaling != FIAR_SCALING_NONE));
  const bool a = p->a_scaling == FIAR_SCALING_BLOCK, b = p->b_scaling == FIAR_SCALING_BLOCK;
  if (a != b) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s is block, so %s must be", a ? "a_scaling" : "b_scaling",
                     a ? "b_scaling" : "a_scaling");
  }
  if (!a) {
    return p->block_scale_type == 0 && p->block_scale_layout == 0
               ? FIAR_OK
               : FIAR_FAIL(INVALID_ARGUMENT, "%s is %u, must be 0 without block scales",
                           p->block_scale_type ? "block_scale_type" : "block_scale_layout",
                           p->block_scale_type ? p->block_scale_type : p->block_scale_layout);
  }
  const int64_t block = block_of(p->a_dtype, p->block_scale_type);
  if (block == 0 || p->a_dtype != p->b_dtype) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "block_scale_type is %u, which %s and %s have not: e4m3 (1) for e2m1, ue8m0 "
                     "(2) for e4m3 or e2m1",
                     p->block_scale_type, elements[p->a_dtype], elements[p->b_dtype]);
  }
  return p->k % block == 0
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "k is %lld, must be a multiple of %lld, the block",
                         (long long)p->k, (long long)block);
}

static fiar_status_t check_matmul_shape(fiar_matmul_params* p) {
  FIAR_TRY(check_least("m", p->m, 0));
  FIAR_TRY(check_least("n", p->n, 1));
  FIAR_TRY(check_least("k", p->k, 1));
  FIAR_TRY(fiar_stride_check("a_stride", p->m, "k", p->k, &p->a_stride));
  FIAR_TRY(fiar_stride_check("out_stride", p->m, "n", p->n, &p->out_stride));
  FIAR_TRY(p->b_transposed ? fiar_stride_check("b_stride", p->n, "k", p->k, &p->b_stride)
                           : fiar_stride_check("b_stride", p->k, "n", p->n, &p->b_stride));
  FIAR_TRY(check_nibbles("k", p->a_dtype, p->k));
  FIAR_TRY(check_nibbles("a_stride", p->a_dtype, p->a_stride));
  FIAR_TRY(check_nibbles("b_stride", p->b_dtype, p->b_stride));
  if (p->workspace_bytes > 0 && !p->workspace) {
    return FIAR_FAIL(INVALID_ARGUMENT, "workspace is NULL, with workspace_bytes = %llu",
                     (unsigned long long)p->workspace_bytes);
  }
  return FIAR_OK;
}

static size_t scales_bytes(const fiar_matmul_params* p, uint8_t scaling, int64_t rows) {
  if (scaling != FIAR_SCALING_BLOCK) {
    return (size_t)rows * sizeof(float);
  }
  const bool fp8 = p->a_dtype == FIAR_ELEMENT_E4M3;
  const bool nvfp4 = p->block_scale_type == FIAR_SCALE_TYPE_E4M3;
  const fiar_all_reduce_norm_params blocks = {.tokens = rows,
                                              .hidden = p->k,
                                              .quant = fp8     ? FIAR_QUANT_MXFP8
                                                       : nvfp4 ? FIAR_QUANT_NVFP4
                                                               : FIAR_QUANT_MXFP4,
                                              .scale_type = p->block_scale_type,
                                              .scale_layout = p->block_scale_layout};
  return fiar_reference_scales_bytes(&blocks);
}

static fiar_status_t check_matmul_memory(const fiar_matmul_params* p) {
  const int64_t b_rows = p->b_transposed ? p->n : p->k, b_cols = p->b_transposed ? p->k : p->n;
  const int a_bits = fiar_element_bits(p->a_dtype), b_bits = fiar_element_bits(p->b_dtype);
  const int out_bits = fiar_element_bits(p->out_dtype);
  const size_t bias = p->bias ? alignment_of(p->bias_dtype) : 1;
  const size_t a_scale = p->a_scaling == FIAR_SCALING_BLOCK ? 1 : sizeof(float);
  FIAR_TRY(check_given("a", p->a, true));
  FIAR_TRY(check_given("b", p->b, true));
  FIAR_TRY(check_given("out", p->out, true));
  const fiar_extent_t extents[] = {
      {"a", p->a, fiar_strided_bytes(p->m, p->a_stride, p->k, a_bits), alignment_of(p->a_dtype),
       false},
      {"b", p->b, fiar_strided_bytes(b_rows, p->b_stride, b_cols, b_bits), alignment_of(p->b_dtype),
       false},
      {"bias", p->bias, (size_t)p->n * bias, bias, false},
      {"a_scale", p->a_scale, sizeof(float), sizeof(float), false},
      {"b_scale", p->b_scale, sizeof(float), sizeof(float), false},
      {"a_scales", p->a_scales, scales_bytes(p, p->a_scaling, p->m), a_scale, false},
      {"b_scales", p->b_scales, scales_bytes(p, p->b_scaling, p->n), a_scale, false},
      {"workspace", p->workspace, (size_t)p->workspace_bytes, 256, true},
      {"out", p->out, fiar_strided_bytes(p->m, p->out_stride, p->n, out_bits),
       alignment_of(p->out_dtype), true},
  };
  return fiar_extents_check(extents, FIAR_ARRAY_LENGTH(extents), NULL, NULL);
}

fiar_status_t fiar_matmul_check(const fiar_matmul_params* params, fiar_matmul_params* out_params) {
  memset(out_params, 0, sizeof *out_params);
  FIAR_TRY(FIAR_STRUCT_TAKE(fiar_matmul_params, params, out_params));
  FIAR_TRY(check_matmul_types(out_params));
  FIAR_TRY(check_matmul_shape(out_params));
  if (out_params->m == 0) {
    return FIAR_OK;
  }
  FIAR_TRY(check_matmul_scales(out_params));
  return check_matmul_memory(out_params);
}

// ---- rms_norm, quantize ----

fiar_status_t fiar_rms_norm_check(const fiar_all_reduce_norm_params* params,
                                  fiar_all_reduce_norm_params* out_params) {
  FIAR_TRY(fiar_params_check(params, 1, out_params));
  return out_params->residual_layout == FIAR_RESIDUAL_LAYOUT_FULL
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "residual_layout is %s, must be full",
                         fiar_residual_layout_name(out_params->residual_layout));
}

fiar_status_t fiar_quantize_check(const fiar_quantize_params* params,
                                  fiar_all_reduce_norm_params* out_params) {
  fiar_quantize_params p;
  memset(out_params, 0, sizeof *out_params);
  FIAR_TRY(FIAR_STRUCT_TAKE(fiar_quantize_params, params, &p));
  FIAR_TRY(check_element("dtype", p.dtype, FLOATS));
  FIAR_TRY(check_least("rows", p.rows, 0));
  FIAR_TRY(check_least("cols", p.cols, 1));
  FIAR_TRY(fiar_stride_check("input_stride", p.rows, "cols", p.cols, &p.input_stride));
  if (p.quant == FIAR_QUANT_NONE) {
    return FIAR_FAIL(INVALID_ARGUMENT, "quant is none");
  }
  const fiar_all_reduce_norm_params call = {.struct_size = sizeof call,
                                            .group = p.group,
                                            .input = p.input,
                                            .scale = p.scale,
                                            .quant_out = p.quant_out,
                                            .scales_out = p.scales_out,
                                            .tokens = p.rows,
                                            .hidden = p.cols,
                                            .input_stride = p.input_stride,
                                            .scale_min = p.scale_min,
                                            .group_size = p.group_size,
                                            .dtype = p.dtype,
                                            .quant = p.quant,
                                            .scale_layout = p.scale_layout,
                                            .scale_type = p.scale_type,
                                            .scale_is = p.scale_is};
  const fiar_status_t status = fiar_params_check(&call, 1, out_params);
  return status == FIAR_OK ? FIAR_OK
                           : fiar_annotate(status, "rows are tokens here, and cols hidden");
}

// ---- activate ----

// Rows of an input and of out that lie between each other, as halves of packed rows do.
static bool interleaved(const fiar_activate_params* p, const void* input, int64_t stride) {
  const size_t element = (size_t)fiar_element_bits(p->dtype) / 8;
  const size_t row = (size_t)stride * element, cols = (size_t)p->cols * element;
  const uintptr_t a = (uintptr_t)input, b = (uintptr_t)p->out;
  const size_t apart = (a < b ? b - a : a - b) % row;
  return stride == p->out_stride && apart >= cols && apart <= row - cols;
}

static bool activate_may_alias(const void* opaque, int first, int second) {
  const fiar_activate_params* p = opaque;
  const int64_t strides[] = {p->gate_stride, p->up_stride};
  const void* const inputs[] = {p->gate, p->up};
  return first < 2 && second == 3 && p->dtype == p->out_dtype &&
         ((inputs[first] == p->out && strides[first] == p->out_stride) ||
          interleaved(p, inputs[first], strides[first]));
}

static fiar_status_t check_activate_memory(const fiar_activate_params* p) {
  const int in = fiar_element_bits(p->dtype), out = fiar_element_bits(p->out_dtype);
  if (!p->out && !p->quant_out) {
    return FIAR_FAIL(INVALID_ARGUMENT, "every output is NULL, with %lld rows", (long long)p->rows);
  }
  const fiar_extent_t extents[] = {
      {"gate", p->gate, fiar_strided_bytes(p->rows, p->gate_stride, p->cols, in),
       alignment_of(p->dtype), false},
      {"up", p->up, fiar_strided_bytes(p->rows, p->up_stride, p->cols, in), alignment_of(p->dtype),
       false},
      {"scale", p->scale, sizeof(float), sizeof(float), false},
      {"out", p->out, fiar_strided_bytes(p->rows, p->out_stride, p->cols, out),
       alignment_of(p->out_dtype), true},
      {"quant_out", p->quant_out, (size_t)(p->rows * p->cols), 1, true},
  };
  return fiar_extents_check(extents, FIAR_ARRAY_LENGTH(extents), activate_may_alias, p);
}

static fiar_status_t check_activate_fields(fiar_activate_params* p) {
  FIAR_TRY(check_element("dtype", p->dtype, FLOATS));
  FIAR_TRY(check_element("out_dtype", p->out_dtype, FLOATS));
  FIAR_TRY(check_below("rounding", p->rounding, FIAR_ACT_ROUNDING_EACH + 1));
  FIAR_TRY(check_below("activation", p->activation, FIAR_ACTIVATION_NONE + 1));
  FIAR_TRY(check_below("combine", p->combine, FIAR_COMBINE_NONE + 1));
  if (p->combine == FIAR_COMBINE_NONE && p->up) {
    return FIAR_FAIL(INVALID_ARGUMENT, "up is given, but combine is 2 (none)");
  }
  FIAR_TRY(check_below("scale_is", p->scale_is, 2));
  if (p->quant != FIAR_QUANT_NONE && p->quant != FIAR_QUANT_FP8_STATIC) {
    return FIAR_FAIL(INVALID_ARGUMENT, "quant is %u, must be 0 (none) or 1 (fp8_static)", p->quant);
  }
  if (p->quant == FIAR_QUANT_NONE && (p->quant_out || p->scale)) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s is given, but quant is none",
                     p->quant_out ? "quant_out" : "scale");
  }
  FIAR_TRY(check_least("rows", p->rows, 0));
  FIAR_TRY(check_least("cols", p->cols, 1));
  if (p->cols > INT64_MAX / 16) {
    return FIAR_FAIL(INVALID_ARGUMENT, "cols is %lld, more than memory can hold",
                     (long long)p->cols);
  }
  return FIAR_OK;
}

fiar_status_t fiar_activate_check(const fiar_activate_params* params,
                                  fiar_activate_params* out_params) {
  fiar_activate_params* p = out_params;
  memset(p, 0, sizeof *p);
  FIAR_TRY(FIAR_STRUCT_TAKE(fiar_activate_params, params, p));
  FIAR_TRY(check_activate_fields(p));
  const bool alone = p->combine == FIAR_COMBINE_NONE, packed = p->up == NULL && !alone;
  FIAR_TRY(packed
               ? fiar_stride_check("gate_stride", p->rows, "2 * cols", 2 * p->cols, &p->gate_stride)
               : fiar_stride_check("gate_stride", p->rows, "cols", p->cols, &p->gate_stride));
  p->up_stride = packed || alone ? p->gate_stride : p->up_stride;
  FIAR_TRY(fiar_stride_check("up_stride", p->rows, "cols", p->cols, &p->up_stride));
  FIAR_TRY(fiar_stride_check("out_stride", p->rows, "cols", p->cols, &p->out_stride));
  if (p->rows == 0) {
    return FIAR_OK;
  }
  FIAR_TRY(check_given("gate", p->gate, true));
  if (packed) {
    p->up = (const char*)p->gate + (size_t)p->cols * alignment_of(p->dtype);
  }
  return check_activate_memory(p);
}

// ---- copy ----

// Rows of scales, laid out for matmuls.
static fiar_status_t check_copy_layout(const fiar_copy_params* p) {
  FIAR_TRY(check_below("out_layout", p->out_layout, FIAR_SCALE_LAYOUT_SWIZZLED_128X4 + 1));
  if (p->out_layout == FIAR_SCALE_LAYOUT_LINEAR) {
    return FIAR_OK;
  }
  if (p->in_dtype != p->out_dtype || fiar_element_bits(p->in_dtype) != 8) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "out_layout is 1 (swizzled_128x4), which %s to %s has not: one-byte elements "
                     "that are not converted",
                     elements[p->in_dtype], elements[p->out_dtype]);
  }
  const int64_t most = INT64_MAX / 256;  // with padding, and as elements of 32 to a scale
  if (p->out_stride != 0) {
    return FIAR_FAIL(INVALID_ARGUMENT, "out_stride is %lld, must be 0 with out_layout 1",
                     (long long)p->out_stride);
  }
  return p->rows < most && p->cols < most && (p->rows + 128) <= most / (p->cols + 128)
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "rows is %lld and cols %lld, more than memory can hold",
                         (long long)p->rows, (long long)p->cols);
}

static size_t copy_out_bytes(const fiar_copy_params* p) {
  if (p->out_layout != FIAR_SCALE_LAYOUT_LINEAR) {
    const fiar_all_reduce_norm_params scales = fiar_reference_copy_scales(p);
    return fiar_reference_scales_bytes(&scales);
  }
  return fiar_strided_bytes(p->transposed ? p->cols : p->rows, p->out_stride,
                            p->transposed ? p->rows : p->cols, fiar_element_bits(p->out_dtype));
}

fiar_status_t fiar_copy_check(const fiar_copy_params* params, fiar_copy_params* out_params) {
  fiar_copy_params* p = out_params;
  memset(p, 0, sizeof *p);
  FIAR_TRY(FIAR_STRUCT_TAKE(fiar_copy_params, params, p));
  FIAR_TRY(check_element("in_dtype", p->in_dtype, ANYTHING));
  FIAR_TRY(check_element("out_dtype", p->out_dtype, ANYTHING));
  FIAR_TRY(check_below("transposed", p->transposed, 2));
  const int in = fiar_element_bits(p->in_dtype), out = fiar_element_bits(p->out_dtype);
  const bool converts = p->in_dtype != p->out_dtype;
  const bool opaque =
      in < 8 || out < 8 || p->in_dtype == FIAR_ELEMENT_BYTE || p->out_dtype == FIAR_ELEMENT_BYTE;
  if (converts && opaque) {
    return FIAR_FAIL(INVALID_ARGUMENT, "in_dtype is %s and out_dtype %s: there is no conversion",
                     elements[p->in_dtype], elements[p->out_dtype]);
  }
  if (p->transposed && in < 8) {
    return FIAR_FAIL(INVALID_ARGUMENT, "transposed is 1, which e2m1 has not");
  }
  FIAR_TRY(check_least("rows", p->rows, 0));
  FIAR_TRY(check_least("cols", p->cols, 1));
  FIAR_TRY(check_copy_layout(p));
  FIAR_TRY(fiar_stride_check("input_stride", p->rows, "cols", p->cols, &p->input_stride));
  FIAR_TRY(p->transposed
               ? fiar_stride_check("out_stride", p->cols, "rows", p->rows, &p->out_stride)
               : fiar_stride_check("out_stride", p->rows, "cols", p->cols, &p->out_stride));
  FIAR_TRY(check_nibbles("cols", p->in_dtype, p->cols));
  FIAR_TRY(check_nibbles("input_stride", p->in_dtype, p->input_stride));
  FIAR_TRY(check_nibbles("out_stride", p->in_dtype, p->out_stride));
  if (p->rows == 0) {
    return FIAR_OK;
  }
  FIAR_TRY(check_given("input", p->input, true));
  FIAR_TRY(check_given("out", p->out, true));
  // Swizzled scales are written four at once.
  const size_t aligned =
      p->out_layout == FIAR_SCALE_LAYOUT_LINEAR ? alignment_of(p->out_dtype) : sizeof(uint32_t);
  const fiar_extent_t extents[] = {
      {"input", p->input, fiar_strided_bytes(p->rows, p->input_stride, p->cols, in),
       alignment_of(p->in_dtype), false},
      {"out", p->out, copy_out_bytes(p), aligned, true},
  };
  return fiar_extents_check(extents, FIAR_ARRAY_LENGTH(extents), NULL, NULL);
}
