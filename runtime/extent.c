// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "extent.h"

#include <string.h>

static bool all_zero(const unsigned char* bytes, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (bytes[i] != 0) {
      return false;
    }
  }
  return true;
}

fiar_status_t fiar_struct_check(const void* params, size_t ours) {
  if (!params) {
    return FIAR_FAIL(INVALID_ARGUMENT, "params is NULL");
  }
  uint32_t size;
  memcpy(&size, params, sizeof size);
  // What follows ours is looked at, too; no later version has that much.
  enum { MOST = 4096 };
  return size < ours ? FIAR_FAIL(ABI_MISMATCH, "params->struct_size is %u, must be at least %zu",
                                 size, ours)
         : size > MOST
             ? FIAR_FAIL(ABI_MISMATCH, "params->struct_size is %u, must be at most %d", size, MOST)
             : FIAR_OK;
}

fiar_status_t fiar_struct_take(const void* params, size_t ours, size_t reserved_at, void* out) {
  FIAR_TRY(fiar_struct_check(params, ours));
  uint32_t size;
  memcpy(&size, params, sizeof size);
  if (!all_zero((const unsigned char*)params + ours, size - ours)) {
    return FIAR_FAIL(
        ABI_MISMATCH,
        "params->struct_size is %u, with fields in use that this library (%zu bytes) does "
        "not know",
        size, ours);
  }
  memcpy(out, params, ours);
  size = (uint32_t)ours;
  memcpy(out, &size, sizeof size);
  return all_zero((const unsigned char*)params + reserved_at, ours - reserved_at)
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "params->reserved must be zero");
}

size_t fiar_strided_bytes(int64_t rows, int64_t stride, int64_t cols, int bits) {
  const size_t elements = rows == 0 ? 0 : (size_t)((rows - 1) * stride + cols);
  return bits >= 8 ? elements * (size_t)(bits / 8) : elements / (size_t)(8 / bits);
}

static fiar_status_t check_alignment(const fiar_extent_t* extent) {
  return (uintptr_t)extent->at % extent->element == 0
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "%s is %p, must be aligned to %zu bytes", extent->name,
                         extent->at, extent->element);
}

static bool overlap(const fiar_extent_t* a, const fiar_extent_t* b) {
  const uintptr_t from_a = (uintptr_t)a->at, from_b = (uintptr_t)b->at;
  return a->at && b->at && from_a < from_b + b->bytes && from_b < from_a + a->bytes;
}

fiar_status_t fiar_extents_check(const fiar_extent_t* extents, int count,
                                 fiar_may_alias_fn* may_alias, const void* params) {
  for (int i = 0; i < count; ++i) {
    if (extents[i].at) {
      FIAR_TRY(check_alignment(&extents[i]));
    }
  }
  for (int i = 0; i < count; ++i) {
    for (int j = i + 1; j < count; ++j) {
      const fiar_extent_t *a = &extents[i], *b = &extents[j];
      if ((a->output || b->output) && overlap(a, b) && !(may_alias && may_alias(params, i, j))) {
        return FIAR_FAIL(INVALID_ARGUMENT, "%s (%p, %zu bytes) overlaps %s (%p, %zu bytes)",
                         a->name, a->at, a->bytes, b->name, b->at, b->bytes);
      }
    }
  }
  return FIAR_OK;
}

fiar_status_t fiar_stride_check(const char* name, int64_t rows, const char* cols_name, int64_t cols,
                                int64_t* stride) {
  *stride = *stride == 0 ? cols : *stride;
  if (*stride < cols) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s is %lld, must be 0 or at least %s = %lld", name,
                     (long long)*stride, cols_name, (long long)cols);
  }
  // So that no size of 16 elements' bytes times all ranks overflows. Scale layouts pad rows to
  // multiples of up to 128.
  if (rows > (INT64_C(1) << 46) / *stride - 128) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%lld rows with %s = %lld are more than memory can hold",
                     (long long)rows, name, (long long)*stride);
  }
  return FIAR_OK;
}
