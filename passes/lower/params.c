// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A fiar op's attributes and types as the struct that the runtime takes, and the checks that keep
// the runtime within the tensors' memory.
#include <string.h>

#include "lower/lower.h"
#include "lower/spelling.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

#define ROW(field) FIAR_SPELLED(fiar_all_reduce_norm_params, field, field)
static const FiarSpelled spelled[] = {
    ROW(quant),      ROW(scale_layout),  ROW(scale_type),      ROW(scale_is),
    ROW(norm_input), ROW(norm_rounding), ROW(residual_layout),
};
#undef ROW

static const struct {
  const char* name;
  size_t offset;
} floats[] = {{"eps", offsetof(fiar_all_reduce_norm_params, eps)},
              {"weight_bias", offsetof(fiar_all_reduce_norm_params, weight_bias)},
              {"scale_min", offsetof(fiar_all_reduce_norm_params, scale_min)}};

static bool take_attributes(MlirOperation op, fiar_all_reduce_norm_params* params) {
  // One rank has all rows: a norm of its own has no residual_layout, which is the last.
  const size_t count = LENGTH(spelled) - fiarIsNamed(op, "fiar.rms_norm");
  if (!fiarTakeSpelled(op, spelled, count, params)) {
    return false;
  }
  for (size_t i = 0; i < LENGTH(floats); ++i) {
    MlirAttribute attribute = fiarOpAttribute(op, floats[i].name);
    if (mlirAttributeIsNull(attribute) || !mlirAttributeIsAFloat(attribute)) {
      return fiarErrorAt(op, "attribute %s must be a float", floats[i].name);
    }
    float value = (float)mlirFloatAttrGetValueDouble(attribute);
    memcpy((char*)params + floats[i].offset, &value, sizeof value);
  }
  MlirAttribute group_size = fiarOpAttribute(op, "group_size");
  if (mlirAttributeIsNull(group_size) || !mlirAttributeIsAInteger(group_size)) {
    return fiarErrorAt(op, "attribute group_size must be an integer");
  }
  params->group_size = (int32_t)mlirIntegerAttrGetValueInt(group_size);
  return true;
}

// f16, bf16 or f32, as the runtime numbers them.
static bool take_dtype(const FiarCall* call, MlirValue value, const char* what,
                       uint8_t* out_dtype) {
  MlirType type = mlirValueGetType(value);
  if (!mlirTypeIsARankedTensor(type) ||
      !mlirAttributeIsNull(mlirRankedTensorTypeGetEncoding(type))) {
    return fiarErrorAt(call->op, "%s must be a ranked tensor without encoding", what);
  }
  char text[32] = "";
  FILE* out = fmemopen(text, sizeof text, "w");
  if (out == NULL) {
    return fiarErrorAt(call->op, "out of memory");
  }
  fiarPrintType(out, mlirShapedTypeGetElementType(type));
  (void)fclose(out);
  if (!fiarSpellingOf(&fiar_spelled_dtype, fiarString(text), out_dtype)) {
    return fiarErrorAt(call->op, "%s has element type %s; the runtime takes f16, bf16 and f32",
                       what, text);
  }
  return true;
}

// ---- Shapes ----------

enum { DYNAMIC = -1 };

static int64_t dimension(MlirType type, int64_t i) {
  return mlirShapedTypeIsDynamicDim(type, i) ? DYNAMIC : mlirShapedTypeGetDimSize(type, i);
}

// Product of the dimensions [begin, end), DYNAMIC where one is.
static int64_t product(MlirType type, int64_t begin, int64_t end) {
  int64_t result = 1;
  for (int64_t i = begin; i < end; ++i) {
    if (dimension(type, i) == DYNAMIC) {
      return DYNAMIC;
    }
    result *= dimension(type, i);
  }
  return result;
}

// No tensor has as many elements; below it no product of sizes of one tensor overflows.
static const int64_t too_many = (int64_t)1 << 40;

static bool is_sane(MlirValue value) {
  MlirType type = mlirValueGetType(value);
  if (!mlirTypeIsARankedTensor(type)) {
    return true;
  }
  int64_t elements = 1;
  for (int64_t i = 0; i < mlirShapedTypeGetRank(type); ++i) {
    const int64_t size = dimension(type, i);
    if (size > 1 && elements >= too_many / size) {
      return false;
    }
    elements *= size > 1 ? size : 1;
  }
  return true;
}

static bool check_sizes(MlirOperation op) {
  bool sane = true;
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    sane = sane && is_sane(mlirOperationGetOperand(op, i));
  }
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
    sane = sane && is_sane(mlirOperationGetResult(op, i));
  }
  return sane || fiarErrorAt(op, "a tensor has %lld elements or more", (long long)too_many);
}

static int64_t round_up(int64_t value, int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

static unsigned element_bits(MlirType type) {
  MlirType element = mlirShapedTypeGetElementType(type);
  if (mlirTypeIsAInteger(element)) {
    return mlirIntegerTypeGetWidth(element);
  }
  return mlirTypeIsAFloat(element) ? mlirFloatTypeGetWidth(element) : 0;
}

// The value must have x's rows, statically or by the same dynamic dimensions, and `per_row`
// elements in each. Rows may be split over other dimensions only where everything is static.
static bool check_rows(const FiarCall* call, MlirValue value, const char* what, int64_t per_row) {
  MlirType x = mlirValueGetType(call->operands[FIAR_IN_X]), type = mlirValueGetType(value);
  int64_t rank = mlirShapedTypeGetRank(x), rows = product(x, 0, rank - 1);
  if (!mlirTypeIsARankedTensor(type) ||
      !mlirAttributeIsNull(mlirRankedTensorTypeGetEncoding(type))) {
    return fiarErrorAt(call->op, "%s must be a ranked tensor without encoding", what);
  }
  bool fits = mlirShapedTypeGetRank(type) >= rank - 1;
  if (fits && rows == DYNAMIC) {
    for (int64_t i = 0; i < rank - 1; ++i) {
      fits = fits && dimension(type, i) == dimension(x, i);
    }
    fits = fits && product(type, rank - 1, mlirShapedTypeGetRank(type)) == per_row;
  } else {
    fits = product(type, 0, mlirShapedTypeGetRank(type)) == rows * per_row;
  }
  if (!fits) {
    return fiarErrorAt(call->op, "%s must have the rows of x and %lld elements in each", what,
                       (long long)per_row);
  }
  return true;
}

// The residual and its sum: as x, or the token shard's rows.
static bool check_residual(const FiarCall* call, const fiar_all_reduce_norm_params* params,
                           MlirValue value, const char* what) {
  uint8_t dtype = 0;
  if (mlirValueIsNull(value)) {
    return true;
  }
  if (!take_dtype(call, value, what, &dtype)) {
    return false;
  }
  MlirType x = mlirValueGetType(call->operands[FIAR_IN_X]), type = mlirValueGetType(value);
  int64_t rank = mlirShapedTypeGetRank(x), hidden = dimension(x, rank - 1);
  if (dtype != params->dtype) {
    return fiarErrorAt(call->op, "%s must have the element type of x", what);
  }
  if (params->residual_layout == FIAR_RESIDUAL_LAYOUT_FULL) {
    return check_rows(call, value, what, hidden);
  }
  int64_t tokens = product(x, 0, rank - 1), type_rank = mlirShapedTypeGetRank(type);
  if (tokens == DYNAMIC) {
    return fiarErrorAt(call->op, "a token-sharded %s needs a static number of rows", what);
  }
  if (params->residual_layout == FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK && tokens % call->world != 0) {
    return fiarErrorAt(call->op, "x has %lld rows, of which %lld ranks have no equal blocks",
                       (long long)tokens, (long long)call->world);
  }
  int64_t rows = (tokens + call->world - 1) / call->world;
  if (product(type, 0, type_rank) != rows * hidden) {
    return fiarErrorAt(call->op, "%s must be [%lld, %lld]: the rows of one of %lld ranks", what,
                       (long long)rows, (long long)hidden, (long long)call->world);
  }
  return true;
}

// Elements a row of scales has; 0 where the format computes none.
static int64_t scales_a_row(const fiar_all_reduce_norm_params* params, int64_t hidden) {
#define X(name, value, text, code_bits, block) [value] = (block),
  static const int64_t blocks[] = {
#include "fiar/quant_formats.def"
  };
#undef X
  int64_t block = blocks[params->quant];
  if (block == -1) {
    return 1;
  }
  block = block == -2 ? params->group_size : block;
  return block > 0 ? hidden / block : 0;
}

int64_t fiarScaleElements(uint8_t layout, bool f32, int64_t rows, int64_t cols) {
  switch (layout) {
    case FIAR_SCALE_LAYOUT_SWIZZLED_128X4:
      return round_up(rows, 128) * round_up(cols, 4);
    case FIAR_SCALE_LAYOUT_SWIZZLED_8X4:
      return round_up(rows, 8) * round_up(cols, 4);
    case FIAR_SCALE_LAYOUT_COLUMN_MAJOR:
      return round_up(rows, 4) * (f32 ? cols : round_up(cols, 4));
    default:
      return rows * cols;
  }
}

// Layouts other than linear pad; their tensors are checked by their number of bytes.
static bool check_scales(const FiarCall* call, const fiar_all_reduce_norm_params* params,
                         int64_t hidden) {
  MlirValue value = call->results[FIAR_OUT_SCALES];
  if (mlirValueIsNull(value)) {
    return true;
  }
  unsigned bits = params->scale_type == FIAR_SCALE_TYPE_F32 ? 32 : 8;
  MlirType x = mlirValueGetType(call->operands[FIAR_IN_X]), type = mlirValueGetType(value);
  int64_t k = scales_a_row(params, hidden);
  if (k == 0) {
    return fiarErrorAt(call->op, "this quant computes no scales");
  }
  // Words hold four packed scales each.
  bool padded = params->scale_layout != FIAR_SCALE_LAYOUT_LINEAR;
  unsigned have = mlirTypeIsARankedTensor(type) ? element_bits(type) : 0;
  int64_t in_one = padded && bits == 8 && have == 32 ? 4 : 1;
  if (have != bits && in_one == 1) {
    return fiarErrorAt(call->op, "scales must be a tensor of %u-bit elements", bits);
  }
  if (params->scale_layout == FIAR_SCALE_LAYOUT_LINEAR) {
    return check_rows(call, value, "scales", k);
  }
  int64_t m = product(x, 0, mlirShapedTypeGetRank(x) - 1);
  if (m == DYNAMIC) {
    return fiarErrorAt(call->op, "scales of a padded layout need a static number of rows");
  }
  int64_t elements = fiarScaleElements(params->scale_layout, bits == 32, m, k);
  if (product(type, 0, mlirShapedTypeGetRank(type)) * in_one != elements) {
    return fiarErrorAt(call->op, "scales of this layout must have %lld elements, padding included",
                       (long long)elements);
  }
  return true;
}

static bool check_codes(const FiarCall* call, const fiar_all_reduce_norm_params* params,
                        int64_t hidden) {
#define X(name, value, text, code_bits, block) [value] = (code_bits),
  static const unsigned code_bits[] = {
#include "fiar/quant_formats.def"
  };
#undef X
  MlirValue value = call->results[FIAR_OUT_QUANT];
  if (mlirValueIsNull(value)) {
    return true;
  }
  unsigned want = code_bits[params->quant];
  unsigned have =
      mlirTypeIsARankedTensor(mlirValueGetType(value)) ? element_bits(mlirValueGetType(value)) : 0;
  if (want == 0 || (have != want && have != 8)) {
    return fiarErrorAt(call->op, "quant has elements of %u bits, its format codes of %u", have,
                       want);
  }
  return check_rows(call, value, "quant", hidden * want / have);  // bytes hold two fp4 codes
}

static bool check_vectors(const FiarCall* call, fiar_all_reduce_norm_params* params,
                          int64_t hidden) {
  MlirValue weight = call->operands[FIAR_IN_WEIGHT], scale = call->operands[FIAR_IN_SCALE];
  if (!mlirValueIsNull(weight)) {
    MlirType type = mlirValueGetType(weight);
    if (!take_dtype(call, weight, "weight", &params->weight_dtype)) {
      return false;
    }
    if (product(type, 0, mlirShapedTypeGetRank(type)) != hidden) {
      return fiarErrorAt(call->op, "weight must have %lld elements, the last dimension of x",
                         (long long)hidden);
    }
  }
  if (!mlirValueIsNull(scale)) {
    MlirType type = mlirValueGetType(scale);
    if (!mlirTypeIsARankedTensor(type) || !mlirTypeIsAF32(mlirShapedTypeGetElementType(type)) ||
        product(type, 0, mlirShapedTypeGetRank(type)) != 1) {
      return fiarErrorAt(call->op, "scale must be a tensor of one f32");
    }
  }
  return true;
}

bool fiarCheckQuantised(const FiarCall* call, fiar_all_reduce_norm_params* params) {
  MlirType x = mlirValueGetType(call->operands[FIAR_IN_X]);
  int64_t rank = mlirTypeIsARankedTensor(x) ? mlirShapedTypeGetRank(x) : 0;
  int64_t hidden = rank > 0 ? dimension(x, rank - 1) : DYNAMIC;
  if (hidden == DYNAMIC) {
    return fiarErrorAt(call->op, "x must have a static last dimension: its scales run along it");
  }
  return check_sizes(call->op) && check_vectors(call, params, hidden) &&
         check_codes(call, params, hidden) && check_scales(call, params, hidden);
}

static bool take_norm(const FiarCall* call, fiar_all_reduce_norm_params* params) {
  MlirType x = mlirValueGetType(call->operands[FIAR_IN_X]);
  int64_t rank = mlirShapedTypeGetRank(x);
  int64_t hidden = rank > 0 ? dimension(x, rank - 1) : DYNAMIC;
  if (hidden == DYNAMIC) {
    return fiarErrorAt(call->op, "x must have a static last dimension: the norm runs over it");
  }
  if (!take_attributes(call->op, params) || !check_vectors(call, params, hidden)) {
    return false;
  }
  static const int plain[] = {FIAR_OUT_SUM, FIAR_OUT_NORM};
  for (size_t i = 0; i < LENGTH(plain); ++i) {
    MlirValue value = call->results[plain[i]];
    uint8_t dtype = 0;
    if (mlirValueIsNull(value)) {
      continue;
    }
    const char* name = fiar_result_slots[plain[i]].name;
    if (!take_dtype(call, value, name, &dtype) || !check_rows(call, value, name, hidden)) {
      return false;
    }
    if (dtype != params->dtype) {
      return fiarErrorAt(call->op, "%s must have the element type of x", name);
    }
  }
  return check_residual(call, params, call->operands[FIAR_IN_RESIDUAL], "the residual operand") &&
         check_residual(call, params, call->results[FIAR_OUT_RESIDUAL], "the residual result") &&
         check_codes(call, params, hidden) && check_scales(call, params, hidden);
}

// One rank's rows and the whole: the same row length and element type, sizes known, and as many
// rows as a rank has.
static bool check_shards(const FiarCall* call, uint8_t dtype) {
  bool gather = call->kind == FIAR_CALL_ALL_GATHER_ROWS;
  MlirValue rows = gather ? call->operands[FIAR_IN_X] : call->results[FIAR_OUT_SUM];
  MlirValue full = gather ? call->results[FIAR_OUT_SUM] : call->operands[FIAR_IN_X];
  uint8_t rows_dtype = 0, full_dtype = 0;
  if (!take_dtype(call, rows, "the rows", &rows_dtype) ||
      !take_dtype(call, full, "the whole", &full_dtype)) {
    return false;
  }
  MlirType rows_type = mlirValueGetType(rows), full_type = mlirValueGetType(full);
  int64_t rows_rank = mlirShapedTypeGetRank(rows_type), rank = mlirShapedTypeGetRank(full_type);
  int64_t tokens = rank > 0 ? product(full_type, 0, rank - 1) : DYNAMIC;
  int64_t hidden = rank > 0 ? dimension(full_type, rank - 1) : DYNAMIC;
  int64_t held = (tokens + call->world - 1) / call->world;
  if (rows_dtype != dtype || full_dtype != dtype || tokens == DYNAMIC || hidden == DYNAMIC ||
      rows_rank == 0 || dimension(rows_type, rows_rank - 1) != hidden ||
      product(rows_type, 0, rows_rank) != held * hidden) {
    return fiarErrorAt(call->op,
                       "the rows must have one rank's part of the whole, ceil(tokens / %lld) rows, "
                       "both of known sizes and one element type",
                       (long long)call->world);
  }
  return true;
}

bool fiarCallParams(const FiarCall* call, fiar_all_reduce_norm_params* out_params) {
  memset(out_params, 0, sizeof *out_params);
  out_params->struct_size = sizeof *out_params;
  if (!take_dtype(call, call->operands[FIAR_IN_X], "x", &out_params->dtype)) {
    return false;
  }
  if (call->world < 1 || call->world > INT32_MAX) {
    return fiarErrorAt(call->op, "world is %lld, must be from 1 to %d", (long long)call->world,
                       INT32_MAX);
  }
  if (!check_sizes(call->op)) {
    return false;
  }
  if (call->kind == FIAR_CALL_ALL_GATHER_ROWS || call->kind == FIAR_CALL_TAKE_ROWS) {
    return check_shards(call, out_params->dtype);
  }
  return call->kind != FIAR_CALL_ALL_REDUCE_NORM || take_norm(call, out_params);
}
