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

#define FIAR_ROW(stem, name, world, v, known, traits)                           \
  {#stem,                                                                       \
   reinterpret_cast<const void*>(&stem<kind<(world), (v), (known), (traits)>>), \
   FIAR_ALGORITHM_##name,                                                       \
   FIAR_KERNEL_DTYPE,                                                           \
   world,                                                                       \
   v,                                                                           \
   FIAR_MAX_THREADS(v),                                                         \
   known,                                                                       \
   traits,                                                                      \
   (known) ? FIAR_SPECIAL_MIN_SM : 0,                                           \
   (known) ? FIAR_SPECIAL_MAX_SM : INT32_MAX},
#define FIAR_ROW_GENERAL(stem, name, world, v) FIAR_ROW(stem, name, world, v, 0, 0)

// The calls of most models have kernels of their own, a third of the general one's instructions:
// residual, a weight of the element type, the residual and either the norm or the codes wanted.
// Traits of which both forms are common, and both forms possible, stay open.
#define FIAR_OPEN_TRAITS(traits)                                                          \
  (uint32_t)(FIAR_TRAIT_BEFORE_WEIGHT | FIAR_TRAIT_ROUND_WEIGHT | FIAR_TRAIT_DIVIDES |    \
             FIAR_TRAIT_EXPONENTS |                                                       \
             ((traits) & (FIAR_TRAIT_STATIC | FIAR_TRAIT_NVFP4) ? FIAR_TRAIT_GIVEN : 0) | \
             ((traits)&FIAR_TRAIT_SCALES_OUT ? FIAR_TRAIT_PADDED : 0))
#define FIAR_SPECIAL(stem, name, world, v, traits)                                                \
  FIAR_ROW(stem, name, world, v, ~FIAR_OPEN_TRAITS(traits),                                       \
           (FIAR_TRAIT_RESIDUAL | FIAR_TRAIT_WEIGHT | FIAR_TRAIT_NORM | FIAR_TRAIT_RESIDUAL_OUT | \
            (traits)))
#define FIAR_SPECIAL_CODES(stem, name, world, v, traits) \
  FIAR_SPECIAL(stem, name, world, v, FIAR_TRAIT_QUANT | FIAR_TRAIT_CODES_OUT | (traits))
#define FIAR_SPECIAL_BLOCKS(stem, name, world, v, traits) \
  FIAR_SPECIAL_CODES(stem, name, world, v,                \
                     FIAR_TRAIT_SCALES_OUT | FIAR_TRAIT_BLOCKS | FIAR_TRAIT_SHUFFLES | (traits))
#if FIAR_IS_BF16
#define FIAR_SPECIALS_OF_BLOCKS(stem, name, world, v, more)                             \
  FIAR_SPECIAL_BLOCKS(stem, name, world, v, more)                                       \
  FIAR_SPECIAL_BLOCKS(stem, name, world, v, FIAR_TRAIT_NVFP4 | FIAR_TRAIT_FP4 | (more)) \
  FIAR_SPECIAL_BLOCKS(stem, name, world, v, FIAR_TRAIT_MX | (more))                     \
  FIAR_SPECIAL_BLOCKS(stem, name, world, v, FIAR_TRAIT_MX | FIAR_TRAIT_FP4 | (more))
#else
#define FIAR_SPECIALS_OF_BLOCKS(stem, name, world, v, more)
#endif
#define FIAR_SPECIALS(stem, name, world, v, more)                                                \
  FIAR_SPECIAL(stem, name, world, v, FIAR_TRAIT_NORM_OUT | (more))                               \
  FIAR_SPECIAL_CODES(stem, name, world, v, FIAR_TRAIT_STATIC | (more))                           \
  FIAR_SPECIAL_CODES(stem, name, world, v, FIAR_TRAIT_ROW_AMAX | FIAR_TRAIT_SCALES_OUT | (more)) \
  FIAR_SPECIALS_OF_BLOCKS(stem, name, world, v, more)

#define FIAR_ROWS_ANY_WORLD(stem, name) \
  FIAR_ROW_GENERAL(stem, name, 0, 1)    \
  FIAR_ROW_GENERAL(stem, name, 0, 2) FIAR_ROW_GENERAL(stem, name, 0, 4)
#if FIAR_IS_F32
#define FIAR_ROWS_OF_WORLDS(stem, name)
#define FIAR_ROWS_DRAWN(stem, name, world)
#else
#define FIAR_ROWS_OF_WORLD(stem, name, world, v) \
  FIAR_ROW_GENERAL(stem, name, world, v) FIAR_SPECIALS(stem, name, world, v, 0)
#define FIAR_ROWS_OF_WORLDS(stem, name) \
  FIAR_ROWS_OF_WORLD(stem, name, 2, 1)  \
  FIAR_ROWS_OF_WORLD(stem, name, 2, 2)  \
  FIAR_ROWS_OF_WORLD(stem, name, 4, 1)  \
  FIAR_ROWS_OF_WORLD(stem, name, 4, 2) FIAR_ROWS_OF_WORLD(stem, name, 8, 1)
// For calls of wide rows (fiar_kernel_shape says which), where drawing was found to pay.
#define FIAR_ROWS_DRAWN(stem, name, world) FIAR_SPECIALS(stem, name, world, 1, FIAR_TRAIT_DRAWS)
#endif

// A row with a null entry ends a family's list, of the rows that follow the stem.
#define FIAR_TABLE(stem, ...)                                    \
  extern "C" {                                                   \
  extern const fiar_kernel_t FIAR_SYMBOL(stem)[];                \
  const fiar_kernel_t FIAR_SYMBOL(stem)[] = {                    \
      __VA_ARGS__{nullptr, nullptr, 0, 0, 0, 0, 0, 0, 0, 0, 0}}; \
  }
#define FIAR_KERNEL_TABLE_WITH(stem, name, more) \
  FIAR_TABLE(stem, FIAR_ROWS_OF_WORLDS(stem, name) more FIAR_ROWS_ANY_WORLD(stem, name))
#define FIAR_KERNEL_TABLE(stem, name) FIAR_KERNEL_TABLE_WITH(stem, name, )
#define FIAR_KERNEL_TABLE_ANY_WORLD(stem, name) FIAR_TABLE(stem, FIAR_ROWS_ANY_WORLD(stem, name))

#endif  // FIAR_DEVICE_TABLE_CUH
