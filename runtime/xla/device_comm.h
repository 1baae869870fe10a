// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar's communicators for the groups of XLA's GPU programs. Internal.
#ifndef FIAR_XLA_DEVICE_COMM_H
#define FIAR_XLA_DEVICE_COMM_H

#include "fiar/runtime.h"
#include "xla/call.h"

// Stage Prepare: asks XLA for the communicator of the call's groups. Does nothing where this XLA
// has no collectives extension.
XLA_FFI_Error* fiar_xla_comm_request(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call);

// Stages Initialize and Execute: the communicator of this device in its group. Made on first use,
// in Initialize, from XLA's ncclComm_t (collective); or, without the extension, from the devices of
// this process that the call's ids name. Lives as long as the process, as XLA's do.
XLA_FFI_Error* fiar_xla_comm_get(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call,
                                 fiar_comm_t** out_comm);

#endif  // FIAR_XLA_DEVICE_COMM_H
