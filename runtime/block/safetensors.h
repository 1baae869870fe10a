// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The header of a safetensors file: a length, then JSON of a fixed form that says what each tensor
// is and where it lies. Pure; a library for JSON would be one more thing that every model links,
// for a grammar of strings and whole numbers. Internal.
#ifndef FIAR_BLOCK_SAFETENSORS_H
#define FIAR_BLOCK_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum { FIAR_TENSOR_MAX_RANK = 8 };

typedef struct fiar_tensor_entry {
  const char* name;  // zero-terminated, in the table's own memory
  const char* type;  // as the file spells it
  int64_t shape[FIAR_TENSOR_MAX_RANK];
  const unsigned char* data;  // in the file
  uint64_t bytes;
  int32_t rank, bits;  // bits an element
  uint8_t element;     // fiar_element_t; 0 where that has no such type
} fiar_tensor_entry_t;

typedef struct fiar_tensor_table {
  fiar_tensor_entry_t* entries;  // by name
  size_t count;
  char* names;
} fiar_tensor_table_t;

// From a whole file's bytes, which outlive the table. INVALID_ARGUMENT says what is wrong, and with
// which tensor. Whatever the bytes, nothing outside them is read. Free it also after a failure.
fiar_status_t fiar_safetensors_parse(const unsigned char* file, size_t bytes,
                                     fiar_tensor_table_t* out_table);
void fiar_safetensors_free(fiar_tensor_table_t* table);

// NULL where there is none of that name.
const fiar_tensor_entry_t* fiar_safetensors_find(const fiar_tensor_table_t* table,
                                                 const char* name);

#endif  // FIAR_BLOCK_SAFETENSORS_H
