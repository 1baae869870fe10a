// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/cuda_impl.h"

fiar_status_t fiar_cuda_enter(int32_t device, int* out_previous) {
  *out_previous = device;
  FIAR_CUDA_TRY(cudaGetDevice(out_previous));
  if (*out_previous != device) {
    FIAR_CUDA_TRY(cudaSetDevice(device));
  }
  return FIAR_OK;
}

void fiar_cuda_leave(int32_t device, int previous) {
  if (previous != device) {
    (void)cudaSetDevice(previous);
  }
}

bool fiar_cuda_capturing(void* stream) {
  enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  if (cudaStreamIsCapturing(stream, &capture) != cudaSuccess) {
    (void)cudaGetLastError();  // the legacy stream beside a capturing one: CUDA will say so at the
                               // launch
    return true;
  }
  return capture != cudaStreamCaptureStatusNone;
}

fiar_status_t fiar_cuda_capture_nothing(void* stream) {
  enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  cudaGraph_t graph = NULL;
  const cudaGraphNode_t* after = NULL;
  const cudaGraphEdgeData* edges = NULL;
  size_t count = 0;
  cudaGraphNode_t node = NULL;
  FIAR_CUDA_TRY(cudaStreamGetCaptureInfo(stream, &capture, NULL, &graph, &after, &edges, &count));
  if (capture != cudaStreamCaptureStatusActive) {
    return FIAR_OK;
  }
  FIAR_CUDA_TRY(cudaGraphAddEmptyNode(&node, graph, after, count));
  FIAR_CUDA_TRY(cudaStreamUpdateCaptureDependencies(stream, &node, NULL, 1,
                                                    cudaStreamSetCaptureDependencies));
  return FIAR_OK;
}

fiar_status_t fiar_cuda_check_pointer(fiar_pointer_cache_t* cache, int32_t device, const char* name,
                                      const void* pointer) {
  // CUDA hands out address space in pieces of 2 MiB, each of one device.
  uintptr_t page = (uintptr_t)pointer >> 21;
  uintptr_t* slot = &cache->pages[page % FIAR_ARRAY_LENGTH(cache->pages)];
  if (!pointer || *slot == page) {
    return FIAR_OK;
  }
  struct cudaPointerAttributes found;
  FIAR_CUDA_TRY(cudaPointerGetAttributes(&found, pointer));
  if (found.type == cudaMemoryTypeDevice && found.device != device) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "%s is %p, memory of device %d, but this rank computes on device %d", name,
                     pointer, found.device, device);
  }
  if (found.type != cudaMemoryTypeDevice && found.type != cudaMemoryTypeManaged) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "%s is %p, %shost memory, but this rank computes on device %d", name, pointer,
                     found.type == cudaMemoryTypeHost ? "pinned " : "", device);
  }
  *slot = page;
  return FIAR_OK;
}

fiar_status_t fiar_cuda_check_pointers(fiar_pointer_cache_t* cache, int32_t device,
                                       const fiar_all_reduce_norm_params* params) {
#define CHECK(field) FIAR_TRY(fiar_cuda_check_pointer(cache, device, #field, params->field))
  CHECK(input);
  CHECK(residual);
  CHECK(weight);
  CHECK(scale);
  CHECK(sum_out);
  CHECK(residual_out);
  CHECK(norm_out);
  CHECK(quant_out);
  CHECK(scales_out);
#undef CHECK
  return FIAR_OK;
}

fiar_status_t fiar_cuda_take_rows(fiar_comm_t* comm, const void* full, void* rows, int64_t tokens,
                                  size_t row_bytes, void* stream) {
  const size_t world = (size_t)fiar_comm_world(comm), rank = (size_t)fiar_comm_rank(comm);
  const size_t held = ((size_t)tokens + world - 1 - rank) / world;
  int previous = 0;
  if (held == 0) {
    return FIAR_OK;
  }
  FIAR_TRY(fiar_cuda_enter(fiar_comm_device(comm), &previous));
  const cudaError_t error =
      cudaMemcpy2DAsync(rows, row_bytes, (const char*)full + rank * row_bytes, world * row_bytes,
                        row_bytes, held, cudaMemcpyDeviceToDevice, stream);
  fiar_cuda_leave(fiar_comm_device(comm), previous);
  FIAR_CUDA_TRY(error);
  return FIAR_OK;
}
