// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a compiled block asks before its first call: fiar_rt_block_start.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fiar/fiar.h"

static _Alignas(256) char memory[1024];

static fiar_comm_t* comm;

static fiar_block_params good(const void* const* pointers) {
  return (fiar_block_params){.struct_size = sizeof(fiar_block_params),
                             .abi_version = FIAR_ABI_VERSION,
                             .pointer_count = 2,
                             .name = "mlp",
                             .pointers = pointers,
                             .pointer_names = "x\0norm",
                             .arena = memory,
                             .arena_bytes = 512,
                             .arena_needed = 512,
                             .world = 1,
                             .tokens = 4,
                             .max_tokens = 4};
}

static void assert_refused(const fiar_block_params* params, fiar_status_t status,
                           const char* words) {
  assert_int_equal(fiar_rt_block_start(comm, params), status);
  assert_non_null(strstr(fiar_last_error(), words));
}

static void what_fits_is_ok(void** state) {
  (void)state;
  const void* const pointers[] = {memory, memory};
  fiar_block_params params = good(pointers);
  assert_int_equal(fiar_rt_block_start(comm, &params), FIAR_OK);
  params.tokens = 0;
  assert_int_equal(fiar_rt_block_start(comm, &params), FIAR_OK);
  params.arena = NULL;
  params.arena_bytes = params.arena_needed = 0;
  assert_int_equal(fiar_rt_block_start(comm, &params), FIAR_OK);
}

static void a_null_pointer_is_named(void** state) {
  (void)state;
  const void* const pointers[] = {memory, NULL};
  fiar_block_params params = good(pointers);
  assert_refused(&params, FIAR_INVALID_ARGUMENT, "mlp: norm is NULL");
}

static void the_arena_is_checked(void** state) {
  (void)state;
  const void* const pointers[] = {memory, memory};
  fiar_block_params params = good(pointers);
  params.arena_bytes = 511;
  assert_refused(&params, FIAR_INVALID_ARGUMENT,
                 "mlp: arena_bytes is 511, it needs 512 (mlp_arena_bytes())");
  params = good(pointers);
  params.arena = memory + 16;
  assert_refused(&params, FIAR_INVALID_ARGUMENT, "no multiple of 256");
  params.arena = NULL;
  assert_refused(&params, FIAR_INVALID_ARGUMENT, "arena is NULL, it needs 512 bytes");
}

static void tokens_have_bounds(void** state) {
  (void)state;
  const void* const pointers[] = {memory, memory};
  fiar_block_params params = good(pointers);
  params.tokens = 5;
  assert_refused(&params, FIAR_INVALID_ARGUMENT, "mlp: tokens is 5, must be 0 to 4");
  params.tokens = -1;
  assert_refused(&params, FIAR_INVALID_ARGUMENT, "mlp: tokens is -1");
}

static void versions_and_ranks_must_agree(void** state) {
  (void)state;
  const void* const pointers[] = {memory, memory};
  fiar_block_params params = good(pointers);
  params.abi_version = FIAR_ABI_VERSION + 1;
  assert_refused(&params, FIAR_ABI_MISMATCH, "compiled for fiar ABI");
  params = good(pointers);
  params.world = 4;
  assert_refused(&params, FIAR_MISMATCH, "compiled for 4 ranks");
  params = good(pointers);
  params.struct_size = 8;
  assert_refused(&params, FIAR_ABI_MISMATCH, "struct_size is 8");
  params = good(pointers);
  params.pointer_count = -1;
  assert_refused(&params, FIAR_INVALID_ARGUMENT, "pointer_count is -1");
  assert_refused(NULL, FIAR_INVALID_ARGUMENT, "params is NULL");
}

static int begin(void** state) {
  (void)state;
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = FIAR_DEVICE_NONE;
  return fiar_comm_create_threads(1, NULL, &options, &comm) != FIAR_OK;
}

static int end(void** state) {
  (void)state;
  fiar_comm_destroy(comm);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_fits_is_ok),
      cmocka_unit_test(a_null_pointer_is_named),
      cmocka_unit_test(the_arena_is_checked),
      cmocka_unit_test(tokens_have_bounds),
      cmocka_unit_test(versions_and_ranks_must_agree),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
