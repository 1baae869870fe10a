// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The cases: every format with every scale type and layout, every attribute of the norm, every set
// of outputs, odd shapes, strides, aliases, and data that rounds, overflows and vanishes.
#include <stdio.h>

#include "conformance.h"

typedef struct list {
  conformance_case_t* cases;
  size_t count, room;
  int32_t world;
} list_t;

typedef struct format {
  uint8_t quant, scale_type, layout;
  int32_t group_size;
  float scale;
} format_t;

#define F(quant, type, layout, group, scale) \
  { FIAR_QUANT_##quant, FIAR_SCALE_TYPE_##type, FIAR_SCALE_LAYOUT_##layout, group, scale }
static const format_t formats[] = {
    F(NONE, F32, LINEAR, 0, 0),
    F(FP8_STATIC, F32, LINEAR, 0, 0),
    F(FP8_STATIC, F32, LINEAR, 0, 0.037f),
    F(FP8_TOKEN, F32, LINEAR, 0, 0),
    F(FP8_GROUP, F32, LINEAR, 32, 0),
    F(FP8_GROUP, F32, LINEAR, 64, 0),
    F(FP8_GROUP, F32, LINEAR, 96, 0),
    F(FP8_GROUP, F32, COLUMN_MAJOR, 32, 0),
    F(FP8_GROUP, UE8M0, LINEAR, 32, 0),
    F(FP8_GROUP, UE8M0, COLUMN_MAJOR, 64, 0),
    F(FP8_GROUP, UE8M0, SWIZZLED_128X4, 32, 0),
    F(FP8_GROUP, UE8M0, SWIZZLED_8X4, 32, 0),
    F(NVFP4, E4M3, LINEAR, 0, 0),
    F(NVFP4, E4M3, LINEAR, 0, 3.7f),
    F(NVFP4, E4M3, SWIZZLED_128X4, 0, 17.0f),
    F(NVFP4, E4M3, SWIZZLED_8X4, 0, 0.21f),
    F(MXFP8, UE8M0, LINEAR, 0, 0),
    F(MXFP8, UE8M0, SWIZZLED_128X4, 0, 0),
    F(MXFP8, UE8M0, SWIZZLED_8X4, 0, 0),
    F(MXFP8, UE8M0, COLUMN_MAJOR, 0, 0),
    F(MXFP4, UE8M0, LINEAR, 0, 0),
    F(MXFP4, UE8M0, SWIZZLED_128X4, 0, 0),
    F(MXFP4, UE8M0, SWIZZLED_8X4, 0, 0),
    F(MXFP4, UE8M0, COLUMN_MAJOR, 0, 0),
};
#undef F
enum { FORMATS = sizeof formats / sizeof *formats };

static const uint8_t dtypes[] = {FIAR_DTYPE_F16, FIAR_DTYPE_BF16, FIAR_DTYPE_F32};
enum { DTYPES = 3, ALL = WANT_SUM | WANT_RESIDUAL | WANT_NORM | WANT_QUANT | WANT_SCALES };

static uint32_t possible(const conformance_case_t* item) {
  const uint8_t quant = item->params.quant;
  return quant == FIAR_QUANT_NONE         ? ALL & ~(unsigned)(WANT_QUANT | WANT_SCALES)
         : quant == FIAR_QUANT_FP8_STATIC ? ALL & ~(unsigned)WANT_SCALES
                                          : ALL;
}

// Leaves out what a format has not; a case without outputs is none.
static void add(list_t* list, conformance_case_t item) {
  item.wants &= possible(&item);
  if (item.wants != 0) {
    if (list->count < list->room) {
      list->cases[list->count] = item;
    }
    ++list->count;
  }
}

// The case with a residual in shards, and in blocks, which has as many tokens as ranks share out
// evenly.
static void add_sharded(list_t* list, conformance_case_t item) {
  item.params.residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_SHARD;
  add(list, item);
  item.params.residual_layout = FIAR_RESIDUAL_LAYOUT_TOKEN_BLOCK;
  item.params.tokens = (item.params.tokens + list->world - 1) / list->world * list->world;
  add(list, item);
}

static conformance_case_t base_case(uint8_t dtype, const format_t* format) {
  return (conformance_case_t){
      .params = {.struct_size = sizeof(fiar_all_reduce_norm_params),
                 .tokens = 5,
                 .hidden = 192,
                 .eps = 1e-5f,
                 .group_size = format->group_size,
                 .dtype = dtype,
                 .weight_dtype = dtype,
                 .quant = format->quant,
                 .scale_layout = format->layout,
                 .scale_type = format->scale_type,
                 .norm_rounding = FIAR_NORM_ROUNDING_AFTER_WEIGHT},
      .data = DATA_RANDOM,
      .wants = ALL,
      .scale = format->scale,
      .residual = true,
      .weight = true,
  };
}

// Every format x dtype x direction of the scale, with all outputs and with the codes alone.
static void add_formats(list_t* list) {
  static const data_kind_t kinds[] = {DATA_RANDOM, DATA_INTEGERS, DATA_SPECIAL, DATA_TINY,
                                      DATA_HUGE};
  for (int i = 0; i < DTYPES * FORMATS; ++i) {
    conformance_case_t item = base_case(dtypes[i % DTYPES], &formats[i / DTYPES]);
    for (int j = 0; j < 10; ++j) {
      item.data = kinds[j / 2];
      item.params.scale_is = (uint8_t)(j % 2);
      item.wants = ALL;
      add(list, item);
      item.wants = WANT_QUANT | WANT_SCALES;
      add(list, item);
    }
    item.data = DATA_RANDOM;
    item.wants = ALL;
    item.params.tokens = 130;  // more than one tile of every swizzle
    add(list, item);
    item.params.tokens = 9;
    add_sharded(list, item);
    item.params.scale_min = 0.25f;
    item.params.scale_is = FIAR_SCALE_IS_DIVISOR;
    add_sharded(list, item);
  }
}

// Every combination of the norm's attributes and optional operands.
static void add_norms(list_t* list) {
  for (unsigned bits = 0; bits < 3u << 6; ++bits) {
    conformance_case_t item = base_case(dtypes[bits >> 6], &formats[bits % 2 ? 3 : 0]);
    const unsigned weight = bits >> 3 & 3u;  // none, the element type, f32, the other 16-bit type
    item.params.norm_input = bits & 1u;
    item.params.norm_rounding = bits >> 1 & 1u;
    item.residual = (bits >> 2 & 1u) != 0;
    item.weight = weight != 0;
    item.params.weight_dtype =
        weight == 2   ? FIAR_DTYPE_F32
        : weight == 3 ? (item.params.dtype == FIAR_DTYPE_F16 ? FIAR_DTYPE_BF16 : FIAR_DTYPE_F16)
                      : item.params.dtype;
    item.params.weight_bias = bits >> 5 & 1u ? 1.0f : 0.0f;
    add(list, item);
    add_sharded(list, item);
  }
}

// Every set of outputs, with and without a sharded residual.
static void add_outputs(list_t* list) {
  static const int some[] = {2, 3, 8, 14, 22};
  for (size_t i = 0; i < sizeof some / sizeof *some; ++i) {
    for (uint32_t wants = 1; wants <= ALL; ++wants) {
      conformance_case_t item = base_case(FIAR_DTYPE_BF16, &formats[some[i]]);
      item.wants = wants;
      add(list, item);
      add_sharded(list, item);
    }
  }
}

static void add_shapes(list_t* list) {
  static const int64_t tokens[] = {0, 1, 2, 3, 7, 16, 33};
  static const int64_t hidden[] = {1, 8, 100, 320, 2880};
  for (int i = 0; i < DTYPES * 7 * 5; ++i) {
    conformance_case_t item = base_case(dtypes[i % DTYPES], &formats[0]);
    item.params.tokens = tokens[i / DTYPES % 7];
    item.params.hidden = hidden[i / DTYPES / 7];
    add(list, item);
    item.params.input_stride = item.params.hidden + 8;
    item.params.residual_stride = item.params.hidden + 24;
    add_sharded(list, item);
    if (item.params.hidden % 32 == 0) {
      item = base_case(dtypes[i % DTYPES], &formats[i / DTYPES % 2 ? 17 : 3]);
      item.params.tokens = tokens[i / DTYPES % 7];
      item.params.hidden = hidden[i / DTYPES / 7];
      item.params.input_stride = item.params.hidden + 16;
      add(list, item);
    }
  }
}

// residual_out == residual, norm_out == input.
static void add_aliases(list_t* list) {
  for (unsigned bits = 0; bits < 3u << 3; ++bits) {
    conformance_case_t item = base_case(dtypes[bits >> 3], &formats[bits & 1u ? 13 : 0]);
    item.residual_in_place = (bits >> 1 & 1u) != 0;
    item.norm_in_place = (bits >> 2 & 1u) != 0;
    add(list, item);
    add_sharded(list, item);
  }
}

size_t conformance_cases(int32_t world, conformance_case_t* cases, size_t room) {
  list_t list = {cases, 0, room, world};
  add_formats(&list);
  add_norms(&list);
  add_outputs(&list);
  add_shapes(&list);
  add_aliases(&list);
  return list.count;
}

void conformance_describe(const conformance_case_t* item, char* text, size_t room) {
#define X(name, value, text) text,
#define Y(name, value, text, bytes) [value] = text,
#define Z(name, value, text, bits, block) [value] = text,
  static const char* const layouts[] = {FIAR_SCALE_LAYOUT_TABLE(X)};
  static const char* const types[] = {FIAR_SCALE_TYPE_TABLE(X)};
  static const char* const residuals[] = {FIAR_RESIDUAL_LAYOUT_TABLE(X)};
  static const char* const names[] = {FIAR_DTYPE_TABLE(Y)};
#undef X
#define X Z
  static const char* const quants[] = {
#include "fiar/quant_formats.def"
  };
#undef X
#undef Y
#undef Z
  static const char* const data[] = {"integers", "random", "special", "tiny", "huge"};
  const fiar_all_reduce_norm_params* p = &item->params;
  (void)snprintf(
      text, room,
      "[%lld, %lld] %s %s, %s %s scales, group %d, scale_is %u, norm_input %u, rounding %u, "
      "%s residual, %s weight, bias %g, wants %u, %s data%s%s",
      (long long)p->tokens, (long long)p->hidden, names[p->dtype], quants[p->quant],
      types[p->scale_type], layouts[p->scale_layout], p->group_size, p->scale_is, p->norm_input,
      p->norm_rounding, item->residual ? residuals[p->residual_layout] : "no",
      item->weight ? names[p->weight_dtype] : "no", (double)p->weight_bias, item->wants,
      data[item->data], item->residual_in_place ? ", residual in place" : "",
      item->norm_in_place ? ", norm in place" : "");
}
