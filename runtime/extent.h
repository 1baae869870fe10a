// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What every params struct is checked for: its size, its zeros, and the memory that it names. Each
// refusal is a sentence with the argument and its value. Internal.
#ifndef FIAR_EXTENT_H
#define FIAR_EXTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

// Is there a caller's struct, and all of `ours` bytes of it?
fiar_status_t fiar_struct_check(const void* params, size_t ours);

// Copies a caller's struct of at least `ours` bytes. A newer caller's longer struct will do as long
// as it asks for nothing that this library has not got. Every params struct begins with struct_size
// and ends with `reserved` bytes, from reserved_at on, that must be zero.
fiar_status_t fiar_struct_take(const void* params, size_t ours, size_t reserved_at, void* out);
#define FIAR_STRUCT_TAKE(type, params, out) \
  fiar_struct_take(params, sizeof(type), offsetof(type, reserved), out)

typedef struct fiar_extent {
  const char* name;
  const void* at;  // NULL: not given, not looked at
  size_t bytes, element;
  bool output;
} fiar_extent_t;

// Bytes from the first element to the last; bits: of an element, a power of two. Rows and strides
// that fiar_stride_check has let pass.
size_t fiar_strided_bytes(int64_t rows, int64_t stride, int64_t cols, int bits);

// Alignment, and that no output overlaps anything unless may_alias (NULL: never) says that the pair
// may.
typedef bool fiar_may_alias_fn(const void* params, int first, int second);
fiar_status_t fiar_extents_check(const fiar_extent_t* extents, int count,
                                 fiar_may_alias_fn* may_alias, const void* params);

// A stride of 0 becomes cols; refuses one below, and arrays that no memory holds.
fiar_status_t fiar_stride_check(const char* name, int64_t rows, const char* cols_name, int64_t cols,
                                int64_t* stride);

#endif  // FIAR_EXTENT_H
