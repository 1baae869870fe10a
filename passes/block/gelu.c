// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// gelu, as x * (0.5 * (1 + tanh(c * (x + d * x^3)))) and as (0.5 * x) * erfc(-x * r): what
// jax.nn.gelu exports. The factor 0.5 may stand anywhere, since it is exact.
#include "block/raise.h"

static bool is_value(FiarRaising* raising, MlirValue a, MlirValue b) {
  return mlirValueEqual(fiarRaiseThrough(raising, a), fiarRaiseThrough(raising, b));
}

// Of a product or sum of two values, one the constant `number` as the element type has it: the
// other one; else null.
static MlirValue beside(FiarRaising* raising, MlirValue value, FiarPrimitiveKind kind,
                        double number) {
  FiarPrimitive p = fiarRaiseSource(raising, value);
  double found;
  for (int i = 0; i < 2 && p.kind == kind && p.n_in == 2; ++i) {
    if (fiarRaiseNumber(raising, p.in[i], &found) &&
        found == fiarRoundTo(fiarValueElement(value), number)) {
      return fiarRaiseThrough(raising, p.in[1 - i]);
    }
  }
  return (MlirValue){NULL};
}

// The two factors beside 0.5 of a product of three, however it associates.
static bool halved_product(FiarRaising* raising, MlirValue value, MlirValue* out_factors) {
  MlirValue whole = beside(raising, value, FIAR_PRIM_MUL, 0.5);
  FiarPrimitive p = fiarRaiseSource(raising, fiarIsValue(whole) ? whole : value);
  if (p.kind != FIAR_PRIM_MUL || p.n_in != 2) {
    return false;
  }
  for (int i = 0; i < 2; ++i) {
    MlirValue half = beside(raising, p.in[i], FIAR_PRIM_MUL, 0.5);
    if (fiarIsValue(whole) || fiarIsValue(half)) {
      out_factors[0] = fiarRaiseThrough(raising, fiarIsValue(whole) ? p.in[i] : half);
      out_factors[1] = fiarRaiseThrough(raising, p.in[1 - i]);
      return true;
    }
  }
  return false;
}

static bool is_cube(FiarRaising* raising, MlirValue value, MlirValue x) {
  FiarPrimitive cube = fiarRaiseSource(raising, value);
  for (int i = 0; i < 2 && cube.kind == FIAR_PRIM_MUL && cube.n_in == 2; ++i) {
    FiarPrimitive square = fiarRaiseSource(raising, cube.in[i]);
    bool squares =
        square.kind == FIAR_PRIM_SQUARE || (square.kind == FIAR_PRIM_MUL && square.n_in == 2 &&
                                            is_value(raising, square.in[0], square.in[1]));
    if (squares && is_value(raising, square.in[0], x) && is_value(raising, cube.in[1 - i], x)) {
      return true;
    }
  }
  return false;
}

// 1 + tanh(c * (x + d * x^3))
static bool is_tanh_factor(FiarRaising* raising, MlirValue value, MlirValue x) {
  MlirValue tanh = beside(raising, value, FIAR_PRIM_ADD, 1);
  FiarPrimitive p = {.kind = FIAR_PRIM_PURE};
  if (fiarIsValue(tanh)) {
    p = fiarRaiseSource(raising, tanh);
  }
  MlirValue inner = {NULL};
  if (p.kind == FIAR_PRIM_TANH) {
    inner = beside(raising, p.in[0], FIAR_PRIM_MUL, 0.7978845608028654);  // sqrt(2 / pi)
  }
  if (!fiarIsValue(inner)) {
    return false;
  }
  FiarPrimitive sum = fiarRaiseSource(raising, inner);
  for (int i = 0; i < 2 && sum.kind == FIAR_PRIM_ADD && sum.n_in == 2; ++i) {
    MlirValue cube = beside(raising, sum.in[1 - i], FIAR_PRIM_MUL, 0.044715);
    if (is_value(raising, sum.in[i], x) && fiarIsValue(cube) && is_cube(raising, cube, x)) {
      return true;
    }
  }
  return false;
}

// erfc(-x * sqrt(0.5)), with the sign at either factor or outside.
static bool is_erfc_factor(FiarRaising* raising, MlirValue value, MlirValue x) {
  const double root = 0.7071067811865476;
  FiarPrimitive p = fiarRaiseSource(raising, value);
  if (p.kind != FIAR_PRIM_ERFC) {
    return false;
  }
  MlirValue negative = beside(raising, p.in[0], FIAR_PRIM_MUL, -root);
  MlirValue positive = beside(raising, p.in[0], FIAR_PRIM_MUL, root);
  FiarPrimitive sign = fiarRaiseSource(raising, fiarIsValue(positive) ? positive : p.in[0]);
  if (sign.kind == FIAR_PRIM_NEGATE) {
    MlirValue product = beside(raising, sign.in[0], FIAR_PRIM_MUL, root);
    negative = fiarIsValue(positive) ? fiarRaiseThrough(raising, sign.in[0]) : product;
  }
  return fiarIsValue(negative) && is_value(raising, negative, x);
}

static MlirValue gelu_of(FiarRaising* raising, MlirValue value,
                         bool (*is_factor)(FiarRaising*, MlirValue, MlirValue)) {
  MlirValue factors[2] = {{NULL}};
  for (int i = 0; halved_product(raising, value, factors) && i < 2; ++i) {
    if (is_factor(raising, factors[1 - i], factors[i])) {
      return factors[i];
    }
  }
  return (MlirValue){NULL};
}

MlirValue fiarRaiseGeluTanhOf(FiarRaising* raising, MlirValue value, bool* out_named) {
  *out_named = false;
  return gelu_of(raising, value, is_tanh_factor);
}

MlirValue fiarRaiseGeluOf(FiarRaising* raising, MlirValue value, bool* out_named) {
  *out_named = false;
  return gelu_of(raising, value, is_erfc_factor);
}
