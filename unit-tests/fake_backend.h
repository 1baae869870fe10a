// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Backends without a device, to test what chooses and holds them: a fake trtllm that counts its
// openings and fails when told to, and others that refuse. Internal to the tests.
#ifndef FIAR_UNIT_TESTS_FAKE_BACKEND_H
#define FIAR_UNIT_TESTS_FAKE_BACKEND_H

#include <stdatomic.h>

#include "runtime_impl.h"

typedef struct fake_counts {
  atomic_int opened, closed, runs;
  _Atomic size_t fails_from;  // open fails on failing_rank for this many bytes and more; 0: never
  atomic_int failing_rank;
} fake_counts_t;
extern fake_counts_t fake_counts;

extern const fiar_backend_t fake_trtllm;  // serves all; runs nothing
extern const fiar_backend_t fake_nccl;    // likewise, but does not count
extern const fiar_backend_t fake_picky;   // called mnnvl; refuses everything

#endif  // FIAR_UNIT_TESTS_FAKE_BACKEND_H
