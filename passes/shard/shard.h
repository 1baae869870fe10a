// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the parts of fiar-shard-residual share. Internal.
//   shard.c       the pass: finds the fused ops, joins them into chains, rewrites the chains
//   flow.c        where a residual goes: to the next fused op, through loops
//   replicated.c  the proof that a value is the same on all ranks of a group
//   report.c      the table, JSON and messages
#ifndef FIAR_PASSES_SHARD_SHARD_H
#define FIAR_PASSES_SHARD_SHARD_H

#include "frontends/primitive.h"
#include "ir/carried.h"
#include "ir/text.h"

// Operands and results of fiar.all_reduce_norm, as the dialect orders them.
enum { FIAR_NORM_X, FIAR_NORM_RESIDUAL_IN, FIAR_NORM_WEIGHT, FIAR_NORM_SCALE, FIAR_NORM_OPERANDS };
enum {
  FIAR_NORM_SUM,
  FIAR_NORM_RESIDUAL,
  FIAR_NORM_NORM,
  FIAR_NORM_QUANT,
  FIAR_NORM_SCALES,
  FIAR_NORM_RESULTS
};

// What one fiar.all_reduce_norm holds, absent values null.
typedef struct FiarNormOp {
  MlirValue operands[FIAR_NORM_OPERANDS];
  MlirValue results[FIAR_NORM_RESULTS];
  bool sharded;  // residual_layout is not full
} FiarNormOp;

// False where the op has no segment sizes that fit it.
bool fiarNormOpRead(MlirOperation op, FiarNormOp* out_norm);

// ---- replicated.c ----------

// Who takes part in a fiar op: its `groups`, and what their ids count. Borrowed from the op.
typedef struct FiarRanks {
  MlirAttribute groups;
  MlirStringRef mode;
} FiarRanks;
FiarRanks fiarRanksOf(MlirOperation op);

// Whether values are the same on all ranks of each group; remembers what it found. Zero-initialise,
// then set view.
typedef struct FiarReplication {
  FiarView* view;
  FiarRanks* ranks;  // all that were asked about
  size_t n_ranks;
  FiarMap known;       // (value, index in ranks) -> 0 or 1
  FiarMapSlot* trail;  // what was found to be the same, in order, to forget it again
  size_t n_trail, trail_capacity;
  bool failed;  // out of memory
} FiarReplication;

// Is the value proved to be the same on all ranks of each group? False also where nothing can be
// said.
bool fiarReplicated(FiarReplication* replication, MlirValue value, FiarRanks ranks);
// Whether the argument is a manual computation's that has another part of a value on every rank.
bool fiarIsSplit(FiarView* view, MlirValue argument);
void fiarReplicationClear(FiarReplication* replication);

// ---- shard.c ----------

// A fused op, or a value that a loop carries between fused ops. Indices are those of the pass's
// list: the fused ops in the order of the text, then the loops.
typedef struct FiarShardSite {
  MlirOperation op;
  FiarNormOp norm;  // of a fused op
  FiarRanks ranks;
  MlirOperation groups_of;  // the fused op that the ranks are of
  int64_t world, tokens, hidden;
  MlirType shard;        // of one rank's rows
  bool is_loop;          // then:
  FiarCarriedLoop loop;  //   op, read
  intptr_t carried;      //   which of its values
  size_t chain;          // the first site of its chain: a union-find tree
  size_t links;          // of its chain, at the first site: residuals between its sites
  size_t gathers;        // of its chain, at the first site: residuals that are needed whole
  bool fits;             // may be sharded by itself
  bool sharded, before;  // by this run; by an earlier one
  char reason[160];      // why not
} FiarShardSite;

typedef struct FiarSharding {
  const FiarShardOptions* options;
  FiarView view;
  FiarReplication replication;
  FiarShardSite* sites;
  size_t n_sites, capacity;
  FiarMap site_of;  // (a fused op, 0), (a loop, value + 1) -> its index
  FiarShardCounts counts;
  FiarWriter writer;
  bool failed;  // out of memory, or a malformed op
} FiarSharding;

// ---- flow.c ----------

// Adds a site to the list, under a number: see site_of. False: out of memory, and sharding->failed.
bool fiarShardAdd(FiarSharding* sharding, const FiarShardSite* site, uint32_t number);

// Adds the loops that carry residuals of fitting fused ops to fitting fused ops.
void fiarShardLoops(FiarSharding* sharding);

// The values by which a site gives rows; gives their number.
int fiarShardGives(const FiarShardSite* site, MlirValue out_values[2]);

// The operand by which a site first takes rows, or -1.
intptr_t fiarShardOperand(const FiarShardSite* site);

// The site that gives the value, or NULL.
FiarShardSite* fiarShardGiver(FiarSharding* sharding, MlirValue value);

// The site that takes, at operand `number` of `user`, the rows that `from` gives by the value; or
// NULL. *out_why, where it is not NULL and such a site is there: why the two cannot share rows.
FiarShardSite* fiarShardTaker(FiarSharding* sharding, const FiarShardSite* from, MlirValue value,
                              MlirOperation user, intptr_t number, const char** out_why);

// ---- report.c ----------

void fiarShardReport(FiarSharding* sharding);

#endif  // FIAR_PASSES_SHARD_SHARD_H
