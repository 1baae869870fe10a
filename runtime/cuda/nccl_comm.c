// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/nccl_comm.h"

#include <stdlib.h>
#include <string.h>

#include "cuda/cuda_impl.h"

static fiar_status_t id_make(const fiar_nccl_t* nccl, int rank, fiar_nccl_id_t* out_id) {
  if (rank == 0) {
    FIAR_NCCL_TRY(nccl, GetUniqueId, out_id);
  }
  return FIAR_OK;
}

static fiar_status_t comm_init(const fiar_nccl_t* nccl, int rank, int world, fiar_nccl_id_t id,
                               fiar_nccl_comm_t* out_comm) {
  FIAR_NCCL_TRY(nccl, CommInitRank, out_comm, world, id, rank);
  return FIAR_OK;
}

fiar_status_t fiar_nccl_group_init(fiar_comm_t* comm, fiar_nccl_group_t* out_group) {
  *out_group = (fiar_nccl_group_t){0};
  int rank = fiar_comm_rank(comm), world = fiar_comm_world(comm);
  fiar_nccl_group_t group = {0};
  fiar_nccl_id_t id = {{0}}, ids[FIAR_MAX_WORLD];
  fiar_status_t status = fiar_nccl_open(&group.nccl);
  if (status == FIAR_OK && !fiar_comm_nccl(comm)) {
    status = id_make(group.nccl, rank, &id);
  }
  FIAR_TRY(fiar_comm_vote(comm, status));
  if (fiar_comm_nccl(comm)) {
    group.comm = fiar_comm_nccl(comm);
  } else {
    FIAR_TRY(fiar_comm_all_gather(comm, &id, ids, sizeof id));
    group.owned = true;
    FIAR_TRY_DONE(fiar_comm_vote(comm, comm_init(group.nccl, rank, world, ids[0], &group.comm)));
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
    if (fiar_nccl_group_error(group) == FIAR_OK) {
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
