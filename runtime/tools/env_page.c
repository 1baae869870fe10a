// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Prints docs/env.md from the tables: `ninja fiar-env-page` renews the page, the test env_page
// compares.
#include <stdio.h>

#include "comm/launcher.h"

static void print_words(const char* accepted) {
  for (const char* c = accepted; *c != '\0'; ++c) {
    (void)fputs(*c == '|' ? "`, `" : (char[]){*c, '\0'}, stdout);
  }
}

int main(void) {
  (void)puts(
      "# Environment variables\n\n"
      "<!-- Written by `ninja fiar-env-page` from runtime/base/env.def and runtime/comm/launcher.def. -->\n\n"
      "fiar reads these once, when it first needs them. An empty variable counts as unset. A value that is\n"
      "not accepted makes the call fail with INVALID_ARGUMENT and a text that names the accepted ones.\n\n"
      "| variable | default | accepted | what it does |\n| --- | --- | --- | --- |");
#define CHOICE(field, name, fallback, accepted, doc) \
  (void)printf("| `%s` | `%s` | `", name, fallback); \
  print_words(accepted);                             \
  (void)printf("` | %s |\n", doc);
#define INT(field, name, fallback, least, most, doc)                                 \
  (void)printf("| `%s` | %lld | %lld to %lld | %s |\n", name, (long long)(fallback), \
               (long long)(least), (long long)(most), doc);
#define TEXT(field, name, doc) (void)printf("| `%s` | | any text | %s |\n", name, doc);
#include "base/env.def"
  (void)puts(
      "\n## What the launcher sets\n\n"
      "`fiar_comm_create_from_env` takes the first row whose first two variables are set; a process without\n"
      "any is a group of one. Its ranks share one host.\n\n"
      "| launcher | rank | ranks | rank on the host | ranks on the host |\n| --- | --- | --- | --- | --- |");
#define X(launcher, rank, size, local_rank, local_size)                                  \
  (void)printf("| %s | `%s` | `%s` | `%s` | `%s` |\n", launcher, rank, size, local_rank, \
               local_size);
#include "comm/launcher.def"
#undef X
  (void)printf(
      "\nRanks find one another through an abstract Unix socket, so nothing is left in the file system. Its\n"
      "name comes from the user and from the first of these that is set: %s.\n"
      "Without any of them it comes from the launcher's process id.\n",
      FIAR_JOB_VARIABLES_TEXT);
  return 0;
}
