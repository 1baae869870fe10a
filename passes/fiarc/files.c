// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fiarc/fiarc.h"

bool fiarToolError(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "fiarc: error: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  va_end(arguments);
  return false;
}

static bool put(char* out_path, const char* format, ...) __attribute__((format(printf, 2, 3)));
static bool put(char* out_path, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(out_path, FIARC_PATH, format, arguments);
  va_end(arguments);
  return (length > 0 && length < FIARC_PATH) ||
         fiarToolError("a path is longer than %d", FIARC_PATH);
}

bool fiarToolFileOpen(const char* path, FiarcFile* out_file) {
  *out_file = (FiarcFile){.path = path};
  if (strcmp(path, "-") == 0) {
    out_file->stream = stdout;
    return true;
  }
  if (!put(out_file->temporary, "%s.%d.part", path, (int)getpid())) {
    return false;
  }
  out_file->stream = fopen(out_file->temporary, "wb");
  return out_file->stream != NULL || fiarToolError("cannot write '%s': %s", path, strerror(errno));
}

bool fiarToolFileClose(FiarcFile* file, bool good) {
  if (file->stream == stdout) {
    return good && (fflush(stdout) == 0 ||
                    fiarToolError("cannot write standard output: %s", strerror(errno)));
  }
  bool written = ferror(file->stream) == 0;
  written = fclose(file->stream) == 0 && written;
  if (good && written && rename(file->temporary, file->path) == 0) {
    return true;
  }
  int code = errno;
  (void)remove(file->temporary);
  return good ? fiarToolError("cannot write '%s': %s", file->path, strerror(code)) : false;
}

bool fiarToolReadable(const char* path) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) {
    return fiarToolError("cannot read '%s': %s", path, strerror(errno));
  }
  bool good = fgetc(file) != EOF || ferror(file) == 0;
  int code = errno;
  (void)fclose(file);
  return good || fiarToolError("cannot read '%s': %s", path, strerror(code));
}

bool fiarToolTemporary(const FiarcOptions* options, const char* suffix, char* out_path) {
  return put(out_path, "%s.%d%s", options->output, (int)getpid(), suffix);
}

bool fiarToolSibling(const char* path, const char* name, const char* suffix, char* out_path) {
  const char* slash = strrchr(path, '/');
  int folder = slash == NULL ? 0 : (int)(slash - path) + 1;
  return put(out_path, "%.*s%s%s", folder, path, name, suffix);
}
