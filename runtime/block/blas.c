// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "block/blas.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "base/env.h"
#include "base/log.h"

// cblas.h's numbers; its integers are 32 bits wide in the libraries below.
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };
typedef void sgemm_fn(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                      const float* a, int a_stride, const float* b, int b_stride, float beta,
                      float* c, int c_stride);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static fiar_status_t open_status;
static char open_text[512];
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
  void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  void* address = library ? dlsym(library, "cblas_sgemm") : NULL;
  memcpy(&sgemm, &address, sizeof address);
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

static void open_once(void) {
  open_status = open_library();
  if (open_status != FIAR_OK) {
    strncpy(open_text, fiar_last_error(), sizeof open_text - 1);
  }
}

fiar_status_t fiar_blas_multiply(fiar_multiply_fn** out_multiply) {
  pthread_once(&once, open_once);
  *out_multiply = sgemm ? multiply_blas : fiar_multiply_plain;
  return open_status == FIAR_OK ? FIAR_OK : fiar_fail(open_status, "%s", open_text);
}
