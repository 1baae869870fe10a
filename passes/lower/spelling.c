// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lower/spelling.h"

#include "lower/lower.h"

#define SPELLED(name, ...)                                 \
  static const FiarSpelling name##_rows[] = {__VA_ARGS__}; \
  const FiarSpellings fiar_spelled_##name = {name##_rows, sizeof name##_rows / sizeof *name##_rows};

#define X(name, value, text) {text, value},
SPELLED(scale_layout, FIAR_SCALE_LAYOUT_TABLE(X))
SPELLED(scale_type, FIAR_SCALE_TYPE_TABLE(X))
SPELLED(scale_is, FIAR_SCALE_IS_TABLE(X))
SPELLED(norm_input, FIAR_NORM_INPUT_TABLE(X))
SPELLED(norm_rounding, FIAR_NORM_ROUNDING_TABLE(X))
SPELLED(residual_layout, FIAR_RESIDUAL_LAYOUT_TABLE(X))
SPELLED(scaling, FIAR_SCALING_TABLE(X))
SPELLED(activation, FIAR_ACTIVATION_TABLE(X))
SPELLED(combine, FIAR_COMBINE_TABLE(X))
SPELLED(act_rounding, FIAR_ACT_ROUNDING_TABLE(X))
#undef X
#define X(name, value, text, bytes) {text, value},
SPELLED(dtype, FIAR_DTYPE_TABLE(X))
#undef X
#define X(name, value, text, code_bits, block) {text, value},
static const FiarSpelling quant_rows[] = {
#include "fiar/quant_formats.def"
};
#undef X
const FiarSpellings fiar_spelled_quant = {quant_rows, sizeof quant_rows / sizeof *quant_rows};

bool fiarSpellingOf(const FiarSpellings* spellings, MlirStringRef text, uint8_t* out_value) {
  for (size_t i = 0; i < spellings->count; ++i) {
    if (fiarStringEqual(text, spellings->rows[i].text)) {
      *out_value = spellings->rows[i].value;
      return true;
    }
  }
  return false;
}

bool fiarTakeSpelled(MlirOperation op, const FiarSpelled* fields, size_t count, void* params) {
  for (size_t i = 0; i < count; ++i) {
    const MlirStringRef text = fiarAttributeText(fiarOpAttribute(op, fields[i].name));
    if (!fiarSpellingOf(fields[i].spellings, text, (uint8_t*)params + fields[i].offset)) {
      return fiarErrorAt(op, "attribute %s is not one of its spellings (docs/dialect.md)",
                         fields[i].name);
    }
  }
  return true;
}
