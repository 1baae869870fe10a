// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "comm/launcher.h"

#include <stdio.h>
#include <string.h>

#include "fiar/runtime.h"

typedef struct launcher_row {
  const char *name, *rank, *size, *local_rank, *local_size;
} launcher_row_t;

static const launcher_row_t launchers[] = {
#define X(launcher, rank, size, local_rank, local_size) \
  {launcher, rank, size, local_rank, local_size},
#include "comm/launcher.def"
#undef X
};

static const char* value_of(fiar_env_lookup_fn lookup, const char* name) {
  const char* text = *name != '\0' ? lookup(name) : NULL;
  return text && *text != '\0' ? text : NULL;
}

// An optional variable: fallback where it is not set.
static fiar_status_t read_int(fiar_env_lookup_fn lookup, const char* name, int64_t least,
                              int64_t most, int64_t fallback, int64_t* out_value) {
  const char* text = value_of(lookup, name);
  *out_value = fallback;
  return text ? fiar_parse_int(name, text, least, most, out_value) : FIAR_OK;
}

// Ranks on this host. Slurm writes "4(x2)" or "4,3", of which the leading number will do: it is the
// number of ranks exactly where one host has them all.
static fiar_status_t read_local_size(fiar_env_lookup_fn lookup, const char* name, int64_t world,
                                     int64_t* out_value) {
  char number[32] = "";
  const char* text = value_of(lookup, name);
  *out_value = world;
  if (!text) {
    return FIAR_OK;
  }
  (void)snprintf(number, sizeof number, "%.*s", (int)strcspn(text, "(,"), text);
  return fiar_parse_int(name, number, 1, INT32_MAX, out_value);
}

static void name_job(fiar_env_lookup_fn lookup, long parent, char* job, size_t room) {
  static const char* const variables[][3] = {
#define X(first, second, third) {first, second, third},
      FIAR_JOB_VARIABLES(X)
#undef X
  };
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(variables); ++i) {
    const char* first = value_of(lookup, variables[i][0]);
    const char* second = value_of(lookup, variables[i][1]);
    const char* third = value_of(lookup, variables[i][2]);
    if (first) {
      (void)snprintf(job, room, "%s=%s,%s,%s", variables[i][0], first, second ? second : "",
                     third ? third : "");
      return;
    }
  }
  (void)snprintf(job, room, "parent=%ld", parent);
}

fiar_status_t fiar_launcher_read(fiar_env_lookup_fn lookup, long parent,
                                 fiar_launcher_t* out_launcher) {
  *out_launcher = (fiar_launcher_t){.rank = 0, .world = 1, .local_rank = -1};
  const launcher_row_t* row = NULL;
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(launchers) && !row; ++i) {
    const launcher_row_t* candidate = &launchers[i];
    const bool complete = value_of(lookup, candidate->rank) && value_of(lookup, candidate->size);
    row = complete ? candidate : NULL;
  }
  // Only for these: a batch script under Slurm has a rank without being one.
  if (!row && value_of(lookup, launchers[0].rank)) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s is \"%s\", but %s is not set", launchers[0].rank,
                     lookup(launchers[0].rank), launchers[0].size);
  }
  name_job(lookup, parent, out_launcher->job, sizeof out_launcher->job);
  if (!row) {
    return FIAR_OK;
  }
  int64_t world, rank, local_rank, local_size;
  FIAR_TRY(read_int(lookup, row->size, 1, FIAR_MAX_WORLD, 1, &world));
  FIAR_TRY(read_int(lookup, row->rank, 0, world - 1, 0, &rank));
  FIAR_TRY(read_int(lookup, row->local_rank, 0, world - 1, -1, &local_rank));
  FIAR_TRY(read_local_size(lookup, row->local_size, world, &local_size));
  if (local_size < world) {
    return FIAR_FAIL(
        UNSUPPORTED,
        "%s is %lld, but only %s = %lld of them are on this host; ranks of several hosts "
        "make their communicator from an all-gather callback or an ncclComm_t",
        row->size, (long long)world, row->local_size, (long long)local_size);
  }
  out_launcher->world = (int32_t)world;
  out_launcher->rank = (int32_t)rank;
  out_launcher->local_rank = (int32_t)local_rank;
  return FIAR_OK;
}
