// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Checks before timing: rows against the oracle, whole arrays between ranks and between the checked
// call and the timed one.
#include <stdlib.h>
#include <string.h>

#include "fiar_bench_random.h"
#include "fiar_bench_rank.h"
#include "host/reference.h"

// Up to this many rows, the first and the last among them, are compared element by element.
enum { MAX_ROWS = 48 };

// The rows of one call, gathered into small arrays, and what the oracle makes of the same inputs.
typedef struct sample {
  int64_t rows[MAX_ROWS];
  int64_t count;
  size_t norm_row, codes_row;     // bytes of a row
  char *norm, *residual, *codes;  // the call's
  char* scales;                   // the call's, all rows of them
  char *inputs, *given_residual;  // the oracle's inputs: [world][count, hidden], [count, hidden]
  char* weight;                   // [hidden]
  char *want_norm, *want_residual;
  char *want_codes, *want_scales;  // of the call's own norm
} sample_t;

static void sample_free(sample_t* sample) {
  char* arrays[] = {sample->norm,       sample->residual,   sample->codes,
                    sample->scales,     sample->inputs,     sample->given_residual,
                    sample->weight,     sample->want_norm,  sample->want_residual,
                    sample->want_codes, sample->want_scales};
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(arrays); ++i) {
    free(arrays[i]);
  }
}

static fiar_status_t sample_alloc(const bench_rank_t* rank, const bench_case_t* point,
                                  const bench_arrays_t* arrays, sample_t* sample) {
  memset(sample, 0, sizeof *sample);
  sample->count = point->tokens < MAX_ROWS ? point->tokens : MAX_ROWS;
  for (int64_t i = 0; i < sample->count; ++i) {
    sample->rows[i] = sample->count == 1 ? 0 : i * (point->tokens - 1) / (sample->count - 1);
  }
  sample->norm_row = arrays->norm_bytes / (size_t)point->tokens;
  sample->codes_row = arrays->codes_bytes / (size_t)point->tokens;
  size_t norm = sample->norm_row * (size_t)sample->count;
  struct {
    char** array;
    size_t bytes;
  } const wanted[] = {
      {&sample->norm, norm},
      {&sample->residual, norm},
      {&sample->codes, sample->codes_row * (size_t)sample->count},
      {&sample->scales, arrays->scales_bytes},
      {&sample->inputs, norm * (size_t)rank->world},
      {&sample->given_residual, norm},
      {&sample->weight, sample->norm_row},
      {&sample->want_norm, norm},
      {&sample->want_residual, norm},
      {&sample->want_codes, sample->codes_row * (size_t)sample->count},
      {&sample->want_scales, arrays->scales_bytes},
  };
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(wanted); ++i) {
    *wanted[i].array = calloc(wanted[i].bytes + 1, 1);
    if (*wanted[i].array == NULL) {
      sample_free(sample);
      memset(sample, 0, sizeof *sample);
      return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes to check a point", wanted[i].bytes);
    }
  }
  return FIAR_OK;
}

// Row `row` of an array that `fill` describes, as the host device would fill it.
static fiar_status_t make_row(const bench_fill_t* fill, int64_t row, char* out_row) {
  bench_fill_t one = *fill;
  one.rows = 1;
  one.first_row = row;
  return bench_host_device.fill(NULL, out_row, &one);
}

static bool owns(const bench_rank_t* rank, const bench_case_t* point, int64_t row) {
  return fiar_residual_owner(bench_residual_layout(point), row, point->tokens, rank->rank,
                             rank->world) == rank->rank;
}

static fiar_status_t fetch_rows(bench_rank_t* rank, const bench_case_t* point,
                                const fiar_all_reduce_norm_params* params, sample_t* sample) {
  const bench_device_t* device = rank->device;
  for (int64_t i = 0; i < sample->count; ++i) {
    size_t row = (size_t)sample->rows[i];
    size_t at = (size_t)i * sample->norm_row;
    FIAR_TRY(device->to_host(rank->state, sample->norm + at,
                             (const char*)params->norm_out + row * sample->norm_row,
                             sample->norm_row));
    if (params->quant_out != NULL) {
      FIAR_TRY(device->to_host(rank->state, sample->codes + (size_t)i * sample->codes_row,
                               (const char*)params->quant_out + row * sample->codes_row,
                               sample->codes_row));
    }
    if (params->residual_out != NULL && owns(rank, point, sample->rows[i])) {
      size_t mine = (size_t)fiar_residual_place(bench_residual_layout(point), sample->rows[i],
                                                point->tokens, rank->world);
      FIAR_TRY(device->to_host(rank->state, sample->residual + at,
                               (const char*)params->residual_out + mine * sample->norm_row,
                               sample->norm_row));
    }
  }
  return FIAR_OK;
}

// What the oracle says to the sampled rows alone: a row's outputs depend on no other row.
static fiar_status_t ask_oracle(const bench_rank_t* rank, const bench_case_t* point,
                                const fiar_all_reduce_norm_params* params, sample_t* sample) {
  const void* inputs[BENCH_MAX_RANKS];
  const void* residuals[BENCH_MAX_RANKS];
  size_t array = sample->norm_row * (size_t)sample->count;
  bench_fill_t residual = bench_residual_fill(point, 0);
  bench_fill_t weight = bench_weight_fill(point);
  float scale = bench_scale_value(point);
  FIAR_TRY(make_row(&weight, 0, sample->weight));
  for (int32_t of = 0; of < rank->world; ++of) {
    inputs[of] = sample->inputs + (size_t)of * array;
    residuals[of] = sample->given_residual;
    bench_fill_t input = bench_input_fill(point, rank->world, of, 0);
    for (int64_t i = 0; i < sample->count; ++i) {
      size_t at = (size_t)i * sample->norm_row;
      FIAR_TRY(make_row(&input, sample->rows[i], sample->inputs + (size_t)of * array + at));
      FIAR_TRY(make_row(&residual, sample->rows[i], sample->given_residual + at));
    }
  }
  fiar_all_reduce_norm_params oracle = *params;
  oracle.tokens = sample->count;
  oracle.input_stride = oracle.residual_stride = params->hidden;
  oracle.residual_layout = FIAR_RESIDUAL_LAYOUT_FULL;
  oracle.input = inputs[rank->rank];
  oracle.residual = params->residual == NULL ? NULL : sample->given_residual;
  oracle.weight = sample->weight;
  oracle.scale = params->scale == NULL ? NULL : &scale;
  oracle.residual_out = params->residual_out == NULL ? NULL : sample->want_residual;
  oracle.norm_out = sample->want_norm;
  oracle.quant_out = oracle.scales_out = NULL;
  fiar_reference_all_reduce_norm(rank->world, rank->rank, inputs,
                                 params->residual == NULL ? NULL : residuals, &oracle);
  oracle.quant_out = params->quant_out == NULL ? NULL : sample->want_codes;
  oracle.scales_out = params->scales_out == NULL ? NULL : sample->want_scales;
  if (params->quant_out != NULL) {
    fiar_reference_quantise(sample->norm, &oracle);
  }
  return FIAR_OK;
}

// The place of a value among all values of its type, so that neighbours differ by one.
static int64_t place_of(const char* array, uint8_t dtype, int64_t index) {
  if (dtype == FIAR_DTYPE_F32) {
    int32_t bits = 0;
    memcpy(&bits, array + index * 4, sizeof bits);
    return bits < 0 ? -(int64_t)(bits & 0x7fffffff) : bits;
  }
  int16_t bits = 0;
  memcpy(&bits, array + index * 2, sizeof bits);
  return bits < 0 ? -(int64_t)(bits & 0x7fff) : bits;
}

static fiar_status_t compare_values(const char* what, const bench_case_t* point,
                                    const sample_t* sample, int64_t row, const char* got,
                                    const char* want, int64_t most_ulps) {
  for (int64_t i = 0; i < point->hidden; ++i) {
    int64_t at = row * point->hidden + i;
    int64_t ulps = place_of(got, point->dtype, at) - place_of(want, point->dtype, at);
    if (ulps > most_ulps || ulps < -most_ulps) {
      return FIAR_FAIL(MISMATCH, "%s[%lld, %lld] is %g, must be %g (within %lld ulp)", what,
                       (long long)sample->rows[row], (long long)i,
                       (double)fiar_load(got, point->dtype, at),
                       (double)fiar_load(want, point->dtype, at), (long long)most_ulps);
    }
  }
  return FIAR_OK;
}

static fiar_status_t compare_scales(const fiar_all_reduce_norm_params* params,
                                    const sample_t* sample, int64_t row) {
  fiar_all_reduce_norm_params small = *params;
  small.tokens = sample->count;
  size_t bytes = params->scale_type == FIAR_SCALE_TYPE_F32 ? sizeof(float) : 1;
  int64_t block = fiar_quant_block(params);
  for (int64_t column = 0; block > 0 && column < params->hidden / block; ++column) {
    const char* got = sample->scales + fiar_scale_offset(params, sample->rows[row], column);
    const char* want = sample->want_scales + fiar_scale_offset(&small, row, column);
    if (memcmp(got, want, bytes) != 0) {
      return FIAR_FAIL(MISMATCH, "scales_out[%lld, %lld] differs from the oracle's",
                       (long long)sample->rows[row], (long long)column);
    }
  }
  return FIAR_OK;
}

static fiar_status_t compare_rows(const bench_rank_t* rank, const bench_case_t* point,
                                  const fiar_all_reduce_norm_params* params,
                                  const sample_t* sample) {
  for (int64_t row = 0; row < sample->count; ++row) {
    if (params->residual_out != NULL && owns(rank, point, sample->rows[row])) {
      FIAR_TRY(compare_values("residual_out", point, sample, row, sample->residual,
                              sample->want_residual, 0));
    }
    FIAR_TRY(compare_values("norm_out", point, sample, row, sample->norm, sample->want_norm, 1));
    size_t at = (size_t)row * sample->codes_row;
    for (size_t i = 0; i < sample->codes_row; ++i) {
      if (sample->codes[at + i] != sample->want_codes[at + i]) {
        return FIAR_FAIL(MISMATCH, "byte %zu of row %lld of quant_out is 0x%02x, must be 0x%02x", i,
                         (long long)sample->rows[row], (unsigned)(uint8_t)sample->codes[at + i],
                         (unsigned)(uint8_t)sample->want_codes[at + i]);
      }
    }
    FIAR_TRY(compare_scales(params, sample, row));
  }
  return FIAR_OK;
}

static fiar_status_t check_rows(bench_rank_t* rank, const bench_case_t* point,
                                const bench_arrays_t* arrays,
                                const fiar_all_reduce_norm_params* params) {
  sample_t sample;
  FIAR_TRY(sample_alloc(rank, point, arrays, &sample));
  fiar_status_t status = fetch_rows(rank, point, params, &sample);
  if (status == FIAR_OK && params->scales_out != NULL) {
    status =
        rank->device->to_host(rank->state, sample.scales, params->scales_out, arrays->scales_bytes);
  }
  if (status == FIAR_OK) {
    status = ask_oracle(rank, point, params, &sample);
  }
  if (status == FIAR_OK) {
    status = compare_rows(rank, point, params, &sample);
  }
  sample_free(&sample);
  return status;
}

// ---- Whole arrays ----

typedef struct output {
  void* array;
  size_t bytes;
  bool replicated;  // the same on all ranks
} output_t;

static int outputs_of(const bench_arrays_t* arrays, const bench_call_t* call, output_t out[4]) {
  const fiar_all_reduce_norm_params* params = &call->params;
  bool full = params->residual_layout == FIAR_RESIDUAL_LAYOUT_FULL;
  output_t all[4] = {{params->residual_out, arrays->residual_bytes, full},
                     {params->norm_out, arrays->norm_bytes, true},
                     {params->quant_out, arrays->codes_bytes, true},
                     {params->scales_out, arrays->scales_bytes, true}};
  int count = 0;
  for (int i = 0; i < 4; ++i) {
    if (all[i].array != NULL) {
      out[count++] = all[i];
    }
  }
  return count;
}

static fiar_status_t hash_outputs(bench_rank_t* rank, const bench_arrays_t* arrays,
                                  const bench_call_t* call, bool replicated_only,
                                  uint64_t* out_hash) {
  output_t outputs[4];
  int count = outputs_of(arrays, call, outputs);
  *out_hash = 0;
  for (int i = 0; i < count; ++i) {
    uint64_t hash = 0;
    if (replicated_only && !outputs[i].replicated) {
      continue;
    }
    FIAR_TRY(rank->device->hash(rank->state, outputs[i].array, outputs[i].bytes, &hash));
    *out_hash = bench_mix(*out_hash ^ hash);
  }
  return FIAR_OK;
}

fiar_status_t bench_outputs_hash(bench_rank_t* rank, const bench_arrays_t* arrays,
                                 const bench_call_t* call, uint64_t* out_hash) {
  return hash_outputs(rank, arrays, call, false, out_hash);
}

fiar_status_t bench_outputs_poison(bench_rank_t* rank, const bench_arrays_t* arrays,
                                   const bench_call_t* call) {
  output_t outputs[4];
  int count = outputs_of(arrays, call, outputs);
  for (int i = 0; i < count; ++i) {
    FIAR_TRY(rank->device->poison(rank->state, outputs[i].array, outputs[i].bytes));
  }
  return FIAR_OK;
}

static fiar_status_t run_once(bench_rank_t* rank, const bench_impl_t* impl, void* impl_state,
                              const bench_arrays_t* arrays, const bench_call_t* call) {
  FIAR_TRY(bench_outputs_poison(rank, arrays, call));
  FIAR_TRY(impl->run(impl_state, call, rank->device->stream(rank->state)));
  return rank->device->synchronise(rank->state);
}

static fiar_status_t same_on_all_ranks(bench_rank_t* rank, const bench_arrays_t* arrays,
                                       const bench_call_t* call) {
  uint64_t all[BENCH_MAX_RANKS];
  uint64_t mine = 0;
  fiar_status_t status = hash_outputs(rank, arrays, call, true, &mine);
  FIAR_TRY(fiar_comm_vote(rank->team, status));
  FIAR_TRY(fiar_comm_all_gather(rank->team, &mine, all, sizeof mine));
  for (int32_t of = 1; of < rank->world; ++of) {
    if (all[of] != all[0]) {
      return FIAR_FAIL(MISMATCH, "the outputs of ranks 0 and %d differ", of);
    }
  }
  return FIAR_OK;
}

fiar_status_t bench_check(bench_rank_t* rank, const bench_impl_t* impl, void* impl_state,
                          const bench_case_t* point, const bench_arrays_t* arrays,
                          uint64_t* out_hash) {
  const bench_call_t* timed = &arrays->calls[0];
  bench_call_t whole = *timed;
  uint64_t whole_hash = 0;
  fiar_status_t status = FIAR_OK;
  whole.params.norm_out =
      timed->params.norm_out == NULL ? arrays->check_norm : timed->params.norm_out;
  FIAR_TRY(fiar_comm_vote(rank->team, run_once(rank, impl, impl_state, arrays, &whole)));
  status = check_rows(rank, point, arrays, &whole.params);
  if (status == FIAR_OK) {
    status = bench_outputs_hash(rank, arrays, timed, &whole_hash);
  }
  FIAR_TRY(fiar_comm_vote(rank->team, status));
  FIAR_TRY(fiar_comm_vote(rank->team, run_once(rank, impl, impl_state, arrays, timed)));
  status = bench_outputs_hash(rank, arrays, timed, out_hash);
  if (status == FIAR_OK && *out_hash != whole_hash) {
    status = FIAR_FAIL(MISMATCH, "the call gives other outputs when norm_out is not asked for");
  }
  FIAR_TRY(fiar_comm_vote(rank->team, status));
  return same_on_all_ranks(rank, arrays, timed);
}
