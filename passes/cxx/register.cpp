// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "register.h"

#include "fiar/compiler.h"
#include "mlir/CAPI/IR.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"

namespace fiar {

void registerFiarDialect(mlir::DialectRegistry& registry) {
  // The dialect lives in IRDL text, so it has no C++ class and no TypeID of its own.
  registry.insert(mlir::TypeID::get<void>(), "fiar", [](mlir::MLIRContext* context) {
    (void)fiarLoadDialect(wrap(context));
    return context->getLoadedDialect("fiar");
  });
}

void registerDialects(mlir::DialectRegistry& registry) {
  registerFiarDialect(registry);
  registerSyntaxDialects(registry);
}

void registerPasses() {
  registerBlockPasses();
  registerCheckPasses();
  registerFusePasses();
  registerLowerPasses();
  registerShardPasses();
}

}  // namespace fiar
