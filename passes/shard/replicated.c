// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The proof that a value is the same on all ranks of a group. docs/passes/fiar-shard-residual.md
// has the rules in words; everything without a rule counts as different.
#include <stdlib.h>
#include <string.h>

#include "ir/array.h"
#include "ir/carried.h"
#include "mlir-c/BuiltinAttributes.h"
#include "shard/shard.h"

// How far a value is traced through the ops that compute it: a loop's body may be a whole model.
enum { MAX_DEPTH = 1024 };

// ---- Shardings ----------

typedef struct Text {
  char* data;
  size_t size;
  bool failed;
} Text;

static void text_append(MlirStringRef part, void* data) {
  Text* text = data;
  char* larger = realloc(text->data, text->size + part.length + 1);
  if (larger == NULL) {
    text->failed = true;
    return;
  }
  memcpy(larger + text->size, part.data, part.length);
  text->data = larger;
  text->size += part.length;
  larger[text->size] = '\0';
}

// The text from an opening bracket at *at to its closing one, both left out; *at moves behind it.
static MlirStringRef bracketed(const char** at) {
  const char* start = ++*at;
  int depth = 1;
  for (bool quoted = false; **at != '\0'; ++*at) {
    quoted ^= **at == '"';
    if (!quoted) {
      depth += strchr("<[{(", **at) != NULL;
      depth -= strchr(">]})", **at) != NULL && !(**at == '>' && (*at)[-1] == '-');
    }
    if (depth == 0) {
      MlirStringRef inside = mlirStringRefCreate(start, (size_t)(*at - start));
      ++*at;
      return inside;
    }
  }
  return mlirStringRefCreate(start, 0);
}

static bool contains(MlirStringRef text, const char* word, size_t length) {
  for (size_t i = 0; i + length <= text.length; ++i) {
    if (memcmp(text.data + i, word, length) == 0) {
      return true;
    }
  }
  return false;
}

// What the mesh `@name` of the module is; null where there is no such one.
static MlirAttribute mesh_called(FiarView* view, MlirContext context, MlirStringRef name) {
  if (name.length < 2 || name.data[0] != '@') {
    return mlirAttributeGetNull();
  }
  MlirAttribute reference =
      mlirFlatSymbolRefAttrGet(context, mlirStringRefCreate(name.data + 1, name.length - 1));
  MlirOperation op = fiarViewSymbol(view, reference);
  return mlirOperationIsNull(op) ? mlirAttributeGetNull() : fiarOpAttribute(op, "mesh");
}

// Whether the groups, `mesh = @name,`, are axes of the mesh `@name`, or of one that is the same:
// JAX prints a mesh for its shardings and another for its groups.
static bool groups_are_of_mesh(FiarView* view, MlirContext context, MlirStringRef groups,
                               MlirStringRef mesh) {
  static const char before[] = "mesh_axes<mesh = ";
  const size_t skip = sizeof before - 1;
  for (size_t i = 0; i + skip < groups.length; ++i) {
    if (memcmp(groups.data + i, before, skip) == 0) {
      MlirStringRef name = mlirStringRefCreate(groups.data + i + skip, 0);
      while (i + skip + name.length < groups.length && name.data[name.length] != ',') {
        ++name.length;
      }
      MlirAttribute of_groups = mesh_called(view, context, name);
      return mesh.length > 1 && (mlirStringRefEqual(name, mesh) ||
                                 (!mlirAttributeIsNull(of_groups) &&
                                  mlirAttributeEqual(of_groups, mesh_called(view, context, mesh))));
    }
  }
  return false;
}

// Whether one sharding, `@mesh, [{"a"}, {}], replicated={..}`, splits nothing over the ranks of a
// group: it names no axis, or the groups are axes of the same mesh, and others.
static bool sharding_keeps_whole(FiarView* view, MlirContext context, MlirStringRef sharding,
                                 MlirStringRef groups) {
  const char* end = sharding.data + sharding.length;
  const char* at = sharding.data;
  while (at < end && *at != '[') {
    if (*at == '<') {
      return false;  // a mesh written out: not compared with the groups' mesh
    }
    ++at;
  }
  if (at == end || contains(sharding, "unreduced", 9) || contains(sharding, "?", 1)) {
    return false;
  }
  size_t mesh = 0;
  while (sharding.data + mesh < at && strchr(", ", sharding.data[mesh]) == NULL) {
    ++mesh;
  }
  MlirStringRef dimensions = bracketed(&at);
  bool same_mesh =
      groups_are_of_mesh(view, context, groups, mlirStringRefCreate(sharding.data, mesh));
  for (size_t i = 0; i < dimensions.length; ++i) {
    if (dimensions.data[i] != '"') {
      continue;
    }
    size_t length = 1;
    while (i + length < dimensions.length && dimensions.data[i + length] != '"') {
      ++length;
    }
    if (!same_mesh || contains(groups, dimensions.data + i, length + 1)) {
      return false;
    }
    i += length;
  }
  return true;
}

// Number `index` of the shardings in `[<..>, <..>]`, or of a single `<..>`.
static bool nth_sharding_keeps_whole(FiarView* view, MlirAttribute attribute, intptr_t index,
                                     MlirAttribute groups) {
  Text text = {0}, group_text = {0};
  mlirAttributePrint(attribute, text_append, &text);
  mlirAttributePrint(groups, text_append, &group_text);
  bool whole = false;
  const char* at = text.failed || group_text.failed || text.data == NULL || group_text.data == NULL
                       ? NULL
                       : strchr(text.data, '<');
  if (at != NULL && at[1] == '[') {
    ++at;  // a list
    const char* list_end = text.data + text.size;
    for (++at; at < list_end && *at != '\0'; ++at) {
      if (*at == '<' && index-- == 0) {
        break;
      }
      if (*at == '<') {
        (void)bracketed(&at);
      }
    }
  }
  if (at != NULL && *at == '<') {
    MlirStringRef sharding = bracketed(&at);
    whole = sharding_keeps_whole(view, mlirAttributeGetContext(attribute), sharding,
                                 mlirStringRefCreate(group_text.data, group_text.size));
  }
  free(text.data);
  free(group_text.data);
  return whole;
}

// ---- Values ----------

FiarRanks fiarRanksOf(MlirOperation op) {
  MlirStringRef mode = fiarAttributeText(fiarOpAttribute(op, "group_mode"));
  return (FiarRanks){
      fiarOpAttribute(op, "groups"),
      mode.length > 0 ? mode : mlirStringRefCreateFromCString(FIAR_GROUPS_FLATTENED)};
}

static bool same_ranks(FiarRanks a, FiarRanks b) {
  return mlirAttributeEqual(a.groups, b.groups) && mlirStringRefEqual(a.mode, b.mode);
}

static bool function_argument(FiarView* view, MlirOperation function, intptr_t index,
                              MlirAttribute groups) {
  MlirAttribute list = fiarOpAttribute(function, "arg_attrs");
  if (mlirAttributeIsNull(list) || !mlirAttributeIsAArray(list) ||
      index >= mlirArrayAttrGetNumElements(list)) {
    return false;
  }
  MlirAttribute attributes = mlirArrayAttrGetElement(list, index);
  MlirAttribute mhlo = mlirDictionaryAttrGetElementByName(
      attributes, mlirStringRefCreateFromCString("mhlo.sharding"));
  MlirAttribute sdy = mlirDictionaryAttrGetElementByName(
      attributes, mlirStringRefCreateFromCString("sdy.sharding"));
  return (!mlirAttributeIsNull(mhlo) && fiarStringEqual(fiarAttributeText(mhlo), "{replicated}")) ||
         (!mlirAttributeIsNull(sdy) && nth_sharding_keeps_whole(view, sdy, 0, groups));
}

static bool is_manual(MlirOperation op) {
  return fiarStringEqual(fiarOpName(op), "sdy.manual_computation");
}

static bool stated(FiarView* view, MlirValue value, MlirAttribute groups) {
  MlirBlock block = mlirBlockArgumentGetOwner(value);
  MlirOperation parent = mlirBlockGetParentOperation(block);
  intptr_t index = mlirBlockArgumentGetArgNumber(value);
  if (mlirOperationIsNull(parent) || mlirOperationGetNumRegions(parent) == 0 ||
      !mlirBlockEqual(block, mlirRegionGetFirstBlock(mlirOperationGetRegion(parent, 0)))) {
    return false;
  }
  if (is_manual(parent)) {
    MlirAttribute shardings = fiarOpAttribute(parent, "in_shardings");
    return !mlirAttributeIsNull(shardings) &&
           nth_sharding_keeps_whole(view, shardings, index, groups);
  }
  return fiarStringEqual(fiarOpName(parent), "func.func") &&
         function_argument(view, parent, index, groups);
}

// Whether no mesh of the module has two axes, so that what is split at all is split over all ranks.
static bool meshes_have_one_axis(FiarView* view) {
  size_t most = 0;
  for (MlirOperation op = mlirBlockGetFirstOperation(
           mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(view->module)));
       !mlirOperationIsNull(op); op = mlirOperationGetNextInBlock(op)) {
    Text text = {0};
    size_t quotes = 0;
    if (fiarStringEqual(fiarOpName(op), "sdy.mesh")) {
      mlirAttributePrint(fiarOpAttribute(op, "mesh"), text_append, &text);
    }
    for (size_t i = 0; i < text.size; ++i) {
      quotes += text.data[i] == '"';
    }
    most = quotes > most ? quotes : most;
    free(text.data);
  }
  return most == 2;
}

bool fiarIsSplit(FiarView* view, MlirValue argument) {
  MlirOperation parent = mlirBlockGetParentOperation(mlirBlockArgumentGetOwner(argument));
  return !mlirOperationIsNull(parent) && is_manual(parent) && meshes_have_one_axis(view) &&
         !stated(view, argument, mlirUnitAttrGet(mlirOperationGetContext(parent)));
}

typedef struct Question {
  FiarReplication* replication;
  FiarRanks ranks;
  uint32_t number;  // of the ranks
  int depth;
} Question;

static bool same_everywhere(Question question, MlirValue value);

static bool all_operands(Question question, MlirOperation op) {
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    if (!same_everywhere(question, mlirOperationGetOperand(op, i))) {
      return false;
    }
  }
  return true;
}

static bool absent_or_same(Question question, MlirValue value) {
  return mlirValueIsNull(value) || same_everywhere(question, value);
}

// ---- Across rounds and calls ----------

// What is known to be the same; from `mark` on it may rest on an assumption that has failed.
static void forget_since(FiarReplication* replication, size_t mark) {
  while (replication->n_trail > mark) {
    const FiarMapSlot* entry = &replication->trail[--replication->n_trail];
    const uint32_t* known = fiarMapFind(&replication->known, entry->pointer, entry->number);
    if (known != NULL && *known != 0) {
      fiarMapRemove(&replication->known, entry->pointer, entry->number);
    }
  }
}

static void remember(FiarReplication* replication, MlirValue value, uint32_t number, bool same) {
  if (same) {
    FiarMapSlot* trail = fiarGrow(replication->trail, replication->n_trail,
                                  &replication->trail_capacity, sizeof *trail);
    if (trail == NULL) {
      replication->failed = true;
      return;
    }
    replication->trail = trail;
    replication->trail[replication->n_trail++] = (FiarMapSlot){value.ptr, number, 1};
  }
  replication->failed |= !fiarMapSet(&replication->known, value.ptr, number, same);
}

// Induction: the value is assumed to be the same while its beginning and its next round are looked
// at. What was found under an assumption that fails is forgotten.
static bool same_by_induction(Question question, MlirValue value, MlirValue first, MlirValue next) {
  FiarReplication* replication = question.replication;
  const size_t mark = replication->n_trail;
  remember(replication, value, question.number, true);
  if (!replication->failed && same_everywhere(question, first) && same_everywhere(question, next)) {
    return true;
  }
  forget_since(replication, mark);
  return false;
}

// Whether the block calls the ranks together, so that all of a group run it equally often: else
// they would wait for one another for ever.
static bool meets(MlirBlock block, FiarRanks ranks) {
  for (MlirOperation op = mlirBlockGetFirstOperation(block); !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    if (fiarStringEqual(fiarOpName(op), "fiar.all_reduce_norm") &&
        same_ranks(fiarRanksOf(op), ranks)) {
      return true;
    }
  }
  return false;
}

static bool equally_often(Question question, const FiarCarriedLoop* loop) {
  if (meets(loop->body, question.ranks)) {
    return true;
  }
  if (!mlirBlockIsNull(loop->condition)) {
    return same_everywhere(question, mlirOperationGetOperand(fiarLastOp(loop->condition), 0));
  }
  bool same = true;
  for (intptr_t i = 0; i < loop->first_operand; ++i) {
    same = same && same_everywhere(question, mlirOperationGetOperand(loop->op, i));
  }
  return same;
}

static bool carried(Question question, const FiarCarriedLoop* loop, MlirValue value,
                    intptr_t index) {
  if (index < 0) {  // the counter
    return same_everywhere(question, mlirOperationGetOperand(loop->op, 0)) &&
           same_everywhere(question, mlirOperationGetOperand(loop->op, 2));
  }
  return same_by_induction(question, value,
                           mlirOperationGetOperand(loop->op, loop->first_operand + index),
                           mlirOperationGetOperand(loop->yield, index));
}

// The calls of a private function. Whatever else names it may call it with anything.
typedef struct Callers {
  FiarView* view;
  MlirOperation function;
  Question question;
  intptr_t index;
  bool same, any;
} Callers;

static bool names(const Callers* callers, MlirAttribute attribute) {
  if (mlirAttributeIsNull(attribute)) {
    return false;
  }
  if (mlirAttributeIsAArray(attribute)) {
    bool any = false;
    for (intptr_t i = 0; i < mlirArrayAttrGetNumElements(attribute) && !any; ++i) {
      any = names(callers, mlirArrayAttrGetElement(attribute, i));
    }
    return any;
  }
  return mlirAttributeIsAFlatSymbolRef(attribute) &&
         mlirOperationEqual(fiarViewSymbol(callers->view, attribute), callers->function);
}

static MlirWalkResult look_at_caller(MlirOperation op, void* data) {
  Callers* callers = data;
  MlirAttribute callee = fiarOpAttribute(op, "callee");
  for (intptr_t i = 0; i < mlirOperationGetNumAttributes(op); ++i) {
    MlirAttribute attribute = mlirOperationGetAttribute(op, i).attribute;
    if (!mlirAttributeEqual(attribute, callee) && names(callers, attribute)) {
      callers->same = false;
    }
  }
  if (!callers->same || !names(callers, callee)) {
    return callers->same ? MlirWalkResultAdvance : MlirWalkResultInterrupt;
  }
  callers->any = true;
  callers->same = callers->same && fiarPrimitiveKind(callers->view, op) == FIAR_PRIM_CALL &&
                  callers->index < mlirOperationGetNumOperands(op) &&
                  same_everywhere(callers->question, mlirOperationGetOperand(op, callers->index));
  return callers->same ? MlirWalkResultAdvance : MlirWalkResultInterrupt;
}

// An argument of a private function: the same wherever it is called. Assumed while the calls are
// looked at, since functions may call themselves.
static bool same_in_calls(Question question, MlirOperation function, MlirValue value,
                          intptr_t index) {
  FiarReplication* replication = question.replication;
  if (!fiarStringEqual(fiarAttributeText(fiarOpAttribute(function, "sym_visibility")), "private")) {
    return false;
  }
  Callers callers = {replication->view, function, question, index, true, false};
  const size_t mark = replication->n_trail;
  remember(replication, value, question.number, true);
  mlirOperationWalk(replication->view->module, look_at_caller, &callers, MlirWalkPreOrder);
  if (callers.same && callers.any && !replication->failed) {
    return true;
  }
  forget_since(replication, mark);
  return false;
}

// Inside another manual computation the ranks' operands are each rank's own already, and the
// shardings cannot name the axes that are manual outside.
static bool is_nested_manual(MlirOperation op) {
  if (!is_manual(op)) {
    return false;
  }
  do {
    op = mlirOperationGetParentOperation(op);
  } while (!mlirOperationIsNull(op) && !is_manual(op));
  return !mlirOperationIsNull(op);
}

static bool argument(Question question, MlirValue value) {
  MlirBlock block = mlirBlockArgumentGetOwner(value);
  MlirOperation parent = mlirBlockGetParentOperation(block);
  const intptr_t index = mlirBlockArgumentGetArgNumber(value);
  FiarCarriedLoop loop;
  if (stated(question.replication->view, value, question.ranks.groups)) {
    return !is_nested_manual(parent) ||
           (index < mlirOperationGetNumOperands(parent) &&
            same_everywhere(question, mlirOperationGetOperand(parent, index)));
  }
  if (mlirOperationIsNull(parent)) {
    return false;
  }
  if (fiarCarriedLoopRead(parent, &loop)) {
    return mlirBlockEqual(block, loop.body)
               ? carried(question, &loop, value, index - loop.first_argument)
               : same_everywhere(question,
                                 mlirBlockGetArgument(loop.body, loop.first_argument + index));
  }
  return fiarStringEqual(fiarOpName(parent), "func.func") &&
         mlirBlockEqual(block, mlirRegionGetFirstBlock(mlirOperationGetRegion(parent, 0))) &&
         same_in_calls(question, parent, value, index);
}

// A result of a call: what the callee's last op gives back, where nothing else can.
static bool call_result(Question question, const FiarPrimitive* call, intptr_t index) {
  if (mlirOperationIsNull(call->callee) ||
      !fiarStringEqual(fiarOpName(call->callee), "func.func")) {
    return false;
  }
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(call->callee, 0));
  if (mlirBlockIsNull(body) || !mlirBlockIsNull(mlirBlockGetNextInRegion(body))) {
    return false;
  }
  MlirOperation last = fiarLastOp(body);
  return !mlirOperationIsNull(last) && index < mlirOperationGetNumOperands(last) &&
         same_everywhere(question, mlirOperationGetOperand(last, index));
}

// ---- Results of ops ----------

// The sum is; what comes after is where all that enters it is. Of a sharded call the ranks get the
// owners' rows, and each has other residual rows.
static bool fused_result(Question question, MlirOperation op, MlirValue value) {
  FiarNormOp norm;
  if (!fiarNormOpRead(op, &norm)) {
    return false;
  }
  if (mlirValueEqual(value, norm.results[FIAR_NORM_SUM])) {
    return true;
  }
  bool residual = mlirValueEqual(value, norm.results[FIAR_NORM_RESIDUAL]);
  if (norm.sharded) {
    return !residual;
  }
  return absent_or_same(question, norm.operands[FIAR_NORM_RESIDUAL_IN]) &&
         (residual || (absent_or_same(question, norm.operands[FIAR_NORM_WEIGHT]) &&
                       absent_or_same(question, norm.operands[FIAR_NORM_SCALE])));
}

// Functions of their operands that have no primitive of their own.
static bool is_plain_function(MlirOperation op) {
  static const char* const names[] = {"stablehlo.gather", "stablehlo.slice",
                                      "stablehlo.dynamic_slice", "stablehlo.concatenate"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    if (fiarStringEqual(fiarOpName(op), names[i])) {
      return true;
    }
  }
  return false;
}

static bool op_result(Question question, MlirOperation op, MlirValue value) {
  if (fiarStringEqual(fiarOpName(op), "fiar.all_reduce_norm")) {
    return same_ranks(fiarRanksOf(op), question.ranks) && fused_result(question, op, value);
  }
  if (fiarStringEqual(fiarOpName(op), "fiar.all_reduce") ||
      fiarStringEqual(fiarOpName(op), "fiar.all_gather_rows")) {
    return same_ranks(fiarRanksOf(op), question.ranks);
  }
  FiarPrimitive primitive = fiarPrimitiveRead(question.replication->view, op);
  FiarCarriedLoop loop;
  const intptr_t number = mlirOpResultGetResultNumber(value);
  if (fiarCarriedLoopRead(op, &loop)) {
    return equally_often(question, &loop) &&
           same_everywhere(question, mlirBlockGetArgument(loop.body, loop.first_argument + number));
  }
  switch (primitive.kind) {
    case FIAR_PRIM_UNKNOWN:
    case FIAR_PRIM_COLLECTIVE:
    case FIAR_PRIM_REDUCE_SCATTER:
    case FIAR_PRIM_LOOPS:
      return false;
    case FIAR_PRIM_CALL:
      return call_result(question, &primitive, number);
    case FIAR_PRIM_ALL_REDUCE:
    case FIAR_PRIM_ALL_GATHER:
      return !mlirAttributeIsNull(primitive.groups) && primitive.mode != NULL &&
             mlirAttributeEqual(primitive.groups, question.ranks.groups) &&
             fiarStringEqual(question.ranks.mode, primitive.mode);
    case FIAR_PRIM_IDENTITY:
      return number < mlirOperationGetNumOperands(op) &&
             same_everywhere(question, mlirOperationGetOperand(op, number));
    case FIAR_PRIM_PURE:
      return is_plain_function(op) && all_operands(question, op);
    default:
      return all_operands(question, op);
  }
}

static bool same_everywhere(Question question, MlirValue value) {
  FiarReplication* replication = question.replication;
  const uint32_t* known = fiarMapFind(&replication->known, value.ptr, question.number);
  if (known != NULL) {
    return *known != 0;
  }
  if (question.depth == MAX_DEPTH) {
    return false;  // and not remembered: another way to it may be shorter
  }
  ++question.depth;
  bool same = mlirValueIsABlockArgument(value)
                  ? argument(question, value)
                  : op_result(question, mlirOpResultGetOwner(value), value);
  remember(replication, value, question.number, same);
  return same && !replication->failed;
}

bool fiarReplicated(FiarReplication* replication, MlirValue value, FiarRanks ranks) {
  size_t number = 0;
  while (number < replication->n_ranks && !same_ranks(replication->ranks[number], ranks)) {
    ++number;
  }
  if (number == replication->n_ranks) {
    FiarRanks* larger = realloc(replication->ranks, (number + 1) * sizeof *larger);
    if (larger == NULL) {
      replication->failed = true;
      return false;
    }
    replication->ranks = larger;
    replication->ranks[replication->n_ranks++] = ranks;
  }
  return same_everywhere((Question){replication, ranks, (uint32_t)number, 0}, value);
}

void fiarReplicationClear(FiarReplication* replication) {
  free(replication->ranks);
  free(replication->trail);
  fiarMapClear(&replication->known);
}
