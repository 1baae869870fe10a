// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The arithmetic around the kernels that needs no GPU: what they can serve, how much slot memory a
// call takes, and the shape of its launch.
#include "base/base.h"
#include "kernels.h"
#include "residual.h"

enum {
  VECTOR_BYTES = 16,
  MAX_TOKENS = 1 << 30,
  MAX_STRIDE = 1 << 29,
  MAX_HIDDEN = 16384,
  MAX_HIDDEN_ANY = 49152,
  SLOT_ALIGNMENT = 256
};

static const struct {
  int bits, block;
} formats[] = {
#define X(name, value, text, bits, block) [value] = {bits, block},
#include "fiar/quant_formats.def"
#undef X
};

static int64_t dtype_bytes(int dtype) {
  return dtype == FIAR_DTYPE_F32 ? 4 : 2;
}

static int64_t quant_block(const fiar_all_reduce_norm_params* params) {
  int block = formats[params->quant].block;
  return block == -1 ? params->hidden : block == -2 ? params->group_size : block;
}

static int64_t up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// -1 where n is no power of two.
static int32_t log2_of(int64_t n) {
  int32_t shift = 0;
  while (n > 1 && n % 2 == 0) {
    n /= 2;
    ++shift;
  }
  return n == 1 ? shift : -1;
}

static uint32_t traits_of(const fiar_all_reduce_norm_params* call, int32_t block_vectors) {
  const bool quant = call->quant != FIAR_QUANT_NONE;
  const bool before = call->norm_rounding == FIAR_NORM_ROUNDING_BEFORE_WEIGHT;
  const bool same_type = call->weight_dtype == call->dtype;
  const bool blocks = quant && quant_block(call) > 0 && call->quant != FIAR_QUANT_FP8_TOKEN;
  const bool given = call->quant == FIAR_QUANT_FP8_STATIC || call->quant == FIAR_QUANT_NVFP4;
  const struct {
    bool holds;
    fiar_trait_t trait;
  } traits[] = {
      {call->residual, FIAR_TRAIT_RESIDUAL},
      {quant || call->norm_out, FIAR_TRAIT_NORM},
      {call->norm_input == FIAR_NORM_INPUT_F32, FIAR_TRAIT_NORM_OF_F32},
      {before, FIAR_TRAIT_BEFORE_WEIGHT},
      {before && call->weight && same_type, FIAR_TRAIT_ROUND_WEIGHT},
      {call->weight && same_type, FIAR_TRAIT_WEIGHT},
      {call->weight && !same_type, FIAR_TRAIT_WEIGHT_F32},
      {quant, FIAR_TRAIT_QUANT},
      {call->quant == FIAR_QUANT_FP8_STATIC, FIAR_TRAIT_STATIC},
      {call->quant == FIAR_QUANT_FP8_TOKEN, FIAR_TRAIT_ROW_AMAX},
      {blocks, FIAR_TRAIT_BLOCKS},
      {blocks && log2_of(block_vectors) >= 0 && block_vectors <= 32, FIAR_TRAIT_SHUFFLES},
      {formats[call->quant].bits == 4, FIAR_TRAIT_FP4},
      {call->quant == FIAR_QUANT_NVFP4, FIAR_TRAIT_NVFP4},
      {call->quant == FIAR_QUANT_MXFP8 || call->quant == FIAR_QUANT_MXFP4, FIAR_TRAIT_MX},
      {call->scale_is == FIAR_SCALE_IS_DIVISOR, FIAR_TRAIT_DIVIDES},
      {call->scale_type == FIAR_SCALE_TYPE_UE8M0, FIAR_TRAIT_EXPONENTS},
      {given && call->scale, FIAR_TRAIT_GIVEN},
      {call->scales_out && call->scale_layout != FIAR_SCALE_LAYOUT_LINEAR, FIAR_TRAIT_PADDED},
      {call->sum_out, FIAR_TRAIT_SUM_OUT},
      {call->residual_out, FIAR_TRAIT_RESIDUAL_OUT},
      {call->norm_out, FIAR_TRAIT_NORM_OUT},
      {call->quant_out, FIAR_TRAIT_CODES_OUT},
      {call->scales_out, FIAR_TRAIT_SCALES_OUT},
  };
  uint32_t bits = 0;
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(traits); ++i) {
    bits |= traits[i].holds ? (uint32_t)traits[i].trait : 0;
  }
  return bits;
}

static void set_peers(const fiar_peers_t* peers, fiar_kernel_args_t* args) {
  const uint64_t tokens = (uint64_t)args->tokens, world = (uint64_t)peers->world;
  args->peers = *peers;
  args->rank = peers->rank;
  args->control = peers->control;
  args->slot_bytes = peers->slot_bytes;
  args->own_slots = peers->slots[peers->rank];
  for (int32_t turn = 1; turn < peers->world; ++turn) {
    args->others[turn - 1] = peers->slots[(peers->rank + turn) % peers->world];
  }
  args->all_bytes = tokens * args->row_bytes;
  args->all_offset = (uint64_t)peers->rank * args->all_bytes;
  args->owned_bytes = (tokens + world - 1) / world * args->row_bytes;
  args->owned_offset = (uint64_t)peers->rank * args->owned_bytes;
}

// What device code reads of the call.
static void set_call(const fiar_all_reduce_norm_params* call, fiar_kernel_args_t* args) {
  args->tokens = (int32_t)call->tokens;
  args->eps = call->eps;
  args->input = call->input;
  args->residual = call->residual;
  args->weight = call->weight;
  args->scale = call->scale;
  args->residual_out = call->residual_out;
  args->norm_out = call->norm_out;
  args->quant_out = call->quant_out;
  args->scales_out = call->scales_out;
  args->scale_min = call->scale_min;
}

static fiar_scale_strides_t scale_strides(const fiar_all_reduce_norm_params* call,
                                          int64_t scale_cols) {
  const bool f32 = call->scale_type == FIAR_SCALE_TYPE_F32;
  const uint32_t cols = (uint32_t)(f32 ? scale_cols : up(scale_cols, 4));
  const uint32_t rows = (uint32_t)up(call->tokens, 4);
  switch (call->scale_layout) {
    case FIAR_SCALE_LAYOUT_SWIZZLED_128X4:
      return (fiar_scale_strides_t){7, 128 * cols, 128, 1};
    case FIAR_SCALE_LAYOUT_SWIZZLED_8X4:
      return (fiar_scale_strides_t){3, 8 * cols, 8, 1};
    case FIAR_SCALE_LAYOUT_COLUMN_MAJOR:
      return f32 ? (fiar_scale_strides_t){0, 1, rows, rows} : (fiar_scale_strides_t){0, 4, rows, 1};
    default:
      return (fiar_scale_strides_t){0, (uint32_t)scale_cols, 1, 1};
  }
}

void fiar_kernel_args_init(const fiar_all_reduce_norm_params* params, const fiar_peers_t* peers,
                           uint32_t flags, fiar_kernel_args_t* out_args) {
  *out_args = (fiar_kernel_args_t){.call = *params, .flags = flags};
  fiar_all_reduce_norm_params* call = &out_args->call;
  const int64_t bytes = dtype_bytes(call->dtype);
  call->input_stride = call->input_stride ? call->input_stride : call->hidden;
  call->residual_stride = call->residual_stride ? call->residual_stride : call->hidden;
  if (!call->quant_out && !call->scales_out) {
    call->quant = FIAR_QUANT_NONE;
  }
  const int64_t block = quant_block(call);
  out_args->row_bytes = (uint32_t)(call->hidden * bytes);
  out_args->input_row_bytes = (uint32_t)(call->input_stride * bytes);
  out_args->residual_row_bytes = (uint32_t)(call->residual_stride * bytes);
  out_args->vectors = (int32_t)(call->hidden * bytes / VECTOR_BYTES);
  out_args->scale_cols = block > 0 ? (int32_t)(call->hidden / block) : 0;
  out_args->block_vectors =
      block > 0 && block * bytes % VECTOR_BYTES == 0 ? (int32_t)(block * bytes / VECTOR_BYTES) : 0;
  out_args->block_shift = log2_of(out_args->block_vectors);
  out_args->scale_strides = scale_strides(call, out_args->scale_cols);
  out_args->inverse_hidden = 1.0f / (float)call->hidden;
  out_args->weight_bias = call->weight ? call->weight_bias : 1.0f;
  out_args->traits = traits_of(call, out_args->block_vectors);
  out_args->flags |=
      call->residual_layout == FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK ? FIAR_LAUNCH_ROW_BLOCKS : 0;
  set_call(call, out_args);
  if (peers) {
    set_peers(peers, out_args);
  }
}

static bool aligned(const void* pointer) {
  return (uintptr_t)pointer % VECTOR_BYTES == 0;
}

static fiar_status_t check_aligned(const char* name, const void* pointer) {
  return aligned(pointer)
             ? FIAR_OK
             : FIAR_FAIL(UNSUPPORTED, "%s is %p, the vector kernels need a multiple of %d", name,
                         pointer, VECTOR_BYTES);
}

static fiar_status_t check_stride(const char* name, int64_t stride, int64_t elements) {
  if (stride > MAX_STRIDE) {
    return FIAR_FAIL(UNSUPPORTED, "%s is %lld elements, the vector kernels need at most %d", name,
                     (long long)stride, MAX_STRIDE);
  }
  return stride % elements == 0
             ? FIAR_OK
             : FIAR_FAIL(UNSUPPORTED,
                         "%s is %lld elements, the vector kernels need a multiple of %lld", name,
                         (long long)stride, (long long)elements);
}

// What the kernels that move 16-byte vectors need.
static fiar_status_t check_vectors(const fiar_all_reduce_norm_params* params) {
  const int64_t elements = VECTOR_BYTES / dtype_bytes(params->dtype);
  if (params->hidden % elements != 0 || params->hidden > MAX_HIDDEN) {
    return FIAR_FAIL(UNSUPPORTED,
                     "hidden is %lld, the vector kernels need a multiple of %lld up to %d",
                     (long long)params->hidden, (long long)elements, MAX_HIDDEN);
  }
  FIAR_TRY(check_stride("input_stride", params->input_stride, elements));
  FIAR_TRY(check_stride("residual_stride", params->residual_stride, elements));
  FIAR_TRY(check_aligned("input", params->input));
  FIAR_TRY(check_aligned("residual", params->residual));
  FIAR_TRY(check_aligned("weight", params->weight));
  FIAR_TRY(check_aligned("sum_out", params->sum_out));
  FIAR_TRY(check_aligned("residual_out", params->residual_out));
  FIAR_TRY(check_aligned("norm_out", params->norm_out));
  FIAR_TRY(check_aligned("quant_out", params->quant_out));
  FIAR_TRY(check_aligned("scales_out", params->scales_out));
  int64_t block = quant_block(params);
  if (block > 0 && block % elements != 0) {
    return FIAR_FAIL(UNSUPPORTED, "group_size is %lld, the vector kernels need a multiple of %lld",
                     (long long)block, (long long)elements);
  }
  return FIAR_OK;
}

static bool pushes(fiar_algorithm_t algorithm) {
  return algorithm != FIAR_ALGORITHM_LOCAL && algorithm != FIAR_ALGORITHM_ANY &&
         algorithm != FIAR_ALGORITHM_QUANTIZE;
}

fiar_status_t fiar_kernel_supports(fiar_algorithm_t algorithm,
                                   const fiar_all_reduce_norm_params* params, int32_t world) {
  const bool sharded = fiar_residual_is_sharded(params->residual_layout);
  if (pushes(algorithm) && (world < 2 || world > FIAR_KERNEL_MAX_WORLD)) {
    return FIAR_FAIL(UNSUPPORTED, "world is %d, the push kernels need 2 to %d", world,
                     FIAR_KERNEL_MAX_WORLD);
  }
  if (params->tokens > MAX_TOKENS) {
    return FIAR_FAIL(UNSUPPORTED, "tokens is %lld, the kernels need at most %d",
                     (long long)params->tokens, MAX_TOKENS);
  }
  if (params->weight && params->weight_dtype != params->dtype &&
      params->weight_dtype != FIAR_DTYPE_F32) {
    return FIAR_FAIL(UNSUPPORTED, "weight_dtype is %d, the kernels need dtype's %d or f32",
                     params->weight_dtype, params->dtype);
  }
  if (algorithm == FIAR_ALGORITHM_ANY) {
    return params->hidden <= MAX_HIDDEN_ANY
               ? FIAR_OK
               : FIAR_FAIL(UNSUPPORTED, "hidden is %lld, the kernels need at most %d",
                           (long long)params->hidden, MAX_HIDDEN_ANY);
  }
  if (algorithm == FIAR_ALGORITHM_SHARDED && (!sharded || params->sum_out)) {
    return FIAR_FAIL(UNSUPPORTED,
                     "the sharded kernel needs residual_layout token_shard or token_block and no "
                     "sum_out");
  }
  if (sharded && (algorithm == FIAR_ALGORITHM_ONESHOT || algorithm == FIAR_ALGORITHM_TWOSHOT)) {
    return FIAR_FAIL(UNSUPPORTED, "residual_layout %s needs the sharded kernel",
                     fiar_residual_layout_name(params->residual_layout));
  }
  return check_vectors(params);
}

uint64_t fiar_kernel_slot_bytes(fiar_algorithm_t algorithm, int64_t tokens, int64_t hidden,
                                fiar_dtype_t dtype, int32_t world) {
  const int64_t row = up(hidden * dtype_bytes((int)dtype), VECTOR_BYTES);
  const int64_t owned = world > 0 ? (tokens + world - 1) / world : tokens;
  int64_t rows = 0;
  switch (algorithm) {
    case FIAR_ALGORITHM_ONESHOT:
      rows = world * tokens;
      break;
    case FIAR_ALGORITHM_TWOSHOT:
    case FIAR_ALGORITHM_SHARDED:  // world sources of the owned rows, then what comes back
      rows = world * owned + tokens;
      break;
    case FIAR_ALGORITHM_GATHER:
      rows = tokens;
      break;
    case FIAR_ALGORITHM_LOCAL:
    case FIAR_ALGORITHM_ANY:
    case FIAR_ALGORITHM_QUANTIZE:
      break;
  }
  return (uint64_t)up(rows * row, SLOT_ALIGNMENT);
}

// Registers are capped so that this many threads of any kernel fit on a multiprocessor.
enum {
  RESIDENT_THREADS = 1024,
  MAX_CLUSTER = 4,
  PADDING_ROWS = 8,
  WIDE_VECTORS = 512,
  SMALLEST_BLOCK = 64,
  SET_OF_WARPS = 128,  // threads
  ROWS_TO_DRAW =
      12,  // for each cluster: where there are more, the wait for a number is earned back
  ANY_THREADS = 256
};

// A scale's block must not straddle blocks of threads, but where shuffles find its maximum.
static bool blocks_fit_warps(const fiar_kernel_args_t* args) {
  return !(args->traits & FIAR_TRAIT_BLOCKS) || (args->traits & FIAR_TRAIT_SHUFFLES);
}

// A row on a cluster, and how many of those the device holds at once.
typedef struct fit {
  int32_t vectors, threads;  // a thread, a block
  int64_t rows;
} fit_t;

static fit_t fit_rows(const fiar_kernel_args_t* args, const fiar_device_caps_t* caps,
                      int32_t cluster) {
  const int64_t share = (args->vectors + cluster - 1) / cluster;
  const int32_t vectors = share <= 512 ? 1 : share <= 1024 ? 2 : 4;
  const int32_t threads = (int32_t)up((share + vectors - 1) / vectors, 32);
  const int32_t blocks = vectors > 1 ? 1 : RESIDENT_THREADS / threads;
  const int64_t rows = (int64_t)caps->sm_count * blocks / cluster;
  return (fit_t){.vectors = vectors, .threads = threads, .rows = rows < 1 ? 1 : rows};
}

// Blocks that rows may take before they are cut into fewer: a multiprocessor each; two on one where
// owners finish rows, as half of the blocks at most have work at a time.
static int64_t blocks_to_fill(fiar_algorithm_t algorithm, const fiar_device_caps_t* caps,
                              const fit_t* fit) {
  const bool two = algorithm == FIAR_ALGORITHM_SHARDED && fit->vectors == 1;
  return two ? 2 * (int64_t)caps->sm_count : caps->sm_count;
}

// Few rows: several blocks a row, while there are multiprocessors for them. Wide rows that other
// ranks send: two blocks, since one thread's vectors would wait for each other. More one-shot rows
// that fit all at once: four, where each then has whole sets of four warps, one for each scheduler.
// Not on 12.x, where clusters have not been tried.
static int32_t choose_cluster(fiar_algorithm_t algorithm, const fiar_kernel_args_t* args,
                              const fiar_device_caps_t* caps) {
  if (caps->sm < 90 || caps->sm >= 120 || !blocks_fit_warps(args)) {
    return 1;
  }
  const int64_t tokens = args->call.tokens;
  int32_t cluster = MAX_CLUSTER;
  fit_t fit = fit_rows(args, caps, cluster);
  if (algorithm == FIAR_ALGORITHM_ONESHOT && 2 * tokens > caps->sm_count && tokens <= fit.rows &&
      args->vectors % (MAX_CLUSTER * SET_OF_WARPS) == 0) {
    return cluster;
  }
  while (cluster > 1 && (tokens * cluster > blocks_to_fill(algorithm, caps, &fit) ||
                         args->vectors < (int64_t)cluster * SMALLEST_BLOCK)) {
    cluster /= 2;
    fit = fit_rows(args, caps, cluster);
  }
  const bool wide = args->vectors > WIDE_VECTORS && pushes(algorithm);
  return cluster == 1 && wide ? 2 : cluster;
}

void fiar_kernel_shape(fiar_algorithm_t algorithm, const fiar_kernel_args_t* args,
                       const fiar_device_caps_t* caps, fiar_kernel_shape_t* out_shape) {
  const int64_t tokens = args->call.tokens;
  if (algorithm == FIAR_ALGORITHM_ANY) {
    const int64_t most = (int64_t)4 * caps->sm_count;
    const int64_t grid = tokens < most ? tokens : most;
    *out_shape = (fiar_kernel_shape_t){.vectors_a_thread = 1,
                                       .threads = ANY_THREADS,
                                       .cluster = 1,
                                       .grid = (int32_t)grid,
                                       .shared = (int32_t)(args->call.hidden * 4)};
    return;
  }
  const int32_t cluster = choose_cluster(algorithm, args, caps);
  const fit_t fit = fit_rows(args, caps, cluster);
  int64_t rows = fit.rows;
  if (tokens <= rows) {
    // Padding of the scales is work for blocks of their own.
    const int64_t wanted = args->traits & FIAR_TRAIT_PADDED ? tokens + PADDING_ROWS : tokens;
    rows = wanted < rows ? wanted : rows;
  } else if (algorithm == FIAR_ALGORITHM_ONESHOT) {
    // In two turns all rows would be on their way at once, arrive together and be finished when the
    // wire is idle: three or four are better, unless the second is short.
    rows = tokens > rows + rows / 4 && tokens <= 2 * rows ? (rows + 1) / 2 : rows;
  } else if (args->peers.world > 0 && rows > 1 && rows % args->peers.world == 0) {
    rows -= 1;  // else a block would own all of its rows, or none
  }
  *out_shape = (fiar_kernel_shape_t){.vectors_a_thread = fit.vectors,
                                     .threads = fit.threads,
                                     .cluster = cluster,
                                     .grid = (int32_t)(rows * cluster),
                                     .draws = cluster > 1 && tokens > ROWS_TO_DRAW * rows};
}
