// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/algorithm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "residual.h"

// Where two-shot becomes the faster one on H200 over NVLink, as `fiar-bench --tune` wrote it
// (bench/NOTES.md). A tuning file's rows of the same world come before these.
static const fiar_crossover_t measured[] = {
    {4, 4096, 185363}, {4, 7168, 162193}, {4, 8192, 185363},
    {8, 4096, 92681},  {8, 7168, 81096},  {8, 8192, 92681},
};

// For other worlds: what the measured ones have in common is that the ranks' messages together are
// about as large.
enum { CROSSOVER_BYTES_OF_ALL = 700000 };

// No larger message goes one-shot, whatever the tuning says: its slot would be `world` times as
// large.
static const int64_t oneshot_limit = (int64_t)8 << 20;

static int64_t element_bytes(uint8_t dtype) {
  return dtype == FIAR_DTYPE_F32 ? 4 : 2;
}

// The row of this world with the nearest hidden size, or NULL.
static const fiar_crossover_t* row_find(const fiar_crossover_t* rows, int32_t count, int32_t world,
                                        int64_t hidden) {
  const fiar_crossover_t* nearest = NULL;
  for (const fiar_crossover_t* row = rows; row < rows + count; ++row) {
    if (row->world == world &&
        (!nearest || llabs(row->hidden - hidden) < llabs(nearest->hidden - hidden))) {
      nearest = row;
    }
  }
  return nearest;
}

int64_t fiar_oneshot_max_bytes(const fiar_tuning_t* tuning, int32_t world, int64_t hidden) {
  const fiar_crossover_t* row = row_find(tuning->rows, tuning->count, world, hidden);
  if (!row) {
    row = row_find(measured, (int32_t)FIAR_ARRAY_LENGTH(measured), world, hidden);
  }
  const int64_t bytes = row          ? row->oneshot_max_bytes
                        : world <= 2 ? oneshot_limit  // two hops send as much
                                     : CROSSOVER_BYTES_OF_ALL / world;
  return bytes < oneshot_limit ? bytes : oneshot_limit;
}

fiar_algorithm_t fiar_algorithm_select(const fiar_tuning_t* tuning, const fiar_problem_t* problem,
                                       int32_t world, uint64_t slot_bytes) {
  if (problem->op == FIAR_OP_ALL_GATHER_ROWS) {
    return FIAR_ALGORITHM_GATHER;
  }
  if (fiar_residual_is_sharded(problem->residual_layout)) {
    return FIAR_ALGORITHM_SHARDED;
  }
  uint64_t oneshot = fiar_kernel_slot_bytes(FIAR_ALGORITHM_ONESHOT, problem->tokens,
                                            problem->hidden, problem->dtype, world);
  if (oneshot > slot_bytes) {
    return FIAR_ALGORITHM_TWOSHOT;
  }
  if (tuning->forced >= 0) {
    return (fiar_algorithm_t)tuning->forced;
  }
  int64_t bytes = problem->tokens * problem->hidden * element_bytes(problem->dtype);
  return bytes <= fiar_oneshot_max_bytes(tuning, world, problem->hidden) ? FIAR_ALGORITHM_ONESHOT
                                                                         : FIAR_ALGORITHM_TWOSHOT;
}

uint64_t fiar_slot_bytes_for(const fiar_problem_t* problem, int32_t world) {
  int64_t bytes = problem->tokens * problem->hidden * element_bytes(problem->dtype);
  uint64_t most = 0;
  for (int algorithm = FIAR_ALGORITHM_ONESHOT; algorithm <= FIAR_ALGORITHM_GATHER; ++algorithm) {
    if (algorithm == FIAR_ALGORITHM_ONESHOT && bytes > oneshot_limit) {
      continue;
    }
    uint64_t need = fiar_kernel_slot_bytes((fiar_algorithm_t)algorithm, problem->tokens,
                                           problem->hidden, problem->dtype, world);
    most = need > most ? need : most;
  }
  // Powers of two, so that slowly growing messages do not make the workspace grow at each of them.
  uint64_t slot = (uint64_t)1 << 20;
  while (slot < most) {
    slot *= 2;
  }
  return slot;
}

int64_t fiar_tuning_digest(const fiar_tuning_t* tuning) {
  uint64_t digest =
      1469598103934665603u ^ (uint64_t)(uint32_t)tuning->forced;  // FNV-1a over the fields
  for (int32_t i = 0; i < tuning->count; ++i) {
    const fiar_crossover_t* row = &tuning->rows[i];
    digest = (digest ^ (uint64_t)row->world) * 1099511628211u;
    digest = (digest ^ (uint64_t)row->hidden) * 1099511628211u;
    digest = (digest ^ (uint64_t)row->oneshot_max_bytes) * 1099511628211u;
  }
  return (int64_t)digest;
}

static fiar_status_t line_parse(const char* line, const char* name, int number,
                                fiar_tuning_t* tuning) {
  fiar_crossover_t row = {0};
  long long hidden = 0, bytes = 0;
  char rest = 0;
  line += strspn(line, " \t");
  if (*line == '\0') {
    return FIAR_OK;
  }
  int read = sscanf(line, "oneshot %d %lld %lld %c", &row.world, &hidden, &bytes, &rest);
  if (read != 3 || row.world < 2 || hidden < 1 || bytes < 0) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "%s:%d is \"%s\", must be \"oneshot WORLD HIDDEN MAX_BYTES\"", name, number,
                     line);
  }
  if ((size_t)tuning->count == FIAR_ARRAY_LENGTH(tuning->rows)) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s:%d is one row too many, at most %zu are read", name,
                     number, FIAR_ARRAY_LENGTH(tuning->rows));
  }
  row.hidden = hidden;
  row.oneshot_max_bytes = bytes;
  tuning->rows[tuning->count++] = row;
  return FIAR_OK;
}

fiar_status_t fiar_tuning_parse(const char* text, const char* name, fiar_tuning_t* tuning) {
  char line[256];
  for (int number = 1; *text != '\0'; ++number) {
    size_t length = strcspn(text, "\n");
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "#\n"), text);
    FIAR_TRY(line_parse(line, name, number, tuning));
    text += length + (text[length] == '\n');
  }
  return FIAR_OK;
}

static fiar_status_t file_parse(const char* name, fiar_tuning_t* tuning) {
  char text[8192];
  FILE* file = fopen(name, "r");
  if (!file) {
    return FIAR_FAIL(INVALID_ARGUMENT, "FIAR_TUNING_FILE is \"%s\": %s", name, strerror(errno));
  }
  size_t length = fread(text, 1, sizeof text - 1, file);
  bool whole = feof(file) != 0;
  (void)fclose(file);
  text[length] = '\0';
  if (!whole) {
    return FIAR_FAIL(INVALID_ARGUMENT, "FIAR_TUNING_FILE is \"%s\", which has more than %zu bytes",
                     name, sizeof text - 1);
  }
  return fiar_tuning_parse(text, name, tuning);
}

static _Atomic int32_t forced_by_test = -1;

void fiar_algorithm_force(int32_t algorithm) {
  forced_by_test = algorithm;
}

fiar_status_t fiar_tuning_load(fiar_tuning_t* out_tuning) {
  *out_tuning = (fiar_tuning_t){.forced = forced_by_test};
  const fiar_env_t* env = NULL;
  FIAR_TRY(fiar_env_get(&env));
  if (out_tuning->forced < 0 && strcmp(env->algorithm, "auto") != 0) {
    out_tuning->forced =
        strcmp(env->algorithm, "oneshot") == 0 ? FIAR_ALGORITHM_ONESHOT : FIAR_ALGORITHM_TWOSHOT;
  }
  return env->tuning_file[0] ? file_parse(env->tuning_file, out_tuning) : FIAR_OK;
}
