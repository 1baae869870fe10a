// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Matrix products, and the ops that fiar-raise-block makes (docs/numerics.md, "The ops around the
// fused call"). exp is the IR's own here, not kernels/exp.h: what is compared is the rewrite.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/eval_impl.h"
#include "host/reference.h"
#include "mlir-c/BuiltinAttributes.h"

bool fiarEvalSegments(FiarEval* eval, MlirOperation op, const char* attribute,
                      MlirValue* out_values, int count) {
  enum { MOST = 8 };
  int64_t there[MOST] = {0};
  const bool operands = strcmp(attribute, "operandSegmentSizes") == 0;
  if (count > MOST || fiarReadInts(fiarOpAttribute(op, attribute), there, count) != count) {
    MlirStringRef name = fiarOpName(op);
    return fiarEvalFail(eval, "%.*s without %s", (int)name.length, name.data, attribute);
  }
  intptr_t next = 0;
  for (int i = 0; i < count; ++i) {
    out_values[i] = there[i] == 0 ? (MlirValue){NULL}
                    : operands    ? mlirOperationGetOperand(op, next++)
                                  : mlirOperationGetResult(op, next++);
  }
  return true;
}

static bool text_is(MlirOperation op, const char* attribute, const char* text) {
  return fiarStringEqual(fiarAttributeText(fiarOpAttribute(op, attribute)), text);
}

static bool is_set(MlirOperation op, const char* attribute) {
  double number = 0;
  return fiarReadNumber(fiarOpAttribute(op, attribute), &number) && number != 0;
}

// A copy of each value's tensor, at NULL where the value is absent. False: one is not known.
static bool take_tensors(FiarEval* eval, MlirOperation op, const MlirValue* values, int count,
                         FiarTensor* out_tensors) {
  for (int i = 0; i < count; ++i) {
    const FiarTensor* found = mlirValueIsNull(values[i]) ? NULL : fiarEvalFind(eval, values[i]);
    if (!mlirValueIsNull(values[i]) && found == NULL) {
      MlirStringRef name = fiarOpName(op);
      return fiarEvalFail(eval, "operand %d of %.*s is no known tensor", i, (int)name.length,
                          name.data);
    }
    out_tensors[i] = found == NULL ? (FiarTensor){0} : *found;
  }
  return true;
}

// Room for a result, whose unknown sizes are those of `like`. A value that is absent: at stays
// NULL.
static bool make_result(FiarEval* eval, MlirValue value, const FiarTensor* like, FiarTensor* out) {
  *out = (FiarTensor){0};
  if (mlirValueIsNull(value)) {
    return true;
  }
  if (!fiarEvalShape(value, like, &out->shape)) {
    return fiarEvalFail(eval, "a result of a fiar op is no known tensor");
  }
  out->count = fiarShapeElements(&out->shape);
  out->at = fiarEvalRoom(eval, out->count);
  return out->at != NULL;
}

static FiarTaint worst_of(const FiarTensor* tensors, int count) {
  FiarTaint taint = FIAR_TAINT_EXACT;
  for (int i = 0; i < count; ++i) {
    taint = tensors[i].taint > taint ? tensors[i].taint : taint;
  }
  return taint == FIAR_TAINT_EXACT ? taint : FIAR_TAINT_DERIVED;
}

// ---- products ----

// Rows along the contracted dimension: a's in order, b's columns in order.
typedef struct Rows {
  int64_t rows, k;
  double* at;  // of one rank
} Rows;

// Takes the elements of one rank with dimension `along` last.
static void take_rows(const FiarTensor* from, int along, int rank, Rows* to) {
  int64_t inner = 1;
  for (int d = from->shape.rank - 1; d > along; --d) {
    inner *= from->shape.size[d];
  }
  const double* at = from->at + rank * from->count;
  for (int64_t row = 0; row < to->rows; ++row) {
    for (int64_t x = 0; x < to->k; ++x) {
      to->at[row * to->k + x] = at[(row / inner * to->k + x) * inner + row % inner];
    }
  }
}

static bool make_rows(const FiarTensor* of, int along, Rows* out_rows) {
  int64_t k = of->shape.size[along];
  *out_rows = (Rows){.rows = k == 0 ? 0 : of->count / k, .k = k};
  out_rows->at = malloc((size_t)of->count * sizeof *out_rows->at + 1);
  return out_rows->at != NULL;
}

// An f32 sum. Source and rewrite add in the same order, so that it does not matter which.
static double product(const Rows* a, const Rows* b, int64_t i, int64_t j) {
  double sum = 0;
  for (int64_t x = 0; x < a->k; ++x) {
    sum += a->at[i * a->k + x] * b->at[j * b->k + x];
  }
  return (float)sum;
}

// Multiplies the elements of block-scaled rows by their scales, which is exact.
static bool scale_blocks(const FiarTensor* scales, int rank, Rows* rows) {
  if (scales->count == 0 || rows->rows * rows->k % scales->count != 0) {
    return false;
  }
  int64_t block = rows->rows * rows->k / scales->count;
  for (int64_t i = 0; i < rows->rows * rows->k; ++i) {
    rows->at[i] *= scales->at[rank * scales->count + i / block];
  }
  return true;
}

// A product's operands, and the scales of its blocks where it has such.
typedef struct Product {
  FiarTensor in[FIAR_MAX_INPUTS], out;
  int n_in, along[2];  // the dimensions that are contracted
  Rows rows[2];
} Product;

static bool product_fits(const Product* p) {
  const FiarTensor *a = &p->in[0], *b = &p->in[1];
  if (p->along[0] >= a->shape.rank || p->along[1] >= b->shape.rank) {
    return false;
  }
  int64_t k = a->shape.size[p->along[0]];
  return k > 0 && b->shape.size[p->along[1]] == k && p->out.count == a->count / k * (b->count / k);
}

// *out_known: all are known tensors. False: out of memory.
static bool product_read(FiarEval* eval, const FiarPrimitive* p, Product* out, bool* out_known) {
  *out = (Product){.n_in = p->n_in, .along = {(int)p->dims[0], (int)p->dims2[0]}};
  *out_known = false;
  for (int i = 0; i < p->n_in; ++i) {
    const FiarTensor* found = fiarEvalFind(eval, p->in[i]);
    if (found == NULL) {
      return eval->out->error[0] == '\0';
    }
    out->in[i] = *found;
    if (i < 2 && p->kind == FIAR_PRIM_BLOCK_MATMUL) {
      out->along[i] = found->shape.rank - 1;
    }
  }
  *out_known = fiarEvalShape(mlirOperationGetResult(p->op, 0), NULL, &out->out.shape);
  out->out.count = fiarShapeElements(&out->out.shape);
  out->out.taint = worst_of(out->in, out->n_in);
  return true;
}

static bool product_rank(Product* p, int rank) {
  Rows *a = &p->rows[0], *b = &p->rows[1];
  for (int i = 0; i < 2; ++i) {
    take_rows(&p->in[i], p->along[i], rank, &p->rows[i]);
    if (p->n_in == 4 && !scale_blocks(&p->in[2 + i], rank, &p->rows[i])) {
      return false;
    }
  }
  double* at = p->out.at + rank * p->out.count;
  for (int64_t i = 0; i < a->rows; ++i) {
    for (int64_t j = 0; j < b->rows; ++j) {
      *at++ = fiarElementRound(p->out.shape.elem, product(a, b, i, j));
    }
  }
  return true;
}

bool fiarEvalProduct(FiarEval* eval, const FiarPrimitive* primitive, bool* out_done) {
  Product p;
  bool known;
  *out_done = false;
  if (!product_read(eval, primitive, &p, &known)) {
    return false;
  }
  if (!known || !product_fits(&p)) {
    return true;
  }
  p.out.at = fiarEvalRoom(eval, p.out.count);
  bool room = p.out.at != NULL && make_rows(&p.in[0], p.along[0], &p.rows[0]) &&
              make_rows(&p.in[1], p.along[1], &p.rows[1]);
  *out_done = room;
  for (int rank = 0; *out_done && rank < eval->options->ranks; ++rank) {
    *out_done = product_rank(&p, rank);
  }
  free(p.rows[0].at);
  free(p.rows[1].at);
  return !room        ? fiarEvalFail(eval, "out of memory")
         : !*out_done ? true
                      : fiarEvalBind(eval, mlirOperationGetResult(primitive->op, 0), &p.out);
}

// ---- fiar.matmul ----

enum { A, B, BIAS, A_SCALE, B_SCALE, A_SCALES, B_SCALES, MATMUL_OPERANDS };

// The f32 factor of one row of an operand.
static float factor_of(const FiarTensor* scale, bool multiplier, const FiarTensor* vector, int rank,
                       int64_t row) {
  float factor = scale->at == NULL ? 1.0f : (float)scale->at[rank * scale->count];
  factor = multiplier ? 1.0f / factor : factor;
  return vector->at == NULL ? factor : factor * (float)vector->at[rank * vector->count + row];
}

typedef struct Matmul {
  FiarTensor in[MATMUL_OPERANDS], out;
  bool a_multiplier, b_multiplier, blocks;
} Matmul;

static void matmul_rank(const Matmul* m, int rank, const Rows* a, const Rows* b) {
  static const FiarTensor none = {0};
  const FiarTensor* const in = m->in;
  const FiarTensor* rows = m->blocks ? &none : &in[A_SCALES];
  const FiarTensor* columns = m->blocks ? &none : &in[B_SCALES];
  double* at = m->out.at + rank * m->out.count;
  for (int64_t i = 0; i < a->rows; ++i) {
    const float row_factor = factor_of(&in[A_SCALE], m->a_multiplier, rows, rank, i);
    for (int64_t j = 0; j < b->rows; ++j) {
      float value = (float)product(a, b, i, j);
      value *= row_factor * factor_of(&in[B_SCALE], m->b_multiplier, columns, rank, j);
      if (in[BIAS].at != NULL) {
        value += (float)in[BIAS].at[rank * in[BIAS].count + j];
      }
      *at++ = fiarElementRound(m->out.shape.elem, value);
    }
  }
}

static bool matmul_read(FiarEval* eval, MlirOperation op, Matmul* m) {
  MlirValue in[MATMUL_OPERANDS] = {{NULL}};
  if (!fiarEvalSegments(eval, op, "operandSegmentSizes", in, MATMUL_OPERANDS) ||
      !take_tensors(eval, op, in, MATMUL_OPERANDS, m->in)) {
    return false;
  }
  m->a_multiplier = text_is(op, "a_scale_is", "multiplier");
  m->b_multiplier = text_is(op, "b_scale_is", "multiplier");
  m->blocks = text_is(op, "a_scaling", "block");
  if (m->blocks && !text_is(op, "block_scale_layout", "linear")) {
    return fiarEvalFail(eval, "block scales of fiar.matmul in another layout than linear");
  }
  return make_result(eval, mlirOperationGetResult(op, 0), NULL, &m->out);
}

// Whether the optional operands have the sizes that the product's rows and columns ask for.
static bool matmul_fits(const Matmul* m, const Rows* a, const Rows* b) {
  const int64_t sizes[MATMUL_OPERANDS] = {[BIAS] = b->rows,
                                          [A_SCALE] = 1,
                                          [B_SCALE] = 1,
                                          [A_SCALES] = m->blocks ? 0 : a->rows,
                                          [B_SCALES] = m->blocks ? 0 : b->rows};
  bool fits = a->k == b->k && m->out.count == a->rows * b->rows;
  for (int i = BIAS; i < MATMUL_OPERANDS; ++i) {
    fits = fits && (m->in[i].at == NULL || sizes[i] == 0 || m->in[i].count == sizes[i]);
  }
  return fits;
}

// Factors of f32 associate as they like, and a bias may cancel all but the difference.
static FiarTaint matmul_taint(const Matmul* m) {
  FiarTaint taint = worst_of(m->in, MATMUL_OPERANDS);
  bool scaled = false;
  for (int i = A_SCALE; i < MATMUL_OPERANDS; ++i) {
    scaled |= m->in[i].at != NULL;
  }
  if (!scaled || taint != FIAR_TAINT_EXACT) {
    return taint;
  }
  return m->in[BIAS].at == NULL ? FIAR_TAINT_NORM : FIAR_TAINT_DERIVED;
}

static bool matmul(FiarEval* eval, MlirOperation op) {
  Matmul m = {0};
  if (!matmul_read(eval, op, &m)) {
    return false;
  }
  int a_along = m.in[A].shape.rank - 1;
  int b_along = m.in[B].shape.rank - (is_set(op, "b_transposed") ? 1 : 2);
  Rows a = {0}, b = {0};
  bool done = b_along >= 0 && make_rows(&m.in[A], a_along, &a) &&
              make_rows(&m.in[B], b_along, &b) && matmul_fits(&m, &a, &b);
  m.out.taint = matmul_taint(&m);
  for (int rank = 0; done && rank < eval->options->ranks; ++rank) {
    take_rows(&m.in[A], a_along, rank, &a);
    take_rows(&m.in[B], b_along, rank, &b);
    done = !m.blocks ||
           (scale_blocks(&m.in[A_SCALES], rank, &a) && scale_blocks(&m.in[B_SCALES], rank, &b));
    if (done) {
      matmul_rank(&m, rank, &a, &b);
    }
  }
  free(a.at);
  free(b.at);
  return done ? fiarEvalBind(eval, mlirOperationGetResult(op, 0), &m.out)
              : fiarEvalFail(eval, "fiar.matmul of shapes that do not fit, or no memory");
}

// ---- fiar.activate ----

// Each step is rounded to f32, or to the element type.
static double silu(double gate, FiarElement step) {
  double e = fiarElementRound(step, exp(-gate));
  double d = fiarElementRound(step, 1 + e);
  return fiarElementRound(step, gate * fiarElementRound(step, 1 / d));
}

static double gelu_tanh(double gate, FiarElement step) {
  double cubic = fiarRoundTo(step, 0.044715), root = fiarRoundTo(step, 0.7978845608028654);
  double value = fiarElementRound(step, gate * gate);
  value = fiarElementRound(step, value * gate);
  value = fiarElementRound(step, cubic * value);
  value = fiarElementRound(step, gate + value);
  value = fiarElementRound(step, root * value);
  value = fiarElementRound(step, tanh(value));
  value = fiarElementRound(step, 1 + value);
  return fiarElementRound(step, gate * fiarElementRound(step, 0.5 * value));
}

static double gelu(double gate, FiarElement step) {
  double half = fiarElementRound(step, 0.5 * gate);
  double value = fiarElementRound(step, -gate * fiarRoundTo(step, 0.7071067811865476));
  return fiarElementRound(step, half * fiarElementRound(step, erfc(value)));
}

static double no_activation(double gate, FiarElement step) {
  (void)step;
  return gate;
}

typedef double activation_fn(double gate, FiarElement step);

static activation_fn* activation_of(MlirOperation op) {
  static const struct {
    const char* name;
    activation_fn* of;
  } rows[] = {{"silu", silu}, {"gelu_tanh", gelu_tanh}, {"gelu", gelu}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    if (text_is(op, "activation", rows[i].name)) {
      return rows[i].of;
    }
  }
  return no_activation;
}

static double code_of(double value, const FiarTensor* scale, bool multiplier, int rank) {
  float y = (float)value, factor = scale->at == NULL ? 1.0f : (float)scale->at[rank * scale->count];
  return fiar_e4m3_to_f32(fiar_f32_to_e4m3(multiplier ? y * factor : y / factor));
}

static bool activate(FiarEval* eval, MlirOperation op) {
  enum { GATE, UP, SCALE, COUNT };
  MlirValue in_values[COUNT] = {{NULL}}, results[2] = {{NULL}};
  FiarTensor in[COUNT], out, codes;
  if (!fiarEvalSegments(eval, op, "operandSegmentSizes", in_values, COUNT) ||
      !fiarEvalSegments(eval, op, "resultSegmentSizes", results, 2) ||
      !take_tensors(eval, op, in_values, COUNT, in) ||
      !make_result(eval, results[0], &in[GATE], &out) ||
      !make_result(eval, results[1], &in[GATE], &codes)) {
    return false;
  }
  FiarElement elem = in[GATE].shape.elem, to = out.at == NULL ? elem : out.shape.elem;
  FiarElement step = text_is(op, "rounding", "each") ? elem : FIAR_ELEM_F32;
  FiarElement whole = text_is(op, "rounding", "none") ? FIAR_ELEM_F32 : elem;
  bool multiplier = text_is(op, "scale_is", "multiplier"), adds = text_is(op, "combine", "add");
  activation_fn* activation = activation_of(op);
  bool packed = in[UP].at == NULL && !text_is(op, "combine", "none");
  int64_t count = packed ? in[GATE].count / 2 : in[GATE].count;
  int64_t cols = in[GATE].shape.rank > 0 ? in[GATE].shape.size[in[GATE].shape.rank - 1] / 2 : 0;
  if ((out.at != NULL && out.count != count) || (codes.at != NULL && codes.count != count) ||
      (in[UP].at != NULL && in[UP].count != count) || (packed && cols == 0)) {
    return fiarEvalFail(eval, "fiar.activate of shapes that do not fit");
  }
  for (int64_t i = 0; i < eval->options->ranks * count; ++i) {
    // Where one operand holds both, up's columns follow gate's in each row.
    int64_t at = packed ? i + i / cols * cols : i;
    double value = fiarElementRound(whole, activation(in[GATE].at[at], step));
    double up = packed ? in[GATE].at[at + cols] : in[UP].at == NULL ? 1 : in[UP].at[i];
    value = fiarElementRound(to, (float)(adds ? value + up : value * up));
    if (out.at != NULL) {
      out.at[i] = value;
    }
    if (codes.at != NULL) {
      codes.at[i] = code_of(value, &in[SCALE], multiplier, (int)(i / count));
    }
  }
  out.taint = codes.taint = worst_of(in, COUNT);
  return (out.at == NULL || fiarEvalBind(eval, results[0], &out)) &&
         (codes.at == NULL || fiarEvalBind(eval, results[1], &codes));
}

// ---- fiar.copy ----

static bool copy(FiarEval* eval, MlirOperation op) {
  MlirValue value = mlirOperationGetOperand(op, 0);
  FiarTensor in, out;
  if (!take_tensors(eval, op, &value, 1, &in) ||
      !make_result(eval, mlirOperationGetResult(op, 0), NULL, &out)) {
    return false;
  }
  bool transposed = is_set(op, "transposed");
  if (in.count != out.count || (transposed && in.shape.rank != 2)) {
    return fiarEvalFail(eval, "fiar.copy to another number of elements");
  }
  int64_t rows = transposed ? in.shape.size[0] : 1, cols = in.count / (rows > 0 ? rows : 1);
  for (int64_t i = 0; i < eval->options->ranks * in.count; ++i) {
    int64_t rank = i / in.count, at = i % in.count;
    int64_t to = transposed ? at % cols * rows + at / cols : at;
    out.at[rank * out.count + to] = fiarElementRound(out.shape.elem, in.at[i]);
  }
  out.taint = transposed ? in.taint : worst_of(&in, 1);
  return fiarEvalBind(eval, mlirOperationGetResult(op, 0), &out);
}

bool fiarEvalBlockOp(FiarEval* eval, MlirOperation op, bool* out_done) {
  static const struct {
    const char* name;
    bool (*of)(FiarEval*, MlirOperation);
  } rows[] = {{"fiar.matmul", matmul},
              {"fiar.rms_norm", fiarEvalLocalNorm},
              {"fiar.quantize", fiarEvalQuantize},
              {"fiar.activate", activate},
              {"fiar.copy", copy}};
  *out_done = false;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    if (fiarStringEqual(fiarOpName(op), rows[i].name)) {
      *out_done = rows[i].of(eval, op);
      return *out_done;
    }
  }
  return true;
}
