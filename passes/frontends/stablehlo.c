// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// StableHLO, CHLO and MHLO, whose shared ops have one spelling.
// Source: the StableHLO specification, 1.x; docs/passes/fiar-fuse.md lists what is read.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/primitive.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

static bool text_has(MlirAttribute attribute, const char* word) {
  MlirStringRef text = fiarAttributeText(attribute);
  size_t length = strlen(word);
  return text.length >= length && memcmp(text.data + text.length - length, word, length) == 0;
}

// CHLO's broadcast_* ops are the plain ones where all types are one, of known sizes: one row that
// is added to many would be.
static void read_same_types(FiarView* view, FiarPrimitive* p) {
  (void)view;
  FiarShape shape;
  MlirType type = mlirValueGetType(mlirOperationGetResult(p->op, 0));
  const bool known = fiarShapeRead(type, &shape) && fiarShapeElements(&shape) >= 0;
  for (int i = 0; i < p->n_in; ++i) {
    if (!known || !mlirTypeEqual(mlirValueGetType(p->in[i]), type)) {
      p->kind = FIAR_PRIM_PURE;
    }
  }
}

static void read_constant(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->has_number = fiarReadNumber(fiarOpAttribute(p->op, "value"), &p->number);
}

static void read_dims(FiarPrimitive* p, const char* name) {
  p->n_dims = fiarReadInts(fiarOpAttribute(p->op, name), p->dims, FIAR_MAX_RANK);
  if (p->n_dims < 0) {
    p->n_dims = 0;
    p->kind = FIAR_PRIM_PURE;
  }
}

// broadcast_in_dim and dynamic_broadcast_in_dim, whose second operand is the shape.
static void read_broadcast_in_dim(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 1;
  p->may_repeat = mlirOperationGetNumOperands(p->op) > 1;
  read_dims(p, "broadcast_dimensions");
}

// broadcast puts new dimensions in front.
static void read_broadcast(FiarView* view, FiarPrimitive* p) {
  (void)view;
  int64_t sizes[FIAR_MAX_RANK];
  int n = fiarReadInts(fiarOpAttribute(p->op, "broadcast_sizes"), sizes, FIAR_MAX_RANK);
  FiarShape shape;
  if (n < 0 || !fiarShapeRead(mlirValueGetType(p->in[0]), &shape) ||
      shape.rank + n > FIAR_MAX_RANK) {
    p->kind = FIAR_PRIM_PURE;
    return;
  }
  p->n_dims = shape.rank;
  for (int i = 0; i < shape.rank; ++i) {
    p->dims[i] = n + i;
  }
}

static void read_reshape(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 1;
}

static void read_transpose(FiarView* view, FiarPrimitive* p) {
  (void)view;
  read_dims(p, "permutation");
}

static void read_slice(FiarView* view, FiarPrimitive* p) {
  (void)view;
  fiarReadSlice(p, "start_indices", "strides");
}

static void read_reduce(FiarView* view, FiarPrimitive* p) {
  FiarPrimitiveKind kind =
      p->n_in == 2 ? fiarReducerKind(view, mlirOperationGetFirstRegion(p->op)) : FIAR_PRIM_UNKNOWN;
  p->kind = kind == FIAR_PRIM_ADD   ? FIAR_PRIM_REDUCE_ADD
            : kind == FIAR_PRIM_MAX ? FIAR_PRIM_REDUCE_MAX
                                    : FIAR_PRIM_PURE;
  if (p->kind != FIAR_PRIM_PURE) {
    read_dims(p, "dimensions");
  }
}

static void read_compare(FiarView* view, FiarPrimitive* p) {
  (void)view;
  static const struct {
    const char* text;
    FiarPrimitiveKind kind;
    bool swapped;
  } directions[] = {
      {"EQ", FIAR_PRIM_EQUAL, false},      {"NE", FIAR_PRIM_NOT_EQUAL, false},
      {"LT", FIAR_PRIM_LESS, false},       {"GT", FIAR_PRIM_LESS, true},
      {"LE", FIAR_PRIM_LESS_EQUAL, false}, {"GE", FIAR_PRIM_LESS_EQUAL, true},
  };
  MlirAttribute direction = fiarOpAttribute(p->op, "comparison_direction");
  p->kind = FIAR_PRIM_PURE;
  for (size_t i = 0; i < sizeof directions / sizeof *directions && p->n_in == 2; ++i) {
    if (text_has(direction, directions[i].text)) {
      p->kind = directions[i].kind;
      MlirValue left = p->in[0], right = p->in[1];
      p->in[0] = directions[i].swapped ? right : left;
      p->in[1] = directions[i].swapped ? left : right;
    }
  }
}

static MlirType element_type(MlirValue value) {
  MlirType type = mlirValueGetType(value);
  return mlirTypeIsARankedTensor(type) ? mlirShapedTypeGetElementType(type) : type;
}

// Logical operations on integers of more bits than one are another primitive.
static void read_not(FiarView* view, FiarPrimitive* p) {
  (void)view;
  MlirType type = element_type(mlirOperationGetResult(p->op, 0));
  if (!mlirTypeIsAInteger(type) || mlirIntegerTypeGetWidth(type) != 1) {
    p->kind = FIAR_PRIM_PURE;
  }
}

// What an unsigned integer's sign is, the specification leaves open.
static void read_signed_shift(FiarView* view, FiarPrimitive* p) {
  (void)view;
  MlirType type = element_type(mlirOperationGetResult(p->op, 0));
  if (!mlirTypeIsAInteger(type) || mlirIntegerTypeIsUnsigned(type)) {
    p->kind = FIAR_PRIM_PURE;
  }
}

// A bitcast between widths adds or removes a dimension.
static void read_bitcast(FiarView* view, FiarPrimitive* p) {
  (void)view;
  FiarShape from, to;
  if (!fiarShapeRead(mlirValueGetType(p->in[0]), &from) ||
      !fiarShapeRead(mlirValueGetType(mlirOperationGetResult(p->op, 0)), &to) ||
      from.rank != to.rank) {
    p->kind = FIAR_PRIM_PURE;
  }
}

// The one number of `name = [N]`; -1 for an empty or absent list, -2 for several.
static int64_t only_dimension(const char* text, const char* name) {
  const char* at = strstr(text, name);
  int64_t number;
  char after;
  if (at == NULL || *(at += strlen(name)) == ']') {
    return -1;
  }
  return sscanf(at, "%" SCNd64 "%c", &number, &after) == 2 && after == ']' ? number : -2;
}

// Whether the list `name = [..]` holds the numbers from `first` up to before `end`.
static bool lists_numbers(const char* text, const char* name, int first, int end) {
  char wanted[8 * FIAR_MAX_RANK] = "";
  size_t length = 0;
  for (int i = first; i < end; ++i) {
    length +=
        (size_t)snprintf(wanted + length, sizeof wanted - length, i > first ? ", %d" : "%d", i);
  }
  const char* at = strstr(text, name);
  return at != NULL && strncmp(at + strlen(name), wanted, length) == 0 &&
         at[strlen(name) + length] == ']';
}

// Row times row: every dimension but the last is a batch's, in order.
static bool read_row_products(FiarPrimitive* p, const char* text) {
  FiarShape a, b;
  if (p->n_in != 2 || !fiarShapeRead(mlirValueGetType(p->in[0]), &a) ||
      !fiarShapeRead(mlirValueGetType(p->in[1]), &b) || a.rank != b.rank || a.rank < 2 ||
      !lists_numbers(text, "lhs_batching_dimensions = [", 0, a.rank - 1) ||
      !lists_numbers(text, "rhs_batching_dimensions = [", 0, a.rank - 1) ||
      !lists_numbers(text, "lhs_contracting_dimensions = [", a.rank - 1, a.rank) ||
      !lists_numbers(text, "rhs_contracting_dimensions = [", a.rank - 1, a.rank)) {
    return false;
  }
  char precision[128];
  fiarAttributePrint(fiarOpAttribute(p->op, "precision_config"), precision, sizeof precision);
  const char* first = strstr(precision, "HIGHEST");
  p->may_round = first == NULL || strstr(first + 1, "HIGHEST") == NULL;
  p->kind = FIAR_PRIM_REDUCE_DOT;
  p->n_dims = 1;
  p->dims[0] = a.rank - 1;
  return true;
}

// dot_general contracts one dimension of each operand, or multiplies two vectors' outer dimensions,
// contracting none.
static void read_dot_general(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->kind = FIAR_PRIM_PURE;
  MlirStringRef text = fiarAttributeText(fiarOpAttribute(p->op, "dot_dimension_numbers"));
  char buffer[256];
  // An algorithm rounds the operands, or sums, to types of its own.
  if (text.length == 0 || text.length >= sizeof buffer ||
      !mlirAttributeIsNull(fiarOpAttribute(p->op, "algorithm"))) {
    return;
  }
  memcpy(buffer, text.data, text.length);
  buffer[text.length] = '\0';
  if (read_row_products(p, buffer)) {
    return;
  }
  int64_t batch_a = only_dimension(buffer, "lhs_batching_dimensions = ["),
          batch_b = only_dimension(buffer, "rhs_batching_dimensions = ["),
          a = only_dimension(buffer, "lhs_contracting_dimensions = ["),
          b = only_dimension(buffer, "rhs_contracting_dimensions = [");
  if (batch_a >= 0 && batch_b >= 0 && a == -1) {
    p->kind = FIAR_PRIM_BATCH_MUL;
    p->dims[0] = batch_a;
    p->dims2[0] = batch_b;
  } else if (batch_a == -1 && batch_b == -1 && a >= 0 && b >= 0) {
    p->kind = FIAR_PRIM_MATMUL;
    p->dims[0] = a;
    p->dims2[0] = b;
  }
  p->n_dims = p->kind != FIAR_PRIM_PURE;
}

static const char* group_mode(MlirOperation op) {
  MlirAttribute handle = fiarOpAttribute(op, "channel_handle");
  MlirStringRef text = fiarAttributeText(handle);
  long id = 0;
  char buffer[128] = "";
  if (text.length > 0 && text.length < sizeof buffer) {
    memcpy(buffer, text.data, text.length);
    const char* at = strstr(buffer, "handle = ");
    id = at == NULL ? 0 : strtol(at + strlen("handle = "), NULL, 10);
  }
  if (id <= 0) {
    return FIAR_GROUPS_REPLICA;
  }
  bool global = !mlirAttributeIsNull(fiarOpAttribute(op, "use_global_device_ids"));
  return global ? FIAR_GROUPS_FLATTENED : FIAR_GROUPS_REPLICA_AND_PARTITION;
}

static void read_collective(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->groups = fiarOpAttribute(p->op, "replica_groups");
  p->mode = group_mode(p->op);
}

static void read_all_reduce(FiarView* view, FiarPrimitive* p) {
  read_collective(view, p);
  // XLA replicates what it cannot split, and no call with effects (the fused one: ranks meet in
  // it).
  if (fiarIsPartlyManual(view, p->op)) {
    p->refusal =
        "its manual computation leaves an axis of the mesh to the partitioner, which cannot split "
        "the fused call";
  }
  switch (fiarReducerKind(view, mlirOperationGetFirstRegion(p->op))) {
    case FIAR_PRIM_ADD:
      p->reduction = "sum";
      break;
    case FIAR_PRIM_MAX:
      p->reduction = "maximum";
      break;
    case FIAR_PRIM_MIN:
      p->reduction = "minimum";
      break;
    case FIAR_PRIM_MUL:
      p->reduction = "product";
      break;
    default:
      p->reduction = "not one known operation";
      break;
  }
}

static void read_reduce_scatter(FiarView* view, FiarPrimitive* p) {
  read_all_reduce(view, p);
  read_dims(p, "scatter_dimension");
}

static void read_all_gather(FiarView* view, FiarPrimitive* p) {
  read_collective(view, p);
  read_dims(p, "all_gather_dim");
}

// Only what goes behind: nothing before or between the elements.
static void read_pad(FiarView* view, FiarPrimitive* p) {
  (void)view;
  static const char* const others[] = {"edge_padding_low", "interior_padding"};
  int64_t none[FIAR_MAX_RANK];
  bool known = true;
  for (int i = 0; i < 2; ++i) {
    int n = fiarReadInts(fiarOpAttribute(p->op, others[i]), none, FIAR_MAX_RANK);
    known = known && n >= 0;
    for (int k = 0; k < n; ++k) {
      known = known && none[k] == 0;
    }
  }
  read_dims(p, "edge_padding_high");
  for (int k = 0; k < p->n_dims; ++k) {
    known = known && p->dims[k] >= 0;
  }
  if (!known || p->n_dims < 1) {
    p->n_dims = 0;
    p->kind = FIAR_PRIM_PURE;
  }
}

// The number of which the value is a splat: a constant, or what a broadcast repeats. Null for
// others.
static MlirValue splat_of(FiarView* view, MlirValue value) {
  FiarShape shape;
  if (!mlirValueIsAOpResult(value)) {
    return (MlirValue){NULL};
  }
  FiarPrimitive source = fiarPrimitiveRead(view, mlirOpResultGetOwner(value));
  if (source.kind == FIAR_PRIM_CONSTANT && source.has_number) {
    return value;
  }
  bool scalar = source.kind == FIAR_PRIM_BROADCAST &&
                fiarShapeRead(mlirValueGetType(source.in[0]), &shape) && shape.rank == 0;
  return scalar ? source.in[0] : (MlirValue){NULL};
}

// Two tensors, of which the second is one number throughout.
static void read_concatenate(FiarView* view, FiarPrimitive* p) {
  FiarShape second;
  int64_t dimension;
  p->kind = FIAR_PRIM_PURE;
  if (mlirOperationGetNumOperands(p->op) != 2 ||
      fiarReadInts(fiarOpAttribute(p->op, "dimension"), &dimension, 1) != 1 ||
      !fiarShapeRead(mlirValueGetType(p->in[1]), &second) || dimension < 0 ||
      dimension >= second.rank || second.size[dimension] < 0) {
    return;
  }
  MlirValue number = splat_of(view, p->in[1]);
  if (!mlirValueIsNull(number)) {
    p->kind = FIAR_PRIM_PAD;
    p->in[1] = number;
    p->n_dims = second.rank;
    p->dims[dimension] = second.size[dimension];
  }
}

// ---- started and waited for ----

static MlirAttribute called_computation(MlirOperation op) {
  MlirAttribute called = fiarOpAttribute(op, "called_computation");
  if (!mlirAttributeIsNull(called)) {
    return called;
  }
  called = fiarOpAttribute(op, "called_computations");
  bool one = !mlirAttributeIsNull(called) && mlirAttributeIsAArray(called) &&
             mlirArrayAttrGetNumElements(called) == 1;
  return one ? mlirArrayAttrGetElement(called, 0) : mlirAttributeGetNull();
}

// The body that the op starts: its own region, or a function. Null where there is none.
static MlirBlock started_body(FiarView* view, MlirOperation start) {
  MlirOperation holder = start;
  if (mlirOperationGetNumRegions(start) == 0) {
    holder = fiarViewSymbol(view, called_computation(start));
  }
  MlirRegion region =
      mlirOperationIsNull(holder) ? (MlirRegion){NULL} : mlirOperationGetFirstRegion(holder);
  return mlirRegionIsNull(region) ? (MlirBlock){NULL} : mlirRegionGetFirstBlock(region);
}

static bool is_start(MlirOperation op) {
  MlirStringRef name = fiarOpName(op);
  return fiarStringEqual(name, "stablehlo.async_start") ||
         fiarStringEqual(name, "mhlo.async_start") ||
         fiarStringEqual(fiarAttributeText(fiarOpAttribute(op, "call_target_name")),
                         "all-reduce-start");
}

// The body's all-reduce where it is all that the body does: of the arguments, in order, and what it
// returns.
static MlirOperation only_all_reduce(FiarView* view, MlirBlock block) {
  const MlirOperation none = {NULL};
  MlirOperation op = mlirBlockIsNull(block) ? none : mlirBlockGetFirstOperation(block);
  MlirOperation end = mlirOperationIsNull(op) ? none : mlirOperationGetNextInBlock(op);
  if (mlirOperationIsNull(end) || !mlirOperationIsNull(mlirOperationGetNextInBlock(end)) ||
      fiarPrimitiveKind(view, op) != FIAR_PRIM_ALL_REDUCE) {
    return none;
  }
  intptr_t n = mlirOperationGetNumResults(op);
  bool all = mlirOperationGetNumOperands(op) == n && mlirBlockGetNumArguments(block) == n &&
             mlirOperationGetNumOperands(end) == n;
  for (intptr_t i = 0; all && i < n; ++i) {
    all = mlirValueEqual(mlirOperationGetOperand(op, i), mlirBlockGetArgument(block, i)) &&
          mlirValueEqual(mlirOperationGetOperand(end, i), mlirOperationGetResult(op, i));
  }
  return all ? op : none;
}

static void read_start(FiarView* view, FiarPrimitive* p) {
  p->callee = fiarViewSymbol(view, called_computation(p->op));
}

// async_done has the results of what its operand started.
static void read_done(FiarView* view, FiarPrimitive* p) {
  MlirOperation done = p->op, start = {NULL};
  if (p->n_in == 1 && mlirValueIsAOpResult(p->in[0])) {
    start = mlirOpResultGetOwner(p->in[0]);
  }
  p->kind = FIAR_PRIM_COLLECTIVE;
  if (mlirOperationIsNull(start) || !is_start(start) || mlirOperationGetNumResults(start) != 1 ||
      !mlirOpOperandIsNull(mlirOpOperandGetNextUse(mlirValueGetFirstUse(p->in[0])))) {
    return;
  }
  MlirOperation started = only_all_reduce(view, started_body(view, start));
  if (mlirOperationIsNull(started) ||
      mlirOperationGetNumResults(done) != mlirOperationGetNumOperands(start) ||
      mlirOperationGetNumResults(started) != mlirOperationGetNumResults(done)) {
    return;
  }
  *p = fiarPrimitiveRead(view, started);
  p->op = done;
  p->start = start;
  p->started = started;
}

// ---- by name ----

static const char* const norm_names[] = {"tenstorrent.rms_norm", "aten.rms_norm"};

// (x[, weight]) with the attributes of the named composite; without an epsilon PyTorch's default.
static bool read_named_norm(FiarPrimitive* p, const char* name, const char* attributes) {
  static const double default_epsilon = 0x1p-23;
  MlirStringRef text = fiarAttributeText(fiarOpAttribute(p->op, name));
  bool named = false;
  for (size_t i = 0; i < sizeof norm_names / sizeof *norm_names; ++i) {
    named = named || fiarStringEqual(text, norm_names[i]);
  }
  MlirAttribute all = fiarOpAttribute(p->op, attributes);
  if (!named || mlirAttributeIsNull(all) || !mlirAttributeIsADictionary(all)) {
    return false;
  }
  MlirAttribute epsilon =
      mlirDictionaryAttrGetElementByName(all, mlirStringRefCreateFromCString("epsilon"));
  MlirAttribute shape =
      mlirDictionaryAttrGetElementByName(all, mlirStringRefCreateFromCString("normalized_shape"));
  FiarShape x;
  int64_t normalized;
  p->number = default_epsilon;
  bool known = (p->n_in == 1 || p->n_in == 2) && fiarReadInts(shape, &normalized, 1) == 1 &&
               (mlirAttributeIsNull(epsilon) || fiarReadNumber(epsilon, &p->number)) &&
               fiarShapeRead(mlirValueGetType(p->in[0]), &x) && x.rank > 0 &&
               x.size[x.rank - 1] == normalized && mlirOperationGetNumResults(p->op) == 1;
  p->kind = known ? FIAR_PRIM_RMS_NORM : FIAR_PRIM_PURE;
  return known;
}

static bool is_matrix(MlirValue value) {
  FiarShape shape;
  return fiarShapeRead(mlirValueGetType(value), &shape) && shape.rank >= 2 && shape.rank <= 3 &&
         (shape.rank == 2 || shape.size[0] == 1);
}

// XLA's call for jax.nn.scaled_matmul: (a, b, scales of a, scales of b), the last dimensions
// contracted unless its configuration names others; all in a batch, of which one matrix is taken.
static void read_block_scaled_dot(FiarPrimitive* p) {
  MlirStringRef config = fiarAttributeText(fiarOpAttribute(p->op, "backend_config"));
  char text[256] = "";
  bool fits = mlirOperationGetNumOperands(p->op) == 4 && mlirOperationGetNumResults(p->op) == 1 &&
              config.length < sizeof text && is_matrix(mlirOperationGetResult(p->op, 0));
  for (intptr_t i = 0; fits && i < 4; ++i) {
    fits = is_matrix(mlirOperationGetOperand(p->op, i));
  }
  if (fits && config.length > 0) {
    memcpy(text, config.data, config.length);
  }
  if (fits && strstr(text, "contracting") == NULL) {
    p->kind = FIAR_PRIM_BLOCK_MATMUL;
  }
}

// Custom calls are pure unless they say otherwise; the sharding ones are markers around a value.
static void read_custom_call(FiarView* view, FiarPrimitive* p) {
  p->kind = FIAR_PRIM_PURE;
  static const char* const markers[] = {"Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape",
                                        "xla.sdy.GlobalToLocalShape", "xla.sdy.LocalToGlobalShape"};
  MlirStringRef target = fiarAttributeText(fiarOpAttribute(p->op, "call_target_name"));
  if (is_start(p->op)) {
    p->kind = FIAR_PRIM_START;
    read_start(view, p);
    return;
  }
  if (fiarStringEqual(target, "all-reduce-done")) {
    read_done(view, p);
    return;
  }
  if (read_named_norm(p, "call_target_name", "tt.composite_attributes")) {
    return;
  }
  if (fiarStringEqual(target, "__op$block_scaled_dot")) {
    read_block_scaled_dot(p);
    return;
  }
  for (size_t i = 0; i < sizeof markers / sizeof *markers; ++i) {
    if (fiarStringEqual(target, markers[i]) && mlirOperationGetNumResults(p->op) == 1 &&
        mlirTypeEqual(mlirValueGetType(p->in[0]),
                      mlirValueGetType(mlirOperationGetResult(p->op, 0)))) {
      p->kind = FIAR_PRIM_IDENTITY;
      return;
    }
  }
  MlirAttribute effect = fiarOpAttribute(p->op, "has_side_effect");
  if (!mlirAttributeIsNull(effect) && mlirAttributeIsABool(effect) &&
      mlirBoolAttrGetValue(effect)) {
    p->kind = FIAR_PRIM_UNKNOWN;
  }
}

static bool is_declaration(MlirOperation function) {
  MlirRegion region = mlirOperationGetFirstRegion(function);
  return mlirRegionIsNull(region) || mlirBlockIsNull(mlirRegionGetFirstBlock(region));
}

// A composite is a call of its decomposition; without that, what its name says.
static void read_composite(FiarView* view, FiarPrimitive* p) {
  p->callee = fiarViewSymbol(view, fiarOpAttribute(p->op, "decomposition"));
  if (mlirOperationIsNull(p->callee) || is_declaration(p->callee)) {
    p->callee = (MlirOperation){NULL};
    p->kind = FIAR_PRIM_PURE;
    (void)read_named_norm(p, "name", "composite_attributes");
  }
}

static const char* const dialects[] = {"stablehlo", "mhlo", "chlo", NULL};

static const FiarOpRow rows[] = {
    {"all_reduce", FIAR_PRIM_ALL_REDUCE, read_all_reduce},
    {"reduce_scatter", FIAR_PRIM_REDUCE_SCATTER, read_reduce_scatter},
    {"all_gather", FIAR_PRIM_ALL_GATHER, read_all_gather},
    {"async_start", FIAR_PRIM_START, read_start},
    {"async_done", FIAR_PRIM_ALL_REDUCE, read_done},
    {"all_to_all", FIAR_PRIM_COLLECTIVE, NULL},
    {"collective_broadcast", FIAR_PRIM_COLLECTIVE, NULL},
    {"collective_permute", FIAR_PRIM_COLLECTIVE, NULL},
    {"add", FIAR_PRIM_ADD, NULL},
    {"subtract", FIAR_PRIM_SUB, NULL},
    {"multiply", FIAR_PRIM_MUL, NULL},
    {"divide", FIAR_PRIM_DIV, NULL},
    {"maximum", FIAR_PRIM_MAX, NULL},
    {"minimum", FIAR_PRIM_MIN, NULL},
    {"power", FIAR_PRIM_POWER, NULL},
    {"square", FIAR_PRIM_SQUARE, NULL},
    {"sqrt", FIAR_PRIM_SQRT, NULL},
    {"rsqrt", FIAR_PRIM_RSQRT, NULL},
    {"abs", FIAR_PRIM_ABS, NULL},
    {"negate", FIAR_PRIM_NEGATE, NULL},
    {"exponential", FIAR_PRIM_EXP, NULL},
    {"logistic", FIAR_PRIM_LOGISTIC, NULL},
    {"tanh", FIAR_PRIM_TANH, NULL},
    {"erfc", FIAR_PRIM_ERFC, NULL},
    {"broadcast_add", FIAR_PRIM_ADD, read_same_types},
    {"broadcast_subtract", FIAR_PRIM_SUB, read_same_types},
    {"broadcast_multiply", FIAR_PRIM_MUL, read_same_types},
    {"broadcast_divide", FIAR_PRIM_DIV, read_same_types},
    {"broadcast_maximum", FIAR_PRIM_MAX, read_same_types},
    {"broadcast_minimum", FIAR_PRIM_MIN, read_same_types},
    {"broadcast_power", FIAR_PRIM_POWER, read_same_types},
    {"compare", FIAR_PRIM_PURE, read_compare},
    {"and", FIAR_PRIM_AND, NULL},
    {"or", FIAR_PRIM_OR, NULL},
    {"not", FIAR_PRIM_NOT, read_not},
    {"shift_left", FIAR_PRIM_SHIFT_LEFT, NULL},
    {"shift_right_logical", FIAR_PRIM_SHIFT_RIGHT, NULL},
    {"shift_right_arithmetic", FIAR_PRIM_SHIFT_RIGHT_SIGNED, read_signed_shift},
    {"bitcast_convert", FIAR_PRIM_BITCAST, read_bitcast},
    {"select", FIAR_PRIM_SELECT, NULL},
    {"clamp", FIAR_PRIM_CLAMP, NULL},
    {"reduce", FIAR_PRIM_PURE, read_reduce},
    {"broadcast_in_dim", FIAR_PRIM_BROADCAST, read_broadcast_in_dim},
    {"dynamic_broadcast_in_dim", FIAR_PRIM_BROADCAST, read_broadcast_in_dim},
    {"broadcast", FIAR_PRIM_BROADCAST, read_broadcast},
    {"reshape", FIAR_PRIM_RESHAPE, read_reshape},
    {"dynamic_reshape", FIAR_PRIM_RESHAPE, read_reshape},
    {"transpose", FIAR_PRIM_TRANSPOSE, read_transpose},
    {"pad", FIAR_PRIM_PAD, read_pad},
    {"slice", FIAR_PRIM_SLICE, read_slice},
    {"concatenate", FIAR_PRIM_PURE, read_concatenate},
    {"convert", FIAR_PRIM_CONVERT, NULL},
    {"constant", FIAR_PRIM_CONSTANT, read_constant},
    {"dot_general", FIAR_PRIM_PURE, read_dot_general},
    {"custom_call", FIAR_PRIM_ALL_REDUCE, read_custom_call},
    {"composite", FIAR_PRIM_CALL, read_composite},
    {"optimization_barrier", FIAR_PRIM_IDENTITY, NULL},
    // Ops with regions have the effects of what these hold.
    {"return", FIAR_PRIM_PURE, NULL},
    {"while", FIAR_PRIM_PURE, NULL},
    {"if", FIAR_PRIM_PURE, NULL},
    {"case", FIAR_PRIM_PURE, NULL},
    {"map", FIAR_PRIM_PURE, NULL},
    {"reduce_window", FIAR_PRIM_PURE, NULL},
    {"select_and_scatter", FIAR_PRIM_PURE, NULL},
#define PURE(name) {name, FIAR_PRIM_PURE, NULL},
    PURE("atan2") PURE("cbrt") PURE("ceil") PURE("complex") PURE("convolution") PURE("cosine")
        PURE("count_leading_zeros") PURE("dot") PURE("dynamic_gather") PURE("dynamic_iota")
            PURE("dynamic_pad") PURE("dynamic_slice") PURE("dynamic_update_slice") PURE("erf")
                PURE("exponential_minus_one") PURE("floor") PURE("gather")
                    PURE("get_dimension_size") PURE("get_tuple_element") PURE("imag") PURE("iota")
                        PURE("is_finite") PURE("log") PURE("log_plus_one") PURE("partition_id")
                            PURE("popcnt") PURE("real") PURE("real_dynamic_slice")
                                PURE("reduce_precision") PURE("remainder") PURE("replica_id")
                                    PURE("reverse") PURE("round_nearest_afz")
                                        PURE("round_nearest_even") PURE("scatter")
                                            PURE("set_dimension_size") PURE("sign") PURE("sine")
                                                PURE("sort") PURE("tan") PURE("top_k") PURE("tuple")
                                                    PURE("xor") PURE("constant_like")
#undef PURE
                                                        {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_stablehlo = {dialects, rows};
