// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a rank has to offer, asked once, when its communicator is made.
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cuda/cuda_impl.h"
#include "cuda/nccl_dl.h"
#include "runtime_impl.h"

int32_t fiar_cuda_auto_device(int32_t local_rank) {
  int devices = 0, current = 0;
  if (fiar_cuda_available(&devices) != FIAR_OK) {
    return FIAR_DEVICE_NONE;
  }
  if (local_rank >= 0 && local_rank < devices) {
    return local_rank;
  }
  return cudaGetDevice(&current) == cudaSuccess ? current : FIAR_DEVICE_NONE;
}

const char* fiar_cuda_refuses(const fiar_problem_t* problem, const fiar_caps_t* caps) {
  if (caps->sm == 0) {
    return "needs CUDA devices";
  }
  if (caps->sm < 80) {
    return "needs CUDA devices of compute capability 8.0 or later";
  }
  if (problem->weight_dtype != problem->dtype && problem->weight_dtype != FIAR_DTYPE_F32) {
    return "needs a weight of the element type or of f32";
  }
  return NULL;
}

// A device by its place on the bus: ordinals differ between processes that see different devices.
typedef struct place {
  char bus_id[24];
} place_t;

fiar_status_t fiar_cuda_check_device(int32_t device) {
  int devices = 0;
  if (device < 0) {
    return FIAR_OK;  // the host
  }
  FIAR_TRY(fiar_cuda_available(&devices));
  return device < devices
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT, "device is %d, but there are %d CUDA devices", device,
                         devices);
}

static fiar_status_t device_look(int32_t device, fiar_caps_t* caps, place_t* out_place) {
  int major = 0, minor = 0, previous = device;
  FIAR_TRY(fiar_cuda_check_device(device));
  FIAR_CUDA_TRY(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  FIAR_CUDA_TRY(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  FIAR_CUDA_TRY(cudaDeviceGetPCIBusId(out_place->bus_id, (int)sizeof out_place->bus_id, device));
  size_t free_bytes = 0, total = 0;
  FIAR_TRY(fiar_cuda_enter(device, &previous));
  cudaError_t error = cudaMemGetInfo(&free_bytes, &total);
  fiar_cuda_leave(device, previous);
  FIAR_CUDA_TRY(error);
  caps->sm = major * 10 + minor;
  caps->device_memory_mib = (int32_t)(total >> 20);
  return FIAR_OK;
}

// May this rank's device address that one? A device that this process does not see
// (CUDA_VISIBLE_DEVICES) can still be reached by IPC; making the workspace tries it out.
static bool reaches(int32_t device, const place_t* peer) {
  int ordinal = 0, can = 0;
  if (cudaDeviceGetByPCIBusId(&ordinal, peer->bus_id) != cudaSuccess) {
    (void)cudaGetLastError();
    return true;
  }
  return ordinal == device ||
         (cudaDeviceCanAccessPeer(&can, device, ordinal) == cudaSuccess && can != 0);
}

fiar_status_t fiar_cuda_probe(fiar_comm_t* comm, fiar_caps_t* caps) {
  int32_t rank = fiar_comm_rank(comm), world = fiar_comm_world(comm),
          device = fiar_comm_device(comm);
  place_t mine = {{0}}, places[FIAR_MAX_WORLD];
  FIAR_TRY(fiar_comm_vote(comm, device_look(device, caps, &mine)));
  FIAR_TRY(fiar_comm_all_gather(comm, &mine, places, sizeof mine));
  const fiar_nccl_t* nccl = NULL;
  bool one_device_each = true, reaches_all = true;
  for (int32_t peer = 0; peer < world; ++peer) {
    bool same_host = fiar_comm_peer(comm, peer)->host == fiar_comm_peer(comm, rank)->host;
    if (peer == rank || !same_host) {
      continue;
    }
    one_device_each = one_device_each && memcmp(&places[peer], &mine, sizeof mine) != 0;
    reaches_all = reaches_all && reaches(device, &places[peer]);
  }
  if (!one_device_each) {
    FIAR_LOG(WARN, COMM, "rank %d shares device %d with another rank: their kernels take turns",
             rank, device);
  }
  // NCCL refuses two ranks on one device.
  caps->nccl = one_device_each && fiar_nccl_open(&nccl) == FIAR_OK;
  caps->nccl_windows = caps->nccl && nccl->version >= 22800;
  caps->peer_access = reaches_all;
  caps->multicast = 0;  // no backend here uses it
  return FIAR_OK;
}
