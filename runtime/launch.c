// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The one place that launches kernels.
#include "launch.h"

#include <cuda_runtime_api.h>

#include "base/base.h"

// For what may fail: the caller's own calls should not find the error.
static bool went(cudaError_t error) {
  if (error != cudaSuccess) {
    (void)cudaGetLastError();
  }
  return error == cudaSuccess;
}

static fiar_status_t cuda_status(const char* call, cudaError_t error) {
  return went(error) ? FIAR_OK
                     : FIAR_FAIL(CUDA_ERROR, "%s: %s (%s)", call, cudaGetErrorString(error),
                                 cudaGetErrorName(error));
}

static fiar_status_t check_slots(fiar_algorithm_t algorithm, const fiar_kernel_args_t* args) {
  const fiar_all_reduce_norm_params* call = &args->call;
  const uint64_t bytes = fiar_kernel_slot_bytes(algorithm, call->tokens, call->hidden,
                                                (fiar_dtype_t)call->dtype, args->peers.world);
  return bytes <= args->peers.slot_bytes
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "slot_bytes is %llu, the call needs %llu",
                         (unsigned long long)args->peers.slot_bytes, (unsigned long long)bytes);
}

// More dynamic shared memory than a kernel gets by itself must be asked for; only ANY uses any. All
// that the device has, each time: another thread may be about to launch the same kernel.
static fiar_status_t allow_shared(const fiar_kernel_t* kernel, int32_t bytes,
                                  const fiar_device_caps_t* caps) {
  enum { GRANTED = 40 * 1024 };
  struct cudaFuncAttributes kernel_has = {.sharedSizeBytes = 0};
  if (bytes <= GRANTED) {
    return FIAR_OK;
  }
  FIAR_TRY(cuda_status("cudaFuncGetAttributes", cudaFuncGetAttributes(&kernel_has, kernel->entry)));
  const int most = caps->shared_of_block - (int)kernel_has.sharedSizeBytes;
  return bytes <= most
             ? cuda_status("cudaFuncSetAttribute",
                           cudaFuncSetAttribute(kernel->entry,
                                                cudaFuncAttributeMaxDynamicSharedMemorySize, most))
             : FIAR_FAIL(UNSUPPORTED,
                         "a row takes %d bytes of shared memory, but a block has %d on this device",
                         bytes, most);
}

// ---- Starting before the kernel before has ended ----

// Our kernels let the next one start when it pays. Others, as a rule, release nobody.
static bool is_ours(cudaGraphNode_t node) {
  struct cudaKernelNodeParams kernel = {.func = NULL};
  return went(cudaGraphKernelNodeGetParams(node, &kernel)) &&
         (fiar_kernel_is_entry(kernel.func) || fiar_block_is_entry(kernel.func));
}

// The one kernel of others that the next launch on a capturing stream comes after, or NULL.
static cudaGraphNode_t kernel_before(cudaStream_t stream) {
  enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  enum cudaGraphNodeType type = cudaGraphNodeTypeEmpty;
  cudaGraph_t graph = NULL;
  const cudaGraphNode_t* after = NULL;
  const cudaGraphEdgeData* edges = NULL;
  size_t count = 0;
  if (!went(cudaStreamGetCaptureInfo(stream, &capture, NULL, &graph, &after, &edges, &count)) ||
      capture != cudaStreamCaptureStatusActive || count != 1 ||
      (edges && (edges->type || edges->from_port))) {  // the caller's own kind of edge
    return NULL;
  }
  cudaGraphNode_t node = *after;
  const bool foreign =
      went(cudaGraphNodeGetType(node, &type)) && type == cudaGraphNodeTypeKernel && !is_ours(node);
  return foreign ? node : NULL;
}

// In a graph: lets the next launch start when all blocks of the kernel before it have begun, and
// gives that kernel, or NULL. The attribute of dependent launch alone would have it wait until they
// have ended, where that kernel is not made for it, as matrix products are not.
static cudaGraphNode_t start_beside(cudaStream_t stream) {
  const cudaGraphEdgeData begun = {.from_port = cudaGraphKernelNodePortLaunchCompletion,
                                   .type = cudaGraphDependencyTypeProgrammatic};
  cudaGraphNode_t node = kernel_before(stream);
  return node && went(cudaStreamUpdateCaptureDependencies(stream, &node, &begun, 1,
                                                          cudaStreamSetCaptureDependencies))
             ? node
             : NULL;
}

// Few blocks that start beside another kernel would crowd on the few multiprocessors that it leaves
// idle. With more than half of one's shared memory each they keep apart: no more of them than leave
// room for as many of another stream's, and for clusters, which need theirs in one group of them.
static void keep_apart(const void* entry, const fiar_device_caps_t* caps,
                       cudaLaunchConfig_t* config) {
  const int bytes = caps->shared / 2;
  const int64_t blocks = (int64_t)config->gridDim.x * config->gridDim.y;
  if (config->dynamicSmemBytes == 0 && 2 * blocks <= caps->sm_count &&
      went(cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes))) {
    config->dynamicSmemBytes = (size_t)bytes;
  }
}

// Starts `entry` early where flags and device allow it. config->attrs has room for one more.
static fiar_status_t launch(const void* entry, void* args, uint32_t flags,
                            const fiar_device_caps_t* caps, cudaLaunchConfig_t* config) {
  const bool early = flags & FIAR_LAUNCH_PDL && caps->sm >= 90;
  cudaGraphNode_t before = early ? start_beside(config->stream) : NULL;
  if (before) {
    keep_apart(entry, caps, config);
  } else if (early) {
    config->attrs[config->numAttrs++] =
        (cudaLaunchAttribute){.id = cudaLaunchAttributeProgrammaticStreamSerialization,
                              .val.programmaticStreamSerializationAllowed = 1};
  }
  const cudaError_t error = cudaLaunchKernelExC(config, entry, &args);
  if (error != cudaSuccess && before) {  // the caller's next kernel may not wait as ours do
    (void)went(cudaStreamUpdateCaptureDependencies(config->stream, &before, NULL, 1,
                                                   cudaStreamSetCaptureDependencies));
  }
  return cuda_status("cudaLaunchKernelExC", error);
}

// ---- Launches ----

static fiar_status_t launch_kernel(const fiar_kernel_t* kernel, const fiar_kernel_shape_t* shape,
                                   const fiar_kernel_args_t* args, const fiar_device_caps_t* caps,
                                   cudaStream_t stream) {
  cudaLaunchAttribute attributes[2];
  cudaLaunchConfig_t config = {.gridDim = {(unsigned)shape->grid, 1, 1},
                               .blockDim = {(unsigned)shape->threads, 1, 1},
                               .dynamicSmemBytes = (size_t)shape->shared,
                               .stream = stream,
                               .attrs = attributes};
  if (shape->cluster > 1) {
    attributes[config.numAttrs++] =
        (cudaLaunchAttribute){.id = cudaLaunchAttributeClusterDimension,
                              .val.clusterDim = {(unsigned)shape->cluster, 1, 1}};
  }
  fiar_kernel_args_t launched = *args;
  launched.cluster_shift = shape->cluster >= 4 ? 2 : shape->cluster - 1;
  return launch(kernel->entry, &launched, args->flags, caps, &config);
}

fiar_status_t fiar_launch(fiar_algorithm_t algorithm, const fiar_kernel_args_t* args,
                          const fiar_device_caps_t* caps, const fiar_kernel_shape_t* shape,
                          void* stream) {
  if (args->call.tokens == 0) {
    return FIAR_OK;
  }
  FIAR_TRY(fiar_kernel_supports(algorithm, &args->call, args->peers.world));
  FIAR_TRY(check_slots(algorithm, args));
  fiar_kernel_shape_t chosen;
  if (!shape) {
    fiar_kernel_shape(algorithm, args, caps, &chosen);
    shape = &chosen;
  }
  const fiar_kernel_t* kernel = fiar_kernel_find(algorithm, args, shape, caps->sm);
  if (!kernel || shape->threads > kernel->max_threads) {
    return FIAR_FAIL(UNSUPPORTED, "no kernel for algorithm %d, dtype %d, %d vectors and %d threads",
                     (int)algorithm, args->call.dtype, shape->vectors_a_thread, shape->threads);
  }
  FIAR_TRY(allow_shared(kernel, shape->shared, caps));
  return launch_kernel(kernel, shape, args, caps, (cudaStream_t)stream);
}

fiar_status_t fiar_launch_local(const fiar_all_reduce_norm_params* call, uint32_t flags,
                                const fiar_device_caps_t* caps, void* stream) {
  fiar_kernel_args_t args;
  fiar_kernel_args_init(call, NULL, flags, &args);
  const bool vectors = fiar_kernel_supports(FIAR_ALGORITHM_LOCAL, &args.call, 1) == FIAR_OK;
  return fiar_launch(vectors ? FIAR_ALGORITHM_LOCAL : FIAR_ALGORITHM_ANY, &args, caps, NULL,
                     stream);
}

fiar_status_t fiar_launch_quantize(const fiar_all_reduce_norm_params* call, uint32_t flags,
                                   const fiar_device_caps_t* caps, void* stream) {
  fiar_kernel_args_t args;
  fiar_kernel_args_init(call, NULL, flags, &args);
  args.traits &= ~(uint32_t)FIAR_TRAIT_NORM;
  const bool vectors = fiar_kernel_supports(FIAR_ALGORITHM_QUANTIZE, &args.call, 1) == FIAR_OK;
  return fiar_launch(vectors ? FIAR_ALGORITHM_QUANTIZE : FIAR_ALGORITHM_ANY, &args, caps, NULL,
                     stream);
}

fiar_status_t fiar_launch_block(fiar_block_kernel_t kernel, int64_t across, int64_t rows,
                                uint32_t flags, const fiar_device_caps_t* caps, const void* args,
                                void* stream) {
  enum { MOST_ROWS = 65535, MOST_ACROSS = 1 << 20 };
  cudaLaunchAttribute attributes[1];
  cudaLaunchConfig_t config = {.gridDim = {(unsigned)(across < MOST_ACROSS ? across : MOST_ACROSS),
                                           (unsigned)(rows < MOST_ROWS ? rows : MOST_ROWS), 1},
                               .blockDim = {FIAR_BLOCK_THREADS, 1, 1},
                               .stream = (cudaStream_t)stream,
                               .attrs = attributes};
  return launch(fiar_block_entry(kernel), (void*)args, flags, caps, &config);
}

fiar_status_t fiar_launch_caps(fiar_device_caps_t* out_caps) {
  int device, values[5];
  static const enum cudaDeviceAttr wanted[] = {
      cudaDevAttrComputeCapabilityMajor, cudaDevAttrComputeCapabilityMinor,
      cudaDevAttrMultiProcessorCount, cudaDevAttrMaxSharedMemoryPerMultiprocessor,
      cudaDevAttrMaxSharedMemoryPerBlockOptin};
  *out_caps = (fiar_device_caps_t){.sm = 0};
  FIAR_TRY(cuda_status("cudaGetDevice", cudaGetDevice(&device)));
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(wanted); ++i) {
    FIAR_TRY(cuda_status("cudaDeviceGetAttribute",
                         cudaDeviceGetAttribute(&values[i], wanted[i], device)));
  }
  *out_caps = (fiar_device_caps_t){.sm = 10 * values[0] + values[1],
                                   .sm_count = values[2],
                                   .shared = values[3],
                                   .shared_of_block = values[4]};
  return FIAR_OK;
}

fiar_status_t fiar_launch_wait_status(uint64_t error, int32_t world, uint64_t timeout_ns) {
  if (error == 0) {
    return FIAR_OK;
  }
  return FIAR_FAIL(TIMEOUT, "rank %d of %d did not deliver row %u within %llu ms",
                   FIAR_WAIT_ERROR_RANK(error), world, FIAR_WAIT_ERROR_ROW(error),
                   (unsigned long long)(timeout_ns / 1000000));
}
