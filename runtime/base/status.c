// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

// Fixed room, so that failing for want of memory can still say so.
static _Thread_local char last_error[1024];

const char* fiar_status_name(fiar_status_t status) {
  switch (status) {
#define X(name, value, text) \
  case FIAR_##name:          \
    return #name;
#include "fiar/status.def"
#undef X
  }
  return "UNKNOWN";
}

const char* fiar_last_error(void) {
  return last_error;
}

fiar_status_t fiar_fail(fiar_status_t status, const char* format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(last_error, sizeof last_error, format, args);
  va_end(args);
  return status;
}

fiar_status_t fiar_annotate(fiar_status_t status, const char* format, ...) {
  char tail[sizeof last_error];
  memcpy(tail, last_error, sizeof tail);
  va_list args;
  va_start(args, format);
  int length = vsnprintf(last_error, sizeof last_error, format, args);
  va_end(args);
  if (length >= 0 && (size_t)length < sizeof last_error) {
    (void)snprintf(last_error + length, sizeof last_error - (size_t)length, ": %.1000s", tail);
  }
  return status;
}
