// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// An all-reduce on a communicator made from MPI's, for launch_test.sh. With an argument, from
// MPI_COMM_NULL.
#include <stdio.h>

#include "fiar/mpi.h"

int main(int argc, char** argv) {
  fiar_comm_t* comm = NULL;
  float in[4] = {1, 2, 3, 4}, out[4] = {0};
  if (MPI_Init(&argc, &argv) != MPI_SUCCESS) {
    return 7;
  }
  const fiar_status_t status =
      fiar_comm_create_from_mpi(argc > 1 ? MPI_COMM_NULL : MPI_COMM_WORLD, NULL, &comm);
  if (argc > 1) {
    (void)printf("%s\n", fiar_last_error());
    (void)MPI_Finalize();
    return status == FIAR_INVALID_ARGUMENT && !comm ? 0 : 8;
  }
  if (status != FIAR_OK ||
      fiar_rt_all_reduce(comm, 0, in, out, 1, 4, FIAR_DTYPE_F32, NULL) != FIAR_OK) {
    (void)fprintf(stderr, "%s\n", fiar_last_error());
    return 9;
  }
  (void)printf("sum %g\n", (double)out[3]);
  fiar_comm_destroy(comm);
  return MPI_Finalize() == MPI_SUCCESS ? 0 : 10;
}
