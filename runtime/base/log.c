// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"

#define X(name, text) text,
static const char* const subsystem_names[] = {FIAR_SUBSYSTEM_TABLE(X)};
#undef X
static const char* const level_names[] = {"off", "warn", "info", "trace"};

// The process's one log. `level` is read without the lock, so that a silent log costs one load.
static struct {
  pthread_once_t once;
  pthread_mutex_t lock;
  atomic_int level;
  atomic_uint subsystems;  // bit i: subsystem i
  int environment_level;
  unsigned environment_subsystems;
  FILE* file;
  fiar_log_sink_fn sink;
  void* context;
} state = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

// This thread is in the sink, and so has the lock.
static _Thread_local bool in_sink;

bool fiar_log_list_names(const char* list, const char* subsystem) {
  const size_t length = strlen(subsystem);
  if (*list == '\0') {
    return true;
  }
  for (const char* word = list; *word != '\0';) {
    const size_t word_length = strcspn(word, ",");
    if (word_length == length && memcmp(word, subsystem, length) == 0) {
      return true;
    }
    word += word_length + (word[word_length] == ',');
  }
  return false;
}

bool fiar_log_expand_path(const char* path, const char* host, long pid, char* out, size_t room) {
  size_t used = 0;
  for (; *path != '\0'; ++path) {
    int wrote;
    if (path[0] == '%' && path[1] == 'h') {
      wrote = snprintf(out + used, room - used, "%s", host);
      ++path;
    } else if (path[0] == '%' && path[1] == 'p') {
      wrote = snprintf(out + used, room - used, "%ld", pid);
      ++path;
    } else {
      wrote = snprintf(out + used, room - used, "%c", *path);
    }
    if (wrote < 0 || (size_t)wrote >= room - used) {
      return false;
    }
    used += (size_t)wrote;
  }
  return used > 0;
}

static FILE* open_log(const char* path) {
  char host[256] = "host";
  char expanded[1024];
  (void)gethostname(host, sizeof host - 1);
  FILE* file = NULL;
  if (fiar_log_expand_path(path, host, (long)getpid(), expanded, sizeof expanded)) {
    // A pipe that nobody reads is refused, not waited for.
    const int fd =
        open(expanded, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, (mode_t)0666);
    file = fd < 0 || fcntl(fd, F_SETFL, O_APPEND) != 0 ? NULL : fdopen(fd, "a");
    if (!file && fd >= 0) {
      (void)close(fd);
    }
  }
  return file ? file : stderr;
}

static void read_environment(void) {
  const fiar_env_t* env;
  if (fiar_env_get(&env) != FIAR_OK) {
    return;  // the call that reads the environment next reports it
  }
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(level_names); ++i) {
    if (strcmp(env->debug, level_names[i]) == 0) {
      state.environment_level = (int)i;
    }
  }
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(subsystem_names); ++i) {
    if (fiar_log_list_names(env->debug_subsys, subsystem_names[i])) {
      state.environment_subsystems |= 1u << i;
    }
  }
  if (state.environment_level > FIAR_LOG_OFF) {
    state.file = env->debug_file[0] != '\0' ? open_log(env->debug_file) : stderr;
  }
  atomic_store(&state.level, state.environment_level);
  atomic_store(&state.subsystems, state.environment_subsystems);
}

bool fiar_log_enabled(fiar_log_level_t level, fiar_subsystem_t subsystem) {
  (void)pthread_once(&state.once, read_environment);
  return (int)level <= atomic_load(&state.level) &&
         (atomic_load(&state.subsystems) >> subsystem & 1u) != 0;
}

void fiar_log_write(fiar_log_level_t level, fiar_subsystem_t subsystem, const char* format, ...) {
  char line[1024];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (in_sink) {
    return;
  }
  (void)pthread_mutex_lock(&state.lock);
  if (state.sink) {
    in_sink = true;
    state.sink(state.context, level, subsystem_names[subsystem], line);
    in_sink = false;
  } else if (state.file) {
    (void)fprintf(state.file, "fiar[%ld] %s %s: %s\n", (long)getpid(), level_names[level],
                  subsystem_names[subsystem], line);
    (void)fflush(state.file);
  }
  (void)pthread_mutex_unlock(&state.lock);
}

void fiar_set_log_sink(fiar_log_sink_fn sink, void* context, fiar_log_level_t level) {
  (void)pthread_once(&state.once, read_environment);
  if (!in_sink) {
    (void)pthread_mutex_lock(&state.lock);
  }
  state.sink = sink;
  state.context = context;
  atomic_store(&state.level, sink ? (int)level : state.environment_level);
  atomic_store(&state.subsystems, sink ? ~0u : state.environment_subsystems);
  if (!in_sink) {
    (void)pthread_mutex_unlock(&state.lock);
  }
}
