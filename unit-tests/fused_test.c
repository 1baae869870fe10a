// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A fused call against the same thing composed: fiar_rt_all_reduce, then the norm and quantiser of
// a group of one. Integer data makes every sum exact, so everything is equal to the bit, whatever
// the backend's order.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <string.h>

#include "host/reference.h"
#include "ranks.h"

enum { TOKENS = 6, HIDDEN = 128, ELEMENTS = TOKENS * HIDDEN };

typedef struct outputs {
  float sum[ELEMENTS], residual[ELEMENTS], norm[ELEMENTS];
  unsigned char codes[ELEMENTS], scales[4 * ELEMENTS];
} outputs_t;

static outputs_t* outputs_of(int32_t index) {
  static outputs_t all[16];
  return &all[index];
}

static void fill_integers(void* array, uint8_t dtype, int64_t count, uint32_t seed) {
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    fiar_store(array, dtype, i, (float)((int)(seed >> 24) % 9 - 4));
  }
}

static fiar_all_reduce_norm_params call_of(uint8_t dtype, uint8_t quant, uint8_t scale_type,
                                           const float* scale, outputs_t* out) {
  return (fiar_all_reduce_norm_params){
      .struct_size = sizeof(fiar_all_reduce_norm_params),
      .scale = scale,
      .residual_out = out->residual,
      .norm_out = out->norm,
      .quant_out = quant ? out->codes : NULL,
      .scales_out = quant > FIAR_QUANT_FP8_STATIC ? out->scales : NULL,
      .tokens = TOKENS,
      .hidden = HIDDEN,
      .eps = 1e-6f,
      .group_size = quant == FIAR_QUANT_FP8_GROUP ? 32 : 0,
      .dtype = dtype,
      .weight_dtype = dtype,
      .quant = quant,
      .scale_type = scale_type,
      .norm_rounding = FIAR_NORM_ROUNDING_AFTER_WEIGHT,
  };
}

static int equals_composed(const ranks_self_t* self) {
  static const struct {
    uint8_t quant, scale_type;
    float scale;
  } formats[] = {
      {FIAR_QUANT_NONE, FIAR_SCALE_TYPE_F32, 0},
      {FIAR_QUANT_FP8_STATIC, FIAR_SCALE_TYPE_F32, 0.02f},
      {FIAR_QUANT_FP8_TOKEN, FIAR_SCALE_TYPE_F32, 0},
      {FIAR_QUANT_FP8_GROUP, FIAR_SCALE_TYPE_F32, 0},
      {FIAR_QUANT_NVFP4, FIAR_SCALE_TYPE_E4M3, 2.5f},
      {FIAR_QUANT_MXFP8, FIAR_SCALE_TYPE_UE8M0, 0},
      {FIAR_QUANT_MXFP4, FIAR_SCALE_TYPE_UE8M0, 0},
  };
  fiar_comm_t *comm, *alone;
  RANKS_OK(ranks_comm(self, &comm));
  RANKS_OK(fiar_comm_create_threads(1, NULL, NULL, &alone));
  outputs_t* fused = outputs_of(self->rank);
  outputs_t* composed = outputs_of(self->rank + 8);
  float input[ELEMENTS], residual[ELEMENTS], weight[HIDDEN];
  for (int d = FIAR_DTYPE_F16; d <= FIAR_DTYPE_F32; ++d) {
    const uint8_t dtype = (uint8_t)d;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i) {
      const float scale = formats[i].scale;
      fill_integers(input, dtype, ELEMENTS, (uint32_t)self->rank + 1);
      fill_integers(residual, dtype, ELEMENTS, 99);
      fill_integers(weight, dtype, HIDDEN, 7);
      fiar_all_reduce_norm_params p = call_of(dtype, formats[i].quant, formats[i].scale_type,
                                              scale != 0 ? &scale : NULL, fused);
      p.input = input;
      p.residual = residual;
      p.weight = weight;
      p.sum_out = fused->sum;
      RANKS_OK(fiar_rt_all_reduce_norm(comm, &p, NULL));
      RANKS_OK(fiar_rt_all_reduce(comm, 0, input, composed->sum, TOKENS, HIDDEN, dtype, NULL));
      p = call_of(dtype, formats[i].quant, formats[i].scale_type, scale != 0 ? &scale : NULL,
                  composed);
      p.input = composed->sum;
      p.residual = residual;
      p.weight = weight;
      RANKS_OK(fiar_rt_all_reduce_norm(alone, &p, NULL));
      RANKS_CHECK(memcmp((void*)fused, (void*)composed, sizeof *fused) == 0, "dtype %u, format %zu",
                  dtype, i);
    }
  }
  fiar_comm_destroy(alone);
  if (!self->comm) {
    fiar_comm_destroy(comm);
  }
  return 0;
}

static void run_on(int32_t world, int threads) {
  const ranks_run_t run = {.body = "equals_composed", .world = world, .threads = threads};
  assert_int_equal(ranks_run(&run, NULL), 0);
}

static void fused_equals_composed_on_processes(void** state) {
  (void)state;
  run_on(2, 0);
  run_on(3, 0);
  run_on(4, 0);
  run_on(8, 0);
}

static void fused_equals_composed_on_threads(void** state) {
  (void)state;
  run_on(1, 1);
  run_on(2, 1);
  run_on(8, 1);
}

int main(void) {
  static const ranks_body_t bodies[] = {RANKS_BODY(equals_composed)};
  ranks_main(bodies, 1);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fused_equals_composed_on_processes),
      cmocka_unit_test(fused_equals_composed_on_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
