// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The measured crossover from one-shot to two-shot, as the file that FIAR_TUNING_FILE names: a line
// `oneshot WORLD HIDDEN MAX_BYTES` for each hidden size (runtime/cuda/algorithm.h reads it).
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiar_bench_report.h"
#include "host/reference.h"

typedef struct sample {
  double bytes, oneshot_us, twoshot_us;
} sample_t;

typedef struct crossover {
  int64_t hidden, max_bytes;
} crossover_t;

static int compare(const void* left, const void* right) {
  double a = ((const sample_t*)left)->bytes;
  double b = ((const sample_t*)right)->bytes;
  return (a > b) - (a < b);
}

// The points of one hidden size at which both algorithms ran, by message size.
static int gather(const bench_report_t* report, int64_t hidden, sample_t* out_samples) {
  int count = 0;
  for (int i = 0; i < report->count; ++i) {
    const bench_row_t* row = &report->rows[i];
    const bench_result_t* one = &row->results[BENCH_IMPL_ONESHOT];
    const bench_result_t* two = &row->results[BENCH_IMPL_TWOSHOT];
    if (row->point.hidden == hidden && one->served && two->served) {
      double bytes =
          (double)(row->point.tokens * hidden) * (double)fiar_dtype_bytes(row->point.dtype);
      out_samples[count++] = (sample_t){bytes, one->us, two->us};
    }
  }
  qsort(out_samples, (size_t)count, sizeof *out_samples, compare);
  return count;
}

// One-shot for the first k samples, two-shot for the rest: the k that loses least against the
// better of both at every sample, in geometric mean.
static int best_split(const sample_t* samples, int count) {
  double loss = 0;
  for (int i = 0; i < count; ++i) {
    loss += log(samples[i].twoshot_us / fmin(samples[i].oneshot_us, samples[i].twoshot_us));
  }
  double least = loss;
  int best = 0;
  for (int k = 1; k <= count; ++k) {
    loss += log(samples[k - 1].oneshot_us / samples[k - 1].twoshot_us);
    if (loss < least) {
      least = loss;
      best = k;
    }
  }
  return best;
}

// Between the samples on both sides; past the last one there is nothing that speaks for one-shot.
static int64_t max_bytes_of(const sample_t* samples, int count) {
  int split = best_split(samples, count);
  if (split == 0) {
    return 0;
  }
  double below = samples[split - 1].bytes;
  return (int64_t)(split == count ? below : sqrt(below * samples[split].bytes));
}

static int crossovers_of(const bench_report_t* report, crossover_t* out_rows) {
  sample_t* samples = calloc((size_t)report->count + 1, sizeof *samples);
  int count = 0;
  for (int i = 0; samples != NULL && i < report->options->hidden.count; ++i) {
    int64_t hidden = report->options->hidden.at[i];
    int points = gather(report, hidden, samples);
    if (points > 0) {
      out_rows[count++] = (crossover_t){hidden, max_bytes_of(samples, points)};
    }
  }
  free(samples);
  return count;
}

// Lines of an older file stay, but for the world and hidden sizes that were measured now.
static void copy_others(FILE* from, FILE* to, int32_t world, const crossover_t* rows, int count) {
  char line[256];
  while (fgets(line, sizeof line, from) != NULL) {
    int of_world = 0;
    long long hidden = 0;
    bool replaced = false;
    if (sscanf(line, "oneshot %d %lld", &of_world, &hidden) == 2 && of_world == world) {
      for (int i = 0; i < count; ++i) {
        replaced = replaced || rows[i].hidden == hidden;
      }
    }
    if (!replaced) {
      (void)fputs(line, to);
    }
  }
}

static fiar_status_t write_rows(const bench_report_t* report, const char* beside,
                                const crossover_t* rows, int count) {
  const char* name = report->options->tune;
  FILE* old = fopen(name, "r");
  FILE* file = fopen(beside, "w");
  if (file == NULL) {
    fiar_status_t status =
        FIAR_FAIL(SYSTEM_ERROR, "--tune is \"%s\": %s: %s", name, beside, strerror(errno));
    if (old != NULL) {
      (void)fclose(old);
    }
    return status;
  }
  if (old != NULL) {
    copy_others(old, file, report->world, rows, count);
    (void)fclose(old);
  } else {
    (void)fprintf(file, "# oneshot WORLD HIDDEN MAX_BYTES, measured by fiar-bench --tune\n");
  }
  for (int i = 0; i < count; ++i) {
    (void)fprintf(file, "oneshot %d %lld %lld\n", report->world, (long long)rows[i].hidden,
                  (long long)rows[i].max_bytes);
  }
  bool bad = ferror(file) != 0;
  bad = fclose(file) != 0 || bad || rename(beside, name) != 0;
  return bad ? FIAR_FAIL(SYSTEM_ERROR, "--tune is \"%s\": it could not be written", name) : FIAR_OK;
}

fiar_status_t bench_tune_write(const bench_report_t* report) {
  crossover_t rows[BENCH_MAX_LIST];
  char beside[1024];
  int count = crossovers_of(report, rows);
  if (count == 0) {
    return FIAR_FAIL(UNAVAILABLE,
                     "--tune is \"%s\", but no point was timed with both oneshot and twoshot",
                     report->options->tune);
  }
  (void)snprintf(beside, sizeof beside, "%s.new", report->options->tune);
  return write_rows(report, beside, rows, count);
}
