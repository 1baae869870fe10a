// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fuse/layout.h"

#include <string.h>

static bool is_row(uint8_t label) {
  return label >= FIAR_LABEL_ROW0 && label < FIAR_LABEL_DIM0;
}

bool fiarLayoutOfSum(const FiarShape* shape, FiarLayout* out_layout) {
  *out_layout = (FiarLayout){.shape = *shape};
  if (shape->rank == 0 || shape->size[shape->rank - 1] <= 1) {
    return false;
  }
  uint8_t row = FIAR_LABEL_ROW0;
  for (int i = 0; i + 1 < shape->rank; ++i) {
    out_layout->label[i] = shape->size[i] == 1 ? FIAR_LABEL_ONE : row++;
  }
  out_layout->label[shape->rank - 1] = FIAR_LABEL_HIDDEN;
  return true;
}

FiarLayout fiarLayoutOfBase(const FiarShape* shape) {
  FiarLayout layout = {.shape = *shape};
  for (int i = 0; i < shape->rank; ++i) {
    layout.label[i] = shape->size[i] == 1 ? FIAR_LABEL_ONE : (uint8_t)(FIAR_LABEL_DIM0 + i);
  }
  return layout;
}

bool fiarLayoutBroadcast(const FiarLayout* in, const int64_t* dims, int n_dims,
                         const FiarShape* shape, FiarLayout* out_layout) {
  *out_layout = (FiarLayout){.shape = *shape};
  if (n_dims != in->shape.rank) {
    return false;
  }
  for (int i = 0; i < shape->rank; ++i) {
    out_layout->label[i] = shape->size[i] == 1 ? FIAR_LABEL_ONE : FIAR_LABEL_SAME;
  }
  for (int i = 0; i < n_dims; ++i) {
    if (dims[i] < 0 || dims[i] >= shape->rank) {
      return false;
    }
    if (in->label[i] != FIAR_LABEL_ONE) {
      // A dynamic size stays what it is: the runtime sizes of the combined tensors must agree
      // anyway.
      if (in->shape.size[i] != shape->size[dims[i]]) {
        return false;
      }
      out_layout->label[dims[i]] = in->label[i];
    }
  }
  return true;
}

// The next dimension to the left of `at` that is not ONE, or -1.
static int next_left(const FiarShape* shape, int at) {
  do {
    --at;
  } while (at >= 0 && shape->size[at] == 1);
  return at;
}

static bool rows_in_order(const FiarLayout* layout, int end) {
  uint8_t expected = FIAR_LABEL_ROW0;
  for (int i = 0; i < end; ++i) {
    if (is_row(layout->label[i])) {
      if (layout->label[i] != expected++) {
        return false;
      }
    } else if (layout->label[i] != FIAR_LABEL_ONE) {
      return false;
    }
  }
  return true;
}

// hidden <-> (block, lane) at the right end, and (block, a copy) -> spread. False: no such split
// here, nothing moved.
static bool split_hidden(const FiarLayout* in, int* at_in, FiarLayout* out, int* at_out) {
  int i = *at_in, o = *at_out;
  if (i < 0 || o < 0) {
    return false;
  }
  int o2 = next_left(&out->shape, o), i2 = next_left(&in->shape, i);
  const int64_t *from = in->shape.size, *to = out->shape.size;
  if (in->label[i] == FIAR_LABEL_HIDDEN && o2 >= 0 && to[o] > 0 && to[o2] > 0 &&
      to[o] * to[o2] == from[i]) {
    out->label[o] = FIAR_LABEL_LANE;
    out->label[o2] = FIAR_LABEL_BLOCK;
    *at_in = i2;
    *at_out = next_left(&out->shape, o2);
    return true;
  }
  bool lane = in->label[i] == FIAR_LABEL_LANE;
  if ((lane || in->label[i] == FIAR_LABEL_SAME) && i2 >= 0 && in->label[i2] == FIAR_LABEL_BLOCK &&
      from[i] * from[i2] == to[o]) {
    out->label[o] = lane ? FIAR_LABEL_HIDDEN : FIAR_LABEL_SPREAD;
    *at_in = next_left(&in->shape, i2);
    *at_out = o2;
    return true;
  }
  return false;
}

bool fiarLayoutReshape(const FiarLayout* in, const FiarShape* shape, FiarLayout* out_layout) {
  *out_layout = (FiarLayout){.shape = *shape};
  int i = next_left(&in->shape, in->shape.rank), o = next_left(shape, shape->rank);
  // From the right: equal sizes keep their labels, a split of hidden is named, and what then
  // remains must be rows, which may be factored in any way.
  for (bool rows_kept = false;;) {
    if (split_hidden(in, &i, out_layout, &o)) {
      continue;
    }
    bool rows_left = i < 0 || is_row(in->label[i]);
    if (rows_left && !rows_kept && rows_in_order(in, i + 1)) {
      break;
    }
    if (i < 0 && o < 0) {
      return true;
    }
    if (i < 0 || o < 0 || in->shape.size[i] != shape->size[o] || in->shape.size[i] < 0) {
      return false;
    }
    out_layout->label[o] = in->label[i];
    rows_kept |= is_row(in->label[i]);
    i = next_left(&in->shape, i);
    o = next_left(shape, o);
  }
  if ((i < 0) != (o < 0)) {
    return false;
  }
  int rows = 0;
  for (int k = 0; k <= o; ++k) {
    out_layout->label[k] =
        shape->size[k] == 1 ? FIAR_LABEL_ONE : (uint8_t)(FIAR_LABEL_ROW0 + rows++);
  }
  return true;
}

bool fiarLayoutTranspose(const FiarLayout* in, const int64_t* dims, int n_dims,
                         const FiarShape* shape, FiarLayout* out_layout) {
  *out_layout = (FiarLayout){.shape = *shape};
  if (n_dims != in->shape.rank || n_dims != shape->rank) {
    return false;
  }
  for (int i = 0; i < n_dims; ++i) {
    if (dims[i] < 0 || dims[i] >= n_dims) {
      return false;
    }
    out_layout->label[i] = in->label[dims[i]];
  }
  return true;
}

bool fiarLayoutReduce(const FiarLayout* in, const int64_t* dims, int n_dims, bool keep_dims,
                      const FiarShape* shape, FiarLayout* out_layout, uint32_t* out_removed) {
  *out_layout = (FiarLayout){.shape = *shape};
  *out_removed = 0;
  bool gone[FIAR_MAX_RANK] = {false};
  for (int i = 0; i < n_dims; ++i) {
    int64_t dim = dims[i] < 0 ? dims[i] + in->shape.rank : dims[i];
    if (dim < 0 || dim >= in->shape.rank) {
      return false;
    }
    gone[dim] = true;
    *out_removed |= UINT32_C(1) << in->label[dim];
  }
  int rank = 0;
  for (int i = 0; i < in->shape.rank; ++i) {
    if (gone[i] && !keep_dims) {
      continue;
    }
    if (rank == shape->rank) {
      return false;
    }
    out_layout->label[rank++] = gone[i] ? FIAR_LABEL_ONE : in->label[i];
  }
  return rank == shape->rank;
}

bool fiarLayoutGatherRows(const FiarLayout* in, int64_t dim, const FiarShape* shape,
                          FiarLayout* out_layout) {
  *out_layout = (FiarLayout){.shape = *shape};
  if (in->shape.rank != shape->rank || dim < 0 || dim >= shape->rank ||
      (in->label[dim] != FIAR_LABEL_ONE && in->label[dim] != FIAR_LABEL_ROW0)) {
    return false;
  }
  // Where each block is one row along `dim`, that is a new dimension of rows, before the others.
  const uint8_t shift = in->label[dim] == FIAR_LABEL_ONE ? 1 : 0;
  for (int i = 0; i < shape->rank; ++i) {
    if ((i < dim && in->label[i] != FIAR_LABEL_ONE) ||
        (i != dim && in->shape.size[i] != shape->size[i])) {
      return false;
    }
    const uint8_t label = (uint8_t)(in->label[i] + (is_row(in->label[i]) ? shift : 0));
    out_layout->label[i] = i == dim ? FIAR_LABEL_ROW0 : label;
  }
  return true;
}

static bool spreads_over(uint8_t label, uint8_t other) {
  return label == FIAR_LABEL_SPREAD && other == FIAR_LABEL_HIDDEN;
}

bool fiarLayoutJoin(const FiarLayout* a, const FiarLayout* b, FiarLayout* out_layout) {
  *out_layout = *a;
  if (!fiarSameSizes(&a->shape, &b->shape)) {
    return false;
  }
  for (int i = 0; i < a->shape.rank; ++i) {
    if (a->label[i] == FIAR_LABEL_SAME || spreads_over(a->label[i], b->label[i])) {
      out_layout->label[i] = b->label[i];
    } else if (b->label[i] != FIAR_LABEL_SAME && b->label[i] != a->label[i] &&
               !spreads_over(b->label[i], a->label[i])) {
      return false;
    }
  }
  return true;
}

// Rows in order, then exactly the labels of `tail`, with ONE anywhere.
static bool ends_in(const FiarLayout* layout, const uint8_t* tail, int n_tail) {
  int end = layout->shape.rank;
  for (int k = n_tail - 1; k >= 0; --k) {
    do {
      --end;
    } while (end >= 0 && layout->label[end] == FIAR_LABEL_ONE);
    if (end < 0 || layout->label[end] != tail[k]) {
      return false;
    }
  }
  return rows_in_order(layout, end);
}

bool fiarLayoutIsFull(const FiarLayout* layout) {
  static const uint8_t whole[] = {FIAR_LABEL_HIDDEN};
  static const uint8_t blocks[] = {FIAR_LABEL_BLOCK, FIAR_LABEL_LANE};
  return ends_in(layout, whole, 1) || ends_in(layout, blocks, 2);
}

bool fiarLayoutIsPerBlock(const FiarLayout* layout) {
  static const uint8_t blocks[] = {FIAR_LABEL_BLOCK};
  return ends_in(layout, blocks, 1);
}

bool fiarLayoutIsPerRow(const FiarLayout* layout) {
  return ends_in(layout, NULL, 0);
}

bool fiarLayoutIsVectorAlong(const FiarLayout* layout, const FiarLayout* with, uint8_t label) {
  int along = 0;
  for (int i = 0; i < layout->shape.rank; ++i) {
    if (layout->label[i] >= FIAR_LABEL_DIM0) {
      along += with->label[i] == label ? 1 : 2;
    } else if (layout->label[i] != FIAR_LABEL_ONE && layout->label[i] != FIAR_LABEL_SAME) {
      return false;
    }
  }
  return along == 1;
}

bool fiarLayoutIsScalar(const FiarLayout* layout) {
  for (int i = 0; i < layout->shape.rank; ++i) {
    if (layout->label[i] != FIAR_LABEL_ONE && layout->label[i] != FIAR_LABEL_SAME) {
      return false;
    }
  }
  return true;
}

bool fiarLayoutIsWholeBase(const FiarLayout* layout) {
  uint8_t least = FIAR_LABEL_DIM0;
  for (int i = 0; i < layout->shape.rank; ++i) {
    if (layout->label[i] == FIAR_LABEL_ONE) {
      continue;
    }
    if (layout->label[i] < least) {
      return false;
    }
    least = (uint8_t)(layout->label[i] + 1);
  }
  return true;
}

int64_t fiarLayoutSize(const FiarLayout* layout, uint8_t label) {
  for (int i = 0; i < layout->shape.rank; ++i) {
    if (layout->label[i] == label) {
      return layout->shape.size[i];
    }
  }
  return 0;
}
