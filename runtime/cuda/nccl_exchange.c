// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A communicator over the caller's ncclComm_t. Ranks of one host go over to shared memory when it
// is made; over several hosts their small messages travel through NCCL itself, on a stream of their
// own.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "comm/comm.h"
#include "cuda/cuda_impl.h"
#include "cuda/nccl_comm.h"

enum { PIECE = 64 << 10, POLL_NS = 20 * 1000 };

typedef struct exchange {
  fiar_nccl_group_t group;
  int32_t world, device, timeout_ms;
  cudaStream_t stream;
  cudaEvent_t done;
  char* staging;  // of the device: own piece, then everyone's
} exchange_t;

static void exchange_close(void* state) {
  exchange_t* exchange = state;
  if (!exchange) {
    return;
  }
  int previous = exchange->device;
  (void)fiar_cuda_enter(exchange->device, &previous);
  // After a wait that ran out NCCL still holds the memory: freeing it would wait for ever.
  if (!exchange->done || cudaEventQuery(exchange->done) == cudaSuccess) {
    (void)cudaFree(exchange->staging);
    if (exchange->stream) {
      (void)cudaStreamDestroy(exchange->stream);
    }
    if (exchange->done) {
      (void)cudaEventDestroy(exchange->done);
    }
  }
  (void)cudaGetLastError();
  fiar_cuda_leave(exchange->device, previous);
  free(exchange);
}

static fiar_status_t exchange_init(exchange_t* exchange) {
  FIAR_CUDA_TRY(cudaStreamCreateWithFlags(&exchange->stream, cudaStreamNonBlocking));
  FIAR_CUDA_TRY(cudaEventCreateWithFlags(&exchange->done, cudaEventDisableTiming));
  FIAR_CUDA_TRY(cudaMalloc((void**)&exchange->staging, (size_t)(exchange->world + 1) * PIECE));
  return FIAR_OK;
}

static fiar_status_t wait_until(const exchange_t* exchange, int64_t deadline_ns) {
  for (;;) {
    cudaError_t error = cudaEventQuery(exchange->done);
    if (error == cudaSuccess) {
      return FIAR_OK;
    }
    if (error != cudaErrorNotReady) {
      return fiar_cuda_fail(error, "cudaEventQuery");
    }
    FIAR_TRY(fiar_nccl_group_error(&exchange->group));
    if (fiar_now_ns() > deadline_ns) {
      return FIAR_FAIL(TIMEOUT,
                       "a rank of the NCCL communicator did not take part in an exchange in time");
    }
    const struct timespec pause = {.tv_nsec = POLL_NS};
    (void)nanosleep(&pause, NULL);
  }
}

static fiar_status_t piece_gather(exchange_t* exchange, const char* mine, char* all, size_t bytes,
                                  size_t stride, int64_t deadline_ns) {
  char* theirs = exchange->staging + PIECE;
  FIAR_CUDA_TRY(
      cudaMemcpyAsync(exchange->staging, mine, bytes, cudaMemcpyHostToDevice, exchange->stream));
  FIAR_NCCL_TRY(exchange->group.nccl, AllGather, exchange->staging, theirs, bytes, FIAR_NCCL_UINT8,
                exchange->group.comm, exchange->stream);
  FIAR_CUDA_TRY(cudaEventRecord(exchange->done, exchange->stream));
  FIAR_TRY(wait_until(exchange, deadline_ns));
  FIAR_CUDA_TRY(cudaMemcpy2DAsync(all, stride, theirs, bytes, bytes, (size_t)exchange->world,
                                  cudaMemcpyDeviceToHost, exchange->stream));
  FIAR_CUDA_TRY(cudaStreamSynchronize(exchange->stream));
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
                           .timeout_ms = timeout_ms > 0 ? timeout_ms : 30000};
  fiar_status_t status = fiar_cuda_enter(device, &previous);
  if (status == FIAR_OK) {
    status = exchange_init(exchange);
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
  *out_comm = NULL;
  if (!nccl_comm) {
    return FIAR_FAIL(INVALID_ARGUMENT, "nccl_comm is NULL");
  }
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
  fiar_status_t status = exchange_create(nccl_comm, own.timeout_ms, &rank, &exchange);
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
