// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs the chain of chain.py with its residuals whole and sharded, one process a rank: every bit of
// every result must agree. TOKENS comes from the command line of the compiler.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fiar/fiar.h"

enum { HIDDEN = 64, VALUES = TOKENS * HIDDEN };

typedef fiar_status_t chain_fn(const uint16_t* x, const uint16_t* residual, const uint16_t* weight,
                               const float* scale, uint16_t* residual_out, uint16_t* norm,
                               uint8_t* codes);
chain_fn chain_whole, chain_sharded;

typedef struct results {
  uint16_t residual[VALUES], norm[VALUES];
  uint8_t codes[VALUES];
} results_t;

static uint16_t bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)(bits >> 16);
}

// A number in -4 .. 4 from two indices.
static float number(uint32_t a, uint32_t b) {
  uint32_t bits = (a + 1) * 0x9E3779B9u ^ (b + 1) * 0x85EBCA6Bu;
  bits = (bits ^ (bits >> 15)) * 0x2C1B3C6Du;
  return (float)(bits >> 8) / (float)(1 << 21) - 4.0f;
}

static int run(chain_fn* chain, int rank, results_t* out) {
  static uint16_t x[VALUES], residual[VALUES], weight[HIDDEN];
  const float scale = 0.03125f;
  for (uint32_t i = 0; i < VALUES; ++i) {
    x[i] = bf16(number((uint32_t)rank, i));
    residual[i] = bf16(number(1000, i));
    weight[i % HIDDEN] = bf16(number(2000, i % HIDDEN));
  }
  memset(out, 0, sizeof *out);
  return chain(x, residual, weight, &scale, out->residual, out->norm, out->codes) == FIAR_OK;
}

int main(void) {
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = FIAR_DEVICE_NONE;
  fiar_comm_t* comm = NULL;
  static results_t whole, sharded;
  if (fiar_comm_create_from_env(&options, &comm) != FIAR_OK ||
      fiar_rt_set_comm(0, comm) != FIAR_OK || !run(chain_whole, fiar_comm_rank(comm), &whole) ||
      !run(chain_sharded, fiar_comm_rank(comm), &sharded)) {
    printf("%s\n", fiar_last_error());
    return 1;
  }
  static const results_t zero;
  const int same =
      memcmp(&whole, &sharded, sizeof whole) == 0 && memcmp(&whole, &zero, sizeof whole) != 0;
  printf("rank %d: %s\n", fiar_comm_rank(comm), same ? "every bit agrees" : "they differ");
  (void)fiar_rt_set_comm(0, NULL);
  fiar_comm_destroy(comm);
  return !same;
}
