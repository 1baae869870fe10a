// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar's passes inside another compiler, through the MLIR C API alone:
//   embed FILE.mlir          fuses the module and prints it; the report goes to standard error
//   embed --llvm FILE.mlir   fuses an upstream-MLIR module and takes it on to the LLVM dialect
#include <stdio.h>
#include <string.h>

#include "fiar/compiler.h"
#include "mlir-c/IR.h"
#include "mlir-c/Pass.h"
#include "mlir-c/RegisterEverything.h"

static void print_to(MlirStringRef text, void* file) {
  (void)fwrite(text.data, 1, text.length, file);
}

static void print_message(FiarMessageKind kind, MlirLocation location, MlirStringRef text,
                          void* file) {
  static const char* const kinds[] = {"fused", "missed", "error"};
  mlirLocationPrint(location, print_to, file);
  fprintf(file, ": %s: %.*s\n", kinds[kind], (int)text.length, text.data);
}

static int fuse(MlirModule module) {
  FiarFuseOptions options = {
      .struct_size = sizeof options, .message = print_message, .message_data = stderr};
  FiarFuseCounts counts = {0};
  if (mlirLogicalResultIsFailure(fiarFuse(mlirModuleGetOperation(module), &options, &counts))) {
    return 0;
  }
  fprintf(stderr, "%d of %d all-reduces fused\n", (int)counts.fused, (int)counts.seen);
  return 1;
}

static int lower(MlirContext context, MlirModule module) {
  MlirPassManager manager = mlirPassManagerCreate(context);
  int good =
      mlirLogicalResultIsSuccess(fiarAddToLlvmPipeline(manager)) &&
      mlirLogicalResultIsSuccess(mlirPassManagerRunOnOp(manager, mlirModuleGetOperation(module)));
  mlirPassManagerDestroy(manager);
  return good;
}

// A context that knows fiar's dialect and MLIR's own, and takes others' ops in generic form.
static MlirContext create_context(void) {
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  mlirRegisterAllDialects(registry);
  MlirContext context = mlirContextCreateWithRegistry(registry, false);
  mlirDialectRegistryDestroy(registry);
  mlirContextSetAllowUnregisteredDialects(context, true);
  mlirContextLoadAllAvailableDialects(context);
  return context;
}

int main(int argc, char** argv) {
  int to_llvm = argc == 3 && strcmp(argv[1], "--llvm") == 0;
  if (argc != 2 && !to_llvm) {
    fprintf(stderr, "usage: embed [--llvm] FILE.mlir\n");
    return 2;
  }
  MlirContext context = create_context();
  int good = mlirLogicalResultIsSuccess(fiarLoadDialect(context));
  MlirModule module = {NULL};
  if (good) {
    module = mlirModuleCreateParseFromFile(context, mlirStringRefCreateFromCString(argv[argc - 1]));
    good = !mlirModuleIsNull(module);
  }
  good = good && fuse(module) && (!to_llvm || lower(context, module));
  if (good) {
    mlirOperationPrint(mlirModuleGetOperation(module), print_to, stdout);
  }
  mlirModuleDestroy(module);
  mlirContextDestroy(context);
  return good ? 0 : 1;
}
