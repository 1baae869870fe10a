// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiarc: from a model's block to an object, a library or a program.
//
//   read -> fiar-fuse -> fiar-raise-block -> plan -> LLVM dialect -> LLVM IR -> object -> cc
//
// On the C APIs of MLIR and LLVM; the system's C compiler links. Outputs are written beside their
// place and moved there when whole.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/plan.h"
#include "fiarc/fiarc.h"
#include "mlir-c/Diagnostics.h"
#include "mlir-c/RegisterEverything.h"

static void print_to(MlirStringRef text, void* file) {
  (void)fwrite(text.data, 1, text.length, file);
}

static MlirLogicalResult print_diagnostic(MlirDiagnostic diagnostic, void* user) {
  (void)user;
  static const char* const severities[] = {
      [MlirDiagnosticError] = "error",
      [MlirDiagnosticWarning] = "warning",
      [MlirDiagnosticNote] = "note",
      [MlirDiagnosticRemark] = "remark",
  };
  char location[FIAR_LOCATION_SIZE];
  fiarLocationText(mlirDiagnosticGetLocation(diagnostic), location);
  fprintf(stderr, "%s: %s: ", location, severities[mlirDiagnosticGetSeverity(diagnostic)]);
  mlirDiagnosticPrint(diagnostic, print_to, stderr);
  fprintf(stderr, "\n");
  for (intptr_t i = 0; i < mlirDiagnosticGetNumNotes(diagnostic); ++i) {
    (void)print_diagnostic(mlirDiagnosticGetNote(diagnostic, i), user);
  }
  return mlirLogicalResultSuccess();
}

static MlirContext create_context(void) {
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  mlirRegisterAllDialects(registry);
  fiarRegisterSyntax(registry);
  MlirContext context = mlirContextCreateWithRegistry(registry, false);
  mlirDialectRegistryDestroy(registry);
  mlirRegisterAllLLVMTranslations(context);
  mlirContextSetAllowUnregisteredDialects(context, true);
  return context;
}

// What every later stage needs: the fused and raised module.
static bool raise(MlirOperation module, const FiarcOptions* options) {
  FiarFuseOptions fuse = {.struct_size = sizeof fuse, .report = options->report};
  FiarRaiseOptions raising = {
      .struct_size = sizeof raising, .report = options->report, .separate = options->separate};
  (void)fiarInline(module, 0);
  return (options->separate || mlirLogicalResultIsSuccess(fiarFuse(module, &fuse, NULL))) &&
         mlirLogicalResultIsSuccess(fiarRaiseBlock(module, &raising, NULL));
}

static bool write_text(const char* path, void (*write)(FILE*, const void*), const void* data) {
  FiarcFile file;
  if (!fiarToolFileOpen(path, &file)) {
    return false;
  }
  write(file.stream, data);
  return fiarToolFileClose(&file, true);
}

static void write_module(FILE* out, const void* module) {
  mlirOperationPrint(*(const MlirOperation*)module, print_to, out);
}

static void write_header(FILE* out, const void* block) {
  fiarBlockHeader(block, out);
}

static void write_program(FILE* out, const void* block) {
  fiarBlockProgram(block, out);
}

// The block's text parsed: a module of its own.
static MlirModule lower(MlirContext context, const FiarBlock* block) {
  char* text = NULL;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  MlirModule module = {NULL};
  if (out == NULL) {
    fiarToolError("out of memory");
    return module;
  }
  fiarBlockEmit(block, out);
  if (fclose(out) == 0) {
    module = mlirModuleCreateParse(context, fiarString(text));
  }
  free(text);
  return module;
}

// The header beside an object, library or program, unless it was named.
static bool write_block_header(const FiarBlock* block, const FiarcOptions* options) {
  char path[FIARC_PATH];
  if (options->header != NULL) {
    return write_text(options->header, write_header, block);
  }
  return fiarToolSibling(options->output, block->name, ".h", path) &&
         write_text(path, write_header, block);
}

static bool link_outputs(const FiarBlock* block, const FiarcOptions* options, const char* object) {
  char source[FIARC_PATH];
  if (options->emit == FIARC_LIBRARY) {
    return fiarToolLinkLibrary(object, options);
  }
  if (!fiarToolTemporary(options, ".main.c", source)) {
    return false;
  }
  bool good =
      write_text(source, write_program, block) && fiarToolLinkProgram(source, object, options);
  (void)remove(source);
  return good;
}

static bool emit_machine_code(MlirContext context, const FiarBlock* block,
                              const FiarcOptions* options) {
  MlirModule module = lower(context, block);
  if (mlirModuleIsNull(module)) {
    return false;
  }
  char object[FIARC_PATH];
  bool good = false;
  if (options->emit == FIARC_MLIR) {
    MlirOperation op = mlirModuleGetOperation(module);
    good = write_text(options->output, write_module, &op);
  } else if (options->emit == FIARC_LLVM || options->emit == FIARC_OBJECT) {
    good = fiarToolCompile(mlirModuleGetOperation(module), options, options->output);
  } else if (fiarToolTemporary(options, ".o", object)) {
    good = fiarToolCompile(mlirModuleGetOperation(module), options, object) &&
           link_outputs(block, options, object);
    (void)remove(object);
  }
  bool with_header = options->emit >= FIARC_OBJECT && strcmp(options->output, "-") != 0;
  good = good && (!with_header || write_block_header(block, options));
  mlirModuleDestroy(module);
  return good;
}

static bool compile(MlirContext context, MlirModule module, const FiarcOptions* options) {
  MlirOperation op = mlirModuleGetOperation(module);
  FiarBlockOptions block_options = {.struct_size = sizeof block_options,
                                    .name = options->name,
                                    .max_tokens = options->max_tokens,
                                    .separate = options->separate};
  if (!raise(op, options)) {
    return false;
  }
  if (options->emit == FIARC_RAISED) {
    return write_text(options->output, write_module, &op);
  }
  FiarBlock block;
  bool good = fiarBlockPlan(op, &block_options, &block);
  if (good && options->emit == FIARC_HEADER) {
    good = write_text(options->output, write_header, &block);
  } else if (good && options->emit == FIARC_MAIN) {
    good = write_text(options->output, write_program, &block);
  } else if (good) {
    good = emit_machine_code(context, &block, options);
  }
  fiarBlockFree(&block);
  return good;
}

int main(int argc, char** argv) {
  FiarcOptions options;
  int status = fiarToolTakeOptions(argc, argv, &options);
  if (status >= 0) {
    return status;
  }
  MlirContext context = create_context();
  mlirContextAttachDiagnosticHandler(context, print_diagnostic, NULL, NULL);
  MlirModule module = {NULL};
  bool good =
      fiarToolReadable(options.input) && mlirLogicalResultIsSuccess(fiarLoadDialect(context));
  if (good) {
    (void)mlirContextGetOrLoadDialect(context, fiarString("llvm"));
    module = mlirModuleCreateParseFromFile(context, fiarString(options.input));
    good = !mlirModuleIsNull(module) && compile(context, module, &options);
  }
  if (!good) {
    fiarToolError("%s was not compiled", options.input);
  }
  mlirModuleDestroy(module);
  mlirContextDestroy(context);
  return good ? 0 : 1;
}
