// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Attributes of fiar ops that spell a value of an enum. Internal.
#ifndef FIAR_LOWER_SPELLING_H
#define FIAR_LOWER_SPELLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mlir-c/IR.h"

typedef struct FiarSpelling {
  const char* text;
  uint8_t value;
} FiarSpelling;

typedef struct FiarSpellings {
  const FiarSpelling* rows;
  size_t count;
} FiarSpellings;

// Of the enums of fiar/types.h.
extern const FiarSpellings fiar_spelled_quant, fiar_spelled_dtype, fiar_spelled_scale_layout,
    fiar_spelled_scale_type, fiar_spelled_scale_is, fiar_spelled_norm_input,
    fiar_spelled_norm_rounding, fiar_spelled_residual_layout, fiar_spelled_scaling,
    fiar_spelled_activation, fiar_spelled_combine, fiar_spelled_act_rounding;

// False: the text spells none of them.
bool fiarSpellingOf(const FiarSpellings* spellings, MlirStringRef text, uint8_t* out_value);

// A byte of a params struct, and the attribute of its name that spells it.
typedef struct FiarSpelled {
  const char* name;
  const FiarSpellings* spellings;
  size_t offset;
} FiarSpelled;
#define FIAR_SPELLED(params, field, what) \
  { #field, &fiar_spelled_##what, offsetof(params, field) }

// Fills in the fields. False: an attribute is missing or spells nothing, reported at the op.
bool fiarTakeSpelled(MlirOperation op, const FiarSpelled* fields, size_t count, void* params);

#endif  // FIAR_LOWER_SPELLING_H
