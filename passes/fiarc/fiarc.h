// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The parts of fiarc. Internal.
//   fiarc.c    the stages; options.c the command line; files.c outputs that are whole or not there
//   codegen.c  LLVM: IR and objects; link.c the system's compiler; ../cxx registers pretty forms
#ifndef FIAR_FIARC_H
#define FIAR_FIARC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "fiar/compiler.h"
#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FIARC_PATH = 4096 };

// In the order of the stages: from FIARC_OBJECT on, a header is written beside the output.
typedef enum FiarcEmit {
  FIARC_RAISED,
  FIARC_HEADER,
  FIARC_MAIN,
  FIARC_MLIR,
  FIARC_LLVM,
  FIARC_OBJECT,
  FIARC_LIBRARY,
  FIARC_PROGRAM,
} FiarcEmit;

typedef struct FiarcOptions {
  const char *input, *output;
  const char *name, *header;  // or NULL
  const char* cc;
  FiarcEmit emit;
  FiarReportMode report;
  int64_t max_tokens;
  bool separate;
} FiarcOptions;

// -1: go on; else the status to exit with, what there is to say having been said.
int fiarToolTakeOptions(int argc, char** argv, FiarcOptions* out_options);

// "fiarc: error: ..." on standard error. False.
bool fiarToolError(const char* format, ...) __attribute__((format(printf, 1, 2)));

// files.c. An output file, in a temporary beside its place until it is closed; "-" is standard
// output.
typedef struct FiarcFile {
  FILE* stream;
  const char* path;
  char temporary[FIARC_PATH];
} FiarcFile;
bool fiarToolFileOpen(const char* path, FiarcFile* out_file);
// Moves the file to its place where `good` and everything was written, else removes it.
bool fiarToolFileClose(FiarcFile* file, bool good);
bool fiarToolReadable(const char* path);
// A name beside the output for a file that is removed again.
bool fiarToolTemporary(const FiarcOptions* options, const char* suffix, char* out_path);
// NAME.h in the folder of `path`.
bool fiarToolSibling(const char* path, const char* name, const char* suffix, char* out_path);

// codegen.c: the module of the LLVM dialect as LLVM IR text or as an object, as options->emit says.
bool fiarToolCompile(MlirOperation module, const FiarcOptions* options, const char* path);

// link.c
bool fiarToolLinkLibrary(const char* object, const FiarcOptions* options);
bool fiarToolLinkProgram(const char* source, const char* object, const FiarcOptions* options);

// ../cxx: the dialects that read pretty StableHLO, Shardy and torch text.
void fiarRegisterSyntax(MlirDialectRegistry registry);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_FIARC_H
