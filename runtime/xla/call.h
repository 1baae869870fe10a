// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A custom call taken out of XLA's frame: fiar's params, and which devices take part. Internal.
#ifndef FIAR_XLA_CALL_H
#define FIAR_XLA_CALL_H

#include "fiar/abi.h"
#include "xla/frame.h"

typedef enum fiar_xla_op {
  FIAR_XLA_ALL_REDUCE_NORM,
  FIAR_XLA_ALL_REDUCE,       // params: input -> sum_out
  FIAR_XLA_ALL_GATHER_ROWS,  // params: input (this rank's rows) -> sum_out, tokens of the result
  FIAR_XLA_TAKE_ROWS,        // params: input -> sum_out (this rank's rows), tokens of the operand
} fiar_xla_op_t;

// An array<i64> attribute; lies in the frame.
typedef struct fiar_xla_ids {
  const int64_t* ids;
  int64_t count;
} fiar_xla_ids_t;

typedef struct fiar_xla_call {
  fiar_xla_op_t op;
  fiar_all_reduce_norm_params params;
  int64_t operands, results;  // bit sets of fiar/xla.h
  int64_t world, groups_count, group_mode, call_id, group_size;
  fiar_xla_ids_t group_ids, device_ids;
} fiar_xla_call_t;

// Reads attributes, shapes, types and pointers; checks all of them against one another (the rules
// of the numerics are fiar_params_check's). INVALID_ARGUMENT names what does not fit.
fiar_status_t fiar_xla_call_read(const XLA_FFI_CallFrame* frame, fiar_xla_op_t op,
                                 fiar_xla_call_t* out_call);

// The device's group: the devices of its ranks in rank order (devices[call->world]), and its own
// place among them.
fiar_status_t fiar_xla_call_group(const fiar_xla_call_t* call, int32_t device, int32_t* devices,
                                  int32_t* out_rank);

#endif  // FIAR_XLA_CALL_H
