// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A communicator over MPI's ranks: libfiar_mpi, beside libfiar (built where MPI is found, or must
// be with -DFIAR_MPI=ON). Unstable until 1.0.
#ifndef FIAR_MPI_H
#define FIAR_MPI_H

#include <mpi.h>

#include "fiar/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

// Collective over `mpi_comm`, which stays the caller's and outlives the communicator. Rank and size
// are MPI's. MPI carries the ranks' small messages while the communicator is made, and afterwards
// only where the ranks are on several hosts; there also the data of calls on the host, of calls on
// GPUs never. MPI must be initialised,
// and one thread at a time calls it. Errors: INVALID_ARGUMENT ("world is 0") for MPI_COMM_NULL or
// before MPI_Init, else as fiar_comm_create_from_all_gather.
FIAR_API fiar_status_t fiar_comm_create_from_mpi(MPI_Comm mpi_comm,
                                                 const fiar_comm_options_t* options,
                                                 fiar_comm_t** out_comm);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_MPI_H
