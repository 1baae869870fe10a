// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "xla/device_comm.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/nccl_comm.h"
#include "xla/collectives.h"

// A communicator of XLA's with fiar's on top, or (xla NULL) the communicators of a list of devices.
typedef struct known_comm {
  struct known_comm* next;
  void* xla;
  int32_t world;
  int32_t devices[FIAR_MAX_WORLD];
  fiar_comm_t* comms[];  // one for XLA's, else one a device
} known_comm_t;

static struct {
  pthread_mutex_t lock;
  known_comm_t* first;
} known = {PTHREAD_MUTEX_INITIALIZER, NULL};

// ---- XLA's communicators ----

// NULL without an error: this XLA has no such extension, or a newer one that is not compatible.
static XLA_FFI_Error* find_collectives(XLA_FFI_CallFrame* frame,
                                       const fiar_xla_collectives_t** out_collectives) {
  *out_collectives = NULL;
  if (frame->api->struct_size < FIAR_XLA_FIND_EXTENSION_OFFSET + sizeof(void*)) {
    return NULL;
  }
  fiar_xla_find_extension_fn* find;
  memcpy(&find, (const char*)frame->api + FIAR_XLA_FIND_EXTENSION_OFFSET, sizeof find);
  fiar_xla_find_extension_args_t args = {
      .struct_size = sizeof args, .context = frame->ctx, .type = FIAR_XLA_EXTENSION_COLLECTIVES};
  XLA_FFI_Error* error = find(&args);
  const fiar_xla_collectives_t* found = args.extension;
  if (!error && found && found->major_version == 0 &&
      found->struct_size >= sizeof(fiar_xla_collectives_t)) {
    *out_collectives = found;
  }
  return error;
}

typedef enum { REQUEST, GET } communicator_call_t;

// Calls one of the extension's functions with the call's groups.
static XLA_FFI_Error* ask(const XLA_FFI_Api* api, const fiar_xla_collectives_t* collectives,
                          communicator_call_t what, const fiar_xla_call_t* call,
                          void** out_communicator) {
  fiar_xla_replica_group_t* groups = calloc((size_t)call->groups_count, sizeof *groups);
  if (!groups) {
    return fiar_xla_error(api, FIAR_FAIL(OUT_OF_MEMORY, "%lld replica groups on the host",
                                         (long long)call->groups_count));
  }
  for (int64_t g = 0; g < call->groups_count; ++g) {
    groups[g] =
        (fiar_xla_replica_group_t){call->group_ids.ids + g * call->world, (size_t)call->world};
  }
  // A request has no `communicator`: its struct ends before.
  fiar_xla_communicator_args_t args = {
      .struct_size =
          what == GET ? sizeof args : offsetof(fiar_xla_communicator_args_t, communicator),
      .group_mode = (int)call->group_mode,
      .groups = groups,
      .groups_count = (size_t)call->groups_count};
  XLA_FFI_Error* error =
      (what == GET ? collectives->get : collectives->request)(collectives, &args);
  free(groups);
  *out_communicator = args.communicator;
  return error;
}

// ---- fiar's communicators ----

// With the lock held.
static known_comm_t* find_known(void* xla, const int32_t* devices, int32_t world) {
  for (known_comm_t* entry = known.first; entry; entry = entry->next) {
    if (entry->xla == xla && entry->world == world &&
        (xla || memcmp(entry->devices, devices, (size_t)world * sizeof *devices) == 0)) {
      return entry;
    }
  }
  return NULL;
}

static fiar_status_t make_entry(void* xla, const int32_t* devices, int32_t world,
                                known_comm_t** out_entry) {
  const size_t bytes = sizeof(known_comm_t) + (size_t)world * sizeof(fiar_comm_t*);
  *out_entry = calloc(1, bytes);
  if (!*out_entry) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes for a communicator on the host", bytes);
  }
  (*out_entry)->xla = xla;
  (*out_entry)->world = world;
  memcpy((*out_entry)->devices, devices, (size_t)world * sizeof *devices);
  return FIAR_OK;
}

// Over XLA's communicator: the ranks make it together, each in its own thread or process, so the
// lock must not be held meanwhile. No two threads come with the same communicator of XLA's.
static fiar_status_t comm_over_xla(void* xla, const int32_t* devices, int32_t world,
                                   fiar_comm_t** out_comm) {
  (void)pthread_mutex_lock(&known.lock);
  known_comm_t* entry = find_known(xla, devices, world);
  (void)pthread_mutex_unlock(&known.lock);
  if (!entry) {
    FIAR_TRY(make_entry(xla, devices, world, &entry));
    fiar_status_t status = fiar_comm_create_from_nccl(xla, NULL, &entry->comms[0]);
    if (status != FIAR_OK) {
      free(entry);
      return status;
    }
    (void)pthread_mutex_lock(&known.lock);
    entry->next = known.first;
    known.first = entry;
    (void)pthread_mutex_unlock(&known.lock);
  }
  *out_comm = entry->comms[0];
  return FIAR_OK;
}

// Without XLA's: the first device to come makes the communicators of all.
static fiar_status_t comm_of_devices(const int32_t* devices, int32_t world, int32_t rank,
                                     fiar_comm_t** out_comm) {
  (void)pthread_mutex_lock(&known.lock);
  known_comm_t* entry = find_known(NULL, devices, world);
  fiar_status_t status = FIAR_OK;
  if (!entry) {
    status = make_entry(NULL, devices, world, &entry);
    if (status == FIAR_OK) {
      status = fiar_comm_create_threads(world, devices, NULL, entry->comms);
    }
    if (status == FIAR_OK) {
      entry->next = known.first;
      known.first = entry;
    } else {
      free(entry);
    }
  }
  (void)pthread_mutex_unlock(&known.lock);
  if (status == FIAR_OK) {
    *out_comm = entry->comms[rank];
  }
  return status;
}

XLA_FFI_Error* fiar_xla_comm_request(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call) {
  const fiar_xla_collectives_t* collectives;
  XLA_FFI_Error* error = find_collectives(frame, &collectives);
  if (error || !collectives) {
    return error;
  }
  // XLA brings all devices together between Prepare and Initialize. It may not name the device yet.
  int32_t device = -1;
  error = fiar_xla_device(frame, &device);
  if (error) {
    return error;
  }
  const fiar_status_t status = fiar_nccl_exchange_reserve(device);
  void* unused;
  return status == FIAR_OK ? ask(frame->api, collectives, REQUEST, call, &unused)
                           : fiar_xla_error(frame->api, status);
}

XLA_FFI_Error* fiar_xla_comm_get(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call,
                                 fiar_comm_t** out_comm) {
  const fiar_xla_collectives_t* collectives;
  XLA_FFI_Error* error = find_collectives(frame, &collectives);
  if (error) {
    return error;
  }
  int32_t devices[FIAR_MAX_WORLD] = {0}, device = -1, rank = -1;
  if (collectives) {
    void* xla = NULL;
    error = ask(frame->api, collectives, GET, call, &xla);
    return error ? error
                 : fiar_xla_error(frame->api,
                                  comm_over_xla(xla, devices, (int32_t)call->world, out_comm));
  }
  error = fiar_xla_device(frame, &device);
  if (error) {
    return error;
  }
  fiar_status_t status = fiar_xla_call_group(call, device, devices, &rank);
  if (status == FIAR_OK) {
    status = comm_of_devices(devices, (int32_t)call->world, rank, out_comm);
  }
  return fiar_xla_error(frame->api, status);
}
