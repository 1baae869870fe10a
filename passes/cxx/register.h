// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What fiar-opt and the plugin register. Internal.
#ifndef FIAR_CXX_REGISTER_H
#define FIAR_CXX_REGISTER_H

namespace mlir {
class DialectRegistry;
}

namespace fiar {
// The fiar dialect (from its IRDL text) and the syntax dialects.
void registerDialects(mlir::DialectRegistry& registry);
// The syntax dialects alone; syntax.h says what they are.
void registerSyntaxDialects(mlir::DialectRegistry& registry);
// Every pass and pipeline of the project.
void registerPasses();
}  // namespace fiar

#endif  // FIAR_CXX_REGISTER_H
