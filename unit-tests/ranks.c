// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ranks.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const ranks_body_t* known_bodies;
static size_t known_count;

static ranks_body_fn find_body(const char* name) {
  for (size_t i = 0; i < known_count; ++i) {
    if (strcmp(known_bodies[i].name, name) == 0) {
      return known_bodies[i].run;
    }
  }
  (void)fprintf(stderr, "no body is called %s\n", name);
  exit(2);
}

static int32_t number_of(const char* variable) {
  const char* text = getenv(variable);
  return text ? atoi(text) : 0;
}

void ranks_main(const ranks_body_t* bodies, size_t count) {
  known_bodies = bodies;
  known_count = count;
  const char* name = getenv("FIAR_TEST_BODY");
  if (name) {
    const ranks_self_t self = {.rank = number_of("RANK"),
                               .world = number_of("WORLD_SIZE"),
                               .argument = getenv("FIAR_TEST_ARGUMENT")};
    exit(find_body(name)(&self));
  }
}

fiar_status_t ranks_comm(const ranks_self_t* self, fiar_comm_t** out_comm) {
  *out_comm = self->comm;
  return self->comm ? FIAR_OK : fiar_comm_create_from_env(NULL, out_comm);
}

static int64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

// ---- Processes ----

static void set_number(const char* name, long value) {
  char text[32];
  (void)snprintf(text, sizeof text, "%ld", value);
  (void)setenv(name, text, 1);
}

static pid_t start_rank(const ranks_run_t* run, int32_t rank, const char* job) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) {
    return pid;
  }
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(127);
  }
  set_number("RANK", rank);
  set_number("LOCAL_RANK", rank);
  set_number("WORLD_SIZE", run->world);
  set_number("LOCAL_WORLD_SIZE", run->world);
  (void)setenv("FIAR_JOB_ID", job, 1);
  (void)setenv("FIAR_TEST_BODY", run->body, 1);
  (void)setenv("FIAR_TEST_ARGUMENT", run->argument ? run->argument : "", 1);
  for (const char* const* pair = run->environment; pair && *pair; ++pair) {
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(*pair, "="), *pair);
    (void)setenv(name, *pair + strlen(name) + 1, 1);
  }
  char* const arguments[] = {"rank", NULL};
  (void)execv("/proc/self/exe", arguments);
  _exit(127);
}

static int result_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : RANKS_KILLED + WTERMSIG(wait_status);
}

static void run_processes(const ranks_run_t* run, int64_t deadline, int* results) {
  static atomic_int jobs;
  pid_t pids[FIAR_MAX_WORLD] = {0};
  char job[64];
  (void)snprintf(job, sizeof job, "test-%ld-%d", (long)getpid(), atomic_fetch_add(&jobs, 1));
  int32_t left = 0;
  for (int32_t rank = 0; rank < run->world; ++rank) {
    if ((run->absent >> rank & 1u) == 0) {
      pids[rank] = start_rank(run, rank, job);
      results[rank] = RANKS_LATE;
      ++left;
    }
  }
  while (left > 0 && now_ms() < deadline) {
    for (int32_t rank = 0; rank < run->world; ++rank) {
      int status;
      if (pids[rank] > 0 && waitpid(pids[rank], &status, WNOHANG) == pids[rank]) {
        results[rank] = result_of(status);
        pids[rank] = 0;
        --left;
      }
    }
    (void)poll(NULL, 0, 2);
  }
  for (int32_t rank = 0; rank < run->world; ++rank) {
    if (pids[rank] > 0) {
      (void)kill(pids[rank], SIGKILL);
      (void)waitpid(pids[rank], NULL, 0);
    }
  }
}

// ---- Threads ----

typedef struct thread {
  pthread_t handle;
  ranks_self_t self;
  ranks_body_fn body;
  int result;
} thread_t;

static void* run_thread(void* context) {
  thread_t* thread = context;
  thread->result = thread->body(&thread->self);
  return NULL;
}

static void run_threads(const ranks_run_t* run, int* results) {
  thread_t threads[FIAR_MAX_WORLD];
  fiar_comm_t* comms[FIAR_MAX_WORLD];
  if (fiar_comm_create_threads(run->world, NULL, run->options, comms) != FIAR_OK) {
    (void)fprintf(stderr, "%s\n", fiar_last_error());
    results[0] = 1;
    return;
  }
  for (int32_t rank = 0; rank < run->world; ++rank) {
    threads[rank] = (thread_t){
        .self = {rank, run->world, run->argument ? run->argument : "", comms[rank]},
        .body = find_body(run->body),
    };
    (void)pthread_create(&threads[rank].handle, NULL, run_thread, &threads[rank]);
  }
  // The library bounds its waits, and ctest the program, so joining needs no limit of its own.
  for (int32_t rank = 0; rank < run->world; ++rank) {
    (void)pthread_join(threads[rank].handle, NULL);
    results[rank] = threads[rank].result;
  }
  for (int32_t rank = 0; rank < run->world; ++rank) {
    fiar_comm_destroy(comms[rank]);
  }
}

int ranks_run(const ranks_run_t* run, int* results) {
  int own[FIAR_MAX_WORLD];
  int* all = results ? results : own;
  memset(all, 0, (size_t)run->world * sizeof *all);
  if (run->threads) {
    run_threads(run, all);
  } else {
    run_processes(run, now_ms() + (run->timeout_ms ? run->timeout_ms : 60000), all);
  }
  int failed = 0;
  for (int32_t rank = 0; rank < run->world; ++rank) {
    failed += all[rank] != 0;
  }
  return failed;
}
