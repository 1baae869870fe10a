// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The table of kernels: what the families of kernels.def export, an element type each.
#include "kernels.h"

#define X(stem, name, id, min_sm, text)                                                 \
  extern const fiar_kernel_t fiar_kernels_##stem##_f16[], fiar_kernels_##stem##_bf16[], \
      fiar_kernels_##stem##_f32[];
#include "kernels.def"
#undef X

static const fiar_kernel_t* family_of(fiar_algorithm_t algorithm, fiar_dtype_t dtype) {
  switch (algorithm) {
#define X(stem, name, id, min_sm, text)                            \
  case FIAR_ALGORITHM_##name:                                      \
    return dtype == FIAR_DTYPE_F16    ? fiar_kernels_##stem##_f16  \
           : dtype == FIAR_DTYPE_BF16 ? fiar_kernels_##stem##_bf16 \
                                      : fiar_kernels_##stem##_f32;
#include "kernels.def"
#undef X
  }
  return NULL;
}

const fiar_kernel_t* fiar_kernel_find(fiar_algorithm_t algorithm, fiar_dtype_t dtype, int32_t world,
                                      int32_t vectors_a_thread) {
  const fiar_kernel_t* found = NULL;
  for (const fiar_kernel_t* kernel = family_of(algorithm, dtype); kernel && kernel->entry;
       ++kernel) {
    if (kernel->vectors_a_thread == vectors_a_thread &&
        (kernel->world == world || kernel->world == 0) && (!found || kernel->world == world)) {
      found = kernel;
    }
  }
  return found;
}
