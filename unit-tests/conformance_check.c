// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// One case on one rank: the call on guarded, poisoned arrays against the reference, byte for byte
// where the numerics promise bytes.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"
#include "host/reference.h"
#include "residual.h"

enum { GUARD_BYTE = 0xA5, POISON = 0xCD };
static const size_t guard_bytes = 256;  // bytes before and after each array

// ---- Data ----

static uint32_t hash(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t h = a * 0x9E3779B1u ^ b * 0x85EBCA77u ^ c * 0xC2B2AE3Du;
  h = (h ^ h >> 15) * 0x2C1B3C6Du;
  h = (h ^ h >> 12) * 0x297A2D39u;
  return h ^ h >> 15;
}

// Rows of ordinary values, and among them rows of zeros, of a lone NaN or Inf, of negative zeros.
static float special_value(uint32_t h, int64_t row, int64_t column) {
  static const float lone[] = {NAN, INFINITY, -INFINITY, 65504.0f, 1e-40f, -0.0f};
  switch (row % 4) {
    case 0:
      return column == (int64_t)(h % 7) ? lone[h / 7 % 6] : (float)(h % 1000) / 300;
    case 1:
      return -0.0f;
    case 2:
      return h % 5 == 0 ? -0.0f : (float)((int)(h % 17) - 8) / 64;
    default:
      return h % 31 == 0 ? 900.0f : (float)(h % 255) / 4096;
  }
}

static float value_of(data_kind_t kind, uint8_t dtype, uint32_t h, int64_t row, int64_t column) {
  const float random = (float)((int)(h % 65536) - 32768) / 8192;
  const float tiny = dtype == FIAR_DTYPE_F16 ? 1e-6f : 1e-38f;
  const float huge = dtype == FIAR_DTYPE_F16 ? 9000.0f : 1e37f;
  switch (kind) {
    case DATA_INTEGERS:
      return (float)((int)(h % 17) - 8);
    case DATA_SPECIAL:
      return special_value(h, row, column);
    case DATA_TINY:
      return random * tiny;
    case DATA_HUGE:
      return random * huge;
    default:
      return random;
  }
}

static void fill(void* array, uint8_t dtype, int64_t rows, int64_t columns, int64_t stride,
                 data_kind_t kind, uint32_t seed, uint32_t which) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      const uint32_t h = hash(seed, which, (uint32_t)(row * columns + column));
      fiar_store(array, dtype, row * stride + column, value_of(kind, dtype, h, row, column));
    }
  }
}

// ---- Arrays ----

typedef struct array {
  const char* name;
  unsigned char* host;    // what the reference reads, or expects in the end
  unsigned char* device;  // guard_bytes bytes before and after the array
  size_t bytes;
} array_t;

enum { INPUT, RESIDUAL, WEIGHT, SCALE, SUM, RESIDUAL_OUT, NORM, CODES, SCALES, ARRAYS };

typedef struct bench {
  const conformance_backend_t* backend;
  fiar_comm_t* comm;
  const conformance_case_t* item;
  size_t number;
  fiar_all_reduce_norm_params params;  // strides set
  array_t arrays[ARRAYS];
  void* inputs[FIAR_MAX_WORLD];
  void* residuals[FIAR_MAX_WORLD];
  int wrong;
} bench_t;

static void* must_allocate(size_t bytes) {
  void* room = malloc(bytes ? bytes : 1);
  if (!room) {
    (void)fprintf(stderr, "no memory for %zu bytes\n", bytes);
    exit(2);
  }
  return room;
}

static void complain(bench_t* bench, const char* what, const char* array) {
  char text[400];
  conformance_describe(bench->item, text, sizeof text);
  (void)fprintf(stderr, "rank %d: case %zu: %s: %s\n  %s\n", fiar_comm_rank(bench->comm),
                bench->number, array, what, text);
  ++bench->wrong;
}

// Starts as `content`, or poisoned where that is NULL.
static void place(bench_t* bench, int index, const char* name, size_t bytes, const void* content) {
  array_t* array = &bench->arrays[index];
  *array = (array_t){name, must_allocate(bytes), NULL, bytes};
  if (content) {
    memcpy(array->host, content, bytes);
  } else {
    memset(array->host, POISON, bytes);
  }
  unsigned char* guarded = must_allocate(bytes + 2 * guard_bytes);
  memset(guarded, GUARD_BYTE, bytes + 2 * guard_bytes);
  memcpy(guarded + guard_bytes, array->host, bytes);
  array->device = bench->backend->memory->allocate(bytes + 2 * guard_bytes);
  bench->backend->memory->write(array->device, guarded, bytes + 2 * guard_bytes);
  free(guarded);
}

static void* device_of(const bench_t* bench, int index) {
  const array_t* array = &bench->arrays[index];
  return array->device ? array->device + guard_bytes : NULL;
}

// The array as it is now, on the host; the caller frees it. Complains where a guard was written to.
static unsigned char* fetch(bench_t* bench, int index) {
  const array_t* array = &bench->arrays[index];
  unsigned char* guarded = must_allocate(array->bytes + 2 * guard_bytes);
  bench->backend->memory->read(guarded, array->device, array->bytes + 2 * guard_bytes);
  for (size_t i = 0; i < guard_bytes; ++i) {
    if (guarded[i] != GUARD_BYTE || guarded[guard_bytes + array->bytes + i] != GUARD_BYTE) {
      complain(bench, "written outside its bounds", array->name);
      break;
    }
  }
  memmove(guarded, guarded + guard_bytes, array->bytes);
  return guarded;
}

static int64_t shard_rows(const bench_t* bench) {
  return fiar_residual_rows(bench->params.residual_layout, bench->params.tokens,
                            fiar_comm_world(bench->comm));
}

static size_t strided(int64_t rows, int64_t stride, int64_t columns, size_t element) {
  return rows == 0 ? 0 : (size_t)((rows - 1) * stride + columns) * element;
}

static void make_inputs(bench_t* bench) {
  const conformance_case_t* item = bench->item;
  const fiar_all_reduce_norm_params* p = &bench->params;
  const int32_t world = fiar_comm_world(bench->comm), rank = fiar_comm_rank(bench->comm);
  const data_kind_t kind = bench->backend->any_order ? DATA_INTEGERS : item->data;
  const size_t element = fiar_dtype_bytes(p->dtype),
               weight_element = fiar_dtype_bytes(p->weight_dtype);
  const size_t input_bytes = strided(p->tokens, p->input_stride, p->hidden, element);
  const size_t residual_bytes = strided(shard_rows(bench), p->residual_stride, p->hidden, element);
  const uint32_t seed = (uint32_t)bench->number;
  for (int32_t r = 0; r < world; ++r) {
    // A full residual is the same on every rank.
    const bool sharded = fiar_residual_is_sharded(p->residual_layout);
    const uint32_t owner = sharded ? 1000 + (uint32_t)r : 1000;
    bench->inputs[r] = must_allocate(input_bytes);
    bench->residuals[r] = must_allocate(residual_bytes);
    memset(bench->inputs[r], POISON, input_bytes);
    memset(bench->residuals[r], POISON, residual_bytes);
    fill(bench->inputs[r], p->dtype, p->tokens, p->hidden, p->input_stride, kind, seed,
         (uint32_t)r);
    fill(bench->residuals[r], p->dtype, shard_rows(bench), p->hidden, p->residual_stride, kind,
         seed, owner);
  }
  place(bench, INPUT, "input", input_bytes, bench->inputs[rank]);
  if (item->residual) {
    place(bench, RESIDUAL, "residual", residual_bytes, bench->residuals[rank]);
  }
  if (item->weight) {
    place(bench, WEIGHT, "weight", (size_t)p->hidden * weight_element, NULL);
    array_t* weight = &bench->arrays[WEIGHT];
    fill(weight->host, p->weight_dtype, 1, p->hidden, p->hidden, DATA_RANDOM, seed, 2000);
    bench->backend->memory->write(weight->device + guard_bytes, weight->host, weight->bytes);
  }
  if (item->scale != 0) {
    place(bench, SCALE, "scale", sizeof item->scale, &item->scale);
  }
}

static void make_outputs(bench_t* bench, uint32_t wants) {
  const fiar_all_reduce_norm_params* p = &bench->params;
  const size_t row = (size_t)p->hidden * fiar_dtype_bytes(p->dtype);
  if (wants & WANT_SUM) {
    place(bench, SUM, "sum_out", (size_t)p->tokens * row, NULL);
  }
  if (wants & WANT_RESIDUAL) {
    place(bench, RESIDUAL_OUT, "residual_out", (size_t)shard_rows(bench) * row, NULL);
  }
  if (wants & WANT_NORM) {
    place(bench, NORM, "norm_out", (size_t)p->tokens * row, NULL);
  }
  if (wants & WANT_QUANT) {
    place(bench, CODES, "quant_out", fiar_reference_codes_bytes(p), NULL);
  }
  if (wants & WANT_SCALES) {
    place(bench, SCALES, "scales_out", fiar_reference_scales_bytes(p), NULL);
  }
}

static void release(bench_t* bench, int from) {
  for (int i = from; i < ARRAYS; ++i) {
    free(bench->arrays[i].host);
    if (bench->arrays[i].device) {
      bench->backend->memory->release(bench->arrays[i].device);
    }
    bench->arrays[i] = (array_t){0};
  }
}

// ---- Comparison ----

static void expect_bytes(bench_t* bench, int index, const unsigned char* expected) {
  const array_t* array = &bench->arrays[index];
  unsigned char* actual = fetch(bench, index);
  for (size_t i = 0; i < array->bytes; ++i) {
    if (actual[i] != expected[i]) {
      char text[96];
      (void)snprintf(text, sizeof text, "byte %zu is 0x%02x, expected 0x%02x", i, actual[i],
                     expected[i]);
      complain(bench, text, array->name);
      break;
    }
  }
  free(actual);
}

// Position on the number line of the type's values, so that neighbours differ by 1.
static int64_t place_of(const void* array, uint8_t dtype, int64_t i) {
  int64_t bits, sign;
  if (dtype == FIAR_DTYPE_F32) {
    bits = ((const uint32_t*)array)[i];
    sign = bits >> 31;
    bits &= 0x7FFFFFFF;
  } else {
    bits = ((const uint16_t*)array)[i];
    sign = bits >> 15;
    bits &= 0x7FFF;
  }
  return sign ? -bits : bits;
}

static void expect_norm(bench_t* bench, const unsigned char* actual,
                        const unsigned char* expected) {
  const fiar_all_reduce_norm_params* p = &bench->params;
  // The order of h * root * weight is free after_weight: at the ends of the range one order
  // overflows or loses bits where another does not.
  const bool extreme = bench->item->data == DATA_HUGE || bench->item->data == DATA_TINY;
  if (extreme && bench->backend->ulps_f32 > 0 &&
      p->norm_rounding == FIAR_NORM_ROUNDING_AFTER_WEIGHT) {
    return;
  }
  const int64_t limit = p->dtype == FIAR_DTYPE_F32 ? bench->backend->ulps_f32
                        : p->norm_rounding == FIAR_NORM_ROUNDING_AFTER_WEIGHT
                            ? bench->backend->ulps_after_weight
                            : bench->backend->ulps_before_weight;
  for (int64_t i = 0; i < p->tokens * p->hidden; ++i) {
    const float a = fiar_load(actual, p->dtype, i), b = fiar_load(expected, p->dtype, i);
    const int64_t apart = llabs(place_of(actual, p->dtype, i) - place_of(expected, p->dtype, i));
    if (isnan(a) || isnan(b) ? apart != 0 : apart > limit) {
      char text[128];
      (void)snprintf(text, sizeof text, "[%lld, %lld] is %.9g, expected %.9g within %lld ulps",
                     (long long)(i / p->hidden), (long long)(i % p->hidden), (double)a, (double)b,
                     (long long)limit);
      complain(bench, text, "norm_out");
      return;
    }
  }
}

// ---- The calls ----

typedef struct enqueued {
  bench_t* bench;
  fiar_all_reduce_norm_params params;
} enqueued_t;

static fiar_status_t enqueue(void* context, void* stream) {
  const enqueued_t* enqueued = context;
  return fiar_rt_all_reduce_norm(enqueued->bench->comm, &enqueued->params, stream);
}

static fiar_status_t call(bench_t* bench, bool in_place) {
  const conformance_case_t* item = bench->item;
  fiar_all_reduce_norm_params p = item->params;  // strides as the case says, 0 included
  p.input = device_of(bench, INPUT);
  p.residual = device_of(bench, RESIDUAL);
  p.weight = device_of(bench, WEIGHT);
  p.scale = device_of(bench, SCALE);
  p.sum_out = device_of(bench, SUM);
  p.residual_out = device_of(bench, RESIDUAL_OUT);
  p.norm_out = device_of(bench, NORM);
  p.quant_out = device_of(bench, CODES);
  p.scales_out = device_of(bench, SCALES);
  if (in_place && item->residual_in_place && p.residual_out && p.residual) {
    p.residual_out = device_of(bench, RESIDUAL);
  }
  if (in_place && item->norm_in_place && p.norm_out) {
    p.norm_out = device_of(bench, INPUT);
  }
  enqueued_t enqueued = {bench, p};
  return bench->backend->memory->issue(enqueue, &enqueued);
}

// The reference's outputs, over the poison in the arrays' host copies.
static void expect(bench_t* bench) {
  fiar_all_reduce_norm_params p = bench->params;
  p.weight = bench->arrays[WEIGHT].host;
  p.scale = (const float*)(const void*)bench->arrays[SCALE].host;
  p.sum_out = bench->arrays[SUM].host;
  p.residual_out = bench->arrays[RESIDUAL_OUT].host;
  p.norm_out = bench->arrays[NORM].host;
  p.quant_out = bench->arrays[CODES].host;
  p.scales_out = bench->arrays[SCALES].host;
  const void *inputs[FIAR_MAX_WORLD], *residuals[FIAR_MAX_WORLD];
  memcpy(inputs, bench->inputs, sizeof inputs);
  memcpy(residuals, bench->residuals, sizeof residuals);
  if (fiar_reference_all_reduce_norm(fiar_comm_world(bench->comm), fiar_comm_rank(bench->comm),
                                     inputs, bench->item->residual ? residuals : NULL,
                                     &p) != FIAR_OK) {
    complain(bench, "out of memory", "the reference");
  }
}

// Codes and scales are the host quantiser's of the backend's own norm.
static void expect_codes(bench_t* bench, const unsigned char* norm) {
  fiar_all_reduce_norm_params p = bench->params;
  p.scale = (const float*)(const void*)bench->arrays[SCALE].host;
  p.quant_out = bench->arrays[CODES].host;
  p.scales_out = bench->arrays[SCALES].host;
  if (fiar_reference_quantise(norm, &p) != FIAR_OK) {
    complain(bench, "out of memory", "the reference");
  }
  for (int i = CODES; i <= SCALES; ++i) {
    if (bench->arrays[i].device) {
      expect_bytes(bench, i, bench->arrays[i].host);
    }
  }
}

// Padding rows of a shard and unwritten outputs keep their poison; untouched inputs their values.
static void check_outputs(bench_t* bench) {
  const conformance_case_t* item = bench->item;
  const array_t* arrays = bench->arrays;
  const bool residual_aliased =
      item->residual_in_place && item->residual && arrays[RESIDUAL_OUT].host;
  const bool norm_aliased = item->norm_in_place && arrays[NORM].host;
  for (int i = INPUT; i <= SCALE; ++i) {
    const bool written = (i == INPUT && norm_aliased) || (i == RESIDUAL && residual_aliased);
    if (arrays[i].device && !written) {
      expect_bytes(bench, i, arrays[i].host);
    }
  }
  if (arrays[SUM].device) {
    expect_bytes(bench, SUM, arrays[SUM].host);
  }
  if (residual_aliased) {
    // The padding row, where there is one, keeps the residual it had.
    const int32_t world = fiar_comm_world(bench->comm), rank = fiar_comm_rank(bench->comm);
    const int64_t own =
        fiar_residual_rows_owned(bench->params.residual_layout, bench->params.tokens, rank, world);
    memcpy(arrays[RESIDUAL].host, arrays[RESIDUAL_OUT].host,
           (size_t)(own * bench->params.hidden) * fiar_dtype_bytes(bench->params.dtype));
    expect_bytes(bench, RESIDUAL, arrays[RESIDUAL].host);
  } else if (arrays[RESIDUAL_OUT].device) {
    expect_bytes(bench, RESIDUAL_OUT, arrays[RESIDUAL_OUT].host);
  }
  unsigned char* norm = NULL;
  if (arrays[NORM].device) {
    norm = fetch(bench, norm_aliased ? INPUT : NORM);
    expect_norm(bench, norm, arrays[NORM].host);
  }
  if ((arrays[CODES].device || arrays[SCALES].device) && norm) {
    expect_codes(bench, norm);
  }
  free(norm);
}

static bool succeeded(bench_t* bench, fiar_status_t status, int* out_refused) {
  if (status == FIAR_UNSUPPORTED) {
    *out_refused = 1;
  } else if (status != FIAR_OK) {
    complain(bench, fiar_last_error(), fiar_status_name(status));
  }
  return status == FIAR_OK;
}

// A call that wants codes alone is followed by one that wants the norm, too: same norm, same codes.
static void check_codes_alone(bench_t* bench) {
  unsigned char* alone[2] = {NULL, NULL};
  size_t bytes[2] = {bench->arrays[CODES].bytes, bench->arrays[SCALES].bytes};
  for (int i = 0; i < 2; ++i) {
    alone[i] = bench->arrays[CODES + i].device ? fetch(bench, CODES + i) : NULL;
  }
  release(bench, SUM);
  make_outputs(bench, bench->item->wants | WANT_NORM);
  int refused = 0;
  if (succeeded(bench, call(bench, false), &refused)) {
    unsigned char* norm = fetch(bench, NORM);
    expect_codes(bench, norm);
    free(norm);
    for (int i = 0; i < 2; ++i) {
      if (alone[i] && memcmp(alone[i], bench->arrays[CODES + i].host, bytes[i]) != 0) {
        complain(bench, "differs from the call that wants the norm, too",
                 bench->arrays[CODES + i].name);
      }
    }
  }
  free(alone[0]);
  free(alone[1]);
}

int conformance_check(const conformance_backend_t* backend, fiar_comm_t* comm,
                      const conformance_case_t* item, size_t number, int* out_refused) {
  bench_t bench = {.backend = backend, .comm = comm, .item = item, .number = number};
  *out_refused = 0;
  bench.params = item->params;
  fiar_all_reduce_norm_params* p = &bench.params;
  p->input_stride = p->input_stride ? p->input_stride : p->hidden;
  p->residual_stride = p->residual_stride ? p->residual_stride : p->hidden;
  make_inputs(&bench);
  make_outputs(&bench, item->wants);
  if (succeeded(&bench, call(&bench, true), out_refused)) {
    expect(&bench);
    check_outputs(&bench);
    if ((item->wants & (WANT_QUANT | WANT_SCALES)) && !(item->wants & WANT_NORM)) {
      check_codes_alone(&bench);
    }
  }
  release(&bench, INPUT);
  for (int32_t r = 0; r < fiar_comm_world(comm); ++r) {
    free(bench.inputs[r]);
    free(bench.residuals[r]);
  }
  return bench.wrong;
}
