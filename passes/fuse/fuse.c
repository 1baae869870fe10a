// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-fuse.
//
// Before:  %s = stablehlo.all_reduce %x        After:  %r, %q = fiar.all_reduce_norm %x, %residual,
// %w, %scale
//          %r = add %s, %residual                        {eps, quant = "fp8_static", world, groups,
//          ...} %n = <RMSNorm of %r, weight %w> %q = convert(clamp(%n / %scale)) to f8E4M3FN
//
// docs/passes/fiar-fuse.md has the forms, the options and every refusal.
#include "fuse/fuse.h"
#include "ir/array.h"
#include "ir/options.h"
#include "shard/shard.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mlir-c/BuiltinAttributes.h"

// Callee ops that one all-reduce may cost: enough for nested helpers, an end for hostile modules.
enum { CALL_BUDGET = 20000, POSITION_STEP = 64 };

// ---- finding the all-reduces ----

static FiarAnchor* anchor_add(FiarFusion* fusion, MlirOperation op) {
  FiarAnchor* anchors =
      fiarGrow(fusion->anchors, fusion->n_anchors, &fusion->anchor_capacity, sizeof *anchors);
  if (anchors == NULL) {
    fusion->failed = true;
    return NULL;
  }
  fusion->anchors = anchors;
  FiarAnchor* anchor = &fusion->anchors[fusion->n_anchors++];
  *anchor = (FiarAnchor){.op = op, .location = mlirOperationGetLocation(op)};
  anchor->reason.location = anchor->quant_reason.location = anchor->location;
  return anchor;
}

// all_gather(reduce_scatter(x)) along one dimension and one group is an all-reduce of x.
static bool is_split_all_reduce(FiarFusion* fusion, MlirOperation op, FiarPrimitive* out_scatter) {
  FiarPrimitive gather = fiarPrimitiveRead(&fusion->view, op);
  if (gather.kind != FIAR_PRIM_ALL_GATHER || gather.n_in != 1 || gather.n_dims != 1 ||
      mlirOperationGetNumResults(op) != 1 || !mlirValueIsAOpResult(gather.in[0])) {
    return false;
  }
  FiarPrimitive scatter = fiarPrimitiveRead(&fusion->view, mlirOpResultGetOwner(gather.in[0]));
  if (scatter.kind == FIAR_PRIM_IDENTITY && scatter.n_in == 1 &&
      mlirValueIsAOpResult(scatter.in[0])) {  // a wait
    scatter = fiarPrimitiveRead(&fusion->view, mlirOpResultGetOwner(scatter.in[0]));
  }
  if (!mlirBlockEqual(mlirOperationGetBlock(scatter.op), mlirOperationGetBlock(op)) ||
      scatter.kind != FIAR_PRIM_REDUCE_SCATTER || scatter.n_in != 1 || scatter.n_dims != 1 ||
      scatter.dims[0] != gather.dims[0] || strcmp(scatter.mode, gather.mode) != 0 ||
      scatter.world != gather.world || mlirAttributeIsNull(scatter.groups) ||
      !mlirAttributeEqual(scatter.groups, gather.groups) ||
      !mlirTypeEqual(mlirValueGetType(scatter.in[0]),
                     mlirValueGetType(mlirOperationGetResult(op, 0)))) {
    return false;
  }
  *out_scatter = scatter;
  return true;
}

// The only op that uses the value, in its own block; null where there are several or none.
static MlirOperation only_user(MlirValue value) {
  MlirOpOperand use = mlirValueGetFirstUse(value);
  MlirOperation none = {NULL};
  if (mlirOpOperandIsNull(use) || !mlirOpOperandIsNull(mlirOpOperandGetNextUse(use))) {
    return none;
  }
  MlirOperation user = mlirOpOperandGetOwner(use);
  MlirBlock block = mlirOperationGetBlock(mlirOpResultGetOwner(value));
  return mlirBlockEqual(mlirOperationGetBlock(user), block) ? user : none;
}

// What an op of kind CONVERT makes `to` of `from`; null where the op is none, or of other types.
static MlirValue converted(FiarFusion* fusion, MlirOperation op, FiarElement from, FiarElement to) {
  FiarPrimitive convert = fiarPrimitiveRead(&fusion->view, op);
  FiarShape in, out;
  const bool fits = convert.kind == FIAR_PRIM_CONVERT && convert.n_in == 1 &&
                    mlirOperationGetNumResults(op) == 1 &&
                    fiarShapeRead(mlirValueGetType(convert.in[0]), &in) && in.elem == from &&
                    fiarShapeRead(mlirValueGetType(mlirOperationGetResult(op, 0)), &out) &&
                    out.elem == to;
  return fits ? convert.in[0] : (MlirValue){NULL};
}

// T(all_reduce(f32(x))), the sum used nowhere else, is what a fused op computes of x: the ranks'
// values added in f32 and rounded once. Gives the op that rounds, which has the sum then, or null.
static MlirOperation rounds_widened_sum(FiarFusion* fusion, const FiarPrimitive* reduce) {
  const MlirOperation none = {NULL};
  if (mlirOperationGetNumResults(reduce->op) != 1 || !mlirOperationIsNull(reduce->start) ||
      !mlirOperationIsNull(reduce->started) ||
      !mlirValueIsAOpResult(fiarReducedOperand(reduce, 0))) {
    return none;
  }
  MlirOperation widens = mlirOpResultGetOwner(fiarReducedOperand(reduce, 0));
  MlirOperation rounds = only_user(mlirOperationGetResult(reduce->op, 0));
  static const FiarElement narrow[] = {FIAR_ELEM_BF16, FIAR_ELEM_F16};
  const bool here = !mlirOperationIsNull(rounds) &&
                    mlirBlockEqual(mlirOperationGetBlock(widens), mlirOperationGetBlock(rounds));
  for (size_t i = 0; here && i < sizeof narrow / sizeof *narrow; ++i) {
    if (fiarIsValue(converted(fusion, widens, narrow[i], FIAR_ELEM_F32)) &&
        fiarIsValue(converted(fusion, rounds, FIAR_ELEM_F32, narrow[i]))) {
      return rounds;
    }
  }
  return none;
}

// What the fused op would reduce.
static MlirValue reduced(FiarFusion* fusion, const FiarAnchor* anchor) {
  MlirValue in = mlirOperationGetOperand(anchor->primitive.op, anchor->result);
  return anchor->widened && mlirValueIsAOpResult(in)
             ? fiarPrimitiveRead(&fusion->view, mlirOpResultGetOwner(in)).in[0]
             : in;
}

static void collect_local(FiarFusion* fusion, MlirOperation op) {
  FiarAnchor* anchor =
      fiarStringEqual(fiarOpName(op), "fiar." FIAR_LOCAL_SUM) ? anchor_add(fusion, op) : NULL;
  if (anchor != NULL) {
    MlirContext context = mlirOperationGetContext(op);
    anchor->input = mlirOperationGetOperand(op, 0);
    anchor->primitive = (FiarPrimitive){.kind = FIAR_PRIM_ALL_REDUCE,
                                        .op = op,
                                        .groups = mlirUnitAttrGet(context),
                                        .mode = FIAR_LOCAL_MODE,
                                        .reduction = "sum"};
  }
}

static void collect_scatter(FiarFusion* fusion, MlirOperation op) {
  FiarPrimitive scatter;
  if (!fiarScattersRows(fusion, op, &scatter)) {
    return;
  }
  MlirOperation rounds = rounds_widened_sum(fusion, &scatter);
  const bool widened = !mlirOperationIsNull(rounds);
  FiarAnchor* anchor = anchor_add(fusion, widened ? rounds : op);
  if (anchor != NULL) {
    anchor->primitive = scatter;
    anchor->location = mlirOperationGetLocation(op);
    anchor->input = scatter.in[0];
    anchor->widened = widened;
    anchor->scatters = fusion->scatters = true;
  }
}

static void collect_all_reduce(FiarFusion* fusion, MlirOperation op) {
  FiarPrimitive primitive = fiarPrimitiveRead(&fusion->view, op);
  if (primitive.kind != FIAR_PRIM_ALL_REDUCE) {
    return;
  }
  const intptr_t results = mlirOperationGetNumResults(op);
  MlirOperation rounds = rounds_widened_sum(fusion, &primitive);
  const bool widened = !mlirOperationIsNull(rounds);
  for (intptr_t i = 0; i < results; ++i) {
    FiarAnchor* anchor = anchor_add(fusion, widened ? rounds : op);
    if (anchor == NULL) {
      return;
    }
    anchor->result = (int)i;
    anchor->widened = widened;
    anchor->location = mlirOperationGetLocation(op);
    anchor->primitive = primitive;
    anchor->input = fiarReducedOperand(&primitive, i);
    if (!mlirOperationIsNull(primitive.start)) {
      anchor->primitive.op = primitive.start;  // goes with the op that waits
    }
  }
  if (!mlirOperationIsNull(primitive.started)) {
    fusion->failed |= !fiarMapSet(&fusion->started, primitive.started.ptr, 0, 1);
  } else if (results == 0) {
    FiarAnchor* anchor = anchor_add(fusion, op);
    if (anchor != NULL) {
      anchor->primitive = primitive;
      anchor->result = -1;
    }
  }
}

static void collect_op(FiarFusion* fusion, MlirOperation op) {
  if (fiarWritesOperands(fusion, op)) {
    fusion->failed |= !fiarMutationNote(fusion, op);
  }
  if (fusion->local != FIAR_LOCAL_NONE) {
    collect_local(fusion, op);
    return;
  }
  FiarPrimitiveKind kind = fiarPrimitiveKind(&fusion->view, op);
  FiarPrimitive scatter;
  if (kind == FIAR_PRIM_ALL_REDUCE) {
    collect_all_reduce(fusion, op);
  }
  const bool reads = kind == FIAR_PRIM_ALL_REDUCE;  // what it is, only reading the op tells
  if (kind == FIAR_PRIM_REDUCE_SCATTER || reads) {
    collect_scatter(fusion, op);
  }
  if ((kind == FIAR_PRIM_ALL_GATHER || reads) && is_split_all_reduce(fusion, op, &scatter)) {
    FiarAnchor* anchor = anchor_add(fusion, op);
    if (anchor != NULL) {
      anchor->primitive = scatter;
      anchor->input = scatter.in[0];
    }
  }
}

// Numbers all ops within `op`, in the order of the text, and shows each to `visit`, if there is
// one.
static void number(FiarFusion* fusion, MlirOperation op,
                   void (*visit)(FiarFusion* fusion, MlirOperation op)) {
  for (MlirRegion region = mlirOperationGetFirstRegion(op); !mlirRegionIsNull(region);
       region = mlirRegionGetNextInOperation(region)) {
    for (MlirBlock block = mlirRegionGetFirstBlock(region); !mlirBlockIsNull(block);
         block = mlirBlockGetNextInRegion(block)) {
      for (MlirOperation inner = mlirBlockGetFirstOperation(block); !mlirOperationIsNull(inner);
           inner = mlirOperationGetNextInBlock(inner)) {
        fusion->n_positions += POSITION_STEP;
        fusion->failed |= !fiarPositionSet(fusion, inner, fusion->n_positions);
        if (visit != NULL) {
          visit(fusion, inner);
        }
        number(fusion, inner, visit);
      }
    }
  }
}

static void drop_if(FiarFusion* fusion, bool (*drops)(FiarFusion*, const FiarAnchor*)) {
  size_t kept = 0;
  for (size_t i = 0; i < fusion->n_anchors; ++i) {
    if (!drops(fusion, &fusion->anchors[i])) {
      fusion->anchors[kept++] = fusion->anchors[i];
    }
  }
  fusion->n_anchors = kept;
}

// An all-reduce that another op starts is that op's: it is not one of its own.
static bool is_started(FiarFusion* fusion, const FiarAnchor* anchor) {
  return fiarMapFind(&fusion->started, anchor->op.ptr, 0) != NULL;
}

// Two halves are an all-reduce no more where an op writes over what is between them.
static bool is_no_split(FiarFusion* fusion, const FiarAnchor* anchor) {
  FiarPrimitive scatter;
  return anchor->primitive.kind == FIAR_PRIM_REDUCE_SCATTER && !anchor->scatters &&
         !is_split_all_reduce(fusion, anchor->op, &scatter);
}

// The first half of two is no sum of its own where nothing else uses it.
static bool is_first_half(FiarFusion* fusion, const FiarAnchor* anchor) {
  FiarPrimitive scatter;
  if (!anchor->scatters) {
    return false;
  }
  MlirOperation user = only_user(mlirOperationGetResult(anchor->op, 0));
  if (!mlirOperationIsNull(user) && mlirOperationGetNumResults(user) == 1 &&
      fiarPrimitiveRead(&fusion->view, user).kind == FIAR_PRIM_IDENTITY) {  // a wait
    user = only_user(mlirOperationGetResult(user, 0));
  }
  return !mlirOperationIsNull(user) && is_split_all_reduce(fusion, user, &scatter);
}

// The reason that stands, whatever its uses give.
__attribute__((format(printf, 2, 3))) static void leave(FiarAnchor* anchor, const char* text, ...) {
  va_list arguments;
  va_start(arguments, text);
  vsnprintf(anchor->reason.text, sizeof anchor->reason.text, text, arguments);
  va_end(arguments);
  anchor->reason.rank = INT32_MAX;
  anchor->reason.location = anchor->location;
}

#define LEAVE(anchor, ...)      \
  do {                          \
    leave(anchor, __VA_ARGS__); \
    return;                     \
  } while (0)

// Whether the groups allow a fused call, and if so what they are.
static bool anchor_world(FiarFusion* fusion, FiarAnchor* anchor) {
  char text[sizeof anchor->reason.text];
  int64_t wanted = fusion->options->world;
  anchor->world = fiarGroupsWorld(&fusion->view, &anchor->primitive, text, sizeof text);
  if (anchor->scatters && anchor->world > 1 && wanted > 0 && anchor->world != wanted) {
    snprintf(text, sizeof text, "its groups have %" PRId64 " ranks, not the %" PRId64 " of `world`",
             anchor->world, wanted);
    anchor->world = 0;
  } else if (anchor->scatters && anchor->world < 0) {
    anchor->world = 0;  // a contradiction, maybe, but none of what this pass is about
  }
  if (anchor->world < 0) {
    fiarMessage(fusion, FIAR_MESSAGE_ERROR, anchor->location, "%s", text);
    fusion->failed = true;
    return false;
  }
  if (anchor->world > 0 && wanted > 0 && anchor->world != wanted) {
    fiarMessage(fusion, FIAR_MESSAGE_ERROR, anchor->location,
                "world is %" PRId64 ", but this all-reduce has groups of %" PRId64 " ranks", wanted,
                anchor->world);
    fusion->failed = true;
    return false;
  }
  if (anchor->world <= 1) {
    leave(anchor, "%s", anchor->world == 1 ? "its groups have one rank each" : text);
    return false;
  }
  return true;
}

static void anchor_start(FiarFusion* fusion, size_t index) {
  FiarAnchor* anchor = &fusion->anchors[index];
  if (anchor->primitive.refusal != NULL) {
    LEAVE(anchor, "%s", anchor->primitive.refusal);
  }
  if (strcmp(anchor->primitive.reduction, "sum") != 0) {
    LEAVE(anchor, "its reducer is no sum but %s", anchor->primitive.reduction);
  }
  MlirValue sum = mlirOperationGetResult(anchor->op, anchor->result);
  FiarShape shape;
  if (!anchor->scatters && !mlirTypeEqual(mlirValueGetType(anchor->input), mlirValueGetType(sum))) {
    LEAVE(anchor, "its operand and result are not tensors of one type");
  }
  if (!fiarShapeRead(mlirValueGetType(sum), &shape)) {
    LEAVE(anchor,
          "its operand is no ranked tensor of values; of torch's types a !torch.vtensor with "
          "sizes is one");
  }
  if (shape.elem != FIAR_ELEM_F16 && shape.elem != FIAR_ELEM_BF16 && shape.elem != FIAR_ELEM_F32) {
    LEAVE(anchor, "its elements are not f16, bf16 or f32");
  }
  FiarTerm term = {.role = FIAR_ROLE_HIDDEN, .rounded = true, .value = sum, .narrow = sum};
  if (shape.rank < 2 || !fiarLayoutOfSum(&shape, &term.layout)) {
    LEAVE(anchor, "its tensor has no rows of a known hidden size");
  }
  if (fiarMapFind(&fusion->changed, sum.ptr, 0) != NULL) {
    LEAVE(anchor, "an op writes over its result, which other names may share");
  }
  anchor->world = 1;
  anchor->refused = fusion->local == FIAR_LOCAL_NONE && !anchor_world(fusion, anchor);
  const char* refusal = anchor->scatters && !anchor->refused ? fiarScatterRefusal(anchor) : NULL;
  if (refusal != NULL) {
    leave(anchor, "%s", refusal);
    anchor->refused = true;
  }
  if (anchor->refused && !anchor->scatters) {
    return;
  }
  term.role = fusion->local == FIAR_LOCAL_QUANTISERS ? FIAR_ROLE_NORM : FIAR_ROLE_HIDDEN;
  anchor->elem = shape.elem;
  anchor->hidden = shape.size[shape.rank - 1];
  anchor->usable = true;
  term.facts.anchor = (int)index;
  (void)fiarTermDefine(fusion, sum, &term);
}

// ---- following the sum ----

bool fiarMemberAdd(FiarFusion* fusion, FiarAnchor* anchor, MlirValue value, uint32_t term) {
  FiarMember* members =
      fiarGrow(anchor->members, anchor->n_members, &anchor->member_capacity, sizeof *members);
  if (members == NULL) {
    fusion->failed = true;
    return false;
  }
  anchor->members = members;
  anchor->members[anchor->n_members++] = (FiarMember){value, term};
  return true;
}

static void refuse_collective(FiarFusion* fusion, const FiarTerm* term, MlirOperation op) {
  if (term->role >= FIAR_ROLE_SQUARE && term->role <= FIAR_ROLE_MEAN_EPS) {
    fiarRefuse(fusion, term, op,
               "the sum of squares is all-reduced itself: the hidden dimension is sharded");
  }
}

// One user of a member: its results may be members, too.
static void follow_user(FiarFusion* fusion, size_t index, MlirOperation user,
                        const FiarTerm* term) {
  FiarAnchor* anchor = &fusion->anchors[index];
  FiarPrimitiveKind kind = fiarPrimitiveKind(&fusion->view, user);
  bool goes_on = false;
  if (!mlirBlockEqual(mlirOperationGetBlock(user), mlirOperationGetBlock(anchor->op))) {
    fiarLeaveFor(fusion, term, user, "a nested region");
    return;
  }
  if (fiarWritesOperands(fusion, user)) {
    MlirStringRef name = fiarTorchName(user);
    fiarRefuse(fusion, term, user,
               "%.*s may write over its operands, in ways that cannot be followed",
               (int)name.length, name.data);
    return;
  }
  if (kind == FIAR_PRIM_ALL_REDUCE &&
      fiarPrimitiveRead(&fusion->view, user).kind == FIAR_PRIM_ALL_REDUCE) {
    refuse_collective(fusion, term, user);
  }
  for (intptr_t i = 0; i < mlirOperationGetNumResults(user) && kind != FIAR_PRIM_UNKNOWN; ++i) {
    MlirValue result = mlirOperationGetResult(user, i);
    uint32_t number = fiarTermIndexOf(fusion, result, 0);
    if (number == UINT32_MAX) {
      return;
    }
    const FiarTerm* next = fiarTermAt(fusion, number);
    if (fiarIsChain(next) && next->facts.anchor == (int)index) {
      goes_on = fiarMemberAdd(fusion, anchor, result, number);
    }
  }
  if (!goes_on) {
    fiarLeaveFor(fusion, term, user, NULL);
  }
}

static void follow(FiarFusion* fusion, size_t index, FiarMap* seen) {
  FiarAnchor* anchor = &fusion->anchors[index];
  MlirValue sum = mlirOperationGetResult(anchor->op, anchor->result);
  fusion->call_budget = CALL_BUDGET;
  if (!fiarMemberAdd(fusion, anchor, sum, fiarTermIndexOf(fusion, sum, 0))) {
    return;
  }
  for (size_t at = 0; at < anchor->n_members && !fusion->failed; ++at) {
    FiarMember member = anchor->members[at];
    for (MlirOpOperand use = mlirValueGetFirstUse(member.value); !mlirOpOperandIsNull(use);
         use = mlirOpOperandGetNextUse(use)) {
      MlirOperation user = mlirOpOperandGetOwner(use);
      size_t seen_before = seen->size;
      fusion->failed |= !fiarMapSet(seen, user.ptr, (uint32_t)index, 1);
      if (seen->size > seen_before) {
        follow_user(fusion, index, user, fiarTermAt(fusion, member.term));
      }
    }
  }
}

// ---- choosing ----

// Scales that are powers of two are f8E8M0FNU in the fused op; the source must have them so, too.
static bool has_power_scales(FiarFusion* fusion, const FiarAnchor* anchor, const FiarTerm* codes) {
  for (size_t i = 0; i < anchor->n_members; ++i) {
    if (fiarIsPowerScale(fiarTermAt(fusion, anchor->members[i].term), &codes->facts)) {
      return true;
    }
  }
  fiarRefuse(fusion, codes, anchor->op,
             "the scales are powers of two, but nowhere f8E8M0FNU in the order of the rows");
  return false;
}

// Whether the scales of codes, where they are computed, are in an order that a fused op has.
static bool has_ordered_scales(FiarFusion* fusion, const FiarAnchor* anchor,
                               const FiarTerm* codes) {
  const FiarFacts* facts = &codes->facts;
  if (facts->scale_type == FIAR_SCALE_TYPE_UE8M0) {
    return has_power_scales(fusion, anchor, codes);
  }
  if (!fiarIsValue(facts->scales) || facts->scale_layout != FIAR_SCALE_LAYOUT_LINEAR) {
    return true;
  }
  uint32_t* number = fiarMapFind(&fusion->terms, facts->scales.ptr, 0);
  const FiarLayout* layout = number == NULL ? NULL : &fiarTermAt(fusion, *number)->layout;
  return layout != NULL &&
         (facts->group_size == 0 ? fiarLayoutIsPerRow(layout) : fiarLayoutIsPerBlock(layout));
}

// How much of the sequence a member completes; 0: nothing that a fused op could return last.
static int completes(FiarFusion* fusion, const FiarAnchor* anchor, const FiarTerm* term) {
  const bool codes = term->role == FIAR_ROLE_CODES;
  const bool norm = (term->role == FIAR_ROLE_NORM || term->role == FIAR_ROLE_NORMED) &&
                    term->rounded && term->layout.shape.elem == anchor->elem;
  if (!fiarLayoutIsFull(&term->layout) || (!codes && !norm) ||
      !fiarScatterReturns(fusion, anchor, term)) {
    return 0;
  }
  if (norm) {
    return term->role == FIAR_ROLE_NORM ? 2 : 1;
  }
  return has_ordered_scales(fusion, anchor, term) ? 3 : 0;
}

// Sets anchor->facts from the member that completes most, the first of them in program order.
static bool choose(FiarFusion* fusion, FiarAnchor* anchor) {
  int best = 0;
  MlirValue best_value = {NULL};
  for (size_t i = 0; i < anchor->n_members; ++i) {
    const FiarTerm* term = fiarTermAt(fusion, anchor->members[i].term);
    MlirValue value = anchor->members[i].value;
    int rank = completes(fusion, anchor, term);
    if ((fusion->local == FIAR_LOCAL_QUANTISERS && rank < 3) ||
        (fusion->local == FIAR_LOCAL_BARE_NORMS && rank == 3)) {
      rank = 0;
    }
    if (rank > best ||
        (rank == best && rank > 0 &&
         fiarIsBefore(fusion, mlirOpResultGetOwner(value), mlirOpResultGetOwner(best_value)))) {
      best = rank;
      best_value = value;
      anchor->facts = term->facts;
      if (rank < 3) {
        anchor->facts.quant = FIAR_QUANT_NONE;
      }
    }
  }
  if (best == 0 && anchor->scatters && fiarReasonIsPrecise(&anchor->quant_reason)) {
    anchor->reason = anchor->quant_reason;  // why nothing that is gathered is codes
  }
  if (best == 0 && anchor->reason.rank == 0) {
    snprintf(anchor->reason.text, sizeof anchor->reason.text, "its result is not used");
    anchor->reason.location = anchor->location;
  }
  return best > 0;
}

// A variadic all-reduce that cannot be split goes only when every result's sequence fuses.
static void keep_variadic_whole(FiarFusion* fusion) {
  for (size_t first = 0; first < fusion->n_anchors;) {
    size_t end = first;
    bool all = true;
    while (end < fusion->n_anchors &&
           mlirOperationEqual(fusion->anchors[end].op, fusion->anchors[first].op)) {
      all &= fusion->anchors[end++].fused;
    }
    bool whole = end - first == 1 || !fiarCanSplit(fusion->anchors[first].op);
    for (size_t i = first; i < end && !all && whole; ++i) {
      FiarAnchor* anchor = &fusion->anchors[i];
      if (anchor->fused) {
        anchor->fused = false;
        snprintf(anchor->reason.text, sizeof anchor->reason.text,
                 "another result of this variadic all-reduce does not fuse");
        anchor->reason.location = anchor->location;
      }
    }
    first = end;
  }
}

static void fuse_all(FiarFusion* fusion) {
  FiarReplication replication = {.view = &fusion->view};
  FiarMap seen = {0};
  fusion->replication = &replication;
  fiarMutationsName(fusion);
  fiarBuffersName(fusion);
  drop_if(fusion, is_no_split);
  drop_if(fusion, is_first_half);
  for (size_t i = 0; i < fusion->n_anchors; ++i) {
    FiarAnchor* anchor = &fusion->anchors[i];
    if (anchor->result >= 0) {  // what is reduced may have got another name
      anchor->input = reduced(fusion, anchor);
    }
  }
  for (size_t i = 0; i < fusion->n_anchors && !fusion->failed; ++i) {
    anchor_start(fusion, i);
  }
  for (size_t i = 0; i < fusion->n_anchors && !fusion->failed; ++i) {
    if (fusion->anchors[i].usable) {
      follow(fusion, i, &seen);
      fusion->anchors[i].fused =
          !fusion->failed && !fusion->anchors[i].refused && choose(fusion, &fusion->anchors[i]);
    }
  }
  fiarMapClear(&seen);
  fusion->failed |= replication.failed;
  fiarReplicationClear(&replication);
  keep_variadic_whole(fusion);
  for (size_t i = 0; i < fusion->n_anchors && !fusion->failed; ++i) {
    if (fusion->anchors[i].fused) {
      fusion->anchors[i].fused = fiarRewrite(fusion, &fusion->anchors[i]);
    }
  }
  fiarMutationsRestore(fusion);
  fiarBuffersRestore(fusion);
  if (!fusion->failed) {
    fiarRewriteFinish(fusion);
  }
  fiarScattersForget(fusion);
}

// ---- without all-reduces ----

void fiarNumberOps(FiarFusion* fusion, MlirOperation module) {
  number(fusion, module, NULL);
}

static void clear(FiarFusion* fusion) {
  for (size_t i = 0; i < fusion->n_anchors; ++i) {
    free(fusion->anchors[i].members);
  }
  free(fusion->anchors);
  fiarEvalClear(fusion);
  fiarRewriteClear(fusion);
  fiarViewClear(&fusion->view);
}

bool fiarFuseLocal(MlirOperation module, FiarLocalKind kind) {
  FiarFuseOptions options = {.struct_size = sizeof options};
  FiarFusion fusion = {.options = &options, .local = kind};
  fusion.failed = !fiarViewInit(&fusion.view, module);
  number(&fusion, module, collect_op);
  fuse_all(&fusion);
  clear(&fusion);
  return !fusion.failed;
}

// ---- the pass ----

MlirLogicalResult fiarFuse(MlirOperation module, const FiarFuseOptions* options,
                           FiarFuseCounts* out_counts) {
  FiarFuseOptions known = {.struct_size = sizeof known};
  FiarFusion fusion = {.options = &known};
  FiarFuseCounts counts = {0};
  if (!fiarOptionsTake(module, "FiarFuseOptions", options, &known)) {
    fusion.failed = true;
  } else if (!fiarStringEqual(fiarOpName(module), "builtin.module")) {
    fiarMessage(&fusion, FIAR_MESSAGE_ERROR, mlirOperationGetLocation(module),
                "fiar-fuse runs on builtin.module");
    fusion.failed = true;
  } else if (known.world < 0) {
    fiarMessage(&fusion, FIAR_MESSAGE_ERROR, mlirOperationGetLocation(module),
                "the option world is %lld, must be 0 or more", (long long)known.world);
    fusion.failed = true;
  } else {
    fusion.failed = !fiarViewInit(&fusion.view, module);
    fusion.view.world = known.world;
    number(&fusion, module, collect_op);
    drop_if(&fusion, is_started);
    fuse_all(&fusion);
    if (!fusion.failed) {
      fusion.sharded = fusion.n_anchors == 0 && fiarHasShardings(module);
      fiarReport(&fusion, &counts);
    }
  }
  clear(&fusion);
  if (out_counts != NULL) {
    *out_counts = counts;
  }
  return fusion.failed ? mlirLogicalResultFailure() : mlirLogicalResultSuccess();
}
