// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The pass of passes/check, for fiar-opt and the plugin.
#include "mlir/Pass/PassRegistry.h"
#include "module_pass.h"
#include "register.h"

namespace fiar {
namespace {

MlirLogicalResult fuse(MlirOperation clone, void* world) {
  FiarFuseOptions options = {};
  options.struct_size = sizeof options;
  options.world = *static_cast<const int64_t*>(world);
  // What is fused or missed is the business of fiar-fuse itself.
  options.message = [](FiarMessageKind, MlirLocation, MlirStringRef, void*) {};
  return fiarFuse(clone, &options, nullptr);
}

MlirLogicalResult fuseAndShard(MlirOperation clone, void* world) {
  FiarShardOptions options = {};
  options.struct_size = sizeof options;
  return mlirLogicalResultIsFailure(fuse(clone, world))
             ? mlirLogicalResultFailure()
             : fiarShardResidual(clone, &options, nullptr);
}

MlirLogicalResult rotateAndFuse(MlirOperation clone, void* world) {
  return mlirLogicalResultIsFailure(fiarRotateLoops(clone, *static_cast<const int64_t*>(world)))
             ? mlirLogicalResultFailure()
             : fuse(clone, world);
}

MlirLogicalResult raise(MlirOperation clone, bool separate) {
  FiarRaiseOptions options = {};
  options.struct_size = sizeof options;
  options.separate = separate;
  options.message = [](FiarMessageKind, MlirLocation, MlirStringRef, void*) {};
  return fiarRaiseBlock(clone, &options, nullptr);
}

MlirLogicalResult fuseAndRaise(MlirOperation clone, void* world) {
  return mlirLogicalResultIsFailure(fuse(clone, world)) ? mlirLogicalResultFailure()
                                                        : raise(clone, false);
}

MlirLogicalResult raiseSeparate(MlirOperation clone, void* /*world*/) {
  return raise(clone, true);
}

enum class Rewrite { Fuse, FuseAndShard, RotateAndFuse, FuseAndRaise, RaiseSeparate };

MlirLogicalResult (*const rewrites[])(MlirOperation, void*) = {fuse, fuseAndShard, rotateAndFuse,
                                                               fuseAndRaise, raiseSeparate};

class Check : public ModulePass<Check> {
 public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Check)
  static constexpr char argument[] = "fiar-check";
  static constexpr char description[] =
      "Check on simulated ranks that the rewrites keep what the module computes";

  Check() = default;
  Check(const Check& other) : ModulePass(other) {}

  void getDependentDialects(mlir::DialectRegistry& registry) const override {
    registerFiarDialect(registry);
  }

  MlirLogicalResult run(MlirOperation module) {
    FiarCheckOptions options = {};
    options.struct_size = sizeof options;
    options.rewrite = rewrites[static_cast<int>(rewrite.getValue())];
    options.products = rewrite.getValue() >= Rewrite::FuseAndRaise;
    int64_t ranks = world;
    options.rewrite_data = &ranks;
    options.world = world;
    options.seeds = seeds;
    options.first_seed = first_seed;
    options.message = messageToDiagnostics;
    options.message_data = const_cast<char*>(argument);
    return fiarCheck(module, &options);
  }

 private:
  Option<int64_t> world{*this, "world",
                        llvm::cl::desc("The ranks of groups that the module only names"),
                        llvm::cl::init(0)};
  Option<int64_t> seeds{*this, "seeds", llvm::cl::desc("How many data sets of each kind"),
                        llvm::cl::init(1)};
  Option<int64_t> first_seed{*this, "first-seed", llvm::cl::desc("The first data set's number"),
                             llvm::cl::init(0)};
  Option<Rewrite> rewrite{
      *this, "rewrite", llvm::cl::desc("The rewrite under test"), llvm::cl::init(Rewrite::Fuse),
      llvm::cl::values(
          clEnumValN(Rewrite::Fuse, "fuse", "fiar-fuse"),
          clEnumValN(Rewrite::FuseAndShard, "fuse-and-shard",
                     "fiar-fuse, then fiar-shard-residual"),
          clEnumValN(Rewrite::RotateAndFuse, "rotate-and-fuse",
                     "fiar-rotate-loops, then fiar-fuse"),
          clEnumValN(Rewrite::FuseAndRaise, "fuse-and-raise", "fiar-fuse, then fiar-raise-block"),
          clEnumValN(Rewrite::RaiseSeparate, "raise-separate",
                     "fiar-raise-block{separate} alone"))};
};

}  // namespace

void registerCheckPasses() {
  mlir::PassRegistration<Check>();
}

}  // namespace fiar
