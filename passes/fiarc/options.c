// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <stdlib.h>
#include <string.h>

#include "fiar/version.h"
#include "fiarc/fiarc.h"

static void usage(FILE* out) {
  fprintf(
      out,
      "usage: fiarc BLOCK.mlir -o OUTPUT [options]\n"
      "\n"
      "Compiles a tensor-parallel block (StableHLO as JAX prints it, or upstream MLIR) for libfiar.\n"
      "OUTPUT is a library where it ends in .so, an object where in .o, LLVM IR where in .ll, a header\n"
      "where in .h, MLIR where in .mlir, else a program that runs the block. Beside an object, library\n"
      "or program lies its header, NAME.h.\n"
      "\n"
      "  --emit=KIND      raised (fiar ops), mlir (LLVM dialect), llvm, obj, header, main (the program's\n"
      "                   C source), lib or program\n"
      "  --name=NAME      of the C function; else the module's\n"
      "  --header=FILE    where the header goes\n"
      "  --max-tokens=N   the number of rows becomes a parameter of up to N\n"
      "  --separate       no fusion: every all-reduce, norm, quantiser and product a call of its own\n"
      "  --report=KIND    text or json to standard error: what was fused and raised, and what not, why\n"
      "  --cc=COMMAND     links libraries and programs; $CC or cc if not given\n"
      "  --help, --version\n");
}

static bool take_emit(const char* text, FiarcEmit* out_emit) {
  static const struct {
    const char* text;
    FiarcEmit emit;
  } kinds[] = {{"raised", FIARC_RAISED}, {"header", FIARC_HEADER},  {"main", FIARC_MAIN},
               {"mlir", FIARC_MLIR},     {"llvm", FIARC_LLVM},      {"obj", FIARC_OBJECT},
               {"lib", FIARC_LIBRARY},   {"program", FIARC_PROGRAM}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    if (strcmp(text, kinds[i].text) == 0) {
      *out_emit = kinds[i].emit;
      return true;
    }
  }
  return fiarToolError(
      "--emit is '%s', must be raised, header, main, mlir, llvm, obj, lib or program", text);
}

static FiarcEmit emit_of(const char* output) {
  static const struct {
    const char* end;
    FiarcEmit emit;
  } ends[] = {{".so", FIARC_LIBRARY},
              {".o", FIARC_OBJECT},
              {".ll", FIARC_LLVM},
              {".h", FIARC_HEADER},
              {".mlir", FIARC_MLIR}};
  size_t length = strlen(output);
  for (size_t i = 0; i < sizeof ends / sizeof *ends; ++i) {
    size_t end = strlen(ends[i].end);
    if (length > end && strcmp(output + length - end, ends[i].end) == 0) {
      return ends[i].emit;
    }
  }
  return FIARC_PROGRAM;
}

// The value of --NAME=VALUE, or NULL.
static const char* value_of(const char* argument, const char* name) {
  size_t length = strlen(name);
  return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1
                                                                         : NULL;
}

static bool take_report(const char* text, FiarReportMode* out_mode) {
  *out_mode = strcmp(text, "json") == 0 ? FIAR_REPORT_JSON : FIAR_REPORT_TEXT;
  return strcmp(text, "json") == 0 || strcmp(text, "text") == 0 ||
         fiarToolError("--report is '%s', must be text or json", text);
}

static bool take_tokens(const char* text, int64_t* out_tokens) {
  char* end;
  long long number = strtoll(text, &end, 10);
  *out_tokens = number;
  return (end != text && *end == '\0' && number >= 1 && number <= INT32_MAX) ||
         fiarToolError("--max-tokens is '%s', must be a number from 1 to %d", text, INT32_MAX);
}

static bool take_long(const char* argument, FiarcOptions* options, bool* emitted) {
  const char* value;
  if ((value = value_of(argument, "--emit")) != NULL) {
    *emitted = true;
    return take_emit(value, &options->emit);
  }
  if ((value = value_of(argument, "--name")) != NULL) {
    options->name = value;
  } else if ((value = value_of(argument, "--header")) != NULL) {
    options->header = value;
  } else if ((value = value_of(argument, "--cc")) != NULL) {
    options->cc = value;
  } else if ((value = value_of(argument, "--report")) != NULL) {
    return take_report(value, &options->report);
  } else if ((value = value_of(argument, "--max-tokens")) != NULL) {
    return take_tokens(value, &options->max_tokens);
  } else if (strcmp(argument, "--separate") == 0) {
    options->separate = true;
  } else {
    return fiarToolError("'%s' is no option; --help lists them", argument);
  }
  return true;
}

int fiarToolTakeOptions(int argc, char** argv, FiarcOptions* out_options) {
  *out_options = (FiarcOptions){.cc = getenv("CC")};
  bool good = true, emitted = false;
  for (int i = 1; i < argc && good; ++i) {
    const char* argument = argv[i];
    if (strcmp(argument, "--help") == 0) {
      usage(stdout);
      return 0;
    }
    if (strcmp(argument, "--version") == 0) {
      printf("fiarc " FIAR_VERSION_STRING "\n");
      return 0;
    }
    if (strcmp(argument, "-o") == 0) {
      good = i + 1 < argc || fiarToolError("-o needs a file");
      out_options->output = good ? argv[++i] : NULL;
    } else if (argument[0] == '-' && argument[1] != '\0') {
      good = take_long(argument, out_options, &emitted);
    } else {
      good = out_options->input == NULL || fiarToolError("a second input, '%s'", argument);
      out_options->input = argument;
    }
  }
  if (good && out_options->input == NULL) {
    usage(stderr);
    return 2;
  }
  if (good && out_options->output == NULL) {
    good = (emitted && out_options->emit <= FIARC_LLVM) ||
           fiarToolError("no output: -o FILE names it");
    out_options->output = "-";
  }
  if (!emitted && good) {
    out_options->emit = emit_of(out_options->output);
  }
  if (good && out_options->emit > FIARC_LLVM && strcmp(out_options->output, "-") == 0) {
    good = fiarToolError("objects, libraries and programs do not go to standard output");
  }
  out_options->cc = out_options->cc == NULL || *out_options->cc == '\0' ? "cc" : out_options->cc;
  return good ? -1 : 2;
}
