// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "kernel_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/reference.h"
#include "residual.h"

enum { POISON = 0xA5, GUARD = 256 };

// ---- Random numbers and cases ----

uint32_t random_next(random_t* random) {
  random->state += 0x9E3779B97F4A7C15u;
  uint64_t z = random->state;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return (uint32_t)(z >> 32);
}

uint32_t random_below(random_t* random, uint32_t bound) {
  return (uint32_t)((uint64_t)random_next(random) * bound >> 32);
}

static int one_in(random_t* random, uint32_t n) {
  return random_below(random, n) == 0;
}

static int64_t pick(random_t* random, const int64_t* values, size_t count) {
  return values[random_below(random, (uint32_t)count)];
}
#define PICK(random, ...)                      \
  pick(random, (const int64_t[]){__VA_ARGS__}, \
       sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void pick_format(random_t* random, fiar_all_reduce_norm_params* p) {
  p->quant = (uint8_t)random_below(random, 7);
  p->scale_is = (uint8_t)random_below(random, 2);
  p->scale_min = one_in(random, 2) ? 0.0f : 1e-3f;
  switch (p->quant) {
    case FIAR_QUANT_FP8_GROUP:
      p->scale_type = one_in(random, 2) ? FIAR_SCALE_TYPE_UE8M0 : FIAR_SCALE_TYPE_F32;
      p->group_size = (int32_t)PICK(random, 128, 128, 64, 32, 96, 256, 512);
      if (p->hidden % p->group_size != 0) {
        p->group_size = (int32_t)p->hidden;
      }
      p->scale_layout =
          (uint8_t)PICK(random, FIAR_SCALE_LAYOUT_LINEAR, FIAR_SCALE_LAYOUT_COLUMN_MAJOR);
      break;
    case FIAR_QUANT_NVFP4:
      p->scale_type = FIAR_SCALE_TYPE_E4M3;
      p->scale_layout = (uint8_t)random_below(random, 3);
      break;
    case FIAR_QUANT_MXFP8:
    case FIAR_QUANT_MXFP4:
      p->scale_type = FIAR_SCALE_TYPE_UE8M0;
      p->scale_layout = (uint8_t)random_below(random, 4);
      break;
    default:
      break;
  }
  const int64_t block = fiar_quant_block(p);
  if (block > 0 && p->hidden % block != 0) {
    p->quant = FIAR_QUANT_FP8_TOKEN;
    p->scale_type = p->scale_layout = 0;
  }
}

void case_set_tokens(kernel_case_t* test, int64_t tokens, int world) {
  const bool blocks = test->params.residual_layout == FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK;
  test->params.tokens = blocks ? (tokens + world - 1) / world * world : tokens;
}

kernel_case_t case_random(random_t* random, fiar_dtype_t dtype, int world) {
  kernel_case_t test = {.seed = random_next(random)};
  fiar_all_reduce_norm_params* p = &test.params;
  p->struct_size = sizeof *p;
  p->dtype = (uint8_t)dtype;
  p->weight_dtype = one_in(random, 2) ? (uint8_t)FIAR_DTYPE_F32 : (uint8_t)dtype;
  p->hidden = PICK(random, 64, 72, 128, 512, 1024, 2880, 4096, 4096, 5120, 7168, 8192, 16384);
  p->tokens = PICK(random, 1, 1, 2, 3, 4, 5, 9, 16, 17, 33, 70, 130);
  while (p->tokens > 1 && p->tokens * p->hidden > 200000) {
    p->tokens = (p->tokens + 1) / 2;
  }
  p->eps = one_in(random, 4) ? 1e-5f : 1e-6f;
  p->weight_bias = (float)random_below(random, 2);
  p->norm_input = (uint8_t)random_below(random, 2);
  p->norm_rounding = (uint8_t)random_below(random, 2);
  pick_format(random, p);
  test.algorithm = (fiar_algorithm_t)random_below(random, 4);
  test.wants = (one_in(random, 4) ? CASE_SPECIALS : 0u) | (one_in(random, 3) ? CASE_IN_PLACE : 0u) |
               (one_in(random, 4) ? CASE_NO_RESIDUAL : 0u) |
               (one_in(random, 5) ? CASE_NO_WEIGHT : 0u) | (one_in(random, 3) ? CASE_SUM_OUT : 0u) |
               (one_in(random, 4) ? CASE_PADDED_ROWS : 0u) |
               (one_in(random, 12) ? CASE_SUM_ONLY : 0u);
  if (test.algorithm == FIAR_ALGORITHM_SHARDED) {
    p->residual_layout =
        one_in(random, 2) ? FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK : FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD;
    test.wants &= ~(uint32_t)(CASE_SUM_OUT | CASE_SUM_ONLY);
  }
  case_set_tokens(&test, p->tokens, world);
  if (test.algorithm == FIAR_ALGORITHM_LOCAL && one_in(random, 3)) {
    test.algorithm = FIAR_ALGORITHM_ANY;
  }
  p->input_stride = p->residual_stride = p->hidden;
  if (test.wants & CASE_PADDED_ROWS && !(test.wants & CASE_IN_PLACE)) {
    p->input_stride += 8;
    p->residual_stride += 24;
  }
  test.launch_flags = one_in(random, 2) ? FIAR_LAUNCH_PDL : 0;
  return test;
}

kernel_case_t case_long(fiar_algorithm_t algorithm, fiar_dtype_t dtype, fiar_quant_t quant,
                        uint32_t seed) {
  kernel_case_t test = {.algorithm = algorithm, .seed = seed};
  fiar_all_reduce_norm_params* p = &test.params;
  *p = (fiar_all_reduce_norm_params){
      .struct_size = sizeof *p,
      .tokens = 40,
      .hidden = 7680,  // every format's blocks fit
      .dtype = (uint8_t)dtype,
      .weight_dtype = (uint8_t)dtype,
      .eps = 1e-6f,
      .quant = (uint8_t)quant,
      .group_size = quant == FIAR_QUANT_FP8_GROUP ? 128 : 0,
      .scale_type = quant == FIAR_QUANT_NVFP4                                ? FIAR_SCALE_TYPE_E4M3
                    : quant == FIAR_QUANT_MXFP8 || quant == FIAR_QUANT_MXFP4 ? FIAR_SCALE_TYPE_UE8M0
                                                                             : FIAR_SCALE_TYPE_F32,
      .residual_layout = algorithm == FIAR_ALGORITHM_SHARDED ? FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD
                                                             : FIAR_RESIDUAL_LAYOUT_FULL};
  p->input_stride = p->residual_stride = p->hidden;
  return test;
}

const char* case_text(const kernel_case_t* test, int world) {
  static char text[512];
  const fiar_all_reduce_norm_params* p = &test->params;
  (void)snprintf(
      text, sizeof text,
      "algorithm %d world %d residual %d tokens %lld hidden %lld dtype %d weight_dtype %d quant %d layout %d "
      "scale_type %d scale_is %d group %d scale_min %g input %d rounding %d wants %#x flags %#x seed %u",
      (int)test->algorithm, world, p->residual_layout, (long long)p->tokens, (long long)p->hidden,
      p->dtype, p->weight_dtype, p->quant, p->scale_layout, p->scale_type, p->scale_is,
      p->group_size, (double)p->scale_min, p->norm_input, p->norm_rounding, test->wants,
      test->launch_flags, test->seed);
  return text;
}

// ---- Arrays ----

static void* place(case_layout_t* layout, size_t bytes) {
  size_t at = (layout->bytes + GUARD + 255) / 256 * 256;
  layout->bytes = at + bytes + GUARD;
  return (void*)(uintptr_t)(at + 1);
}

static int64_t residual_rows(const kernel_case_t* test, int world) {
  return fiar_residual_rows(test->params.residual_layout, test->params.tokens, world);
}

case_layout_t case_layout(const kernel_case_t* test, int world) {
  const fiar_all_reduce_norm_params* p = &test->params;
  const uint32_t wants = test->wants;
  const size_t element = fiar_dtype_bytes(p->dtype);
  const size_t full = (size_t)(p->tokens * p->hidden) * element;
  const int64_t rows = residual_rows(test, world);
  case_layout_t layout = {.at = *p};
  fiar_all_reduce_norm_params* at = &layout.at;
  at->input = place(&layout, (size_t)(p->tokens * p->input_stride) * element);
  if (wants & CASE_SUM_ONLY) {
    at->sum_out = wants & CASE_IN_PLACE ? (void*)(uintptr_t)at->input : place(&layout, full);
    at->quant = FIAR_QUANT_NONE;
    return layout;
  }
  at->sum_out = wants & CASE_SUM_OUT ? place(&layout, full) : NULL;
  if (!(wants & CASE_NO_RESIDUAL)) {
    at->residual = place(&layout, (size_t)(rows * p->residual_stride) * element);
  }
  at->residual_out = wants & CASE_IN_PLACE && at->residual
                         ? (void*)(uintptr_t)at->residual
                         : place(&layout, (size_t)(rows * p->hidden) * element);
  at->weight = wants & CASE_NO_WEIGHT
                   ? NULL
                   : place(&layout, (size_t)p->hidden * fiar_dtype_bytes(p->weight_dtype));
  if (!(wants & CASE_NO_NORM)) {
    at->norm_out = wants & CASE_IN_PLACE ? (void*)(uintptr_t)at->input : place(&layout, full);
  }
  if (p->quant != FIAR_QUANT_NONE) {
    at->quant_out = place(&layout, fiar_reference_codes_bytes(p));
    at->scales_out =
        fiar_quant_block(p) > 0 ? place(&layout, fiar_reference_scales_bytes(p)) : NULL;
  }
  if (p->quant == FIAR_QUANT_FP8_STATIC || p->quant == FIAR_QUANT_NVFP4) {
    at->scale = test->seed % 8 == 0 ? NULL : place(&layout, sizeof(float));
  }
  return layout;
}

static void* resolve(const void* offset, unsigned char* arena) {
  return offset ? arena + ((uintptr_t)offset - 1) : NULL;
}

fiar_all_reduce_norm_params case_params(const case_layout_t* layout, unsigned char* arena) {
  fiar_all_reduce_norm_params p = layout->at;
  p.input = resolve(p.input, arena);
  p.residual = resolve(p.residual, arena);
  p.weight = resolve(p.weight, arena);
  p.scale = resolve(p.scale, arena);
  p.sum_out = resolve(p.sum_out, arena);
  p.residual_out = resolve(p.residual_out, arena);
  p.norm_out = resolve(p.norm_out, arena);
  p.quant_out = resolve(p.quant_out, arena);
  p.scales_out = resolve(p.scales_out, arena);
  return p;
}

static float random_value(random_t* random, int specials) {
  if (specials && one_in(random, 40)) {
    static const float odd[] = {-0.0f, 0.0f, 1e-30f, -3e4f, 1e-5f, 448.0f, -6.0f};
    return odd[random_below(random, sizeof odd / sizeof *odd)];
  }
  return ((float)random_below(random, 1u << 20) / (float)(1 << 19) - 1.0f) *
         (one_in(random, 50) ? 16.0f : 1.0f);
}

static void fill_array(random_t* random, void* array, uint8_t dtype, int64_t count, int specials) {
  for (int64_t i = 0; i < count; ++i) {
    fiar_store(array, dtype, i, random_value(random, specials));
  }
}

// Zero rows, rows of -0, NaN and infinities, and words of all ones, which slots use as "empty".
static void spoil_rows(random_t* random, void* array, uint8_t dtype, int64_t rows, int64_t stride) {
  const size_t row_bytes = (size_t)stride * fiar_dtype_bytes(dtype);
  for (int64_t row = 0; row < rows; ++row) {
    unsigned char* at = (unsigned char*)array + (size_t)row * row_bytes;
    const int64_t i = random_below(random, (uint32_t)stride);
    switch (random_below(random, 10)) {
      case 0:
        memset(at, 0, row_bytes);
        break;
      case 1:
        for (int64_t k = 0; k < stride; ++k) {
          fiar_store(at, dtype, k, -0.0f);
        }
        break;
      case 2:
        fiar_store(at, dtype, i, NAN);
        break;
      case 3:
        fiar_store(at, dtype, i, -INFINITY);
        break;
      case 4:
        memset(at + row_bytes / 16 * 4, 0xFF, 16);
        break;
      default:
        break;
    }
  }
}

void case_fill(const kernel_case_t* test, const case_layout_t* layout, int world, int rank,
               unsigned char* arena) {
  const fiar_all_reduce_norm_params p = case_params(layout, arena);
  const int specials = (test->wants & CASE_SPECIALS) != 0;
  memset(arena, POISON, layout->bytes);
  random_t own = {((uint64_t)test->seed << 8) + (uint64_t)rank + 1};
  random_t shared = {(uint64_t)test->seed << 8};  // the same on all ranks
  fill_array(&own, (void*)(uintptr_t)p.input, p.dtype, p.tokens * p.input_stride, specials);
  if (specials) {
    // The same rows on every rank, so that rows of zeros and of -0 stay such.
    spoil_rows(&shared, (void*)(uintptr_t)p.input, p.dtype, p.tokens, p.input_stride);
  }
  if (p.residual) {
    fill_array(test->algorithm == FIAR_ALGORITHM_SHARDED ? &own : &shared,
               (void*)(uintptr_t)p.residual, p.dtype,
               residual_rows(test, world) * p.residual_stride, specials);
  }
  if (p.weight) {
    fill_array(&shared, (void*)(uintptr_t)p.weight, p.weight_dtype, p.hidden, 0);
  }
  if (p.scale) {
    const float scale = (float)(1 + random_below(&shared, 1000)) / 500.0f;
    memcpy((void*)(uintptr_t)p.scale, &scale, sizeof scale);
  }
}

void case_launch(const kernel_case_t* test, const case_layout_t* layout, const ranks_t* ranks,
                 size_t arena_offset) {
  for (int r = 0; r < ranks->world; ++r) {
    const rank_memory_t* rank = &ranks->rank[r];
    const fiar_all_reduce_norm_params p = case_params(layout, rank->arena + arena_offset);
    fiar_kernel_args_t args;
    fiar_kernel_args_init(&p, &rank->peers, test->launch_flags, &args);
    CUDA_OR_DIE(cudaSetDevice(rank->device));
    FIAR_OR_DIE(fiar_launch(test->algorithm, &args, &ranks->caps, NULL, rank->stream));
  }
}

// ---- Checks ----

// Distance in steps of the type between two values of the same sign; NaNs are equal.
static int ulps_apart(const void* a, const void* b, uint8_t dtype, int64_t index) {
  const float x = fiar_load(a, dtype, index), y = fiar_load(b, dtype, index);
  if (isnan(x) || isnan(y)) {
    return isnan(x) && isnan(y) ? 0 : 1 << 30;
  }
  if (fiar_dtype_bytes(dtype) == 4) {
    const int32_t* xs = a;
    const int32_t* ys = b;
    return x == y ? 0 : signbit(x) != signbit(y) ? 1 << 30 : abs(xs[index] - ys[index]);
  }
  const int16_t* xs = a;
  const int16_t* ys = b;
  return x == y ? 0 : signbit(x) != signbit(y) ? 1 << 30 : abs(xs[index] - ys[index]);
}

// How far a norm may be from the reference, whose sum of squares is of another order: an ulp (two
// where the weight multiplies a rounded value). f32 shows the roundings on the way too.
static int allowed_ulps(const fiar_all_reduce_norm_params* p) {
  const int before = p->norm_rounding == FIAR_NORM_ROUNDING_BEFORE_WEIGHT;
  return p->dtype == FIAR_DTYPE_F32 ? 8 : before ? 2 : 1;
}

static int complain(const kernel_case_t* test, int world, int rank, const char* what, int64_t at) {
  printf("  FAILED: %s differs on rank %d at %lld\n    %s\n", what, rank, (long long)at,
         case_text(test, world));
  return 1;
}

static const char* name_of(const fiar_all_reduce_norm_params* p, const unsigned char* at,
                           const unsigned char** out_start) {
  const struct {
    const void* start;
    const char* name;
  } arrays[] = {
      {p->input, "input"},       {p->residual, "residual"},   {p->weight, "weight"},
      {p->scale, "scale"},       {p->sum_out, "sum_out"},     {p->residual_out, "residual_out"},
      {p->norm_out, "norm_out"}, {p->quant_out, "quant_out"}, {p->scales_out, "scales_out"}};
  const char* name = "memory before the arrays";
  const void* nearest = NULL;
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; ++i) {
    if (arrays[i].start && arrays[i].start <= (const void*)at && arrays[i].start >= nearest) {
      nearest = arrays[i].start;
      name = arrays[i].name;
    }
  }
  *out_start = nearest ? nearest : at;
  return name;
}

// Puts the kernel's own norm, once it is near enough, and what the reference quantiser makes of it,
// into the expected arena.
static int adopt_norm(const kernel_case_t* test, int world, int rank,
                      const fiar_all_reduce_norm_params* expected,
                      const fiar_all_reduce_norm_params* got, int* worst_ulps) {
  const int64_t count = expected->tokens * expected->hidden;
  for (int64_t i = 0; i < count; ++i) {
    const int apart = ulps_apart(expected->norm_out, got->norm_out, expected->dtype, i);
    *worst_ulps = apart > *worst_ulps ? apart : *worst_ulps;
    if (apart > allowed_ulps(expected)) {
      printf("  norm is %.9g, expected %.9g\n",
             (double)fiar_load(got->norm_out, expected->dtype, i),
             (double)fiar_load(expected->norm_out, expected->dtype, i));
      return complain(test, world, rank, "norm_out", i);
    }
  }
  memcpy(expected->norm_out, got->norm_out, (size_t)count * fiar_dtype_bytes(expected->dtype));
  if (expected->quant != FIAR_QUANT_NONE) {
    die_if(fiar_reference_quantise(got->norm_out, expected) != FIAR_OK, "reference", __LINE__);
  }
  return 0;
}

typedef struct arenas {
  unsigned char *before[FIAR_KERNEL_MAX_WORLD], *expected, *got[FIAR_KERNEL_MAX_WORLD];
} arenas_t;

// Every byte, also those between the arrays. Says where the first array that differs does so.
static int compare_bytes(const kernel_case_t* test, const case_layout_t* layout, int world,
                         int rank, const arenas_t* arenas, const fiar_all_reduce_norm_params* got) {
  const unsigned char *expected = arenas->expected, *found = arenas->got[rank];
  const char* name = NULL;
  size_t first = 0, last = 0, count = 0;
  for (size_t i = 0; i < layout->bytes; ++i) {
    if (expected[i] != found[i]) {
      const unsigned char* start = NULL;
      const char* array = name_of(got, found + i, &start);
      if (name && array != name) {
        break;
      }
      first = name ? first : (size_t)(found + i - start);
      last = (size_t)(found + i - start);
      name = array;
      if (count++ < 4) {
        printf("  %s byte %zu is %#x, expected %#x\n", array, last, found[i], expected[i]);
      }
    }
  }
  if (count > 0) {
    printf("  %zu bytes of %s differ, from %zu to %zu\n", count, name, first, last);
    return complain(test, world, rank, name, (int64_t)first);
  }
  return 0;
}

static int compare_rank(const kernel_case_t* test, const case_layout_t* layout, int world, int rank,
                        const arenas_t* arenas, int* worst_ulps) {
  const int alone =
      test->algorithm == FIAR_ALGORITHM_LOCAL || test->algorithm == FIAR_ALGORITHM_ANY;
  const void *inputs[FIAR_KERNEL_MAX_WORLD], *residuals[FIAR_KERNEL_MAX_WORLD];
  const fiar_all_reduce_norm_params expected = case_params(layout, arenas->expected);
  const fiar_all_reduce_norm_params got = case_params(layout, arenas->got[rank]);
  memcpy(arenas->expected, arenas->before[rank], layout->bytes);
  for (int r = 0; r < world; ++r) {
    const fiar_all_reduce_norm_params p = case_params(layout, arenas->before[alone ? rank : r]);
    inputs[r] = p.input;
    residuals[r] = p.residual;
  }
  die_if(fiar_reference_all_reduce_norm(alone ? 1 : world, alone ? 0 : rank, inputs,
                                        expected.residual ? residuals : NULL, &expected) != FIAR_OK,
         "reference", __LINE__);
  if (expected.norm_out && adopt_norm(test, world, rank, &expected, &got, worst_ulps)) {
    return 1;
  }
  return compare_bytes(test, layout, world, rank, arenas, &got);
}

// Fills, runs and copies back. An arena that has not been written by the call ends as it began.
static void run_case(const kernel_case_t* test, const case_layout_t* layout, const ranks_t* ranks,
                     arenas_t* arenas) {
  for (int r = 0; r < ranks->world; ++r) {
    case_fill(test, layout, ranks->world, r, arenas->before[r]);
    CUDA_OR_DIE(
        cudaMemcpy(ranks->rank[r].arena, arenas->before[r], layout->bytes, cudaMemcpyHostToDevice));
  }
  ranks_settle(ranks);
  case_launch(test, layout, ranks, 0);
  ranks_wait(ranks);
  for (int r = 0; r < ranks->world; ++r) {
    CUDA_OR_DIE(
        cudaMemcpy(arenas->got[r], ranks->rank[r].arena, layout->bytes, cudaMemcpyDeviceToHost));
  }
}

// Without norm_out the codes and scales must be the same bytes.
static int check_without_norm(const kernel_case_t* test, const ranks_t* ranks,
                              const arenas_t* with_norm, const case_layout_t* layout) {
  kernel_case_t codes_only = *test;
  codes_only.wants |= CASE_NO_NORM;
  const case_layout_t other_layout = case_layout(&codes_only, ranks->world);
  arenas_t other;
  int failed = 0;
  for (int r = 0; r < ranks->world; ++r) {
    other.before[r] = malloc(other_layout.bytes);
    other.got[r] = malloc(other_layout.bytes);
    die_if(!other.before[r] || !other.got[r], "malloc", __LINE__);
  }
  run_case(&codes_only, &other_layout, ranks, &other);
  for (int r = 0; r < ranks->world; ++r) {
    const fiar_all_reduce_norm_params a = case_params(layout, with_norm->got[r]);
    const fiar_all_reduce_norm_params b = case_params(&other_layout, other.got[r]);
    if (!failed && (memcmp(a.quant_out, b.quant_out, fiar_reference_codes_bytes(&a)) != 0 ||
                    (a.scales_out &&
                     memcmp(a.scales_out, b.scales_out, fiar_reference_scales_bytes(&a)) != 0))) {
      failed = complain(&codes_only, ranks->world, r, "a code or scale without norm_out", 0);
    }
    free(other.before[r]);
    free(other.got[r]);
  }
  return failed;
}

int case_check(const kernel_case_t* test, const ranks_t* ranks, int* worst_ulps) {
  const case_layout_t layout = case_layout(test, ranks->world);
  die_if(layout.bytes > ranks->arena_bytes, "the arena is too small", __LINE__);
  const int world = ranks->world;
  // One block, cut into the expected arena and, for each rank, one before and one after the call.
  const size_t bytes = (layout.bytes + 255) / 256 * 256;
  unsigned char* block = malloc((2 * (size_t)world + 1) * bytes);
  die_if(!block, "malloc", __LINE__);
  arenas_t arenas = {.expected = block};
  int failed = 0;
  for (int r = 0; r < world; ++r) {
    arenas.before[r] = block + (2 * (size_t)r + 1) * bytes;
    arenas.got[r] = arenas.before[r] + bytes;
  }
  run_case(test, &layout, ranks, &arenas);
  for (int r = 0; r < world && !failed; ++r) {
    failed = compare_rank(test, &layout, world, r, &arenas, worst_ulps);
  }
  if (!failed && layout.at.quant_out && layout.at.norm_out) {
    failed = check_without_norm(test, ranks, &arenas, &layout);
  }
  free(block);
  return failed;
}
