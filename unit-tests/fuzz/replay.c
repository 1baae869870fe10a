// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// replay PATH...: runs a fuzz target on files, and on the files of folders, without libFuzzer: the
// inputs that once crashed, and the seeds, as plain tests in every build.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

static int run_file(const char* path) {
  FILE* file = fopen(path, "rb");
  struct stat status;
  if (file == NULL || fstat(fileno(file), &status) != 0) {
    perror(path);
    return -1;
  }
  // Exactly as large as the input, so that a sanitizer sees a read beyond it.
  const size_t size = (size_t)status.st_size;
  uint8_t* data = malloc(size > 0 ? size : 1);
  const int done = data != NULL && fread(data, 1, size, file) == size;
  (void)fclose(file);
  if (done) {
    (void)LLVMFuzzerTestOneInput(data, size);
  }
  free(data);
  return done ? 1 : -1;
}

static int run_path(const char* path) {
  DIR* folder = opendir(path);
  if (folder == NULL) {
    return run_file(path);
  }
  int count = 0;
  for (struct dirent* entry; count >= 0 && (entry = readdir(folder)) != NULL;) {
    char file[4096];
    if (entry->d_name[0] != '.') {
      (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
      const int ran = run_file(file);
      count = ran < 0 ? -1 : count + ran;
    }
  }
  (void)closedir(folder);
  return count;
}

int main(int argc, char** argv) {
  int count = 0;
  for (int i = 1; i < argc; ++i) {
    const int ran = run_path(argv[i]);
    if (ran < 0) {
      return 1;
    }
    count += ran;
  }
  (void)printf("%d inputs\n", count);
  return count == 0;
}
