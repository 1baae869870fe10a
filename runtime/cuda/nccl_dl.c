// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/nccl_dl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "base/env.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static fiar_nccl_t table;
static fiar_status_t open_status;
static char open_text[512];

// dlsym gives an object pointer; C has no conversion to a function pointer, POSIX says the bits are
// the same.
static void symbol_get(void* library, const char* name, void* out_function) {
  void* address = dlsym(library, name);
  memcpy(out_function, &address, sizeof address);
}

static void* library_open(const char* named, const char** out_name) {
  *out_name = *named ? named : "libnccl.so.2";
  if (!*named) {
    // A caller's ncclComm_t belongs to the copy that the process already uses.
    void* present = dlopen(*out_name, RTLD_NOW | RTLD_NOLOAD);
    if (present) {
      return present;
    }
  }
  return dlopen(*out_name, RTLD_NOW | RTLD_LOCAL);
}

static fiar_status_t table_fill(void) {
  const char* name = NULL;
  const fiar_env_t* env = NULL;
  FIAR_TRY(fiar_env_get(&env));
  void* library = library_open(env->nccl_library, &name);
  if (!library) {
    return FIAR_FAIL(
        UNAVAILABLE,
        "NCCL cannot be opened: %s (install NCCL 2, or name its file in FIAR_NCCL_LIBRARY)",
        dlerror());
  }
  symbol_get(library, "ncclGetVersion", &table.GetVersion);
  if (!table.GetVersion || table.GetVersion(&table.version) != FIAR_NCCL_SUCCESS) {
    return FIAR_FAIL(UNAVAILABLE, "%s does not tell its NCCL version", name);
  }
  if (table.version < FIAR_NCCL_MIN_VERSION) {
    return FIAR_FAIL(UNAVAILABLE, "%s is NCCL version %d, at least %d is needed", name,
                     table.version, FIAR_NCCL_MIN_VERSION);
  }
  symbol_get(library, "ncclGetErrorString", &table.GetErrorString);
  symbol_get(library, "ncclGetLastError", &table.GetLastError);
#define X(since, symbol, parameters)                                                       \
  symbol_get(library, "nccl" #symbol, &table.symbol);                                      \
  if (!table.symbol && table.version >= (since)) {                                         \
    return FIAR_FAIL(UNAVAILABLE, "%s (NCCL %d) lacks nccl" #symbol, name, table.version); \
  }
#include "cuda/nccl_symbols.def"
#undef X
  return table.GetErrorString && table.GetLastError
             ? FIAR_OK
             : FIAR_FAIL(UNAVAILABLE, "%s (NCCL %d) lacks its error texts", name, table.version);
}

static void open_once(void) {
  open_status = table_fill();
  if (open_status != FIAR_OK) {
    strncpy(open_text, fiar_last_error(), sizeof open_text - 1);
  }
}

fiar_status_t fiar_nccl_open(const fiar_nccl_t** out_nccl) {
  *out_nccl = NULL;
  pthread_once(&once, open_once);
  if (open_status != FIAR_OK) {
    return fiar_fail(open_status, "%s", open_text);
  }
  *out_nccl = &table;
  return FIAR_OK;
}

fiar_status_t fiar_nccl_fail(const fiar_nccl_t* nccl, int result, const char* call) {
  const char* last = nccl->GetLastError(NULL);
  return FIAR_FAIL(NCCL_ERROR, "%s failed: %s%s%s", call, nccl->GetErrorString(result),
                   last && *last ? ": " : "", last ? last : "");
}
