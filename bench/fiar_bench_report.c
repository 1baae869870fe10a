// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fiar_bench_report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fiar/version.h"
#include "fiar_bench_revision.h"

double bench_best_baseline(const bench_row_t* row) {
  double best = 0;
  for (int i = 0; i < BENCH_IMPL_COUNT; ++i) {
    const bench_result_t* result = &row->results[i];
    if (bench_impls[i]->baseline && result->served && (best == 0 || result->us < best)) {
      best = result->us;
    }
  }
  return best;
}

static bool wanted(const bench_report_t* report, int impl) {
  for (int i = 0; i < report->options->impls.count; ++i) {
    if (report->options->impls.at[i] == impl) {
      return true;
    }
  }
  return false;
}

// ---- Table ----

void bench_report_print_head(const bench_report_t* report) {
  const bench_options_t* options = report->options;
  printf("fiar-bench %s (%s): %d ranks (%s) on %s\n", FIAR_VERSION_STRING, BENCH_REVISION,
         report->world, bench_mode_name(options->mode), report->device);
  printf("us a call: median of %lld chains of %lld calls, %s over the ranks\n",
         (long long)options->replays, (long long)options->calls, bench_over_name(options->over));
  if (report->floors.measured) {
    printf(
        "floors: empty kernel %.2f us (its launch %.2f us of the host), flag to a peer %.2f us, "
        "stores to peers %.0f GB/s\n",
        report->floors.empty_us, report->floors.launch_us, report->floors.flag_us,
        report->floors.egress_gb_s);
  }
}

static bool same_group(const bench_case_t* a, const bench_case_t* b) {
  return a->hidden == b->hidden && a->dtype == b->dtype && a->quant == b->quant &&
         a->residual == b->residual && a->launch == b->launch;
}

static void print_heading(const bench_report_t* report, const bench_case_t* point) {
  printf("\nhidden %lld, %s, %s, residual %s, %s\n  tokens", (long long)point->hidden,
         bench_dtype_name(point->dtype), bench_quant_name(point->quant),
         bench_residual_name(point->residual), bench_launch_name(point->launch));
  for (int i = 0; i < BENCH_IMPL_COUNT; ++i) {
    if (wanted(report, i)) {
      printf(" %*s", (int)strlen(bench_impls[i]->name) > 8 ? (int)strlen(bench_impls[i]->name) : 8,
             bench_impls[i]->name);
    }
  }
  printf("   spread    host  x best x floor\n");
}

static void print_number(int width, int decimals, double value) {
  if (value > 0) {
    printf(" %*.*f", width, decimals, value);
  } else {
    printf(" %*s", width, "-");
  }
}

void bench_report_print_row(const bench_report_t* report, int index) {
  const bench_row_t* row = &report->rows[index];
  if (index == 0 || !same_group(&row->point, &report->rows[index - 1].point)) {
    print_heading(report, &row->point);
  }
  printf("%8lld", (long long)row->point.tokens);
  for (int i = 0; i < BENCH_IMPL_COUNT; ++i) {
    if (wanted(report, i)) {
      int width = (int)strlen(bench_impls[i]->name) > 8 ? (int)strlen(bench_impls[i]->name) : 8;
      print_number(width, 2, row->results[i].served ? row->results[i].us : 0);
    }
  }
  const bench_result_t* ours = &row->results[BENCH_IMPL_FIAR];
  double best = bench_best_baseline(row);
  print_number(7, 1, ours->served ? 100 * (ours->high_us - ours->low_us) / ours->us : 0);
  printf("%%");
  print_number(7, 2, ours->served ? ours->host_us : 0);
  print_number(7, 2, ours->served ? best / ours->us : 0);
  print_number(7, 2, ours->served && row->floor_us > 0 ? ours->us / row->floor_us : 0);
  printf("\n");
  (void)fflush(stdout);
}

// How much the selected algorithm loses against the better one, where it loses most.
static void print_selection(const bench_report_t* report) {
  double most = 0;
  const bench_case_t* where = NULL;
  for (int i = 0; i < report->count; ++i) {
    const bench_result_t* results = report->rows[i].results;
    double ours = results[BENCH_IMPL_FIAR].us;
    for (int k = BENCH_IMPL_ONESHOT; k <= BENCH_IMPL_TWOSHOT; ++k) {
      if (results[BENCH_IMPL_FIAR].served && results[k].served && ours / results[k].us > most) {
        most = ours / results[k].us;
        where = &report->rows[i].point;
      }
    }
  }
  if (where != NULL) {
    printf(
        "fiar's selection against the better algorithm: %.2fx of its time at most, at %lld x "
        "%lld\n",
        most, (long long)where->tokens, (long long)where->hidden);
  }
}

static void print_reasons(const bench_report_t* report) {
  for (int i = 0; i < BENCH_IMPL_COUNT; ++i) {
    const char* last = "";
    for (int row = 0; row < report->count && wanted(report, i); ++row) {
      const bench_result_t* result = &report->rows[row].results[i];
      if (!result->served && strcmp(result->reason, last) != 0) {
        printf("%s, %lld x %lld: %s\n", bench_impls[i]->name,
               (long long)report->rows[row].point.tokens, (long long)report->rows[row].point.hidden,
               result->reason);
        last = result->reason;
      }
    }
  }
}

void bench_report_print_end(const bench_report_t* report) {
  double sum = 0;
  double least = 0;
  int points = 0;
  for (int i = 0; i < report->count; ++i) {
    const bench_row_t* row = &report->rows[i];
    double best = bench_best_baseline(row);
    if (row->results[BENCH_IMPL_FIAR].served && best > 0) {
      double gain = best / row->results[BENCH_IMPL_FIAR].us;
      sum += log(gain);
      least = points == 0 || gain < least ? gain : least;
      ++points;
    }
  }
  printf("\n");
  if (points > 0) {
    printf("fiar against the best baseline: %.2fx in geometric mean over %d points, least %.2fx\n",
           exp(sum / points), points, least);
  }
  print_selection(report);
  print_reasons(report);
  (void)fflush(stdout);
}

// ---- Files ----

static void write_text(FILE* file, const char* text) {
  (void)fputc('"', file);
  for (; *text != '\0'; ++text) {
    if (*text == '"' || *text == '\\') {
      (void)fputc('\\', file);
    }
    if ((unsigned char)*text >= ' ') {
      (void)fputc(*text, file);
    }
  }
  (void)fputc('"', file);
}

static void write_json_head(FILE* file, const bench_report_t* report) {
  const bench_options_t* options = report->options;
  (void)fprintf(
      file,
      "{\n  \"schema\": \"fiar-bench/1\",\n  \"version\": \"%s\",\n  \"revision\": \"%s\",\n  \"device\": ",
      FIAR_VERSION_STRING, BENCH_REVISION);
  write_text(file, report->device);
  (void)fprintf(file,
                ",\n  \"ranks\": %d, \"mode\": \"%s\", \"calls\": %lld, \"replays\": %lld, "
                "\"over\": \"%s\",\n",
                report->world, bench_mode_name(options->mode), (long long)options->calls,
                (long long)options->replays, bench_over_name(options->over));
  if (report->floors.measured) {
    (void)fprintf(file,
                  "  \"floors\": {\"empty_us\": %.4f, \"launch_us\": %.4f, \"flag_us\": %.4f, "
                  "\"egress_gb_s\": %.2f},\n",
                  report->floors.empty_us, report->floors.launch_us, report->floors.flag_us,
                  report->floors.egress_gb_s);
  }
  (void)fprintf(file, "  \"results\": [\n");
}

static void write_json_result(FILE* file, const bench_report_t* report, const bench_row_t* row,
                              int impl) {
  const bench_case_t* point = &row->point;
  const bench_result_t* result = &row->results[impl];
  (void)fprintf(file,
                "    {\"ranks\": %d, \"tokens\": %lld, \"hidden\": %lld, \"dtype\": \"%s\", "
                "\"quant\": \"%s\", \"residual\": \"%s\", \"launch\": \"%s\", \"impl\": \"%s\", "
                "\"baseline\": %s, ",
                report->world, (long long)point->tokens, (long long)point->hidden,
                bench_dtype_name(point->dtype), bench_quant_name(point->quant),
                bench_residual_name(point->residual), bench_launch_name(point->launch),
                bench_impls[impl]->name, bench_impls[impl]->baseline ? "true" : "false");
  if (!result->served) {
    (void)fprintf(file, "\"refused\": ");
    write_text(file, result->reason);
  } else {
    (void)fprintf(file,
                  "\"backend\": \"%s\", \"us\": %.4f, \"low_us\": %.4f, \"high_us\": %.4f, "
                  "\"least_us\": %.4f, \"host_us\": %.4f, \"sets\": %d",
                  result->backend, result->us, result->low_us, result->high_us, result->least_us,
                  result->host_us, result->sets);
    if (row->floor_us > 0) {
      (void)fprintf(file, ", \"floor_us\": %.4f", row->floor_us);
    }
  }
  (void)fprintf(file, "}");
}

static void write_csv_result(FILE* file, const bench_report_t* report, const bench_row_t* row,
                             int impl) {
  const bench_case_t* point = &row->point;
  const bench_result_t* result = &row->results[impl];
  if (!result->served) {
    return;
  }
  (void)fprintf(file, "%d,%lld,%lld,%s,%s,%s,%s,%s,%s,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f\n",
                report->world, (long long)point->tokens, (long long)point->hidden,
                bench_dtype_name(point->dtype), bench_quant_name(point->quant),
                bench_residual_name(point->residual), bench_launch_name(point->launch),
                bench_impls[impl]->name, result->backend, result->us, result->low_us,
                result->high_us, result->host_us, bench_best_baseline(row), row->floor_us);
}

static void write_results(FILE* file, const bench_report_t* report, bool json) {
  bool first = true;
  for (int row = 0; row < report->count; ++row) {
    for (int impl = 0; impl < BENCH_IMPL_COUNT; ++impl) {
      if (!wanted(report, impl)) {
        continue;
      }
      if (!json) {
        write_csv_result(file, report, &report->rows[row], impl);
        continue;
      }
      (void)fprintf(file, "%s", first ? "" : ",\n");
      write_json_result(file, report, &report->rows[row], impl);
      first = false;
    }
  }
}

fiar_status_t bench_report_write(const bench_report_t* report) {
  const char* name = report->options->output;
  FILE* file = fopen(name, "w");
  if (file == NULL) {
    return FIAR_FAIL(SYSTEM_ERROR, "--output is \"%s\": %s", name, strerror(errno));
  }
  bool json = report->options->format == BENCH_JSON;
  if (json) {
    write_json_head(file, report);
  } else {
    (void)fprintf(file,
                  "ranks,tokens,hidden,dtype,quant,residual,launch,impl,backend,us,low_us,high_us,"
                  "host_us,best_baseline_us,floor_us\n");
  }
  write_results(file, report, json);
  if (json) {
    (void)fprintf(file, "\n  ]\n}\n");
  }
  bool bad = ferror(file) != 0;
  bad = fclose(file) != 0 || bad;
  return bad ? FIAR_FAIL(SYSTEM_ERROR, "--output is \"%s\": it could not be written", name)
             : FIAR_OK;
}
