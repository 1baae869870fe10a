// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Fuzz target: what the runtime's entries are called with (fiar/abi.h), on the host backend.
//
// An input is a byte for each of the nine pointers of the params (what it is: see place), the
// struct's bytes from `tokens` on, then the data. The checker never looks behind a pointer, so it
// gets wild ones, too; a call that it lets through runs on memory that is exactly as large as the
// ABI says, where a sanitizer sees every step beyond. Nothing may crash, and what the checker has
// filled in must pass the checker.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiar/fiar.h"
#include "fuzz/fuzz.h"
#include "host/reference.h"
#include "residual.h"
#include "runtime_impl.h"

enum { POINTERS = 9, MOST_ELEMENTS = 1 << 12, MOST_RANKS = 5 };
#define FIELDS_AT offsetof(fiar_all_reduce_norm_params, tokens)

typedef struct Input {
  const uint8_t* at;
  size_t left;
} Input;

// Copies what there is, and zeros behind it.
static void take(Input* input, void* to, size_t count) {
  const size_t part = count < input->left ? count : input->left;
  memset(to, 0, count);
  memcpy(to, input->at, part);
  input->at += part;
  input->left -= part;
}

static void require(int holds, const char* claim) {
  if (!holds) {
    (void)fprintf(stderr, "fuzz_params: %s (%s)\n", claim, fiar_last_error());
    abort();
  }
}

static void** pointer(fiar_all_reduce_norm_params* params, int index) {
  return (void**)((unsigned char*)params + offsetof(fiar_all_reduce_norm_params, input)) + index;
}

// A pointer that is only compared: none, a low or a high address, one of a few near one another.
static void* place(uint8_t what) {
  const uintptr_t near = UINT64_C(0x7F0000000000);
  switch (what & 3) {
    case 0:
      return NULL;
    case 1:
      return (void*)(near + ((uintptr_t)(what >> 2) << 6));
    case 2:
      return (void*)(near + (what >> 2));
    default:
      return (void*)(~(uintptr_t)0 - (what >> 2));
  }
}

// Bytes, not values: what has been checked once must come out as it went in, NaNs too.
static bool same_bytes(const void* one, const void* other, size_t bytes) {
  return memcmp(one, other, bytes) == 0;
}

static void check_anything(const fiar_all_reduce_norm_params* fields, const uint8_t* what,
                           int32_t world) {
  fiar_all_reduce_norm_params params = *fields, checked, again;
  for (int i = 0; i < POINTERS; ++i) {
    *pointer(&params, i) = place(what[i]);
  }
  if (fiar_params_check(&params, world, &checked) == FIAR_OK) {
    require(fiar_params_check(&checked, world, &again) == FIAR_OK &&
                same_bytes(&checked, &again, sizeof again),
            "what the checker has filled in does not pass it");
    (void)fiar_problem_of(&checked);
  }
  size_t bytes;
  (void)fiar_codes_bytes(&params, &bytes);
  (void)fiar_scales_bytes(&params, &bytes);
}

// ---- Calls that run ----

typedef struct Arena {
  unsigned char* blocks[POINTERS + MOST_RANKS];
  int count;
} Arena;

static void* arena_get(Arena* arena, size_t bytes, Input* data) {
  unsigned char* block = malloc(bytes > 0 ? bytes : 1);
  require(block != NULL, "no memory");
  // The same data over and over, so that short inputs fill large tensors.
  for (size_t i = 0; i < bytes; ++i) {
    block[i] = data->left > 0 ? data->at[i % data->left] : 0;
  }
  arena->blocks[arena->count++] = block;
  return block;
}

static void arena_clear(Arena* arena) {
  while (arena->count > 0) {
    free(arena->blocks[--arena->count]);
  }
}

// Elements; strides below hidden are refused, or not looked at.
static size_t strided(int64_t rows, int64_t stride, int64_t hidden) {
  return rows > 0 ? (size_t)((rows - 1) * (stride > hidden ? stride : hidden) + hidden) : 0;
}

// Small enough to run, with strides that are none or sound.
static int runs(const fiar_all_reduce_norm_params* params) {
  const int64_t most = MOST_ELEMENTS;
  return params->tokens >= 0 && params->hidden >= 1 && params->tokens <= most &&
         params->hidden <= most && params->tokens * params->hidden <= most &&
         params->input_stride >= 0 && params->input_stride <= most &&
         params->residual_stride >= 0 && params->residual_stride <= most &&
         params->group_size <= most;
}

// The pointers of the params, each to memory as large as the ABI has it; bit 7 of an output's byte
// asks for the input that it may share memory with.
static void allocate(fiar_all_reduce_norm_params* params, const uint8_t* what, int32_t world,
                     Arena* arena, Input* data) {
  const int64_t rows = fiar_residual_rows(params->residual_layout, params->tokens, world);
  const size_t element = fiar_dtype_bytes(params->dtype);
  const size_t weight_element = fiar_dtype_bytes(params->weight_dtype);
  const size_t all = (size_t)(params->tokens * params->hidden) * element;
  size_t codes = 0, scales = 0;
  (void)fiar_codes_bytes(params, &codes);
  (void)fiar_scales_bytes(params, &scales);
  const size_t sizes[POINTERS] = {
      strided(params->tokens, params->input_stride, params->hidden) * element,
      strided(rows, params->residual_stride, params->hidden) * element,
      (size_t)params->hidden * weight_element,
      sizeof(float),
      all,
      (size_t)(rows * params->hidden) * element,
      all,
      codes,
      scales};
  for (int i = 0; i < POINTERS; ++i) {
    *pointer(params, i) = (what[i] & 3) != 0 ? arena_get(arena, sizes[i], data) : NULL;
  }
  if ((what[5] & 128) != 0 && params->residual_out != NULL) {
    params->residual_out = (void*)(uintptr_t)params->residual;
  }
  if ((what[6] & 128) != 0 && params->norm_out != NULL) {
    params->norm_out = (void*)(uintptr_t)params->input;
  }
}

// Ranks of a larger group by the reference itself, every rank with the same data.
static void run_reference(const fiar_all_reduce_norm_params* fields, const uint8_t* what,
                          int32_t world, Input* data) {
  Arena arena = {.count = 0};
  fiar_all_reduce_norm_params params = *fields, checked;
  allocate(&params, what, world, &arena, data);
  if (fiar_params_check(&params, world, &checked) == FIAR_OK && checked.tokens > 0) {
    const void *inputs[MOST_RANKS], *residuals[MOST_RANKS];
    for (int32_t rank = 0; rank < world; ++rank) {
      inputs[rank] = checked.input;
      residuals[rank] = checked.residual;
    }
    require(fiar_reference_all_reduce_norm(
                world, world - 1, inputs, checked.residual ? residuals : NULL, &checked) == FIAR_OK,
            "the reference failed");
  }
  arena_clear(&arena);
}

static fiar_comm_t* comm_of_one(void) {
  static fiar_comm_t* comm;
  const fiar_comm_options_t options = {sizeof options, FIAR_DEVICE_NONE, 1000, "host"};
  if (comm == NULL) {
    require(fiar_comm_create_threads(1, NULL, &options, &comm) == FIAR_OK, "no communicator");
  }
  return comm;
}

static void run_entries(const fiar_all_reduce_norm_params* fields, const uint8_t* what,
                        Input* data) {
  Arena arena = {.count = 0};
  fiar_all_reduce_norm_params params = *fields;
  fiar_comm_t* comm = comm_of_one();
  allocate(&params, what, 1, &arena, data);
  const int64_t tokens = params.tokens, hidden = params.hidden;
  const uint8_t dtype = params.dtype;
  (void)fiar_rt_all_reduce_norm(comm, &params, NULL);
  void* in = (void*)(uintptr_t)params.input;
  void* out = params.sum_out;
  (void)fiar_rt_all_reduce(comm, 0, in, out, tokens, hidden, dtype, NULL);
  (void)fiar_rt_all_gather_rows(comm, 0, in, out, tokens, hidden, dtype, NULL);
  (void)fiar_rt_take_rows(comm, 0, in, out, tokens, hidden, dtype, NULL);
  arena_clear(&arena);
}

// A struct of another version's size, and exactly so much memory.
static void check_struct_size(const fiar_all_reduce_norm_params* fields, uint8_t size,
                              Input* data) {
  const size_t bytes = size < sizeof(uint32_t) ? sizeof(uint32_t) : size;
  Arena arena = {.count = 0};
  unsigned char* params = arena_get(&arena, bytes, data);
  const size_t part = bytes < sizeof *fields ? bytes : sizeof *fields;
  memcpy(params, fields, part);
  const uint32_t claimed = (uint32_t)bytes;
  memcpy(params, &claimed, sizeof claimed);
  (void)fiar_rt_all_reduce_norm(comm_of_one(), (const fiar_all_reduce_norm_params*)(void*)params,
                                NULL);
  arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input = {data, size};
  uint8_t what[POINTERS], world, struct_size;
  fiar_all_reduce_norm_params fields = {.struct_size = sizeof fields};
  take(&input, &world, 1);
  take(&input, &struct_size, 1);
  take(&input, what, sizeof what);
  take(&input, (unsigned char*)&fields + FIELDS_AT, sizeof fields - FIELDS_AT);
  const int32_t ranks = 1 + world % MOST_RANKS;
  check_anything(&fields, what, ranks);
  check_struct_size(&fields, struct_size, &input);
  if (runs(&fields)) {
    run_reference(&fields, what, ranks, &input);
    run_entries(&fields, what, &input);
  } else {
    // Sizes that no memory holds: refused before anything is touched, whatever the pointers.
    (void)fiar_rt_all_reduce(comm_of_one(), 0, NULL, NULL, fields.tokens, fields.hidden,
                             fields.dtype, NULL);
    (void)fiar_rt_all_gather_rows(comm_of_one(), 0, NULL, place(what[4]), fields.tokens,
                                  fields.hidden, fields.dtype, NULL);
    (void)fiar_rt_take_rows(comm_of_one(), 0, place(what[0]), NULL, fields.tokens, fields.hidden,
                            fields.dtype, NULL);
  }
  return 0;
}
