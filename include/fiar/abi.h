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

// A model carries the version it was compiled for; the runtime refuses a newer one. Number 1 is
// what release 0.1.0 will have: until then names and structs may change under it, and models are
// compiled anew with each build of the library.
#define FIAR_ABI_VERSION 1

typedef struct fiar_comm fiar_comm_t;  // a group of ranks: see fiar/runtime.h

// out = all_reduce_sum(input) over the ranks [+ residual], then RMSNorm over hidden, then
// quantisation. Pointers lie where the communicator's backend computes (device memory, or host
// memory on `host`), and may be written up to the end of the work before the call on its stream.
// residual_out == residual and norm_out == input are allowed; any other overlap is refused.
typedef struct fiar_all_reduce_norm_params {
  uint32_t struct_size;  // sizeof, as the caller was built
  int32_t group;         // which of the model's communicators when comm is NULL
  const void* input;     // [tokens, hidden] dtype: this rank's partial sum
  const void* residual;  // [rows, hidden] dtype, or NULL; rows = tokens, or ceil(tokens/world)
                         // where residual_layout is token_shard or token_block
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

#define FIAR_ABI_OFFSET_OF(type, field, at) \
  FIAR_STATIC_ASSERT(offsetof(type, field) == (at), "ABI: " #type "'s " #field " moved")
#define FIAR_ABI_OFFSET(field, at) FIAR_ABI_OFFSET_OF(fiar_all_reduce_norm_params, field, at)
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
// ranks. Where another thread destroys comm, take it back here before.
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

// ---- The ops around the fused call
//
// Each computes on the calling rank alone, where the communicator's ranks compute (a GPU, or the
// host for `host`), and takes the communicator for that, and for what it keeps (handles, chosen
// algorithms, scratch). comm == NULL: the communicator of params->group. Arrays are row-major and
// lie where the rank computes, aligned to their elements (16 bytes are faster); strides count
// elements between rows, 0 meaning that rows follow one another. Unless a field says so, outputs
// overlap nothing. Rows may be 0: an empty call. INVALID_ARGUMENT names the argument and its value,
// before anything is done; UNSUPPORTED says what this device, or this build, lacks.
// docs/numerics.md has every formula and rounding point.
//
// The first call of a kind on a communicator may allocate; later ones with shapes that are no
// larger do not, so after one warm-up call the ops capture into CUDA graphs.

// out[m, n] = T((a[m, k] x b[k, n]) * scales [+ bias[n]]), T the one rounding to out_dtype;
// products are summed in f32, in any order.
//
// a_dtype and b_dtype: f16, bf16, f32 or a code type (E4M3, E5M2, E2M1; packed two a byte, low
// nibble first); the same for both, but one E4M3 and one E5M2 go together. out_dtype: f16, bf16,
// f32.
//
// Each operand's values are its elements times its scales:
// - a_scale, b_scale: one f32 each. With *_scale_is DIVISOR (the scale that a quantiser divided by)
//   values are multiplied with it, with MULTIPLIER divided by it.
// - a_scales, b_scales, where a_scaling, b_scaling say: VECTOR: f32, [m] for a, [n] for b.
//   BLOCK: as quantisers write them (docs/numerics.md), a row of scales for each of a's m rows
//   (b's n columns) and a scale for each block along k: block_scale_type E4M3 with E2M1 codes
//   (nvfp4, blocks of 16), UE8M0 with E4M3 (mxfp8) or E2M1 (mxfp4), blocks of 32, laid out as
//   block_scale_layout says. k is a multiple of the block; both operands are BLOCK, or neither.
//
// On CUDA by cuBLASLt (UNAVAILABLE where it cannot be opened), which wants: f8 codes with k and n
// multiples of 16 and, before compute capability 10.0, b_transposed; BLOCK from 10.0 on, nvfp4 and
// mxfp8 with swizzled_128x4 alone, b_transposed. The refusal says which. On the host all of it
// works.
typedef struct fiar_matmul_params {
  uint32_t struct_size;
  int32_t group;
  const void* a;         // [m, k] a_dtype
  const void* b;         // [k, n] b_dtype, or [n, k] where b_transposed
  void* out;             // [m, n] out_dtype
  const void* bias;      // [n] bias_dtype, or NULL
  const float* a_scale;  // one f32 where the data is, or NULL: 1
  const float* b_scale;
  const void* a_scales;  // as a_scaling says, or NULL
  const void* b_scales;
  void* workspace;           // scratch of workspace_bytes, aligned to 256 bytes; NULL: the
                             // communicator's own. Calls on different streams need different ones
  uint64_t workspace_bytes;  // FIAR_MATMUL_WORKSPACE(m, n) is enough for every call; less may be
                             // slower, or refused with the number that is needed
  int64_t m;                 // >= 0; may change from call to call
  int64_t n, k;              // >= 1
  int64_t a_stride, b_stride, out_stride;
  uint8_t a_dtype, b_dtype, out_dtype, bias_dtype;  // fiar_element_t
  uint8_t b_transposed;                             // 0 or 1
  uint8_t a_scale_is, b_scale_is;                   // fiar_scale_is_t
  uint8_t a_scaling, b_scaling;                     // fiar_scaling_t
  uint8_t block_scale_type;                         // fiar_scale_type_t; 0 without BLOCK
  uint8_t block_scale_layout;                       // fiar_scale_layout_t; 0 without BLOCK
  uint8_t reserved[5];                              // 0
} fiar_matmul_params;

#define FIAR_MATMUL_WORKSPACE(m, n) \
  ((((uint64_t)(m) * (uint64_t)(n)*4 + 255) / 256 * 256) + (UINT64_C(33) << 20))

#define FIAR_ABI_MATMUL(field, at) FIAR_ABI_OFFSET_OF(fiar_matmul_params, field, at)
FIAR_ABI_MATMUL(a, 8);
FIAR_ABI_MATMUL(b, 16);
FIAR_ABI_MATMUL(out, 24);
FIAR_ABI_MATMUL(bias, 32);
FIAR_ABI_MATMUL(a_scale, 40);
FIAR_ABI_MATMUL(b_scale, 48);
FIAR_ABI_MATMUL(a_scales, 56);
FIAR_ABI_MATMUL(b_scales, 64);
FIAR_ABI_MATMUL(workspace, 72);
FIAR_ABI_MATMUL(workspace_bytes, 80);
FIAR_ABI_MATMUL(m, 88);
FIAR_ABI_MATMUL(n, 96);
FIAR_ABI_MATMUL(k, 104);
FIAR_ABI_MATMUL(a_stride, 112);
FIAR_ABI_MATMUL(b_stride, 120);
FIAR_ABI_MATMUL(out_stride, 128);
FIAR_ABI_MATMUL(a_dtype, 136);
FIAR_ABI_MATMUL(b_dtype, 137);
FIAR_ABI_MATMUL(out_dtype, 138);
FIAR_ABI_MATMUL(bias_dtype, 139);
FIAR_ABI_MATMUL(b_transposed, 140);
FIAR_ABI_MATMUL(a_scale_is, 141);
FIAR_ABI_MATMUL(b_scale_is, 142);
FIAR_ABI_MATMUL(a_scaling, 143);
FIAR_ABI_MATMUL(b_scaling, 144);
FIAR_ABI_MATMUL(block_scale_type, 145);
FIAR_ABI_MATMUL(block_scale_layout, 146);
FIAR_ABI_MATMUL(reserved, 147);
FIAR_STATIC_ASSERT(sizeof(fiar_matmul_params) == 152, "ABI: the struct's size changed");

FIAR_API fiar_status_t fiar_rt_matmul(fiar_comm_t* comm, const fiar_matmul_params* params,
                                      void* stream);

// What fiar_rt_all_reduce_norm does with one rank: [residual add], RMSNorm, [quantisation] of an
// input that is summed already. The same params with the same meaning; residual_layout is FULL.
FIAR_API fiar_status_t fiar_rt_rms_norm(fiar_comm_t* comm,
                                        const fiar_all_reduce_norm_params* params, void* stream);

// Codes and scales of input[rows, cols], as the fused call's quantiser makes them of its norm: the
// fields mean what those of fiar_all_reduce_norm_params mean.
typedef struct fiar_quantize_params {
  uint32_t struct_size;
  int32_t group;
  const void* input;   // [rows, cols] dtype
  const float* scale;  // one f32, or NULL: 1 (fp8_static, nvfp4)
  void* quant_out;     // codes; either output may be NULL
  void* scales_out;
  int64_t rows;  // >= 0
  int64_t cols;  // >= 1
  int64_t input_stride;
  float scale_min;
  int32_t group_size;
  uint8_t dtype;  // f16, bf16, f32
  uint8_t quant;  // not none
  uint8_t scale_layout, scale_type, scale_is;
  uint8_t reserved[3];  // 0
} fiar_quantize_params;

#define FIAR_ABI_QUANTIZE(field, at) FIAR_ABI_OFFSET_OF(fiar_quantize_params, field, at)
FIAR_ABI_QUANTIZE(input, 8);
FIAR_ABI_QUANTIZE(scale, 16);
FIAR_ABI_QUANTIZE(quant_out, 24);
FIAR_ABI_QUANTIZE(scales_out, 32);
FIAR_ABI_QUANTIZE(rows, 40);
FIAR_ABI_QUANTIZE(cols, 48);
FIAR_ABI_QUANTIZE(input_stride, 56);
FIAR_ABI_QUANTIZE(scale_min, 64);
FIAR_ABI_QUANTIZE(group_size, 68);
FIAR_ABI_QUANTIZE(dtype, 72);
FIAR_ABI_QUANTIZE(quant, 73);
FIAR_ABI_QUANTIZE(scale_layout, 74);
FIAR_ABI_QUANTIZE(scale_type, 75);
FIAR_ABI_QUANTIZE(scale_is, 76);
FIAR_ABI_QUANTIZE(reserved, 77);
FIAR_STATIC_ASSERT(sizeof(fiar_quantize_params) == 80, "ABI: the struct's size changed");

FIAR_API fiar_status_t fiar_rt_quantize(fiar_comm_t* comm, const fiar_quantize_params* params,
                                        void* stream);

// out[rows, cols] = act(gate) * up, act(gate) + up or act(gate), as `activation` and `combine` say:
// act in f32, rounded on the way where `rounding` says, and the result to out_dtype; and, where
// quant is fp8_static, quant_out = the codes of the rounded out (also where out is NULL). A zeroed
// activation and combine are silu(gate) * up; NONE and ADD a plain sum. out may be gate or up where
// types and strides are the same.
typedef struct fiar_activate_params {
  uint32_t struct_size;
  int32_t group;
  const void* gate;    // [rows, cols] dtype
  const void* up;      // [rows, cols] dtype; NULL: gate's rows have 2 * cols elements, up's last,
                       // or, where combine is NONE, there is none
  void* out;           // [rows, cols] out_dtype; either output may be NULL
  void* quant_out;     // [rows, cols] e4m3 codes, rows one after another
  const float* scale;  // of the quantiser, one f32, or NULL: 1
  int64_t rows;        // >= 0
  int64_t cols;        // >= 1
  int64_t gate_stride, up_stride, out_stride;  // up_stride is not read where up is NULL
  uint8_t dtype, out_dtype;                    // f16, bf16, f32
  uint8_t rounding;                            // fiar_act_rounding_t
  uint8_t quant;                               // none or fp8_static
  uint8_t scale_is;
  uint8_t activation;   // fiar_activation_t
  uint8_t combine;      // fiar_combine_t
  uint8_t reserved[1];  // 0
} fiar_activate_params;

#define FIAR_ABI_ACTIVATE(field, at) FIAR_ABI_OFFSET_OF(fiar_activate_params, field, at)
FIAR_ABI_ACTIVATE(gate, 8);
FIAR_ABI_ACTIVATE(up, 16);
FIAR_ABI_ACTIVATE(out, 24);
FIAR_ABI_ACTIVATE(quant_out, 32);
FIAR_ABI_ACTIVATE(scale, 40);
FIAR_ABI_ACTIVATE(rows, 48);
FIAR_ABI_ACTIVATE(cols, 56);
FIAR_ABI_ACTIVATE(gate_stride, 64);
FIAR_ABI_ACTIVATE(up_stride, 72);
FIAR_ABI_ACTIVATE(out_stride, 80);
FIAR_ABI_ACTIVATE(dtype, 88);
FIAR_ABI_ACTIVATE(out_dtype, 89);
FIAR_ABI_ACTIVATE(rounding, 90);
FIAR_ABI_ACTIVATE(quant, 91);
FIAR_ABI_ACTIVATE(scale_is, 92);
FIAR_ABI_ACTIVATE(activation, 93);
FIAR_ABI_ACTIVATE(combine, 94);
FIAR_ABI_ACTIVATE(reserved, 95);
FIAR_STATIC_ASSERT(sizeof(fiar_activate_params) == 96, "ABI: the struct's size changed");

FIAR_API fiar_status_t fiar_rt_activate(fiar_comm_t* comm, const fiar_activate_params* params,
                                        void* stream);

// out = input, converted where the types differ: f16, bf16, f32, E4M3 and E5M2 to one another, to
// nearest even (f8 codes saturate, NaN stays NaN). Types that are the same are moved byte for byte;
// E2M1 and BYTE only so. transposed: out is [cols, rows]; not for E2M1.
//
// out_layout: where the elements of out's rows lie. LINEAR: out_stride apart. SWIZZLED_128X4 turns
// rows of block scales into what matmuls on devices read (docs/numerics.md): of one-byte elements
// that are not converted, out_stride 0, out's up(rows, 128) * up(cols, 4) bytes with their padding,
// which is zero; out is aligned to 4 bytes.
typedef struct fiar_copy_params {
  uint32_t struct_size;
  int32_t group;
  const void* input;  // [rows, cols] in_dtype
  void* out;          // [rows, cols] out_dtype, or [cols, rows]
  int64_t rows;       // >= 0
  int64_t cols;       // >= 1
  int64_t input_stride, out_stride;
  uint8_t in_dtype, out_dtype;  // fiar_element_t
  uint8_t transposed;           // 0 or 1
  uint8_t out_layout;           // fiar_scale_layout_t: linear or swizzled_128x4
  uint8_t reserved[4];          // 0
} fiar_copy_params;

#define FIAR_ABI_COPY(field, at) FIAR_ABI_OFFSET_OF(fiar_copy_params, field, at)
FIAR_ABI_COPY(input, 8);
FIAR_ABI_COPY(out, 16);
FIAR_ABI_COPY(rows, 24);
FIAR_ABI_COPY(cols, 32);
FIAR_ABI_COPY(input_stride, 40);
FIAR_ABI_COPY(out_stride, 48);
FIAR_ABI_COPY(in_dtype, 56);
FIAR_ABI_COPY(out_dtype, 57);
FIAR_ABI_COPY(transposed, 58);
FIAR_ABI_COPY(out_layout, 59);
FIAR_ABI_COPY(reserved, 60);
FIAR_STATIC_ASSERT(sizeof(fiar_copy_params) == 64, "ABI: the struct's size changed");

FIAR_API fiar_status_t fiar_rt_copy(fiar_comm_t* comm, const fiar_copy_params* params,
                                    void* stream);

// ---- Memory for a model
//
// None of these is for a step: they allocate, or wait. comm == NULL: the communicator of `group`.

// `bytes` (>= 1) of zeroed memory where the rank computes, aligned to 256 bytes. The caller
// destroys it before the communicator. OUT_OF_MEMORY says how much was asked for.
FIAR_API fiar_status_t fiar_rt_arena_create(fiar_comm_t* comm, int32_t group, uint64_t bytes,
                                            void** out_memory);

// Frees it, after what is enqueued on the device. NULL is harmless.
FIAR_API fiar_status_t fiar_rt_arena_destroy(fiar_comm_t* comm, int32_t group, void* memory);

// Copies from the host to where the rank computes, or back, in stream order, and waits for it.
FIAR_API fiar_status_t fiar_rt_write(fiar_comm_t* comm, int32_t group, void* to,
                                     const void* from_host, uint64_t bytes, void* stream);
FIAR_API fiar_status_t fiar_rt_read(fiar_comm_t* comm, int32_t group, void* to_host,
                                    const void* from, uint64_t bytes, void* stream);

// Waits for the stream; what failed on it, where something did.
FIAR_API fiar_status_t fiar_rt_wait(fiar_comm_t* comm, int32_t group, void* stream);

// What a compiled block asks before its first call (docs/compile.md).
typedef struct fiar_block_params {
  uint32_t struct_size;
  int32_t group;
  uint32_t abi_version;         // FIAR_ABI_VERSION, as the compiler had it
  int32_t pointer_count;        // of `pointers`
  const char* name;             // the block's, for texts
  const void* const* pointers;  // its arguments and results: none may be NULL
  const char* pointer_names;    // pointer_count zero-terminated names, one after another
  const void* arena;            // a multiple of 256, where arena_needed > 0
  uint64_t arena_bytes;         // >= arena_needed
  uint64_t arena_needed;
  int64_t world;               // ranks it was compiled for; 0: any
  int64_t tokens, max_tokens;  // 0 <= tokens <= max_tokens
} fiar_block_params;

#define FIAR_ABI_BLOCK(field, at) FIAR_ABI_OFFSET_OF(fiar_block_params, field, at)
FIAR_ABI_BLOCK(abi_version, 8);
FIAR_ABI_BLOCK(pointer_count, 12);
FIAR_ABI_BLOCK(name, 16);
FIAR_ABI_BLOCK(pointers, 24);
FIAR_ABI_BLOCK(pointer_names, 32);
FIAR_ABI_BLOCK(arena, 40);
FIAR_ABI_BLOCK(arena_bytes, 48);
FIAR_ABI_BLOCK(arena_needed, 56);
FIAR_ABI_BLOCK(world, 64);
FIAR_ABI_BLOCK(tokens, 72);
FIAR_ABI_BLOCK(max_tokens, 80);
FIAR_STATIC_ASSERT(sizeof(fiar_block_params) == 88, "ABI: the struct's size changed");

// OK where all of it holds. Else ABI_MISMATCH or MISMATCH, as fiar_rt_check_abi and
// fiar_rt_check_world give, or INVALID_ARGUMENT with the block's name, the argument's and its
// value. comm == NULL: the communicator of params->group.
FIAR_API fiar_status_t fiar_rt_block_start(fiar_comm_t* comm, const fiar_block_params* params);

// ---- Weights from a safetensors file

typedef struct fiar_weights fiar_weights_t;

// Maps the file read-only and checks its header against its size. SYSTEM_ERROR where it cannot be
// read, INVALID_ARGUMENT where it is no safetensors file: the text has the path, and the tensor's
// name where one is wrong. Any number of threads may use the result.
FIAR_API fiar_status_t fiar_weights_open(const char* path, fiar_weights_t** out_weights);

// What a model wants of a file: a tensor by name, and this rank's part of it.
typedef struct fiar_weight_params {
  uint32_t struct_size;
  int32_t group;
  const char* name;      // zero-terminated
  const int64_t* shape;  // [rank]: of the part that this rank gets, as the file orders dimensions
  int32_t rank;          // 0 to 8
  int32_t shard_dim;     // -1: the whole tensor; else the file's dimension is world times
                         // shape[shard_dim], and rank r gets the r-th part
  uint8_t dtype;         // fiar_element_t: as the file has it, but BYTE takes every type of 8 bits,
                         // and E2M1 also U8 whose last dimension is half of shape's
  uint8_t transposed;    // 1: written as [shape[1], shape[0]]; rank 2 alone, not for E2M1
  uint8_t reserved[6];   // 0
} fiar_weight_params;

#define FIAR_ABI_WEIGHT(field, at) FIAR_ABI_OFFSET_OF(fiar_weight_params, field, at)
FIAR_ABI_WEIGHT(name, 8);
FIAR_ABI_WEIGHT(shape, 16);
FIAR_ABI_WEIGHT(rank, 24);
FIAR_ABI_WEIGHT(shard_dim, 28);
FIAR_ABI_WEIGHT(dtype, 32);
FIAR_ABI_WEIGHT(transposed, 33);
FIAR_ABI_WEIGHT(reserved, 34);
FIAR_STATIC_ASSERT(sizeof(fiar_weight_params) == 40, "ABI: the struct's size changed");

// Copies the tensor (or the rank's part) to `to`, memory where the rank computes, and waits for it.
// comm == NULL: the communicator of params->group. INVALID_ARGUMENT with the tensor's name where
// the file has none of that name, or another dtype or shape; the text has both.
FIAR_API fiar_status_t fiar_weights_load(fiar_comm_t* comm, const fiar_weights_t* weights,
                                         const fiar_weight_params* params, void* to);

// Unmaps the file. NULL is harmless.
FIAR_API void fiar_weights_close(fiar_weights_t* weights);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_ABI_H
