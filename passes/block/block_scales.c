// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Operands of products that are codes times a scale for each block along the contracted dimension:
//
//   %s = reshape (broadcast %scales), %w = multiply (convert %codes), (convert %s)   (in any order)
//
// as jax.lax.scaled_dot's decomposition and programs that dequantise by hand spell it. The product
// is exact in every type that is taken here (a code has at most 4 bits, an e4m3 scale 4, the others
// one), but that bf16 has no room for mx scales below 2^-117 times the smallest codes.
#include <string.h>

#include "block/raise.h"

enum { MAX_MOVES = 16 };

// The broadcasts between a value and what it is made of, from the value on (reshapes leave the
// elements in their order).
typedef struct moves {
  struct {
    FiarShape in, out;
    int64_t dims[FIAR_MAX_RANK];
  } list[MAX_MOVES];
  int count;
  bool f16;  // some type on the way is f16
} moves_t;

static bool is_float(FiarElement elem) {
  return elem == FIAR_ELEM_F16 || elem == FIAR_ELEM_BF16 || elem == FIAR_ELEM_F32;
}

// False: a size is not known, the dimensions are no broadcast's (nobody has verified them), or
// there is no room.
static bool add_broadcast(moves_t* moves, const FiarPrimitive* p) {
  if (moves->count == MAX_MOVES) {
    return false;
  }
  FiarShape *in = &moves->list[moves->count].in, *out = &moves->list[moves->count].out;
  memcpy(moves->list[moves->count].dims, p->dims, sizeof p->dims);
  ++moves->count;
  bool fits = fiarShapeRead(mlirValueGetType(p->in[0]), in) &&
              fiarShapeRead(mlirValueGetType(mlirOperationGetResult(p->op, 0)), out) &&
              fiarShapeElements(in) > 0 && fiarShapeElements(out) > 0 && in->rank == p->n_dims;
  for (int d = 0; fits && d < in->rank; ++d) {
    fits = p->dims[d] >= 0 && p->dims[d] < out->rank &&
           (in->size[d] == 1 || in->size[d] == out->size[p->dims[d]]);
  }
  return fits;
}

// Down to an op that neither moves nor widens; what is rounded there is exact (see above).
static MlirValue walk(FiarRaising* raising, MlirValue value, bool broadcasts, moves_t* moves) {
  for (int depth = 0; depth < MAX_MOVES; ++depth) {
    value = fiarRaiseThrough(raising, value);
    moves->f16 |= fiarValueElement(value) == FIAR_ELEM_F16;
    FiarPrimitive p = fiarRaiseSource(raising, value);
    bool broadcast = p.kind == FIAR_PRIM_BROADCAST && broadcasts;
    bool converted = p.kind == FIAR_PRIM_CONVERT && is_float(fiarValueElement(value));
    if ((p.kind != FIAR_PRIM_RESHAPE && !broadcast && !converted) ||
        (broadcast && !add_broadcast(moves, &p))) {
      break;
    }
    value = p.in[0];
  }
  return value;
}

// Where the i-th element comes from, through all moves.
static int64_t before_moves(const moves_t* moves, int64_t i) {
  for (int k = 0; k < moves->count; ++k) {
    const FiarShape *in = &moves->list[k].in, *out = &moves->list[k].out;
    int64_t place[FIAR_MAX_RANK], at = 0;
    for (int d = out->rank - 1; d >= 0; --d) {
      place[d] = i % out->size[d];
      i /= out->size[d];
    }
    for (int d = 0; d < in->rank; ++d) {
      at = at * in->size[d] + (in->size[d] == 1 ? 0 : place[moves->list[k].dims[d]]);
    }
    i = at;
  }
  return i;
}

// Whether the moves take every element to the scale of its block: looked up one by one at the
// places where a digit of the index changes, which is what reshapes and broadcasts can tell apart.
static bool scales_blocks(const moves_t* moves, const FiarShape* operand, int along,
                          int64_t block) {
  int64_t inner = 1, k = operand->size[along];
  for (int d = operand->rank - 1; d > along; --d) {
    inner *= operand->size[d];
  }
  for (int64_t i = 0; i < fiarShapeElements(operand); ++i) {
    int64_t x = i / inner % k, outer = i / inner / k;
    if (before_moves(moves, i) != (outer * (k / block) + x / block) * inner + i % inner) {
      return false;
    }
  }
  return true;
}

// X(codes, scales, block, scale type)
#define FORMATS(X)                    \
  X(F8E4M3FN, F8E8M0FNU, 32, "ue8m0") \
  X(F4E2M1FN, F8E8M0FNU, 32, "ue8m0") \
  X(F4E2M1FN, F8E4M3FN, 16, "e4m3")

const char* fiarRaiseBlockType(MlirValue codes, MlirValue scales, int64_t* out_block) {
  static const struct {
    FiarElement codes, scales;
    int64_t block;
    const char* type;
  } formats[] = {
#define X(codes, scales, block, type) {FIAR_ELEM_##codes, FIAR_ELEM_##scales, block, type},
      FORMATS(X)
#undef X
  };
  FiarElement code = fiarValueElement(codes), scale = fiarValueElement(scales);
  for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i) {
    if (formats[i].codes == code && formats[i].scales == scale) {
      *out_block = formats[i].block;
      return formats[i].type;
    }
  }
  return NULL;
}

// The multiply's operand `code` are the codes, the other one their scales.
static bool take_sides(FiarRaising* raising, const FiarPrimitive* product, int code,
                       const FiarShape* operand, int along, moves_t moves, FiarBlocks* out) {
  int64_t block = 0;
  moves_t none = {0};
  out->codes = walk(raising, product->in[code], false, &none);
  out->scales = walk(raising, product->in[1 - code], true, &moves);
  out->type = fiarRaiseBlockType(out->codes, out->scales, &block);
  FiarShape codes, scales;
  if (out->type == NULL || !fiarShapeRead(mlirValueGetType(out->codes), &codes) ||
      !fiarShapeRead(mlirValueGetType(out->scales), &scales)) {
    return false;
  }
  bool narrow = fiarValueElement(out->scales) == FIAR_ELEM_F8E8M0FNU && (none.f16 || moves.f16);
  return fiarSameSizes(&codes, operand) && !narrow && operand->size[along] % block == 0 &&
         fiarShapeElements(&scales) * block == fiarShapeElements(operand) &&
         scales_blocks(&moves, operand, along, block);
}

bool fiarRaiseBlocks(FiarRaising* raising, MlirValue value, int along, FiarBlocks* out_blocks) {
  FiarShape operand;
  moves_t moves = {0};
  if (!fiarShapeRead(mlirValueGetType(value), &operand) || fiarShapeElements(&operand) < 1) {
    return false;
  }
  FiarPrimitive product = fiarRaiseSource(raising, walk(raising, value, false, &moves));
  // Up to here the elements stay in order: these moves do not count.
  moves.count = 0;
  if (product.kind != FIAR_PRIM_MUL || product.n_in != 2 || product.broadcasts) {
    return false;
  }
  return take_sides(raising, &product, 0, &operand, along, moves, out_blocks) ||
         take_sides(raising, &product, 1, &operand, along, moves, out_blocks);
}
