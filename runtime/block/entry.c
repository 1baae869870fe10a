// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What compiled models call around the fused call (fiar/abi.h): check, choose, run.
#include <stdint.h>

#include "block/block.h"
#include "comm/comm.h"

const fiar_compute_t* fiar_compute_of(const fiar_comm_t* comm) {
#if FIAR_HAVE_CUDA
  if (fiar_comm_device(comm) >= 0) {
    return &fiar_compute_cuda;
  }
#endif
  (void)comm;
  return &fiar_compute_host;
}

// X(name, the params without _params, what they become when they are checked, its field that counts
// rows: an empty call where that is 0)
#define ENTRIES(X)                                                       \
  X(matmul, fiar_matmul, fiar_matmul_params, m)                          \
  X(rms_norm, fiar_all_reduce_norm, fiar_all_reduce_norm_params, tokens) \
  X(quantize, fiar_quantize, fiar_all_reduce_norm_params, tokens)        \
  X(activate, fiar_activate, fiar_activate_params, rows)                 \
  X(copy, fiar_copy, fiar_copy_params, rows)

#define X(name, given, checked_type, rows)                                                      \
  fiar_status_t fiar_rt_##name(fiar_comm_t* comm, const given##_params* params, void* stream) { \
    checked_type checked;                                                                       \
    FIAR_TRY(fiar_##name##_check(params, &checked));                                            \
    FIAR_TRY(fiar_comm_alone(comm, checked.group, &comm));                                      \
    return checked.rows == 0 ? FIAR_OK : fiar_compute_of(comm)->name(comm, &checked, stream);   \
  }
ENTRIES(X)
#undef X

// ---- Memory ----

fiar_status_t fiar_rt_arena_create(fiar_comm_t* comm, int32_t group, uint64_t bytes,
                                   void** out_memory) {
  FIAR_NOT_NULL(out_memory);
  *out_memory = NULL;
  if (bytes == 0 || bytes > SIZE_MAX / 2) {
    return FIAR_FAIL(INVALID_ARGUMENT, "bytes is %llu, must be from 1 to %zu",
                     (unsigned long long)bytes, SIZE_MAX / 2);
  }
  FIAR_TRY(fiar_comm_alone(comm, group, &comm));
  return fiar_compute_of(comm)->create(comm, (size_t)bytes, out_memory);
}

fiar_status_t fiar_rt_arena_destroy(fiar_comm_t* comm, int32_t group, void* memory) {
  if (!memory) {
    return FIAR_OK;
  }
  FIAR_TRY(fiar_comm_alone(comm, group, &comm));
  return fiar_compute_of(comm)->destroy(comm, memory);
}

static fiar_status_t check_move(const void* to, const void* from, uint64_t bytes) {
  if (bytes > SIZE_MAX / 2) {
    return FIAR_FAIL(INVALID_ARGUMENT, "bytes is %llu, must be at most %zu",
                     (unsigned long long)bytes, SIZE_MAX / 2);
  }
  return to && from ? FIAR_OK
                    : FIAR_FAIL(INVALID_ARGUMENT, "the %s of a copy of %llu bytes is NULL",
                                to ? "source" : "destination", (unsigned long long)bytes);
}

fiar_status_t fiar_rt_write(fiar_comm_t* comm, int32_t group, void* to, const void* from_host,
                            uint64_t bytes, void* stream) {
  FIAR_TRY(bytes == 0 ? FIAR_OK : check_move(to, from_host, bytes));
  FIAR_TRY(fiar_comm_alone(comm, group, &comm));
  return bytes == 0 ? FIAR_OK
                    : fiar_compute_of(comm)->write(comm, to, from_host, (size_t)bytes, stream);
}

fiar_status_t fiar_rt_read(fiar_comm_t* comm, int32_t group, void* to_host, const void* from,
                           uint64_t bytes, void* stream) {
  FIAR_TRY(bytes == 0 ? FIAR_OK : check_move(to_host, from, bytes));
  FIAR_TRY(fiar_comm_alone(comm, group, &comm));
  return bytes == 0 ? FIAR_OK
                    : fiar_compute_of(comm)->read(comm, to_host, from, (size_t)bytes, stream);
}

fiar_status_t fiar_rt_wait(fiar_comm_t* comm, int32_t group, void* stream) {
  FIAR_TRY(fiar_comm_alone(comm, group, &comm));
  return fiar_compute_of(comm)->wait(comm, stream);
}
