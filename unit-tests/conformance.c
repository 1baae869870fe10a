// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// conformance ROW processes|threads RANKS: the whole suite on a row of conformance.def. Exit status
// 77: this machine cannot run it, and why is printed.
#include "conformance.h"

#include <stdlib.h>
#include <string.h>

#include "ranks.h"

static const conformance_backend_t backends[] = {
#define X(name, backend, memory, after, before, f32, any_order) \
  {#name, #backend, &conformance_memory_##memory, after, before, f32, any_order},
#include "conformance.def"
#undef X
};

static const conformance_backend_t* find_backend(const char* name) {
  for (size_t i = 0; i < sizeof backends / sizeof *backends; ++i) {
    if (strcmp(backends[i].name, name) == 0) {
      return &backends[i];
    }
  }
  return NULL;
}

static int suite(const ranks_self_t* self) {
  char name[32];
  size_t step;
  RANKS_CHECK(sscanf(self->argument, "%31s %zu", name, &step) == 2 && step > 0, "%s",
              self->argument);
  const conformance_backend_t* backend = find_backend(name);
  fiar_comm_t* comm;
  RANKS_OK(ranks_comm(self, &comm));
  backend->memory->use(fiar_comm_device(comm));
  const size_t count = conformance_cases(self->world, NULL, 0);
  RANKS_CHECK(count > 0, "no cases");
  // Large enough for every case, so that none has to grow it while a graph is captured.
  fiar_workspace_t* workspace = NULL;
  RANKS_OK(fiar_workspace_create(comm, backend->backend, 1024, 4096, FIAR_DTYPE_F32, &workspace));
  conformance_case_t* cases = calloc(count, sizeof *cases);
  RANKS_CHECK(cases, "no memory");
  (void)conformance_cases(self->world, cases, count);
  int wrong = 0;
  size_t refused = 0, ran = 0;
  for (size_t i = 0; i < count && wrong < 10; i += step, ++ran) {
    int one_refused;
    wrong += conformance_check(backend, comm, &cases[i], i, &one_refused);
    refused += one_refused != 0;
  }
  free(cases);
  wrong += conformance_check_plain(backend, comm);
  fiar_workspace_destroy(workspace);
  if (!self->comm) {
    fiar_comm_destroy(comm);
  }
  if (self->rank == 0) {
    (void)printf("%s: %zu cases on %d ranks, %zu refused\n", backend->name, ran, self->world,
                 refused);
  }
  RANKS_CHECK(refused < ran, "every case was refused: %s", fiar_last_error());
  return wrong != 0;
}

int main(int argc, char** argv) {
  static const ranks_body_t bodies[] = {RANKS_BODY(suite)};
  ranks_main(bodies, 1);
  const conformance_backend_t* backend = argc == 4 || argc == 5 ? find_backend(argv[1]) : NULL;
  if (!backend) {
    (void)fprintf(stderr, "usage: conformance ROW processes|threads RANKS [STEP]\n");
    return 2;
  }
  const int32_t world = atoi(argv[3]);
  const char* reason = backend->memory->unavailable(world);
  if (reason) {
    (void)printf("skipped: %s\n", reason);
    return 77;
  }
  char forced[64], argument[64];
  (void)snprintf(argument, sizeof argument, "%s %s", backend->name, argc == 5 ? argv[4] : "1");
  (void)snprintf(forced, sizeof forced, "FIAR_ALLREDUCE_BACKEND=%s", backend->backend);
  const char* const environment[] = {forced, NULL};
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = backend->memory->device;
  options.backend = backend->backend;
  const ranks_run_t run = {.body = "suite",
                           .argument = argument,
                           .world = world,
                           .threads = strcmp(argv[2], "threads") == 0,
                           .timeout_ms = 600000,
                           .environment = environment,
                           .options = &options};
  return ranks_run(&run, NULL) == 0 ? 0 : 1;
}
