// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The command line: one row an option, one table a set of names.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiar_bench_rank.h"

typedef struct name {
  const char* text;
  int64_t value;
} name_t;

static const name_t dtype_names[] = {
#define X(name, value, text, bytes) {text, value},
    FIAR_DTYPE_TABLE(X)
#undef X
        {NULL, 0}};
static const name_t quant_names[] = {
#define X(name, value, text, code_bits, block) {text, value},
#include "fiar/quant_formats.def"
#undef X
    {NULL, 0}};
static const name_t residual_names[] = {{"none", BENCH_RESIDUAL_NONE},
                                        {"full", BENCH_RESIDUAL_FULL},
                                        {"token_shard", BENCH_RESIDUAL_TOKEN_SHARD},
                                        {"token_block", BENCH_RESIDUAL_TOKEN_BLOCK},
                                        {NULL, 0}};
static const name_t launch_names[] = {{"eager", BENCH_EAGER},
                                      {"graph", BENCH_GRAPH},
                                      {"chain", BENCH_CHAIN},
                                      {"auto", BENCH_LAUNCH_AUTO},
                                      {NULL, 0}};
static const name_t mode_names[] = {{"threads", BENCH_THREADS},
                                    {"processes", BENCH_PROCESSES},
                                    {"launched", BENCH_LAUNCHED},
                                    {NULL, 0}};
static const name_t impl_names[] = {{"fiar", BENCH_IMPL_FIAR},
                                    {"oneshot", BENCH_IMPL_ONESHOT},
                                    {"twoshot", BENCH_IMPL_TWOSHOT},
                                    {"nccl", BENCH_IMPL_NCCL},
                                    {"nccl_separate", BENCH_IMPL_NCCL_SEPARATE},
                                    {"nccl_symmetric", BENCH_IMPL_NCCL_SYMMETRIC},
                                    {NULL, 0}};
static const name_t over_names[] = {{"max", BENCH_OVER_MAX}, {"min", BENCH_OVER_MIN}, {NULL, 0}};
static const name_t switch_names[] = {{"on", 1}, {"off", 0}, {NULL, 0}};
static const name_t format_names[] = {
    {"table", BENCH_TABLE}, {"csv", BENCH_CSV}, {"json", BENCH_JSON}, {NULL, 0}};

typedef enum kind { FLAG, TEXT, INTEGER, CHOICE, INTEGERS, CHOICES } kind_t;

typedef struct option {
  const char* name;
  kind_t kind;
  size_t offset;        // in bench_options_t
  const name_t* names;  // of CHOICE and CHOICES
  int64_t least, most;  // of INTEGER and INTEGERS
  const char* standard;
  const char* help;
} option_t;

#define AT(field) offsetof(bench_options_t, field)
static const option_t options_table[] = {
    {"--ranks", INTEGER, AT(ranks), NULL, 0, BENCH_MAX_RANKS, "0",
     "ranks; 0 is one a GPU, or 2 where there is none"},
    {"--mode", CHOICE, AT(mode), mode_names, 0, 0, "threads", "how the ranks run"},
    {"--backend", TEXT, AT(backend), NULL, 0, 0, "auto", "backend of fiar's calls"},
    {"--tokens", INTEGERS, AT(tokens), NULL, 0, 1 << 20, "1..8192",
     "rows; a..b is a, 2a, 4a, ... up to b"},
    {"--hidden", INTEGERS, AT(hidden), NULL, 1, 1 << 20, "4096", "elements of a row"},
    {"--dtype", CHOICES, AT(dtypes), dtype_names, 0, 0, "bf16", "element type"},
    {"--quant", CHOICES, AT(quants), quant_names, 0, 0, "fp8_static", "quantisation format"},
    {"--residual", CHOICES, AT(residuals), residual_names, 0, 0, "full", "residual and its layout"},
    {"--launch", CHOICES, AT(launches), launch_names, 0, 0, "auto",
     "calls one by one, as one graph, or as one between matmuls; auto is graph with CUDA"},
    {"--impl", CHOICES, AT(impls), impl_names, 0, 0,
     "fiar,oneshot,twoshot,nccl,nccl_separate,nccl_symmetric", "what is timed"},
    {"--calls", INTEGER, AT(calls), NULL, 1, 10000, "40", "calls a chain"},
    {"--replays", INTEGER, AT(replays), NULL, 1, BENCH_MAX_REPLAYS, "15", "timed chains a point"},
    {"--warmup", INTEGER, AT(warmup), NULL, 0, BENCH_MAX_REPLAYS, "3", "chains before them"},
    {"--rotate", INTEGER, AT(rotate), NULL, 0, 8, "0",
     "sets of arrays that a chain goes round; 0 is by their size and the cache's"},
    {"--over", CHOICE, AT(over), over_names, 0, 0, "max", "the rank whose time stands for a chain"},
    {"--format", CHOICE, AT(format), format_names, 0, 0, "table", "what --output is written as"},
    {"--output", TEXT, AT(output), NULL, 0, 0, "",
     "file for the results, beside the printed table"},
    {"--floors", CHOICE, AT(floors), switch_names, 0, 0, "on",
     "measure the machine's floors first"},
    {"--tune", TEXT, AT(tune), NULL, 0, 0, "",
     "file for the crossover from oneshot to twoshot (FIAR_TUNING_FILE)"},
    {"--list", FLAG, AT(list), NULL, 0, 0, "", "print the points and run nothing"},
    {"--help", FLAG, AT(help), NULL, 0, 0, "", "print this and run nothing"},
};
#undef AT

static const char* name_of(const name_t* names, int64_t value) {
  for (; names->text != NULL; ++names) {
    if (names->value == value) {
      return names->text;
    }
  }
  return "?";
}

const char* bench_dtype_name(int64_t value) {
  return name_of(dtype_names, value);
}
const char* bench_quant_name(int64_t value) {
  return name_of(quant_names, value);
}
const char* bench_residual_name(int64_t value) {
  return name_of(residual_names, value);
}
const char* bench_launch_name(int64_t value) {
  return name_of(launch_names, value);
}
const char* bench_mode_name(int64_t value) {
  return name_of(mode_names, value);
}
const char* bench_over_name(int64_t value) {
  return name_of(over_names, value);
}

static fiar_status_t parse_integer(const option_t* option, const char* text, int64_t* out_value) {
  char* end = NULL;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || value < option->least || value > option->most) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s is \"%s\", must be an integer from %lld to %lld",
                     option->name, text, (long long)option->least, (long long)option->most);
  }
  *out_value = value;
  return FIAR_OK;
}

static fiar_status_t parse_name(const option_t* option, const char* text, int64_t* out_value) {
  char known[256] = "";
  for (const name_t* name = option->names; name->text != NULL; ++name) {
    if (strcmp(name->text, text) == 0) {
      *out_value = name->value;
      return FIAR_OK;
    }
    size_t used = strlen(known);
    (void)snprintf(known + used, sizeof known - used, "%s%s", used == 0 ? "" : ", ", name->text);
  }
  return FIAR_FAIL(INVALID_ARGUMENT, "%s is \"%s\", must be one of %s", option->name, text, known);
}

static fiar_status_t list_append(const option_t* option, bench_list_t* list, int64_t value) {
  if (list->count == BENCH_MAX_LIST) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s has more than %d values", option->name, BENCH_MAX_LIST);
  }
  list->at[list->count++] = value;
  return FIAR_OK;
}

// One item of a comma list: a name, an integer, or a..b, whose values double.
static fiar_status_t parse_item(const option_t* option, char* text, bench_list_t* list) {
  int64_t first = 0;
  int64_t last = 0;
  if (option->kind == CHOICES) {
    FIAR_TRY(parse_name(option, text, &first));
    return list_append(option, list, first);
  }
  char* dots = strstr(text, "..");
  if (dots == NULL) {
    FIAR_TRY(parse_integer(option, text, &first));
    return list_append(option, list, first);
  }
  *dots = '\0';
  FIAR_TRY(parse_integer(option, text, &first));
  FIAR_TRY(parse_integer(option, dots + 2, &last));
  if (first < 1 || last < first) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s has the range %lld..%lld, must rise from at least 1",
                     option->name, (long long)first, (long long)last);
  }
  for (; first <= last; first *= 2) {
    FIAR_TRY(list_append(option, list, first));
  }
  return FIAR_OK;
}

static fiar_status_t parse_list(const option_t* option, const char* text, bench_list_t* out_list) {
  char copy[512];
  if (strlen(text) >= sizeof copy) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s has a list of %zu characters, must be below %zu",
                     option->name, strlen(text), sizeof copy);
  }
  memcpy(copy, text, strlen(text) + 1);
  out_list->count = 0;
  char* rest = NULL;
  for (char* item = strtok_r(copy, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
    FIAR_TRY(parse_item(option, item, out_list));
  }
  if (out_list->count == 0) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s is \"%s\", must name at least one value", option->name,
                     text);
  }
  return FIAR_OK;
}

static fiar_status_t set_option(const option_t* option, const char* text,
                                bench_options_t* options) {
  void* field = (char*)options + option->offset;
  switch (option->kind) {
    case FLAG:
      *(bool*)field = text[0] != '\0';
      return FIAR_OK;
    case TEXT:
      *(const char**)field = text;
      return FIAR_OK;
    case INTEGER:
      return parse_integer(option, text, field);
    case CHOICE:
      return parse_name(option, text, field);
    case INTEGERS:
    case CHOICES:
      return parse_list(option, text, field);
  }
  return FIAR_FAIL(INTERNAL, "%s has no kind", option->name);
}

// Accepts "--name value" and "--name=value".
static fiar_status_t parse_argument(int argc, char** argv, int* at, bench_options_t* options) {
  const char* argument = argv[*at];
  size_t length = strcspn(argument, "=");
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(options_table); ++i) {
    const option_t* option = &options_table[i];
    if (strlen(option->name) != length || strncmp(option->name, argument, length) != 0) {
      continue;
    }
    if (option->kind == FLAG) {
      return set_option(option, "1", options);
    }
    if (argument[length] == '=') {
      return set_option(option, argument + length + 1, options);
    }
    if (*at + 1 == argc) {
      return FIAR_FAIL(INVALID_ARGUMENT, "%s needs a value", option->name);
    }
    return set_option(option, argv[++*at], options);
  }
  return FIAR_FAIL(INVALID_ARGUMENT, "\"%s\" is no option; --help lists them", argument);
}

fiar_status_t bench_options_parse(int argc, char** argv, bench_options_t* out_options) {
  memset(out_options, 0, sizeof *out_options);
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(options_table); ++i) {
    FIAR_TRY(set_option(&options_table[i], options_table[i].standard, out_options));
  }
  for (int at = 1; at < argc; ++at) {
    FIAR_TRY(parse_argument(argc, argv, &at, out_options));
  }
  return FIAR_OK;
}

void bench_options_help(void) {
  printf("usage: fiar-bench [OPTION VALUE]...\nLists are comma lists.\n");
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(options_table); ++i) {
    const option_t* option = &options_table[i];
    printf("  %-13s %s", option->name, option->help);
    for (const name_t* name = option->names; name != NULL && name->text != NULL; ++name) {
      printf("%s%s", name == option->names ? ": " : ", ", name->text);
    }
    printf(option->standard[0] == '\0' ? "\n" : " [%s]\n", option->standard);
  }
}

fiar_status_t bench_cases_expand(const bench_options_t* options, bench_case_t** out_cases,
                                 int* out_count) {
  const bench_list_t* lists[] = {&options->hidden,    &options->dtypes,   &options->quants,
                                 &options->residuals, &options->launches, &options->tokens};
  int count = 1;
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(lists); ++i) {
    count *= lists[i]->count;
  }
  bench_case_t* cases = calloc((size_t)count, sizeof *cases);
  if (cases == NULL) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%d points", count);
  }
  for (int i = 0; i < count; ++i) {
    int64_t value[FIAR_ARRAY_LENGTH(lists)];
    int rest = i;
    for (size_t k = FIAR_ARRAY_LENGTH(lists); k-- > 0;) {
      value[k] = lists[k]->at[rest % lists[k]->count];
      rest /= lists[k]->count;
    }
    cases[i] = (bench_case_t){.hidden = value[0],
                              .dtype = (uint8_t)value[1],
                              .quant = (uint8_t)value[2],
                              .residual = (uint8_t)value[3],
                              .launch = (uint8_t)value[4],
                              .tokens = value[5]};
  }
  *out_cases = cases;
  *out_count = count;
  return FIAR_OK;
}
