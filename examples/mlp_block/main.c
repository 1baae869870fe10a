// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A host of a compiled block: the fp8 MLP that JAX exported, as fiarc compiled it, with weights
// from a safetensors file. One process a rank: fiar-run -n 2 ./mlp_block FOLDER (or torchrun,
// mpirun, srun).
//
// FOLDER has inputs.safetensors, whole tensors of which each rank loads its part, and
// results_tp2.safetensors, what JAX computed. On a machine with GPUs the ranks compute there.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiar/fiar.h"
#include "mlp.h"  // written by fiarc

enum { TOKENS = 4, HIDDEN = 128, INNER = 256 / MLP_WORLD, VALUES = TOKENS * HIDDEN };

// What the block takes, in memory where the rank computes.
typedef struct model {
  fiar_comm_t* comm;
  void *attn, *residual, *norm_weight, *next_norm_weight, *x_scale, *w_scale, *wo, *w_gate, *w_up,
      *w_down, *packed;
  void *norm, *residual_out, *arena;
} model_t;

// One tensor, or the rank's part of its dimension `shard_dim`.
static int load(model_t* model, fiar_weights_t* file, const char* name, uint8_t dtype, int rank,
                int64_t rows, int64_t cols, int shard_dim, void** out) {
  const int64_t both[] = {rows, cols}, one[] = {cols};
  fiar_weight_params params = {.struct_size = sizeof params,
                               .name = name,
                               .shape = rank == 2 ? both : one,
                               .rank = rank,
                               .shard_dim = shard_dim,
                               .dtype = dtype};
  const uint64_t bytes = (uint64_t)(rows * cols) * (dtype == FIAR_ELEMENT_F32    ? 4
                                                    : dtype == FIAR_ELEMENT_E4M3 ? 1
                                                                                 : 2);
  return fiar_rt_arena_create(model->comm, 0, bytes, out) == FIAR_OK &&
         fiar_weights_load(model->comm, file, &params, *out) == FIAR_OK;
}

static int load_all(model_t* m, fiar_weights_t* file) {
  enum { BF16 = FIAR_ELEMENT_BF16, F32 = FIAR_ELEMENT_F32, E4M3 = FIAR_ELEMENT_E4M3, WHOLE = -1 };
  return load(m, file, "attn", BF16, 2, TOKENS, HIDDEN / MLP_WORLD, 1, &m->attn) &&
         load(m, file, "residual", BF16, 2, TOKENS, HIDDEN, WHOLE, &m->residual) &&
         load(m, file, "norm_weight", BF16, 1, 1, HIDDEN, WHOLE, &m->norm_weight) &&
         load(m, file, "next_norm_weight", BF16, 1, 1, HIDDEN, WHOLE, &m->next_norm_weight) &&
         load(m, file, "x_scale", F32, 0, 1, 1, WHOLE, &m->x_scale) &&
         load(m, file, "w_scale", F32, 0, 1, 1, WHOLE, &m->w_scale) &&
         load(m, file, "wo", BF16, 2, HIDDEN / MLP_WORLD, HIDDEN, 0, &m->wo) &&
         load(m, file, "w_gate", E4M3, 2, HIDDEN, INNER, 1, &m->w_gate) &&
         load(m, file, "w_up", E4M3, 2, HIDDEN, INNER, 1, &m->w_up) &&
         load(m, file, "w_down", BF16, 2, INNER, HIDDEN, 0, &m->w_down);
}

// The memory that the block works in, and its weights as it reads them.
static int prepare(model_t* m) {
  return fiar_rt_arena_create(m->comm, 0, mlp_arena_bytes(), &m->arena) == FIAR_OK &&
         fiar_rt_arena_create(m->comm, 0, mlp_packed_bytes(), &m->packed) == FIAR_OK &&
         fiar_rt_arena_create(m->comm, 0, VALUES * 2, &m->norm) == FIAR_OK &&
         fiar_rt_arena_create(m->comm, 0, VALUES * 2, &m->residual_out) == FIAR_OK &&
         mlp_pack(m->w_gate, m->w_up, m->packed, NULL, m->comm) == FIAR_OK;
}

static int step(model_t* m) {
  return mlp(TOKENS, m->attn, m->residual, m->norm_weight, m->next_norm_weight, m->x_scale,
             m->w_scale, m->wo, m->w_down, m->norm, m->residual_out, m->packed, m->arena,
             mlp_arena_bytes(), NULL, m->comm) == FIAR_OK &&
         fiar_rt_wait(m->comm, 0, NULL) == FIAR_OK;
}

// How many of the rank's values are not JAX's; -1 where they cannot be read.
static int differences(model_t* m, fiar_weights_t* file, const char* name, const void* have) {
  uint16_t mine[VALUES], jax[VALUES];
  void* wanted = NULL;
  int count = 0;
  const int good = load(m, file, name, FIAR_ELEMENT_BF16, 2, TOKENS, HIDDEN, -1, &wanted) &&
                   fiar_rt_read(m->comm, 0, jax, wanted, sizeof jax, NULL) == FIAR_OK &&
                   fiar_rt_read(m->comm, 0, mine, have, sizeof mine, NULL) == FIAR_OK;
  for (int i = 0; i < VALUES && good; ++i) {
    count += mine[i] != jax[i];
  }
  (void)fiar_rt_arena_destroy(m->comm, 0, wanted);
  return good ? count : -1;
}

static int run(model_t* m, const char* folder) {
  char path[4096];
  fiar_weights_t *inputs = NULL, *results = NULL;
  (void)snprintf(path, sizeof path, "%s/inputs.safetensors", folder);
  int good =
      fiar_weights_open(path, &inputs) == FIAR_OK && load_all(m, inputs) && prepare(m) && step(m);
  fiar_weights_close(inputs);
  (void)snprintf(path, sizeof path, "%s/results_tp%d.safetensors", folder, MLP_WORLD);
  good = good && fiar_weights_open(path, &results) == FIAR_OK;
  const int norm = good ? differences(m, results, "norm", m->norm) : -1;
  const int residual = good ? differences(m, results, "residual_out", m->residual_out) : -1;
  fiar_weights_close(results);
  if (norm < 0 || residual < 0) {
    fprintf(stderr, "mlp_block: %s\n", fiar_last_error());
    return 0;
  }
  printf("rank %d on %s: of %d values, %d of the norm and %d of the residual are not JAX's bits\n",
         fiar_comm_rank(m->comm), fiar_comm_backend(m->comm), VALUES, norm, residual);
  return 1;
}

int main(int argc, char** argv) {
  model_t model = {NULL};
  if (argc != 2) {
    fprintf(stderr, "usage: mlp_block FOLDER, as %d ranks\n", MLP_WORLD);
    return 2;
  }
  if (fiar_comm_create_from_env(NULL, &model.comm) != FIAR_OK) {
    fprintf(stderr, "mlp_block: no communicator: %s\n", fiar_last_error());
    return 1;
  }
  const int good = run(&model, argv[1]);
  void* const memory[] = {
      model.attn,         model.residual, model.norm_weight, model.next_norm_weight,
      model.x_scale,      model.w_scale,  model.wo,          model.w_gate,
      model.w_up,         model.w_down,   model.packed,      model.norm,
      model.residual_out, model.arena};
  for (size_t i = 0; i < sizeof memory / sizeof *memory; ++i) {
    (void)fiar_rt_arena_destroy(model.comm, 0, memory[i]);
  }
  fiar_comm_destroy(model.comm);
  return good ? 0 : 1;
}
