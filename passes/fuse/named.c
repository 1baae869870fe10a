// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops that are a norm, a quantiser or both by name, with a result for each part (fiarNamedRead).
// The parts go through the same rules as if they were written out; a result's part names its term.
#include <math.h>

#include "fuse/fuse.h"

enum { FP8_MAX = 448, NVFP4_BLOCK = 16 };

typedef struct reading {
  FiarFusion* fusion;
  FiarPrimitive* primitive;
  MlirValue value;  // the result asked for
  uint32_t frame;
  FiarNamed named;
} reading_t;

static MlirValue result_with(const reading_t* reading, FiarNamedResult part) {
  for (int i = 0; i < reading->named.n_results; ++i) {
    if (reading->named.results[i] == part && reading->frame == 0) {
      return mlirOperationGetResult(reading->primitive->op, i);
    }
  }
  return (MlirValue){NULL};
}

// The term of one part as a rule gave it, named by the op's result for it.
static FiarTerm part_term(const reading_t* reading, FiarTerm term, FiarNamedResult part) {
  if (fiarIsChain(&term)) {
    term.value = term.narrow = result_with(reading, part);
  }
  return term;
}

static FiarTerm step(const reading_t* reading, FiarPrimitiveKind kind, const FiarTerm* a,
                     const FiarTerm* b) {
  FiarPrimitive primitive = {.kind = kind,
                             .op = reading->primitive->op,
                             .n_in = b == NULL ? 1 : 2,
                             .number = reading->named.eps,
                             .before_weight = true};
  return fiarEvalStep(reading->fusion, &primitive, reading->value, reading->frame, a, b);
}

// Whether the value has the shape of `like`, its last dimension divided by `parts`.
static bool has_shape(MlirValue value, const FiarShape* like, int64_t parts, FiarElement elem,
                      FiarShape* out_shape) {
  if (!fiarIsValue(value) || !fiarShapeRead(mlirValueGetType(value), out_shape) ||
      out_shape->rank != like->rank || out_shape->elem != elem) {
    return false;
  }
  for (int i = 0; i < like->rank; ++i) {
    int64_t size = i + 1 < like->rank ? like->size[i] : like->size[i] / parts;
    if (out_shape->size[i] != size) {
      return false;
    }
  }
  return like->rank > 0 && like->size[like->rank - 1] % parts == 0;
}

static FiarTerm refuse(const reading_t* reading, const FiarTerm* norm, const char* why) {
  fiarRefuse(reading->fusion, norm, reading->primitive->op, "%s", why);
  return fiarTermOutside(reading->value, reading->frame);
}

static bool fits(const reading_t* reading, const FiarFacts* facts, const FiarTerm* norm) {
  const FiarShape* shape = &norm->layout.shape;
  FiarShape codes, scales;
  MlirValue code = result_with(reading, FIAR_NAMED_CODES),
            scale = result_with(reading, FIAR_NAMED_SCALES);
  int64_t hidden = shape->size[shape->rank - 1];
  switch (facts->quant) {
    case FIAR_QUANT_NVFP4:
      return (has_shape(code, shape, 2, FIAR_ELEM_INTEGER, &codes) ||
              has_shape(code, shape, 1, FIAR_ELEM_F4E2M1FN, &codes)) &&
             (facts->scale_layout != FIAR_SCALE_LAYOUT_LINEAR ||
              has_shape(scale, shape, NVFP4_BLOCK, FIAR_ELEM_INTEGER, &scales) ||
              has_shape(scale, shape, NVFP4_BLOCK, FIAR_ELEM_F8E4M3FN, &scales));
    case FIAR_QUANT_FP8_STATIC:
      return has_shape(code, shape, 1, FIAR_ELEM_F8E4M3FN, &codes);
    default:
      return has_shape(code, shape, 1, FIAR_ELEM_F8E4M3FN, &codes) &&
             has_shape(scale, shape, facts->group_size == 0 ? hidden : facts->group_size,
                       FIAR_ELEM_F32, &scales);
  }
}

// The facts of the quantiser; false where its scale is no f32 scalar.
static bool quant_facts(const reading_t* reading, FiarFacts* facts) {
  const FiarNamed* named = &reading->named;
  facts->quant = named->quant;
  facts->scale_layout = named->scale_layout;
  facts->scale_min = named->scale_min;
  facts->group_size = named->quant == FIAR_QUANT_NVFP4 ? NVFP4_BLOCK : named->group_size;
  facts->scale_type = named->quant == FIAR_QUANT_NVFP4 ? FIAR_SCALE_TYPE_E4M3 : FIAR_SCALE_TYPE_F32;
  facts->scale_is = named->scale.ptr != NULL ? FIAR_SCALE_IS_MULTIPLIER : FIAR_SCALE_IS_DIVISOR;
  facts->scale_number = NAN;
  facts->inverse = named->inverse;
  facts->scales = result_with(reading, FIAR_NAMED_SCALES);
  if (fiarIsValue(named->scale)) {
    facts->scale = fiarScalarOf(fiarTermOf(reading->fusion, named->scale, reading->frame));
    return fiarIsValue(facts->scale);
  }
  return true;
}

// Codes keep the labels of the norm; scales lose those of what they scale.
static FiarTerm quantised(const reading_t* reading, const FiarTerm* norm, FiarNamedResult part) {
  FiarFusion* fusion = reading->fusion;
  FiarTerm out = *norm;
  bool is_norm = norm->role == FIAR_ROLE_NORM || norm->role == FIAR_ROLE_NORMED;
  if (!is_norm) {
    fiarLeaveFor(fusion, norm, reading->primitive->op, NULL);
    return fiarTermOutside(reading->value, reading->frame);
  }
  if (!norm->rounded || norm->layout.shape.elem != fusion->anchors[norm->facts.anchor].elem ||
      !fiarLayoutIsFull(&norm->layout)) {
    return refuse(reading, norm, "the quantiser does not read the rounded norm as it is");
  }
  if (!quant_facts(reading, &out.facts)) {
    return refuse(reading, norm, "the quantiser's scale is no f32 scalar before it is broadcast");
  }
  if (!fits(reading, &out.facts, norm) ||
      !fiarShapeRead(mlirValueGetType(reading->value), &out.layout.shape)) {
    return refuse(reading, norm, "the quantiser's results do not have the shapes of its format");
  }
  out.role = FIAR_ROLE_CODES;
  if (part == FIAR_NAMED_SCALES) {
    bool linear = out.facts.scale_layout == FIAR_SCALE_LAYOUT_LINEAR;
    int last = out.layout.shape.rank - 1;
    for (int i = 0; i < last && !linear; ++i) {
      out.layout.label[i] = FIAR_LABEL_SAME;  // another order than the rows'
    }
    out.layout.label[last] = !linear                     ? FIAR_LABEL_SAME
                             : out.facts.group_size == 0 ? FIAR_LABEL_ONE
                                                         : FIAR_LABEL_BLOCK;
    out.role = FIAR_ROLE_STEP;
    out.number = FP8_MAX;
  }
  return part_term(reading, out, part);
}

FiarTerm fiarEvalNamed(FiarFusion* fusion, FiarPrimitive* primitive, MlirValue value,
                       uint32_t frame) {
  reading_t reading = {.fusion = fusion, .primitive = primitive, .value = value, .frame = frame};
  if (!fiarNamedRead(primitive->op, &reading.named)) {
    return fiarTermOutside(value, frame);
  }
  const FiarNamed* named = &reading.named;
  FiarNamedResult part = named->results[mlirOpResultGetResultNumber(value)];
  FiarTerm term = *fiarTermOf(fusion, named->x, frame);
  if (fiarIsValue(named->residual)) {
    FiarTerm residual = *fiarTermOf(fusion, named->residual, frame);
    term = part_term(&reading, step(&reading, FIAR_PRIM_ADD, &term, &residual), FIAR_NAMED_SUM);
  }
  if (part == FIAR_NAMED_SUM || !fiarIsChain(&term)) {
    return fiarIsChain(&term) ? term : fiarTermOutside(value, frame);
  }
  if (named->normalises) {
    FiarTerm weight = *fiarTermOf(fusion, named->weight, frame);
    term = part_term(&reading, step(&reading, FIAR_PRIM_RMS_NORM, &term, &weight), FIAR_NAMED_NORM);
  }
  if (part == FIAR_NAMED_NORM || !fiarIsChain(&term)) {
    return fiarIsChain(&term) ? term : fiarTermOutside(value, frame);
  }
  return quantised(&reading, &term, part);
}
