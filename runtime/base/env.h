// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The environment, read once into a const struct: a field for each row of env.def. Internal.
#ifndef FIAR_BASE_ENV_H
#define FIAR_BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

// Words of FIAR_ALLREDUCE_BACKEND; those besides auto are the backends' names.
#define FIAR_BACKEND_CHOICES "auto|trtllm|mnnvl|nccl|host"

typedef struct fiar_env {
#define CHOICE(field, name, fallback, accepted, doc) char field[16];
#define INT(field, name, fallback, least, most, doc) int64_t field;
#define TEXT(field, name, doc) char field[256];
#include "base/env.def"
#undef CHOICE
#undef INT
#undef TEXT
} fiar_env_t;

// The process's environment as it was at the first call. A bad value is an INVALID_ARGUMENT that
// names the accepted ones, then and at every later call. Threads may call it at once.
fiar_status_t fiar_env_get(const fiar_env_t** out_env);

// Pure: reads through `lookup`, which is getenv or a test's own.
typedef const char* (*fiar_env_lookup_fn)(const char* name);
fiar_status_t fiar_env_parse(fiar_env_lookup_fn lookup, fiar_env_t* out_env);

// A whole number in [least, most], or INVALID_ARGUMENT naming the variable and what it accepts.
fiar_status_t fiar_parse_int(const char* name, const char* text, int64_t least, int64_t most,
                             int64_t* out_value);

// One of the words of `accepted` ("on|off"), or INVALID_ARGUMENT naming them.
fiar_status_t fiar_parse_choice(const char* name, const char* text, const char* accepted,
                                char* out_word, size_t room);

#endif  // FIAR_BASE_ENV_H
