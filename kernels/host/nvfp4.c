// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// nvfp4: e2m1 codes in blocks of 16 with an e4m3 scale, under one f32 scale. docs/numerics.md has
// the formulas.
#include "host/reference.h"

enum { BLOCK = 16 };

static void quantise_block(const float* y, float global, int64_t row, int64_t column,
                           const fiar_all_reduce_norm_params* params) {
  int multiplies = params->scale_is == FIAR_SCALE_IS_MULTIPLIER;
  float z[BLOCK];
  for (int i = 0; i < BLOCK; ++i) {
    z[i] = multiplies ? y[i] : y[i] / global;
  }
  float wanted = fiar_max_nan(fiar_amax(z, BLOCK) / 6.0f, params->scale_min);
  uint8_t byte = fiar_f32_to_e4m3(multiplies ? global * wanted : wanted);
  float scale = fiar_e4m3_to_f32(byte);
  fiar_store_scale(params, row, column, scale, byte);
  for (int i = 0; i < BLOCK; ++i) {
    uint8_t code = 0;
    if (scale != 0) {
      code = fiar_f32_to_e2m1(multiplies ? z[i] * (global / scale) : z[i] / scale);
    }
    fiar_store_code4(params, row * params->hidden + column * BLOCK + i, code);
  }
}

void fiar_quantise_row_nvfp4(const float* y, int64_t row,
                             const fiar_all_reduce_norm_params* params) {
  float global = params->scale ? *params->scale : 1.0f;
  for (int64_t column = 0; column < params->hidden / BLOCK; ++column) {
    quantise_block(y + column * BLOCK, global, row, column, params);
  }
}
