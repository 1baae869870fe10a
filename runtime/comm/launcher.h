// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Who this process is, by what its launcher left in the environment. Internal.
#ifndef FIAR_COMM_LAUNCHER_H
#define FIAR_COMM_LAUNCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"

typedef struct fiar_launcher {
  int32_t rank, world;
  int32_t local_rank;  // -1: not said
  char job[512];       // equal for the ranks of one job, different between jobs of one host
} fiar_launcher_t;

// Variables that tell jobs apart, in order of preference: X(first, and all that go with it).
#define FIAR_JOB_VARIABLES(X)                            \
  X("FIAR_JOB_ID", "", "")                               \
  X("MASTER_PORT", "MASTER_ADDR", "TORCHELASTIC_RUN_ID") \
  X("PMIX_NAMESPACE", "", "")                            \
  X("SLURM_JOB_ID", "SLURM_STEP_ID", "")
#define FIAR_JOB_VARIABLES_TEXT \
  "`FIAR_JOB_ID`, `MASTER_PORT` (with `MASTER_ADDR` and `TORCHELASTIC_RUN_ID`), `PMIX_NAMESPACE`, `SLURM_JOB_ID` (with `SLURM_STEP_ID`)"

// Pure but for `parent`, the launcher's process id: the last resort to tell jobs apart. A lone
// process, with none of the variables set, is rank 0 of 1. UNSUPPORTED: ranks on several hosts.
fiar_status_t fiar_launcher_read(fiar_env_lookup_fn lookup, long parent,
                                 fiar_launcher_t* out_launcher);

#endif  // FIAR_COMM_LAUNCHER_H
