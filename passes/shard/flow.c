// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The way of a residual: from the fused op that gives it to the one that takes it, in one block or
// carried by a loop from one round to the next.
//
// A loop that carries a residual is a place of its own beside the fused ops. It takes rows where it
// begins and where its body yields, and gives rows as the body's argument and as its result.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ir/array.h"
#include "shard/shard.h"

bool fiarShardAdd(FiarSharding* sharding, const FiarShardSite* site, uint32_t number) {
  FiarShardSite* larger =
      fiarGrow(sharding->sites, sharding->n_sites, &sharding->capacity, sizeof *larger);
  if (larger == NULL) {
    sharding->failed = true;
    return false;
  }
  sharding->sites = larger;
  const size_t at = sharding->n_sites++;
  sharding->sites[at] = *site;
  sharding->sites[at].chain = at;
  sharding->failed |= !fiarMapSet(&sharding->site_of, site->op.ptr, number, (uint32_t)at);
  return !sharding->failed;
}

// A fused op has the number 0, carried value i of a loop i + 1.
static FiarShardSite* site_at(FiarSharding* sharding, MlirOperation op, uint32_t number) {
  const uint32_t* index = fiarMapFind(&sharding->site_of, op.ptr, number);
  return index == NULL ? NULL : &sharding->sites[*index];
}

static FiarShardSite* carrier(FiarSharding* sharding, MlirOperation loop, intptr_t index) {
  return index < 0 ? NULL : site_at(sharding, loop, (uint32_t)index + 1);
}

static MlirBlock block_of(MlirValue value) {
  return mlirValueIsABlockArgument(value) ? mlirBlockArgumentGetOwner(value)
                                          : mlirOperationGetBlock(mlirOpResultGetOwner(value));
}

int fiarShardGives(const FiarShardSite* site, MlirValue out_values[2]) {
  if (site->is_loop) {
    out_values[0] =
        mlirBlockGetArgument(site->loop.body, site->loop.first_argument + site->carried);
    out_values[1] = mlirOperationGetResult(site->op, site->carried);
    return 2;
  }
  out_values[0] = site->norm.results[FIAR_NORM_RESIDUAL];
  return mlirValueIsNull(out_values[0]) ? 0 : 1;
}

intptr_t fiarShardOperand(const FiarShardSite* site) {
  if (site->is_loop) {
    return site->loop.first_operand + site->carried;
  }
  return mlirValueIsNull(site->norm.operands[FIAR_NORM_RESIDUAL_IN]) ? -1 : FIAR_NORM_RESIDUAL_IN;
}

// The site whose rows are wanted at operand `number` of `user`, and the block that it stands in.
static FiarShardSite* site_of_use(FiarSharding* sharding, MlirOperation user, intptr_t number,
                                  MlirBlock* out_block) {
  FiarCarriedLoop loop;
  FiarShardSite* site = site_at(sharding, user, 0);
  *out_block = mlirOperationGetBlock(user);
  if (site != NULL) {
    return fiarShardOperand(site) == number ? site : NULL;
  }
  if (fiarCarriedLoopRead(user, &loop)) {
    return carrier(sharding, user, number - loop.first_operand);
  }
  MlirOperation parent = mlirOperationGetParentOperation(user);
  if (mlirOperationIsNull(parent) || !fiarCarriedLoopRead(parent, &loop) ||
      !mlirOperationEqual(loop.yield, user)) {
    return NULL;
  }
  return carrier(sharding, parent, number);
}

FiarShardSite* fiarShardTaker(FiarSharding* sharding, const FiarShardSite* from, MlirValue value,
                              MlirOperation user, intptr_t number, const char** out_why) {
  MlirBlock block;
  FiarShardSite* to = site_of_use(sharding, user, number, &block);
  const char* why = NULL;
  if (to == NULL) {
    return NULL;
  }
  if (!to->fits) {
    why = to->is_loop ? "the loop that carries its residual cannot carry rows of it"
                      : "the fused op that takes its residual is left itself";
  } else if (!mlirAttributeEqual(to->ranks.groups, from->ranks.groups) ||
             !mlirStringRefEqual(to->ranks.mode, from->ranks.mode) || to->world != from->world) {
    why = "the fused op that takes its residual has other groups";
  } else if (!mlirBlockEqual(block, block_of(value))) {
    why = "the fused op that takes its residual is in another region";
  }
  if (why != NULL && out_why != NULL) {
    *out_why = why;
  }
  return why == NULL ? to : NULL;
}

FiarShardSite* fiarShardGiver(FiarSharding* sharding, MlirValue value) {
  FiarCarriedLoop loop;
  if (mlirValueIsABlockArgument(value)) {
    MlirBlock block = mlirBlockArgumentGetOwner(value);
    MlirOperation parent = mlirBlockGetParentOperation(block);
    return !mlirOperationIsNull(parent) && fiarCarriedLoopRead(parent, &loop) &&
                   mlirBlockEqual(block, loop.body)
               ? carrier(sharding, parent,
                         mlirBlockArgumentGetArgNumber(value) - loop.first_argument)
               : NULL;
  }
  MlirOperation owner = mlirOpResultGetOwner(value);
  FiarShardSite* site = site_at(sharding, owner, 0);
  if (site != NULL) {
    return mlirValueEqual(value, site->norm.results[FIAR_NORM_RESIDUAL]) ? site : NULL;
  }
  return carrier(sharding, owner, mlirOpResultGetResultNumber(value));
}

// ---- Loops ----------

// Whether the loop's types would be those of rows everywhere, and its condition looks elsewhere.
static bool may_carry(const FiarCarriedLoop* loop, intptr_t index) {
  MlirValue argument = mlirBlockGetArgument(loop->body, loop->first_argument + index);
  MlirType type = mlirValueGetType(argument);
  MlirValue first = mlirOperationGetOperand(loop->op, loop->first_operand + index);
  if (!mlirTypeEqual(mlirValueGetType(first), type) ||
      !mlirTypeEqual(mlirValueGetType(mlirOperationGetResult(loop->op, index)), type)) {
    return false;
  }
  return mlirBlockIsNull(loop->condition) ||
         mlirOpOperandIsNull(mlirValueGetFirstUse(mlirBlockGetArgument(loop->condition, index)));
}

// The loop that carries what the site takes becomes a site, too.
static bool add_carrier(FiarSharding* sharding, const FiarShardSite* taker) {
  const intptr_t operand = fiarShardOperand(taker);
  if (!taker->fits || operand < 0) {
    return true;
  }
  MlirValue value = mlirOperationGetOperand(taker->op, operand);
  FiarCarriedLoop loop;
  if (!mlirValueIsABlockArgument(value) || fiarShardGiver(sharding, value) != NULL) {
    return true;
  }
  MlirBlock block = mlirBlockArgumentGetOwner(value);
  MlirOperation parent = mlirBlockGetParentOperation(block);
  if (mlirOperationIsNull(parent) || !fiarCarriedLoopRead(parent, &loop) ||
      !mlirBlockEqual(block, loop.body)) {
    return true;
  }
  const intptr_t index = mlirBlockArgumentGetArgNumber(value) - loop.first_argument;
  if (index < 0 || !may_carry(&loop, index)) {
    return true;
  }
  FiarShardSite site = {.op = parent,
                        .ranks = taker->ranks,
                        .groups_of = taker->groups_of,
                        .world = taker->world,
                        .tokens = taker->tokens,
                        .hidden = taker->hidden,
                        .shard = taker->shard,
                        .fits = true,
                        .is_loop = true,
                        .loop = loop,
                        .carried = index};
  return fiarShardAdd(sharding, &site, (uint32_t)index + 1);
}

// Does the body yield rows for the next round?
static bool yields_rows(FiarSharding* sharding, const FiarShardSite* site) {
  MlirValue next = mlirOperationGetOperand(site->loop.yield, site->carried);
  const FiarShardSite* giver = fiarShardGiver(sharding, next);
  return giver != NULL && giver->fits &&
         fiarShardTaker(sharding, giver, next, site->loop.yield, site->carried, NULL) == site;
}

void fiarShardLoops(FiarSharding* sharding) {
  for (size_t i = 0; i < sharding->n_sites && !sharding->failed; ++i) {
    const FiarShardSite taker = sharding->sites[i];  // the list may move
    (void)add_carrier(sharding, &taker);
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < sharding->n_sites; ++i) {
      FiarShardSite* site = &sharding->sites[i];
      if (site->is_loop && site->fits && !yields_rows(sharding, site)) {
        site->fits = false;
        changed = true;
      }
    }
  }
}
