// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/nccl_dl.h"

#include <dlfcn.h>

#include "base/env.h"
#include "base/library.h"

static fiar_once_t once = FIAR_ONCE_INIT;
static fiar_nccl_t table;

static const fiar_symbol_t symbols[] = {
#define X(since, symbol, parameters) {"nccl" #symbol, offsetof(fiar_nccl_t, symbol), since},
#include "cuda/nccl_symbols.def"
#undef X
    {"ncclGetErrorString", offsetof(fiar_nccl_t, GetErrorString), 0},
    {"ncclGetLastError", offsetof(fiar_nccl_t, GetLastError), 0},
};

static fiar_status_t open_table(void) {
  // A caller's ncclComm_t belongs to the copy that the process already uses.
  static const char* const names[] = {"libnccl.so.2", NULL};
  const char* name = NULL;
  const fiar_env_t* env = NULL;
  FIAR_TRY(fiar_env_get(&env));
  void* library = fiar_library_open(env->nccl_library, names, &name);
  if (!library) {
    return FIAR_FAIL(
        UNAVAILABLE,
        "NCCL cannot be opened: %s (install NCCL 2, or name its file in FIAR_NCCL_LIBRARY)",
        dlerror());
  }
  fiar_library_symbol(library, "ncclGetVersion", &table.GetVersion);
  if (!table.GetVersion || table.GetVersion(&table.version) != FIAR_NCCL_SUCCESS) {
    return FIAR_FAIL(UNAVAILABLE, "%s does not tell its NCCL version", name);
  }
  if (table.version < FIAR_NCCL_MIN_VERSION) {
    return FIAR_FAIL(UNAVAILABLE, "%s is NCCL version %d, at least %d is needed", name,
                     table.version, FIAR_NCCL_MIN_VERSION);
  }
  const char* missing =
      fiar_library_fill(library, table.version, symbols, FIAR_ARRAY_LENGTH(symbols), &table);
  return missing ? FIAR_FAIL(UNAVAILABLE, "%s (NCCL %d) lacks %s", name, table.version, missing)
                 : FIAR_OK;
}

fiar_status_t fiar_nccl_open(const fiar_nccl_t** out_nccl) {
  *out_nccl = NULL;
  FIAR_TRY(fiar_once(&once, open_table));
  *out_nccl = &table;
  return FIAR_OK;
}

fiar_status_t fiar_nccl_fail(const fiar_nccl_t* nccl, int result, const char* call) {
  const char* last = nccl->GetLastError(NULL);
  return FIAR_FAIL(NCCL_ERROR, "%s failed: %s%s%s", call, nccl->GetErrorString(result),
                   last && *last ? ": " : "", last ? last : "");
}
