// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Fuzz target: MLIR text -> read -> fiar-rotate-loops -> fiar-fuse -> fiar-shard-residual -> both
// lowerings, and fiar-raise-block -> fiar-lower-to-block.
//
// Whatever the text, nothing may crash; a pass that succeeds leaves a module that verifies, and
// fusing or sharding a second time changes nothing.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "mlir-c/Diagnostics.h"
#include "mlir-c/Dialect/Arith.h"
#include "mlir-c/Dialect/Bufferization.h"
#include "mlir-c/Dialect/Func.h"
#include "mlir-c/Dialect/LLVM.h"
#include "mlir-c/Dialect/Linalg.h"
#include "mlir-c/Dialect/MemRef.h"
#include "mlir-c/Dialect/SCF.h"
#include "mlir-c/Dialect/Tensor.h"
#include "passes.h"

// Longer texts are not looked at: they find nothing that short ones do not.
enum { LONGEST = 1 << 16 };

static void find_confession(MlirStringRef piece, void* found) {
  static const char words[] = "please report it";
  for (size_t i = 0; i + sizeof words - 1 <= piece.length; ++i) {
    *(bool*)found |= memcmp(piece.data + i, words, sizeof words - 1) == 0;
  }
}

// Errors are as they should be, but for those that say that the fault is ours.
static MlirLogicalResult look_at(MlirDiagnostic diagnostic, void* unused) {
  (void)unused;
  bool ours = false;
  mlirDiagnosticPrint(diagnostic, find_confession, &ours);
  if (ours) {
    (void)fprintf(stderr, "fuzz_text: a pass asks to be reported\n");
    abort();
  }
  return mlirLogicalResultSuccess();
}

static void ignore_message(FiarMessageKind kind, MlirLocation location, MlirStringRef text,
                           void* unused) {
  (void)kind;
  (void)location;
  (void)text;
  (void)unused;
}

static void require(bool holds, const char* claim, MlirOperation module) {
  if (!holds) {
    (void)fprintf(stderr, "fuzz_text: %s\n", claim);
    mlirOperationDump(module);
    abort();
  }
}

// A context for each input: what one has loaded or interned is nothing to the next.
static MlirContext new_context(void) {
  static MlirDialectRegistry registry;
  if (registry.ptr == NULL) {
    registry = mlirDialectRegistryCreate();
    fiarRegisterDialects(registry);
  }
  MlirContext context = mlirContextCreateWithRegistry(registry, false);
  mlirContextSetAllowUnregisteredDialects(context, true);
  (void)mlirContextAttachDiagnosticHandler(context, look_at, NULL, NULL);
  if (mlirLogicalResultIsFailure(fiarLoadDialect(context))) {
    (void)fprintf(stderr, "fuzz_text: the dialect does not load\n");
    abort();
  }
  return context;
}

static void load_what_lowering_makes(MlirContext context) {
  MlirDialectHandle dialects[] = {
      mlirGetDialectHandle__arith__(),  mlirGetDialectHandle__bufferization__(),
      mlirGetDialectHandle__func__(),   mlirGetDialectHandle__llvm__(),
      mlirGetDialectHandle__linalg__(), mlirGetDialectHandle__memref__(),
      mlirGetDialectHandle__scf__(),    mlirGetDialectHandle__tensor__()};
  for (size_t i = 0; i < sizeof dialects / sizeof *dialects; ++i) {
    (void)mlirDialectHandleLoadDialect(dialects[i], context);
  }
}

static void rotate(MlirOperation module) {
  require(mlirLogicalResultIsSuccess(fiarRotateLoops(module, 0)), "fiar-rotate-loops failed",
          module);
  require(mlirOperationVerify(module), "fiar-rotate-loops left a broken module", module);
}

static void fuse_and_shard(MlirOperation module, bool assume) {
  FiarFuseOptions fuse = {.struct_size = sizeof fuse, .message = ignore_message};
  FiarFuseCounts fused = {0};
  if (mlirLogicalResultIsFailure(fiarFuse(module, &fuse, &fused))) {
    require(mlirOperationVerify(module), "fiar-fuse failed and left a broken module", module);
    return;
  }
  require(mlirOperationVerify(module), "fiar-fuse left a broken module", module);
  require(mlirLogicalResultIsSuccess(fiarFuse(module, &fuse, &fused)) && fused.fused == 0,
          "fiar-fuse fused more the second time", module);
  FiarShardOptions shard = {
      .struct_size = sizeof shard, .message = ignore_message, .assume_replicated = assume};
  FiarShardCounts sharded = {0};
  require(mlirLogicalResultIsSuccess(fiarShardResidual(module, &shard, &sharded)),
          "fiar-shard-residual failed", module);
  require(mlirOperationVerify(module), "fiar-shard-residual left a broken module", module);
  require(mlirLogicalResultIsSuccess(fiarShardResidual(module, &shard, &sharded)) &&
              sharded.sharded == 0,
          "fiar-shard-residual sharded more the second time", module);
}

static void raise_and_lower(MlirOperation module, bool separate) {
  MlirOperation clone = mlirOperationClone(module);
  FiarRaiseOptions raise = {
      .struct_size = sizeof raise, .message = ignore_message, .separate = separate};
  FiarBlockOptions block = {.struct_size = sizeof block, .separate = separate};
  require(
      mlirLogicalResultIsFailure(fiarRaiseBlock(clone, &raise, NULL)) || mlirOperationVerify(clone),
      "fiar-raise-block left a broken module", clone);
  require(mlirLogicalResultIsFailure(fiarLowerToBlock(clone, &block)) || mlirOperationVerify(clone),
          "fiar-lower-to-block left a broken module", clone);
  mlirOperationDestroy(clone);
}

static void lower(MlirOperation module, MlirLogicalResult (*pass)(MlirOperation),
                  const char* claim) {
  MlirOperation clone = mlirOperationClone(module);
  require(mlirLogicalResultIsFailure(pass(clone)) || mlirOperationVerify(clone), claim, clone);
  mlirOperationDestroy(clone);
}

// MLIR's own parser makes room for as many results as %name#number asks for.
static bool asks_for_millions(const uint8_t* data, size_t size) {
  size_t digits = 0;
  for (size_t i = 0; i < size; ++i) {
    const bool digit = data[i] >= '0' && data[i] <= '9';
    digits = data[i] == '#' ? 1 : digits > 0 && digit ? digits + 1 : 0;
    if (digits > 6) {
      return true;
    }
  }
  return false;
}

// MLIR's own parser of linalg.reduce and its like falls over dimensions that are no list of numbers
// of 64 bits, and no array, as the generic form has; mlir-opt does, too.
static bool names_dimensions(const uint8_t* data, size_t size) {
  static const char reduced[] = "dimensions", moved[] = "permutation", array[] = "array";
  const size_t skip = sizeof reduced - 1;
  const uint8_t* end = data + size;
  for (size_t i = 0; i + skip < size; ++i) {
    if (memcmp(data + i, reduced, skip) != 0 && memcmp(data + i, moved + 1, skip) != 0) {
      continue;
    }
    const uint8_t* at = data + i + skip;
    bool equals = false;
    for (; at < end && (isspace(*at) || (*at == '=' && !equals)); ++at) {
      equals |= *at == '=';
    }
    const bool is_array = (size_t)(end - at) >= sizeof array && memcmp(at, array, 5) == 0;
    if (equals && (at == end || (*at != '[' && !is_array))) {
      return true;
    }
    for (size_t digits = 0; equals && !is_array && at < end && *at != ']'; ++at) {
      digits = isdigit(*at) ? digits + 1 : 0;
      if (strchr("[0123456789, ", *at) == NULL || digits > 18) {
        return true;
      }
    }
  }
  return false;
}

// MLIR 22's parser asks the width of a dense array's `index` and goes down, in mlir-opt as here.
static bool brings_down_mlir(const uint8_t* data, size_t size) {
  static const char array[] = "array", index[] = "index";
  const uint8_t* at = memmem(data, size, array, sizeof array - 1);
  for (; at != NULL; at = memmem(at, (size_t)(data + size - at), array, sizeof array - 1)) {
    at += sizeof array - 1;
    const uint8_t* from = at;
    while (from < data + size && (*from == '<' || isspace(*from))) {
      ++from;
    }
    if ((size_t)(data + size - from) >= sizeof index - 1 &&
        memcmp(from, index, sizeof index - 1) == 0) {
      return true;
    }
  }
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // MLIR's bytecode is read by MLIR alone, and its lexer wants a zero behind the text.
  if (size == 0 || size > LONGEST || memchr(data, 0, size) != NULL || memcmp(data, "M", 1) == 0 ||
      asks_for_millions(data, size) || names_dimensions(data, size) ||
      brings_down_mlir(data, size)) {
    return -1;
  }
  char* text = malloc(size + 1);
  if (text == NULL) {
    return -1;
  }
  memcpy(text, data, size);
  text[size] = '\0';
  MlirContext context = new_context();
  MlirModule parsed = mlirModuleCreateParse(context, mlirStringRefCreate(text, size));
  const bool reads = !mlirModuleIsNull(parsed);
  if (reads) {
    MlirOperation module = mlirModuleGetOperation(parsed);
    rotate(module);
    fuse_and_shard(module, size % 2 == 0);
    load_what_lowering_makes(context);
    raise_and_lower(module, size % 3 == 0);
    lower(module, fiarLowerToFfi, "fiar-lower-to-ffi left a broken module");
    lower(module, fiarLowerToRuntime, "fiar-lower-to-runtime left a broken module");
    mlirModuleDestroy(parsed);
  }
  mlirContextDestroy(context);
  free(text);
  return 0;
}
