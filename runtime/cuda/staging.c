// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/staging.h"

#include "cuda/cuda_impl.h"
#include "fiar/runtime.h"

enum { ALIGNMENT = 16, ROOM = 256 };

// One array of a call: where its pointer is, and its extent as the caller has it and as it is
// staged (rows closed up).
typedef struct array {
  size_t field;
  bool output;
  size_t rows, row_bytes, pitch;
} array_t;

enum { ARRAYS = 8 };

static fiar_status_t arrays_describe(const fiar_all_reduce_norm_params* params, int32_t rank,
                                     int32_t world, array_t arrays[ARRAYS]) {
  size_t codes = 0, scales = 0;
  if (params->quant_out) {
    FIAR_TRY(fiar_codes_bytes(params, &codes));
  }
  if (params->scales_out) {
    FIAR_TRY(fiar_scales_bytes(params, &scales));
  }
  size_t element = params->dtype == FIAR_DTYPE_F32 ? 4 : 2;
  size_t weight_element = params->weight_dtype == FIAR_DTYPE_F32 ? 4 : 2;
  size_t tokens = (size_t)params->tokens, row = (size_t)params->hidden * element;
  size_t held = params->residual_layout == FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD
                    ? (tokens + (size_t)world - 1 - (size_t)rank) / (size_t)world
                    : tokens;
#define AT(name) offsetof(fiar_all_reduce_norm_params, name)
  const array_t all[ARRAYS] = {
      {AT(input), false, tokens, row, (size_t)params->input_stride * element},
      {AT(residual), false, held, row, (size_t)params->residual_stride * element},
      {AT(weight), false, 1, (size_t)params->hidden * weight_element, 0},
      {AT(sum_out), true, tokens, row, row},
      {AT(residual_out), true, held, row, row},
      {AT(norm_out), true, tokens, row, row},
      {AT(quant_out), true, 1, codes, codes},
      {AT(scales_out), true, 1, scales, scales},
  };
#undef AT
  for (int i = 0; i < ARRAYS; ++i) {
    arrays[i] = all[i];
  }
  return FIAR_OK;
}

static void** pointer_of(fiar_all_reduce_norm_params* params, const array_t* array) {
  return (void**)((char*)params + array->field);
}

static void* pointer_in(const fiar_all_reduce_norm_params* params, const array_t* array) {
  return *(void* const*)((const char*)params + array->field);
}

static bool misaligned(const void* pointer) {
  return (uintptr_t)pointer % ALIGNMENT != 0;
}

bool fiar_staging_needed(const fiar_all_reduce_norm_params* params) {
  return misaligned(params->input) || misaligned(params->residual) || misaligned(params->weight) ||
         misaligned(params->sum_out) || misaligned(params->residual_out) ||
         misaligned(params->norm_out) || misaligned(params->quant_out) ||
         misaligned(params->scales_out);
}

static size_t room_of(const array_t* array) {
  return (array->rows * array->row_bytes + ROOM - 1) / ROOM * ROOM;
}

static fiar_status_t staging_grow(fiar_staging_t* staging, size_t bytes, void* stream) {
  if (bytes <= staging->bytes) {
    return FIAR_OK;
  }
  if (fiar_cuda_capturing(stream)) {
    return FIAR_FAIL(
        UNSUPPORTED,
        "the call has arrays that are not aligned to %d bytes; make it once before the stream is captured",
        ALIGNMENT);
  }
  fiar_staging_finish(staging);
  cudaError_t error = cudaMalloc(&staging->memory, bytes);
  if (error != cudaSuccess) {
    staging->memory = NULL;
    return fiar_annotate(fiar_cuda_fail(error, "cudaMalloc"), "%zu bytes of staging", bytes);
  }
  staging->bytes = bytes;
  return FIAR_OK;
}

fiar_status_t fiar_staging_in(fiar_staging_t* staging, const fiar_all_reduce_norm_params* params,
                              int32_t rank, int32_t world, void* stream,
                              fiar_all_reduce_norm_params* out_staged) {
  array_t arrays[ARRAYS];
  size_t bytes = 0;
  FIAR_TRY(arrays_describe(params, rank, world, arrays));
  for (int i = 0; i < ARRAYS; ++i) {
    bytes += misaligned(pointer_in(params, &arrays[i])) ? room_of(&arrays[i]) : 0;
  }
  FIAR_TRY(staging_grow(staging, bytes, stream));
  *out_staged = *params;
  char* at = staging->memory;
  for (int i = 0; i < ARRAYS; ++i) {
    const array_t* array = &arrays[i];
    void* theirs = pointer_in(params, array);
    if (!misaligned(theirs)) {
      continue;
    }
    *pointer_of(out_staged, array) = at;
    if (!array->output) {
      FIAR_CUDA_TRY(cudaMemcpy2DAsync(
          at, array->row_bytes, theirs, array->rows > 1 ? array->pitch : array->row_bytes,
          array->row_bytes, array->rows, cudaMemcpyDeviceToDevice, stream));
    }
    at += room_of(array);
  }
  // Staged rows are closed up.
  if (out_staged->input != params->input) {
    out_staged->input_stride = params->hidden;
  }
  if (out_staged->residual != params->residual) {
    out_staged->residual_stride = params->hidden;
  }
  return FIAR_OK;
}

fiar_status_t fiar_staging_out(const fiar_all_reduce_norm_params* params,
                               const fiar_all_reduce_norm_params* staged, int32_t rank,
                               int32_t world, void* stream) {
  array_t arrays[ARRAYS];
  FIAR_TRY(arrays_describe(params, rank, world, arrays));
  for (int i = 0; i < ARRAYS; ++i) {
    const array_t* array = &arrays[i];
    void* theirs = pointer_in(params, array);
    if (array->output && misaligned(theirs)) {
      FIAR_CUDA_TRY(cudaMemcpyAsync(theirs, pointer_in(staged, array),
                                    array->rows * array->row_bytes, cudaMemcpyDeviceToDevice,
                                    stream));
    }
  }
  return FIAR_OK;
}

void fiar_staging_finish(fiar_staging_t* staging) {
  (void)cudaFree(staging->memory);
  *staging = (fiar_staging_t){0};
}
