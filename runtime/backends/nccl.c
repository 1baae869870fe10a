// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// ncclAllReduce, then one local kernel: any size, topology and number of hosts. Where ranks hold
// blocks of the residual's rows, a reduce-scatter, the kernel on a rank's rows, and all-gathers of
// what it made. NCCL adds in its own order and in the element type, so the sum has the reference's
// bits only where it is exact. One rank alone needs no NCCL.
//
// NCCL has no time bound: where a rank dies, its kernel waits until NCCL finds out
// (fiar_comm_async_error tells).
#include <stdlib.h>

#include "comm/comm.h"
#include "cuda/cuda_impl.h"
#include "cuda/nccl_comm.h"
#include "host/reference.h"
#include "launch.h"
#include "residual.h"
#include "runtime_impl.h"

typedef struct state {
  fiar_comm_t* comm;
  cudaEvent_t connected;    // behind the first use
  fiar_nccl_group_t group;  // zeros for one rank
  fiar_device_caps_t caps;
  fiar_pointer_cache_t checked;
  int32_t rank, world, device;
  char* memory;  // the sum; for sharded residuals then the gathered rows and the whole residual
  size_t bytes;
} state_t;

static const char* refuses(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  const char* reason = fiar_cuda_refuses(problem, caps);
  if (reason) {
    return reason;
  }
  if (caps->world > 1 && !caps->nccl) {
    return "needs libnccl.so.2, and a device for each rank";
  }
  const fiar_all_reduce_norm_params params = {.tokens = problem->tokens, .hidden = problem->hidden};
  if (problem->op == FIAR_OP_ALL_REDUCE_NORM &&
      fiar_kernel_supports(FIAR_ALGORITHM_ANY, &params, caps->world) != FIAR_OK) {
    return "needs rows of at most 49152 elements";
  }
  return NULL;
}

static size_t element_bytes(uint8_t dtype) {
  return dtype == FIAR_DTYPE_F32 ? 4 : 2;
}

static size_t up256(size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

// Where a call's parts lie in the workspace.
typedef struct layout {
  size_t row;    // bytes
  size_t owned;  // rows of every rank's part
  size_t sum, gathered, residual, end;
} layout_t;

// Blocks of rows are gathered in their place, the rows of a shard are put there afterwards.
static layout_t layout_of(int64_t tokens, int64_t hidden, uint8_t dtype, uint8_t residual,
                          int32_t world) {
  layout_t at = {.row = (size_t)hidden * element_bytes(dtype)};
  size_t whole = up256((size_t)tokens * at.row);
  bool apart = residual == FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD;
  at.owned = (size_t)fiar_residual_rows(residual, tokens, world);
  at.gathered = whole;
  at.residual = at.gathered + (apart ? up256(at.owned * at.row * (size_t)(world + 1)) : 0);
  at.end = at.residual + (fiar_residual_is_sharded(residual) ? whole : 0);
  return at;
}

static size_t workspace_size(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  uint8_t residual = problem->op == FIAR_OP_ALL_GATHER_ROWS
                         ? (uint8_t)FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD
                         : problem->residual_layout;
  size_t need =
      layout_of(problem->tokens, problem->hidden, problem->dtype, residual, caps->world).end;
  size_t bytes = (size_t)1 << 20;
  while (bytes < need) {
    bytes *= 2;  // so that slowly growing messages do not make the workspace grow at each of them
  }
  return bytes;
}

// ---- Life ----

static void close_state(void* opaque) {
  state_t* state = opaque;
  if (!state) {
    return;
  }
  int previous = state->device;
  (void)fiar_cuda_enter(state->device, &previous);
  const bool held = state->group.failed && !state->group.owned;  // and freeing would wait for ever
  if (state->group.failed) {
    fiar_nccl_group_finish(&state->group);  // ends what still runs, where the group is ours
  }
  if (!held) {
    (void)cudaDeviceSynchronize();
    (void)cudaFree(state->memory);
  }
  if (state->connected) {
    (void)cudaEventDestroy(state->connected);
  }
  fiar_nccl_group_finish(&state->group);
  fiar_cuda_leave(state->device, previous);
  free(state);
}

static fiar_status_t memory_open(state_t* state) {
  FIAR_TRY(fiar_launch_caps(&state->caps));
  // Now: later the kernels of other ranks may be waiting for this one.
  FIAR_CUDA_TRY(cudaEventCreateWithFlags(&state->connected, cudaEventDisableTiming));
  cudaError_t error = cudaMalloc((void**)&state->memory, state->bytes);
  return error == cudaSuccess
             ? FIAR_OK
             : fiar_annotate(fiar_cuda_fail(error, "cudaMalloc"),
                             "workspace of %zu bytes on device %d", state->bytes, state->device);
}

// NCCL connects the ranks on first use, which allocates: not in a call that may be captured.
static fiar_status_t enqueue_first_use(state_t* state) {
  FIAR_NCCL_TRY(state->group.nccl, AllReduce, state->memory, state->memory, 1, FIAR_NCCL_FLOAT32,
                FIAR_NCCL_SUM, state->group.comm, NULL);
  FIAR_NCCL_TRY(state->group.nccl, ReduceScatter, state->memory, state->memory, 1,
                FIAR_NCCL_FLOAT32, FIAR_NCCL_SUM, state->group.comm, NULL);
  FIAR_NCCL_TRY(state->group.nccl, AllGather, state->memory, state->memory + 256, 1,
                FIAR_NCCL_UINT8, state->group.comm, NULL);
  return FIAR_OK;
}

static fiar_status_t connect_ranks(state_t* state) {
  const int64_t bound_ns = fiar_nccl_start_ms(state->comm) * INT64_C(1000000);
  FIAR_TRY(enqueue_first_use(state));
  FIAR_CUDA_TRY(cudaEventRecord(state->connected, NULL));
  return fiar_nccl_group_wait(&state->group, state->connected, fiar_now_ns() + bound_ns);
}

static fiar_status_t open_state(fiar_comm_t* comm, size_t bytes, void** out_state) {
  *out_state = NULL;
  state_t* state = calloc(1, sizeof *state);
  int previous = fiar_comm_device(comm);
  fiar_status_t status = fiar_cuda_enter(fiar_comm_device(comm), &previous);
  if (status == FIAR_OK && !state) {
    status = FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *state);
  }
  if (status == FIAR_OK) {
    *state = (state_t){.comm = comm,
                       .rank = fiar_comm_rank(comm),
                       .world = fiar_comm_world(comm),
                       .device = fiar_comm_device(comm),
                       .bytes = bytes};
    status = memory_open(state);
  }
  status = fiar_comm_vote(comm, status);
  if (status != FIAR_OK || !state) {
    goto done;
  }
  if (state->world > 1) {
    FIAR_TRY_DONE(fiar_nccl_group_init(comm, &state->group));
    FIAR_TRY_DONE(fiar_comm_vote(comm, connect_ranks(state)));
  }
  *out_state = state;
  state = NULL;
done:
  close_state(state);
  fiar_cuda_leave(fiar_comm_device(comm), previous);
  return status;
}

// ---- Calls ----

// residual[t] of a shard is row t / world of rank t % world.
static fiar_status_t shards_gather(state_t* state, const layout_t* at, const void* shard,
                                   size_t pitch, int64_t tokens, void* out, void* stream) {
  size_t shard_bytes = at->owned * at->row;
  char* gathered = state->memory + at->gathered;
  char* mine = gathered + (size_t)state->world * shard_bytes;
  size_t world = (size_t)state->world, rows = (size_t)tokens;
  size_t held = (rows + world - 1 - (size_t)state->rank) / world;
  if (held > 0) {  // the last shard may be one row short, and the caller's array with it
    FIAR_CUDA_TRY(cudaMemcpy2DAsync(mine, at->row, shard, pitch, at->row, held,
                                    cudaMemcpyDeviceToDevice, stream));
  }
  if (world > 1) {
    FIAR_NCCL_TRY(state->group.nccl, AllGather, mine, gathered, shard_bytes, FIAR_NCCL_UINT8,
                  state->group.comm, stream);
  } else {
    gathered = mine;
  }
  for (size_t rank = 0; rank < world && rank < rows; ++rank) {
    FIAR_CUDA_TRY(cudaMemcpy2DAsync(
        (char*)out + rank * at->row, world * at->row, gathered + rank * shard_bytes, at->row,
        at->row, (rows + world - 1 - rank) / world, cudaMemcpyDeviceToDevice, stream));
  }
  return FIAR_OK;
}

// Every rank's block of rows, one behind the other, into `out`.
static fiar_status_t blocks_gather(state_t* state, const layout_t* at, const void* block,
                                   size_t pitch, void* out, void* stream) {
  size_t bytes = at->owned * at->row;
  char* mine = (char*)out + (size_t)state->rank * bytes;
  FIAR_CUDA_TRY(cudaMemcpy2DAsync(mine, at->row, block, pitch, at->row, at->owned,
                                  cudaMemcpyDeviceToDevice, stream));
  FIAR_NCCL_TRY(state->group.nccl, AllGather, mine, out, bytes, FIAR_NCCL_UINT8, state->group.comm,
                stream);
  return FIAR_OK;
}

// The own rows of a whole residual, into a shard.
static fiar_status_t shard_take(const state_t* state, const layout_t* at, const void* whole,
                                int64_t tokens, void* out, void* stream) {
  size_t world = (size_t)state->world, rank = (size_t)state->rank;
  size_t held = ((size_t)tokens + world - 1 - rank) / world;
  if (held > 0) {
    FIAR_CUDA_TRY(cudaMemcpy2DAsync(out, at->row, (const char*)whole + rank * at->row,
                                    world * at->row, at->row, held, cudaMemcpyDeviceToDevice,
                                    stream));
  }
  return FIAR_OK;
}

// And into a block.
static fiar_status_t block_take(const state_t* state, const layout_t* at, const void* whole,
                                void* out, void* stream) {
  size_t bytes = at->owned * at->row;
  FIAR_CUDA_TRY(cudaMemcpyAsync(out, (const char*)whole + (size_t)state->rank * bytes, bytes,
                                cudaMemcpyDeviceToDevice, stream));
  return FIAR_OK;
}

static fiar_status_t sum_all(state_t* state, const fiar_all_reduce_norm_params* params,
                             const layout_t* at, void* sum, void* stream) {
  const void* source = params->input;
  size_t element = element_bytes(params->dtype);
  if (params->input_stride != params->hidden || (state->world == 1 && source != sum)) {
    FIAR_CUDA_TRY(cudaMemcpy2DAsync(sum, at->row, source, (size_t)params->input_stride * element,
                                    at->row, (size_t)params->tokens, cudaMemcpyDeviceToDevice,
                                    stream));
    source = sum;
  }
  if (state->world > 1) {
    FIAR_NCCL_TRY(state->group.nccl, AllReduce, source, sum,
                  (size_t)(params->tokens * params->hidden), fiar_nccl_type(params->dtype),
                  FIAR_NCCL_SUM, state->group.comm, stream);
  }
  return FIAR_OK;
}

// With a sharded residual: all of it is gathered, every rank normalises all rows, and takes its own
// of the residual that comes of it. params: of the summed input; the residual's as the caller has
// it.
static fiar_status_t run_sharded(state_t* state, const fiar_all_reduce_norm_params* params,
                                 const layout_t* at, void* stream) {
  const bool blocks = params->residual_layout == FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK;
  const size_t pitch = (size_t)params->residual_stride * element_bytes(params->dtype);
  void* residual = state->memory + at->residual;
  fiar_all_reduce_norm_params call = *params;
  call.residual_layout = FIAR_RESIDUAL_LAYOUT_FULL;
  call.residual_stride = params->hidden;
  if (params->residual) {
    FIAR_TRY(blocks ? blocks_gather(state, at, params->residual, pitch, residual, stream)
                    : shards_gather(state, at, params->residual, pitch, params->tokens, residual,
                                    stream));
    call.residual = residual;
  }
  call.residual_out = params->residual_out ? residual : NULL;
  FIAR_TRY(fiar_launch_local(&call, 0, &state->caps, stream));
  if (!params->residual_out) {
    return FIAR_OK;
  }
  return blocks ? block_take(state, at, residual, params->residual_out, stream)
                : shard_take(state, at, residual, params->tokens, params->residual_out, stream);
}

// Does all that a call makes of a block of rows lie together?
static bool blocks_lie_apart(const fiar_all_reduce_norm_params* params, size_t rows) {
  static const size_t tiles[] = {[FIAR_SCALE_LAYOUT_LINEAR] = 1,
                                 [FIAR_SCALE_LAYOUT_SWIZZLED_128X4] = 128,
                                 [FIAR_SCALE_LAYOUT_SWIZZLED_8X4] = 8,
                                 [FIAR_SCALE_LAYOUT_COLUMN_MAJOR] = 0};
  const size_t tile = params->scales_out ? tiles[params->scale_layout] : 1;
  return !params->sum_out && tile > 0 && rows % tile == 0;
}

// The sum of this rank's rows, in the workspace.
static fiar_status_t sum_rows(state_t* state, const fiar_all_reduce_norm_params* params,
                              const layout_t* at, void** out_rows, void* stream) {
  char* whole = state->memory + at->sum;
  const void* source = params->input;
  if (params->input_stride != params->hidden) {
    FIAR_CUDA_TRY(cudaMemcpy2DAsync(
        whole, at->row, source, (size_t)params->input_stride * element_bytes(params->dtype),
        at->row, (size_t)params->tokens, cudaMemcpyDeviceToDevice, stream));
    source = whole;
  }
  *out_rows =
      whole + (size_t)state->rank * at->owned * at->row;  // where NCCL, too, has it in place
  FIAR_NCCL_TRY(state->group.nccl, ReduceScatter, source, *out_rows,
                at->owned * (size_t)params->hidden, fiar_nccl_type(params->dtype), FIAR_NCCL_SUM,
                state->group.comm, stream);
  return FIAR_OK;
}

// Each rank sums and finishes its block of rows, in its place in the outputs.
static fiar_status_t run_blocks(state_t* state, const fiar_all_reduce_norm_params* params,
                                const layout_t* at, void* stream) {
  fiar_all_reduce_norm_params call = *params;
  void* rows = NULL;
  FIAR_TRY(sum_rows(state, params, at, &rows, stream));
  call.tokens = (int64_t)at->owned;
  call.input = rows;
  call.input_stride = params->hidden;
  call.residual_layout = FIAR_RESIDUAL_LAYOUT_FULL;
  const struct {
    void **part, *whole;
    size_t bytes;  // of a block
  } outs[] = {
      {&call.norm_out, params->norm_out, at->owned * at->row},
      {&call.quant_out, params->quant_out, fiar_reference_codes_bytes(&call)},
      {&call.scales_out, params->scales_out, fiar_reference_scales_bytes(&call)},
  };
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(outs); ++i) {
    *outs[i].part =
        outs[i].whole ? (char*)outs[i].whole + (size_t)state->rank * outs[i].bytes : NULL;
  }
  FIAR_TRY(fiar_launch_local(&call, 0, &state->caps, stream));
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(outs); ++i) {
    if (outs[i].whole) {
      FIAR_NCCL_TRY(state->group.nccl, AllGather, *outs[i].part, outs[i].whole, outs[i].bytes,
                    FIAR_NCCL_UINT8, state->group.comm, stream);
    }
  }
  return FIAR_OK;
}

static fiar_status_t run_here(state_t* state, const fiar_all_reduce_norm_params* given,
                              void* stream) {
  fiar_all_reduce_norm_params alone = *given;
  alone.residual_layout = FIAR_RESIDUAL_LAYOUT_FULL;  // one rank has all rows
  const fiar_all_reduce_norm_params* params = state->world > 1 ? given : &alone;
  bool norms = params->residual_out || params->norm_out || params->quant_out || params->scales_out;
  const layout_t at = layout_of(params->tokens, params->hidden, params->dtype,
                                params->residual_layout, state->world);
  if (params->residual_layout == FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK && norms &&
      blocks_lie_apart(params, at.owned)) {
    return run_blocks(state, params, &at, stream);
  }
  void* sum = params->sum_out ? params->sum_out : state->memory + at.sum;
  FIAR_TRY(sum_all(state, params, &at, sum, stream));
  if (!norms) {
    return FIAR_OK;
  }
  fiar_all_reduce_norm_params call = *params;
  call.input = sum;
  call.input_stride = params->hidden;
  call.sum_out = NULL;
  return fiar_residual_is_sharded(params->residual_layout)
             ? run_sharded(state, &call, &at, stream)
             : fiar_launch_local(&call, 0, &state->caps, stream);
}

static fiar_status_t async_error(void* opaque) {
  state_t* state = opaque;
  return state->world > 1 ? fiar_nccl_group_error(&state->group) : FIAR_OK;
}

static fiar_status_t run(void* opaque, const fiar_all_reduce_norm_params* params, void* stream) {
  state_t* state = opaque;
  FIAR_TRY(fiar_cuda_check_pointers(&state->checked, state->device, params));
  int previous = state->device;
  FIAR_TRY(fiar_cuda_enter(state->device, &previous));
  fiar_status_t status = run_here(state, params, stream);
  fiar_cuda_leave(state->device, previous);
  return status;
}

static fiar_status_t all_gather_rows(void* opaque, const void* rows, void* out, int64_t tokens,
                                     int64_t hidden, uint8_t dtype, void* stream) {
  state_t* state = opaque;
  fiar_all_reduce_norm_params pointers = {.input = rows, .sum_out = out};
  FIAR_TRY(fiar_cuda_check_pointers(&state->checked, state->device, &pointers));
  const layout_t at =
      layout_of(tokens, hidden, dtype, FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD, state->world);
  int previous = state->device;
  FIAR_TRY(fiar_cuda_enter(state->device, &previous));
  fiar_status_t status = shards_gather(state, &at, rows, at.row, tokens, out, stream);
  fiar_cuda_leave(state->device, previous);
  return status;
}

const fiar_backend_t fiar_backend_nccl = {
    .name = "nccl",
    .refuses = refuses,
    .workspace_size = workspace_size,
    .open = open_state,
    .close = close_state,
    .run = run,
    .all_gather_rows = all_gather_rows,
    .capturing = fiar_cuda_capturing,
    .async_error = async_error,
};
