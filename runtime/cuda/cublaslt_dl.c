// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/cublaslt_dl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "base/env.h"
#include "fiar/types.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static fiar_cublaslt_t table;
static fiar_status_t open_status;
static char open_text[512];

// dlsym gives an object pointer; C has no conversion to a function pointer, POSIX says the bits are
// the same.
static void symbol_get(void* library, const char* name, void* out_function) {
  void* address = dlsym(library, name);
  memcpy(out_function, &address, sizeof address);
}

static void* library_open(const char* named, const char** out_name) {
  static const char* const names[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
  static const int modes[] = {RTLD_NOW | RTLD_NOLOAD, RTLD_NOW | RTLD_LOCAL};
  *out_name = *named ? named : names[0];
  if (*named) {
    return dlopen(named, RTLD_NOW | RTLD_LOCAL);
  }
  // The copy that the process already uses, of either version, before any other.
  for (size_t mode = 0; mode < FIAR_ARRAY_LENGTH(modes); ++mode) {
    for (size_t i = 0; i < FIAR_ARRAY_LENGTH(names); ++i) {
      void* library = dlopen(names[i], modes[mode]);
      if (library) {
        *out_name = names[i];
        return library;
      }
    }
  }
  return NULL;
}

static fiar_status_t table_fill(void) {
  const char* name = NULL;
  const fiar_env_t* env = NULL;
  FIAR_TRY(fiar_env_get(&env));
  void* library = library_open(env->cublaslt_library, &name);
  if (!library) {
    return FIAR_FAIL(
        UNAVAILABLE,
        "cuBLASLt cannot be opened: %s (install CUDA's libcublas 12 or 13, or name its "
        "file in FIAR_CUBLASLT_LIBRARY)",
        dlerror());
  }
  size_t (*version)(void);
  symbol_get(library, "cublasLtGetVersion", &version);
  table.version = version ? (int)version() : 0;
  if (table.version < FIAR_CUBLASLT_MIN_VERSION) {
    return FIAR_FAIL(UNAVAILABLE, "%s is cuBLASLt version %d, at least %d is needed", name,
                     table.version, FIAR_CUBLASLT_MIN_VERSION);
  }
  symbol_get(library, "cublasLtGetStatusString", &table.GetStatusString);
#define X(symbol, parameters)                                                                      \
  symbol_get(library, "cublasLt" #symbol, &table.symbol);                                          \
  if (!table.symbol) {                                                                             \
    return FIAR_FAIL(UNAVAILABLE, "%s (cuBLASLt %d) lacks cublasLt" #symbol, name, table.version); \
  }
#include "cuda/cublaslt_symbols.def"
#undef X
  return table.GetStatusString ? FIAR_OK
                               : FIAR_FAIL(UNAVAILABLE, "%s (cuBLASLt %d) lacks its error texts",
                                           name, table.version);
}

static void open_once(void) {
  open_status = table_fill();
  if (open_status != FIAR_OK) {
    strncpy(open_text, fiar_last_error(), sizeof open_text - 1);
  }
}

fiar_status_t fiar_cublaslt_open(const fiar_cublaslt_t** out_cublaslt) {
  *out_cublaslt = NULL;
  pthread_once(&once, open_once);
  if (open_status != FIAR_OK) {
    return fiar_fail(open_status, "%s", open_text);
  }
  *out_cublaslt = &table;
  return FIAR_OK;
}

fiar_status_t fiar_cublaslt_fail(const fiar_cublaslt_t* cublaslt, int status, const char* call) {
  return FIAR_FAIL(CUDA_ERROR, "%s failed: %s (%d)", call, cublaslt->GetStatusString(status),
                   status);
}

int fiar_cublaslt_type(uint8_t element) {
  static const int types[] = {
      [FIAR_ELEMENT_F16] = FIAR_CUBLASLT_F16,   [FIAR_ELEMENT_BF16] = FIAR_CUBLASLT_BF16,
      [FIAR_ELEMENT_F32] = FIAR_CUBLASLT_F32,   [FIAR_ELEMENT_E4M3] = FIAR_CUBLASLT_E4M3,
      [FIAR_ELEMENT_E5M2] = FIAR_CUBLASLT_E5M2, [FIAR_ELEMENT_E2M1] = FIAR_CUBLASLT_E2M1,
  };
  return types[element];
}
