// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which part of the all-reduced tensor each dimension of a derived tensor walks along. Internal.
//
// An all-reduced [2, 8, 4096] has the labels (ROW0, ROW1, HIDDEN); reshaped to [16, 32, 128] they
// are (ROW0, BLOCK, LANE); its row sums, broadcast back, are (ROW0, ROW1, SAME). Only tensors whose
// labels agree may be combined, so that a sum broadcast along the wrong axis of a square matrix is
// not taken for the right one. Values from outside carry the labels DIM0, DIM1, ... of their own
// base.
#ifndef FIAR_PASSES_FUSE_LAYOUT_H
#define FIAR_PASSES_FUSE_LAYOUT_H

#include "ir/match.h"

enum {
  FIAR_LABEL_ONE,     // size 1
  FIAR_LABEL_SAME,    // a copy along this dimension
  FIAR_LABEL_HIDDEN,  // the normalised dimension
  FIAR_LABEL_BLOCK,   // hidden / lane size: which block of the hidden dimension
  FIAR_LABEL_LANE,    // the place inside a block
  FIAR_LABEL_SPREAD,  // along hidden, but one value a block, as a repeat makes of BLOCK
  FIAR_LABEL_ROW0,    // rows, in row-major order of ROW0, ROW1, ...
  FIAR_LABEL_DIM0 = FIAR_LABEL_ROW0 + FIAR_MAX_RANK,
};

typedef struct FiarLayout {
  FiarShape shape;
  uint8_t label[FIAR_MAX_RANK];
} FiarLayout;

// The layout of an all-reduced tensor itself: rows, then hidden. False for rank 0 or a dynamic or
// unit last dimension.
bool fiarLayoutOfSum(const FiarShape* shape, FiarLayout* out_layout);
// The layout of a value from outside: its own dimensions.
FiarLayout fiarLayoutOfBase(const FiarShape* shape);

// Each gives false where the result has no labels in this scheme. `shape` is the result's.
bool fiarLayoutBroadcast(const FiarLayout* in, const int64_t* dims, int n_dims,
                         const FiarShape* shape, FiarLayout* out_layout);
bool fiarLayoutReshape(const FiarLayout* in, const FiarShape* shape, FiarLayout* out_layout);
bool fiarLayoutTranspose(const FiarLayout* in, const int64_t* dims, int n_dims,
                         const FiarShape* shape, FiarLayout* out_layout);
// Removes dims; *out_removed has bit 1 << label for each label removed (ONE and SAME included).
bool fiarLayoutReduce(const FiarLayout* in, const int64_t* dims, int n_dims, bool keep_dims,
                      const FiarShape* shape, FiarLayout* out_layout, uint32_t* out_removed);
// Puts blocks of rows together along `dim`, which no other dimension of rows comes before.
bool fiarLayoutGatherRows(const FiarLayout* in, int64_t dim, const FiarShape* shape,
                          FiarLayout* out_layout);
// Elementwise combination of two tensors of one shape. What is spread over hidden meets hidden: of
// one size, it has as many blocks as it was made from, and each where it belongs.
bool fiarLayoutJoin(const FiarLayout* a, const FiarLayout* b, FiarLayout* out_layout);

// Whether the tensor holds each element of the all-reduced one exactly once, in row-major order:
// rows, then HIDDEN or (BLOCK, LANE).
bool fiarLayoutIsFull(const FiarLayout* layout);
// The same without LANE (block), or without any part of hidden (row).
bool fiarLayoutIsPerBlock(const FiarLayout* layout);
bool fiarLayoutIsPerRow(const FiarLayout* layout);

// Whether a value from outside varies along `label` of `with` alone (a vector over it), or not at
// all.
bool fiarLayoutIsVectorAlong(const FiarLayout* layout, const FiarLayout* with, uint8_t label);
bool fiarLayoutIsScalar(const FiarLayout* layout);
// Whether a value from outside holds each element of its base once, in order.
bool fiarLayoutIsWholeBase(const FiarLayout* layout);

// The size of the dimension with this label, or 0.
int64_t fiarLayoutSize(const FiarLayout* layout, uint8_t label);

#endif  // FIAR_PASSES_FUSE_LAYOUT_H
