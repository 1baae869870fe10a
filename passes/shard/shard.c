// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-shard-residual.
//
// Before:  %h1, %n1 = fiar.all_reduce_norm %x1, %h0       After:  %r0 = fiar.take_rows %h0
//          %h2, %n2 = fiar.all_reduce_norm %x2, %h1               %r1, %n1 = ... %x1, %r0
//          {token_shard} return %h2                                             %r2, %n2 = ... %x2,
//          %r1 {token_shard}
//                                                                 %h2 = fiar.all_gather_rows %r2
//
// Fused ops whose residuals go from one to the next are a chain, and a chain is sharded as a whole:
// residual_layout speaks for an op's residual operand and result alike.
// docs/passes/fiar-shard-residual.md has the legality argument, the options and every refusal.
#include "shard/shard.h"
#include "ir/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Diagnostics.h"

static bool is_fused(MlirOperation op) {
  return fiarStringEqual(fiarOpName(op), "fiar.all_reduce_norm");
}

bool fiarNormOpRead(MlirOperation op, FiarNormOp* out_norm) {
  int64_t operands[FIAR_NORM_OPERANDS], results[FIAR_NORM_RESULTS];
  memset(out_norm, 0, sizeof *out_norm);
  if (fiarReadInts(fiarOpAttribute(op, "operandSegmentSizes"), operands, FIAR_NORM_OPERANDS) !=
          FIAR_NORM_OPERANDS ||
      fiarReadInts(fiarOpAttribute(op, "resultSegmentSizes"), results, FIAR_NORM_RESULTS) !=
          FIAR_NORM_RESULTS) {
    return false;
  }
  intptr_t next = 0;
  for (int i = 0; i < FIAR_NORM_OPERANDS; ++i) {
    if (operands[i] != 0 && next < mlirOperationGetNumOperands(op)) {
      out_norm->operands[i] = mlirOperationGetOperand(op, next++);
    }
  }
  next = 0;
  for (int i = 0; i < FIAR_NORM_RESULTS; ++i) {
    if (results[i] != 0 && next < mlirOperationGetNumResults(op)) {
      out_norm->results[i] = mlirOperationGetResult(op, next++);
    }
  }
  out_norm->sharded =
      !fiarStringEqual(fiarAttributeText(fiarOpAttribute(op, "residual_layout")), "full");
  return !mlirValueIsNull(out_norm->operands[FIAR_NORM_X]);
}

// ---- Which ops may be sharded by themselves ----------

#define REFUSE(site, ...) (snprintf((site)->reason, sizeof(site)->reason, __VA_ARGS__), (void)0)

static bool same_on_all_ranks(FiarSharding* sharding, const FiarShardSite* site, MlirValue value) {
  return mlirValueIsNull(value) || sharding->options->assume_replicated ||
         fiarReplicated(&sharding->replication, value, site->ranks);
}

// [tokens, hidden], of x's element type, in any split of the rows.
static bool has_rows_of_x(const FiarShardSite* site, MlirValue value) {
  FiarShape x, shape;
  return mlirValueIsNull(value) ||
         (fiarShapeRead(mlirValueGetType(site->norm.operands[FIAR_NORM_X]), &x) &&
          mlirTypeIsARankedTensor(mlirValueGetType(value)) &&
          mlirAttributeIsNull(mlirRankedTensorTypeGetEncoding(mlirValueGetType(value))) &&
          fiarShapeRead(mlirValueGetType(value), &shape) && shape.rank >= 2 &&
          shape.elem == x.elem && shape.size[shape.rank - 1] == site->hidden &&
          fiarShapeElements(&shape) == site->tokens * site->hidden);
}

static void examine(FiarSharding* sharding, FiarShardSite* site) {
  const FiarNormOp* norm = &site->norm;
  MlirValue in = norm->operands[FIAR_NORM_RESIDUAL_IN], out = norm->results[FIAR_NORM_RESIDUAL];
  FiarShape x;
  site->before = norm->sharded;
  if (norm->sharded) {
    REFUSE(site, "its residual is sharded already");
  } else if (mlirValueIsNull(in) && mlirValueIsNull(out)) {
    REFUSE(site, "it has no residual");
  } else if (!fiarShapeRead(mlirValueGetType(norm->operands[FIAR_NORM_X]), &x) || x.rank < 2 ||
             fiarShapeElements(&x) < 0) {
    REFUSE(site, "its number of rows is not known at compile time");
  } else if (site->world < 2) {
    REFUSE(site, "its groups have %" PRId64 " ranks", site->world);
  } else {
    site->hidden = x.size[x.rank - 1];
    site->tokens = site->hidden > 0 ? fiarShapeElements(&x) / site->hidden : 0;
    if (site->tokens < 1 || !has_rows_of_x(site, in) || !has_rows_of_x(site, out)) {
      REFUSE(site, "its residual does not have the rows and the type of its sum");
    } else if (site->tokens < sharding->options->min_tokens) {
      REFUSE(site, "it has %" PRId64 " rows, fewer than min-tokens = %" PRId64, site->tokens,
             sharding->options->min_tokens);
    } else if (!same_on_all_ranks(sharding, site, in)) {
      REFUSE(site, "its residual is not known to be the same on all ranks of the group");
    } else if (!same_on_all_ranks(sharding, site, norm->operands[FIAR_NORM_WEIGHT])) {
      REFUSE(site, "its weight is not known to be the same on all ranks of the group");
    } else if (!same_on_all_ranks(sharding, site, norm->operands[FIAR_NORM_SCALE])) {
      REFUSE(site, "its scale is not known to be the same on all ranks of the group");
    } else {
      int64_t sizes[2] = {(site->tokens + site->world - 1) / site->world, site->hidden};
      MlirType type = mlirValueGetType(norm->operands[FIAR_NORM_X]);
      site->shard = mlirRankedTensorTypeGet(2, sizes, mlirShapedTypeGetElementType(type),
                                            mlirAttributeGetNull());
      site->fits = true;
    }
  }
}

static MlirWalkResult collect(MlirOperation op, void* data) {
  FiarSharding* sharding = data;
  if (!is_fused(op)) {
    return MlirWalkResultAdvance;
  }
  double world = 0;
  FiarShardSite site = {.op = op, .groups_of = op, .ranks = fiarRanksOf(op)};
  if (!fiarNormOpRead(op, &site.norm) || mlirAttributeIsNull(site.ranks.groups) ||
      !fiarReadNumber(fiarOpAttribute(op, "world"), &world)) {
    return MlirWalkResultAdvance;
  }
  site.world = fiarWhole(world);
  return fiarShardAdd(sharding, &site, 0) ? MlirWalkResultAdvance : MlirWalkResultInterrupt;
}

// ---- Chains ----------

static FiarShardSite* root_of(FiarSharding* sharding, size_t index) {
  FiarShardSite* sites = sharding->sites;
  while (sites[index].chain != index) {
    sites[index].chain = sites[sites[index].chain].chain;
    index = sites[index].chain;
  }
  return &sites[index];
}

// Counts the uses of one value that a site gives: those that take rows join its chain.
static void link_value(FiarSharding* sharding, size_t index, MlirValue value, const char** why) {
  const FiarShardSite* site = &sharding->sites[index];
  size_t links = 0;
  bool whole = false;
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    FiarShardSite* to = fiarShardTaker(sharding, site, value, mlirOpOperandGetOwner(use),
                                       mlirOpOperandGetOperandNumber(use), why);
    whole |= to == NULL;
    if (to == NULL) {
      continue;
    }
    ++links;
    FiarShardSite *a = root_of(sharding, index),
                  *b = root_of(sharding, (size_t)(to - sharding->sites));
    if (a != b) {
      b->chain = (size_t)(a - sharding->sites);
      a->links += b->links;
      a->gathers += b->gathers;
    }
  }
  FiarShardSite* root = root_of(sharding, index);
  root->links += links;
  root->gathers += whole;
}

// Joins the site with those that take its residual.
static void link_site(FiarSharding* sharding, size_t index) {
  FiarShardSite* site = &sharding->sites[index];
  MlirValue values[2];
  const char* why = NULL;
  const int count = site->fits ? fiarShardGives(site, values) : 0;
  for (int i = 0; i < count; ++i) {
    link_value(sharding, index, values[i], &why);
  }
  if (why != NULL) {
    REFUSE(site, "%s", why);
  }
}

// A chain is worth it where most of its residuals stay with their owners.
static void settle(FiarSharding* sharding, size_t index) {
  FiarShardSite* site = &sharding->sites[index];
  const FiarShardSite* root = root_of(sharding, index);
  if (!site->fits) {
    return;
  }
  if (root->links == 0) {
    if (site->reason[0] == '\0') {
      REFUSE(site, "no other fused op gives it its residual or takes the one it gives");
    }
  } else if (root->gathers > root->links) {
    REFUSE(site, "more residuals of its chain are needed whole (%zu) than go to a fused op (%zu)",
           root->gathers, root->links);
  } else {
    site->sharded = true;
  }
}

// ---- The rewrite ----------

// A loop has no groups of its own: those of the fused op that it carries rows for.
static MlirOperation row_op(const FiarShardSite* site, const char* name, MlirValue operand,
                            MlirType result) {
  static const char* const copied[] = {"groups", "group_mode", "world"};
  MlirOperationState state = mlirOperationStateGet(mlirStringRefCreateFromCString(name),
                                                   mlirOperationGetLocation(site->op));
  MlirContext context = mlirOperationGetContext(site->op);
  for (size_t i = 0; i < sizeof copied / sizeof *copied; ++i) {
    MlirAttribute attribute = fiarOpAttribute(site->groups_of, copied[i]);
    if (!mlirAttributeIsNull(attribute)) {
      MlirNamedAttribute named = mlirNamedAttributeGet(
          mlirIdentifierGet(context, mlirStringRefCreateFromCString(copied[i])), attribute);
      mlirOperationStateAddAttributes(&state, 1, &named);
    }
  }
  mlirOperationStateAddOperands(&state, 1, &operand);
  mlirOperationStateAddResults(&state, 1, &result);
  return mlirOperationCreate(&state);
}

// The op of `block` that `op` is, or lies in; null where it lies in none.
static MlirOperation ancestor_in(MlirBlock block, MlirOperation op) {
  while (!mlirOperationIsNull(op) && !mlirBlockEqual(mlirOperationGetBlock(op), block)) {
    op = mlirOperationGetParentOperation(op);
  }
  return op;
}

static bool wants_whole(FiarSharding* sharding, const FiarShardSite* site, MlirValue value,
                        MlirOpOperand use) {
  return fiarShardTaker(sharding, site, value, mlirOpOperandGetOwner(use),
                        mlirOpOperandGetOperandNumber(use), NULL) == NULL;
}

// Where the whole must be there: the first op of the value's block that uses it or holds a use; the
// op right behind the value where uses are in other blocks.
static MlirOperation first_user(FiarSharding* sharding, const FiarShardSite* site,
                                MlirValue value) {
  const bool argument = mlirValueIsABlockArgument(value);
  MlirBlock block = argument ? mlirBlockArgumentGetOwner(value)
                             : mlirOperationGetBlock(mlirOpResultGetOwner(value));
  MlirOperation at = argument ? mlirBlockGetFirstOperation(block)
                              : mlirOperationGetNextInBlock(mlirOpResultGetOwner(value));
  MlirOperation behind = at;
  FiarMap users = {0};
  bool all_here = true;
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    if (wants_whole(sharding, site, value, use)) {
      MlirOperation user = ancestor_in(block, mlirOpOperandGetOwner(use));
      all_here &= !mlirOperationIsNull(user) && fiarMapSet(&users, user.ptr, 0, 0);
    }
  }
  while (all_here && !mlirOperationIsNull(at) && fiarMapFind(&users, at.ptr, 0) == NULL) {
    at = mlirOperationGetNextInBlock(at);
  }
  fiarMapClear(&users);
  return mlirOperationIsNull(at) || !all_here ? behind : at;
}

// Gives every use that needs the whole residual the gathered one.
static void gather(FiarSharding* sharding, const FiarShardSite* site, MlirValue value) {
  MlirOperation op = {NULL};
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use);) {
    MlirOpOperand next = mlirOpOperandGetNextUse(use);
    if (!mlirOperationEqual(mlirOpOperandGetOwner(use), op) &&
        wants_whole(sharding, site, value, use)) {
      if (mlirOperationIsNull(op)) {
        MlirOperation before = first_user(sharding, site, value);
        op = row_op(site, "fiar.all_gather_rows", value, mlirValueGetType(value));
        mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(before), before, op);
        ++sharding->counts.gathers;
      }
      mlirOperationSetOperand(mlirOpOperandGetOwner(use), mlirOpOperandGetOperandNumber(use),
                              mlirOperationGetResult(op, 0));
    }
    use = next;
  }
}

// Cuts what the site takes, unless it comes as rows already.
static void take(FiarSharding* sharding, const FiarShardSite* site) {
  const intptr_t operand = fiarShardOperand(site);
  if (operand < 0) {
    return;
  }
  MlirValue in = mlirOperationGetOperand(site->op, operand);
  const FiarShardSite* giver = fiarShardGiver(sharding, in);
  if (giver != NULL && giver->sharded &&
      fiarShardTaker(sharding, giver, in, site->op, operand, NULL) == site) {
    return;
  }
  MlirOperation op = row_op(site, "fiar.take_rows", in, site->shard);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(site->op), site->op, op);
  mlirOperationSetOperand(site->op, operand, mlirOperationGetResult(op, 0));
  ++sharding->counts.takes;
}

static void set_types(const FiarShardSite* site) {
  MlirContext context = mlirOperationGetContext(site->op);
  MlirValue values[2];
  for (int i = fiarShardGives(site, values) - 1; i >= 0; --i) {
    mlirValueSetType(values[i], site->shard);
  }
  if (!site->is_loop) {
    mlirOperationSetAttributeByName(
        site->op, mlirStringRefCreateFromCString("residual_layout"),
        mlirStringAttrGet(context, mlirStringRefCreateFromCString("token_shard")));
  } else if (!mlirBlockIsNull(site->loop.condition)) {
    mlirValueSetType(mlirBlockGetArgument(site->loop.condition, site->carried), site->shard);
  }
}

// What gives and takes is found by the flow as it was, so all is looked at before types change.
static void rewrite_all(FiarSharding* sharding) {
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    const FiarShardSite* site = &sharding->sites[i];
    MlirValue values[2];
    const int count = site->sharded ? fiarShardGives(site, values) : 0;
    for (int k = 0; k < count; ++k) {
      gather(sharding, site, values[k]);
    }
  }
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    if (sharding->sites[i].sharded) {
      take(sharding, &sharding->sites[i]);
    }
  }
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    if (sharding->sites[i].sharded) {
      set_types(&sharding->sites[i]);
    }
  }
}

// ---- The pass ----------

static void shard_all(FiarSharding* sharding, MlirOperation module) {
  mlirOperationWalk(module, collect, sharding, MlirWalkPreOrder);
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    examine(sharding, &sharding->sites[i]);
  }
  fiarShardLoops(sharding);
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    link_site(sharding, i);
  }
  sharding->failed |= sharding->replication.failed;
  for (size_t i = 0; i < sharding->n_sites && !sharding->failed; ++i) {
    settle(sharding, i);
  }
  if (!sharding->failed) {
    rewrite_all(sharding);
  }
}

MlirLogicalResult fiarShardResidual(MlirOperation module, const FiarShardOptions* options,
                                    FiarShardCounts* out_counts) {
  FiarShardOptions known = {.struct_size = sizeof known};
  if (!fiarOptionsTake(module, "FiarShardOptions", options, &known)) {
    return mlirLogicalResultFailure();
  }
  FiarSharding sharding = {.options = &known, .writer = {known.report_to, known.report_data}};
  if (!fiarStringEqual(fiarOpName(module), "builtin.module")) {
    mlirEmitError(mlirOperationGetLocation(module), "fiar-shard-residual runs on builtin.module");
    return mlirLogicalResultFailure();
  }
  sharding.failed = !fiarViewInit(&sharding.view, module);
  sharding.replication.view = &sharding.view;
  if (!sharding.failed) {
    shard_all(&sharding, module);
  }
  if (sharding.failed) {
    mlirEmitError(mlirOperationGetLocation(module), "fiar-shard-residual: out of memory");
  } else {
    fiarShardReport(&sharding);
  }
  if (out_counts != NULL) {
    *out_counts = sharding.counts;
  }
  free(sharding.sites);
  fiarMapClear(&sharding.site_of);
  fiarReplicationClear(&sharding.replication);
  fiarViewClear(&sharding.view);
  return sharding.failed ? mlirLogicalResultFailure() : mlirLogicalResultSuccess();
}
