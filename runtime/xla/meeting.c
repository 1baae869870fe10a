// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A list of the calls that wait for devices, and one thread that ends those whose time is up. The
// list is the process's: XLA's devices are threads of it, and a call frame has nothing else in
// common with that of another device.
#include "xla/meeting.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/env.h"
#include "fiar/runtime.h"
#include "host/reference.h"
#include "runtime_impl.h"

// What two devices must have alike to belong to one call.
typedef struct call_key {
  int64_t run_id, call_id, operands, results;
  fiar_xla_op_t op;
  fiar_all_reduce_norm_params shape;  // the params without pointers
  int32_t world;
  int32_t devices[FIAR_MAX_WORLD];
} call_key_t;

typedef struct seat {
  const XLA_FFI_Api* api;  // NULL: not here yet
  XLA_FFI_Future* future;  // NULL: the last one, which returns instead
  fiar_all_reduce_norm_params params;
} seat_t;

typedef struct meeting {
  struct meeting* next;
  call_key_t key;
  struct timespec deadline;
  int64_t timeout_ms;
  int32_t arrived;
  seat_t seats[];  // key.world
} meeting_t;

static struct {
  pthread_mutex_t lock;
  meeting_t* first;  // open meetings, oldest first
  bool watched;      // the watchdog runs
} room = {.lock = PTHREAD_MUTEX_INITIALIZER};

// ---- The call itself ----

static fiar_status_t gather_rows(const call_key_t* key, int32_t rank, const void* const* inputs,
                                 const fiar_all_reduce_norm_params* params) {
  (void)rank;
  const size_t row = (size_t)params->hidden * fiar_dtype_bytes(params->dtype);
  for (int64_t t = 0; t < params->tokens; ++t) {
    memcpy((char*)params->sum_out + (size_t)t * row,
           (const char*)inputs[t % key->world] + (size_t)(t / key->world) * row, row);
  }
  return FIAR_OK;
}

// What rank `rank` receives. Results never share memory with operands but for the residual.
static fiar_status_t compute_rank(const meeting_t* meeting, int32_t rank) {
  const int32_t world = meeting->key.world;
  const fiar_all_reduce_norm_params* params = &meeting->seats[rank].params;
  const void *inputs[FIAR_MAX_WORLD], *residuals[FIAR_MAX_WORLD];
  for (int32_t r = 0; r < world; ++r) {
    inputs[r] = meeting->seats[r].params.input;
    residuals[r] = meeting->seats[r].params.residual;
  }
  if (meeting->key.op == FIAR_XLA_ALL_GATHER_ROWS) {
    return gather_rows(&meeting->key, rank, inputs, params);
  }
  fiar_status_t status = fiar_reference_all_reduce_norm(
      world, rank, inputs, params->residual ? residuals : NULL, params);
  if (status == FIAR_OUT_OF_MEMORY) {
    return FIAR_FAIL(OUT_OF_MEMORY, "a row of %lld floats on the host", (long long)params->hidden);
  }
  return status;
}

// ---- Ends ----

// Completes the seat's future; the error, if any, becomes XLA's.
static void complete(const seat_t* seat, XLA_FFI_Error* error) {
  if (error) {
    XLA_FFI_Future_SetError_Args args = {.struct_size = XLA_FFI_Future_SetError_Args_STRUCT_SIZE,
                                         .future = seat->future,
                                         .error = error};
    seat->api->XLA_FFI_Future_SetError(&args);
    return;
  }
  XLA_FFI_Future_SetAvailable_Args args = {
      .struct_size = XLA_FFI_Future_SetAvailable_Args_STRUCT_SIZE, .future = seat->future};
  seat->api->XLA_FFI_Future_SetAvailable(&args);
}

// All have come: computes, completes the others, returns the own outcome. Frees the meeting.
static XLA_FFI_Error* hold(meeting_t* meeting, int32_t mine) {
  fiar_status_t status = FIAR_OK;
  for (int32_t r = 0; r < meeting->key.world && status == FIAR_OK; ++r) {
    status = compute_rank(meeting, r);
  }
  for (int32_t r = 0; r < meeting->key.world; ++r) {
    if (r != mine) {
      complete(&meeting->seats[r], fiar_xla_error(meeting->seats[r].api, status));
    }
  }
  XLA_FFI_Error* error = fiar_xla_error(meeting->seats[mine].api, status);
  free(meeting);
  return error;
}

static void list_missing(const meeting_t* meeting, char* text, size_t room_left) {
  size_t used = 0;
  text[0] = '\0';
  for (int32_t r = 0; r < meeting->key.world && used < room_left; ++r) {
    if (!meeting->seats[r].api) {
      int wrote = snprintf(text + used, room_left - used, "%s%d", used ? ", " : "",
                           (int)meeting->key.devices[r]);
      used += wrote > 0 ? (size_t)wrote : 0;
    }
  }
}

// Fails the call on those who came. Frees the meeting.
static void dissolve(meeting_t* meeting) {
  char missing[256];
  list_missing(meeting, missing, sizeof missing);
  for (int32_t r = 0; r < meeting->key.world; ++r) {
    if (meeting->seats[r].api) {
      fiar_status_t status = FIAR_FAIL(TIMEOUT, "%d of %d devices came within %lld ms; missing: %s",
                                       (int)meeting->arrived, (int)meeting->key.world,
                                       (long long)meeting->timeout_ms, missing);
      complete(&meeting->seats[r], fiar_xla_error(meeting->seats[r].api, status));
    }
  }
  free(meeting);
}

static bool has_passed(const struct timespec* deadline) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec > deadline->tv_sec ||
         (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

// Runs while meetings are open. All have the same time bound, so the oldest ends first and nobody
// needs to wake this thread: what opens while it sleeps ends after it wakes.
static void* watch(void* unused) {
  (void)pthread_mutex_lock(&room.lock);
  while (room.first) {
    meeting_t* oldest = room.first;
    const struct timespec deadline = oldest->deadline;
    const bool over = has_passed(&deadline);
    if (over) {
      room.first = oldest->next;
    }
    (void)pthread_mutex_unlock(&room.lock);
    if (over) {
      dissolve(oldest);
    } else {
      (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL);
    }
    (void)pthread_mutex_lock(&room.lock);
  }
  room.watched = false;
  (void)pthread_mutex_unlock(&room.lock);
  return unused;
}

// With the lock held.
static fiar_status_t start_watch(void) {
  if (room.watched) {
    return FIAR_OK;
  }
  pthread_t thread;
  int failure = pthread_create(&thread, NULL, watch, NULL);
  if (failure != 0) {
    return FIAR_FAIL(SYSTEM_ERROR, "pthread_create: %s", strerror(failure));
  }
  (void)pthread_detach(thread);
  room.watched = true;
  return FIAR_OK;
}

// ---- Arriving ----

static fiar_status_t open_meeting(const call_key_t* key, meeting_t** out_meeting) {
  const fiar_env_t* env = NULL;
  FIAR_TRY(fiar_env_get(&env));
  FIAR_TRY(start_watch());
  const size_t bytes = sizeof(meeting_t) + (size_t)key->world * sizeof(seat_t);
  meeting_t* meeting = calloc(1, bytes);
  if (!meeting) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes for a call's state on the host", bytes);
  }
  meeting->key = *key;
  meeting->timeout_ms = env->timeout_ms;
  (void)clock_gettime(CLOCK_MONOTONIC, &meeting->deadline);
  meeting->deadline.tv_sec += env->timeout_ms / 1000;
  meeting->deadline.tv_nsec += env->timeout_ms % 1000 * 1000000;
  if (meeting->deadline.tv_nsec >= 1000000000) {
    meeting->deadline.tv_nsec -= 1000000000;
    ++meeting->deadline.tv_sec;
  }
  meeting_t** last = &room.first;
  while (*last) {
    last = &(*last)->next;
  }
  *last = meeting;
  *out_meeting = meeting;
  return FIAR_OK;
}

// The oldest meeting of the call in which the seat is free: in a loop a fast device may be a turn
// ahead.
static meeting_t* find_meeting(const call_key_t* key, int32_t rank) {
  for (meeting_t* meeting = room.first; meeting; meeting = meeting->next) {
    if (!meeting->seats[rank].api && memcmp(&meeting->key, key, sizeof *key) == 0) {
      return meeting;
    }
  }
  return NULL;
}

static void close_meeting(meeting_t* meeting) {
  meeting_t** link = &room.first;
  while (*link != meeting) {
    link = &(*link)->next;
  }
  *link = meeting->next;
}

static XLA_FFI_Error* make_key(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call,
                               call_key_t* key, int32_t* rank) {
  memset(key, 0, sizeof *key);  // padding too: keys are compared as bytes
  int32_t device = -1;
  XLA_FFI_Error* error = fiar_xla_run_id(frame, &key->run_id);
  if (!error) {
    error = fiar_xla_device(frame, &device);
  }
  if (error) {
    return error;
  }
  key->call_id = call->call_id;
  key->operands = call->operands;
  key->results = call->results;
  key->op = call->op;
  memcpy(&key->shape, &call->params, sizeof key->shape);
  key->shape.input = key->shape.residual = key->shape.weight = NULL;
  key->shape.scale = NULL;
  key->shape.sum_out = key->shape.residual_out = key->shape.norm_out = NULL;
  key->shape.quant_out = key->shape.scales_out = NULL;
  key->world = (int32_t)call->world;
  return fiar_xla_error(frame->api, fiar_xla_call_group(call, device, key->devices, rank));
}

// With the lock held. *out_full: the meeting, now complete and off the list; else the frame has a
// future.
static XLA_FFI_Error* take_seat(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call,
                                const call_key_t* key, int32_t rank, meeting_t** out_full) {
  meeting_t* meeting = find_meeting(key, rank);
  const bool last = (meeting ? meeting->arrived : 0) + 1 == key->world;
  XLA_FFI_Future_Create_Args create = {.struct_size = XLA_FFI_Future_Create_Args_STRUCT_SIZE};
  if (!meeting) {
    fiar_status_t status = open_meeting(key, &meeting);
    if (status != FIAR_OK) {
      return fiar_xla_error(frame->api, status);
    }
  }
  if (!last) {
    XLA_FFI_Error* error = frame->api->XLA_FFI_Future_Create(&create);
    if (error) {
      return error;  // the meeting stays: the watchdog tells the others
    }
    frame->future = create.future;
  }
  meeting->seats[rank] = (seat_t){frame->api, create.future, call->params};
  ++meeting->arrived;
  if (last) {
    close_meeting(meeting);
    *out_full = meeting;
  }
  return NULL;
}

XLA_FFI_Error* fiar_xla_meet(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call) {
  call_key_t key;
  int32_t rank = -1;
  XLA_FFI_Error* error = make_key(frame, call, &key, &rank);
  if (error) {
    return error;
  }
  meeting_t* full = NULL;
  (void)pthread_mutex_lock(&room.lock);
  error = take_seat(frame, call, &key, rank, &full);
  (void)pthread_mutex_unlock(&room.lock);
  return full ? hold(full, rank) : error;
}
