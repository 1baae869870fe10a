// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Two ranks, a thread each: codes = fp8(rms_norm(x0 + x1 + residual) * weight / scale), in one
// call. On the CPU as it stands; built with -DWITH_CUDA, on two GPUs.
#include <fiar/fiar.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef WITH_CUDA
#include <cuda_runtime_api.h>
#endif

enum { WORLD = 2, TOKENS = 4, HIDDEN = 64, COUNT = TOKENS * HIDDEN };

typedef struct arrays {  // of one rank, where it computes
  float input[COUNT], residual[COUNT], weight[HIDDEN], scale;
  _Alignas(16) unsigned char codes[COUNT];
} arrays_t;

static void check(fiar_status_t status) {
  if (status != FIAR_OK) {
    fprintf(stderr, "%s: %s\n", fiar_status_name(status), fiar_last_error());
    exit(1);
  }
}

static void* rank_main(void* comm) {
  arrays_t* a = NULL;
#ifdef WITH_CUDA
  cudaSetDevice(fiar_comm_device(comm));
  cudaMallocManaged((void**)&a, sizeof *a, cudaMemAttachGlobal);
#else
  a = malloc(sizeof *a);
#endif
  for (int i = 0; i < COUNT; ++i) {
    a->input[i] = (float)(i % 7 + fiar_comm_rank(comm));
    a->residual[i] = a->weight[i % HIDDEN] = 1.0f;
  }
  a->scale = 0.5f;
  const fiar_all_reduce_norm_params params = {.struct_size = sizeof params,
                                              .input = a->input,
                                              .residual = a->residual,
                                              .weight = a->weight,
                                              .scale = &a->scale,
                                              .residual_out = a->residual,
                                              .quant_out = a->codes,
                                              .tokens = TOKENS,
                                              .hidden = HIDDEN,
                                              .eps = 1e-6f,
                                              .dtype = FIAR_DTYPE_F32,
                                              .weight_dtype = FIAR_DTYPE_F32,
                                              .quant = FIAR_QUANT_FP8_STATIC};
  check(fiar_rt_all_reduce_norm(comm, &params, NULL));
#ifdef WITH_CUDA
  cudaDeviceSynchronize();
#endif
  printf("rank %d on %s: residual %g %g, codes %02x %02x\n", fiar_comm_rank(comm),
         fiar_comm_backend(comm), a->residual[0], a->residual[1], a->codes[0], a->codes[1]);
  fiar_comm_destroy(comm);
  return NULL;
}

int main(void) {
  fiar_comm_t* comms[WORLD];
  pthread_t other;
  check(fiar_comm_create_threads(WORLD, NULL, NULL, comms));
  pthread_create(&other, NULL, rank_main, comms[1]);
  rank_main(comms[0]);
  pthread_join(other, NULL);
}
