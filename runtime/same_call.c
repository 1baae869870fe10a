// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Do all ranks make the same call? Ranks on the host ask before every call. On devices asking takes
// longer than the call itself, so there it is done once for each kind of call.
#include <string.h>

#include "comm/comm.h"

static bool wants_codes(const fiar_all_reduce_norm_params* params) {
  return params->quant_out || params->scales_out;
}

static bool wants_more_than_sum(const fiar_all_reduce_norm_params* params) {
  return params->residual_out || params->norm_out || wants_codes(params);
}

// X("name", value). Without tokens, pointers say nothing. What is wanted takes part in choosing the
// backend. Where the residual is sharded, the sum takes the ranks a round of its own, and the norm
// or the codes travel.
#define SAME_TABLE(X)                                                                     \
  X("tokens", params->tokens)                                                             \
  X("hidden", params->hidden)                                                             \
  X("dtype", params->dtype)                                                               \
  X("weight_dtype", params->weight_dtype)                                                 \
  X("quant", params->quant)                                                               \
  X("scale_layout", params->scale_layout)                                                 \
  X("scale_type", params->scale_type)                                                     \
  X("scale_is", params->scale_is)                                                         \
  X("group_size", params->group_size)                                                     \
  X("norm_input", params->norm_input)                                                     \
  X("norm_rounding", params->norm_rounding)                                               \
  X("residual_layout", params->residual_layout)                                           \
  X("eps", params->eps)                                                                   \
  X("weight_bias", params->weight_bias)                                                   \
  X("scale_min", params->scale_min)                                                       \
  X("residual (given: 1)", params->tokens > 0 && params->residual != NULL)                \
  X("weight (given: 1)", params->tokens > 0 && params->weight != NULL)                    \
  X("input (given: 1, a gather of rows: 0)", params->tokens > 0 && params->input != NULL) \
  X("residual_out, norm_out, quant_out or scales_out (wanted: 1)",                        \
    params->tokens > 0 && wants_more_than_sum(params))                                    \
  X("quant_out or scales_out (wanted: 1)", params->tokens > 0 && wants_codes(params))     \
  X("norm_out (wanted: 1)", params->tokens > 0 &&                                         \
                                params->residual_layout != FIAR_RESIDUAL_LAYOUT_FULL &&   \
                                params->norm_out != NULL)                                 \
  X("sum_out (wanted: 1)", params->tokens > 0 &&                                          \
                               params->residual_layout != FIAR_RESIDUAL_LAYOUT_FULL &&    \
                               params->sum_out != NULL)

#define X(name, value) name,
static const char* const names[] = {SAME_TABLE(X)};
#undef X
enum { FIELDS = FIAR_ARRAY_LENGTH(names) };

static fiar_status_t ask(fiar_comm_t* comm, const double mine[FIELDS]) {
  double all[FIAR_MAX_WORLD][FIELDS];
  FIAR_TRY(fiar_comm_all_gather(comm, mine, all, sizeof all[0]));
  for (int32_t rank = 1; rank < comm->world; ++rank) {
    for (int i = 0; i < FIELDS; ++i) {
      if (all[rank][i] != all[0][i]) {
        return FIAR_FAIL(MISMATCH, "%s is %.9g on rank 0, %.9g on rank %d", names[i], all[0][i],
                         all[rank][i], rank);
      }
    }
  }
  return FIAR_OK;
}

static uint64_t digest_of(const double fields[FIELDS]) {
  uint64_t digest = 1;
  for (int i = 0; i < FIELDS; ++i) {
    uint64_t bits;
    memcpy(&bits, &fields[i], sizeof bits);
    digest = (digest ^ bits) * UINT64_C(0x9E3779B97F4A7C15);
    digest ^= digest >> 29;
  }
  return digest | 1;  // 0 is an empty place
}

fiar_status_t fiar_comm_same_call(fiar_comm_t* comm, const fiar_all_reduce_norm_params* params) {
#define X(name, value) (double)(value),
  const double mine[FIELDS] = {SAME_TABLE(X)};
#undef X
  if (comm->device < 0) {
    return ask(comm, mine);
  }
  const uint64_t digest = digest_of(mine);
  uint64_t* place = &comm->agreed_calls[(digest >> 8) % FIAR_ARRAY_LENGTH(comm->agreed_calls)];
  if (*place == digest || comm->world == 1) {
    return FIAR_OK;
  }
  FIAR_TRY(ask(comm, mine));
  *place = digest;
  return FIAR_OK;
}
