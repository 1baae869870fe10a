// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fiar/compiler.h"
#include "mlir-c/Dialect/IRDL.h"
#include "passes.h"

// fiar.irdl.mlir, as an array that cmake/fiar_embed.cmake writes.
extern const char fiar_dialect_text[];
extern const size_t fiar_dialect_text_size;

MlirStringRef fiarDialectText(void) {
  return mlirStringRefCreate(fiar_dialect_text, fiar_dialect_text_size);
}

MlirLogicalResult fiarLoadDialect(MlirContext context) {
  // The text is IRDL, which hosts seldom register.
  (void)mlirDialectHandleLoadDialect(mlirGetDialectHandle__irdl__(), context);
  MlirModule definition = mlirModuleCreateParse(context, fiarDialectText());
  if (mlirModuleIsNull(definition)) {
    return mlirLogicalResultFailure();
  }
  MlirLogicalResult result = mlirLoadIRDLDialects(definition);
  mlirModuleDestroy(definition);
  return result;
}
