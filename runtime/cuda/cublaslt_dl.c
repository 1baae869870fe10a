// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/cublaslt_dl.h"

#include <dlfcn.h>

#include "base/env.h"
#include "base/library.h"
#include "fiar/types.h"

static fiar_once_t once = FIAR_ONCE_INIT;
static fiar_cublaslt_t table;

static const fiar_symbol_t symbols[] = {
#define X(symbol, parameters) {"cublasLt" #symbol, offsetof(fiar_cublaslt_t, symbol), 0},
#include "cuda/cublaslt_symbols.def"
#undef X
    {"cublasLtGetStatusString", offsetof(fiar_cublaslt_t, GetStatusString), 0},
};

static fiar_status_t open_table(void) {
  static const char* const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", NULL};
  const char* name = NULL;
  const fiar_env_t* env = NULL;
  FIAR_TRY(fiar_env_get(&env));
  void* library = fiar_library_open(env->cublaslt_library, names, &name);
  if (!library) {
    return FIAR_FAIL(
        UNAVAILABLE,
        "cuBLASLt cannot be opened: %s (install CUDA's libcublas 12 or 13, or name its "
        "file in FIAR_CUBLASLT_LIBRARY)",
        dlerror());
  }
  size_t (*version)(void);
  fiar_library_symbol(library, "cublasLtGetVersion", &version);
  table.version = version ? (int)version() : 0;
  if (table.version < FIAR_CUBLASLT_MIN_VERSION) {
    return FIAR_FAIL(UNAVAILABLE, "%s is cuBLASLt version %d, at least %d is needed", name,
                     table.version, FIAR_CUBLASLT_MIN_VERSION);
  }
  const char* missing =
      fiar_library_fill(library, table.version, symbols, FIAR_ARRAY_LENGTH(symbols), &table);
  return missing ? FIAR_FAIL(UNAVAILABLE, "%s (cuBLASLt %d) lacks %s", name, table.version, missing)
                 : FIAR_OK;
}

fiar_status_t fiar_cublaslt_open(const fiar_cublaslt_t** out_cublaslt) {
  *out_cublaslt = NULL;
  FIAR_TRY(fiar_once(&once, open_table));
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
