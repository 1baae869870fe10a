// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The CUDA half on a machine without CUDA devices: the library starts and says what is missing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cublaslt_dl.h"
#include "cuda/cuda_impl.h"
#include "cuda/nccl_dl.h"
#include "runtime_impl.h"

static void no_devices_are_told_from_no_driver(void** state) {
  (void)state;
  int devices = 0;
  fiar_status_t status = fiar_cuda_available(&devices);
  if (status == FIAR_OK) {
    print_message("skipped: this machine has %d CUDA devices\n", devices);
    skip();
  }
  assert_int_equal(status, FIAR_UNAVAILABLE);
  assert_true(strstr(fiar_last_error(), "driver") || strstr(fiar_last_error(), "no CUDA device"));
  assert_int_equal(fiar_cuda_auto_device(0), FIAR_DEVICE_NONE);
}

static void cuda_errors_become_sentences_with_call_name_and_text(void** state) {
  (void)state;
  assert_int_equal(fiar_cuda_fail(cudaErrorMemoryAllocation, "cudaMalloc(&p, bytes)"),
                   FIAR_OUT_OF_MEMORY);
  assert_string_equal(fiar_last_error(),
                      "cudaMalloc failed: out of memory (cudaErrorMemoryAllocation)");
  assert_int_equal(fiar_cuda_fail(cudaErrorInvalidValue, "cudaFree"), FIAR_CUDA_ERROR);
  assert_int_equal(fiar_cuda_fail(cudaErrorNoDevice, "cudaFree"), FIAR_UNAVAILABLE);
}

static void a_missing_nccl_is_named_and_the_answer_remembered(void** state) {
  (void)state;
  const fiar_nccl_t* nccl = NULL;
  for (int i = 0; i < 2; ++i) {
    assert_int_equal(fiar_nccl_open(&nccl), FIAR_UNAVAILABLE);
    assert_null(nccl);
    assert_non_null(strstr(fiar_last_error(), "/nowhere/libnccl.so.2"));
    assert_non_null(strstr(fiar_last_error(), "FIAR_NCCL_LIBRARY"));
  }
}

static void a_missing_cublaslt_is_named_and_the_answer_remembered(void** state) {
  (void)state;
  const fiar_cublaslt_t* cublaslt = NULL;
  for (int i = 0; i < 2; ++i) {
    assert_int_equal(fiar_cublaslt_open(&cublaslt), FIAR_UNAVAILABLE);
    assert_null(cublaslt);
    assert_non_null(strstr(fiar_last_error(), "/nowhere/libcublasLt.so.13"));
    assert_non_null(strstr(fiar_last_error(), "FIAR_CUBLASLT_LIBRARY"));
  }
}

int main(void) {
  // Both are read once, with the rest of the environment.
  if (setenv("FIAR_NCCL_LIBRARY", "/nowhere/libnccl.so.2", 1) != 0 ||
      setenv("FIAR_CUBLASLT_LIBRARY", "/nowhere/libcublasLt.so.13", 1) != 0) {
    return 1;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_devices_are_told_from_no_driver),
      cmocka_unit_test(cuda_errors_become_sentences_with_call_name_and_text),
      cmocka_unit_test(a_missing_nccl_is_named_and_the_answer_remembered),
      cmocka_unit_test(a_missing_cublaslt_is_named_and_the_answer_remembered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
