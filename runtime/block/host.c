// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The ops around the fused call on the host: the reference of kernels/host, with a BLAS in the
// middle of the matmul. Streams are ignored.
#include <stdlib.h>
#include <string.h>

#include "block/blas.h"
#include "block/block.h"

static fiar_status_t with_room(fiar_status_t status, size_t bytes) {
  return status == FIAR_OK ? FIAR_OK : fiar_fail(status, "%zu bytes of host memory", bytes);
}

static fiar_status_t host_matmul(fiar_comm_t* comm, const fiar_matmul_params* params,
                                 void* stream) {
  (void)comm;
  (void)stream;
  fiar_multiply_fn* multiply = NULL;
  FIAR_TRY(fiar_blas_multiply(&multiply));
  return with_room(fiar_reference_matmul(params, multiply),
                   (size_t)(params->m * params->k) * sizeof(float));
}

static fiar_status_t host_rms_norm(fiar_comm_t* comm, const fiar_all_reduce_norm_params* params,
                                   void* stream) {
  (void)comm;
  (void)stream;
  const void* const inputs[] = {params->input};
  const void* const residuals[] = {params->residual};
  return with_room(
      fiar_reference_all_reduce_norm(1, 0, inputs, params->residual ? residuals : NULL, params),
      (size_t)params->hidden * sizeof(float));
}

static fiar_status_t host_quantize(fiar_comm_t* comm, const fiar_all_reduce_norm_params* params,
                                   void* stream) {
  (void)comm;
  (void)stream;
  return with_room(fiar_reference_quantise_rows(params->input, params->input_stride, params),
                   (size_t)params->hidden * sizeof(float));
}

static fiar_status_t host_activate(fiar_comm_t* comm, const fiar_activate_params* params,
                                   void* stream) {
  (void)comm;
  (void)stream;
  fiar_reference_activate(params);
  return FIAR_OK;
}

static fiar_status_t host_copy(fiar_comm_t* comm, const fiar_copy_params* params, void* stream) {
  (void)comm;
  (void)stream;
  fiar_reference_copy(params);
  return FIAR_OK;
}

// ---- Memory ----

static fiar_status_t host_create(fiar_comm_t* comm, size_t bytes, void** out_memory) {
  (void)comm;
  enum { ALIGNMENT = 256 };
  *out_memory = aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
  if (!*out_memory) {
    return FIAR_FAIL(OUT_OF_MEMORY, "an arena of %zu bytes of host memory", bytes);
  }
  memset(*out_memory, 0, bytes);
  return FIAR_OK;
}

static fiar_status_t host_destroy(fiar_comm_t* comm, void* memory) {
  (void)comm;
  free(memory);
  return FIAR_OK;
}

static fiar_status_t host_move(fiar_comm_t* comm, void* to, const void* from, size_t bytes,
                               void* stream) {
  (void)comm;
  (void)stream;
  memmove(to, from, bytes);
  return FIAR_OK;
}

static fiar_status_t host_wait(fiar_comm_t* comm, void* stream) {
  (void)comm;
  (void)stream;
  return FIAR_OK;
}

const fiar_compute_t fiar_compute_host = {
    .matmul = host_matmul,
    .rms_norm = host_rms_norm,
    .quantize = host_quantize,
    .activate = host_activate,
    .copy = host_copy,
    .create = host_create,
    .destroy = host_destroy,
    .write = host_move,
    .read = host_move,
    .wait = host_wait,
};
