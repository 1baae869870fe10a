// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A block: a raised function as the runtime calls that it makes and the memory that they use.
// Internal.
//   plan.c     the function read: arguments, results, values, steps; where each value lies
//   names.c    what it, its arguments and results are called
//   step.c     one op as a call of the runtime
//   pack.c     weights that are laid out anew when they are loaded
//   swizzle.c  the scales of block-scaled products in the order that devices multiply with
//   lower.c    the pass; emit.c writes the LLVM dialect, header.c C's header, program.c a main
#ifndef FIAR_PASSES_BLOCK_PLAN_H
#define FIAR_PASSES_BLOCK_PLAN_H

#include "block/arena.h"
#include "block/raise.h"
#include "fiar/abi.h"
#include "lower/lower.h"

enum {
  FIAR_ARENA_ALIGNMENT = 256,
  FIAR_BLOCK_NAME = 64,
  FIAR_BLOCK_LABEL = 192,
  FIAR_BLOCK_RANK = 8
};

typedef enum FiarHome {
  FIAR_HOME_ARENA,
  FIAR_HOME_ARGUMENT,  // the caller's
  FIAR_HOME_RESULT,    // the caller's, written
  FIAR_HOME_PACKED,    // the caller's, made by the block's pack function
} FiarHome;

typedef struct FiarBlockValue {
  MlirType type;   // as it was made; views of it have others
  uint64_t bytes;  // as exported; fp4 codes two a byte
  bool by_tokens;  // so many for the exported tokens, and in proportion for others
  FiarHome home;
  int index;                             // of the argument or result
  uint64_t offset;                       // in the arena or the packed weights
  int first, last;                       // the steps that make and last read it; -1: an argument
  int uses;                              // by steps and as results
  int64_t swizzled_rows, swizzled_cols;  // of scales in swizzled_128x4, as exported; else 0
  int swizzled_as;                       // the value that has the same scales so laid out; else 0
} FiarBlockValue;

typedef struct FiarStepPointer {
  uint32_t field;  // its offset in the params
  int value;
} FiarStepPointer;

enum { FIAR_STEP_POINTERS = 12 };

typedef struct FiarBlockStep {
  FiarBlockOp kind;
  MlirOperation op;  // null: a copy that the plan put in
  union {
    fiar_all_reduce_norm_params norm;  // ALL_REDUCE and the row ops: input, sum_out and sizes alone
    fiar_matmul_params matmul;
    fiar_quantize_params quantize;
    fiar_activate_params activate;
    fiar_copy_params copy;
  } params;
  size_t size;          // of the params
  uint32_t rows_field;  // the offset of the field that counts rows
  int64_t rows;         // as exported
  bool by_tokens;
  FiarStepPointer pointers[FIAR_STEP_POINTERS];
  int n_pointers, n_inputs;  // the inputs come first
  int row_inputs;            // of them, those whose rows are the step's
  int second_b;              // matmul of two weights side by side: the second's value, else -1
  uint64_t scratch;          // matmul: where its workspace lies in the arena
  bool dropped;
} FiarBlockStep;

typedef struct FiarBlockArgument {
  char name[FIAR_BLOCK_NAME];
  MlirType type;
  int value;
  bool by_tokens, packed;
  int shard_dim;  // of the whole model's tensor that this is a part of; -1: all of it, or not known
  int64_t parts;  // how many there are of it
  char label[FIAR_BLOCK_LABEL];  // fiar.name as it is, for files; empty: the name
} FiarBlockArgument;

typedef struct FiarPackedWeight {
  int value;           // in the arguments' memory
  int64_t rows, cols;  // of the argument, [k, n] or [n, k]
  bool transposed;     // [k, n] becomes [n, k]
  uint8_t dtype;       // fiar_element_t
  uint8_t layout;      // fiar_scale_layout_t of what it becomes
  uint64_t offset;
} FiarPackedWeight;

typedef struct FiarBlockConstant {
  int value;
  MlirAttribute data;  // dense elements
} FiarBlockConstant;

typedef struct FiarBlock {
  char name[FIAR_BLOCK_NAME];
  MlirOperation module, function;
  MlirAttribute groups;  // of its communicator; null: none
  int64_t world;         // 0: no collective
  int64_t tokens;        // as exported; 0: sizes are fixed
  int64_t max_tokens;    // 0: sizes are fixed
  FiarBlockArgument *arguments, *results;
  int n_arguments, n_results;
  FiarBlockValue* values;
  int n_values;
  size_t value_capacity;
  FiarMap value_of;  // an SSA value -> its place in values
  FiarBlockStep* steps;
  int n_steps;
  size_t step_capacity;
  FiarPackedWeight* packed;
  int n_packed;
  FiarBlockConstant* constants;  // they lie behind the packed weights
  int n_constants;
  uint64_t arena_bytes, packed_bytes;
  bool failed;
} FiarBlock;

// Reads the only public function of the module. False: reported where it is (each op that no call
// computes, too). fiarBlockFree in any case.
bool fiarBlockPlan(MlirOperation module, const FiarBlockOptions* options, FiarBlock* out_block);
void fiarBlockFree(FiarBlock* block);

// pack.c: gives an op's constant result a value, which the pack function writes. -1: too large, or
// no dense elements of whole bytes; reported at `user`.
int fiarBlockConstantAdd(FiarBlock* block, MlirOperation user, MlirValue value);
// The bytes of the constant's i-th element; *out_size how many.
const unsigned char* fiarBlockConstantAt(const FiarBlockConstant* constant, int64_t i,
                                         size_t* out_size);

// Of all elements; -1 where a size is dynamic or an element has no size.
int64_t fiarBlockBits(MlirType type);

// names.c: fiar.name, else the location's name, else argN or resultN; and the block's own.
void fiarBlockNameArgument(FiarBlock* block, bool result, int i, MlirLocation location);
void fiarBlockName(FiarBlock* block, const char* given);

// step.c: fills a step from a fiar op, whose operands have values already. False: reported.
bool fiarStepRead(FiarBlock* block, MlirOperation op, FiarBlockStep* out_step);
// plan.c: the value of an SSA value, which must have one (-1, reported at `op`, where not).
int fiarBlockValueOf(FiarBlock* block, MlirOperation op, MlirValue value);
int fiarBlockValueAdd(FiarBlock* block, MlirValue value, FiarHome home, int index);
// plan.c: a value that stands for none of the IR. -1: out of memory.
int fiarBlockValueMake(FiarBlock* block, MlirType type, uint64_t bytes, FiarHome home);
// The fiar_element_t of a tensor's elements. False where the runtime has none.
bool fiarBlockElement(MlirType tensor, uint8_t* out_element);
FiarBlockStep* fiarBlockStepAdd(FiarBlock* block);
// plan.c: a step in front of the one at `at`; the others move. NULL: out of memory.
FiarBlockStep* fiarBlockStepInsert(FiarBlock* block, int at, const FiarBlockStep* step);
void fiarBlockStepRemove(FiarBlock* block, int at);
// plan.c: the step that makes the value, or NULL.
FiarBlockStep* fiarBlockMakerOf(FiarBlock* block, int value);
// step.c: the place of the step's pointer for this field of its params, or -1.
int fiarStepPointerAt(const FiarBlockStep* step, uint32_t field);

// pack.c: has the argument packed as `weight` says, its offset aside. The value stays where it is.
// Gives the offset of its `bytes` in the packed weights.
uint64_t fiarBlockPackAdd(FiarBlock* block, FiarPackedWeight weight, uint64_t bytes);
// pack.c: the next weight begins a line of memory of its own.
void fiarBlockPackAlign(FiarBlock* block);

// swizzle.c: the scales of block-scaled products are laid out in swizzled_128x4: first a weight's,
// in the packed weights, before tokens are spread (they have none); then the others, by the
// quantiser that computes them or by a copy. Steps move.
bool fiarBlockPackScales(FiarBlock* block);
bool fiarBlockSwizzle(FiarBlock* block);
// swizzle.c: the bytes of scales so laid out.
uint64_t fiarSwizzledBytes(int64_t rows, int64_t cols);

// pack.c: chooses what is packed, and puts two products of one operand into one where their weights
// can lie side by side.
void fiarBlockPack(FiarBlock* block, bool separate);

// How many bytes a value may have, its tokens at their most.
uint64_t fiarBlockBytes(const FiarBlock* block, const FiarBlockValue* value);

// Text, to be parsed as MLIR or compiled as C.
void fiarBlockEmit(const FiarBlock* block, FILE* out);
void fiarBlockHeader(const FiarBlock* block, FILE* out);
void fiarBlockProgram(const FiarBlock* block, FILE* out);

#endif  // FIAR_PASSES_BLOCK_PLAN_H
