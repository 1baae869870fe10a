// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the runtime's parts know of one another: the problem and the capabilities that decide the
// backend, the backend interface, and what a communicator offers to backends. Internal.
#ifndef FIAR_RUNTIME_IMPL_H
#define FIAR_RUNTIME_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fiar/abi.h"
#include "fiar/runtime.h"

// ---- What is asked, and what there is

typedef enum fiar_op {
  FIAR_OP_ALL_REDUCE,
  FIAR_OP_ALL_REDUCE_NORM,
  FIAR_OP_ALL_GATHER_ROWS
} fiar_op_t;

// A call without its pointers: the same on every rank, so that all ranks decide alike.
typedef struct fiar_problem {
  fiar_op_t op;
  int64_t tokens, hidden;
  int64_t input_stride, residual_stride;  // elements, never 0
  int32_t group_size;
  uint8_t dtype, weight_dtype, quant, scale_layout, scale_type, residual_layout;
  bool quantises;  // quant_out or scales_out is wanted
} fiar_problem_t;

// What the ranks have, agreed when the communicator is made: each field is the least over the
// ranks.
typedef struct fiar_caps {
  int32_t world;
  int32_t sm;  // compute capability, 90 for 9.0; 0: the ranks compute on the host
  int32_t device_memory_mib;
  uint8_t one_host, one_process;
  uint8_t peer_access;   // every device maps every other one's memory
  uint8_t nccl;          // libnccl opens
  uint8_t nccl_windows;  // and has symmetric windows with peer pointers
  uint8_t multicast;     // devices and fabric have NVLink multicast, and the environment allows it
} fiar_caps_t;

// ---- Backends

typedef struct fiar_backend {
  const char* name;

  // NULL: it can serve. Else why not: a static phrase ("needs CUDA devices"). Pure.
  const char* (*refuses)(const fiar_problem_t* problem, const fiar_caps_t* caps);

  // Bytes of workspace that a rank needs for the problem. Pure. A workspace opened with `bytes`
  // serves every problem whose size here is no more, whatever its shape and dtype.
  size_t (*workspace_size)(const fiar_problem_t* problem, const fiar_caps_t* caps);

  // Collective. On failure it has freed what it took; the caller agrees on the outcome with the
  // other ranks (and closes where another rank failed).
  fiar_status_t (*open)(fiar_comm_t* comm, size_t bytes, void** out_state);

  // Collective where the backend needs it, each wait bounded; waits for its own device's work
  // first. Accepts NULL.
  void (*close)(void* state);

  // Collective, in stream order. params are checked and complete: full size, strides set, tokens >
  // 0, weight_dtype set, residual_out / norm_out alias only as the ABI allows. A plain all-reduce
  // has sum_out alone, which may be input.
  fiar_status_t (*run)(void* state, const fiar_all_reduce_norm_params* params, void* stream);

  // Collective, in stream order. NULL: the backend refuses FIAR_OP_ALL_GATHER_ROWS.
  fiar_status_t (*all_gather_rows)(void* state, const void* rows, void* out, int64_t tokens,
                                   int64_t hidden, uint8_t dtype, void* stream);

  // Optional (NULL: never capturing, no error). Is the stream being captured into a graph, so that
  // nothing may be opened? What happened on the device since the last call?
  bool (*capturing)(void* stream);
  fiar_status_t (*async_error)(void* state);
} fiar_backend_t;

// The backends of this build in order, and tests' way to put others in their place (NULL restores).
const fiar_backend_t* const* fiar_backend_table(size_t* out_count);
void fiar_backend_table_replace(const fiar_backend_t* const* backends, size_t count);

// Pure. The index of the backend for the problem: `forced` by name, or the first that serves for
// "auto". Bit i of `failed`: backend i could not be opened. INVALID_ARGUMENT for an unknown name,
// UNSUPPORTED where the forced one, or none, can serve; the text has every reason.
fiar_status_t fiar_select(const fiar_backend_t* const* backends, size_t count,
                          const fiar_problem_t* problem, const fiar_caps_t* caps,
                          const char* forced, uint32_t failed, size_t* out_index);

// ---- What a communicator offers to backends
//
// Small messages between the ranks on host memory. Every wait is bounded by fiar_comm_timeout_ms
// and ends early when a rank is seen to have ended. Also rank, world, device of fiar/runtime.h.

// all[world * bytes], in rank order. mine may lie in all at its place.
fiar_status_t fiar_comm_all_gather(fiar_comm_t* comm, const void* mine, void* all, size_t bytes);

// Returns on every rank after all have called it.
fiar_status_t fiar_comm_barrier(fiar_comm_t* comm);

// Every rank passes its own status (with its text as the last error), and all return the same: OK
// where all are OK, else that of the lowest failing rank, with its text.
fiar_status_t fiar_comm_vote(fiar_comm_t* comm, fiar_status_t mine);

// MISMATCH, naming `what` and two differing values with their ranks, unless all ranks pass the
// same.
fiar_status_t fiar_comm_same(fiar_comm_t* comm, const char* what, int64_t value);
fiar_status_t fiar_comm_same_word(fiar_comm_t* comm, const char* what,
                                  const char* word);  // of up to 15 letters

// MISMATCH, naming the field and two differing values with their ranks, unless all ranks make the
// same call. On devices only calls unlike those asked about before are asked about.
fiar_status_t fiar_comm_same_call(fiar_comm_t* comm, const fiar_all_reduce_norm_params* params);

typedef struct fiar_peer {
  int64_t pid;
  int64_t host;      // equal: the same host
  int32_t device;    // as that rank numbers its devices
  int32_t reserved;  // 0
} fiar_peer_t;
const fiar_peer_t* fiar_comm_peer(const fiar_comm_t* comm, int32_t rank);
const fiar_caps_t* fiar_comm_caps(const fiar_comm_t* comm);

// The ncclComm_t that the communicator was made from, or NULL.
void* fiar_comm_nccl(const fiar_comm_t* comm);
void fiar_comm_set_nccl(fiar_comm_t* comm, void* nccl_comm);

// Where the ops around the fused call keep what they need on the communicator's device.
void** fiar_comm_compute(fiar_comm_t* comm);

// ---- What runtime/cuda gives to the communicator
#if FIAR_HAVE_CUDA
// The device for FIAR_DEVICE_AUTO: local_rank's where there are enough, else the thread's current
// one; FIAR_DEVICE_NONE without a driver or devices. local_rank -1: not known.
int32_t fiar_cuda_auto_device(int32_t local_rank);
// Whether the device, if one is asked for (>= 0), is there.
fiar_status_t fiar_cuda_check_device(int32_t device);
// Collective, after the peers are known: fills in this rank's view of sm and the fields below it.
fiar_status_t fiar_cuda_probe(fiar_comm_t* comm, fiar_caps_t* caps);
// Puts an empty node into the graph that the stream is captured to; without a capture, does
// nothing.
fiar_status_t fiar_cuda_capture_nothing(void* stream);
// Copies this rank's rows, rank, rank + world, ... of full [tokens], each row_bytes long, in stream
// order. Device memory.
fiar_status_t fiar_cuda_take_rows(fiar_comm_t* comm, const void* full, void* rows, int64_t tokens,
                                  size_t row_bytes, void* stream);
#endif

// ---- Workspaces, as entry.c uses them

// The opened state of the backend that serves the problem, made or grown if need be. Collective
// when it opens one. Refuses to open while the stream is captured.
fiar_status_t fiar_workspace_for_call(fiar_comm_t* comm, const fiar_problem_t* problem,
                                      void* stream, const fiar_backend_t** out_backend,
                                      void** out_state);

// ---- Validation ----

// Checks the caller's params against the ABI and the numerics, and fills in the complete copy that
// backends get.
fiar_status_t fiar_params_check(const fiar_all_reduce_norm_params* params, int32_t world,
                                fiar_all_reduce_norm_params* out_params);
fiar_status_t fiar_shape_check(int64_t tokens, int64_t hidden, uint8_t dtype);

fiar_problem_t fiar_problem_of(const fiar_all_reduce_norm_params* checked);
// Any fused call of this shape; quantises: one with a quantiser.
fiar_problem_t fiar_problem_of_shape(int64_t tokens, int64_t hidden, uint8_t dtype, bool quantises);

#endif  // FIAR_RUNTIME_IMPL_H
