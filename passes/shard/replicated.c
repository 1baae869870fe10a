// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The proof that a value is the same on all ranks of a group. docs/passes/fiar-shard-residual.md
// has the rules in words; everything without a rule counts as different.
#include <stdlib.h>
#include <string.h>

#include "mlir-c/BuiltinAttributes.h"
#include "shard/shard.h"

// How far a value is traced through the ops that compute it.
enum { MAX_DEPTH = 64 };

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

// Whether the groups are axes of the mesh, `mesh = @name,`.
static bool groups_are_of_mesh(MlirStringRef groups, const char* mesh, size_t length) {
  static const char before[] = "mesh_axes<mesh = ";
  const size_t skip = sizeof before - 1;
  for (size_t i = 0; i + skip + length < groups.length; ++i) {
    if (memcmp(groups.data + i, before, skip) == 0) {
      const char* name = groups.data + i + skip;
      return length > 1 && memcmp(name, mesh, length) == 0 && name[length] == ',';
    }
  }
  return false;
}

// Whether one sharding, `@mesh, [{"a"}, {}], replicated={..}`, splits nothing over the ranks of a
// group: it names no axis, or the groups are axes of the same mesh, and others.
static bool sharding_keeps_whole(MlirStringRef sharding, MlirStringRef groups) {
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
  bool same_mesh = groups_are_of_mesh(groups, sharding.data, mesh);
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
static bool nth_sharding_keeps_whole(MlirAttribute attribute, intptr_t index,
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
    whole = sharding_keeps_whole(sharding, mlirStringRefCreate(group_text.data, group_text.size));
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

static bool function_argument(MlirOperation function, intptr_t index, MlirAttribute groups) {
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
         (!mlirAttributeIsNull(sdy) && nth_sharding_keeps_whole(sdy, 0, groups));
}

static bool argument(MlirValue value, MlirAttribute groups) {
  MlirBlock block = mlirBlockArgumentGetOwner(value);
  MlirOperation parent = mlirBlockGetParentOperation(block);
  intptr_t index = mlirBlockArgumentGetArgNumber(value);
  if (mlirOperationIsNull(parent) || mlirOperationGetNumRegions(parent) == 0 ||
      !mlirBlockEqual(block, mlirRegionGetFirstBlock(mlirOperationGetRegion(parent, 0)))) {
    return false;
  }
  if (fiarStringEqual(fiarOpName(parent), "sdy.manual_computation")) {
    MlirAttribute shardings = fiarOpAttribute(parent, "in_shardings");
    return !mlirAttributeIsNull(shardings) && nth_sharding_keeps_whole(shardings, index, groups);
  }
  return fiarStringEqual(fiarOpName(parent), "func.func") &&
         function_argument(parent, index, groups);
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
  switch (primitive.kind) {
    case FIAR_PRIM_UNKNOWN:
    case FIAR_PRIM_COLLECTIVE:
    case FIAR_PRIM_REDUCE_SCATTER:
    case FIAR_PRIM_CALL:
    case FIAR_PRIM_LOOPS:
      return false;
    case FIAR_PRIM_ALL_REDUCE:
    case FIAR_PRIM_ALL_GATHER:
      return !mlirAttributeIsNull(primitive.groups) && primitive.mode != NULL &&
             mlirAttributeEqual(primitive.groups, question.ranks.groups) &&
             fiarStringEqual(question.ranks.mode, primitive.mode);
    case FIAR_PRIM_IDENTITY: {
      const intptr_t number = mlirOpResultGetResultNumber(value);
      return number < mlirOperationGetNumOperands(op) &&
             same_everywhere(question, mlirOperationGetOperand(op, number));
    }
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
                  ? argument(value, question.ranks.groups)
                  : op_result(question, mlirOpResultGetOwner(value), value);
  replication->failed |= !fiarMapSet(&replication->known, value.ptr, question.number, same);
  return same;
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
  fiarMapClear(&replication->known);
}
