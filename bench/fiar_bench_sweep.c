// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The sweep, as every rank runs it: open what is timed, then point by point check, time, print.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiar/runtime.h"
#include "fiar_bench_gemm.h"
#include "fiar_bench_report.h"

typedef struct sweep {
  bench_rank_t* rank;
  bench_report_t report;
  bench_case_t* cases;
  void* states[BENCH_IMPL_COUNT];  // NULL: not opened
  char reasons[BENCH_IMPL_COUNT][sizeof((bench_result_t*)0)->reason];
  void* arena;                         // the points' arrays
  void* own_arenas[BENCH_IMPL_COUNT];  // of implementations that need them in memory of theirs
  bool wrong;                          // a check failed
} sweep_t;

static void keep_reason(char* reason, size_t room) {
  (void)snprintf(reason, room, "%s", fiar_last_error());
}

// An answer, not a failure of the run: the implementation cannot serve here.
static bool cannot(fiar_status_t status) {
  return status == FIAR_UNSUPPORTED || status == FIAR_UNAVAILABLE;
}

static void close_impl(sweep_t* sweep, int64_t index) {
  if (sweep->states[index] != NULL) {
    bench_impls[index]->close(sweep->states[index]);
    sweep->states[index] = NULL;
  }
}

static fiar_status_t open_impls(sweep_t* sweep) {
  bench_rank_t* rank = sweep->rank;
  for (int i = 0; i < rank->options->impls.count; ++i) {
    int64_t index = rank->options->impls.at[i];
    const bench_impl_t* impl = bench_impls[index];
    fiar_status_t status = impl->open(rank, impl, &sweep->states[index]);
    status = fiar_comm_vote(rank->team, status);
    if (status != FIAR_OK) {
      keep_reason(sweep->reasons[index], sizeof sweep->reasons[index]);
      close_impl(sweep, index);
      if (!cannot(status)) {
        return fiar_annotate(status, "opening %s", impl->name);
      }
    }
  }
  return FIAR_OK;
}

// Room for the largest point. Symmetric windows must hold the arrays of those who read through
// them; everyone else gets plain memory.
static fiar_status_t open_arenas(sweep_t* sweep) {
  bench_rank_t* rank = sweep->rank;
  size_t bytes = 0;
  for (int i = 0; i < sweep->report.count; ++i) {
    bench_case_t full = sweep->cases[i];
    full.residual = BENCH_RESIDUAL_FULL;
    size_t need = bench_arrays_bytes(rank, &sweep->cases[i]);
    bytes = need > bytes ? need : bytes;
    need = bench_arrays_bytes(rank, &full);
    bytes = need > bytes ? need : bytes;
  }
  for (int i = 0; i < BENCH_IMPL_COUNT; ++i) {
    const bench_impl_t* impl = bench_impls[i];
    if (sweep->states[i] == NULL || impl->make_arena == NULL) {
      continue;
    }
    fiar_status_t status = impl->make_arena(sweep->states[i], bytes, &sweep->own_arenas[i]);
    if (fiar_comm_vote(rank->team, status) != FIAR_OK) {
      keep_reason(sweep->reasons[i], sizeof sweep->reasons[i]);
      close_impl(sweep, i);
    }
  }
  return fiar_comm_vote(rank->team, rank->device->alloc(rank->state, bytes, &sweep->arena));
}

// What a chain's last call on set 0 gives, with its matmul, when each waits for the one before it.
static fiar_status_t run_apart(sweep_t* sweep, int index, const bench_gemm_t* gemm,
                               const bench_arrays_t* arrays, uint64_t* out_hash) {
  bench_rank_t* rank = sweep->rank;
  const bench_call_t* call = &arrays->calls[0];
  void* stream = rank->device->stream(rank->state);
  int64_t last = (rank->options->calls - 1) / arrays->sets * arrays->sets;
  FIAR_TRY(bench_gemm_before(gemm, last, call, stream));
  FIAR_TRY(rank->device->synchronise(rank->state));
  FIAR_TRY(bench_impls[index]->run(sweep->states[index], call, stream));
  FIAR_TRY(rank->device->synchronise(rank->state));
  return bench_outputs_hash(rank, arrays, call, out_hash);
}

// The outputs are poisoned before the timed chains and must have come right again after them.
static fiar_status_t time_and_look(sweep_t* sweep, int index, const bench_case_t* point,
                                   const bench_arrays_t* arrays, const bench_gemm_t* gemm,
                                   uint64_t checked, bench_result_t* result) {
  bench_rank_t* rank = sweep->rank;
  const bench_impl_t* impl = bench_impls[index];
  uint64_t hash = 0;
  if (gemm != NULL) {
    fiar_status_t apart = run_apart(sweep, index, gemm, arrays, &checked);
    FIAR_TRY(fiar_comm_vote(rank->team, apart));
  }
  fiar_status_t status = bench_outputs_poison(rank, arrays, &arrays->calls[0]);
  FIAR_TRY(fiar_comm_vote(rank->team, status));
  FIAR_TRY(bench_time_point(rank, impl, sweep->states[index], point, arrays, gemm, result));
  status = bench_outputs_hash(rank, arrays, &arrays->calls[0], &hash);
  if (status == FIAR_OK && hash != checked) {
    status = FIAR_FAIL(MISMATCH, "the outputs after the timed chains are not those checked before");
  }
  if (status == FIAR_OK && impl->async_error != NULL) {
    status = impl->async_error(sweep->states[index]);
  }
  return fiar_comm_vote(rank->team, status);
}

static fiar_status_t check_and_time(sweep_t* sweep, int index, const bench_case_t* point,
                                    bench_result_t* result) {
  bench_rank_t* rank = sweep->rank;
  bench_arrays_t arrays;
  bench_gemm_t* gemm = NULL;
  uint64_t hash = 0;
  fiar_status_t status = bench_arrays_init(rank, point, sweep->arena, &arrays);
  FIAR_TRY_DONE(fiar_comm_vote(rank->team, status));
  FIAR_TRY_DONE(bench_check(rank, bench_impls[index], sweep->states[index], point, &arrays, &hash));
  if (point->launch == BENCH_CHAIN) {
    status = bench_gemm_create(rank, point, &gemm);
    FIAR_TRY_DONE(fiar_comm_vote(rank->team, status));
  }
  FIAR_TRY_DONE(time_and_look(sweep, index, point, &arrays, gemm, hash, result));
done:
  bench_gemm_destroy(gemm);
  return status;
}

static fiar_status_t run_impl(sweep_t* sweep, int index, const bench_case_t* point,
                              bench_result_t* result) {
  const bench_impl_t* impl = bench_impls[index];
  void* state = sweep->states[index];
  if (state == NULL) {
    memcpy(result->reason, sweep->reasons[index], sizeof result->reason);
    return FIAR_OK;
  }
  fiar_status_t status = check_and_time(sweep, index, point, result);
  if (status != FIAR_OK) {
    keep_reason(result->reason, sizeof result->reason);
    sweep->wrong = sweep->wrong || !cannot(status);
    return cannot(status) || status == FIAR_MISMATCH
               ? FIAR_OK
               : fiar_annotate(status, "%s at %lld x %lld", impl->name, (long long)point->tokens,
                               (long long)point->hidden);
  }
  result->served = true;
  (void)snprintf(result->backend, sizeof result->backend, "%s",
                 impl->served_by == NULL ? impl->name : impl->served_by(state));
  return FIAR_OK;
}

static bool same_point(const bench_case_t* a, const bench_case_t* b) {
  return a->tokens == b->tokens && a->hidden == b->hidden && a->dtype == b->dtype &&
         a->quant == b->quant && a->residual == b->residual && a->launch == b->launch;
}

// The row before `before` that is the point's, or NULL.
static const bench_row_t* find_row(const sweep_t* sweep, const bench_case_t* point, int before) {
  for (int i = 0; i < before; ++i) {
    if (same_point(&sweep->report.rows[i].point, point)) {
      return &sweep->report.rows[i];
    }
  }
  return NULL;
}

// Runs the point's implementations, the baselines or the others. A baseline has no sharded
// residual: beside one it has its time with the full residual, which is what a user would have
// instead.
static fiar_status_t run_impls(sweep_t* sweep, int index, bool baselines) {
  const bench_options_t* options = sweep->rank->options;
  bench_row_t* row = &sweep->report.rows[index];
  bench_case_t point = row->point;
  const bench_row_t* known = NULL;
  if (baselines && bench_is_sharded(&point)) {
    point.residual = BENCH_RESIDUAL_FULL;
    known = find_row(sweep, &point, index);
  }
  for (int i = 0; i < options->impls.count; ++i) {
    int impl = (int)options->impls.at[i];
    if (bench_impls[impl]->baseline != baselines) {
      continue;
    }
    if (known != NULL) {
      row->results[impl] = known->results[impl];
    } else {
      FIAR_TRY(run_impl(sweep, impl, &point, &row->results[impl]));
    }
  }
  return FIAR_OK;
}

static fiar_status_t run_point(sweep_t* sweep, int index) {
  bench_row_t* row = &sweep->report.rows[index];
  row->point = sweep->cases[index];
  row->floor_us = bench_point_floor_us(sweep->rank, &sweep->report.floors, &row->point);
  FIAR_TRY(run_impls(sweep, index, false));
  FIAR_TRY(run_impls(sweep, index, true));
  if (sweep->rank->rank == 0) {
    bench_report_print_row(&sweep->report, index);
  }
  return FIAR_OK;
}

static fiar_status_t prepare(sweep_t* sweep) {
  bench_rank_t* rank = sweep->rank;
  bench_report_t* report = &sweep->report;
  FIAR_TRY(bench_cases_expand(rank->options, &sweep->cases, &report->count));
  for (int i = 0; i < report->count; ++i) {
    if (sweep->cases[i].launch == BENCH_LAUNCH_AUTO) {
      sweep->cases[i].launch = rank->ordinal == FIAR_DEVICE_NONE ? BENCH_EAGER : BENCH_GRAPH;
    }
  }
  report->options = rank->options;
  report->world = rank->world;
  rank->device->describe(rank->state, report->device, sizeof report->device);
  report->rows = calloc((size_t)report->count, sizeof *report->rows);
  if (report->rows == NULL) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%d results", report->count);
  }
  return FIAR_OK;
}

static fiar_status_t run_sweep(sweep_t* sweep) {
  bench_rank_t* rank = sweep->rank;
  FIAR_TRY(fiar_comm_vote(rank->team, prepare(sweep)));
  if (rank->options->floors != 0) {
    FIAR_TRY(bench_floors_measure(rank, &sweep->report.floors));
  }
  FIAR_TRY(open_impls(sweep));
  FIAR_TRY(open_arenas(sweep));
  if (rank->rank == 0) {
    bench_report_print_head(&sweep->report);
  }
  for (int i = 0; i < sweep->report.count; ++i) {
    FIAR_TRY(run_point(sweep, i));
  }
  fiar_status_t status = FIAR_OK;
  if (rank->rank == 0) {
    bench_report_print_end(&sweep->report);
    if (rank->options->output[0] != '\0') {
      status = bench_report_write(&sweep->report);
    }
    if (status == FIAR_OK && rank->options->tune[0] != '\0') {
      status = bench_tune_write(&sweep->report);
    }
  }
  if (status == FIAR_OK && sweep->wrong) {
    status = FIAR_FAIL(MISMATCH, "some results are wrong; the reasons are printed above");
  }
  return status;
}

fiar_status_t bench_sweep(bench_rank_t* rank) {
  sweep_t sweep = {.rank = rank};
  fiar_status_t status = run_sweep(&sweep);
  if (sweep.arena != NULL) {
    rank->device->release(rank->state, sweep.arena);
  }
  for (int i = BENCH_IMPL_COUNT; i-- > 0;) {
    close_impl(&sweep, i);
  }
  free(sweep.report.rows);
  free(sweep.cases);
  return status;
}
