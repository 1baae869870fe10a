// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The devices of XLA:CPU are threads of one process, and a call frame has nothing in common with
// that of another device; so they find one another in a list of the process, by what the call is.
//
// A device waits on its own thread, as in XLA's own collectives, which run one program at a time
// for it. (An XLA future instead would let the rest of a device's program run on whatever thread
// completes it, and block there in the next collective of XLA's own.)
#include "xla/meeting.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/env.h"
#include "fiar/runtime.h"
#include "host/reference.h"

// What two devices must have alike to belong to one call; compared as bytes, so without padding.
typedef struct call_key {
  int64_t run_id, call_id, operands, results;
  unsigned char shape[sizeof(fiar_all_reduce_norm_params)];  // the params without pointers
  int32_t op, world;
  int32_t devices[FIAR_MAX_WORLD];
} call_key_t;

typedef struct seat {
  bool taken;
  fiar_all_reduce_norm_params params;
} seat_t;

typedef struct meeting {
  struct meeting* next;
  call_key_t key;
  enum { OPEN, FULL, DISSOLVED } state;
  int32_t arrived, done, left;
  fiar_status_t status;  // the first failure of a device, or the timeout
  char text[512];        // and its sentence
  seat_t seats[];        // key.world
} meeting_t;

static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;  // some meeting's state or counts
  meeting_t* first;        // open meetings, oldest first
} hall = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL};

// ---- The call itself ----

static void gather_rows(const meeting_t* meeting, const fiar_all_reduce_norm_params* params) {
  const int32_t world = meeting->key.world;
  const size_t row = (size_t)params->hidden * fiar_dtype_bytes(params->dtype);
  for (int64_t t = 0; t < params->tokens; ++t) {
    const char* rows = meeting->seats[t % world].params.input;
    memcpy((char*)params->sum_out + (size_t)t * row, rows + (size_t)(t / world) * row, row);
  }
}

// What rank `rank` receives. Other ranks only read what this one reads (check_aliases).
static fiar_status_t compute(const meeting_t* meeting, int32_t rank) {
  const int32_t world = meeting->key.world;
  const fiar_all_reduce_norm_params* params = &meeting->seats[rank].params;
  if (meeting->key.op == FIAR_XLA_ALL_GATHER_ROWS) {
    gather_rows(meeting, params);
    return FIAR_OK;
  }
  const void *inputs[FIAR_MAX_WORLD], *residuals[FIAR_MAX_WORLD];
  for (int32_t r = 0; r < world; ++r) {
    inputs[r] = meeting->seats[r].params.input;
    residuals[r] = meeting->seats[r].params.residual;
  }
  fiar_status_t status = fiar_reference_all_reduce_norm(
      world, rank, inputs, params->residual ? residuals : NULL, params);
  if (status == FIAR_OUT_OF_MEMORY) {
    return FIAR_FAIL(OUT_OF_MEMORY, "a row of %lld floats on the host", (long long)params->hidden);
  }
  return status;
}

// ---- Opening, waiting, leaving; all with the lock held ----

static fiar_status_t open_meeting(const call_key_t* key, meeting_t** out_meeting) {
  const size_t bytes = sizeof(meeting_t) + (size_t)key->world * sizeof(seat_t);
  meeting_t* meeting = calloc(1, bytes);
  if (!meeting) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes for a call's state on the host", bytes);
  }
  meeting->key = *key;
  meeting_t** last = &hall.first;
  while (*last) {
    last = &(*last)->next;
  }
  *last = meeting;
  *out_meeting = meeting;
  return FIAR_OK;
}

// The oldest open meeting of the call in which the seat is free.
static meeting_t* find_meeting(const call_key_t* key, int32_t rank) {
  for (meeting_t* meeting = hall.first; meeting; meeting = meeting->next) {
    if (!meeting->seats[rank].taken && memcmp(&meeting->key, key, sizeof *key) == 0) {
      return meeting;
    }
  }
  return NULL;
}

static void close_meeting(meeting_t* meeting) {
  meeting_t** link = &hall.first;
  while (*link != meeting) {
    link = &(*link)->next;
  }
  *link = meeting->next;
  (void)pthread_cond_broadcast(&hall.changed);
}

static void dissolve(meeting_t* meeting, int64_t timeout_ms) {
  char missing[256] = "";
  size_t used = 0;
  for (int32_t r = 0; r < meeting->key.world && used < sizeof missing; ++r) {
    if (!meeting->seats[r].taken) {
      int wrote = snprintf(missing + used, sizeof missing - used, "%s%d", used ? ", " : "",
                           (int)meeting->key.devices[r]);
      used += wrote > 0 ? (size_t)wrote : 0;
    }
  }
  (void)snprintf(meeting->text, sizeof meeting->text,
                 "%d of %d devices came within %lld ms; missing: %s", (int)meeting->arrived,
                 (int)meeting->key.world, (long long)timeout_ms, missing);
  meeting->status = FIAR_TIMEOUT;
  meeting->state = DISSOLVED;
  close_meeting(meeting);
}

// Until the meeting is full or the time is up.
static void await_others(meeting_t* meeting, int64_t timeout_ms) {
  struct timespec deadline;
  (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
  const int64_t nanoseconds = deadline.tv_nsec + timeout_ms % 1000 * 1000000;
  deadline.tv_sec += timeout_ms / 1000 + nanoseconds / 1000000000;
  deadline.tv_nsec = nanoseconds % 1000000000;
  int waited = 0;
  while (meeting->state == OPEN && waited == 0) {
    waited = pthread_cond_clockwait(&hall.changed, &hall.lock, CLOCK_MONOTONIC, &deadline);
  }
  if (meeting->state == OPEN) {
    dissolve(meeting, timeout_ms);
  }
}

// Its operands may be read until all have computed. The bound of this wait is the computation.
static void await_done(meeting_t* meeting, fiar_status_t mine) {
  if (mine != FIAR_OK && meeting->status == FIAR_OK) {
    meeting->status = mine;
    (void)snprintf(meeting->text, sizeof meeting->text, "%s", fiar_last_error());
  }
  if (++meeting->done == meeting->key.world) {
    (void)pthread_cond_broadcast(&hall.changed);
  }
  while (meeting->done < meeting->key.world) {
    (void)pthread_cond_wait(&hall.changed, &hall.lock);
  }
}

// The group's outcome, as this thread's. The last to leave frees the meeting.
static fiar_status_t leave(meeting_t* meeting) {
  fiar_status_t status =
      meeting->status == FIAR_OK ? FIAR_OK : fiar_fail(meeting->status, "%s", meeting->text);
  if (++meeting->left == meeting->arrived) {
    free(meeting);
  }
  return status;
}

// ---- Arriving ----

static fiar_status_t take_part(const fiar_xla_call_t* call, const call_key_t* key, int32_t rank) {
  const fiar_env_t* env = NULL;
  FIAR_TRY(fiar_env_get(&env));
  (void)pthread_mutex_lock(&hall.lock);
  meeting_t* meeting = find_meeting(key, rank);
  fiar_status_t status = meeting ? FIAR_OK : open_meeting(key, &meeting);
  if (status == FIAR_OK) {
    meeting->seats[rank] = (seat_t){true, call->params};
    if (++meeting->arrived == key->world) {
      meeting->state = FULL;
      close_meeting(meeting);
    }
    await_others(meeting, env->timeout_ms);
    if (meeting->state == FULL) {
      (void)pthread_mutex_unlock(&hall.lock);
      status = compute(meeting, rank);
      (void)pthread_mutex_lock(&hall.lock);
      await_done(meeting, status);
    }
    status = leave(meeting);
  }
  (void)pthread_mutex_unlock(&hall.lock);
  return status;
}

static XLA_FFI_Error* make_key(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call,
                               call_key_t* key, int32_t* rank) {
  *key = (call_key_t){.call_id = call->call_id,
                      .operands = call->operands,
                      .results = call->results,
                      .op = (int32_t)call->op,
                      .world = (int32_t)call->world};
  int32_t device = -1;
  XLA_FFI_Error* error = fiar_xla_run_id(frame, &key->run_id);
  if (!error) {
    error = fiar_xla_device(frame, &device);
  }
  if (error) {
    return error;
  }
  fiar_all_reduce_norm_params shape = call->params;
  shape.input = shape.residual = shape.weight = NULL;
  shape.scale = NULL;
  shape.sum_out = shape.residual_out = shape.norm_out = shape.quant_out = shape.scales_out = NULL;
  memcpy(key->shape, &shape, sizeof key->shape);
  return fiar_xla_error(frame->api, fiar_xla_call_group(call, device, key->devices, rank));
}

XLA_FFI_Error* fiar_xla_meet(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call) {
  call_key_t key;
  int32_t rank = -1;
  XLA_FFI_Error* error = make_key(frame, call, &key, &rank);
  return error ? error : fiar_xla_error(frame->api, take_part(call, &key, rank));
}
