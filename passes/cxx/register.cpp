// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "register.h"

#include "fiar/compiler.h"
#include "mlir/CAPI/IR.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MPI/IR/MPI.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Shard/IR/ShardDialect.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "passes.h"

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

void fiarRegisterDialects(MlirDialectRegistry registry) {
  unwrap(registry)
      ->insert<mlir::arith::ArithDialect, mlir::bufferization::BufferizationDialect,
               mlir::func::FuncDialect, mlir::linalg::LinalgDialect, mlir::LLVM::LLVMDialect,
               mlir::math::MathDialect, mlir::memref::MemRefDialect, mlir::mpi::MPIDialect,
               mlir::scf::SCFDialect, mlir::shard::ShardDialect, mlir::tensor::TensorDialect,
               mlir::tosa::TosaDialect>();
  fiar::registerDialects(*unwrap(registry));
}
