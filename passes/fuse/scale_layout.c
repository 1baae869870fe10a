// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reshapes, transposes and paddings that put a quantiser's scales into one of the runtime's layouts
// (docs/numerics.md, "Scale layouts"). What such a chain does is written as digits, whatever its
// spelling: each has a size and the distance, in the rows' order, between its places.
#include "fuse/fuse.h"

enum { MAX_DIGITS = 32 };

typedef struct digit {
  int64_t size, stride;
} digit_t;

// Dimension d has the digits from first[d] to first[d + 1], the outermost first.
typedef struct digits {
  int n, rank;
  int first[FIAR_MAX_RANK + 1];
  digit_t at[MAX_DIGITS];
} digits_t;

// Takes `size` elements off the innermost end of at[0 .. *n), splitting a digit where needed, and
// puts their digits, innermost first, behind *to.
static bool take(digit_t* at, int* n, int64_t size, digits_t* to) {
  while (size > 1) {
    if (*n == 0 || to->n == MAX_DIGITS) {
      return false;
    }
    digit_t* last = &at[*n - 1];
    int64_t part = last->size <= size ? last->size : size;
    if (size % part != 0 || last->size % part != 0) {
      return false;
    }
    to->at[to->n++] = (digit_t){part, last->stride};
    size /= part;
    last->size /= part;
    last->stride *= part;
    *n -= last->size == 1;
  }
  return true;
}

static bool reshape(digits_t* digits, const FiarShape* to) {
  digits_t reversed = {.rank = to->rank}, out = {.rank = to->rank};
  for (int d = to->rank - 1; d >= 0; --d) {
    reversed.first[to->rank - 1 - d] = reversed.n;
    if (!take(digits->at, &digits->n, to->size[d], &reversed)) {
      return false;
    }
  }
  reversed.first[to->rank] = reversed.n;
  for (int d = 0; d <= to->rank; ++d) {
    out.first[d] = reversed.n - reversed.first[to->rank - d];
  }
  for (out.n = 0; out.n < reversed.n; ++out.n) {
    out.at[out.n] = reversed.at[reversed.n - 1 - out.n];
  }
  *digits = out;
  return true;
}

static void transpose(digits_t* digits, const int64_t* permutation) {
  digits_t out = {.rank = digits->rank};
  for (int d = 0; d < out.rank; ++d) {
    out.first[d] = out.n;
    for (int i = digits->first[permutation[d]]; i < digits->first[permutation[d] + 1]; ++i) {
      out.at[out.n++] = digits->at[i];
    }
  }
  out.first[out.rank] = out.n;
  *digits = out;
}

// Neighbours that walk on are one digit; gives the number left.
static int merged(const digit_t* in, int n, digit_t* out) {
  int count = 0;
  for (int i = 0; i < n; ++i) {
    if (in[i].size == 1) {
      continue;
    }
    if (count > 0 && out[count - 1].stride == in[i].stride * in[i].size) {
      out[count - 1] = (digit_t){out[count - 1].size * in[i].size, in[i].stride};
    } else {
      out[count++] = in[i];
    }
  }
  return count;
}

static bool same_order(const digits_t* digits, const digit_t* wanted, int n) {
  digit_t a[MAX_DIGITS], b[MAX_DIGITS];
  int count = merged(digits->at, digits->n, a);
  if (count != merged(wanted, n, b)) {
    return false;
  }
  for (int i = 0; i < count; ++i) {
    if (a[i].size != b[i].size || a[i].stride != b[i].stride) {
      return false;
    }
  }
  return true;
}

// m rows of k scales, padded to m_padded rows of k_padded, and where their elements have gone.
typedef struct moved {
  int64_t m, k, m_padded, k_padded;
  bool one_byte, padded, transposed;
  digits_t digits;
} moved_t;

static int64_t up(int64_t number, int64_t multiple) {
  return (number + multiple - 1) / multiple * multiple;
}

// The layout that the scales have in this order; linear for any other order, and for rows that only
// reshapes moved: four columns of whole tiles lie in swizzled_8x4 as they do in none.
static fiar_scale_layout_t layout_of(const moved_t* moved) {
  const digits_t* digits = &moved->digits;
  int64_t m = moved->m_padded, k = moved->k_padded;
  const digit_t by_128[] = {{m / 128, 128 * k}, {k / 4, 4}, {32, k}, {4, 32 * k}, {4, 1}};
  const digit_t by_8[] = {{m / 8, 8 * k}, {k / 4, 4}, {8, k}, {4, 1}};
  const digit_t by_column[] = {{k, 1}, {m, k}};
  if (!moved->padded && !moved->transposed) {
    return FIAR_SCALE_LAYOUT_LINEAR;
  }
  bool by_fours = moved->one_byte && k == up(moved->k, 4);
  if (by_fours && m == up(moved->m, 128) && same_order(digits, by_128, 5)) {
    return FIAR_SCALE_LAYOUT_SWIZZLED_128X4;
  }
  if (by_fours && m == up(moved->m, 8) && same_order(digits, by_8, 4)) {
    return FIAR_SCALE_LAYOUT_SWIZZLED_8X4;
  }
  bool column = !moved->one_byte && k == moved->k && m == up(moved->m, 4);
  return column && same_order(digits, by_column, 2) ? FIAR_SCALE_LAYOUT_COLUMN_MAJOR
                                                    : FIAR_SCALE_LAYOUT_LINEAR;
}

// Whether the value's bytes are zero: a constant, by way of what only moves or widens it. In a
// function, its arguments are those of `call`.
static bool is_zero(FiarFusion* fusion, MlirValue value, MlirOperation call) {
  enum { MAX_STEPS = 8 };
  for (int i = 0; i < MAX_STEPS; ++i) {
    if (mlirValueIsABlockArgument(value)) {
      intptr_t number = mlirBlockArgumentGetArgNumber(value);
      if (mlirOperationIsNull(call) || number >= mlirOperationGetNumOperands(call)) {
        return false;
      }
      value = mlirOperationGetOperand(call, number);
      call = (MlirOperation){NULL};
      continue;
    }
    FiarPrimitive p = fiarPrimitiveRead(&fusion->view, mlirOpResultGetOwner(value));
    if (p.kind == FIAR_PRIM_CONSTANT) {
      FiarShape shape;
      // The least f8E8M0FNU is the byte zero.
      bool powers =
          fiarShapeRead(mlirValueGetType(value), &shape) && shape.elem == FIAR_ELEM_F8E8M0FNU;
      return p.has_number && (powers ? p.number == 0x1p-127 : p.number == 0);
    }
    if (p.n_in < 1 || (p.kind != FIAR_PRIM_CONVERT && p.kind != FIAR_PRIM_BROADCAST &&
                       p.kind != FIAR_PRIM_RESHAPE)) {
      return false;
    }
    value = p.in[0];
  }
  return false;
}

// Zeros behind the rows and columns, while these are still in order.
static bool pad(moved_t* moved, const FiarShape* shape) {
  const digit_t in_order[] = {{moved->m_padded * moved->k_padded, 1}};
  if (shape->rank != 2 || shape->size[0] < moved->m_padded || shape->size[1] < moved->k_padded ||
      moved->digits.rank != 2 || !same_order(&moved->digits, in_order, 1)) {
    return false;
  }
  moved->m_padded = shape->size[0];
  moved->k_padded = shape->size[1];
  moved->padded = true;
  moved->digits = (digits_t){.n = 1, .at = {{shape->size[0] * shape->size[1], 1}}};
  return reshape(&moved->digits, shape);
}

static bool move_through(FiarFusion* fusion, MlirOperation call, MlirValue from, moved_t* moved);

// One op that uses `from` alone, in the function that `call` calls or, that being null, in the
// module.
static bool move(FiarFusion* fusion, MlirOperation op, MlirValue from, MlirOperation call,
                 moved_t* moved) {
  FiarShape shape;
  FiarPrimitive p = fiarPrimitiveRead(&fusion->view, op);
  if (mlirOperationGetNumResults(op) != 1 ||
      !fiarShapeRead(mlirValueGetType(mlirOperationGetResult(op, 0)), &shape) ||
      fiarShapeElements(&shape) < 0) {
    return false;
  }
  if (p.kind == FIAR_PRIM_CALL) {
    return mlirOperationIsNull(call) && move_through(fusion, op, from, moved);
  }
  if (p.n_in < 1 || !mlirValueEqual(p.in[0], from)) {
    return false;
  }
  switch (p.kind) {
    case FIAR_PRIM_IDENTITY:
      return mlirOperationGetNumOperands(op) == 1;
    case FIAR_PRIM_BITCAST:
      return moved->one_byte;
    case FIAR_PRIM_RESHAPE:
      return mlirOperationGetNumOperands(op) == 1 && reshape(&moved->digits, &shape);
    case FIAR_PRIM_PAD:
      return p.n_in == 2 && is_zero(fusion, p.in[1], call) && pad(moved, &shape);
    case FIAR_PRIM_TRANSPOSE:
      if (p.n_dims != moved->digits.rank) {
        return false;
      }
      transpose(&moved->digits, p.dims);
      moved->transposed = true;
      return true;
    default:
      return false;
  }
}

// What a called function does with one of its arguments, where its result is that.
static bool move_through(FiarFusion* fusion, MlirOperation call, MlirValue from, moved_t* moved) {
  enum { MAX_STEPS = 16 };
  MlirOperation callee = fiarPrimitiveRead(&fusion->view, call).callee;
  MlirRegion region = mlirOperationGetFirstRegion(callee);
  MlirBlock block = mlirRegionIsNull(region) ? (MlirBlock){NULL} : mlirRegionGetFirstBlock(region);
  if (mlirBlockIsNull(block) || !mlirBlockIsNull(mlirBlockGetNextInRegion(block)) ||
      mlirBlockGetNumArguments(block) != mlirOperationGetNumOperands(call)) {
    return false;
  }
  MlirOperation end = mlirBlockGetTerminator(block);
  intptr_t number = 0;
  while (!mlirValueEqual(mlirOperationGetOperand(call, number), from)) {
    ++number;
  }
  MlirValue at = mlirBlockGetArgument(block, number);
  for (int i = 0; i < MAX_STEPS && !mlirOperationIsNull(end); ++i) {
    MlirOpOperand use = mlirValueGetFirstUse(at);
    if (mlirOpOperandIsNull(use) || !mlirOpOperandIsNull(mlirOpOperandGetNextUse(use))) {
      return false;
    }
    MlirOperation user = mlirOpOperandGetOwner(use);
    if (mlirOperationEqual(user, end)) {
      return mlirOperationGetNumOperands(end) == 1;
    }
    if (!move(fusion, user, at, call, moved)) {
      return false;
    }
    at = mlirOperationGetResult(user, 0);
  }
  return false;
}

// The one op that lives and uses the value, or null.
static MlirOperation only_user(const FiarFusion* fusion, MlirValue value) {
  MlirOperation user = {NULL};
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    MlirOperation owner = mlirOpOperandGetOwner(use);
    if (!fiarIsDead(fusion, owner)) {
      if (!mlirOperationIsNull(user)) {
        return (MlirOperation){NULL};
      }
      user = owner;
    }
  }
  return user;
}

MlirValue fiarScalesMoved(FiarFusion* fusion, FiarAnchor* anchor, MlirValue scales,
                          fiar_scale_layout_t* out_layout) {
  const FiarFacts* facts = &anchor->facts;
  MlirBlock block = mlirOperationGetBlock(anchor->op);
  MlirValue best = {NULL};
  FiarShape shape;
  int64_t k = facts->group_size > 0 ? anchor->hidden / facts->group_size : 0;
  if (k == 0 || !fiarShapeRead(mlirValueGetType(scales), &shape) ||
      fiarShapeElements(&shape) <= 0) {
    return best;
  }
  int64_t m = fiarShapeElements(&shape) / k;
  moved_t moved = {.m = m,
                   .k = k,
                   .m_padded = m,
                   .k_padded = k,
                   .one_byte = facts->scale_type != FIAR_SCALE_TYPE_F32,
                   .digits = {.n = 1, .at = {{m * k, 1}}}};
  if (!reshape(&moved.digits, &shape)) {
    return best;
  }
  for (MlirValue at = scales;;) {
    MlirOperation user = only_user(fusion, at);
    if (mlirOperationIsNull(user) || !mlirBlockEqual(mlirOperationGetBlock(user), block) ||
        !move(fusion, user, at, (MlirOperation){NULL}, &moved)) {
      return best;
    }
    at = mlirOperationGetResult(user, 0);
    uint32_t term = fiarTermIndexOf(fusion, at, 0);
    if (term == UINT32_MAX || !fiarMemberAdd(fusion, anchor, at, term)) {
      return best;
    }
    fiar_scale_layout_t layout = layout_of(&moved);
    if (layout != FIAR_SCALE_LAYOUT_LINEAR) {
      *out_layout = layout;
      best = at;
    }
  }
}
