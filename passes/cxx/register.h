// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What fiar-opt and the plugin register. Internal.
#ifndef FIAR_CXX_REGISTER_H
#define FIAR_CXX_REGISTER_H

namespace mlir {
class DialectRegistry;
}

namespace fiar {

// The fiar dialect (from its IRDL text), which passes depend on, and the syntax dialects
// (syntax.h).
void registerDialects(mlir::DialectRegistry& registry);
void registerFiarDialect(mlir::DialectRegistry& registry);
void registerSyntaxDialects(mlir::DialectRegistry& registry);

// Every pass and pipeline of the project, a function a folder of passes/.
void registerPasses();
void registerBlockPasses();
void registerCheckPasses();
void registerFusePasses();
void registerLowerPasses();
void registerShardPasses();

}  // namespace fiar

#endif  // FIAR_CXX_REGISTER_H
