// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a model does, for tests of launchers: all-reduces on the communicator of the environment.
// With an argument, the rank of that number kills itself in the middle.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "fiar/fiar.h"

int main(int argc, char** argv) {
  fiar_comm_t* comm;
  if (fiar_comm_create_from_env(NULL, &comm) != FIAR_OK) {
    (void)fprintf(stderr, "%s\n", fiar_last_error());
    return 8;
  }
  const int dies = argc > 1 ? atoi(argv[1]) : -1;
  float in[4] = {1, 2, 3, 4}, out[4] = {0};
  for (int i = 0; i < 100; ++i) {
    if (i == 10 && dies == fiar_comm_rank(comm)) {
      (void)raise(SIGKILL);
    }
    if (fiar_rt_all_reduce(comm, 0, in, out, 1, 4, FIAR_DTYPE_F32, NULL) != FIAR_OK) {
      (void)fprintf(stderr, "%s\n", fiar_last_error());
      return 9;
    }
  }
  (void)printf("sum %g\n", (double)out[3]);
  fiar_comm_destroy(comm);
  return 0;
}
