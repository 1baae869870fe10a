// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ir/options.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "mlir-c/Diagnostics.h"

static bool refuse(MlirOperation module, const char* type, unsigned size, const char* what,
                   unsigned known) {
  char text[160];
  (void)snprintf(text, sizeof text, "%s.struct_size is %u, %s %u", type, size, what, known);
  mlirEmitError(mlirOperationGetLocation(module), text);
  return false;
}

bool fiarOptionsTake(MlirOperation module, const char* type, const void* given, void* known) {
  enum { LARGEST = 4096 };  // no struct will be: a size that was never set
  if (given == NULL) {
    return true;
  }
  uint32_t own, size;
  memcpy(&own, known, sizeof own);
  memcpy(&size, given, sizeof size);
  if (size < 2 * sizeof size || size > LARGEST) {
    return refuse(module, type, size, "must be sizeof the struct, here", own);
  }
  const unsigned char* bytes = given;
  for (uint32_t i = own; i < size; ++i) {
    if (bytes[i] != 0) {
      return refuse(module, type, size, "and options are set beyond this library's", own);
    }
  }
  memcpy(known, given, size < own ? size : own);
  memcpy(known, &own, sizeof own);
  return true;
}
