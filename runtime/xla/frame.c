// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "xla/frame.h"

// The interface that this library uses, whatever the headers it is built with: an XLA refuses newer
// ones than its own. (What newer XLAs offer is looked up by the size of their table.)
enum { USED_API_MINOR = 3 };
_Static_assert(XLA_FFI_API_MAJOR == 0 && XLA_FFI_API_MINOR >= USED_API_MINOR,
               "libfiar_xla.so needs the headers of jaxlib 0.10 or newer");

bool fiar_xla_answer_metadata(XLA_FFI_CallFrame* frame, XLA_FFI_Handler_Traits traits) {
  if (!frame->extension_start || frame->extension_start->type != XLA_FFI_Extension_Metadata) {
    return false;
  }
  XLA_FFI_Metadata* metadata = ((XLA_FFI_Metadata_Extension*)frame->extension_start)->metadata;
  metadata->api_version.major_version = XLA_FFI_API_MAJOR;
  metadata->api_version.minor_version = USED_API_MINOR;
  metadata->traits = traits;
  return true;
}

static XLA_FFI_Error_Code code_of(fiar_status_t status) {
  switch (status) {
    case FIAR_INVALID_ARGUMENT:
    case FIAR_MISMATCH:
      return XLA_FFI_Error_Code_INVALID_ARGUMENT;
    case FIAR_OUT_OF_MEMORY:
      return XLA_FFI_Error_Code_RESOURCE_EXHAUSTED;
    case FIAR_UNSUPPORTED:
    case FIAR_ABI_MISMATCH:
      return XLA_FFI_Error_Code_UNIMPLEMENTED;
    case FIAR_UNAVAILABLE:
    case FIAR_PEER_LOST:
      return XLA_FFI_Error_Code_UNAVAILABLE;
    case FIAR_TIMEOUT:
      return XLA_FFI_Error_Code_DEADLINE_EXCEEDED;
    default:
      return XLA_FFI_Error_Code_INTERNAL;
  }
}

XLA_FFI_Error* fiar_xla_error(const XLA_FFI_Api* api, fiar_status_t status) {
  if (status == FIAR_OK) {
    return NULL;
  }
  XLA_FFI_Error_Create_Args args = {.struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE,
                                    .message = fiar_last_error(),
                                    .errc = code_of(status)};
  return api->XLA_FFI_Error_Create(&args);
}

XLA_FFI_Error* fiar_xla_run_id(XLA_FFI_CallFrame* frame, int64_t* out_run_id) {
  XLA_FFI_RunId_Get_Args args = {.struct_size = XLA_FFI_RunId_Get_Args_STRUCT_SIZE,
                                 .ctx = frame->ctx};
  XLA_FFI_Error* error = frame->api->XLA_FFI_RunId_Get(&args);
  *out_run_id = args.run_id;
  return error;
}

XLA_FFI_Error* fiar_xla_device(XLA_FFI_CallFrame* frame, int32_t* out_device) {
  XLA_FFI_DeviceOrdinal_Get_Args args = {.struct_size = XLA_FFI_DeviceOrdinal_Get_Args_STRUCT_SIZE,
                                         .ctx = frame->ctx};
  XLA_FFI_Error* error = frame->api->XLA_FFI_DeviceOrdinal_Get(&args);
  *out_device = args.device_ordinal;
  return error;
}
