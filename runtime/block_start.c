// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What compiled blocks ask before their first call. Nothing here allocates or waits, so that a step
// captures into a CUDA graph.
#include <inttypes.h>
#include <string.h>

#include "extent.h"
#include "runtime_impl.h"

enum { ARENA_ALIGNMENT = 256 };

static fiar_status_t check_pointers(const fiar_block_params* params) {
  const char* name = params->pointer_names;
  for (int32_t i = 0; i < params->pointer_count; ++i) {
    if (params->pointers[i] == NULL) {
      return FIAR_FAIL(INVALID_ARGUMENT, "%s: %s is NULL", params->name, name);
    }
    name += strlen(name) + 1;
  }
  return FIAR_OK;
}

static fiar_status_t check_arena(const fiar_block_params* params) {
  if (params->arena_needed == 0) {
    return FIAR_OK;
  }
  if (params->arena == NULL) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s: arena is NULL, it needs %" PRIu64 " bytes",
                     params->name, params->arena_needed);
  }
  if ((uintptr_t)params->arena % ARENA_ALIGNMENT != 0) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s: arena is %p, no multiple of %d bytes", params->name,
                     params->arena, ARENA_ALIGNMENT);
  }
  if (params->arena_bytes < params->arena_needed) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "%s: arena_bytes is %" PRIu64 ", it needs %" PRIu64 " (%s_arena_bytes())",
                     params->name, params->arena_bytes, params->arena_needed, params->name);
  }
  return FIAR_OK;
}

fiar_status_t fiar_rt_block_start(fiar_comm_t* comm, const fiar_block_params* params) {
  FIAR_TRY(fiar_struct_check(params, sizeof *params));
  FIAR_TRY(fiar_rt_check_abi(params->abi_version));
  if (params->pointer_count < 0) {
    return FIAR_FAIL(INVALID_ARGUMENT, "pointer_count is %d, must be >= 0",
                     (int)params->pointer_count);
  }
  if (params->pointer_count > 0 && (!params->pointers || !params->pointer_names)) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s is NULL, with %d pointers",
                     params->pointers ? "pointer_names" : "pointers", (int)params->pointer_count);
  }
  FIAR_TRY(check_pointers(params));
  FIAR_TRY(check_arena(params));
  if (params->tokens < 0 || params->tokens > params->max_tokens) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s: tokens is %" PRId64 ", must be 0 to %" PRId64,
                     params->name, params->tokens, params->max_tokens);
  }
  return params->world > 0 ? fiar_rt_check_world(comm, params->group, params->world) : FIAR_OK;
}
