// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The grammar of the quantisers (docs/numerics.md has the arithmetic of each):
//   static   codes = e4m3(clamp(norm / scale))
//   dynamic  step  = max(amax / 448, floor), a row or a block;  codes = e4m3(norm / step)
//   nvfp4    step  = amax / 6 of 16 elements [times the global scale];  scale = e4m3(step)
//            codes = e2m1(clamp(norm * (global / scale))), or of norm / global / scale
// A form whose arithmetic the attributes cannot say is refused; the norm then fuses without it.
#include <math.h>

#include "fuse/fuse.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

enum { FP8_MAX = 448, FP4_MAX = 6, NVFP4_BLOCK = 16, TYPE_SIZE = 32 };

static bool same_number(double a, double b) {
  return a == b || (isnan(a) && isnan(b));
}

bool fiarSameFacts(const FiarFacts* a, const FiarFacts* b) {
  return fiarSameNorm(a, b) && a->quant == b->quant && a->scale.ptr == b->scale.ptr &&
         a->scale_is == b->scale_is && a->scale_type == b->scale_type &&
         same_number(a->scale_min, b->scale_min) && a->group_size == b->group_size &&
         a->inverse == b->inverse && a->scale_layout == b->scale_layout;
}

bool fiarSameScales(const FiarTerm* a, const FiarTerm* b) {
  return a->role == b->role && a->layout.shape.elem == b->layout.shape.elem &&
         same_number(a->number, b->number) && a->facts.bounded == b->facts.bounded &&
         a->facts.guarded == b->facts.guarded && fiarSameFacts(&a->facts, &b->facts);
}

// Quantisers read the rounded norm, widened: anything else is other arithmetic.
static bool reads_norm(FiarRuleContext* context, const FiarTerm* norm, bool in_f32) {
  FiarElement elem = fiarAnchorOf(context, norm)->elem;
  if (!norm->rounded) {
    fiarRefuse(context->fusion, norm, context->primitive->op,
               "the quantiser reads the norm before it is rounded to %s", fiarElementText(elem));
    return false;
  }
  if (in_f32 && norm->layout.shape.elem != FIAR_ELEM_F32) {
    fiarRefuse(context->fusion, norm, context->primitive->op,
               "the quantiser computes not in f32 but in %s", fiarElementText(elem));
    return false;
  }
  return true;
}

bool fiarQuantReadsNorm(FiarRuleContext* context, const FiarTerm* norm) {
  return reads_norm(context, norm, true);
}

// ---- what is no quantiser, or none that can be said ----

// A norm that is scaled or converted as no quantiser here does it may be one all the same, or what
// a model does before its next product: which one shows only at the codes.
static bool changed(FiarRuleContext* context, const FiarTerm* in, FiarTerm* out, const char* how,
                    FiarElement to) {
  bool norm = in->role == FIAR_ROLE_NORM || in->role == FIAR_ROLE_NORMED;
  if (norm && !in->rounded) {
    return false;  // not even a norm: a reason of its own
  }
  FiarLayout layout = in->layout;
  layout.shape.elem = context->elem;
  *out = *in;
  out->layout = layout;
  if (in->role != FIAR_ROLE_CHANGED) {
    out->role = FIAR_ROLE_CHANGED;
    out->changed = how;
    out->changed_to = to;
    out->changed_at = context->primitive->op;
  }
  return true;
}

static bool change_again(FiarRuleContext* context, const FiarTerm* in, const FiarTerm* other,
                         FiarTerm* out) {
  (void)other;
  return changed(context, in, out, NULL, FIAR_ELEM_OTHER);
}

void fiarRefuseChanged(FiarFusion* fusion, const FiarTerm* in) {
  bool typed = in->changed_to != FIAR_ELEM_OTHER;
  fiarRefuse(fusion, in, in->changed_at, "%s%s%s", in->changed, typed ? " " : "",
             typed ? fiarElementText(in->changed_to) : "");
}

static bool quantise_changed(FiarRuleContext* context, const FiarTerm* in, const FiarTerm* other,
                             FiarTerm* out) {
  (void)other;
  (void)out;
  fiarRefuseChanged(context->fusion, in);
  return false;
}

// ---- given scales ----

static bool is_f32_scalar(MlirValue value) {
  FiarShape shape;
  return fiarIsValue(value) && fiarShapeRead(mlirValueGetType(value), &shape) &&
         shape.elem == FIAR_ELEM_F32 && fiarShapeElements(&shape) == 1;
}

MlirValue fiarScalarOf(const FiarTerm* term) {
  if (fiarLayoutIsScalar(&term->layout)) {
    if (term->bias == 0 && is_f32_scalar(term->base)) {
      return term->base;
    }
    if (is_f32_scalar(term->vec)) {
      return term->vec;
    }
  }
  return (MlirValue){NULL};
}

static bool set_scale(const FiarTerm* scale, FiarTerm* out) {
  out->facts.scale = fiarScalarOf(scale);
  out->facts.scale_number = scale->role == FIAR_ROLE_CONST ? scale->number : NAN;
  return fiarIsValue(out->facts.scale);
}

// The same scalar, met twice: one value, or two constants of one number.
static bool is_scale(const FiarTerm* scale, const FiarFacts* facts) {
  return fiarIsValue(facts->scale)
             ? fiarScalarOf(scale).ptr == facts->scale.ptr ||
                   (scale->role == FIAR_ROLE_CONST && scale->number == facts->scale_number)
             : scale->role == FIAR_ROLE_CONST && scale->number == 1;
}

// norm / scale or norm * scale.
static bool scale_given(FiarRuleContext* context, const FiarTerm* norm, const FiarTerm* scale,
                        FiarTerm* out) {
  if (!fiarLayoutIsScalar(&scale->layout)) {
    return changed(context, norm, out,
                   "the quantiser's scale is neither a scalar nor computed from the norm's "
                   "magnitudes",
                   FIAR_ELEM_OTHER);
  }
  if (norm->rounded && norm->layout.shape.elem != FIAR_ELEM_F32) {
    return changed(context, norm, out, "the quantiser computes not in f32 but in",
                   norm->layout.shape.elem);
  }
  bool divides = context->primitive->kind == FIAR_PRIM_DIV;
  out->facts.quant = FIAR_QUANT_FP8_STATIC;
  out->facts.scale_is = divides ? FIAR_SCALE_IS_DIVISOR : FIAR_SCALE_IS_MULTIPLIER;
  out->number = 0;
  out->clamped = false;
  if (!reads_norm(context, norm, true)) {
    return false;
  }
  return set_scale(scale, out) ||
         changed(context, norm, out,
                 "the quantiser's scale is no f32 scalar before it is broadcast", FIAR_ELEM_OTHER);
}

// ---- computed scales ----

static bool magnitudes(FiarRuleContext* context, const FiarTerm* norm, const FiarTerm* none,
                       FiarTerm* out) {
  (void)none;
  (void)out;
  return reads_norm(context, norm, false);
}

// |norm / global|, the first step of nvfp4 with a divisor.
static bool magnitudes_scaled(FiarRuleContext* context, const FiarTerm* scaled,
                              const FiarTerm* none, FiarTerm* out) {
  (void)context;
  (void)none;
  (void)out;
  return scaled->facts.quant == FIAR_QUANT_FP8_STATIC && scaled->number == 0 &&
         scaled->facts.scale_is == FIAR_SCALE_IS_DIVISOR;
}

static bool largest(FiarRuleContext* context, const FiarTerm* in, const FiarTerm* none,
                    FiarTerm* out) {
  (void)none;
  uint32_t removed = context->removed & ~(1u << FIAR_LABEL_ONE);
  uint32_t lane = 1u << FIAR_LABEL_LANE, block = 1u << FIAR_LABEL_BLOCK;
  out->facts.group_size = 0;
  out->facts.scale_min = 0;
  out->number = 0;
  if (removed == lane) {
    out->facts.group_size = fiarLayoutSize(&in->layout, FIAR_LABEL_LANE);
    return true;
  }
  if (removed == (1u << FIAR_LABEL_HIDDEN) || removed == (lane | block)) {
    return true;
  }
  fiarRefuse(context->fusion, in, context->primitive->op,
             "the quantiser's scale is neither one a row nor one a block of the hidden dimension");
  return false;
}

// A floor under amax is the same floor under the step, divided as amax is.
static bool amax_floor(FiarRuleContext* context, const FiarTerm* amax, const FiarTerm* floor,
                       FiarTerm* out) {
  (void)context;
  out->number = fmax(amax->number, floor->number);
  return floor->number >= 0;
}

static bool divide_range(FiarRuleContext* context, const FiarTerm* amax, const FiarTerm* range,
                         FiarTerm* out) {
  if (context->elem != FIAR_ELEM_F32 || (range->number != FP8_MAX && range->number != FP4_MAX)) {
    fiarRefuse(context->fusion, amax, context->primitive->op,
               "the quantiser divides amax by %g in %s; 448 or 6 in f32 can be said", range->number,
               fiarElementText(context->elem));
    return false;
  }
  out->number = range->number;
  out->facts.scale_min = (double)((float)amax->number / (float)range->number);
  return true;
}

// The floor is under amax / 6 where the norm was divided by the global scale before, too, but not
// where that is a factor of the step.
static bool step_floor(FiarRuleContext* context, const FiarTerm* step, const FiarTerm* floor,
                       FiarTerm* out) {
  if (floor->number == 0) {
    return true;  // amax is never negative
  }
  bool multiplied =
      fiarIsValue(step->facts.scale) && step->facts.scale_is == FIAR_SCALE_IS_MULTIPLIER;
  if (!(floor->number > 0) || multiplied || context->elem != FIAR_ELEM_F32) {
    fiarRefuse(context->fusion, step, context->primitive->op,
               "the floor %g under the scale cannot be said here", floor->number);
    return false;
  }
  out->facts.scale_min = fmax(step->facts.scale_min, floor->number);
  return true;
}

// e4m3 saturates there anyway (docs/numerics.md); another bound is other arithmetic.
static bool step_ceiling(FiarRuleContext* context, const FiarTerm* step, const FiarTerm* ceiling,
                         FiarTerm* out) {
  if (step->number == FP4_MAX && ceiling->number == FP8_MAX) {
    out->facts.bounded = true;
    return true;
  }
  fiarRefuse(context->fusion, step, context->primitive->op,
             "the scale has an upper bound of %g, which cannot be said", ceiling->number);
  return false;
}

static bool step_times_global(FiarRuleContext* context, const FiarTerm* step,
                              const FiarTerm* global, FiarTerm* out) {
  if (step->number != FP4_MAX || fiarIsValue(step->facts.scale)) {
    return false;
  }
  if (step->facts.bounded) {
    fiarRefuse(context->fusion, step, context->primitive->op,
               "the scale has its upper bound before the global scale, which cannot be said");
    return false;
  }
  out->facts.scale_is = FIAR_SCALE_IS_MULTIPLIER;
  return set_scale(global, out);
}

static bool against_zero(FiarRuleContext* context, const FiarTerm* scale, const FiarTerm* zero,
                         FiarTerm* out) {
  (void)context;
  (void)scale;
  (void)out;
  return zero == NULL || zero->number == 0;  // none: a test of it that is negated
}

// 1 / step, or global / scale.
static bool factor(FiarRuleContext* context, const FiarTerm* over, const FiarTerm* scale,
                   FiarTerm* out) {
  bool fp8 = scale->role == FIAR_ROLE_STEP;
  out->facts.scale_is = FIAR_SCALE_IS_MULTIPLIER;
  if (context->elem != FIAR_ELEM_F32 || (fp8 && scale->number != FP8_MAX)) {
    return false;
  }
  bool divided = fiarIsValue(scale->facts.scale) && scale->facts.scale_is == FIAR_SCALE_IS_DIVISOR;
  return fp8 ? over->role == FIAR_ROLE_CONST && over->number == 1 &&
                   !fiarIsValue(scale->facts.scale)
             : !divided && is_scale(over, &scale->facts);
}

// ---- codes ----

static bool apply_scale(FiarRuleContext* context, const FiarTerm* norm, const FiarTerm* scale,
                        FiarTerm* out) {
  const FiarFacts *n = &norm->facts, *s = &scale->facts;
  if (context->elem != FIAR_ELEM_F32 || !fiarSameNorm(n, s)) {
    return false;
  }
  out->facts = *s;
  out->number = 0;
  out->clamped = false;
  if (scale->role == FIAR_ROLE_STEP) {
    if (scale->number != FP8_MAX || fiarIsValue(s->scale)) {
      return false;
    }
    out->facts.quant = s->group_size == 0 ? FIAR_QUANT_FP8_TOKEN : FIAR_QUANT_FP8_GROUP;
    out->facts.scale_type = FIAR_SCALE_TYPE_F32;
    out->facts.scale_is = FIAR_SCALE_IS_DIVISOR;
    return reads_norm(context, norm, true);
  }
  if (scale->role == FIAR_ROLE_FACTOR) {
    if (s->quant != FIAR_QUANT_NVFP4) {
      out->facts.quant = s->group_size == 0 ? FIAR_QUANT_FP8_TOKEN : FIAR_QUANT_FP8_GROUP;
      out->facts.scale_type = FIAR_SCALE_TYPE_F32;
    }
    return reads_norm(context, norm, true);
  }
  // norm [/ global] / scale of nvfp4: the scale was taken of the same quotient.
  out->facts.scale_is = FIAR_SCALE_IS_DIVISOR;
  if (norm->role == FIAR_ROLE_SCALED) {
    return norm->number == 0 && n->scale.ptr == s->scale.ptr && fiarIsValue(s->scale) &&
           n->scale_is == FIAR_SCALE_IS_DIVISOR && s->scale_is == FIAR_SCALE_IS_DIVISOR;
  }
  return !fiarIsValue(s->scale) && reads_norm(context, norm, true);
}

// One side of a clamp, in either order: the bounds must be -b and b.
static bool clamp_side(FiarRuleContext* context, const FiarTerm* scaled, const FiarTerm* bound,
                       FiarTerm* out) {
  bool low = context->primitive->kind == FIAR_PRIM_MAX;
  bool norm = scaled->role == FIAR_ROLE_NORM || scaled->role == FIAR_ROLE_NORMED;
  if ((norm && scaled->rounded && scaled->layout.shape.elem != FIAR_ELEM_F32) ||
      scaled->role == FIAR_ROLE_CHANGED) {
    return changed(context, scaled, out, "the quantiser computes not in f32 but in",
                   scaled->layout.shape.elem);
  }
  if ((low ? -bound->number : bound->number) <= 0 || scaled->clamped ||
      !reads_norm(context, scaled, true)) {
    return false;
  }
  out->role = FIAR_ROLE_SCALED;
  if (scaled->role != FIAR_ROLE_SCALED) {
    out->facts.quant = FIAR_QUANT_FP8_STATIC;  // the scale is 1
    out->number = bound->number;
    return true;
  }
  out->clamped = scaled->number != 0 && scaled->number == -bound->number;
  out->number = out->clamped ? fabs(bound->number) : bound->number;
  return scaled->number == 0 || out->clamped;
}

bool fiarClampTerm(FiarRuleContext* context, const FiarTerm* low, const FiarTerm* in,
                   const FiarTerm* high, FiarTerm* out) {
  if (!fiarIsChain(in) || low->role != FIAR_ROLE_CONST || high->role != FIAR_ROLE_CONST ||
      context->elem != in->layout.shape.elem) {
    return false;
  }
  if (in->role == FIAR_ROLE_POWER) {
    return fiarPowerClamp(context, low, in, high, out);
  }
  if (in->role == FIAR_ROLE_CHANGED) {
    return change_again(context, in, low, out);
  }
  FiarPrimitive side = *context->primitive;
  FiarRuleContext at = *context;
  at.primitive = &side;
  if (in->role == FIAR_ROLE_STEP) {
    FiarTerm floored = *in;
    return step_floor(&at, in, low, &floored) && (*out = floored, true) &&
           step_ceiling(&at, &floored, high, out);
  }
  if (in->role != FIAR_ROLE_SCALED && in->role != FIAR_ROLE_NORM && in->role != FIAR_ROLE_NORMED) {
    return false;
  }
  FiarTerm half = *in;
  side.kind = FIAR_PRIM_MAX;
  if (!clamp_side(&at, in, low, &half)) {
    return false;
  }
  *out = half;
  side.kind = FIAR_PRIM_MIN;
  return clamp_side(&at, &half, high, out);
}

// scale == 0 ? 0 : scaled, or scale != 0 ? scaled : 0; a NaN is not zero in either
static bool select_guarded(const FiarTerm* pred, const FiarTerm* a, const FiarTerm* b,
                           FiarTerm* out) {
  FiarLayout joined;
  bool swapped = pred->role == FIAR_ROLE_SCALE_NOT_ZERO;
  if (swapped) {
    const FiarTerm* first = a;
    a = b;
    b = first;
  }
  if ((!swapped && pred->role != FIAR_ROLE_SCALE_IS_ZERO) || a->role != FIAR_ROLE_CONST ||
      a->number != 0 || b->role != FIAR_ROLE_SCALED ||
      pred->facts.scales.ptr != b->facts.scales.ptr ||
      pred->facts.scale.ptr != b->facts.scale.ptr ||
      !same_number(pred->facts.scale_min, b->facts.scale_min) ||
      !fiarSameNorm(&pred->facts, &b->facts) ||
      !fiarLayoutJoin(&pred->layout, &b->layout, &joined)) {
    return false;
  }
  *out = *b;
  out->facts.guarded = true;
  return true;
}

bool fiarSelectTerm(FiarRuleContext* context, const FiarTerm* pred, const FiarTerm* a,
                    const FiarTerm* b, FiarTerm* out) {
  if (pred->role == FIAR_ROLE_POWER) {
    return fiarPowerSelect(context, pred, a, b, out);
  }
  if (select_guarded(pred, a, b, out)) {
    return true;
  }
  const FiarTerm* in = fiarIsChain(a) ? a : b;
  bool norm = in->role == FIAR_ROLE_NORM || in->role == FIAR_ROLE_NORMED;
  return (norm || in->role == FIAR_ROLE_CHANGED || in->role == FIAR_ROLE_SCALED) &&
         changed(context, in, out,
                 "the quantiser selects values by another test than of its scale against zero",
                 FIAR_ELEM_OTHER);
}

static bool of_another_format(FiarRuleContext* context, const FiarTerm* in) {
  fiarRefuse(context->fusion, in, context->primitive->op,
             "the codes are %s, which their scale is not for", fiarElementText(context->elem));
  return false;
}

static bool to_fp8(FiarRuleContext* context, const FiarTerm* in, FiarTerm* out) {
  bool is_fp8 = in->facts.quant == FIAR_QUANT_FP8_STATIC ||
                in->facts.quant == FIAR_QUANT_FP8_TOKEN || in->facts.quant == FIAR_QUANT_FP8_GROUP;
  // mx scales leave norms of up to 2^9 times the scale.
  bool far = in->facts.quant == FIAR_QUANT_FP8_STATIC || in->facts.quant == FIAR_QUANT_MXFP8;
  if (!is_fp8 && in->facts.quant != FIAR_QUANT_MXFP8) {
    return of_another_format(context, in);
  }
  bool whole = in->clamped && in->number == FP8_MAX;
  bool open = in->number == 0 && !far;
  if (!whole && !open) {
    fiarRefuse(context->fusion, in, context->primitive->op,
               in->number == 0
                   ? "fp8 without a clamp to +-448: the source's convert gives NaN beyond"
                   : "the codes are clamped to other bounds than +-448 (%g)",
               in->number);
    return false;
  }
  out->role = FIAR_ROLE_CODES;
  return true;
}

static bool to_fp4(FiarRuleContext* context, const FiarTerm* in, FiarTerm* out) {
  bool is_nvfp4 = in->facts.quant == FIAR_QUANT_NVFP4;
  if (!is_nvfp4 && in->facts.quant != FIAR_QUANT_MXFP4) {
    return of_another_format(context, in);
  }
  if (!in->clamped || in->number != FP4_MAX) {
    fiarRefuse(context->fusion, in, context->primitive->op,
               "fp4 without a clamp of the codes to +-6");
    return false;
  }
  if (is_nvfp4 && in->facts.scale_is == FIAR_SCALE_IS_MULTIPLIER && !in->facts.guarded) {
    fiarRefuse(context->fusion, in, context->primitive->op,
               "nvfp4 without a select of zero codes where the scale is zero");
    return false;
  }
  out->role = FIAR_ROLE_CODES;
  return true;
}

// amax / 6 becomes a block's scale.
static bool to_block_scale(FiarRuleContext* context, const FiarTerm* in, FiarTerm* out) {
  if (in->number != FP4_MAX || in->facts.group_size != NVFP4_BLOCK) {
    fiarRefuse(context->fusion, in, context->primitive->op,
               "an e4m3 scale of blocks of %lld; nvfp4 has blocks of 16 and amax / 6",
               (long long)in->facts.group_size);
    return false;
  }
  out->role = FIAR_ROLE_SCALE;
  out->facts.quant = FIAR_QUANT_NVFP4;
  out->facts.scale_type = FIAR_SCALE_TYPE_E4M3;
  return true;
}

// The element type as MLIR prints it: there are more of them than FiarElement tells apart.
static const char* type_text(MlirValue value, FiarElement elem, char out_text[TYPE_SIZE]) {
  MlirType type = mlirValueGetType(value);
  if (mlirTypeIsARankedTensor(type)) {
    type = mlirShapedTypeGetElementType(type);
  }
  if (fiarElementOf(type) != elem) {
    return fiarElementText(elem);  // of one of torch's tensors
  }
  fiarAttributePrint(mlirTypeAttrGet(type), out_text, TYPE_SIZE);
  return out_text;
}

static void refuse_conversion(FiarRuleContext* context, const FiarTerm* in) {
  char from[TYPE_SIZE], to[TYPE_SIZE];
  MlirOperation op = context->primitive->op;
  fiarRefuse(context->fusion, in, op,
             "the quantiser converts from %s to %s, which cannot be said here",
             type_text(context->primitive->in[0], in->layout.shape.elem, from),
             type_text(mlirOperationGetResult(op, 0), context->elem, to));
}

static bool is_float(FiarElement elem) {
  return elem == FIAR_ELEM_BF16 || elem == FIAR_ELEM_F16 || elem == FIAR_ELEM_F32 ||
         elem == FIAR_ELEM_F64;
}

// A cast of the norm, or of one that was scaled by a number, to a type that models compute in.
static bool cast_norm(FiarRuleContext* context, const FiarTerm* in, FiarTerm* out) {
  bool scaled = in->role == FIAR_ROLE_SCALED;
  if (in->role == FIAR_ROLE_CHANGED && !is_float(context->elem)) {
    fiarRefuseChanged(context->fusion, in);
    return false;
  }
  bool casts = in->role == FIAR_ROLE_NORM || in->role == FIAR_ROLE_NORMED ||
               in->role == FIAR_ROLE_CHANGED ||
               (scaled && in->facts.quant == FIAR_QUANT_FP8_STATIC);
  return casts && is_float(context->elem) &&
         changed(context, in, out,
                 scaled ? "the quantiser converts from f32 to" : "the quantiser reads the norm as",
                 context->elem);
}

bool fiarConvertQuant(FiarRuleContext* context, const FiarTerm* in, FiarTerm* out) {
  FiarElement from = in->layout.shape.elem, to = context->elem;
  bool widening = to == FIAR_ELEM_F32 && (from == FIAR_ELEM_BF16 || from == FIAR_ELEM_F16);
  switch (in->role) {
    case FIAR_ROLE_ABS:
    case FIAR_ROLE_AMAX:
      return widening || to == from;  // exact
    case FIAR_ROLE_STEP:
      if (to == FIAR_ELEM_F8E4M3FN && from == FIAR_ELEM_F32) {
        return to_block_scale(context, in, out);
      }
      break;
    case FIAR_ROLE_SCALE:
      if (from == FIAR_ELEM_F8E4M3FN && to == FIAR_ELEM_F32) {
        return true;
      }
      break;
    case FIAR_ROLE_POWER:
      return fiarPowerCast(context, in, out);
    case FIAR_ROLE_SCALED:
      if (to == FIAR_ELEM_F8E4M3FN && from == FIAR_ELEM_F32) {
        return to_fp8(context, in, out);
      }
      if (to == FIAR_ELEM_F4E2M1FN && from == FIAR_ELEM_F32) {
        return to_fp4(context, in, out);
      }
      break;
    default:
      break;
  }
  bool codes = in->role == FIAR_ROLE_CODES;
  if (to == from && !codes) {
    return true;
  }
  if (cast_norm(context, in, out)) {
    return true;
  }
  bool silent = codes || in->role == FIAR_ROLE_SCALE || in->role == FIAR_ROLE_CHANGED;
  bool norm = in->role == FIAR_ROLE_NORM || in->role == FIAR_ROLE_NORMED;
  if (!silent && !(norm && is_float(to))) {
    refuse_conversion(context, in);
  }
  return false;
}

// ---- rules ----

#define ROW(kind, a, b, to, apply) \
  {FIAR_PRIM_##kind, FIAR_ROLE_##a, FIAR_ROLE_##b, FIAR_ROLE_##to, apply, NULL},
#define NO(kind, a, b, apply, reason) \
  {FIAR_PRIM_##kind, FIAR_ROLE_##a, FIAR_ROLE_##b, FIAR_ROLE_OUTSIDE, apply, reason},
// Rows for what a quantiser may read: the norm with its weight, and without one.
#define ROWS_NORM(kind, b, to, apply) ROW(kind, NORM, b, to, apply) ROW(kind, NORMED, b, to, apply)

#define CHANGED_BY(kind, b) ROW(kind, CHANGED, b, CHANGED, change_again)
#define OF_CHANGED(kind, b) ROW(kind, CHANGED, b, OUTSIDE, quantise_changed)
#define ADDED "a constant is added to the scale or to amax: a floor is a maximum"

// clang-format off
const FiarRule fiar_quant_rules[] = {
    ROWS_NORM(DIV, OUTSIDE, SCALED, scale_given)
    ROWS_NORM(DIV, CONST, SCALED, scale_given)
    ROWS_NORM(MUL, OUTSIDE, SCALED, scale_given)
    ROWS_NORM(MUL, CONST, SCALED, scale_given)

    ROWS_NORM(ABS, OUTSIDE, ABS, magnitudes)
    ROW(ABS, SCALED, OUTSIDE, ABS, magnitudes_scaled)
    ROW(REDUCE_MAX, ABS, OUTSIDE, AMAX, largest)
    ROW(MAX, AMAX, CONST, AMAX, amax_floor)
    ROW(DIV, AMAX, CONST, STEP, divide_range)
    NO(MUL, AMAX, CONST, NULL, "the scale is amax times a constant, which rounds unlike amax / 448")
    NO(MIN, AMAX, CONST, NULL, "the scale has an upper bound, which cannot be said")
    NO(DIV, CONST, AMAX, NULL, "the scale is a number over amax, which rounds unlike amax / 448")
    NO(ADD, AMAX, CONST, NULL, ADDED)
    NO(ADD, STEP, CONST, NULL, ADDED)
    ROW(MAX, STEP, CONST, STEP, step_floor)
    ROW(MIN, STEP, CONST, STEP, step_ceiling)
    ROW(MUL, STEP, OUTSIDE, STEP, step_times_global)
    ROW(MUL, STEP, CONST, STEP, step_times_global)
    ROW(EQUAL, SCALE, CONST, SCALE_IS_ZERO, against_zero)
    ROW(NOT_EQUAL, SCALE, CONST, SCALE_NOT_ZERO, against_zero)
    ROW(NOT, SCALE_IS_ZERO, OUTSIDE, SCALE_NOT_ZERO, against_zero)
    ROW(NOT, SCALE_NOT_ZERO, OUTSIDE, SCALE_IS_ZERO, against_zero)
    ROW(DIV, CONST, STEP, FACTOR, factor)
    ROW(DIV, CONST, SCALE, FACTOR, factor)
    ROW(DIV, OUTSIDE, SCALE, FACTOR, factor)

    ROWS_NORM(DIV, STEP, SCALED, apply_scale)
    ROWS_NORM(DIV, SCALE, SCALED, apply_scale)
    ROWS_NORM(MUL, FACTOR, SCALED, apply_scale)
    ROW(DIV, SCALED, SCALE, SCALED, apply_scale)

    ROWS_NORM(MAX, CONST, SCALED, clamp_side)
    ROWS_NORM(MIN, CONST, SCALED, clamp_side)
    ROW(MAX, SCALED, CONST, SCALED, clamp_side)
    ROW(MIN, SCALED, CONST, SCALED, clamp_side)

    CHANGED_BY(MUL, OUTSIDE) CHANGED_BY(MUL, CONST) CHANGED_BY(DIV, OUTSIDE) CHANGED_BY(DIV, CONST)
    CHANGED_BY(MAX, CONST) CHANGED_BY(MIN, CONST)
    OF_CHANGED(ABS, OUTSIDE) OF_CHANGED(DIV, STEP) OF_CHANGED(DIV, SCALE) OF_CHANGED(DIV, POWER)
    OF_CHANGED(MUL, FACTOR) OF_CHANGED(MUL, POWER)
    {FIAR_PRIM_UNKNOWN, FIAR_ROLE_OUTSIDE, FIAR_ROLE_OUTSIDE, FIAR_ROLE_OUTSIDE, NULL, NULL},
};
// clang-format on
