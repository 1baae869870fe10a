// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the lowerings share: fiar ops taken apart and checked, and text that becomes IR. Internal.
#ifndef FIAR_LOWER_LOWER_H
#define FIAR_LOWER_LOWER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "fiar/abi.h"
#include "ir/match.h"
#include "passes.h"

// Operands and results of fiar.all_reduce_norm, in the dialect's order.
enum { FIAR_IN_X, FIAR_IN_RESIDUAL, FIAR_IN_WEIGHT, FIAR_IN_SCALE, FIAR_IN_COUNT };
enum {
  FIAR_OUT_SUM,
  FIAR_OUT_RESIDUAL,
  FIAR_OUT_NORM,
  FIAR_OUT_QUANT,
  FIAR_OUT_SCALES,
  FIAR_OUT_COUNT
};

// The dialect's name of each, and its pointer in the params struct.
typedef struct FiarSlot {
  const char* name;
  size_t offset;
} FiarSlot;
extern const FiarSlot fiar_operand_slots[FIAR_IN_COUNT];
extern const FiarSlot fiar_result_slots[FIAR_OUT_COUNT];

typedef enum FiarCallKind {
  FIAR_CALL_ALL_REDUCE,       // x -> sum: fiar.all_reduce, or another dialect's all-reduce
  FIAR_CALL_ALL_REDUCE_NORM,  // fiar.all_reduce_norm
  FIAR_CALL_ALL_GATHER_ROWS,  // x (rows) -> sum (full): fiar.all_gather_rows
  FIAR_CALL_TAKE_ROWS,        // x (full) -> sum (rows): fiar.take_rows
} FiarCallKind;

// One collective of the module, or an op between them. Absent operands and results are null.
typedef struct FiarCall {
  MlirOperation op;
  FiarCallKind kind;
  MlirValue operands[FIAR_IN_COUNT];
  MlirValue results[FIAR_OUT_COUNT];
  MlirAttribute groups;  // compared for identity only: which communicator
  int64_t world;
} FiarCall;

typedef struct FiarCalls {
  FiarCall* items;
  size_t count;
} FiarCalls;

// Every collective of the module, in the order of the text: fiar's ops and, where asked for, the
// all-reduces of all dialects that have a frontend. Free `items`. False where one is malformed or
// cannot be served (reported at its location).
bool fiarCollectCalls(MlirOperation module, bool all_dialects, FiarCalls* out_calls);

// The op's attributes and element types as the runtime takes them; pointers, tokens and hidden stay
// 0. Checks that shapes and types are those that the runtime reads and writes; an error is reported
// at the op's location.
bool fiarCallParams(const FiarCall* call, fiar_all_reduce_norm_params* out_params);

// The checks of a quantiser alone: the call's x, scale, codes and scales, where they are there,
// against `params`' format. An error is reported at the op's location.
bool fiarCheckQuantised(const FiarCall* call, fiar_all_reduce_norm_params* params);

// Elements that the scales of rows of `cols` take in a layout (fiar_scale_layout_t), padding
// included. f32: of that type, else of a byte.
int64_t fiarScaleElements(uint8_t layout, bool f32, int64_t rows, int64_t cols);

// One of fiar's collectives taken apart, or fiar.rms_norm as one of a single rank. False:
// malformed, reported.
bool fiarCallOf(MlirOperation op, FiarCallKind kind, FiarCall* out_call);

// Puts the op's values into `slots` by its segment sizes (array<i32>, as IRDL verifies them).
bool fiarTakeSegments(MlirOperation op, const char* attribute, intptr_t values,
                      MlirValue (*get)(MlirOperation, intptr_t), MlirValue* slots, intptr_t count);

// A communicator that the module uses; its index is the runtime's `group`.
typedef struct FiarComm {
  MlirAttribute groups;
  int64_t world;
} FiarComm;

typedef struct FiarComms {
  FiarComm* items;
  size_t count;
} FiarComms;

// Makes every public function of the module private and prints the C entry that takes its name
// (entry.c). False where a function has a type that C cannot pass, reported there.
bool fiarPrintEntries(FILE* out, MlirOperation module, const FiarComms* comms);

// ---- Small things over the C API ----------

static inline MlirStringRef fiarString(const char* text) {
  return mlirStringRefCreateFromCString(text);
}

// Reports at the op's location, printf-like. Returns false.
bool fiarErrorAt(MlirOperation op, const char* format, ...) __attribute__((format(printf, 2, 3)));

bool fiarIsNamed(MlirOperation op, const char* name);
void fiarPrintType(FILE* out, MlirType type);
void fiarPrintAttribute(FILE* out, MlirAttribute attribute);

// Puts an op of this name, with the same operands, results and location, in the op's place. The old
// op stays, unused, for the caller to destroy when all are done: later ones' operands still have
// its types. `attribute` may be NULL.
MlirOperation fiarReplaceOp(MlirOperation op, const char* name,
                            const MlirNamedAttribute* attribute);

// The tensor as a contiguous memref; `packed_codes`: of bytes that hold two elements each.
void fiarPrintBuffer(FILE* out, MlirType tensor, bool packed_codes);

// Parses `text` as a module and appends its ops to `module`'s body, but for those whose symbol the
// module has already. The text is the lowering's own: that it does not parse is a fault of ours,
// reported at the module.
bool fiarAppendText(MlirOperation module, const char* text);

#endif  // FIAR_LOWER_LOWER_H
