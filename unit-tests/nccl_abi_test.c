// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What cuda/nccl_dl.h declares of NCCL, against nccl.h itself. Compiling it is the test.
#include "cuda/nccl_dl.h"

#if __has_include(<nccl.h>)
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <nccl.h>
#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #ours " is not " #theirs)
SAME(FIAR_NCCL_SUCCESS, ncclSuccess);
SAME(FIAR_NCCL_UNHANDLED_CUDA_ERROR, ncclUnhandledCudaError);
SAME(FIAR_NCCL_SYSTEM_ERROR, ncclSystemError);
SAME(FIAR_NCCL_IN_PROGRESS, ncclInProgress);
SAME(FIAR_NCCL_SUM, ncclSum);
SAME(FIAR_NCCL_UINT8, ncclUint8);
SAME(FIAR_NCCL_FLOAT16, ncclFloat16);
SAME(FIAR_NCCL_FLOAT32, ncclFloat32);
SAME(FIAR_NCCL_BFLOAT16, ncclBfloat16);
SAME(FIAR_NCCL_MIN_VERSION, NCCL_VERSION(2, 14, 0));
SAME(sizeof(fiar_nccl_id_t), sizeof(ncclUniqueId));
#ifdef NCCL_WIN_COLL_SYMMETRIC
SAME(FIAR_NCCL_WINDOW_SYMMETRIC, NCCL_WIN_COLL_SYMMETRIC);
#endif
int main(void) {
  return 0;
}
#else
#include <stdio.h>
int main(void) {
  printf("skipped: this build found no nccl.h\n");
  return 77;
}
#endif
