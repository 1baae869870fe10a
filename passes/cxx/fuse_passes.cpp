// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The passes of passes/fuse, for fiar-opt and the plugin.
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/PassRegistry.h"
#include "module_pass.h"
#include "register.h"

namespace fiar {

void messageToDiagnostics(FiarMessageKind kind, MlirLocation location, MlirStringRef text,
                          void* user_data) {
  mlir::Location at = unwrap(location);
  llvm::StringRef pass(static_cast<const char*>(user_data));
  switch (kind) {
    case FIAR_MESSAGE_ERROR:
      mlir::emitError(at) << unwrap(text);
      return;
    case FIAR_MESSAGE_REMARK:
      mlir::remark::passed(at, mlir::remark::RemarkOpts::name("fused").category(pass))
          << unwrap(text);
      return;
    case FIAR_MESSAGE_MISSED:
      if (auto remark =
              mlir::remark::missed(at, mlir::remark::RemarkOpts::name("missed").category(pass))) {
        remark << unwrap(text);
      } else {
        mlir::emitRemark(at) << unwrap(text);
      }
      return;
  }
}

namespace {

class Fuse : public ModulePass<Fuse> {
 public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Fuse)
  static constexpr char argument[] = "fiar-fuse";
  static constexpr char description[] =
      "Fuse all-reduce -> [residual add] -> RMSNorm -> [quantisation] into fiar.all_reduce_norm";

  Fuse() = default;
  Fuse(const Fuse& other) : ModulePass(other) {}

  void getDependentDialects(mlir::DialectRegistry& registry) const override {
    registerFiarDialect(registry);
  }

  MlirLogicalResult run(MlirOperation module) {
    FiarFuseOptions options = {};
    options.struct_size = sizeof options;
    options.report = report;
    options.world = world;
    options.assume_replicated = assumeReplicated;
    options.message = messageToDiagnostics;
    options.message_data = const_cast<char*>(argument);
    return fiarFuse(module, &options, nullptr);
  }

 private:
  Option<FiarReportMode> report{*this, "report",
                                llvm::cl::desc("One row an all-reduce, to standard error"),
                                llvm::cl::init(FIAR_REPORT_NONE),
                                llvm::cl::values(clEnumValN(FIAR_REPORT_NONE, "none", "nothing"),
                                                 clEnumValN(FIAR_REPORT_TEXT, "text", "a table"),
                                                 clEnumValN(FIAR_REPORT_JSON, "json", "JSON"))};
  Option<int64_t> world{
      *this, "world",
      llvm::cl::desc("The ranks that every fused group must have; 0: as the module says"),
      llvm::cl::init(0)};
  Option<bool> assumeReplicated{
      *this, "assume-replicated",
      llvm::cl::desc(
          "Of sums that are scattered by rows: take weights and scales to be the same on "
          "all ranks, unproved"),
      llvm::cl::init(false)};
};

class Inline : public ModulePass<Inline> {
 public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Inline)
  static constexpr char argument[] = "fiar-inline";
  static constexpr char description[] =
      "Inline the private functions that return an all-reduced sum whose norm is in their callers";

  Inline() = default;
  Inline(const Inline& other) : ModulePass(other) {}

  void getDependentDialects(mlir::DialectRegistry& registry) const override {
    registerFiarDialect(registry);
  }

  MlirLogicalResult run(MlirOperation module) {
    return fiarInline(module, world);
  }

 private:
  Option<int64_t> world{*this, "world",
                        llvm::cl::desc("The ranks of groups that the module only names"),
                        llvm::cl::init(0)};
};

class RotateLoops : public ModulePass<RotateLoops> {
 public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RotateLoops)
  static constexpr char argument[] = "fiar-rotate-loops";
  static constexpr char description[] =
      "Carry the norm with which a loop's body begins, where the sum it is of fuses with it";

  RotateLoops() = default;
  RotateLoops(const RotateLoops& other) : ModulePass(other) {}

  void getDependentDialects(mlir::DialectRegistry& registry) const override {
    registerFiarDialect(registry);
  }

  MlirLogicalResult run(MlirOperation module) {
    return fiarRotateLoops(module, world);
  }

 private:
  Option<int64_t> world{*this, "world",
                        llvm::cl::desc("The ranks of groups that the module only names"),
                        llvm::cl::init(0)};
};

}  // namespace

void registerFusePasses() {
  mlir::PassRegistration<Inline>();
  mlir::PassRegistration<RotateLoops>();
  mlir::PassRegistration<Fuse>();
}

}  // namespace fiar
