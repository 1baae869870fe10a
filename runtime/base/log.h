// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// FIAR_LOG(INFO, COMM, "rank %d of %d", ...): silent unless the environment or a sink asks.
// Internal.
#ifndef FIAR_BASE_LOG_H
#define FIAR_BASE_LOG_H

#include "base/base.h"
#include "fiar/runtime.h"

#define FIAR_SUBSYSTEM_TABLE(X) \
  X(INIT, "init") X(COMM, "comm") X(SELECT, "select") X(WORKSPACE, "workspace") X(KERNEL, "kernel")

typedef enum fiar_subsystem {
#define X(name, text) FIAR_SUBSYSTEM_##name,
  FIAR_SUBSYSTEM_TABLE(X)
#undef X
} fiar_subsystem_t;

bool fiar_log_enabled(fiar_log_level_t level, fiar_subsystem_t subsystem);
void fiar_log_write(fiar_log_level_t level, fiar_subsystem_t subsystem, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

#define FIAR_LOG(level, subsystem, ...)                                          \
  do {                                                                           \
    if (fiar_log_enabled(FIAR_LOG_##level, FIAR_SUBSYSTEM_##subsystem)) {        \
      fiar_log_write(FIAR_LOG_##level, FIAR_SUBSYSTEM_##subsystem, __VA_ARGS__); \
    }                                                                            \
  } while (0)

// Pure: whether a FIAR_DEBUG_SUBSYS list names the subsystem; an empty list names all. Also pure:
// the path with %h and %p filled in, false where it does not fit.
bool fiar_log_list_names(const char* list, const char* subsystem);
bool fiar_log_expand_path(const char* path, const char* host, long pid, char* out, size_t room);

#endif  // FIAR_BASE_LOG_H
