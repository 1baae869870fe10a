// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar_rt_all_reduce and fiar_rt_all_gather_rows on a backend, with integer data: every sum is
// exact.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"
#include "host/reference.h"

enum { MOST_TOKENS = 33, MOST_HIDDEN = 192 };

typedef struct plain {
  const conformance_backend_t* backend;
  fiar_comm_t* comm;
  int64_t tokens, hidden;
  uint8_t dtype;
  size_t bytes;        // of [tokens, hidden]
  void *host, *other;  // room for the largest array
} plain_t;

typedef struct request {
  fiar_comm_t* comm;
  const void* in;
  void* out;
  int64_t tokens, hidden;
  uint8_t dtype;
} request_t;

static fiar_status_t enqueue_all_reduce(void* context, void* stream) {
  const request_t* r = context;
  return fiar_rt_all_reduce(r->comm, 0, r->in, r->out, r->tokens, r->hidden, r->dtype, stream);
}

static fiar_status_t enqueue_gather(void* context, void* stream) {
  const request_t* r = context;
  return fiar_rt_all_gather_rows(r->comm, 0, r->in, r->out, r->tokens, r->hidden, r->dtype, stream);
}

static float partial_sum(int32_t rank, int64_t i) {
  return (float)((i * 7 + (int64_t)rank * 3) % 17 - 8);
}

static float row_value(int64_t token, int64_t i) {
  return (float)((token * 31 + i) % 251 - 125);
}

static int wrong(const plain_t* plain, const char* call, const char* what) {
  (void)fprintf(stderr, "rank %d: %s of [%lld, %lld], dtype %u: %s\n", fiar_comm_rank(plain->comm),
                call, (long long)plain->tokens, (long long)plain->hidden, plain->dtype, what);
  return 1;
}

// Compares [tokens, hidden] at `at` with the host room's.
static int expect_host(const plain_t* plain, const char* call, const void* at) {
  plain->backend->memory->read(plain->other, at, plain->bytes);
  return memcmp(plain->host, plain->other, plain->bytes) == 0
             ? 0
             : wrong(plain, call, "not the sums or rows expected");
}

static int outcome(const plain_t* plain, const char* call, fiar_status_t status) {
  return status == FIAR_OK || status == FIAR_UNSUPPORTED ? 0
                                                         : wrong(plain, call, fiar_last_error());
}

static int check_all_reduce(const plain_t* plain) {
  const conformance_memory_t* memory = plain->backend->memory;
  const int32_t world = fiar_comm_world(plain->comm);
  const int64_t count = plain->tokens * plain->hidden;
  void* in = memory->allocate(plain->bytes);
  void* out = memory->allocate(plain->bytes);
  for (int64_t i = 0; i < count; ++i) {
    fiar_store(plain->host, plain->dtype, i, partial_sum(fiar_comm_rank(plain->comm), i));
  }
  memory->write(in, plain->host, plain->bytes);
  for (int64_t i = 0; i < count; ++i) {
    float sum = 0;
    for (int32_t rank = 0; rank < world; ++rank) {
      sum += partial_sum(rank, i);
    }
    fiar_store(plain->host, plain->dtype, i, sum);
  }
  int errors = 0;
  void* const outs[] = {out, in};  // then in place
  for (int i = 0; i < 2; ++i) {
    request_t request = {plain->comm, in, outs[i], plain->tokens, plain->hidden, plain->dtype};
    const fiar_status_t status = memory->issue(enqueue_all_reduce, &request);
    errors += outcome(plain, "all-reduce", status);
    errors += status == FIAR_OK ? expect_host(plain, "all-reduce", outs[i]) : 0;
  }
  memory->release(in);
  memory->release(out);
  return errors;
}

static int check_gather(const plain_t* plain) {
  const conformance_memory_t* memory = plain->backend->memory;
  const int32_t world = fiar_comm_world(plain->comm), rank = fiar_comm_rank(plain->comm);
  const int64_t own = (plain->tokens + world - 1) / world;
  const size_t own_bytes = (size_t)(own * plain->hidden) * fiar_dtype_bytes(plain->dtype);
  void* rows = memory->allocate(own_bytes);
  void* out = memory->allocate(plain->bytes);
  for (int64_t i = 0; i < own * plain->hidden; ++i) {
    const int64_t token = i / plain->hidden * world + rank;
    fiar_store(plain->host, plain->dtype, i, row_value(token, i % plain->hidden));
  }
  memory->write(rows, plain->host, own_bytes);
  for (int64_t i = 0; i < plain->tokens * plain->hidden; ++i) {
    fiar_store(plain->host, plain->dtype, i, row_value(i / plain->hidden, i % plain->hidden));
  }
  request_t request = {plain->comm, rows, out, plain->tokens, plain->hidden, plain->dtype};
  const fiar_status_t status = memory->issue(enqueue_gather, &request);
  int errors = outcome(plain, "gather of rows", status);
  errors += status == FIAR_OK ? expect_host(plain, "gather of rows", out) : 0;
  memory->release(rows);
  memory->release(out);
  return errors;
}

int conformance_check_plain(const conformance_backend_t* backend, fiar_comm_t* comm) {
  static const int64_t tokens[] = {1, 2, 7, MOST_TOKENS}, hidden[] = {8, MOST_HIDDEN};
  // A shard is padded to whole rows, so it may be larger than the whole.
  const size_t room = sizeof(float) * (MOST_TOKENS + 1) * MOST_HIDDEN;
  plain_t plain = {.backend = backend, .comm = comm, .host = malloc(room), .other = malloc(room)};
  int errors = plain.host && plain.other ? 0 : wrong(&plain, "the test", "out of memory");
  for (int i = 0; i < 24 && errors == 0; ++i) {
    plain.tokens = tokens[i % 4];
    plain.hidden = hidden[i / 4 % 2];
    plain.dtype = (uint8_t)(FIAR_DTYPE_F16 + i / 8);
    plain.bytes = (size_t)(plain.tokens * plain.hidden) * fiar_dtype_bytes(plain.dtype);
    errors += check_all_reduce(&plain);
    errors += check_gather(&plain);
  }
  free(plain.host);
  free(plain.other);
  return errors;
}
