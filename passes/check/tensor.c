// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "check/tensor.h"

#include <math.h>

bool fiarElementKnown(FiarElement elem) {
  return elem != FIAR_ELEM_OTHER && elem != FIAR_ELEM_F8OTHER;
}

// The nearest power of two; a tie goes to the even code, as in every other format.
static double round_to_e8m0(double number) {
  if (!(number > 0) || isinf(number)) {
    return number == 0 ? ldexp(1, -127) : NAN;
  }
  int exponent;
  double mantissa = frexp(number, &exponent) * 2;  // 1 <= mantissa < 2
  exponent -= 1;
  bool up = mantissa > 1.5 || (mantissa == 1.5 && ((exponent + 127) & 1));
  exponent += up;
  return ldexp(1, exponent < -127 ? -127 : exponent > 127 ? 127 : exponent);
}

double fiarElementRoundOther(FiarElement elem, double number) {
  switch (elem) {
    case FIAR_ELEM_F8E4M3FN:
      return fabs(number) > 464 ? NAN : fiarRoundBits((float)number, 4, -9);
    case FIAR_ELEM_F4E2M1FN: {
      // It has no NaN: which code becomes of one is the compiler's choice (FIAR_OPEN_CODES).
      const double rounded = fiarRoundBits((float)number, 2, -1);
      return fabs(rounded) > 6 ? copysign(6, rounded) : rounded;
    }
    case FIAR_ELEM_F8E8M0FNU:
      return round_to_e8m0(number);
    case FIAR_ELEM_INTEGER:
      return trunc(number);
    default:
      return number;
  }
}

void fiarShapeStrides(const FiarShape* shape, int64_t* out_strides) {
  int64_t stride = 1;
  for (int i = shape->rank - 1; i >= 0; --i) {
    out_strides[i] = stride;
    stride *= shape->size[i];
  }
}
