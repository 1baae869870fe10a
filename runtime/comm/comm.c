// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Communicators: what every kind of them shares. create.c makes them.
#include "comm/comm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "block/block.h"

static void remember_broken(fiar_comm_t* comm, fiar_status_t status) {
  (void)pthread_mutex_lock(&comm->lock);
  if (comm->broken == FIAR_OK) {
    comm->broken = status;
    (void)snprintf(comm->broken_text, sizeof comm->broken_text, "%s", fiar_last_error());
  }
  (void)pthread_mutex_unlock(&comm->lock);
}

static fiar_status_t report_broken(fiar_comm_t* comm) {
  (void)pthread_mutex_lock(&comm->lock);
  const fiar_status_t status =
      comm->broken == FIAR_OK
          ? FIAR_OK
          : fiar_fail(comm->broken, "the communicator failed before: %s", comm->broken_text);
  (void)pthread_mutex_unlock(&comm->lock);
  return status;
}

fiar_status_t fiar_comm_all_gather(fiar_comm_t* comm, const void* mine, void* all, size_t bytes) {
  FIAR_TRY(report_broken(comm));
  if (!comm->transport) {
    memmove(all, mine, bytes);
    return FIAR_OK;
  }
  const int64_t deadline = fiar_now_ns() + comm->timeout_ms * INT64_C(1000000);
  const fiar_status_t status =
      comm->transport->all_gather(comm->transport_state, mine, all, bytes, deadline);
  if (status != FIAR_OK) {
    if (status == FIAR_TIMEOUT) {
      (void)fiar_annotate(status, "rank %d, after %d ms", comm->rank, comm->timeout_ms);
    }
    FIAR_LOG(WARN, COMM, "%s", fiar_last_error());
    remember_broken(comm, status);
    if (comm->transport->leave) {
      comm->transport->leave(comm->transport_state);
    }
  }
  return status;
}

fiar_status_t fiar_comm_barrier(fiar_comm_t* comm) {
  unsigned char mine = 0, all[FIAR_MAX_WORLD];
  return fiar_comm_all_gather(comm, &mine, all, 1);
}

fiar_status_t fiar_comm_vote(fiar_comm_t* comm, fiar_status_t mine) {
  typedef struct ballot {
    int32_t status;
    char text[300];
  } ballot_t;
  ballot_t ballot = {.status = (int32_t)mine};
  if (mine != FIAR_OK) {
    (void)snprintf(ballot.text, sizeof ballot.text, "%s", fiar_last_error());
  }
  ballot_t all[FIAR_MAX_WORLD];
  FIAR_TRY(fiar_comm_all_gather(comm, &ballot, all, sizeof ballot));
  for (int32_t rank = 0; rank < comm->world; ++rank) {
    if (all[rank].status != FIAR_OK) {
      const fiar_status_t agreed = (fiar_status_t)all[rank].status;
      return rank == comm->rank ? fiar_fail(agreed, "%s", all[rank].text)
                                : fiar_fail(agreed, "on rank %d: %s", rank, all[rank].text);
    }
  }
  return FIAR_OK;
}

fiar_status_t fiar_comm_same(fiar_comm_t* comm, const char* what, int64_t value) {
  int64_t all[FIAR_MAX_WORLD];
  FIAR_TRY(fiar_comm_all_gather(comm, &value, all, sizeof value));
  for (int32_t rank = 1; rank < comm->world; ++rank) {
    if (all[rank] != all[0]) {
      return FIAR_FAIL(MISMATCH, "%s is %lld on rank 0, %lld on rank %d", what, (long long)all[0],
                       (long long)all[rank], rank);
    }
  }
  return FIAR_OK;
}

fiar_status_t fiar_comm_same_word(fiar_comm_t* comm, const char* what, const char* word) {
  typedef char word_t[16];
  word_t mine = {0}, all[FIAR_MAX_WORLD];
  (void)snprintf(mine, sizeof mine, "%s", word);
  FIAR_TRY(fiar_comm_all_gather(comm, mine, all, sizeof mine));
  for (int32_t rank = 1; rank < comm->world; ++rank) {
    if (strncmp(all[rank], all[0], sizeof mine) != 0) {
      return FIAR_FAIL(MISMATCH, "%s is \"%.15s\" on rank 0, \"%.15s\" on rank %d", what, all[0],
                       all[rank], rank);
    }
  }
  return FIAR_OK;
}

// ---- Peers and capabilities ----

static fiar_status_t learn_peers(fiar_comm_t* comm) {
  typedef struct introduction {
    fiar_peer_t peer;
    char forced_backend[16];
  } introduction_t;
  introduction_t mine = {.peer = {.pid = getpid(), .host = fiar_host_id(), .device = comm->device}};
  memcpy(mine.forced_backend, comm->forced_backend, sizeof mine.forced_backend);
  introduction_t all[FIAR_MAX_WORLD];
  FIAR_TRY(fiar_comm_all_gather(comm, &mine, all, sizeof mine));
  for (int32_t rank = 0; rank < comm->world; ++rank) {
    comm->peers[rank] = all[rank].peer;
    if (memcmp(all[rank].forced_backend, all[0].forced_backend, sizeof mine.forced_backend) != 0) {
      return FIAR_FAIL(MISMATCH, "backend is \"%s\" on rank 0, \"%s\" on rank %d",
                       all[0].forced_backend, all[rank].forced_backend, rank);
    }
    if ((all[rank].peer.device < 0) != (all[0].peer.device < 0)) {
      return FIAR_FAIL(MISMATCH, "rank %d computes on the host, rank %d on CUDA device %d",
                       all[0].peer.device < 0 ? 0 : rank, all[0].peer.device < 0 ? rank : 0,
                       all[0].peer.device < 0 ? all[rank].peer.device : all[0].peer.device);
    }
  }
  return FIAR_OK;
}

static void take_least(fiar_caps_t* caps, const fiar_caps_t* other) {
#define LEAST(field) caps->field = other->field < caps->field ? other->field : caps->field
  LEAST(sm);
  LEAST(device_memory_mib);
  LEAST(peer_access);
  LEAST(nccl);
  LEAST(nccl_windows);
  LEAST(multicast);
#undef LEAST
}

static fiar_status_t agree_on_caps(fiar_comm_t* comm) {
  fiar_caps_t* caps = &comm->caps;
  *caps = (fiar_caps_t){.world = comm->world, .one_host = 1, .one_process = 1};
  for (int32_t rank = 1; rank < comm->world; ++rank) {
    caps->one_host &= comm->peers[rank].host == comm->peers[0].host;
    caps->one_process &= caps->one_host && comm->peers[rank].pid == comm->peers[0].pid;
  }
#if FIAR_HAVE_CUDA
  if (comm->device >= 0) {
    FIAR_TRY(fiar_cuda_probe(comm, caps));
  }
#endif
  fiar_caps_t all[FIAR_MAX_WORLD];
  FIAR_TRY(fiar_comm_all_gather(comm, caps, all, sizeof *caps));
  for (int32_t rank = 0; rank < comm->world; ++rank) {
    take_least(caps, &all[rank]);
  }
  return FIAR_OK;
}

fiar_status_t fiar_comm_ready(fiar_comm_t* comm) {
  FIAR_TRY(report_broken(comm));
  if (comm->ready) {
    return FIAR_OK;
  }
  comm->ready = true;  // a failure breaks the communicator, so there is no second try
  fiar_status_t status = learn_peers(comm);
  status = status == FIAR_OK ? agree_on_caps(comm) : status;
  if (status != FIAR_OK) {
    remember_broken(comm, status);
    return status;
  }
  FIAR_LOG(INFO, COMM, "rank %d of %d, %s, %s", comm->rank, comm->world,
           comm->device < 0 ? "on the host" : "on a CUDA device",
           comm->caps.one_process ? "one process"
           : comm->caps.one_host  ? "processes of one host"
                                  : "several hosts");
  return FIAR_OK;
}

// ---- What the headers promise ----

int32_t fiar_comm_rank(const fiar_comm_t* comm) {
  return comm ? comm->rank : -1;
}

int32_t fiar_comm_world(const fiar_comm_t* comm) {
  return comm ? comm->world : 0;
}

int32_t fiar_comm_device(const fiar_comm_t* comm) {
  return comm ? comm->device : FIAR_DEVICE_NONE;
}

int32_t fiar_comm_timeout_ms(const fiar_comm_t* comm) {
  return comm ? comm->timeout_ms : 0;
}

const char* fiar_comm_backend(const fiar_comm_t* comm) {
  return comm ? comm->latest_backend : "none";
}

const fiar_peer_t* fiar_comm_peer(const fiar_comm_t* comm, int32_t rank) {
  return &comm->peers[rank];
}

const fiar_caps_t* fiar_comm_caps(const fiar_comm_t* comm) {
  return &comm->caps;
}

void* fiar_comm_nccl(const fiar_comm_t* comm) {
  return comm->nccl;
}

void fiar_comm_set_nccl(fiar_comm_t* comm, void* nccl_comm) {
  comm->nccl = nccl_comm;
}

void** fiar_comm_compute(fiar_comm_t* comm) {
  return &comm->compute;
}

fiar_status_t fiar_comm_async_error(fiar_comm_t* comm) {
  FIAR_NOT_NULL(comm);
  FIAR_TRY(report_broken(comm));
  if (comm->transport && comm->transport->alive) {
    FIAR_TRY(comm->transport->alive(comm->transport_state));
  }
  fiar_status_t status = FIAR_OK;
  (void)pthread_mutex_lock(&comm->lock);  // no workspace is opened or closed meanwhile
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(comm->workspaces) && status == FIAR_OK; ++i) {
    const struct fiar_workspace* workspace = &comm->workspaces[i];
    if (!workspace->state || !workspace->backend->async_error) {
      continue;
    }
    status = workspace->backend->async_error(workspace->state);
    for (int32_t k = 0; k < workspace->outgrown_count && status == FIAR_OK; ++k) {
      status = workspace->backend->async_error(workspace->outgrown[k]);
    }
  }
  (void)pthread_mutex_unlock(&comm->lock);
  return status;
}

void fiar_comm_destroy(fiar_comm_t* comm) {
  if (!comm) {
    return;
  }
  fiar_groups_forget(comm);
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(comm->workspaces); ++i) {
    fiar_workspace_close(&comm->workspaces[i]);
  }
#if FIAR_HAVE_CUDA
  fiar_cuda_compute_close(comm->compute);
#endif
  if (comm->transport) {
    comm->transport->close(comm->transport_state);
  }
  (void)pthread_mutex_destroy(&comm->lock);
  free(comm);
}
