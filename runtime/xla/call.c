// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "xla/call.h"

#include <string.h>

#include "fiar/runtime.h"
#include "residual.h"

// ---- Attributes ----

#define X(name, value, text) [value] = text,
static const char* const scale_layouts[] = {FIAR_SCALE_LAYOUT_TABLE(X)};
static const char* const scale_types[] = {FIAR_SCALE_TYPE_TABLE(X)};
static const char* const scale_uses[] = {FIAR_SCALE_IS_TABLE(X)};
static const char* const norm_inputs[] = {FIAR_NORM_INPUT_TABLE(X)};
static const char* const norm_roundings[] = {FIAR_NORM_ROUNDING_TABLE(X)};
static const char* const residual_layouts[] = {FIAR_RESIDUAL_LAYOUT_TABLE(X)};
#undef X
#define X(name, value, text, code_bits, block) [value] = text,
static const char* const quants[] = {
#include "fiar/quant_formats.def"
};
#undef X

typedef enum attribute_kind { SPELLING, FLOAT, INTEGER, IDS } attribute_kind_t;

// Who has the attribute, and whether it may be left out.
enum { COLLECTIVE = 1, NORM = 2, OPTIONAL = 4 };

static const struct attribute_row {
  const char* name;
  attribute_kind_t kind;
  unsigned of;
  size_t offset;  // in fiar_xla_call_t
  const char* const* spellings;
  size_t spelling_count;
} attribute_rows[] = {
#define FIELD(name, kind, of, member) \
  { name, kind, of, offsetof(fiar_xla_call_t, member), NULL, 0 }
#define SPELLED(member, table)                                                \
  {                                                                           \
#member, SPELLING, NORM, offsetof(fiar_xla_call_t, params.member), table, \
        FIAR_ARRAY_LENGTH(table)                                              \
  }
    FIELD("call_id", INTEGER, COLLECTIVE | OPTIONAL, call_id),
    FIELD("device_ids", IDS, COLLECTIVE | OPTIONAL, device_ids),
    FIELD("eps", FLOAT, NORM, params.eps),
    FIELD("group_ids", IDS, COLLECTIVE, group_ids),
    FIELD("group_mode", INTEGER, COLLECTIVE, group_mode),
    FIELD("group_size", INTEGER, NORM, group_size),
    FIELD("groups_count", INTEGER, COLLECTIVE, groups_count),
    SPELLED(norm_input, norm_inputs),
    SPELLED(norm_rounding, norm_roundings),
    FIELD("operands", INTEGER, NORM, operands),
    SPELLED(quant, quants),
    SPELLED(residual_layout, residual_layouts),
    FIELD("results", INTEGER, NORM, results),
    SPELLED(scale_is, scale_uses),
    SPELLED(scale_layout, scale_layouts),
    FIELD("scale_min", FLOAT, NORM, params.scale_min),
    SPELLED(scale_type, scale_types),
    FIELD("weight_bias", FLOAT, NORM, params.weight_bias),
    FIELD("world", INTEGER, COLLECTIVE, world),
#undef FIELD
#undef SPELLED
};

static fiar_status_t read_spelling(const struct attribute_row* row, const XLA_FFI_ByteSpan* text,
                                   void* out) {
  for (size_t i = 0; i < row->spelling_count; ++i) {
    if (strlen(row->spellings[i]) == text->len &&
        memcmp(row->spellings[i], text->ptr, text->len) == 0) {
      *(uint8_t*)out = (uint8_t)i;
      return FIAR_OK;
    }
  }
  return FIAR_FAIL(INVALID_ARGUMENT, "attribute %s is \"%.*s\", which is none of its spellings",
                   row->name, (int)text->len, text->ptr);
}

static fiar_status_t read_attribute(const struct attribute_row* row, XLA_FFI_AttrType type,
                                    const void* attribute, void* out) {
  static const char* const wanted[] = {
      [SPELLING] = "a string", [FLOAT] = "an f32", [INTEGER] = "an i64", [IDS] = "an array of i64"};
  const XLA_FFI_Scalar* scalar = type == XLA_FFI_AttrType_SCALAR ? attribute : NULL;
  const XLA_FFI_Array* array = type == XLA_FFI_AttrType_ARRAY ? attribute : NULL;
  if (row->kind == SPELLING && type == XLA_FFI_AttrType_STRING) {
    return read_spelling(row, attribute, out);
  }
  if (row->kind == FLOAT && scalar && scalar->dtype == XLA_FFI_DataType_F32) {
    memcpy(out, scalar->value, sizeof(float));
    return FIAR_OK;
  }
  if (row->kind == INTEGER && scalar && scalar->dtype == XLA_FFI_DataType_S64) {
    memcpy(out, scalar->value, sizeof(int64_t));
    return FIAR_OK;
  }
  if (row->kind == IDS && array && array->dtype == XLA_FFI_DataType_S64) {
    *(fiar_xla_ids_t*)out = (fiar_xla_ids_t){array->data, (int64_t)array->size};
    return FIAR_OK;
  }
  return FIAR_FAIL(INVALID_ARGUMENT, "attribute %s must be %s", row->name, wanted[row->kind]);
}

static fiar_status_t read_attributes(const XLA_FFI_Attrs* attrs, fiar_xla_call_t* call) {
  const unsigned mine = COLLECTIVE | (call->op == FIAR_XLA_ALL_REDUCE_NORM ? NORM : 0U);
  uint64_t seen = 0;
  for (int64_t a = 0; a < attrs->size; ++a) {
    const XLA_FFI_ByteSpan* name = attrs->names[a];
    size_t r = 0;
    while (r < FIAR_ARRAY_LENGTH(attribute_rows) &&
           (strlen(attribute_rows[r].name) != name->len ||
            memcmp(attribute_rows[r].name, name->ptr, name->len) != 0)) {
      ++r;
    }
    if (r == FIAR_ARRAY_LENGTH(attribute_rows) || !(attribute_rows[r].of & mine)) {
      return FIAR_FAIL(INVALID_ARGUMENT, "attribute %.*s is not known to this version of fiar",
                       (int)name->len, name->ptr);
    }
    seen |= UINT64_C(1) << r;
    FIAR_TRY(read_attribute(&attribute_rows[r], attrs->types[a], attrs->attrs[a],
                            (char*)call + attribute_rows[r].offset));
  }
  for (size_t r = 0; r < FIAR_ARRAY_LENGTH(attribute_rows); ++r) {
    const unsigned of = attribute_rows[r].of;
    if ((of & mine) && !(of & OPTIONAL) && !(seen >> r & 1)) {
      return FIAR_FAIL(INVALID_ARGUMENT, "attribute %s is missing", attribute_rows[r].name);
    }
  }
  return FIAR_OK;
}

// ---- Buffers ----

static uint8_t element_of(XLA_FFI_DataType type) {
  switch (type) {
    case XLA_FFI_DataType_F16:
      return FIAR_DTYPE_F16;
    case XLA_FFI_DataType_BF16:
      return FIAR_DTYPE_BF16;
    case XLA_FFI_DataType_F32:
      return FIAR_DTYPE_F32;
    default:
      return FIAR_DTYPE_NONE;
  }
}

// Bits an element of what codes and scales may be; 0 for other types.
static int64_t raw_bits(XLA_FFI_DataType type) {
  switch (type) {
    case XLA_FFI_DataType_F4E2M1FN:
      return 4;
    case XLA_FFI_DataType_F8E4M3FN:
    case XLA_FFI_DataType_F8E8M0FNU:
    case XLA_FFI_DataType_U8:
      return 8;
    case XLA_FFI_DataType_F32:
      return 32;
    default:
      return 0;
  }
}

static int64_t elements(const XLA_FFI_Buffer* buffer) {
  int64_t count = 1;
  for (int64_t i = 0; i < buffer->rank; ++i) {
    count *= buffer->dims[i];
  }
  return count;
}

static fiar_status_t expect_elements(const char* what, const XLA_FFI_Buffer* buffer, int64_t want) {
  if (elements(buffer) != want) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s has %lld elements, must have %lld", what,
                     (long long)elements(buffer), (long long)want);
  }
  return FIAR_OK;
}

static fiar_status_t expect_element(const char* what, const XLA_FFI_Buffer* buffer, uint8_t dtype) {
  if (element_of(buffer->dtype) != dtype) {
    return FIAR_FAIL(INVALID_ARGUMENT, "%s has XLA element type %d, which is not that of x", what,
                     (int)buffer->dtype);
  }
  return FIAR_OK;
}

// The rows that an operand or result holds beside x.
static int64_t rows_of(const fiar_xla_call_t* call) {
  return fiar_residual_rows(call->params.residual_layout, call->params.tokens,
                            (int32_t)call->world);
}

static fiar_status_t read_x(const XLA_FFI_Buffer* buffer, fiar_xla_call_t* call) {
  fiar_all_reduce_norm_params* params = &call->params;
  params->dtype = element_of(buffer->dtype);
  if (params->dtype == FIAR_DTYPE_NONE) {
    return FIAR_FAIL(INVALID_ARGUMENT, "x has XLA element type %d, must be f16, bf16 or f32",
                     (int)buffer->dtype);
  }
  params->hidden = buffer->rank > 0 ? buffer->dims[buffer->rank - 1] : 1;
  params->tokens = params->hidden > 0 ? elements(buffer) / params->hidden : 0;
  params->input = buffer->data;
  return FIAR_OK;
}

static fiar_status_t read_residual(const XLA_FFI_Buffer* buffer, fiar_xla_call_t* call) {
  FIAR_TRY(expect_element("residual", buffer, call->params.dtype));
  call->params.residual = buffer->data;
  return expect_elements("residual", buffer, rows_of(call) * call->params.hidden);
}

static fiar_status_t read_weight(const XLA_FFI_Buffer* buffer, fiar_xla_call_t* call) {
  call->params.weight = buffer->data;
  call->params.weight_dtype = element_of(buffer->dtype);
  if (call->params.weight_dtype == FIAR_DTYPE_NONE) {
    return FIAR_FAIL(INVALID_ARGUMENT, "weight has XLA element type %d, must be f16, bf16 or f32",
                     (int)buffer->dtype);
  }
  return expect_elements("weight", buffer, call->params.hidden);
}

static fiar_status_t read_scale(const XLA_FFI_Buffer* buffer, fiar_xla_call_t* call) {
  if (buffer->dtype != XLA_FFI_DataType_F32) {
    return FIAR_FAIL(INVALID_ARGUMENT, "scale has XLA element type %d, must be f32",
                     (int)buffer->dtype);
  }
  call->params.scale = buffer->data;
  return expect_elements("scale", buffer, 1);
}

static fiar_status_t read_sum(const XLA_FFI_Buffer* buffer, fiar_xla_call_t* call) {
  FIAR_TRY(expect_element("sum", buffer, call->params.dtype));
  call->params.sum_out = buffer->data;
  return expect_elements("sum", buffer, call->params.tokens * call->params.hidden);
}

static fiar_status_t read_residual_out(const XLA_FFI_Buffer* buffer, fiar_xla_call_t* call) {
  FIAR_TRY(expect_element("the residual result", buffer, call->params.dtype));
  call->params.residual_out = buffer->data;
  return expect_elements("the residual result", buffer, rows_of(call) * call->params.hidden);
}

static fiar_status_t read_norm(const XLA_FFI_Buffer* buffer, fiar_xla_call_t* call) {
  FIAR_TRY(expect_element("norm", buffer, call->params.dtype));
  call->params.norm_out = buffer->data;
  return expect_elements("norm", buffer, call->params.tokens * call->params.hidden);
}

static fiar_status_t expect_bytes(const char* what, const XLA_FFI_Buffer* buffer, size_t want) {
  int64_t bits = raw_bits(buffer->dtype) * elements(buffer);
  if (bits != (int64_t)want * 8) {
    return FIAR_FAIL(
        INVALID_ARGUMENT,
        "%s of XLA element type %d has %lld bits, must have the %zu bytes of its format", what,
        (int)buffer->dtype, (long long)bits, want);
  }
  return FIAR_OK;
}

static fiar_status_t read_quant(const XLA_FFI_Buffer* buffer, fiar_xla_call_t* call) {
  size_t bytes = 0;
  FIAR_TRY(fiar_codes_bytes(&call->params, &bytes));
  call->params.quant_out = buffer->data;
  return expect_bytes("quant", buffer, bytes);
}

static fiar_status_t read_scales(const XLA_FFI_Buffer* buffer, fiar_xla_call_t* call) {
  size_t bytes = 0;
  FIAR_TRY(fiar_scales_bytes(&call->params, &bytes));
  call->params.scales_out = buffer->data;
  return expect_bytes("scales", buffer, bytes);
}

typedef fiar_status_t read_buffer_fn(const XLA_FFI_Buffer* buffer, fiar_xla_call_t* call);

// In the order of the op's operands and results; bit i of `given` says whether readers[i] has one.
static fiar_status_t read_buffers(const char* what, void* const* buffers, int64_t count,
                                  int64_t given, read_buffer_fn* const* readers,
                                  int64_t reader_count, fiar_xla_call_t* call) {
  int64_t next = 0;
  for (int64_t i = 0; i < reader_count; ++i) {
    if (given >> i & 1) {
      if (next == count) {
        return FIAR_FAIL(INVALID_ARGUMENT,
                         "the call has %lld %s, fewer than its bit set %lld names",
                         (long long)count, what, (long long)given);
      }
      FIAR_TRY(readers[i](buffers[next++], call));
    }
  }
  if (next != count || given >> reader_count) {
    return FIAR_FAIL(INVALID_ARGUMENT, "the call has %lld %s, but its bit set is %lld",
                     (long long)count, what, (long long)given);
  }
  return FIAR_OK;
}

static fiar_status_t read_norm_buffers(const XLA_FFI_CallFrame* frame, fiar_xla_call_t* call) {
  static read_buffer_fn* const operands[] = {read_x, read_residual, read_weight, read_scale};
  static read_buffer_fn* const results[] = {read_sum, read_residual_out, read_norm, read_quant,
                                            read_scales};
  if (!(call->operands & 1)) {
    return FIAR_FAIL(INVALID_ARGUMENT, "attribute operands is %lld, which leaves out x",
                     (long long)call->operands);
  }
  call->params.group_size = (int32_t)call->group_size;
  FIAR_TRY(read_buffers("operands", frame->args.args, frame->args.size, call->operands, operands,
                        FIAR_ARRAY_LENGTH(operands), call));
  return read_buffers("results", frame->rets.rets, frame->rets.size, call->results, results,
                      FIAR_ARRAY_LENGTH(results), call);
}

static fiar_status_t read_plain_buffers(const XLA_FFI_CallFrame* frame, fiar_xla_call_t* call) {
  if (frame->args.size != 1 || frame->rets.size != 1) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "the call has %lld operands and %lld results, must have one each",
                     (long long)frame->args.size, (long long)frame->rets.size);
  }
  const XLA_FFI_Buffer* out = frame->rets.rets[0];
  FIAR_TRY(read_x(frame->args.args[0], call));
  if (call->op == FIAR_XLA_TAKE_ROWS) {
    call->params.residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD;
    FIAR_TRY(expect_element("the rows", out, call->params.dtype));
    call->params.sum_out = out->data;
    return expect_elements("the rows", out, rows_of(call) * call->params.hidden);
  }
  if (call->op == FIAR_XLA_ALL_GATHER_ROWS) {
    int64_t rows = call->params.tokens;
    call->params.tokens = call->params.hidden > 0 ? elements(out) / call->params.hidden : 0;
    call->params.residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD;
    if (rows_of(call) != rows) {
      return FIAR_FAIL(INVALID_ARGUMENT, "x has %lld rows, must have %lld, a part of %lld tokens",
                       (long long)rows, (long long)rows_of(call), (long long)call->params.tokens);
    }
  }
  return read_sum(out, call);
}

// ---- The call ----

static fiar_status_t check_groups(const fiar_xla_call_t* call) {
  if (call->world < 1 || call->world > FIAR_MAX_WORLD) {
    return FIAR_FAIL(INVALID_ARGUMENT, "attribute world is %lld, must be between 1 and %d",
                     (long long)call->world, FIAR_MAX_WORLD);
  }
  if (call->groups_count < 1 || call->groups_count > call->group_ids.count ||
      call->group_ids.count != call->groups_count * call->world) {
    return FIAR_FAIL(
        INVALID_ARGUMENT, "group_ids has %lld ids, must have groups_count %lld x world %lld",
        (long long)call->group_ids.count, (long long)call->groups_count, (long long)call->world);
  }
  if (call->group_mode < 0 || call->group_mode > 3) {
    return FIAR_FAIL(INVALID_ARGUMENT, "attribute group_mode is %lld, must be between 0 and 3",
                     (long long)call->group_mode);
  }
  return FIAR_OK;
}

fiar_status_t fiar_xla_call_read(const XLA_FFI_CallFrame* frame, fiar_xla_op_t op,
                                 fiar_xla_call_t* out_call) {
  *out_call = (fiar_xla_call_t){.op = op, .params.struct_size = sizeof out_call->params};
  FIAR_TRY(read_attributes(&frame->attrs, out_call));
  FIAR_TRY(check_groups(out_call));
  return op == FIAR_XLA_ALL_REDUCE_NORM ? read_norm_buffers(frame, out_call)
                                        : read_plain_buffers(frame, out_call);
}

// The device that runs a logical id. device_ids may be shorter than an id names: then there is
// none.
static int64_t device_of(const fiar_xla_call_t* call, int64_t id) {
  if (call->device_ids.count == 0) {
    return id;
  }
  return id >= 0 && id < call->device_ids.count ? call->device_ids.ids[id] : -1;
}

fiar_status_t fiar_xla_call_group(const fiar_xla_call_t* call, int32_t device, int32_t* devices,
                                  int32_t* out_rank) {
  for (int64_t g = 0; g < call->groups_count; ++g) {
    const int64_t* ids = call->group_ids.ids + g * call->world;
    *out_rank = -1;
    for (int32_t r = 0; r < call->world; ++r) {
      devices[r] = (int32_t)device_of(call, ids[r]);
      if (devices[r] == device) {
        *out_rank = r;
      }
    }
    if (*out_rank >= 0) {
      return FIAR_OK;
    }
  }
  return FIAR_FAIL(INVALID_ARGUMENT, "device %d runs the call but is in none of its %lld groups",
                   (int)device, (long long)call->groups_count);
}
