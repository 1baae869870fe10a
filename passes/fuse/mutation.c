// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops that write over their operands, seen as values while the pass runs:
//
//   rms_norm(%out, %x, ..) -> ()              %n = rms_norm(%out, %x, ..)
//   use(%out)                                 use(%n)
//
// An op whose writes are known (fiarNamedRead) gets a stand-in with results, any other writer a
// marker behind it for each tensor that it may have changed; later uses of the tensor become uses
// of these. That is only right where nothing else names the same memory, so it must come from an op
// that makes it, and no view of it may exist; else the tensor is `changed`, and no sequence goes
// through it. What the pass then leaves of the stand-ins and markers becomes the op as it was.
#include <stdlib.h>
#include <string.h>

#include "fuse/fuse.h"
#include "ir/array.h"
#include "mlir-c/BuiltinAttributes.h"

enum { MAX_OPERANDS = 16, MAX_MARKERS = 16, MAX_VIEWS = 64, MAX_CALLS = 64 };

static const char marker_name[] = "torch.fiar.changed";

// The op of `block` that holds `op`, or null.
static MlirOperation ancestor_in(MlirOperation op, MlirBlock block) {
  while (!mlirOperationIsNull(op) && !mlirBlockEqual(mlirOperationGetBlock(op), block)) {
    op = mlirOperationGetParentOperation(op);
  }
  return op;
}

static bool is_after(const FiarFusion* fusion, MlirOperation user, MlirOperation writer) {
  MlirOperation op = ancestor_in(user, mlirOperationGetBlock(writer));
  return !mlirOperationIsNull(op) && fiarIsBefore(fusion, writer, op);
}

// ---- what writes ----

// Whether the op may write over its operand, which is not the same as an earlier one. Null `named`:
// over all that may be or hold tensors.
static bool may_change(MlirOperation writer, const FiarNamed* named, intptr_t operand) {
  MlirValue value = mlirOperationGetOperand(writer, operand);
  for (intptr_t i = 0; named == NULL && i < operand; ++i) {
    if (mlirValueEqual(mlirOperationGetOperand(writer, i), value)) {
      return false;
    }
  }
  for (int i = 0; named != NULL && i < named->n_results; ++i) {
    if (named->written[i] == operand) {
      return true;
    }
  }
  return named == NULL && fiarMayHoldTensors(mlirValueGetType(value));
}

typedef struct look {
  FiarFusion* fusion;
  int depth;
  bool writes;
} look_t;

static bool writes_operands(FiarFusion* fusion, MlirOperation op, int depth);

// Not memory that the function itself makes.
static bool is_from_outside(FiarFusion* fusion, MlirValue value) {
  for (int depth = 0; depth < MAX_VIEWS && mlirValueIsAOpResult(value); ++depth) {
    MlirOperation op = mlirOpResultGetOwner(value);
    if (!fiarMayAlias(&fusion->view, op)) {
      return false;
    }
    if (mlirOperationGetNumOperands(op) != 1) {
      return true;
    }
    value = mlirOperationGetOperand(op, 0);
  }
  return true;
}

static MlirWalkResult look_at(MlirOperation op, void* data) {
  look_t* look = data;
  FiarNamed named;
  if (!writes_operands(look->fusion, op, look->depth)) {
    return MlirWalkResultAdvance;
  }
  const FiarNamed* known = fiarNamedRead(op, &named) ? &named : NULL;
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op) && !look->writes; ++i) {
    look->writes =
        may_change(op, known, i) && is_from_outside(look->fusion, mlirOperationGetOperand(op, i));
  }
  return look->writes ? MlirWalkResultInterrupt : MlirWalkResultAdvance;
}

// Once for each function; one that calls itself, or through too many others, counts as one.
static bool function_writes(FiarFusion* fusion, MlirOperation function, int depth) {
  const uint32_t* known = fiarMapFind(&fusion->functions_that_write, function.ptr, 0);
  if (known != NULL || depth == MAX_CALLS) {
    return known == NULL || *known != 0;
  }
  fusion->failed |= !fiarMapSet(&fusion->functions_that_write, function.ptr, 0, 1);
  look_t look = {fusion, depth + 1, false};
  mlirOperationWalk(function, look_at, &look, MlirWalkPreOrder);
  fusion->failed |= !fiarMapSet(&fusion->functions_that_write, function.ptr, 0, look.writes);
  return look.writes;
}

static bool writes_operands(FiarFusion* fusion, MlirOperation op, int depth) {
  switch (fiarPrimitiveKind(&fusion->view, op)) {
    case FIAR_PRIM_ALL_REDUCE:
    case FIAR_PRIM_UNKNOWN:
      return fiarMayWrite(op);
    case FIAR_PRIM_CALL: {
      FiarPrimitive call = fiarPrimitiveRead(&fusion->view, op);
      return call.kind == FIAR_PRIM_CALL && !mlirOperationIsNull(call.callee) &&
             function_writes(fusion, call.callee, depth);
    }
    default:
      return false;
  }
}

bool fiarWritesOperands(FiarFusion* fusion, MlirOperation op) {
  return writes_operands(fusion, op, 0);
}

// ---- what else names the memory ----

static bool has_one_use(MlirValue value) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  return !mlirOpOperandIsNull(use) && mlirOpOperandIsNull(mlirOpOperandGetNextUse(use));
}

// Whether the value's memory has no other name that is still used: it comes from an op that makes
// it, by way of views that alone use their operand, and no view of it was taken before the write.
static bool is_sole_name(FiarFusion* fusion, MlirValue value, MlirOperation writer) {
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (!mlirOperationEqual(user, writer) && !is_after(fusion, user, writer) &&
        mlirOperationGetNumResults(user) > 0 && fiarMayAlias(&fusion->view, user)) {
      return false;
    }
  }
  for (int depth = 0; depth < MAX_VIEWS; ++depth) {
    if (!mlirValueIsAOpResult(value)) {
      return false;
    }
    MlirOperation op = mlirOpResultGetOwner(value);
    if (fiarMapFind(&fusion->stand_ins, op.ptr, 0) != NULL || !fiarMayAlias(&fusion->view, op)) {
      return true;
    }
    FiarPrimitiveKind kind = fiarPrimitiveRead(&fusion->view, op).kind;
    if (kind == FIAR_PRIM_UNKNOWN || mlirOperationGetNumOperands(op) == 0) {
      return false;
    }
    value = mlirOperationGetOperand(op, 0);
    if (!has_one_use(value)) {
      return false;
    }
  }
  return false;
}

// No sequence may go through the value, what it is a view of, or views of it.
static void set_changed(FiarFusion* fusion, MlirValue value, int depth) {
  if (depth == MAX_VIEWS || fiarMapFind(&fusion->changed, value.ptr, 0) != NULL) {
    return;
  }
  fusion->failed |= !fiarMapSet(&fusion->changed, value.ptr, 0, 1);
  if (mlirValueIsAOpResult(value)) {
    MlirOperation op = mlirOpResultGetOwner(value);
    for (intptr_t i = 0; i < mlirOperationGetNumOperands(op) && fiarMayAlias(&fusion->view, op);
         ++i) {
      if (fiarMayHoldTensors(mlirValueGetType(mlirOperationGetOperand(op, i)))) {
        set_changed(fusion, mlirOperationGetOperand(op, i), depth + 1);
      }
    }
  }
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    for (intptr_t i = 0; i < mlirOperationGetNumResults(user) && fiarMayAlias(&fusion->view, user);
         ++i) {
      set_changed(fusion, mlirOperationGetResult(user, i), depth + 1);
    }
  }
}

// ---- stand-ins ----

// `named` is null for markers.
static bool note(FiarFusion* fusion, MlirOperation original, const FiarNamed* named,
                 MlirOperation stand_in) {
  FiarMutation* larger =
      fiarGrow(fusion->mutations, fusion->n_mutations, &fusion->mutation_capacity, sizeof *larger);
  if (larger == NULL) {
    return false;
  }
  fusion->mutations = larger;
  FiarMutation* mutation = &fusion->mutations[fusion->n_mutations];
  *mutation = (FiarMutation){.original = original, .stand_in = stand_in};
  if (named != NULL) {
    mutation->n_written = named->n_results;
    memcpy(mutation->written, named->written, sizeof mutation->written);
  }
  return fiarMapSet(&fusion->stand_ins, stand_in.ptr, 0, (uint32_t)fusion->n_mutations++);
}

// Later uses of `from` become uses of `to`; those of its own stand-in stay.
static void rename_after(FiarFusion* fusion, MlirValue from, MlirValue to, MlirOperation writer) {
  MlirOperation self = mlirOpResultGetOwner(to);
  MlirOpOperand next;
  for (MlirOpOperand use = mlirValueGetFirstUse(from); !mlirOpOperandIsNull(use); use = next) {
    next = mlirOpOperandGetNextUse(use);
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (!mlirOperationEqual(user, self) && is_after(fusion, user, writer)) {
      mlirOperationSetOperand(user, mlirOpOperandGetOperandNumber(use), to);
    }
  }
}

// An op with the writer's name, `operands`, and a result for each of `written`.
static MlirOperation create(MlirOperation writer, const char* name, intptr_t n_operands,
                            MlirValue* operands, intptr_t n_written, const MlirValue* written) {
  MlirContext context = mlirOperationGetContext(writer);
  MlirOperationState state =
      mlirOperationStateGet(mlirStringRefCreateFromCString(name), mlirOperationGetLocation(writer));
  MlirAttribute called = mlirStringAttrGet(context, fiarTorchName(writer));
  MlirNamedAttribute attribute = mlirNamedAttributeGet(
      mlirIdentifierGet(context, mlirStringRefCreateFromCString("name")), called);
  mlirOperationStateAddAttributes(&state, 1, &attribute);
  mlirOperationStateAddOperands(&state, n_operands, operands);
  for (intptr_t i = 0; i < n_written; ++i) {
    MlirType type = mlirValueGetType(written[i]);
    mlirOperationStateAddResults(&state, 1, &type);
  }
  return mlirOperationCreate(&state);
}

// The writer, whose writes are known, becomes an op with results; it waits detached, without
// operands.
static void stand_in(FiarFusion* fusion, MlirOperation writer, const FiarNamed* named) {
  MlirValue operands[MAX_OPERANDS], written[FIAR_MAX_NAMED];
  intptr_t n = mlirOperationGetNumOperands(writer);
  for (intptr_t i = 0; i < n; ++i) {
    operands[i] = mlirOperationGetOperand(writer, i);
  }
  for (int i = 0; i < named->n_results; ++i) {
    written[i] = operands[named->written[i]];
  }
  MlirOperation op = create(writer, "torch.operator", n, operands, named->n_results, written);
  uint32_t position = fiarPosition(fusion, writer);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(writer), writer, op);
  fusion->failed |= !fiarPositionSet(fusion, op, position) || !note(fusion, writer, named, op);
  for (int i = 0; i < named->n_results; ++i) {
    rename_after(fusion, written[i], mlirOperationGetResult(op, i), writer);
  }
  mlirOperationRemoveFromParent(writer);
  mlirOperationSetOperands(writer, 0, NULL);
}

// Behind a writer that stays: a new name for what it may have written.
static void mark_changed(FiarFusion* fusion, MlirOperation writer, MlirValue value, uint32_t step) {
  MlirOperation op = create(writer, marker_name, 1, &value, 1, &value);
  mlirBlockInsertOwnedOperationAfter(mlirOperationGetBlock(writer), writer, op);
  fusion->failed |= !fiarPositionSet(fusion, op, fiarPosition(fusion, writer) + step) ||
                    !note(fusion, (MlirOperation){NULL}, NULL, op);
  rename_after(fusion, value, mlirOperationGetResult(op, 0), writer);
}

// ---- the writers of a module ----

static bool can_rename(FiarFusion* fusion, MlirOperation writer, MlirValue value) {
  FiarShape shape;  // not what holds tensors: they have names of their own
  return mlirValueIsAOpResult(value) && fiarShapeRead(mlirValueGetType(value), &shape) &&
         mlirBlockEqual(mlirOperationGetBlock(mlirOpResultGetOwner(value)),
                        mlirOperationGetBlock(writer)) &&
         fiarMapFind(&fusion->changed, value.ptr, 0) == NULL && is_sole_name(fusion, value, writer);
}

// Whether a written operand is met once among the operands: x and out may not be one tensor.
static bool written_once(MlirOperation writer, MlirValue value) {
  int times = 0;
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(writer); ++i) {
    times += mlirValueEqual(mlirOperationGetOperand(writer, i), value);
  }
  return times == 1;
}

static void name_writes(FiarFusion* fusion, MlirOperation writer) {
  FiarNamed named;
  intptr_t n = mlirOperationGetNumOperands(writer);
  bool all = fiarNamedRead(writer, &named) && n <= MAX_OPERANDS;
  for (int i = 0; all && i < named.n_results; ++i) {
    MlirValue value = mlirOperationGetOperand(writer, named.written[i]);
    all = can_rename(fusion, writer, value) && written_once(writer, value);
  }
  if (all) {
    stand_in(fusion, writer, &named);
    return;
  }
  ++fusion->n_unnamed;
  const FiarNamed* known = fiarNamedRead(writer, &named) ? &named : NULL;
  uint32_t step = 0;
  for (intptr_t i = 0; i < n; ++i) {
    MlirValue value = mlirOperationGetOperand(writer, i);
    if (!may_change(writer, known, i)) {
      continue;
    }
    if (step < MAX_MARKERS && can_rename(fusion, writer, value)) {
      mark_changed(fusion, writer, value, ++step);
    } else {
      set_changed(fusion, value, 0);
    }
  }
}

void fiarMutationsName(FiarFusion* fusion) {
  for (size_t i = 0; i < fusion->n_writers && !fusion->failed; ++i) {
    name_writes(fusion, fusion->writers[i]);
  }
}

bool fiarMutationNote(FiarFusion* fusion, MlirOperation writer) {
  MlirOperation* larger =
      fiarGrow(fusion->writers, fusion->n_writers, &fusion->writer_capacity, sizeof *larger);
  if (larger == NULL) {
    return false;
  }
  fusion->writers = larger;
  fusion->writers[fusion->n_writers++] = writer;
  return true;
}

bool fiarIsStandIn(const FiarFusion* fusion, MlirOperation op) {
  return fiarMapFind(&fusion->stand_ins, op.ptr, 0) != NULL;
}

bool fiarIsWritten(FiarFusion* fusion, MlirValue value) {
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    const uint32_t* at = fiarMapFind(&fusion->stand_ins, user.ptr, 0);
    if (at == NULL) {
      if (fusion->n_unnamed > 0 && fiarWritesOperands(fusion, user)) {
        return true;
      }
      continue;
    }
    const FiarMutation* mutation = &fusion->mutations[*at];
    for (int i = 0; i < mutation->n_written; ++i) {
      if (mutation->written[i] == (int)mlirOpOperandGetOperandNumber(use)) {
        return true;
      }
    }
  }
  return false;
}

// ---- back ----

static void restore(FiarMutation* mutation) {
  MlirOperation original = mutation->original, op = mutation->stand_in;
  bool marker = mlirOperationIsNull(original);
  if (!marker) {
    MlirValue operands[MAX_OPERANDS];
    intptr_t n = mlirOperationGetNumOperands(op);
    for (intptr_t i = 0; i < n; ++i) {
      operands[i] = mlirOperationGetOperand(op, i);
    }
    mlirOperationSetOperands(original, n, operands);
    mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(op), op, original);
  }
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
    mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(op, i),
                                  mlirOperationGetOperand(op, marker ? 0 : mutation->written[i]));
  }
  mlirOperationDestroy(op);
}

void fiarMutationsRestore(FiarFusion* fusion) {
  // The last first: a tensor's later names go back to its earlier ones.
  for (size_t i = fusion->n_mutations; i > 0; --i) {
    FiarMutation* mutation = &fusion->mutations[i - 1];
    if (!fiarIsDead(fusion, mutation->stand_in)) {
      restore(mutation);
    } else if (!mlirOperationIsNull(mutation->original)) {
      mlirOperationDestroy(mutation->original);
    }
  }
  fusion->n_mutations = 0;
  free(fusion->mutations);
  free(fusion->writers);
  fusion->mutations = NULL;
  fusion->writers = NULL;
  fiarMapClear(&fusion->stand_ins);
  fiarMapClear(&fusion->changed);
  fiarMapClear(&fusion->functions_that_write);
}
