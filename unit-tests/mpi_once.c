// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// An all-reduce on a communicator made from MPI's, for launch_test.sh. With an argument, what goes
// wrong: "null" MPI_COMM_NULL, "early" before MPI_Init, "late" with a last rank that comes when the
// others have given up.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fiar/mpi.h"

static int told(fiar_status_t status, fiar_status_t wanted, const fiar_comm_t* comm) {
  (void)printf("%s\n", fiar_last_error());
  (void)fflush(stdout);
  return status == wanted && !comm ? 0 : 8;
}

// The last rank's part of the first gathering arrives in the others' memory after they have left.
static int late(void) {
  enum { BOUND_MS = 300, LATE_S = 2 };
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.timeout_ms = BOUND_MS;
  fiar_comm_t* comm = NULL;
  int rank = 0, world = 0;
  (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  (void)MPI_Comm_size(MPI_COMM_WORLD, &world);
  const struct timespec pause = {.tv_sec = LATE_S};
  if (rank == world - 1) {
    (void)nanosleep(&pause, NULL);
  }
  const time_t began = time(NULL);
  const fiar_status_t status = fiar_comm_create_from_mpi(MPI_COMM_WORLD, &options, &comm);
  const int slow = time(NULL) - began >= LATE_S;
  return told(status, FIAR_PEER_LOST, comm) || slow;
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  fiar_comm_t* comm = NULL;
  float in[4] = {1, 2, 3, 4}, out[4] = {0};
  int result = 0;
  if (strcmp(what, "early") == 0) {
    result =
        told(fiar_comm_create_from_mpi(MPI_COMM_WORLD, NULL, &comm), FIAR_INVALID_ARGUMENT, comm);
  }
  if (MPI_Init(&argc, &argv) != MPI_SUCCESS) {
    return 7;
  }
  if (strcmp(what, "null") == 0) {
    result =
        told(fiar_comm_create_from_mpi(MPI_COMM_NULL, NULL, &comm), FIAR_INVALID_ARGUMENT, comm);
  } else if (strcmp(what, "late") == 0) {
    result = late();
  } else if (*what == 0) {
    if (fiar_comm_create_from_mpi(MPI_COMM_WORLD, NULL, &comm) != FIAR_OK ||
        fiar_rt_all_reduce(comm, 0, in, out, 1, 4, FIAR_DTYPE_F32, NULL) != FIAR_OK) {
      (void)fprintf(stderr, "%s\n", fiar_last_error());
      return 9;
    }
    (void)printf("sum %g\n", (double)out[3]);
    fiar_comm_destroy(comm);
  }
  return MPI_Finalize() == MPI_SUCCESS ? result : 10;
}
