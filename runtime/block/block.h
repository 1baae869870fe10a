// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The ops around the fused call: what entry.c checks, and what computes them. A rank computes on
// its device or on the host, so there are two of the latter. Internal.
#ifndef FIAR_BLOCK_BLOCK_H
#define FIAR_BLOCK_BLOCK_H

#include "runtime_impl.h"

// params are checked and complete: strides set, rows > 0; for activate up is set, but where combine
// is NONE.
typedef struct fiar_compute {
  fiar_status_t (*matmul)(fiar_comm_t* comm, const fiar_matmul_params* params, void* stream);
  fiar_status_t (*rms_norm)(fiar_comm_t* comm, const fiar_all_reduce_norm_params* params,
                            void* stream);
  // params->input are the values to quantise; nothing but their codes and scales is wanted.
  fiar_status_t (*quantize)(fiar_comm_t* comm, const fiar_all_reduce_norm_params* params,
                            void* stream);
  fiar_status_t (*activate)(fiar_comm_t* comm, const fiar_activate_params* params, void* stream);
  fiar_status_t (*copy)(fiar_comm_t* comm, const fiar_copy_params* params, void* stream);

  fiar_status_t (*create)(fiar_comm_t* comm, size_t bytes, void** out_memory);  // zeroed
  fiar_status_t (*destroy)(fiar_comm_t* comm, void* memory);
  fiar_status_t (*write)(fiar_comm_t* comm, void* to, const void* from_host, size_t bytes,
                         void* stream);
  fiar_status_t (*read)(fiar_comm_t* comm, void* to_host, const void* from, size_t bytes,
                        void* stream);
  fiar_status_t (*wait)(fiar_comm_t* comm, void* stream);
} fiar_compute_t;

extern const fiar_compute_t fiar_compute_host;
#if FIAR_HAVE_CUDA
extern const fiar_compute_t fiar_compute_cuda;
// What it keeps for a communicator (fiar_comm_compute). NULL is harmless.
void fiar_cuda_compute_close(void* state);
#endif

// What computes for the communicator's ranks.
const fiar_compute_t* fiar_compute_of(const fiar_comm_t* comm);

// ---- Validation: the caller's params against the ABI, and their complete copy
fiar_status_t fiar_matmul_check(const fiar_matmul_params* params, fiar_matmul_params* out_params);
fiar_status_t fiar_rms_norm_check(const fiar_all_reduce_norm_params* params,
                                  fiar_all_reduce_norm_params* out_params);
// As a call of the fused op's quantiser.
fiar_status_t fiar_quantize_check(const fiar_quantize_params* params,
                                  fiar_all_reduce_norm_params* out_params);
fiar_status_t fiar_activate_check(const fiar_activate_params* params,
                                  fiar_activate_params* out_params);
fiar_status_t fiar_copy_check(const fiar_copy_params* params, fiar_copy_params* out_params);

#endif  // FIAR_BLOCK_BLOCK_H
