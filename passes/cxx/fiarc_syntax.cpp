// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What fiarc, which is C, needs of the C++ here.
#include "fiarc/fiarc.h"
#include "mlir/CAPI/IR.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllExtensions.h"
#include "register.h"

void fiarRegisterSyntax(MlirDialectRegistry registry) {
  mlir::registerAllExtensions(*unwrap(registry));
  fiar::registerDialects(*unwrap(registry));
}
