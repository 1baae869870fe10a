// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The runtime for hosts that embed it: communicators, workspaces, the plain all-reduce and the log.
// Unstable until 1.0. Compiled models need only fiar/abi.h; docs/runtime.md is the manual.
//
// Collective functions are marked so: every rank of the communicator calls them, in the same order.
// Each of their waits is bounded (options.timeout_ms); a rank that does not come gives TIMEOUT, one
// that has ended PEER_LOST, and both texts name it. After a failed collective call the communicator
// only fails: destroy it. A communicator is used by one thread at a time; different ones are
// independent.
#ifndef FIAR_RUNTIME_H
#define FIAR_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fiar/abi.h"
#include "fiar/status.h"
#include "fiar/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FIAR_MAX_WORLD 64  // ranks a communicator; `host` serves up to 16

// ---- Communicators

#define FIAR_DEVICE_AUTO \
  (-1)  // the launcher's local rank, or the thread's current device; host if none
#define FIAR_DEVICE_NONE (-2)  // compute on the host, also where there is a GPU

// Start from FIAR_COMM_OPTIONS_DEFAULT. Functions take NULL for the defaults.
typedef struct fiar_comm_options {
  uint32_t struct_size;  // sizeof, as the caller was built
  int32_t device;        // CUDA device ordinal, FIAR_DEVICE_AUTO or FIAR_DEVICE_NONE
  int32_t timeout_ms;    // bound of every wait; 0: FIAR_TIMEOUT_MS of the environment
  const char* backend;  // "auto" or a backend's name; NULL: FIAR_ALLREDUCE_BACKEND. All ranks alike
} fiar_comm_options_t;
#define FIAR_COMM_OPTIONS_DEFAULT \
  { sizeof(fiar_comm_options_t), FIAR_DEVICE_AUTO, 0, NULL }

// Collective. Rank and size from RANK, WORLD_SIZE, LOCAL_RANK, ... as torchrun and fiar-run set
// them, or from what mpirun, srun and MPICH's launchers set; ranks of one host. Without any of
// them: a group of one. docs/env.md lists the variables and how two jobs are told apart.
FIAR_API fiar_status_t fiar_comm_create_from_env(const fiar_comm_options_t* options,
                                                 fiar_comm_t** out_comm);

// Gathers `bytes` from every rank into all[world * bytes], in rank order, on host memory; `mine`
// may be this rank's place in `all`. Returns 0, or anything else for failure. It bounds its own
// waits.
typedef int (*fiar_all_gather_fn)(void* context, const void* mine, void* all, size_t bytes);

// Collective. The callback is called during creation only where all ranks share a host; else
// whenever ranks exchange setup data. `context` outlives the communicator.
FIAR_API fiar_status_t fiar_comm_create_from_all_gather(int32_t rank, int32_t world,
                                                        fiar_all_gather_fn all_gather,
                                                        void* context,
                                                        const fiar_comm_options_t* options,
                                                        fiar_comm_t** out_comm);

// Ranks as threads of one process: makes all `world` communicators at once, out_comms[rank]. Not
// collective. devices[world] are the ranks' CUDA devices, or NULL: options->device decides for all,
// FIAR_DEVICE_AUTO giving rank r device r where there are enough.
FIAR_API fiar_status_t fiar_comm_create_threads(int32_t world, const int32_t* devices,
                                                const fiar_comm_options_t* options,
                                                fiar_comm_t** out_comms);

// Collective. Takes rank, size and device from the caller's ncclComm_t, which stays the caller's
// and outlives the communicator. UNAVAILABLE in a build without CUDA.
FIAR_API fiar_status_t fiar_comm_create_from_nccl(void* nccl_comm,
                                                  const fiar_comm_options_t* options,
                                                  fiar_comm_t** out_comm);

// Frees it. Workspaces and fiar_allreduce objects made on it are destroyed before. A rank that
// still waits for this one gets PEER_LOST. Collective where the ranks are processes and calls went
// through trtllm or mnnvl (they unmap each other's memory; a rank that stays away costs the others
// the time bound) or nccl (NCCL ends its communicators together), else each rank's own affair. NULL
// is harmless.
FIAR_API void fiar_comm_destroy(fiar_comm_t* comm);

// Of NULL: -1, 0, FIAR_DEVICE_NONE and 0.
FIAR_API int32_t fiar_comm_rank(const fiar_comm_t* comm);
FIAR_API int32_t fiar_comm_world(const fiar_comm_t* comm);
FIAR_API int32_t fiar_comm_device(const fiar_comm_t* comm);  // FIAR_DEVICE_NONE on the host
FIAR_API int32_t fiar_comm_timeout_ms(const fiar_comm_t* comm);

// Name of the backend that served the latest call ("host", "trtllm", ...); "none" before the first
// and of NULL.
FIAR_API const char* fiar_comm_backend(const fiar_comm_t* comm);

// OK, or what has befallen the group outside a call: a rank that ended (PEER_LOST), a kernel that
// ran into its time bound (TIMEOUT). Does not wait. May be called from any thread.
FIAR_API fiar_status_t fiar_comm_async_error(fiar_comm_t* comm);

// ---- Sizes

// Bytes of params->quant_out and params->scales_out, padding included; 0 where the format has none.
// Only hidden, tokens, quant, group_size, scale_type and scale_layout are read.
FIAR_API fiar_status_t fiar_codes_bytes(const fiar_all_reduce_norm_params* params,
                                        size_t* out_bytes);
FIAR_API fiar_status_t fiar_scales_bytes(const fiar_all_reduce_norm_params* params,
                                         size_t* out_bytes);

// ---- Workspaces
//
// What a backend holds for a communicator: peer memory, flags, staging. Calls make theirs on first
// use; these functions make it beforehand (before a CUDA graph is captured, say) and keep it alive.

typedef struct fiar_workspace fiar_workspace_t;

// Collective. The workspace for up to [tokens, hidden] of dtype on the backend that the options
// name: the existing one where it is large enough, else it grows, by agreement of all ranks
// (MISMATCH where they ask for different things). A failure is agreed, too, and remembered: later
// calls return it at once. Destroy what you got.
FIAR_API fiar_status_t fiar_workspace_get(fiar_comm_t* comm, int64_t tokens, int64_t hidden,
                                          uint8_t dtype, fiar_workspace_t** out_workspace);

// The same for calls that quantise: always on trtllm, or UNSUPPORTED. Shares the workspace of
// fiar_workspace_get where that is trtllm's, and the other way round.
FIAR_API fiar_status_t fiar_workspace_get_quant(fiar_comm_t* comm, int64_t tokens, int64_t hidden,
                                                uint8_t dtype, fiar_workspace_t** out_workspace);

// The same on a named backend.
FIAR_API fiar_status_t fiar_workspace_create(fiar_comm_t* comm, const char* backend, int64_t tokens,
                                             int64_t hidden, uint8_t dtype,
                                             fiar_workspace_t** out_workspace);

// Gives it back; the last holder's call frees it. Holders may share one workspace. Collective, as
// it was made: ranks that are processes unmap each other's memory together. NULL is harmless.
FIAR_API void fiar_workspace_destroy(fiar_workspace_t* workspace);

// Of NULL: "none" and 0.
FIAR_API const char* fiar_workspace_backend(const fiar_workspace_t* workspace);
FIAR_API size_t fiar_workspace_bytes(const fiar_workspace_t* workspace);  // on this rank

// ---- The plain all-reduce, with a gate

typedef struct fiar_allreduce fiar_allreduce_t;

// A tensor as the caller holds it; shape and strides in elements, strides NULL = contiguous.
typedef struct fiar_tensor {
  const void* data;
  const int64_t* shape;
  const int64_t* strides;
  int32_t rank;
  int32_t device;  // CUDA device ordinal, or FIAR_DEVICE_NONE
  uint8_t dtype;
} fiar_tensor_t;

// Collective. Succeeds also where all-reduce through fiar is not to be had; it is then disabled,
// for a reason that is logged once: no backend for the device, one rank only, or no size limit
// known for this many ranks. The communicator outlives it.
FIAR_API fiar_status_t fiar_allreduce_create(fiar_comm_t* comm, fiar_allreduce_t** out_allreduce);

// NULL while enabled. Valid until the object is destroyed.
FIAR_API const char* fiar_allreduce_disabled_reason(const fiar_allreduce_t* allreduce);

// Collective on first use, when the workspace is made for hidden and dtype: max tokens = the size
// limit / (hidden * element size). True where run() will take it: enabled, on the communicator's
// device, contiguous, two-dimensional, of the first use's hidden and dtype, no more than max
// tokens. Else *out_reason (where not NULL) says why not, until the next call on this object.
FIAR_API bool fiar_allreduce_should_use(fiar_allreduce_t* allreduce, const fiar_tensor_t* input,
                                        const char** out_reason);

// Collective. out = sum over ranks of in, both [tokens, hidden] of the first use's dtype.
FIAR_API fiar_status_t fiar_allreduce_run(fiar_allreduce_t* allreduce, const void* in, void* out,
                                          int64_t tokens, int64_t hidden, void* stream);

// As fiar_workspace_destroy. NULL is harmless. A workspace shared with others stays with them.
FIAR_API void fiar_allreduce_destroy(fiar_allreduce_t* allreduce);

// ---- Log

typedef enum fiar_log_level {
  FIAR_LOG_OFF = 0,
  FIAR_LOG_WARN = 1,
  FIAR_LOG_INFO = 2,
  FIAR_LOG_TRACE = 3
} fiar_log_level_t;

// Called with one line, without newline; from any thread, one call at a time. It may call fiar;
// what those calls would log is dropped.
typedef void (*fiar_log_sink_fn)(void* context, fiar_log_level_t level, const char* subsystem,
                                 const char* line);

// Sends the log there instead of FIAR_DEBUG_FILE or stderr, from `level` on; NULL restores them.
FIAR_API void fiar_set_log_sink(fiar_log_sink_fn sink, void* context, fiar_log_level_t level);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_RUNTIME_H
