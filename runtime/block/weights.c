// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A model's weights: a safetensors file, mapped once, whose tensors are copied to where the rank
// computes.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "block/safetensors.h"
#include "comm/comm.h"
#include "extent.h"
#include "host/reference.h"

struct fiar_weights {
  char* path;
  unsigned char* file;
  size_t bytes;
  fiar_tensor_table_t table;
};

#define X(name, value, text, bits) [value] = text,
static const char* const elements[] = {FIAR_ELEMENT_TABLE(X)};
#undef X

// ---- The file ----

static fiar_status_t map_file(fiar_weights_t* weights) {
  const int fd = open(weights->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return FIAR_FAIL(SYSTEM_ERROR, "open: %s", strerror(errno));
  }
  struct stat about;
  fiar_status_t status = FIAR_OK;
  if (fstat(fd, &about) != 0) {
    status = FIAR_FAIL(SYSTEM_ERROR, "fstat: %s", strerror(errno));
  } else if (!S_ISREG(about.st_mode) || about.st_size == 0) {
    status = FIAR_FAIL(INVALID_ARGUMENT, "it is no file, or an empty one");
  } else {
    weights->bytes = (size_t)about.st_size;
    void* file = mmap(NULL, weights->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file == MAP_FAILED) {
      status = FIAR_FAIL(SYSTEM_ERROR, "mmap of %zu bytes: %s", weights->bytes, strerror(errno));
    } else {
      weights->file = file;
    }
  }
  (void)close(fd);
  return status;
}

fiar_status_t fiar_weights_open(const char* path, fiar_weights_t** out_weights) {
  FIAR_NOT_NULL(out_weights);
  *out_weights = NULL;
  if (!path) {
    return FIAR_FAIL(INVALID_ARGUMENT, "path is NULL");
  }
  fiar_weights_t* weights = calloc(1, sizeof *weights);
  char* copy = strdup(path);
  if (!weights || !copy) {
    free(weights);
    free(copy);
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *weights);
  }
  weights->path = copy;
  fiar_status_t status = FIAR_OK;
  FIAR_TRY_DONE(map_file(weights));
  FIAR_TRY_DONE(fiar_safetensors_parse(weights->file, weights->bytes, &weights->table));
  *out_weights = weights;
  return FIAR_OK;
done:
  status = fiar_annotate(status, "%s", path);
  fiar_weights_close(weights);
  return status;
}

void fiar_weights_close(fiar_weights_t* weights) {
  if (!weights) {
    return;
  }
  fiar_safetensors_free(&weights->table);
  if (weights->file) {
    (void)munmap(weights->file, weights->bytes);
  }
  free(weights->path);
  free(weights);
}

// ---- A tensor ----

static void print_shape(const int64_t* shape, int32_t rank, char* text, size_t room) {
  size_t used = (size_t)snprintf(text, room, "[");
  for (int32_t i = 0; i < rank && used < room; ++i) {
    used += (size_t)snprintf(text + used, room - used, "%s%lld", i > 0 ? ", " : "",
                             (long long)shape[i]);
  }
  if (used < room) {
    (void)snprintf(text + used, room - used, "]");
  }
}

static fiar_status_t check_wanted(const fiar_weight_params* params) {
  if (!params->name) {
    return FIAR_FAIL(INVALID_ARGUMENT, "name is NULL");
  }
  if (params->rank < 0 || params->rank > FIAR_TENSOR_MAX_RANK) {
    return FIAR_FAIL(INVALID_ARGUMENT, "rank is %d, must be 0 to %d", params->rank,
                     FIAR_TENSOR_MAX_RANK);
  }
  if (params->rank > 0 && !params->shape) {
    return FIAR_FAIL(INVALID_ARGUMENT, "shape is NULL, with rank %d", params->rank);
  }
  if (params->shard_dim < -1 || params->shard_dim >= params->rank) {
    return FIAR_FAIL(INVALID_ARGUMENT, "shard_dim is %d, must be -1 or below rank = %d",
                     params->shard_dim, params->rank);
  }
  if (fiar_element_bits(params->dtype) == 0) {
    return FIAR_FAIL(INVALID_ARGUMENT, "dtype is %u, must be a type of FIAR_ELEMENT_TABLE",
                     params->dtype);
  }
  if (params->transposed > 1 ||
      (params->transposed == 1 && (params->rank != 2 || params->dtype == FIAR_ELEMENT_E2M1))) {
    return FIAR_FAIL(INVALID_ARGUMENT, "transposed is %u, with rank %d and dtype %s",
                     params->transposed, params->rank, elements[params->dtype]);
  }
  return FIAR_OK;
}

// Does the file's tensor hold what is wanted?
static fiar_status_t check_tensor(const fiar_weight_params* params, int32_t world,
                                  const fiar_tensor_entry_t* found) {
  const bool packed = params->dtype == FIAR_ELEMENT_E2M1 && found->bits == 8;
  const bool same = found->element == params->dtype ||
                    (params->dtype == FIAR_ELEMENT_BYTE && found->bits == 8) ||
                    (packed && found->element == FIAR_ELEMENT_BYTE);
  if (!same) {
    return FIAR_FAIL(INVALID_ARGUMENT, "its dtype is %s, wanted is %s", found->type,
                     elements[params->dtype]);
  }
  int64_t whole[FIAR_TENSOR_MAX_RANK] = {0};
  bool fits = found->rank == params->rank;
  for (int32_t i = 0; i < params->rank; ++i) {
    const bool overflows =
        __builtin_mul_overflow(params->shape[i], i == params->shard_dim ? world : 1, &whole[i]);
    const int64_t stored =
        packed && i == params->rank - 1 && whole[i] % 2 == 0 ? whole[i] / 2 : whole[i];
    fits = fits && !overflows && params->shape[i] >= 0 && found->shape[i] == stored;
  }
  const bool halves = params->dtype == FIAR_ELEMENT_E2M1 && params->rank > 0 &&
                      params->shape[params->rank - 1] % 2 != 0;
  if (fits && !halves) {
    return FIAR_OK;
  }
  char has[128], wants[128];
  print_shape(found->shape, found->rank, has, sizeof has);
  print_shape(whole, params->rank, wants, sizeof wants);
  return FIAR_FAIL(INVALID_ARGUMENT, "its shape is %s of %s, wanted is %s of %s%s", has,
                   found->type, wants, elements[params->dtype],
                   halves ? ", whose last dimension must be even" : "");
}

// The rank's part of the tensor is `count` pieces of `piece` bytes, `step` apart.
typedef struct part {
  const unsigned char* from;
  size_t count, piece, step;
} part_t;

static part_t part_of(const fiar_weight_params* params, int32_t rank, int32_t world,
                      const fiar_tensor_entry_t* found) {
  part_t part = {found->data, 1, (size_t)found->bytes, (size_t)found->bytes};
  if (params->shard_dim >= 0 && found->bytes > 0) {
    for (int32_t i = 0; i < params->shard_dim; ++i) {
      part.count *= (size_t)params->shape[i];
    }
    part.step /= part.count;
    part.piece = part.step / (size_t)world;
    part.from += (size_t)rank * part.piece;
  }
  return part;
}

static void gather(const part_t* part, unsigned char* to) {
  for (size_t i = 0; i < part->count; ++i) {
    memcpy(to + i * part->piece, part->from + i * part->step, part->piece);
  }
}

static void transpose(const fiar_weight_params* params, const void* from, void* to) {
  const fiar_copy_params copy = {.input = from,
                                 .out = to,
                                 .rows = params->shape[0],
                                 .cols = params->shape[1],
                                 .input_stride = params->shape[1],
                                 .out_stride = params->shape[0],
                                 .in_dtype = params->dtype,
                                 .out_dtype = params->dtype,
                                 .transposed = 1};
  fiar_reference_copy(&copy);
}

static fiar_status_t load_part(fiar_comm_t* comm, const fiar_weight_params* params,
                               const part_t* part, void* to) {
  const fiar_compute_t* compute = fiar_compute_of(comm);
  const size_t bytes = part->count * part->piece;
  if (bytes == 0) {
    return FIAR_OK;
  }
  if (part->count == 1 && !params->transposed) {
    return compute->write(comm, to, part->from, bytes, NULL);
  }
  unsigned char* room = malloc(2 * bytes);
  if (!room) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", 2 * bytes);
  }
  gather(part, room);
  if (params->transposed) {
    transpose(params, room, room + bytes);
  }
  const fiar_status_t status =
      compute->write(comm, to, params->transposed ? room + bytes : room, bytes, NULL);
  free(room);
  return status;
}

fiar_status_t fiar_weights_load(fiar_comm_t* comm, const fiar_weights_t* weights,
                                const fiar_weight_params* params, void* to) {
  fiar_weight_params wanted;
  FIAR_TRY(FIAR_STRUCT_TAKE(fiar_weight_params, params, &wanted));
  FIAR_TRY(check_wanted(&wanted));
  if (!weights || !to) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s is NULL, for tensor \"%s\"", weights ? "to" : "weights",
                     wanted.name);
  }
  FIAR_TRY(fiar_comm_alone(comm, wanted.group, &comm));
  const fiar_tensor_entry_t* found = fiar_safetensors_find(&weights->table, wanted.name);
  if (!found) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s: it has no tensor \"%s\"", weights->path, wanted.name);
  }
  fiar_status_t status = check_tensor(&wanted, comm->world, found);
  if (status == FIAR_OK) {
    const part_t part = part_of(&wanted, comm->rank, comm->world, found);
    status = load_part(comm, &wanted, &part, to);
  }
  return status == FIAR_OK ? FIAR_OK
                           : fiar_annotate(status, "%s: tensor \"%s\"", weights->path, wanted.name);
}
