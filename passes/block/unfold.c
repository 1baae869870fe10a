// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// linalg.generic of elementwise ops, as torch-mlir writes activations and conversions, becomes
// those ops on tensors, which is how the rest of the pass sees them.
#include "block/raise.h"
#include "ir/carried.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

enum { MAX_BODY = 64 };

// The scalars of the body and the tensors that stand for them.
typedef struct unfolding {
  FiarRaising* raising;
  MlirOperation loops;  // in front of which the ops go
  FiarShape shape;      // of all tensors
  MlirValue scalars[MAX_BODY], tensors[MAX_BODY];
  int count;
} unfolding_t;

static bool is_elementwise(FiarPrimitiveKind kind) {
  switch (kind) {
    case FIAR_PRIM_ADD:
    case FIAR_PRIM_SUB:
    case FIAR_PRIM_MUL:
    case FIAR_PRIM_DIV:
    case FIAR_PRIM_SQRT:
    case FIAR_PRIM_RSQRT:
    case FIAR_PRIM_NEGATE:
    case FIAR_PRIM_EXP:
    case FIAR_PRIM_TANH:
    case FIAR_PRIM_ERFC:
    case FIAR_PRIM_CONVERT:
      return true;
    default:
      return false;
  }
}

// Where the scalar is noted, or -1.
static int place_of(const unfolding_t* unfolding, MlirValue scalar) {
  for (int i = 0; i < unfolding->count; ++i) {
    if (mlirValueEqual(unfolding->scalars[i], scalar)) {
      return i;
    }
  }
  return -1;
}

static bool note(unfolding_t* unfolding, MlirValue scalar, MlirValue tensor) {
  if (unfolding->count == MAX_BODY) {
    return false;
  }
  unfolding->scalars[unfolding->count] = scalar;
  unfolding->tensors[unfolding->count++] = tensor;
  return true;
}

// A constant from outside the body, whose tensor is made later; null for others.
static MlirAttribute constant_at(MlirValue scalar) {
  if (!mlirValueIsAOpResult(scalar) || !fiarIsOp(mlirOpResultGetOwner(scalar), "arith.constant")) {
    return mlirAttributeGetNull();
  }
  MlirAttribute number = fiarOpAttribute(mlirOpResultGetOwner(scalar), "value");
  bool fits = !mlirAttributeIsNull(number) && mlirAttributeIsAFloat(number) &&
              mlirTypeEqual(mlirAttributeGetType(number), mlirValueGetType(scalar));
  return fits ? number : mlirAttributeGetNull();
}

// A tensor of floats that has no encoding, which the ops on tensors would not know.
static bool is_plain(MlirValue value) {
  MlirType type = mlirValueGetType(value);
  return mlirTypeIsARankedTensor(type) && mlirTypeIsAFloat(mlirShapedTypeGetElementType(type)) &&
         mlirAttributeIsNull(mlirRankedTensorTypeGetEncoding(type));
}

// Every operand is read where the result is written, and all have known sizes.
static bool one_space(MlirOperation op, FiarShape* out_shape) {
  FiarLoops loops;
  if (!fiarLoopsRead(op, &loops) || mlirOperationGetNumResults(op) != 1) {
    return false;
  }
  for (int i = 0; i < loops.n_operands; ++i) {
    if (loops.operand_rank[i] != loops.rank || !is_plain(mlirOperationGetOperand(op, i))) {
      return false;
    }
    for (int d = 0; d < loops.rank; ++d) {
      if (loops.place[i][d] != d || loops.size[d] < 0) {
        return false;
      }
    }
  }
  MlirValue result = mlirOperationGetResult(op, 0);
  return is_plain(result) && fiarShapeRead(mlirValueGetType(result), out_shape);
}

// Whether the body is elementwise ops of its arguments and constants that do not read the result's
// former value; notes arguments, constants and, without tensors yet, what the ops give.
static bool read_body(unfolding_t* unfolding, MlirBlock body, MlirOperation yield) {
  const intptr_t arguments = mlirBlockGetNumArguments(body);
  if (arguments != mlirOperationGetNumOperands(unfolding->loops) || arguments > MAX_BODY ||
      !mlirOpOperandIsNull(mlirValueGetFirstUse(mlirBlockGetArgument(body, arguments - 1))) ||
      mlirOperationGetNumOperands(yield) != 1) {
    return false;
  }
  for (intptr_t i = 0; i < arguments - 1; ++i) {
    (void)note(unfolding, mlirBlockGetArgument(body, i),
               mlirOperationGetOperand(unfolding->loops, i));
  }
  for (MlirOperation op = mlirBlockGetFirstOperation(body); !mlirOperationEqual(op, yield);
       op = mlirOperationGetNextInBlock(op)) {
    if (!is_elementwise(fiarPrimitiveRead(&unfolding->raising->fusion.view, op).kind) ||
        mlirOperationGetNumResults(op) != 1 || mlirOperationGetNumRegions(op) != 0) {
      return false;
    }
    for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
      MlirValue in = mlirOperationGetOperand(op, i);
      if (place_of(unfolding, in) < 0 &&
          (mlirAttributeIsNull(constant_at(in)) || !note(unfolding, in, (MlirValue){NULL}))) {
        return false;
      }
    }
    if (!note(unfolding, mlirOperationGetResult(op, 0), (MlirValue){NULL})) {
      return false;
    }
  }
  return place_of(unfolding, mlirOperationGetOperand(yield, 0)) >= 0;
}

static MlirType tensor_of(const unfolding_t* unfolding, MlirType element) {
  return mlirRankedTensorTypeGet(unfolding->shape.rank, unfolding->shape.size, element,
                                 mlirAttributeGetNull());
}

static MlirValue constant_of(const unfolding_t* unfolding, MlirValue scalar) {
  MlirOperation from = mlirOpResultGetOwner(scalar);
  MlirType type = tensor_of(unfolding, mlirValueGetType(scalar));
  FiarBuilder builder =
      fiarBuild(mlirOperationGetContext(from), "arith.constant", mlirOperationGetLocation(from));
  fiarBuildResult(&builder, type);
  fiarBuildAttribute(&builder, "value", mlirDenseElementsAttrSplatGet(type, constant_at(scalar)));
  return mlirOperationGetResult(fiarBuildOp(&builder, unfolding->loops, false, false), 0);
}

static MlirValue tensor_for(unfolding_t* unfolding, MlirValue scalar) {
  MlirValue* tensor = &unfolding->tensors[place_of(unfolding, scalar)];
  if (mlirValueIsNull(*tensor)) {
    *tensor = constant_of(unfolding, scalar);
  }
  return *tensor;
}

// The same op, on tensors.
static void put_in(unfolding_t* unfolding, MlirOperation op) {
  MlirOperation wide = mlirOperationClone(op);
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    mlirOperationSetOperand(wide, i, tensor_for(unfolding, mlirOperationGetOperand(op, i)));
  }
  MlirValue scalar = mlirOperationGetResult(op, 0), tensor = mlirOperationGetResult(wide, 0);
  mlirValueSetType(tensor, tensor_of(unfolding, mlirValueGetType(scalar)));
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(unfolding->loops), unfolding->loops,
                                      wide);
  unfolding->tensors[place_of(unfolding, scalar)] = tensor;
}

void fiarRaiseUnfold(FiarRaising* raising, MlirOperation op, void* data) {
  (void)data;
  unfolding_t unfolding = {.raising = raising, .loops = op};
  if (fiarPrimitiveRead(&raising->fusion.view, op).kind != FIAR_PRIM_LOOPS ||
      mlirOperationGetNumRegions(op) != 1 || !one_space(op, &unfolding.shape)) {
    return;
  }
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(op));
  MlirOperation yield = mlirBlockIsNull(body) ? (MlirOperation){NULL} : fiarLastOp(body);
  if (mlirOperationIsNull(yield) || !read_body(&unfolding, body, yield)) {
    return;
  }
  // The result's type may not be the scalar's in IR that nobody has verified.
  MlirValue scalar = mlirOperationGetOperand(yield, 0);
  if (!mlirTypeEqual(tensor_of(&unfolding, mlirValueGetType(scalar)),
                     mlirValueGetType(mlirOperationGetResult(op, 0)))) {
    return;
  }
  for (MlirOperation inner = mlirBlockGetFirstOperation(body); !mlirOperationEqual(inner, yield);
       inner = mlirOperationGetNextInBlock(inner)) {
    if (!mlirOpOperandIsNull(mlirValueGetFirstUse(mlirOperationGetResult(inner, 0)))) {
      put_in(&unfolding, inner);
    }
  }
  fiarRaiseReplace(raising, op, tensor_for(&unfolding, scalar));
}
