// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which backend serves a call.
#include <stdio.h>
#include <string.h>

#include "runtime_impl.h"

#if FIAR_HAVE_CUDA
#define ROW_CUDA(stem, apply) apply(stem)
#else
#define ROW_CUDA(stem, apply)
#endif
#define ROW_ANY(stem, apply) apply(stem)

#define DECLARE(stem) extern const fiar_backend_t fiar_backend_##stem;
#define X(stem, needs) ROW_##needs(stem, DECLARE)
#include "backends.def"
#undef X

#define LIST(stem) &fiar_backend_##stem,
static const fiar_backend_t* const built_in[] = {
#define X(stem, needs) ROW_##needs(stem, LIST)
#include "backends.def"
#undef X
};

// Only tests change these, before they make a communicator.
static const fiar_backend_t* const* table = built_in;
static size_t table_size = FIAR_ARRAY_LENGTH(built_in);

const fiar_backend_t* const* fiar_backend_table(size_t* out_count) {
  *out_count = table_size;
  return table;
}

void fiar_backend_table_replace(const fiar_backend_t* const* backends, size_t count) {
  table = backends ? backends : built_in;
  table_size = backends ? count : FIAR_ARRAY_LENGTH(built_in);
}

static void describe(const fiar_problem_t* problem, int32_t world, char* text, size_t room) {
  static const char* const ops[] = {"all-reduce", "all-reduce + norm", "all-gather of rows"};
  static const char* const dtypes[] = {
#define X(name, value, text, bytes) [value] = text,
      FIAR_DTYPE_TABLE(X)
#undef X
  };
  static const char* const quants[] = {
#define X(name, value, text, bits, block) [value] = text,
#include "fiar/quant_formats.def"
#undef X
  };
  (void)snprintf(text, room, "%s of [%lld, %lld] %s%s%s on %d ranks", ops[problem->op],
                 (long long)problem->tokens, (long long)problem->hidden, dtypes[problem->dtype],
                 problem->quantises ? " to " : "", problem->quantises ? quants[problem->quant] : "",
                 world);
}

fiar_status_t fiar_select(const fiar_backend_t* const* backends, size_t count,
                          const fiar_problem_t* problem, const fiar_caps_t* caps,
                          const char* forced, uint32_t failed, size_t* out_index) {
  *out_index = 0;
  const bool automatic = strcmp(forced, "auto") == 0;
  char reasons[512] = "";
  size_t used = 0;
  bool known = automatic;
  for (size_t i = 0; i < count; ++i) {
    if (!automatic && strcmp(forced, backends[i]->name) != 0) {
      continue;
    }
    known = true;
    const char* reason = (failed >> i & 1u) != 0 ? "its workspace could not be made"
                                                 : backends[i]->refuses(problem, caps);
    if (!reason) {
      *out_index = i;
      return FIAR_OK;
    }
    if (used < sizeof reasons - 1) {
      used += (size_t)snprintf(reasons + used, sizeof reasons - used, "%s%s: %s", used ? "; " : "",
                               backends[i]->name, reason);
    }
  }
  if (!known) {
    return FIAR_FAIL(UNSUPPORTED, "backend \"%s\" was asked for, and this build is without it",
                     forced);
  }
  char what[160];
  describe(problem, caps->world, what, sizeof what);
  return FIAR_FAIL(UNSUPPORTED, "no backend serves an %s (%s)", what, reasons);
}
