// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ranks as threads, as forked processes, or as a launcher started them. All three give `body` a
// communicator for setup data; everything else is the same.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiar_bench_rank.h"

static int count_devices(const bench_options_t* options) {
#if FIAR_HAVE_CUDA
  if (strcmp(options->backend, "host") != 0) {
    return bench_cuda_count();
  }
#endif
  (void)options;
  return 0;
}

static fiar_comm_options_t team_options(bool on_host) {
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = on_host ? FIAR_DEVICE_NONE : FIAR_DEVICE_AUTO;
  return options;
}

// The rank's whole life, on its own thread or process.
static fiar_status_t rank_live(const bench_options_t* options, fiar_comm_t* team,
                               bench_body_fn body) {
  bench_rank_t rank = {.options = options,
                       .team = team,
                       .rank = fiar_comm_rank(team),
                       .world = fiar_comm_world(team),
                       .ordinal = fiar_comm_device(team),
                       .device = &bench_host_device};
#if FIAR_HAVE_CUDA
  if (rank.ordinal != FIAR_DEVICE_NONE) {
    rank.device = &bench_cuda_device;
  }
#endif
  fiar_status_t status = rank.device->open(rank.ordinal, &rank.state);
  status = fiar_comm_vote(team, status);
  if (status == FIAR_OK) {
    status = body(&rank);
  }
  if (rank.state != NULL || rank.ordinal == FIAR_DEVICE_NONE) {
    rank.device->close(rank.state);
  }
  return status;
}

static void report(int32_t rank, fiar_status_t status) {
  (void)fprintf(stderr, "fiar-bench: rank %d: %s: %s\n", rank, fiar_status_name(status),
                fiar_last_error());
}

// ---- Threads ----

typedef struct thread_rank {
  const bench_options_t* options;
  bench_body_fn body;
  fiar_comm_t* team;
  pthread_t thread;
  fiar_status_t status;
} thread_rank_t;

static void* thread_main(void* argument) {
  thread_rank_t* rank = argument;
  rank->status = rank_live(rank->options, rank->team, rank->body);
  if (rank->status != FIAR_OK) {
    report(fiar_comm_rank(rank->team), rank->status);
  }
  return NULL;
}

static fiar_status_t run_threads(const bench_options_t* options, int32_t world, bool on_host,
                                 bench_body_fn body) {
  fiar_comm_t* teams[BENCH_MAX_RANKS] = {NULL};
  thread_rank_t ranks[BENCH_MAX_RANKS];
  fiar_comm_options_t comm_options = team_options(on_host);
  FIAR_TRY(fiar_comm_create_threads(world, NULL, &comm_options, teams));
  int started = 0;
  fiar_status_t status = FIAR_OK;
  for (; started < world; ++started) {
    ranks[started] = (thread_rank_t){.options = options, .body = body, .team = teams[started]};
    if (pthread_create(&ranks[started].thread, NULL, thread_main, &ranks[started]) != 0) {
      status = FIAR_FAIL(SYSTEM_ERROR, "pthread_create for rank %d of %d failed", started, world);
      break;
    }
  }
  // Destroying the communicator of a rank that never started frees the others from waiting for it.
  for (int32_t rank = started; rank < world; ++rank) {
    fiar_comm_destroy(teams[rank]);
  }
  for (int rank = 0; rank < started; ++rank) {
    (void)pthread_join(ranks[rank].thread, NULL);
    if (status == FIAR_OK && ranks[rank].status != FIAR_OK) {
      status = fiar_fail(ranks[rank].status, "rank %d failed", rank);
    }
  }
  for (int rank = 0; rank < started; ++rank) {
    fiar_comm_destroy(teams[rank]);
  }
  return status;
}

// ---- Processes ----

static fiar_status_t run_launched(const bench_options_t* options, bool on_host,
                                  bench_body_fn body) {
  fiar_comm_options_t comm_options = team_options(on_host);
  fiar_comm_t* team = NULL;
  FIAR_TRY(fiar_comm_create_from_env(&comm_options, &team));
  fiar_status_t status = rank_live(options, team, body);
  if (status != FIAR_OK) {
    report(fiar_comm_rank(team), status);
  }
  fiar_comm_destroy(team);
  return status;
}

static void set_number(const char* name, long value) {
  char text[24];
  (void)snprintf(text, sizeof text, "%ld", value);
  (void)setenv(name, text, 1);
}

// The child plays a launcher's part towards itself: the parent's pid keeps two jobs apart.
static pid_t start_process(const bench_options_t* options, int32_t rank, int32_t world,
                           bool on_host, bench_body_fn body) {
  long job = (long)getpid();
  pid_t child = fork();
  if (child != 0) {
    return child;
  }
  set_number("RANK", rank);
  set_number("LOCAL_RANK", rank);
  set_number("WORLD_SIZE", world);
  set_number("LOCAL_WORLD_SIZE", world);
  set_number("FIAR_JOB_ID", job);
  fiar_status_t status = run_launched(options, on_host, body);
  (void)fflush(NULL);
  _exit(status == FIAR_OK ? 0 : (int)status);
}

static fiar_status_t run_processes(const bench_options_t* options, int32_t world, bool on_host,
                                   bench_body_fn body) {
  pid_t children[BENCH_MAX_RANKS];
  fiar_status_t first = FIAR_OK;
  int started = 0;
  (void)fflush(NULL);
  for (; started < world && first == FIAR_OK; ++started) {
    children[started] = start_process(options, started, world, on_host, body);
    if (children[started] < 0) {
      first = FIAR_FAIL(SYSTEM_ERROR, "fork for rank %d of %d failed", started, world);
      break;
    }
  }
  for (int rank = 0; rank < started; ++rank) {
    int ended = 0;
    if (waitpid(children[rank], &ended, 0) != children[rank] || ended == 0 || first != FIAR_OK) {
      continue;
    }
    if (WIFSIGNALED(ended)) {
      first = FIAR_FAIL(PEER_LOST, "rank %d was ended by signal %d", rank, WTERMSIG(ended));
    } else {
      first = fiar_fail((fiar_status_t)WEXITSTATUS(ended), "rank %d failed", rank);
    }
  }
  return first;
}

fiar_status_t bench_ranks_run(const bench_options_t* options, bench_body_fn body) {
  if (options->mode == BENCH_LAUNCHED) {
    return run_launched(options, strcmp(options->backend, "host") == 0, body);
  }
  int devices = count_devices(options);
  int32_t world = (int32_t)(options->ranks != 0 ? options->ranks : (devices > 0 ? devices : 2));
  if (world > BENCH_MAX_RANKS) {
    world = BENCH_MAX_RANKS;
  }
  if (devices > 0 && world > devices) {
    return FIAR_FAIL(INVALID_ARGUMENT, "--ranks is %d, but there are %d CUDA devices", world,
                     devices);
  }
  bool on_host = devices == 0;
  return options->mode == BENCH_THREADS ? run_threads(options, world, on_host, body)
                                        : run_processes(options, world, on_host, body);
}

static int gather_over_team(void* context, const void* mine, void* all, size_t bytes) {
  return fiar_comm_all_gather(context, mine, all, bytes) == FIAR_OK ? 0 : 1;
}

fiar_status_t bench_comm_create(bench_rank_t* rank, const char* backend, fiar_comm_t** out_comm) {
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = rank->ordinal;
  options.backend = backend;
  return fiar_comm_create_from_all_gather(rank->rank, rank->world, gather_over_team, rank->team,
                                          &options, out_comm);
}
