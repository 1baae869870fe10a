// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// All-reduces of buffers that hold tensors, seen as all-reduces of tensors while the pass runs:
//
//   %b = bufferization.to_buffer %x
//   %m = memref.alloc()
//   linalg.copy ins(%b) outs(%m)
//   mpi.allreduce(%m, %m, MPI_SUM, %comm)
//   %s = bufferization.to_tensor %m restrict        %t = mpi.fiar.all_reduce(%x) behind it
//   use(%s)                                         use(%t)
//
// which is what convert-shard-to-mpi makes of shard.all_reduce. It is only right where nothing else
// writes %m or %b, so every use of theirs must be one of these ops. What the pass fuses takes the
// buffers with it; of the rest it leaves no trace.
#include <stdlib.h>
#include <string.h>

#include "fuse/fuse.h"
#include "ir/array.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

enum { MAX_VIEWS = 4 };

// The ops around one all-reduce; null where there is none.
typedef struct FiarBuffers {
  size_t anchor;
  MlirOperation all_reduce, copy, to_tensor, stand_in;
  MlirValue tensor;  // what is reduced
} FiarBuffers;

static MlirOperation maker(MlirValue value) {
  return mlirValueIsAOpResult(value) ? mlirOpResultGetOwner(value) : (MlirOperation){NULL};
}

static bool is_copy(MlirOperation op) {
  return (fiarIsOp(op, "linalg.copy") || fiarIsOp(op, "memref.copy")) &&
         mlirOperationGetNumOperands(op) == 2 && mlirOperationGetNumResults(op) == 0;
}

static bool is_view(MlirOperation op) {
  return fiarIsOpOf(op, "memref.collapse_shape", 1, 1) ||
         fiarIsOpOf(op, "memref.expand_shape", 1, 1) || fiarIsOpOf(op, "memref.cast", 1, 1);
}

// The buffer behind views that have the same elements in the same order.
static MlirValue root_of(MlirValue buffer) {
  for (int depth = 0; depth < MAX_VIEWS && is_view(maker(buffer)); ++depth) {
    buffer = mlirOperationGetOperand(maker(buffer), 0);
  }
  return buffer;
}

static bool used_by_all_reduce(const FiarBuffers* buffers, MlirValue view, int depth) {
  for (MlirOpOperand use = mlirValueGetFirstUse(view); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    bool further = is_view(user) && depth < MAX_VIEWS &&
                   used_by_all_reduce(buffers, mlirOperationGetResult(user, 0), depth + 1);
    if (!mlirOperationEqual(user, buffers->all_reduce) && !further) {
      return false;
    }
  }
  return true;
}

// Whether all that is done with the buffer of a tensor is to read it.
static bool only_read(const FiarBuffers* buffers, MlirValue buffer) {
  MlirOperation op = buffers->all_reduce;
  for (MlirOpOperand use = mlirValueGetFirstUse(buffer); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    bool source = mlirOpOperandGetOperandNumber(use) == 0;
    bool sent = mlirOperationEqual(user, op) && source;
    bool view = is_view(user) && used_by_all_reduce(buffers, mlirOperationGetResult(user, 0), 1) &&
                !mlirValueEqual(root_of(mlirOperationGetOperand(op, 1)), buffer);
    if (!sent && !view && !fiarIsOp(user, "memref.dim") && !(is_copy(user) && source)) {
      return false;
    }
  }
  return true;
}

// The tensor that the buffer holds, if no buffer of its is written and none that it was read from
// may be; else null.
static MlirValue tensor_of(const FiarBuffers* buffers, MlirValue buffer) {
  MlirValue none = {NULL};
  if (!fiarIsOpOf(maker(buffer), "bufferization.to_buffer", 1, 1)) {
    return none;
  }
  MlirValue tensor = mlirOperationGetOperand(maker(buffer), 0);
  if (fiarIsOp(maker(tensor), "bufferization.to_tensor") &&
      mlirAttributeIsNull(fiarOpAttribute(maker(tensor), "restrict"))) {
    return none;
  }
  for (MlirOpOperand use = mlirValueGetFirstUse(tensor); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (fiarIsOpOf(user, "bufferization.to_buffer", 1, 1) &&
        !only_read(buffers, mlirOperationGetResult(user, 0))) {
      return none;
    }
  }
  return tensor;
}

// Notes the ops that use the buffer of the sum; false where there is another.
static bool read_uses(FiarBuffers* buffers, MlirValue buffer) {
  for (MlirOpOperand use = mlirValueGetFirstUse(buffer); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (is_copy(user) && mlirOpOperandGetOperandNumber(use) == 1 &&
        mlirOperationIsNull(buffers->copy)) {
      buffers->copy = user;
    } else if (fiarIsOpOf(user, "bufferization.to_tensor", 1, 1) &&
               mlirOperationIsNull(buffers->to_tensor)) {
      buffers->to_tensor = user;
    } else if (!mlirOperationEqual(user, buffers->all_reduce) && !fiarIsOp(user, "memref.dim") &&
               !(is_view(user) &&
                 used_by_all_reduce(buffers, mlirOperationGetResult(user, 0), 1))) {
      return false;
    }
  }
  return true;
}

// Whether the ops stand in one block, the copy before the all-reduce and that before the read.
static bool in_order(const FiarFusion* fusion, const FiarBuffers* buffers) {
  MlirBlock block = mlirOperationGetBlock(buffers->all_reduce);
  bool copies = !mlirOperationIsNull(buffers->copy);
  return mlirBlockEqual(mlirOperationGetBlock(buffers->to_tensor), block) &&
         fiarIsBefore(fusion, buffers->all_reduce, buffers->to_tensor) &&
         (!copies || (mlirBlockEqual(mlirOperationGetBlock(buffers->copy), block) &&
                      fiarIsBefore(fusion, buffers->copy, buffers->all_reduce)));
}

// Finds the ops around the all-reduce. Gives NULL, or why the buffers are no tensors'.
static const char* find(const FiarFusion* fusion, FiarBuffers* buffers) {
  MlirOperation op = buffers->all_reduce;
  if (mlirOperationGetNumOperands(op) < 2) {
    return fiar_mpi_on_buffers;
  }
  MlirValue sent = root_of(mlirOperationGetOperand(op, 0));
  MlirValue received = root_of(mlirOperationGetOperand(op, 1));
  bool in_place = mlirValueEqual(sent, received);
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
    if (!mlirOpOperandIsNull(mlirValueGetFirstUse(mlirOperationGetResult(op, i)))) {
      return "its status is used";
    }
  }
  if (!fiarIsOp(maker(received), "memref.alloc") ||
      !mlirBlockEqual(mlirOperationGetBlock(maker(received)), mlirOperationGetBlock(op))) {
    return fiar_mpi_on_buffers;
  }
  if (!read_uses(buffers, received)) {
    return "its buffer is used by other ops than a copy of a tensor into it, this all-reduce and "
           "one bufferization.to_tensor";
  }
  if (mlirOperationIsNull(buffers->to_tensor) || in_place == mlirOperationIsNull(buffers->copy)) {
    return fiar_mpi_on_buffers;
  }
  if (!in_order(fusion, buffers)) {
    return "its buffer is filled, reduced and read in another order or in several blocks";
  }
  MlirValue source = in_place ? mlirOperationGetOperand(buffers->copy, 0) : sent;
  buffers->tensor = tensor_of(buffers, source);
  if (!fiarIsValue(buffers->tensor)) {
    return "the buffer that it reads is no tensor's, or may be written";
  }
  return NULL;
}

static MlirNamedAttribute named(MlirContext context, const char* name, MlirAttribute value) {
  return mlirNamedAttributeGet(mlirIdentifierGet(context, mlirStringRefCreateFromCString(name)),
                               value);
}

// The all-reduce of tensors, right behind the op that reads the buffer as one.
static void stand_in(FiarFusion* fusion, FiarBuffers* buffers) {
  FiarAnchor* anchor = &fusion->anchors[buffers->anchor];
  MlirContext context = mlirOperationGetContext(anchor->op);
  MlirValue sum = mlirOperationGetResult(buffers->to_tensor, 0);
  MlirType type = mlirValueGetType(sum);
  MlirOperationState state = mlirOperationStateGet(
      mlirStringRefCreateFromCString("mpi." FIAR_MPI_STAND_IN), anchor->location);
  MlirNamedAttribute attributes[] = {
      named(context, "groups", anchor->primitive.groups),
      named(context, "world",
            mlirIntegerAttrGet(mlirIntegerTypeGet(context, 64), anchor->primitive.world))};
  mlirOperationStateAddAttributes(&state, 2, attributes);
  mlirOperationStateAddOperands(&state, 1, &buffers->tensor);
  mlirOperationStateAddResults(&state, 1, &type);
  MlirOperation op = buffers->stand_in = mlirOperationCreate(&state);
  mlirValueReplaceAllUsesOfWith(sum, mlirOperationGetResult(op, 0));
  mlirBlockInsertOwnedOperationAfter(mlirOperationGetBlock(buffers->to_tensor), buffers->to_tensor,
                                     op);
  fusion->failed |= !fiarPositionSet(fusion, op, fiarPosition(fusion, buffers->to_tensor) + 1);
  anchor->op = op;
  anchor->result = 0;
  anchor->primitive = fiarPrimitiveRead(&fusion->view, op);
}

static bool note(FiarFusion* fusion, const FiarBuffers* buffers) {
  FiarBuffers* larger =
      fiarGrow(fusion->buffers, fusion->n_buffers, &fusion->buffer_capacity, sizeof *larger);
  if (larger == NULL) {
    fusion->failed = true;
    return false;
  }
  fusion->buffers = larger;
  fusion->buffers[fusion->n_buffers++] = *buffers;
  return true;
}

void fiarBuffersName(FiarFusion* fusion) {
  for (size_t i = 0; i < fusion->n_anchors && !fusion->failed; ++i) {
    FiarAnchor* anchor = &fusion->anchors[i];
    if (anchor->primitive.refusal != fiar_mpi_on_buffers) {
      continue;
    }
    if (strcmp(anchor->primitive.reduction, "sum") != 0) {
      anchor->primitive.refusal = NULL;  // the reduction is the better reason
      continue;
    }
    FiarBuffers buffers = {.anchor = i, .all_reduce = anchor->op};
    anchor->primitive.refusal = find(fusion, &buffers);
    if (anchor->primitive.refusal == NULL && note(fusion, &buffers)) {
      stand_in(fusion, &fusion->buffers[fusion->n_buffers - 1]);
    }
  }
}

// What a fused all-reduce leaves of the buffers.
static void retire(FiarFusion* fusion, const FiarBuffers* buffers) {
  const MlirOperation ops[] = {buffers->to_tensor, buffers->all_reduce, buffers->copy};
  const FiarMap nothing = {0};
  for (size_t i = 0; i < sizeof ops / sizeof *ops && !mlirOperationIsNull(ops[i]); ++i) {
    fusion->failed |= !fiarMarkOpDead(fusion, ops[i]);
  }
  for (size_t i = 0; i < sizeof ops / sizeof *ops && !mlirOperationIsNull(ops[i]); ++i) {
    fiarMarkOperands(fusion, ops[i], &nothing);
  }
}

void fiarBuffersRestore(FiarFusion* fusion) {
  for (size_t i = 0; i < fusion->n_buffers; ++i) {
    const FiarBuffers* buffers = &fusion->buffers[i];
    if (fiarIsDead(fusion, buffers->stand_in)) {
      retire(fusion, buffers);
      continue;
    }
    mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(buffers->stand_in, 0),
                                  mlirOperationGetResult(buffers->to_tensor, 0));
    mlirOperationDestroy(buffers->stand_in);
    fusion->anchors[buffers->anchor].op = buffers->all_reduce;
  }
  free(fusion->buffers);
  fusion->buffers = NULL;
  fusion->n_buffers = 0;
}
