// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Device memory for the conformance suite, twice: calls enqueued as they are, and calls captured
// into a CUDA graph that is then replayed.
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conformance.h"

#define MUST(call)                                                                              \
  do {                                                                                          \
    cudaError_t must_error = (call);                                                            \
    if (must_error != cudaSuccess) {                                                            \
      (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorString(must_error)); \
      exit(2);                                                                                  \
    }                                                                                           \
  } while (0)

// Each rank's stream, and arrays carved from one allocation: cudaMalloc would make the suite take
// hours.
enum { ARENA_BYTES = 64 << 20 };
static _Thread_local cudaStream_t stream;
static _Thread_local char* arena;
static _Thread_local size_t arena_used;

// A process that has asked CUDA cannot fork ranks any more, so a child asks.
static int device_count(void) {
  static int known = -1;
  if (known < 0) {
    const pid_t child = fork();
    if (child == 0) {
      int devices = 0;
      _exit(cudaGetDeviceCount(&devices) == cudaSuccess ? devices : 0);
    }
    int status = 0;
    known = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)
                ? WEXITSTATUS(status)
                : 0;
  }
  return known;
}

static const char* cuda_unavailable(int32_t world) {
  static char text[96];
  const int devices = device_count();
  if (devices >= world) {
    return NULL;
  }
  (void)snprintf(text, sizeof text, "needs %d CUDA devices, this machine has %d", world, devices);
  return text;
}

static void cuda_use(int32_t device) {
  MUST(cudaSetDevice(device));
  if (!arena) {
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    MUST(cudaMalloc((void**)&arena, ARENA_BYTES));
  }
}

static void* cuda_allocate(size_t bytes) {
  char* at = arena + arena_used;
  arena_used += (bytes + 255) / 256 * 256;
  if (arena_used > ARENA_BYTES) {
    (void)fprintf(stderr, "no device memory for %zu bytes\n", bytes);
    exit(2);
  }
  return at;
}

// The suite's arrays go in whole cases: what follows the released one has been or will be released,
// too.
static void cuda_release(void* at) {
  const size_t from = (size_t)((char*)at - arena);
  arena_used = from < arena_used ? from : arena_used;
}

static void cuda_write(void* at, const void* host, size_t bytes) {
  MUST(cudaMemcpyAsync(at, host, bytes, cudaMemcpyHostToDevice, stream));
  MUST(cudaStreamSynchronize(stream));
}

static void cuda_read(void* host, const void* at, size_t bytes) {
  MUST(cudaMemcpyAsync(host, at, bytes, cudaMemcpyDeviceToHost, stream));
  MUST(cudaStreamSynchronize(stream));
}

static fiar_status_t cuda_issue(conformance_call_fn call, void* context) {
  const fiar_status_t status = call(context, stream);
  MUST(cudaStreamSynchronize(stream));
  return status;
}

static fiar_status_t graph_issue(conformance_call_fn call, void* context) {
  cudaGraph_t graph = NULL;
  cudaGraphExec_t executable = NULL;
  MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  const fiar_status_t status = call(context, stream);
  MUST(cudaStreamEndCapture(stream, &graph));
  if (status == FIAR_OK) {
    MUST(cudaGraphInstantiate(&executable, graph, 0));
    MUST(cudaGraphLaunch(executable, stream));
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaGraphExecDestroy(executable));
  }
  MUST(cudaGraphDestroy(graph));
  return status;
}

#define MEMORY(text, issuer)                                                                    \
  {                                                                                             \
    .name = text, .unavailable = cuda_unavailable, .device = FIAR_DEVICE_AUTO, .use = cuda_use, \
    .allocate = cuda_allocate, .release = cuda_release, .write = cuda_write, .read = cuda_read, \
    .issue = issuer,                                                                            \
  }
const conformance_memory_t conformance_memory_cuda = MEMORY("cuda", cuda_issue);
const conformance_memory_t conformance_memory_cuda_graph = MEMORY("cuda graph", graph_issue);
