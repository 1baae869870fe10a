// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// NCCL, opened at run time. Internal. The few types and numbers of NCCL's stable C interface that
// are used here are declared below, so building needs no nccl.h (unit-tests/nccl_abi_test.c
// compares them with it where there is one).
#ifndef FIAR_CUDA_NCCL_DL_H
#define FIAR_CUDA_NCCL_DL_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fiar/types.h"

typedef struct fiar_nccl_opaque_comm* fiar_nccl_comm_t;      // ncclComm_t
typedef struct fiar_nccl_opaque_window* fiar_nccl_window_t;  // ncclWindow_t: memory of the device
typedef struct fiar_nccl_id {
  char bytes[128];
} fiar_nccl_id_t;  // ncclUniqueId

enum {
  FIAR_NCCL_SUCCESS = 0,
  FIAR_NCCL_UNHANDLED_CUDA_ERROR = 1,
  FIAR_NCCL_SYSTEM_ERROR = 2,
  FIAR_NCCL_IN_PROGRESS = 7,
  FIAR_NCCL_SUM = 0,
  FIAR_NCCL_UINT8 = 1,
  FIAR_NCCL_FLOAT16 = 6,
  FIAR_NCCL_FLOAT32 = 7,
  FIAR_NCCL_BFLOAT16 = 9,
  FIAR_NCCL_WINDOW_SYMMETRIC = 1,
  FIAR_NCCL_MIN_VERSION = 21400,
};

typedef struct fiar_nccl {
  int version;
#define X(since, name, parameters) int(*name) parameters;
#include "cuda/nccl_symbols.def"
#undef X
  const char* (*GetErrorString)(int result);
  const char* (*GetLastError)(fiar_nccl_comm_t comm);
} fiar_nccl_t;

// The table, opened on first use: the library that the process already has, else FIAR_NCCL_LIBRARY,
// else libnccl.so.2. UNAVAILABLE, with what is missing, where there is none, it is older than
// FIAR_NCCL_MIN_VERSION, or lacks a symbol that its version should have. The answer is remembered.
// Symbols newer than the library are NULL. Any thread.
fiar_status_t fiar_nccl_open(const fiar_nccl_t** out_nccl);

// NCCL_ERROR with the call's name, NCCL's reason and its last message.
fiar_status_t fiar_nccl_fail(const fiar_nccl_t* nccl, int result, const char* call);

#define FIAR_NCCL_TRY(nccl, name, ...)                               \
  do {                                                               \
    int fiar_nccl_result = (nccl)->name(__VA_ARGS__);                \
    if (fiar_nccl_result != FIAR_NCCL_SUCCESS) {                     \
      return fiar_nccl_fail((nccl), fiar_nccl_result, "nccl" #name); \
    }                                                                \
  } while (0)

// The ncclDataType_t of a dtype; 0 (an int8) is never one of ours.
static inline int fiar_nccl_type(uint8_t dtype) {
  return dtype == FIAR_DTYPE_F16
             ? FIAR_NCCL_FLOAT16
             : (dtype == FIAR_DTYPE_BF16 ? FIAR_NCCL_BFLOAT16 : FIAR_NCCL_FLOAT32);
}

#endif  // FIAR_CUDA_NCCL_DL_H
