// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// silu(gate) * up, with silu(x) = x * (1 / (1 + exp(-x))) spelled out or as x * logistic(x).
//
// Where it is rounded: computed in f32, nowhere before the end ("none"); in f32 and silu rounded to
// the element type before the product ("silu"); in the element type, after each step ("each").
#include "block/raise.h"

static FiarElement element_of(MlirValue value) {
  FiarShape shape;
  return fiarShapeRead(mlirValueGetType(value), &shape) ? shape.elem : FIAR_ELEM_OTHER;
}

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

typedef struct silu {
  MlirOperation last;
  MlirValue gate, up, out;
  const char* rounding;
  bool named;  // a logistic op
} silu_t;

static bool find_gate(FiarRaising* raising, MlirValue value, silu_t* silu) {
  FiarElement elem = element_of(value);
  silu->gate = silu_of(raising, value, &silu->named);
  silu->rounding = elem == FIAR_ELEM_F32 ? "none" : "each";
  if (fiarIsValue(silu->gate)) {
    return true;
  }
  // silu in f32, rounded before the product
  FiarPrimitive p = fiarRaiseSource(raising, value);
  if (p.kind != FIAR_PRIM_CONVERT || element_of(p.in[0]) != FIAR_ELEM_F32) {
    return false;
  }
  MlirValue wide = silu_of(raising, p.in[0], &silu->named);
  silu->gate = fiarIsValue(wide) ? fiarRaiseNarrow(raising, wide) : wide;
  silu->rounding = "silu";
  return fiarIsValue(silu->gate) && element_of(silu->gate) == elem;
}

static void build(FiarRaising* raising, const silu_t* silu) {
  MlirContext context = mlirOperationGetContext(silu->last);
  FiarBuilder builder = fiarBuild(context, "fiar.silu_mul", mlirOperationGetLocation(silu->last));
  fiarBuildOperand(&builder, silu->gate);
  fiarBuildOperand(&builder, silu->up);
  fiarBuildOperand(&builder, (MlirValue){NULL});
  fiarBuildResult(&builder, mlirValueGetType(silu->out));
  fiarBuildResult(&builder, (MlirType){NULL});
  fiarBuildText(&builder, "rounding", silu->rounding);
  fiarBuildText(&builder, "quant", "none");
  fiarBuildText(&builder, "scale_is", "divisor");
  MlirOperation op = fiarBuildOp(&builder, silu->last, true, true);
  fiarRaiseReplace(raising, silu->last, mlirOperationGetResult(op, 0));
}

// In f32, operands that are widened may be taken narrow, and the result rounded once.
static void finish_in_f32(FiarRaising* raising, silu_t* silu) {
  MlirValue gate = fiarRaiseNarrow(raising, silu->gate), up = fiarRaiseNarrow(raising, silu->up);
  if (element_of(gate) == element_of(up)) {
    silu->gate = gate;
    silu->up = up;
  }
  MlirOperation user = fiarRaiseOnlyUser(silu->out);
  if (mlirOperationIsNull(user) ||
      !mlirBlockEqual(mlirOperationGetBlock(user), mlirOperationGetBlock(silu->last))) {
    return;
  }
  FiarPrimitive p = fiarPrimitiveRead(&raising->fusion.view, user);
  FiarElement to =
      p.kind == FIAR_PRIM_CONVERT ? element_of(mlirOperationGetResult(user, 0)) : FIAR_ELEM_OTHER;
  if (to == FIAR_ELEM_F16 || to == FIAR_ELEM_BF16) {
    silu->last = user;
    silu->out = mlirOperationGetResult(user, 0);
  }
}

void fiarRaiseSilu(FiarRaising* raising, MlirOperation op, void* data) {
  (void)data;
  FiarPrimitive p = fiarPrimitiveRead(&raising->fusion.view, op);
  silu_t silu = {.last = op};
  if (p.kind != FIAR_PRIM_MUL || p.n_in != 2 || p.broadcasts) {
    return;
  }
  int side = 0;
  while (side < 2 && !find_gate(raising, p.in[side], &silu)) {
    ++side;
  }
  if (side == 2) {
    return;
  }
  silu.up = fiarRaiseThrough(raising, p.in[1 - side]);
  silu.out = mlirOperationGetResult(op, 0);
  FiarElement elem = element_of(silu.out);
  bool is_float = elem == FIAR_ELEM_F16 || elem == FIAR_ELEM_BF16 || elem == FIAR_ELEM_F32;
  FiarShape shape;
  bool shaped = fiarShapeRead(mlirValueGetType(silu.out), &shape) && shape.rank > 0 &&
                shape.size[shape.rank - 1] > 0;
  if (!is_float || !shaped ||
      !mlirTypeEqual(mlirValueGetType(p.in[0]), mlirValueGetType(p.in[1]))) {
    (void)fiarRaiseLeave(raising, op,
                         "silu of %s: f16, bf16 and f32 rows of a known size can be said",
                         fiarElementText(elem));
    return;
  }
  if (silu.named && elem != FIAR_ELEM_F32 && silu.rounding[0] == 'e') {
    (void)fiarRaiseLeave(raising, op,
                         "logistic in %s: its roundings are not those of any silu here",
                         fiarElementText(elem));
    return;
  }
  if (silu.rounding[0] == 'n') {
    finish_in_f32(raising, &silu);
  }
  build(raising, &silu);
}
