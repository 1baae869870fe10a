// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The option structs of include/fiar/compiler.h, of callers that were built with another version.
#ifndef FIAR_PASSES_IR_OPTIONS_H
#define FIAR_PASSES_IR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "mlir-c/IR.h"

// Copies the caller's struct (NULL: nothing) over *known, whose first field, struct_size, is the
// size of the struct as this library knows it and stays. What an older caller's has not, stays as
// it is; what a newer one's has beyond must be 0. False, with an error at the module that calls the
// struct `type`: struct_size is none, or the caller asks for what this library has not.
bool fiarOptionsTake(MlirOperation module, const char* type, const void* given, void* known);

#endif  // FIAR_PASSES_IR_OPTIONS_H
