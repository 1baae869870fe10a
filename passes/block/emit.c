// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A block as text in the LLVM dialect: the function that makes its calls, the one that packs its
// weights, and the sizes of both memories.
//
//   llvm.func @mlp(%tokens: i64, %a0: !llvm.ptr, ..., %r0: !llvm.ptr, ..., %packed, %arena,
//   %arena_bytes,
//                  %stream, %comm) -> i32
//
// The params structs are this compiler's own, word by word; pointers and row counts are stored over
// them at offsetof, so that compiler and runtime cannot drift. Steps are blocks: the first call
// that fails ends the function with its status.
#include <inttypes.h>
#include <string.h>

#include "block/plan.h"

#define AT(type, field) ((uint32_t)offsetof(type, field))

static const char* const functions[FIAR_BLOCK_OPS] = {
    [FIAR_BLOCK_ALL_REDUCE_NORM] = "fiar_rt_all_reduce_norm",
    [FIAR_BLOCK_ALL_REDUCE] = "fiar_rt_all_reduce",
    [FIAR_BLOCK_ALL_GATHER_ROWS] = "fiar_rt_all_gather_rows",
    [FIAR_BLOCK_TAKE_ROWS] = "fiar_rt_take_rows",
    [FIAR_BLOCK_MATMUL] = "fiar_rt_matmul",
    [FIAR_BLOCK_RMS_NORM] = "fiar_rt_rms_norm",
    [FIAR_BLOCK_QUANTIZE] = "fiar_rt_quantize",
    [FIAR_BLOCK_ACTIVATE] = "fiar_rt_activate",
    [FIAR_BLOCK_COPY] = "fiar_rt_copy",
};

static bool takes_params(FiarBlockOp kind) {
  return kind != FIAR_BLOCK_ALL_REDUCE && kind != FIAR_BLOCK_ALL_GATHER_ROWS &&
         kind != FIAR_BLOCK_TAKE_ROWS;
}

// ---- stores into %params ----

static void store(FILE* out, const char* value, const char* type, const char* tag, uint32_t at) {
  fprintf(out,
          "  %%%s_at%u = llvm.getelementptr %%params[%u] : (!llvm.ptr) -> !llvm.ptr, i8\n"
          "  llvm.store %s, %%%s_at%u : %s, !llvm.ptr\n",
          tag, at, at, value, tag, at, type);
}

static void store_words(FILE* out, const void* params, size_t size, const char* tag) {
  for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, (const char*)params + i, sizeof word);
    char value[48], words[32];
    (void)snprintf(value, sizeof value, "%%%s_word%zu", tag, i);
    (void)snprintf(words, sizeof words, "%s_w", tag);
    fprintf(out, "  %s = llvm.mlir.constant(%" PRId64 " : i64) : i64\n", value, (int64_t)word);
    store(out, value, "i64", words, (uint32_t)i);
  }
}

// %TAG: the value's address.
static void print_address(FILE* out, const FiarBlock* block, const FiarBlockValue* value,
                          const char* tag) {
  (void)block;
  static const char* const bases[] = {[FIAR_HOME_ARENA] = "arena", [FIAR_HOME_PACKED] = "packed"};
  if (value->home == FIAR_HOME_ARGUMENT || value->home == FIAR_HOME_RESULT) {
    fprintf(out, "  %%%s = llvm.getelementptr %%%s%d[0] : (!llvm.ptr) -> !llvm.ptr, i8\n", tag,
            value->home == FIAR_HOME_ARGUMENT ? "a" : "r", value->index);
    return;
  }
  fprintf(out,
          "  %%%s_offset = llvm.mlir.constant(%" PRIu64
          " : i64) : i64\n"
          "  %%%s = llvm.getelementptr %%%s[%%%s_offset] : (!llvm.ptr, i64) -> !llvm.ptr, i8\n",
          tag, value->offset, tag, bases[value->home], tag);
}

// %TAG: the step's rows.
static void print_rows(FILE* out, const FiarBlock* block, const FiarBlockStep* step,
                       const char* tag) {
  if (!step->by_tokens) {
    fprintf(out, "  %%%s = llvm.mlir.constant(%" PRId64 " : i64) : i64\n", tag, step->rows);
    return;
  }
  fprintf(out,
          "  %%%s_each = llvm.mlir.constant(%" PRId64
          " : i64) : i64\n"
          "  %%%s = llvm.mul %%tokens, %%%s_each : i64\n",
          tag, step->rows / block->tokens, tag, tag);
}

// ---- calls ----

static void print_params_call(FILE* out, const FiarBlock* block, const FiarBlockStep* step,
                              const char* tag) {
  char name[48], value[64];
  store_words(out, &step->params, step->size, tag);
  for (int i = 0; i < step->n_pointers; ++i) {
    const FiarStepPointer* pointer = &step->pointers[i];
    (void)snprintf(name, sizeof name, "%s_p%d", tag, i);
    (void)snprintf(value, sizeof value, "%%%s", name);
    print_address(out, block, &block->values[pointer->value], name);
    store(out, value, "!llvm.ptr", name, pointer->field);
  }
  (void)snprintf(name, sizeof name, "%s_rows", tag);
  (void)snprintf(value, sizeof value, "%%%s", name);
  print_rows(out, block, step, name);
  store(out, value, "i64", name, step->rows_field);
  if (step->kind == FIAR_BLOCK_MATMUL) {
    FiarBlockValue scratch = {.home = FIAR_HOME_ARENA, .offset = step->scratch};
    (void)snprintf(name, sizeof name, "%s_scratch", tag);
    (void)snprintf(value, sizeof value, "%%%s", name);
    print_address(out, block, &scratch, name);
    store(out, value, "!llvm.ptr", name, AT(fiar_matmul_params, workspace));
  }
  fprintf(out,
          "  %%%s_status = llvm.call @%s(%%comm, %%params, %%stream) : (!llvm.ptr, !llvm.ptr, "
          "!llvm.ptr) -> i32\n",
          tag, functions[step->kind]);
}

static void print_plain_call(FILE* out, const FiarBlock* block, const FiarBlockStep* step,
                             const char* tag) {
  char name[48];
  for (int i = 0; i < 2; ++i) {
    (void)snprintf(name, sizeof name, "%s_p%d", tag, i);
    print_address(out, block, &block->values[step->pointers[i].value], name);
  }
  (void)snprintf(name, sizeof name, "%s_rows", tag);
  print_rows(out, block, step, name);
  fprintf(out,
          "  %%%s_hidden = llvm.mlir.constant(%" PRId64
          " : i64) : i64\n"
          "  %%%s_dtype = llvm.mlir.constant(%d : i8) : i8\n"
          "  %%%s_group = llvm.mlir.constant(0 : i32) : i32\n"
          "  %%%s_status = llvm.call @%s(%%comm, %%%s_group, %%%s_p0, %%%s_p1, %%%s_rows, "
          "%%%s_hidden, %%%s_dtype, %%stream) : (!llvm.ptr, i32, !llvm.ptr, !llvm.ptr, i64, i64, "
          "i8, !llvm.ptr) -> i32\n",
          tag, step->params.norm.hidden, tag, step->params.norm.dtype, tag, tag,
          functions[step->kind], tag, tag, tag, tag, tag, tag);
}

// Goes on to ^NEXT where the status of TAG is OK.
static void print_branch(FILE* out, const char* tag, const char* next) {
  fprintf(out,
          "  %%%s_good = llvm.icmp \"eq\" %%%s_status, %%ok : i32\n"
          "  llvm.cond_br %%%s_good, ^%s, ^done(%%%s_status : i32)\n"
          "^%s:\n",
          tag, tag, tag, next, tag, next);
}

// ---- functions ----

static bool is_passed(const FiarBlockArgument* argument) {
  return !argument->packed;
}

static void print_start(FILE* out, const FiarBlock* block) {
  int count = 0, at = 0;
  for (int i = 0; i < block->n_arguments; ++i) {
    count += is_passed(&block->arguments[i]);
  }
  count += block->n_results + (block->packed_bytes > 0);
  fiar_block_params params = {.struct_size = sizeof params,
                              .abi_version = FIAR_ABI_VERSION,
                              .pointer_count = count,
                              .arena_needed = block->arena_bytes,
                              .world = block->world,
                              .tokens = 0,
                              .max_tokens = block->max_tokens};
  fprintf(out,
          "  %%count = llvm.mlir.constant(%d : i64) : i64\n"
          "  %%pointers = llvm.alloca %%count x !llvm.ptr : (i64) -> !llvm.ptr\n",
          count > 0 ? count : 1);
  for (int pass = 0; pass < 3; ++pass) {
    int n = pass == 0 ? block->n_arguments : pass == 1 ? block->n_results : block->packed_bytes > 0;
    for (int i = 0; i < n; ++i) {
      if (pass == 0 && !is_passed(&block->arguments[i])) {
        continue;
      }
      fprintf(out,
              "  %%slot%d = llvm.getelementptr %%pointers[%d] : (!llvm.ptr) -> !llvm.ptr, "
              "!llvm.ptr\n  llvm.store %%",
              at, at);
      if (pass == 2) {
        fprintf(out, "packed");
      } else {
        fprintf(out, "%s%d", pass == 0 ? "a" : "r", i);
      }
      fprintf(out, ", %%slot%d : !llvm.ptr, !llvm.ptr\n", at++);
    }
  }
  store_words(out, &params, sizeof params, "start");
  fprintf(out,
          "  %%name = llvm.mlir.addressof @fiar.%s.name : !llvm.ptr\n"
          "  %%names = llvm.mlir.addressof @fiar.%s.names : !llvm.ptr\n",
          block->name, block->name);
  store(out, "%name", "!llvm.ptr", "start", AT(fiar_block_params, name));
  store(out, "%names", "!llvm.ptr", "start", AT(fiar_block_params, pointer_names));
  store(out, "%pointers", "!llvm.ptr", "start", AT(fiar_block_params, pointers));
  store(out, "%arena", "!llvm.ptr", "start", AT(fiar_block_params, arena));
  store(out, "%arena_bytes", "i64", "start", AT(fiar_block_params, arena_bytes));
  if (block->max_tokens > 0) {
    store(out, "%tokens", "i64", "start", AT(fiar_block_params, tokens));
  }
  fprintf(out,
          "  %%start_status = llvm.call @fiar_rt_block_start(%%comm, %%params) : (!llvm.ptr, "
          "!llvm.ptr) -> i32\n");
  print_branch(out, "start", "step0");
}

static void print_head(FILE* out, size_t words) {
  fprintf(out,
          "  %%ok = llvm.mlir.constant(%d : i32) : i32\n"
          "  %%one = llvm.mlir.constant(1 : i64) : i64\n"
          "  %%params = llvm.alloca %%one x !llvm.array<%zu x i64> : (i64) -> !llvm.ptr\n",
          FIAR_OK, words);
}

static void print_tail(FILE* out) {
  fprintf(out,
          "  llvm.br ^done(%%ok : i32)\n"
          "^done(%%final: i32):\n"
          "  llvm.return %%final : i32\n"
          "}\n");
}

static void print_block(FILE* out, const FiarBlock* block) {
  fprintf(out, "llvm.func @%s(", block->name);
  if (block->max_tokens > 0) {
    fprintf(out, "%%tokens: i64, ");
  }
  for (int i = 0; i < block->n_arguments; ++i) {
    if (is_passed(&block->arguments[i])) {
      fprintf(out, "%%a%d: !llvm.ptr, ", i);
    }
  }
  for (int i = 0; i < block->n_results; ++i) {
    fprintf(out, "%%r%d: !llvm.ptr, ", i);
  }
  fprintf(out,
          "%s%%arena: !llvm.ptr, %%arena_bytes: i64, %%stream: !llvm.ptr, %%comm: !llvm.ptr) "
          "-> i32 {\n",
          block->packed_bytes > 0 ? "%packed: !llvm.ptr, " : "");
  print_head(out, sizeof(((FiarBlockStep*)0)->params) / sizeof(uint64_t));
  print_start(out, block);
  for (int i = 0, at = 0; i < block->n_steps; ++i) {
    if (block->steps[i].dropped) {
      continue;
    }
    char tag[16], next[16];
    (void)snprintf(tag, sizeof tag, "s%d", at++);
    (void)snprintf(next, sizeof next, "step%d", at);
    (takes_params(block->steps[i].kind) ? print_params_call : print_plain_call)(
        out, block, &block->steps[i], tag);
    print_branch(out, tag, next);
  }
  print_tail(out);
}

static void print_constants(FILE* out, const FiarBlock* block) {
  for (int i = 0; i < block->n_constants; ++i) {
    const FiarBlockConstant* constant = &block->constants[i];
    uint64_t bytes = block->values[constant->value].bytes;
    fprintf(out, "llvm.mlir.global internal constant @fiar.%s.constant%d(\"", block->name, i);
    for (uint64_t at = 0; at < bytes;) {
      size_t size;
      (void)fiarBlockConstantAt(constant, 0, &size);
      const unsigned char* data = fiarBlockConstantAt(constant, (int64_t)(at / size), &size);
      for (size_t k = 0; k < size; ++k, ++at) {
        fprintf(out, "\\%02X", data[k]);
      }
    }
    fprintf(out, "\") {addr_space = 0 : i32} : !llvm.array<%" PRIu64 " x i8>\n", bytes);
  }
}

// Constants are written once, from the object's own data.
static void print_writes(FILE* out, const FiarBlock* block) {
  for (int i = 0; i < block->n_constants; ++i) {
    const FiarBlockValue* value = &block->values[block->constants[i].value];
    char tag[16], next[32], name[32];
    (void)snprintf(tag, sizeof tag, "c%d", i);
    (void)snprintf(next, sizeof next, "constant%d", i + 1);
    (void)snprintf(name, sizeof name, "%s_to", tag);
    print_address(out, block, value, name);
    fprintf(
        out,
        "  %%%s_from = llvm.mlir.addressof @fiar.%s.constant%d : !llvm.ptr\n"
        "  %%%s_bytes = llvm.mlir.constant(%" PRIu64
        " : i64) : i64\n"
        "  %%%s_group = llvm.mlir.constant(0 : i32) : i32\n"
        "  %%%s_status = llvm.call @fiar_rt_write(%%comm, %%%s_group, %%%s_to, %%%s_from, "
        "%%%s_bytes, %%stream) : (!llvm.ptr, i32, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr) -> i32\n",
        tag, block->name, i, tag, value->bytes, tag, tag, tag, tag, tag, tag);
    print_branch(out, tag, next);
  }
}

static void print_pack(FILE* out, const FiarBlock* block) {
  fprintf(out, "llvm.func @%s_pack(", block->name);
  for (int i = 0; i < block->n_arguments; ++i) {
    if (block->arguments[i].packed) {
      fprintf(out, "%%a%d: !llvm.ptr, ", i);
    }
  }
  fprintf(out, "%%packed: !llvm.ptr, %%stream: !llvm.ptr, %%comm: !llvm.ptr) -> i32 {\n");
  print_head(out, sizeof(fiar_copy_params) / sizeof(uint64_t));
  for (int i = 0; i < block->n_packed; ++i) {
    const FiarPackedWeight* weight = &block->packed[i];
    fiar_copy_params params = {.struct_size = sizeof params,
                               .rows = weight->rows,
                               .cols = weight->cols,
                               .in_dtype = weight->dtype,
                               .out_dtype = weight->dtype,
                               .transposed = weight->transposed,
                               .out_layout = weight->layout};
    FiarBlockValue from = {.home = FIAR_HOME_ARGUMENT, .index = block->values[weight->value].index};
    FiarBlockValue to = {.home = FIAR_HOME_PACKED, .offset = weight->offset};
    char tag[16], next[16], name[32], value[48];
    (void)snprintf(tag, sizeof tag, "s%d", i);
    (void)snprintf(next, sizeof next, "step%d", i + 1);
    store_words(out, &params, sizeof params, tag);
    for (int k = 0; k < 2; ++k) {
      (void)snprintf(name, sizeof name, "%s_p%d", tag, k);
      (void)snprintf(value, sizeof value, "%%%s", name);
      print_address(out, block, k == 0 ? &from : &to, name);
      store(out, value, "!llvm.ptr", name,
            k == 0 ? AT(fiar_copy_params, input) : AT(fiar_copy_params, out));
    }
    fprintf(out,
            "  %%%s_status = llvm.call @fiar_rt_copy(%%comm, %%params, %%stream) : (!llvm.ptr, "
            "!llvm.ptr, !llvm.ptr) -> i32\n",
            tag);
    print_branch(out, tag, next);
  }
  print_writes(out, block);
  print_tail(out);
}

static void print_size(FILE* out, const FiarBlock* block, const char* what, uint64_t bytes) {
  fprintf(out,
          "llvm.func @%s_%s_bytes() -> i64 {\n"
          "  %%bytes = llvm.mlir.constant(%" PRIu64
          " : i64) : i64\n"
          "  llvm.return %%bytes : i64\n}\n",
          block->name, what, bytes);
}

static void print_names(FILE* out, const FiarBlock* block) {
  size_t length = 0;
  fprintf(out,
          "llvm.mlir.global internal constant @fiar.%s.name(\"%s\\00\") {addr_space = 0 : i32} "
          ": !llvm.array<%zu x i8>\n",
          block->name, block->name, strlen(block->name) + 1);
  fprintf(out, "llvm.mlir.global internal constant @fiar.%s.names(\"", block->name);
  for (int i = 0; i < block->n_arguments; ++i) {
    if (is_passed(&block->arguments[i])) {
      fprintf(out, "%s\\00", block->arguments[i].name);
      length += strlen(block->arguments[i].name) + 1;
    }
  }
  for (int i = 0; i < block->n_results; ++i) {
    fprintf(out, "%s\\00", block->results[i].name);
    length += strlen(block->results[i].name) + 1;
  }
  fprintf(out, "packed\\00\") {addr_space = 0 : i32} : !llvm.array<%zu x i8>\n",
          length + sizeof "packed");
}

void fiarBlockEmit(const FiarBlock* block, FILE* out) {
  bool needed[FIAR_BLOCK_OPS] = {false};
  for (int i = 0; i < block->n_steps; ++i) {
    needed[block->steps[i].kind] |= !block->steps[i].dropped;
  }
  needed[FIAR_BLOCK_COPY] |= block->n_packed > 0;
  fprintf(out, "llvm.func @fiar_rt_block_start(!llvm.ptr, !llvm.ptr) -> i32\n");
  if (block->n_constants > 0) {
    fprintf(
        out,
        "llvm.func @fiar_rt_write(!llvm.ptr, i32, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr) -> i32\n");
    print_constants(out, block);
  }
  for (int i = 0; i < FIAR_BLOCK_OPS; ++i) {
    if (needed[i]) {
      fprintf(out, "llvm.func @%s%s -> i32\n", functions[i],
              takes_params((FiarBlockOp)i)
                  ? "(!llvm.ptr, !llvm.ptr, !llvm.ptr)"
                  : "(!llvm.ptr, i32, !llvm.ptr, !llvm.ptr, i64, i64, i8, !llvm.ptr)");
    }
  }
  print_names(out, block);
  print_block(out, block);
  print_size(out, block, "arena", block->arena_bytes);
  if (block->packed_bytes > 0) {
    print_pack(out, block);
    print_size(out, block, "packed", block->packed_bytes);
  }
}
