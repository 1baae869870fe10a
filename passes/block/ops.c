// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Builds ops of the fiar dialect.
#include "block/raise.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

static const char* const op_names[] = {
#define X(name, text) text,
    FIAR_BLOCK_OP_TABLE(X)
#undef X
};

FiarBlockOp fiarBlockOpOf(MlirOperation op) {
  int i = 0;
  while (i < FIAR_BLOCK_OPS && !fiarStringEqual(fiarOpName(op), op_names[i])) {
    ++i;
  }
  return (FiarBlockOp)i;
}

const char* fiarBlockOpName(FiarBlockOp op) {
  return op_names[op];
}

FiarBuilder fiarBuild(MlirContext context, const char* name, MlirLocation location) {
  return (FiarBuilder){.context = context, .name = name, .location = location};
}

void fiarBuildOperand(FiarBuilder* builder, MlirValue value) {
  builder->operand_sizes[builder->n_operand_sizes++] = fiarIsValue(value);
  if (fiarIsValue(value)) {
    builder->operands[builder->n_operands++] = value;
  }
}

void fiarBuildResult(FiarBuilder* builder, MlirType type) {
  builder->result_sizes[builder->n_result_sizes++] = !mlirTypeIsNull(type);
  if (!mlirTypeIsNull(type)) {
    builder->results[builder->n_results++] = type;
  }
}

void fiarBuildAttribute(FiarBuilder* builder, const char* name, MlirAttribute attribute) {
  MlirIdentifier id = mlirIdentifierGet(builder->context, mlirStringRefCreateFromCString(name));
  builder->attributes[builder->n_attributes++] = mlirNamedAttributeGet(id, attribute);
}

void fiarBuildText(FiarBuilder* builder, const char* name, const char* text) {
  fiarBuildAttribute(builder, name,
                     mlirStringAttrGet(builder->context, mlirStringRefCreateFromCString(text)));
}

void fiarBuildBool(FiarBuilder* builder, const char* name, bool value) {
  fiarBuildAttribute(builder, name, mlirBoolAttrGet(builder->context, value));
}

void fiarBuildCopy(FiarBuilder* builder, const char* name, MlirOperation from) {
  fiarBuildAttribute(builder, name, fiarOpAttribute(from, name));
}

MlirOperation fiarBuildOp(FiarBuilder* builder, MlirOperation before, bool operand_segments,
                          bool result_segments) {
  if (operand_segments) {
    fiarBuildAttribute(
        builder, "operandSegmentSizes",
        mlirDenseI32ArrayGet(builder->context, builder->n_operand_sizes, builder->operand_sizes));
  }
  if (result_segments) {
    fiarBuildAttribute(
        builder, "resultSegmentSizes",
        mlirDenseI32ArrayGet(builder->context, builder->n_result_sizes, builder->result_sizes));
  }
  MlirOperationState state =
      mlirOperationStateGet(mlirStringRefCreateFromCString(builder->name), builder->location);
  mlirOperationStateAddOperands(&state, builder->n_operands, builder->operands);
  mlirOperationStateAddResults(&state, builder->n_results, builder->results);
  mlirOperationStateAddAttributes(&state, builder->n_attributes, builder->attributes);
  MlirOperation op = mlirOperationCreate(&state);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(before), before, op);
  return op;
}
