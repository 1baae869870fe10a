// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// exp(x) in f32, the same bits on the host and on the device. Within 1 ulp
// (unit-tests/block_test.c). Internal.
#ifndef FIAR_EXP_H
#define FIAR_EXP_H

#include "shared.h"

// x = n ln 2 + r with |r| <= ln 2 / 2; exp(r) by its series up to r^7, what is left out is below a
// tenth of an ulp. 2^n in two factors, so that the last product alone over- or underflows.
FIAR_SHARED_FN float fiar_exp(float x) {
  if (x != x || x > 89.0f) {
    return x + INFINITY;
  }
  if (x < -104.0f) {
    return 0.0f;
  }
  const float n = rintf(FIAR_MUL(x, 0x1.715476p+0f));
  float r = FIAR_FMA(n, -0x1.62e4p-1f, x);  // n times the first part of ln 2 is exact
  r = FIAR_FMA(n, -0x1.7f7d1cp-20f, r);
  float p = 0x1.a01a02p-13f;  // 1 / 7!
  p = FIAR_FMA(p, r, 0x1.6c16c2p-10f);
  p = FIAR_FMA(p, r, 0x1.111112p-7f);
  p = FIAR_FMA(p, r, 0x1.555556p-5f);
  p = FIAR_FMA(p, r, 0x1.555556p-3f);
  p = FIAR_FMA(p, r, 0.5f);
  p = FIAR_FMA(p, r, 1.0f);
  p = FIAR_FMA(p, r, 1.0f);
  const int power = (int)n, half = power / 2;
  return FIAR_MUL(FIAR_MUL(p, FIAR_POWER_OF_2(half)), FIAR_POWER_OF_2(power - half));
}

#endif  // FIAR_EXP_H
