// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Scales that are powers of two, computed from the bits of amax / 448 or of amax. Sources spell the
// rounding in many ways (shifts and masks, an added mantissa, selects over exponents), so none is
// matched: what the ops compute is worked out for every finite number that is not negative, in
// pieces between which the wanted scale steps, with interval arithmetic on each. A scale is taken
// where every piece gives one number and that number is what docs/numerics.md has; this is a proof,
// whatever the spelling. Logarithms are no part of it: they are not exact at powers of two.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/fuse.h"
#include "mlir-c/BuiltinTypes.h"

enum {
  DENORMAL_PIECES = 4,  // 0; below 2^-127; 2^-127; up to 2^-126
  MANTISSA_BITS = 23,
  BIAS = 127,
  FP8_MAX = 448,
  MX_BLOCK = 32,
};

// The values of one piece, both ends included. low is NaN where nothing is known.
typedef struct interval {
  double low, high;
} interval_t;

static const interval_t unknown = {NAN, NAN};

static interval_t one_number(double number) {
  return (interval_t){number, number};
}

static bool is_one_number(interval_t in) {
  return in.low == in.high;
}

static double float_of_bits(uint32_t bits) {
  float number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

static uint32_t bits_of_float(double number) {
  float narrow = (float)number;
  uint32_t bits;
  memcpy(&bits, &narrow, sizeof bits);
  return bits;
}

// The inputs of a piece: from 2^-126 on, each power of two and what lies between it and the next.
static interval_t inputs_of(int piece) {
  static const uint32_t denormals[DENORMAL_PIECES][2] = {
      {0, 0}, {1, 0x3FFFFF}, {0x400000, 0x400000}, {0x400001, 0x7FFFFF}};
  if (piece < DENORMAL_PIECES) {
    return (interval_t){float_of_bits(denormals[piece][0]), float_of_bits(denormals[piece][1])};
  }
  uint32_t base = (uint32_t)((piece - DENORMAL_PIECES) / 2 + 1) << MANTISSA_BITS;
  bool between = (piece - DENORMAL_PIECES) % 2 != 0;
  return between ? (interval_t){float_of_bits(base + 1), float_of_bits(base + 0x7FFFFF)}
                 : one_number(float_of_bits(base));
}

// ---- types ----

static MlirType element_type(MlirValue value) {
  MlirType type = mlirValueGetType(value);
  return mlirTypeIsARankedTensor(type) ? mlirShapedTypeGetElementType(type) : type;
}

// The bits of an integer, or 0.
static unsigned width_of(MlirType type) {
  return mlirTypeIsAInteger(type) ? mlirIntegerTypeGetWidth(type) : 0;
}

// What does not fit the result's type wraps: nothing is known of it.
static interval_t fitted(interval_t in, MlirType type) {
  unsigned width = width_of(type);
  if (isnan(in.low) || isnan(in.high)) {
    return unknown;
  }
  if (width == 0) {
    return in;
  }
  bool is_unsigned = width == 1 || mlirIntegerTypeIsUnsigned(type);
  double least = is_unsigned ? 0 : -ldexp(1, (int)width - 1);
  double most = ldexp(1, (int)width - !is_unsigned) - 1;
  return width <= 32 && in.low >= least && in.high <= most ? in : unknown;
}

static interval_t bitcast(interval_t in, MlirType from, MlirType to) {
  if (isnan(in.low)) {
    return unknown;
  }
  if (mlirTypeIsAF32(from) && width_of(to) == 32 && !signbit(in.low)) {
    return (interval_t){bits_of_float(in.low), bits_of_float(in.high)};
  }
  if (width_of(from) == 32 && mlirTypeIsAF32(to) && in.low >= 0 && in.high <= 0x7F800000) {
    return (interval_t){float_of_bits((uint32_t)in.low), float_of_bits((uint32_t)in.high)};
  }
  if (width_of(from) == 8 && mlirTypeIsAFloat8E8M0FNU(to) && in.low >= 0 && in.high <= 254) {
    return (interval_t){ldexp(1, (int)in.low - BIAS), ldexp(1, (int)in.high - BIAS)};
  }
  if (mlirTypeIsAFloat8E8M0FNU(from) && width_of(to) == 8) {
    return (interval_t){ilogb(in.low) + BIAS, ilogb(in.high) + BIAS};
  }
  return unknown;
}

static bool is_e8m0(double number) {
  int exponent;
  return number > 0 && frexp(number, &exponent) == 0.5 && exponent > -BIAS && exponent <= BIAS + 1;
}

static interval_t convert(interval_t in, MlirType from, MlirType to) {
  bool integers = width_of(from) != 0 && width_of(to) != 0;
  if (isnan(in.low) || mlirTypeEqual(from, to)) {
    return in;
  }
  if (width_of(to) == 1) {
    return in.low > 0 ? one_number(1) : (interval_t){0, is_one_number(in) && in.low == 0 ? 0 : 1};
  }
  if (integers || (mlirTypeIsAFloat8E8M0FNU(from) && mlirTypeIsAF32(to))) {
    return in;
  }
  if (mlirTypeIsAF32(from) && width_of(to) != 0) {
    return (interval_t){trunc(in.low) + 0.0, trunc(in.high) + 0.0};
  }
  if (width_of(from) != 0 && mlirTypeIsAF32(to)) {
    return (interval_t){(float)in.low, (float)in.high};
  }
  // Conversions to f8E8M0FNU round in several ways: only what needs no rounding is known.
  bool exact = mlirTypeIsAF32(from) && mlirTypeIsAFloat8E8M0FNU(to) && is_e8m0(in.low);
  return exact && is_one_number(in) ? in : unknown;
}

// ---- arithmetic ----

// Monotone in either operand, rounding included, where these keep to one sign.
static double corner(FiarPrimitiveKind kind, double a, double b, bool integers) {
  float x = (float)a, y = (float)b;
  switch (kind) {
    case FIAR_PRIM_ADD:
      return integers ? a + b : x + y;
    case FIAR_PRIM_SUB:
      return integers ? a - b : x - y;
    case FIAR_PRIM_MUL:
      return integers ? a * b : x * y;
    case FIAR_PRIM_DIV:
      return integers || b == 0 ? NAN : x / y;
    case FIAR_PRIM_MAX:
      return a > b ? a : b;
    case FIAR_PRIM_MIN:
      return a < b ? a : b;
    case FIAR_PRIM_SHIFT_LEFT:
      return ldexp(a, (int)b);
    default:
      return floor(ldexp(a, -(int)b));
  }
}

static interval_t arithmetic(FiarPrimitiveKind kind, interval_t a, interval_t b, bool integers) {
  bool shifts = kind == FIAR_PRIM_SHIFT_LEFT || kind == FIAR_PRIM_SHIFT_RIGHT ||
                kind == FIAR_PRIM_SHIFT_RIGHT_SIGNED;
  bool scales = kind == FIAR_PRIM_MUL || kind == FIAR_PRIM_DIV;
  // No negative factors and no negative zeros: their signs would be lost here. What is not negative
  // has a sign of 0, so both right shifts are one.
  if (((shifts || scales) && (a.low < 0 || b.low < 0)) || (shifts && b.high > 31) ||
      (!integers && ((a.low == 0 && signbit(a.low)) || (b.low == 0 && signbit(b.low))))) {
    return unknown;
  }
  const double ends[4] = {
      corner(kind, a.low, b.low, integers), corner(kind, a.low, b.high, integers),
      corner(kind, a.high, b.low, integers), corner(kind, a.high, b.high, integers)};
  interval_t out = {ends[0], ends[0]};
  for (int i = 0; i < 4; ++i) {
    if (isnan(ends[i])) {
      return unknown;
    }
    out.low = ends[i] < out.low ? ends[i] : out.low;
    out.high = ends[i] > out.high ? ends[i] : out.high;
  }
  return out;
}

// x & mask: the bits that all x share are known; the others must be all kept or all dropped.
static interval_t masked(interval_t in, interval_t mask) {
  if (is_one_number(in)) {
    interval_t swapped = in;
    in = mask;
    mask = swapped;
  }
  if (!is_one_number(mask) || in.low < 0) {
    return unknown;
  }
  uint64_t low = (uint64_t)in.low, high = (uint64_t)in.high, kept = (uint64_t)(int64_t)mask.low;
  uint64_t varying = 0;
  while ((low | varying) != (high | varying)) {
    varying = varying << 1 | 1;
  }
  if ((kept & varying) != 0 && (kept & varying) != varying) {
    return unknown;
  }
  return (interval_t){(double)(low & kept), (double)(high & kept)};
}

static interval_t either(interval_t a, interval_t b, MlirType type) {
  if (width_of(type) == 1) {
    return (interval_t){fmax(a.low, b.low), fmax(a.high, b.high)};
  }
  bool known = is_one_number(a) && is_one_number(b) && a.low >= 0 && b.low >= 0;
  return known ? one_number((double)((uint64_t)a.low | (uint64_t)b.low)) : unknown;
}

// Always 1, never 1, or neither.
static interval_t truth(bool always, bool never) {
  return (interval_t){always ? 1 : 0, never ? 0 : 1};
}

static interval_t combine(FiarPrimitiveKind kind, interval_t a, interval_t b, MlirType type) {
  bool apart = a.high < b.low || b.high < a.low;
  bool same = is_one_number(a) && is_one_number(b) && a.low == b.low;
  if (isnan(a.low) || isnan(b.low)) {
    return unknown;
  }
  switch (kind) {
    case FIAR_PRIM_EQUAL:
      return truth(same, apart);
    case FIAR_PRIM_NOT_EQUAL:
      return truth(apart, same);
    case FIAR_PRIM_LESS:
      return truth(a.high < b.low, a.low >= b.high);
    case FIAR_PRIM_LESS_EQUAL:
      return truth(a.high <= b.low, a.low > b.high);
    case FIAR_PRIM_AND:
      return masked(a, b);
    case FIAR_PRIM_OR:
      return either(a, b, type);
    default:
      return arithmetic(kind, a, b, width_of(type) != 0);
  }
}

// ---- terms ----

static FiarPieces* pieces_new(FiarFusion* fusion) {
  FiarPieces* pieces = malloc(sizeof *pieces);
  if (pieces == NULL) {
    fusion->failed = true;
    return NULL;
  }
  pieces->next = fusion->pieces;
  fusion->pieces = pieces;
  return pieces;
}

void fiarPiecesClear(FiarFusion* fusion) {
  while (fusion->pieces != NULL) {
    FiarPieces* next = fusion->pieces->next;
    free(fusion->pieces);
    fusion->pieces = next;
  }
}

// What a term holds where the input is in this piece.
static interval_t piece_of(const FiarTerm* term, int piece) {
  switch (term->role) {
    case FIAR_ROLE_CONST:
      return one_number(term->number);
    case FIAR_ROLE_POWER:
      return (interval_t){term->pieces->low[piece], term->pieces->high[piece]};
    default:
      return inputs_of(piece);
  }
}

static void piece_set(FiarPieces* pieces, int piece, interval_t to) {
  pieces->low[piece] = to.low;
  pieces->high[piece] = to.high;
}

// Both come from one scale, or one of them is a constant.
static bool one_source(const FiarTerm* a, const FiarTerm* b) {
  bool constant = a->role == FIAR_ROLE_CONST || b->role == FIAR_ROLE_CONST;
  return constant || (a->bits_of == b->bits_of && a->number == b->number &&
                      fiarSameFacts(&a->facts, &b->facts));
}

bool fiarPowerCast(FiarRuleContext* context, const FiarTerm* in, FiarTerm* out) {
  MlirType from = element_type(context->primitive->in[0]);
  MlirType to = element_type(mlirOperationGetResult(context->primitive->op, 0));
  bool casts = context->primitive->kind == FIAR_PRIM_BITCAST;
  FiarPieces* pieces = pieces_new(context->fusion);
  for (int i = 0; pieces != NULL && i < FIAR_PIECES; ++i) {
    interval_t piece = piece_of(in, i);
    piece_set(pieces, i, fitted(casts ? bitcast(piece, from, to) : convert(piece, from, to), to));
  }
  if (in->role != FIAR_ROLE_POWER) {
    out->bits_of = in->role;
    out->facts.scales = (MlirValue){NULL};
  }
  out->role = FIAR_ROLE_POWER;
  out->pieces = pieces;
  return pieces != NULL;
}

static bool bitcast_term(FiarRuleContext* context, const FiarTerm* in, const FiarTerm* none,
                         FiarTerm* out) {
  (void)none;
  bool narrow = in->role != FIAR_ROLE_POWER && in->layout.shape.elem != FIAR_ELEM_F32;
  return !narrow && fiarPowerCast(context, in, out);
}

static bool combine_terms(FiarRuleContext* context, const FiarTerm* a, const FiarTerm* b,
                          FiarTerm* out) {
  MlirType type = element_type(mlirOperationGetResult(context->primitive->op, 0));
  FiarPieces* pieces = one_source(a, b) ? pieces_new(context->fusion) : NULL;
  for (int i = 0; pieces != NULL && i < FIAR_PIECES; ++i) {
    interval_t piece = combine(context->primitive->kind, piece_of(a, i), piece_of(b, i), type);
    piece_set(pieces, i, fitted(piece, type));
  }
  out->pieces = pieces;
  return pieces != NULL;
}

static bool invert_term(FiarRuleContext* context, const FiarTerm* in, const FiarTerm* none,
                        FiarTerm* out) {
  (void)none;
  FiarPieces* pieces = pieces_new(context->fusion);
  for (int i = 0; pieces != NULL && i < FIAR_PIECES; ++i) {
    interval_t piece = piece_of(in, i);
    piece_set(pieces, i, (interval_t){1 - piece.high, 1 - piece.low});
  }
  out->pieces = pieces;
  return pieces != NULL;
}

static bool may_choose(const FiarTerm* term) {
  return term->role == FIAR_ROLE_POWER || term->role == FIAR_ROLE_CONST;
}

bool fiarPowerSelect(FiarRuleContext* context, const FiarTerm* pred, const FiarTerm* a,
                     const FiarTerm* b, FiarTerm* out) {
  bool known = may_choose(a) && may_choose(b) && one_source(pred, a) && one_source(pred, b);
  FiarPieces* pieces = known ? pieces_new(context->fusion) : NULL;
  for (int i = 0; pieces != NULL && i < FIAR_PIECES; ++i) {
    interval_t which = piece_of(pred, i);
    piece_set(pieces, i, !is_one_number(which) ? unknown : piece_of(which.low != 0 ? a : b, i));
  }
  *out = *pred;
  out->layout = context->layout;
  out->layout.shape.elem = context->elem;
  out->pieces = pieces;
  return pieces != NULL;
}

bool fiarPowerClamp(FiarRuleContext* context, const FiarTerm* low, const FiarTerm* in,
                    const FiarTerm* high, FiarTerm* out) {
  FiarPieces* pieces = pieces_new(context->fusion);
  for (int i = 0; pieces != NULL && i < FIAR_PIECES; ++i) {
    interval_t piece = piece_of(in, i);
    piece_set(pieces, i,
              isnan(piece.low) ? unknown
                               : (interval_t){fmin(fmax(piece.low, low->number), high->number),
                                              fmin(fmax(piece.high, low->number), high->number)});
  }
  *out = *in;
  out->pieces = pieces;
  return pieces != NULL;
}

// ---- the scale ----

// docs/numerics.md: amax / 448 rounded up to a power of two, or amax rounded down to one and
// divided by that of the codes' largest value; within 2^-127 .. 2^127.
static double wanted(fiar_quant_t quant, int piece) {
  interval_t in = inputs_of(piece);
  if (in.low == 0) {
    return ldexp(1, -BIAS);
  }
  int above;
  bool power = frexp(in.low, &above) == 0.5 && is_one_number(in);
  int exponent = quant == FIAR_QUANT_FP8_GROUP ? above - power
                 : quant == FIAR_QUANT_MXFP8   ? above - 1 - 8
                                               : above - 1 - 2;
  exponent = exponent < -BIAS ? -BIAS : exponent > BIAS ? BIAS : exponent;
  return ldexp(1, exponent);
}

// Whether the term is the quantiser's scale (or its reciprocal) for every input that there is: from
// the floor to the largest number, divided by 448 where amax is.
static bool is_scale(const FiarTerm* term, fiar_quant_t quant, bool reciprocal) {
  bool divided = quant == FIAR_QUANT_FP8_GROUP;
  double least = divided ? term->facts.scale_min : 0;
  double most = divided ? fmax(FLT_MAX / FP8_MAX, least) : FLT_MAX;
  for (int i = 0; i < FIAR_PIECES; ++i) {
    double scale = wanted(quant, i);
    interval_t piece = piece_of(term, i);
    if (inputs_of(i).high >= least && inputs_of(i).low <= most &&
        !(is_one_number(piece) && piece.low == (reciprocal ? 1 / scale : scale))) {
      return false;
    }
  }
  return true;
}

// Which quantiser this is the scale of; NONE for no scale.
static fiar_quant_t quant_of(const FiarTerm* term, bool reciprocal) {
  const FiarFacts* facts = &term->facts;
  if (term->bits_of == FIAR_ROLE_STEP) {
    bool group = term->number == FP8_MAX && facts->group_size > 0 && !fiarIsValue(facts->scale);
    return group && is_scale(term, FIAR_QUANT_FP8_GROUP, reciprocal) ? FIAR_QUANT_FP8_GROUP
                                                                     : FIAR_QUANT_NONE;
  }
  if (facts->group_size != MX_BLOCK || term->number != 0) {
    return FIAR_QUANT_NONE;
  }
  return is_scale(term, FIAR_QUANT_MXFP8, reciprocal)   ? FIAR_QUANT_MXFP8
         : is_scale(term, FIAR_QUANT_MXFP4, reciprocal) ? FIAR_QUANT_MXFP4
                                                        : FIAR_QUANT_NONE;
}

bool fiarIsPowerScale(const FiarTerm* term, const FiarFacts* facts) {
  return term->role == FIAR_ROLE_POWER && term->layout.shape.elem == FIAR_ELEM_F8E8M0FNU &&
         fiarLayoutIsPerBlock(&term->layout) && facts->scale_type == FIAR_SCALE_TYPE_UE8M0 &&
         fiarSameNorm(&term->facts, facts) && term->facts.group_size == facts->group_size &&
         term->facts.scale_min == facts->scale_min && quant_of(term, false) == facts->quant;
}

// norm / scale or norm * (1 / scale), which is the same: powers of two divide exactly.
static bool apply_power(FiarRuleContext* context, const FiarTerm* norm, const FiarTerm* scale,
                        FiarTerm* out) {
  fiar_quant_t quant = quant_of(scale, context->primitive->kind == FIAR_PRIM_MUL);
  if (context->elem != FIAR_ELEM_F32 || !fiarSameNorm(&norm->facts, &scale->facts) ||
      !fiarQuantReadsNorm(context, norm)) {
    return false;
  }
  if (scale->facts.group_size == 0) {
    fiarRefuse(context->fusion, scale, context->primitive->op,
               "one power of two scales a whole row, which cannot be said");
    return false;
  }
  if (quant == FIAR_QUANT_NONE) {
    fiarRefuse(context->fusion, scale, context->primitive->op,
               "the scale's bits are not those of amax / 448 rounded up to a power of two, nor of "
               "an mx scale, for every amax");
    return false;
  }
  out->facts.quant = quant;
  out->facts.scale_type = FIAR_SCALE_TYPE_UE8M0;
  out->facts.scale_is = FIAR_SCALE_IS_DIVISOR;
  out->number = 0;
  out->clamped = false;
  return true;
}

#define ROW(kind, a, b, to, apply) \
  {FIAR_PRIM_##kind, FIAR_ROLE_##a, FIAR_ROLE_##b, FIAR_ROLE_##to, apply, NULL},
#define ROWS_POWER(kind)                        \
  ROW(kind, POWER, CONST, POWER, combine_terms) \
  ROW(kind, CONST, POWER, POWER, combine_terms) \
  ROW(kind, POWER, POWER, POWER, combine_terms)

// clang-format off
const FiarRule fiar_power_rules[] = {
    ROW(BITCAST, STEP, OUTSIDE, POWER, bitcast_term)
    ROW(BITCAST, AMAX, OUTSIDE, POWER, bitcast_term)
    ROW(BITCAST, POWER, OUTSIDE, POWER, bitcast_term)
    ROWS_POWER(ADD) ROWS_POWER(SUB) ROWS_POWER(MUL) ROWS_POWER(DIV) ROWS_POWER(MAX) ROWS_POWER(MIN)
    ROWS_POWER(SHIFT_LEFT) ROWS_POWER(SHIFT_RIGHT) ROWS_POWER(SHIFT_RIGHT_SIGNED)
    ROWS_POWER(AND) ROWS_POWER(OR)
    ROWS_POWER(EQUAL) ROWS_POWER(NOT_EQUAL) ROWS_POWER(LESS) ROWS_POWER(LESS_EQUAL)
    ROW(NOT, POWER, OUTSIDE, POWER, invert_term)
    ROW(DIV, NORM, POWER, SCALED, apply_power)
    ROW(DIV, NORMED, POWER, SCALED, apply_power)
    ROW(MUL, NORM, POWER, SCALED, apply_power)
    ROW(MUL, NORMED, POWER, SCALED, apply_power)
    {FIAR_PRIM_UNKNOWN, FIAR_ROLE_OUTSIDE, FIAR_ROLE_OUTSIDE, FIAR_ROLE_OUTSIDE, NULL, NULL},
};
// clang-format on
