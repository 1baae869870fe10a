// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <math.h>
#include <string.h>

#include "host/reference.h"

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// A binary format with `mantissa` explicit bits: nearest, ties to even, for a magnitude >= 0. Codes
// count up with the value, across the subnormals too, so a carry out of the mantissa lands on the
// right code.
static uint32_t encode(float magnitude, int mantissa, int bias, uint32_t largest_code) {
  if (isinf(magnitude)) {
    return largest_code;
  }
  int exponent = 1 - bias;
  if (magnitude > 0) {
    int above;
    (void)frexpf(magnitude, &above);  // magnitude in [2^(above-1), 2^above)
    exponent = above - 1 > exponent ? above - 1 : exponent;
  }
  // Scaling by a power of two is exact, so this is the only rounding.
  uint32_t units = (uint32_t)nearbyintf(ldexpf(magnitude, mantissa - exponent));
  uint32_t code = ((uint32_t)(exponent + bias) << mantissa) + units - (1u << mantissa);
  return code < largest_code ? code : largest_code;
}

static float decode(uint32_t code, int mantissa, int bias) {
  uint32_t field = code >> mantissa;
  uint32_t units = code & ((1u << mantissa) - 1);
  if (field == 0) {
    return ldexpf((float)units, 1 - bias - mantissa);
  }
  return ldexpf((float)(units + (1u << mantissa)), (int)field - bias - mantissa);
}

float fiar_f16_to_f32(uint16_t bits) {
  uint32_t code = bits & 0x7FFF;
  if (code > 0x7C00) {
    return float_of(0x7FFFFFFF);
  }
  float magnitude = code == 0x7C00 ? INFINITY : decode(code, 10, 15);
  return bits & 0x8000 ? -magnitude : magnitude;
}

uint16_t fiar_f32_to_f16(float value) {
  if (isnan(value)) {
    return 0x7FFF;
  }
  uint32_t sign = signbit(value) ? 0x8000 : 0;
  return (uint16_t)(sign | encode(fabsf(value), 10, 15, 0x7C00));
}

float fiar_bf16_to_f32(uint16_t bits) {
  return float_of((uint32_t)bits << 16);
}

uint16_t fiar_f32_to_bf16(float value) {
  if (isnan(value)) {
    return 0x7FFF;
  }
  uint32_t sign = signbit(value) ? 0x8000 : 0;
  return (uint16_t)(sign | encode(fabsf(value), 7, 127, 0x7F80));
}

float fiar_e4m3_to_f32(uint8_t bits) {
  uint32_t code = bits & 0x7F;
  if (code == 0x7F) {
    return float_of(0x7FFFFFFF);
  }
  float magnitude = decode(code, 3, 7);
  return bits & 0x80 ? -magnitude : magnitude;
}

uint8_t fiar_f32_to_e4m3(float value) {
  if (isnan(value)) {
    return 0x7F;
  }
  uint32_t sign = signbit(value) ? 0x80 : 0;
  return (uint8_t)(sign | encode(fabsf(value), 3, 7, 0x7E));
}

float fiar_e5m2_to_f32(uint8_t bits) {
  uint32_t code = bits & 0x7F;
  if (code > 0x7C) {
    return float_of(0x7FFFFFFF);
  }
  float magnitude = code == 0x7C ? INFINITY : decode(code, 2, 15);
  return bits & 0x80 ? -magnitude : magnitude;
}

uint8_t fiar_f32_to_e5m2(float value) {
  if (isnan(value)) {
    return 0x7F;
  }
  uint32_t sign = signbit(value) ? 0x80 : 0;
  return (uint8_t)(sign | encode(fabsf(value), 2, 15, 0x7B));
}

float fiar_e2m1_to_f32(uint8_t bits) {
  float magnitude = decode(bits & 0x7, 1, 1);
  return bits & 0x8 ? -magnitude : magnitude;
}

uint8_t fiar_f32_to_e2m1(float value) {
  if (isnan(value)) {
    return 0x7;
  }
  uint32_t sign = signbit(value) ? 0x8 : 0;
  return (uint8_t)(sign | encode(fabsf(value), 1, 1, 0x7));
}

float fiar_ue8m0_to_f32(uint8_t bits) {
  return bits == 255 ? float_of(0x7FFFFFFF) : ldexpf(1.0f, (int)bits - 127);
}

size_t fiar_dtype_bytes(uint8_t dtype) {
  static const uint8_t bytes_of[] = {
#define X(name, value, text, bytes) [value] = (bytes),
      FIAR_DTYPE_TABLE(X)
#undef X
  };
  return dtype < sizeof bytes_of ? bytes_of[dtype] : 0;
}

float fiar_load(const void* array, uint8_t dtype, int64_t index) {
  switch (dtype) {
    case FIAR_DTYPE_F16:
      return fiar_f16_to_f32(((const uint16_t*)array)[index]);
    case FIAR_DTYPE_BF16:
      return fiar_bf16_to_f32(((const uint16_t*)array)[index]);
    default:
      return ((const float*)array)[index];
  }
}

void fiar_store(void* array, uint8_t dtype, int64_t index, float value) {
  switch (dtype) {
    case FIAR_DTYPE_F16:
      ((uint16_t*)array)[index] = fiar_f32_to_f16(value);
      break;
    case FIAR_DTYPE_BF16:
      ((uint16_t*)array)[index] = fiar_f32_to_bf16(value);
      break;
    default:
      ((uint32_t*)array)[index] = isnan(value) ? 0x7FFFFFFF : bits_of(value);
  }
}

float fiar_rounded(float value, uint8_t dtype) {
  float room;
  fiar_store(&room, dtype, 0, value);
  return fiar_load(&room, dtype, 0);
}

// ---- The wider set of types ----

int fiar_element_bits(uint8_t element) {
  static const uint8_t bits_of[] = {
#define X(name, value, text, bits) [value] = (bits),
      FIAR_ELEMENT_TABLE(X)
#undef X
  };
  return element < sizeof bits_of ? bits_of[element] : 0;
}

float fiar_load_element(const void* array, uint8_t element, int64_t index) {
  const uint8_t* codes = array;
  switch (element) {
    case FIAR_ELEMENT_E4M3:
      return fiar_e4m3_to_f32(codes[index]);
    case FIAR_ELEMENT_E5M2:
      return fiar_e5m2_to_f32(codes[index]);
    case FIAR_ELEMENT_E2M1:
      return fiar_e2m1_to_f32((uint8_t)(codes[index / 2] >> index % 2 * 4));
    default:
      return fiar_load(array, element, index);
  }
}

void fiar_store_element(void* array, uint8_t element, int64_t index, float value) {
  uint8_t* codes = array;
  switch (element) {
    case FIAR_ELEMENT_E4M3:
      codes[index] = fiar_f32_to_e4m3(value);
      break;
    case FIAR_ELEMENT_E5M2:
      codes[index] = fiar_f32_to_e5m2(value);
      break;
    default:
      fiar_store(array, element, index, value);
  }
}
