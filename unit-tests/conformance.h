// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The conformance suite: one set of cases for every backend. Internal to the tests.
//
// To add a backend: a row in conformance.def; for another kind of memory also a
// conformance_memory_t.
#ifndef FIAR_UNIT_TESTS_CONFORMANCE_H
#define FIAR_UNIT_TESTS_CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fiar/fiar.h"

// Where a backend's arrays lie. Functions work on the calling rank's device, and exit with a
// message where they cannot.
typedef fiar_status_t (*conformance_call_fn)(void* context, void* stream);

typedef struct conformance_memory {
  const char* name;
  const char* (*unavailable)(
      int32_t world);               // NULL: usable. Else why this machine cannot run the rows
  int32_t device;                   // fiar_comm_options_t.device
  void (*use)(int32_t device);      // of the communicator; before the others, in each rank
  void* (*allocate)(size_t bytes);  // aligned to 256 bytes
  void (*release)(void* at);
  void (*write)(void* at, const void* host, size_t bytes);
  void (*read)(void* host, const void* at, size_t bytes);
  // Makes the call on a stream of its choice, eagerly or through a graph, and waits for its
  // outputs.
  fiar_status_t (*issue)(conformance_call_fn call, void* context);
} conformance_memory_t;

extern const conformance_memory_t conformance_memory_host;
extern const conformance_memory_t conformance_memory_cuda;        // CUDA builds only
extern const conformance_memory_t conformance_memory_cuda_graph;  // likewise

typedef struct conformance_backend {
  const char* name;     // of the row
  const char* backend;  // fiar's
  const conformance_memory_t* memory;
  // Of the norm against the reference; in f32 the free association of the row's sum shows by
  // itself.
  int32_t ulps_after_weight, ulps_before_weight, ulps_f32;
  bool any_order;  // sums in an order of its own: cases whose sums are not exact are left out
} conformance_backend_t;

typedef enum data_kind {
  DATA_INTEGERS,
  DATA_RANDOM,
  DATA_SPECIAL,
  DATA_TINY,
  DATA_HUGE
} data_kind_t;

// Outputs that a case wants.
enum { WANT_SUM = 1, WANT_RESIDUAL = 2, WANT_NORM = 4, WANT_QUANT = 8, WANT_SCALES = 16 };

typedef struct conformance_case {
  fiar_all_reduce_norm_params params;  // without pointers
  data_kind_t data;
  uint32_t wants;
  float scale;  // 0: params.scale stays NULL
  bool residual, weight, residual_in_place, norm_in_place;
} conformance_case_t;

// How many cases there are; the first `room` of them are filled in. The same order on every rank.
size_t conformance_cases(int32_t world, conformance_case_t* cases, size_t room);

// One rank's run of one case: how many things were wrong, each told on stderr. *out_refused: 1
// where the backend says UNSUPPORTED, which is not wrong.
int conformance_check(const conformance_backend_t* backend, fiar_comm_t* comm,
                      const conformance_case_t* item, size_t number, int* out_refused);

// The two other calls: the all-reduce in place and out of place, and the gathering of rows.
int conformance_check_plain(const conformance_backend_t* backend, fiar_comm_t* comm);

void conformance_describe(const conformance_case_t* item, char* text, size_t room);

#endif  // FIAR_UNIT_TESTS_CONFORMANCE_H
