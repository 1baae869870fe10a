// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Activations with what they are combined with, and copies: docs/numerics.md, "The ops around the
// fused call".
#include <stdbool.h>
#include <string.h>

#include "host/reference.h"

#define FIAR_ROUND_TO(value, element) fiar_rounded(value, element)
#include "activation.h"

void fiar_reference_activate(const fiar_activate_params* params) {
  const float scale = params->scale ? *params->scale : 1.0f;
  for (int64_t row = 0; row < params->rows; ++row) {
    for (int64_t col = 0; col < params->cols; ++col) {
      const float gate = fiar_load(params->gate, params->dtype, row * params->gate_stride + col);
      const float up =
          params->up ? fiar_load(params->up, params->dtype, row * params->up_stride + col) : 0;
      float value = fiar_activated(gate, params->activation, params->rounding, params->dtype);
      value = fiar_rounded(fiar_combined(value, up, params->combine), params->out_dtype);
      if (params->out) {
        fiar_store(params->out, params->out_dtype, row * params->out_stride + col, value);
      }
      if (params->quant_out) {
        const bool divides = params->scale_is == FIAR_SCALE_IS_DIVISOR;
        ((uint8_t*)params->quant_out)[row * params->cols + col] =
            fiar_f32_to_e4m3(divides ? value / scale : value * scale);
      }
    }
  }
}

fiar_all_reduce_norm_params fiar_reference_copy_scales(const fiar_copy_params* params) {
  enum { BLOCK = 32 };  // MXFP8's
  const bool transposed = params->transposed != 0;
  return (fiar_all_reduce_norm_params){
      .tokens = transposed ? params->cols : params->rows,
      .hidden = BLOCK * (transposed ? params->rows : params->cols),
      .quant = FIAR_QUANT_MXFP8,
      .scale_type = FIAR_SCALE_TYPE_UE8M0,
      .scale_layout = params->out_layout,
  };
}

static void copy_scales(const fiar_copy_params* params) {
  const fiar_all_reduce_norm_params scales = fiar_reference_copy_scales(params);
  unsigned char* out = params->out;
  memset(out, 0, fiar_reference_scales_bytes(&scales));
  for (int64_t row = 0; row < params->rows; ++row) {
    for (int64_t col = 0; col < params->cols; ++col) {
      const size_t to = params->transposed ? fiar_scale_offset(&scales, col, row)
                                           : fiar_scale_offset(&scales, row, col);
      out[to] = ((const unsigned char*)params->input)[row * params->input_stride + col];
    }
  }
}

void fiar_reference_copy(const fiar_copy_params* params) {
  if (params->out_layout != FIAR_SCALE_LAYOUT_LINEAR) {
    copy_scales(params);
    return;
  }
  const size_t bits = (size_t)fiar_element_bits(params->in_dtype), bytes = bits / 8;
  const bool same = params->in_dtype == params->out_dtype;
  for (int64_t row = 0; row < params->rows; ++row) {
    const int64_t in = row * params->input_stride, out = row * params->out_stride;
    if (same && !params->transposed) {
      memcpy((char*)params->out + (size_t)out * bits / 8,
             (const char*)params->input + (size_t)in * bits / 8, (size_t)params->cols * bits / 8);
      continue;
    }
    for (int64_t col = 0; col < params->cols; ++col) {
      const int64_t to = params->transposed ? col * params->out_stride + row : out + col;
      if (same) {
        memcpy((char*)params->out + (size_t)to * bytes,
               (const char*)params->input + (size_t)(in + col) * bytes, bytes);
      } else {
        fiar_store_element(params->out, params->out_dtype, to,
                           fiar_load_element(params->input, params->in_dtype, in + col));
      }
    }
  }
}
