// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/fuse.h"
#include "ir/array.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

// The results of fiar.all_reduce_norm, in order.
enum { RESULT_SUM, RESULT_RESIDUAL, RESULT_NORM, RESULT_QUANT, RESULT_SCALES, N_RESULTS };
enum { OPERAND_X, OPERAND_RESIDUAL, OPERAND_WEIGHT, OPERAND_SCALE, N_OPERANDS };

typedef struct plan {
  FiarFusion* fusion;
  FiarAnchor* anchor;
  MlirValue operands[N_OPERANDS];  // null where absent
  MlirValue roots[N_RESULTS];      // the value that each result replaces; null where none
  bool wanted[N_RESULTS];          // a live op uses it
  bool written[N_RESULTS];         // an op may write over a value that it replaces
  FiarMap replaced;                // values -> result
  fiar_scale_layout_t scale_layout;
  MlirOperation after;  // where the fused op goes: behind this
} plan_t;

static void give_up(plan_t* plan, MlirOperation op, const char* text) {
  FiarReason* reason = &plan->anchor->reason;
  snprintf(reason->text, sizeof reason->text, "%s", text);
  reason->location = mlirOperationGetLocation(op);
}

// ---- what is replaced ----

// What was found of a value of the anchor's function; NULL where nothing has asked.
static const FiarTerm* term_of(const plan_t* plan, MlirValue value) {
  const uint32_t* number = fiarMapFind(&plan->fusion->terms, value.ptr, 0);
  return number == NULL ? NULL : fiarTermAt(plan->fusion, *number);
}

static bool is_ordered(const FiarTerm* term) {
  return fiarLayoutIsPerRow(&term->layout) || fiarLayoutIsPerBlock(&term->layout);
}

// The scales that the source computes, or the same ones computed once more.
static bool is_scales(const plan_t* plan, MlirValue value, const FiarTerm* term) {
  const FiarFacts* facts = &plan->anchor->facts;
  if (!fiarIsValue(facts->scales) || facts->quant == FIAR_QUANT_NONE) {
    return false;
  }
  if (mlirValueEqual(value, facts->scales)) {
    return true;
  }
  const FiarTerm* scales = term_of(plan, facts->scales);
  return scales != NULL && mlirValueEqual(value, term->facts.scales) &&
         fiarSameScales(term, scales) && is_ordered(term) && is_ordered(scales);
}

// Which result of the fused op holds what a member does, or -1.
static int result_like(const plan_t* plan, MlirValue value, const FiarTerm* term) {
  const FiarAnchor* anchor = plan->anchor;
  const FiarFacts *facts = &anchor->facts, *t = &term->facts;
  bool in_type = term->layout.shape.elem == anchor->elem && term->rounded;
  if (mlirValueEqual(value, mlirOperationGetResult(anchor->op, anchor->result))) {
    // A rank's rows of the sum alone come as those of the residual.
    return anchor->scatters && !fiarIsValue(facts->residual) ? RESULT_RESIDUAL : RESULT_SUM;
  }
  if (is_scales(plan, value, term) || fiarIsPowerScale(term, facts)) {
    return RESULT_SCALES;
  }
  if (!fiarLayoutIsFull(&term->layout)) {
    return -1;
  }
  // What a quantiser reads is there already: the op computes its codes and scales alone.
  bool norms = plan->fusion->local != FIAR_LOCAL_QUANTISERS;
  switch (term->role) {
    case FIAR_ROLE_HIDDEN:
      return in_type && fiarIsValue(facts->residual) && t->residual.ptr == facts->residual.ptr
                 ? RESULT_RESIDUAL
                 : -1;
    case FIAR_ROLE_NORM:
      return norms && in_type && fiarSameNorm(t, facts) ? RESULT_NORM : -1;
    case FIAR_ROLE_NORMED:
      return in_type && !fiarIsValue(facts->weight) && fiarSameNorm(t, facts) ? RESULT_NORM : -1;
    case FIAR_ROLE_CODES:
      return facts->quant != FIAR_QUANT_NONE && fiarSameFacts(t, facts) ? RESULT_QUANT : -1;
    default:
      return -1;
  }
}

// Which result of the fused op a member is, or -1. Of a sum that is scattered each rank has its
// rows of the residual, and all rows of the rest.
static int result_of(const plan_t* plan, MlirValue value, const FiarTerm* term) {
  const int result = result_like(plan, value, term);
  const bool part = plan->anchor->scatters && !term->facts.gathered;
  return part && result > RESULT_RESIDUAL ? -1 : result;
}

uint32_t fiarPosition(const FiarFusion* fusion, MlirOperation op) {
  const uint32_t* position = fiarMapFind(&fusion->positions, op.ptr, 0);
  return position == NULL ? UINT32_MAX : *position;
}

bool fiarPositionSet(FiarFusion* fusion, MlirOperation op, uint32_t position) {
  return fiarMapSet(&fusion->positions, op.ptr, 0, position);
}

// The first member of each result's kind is its root; members of the same type are the same value.
static void find_roots(plan_t* plan) {
  FiarAnchor* anchor = plan->anchor;
  for (size_t i = 0; i < anchor->n_members; ++i) {
    MlirValue value = anchor->members[i].value;
    int result = result_of(plan, value, fiarTermAt(plan->fusion, anchor->members[i].term));
    if (result >= 0 && (!fiarIsValue(plan->roots[result]) ||
                        fiarIsBefore(plan->fusion, mlirOpResultGetOwner(value),
                                     mlirOpResultGetOwner(plan->roots[result])))) {
      plan->roots[result] = value;
    }
  }
}

// Equal values may be one only while nothing writes over any of them.
static void find_written(plan_t* plan) {
  FiarAnchor* anchor = plan->anchor;
  for (size_t i = 0; i < anchor->n_members && plan->fusion->n_writers > 0; ++i) {
    MlirValue value = anchor->members[i].value;
    int result = result_of(plan, value, fiarTermAt(plan->fusion, anchor->members[i].term));
    if (result >= 0) {
      plan->written[result] |= fiarIsWritten(plan->fusion, value);
    }
  }
}

// Whether a member is the same as its result's root. Scales are only where both are in the order of
// the rows: the root may have become what another op made of it.
static bool is_root(const plan_t* plan, int result, const FiarMember* member) {
  MlirValue root = plan->roots[result];
  if (mlirValueEqual(member->value, root)) {
    return true;
  }
  const FiarTerm* term = term_of(plan, root);
  return result != RESULT_SUM && !plan->written[result] &&
         mlirTypeEqual(mlirValueGetType(member->value), mlirValueGetType(root)) &&
         (result != RESULT_SCALES ||
          (plan->scale_layout == FIAR_SCALE_LAYOUT_LINEAR && term != NULL && is_ordered(term) &&
           is_ordered(fiarTermAt(plan->fusion, member->term))));
}

static void find_replaced(plan_t* plan) {
  FiarAnchor* anchor = plan->anchor;
  fiarMapClear(&plan->replaced);
  for (size_t i = 0; i < anchor->n_members; ++i) {
    const FiarMember* member = &anchor->members[i];
    int result = result_of(plan, member->value, fiarTermAt(plan->fusion, member->term));
    if (result >= 0 && is_root(plan, result, member)) {
      plan->fusion->failed |= !fiarMapSet(&plan->replaced, member->value.ptr, 0, (uint32_t)result);
    }
  }
}

// Calls `visit` for each live use of a replaced value.
static void each_live_use(plan_t* plan, void (*visit)(plan_t*, int, MlirOperation, void*),
                          void* data) {
  FiarAnchor* anchor = plan->anchor;
  for (size_t i = 0; i < anchor->n_members; ++i) {
    uint32_t* result = fiarMapFind(&plan->replaced, anchor->members[i].value.ptr, 0);
    if (result == NULL) {
      continue;
    }
    for (MlirOpOperand use = mlirValueGetFirstUse(anchor->members[i].value);
         !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
      MlirOperation user = mlirOpOperandGetOwner(use);
      if (!fiarIsDead(plan->fusion, user)) {
        visit(plan, (int)*result, user, data);
      }
    }
  }
}

typedef struct only_user {
  MlirOperation op;
  bool several;
} only_user_t;

static void note_user(plan_t* plan, int result, MlirOperation user, void* data) {
  only_user_t* users = data;
  plan->wanted[result] = true;
  users[result].several |=
      !mlirOperationIsNull(users[result].op) && !mlirOperationEqual(users[result].op, user);
  users[result].op = user;
}

// Where all that uses a result is one reshape of it, the reshape's own shape is the result's.
static bool take_reshape(plan_t* plan, int result, const only_user_t* user) {
  if (!plan->wanted[result] || user->several || result == RESULT_SUM ||
      fiarPrimitiveKind(&plan->fusion->view, user->op) != FIAR_PRIM_RESHAPE ||
      mlirOperationGetNumOperands(user->op) != 1 ||
      !mlirBlockEqual(mlirOperationGetBlock(user->op), mlirOperationGetBlock(plan->anchor->op))) {
    return false;
  }
  MlirValue reshaped = mlirOperationGetResult(user->op, 0);
  const FiarTerm* term = term_of(plan, reshaped);
  bool ordered =
      term != NULL && fiarIsChain(term) &&
      (result == RESULT_SCALES
           ? is_ordered(term)
           : (fiarLayoutIsFull(&term->layout) && term->layout.shape.rank > 1 &&
              term->layout.shape.size[term->layout.shape.rank - 1] == plan->anchor->hidden));
  if (!ordered) {
    return false;
  }
  plan->roots[result] = reshaped;
  return true;
}

// Where all that uses the scales puts them into another layout, that is the result.
static bool take_layout(plan_t* plan) {
  if (!plan->wanted[RESULT_SCALES] || plan->scale_layout != FIAR_SCALE_LAYOUT_LINEAR) {
    return false;
  }
  MlirValue moved =
      fiarScalesMoved(plan->fusion, plan->anchor, plan->roots[RESULT_SCALES], &plan->scale_layout);
  if (!fiarIsValue(moved)) {
    return false;
  }
  plan->roots[RESULT_SCALES] = moved;
  return true;
}

// Marks what dies, finds which results live ops want, and their shapes.
static void settle_results(plan_t* plan) {
  size_t dead = plan->fusion->n_dead;
  bool reshaped = true;
  while (reshaped && !plan->fusion->failed) {
    only_user_t users[N_RESULTS] = {0};
    reshaped = false;
    fiarUnmarkDead(plan->fusion, dead);
    memset(plan->wanted, 0, sizeof plan->wanted);
    find_replaced(plan);
    for (int result = 0; result < N_RESULTS; ++result) {
      if (fiarIsValue(plan->roots[result])) {
        plan->fusion->failed |=
            !fiarMapSet(&plan->replaced, plan->roots[result].ptr, 0, (uint32_t)result);
      }
    }
    (void)fiarMarkDead(plan->fusion, plan->anchor, &plan->replaced);
    each_live_use(plan, note_user, users);
    for (int result = 0; result < N_RESULTS; ++result) {
      reshaped |= take_reshape(plan, result, &users[result]);
    }
    reshaped = reshaped || take_layout(plan);
  }
}

// ---- where it goes ----

static MlirValue current(const FiarFusion* fusion, MlirValue value) {
  for (uint32_t* at; fiarIsValue(value) && (at = fiarMapFind(&fusion->replaced, value.ptr, 0));) {
    value = fusion->replacements[*at];
  }
  return value;
}

// The op of the anchor's block that holds `op`, or null.
static MlirOperation ancestor_in(MlirOperation op, MlirBlock block) {
  while (!mlirOperationIsNull(op) && !mlirBlockEqual(mlirOperationGetBlock(op), block)) {
    op = mlirOperationGetParentOperation(op);
  }
  return op;
}

static bool effects_between(plan_t* plan, MlirOperation from, MlirOperation to) {
  for (MlirOperation op = mlirOperationGetNextInBlock(from); !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    FiarPrimitiveKind kind = fiarPrimitiveRead(&plan->fusion->view, op).kind;
    bool collective = kind == FIAR_PRIM_ALL_REDUCE || kind == FIAR_PRIM_REDUCE_SCATTER ||
                      kind == FIAR_PRIM_ALL_GATHER || kind == FIAR_PRIM_COLLECTIVE ||
                      kind == FIAR_PRIM_START;
    bool pure = fiarPrimitivePure(&plan->fusion->view, op) && !fiarIsStandIn(plan->fusion, op);
    if (!collective && !fiarIsDead(plan->fusion, op) && !pure) {
      give_up(plan, op,
              "an op that may have effects stands between the all-reduce and the norm's operands");
      return true;
    }
    if (mlirOperationEqual(op, to)) {
      break;
    }
  }
  return false;
}

typedef struct use_check {
  MlirOperation after;
  MlirOperation too_early;
} use_check_t;

static void check_use(plan_t* plan, int result, MlirOperation user, void* data) {
  (void)result;
  use_check_t* check = data;
  MlirOperation op = ancestor_in(user, mlirOperationGetBlock(plan->anchor->op));
  if (!mlirOperationIsNull(op) && !fiarIsBefore(plan->fusion, check->after, op)) {
    check->too_early = user;
  }
}

// Behind the all-reduce and every operand, before every live use.
static bool place(plan_t* plan) {
  MlirOperation anchor = plan->anchor->op;
  MlirBlock block = mlirOperationGetBlock(anchor);
  plan->after = anchor;
  for (int i = 0; i < N_OPERANDS; ++i) {
    if (!fiarIsValue(plan->operands[i]) || !mlirValueIsAOpResult(plan->operands[i])) {
      continue;
    }
    MlirOperation op = mlirOpResultGetOwner(plan->operands[i]);
    if (mlirBlockEqual(mlirOperationGetBlock(op), block) &&
        fiarIsBefore(plan->fusion, plan->after, op)) {
      plan->after = op;
    }
  }
  use_check_t check = {plan->after, {NULL}};
  each_live_use(plan, check_use, &check);
  if (!mlirOperationIsNull(check.too_early)) {
    give_up(plan, check.too_early,
            "the sum or the residual is used before an operand of the fused op is defined");
    return false;
  }
  // From where the source reads what is reduced.
  const FiarAnchor* from = plan->anchor;
  MlirOperation reads = from->primitive.op;
  MlirValue wide = from->widened ? mlirOperationGetOperand(reads, from->result) : (MlirValue){NULL};
  if (fiarIsValue(wide) && mlirValueIsAOpResult(wide)) {
    reads = mlirOpResultGetOwner(wide);
  }
  return mlirOperationEqual(plan->after, reads) || !effects_between(plan, reads, plan->after);
}

// ---- the op ----

static const char* quant_text(fiar_quant_t quant) {
  static const char* const texts[] = {
#define X(name, value, text, code_bits, block) [value] = text,
#include "fiar/quant_formats.def"
#undef X
  };
  return texts[quant];
}

#define X(name, value, text) [value] = text,
static const char* const scale_is_texts[] = {FIAR_SCALE_IS_TABLE(X)};
static const char* const scale_type_texts[] = {FIAR_SCALE_TYPE_TABLE(X)};
static const char* const scale_layout_texts[] = {FIAR_SCALE_LAYOUT_TABLE(X)};
static const char* const rounding_texts[] = {FIAR_NORM_ROUNDING_TABLE(X)};
static const char* const norm_input_texts[] = {FIAR_NORM_INPUT_TABLE(X)};
#undef X

// The attributes of an op, sorted by name as MLIR keeps them, and what they are made of.
enum { N_ATTRIBUTES = 16 };
typedef struct FiarAttributes {
  MlirContext context;
  FiarFacts facts;
  fiar_scale_layout_t scale_layout;
  int64_t world;
  MlirAttribute groups;
  const char* mode;
  const char* residual_layout;
  int32_t operands[N_OPERANDS], results[N_RESULTS];
  int n;
  MlirNamedAttribute list[N_ATTRIBUTES];
} FiarAttributes;

static void attribute_add(FiarAttributes* to, const char* name, MlirAttribute value) {
  MlirIdentifier id = mlirIdentifierGet(to->context, mlirStringRefCreateFromCString(name));
  to->list[to->n++] = mlirNamedAttributeGet(id, value);
}

static void text_add(FiarAttributes* to, const char* name, const char* text) {
  attribute_add(to, name, mlirStringAttrGet(to->context, mlirStringRefCreateFromCString(text)));
}

static void float_add(FiarAttributes* to, const char* name, double value) {
  attribute_add(to, name, mlirFloatAttrDoubleGet(to->context, mlirF32TypeGet(to->context), value));
}

static void int_add(FiarAttributes* to, const char* name, int64_t value) {
  attribute_add(to, name, mlirIntegerAttrGet(mlirIntegerTypeGet(to->context, 64), value));
}

static void attributes_fill(FiarAttributes* to) {
  const FiarFacts* facts = &to->facts;
  float_add(to, "eps", facts->eps);
  text_add(to, "group_mode", to->mode);
  int_add(to, "group_size", facts->group_size);
  attribute_add(to, "groups", to->groups);
  text_add(to, "norm_input", norm_input_texts[facts->norm_input_f32]);
  text_add(to, "norm_rounding", rounding_texts[facts->rounding]);
  attribute_add(to, "operandSegmentSizes",
                mlirDenseI32ArrayGet(to->context, N_OPERANDS, to->operands));
  text_add(to, "quant", quant_text(facts->quant));
  text_add(to, "residual_layout", to->residual_layout);
  attribute_add(to, "resultSegmentSizes",
                mlirDenseI32ArrayGet(to->context, N_RESULTS, to->results));
  text_add(to, "scale_is", scale_is_texts[facts->scale_is]);
  text_add(to, "scale_layout", scale_layout_texts[to->scale_layout]);
  float_add(to, "scale_min", facts->scale_min);
  text_add(to, "scale_type", scale_type_texts[facts->scale_type]);
  float_add(to, "weight_bias", facts->weight_bias);
  int_add(to, "world", to->world);
}

static bool same_number(double a, double b) {
  return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b));
}

// Whether both describe ops whose attributes are equal.
static bool same_attributes(const FiarAttributes* a, const FiarAttributes* b) {
  const FiarFacts *f = &a->facts, *g = &b->facts;
  return a->context.ptr == b->context.ptr && same_number(f->eps, g->eps) &&
         same_number(f->weight_bias, g->weight_bias) && same_number(f->scale_min, g->scale_min) &&
         f->quant == g->quant && f->scale_is == g->scale_is && f->scale_type == g->scale_type &&
         f->group_size == g->group_size && f->norm_input_f32 == g->norm_input_f32 &&
         f->rounding == g->rounding && a->scale_layout == b->scale_layout && a->world == b->world &&
         strcmp(a->residual_layout, b->residual_layout) == 0 &&
         mlirAttributeEqual(a->groups, b->groups) && strcmp(a->mode, b->mode) == 0 &&
         memcmp(a->operands, b->operands, sizeof a->operands) == 0 &&
         memcmp(a->results, b->results, sizeof a->results) == 0;
}

// The layers of a model have equal attributes: those of the op before are made once.
static const FiarAttributes* attributes_of(const plan_t* plan, const int32_t* operands,
                                           const int32_t* results) {
  const FiarAnchor* anchor = plan->anchor;
  FiarAttributes** last = &plan->fusion->attributes;
  FiarAttributes made = {.context = mlirOperationGetContext(anchor->op),
                         .facts = anchor->facts,
                         .scale_layout = plan->scale_layout,
                         .world = anchor->world,
                         .groups = anchor->primitive.groups,
                         .mode = anchor->primitive.mode,
                         .residual_layout = fiarResidualLayoutText(anchor)};
  memcpy(made.operands, operands, sizeof made.operands);
  memcpy(made.results, results, sizeof made.results);
  if (*last != NULL && same_attributes(*last, &made)) {
    return *last;
  }
  if (*last == NULL) {
    *last = malloc(sizeof **last);
  }
  if (*last != NULL) {
    attributes_fill(&made);
    **last = made;
  }
  return *last;
}

// The location of everything the op stands for, the all-reduce's first.
static MlirLocation fused_location(const plan_t* plan) {
  FiarAnchor* anchor = plan->anchor;
  MlirLocation unknown = mlirLocationUnknownGet(mlirLocationGetContext(anchor->location));
  MlirLocation* locations = malloc((anchor->n_members + 1) * sizeof *locations);
  if (locations == NULL) {
    return anchor->location;
  }
  intptr_t n = 0;
  FiarMap seen = {0};
  (void)fiarMapSet(&seen, unknown.ptr, 0, 0);
  for (size_t i = 0; i < anchor->n_members; ++i) {
    MlirOperation op = mlirOpResultGetOwner(anchor->members[i].value);
    MlirLocation location = mlirOperationGetLocation(op);
    bool part = i == 0 || fiarIsDead(plan->fusion, op);
    if (part && fiarMapFind(&seen, location.ptr, 0) == NULL) {
      (void)fiarMapSet(&seen, location.ptr, 0, 0);
      locations[n++] = location;
    }
  }
  MlirLocation fused = n == 0   ? unknown
                       : n == 1 ? locations[0]
                                : mlirLocationFusedGet(mlirLocationGetContext(unknown), n,
                                                       locations, mlirAttributeGetNull());
  fiarMapClear(&seen);
  free(locations);
  return fused;
}

// Null when out of memory.
static MlirOperation build(plan_t* plan) {
  int32_t operand_sizes[N_OPERANDS] = {0}, result_sizes[N_RESULTS] = {0};
  MlirValue operands[N_OPERANDS];
  MlirType results[N_RESULTS];
  int n_operands = 0, n_results = 0;
  for (int i = 0; i < N_OPERANDS; ++i) {
    if (fiarIsValue(plan->operands[i])) {
      operand_sizes[i] = 1;
      operands[n_operands++] = plan->operands[i];
    }
  }
  for (int i = 0; i < N_RESULTS; ++i) {
    if (plan->wanted[i]) {
      result_sizes[i] = 1;
      results[n_results++] = mlirValueGetType(plan->roots[i]);
    }
  }
  const FiarAttributes* attributes = attributes_of(plan, operand_sizes, result_sizes);
  if (attributes == NULL) {
    return (MlirOperation){NULL};
  }
  MlirOperationState state = mlirOperationStateGet(
      mlirStringRefCreateFromCString("fiar.all_reduce_norm"), fused_location(plan));
  mlirOperationStateAddOperands(&state, n_operands, operands);
  mlirOperationStateAddResults(&state, n_results, results);
  mlirOperationStateAddAttributes(&state, attributes->n, attributes->list);
  return mlirOperationCreate(&state);
}

static bool replacement_add(FiarFusion* fusion, MlirValue from, MlirValue to) {
  MlirValue* values = fiarGrow(fusion->replacements, fusion->n_replaced, &fusion->replaced_capacity,
                               sizeof *values);
  if (values == NULL) {
    return false;
  }
  fusion->replacements = values;
  fusion->replacements[fusion->n_replaced] = to;
  return fiarMapSet(&fusion->replaced, from.ptr, 0, (uint32_t)fusion->n_replaced++);
}

static void replace_values(plan_t* plan, MlirOperation fused) {
  FiarAnchor* anchor = plan->anchor;
  MlirValue results[N_RESULTS] = {{NULL}};
  intptr_t n = 0;
  for (int i = 0; i < N_RESULTS; ++i) {
    if (plan->wanted[i]) {
      results[i] = mlirOperationGetResult(fused, n++);
    }
  }
  for (size_t i = 0; i < anchor->n_members; ++i) {
    MlirValue value = anchor->members[i].value;
    uint32_t* result = fiarMapFind(&plan->replaced, value.ptr, 0);
    if (result != NULL && plan->wanted[*result]) {
      mlirValueReplaceAllUsesOfWith(value, results[*result]);
      plan->fusion->failed |= !replacement_add(plan->fusion, value, results[*result]);
    }
  }
}

// The all-reduce itself goes once all its results do; a reduce-scatter with its all-gather.
static void retire_anchor(plan_t* plan) {
  MlirOperation op = plan->anchor->op;
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
    for (MlirOpOperand use = mlirValueGetFirstUse(mlirOperationGetResult(op, i));
         !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
      if (!fiarIsDead(plan->fusion, mlirOpOperandGetOwner(use))) {
        return;
      }
    }
  }
  (void)fiarMarkOpDead(plan->fusion, op);
  fiarMarkOperands(plan->fusion, op, &plan->replaced);
  MlirOperation scatter = plan->anchor->primitive.op;
  // From the op that has the sum back to the one that begins it, by way of a wait.
  while (!mlirOperationEqual(scatter, op)) {
    MlirValue part = mlirOperationGetOperand(op, 0);
    op = mlirOpResultGetOwner(part);
    if (!mlirOpOperandIsNull(mlirOpOperandGetNextUse(mlirValueGetFirstUse(part)))) {
      break;
    }
    (void)fiarMarkOpDead(plan->fusion, op);
    fiarMarkOperands(plan->fusion, op, &plan->replaced);
  }
}

// Where the source quantises with 1 / scale, an op of the source's computes that.
static void invert_scale(plan_t* plan) {
  MlirValue* scale = &plan->operands[OPERAND_SCALE];
  if (!fiarIsValue(*scale) || plan->anchor->facts.inverse == NULL) {
    return;
  }
  MlirOperationState state = mlirOperationStateGet(
      mlirStringRefCreateFromCString(plan->anchor->facts.inverse), plan->anchor->location);
  MlirType type = mlirValueGetType(*scale);
  mlirOperationStateAddOperands(&state, 1, scale);
  mlirOperationStateAddResults(&state, 1, &type);
  MlirOperation op = mlirOperationCreate(&state);
  mlirBlockInsertOwnedOperationAfter(mlirOperationGetBlock(plan->anchor->op), plan->after, op);
  plan->fusion->failed |=
      !fiarPositionSet(plan->fusion, op, fiarPosition(plan->fusion, plan->after) + 1);
  *scale = mlirOperationGetResult(op, 0);
  plan->after = op;
}

// The anchor's facts as they are now, quantiser included or not.
static bool rewrite(FiarFusion* fusion, FiarAnchor* anchor) {
  plan_t plan = {.fusion = fusion, .anchor = anchor, .scale_layout = anchor->facts.scale_layout};
  size_t dead = fusion->n_dead;
  plan.operands[OPERAND_X] = current(fusion, anchor->input);
  plan.operands[OPERAND_RESIDUAL] = current(fusion, anchor->facts.residual);
  plan.operands[OPERAND_WEIGHT] = current(fusion, anchor->facts.weight);
  plan.operands[OPERAND_SCALE] = anchor->facts.quant == FIAR_QUANT_NONE
                                     ? (MlirValue){NULL}
                                     : current(fusion, anchor->facts.scale);
  for (int i = 0; i < N_OPERANDS; ++i) {
    if (fiarIsValue(plan.operands[i]) && mlirValueIsAOpResult(plan.operands[i])) {
      MlirOperation op = mlirOpResultGetOwner(plan.operands[i]);
      fusion->failed |= !fiarMapSet(&fusion->kept, op.ptr, 0, 1);
    }
  }
  find_roots(&plan);
  find_written(&plan);
  settle_results(&plan);
  bool ok = !fusion->failed && place(&plan);
  if (ok && !plan.wanted[RESULT_NORM] && !plan.wanted[RESULT_QUANT]) {
    give_up(&plan, anchor->op, "nothing uses the norm");
    ok = false;
  }
  if (ok && anchor->scatters && plan.wanted[RESULT_SUM]) {
    give_up(&plan, anchor->op, "the sum's rows are used beside the residual's");
    ok = false;
  }
  if (ok) {
    invert_scale(&plan);
    MlirOperation fused = build(&plan);
    if (mlirOperationIsNull(fused)) {
      fusion->failed = true;
      fiarMapClear(&plan.replaced);
      return false;
    }
    mlirBlockInsertOwnedOperationAfter(mlirOperationGetBlock(anchor->op), plan.after, fused);
    fusion->failed |= !fiarPositionSet(fusion, fused, fiarPosition(fusion, plan.after) + 1);
    replace_values(&plan, fused);
    retire_anchor(&plan);
    anchor->wanted = 0;
    for (int i = 0; i < N_RESULTS; ++i) {
      anchor->wanted |= plan.wanted[i] ? 1u << i : 0;
    }
  } else {
    fiarUnmarkDead(fusion, dead);
  }
  fiarMapClear(&plan.replaced);
  return ok;
}

bool fiarRewrite(FiarFusion* fusion, FiarAnchor* anchor) {
  if (rewrite(fusion, anchor)) {
    return true;
  }
  if (anchor->facts.quant == FIAR_QUANT_NONE || fusion->failed ||
      fusion->local == FIAR_LOCAL_QUANTISERS) {
    return false;
  }
  // What the quantiser reads may be computed too late, from the norm itself for example.
  if (anchor->quant_reason.rank == 0) {
    anchor->quant_reason = anchor->reason;
    anchor->quant_reason.rank = 1;
  }
  anchor->facts.quant = FIAR_QUANT_NONE;
  anchor->facts.scale_layout = FIAR_SCALE_LAYOUT_LINEAR;
  return rewrite(fusion, anchor);
}
