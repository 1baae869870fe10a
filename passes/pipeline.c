// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The named pipelines, as text: one list for fiar-opt, the plugin and C hosts.
#include "mlir-c/Dialect/Arith.h"
#include "mlir-c/Dialect/Bufferization.h"
#include "mlir-c/Dialect/Func.h"
#include "mlir-c/Dialect/LLVM.h"
#include "mlir-c/Dialect/Linalg.h"
#include "mlir-c/Dialect/MemRef.h"
#include "mlir-c/Dialect/SCF.h"
#include "mlir-c/Dialect/Tensor.h"
#include "mlir-c/RegisterEverything.h"
#include "passes.h"

// After fiar-lower-to-runtime. Every rounding is that of numerics.md: bf16 arithmetic is done in
// f32 and rounded to nearest even after each operation, conversions to fp8 and fp4 go through
// APFloat
// (_mlir_apfloat_convert), which agrees with CUDA's; arith-expand's own fp4 expansion does not (it
// rounds ties away from zero), so include-f4e2m1 stays off.
static const char cpu_pipeline[] =
    "inline,"
    "func.func(convert-elementwise-to-linalg,linalg-fuse-elementwise-ops),"
    "one-shot-bufferize{bufferize-function-boundaries=true"
    " function-boundary-type-conversion=identity-layout-map"
    " allow-return-allocs-from-loops=true},"
    "buffer-deallocation-pipeline,"
    "convert-bufferization-to-memref,"
    "func.func(convert-linalg-to-loops),"
    "expand-strided-metadata,"
    "lower-affine,"
    "math-extend-to-supported-types,"
    "arith-emulate-unsupported-floats{source-types=bf16 target-type=f32},"
    "arith-expand{include-bf16=true},"
    "convert-scf-to-cf,"
    "convert-math-to-llvm,"
    "convert-math-to-libm,"
    "convert-arith-to-llvm,"
    "convert-arith-to-apfloat,"
    "convert-arith-to-llvm,"
    "finalize-memref-to-llvm,"
    "convert-cf-to-llvm,"
    "convert-func-to-llvm,"
    "reconcile-unrealized-casts";

MlirStringRef fiarCpuPipeline(void) {
  return mlirStringRefCreate(cpu_pipeline, sizeof cpu_pipeline - 1);
}

// ---- For C hosts: MLIR 22 cannot register a pass from C, but can add one to a manager ----

typedef MlirLogicalResult (*ModulePass)(MlirOperation module);
static const ModulePass lower_to_runtime = fiarLowerToRuntime, internalize = fiarInternalize;

static void run(MlirOperation op, MlirExternalPass pass, void* module_pass) {
  if (mlirLogicalResultIsFailure((*(const ModulePass*)module_pass)(op))) {
    mlirExternalPassSignalFailure(pass);
  }
}

static void nothing(void* module_pass) {
  (void)module_pass;
}

static void* itself(void* module_pass) {
  return module_pass;
}

// The address of `module_pass` is the pass's identity: static storage.
static void add_pass(MlirPassManager manager, const char* name, const ModulePass* module_pass) {
  MlirDialectHandle dialects[] = {
      mlirGetDialectHandle__arith__(),  mlirGetDialectHandle__bufferization__(),
      mlirGetDialectHandle__func__(),   mlirGetDialectHandle__llvm__(),
      mlirGetDialectHandle__linalg__(), mlirGetDialectHandle__memref__(),
      mlirGetDialectHandle__scf__(),    mlirGetDialectHandle__tensor__()};
  MlirExternalPassCallbacks callbacks = {
      .construct = nothing, .destruct = nothing, .clone = itself, .run = run};
  MlirStringRef argument = mlirStringRefCreateFromCString(name);
  MlirPass pass = mlirCreateExternalPass(mlirTypeIDCreate(module_pass), argument, argument,
                                         mlirStringRefCreateFromCString("a pass of fiar"),
                                         mlirStringRefCreateFromCString("builtin.module"),
                                         sizeof dialects / sizeof *dialects, dialects, callbacks,
                                         (void*)module_pass);
  mlirPassManagerAddOwnedPass(manager, pass);
}

static void ignore(MlirStringRef text, void* user) {
  (void)text;
  (void)user;
}

MlirLogicalResult fiarAddToLlvmPipeline(MlirPassManager manager) {
  mlirRegisterAllPasses();
  add_pass(manager, "fiar-lower-to-runtime", &lower_to_runtime);
  MlirLogicalResult result = mlirOpPassManagerAddPipeline(
      mlirPassManagerGetAsOpPassManager(manager), fiarCpuPipeline(), ignore, NULL);
  add_pass(manager, "fiar-internalize", &internalize);
  return result;
}
