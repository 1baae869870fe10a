// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fiar_bench_gemm.h"

#if FIAR_HAVE_CUDA
#include <cublasLt.h>
#include <dlfcn.h>
#include <stdlib.h>

#include "fiar_bench_cuda.h"
#include "host/reference.h"

// cuBLASLt is opened at run time, so that the tool starts on a machine without it.
#define SYMBOLS(X)                        \
  X(cublasLtCreate)                       \
  X(cublasLtDestroy)                      \
  X(cublasLtMatmul)                       \
  X(cublasLtMatmulAlgoGetHeuristic)       \
  X(cublasLtMatmulDescCreate)             \
  X(cublasLtMatmulDescDestroy)            \
  X(cublasLtMatmulDescSetAttribute)       \
  X(cublasLtMatmulPreferenceCreate)       \
  X(cublasLtMatmulPreferenceDestroy)      \
  X(cublasLtMatmulPreferenceSetAttribute) \
  X(cublasLtMatrixLayoutCreate)           \
  X(cublasLtMatrixLayoutDestroy)

enum {
  WORKSPACE_BYTES = 32 << 20,
  MAX_WEIGHTS = 64,
  SEED_X = 5 << 20,
  SEED_W1 = 6 << 20,
  SEED_W2 = 7 << 20
};

// y[tokens, out] = x[tokens, in] w[out, in]^T: as cuBLASLt's column-major sees it, y is out x
// tokens, w transposed and x as it is.
typedef struct matmul {
  cublasLtMatmulDesc_t operation;
  cublasLtMatrixLayout_t w, x, y;
  cublasLtMatmulAlgo_t algorithm;
} matmul_t;

struct bench_gemm {
  bench_rank_t* rank;
  void* library;
#define X(name) __typeof__(&name) name;
  SYMBOLS(X)
#undef X
  cublasLtHandle_t handle;
  matmul_t before, after;
  void *workspace, *x, *y, *weights;
  float* one;
  size_t w1_bytes, stride;  // a set of weights is w1, then w2
  int sets;
};

#define LT_TRY(gemm, name, ...)                                                        \
  do {                                                                                 \
    cublasStatus_t lt_status = (gemm)->name(__VA_ARGS__);                              \
    if (lt_status != CUBLAS_STATUS_SUCCESS) {                                          \
      return FIAR_FAIL(CUDA_ERROR, "%s gave cuBLAS status %d", #name, (int)lt_status); \
    }                                                                                  \
  } while (0)

static fiar_status_t open_library(bench_gemm_t* gemm) {
  static const char* const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"};
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(names) && gemm->library == NULL; ++i) {
    gemm->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  }
  if (gemm->library == NULL) {
    return FIAR_FAIL(UNAVAILABLE, "libcublasLt.so.13 is not there: %s", dlerror());
  }
#define X(name)                                                       \
  *(void**)&gemm->name = dlsym(gemm->library, #name);                 \
  if (gemm->name == NULL) {                                           \
    return FIAR_FAIL(UNAVAILABLE, "libcublasLt.so has no %s", #name); \
  }
  SYMBOLS(X)
#undef X
  LT_TRY(gemm, cublasLtCreate, &gemm->handle);
  return FIAR_OK;
}

static cudaDataType_t type_of(uint8_t dtype) {
  return dtype == FIAR_DTYPE_F16 ? CUDA_R_16F : CUDA_R_16BF;
}

// scale_x: where the scale of x lies, for e4m3 inputs; NULL: inputs are of y's type.
static fiar_status_t matmul_init(bench_gemm_t* gemm, matmul_t* matmul, int64_t tokens, int64_t in,
                                 int64_t out, uint8_t dtype, const float* scale_x) {
  cudaDataType_t type = scale_x == NULL ? type_of(dtype) : CUDA_R_8F_E4M3;
  cublasOperation_t transpose = CUBLAS_OP_T;
  uint64_t room = WORKSPACE_BYTES;
  LT_TRY(gemm, cublasLtMatmulDescCreate, &matmul->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  LT_TRY(gemm, cublasLtMatmulDescSetAttribute, matmul->operation, CUBLASLT_MATMUL_DESC_TRANSA,
         &transpose, sizeof transpose);
  if (scale_x != NULL) {
    LT_TRY(gemm, cublasLtMatmulDescSetAttribute, matmul->operation,
           CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &gemm->one, sizeof gemm->one);
    LT_TRY(gemm, cublasLtMatmulDescSetAttribute, matmul->operation,
           CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &scale_x, sizeof scale_x);
  }
  LT_TRY(gemm, cublasLtMatrixLayoutCreate, &matmul->w, type, (uint64_t)in, (uint64_t)out, in);
  LT_TRY(gemm, cublasLtMatrixLayoutCreate, &matmul->x, type, (uint64_t)in, (uint64_t)tokens, in);
  LT_TRY(gemm, cublasLtMatrixLayoutCreate, &matmul->y, type_of(dtype), (uint64_t)out,
         (uint64_t)tokens, out);
  cublasLtMatmulPreference_t preference = NULL;
  LT_TRY(gemm, cublasLtMatmulPreferenceCreate, &preference);
  cublasLtMatmulHeuristicResult_t found;
  int count = 0;
  (void)gemm->cublasLtMatmulPreferenceSetAttribute(
      preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room, sizeof room);
  cublasStatus_t status =
      gemm->cublasLtMatmulAlgoGetHeuristic(gemm->handle, matmul->operation, matmul->w, matmul->x,
                                           matmul->y, matmul->y, preference, 1, &found, &count);
  (void)gemm->cublasLtMatmulPreferenceDestroy(preference);
  if (status != CUBLAS_STATUS_SUCCESS || count == 0) {
    return FIAR_FAIL(UNSUPPORTED, "cuBLASLt has no matmul of %lld x %lld by %lld here",
                     (long long)tokens, (long long)in, (long long)out);
  }
  matmul->algorithm = found.algo;
  return FIAR_OK;
}

static fiar_status_t run_matmul(const bench_gemm_t* gemm, const matmul_t* matmul, const void* w,
                                const void* x, void* y, void* stream) {
  const float alpha = 1;
  const float beta = 0;
  LT_TRY(gemm, cublasLtMatmul, gemm->handle, matmul->operation, &alpha, w, matmul->w, x, matmul->x,
         &beta, y, matmul->y, y, matmul->y, &matmul->algorithm, gemm->workspace, WORKSPACE_BYTES,
         stream);
  return FIAR_OK;
}

static const char* weights_of(const bench_gemm_t* gemm, int64_t index) {
  return (const char*)gemm->weights + (size_t)(index % gemm->sets) * gemm->stride;
}

fiar_status_t bench_gemm_before(const bench_gemm_t* gemm, int64_t index, const bench_call_t* call,
                                void* stream) {
  return run_matmul(gemm, &gemm->before, weights_of(gemm, index), gemm->x,
                    (void*)call->params.input, stream);
}

fiar_status_t bench_gemm_after(const bench_gemm_t* gemm, int64_t index, const bench_call_t* call,
                               void* stream) {
  const void* x = call->params.quant_out == NULL ? call->params.norm_out : call->params.quant_out;
  return run_matmul(gemm, &gemm->after, weights_of(gemm, index) + gemm->w1_bytes, x, gemm->y,
                    stream);
}

static void matmul_finish(const bench_gemm_t* gemm, const matmul_t* matmul) {
  if (matmul->operation != NULL) {
    (void)gemm->cublasLtMatmulDescDestroy(matmul->operation);
  }
  const cublasLtMatrixLayout_t layouts[] = {matmul->w, matmul->x, matmul->y};
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(layouts); ++i) {
    if (layouts[i] != NULL) {
      (void)gemm->cublasLtMatrixLayoutDestroy(layouts[i]);
    }
  }
}

void bench_gemm_destroy(bench_gemm_t* gemm) {
  if (gemm == NULL) {
    return;
  }
  matmul_finish(gemm, &gemm->before);
  matmul_finish(gemm, &gemm->after);
  if (gemm->handle != NULL) {
    (void)gemm->cublasLtDestroy(gemm->handle);
  }
  void* const arrays[] = {gemm->workspace, gemm->x, gemm->y, gemm->weights, gemm->one};
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(arrays); ++i) {
    gemm->rank->device->release(gemm->rank->state, arrays[i]);
  }
  if (gemm->library != NULL) {
    (void)dlclose(gemm->library);
  }
  free(gemm);
}

// Random rows of [rows, columns] of dtype, in [-1, 1) / spread.
static fiar_status_t fill(bench_gemm_t* gemm, void* array, uint64_t seed, int64_t rows,
                          int64_t columns, float spread, uint8_t dtype) {
  const bench_fill_t how = {.seed = seed,
                            .rows = rows,
                            .hidden = columns,
                            .row_step = 1,
                            .levels = 128,
                            .step = 1.0F / 128 / spread,
                            .dtype = dtype};
  return gemm->rank->device->fill(gemm->rank->state, array, &how);
}

// Weights of e4m3 are quantised from those of the element type, which y's and x's room is too small
// for: they are made in `room`.
static fiar_status_t fill_weights(bench_gemm_t* gemm, const bench_case_t* point, int64_t in,
                                  void* room) {
  const bench_rank_t* rank = gemm->rank;
  for (int set = 0; set < gemm->sets; ++set) {
    char* w1 = (char*)gemm->weights + (size_t)set * gemm->stride;
    char* w2 = w1 + gemm->w1_bytes;
    uint64_t seed = (uint64_t)rank->rank * MAX_WEIGHTS + (uint64_t)set;
    FIAR_TRY(fill(gemm, w1, SEED_W1 + seed, point->hidden, in, 16, point->dtype));
    if (point->quant == FIAR_QUANT_NONE) {
      FIAR_TRY(fill(gemm, w2, SEED_W2 + seed, point->hidden, point->hidden, 16, point->dtype));
      continue;
    }
    FIAR_TRY(fill(gemm, room, SEED_W2 + seed, point->hidden, point->hidden, 1, point->dtype));
    bench_quant_args_t quant = {.norm = room,
                                .scale = gemm->one,
                                .codes = w2,
                                .elements = (uint64_t)(point->hidden * point->hidden),
                                .dtype = point->dtype};
    void* stream = rank->device->stream(rank->state);
    FIAR_TRY(bench_launch(BENCH_KERNEL_QUANT, 0, 256, false, &quant, stream));
  }
  return rank->device->synchronise(rank->state);
}

static fiar_status_t make_arrays(bench_gemm_t* gemm, const bench_case_t* point, int64_t in) {
  const bench_device_t* device = gemm->rank->device;
  void* state = gemm->rank->state;
  size_t element = fiar_dtype_bytes(point->dtype);
  size_t square = (size_t)(point->hidden * point->hidden);
  gemm->w1_bytes = (size_t)(point->hidden * in) * element;
  gemm->stride = gemm->w1_bytes + square * (point->quant == FIAR_QUANT_NONE ? element : 1);
  gemm->sets = (int)(2 * device->cache_bytes(state) / gemm->stride) + 1;
  gemm->sets = gemm->sets > MAX_WEIGHTS ? MAX_WEIGHTS : gemm->sets;
  const float one = 1;
  FIAR_TRY(device->alloc(state, sizeof one, (void**)&gemm->one));
  FIAR_TRY(device->to_device(state, gemm->one, &one, sizeof one));
  FIAR_TRY(device->alloc(state, WORKSPACE_BYTES, &gemm->workspace));
  FIAR_TRY(device->alloc(state, (size_t)(point->tokens * in) * element, &gemm->x));
  FIAR_TRY(device->alloc(state, (size_t)(point->tokens * point->hidden) * element, &gemm->y));
  FIAR_TRY(device->alloc(state, (size_t)gemm->sets * gemm->stride, &gemm->weights));
  FIAR_TRY(fill(gemm, gemm->x, (uint64_t)(SEED_X + gemm->rank->rank), point->tokens, in, 1,
                point->dtype));
  void* room = NULL;
  FIAR_TRY(device->alloc(state, square * element, &room));
  fiar_status_t status = fill_weights(gemm, point, in, room);
  device->release(state, room);
  return status;
}

fiar_status_t bench_gemm_create(bench_rank_t* rank, const bench_case_t* point,
                                bench_gemm_t** out_gemm) {
  *out_gemm = NULL;
  bool fp8 = point->quant == FIAR_QUANT_FP8_STATIC;
  if (rank->ordinal == FIAR_DEVICE_NONE) {
    return FIAR_FAIL(UNSUPPORTED, "--launch chain needs CUDA devices");
  }
  if (point->dtype == FIAR_DTYPE_F32 || (!fp8 && point->quant != FIAR_QUANT_NONE)) {
    return FIAR_FAIL(UNSUPPORTED, "--launch chain has f16 and bf16, none and fp8_static alone");
  }
  bench_gemm_t* gemm = calloc(1, sizeof *gemm);
  if (gemm == NULL) {
    return FIAR_FAIL(OUT_OF_MEMORY, "the matmuls' record");
  }
  fiar_status_t status = FIAR_OK;
  int64_t in = (point->hidden / rank->world + 15) / 16 * 16;
  gemm->rank = rank;
  FIAR_TRY_DONE(open_library(gemm));
  FIAR_TRY_DONE(make_arrays(gemm, point, in));
  FIAR_TRY_DONE(
      matmul_init(gemm, &gemm->before, point->tokens, in, point->hidden, point->dtype, NULL));
  // The codes' scale belongs to the call; any scale takes the same time.
  FIAR_TRY_DONE(matmul_init(gemm, &gemm->after, point->tokens, point->hidden, point->hidden,
                            point->dtype, fp8 ? gemm->one : NULL));
  *out_gemm = gemm;
  gemm = NULL;
done:
  bench_gemm_destroy(gemm);
  return status;
}

#else  // a build without CUDA

fiar_status_t bench_gemm_create(bench_rank_t* rank, const bench_case_t* point,
                                bench_gemm_t** out_gemm) {
  (void)rank;
  (void)point;
  *out_gemm = NULL;
  return FIAR_FAIL(UNSUPPORTED, "--launch chain needs CUDA, which this build has not");
}

void bench_gemm_destroy(bench_gemm_t* gemm) {
  (void)gemm;
}

fiar_status_t bench_gemm_before(const bench_gemm_t* gemm, int64_t index, const bench_call_t* call,
                                void* stream) {
  (void)gemm;
  (void)index;
  (void)call;
  (void)stream;
  return FIAR_OK;
}

fiar_status_t bench_gemm_after(const bench_gemm_t* gemm, int64_t index, const bench_call_t* call,
                               void* stream) {
  return bench_gemm_before(gemm, index, call, stream);
}
#endif
