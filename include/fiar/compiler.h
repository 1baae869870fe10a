// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The compiler passes, for hosts on the MLIR C API. Unstable until 1.0.
//
// Link libfiar_passes.so where the host shares libMLIR.so.22.1, else libfiar_passes.a, which leaves
// the MLIR C API undefined. Functions may be called from several threads on different contexts.
#ifndef FIAR_COMPILER_H
#define FIAR_COMPILER_H

#include "fiar/status.h"
#include "mlir-c/IR.h"
#include "mlir-c/Pass.h"

#ifdef __cplusplus
extern "C" {
#endif

// Loads the fiar dialect (fiar.all_reduce, fiar.all_reduce_norm, fiar.all_gather_rows) into the
// context, so that its ops parse and verify. Loading twice is harmless. Failure: the dialect text
// that the library carries did not load, which only another dialect called "fiar" can cause.
FIAR_API MlirLogicalResult fiarLoadDialect(MlirContext context);

// The IRDL text of the dialect, for hosts that load it themselves. Static storage.
FIAR_API MlirStringRef fiarDialectText(void);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_COMPILER_H
