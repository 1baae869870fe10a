// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs both objects of block_upstream.mlir on the same integers and counts the values that differ.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "fiar/fiar.h"

fiar_status_t cpu(const void* x, const void* w, const void* stream, const void* gamma,
                  const void* v, void* norm, void* residual, void* product);

enum { ROWS = 8, K = 32, N = 64, M = 16 };

typedef struct results {
  uint16_t norm[ROWS * N], residual[ROWS * N];
  float product[ROWS * M];
} results_t;

static void fill(uint16_t* to, int count, uint32_t seed) {
  for (int i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    float value = (float)((int)(seed >> 29) - 3);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    to[i] = (uint16_t)(bits >> 16);
  }
}

static int differ(const void* a, const void* b, size_t size, int count) {
  int found = 0;
  for (int i = 0; i < count; ++i) {
    found += memcmp((const char*)a + i * size, (const char*)b + i * size, size) != 0;
  }
  return found;
}

int main(void) {
  static uint16_t x[ROWS * K], w[K * N], stream[ROWS * N], gamma[N], v[N * M];
  static results_t mine, theirs;
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = FIAR_DEVICE_NONE;
  fiar_comm_t* comm = NULL;
  void* arena = NULL;
  if (fiar_comm_create_from_env(&options, &comm) != FIAR_OK ||
      fiar_rt_set_comm(0, comm) != FIAR_OK ||
      fiar_rt_arena_create(comm, 0, calls_arena_bytes(), &arena) != FIAR_OK) {
    fprintf(stderr, "%s\n", fiar_last_error());
    return 1;
  }
  fill(x, ROWS * K, 1 + (uint32_t)fiar_comm_rank(comm));
  fill(w, K * N, 11 + (uint32_t)fiar_comm_rank(comm));
  fill(stream, ROWS * N, 21);
  fill(gamma, N, 31);
  fill(v, N * M, 41);
  if (calls(ROWS, x, w, stream, gamma, v, mine.norm, mine.residual, mine.product, arena,
            calls_arena_bytes(), NULL, comm) != FIAR_OK ||
      cpu(x, w, stream, gamma, v, theirs.norm, theirs.residual, theirs.product) != FIAR_OK) {
    fprintf(stderr, "%s\n", fiar_last_error());
    return 1;
  }
  printf("norm %d, residual %d, product %d differ\n", differ(mine.norm, theirs.norm, 2, ROWS * N),
         differ(mine.residual, theirs.residual, 2, ROWS * N),
         differ(mine.product, theirs.product, 4, ROWS * M));
  (void)fiar_rt_arena_destroy(comm, 0, arena);
  (void)fiar_rt_set_comm(0, NULL);
  fiar_comm_destroy(comm);
  return mine.residual[0] == 0 && mine.residual[1] == 0;
}
