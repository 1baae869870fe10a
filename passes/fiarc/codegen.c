// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// LLVM: from the LLVM dialect to IR text and objects, for the machine that fiarc runs on, but for
// any of its processors: objects travel to others.
#include <stdlib.h>
#include <string.h>

#include "fiarc/fiarc.h"
#include "llvm-c/Core.h"
#include "llvm-c/Error.h"
#include "llvm-c/Target.h"
#include "llvm-c/TargetMachine.h"
#include "llvm-c/Transforms/PassBuilder.h"
#include "mlir-c/Target/LLVMIR.h"

static LLVMTargetMachineRef create_machine(void) {
  char *triple = LLVMGetDefaultTargetTriple(), *text = NULL;
  LLVMTargetRef target = NULL;
  LLVMTargetMachineRef machine = NULL;
  if (LLVMInitializeNativeTarget() != 0 || LLVMInitializeNativeAsmPrinter() != 0) {
    (void)fiarToolError("this LLVM cannot make code for this machine");
  } else if (LLVMGetTargetFromTriple(triple, &target, &text) != 0) {
    (void)fiarToolError("LLVM has no target %s: %s", triple, text);
    LLVMDisposeMessage(text);
  } else {
    machine = LLVMCreateTargetMachine(target, triple, "generic", "", LLVMCodeGenLevelDefault,
                                      LLVMRelocPIC, LLVMCodeModelDefault);
  }
  LLVMDisposeMessage(triple);
  return machine;
}

static bool optimise(LLVMModuleRef module, LLVMTargetMachineRef machine) {
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(module, "default<O2>", machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (error != NULL) {
    char* text = LLVMGetErrorMessage(error);
    (void)fiarToolError("LLVM's passes failed: %s", text);
    LLVMDisposeErrorMessage(text);
  }
  return error == NULL;
}

static bool write_bytes(const char* path, const char* data, size_t size) {
  FiarcFile file;
  if (!fiarToolFileOpen(path, &file)) {
    return false;
  }
  (void)fwrite(data, 1, size, file.stream);
  return fiarToolFileClose(&file, true);
}

static bool write_object(LLVMModuleRef module, LLVMTargetMachineRef machine, const char* path) {
  char* text = NULL;
  LLVMMemoryBufferRef buffer = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMObjectFile, &text, &buffer) != 0) {
    (void)fiarToolError("LLVM made no object: %s", text);
    LLVMDisposeMessage(text);
    return false;
  }
  bool good = write_bytes(path, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
  LLVMDisposeMemoryBuffer(buffer);
  return good;
}

bool fiarToolCompile(MlirOperation module, const FiarcOptions* options, const char* path) {
  LLVMContextRef context = LLVMContextCreate();
  LLVMTargetMachineRef machine = create_machine();
  LLVMModuleRef ir = machine == NULL ? NULL : mlirTranslateModuleToLLVMIR(module, context);
  bool good = ir != NULL;
  if (good) {
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    char* triple = LLVMGetTargetMachineTriple(machine);
    LLVMSetModuleDataLayout(ir, layout);
    LLVMSetTarget(ir, triple);
    LLVMDisposeMessage(triple);
    LLVMDisposeTargetData(layout);
    good = optimise(ir, machine);
  }
  if (good && options->emit == FIARC_LLVM) {
    char* text = LLVMPrintModuleToString(ir);
    good = write_bytes(path, text, strlen(text));
    LLVMDisposeMessage(text);
  } else if (good) {
    good = write_object(ir, machine, path);
  }
  if (ir != NULL) {
    LLVMDisposeModule(ir);
  }
  if (machine != NULL) {
    LLVMDisposeTargetMachine(machine);
  }
  LLVMContextDispose(context);
  return good;
}
