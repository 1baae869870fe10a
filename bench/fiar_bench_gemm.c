// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fiar_bench_gemm.h"

#include <stdlib.h>

#include "host/reference.h"

enum { MAX_WEIGHTS = 64, SEED_X = 5 << 20, SEED_W1 = 6 << 20, SEED_W2 = 7 << 20 };

struct bench_gemm {
  bench_rank_t* rank;
  fiar_matmul_params before, after;  // but for a and b, and out before the call
  void *x, *y, *weights;
  float* one;
  size_t w1_bytes, stride;  // a set of weights is w1, then w2
  int sets;
};

// y[tokens, out] = x[tokens, in] w[out, in]^T, y of dtype.
static fiar_matmul_params matmul_of(int64_t tokens, int64_t in, int64_t out, uint8_t dtype,
                                    uint8_t in_dtype) {
  return (fiar_matmul_params){.struct_size = sizeof(fiar_matmul_params),
                              .m = tokens,
                              .n = out,
                              .k = in,
                              .a_dtype = in_dtype,
                              .b_dtype = in_dtype,
                              .out_dtype = dtype,
                              .b_transposed = 1};
}

static fiar_status_t run_matmul(const bench_gemm_t* gemm, const fiar_matmul_params* matmul,
                                const void* w, const void* x, void* y, void* stream) {
  fiar_matmul_params params = *matmul;
  params.a = x;
  params.b = w;
  params.out = y;
  return fiar_rt_matmul(gemm->rank->team, &params, stream);
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

void bench_gemm_destroy(bench_gemm_t* gemm) {
  if (gemm == NULL) {
    return;
  }
  void* const arrays[] = {gemm->x, gemm->y, gemm->weights, gemm->one};
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(arrays); ++i) {
    gemm->rank->device->release(gemm->rank->state, arrays[i]);
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
    const fiar_quantize_params quant = {.struct_size = sizeof quant,
                                        .input = room,
                                        .scale = gemm->one,
                                        .quant_out = w2,
                                        .rows = point->hidden,
                                        .cols = point->hidden,
                                        .dtype = point->dtype,
                                        .quant = FIAR_QUANT_FP8_STATIC};
    FIAR_TRY(fiar_rt_quantize(rank->team, &quant, rank->device->stream(rank->state)));
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

// A communicator's first matmul allocates, which a captured one may not.
static fiar_status_t warm_up(const bench_gemm_t* gemm) {
  void* stream = gemm->rank->device->stream(gemm->rank->state);
  FIAR_TRY(run_matmul(gemm, &gemm->before, weights_of(gemm, 0), gemm->x, gemm->y, stream));
  return gemm->rank->device->synchronise(gemm->rank->state);
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
  FIAR_TRY_DONE(make_arrays(gemm, point, in));
  gemm->before = matmul_of(point->tokens, in, point->hidden, point->dtype, point->dtype);
  gemm->after = matmul_of(point->tokens, point->hidden, point->hidden, point->dtype,
                          fp8 ? FIAR_ELEMENT_E4M3 : point->dtype);
  // The codes' scale belongs to the call; any scale takes the same time.
  gemm->after.a_scale = gemm->after.b_scale = fp8 ? gemm->one : NULL;
  FIAR_TRY_DONE(warm_up(gemm));
  *out_gemm = gemm;
  gemm = NULL;
done:
  bench_gemm_destroy(gemm);
  return status;
}
