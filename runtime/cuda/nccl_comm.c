// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/nccl_comm.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "comm/comm.h"
#include "cuda/cuda_impl.h"

enum { LEAST_INIT_MS = 20000, POLL_NS = 20 * 1000 };

int32_t fiar_nccl_start_ms(const fiar_comm_t* comm) {
  const int32_t bound = fiar_comm_timeout_ms(comm);
  return bound < LEAST_INIT_MS ? LEAST_INIT_MS : bound;
}

static fiar_status_t id_make(const fiar_nccl_t* nccl, int rank, fiar_nccl_id_t* out_id) {
  if (rank == 0) {
    FIAR_NCCL_TRY(nccl, GetUniqueId, out_id);
  }
  return FIAR_OK;
}

// NCCL's own start waits for all ranks without a bound, so a thread of its own makes it. Where the
// bound runs out the thread is left behind, and frees the job when NCCL lets it go.
typedef struct init_job {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  const fiar_nccl_t* nccl;
  fiar_nccl_comm_t comm;
  fiar_nccl_id_t id;
  int32_t rank, world, device;
  int result;  // NCCL's
  bool done, left;
} init_job_t;

static void job_free(init_job_t* job) {
  (void)pthread_mutex_destroy(&job->lock);
  (void)pthread_cond_destroy(&job->changed);
  free(job);
}

static void* init_thread(void* context) {
  init_job_t* job = context;
  int result = FIAR_NCCL_UNHANDLED_CUDA_ERROR;
  fiar_nccl_comm_t comm = NULL;
  if (cudaSetDevice(job->device) == cudaSuccess) {
    result = job->nccl->CommInitRank(&comm, job->world, job->id, job->rank);
  }
  (void)pthread_mutex_lock(&job->lock);
  const bool left = job->left;
  job->comm = comm;
  job->result = result;
  job->done = true;
  (void)pthread_cond_signal(&job->changed);
  (void)pthread_mutex_unlock(&job->lock);
  if (left) {
    if (comm) {
      (void)job->nccl->CommAbort(comm);
    }
    job_free(job);
  }
  return NULL;
}

static fiar_status_t job_wait(init_job_t* job, int32_t timeout_ms, fiar_nccl_comm_t* out_comm) {
  struct timespec until;
  (void)clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += timeout_ms / 1000 + 1;
  (void)pthread_mutex_lock(&job->lock);
  int waited = 0;
  while (!job->done && waited == 0) {
    waited = pthread_cond_timedwait(&job->changed, &job->lock, &until);
  }
  const bool done = job->done;
  job->left = !done;
  *out_comm = job->comm;
  const int result = job->result;
  const fiar_nccl_t* nccl = job->nccl;
  (void)pthread_mutex_unlock(&job->lock);
  if (!done) {
    *out_comm = NULL;
    return FIAR_FAIL(TIMEOUT, "ncclCommInitRank did not end within %d ms", timeout_ms);
  }
  job_free(job);
  return result == FIAR_NCCL_SUCCESS ? FIAR_OK : fiar_nccl_fail(nccl, result, "ncclCommInitRank");
}

static fiar_status_t comm_init(const fiar_comm_t* comm, const fiar_nccl_t* nccl, fiar_nccl_id_t id,
                               fiar_nccl_comm_t* out_comm) {
  init_job_t* job = calloc(1, sizeof *job);
  pthread_t thread;
  if (!job) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *job);
  }
  *job = (init_job_t){.nccl = nccl,
                      .id = id,
                      .rank = fiar_comm_rank(comm),
                      .world = fiar_comm_world(comm),
                      .device = fiar_comm_device(comm)};
  (void)pthread_mutex_init(&job->lock, NULL);
  (void)pthread_cond_init(&job->changed, NULL);
  const int error = pthread_create(&thread, NULL, init_thread, job);
  if (error != 0) {
    job_free(job);
    return FIAR_FAIL(SYSTEM_ERROR, "pthread_create: %s", strerror(error));
  }
  (void)pthread_detach(thread);
  return job_wait(job, fiar_nccl_start_ms(comm), out_comm);
}

fiar_status_t fiar_nccl_group_init(fiar_comm_t* comm, fiar_nccl_group_t* out_group) {
  *out_group = (fiar_nccl_group_t){0};
  fiar_nccl_group_t group = {0};
  fiar_nccl_id_t id = {{0}}, ids[FIAR_MAX_WORLD];
  fiar_status_t status = fiar_nccl_open(&group.nccl);
  if (status == FIAR_OK && !fiar_comm_nccl(comm)) {
    status = id_make(group.nccl, fiar_comm_rank(comm), &id);
  }
  FIAR_TRY(fiar_comm_vote(comm, status));
  if (fiar_comm_nccl(comm)) {
    group.comm = fiar_comm_nccl(comm);
  } else {
    FIAR_TRY(fiar_comm_all_gather(comm, &id, ids, sizeof id));
    group.owned = true;
    FIAR_TRY_DONE(fiar_comm_vote(comm, comm_init(comm, group.nccl, ids[0], &group.comm)));
  }
  *out_group = group;
  group = (fiar_nccl_group_t){0};
done:
  fiar_nccl_group_finish(&group);
  return status;
}

void fiar_nccl_group_finish(fiar_nccl_group_t* group) {
  if (group->owned && group->comm) {
    // Destroy waits for the peers; abort does not, and is for a group that has failed.
    if (!group->failed && fiar_nccl_group_error(group) == FIAR_OK) {
      (void)group->nccl->CommDestroy(group->comm);
    } else {
      (void)group->nccl->CommAbort(group->comm);
    }
  }
  *group = (fiar_nccl_group_t){0};
}

fiar_status_t fiar_nccl_group_error(const fiar_nccl_group_t* group) {
  int result = FIAR_NCCL_SUCCESS;
  FIAR_NCCL_TRY(group->nccl, CommGetAsyncError, group->comm, &result);
  return result == FIAR_NCCL_SUCCESS || result == FIAR_NCCL_IN_PROGRESS
             ? FIAR_OK
             : fiar_nccl_fail(group->nccl, result, "an NCCL operation");
}

static fiar_status_t wait_for(const fiar_nccl_group_t* group, cudaEvent_t event,
                              int64_t deadline_ns) {
  for (;;) {
    cudaError_t error = cudaEventQuery(event);
    if (error == cudaSuccess) {
      return FIAR_OK;
    }
    if (error != cudaErrorNotReady) {
      return fiar_cuda_fail(error, "cudaEventQuery");
    }
    FIAR_TRY(fiar_nccl_group_error(group));
    if (fiar_now_ns() > deadline_ns) {
      return FIAR_FAIL(TIMEOUT,
                       "a rank of the NCCL communicator did not take part in an exchange in time");
    }
    const struct timespec pause = {.tv_nsec = POLL_NS};
    (void)nanosleep(&pause, NULL);
  }
}

fiar_status_t fiar_nccl_group_wait(fiar_nccl_group_t* group, void* event, int64_t deadline_ns) {
  const fiar_status_t status = wait_for(group, event, deadline_ns);
  group->failed = status != FIAR_OK;
  return status;
}
