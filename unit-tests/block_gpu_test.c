// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// block_gpu_test [WORDS]: the ops around the fused call on one GPU, byte for byte against the host:
// eagerly, captured into a CUDA graph, on arrays that are aligned to no more than 4 bytes, and with
// a workspace of the caller's. WORDS: only the cases whose name has them.
#include <cuda_runtime_api.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block_cases.h"
#include "gpu_calls.h"
#include "gpu_kernels.h"
#include "host/reference.h"

enum { SHIFT = 4, ROOM = 256, REPLAYS = 3 };

typedef struct tally {
  int passed, failed, skipped;
} tally_t;

typedef struct bench {
  fiar_comm_t *device, *host;
  cudaStream_t stream;
  int sm;
  tally_t tally;
} bench_t;

// ---- A case's arrays on the device ----

typedef struct arrays {
  block_call_t call;  // points at the device
  char* memory[BLOCK_MAX_ARRAYS];
  size_t shift;
  void* workspace;
} arrays_t;

static void arrays_make(const block_call_t* from, size_t shift, bool workspace, arrays_t* out) {
  *out = (arrays_t){.call = *from, .shift = shift};
  for (int i = 0; i < from->count; ++i) {
    GPU_MUST(cudaMalloc((void**)&out->memory[i], from->arrays[i].bytes + ROOM));
    block_case_point(&out->call, i, out->memory[i] + shift);
  }
  if (workspace) {
    const fiar_matmul_params* p = &from->params.matmul;
    const size_t bytes = FIAR_MATMUL_WORKSPACE(p->m, p->n);
    GPU_MUST(cudaMalloc(&out->workspace, bytes));
    out->call.params.matmul.workspace = out->workspace;
    out->call.params.matmul.workspace_bytes = bytes;
  }
}

static void arrays_free(arrays_t* arrays) {
  for (int i = 0; i < arrays->call.count; ++i) {
    GPU_MUST(cudaFree(arrays->memory[i]));
  }
  GPU_MUST(cudaFree(arrays->workspace));
}

// Inputs as `from` has them; outputs too, which are poison then.
static void arrays_write(const arrays_t* arrays, const block_call_t* from, cudaStream_t stream) {
  for (int i = 0; i < from->count; ++i) {
    GPU_MUST(
        cudaMemsetAsync(arrays->memory[i], BLOCK_POISON, from->arrays[i].bytes + ROOM, stream));
    GPU_MUST(cudaMemcpyAsync(arrays->memory[i] + arrays->shift, from->arrays[i].data,
                             from->arrays[i].bytes, cudaMemcpyHostToDevice, stream));
  }
  GPU_MUST(cudaStreamSynchronize(stream));
}

// ---- What must have come out ----

static bool complain(const char* name, const char* how, const char* array, size_t at, int got,
                     int want) {
  (void)printf("FAILED %s, %s: %s differs at byte %zu: %02x, must be %02x\n", name, how, array, at,
               got, want);
  return false;
}

static bool same_bytes(const char* name, const char* how, const char* array,
                       const unsigned char* got, const unsigned char* want, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    if (got[i] != want[i]) {
      return complain(name, how, array, i, got[i], want[i]);
    }
  }
  return true;
}

// Fetches an array and what lies behind it, where nothing may have been written.
static unsigned char* fetch(const arrays_t* arrays, int index, const char* how, bool* out_good) {
  const block_array_t* array = &arrays->call.arrays[index];
  unsigned char* got = malloc(array->bytes + ROOM);
  if (!got) {
    (void)fprintf(stderr, "no memory for %zu bytes\n", array->bytes);
    exit(2);
  }
  GPU_MUST(cudaMemcpy(got, arrays->memory[index], array->bytes + ROOM, cudaMemcpyDeviceToHost));
  for (size_t i = 0; i < ROOM; ++i) {
    const size_t at = i < arrays->shift ? i : array->bytes + i;
    if (got[at] != BLOCK_POISON) {
      *out_good = complain(arrays->call.name, how, array->name, at, got[at], BLOCK_POISON);
      break;
    }
  }
  memmove(got, got + arrays->shift, array->bytes);
  return got;
}

// Norms lie within a few units of the last place of the host's; codes are the host quantiser's of
// the device's own norm.
static bool norm_matches(const block_call_t* want, unsigned char** got, const char* how) {
  const fiar_all_reduce_norm_params* p = &want->params.norm;
  const bool before = p->norm_rounding == FIAR_NORM_ROUNDING_BEFORE_WEIGHT;
  const int bits = p->dtype == FIAR_DTYPE_F16 ? 10 : p->dtype == FIAR_DTYPE_BF16 ? 7 : 23;
  const int ulps = p->dtype == FIAR_DTYPE_F32 ? 8 : before ? 2 : 1;
  const int last = want->count - 1;  // norm_out
  bool good = true;
  for (int64_t i = 0; i < p->tokens * p->hidden && good; ++i) {
    const float a = fiar_load(got[last], p->dtype, i), b = fiar_load(p->norm_out, p->dtype, i);
    int power = 0;
    (void)frexpf(b, &power);
    if (!(fabsf(a - b) <= (float)ulps * ldexpf(1, power - 1 - bits))) {
      (void)printf("FAILED %s, %s: norm_out[%lld] is %g, must be %g\n", want->name, how,
                   (long long)i, (double)a, (double)b);
      good = false;
    }
  }
  if (p->quant != FIAR_QUANT_NONE && fiar_reference_quantise(got[last], p) != FIAR_OK) {
    exit(2);
  }
  for (int i = 0; i < last && good; ++i) {
    good = !want->arrays[i].output || same_bytes(want->name, how, want->arrays[i].name, got[i],
                                                 want->arrays[i].data, want->arrays[i].bytes);
  }
  return good;
}

static bool matches(const arrays_t* arrays, const block_call_t* want, const char* how) {
  unsigned char* got[BLOCK_MAX_ARRAYS] = {NULL};
  bool good = true;
  for (int i = 0; i < want->count; ++i) {
    got[i] = fetch(arrays, i, how, &good);
  }
  if (want->op == BLOCK_RMS_NORM) {
    good = good && norm_matches(want, got, how);
  }
  for (int i = 0; i < want->count && want->op != BLOCK_RMS_NORM && good; ++i) {
    good = same_bytes(want->name, how, want->arrays[i].name, got[i], want->arrays[i].data,
                      want->arrays[i].bytes);
  }
  for (int i = 0; i < want->count; ++i) {
    free(got[i]);
  }
  return good;
}

// ---- Ways to make a call ----

static bool eagerly(const bench_t* bench, const arrays_t* arrays, const block_call_t* fresh,
                    const block_call_t* want, const char* how) {
  arrays_write(arrays, fresh, bench->stream);
  if (block_case_issue(&arrays->call, bench->device, bench->stream) != FIAR_OK) {
    (void)printf("FAILED %s, %s: %s\n", want->name, how, fiar_last_error());
    return false;
  }
  GPU_MUST(cudaStreamSynchronize(bench->stream));
  return matches(arrays, want, how);
}

// Twice in one graph, so that a call meets its own kind before it; the inputs stay as they are but
// for a call in place, which is there once.
static bool captured(const bench_t* bench, const arrays_t* arrays, const block_call_t* fresh,
                     const block_call_t* want) {
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  fiar_status_t status = FIAR_OK;
  GPU_MUST(cudaStreamBeginCapture(bench->stream, cudaStreamCaptureModeGlobal));
  for (int i = 0; i < (fresh->in_place ? 1 : 2) && status == FIAR_OK; ++i) {
    status = block_case_issue(&arrays->call, bench->device, bench->stream);
  }
  if (status != FIAR_OK) {
    (void)printf("FAILED %s, captured: %s\n", want->name, fiar_last_error());
    (void)cudaStreamEndCapture(bench->stream, &graph);
    (void)cudaGetLastError();
    return false;
  }
  GPU_MUST(cudaStreamEndCapture(bench->stream, &graph));
  GPU_MUST(cudaGraphInstantiate(&exec, graph, 0));
  bool good = true;
  for (int i = 0; i < REPLAYS && good; ++i) {
    arrays_write(arrays, fresh, bench->stream);
    GPU_MUST(cudaGraphLaunch(exec, bench->stream));
    GPU_MUST(cudaStreamSynchronize(bench->stream));
    good = matches(arrays, want, "captured");
  }
  GPU_MUST(cudaGraphExecDestroy(exec));
  GPU_MUST(cudaGraphDestroy(graph));
  return good;
}

// What this device cannot do: docs/backends.md. A refusal of anything else is a failure.
static bool may_refuse(const block_call_t* call, int sm) {
  const fiar_matmul_params* p = &call->params.matmul;
  if (call->op != BLOCK_MATMUL || fiar_element_bits(p->a_dtype) > 8) {
    return false;
  }
  const bool mxfp4 =
      p->a_dtype == FIAR_ELEMENT_E2M1 && p->block_scale_type == FIAR_SCALE_TYPE_UE8M0;
  return mxfp4 || sm < 89 || (p->a_scaling == FIAR_SCALING_BLOCK && sm < 100) ||
         (!p->b_transposed && (sm < 100 || sm >= 120));
}

static bool refused(bench_t* bench, const block_call_t* fresh) {
  arrays_t arrays;
  arrays_make(fresh, 0, false, &arrays);
  arrays_write(&arrays, fresh, bench->stream);
  const fiar_status_t status = block_case_issue(&arrays.call, bench->device, bench->stream);
  if (status == FIAR_UNSUPPORTED) {
    (void)printf("skipped %s: %s\n", fresh->name, fiar_last_error());
    ++bench->tally.skipped;
  }
  GPU_MUST(cudaStreamSynchronize(bench->stream));
  arrays_free(&arrays);
  return status == FIAR_UNSUPPORTED;
}

static void run_case(bench_t* bench, int index, const char* words) {
  block_call_t fresh, want;
  block_case_make(index, 0, &fresh);
  block_case_make(index, 0, &want);
  const bool wanted = strstr(fresh.name, words) != NULL;
  if (wanted && !(may_refuse(&fresh, bench->sm) && refused(bench, &fresh))) {
    if (block_case_issue(&want, bench->host, NULL) != FIAR_OK) {
      (void)printf("the host refuses %s: %s\n", want.name, fiar_last_error());
      exit(2);
    }
    arrays_t aligned, other;
    const bool matmul = fresh.op == BLOCK_MATMUL;
    arrays_make(&fresh, 0, false, &aligned);
    arrays_make(&fresh, matmul ? 0 : SHIFT, matmul, &other);
    const bool good =
        eagerly(bench, &aligned, &fresh, &want, "eager") &&
        captured(bench, &aligned, &fresh, &want) &&
        eagerly(bench, &other, &fresh, &want, matmul ? "own workspace" : "misaligned") &&
        captured(bench, &other, &fresh, &want);
    (void)printf("%s %s\n", good ? "passed" : "FAILED", fresh.name);
    ++*(good ? &bench->tally.passed : &bench->tally.failed);
    arrays_free(&aligned);
    arrays_free(&other);
  }
  (void)fflush(stdout);
  block_case_free(&fresh);
  block_case_free(&want);
}

// ---- Every case in one graph, one after another ----

typedef struct link {
  block_call_t fresh, want;
  arrays_t arrays;
} link_t;

static bool replay(const bench_t* bench, const link_t* links, int count, cudaGraphExec_t exec) {
  bool good = true;
  for (int i = 0; i < count; ++i) {
    arrays_write(&links[i].arrays, &links[i].fresh, bench->stream);
  }
  GPU_MUST(cudaGraphLaunch(exec, bench->stream));
  GPU_MUST(cudaStreamSynchronize(bench->stream));
  for (int i = 0; i < count; ++i) {
    good = matches(&links[i].arrays, &links[i].want, "in one graph") && good;
  }
  return good;
}

static bool capture_all(const bench_t* bench, const link_t* links, int count) {
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  fiar_status_t status = FIAR_OK;
  GPU_MUST(cudaStreamBeginCapture(bench->stream, cudaStreamCaptureModeGlobal));
  for (int i = 0; i < count && status == FIAR_OK; ++i) {
    status = block_case_issue(&links[i].arrays.call, bench->device, bench->stream);
  }
  GPU_MUST(cudaStreamEndCapture(bench->stream, &graph));
  if (status != FIAR_OK) {
    return false;
  }
  GPU_MUST(cudaGraphInstantiate(&exec, graph, 0));
  bool good = true;
  for (int turn = 0; turn < 2 && good; ++turn) {
    good = replay(bench, links, count, exec);
  }
  GPU_MUST(cudaGraphExecDestroy(exec));
  GPU_MUST(cudaGraphDestroy(graph));
  return good;
}

// Kinds of ops alternate.
static bool all_in_one_graph(const bench_t* bench) {
  enum { STRIDE = 29 };
  const int cases = block_cases_count();
  link_t* links = calloc((size_t)cases, sizeof *links);
  int count = 0;
  if (!links) {
    exit(2);
  }
  for (int i = 0; i < cases; ++i) {
    link_t* link = &links[count];
    const int index = i * STRIDE % cases;  // all of them, unless cases is a multiple of it
    block_case_make(index, 1, &link->fresh);
    block_case_make(index, 1, &link->want);
    if (may_refuse(&link->fresh, bench->sm)) {
      block_case_free(&link->fresh);
      block_case_free(&link->want);
      continue;
    }
    if (block_case_issue(&link->want, bench->host, NULL) != FIAR_OK) {
      exit(2);
    }
    arrays_make(&link->fresh, 0, false, &link->arrays);
    ++count;
  }
  const bool good = capture_all(bench, links, count);
  for (int i = 0; i < count; ++i) {
    arrays_free(&links[i].arrays);
    block_case_free(&links[i].fresh);
    block_case_free(&links[i].want);
  }
  free(links);
  return good;
}

// ---- Memory ----

static bool memory_is_the_devices(const bench_t* bench) {
  enum { BYTES = 1000 };
  unsigned char back[BYTES];
  void* arena = NULL;
  struct cudaPointerAttributes found;
  if (fiar_rt_arena_create(bench->device, 0, BYTES, &arena) != FIAR_OK) {
    return false;
  }
  GPU_MUST(cudaPointerGetAttributes(&found, arena));
  bool good = found.type == cudaMemoryTypeDevice && (uintptr_t)arena % 256 == 0 &&
              fiar_rt_write(bench->device, 0, (char*)arena + 8, "twelve bytes", 12,
                            bench->stream) == FIAR_OK &&
              fiar_rt_read(bench->device, 0, back, arena, BYTES, bench->stream) == FIAR_OK &&
              memcmp(back + 8, "twelve bytes", 12) == 0;
  for (int i = 20; i < BYTES; ++i) {
    good = good && back[i] == 0;
  }
  good = fiar_rt_wait(bench->device, 0, bench->stream) == FIAR_OK && good;
  good = fiar_rt_arena_destroy(bench->device, 0, arena) == FIAR_OK && good;
  return good;
}

static bool host_memory_is_refused(const bench_t* bench) {
  float in[8] = {0}, out[8];
  const fiar_copy_params copy = {.struct_size = sizeof copy,
                                 .input = in,
                                 .out = out,
                                 .rows = 1,
                                 .cols = 8,
                                 .in_dtype = FIAR_ELEMENT_F32,
                                 .out_dtype = FIAR_ELEMENT_F32};
  return fiar_rt_copy(bench->device, &copy, bench->stream) == FIAR_INVALID_ARGUMENT &&
         strstr(fiar_last_error(), "input is") != NULL;
}

// ---- Many shapes ----

// Ones times ones; the scale, where one is wanted, takes the path over f32 sums.
typedef struct ones {
  fiar_matmul_params params;
  float* sums;  // on the host
} ones_t;

static void* device_words(size_t count, uint32_t word) {
  uint32_t *memory = NULL, *words = malloc(count * sizeof *words);
  if (!words) {
    (void)fprintf(stderr, "no memory for %zu words\n", count);
    exit(2);
  }
  for (size_t i = 0; i < count; ++i) {
    words[i] = word;
  }
  GPU_MUST(cudaMalloc((void**)&memory, count * sizeof *words));
  GPU_MUST(cudaMemcpy(memory, words, count * sizeof *words, cudaMemcpyHostToDevice));
  free(words);
  return memory;
}

static void ones_make(int64_t m, int64_t n, int64_t k, bool scaled, ones_t* out) {
  enum { TWO_BF16_ONES = 0x3F803F80, F32_HALF = 0x3F000000 };
  *out = (ones_t){.params = {.struct_size = sizeof(fiar_matmul_params),
                             .a = device_words((size_t)(m * k / 2), TWO_BF16_ONES),
                             .b = device_words((size_t)(k * n / 2), TWO_BF16_ONES),
                             .out = device_words((size_t)(m * n), 0),
                             .a_scale = scaled ? device_words(1, F32_HALF) : NULL,
                             .m = m,
                             .n = n,
                             .k = k,
                             .a_dtype = FIAR_ELEMENT_BF16,
                             .b_dtype = FIAR_ELEMENT_BF16,
                             .out_dtype = FIAR_ELEMENT_F32},
                  .sums = malloc((size_t)(m * n) * sizeof(float))};
}

static void ones_free(ones_t* ones) {
  GPU_MUST(cudaFree((void*)ones->params.a));
  GPU_MUST(cudaFree((void*)ones->params.b));
  GPU_MUST(cudaFree(ones->params.out));
  GPU_MUST(cudaFree((void*)ones->params.a_scale));
  free(ones->sums);
}

// The first m rows are k, or half of it; and are zeroed for the next time.
static bool ones_hold(const bench_t* bench, const ones_t* ones, int64_t m) {
  const size_t count = (size_t)(m * ones->params.n);
  const float want = (float)ones->params.k * (ones->params.a_scale ? 0.5f : 1.0f);
  GPU_MUST(cudaStreamSynchronize(bench->stream));
  GPU_MUST(cudaMemcpy(ones->sums, ones->params.out, count * sizeof(float), cudaMemcpyDeviceToHost));
  GPU_MUST(cudaMemset(ones->params.out, 0, count * sizeof(float)));
  for (size_t i = 0; i < count; ++i) {
    if (ones->sums[i] != want) {
      (void)printf("FAILED ones of %lld rows: [%zu] is %g, must be %g\n", (long long)m, i,
                   (double)ones->sums[i], (double)want);
      return false;
    }
  }
  return true;
}

// It allocates; before any other matmul of the communicator.
static bool the_first_is_not_captured(const bench_t* bench) {
  ones_t ones;
  cudaGraph_t graph;
  ones_make(16, 16, 16, false, &ones);
  GPU_MUST(cudaStreamBeginCapture(bench->stream, cudaStreamCaptureModeGlobal));
  const fiar_status_t status = fiar_rt_matmul(bench->device, &ones.params, bench->stream);
  const bool good = status == FIAR_UNSUPPORTED && strstr(fiar_last_error(), "make one before");
  GPU_MUST(cudaStreamEndCapture(bench->stream, &graph));
  GPU_MUST(cudaGraphDestroy(graph));
  ones_free(&ones);
  return good;
}

// More shapes than are remembered, twice over.
static bool shapes_come_and_go(const bench_t* bench) {
  enum { MOST = 700, N = 16, K = 32 };
  ones_t ones;
  bool good = true;
  ones_make(MOST, N, K, false, &ones);
  for (int64_t turn = 0; turn < 2 && good; ++turn) {
    for (int64_t m = 1; m <= MOST && good; ++m) {
      fiar_matmul_params params = ones.params;
      params.m = m;
      good = fiar_rt_matmul(bench->device, &params, bench->stream) == FIAR_OK &&
             ones_hold(bench, &ones, m);
    }
  }
  ones_free(&ones);
  return good;
}

// A graph that uses the communicator's scratch outlives its growth.
static bool scratch_grows_under_a_graph(const bench_t* bench) {
  ones_t small, large;
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  ones_make(64, 1024, 64, true, &small);
  ones_make(8192, 8192, 16, true, &large);
  bool good = fiar_rt_matmul(bench->device, &small.params, bench->stream) == FIAR_OK &&
              ones_hold(bench, &small, 64);
  GPU_MUST(cudaStreamBeginCapture(bench->stream, cudaStreamCaptureModeGlobal));
  good = fiar_rt_matmul(bench->device, &small.params, bench->stream) == FIAR_OK && good;
  const fiar_status_t refused = fiar_rt_matmul(bench->device, &large.params, bench->stream);
  good = good && refused == FIAR_UNSUPPORTED && strstr(fiar_last_error(), "is being captured");
  GPU_MUST(cudaStreamEndCapture(bench->stream, &graph));
  GPU_MUST(cudaGraphInstantiate(&exec, graph, 0));
  good = good && fiar_rt_matmul(bench->device, &large.params, bench->stream) == FIAR_OK &&
         ones_hold(bench, &large, 8192);
  GPU_MUST(cudaGraphLaunch(exec, bench->stream));
  good = ones_hold(bench, &small, 64) && good;
  GPU_MUST(cudaGraphExecDestroy(exec));
  GPU_MUST(cudaGraphDestroy(graph));
  ones_free(&small);
  ones_free(&large);
  return good;
}

// ---- When kernels of a graph start ----

static bool same_edge(const cudaGraphEdgeData* edge, unsigned char from_port) {
  const cudaGraphEdgeData want = {.from_port = from_port,
                                  .type = cudaGraphDependencyTypeProgrammatic};
  return memcmp(edge, &want, sizeof want) == 0;
}

// Behind a kernel of others: when that one's blocks have begun. Behind our own: when it says so.
static bool edges_let_kernels_start_early(const bench_t* bench) {
  enum { ROWS = 2, COLS = 64, EDGES = 2 };
  const size_t words = (size_t)ROWS * COLS;
  uint32_t *in = device_words(2 * words, 0), *out = device_words(words, 0);
  const fiar_activate_params call = {.struct_size = sizeof call,
                                     .gate = in,
                                     .out = out,
                                     .rows = ROWS,
                                     .cols = COLS,
                                     .dtype = FIAR_ELEMENT_F32,
                                     .out_dtype = FIAR_ELEMENT_F32};
  cudaGraph_t graph;
  cudaGraphNode_t from[EDGES], to[EDGES];
  cudaGraphEdgeData edges[EDGES];
  size_t count = EDGES;
  GPU_MUST(cudaStreamBeginCapture(bench->stream, cudaStreamCaptureModeGlobal));
  GPU_MUST(gpu_late_copy(in, out, sizeof *in, bench->stream));
  bool good = true;
  for (int i = 0; i < 2; ++i) {
    good = fiar_rt_activate(bench->device, &call, bench->stream) == FIAR_OK && good;
  }
  GPU_MUST(cudaStreamEndCapture(bench->stream, &graph));
  GPU_MUST(cudaGraphGetEdges(graph, from, to, edges, &count));
  if (good && bench->sm >= 90) {
    const int first = to[0] == from[1] ? 0 : 1;  // they come in any order
    good = count == EDGES && same_edge(&edges[first], cudaGraphKernelNodePortLaunchCompletion) &&
           same_edge(&edges[1 - first], cudaGraphKernelNodePortProgrammatic);
    if (!good) {
      (void)printf("%zu edges, from ports %d and %d\n", count, edges[first].from_port,
                   edges[1 - first].from_port);
    }
  }
  GPU_MUST(cudaGraphDestroy(graph));
  GPU_MUST(cudaFree(in));
  GPU_MUST(cudaFree(out));
  return good;
}

static void check(bench_t* bench, const char* name, bool good) {
  (void)printf("%s %s%s%s\n", good ? "passed" : "FAILED", name, good ? "" : ": ",
               good ? "" : fiar_last_error());
  ++*(good ? &bench->tally.passed : &bench->tally.failed);
}

static fiar_status_t bench_open(bench_t* bench) {
  struct cudaDeviceProp properties;
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  GPU_MUST(cudaGetDeviceProperties(&properties, 0));
  bench->sm = properties.major * 10 + properties.minor;
  GPU_MUST(cudaStreamCreateWithFlags(&bench->stream, cudaStreamNonBlocking));
  options.device = 0;
  const fiar_status_t status = fiar_comm_create_threads(1, NULL, &options, &bench->device);
  options.device = FIAR_DEVICE_NONE;
  return status == FIAR_OK ? fiar_comm_create_threads(1, NULL, &options, &bench->host) : status;
}

int main(int argc, char** argv) {
  const char* words = argc > 1 ? argv[1] : "";
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    (void)printf("skipped: needs a CUDA device, this machine has none\n");
    return 77;
  }
  bench_t bench = {.sm = 0};
  if (bench_open(&bench) != FIAR_OK) {
    (void)printf("FAILED to open: %s\n", fiar_last_error());
    return 1;
  }
  if (*words == '\0') {
    check(&bench, "the first matmul is not captured", the_first_is_not_captured(&bench));
  }
  for (int i = 0; i < block_cases_count(); ++i) {
    run_case(&bench, i, words);
  }
  if (*words == '\0') {
    check(&bench, "every case in one graph", all_in_one_graph(&bench));
    check(&bench, "memory is the device's", memory_is_the_devices(&bench));
    check(&bench, "host memory is refused", host_memory_is_refused(&bench));
    check(&bench, "shapes come and go", shapes_come_and_go(&bench));
    check(&bench, "scratch grows under a graph", scratch_grows_under_a_graph(&bench));
    check(&bench, "edges let kernels start early", edges_let_kernels_start_early(&bench));
  }
  fiar_comm_destroy(bench.device);
  fiar_comm_destroy(bench.host);
  GPU_MUST(cudaStreamDestroy(bench.stream));
  (void)printf("block ops on compute capability %d.%d: %d passed, %d failed, %d skipped\n",
               bench.sm / 10, bench.sm % 10, bench.tally.passed, bench.tally.failed,
               bench.tally.skipped);
  return bench.tally.failed > 0 || bench.tally.passed == 0;
}
