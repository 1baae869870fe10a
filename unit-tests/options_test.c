// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Structs of options from callers that were built with another version of the library.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fiar/compiler.h"
#include "mlir-c/Diagnostics.h"
#include "mlir-c/RegisterEverything.h"

typedef struct told {
  char text[512];
} told_t;

static void append(MlirStringRef piece, void* data) {
  told_t* told = data;
  const size_t length = strlen(told->text), room = sizeof told->text - 1 - length;
  memcpy(told->text + length, piece.data, piece.length < room ? piece.length : room);
}

static MlirLogicalResult listen(MlirDiagnostic diagnostic, void* data) {
  mlirDiagnosticPrint(diagnostic, append, data);
  return mlirLogicalResultSuccess();
}

static MlirLogicalResult keep(MlirOperation clone, void* data) {
  (void)clone;
  (void)data;
  return mlirLogicalResultSuccess();
}

static MlirLogicalResult fuse(MlirOperation module, const void* options) {
  return fiarFuse(module, options, NULL);
}
static MlirLogicalResult raise_block(MlirOperation module, const void* options) {
  return fiarRaiseBlock(module, options, NULL);
}
static MlirLogicalResult lower(MlirOperation module, const void* options) {
  return fiarLowerToBlock(module, options);
}
static MlirLogicalResult shard(MlirOperation module, const void* options) {
  return fiarShardResidual(module, options, NULL);
}
static MlirLogicalResult check(MlirOperation module, const void* options) {
  return fiarCheck(module, options);
}

// Runs a pass with so many bytes of options, of which the last is `last`.
static bool runs(MlirLogicalResult (*pass)(MlirOperation, const void*), uint32_t size,
                 unsigned char last, told_t* out_told) {
  union {
    uint32_t struct_size;
    FiarCheckOptions check;
    unsigned char bytes[4096];
  } options;
  memset(&options, 0xFF, sizeof options);  // what is not the caller's
  memset(&options, 0, size < sizeof options ? size : sizeof options);
  if (pass == check) {
    options.check = (FiarCheckOptions){.rewrite = keep, .seeds = 1, .products = true};
  }
  if (size > 0 && last != 0) {
    options.bytes[size - 1] = last;
  }
  options.struct_size = size;
  MlirContext context = mlirContextCreate();
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  mlirRegisterAllDialects(registry);
  mlirContextAppendDialectRegistry(context, registry);
  assert_true(mlirLogicalResultIsSuccess(fiarLoadDialect(context)));
  *out_told = (told_t){""};
  mlirContextAttachDiagnosticHandler(context, listen, out_told, NULL);
  MlirModule module = mlirModuleCreateParse(
      context, mlirStringRefCreateFromCString(
                   "func.func @f(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {\n"
                   "  %0 = \"fiar.copy\"(%x) {transposed = false} : (tensor<2x4xf32>) -> "
                   "tensor<2x4xf32>\n"
                   "  return %0 : tensor<2x4xf32>\n}"));
  assert_false(mlirModuleIsNull(module));
  const bool good =
      mlirLogicalResultIsSuccess(pass(mlirModuleGetOperation(module), (const void*)&options));
  mlirModuleDestroy(module);
  mlirDialectRegistryDestroy(registry);
  mlirContextDestroy(context);
  return good;
}

static void sizes_of_other_versions_are_taken_or_named(void** state) {
  (void)state;
  static const struct {
    const char* name;
    MlirLogicalResult (*pass)(MlirOperation, const void*);
    uint32_t size, oldest;  // the struct's, and the least that has what the pass needs
  } passes[] = {
      {"FiarFuseOptions", fuse, sizeof(FiarFuseOptions), 8},
      {"FiarRaiseOptions", raise_block, sizeof(FiarRaiseOptions), 8},
      {"FiarBlockOptions", lower, sizeof(FiarBlockOptions), 8},
      {"FiarShardOptions", shard, sizeof(FiarShardOptions), 8},
      {"FiarCheckOptions", check, sizeof(FiarCheckOptions), sizeof(FiarCheckOptions)},
  };
  told_t told;
  for (size_t i = 0; i < sizeof passes / sizeof *passes; ++i) {
    char wanted[160];
    assert_true(runs(passes[i].pass, passes[i].size, 0, &told));
    assert_true(runs(passes[i].pass, passes[i].oldest, 0, &told));
    assert_true(runs(passes[i].pass, passes[i].size + 16, 0, &told));
    assert_false(runs(passes[i].pass, passes[i].size + 16, 1, &told));
    (void)snprintf(wanted, sizeof wanted,
                   "%s.struct_size is %u, and options are set beyond this library's %u",
                   passes[i].name, passes[i].size + 16, passes[i].size);
    assert_non_null(strstr(told.text, wanted));
    static const uint32_t no_sizes[] = {0, 4, 4097};
    for (size_t k = 0; k < sizeof no_sizes / sizeof *no_sizes; ++k) {
      assert_false(runs(passes[i].pass, no_sizes[k], 0, &told));
      (void)snprintf(wanted, sizeof wanted,
                     "%s.struct_size is %u, must be sizeof the struct, here %u", passes[i].name,
                     no_sizes[k], passes[i].size);
      assert_non_null(strstr(told.text, wanted));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_of_other_versions_are_taken_or_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
