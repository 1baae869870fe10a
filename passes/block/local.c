// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Norms and quantisers with no all-reduce in front.
//
//   %n = <RMSNorm of %x>            ->   %n = fiar.rms_norm(%x, ...)
//   %q = <codes of %x>              ->   %q = fiar.quantize(%x, ...)
//
// The matcher is fiar-fuse's: behind each value that a norm or a quantiser may read a
// fiar.local_sum is put, from which it starts as from an all-reduce of one rank; what it makes is
// then renamed, and the markers go.
#include "block/raise.h"
#include "ir/array.h"

#include <stdlib.h>

#include "mlir-c/BuiltinAttributes.h"

enum { SEARCH_DEPTH = 6 };

// Where sequences may start, one round after the other: a marker on a value cuts the sequences that
// start before it.
typedef enum starts {
  STARTS_WHOLE,     // not within what may be the beginning of a norm
  STARTS_SUMS,      // there, too, but for conversions
  STARTS_ANYWHERE,  // f32 norms of values that are narrower
} starts_t;

typedef struct marks {
  FiarRaising raising;  // for its view
  MlirValue* values;
  size_t count, capacity;
  bool quantisers, failed;
  starts_t starts;
} marks_t;

static bool may_hold_rows(MlirValue value) {
  FiarShape shape;
  return fiarShapeRead(mlirValueGetType(value), &shape) && shape.rank >= 2 &&
         shape.size[shape.rank - 1] > 1 &&
         (shape.elem == FIAR_ELEM_F16 || shape.elem == FIAR_ELEM_BF16 ||
          shape.elem == FIAR_ELEM_F32);
}

static FiarPrimitiveKind source_kind(marks_t* marks, MlirValue value) {
  return mlirValueIsAOpResult(value)
             ? fiarPrimitiveRead(&marks->raising.fusion.view, mlirOpResultGetOwner(value)).kind
             : FIAR_PRIM_PURE;
}

// What may stand between a value and its square.
static bool passes_on(FiarPrimitiveKind kind) {
  return kind == FIAR_PRIM_CONVERT || kind == FIAR_PRIM_ADD || kind == FIAR_PRIM_SUB ||
         kind == FIAR_PRIM_RESHAPE || kind == FIAR_PRIM_IDENTITY || kind == FIAR_PRIM_ABS;
}

// Other powers are a root's: their operand is the mean, in the middle of a norm.
static bool is_second_power(marks_t* marks, const FiarPrimitive* power, MlirValue value) {
  double exponent = power->number;
  bool known = power->n_in == 1 ? power->has_number
                                : fiarRaiseNumber(&marks->raising, power->in[1], &exponent);
  return mlirValueEqual(power->in[0], value) && known && exponent == 2;
}

// Whether the op, of which the value is an operand, squares it.
static bool squares(marks_t* marks, const FiarPrimitive* p, MlirValue value) {
  return p->kind == FIAR_PRIM_SQUARE ||
         (p->kind == FIAR_PRIM_POWER && is_second_power(marks, p, value)) ||
         ((p->kind == FIAR_PRIM_MUL || p->kind == FIAR_PRIM_REDUCE_DOT) && p->n_in == 2 &&
          mlirValueEqual(p->in[0], p->in[1]));
}

static bool is_a_square(marks_t* marks, MlirValue value) {
  if (!mlirValueIsAOpResult(value)) {
    return false;
  }
  FiarPrimitive p = fiarPrimitiveRead(&marks->raising.fusion.view, mlirOpResultGetOwner(value));
  return p.n_in > 0 && squares(marks, &p, p.in[0]);
}

// Whether the value is squared, perhaps after a residual add and conversions, or read by loops,
// which may square it.
static bool is_squared(marks_t* marks, MlirValue value, int depth) {
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    MlirOperation user = mlirOpOperandGetOwner(use);
    FiarPrimitive p = fiarPrimitiveRead(&marks->raising.fusion.view, user);
    bool goes_on = passes_on(p.kind);
    if (p.kind == FIAR_PRIM_RMS_NORM || p.kind == FIAR_PRIM_LOOPS || squares(marks, &p, value) ||
        (goes_on && depth > 0 && mlirOperationGetNumResults(user) == 1 &&
         is_squared(marks, mlirOperationGetResult(user, 0), depth - 1))) {
      return true;
    }
  }
  return false;
}

// Whether a sequence may start at the value.
static bool is_start(marks_t* marks, MlirValue value) {
  FiarPrimitiveKind kind = source_kind(marks, value);
  if (!may_hold_rows(value) || mlirOpOperandIsNull(mlirValueGetFirstUse(value)) ||
      kind == FIAR_PRIM_CONSTANT || kind == FIAR_PRIM_BROADCAST || kind == FIAR_PRIM_IDENTITY) {
    return false;
  }
  if (marks->quantisers) {
    return kind == FIAR_PRIM_PURE || kind == FIAR_PRIM_SLICE || kind == FIAR_PRIM_COLLECTIVE;
  }
  bool here = marks->starts == STARTS_WHOLE  ? !passes_on(kind)
              : marks->starts == STARTS_SUMS ? kind != FIAR_PRIM_CONVERT
                                             : true;
  return here && !is_a_square(marks, value) && is_squared(marks, value, SEARCH_DEPTH);
}

static void note(marks_t* marks, MlirValue value) {
  if (!is_start(marks, value)) {
    return;
  }
  MlirValue* values = fiarGrow(marks->values, marks->count, &marks->capacity, sizeof *values);
  if (values == NULL) {
    marks->failed = true;
    return;
  }
  marks->values = values;
  marks->values[marks->count++] = value;
}

static void note_in(marks_t* marks, MlirRegion region) {
  for (MlirBlock block = mlirRegionGetFirstBlock(region); !mlirBlockIsNull(block);
       block = mlirBlockGetNextInRegion(block)) {
    for (intptr_t i = 0; i < mlirBlockGetNumArguments(block); ++i) {
      note(marks, mlirBlockGetArgument(block, i));
    }
    for (MlirOperation op = mlirBlockGetFirstOperation(block); !mlirOperationIsNull(op);
         op = mlirOperationGetNextInBlock(op)) {
      for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
        note(marks, mlirOperationGetResult(op, i));
      }
      if (fiarBlockIsWrapper(op)) {
        note_in(marks, mlirOperationGetFirstRegion(op));
      }
    }
  }
}

// Behind the value, before all its uses.
static void mark(MlirValue value) {
  MlirType type = mlirValueGetType(value);
  bool result = mlirValueIsAOpResult(value);
  MlirBlock block = result ? mlirOperationGetBlock(mlirOpResultGetOwner(value))
                           : mlirBlockArgumentGetOwner(value);
  MlirOperationState state = mlirOperationStateGet(
      mlirStringRefCreateFromCString("fiar." FIAR_LOCAL_SUM),
      result ? mlirOperationGetLocation(mlirOpResultGetOwner(value)) : mlirValueGetLocation(value));
  mlirOperationStateAddOperands(&state, 1, &value);
  mlirOperationStateAddResults(&state, 1, &type);
  MlirOperation op = mlirOperationCreate(&state);
  MlirOperation after = result ? mlirOpResultGetOwner(value) : (MlirOperation){NULL};
  mlirBlockInsertOwnedOperationAfter(block, after, op);
  mlirValueReplaceAllUsesExcept(value, mlirOperationGetResult(op, 0), 1, &op);
}

// ---- what the matcher made ----

typedef struct found {
  MlirOperation* ops;
  size_t count, capacity;
  bool failed;
} found_t;

static MlirWalkResult find(MlirOperation op, void* user) {
  found_t* found = user;
  bool local =
      fiarStringEqual(fiarOpName(op), "fiar." FIAR_LOCAL_SUM) ||
      (fiarBlockOpOf(op) == FIAR_BLOCK_ALL_REDUCE_NORM &&
       fiarStringEqual(fiarAttributeText(fiarOpAttribute(op, "group_mode")), FIAR_LOCAL_MODE));
  if (!local) {
    return MlirWalkResultAdvance;
  }
  MlirOperation* ops = fiarGrow(found->ops, found->count, &found->capacity, sizeof *ops);
  if (ops == NULL) {
    found->failed = true;
    return MlirWalkResultInterrupt;
  }
  found->ops = ops;
  found->ops[found->count++] = op;
  return MlirWalkResultAdvance;
}

enum { SUM, RESIDUAL, NORM, QUANT, SCALES, N_RESULTS };
enum { X, RESIDUAL_IN, WEIGHT, SCALE, N_OPERANDS };

static void segments(MlirOperation op, const char* name, intptr_t count,
                     MlirValue (*get)(MlirOperation, intptr_t), MlirValue* out) {
  MlirAttribute sizes = fiarOpAttribute(op, name);
  intptr_t next = 0;
  for (intptr_t i = 0; i < count; ++i) {
    bool there = mlirDenseI32ArrayGetElement(sizes, i) != 0;
    out[i] = there ? get(op, next++) : (MlirValue){NULL};
  }
}

static MlirType type_of(MlirValue value) {
  return fiarIsValue(value) ? mlirValueGetType(value) : (MlirType){NULL};
}

// fiar.all_reduce_norm of one rank -> fiar.rms_norm or fiar.quantize.
static void rename_op(MlirOperation op, bool quantiser) {
  static const char* const of_norm[] = {"eps", "weight_bias", "norm_input", "norm_rounding"};
  static const char* const of_both[] = {"scale_min",  "quant",    "scale_layout",
                                        "group_size", "scale_is", "scale_type"};
  MlirValue in[N_OPERANDS], out[N_RESULTS];
  segments(op, "operandSegmentSizes", N_OPERANDS, mlirOperationGetOperand, in);
  segments(op, "resultSegmentSizes", N_RESULTS, mlirOperationGetResult, out);
  FiarBuilder builder =
      fiarBuild(mlirOperationGetContext(op), quantiser ? "fiar.quantize" : "fiar.rms_norm",
                mlirOperationGetLocation(op));
  for (int i = 0; i < N_OPERANDS; ++i) {
    if (!quantiser || i == X || i == SCALE) {
      fiarBuildOperand(&builder, in[i]);
    }
  }
  int first = quantiser ? QUANT : RESIDUAL;
  for (int i = first; i < N_RESULTS; ++i) {
    fiarBuildResult(&builder, type_of(out[i]));
  }
  for (size_t i = 0; i < sizeof of_norm / sizeof *of_norm && !quantiser; ++i) {
    fiarBuildCopy(&builder, of_norm[i], op);
  }
  for (size_t i = 0; i < sizeof of_both / sizeof *of_both; ++i) {
    fiarBuildCopy(&builder, of_both[i], op);
  }
  MlirOperation made = fiarBuildOp(&builder, op, true, true);
  intptr_t next = 0;
  for (int i = 0; i < N_RESULTS; ++i) {
    if (fiarIsValue(out[i])) {
      // Before the op's own results comes at most the sum of one rank: the operand, in its shape.
      mlirValueReplaceAllUsesOfWith(out[i],
                                    i < first ? in[X] : mlirOperationGetResult(made, next++));
    }
  }
  mlirOperationDestroy(op);
}

static bool settle(MlirOperation module, bool quantisers) {
  found_t found = {0};
  mlirOperationWalk(module, find, &found, MlirWalkPreOrder);
  for (size_t i = 0; i < found.count && !found.failed; ++i) {
    MlirOperation op = found.ops[i];
    if (fiarBlockOpOf(op) == FIAR_BLOCK_ALL_REDUCE_NORM) {
      rename_op(op, quantisers);
    } else {
      mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(op, 0), mlirOperationGetOperand(op, 0));
      mlirOperationDestroy(op);
    }
  }
  free(found.ops);
  return !found.failed;
}

static bool raise_kind(MlirOperation module, FiarLocalKind kind, starts_t starts) {
  marks_t marks = {.quantisers = kind == FIAR_LOCAL_QUANTISERS, .starts = starts};
  marks.failed = !fiarViewInit(&marks.raising.fusion.view, module);
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(module));
  for (MlirOperation op = mlirBlockGetFirstOperation(body); !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    if (fiarBlockIsEntry(op)) {
      note_in(&marks, mlirOperationGetFirstRegion(op));
    }
  }
  fiarViewClear(&marks.raising.fusion.view);
  for (size_t i = 0; i < marks.count && !marks.failed; ++i) {
    mark(marks.values[i]);
  }
  bool ok = !marks.failed && (marks.count == 0 || fiarFuseLocal(module, kind));
  free(marks.values);
  return settle(module, marks.quantisers) && ok;
}

bool fiarRaiseLocal(MlirOperation module, bool separate) {
  FiarLocalKind norms = separate ? FIAR_LOCAL_BARE_NORMS : FIAR_LOCAL_NORMS;
  for (starts_t starts = STARTS_WHOLE; starts <= STARTS_ANYWHERE; ++starts) {
    if (!raise_kind(module, norms, starts)) {
      return false;
    }
  }
  return raise_kind(module, FIAR_LOCAL_QUANTISERS, STARTS_WHOLE);
}
