// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Functions that host and device compile alike, of IEEE operations that no compiler may join or
// replace, so that both give the same bits. Internal.
#ifndef FIAR_SHARED_H
#define FIAR_SHARED_H

#include <math.h>
#include <stdint.h>

#if defined(__CUDACC__)
#define FIAR_SHARED_FN __device__ __forceinline__
#define FIAR_FMA(a, b, c) __fmaf_rn(a, b, c)
#define FIAR_MUL(a, b) __fmul_rn(a, b)
#define FIAR_POWER_OF_2(n) __int_as_float(((n) + 127) << 23)
#else
#define FIAR_SHARED_FN static inline
#define FIAR_FMA(a, b, c) fmaf(a, b, c)
#define FIAR_MUL(a, b) ((a) * (b))
#define FIAR_POWER_OF_2(n) ldexpf(1.0f, n)
#endif

#endif  // FIAR_SHARED_H
