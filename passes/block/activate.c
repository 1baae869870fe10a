// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// act(gate) * up, with act(x) = x * (1 / (1 + exp(-x))) spelled out or as x * logistic(x), or gelu
// (gelu.c); act(x) alone; and sums of two values.
//
// Where an activation is rounded: computed in f32, nowhere before the end ("none"); in f32 and
// rounded to the element type before the product ("act"); in the element type, after each step
// ("each").
#include "block/raise.h"

static bool is_one(FiarRaising* raising, MlirValue value) {
  double number;
  return fiarRaiseNumber(raising, value, &number) && number == 1;
}

static bool is_negated(FiarRaising* raising, MlirValue value, MlirValue of) {
  FiarPrimitive p = fiarRaiseSource(raising, value);
  double number;
  if (p.kind == FIAR_PRIM_NEGATE) {
    return mlirValueEqual(fiarRaiseThrough(raising, p.in[0]), of);
  }
  if (p.kind != FIAR_PRIM_MUL || p.n_in != 2) {
    return false;
  }
  int factor = fiarRaiseNumber(raising, p.in[0], &number) ? 0 : 1;
  return fiarRaiseNumber(raising, p.in[factor], &number) && number == -1 &&
         mlirValueEqual(fiarRaiseThrough(raising, p.in[1 - factor]), of);
}

// 1 + exp(-x)
static bool is_denominator(FiarRaising* raising, MlirValue value, MlirValue x) {
  FiarPrimitive sum = fiarRaiseSource(raising, value);
  for (int i = 0; i < 2 && sum.kind == FIAR_PRIM_ADD && sum.n_in == 2; ++i) {
    FiarPrimitive exponential = fiarRaiseSource(raising, sum.in[i]);
    if (exponential.kind == FIAR_PRIM_EXP && is_one(raising, sum.in[1 - i]) &&
        is_negated(raising, exponential.in[0], x)) {
      return true;
    }
  }
  return false;
}

static bool is_sigmoid(FiarRaising* raising, MlirValue value, MlirValue x, bool* out_named) {
  FiarPrimitive p = fiarRaiseSource(raising, value);
  *out_named = p.kind == FIAR_PRIM_LOGISTIC;
  switch (p.kind) {
    case FIAR_PRIM_LOGISTIC:
      return mlirValueEqual(fiarRaiseThrough(raising, p.in[0]), x);
    case FIAR_PRIM_DIV:
      return p.n_in == 2 && is_one(raising, p.in[0]) && is_denominator(raising, p.in[1], x);
    case FIAR_PRIM_RECIPROCAL:
      return is_denominator(raising, p.in[0], x);
    default:
      return false;
  }
}

// What the value is the silu of, or null.
static MlirValue silu_of(FiarRaising* raising, MlirValue value, bool* out_named) {
  FiarPrimitive p = fiarRaiseSource(raising, value);
  for (int i = 0; i < 2 && p.kind == FIAR_PRIM_MUL && p.n_in == 2; ++i) {
    MlirValue x = fiarRaiseThrough(raising, p.in[i]);
    if (is_sigmoid(raising, p.in[1 - i], x, out_named)) {
      return x;
    }
  }
  return (MlirValue){NULL};
}

typedef struct act {
  MlirOperation last;
  MlirValue gate, up, out;  // up null: the activation alone
  const char *activation, *combine, *rounding;
  bool named;  // a logistic op
} act_t;

// What the value is the activation of, or null; *named: by an op that says all of it.
static MlirValue activation_of(FiarRaising* raising, MlirValue value, act_t* act) {
  static const struct {
    const char* activation;
    MlirValue (*of)(FiarRaising*, MlirValue, bool*);
  } rows[] = {{"silu", silu_of}, {"gelu_tanh", fiarRaiseGeluTanhOf}, {"gelu", fiarRaiseGeluOf}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    MlirValue x = rows[i].of(raising, value, &act->named);
    if (fiarIsValue(x)) {
      act->activation = rows[i].activation;
      return x;
    }
  }
  return (MlirValue){NULL};
}

static bool find_gate(FiarRaising* raising, MlirValue value, act_t* act) {
  FiarElement elem = fiarValueElement(value);
  act->gate = activation_of(raising, value, act);
  act->rounding = elem == FIAR_ELEM_F32 ? "none" : "each";
  if (fiarIsValue(act->gate)) {
    return true;
  }
  // in f32, rounded before the product
  FiarPrimitive p = fiarRaiseSource(raising, value);
  if (p.kind != FIAR_PRIM_CONVERT || fiarValueElement(p.in[0]) != FIAR_ELEM_F32) {
    return false;
  }
  MlirValue wide = activation_of(raising, p.in[0], act);
  act->gate = fiarIsValue(wide) ? fiarRaiseNarrow(raising, wide) : wide;
  act->rounding = "act";
  return fiarIsValue(act->gate) && fiarValueElement(act->gate) == elem;
}

// What gate and up are the halves of: the first columns and the last. Null for others.
static MlirValue packed_of(FiarRaising* raising, MlirValue gate, MlirValue up) {
  FiarPrimitive first = fiarRaiseSource(raising, gate), last = fiarRaiseSource(raising, up);
  FiarShape half, whole;
  if (first.kind != FIAR_PRIM_SLICE || last.kind != FIAR_PRIM_SLICE ||
      !mlirTypeEqual(mlirValueGetType(gate), mlirValueGetType(up)) ||
      !fiarShapeRead(mlirValueGetType(gate), &half) ||
      !fiarShapeRead(mlirValueGetType(first.in[0]), &whole)) {
    return (MlirValue){NULL};
  }
  MlirValue packed = fiarRaiseThrough(raising, first.in[0]);
  bool fits = mlirValueEqual(packed, fiarRaiseThrough(raising, last.in[0])) && half.rank > 0;
  for (int i = 0; fits && i < half.rank; ++i) {
    bool columns = i == half.rank - 1;
    fits = first.dims[i] == 0 && last.dims[i] == (columns ? half.size[i] : 0) &&
           whole.size[i] == (columns ? 2 * half.size[i] : half.size[i]);
  }
  return fits ? packed : (MlirValue){NULL};
}

static void build(FiarRaising* raising, const act_t* act) {
  MlirContext context = mlirOperationGetContext(act->last);
  bool gated = fiarIsValue(act->up) && strcmp(act->combine, "mul") == 0;
  MlirValue packed = gated ? packed_of(raising, act->gate, act->up) : (MlirValue){NULL};
  bool whole = fiarIsValue(packed);
  FiarBuilder builder = fiarBuild(context, "fiar.activate", mlirOperationGetLocation(act->last));
  fiarBuildOperand(&builder, whole ? packed : act->gate);
  fiarBuildOperand(&builder, whole ? (MlirValue){NULL} : act->up);
  fiarBuildOperand(&builder, (MlirValue){NULL});
  fiarBuildResult(&builder, mlirValueGetType(act->out));
  fiarBuildResult(&builder, (MlirType){NULL});
  fiarBuildText(&builder, "activation", act->activation);
  fiarBuildText(&builder, "combine", act->combine);
  fiarBuildText(&builder, "rounding", act->rounding);
  fiarBuildText(&builder, "quant", "none");
  fiarBuildText(&builder, "scale_is", "divisor");
  MlirOperation op = fiarBuildOp(&builder, act->last, true, true);
  fiarRaiseReplace(raising, act->last, mlirOperationGetResult(op, 0));
}

// In f32, operands that are widened may be taken narrow, and the result rounded once.
static void finish_in_f32(FiarRaising* raising, act_t* act) {
  bool alone = !fiarIsValue(act->up);
  MlirValue gate = fiarRaiseNarrow(raising, act->gate);
  MlirValue up = alone ? gate : fiarRaiseNarrow(raising, act->up);
  if (fiarValueElement(gate) == fiarValueElement(up)) {
    act->gate = gate;
    act->up = alone ? act->up : up;
  }
  MlirOperation user = fiarRaiseOnlyUser(act->out);
  if (mlirOperationIsNull(user) ||
      !mlirBlockEqual(mlirOperationGetBlock(user), mlirOperationGetBlock(act->last))) {
    return;
  }
  FiarPrimitive p = fiarPrimitiveRead(&raising->fusion.view, user);
  FiarElement to = p.kind == FIAR_PRIM_CONVERT ? fiarValueElement(mlirOperationGetResult(user, 0))
                                               : FIAR_ELEM_OTHER;
  if (to == FIAR_ELEM_F16 || to == FIAR_ELEM_BF16) {
    act->last = user;
    act->out = mlirOperationGetResult(user, 0);
  }
}

// Rows of floats, of a known length.
static bool is_rows(MlirValue value) {
  FiarShape shape;
  return fiarShapeRead(mlirValueGetType(value), &shape) && shape.rank > 0 &&
         shape.size[shape.rank - 1] > 0 &&
         (shape.elem == FIAR_ELEM_F16 || shape.elem == FIAR_ELEM_BF16 ||
          shape.elem == FIAR_ELEM_F32);
}

// What was found, where it can be said; else the op is left.
static void finish(FiarRaising* raising, MlirOperation op, act_t* act) {
  FiarElement elem = fiarValueElement(act->out);
  act->last = op;
  if (!is_rows(act->out)) {
    (void)fiarRaiseLeave(raising, op,
                         "an activation of %s: f16, bf16 and f32 rows of a known size can be said",
                         fiarElementText(elem));
  } else if (act->named && elem != FIAR_ELEM_F32 && act->rounding[0] == 'e') {
    (void)fiarRaiseLeave(raising, op,
                         "logistic in %s: its roundings are not those of any silu here",
                         fiarElementText(elem));
  } else {
    if (act->rounding[0] == 'n') {
      finish_in_f32(raising, act);
    }
    build(raising, act);
  }
}

static FiarPrimitive binary(FiarRaising* raising, MlirOperation op, FiarPrimitiveKind kind) {
  FiarPrimitive p = fiarPrimitiveRead(&raising->fusion.view, op);
  bool fits = p.kind == kind && p.n_in == 2 && !p.broadcasts &&
              mlirTypeEqual(mlirValueGetType(p.in[0]), mlirValueGetType(p.in[1]));
  p.kind = fits ? kind : FIAR_PRIM_UNKNOWN;
  return p;
}

void fiarRaiseGated(FiarRaising* raising, MlirOperation op, void* data) {
  (void)data;
  act_t act = {.combine = "mul"};
  FiarPrimitive p = binary(raising, op, FIAR_PRIM_MUL);
  for (int side = 0; p.kind == FIAR_PRIM_MUL && side < 2; ++side) {
    if (find_gate(raising, p.in[side], &act)) {
      act.up = fiarRaiseThrough(raising, p.in[1 - side]);
      act.out = mlirOperationGetResult(op, 0);
      finish(raising, op, &act);
      return;
    }
  }
}

void fiarRaiseActivation(FiarRaising* raising, MlirOperation op, void* data) {
  (void)data;
  act_t act = {.combine = "none"};
  if (mlirOperationGetNumResults(op) == 1 &&
      binary(raising, op, FIAR_PRIM_MUL).kind == FIAR_PRIM_MUL) {
    act.out = mlirOperationGetResult(op, 0);
    act.gate = activation_of(raising, act.out, &act);
    act.rounding = fiarValueElement(act.out) == FIAR_ELEM_F32 ? "none" : "each";
    if (fiarIsValue(act.gate)) {
      finish(raising, op, &act);
    }
  }
}

// A sum whose operands no call can give stays, so that they are named.
static bool is_given(FiarRaising* raising, MlirValue value) {
  FiarPrimitiveKind kind = fiarRaiseSource(raising, value).kind;
  return kind != FIAR_PRIM_BROADCAST && kind != FIAR_PRIM_CONSTANT;
}

void fiarRaiseSum(FiarRaising* raising, MlirOperation op, void* data) {
  (void)data;
  act_t act = {.activation = "none", .combine = "add", .last = op};
  FiarPrimitive p = binary(raising, op, FIAR_PRIM_ADD);
  if (p.kind != FIAR_PRIM_ADD || !is_given(raising, p.in[0]) || !is_given(raising, p.in[1])) {
    return;
  }
  act.gate = fiarRaiseThrough(raising, p.in[0]);
  act.up = fiarRaiseThrough(raising, p.in[1]);
  act.out = mlirOperationGetResult(op, 0);
  act.rounding = "none";
  if (is_rows(act.out)) {
    if (fiarValueElement(act.out) == FIAR_ELEM_F32) {
      finish_in_f32(raising, &act);
    }
    build(raising, &act);
  }
}
