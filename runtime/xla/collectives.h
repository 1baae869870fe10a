// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// XLA's collectives extension (version 0.1, FFI interface 0.4), declared here as far as it is used,
// so that a library built with older headers serves newer XLAs too. Internal.
#ifndef FIAR_XLA_COLLECTIVES_H
#define FIAR_XLA_COLLECTIVES_H

#include <stddef.h>
#include <stdint.h>

#include "xla/ffi/api/c_api.h"

#define FIAR_XLA_EXTENSION_COLLECTIVES 129

typedef struct fiar_xla_replica_group {
  const int64_t* ids;
  size_t size;
} fiar_xla_replica_group_t;

// Arguments of both functions; `communicator` is the result of get and unused by request.
typedef struct fiar_xla_communicator_args {
  size_t struct_size;
  void* extension_start;
  int group_mode;
  const fiar_xla_replica_group_t* groups;
  size_t groups_count;
  int64_t communication_id;
  void* communicator;  // an ncclComm_t on CUDA; XLA's
} fiar_xla_communicator_args_t;

typedef struct fiar_xla_collectives fiar_xla_collectives_t;
typedef XLA_FFI_Error* fiar_xla_communicator_fn(const fiar_xla_collectives_t* self,
                                                fiar_xla_communicator_args_t* args);

struct fiar_xla_collectives {
  size_t struct_size;
  int64_t type;
  int32_t major_version, minor_version;
  const void* next;
  void* state;
  fiar_xla_communicator_fn* request;  // stage Prepare
  fiar_xla_communicator_fn* get;      // stages Initialize and Execute
};

// The entry of XLA_FFI_Api that follows those of interface 0.3, and its arguments.
typedef struct fiar_xla_find_extension_args {
  size_t struct_size;
  void* extension_start;
  void* context;
  int64_t type;
  const void* extension;  // out
} fiar_xla_find_extension_args_t;
typedef XLA_FFI_Error* fiar_xla_find_extension_fn(fiar_xla_find_extension_args_t* args);

#define FIAR_XLA_FIND_EXTENSION_OFFSET \
  (offsetof(XLA_FFI_Api, XLA_FFI_DeviceOrdinal_Get) + sizeof(void*))

#if XLA_FFI_API_MINOR >= 4
#include "xla/ffi/api/collectives_c_api.h"
_Static_assert(FIAR_XLA_FIND_EXTENSION_OFFSET ==
                   offsetof(XLA_FFI_Api, XLA_FFI_InvokeContext_FindExtension),
               "XLA moved FindExtension");
_Static_assert(XLA_FFI_InvokeContext_FindExtension_Args_STRUCT_SIZE ==
                   sizeof(fiar_xla_find_extension_args_t),
               "XLA changed FindExtension's arguments");
_Static_assert(XLA_FFI_Communicator_Get_Args_STRUCT_SIZE == sizeof(fiar_xla_communicator_args_t),
               "XLA changed the communicator's arguments");
_Static_assert(offsetof(XLA_FFI_Collectives_Extension, get_communicator) ==
                   offsetof(fiar_xla_collectives_t, get),
               "XLA changed the collectives extension");
#endif

#endif  // FIAR_XLA_COLLECTIVES_H
