// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which rows of the residual a rank holds. Plain arithmetic for host code; the kernels have their
// own in device/common.cuh. Internal.
//
// token_block needs tokens that are a multiple of world (fiar_params_check).
#ifndef FIAR_RESIDUAL_H
#define FIAR_RESIDUAL_H

#include <stdbool.h>
#include <stdint.h>

#include "fiar/types.h"

static inline const char* fiar_residual_layout_name(uint8_t layout) {
#define X(name, value, text) [value] = text,
  static const char* const names[] = {FIAR_RESIDUAL_LAYOUT_TABLE(X)};
#undef X
  return names[layout];
}

// Does each rank hold a part of the rows?
static inline bool fiar_residual_is_sharded(uint8_t layout) {
  return layout != FIAR_RESIDUAL_LAYOUT_FULL;
}

// Rows of a rank's array: as many on every rank, so that some may be left over at a shard's end.
static inline int64_t fiar_residual_rows(uint8_t layout, int64_t tokens, int32_t world) {
  return fiar_residual_is_sharded(layout) ? (tokens + world - 1) / world : tokens;
}

// Those of them that the rank owns.
static inline int64_t fiar_residual_rows_owned(uint8_t layout, int64_t tokens, int32_t rank,
                                               int32_t world) {
  return fiar_residual_is_sharded(layout) ? (tokens + world - 1 - rank) / world : tokens;
}

// The rank that owns a row (any rank does of a full residual: `rank`), and the row's place there.
static inline int32_t fiar_residual_owner(uint8_t layout, int64_t row, int64_t tokens, int32_t rank,
                                          int32_t world) {
  switch (layout) {
    case FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD:
      return (int32_t)(row % world);
    case FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK:
      return (int32_t)(row / (tokens / world));
    default:
      return rank;
  }
}

static inline int64_t fiar_residual_place(uint8_t layout, int64_t row, int64_t tokens,
                                          int32_t world) {
  switch (layout) {
    case FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD:
      return row / world;
    case FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK:
      return row % (tokens / world);
    default:
      return row;
  }
}

#endif  // FIAR_RESIDUAL_H
