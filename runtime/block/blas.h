// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A BLAS for matmuls on the host, opened at run time. Internal.
#ifndef FIAR_BLOCK_BLAS_H
#define FIAR_BLOCK_BLAS_H

#include "host/reference.h"

// By the CBLAS that FIAR_BLAS_LIBRARY names, else OpenBLAS or BLIS, else plain C. The answer is
// remembered, and logged once. Any thread. INVALID_ARGUMENT for a bad environment, UNAVAILABLE
// where a library was named that does not open.
fiar_status_t fiar_blas_multiply(fiar_multiply_fn** out_multiply);

#endif  // FIAR_BLOCK_BLAS_H
