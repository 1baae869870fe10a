// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The passes of passes/lower and the pipeline of passes/pipeline.c, for fiar-opt and the plugin.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "module_pass.h"
#include "passes.h"
#include "register.h"

namespace fiar {
namespace {

class LowerToRuntime : public ModulePass<LowerToRuntime> {
 public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerToRuntime)
  static constexpr char argument[] = "fiar-lower-to-runtime";
  static constexpr char description[] =
      "Lower fiar ops to calls of the runtime, and give public functions a C entry";

  void getDependentDialects(mlir::DialectRegistry& registry) const override {
    registry
        .insert<mlir::arith::ArithDialect, mlir::bufferization::BufferizationDialect,
                mlir::func::FuncDialect, mlir::linalg::LinalgDialect, mlir::LLVM::LLVMDialect,
                mlir::memref::MemRefDialect, mlir::scf::SCFDialect, mlir::tensor::TensorDialect>();
  }
  MlirLogicalResult run(MlirOperation module) {
    return fiarLowerToRuntime(module);
  }
};

class LowerToFfi : public ModulePass<LowerToFfi> {
 public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerToFfi)
  static constexpr char argument[] = "fiar-lower-to-ffi";
  static constexpr char description[] =
      "Lower fiar ops to the stablehlo.custom_calls that fiar's XLA handlers serve";

  MlirLogicalResult run(MlirOperation module) {
    return fiarLowerToFfi(module);
  }
};

class TorchToBuiltin : public ModulePass<TorchToBuiltin> {
 public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TorchToBuiltin)
  static constexpr char argument[] = "fiar-torch-to-builtin";
  static constexpr char description[] =
      "Put fiar ops on torch's tensors on builtin tensors, between torch_c casts";

  MlirLogicalResult run(MlirOperation module) {
    return fiarTorchToBuiltin(module);
  }
};

class Internalize : public ModulePass<Internalize> {
 public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Internalize)
  static constexpr char argument[] = "fiar-internalize";
  static constexpr char description[] =
      "Give private llvm.funcs internal linkage, so that several models link into one binary";

  MlirLogicalResult run(MlirOperation module) {
    return fiarInternalize(module);
  }
};

void buildToLlvm(mlir::OpPassManager& manager) {
  manager.addPass(std::make_unique<LowerToRuntime>());
  if (mlir::failed(mlir::parsePassPipeline(unwrap(fiarCpuPipeline()), manager))) {
    llvm::report_fatal_error("fiar-to-llvm: a pass of the CPU pipeline is not registered");
  }
  manager.addPass(std::make_unique<Internalize>());
}

}  // namespace

void registerLowerPasses() {
  mlir::PassRegistration<LowerToRuntime>();
  mlir::PassRegistration<LowerToFfi>();
  mlir::PassRegistration<TorchToBuiltin>();
  mlir::PassRegistration<Internalize>();
  mlir::PassPipelineRegistration<>(
      "fiar-to-llvm",
      "From tensor-level IR with fiar ops to the LLVM dialect, for a model that links libfiar",
      buildToLlvm);
}

}  // namespace fiar
