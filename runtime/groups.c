// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The communicators that a model's calls name by number: the thread's own, else the process's, else
// for group 0 the one of the environment.
#include <pthread.h>
#include <stdio.h>

#include "comm/comm.h"

enum { MAX_GROUPS = 64 };

typedef struct group_table {
  struct {
    int32_t group;
    fiar_comm_t* comm;  // NULL: a free row
  } rows[MAX_GROUPS];
} group_table_t;

static _Thread_local group_table_t thread_groups;

static struct {
  pthread_mutex_t lock;
  group_table_t groups;
} process = {.lock = PTHREAD_MUTEX_INITIALIZER};

// Under a lock of its own: making it waits for other ranks, which calls of other groups need not.
static struct {
  pthread_mutex_t lock;
  fiar_comm_t* comm;  // made once: an attempt that failed fails again in the same words
  fiar_status_t status;
  char text[512];
} environment = {.lock = PTHREAD_MUTEX_INITIALIZER};

static fiar_comm_t* find(const group_table_t* table, int32_t group) {
  for (size_t i = 0; i < MAX_GROUPS; ++i) {
    if (table->rows[i].comm && table->rows[i].group == group) {
      return table->rows[i].comm;
    }
  }
  return NULL;
}

static fiar_status_t set(group_table_t* table, int32_t group, fiar_comm_t* comm) {
  size_t at = MAX_GROUPS;
  for (size_t i = MAX_GROUPS; i-- > 0;) {
    const bool free_row = !table->rows[i].comm;
    if (!free_row && table->rows[i].group == group) {
      at = i;
      break;
    }
    at = free_row ? i : at;
  }
  if (at == MAX_GROUPS) {
    return comm ? FIAR_FAIL(UNSUPPORTED, "group %d is one too many: %d have a communicator", group,
                            MAX_GROUPS)
                : FIAR_OK;
  }
  table->rows[at].group = group;
  table->rows[at].comm = comm;
  return FIAR_OK;
}

fiar_status_t fiar_rt_set_comm(int32_t group, fiar_comm_t* comm) {
  (void)pthread_mutex_lock(&process.lock);
  const fiar_status_t status = set(&process.groups, group, comm);
  (void)pthread_mutex_unlock(&process.lock);
  return status;
}

fiar_status_t fiar_rt_set_thread_comm(int32_t group, fiar_comm_t* comm) {
  return set(&thread_groups, group, comm);
}

static void forget(group_table_t* table, const fiar_comm_t* comm) {
  for (size_t i = 0; i < MAX_GROUPS; ++i) {
    table->rows[i].comm = table->rows[i].comm == comm ? NULL : table->rows[i].comm;
  }
}

void fiar_groups_forget(const fiar_comm_t* comm) {
  forget(&thread_groups, comm);
  (void)pthread_mutex_lock(&process.lock);
  forget(&process.groups, comm);
  (void)pthread_mutex_unlock(&process.lock);
}

static fiar_status_t from_environment(fiar_comm_t** out_comm) {
  (void)pthread_mutex_lock(&environment.lock);
  fiar_status_t status = environment.status;
  if (status != FIAR_OK) {
    status = fiar_fail(status, "%s", environment.text);
  } else if (!environment.comm) {
    status = environment.status = fiar_comm_create_from_env(NULL, &environment.comm);
    (void)snprintf(environment.text, sizeof environment.text, "%s", fiar_last_error());
  }
  *out_comm = environment.comm;
  (void)pthread_mutex_unlock(&environment.lock);
  return status;
}

fiar_status_t fiar_comm_alone(fiar_comm_t* comm, int32_t group, fiar_comm_t** out_comm) {
  *out_comm = comm ? comm : find(&thread_groups, group);
  if (*out_comm) {
    return FIAR_OK;
  }
  (void)pthread_mutex_lock(&process.lock);
  *out_comm = find(&process.groups, group);
  (void)pthread_mutex_unlock(&process.lock);
  if (*out_comm) {
    return FIAR_OK;
  }
  return group == 0 ? from_environment(out_comm)
                    : FIAR_FAIL(INVALID_ARGUMENT,
                                "group %d has no communicator; fiar_rt_set_comm sets one", group);
}

fiar_status_t fiar_comm_of_group(fiar_comm_t* comm, int32_t group, fiar_comm_t** out_comm) {
  FIAR_TRY(fiar_comm_alone(comm, group, out_comm));
  return fiar_comm_ready(*out_comm);
}
