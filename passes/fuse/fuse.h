// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the parts of fiar-fuse share. Internal.
//
// The matcher is an abstract interpreter. From each all-reduce it follows the uses of the sum and
// gives every value a term: a role in the sequence (the sum, its squares, their mean, ...) plus the
// facts met on the way (eps, weight, scales). How an op combines roles is a table of rules,
// norm.c's and quant.c's; everything else (reshapes, broadcasts, converts, calls) is the same for
// all roles and is in eval.c.
//   fuse.c    the pass: finds the all-reduces, follows them, picks what to fuse
//   eval.c    the term of a value; term.c stores terms, layout.c has their dimensions
//   rules.c   which row of the tables says what becomes of an op
//   norm.c    the rules of the residual add and the norm
//   quant.c   the rules of the quantisers; power.c those of scales that are powers of two
//   loops.c   ops whose region computes one element
//   scale_layout.c scales in other orders than the rows'
//   named.c   ops that are a norm or a quantiser by name
//   mutation.c ops that write over operands
//   buffers.c all-reduces of buffers that hold tensors
//   scatter.c reduce-scatters, whose sum each rank has the rows of
//   variadic.c all-reduces of several tensors, some of which fuse
//   rewrite.c builds the fused op where it may stand
//   liveness.c, functions.c remove what is dead
//   report.c  the table, JSON and messages
//   inline.c, rotate.c passes that run before it, and ask it what would fuse
#ifndef FIAR_PASSES_FUSE_FUSE_H
#define FIAR_PASSES_FUSE_FUSE_H

#include "fiar/types.h"
#include "frontends/primitive.h"
#include "fuse/layout.h"
#include "ir/text.h"

// X(NAME, "what the value is", for reasons). In the order in which a sequence reaches them.
#define FIAR_ROLE_TABLE(X)                                \
  X(OUTSIDE, "a value from outside")                      \
  X(CONST, "a constant")                                  \
  X(HIDDEN, "the all-reduced sum")                        \
  X(HIDDEN_WEIGHT, "the sum times the weight")            \
  X(HIDDEN_ABS, "the sum's magnitude")                    \
  X(ROW_SUM, "the sum of a row")                          \
  X(ROW_MEAN, "the mean of a row")                        \
  X(SQUARE, "the square")                                 \
  X(SQUARE_SUM, "the sum of squares")                     \
  X(MEAN, "the mean square")                              \
  X(MEAN_EPS, "the mean square plus eps")                 \
  X(ROOT, "the root mean square")                         \
  X(RROOT, "the reciprocal root")                         \
  X(RROOT_WEIGHT, "the reciprocal root times the weight") \
  X(NORMED, "the normalised value without weight")        \
  X(NORM, "the norm")                                     \
  X(CHANGED, "the norm, changed as no quantiser does")    \
  X(ABS, "the norm's magnitudes")                         \
  X(AMAX, "the largest magnitude")                        \
  X(STEP, "amax over the range of the codes")             \
  X(POWER, "what is computed from the scale's bits")      \
  X(SCALE, "the quantisation scale")                      \
  X(FACTOR, "the factor derived from the scale")          \
  X(SCALE_IS_ZERO, "the test of the scale against zero")  \
  X(SCALE_NOT_ZERO, "the test of the scale against zero") \
  X(SCALED, "the scaled norm")                            \
  X(CODES, "the codes")

typedef enum FiarRole {
#define X(name, text) FIAR_ROLE_##name,
  FIAR_ROLE_TABLE(X)
#undef X
} FiarRole;

// What is known of a sequence at some value. A rule copies its operand's facts and adds to the
// copy.
typedef struct FiarFacts {
  int anchor;          // which all-reduce; -1: none (values from outside)
  MlirValue residual;  // or null
  bool norm_input_f32;
  double eps;
  MlirValue weight;  // or null
  double weight_bias;
  fiar_norm_rounding_t rounding;
  fiar_quant_t quant;
  MlirValue scale;      // the given scale, or null
  double scale_number;  // its value where it is a constant, else NaN
  MlirValue scales;     // the computed scales as the source names them, or null
  fiar_scale_is_t scale_is;
  fiar_scale_type_t scale_type;
  double scale_min;
  int64_t group_size;
  bool guarded;         // nvfp4: a zero scale gives zero codes in the source too
  bool bounded;         // the step has an upper bound, which the scale's type has, too
  bool gathered;        // where the sum is scattered: the rows of all ranks, not one's own
  const char* inverse;  // the source's op for 1 / x where the scale enters as that; or NULL
  fiar_scale_layout_t scale_layout;  // of `scales`, as the source's op returns them
} FiarFacts;

// What a value computed from the bits of a scale can be, the scale being in one of the intervals of
// power.c: from low to high; NaN where nothing is known. Owned by the fusion.
enum { FIAR_PIECES = 512 };
typedef struct FiarPieces {
  struct FiarPieces* next;
  double low[FIAR_PIECES], high[FIAR_PIECES];
} FiarPieces;

typedef struct FiarTerm {
  FiarRole role;
  FiarLayout layout;
  MlirValue
      value;  // the SSA value where it can be named at the all-reduce's place; null in callees
  MlirValue narrow;  // the value that this one widens without change, or `value`
  bool rounded;      // holds only values of the all-reduce's element type
  bool clamped;      // SCALED: from both sides, to -number .. number
  double number;  // CONST: the value. AMAX: its floor. STEP: the divisor of amax. SCALED: the bound
  // CHANGED: what to say of it should it be quantised after all, the type that ends the sentence
  // (or NONE), and the op that did it.
  const char* changed;
  FiarElement changed_to;
  MlirOperation changed_at;
  const FiarPieces* pieces;  // POWER
  FiarRole bits_of;          // POWER: of a STEP's or an AMAX's bits
  FiarFacts facts;
  // OUTSIDE and CONST: what the layout's DIM labels and the value are made of.
  MlirValue base;  // the value before broadcasts and widening, nameable; or null
  FiarElement base_elem;
  double bias;            // a constant added to base, 0 or 1
  FiarElement bias_elem;  // the type in which it was added, if it was
  MlirValue vec;          // the last nameable value with base's elements, bias included
  FiarElement vec_elem;
} FiarTerm;

// Why an all-reduce (or its quantiser) was left; the reason furthest along the sequence is kept.
typedef struct FiarReason {
  int rank;           // 0: none yet
  uint32_t position;  // of the op: of equal ranks the first in the text is kept
  char text[224];
  MlirLocation location;
} FiarReason;

// A value of the all-reduce's own block that belongs to its sequence.
typedef struct FiarMember {
  MlirValue value;
  uint32_t term;
} FiarMember;

typedef struct FiarAnchor {
  MlirOperation op;
  int result;  // a variadic all-reduce has an anchor for each result
  FiarPrimitive primitive;
  MlirValue input;  // what is reduced: the op's operand, or that of the reduce-scatter before it
  bool widened;     // widened to f32 before the all-reduce, whose sum `op` rounds
  bool scatters;    // `op` is a reduce-scatter: each rank has a block of the sum's rows
  FiarElement elem;
  int64_t hidden, world;
  bool usable;   // a sum over known groups: its uses are followed
  bool refused;  // followed for what comes, which does not fuse: `reason` says why
  FiarReason reason, quant_reason;
  FiarMember* members;
  size_t n_members, member_capacity;
  bool fused;
  FiarFacts facts;  // of the fused op
  uint32_t wanted;  // its results: bit i for the i-th of sum, residual, norm, quant, scales
  MlirLocation location;
} FiarAnchor;

// An op that writes over operands and the one with results that stands for it; or a null op and
// the marker of what another op may have written.
typedef struct FiarMutation {
  MlirOperation original, stand_in;
  int n_written;
  int written[FIAR_MAX_NAMED];  // the operands that the original writes over
} FiarMutation;

// fiar-raise-block looks for the same sequences where no all-reduce stands in front: each starts at
// a fiar.local_sum, which that pass puts behind a value, of a group of one rank.
typedef enum FiarLocalKind {
  FIAR_LOCAL_NONE,
  FIAR_LOCAL_NORMS,       // the value is what is normalised, and may be quantised
  FIAR_LOCAL_BARE_NORMS,  // the same, but quantisers stay by themselves
  FIAR_LOCAL_QUANTISERS,  // the value is what is quantised
} FiarLocalKind;
#define FIAR_LOCAL_MODE "local"  // the group_mode of the ops that these make

typedef struct FiarFusion {
  FiarView view;
  const FiarFuseOptions* options;
  FiarAnchor* anchors;
  size_t n_anchors, anchor_capacity;
  FiarMap started;  // all-reduces that are another op's
  // eval.c
  FiarMap terms;  // (value, frame) -> number of the term
  FiarTerm** term_chunks;
  size_t n_terms, n_chunks;
  FiarPieces* pieces;
  struct FiarFrame* frames;
  size_t n_frames, frame_capacity;
  int depth;            // of the evaluation under way
  int64_t call_budget;  // ops that callees may still cost this all-reduce
  // rewrite.c
  FiarMap positions;  // ops in program order, regions after their op: MLIR's own order is lost with
                      // every insertion
  uint32_t n_positions;
  FiarMap kept;             // ops whose results are operands of fused ops, built or planned
  FiarMap dead;             // ops that end with the pass -> place in dead_ops
  MlirOperation* dead_ops;  // each after all its users
  size_t n_dead, dead_capacity;
  FiarMap replaced;  // values -> place in replacements
  MlirValue* replacements;
  size_t n_replaced, replaced_capacity;
  struct FiarAttributes* attributes;  // of the fused op built last
  // mutation.c
  MlirOperation* writers;  // ops that may write over operands, in program order
  size_t n_writers, writer_capacity;
  size_t n_unnamed;  // writers that have no stand-in
  FiarMutation* mutations;
  size_t n_mutations, mutation_capacity;
  FiarMap stand_ins;             // ops -> place in mutations
  FiarMap changed;               // values whose memory is written in ways that cannot be followed
  FiarMap functions_that_write;  // callees that were looked into: 1 where an op in them may write
  // buffers.c
  struct FiarBuffers* buffers;
  size_t n_buffers, buffer_capacity;
  FiarWriter writer;                    // report.c
  FiarLocalKind local;                  // where the sequences start: NONE, at the all-reduces
  bool failed;                          // out of memory or a contradiction; the pass fails
  bool sharded;                         // no all-reduce, but real sharding annotations
  bool scatters;                        // sums are scattered by rows
  struct FiarReplication* replication;  // scatter.c: what was found to be the same on all ranks
} FiarFusion;

// ---- eval.c ----

// A call being looked into: the callee's arguments are the call's operands in `parent`. Frame 0 is
// the module itself.
typedef struct FiarFrame {
  MlirOperation call, callee;
  uint32_t parent;
  int depth;
  FiarLoops loops;  // of a LOOPS op, whose region computes one element; rank -1 for functions
} FiarFrame;

// The term of a value: memoised, valid until the fusion ends.
const FiarTerm* fiarTermOf(FiarFusion* fusion, MlirValue value, uint32_t frame);
uint32_t fiarTermIndexOf(FiarFusion* fusion, MlirValue value, uint32_t frame);
const FiarTerm* fiarTermAt(const FiarFusion* fusion, uint32_t index);
// Stores a copy; UINT32_MAX, the fusion having failed, when out of memory.
uint32_t fiarTermAdd(FiarFusion* fusion, const FiarTerm* term);
// Gives a value of frame 0 a term of its own, as the all-reduces get one.
uint32_t fiarTermDefine(FiarFusion* fusion, MlirValue value, const FiarTerm* term);
FiarTerm fiarTermOutside(MlirValue value, uint32_t frame);
// Gives the term the shape, right-aligned as numpy broadcasts; false where the labels cannot
// follow.
bool fiarTermBroadcast(const FiarShape* shape, FiarTerm* term);
// A term of another all-reduce's sequence is a plain value to this one.
FiarTerm fiarTermForeign(const FiarTerm* term);
// Would a broadcast at run time make other rows of it? What has a value a row meets the rows that
// it is of, and must have as many; a whole tensor, or one from outside, may meet any.
bool fiarTermMayGainRows(const FiarTerm* term);
void fiarEvalClear(FiarFusion* fusion);
// The term of an elementwise sum or a named norm of given terms, as if an op of the module had
// them as operands; `value` and `frame` are the result that is asked for.
FiarTerm fiarEvalStep(FiarFusion* fusion, FiarPrimitive* primitive, MlirValue value, uint32_t frame,
                      const FiarTerm* a, const FiarTerm* b);

// ---- named.c ----

// The term of a NAMED op's result.
FiarTerm fiarEvalNamed(FiarFusion* fusion, FiarPrimitive* primitive, MlirValue value,
                       uint32_t frame);

// One op being evaluated, as the rules see it.
typedef struct FiarRuleContext {
  FiarFusion* fusion;
  FiarPrimitive* primitive;
  FiarLayout layout;  // of the result: the operands' joined
  FiarElement elem;   // of the result
  uint32_t removed;   // reductions: fiarLayoutReduce's labels
} FiarRuleContext;

// Fills *out (a copy of the chain operand's term, with the result's value and layout set) from the
// operands a and b; b is NULL for one operand. False: not this rule, or refused by fiarRefuse.
typedef bool (*FiarRuleFn)(FiarRuleContext* context, const FiarTerm* a, const FiarTerm* b,
                           FiarTerm* out);

typedef struct FiarRule {
  FiarPrimitiveKind kind;
  FiarRole a, b;  // b is OUTSIDE for one operand
  FiarRole to;    // the result's role; OUTSIDE: the row only refuses
  FiarRuleFn apply;
  const char* refusal;  // rows that refuse: the reason
} FiarRule;

// norm.c, quant.c, power.c: their rules, ended by a row of kind UNKNOWN. The first that applies
// wins; both operand orders are tried for ADD, MUL, MAX, MIN and EQUAL.
extern const FiarRule fiar_norm_rules[];
extern const FiarRule fiar_quant_rules[];
extern const FiarRule fiar_power_rules[];

// rules.c: the operand that is further along the sequence; b may be NULL. And the first row of the
// tables that applies, to *out; false: none does, or one refused.
const FiarTerm* fiarFurther(const FiarTerm* a, const FiarTerm* b);
bool fiarApplyRules(FiarRuleContext* context, const FiarTerm* a, const FiarTerm* b, FiarTerm* out);

// What a conversion to context->elem does to a role, *out being a copy of *in with the new type;
// false where nothing can be said of the result. fiarConvertNorm has the roles up to the norm and
// calls fiarConvertQuant for the rest.
bool fiarConvertNorm(FiarRuleContext* context, const FiarTerm* in, FiarTerm* out);
bool fiarConvertQuant(FiarRuleContext* context, const FiarTerm* in, FiarTerm* out);

// Ops of three operands or with bounds of their own. quant.c.
bool fiarClampTerm(FiarRuleContext* context, const FiarTerm* low, const FiarTerm* in,
                   const FiarTerm* high, FiarTerm* out);
bool fiarSelectTerm(FiarRuleContext* context, const FiarTerm* pred, const FiarTerm* a,
                    const FiarTerm* b, FiarTerm* out);

// ---- power.c ----

// Conversions, selects and clamps of POWER terms (and the cast that starts one), as the rules.
bool fiarPowerCast(FiarRuleContext* context, const FiarTerm* in, FiarTerm* out);
bool fiarPowerSelect(FiarRuleContext* context, const FiarTerm* pred, const FiarTerm* a,
                     const FiarTerm* b, FiarTerm* out);
bool fiarPowerClamp(FiarRuleContext* context, const FiarTerm* low, const FiarTerm* in,
                    const FiarTerm* high, FiarTerm* out);
// Whether the term holds, as f8E8M0FNU and in order, the scales of the quantiser in `facts`.
bool fiarIsPowerScale(const FiarTerm* term, const FiarFacts* facts);
void fiarPiecesClear(FiarFusion* fusion);
// quant.c: whether the norm is one that quantisers read, rounded and widened to f32; refuses if
// not.
bool fiarQuantReadsNorm(FiarRuleContext* context, const FiarTerm* norm);
// quant.c: what keeps a CHANGED norm, which is quantised after all, from its quantiser.
void fiarRefuseChanged(FiarFusion* fusion, const FiarTerm* in);
// quant.c: the f32 scalar that the term broadcasts, or null.
MlirValue fiarScalarOf(const FiarTerm* term);

// The all-reduce that a chain term belongs to.
static inline FiarAnchor* fiarAnchorOf(FiarRuleContext* context, const FiarTerm* term) {
  return &context->fusion->anchors[term->facts.anchor];
}

// Records why the term's sequence ends here. `text` is a format.
void fiarRefuse(FiarFusion* fusion, const FiarTerm* term, MlirOperation op, const char* text, ...)
    __attribute__((format(printf, 4, 5)));

// Records why no norm of the sequence can be returned, below what fiarRefuse says of later ones.
void fiarLeaveNorm(FiarFusion* fusion, const FiarTerm* term, const char* text);
// Whether a reason is one of fiarRefuse.
bool fiarReasonIsPrecise(const FiarReason* reason);

// Records, below any reason of fiarRefuse, that the term goes into an op (or `place`) that is no
// part of a norm.
void fiarLeaveFor(FiarFusion* fusion, const FiarTerm* term, MlirOperation op, const char* place);

// Whether both come from one sum (residual included), and from one norm.
bool fiarSameHidden(const FiarFacts* a, const FiarFacts* b);
bool fiarSameNorm(const FiarFacts* a, const FiarFacts* b);
// Whether both are quantised alike: by one arithmetic, whatever their scales are called.
bool fiarSameFacts(const FiarFacts* a, const FiarFacts* b);
// Whether both terms of scales are computed alike; their shapes may differ.
bool fiarSameScales(const FiarTerm* a, const FiarTerm* b);

static inline bool fiarIsChain(const FiarTerm* term) {
  return term->role >= FIAR_ROLE_HIDDEN;
}
static inline bool fiarIsValue(MlirValue value) {
  return value.ptr != NULL;
}

// ---- loops.c ----

// Inside a LOOPS op a scalar stands for a tensor over the iteration space; this is its shape.
FiarShape fiarLoopsShape(const FiarLoops* loops, FiarElement elem);
// An operand as the body sees it.
FiarTerm fiarLoopsArgument(const FiarLoops* loops, int number, const FiarTerm* operand);
// The loops along which an operand (a result's destination) does not walk, in order, and whether
// each stays as a dimension of size 1. -1: it walks along the others in another order than theirs,
// or has other dimensions of size 1.
int fiarLoopsReduced(const FiarLoops* loops, int operand, int64_t* out_dims, bool* out_keeps);
// For a reduction that yields `yielded`: REDUCE_ADD or REDUCE_MAX and the value that the body
// combines with its accumulator, the block's argument of this number; UNKNOWN for any other body.
FiarPrimitiveKind fiarLoopsCombined(FiarView* view, MlirValue yielded, MlirBlock block,
                                    intptr_t accumulator, MlirValue* out_value);

// ---- rewrite.c ----

// The place of an op in program order, counted in steps that leave room for new ops.
uint32_t fiarPosition(const FiarFusion* fusion, MlirOperation op);
static inline bool fiarIsBefore(const FiarFusion* fusion, MlirOperation a, MlirOperation b) {
  return fiarPosition(fusion, a) < fiarPosition(fusion, b);
}
bool fiarPositionSet(FiarFusion* fusion, MlirOperation op, uint32_t position);

// Builds the fused op that the anchor's facts describe and replaces the sequence's values; what is
// then dead is only marked, since later all-reduces still refer to it. False, with the anchor's
// reason set: the op may not stand anywhere, and nothing has changed.
bool fiarRewrite(FiarFusion* fusion, FiarAnchor* anchor);
// Erases what the rewrites left dead, and private functions that only it called.
void fiarRewriteFinish(FiarFusion* fusion);
void fiarRewriteClear(FiarFusion* fusion);

// ---- scale_layout.c ----

// Follows the reshapes and transposes that alone use the anchor's scales, which are in the order of
// the rows, and makes them members. Gives the last value that has them in another layout of the
// runtime, and that; null where none has.
MlirValue fiarScalesMoved(FiarFusion* fusion, FiarAnchor* anchor, MlirValue scales,
                          fiar_scale_layout_t* out_layout);

// fuse.c: rewrites every sequence of this kind in the module. The fiar.local_sums of those that
// were stay only where they have other uses. False: out of memory.
bool fiarFuseLocal(MlirOperation module, FiarLocalKind kind);

// fuse.c: the places of all ops of the module, for passes that use the liveness and the end of
// rewrites alone.
void fiarNumberOps(FiarFusion* fusion, MlirOperation module);

// fuse.c: a value of the anchor's block belongs to its sequence.
bool fiarMemberAdd(FiarFusion* fusion, FiarAnchor* anchor, MlirValue value, uint32_t term);

// ---- mutation.c ----

// Whether the op may write over operands: fiarMayWrite, or a call of a function with such an op.
bool fiarWritesOperands(FiarFusion* fusion, MlirOperation op);
// Notes an op that may; in program order. False: out of memory.
bool fiarMutationNote(FiarFusion* fusion, MlirOperation writer);
// Gives what the noted ops write names of their own, for as long as the pass runs.
void fiarMutationsName(FiarFusion* fusion);
// Puts the ops back, but for those that are dead; before fiarRewriteFinish.
void fiarMutationsRestore(FiarFusion* fusion);
bool fiarIsStandIn(const FiarFusion* fusion, MlirOperation op);
// Whether some op may write over the value's memory.
bool fiarIsWritten(FiarFusion* fusion, MlirValue value);

// ---- buffers.c ----

// Puts all-reduces of tensors in the place of those of buffers that hold them, for as long as the
// pass runs; what cannot be seen so gets its reason.
void fiarBuffersName(FiarFusion* fusion);
// Takes those back that were not fused, and marks the buffers of the others dead; before
// fiarRewriteFinish.
void fiarBuffersRestore(FiarFusion* fusion);

// ---- scatter.c ----

// Whether the op is a reduce-scatter of rows that adds, as sequence parallelism has it.
bool fiarScattersRows(FiarFusion* fusion, MlirOperation op, FiarPrimitive* out_scatter);
// The residual_layout of the op that the anchor becomes.
const char* fiarResidualLayoutText(const FiarAnchor* anchor);
// Why such a sum does not fuse, its world being known; NULL: it may.
const char* fiarScatterRefusal(const FiarAnchor* anchor);
// Whether an all-gather puts together the rows that all ranks computed of the sum that was
// scattered. Gives the whole's layout.
bool fiarGathersRows(const FiarFusion* fusion, const FiarPrimitive* gather, const FiarTerm* part,
                     const FiarShape* shape, FiarLayout* out_layout);
// Whether a fused op may return what the term holds of a scattered sum: gathered rows, computed
// with what all ranks have. Refuses if not.
bool fiarScatterReturns(FiarFusion* fusion, const FiarAnchor* anchor, const FiarTerm* term);
// Takes the anchors of reduce-scatters off that no norm followed.
void fiarScattersForget(FiarFusion* fusion);

// ---- functions.c ----

// Erases those of the private functions that nothing refers to, and what only they called.
void fiarEraseUnreferenced(FiarView* view, const MlirOperation* functions, size_t n);

// ---- variadic.c ----

// Whether results of the all-reduce may go and the others stay.
bool fiarCanSplit(MlirOperation op);
// After the dead ops are erased: takes fused operands out of the variadic all-reduces that stay.
// `erased` has the ops that are gone.
void fiarSplitVariadic(FiarFusion* fusion, const FiarMap* erased);

// ---- liveness.c ----

// Marks every op dead that only dead ops or replaced values keep, starting from the anchor's
// members. `is_replaced` has the values whose uses go to the fused op. Gives the number of ops dead
// before.
size_t fiarMarkDead(FiarFusion* fusion, const FiarAnchor* anchor, const FiarMap* is_replaced);
// Marks what only the operands of a dead op kept.
void fiarMarkOperands(FiarFusion* fusion, MlirOperation op, const FiarMap* is_replaced);
// Takes marks back to that number.
void fiarUnmarkDead(FiarFusion* fusion, size_t n_dead);
// So is what is inside a dead op.
bool fiarIsDead(const FiarFusion* fusion, MlirOperation op);
// Once or again. False: out of memory.
bool fiarMarkOpDead(FiarFusion* fusion, MlirOperation op);

// ---- report.c ----

void fiarReport(FiarFusion* fusion, FiarFuseCounts* out_counts);
// Whether the module carries shardings that a partitioner has still to act on.
bool fiarHasShardings(MlirOperation module);
void fiarMessage(const FiarFusion* fusion, FiarMessageKind kind, MlirLocation location,
                 const char* format, ...) __attribute__((format(printf, 4, 5)));

// For FiarFuseOptions.message, of those who only ask what would fuse.
void fiarSayNothing(FiarMessageKind kind, MlirLocation location, MlirStringRef text, void* data);

#endif  // FIAR_PASSES_FUSE_FUSE_H
