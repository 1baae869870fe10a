// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reshapes and transposes that put a quantiser's scales into one of the runtime's layouts
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

// The layout that m rows of k scales have in this order; linear for any other order.
static fiar_scale_layout_t layout_of(const digits_t* digits, bool one_byte, int64_t m, int64_t k) {
  const digit_t by_128[] = {{m / 128, 128 * k}, {k / 4, 4}, {32, k}, {4, 32 * k}, {4, 1}};
  const digit_t by_8[] = {{m / 8, 8 * k}, {k / 4, 4}, {8, k}, {4, 1}};
  const digit_t by_column[] = {{k, 1}, {m, k}};
  if (one_byte && m % 128 == 0 && k % 4 == 0 && same_order(digits, by_128, 5)) {
    return FIAR_SCALE_LAYOUT_SWIZZLED_128X4;
  }
  if (one_byte && m % 8 == 0 && k % 4 == 0 && same_order(digits, by_8, 4)) {
    return FIAR_SCALE_LAYOUT_SWIZZLED_8X4;
  }
  return !one_byte && m % 4 == 0 && same_order(digits, by_column, 2)
             ? FIAR_SCALE_LAYOUT_COLUMN_MAJOR
             : FIAR_SCALE_LAYOUT_LINEAR;
}

static bool move(FiarFusion* fusion, MlirOperation op, MlirBlock block, digits_t* digits) {
  FiarShape shape;
  FiarPrimitive p = fiarPrimitiveRead(&fusion->view, op);
  if (!mlirBlockEqual(mlirOperationGetBlock(op), block) || mlirOperationGetNumOperands(op) != 1 ||
      mlirOperationGetNumResults(op) != 1 ||
      !fiarShapeRead(mlirValueGetType(mlirOperationGetResult(op, 0)), &shape) ||
      fiarShapeElements(&shape) < 0) {
    return false;
  }
  if (p.kind == FIAR_PRIM_IDENTITY) {
    return true;
  }
  if (p.kind == FIAR_PRIM_RESHAPE) {
    return reshape(digits, &shape);
  }
  if (p.kind != FIAR_PRIM_TRANSPOSE || p.n_dims != digits->rank) {
    return false;
  }
  transpose(digits, p.dims);
  return true;
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
  digits_t digits = {.n = 1, .at = {{m * k, 1}}};
  if (!reshape(&digits, &shape)) {
    return best;
  }
  for (MlirValue at = scales;;) {
    MlirOperation user = only_user(fusion, at);
    if (mlirOperationIsNull(user) || !move(fusion, user, block, &digits)) {
      return best;
    }
    at = mlirOperationGetResult(user, 0);
    uint32_t term = fiarTermIndexOf(fusion, at, 0);
    if (term == UINT32_MAX || !fiarMemberAdd(fusion, anchor, at, term)) {
      return best;
    }
    fiar_scale_layout_t layout = layout_of(&digits, facts->scale_type != FIAR_SCALE_TYPE_F32, m, k);
    if (layout != FIAR_SCALE_LAYOUT_LINEAR) {
      *out_layout = layout;
      best = at;
    }
  }
}
