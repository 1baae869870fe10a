// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A point's arrays: several sets of inputs and outputs in one arena, so that a chain of calls can
// go round more memory than the last-level cache holds.
#include <string.h>

#include "fiar_bench_floor.h"
#include "host/reference.h"

// What a call of each format looks like; docs/bench.md says whose these are.
typedef struct format {
  uint8_t quant, scale_layout, scale_type, scale_is;
  int32_t group_size;
  float scale;  // the scalar that the call is given; 0: none
} format_t;

static const format_t formats[] = {
    {.quant = FIAR_QUANT_NONE},
    {.quant = FIAR_QUANT_FP8_STATIC, .scale = 0.02F},
    {.quant = FIAR_QUANT_FP8_TOKEN},
    {.quant = FIAR_QUANT_FP8_GROUP, .group_size = 128},
    {.quant = FIAR_QUANT_NVFP4,
     .scale_layout = FIAR_SCALE_LAYOUT_SWIZZLED_128X4,
     .scale_type = FIAR_SCALE_TYPE_E4M3,
     .scale_is = FIAR_SCALE_IS_MULTIPLIER,
     .scale = 512.0F},
    {.quant = FIAR_QUANT_MXFP8,
     .scale_layout = FIAR_SCALE_LAYOUT_SWIZZLED_128X4,
     .scale_type = FIAR_SCALE_TYPE_UE8M0},
    {.quant = FIAR_QUANT_MXFP4,
     .scale_layout = FIAR_SCALE_LAYOUT_SWIZZLED_128X4,
     .scale_type = FIAR_SCALE_TYPE_UE8M0},
};

static const format_t* format_of(uint8_t quant) {
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(formats); ++i) {
    if (formats[i].quant == quant) {
      return &formats[i];
    }
  }
  return &formats[0];
}

enum { SEED_INPUT = 1 << 20, SEED_RESIDUAL = 2 << 20, SEED_WEIGHT = 3 << 20 };

// Inputs are integers that sum to at most 256, scaled by a power of two: every dtype holds every
// partial sum exactly, so every order of summation gives the same bits, NCCL's too.
bench_fill_t bench_input_fill(const bench_case_t* point, int32_t world, int32_t of, int set) {
  int32_t levels = 128;
  while (levels * world > 256) {
    levels /= 2;
  }
  return (bench_fill_t){.seed = (uint64_t)(SEED_INPUT + of * BENCH_MAX_SETS + set),
                        .rows = point->tokens,
                        .hidden = point->hidden,
                        .row_step = 1,
                        .levels = levels,
                        .step = 1.0F / (float)levels,
                        .dtype = point->dtype};
}

bench_fill_t bench_residual_fill(const bench_case_t* point, int set) {
  return (bench_fill_t){.seed = (uint64_t)(SEED_RESIDUAL + set),
                        .rows = point->tokens,
                        .hidden = point->hidden,
                        .row_step = 1,
                        .levels = 128,
                        .step = 1.0F / 64,
                        .dtype = point->dtype};
}

bench_fill_t bench_weight_fill(const bench_case_t* point) {
  return (bench_fill_t){.seed = SEED_WEIGHT,
                        .rows = 1,
                        .hidden = point->hidden,
                        .row_step = 1,
                        .levels = 32,
                        .step = 1.0F / 64,
                        .base = 1.0F,
                        .dtype = point->dtype};
}

float bench_scale_value(const bench_case_t* point) {
  return format_of(point->quant)->scale;
}

static void sizes_init(const bench_rank_t* rank, const bench_case_t* point,
                       bench_arrays_t* arrays) {
  size_t row = (size_t)point->hidden * fiar_dtype_bytes(point->dtype);
  const format_t* format = format_of(point->quant);
  fiar_all_reduce_norm_params params = {.tokens = point->tokens,
                                        .hidden = point->hidden,
                                        .group_size = format->group_size,
                                        .quant = format->quant,
                                        .scale_layout = format->scale_layout,
                                        .scale_type = format->scale_type};
  arrays->residual_rows =
      fiar_residual_rows(bench_residual_layout(point), point->tokens, rank->world);
  arrays->norm_bytes = (size_t)point->tokens * row;
  arrays->residual_bytes =
      point->residual == BENCH_RESIDUAL_NONE ? 0 : (size_t)arrays->residual_rows * row;
  arrays->codes_bytes = fiar_reference_codes_bytes(&params);
  arrays->scales_bytes = fiar_reference_scales_bytes(&params);
}

// One set below a quarter of the cache: in a model, too, such inputs lie there, where the matmul
// before has just written them. From the cache's size on one set alone goes through all of it.
static int sets_of(const bench_rank_t* rank, const bench_arrays_t* arrays) {
  size_t cache = rank->device->cache_bytes(rank->state);
  size_t set = 2 * arrays->norm_bytes + 2 * arrays->residual_bytes + arrays->codes_bytes;
  if (rank->options->rotate != 0) {
    return (int)rank->options->rotate;
  }
  if (set < cache / 4 || set >= cache) {
    return 1;
  }
  return (int)((cache + cache / 4) / set) + 1;
}

// Takes the next part of the arena; with arena NULL only counts.
static void* take(char* arena, size_t* at, size_t bytes) {
  void* array = arena == NULL ? NULL : arena + *at;
  *at += (bytes + 255) / 256 * 256;
  return bytes == 0 ? NULL : array;
}

static fiar_all_reduce_norm_params params_of(const bench_case_t* point) {
  const format_t* format = format_of(point->quant);
  return (fiar_all_reduce_norm_params){.struct_size = sizeof(fiar_all_reduce_norm_params),
                                       .tokens = point->tokens,
                                       .hidden = point->hidden,
                                       .eps = 1e-6F,
                                       .group_size = format->group_size,
                                       .dtype = point->dtype,
                                       .weight_dtype = point->dtype,
                                       .quant = format->quant,
                                       .scale_layout = format->scale_layout,
                                       .scale_type = format->scale_type,
                                       .scale_is = format->scale_is,
                                       .norm_input = FIAR_NORM_INPUT_ROUNDED,
                                       .norm_rounding = FIAR_NORM_ROUNDING_AFTER_WEIGHT,
                                       .residual_layout = bench_residual_layout(point)};
}

static size_t lay_out(const bench_rank_t* rank, const bench_case_t* point, void* arena,
                      bench_arrays_t* arrays) {
  size_t at = 0;
  sizes_init(rank, point, arrays);
  arrays->sets = sets_of(rank, arrays);
  size_t row = (size_t)point->hidden * fiar_dtype_bytes(point->dtype);
  const void* weight = take(arena, &at, row);
  const float* scale = take(arena, &at, bench_scale_value(point) == 0 ? 0 : sizeof(float));
  void* sum = take(arena, &at, arrays->norm_bytes);
  void* norm = take(arena, &at, arrays->norm_bytes);
  arrays->check_norm = take(arena, &at, arrays->norm_bytes);
  for (int set = 0; set < arrays->sets; ++set) {
    bench_call_t* call = &arrays->calls[set];
    *call = (bench_call_t){.params = params_of(point), .sum = sum, .norm = norm};
    call->params.weight = weight;
    call->params.scale = scale;
    call->params.input = take(arena, &at, arrays->norm_bytes);
    call->params.residual = take(arena, &at, arrays->residual_bytes);
    call->params.residual_out = take(arena, &at, arrays->residual_bytes);
    call->params.norm_out =
        take(arena, &at, point->quant == FIAR_QUANT_NONE ? arrays->norm_bytes : 0);
    call->params.quant_out = take(arena, &at, arrays->codes_bytes);
    call->params.scales_out = take(arena, &at, arrays->scales_bytes);
  }
  return at;
}

size_t bench_arrays_bytes(const bench_rank_t* rank, const bench_case_t* point) {
  bench_arrays_t arrays;
  return lay_out(rank, point, NULL, &arrays);
}

double bench_point_floor_us(const bench_rank_t* rank, const bench_floors_t* floors,
                            const bench_case_t* point) {
  bench_arrays_t arrays;
  if (point->launch == BENCH_CHAIN) {
    return 0;  // the matmuls have floors of their own
  }
  sizes_init(rank, point, &arrays);
  return bench_floor_us(floors, point, rank->world,
                        (double)(arrays.codes_bytes + arrays.scales_bytes));
}

static fiar_status_t fill_set(bench_rank_t* rank, const bench_case_t* point, int set,
                              const bench_arrays_t* arrays) {
  const fiar_all_reduce_norm_params* params = &arrays->calls[set].params;
  bench_fill_t fill = bench_input_fill(point, rank->world, rank->rank, set);
  FIAR_TRY(rank->device->fill(rank->state, (void*)params->input, &fill));
  if (params->residual == NULL) {
    return FIAR_OK;
  }
  fill = bench_residual_fill(point, set);
  fill.rows = arrays->residual_rows;
  if (point->residual == BENCH_RESIDUAL_TOKEN_SHARD) {
    fill.first_row = rank->rank;
    fill.row_step = rank->world;
  }
  if (point->residual == BENCH_RESIDUAL_TOKEN_BLOCK) {
    fill.first_row = rank->rank * arrays->residual_rows;
  }
  return rank->device->fill(rank->state, (void*)params->residual, &fill);
}

fiar_status_t bench_arrays_init(bench_rank_t* rank, const bench_case_t* point, void* arena,
                                bench_arrays_t* out_arrays) {
  memset(out_arrays, 0, sizeof *out_arrays);
  (void)lay_out(rank, point, arena, out_arrays);
  const fiar_all_reduce_norm_params* params = &out_arrays->calls[0].params;
  bench_fill_t fill = bench_weight_fill(point);
  FIAR_TRY(rank->device->fill(rank->state, (void*)params->weight, &fill));
  if (params->scale != NULL) {
    float scale = bench_scale_value(point);
    FIAR_TRY(rank->device->to_device(rank->state, (void*)params->scale, &scale, sizeof scale));
  }
  for (int set = 0; set < out_arrays->sets; ++set) {
    FIAR_TRY(fill_set(rank, point, set, out_arrays));
  }
  return FIAR_OK;
}
