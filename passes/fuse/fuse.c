// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes.h"

MlirLogicalResult fiarFuse(MlirOperation module, const FiarFuseOptions* options,
                           FiarFuseCounts* out_counts) {
  (void)module;
  (void)options;
  if (out_counts != NULL) {
    *out_counts = (FiarFuseCounts){0};
  }
  return mlirLogicalResultSuccess();
}
