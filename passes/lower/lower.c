// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lower/lower.h"
#include "ir/array.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/primitive.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Diagnostics.h"

const FiarSlot fiar_operand_slots[FIAR_IN_COUNT] = {
    {"x", offsetof(fiar_all_reduce_norm_params, input)},
    {"residual", offsetof(fiar_all_reduce_norm_params, residual)},
    {"weight", offsetof(fiar_all_reduce_norm_params, weight)},
    {"scale", offsetof(fiar_all_reduce_norm_params, scale)},
};
const FiarSlot fiar_result_slots[FIAR_OUT_COUNT] = {
    {"sum", offsetof(fiar_all_reduce_norm_params, sum_out)},
    {"residual", offsetof(fiar_all_reduce_norm_params, residual_out)},
    {"norm", offsetof(fiar_all_reduce_norm_params, norm_out)},
    {"quant", offsetof(fiar_all_reduce_norm_params, quant_out)},
    {"scales", offsetof(fiar_all_reduce_norm_params, scales_out)},
};

bool fiarErrorAt(MlirOperation op, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  mlirEmitError(mlirOperationGetLocation(op), text);
  return false;
}

bool fiarIsNamed(MlirOperation op, const char* name) {
  return mlirStringRefEqual(mlirIdentifierStr(mlirOperationGetName(op)), fiarString(name));
}

static void write_piece(MlirStringRef piece, void* out) {
  (void)fwrite(piece.data, 1, piece.length, out);
}

void fiarPrintType(FILE* out, MlirType type) {
  mlirTypePrint(type, write_piece, out);
}

void fiarPrintAttribute(FILE* out, MlirAttribute attribute) {
  mlirAttributePrint(attribute, write_piece, out);
}

void fiarPrintBuffer(FILE* out, MlirType tensor, bool packed_codes) {
  int64_t rank = mlirShapedTypeGetRank(tensor);
  fprintf(out, "memref<");
  for (int64_t i = 0; i < rank; ++i) {
    if (mlirShapedTypeIsDynamicDim(tensor, i)) {
      fprintf(out, "?x");
    } else {
      int64_t size = mlirShapedTypeGetDimSize(tensor, i);
      fprintf(out, "%" PRId64 "x", packed_codes && i == rank - 1 ? size / 2 : size);
    }
  }
  if (packed_codes) {
    fprintf(out, "i8");
  } else {
    fiarPrintType(out, mlirShapedTypeGetElementType(tensor));
  }
  fprintf(out, ">");
}

MlirOperation fiarReplaceOp(MlirOperation op, const char* name,
                            const MlirNamedAttribute* attribute) {
  MlirOperationState state = mlirOperationStateGet(fiarString(name), mlirOperationGetLocation(op));
  if (attribute != NULL) {
    mlirOperationStateAddAttributes(&state, 1, attribute);
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    MlirValue operand = mlirOperationGetOperand(op, i);
    mlirOperationStateAddOperands(&state, 1, &operand);
  }
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
    MlirType type = mlirValueGetType(mlirOperationGetResult(op, i));
    mlirOperationStateAddResults(&state, 1, &type);
  }
  MlirOperation replacement = mlirOperationCreate(&state);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(op), op, replacement);
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
    mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(op, i),
                                  mlirOperationGetResult(replacement, i));
  }
  return replacement;
}

bool fiarAppendText(MlirOperation module, const char* text) {
  MlirModule parsed = mlirModuleCreateParse(mlirOperationGetContext(module), fiarString(text));
  if (mlirModuleIsNull(parsed)) {
    return fiarErrorAt(module, "the lowering wrote text that does not parse: please report it");
  }
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(module, 0));
  MlirSymbolTable symbols = mlirSymbolTableCreate(module);
  MlirOperation op = mlirBlockGetFirstOperation(mlirModuleGetBody(parsed));
  while (!mlirOperationIsNull(op)) {
    MlirOperation next = mlirOperationGetNextInBlock(op);
    MlirStringRef name = mlirStringAttrGetValue(fiarOpAttribute(op, "sym_name"));
    if (mlirOperationIsNull(mlirSymbolTableLookup(symbols, name))) {
      mlirOperationRemoveFromParent(op);
      mlirBlockAppendOwnedOperation(body, op);
    }
    op = next;
  }
  mlirSymbolTableDestroy(symbols);
  mlirModuleDestroy(parsed);
  return true;
}

bool fiarTakeSegments(MlirOperation op, const char* attribute, intptr_t values,
                      MlirValue (*get)(MlirOperation, intptr_t), MlirValue* slots, intptr_t count) {
  MlirAttribute sizes = fiarOpAttribute(op, attribute);
  if (mlirAttributeIsNull(sizes) || !mlirAttributeIsADenseI32Array(sizes) ||
      mlirDenseArrayGetNumElements(sizes) != count) {
    return fiarErrorAt(op, "%s must be an array of %d i32", attribute, (int)count);
  }
  intptr_t next = 0;
  for (intptr_t i = 0; i < count; ++i) {
    int32_t size = mlirDenseI32ArrayGetElement(sizes, i);
    if (size < 0 || size > 1 || next + size > values) {
      return fiarErrorAt(op, "%s does not fit the op's %d values", attribute, (int)values);
    }
    if (size == 1) {
      slots[i] = get(op, next++);
    }
  }
  return true;
}

static bool take_fiar_op(MlirOperation op, FiarCall* call) {
  call->groups = fiarOpAttribute(op, "groups");
  MlirAttribute world = fiarOpAttribute(op, "world");
  if (mlirAttributeIsNull(call->groups) || mlirAttributeIsNull(world) ||
      !mlirAttributeIsAInteger(world)) {
    return fiarErrorAt(op, "needs the attributes groups and world (an integer)");
  }
  call->world = mlirIntegerAttrGetValueInt(world);
  if (call->kind != FIAR_CALL_ALL_REDUCE_NORM) {
    call->operands[FIAR_IN_X] = mlirOperationGetOperand(op, 0);
    call->results[FIAR_OUT_SUM] = mlirOperationGetResult(op, 0);
    return true;
  }
  return fiarTakeSegments(op, "operandSegmentSizes", mlirOperationGetNumOperands(op),
                          mlirOperationGetOperand, call->operands, FIAR_IN_COUNT) &&
         fiarTakeSegments(op, "resultSegmentSizes", mlirOperationGetNumResults(op),
                          mlirOperationGetResult, call->results, FIAR_OUT_COUNT);
}

bool fiarCallOf(MlirOperation op, FiarCallKind kind, FiarCall* out_call) {
  *out_call = (FiarCall){.op = op, .kind = kind};
  if (!fiarIsNamed(op, "fiar.rms_norm")) {
    return take_fiar_op(op, out_call);
  }
  out_call->world = 1;
  return fiarTakeSegments(op, "operandSegmentSizes", mlirOperationGetNumOperands(op),
                          mlirOperationGetOperand, out_call->operands, FIAR_IN_COUNT) &&
         fiarTakeSegments(op, "resultSegmentSizes", mlirOperationGetNumResults(op),
                          mlirOperationGetResult, out_call->results + FIAR_OUT_RESIDUAL,
                          FIAR_OUT_COUNT - FIAR_OUT_RESIDUAL);
}

typedef struct Collector {
  FiarCalls calls;
  size_t capacity;
  FiarView* view;  // NULL: fiar's own ops only
  bool failed;
} Collector;

// Another dialect's all-reduce, as its frontend reads it.
static bool take_all_reduce(FiarView* view, const FiarPrimitive* primitive, FiarCall* call) {
  MlirOperation op = primitive->op;
  if (primitive->kind != FIAR_PRIM_ALL_REDUCE || primitive->reduction == NULL) {
    return fiarErrorAt(op, "an all-reduce in a form that fiar does not read");
  }
  if (primitive->refusal != NULL || !mlirOperationIsNull(primitive->start)) {
    return fiarErrorAt(
        op, "the runtime has no such all-reduce: %s",
        primitive->refusal != NULL ? primitive->refusal : "it is started by another op");
  }
  if (strcmp(primitive->reduction, "sum") != 0) {
    return fiarErrorAt(op, "the all-reduce's reduction is %s; the runtime only adds",
                       primitive->reduction);
  }
  // Further operands of torch's are names.
  if (mlirOperationGetNumOperands(op) < 1 || mlirOperationGetNumResults(op) != 1 ||
      !mlirTypeEqual(mlirValueGetType(mlirOperationGetOperand(op, 0)),
                     mlirValueGetType(mlirOperationGetResult(op, 0)))) {
    return fiarErrorAt(op, "the all-reduce must have one operand and a result of the same type");
  }
  char reason[256] = "";
  call->world = fiarGroupsWorld(view, primitive, reason, sizeof reason);
  if (call->world < 1) {
    return fiarErrorAt(op, "%s", reason);
  }
  call->groups = primitive->groups;
  call->operands[FIAR_IN_X] = mlirOperationGetOperand(op, 0);
  call->results[FIAR_OUT_SUM] = mlirOperationGetResult(op, 0);
  return true;
}

// A place for the op, or NULL when out of memory.
static FiarCall* add_call(Collector* collector, MlirOperation op, FiarCallKind kind) {
  FiarCalls* calls = &collector->calls;
  FiarCall* grown = fiarGrow(calls->items, calls->count, &collector->capacity, sizeof *grown);
  if (grown == NULL) {
    (void)fiarErrorAt(op, "out of memory");
    return NULL;
  }
  calls->items = grown;
  FiarCall* call = &calls->items[calls->count++];
  *call = (FiarCall){.op = op, .kind = kind};
  return call;
}

static MlirWalkResult collect(MlirOperation op, void* user) {
  static const struct {
    const char* name;
    FiarCallKind kind;
  } kinds[] = {{"fiar.all_reduce", FIAR_CALL_ALL_REDUCE},
               {"fiar.all_reduce_norm", FIAR_CALL_ALL_REDUCE_NORM},
               {"fiar.all_gather_rows", FIAR_CALL_ALL_GATHER_ROWS},
               {"fiar.take_rows", FIAR_CALL_TAKE_ROWS}};
  Collector* collector = user;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    if (fiarIsNamed(op, kinds[i].name)) {
      FiarCall* call = add_call(collector, op, kinds[i].kind);
      collector->failed |= call == NULL || !take_fiar_op(op, call);
      return MlirWalkResultAdvance;
    }
  }
  if (collector->view != NULL && fiarPrimitiveKind(collector->view, op) == FIAR_PRIM_ALL_REDUCE) {
    FiarPrimitive primitive = fiarPrimitiveRead(collector->view, op);
    if (primitive.kind != FIAR_PRIM_ALL_REDUCE) {
      return MlirWalkResultAdvance;
    }
    FiarCall* call = add_call(collector, op, FIAR_CALL_ALL_REDUCE);
    collector->failed |= call == NULL || !take_all_reduce(collector->view, &primitive, call);
    if (mlirOperationIsNull(mlirOperationGetNextInBlock(op))) {
      // MLIR takes an unknown op for a terminator, but not the call that would replace it.
      collector->failed |= !fiarErrorAt(op, "it stands where its block's terminator should");
    }
  }
  return MlirWalkResultAdvance;
}

bool fiarCollectCalls(MlirOperation module, bool all_dialects, FiarCalls* out_calls) {
  FiarView view;
  Collector collector = {0};
  if (all_dialects) {
    collector.failed = !fiarViewInit(&view, module);
    collector.view = &view;
  }
  mlirOperationWalk(module, collect, &collector, MlirWalkPreOrder);
  if (all_dialects) {
    fiarViewClear(&view);
  }
  if (collector.failed) {
    free(collector.calls.items);
    collector.calls = (FiarCalls){0};
  }
  *out_calls = collector.calls;
  return !collector.failed;
}
