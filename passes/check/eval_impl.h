// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the evaluator's files share. Internal to passes/check.
#ifndef FIAR_PASSES_CHECK_EVAL_IMPL_H
#define FIAR_PASSES_CHECK_EVAL_IMPL_H

#include "check/evaluate.h"

typedef struct FiarEval {
  FiarView view;
  const FiarEvalOptions* options;
  FiarEvaluation* out;
  FiarMap index;           // a value's pointer -> index in tensors
  const FiarShape* space;  // in the body of a LOOPS op: what a scalar stands for
  FiarTensor* tensors;
  size_t n_tensors, capacity;
  int depth;           // of the calls under way
  FiarMap cell_index;  // a memref's pointer -> index in cells
  FiarTensor* cells;   // what buffers hold now
  size_t n_cells, cell_capacity;
} FiarEval;

// Records the first reason why the evaluation cannot go on; always false.
bool fiarEvalFail(FiarEval* eval, const char* format, ...) __attribute__((format(printf, 2, 3)));

// The value's tensor, or NULL where it has none (a token, an unknown element type). Valid until the
// next fiarEvalBind.
const FiarTensor* fiarEvalFind(FiarEval* eval, MlirValue value);

// Gives the value a tensor. False: out of memory.
bool fiarEvalBind(FiarEval* eval, MlirValue value, const FiarTensor* tensor);

// Room for count elements a rank, owned by the evaluation; NULL (and a failure) without memory.
double* fiarEvalRoom(FiarEval* eval, int64_t count);

// A result's shape with its unknown sizes taken from `like` (or NULL) where that has as many
// dimensions, else FIAR_CHECK_DYNAMIC_SIZE. False: not a tensor that can be held.
#define FIAR_CHECK_DYNAMIC_SIZE 3
bool fiarEvalShape(MlirValue result, const FiarTensor* like, FiarShape* out_shape);

// Computes an op that the view knows. *out_done is false where it is not one that can be computed
// (then the caller treats it as uninterpreted). False: failure.
bool fiarEvalCompute(FiarEval* eval, const FiarPrimitive* primitive, bool* out_done);

// Computes stablehlo.dynamic_slice of small tensors; it has more operands than a primitive.
// *out_done as above.
bool fiarEvalDynamicSlice(FiarEval* eval, MlirOperation op, bool* out_done);

// Runs a LOOPS op: its body, whose scalars stand for tensors, once for each place along the loops
// that it reduces over. *out_done as above.
bool fiarEvalLoops(FiarEval* eval, const FiarPrimitive* primitive, bool* out_done);

// Evaluates one op, or uninterprets it.
bool fiarEvalOp(FiarEval* eval, MlirOperation op);

// Computes a collective over the expanded groups.
bool fiarEvalCollective(FiarEval* eval, const FiarPrimitive* primitive);

// Computes a NAMED op into its results, or over what it writes. *out_done as above.
bool fiarEvalNamedOp(FiarEval* eval, MlirOperation op, bool* out_done);

// The groups of a collective, expanded. Those that have only a name are ranks 0 .. world - 1.
bool fiarEvalGroups(FiarEval* eval, MlirAttribute groups, int64_t world, FiarGroups* out_groups);

// Computes an op of the fiar dialect, as docs/numerics.md has it.
bool fiarEvalFused(FiarEval* eval, MlirOperation op);

// Computes one of the dialect's ops around the fused call. *out_done is false where it is none of
// them. False: failure, which *out_done says, too.
bool fiarEvalBlockOp(FiarEval* eval, MlirOperation op, bool* out_done);

// fiar.rms_norm and fiar.quantize: the fused call's parts, each rank alone.
bool fiarEvalLocalNorm(FiarEval* eval, MlirOperation op);
bool fiarEvalQuantize(FiarEval* eval, MlirOperation op);

// Computes a MATMUL op. *out_done as in fiarEvalCompute.
bool fiarEvalProduct(FiarEval* eval, const FiarPrimitive* primitive, bool* out_done);

// The op's `count` optional operands or results, as the attribute (operandSegmentSizes,
// resultSegmentSizes) says; null where absent. False, and a failure, without such an attribute.
bool fiarEvalSegments(FiarEval* eval, MlirOperation op, const char* attribute,
                      MlirValue* out_values, int count);

// The group that a rank belongs to, as the members' ids in order; NULL where no group has it.
const int64_t* fiarEvalGroupOf(const FiarGroups* groups, int64_t rank, int64_t* out_position);

// ---- buffers.c ----

// What the memref's buffer holds, or NULL where it has no cell. Valid until the next new cell.
FiarTensor* fiarEvalCell(FiarEval* eval, MlirValue buffer);

// Runs ops that make, fill, reduce and read buffers. *out_done is false for others. False: failure.
bool fiarEvalBuffer(FiarEval* eval, MlirOperation op, bool* out_done);

// The op, of which nothing is known, may have written its buffers.
void fiarEvalForget(FiarEval* eval, MlirOperation op);

// ---- evaluate.c, fused.c, for those ----

int64_t fiarEvalId(MlirOperation op);
// The key of data invented for part `part` of an op.
uint64_t fiarEvalKey(const FiarEval* eval, int64_t id, int64_t part);
// Whether the collective can be run: the module, or an option, says which ranks it has.
bool fiarEvalGroupsKnown(const FiarEval* eval, const FiarPrimitive* p);
// `count` elements from `first` on, added up over the members as a collective does.
void fiarEvalSum(const FiarTensor* in, const int64_t* members, int64_t n, int64_t first,
                 int64_t count, double* out);

// A root, rounded as options->roots says.
double fiarEvalCoarse(const FiarEval* eval, double root);

#endif  // FIAR_PASSES_CHECK_EVAL_IMPL_H
