// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The primitive view: what an op of any known dialect means to the matcher. Internal.
//
// Dialects differ in names and attributes only, so each has a table (frontends.def lists them) from
// op names to these few kinds, and one matcher works on the view. An op without a row is UNKNOWN:
// it may have any effect, and nothing is seen through it. docs/extending.md adds a table step by
// step.
#ifndef FIAR_PASSES_FRONTENDS_PRIMITIVE_H
#define FIAR_PASSES_FRONTENDS_PRIMITIVE_H

#include "fiar/types.h"
#include "ir/map.h"
#include "ir/match.h"
#include "passes.h"

// X(NAME, "what the op computes; in[] are its operands, dims[] its dimensions")
#define FIAR_PRIMITIVE_TABLE(X)                                                                   \
  X(UNKNOWN, "anything, with any effect")                                                         \
  X(PURE, "some value of its operands, without effect")                                           \
  X(IDENTITY, "result i is operand i: barriers, sharding constraints, waits")                     \
  X(ALL_REDUCE, "result i is the reduction of operand i over the ranks of each group")            \
  X(REDUCE_SCATTER, "in[0] summed over the group, this rank's part along dims[0]")                \
  X(ALL_GATHER, "the group's in[0] side by side along dims[0]")                                   \
  X(START, "starts a collective that another op, which has its results, waits for")               \
  X(COLLECTIVE, "some exchange between the ranks, without other effect")                          \
  X(ADD, "in[0] + in[1]")                                                                         \
  X(SUB, "in[0] - in[1]")                                                                         \
  X(MUL, "in[0] * in[1]")                                                                         \
  X(DIV, "in[0] / in[1]")                                                                         \
  X(MAX, "the larger; NaN wins")                                                                  \
  X(MIN, "the smaller; NaN wins")                                                                 \
  X(POWER, "in[0] ** in[1], or ** number with one operand")                                       \
  X(SQUARE, "in[0] * in[0]")                                                                      \
  X(SQRT, "square root")                                                                          \
  X(RSQRT, "1 / square root")                                                                     \
  X(RECIPROCAL, "1 / in[0]")                                                                      \
  X(ABS, "|in[0]|")                                                                               \
  X(NEGATE, "-in[0]")                                                                             \
  X(EXP, "e ** in[0]")                                                                            \
  X(TANH, "hyperbolic tangent")                                                                   \
  X(ERFC, "1 - the error function")                                                               \
  X(LOGISTIC, "1 / (1 + e ** -in[0])")                                                            \
  X(EQUAL, "in[0] == in[1]")                                                                      \
  X(NOT_EQUAL, "in[0] != in[1]")                                                                  \
  X(LESS, "in[0] < in[1]")                                                                        \
  X(LESS_EQUAL, "in[0] <= in[1]")                                                                 \
  X(AND, "in[0] & in[1], integers")                                                               \
  X(OR, "in[0] | in[1], integers")                                                                \
  X(SHIFT_LEFT, "in[0] << in[1]")                                                                 \
  X(SHIFT_RIGHT_SIGNED, "in[0] >> in[1], copies of the sign from the left")                       \
  X(SHIFT_RIGHT, "in[0] >> in[1], zeros from the left")                                           \
  X(NOT, "1 - in[0], integers of one bit")                                                        \
  X(BITCAST, "the bits of in[0] in another type of the same width")                               \
  X(SELECT, "in[0] ? in[1] : in[2]")                                                              \
  X(CLAMP, "in[0] <= in[1] <= in[2], low, value, high")                                           \
  X(REDUCE_ADD, "sum of in[0] over dims[], from in[1] where given")                               \
  X(REDUCE_MAX, "maximum of in[0] over dims[], from in[1] where given")                           \
  X(REDUCE_MEAN, "mean of in[0] over dims[]")                                                     \
  X(REDUCE_DOT, "sum of in[0] * in[1], of one shape, over dims[0], the last; see may_round")      \
  X(BROADCAST, "operand dimension i is result dimension dims[i]")                                 \
  X(RESHAPE, "the same elements in row-major order")                                              \
  X(TRANSPOSE, "result dimension i is operand dimension dims[i]")                                 \
  X(PAD, "in[0], with dims[i] copies of the scalar in[1] behind it along dimension i")            \
  X(SLICE, "in[0] from place dims[i] on along dimension i, as many as the result has")            \
  X(CONVERT, "the value in the result's element type, rounded to nearest even")                   \
  X(CONSTANT, "number where it is a splat, else elements nobody reads")                           \
  X(BATCH_MUL, "product over n_batch dims of each (dims[], dims2[]), outer over the others")      \
  X(MATMUL, "products of in[0] and in[1] summed over dimensions dims[0], dims2[0], from 0")       \
  X(BLOCK_MATMUL, "MATMUL over the last dimensions, each block along them times in[2], in[3]")    \
  X(CALL, "the results of `callee`, a function or a region's op, on the operands")                \
  X(LOOPS, "the op's region at each place of an iteration space (fiarLoopsRead)")                 \
  X(RMS_NORM, "RMSNorm of in[0] over its last dimension, times in[1] where given; eps is number") \
  X(NAMED, "a norm or quantiser with results of its own (fiarNamedRead)")

typedef enum FiarPrimitiveKind {
#define X(name, meaning) FIAR_PRIM_##name,
  FIAR_PRIMITIVE_TABLE(X)
#undef X
} FiarPrimitiveKind;

#define FIAR_MAX_INPUTS 4

// One op, read. Borrowed from the IR: valid until the op changes.
typedef struct FiarPrimitive {
  FiarPrimitiveKind kind;
  MlirOperation op;
  int n_in;
  MlirValue in[FIAR_MAX_INPUTS];
  int n_dims;
  int64_t dims[FIAR_MAX_RANK];
  int64_t dims2[FIAR_MAX_RANK];
  bool keep_dims;          // REDUCE_*: reduced dimensions stay with size 1
  bool may_repeat;         // BROADCAST: of dimensions of unknown size, which may be 1
  bool broadcasts;         // elementwise: operands of other shapes are broadcast, right-aligned
  bool may_round;          // REDUCE_DOT: what is wider than bf16 may be rounded to it first
  bool has_number;         // CONSTANT: a splat; with one operand: the second is this number
  double number, number2;  // CLAMP with one operand: low and high
  bool before_weight;      // RMS_NORM: rounded to in[0]'s type before the weight, too
  MlirOperation callee;    // CALL
  MlirAttribute groups;    // collectives: as the source spells them
  const char* mode;        // collectives: what the ids of the groups count (FIAR_GROUPS_*)
  int64_t world;           // collectives: the ranks of a group, where the op says; else 0
  const char* reduction;   // ALL_REDUCE, REDUCE_SCATTER: "sum", or the name of what it is instead
  const char* refusal;     // ALL_REDUCE: why it cannot be fused, or NULL
  // ALL_REDUCE that waits: the op that starts it, whose operands are reduced, and the all-reduce in
  // that one's body; null for all others.
  MlirOperation start, started;
} FiarPrimitive;

// What the ids in a collective's groups are (StableHLO's process groups).
#define FIAR_GROUPS_FLATTENED "flattened_ids"
#define FIAR_GROUPS_REPLICA "cross_replica"
#define FIAR_GROUPS_REPLICA_AND_PARTITION "cross_replica_and_partition"
#define FIAR_GROUPS_PROCESS "process_group"  // no ids: `groups` is the name of a communicator

// A module seen through the tables. One thread at a time; the module's symbols may not be renamed
// while it lives.
typedef struct FiarView {
  MlirOperation module;
  int64_t world;  // the ranks of communicators that have only a name; 0: not known
  FiarMap rows;   // an op name's identifier -> index in row_list; UINT32_MAX: no row
  const struct FiarOpRow* row_list[256];
  size_t n_rows;
  FiarMap symbols;  // a symbol name's attribute -> index in symbol_ops
  MlirOperation* symbol_ops;
  size_t n_symbols, symbol_capacity;
  // Functions that are called where fiarIsPartlyManual holds; by their ops.
  FiarMap open_functions;
  bool open_functions_known;
  int64_t mpi_world;  // the ranks of MPI_COMM_WORLD; 0: not asked yet, -1: the module does not say
} FiarView;

// The op, without its dialect, that stands where fiar-raise-block looks for a norm with no
// all-reduce in front: it exists only during that pass.
#define FIAR_LOCAL_SUM "local_sum"

// mpi.allreduce works on buffers; fuse/buffers.c puts this op of the mpi dialect in its place where
// they hold tensors, and looks only at those that have this very text as their refusal.
#define FIAR_MPI_STAND_IN "fiar.all_reduce"
extern const char fiar_mpi_on_buffers[];

// Fills the fields of `primitive` beyond kind, op and the first operands. May lower the kind (to
// PURE or UNKNOWN) where the op's attributes ask for more than the primitive says.
typedef void (*FiarReadFn)(FiarView* view, FiarPrimitive* primitive);

typedef struct FiarOpRow {
  const char* name;  // without the dialect
  FiarPrimitiveKind kind;
  FiarReadFn read;  // NULL: the operands say it all
} FiarOpRow;

typedef struct FiarFrontend {
  const char* const* dialects;  // the namespaces that share the rows, NULL at the end
  const FiarOpRow* rows;        // a row with name NULL at the end
} FiarFrontend;

// Collects the module's symbols. False: out of memory. fiarViewClear also after failure.
bool fiarViewInit(FiarView* view, MlirOperation module);
void fiarViewClear(FiarView* view);

// Reads an op. Costs a table lookup by identifier plus the row's own reader.
FiarPrimitive fiarPrimitiveRead(FiarView* view, MlirOperation op);

// The kind alone, by name: what a row claims before its reader may lower it.
FiarPrimitiveKind fiarPrimitiveKind(FiarView* view, MlirOperation op);
// Elementwise, of two operands or of one and a number.
bool fiarPrimitiveIsBinary(FiarPrimitiveKind kind);
// Too few operands for the kind: a table row that does not fit the op.
bool fiarPrimitiveLacksOperands(const FiarPrimitive* primitive);

// Whether erasing the op, its results being unused, changes nothing; looks into callees and
// regions.
bool fiarPrimitivePure(FiarView* view, MlirOperation op);
// The same, all-gathers beside: for what all ranks leave out together.
bool fiarPrimitivePureButGathers(FiarView* view, MlirOperation op);

// The op of the module that defines the symbol, or a null op.
MlirOperation fiarViewSymbol(FiarView* view, MlirAttribute reference);

// The symbol's op is about to be erased.
void fiarViewForget(FiarView* view, MlirOperation op);

// What an ALL_REDUCE adds up for its result of this number.
static inline MlirValue fiarReducedOperand(const FiarPrimitive* p, intptr_t result) {
  return mlirOperationGetOperand(mlirOperationIsNull(p->start) ? p->op : p->start, result);
}

// For readers: the kind of a two-argument region that combines arg0 and arg1 in either order and
// yields the result, also by way of wider floats; FIAR_PRIM_UNKNOWN for any other region.
FiarPrimitiveKind fiarReducerKind(FiarView* view, MlirRegion region);

// For readers: `starts` and `strides` name the attributes of a slice, whose only tensor operand is
// the first. PURE where a place is not known, a stride is not 1, or dimensions or elements differ.
void fiarReadSlice(FiarPrimitive* primitive, const char* starts, const char* strides);

// The iteration space of a LOOPS op, and the loop along which each operand dimension walks.
#define FIAR_MAX_LOOP_OPERANDS 8
enum { FIAR_LOOPS_UNIT = -1 };  // along none: the dimension has size 1

typedef struct FiarLoops {
  int rank;
  int64_t size[FIAR_MAX_RANK];  // -1 where dynamic
  int n_operands;
  int operand_rank[FIAR_MAX_LOOP_OPERANDS];
  int place[FIAR_MAX_LOOP_OPERANDS][FIAR_MAX_RANK];
} FiarLoops;

// False where an operand is indexed by more than a choice of loops.
bool fiarLoopsRead(MlirOperation op, FiarLoops* out_loops);

// What a result of a NAMED op is.
typedef enum FiarNamedResult {
  FIAR_NAMED_SUM,    // x + residual
  FIAR_NAMED_NORM,   // the norm of that
  FIAR_NAMED_CODES,  // the quantised norm
  FIAR_NAMED_SCALES  // the quantiser's scales
} FiarNamedResult;

// A NAMED op: [residual add ->] [RMSNorm ->] [quantiser], in this order.
enum { FIAR_MAX_NAMED = 4 };
typedef struct FiarNamed {
  MlirValue x, residual, weight, scale;  // null where absent
  bool normalises;                       // else x is a norm already
  double eps;
  fiar_quant_t quant;
  fiar_scale_layout_t scale_layout;
  double scale_min;
  int64_t group_size;
  // The source's op for 1 / x where the codes are norm * (1 / scale); NULL: nothing is inverted.
  const char* inverse;
  // Result i is results[i]. An op without results writes it over its operand written[i] instead.
  int n_results;
  FiarNamedResult results[FIAR_MAX_NAMED];
  int written[FIAR_MAX_NAMED];
} FiarNamed;

// Reads an op that computes such a sequence, whether it has results or writes over operands. False:
// it is none, or asks for more than FiarNamed says.
bool fiarNamedRead(MlirOperation op, FiarNamed* out_named);

// Whether the op may write over operands: one of torch that has tensors, and no results or a name
// that says so (add_, add_.Tensor, add.out).
bool fiarMayWrite(MlirOperation op);

// The name of an op of torch, also of one that torch.operator holds.
MlirStringRef fiarTorchName(MlirOperation op);

// Whether a result of the op may be another name for the memory of an operand, or hold it.
bool fiarMayAlias(FiarView* view, MlirOperation op);

// For readers: the value of a constant operand of torch.
MlirAttribute fiarTorchConstant(MlirOperation op, intptr_t operand);

// Whether a partitioner has still to split what the op computes: it stands in (or in a function
// that is called from) an sdy.manual_computation that leaves an axis of its mesh free, of more
// devices than one.
bool fiarIsPartlyManual(FiarView* view, MlirOperation op);

// Whether the mesh of the first of Shardy's `shardings` has an axis of more than one device that no
// list names. False where the mesh is not known.
bool fiarMeshHasAxisBeside(MlirOperation module, MlirAttribute shardings,
                           const MlirAttribute* axis_lists, int n_lists);

// For readers: the groups of a collective over the axes `reduced` of a grid of devices, as a dense
// attribute of ids, row-major over the grid, a group for each place on the other axes. Null where a
// size is not known or there are more than 4096 devices.
MlirAttribute fiarGridGroups(MlirContext context, const int64_t* sizes, int rank,
                             const bool* reduced);

// How many ranks reduce together, from the groups, their mode and the module's counts. Gives 0 and
// a sentence where it cannot be known or the groups are not all of one size; -1 and a sentence
// where they contradict the module.
int64_t fiarGroupsWorld(FiarView* view, const FiarPrimitive* collective, char* text,
                        size_t text_size);

#endif  // FIAR_PASSES_FRONTENDS_PRIMITIVE_H
