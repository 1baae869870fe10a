// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-raise-block, after fiar-fuse: what stands around the fused calls becomes fiar ops, too.
//
// Before:  %d = stablehlo.dot_general %codes, %w     After:  %g = fiar.matmul %codes, %w, %sx, %sw
//          %g = multiply %d, broadcast(%sx * %sw)            %h = fiar.activate %g, %u
//          %h = convert(silu(%g) * %u)                       ...
//
// docs/passes/fiar-raise-block.md has the forms and what is left.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/raise.h"
#include "ir/array.h"
#include "ir/options.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Diagnostics.h"

bool fiarRaiseLeave(FiarRaising* raising, MlirOperation op, const char* format, ...) {
  if (fiarMapFind(&raising->reasons, op.ptr, 0) != NULL) {
    return false;
  }
  void* list = fiarGrow(raising->reason_list, raising->n_reasons, &raising->reason_capacity,
                        sizeof *raising->reason_list);
  if (list == NULL) {
    raising->fusion.failed = true;
    return false;
  }
  raising->reason_list = list;
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(raising->reason_list[raising->n_reasons], FIAR_RAISE_REASON, format, arguments);
  va_end(arguments);
  raising->fusion.failed |=
      !fiarMapSet(&raising->reasons, op.ptr, 0, (uint32_t)raising->n_reasons++);
  return false;
}

const char* fiarRaiseReason(const FiarRaising* raising, MlirOperation op) {
  const uint32_t* at = fiarMapFind(&raising->reasons, op.ptr, 0);
  return at == NULL ? NULL : raising->reason_list[*at];
}

void fiarRaiseReplace(FiarRaising* raising, MlirOperation op, MlirValue value) {
  mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(op, 0), value);
  (void)fiarMarkOpDead(&raising->fusion, op);
  fiarMarkOperands(&raising->fusion, op, &raising->nothing);
}

bool fiarBlockIsEntry(MlirOperation op) {
  if (!fiarStringEqual(fiarOpName(op), "func.func") ||
      mlirBlockIsNull(mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(op)))) {
    return false;
  }
  MlirAttribute visibility = fiarOpAttribute(op, "sym_visibility");
  return mlirAttributeIsNull(visibility) ||
         fiarStringEqual(mlirStringAttrGetValue(visibility), "public");
}

bool fiarBlockIsWrapper(MlirOperation op) {
  return fiarIsOp(op, "sdy.manual_computation") && mlirOperationGetNumRegions(op) == 1 &&
         !mlirBlockIsNull(mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(op)));
}

// Foreign text may have an op where a terminator should be, which a fiar op cannot stand in for.
static bool ends_in_values(MlirBlock block) {
  MlirOperation last = {NULL};
  for (MlirOperation op = mlirBlockGetFirstOperation(block); !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    last = op;
  }
  return !mlirOperationIsNull(last) && mlirOperationGetNumResults(last) > 0;
}

static void each_in(FiarRaising* raising, MlirRegion region, FiarRaiseVisit* visit, void* data) {
  for (MlirBlock block = mlirRegionGetFirstBlock(region); !mlirBlockIsNull(block);
       block = mlirBlockGetNextInRegion(block)) {
    bool whole = !ends_in_values(block);
    for (MlirOperation op = mlirBlockGetFirstOperation(block); whole && !mlirOperationIsNull(op);
         op = mlirOperationGetNextInBlock(op)) {
      if (fiarIsDead(&raising->fusion, op)) {
        continue;
      }
      visit(raising, op, data);
      if (fiarBlockIsWrapper(op)) {
        each_in(raising, mlirOperationGetFirstRegion(op), visit, data);
      }
    }
  }
}

void fiarRaiseEach(FiarRaising* raising, FiarRaiseVisit* visit, void* data) {
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(raising->module));
  for (MlirOperation op = mlirBlockGetFirstOperation(body); !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    if (fiarBlockIsEntry(op)) {
      each_in(raising, mlirOperationGetFirstRegion(op), visit, data);
    }
  }
}

// ---- all-reduces that no norm follows ----

static void raise_all_reduce(FiarRaising* raising, MlirOperation op, void* data) {
  (void)data;
  if (fiarPrimitiveKind(&raising->fusion.view, op) != FIAR_PRIM_ALL_REDUCE) {
    return;
  }
  FiarPrimitive p = fiarPrimitiveRead(&raising->fusion.view, op);
  if (p.kind != FIAR_PRIM_ALL_REDUCE &&
      !mlirAttributeIsNull(fiarOpAttribute(op, "call_target_name"))) {
    return;  // a custom call of another kind
  }
  char text[224] = "its operand and result are not one tensor each, of one type";
  int64_t world = -1;
  if (p.kind != FIAR_PRIM_ALL_REDUCE || strcmp(p.reduction, "sum") != 0) {
    (void)fiarRaiseLeave(raising, op, "its reducer is no sum");
    return;
  }
  // What an async_done waits for is reduced in the body of its start.
  MlirValue input = {NULL};
  if (mlirOperationGetNumOperands(op) == 1 && mlirOperationGetNumResults(op) == 1) {
    input = fiarReducedOperand(&p, 0);
  }
  if (fiarIsValue(input) &&
      mlirTypeEqual(mlirValueGetType(input), mlirValueGetType(mlirOperationGetResult(op, 0)))) {
    world = fiarGroupsWorld(&raising->fusion.view, &p, text, sizeof text);
  }
  if (world < 1) {
    (void)fiarRaiseLeave(raising, op, "%s", text);
    return;
  }
  MlirContext context = mlirOperationGetContext(op);
  FiarBuilder builder = fiarBuild(context, "fiar.all_reduce", mlirOperationGetLocation(op));
  fiarBuildOperand(&builder, input);
  fiarBuildResult(&builder, mlirValueGetType(input));
  fiarBuildAttribute(&builder, "world", mlirIntegerAttrGet(mlirIntegerTypeGet(context, 64), world));
  fiarBuildAttribute(&builder, "groups", p.groups);
  fiarBuildText(&builder, "group_mode", p.mode);
  MlirOperation made = fiarBuildOp(&builder, op, false, false);
  fiarRaiseReplace(raising, op, mlirOperationGetResult(made, 0));
  if (!mlirOperationIsNull(p.start)) {  // nothing else waits for it
    (void)fiarMarkOpDead(&raising->fusion, p.start);
    fiarMarkOperands(&raising->fusion, p.start, &raising->nothing);
  }
}

// ---- conversions and transposes that no op took along ----

static bool converts(FiarElement from, FiarElement to) {
  bool to_float = to == FIAR_ELEM_F16 || to == FIAR_ELEM_BF16 || to == FIAR_ELEM_F32;
  bool from_float = from == FIAR_ELEM_F16 || from == FIAR_ELEM_BF16 || from == FIAR_ELEM_F32;
  return to_float && (from_float || from == FIAR_ELEM_F8E4M3FN);
}

static void raise_copy(FiarRaising* raising, MlirOperation op, void* data) {
  (void)data;
  FiarPrimitive p = fiarPrimitiveRead(&raising->fusion.view, op);
  FiarShape from, to;
  if ((p.kind != FIAR_PRIM_CONVERT && p.kind != FIAR_PRIM_TRANSPOSE) || p.n_in != 1 ||
      mlirOperationGetNumResults(op) != 1 || !fiarShapeRead(mlirValueGetType(p.in[0]), &from) ||
      !fiarShapeRead(mlirValueGetType(mlirOperationGetResult(op, 0)), &to)) {
    return;
  }
  bool transposed = p.kind == FIAR_PRIM_TRANSPOSE;
  if (transposed ? from.rank != 2 || p.n_dims != 2 || p.dims[0] != 1 || from.elem != to.elem
                 : !converts(from.elem, to.elem)) {
    (void)fiarRaiseLeave(raising, op,
                         transposed ? "only matrices are transposed" : "a conversion from %s to %s",
                         fiarElementText(from.elem), fiarElementText(to.elem));
    return;
  }
  FiarBuilder builder =
      fiarBuild(mlirOperationGetContext(op), "fiar.copy", mlirOperationGetLocation(op));
  fiarBuildOperand(&builder, p.in[0]);
  fiarBuildResult(&builder, mlirValueGetType(mlirOperationGetResult(op, 0)));
  fiarBuildBool(&builder, "transposed", transposed);
  MlirOperation made = fiarBuildOp(&builder, op, false, false);
  fiarRaiseReplace(raising, op, mlirOperationGetResult(made, 0));
}

// ---- a quantiser behind an activation ----

// fiar.quantize of what fiar.activate alone gives, static and of bf16 or f16: one op.
static void join_activation(FiarRaising* raising, MlirOperation quantize, void* data) {
  (void)data;
  if (fiarBlockOpOf(quantize) != FIAR_BLOCK_QUANTIZE || raising->options->separate ||
      !fiarStringEqual(fiarAttributeText(fiarOpAttribute(quantize, "quant")), "fp8_static") ||
      mlirOperationGetNumResults(quantize) != 1) {
    return;
  }
  MlirValue x = mlirOperationGetOperand(quantize, 0);
  MlirOperation act = mlirValueIsAOpResult(x) ? mlirOpResultGetOwner(x) : quantize;
  if (fiarBlockOpOf(act) != FIAR_BLOCK_ACTIVATE || mlirOperationGetNumResults(act) != 1) {
    return;
  }
  MlirValue scale = {NULL};
  if (mlirOperationGetNumOperands(quantize) > 1) {
    scale = mlirOperationGetOperand(quantize, 1);
  }
  if (mlirOperationIsNull(fiarRaiseOnlyUser(x))) {
    return;  // its rounded value goes elsewhere, too: the two stay
  }
  FiarBuilder builder =
      fiarBuild(mlirOperationGetContext(act), "fiar.activate", mlirOperationGetLocation(act));
  bool alone = mlirOperationGetNumOperands(act) == 1;
  fiarBuildOperand(&builder, mlirOperationGetOperand(act, 0));
  fiarBuildOperand(&builder, alone ? (MlirValue){NULL} : mlirOperationGetOperand(act, 1));
  fiarBuildOperand(&builder, scale);
  fiarBuildResult(&builder, mlirValueGetType(x));
  fiarBuildResult(&builder, mlirValueGetType(mlirOperationGetResult(quantize, 0)));
  fiarBuildCopy(&builder, "activation", act);
  fiarBuildCopy(&builder, "combine", act);
  fiarBuildCopy(&builder, "rounding", act);
  fiarBuildCopy(&builder, "quant", quantize);
  fiarBuildCopy(&builder, "scale_is", quantize);
  MlirOperation made = fiarBuildOp(&builder, quantize, true, true);
  fiarRaiseReplace(raising, quantize, mlirOperationGetResult(made, 1));
}

// ---- the pass ----

static bool begin(FiarRaising* raising) {
  return fiarViewInit(&raising->fusion.view, raising->module);
}

// Erases what is dead; the view's pointers end with it.
static void finish(FiarRaising* raising) {
  fiarNumberOps(&raising->fusion, raising->module);
  fiarRewriteFinish(&raising->fusion);
  fiarRewriteClear(&raising->fusion);
  fiarViewClear(&raising->fusion.view);
  fiarMapClear(&raising->reasons);
  raising->n_reasons = 0;
  raising->fusion =
      (FiarFusion){.options = raising->fusion.options, .failed = raising->fusion.failed};
}

static void stage(FiarRaising* raising, FiarRaiseVisit* const* visits, size_t count) {
  raising->fusion.failed |= !begin(raising);
  for (size_t i = 0; i < count && !raising->fusion.failed; ++i) {
    fiarRaiseEach(raising, visits[i], NULL);
  }
}

static void raise_all(FiarRaising* raising) {
  static FiarRaiseVisit* const products[] = {fiarRaiseMatmul, fiarRaiseGated, raise_all_reduce};
  static FiarRaiseVisit* const rest[] = {fiarRaiseActivation, fiarRaiseSum,    join_activation,
                                         raise_copy,          fiarRaiseMatmul, fiarRaiseGated,
                                         raise_all_reduce};
  raising->fusion.failed |= !begin(raising);
  if (!raising->fusion.failed) {
    fiarRaiseInline(raising);
    fiarRaiseEach(raising, fiarRaiseUnfold, NULL);
  }
  finish(raising);
  stage(raising, products, sizeof products / sizeof *products);
  finish(raising);
  raising->fusion.failed |= !fiarRaiseLocal(raising->module, raising->options->separate);
  stage(raising, rest, sizeof rest / sizeof *rest);  // the last three give the reasons again
}

MlirLogicalResult fiarRaiseBlock(MlirOperation module, const FiarRaiseOptions* options,
                                 FiarRaiseCounts* out_counts) {
  FiarRaiseOptions known = {.struct_size = sizeof known};
  FiarFuseOptions none = {.struct_size = sizeof none};
  FiarRaising raising = {.module = module, .options = &known, .fusion = {.options = &none}};
  FiarRaiseCounts counts = {0};
  bool good = fiarOptionsTake(module, "FiarRaiseOptions", options, &known);
  bool is_module = fiarStringEqual(fiarOpName(module), "builtin.module");
  if (!good) {
    raising.fusion.failed = true;
  } else if (!is_module) {
    mlirEmitError(mlirOperationGetLocation(module), "fiar-raise-block runs on builtin.module");
  } else {
    raise_all(&raising);
    if (!raising.fusion.failed) {
      fiarRaiseReport(&raising, &counts);
    }
    finish(&raising);
  }
  free(raising.reason_list);
  if (out_counts != NULL) {
    *out_counts = counts;
  }
  return is_module && !raising.fusion.failed ? mlirLogicalResultSuccess()
                                             : mlirLogicalResultFailure();
}
