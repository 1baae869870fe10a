// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Launching kernels from C. Internal; only in builds with CUDA.
#ifndef FIAR_RUNTIME_LAUNCH_H
#define FIAR_RUNTIME_LAUNCH_H

#include "block.h"
#include "fiar/status.h"
#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// Launches `algorithm` for args on stream (a cudaStream_t) of the current device. Asynchronous,
// capturable, allocates nothing, asks the driver only whether stream captures. 0 tokens launch
// nothing (but padding of the scales, of which there is none then). args->peers.slot_bytes must
// hold the call (fiar_kernel_slot_bytes) and fiar_kernel_supports must have said yes; both are
// checked. shape: NULL for fiar_kernel_shape's choice; benches and tests may force another.
fiar_status_t fiar_launch(fiar_algorithm_t algorithm, const fiar_kernel_args_t* args,
                          const fiar_device_caps_t* caps, const fiar_kernel_shape_t* shape,
                          void* stream);

// The local part alone, by LOCAL or, for what its vectors cannot serve, by ANY; and the quantiser
// by itself, of call->input, by QUANTIZE or ANY. flags: FIAR_LAUNCH_*.
fiar_status_t fiar_launch_local(const fiar_all_reduce_norm_params* call, uint32_t flags,
                                const fiar_device_caps_t* caps, void* stream);
fiar_status_t fiar_launch_quantize(const fiar_all_reduce_norm_params* call, uint32_t flags,
                                   const fiar_device_caps_t* caps, void* stream);

// A kernel of block.def with its argument struct, on `across` blocks for each of `rows` rows (both
// at least 1; the kernels go round where there are more than a launch has).
fiar_status_t fiar_launch_block(fiar_block_kernel_t kernel, int64_t across, int64_t rows,
                                uint32_t flags, const fiar_device_caps_t* caps, const void* args,
                                void* stream);

// Fills caps for the current device. Once, at creation: it asks the driver.
fiar_status_t fiar_launch_caps(fiar_device_caps_t* out_caps);

// Turns an error word (control->error or *host_error) into TIMEOUT and its sentence; OK for 0.
fiar_status_t fiar_launch_wait_status(uint64_t error, int32_t world, uint64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_RUNTIME_LAUNCH_H
