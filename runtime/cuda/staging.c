// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/staging.h"

#include "cuda/cuda_impl.h"
#include "fiar/runtime.h"
#include "residual.h"

enum { ALIGNMENT = 16, MOST_PITCH = 1 << 30, ROOM = 256, LEAST_BYTES = 1 << 20 };

// One array of a call: where its pointer is, and its extent as the caller has it and as it is
// staged (rows closed up). pitch 0: rows that are closed up there, too.
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
  size_t held =
      (size_t)fiar_residual_rows_owned(params->residual_layout, params->tokens, rank, world);
#define AT(name) offsetof(fiar_all_reduce_norm_params, name)
  const array_t all[ARRAYS] = {
      {AT(input), false, tokens, row, (size_t)params->input_stride * element},
      {AT(residual), false, held, row, (size_t)params->residual_stride * element},
      {AT(weight), false, 1, (size_t)params->hidden * weight_element, 0},
      {AT(sum_out), true, tokens, row, 0},
      {AT(residual_out), true, held, row, 0},
      {AT(norm_out), true, tokens, row, 0},
      {AT(quant_out), true, 1, codes, 0},
      {AT(scales_out), true, 1, scales, 0},
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

// Rows of which some do not start at a whole vector, or too far apart for the kernels' offsets.
static bool lies_badly(const void* pointer, size_t pitch) {
  return pointer &&
         ((uintptr_t)pointer % ALIGNMENT != 0 || pitch % ALIGNMENT != 0 || pitch > MOST_PITCH);
}

bool fiar_staging_needed(const fiar_all_reduce_norm_params* params) {
  const size_t element = params->dtype == FIAR_DTYPE_F32 ? 4 : 2;
  return lies_badly(params->input, (size_t)params->input_stride * element) ||
         lies_badly(params->residual, (size_t)params->residual_stride * element) ||
         lies_badly(params->weight, 0) || lies_badly(params->sum_out, 0) ||
         lies_badly(params->residual_out, 0) || lies_badly(params->norm_out, 0) ||
         lies_badly(params->quant_out, 0) || lies_badly(params->scales_out, 0);
}

static bool is_staged(const fiar_all_reduce_norm_params* params, const array_t* array) {
  return lies_badly(pointer_in(params, array), array->pitch);
}

static size_t room_of(const array_t* array) {
  return (array->rows * array->row_bytes + ROOM) / ROOM *
         ROOM;  // some, also for a rank without rows
}

static fiar_status_t staging_grow(fiar_staging_t* staging, size_t bytes, void* stream) {
  if (bytes <= staging->bytes) {
    return FIAR_OK;
  }
  if (fiar_cuda_capturing(stream)) {
    return FIAR_FAIL(
        UNSUPPORTED,
        "the call has arrays whose rows are not all aligned to %d bytes; make it once before the stream is captured",
        ALIGNMENT);
  }
  size_t room = staging->bytes > 0 ? 2 * staging->bytes : LEAST_BYTES;
  while (room < bytes) {
    room *= 2;
  }
  void* block = NULL;
  cudaError_t error = cudaMalloc(&block, room);
  if (error != cudaSuccess) {
    return fiar_annotate(fiar_cuda_fail(error, "cudaMalloc"), "%zu bytes of staging", room);
  }
  staging->blocks[staging->count++] = block;
  staging->bytes = room;
  return FIAR_OK;
}

fiar_status_t fiar_staging_in(fiar_staging_t* staging, const fiar_all_reduce_norm_params* params,
                              int32_t rank, int32_t world, void* stream,
                              fiar_all_reduce_norm_params* out_staged) {
  array_t arrays[ARRAYS];
  size_t bytes = 0;
  FIAR_TRY(arrays_describe(params, rank, world, arrays));
  for (int i = 0; i < ARRAYS; ++i) {
    bytes += is_staged(params, &arrays[i]) ? room_of(&arrays[i]) : 0;
  }
  FIAR_TRY(staging_grow(staging, bytes, stream));
  *out_staged = *params;
  char* at = staging->blocks[staging->count - 1];
  for (int i = 0; i < ARRAYS; ++i) {
    const array_t* array = &arrays[i];
    void* theirs = pointer_in(params, array);
    if (!is_staged(params, array)) {
      continue;
    }
    *pointer_of(out_staged, array) = at;
    if (!array->output && array->rows > 0) {
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
    if (array->output && is_staged(params, array)) {
      FIAR_CUDA_TRY(cudaMemcpyAsync(theirs, pointer_in(staged, array),
                                    array->rows * array->row_bytes, cudaMemcpyDeviceToDevice,
                                    stream));
    }
  }
  return FIAR_OK;
}

void fiar_staging_finish(fiar_staging_t* staging) {
  for (int32_t i = 0; i < staging->count; ++i) {
    (void)cudaFree(staging->blocks[i]);
  }
  *staging = (fiar_staging_t){0};
}
