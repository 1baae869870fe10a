// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Matmul by cuBLASLt. Row-major arrays are column-major ones transposed, so its A is our b, its B
// our a, and its D[n, m] our out. What a call is, but for its pointers, is the key of a plan:
// descriptors and the algorithm that cuBLASLt's heuristic chose for it, asked once.
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cuda/compute.h"
#include "cuda/cublaslt_dl.h"
#include "host/reference.h"

enum { PLANS = 512, MAX_OUTGROWN = 32 };
#define LIBRARY_ROOM ((size_t)32 << 20)  // what NVIDIA recommends for Hopper

typedef struct key {
  int64_t m, n, k, a_stride, b_stride, out_stride;
  uint64_t room;  // for cuBLASLt's workspace
  uint8_t a_dtype, b_dtype, out_dtype, bias_dtype, b_transposed, scales, block_scale_type;
  uint8_t a_alignment, b_alignment, out_alignment;  // log2 of bytes
  uint8_t reserved[6];                              // 0: keys are compared as bytes
} matmul_key_t;

typedef struct plan {
  matmul_key_t key;
  void *operation, *a, *b, *out;  // in our names
  fiar_cublaslt_algorithm_t algorithm;
  bool used, served;  // served: cuBLASLt has an algorithm
} plan_t;

struct fiar_cuda_matmul {
  const fiar_cublaslt_t* lt;
  void* handle;
  plan_t plans[PLANS];
  uint32_t turn;  // which plan makes room for a new one
  char* scratch;
  size_t scratch_bytes;
  void* outgrown[MAX_OUTGROWN];  // captured graphs may use them
  int32_t outgrown_count;
};

// ---- Life ----

static void plan_clear(const fiar_cublaslt_t* lt, plan_t* plan) {
  void* const layouts[] = {plan->a, plan->b, plan->out};
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(layouts); ++i) {
    if (layouts[i]) {
      (void)lt->MatrixLayoutDestroy(layouts[i]);
    }
  }
  if (plan->operation) {
    (void)lt->MatmulDescDestroy(plan->operation);
  }
  memset(plan, 0, sizeof *plan);
}

void fiar_cuda_matmul_close(fiar_cuda_matmul_t* matmul) {
  if (!matmul) {
    return;
  }
  for (int i = 0; i < PLANS; ++i) {
    plan_clear(matmul->lt, &matmul->plans[i]);
  }
  if (matmul->handle) {
    (void)matmul->lt->Destroy(matmul->handle);
  }
  (void)cudaFree(matmul->scratch);
  for (int32_t i = 0; i < matmul->outgrown_count; ++i) {
    (void)cudaFree(matmul->outgrown[i]);
  }
  free(matmul);
}

static fiar_status_t matmul_open(fiar_cuda_compute_t* compute, void* stream) {
  const fiar_cublaslt_t* lt = NULL;
  if (compute->matmul) {
    return FIAR_OK;
  }
  FIAR_TRY(fiar_cublaslt_open(&lt));
  if (fiar_cuda_capturing(stream)) {
    return FIAR_FAIL(UNSUPPORTED,
                     "the communicator's first matmul is being captured: make one before, since it "
                     "allocates");
  }
  fiar_cuda_matmul_t* matmul = calloc(1, sizeof *matmul);
  if (!matmul) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *matmul);
  }
  matmul->lt = lt;
  const int status = lt->Create(&matmul->handle);
  if (status != FIAR_CUBLASLT_SUCCESS) {
    free(matmul);
    return fiar_cublaslt_fail(lt, status, "cublasLtCreate");
  }
  FIAR_LOG(INFO, KERNEL, "matmuls on device %d by cuBLASLt %d", compute->device, lt->version);
  compute->matmul = matmul;
  return FIAR_OK;
}

// At least `bytes` of the communicator's own scratch.
static fiar_status_t scratch_get(fiar_cuda_matmul_t* matmul, size_t bytes, void* stream) {
  if (bytes <= matmul->scratch_bytes) {
    return FIAR_OK;
  }
  if (fiar_cuda_capturing(stream) || matmul->outgrown_count == MAX_OUTGROWN) {
    return FIAR_FAIL(
        UNSUPPORTED,
        "the matmul needs %zu bytes of scratch, of which there are %zu, and %s: make a "
        "call as large before, or give a workspace",
        bytes, matmul->scratch_bytes,
        matmul->outgrown_count == MAX_OUTGROWN ? "it has grown too often"
                                               : "the stream is being captured");
  }
  size_t grown = 2 * LIBRARY_ROOM;
  while (grown < bytes) {
    grown *= 2;
  }
  char* scratch = NULL;
  const cudaError_t error = cudaMalloc((void**)&scratch, grown);
  if (error != cudaSuccess) {
    return fiar_annotate(fiar_cuda_fail(error, "cudaMalloc"), "a matmul's scratch of %zu bytes",
                         grown);
  }
  if (matmul->scratch) {
    matmul->outgrown[matmul->outgrown_count++] = matmul->scratch;
  }
  matmul->scratch = scratch;
  matmul->scratch_bytes = grown;
  return FIAR_OK;
}

// ---- Plans ----

static uint8_t alignment_of(const void* pointer) {
  uint8_t log = 0;
  while (log < 8 && ((uintptr_t)pointer >> log & 1u) == 0) {
    ++log;
  }
  return log;
}

static matmul_key_t key_of(const fiar_matmul_params* params, const fiar_matmul_path_t* path,
                           const void* out, size_t room) {
  return (matmul_key_t){.m = params->m,
                        .n = params->n,
                        .k = params->k,
                        .a_stride = params->a_stride,
                        .b_stride = params->b_stride,
                        .out_stride = path->finishes ? params->out_stride : params->n,
                        .room = room,
                        .a_dtype = params->a_dtype,
                        .b_dtype = params->b_dtype,
                        .out_dtype = path->out_dtype,
                        .bias_dtype = path->bias ? params->bias_dtype : 0,
                        .b_transposed = params->b_transposed,
                        .scales = (uint8_t)path->scales,
                        .block_scale_type = params->block_scale_type,
                        .a_alignment = alignment_of(params->a),
                        .b_alignment = alignment_of(params->b),
                        .out_alignment = alignment_of(out)};
}

static fiar_status_t describe(const fiar_cublaslt_t* lt, plan_t* plan) {
  const matmul_key_t* key = &plan->key;
  const int modes[] = {[FIAR_MATMUL_SCALES_VECTOR] = FIAR_CUBLASLT_SCALE_VECTOR,
                       [FIAR_MATMUL_SCALES_BLOCK] = key->block_scale_type == FIAR_SCALE_TYPE_E4M3
                                                        ? FIAR_CUBLASLT_SCALE_NVFP4
                                                        : FIAR_CUBLASLT_SCALE_MX};
  const int transpose = FIAR_CUBLASLT_TRANSPOSE, bias = FIAR_CUBLASLT_EPILOGUE_BIAS;
  FIAR_CUBLASLT_TRY(lt, MatmulDescCreate, &plan->operation, FIAR_CUBLASLT_COMPUTE_F32,
                    FIAR_CUBLASLT_F32);
  if (key->b_transposed) {
    FIAR_CUBLASLT_TRY(lt, MatmulDescSetAttribute, plan->operation, FIAR_CUBLASLT_DESC_TRANSPOSE_A,
                      &transpose, sizeof transpose);
  }
  if (key->scales >= FIAR_MATMUL_SCALES_VECTOR) {
    const int mode = modes[key->scales];
    FIAR_CUBLASLT_TRY(lt, MatmulDescSetAttribute, plan->operation, FIAR_CUBLASLT_DESC_A_SCALE_MODE,
                      &mode, sizeof mode);
    FIAR_CUBLASLT_TRY(lt, MatmulDescSetAttribute, plan->operation, FIAR_CUBLASLT_DESC_B_SCALE_MODE,
                      &mode, sizeof mode);
  }
  if (key->bias_dtype) {
    const int type = fiar_cublaslt_type(key->bias_dtype);
    FIAR_CUBLASLT_TRY(lt, MatmulDescSetAttribute, plan->operation, FIAR_CUBLASLT_DESC_EPILOGUE,
                      &bias, sizeof bias);
    FIAR_CUBLASLT_TRY(lt, MatmulDescSetAttribute, plan->operation, FIAR_CUBLASLT_DESC_BIAS_TYPE,
                      &type, sizeof type);
  }
  const int64_t b_rows = key->b_transposed ? key->k : key->n;
  const int64_t b_cols = key->b_transposed ? key->n : key->k;
  FIAR_CUBLASLT_TRY(lt, MatrixLayoutCreate, &plan->b, fiar_cublaslt_type(key->b_dtype),
                    (uint64_t)b_rows, (uint64_t)b_cols, key->b_stride);
  FIAR_CUBLASLT_TRY(lt, MatrixLayoutCreate, &plan->a, fiar_cublaslt_type(key->a_dtype),
                    (uint64_t)key->k, (uint64_t)key->m, key->a_stride);
  FIAR_CUBLASLT_TRY(lt, MatrixLayoutCreate, &plan->out, fiar_cublaslt_type(key->out_dtype),
                    (uint64_t)key->n, (uint64_t)key->m, key->out_stride);
  return FIAR_OK;
}

static fiar_status_t prefer(const fiar_cublaslt_t* lt, const matmul_key_t* key, void* preference) {
  const uint64_t room = key->room;
  const struct {
    int attribute;
    uint32_t value;
  } rows[] = {
      // Parts of a sum are added in f32: out is rounded once.
      {FIAR_CUBLASLT_PREF_REDUCTION, FIAR_CUBLASLT_REDUCE_IN_F32},
      {FIAR_CUBLASLT_PREF_ALIGNMENT_A, 1u << key->b_alignment},
      {FIAR_CUBLASLT_PREF_ALIGNMENT_B, 1u << key->a_alignment},
      {FIAR_CUBLASLT_PREF_ALIGNMENT_C, 1u << key->out_alignment},
      {FIAR_CUBLASLT_PREF_ALIGNMENT_D, 1u << key->out_alignment},
  };
  FIAR_CUBLASLT_TRY(lt, MatmulPreferenceSetAttribute, preference, FIAR_CUBLASLT_PREF_WORKSPACE,
                    &room, sizeof room);
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(rows); ++i) {
    FIAR_CUBLASLT_TRY(lt, MatmulPreferenceSetAttribute, preference, rows[i].attribute,
                      &rows[i].value, sizeof rows[i].value);
  }
  return FIAR_OK;
}

static fiar_status_t set_pointer(const fiar_cublaslt_t* lt, void* operation, int attribute,
                                 const void* pointer) {
  if (pointer) {
    FIAR_CUBLASLT_TRY(lt, MatmulDescSetAttribute, operation, attribute, &pointer, sizeof pointer);
  }
  return FIAR_OK;
}

// The call's own pointers, but those of Matmul's arguments. A plan may have another call's.
static fiar_status_t set_pointers(const fiar_cublaslt_t* lt, const plan_t* plan,
                                  const fiar_matmul_params* params) {
  const void *a = params->a_scales, *b = params->b_scales;
  if (plan->key.scales == FIAR_MATMUL_SCALES_TENSOR) {
    a = params->a_scale;
    b = params->b_scale;
  }
  if (plan->key.scales != FIAR_MATMUL_SCALES_NONE) {
    FIAR_CUBLASLT_TRY(lt, MatmulDescSetAttribute, plan->operation, FIAR_CUBLASLT_DESC_A_SCALE, &b,
                      sizeof b);
    FIAR_CUBLASLT_TRY(lt, MatmulDescSetAttribute, plan->operation, FIAR_CUBLASLT_DESC_B_SCALE, &a,
                      sizeof a);
  }
  return set_pointer(lt, plan->operation, FIAR_CUBLASLT_DESC_BIAS,
                     plan->key.bias_dtype ? params->bias : NULL);
}

// plan->served tells whether there is an algorithm; failures are cuBLASLt's own.
static fiar_status_t plan_make(fiar_cuda_matmul_t* matmul, const fiar_matmul_params* params,
                               plan_t* plan) {
  const fiar_cublaslt_t* lt = matmul->lt;
  fiar_cublaslt_found_t found = {{{0}}, 0, 0, 0, {0}};
  void* preference = NULL;
  int count = 0;
  FIAR_TRY(describe(lt, plan));
  FIAR_TRY(set_pointers(lt, plan, params));
  FIAR_CUBLASLT_TRY(lt, MatmulPreferenceCreate, &preference);
  fiar_status_t status = prefer(lt, &plan->key, preference);
  if (status == FIAR_OK) {
    const int answer =
        lt->MatmulAlgoGetHeuristic(matmul->handle, plan->operation, plan->b, plan->a, plan->out,
                                   plan->out, preference, 1, &found, &count);
    plan->served = answer == FIAR_CUBLASLT_SUCCESS && count > 0;
    plan->algorithm = found.algorithm;
  }
  (void)lt->MatmulPreferenceDestroy(preference);
  return status;
}

static plan_t* plan_find(fiar_cuda_matmul_t* matmul, const matmul_key_t* key, uint64_t digest) {
  enum { PROBES = 8 };
  for (int i = 0; i < PROBES; ++i) {
    plan_t* plan = &matmul->plans[(digest + (uint64_t)i) % PLANS];
    if (!plan->used || memcmp(&plan->key, key, sizeof *key) == 0) {
      return plan;
    }
  }
  return &matmul->plans[(digest + matmul->turn++ % PROBES) % PLANS];
}

static uint64_t digest_of(const matmul_key_t* key) {
  uint64_t words[sizeof *key / sizeof(uint64_t)], digest = 1;
  _Static_assert(sizeof words == sizeof *key, "the key has padding");
  memcpy(words, key, sizeof words);
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(words); ++i) {
    digest = (digest ^ words[i]) * UINT64_C(0x9E3779B97F4A7C15);
    digest ^= digest >> 29;
  }
  return digest >> 8;
}

static fiar_status_t plan_get(fiar_cuda_matmul_t* matmul, const matmul_key_t* key,
                              const fiar_matmul_params* params, const plan_t** out_plan) {
  plan_t* plan = plan_find(matmul, key, digest_of(key));
  *out_plan = plan;
  if (plan->used && memcmp(&plan->key, key, sizeof *key) == 0) {
    return FIAR_OK;
  }
  plan_clear(matmul->lt, plan);
  plan->key = *key;
  const fiar_status_t status = plan_make(matmul, params, plan);
  plan->used = status == FIAR_OK;
  if (status != FIAR_OK) {
    plan_clear(matmul->lt, plan);
  }
  return status;
}

// ---- Calls ----

static size_t up256(size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

static fiar_status_t scale_sums(const fiar_cuda_compute_t* compute,
                                const fiar_matmul_params* params, const float* sums, void* stream) {
  fiar_scale_matmul_args_t args = {.call = *params, .sums = sums, .width = 1};
  const uintptr_t together = (uintptr_t)params->out | (uintptr_t)params->bias;
  if (together % 16 == 0 && params->n % FIAR_BLOCK_WIDTH == 0 &&
      params->out_stride % FIAR_BLOCK_WIDTH == 0) {
    args.width = FIAR_BLOCK_WIDTH;
  }
  const int64_t across = (int64_t)FIAR_BLOCK_THREADS * args.width;
  return fiar_launch_block(FIAR_BLOCK_SCALE_MATMUL, (params->n + across - 1) / across, params->m,
                           compute->flags, &compute->caps, &args, stream);
}

// The workspace: sums, where the path has them, then cuBLASLt's own.
static fiar_status_t workspace_of(fiar_cuda_matmul_t* matmul, const fiar_matmul_params* params,
                                  size_t sums, char** out_base, size_t* out_room, void* stream) {
  if (!params->workspace) {
    FIAR_TRY(scratch_get(matmul, sums + LIBRARY_ROOM, stream));
    *out_base = matmul->scratch;
    *out_room = LIBRARY_ROOM;
    return FIAR_OK;
  }
  if (params->workspace_bytes < sums) {
    return FIAR_FAIL(UNSUPPORTED, "workspace_bytes is %llu, the call needs at least %zu",
                     (unsigned long long)params->workspace_bytes, sums);
  }
  const size_t rest = (size_t)params->workspace_bytes - sums;
  *out_base = params->workspace;
  *out_room = rest < LIBRARY_ROOM ? rest / 256 * 256 : LIBRARY_ROOM;
  return FIAR_OK;
}

static fiar_status_t run_path(fiar_cuda_compute_t* compute, const fiar_matmul_params* params,
                              const fiar_matmul_path_t* path, bool* out_served, void* stream) {
  fiar_cuda_matmul_t* matmul = compute->matmul;
  const size_t sums =
      path->finishes ? 0 : up256((size_t)params->m * (size_t)params->n * sizeof(float));
  const float one = 1, zero = 0;
  char* base = NULL;
  size_t room = 0;
  const plan_t* plan = NULL;
  FIAR_TRY(workspace_of(matmul, params, sums, &base, &room, stream));
  void* out = path->finishes ? params->out : base;
  const matmul_key_t key = key_of(params, path, out, room);
  FIAR_TRY(plan_get(matmul, &key, params, &plan));
  *out_served = plan->served;
  if (!plan->served) {
    return FIAR_OK;
  }
  FIAR_TRY(set_pointers(matmul->lt, plan, params));
  FIAR_CUBLASLT_TRY(matmul->lt, Matmul, matmul->handle, plan->operation, &one, params->b, plan->b,
                    params->a, plan->a, &zero, out, plan->out, out, plan->out, &plan->algorithm,
                    base + sums, room, stream);
  return path->finishes ? FIAR_OK : scale_sums(compute, params, out, stream);
}

fiar_status_t fiar_cuda_matmul_run(fiar_cuda_compute_t* compute, const fiar_matmul_params* params,
                                   void* stream) {
  FIAR_TRY(matmul_open(compute, stream));
  bool served = false;
  for (int whole = 1; whole >= 0 && !served; --whole) {
    fiar_matmul_path_t path;
    FIAR_TRY(fiar_cuda_matmul_path(params, compute->caps.sm, compute->matmul->lt->version,
                                   whole != 0, &path));
    FIAR_TRY(run_path(compute, params, &path, &served, stream));
  }
  return served ? FIAR_OK
                : FIAR_FAIL(UNSUPPORTED,
                            "cuBLASLt %d has no algorithm on this device for m %lld, n %lld, k "
                            "%lld, strides %lld, %lld, %lld, types %d and %d",
                            compute->matmul->lt->version, (long long)params->m,
                            (long long)params->n, (long long)params->k, (long long)params->a_stride,
                            (long long)params->b_stride, (long long)params->out_stride,
                            params->a_dtype, params->b_dtype);
}
