// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The grammar of the residual add and of RMSNorm:
//   hidden = sum [+ residual]                      root  = sqrt(mean + eps)
//   mean   = sum of hidden * hidden / count        norm  = hidden / root * weight
// in every order and association that rounds as docs/numerics.md says; rows that refuse name a
// decoy.
#include <math.h>

#include "fuse/fuse.h"

bool fiarSameHidden(const FiarFacts* a, const FiarFacts* b) {
  return a->anchor == b->anchor && a->residual.ptr == b->residual.ptr &&
         a->norm_input_f32 == b->norm_input_f32;
}

bool fiarSameNorm(const FiarFacts* a, const FiarFacts* b) {
  return fiarSameHidden(a, b) && a->eps == b->eps && a->weight.ptr == b->weight.ptr &&
         a->weight_bias == b->weight_bias && a->rounding == b->rounding;
}

// Every step of the norm is f32 arithmetic (docs/numerics.md).
static bool in_f32(FiarRuleContext* context, const FiarTerm* chain) {
  if (context->elem == FIAR_ELEM_F32) {
    return true;
  }
  fiarRefuse(context->fusion, chain, context->primitive->op,
             "the norm is computed in %s, not in f32", fiarElementText(context->elem));
  return false;
}

// ---- residual ----

// The residual as a value of the all-reduce's type.
static MlirValue residual_value(const FiarTerm* residual, FiarElement elem) {
  if (fiarIsValue(residual->value) && residual->layout.shape.elem == elem) {
    return residual->value;
  }
  if (fiarIsValue(residual->narrow) && fiarValueElement(residual->narrow) == elem) {
    return residual->narrow;  // what was widened
  }
  bool plain = residual->bias == 0 && residual->base_elem == elem;
  return plain ? residual->base : (MlirValue){NULL};
}

static bool residual_add(FiarRuleContext* context, const FiarTerm* hidden, const FiarTerm* residual,
                         FiarTerm* out) {
  FiarElement elem = fiarAnchorOf(context, hidden)->elem;
  MlirOperation op = context->primitive->op;
  bool again = fiarIsValue(hidden->facts.residual);
  if (!fiarLayoutIsFull(&hidden->layout)) {
    return false;
  }
  if (!fiarLayoutIsWholeBase(&residual->layout)) {
    fiarRefuse(context->fusion, hidden, op,
               fiarLayoutIsVectorAlong(&residual->layout, &context->layout, FIAR_LABEL_HIDDEN)
                   ? "a bias is added to the sum before the norm"
                   : "what is added to the sum is broadcast or transposed, so it is no residual");
    return false;
  }
  if (again) {
    return false;  // the stream's next residual
  }
  out->facts.residual = residual_value(residual, elem);
  if (!fiarIsValue(out->facts.residual)) {
    fiarRefuse(context->fusion, hidden, op,
               residual->layout.shape.elem == elem
                   ? "the residual, in %s, is computed inside a function that is called"
                   : "the residual is not %s, as the all-reduce is",
               fiarElementText(elem));
    return false;
  }
  out->rounded = context->elem == elem;
  out->facts.norm_input_f32 = !out->rounded;
  return true;
}

static bool subtract_zero(FiarRuleContext* context, const FiarTerm* hidden, const FiarTerm* zero,
                          FiarTerm* out) {
  (void)context;
  (void)out;
  (void)hidden;
  return zero->number == 0;
}

// ---- mean square ----

static bool square(FiarRuleContext* context, const FiarTerm* a, const FiarTerm* b, FiarTerm* out) {
  (void)out;
  if (b != NULL && b->role == FIAR_ROLE_CONST && b->number != 2) {
    return false;
  }
  if (b != NULL && b->role == a->role && !fiarSameHidden(&a->facts, &b->facts)) {
    return false;
  }
  return in_f32(context, a);
}

// |x| * |x| is x * x.
static bool magnitude(FiarRuleContext* context, const FiarTerm* in, const FiarTerm* none,
                      FiarTerm* out) {
  (void)context;
  (void)in;
  (void)none;
  (void)out;
  return true;
}

static bool sum_squares(FiarRuleContext* context, const FiarTerm* in, const FiarTerm* none,
                        FiarTerm* out) {
  (void)none;
  (void)out;
  enum {
    HIDDEN = 1 << FIAR_LABEL_HIDDEN,
    BLOCK = 1 << FIAR_LABEL_BLOCK,
    LANE = 1 << FIAR_LABEL_LANE,
    ONE = 1 << FIAR_LABEL_ONE,
  };
  uint32_t removed = context->removed & ~(uint32_t)ONE;
  if (removed == HIDDEN || removed == (BLOCK | LANE)) {
    return true;
  }
  MlirOperation op = context->primitive->op;
  int64_t hidden = fiarAnchorOf(context, in)->hidden;
  if (removed == LANE) {
    fiarRefuse(context->fusion, in, op, "the norm is over %lld of the %lld hidden elements",
               (long long)fiarLayoutSize(&in->layout, FIAR_LABEL_LANE), (long long)hidden);
  } else if (removed & (HIDDEN | BLOCK | LANE)) {
    fiarRefuse(context->fusion, in, op, "the norm is over more dimensions than the last");
  } else {
    fiarRefuse(context->fusion, in, op,
               "the norm is not over the last dimension of the all-reduce");
  }
  return false;
}

// Products of bf16 are exact in f32, wherever a dot of less precision rounds its operands to it.
static bool sum_products(FiarRuleContext* context, const FiarTerm* a, const FiarTerm* b,
                         FiarTerm* out) {
  bool exact = a->rounded && fiarAnchorOf(context, a)->elem == FIAR_ELEM_BF16;
  if (!fiarSameHidden(&a->facts, &b->facts) || !in_f32(context, a)) {
    return false;
  }
  if (context->primitive->may_round && !exact) {
    fiarRefuse(context->fusion, a, context->primitive->op,
               "the sum of squares is a product whose precision is not HIGHEST, which may round "
               "what it multiplies");
    return false;
  }
  return sum_squares(context, a, NULL, out);
}

static bool sum_row(FiarRuleContext* context, const FiarTerm* in, const FiarTerm* none,
                    FiarTerm* out) {
  (void)in;
  (void)none;
  (void)out;
  return (context->removed & (1u << FIAR_LABEL_HIDDEN)) != 0;
}

static bool divide_count(FiarRuleContext* context, const FiarTerm* sum, const FiarTerm* count,
                         FiarTerm* out) {
  (void)out;
  int64_t hidden = fiarAnchorOf(context, sum)->hidden;
  if (count->number != (double)hidden) {
    fiarRefuse(context->fusion, sum, context->primitive->op,
               "the sum of squares is divided by %.9g, not by the %lld hidden elements",
               count->number, (long long)hidden);
    return false;
  }
  return in_f32(context, sum);
}

// 1/N as the source rounded it to f32, or printed it with nine digits.
static bool times_reciprocal_count(FiarRuleContext* context, const FiarTerm* sum,
                                   const FiarTerm* factor, FiarTerm* out) {
  (void)out;
  int64_t hidden = fiarAnchorOf(context, sum)->hidden;
  if (!(fabs(factor->number * (double)hidden - 1) <= 0x1p-23)) {
    fiarRefuse(context->fusion, sum, context->primitive->op,
               "the sum of squares is multiplied by %g, not by 1/%lld", factor->number,
               (long long)hidden);
    return false;
  }
  return in_f32(context, sum);
}

static bool add_eps(FiarRuleContext* context, const FiarTerm* mean, const FiarTerm* eps,
                    FiarTerm* out) {
  if (!(eps->number >= 0) || isinf(eps->number)) {
    fiarRefuse(context->fusion, mean, context->primitive->op, "eps is %g", eps->number);
    return false;
  }
  out->facts.eps = eps->number;
  return in_f32(context, mean);
}

// ---- root ----

static bool plain(FiarRuleContext* context, const FiarTerm* a, const FiarTerm* b, FiarTerm* out) {
  (void)b;
  (void)out;
  return in_f32(context, a);
}

static bool power_root(FiarRuleContext* context, const FiarTerm* mean, const FiarTerm* exponent,
                       FiarTerm* out) {
  out->role = exponent->number == 0.5 ? FIAR_ROLE_ROOT : FIAR_ROLE_RROOT;
  return (exponent->number == 0.5 || exponent->number == -0.5) && in_f32(context, mean);
}

static bool one_over(FiarRuleContext* context, const FiarTerm* one, const FiarTerm* root,
                     FiarTerm* out) {
  (void)out;
  return one->number == 1 && in_f32(context, root);
}

static bool normalise(FiarRuleContext* context, const FiarTerm* hidden, const FiarTerm* root,
                      FiarTerm* out) {
  if (!fiarSameHidden(&hidden->facts, &root->facts) || !in_f32(context, root)) {
    return false;
  }
  out->rounded = fiarAnchorOf(context, hidden)->elem == FIAR_ELEM_F32;
  return true;
}

// ---- weight ----

static int64_t elements(MlirValue value, int* out_rank) {
  FiarShape shape;
  if (!fiarIsValue(value) || !fiarShapeRead(mlirValueGetType(value), &shape)) {
    return -1;
  }
  *out_rank = shape.rank;
  return fiarShapeElements(&shape);
}

// Whether bias + base, with the rounding that the source gave it, is what the attributes say.
static bool bias_can_be_said(const FiarTerm* weight, FiarElement elem,
                             fiar_norm_rounding_t rounding) {
  if (weight->bias == 0) {
    return true;
  }
  bool rounds = rounding == FIAR_NORM_ROUNDING_BEFORE_WEIGHT && weight->base_elem == elem;
  return weight->bias_elem == (rounds ? elem : FIAR_ELEM_F32);
}

// Sets the weight from a term with one element for each of the hidden dimension.
static bool choose_weight(FiarRuleContext* context, const FiarTerm* chain, const FiarTerm* weight,
                          FiarTerm* out) {
  FiarAnchor* anchor = fiarAnchorOf(context, chain);
  int base_rank = 0, vec_rank = 0;
  bool base_ok = elements(weight->base, &base_rank) == anchor->hidden &&
                 (weight->base_elem == anchor->elem || weight->base_elem == FIAR_ELEM_F32) &&
                 bias_can_be_said(weight, anchor->elem, out->facts.rounding);
  bool vec_ok = elements(weight->vec, &vec_rank) == anchor->hidden &&
                (weight->vec_elem == anchor->elem || weight->vec_elem == FIAR_ELEM_F32);
  if (base_ok && (base_rank == 1 || !vec_ok || vec_rank != 1 || weight->bias != 0)) {
    out->facts.weight = weight->base;
    out->facts.weight_bias = weight->bias;
    return true;
  }
  if (vec_ok) {
    out->facts.weight = weight->vec;
    out->facts.weight_bias = 0;
    return true;
  }
  fiarRefuse(context->fusion, chain, context->primitive->op,
             "the weight's type or rounding cannot be said: it is no vector of %s or f32",
             fiarElementText(anchor->elem));
  return false;
}

// The weight of hidden or of the normalised value: a vector along the hidden dimension.
static bool weight_of(FiarRuleContext* context, const FiarTerm* chain, const FiarTerm* weight,
                      FiarTerm* out) {
  int rank;
  bool vector = weight->role == FIAR_ROLE_CONST
                    ? elements(weight->base, &rank) == fiarAnchorOf(context, chain)->hidden
                    : fiarLayoutIsVectorAlong(&weight->layout, &context->layout, FIAR_LABEL_HIDDEN);
  return vector && choose_weight(context, chain, weight, out);
}

static bool weight_normed(FiarRuleContext* context, const FiarTerm* normed, const FiarTerm* weight,
                          FiarTerm* out) {
  FiarElement elem = fiarAnchorOf(context, normed)->elem;
  bool before = normed->rounded && elem != FIAR_ELEM_F32;
  out->facts.rounding = before ? FIAR_NORM_ROUNDING_BEFORE_WEIGHT : FIAR_NORM_ROUNDING_AFTER_WEIGHT;
  out->rounded = context->elem == elem;
  return weight_of(context, normed, weight, out);
}

static bool weight_hidden(FiarRuleContext* context, const FiarTerm* hidden, const FiarTerm* weight,
                          FiarTerm* out) {
  out->facts.rounding = FIAR_NORM_ROUNDING_AFTER_WEIGHT;
  return context->elem == FIAR_ELEM_F32 && weight_of(context, hidden, weight, out);
}

// rsqrt(..) * w: the rows' values do not have the hidden dimension yet, the weight brings it.
static bool weight_root(FiarRuleContext* context, const FiarTerm* root, const FiarTerm* weight,
                        FiarTerm* out) {
  out->facts.rounding = FIAR_NORM_ROUNDING_AFTER_WEIGHT;
  int along = -1;
  for (int i = 0; i < out->layout.shape.rank; ++i) {
    if (weight->layout.label[i] >= FIAR_LABEL_DIM0) {
      if (along >= 0 || out->layout.label[i] != weight->layout.label[i]) {
        return false;
      }
      along = i;
    }
  }
  if (along < 0 || out->layout.shape.size[along] != fiarAnchorOf(context, root)->hidden) {
    return false;
  }
  out->layout.label[along] = FIAR_LABEL_HIDDEN;
  return in_f32(context, root) && choose_weight(context, root, weight, out);
}

static bool weight_over_root(FiarRuleContext* context, const FiarTerm* weight, const FiarTerm* root,
                             FiarTerm* out) {
  return weight_root(context, root, weight, out);
}

// hidden and the root meet, one of them with the weight in it.
static bool join_weighted(FiarRuleContext* context, const FiarTerm* hidden, const FiarTerm* root,
                          FiarTerm* out) {
  if (!normalise(context, hidden, root, out)) {
    return false;
  }
  const FiarTerm* weighted = hidden->role == FIAR_ROLE_HIDDEN_WEIGHT ? hidden : root;
  out->facts.weight = weighted->facts.weight;
  out->facts.weight_bias = weighted->facts.weight_bias;
  out->facts.rounding = FIAR_NORM_ROUNDING_AFTER_WEIGHT;
  out->facts.eps = root->facts.eps;
  return true;
}

static bool named_norm(FiarRuleContext* context, const FiarTerm* hidden, const FiarTerm* weight,
                       FiarTerm* out) {
  FiarElement elem = fiarAnchorOf(context, hidden)->elem;
  out->facts.eps = context->primitive->number;
  out->facts.rounding = context->primitive->before_weight ? FIAR_NORM_ROUNDING_BEFORE_WEIGHT
                                                          : FIAR_NORM_ROUNDING_AFTER_WEIGHT;
  out->rounded = true;
  if (context->elem != elem || hidden->layout.shape.elem != elem) {
    fiarRefuse(context->fusion, hidden, context->primitive->op,
               "the norm's type is not %s, as the all-reduce is", fiarElementText(elem));
    return false;
  }
  if (weight == NULL) {
    out->role = FIAR_ROLE_NORMED;
    return true;
  }
  int rank;
  bool vector = elements(weight->base, &rank) == fiarAnchorOf(context, hidden)->hidden;
  return vector && choose_weight(context, hidden, weight, out);
}

// ---- converts ----

bool fiarConvertNorm(FiarRuleContext* context, const FiarTerm* in, FiarTerm* out) {
  FiarElement elem = fiarAnchorOf(context, in)->elem;
  FiarElement from = in->layout.shape.elem, to = context->elem;
  if (from == to && in->role < FIAR_ROLE_ABS) {
    return true;
  }
  bool widening = to == FIAR_ELEM_F32 && from == elem;
  bool narrowing = to == elem && from == FIAR_ELEM_F32;
  switch (in->role) {
    case FIAR_ROLE_HIDDEN:
      if (narrowing) {
        out->facts.norm_input_f32 = false;
        out->rounded = true;
      }
      if (!widening && !narrowing) {
        fiarRefuse(context->fusion, in, context->primitive->op,
                   "the sum is converted from %s to %s before the norm", fiarElementText(from),
                   fiarElementText(to));
      }
      return widening || narrowing;
    case FIAR_ROLE_HIDDEN_ABS:
      return widening;
    case FIAR_ROLE_NORMED:
    case FIAR_ROLE_NORM:
      if (widening || narrowing) {
        out->rounded |= narrowing;
        return true;
      }
      return fiarConvertQuant(context, in, out);
    default:
      if (in->role > FIAR_ROLE_NORM) {
        return fiarConvertQuant(context, in, out);
      }
      fiarRefuse(context->fusion, in, context->primitive->op,
                 "the norm is rounded to %s on its way", fiarElementText(to));
      return false;
  }
}

// ---- rules ----

#define ROW(kind, a, b, to, apply) \
  {FIAR_PRIM_##kind, FIAR_ROLE_##a, FIAR_ROLE_##b, FIAR_ROLE_##to, apply, NULL},
#define NO(kind, a, b, apply, reason) \
  {FIAR_PRIM_##kind, FIAR_ROLE_##a, FIAR_ROLE_##b, FIAR_ROLE_OUTSIDE, apply, reason},
#define ROWS_SQUARE(of)            \
  ROW(MUL, of, of, SQUARE, square) \
  ROW(SQUARE, of, OUTSIDE, SQUARE, square) ROW(POWER, of, CONST, SQUARE, square)
#define L2_REASON "the sum of squares is not divided by a count: this is an L2 norm"

// clang-format off
const FiarRule fiar_norm_rules[] = {
    ROW(ADD, HIDDEN, OUTSIDE, HIDDEN, residual_add)
    ROW(SUB, HIDDEN, CONST, HIDDEN, subtract_zero)

    ROW(ABS, HIDDEN, OUTSIDE, HIDDEN_ABS, magnitude)
    ROWS_SQUARE(HIDDEN)
    ROWS_SQUARE(HIDDEN_ABS)
    ROW(REDUCE_ADD, SQUARE, OUTSIDE, SQUARE_SUM, sum_squares)
    ROW(REDUCE_MEAN, SQUARE, OUTSIDE, MEAN, sum_squares)
    ROW(REDUCE_DOT, HIDDEN, HIDDEN, SQUARE_SUM, sum_products)
    ROW(DIV, SQUARE_SUM, CONST, MEAN, divide_count)
    ROW(MUL, SQUARE_SUM, CONST, MEAN, times_reciprocal_count)
    ROW(ADD, MEAN, CONST, MEAN_EPS, add_eps)
    NO(ADD, MEAN, OUTSIDE, NULL, "eps is not a constant")
    NO(MAX, MEAN, CONST, NULL, "eps enters as a maximum, not as a sum")
    NO(ADD, SQUARE_SUM, CONST, NULL, L2_REASON)
    NO(MAX, SQUARE_SUM, CONST, NULL, L2_REASON)
    NO(SQRT, SQUARE_SUM, OUTSIDE, NULL, L2_REASON)
    NO(RSQRT, SQUARE_SUM, OUTSIDE, NULL, L2_REASON)

    ROW(REDUCE_ADD, HIDDEN, OUTSIDE, ROW_SUM, sum_row)
    ROW(REDUCE_MEAN, HIDDEN, OUTSIDE, ROW_MEAN, sum_row)
    ROW(DIV, ROW_SUM, CONST, ROW_MEAN, plain)
    ROW(MUL, ROW_SUM, CONST, ROW_MEAN, plain)
    NO(SUB, HIDDEN, ROW_MEAN, NULL, "the mean is subtracted: this is a LayerNorm")

    ROW(SQRT, MEAN, OUTSIDE, ROOT, plain)
    ROW(SQRT, MEAN_EPS, OUTSIDE, ROOT, plain)
    ROW(RSQRT, MEAN, OUTSIDE, RROOT, plain)
    ROW(RSQRT, MEAN_EPS, OUTSIDE, RROOT, plain)
    ROW(POWER, MEAN, CONST, RROOT, power_root)
    ROW(POWER, MEAN_EPS, CONST, RROOT, power_root)
    ROW(DIV, CONST, ROOT, RROOT, one_over)

    ROW(MUL, HIDDEN, RROOT, NORMED, normalise)
    ROW(DIV, HIDDEN, ROOT, NORMED, normalise)
    ROW(MUL, NORMED, OUTSIDE, NORM, weight_normed)
    ROW(MUL, NORMED, CONST, NORM, weight_normed)
    ROW(MUL, HIDDEN, OUTSIDE, HIDDEN_WEIGHT, weight_hidden)
    ROW(MUL, RROOT, OUTSIDE, RROOT_WEIGHT, weight_root)
    ROW(DIV, OUTSIDE, ROOT, RROOT_WEIGHT, weight_over_root)
    ROW(MUL, HIDDEN, RROOT_WEIGHT, NORM, join_weighted)
    ROW(MUL, HIDDEN_WEIGHT, RROOT, NORM, join_weighted)
    ROW(DIV, HIDDEN_WEIGHT, ROOT, NORM, join_weighted)
    ROW(RMS_NORM, HIDDEN, OUTSIDE, NORM, named_norm)
    {FIAR_PRIM_UNKNOWN, FIAR_ROLE_OUTSIDE, FIAR_ROLE_OUTSIDE, FIAR_ROLE_OUTSIDE, NULL, NULL},
};
// clang-format on
