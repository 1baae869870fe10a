// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A variadic all-reduce of which some results are fused keeps the others:
//   %a, %b = all_reduce(%x, %y)    ->    %n = fiar.all_reduce_norm(%x)    %b = all_reduce(%y)
#include <stdlib.h>

#include "fuse/fuse.h"
#include "mlir-c/BuiltinAttributes.h"

static bool is_used(MlirValue value) {
  return !mlirOpOperandIsNull(mlirValueGetFirstUse(value));
}

// An op's own attributes, which nothing in the C API lists, and those added to it.
static void copy_attributes(MlirOperation from, MlirOperation to) {
  static const char* const own[] = {"replica_groups", "channel_handle", "use_global_device_ids"};
  for (intptr_t i = 0; i < mlirOperationGetNumDiscardableAttributes(from); ++i) {
    MlirNamedAttribute attribute = mlirOperationGetDiscardableAttribute(from, i);
    mlirOperationSetDiscardableAttributeByName(to, mlirIdentifierStr(attribute.name),
                                               attribute.attribute);
  }
  for (size_t i = 0; i < sizeof own / sizeof *own; ++i) {
    MlirStringRef name = mlirStringRefCreateFromCString(own[i]);
    MlirAttribute value = mlirOperationGetAttributeByName(from, name);
    bool added = !mlirAttributeIsNull(mlirOperationGetDiscardableAttributeByName(from, name));
    if (!mlirAttributeIsNull(value) && !added) {
      mlirOperationSetInherentAttributeByName(to, name, value);
    }
  }
}

// The op with those of its operands whose results are still used, in its place.
static void keep_used(MlirOperation op) {
  MlirOperationState state = mlirOperationStateGet(mlirIdentifierStr(mlirOperationGetName(op)),
                                                   mlirOperationGetLocation(op));
  intptr_t n = mlirOperationGetNumResults(op), kept = 0;
  for (intptr_t i = 0; i < n; ++i) {
    MlirValue operand = mlirOperationGetOperand(op, i), result = mlirOperationGetResult(op, i);
    MlirType type = mlirValueGetType(result);
    if (is_used(result)) {
      mlirOperationStateAddOperands(&state, 1, &operand);
      mlirOperationStateAddResults(&state, 1, &type);
    }
  }
  MlirRegion body = mlirRegionCreate();
  mlirRegionTakeBody(body, mlirOperationGetRegion(op, 0));
  mlirOperationStateAddOwnedRegions(&state, 1, &body);
  MlirOperation rest = mlirOperationCreate(&state);
  copy_attributes(op, rest);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(op), op, rest);
  for (intptr_t i = 0; i < n; ++i) {
    MlirValue result = mlirOperationGetResult(op, i);
    if (is_used(result)) {
      mlirValueReplaceAllUsesOfWith(result, mlirOperationGetResult(rest, kept++));
    }
  }
  mlirOperationDestroy(op);
}

bool fiarCanSplit(MlirOperation op) {
  MlirStringRef name = fiarOpName(op);
  return mlirOperationGetNumRegions(op) == 1 &&
         mlirOperationGetNumOperands(op) == mlirOperationGetNumResults(op) &&
         (fiarStringEqual(name, "stablehlo.all_reduce") ||
          fiarStringEqual(name, "mhlo.all_reduce"));
}

void fiarSplitVariadic(FiarFusion* fusion, const FiarMap* erased) {
  for (size_t first = 0, end; first < fusion->n_anchors; first = end) {
    MlirOperation op = fusion->anchors[first].op;
    bool fused = false, used = false;
    for (end = first; end < fusion->n_anchors && mlirOperationEqual(fusion->anchors[end].op, op);
         ++end) {
      fused |= fusion->anchors[end].fused;
    }
    if (end - first < 2 || !fused || fiarMapFind(erased, op.ptr, 0) != NULL || !fiarCanSplit(op)) {
      continue;
    }
    bool all = true;
    for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
      used |= is_used(mlirOperationGetResult(op, i));
      all &= is_used(mlirOperationGetResult(op, i));
    }
    if (used && !all) {
      keep_used(op);
    }
  }
}
