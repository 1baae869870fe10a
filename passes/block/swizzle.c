// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The scales of block-scaled products in swizzled_128x4 (docs/numerics.md), the one layout that
// devices multiply with. In the IR they are linear, as exported; here they are laid out
//   - by the quantiser that computes them, where nothing but such products reads them;
//   - when the weights are packed, where they are a weight's, a transpose before included;
//   - else by a copy in front of the first product that reads them.
#include <inttypes.h>

#include "block/plan.h"

typedef struct scales {
  uint32_t field;  // of the product's params
  int value;
  int64_t rows, cols;
} scales_t;

enum {
  A_SCALES = offsetof(fiar_matmul_params, a_scales),
  B_SCALES = offsetof(fiar_matmul_params, b_scales),
};

uint64_t fiarSwizzledBytes(int64_t rows, int64_t cols) {
  return ((uint64_t)rows + 127) / 128 * 128 * (((uint64_t)cols + 3) / 4 * 4);
}

static bool is_linear_product(const FiarBlockStep* step) {
  return step->kind == FIAR_BLOCK_MATMUL && !step->dropped &&
         step->params.matmul.a_scaling == FIAR_SCALING_BLOCK &&
         step->params.matmul.block_scale_layout == FIAR_SCALE_LAYOUT_LINEAR;
}

static scales_t scales_of(const FiarBlockStep* product, uint32_t field) {
  const fiar_matmul_params* p = &product->params.matmul;
  int at = fiarStepPointerAt(product, field);
  return (scales_t){.field = field,
                    .value = at < 0 ? -1 : product->pointers[at].value,
                    .rows = field == A_SCALES ? p->m : p->n,
                    .cols = p->k / (p->block_scale_type == FIAR_SCALE_TYPE_E4M3 ? 16 : 32)};
}

static bool same_scales(const scales_t* x, const scales_t* y) {
  return x->value == y->value && x->rows == y->rows && x->cols == y->cols;
}

// Whether all that reads them are products, as the same rows and columns.
static bool only_products_read(const FiarBlock* block, const scales_t* scales) {
  int readers = 0;
  for (int i = 0; i < block->n_steps; ++i) {
    const FiarBlockStep* step = &block->steps[i];
    if (is_linear_product(step)) {
      scales_t a = scales_of(step, A_SCALES), b = scales_of(step, B_SCALES);
      readers += same_scales(&a, scales) + same_scales(&b, scales);
    }
  }
  return readers == block->values[scales->value].uses;
}

static void set_swizzled(FiarBlock* block, int value, const scales_t* scales) {
  block->values[value].swizzled_rows = scales->rows;
  block->values[value].swizzled_cols = scales->cols;
}

// ---- the three ways ----

// The quantiser's field that says how the scales lie, or NULL where no quantiser of those rows
// computes them.
static uint8_t* layout_field(FiarBlockStep* maker, const scales_t* scales) {
  if (maker == NULL) {
    return NULL;
  }
  fiar_quantize_params* quantize = &maker->params.quantize;
  fiar_all_reduce_norm_params* norm = &maker->params.norm;
  switch (maker->kind) {
    case FIAR_BLOCK_QUANTIZE:
      return quantize->rows == scales->rows ? &quantize->scale_layout : NULL;
    case FIAR_BLOCK_ALL_REDUCE_NORM:
    case FIAR_BLOCK_RMS_NORM:
      return norm->tokens == scales->rows ? &norm->scale_layout : NULL;
    default:
      return NULL;
  }
}

static bool quantiser_lays_out(FiarBlock* block, const scales_t* scales) {
  FiarBlockValue* value = &block->values[scales->value];
  uint8_t* layout = layout_field(fiarBlockMakerOf(block, scales->value), scales);
  if (layout == NULL || *layout != FIAR_SCALE_LAYOUT_LINEAR || value->home != FIAR_HOME_ARENA ||
      !only_products_read(block, scales)) {
    return false;
  }
  *layout = FIAR_SCALE_LAYOUT_SWIZZLED_128X4;
  set_swizzled(block, scales->value, scales);
  return true;
}

// The argument that a weight's scales are, where nothing else reads it; -1. *out_transpose: the
// place of the step that transposes it, or -1.
static int weight_scales(FiarBlock* block, const scales_t* scales, int* out_transpose) {
  FiarBlockStep* maker = fiarBlockMakerOf(block, scales->value);
  int argument = scales->value;
  *out_transpose = -1;
  if (maker != NULL) {
    const fiar_copy_params* copy = &maker->params.copy;
    argument = maker->pointers[0].value;
    if (maker->kind != FIAR_BLOCK_COPY || !copy->transposed || copy->in_dtype != copy->out_dtype ||
        copy->cols != scales->rows || block->values[argument].uses != 1) {
      return -1;
    }
    *out_transpose = (int)(maker - block->steps);
  }
  return block->values[argument].home == FIAR_HOME_ARGUMENT && only_products_read(block, scales)
             ? argument
             : -1;
}

// A value in the packed weights; -1: they are no weight's, or memory is out (block->failed). The
// product moves where the step before it that transposes them goes.
static int pack_scales(FiarBlock* block, int* product, const scales_t* scales) {
  const FiarBlockStep* step = &block->steps[*product];
  int b = step->pointers[fiarStepPointerAt(step, offsetof(fiar_matmul_params, b))].value;
  int transpose = -1;
  int argument =
      block->values[b].home == FIAR_HOME_ARGUMENT ? weight_scales(block, scales, &transpose) : -1;
  if (argument < 0) {
    return -1;
  }
  uint64_t bytes = fiarSwizzledBytes(scales->rows, scales->cols);
  MlirType type = block->values[scales->value].type;
  int value = fiarBlockValueMake(block, type, bytes, FIAR_HOME_PACKED);
  if (value < 0) {
    return -1;
  }
  bool turns = transpose >= 0;
  FiarPackedWeight weight = {.value = argument,
                             .rows = turns ? scales->cols : scales->rows,
                             .cols = turns ? scales->rows : scales->cols,
                             .transposed = turns,
                             .dtype = FIAR_ELEMENT_BYTE,
                             .layout = FIAR_SCALE_LAYOUT_SWIZZLED_128X4};
  block->values[value].offset = fiarBlockPackAdd(block, weight, bytes);
  fiarBlockPackAlign(block);
  if (turns) {
    fiarBlockStepRemove(block, transpose);
    --*product;
  }
  return value;
}

// A value that a copy in front of the product makes; -1: out of memory. The product moves on.
static int copy_scales(FiarBlock* block, int* product, const scales_t* scales) {
  FiarBlockValue from = block->values[scales->value];
  int value = fiarBlockValueMake(block, from.type, fiarSwizzledBytes(scales->rows, scales->cols),
                                 FIAR_HOME_ARENA);
  FiarBlockStep step = {.kind = FIAR_BLOCK_COPY,
                        .size = sizeof step.params.copy,
                        .rows_field = offsetof(fiar_copy_params, rows),
                        .rows = scales->rows,
                        .by_tokens = from.by_tokens,
                        .pointers = {{offsetof(fiar_copy_params, input), scales->value},
                                     {offsetof(fiar_copy_params, out), value}},
                        .n_pointers = 2,
                        .n_inputs = 1,
                        .row_inputs = 1,
                        .second_b = -1};
  step.params.copy = (fiar_copy_params){.struct_size = sizeof step.params.copy,
                                        .rows = scales->rows,
                                        .cols = scales->cols,
                                        .in_dtype = FIAR_ELEMENT_BYTE,
                                        .out_dtype = FIAR_ELEMENT_BYTE,
                                        .out_layout = FIAR_SCALE_LAYOUT_SWIZZLED_128X4};
  if (value < 0 || fiarBlockStepInsert(block, *product, &step) == NULL) {
    return -1;
  }
  block->values[value].by_tokens = from.by_tokens;
  ++*product;
  return value;
}

// ---- a product ----

// The value with these scales swizzled that another product has already, or -1.
static int made_before(const FiarBlock* block, const scales_t* scales) {
  int made = block->values[scales->value].swizzled_as;
  bool same = made > 0 && block->values[made].swizzled_rows == scales->rows &&
              block->values[made].swizzled_cols == scales->cols;
  return same ? made : -1;
}

// The product reads `made` instead.
static void take(FiarBlock* block, FiarBlockStep* product, const scales_t* scales, int made) {
  set_swizzled(block, made, scales);
  block->values[scales->value].swizzled_as = made;
  product->pointers[fiarStepPointerAt(product, scales->field)].value = made;
  ++block->values[made].uses;
}

bool fiarBlockPackScales(FiarBlock* block) {
  for (int i = 0; i < block->n_steps; ++i) {
    if (!is_linear_product(&block->steps[i])) {
      continue;
    }
    scales_t scales = scales_of(&block->steps[i], B_SCALES);
    int made = made_before(block, &scales);
    made = made < 0 ? pack_scales(block, &i, &scales) : made;
    if (made >= 0) {
      take(block, &block->steps[i], &scales, made);
    }
  }
  return !block->failed || fiarErrorAt(block->function, "out of memory");
}

static bool lay_out(FiarBlock* block, int* product, uint32_t field) {
  scales_t scales = scales_of(&block->steps[*product], field);
  if (block->values[scales.value].swizzled_rows > 0 || quantiser_lays_out(block, &scales)) {
    return true;
  }
  int made = made_before(block, &scales);
  made = made < 0 ? copy_scales(block, product, &scales) : made;
  if (made >= 0) {
    take(block, &block->steps[*product], &scales, made);
  }
  return made >= 0 || fiarErrorAt(block->function, "out of memory");
}

bool fiarBlockSwizzle(FiarBlock* block) {
  for (int i = 0; i < block->n_steps; ++i) {
    if (is_linear_product(&block->steps[i])) {
      if (!lay_out(block, &i, A_SCALES) || !lay_out(block, &i, B_SCALES)) {
        return false;
      }
      block->steps[i].params.matmul.block_scale_layout = FIAR_SCALE_LAYOUT_SWIZZLED_128X4;
    }
  }
  return true;
}
