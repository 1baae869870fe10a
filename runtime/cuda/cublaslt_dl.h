// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// cuBLASLt, opened at run time. Internal. The few types and numbers of its stable C interface that
// are used here are declared below, so building needs no cublasLt.h (unit-tests/cublaslt_abi_test.c
// compares them with it where there is one).
#ifndef FIAR_CUDA_CUBLASLT_DL_H
#define FIAR_CUDA_CUBLASLT_DL_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

typedef struct fiar_cublaslt_algorithm {
  uint64_t data[8];
} fiar_cublaslt_algorithm_t;  // cublasLtMatmulAlgo_t

typedef struct fiar_cublaslt_found {
  fiar_cublaslt_algorithm_t algorithm;
  size_t workspace_bytes;
  int status;
  float waves;
  int reserved[4];
} fiar_cublaslt_found_t;  // cublasLtMatmulHeuristicResult_t

// X(NAME, value, "name in CUDA's headers")
#define FIAR_CUBLASLT_NUMBERS(X)                                     \
  X(SUCCESS, 0, CUBLAS_STATUS_SUCCESS)                               \
  X(COMPUTE_F32, 68, CUBLAS_COMPUTE_32F)                             \
  X(F32, 0, CUDA_R_32F)                                              \
  X(F16, 2, CUDA_R_16F)                                              \
  X(BF16, 14, CUDA_R_16BF)                                           \
  X(E4M3, 28, CUDA_R_8F_E4M3)                                        \
  X(E5M2, 29, CUDA_R_8F_E5M2)                                        \
  X(E2M1, 33, CUDA_R_4F_E2M1)                                        \
  X(TRANSPOSE, 1, CUBLAS_OP_T)                                       \
  X(DESC_TRANSPOSE_A, 3, CUBLASLT_MATMUL_DESC_TRANSA)                \
  X(DESC_EPILOGUE, 7, CUBLASLT_MATMUL_DESC_EPILOGUE)                 \
  X(DESC_BIAS, 8, CUBLASLT_MATMUL_DESC_BIAS_POINTER)                 \
  X(DESC_A_SCALE, 17, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER)          \
  X(DESC_B_SCALE, 18, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER)          \
  X(DESC_BIAS_TYPE, 26, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE)         \
  X(DESC_A_SCALE_MODE, 31, CUBLASLT_MATMUL_DESC_A_SCALE_MODE)        \
  X(DESC_B_SCALE_MODE, 32, CUBLASLT_MATMUL_DESC_B_SCALE_MODE)        \
  X(SCALE_NVFP4, 1, CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3)        \
  X(SCALE_MX, 2, CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0)           \
  X(SCALE_VECTOR, 3, CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F)     \
  X(EPILOGUE_BIAS, 4, CUBLASLT_EPILOGUE_BIAS)                        \
  X(PREF_WORKSPACE, 1, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)     \
  X(PREF_REDUCTION, 3, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)   \
  X(PREF_ALIGNMENT_A, 5, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES) \
  X(PREF_ALIGNMENT_B, 6, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES) \
  X(PREF_ALIGNMENT_C, 7, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES) \
  X(PREF_ALIGNMENT_D, 8, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES) \
  X(REDUCE_IN_F32, 2, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)

enum {
#define X(name, value, theirs) FIAR_CUBLASLT_##name = (value),
  FIAR_CUBLASLT_NUMBERS(X)
#undef X
      FIAR_CUBLASLT_MIN_VERSION = 120000,
  FIAR_CUBLASLT_SINCE_BLOCKS = 120800,   // nvfp4 and mxfp8
  FIAR_CUBLASLT_SINCE_VECTORS = 120900,  // a scale a row and a column
};

typedef struct fiar_cublaslt {
  int version;  // major * 10000 + minor * 100 + patch
#define X(name, parameters) int(*name) parameters;
#include "cuda/cublaslt_symbols.def"
#undef X
  const char* (*GetStatusString)(int status);
} fiar_cublaslt_t;

// The table, opened on first use: the library that the process already has, else
// FIAR_CUBLASLT_LIBRARY, else libcublasLt.so.13, then .12. UNAVAILABLE, with what is missing, where
// there is none, it is older than FIAR_CUBLASLT_MIN_VERSION, or lacks a symbol. The answer is
// remembered. Any thread.
fiar_status_t fiar_cublaslt_open(const fiar_cublaslt_t** out_cublaslt);

// CUDA_ERROR with the call's name and cuBLAS's reason.
fiar_status_t fiar_cublaslt_fail(const fiar_cublaslt_t* cublaslt, int status, const char* call);

#define FIAR_CUBLASLT_TRY(cublaslt, name, ...)                                     \
  do {                                                                             \
    int fiar_cublaslt_status = (cublaslt)->name(__VA_ARGS__);                      \
    if (fiar_cublaslt_status != FIAR_CUBLASLT_SUCCESS) {                           \
      return fiar_cublaslt_fail(cublaslt, fiar_cublaslt_status, "cublasLt" #name); \
    }                                                                              \
  } while (0)

// The cudaDataType_t of an element type.
int fiar_cublaslt_type(uint8_t element);

#endif  // FIAR_CUDA_CUBLASLT_DL_H
