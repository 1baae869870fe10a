// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Libraries and programs by the system's C compiler. libfiar and its headers are found beside
// fiarc, in an installed tree or the build tree.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiarc/fiarc.h"

enum { MAX_ARGUMENTS = 48 };

typedef struct command {
  char* arguments[MAX_ARGUMENTS + 1];
  int count;
  char words[1024];         // the compiler's own, split
  char folder[FIARC_PATH];  // that bin/ and lib/ lie in
  char flags[4][FIARC_PATH];
} command_t;

static void add(command_t* command, const char* argument) {
  if (command->count < MAX_ARGUMENTS) {
    command->arguments[command->count++] = (char*)argument;
  }
}

// $CC may have options of its own.
static void start(command_t* command, const FiarcOptions* options) {
  (void)snprintf(command->words, sizeof command->words, "%s", options->cc);
  char* rest = NULL;
  for (char* word = strtok_r(command->words, " ", &rest); word != NULL;
       word = strtok_r(NULL, " ", &rest)) {
    add(command, word);
  }
}

static bool find_folder(char* out_folder) {
  ssize_t length = readlink("/proc/self/exe", out_folder, FIARC_PATH - 1);
  if (length < 0) {
    return fiarToolError("cannot find fiarc's own folder: %s", strerror(errno));
  }
  out_folder[length] = '\0';
  for (int up = 0; up < 2; ++up) {
    char* slash = strrchr(out_folder, '/');
    if (slash != NULL) {
      *slash = '\0';
    }
  }
  return true;
}

static bool run(command_t* command, const char* output) {
  command->arguments[command->count] = NULL;
  pid_t child = fork();
  if (child < 0) {
    return fiarToolError("cannot start '%s': %s", command->arguments[0], strerror(errno));
  }
  if (child == 0) {
    (void)execvp(command->arguments[0], command->arguments);
    fprintf(stderr, "fiarc: error: cannot run '%s': %s\n", command->arguments[0], strerror(errno));
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
         fiarToolError("'%s' did not link '%s'", command->arguments[0], output);
}

static bool link_to(command_t* command, const FiarcOptions* options) {
  char temporary[FIARC_PATH];
  if (!fiarToolTemporary(options, ".part", temporary)) {
    return false;
  }
  add(command, "-o");
  add(command, temporary);
  if (!run(command, options->output)) {
    (void)remove(temporary);
    return false;
  }
  if (rename(temporary, options->output) != 0) {
    int code = errno;
    (void)remove(temporary);
    return fiarToolError("cannot write '%s': %s", options->output, strerror(code));
  }
  return true;
}

// libfiar stays undefined in a library: the program that links it brings one libfiar for all.
bool fiarToolLinkLibrary(const char* object, const FiarcOptions* options) {
  command_t command = {.count = 0};
  start(&command, options);
  add(&command, "-shared");
  add(&command, "-fPIC");
  add(&command, object);
  return link_to(&command, options);
}

bool fiarToolLinkProgram(const char* source, const char* object, const FiarcOptions* options) {
  command_t command = {.count = 0};
  if (!find_folder(command.folder)) {
    return false;
  }
  start(&command, options);
  (void)snprintf(command.flags[0], FIARC_PATH, "-I%.*s/include", FIARC_PATH - 16, command.folder);
  (void)snprintf(command.flags[1], FIARC_PATH, "-L%.*s/" FIARC_LIBDIR, FIARC_PATH - 64,
                 command.folder);
  (void)snprintf(command.flags[2], FIARC_PATH, "-Wl,-rpath,%.*s/" FIARC_LIBDIR, FIARC_PATH - 64,
                 command.folder);
  add(&command, "-std=c11");
  add(&command, "-O2");
  add(&command, "-D_GNU_SOURCE");
  add(&command, command.flags[0]);
  // In the build tree, the headers are still among the sources.
  char probe[FIARC_PATH];
  (void)snprintf(probe, sizeof probe, "%.*s/include/fiar/fiar.h", FIARC_PATH - 32, command.folder);
  if (access(probe, R_OK) != 0) {
    add(&command, "-I" FIARC_SOURCE_INCLUDE);
  }
  add(&command, source);
  add(&command, object);
  add(&command, command.flags[1]);
  add(&command, command.flags[2]);
  add(&command, "-lfiar");
  add(&command, "-lm");
  return link_to(&command, options);
}
