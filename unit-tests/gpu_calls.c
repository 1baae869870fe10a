// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "gpu_calls.h"

#include <string.h>

#include "host/reference.h"
#include "residual.h"

enum { POISON = 0xC7 };

static const char* const names[GPU_ARRAYS] = {"input",    "residual",  "weight",
                                              "scale",    "sum_out",   "residual_out",
                                              "norm_out", "quant_out", "scales_out"};

static uint32_t draw(uint32_t* state) {
  *state = *state * 1664525u + 1013904223u;
  uint32_t x = *state;
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= x >> 15;
  return x;
}

static void* must_allocate(size_t bytes) {
  void* memory = malloc(bytes ? bytes : 1);
  if (!memory) {
    (void)fprintf(stderr, "no memory for %zu bytes\n", bytes);
    exit(2);
  }
  return memory;
}

// Small integers and halves: their sums are exact in every element type, in any order.
static void fill(void* array, uint8_t dtype, int64_t count, uint32_t seed) {
  for (int64_t i = 0; i < count; ++i) {
    fiar_store(array, dtype, i, (float)((int)(draw(&seed) % 33) - 16) / 2);
  }
}

static fiar_all_reduce_norm_params shape_of(uint32_t seed, int64_t max_tokens, int32_t world) {
  static const int64_t hidden[] = {64, 512, 1024, 2880, 4096, 7168};
  static const struct {
    uint8_t quant, type, layout;
    int32_t group;
  } formats[] = {{FIAR_QUANT_NONE, 0, 0, 0},
                 {FIAR_QUANT_FP8_STATIC, 0, 0, 0},
                 {FIAR_QUANT_FP8_TOKEN, 0, 0, 0},
                 {FIAR_QUANT_FP8_GROUP, FIAR_SCALE_TYPE_F32, FIAR_SCALE_LAYOUT_LINEAR, 64},
                 {FIAR_QUANT_NVFP4, FIAR_SCALE_TYPE_E4M3, FIAR_SCALE_LAYOUT_SWIZZLED_128X4, 0},
                 {FIAR_QUANT_MXFP8, FIAR_SCALE_TYPE_UE8M0, FIAR_SCALE_LAYOUT_LINEAR, 0}};
  uint32_t state = seed;
  const uint32_t format = draw(&state) % 6;
  fiar_all_reduce_norm_params p = {.struct_size = sizeof p,
                                   .tokens = 1 + draw(&state) % max_tokens,
                                   .hidden = hidden[draw(&state) % 6],
                                   .dtype = (uint8_t)(1 + draw(&state) % 3),
                                   .weight_dtype = FIAR_DTYPE_F32,
                                   .eps = 1e-5f,
                                   .quant = formats[format].quant,
                                   .scale_type = formats[format].type,
                                   .scale_layout = formats[format].layout,
                                   .group_size = formats[format].group,
                                   .norm_rounding = FIAR_NORM_ROUNDING_AFTER_WEIGHT};
  switch (draw(&state) % 6) {
    case 0:
      p.residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD;
      break;
    case 1:
      if (max_tokens >= world) {
        p.residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK;
        p.tokens = p.tokens < world ? world : p.tokens / world * world;
      }
      break;
    default:
      break;
  }
  return p;
}

static int64_t rows_held(const fiar_all_reduce_norm_params* p, int32_t world) {
  return fiar_residual_rows(p->residual_layout, p->tokens, world);
}

static void measure(gpu_call_t* call) {
  const fiar_all_reduce_norm_params* p = &call->params;
  const size_t row = (size_t)p->hidden * fiar_dtype_bytes(p->dtype);
  const size_t full = (size_t)p->tokens * row,
               held = (size_t)rows_held(p, fiar_comm_world(call->comm)) * row;
  const bool scaled = p->quant == FIAR_QUANT_FP8_STATIC || p->quant == FIAR_QUANT_NVFP4;
  const size_t bytes[GPU_ARRAYS] = {
      full,
      held,
      (size_t)p->hidden * sizeof(float),
      scaled ? sizeof(float) : 0,
      full,
      held,
      full,
      p->quant ? fiar_reference_codes_bytes(p) : 0,
      p->quant ? fiar_reference_scales_bytes(p) : 0,
  };
  memcpy(call->bytes, bytes, sizeof bytes);
}

static void place(gpu_call_t* call, uint32_t seed, size_t shift) {
  fiar_all_reduce_norm_params* p = &call->params;
  const int32_t rank = fiar_comm_rank(call->comm), world = fiar_comm_world(call->comm);
  for (int i = 0; i < GPU_ARRAYS; ++i) {
    call->host[i] = must_allocate(call->bytes[i]);
    GPU_MUST(cudaMalloc(&call->arrays[i], call->bytes[i] + 256));
  }
  const int64_t held = rows_held(p, world) * p->hidden;
  fill(call->host[GPU_INPUT], p->dtype, p->tokens * p->hidden, seed + 100 + (uint32_t)rank);
  fill(call->host[GPU_RESIDUAL], p->dtype, held,
       seed + (p->residual_layout ? 200 + (uint32_t)rank : 50));
  fill(call->host[GPU_WEIGHT], FIAR_DTYPE_F32, p->hidden, seed + 60);
  const float scale = 0.31f;
  memcpy(call->host[GPU_SCALE], &scale, call->bytes[GPU_SCALE]);
  void* at[GPU_ARRAYS];
  for (int i = 0; i < GPU_ARRAYS; ++i) {
    at[i] = call->bytes[i] == 0 ? NULL : (char*)call->arrays[i] + (i == GPU_SCALE ? 0 : shift);
    if (i < GPU_SUM && at[i]) {
      GPU_MUST(cudaMemcpy(at[i], call->host[i], call->bytes[i], cudaMemcpyHostToDevice));
    }
  }
  p->input = at[GPU_INPUT];
  p->residual = at[GPU_RESIDUAL];
  p->weight = at[GPU_WEIGHT];
  p->scale = at[GPU_SCALE];
  p->sum_out = p->residual_layout ? NULL : at[GPU_SUM];
  p->residual_out = at[GPU_RESIDUAL_OUT];
  p->norm_out = at[GPU_NORM];
  p->quant_out = at[GPU_CODES];
  p->scales_out = at[GPU_SCALES];
  call->bytes[GPU_SUM] = p->sum_out ? call->bytes[GPU_SUM] : 0;
}

static void* output_of(const gpu_call_t* call, int i) {
  const fiar_all_reduce_norm_params* p = &call->params;
  void* const at[] = {p->sum_out, p->residual_out, p->norm_out, p->quant_out, p->scales_out};
  return at[i - GPU_SUM];
}

// Rows of a shard that nobody owns stay as they were, here: poisoned.
static size_t bytes_written(const gpu_call_t* call, int i) {
  const fiar_all_reduce_norm_params* p = &call->params;
  if (i != GPU_RESIDUAL_OUT || !p->residual_layout) {
    return call->bytes[i];
  }
  const int32_t world = fiar_comm_world(call->comm), rank = fiar_comm_rank(call->comm);
  const int64_t rows = fiar_residual_rows_owned(p->residual_layout, p->tokens, rank, world);
  return (size_t)(rows * p->hidden) * fiar_dtype_bytes(p->dtype);
}

static int compare(const gpu_call_t* call, int i, const void* got, const void* want,
                   const char* when) {
  const size_t bytes = bytes_written(call, i);
  if (memcmp(got, want, bytes) == 0) {
    return 0;
  }
  size_t at = 0;
  while (((const unsigned char*)got)[at] == ((const unsigned char*)want)[at]) {
    ++at;
  }
  (void)fprintf(
      stderr,
      "rank %d of %d, %s: %s of [%lld, %lld] dtype %d quant %d%s differs at byte %zu of %zu\n",
      fiar_comm_rank(call->comm), fiar_comm_world(call->comm), when, names[i],
      (long long)call->params.tokens, (long long)call->params.hidden, call->params.dtype,
      call->params.quant, call->params.residual_layout ? " sharded" : "", at, bytes);
  return 1;
}

// Sum and residual by the reference, codes and scales by the host quantiser of the call's own norm.
static int check_first(gpu_call_t* call, uint32_t seed) {
  const int32_t world = fiar_comm_world(call->comm), rank = fiar_comm_rank(call->comm);
  fiar_all_reduce_norm_params p = call->params;
  void *inputs[FIAR_MAX_WORLD], *residuals[FIAR_MAX_WORLD];
  for (int32_t r = 0; r < world; ++r) {
    inputs[r] = must_allocate(call->bytes[GPU_INPUT]);
    residuals[r] = must_allocate(call->bytes[GPU_RESIDUAL]);
    fill(inputs[r], p.dtype, p.tokens * p.hidden, seed + 100 + (uint32_t)r);
    fill(residuals[r], p.dtype, rows_held(&p, world) * p.hidden,
         seed + (p.residual_layout ? 200 + (uint32_t)r : 50));
  }
  unsigned char* want[GPU_ARRAYS] = {NULL};
  for (int i = GPU_SUM; i < GPU_ARRAYS; ++i) {
    want[i] = must_allocate(call->bytes[i]);
  }
  p.weight = call->host[GPU_WEIGHT];
  p.scale = call->bytes[GPU_SCALE] ? (const float*)(const void*)call->host[GPU_SCALE] : NULL;
  p.sum_out = p.sum_out ? want[GPU_SUM] : NULL;
  p.residual_out = want[GPU_RESIDUAL_OUT];
  p.norm_out = want[GPU_NORM];
  p.quant_out = p.quant_out ? want[GPU_CODES] : NULL;
  p.scales_out = p.scales_out ? want[GPU_SCALES] : NULL;
  int wrong = fiar_reference_all_reduce_norm(world, rank, (const void* const*)inputs,
                                             (const void* const*)residuals, &p) != FIAR_OK;
  if (p.quant_out) {
    wrong += fiar_reference_quantise(call->host[GPU_NORM], &p) != FIAR_OK;
  }
  for (int i = GPU_SUM; i < GPU_ARRAYS; ++i) {
    wrong += i == GPU_NORM || !output_of(call, i)
                 ? 0
                 : compare(call, i, call->host[i], want[i], "by itself");
    free(want[i]);
  }
  for (int32_t r = 0; r < world; ++r) {
    free(inputs[r]);
    free(residuals[r]);
  }
  return wrong;
}

int gpu_call_make(fiar_comm_t* comm, uint32_t seed, int64_t max_tokens, size_t shift,
                  cudaStream_t stream, gpu_call_t* out_call) {
  *out_call =
      (gpu_call_t){.params = shape_of(seed, max_tokens, fiar_comm_world(comm)), .comm = comm};
  measure(out_call);
  place(out_call, seed, shift);
  gpu_call_poison(out_call, stream);
  const fiar_status_t status = gpu_call_issue(out_call, stream);
  GPU_MUST(cudaStreamSynchronize(stream));
  if (status != FIAR_OK) {
    (void)fprintf(stderr, "rank %d: %s: %s\n", fiar_comm_rank(comm), fiar_status_name(status),
                  fiar_last_error());
    return 1;
  }
  for (int i = GPU_SUM; i < GPU_ARRAYS; ++i) {
    if (output_of(out_call, i)) {
      GPU_MUST(cudaMemcpy(out_call->host[i], output_of(out_call, i), out_call->bytes[i],
                          cudaMemcpyDeviceToHost));
    }
  }
  return check_first(out_call, seed);
}

fiar_status_t gpu_call_issue(const gpu_call_t* call, cudaStream_t stream) {
  return fiar_rt_all_reduce_norm(call->comm, &call->params, stream);
}

void gpu_call_poison(const gpu_call_t* call, cudaStream_t stream) {
  for (int i = GPU_SUM; i < GPU_ARRAYS; ++i) {
    if (output_of(call, i)) {
      GPU_MUST(cudaMemsetAsync(output_of(call, i), POISON, call->bytes[i], stream));
    }
  }
}

int gpu_call_verify(const gpu_call_t* call, const char* when, cudaStream_t stream) {
  int wrong = 0;
  for (int i = GPU_SUM; i < GPU_ARRAYS; ++i) {
    if (output_of(call, i)) {
      void* got = must_allocate(call->bytes[i]);
      GPU_MUST(
          cudaMemcpyAsync(got, output_of(call, i), call->bytes[i], cudaMemcpyDeviceToHost, stream));
      GPU_MUST(cudaStreamSynchronize(stream));
      wrong += compare(call, i, got, call->host[i], when);
      free(got);
    }
  }
  return wrong;
}

void gpu_call_free(gpu_call_t* call) {
  for (int i = 0; i < GPU_ARRAYS; ++i) {
    (void)cudaFree(call->arrays[i]);
    free(call->host[i]);
  }
  *call = (gpu_call_t){0};
}
