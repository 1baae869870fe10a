// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// FiarPlugin.so: the same dialects and passes for stock mlir-opt.
#include "fiar/version.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "register.h"

extern "C" LLVM_ATTRIBUTE_WEAK __attribute__((visibility("default"))) mlir::DialectPluginLibraryInfo
mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "fiar", FIAR_VERSION_STRING,
          [](mlir::DialectRegistry* registry) { fiar::registerDialects(*registry); }};
}

extern "C" LLVM_ATTRIBUTE_WEAK __attribute__((visibility("default"))) mlir::PassPluginLibraryInfo
mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "fiar", FIAR_VERSION_STRING, [] { fiar::registerPasses(); }};
}
