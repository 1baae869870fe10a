// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the device code offers to the C runtime: one argument struct, one table of entries, and the
// arithmetic that sizes workspaces and launches. Unstable, internal to libfiar.
//
// Needs no CUDA: everything here is plain C, so that host code and tests build without a GPU.
// docs/kernels.md explains the protocol; docs/numerics.md the values.
#ifndef FIAR_KERNELS_H
#define FIAR_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fiar/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FIAR_KERNEL_MAX_WORLD 16

typedef enum fiar_algorithm {
#define X(stem, name, id, min_sm, text) FIAR_ALGORITHM_##name = (id),
#include "kernels.def"
#undef X
} fiar_algorithm_t;

// Slot memory starts, and is always found between calls, filled with this byte. Data that looks
// like it (two NaNs with every bit set) travels as the canonical NaN.
#define FIAR_SLOT_FILL 0xFF

// Where a call is: places at which builds with FIAR_KERNEL_TRACE note the clock (device/trace.cuh).
#define FIAR_MARK_TABLE(X)              \
  X(START, "start")                     \
  X(PROLOGUE, "before dependency wait") \
  X(PUSHED, "first row pushed")         \
  X(COUNTED, "block counted")           \
  X(POLLING, "polling")                 \
  X(ARRIVED, "row arrived")             \
  X(SENDING, "partial sums sent")       \
  X(TOTAL, "sum of squares")            \
  X(CODES, "codes")                     \
  X(STORED, "outputs stored")           \
  X(END, "slots emptied")
#define X(name, text) FIAR_MARK_##name,
typedef enum fiar_mark { FIAR_MARK_TABLE(X) FIAR_MARKS } fiar_mark_t;
#undef X

// A rank's own control block: device memory, FIAR_CONTROL_BYTES long, zeroed at creation, 16-byte
// aligned. Only kernels write it.
#define FIAR_CONTROL_BYTES 128
typedef struct fiar_control {
  uint32_t ticket;  // grows by FIAR_TICKETS_A_CALL a call; its bit 20 says which slot is in use
  uint32_t drawn;   // rows that the blocks of a call have drawn so far; 0 between calls
  uint64_t error;   // 0, or the first expired wait: FIAR_WAIT_ERROR
  uint32_t marks[FIAR_MARKS];  // of the last call's first thread, in cycles; see FIAR_MARK_TABLE
} fiar_control_t;
FIAR_STATIC_ASSERT(sizeof(fiar_control_t) <= FIAR_CONTROL_BYTES, "the control block has room");
#define FIAR_TICKETS_A_CALL (1u << 20)

// An expired wait: the rank that had not delivered and the row that was missing, as the kernels
// number rows (place_of_row). Never 0.
#define FIAR_WAIT_ERROR(rank, row) ((uint64_t)(row) << 32 | (uint64_t)((rank) + 1))
#define FIAR_WAIT_ERROR_RANK(error) ((int)((error)&0xFF) - 1)
#define FIAR_WAIT_ERROR_ROW(error) ((uint32_t)((error) >> 32))

// One rank's view of the group's memory. The owner (a workspace) fills it once and copies it by
// value into every launch.
typedef struct fiar_peers {
  void* slots[FIAR_KERNEL_MAX_WORLD];  // rank r's slot memory (2 * slot_bytes), as this rank
                                       // addresses it
  fiar_control_t* control;             // this rank's
  uint64_t* host_error;  // pinned host memory mapped to the device, 0 at creation: a copy of
                         // control->error that the host reads without a copy; or NULL
  uint64_t slot_bytes;   // of one of the two slots, a multiple of 256
  uint64_t timeout_ns;   // bound on every wait; 0 waits for ever
  int32_t rank, world;   // 0 <= rank < world <= FIAR_KERNEL_MAX_WORLD
} fiar_peers_t;

// What a call is, in bits that a kernel tests with one instruction.
typedef enum fiar_trait {
  FIAR_TRAIT_RESIDUAL = 1 << 0,
  FIAR_TRAIT_NORM = 1 << 1,           // norm, codes or scales are wanted
  FIAR_TRAIT_NORM_OF_F32 = 1 << 2,    // norm_input = f32
  FIAR_TRAIT_BEFORE_WEIGHT = 1 << 3,  // norm_rounding
  FIAR_TRAIT_ROUND_WEIGHT = 1 << 4,   // the weight with its bias is rounded to the element type
  FIAR_TRAIT_WEIGHT = 1 << 5,         // there is one, of the element type
  FIAR_TRAIT_WEIGHT_F32 = 1 << 6,     // there is one, f32 beside a 16-bit element type
  FIAR_TRAIT_QUANT = 1 << 7,          // codes or scales are wanted
  FIAR_TRAIT_STATIC = 1 << 8,         // quant = fp8_static
  FIAR_TRAIT_ROW_AMAX = 1 << 9,       // quant = fp8_token
  FIAR_TRAIT_BLOCKS = 1 << 10,        // a scale for each block of a row
  FIAR_TRAIT_SHUFFLES = 1 << 11,      // blocks are 1, 2, 4 ... 32 vectors
  FIAR_TRAIT_FP4 = 1 << 12,
  FIAR_TRAIT_DIVIDES = 1 << 13,    // scale_is = divisor
  FIAR_TRAIT_EXPONENTS = 1 << 14,  // scale_type = ue8m0
  FIAR_TRAIT_GIVEN = 1 << 15,      // the caller gives a scale
  FIAR_TRAIT_PADDED = 1 << 16,     // the scales' layout has padding
  FIAR_TRAIT_NVFP4 = 1 << 17,
  FIAR_TRAIT_MX = 1 << 18,       // quant = mxfp8 or mxfp4
  FIAR_TRAIT_SUM_OUT = 1 << 19,  // these outputs are wanted
  FIAR_TRAIT_RESIDUAL_OUT = 1 << 20,
  FIAR_TRAIT_NORM_OUT = 1 << 21,
  FIAR_TRAIT_CODES_OUT = 1 << 22,
  FIAR_TRAIT_SCALES_OUT = 1 << 23,
  FIAR_TRAIT_DRAWS = 1 << 24  // of kernels alone: clusters draw their rows (device/owner.cuh)
} fiar_trait_t;

// A layout of scales as numbers instead of a switch, whose table would lie in a constant bank that
// nothing else needs: fiar_scale_index (scale_math.h). A tile is 1 << row_shift rows; scales of a
// row come in fours.
typedef struct fiar_scale_strides {
  int32_t row_shift;
  uint32_t row_tile;   // from a tile to the one below
  uint32_t col_fours;  // from four scales of a row to the next four, in fours
  uint32_t col_step;   // from a scale to the next of its four
} fiar_scale_strides_t;

// The one argument of every kernel, by value. Made by fiar_kernel_args_init.
//
// A launch finds none of it in the constant cache, and each line of 64 bytes that a kernel comes by
// costs it some 50 ns. So what most calls read comes first, in the lines it fills; device code
// reads it here, and `call` and `peers` for the rest.
typedef struct fiar_kernel_args {
  int32_t cluster_shift;  // log2 of the blocks a row, as launched: fiar_launch sets it
  int32_t tokens;
  uint32_t row_bytes, input_row_bytes, residual_row_bytes;
  uint32_t traits;  // FIAR_TRAIT_*
  uint32_t flags;   // FIAR_LAUNCH_*
  int32_t rank;
  int32_t vectors;  // 16-byte vectors a row
  float inverse_hidden, eps;
  float weight_bias;  // 1 where there is no weight

  fiar_control_t* control;
  uint64_t slot_bytes;
  const void *input, *residual, *weight;
  const float* scale;
  uint64_t all_offset, all_bytes;  // of tokens rows; rank times that

  void* own_slots;
  void *residual_out, *norm_out, *quant_out, *scales_out;
  void* others[FIAR_KERNEL_MAX_WORLD - 1];  // the other ranks' slots in the order of their turn

  int32_t scale_cols;     // scales a row, K of docs/numerics.md; 0: none
  int32_t block_vectors;  // vectors a scale; 0: none, or blocks are not whole vectors
  int32_t block_shift;    // log2 of block_vectors where that is a power of two, else -1
  float scale_min;
  fiar_scale_strides_t scale_strides;
  uint64_t owned_offset, owned_bytes;  // of ceil(tokens / world) rows: rank times that; that
  fiar_peers_t peers;                  // LOCAL, ANY and QUANTIZE look at nothing here
  fiar_all_reduce_norm_params call;    // strides resolved: never 0
} fiar_kernel_args_t;
// 48 bytes of the first line, as arguments begin in it on 9.0, and two whole ones: with the slots
// of three other ranks.
FIAR_STATIC_ASSERT(offsetof(fiar_kernel_args_t, control) == 48, "the first line is filled");
FIAR_STATIC_ASSERT(offsetof(fiar_kernel_args_t, others) + 3 * sizeof(void*) == 48 + 2 * 64,
                   "so are the two that follow");
FIAR_STATIC_ASSERT(offsetof(fiar_kernel_args_t, scale_cols) == 48 + 3 * 64 + 32 &&
                       offsetof(fiar_kernel_args_t, owned_offset) == 48 + 4 * 64,
                   "scales need one line, the two-hop kernels another");

// Launch with programmatic dependent launch: the kernel may start before the previous one in the
// stream has ended, and reads nothing but its arguments before that one's results are visible.
#define FIAR_LAUNCH_PDL 1u
// Let the next kernel start (up to its own dependency wait) as soon as this one has pushed. Only
// for consumers that wait before they read; by default dependents start when the outputs are
// written.
#define FIAR_LAUNCH_EARLY_RELEASE 2u
// Ranks hold blocks of the residual's rows (token_block): fiar_kernel_args_init sets it.
#define FIAR_LAUNCH_ROW_BLOCKS 4u

// Copies params and peers and derives the rest; quant becomes none where nothing of it is wanted.
// Does not look at the pointers. peers may be NULL for LOCAL, ANY and QUANTIZE. ANY quantises its
// input as it is, as QUANTIZE does, where FIAR_TRAIT_NORM is taken from the traits.
void fiar_kernel_args_init(const fiar_all_reduce_norm_params* params, const fiar_peers_t* peers,
                           uint32_t flags, fiar_kernel_args_t* out_args);

// Can this algorithm serve the call? OK, or UNSUPPORTED with a sentence that names what is in the
// way: alignment, hidden not in whole 16-byte vectors or above 16384, group sizes, sum_out with
// SHARDED, a sharded residual with another kernel. Pure. ANY serves every call that is valid at all
// (hidden up to 49152).
fiar_status_t fiar_kernel_supports(fiar_algorithm_t algorithm,
                                   const fiar_all_reduce_norm_params* params, int32_t world);

// Bytes of one slot that a call needs; 0 for LOCAL, ANY and QUANTIZE. A workspace of slot_bytes
// serves every call for which this is no larger, in any order and mix. Pure, 64-bit.
uint64_t fiar_kernel_slot_bytes(fiar_algorithm_t algorithm, int64_t tokens, int64_t hidden,
                                fiar_dtype_t dtype, int32_t world);

// What a launch needs to know of the device; asked once, at communicator creation.
typedef struct fiar_device_caps {
  int32_t sm;        // compute capability, 10 * major + minor
  int32_t sm_count;  // multiprocessors this launch may fill
  // Bytes of shared memory that a multiprocessor has, and that a block may ask for; 0: not known.
  int32_t shared, shared_of_block;
} fiar_device_caps_t;

// Is it a kernel of the table?
bool fiar_kernel_is_entry(const void* entry);

typedef struct fiar_kernel_shape {
  int32_t vectors_a_thread;
  int32_t threads;  // a block
  int32_t cluster;  // blocks a row
  int32_t grid;     // blocks; a multiple of cluster, all resident at once
  int32_t shared;   // dynamic shared memory, bytes
  bool draws;       // clusters draw their rows, if there is a kernel for it
} fiar_kernel_shape_t;

// The launch shape: a pure function of call, world and device, the same on every rank of equal
// devices. (Ranks whose shapes differ still agree on the values: the protocol does not depend on
// the grid.)
void fiar_kernel_shape(fiar_algorithm_t algorithm, const fiar_kernel_args_t* args,
                       const fiar_device_caps_t* caps, fiar_kernel_shape_t* out_shape);

// One compiled kernel. world 0 serves any; an exact one is preferred. Of the traits in `known` it
// serves calls that have just `traits`; the one that knows most is preferred.
typedef struct fiar_kernel {
  const char* name;
  const void* entry;  // for cudaLaunchKernelExC; takes one fiar_kernel_args_t
  int32_t algorithm, dtype, world, vectors_a_thread, max_threads;
  uint32_t known, traits;
  int32_t min_sm, max_sm;  // compute capabilities, 10 * major + minor: at least, and below
} fiar_kernel_t;

// The best entry of the table, or NULL. Only in builds with CUDA.
const fiar_kernel_t* fiar_kernel_find(fiar_algorithm_t algorithm, const fiar_kernel_args_t* args,
                                      const fiar_kernel_shape_t* shape, int32_t sm);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_KERNELS_H
