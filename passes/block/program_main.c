// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The program around a compiled block, the same for all: fiarc writes the block's header and a
// table of its tensors in front of this text.
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIMS = 8 };

typedef struct program {
  const char *inputs, *save, *expect;
  long steps, seed, max_ulps;
  int64_t tokens;
  int host;
  fiar_comm_t* comm;
  int rank, world;
  void* tensors[TENSORS + 1];
  void *packed, *arena;
} program_t;

static int program_fail(const char* what) {
  fprintf(stderr, "%s: %s: %s\n", BLOCK_NAME, what, fiar_last_error());
  return 0;
}

static int64_t program_dimension(const program_t* program, const tensor_t* tensor, int i) {
  return i == 0 && tensor->by_tokens ? program->tokens : tensor->shape[i];
}

static uint64_t program_bytes_of(const program_t* program, const tensor_t* tensor) {
  return tensor->by_tokens ? tensor->bytes / (uint64_t)tensor->shape[0] * (uint64_t)program->tokens
                           : tensor->bytes;
}

// ---- data ----

static uint32_t program_mix(uint32_t bits) {
  bits = (bits ^ (bits >> 15)) * 0x2C1B3C6Du;
  bits = (bits ^ (bits >> 12)) * 0x297A2D39u;
  return bits ^ (bits >> 15);
}

// In [-1, 1).
static float program_noise(uint32_t seed, uint64_t index) {
  return (float)((int32_t)program_mix(
                     seed ^ program_mix((uint32_t)index * 0x85EBCA6Bu + (uint32_t)(index >> 32))) >>
                 8) *
         0x1p-23f;
}

// Values of a size that keeps a block's steps in range: vectors near 1, scalars powers of two.
static void program_fill(const program_t* program, const tensor_t* tensor, uint32_t seed,
                         unsigned char* to) {
  uint64_t bytes = program_bytes_of(program, tensor);
  float size = tensor->rank > 1 ? 2.0f / sqrtf((float)tensor->shape[tensor->rank - 2] + 1) : 0.25f;
  size = tensor->by_tokens ? 1.0f : size;
  for (uint64_t i = 0; i < bytes; ++i) {
    float value = program_noise(seed, i);
    uint32_t bits;
    switch (tensor->dtype) {
      case FIAR_ELEMENT_F32:
        value = tensor->rank == 0 ? 0x1p-5f : (tensor->rank == 1 ? 1 : 0) + size * value;
        memcpy(to + i, &value, sizeof value);
        i += sizeof value - 1;
        break;
      case FIAR_ELEMENT_BF16:
        value = (tensor->rank == 1 ? 1 : 0) + size * value;
        memcpy(&bits, &value, sizeof bits);
        to[i] = (unsigned char)(bits >> 16);
        to[++i] = (unsigned char)(bits >> 24);
        break;
      case FIAR_ELEMENT_F16:  // 0.5 to 1 with a random fraction and sign
        to[i] = (unsigned char)(int)(value * 127);
        to[++i] = (unsigned char)(0x38 | (value < 0 ? 0x80 : 0));
        break;
      default:  // codes: finite, of at most 2^4 where they are f8E4M3FN
        to[i] = (unsigned char)((int)(value * 127) & 0xDF);
        break;
    }
  }
}

static uint32_t program_hash(const char* text, uint32_t seed) {
  for (; *text != '\0'; ++text) {
    seed = program_mix(seed ^ (unsigned char)*text);
  }
  return seed;
}

static int program_make(program_t* program, int i) {
  const tensor_t* tensor = &program_tensors[i];
  uint32_t seed = program_hash(tensor->name, (uint32_t)program->seed);
  uint64_t bytes = program_bytes_of(program, tensor);
  unsigned char* data = malloc(bytes + 4);
  if (data == NULL) {
    fprintf(stderr, "%s: out of memory\n", BLOCK_NAME);
    return 0;
  }
  program_fill(program, tensor, tensor->shard_dim < 0 ? seed : seed + 1 + (uint32_t)program->rank,
               data);
  int good = fiar_rt_write(program->comm, 0, program->tensors[i], data, bytes, NULL) == FIAR_OK;
  free(data);
  return good || program_fail(tensor->name);
}

// FILE with {rank} replaced; whether it had any.
static int program_expand(const program_t* program, const char* path, char* out, size_t size) {
  const char* at = strstr(path, "{rank}");
  if (at == NULL) {
    (void)snprintf(out, size, "%s", path);
    return 0;
  }
  (void)snprintf(out, size, "%.*s%d%s", (int)(at - path), path, program->rank, at + 6);
  return 1;
}

static int program_load(program_t* program, fiar_weights_t* weights, int whole, int i, void* to) {
  const tensor_t* tensor = &program_tensors[i];
  int64_t shape[MAX_DIMS + 1];
  for (int k = 0; k < tensor->rank; ++k) {
    shape[k] = program_dimension(program, tensor, k);
  }
  fiar_weight_params params = {.struct_size = sizeof params,
                               .name = tensor->name,
                               .shape = shape,
                               .rank = tensor->rank,
                               .shard_dim = whole ? tensor->shard_dim : -1,
                               .dtype = tensor->dtype};
  return fiar_weights_load(program->comm, weights, &params, to) == FIAR_OK ||
         program_fail(tensor->name);
}

static int program_open_file(program_t* program, const char* path, fiar_weights_t** out,
                             int* out_whole) {
  char name[4096];
  *out_whole = !program_expand(program, path, name, sizeof name);
  return fiar_weights_open(name, out) == FIAR_OK || program_fail(path);
}

static int program_make_inputs(program_t* program) {
  fiar_weights_t* weights = NULL;
  int whole = 0, good = 1;
  if (program->inputs != NULL && !program_open_file(program, program->inputs, &weights, &whole)) {
    return 0;
  }
  for (int i = 0; i < ARGUMENTS && good; ++i) {
    good = weights == NULL ? program_make(program, i)
                           : program_load(program, weights, whole, i, program->tensors[i]);
  }
  fiar_weights_close(weights);
  return good;
}

// ---- results ----

static double program_number_at(const tensor_t* tensor, const unsigned char* data, uint64_t i) {
  uint32_t bits = 0;
  float value;
  if (tensor->dtype == FIAR_ELEMENT_F32) {
    memcpy(&value, data + 4 * i, sizeof value);
  } else {
    bits = (uint32_t)(data[2 * i] | data[2 * i + 1] << 8) << 16;
    memcpy(&value, &bits, sizeof value);
  }
  return value;
}

// Bit patterns as integers in the order of their values.
static int64_t program_ordered(const tensor_t* tensor, const unsigned char* data, uint64_t i) {
  int64_t bits = 0, sign;
  unsigned size = tensor->dtype == FIAR_ELEMENT_F32    ? 4
                  : tensor->dtype <= FIAR_ELEMENT_BF16 ? 2
                                                       : 1;
  for (unsigned k = 0; k < size; ++k) {
    bits |= (int64_t)data[i * size + k] << (8 * k);
  }
  sign = (int64_t)1 << (8 * size - 1);
  return bits & sign ? -(bits & ~sign) : bits;
}

static int program_compare(const program_t* program, const tensor_t* tensor,
                           const unsigned char* have, const unsigned char* want) {
  unsigned size = tensor->dtype == FIAR_ELEMENT_F32    ? 4
                  : tensor->dtype <= FIAR_ELEMENT_BF16 ? 2
                                                       : 1;
  uint64_t count = program_bytes_of(program, tensor) / size, differ = 0;
  int64_t most = 0;
  double error = 0, largest = 0;
  int measured = tensor->dtype == FIAR_ELEMENT_F32 || tensor->dtype == FIAR_ELEMENT_BF16;
  for (uint64_t i = 0; i < count; ++i) {
    int64_t apart = llabs(program_ordered(tensor, have, i) - program_ordered(tensor, want, i));
    differ += apart != 0;
    most = apart > most ? apart : most;
    if (measured) {
      double a = program_number_at(tensor, have, i), b = program_number_at(tensor, want, i);
      error = fabs(a - b) > error || a - b != a - b ? fabs(a - b) : error;
      largest = fabs(b) > largest ? fabs(b) : largest;
    }
  }
  printf("rank %d: %s: %" PRIu64 " of %" PRIu64
         " values differ from those expected, at most by %" PRId64 " ulps",
         program->rank, tensor->name, differ, count, most);
  if (measured) {
    printf(", by %.3g where the largest is %.3g", error, largest);
  }
  printf("\n");
  // Near zero an ulp is tiny: there a difference counts against the largest value.
  return program->max_ulps < 0 || most <= program->max_ulps ||
         (measured && error <= (double)program->max_ulps * ldexp(largest, -8));
}

static uint64_t program_checksum(const unsigned char* data, uint64_t bytes) {
  uint64_t sum = 0xCBF29CE484222325u;
  for (uint64_t i = 0; i < bytes; ++i) {
    sum = (sum ^ data[i]) * 0x100000001B3u;
  }
  return sum;
}

static int program_write_file(const program_t* program, unsigned char* const* results) {
  static const char* const types[] = {
      [FIAR_ELEMENT_F16] = "F16",      [FIAR_ELEMENT_BF16] = "BF16",    [FIAR_ELEMENT_F32] = "F32",
      [FIAR_ELEMENT_E4M3] = "F8_E4M3", [FIAR_ELEMENT_E5M2] = "F8_E5M2", [FIAR_ELEMENT_E2M1] = "F4",
      [FIAR_ELEMENT_BYTE] = "U8"};
  enum { ROOM = 400 };  // for what a tensor has besides its name
  char path[4096];
  size_t length = 0, room = 16;
  uint64_t begin = 0;
  (void)program_expand(program, program->save, path, sizeof path);
  for (int i = ARGUMENTS; i < TENSORS; ++i) {
    room += strlen(program_tensors[i].name) + ROOM;
  }
  char* header = malloc(room);
  if (header == NULL) {
    fprintf(stderr, "%s: out of memory\n", BLOCK_NAME);
    return 0;
  }
  header[length] = '\0';
  for (int i = ARGUMENTS; i < TENSORS; ++i) {
    const tensor_t* tensor = &program_tensors[i];
    uint64_t end = begin + program_bytes_of(program, tensor);
    length +=
        (size_t)snprintf(header + length, room - length, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                         i > ARGUMENTS ? "," : "{", tensor->name, types[tensor->dtype]);
    for (int k = 0; k < tensor->rank; ++k) {
      length += (size_t)snprintf(header + length, room - length, "%s%" PRId64, k > 0 ? "," : "",
                                 program_dimension(program, tensor, k));
    }
    length += (size_t)snprintf(header + length, room - length,
                               "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}%s", begin, end,
                               i == TENSORS - 1 ? "}" : "");
    begin = end;
  }
  for (; length % 8 != 0; ++length) {
    header[length] = ' ';
  }
  FILE* file = fopen(path, "wb");
  uint64_t size = length;
  int good = file != NULL && fwrite(&size, sizeof size, 1, file) == 1 &&
             fwrite(header, 1, length, file) == length;
  for (int i = ARGUMENTS; i < TENSORS && good; ++i) {
    size_t bytes = (size_t)program_bytes_of(program, &program_tensors[i]);
    good = fwrite(results[i - ARGUMENTS], 1, bytes, file) == bytes;
  }
  good = (file == NULL || fclose(file) == 0) && good;
  free(header);
  if (!good) {
    fprintf(stderr, "%s: cannot write %s: %s\n", BLOCK_NAME, path, strerror(errno));
  }
  return good;
}

static int program_compare_all(program_t* program, unsigned char* const* results) {
  fiar_weights_t* weights = NULL;
  int whole, good = program_open_file(program, program->expect, &weights, &whole), same = 1;
  for (int i = ARGUMENTS; i < TENSORS && good; ++i) {
    uint64_t bytes = program_bytes_of(program, &program_tensors[i]);
    unsigned char* want = malloc(bytes + 1);
    void* there = program->tensors[i];  // read already, so its memory may be used
    good = want != NULL && program_load(program, weights, whole, i, there) &&
           fiar_rt_read(program->comm, 0, want, there, bytes, NULL) == FIAR_OK;
    same =
        good && program_compare(program, &program_tensors[i], results[i - ARGUMENTS], want) && same;
    free(want);
  }
  fiar_weights_close(weights);
  return good && same;
}

static int program_show_results(program_t* program) {
  unsigned char* results[TENSORS - ARGUMENTS + 1] = {NULL};
  int good = 1;
  for (int i = ARGUMENTS; i < TENSORS && good; ++i) {
    uint64_t bytes = program_bytes_of(program, &program_tensors[i]);
    unsigned char* data = results[i - ARGUMENTS] = malloc(bytes + 1);
    good = data != NULL &&
           (fiar_rt_read(program->comm, 0, data, program->tensors[i], bytes, NULL) == FIAR_OK ||
            program_fail(program_tensors[i].name));
    if (good) {
      printf("rank %d: %s: %" PRIu64 " bytes, checksum %016" PRIx64 "\n", program->rank,
             program_tensors[i].name, bytes, program_checksum(data, bytes));
    }
  }
  good = good && (program->save == NULL || program_write_file(program, results));
  good = good && (program->expect == NULL || program_compare_all(program, results));
  for (int i = ARGUMENTS; i < TENSORS; ++i) {
    free(results[i - ARGUMENTS]);
  }
  return good;
}

// ---- the run ----

static int program_allocate(program_t* program) {
  for (int i = 0; i < TENSORS; ++i) {
    uint64_t bytes = program_bytes_of(program, &program_tensors[i]);
    if (fiar_rt_arena_create(program->comm, 0, bytes > 0 ? bytes : 1, &program->tensors[i]) !=
        FIAR_OK) {
      return program_fail(program_tensors[i].name);
    }
  }
  return (PACKED_BYTES == 0 ||
          fiar_rt_arena_create(program->comm, 0, PACKED_BYTES, &program->packed) == FIAR_OK ||
          program_fail("packed weights")) &&
         (ARENA_BYTES == 0 ||
          fiar_rt_arena_create(program->comm, 0, ARENA_BYTES, &program->arena) == FIAR_OK ||
          program_fail("arena"));
}

static int program_run(program_t* program) {
  if (!program_allocate(program) || !program_make_inputs(program)) {
    return 0;
  }
  if (program_pack(program->tensors, program->packed, program->comm) != FIAR_OK) {
    return program_fail("packing the weights");
  }
  for (long step = 0; step < program->steps; ++step) {
    if (program_call(program->tokens, program->tensors, program->packed, program->arena,
                     program->comm) != FIAR_OK) {
      return program_fail("step");
    }
  }
  return (fiar_rt_wait(program->comm, 0, NULL) == FIAR_OK || program_fail("step")) &&
         program_show_results(program);
}

static void program_finish(program_t* program) {
  for (int i = 0; i < TENSORS && program->comm != NULL; ++i) {
    (void)fiar_rt_arena_destroy(program->comm, 0, program->tensors[i]);
  }
  if (program->comm != NULL) {
    (void)fiar_rt_arena_destroy(program->comm, 0, program->packed);
    (void)fiar_rt_arena_destroy(program->comm, 0, program->arena);
  }
  fiar_comm_destroy(program->comm);
}

static void program_usage(FILE* out) {
  fprintf(
      out,
      "usage: %s [options], as %d ranks (fiar-run -n %d, torchrun, mpirun, srun)\n"
      "  --inputs FILE   safetensors with the arguments by name: whole tensors, of which each rank\n"
      "                  takes its part, or with {rank} in FILE a file for each rank\n"
      "                  (without: numbers made from the seed)\n"
      "  --seed N        for made inputs (1)\n"
      "  --tokens N      rows, where they may vary: at most %lld (so many)\n"
      "  --steps N       how often the block runs (1)\n"
      "  --save FILE     the results as safetensors; {rank} as above\n"
      "  --expect FILE   compare the results with these\n"
      "  --max-ulps N    and fail where one is further off than this, or N/256 of the largest\n"
      "  --host          compute on the host, also where there is a GPU\n"
      "tensors:\n",
      BLOCK_NAME, BLOCK_WORLD, BLOCK_WORLD, (long long)MAX_TOKENS);
  for (int i = 0; i < TENSORS; ++i) {
    fprintf(out, "  %s %s: %s\n", i < ARGUMENTS ? "argument" : "result", program_tensors[i].name,
            program_tensors[i].text);
  }
}

static int program_take_options(program_t* program, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const char* option = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : NULL;
    char* end = NULL;
    if (strcmp(option, "--help") == 0) {
      program_usage(stdout);
      exit(0);
    }
    if (strcmp(option, "--host") == 0) {
      program->host = 1;
      continue;
    }
    long number = value != NULL ? strtol(value, &end, 10) : 0;
    int is_number = value != NULL && end != value && *end == '\0' && number >= 0;
    int known = 1;
    if (value == NULL) {
      known = 0;
    } else if (strcmp(option, "--inputs") == 0) {
      program->inputs = value;
    } else if (strcmp(option, "--save") == 0) {
      program->save = value;
    } else if (strcmp(option, "--expect") == 0) {
      program->expect = value;
    } else if (strcmp(option, "--seed") == 0 && is_number) {
      program->seed = number;
    } else if (strcmp(option, "--steps") == 0 && is_number) {
      program->steps = number;
    } else if (strcmp(option, "--max-ulps") == 0 && is_number) {
      program->max_ulps = number;
    } else if (strcmp(option, "--tokens") == 0 && is_number && number <= MAX_TOKENS) {
      program->tokens = number;
    } else {
      known = 0;
    }
    if (!known) {
      fprintf(stderr, "%s: %s %s is no option with a value that it takes; --help lists them\n",
              BLOCK_NAME, option, value == NULL ? "" : value);
      return 0;
    }
    ++i;
  }
  return 1;
}

int main(int argc, char** argv) {
  program_t program = {.steps = 1, .seed = 1, .max_ulps = -1, .tokens = MAX_TOKENS};
  if (!program_take_options(&program, argc, argv)) {
    return 2;
  }
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = program.host ? FIAR_DEVICE_NONE : FIAR_DEVICE_AUTO;
  if (fiar_comm_create_from_env(&options, &program.comm) != FIAR_OK) {
    (void)program_fail("no communicator");
    return 1;
  }
  program.rank = fiar_comm_rank(program.comm);
  program.world = fiar_comm_world(program.comm);
  int good = program_run(&program);
  if (good && program.rank == 0) {
    printf("%s: %ld step%s on %d rank%s, backend %s\n", BLOCK_NAME, program.steps,
           program.steps == 1 ? "" : "s", program.world, program.world == 1 ? "" : "s",
           fiar_comm_backend(program.comm));
  }
  program_finish(&program);
  return good ? 0 : 1;
}
