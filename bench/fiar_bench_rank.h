// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-bench: one rank's view of a run, and the steps of a point. Internal.
#ifndef FIAR_BENCH_RANK_H
#define FIAR_BENCH_RANK_H

#include "fiar/abi.h"
#include "fiar_bench.h"
#include "fiar_bench_device.h"
#include "runtime_impl.h"

typedef struct bench_rank {
  const bench_options_t* options;
  fiar_comm_t* team;  // gathers and barriers between the ranks, and matmuls
  int32_t rank, world;
  int32_t ordinal;  // of the device, or FIAR_DEVICE_NONE
  const bench_device_t* device;
  void* state;  // the device's
} bench_rank_t;

// Runs `body` once a rank, as the options say, and returns the first failure of any of them. A
// failed rank has said so on stderr.
typedef fiar_status_t (*bench_body_fn)(bench_rank_t* rank);
fiar_status_t bench_ranks_run(const bench_options_t* options, bench_body_fn body);

// Collective. A communicator of the same ranks and devices for fiar's calls on `backend`.
fiar_status_t bench_comm_create(bench_rank_t* rank, const char* backend, fiar_comm_t** out_comm);

// ---- A point's arrays ----

enum { BENCH_MAX_SETS = 8 };

// One call and the scratch arrays that unfused programs need beside it.
typedef struct bench_call {
  fiar_all_reduce_norm_params params;
  void* sum;   // [tokens, hidden] dtype
  void* norm;  // [tokens, hidden] dtype
} bench_call_t;

typedef struct bench_arrays {
  bench_call_t calls[BENCH_MAX_SETS];
  int sets;
  void* check_norm;  // the norm of a call that is timed without one
  int64_t residual_rows;
  size_t residual_bytes, norm_bytes, codes_bytes, scales_bytes;
} bench_arrays_t;

// Bytes of arena that the point needs on this rank; the same on all ranks.
size_t bench_arrays_bytes(const bench_rank_t* rank, const bench_case_t* point);

// Lays the point's arrays out in the arena and fills the inputs.
fiar_status_t bench_arrays_init(bench_rank_t* rank, const bench_case_t* point, void* arena,
                                bench_arrays_t* out_arrays);

// What fills rank `of`'s input of a set, and the whole residual of a set: the check makes rows of
// them for the oracle.
bench_fill_t bench_input_fill(const bench_case_t* point, int32_t world, int32_t of, int set);
bench_fill_t bench_residual_fill(const bench_case_t* point, int set);
bench_fill_t bench_weight_fill(const bench_case_t* point);
float bench_scale_value(const bench_case_t* point);

// ---- Implementations ----

typedef struct bench_impl bench_impl_t;
struct bench_impl {
  const char* name;
  bool baseline;
  int64_t setting;  // of fiar's: the algorithm that is forced, or -1

  // Collective. UNAVAILABLE or UNSUPPORTED, with the reason, where it cannot run here.
  fiar_status_t (*open)(bench_rank_t* rank, const bench_impl_t* impl, void** out_state);
  fiar_status_t (*run)(void* state, const bench_call_t* call, void* stream);
  fiar_status_t (*async_error)(void* state);  // NULL: never
  const char* (*served_by)(void* state);      // the backend of the latest call; NULL: the name
  // Collective. Memory that this implementation needs the points' arrays in; it frees it. NULL:
  // any.
  fiar_status_t (*make_arena)(void* state, size_t bytes, void** out_arena);
  void (*close)(void* state);  // of a state that open gave
};

// The table, in the order of the columns; --impl names its rows.
enum {
  BENCH_IMPL_FIAR,
  BENCH_IMPL_ONESHOT,
  BENCH_IMPL_TWOSHOT,
  BENCH_IMPL_NCCL,
  BENCH_IMPL_NCCL_SEPARATE,
  BENCH_IMPL_NCCL_SYMMETRIC,
  BENCH_IMPL_COUNT
};
extern const bench_impl_t* const bench_impls[BENCH_IMPL_COUNT];
extern const bench_impl_t bench_impl_nccl_separate;
extern const bench_impl_t bench_impl_nccl_symmetric;

typedef struct bench_gemm bench_gemm_t;  // fiar_bench_gemm.h

// ---- Steps ----

typedef struct bench_result {
  bool served;             // else `reason` says why not
  double us;               // median over the replays of a call's time
  double low_us, high_us;  // 10th and 90th percentile
  double least_us;         // the median with the shortest of the ranks' times, whatever --over says
  double host_us;          // median of a call's time on the calling thread
  int sets;                // of arrays that the chain goes round
  char backend[24];
  char reason[200];
} bench_result_t;

// Collective. Runs set 0 once with every output wanted and once as it is timed, and compares with
// the oracle and between the ranks (docs/bench.md, "What is checked"). *out_hash is of the timed
// call's outputs. MISMATCH names the array, row and element.
fiar_status_t bench_check(bench_rank_t* rank, const bench_impl_t* impl, void* impl_state,
                          const bench_case_t* point, const bench_arrays_t* arrays,
                          uint64_t* out_hash);
// The hash of a call's outputs as they now are.
fiar_status_t bench_outputs_hash(bench_rank_t* rank, const bench_arrays_t* arrays,
                                 const bench_call_t* call, uint64_t* out_hash);
fiar_status_t bench_outputs_poison(bench_rank_t* rank, const bench_arrays_t* arrays,
                                   const bench_call_t* call);

// Collective. Times chains of calls that go round the point's sets, each call between its matmuls
// where gemm is not NULL (fiar_bench_gemm.h).
fiar_status_t bench_time_point(bench_rank_t* rank, const bench_impl_t* impl, void* impl_state,
                               const bench_case_t* point, const bench_arrays_t* arrays,
                               const bench_gemm_t* gemm, bench_result_t* out_result);

// The body of a sweep: opens, checks, times, prints and writes what the options ask for. MISMATCH
// where any result was wrong.
fiar_status_t bench_sweep(bench_rank_t* rank);

#endif  // FIAR_BENCH_RANK_H
