// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What every C file of the project shares: failing with a sentence. Internal.
#ifndef FIAR_BASE_BASE_H
#define FIAR_BASE_BASE_H

#include "fiar/status.h"

// Records the sentence for this thread and gives the code back: return FIAR_FAIL(INVALID_ARGUMENT,
// ...).
fiar_status_t fiar_fail(fiar_status_t status, const char* format, ...)
    __attribute__((format(printf, 2, 3)));
// The comma shows the code to readers that do not look into fiar_fail, such as static analysis.
#define FIAR_FAIL(code, ...) (fiar_fail(FIAR_##code, __VA_ARGS__), (fiar_status_t)FIAR_##code)

// Leaves the function where a pointer that it needs is NULL.
#define FIAR_NOT_NULL(pointer)                                    \
  do {                                                            \
    if (!(pointer)) {                                             \
      return FIAR_FAIL(INVALID_ARGUMENT, "%s is NULL", #pointer); \
    }                                                             \
  } while (0)

// Puts "what: " in front of the thread's last sentence, on the way up.
fiar_status_t fiar_annotate(fiar_status_t status, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

// Leaves the function at once. Only before the first acquisition; after it, use FIAR_TRY_DONE.
#define FIAR_TRY(expression)                      \
  do {                                            \
    fiar_status_t fiar_try_status = (expression); \
    if (fiar_try_status != FIAR_OK) {             \
      return fiar_try_status;                     \
    }                                             \
  } while (0)

// Sets the local `status` and jumps to the one `done:` that frees in reverse order.
#define FIAR_TRY_DONE(expression) \
  do {                            \
    status = (expression);        \
    if (status != FIAR_OK) {      \
      goto done;                  \
    }                             \
  } while (0)

#define FIAR_ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#endif  // FIAR_BASE_BASE_H
