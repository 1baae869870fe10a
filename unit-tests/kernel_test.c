// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The kernels against the reference, without the rest of the runtime: on a GPU for each rank where
// there are enough, else with all ranks on one.
//
// kernel_test [--world N] [--cases N] [--seed N] [--one-gpu] [--only NAME]
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/reference.h"
#include "kernel_case.h"

typedef struct options {
  int world, cases, one_gpu;
  uint32_t seed;
  const char* only;
} options_t;

enum { ARENA_BYTES = 48 << 20, SLOT_BYTES = 64 << 20 };
static const uint64_t timeout_ns = 10000000000u;

// ---- One call at a time ----

static int random_cases(const options_t* options, fiar_dtype_t dtype) {
  ranks_t ranks;
  ranks_open(&ranks, options->world, SLOT_BYTES, ARENA_BYTES, timeout_ns, options->one_gpu);
  random_t random = {options->seed + (uint32_t)dtype};
  int failed = 0, worst_ulps = 0;
  for (int i = 0; i < options->cases && failed < 5; ++i) {
    const kernel_case_t test = case_random(&random, dtype, options->world);
    failed += case_check(&test, &ranks, &worst_ulps);
    for (int r = 0; r < options->world; ++r) {
      die_if(*ranks.rank[r].peers.host_error != 0, "a wait expired", __LINE__);
    }
  }
  if (!ranks_slots_are_empty(&ranks)) {
    printf("  FAILED: slots are not empty after the calls\n");
    ++failed;
  }
  printf("  %d cases, norms at most %d ulp apart\n", options->cases, worst_ulps);
  ranks_close(&ranks);
  return failed;
}

static int f16_calls_match_the_reference(const options_t* options) {
  return random_cases(options, FIAR_DTYPE_F16);
}
static int bf16_calls_match_the_reference(const options_t* options) {
  return random_cases(options, FIAR_DTYPE_BF16);
}
static int f32_calls_match_the_reference(const options_t* options) {
  return random_cases(options, FIAR_DTYPE_F32);
}

// Whether the call, without the norm where there are codes, is served by a kernel that draws.
static int draws(const kernel_case_t* test, const ranks_t* ranks) {
  kernel_case_t call = *test;
  call.wants |= call.params.quant != FIAR_QUANT_NONE ? CASE_NO_NORM : 0;
  const case_layout_t layout = case_layout(&call, ranks->world);
  const fiar_all_reduce_norm_params params = case_params(&layout, ranks->rank[0].arena);
  fiar_kernel_args_t args;
  fiar_kernel_shape_t shape;
  fiar_kernel_args_init(&params, &ranks->rank[0].peers, 0, &args);
  fiar_kernel_shape(call.algorithm, &args, &ranks->caps, &shape);
  const fiar_kernel_t* kernel = fiar_kernel_find(call.algorithm, &args, &shape, ranks->caps.sm);
  return kernel && (kernel->traits & (uint32_t)FIAR_TRAIT_DRAWS) != 0;
}

// Long calls on few multiprocessors, so that two clusters, or three, draw the rows: every format
// with the norm and, by the kernels that draw, without. Rows in blocks have no kernel that draws.
static int long_calls_match_the_reference(const options_t* options) {
  static const struct {
    fiar_algorithm_t algorithm;
    fiar_residual_layout_t residual;
  } calls[] = {{FIAR_ALGORITHM_TWOSHOT, FIAR_RESIDUAL_LAYOUT_FULL},
               {FIAR_ALGORITHM_SHARDED, FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD},
               {FIAR_ALGORITHM_SHARDED, FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK}};
  ranks_t ranks;
  ranks_open(&ranks, options->world, SLOT_BYTES, ARENA_BYTES, timeout_ns, options->one_gpu);
  int failed = 0, worst_ulps = 0, cases = 0, drawn = 0;
  for (int few = CASE_FEW; few <= CASE_FEW + 1; ++few) {
    for (int dtype = FIAR_DTYPE_F16; dtype <= FIAR_DTYPE_BF16; ++dtype) {
      for (int quant = 0; quant < FIAR_QUANT_COUNT; ++quant) {
        for (size_t a = 0; a < sizeof calls / sizeof *calls; ++a) {
          kernel_case_t test = case_long(calls[a].algorithm, (fiar_dtype_t)dtype,
                                         (fiar_quant_t)quant, options->seed);
          test.params.residual_layout = (uint8_t)calls[a].residual;
          case_set_tokens(&test, test.params.tokens, options->world);
          ranks.caps.sm_count = few;
          drawn += draws(&test, &ranks);
          failed += case_check(&test, &ranks, &worst_ulps);
          ++cases;
        }
      }
    }
  }
  const int some = options->world == 4 || options->world == 8;  // kernels that draw (table.cuh)
  if (ranks.caps.sm >= 90 && ranks.caps.sm < 120 && (drawn > 0) != some) {
    printf("  FAILED: %d calls were drawn\n", drawn);
    ++failed;
  }
  if (!ranks_slots_are_empty(&ranks)) {
    printf("  FAILED: slots are not empty after the calls\n");
    ++failed;
  }
  printf("  %d cases, of which %d drawn, norms at most %d ulp apart\n", cases, drawn, worst_ulps);
  ranks_close(&ranks);
  return failed;
}

// ---- Many calls in flight ----

enum { CALLS = 64 };
typedef struct sequence {
  kernel_case_t test[CALLS];
  case_layout_t layout[CALLS];
  size_t at[CALLS], bytes;
} sequence_t;

// Every eighth call is long, and launched so that clusters draw its rows.
static int is_long(int i) {
  return i % 8 == 0;
}

static void sequence_make(sequence_t* sequence, random_t* random, int world, size_t room) {
  sequence->bytes = 0;
  for (int i = 0; i < CALLS; ++i) {
    do {
      sequence->test[i] =
          is_long(i) ? case_long(i % 16 == 0 ? FIAR_ALGORITHM_TWOSHOT : FIAR_ALGORITHM_SHARDED,
                                 FIAR_DTYPE_BF16, (fiar_quant_t)(i / 8 % FIAR_QUANT_COUNT),
                                 random_next(random))
                     : case_random(random, FIAR_DTYPE_BF16, world);
      sequence->test[i].wants &= ~(uint32_t)(CASE_IN_PLACE | CASE_SPECIALS);
      if (!is_long(i)) {
        case_set_tokens(&sequence->test[i], 1 + sequence->test[i].params.tokens % 9, world);
      } else if (sequence->test[i].params.quant != FIAR_QUANT_NONE) {
        sequence->test[i].wants = CASE_NO_NORM;  // as the kernels that draw are called
      }
      sequence->layout[i] = case_layout(&sequence->test[i], world);
    } while (sequence->bytes + sequence->layout[i].bytes > room);
    sequence->at[i] = sequence->bytes;
    sequence->bytes += (sequence->layout[i].bytes + 255) / 256 * 256;
  }
}

static void sequence_fill(const sequence_t* sequence, const ranks_t* ranks, unsigned char* arena) {
  for (int r = 0; r < ranks->world; ++r) {
    for (int i = 0; i < CALLS; ++i) {
      case_fill(&sequence->test[i], &sequence->layout[i], ranks->world, r, arena + sequence->at[i]);
    }
    CUDA_OR_DIE(cudaMemcpy(ranks->rank[r].arena, arena, sequence->bytes, cudaMemcpyHostToDevice));
  }
  ranks_settle(ranks);
}

static void sequence_read(const sequence_t* sequence, const ranks_t* ranks,
                          unsigned char** arenas) {
  ranks_wait(ranks);
  for (int r = 0; r < ranks->world; ++r) {
    CUDA_OR_DIE(
        cudaMemcpy(arenas[r], ranks->rank[r].arena, sequence->bytes, cudaMemcpyDeviceToHost));
  }
}

static int sequence_same(const sequence_t* sequence, unsigned char** a, unsigned char** b,
                         int world) {
  for (int r = 0; r < world; ++r) {
    for (int i = 0; i < CALLS; ++i) {
      if (memcmp(a[r] + sequence->at[i], b[r] + sequence->at[i], sequence->layout[i].bytes) != 0) {
        printf("  FAILED: call %d differs on rank %d from the same call alone: %s\n", i, r,
               case_text(&sequence->test[i], world));
        return 0;
      }
    }
  }
  return 1;
}

static void launch_one(const sequence_t* sequence, int i, const ranks_t* ranks) {
  ranks_t few = *ranks;
  few.caps.sm_count = is_long(i) ? CASE_FEW : ranks->caps.sm_count;
  case_launch(&sequence->test[i], &sequence->layout[i], &few, sequence->at[i]);
}

typedef struct flight {
  ranks_t ranks;
  sequence_t sequence;
  unsigned char *alone[FIAR_KERNEL_MAX_WORLD], *got[FIAR_KERNEL_MAX_WORLD];
} flight_t;

// Runs the calls one by one first: the single-call tests vouch for those results.
static void flight_open(flight_t* flight, const options_t* options) {
  random_t random = {options->seed + 77};
  ranks_open(&flight->ranks, options->world, SLOT_BYTES, ARENA_BYTES, timeout_ns, options->one_gpu);
  sequence_make(&flight->sequence, &random, options->world, ARENA_BYTES);
  for (int r = 0; r < options->world; ++r) {
    flight->alone[r] = malloc(flight->sequence.bytes);
    flight->got[r] = malloc(flight->sequence.bytes);
    die_if(!flight->alone[r] || !flight->got[r], "malloc", __LINE__);
  }
  sequence_fill(&flight->sequence, &flight->ranks, flight->got[0]);
  for (int i = 0; i < CALLS; ++i) {
    launch_one(&flight->sequence, i, &flight->ranks);
    ranks_wait(&flight->ranks);
  }
  sequence_read(&flight->sequence, &flight->ranks, flight->alone);
  sequence_fill(&flight->sequence, &flight->ranks, flight->got[0]);
}

static void flight_close(flight_t* flight) {
  for (int r = 0; r < flight->ranks.world; ++r) {
    free(flight->alone[r]);
    free(flight->got[r]);
  }
  ranks_close(&flight->ranks);
}

static int back_to_back_calls_of_any_kind_do_not_disturb_each_other(const options_t* options) {
  static flight_t flight;
  flight_open(&flight, options);
  random_t random = {options->seed};
  for (int i = 0; i < 10 * CALLS; ++i) {
    launch_one(&flight.sequence, (int)random_below(&random, CALLS), &flight.ranks);
  }
  for (int i = 0; i < CALLS; ++i) {
    launch_one(&flight.sequence, i, &flight.ranks);
  }
  sequence_read(&flight.sequence, &flight.ranks, flight.got);
  int ok = sequence_same(&flight.sequence, flight.alone, flight.got, options->world) &&
           ranks_slots_are_empty(&flight.ranks);
  flight_close(&flight);
  return !ok;
}

// Captures calls first .. first + count - 1 of every rank's stream.
static void capture(const flight_t* flight, int first, int count, cudaGraphExec_t* out_graphs) {
  for (int r = 0; r < flight->ranks.world; ++r) {
    CUDA_OR_DIE(cudaSetDevice(flight->ranks.rank[r].device));
    CUDA_OR_DIE(cudaStreamBeginCapture(flight->ranks.rank[r].stream, cudaStreamCaptureModeRelaxed));
  }
  for (int i = first; i < first + count; ++i) {
    launch_one(&flight->sequence, i, &flight->ranks);
  }
  for (int r = 0; r < flight->ranks.world; ++r) {
    cudaGraph_t graph;
    CUDA_OR_DIE(cudaSetDevice(flight->ranks.rank[r].device));
    CUDA_OR_DIE(cudaStreamEndCapture(flight->ranks.rank[r].stream, &graph));
    CUDA_OR_DIE(cudaGraphInstantiate(&out_graphs[r], graph, 0));
    CUDA_OR_DIE(cudaGraphDestroy(graph));
  }
}

static int graphs_replay_in_any_order(const options_t* options) {
  enum { PIECES = 8, PIECE = CALLS / PIECES };
  static flight_t flight;
  cudaGraphExec_t graphs[PIECES][FIAR_KERNEL_MAX_WORLD];
  flight_open(&flight, options);
  for (int piece = 0; piece < PIECES; ++piece) {
    // Odd lengths too, so that pieces start in either slot.
    capture(&flight, piece * PIECE, PIECE - piece % 2, graphs[piece]);
  }
  random_t random = {options->seed + 5};
  for (int i = 0; i < 12 * PIECES; ++i) {
    const int piece = (int)random_below(&random, PIECES);
    for (int r = 0; r < options->world; ++r) {
      CUDA_OR_DIE(cudaSetDevice(flight.ranks.rank[r].device));
      CUDA_OR_DIE(cudaGraphLaunch(graphs[piece][r], flight.ranks.rank[r].stream));
    }
    launch_one(&flight.sequence, (int)random_below(&random, CALLS), &flight.ranks);
  }
  for (int i = 0; i < CALLS; ++i) {
    launch_one(&flight.sequence, i, &flight.ranks);
  }
  sequence_read(&flight.sequence, &flight.ranks, flight.got);
  int ok = sequence_same(&flight.sequence, flight.alone, flight.got, options->world);
  for (int piece = 0; piece < PIECES; ++piece) {
    for (int r = 0; r < options->world; ++r) {
      CUDA_OR_DIE(cudaGraphExecDestroy(graphs[piece][r]));
    }
  }
  flight_close(&flight);
  return !ok;
}

// ---- Dependent launch ----

// A chain in which each call's input is the call before's norm: a kernel that reads before its
// dependency wait, or lets the next start reading early, gets stale numbers.
static void run_chain(const ranks_t* ranks, uint32_t flags, int64_t tokens, unsigned char** out) {
  enum { LENGTH = 50 };
  const int64_t hidden = 4096;
  const size_t bytes = (size_t)(tokens * hidden) * 2;
  random_t random = {3};
  uint16_t* host = malloc(bytes);
  die_if(!host, "malloc", __LINE__);
  for (int r = 0; r < ranks->world; ++r) {
    for (int64_t i = 0; i < tokens * hidden; ++i) {
      host[i] = fiar_f32_to_bf16((float)random_below(&random, 2000) / 1000.0f - 1.0f);
    }
    CUDA_OR_DIE(cudaSetDevice(ranks->rank[r].device));
    CUDA_OR_DIE(cudaMemcpy(ranks->rank[r].arena, host, bytes, cudaMemcpyHostToDevice));
    CUDA_OR_DIE(cudaMemset(ranks->rank[r].arena + bytes, 0, 2 * bytes));
    CUDA_OR_DIE(cudaDeviceSynchronize());
  }
  free(host);
  for (int step = 0; step < LENGTH; ++step) {
    for (int r = 0; r < ranks->world; ++r) {
      const rank_memory_t* rank = &ranks->rank[r];
      unsigned char* arena = rank->arena;
      fiar_all_reduce_norm_params p = {.struct_size = sizeof p,
                                       .tokens = tokens,
                                       .hidden = hidden,
                                       .dtype = FIAR_DTYPE_BF16,
                                       .weight_dtype = FIAR_DTYPE_BF16,
                                       .eps = 1e-6f,
                                       .input = arena + (step % 2 ? bytes : 0),
                                       .norm_out = arena + (step % 2 ? 0 : bytes),
                                       .residual = arena + 2 * bytes,
                                       .residual_out = arena + 2 * bytes};
      fiar_kernel_args_t args;
      fiar_kernel_args_init(&p, &rank->peers, flags, &args);
      CUDA_OR_DIE(cudaSetDevice(rank->device));
      const fiar_algorithm_t algorithm = step % 3 == 2 ? FIAR_ALGORITHM_LOCAL
                                         : step % 3    ? FIAR_ALGORITHM_TWOSHOT
                                                       : FIAR_ALGORITHM_ONESHOT;
      FIAR_OR_DIE(fiar_launch(algorithm, &args, &ranks->caps, NULL, rank->stream));
    }
  }
  ranks_wait(ranks);
  for (int r = 0; r < ranks->world; ++r) {
    CUDA_OR_DIE(cudaMemcpy(out[r], ranks->rank[r].arena, 3 * bytes, cudaMemcpyDeviceToHost));
  }
}

static int dependent_launch_changes_no_bit(const options_t* options) {
  enum { MODES = 3 };
  static const uint32_t flags[MODES] = {0, FIAR_LAUNCH_PDL,
                                        FIAR_LAUNCH_PDL | FIAR_LAUNCH_EARLY_RELEASE};
  static const int64_t sizes[] = {1, 16, 150};
  ranks_t ranks;
  unsigned char* out[MODES][FIAR_KERNEL_MAX_WORLD];
  int failed = 0;
  ranks_open(&ranks, options->world, SLOT_BYTES, ARENA_BYTES, timeout_ns, options->one_gpu);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
    const size_t bytes = (size_t)sizes[s] * 4096 * 2 * 3;
    for (int mode = 0; mode < MODES; ++mode) {
      for (int r = 0; r < options->world; ++r) {
        out[mode][r] = malloc(bytes);
        die_if(!out[mode][r], "malloc", __LINE__);
      }
      run_chain(&ranks, flags[mode], sizes[s], out[mode]);
    }
    for (int mode = 0; mode < MODES; ++mode) {
      for (int r = 0; r < options->world; ++r) {
        if (memcmp(out[0][r], out[mode][r], bytes) != 0) {
          printf("  FAILED: flags %u give other bits on rank %d with %lld tokens\n", flags[mode], r,
                 (long long)sizes[s]);
          failed = 1;
        }
      }
    }
    for (int mode = 0; mode < MODES; ++mode) {
      for (int r = 0; r < options->world; ++r) {
        free(out[mode][r]);
      }
    }
  }
  ranks_close(&ranks);
  return failed;
}

// ---- A rank that does not come ----

static int a_missing_rank_is_named_within_the_bound(const options_t* options) {
  static const struct {
    fiar_algorithm_t algorithm;
    int few;  // multiprocessors, so that rows are drawn; 0: as many as there are
  } calls[] = {{FIAR_ALGORITHM_ONESHOT, 0},
               {FIAR_ALGORITHM_TWOSHOT, 0},
               {FIAR_ALGORITHM_SHARDED, 0},
               {FIAR_ALGORITHM_TWOSHOT, CASE_FEW},
               {FIAR_ALGORITHM_SHARDED, CASE_FEW}};
  int failed = 0;
  for (size_t a = 0; a < sizeof calls / sizeof *calls; ++a) {
    const int absent = options->world - 1;
    ranks_t ranks;
    ranks_open(&ranks, options->world, SLOT_BYTES, ARENA_BYTES, 30000000u, options->one_gpu);
    ranks.caps.sm_count = calls[a].few ? calls[a].few : ranks.caps.sm_count;
    const kernel_case_t test =
        case_long(calls[a].algorithm, FIAR_DTYPE_BF16, FIAR_QUANT_NONE, options->seed);
    const case_layout_t layout = case_layout(&test, options->world);
    ranks_t present = ranks;
    present.world = absent;  // launches on these alone; each still has all peers
    case_launch(&test, &layout, &present, 0);
    case_launch(&test, &layout, &present, 0);  // finds the error and does not wait again
    ranks_wait(&ranks);
    for (int r = 0; r < absent; ++r) {
      const uint64_t error = *ranks.rank[r].peers.host_error;
      fiar_status_t status = fiar_launch_wait_status(error, options->world, 30000000u);
      const int named = FIAR_WAIT_ERROR_RANK(error);
      // In two hops an owner that waits in vain keeps others waiting for itself.
      const int blamed = test.algorithm == FIAR_ALGORITHM_ONESHOT ? named == absent : named >= 0;
      if (status != FIAR_TIMEOUT || !blamed) {
        printf("  FAILED: algorithm %d, rank %d: status %s, rank %d\n", (int)test.algorithm, r,
               fiar_status_name(status), named);
        failed = 1;
      }
    }
    ranks_close(&ranks);
  }
  return failed;
}

// ---- Main ----

typedef struct claim {
  const char* name;
  int (*run)(const options_t*);
} claim_t;
#define CLAIM(name) \
  { #name, name }
static const claim_t claims[] = {
    CLAIM(bf16_calls_match_the_reference),
    CLAIM(f16_calls_match_the_reference),
    CLAIM(f32_calls_match_the_reference),
    CLAIM(long_calls_match_the_reference),
    CLAIM(back_to_back_calls_of_any_kind_do_not_disturb_each_other),
    CLAIM(graphs_replay_in_any_order),
    CLAIM(dependent_launch_changes_no_bit),
    CLAIM(a_missing_rank_is_named_within_the_bound),
};

static options_t parse(int argc, char** argv) {
  options_t options = {.world = 2, .cases = 150, .seed = 1};
  for (int i = 1; i < argc; ++i) {
    const char* value = i + 1 < argc ? argv[i + 1] : "0";
    if (strcmp(argv[i], "--one-gpu") == 0) {
      options.one_gpu = 1;
    } else if (strcmp(argv[i], "--world") == 0) {
      options.world = atoi(value);
    } else if (strcmp(argv[i], "--cases") == 0) {
      options.cases = atoi(value);
    } else if (strcmp(argv[i], "--seed") == 0) {
      options.seed = (uint32_t)atoi(value);
    } else if (strcmp(argv[i], "--only") == 0) {
      options.only = value;
    }
  }
  return options;
}

int main(int argc, char** argv) {
  const options_t options = parse(argc, argv);
  int devices = 0, failed = 0, ran = 0;
  (void)setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);  // a hardware queue a rank
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    printf("skipped: no CUDA device answers\n");
    return 77;
  }
  for (size_t i = 0; i < sizeof claims / sizeof *claims; ++i) {
    if (!options.only || strstr(claims[i].name, options.only)) {
      printf("%s, %d ranks\n", claims[i].name, options.world);
      (void)fflush(stdout);
      int wrong = claims[i].run(&options);
      printf("  %s\n", wrong ? "FAILED" : "ok");
      (void)fflush(stdout);
      failed += wrong != 0;
      ++ran;
    }
  }
  printf("%d of %d claims hold with %d ranks on %d GPUs\n", ran - failed, ran, options.world,
         devices);
  return failed || !ran ? 1 : 0;
}
