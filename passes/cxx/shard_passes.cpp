// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The pass of passes/shard, for fiar-opt and the plugin.
#include "mlir/Pass/PassRegistry.h"
#include "module_pass.h"
#include "register.h"

namespace fiar {
namespace {

class ShardResidual : public ModulePass<ShardResidual> {
 public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ShardResidual)
  static constexpr char argument[] = "fiar-shard-residual";
  static constexpr char description[] =
      "Keep the residual between fused calls sharded by tokens over the ranks of their group";

  ShardResidual() = default;
  ShardResidual(const ShardResidual& other) : ModulePass(other) {}

  void getDependentDialects(mlir::DialectRegistry& registry) const override {
    registerFiarDialect(registry);
  }

  MlirLogicalResult run(MlirOperation module) {
    FiarShardOptions options = {};
    options.struct_size = sizeof options;
    options.report = report;
    options.min_tokens = minTokens;
    options.assume_replicated = assumeReplicated;
    options.message = messageToDiagnostics;
    options.message_data = const_cast<char*>(argument);
    return fiarShardResidual(module, &options, nullptr);
  }

 private:
  Option<FiarReportMode> report{*this, "report",
                                llvm::cl::desc("One row a fused call, to standard error"),
                                llvm::cl::init(FIAR_REPORT_NONE),
                                llvm::cl::values(clEnumValN(FIAR_REPORT_NONE, "none", "nothing"),
                                                 clEnumValN(FIAR_REPORT_TEXT, "text", "a table"),
                                                 clEnumValN(FIAR_REPORT_JSON, "json", "JSON"))};
  Option<int64_t> minTokens{*this, "min-tokens",
                            llvm::cl::desc("Leave calls with fewer rows than this whole"),
                            llvm::cl::init(0)};
  Option<bool> assumeReplicated{
      *this, "assume-replicated",
      llvm::cl::desc("Take residuals, weights and scales to be the same on all ranks, unproved"),
      llvm::cl::init(false)};
};

}  // namespace

void registerShardPasses() {
  mlir::PassRegistration<ShardResidual>();
}

}  // namespace fiar
