// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-lower-to-block: the raised function becomes what emit.c writes of its plan, and nothing else
// stays in the module.
#include <stdlib.h>
#include <string.h>

#include "block/plan.h"
#include "mlir-c/BuiltinAttributes.h"

// The source's own attributes (mhlo.num_partitions, ...) mean nothing to the LLVM dialect.
static void clear_module(MlirOperation module) {
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(module));
  MlirOperation op = mlirBlockGetFirstOperation(body);
  while (!mlirOperationIsNull(op)) {
    MlirOperation next = mlirOperationGetNextInBlock(op);
    mlirOperationDestroy(op);
    op = next;
  }
  for (intptr_t i = mlirOperationGetNumDiscardableAttributes(module); i-- > 0;) {
    MlirStringRef name = mlirIdentifierStr(mlirOperationGetDiscardableAttribute(module, i).name);
    if (name.length < 5 || memcmp(name.data, "llvm.", 5) != 0) {
      (void)mlirOperationRemoveDiscardableAttributeByName(module, name);
    }
  }
}

MlirLogicalResult fiarLowerToBlock(MlirOperation module, const FiarBlockOptions* options) {
  FiarBlock block;
  char* text = NULL;
  size_t size = 0;
  bool good = fiarBlockPlan(module, options, &block);
  FILE* out = good ? open_memstream(&text, &size) : NULL;
  if (good && out == NULL) {
    good = fiarErrorAt(module, "out of memory");
  }
  if (good) {
    fiarBlockEmit(&block, out);
    good = fclose(out) == 0;
  }
  if (good) {
    clear_module(module);
    good = fiarAppendText(module, text);
  }
  fiarBlockFree(&block);
  free(text);
  return good ? mlirLogicalResultSuccess() : mlirLogicalResultFailure();
}
