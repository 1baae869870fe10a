// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A CUDA device: chains are timed with events behind a delay, so that the host's enqueueing is not
// in the time of the device.
#include "fiar_bench_cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Long enough for every rank's host to enqueue a chain's launch while the devices wait.
enum { DELAY_NS = 100 * 1000 };

typedef struct cuda_state {
  cudaStream_t stream;
  unsigned long long* hash;
  int ordinal, sm_count;
  size_t cache_bytes;
  char text[384];
} cuda_state_t;

struct bench_chain {
  bench_enqueue_fn enqueue, align;
  void* context;
  cudaGraph_t graph;
  cudaGraphExec_t executable;  // NULL: eager
  cudaEvent_t start, stop;
  uint64_t delay_ns;
};

int bench_cuda_count(void) {
  pid_t child = fork();
  if (child == 0) {
    int count = 0;
    _exit(cudaGetDeviceCount(&count) == cudaSuccess ? count : 0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
    return 0;
  }
  return WEXITSTATUS(status);
}

fiar_status_t bench_launch(bench_kernel_t kernel, int grid, int threads, bool pdl, void* argument,
                           cudaStream_t stream) {
  if (grid == 0) {
    int device = 0;
    int sm_count = 0;
    FIAR_CUDA_TRY(cudaGetDevice(&device));
    FIAR_CUDA_TRY(cudaDeviceGetAttribute(&sm_count, cudaDevAttrMultiProcessorCount, device));
    grid = 4 * sm_count;
  }
  cudaLaunchAttribute attribute = {.id = cudaLaunchAttributeProgrammaticStreamSerialization,
                                   .val.programmaticStreamSerializationAllowed = pdl ? 1 : 0};
  cudaLaunchConfig_t config = {.gridDim = {(unsigned)grid, 1, 1},
                               .blockDim = {(unsigned)threads, 1, 1},
                               .stream = stream,
                               .attrs = &attribute,
                               .numAttrs = pdl ? 1 : 0};
  void* arguments[] = {argument};
  FIAR_CUDA_TRY(cudaLaunchKernelExC(&config, bench_kernels[kernel], arguments));
  return FIAR_OK;
}

static void close_device(void* opaque) {
  cuda_state_t* state = opaque;
  if (state == NULL) {
    return;
  }
  (void)cudaFree(state->hash);
  if (state->stream != NULL) {
    (void)cudaStreamDestroy(state->stream);
  }
  free(state);
}

static fiar_status_t read_device(cuda_state_t* state) {
  struct cudaDeviceProp device;
  int driver = 0;
  int runtime = 0;
  FIAR_CUDA_TRY(cudaGetDeviceProperties(&device, state->ordinal));
  FIAR_CUDA_TRY(cudaDriverGetVersion(&driver));
  FIAR_CUDA_TRY(cudaRuntimeGetVersion(&runtime));
  state->sm_count = device.multiProcessorCount;
  state->cache_bytes = (size_t)device.l2CacheSize;
  (void)snprintf(state->text, sizeof state->text,
                 "%s, sm_%d%d, %d SMs, L2 %d MB, CUDA driver %d.%d, runtime %d.%d", device.name,
                 device.major, device.minor, device.multiProcessorCount, device.l2CacheSize >> 20,
                 driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
  return FIAR_OK;
}

static fiar_status_t open_device(int32_t ordinal, void** out_state) {
  *out_state = NULL;
  FIAR_CUDA_TRY(cudaSetDevice(ordinal));
  cuda_state_t* state = calloc(1, sizeof *state);
  if (state == NULL) {
    return FIAR_FAIL(OUT_OF_MEMORY, "a device's record");
  }
  fiar_status_t status = FIAR_OK;
  state->ordinal = ordinal;
  FIAR_TRY_DONE(read_device(state));
  FIAR_CUDA_TRY_DONE(cudaStreamCreateWithFlags(&state->stream, cudaStreamNonBlocking));
  FIAR_CUDA_TRY_DONE(cudaMalloc((void**)&state->hash, sizeof *state->hash));
  *out_state = state;
  state = NULL;
done:
  close_device(state);
  return status;
}

static void* stream_of(void* opaque) {
  return ((cuda_state_t*)opaque)->stream;
}

static size_t cache_bytes(void* opaque) {
  return ((cuda_state_t*)opaque)->cache_bytes;
}

static void describe(void* opaque, char* out_text, size_t room) {
  (void)snprintf(out_text, room, "%s", ((cuda_state_t*)opaque)->text);
}

static fiar_status_t alloc(void* opaque, size_t bytes, void** out_memory) {
  (void)opaque;
  *out_memory = NULL;
  FIAR_CUDA_TRY(cudaMalloc(out_memory, bytes));
  return FIAR_OK;
}

static void release(void* opaque, void* memory) {
  (void)opaque;
  (void)cudaFree(memory);
}

static fiar_status_t synchronise(void* opaque) {
  FIAR_CUDA_TRY(cudaStreamSynchronize(((cuda_state_t*)opaque)->stream));
  return FIAR_OK;
}

static fiar_status_t fill_array(void* opaque, void* array, const bench_fill_t* fill) {
  cuda_state_t* state = opaque;
  bench_fill_args_t args = {*fill, array};
  FIAR_TRY(bench_launch(BENCH_KERNEL_FILL, 0, 256, false, &args, state->stream));
  return synchronise(state);
}

static fiar_status_t poison(void* opaque, void* array, size_t bytes) {
  FIAR_CUDA_TRY(cudaMemsetAsync(array, 0xA5, bytes, ((cuda_state_t*)opaque)->stream));
  return synchronise(opaque);
}

static fiar_status_t to_host(void* opaque, void* host, const void* array, size_t bytes) {
  cudaStream_t stream = ((cuda_state_t*)opaque)->stream;
  FIAR_CUDA_TRY(cudaMemcpyAsync(host, array, bytes, cudaMemcpyDeviceToHost, stream));
  return synchronise(opaque);
}

static fiar_status_t to_device(void* opaque, void* array, const void* host, size_t bytes) {
  cudaStream_t stream = ((cuda_state_t*)opaque)->stream;
  FIAR_CUDA_TRY(cudaMemcpyAsync(array, host, bytes, cudaMemcpyHostToDevice, stream));
  return synchronise(opaque);
}

static fiar_status_t hash_array(void* opaque, const void* array, size_t bytes, uint64_t* out_hash) {
  cuda_state_t* state = opaque;
  FIAR_CUDA_TRY(cudaMemsetAsync(state->hash, 0, sizeof *state->hash, state->stream));
  bench_hash_args_t args = {array, bytes, state->hash};
  FIAR_TRY(bench_launch(BENCH_KERNEL_HASH, 0, 256, false, &args, state->stream));
  return to_host(state, out_hash, state->hash, sizeof *out_hash);
}

static void chain_destroy(void* opaque, bench_chain_t* chain) {
  (void)opaque;
  if (chain == NULL) {
    return;
  }
  if (chain->executable != NULL) {
    (void)cudaGraphExecDestroy(chain->executable);
  }
  if (chain->graph != NULL) {
    (void)cudaGraphDestroy(chain->graph);
  }
  if (chain->start != NULL) {
    (void)cudaEventDestroy(chain->start);
  }
  if (chain->stop != NULL) {
    (void)cudaEventDestroy(chain->stop);
  }
  free(chain);
}

// The capture is ended also where enqueueing failed, or the stream could not be used again.
static fiar_status_t capture(cuda_state_t* state, bench_chain_t* chain) {
  FIAR_CUDA_TRY(cudaStreamBeginCapture(state->stream, cudaStreamCaptureModeThreadLocal));
  fiar_status_t status = chain->enqueue(chain->context, state->stream);
  cudaError_t error = cudaStreamEndCapture(state->stream, &chain->graph);
  if (status != FIAR_OK) {
    (void)cudaGetLastError();
    return status;
  }
  if (error != cudaSuccess) {
    return fiar_cuda_fail(error, "cudaStreamEndCapture");
  }
  FIAR_CUDA_TRY(cudaGraphInstantiate(&chain->executable, chain->graph, 0));
  FIAR_CUDA_TRY(cudaGraphUpload(chain->executable, state->stream));
  return synchronise(state);
}

static fiar_status_t chain_create(void* opaque, bench_launch_t launch, bench_enqueue_fn enqueue,
                                  bench_enqueue_fn align, void* context,
                                  bench_chain_t** out_chain) {
  cuda_state_t* state = opaque;
  *out_chain = NULL;
  bench_chain_t* chain = calloc(1, sizeof *chain);
  if (chain == NULL) {
    return FIAR_FAIL(OUT_OF_MEMORY, "a chain of calls");
  }
  fiar_status_t status = FIAR_OK;
  *chain = (bench_chain_t){enqueue, align, context, .delay_ns = DELAY_NS};
  FIAR_CUDA_TRY_DONE(cudaEventCreate(&chain->start));
  FIAR_CUDA_TRY_DONE(cudaEventCreate(&chain->stop));
  FIAR_TRY_DONE(enqueue(context, state->stream));
  FIAR_TRY_DONE(synchronise(state));
  if (launch != BENCH_EAGER) {
    FIAR_TRY_DONE(capture(state, chain));
  }
  *out_chain = chain;
  chain = NULL;
done:
  chain_destroy(state, chain);
  return status;
}

static double now_us(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

// Delay, one call that brings the ranks together, then the timed chain: all is enqueued while the
// delay still runs, so the chain's calls follow one another on the device. An eager chain is timed
// without the delay, because how fast the host can enqueue is part of what it is.
static fiar_status_t chain_replay(void* opaque, bench_chain_t* chain, bench_time_t* out_time) {
  cuda_state_t* state = opaque;
  if (chain->executable != NULL) {
    FIAR_TRY(bench_launch(BENCH_KERNEL_DELAY, 1, 1, false, &chain->delay_ns, state->stream));
  }
  FIAR_TRY(chain->align(chain->context, state->stream));
  FIAR_CUDA_TRY(cudaEventRecord(chain->start, state->stream));
  double start = now_us();
  if (chain->executable != NULL) {
    FIAR_CUDA_TRY(cudaGraphLaunch(chain->executable, state->stream));
  } else {
    FIAR_TRY(chain->enqueue(chain->context, state->stream));
  }
  out_time->host_us = now_us() - start;
  FIAR_CUDA_TRY(cudaEventRecord(chain->stop, state->stream));
  FIAR_TRY(synchronise(state));
  float milliseconds = 0;
  FIAR_CUDA_TRY(cudaEventElapsedTime(&milliseconds, chain->start, chain->stop));
  out_time->device_us = (double)milliseconds * 1e3;
  return FIAR_OK;
}

const bench_device_t bench_cuda_device = {
    .name = "cuda",
    .open = open_device,
    .close = close_device,
    .stream = stream_of,
    .cache_bytes = cache_bytes,
    .describe = describe,
    .alloc = alloc,
    .release = release,
    .fill = fill_array,
    .poison = poison,
    .to_host = to_host,
    .to_device = to_device,
    .hash = hash_array,
    .synchronise = synchronise,
    .chain_create = chain_create,
    .chain_replay = chain_replay,
    .chain_destroy = chain_destroy,
};
