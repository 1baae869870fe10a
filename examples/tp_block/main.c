// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs tp_block.mlir twice on the same inputs, compiled with its fused calls and without, and
// compares. One process a rank: fiar-run -n 4 ./tp_block (or torchrun, mpirun, srun).
//
// Expected by docs/numerics.md: the same bits in sums and residuals, norms within two ulps, codes
// that differ only where the norm does. Exit status 1 where it is not so.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiar/fiar.h"

enum { PROJECTIONS = 4, TOKENS = 16, HIDDEN = 256, VALUES = TOKENS * HIDDEN, NORM_ULPS = 2 };

// What fiar-to-llvm makes of tp_block.mlir (docs/compile.md): a pointer a tensor, results last.
typedef fiar_status_t block_fn(const uint8_t* x, const uint16_t* stream,
                               const uint16_t* projections, const uint16_t* norm_weights,
                               const float* scale, uint16_t* sums, uint16_t* residuals,
                               uint16_t* norms, uint8_t* codes);
block_fn tp_block_fused, tp_block_unfused;

typedef struct results {
  uint16_t sums[PROJECTIONS][VALUES], residuals[PROJECTIONS][VALUES], norms[PROJECTIONS][VALUES];
  uint8_t codes[PROJECTIONS][VALUES];
} results_t;

typedef struct inputs {
  uint8_t x[VALUES];
  uint16_t stream[VALUES], projections[PROJECTIONS][HIDDEN * HIDDEN],
      norm_weights[PROJECTIONS][HIDDEN];
  float scale;
} inputs_t;

// Numbers in [-1, 1) that depend on seed and index alone.
static float noise(uint32_t seed, uint32_t index) {
  uint32_t bits = (seed * 0x9E3779B9u) ^ (index * 0x85EBCA6Bu);
  bits = (bits ^ (bits >> 15)) * 0x2C1B3C6Du;
  bits = (bits ^ (bits >> 12)) * 0x297A2D39u;
  return (float)((int32_t)(bits ^ (bits >> 15)) >> 8) * 0x1p-23f;
}

static uint16_t bf16_cut(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)(bits >> 16);
}

// The projections are this rank's; everything else is the same on all ranks.
static void fill(inputs_t* inputs, uint32_t rank) {
  for (uint32_t i = 0; i < VALUES; ++i) {
    inputs->x[i] = (uint8_t)((int)(noise(1, i) * 100.0f) & 0xBF);  // finite e4m3 codes
    inputs->stream[i] = bf16_cut(2.0f * noise(2, i));
  }
  for (uint32_t i = 0; i < PROJECTIONS * HIDDEN * HIDDEN; ++i) {
    (&inputs->projections[0][0])[i] = bf16_cut(0.125f * noise(100 + rank, i));
  }
  for (uint32_t i = 0; i < PROJECTIONS * HIDDEN; ++i) {
    (&inputs->norm_weights[0][0])[i] = bf16_cut(1.0f + 0.25f * noise(3, i));
  }
  inputs->scale = 0.0625f;
}

static int run(block_fn* block, const char* name, const inputs_t* in, results_t* out) {
  fiar_status_t status =
      block(in->x, in->stream, in->projections[0], in->norm_weights[0], &in->scale, out->sums[0],
            out->residuals[0], out->norms[0], out->codes[0]);
  if (status != FIAR_OK) {
    fprintf(stderr, "%s: %s: %s\n", name, fiar_status_name(status), fiar_last_error());
  }
  return status == FIAR_OK;
}

// bf16 bit patterns as integers in the order of their values.
static int ordered(uint16_t bits) {
  return (bits & 0x8000) ? -(bits & 0x7FFF) : bits;
}

typedef struct difference {
  int sums, residuals, norms, codes, codes_alone, ulps;
} difference_t;

static difference_t compare(const results_t* a, const results_t* b, int projection) {
  difference_t found = {0};
  for (int i = 0; i < VALUES; ++i) {
    int ulps = abs(ordered(a->norms[projection][i]) - ordered(b->norms[projection][i]));
    int code = a->codes[projection][i] != b->codes[projection][i];
    found.sums += a->sums[projection][i] != b->sums[projection][i];
    found.residuals += a->residuals[projection][i] != b->residuals[projection][i];
    found.norms += ulps != 0;
    found.ulps = ulps > found.ulps ? ulps : found.ulps;
    found.codes += code;
    found.codes_alone += code && ulps == 0;
  }
  return found;
}

// Rank 0 prints; every rank judges. Once codes differ, the next projection has other inputs, and
// there is nothing more to compare.
static int report(const results_t* fused, const results_t* unfused, int rank) {
  int good = 1;
  if (rank == 0) {
    printf("differences of fused against unfused, of %d values each:\n", VALUES);
    printf("projection   sums  residuals  norms (most ulps)  codes (without a norm)\n");
  }
  for (int i = 0; i < PROJECTIONS; ++i) {
    difference_t found = compare(fused, unfused, i);
    if (rank == 0) {
      printf("%10d %6d %10d %6d %12d %6d %16d\n", i, found.sums, found.residuals, found.norms,
             found.ulps, found.codes, found.codes_alone);
    }
    good = good && found.sums == 0 && found.residuals == 0 && found.ulps <= NORM_ULPS &&
           found.codes_alone == 0;
    if (found.codes != 0) {
      if (rank == 0) {
        printf("codes differ: the projections after this one have other inputs\n");
      }
      break;
    }
  }
  return good;
}

int main(void) {
  // The blocks compute on the host, so the communicator does, too, also where there is a GPU.
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = FIAR_DEVICE_NONE;
  fiar_comm_t* comm = NULL;
  if (fiar_comm_create_from_env(&options, &comm) != FIAR_OK ||
      fiar_rt_set_comm(0, comm) != FIAR_OK) {
    fprintf(stderr, "no communicator: %s\n", fiar_last_error());
    fiar_comm_destroy(comm);
    return 1;
  }
  int rank = fiar_comm_rank(comm);
  inputs_t* inputs = calloc(1, sizeof *inputs);
  results_t* results = calloc(2, sizeof *results);
  int good = inputs != NULL && results != NULL;
  if (good) {
    fill(inputs, (uint32_t)rank);
    good = run(tp_block_fused, "fused", inputs, &results[0]) &&
           run(tp_block_unfused, "unfused", inputs, &results[1]);
  }
  if (good) {
    good = report(&results[0], &results[1], rank);
    if (rank == 0) {
      printf("%s docs/numerics.md says, on %d ranks\n", good ? "as" : "not as",
             fiar_comm_world(comm));
    }
  }
  free(results);
  free(inputs);
  (void)fiar_rt_set_comm(0, NULL);
  fiar_comm_destroy(comm);
  return good ? 0 : 1;
}
