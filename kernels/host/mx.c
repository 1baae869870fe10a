// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// mxfp8 and mxfp4: blocks of 32 under a power of two, by OCP Microscaling Formats 1.0, section 6.3.
#include <math.h>

#include "host/reference.h"

enum { BLOCK = 32 };

// floor(log2(amax)) less the exponent of the element type's largest value, within -127 .. 127,
// biased.
static uint8_t shared_exponent(float amax, int largest_exponent) {
  if (isnan(amax)) {
    return 255;
  }
  if (isinf(amax)) {
    return 254;
  }
  if (amax == 0) {
    return 0;
  }
  int above;
  (void)frexpf(amax, &above);
  int exponent = above - 1 - largest_exponent;
  return (uint8_t)(exponent < -127 ? 0 : exponent + 127);
}

static void quantise_row(const float* y, int64_t row, const fiar_all_reduce_norm_params* params,
                         int largest_exponent) {
  for (int64_t column = 0; column < params->hidden / BLOCK; ++column) {
    const float* block = y + column * BLOCK;
    uint8_t byte = shared_exponent(fiar_amax(block, BLOCK), largest_exponent);
    float scale = fiar_ue8m0_to_f32(byte);
    fiar_store_scale(params, row, column, scale, byte);
    for (int64_t i = 0; i < BLOCK; ++i) {
      int64_t index = row * params->hidden + column * BLOCK + i;
      float value = block[i] / scale;
      if (params->quant == FIAR_QUANT_MXFP4) {
        fiar_store_code4(params, index, fiar_f32_to_e2m1(value));
      } else if (params->quant_out) {
        ((uint8_t*)params->quant_out)[index] = fiar_f32_to_e4m3(value);
      }
    }
  }
}

void fiar_quantise_row_mxfp8(const float* y, int64_t row,
                             const fiar_all_reduce_norm_params* params) {
  quantise_row(y, row, params, 8);  // 448 = 1.75 * 2^8
}

void fiar_quantise_row_mxfp4(const float* y, int64_t row,
                             const fiar_all_reduce_norm_params* params) {
  quantise_row(y, row, params, 2);  // 6 = 1.5 * 2^2
}
