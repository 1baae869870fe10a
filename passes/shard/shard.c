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
      fiarStringEqual(fiarAttributeText(fiarOpAttribute(op, "residual_layout")), "token_shard");
  return !mlirValueIsNull(out_norm->operands[FIAR_NORM_X]);
}

// ---- Which ops may be sharded by themselves ----------

// Where the residual operand stands among the op's operands, x being always there.
enum { RESIDUAL_OPERAND = 1 };

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
      site->fits = true;
    }
  }
}

static MlirWalkResult collect(MlirOperation op, void* data) {
  FiarSharding* sharding = data;
  if (!is_fused(op)) {
    return MlirWalkResultAdvance;
  }
  if (sharding->n_sites == sharding->capacity) {
    size_t capacity = sharding->capacity == 0 ? 32 : 2 * sharding->capacity;
    FiarShardSite* larger = realloc(sharding->sites, capacity * sizeof *larger);
    if (larger == NULL) {
      sharding->failed = true;
      return MlirWalkResultInterrupt;
    }
    sharding->sites = larger;
    sharding->capacity = capacity;
  }
  FiarShardSite* site = &sharding->sites[sharding->n_sites];
  double world = 0;
  *site = (FiarShardSite){.op = op, .ranks = fiarRanksOf(op), .chain = sharding->n_sites};
  if (!fiarNormOpRead(op, &site->norm) || mlirAttributeIsNull(site->ranks.groups) ||
      !fiarReadNumber(fiarOpAttribute(op, "world"), &world)) {
    return MlirWalkResultAdvance;
  }
  site->world = (int64_t)world;
  sharding->failed |= !fiarMapSet(&sharding->site_of, op.ptr, 0, (uint32_t)sharding->n_sites++);
  return MlirWalkResultAdvance;
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

// The fused op that takes the value of this use as its residual, from `from` in the same block, or
// NULL. *out_why, where it is not NULL and such an op is there: why the two cannot share rows.
static FiarShardSite* next_site(FiarSharding* sharding, const FiarShardSite* from,
                                MlirOpOperand use, const char** out_why) {
  MlirOperation user = mlirOpOperandGetOwner(use);
  const uint32_t* index = fiarMapFind(&sharding->site_of, user.ptr, 0);
  if (index == NULL || mlirOpOperandGetOperandNumber(use) != RESIDUAL_OPERAND ||
      mlirValueIsNull(sharding->sites[*index].norm.operands[FIAR_NORM_RESIDUAL_IN])) {
    return NULL;
  }
  FiarShardSite* to = &sharding->sites[*index];
  const char* why = NULL;
  if (!to->fits) {
    why = "the fused op that takes its residual is left itself";
  } else if (!mlirAttributeEqual(to->ranks.groups, from->ranks.groups) ||
             !mlirStringRefEqual(to->ranks.mode, from->ranks.mode) || to->world != from->world) {
    why = "the fused op that takes its residual has other groups";
  } else if (!mlirBlockEqual(mlirOperationGetBlock(to->op), mlirOperationGetBlock(from->op))) {
    why = "the fused op that takes its residual is in another region";
  }
  if (why != NULL && out_why != NULL) {
    *out_why = why;
  }
  return why == NULL ? to : NULL;
}

// Joins the site with those that take its residual.
static void link_site(FiarSharding* sharding, size_t index) {
  FiarShardSite* site = &sharding->sites[index];
  MlirValue residual = site->norm.results[FIAR_NORM_RESIDUAL];
  const char* why = NULL;
  if (!site->fits || mlirValueIsNull(residual)) {
    return;
  }
  size_t links = 0;
  bool whole = false;
  for (MlirOpOperand use = mlirValueGetFirstUse(residual); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    FiarShardSite* to = next_site(sharding, site, use, &why);
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

static MlirOperation row_op(const FiarShardSite* site, const char* name, MlirValue operand,
                            MlirType result) {
  static const char* const copied[] = {"groups", "group_mode", "world"};
  MlirOperationState state = mlirOperationStateGet(mlirStringRefCreateFromCString(name),
                                                   mlirOperationGetLocation(site->op));
  MlirContext context = mlirOperationGetContext(site->op);
  for (size_t i = 0; i < sizeof copied / sizeof *copied; ++i) {
    MlirAttribute attribute = fiarOpAttribute(site->op, copied[i]);
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

static MlirType shard_type(const FiarShardSite* site) {
  int64_t sizes[2] = {(site->tokens + site->world - 1) / site->world, site->hidden};
  MlirType x = mlirValueGetType(site->norm.operands[FIAR_NORM_X]);
  return mlirRankedTensorTypeGet(2, sizes, mlirShapedTypeGetElementType(x), mlirAttributeGetNull());
}

// The op of `block` that `op` is, or lies in; null where it lies in none.
static MlirOperation ancestor_in(MlirBlock block, MlirOperation op) {
  while (!mlirOperationIsNull(op) && !mlirBlockEqual(mlirOperationGetBlock(op), block)) {
    op = mlirOperationGetParentOperation(op);
  }
  return op;
}

// Where the whole must be there: the first op of the site's block, behind the site, that uses it or
// holds a use; the op right behind the site where uses are in other blocks.
static MlirOperation first_user(FiarSharding* sharding, const FiarShardSite* site) {
  MlirBlock block = mlirOperationGetBlock(site->op);
  MlirValue residual = site->norm.results[FIAR_NORM_RESIDUAL];
  MlirOperation at = mlirOperationGetNextInBlock(site->op), behind = at;
  FiarMap users = {0};
  bool all_here = true;
  for (MlirOpOperand use = mlirValueGetFirstUse(residual); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    if (next_site(sharding, site, use, NULL) == NULL) {
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
static void gather(FiarSharding* sharding, FiarShardSite* site, MlirType full) {
  MlirValue residual = site->norm.results[FIAR_NORM_RESIDUAL];
  MlirOperation op = {NULL};
  for (MlirOpOperand use = mlirValueGetFirstUse(residual); !mlirOpOperandIsNull(use);) {
    MlirOpOperand next = mlirOpOperandGetNextUse(use);
    if (next_site(sharding, site, use, NULL) == NULL &&
        !mlirOperationEqual(mlirOpOperandGetOwner(use), op)) {
      if (mlirOperationIsNull(op)) {
        MlirOperation before = first_user(sharding, site);
        op = row_op(site, "fiar.all_gather_rows", residual, full);
        mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(site->op), before, op);
        ++sharding->counts.gathers;
      }
      mlirOperationSetOperand(mlirOpOperandGetOwner(use), mlirOpOperandGetOperandNumber(use),
                              mlirOperationGetResult(op, 0));
    }
    use = next;
  }
}

// Whether the site's residual operand comes as rows already.
static bool comes_sharded(FiarSharding* sharding, const FiarShardSite* site) {
  MlirValue in = mlirOperationGetOperand(site->op, RESIDUAL_OPERAND);
  const uint32_t* index = mlirValueIsAOpResult(in)
                              ? fiarMapFind(&sharding->site_of, mlirOpResultGetOwner(in).ptr, 0)
                              : NULL;
  return index != NULL && sharding->sites[*index].sharded &&
         mlirValueEqual(in, sharding->sites[*index].norm.results[FIAR_NORM_RESIDUAL]) &&
         mlirTypeEqual(mlirValueGetType(in), shard_type(site));
}

static void rewrite(FiarSharding* sharding, FiarShardSite* site) {
  MlirContext context = mlirOperationGetContext(site->op);
  MlirValue residual = site->norm.results[FIAR_NORM_RESIDUAL];
  if (!mlirValueIsNull(site->norm.operands[FIAR_NORM_RESIDUAL_IN]) &&
      !comes_sharded(sharding, site)) {
    MlirOperation take =
        row_op(site, "fiar.take_rows", mlirOperationGetOperand(site->op, RESIDUAL_OPERAND),
               shard_type(site));
    mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(site->op), site->op, take);
    mlirOperationSetOperand(site->op, RESIDUAL_OPERAND, mlirOperationGetResult(take, 0));
    ++sharding->counts.takes;
  }
  mlirOperationSetAttributeByName(
      site->op, mlirStringRefCreateFromCString("residual_layout"),
      mlirStringAttrGet(context, mlirStringRefCreateFromCString("token_shard")));
  if (!mlirValueIsNull(residual)) {
    MlirType full = mlirValueGetType(residual);
    gather(sharding, site, full);
    mlirValueSetType(residual, shard_type(site));
  }
}

// ---- The pass ----------

static FiarShardOptions options_of(const FiarShardOptions* options) {
  FiarShardOptions known = {.struct_size = sizeof known};
  if (options != NULL) {
    size_t size = options->struct_size < sizeof known ? options->struct_size : sizeof known;
    memcpy(&known, options, size);
  }
  return known;
}

static void shard_all(FiarSharding* sharding, MlirOperation module) {
  mlirOperationWalk(module, collect, sharding, MlirWalkPreOrder);
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    examine(sharding, &sharding->sites[i]);
  }
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    link_site(sharding, i);
  }
  sharding->failed |= sharding->replication.failed;
  for (size_t i = 0; i < sharding->n_sites && !sharding->failed; ++i) {
    settle(sharding, i);
  }
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    if (sharding->sites[i].sharded) {
      rewrite(sharding, &sharding->sites[i]);
    }
  }
}

MlirLogicalResult fiarShardResidual(MlirOperation module, const FiarShardOptions* options,
                                    FiarShardCounts* out_counts) {
  FiarShardOptions known = options_of(options);
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
