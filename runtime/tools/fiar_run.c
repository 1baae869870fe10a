// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-run -n RANKS [options] PROGRAM [ARGUMENTS]: the ranks of one program on this host.
// docs/runtime.md is the manual. A small mpirun: it sets what fiar_comm_create_from_env reads, and
// nothing outlives it.
//
// All ranks, and what they start, are in one process group led by a watcher process, which waits
// for the end of a pipe that only the launcher can write to. However the launcher ends, SIGKILL
// included, the pipe ends with it, and the watcher kills the group.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fiar/runtime.h"

enum { LINE_BYTES = 1 << 16, PIPE_READS = 64, STREAMS = 2, STATUS_USAGE = 2, STATUS_SETUP = 3 };

typedef struct output {
  int fd;  // -1: ended
  size_t used;
  char line[LINE_BYTES];
} output_t;

typedef struct rank {
  pid_t pid;                  // 0: ended
  output_t outputs[STREAMS];  // stdout, stderr
} rank_t;

typedef struct launcher {
  int32_t world;
  int64_t grace_ms;
  bool prefix;
  char* const* command;
  rank_t* ranks;
  pid_t group;       // the watcher's
  int watcher_pipe;  // its end is the watcher's signal
  int signals;       // signalfd
  int64_t deadline;  // of the ranks that are left, once one failed or a signal came; 0: none
  int stage;         // what they get then: 0 SIGTERM, 1 SIGKILL
  int exit_status;
  bool killed;  // a rank, and not by us
} launcher_t;

static void say(const char* format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char* format, ...) {
  va_list args;
  va_start(args, format);
  (void)fputs("fiar-run: ", stderr);
  (void)vfprintf(stderr, format, args);
  (void)fputc('\n', stderr);
  va_end(args);
}

static int64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

// ---- Starting ----

static int start_watcher(launcher_t* launcher) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return -1;
  }
  launcher->group = fork();
  if (launcher->group == 0) {
    (void)setpgid(0, 0);
    (void)close(ends[1]);
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);  // forwarded signals are for the ranks
    char byte;
    while (read(ends[0], &byte, 1) < 0 && errno == EINTR) {
    }
    (void)kill(0, SIGKILL);
    _exit(0);
  }
  (void)close(ends[0]);
  launcher->watcher_pipe = ends[1];
  if (launcher->group > 0) {
    (void)setpgid(launcher->group, launcher->group);
  }
  return launcher->group > 0 ? 0 : -1;
}

static void set_number(const char* name, long value) {
  char text[32];
  (void)snprintf(text, sizeof text, "%ld", value);
  (void)setenv(name, text, 1);
}

static void become_rank(const launcher_t* launcher, int32_t number, const int outs[STREAMS],
                        pid_t parent) {
  (void)setpgid(0, launcher->group);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(STATUS_SETUP);
  }
  const int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(outs[0], STDOUT_FILENO) < 0 ||
      dup2(outs[1], STDERR_FILENO) < 0) {
    _exit(STATUS_SETUP);
  }
  sigset_t none;
  (void)sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  set_number("RANK", number);
  set_number("LOCAL_RANK", number);
  set_number("WORLD_SIZE", launcher->world);
  set_number("LOCAL_WORLD_SIZE", launcher->world);
  (void)execvp(launcher->command[0], launcher->command);
  (void)fprintf(stderr, "%s: %s\n", launcher->command[0], strerror(errno));
  _exit(127);
}

static int start_rank(launcher_t* launcher, int32_t number) {
  rank_t* rank = &launcher->ranks[number];
  int pipes[STREAMS][2];
  if (pipe2(pipes[0], O_CLOEXEC) != 0 || pipe2(pipes[1], O_CLOEXEC) != 0) {
    return -1;  // the process ends now, and its descriptors with it
  }
  const int outs[STREAMS] = {pipes[0][1], pipes[1][1]};
  const pid_t parent = getpid();
  rank->pid = fork();
  if (rank->pid == 0) {
    become_rank(launcher, number, outs, parent);
  }
  for (int i = 0; i < STREAMS; ++i) {
    (void)close(outs[i]);
    rank->outputs[i].fd = pipes[i][0];
    (void)fcntl(pipes[i][0], F_SETFL, O_NONBLOCK);
  }
  if (rank->pid < 0) {
    return -1;
  }
  (void)setpgid(rank->pid, launcher->group);
  return 0;
}

static void name_job(void) {
  uint64_t nonce = 0;
  char job[64];
  if (getrandom(&nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce) {
    nonce = (uint64_t)now_ms();
  }
  (void)snprintf(job, sizeof job, "run-%ld-%016llx", (long)getpid(), (unsigned long long)nonce);
  (void)setenv("FIAR_JOB_ID", job, 1);
}

// ---- Output ----

static void print_line(const launcher_t* launcher, int32_t number, int stream, const char* line,
                       size_t length) {
  FILE* out = stream == 0 ? stdout : stderr;
  if (launcher->prefix) {
    (void)fprintf(out, "[%d] ", number);
  }
  (void)fwrite(line, 1, length, out);
  (void)fputc('\n', out);
  (void)fflush(out);
}

// Prints the whole lines that have come; the rest at the stream's end, or where it fills the room.
// No more than so many reads, since a rank may print faster than this does.
static void read_output(const launcher_t* launcher, int32_t number, int stream, int reads) {
  output_t* output = &launcher->ranks[number].outputs[stream];
  for (; output->fd >= 0 && reads > 0; --reads) {
    const ssize_t got = read(output->fd, output->line + output->used, LINE_BYTES - output->used);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0 && errno == EAGAIN) {
      return;
    }
    const bool ended = got <= 0;
    output->used += ended ? 0 : (size_t)got;
    char* from = output->line;
    char* end;
    while ((end = memchr(from, '\n', output->used - (size_t)(from - output->line)))) {
      print_line(launcher, number, stream, from, (size_t)(end - from));
      from = end + 1;
    }
    output->used -= (size_t)(from - output->line);
    memmove(output->line, from, output->used);
    if (output->used > 0 && (ended || output->used == LINE_BYTES)) {
      print_line(launcher, number, stream, output->line, output->used);
      output->used = 0;
    }
    if (ended) {
      (void)close(output->fd);
      output->fd = -1;
    }
  }
}

// ---- Running ----

static void set_deadline(launcher_t* launcher) {
  if (launcher->deadline == 0) {
    launcher->deadline = now_ms() + launcher->grace_ms;
  }
}

// The first failure is the job's exit status, but a rank that a signal killed goes before those
// that failed for the want of it. The others get some time to report their lost peer.
static void note_end(launcher_t* launcher, int32_t number, int status) {
  rank_t* rank = &launcher->ranks[number];
  const bool ours = launcher->stage > 0;  // ended because we told it to
  int code = 0;
  if (WIFSIGNALED(status)) {
    code = 128 + WTERMSIG(status);
    if (!ours) {
      launcher->exit_status = launcher->killed ? launcher->exit_status : code;
      launcher->killed = true;
      say("rank %d (process %ld) was killed by signal %d (%s)", number, (long)rank->pid,
          WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
  } else if (WEXITSTATUS(status) != 0) {
    code = WEXITSTATUS(status);
    say("rank %d (process %ld) exited with status %d", number, (long)rank->pid, code);
  }
  rank->pid = 0;
  if (code != 0) {
    launcher->exit_status = launcher->exit_status ? launcher->exit_status : code;
    set_deadline(launcher);
  }
}

static int32_t reap(launcher_t* launcher) {
  int32_t left = 0;
  for (int32_t number = 0; number < launcher->world; ++number) {
    int status;
    const pid_t pid = launcher->ranks[number].pid;
    if (pid > 0 && waitpid(pid, &status, WNOHANG) == pid) {
      read_output(launcher, number, 0, PIPE_READS);  // before the sentence on its end
      read_output(launcher, number, 1, PIPE_READS);
      note_end(launcher, number, status);
    }
    left += launcher->ranks[number].pid > 0;
  }
  return left;
}

static void signal_ranks(const launcher_t* launcher, int signal) {
  for (int32_t number = 0; number < launcher->world; ++number) {
    if (launcher->ranks[number].pid > 0) {
      (void)kill(launcher->ranks[number].pid, signal);
    }
  }
}

static void take_signals(launcher_t* launcher) {
  struct signalfd_siginfo info;
  while (read(launcher->signals, &info, sizeof info) == (ssize_t)sizeof info) {
    const int signal = (int)info.ssi_signo;
    if (signal == SIGCHLD) {
      continue;
    }
    signal_ranks(launcher, signal);
    if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT) {
      launcher->exit_status = launcher->exit_status ? launcher->exit_status : 128 + signal;
      set_deadline(launcher);
    }
  }
}

static void enforce_deadline(launcher_t* launcher) {
  if (launcher->deadline == 0 || now_ms() < launcher->deadline) {
    return;
  }
  for (int32_t number = 0; number < launcher->world; ++number) {
    if (launcher->ranks[number].pid > 0 && launcher->stage == 0) {
      say("rank %d (process %ld) is still there, ending it", number,
          (long)launcher->ranks[number].pid);
    }
  }
  signal_ranks(launcher, launcher->stage == 0 ? SIGTERM : SIGKILL);
  launcher->stage = 1;
  launcher->deadline = now_ms() + 1000;
}

static void wait_for_news(const launcher_t* launcher) {
  struct pollfd fds[FIAR_MAX_WORLD * STREAMS + 1] = {{.fd = launcher->signals, .events = POLLIN}};
  nfds_t count = 1;
  for (int32_t number = 0; number < launcher->world; ++number) {
    for (int i = 0; i < STREAMS; ++i) {
      fds[count++] = (struct pollfd){.fd = launcher->ranks[number].outputs[i].fd, .events = POLLIN};
    }
  }
  int64_t timeout = launcher->deadline ? launcher->deadline - now_ms() : -1;
  timeout = launcher->deadline && timeout < 0 ? 0 : timeout;
  (void)poll(fds, count, (int)(timeout > 60000 ? 60000 : timeout));
  for (int32_t number = 0; number < launcher->world; ++number) {
    read_output(launcher, number, 0, 1);
    read_output(launcher, number, 1, 1);
  }
}

static int run(launcher_t* launcher) {
  sigset_t watched;
  (void)sigemptyset(&watched);
  static const int all[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
    (void)sigaddset(&watched, all[i]);
  }
  (void)sigprocmask(SIG_BLOCK, &watched, NULL);
  launcher->signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  if (launcher->signals < 0 || start_watcher(launcher) != 0) {
    say("%s", strerror(errno));
    return STATUS_SETUP;
  }
  name_job();
  for (int32_t number = 0; number < launcher->world; ++number) {
    if (start_rank(launcher, number) != 0) {
      say("rank %d could not be started: %s", number, strerror(errno));
      return STATUS_SETUP;  // the watcher ends the others
    }
  }
  while (reap(launcher) > 0) {
    wait_for_news(launcher);
    take_signals(launcher);
    enforce_deadline(launcher);
  }
  return launcher->exit_status;
}

// ---- Command line ----

static void usage(FILE* out) {
  (void)fputs(
      "usage: fiar-run -n RANKS [--grace-ms MS] [--no-prefix] PROGRAM [ARGUMENTS]\n"
      "Runs RANKS processes of PROGRAM on this host, with RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE and\n"
      "FIAR_JOB_ID set. Puts '[rank] ' before each line of output, forwards signals, and ends with the\n"
      "first failing rank's status (128 + signal for a killed one).\n"
      "  --grace-ms MS   once a rank has failed, what the others get to end by themselves (2000)\n"
      "  --no-prefix     pass the output on as it is\n",
      out);
}

static bool parse_number(const char* text, long least, long most, long* out_value) {
  char* end = NULL;
  errno = 0;
  *out_value = strtol(text, &end, 10);
  return end != text && *end == '\0' && errno == 0 && *out_value >= least && *out_value <= most;
}

int main(int argc, char** argv) {
  static const struct option options[] = {{"ranks", required_argument, NULL, 'n'},
                                          {"grace-ms", required_argument, NULL, 'g'},
                                          {"no-prefix", no_argument, NULL, 'p'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
  launcher_t launcher = {.grace_ms = 2000, .prefix = true};
  int option;
  while ((option = getopt_long(argc, argv, "+n:h", options, NULL)) != -1) {
    long value = 0;
    if (option == 'n' && parse_number(optarg, 1, FIAR_MAX_WORLD, &value)) {
      launcher.world = (int32_t)value;
    } else if (option == 'g' && parse_number(optarg, 0, 86400000, &value)) {
      launcher.grace_ms = value;
    } else if (option == 'p') {
      launcher.prefix = false;
    } else if (option == 'h') {
      usage(stdout);
      return 0;
    } else {
      if (option == 'n' || option == 'g') {
        say("%s is \"%s\", must be a whole number%s", option == 'n' ? "-n" : "--grace-ms", optarg,
            option == 'n' ? " from 1 to 64" : "");
      }
      usage(stderr);
      return STATUS_USAGE;
    }
  }
  if (launcher.world == 0 || optind >= argc) {
    say("%s", launcher.world == 0 ? "-n is missing" : "the program is missing");
    usage(stderr);
    return STATUS_USAGE;
  }
  launcher.command = argv + optind;
  launcher.ranks = calloc((size_t)launcher.world, sizeof *launcher.ranks);
  if (!launcher.ranks) {
    say("no memory for %d ranks", launcher.world);
    return STATUS_SETUP;
  }
  const int status = run(&launcher);
  if (launcher.group > 0) {  // the watcher clears up what the ranks left running
    (void)close(launcher.watcher_pipe);
    (void)waitpid(launcher.group, NULL, 0);
  }
  free(launcher.ranks);
  return status;
}
