// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Text that reports are made of. Internal.
#ifndef FIAR_PASSES_IR_TEXT_H
#define FIAR_PASSES_IR_TEXT_H

#include "mlir-c/IR.h"

// Where a report goes; `to` NULL: standard error.
typedef struct FiarWriter {
  MlirStringCallback to;
  void* data;
} FiarWriter;

// Printf-like; a piece longer than 1 KiB is cut.
void fiarWrite(const FiarWriter* writer, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

// The text in quotes, escaped as JSON wants it.
void fiarWriteJsonString(const FiarWriter* writer, const char* text);

enum { FIAR_LOCATION_SIZE = 120 };

// file:line:col where the location has one (of several: the first), else as MLIR prints it, cut to
// FIAR_LOCATION_SIZE.
void fiarLocationText(MlirLocation location, char* out_text);

#endif  // FIAR_PASSES_IR_TEXT_H
