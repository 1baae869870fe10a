// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The C side of a block: its header, and the table that the program of program_main.c works on.
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/plan.h"
#include "fiar/version.h"
#include "mlir-c/BuiltinTypes.h"

extern const char fiar_block_program[];

static const char* element_name(MlirType tensor) {
  static const char* const names[] = {
#define X(name, value, text, bits) [value] = text,
      FIAR_ELEMENT_TABLE(X)
#undef X
  };
  uint8_t element = 0;
  return fiarBlockElement(tensor, &element) ? names[element] : "?";
}

// [tokens, 1024] bf16
static void describe(const FiarBlockArgument* argument, FILE* out) {
  int64_t rank = mlirShapedTypeGetRank(argument->type);
  fprintf(out, "[");
  for (int64_t i = 0; i < rank; ++i) {
    fprintf(out, "%s", i > 0 ? ", " : "");
    if (i == 0 && argument->by_tokens) {
      fprintf(out, "tokens");
    } else {
      fprintf(out, "%" PRId64, mlirShapedTypeGetDimSize(argument->type, i));
    }
  }
  fprintf(out, "] %s", element_name(argument->type));
  if (argument->shard_dim >= 0) {
    fprintf(out, ", this rank's part of dimension %d", argument->shard_dim);
  }
}

static void upper(const char* text, FILE* out) {
  for (; *text != '\0'; ++text) {
    (void)fputc(toupper((unsigned char)*text), out);
  }
}

static void print_macro(const FiarBlock* block, const char* name, int64_t value, FILE* out) {
  fprintf(out, "#define ");
  upper(block->name, out);
  fprintf(out, "_%s %" PRId64 "\n", name, value);
}

static void print_prototype(const FiarBlock* block, FILE* out) {
  fprintf(out, "fiar_status_t %s(", block->name);
  if (block->max_tokens > 0) {
    fprintf(out, "int64_t tokens,  // 0 to %" PRId64 "\n    ", block->max_tokens);
  }
  for (int i = 0; i < block->n_arguments; ++i) {
    if (!block->arguments[i].packed) {
      fprintf(out, "const void* %s,  // ", block->arguments[i].name);
      describe(&block->arguments[i], out);
      fprintf(out, "\n    ");
    }
  }
  for (int i = 0; i < block->n_results; ++i) {
    fprintf(out, "void* %s,  // out: ", block->results[i].name);
    describe(&block->results[i], out);
    fprintf(out, "\n    ");
  }
  if (block->packed_bytes > 0) {
    fprintf(out, "const void* packed,  // %s_packed_bytes(), from %s_pack\n    ", block->name,
            block->name);
  }
  fprintf(out,
          "void* arena,  // scratch, a multiple of %d bytes\n    size_t arena_bytes,  // at least "
          "%s_arena_bytes()\n    void* stream,  // a cudaStream_t, or NULL\n    fiar_comm_t* comm);"
          "\n\n",
          FIAR_ARENA_ALIGNMENT, block->name);
}

static void print_pack(const FiarBlock* block, FILE* out) {
  fprintf(
      out,
      "// Once, when the weights are loaded: lays these arguments out in `packed` as the block reads\n"
      "// them; they may be freed when the stream is through.\n"
      "size_t %s_packed_bytes(void);\n"
      "fiar_status_t %s_pack(",
      block->name, block->name);
  for (int i = 0; i < block->n_arguments; ++i) {
    if (block->arguments[i].packed) {
      fprintf(out, "const void* %s,  // ", block->arguments[i].name);
      describe(&block->arguments[i], out);
      fprintf(out, "\n    ");
    }
  }
  fprintf(out, "void* packed, void* stream, fiar_comm_t* comm);\n\n");
}

void fiarBlockHeader(const FiarBlock* block, FILE* out) {
  fprintf(
      out,
      "// Written by fiarc %s: a block compiled for %" PRId64
      " rank%s. Link its object and libfiar.\n"
      "//\n"
      "// Tensors are contiguous and row-major, where the communicator computes: device memory, or the\n"
      "// host's on the host backend. Arguments are only read, results only written, and none overlaps\n"
      "// another; all stay the caller's. bf16 and f16 are two bytes, fp8 one, fp4 two codes a byte, the\n"
      "// first in the low nibble.\n"
      "//\n"
      "// A call enqueues on the stream and returns. It allocates nothing, so after one call to warm up it\n"
      "// captures into a CUDA graph. Calls that may run at the same time need an arena each. All ranks\n"
      "// make the same calls. comm == NULL: the communicator of fiar_rt_set_comm(0, ...), or of the\n"
      "// launcher's environment. The status is that of the first call that failed, and\n"
      "// fiar_last_error() its sentence.\n",
      FIAR_VERSION_STRING, block->world > 0 ? block->world : 1, block->world > 1 ? "s" : "");
  fprintf(out, "#ifndef ");
  upper(block->name, out);
  fprintf(out, "_BLOCK_H\n#define ");
  upper(block->name, out);
  fprintf(out,
          "_BLOCK_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n#include \"fiar/abi.h\"\n\n"
          "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
  print_macro(block, "WORLD", block->world > 0 ? block->world : 1, out);
  if (block->max_tokens > 0) {
    print_macro(block, "MAX_TOKENS", block->max_tokens, out);
  }
  fprintf(out, "\nsize_t %s_arena_bytes(void);\n\n", block->name);
  print_prototype(block, out);
  if (block->packed_bytes > 0) {
    print_pack(block, out);
  }
  fprintf(out, "#ifdef __cplusplus\n}\n#endif\n#endif\n");
}

// ---- the program ----

static void print_row(const FiarBlock* block, const FiarBlockArgument* argument, FILE* out) {
  uint8_t element = 0;
  int64_t rank = mlirShapedTypeGetRank(argument->type);
  (void)fiarBlockElement(argument->type, &element);
  fprintf(out, "    {\"%s\", \"", argument->label[0] != '\0' ? argument->label : argument->name);
  describe(argument, out);
  // Joined products have changed the size of no argument, and of no result.
  fprintf(out, "\", %d, %d, %d, %d, %" PRIu64 "u, {", element, (int)rank, argument->shard_dim,
          argument->by_tokens, block->values[argument->value].bytes);
  for (int64_t i = 0; i < rank; ++i) {
    fprintf(out, "%s%" PRId64, i > 0 ? ", " : "", mlirShapedTypeGetDimSize(argument->type, i));
  }
  fprintf(out, "%s}},\n", rank == 0 ? "0" : "");
}

static void print_call(const FiarBlock* block, FILE* out) {
  fprintf(
      out,
      "static fiar_status_t program_call(int64_t tokens, void* const* at, void* packed, void* arena, "
      "fiar_comm_t* comm) {\n  (void)tokens, (void)packed;\n  return %s(%s",
      block->name, block->max_tokens > 0 ? "tokens, " : "");
  for (int i = 0; i < block->n_arguments; ++i) {
    if (!block->arguments[i].packed) {
      fprintf(out, "at[%d], ", i);
    }
  }
  for (int i = 0; i < block->n_results; ++i) {
    fprintf(out, "at[%d], ", block->n_arguments + i);
  }
  fprintf(out, "%sarena, ARENA_BYTES, NULL, comm);\n}\n",
          block->packed_bytes > 0 ? "packed, " : "");
  fprintf(out,
          "static fiar_status_t program_pack(void* const* at, void* packed, fiar_comm_t* comm) {\n"
          "  (void)at, (void)packed, (void)comm;\n  return ");
  if (block->packed_bytes == 0) {
    fprintf(out, "FIAR_OK;\n}\n");
    return;
  }
  fprintf(out, "%s_pack(", block->name);
  for (int i = 0; i < block->n_arguments; ++i) {
    if (block->arguments[i].packed) {
      fprintf(out, "at[%d], ", i);
    }
  }
  fprintf(out, "packed, NULL, comm);\n}\n");
}

void fiarBlockProgram(const FiarBlock* block, FILE* out) {
  fprintf(out, "#include \"fiar/fiar.h\"\n");
  fiarBlockHeader(block, out);
  fprintf(
      out,
      "typedef struct tensor {\n  const char *name, *text;\n  uint8_t dtype;\n  int rank, shard_dim, "
      "by_tokens;\n  uint64_t bytes;\n  int64_t shape[%d];\n} tensor_t;\n"
      "#define BLOCK_NAME \"%s\"\n#define BLOCK_WORLD %d\n#define ARGUMENTS %d\n#define TENSORS %d\n"
      "#define MAX_TOKENS ((int64_t)%" PRId64 ")\n#define ARENA_BYTES ((uint64_t)%" PRIu64
      "u)\n#define PACKED_BYTES ((uint64_t)%" PRIu64
      "u)\nstatic const tensor_t program_tensors[] = {\n",
      FIAR_BLOCK_RANK, block->name, block->world > 0 ? (int)block->world : 1, block->n_arguments,
      block->n_arguments + block->n_results, block->max_tokens, block->arena_bytes,
      block->packed_bytes);
  for (int i = 0; i < block->n_arguments; ++i) {
    print_row(block, &block->arguments[i], out);
  }
  for (int i = 0; i < block->n_results; ++i) {
    print_row(block, &block->results[i], out);
  }
  fprintf(out, "};\n");
  print_call(block, out);
  fprintf(out, "%s", fiar_block_program);
}
