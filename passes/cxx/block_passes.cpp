// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The passes of passes/block, for fiar-opt and the plugin.
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Pass/PassRegistry.h"
#include "module_pass.h"
#include "register.h"

namespace fiar {
namespace {

class RaiseBlock : public ModulePass<RaiseBlock> {
 public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RaiseBlock)
  static constexpr char argument[] = "fiar-raise-block";
  static constexpr char description[] =
      "Raise what stands around the fused calls to fiar ops, and name what cannot be";

  RaiseBlock() = default;
  RaiseBlock(const RaiseBlock& other) : ModulePass(other) {}

  void getDependentDialects(mlir::DialectRegistry& registry) const override {
    registerFiarDialect(registry);
  }

  MlirLogicalResult run(MlirOperation module) {
    FiarRaiseOptions options = {};
    options.struct_size = sizeof options;
    options.report = report;
    options.separate = separate;
    options.message = messageToDiagnostics;
    options.message_data = const_cast<char*>(argument);
    return fiarRaiseBlock(module, &options, nullptr);
  }

 private:
  Option<FiarReportMode> report{*this, "report",
                                llvm::cl::desc("One row an op left, to standard error"),
                                llvm::cl::init(FIAR_REPORT_NONE),
                                llvm::cl::values(clEnumValN(FIAR_REPORT_NONE, "none", "nothing"),
                                                 clEnumValN(FIAR_REPORT_TEXT, "text", "a table"),
                                                 clEnumValN(FIAR_REPORT_JSON, "json", "JSON"))};
  Option<bool> separate{
      *this, "separate",
      llvm::cl::desc("Keep norms and quantisers two ops where no all-reduce is in front"),
      llvm::cl::init(false)};
};

class LowerToBlock : public ModulePass<LowerToBlock> {
 public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerToBlock)
  static constexpr char argument[] = "fiar-lower-to-block";
  static constexpr char description[] =
      "Lower a raised function to calls of the runtime alone, with planned memory";

  LowerToBlock() = default;
  LowerToBlock(const LowerToBlock& other) : ModulePass(other) {}

  void getDependentDialects(mlir::DialectRegistry& registry) const override {
    registry.insert<mlir::LLVM::LLVMDialect>();
  }

  MlirLogicalResult run(MlirOperation module) {
    std::string name_text = name;
    FiarBlockOptions options = {};
    options.struct_size = sizeof options;
    options.name = name_text.empty() ? nullptr : name_text.c_str();
    options.max_tokens = maxTokens;
    options.separate = separate;
    return fiarLowerToBlock(module, &options);
  }

 private:
  Option<std::string> name{*this, "name", llvm::cl::desc("The C function's name")};
  Option<int64_t> maxTokens{
      *this, "max-tokens",
      llvm::cl::desc("Make the number of rows a parameter of up to this; 0: as in the module"),
      llvm::cl::init(0)};
  Option<bool> separate{*this, "separate",
                        llvm::cl::desc("Keep two products of one operand two calls"),
                        llvm::cl::init(false)};
};

}  // namespace

void registerBlockPasses() {
  mlir::PassRegistration<LowerToBlock>();
  mlir::PassRegistration<RaiseBlock>();
}

}  // namespace fiar
