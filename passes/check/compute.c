// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What each primitive computes.
#include <math.h>
#include <string.h>

#include "check/eval_impl.h"

double fiarEvalCoarse(const FiarEval* eval, double root) {
  if (eval->options->roots == FIAR_ROOTS_TRUE || !isfinite(root) || root <= 0) {
    return root;
  }
  int exponent;
  double mantissa = frexp(root, &exponent);  // 1/2 <= mantissa < 1
  if (eval->options->roots == FIAR_ROOTS_TWO_BITS) {
    return ldexp(nearbyint(4 * mantissa), exponent - 2);
  }
  return ldexp(1, mantissa * mantissa < 0.5 ? exponent - 1 : exponent);
}

static double add(double a, double b) {
  return a + b;
}
static double sub(double a, double b) {
  return a - b;
}
static double mul(double a, double b) {
  return a * b;
}
static double divide(double a, double b) {
  return a / b;
}
static double max_nan(double a, double b) {
  return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}
static double min_nan(double a, double b) {
  return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
}
static double equal(double a, double b) {
  return a == b;
}

static double not_equal(double a, double b) {
  return a != b;
}
static double less(double a, double b) {
  return a < b;
}
static double less_equal(double a, double b) {
  return a <= b;
}
// What is no integer has no bits.
static int64_t bits_of(double number) {
  return fabs(number) < ldexp(1, 62) ? (int64_t)number : 0;
}
static double bits_and(double a, double b) {
  return (double)(bits_of(a) & bits_of(b));
}
static double bits_or(double a, double b) {
  return (double)(bits_of(a) | bits_of(b));
}
static double shift_left(double a, double b) {
  return ldexp(a, (int)(bits_of(b) & 63));
}
static double shift_right(double a, double b) {
  return floor(ldexp(a, -(int)(bits_of(b) & 63)));
}

static const struct {
  FiarPrimitiveKind kind;
  double (*of)(double, double);
} binaries[] = {
    {FIAR_PRIM_ADD, add},
    {FIAR_PRIM_SUB, sub},
    {FIAR_PRIM_MUL, mul},
    {FIAR_PRIM_DIV, divide},
    {FIAR_PRIM_MAX, max_nan},
    {FIAR_PRIM_MIN, min_nan},
    {FIAR_PRIM_EQUAL, equal},
    {FIAR_PRIM_POWER, pow},
    {FIAR_PRIM_NOT_EQUAL, not_equal},
    {FIAR_PRIM_LESS, less},
    {FIAR_PRIM_LESS_EQUAL, less_equal},
    {FIAR_PRIM_AND, bits_and},
    {FIAR_PRIM_OR, bits_or},
    {FIAR_PRIM_SHIFT_LEFT, shift_left},
    {FIAR_PRIM_SHIFT_RIGHT_SIGNED, shift_right},
    {FIAR_PRIM_SHIFT_RIGHT, shift_right},
};

static double square(double a) {
  return a * a;
}
static double reciprocal_root(double a) {
  return 1 / sqrt(a);
}
static double reciprocal(double a) {
  return 1 / a;
}
static double invert(double a) {
  return 1 - a;
}
static double negate(double a) {
  return -a;
}
// As programs that have no such op spell it, in f32.
static double logistic(double a) {
  return (float)(1 / (double)(float)(1 + (double)(float)exp(-a)));
}
static double same(double a) {
  return a;
}

static const struct {
  FiarPrimitiveKind kind;
  double (*of)(double);
} unaries[] = {
    {FIAR_PRIM_SQUARE, square},
    {FIAR_PRIM_SQRT, sqrt},
    {FIAR_PRIM_RSQRT, reciprocal_root},
    {FIAR_PRIM_RECIPROCAL, reciprocal},
    {FIAR_PRIM_ABS, fabs},
    {FIAR_PRIM_NOT, invert},
    {FIAR_PRIM_CONVERT, same},
    {FIAR_PRIM_NEGATE, negate},
    {FIAR_PRIM_EXP, exp},
    {FIAR_PRIM_LOGISTIC, logistic},
    {FIAR_PRIM_TANH, tanh},
    {FIAR_PRIM_ERFC, erfc},
};

static bool is_root(const FiarPrimitive* p, double exponent) {
  return p->kind == FIAR_PRIM_RSQRT || p->kind == FIAR_PRIM_SQRT ||
         (p->kind == FIAR_PRIM_POWER && fabs(exponent) == 0.5);
}

// An operand of one element stands for a whole tensor of it.
static double element(const FiarTensor* tensor, int rank, int64_t i) {
  return tensor->at[rank * tensor->count + (tensor->count == 1 ? 0 : i)];
}

static void compute_unary(FiarEval* eval, const FiarPrimitive* p, const FiarTensor* in,
                          FiarTensor* out, double (*of)(double)) {
  const FiarElement elem = out->shape.elem;
  const bool root = is_root(p, 0);
  const int64_t step = in->count == 1 ? 0 : 1;
  for (int rank = 0; rank < eval->options->ranks; ++rank) {
    const double* a = in->at + rank * in->count;
    double* to = out->at + rank * out->count;
    for (int64_t i = 0; i < out->count; ++i) {
      const double result = of(a[i * step]);
      to[i] = fiarElementRound(elem, root ? fiarEvalCoarse(eval, result) : result);
    }
  }
}

static void compute_binary(FiarEval* eval, const FiarPrimitive* p, const FiarTensor* const* in,
                           FiarTensor* out, double (*of)(double, double)) {
  const FiarElement elem = out->shape.elem;
  const bool number = p->n_in == 1;
  const int64_t step_a = in[0]->count == 1 ? 0 : 1, step_b = number || in[1]->count == 1 ? 0 : 1;
  for (int rank = 0; rank < eval->options->ranks; ++rank) {
    const double* a = in[0]->at + rank * in[0]->count;
    const double* b = number ? &p->number : in[1]->at + rank * in[1]->count;
    double* to = out->at + rank * out->count;
    for (int64_t i = 0; i < out->count; ++i) {
      const double result = of(a[i * step_a], b[i * step_b]);
      const bool root = is_root(p, b[i * step_b]);
      to[i] = fiarElementRound(elem, root ? fiarEvalCoarse(eval, result) : result);
    }
  }
}

// Integers are held as their bits: what came from a number that is not negative.
static double cast_bits(FiarElement from, FiarElement to, double a) {
  float narrow = (float)a;
  uint32_t bits = 0;
  if (from == FIAR_ELEM_F32 && to == FIAR_ELEM_INTEGER) {
    memcpy(&bits, &narrow, sizeof bits);
    return bits;
  }
  if (from == FIAR_ELEM_INTEGER && to == FIAR_ELEM_F32) {
    bits = (uint32_t)bits_of(a);
    memcpy(&narrow, &bits, sizeof narrow);
    return narrow;
  }
  if (from == FIAR_ELEM_INTEGER && to == FIAR_ELEM_F8E8M0FNU) {
    int byte = (int)(bits_of(a) & 255);
    return byte == 255 ? NAN : ldexp(1, byte - 127);
  }
  if (from == FIAR_ELEM_F8E8M0FNU && to == FIAR_ELEM_INTEGER) {
    return isnan(a) ? 255 : ilogb(a) + 127;
  }
  return a;
}

static bool compute_bitcast(FiarEval* eval, const FiarTensor* in, FiarTensor* out) {
  FiarElement from = in->shape.elem, to = out->shape.elem;
  bool to_integer =
      to == FIAR_ELEM_INTEGER && (from == FIAR_ELEM_F32 || from == FIAR_ELEM_F8E8M0FNU);
  bool to_float = from == FIAR_ELEM_INTEGER && (to == FIAR_ELEM_F32 || to == FIAR_ELEM_F8E8M0FNU);
  if (from != to && !to_integer && !to_float) {
    return false;
  }
  for (int64_t i = 0; i < eval->options->ranks * out->count; ++i) {
    out->at[i] = cast_bits(from, to, in->at[i]);
  }
  return true;
}

static void compute_three(FiarEval* eval, const FiarPrimitive* p, const FiarTensor* const* in,
                          FiarTensor* out) {
  for (int rank = 0; rank < eval->options->ranks; ++rank) {
    for (int64_t i = 0; i < out->count; ++i) {
      // A clamp of one operand has its bounds as numbers.
      bool bounds = p->n_in == 1;
      double a = bounds ? p->number : element(in[0], rank, i);
      double b = element(in[bounds ? 0 : 1], rank, i);
      double c = bounds ? p->number2 : element(in[2], rank, i);
      out->at[rank * out->count + i] =
          p->kind == FIAR_PRIM_SELECT ? (a != 0 ? b : c) : min_nan(max_nan(a, b), c);
    }
  }
}

// The elements of a last dimension, whose offsets under other strides lie one stride apart: what
// walks over a shape finds the offset of each row by division, and goes on from there.
static int64_t row_of(const FiarShape* shape) {
  return shape->rank > 0 ? shape->size[shape->rank - 1] : 1;
}

// Where element i of the shape lies under these strides.
static int64_t offset_of(const FiarShape* shape, const int64_t* strides, int64_t i) {
  int64_t at = 0;
  for (int d = shape->rank - 1; d >= 0; --d) {
    at += i % shape->size[d] * strides[d];
    i /= shape->size[d];
  }
  return at;
}

// out[index] = in[where(index)], where the operand's dimension d follows the result's map[d] (a
// size of 1 does not move).
static void compute_moved(FiarEval* eval, const FiarTensor* in, const int64_t* map,
                          FiarTensor* out) {
  int64_t from[FIAR_MAX_RANK], step[FIAR_MAX_RANK] = {0};
  fiarShapeStrides(&in->shape, from);
  for (int d = 0; d < in->shape.rank; ++d) {
    step[map[d]] += in->shape.size[d] == 1 ? 0 : from[d];
  }
  const int64_t row = row_of(&out->shape),
                along = out->shape.rank > 0 ? step[out->shape.rank - 1] : 0;
  for (int64_t i = 0; i < out->count; i += row) {
    const int64_t at = offset_of(&out->shape, step, i);
    for (int rank = 0; rank < eval->options->ranks; ++rank) {
      const double* a = in->at + rank * in->count + at;
      double* to = out->at + rank * out->count + i;
      for (int64_t k = 0; k < row; ++k) {
        to[k] = a[k * along];
      }
    }
  }
}

static bool moves_fit(const FiarPrimitive* p, const FiarTensor* in, const FiarTensor* out,
                      int64_t* out_map) {
  if (p->n_dims != in->shape.rank) {
    return false;
  }
  for (int d = 0; d < in->shape.rank; ++d) {
    // A transpose names the operand's dimension of each result dimension, a broadcast the reverse.
    int64_t mine = p->kind == FIAR_PRIM_TRANSPOSE ? p->dims[d] : d;
    int64_t target = p->kind == FIAR_PRIM_TRANSPOSE ? d : p->dims[d];
    if (mine < 0 || mine >= in->shape.rank || target < 0 || target >= out->shape.rank ||
        (in->shape.size[mine] != 1 && in->shape.size[mine] != out->shape.size[target])) {
      return false;
    }
    out_map[mine] = target;
  }
  return true;
}

static bool compute_reduce(FiarEval* eval, const FiarPrimitive* p, const FiarTensor* const* in,
                           FiarTensor* out) {
  const FiarShape* shape = &in[0]->shape;
  bool reduced[FIAR_MAX_RANK] = {false};
  int64_t items = 1, strides[FIAR_MAX_RANK];
  for (int i = 0; i < p->n_dims; ++i) {
    int64_t dim = p->dims[i] < 0 ? p->dims[i] + shape->rank : p->dims[i];
    if (dim < 0 || dim >= shape->rank || reduced[dim]) {
      return false;
    }
    reduced[dim] = true;
    items *= shape->size[dim];
  }
  int64_t stride = 1;
  for (int d = shape->rank - 1; d >= 0; --d) {
    strides[d] = reduced[d] ? 0 : stride;
    stride *= reduced[d] ? 1 : shape->size[d];
  }
  // From one start, or (linalg's) from one for each result.
  if (stride != out->count || (p->n_in > 1 && in[1]->count != 1 && in[1]->count != out->count)) {
    return false;
  }
  const int64_t row = row_of(shape), along = shape->rank > 0 ? strides[shape->rank - 1] : 0;
  const FiarElement elem = out->shape.elem;
  const bool is_max = p->kind == FIAR_PRIM_REDUCE_MAX;
  for (int rank = 0; rank < eval->options->ranks; ++rank) {
    double* to = out->at + rank * out->count;
    for (int64_t i = 0; i < out->count; ++i) {
      to[i] = p->n_in > 1 ? element(in[1], rank, i) : is_max ? -INFINITY : 0;
    }
    for (int64_t i = 0; i < in[0]->count; i += row) {
      const double* from = in[0]->at + rank * in[0]->count + i;
      double* sum = to + offset_of(shape, strides, i);
      for (int64_t k = 0; k < row; ++k, sum += along) {
        *sum = is_max ? max_nan(*sum, from[k]) : fiarElementRound(elem, *sum + from[k]);
      }
    }
    for (int64_t i = 0; i < out->count && p->kind == FIAR_PRIM_REDUCE_MEAN; ++i) {
      to[i] = fiarElementRound(elem, to[i] / (double)items);
    }
  }
  return true;
}

// result[b, i, j] = a[b, i] * b[b, j] for one batching dimension each.
static bool compute_outer(FiarEval* eval, const FiarPrimitive* p, const FiarTensor* const* in,
                          FiarTensor* out) {
  if (p->n_dims != 1 || out->shape.rank != in[0]->shape.rank + in[1]->shape.rank - 1) {
    return false;
  }
  int64_t to[FIAR_MAX_RANK], from[2][FIAR_MAX_RANK];
  fiarShapeStrides(&out->shape, to);
  for (int64_t i = 0; i < out->count; ++i) {
    int64_t at[2] = {0, 0};
    for (int side = 0, dim = 1; side < 2; ++side) {
      fiarShapeStrides(&in[side]->shape, from[side]);
      int64_t batch = side == 0 ? p->dims[0] : p->dims2[0];
      for (int d = 0; d < in[side]->shape.rank; ++d) {
        int result_dim = d == batch ? 0 : dim++;
        at[side] += i / to[result_dim] % out->shape.size[result_dim] * from[side][d];
      }
    }
    for (int rank = 0; rank < eval->options->ranks; ++rank) {
      out->at[rank * out->count + i] =
          fiarElementRound(out->shape.elem, in[0]->at[rank * in[0]->count + at[0]] *
                                                in[1]->at[rank * in[1]->count + at[1]]);
    }
  }
  return true;
}

// Row times row, the sums in the order of the elements.
static bool compute_row_products(FiarEval* eval, const FiarTensor* const* in, FiarTensor* out) {
  const int64_t row = row_of(&in[0]->shape), count = in[0]->count;
  const FiarElement elem = out->shape.elem;
  if (in[1]->count != count || out->count * row != count) {
    return false;
  }
  for (int64_t i = 0; i < eval->options->ranks * out->count; ++i) {
    const double *a = in[0]->at + i * row, *b = in[1]->at + i * row;
    out->at[i] = 0;
    for (int64_t k = 0; k < row; ++k) {
      out->at[i] = fiarElementRound(elem, out->at[i] + fiarElementRound(elem, a[k] * b[k]));
    }
  }
  return true;
}

// The operand in the corner of a tensor of in[1].
static bool compute_pad(FiarEval* eval, const FiarTensor* const* in, FiarTensor* out) {
  int64_t from[FIAR_MAX_RANK], to[FIAR_MAX_RANK];
  fiarShapeStrides(&in[0]->shape, from);
  fiarShapeStrides(&out->shape, to);
  bool fits = in[1]->count > 0 && in[0]->shape.rank == out->shape.rank;
  for (int d = 0; fits && d < out->shape.rank; ++d) {
    fits = in[0]->shape.size[d] <= out->shape.size[d];
  }
  for (int rank = 0; fits && rank < eval->options->ranks; ++rank) {
    for (int64_t i = 0; i < out->count; ++i) {
      int64_t at = 0;
      bool inside = true;
      for (int d = 0; d < out->shape.rank; ++d) {
        int64_t place = i / to[d] % out->shape.size[d];
        inside = inside && place < in[0]->shape.size[d];
        at += place * from[d];
      }
      out->at[rank * out->count + i] =
          inside ? in[0]->at[rank * in[0]->count + at] : in[1]->at[rank * in[1]->count];
    }
  }
  return fits;
}

static bool compute_slice(FiarEval* eval, const FiarPrimitive* p, const FiarTensor* in,
                          FiarTensor* out) {
  int64_t from[FIAR_MAX_RANK], to[FIAR_MAX_RANK];
  fiarShapeStrides(&in->shape, from);
  fiarShapeStrides(&out->shape, to);
  bool fits = in->shape.rank == p->n_dims && out->shape.rank == p->n_dims;
  for (int d = 0; fits && d < p->n_dims; ++d) {
    fits = p->dims[d] <= in->shape.size[d] - out->shape.size[d];
  }
  for (int64_t i = 0; fits && i < out->count; ++i) {
    int64_t at = 0;
    for (int d = 0; d < p->n_dims; ++d) {
      at += (p->dims[d] + i / to[d] % out->shape.size[d]) * from[d];
    }
    for (int rank = 0; rank < eval->options->ranks; ++rank) {
      out->at[rank * out->count + i] = in->at[rank * in->count + at];
    }
  }
  return fits;
}

// The named op: statistics in f32, the weight product in f32, rounded once or also before it.
static bool compute_rms_norm(FiarEval* eval, const FiarPrimitive* p, const FiarTensor* const* in,
                             FiarTensor* out) {
  int64_t hidden = in[0]->shape.rank > 0 ? in[0]->shape.size[in[0]->shape.rank - 1] : 0;
  if (hidden == 0 || out->count != in[0]->count || (p->n_in > 1 && in[1]->count != hidden)) {
    return false;
  }
  for (int64_t row = 0; row < eval->options->ranks * in[0]->count / hidden; ++row) {
    const double* x = in[0]->at + row * hidden;
    const double* weight = p->n_in > 1 ? in[1]->at + row / (in[0]->count / hidden) * hidden : NULL;
    double sum = 0;
    for (int64_t i = 0; i < hidden; ++i) {
      sum += x[i] * x[i];
    }
    double root = fiarEvalCoarse(
        eval, (float)(1 / sqrt((double)((float)(sum / (double)hidden) + (float)p->number))));
    for (int64_t i = 0; i < hidden; ++i) {
      double normal = (float)(x[i] * root);
      normal = p->before_weight ? fiarElementRound(in[0]->shape.elem, normal) : normal;
      out->at[row * hidden + i] =
          fiarElementRound(out->shape.elem, weight == NULL ? normal : (float)(normal * weight[i]));
    }
  }
  return true;
}

static bool compute_constant(FiarEval* eval, const FiarPrimitive* p, FiarTensor* out) {
  for (int64_t i = 0; p->has_number && i < eval->options->ranks * out->count; ++i) {
    out->at[i] = p->number;
  }
  return p->has_number;
}

static bool compute_into(FiarEval* eval, const FiarPrimitive* p, const FiarTensor* const* in,
                         FiarTensor* out) {
  for (size_t i = 0; i < sizeof unaries / sizeof *unaries; ++i) {
    if (unaries[i].kind == p->kind && p->n_in == 1) {
      compute_unary(eval, p, in[0], out, unaries[i].of);
      return true;
    }
  }
  for (size_t i = 0; i < sizeof binaries / sizeof *binaries; ++i) {
    if (binaries[i].kind == p->kind && (p->n_in == 2 || p->has_number)) {
      compute_binary(eval, p, in, out, binaries[i].of);
      return true;
    }
  }
  int64_t map[FIAR_MAX_RANK];
  switch (p->kind) {
    case FIAR_PRIM_CONSTANT:
      return compute_constant(eval, p, out);
    case FIAR_PRIM_BITCAST:
      return in[0]->count == out->count && compute_bitcast(eval, in[0], out);
    case FIAR_PRIM_SELECT:
    case FIAR_PRIM_CLAMP:
      if (p->n_in != 3 && !(p->n_in == 1 && p->has_number)) {
        return false;
      }
      compute_three(eval, p, in, out);
      return true;
    case FIAR_PRIM_REDUCE_ADD:
    case FIAR_PRIM_REDUCE_MAX:
    case FIAR_PRIM_REDUCE_MEAN:
      return compute_reduce(eval, p, in, out);
    case FIAR_PRIM_RESHAPE:
      if (in[0]->count == out->count) {
        memcpy(out->at, in[0]->at, (size_t)(eval->options->ranks * out->count) * sizeof *out->at);
      }
      return in[0]->count == out->count;
    case FIAR_PRIM_BROADCAST:
    case FIAR_PRIM_TRANSPOSE:
      if (!moves_fit(p, in[0], out, map)) {
        return false;
      }
      compute_moved(eval, in[0], map, out);
      return true;
    case FIAR_PRIM_PAD:
      return p->n_in == 2 && compute_pad(eval, in, out);
    case FIAR_PRIM_SLICE:
      return compute_slice(eval, p, in[0], out);
    case FIAR_PRIM_REDUCE_DOT:
      return p->n_in == 2 && compute_row_products(eval, in, out);
    case FIAR_PRIM_BATCH_MUL:
      return compute_outer(eval, p, in, out);
    case FIAR_PRIM_RMS_NORM:
      return compute_rms_norm(eval, p, in, out);
    default:
      return false;
  }
}

// Moving and widening keep a norm a norm; anything else that is computed from one is derived.
static FiarTaint taint_of(const FiarPrimitive* p, const FiarTensor* const* in) {
  FiarTaint taint = FIAR_TAINT_EXACT;
  for (int i = 0; i < p->n_in; ++i) {
    taint = in[i]->taint > taint ? in[i]->taint : taint;
  }
  bool moves = p->kind == FIAR_PRIM_PAD || p->kind == FIAR_PRIM_SLICE ||
               p->kind == FIAR_PRIM_RESHAPE || p->kind == FIAR_PRIM_BROADCAST ||
               p->kind == FIAR_PRIM_TRANSPOSE;
  return taint == FIAR_TAINT_NORM && !moves ? FIAR_TAINT_DERIVED : taint;
}

// The operand as large as the result, right-aligned. False: no memory; *out_fits false: it is none.
static bool broadcast_operand(FiarEval* eval, const FiarShape* shape, int64_t count,
                              FiarTensor* operand, bool* out_fits) {
  int64_t map[FIAR_MAX_RANK] = {0};
  int shift = shape->rank - operand->shape.rank;
  *out_fits = shift >= 0;
  for (int d = 0; *out_fits && d < operand->shape.rank; ++d) {
    map[d] = d + shift;
    *out_fits = operand->shape.size[d] == 1 || operand->shape.size[d] == shape->size[map[d]];
  }
  if (!*out_fits) {
    return true;
  }
  FiarTensor whole = *operand;
  whole.shape = *shape;
  whole.shape.elem = operand->shape.elem;
  whole.count = count;
  whole.at = fiarEvalRoom(eval, count);
  if (whole.at == NULL) {
    return false;
  }
  compute_moved(eval, operand, map, &whole);
  *operand = whole;
  return true;
}

bool fiarEvalCompute(FiarEval* eval, const FiarPrimitive* p, bool* out_done) {
  *out_done = false;
  FiarTensor held[FIAR_MAX_INPUTS] = {{.count = 0}};
  const FiarTensor* const in[FIAR_MAX_INPUTS] = {&held[0], &held[1], &held[2], &held[3]};
  for (int i = 0; i < p->n_in; ++i) {
    const FiarTensor* found = fiarEvalFind(eval, p->in[i]);
    if (found == NULL) {
      return true;
    }
    held[i] = *found;
  }
  FiarTensor out = {0};
  if (mlirOperationGetNumResults(p->op) != 1 ||
      !fiarEvalShape(mlirOperationGetResult(p->op, 0), p->n_in > 0 ? in[0] : NULL, &out.shape)) {
    return true;
  }
  if (eval->space != NULL && p->n_in > 0) {
    const FiarElement elem = out.shape.elem;
    out.shape = *eval->space;
    out.shape.elem = elem;
  }
  out.count = fiarShapeElements(&out.shape);
  // Elementwise ops take tensors of one size, or of one element.
  bool elementwise =
      (p->kind >= FIAR_PRIM_ADD && p->kind <= FIAR_PRIM_CLAMP) || p->kind == FIAR_PRIM_CONVERT;
  for (int i = 0; i < p->n_in && p->broadcasts; ++i) {
    bool fits = true;
    if (held[i].count != out.count &&
        !broadcast_operand(eval, &out.shape, out.count, &held[i], &fits)) {
      return false;
    }
    if (!fits) {
      return true;
    }
  }
  for (int i = 0; i < p->n_in; ++i) {
    if (elementwise && in[i]->count != out.count && in[i]->count != 1) {
      return true;
    }
  }
  out.at = fiarEvalRoom(eval, out.count);
  if (out.at == NULL) {
    return false;
  }
  *out_done = compute_into(eval, p, in, &out);
  out.taint = taint_of(p, in);
  return !*out_done || fiarEvalBind(eval, mlirOperationGetResult(p->op, 0), &out);
}

// Where each rank's slice starts along a dimension: within the tensor, as StableHLO clamps it.
static bool slice_start(const FiarTensor* start, int rank, int64_t room, int64_t* out_at) {
  const double at = start->at[start->count == 1 ? rank : 0];
  *out_at = at > (double)room ? room : at > 0 ? (int64_t)at : 0;
  return start->count == 1 && !isnan(at);
}

// A stack of matrices is not worth its elements: what nothing asks for is never made up.
static bool is_small(MlirValue value) {
  enum { MOST = 1 << 20 };
  FiarShape shape;
  return fiarShapeRead(mlirValueGetType(value), &shape) && fiarShapeElements(&shape) <= MOST;
}

bool fiarEvalDynamicSlice(FiarEval* eval, MlirOperation op, bool* out_done) {
  *out_done = false;
  if (!is_small(mlirOperationGetOperand(op, 0))) {
    return true;
  }
  const FiarTensor* found = fiarEvalFind(eval, mlirOperationGetOperand(op, 0));
  FiarTensor in = found == NULL ? (FiarTensor){0} : *found, out = {.taint = in.taint};
  const int dims = in.shape.rank;
  if (found == NULL || mlirOperationGetNumOperands(op) != 1 + dims ||
      !fiarEvalShape(mlirOperationGetResult(op, 0), NULL, &out.shape) || out.shape.rank != dims) {
    return true;
  }
  out.count = fiarShapeElements(&out.shape);
  out.at = fiarEvalRoom(eval, out.count);
  if (out.at == NULL) {
    return false;
  }
  int64_t from[FIAR_MAX_RANK], to[FIAR_MAX_RANK];
  fiarShapeStrides(&in.shape, from);
  fiarShapeStrides(&out.shape, to);
  for (int rank = 0; rank < eval->options->ranks; ++rank) {
    int64_t first = 0;
    for (int d = 0; d < dims; ++d) {
      const FiarTensor* start = fiarEvalFind(eval, mlirOperationGetOperand(op, 1 + d));
      int64_t at;
      const int64_t room = in.shape.size[d] - out.shape.size[d];
      if (start == NULL || room < 0 || !slice_start(start, rank, room, &at)) {
        return true;
      }
      first += at * from[d];
    }
    for (int64_t i = 0; i < out.count; ++i) {
      int64_t at = first;
      for (int d = 0; d < dims; ++d) {
        at += i / to[d] % out.shape.size[d] * from[d];
      }
      out.at[rank * out.count + i] = in.at[rank * in.count + at];
    }
  }
  *out_done = true;
  return fiarEvalBind(eval, mlirOperationGetResult(op, 0), &out);
}
