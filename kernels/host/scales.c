// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Where codes and scales lie, and how many bytes they take: docs/numerics.md, "Scale layouts".
#include <math.h>
#include <string.h>

#include "host/reference.h"

static const struct {
  int bits, block;
} formats[] = {
#define X(name, value, text, bits, block) [value] = {bits, block},
#include "fiar/quant_formats.def"
#undef X
};

static int64_t up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

int64_t fiar_quant_block(const fiar_all_reduce_norm_params* params) {
  int block = formats[params->quant].block;
  return block == -1 ? params->hidden : block == -2 ? params->group_size : block;
}

static int64_t scale_columns(const fiar_all_reduce_norm_params* params) {
  return params->hidden / fiar_quant_block(params);
}

size_t fiar_reference_codes_bytes(const fiar_all_reduce_norm_params* params) {
  return (size_t)(params->tokens * params->hidden * formats[params->quant].bits / 8);
}

size_t fiar_reference_scales_bytes(const fiar_all_reduce_norm_params* params) {
  if (fiar_quant_block(params) == 0) {
    return 0;
  }
  int64_t rows = params->tokens, columns = scale_columns(params);
  int64_t bytes = params->scale_type == FIAR_SCALE_TYPE_F32 ? 4 : 1;
  switch (params->scale_layout) {
    case FIAR_SCALE_LAYOUT_SWIZZLED_128X4:
      return (size_t)(up(rows, 128) * up(columns, 4));
    case FIAR_SCALE_LAYOUT_SWIZZLED_8X4:
      return (size_t)(up(rows, 8) * up(columns, 4));
    case FIAR_SCALE_LAYOUT_COLUMN_MAJOR:
      return (size_t)(up(rows, 4) * (bytes == 4 ? 4 * columns : up(columns, 4)));
    default:
      return (size_t)(rows * columns * bytes);
  }
}

size_t fiar_scale_offset(const fiar_all_reduce_norm_params* params, int64_t row, int64_t column) {
  int64_t rows = params->tokens, columns = scale_columns(params);
  int64_t bytes = params->scale_type == FIAR_SCALE_TYPE_F32 ? 4 : 1;
  switch (params->scale_layout) {
    case FIAR_SCALE_LAYOUT_SWIZZLED_128X4:
      return (size_t)(row / 128 * 128 * up(columns, 4) + column / 4 * 512 + row % 32 * 16 +
                      row % 128 / 32 * 4 + column % 4);
    case FIAR_SCALE_LAYOUT_SWIZZLED_8X4:
      return (size_t)(row / 8 * 8 * up(columns, 4) + column / 4 * 32 + row % 8 * 4 + column % 4);
    case FIAR_SCALE_LAYOUT_COLUMN_MAJOR:
      if (bytes == 4) {
        return (size_t)(4 * (column * up(rows, 4) + row));
      }
      return (size_t)(4 * (column / 4 * up(rows, 4) + row) + column % 4);
    default:
      return (size_t)(bytes * (row * columns + column));
  }
}

void fiar_store_scale(const fiar_all_reduce_norm_params* params, int64_t row, int64_t column,
                      float f32_scale, uint8_t byte_scale) {
  if (!params->scales_out) {
    return;
  }
  unsigned char* at = (unsigned char*)params->scales_out + fiar_scale_offset(params, row, column);
  if (params->scale_type == FIAR_SCALE_TYPE_F32) {
    fiar_store(at, FIAR_DTYPE_F32, 0, f32_scale);
  } else {
    *at = byte_scale;
  }
}

void fiar_store_code4(const fiar_all_reduce_norm_params* params, int64_t index, uint8_t code) {
  if (!params->quant_out) {
    return;
  }
  uint8_t* byte = (uint8_t*)params->quant_out + index / 2;
  const unsigned low = index % 2 == 0 ? code : *byte;  // elements come in order
  *byte = (uint8_t)(index % 2 == 0 ? low : low | (unsigned)code << 4);
}

float fiar_max_nan(float a, float b) {
  return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

float fiar_amax(const float* y, int64_t count) {
  float amax = 0;
  for (int64_t i = 0; i < count; ++i) {
    amax = fiar_max_nan(amax, fabsf(y[i]));
  }
  return amax;
}
