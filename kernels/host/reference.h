// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The reference: docs/numerics.md in plain C, one rank's outputs from all ranks' inputs. Slow,
// exact, and without state; the host backend runs on it and every other backend's tests compare
// with it. Internal.
#ifndef FIAR_KERNELS_HOST_REFERENCE_H
#define FIAR_KERNELS_HOST_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include "fiar/abi.h"

// ---- Conversions. Round to nearest even; a NaN becomes the canonical one of the target ----
float fiar_f16_to_f32(uint16_t bits);
float fiar_bf16_to_f32(uint16_t bits);
float fiar_e4m3_to_f32(uint8_t bits);
float fiar_e5m2_to_f32(uint8_t bits);
float fiar_e2m1_to_f32(uint8_t bits);   // the low nibble
float fiar_ue8m0_to_f32(uint8_t bits);  // 2^(bits - 127); 255: NaN
uint16_t fiar_f32_to_f16(float value);
uint16_t fiar_f32_to_bf16(float value);
uint8_t fiar_f32_to_e4m3(float value);  // saturates at +-448; NaN: 0x7F
uint8_t fiar_f32_to_e5m2(float value);  // saturates at +-57344; NaN: 0x7F
uint8_t fiar_f32_to_e2m1(float value);  // saturates at +-6; NaN: +6

// Element `index` of an array of dtype (FIAR_DTYPE_*).
float fiar_load(const void* array, uint8_t dtype, int64_t index);
void fiar_store(void* array, uint8_t dtype, int64_t index, float value);
size_t fiar_dtype_bytes(uint8_t dtype);
float fiar_rounded(float value, uint8_t dtype);  // to dtype and back

// The same for FIAR_ELEMENT_*, but BYTE, which has no value; stores not to E2M1. bits: 0 for what
// is none of them.
float fiar_load_element(const void* array, uint8_t element, int64_t index);
void fiar_store_element(void* array, uint8_t element, int64_t index, float value);
int fiar_element_bits(uint8_t element);

// ---- Sizes and places of scales
// Formats of quant_formats.def, so that tables with a row for each can say that they are complete.
enum {
  FIAR_QUANT_COUNT = 0
#define X(name, value, text, bits, block) +1
#include "fiar/quant_formats.def"
#undef X
};

int64_t fiar_quant_block(
    const fiar_all_reduce_norm_params* params);  // elements a scale; 0: no scales out
size_t fiar_reference_codes_bytes(const fiar_all_reduce_norm_params* params);
size_t fiar_reference_scales_bytes(const fiar_all_reduce_norm_params* params);
// Byte offset of scale (row, column) in scales_out.
size_t fiar_scale_offset(const fiar_all_reduce_norm_params* params, int64_t row, int64_t column);

// ---- The call
//
// What rank `rank` of `world` writes for `params`, whose own input and residual are ignored:
// inputs[r] is rank r's [tokens, hidden] with params->input_stride; residuals[r] is rank r's
// residual, of which only this rank's is read for the full layout, every owner's for the sharded
// ones; residuals NULL: no residual. Strides of 0 mean hidden. Outputs may alias this rank's inputs
// as the ABI allows. params must be valid (fiar_params_check). OUT_OF_MEMORY (without a text): no
// room for a row.
fiar_status_t fiar_reference_all_reduce_norm(int32_t world, int32_t rank, const void* const* inputs,
                                             const void* const* residuals,
                                             const fiar_all_reduce_norm_params* params);

// Codes and scales of a given norm [tokens, hidden] of params->dtype, into params->quant_out and
// scales_out (each may be NULL), padding written as zero. OUT_OF_MEMORY as above. rows: the same of
// rows that are `stride` elements apart.
fiar_status_t fiar_reference_quantise(const void* norm, const fiar_all_reduce_norm_params* params);
fiar_status_t fiar_reference_quantise_rows(const void* rows, int64_t stride,
                                           const fiar_all_reduce_norm_params* params);

// ---- The ops around it (fiar/abi.h). params must be valid and complete: strides set, up set

// c[m, n] = a[m, k] x b[n, k] transposed, row-major without gaps, in f32.
typedef void fiar_multiply_fn(int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                              float* c);
fiar_multiply_fn fiar_multiply_plain;  // in the order of k

// OUT_OF_MEMORY as above.
fiar_status_t fiar_reference_matmul(const fiar_matmul_params* params, fiar_multiply_fn* multiply);
void fiar_reference_activate(const fiar_activate_params* params);
void fiar_reference_copy(const fiar_copy_params* params);

// What fiar_scale_offset and fiar_reference_scales_bytes want to know of the rows of one-byte
// scales that the copy writes.
fiar_all_reduce_norm_params fiar_reference_copy_scales(const fiar_copy_params* params);

// ---- Between the files of this folder
//
// Row `row` of the codes and
// scales, from the rounded norm y[hidden].
typedef void fiar_quantise_row_fn(const float* y, int64_t row,
                                  const fiar_all_reduce_norm_params* params);
fiar_quantise_row_fn fiar_quantise_row_fp8_static, fiar_quantise_row_fp8_token,
    fiar_quantise_row_fp8_group, fiar_quantise_row_nvfp4, fiar_quantise_row_mxfp8,
    fiar_quantise_row_mxfp4;

float fiar_amax(const float* y, int64_t count);  // a NaN there makes it NaN
float fiar_max_nan(float a, float b);            // propagates NaN
void fiar_store_code4(const fiar_all_reduce_norm_params* params, int64_t index, uint8_t code);
void fiar_store_scale(const fiar_all_reduce_norm_params* params, int64_t row, int64_t column,
                      float f32_scale, uint8_t byte_scale);

#endif  // FIAR_KERNELS_HOST_REFERENCE_H
