// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Calls of the ops around the fused call, with their arrays on the host. Matmuls are of values
// whose sums and products are exact in f32, so every backend gives the same bits.
#ifndef FIAR_UNIT_TESTS_BLOCK_CASES_H
#define FIAR_UNIT_TESTS_BLOCK_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fiar/fiar.h"

typedef enum block_op {
  BLOCK_MATMUL,
  BLOCK_RMS_NORM,
  BLOCK_QUANTIZE,
  BLOCK_ACTIVATE,
  BLOCK_COPY
} block_op_t;

enum { BLOCK_MAX_ARRAYS = 9 };

typedef struct block_array {
  const char* name;
  size_t at;     // offset of its pointer in the params
  size_t bytes;  // outputs begin and end as the bytes BLOCK_POISON where no element is written
  bool output;
  unsigned char* data;
} block_array_t;
enum { BLOCK_POISON = 0xCD };

typedef struct block_call {
  char name[200];
  block_op_t op;
  union {
    fiar_matmul_params matmul;
    fiar_all_reduce_norm_params norm;
    fiar_quantize_params quantize;
    fiar_activate_params activate;
    fiar_copy_params copy;
  } params;  // point at the arrays' data
  block_array_t arrays[BLOCK_MAX_ARRAYS];
  int count;
  bool in_place;  // activate: out is gate
} block_call_t;

int block_cases_count(void);
// No memory ends the program. variant: other data for the same call.
void block_case_make(int index, uint32_t variant, block_call_t* out_call);
void block_case_free(block_call_t* call);

fiar_status_t block_case_issue(const block_call_t* call, fiar_comm_t* comm, void* stream);

// Makes the params point elsewhere for an array.
void block_case_point(block_call_t* call, int array, void* to);

#endif  // FIAR_UNIT_TESTS_BLOCK_CASES_H
