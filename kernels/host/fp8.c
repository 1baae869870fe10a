// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fp8_static, fp8_token and fp8_group: docs/numerics.md has the formulas.
#include <math.h>
#include <stdbool.h>

#include "host/reference.h"

static void store_codes(const float* y, int64_t first, int64_t count, float scale,
                        const fiar_all_reduce_norm_params* params) {
  if (!params->quant_out) {
    return;
  }
  uint8_t* codes = (uint8_t*)params->quant_out + first;
  bool divide = params->scale_is == FIAR_SCALE_IS_DIVISOR;
  float factor = params->quant == FIAR_QUANT_FP8_STATIC ? scale : 1 / scale;
  for (int64_t i = 0; i < count; ++i) {
    codes[i] = fiar_f32_to_e4m3(divide ? y[i] / scale : y[i] * factor);
  }
}

// 2^ceil(log2(scale)) within 2^-127 .. 2^127.
static uint8_t power_of_two_above(float scale) {
  if (isnan(scale)) {
    return 255;
  }
  if (isinf(scale)) {
    return 254;
  }
  if (scale == 0) {
    return 0;
  }
  int exponent;
  float fraction = frexpf(scale, &exponent);  // scale = fraction * 2^exponent, fraction in [0.5, 1)
  exponent -= fraction == 0.5f;
  return (uint8_t)(exponent < -127 ? 0 : exponent > 127 ? 254 : exponent + 127);
}

static void quantise_block(const float* y, int64_t row, int64_t column, int64_t block,
                           const fiar_all_reduce_norm_params* params) {
  float scale = fiar_max_nan(fiar_amax(y, block) / 448.0f, params->scale_min);
  uint8_t byte = 0;
  if (params->scale_type == FIAR_SCALE_TYPE_UE8M0) {
    byte = power_of_two_above(scale);
    scale = fiar_ue8m0_to_f32(byte);
  }
  fiar_store_scale(params, row, column, scale, byte);
  store_codes(y, row * params->hidden + column * block, block, scale, params);
}

void fiar_quantise_row_fp8_static(const float* y, int64_t row,
                                  const fiar_all_reduce_norm_params* params) {
  store_codes(y, row * params->hidden, params->hidden, params->scale ? *params->scale : 1.0f,
              params);
}

void fiar_quantise_row_fp8_token(const float* y, int64_t row,
                                 const fiar_all_reduce_norm_params* params) {
  quantise_block(y, row, 0, params->hidden, params);
}

void fiar_quantise_row_fp8_group(const float* y, int64_t row,
                                 const fiar_all_reduce_norm_params* params) {
  int64_t block = params->group_size;
  for (int64_t column = 0; column < params->hidden / block; ++column) {
    quantise_block(y + column * block, row, column, block, params);
  }
}
