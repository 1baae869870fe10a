// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// replay [-mutants=N] [-keep=FILE] PATH...: runs a fuzz target without libFuzzer on files and on
// the files of folders, the inputs that once crashed and the seeds, and on N mutants of each.
//
// A mutant depends on its input and its number alone: what one build finds, every build of the same
// sources finds. FILE holds the last mutant that was run, which is the one that brought a run down.
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"

// Not every target has a mutator of its own.
#pragma weak LLVMFuzzerCustomMutator

enum { ROOM = 4096 };  // for what a mutator adds

typedef struct Replay {
  unsigned mutants;
  int keep;  // a descriptor, or -1
  int inputs;
} Replay;

typedef struct Input {
  uint8_t* data;
  size_t size;
} Input;

static uint32_t dice;

// What libFuzzer offers to mutators, in small: a few bytes that are others, more or fewer.
size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size) {
  for (int left = 3; left > 0; --left) {
    dice = dice * 1664525u + 1013904223u;  // the generator of Numerical Recipes
    const uint32_t bits = dice >> 8;
    const size_t at = size > 0 ? bits / 1024 % size : 0;
    if (bits % 8 == 0 && size < max_size) {
      memmove(data + at + 1, data + at, size++ - at);
    } else if (bits % 8 == 1 && size > 1) {
      memmove(data + at, data + at + 1, --size - at);
    } else if (size > 0) {
      data[at] = (uint8_t)(bits / 16 % 2 ? bits / 32 : data[at] ^ 1u << bits / 32 % 8);
    }
  }
  return size;
}

static bool read_input(const char* path, Input* input) {
  FILE* file = fopen(path, "rb");
  struct stat status;
  if (file == NULL || fstat(fileno(file), &status) != 0) {
    perror(path);
    return false;
  }
  input->size = (size_t)status.st_size;
  input->data = malloc(input->size > 0 ? input->size : 1);
  const bool done = input->data != NULL && fread(input->data, 1, input->size, file) == input->size;
  (void)fclose(file);
  return done;
}

// Exactly as large as the input, so that a sanitizer sees a read beyond it.
static bool run_copy(Replay* replay, const uint8_t* data, size_t size) {
  uint8_t* copy = malloc(size > 0 ? size : 1);
  if (copy == NULL) {
    return false;
  }
  memcpy(copy, data, size);
  (void)LLVMFuzzerTestOneInput(copy, size);
  free(copy);
  ++replay->inputs;
  return true;
}

static bool keep(const Replay* replay, const uint8_t* data, size_t size) {
  return replay->keep < 0 || (pwrite(replay->keep, data, size, 0) == (ssize_t)size &&
                              ftruncate(replay->keep, (off_t)size) == 0);
}

static bool run_mutants(Replay* replay, const Input* input) {
  const size_t most = input->size + ROOM;
  uint8_t* mutant = malloc(most);
  bool goes_on = mutant != NULL;
  for (unsigned i = 1; goes_on && i <= replay->mutants; ++i) {
    memcpy(mutant, input->data, input->size);
    const unsigned seed = (i * 2654435761u) ^ (unsigned)input->size;
    dice = seed;
    const size_t size = LLVMFuzzerCustomMutator != NULL
                            ? LLVMFuzzerCustomMutator(mutant, input->size, most, seed)
                            : LLVMFuzzerMutate(mutant, input->size, most);
    goes_on = keep(replay, mutant, size) && run_copy(replay, mutant, size);
  }
  free(mutant);
  return goes_on;
}

static bool run_file(Replay* replay, const char* path) {
  Input input = {NULL, 0};
  const bool done = read_input(path, &input) && run_copy(replay, input.data, input.size) &&
                    run_mutants(replay, &input);
  free(input.data);
  return done;
}

static bool run_path(Replay* replay, const char* path) {
  struct dirent** entries = NULL;
  const int count = scandir(path, &entries, NULL, alphasort);
  if (count < 0) {
    return run_file(replay, path);
  }
  bool goes_on = true;
  for (int i = 0; i < count; ++i) {
    char file[4096];
    if (goes_on && entries[i]->d_name[0] != '.') {
      (void)snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
      goes_on = run_file(replay, file);
    }
    free(entries[i]);
  }
  free((void*)entries);
  return goes_on;
}

int main(int argc, char** argv) {
  Replay replay = {.keep = -1};
  for (int i = 1; i < argc; ++i) {
    if (strncmp(argv[i], "-mutants=", 9) == 0) {
      replay.mutants = (unsigned)strtoul(argv[i] + 9, NULL, 10);
    } else if (strncmp(argv[i], "-keep=", 6) == 0) {
      replay.keep = open(argv[i] + 6, O_RDWR | O_CREAT | O_TRUNC, 0666);
      if (replay.keep < 0) {
        perror(argv[i] + 6);
        return 1;
      }
    } else if (!run_path(&replay, argv[i])) {
      return 1;
    }
  }
  (void)printf("%d inputs\n", replay.inputs);
  return replay.inputs == 0;
}
