// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-check rounds with arithmetic of its own; the reference's conversions are slow and plain.
// Both agree on every value of each small type, halfway between neighbours, and beside both.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <math.h>

#include "check/tensor.h"
#include "host/reference.h"

static double to_f16(float number) {
  return fiar_f16_to_f32(fiar_f32_to_f16(number));
}
static double to_bf16(float number) {
  return fiar_bf16_to_f32(fiar_f32_to_bf16(number));
}
// The IR's conversion overflows to NaN where the reference's saturates.
static double to_e4m3(float number) {
  return fabsf(number) > 464 ? NAN : fiar_e4m3_to_f32(fiar_f32_to_e4m3(number));
}
static double to_e2m1(float number) {
  return isnan(number) ? NAN : fiar_e2m1_to_f32(fiar_f32_to_e2m1(number));
}

static float of_f16(uint32_t code) {
  return fiar_f16_to_f32((uint16_t)code);
}
static float of_bf16(uint32_t code) {
  return fiar_bf16_to_f32((uint16_t)code);
}
static float of_e4m3(uint32_t code) {
  return fiar_e4m3_to_f32((uint8_t)code);
}
static float of_e2m1(uint32_t code) {
  return fiar_e2m1_to_f32((uint8_t)code);
}

static const struct {
  FiarElement elem;
  uint32_t codes;  // those from 0 to the largest value
  double (*rounded)(float);
  float (*value)(uint32_t code);
} formats[] = {{FIAR_ELEM_F16, 0x7C01, to_f16, of_f16},
               {FIAR_ELEM_BF16, 0x7F81, to_bf16, of_bf16},
               {FIAR_ELEM_F8E4M3FN, 0x7F, to_e4m3, of_e4m3},
               {FIAR_ELEM_F4E2M1FN, 8, to_e2m1, of_e2m1}};
enum { FORMATS = sizeof formats / sizeof *formats };

static void same(int format, float number) {
  const double ours = fiarElementRound(formats[format].elem, (double)number);
  const double reference = formats[format].rounded(number);
  if (!(isnan(ours) && isnan(reference)) &&
      !(ours == reference && !signbit(ours) == !signbit(reference))) {
    fail_msg("%s: %a becomes %a, and by the reference %a", fiarElementText(formats[format].elem),
             (double)number, ours, reference);
  }
}

static void same_around(int format, float number) {
  const float around[] = {nextafterf(number, 0), number, nextafterf(number, INFINITY)};
  for (size_t i = 0; i < sizeof around / sizeof *around; ++i) {
    same(format, around[i]);
    same(format, -around[i]);
  }
}

static void every_value_and_tie_rounds_as_the_reference_does(void** state) {
  (void)state;
  for (int format = 0; format < FORMATS; ++format) {
    for (uint32_t code = 0; code + 1 < formats[format].codes; ++code) {
      const float low = formats[format].value(code), high = formats[format].value(code + 1);
      same_around(format, low);
      same_around(format, isinf(high) ? low : low + (high - low) / 2);
    }
  }
}

static void what_is_out_of_range_does_as_the_reference_does(void** state) {
  (void)state;
  static const float numbers[] = {5.5f,        6.5f,
                                  7,           447,
                                  448,         449,
                                  463.99f,     464,
                                  464.1f,      480,
                                  65503,       65504,
                                  65519,       65520,
                                  65521,       0x1p16f,
                                  0x1p120f,    0x1.FEp127f,
                                  0x1p-149f,   0x1.FEFFFEp127f,
                                  0x1.FFp127f, 0x1.FFFFFEp127f,
                                  INFINITY,    NAN};
  for (int format = 0; format < FORMATS; ++format) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
      same(format, numbers[i]);
      same(format, -numbers[i]);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_value_and_tie_rounds_as_the_reference_does),
      cmocka_unit_test(what_is_out_of_range_does_as_the_reference_does),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
