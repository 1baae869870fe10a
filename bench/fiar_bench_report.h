// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-bench: results, and how they are printed and written. Internal.
#ifndef FIAR_BENCH_REPORT_H
#define FIAR_BENCH_REPORT_H

#include "fiar_bench_floor.h"
#include "fiar_bench_rank.h"

typedef struct bench_row {
  bench_case_t point;
  bench_result_t results[BENCH_IMPL_COUNT];
  double floor_us;  // 0: not known
} bench_row_t;

typedef struct bench_report {
  const bench_options_t* options;
  int32_t world;
  char device[384];
  bench_floors_t floors;
  bench_row_t* rows;
  int count;
} bench_report_t;

// The least time of the row's baselines; 0 where none ran.
double bench_best_baseline(const bench_row_t* row);

// What was measured where, and the floors.
void bench_report_print_head(const bench_report_t* report);

// Prints row `index`, after a heading where it begins another group than the row before.
void bench_report_print_row(const bench_report_t* report, int index);

// Why implementations have no times, each reason once, and geometric means of fiar's gain.
void bench_report_print_end(const bench_report_t* report);

// Writes options->output in options->format; docs/bench.md describes the fields. SYSTEM_ERROR names
// the file.
fiar_status_t bench_report_write(const bench_report_t* report);

// Writes the crossover that the rows show into options->tune, keeping the lines of other worlds and
// hidden sizes that are there. UNAVAILABLE where no point has both algorithms' times.
fiar_status_t bench_tune_write(const bench_report_t* report);

#endif  // FIAR_BENCH_REPORT_H
