// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fuse/fuse.h"
#include "ir/array.h"

#include <stdlib.h>

#include "mlir-c/BuiltinTypes.h"

enum {
  MAX_DEPTH = 96,  // of values looked through backwards
  MAX_CALL_DEPTH = 6,
};

static const MlirValue no_value = {NULL};

static bool compares(FiarPrimitiveKind kind) {
  return kind >= FIAR_PRIM_EQUAL && kind <= FIAR_PRIM_LESS_EQUAL;
}

// ---- ops ----

typedef struct eval {
  FiarFusion* fusion;
  FiarPrimitive* primitive;
  MlirValue value;  // the result asked for
  uint32_t frame;
  FiarShape shape;  // of the result
} eval_t;

static FiarTerm outside(const eval_t* eval) {
  return fiarTermOutside(eval->value, eval->frame);
}

// A chain value (NULL: there is none) that nothing is known to do with: the sequence may end here.
static FiarTerm leave(const eval_t* eval, const FiarTerm* chain) {
  if (chain != NULL) {
    fiarLeaveFor(eval->fusion, chain, eval->primitive->op, NULL);
  }
  return outside(eval);
}

static void set_value(const eval_t* eval, FiarTerm* term) {
  term->value = eval->frame == 0 ? eval->value : no_value;
  term->narrow = term->value;
}

// Reshapes, broadcasts and transposes: the same role with other labels.
static FiarTerm relayout(const eval_t* eval, const FiarTerm* in, bool ok, FiarLayout layout) {
  if (!ok) {
    return fiarIsChain(in) ? leave(eval, in) : outside(eval);
  }
  FiarTerm out = *in;
  out.layout = layout;
  set_value(eval, &out);
  if (!fiarIsChain(in) && eval->frame == 0 && fiarLayoutIsWholeBase(&layout)) {
    out.vec = eval->value;
    out.vec_elem = eval->shape.elem;
  }
  return out;
}

static FiarTerm eval_layout(const eval_t* eval, const FiarTerm* in) {
  FiarPrimitive* p = eval->primitive;
  FiarLayout layout;
  bool ok;
  if (in->layout.shape.elem != eval->shape.elem) {
    return outside(eval);
  }
  switch (p->kind) {
    case FIAR_PRIM_BROADCAST:
      ok = fiarLayoutBroadcast(&in->layout, p->dims, p->n_dims, &eval->shape, &layout) &&
           !(p->may_repeat && fiarTermMayGainRows(in));
      break;
    case FIAR_PRIM_RESHAPE:
      ok = fiarLayoutReshape(&in->layout, &eval->shape, &layout);
      break;
    default:
      ok = fiarLayoutTranspose(&in->layout, p->dims, p->n_dims, &eval->shape, &layout);
      break;
  }
  return relayout(eval, in, ok, layout);
}

// The rows of all ranks. Scales that were computed before are called by the whole of them.
static FiarTerm eval_gather(const eval_t* eval, const FiarTerm* in) {
  FiarLayout layout = {.shape = eval->shape};
  const bool gathers = fiarIsChain(in) && in->layout.shape.elem == eval->shape.elem &&
                       fiarGathersRows(eval->fusion, eval->primitive, in, &eval->shape, &layout);
  FiarTerm out = relayout(eval, in, gathers, layout);
  if (gathers) {
    out.facts.gathered = true;
    const MlirValue scales = in->facts.scales;
    if ((in->role == FIAR_ROLE_STEP || in->role == FIAR_ROLE_SCALE) && fiarIsValue(scales) &&
        fiarValueElement(scales) == eval->shape.elem) {
      out.facts.scales = eval->value;
    }
  }
  return out;
}

static bool widens(FiarElement from, FiarElement to) {
  return from == to || (to == FIAR_ELEM_F32 && (from == FIAR_ELEM_BF16 || from == FIAR_ELEM_F16));
}

static FiarTerm convert_outside(const eval_t* eval, const FiarTerm* in) {
  FiarTerm out = *in;
  FiarElement to = eval->shape.elem;
  out.layout.shape.elem = to;
  set_value(eval, &out);
  if (in->role == FIAR_ROLE_CONST) {
    out.number = fiarRoundTo(to, in->number);
    return fiarConvertsExactly(mlirValueGetType(eval->value), in->number) ? out : outside(eval);
  }
  // T(bias + f32(base)) can be said; any other narrowing starts a new base.
  if (widens(in->layout.shape.elem, to)) {
    out.narrow = in->narrow;
  } else if (in->bias == 0 || in->bias_elem != FIAR_ELEM_F32 || to != in->base_elem) {
    return outside(eval);
  } else {
    out.bias_elem = to;
    out.vec = no_value;
  }
  if (eval->frame == 0 && fiarLayoutIsWholeBase(&out.layout)) {
    out.vec = eval->value;
    out.vec_elem = to;
  }
  return out;
}

static FiarTerm eval_convert(const eval_t* eval, const FiarTerm* in) {
  if (!fiarIsChain(in)) {
    return convert_outside(eval, in);
  }
  FiarRuleContext context = {eval->fusion, eval->primitive, in->layout, eval->shape.elem, 0};
  FiarTerm out = *in;
  out.layout.shape.elem = eval->shape.elem;
  if (!fiarConvertNorm(&context, in, &out)) {
    return leave(eval, in);
  }
  set_value(eval, &out);
  if (widens(in->layout.shape.elem, eval->shape.elem)) {
    out.narrow = in->narrow;
  } else if (out.role == FIAR_ROLE_SCALE && in->role == FIAR_ROLE_STEP) {
    out.facts.scales = eval->value;
  }
  return out;
}

// Values from outside: a constant added to a vector, (1 + w), is remembered; else only what varies.
static FiarTerm combine_outside(const eval_t* eval, const FiarTerm* a, const FiarTerm* b,
                                const FiarLayout* layout) {
  const FiarTerm* constant = a->role == FIAR_ROLE_CONST ? a : b;
  const FiarTerm* vector = constant == a ? b : a;
  FiarTerm out = outside(eval);
  if (fiarLayoutIsScalar(&a->layout) && fiarLayoutIsScalar(&b->layout) &&
      !fiarLayoutIsScalar(&out.layout)) {
    // Still one number, but no scalar value holds it.
    out.layout = *layout;
    out.base = out.vec = no_value;
    return out;
  }
  if (eval->primitive->kind != FIAR_PRIM_ADD || constant->role != FIAR_ROLE_CONST ||
      vector->role != FIAR_ROLE_OUTSIDE || vector->bias != 0 || constant->number == 0) {
    return out;
  }
  out = *vector;
  out.layout = *layout;
  out.bias = constant->number;
  out.bias_elem = eval->shape.elem;
  set_value(eval, &out);
  out.vec = no_value;
  if (eval->frame == 0 && fiarLayoutIsWholeBase(layout)) {
    out.vec = eval->value;
    out.vec_elem = eval->shape.elem;
  }
  return out;
}

// Scales are returned as the source last computed them, before broadcasts and widening. Those that
// a callee computes have a name in it, which scales_of_call makes one of the caller's.
static void name_scales(const eval_t* eval, FiarTerm* out) {
  if (out->role == FIAR_ROLE_STEP) {
    out->facts.scales = eval->value;
  }
}

static FiarTerm finish_rule(const eval_t* eval, FiarRuleContext* context, const FiarTerm* a,
                            const FiarTerm* b) {
  FiarTerm out;
  if (!fiarApplyRules(context, a, b, &out)) {
    return leave(eval, fiarFurther(a, b));
  }
  set_value(eval, &out);
  name_scales(eval, &out);
  return out;
}

// The labels of a chain value stay; those of a value from outside are the rule's to check.
static bool merge(const FiarTerm* a, const FiarTerm* b, FiarLayout* out_layout) {
  if (fiarIsChain(a) == fiarIsChain(b)) {
    return fiarLayoutJoin(&a->layout, &b->layout, out_layout);
  }
  const FiarLayout* chain = fiarIsChain(a) ? &a->layout : &b->layout;
  const FiarLayout* other = fiarIsChain(a) ? &b->layout : &a->layout;
  *out_layout = *chain;
  if (!fiarSameSizes(&chain->shape, &other->shape)) {
    return false;
  }
  for (int i = 0; i < chain->shape.rank; ++i) {
    if (chain->label[i] == FIAR_LABEL_SAME) {
      out_layout->label[i] = other->label[i];
    }
  }
  return true;
}

// A rank's rows do not meet those of all ranks, whatever their numbers.
static bool gathered_alike(const FiarTerm* a, const FiarTerm* b) {
  return !fiarIsChain(a) || !fiarIsChain(b) || a->facts.gathered == b->facts.gathered;
}

static FiarTerm eval_binary(const eval_t* eval, const FiarTerm* a, const FiarTerm* b) {
  FiarTerm other;
  if (fiarIsChain(a) && fiarIsChain(b) && a->facts.anchor != b->facts.anchor) {
    // The later all-reduce's sequence goes on; the other is what it adds.
    const FiarTerm** earlier = a->facts.anchor < b->facts.anchor ? &a : &b;
    other = fiarTermForeign(*earlier);
    *earlier = &other;
  }
  bool chain = fiarIsChain(a) || fiarIsChain(b);
  FiarRuleContext context = {.fusion = eval->fusion, .primitive = eval->primitive};
  bool same_type = gathered_alike(a, b) && a->layout.shape.elem == b->layout.shape.elem &&
                   (a->layout.shape.elem == eval->shape.elem || compares(eval->primitive->kind));
  if (!same_type || !merge(a, b, &context.layout)) {
    return chain ? leave(eval, fiarFurther(a, b)) : outside(eval);
  }
  context.elem = eval->shape.elem;
  context.layout.shape.elem = eval->shape.elem;
  return chain ? finish_rule(eval, &context, a, b) : combine_outside(eval, a, b, &context.layout);
}

static FiarTerm eval_unary(const eval_t* eval, const FiarTerm* a) {
  bool casts = eval->primitive->kind == FIAR_PRIM_BITCAST;
  if (!fiarIsChain(a) || (!casts && a->layout.shape.elem != eval->shape.elem)) {
    return fiarIsChain(a) ? leave(eval, a) : outside(eval);
  }
  FiarRuleContext context = {eval->fusion, eval->primitive, a->layout, eval->shape.elem, 0};
  return finish_rule(eval, &context, a, NULL);
}

// A named norm takes its weight as a vector; the result has the operand's labels.
static FiarTerm eval_named_norm(const eval_t* eval, const FiarTerm* in, const FiarTerm* weight) {
  if (!fiarIsChain(in) || !fiarSameSizes(&in->layout.shape, &eval->shape)) {
    return fiarIsChain(in) ? leave(eval, in) : outside(eval);
  }
  FiarRuleContext context = {eval->fusion, eval->primitive, in->layout, eval->shape.elem, 0};
  return finish_rule(eval, &context, in, weight);
}

// A constant operand that the op holds as an attribute, or that its name implies.
static FiarTerm implied(const FiarTerm* like, double number) {
  FiarTerm term = {.role = FIAR_ROLE_CONST, .facts = {.anchor = -1}};
  term.number = fiarRoundTo(like->layout.shape.elem, number);
  term.layout = like->layout;
  for (int i = 0; i < term.layout.shape.rank; ++i) {
    term.layout.label[i] = FIAR_LABEL_SAME;
  }
  return term;
}

static FiarTerm eval_reduce(const eval_t* eval, const FiarTerm* in, const FiarTerm* init) {
  if (!fiarIsChain(in)) {
    return outside(eval);
  }
  FiarPrimitive* p = eval->primitive;
  FiarRuleContext context = {.fusion = eval->fusion, .primitive = p, .elem = eval->shape.elem};
  bool neutral =
      init == NULL || (init->role == FIAR_ROLE_CONST &&
                       (p->kind == FIAR_PRIM_REDUCE_ADD ? init->number == 0 : init->number <= 0));
  if (!neutral || in->layout.shape.elem != eval->shape.elem ||
      !fiarLayoutReduce(&in->layout, p->dims, p->n_dims, p->keep_dims, &eval->shape,
                        &context.layout, &context.removed)) {
    return leave(eval, in);
  }
  return finish_rule(eval, &context, in, NULL);
}

// Row times row, of one sequence.
static FiarTerm eval_reduce_dot(const eval_t* eval, const FiarTerm* a, const FiarTerm* b) {
  FiarPrimitive* p = eval->primitive;
  FiarRuleContext context = {.fusion = eval->fusion, .primitive = p, .elem = eval->shape.elem};
  FiarLayout joined;
  bool known = fiarIsChain(a) && fiarIsChain(b) && a->facts.anchor == b->facts.anchor &&
               a->layout.shape.elem == b->layout.shape.elem &&
               fiarLayoutJoin(&a->layout, &b->layout, &joined) &&
               fiarLayoutReduce(&joined, p->dims, p->n_dims, false, &eval->shape, &context.layout,
                                &context.removed);
  const FiarTerm* chain = fiarIsChain(a) ? a : fiarIsChain(b) ? b : NULL;
  return known ? finish_rule(eval, &context, a, b) : leave(eval, chain);
}

// dot_general that contracts nothing: both operands take the result's dimensions, then multiply.
static FiarTerm eval_batch_mul(const eval_t* eval, const FiarTerm* a, const FiarTerm* b) {
  FiarPrimitive multiply = *eval->primitive;
  multiply.kind = FIAR_PRIM_MUL;
  FiarTerm sides[2] = {*a, *b};
  const int64_t batch[2] = {multiply.dims[0], multiply.dims2[0]};
  int at = 1;
  for (int side = 0; side < 2; ++side) {
    FiarLayout from = sides[side].layout, *to = &sides[side].layout;
    *to = (FiarLayout){.shape = eval->shape};
    to->shape.elem = from.shape.elem;
    for (int i = 0; i < eval->shape.rank; ++i) {
      to->label[i] = eval->shape.size[i] == 1 ? FIAR_LABEL_ONE : FIAR_LABEL_SAME;
    }
    for (int i = 0; i < from.shape.rank; ++i) {
      int place = i == batch[side] ? 0 : at++;
      if (place >= eval->shape.rank) {
        return outside(eval);
      }
      to->label[place] = from.label[i];
    }
  }
  eval_t as_multiply = *eval;
  as_multiply.primitive = &multiply;
  return eval_binary(&as_multiply, &sides[0], &sides[1]);
}

// ---- calls ----

static bool frame_add(FiarFusion* fusion, FiarFrame frame, uint32_t* out_index) {
  FiarFrame* frames =
      fiarGrow(fusion->frames, fusion->n_frames, &fusion->frame_capacity, sizeof *frames);
  if (frames == NULL) {
    fusion->failed = true;
    return false;
  }
  fusion->frames = frames;
  if (fusion->n_frames == 0) {
    fusion->frames[fusion->n_frames++] = (FiarFrame){0};
  }
  fusion->frames[fusion->n_frames] = frame;
  *out_index = (uint32_t)fusion->n_frames++;
  return true;
}

// Forgets the name of scales that are computed in the block, and gives it; null where they are not.
static MlirValue forget_scales(MlirBlock block, FiarTerm* out) {
  MlirValue scales = out->facts.scales;
  if (!fiarIsValue(scales) || !mlirValueIsAOpResult(scales) ||
      !mlirBlockEqual(mlirOperationGetBlock(mlirOpResultGetOwner(scales)), block)) {
    return no_value;
  }
  out->facts.scales = no_value;
  return scales;
}

// Scales that a callee computes are, for the caller, the result that holds them in order.
static void scales_of_call(const eval_t* eval, MlirBlock block, uint32_t frame, FiarTerm* out) {
  MlirValue scales = forget_scales(block, out);
  MlirOperation end = mlirBlockGetTerminator(block), op = eval->primitive->op;
  FiarShape shape;
  const bool has_shape = fiarIsValue(scales) && fiarShapeRead(mlirValueGetType(scales), &shape);
  for (intptr_t i = 0;
       has_shape && i < mlirOperationGetNumResults(op) && i < mlirOperationGetNumOperands(end);
       ++i) {
    const FiarTerm* term = fiarTermOf(eval->fusion, mlirOperationGetOperand(end, i), frame);
    if (term->facts.scales.ptr == scales.ptr && term->layout.shape.elem == shape.elem &&
        (term->role == FIAR_ROLE_STEP || term->role == FIAR_ROLE_SCALE) &&
        (fiarLayoutIsPerRow(&term->layout) || fiarLayoutIsPerBlock(&term->layout))) {
      out->facts.scales = mlirOperationGetResult(op, i);
      return;
    }
  }
}

// Scales that the body computes are named by the op's own result.
static void name_result_scales(const eval_t* eval, MlirBlock block, FiarTerm* out) {
  (void)forget_scales(block, out);
  name_scales(eval, out);
  bool as_stored =
      out->layout.shape.elem != FIAR_ELEM_F32 || out->facts.scale_type == FIAR_SCALE_TYPE_F32;
  if (out->role == FIAR_ROLE_SCALE && as_stored) {
    out->facts.scales = eval->value;
  }
}

// A result that walks along all loops is what the body yields; one that leaves loops out reduces
// over them.
static FiarTerm eval_loops(const eval_t* eval, uint32_t frame, const FiarTerm* chain,
                           MlirBlock block, MlirValue yielded) {
  const FiarLoops* loops = &eval->fusion->frames[frame].loops;
  intptr_t results = mlirOperationGetNumResults(eval->primitive->op);
  intptr_t number = loops->n_operands - results + mlirOpResultGetResultNumber(eval->value);
  FiarPrimitive reduce = *eval->primitive;
  reduce.n_dims = fiarLoopsReduced(loops, (int)number, reduce.dims, &reduce.keep_dims);
  if (reduce.n_dims < 0) {
    return leave(eval, chain);
  }
  if (reduce.n_dims == 0) {
    FiarTerm out = *fiarTermOf(eval->fusion, yielded, frame);
    if (fiarIsChain(&out)) {
      set_value(eval, &out);
      name_result_scales(eval, block, &out);
    } else if (out.role == FIAR_ROLE_OUTSIDE) {
      // A base that the body only spreads, widens or biases is still known.
      out = fiarIsValue(out.base) ? relayout(eval, &out, true, out.layout) : outside(eval);
    }
    return out;
  }
  MlirValue in;
  reduce.kind = fiarLoopsCombined(&eval->fusion->view, yielded, block, number, &in);
  if (reduce.kind == FIAR_PRIM_UNKNOWN) {
    return leave(eval, chain);
  }
  eval_t as_reduce = *eval;
  as_reduce.primitive = &reduce;
  MlirValue start = mlirOperationGetOperand(eval->primitive->op, number);
  return eval_reduce(&as_reduce, fiarTermOf(eval->fusion, in, frame),
                     fiarTermOf(eval->fusion, start, eval->frame));
}

static FiarTerm eval_call(const eval_t* eval) {
  FiarFusion* fusion = eval->fusion;
  MlirOperation op = eval->primitive->op;
  const FiarTerm* chain = NULL;
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op) && chain == NULL; ++i) {
    const FiarTerm* operand = fiarTermOf(fusion, mlirOperationGetOperand(op, i), eval->frame);
    chain = fiarIsChain(operand) ? operand : NULL;
  }
  int depth = eval->frame == 0 ? 0 : fusion->frames[eval->frame].depth;
  bool loops = eval->primitive->kind == FIAR_PRIM_LOOPS;  // may yield a constant
  if ((chain == NULL && !loops) || depth == MAX_CALL_DEPTH || fusion->call_budget <= 0) {
    return outside(eval);
  }
  MlirRegion region = mlirOperationGetFirstRegion(eval->primitive->callee);
  MlirBlock block = mlirRegionIsNull(region) ? (MlirBlock){NULL} : mlirRegionGetFirstBlock(region);
  if (mlirBlockIsNull(block) || !mlirBlockIsNull(mlirBlockGetNextInRegion(block)) ||
      mlirBlockGetNumArguments(block) != mlirOperationGetNumOperands(op)) {
    return leave(eval, chain);
  }
  MlirOperation end = mlirBlockGetTerminator(block);
  intptr_t result = mlirOpResultGetResultNumber(eval->value);
  FiarFrame callee = {op, eval->primitive->callee, eval->frame, depth + 1, {.rank = -1}};
  uint32_t frame;
  if (mlirOperationIsNull(end) || mlirOperationGetNumOperands(end) <= result ||
      (loops && !fiarLoopsRead(op, &callee.loops)) || !frame_add(fusion, callee, &frame)) {
    return leave(eval, chain);
  }
  if (loops) {
    return eval_loops(eval, frame, chain, block, mlirOperationGetOperand(end, result));
  }
  FiarTerm out = *fiarTermOf(fusion, mlirOperationGetOperand(end, result), frame);
  if (!fiarIsChain(&out)) {
    return out.role == FIAR_ROLE_CONST ? out : outside(eval);
  }
  if (!fiarIsValue(out.value)) {
    set_value(eval, &out);
  }
  scales_of_call(eval, block, frame, &out);
  return out;
}

// ---- dispatch ----

static const FiarTerm* operand(const eval_t* eval, int i) {
  return fiarTermOf(eval->fusion, eval->primitive->in[i], eval->frame);
}

static FiarTerm eval_constant(const eval_t* eval) {
  FiarTerm term = outside(eval);
  if (eval->primitive->has_number) {
    term.role = FIAR_ROLE_CONST;
    term.layout.shape = eval->shape;
    term.number = eval->primitive->number;
    for (int i = 0; i < term.layout.shape.rank; ++i) {
      term.layout.label[i] = term.layout.shape.size[i] == 1 ? FIAR_LABEL_ONE : FIAR_LABEL_SAME;
    }
  }
  return term;
}

static FiarTerm eval_ternary(const eval_t* eval) {
  const FiarPrimitive* p = eval->primitive;
  const FiarTerm *a = operand(eval, 0), *b = a, *c;
  FiarTerm low, high;
  if (p->n_in == 1) {
    low = implied(b, p->number);
    high = implied(b, p->number2);
    a = &low;
    c = &high;
  } else {
    b = operand(eval, 1);
    c = operand(eval, 2);
  }
  const FiarTerm* chain = fiarIsChain(b) ? b : fiarIsChain(c) ? c : a;
  if (!fiarIsChain(chain)) {
    return outside(eval);
  }
  FiarRuleContext context = {eval->fusion, eval->primitive, chain->layout, eval->shape.elem, 0};
  FiarTerm out = *chain;
  if (!gathered_alike(a, b) || !gathered_alike(a, c) || !gathered_alike(b, c)) {
    return leave(eval, chain);
  }
  bool ok = eval->primitive->kind == FIAR_PRIM_CLAMP ? fiarClampTerm(&context, a, b, c, &out)
                                                     : fiarSelectTerm(&context, a, b, c, &out);
  if (!ok) {
    return leave(eval, chain);
  }
  set_value(eval, &out);
  name_scales(eval, &out);
  return out;
}

// Two operands, or one and a number.
static FiarTerm eval_operands(const eval_t* eval) {
  const FiarPrimitive* p = eval->primitive;
  FiarTerm a = *operand(eval, 0);
  FiarTerm b = p->n_in > 1 ? *operand(eval, 1) : implied(&a, p->number);
  // Arithmetic with a number is f32's, whatever the tensor's elements; only the result is rounded.
  if (p->n_in == 1 && p->kind >= FIAR_PRIM_ADD && p->kind <= FIAR_PRIM_DIV) {
    b.number = (double)(float)p->number;
  }
  if (p->broadcasts &&
      (!fiarTermBroadcast(&eval->shape, &a) || !fiarTermBroadcast(&eval->shape, &b))) {
    return fiarIsChain(&a) || fiarIsChain(&b) ? leave(eval, fiarFurther(&a, &b)) : outside(eval);
  }
  return eval_binary(eval, &a, &b);
}

static FiarTerm eval_op(const eval_t* eval) {
  FiarPrimitive* p = eval->primitive;
  if (fiarPrimitiveLacksOperands(p)) {
    return outside(eval);
  }
  if (fiarPrimitiveIsBinary(p->kind)) {
    return eval_operands(eval);
  }
  switch (p->kind) {
    case FIAR_PRIM_CONSTANT:
      return eval_constant(eval);
    case FIAR_PRIM_BROADCAST:
    case FIAR_PRIM_RESHAPE:
    case FIAR_PRIM_TRANSPOSE:
      return eval_layout(eval, operand(eval, 0));
    case FIAR_PRIM_CONVERT:
      return eval_convert(eval, operand(eval, 0));
    case FIAR_PRIM_ALL_GATHER:
      return eval_gather(eval, operand(eval, 0));
    case FIAR_PRIM_RECIPROCAL: {
      FiarPrimitive divide = *p;
      divide.kind = FIAR_PRIM_DIV;
      eval_t as_divide = *eval;
      as_divide.primitive = &divide;
      const FiarTerm* in = operand(eval, 0);
      FiarTerm one = implied(in, 1);
      return eval_binary(&as_divide, &one, in);
    }
    case FIAR_PRIM_SQUARE:
    case FIAR_PRIM_SQRT:
    case FIAR_PRIM_RSQRT:
    case FIAR_PRIM_ABS:
    case FIAR_PRIM_NOT:
    case FIAR_PRIM_BITCAST:
      return eval_unary(eval, operand(eval, 0));
    case FIAR_PRIM_REDUCE_ADD:
    case FIAR_PRIM_REDUCE_MAX:
    case FIAR_PRIM_REDUCE_MEAN:
      return eval_reduce(eval, operand(eval, 0), p->n_in > 1 ? operand(eval, 1) : NULL);
    case FIAR_PRIM_REDUCE_DOT:
      return eval_reduce_dot(eval, operand(eval, 0), operand(eval, 1));
    case FIAR_PRIM_BATCH_MUL:
      return eval_batch_mul(eval, operand(eval, 0), operand(eval, 1));
    case FIAR_PRIM_NAMED:
      return fiarEvalNamed(eval->fusion, p, eval->value, eval->frame);
    case FIAR_PRIM_RMS_NORM:
      return mlirOpResultGetResultNumber(eval->value) > 0
                 ? outside(eval)
                 : eval_named_norm(eval, operand(eval, 0), p->n_in > 1 ? operand(eval, 1) : NULL);
    case FIAR_PRIM_SELECT:
    case FIAR_PRIM_CLAMP:
      return eval_ternary(eval);
    case FIAR_PRIM_CALL:
    case FIAR_PRIM_LOOPS:
      return eval_call(eval);
    default:
      return outside(eval);
  }
}

FiarTerm fiarEvalStep(FiarFusion* fusion, FiarPrimitive* primitive, MlirValue value, uint32_t frame,
                      const FiarTerm* a, const FiarTerm* b) {
  eval_t eval = {fusion, primitive, value, frame, a->layout.shape};
  return primitive->kind == FIAR_PRIM_RMS_NORM ? eval_named_norm(&eval, a, b)
                                               : eval_binary(&eval, a, b);
}

// A callee's argument is the call's operand; that of a LOOPS op's body, one element of it.
static uint32_t eval_argument(FiarFusion* fusion, MlirValue value, uint32_t frame) {
  FiarTerm term = fiarTermOutside(value, frame);
  MlirOperation owner = mlirBlockGetParentOperation(mlirBlockArgumentGetOwner(value));
  if (frame == 0 || !mlirOperationEqual(owner, fusion->frames[frame].callee)) {
    return fiarTermAdd(fusion, &term);
  }
  FiarFrame at = fusion->frames[frame];
  intptr_t number = mlirBlockArgumentGetArgNumber(value);
  MlirValue operand = mlirOperationGetOperand(at.call, number);
  if (at.loops.rank < 0) {
    return fiarTermIndexOf(fusion, operand, at.parent);
  }
  FiarShape shape;
  if (!fiarShapeRead(mlirValueGetType(operand), &shape)) {
    return fiarTermIndexOf(fusion, operand, frame);  // a scalar operand
  }
  intptr_t inputs = at.loops.n_operands - mlirOperationGetNumResults(at.call);
  bool accumulator = number >= inputs && at.loops.operand_rank[number] < at.loops.rank;
  if (!accumulator) {
    term = fiarLoopsArgument(&at.loops, (int)number, fiarTermOf(fusion, operand, at.parent));
  }
  return fiarTermAdd(fusion, &term);
}

static uint32_t eval_value(FiarFusion* fusion, MlirValue value, uint32_t frame) {
  if (fiarMapFind(&fusion->changed, value.ptr, 0) != NULL) {
    FiarTerm term = {.facts = {.anchor = -1}};
    return fiarTermAdd(fusion, &term);
  }
  if (mlirValueIsABlockArgument(value)) {
    return eval_argument(fusion, value, frame);
  }
  MlirOperation op = mlirOpResultGetOwner(value);
  FiarPrimitive primitive = fiarPrimitiveRead(&fusion->view, op);
  fusion->call_budget -= frame != 0;
  if (primitive.kind == FIAR_PRIM_IDENTITY) {
    MlirValue in = mlirOperationGetOperand(op, mlirOpResultGetResultNumber(value));
    if (mlirTypeEqual(mlirValueGetType(in), mlirValueGetType(value))) {
      return fiarTermIndexOf(fusion, in, frame);
    }
  }
  eval_t eval = {fusion, &primitive, value, frame, {0}};
  bool known = fiarShapeRead(mlirValueGetType(value), &eval.shape);
  if (!known && frame != 0 && fusion->frames[frame].loops.rank >= 0) {
    FiarElement elem = fiarElementOf(mlirValueGetType(value));
    eval.shape = fiarLoopsShape(&fusion->frames[frame].loops, elem);
    known = true;
  }
  FiarTerm term = known ? eval_op(&eval) : fiarTermOutside(value, frame);
  return fiarTermAdd(fusion, &term);
}

uint32_t fiarTermIndexOf(FiarFusion* fusion, MlirValue value, uint32_t frame) {
  uint32_t* found = fiarMapFind(&fusion->terms, value.ptr, frame);
  if (found != NULL) {
    return *found;
  }
  if (fusion->depth == MAX_DEPTH || fusion->failed) {
    FiarTerm term = fiarTermOutside(value, frame);
    return fiarTermAdd(fusion, &term);
  }
  ++fusion->depth;
  uint32_t index = eval_value(fusion, value, frame);
  --fusion->depth;
  if (index != UINT32_MAX && !fiarMapSet(&fusion->terms, value.ptr, frame, index)) {
    fusion->failed = true;
  }
  return index;
}

const FiarTerm* fiarTermOf(FiarFusion* fusion, MlirValue value, uint32_t frame) {
  static const FiarTerm nothing = {.facts = {.anchor = -1}};
  uint32_t index = fiarTermIndexOf(fusion, value, frame);
  return index == UINT32_MAX ? &nothing : fiarTermAt(fusion, index);
}
