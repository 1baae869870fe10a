// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Weights that are laid out anew once, when they are loaded, by the block's pack function:
//   - f8 weights [k, n] become [n, k], as tensor cores before compute capability 10.0 want them;
//   - the weights of silu's gate and up, whose products have one operand, become one [2n, k], and
//     the two products one: a decode step launches one kernel less and reads the rows once;
//   - the block scales of weights, in swizzle.c.
// Constants lie behind them.
// A weight is an argument that only products read, as their b.
#include <stdlib.h>
#include <string.h>

#include "block/plan.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

enum { B_FIELD = offsetof(fiar_matmul_params, b) };

static int value_at(const FiarBlockStep* step, uint32_t field) {
  int at = fiarStepPointerAt(step, field);
  return at < 0 ? -1 : step->pointers[at].value;
}

// Whether the value is an argument that only one product reads.
static bool is_weight(const FiarBlock* block, int value) {
  return value >= 0 && block->values[value].home == FIAR_HOME_ARGUMENT &&
         block->values[value].uses == 1;
}

uint64_t fiarBlockPackAdd(FiarBlock* block, FiarPackedWeight weight, uint64_t bytes) {
  weight.offset = block->packed_bytes;
  block->packed[block->n_packed++] = weight;
  block->arguments[block->values[weight.value].index].packed = true;
  block->packed_bytes += bytes;
  return weight.offset;
}

void fiarBlockPackAlign(FiarBlock* block) {
  block->packed_bytes = (block->packed_bytes + FIAR_ARENA_ALIGNMENT - 1) / FIAR_ARENA_ALIGNMENT *
                        FIAR_ARENA_ALIGNMENT;
}

static void pack(FiarBlock* block, FiarBlockStep* step, int value, int64_t n) {
  const fiar_matmul_params* params = &step->params.matmul;
  FiarBlockValue* to = &block->values[value];
  FiarPackedWeight weight = {.value = value,
                             .rows = params->b_transposed ? n : params->k,
                             .cols = params->b_transposed ? params->k : n,
                             .transposed = !params->b_transposed,
                             .dtype = params->b_dtype};
  to->offset = fiarBlockPackAdd(block, weight, to->bytes);
  to->home = FIAR_HOME_PACKED;
}

static FiarBlockStep* product_of(FiarBlock* block, int value) {
  FiarBlockStep* step = fiarBlockMakerOf(block, value);
  return step != NULL && step->kind == FIAR_BLOCK_MATMUL ? step : NULL;
}

// Whether the two products differ in b and the result alone.
static bool alike(const FiarBlockStep* a, const FiarBlockStep* b) {
  static const uint32_t same[] = {
      offsetof(fiar_matmul_params, a),        offsetof(fiar_matmul_params, bias),
      offsetof(fiar_matmul_params, a_scale),  offsetof(fiar_matmul_params, b_scale),
      offsetof(fiar_matmul_params, a_scales), offsetof(fiar_matmul_params, b_scales)};
  bool columns = fiarStepPointerAt(a, offsetof(fiar_matmul_params, bias)) >= 0 ||
                 fiarStepPointerAt(a, offsetof(fiar_matmul_params, b_scales)) >= 0;
  for (size_t i = 0; i < sizeof same / sizeof *same; ++i) {
    if (value_at(a, same[i]) != value_at(b, same[i])) {
      return false;
    }
  }
  return !columns && memcmp(&a->params.matmul, &b->params.matmul, sizeof a->params.matmul) == 0;
}

// One value with the columns of both, in the place of gate.
static void join(FiarBlock* block, FiarBlockStep* gate, FiarBlockStep* up, FiarBlockStep* silu) {
  int gate_b = value_at(gate, B_FIELD), up_b = value_at(up, B_FIELD);
  int out = value_at(gate, offsetof(fiar_matmul_params, out));
  pack(block, gate, gate_b, gate->params.matmul.n);
  pack(block, up, up_b, up->params.matmul.n);
  fiarBlockPackAlign(block);
  gate->params.matmul.n *= 2;
  gate->params.matmul.b_transposed = 1;
  gate->second_b = up_b;
  block->values[out].bytes *= 2;
  up->dropped = true;
  int at = fiarStepPointerAt(silu, offsetof(fiar_activate_params, up));
  memmove(&silu->pointers[at], &silu->pointers[at + 1],
          (size_t)(silu->n_pointers - at - 1) * sizeof *silu->pointers);
  --silu->n_pointers;
  --silu->n_inputs;
  --silu->row_inputs;
}

static void join_gate_and_up(FiarBlock* block, FiarBlockStep* silu) {
  int gate_value = value_at(silu, offsetof(fiar_activate_params, gate));
  int up_value = value_at(silu, offsetof(fiar_activate_params, up));
  if (gate_value < 0 || up_value < 0 || gate_value == up_value) {
    return;
  }
  FiarBlockStep *gate = product_of(block, gate_value), *up = product_of(block, up_value);
  // A view between them may have other rows than the products.
  bool fits =
      gate != NULL && up != NULL && block->values[gate_value].uses == 1 &&
      silu->params.activate.rows == gate->params.matmul.m &&
      silu->params.activate.cols == gate->params.matmul.n && block->values[up_value].uses == 1 &&
      alike(gate, up) && is_weight(block, value_at(gate, B_FIELD)) &&
      is_weight(block, value_at(up, B_FIELD)) && gate->params.matmul.b_dtype != FIAR_ELEMENT_E2M1 &&
      block->values[value_at(gate, B_FIELD)].bytes % FIAR_ARENA_ALIGNMENT == 0;
  if (fits) {
    join(block, gate, up, silu);
  }
}

// ---- constants ----

enum { MAX_CONSTANT = 1 << 20 };  // bytes, which become text and then a part of the object

int fiarBlockConstantAdd(FiarBlock* block, MlirOperation user, MlirValue value) {
  MlirAttribute data = fiarOpAttribute(mlirOpResultGetOwner(value), "value");
  uint8_t element = 0;
  bool whole = mlirAttributeIsADenseElements(data) &&
               fiarBlockElement(mlirValueGetType(value), &element) && element != FIAR_ELEMENT_E2M1;
  FiarBlockConstant* grown =
      realloc(block->constants, ((size_t)block->n_constants + 1) * sizeof *grown);
  int number = grown != NULL && whole ? fiarBlockValueAdd(block, value, FIAR_HOME_PACKED, 0) : -1;
  block->constants = grown == NULL ? block->constants : grown;
  if (number < 0 || block->values[number].bytes > MAX_CONSTANT) {
    (void)fiarErrorAt(
        user,
        "an operand is a constant of another type than the runtime's, or of more than "
        "%d bytes: make it an argument of the function",
        MAX_CONSTANT);
    return -1;
  }
  block->constants[block->n_constants++] = (FiarBlockConstant){number, data};
  return number;
}

const unsigned char* fiarBlockConstantAt(const FiarBlockConstant* constant, int64_t i,
                                         size_t* out_size) {
  MlirType element = mlirShapedTypeGetElementType(mlirAttributeGetType(constant->data));
  *out_size = mlirTypeIsAFloat(element) ? mlirFloatTypeGetWidth(element) / 8 : 1;
  bool splat = mlirDenseElementsAttrIsSplat(constant->data);
  return (const unsigned char*)mlirDenseElementsAttrGetRawData(constant->data) +
         (splat ? 0 : (size_t)i * *out_size);
}

static void place_constants(FiarBlock* block) {
  for (int i = 0; i < block->n_constants; ++i) {
    block->values[block->constants[i].value].offset = block->packed_bytes;
    block->packed_bytes += block->values[block->constants[i].value].bytes;
    fiarBlockPackAlign(block);
  }
}

void fiarBlockPack(FiarBlock* block, bool separate) {
  for (int i = 0; i < block->n_steps && !separate; ++i) {
    if (block->steps[i].kind == FIAR_BLOCK_ACTIVATE) {
      join_gate_and_up(block, &block->steps[i]);
    }
  }
  for (int i = 0; i < block->n_steps; ++i) {
    FiarBlockStep* step = &block->steps[i];
    int b = step->kind == FIAR_BLOCK_MATMUL ? value_at(step, B_FIELD) : -1;
    uint8_t dtype = step->params.matmul.b_dtype;
    if (!step->dropped && is_weight(block, b) && !step->params.matmul.b_transposed &&
        (dtype == FIAR_ELEMENT_E4M3 || dtype == FIAR_ELEMENT_E5M2)) {
      pack(block, step, b, step->params.matmul.n);
      fiarBlockPackAlign(block);
      step->params.matmul.b_transposed = 1;
    }
  }
  place_constants(block);
}
