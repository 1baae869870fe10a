// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "check_holds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mlir-c/RegisterEverything.h"

static void count_error(FiarMessageKind kind, MlirLocation location, MlirStringRef text,
                        void* user_data) {
  (void)location;
  (void)text;
  *(int*)user_data += kind == FIAR_MESSAGE_ERROR;
}

bool check_holds(const char* model, MlirLogicalResult (*rewrite)(MlirOperation, void*),
                 const void* rewrite_data, int64_t seeds) {
  return check_holds_with(model, (FiarCheckOptions){.struct_size = sizeof(FiarCheckOptions),
                                                    .rewrite = rewrite,
                                                    .rewrite_data = (void*)(uintptr_t)rewrite_data,
                                                    .seeds = seeds});
}

bool check_holds_with(const char* model, FiarCheckOptions options) {
  MlirContext context = mlirContextCreate();
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  mlirRegisterAllDialects(registry);
  mlirContextAppendDialectRegistry(context, registry);
  mlirContextSetAllowUnregisteredDialects(context, true);
  assert_true(mlirLogicalResultIsSuccess(fiarLoadDialect(context)));
  MlirModule module = mlirModuleCreateParse(context, mlirStringRefCreateFromCString(model));
  assert_false(mlirModuleIsNull(module));
  int errors = 0;
  options.message = count_error;
  options.message_data = &errors;
  bool holds = mlirLogicalResultIsSuccess(fiarCheck(mlirModuleGetOperation(module), &options));
  assert_int_equal(holds, errors == 0);
  mlirModuleDestroy(module);
  mlirDialectRegistryDestroy(registry);
  mlirContextDestroy(context);
  return holds;
}

static MlirStringRef text_of(const char* text) {
  return mlirStringRefCreateFromCString(text);
}

static MlirWalkResult break_op(MlirOperation op, void* data) {
  const check_breakage_t* breakage = data;
  if (!mlirStringRefEqual(mlirIdentifierStr(mlirOperationGetName(op)), text_of(breakage->op))) {
    return MlirWalkResultAdvance;
  }
  if (breakage->attribute != NULL) {
    MlirAttribute value =
        mlirAttributeParseGet(mlirOperationGetContext(op), text_of(breakage->value));
    mlirOperationSetDiscardableAttributeByName(op, text_of(breakage->attribute), value);
  } else {
    MlirValue operand = mlirOperationGetOperand(op, breakage->first);
    mlirOperationSetOperand(op, breakage->first, mlirOperationGetOperand(op, breakage->second));
    mlirOperationSetOperand(op, breakage->second, operand);
  }
  return MlirWalkResultInterrupt;
}

void check_break(MlirOperation module, const check_breakage_t* breakage) {
  if (breakage != NULL) {
    mlirOperationWalk(module, break_op, (void*)(uintptr_t)breakage, MlirWalkPreOrder);
  }
}
