// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Calls the functions of abi.mlir and compares with the same calls of the runtime by hand; a rank a
// process, or with an argument both ranks as threads.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fiar/fiar.h"

enum { HIDDEN = 64, TOKENS = 6, VALUES = TOKENS * HIDDEN };

fiar_status_t packed(const uint16_t* x, int64_t tokens, const float* g, uint8_t* codes,
                     uint8_t* scales);
fiar_status_t unpacked(const uint16_t* x, int64_t tokens, const float* g, uint8_t* codes);
fiar_status_t groups(const uint16_t* x, int64_t tokens, const float* w, uint16_t* sum,
                     uint8_t* codes, float* scales);
fiar_status_t sharded(const uint16_t* x, const uint16_t* residual, uint16_t* whole, uint16_t* norm);
fiar_status_t loop(const float* x, int64_t n, float by, float* sum, int64_t* twice, float* same);

static _Thread_local int wrong;

static void expect(int good, const char* what) {
  if (!good) {
    printf("%s\n", what);
    wrong = 1;
  }
}

static void call(fiar_status_t status, const char* what) {
  if (status != FIAR_OK) {
    printf("%s: %s: %s\n", what, fiar_status_name(status), fiar_last_error());
    wrong = 1;
  }
}

static uint16_t bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)(bits >> 16);
}

static fiar_all_reduce_norm_params params(const void* x, int64_t tokens) {
  fiar_all_reduce_norm_params p = {
      .struct_size = sizeof p, .input = x, .tokens = tokens, .hidden = HIDDEN};
  p.eps = 1.0e-6f;
  p.dtype = FIAR_DTYPE_BF16;
  return p;
}

static void check_fp4(const uint16_t* x) {
  static _Thread_local uint8_t codes[VALUES / 2], scales[VALUES / 16], want[VALUES / 2],
      want_scales[VALUES / 16];
  static _Thread_local uint8_t single[VALUES];
  float g = 3.0f;
  fiar_all_reduce_norm_params p = params(x, TOKENS);
  p.scale = &g;
  p.quant = FIAR_QUANT_NVFP4;
  p.scale_type = FIAR_SCALE_TYPE_E4M3;
  p.scale_is = FIAR_SCALE_IS_MULTIPLIER;
  p.quant_out = want;
  p.scales_out = want_scales;
  call(fiar_rt_all_reduce_norm(NULL, &p, NULL), "by hand");
  call(packed(x, TOKENS, &g, codes, scales), "packed");
  expect(memcmp(codes, want, sizeof want) == 0, "packed codes differ");
  expect(memcmp(scales, want_scales, sizeof want_scales) == 0, "fp4 scales differ");
  call(packed(x, 0, &g, codes, scales), "no tokens");
  call(unpacked(x, TOKENS / 2, &g, single), "unpacked");
  for (int i = 0; i < VALUES; ++i) {
    expect((single[i] & 15) == (want[i / 2] >> (i % 2 * 4) & 15), "unpacked codes differ");
  }
}

static void check_groups(const uint16_t* x) {
  static _Thread_local uint16_t sum[VALUES], want_sum[VALUES];
  static _Thread_local uint8_t codes[VALUES], want[VALUES];
  static _Thread_local float scales[VALUES / 32], want_scales[VALUES / 32], w[HIDDEN];
  for (int i = 0; i < HIDDEN; ++i) {
    w[i] = (float)(i % 7) * 0.1f;
  }
  fiar_all_reduce_norm_params p = params(x, TOKENS - 1);
  p.weight = w;
  p.weight_dtype = FIAR_DTYPE_F32;
  p.weight_bias = 1.0f;
  p.scale_min = 1.0e-10f;
  p.quant = FIAR_QUANT_FP8_GROUP;
  p.group_size = 32;
  p.norm_rounding = FIAR_NORM_ROUNDING_AFTER_WEIGHT;
  p.sum_out = want_sum;
  p.quant_out = want;
  p.scales_out = want_scales;
  call(fiar_rt_all_reduce_norm(NULL, &p, NULL), "by hand");
  call(groups(x, TOKENS - 1, w, sum, codes, scales), "groups");
  expect(memcmp(sum, want_sum, sizeof sum) == 0, "sums differ");
  expect(memcmp(codes, want, sizeof want) == 0, "group codes differ");
  expect(memcmp(scales, want_scales, sizeof scales) == 0, "group scales differ");
}

// The shards of a whole residual, against the same call with the whole one.
static void check_sharded(const uint16_t* x, int rank) {
  static _Thread_local uint16_t residual[3 * HIDDEN], shard[2 * HIDDEN], whole[3 * HIDDEN],
      norm[3 * HIDDEN];
  static _Thread_local uint16_t want_whole[3 * HIDDEN], want_norm[3 * HIDDEN];
  for (int i = 0; i < 3 * HIDDEN; ++i) {
    residual[i] = bf16((float)(i % 11) - 5.0f);
  }
  for (int row = rank, at = 0; row < 3; row += 2, ++at) {
    memcpy(&shard[at * HIDDEN], &residual[row * HIDDEN], HIDDEN * sizeof *shard);
  }
  fiar_all_reduce_norm_params p = params(x, 3);
  p.residual = residual;
  p.norm_rounding = FIAR_NORM_ROUNDING_AFTER_WEIGHT;
  p.residual_out = want_whole;
  p.norm_out = want_norm;
  call(fiar_rt_all_reduce_norm(NULL, &p, NULL), "by hand");
  call(sharded(x, shard, whole, norm), "sharded");
  expect(memcmp(whole, want_whole, sizeof whole) == 0, "gathered residuals differ");
  expect(memcmp(norm, want_norm, sizeof norm) == 0, "sharded norms differ");
}

static void check_loop(int rank) {
  float x[4] = {1.0f + (float)rank, 2.0f, 3.0f, 4.0f}, sum[4] = {0}, same = 0.0f;
  const float before[4] = {x[0], x[1], x[2], x[3]};
  int64_t twice = 0;
  call(loop(x, 3, 10.0f, sum, &twice, &same), "loop");
  // (1 + 2) doubled twice more on the two ranks, then the local vector with its first element 10.
  expect(sum[0] == 12.0f + 10.0f && sum[1] == 16.0f + 2.0f, "the loop's sums differ");
  expect(twice == 6 && same == 10.0f, "scalars differ");
  expect(memcmp(x, before, sizeof x) == 0, "an argument was overwritten");
}

// Everything, on this rank's communicator.
static int check_all(fiar_comm_t* comm) {
  static _Thread_local uint16_t x[VALUES];
  int rank = fiar_comm_rank(comm);
  for (int i = 0; i < VALUES; ++i) {
    x[i] = bf16((float)((i * 7 + rank * 3) % 13) - 6.0f);
  }
  check_loop(rank);
  if (!wrong) {
    check_fp4(x);
    check_groups(x);
    check_sharded(x, rank);
  }
  if (!wrong) {
    printf("all as by hand\n");
  }
  return wrong;
}

static int as_process(const fiar_comm_options_t* options) {
  fiar_comm_t* comm = NULL;
  call(fiar_comm_create_from_env(options, &comm), "communicator");
  call(fiar_rt_set_comm(0, comm), "communicator");
  int failed = wrong || check_all(comm);
  (void)fiar_rt_set_comm(0, NULL);
  fiar_comm_destroy(comm);
  return failed;
}

static void* rank_thread(void* comm) {
  call(fiar_rt_set_thread_comm(0, comm), "communicator");
  int failed = wrong || check_all(comm);
  (void)fiar_rt_set_thread_comm(0, NULL);
  return failed ? comm : NULL;
}

// Both ranks as threads of this process: the model's status is each thread's own.
static int as_threads(const fiar_comm_options_t* options) {
  fiar_comm_t* comms[2] = {NULL, NULL};
  pthread_t threads[2];
  void* failed[2];
  if (fiar_comm_create_threads(2, NULL, options, comms) != FIAR_OK) {
    printf("communicators: %s\n", fiar_last_error());
    return 1;
  }
  for (int i = 0; i < 2; ++i) {
    (void)pthread_create(&threads[i], NULL, rank_thread, comms[i]);
  }
  for (int i = 0; i < 2; ++i) {
    (void)pthread_join(threads[i], &failed[i]);
    fiar_comm_destroy(comms[i]);
  }
  return failed[0] != NULL || failed[1] != NULL;
}

int main(int argc, char** argv) {
  (void)argv;
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = FIAR_DEVICE_NONE;
  return argc > 1 ? as_threads(&options) : as_process(&options);
}
