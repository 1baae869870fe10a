// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Status text, the environment table, the launcher's variables and the log.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "base/library.h"
#include "base/log.h"
#include "comm/launcher.h"

// The environment of the tests: name, value, name, value, ...
static const char* const* pairs;

static const char* lookup(const char* name) {
  for (const char* const* pair = pairs; *pair; pair += 2) {
    if (strcmp(pair[0], name) == 0) {
      return pair[1];
    }
  }
  return NULL;
}

static void set(const char* const* list) {
  pairs = list;
}
#define SET(...) set((const char* const[]){__VA_ARGS__, NULL})

static void error_says(const char* words) {
  if (!strstr(fiar_last_error(), words)) {
    fail_msg("\"%s\" does not say \"%s\"", fiar_last_error(), words);
  }
}

static void every_status_has_its_name(void** state) {
  (void)state;
  assert_string_equal(fiar_status_name(FIAR_OK), "OK");
  assert_string_equal(fiar_status_name(FIAR_PEER_LOST), "PEER_LOST");
  assert_string_equal(fiar_status_name((fiar_status_t)99), "UNKNOWN");
}

static void an_unset_or_empty_variable_takes_its_default(void** state) {
  (void)state;
  fiar_env_t env;
  SET("FIAR_DEBUG", "", "FIAR_TIMEOUT_MS", "");
  assert_int_equal(fiar_env_parse(lookup, &env), FIAR_OK);
  assert_string_equal(env.debug, "off");
  assert_string_equal(env.backend, "auto");
  assert_int_equal(env.timeout_ms, 30000);
  assert_string_equal(env.job_id, "");
}

static void good_values_are_taken(void** state) {
  (void)state;
  fiar_env_t env;
  SET("FIAR_DEBUG", "trace", "FIAR_TIMEOUT_MS", "250", "FIAR_ALLREDUCE_BACKEND", "nccl");
  assert_int_equal(fiar_env_parse(lookup, &env), FIAR_OK);
  assert_string_equal(env.debug, "trace");
  assert_string_equal(env.backend, "nccl");
  assert_int_equal(env.timeout_ms, 250);
}

static void junk_is_an_error_that_names_what_is_accepted(void** state) {
  (void)state;
  fiar_env_t env;
  SET("FIAR_DEBUG", "loud");
  assert_int_equal(fiar_env_parse(lookup, &env), FIAR_INVALID_ARGUMENT);
  error_says("FIAR_DEBUG is \"loud\"; accepted: off|warn|info|trace");
  SET("FIAR_ALLREDUCE_BACKEND", "trt");
  assert_int_equal(fiar_env_parse(lookup, &env), FIAR_INVALID_ARGUMENT);
  error_says("\"trt\"");
  static const char* const numbers[] = {"0", "-3", "12x", "1e3", " ", "99999999999999999999"};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
    SET("FIAR_TIMEOUT_MS", numbers[i]);
    assert_int_equal(fiar_env_parse(lookup, &env), FIAR_INVALID_ARGUMENT);
    error_says("accepted: a whole number from 1 to 86400000");
  }
}

static void a_text_that_is_too_long_is_refused(void** state) {
  (void)state;
  fiar_env_t env;
  char text[300];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  SET("FIAR_JOB_ID", text);
  assert_int_equal(fiar_env_parse(lookup, &env), FIAR_INVALID_ARGUMENT);
  error_says("FIAR_JOB_ID has 299 bytes");
}

static void each_launcher_is_understood(void** state) {
  (void)state;
  fiar_launcher_t launcher;
  SET("RANK", "2", "WORLD_SIZE", "4", "LOCAL_RANK", "2", "LOCAL_WORLD_SIZE", "4");
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_OK);
  assert_int_equal(launcher.rank, 2);
  assert_int_equal(launcher.world, 4);
  assert_int_equal(launcher.local_rank, 2);
  assert_string_equal(launcher.job, "parent=7");
  SET("OMPI_COMM_WORLD_RANK", "1", "OMPI_COMM_WORLD_SIZE", "3", "PMIX_NAMESPACE", "ns1");
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_OK);
  assert_int_equal(launcher.rank, 1);
  assert_int_equal(launcher.local_rank, -1);
  assert_non_null(strstr(launcher.job, "ns1"));
  SET("SLURM_PROCID", "5", "SLURM_STEP_NUM_TASKS", "8", "SLURM_LOCALID", "5",
      "SLURM_STEP_TASKS_PER_NODE", "8", "SLURM_JOB_ID", "77", "SLURM_STEP_ID", "1");
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_OK);
  assert_int_equal(launcher.world, 8);
  assert_non_null(strstr(launcher.job, "77,1"));
  SET("PMI_RANK", "0", "PMI_SIZE", "2");
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_OK);
  assert_int_equal(launcher.world, 2);
}

static void a_lone_process_is_a_group_of_one(void** state) {
  (void)state;
  fiar_launcher_t launcher;
  SET("WORLD_SIZE", "4");
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_OK);
  assert_int_equal(launcher.world, 1);
  SET("SLURM_PROCID", "0");  // a batch script
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_OK);
  assert_int_equal(launcher.world, 1);
}

static void a_launchers_nonsense_is_named(void** state) {
  (void)state;
  fiar_launcher_t launcher;
  SET("RANK", "1");
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_INVALID_ARGUMENT);
  error_says("RANK is \"1\", but WORLD_SIZE is not set");
  SET("RANK", "4", "WORLD_SIZE", "4");
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_INVALID_ARGUMENT);
  error_says("RANK is \"4\"; accepted: a whole number from 0 to 3");
  SET("RANK", "one", "WORLD_SIZE", "4");
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_INVALID_ARGUMENT);
  SET("RANK", "0", "WORLD_SIZE", "65");
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_INVALID_ARGUMENT);
}

static void several_hosts_are_refused_with_the_way_out(void** state) {
  (void)state;
  fiar_launcher_t launcher;
  SET("RANK", "0", "WORLD_SIZE", "8", "LOCAL_WORLD_SIZE", "4");
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_UNSUPPORTED);
  error_says("LOCAL_WORLD_SIZE = 4");
  SET("SLURM_PROCID", "0", "SLURM_STEP_NUM_TASKS", "8", "SLURM_STEP_TASKS_PER_NODE", "4(x2)");
  assert_int_equal(fiar_launcher_read(lookup, 7, &launcher), FIAR_UNSUPPORTED);
  error_says("SLURM_STEP_TASKS_PER_NODE = 4");
}

static void log_lists_and_paths(void** state) {
  (void)state;
  assert_true(fiar_log_list_names("", "comm"));
  assert_true(fiar_log_list_names("init,comm", "comm"));
  assert_false(fiar_log_list_names("init,commx", "comm"));
  char path[32];
  assert_true(fiar_log_expand_path("/var/log/a.%h.%p.%%", "box", 42, path, sizeof path));
  assert_string_equal(path, "/var/log/a.box.42.%%");
  assert_false(fiar_log_expand_path("/var/log/%h", "box", 42, path, 7));
}

static void remember_line(void* context, fiar_log_level_t level, const char* subsystem,
                          const char* line) {
  (void)level;
  (void)snprintf(context, 128, "%s: %s", subsystem, line);
}

static void a_sink_gets_lines_of_its_level(void** state) {
  (void)state;
  char line[128] = "";
  fiar_set_log_sink(remember_line, line, FIAR_LOG_INFO);
  FIAR_LOG(TRACE, COMM, "too %s", "fine");
  assert_string_equal(line, "");
  FIAR_LOG(INFO, COMM, "rank %d", 3);
  assert_string_equal(line, "comm: rank 3");
  fiar_set_log_sink(NULL, NULL, FIAR_LOG_OFF);
  FIAR_LOG(WARN, COMM, "nobody listens");
  assert_string_equal(line, "comm: rank 3");
}

static void log_and_listen_elsewhere(void* context, fiar_log_level_t level, const char* subsystem,
                                     const char* line) {
  FIAR_LOG(INFO, COMM, "from within");  // dropped
  fiar_set_log_sink(remember_line, context, FIAR_LOG_INFO);
  remember_line(context, level, subsystem, line);
}

static void a_sink_may_call_fiar(void** state) {
  (void)state;
  char line[128] = "";
  fiar_set_log_sink(log_and_listen_elsewhere, line, FIAR_LOG_INFO);
  FIAR_LOG(INFO, COMM, "first");
  assert_string_equal(line, "comm: first");
  FIAR_LOG(INFO, COMM, "second");
  assert_string_equal(line, "comm: second");
  fiar_set_log_sink(NULL, NULL, FIAR_LOG_OFF);
}

static int attempts;

static fiar_status_t fail_to_open(void) {
  ++attempts;
  return FIAR_FAIL(UNAVAILABLE, "attempt %d", attempts);
}

static void what_is_tried_once_keeps_its_sentence(void** state) {
  (void)state;
  fiar_once_t once = FIAR_ONCE_INIT;
  assert_int_equal(fiar_once(&once, fail_to_open), FIAR_UNAVAILABLE);
  (void)fiar_fail(FIAR_INVALID_ARGUMENT, "something else");
  assert_int_equal(fiar_once(&once, fail_to_open), FIAR_UNAVAILABLE);
  error_says("attempt 1");
  assert_int_equal(attempts, 1);
}

static void libraries_are_found_by_name_and_by_version(void** state) {
  (void)state;
  static const char* const names[] = {"libfiar_no_such.so", "libm.so.6", NULL};
  static const char* const missing[] = {"libfiar_no_such.so", NULL};
  typedef struct table {
    double (*cosine)(double);
    double (*later)(double);
  } table_t;
  const fiar_symbol_t symbols[] = {{"cos", offsetof(table_t, cosine), 1},
                                   {"fiar_no_such_symbol", offsetof(table_t, later), 3}};
  const char* name = NULL;
  table_t table = {0};
  assert_null(fiar_library_open("", missing, &name));
  assert_null(fiar_library_open("/no/such/file.so", names, &name));
  assert_string_equal(name, "/no/such/file.so");
  void* library = fiar_library_open("", names, &name);
  assert_non_null(library);
  assert_string_equal(name, "libm.so.6");
  assert_null(fiar_library_fill(library, 2, symbols, 2, &table));
  assert_true(table.cosine(0) == 1);
  assert_null(table.later);
  assert_string_equal(fiar_library_fill(library, 3, symbols, 2, &table), "fiar_no_such_symbol");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_tried_once_keeps_its_sentence),
      cmocka_unit_test(libraries_are_found_by_name_and_by_version),
      cmocka_unit_test(every_status_has_its_name),
      cmocka_unit_test(an_unset_or_empty_variable_takes_its_default),
      cmocka_unit_test(good_values_are_taken),
      cmocka_unit_test(junk_is_an_error_that_names_what_is_accepted),
      cmocka_unit_test(a_text_that_is_too_long_is_refused),
      cmocka_unit_test(each_launcher_is_understood),
      cmocka_unit_test(a_lone_process_is_a_group_of_one),
      cmocka_unit_test(a_launchers_nonsense_is_named),
      cmocka_unit_test(several_hosts_are_refused_with_the_way_out),
      cmocka_unit_test(log_lists_and_paths),
      cmocka_unit_test(a_sink_gets_lines_of_its_level),
      cmocka_unit_test(a_sink_may_call_fiar),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
