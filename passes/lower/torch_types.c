// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar ops on torch's tensors become fiar ops on builtin ones, so that torch-mlir's own lowering
// goes around them and fiar-lower-to-runtime or -ffi can take them afterwards.
//
//   %n = "fiar.all_reduce_norm"(%x, %w) : (!torch.vtensor<[4,64],bf16>, ..) -> !torch.vtensor<..>
//   -> %0 = torch_c.to_builtin_tensor %x : !torch.vtensor<[4,64],bf16> -> tensor<4x64xbf16>
//      %1 = "fiar.all_reduce_norm"(%0, ..) : (tensor<4x64xbf16>, ..) -> tensor<4x64xbf16>
//      %n = torch_c.from_builtin_tensor %1 : tensor<4x64xbf16> -> !torch.vtensor<[4,64],bf16>
#include <stdlib.h>
#include <string.h>

#include "lower/lower.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

enum { MAX_VALUES = 8 };

// The builtin tensor of a vtensor, whose integers lose their sign as torch-mlir has it. Null: the
// type is no vtensor of known rank and element type.
static MlirType builtin_of(MlirType type) {
  FiarShape shape;
  if (!mlirTypeIsAOpaque(type) || !fiarShapeRead(type, &shape)) {
    return (MlirType){NULL};
  }
  MlirStringRef data = mlirOpaqueTypeGetData(type);
  char text[64];
  const char* end = memchr(data.data, ']', data.length);
  const char* last = data.data + data.length - 1;
  if (end == NULL || last - end < 3 || (size_t)(last - end) > sizeof text || end[1] != ',') {
    return (MlirType){NULL};
  }
  const char* element = end + 2;
  element += (*element == 's' || *element == 'u') && element[1] == 'i';
  MlirStringRef name = mlirStringRefCreate(element, (size_t)(last - element));
  MlirType parsed = mlirTypeParseGet(mlirTypeGetContext(type), name);
  if (mlirTypeIsNull(parsed)) {
    return parsed;
  }
  for (int i = 0; i < shape.rank; ++i) {
    shape.size[i] = shape.size[i] < 0 ? mlirShapedTypeGetDynamicSize() : shape.size[i];
  }
  return mlirRankedTensorTypeGet(shape.rank, shape.size, parsed, mlirAttributeGetNull());
}

static bool has_torch_types(MlirOperation op) {
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    if (mlirTypeIsAOpaque(mlirValueGetType(mlirOperationGetOperand(op, i)))) {
      return true;
    }
  }
  return false;
}

static MlirOperation cast(MlirOperation before, const char* name, MlirValue value, MlirType to) {
  MlirOperationState state =
      mlirOperationStateGet(fiarString(name), mlirOperationGetLocation(before));
  mlirOperationStateAddOperands(&state, 1, &value);
  mlirOperationStateAddResults(&state, 1, &to);
  MlirOperation op = mlirOperationCreate(&state);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(before), before, op);
  return op;
}

static bool refuse(MlirOperation op, MlirType type) {
  MlirStringRef data =
      mlirTypeIsAOpaque(type) ? mlirOpaqueTypeGetData(type) : mlirStringRefCreate("", 0);
  return fiarErrorAt(op, "%.*s has no builtin tensor type: its rank and element type must be known",
                     (int)data.length, data.data);
}

// The op again, on builtin tensors, in its place; the old one is left without uses.
static bool rebuild(MlirOperation op) {
  MlirOperationState state = mlirOperationStateGet(mlirIdentifierStr(mlirOperationGetName(op)),
                                                   mlirOperationGetLocation(op));
  intptr_t n_operands = mlirOperationGetNumOperands(op), n_results = mlirOperationGetNumResults(op);
  MlirType operands[MAX_VALUES], results[MAX_VALUES];
  for (intptr_t i = 0; i < n_operands + n_results; ++i) {
    MlirValue value = i < n_operands ? mlirOperationGetOperand(op, i)
                                     : mlirOperationGetResult(op, i - n_operands);
    MlirType type = builtin_of(mlirValueGetType(value));
    if (mlirTypeIsNull(type)) {
      return refuse(op, mlirValueGetType(value));
    }
    *(i < n_operands ? &operands[i] : &results[i - n_operands]) = type;
  }
  for (intptr_t i = 0; i < n_operands; ++i) {
    MlirOperation to =
        cast(op, "torch_c.to_builtin_tensor", mlirOperationGetOperand(op, i), operands[i]);
    MlirValue value = mlirOperationGetResult(to, 0);
    mlirOperationStateAddOperands(&state, 1, &value);
  }
  mlirOperationStateAddResults(&state, n_results, results);
  for (intptr_t i = 0; i < mlirOperationGetNumAttributes(op); ++i) {
    MlirNamedAttribute attribute = mlirOperationGetAttribute(op, i);
    mlirOperationStateAddAttributes(&state, 1, &attribute);
  }
  MlirOperation rebuilt = mlirOperationCreate(&state);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(op), op, rebuilt);
  for (intptr_t i = 0; i < n_results; ++i) {
    MlirValue old = mlirOperationGetResult(op, i);
    MlirOperation from = cast(op, "torch_c.from_builtin_tensor", mlirOperationGetResult(rebuilt, i),
                              mlirValueGetType(old));
    mlirValueReplaceAllUsesOfWith(old, mlirOperationGetResult(from, 0));
  }
  return true;
}

MlirLogicalResult fiarTorchToBuiltin(MlirOperation module) {
  FiarCalls calls = {0};
  bool good = fiarCollectCalls(module, false, &calls);
  size_t done = 0;
  for (; good && done < calls.count; ++done) {
    MlirOperation op = calls.items[done].op;
    if (has_torch_types(op)) {
      good = rebuild(op);
    } else {
      calls.items[done].op = (MlirOperation){NULL};
    }
    if (!good) {
      break;
    }
  }
  for (size_t i = 0; i < done; ++i) {
    if (!mlirOperationIsNull(calls.items[i].op)) {
      mlirOperationDestroy(calls.items[i].op);
    }
  }
  free(calls.items);
  return good ? mlirLogicalResultSuccess() : mlirLogicalResultFailure();
}
