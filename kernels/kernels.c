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

// The call's traits, with DRAWS where the kernel has it and the shape asks for it.
static uint32_t traits_for(const fiar_kernel_t* kernel, const fiar_kernel_args_t* args,
                           const fiar_kernel_shape_t* shape) {
  return args->traits | (shape->draws ? kernel->traits & (uint32_t)FIAR_TRAIT_DRAWS : 0);
}

static bool serves(const fiar_kernel_t* kernel, const fiar_kernel_args_t* args,
                   const fiar_kernel_shape_t* shape, int32_t sm) {
  return kernel->vectors_a_thread == shape->vectors_a_thread && sm >= kernel->min_sm &&
         sm < kernel->max_sm && (kernel->world == args->peers.world || kernel->world == 0) &&
         (traits_for(kernel, args, shape) & kernel->known) == kernel->traits;
}

// How much of a call a kernel knows beforehand.
static int rank_of(const fiar_kernel_t* kernel) {
  return (kernel->world != 0) + 2 * (kernel->known != 0) +
         4 * ((kernel->traits & (uint32_t)FIAR_TRAIT_DRAWS) != 0);
}

const fiar_kernel_t* fiar_kernel_find(fiar_algorithm_t algorithm, const fiar_kernel_args_t* args,
                                      const fiar_kernel_shape_t* shape, int32_t sm) {
  const fiar_kernel_t* found = NULL;
  const fiar_kernel_t* kernel = family_of(algorithm, (fiar_dtype_t)args->call.dtype);
  for (; kernel && kernel->entry; ++kernel) {
    if (serves(kernel, args, shape, sm) && (!found || rank_of(kernel) > rank_of(found))) {
      found = kernel;
    }
  }
  return found;
}

bool fiar_kernel_is_entry(const void* entry) {
  static const fiar_kernel_t* const families[] = {
#define X(stem, name, id, min_sm, text) \
  fiar_kernels_##stem##_f16, fiar_kernels_##stem##_bf16, fiar_kernels_##stem##_f32,
#include "kernels.def"
#undef X
  };
  for (size_t i = 0; i < sizeof families / sizeof *families; ++i) {
    for (const fiar_kernel_t* kernel = families[i]; kernel->entry; ++kernel) {
      if (kernel->entry == entry) {
        return true;
      }
    }
  }
  return false;
}
