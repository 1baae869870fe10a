// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs a test body on N ranks, as processes (this program started again once for each) or as
// threads, with a time limit. Bodies do not use cmocka's assertions, which know one thread of one
// process: they print what is wrong and return nonzero.
#ifndef FIAR_UNIT_TESTS_RANKS_H
#define FIAR_UNIT_TESTS_RANKS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "fiar/fiar.h"

typedef struct ranks_self {
  int32_t rank, world;
  const char* argument;  // of ranks_run_t, never NULL
  fiar_comm_t* comm;     // threads: made by the harness; processes: NULL, see ranks_comm
} ranks_self_t;

typedef int (*ranks_body_fn)(const ranks_self_t* self);
typedef struct ranks_body {
  const char* name;
  ranks_body_fn run;
} ranks_body_t;
#define RANKS_BODY(function) \
  { #function, function }

// Call first thing in main, with every body that ranks_run may be asked for. Does not return in a
// process that was started as a rank.
void ranks_main(const ranks_body_t* bodies, size_t count);

typedef struct ranks_run {
  const char* body;
  const char* argument;  // NULL: ""
  int32_t world;
  int threads;                         // else processes
  uint32_t absent;                     // bit r: rank r is not started (processes only)
  int32_t timeout_ms;                  // of the whole; 0: 60 s. Ranks that are left then are killed
  const char* const* environment;      // NULL-terminated "NAME=value"s for every process, or NULL
  const fiar_comm_options_t* options;  // of the threads' communicators, or NULL
} ranks_run_t;

enum { RANKS_KILLED = 1000, RANKS_LATE = 2000 };  // plus the signal's number; the limit ran out

// results[r]: what rank r's body returned, 0 for absent ones. Returns how many were not 0.
int ranks_run(const ranks_run_t* run, int* results);

// The communicator of a rank, made from the environment in a process. The caller destroys a
// process's.
fiar_status_t ranks_comm(const ranks_self_t* self, fiar_comm_t** out_comm);

// In bodies: says where and why, and leaves with 1.
#define RANKS_CHECK(condition, ...)                                                              \
  do {                                                                                           \
    if (!(condition)) {                                                                          \
      (void)fprintf(stderr, "%s:%d: rank %d: %s: ", __FILE__, __LINE__, self->rank, #condition); \
      (void)fprintf(stderr, __VA_ARGS__);                                                        \
      (void)fputc('\n', stderr);                                                                 \
      return 1;                                                                                  \
    }                                                                                            \
  } while (0)
#define RANKS_OK(call) RANKS_CHECK((call) == FIAR_OK, "%s", fiar_last_error())

#endif  // FIAR_UNIT_TESTS_RANKS_H
