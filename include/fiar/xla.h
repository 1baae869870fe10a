// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The handlers behind fiar's custom calls in XLA, for hosts that register them: the Python package
// does (docs/jax.md). Unstable until 1.0.
//
// libfiar_xla.so has them; link nothing of XLA. Each function serves every stage of its target.
// They may be called from any thread at once, and on failure return an XLA error whose text is one
// sentence.
//
// A target is called `fiar.<op>` in the IR (api_version 4). Its operands and results are those of
// the fiar dialect's op, absent ones left out, row-major; its attributes (the dictionary
// backend_config) are the op's own, by the same names and spellings, floats as f32 and integers as
// i64, and
//
//   operands      i64          bit i: operand i of the op (x, residual, weight, scale) is given
//   results       i64          bit i: result i (sum, residual, norm, quant, scales) is wanted
//   group_ids     array<i64>   the replica groups, row after row; their order is the rank order
//   groups_count  i64          rows of group_ids; each has `world` ids
//   group_mode    i64          what the ids count: 0 replicas, 1 partitions, 2 replicas over all
//                              partitions, 3 flattened replica and partition numbers
//   device_ids    array<i64>   optional: the device that runs logical id i; i itself without it
//   call_id       i64          optional: tells calls apart that one program may run in any order
//
// all_reduce, all_gather_rows and take_rows have of these only world and the five without
// `operands` and `results`. An unknown attribute is an error, so that a newer compiler's request is
// never dropped. fp4 codes may be f4E2M1FN (XLA packs two a byte, the low nibble first) or the
// packed bytes as ui8; one-byte scales f8E4M3FN, f8E8M0FNU or ui8.
#ifndef FIAR_XLA_H
#define FIAR_XLA_H

#include "fiar/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct XLA_FFI_CallFrame;  // xla/ffi/api/c_api.h
struct XLA_FFI_Error;

// Platform "cpu" ("Host" inside XLA). The ranks are XLA's devices of this process; each computes
// its own results with the host backend's arithmetic, on the thread that XLA runs it on, once all
// of its group have come. A device that does not come within FIAR_TIMEOUT_MS fails the call on
// those that did.
FIAR_API struct XLA_FFI_Error* fiar_xla_host_all_reduce_norm(struct XLA_FFI_CallFrame* frame);
FIAR_API struct XLA_FFI_Error* fiar_xla_host_all_reduce(struct XLA_FFI_CallFrame* frame);
FIAR_API struct XLA_FFI_Error* fiar_xla_host_all_gather_rows(struct XLA_FFI_CallFrame* frame);
FIAR_API struct XLA_FFI_Error* fiar_xla_host_take_rows(struct XLA_FFI_CallFrame* frame);

// Platform "CUDA", in builds with CUDA: register them for the stages prepare, initialize and
// execute. The communicator is XLA's own ncclComm_t, taken through its collectives extension
// (jaxlib 0.11.2); older XLAs must have all devices of a group in this process. Whatever allocates
// or asks the other ranks happens in initialize, so XLA may record the calls into command buffers;
// it must keep their order.
FIAR_API struct XLA_FFI_Error* fiar_xla_all_reduce_norm(struct XLA_FFI_CallFrame* frame);
FIAR_API struct XLA_FFI_Error* fiar_xla_all_reduce(struct XLA_FFI_CallFrame* frame);
FIAR_API struct XLA_FFI_Error* fiar_xla_all_gather_rows(struct XLA_FFI_CallFrame* frame);
FIAR_API struct XLA_FFI_Error* fiar_xla_take_rows(struct XLA_FFI_CallFrame* frame);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_XLA_H
