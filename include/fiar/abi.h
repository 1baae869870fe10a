// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The contract between compiled models and the runtime. Stable: structs are appended to, never
// changed.
//
// Needs no other library: streams are void*, and a model builds without CUDA. Every call returns a
// status and never aborts; nothing is allocated after the first call of a size (so calls capture
// into CUDA graphs). All ranks of a communicator make the same calls in the same order. A
// communicator may be used by one thread at a time; its calls run in stream order. On the host
// backend the stream is ignored and the call has finished when it returns.
#ifndef FIAR_ABI_H
#define FIAR_ABI_H

#include <stddef.h>
#include <stdint.h>

#include "fiar/status.h"
#include "fiar/types.h"

#ifdef __cplusplus
extern "C" {
#define FIAR_STATIC_ASSERT static_assert
#else
#define FIAR_STATIC_ASSERT _Static_assert
#endif

// A model carries the version it was compiled for; the runtime refuses a newer one.
#define FIAR_ABI_VERSION 1

typedef struct fiar_comm fiar_comm_t;  // a group of ranks: see fiar/runtime.h

// out = all_reduce_sum(input) over the ranks [+ residual], then RMSNorm over hidden, then
// quantisation. Pointers lie where the communicator's backend computes (device memory, or host
// memory on `host`). residual_out == residual and norm_out == input are allowed; any other overlap
// is refused.
typedef struct fiar_all_reduce_norm_params {
  uint32_t struct_size;  // sizeof, as the caller was built
  int32_t group;         // which of the model's communicators when comm is NULL
  const void* input;     // [tokens, hidden] dtype: this rank's partial sum
  const void* residual;  // [rows, hidden] dtype, or NULL; rows = tokens, or ceil(tokens/world) when
                         // token-sharded
  const void* weight;    // [hidden] weight_dtype, or NULL
  const float*
      scale;      // f32 scalar where the data is: fp8_static scale, nvfp4 global scale; or NULL
  void* sum_out;  // [tokens, hidden] dtype; each output may be NULL: not wanted
  void* residual_out;  // as residual
  void* norm_out;      // [tokens, hidden] dtype
  void*
      quant_out;  // [tokens, hidden] codes: a byte each, or two fp4 codes a byte, low nibble first
  void* scales_out;  // as quant, scale_type and scale_layout say (docs/numerics.md)
  int64_t tokens;    // >= 0; 0 is a valid, empty call
  int64_t hidden;    // >= 1
  int64_t input_stride, residual_stride;  // elements between rows; 0 means hidden
  float eps, weight_bias, scale_min;
  int32_t group_size;  // elements a scale for fp8_group, else 0
  uint8_t dtype, weight_dtype, quant, scale_layout, scale_type, scale_is;  // enums of fiar/types.h
  uint8_t norm_input, norm_rounding, residual_layout;
  uint8_t reserved[7];  // 0
} fiar_all_reduce_norm_params;

#define FIAR_ABI_OFFSET(field, at) \
  FIAR_STATIC_ASSERT(offsetof(fiar_all_reduce_norm_params, field) == (at), "ABI: " #field " moved")
FIAR_ABI_OFFSET(struct_size, 0);
FIAR_ABI_OFFSET(group, 4);
FIAR_ABI_OFFSET(input, 8);
FIAR_ABI_OFFSET(residual, 16);
FIAR_ABI_OFFSET(weight, 24);
FIAR_ABI_OFFSET(scale, 32);
FIAR_ABI_OFFSET(sum_out, 40);
FIAR_ABI_OFFSET(residual_out, 48);
FIAR_ABI_OFFSET(norm_out, 56);
FIAR_ABI_OFFSET(quant_out, 64);
FIAR_ABI_OFFSET(scales_out, 72);
FIAR_ABI_OFFSET(tokens, 80);
FIAR_ABI_OFFSET(hidden, 88);
FIAR_ABI_OFFSET(input_stride, 96);
FIAR_ABI_OFFSET(residual_stride, 104);
FIAR_ABI_OFFSET(eps, 112);
FIAR_ABI_OFFSET(weight_bias, 116);
FIAR_ABI_OFFSET(scale_min, 120);
FIAR_ABI_OFFSET(group_size, 124);
FIAR_ABI_OFFSET(dtype, 128);
FIAR_ABI_OFFSET(weight_dtype, 129);
FIAR_ABI_OFFSET(quant, 130);
FIAR_ABI_OFFSET(scale_layout, 131);
FIAR_ABI_OFFSET(scale_type, 132);
FIAR_ABI_OFFSET(scale_is, 133);
FIAR_ABI_OFFSET(norm_input, 134);
FIAR_ABI_OFFSET(norm_rounding, 135);
FIAR_ABI_OFFSET(residual_layout, 136);
FIAR_ABI_OFFSET(reserved, 137);
FIAR_STATIC_ASSERT(sizeof(fiar_all_reduce_norm_params) == 144, "ABI: the struct's size changed");

// Called once at a model's start with the FIAR_ABI_VERSION it was compiled with. Refuses a newer
// one with ABI_MISMATCH; the text has both numbers.
FIAR_API fiar_status_t fiar_rt_check_abi(uint32_t model_abi_version);

// Called once at a model's start for each communicator it uses: MISMATCH where the group has not
// `world` ranks, the number that the model was compiled for. comm == NULL: the communicator of
// `group`.
FIAR_API fiar_status_t fiar_rt_check_world(fiar_comm_t* comm, int32_t group, int64_t world);

// Makes comm the one that calls with comm == NULL and this group use; NULL takes it back. The
// caller keeps ownership. Where none is set, group 0 is made from the environment on first use.
FIAR_API fiar_status_t fiar_rt_set_comm(int32_t group, fiar_comm_t* comm);

// The same for calls from this thread alone, before what fiar_rt_set_comm says: for threads as
// ranks.
FIAR_API fiar_status_t fiar_rt_set_thread_comm(int32_t group, fiar_comm_t* comm);

// The fused call. comm == NULL: the communicator of params->group. stream: a cudaStream_t, or NULL.
FIAR_API fiar_status_t fiar_rt_all_reduce_norm(fiar_comm_t* comm,
                                               const fiar_all_reduce_norm_params* params,
                                               void* stream);

// out[tokens, hidden] = sum over ranks of in, f32 in rank order, rounded once. out == in is
// allowed.
FIAR_API fiar_status_t fiar_rt_all_reduce(fiar_comm_t* comm, int32_t group, const void* in,
                                          void* out, int64_t tokens, int64_t hidden, uint8_t dtype,
                                          void* stream);

// out[tokens, hidden] = the rows that the ranks hold: rank r's `rows` [ceil(tokens/world), hidden]
// are the rows r, r + world, r + 2 world, ... of out. The two do not overlap.
FIAR_API fiar_status_t fiar_rt_all_gather_rows(fiar_comm_t* comm, int32_t group, const void* rows,
                                               void* out, int64_t tokens, int64_t hidden,
                                               uint8_t dtype, void* stream);

// rows [ceil(tokens/world), hidden] = the rows rank, rank + world, ... of full [tokens, hidden],
// for the calling rank: a copy on the stream, no communication. A row beyond the last token is not
// written. The two do not overlap.
FIAR_API fiar_status_t fiar_rt_take_rows(fiar_comm_t* comm, int32_t group, const void* full,
                                         void* rows, int64_t tokens, int64_t hidden, uint8_t dtype,
                                         void* stream);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_ABI_H
