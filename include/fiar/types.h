// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The small enumerations that compiler, runtime and kernels share. Stable: values are never reused.
//
// The names in quotes are the spellings of the fiar dialect's attributes; passes and runtime read
// the same tables. docs/numerics.md has the formula behind every name.
#ifndef FIAR_TYPES_H
#define FIAR_TYPES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// X(NAME, value, "MLIR type", bytes)
#define FIAR_DTYPE_TABLE(X) \
  X(F16, 1, "f16", 2)       \
  X(BF16, 2, "bf16", 2)     \
  X(F32, 3, "f32", 4)

// fiar_all_reduce_norm's scales live beside the codes in one of these orders.
// X(NAME, value, "text")
#define FIAR_SCALE_LAYOUT_TABLE(X)       \
  X(LINEAR, 0, "linear")                 \
  X(SWIZZLED_128X4, 1, "swizzled_128x4") \
  X(SWIZZLED_8X4, 2, "swizzled_8x4")     \
  X(COLUMN_MAJOR, 3, "column_major")

#define FIAR_SCALE_TYPE_TABLE(X) \
  X(F32, 0, "f32")               \
  X(E4M3, 1, "e4m3")             \
  X(UE8M0, 2, "ue8m0")

// Whether the quantiser divides by the scale or multiplies with it.
#define FIAR_SCALE_IS_TABLE(X) \
  X(DIVISOR, 0, "divisor")     \
  X(MULTIPLIER, 1, "multiplier")

// Which sum the norm sees: the one rounded to the element type, or the unrounded f32 one.
#define FIAR_NORM_INPUT_TABLE(X) \
  X(ROUNDED, 0, "rounded")       \
  X(F32, 1, "f32")

// Where the normalised value is rounded to the element type: before or after the weight product.
#define FIAR_NORM_ROUNDING_TABLE(X)    \
  X(BEFORE_WEIGHT, 0, "before_weight") \
  X(AFTER_WEIGHT, 1, "after_weight")

// full: [tokens, hidden] on every rank. token_shard: rank r holds rows r, r + world, r + 2 world,
// ... token_block: rank r holds the tokens / world rows from r * tokens / world on; tokens is a
// multiple of world.
#define FIAR_RESIDUAL_LAYOUT_TABLE(X) \
  X(FULL, 0, "full")                  \
  X(TOKEN_SHARD, 1, "token_shard")    \
  X(TOKEN_BLOCK, 2, "token_block")

// What the entries around the fused call compute on: the types above with the same values, then
// codes and bytes.
// X(NAME, value, "MLIR type", bits)
#define FIAR_ELEMENT_TABLE(X) \
  X(F16, 1, "f16", 16)        \
  X(BF16, 2, "bf16", 16)      \
  X(F32, 3, "f32", 32)        \
  X(E4M3, 8, "f8E4M3FN", 8)   \
  X(E5M2, 9, "f8E5M2", 8)     \
  X(E2M1, 10, "f4E2M1FN", 4)  \
  X(BYTE, 11, "i8", 8)

// Which scales a matmul's operand has beside its one f32 scale: none, an f32 a row of a (a column
// of b), or one for each block along k.
#define FIAR_SCALING_TABLE(X) \
  X(NONE, 0, "none")          \
  X(VECTOR, 1, "vector")      \
  X(BLOCK, 2, "block")

// What is done to each element of gate: x * logistic(x), gelu with tanh's approximation, gelu with
// the error function, nothing.
#define FIAR_ACTIVATION_TABLE(X) \
  X(SILU, 0, "silu")             \
  X(GELU_TANH, 1, "gelu_tanh")   \
  X(GELU, 2, "gelu")             \
  X(NONE, 3, "none")

// How that meets up's element: NONE has no up.
#define FIAR_COMBINE_TABLE(X) \
  X(MUL, 0, "mul")            \
  X(ADD, 1, "add")            \
  X(NONE, 2, "none")

// Where an activation is rounded to the element type of gate before the last rounding, to that of
// out: nowhere, at act(gate), or after each operation of it.
#define FIAR_ACT_ROUNDING_TABLE(X) \
  X(NONE, 0, "none")               \
  X(ACT, 1, "act")                 \
  X(EACH, 2, "each")

#define FIAR_ENUM_ROW(prefix, name, value) FIAR_##prefix##_##name = (value),

typedef enum fiar_dtype {
  FIAR_DTYPE_NONE = 0,
#define X(name, value, text, bytes) FIAR_ENUM_ROW(DTYPE, name, value)
  FIAR_DTYPE_TABLE(X)
#undef X
} fiar_dtype_t;

typedef enum fiar_quant {
#define X(name, value, text, code_bits, block) FIAR_ENUM_ROW(QUANT, name, value)
#include "fiar/quant_formats.def"
#undef X
} fiar_quant_t;

typedef enum fiar_element {
#define X(name, value, text, bits) FIAR_ENUM_ROW(ELEMENT, name, value)
  FIAR_ELEMENT_TABLE(X)
#undef X
} fiar_element_t;

#define X(name, value, text) FIAR_ENUM_ROW(SCALE_LAYOUT, name, value)
typedef enum fiar_scale_layout { FIAR_SCALE_LAYOUT_TABLE(X) } fiar_scale_layout_t;
#undef X
#define X(name, value, text) FIAR_ENUM_ROW(SCALE_TYPE, name, value)
typedef enum fiar_scale_type { FIAR_SCALE_TYPE_TABLE(X) } fiar_scale_type_t;
#undef X
#define X(name, value, text) FIAR_ENUM_ROW(SCALE_IS, name, value)
typedef enum fiar_scale_is { FIAR_SCALE_IS_TABLE(X) } fiar_scale_is_t;
#undef X
#define X(name, value, text) FIAR_ENUM_ROW(NORM_INPUT, name, value)
typedef enum fiar_norm_input { FIAR_NORM_INPUT_TABLE(X) } fiar_norm_input_t;
#undef X
#define X(name, value, text) FIAR_ENUM_ROW(NORM_ROUNDING, name, value)
typedef enum fiar_norm_rounding { FIAR_NORM_ROUNDING_TABLE(X) } fiar_norm_rounding_t;
#undef X
#define X(name, value, text) FIAR_ENUM_ROW(RESIDUAL_LAYOUT, name, value)
typedef enum fiar_residual_layout { FIAR_RESIDUAL_LAYOUT_TABLE(X) } fiar_residual_layout_t;
#undef X

#define X(name, value, text) FIAR_ENUM_ROW(SCALING, name, value)
typedef enum fiar_scaling { FIAR_SCALING_TABLE(X) } fiar_scaling_t;
#undef X
#define X(name, value, text) FIAR_ENUM_ROW(ACTIVATION, name, value)
typedef enum fiar_activation { FIAR_ACTIVATION_TABLE(X) } fiar_activation_t;
#undef X
#define X(name, value, text) FIAR_ENUM_ROW(COMBINE, name, value)
typedef enum fiar_combine { FIAR_COMBINE_TABLE(X) } fiar_combine_t;
#undef X
#define X(name, value, text) FIAR_ENUM_ROW(ACT_ROUNDING, name, value)
typedef enum fiar_act_rounding { FIAR_ACT_ROUNDING_TABLE(X) } fiar_act_rounding_t;
#undef X

#ifdef __cplusplus
}
#endif
#endif  // FIAR_TYPES_H
