// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "base/env.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

fiar_status_t fiar_parse_choice(const char* name, const char* text, const char* accepted,
                                char* out_word, size_t room) {
  const size_t length = strlen(text);
  for (const char* word = accepted; *word != '\0';) {
    const size_t word_length = strcspn(word, "|");
    if (word_length == length && length < room && memcmp(word, text, length) == 0) {
      memcpy(out_word, text, length + 1);
      return FIAR_OK;
    }
    word += word_length + (word[word_length] == '|');
  }
  return FIAR_FAIL(INVALID_ARGUMENT, "%s is \"%s\"; accepted: %s", name, text, accepted);
}

fiar_status_t fiar_parse_int(const char* name, const char* text, int64_t least, int64_t most,
                             int64_t* out_value) {
  char* end = NULL;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || value < least || value > most) {
    *out_value = 0;
    return FIAR_FAIL(INVALID_ARGUMENT, "%s is \"%s\"; accepted: a whole number from %lld to %lld",
                     name, text, (long long)least, (long long)most);
  }
  *out_value = value;
  return FIAR_OK;
}

static fiar_status_t parse_text(const char* name, const char* text, char* out_text, size_t room) {
  const size_t length = strlen(text);
  if (length >= room) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s has %zu bytes; accepted: fewer than %zu", name, length,
                     room);
  }
  memcpy(out_text, text, length + 1);
  return FIAR_OK;
}

// An empty variable counts as unset, as a shell's VAR= means.
static const char* value_of(fiar_env_lookup_fn lookup, const char* name) {
  const char* text = lookup(name);
  return text && *text != '\0' ? text : NULL;
}

fiar_status_t fiar_env_parse(fiar_env_lookup_fn lookup, fiar_env_t* out_env) {
  memset(out_env, 0, sizeof *out_env);
  const char* text;
#define CHOICE(field, name, fallback, accepted, doc)                                   \
  text = value_of(lookup, name);                                                       \
  FIAR_TRY(fiar_parse_choice(name, text ? text : (fallback), accepted, out_env->field, \
                             sizeof out_env->field));
#define INT(field, name, fallback, least, most, doc)                    \
  text = value_of(lookup, name);                                        \
  out_env->field = (fallback);                                          \
  if (text) {                                                           \
    FIAR_TRY(fiar_parse_int(name, text, least, most, &out_env->field)); \
  }
#define TEXT(field, name, doc)   \
  text = value_of(lookup, name); \
  FIAR_TRY(parse_text(name, text ? text : "", out_env->field, sizeof out_env->field));
#include "base/env.def"
#undef CHOICE
#undef INT
#undef TEXT
  return FIAR_OK;
}

static pthread_once_t env_once = PTHREAD_ONCE_INIT;
static fiar_env_t env;
static fiar_status_t env_status;
static char env_error[512];

static const char* lookup_process(const char* name) {
  return getenv(name);
}

static void read_process_environment(void) {
  env_status = fiar_env_parse(lookup_process, &env);
  if (env_status != FIAR_OK) {
    strncpy(env_error, fiar_last_error(), sizeof env_error - 1);
  }
}

fiar_status_t fiar_env_get(const fiar_env_t** out_env) {
  (void)pthread_once(&env_once, read_process_environment);
  *out_env = env_status == FIAR_OK ? &env : NULL;
  return env_status == FIAR_OK ? FIAR_OK : fiar_fail(env_status, "%s", env_error);
}
