// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The activations of fiar_rt_activate, by the same IEEE operations on the host and on the device.
// Internal. The file that includes it defines before:
//   FIAR_ROUND_TO(value, element)   the value rounded to a fiar_element_t that is a float
//
// docs/numerics.md has each step by step. `each` is the type that
// every step is rounded to (FIAR_ELEMENT_F32: none but f32's own).
#ifndef FIAR_ACTIVATION_H
#define FIAR_ACTIVATION_H

#include "exp.h"
#include "fiar/types.h"

#if defined(__CUDACC__)
#define FIAR_ACT_ADD(a, b) __fadd_rn(a, b)
#define FIAR_ACT_DIV(a, b) __fdiv_rn(a, b)
#else
#define FIAR_ACT_ADD(a, b) ((a) + (b))
#define FIAR_ACT_DIV(a, b) ((a) / (b))
#endif

// Within 2 ulp. Below 0.6 a polynomial in x^2, whose error is below a tenth of an ulp; above,
// 1 - 2 / (exp(2 |x|) + 1).
FIAR_SHARED_FN float fiar_tanh(float x) {
  const float a = fabsf(x), z = FIAR_MUL(x, x);
  if (a < 0.6f) {
    float p = -0x1.830baap-8f;
    p = FIAR_FMA(p, z, 0x1.54e006p-6f);
    p = FIAR_FMA(p, z, -0x1.b89ed6p-5f);
    p = FIAR_FMA(p, z, 0x1.1109dcp-3f);
    p = FIAR_FMA(p, z, -0x1.55553ep-2f);
    return copysignf(FIAR_FMA(FIAR_MUL(p, z), a, a), x);
  }
  const float e = fiar_exp(FIAR_MUL(2.0f, a));
  return copysignf(FIAR_ACT_ADD(1.0f, -FIAR_ACT_DIV(2.0f, FIAR_ACT_ADD(e, 1.0f))), x);
}

// Within 8 ulp down to the smallest normal number. Near 0 it is 1 - x P(x^2); beyond, exp(-x^2)
// times a polynomial in 1 / (1 + |x|), with what squaring x loses put back; 2 - erfc(-x) below 0.
FIAR_SHARED_FN float fiar_erfc(float x) {
  const float a = fabsf(x), h = FIAR_MUL(x, x);
  if (a < 0.5f) {
    float p = -0x1.8b248p-11f;
    p = FIAR_FMA(p, h, 0x1.542ce4p-8f);
    p = FIAR_FMA(p, h, -0x1.b8176ep-6f);
    p = FIAR_FMA(p, h, 0x1.ce2ec2p-4f);
    p = FIAR_FMA(p, h, -0x1.812746p-2f);
    p = FIAR_FMA(p, h, 0x1.20dd76p+0f);
    return FIAR_ACT_ADD(1.0f, -FIAR_MUL(x, p));
  }
  if (x != x || a > 10.2f) {
    return x != x ? x : x > 0 ? 0.0f : 2.0f;
  }
  const float s = FIAR_ACT_DIV(1.0f, FIAR_ACT_ADD(1.0f, a)), v = FIAR_ACT_ADD(s, -0.375f);
  float q = 0x1.d567b6p+0f;
  q = FIAR_FMA(q, v, -0x1.ca9c88p+0f);
  q = FIAR_FMA(q, v, 0x1.e29c4p-7f);
  q = FIAR_FMA(q, v, 0x1.fe6a72p-1f);
  q = FIAR_FMA(q, v, -0x1.82922cp-1f);
  q = FIAR_FMA(q, v, -0x1.a28432p-6f);
  q = FIAR_FMA(q, v, 0x1.1293eap-1f);
  q = FIAR_FMA(q, v, -0x1.6a84b2p-2f);
  q = FIAR_FMA(q, v, -0x1.3039bep-2f);
  q = FIAR_FMA(q, v, 0x1.1fd6a0p-1f);
  q = FIAR_FMA(q, v, 0x1.9487fap-1f);
  const float low = FIAR_FMA(a, a, -h), e = fiar_exp(-h);
  const float tail = FIAR_MUL(FIAR_FMA(-e, low, e), FIAR_MUL(q, s));
  return x > 0 ? tail : FIAR_ACT_ADD(2.0f, -tail);
}

FIAR_SHARED_FN float fiar_act_silu(float x, uint8_t each) {
  float value = FIAR_ROUND_TO(fiar_exp(-x), each);
  value = FIAR_ROUND_TO(FIAR_ACT_ADD(1.0f, value), each);
  value = FIAR_ROUND_TO(FIAR_ACT_DIV(1.0f, value), each);
  return FIAR_MUL(x, value);
}

FIAR_SHARED_FN float fiar_act_gelu_tanh(float x, uint8_t each) {
  const float cubic = FIAR_ROUND_TO(0.044715f, each), root = FIAR_ROUND_TO(0.7978845608f, each);
  float value = FIAR_ROUND_TO(FIAR_MUL(x, x), each);
  value = FIAR_ROUND_TO(FIAR_MUL(value, x), each);
  value = FIAR_ROUND_TO(FIAR_MUL(cubic, value), each);
  value = FIAR_ROUND_TO(FIAR_ACT_ADD(x, value), each);
  value = FIAR_ROUND_TO(FIAR_MUL(root, value), each);
  value = FIAR_ROUND_TO(fiar_tanh(value), each);
  value = FIAR_ROUND_TO(FIAR_ACT_ADD(1.0f, value), each);
  return FIAR_MUL(x, FIAR_ROUND_TO(FIAR_MUL(0.5f, value), each));
}

FIAR_SHARED_FN float fiar_act_gelu(float x, uint8_t each) {
  const float root = FIAR_ROUND_TO(0.70710678118f, each);
  const float half = FIAR_ROUND_TO(FIAR_MUL(0.5f, x), each);
  const float value = FIAR_ROUND_TO(FIAR_MUL(-x, root), each);
  return FIAR_MUL(half, FIAR_ROUND_TO(fiar_erfc(value), each));
}

FIAR_SHARED_FN float fiar_act_none(float x, uint8_t each) {
  (void)each;
  return x;
}

// The value that is combined with up's: rounded to `type` (the inputs') where `rounding` says so.
FIAR_SHARED_FN float fiar_activated(float x, uint8_t activation, uint8_t rounding, uint8_t type) {
  const uint8_t each = rounding == FIAR_ACT_ROUNDING_EACH ? type : (uint8_t)FIAR_ELEMENT_F32;
  float value = activation == FIAR_ACTIVATION_SILU        ? fiar_act_silu(x, each)
                : activation == FIAR_ACTIVATION_GELU_TANH ? fiar_act_gelu_tanh(x, each)
                : activation == FIAR_ACTIVATION_GELU      ? fiar_act_gelu(x, each)
                                                          : fiar_act_none(x, each);
  return rounding == FIAR_ACT_ROUNDING_NONE ? value : FIAR_ROUND_TO(value, type);
}

FIAR_SHARED_FN float fiar_combined(float value, float up, uint8_t combine) {
  return combine == FIAR_COMBINE_MUL   ? FIAR_MUL(value, up)
         : combine == FIAR_COMBINE_ADD ? FIAR_ACT_ADD(value, up)
                                       : value;
}

#endif  // FIAR_ACTIVATION_H
