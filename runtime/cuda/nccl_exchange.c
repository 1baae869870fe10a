// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A communicator over the caller's ncclComm_t. Ranks of one host go over to shared memory when it
// is made; over several hosts their small messages travel through NCCL itself, on a stream of their
// own.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "comm/comm.h"
#include "cuda/cuda_impl.h"
#include "cuda/nccl_comm.h"

enum { PIECE = 64 << 10 };

// What an exchange needs of its device.
typedef struct tools {
  cudaStream_t stream;
  cudaEvent_t done;
  char* staging;  // own piece, then everyone's
} tools_t;

typedef struct exchange {
  fiar_nccl_group_t group;
  int32_t world, device, timeout_ms;
  tools_t tools;
} exchange_t;

// ---- Tools in reserve ----

enum { MAX_DEVICES = 64 };
static pthread_mutex_t spares_lock = PTHREAD_MUTEX_INITIALIZER;
static tools_t spares[MAX_DEVICES];  // staging NULL: none

// True where the place was free.
static bool spare_put(int32_t device, const tools_t* tools) {
  (void)pthread_mutex_lock(&spares_lock);
  const bool put = device < MAX_DEVICES && !spares[device].staging;
  if (put) {
    spares[device] = *tools;
  }
  (void)pthread_mutex_unlock(&spares_lock);
  return put;
}

static bool spare_take(int32_t device, tools_t* out_tools) {
  *out_tools = (tools_t){0};
  (void)pthread_mutex_lock(&spares_lock);
  if (device < MAX_DEVICES) {
    *out_tools = spares[device];
    spares[device] = (tools_t){0};
  }
  (void)pthread_mutex_unlock(&spares_lock);
  return out_tools->staging != NULL;
}

static void tools_free(const tools_t* tools) {
  (void)cudaFree(tools->staging);
  if (tools->stream) {
    (void)cudaStreamDestroy(tools->stream);
  }
  if (tools->done) {
    (void)cudaEventDestroy(tools->done);
  }
}

static fiar_status_t tools_make(tools_t* tools) {
  FIAR_CUDA_TRY(cudaStreamCreateWithFlags(&tools->stream, cudaStreamNonBlocking));
  FIAR_CUDA_TRY(cudaEventCreateWithFlags(&tools->done, cudaEventDisableTiming));
  FIAR_CUDA_TRY(cudaMalloc((void**)&tools->staging, (size_t)(FIAR_MAX_WORLD + 1) * PIECE));
  return FIAR_OK;
}

// On the current device. On failure nothing is left.
static fiar_status_t tools_create(tools_t* out_tools) {
  *out_tools = (tools_t){0};
  tools_t tools = {0};
  const fiar_status_t status = tools_make(&tools);
  if (status != FIAR_OK) {
    tools_free(&tools);
    return status;
  }
  *out_tools = tools;
  return FIAR_OK;
}

fiar_status_t fiar_nccl_exchange_reserve(int32_t device) {
  (void)pthread_mutex_lock(&spares_lock);
  const bool has = device >= MAX_DEVICES || (device >= 0 && spares[device].staging);
  (void)pthread_mutex_unlock(&spares_lock);
  if (has) {
    return FIAR_OK;
  }
  if (device < 0) {
    FIAR_CUDA_TRY(cudaGetDevice(&device));
    return fiar_nccl_exchange_reserve(device);
  }
  int previous = device;
  tools_t tools;
  FIAR_TRY(fiar_cuda_enter(device, &previous));
  const fiar_status_t status = tools_create(&tools);
  if (status == FIAR_OK && !spare_put(device, &tools)) {
    tools_free(&tools);
  }
  fiar_cuda_leave(device, previous);
  return status;
}

// ---- The exchange ----

static void exchange_close(void* state) {
  exchange_t* exchange = state;
  if (!exchange) {
    return;
  }
  int previous = exchange->device;
  (void)fiar_cuda_enter(exchange->device, &previous);
  // After a wait that ran out NCCL still holds the memory: freeing it would wait for ever.
  const tools_t* tools = &exchange->tools;
  if ((!tools->done || cudaEventQuery(tools->done) == cudaSuccess) &&
      !(tools->staging && spare_put(exchange->device, tools))) {
    tools_free(tools);
  }
  (void)cudaGetLastError();
  fiar_cuda_leave(exchange->device, previous);
  free(exchange);
}

static fiar_status_t piece_gather(exchange_t* exchange, const char* mine, char* all, size_t bytes,
                                  size_t stride, int64_t deadline_ns) {
  char *own = exchange->tools.staging, *theirs = own + PIECE;
  cudaStream_t stream = exchange->tools.stream;
  FIAR_CUDA_TRY(cudaMemcpyAsync(own, mine, bytes, cudaMemcpyHostToDevice, stream));
  FIAR_NCCL_TRY(exchange->group.nccl, AllGather, own, theirs, bytes, FIAR_NCCL_UINT8,
                exchange->group.comm, stream);
  FIAR_CUDA_TRY(cudaEventRecord(exchange->tools.done, stream));
  FIAR_TRY(fiar_nccl_group_wait(&exchange->group, exchange->tools.done, deadline_ns));
  FIAR_CUDA_TRY(cudaMemcpy2DAsync(all, stride, theirs, bytes, bytes, (size_t)exchange->world,
                                  cudaMemcpyDeviceToHost, stream));
  FIAR_CUDA_TRY(cudaStreamSynchronize(stream));
  return FIAR_OK;
}

static fiar_status_t exchange_all_gather(void* state, const void* mine, void* all, size_t bytes,
                                         int64_t deadline_ns) {
  exchange_t* exchange = state;
  int previous = exchange->device;
  FIAR_TRY(fiar_cuda_enter(exchange->device, &previous));
  fiar_status_t status = FIAR_OK;
  for (size_t at = 0; at < bytes && status == FIAR_OK; at += PIECE) {
    size_t piece = bytes - at < PIECE ? bytes - at : PIECE;
    status =
        piece_gather(exchange, (const char*)mine + at, (char*)all + at, piece, bytes, deadline_ns);
  }
  fiar_cuda_leave(exchange->device, previous);
  return status;
}

static fiar_status_t exchange_alive(void* state) {
  return fiar_nccl_group_error(&((exchange_t*)state)->group);
}

static const fiar_transport_t exchange_transport = {
    .all_gather = exchange_all_gather, .alive = exchange_alive, .close = exchange_close};

// While the communicator is being made.
static int exchange_callback(void* context, const void* mine, void* all, size_t bytes) {
  exchange_t* exchange = context;
  int64_t deadline_ns = fiar_now_ns() + exchange->timeout_ms * INT64_C(1000000);
  return (int)exchange_all_gather(exchange, mine, all, bytes, deadline_ns);
}

static fiar_status_t exchange_create(void* nccl_comm, int32_t timeout_ms, int* out_rank,
                                     exchange_t** out_exchange) {
  const fiar_nccl_t* nccl = NULL;
  int world = 0, device = 0, previous = 0;
  FIAR_TRY(fiar_nccl_open(&nccl));
  FIAR_NCCL_TRY(nccl, CommUserRank, nccl_comm, out_rank);
  FIAR_NCCL_TRY(nccl, CommCount, nccl_comm, &world);
  FIAR_NCCL_TRY(nccl, CommCuDevice, nccl_comm, &device);
  exchange_t* exchange = calloc(1, sizeof *exchange);
  if (!exchange) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *exchange);
  }
  *exchange = (exchange_t){.group = {.nccl = nccl, .comm = nccl_comm},
                           .world = world,
                           .device = device,
                           .timeout_ms = timeout_ms};
  fiar_status_t status = fiar_cuda_enter(device, &previous);
  if (status == FIAR_OK) {
    status = spare_take(device, &exchange->tools) ? FIAR_OK : tools_create(&exchange->tools);
    fiar_cuda_leave(device, previous);
  }
  if (status != FIAR_OK) {
    exchange_close(exchange);
    return status;
  }
  *out_exchange = exchange;
  return FIAR_OK;
}

fiar_status_t fiar_comm_create_from_nccl(void* nccl_comm, const fiar_comm_options_t* options,
                                         fiar_comm_t** out_comm) {
  FIAR_NOT_NULL(out_comm);
  *out_comm = NULL;
  FIAR_NOT_NULL(nccl_comm);
  int rank = 0;
  exchange_t* exchange = NULL;
  fiar_comm_t* comm = NULL;
  fiar_comm_options_t own = FIAR_COMM_OPTIONS_DEFAULT;
  if (options) {
    // An older caller's struct is shorter; a newer one's is refused further on.
    memcpy(&own, options, options->struct_size < sizeof own ? options->struct_size : sizeof own);
    own.struct_size =
        options->struct_size > sizeof own ? options->struct_size : (uint32_t)sizeof own;
  }
  const fiar_env_t* env;
  FIAR_TRY(fiar_env_get(&env));
  const int32_t bound_ms = own.timeout_ms > 0 ? own.timeout_ms : (int32_t)env->timeout_ms;
  fiar_status_t status = exchange_create(nccl_comm, bound_ms, &rank, &exchange);
  if (status != FIAR_OK || !exchange) {
    return status;
  }
  own.device = exchange->device;
  status = fiar_comm_create_from_all_gather(rank, exchange->world, exchange_callback, exchange,
                                            &own, &comm);
  if (status == FIAR_OK) {
    fiar_comm_set_nccl(comm, nccl_comm);
    if (comm->transport && comm->transport != &fiar_board_transport) {
      comm->transport->close(comm->transport_state);
      comm->transport = &exchange_transport;
      comm->transport_state = exchange;
      exchange = NULL;  // handed over
    }
    *out_comm = comm;
  }
  exchange_close(exchange);
  return status;
}
