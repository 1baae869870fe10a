// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The numbers and types of cuBLASLt that cuda/cublaslt_dl.h declares, against its own header.
#include <stdio.h>

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#include <stddef.h>

#include "cuda/cublaslt_dl.h"

#define X(name, value, theirs) _Static_assert((int)(theirs) == FIAR_CUBLASLT_##name, #theirs);
FIAR_CUBLASLT_NUMBERS(X)
#undef X
_Static_assert(sizeof(fiar_cublaslt_algorithm_t) == sizeof(cublasLtMatmulAlgo_t), "the algorithm");
_Static_assert(sizeof(fiar_cublaslt_found_t) == sizeof(cublasLtMatmulHeuristicResult_t), "found");
_Static_assert(offsetof(fiar_cublaslt_found_t, workspace_bytes) ==
                   offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize),
               "its workspace");
_Static_assert(offsetof(fiar_cublaslt_found_t, status) ==
                   offsetof(cublasLtMatmulHeuristicResult_t, state),
               "its status");

int main(void) {
  (void)printf("agrees with cublasLt.h %d\n", CUBLAS_VERSION);
  return 0;
}
#else
int main(void) {
  (void)printf("skipped: there is no cublasLt.h\n");
  return 77;
}
#endif
