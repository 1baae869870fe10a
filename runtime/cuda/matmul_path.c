// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What cuBLASLt can do of a matmul, and what is left to a kernel after it.
#include "cuda/compute.h"
#include "cuda/cublaslt_dl.h"
#include "host/reference.h"

static bool is_f8(uint8_t element) {
  return fiar_element_bits(element) == 8;
}

static fiar_status_t check_multiple(const char* name, int64_t value, int64_t of, const char* what) {
  return value % of == 0
             ? FIAR_OK
             : FIAR_FAIL(UNSUPPORTED, "%s is %lld, %s matmuls on devices need a multiple of %lld",
                         name, (long long)value, what, (long long)of);
}

static fiar_status_t check_f8(const fiar_matmul_params* params, int32_t sm) {
  if (sm < 89) {
    return FIAR_FAIL(UNSUPPORTED,
                     "f8 matmuls need compute capability 8.9 or later, this device has %d.%d",
                     sm / 10, sm % 10);
  }
  if (!params->b_transposed && (sm < 100 || sm >= 120)) {
    return FIAR_FAIL(UNSUPPORTED,
                     "b is [k, n], f8 matmuls of compute capability %d.%d need [n, k] "
                     "(b_transposed)",
                     sm / 10, sm % 10);
  }
  FIAR_TRY(check_multiple("k", params->k, 16, "f8"));
  return check_multiple("n", params->n, 16, "f8");
}

static fiar_status_t check_blocks(const fiar_matmul_params* params, int32_t sm, int version) {
  const bool nvfp4 = params->block_scale_type == FIAR_SCALE_TYPE_E4M3;
  if (sm < 100) {
    return FIAR_FAIL(UNSUPPORTED,
                     "matmuls with block scales need compute capability 10.0 or later, this device "
                     "has %d.%d",
                     sm / 10, sm % 10);
  }
  if (version < FIAR_CUBLASLT_SINCE_BLOCKS) {
    return FIAR_FAIL(UNSUPPORTED,
                     "matmuls with block scales need cuBLASLt %d or later, this one is %d",
                     FIAR_CUBLASLT_SINCE_BLOCKS, version);
  }
  if (!nvfp4 && params->a_dtype == FIAR_ELEMENT_E2M1) {
    return FIAR_FAIL(UNSUPPORTED, "cuBLASLt has no matmul of e2m1 codes with ue8m0 scales");
  }
  if (params->block_scale_layout != FIAR_SCALE_LAYOUT_SWIZZLED_128X4) {
    return FIAR_FAIL(UNSUPPORTED,
                     "block_scale_layout is %u, matmuls on devices need 1 (swizzled_128x4)",
                     params->block_scale_layout);
  }
  if (!params->b_transposed) {
    return FIAR_FAIL(UNSUPPORTED,
                     "b is [k, n], matmuls with block scales need [n, k] (b_transposed)");
  }
  return nvfp4 ? check_multiple("k", params->k, 32, "e2m1") : FIAR_OK;
}

static fiar_status_t check_device(const fiar_matmul_params* params, int32_t sm, int version) {
  if (params->a_scaling == FIAR_SCALING_BLOCK) {
    return check_blocks(params, sm, version);
  }
  if (params->a_dtype == FIAR_ELEMENT_E2M1) {
    return FIAR_FAIL(UNSUPPORTED, "matmuls of e2m1 codes on devices need block scales");
  }
  return is_f8(params->a_dtype) ? check_f8(params, sm) : FIAR_OK;
}

// May cuBLASLt write this type? Else it writes f32 sums.
static bool writes(const fiar_matmul_params* params) {
  return params->out_dtype == FIAR_ELEMENT_F32 || params->out_dtype == params->a_dtype ||
         fiar_element_bits(params->a_dtype) <= 8;
}

static bool adds_bias(const fiar_matmul_params* params) {
  return params->bias_dtype == params->out_dtype &&
         (params->out_dtype != FIAR_ELEMENT_F32 || params->a_dtype == FIAR_ELEMENT_F32);
}

// Scales as the call has them, where cuBLASLt has the same; false where it has not.
static bool native_scales(const fiar_matmul_params* params, int32_t sm, int version,
                          fiar_matmul_scales_t* out_scales) {
  const bool one = params->a_scale || params->b_scale;
  const bool divides = (params->a_scale && params->a_scale_is == FIAR_SCALE_IS_MULTIPLIER) ||
                       (params->b_scale && params->b_scale_is == FIAR_SCALE_IS_MULTIPLIER);
  if (params->a_scaling == FIAR_SCALING_BLOCK) {
    *out_scales = FIAR_MATMUL_SCALES_BLOCK;
    return !one;
  }
  if (params->a_scaling == FIAR_SCALING_VECTOR || params->b_scaling == FIAR_SCALING_VECTOR) {
    *out_scales = FIAR_MATMUL_SCALES_VECTOR;
    return !one && params->a_scaling == params->b_scaling && is_f8(params->a_dtype) && sm == 90 &&
           version >= FIAR_CUBLASLT_SINCE_VECTORS;
  }
  *out_scales = one ? FIAR_MATMUL_SCALES_TENSOR : FIAR_MATMUL_SCALES_NONE;
  return !one || (is_f8(params->a_dtype) && !divides);
}

fiar_status_t fiar_cuda_matmul_path(const fiar_matmul_params* params, int32_t sm, int version,
                                    bool whole, fiar_matmul_path_t* out_path) {
  fiar_matmul_scales_t scales = FIAR_MATMUL_SCALES_NONE;
  *out_path = (fiar_matmul_path_t){.out_dtype = FIAR_ELEMENT_F32};
  FIAR_TRY(check_device(params, sm, version));
  if (whole && native_scales(params, sm, version, &scales) && writes(params) &&
      (!params->bias || adds_bias(params))) {
    *out_path = (fiar_matmul_path_t){.scales = scales,
                                     .out_dtype = params->out_dtype,
                                     .bias = params->bias != NULL,
                                     .finishes = true};
  } else if (params->a_scaling == FIAR_SCALING_BLOCK) {
    out_path->scales = FIAR_MATMUL_SCALES_BLOCK;
  }
  return FIAR_OK;
}
