// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// XLA's call frame in fiar's terms: the metadata query, errors, and what is asked of the context.
// Internal.
#ifndef FIAR_XLA_FRAME_H
#define FIAR_XLA_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "xla/ffi/api/c_api.h"

// XLA asks once for the interface version and the traits instead of calling. True: answered, and
// the handler returns NULL.
bool fiar_xla_answer_metadata(XLA_FFI_CallFrame* frame, XLA_FFI_Handler_Traits traits);

// NULL for OK, else an XLA error with the code's counterpart and the thread's last error.
XLA_FFI_Error* fiar_xla_error(const XLA_FFI_Api* api, fiar_status_t status);

// The execution that this call belongs to, and the device that it runs on.
XLA_FFI_Error* fiar_xla_run_id(XLA_FFI_CallFrame* frame, int64_t* out_run_id);
XLA_FFI_Error* fiar_xla_device(XLA_FFI_CallFrame* frame, int32_t* out_device);

#endif  // FIAR_XLA_FRAME_H
