// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Collectives, and the ops of the fiar dialect as docs/numerics.md has them.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/eval_impl.h"
#include "host/reference.h"
#include "mlir-c/BuiltinAttributes.h"
#include "residual.h"

const int64_t* fiarEvalGroupOf(const FiarGroups* groups, int64_t rank, int64_t* out_position) {
  for (int64_t i = 0; i < groups->count * groups->size; ++i) {
    if (groups->ids[i] == rank) {
      *out_position = i % groups->size;
      return groups->ids + (i - *out_position);
    }
  }
  return NULL;
}

// The sums over the group of `count` elements from `first` on, in f32 in the group's order, rounded
// once.
void fiarEvalSum(const FiarTensor* in, const int64_t* members, int64_t n, int64_t first,
                 int64_t count, double* out) {
  const FiarElement elem = in->shape.elem;
  for (int64_t r = 0; r < n; ++r) {
    const double* from = in->at + members[r] * in->count + first;
    for (int64_t i = 0; i < count; ++i) {
      out[i] = r == 0 ? (float)from[i] : (float)out[i] + (float)from[i];
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    out[i] = fiarElementRound(elem, out[i]);
  }
}

// The elements of a part that lie side by side in the whole, which is n parts along `dim`: run k of
// part r begins at (k * n + r) * run.
static int64_t run_of(const FiarShape* part_shape, int dim) {
  int64_t run = 1;
  for (int d = part_shape->rank - 1; d >= dim; --d) {
    run *= part_shape->size[d];
  }
  return run;
}

static void collective_rank(const FiarPrimitive* p, const FiarTensor* in, const int64_t* members,
                            int64_t n, int64_t position, const FiarTensor* out, double* at) {
  if (p->kind == FIAR_PRIM_ALL_REDUCE) {
    fiarEvalSum(in, members, n, 0, out->count, at);
    return;
  }
  const bool scatter = p->kind == FIAR_PRIM_REDUCE_SCATTER;
  const FiarTensor* part = scatter ? out : in;
  const int64_t run = run_of(&part->shape, (int)p->dims[0]);
  for (int64_t i = 0; i < part->count; i += run) {
    if (scatter) {
      fiarEvalSum(in, members, n, i * n + position * run, run, at + i);
    }
    for (int64_t r = 0; r < n && !scatter; ++r) {
      memcpy(at + i * n + r * run, in->at + members[r] * in->count + i, (size_t)run * sizeof *at);
    }
  }
}

static bool collective_result(FiarEval* eval, const FiarPrimitive* p, const FiarGroups* groups,
                              intptr_t index) {
  const FiarTensor* found = fiarEvalFind(eval, fiarReducedOperand(p, index));
  MlirValue result = mlirOperationGetResult(p->op, index);
  FiarTensor out = {0};
  if (found == NULL || !fiarEvalShape(result, found, &out.shape)) {
    return fiarEvalFail(eval, "a collective of something else than known tensors");
  }
  FiarTensor in = *found;
  out.count = fiarShapeElements(&out.shape);
  out.taint = in.taint;
  int64_t parts = p->kind == FIAR_PRIM_ALL_REDUCE ? 1 : groups->size;
  bool scatter = p->kind == FIAR_PRIM_REDUCE_SCATTER;
  if ((scatter ? out.count : in.count) * parts != (scatter ? in.count : out.count)) {
    return fiarEvalFail(eval, "a collective's result does not have its operand's size");
  }
  out.at = fiarEvalRoom(eval, out.count);
  const int64_t* before = NULL;  // the members of the rank before
  for (int rank = 0; out.at != NULL && rank < eval->options->ranks; ++rank) {
    int64_t position = 0;
    const int64_t* members = fiarEvalGroupOf(groups, rank, &position);
    double* at = out.at + rank * out.count;
    if (members != NULL && members == before && !scatter) {
      memcpy(at, at - out.count, (size_t)out.count * sizeof *at);
      continue;
    }
    before = members;
    // A rank beside the groups, which other collectives have, keeps what it has.
    int64_t alone = rank, size = groups->size;
    if (members == NULL && p->kind == FIAR_PRIM_ALL_REDUCE) {
      members = &alone;
      size = 1;
    }
    if (members == NULL) {
      continue;  // it takes no part, and holds zeros
    }
    collective_rank(p, &in, members, size, position, &out, at);
  }
  return out.at != NULL && fiarEvalBind(eval, result, &out);
}

bool fiarEvalGroups(FiarEval* eval, MlirAttribute groups, int64_t world, FiarGroups* out_groups) {
  char text[200];
  if (fiarGroupsExpand(eval->view.module, groups, out_groups, text, sizeof text)) {
    return true;
  }
  if (world < 1 || mlirAttributeIsNull(groups) || !mlirAttributeIsAString(groups)) {
    return fiarEvalFail(eval, "%s", text);
  }
  *out_groups = (FiarGroups){1, world, calloc((size_t)world, sizeof *out_groups->ids)};
  for (int64_t i = 0; out_groups->ids != NULL && i < world; ++i) {
    out_groups->ids[i] = i;
  }
  return out_groups->ids != NULL || fiarEvalFail(eval, "out of memory");
}

bool fiarEvalCollective(FiarEval* eval, const FiarPrimitive* p) {
  FiarGroups groups;
  if (!fiarEvalGroups(eval, p->groups, p->world > 0 ? p->world : eval->options->world, &groups)) {
    return false;
  }
  bool done = true;
  for (intptr_t i = 0; done && i < mlirOperationGetNumResults(p->op); ++i) {
    done = collective_result(eval, p, &groups, i);
  }
  fiarGroupsFree(&groups);
  return done;
}

// One fiar.all_reduce_norm, or a part of one, read.
typedef struct FusedCall {
  FiarTensor x, residual, weight, scale;  // at NULL: not there
  MlirValue results[5];                   // in the dialect's order; null: not there
  FiarElement elem;
  int64_t hidden, tokens;
  double eps, weight_bias;
  bool before_weight, unrounded;
  uint8_t layout;                      // of the residual: fiar_residual_layout_t
  bool is_norm;                        // x is a norm already
  bool inverts;                        // codes are of norm * (1 / scale)
  const int64_t* summed;               // the group whose sum the scratch room has
  fiar_all_reduce_norm_params params;  // of the quantiser
} FusedCall;

// Where a string attribute's text stands in a table of names; 0 for none of them.
static uint8_t index_of(MlirOperation op, const char* attribute, const char* const* names,
                        size_t count) {
  MlirStringRef text = fiarAttributeText(fiarOpAttribute(op, attribute));
  for (size_t i = 0; i < count; ++i) {
    if (fiarStringEqual(text, names[i])) {
      return (uint8_t)i;
    }
  }
  return 0;
}
#define INDEX_OF(op, attribute, names) \
  index_of(op, attribute, names, sizeof(names) / sizeof *(names))

#define X(name, value, text, code_bits, block) [value] = text,
static const char* const quants[] = {
#include "fiar/quant_formats.def"
};
#undef X
#define X(name, value, text) [value] = text,
static const char* const layouts[] = {FIAR_SCALE_LAYOUT_TABLE(X)};
static const char* const scale_types[] = {FIAR_SCALE_TYPE_TABLE(X)};
static const char* const scale_ises[] = {FIAR_SCALE_IS_TABLE(X)};
static const char* const norm_inputs[] = {FIAR_NORM_INPUT_TABLE(X)};
static const char* const norm_roundings[] = {FIAR_NORM_ROUNDING_TABLE(X)};
static const char* const residual_layouts[] = {FIAR_RESIDUAL_LAYOUT_TABLE(X)};
#undef X

static double number_of(MlirOperation op, const char* attribute) {
  double number = 0;
  (void)fiarReadNumber(fiarOpAttribute(op, attribute), &number);
  return number;
}

// Which of the fused call's operands and results an op has, in its own order.
typedef struct FusedForm {
  const char* name;
  int n_in, n_out;
  int in[4], out[5];
  bool is_norm;
} FusedForm;

enum { IN_X, IN_RESIDUAL, IN_WEIGHT, IN_SCALE };
enum { OUT_SUM, OUT_RESIDUAL, OUT_NORM, OUT_QUANT, OUT_SCALES };
static const FusedForm all_reduce_norm = {"fiar.all_reduce_norm",
                                          4,
                                          5,
                                          {IN_X, IN_RESIDUAL, IN_WEIGHT, IN_SCALE},
                                          {OUT_SUM, OUT_RESIDUAL, OUT_NORM, OUT_QUANT, OUT_SCALES},
                                          false};
static const FusedForm rms_norm = {"fiar.rms_norm",
                                   4,
                                   4,
                                   {IN_X, IN_RESIDUAL, IN_WEIGHT, IN_SCALE},
                                   {OUT_RESIDUAL, OUT_NORM, OUT_QUANT, OUT_SCALES},
                                   false};
static const FusedForm quantize = {"fiar.quantize",         2,   2, {IN_X, IN_SCALE},
                                   {OUT_QUANT, OUT_SCALES}, true};

static bool read_operands(FiarEval* eval, MlirOperation op, const FusedForm* form,
                          FusedCall* call) {
  FiarTensor* const places[4] = {&call->x, &call->residual, &call->weight, &call->scale};
  MlirValue in[4] = {{NULL}}, out[5] = {{NULL}};
  if (!fiarEvalSegments(eval, op, "operandSegmentSizes", in, form->n_in) ||
      !fiarEvalSegments(eval, op, "resultSegmentSizes", out, form->n_out)) {
    return false;
  }
  for (int i = 0; i < form->n_in; ++i) {
    const FiarTensor* found = mlirValueIsNull(in[i]) ? NULL : fiarEvalFind(eval, in[i]);
    if (!mlirValueIsNull(in[i]) && found == NULL) {
      return fiarEvalFail(eval, "operand %d of %s is no known tensor", i, form->name);
    }
    *places[form->in[i]] = found == NULL ? (FiarTensor){0} : *found;
  }
  for (int i = 0; i < form->n_out; ++i) {
    call->results[form->out[i]] = out[i];
  }
  return true;
}

static uint8_t dtype_of(FiarElement elem) {
  return elem == FIAR_ELEM_F16    ? FIAR_DTYPE_F16
         : elem == FIAR_ELEM_BF16 ? FIAR_DTYPE_BF16
                                  : FIAR_DTYPE_F32;
}

static bool read_call(FiarEval* eval, MlirOperation op, const FusedForm* form, FusedCall* call) {
  memset(call, 0, sizeof *call);
  if (!read_operands(eval, op, form, call)) {
    return false;
  }
  if (call->x.shape.rank == 0 || call->x.count == 0) {
    return fiarEvalFail(eval, "%s of an empty tensor", form->name);
  }
  call->is_norm = form->is_norm;
  call->elem = call->x.shape.elem;
  call->hidden = call->x.shape.size[call->x.shape.rank - 1];
  call->tokens = call->x.count / call->hidden;
  call->eps = number_of(op, "eps");
  call->weight_bias = number_of(op, "weight_bias");
  call->unrounded = INDEX_OF(op, "norm_input", norm_inputs) == FIAR_NORM_INPUT_F32;
  call->before_weight =
      INDEX_OF(op, "norm_rounding", norm_roundings) == FIAR_NORM_ROUNDING_BEFORE_WEIGHT;
  call->layout = (uint8_t)INDEX_OF(op, "residual_layout", residual_layouts);
  fiar_all_reduce_norm_params* q = &call->params;
  q->struct_size = sizeof *q;
  q->tokens = call->tokens;
  q->hidden = call->hidden;
  q->dtype = dtype_of(call->elem);
  q->quant = INDEX_OF(op, "quant", quants);
  q->scale_layout = INDEX_OF(op, "scale_layout", layouts);
  q->scale_type = INDEX_OF(op, "scale_type", scale_types);
  q->scale_is = INDEX_OF(op, "scale_is", scale_ises);
  q->scale_min = (float)number_of(op, "scale_min");
  q->group_size = (int32_t)fiarWhole(number_of(op, "group_size"));
  return true;
}

// One row of sum, residual and norm, at[0..2] in the tensors' rows.
static void fused_row(const FiarEval* eval, const FusedCall* call, const double* sum,
                      const double* residual, const double* weight, double* residual_out,
                      double* norm) {
  double total = 0;
  for (int64_t i = 0; i < call->hidden; ++i) {
    double h = residual == NULL ? sum[i] : (float)(sum[i] + residual[i]);
    residual_out[i] = fiarElementRound(call->elem, h);
    norm[i] = call->unrounded ? h : residual_out[i];
    total += norm[i] * norm[i];
  }
  float mean = (float)(total / (double)call->hidden) + (float)call->eps;
  double root = fiarEvalCoarse(eval, (float)(1 / sqrt((double)mean)));
  for (int64_t i = 0; i < call->hidden; ++i) {
    double normal = (float)(norm[i] * root);
    if (weight != NULL) {
      double v = call->weight_bias == 0 ? weight[i] : (float)(call->weight_bias + weight[i]);
      if (call->before_weight) {
        bool same = call->weight.shape.elem == call->elem;
        v = same ? fiarElementRound(call->elem, v) : v;
        normal = fiarElementRound(call->elem, normal);
      }
      normal = (float)(normal * v);
    }
    norm[i] = fiarElementRound(call->elem, normal);
  }
}

static void unpack(const FiarTensor* to, const uint8_t* bytes, int64_t i, double* at) {
  switch (to->shape.elem) {
    case FIAR_ELEM_F4E2M1FN:
      *at = fiar_e2m1_to_f32((uint8_t)(bytes[i / 2] >> (i % 2 * 4)));
      break;
    case FIAR_ELEM_F8E4M3FN:
      *at = fiar_e4m3_to_f32(bytes[i]);
      break;
    case FIAR_ELEM_F8E8M0FNU:
      *at = fiar_ue8m0_to_f32(bytes[i]);
      break;
    case FIAR_ELEM_F32:
      *at = fiar_load(bytes, FIAR_DTYPE_F32, i);
      break;
    default:
      *at = bytes[i];
  }
}

// Where an nvfp4 scale is too large for e4m3, the reference saturates. So does a source that bounds
// the scale by 448, while the conversion of one that does not gives NaN: docs/numerics.md lets the
// two differ. The scale is written in either way, so that everything behind it is compared; the
// codes of a block with a scale of NaN are open in the source.
static void overflow_scales(FiarEval* eval, const FusedCall* call, const uint8_t* norm,
                            float scale) {
  enum { BLOCK = 16 };
  const fiar_all_reduce_norm_params* q = &call->params;
  const bool multiplies = q->scale_is == FIAR_SCALE_IS_MULTIPLIER;
  for (int64_t i = 0; q->quant == FIAR_QUANT_NVFP4 && i < call->tokens * call->hidden; i += BLOCK) {
    float block[BLOCK];
    for (int64_t k = 0; k < BLOCK; ++k) {
      const float y = fiar_load(norm, q->dtype, i + k);
      block[k] = multiplies ? y : y / scale;
    }
    float wanted = fiar_max_nan(fiar_amax(block, BLOCK) / 6.0f, q->scale_min);
    wanted = multiplies ? scale * wanted : wanted;
    if (!isnan(wanted) && isnan(fiarElementRound(FIAR_ELEM_F8E4M3FN, wanted))) {
      eval->out->open |= FIAR_OPEN_SCALES;
      fiar_store_scale(q, i / call->hidden, i % call->hidden / BLOCK, NAN, fiar_f32_to_e4m3(NAN));
    }
  }
}

// The words of a tensor that holds packed scales in 32 bits.
static void join_bytes(const FiarTensor* to, const uint8_t* bytes, double* at) {
  for (int64_t i = 0; i < to->count; ++i) {
    uint32_t word;
    memcpy(&word, bytes + 4 * i, sizeof word);
    at[i] = word;
  }
}

// Codes and scales of one rank's norm, by the reference's quantisers.
static bool fused_quantise(FiarEval* eval, FusedCall* call, int rank, const double* norm,
                           FiarTensor* codes, FiarTensor* scales) {
  fiar_all_reduce_norm_params* q = &call->params;
  size_t room = fiar_dtype_bytes(q->dtype) * (size_t)(call->tokens * call->hidden);
  uint8_t* rounded = calloc(1, room);
  q->quant_out = calloc(1, fiar_reference_codes_bytes(q) + 16);
  q->scales_out = calloc(1, fiar_reference_scales_bytes(q) + 16);
  float scale = call->scale.at == NULL ? 1 : (float)call->scale.at[rank];
  scale = call->inverts ? 1 / scale : scale;
  q->scale = &scale;
  bool done = rounded != NULL && q->quant_out != NULL && q->scales_out != NULL;
  for (int64_t i = 0; done && i < call->tokens * call->hidden; ++i) {
    fiar_store(rounded, q->dtype, i, (float)norm[i]);
  }
  done = done && fiar_reference_quantise(rounded, q) == FIAR_OK;
  if (done && (eval->options->instead & FIAR_OPEN_SCALES) == 0) {
    overflow_scales(eval, call, rounded, scale);
  }
  FiarTensor* const outs[2] = {codes, scales};
  for (int k = 0; done && k < 2; ++k) {
    size_t bytes = fiar_reference_scales_bytes(q);
    if (k == 1 && scales->at != NULL && scales->shape.elem == FIAR_ELEM_INTEGER &&
        (size_t)scales->count * 4 == bytes) {
      join_bytes(scales, q->scales_out, scales->at + rank * scales->count);
      continue;
    }
    for (int64_t i = 0; outs[k]->at != NULL && i < outs[k]->count; ++i) {
      unpack(outs[k], k == 0 ? q->quant_out : q->scales_out, i,
             outs[k]->at + rank * outs[k]->count + i);
    }
  }
  free(rounded);
  free(q->quant_out);
  free(q->scales_out);
  return done || fiarEvalFail(eval, "no memory for the quantiser");
}

// The rows of this rank's residual result: all, or its own.
static void store_residual(const FusedCall* call, int64_t position, int64_t world,
                           const double* rows, double* to) {
  const int32_t own = (int32_t)position, all = (int32_t)world;
  for (int64_t t = 0; t < call->tokens; ++t) {
    if (fiar_residual_owner(call->layout, t, call->tokens, own, all) == own) {
      const int64_t row = fiar_residual_place(call->layout, t, call->tokens, all);
      memcpy(to + row * call->hidden, rows + t * call->hidden, (size_t)call->hidden * sizeof *to);
    }
  }
}

// Whether the rank holds what the group's first one holds.
static bool same_as_first(const FiarTensor* tensor, const int64_t* members, int rank) {
  return tensor->at == NULL ||
         memcmp(tensor->at + members[0] * tensor->count, tensor->at + rank * tensor->count,
                (size_t)tensor->count * sizeof *tensor->at) == 0;
}

static bool fused_rank(FiarEval* eval, FusedCall* call, const FiarGroups* groups, int rank,
                       FiarTensor* outs, double* scratch) {
  int64_t position = 0, all = call->tokens * call->hidden, alone = rank, world = groups->size;
  const int64_t* members = fiarEvalGroupOf(groups, rank, &position);
  if (members == NULL && !fiar_residual_is_sharded(call->layout)) {
    members = &alone;  // as in a plain all-reduce
    world = 1;
  }
  if (members == NULL) {
    return fiarEvalFail(eval, "rank %d is in no group of fiar.all_reduce_norm", rank);
  }
  if (call->layout == FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK && call->tokens % world != 0) {
    return fiarEvalFail(eval, "the ranks of a call have no equal blocks of its rows");
  }
  // A row's owner may be the only one that normalises and quantises it.
  if (fiar_residual_is_sharded(call->layout) && (!same_as_first(&call->weight, members, rank) ||
                                                 !same_as_first(&call->scale, members, rank))) {
    return fiarEvalFail(eval, "the ranks of a call by rows have different weights or scales");
  }
  double *sum = scratch, *residual_out = scratch + all, *norm = scratch + 2 * all;
  if (members != call->summed) {
    fiarEvalSum(&call->x, members, world, 0, all, sum);
  }
  call->summed = members == &alone ? NULL : members;
  if (call->is_norm) {
    memcpy(norm, sum, (size_t)all * sizeof *norm);
  }
  for (int64_t t = 0; t < call->tokens && !call->is_norm; ++t) {
    const int64_t owner = members[fiar_residual_owner(call->layout, t, call->tokens,
                                                      (int32_t)position, (int32_t)world)];
    const int64_t row = fiar_residual_place(call->layout, t, call->tokens, (int32_t)world);
    const double* residual =
        call->residual.at == NULL
            ? NULL
            : call->residual.at + owner * call->residual.count + row * call->hidden;
    const double* weight =
        call->weight.at == NULL ? NULL : call->weight.at + rank * call->weight.count;
    fused_row(eval, call, sum + t * call->hidden, residual, weight, residual_out + t * call->hidden,
              norm + t * call->hidden);
  }
  const double* const from[3] = {sum, residual_out, norm};
  for (int k = 0; k < 3; ++k) {
    if (outs[k].at != NULL && k != 1) {
      memcpy(outs[k].at + rank * outs[k].count, from[k], (size_t)all * sizeof **from);
    }
  }
  if (outs[1].at != NULL) {
    store_residual(call, position, world, residual_out, outs[1].at + rank * outs[1].count);
  }
  return (outs[3].at == NULL && outs[4].at == NULL) ||
         fused_quantise(eval, call, rank, norm, &outs[3], &outs[4]);
}

// What may differ in result k: what is computed from another op's norm is derived.
static FiarTaint taint_of(const FusedCall* call, int k) {
  static const FiarTaint taints[5] = {FIAR_TAINT_EXACT, FIAR_TAINT_EXACT, FIAR_TAINT_NORM,
                                      FIAR_TAINT_DERIVED, FIAR_TAINT_DERIVED};
  const bool exact = call->x.taint == FIAR_TAINT_EXACT &&
                     (k < 1 || call->residual.taint == FIAR_TAINT_EXACT) &&
                     (k < 2 || call->weight.taint == FIAR_TAINT_EXACT);
  return exact ? taints[k] : FIAR_TAINT_DERIVED;
}

// Computes the call's results and binds them.
static bool run_call(FiarEval* eval, FusedCall* call_in, const FiarGroups* groups) {
  FusedCall call = *call_in;
  FiarTensor outs[5];
  memset(outs, 0, sizeof outs);
  for (int k = 0; k < 5; ++k) {
    if (mlirValueIsNull(call.results[k])) {
      continue;
    }
    if (!fiarEvalShape(call.results[k], &call.x, &outs[k].shape)) {
      return fiarEvalFail(eval, "result %d of a norm or quantiser is no known tensor", k);
    }
    outs[k].count = fiarShapeElements(&outs[k].shape);
    outs[k].taint = taint_of(&call, k);
    outs[k].at = fiarEvalRoom(eval, outs[k].count);
    if (outs[k].at == NULL) {
      return false;
    }
  }
  double* scratch = malloc((size_t)(3 * call.tokens * call.hidden) * sizeof *scratch + 1);
  bool done = scratch != NULL || fiarEvalFail(eval, "out of memory");
  for (int rank = 0; done && rank < eval->options->ranks; ++rank) {
    done = fused_rank(eval, &call, groups, rank, outs, scratch);
  }
  free(scratch);
  for (int k = 0; done && k < 5; ++k) {
    done = outs[k].at == NULL || fiarEvalBind(eval, call.results[k], &outs[k]);
  }
  return done;
}

static bool fused_norm(FiarEval* eval, MlirOperation op, const FiarGroups* groups) {
  FusedCall call;
  return read_call(eval, op, &all_reduce_norm, &call) && run_call(eval, &call, groups);
}

// Each rank is a group of its own.
static bool run_alone(FiarEval* eval, FusedCall* call) {
  FiarGroups alone = {eval->options->ranks, 1, NULL};
  alone.ids = calloc((size_t)alone.count, sizeof *alone.ids);
  for (int64_t i = 0; alone.ids != NULL && i < alone.count; ++i) {
    alone.ids[i] = i;
  }
  bool done =
      alone.ids == NULL ? fiarEvalFail(eval, "out of memory") : run_call(eval, call, &alone);
  fiarGroupsFree(&alone);
  return done;
}

bool fiarEvalLocalNorm(FiarEval* eval, MlirOperation op) {
  FusedCall call;
  return read_call(eval, op, &rms_norm, &call) && run_alone(eval, &call);
}

bool fiarEvalQuantize(FiarEval* eval, MlirOperation op) {
  FusedCall call;
  return read_call(eval, op, &quantize, &call) && run_alone(eval, &call);
}

// A named op is a call whose sum is there already.
static bool take_named(FiarEval* eval, const FiarNamed* named, FusedCall* call) {
  const MlirValue from[4] = {named->x, named->residual, named->weight, named->scale};
  FiarTensor* const to[4] = {&call->x, &call->residual, &call->weight, &call->scale};
  for (int i = 0; i < 4; ++i) {
    const FiarTensor* found = mlirValueIsNull(from[i]) ? NULL : fiarEvalFind(eval, from[i]);
    if (!mlirValueIsNull(from[i]) && found == NULL) {
      return false;
    }
    *to[i] = found == NULL ? (FiarTensor){0} : *found;
  }
  int rank = call->x.shape.rank;
  call->elem = call->x.shape.elem;
  call->hidden = rank == 0 ? 0 : call->x.shape.size[rank - 1];
  if (call->hidden == 0 || (call->weight.at != NULL && call->weight.count != call->hidden) ||
      (call->scale.at != NULL && call->scale.count != 1) ||
      (call->residual.at != NULL && call->residual.count != call->x.count)) {
    return false;
  }
  call->tokens = call->x.count / call->hidden;
  return true;
}

static bool read_named(FiarEval* eval, MlirOperation op, FusedCall* call) {
  static const int places[] = {
      [FIAR_NAMED_SUM] = 1, [FIAR_NAMED_NORM] = 2, [FIAR_NAMED_CODES] = 3, [FIAR_NAMED_SCALES] = 4};
  FiarNamed named;
  memset(call, 0, sizeof *call);
  if (!fiarNamedRead(op, &named) || !take_named(eval, &named, call)) {
    return false;
  }
  call->is_norm = !named.normalises;
  call->inverts = named.inverse != NULL;
  call->before_weight = true;
  call->eps = named.eps;
  bool writes = mlirOperationGetNumResults(op) == 0;
  for (int i = 0; i < named.n_results; ++i) {
    call->results[places[named.results[i]]] =
        writes ? mlirOperationGetOperand(op, named.written[i]) : mlirOperationGetResult(op, i);
  }
  call->params = (fiar_all_reduce_norm_params){
      .struct_size = sizeof call->params,
      .tokens = call->tokens,
      .hidden = call->hidden,
      .dtype = dtype_of(call->elem),
      .quant = (uint8_t)named.quant,
      .scale_layout = (uint8_t)named.scale_layout,
      .scale_type = named.quant == FIAR_QUANT_NVFP4 ? FIAR_SCALE_TYPE_E4M3 : FIAR_SCALE_TYPE_F32,
      .scale_is = mlirValueIsNull(named.scale) ? FIAR_SCALE_IS_DIVISOR : FIAR_SCALE_IS_MULTIPLIER,
      .scale_min = (float)named.scale_min,
      .group_size = (int32_t)named.group_size};
  return true;
}

bool fiarEvalNamedOp(FiarEval* eval, MlirOperation op, bool* out_done) {
  FusedCall call;
  *out_done = read_named(eval, op, &call);
  return !*out_done || run_alone(eval, &call);
}

// Puts rank r's rows r, r + world, ... back in order.
static bool gather_rows(FiarEval* eval, MlirOperation op, const FiarGroups* groups) {
  const FiarTensor* found = fiarEvalFind(eval, mlirOperationGetOperand(op, 0));
  FiarTensor out = {0};
  if (found == NULL || !fiarEvalShape(mlirOperationGetResult(op, 0), NULL, &out.shape)) {
    return fiarEvalFail(eval, "fiar.all_gather_rows of something else than known tensors");
  }
  FiarTensor rows = *found;
  out.count = fiarShapeElements(&out.shape);
  out.taint = rows.taint;
  out.at = fiarEvalRoom(eval, out.count);
  int64_t hidden = out.shape.size[out.shape.rank - 1];
  for (int rank = 0; out.at != NULL && rank < eval->options->ranks; ++rank) {
    int64_t position;
    const int64_t* members = fiarEvalGroupOf(groups, rank, &position);
    if (members == NULL || rows.count * groups->size < out.count) {
      return fiarEvalFail(eval, "fiar.all_gather_rows does not hold rank %d's rows", rank);
    }
    for (int64_t t = 0; t < out.count / hidden; ++t) {
      memcpy(out.at + rank * out.count + t * hidden,
             rows.at + members[t % groups->size] * rows.count + t / groups->size * hidden,
             (size_t)hidden * sizeof *out.at);
    }
  }
  return out.at != NULL && fiarEvalBind(eval, mlirOperationGetResult(op, 0), &out);
}

// Rank r's rows r, r + world, ...; a row beyond the last token is zero here, and nothing may read
// it.
static bool take_rows(FiarEval* eval, MlirOperation op, const FiarGroups* groups) {
  const FiarTensor* found = fiarEvalFind(eval, mlirOperationGetOperand(op, 0));
  FiarTensor out = {0};
  if (found == NULL || !fiarEvalShape(mlirOperationGetResult(op, 0), NULL, &out.shape)) {
    return fiarEvalFail(eval, "fiar.take_rows of something else than known tensors");
  }
  FiarTensor full = *found;
  out.count = fiarShapeElements(&out.shape);
  out.taint = full.taint;
  out.at = fiarEvalRoom(eval, out.count);
  int64_t hidden = out.shape.size[out.shape.rank - 1];
  for (int rank = 0; out.at != NULL && rank < eval->options->ranks; ++rank) {
    int64_t position, row = 0;
    if (fiarEvalGroupOf(groups, rank, &position) == NULL || out.count * groups->size < full.count) {
      return fiarEvalFail(eval, "fiar.take_rows has no room for rank %d's rows", rank);
    }
    for (int64_t t = position; t < full.count / hidden; t += groups->size) {
      memcpy(out.at + rank * out.count + row++ * hidden, full.at + rank * full.count + t * hidden,
             (size_t)hidden * sizeof *out.at);
    }
  }
  return out.at != NULL && fiarEvalBind(eval, mlirOperationGetResult(op, 0), &out);
}

static bool plain_sum(FiarEval* eval, MlirOperation op, const FiarGroups* groups) {
  (void)groups;
  FiarPrimitive p = {
      .kind = FIAR_PRIM_ALL_REDUCE, .op = op, .groups = fiarOpAttribute(op, "groups")};
  return fiarEvalCollective(eval, &p);
}

bool fiarEvalFused(FiarEval* eval, MlirOperation op) {
  static const struct {
    const char* name;
    bool (*of)(FiarEval*, MlirOperation, const FiarGroups*);
  } rows[] = {{"fiar.all_reduce", plain_sum},
              {"fiar.all_reduce_norm", fused_norm},
              {"fiar.all_gather_rows", gather_rows},
              {"fiar.take_rows", take_rows}};
  FiarGroups groups;
  bool local;
  if (!fiarEvalBlockOp(eval, op, &local) || local) {
    return local;
  }
  if (!fiarEvalGroups(eval, fiarOpAttribute(op, "groups"), fiarWhole(number_of(op, "world")),
                      &groups)) {
    return false;
  }
  bool done = false;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    if (fiarStringEqual(fiarOpName(op), rows[i].name)) {
      done = rows[i].of(eval, op, &groups);
    }
  }
  fiarGroupsFree(&groups);
  return done;
}
