// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The rows that a kernel family adds to the table of kernels.c: which rank counts and vectors a
// thread are compiled. The usual element types get exact rank counts; f32 and other counts share
// one for any.
#ifndef FIAR_DEVICE_TABLE_CUH
#define FIAR_DEVICE_TABLE_CUH

#include "device/common.cuh"

// Two vectors a thread are for rows of more than 512 vectors, four for those of more than 1024. The
// bounds keep so many blocks resident on a multiprocessor as fiar_kernel_shape counts on.
#define FIAR_MAX_THREADS(v) ((v) == 4 && FIAR_IS_F32 ? 1024 : 512)
#define FIAR_MIN_BLOCKS(v) ((v) == 1 ? 2 : 1)

#if FIAR_IS_F32
#define FIAR_SYMBOL(stem) fiar_kernels_##stem##_f32
#elif FIAR_IS_BF16
#define FIAR_SYMBOL(stem) fiar_kernels_##stem##_bf16
#else
#define FIAR_SYMBOL(stem) fiar_kernels_##stem##_f16
#endif

#define FIAR_ROW(stem, name, world, v)             \
  {#stem,                                          \
   reinterpret_cast<const void*>(&stem<world, v>), \
   FIAR_ALGORITHM_##name,                          \
   FIAR_KERNEL_DTYPE,                              \
   world,                                          \
   v,                                              \
   FIAR_MAX_THREADS(v)},

#define FIAR_ROWS_ANY_WORLD(stem, name) \
  FIAR_ROW(stem, name, 0, 1) FIAR_ROW(stem, name, 0, 2) FIAR_ROW(stem, name, 0, 4)
#if FIAR_IS_F32
#define FIAR_ROWS_OF_WORLDS(stem, name)
#else
#define FIAR_ROWS_OF_WORLDS(stem, name) \
  FIAR_ROW(stem, name, 2, 1)            \
  FIAR_ROW(stem, name, 2, 2)            \
  FIAR_ROW(stem, name, 4, 1)            \
  FIAR_ROW(stem, name, 4, 2) FIAR_ROW(stem, name, 8, 1)
#endif

// A row with a null entry ends a family's list.
#define FIAR_TABLE(stem, rows)                                                       \
  extern "C" {                                                                       \
  extern const fiar_kernel_t FIAR_SYMBOL(stem)[];                                    \
  const fiar_kernel_t FIAR_SYMBOL(stem)[] = {rows{nullptr, nullptr, 0, 0, 0, 0, 0}}; \
  }
#define FIAR_KERNEL_TABLE(stem, name) \
  FIAR_TABLE(stem, FIAR_ROWS_OF_WORLDS(stem, name) FIAR_ROWS_ANY_WORLD(stem, name))
#define FIAR_KERNEL_TABLE_ANY_WORLD(stem, name) FIAR_TABLE(stem, FIAR_ROWS_ANY_WORLD(stem, name))

#endif  // FIAR_DEVICE_TABLE_CUH
