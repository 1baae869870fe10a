// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs every function of flow.py, fused and unfused, on integer-valued data, one process a rank.
// The sums are exact in any order, so residuals are also checked against plain arithmetic.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiar/fiar.h"

enum { TOKENS = 6, HIDDEN = 64, VALUES = TOKENS * HIDDEN, BLOCK = 16, BLOCKS = VALUES / BLOCK };
typedef enum dtype { F32, F16, BF16 } dtype_t;

// Results come after the four inputs; a function without quantisation has two, fp8 three, nvfp4
// four.
typedef fiar_status_t none_fn(const void*, const void*, const void*, const float*, void*, void*);
typedef fiar_status_t fp8_fn(const void*, const void*, const void*, const float*, void*, void*,
                             void*);
typedef fiar_status_t nvfp4_fn(const void*, const void*, const void*, const float*, void*, void*,
                               void*, void*);

// clang-format off
#define FUNCTIONS(X)                                              \
  X(F32, f32, none) X(F32, f32, fp8) X(F32, f32, nvfp4)           \
  X(F16, f16, none) X(F16, f16, fp8) X(F16, f16, nvfp4)           \
  X(BF16, bf16, none) X(BF16, bf16, fp8) X(BF16, bf16, nvfp4)
// clang-format on
#define X(DTYPE, dtype, quant) \
  quant##_fn flow_##dtype##_##quant##_fused, flow_##dtype##_##quant##_unfused;
FUNCTIONS(X)
#undef X

typedef struct results {
  uint32_t residual[VALUES], norm[VALUES];  // room for f32
  uint8_t codes[VALUES], scales[BLOCKS];
} results_t;

typedef struct inputs {
  uint32_t x[VALUES], residual[VALUES], weight[HIDDEN];
  float g;
} inputs_t;

static fiar_status_t run_none(none_fn* fn, const inputs_t* in, results_t* out) {
  return fn(in->x, in->residual, in->weight, &in->g, out->residual, out->norm);
}
static fiar_status_t run_fp8(fp8_fn* fn, const inputs_t* in, results_t* out) {
  return fn(in->x, in->residual, in->weight, &in->g, out->residual, out->norm, out->codes);
}
static fiar_status_t run_nvfp4(nvfp4_fn* fn, const inputs_t* in, results_t* out) {
  return fn(in->x, in->residual, in->weight, &in->g, out->residual, out->norm, out->codes,
            out->scales);
}

// Small integers and their quarters, which every dtype holds.
static void put(void* at, int i, dtype_t dtype, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (dtype == F32) {
    ((uint32_t*)at)[i] = bits;
  } else if (dtype == BF16) {
    ((uint16_t*)at)[i] = (uint16_t)(bits >> 16);
  } else {
    uint32_t half = value == 0 ? 0 : ((bits >> 13) & 0x3FF) | ((((bits >> 23) & 0xFF) - 112) << 10);
    ((uint16_t*)at)[i] = (uint16_t)(half | (bits >> 31 << 15));
  }
}

static int small(uint32_t a, uint32_t b, int range) {
  uint32_t bits = (a + 1) * 0x9E3779B9u ^ (b + 1) * 0x85EBCA6Bu;
  bits = (bits ^ (bits >> 15)) * 0x2C1B3C6Du;
  return (int)((bits >> 8) % (uint32_t)(2 * range + 1)) - range;
}

static int x_of(int rank, int i) {
  return i / HIDDEN == 2 ? 0 : small((uint32_t)rank, (uint32_t)i, 7);
}
static int residual_of(int i) {
  return i / HIDDEN == 2 ? 0 : small(1000, (uint32_t)i, 15);  // a row of zeros: zero scales
}

static void fill(inputs_t* in, dtype_t dtype, int rank) {
  for (int i = 0; i < VALUES; ++i) {
    put(in->x, i, dtype, (float)x_of(rank, i));
    put(in->residual, i, dtype, (float)residual_of(i));
  }
  for (int i = 0; i < HIDDEN; ++i) {
    put(in->weight, i, dtype, 1.0f + 0.25f * (float)small(2000, (uint32_t)i, 3));
  }
}

static uint32_t bits_at(const void* values, int i, dtype_t dtype) {
  return dtype == F32 ? ((const uint32_t*)values)[i] : ((const uint16_t*)values)[i];
}

static int64_t ordered(uint32_t bits, dtype_t dtype) {
  uint32_t sign = dtype == F32 ? 0x80000000u : 0x8000u;
  return bits & sign ? -(int64_t)(bits & ~sign) : (int64_t)bits;
}

static int check(const char* name, const results_t* fused, const results_t* unfused, dtype_t dtype,
                 int block, int world) {
  int bound = dtype == F16 ? 1 : 2;  // after_weight : before_weight, and f32's product order
  int few = dtype == F32 ? VALUES : VALUES / 100;  // f32 association seldom shows in half the bits
  int64_t most = 0;
  int wrong = 0, codes = 0, differing = 0;
  for (int begin = 0; begin < VALUES; begin += block) {
    int same = 1;
    for (int i = begin; i < begin + block; ++i) {
      float sum = (float)residual_of(i);
      uint32_t want[1] = {0};
      for (int r = 0; r < world; ++r) {
        sum += (float)x_of(r, i);
      }
      put(want, 0, dtype, sum);
      int64_t ulps = ordered(bits_at(fused->norm, i, dtype), dtype) -
                     ordered(bits_at(unfused->norm, i, dtype), dtype);
      most = llabs(ulps) > most ? llabs(ulps) : most;
      same = same && ulps == 0;
      differing += ulps != 0;
      wrong += bits_at(fused->residual, i, dtype) != bits_at(want, 0, dtype);
      wrong += bits_at(unfused->residual, i, dtype) != bits_at(want, 0, dtype);
    }
    int differ = memcmp(&fused->codes[begin], &unfused->codes[begin], (size_t)block) != 0 ||
                 (block == BLOCK && fused->scales[begin / BLOCK] != unfused->scales[begin / BLOCK]);
    codes += same && differ;
  }
  bool good = wrong == 0 && codes == 0 && most <= bound && differing <= few;
  if (!good) {
    printf(
        "%s: %d residuals are not the sum, %d norms differ by up to %lld ulps, %d codes without a norm\n",
        name, wrong, differing, (long long)most, codes);
  }
  return good;
}

int main(void) {
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = FIAR_DEVICE_NONE;
  fiar_comm_t* comm = NULL;
  if (fiar_comm_create_from_env(&options, &comm) != FIAR_OK ||
      fiar_rt_set_comm(0, comm) != FIAR_OK) {
    printf("no communicator: %s\n", fiar_last_error());
    return 1;
  }
  static inputs_t in;
  static results_t fused, unfused;
  int good = 0, all = 0;
  in.g = 0.75f;
#define X(DTYPE, dtype, quant)                                                      \
  fill(&in, DTYPE, fiar_comm_rank(comm));                                           \
  memset(&fused, 0, sizeof fused);                                                  \
  memset(&unfused, 0, sizeof unfused);                                              \
  ++all;                                                                            \
  if (run_##quant(flow_##dtype##_##quant##_fused, &in, &fused) != FIAR_OK ||        \
      run_##quant(flow_##dtype##_##quant##_unfused, &in, &unfused) != FIAR_OK) {    \
    printf(#dtype " " #quant ": %s\n", fiar_last_error());                          \
  } else {                                                                          \
    good += check(#dtype " " #quant, &fused, &unfused, DTYPE,                       \
                  strcmp(#quant, "nvfp4") == 0 ? BLOCK : 1, fiar_comm_world(comm)); \
  }
  FUNCTIONS(X)
#undef X
  printf("rank %d: %d of %d as documented\n", fiar_comm_rank(comm), good, all);
  (void)fiar_rt_set_comm(0, NULL);
  fiar_comm_destroy(comm);
  return good == all ? 0 : 1;
}
