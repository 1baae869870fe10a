// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <stdio.h>
#include <stdlib.h>

#include "fiar_bench_rank.h"

static fiar_status_t list_points(const bench_options_t* options) {
  bench_case_t* cases = NULL;
  int count = 0;
  FIAR_TRY(bench_cases_expand(options, &cases, &count));
  for (int i = 0; i < count; ++i) {
    const bench_case_t* point = &cases[i];
    printf("%lld x %lld %s %s residual %s, %s\n", (long long)point->tokens,
           (long long)point->hidden, bench_dtype_name(point->dtype), bench_quant_name(point->quant),
           bench_residual_name(point->residual), bench_launch_name(point->launch));
  }
  free(cases);
  return FIAR_OK;
}

static fiar_status_t run(int argc, char** argv) {
  bench_options_t options;
  FIAR_TRY(bench_options_parse(argc, argv, &options));
  if (options.help) {
    bench_options_help();
    return FIAR_OK;
  }
  return options.list ? list_points(&options) : bench_ranks_run(&options, bench_sweep);
}

int main(int argc, char** argv) {
  fiar_status_t status = run(argc, argv);
  if (status != FIAR_OK) {
    (void)fprintf(stderr, "fiar-bench: %s: %s\n", fiar_status_name(status), fiar_last_error());
    return 1;
  }
  return 0;
}
