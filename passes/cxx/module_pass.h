// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What pass classes share: a pass is a C function, its class carries name and options. Internal.
#ifndef FIAR_CXX_MODULE_PASS_H
#define FIAR_CXX_MODULE_PASS_H

#include "fiar/compiler.h"
#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Support.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace fiar {

// Derived has: static constexpr `argument` and `description`; MlirLogicalResult run(MlirOperation
// module); options as members, and then a copy constructor that leaves them to MLIR:
//   Derived(const Derived& other) : ModulePass(other) {}
template <typename Derived>
class ModulePass : public mlir::PassWrapper<Derived, mlir::OperationPass<mlir::ModuleOp>> {
 public:
  llvm::StringRef getArgument() const override {
    return Derived::argument;
  }
  llvm::StringRef getDescription() const override {
    return Derived::description;
  }
  void runOnOperation() override {
    MlirOperation module = wrap(this->getOperation().getOperation());
    if (mlirLogicalResultIsFailure(static_cast<Derived*>(this)->run(module))) {
      this->signalPassFailure();
    }
  }
};

// A FiarMessageCallback; user_data is the pass's argument, a C string. Errors become diagnostics.
// What was done or missed goes to MLIR's remark engine where --remarks-filter or a host wants it; a
// miss that the engine does not want becomes a remark among the diagnostics.
void messageToDiagnostics(FiarMessageKind kind, MlirLocation location, MlirStringRef text,
                          void* user_data);

}  // namespace fiar

#endif  // FIAR_CXX_MODULE_PASS_H
