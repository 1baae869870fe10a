// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The ways to make a communicator: from the environment, a caller's all-gather, or threads.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "comm/comm.h"

// ---- Options ----

// A caller built against an older header has a shorter struct; its missing fields keep the
// defaults.
static fiar_status_t take_options(const fiar_comm_options_t* given,
                                  fiar_comm_options_t* out_options) {
  // Where a field ends, so that none is taken in part.
  static const size_t ends[] = {
      offsetof(fiar_comm_options_t, device), offsetof(fiar_comm_options_t, timeout_ms),
      offsetof(fiar_comm_options_t, timeout_ms) + sizeof(int32_t), sizeof(fiar_comm_options_t)};
  bool known = false;
  *out_options = (fiar_comm_options_t)FIAR_COMM_OPTIONS_DEFAULT;
  if (!given) {
    return FIAR_OK;
  }
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(ends); ++i) {
    known = known || given->struct_size == ends[i];
  }
  if (!known) {
    return FIAR_FAIL(
        ABI_MISMATCH,
        "options.struct_size is %u, which is no size that the struct has had, up to %zu",
        given->struct_size, sizeof *given);
  }
  memcpy(out_options, given, given->struct_size);
  out_options->struct_size = sizeof *out_options;
  if (out_options->device < FIAR_DEVICE_NONE) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "options.device is %d, must be an ordinal >= 0, AUTO or NONE",
                     out_options->device);
  }
  if (out_options->timeout_ms < 0) {
    return FIAR_FAIL(INVALID_ARGUMENT, "options.timeout_ms is %d, must be >= 0",
                     out_options->timeout_ms);
  }
  return FIAR_OK;
}

static fiar_status_t resolve_device(const fiar_comm_t* comm, int32_t wanted, int32_t local_rank,
                                    int32_t* out_device) {
  *out_device = FIAR_DEVICE_NONE;
  if (wanted == FIAR_DEVICE_NONE || strcmp(comm->forced_backend, "host") == 0) {
    return FIAR_OK;
  }
#if FIAR_HAVE_CUDA
  *out_device = wanted == FIAR_DEVICE_AUTO ? fiar_cuda_auto_device(local_rank) : wanted;
  return FIAR_OK;
#else
  (void)local_rank;
  return wanted == FIAR_DEVICE_AUTO
             ? FIAR_OK
             : FIAR_FAIL(UNAVAILABLE, "CUDA device %d: this build of fiar is without CUDA", wanted);
#endif
}

static fiar_status_t new_comm(int32_t rank, int32_t world, const fiar_comm_options_t* options,
                              int32_t local_rank, fiar_comm_t** out_comm) {
  *out_comm = NULL;
  const fiar_env_t* env;
  FIAR_TRY(fiar_env_get(&env));
  fiar_comm_options_t taken;
  FIAR_TRY(take_options(options, &taken));
  if (world < 1 || world > FIAR_MAX_WORLD) {
    return FIAR_FAIL(INVALID_ARGUMENT, "world is %d, must be 1 to %d", world, FIAR_MAX_WORLD);
  }
  if (rank < 0 || rank >= world) {
    return FIAR_FAIL(INVALID_ARGUMENT, "rank is %d, must be 0 to %d", rank, world - 1);
  }
  fiar_comm_t* comm = calloc(1, sizeof *comm);
  if (!comm) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *comm);
  }
  comm->rank = rank;
  comm->world = world;
  comm->timeout_ms = taken.timeout_ms ? taken.timeout_ms : (int32_t)env->timeout_ms;
  comm->latest_backend = "none";
  (void)pthread_mutex_init(&comm->lock, NULL);
  fiar_status_t status =
      fiar_parse_choice("options.backend", taken.backend ? taken.backend : env->backend,
                        FIAR_BACKEND_CHOICES, comm->forced_backend, sizeof comm->forced_backend);
  status =
      status == FIAR_OK ? resolve_device(comm, taken.device, local_rank, &comm->device) : status;
  if (status != FIAR_OK) {
    fiar_comm_destroy(comm);
    return status;
  }
  *out_comm = comm;
  return FIAR_OK;
}

static int64_t deadline_of(const fiar_comm_t* comm) {
  return fiar_now_ns() + comm->timeout_ms * INT64_C(1000000);
}

static fiar_status_t join_board(fiar_comm_t* comm, const char* name) {
  const fiar_status_t status =
      fiar_board_join(name, comm->rank, comm->world, deadline_of(comm), &comm->transport_state);
  if (status == FIAR_TIMEOUT) {
    return fiar_annotate(status, "rank %d, after %d ms", comm->rank, comm->timeout_ms);
  }
  FIAR_TRY(status);
  comm->transport = &fiar_board_transport;
  return FIAR_OK;
}

// ---- From the environment ----

static const char* lookup_process(const char* name) {
  return getenv(name);
}

fiar_status_t fiar_comm_create_from_env(const fiar_comm_options_t* options,
                                        fiar_comm_t** out_comm) {
  static atomic_uint made;  // a job's ranks make their communicators in the same order
  FIAR_NOT_NULL(out_comm);
  *out_comm = NULL;
  // Counted also where the attempt fails on this rank alone, or its next one would meet others'
  // last.
  const unsigned sequence = atomic_fetch_add(&made, 1);
  fiar_launcher_t launcher;
  FIAR_TRY(fiar_launcher_read(lookup_process, (long)getppid(), &launcher));
  fiar_comm_t* comm;
  FIAR_TRY(new_comm(launcher.rank, launcher.world, options, launcher.local_rank, &comm));
  fiar_status_t status = FIAR_OK;
  if (launcher.world > 1) {
    char name[sizeof launcher.job + 32];
    (void)snprintf(name, sizeof name, "%s #%u", launcher.job, sequence);
    FIAR_TRY_DONE(join_board(comm, name));
  }
  FIAR_TRY_DONE(fiar_comm_ready(comm));
  *out_comm = comm;
  comm = NULL;
done:
  fiar_comm_destroy(comm);
  return status;
}

// ---- From a caller's all-gather ----

typedef struct callback {
  fiar_all_gather_fn all_gather;
  void* context;
} callback_t;

static fiar_status_t callback_all_gather(void* state, const void* mine, void* all, size_t bytes,
                                         int64_t deadline_ns) {
  (void)deadline_ns;  // the callback's own affair
  const callback_t* callback = state;
  const int result = callback->all_gather(callback->context, mine, all, bytes);
  return result == 0 ? FIAR_OK
                     : FIAR_FAIL(PEER_LOST, "the caller's all-gather of %zu bytes returned %d",
                                 bytes, result);
}

static const fiar_transport_t callback_transport = {
    .all_gather = callback_all_gather,
    .close = free,
};

// Ranks of one host go over to a board: it bounds its waits and sees ranks end. All or none do.
static fiar_status_t move_to_board(fiar_comm_t* comm) {
  typedef struct place {
    int64_t host;
    uint64_t nonce;
    int32_t rank, world;
  } place_t;
  place_t mine = {.host = fiar_host_id(), .rank = comm->rank, .world = comm->world},
          all[FIAR_MAX_WORLD];
  if (getrandom(&mine.nonce, sizeof mine.nonce, 0) != (ssize_t)sizeof mine.nonce) {
    mine.nonce = (uint64_t)fiar_now_ns() ^ (uint64_t)getpid() << 40;
  }
  FIAR_TRY(fiar_comm_all_gather(comm, &mine, all, sizeof mine));
  for (int32_t rank = 0; rank < comm->world; ++rank) {
    if (all[rank].rank != rank || all[rank].world != comm->world) {
      return FIAR_FAIL(MISMATCH,
                       "rank %d is one of %d ranks, but %d in the gathering is rank %d of %d",
                       comm->rank, comm->world, rank, all[rank].rank, all[rank].world);
    }
  }
  for (int32_t rank = 1; rank < comm->world; ++rank) {
    if (all[rank].host != all[0].host) {
      return FIAR_OK;
    }
  }
  char name[64];
  (void)snprintf(name, sizeof name, "group=%016llx", (unsigned long long)all[0].nonce);
  void* board = NULL;
  fiar_status_t status = fiar_board_join(name, comm->rank, comm->world, deadline_of(comm), &board);
  const bool joined = status == FIAR_OK;
  status = fiar_comm_vote(comm, status);
  if (status != FIAR_OK) {
    FIAR_LOG(WARN, COMM, "rank %d keeps to the caller's all-gather: %s", comm->rank,
             fiar_last_error());
    if (joined) {
      fiar_board_transport.close(board);
    }
    return FIAR_OK;
  }
  comm->transport->close(comm->transport_state);
  comm->transport = &fiar_board_transport;
  comm->transport_state = board;
  return FIAR_OK;
}

fiar_status_t fiar_comm_create_from_all_gather(int32_t rank, int32_t world,
                                               fiar_all_gather_fn all_gather, void* context,
                                               const fiar_comm_options_t* options,
                                               fiar_comm_t** out_comm) {
  FIAR_NOT_NULL(out_comm);
  *out_comm = NULL;
  FIAR_NOT_NULL(all_gather);
  fiar_comm_t* comm;
  FIAR_TRY(new_comm(rank, world, options, -1, &comm));
  fiar_status_t status = FIAR_OK;
  if (world > 1) {
    callback_t* callback = malloc(sizeof *callback);
    if (!callback) {
      status = FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *callback);
      goto done;
    }
    *callback = (callback_t){all_gather, context};
    comm->transport = &callback_transport;
    comm->transport_state = callback;
    FIAR_TRY_DONE(move_to_board(comm));
  }
  FIAR_TRY_DONE(fiar_comm_ready(comm));
  *out_comm = comm;
  comm = NULL;
done:
  fiar_comm_destroy(comm);
  return status;
}

// ---- Threads ----

fiar_status_t fiar_comm_create_threads(int32_t world, const int32_t* devices,
                                       const fiar_comm_options_t* options,
                                       fiar_comm_t** out_comms) {
  if (world < 1 || world > FIAR_MAX_WORLD) {
    return FIAR_FAIL(INVALID_ARGUMENT, "world is %d, must be 1 to %d", world, FIAR_MAX_WORLD);
  }
  FIAR_NOT_NULL(out_comms);
  memset(out_comms, 0, (size_t)world * sizeof(fiar_comm_t*));
  void* boards[FIAR_MAX_WORLD] = {NULL};
  fiar_status_t status = FIAR_OK;
  int32_t made = 0;
  fiar_comm_options_t own;
  FIAR_TRY_DONE(take_options(options, &own));
  if (world > 1) {
    FIAR_TRY_DONE(fiar_board_create_threads(world, boards));
  }
  for (; made < world; ++made) {
    own.device = devices ? devices[made] : own.device;
    FIAR_TRY_DONE(new_comm(made, world, &own, made, &out_comms[made]));
    out_comms[made]->transport = world > 1 ? &fiar_board_transport : NULL;
    out_comms[made]->transport_state = boards[made];
#if FIAR_HAVE_CUDA
    FIAR_TRY_DONE(fiar_cuda_check_device(out_comms[made]->device));
#endif
  }
done:
  if (status != FIAR_OK) {
    for (int32_t rank = 0; rank < world; ++rank) {
      if (!out_comms[rank] && boards[rank]) {
        fiar_board_transport.close(boards[rank]);
      }
      fiar_comm_destroy(out_comms[rank]);
      out_comms[rank] = NULL;
    }
  }
  return status;
}

#if !FIAR_HAVE_CUDA
fiar_status_t fiar_comm_create_from_nccl(void* nccl_comm, const fiar_comm_options_t* options,
                                         fiar_comm_t** out_comm) {
  (void)nccl_comm;
  (void)options;
  FIAR_NOT_NULL(out_comm);
  *out_comm = NULL;
  return FIAR_FAIL(UNAVAILABLE, "this build of fiar is without CUDA and NCCL");
}
#endif
