// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fiar/mpi.h"

// The callback's context is MPI's number of the communicator and the time bound, so there is
// nothing to free.
static void* context_of(MPI_Comm mpi_comm, int32_t timeout_ms) {
  const uint64_t packed = (uint64_t)(uint32_t)timeout_ms << 32 | (uint32_t)MPI_Comm_c2f(mpi_comm);
  void* context = NULL;
  memcpy(&context, &packed, sizeof context);
  return context;
}

static int64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// 0 when the gathering has ended, else it may still write into room. MPI_Test ends the request;
// where time runs out it is left behind, since MPI cannot cancel a collective.
// NOLINTBEGIN(clang-analyzer-optin.mpi.MPI-Checker)
static int gather_within(MPI_Comm mpi_comm, int64_t deadline, char* room, int bytes) {
  MPI_Request request;
  if (MPI_Iallgather(room, bytes, MPI_BYTE, room + bytes, bytes, MPI_BYTE, mpi_comm, &request) !=
      MPI_SUCCESS) {
    return -1;
  }
  for (int done = 0; !done;) {
    if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS ||
        (!done && now_ms() > deadline)) {
      return -1;
    }
  }
  return 0;
}
// NOLINTEND(clang-analyzer-optin.mpi.MPI-Checker)

// Through memory of its own: a late rank may let MPI write into it after this has given up, and MPI
// does not take `mine` inside `all`.
static int all_gather(void* context, const void* mine, void* all, size_t bytes) {
  MPI_Comm mpi_comm = MPI_Comm_f2c((MPI_Fint)(uint32_t)(uintptr_t)context);
  const int64_t deadline = now_ms() + (int32_t)((uintptr_t)context >> 32);
  int world = 0;
  if (bytes > INT_MAX || MPI_Comm_size(mpi_comm, &world) != MPI_SUCCESS) {
    return -1;
  }
  char* room = malloc(((size_t)world + 1) * bytes);
  if (!room) {
    return -1;
  }
  memcpy(room, mine, bytes);
  const int failed = gather_within(mpi_comm, deadline, room, (int)bytes);
  if (failed) {
    return failed;  // room is MPI's now
  }
  memcpy(all, room + bytes, (size_t)world * bytes);
  free(room);
  return 0;
}

fiar_status_t fiar_comm_create_from_mpi(MPI_Comm mpi_comm, const fiar_comm_options_t* options,
                                        fiar_comm_t** out_comm) {
  enum { DEFAULT_TIMEOUT_MS = 30000 };
  if (out_comm) {
    *out_comm = NULL;
  }
  int initialised = 0, rank = 0, world = 0;
  if (MPI_Initialized(&initialised) != MPI_SUCCESS || !initialised || mpi_comm == MPI_COMM_NULL ||
      MPI_Comm_rank(mpi_comm, &rank) != MPI_SUCCESS ||
      MPI_Comm_size(mpi_comm, &world) != MPI_SUCCESS) {
    world = 0;  // refused below, with libfiar's sentence
    mpi_comm = MPI_COMM_NULL;
  }
  const char* text = getenv("FIAR_TIMEOUT_MS");
  long timeout_ms = text && *text ? strtol(text, NULL, 10) : DEFAULT_TIMEOUT_MS;
  if (options && options->timeout_ms > 0) {
    timeout_ms = options->timeout_ms;
  }
  // Before MPI_Init, MPI ends the process for asking its number of the communicator.
  void* context = world > 0 ? context_of(mpi_comm, (int32_t)timeout_ms) : NULL;
  return fiar_comm_create_from_all_gather(rank, world, all_gather, context, options, out_comm);
}
