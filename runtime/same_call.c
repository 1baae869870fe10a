// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Do all ranks make the same call? On devices this is asked once for each kind of call, since
// asking takes longer than the call itself.
#include "comm/comm.h"

#define SAME_FIELDS(X)                                                                           \
  X(tokens)                                                                                      \
  X(hidden)                                                                                      \
  X(dtype)                                                                                       \
  X(weight_dtype) X(quant) X(scale_layout) X(scale_type) X(scale_is) X(group_size) X(norm_input) \
      X(norm_rounding) X(residual_layout) X(eps) X(weight_bias) X(scale_min)

static const char* const field_names[] = {
#define X(field) #field,
    SAME_FIELDS(X)
#undef X
        "sum_out (wanted: 1)"};
enum { FIELDS = FIAR_ARRAY_LENGTH(field_names) };

static void fields_of(const fiar_all_reduce_norm_params* params, double fields[FIELDS]) {
  int count = 0;
#define X(field) fields[count++] = (double)params->field;
  SAME_FIELDS(X)
#undef X
  // Where the residual is sharded the sum takes the ranks a round of its own.
  fields[count] = params->residual_layout != FIAR_RESIDUAL_LAYOUT_FULL && params->sum_out;
}

fiar_status_t fiar_comm_same_call(fiar_comm_t* comm, const fiar_all_reduce_norm_params* params) {
  double mine[FIELDS], all[FIAR_MAX_WORLD][FIELDS];
  fields_of(params, mine);
  FIAR_TRY(fiar_comm_all_gather(comm, mine, all, sizeof mine));
  for (int32_t rank = 1; rank < comm->world; ++rank) {
    for (int i = 0; i < FIELDS; ++i) {
      if (all[rank][i] != all[0][i]) {
        return FIAR_FAIL(MISMATCH, "%s is %.9g on rank 0, %.9g on rank %d", field_names[i],
                         all[0][i], all[rank][i], rank);
      }
    }
  }
  return FIAR_OK;
}

static uint64_t mix(uint64_t digest, uint64_t value) {
  return (digest ^ value) * UINT64_C(0x9E3779B97F4A7C15);
}

static uint64_t digest_of(const fiar_all_reduce_norm_params* params) {
  uint64_t digest = mix(mix(1, (uint64_t)params->tokens), (uint64_t)params->hidden);
#define X(field) digest = mix(digest, (uint64_t)params->field);
  X(dtype)
  X(weight_dtype) X(quant) X(scale_layout) X(scale_type) X(scale_is) X(group_size) X(norm_input)
      X(norm_rounding) X(residual_layout)
#undef X
          digest = mix(digest, params->sum_out != NULL);
  return digest ^ digest >> 32;
}

fiar_status_t fiar_comm_same_call_once(fiar_comm_t* comm,
                                       const fiar_all_reduce_norm_params* params) {
  const uint64_t digest = digest_of(params) | 1;  // 0 is an empty place
  uint64_t* place = &comm->agreed_calls[(digest >> 8) % FIAR_ARRAY_LENGTH(comm->agreed_calls)];
  if (*place == digest || comm->world == 1) {
    return FIAR_OK;
  }
  FIAR_TRY(fiar_comm_same_call(comm, params));
  *place = digest;
  return FIAR_OK;
}
