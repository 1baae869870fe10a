// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The ops around the fused call on a device.
#include "cuda/compute.h"

#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "block/block.h"
#include "host/reference.h"

// ---- Life ----

static fiar_status_t compute_open(fiar_comm_t* comm, fiar_cuda_compute_t** out_compute) {
  void** place = fiar_comm_compute(comm);
  const fiar_env_t* env = NULL;
  *out_compute = *place;
  if (*place) {
    return FIAR_OK;
  }
  FIAR_TRY(fiar_env_get(&env));
  fiar_cuda_compute_t* compute = calloc(1, sizeof *compute);
  if (!compute) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *compute);
  }
  compute->device = fiar_comm_device(comm);
  const fiar_status_t status = fiar_launch_caps(&compute->caps);
  if (status != FIAR_OK) {
    free(compute);
    return status;
  }
  // It came with compute capability 9.0.
  compute->flags = compute->caps.sm >= 90 && strcmp(env->pdl, "on") == 0 ? FIAR_LAUNCH_PDL : 0;
  *place = *out_compute = compute;
  return FIAR_OK;
}

void fiar_cuda_compute_close(void* state) {
  fiar_cuda_compute_t* compute = state;
  if (!compute) {
    return;
  }
  int previous = compute->device;
  (void)fiar_cuda_enter(compute->device, &previous);
  (void)cudaDeviceSynchronize();
  fiar_cuda_matmul_close(compute->matmul);
  fiar_cuda_leave(compute->device, previous);
  free(compute);
}

// Makes the communicator's device current around `body`, which sees `compute` and sets `status`.
#define ON_DEVICE(comm, body)                                             \
  int on_device_previous = 0;                                             \
  fiar_cuda_compute_t* compute = NULL;                                    \
  FIAR_TRY(fiar_cuda_enter(fiar_comm_device(comm), &on_device_previous)); \
  fiar_status_t status = compute_open(comm, &compute);                    \
  status = status == FIAR_OK ? (body) : status;                           \
  fiar_cuda_leave(fiar_comm_device(comm), on_device_previous);            \
  return status

#define CHECK(field) \
  FIAR_TRY(fiar_cuda_check_pointer(&compute->checked, compute->device, #field, params->field))

// ---- Calls ----

static fiar_status_t run_matmul(fiar_cuda_compute_t* compute, const fiar_matmul_params* params,
                                void* stream) {
  CHECK(a);
  CHECK(b);
  CHECK(out);
  CHECK(bias);
  CHECK(a_scale);
  CHECK(b_scale);
  CHECK(a_scales);
  CHECK(b_scales);
  CHECK(workspace);
  return fiar_cuda_matmul_run(compute, params, stream);
}

static fiar_status_t cuda_matmul(fiar_comm_t* comm, const fiar_matmul_params* params,
                                 void* stream) {
  ON_DEVICE(comm, run_matmul(compute, params, stream));
}

static fiar_status_t run_norm(fiar_cuda_compute_t* compute,
                              const fiar_all_reduce_norm_params* params, void* stream) {
  FIAR_TRY(fiar_cuda_check_pointers(&compute->checked, compute->device, params));
  return fiar_launch_local(params, compute->flags, &compute->caps, stream);
}

static fiar_status_t cuda_rms_norm(fiar_comm_t* comm, const fiar_all_reduce_norm_params* params,
                                   void* stream) {
  ON_DEVICE(comm, run_norm(compute, params, stream));
}

static fiar_status_t run_quantize(fiar_cuda_compute_t* compute,
                                  const fiar_all_reduce_norm_params* params, void* stream) {
  FIAR_TRY(fiar_cuda_check_pointers(&compute->checked, compute->device, params));
  return fiar_launch_quantize(params, compute->flags, &compute->caps, stream);
}

static fiar_status_t cuda_quantize(fiar_comm_t* comm, const fiar_all_reduce_norm_params* params,
                                   void* stream) {
  ON_DEVICE(comm, run_quantize(compute, params, stream));
}

// FIAR_BLOCK_WIDTH where the bits of pointers, rows and strides allow it: pointers has those of all
// pointers, counts those of all numbers of elements.
static int32_t width_of(uintptr_t pointers, int64_t counts) {
  return pointers % 16 == 0 && counts % FIAR_BLOCK_WIDTH == 0 ? FIAR_BLOCK_WIDTH : 1;
}

static int64_t blocks_across(int64_t cols, int32_t width) {
  const int64_t block = (int64_t)FIAR_BLOCK_THREADS * width;
  return (cols + block - 1) / block;
}

static fiar_status_t run_activate(fiar_cuda_compute_t* compute, const fiar_activate_params* params,
                                  void* stream) {
  CHECK(gate);
  CHECK(up);
  CHECK(out);
  CHECK(quant_out);
  CHECK(scale);
  // A short call takes as long as one thread's instructions, on few multiprocessors where threads
  // are wide: up to some two elements a thread that the device holds, narrow ones are faster.
  enum { NARROW = 4096 };  // elements a multiprocessor
  fiar_activate_args_t args = {.call = *params, .width = 1};
  if (params->rows * params->cols > (int64_t)compute->caps.sm_count * NARROW) {
    args.width = width_of((uintptr_t)params->gate | (uintptr_t)params->up | (uintptr_t)params->out |
                              (uintptr_t)params->quant_out,
                          params->cols | params->gate_stride | params->up_stride |
                              (params->out ? params->out_stride : 0));
  }
  return fiar_launch_block(FIAR_BLOCK_ACTIVATE, blocks_across(params->cols, args.width),
                           params->rows, compute->flags, &compute->caps, &args, stream);
}

static fiar_status_t cuda_activate(fiar_comm_t* comm, const fiar_activate_params* params,
                                   void* stream) {
  ON_DEVICE(comm, run_activate(compute, params, stream));
}

// Codes of four bits, two a byte: rows of them are whole bytes, and only ever moved.
static void as_bytes(fiar_copy_params* params) {
  if (params->in_dtype == FIAR_ELEMENT_E2M1) {
    params->in_dtype = params->out_dtype = FIAR_ELEMENT_BYTE;
    params->cols /= 2;
    params->input_stride /= 2;
    params->out_stride /= 2;
  }
}

static fiar_status_t run_copy(fiar_cuda_compute_t* compute, const fiar_copy_params* params,
                              void* stream) {
  CHECK(input);
  CHECK(out);
  fiar_copy_args_t args = {.call = *params, .width = 1};
  if (params->out_layout != FIAR_SCALE_LAYOUT_LINEAR) {
    const fiar_all_reduce_norm_params scales = fiar_reference_copy_scales(params);
    const int64_t words = (int64_t)fiar_reference_scales_bytes(&scales) / 4;
    return fiar_launch_block(FIAR_BLOCK_SWIZZLE, blocks_across(words, 1), 1, compute->flags,
                             &compute->caps, &args, stream);
  }
  if (params->transposed) {
    return fiar_launch_block(FIAR_BLOCK_TRANSPOSE,
                             (params->cols + FIAR_BLOCK_TILE - 1) / FIAR_BLOCK_TILE,
                             (params->rows + FIAR_BLOCK_TILE - 1) / FIAR_BLOCK_TILE, compute->flags,
                             &compute->caps, &args, stream);
  }
  as_bytes(&args.call);
  if (args.call.input_stride == args.call.cols && args.call.out_stride == args.call.cols) {
    args.call.cols *= args.call.rows;  // one long row
    args.call.input_stride = args.call.out_stride = args.call.cols;
    args.call.rows = 1;
  }
  args.width = width_of((uintptr_t)params->input | (uintptr_t)params->out,
                        args.call.cols | args.call.input_stride | args.call.out_stride);
  return fiar_launch_block(FIAR_BLOCK_CONVERT, blocks_across(args.call.cols, args.width),
                           args.call.rows, compute->flags, &compute->caps, &args, stream);
}

static fiar_status_t cuda_copy(fiar_comm_t* comm, const fiar_copy_params* params, void* stream) {
  ON_DEVICE(comm, run_copy(compute, params, stream));
}

// ---- Memory ----

static fiar_status_t memory_create(size_t bytes, int32_t device, void** out_memory) {
  const cudaError_t error = cudaMalloc(out_memory, bytes);
  if (error != cudaSuccess) {
    *out_memory = NULL;
    return fiar_annotate(fiar_cuda_fail(error, "cudaMalloc"), "an arena of %zu bytes on device %d",
                         bytes, device);
  }
  cudaError_t zeroed = cudaMemset(*out_memory, 0, bytes);
  zeroed = zeroed == cudaSuccess ? cudaDeviceSynchronize() : zeroed;
  if (zeroed != cudaSuccess) {
    (void)cudaFree(*out_memory);
    *out_memory = NULL;
    return fiar_cuda_fail(zeroed, "cudaMemset");
  }
  return FIAR_OK;
}

static fiar_status_t cuda_create(fiar_comm_t* comm, size_t bytes, void** out_memory) {
  ON_DEVICE(comm, memory_create(bytes, compute->device, out_memory));
}

// The pages may come to be another device's.
static fiar_status_t memory_destroy(fiar_cuda_compute_t* compute, void* memory) {
  memset(&compute->checked, 0, sizeof compute->checked);
  FIAR_CUDA_TRY(cudaDeviceSynchronize());
  FIAR_CUDA_TRY(cudaFree(memory));
  return FIAR_OK;
}

static fiar_status_t cuda_destroy(fiar_comm_t* comm, void* memory) {
  ON_DEVICE(comm, memory_destroy(compute, memory));
}

static fiar_status_t move(void* to, const void* from, size_t bytes, enum cudaMemcpyKind kind,
                          void* stream) {
  FIAR_CUDA_TRY(cudaMemcpyAsync(to, from, bytes, kind, stream));
  FIAR_CUDA_TRY(cudaStreamSynchronize(stream));
  return FIAR_OK;
}

static fiar_status_t cuda_write(fiar_comm_t* comm, void* to, const void* from_host, size_t bytes,
                                void* stream) {
  ON_DEVICE(comm, move(to, from_host, bytes, cudaMemcpyHostToDevice, stream));
}

static fiar_status_t cuda_read(fiar_comm_t* comm, void* to_host, const void* from, size_t bytes,
                               void* stream) {
  ON_DEVICE(comm, move(to_host, from, bytes, cudaMemcpyDeviceToHost, stream));
}

static fiar_status_t synchronise(void* stream) {
  FIAR_CUDA_TRY(cudaStreamSynchronize(stream));
  return FIAR_OK;
}

static fiar_status_t cuda_wait(fiar_comm_t* comm, void* stream) {
  ON_DEVICE(comm, synchronise(stream));
}

const fiar_compute_t fiar_compute_cuda = {
    .matmul = cuda_matmul,
    .rms_norm = cuda_rms_norm,
    .quantize = cuda_quantize,
    .activate = cuda_activate,
    .copy = cuda_copy,
    .create = cuda_create,
    .destroy = cuda_destroy,
    .write = cuda_write,
    .read = cuda_read,
    .wait = cuda_wait,
};
