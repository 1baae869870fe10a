// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Where XLA:CPU's devices meet for one call. Internal.
#ifndef FIAR_XLA_MEETING_H
#define FIAR_XLA_MEETING_H

#include "xla/call.h"

// Takes this device's part in the call and returns when all of the group have done theirs. TIMEOUT
// where one does not come within FIAR_TIMEOUT_MS; where one fails, all return its failure.
XLA_FFI_Error* fiar_xla_meet(XLA_FFI_CallFrame* frame, const fiar_xla_call_t* call);

#endif  // FIAR_XLA_MEETING_H
