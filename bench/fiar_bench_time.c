// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Timing: chains of calls, one number a replay and rank, one median a point.
#include <stdlib.h>
#include <string.h>

#include "fiar_bench_gemm.h"
#include "fiar_bench_rank.h"

typedef struct chain {
  const bench_impl_t* impl;
  void* impl_state;
  const bench_arrays_t* arrays;
  const bench_gemm_t* gemm;  // NULL: calls alone
  int64_t calls;
} chain_t;

static fiar_status_t enqueue_call(const chain_t* chain, int64_t index, void* stream) {
  const bench_call_t* call = &chain->arrays->calls[index % chain->arrays->sets];
  if (chain->gemm != NULL) {
    FIAR_TRY(bench_gemm_before(chain->gemm, index, call, stream));
  }
  FIAR_TRY(chain->impl->run(chain->impl_state, call, stream));
  return chain->gemm == NULL ? FIAR_OK : bench_gemm_after(chain->gemm, index, call, stream);
}

static fiar_status_t enqueue_chain(void* context, void* stream) {
  const chain_t* chain = context;
  for (int64_t index = 0; index < chain->calls; ++index) {
    FIAR_TRY(enqueue_call(chain, index, stream));
  }
  return FIAR_OK;
}

static fiar_status_t enqueue_one(void* context, void* stream) {
  return enqueue_call(context, 0, stream);
}

static int compare(const void* left, const void* right) {
  double a = *(const double*)left;
  double b = *(const double*)right;
  return (a > b) - (a < b);
}

// The value below which `part` of the sorted values lie.
static double quantile(const double* sorted, int64_t count, double part) {
  return sorted[(int64_t)(part * (double)(count - 1) + 0.5)];
}

// One of the ranks' times a replay, the shortest or the longest, sorted.
static void over_ranks(const bench_rank_t* rank, const bench_time_t* all, bool least,
                       double* out_device, double* out_host) {
  int64_t replays = rank->options->replays;
  for (int64_t replay = 0; replay < replays; ++replay) {
    double device = all[replay].device_us;
    double host = all[replay].host_us;
    for (int32_t of = 1; of < rank->world; ++of) {
      const bench_time_t* time = &all[of * replays + replay];
      device = (time->device_us < device) == least ? time->device_us : device;
      host = time->host_us > host ? time->host_us : host;
    }
    out_device[replay] = device / (double)rank->options->calls;
    out_host[replay] = host / (double)rank->options->calls;
  }
  qsort(out_device, (size_t)replays, sizeof *out_device, compare);
  qsort(out_host, (size_t)replays, sizeof *out_host, compare);
}

// The replays are voted on one by one, so that a rank whose call failed does not leave the others
// to wait for it.
static fiar_status_t replay_all(bench_rank_t* rank, bench_chain_t* chain, bench_time_t* out_mine) {
  int64_t warmup = rank->options->warmup;
  for (int64_t replay = -warmup; replay < rank->options->replays; ++replay) {
    bench_time_t time = {0};
    FIAR_TRY(fiar_comm_barrier(rank->team));
    fiar_status_t status = rank->device->chain_replay(rank->state, chain, &time);
    FIAR_TRY(fiar_comm_vote(rank->team, status));
    if (replay >= 0) {
      out_mine[replay] = time;
    }
  }
  return FIAR_OK;
}

fiar_status_t bench_time_point(bench_rank_t* rank, const bench_impl_t* impl, void* impl_state,
                               const bench_case_t* point, const bench_arrays_t* arrays,
                               const bench_gemm_t* gemm, bench_result_t* out_result) {
  chain_t chain = {impl, impl_state, arrays, gemm, rank->options->calls};
  int64_t replays = rank->options->replays;
  bench_time_t mine[BENCH_MAX_REPLAYS];
  double device[BENCH_MAX_REPLAYS];
  double host[BENCH_MAX_REPLAYS];
  size_t bytes = (size_t)replays * sizeof *mine;
  bench_chain_t* recorded = NULL;
  bench_time_t all[BENCH_MAX_RANKS * BENCH_MAX_REPLAYS];
  fiar_status_t status = rank->device->chain_create(rank->state, point->launch, enqueue_chain,
                                                    enqueue_one, &chain, &recorded);
  FIAR_TRY_DONE(fiar_comm_vote(rank->team, status));
  FIAR_TRY_DONE(replay_all(rank, recorded, mine));
  FIAR_TRY_DONE(fiar_comm_all_gather(rank->team, mine, all, bytes));
  over_ranks(rank, all, true, device, host);
  out_result->least_us = quantile(device, replays, 0.5);
  over_ranks(rank, all, rank->options->over == BENCH_OVER_MIN, device, host);
  out_result->us = quantile(device, replays, 0.5);
  out_result->low_us = quantile(device, replays, 0.1);
  out_result->high_us = quantile(device, replays, 0.9);
  out_result->host_us = quantile(host, replays, 0.5);
done:
  rank->device->chain_destroy(rank->state, recorded);
  return status;
}
