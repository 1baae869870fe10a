// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Times the fp8 MLP block that block_compile.sh compiled, as one rank of a launched job: decode
// steps in CUDA graphs, fused by fiar's own backends and by NCCL, against the same block of
// separate calls, and against the sum of its parts, each measured alone. Built and run by
// block_gpu.sh; with -DWITH_CUDA=0 it runs the same calls on the host, for a look at itself.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fiar/fiar.h"
#include "mlp.h"
#include "mlp_separate.h"

#ifndef WITH_CUDA
#define WITH_CUDA 1
#endif
#if WITH_CUDA
#include <cuda_runtime_api.h>
#else
typedef void* cudaStream_t;
#endif

enum { CALLS = 20, REPLAYS = 30, TOKEN_COUNTS = 4, RESULTS = 2, MAX_COPIES = 64 };
static const int64_t token_counts[TOKEN_COUNTS] = {1, 4, 16, 64};
static const uint64_t pool_bytes = (uint64_t)256
                                   << 20;  // more than any L2, so weights come from memory

typedef struct bench {
  int64_t hidden, inner;  // inner: this rank's part
  fiar_comm_t *own, *nccl;
  int rank, world;
  int calls, replays;
  cudaStream_t stream;
  // Arguments and results of the block, in the order of its parameters.
  void *attn, *residual, *norm_weight, *next_norm_weight, *x_scale, *w_scale, *wo, *w_gate, *w_up,
      *w_down, *norm, *residual_out, *packed, *separate_packed, *arena;
  size_t arena_bytes;
  void *pool, *codes, *wide, *half;  // of the parts
} bench_t;

#define MUST(expression)                                                        \
  do {                                                                          \
    if ((expression) != FIAR_OK) {                                              \
      fprintf(stderr, "block_bench: %s: %s\n", #expression, fiar_last_error()); \
      exit(1);                                                                  \
    }                                                                           \
  } while (0)
#define MUST_CUDA(expression)                                                                \
  do {                                                                                       \
    cudaError_t must_error = (expression);                                                   \
    if (must_error != cudaSuccess) {                                                         \
      fprintf(stderr, "block_bench: %s: %s\n", #expression, cudaGetErrorString(must_error)); \
      exit(1);                                                                               \
    }                                                                                        \
  } while (0)

// ---- what is timed: one call, the index-th of a chain ----

typedef void call_fn(bench_t* bench, int64_t tokens, int index);

static void block(bench_t* b, fiar_comm_t* comm, int64_t tokens) {
  MUST(mlp(tokens, b->attn, b->residual, b->norm_weight, b->next_norm_weight, b->x_scale,
           b->w_scale, b->wo, b->w_down, b->norm, b->residual_out, b->packed, b->arena,
           b->arena_bytes, b->stream, comm));
}
static void separate(bench_t* b, fiar_comm_t* comm, int64_t tokens) {
  MUST(mlp_separate(tokens, b->attn, b->residual, b->norm_weight, b->next_norm_weight, b->x_scale,
                    b->w_scale, b->wo, b->w_down, b->norm, b->residual_out, b->separate_packed,
                    b->arena, b->arena_bytes, b->stream, comm));
}
static void fused_own(bench_t* b, int64_t tokens, int index) {
  (void)index;
  block(b, b->own, tokens);
}
static void fused_nccl(bench_t* b, int64_t tokens, int index) {
  (void)index;
  block(b, b->nccl, tokens);
}
static void separate_own(bench_t* b, int64_t tokens, int index) {
  (void)index;
  separate(b, b->own, tokens);
}
static void separate_nccl(bench_t* b, int64_t tokens, int index) {
  (void)index;
  separate(b, b->nccl, tokens);
}

// The index-th copy of a weight, so that a chain reads each from memory.
static const void* weight(const bench_t* b, uint64_t bytes, int index) {
  uint64_t copies = pool_bytes / bytes;
  copies = copies < 1 ? 1 : copies;
  return (const char*)b->pool + bytes * ((uint64_t)index % copies);
}

static fiar_matmul_params matmul(const bench_t* b, int64_t m, int64_t n, int64_t k) {
  fiar_matmul_params params = {.struct_size = sizeof params, .m = m, .n = n, .k = k};
  params.a_dtype = params.b_dtype = params.out_dtype = FIAR_ELEMENT_BF16;
  params.workspace = b->arena;
  params.workspace_bytes = FIAR_MATMUL_WORKSPACE(m, n);
  return params;
}

static void part_wo(bench_t* b, int64_t tokens, int index) {
  fiar_matmul_params params = matmul(b, tokens, b->hidden, b->hidden / b->world);
  params.a = b->attn;
  params.b = weight(b, (uint64_t)(params.n * params.k) * 2, index);
  params.out = b->half;
  MUST(fiar_rt_matmul(b->own, &params, b->stream));
}
static void part_gate_up(bench_t* b, int64_t tokens, int index) {
  fiar_matmul_params params = matmul(b, tokens, 2 * b->inner, b->hidden);
  params.a_dtype = params.b_dtype = FIAR_ELEMENT_E4M3;
  params.out_dtype = FIAR_ELEMENT_F32;
  params.b_transposed = 1;
  params.a_scale = b->x_scale;
  params.b_scale = b->w_scale;
  params.a = b->codes;
  params.b = weight(b, (uint64_t)(params.n * params.k), index);
  params.out = b->wide;
  MUST(fiar_rt_matmul(b->own, &params, b->stream));
}
static void part_silu(bench_t* b, int64_t tokens, int index) {
  (void)index;
  fiar_activate_params params = {.struct_size = sizeof params,
                                 .gate = b->wide,
                                 .out = b->half,
                                 .rows = tokens,
                                 .cols = b->inner,
                                 .dtype = FIAR_ELEMENT_F32,
                                 .out_dtype = FIAR_ELEMENT_BF16};
  MUST(fiar_rt_activate(b->own, &params, b->stream));
}
static void part_down(bench_t* b, int64_t tokens, int index) {
  fiar_matmul_params params = matmul(b, tokens, b->hidden, b->inner);
  params.a = b->half;
  params.b = weight(b, (uint64_t)(params.n * params.k) * 2, index);
  params.out = b->norm;
  MUST(fiar_rt_matmul(b->own, &params, b->stream));
}
static void all_reduce_norm(bench_t* b, int64_t tokens, bool quantises) {
  fiar_all_reduce_norm_params params = {.struct_size = sizeof params,
                                        .input = b->attn,
                                        .residual = b->residual,
                                        .weight = b->norm_weight,
                                        .residual_out = b->residual_out,
                                        .tokens = tokens,
                                        .hidden = b->hidden,
                                        .eps = 1e-6f,
                                        .dtype = FIAR_DTYPE_BF16,
                                        .weight_dtype = FIAR_DTYPE_BF16};
  if (quantises) {
    params.scale = b->x_scale;
    params.quant = FIAR_QUANT_FP8_STATIC;
    params.quant_out = b->codes;
  } else {
    params.norm_out = b->norm;
  }
  MUST(fiar_rt_all_reduce_norm(b->own, &params, b->stream));
}
static void part_norm_quant(bench_t* b, int64_t tokens, int index) {
  (void)index;
  all_reduce_norm(b, tokens, true);
}
static void part_norm(bench_t* b, int64_t tokens, int index) {
  (void)index;
  all_reduce_norm(b, tokens, false);
}

typedef struct row {
  const char* name;
  call_fn* call;
} row_t;
enum { BLOCKS = 4, PARTS = 6, ROWS = BLOCKS + PARTS };
static const row_t rows[ROWS] = {
    {"block fused, fiar's backend", fused_own},
    {"block fused, NCCL", fused_nccl},
    {"block of separate calls, fiar's backend", separate_own},
    {"block of separate calls, NCCL", separate_nccl},
    {"part: output projection", part_wo},
    {"part: all-reduce + norm + fp8", part_norm_quant},
    {"part: gate and up", part_gate_up},
    {"part: silu * up", part_silu},
    {"part: down projection", part_down},
    {"part: all-reduce + norm", part_norm},
};

// ---- time ----

static int by_value(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return x < y ? -1 : x > y;
}

static double median(double* values, int count) {
  qsort(values, (size_t)count, sizeof *values, by_value);
  return values[count / 2];
}

static void chain(bench_t* b, call_fn* call, int64_t tokens) {
  for (int i = 0; i < b->calls; ++i) {
    call(b, tokens, i);
  }
}

#if WITH_CUDA
static cudaGraphExec_t capture(bench_t* b, call_fn* call, int64_t tokens) {
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  call(b, tokens, 0);  // what a first call makes
  MUST(fiar_rt_wait(b->own, 0, b->stream));
  MUST_CUDA(cudaStreamBeginCapture(b->stream, cudaStreamCaptureModeThreadLocal));
  chain(b, call, tokens);
  MUST_CUDA(cudaStreamEndCapture(b->stream, &graph));
  MUST_CUDA(cudaGraphInstantiate(&exec, graph, 0));
  MUST_CUDA(cudaGraphDestroy(graph));
  return exec;
}

// Microseconds a call, the median of replayed graphs.
static double time_row(bench_t* b, call_fn* call, int64_t tokens) {
  cudaGraphExec_t exec = capture(b, call, tokens);
  cudaEvent_t begin, end;
  double times[REPLAYS];
  MUST_CUDA(cudaEventCreate(&begin));
  MUST_CUDA(cudaEventCreate(&end));
  for (int i = -3; i < b->replays; ++i) {
    float ms = 0;
    MUST_CUDA(cudaEventRecord(begin, b->stream));
    MUST_CUDA(cudaGraphLaunch(exec, b->stream));
    MUST_CUDA(cudaEventRecord(end, b->stream));
    MUST_CUDA(cudaEventSynchronize(end));
    MUST_CUDA(cudaEventElapsedTime(&ms, begin, end));
    times[i < 0 ? 0 : i] = 1e3 * (double)ms / b->calls;
  }
  MUST_CUDA(cudaEventDestroy(begin));
  MUST_CUDA(cudaEventDestroy(end));
  MUST_CUDA(cudaGraphExecDestroy(exec));
  return median(times, b->replays);
}
#else
static double time_row(bench_t* b, call_fn* call, int64_t tokens) {
  double times[REPLAYS];
  for (int i = 0; i < b->replays; ++i) {
    struct timespec begin, end;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    chain(b, call, tokens);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    times[i] =
        ((double)(end.tv_sec - begin.tv_sec) * 1e6 + (double)(end.tv_nsec - begin.tv_nsec) / 1e3) /
        b->calls;
  }
  return median(times, b->replays);
}
#endif

static void report(bench_t* b) {
  double us[ROWS][TOKEN_COUNTS];
  for (int row = 0; row < ROWS; ++row) {
    for (int i = 0; i < TOKEN_COUNTS; ++i) {
      us[row][i] = time_row(b, rows[row].call, token_counts[i]);
    }
  }
  if (b->rank != 0) {
    return;
  }
  printf(
      "\nhidden %lld, %lld of the inner dimension on each of %d ranks, backends %s and %s; microseconds a "
      "step, median of %d graphs of %d\n%-42s",
      (long long)b->hidden, (long long)b->inner, b->world, fiar_comm_backend(b->own),
      fiar_comm_backend(b->nccl), b->replays, b->calls, "tokens");
  for (int i = 0; i < TOKEN_COUNTS; ++i) {
    printf(" %8lld", (long long)token_counts[i]);
  }
  for (int row = 0; row < ROWS; ++row) {
    printf("\n%-42s", rows[row].name);
    for (int i = 0; i < TOKEN_COUNTS; ++i) {
      printf(" %8.2f", us[row][i]);
    }
  }
  double sum[TOKEN_COUNTS] = {0};
  for (int i = 0; i < TOKEN_COUNTS; ++i) {
    for (int row = BLOCKS; row < ROWS; ++row) {
      sum[i] += us[row][i];
    }
  }
  const struct {
    const char* name;
    double *over, *under;
  } ratios[] = {{"sum of the parts", sum, NULL},
                {"fused / sum of the parts (bar: 1.05)", us[0], sum},
                {"separate with NCCL / fused (bar: 1.20)", us[3], us[0]}};
  for (size_t k = 0; k < sizeof ratios / sizeof *ratios; ++k) {
    printf("\n%-42s", ratios[k].name);
    for (int i = 0; i < TOKEN_COUNTS; ++i) {
      printf(ratios[k].under == NULL ? " %8.2f" : " %8.3f",
             ratios[k].over[i] / (ratios[k].under == NULL ? 1 : ratios[k].under[i]));
    }
  }
  printf("\n");
}

// ---- soak: other numbers of tokens in turn, the same results every time ----

static uint64_t checksum(bench_t* b, int64_t tokens, unsigned char* room) {
  uint64_t sum = 0xCBF29CE484222325u, bytes = (uint64_t)(tokens * b->hidden) * 2;
  const void* results[RESULTS] = {b->norm, b->residual_out};
  for (int i = 0; i < RESULTS; ++i) {
    MUST(fiar_rt_read(b->own, 0, room, results[i], bytes, b->stream));
    for (uint64_t k = 0; k < bytes; ++k) {
      sum = (sum ^ room[k]) * 0x100000001B3u;
    }
  }
  return sum;
}

static int soak(bench_t* b, long seconds) {
  uint64_t first[TOKEN_COUNTS] = {0};
  unsigned char* room = malloc((size_t)(64 * b->hidden) * 2);
  time_t begin = time(NULL);
  long steps = 0;
  // All ranks run as many rounds: rank 0's clock decides through a sum of one element.
  void* more = NULL;
  MUST(fiar_rt_arena_create(b->own, 0, 256, &more));
  for (float go = 1; room != NULL && go > 0;) {
    for (int i = 0; i < TOKEN_COUNTS; ++i) {
#if WITH_CUDA
      static cudaGraphExec_t graphs[TOKEN_COUNTS];
      graphs[i] = graphs[i] == NULL ? capture(b, fused_own, token_counts[i]) : graphs[i];
      MUST_CUDA(cudaGraphLaunch(graphs[i], b->stream));
#else
      chain(b, fused_own, token_counts[i]);
#endif
      steps += b->calls;
      uint64_t sum = checksum(b, token_counts[i], room);
      first[i] = first[i] == 0 ? sum : first[i];
      if (sum != first[i]) {
        printf("rank %d: soak: step %ld of %lld tokens has other results than the first\n", b->rank,
               steps, (long long)token_counts[i]);
        exit(1);
      }
    }
    float mine[64] = {b->rank == 0 && time(NULL) - begin < seconds ? 1.0f : 0.0f};
    MUST(fiar_rt_write(b->own, 0, more, mine, 256, b->stream));
    MUST(fiar_rt_all_reduce(b->own, 0, more, more, 1, 64, FIAR_DTYPE_F32, b->stream));
    MUST(fiar_rt_read(b->own, 0, mine, more, sizeof go, b->stream));
    go = mine[0];
  }
  MUST(fiar_rt_arena_destroy(b->own, 0, more));
  free(room);
  if (b->rank == 0) {
    printf("soak: %ld s, %ld steps, every checksum as the first\n", (long)(time(NULL) - begin),
           steps);
  }
  return 0;
}

// ---- set-up ----

static void* device(bench_t* b, int64_t bytes) {
  void* memory = NULL;
  MUST(fiar_rt_arena_create(b->own, 0, (uint64_t)bytes, &memory));
  return memory;
}

// Repeats a megabyte of small values: the time does not depend on them, range and NaNs might.
static void* filled(bench_t* b, int64_t bytes, int code_bytes) {
  enum { PIECE = 1 << 20 };
  static unsigned char piece[PIECE];
  char* memory = device(b, bytes);
  uint32_t bits = 12345u + (uint32_t)bytes;
  for (int i = 0; i < PIECE; ++i) {
    bits = bits * 1664525u + 1013904223u;
    unsigned char byte = (unsigned char)(bits >> 24);
    // bf16: magnitudes around 2^-7; codes: up to 1.
    piece[i] = code_bytes == 1 ? (byte & 0xB7)
               : i % 2 == 0    ? byte
                               : (unsigned char)((byte & 0x80) | 0x3C);
  }
  for (int64_t at = 0; at < bytes; at += PIECE) {
    int64_t rest = bytes - at < PIECE ? bytes - at : PIECE;
    MUST(fiar_rt_write(b->own, 0, memory + at, piece, (uint64_t)rest, b->stream));
  }
  return memory;
}

static void* scalar(bench_t* b, float value) {
  void* memory = device(b, 256);
  MUST(fiar_rt_write(b->own, 0, memory, &value, sizeof value, b->stream));
  return memory;
}

static void prepare(bench_t* b) {
  enum { MOST = 64 };
  int64_t part = b->hidden / b->world;
  b->attn = filled(b, MOST * b->hidden * 2, 2);
  b->residual = filled(b, MOST * b->hidden * 2, 2);
  b->norm_weight = filled(b, b->hidden * 2, 2);
  b->next_norm_weight = filled(b, b->hidden * 2, 2);
  b->x_scale = scalar(b, 0x1p-5f);
  b->w_scale = scalar(b, 0x1p-6f);
  b->wo = filled(b, part * b->hidden * 2, 2);
  b->w_gate = filled(b, b->hidden * b->inner, 1);
  b->w_up = filled(b, b->hidden * b->inner, 1);
  b->w_down = filled(b, b->inner * b->hidden * 2, 2);
  b->norm = device(b, MOST * b->hidden * 2);
  b->residual_out = device(b, MOST * b->hidden * 2);
  b->packed = device(b, (int64_t)mlp_packed_bytes());
  b->separate_packed = device(b, (int64_t)mlp_separate_packed_bytes());
  b->arena_bytes = mlp_arena_bytes() > mlp_separate_arena_bytes() ? mlp_arena_bytes()
                                                                  : mlp_separate_arena_bytes();
  b->arena = device(b, (int64_t)b->arena_bytes);
  b->codes = filled(b, MOST * b->hidden, 1);
  b->wide = filled(b, MOST * 2 * b->inner * 4, 2);
  b->half = filled(b, MOST * (b->inner > b->hidden ? b->inner : b->hidden) * 2, 2);
  uint64_t largest = (uint64_t)(2 * b->inner * b->hidden);
  b->pool = filled(b, (int64_t)(largest > pool_bytes ? largest : pool_bytes), 1);
  MUST(mlp_pack(b->w_gate, b->w_up, b->packed, b->stream, b->own));
  MUST(mlp_separate_pack(b->w_gate, b->w_up, b->separate_packed, b->stream, b->own));
  MUST(fiar_rt_wait(b->own, 0, b->stream));
}

int main(int argc, char** argv) {
  bench_t bench = {.calls = WITH_CUDA ? CALLS : 1, .replays = WITH_CUDA ? REPLAYS : 1};
  if (argc < 3) {
    fprintf(stderr, "usage: block_bench HIDDEN INNER [SOAK_SECONDS], as %d ranks\n", MLP_WORLD);
    return 2;
  }
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  MUST(fiar_comm_create_from_env(&options, &bench.own));
  options.backend = WITH_CUDA ? "nccl" : NULL;
  MUST(fiar_comm_create_from_env(&options, &bench.nccl));
  bench.rank = fiar_comm_rank(bench.own);
  bench.world = fiar_comm_world(bench.own);
  bench.hidden = strtol(argv[1], NULL, 10);
  bench.inner = strtol(argv[2], NULL, 10) / bench.world;
#if WITH_CUDA
  MUST_CUDA(cudaSetDevice(fiar_comm_device(bench.own)));
  MUST_CUDA(cudaStreamCreateWithFlags(&bench.stream, cudaStreamNonBlocking));
#endif
  prepare(&bench);
  int status = 0;
  if (argc > 3) {
    status = soak(&bench, strtol(argv[3], NULL, 10));
  } else {
    report(&bench);
  }
  fiar_comm_destroy(bench.nccl);
  fiar_comm_destroy(bench.own);
  return status;
}
