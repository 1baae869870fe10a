// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the parts of fiar-raise-block share. Internal.
//   raise.c    the pass: its stages, what is left and why
//   inline.c   calls become what they call
//   unfold.c   loops over elementwise ops become those ops
//   matmul.c   products with their scales, bias and rounding; block_scales.c block scales
//   activate.c activations with what they are combined with, and sums; gelu.c recognises gelu
//   local.c    norms and quantisers without an all-reduce in front, by the matcher of fiar-fuse
//   values.c   small readers of values; ops.c builds ops; raise_report.c the report
#ifndef FIAR_PASSES_BLOCK_RAISE_H
#define FIAR_PASSES_BLOCK_RAISE_H

#include "fuse/fuse.h"

// X(NAME, "op", "what it is called in reports")
#define FIAR_BLOCK_OP_TABLE(X)               \
  X(ALL_REDUCE_NORM, "fiar.all_reduce_norm") \
  X(ALL_REDUCE, "fiar.all_reduce")           \
  X(ALL_GATHER_ROWS, "fiar.all_gather_rows") \
  X(TAKE_ROWS, "fiar.take_rows")             \
  X(MATMUL, "fiar.matmul")                   \
  X(RMS_NORM, "fiar.rms_norm")               \
  X(QUANTIZE, "fiar.quantize")               \
  X(ACTIVATE, "fiar.activate")               \
  X(COPY, "fiar.copy")

typedef enum FiarBlockOp {
#define X(name, text) FIAR_BLOCK_##name,
  FIAR_BLOCK_OP_TABLE(X)
#undef X
      FIAR_BLOCK_OPS
} FiarBlockOp;

// Which of them an op is, or FIAR_BLOCK_OPS.
FiarBlockOp fiarBlockOpOf(MlirOperation op);
const char* fiarBlockOpName(FiarBlockOp op);

enum { FIAR_RAISE_REASON = 160 };

typedef struct FiarRaising {
  MlirOperation module;
  const FiarRaiseOptions* options;
  FiarFusion fusion;  // for its view, its places of ops and its list of dead ops
  FiarMap reasons;    // ops that were looked at and left -> place in reason_list
  char (*reason_list)[FIAR_RAISE_REASON];
  size_t n_reasons, reason_capacity;
  FiarMap nothing;  // stays empty
} FiarRaising;

// Records why an op was left, the first reason staying. False.
bool fiarRaiseLeave(FiarRaising* raising, MlirOperation op, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
// The reason, or NULL.
const char* fiarRaiseReason(const FiarRaising* raising, MlirOperation op);

// Puts the value in the place of the op's only result; the op is dead then, and what only it used.
void fiarRaiseReplace(FiarRaising* raising, MlirOperation op, MlirValue value);

typedef void FiarRaiseVisit(FiarRaising* raising, MlirOperation op, void* data);

// Calls `visit` for each op of the public functions' bodies, those of wrappers included, in program
// order; the op may be replaced, and ops put in before it.
void fiarRaiseEach(FiarRaising* raising, FiarRaiseVisit* visit, void* data);

// Whether the op of the module is a public function with a body.
bool fiarBlockIsEntry(MlirOperation op);
// Whether the op's region is the rest of the function, as one rank computes it.
bool fiarBlockIsWrapper(MlirOperation op);

// inline.c: replaces the calls of private functions without effects.
void fiarRaiseInline(FiarRaising* raising);

// unfold.c: replaces a linalg.generic of elementwise ops, whose operands lie as its result does.
FiarRaiseVisit fiarRaiseUnfold;

// matmul.c, activate.c: each replaces the op, and what belongs to it, where it can: an activation
// times a value; after those one alone, and a sum that no norm took.
FiarRaiseVisit fiarRaiseMatmul, fiarRaiseGated, fiarRaiseActivation, fiarRaiseSum;

// gelu.c: what the value is gelu of, by tanh or by the error function, or null.
MlirValue fiarRaiseGeluTanhOf(FiarRaising* raising, MlirValue value, bool* out_named);
MlirValue fiarRaiseGeluOf(FiarRaising* raising, MlirValue value, bool* out_named);

// local.c: the norms, then the quantisers. False: out of memory.
bool fiarRaiseLocal(MlirOperation module, bool separate);

// raise_report.c
void fiarRaiseReport(FiarRaising* raising, FiarRaiseCounts* out_counts);

// ---- values.c ----

// The primitive that gives the value, PURE for arguments.
FiarPrimitive fiarRaiseSource(FiarRaising* raising, MlirValue value);
// Through barriers and markers.
MlirValue fiarRaiseThrough(FiarRaising* raising, MlirValue value);
// A splat constant, through broadcasts, reshapes and converts.
bool fiarRaiseNumber(FiarRaising* raising, MlirValue value, double* out_number);
// The value that this one widens (f16 or bf16 to f32), or itself.
MlirValue fiarRaiseNarrow(FiarRaising* raising, MlirValue value);
// The only user of a value with one use; null otherwise.
MlirOperation fiarRaiseOnlyUser(MlirValue value);

// How the elements of a factor of an [..., N] value vary.
typedef enum FiarFactorKind {
  FIAR_FACTOR_ONE,
  FIAR_FACTOR_ROWS,
  FIAR_FACTOR_COLUMNS
} FiarFactorKind;
typedef struct FiarFactor {
  FiarFactorKind kind;
  MlirValue value;  // one element, one a row or one a column, in order
} FiarFactor;
enum { FIAR_MAX_FACTORS = 4 };

// Takes a tensor apart into a product of scalars, row and column vectors, all f32. Gives their
// number, or -1 where it is no such product.
int fiarRaiseFactors(FiarRaising* raising, MlirValue value, FiarFactor* out_factors);

// ---- block_scales.c ----

// Codes, and a scale for each block of them along one dimension.
typedef struct FiarBlocks {
  MlirValue codes, scales;
  const char* type;  // of the scales, as block_scale_type spells it
} FiarBlocks;

// What the operand of a product, contracted over dimension `along`, was dequantised from: codes of
// the operand's own shape. False: it was not, or not by blocks.
bool fiarRaiseBlocks(FiarRaising* raising, MlirValue operand, int along, FiarBlocks* out_blocks);

// The block_scale_type of codes with these scales, and their block; NULL where there is no such
// format.
const char* fiarRaiseBlockType(MlirValue codes, MlirValue scales, int64_t* out_block);

// ---- ops.c ----

typedef struct FiarBuilder {
  MlirContext context;
  const char* name;
  MlirLocation location;
  int n_operands, n_results, n_attributes, n_operand_sizes, n_result_sizes;
  MlirValue operands[8];
  MlirType results[8];
  int32_t operand_sizes[8], result_sizes[8];
  MlirNamedAttribute attributes[24];
} FiarBuilder;

FiarBuilder fiarBuild(MlirContext context, const char* name, MlirLocation location);
void fiarBuildOperand(FiarBuilder* builder, MlirValue value);  // null: absent
void fiarBuildResult(FiarBuilder* builder, MlirType type);     // null: absent
void fiarBuildAttribute(FiarBuilder* builder, const char* name, MlirAttribute attribute);
void fiarBuildText(FiarBuilder* builder, const char* name, const char* text);
void fiarBuildBool(FiarBuilder* builder, const char* name, bool value);
// Takes the attribute of another op over.
void fiarBuildCopy(FiarBuilder* builder, const char* name, MlirOperation from);
// The op, in front of `before`. `segments`: it has operandSegmentSizes and resultSegmentSizes, each
// only where some operand or result is optional.
MlirOperation fiarBuildOp(FiarBuilder* builder, MlirOperation before, bool operand_segments,
                          bool result_segments);

#endif  // FIAR_PASSES_BLOCK_RAISE_H
