// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "block/blas.h"

#include <dlfcn.h>
#include <limits.h>
#include <string.h>

#include "base/env.h"
#include "base/library.h"
#include "base/log.h"

// cblas.h's numbers; its integers are 32 bits wide in the libraries below.
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };
typedef void sgemm_fn(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                      const float* a, int a_stride, const float* b, int b_stride, float beta,
                      float* c, int c_stride);

static fiar_once_t once = FIAR_ONCE_INIT;
static sgemm_fn* sgemm;

static void multiply_blas(int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                          float* c) {
  enum { ROWS = 1 << 20 };
  if (k > INT_MAX) {
    fiar_multiply_plain(m, n, k, a, b, c);
    return;
  }
  for (int64_t i = 0; i < m; i += ROWS) {
    const int rows = (int)(m - i < ROWS ? m - i : ROWS);
    sgemm(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, rows, (int)n, (int)k, 1, a + i * k, (int)k, b, (int)k,
          0, c + i * n, (int)n);
  }
}

static bool library_take(const char* name) {
  const char* taken = name;
  void* library = fiar_library_open(name, NULL, &taken);
  if (library) {
    fiar_library_symbol(library, "cblas_sgemm", &sgemm);
  }
  if (sgemm) {
    FIAR_LOG(INFO, KERNEL, "matmuls on the host by %s", name);
  } else if (library) {
    (void)dlclose(library);
  }
  return sgemm != NULL;
}

static fiar_status_t open_library(void) {
  static const char* const known[] = {"libopenblas.so.0", "libblis.so.4"};
  const fiar_env_t* env = NULL;
  FIAR_TRY(fiar_env_get(&env));
  const char* named = env->blas_library;
  if (*named && strcmp(named, "none") != 0) {
    return library_take(named)
               ? FIAR_OK
               : FIAR_FAIL(
                     UNAVAILABLE, "FIAR_BLAS_LIBRARY is \"%s\", which %s", named,
                     dlopen(named, RTLD_NOW | RTLD_LOCAL) ? "has no cblas_sgemm" : "does not open");
  }
  for (size_t i = 0; !*named && i < FIAR_ARRAY_LENGTH(known); ++i) {
    if (library_take(known[i])) {
      return FIAR_OK;
    }
  }
  FIAR_LOG(INFO, KERNEL, "matmuls on the host in plain C: no libopenblas.so.0, no libblis.so.4");
  return FIAR_OK;
}

fiar_status_t fiar_blas_multiply(fiar_multiply_fn** out_multiply) {
  const fiar_status_t status = fiar_once(&once, open_library);
  *out_multiply = sgemm ? multiply_blas : fiar_multiply_plain;
  return status;
}
