// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A raised function read as a block: its steps in order, and where every value lies.
#include "block/plan.h"
#include "ir/array.h"
#include "ir/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

// ---- values ----

static void append(MlirStringRef piece, void* text) {
  size_t length = strlen(text), room = FIAR_BLOCK_NAME - 1 - length;
  (void)strncat(text, piece.data, piece.length < room ? piece.length : room);
}

bool fiarBlockElement(MlirType tensor, uint8_t* out_element) {
  static const struct {
    const char* text;
    uint8_t value;
  } elements[] = {
#define X(name, value, text, bits) {text, value},
      FIAR_ELEMENT_TABLE(X)
#undef X
          {"f8E8M0FNU", FIAR_ELEMENT_BYTE},  // scales: moved, and read by what knows them
  };
  char text[FIAR_BLOCK_NAME] = "";
  if (!mlirTypeIsAShaped(tensor)) {
    return false;
  }
  mlirTypePrint(mlirShapedTypeGetElementType(tensor), append, text);
  for (size_t i = 0; i < sizeof elements / sizeof *elements; ++i) {
    if (strcmp(text, elements[i].text) == 0) {
      *out_element = elements[i].value;
      return true;
    }
  }
  return false;
}

int64_t fiarBlockBits(MlirType type) {
  if (!mlirTypeIsARankedTensor(type) || !mlirShapedTypeHasStaticShape(type)) {
    return -1;
  }
  MlirType element = mlirShapedTypeGetElementType(type);
  int64_t bits = mlirTypeIsAInteger(element) ? (int64_t)mlirIntegerTypeGetWidth(element)
                 : mlirTypeIsAFloat(element) ? (int64_t)mlirFloatTypeGetWidth(element)
                                             : -1;
  bits = bits == 1 ? 8 : bits;
  for (int64_t i = 0; i < mlirShapedTypeGetRank(type) && bits >= 0; ++i) {
    if (__builtin_mul_overflow(bits, mlirShapedTypeGetDimSize(type, i), &bits)) {
      return -1;
    }
  }
  return bits;
}

static int64_t rows_of(MlirType type) {
  int64_t rank = mlirShapedTypeGetRank(type);
  return rank > 0 ? mlirShapedTypeGetDimSize(type, 0) : 0;
}

int fiarBlockValueMake(FiarBlock* block, MlirType type, uint64_t bytes, FiarHome home) {
  FiarBlockValue* values =
      fiarGrow(block->values, (size_t)block->n_values, &block->value_capacity, sizeof *values);
  if (values == NULL) {
    block->failed = true;
    return -1;
  }
  block->values = values;
  block->values[block->n_values] =
      (FiarBlockValue){.type = type, .bytes = bytes, .home = home, .first = -1, .last = -1};
  return block->n_values++;
}

int fiarBlockValueAdd(FiarBlock* block, MlirValue value, FiarHome home, int index) {
  int64_t bits = fiarBlockBits(mlirValueGetType(value));
  if (bits < 0) {
    (void)fiarErrorAt(block->function,
                      "a value of the block has no known size: every tensor needs a static shape");
    block->failed = true;
    return -1;
  }
  int number = fiarBlockValueMake(block, mlirValueGetType(value), ((uint64_t)bits + 7) / 8, home);
  if (number >= 0) {
    block->values[number].index = index;
    block->failed |= !fiarMapSet(&block->value_of, value.ptr, 0, (uint32_t)number);
  }
  return number;
}

int fiarBlockValueOf(FiarBlock* block, MlirOperation op, MlirValue value) {
  const uint32_t* found = fiarMapFind(&block->value_of, value.ptr, 0);
  if (found != NULL) {
    return (int)*found;
  }
  if (mlirValueIsAOpResult(value) &&
      !mlirAttributeIsNull(fiarOpAttribute(mlirOpResultGetOwner(value), "value"))) {
    return fiarBlockConstantAdd(block, op, value);
  }
  (void)fiarErrorAt(op, "an operand is computed by an op that cannot be lowered");
  return -1;
}

uint64_t fiarBlockBytes(const FiarBlock* block, const FiarBlockValue* value) {
  if (value->swizzled_rows > 0) {
    bool varies = value->by_tokens && block->tokens > 0;
    return fiarSwizzledBytes(
        varies ? value->swizzled_rows / block->tokens * block->max_tokens : value->swizzled_rows,
        value->swizzled_cols);
  }
  if (!value->by_tokens || block->tokens == 0) {
    return value->bytes;
  }
  return value->bytes / (uint64_t)block->tokens * (uint64_t)block->max_tokens;
}

FiarBlockStep* fiarBlockStepAdd(FiarBlock* block) {
  FiarBlockStep* steps =
      fiarGrow(block->steps, (size_t)block->n_steps, &block->step_capacity, sizeof *steps);
  if (steps == NULL) {
    block->failed = true;
    return NULL;
  }
  block->steps = steps;
  return &block->steps[block->n_steps++];
}

FiarBlockStep* fiarBlockStepInsert(FiarBlock* block, int at, const FiarBlockStep* step) {
  if (fiarBlockStepAdd(block) == NULL) {
    return NULL;
  }
  memmove(&block->steps[at + 1], &block->steps[at],
          (size_t)(block->n_steps - 1 - at) * sizeof *block->steps);
  block->steps[at] = *step;
  return &block->steps[at];
}

void fiarBlockStepRemove(FiarBlock* block, int at) {
  --block->n_steps;
  memmove(&block->steps[at], &block->steps[at + 1],
          (size_t)(block->n_steps - at) * sizeof *block->steps);
}

FiarBlockStep* fiarBlockMakerOf(FiarBlock* block, int value) {
  for (int i = 0; i < block->n_steps; ++i) {
    FiarBlockStep* step = &block->steps[i];
    for (int k = step->n_inputs; k < step->n_pointers; ++k) {
      if (step->pointers[k].value == value) {
        return step;
      }
    }
  }
  return NULL;
}

// ---- the function ----

static bool find_function(FiarBlock* block) {
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(block->module));
  for (MlirOperation op = mlirBlockGetFirstOperation(body); !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    if (!fiarBlockIsEntry(op)) {
      continue;
    }
    if (!mlirOperationIsNull(block->function)) {
      return fiarErrorAt(op, "a second public function: a block is one; make the others private");
    }
    block->function = op;
  }
  return !mlirOperationIsNull(block->function) ||
         fiarErrorAt(block->module, "no public function with a body: there is nothing to compile");
}

// Nobody has verified the module: a block may end anyhow.
static bool ends_open(const FiarBlock* block) {
  return fiarErrorAt(block->function, "a block in it ends without a return");
}

static bool is_constant(MlirOperation op) {
  return !mlirOperationIsNull(op) && mlirOperationGetNumOperands(op) == 0 &&
         mlirOperationGetNumResults(op) == 1 && !mlirAttributeIsNull(fiarOpAttribute(op, "value"));
}

// The block whose ops are a rank's: the function's, or that of the manual_computation that it is.
static bool find_body(FiarBlock* block, MlirBlock* out_body, MlirOperation* out_wrapper) {
  MlirRegion region = mlirOperationGetFirstRegion(block->function);
  MlirBlock body = mlirRegionGetFirstBlock(region);
  *out_body = body;
  *out_wrapper = (MlirOperation){NULL};
  if (!mlirBlockIsNull(mlirBlockGetNextInRegion(body))) {
    return fiarErrorAt(block->function, "its body has several blocks; a block has no branches");
  }
  MlirOperation first = mlirBlockGetFirstOperation(body);
  while (is_constant(first)) {
    first = mlirOperationGetNextInBlock(first);
  }
  if (!fiarBlockIsWrapper(first)) {
    return true;
  }
  intptr_t next_argument = 0;
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(first); ++i) {
    MlirValue operand = mlirOperationGetOperand(first, i);
    if (next_argument < mlirBlockGetNumArguments(body) &&
        mlirValueEqual(operand, mlirBlockGetArgument(body, next_argument))) {
      ++next_argument;
    } else if (!mlirValueIsAOpResult(operand) || !is_constant(mlirOpResultGetOwner(operand))) {
      return fiarErrorAt(first,
                         "its operands are not the function's arguments, in order, and constants");
    }
  }
  if (next_argument != mlirBlockGetNumArguments(body)) {
    return fiarErrorAt(first, "it does not take all of the function's arguments");
  }
  MlirOperation next = mlirOperationGetNextInBlock(first);
  if (mlirOperationIsNull(next)) {
    return ends_open(block);
  }
  if (!mlirOperationEqual(next, mlirBlockGetTerminator(body))) {
    return fiarErrorAt(next, "stands outside the manual computation: no rank computes it");
  }
  *out_wrapper = first;
  *out_body = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(first));
  return mlirBlockGetNumArguments(*out_body) == mlirOperationGetNumOperands(first) ||
         fiarErrorAt(first, "its body has not one argument for each operand");
}

// The dimension in which the whole model's tensor is longer; -1: none, or several.
static int shard_dim(MlirType whole, MlirType part, int64_t* out_parts) {
  int found = -1, count = 0;
  *out_parts = 1;
  if (!mlirTypeIsAShaped(whole) || mlirShapedTypeGetRank(whole) != mlirShapedTypeGetRank(part)) {
    return -1;
  }
  for (int64_t i = 0; i < mlirShapedTypeGetRank(part); ++i) {
    if (mlirShapedTypeGetDimSize(whole, i) != mlirShapedTypeGetDimSize(part, i)) {
      found = (int)i;
      ++count;
    }
  }
  if (count != 1) {
    return -1;
  }
  int64_t size = mlirShapedTypeGetDimSize(part, found);
  *out_parts = size > 0 ? mlirShapedTypeGetDimSize(whole, found) / size : 0;
  return found;
}

static int64_t module_number(const FiarBlock* block, const char* name) {
  double number = 0;
  return fiarReadNumber(fiarOpAttribute(block->module, name), &number) ? fiarWhole(number) : 1;
}

// Which part of a whole tensor is a rank's is known where the ranks are all there are: over several
// axes of devices (data parallel, too) it is the caller's to give. Without collectives the ranks
// are the parts.
static void settle_parts(FiarBlock* block) {
  const int64_t devices =
      module_number(block, "mhlo.num_partitions") * module_number(block, "mhlo.num_replicas");
  for (int i = 0; i < block->n_arguments; ++i) {
    FiarBlockArgument* argument = &block->arguments[i];
    if (argument->shard_dim < 0) {
      continue;
    }
    bool all = devices == 1 || devices == argument->parts;
    if (block->world == 0 && all) {
      block->world = argument->parts;
    }
    if (!all || block->world != argument->parts) {
      argument->shard_dim = -1;
    }
  }
}

// A constant of the function around the manual computation, which JAX makes of what it closes over.
static bool read_outer_constant(FiarBlock* block, MlirOperation wrapper, MlirValue constant,
                                MlirValue inner) {
  if (!mlirTypeEqual(mlirValueGetType(constant), mlirValueGetType(inner))) {
    return fiarErrorAt(wrapper, "a constant that is split over the ranks: make it an argument");
  }
  int number = fiarBlockConstantAdd(block, wrapper, constant);
  return number >= 0 && fiarMapSet(&block->value_of, inner.ptr, 0, (uint32_t)number);
}

static bool read_argument(FiarBlock* block, MlirType function_type, int i, MlirValue value) {
  FiarBlockArgument* argument = &block->arguments[i];
  MlirBlock outer = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(block->function));
  uint8_t element;
  if (!fiarBlockElement(mlirValueGetType(value), &element)) {
    return fiarErrorAt(block->function,
                       "argument %d is no tensor of f16, bf16, f32, f8E4M3FN, f8E5M2, f4E2M1FN "
                       "or i8",
                       i);
  }
  if (mlirShapedTypeGetRank(mlirValueGetType(value)) > FIAR_BLOCK_RANK) {
    return fiarErrorAt(block->function, "argument %d has more than %d dimensions", i,
                       FIAR_BLOCK_RANK);
  }
  fiarBlockNameArgument(block, false, i, mlirValueGetLocation(mlirBlockGetArgument(outer, i)));
  argument->type = mlirValueGetType(value);
  argument->shard_dim = shard_dim(mlirFunctionTypeGetInput(function_type, i),
                                  mlirValueGetType(value), &argument->parts);
  argument->value = fiarBlockValueAdd(block, value, FIAR_HOME_ARGUMENT, i);
  return argument->value >= 0;
}

static bool read_arguments(FiarBlock* block, MlirBlock body, MlirOperation wrapper) {
  MlirType type = mlirTypeAttrGetValue(fiarOpAttribute(block->function, "function_type"));
  MlirBlock outer = mlirRegionGetFirstBlock(mlirOperationGetFirstRegion(block->function));
  block->n_arguments = (int)mlirBlockGetNumArguments(outer);
  block->n_results = (int)mlirFunctionTypeGetNumResults(type);
  block->arguments = calloc((size_t)block->n_arguments + 1, sizeof *block->arguments);
  block->results = calloc((size_t)block->n_results + 1, sizeof *block->results);
  block->packed = calloc((size_t)block->n_arguments + 1, sizeof *block->packed);
  if (block->arguments == NULL || block->results == NULL || block->packed == NULL) {
    return fiarErrorAt(block->function, "out of memory");
  }
  int next = 0;
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(body); ++i) {
    MlirValue value = mlirBlockGetArgument(body, i);
    MlirValue operand = mlirOperationIsNull(wrapper) ? value : mlirOperationGetOperand(wrapper, i);
    if (!(mlirValueIsABlockArgument(operand)
              ? read_argument(block, type, next++, value)
              : read_outer_constant(block, wrapper, operand, value))) {
      return false;
    }
  }
  return true;
}

// An op that has no step: a view has the value of what it shows.
static bool read_view(FiarBlock* block, FiarView* view, MlirOperation op, bool* out_is_view) {
  FiarPrimitive p = fiarPrimitiveRead(view, op);
  *out_is_view =
      p.kind == FIAR_PRIM_RESHAPE || p.kind == FIAR_PRIM_IDENTITY || p.kind == FIAR_PRIM_CONSTANT;
  intptr_t n = mlirOperationGetNumResults(op);
  if (!*out_is_view || p.kind == FIAR_PRIM_CONSTANT) {
    return true;
  }
  for (intptr_t i = 0; i < n; ++i) {
    int value = fiarBlockValueOf(block, op, mlirOperationGetOperand(op, i));
    if (value < 0 ||
        !fiarMapSet(&block->value_of, mlirOperationGetResult(op, i).ptr, 0, (uint32_t)value)) {
      return false;
    }
  }
  return true;
}

// Every op that cannot be lowered is reported, not only the first.
static bool read_steps(FiarBlock* block, FiarView* view, MlirBlock body, MlirOperation* out_end) {
  bool good = true;
  for (MlirOperation op = mlirBlockGetFirstOperation(body); !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    if (mlirOperationIsNull(mlirOperationGetNextInBlock(op))) {
      *out_end = op;
      return good;
    }
    bool is_view = false;
    if (good && !read_view(block, view, op, &is_view)) {
      return false;
    }
    FiarPrimitiveKind kind = fiarPrimitiveKind(view, op);
    if (is_view || kind == FIAR_PRIM_RESHAPE || kind == FIAR_PRIM_CONSTANT) {
      continue;
    }
    if (fiarBlockOpOf(op) == FIAR_BLOCK_OPS) {
      MlirStringRef name = fiarOpName(op);
      good = fiarErrorAt(op, "%.*s cannot be lowered: no call of the runtime computes it",
                         (int)name.length, name.data);
    }
    FiarBlockStep step;
    if (good && fiarStepRead(block, op, &step)) {
      FiarBlockStep* to = fiarBlockStepAdd(block);
      good = to != NULL;
      if (good) {
        *to = step;
      }
    } else {
      good = false;
    }
  }
  return ends_open(block);
}

// ---- results ----

// Moves the value's bytes to a result of its own.
static bool copy_to_result(FiarBlock* block, int from, int to) {
  const FiarBlockValue* value = &block->values[from];
  FiarBlockStep* step = fiarBlockStepAdd(block);
  if (step == NULL) {
    return false;
  }
  int64_t rows = rows_of(value->type);
  rows = rows > 0 && value->bytes % (uint64_t)rows == 0 ? rows : 1;
  *step = (FiarBlockStep){.kind = FIAR_BLOCK_COPY,
                          .size = sizeof step->params.copy,
                          .rows_field = offsetof(fiar_copy_params, rows),
                          .rows = rows,
                          .pointers = {{offsetof(fiar_copy_params, input), from},
                                       {offsetof(fiar_copy_params, out), to}},
                          .n_pointers = 2,
                          .n_inputs = 1,
                          .row_inputs = 1,
                          .second_b = -1};
  step->params.copy = (fiar_copy_params){.struct_size = sizeof step->params.copy,
                                         .rows = rows,
                                         .cols = (int64_t)(value->bytes / (uint64_t)rows),
                                         .in_dtype = FIAR_ELEMENT_BYTE,
                                         .out_dtype = FIAR_ELEMENT_BYTE};
  return true;
}

// A value that a step makes is made where the caller wants it; an argument, or a value that is two
// results, is copied.
static bool read_results(FiarBlock* block, MlirOperation wrapper, MlirOperation end) {
  MlirOperation outer = end;
  if (!mlirOperationIsNull(wrapper)) {
    outer = mlirOperationGetNextInBlock(wrapper);
  }
  if (mlirOperationGetNumOperands(outer) != block->n_results) {  // no func.return
    return fiarErrorAt(outer, "ends a function of %d results with %d operands", block->n_results,
                       (int)mlirOperationGetNumOperands(outer));
  }
  for (int i = 0; i < block->n_results; ++i) {
    MlirValue value = mlirOperationGetOperand(outer, i);
    if (!mlirOperationIsNull(wrapper)) {
      if (!mlirValueIsAOpResult(value) ||
          !mlirOperationEqual(mlirOpResultGetOwner(value), wrapper) ||
          mlirOpResultGetResultNumber(value) >= mlirOperationGetNumOperands(end)) {
        return fiarErrorAt(outer, "result %d is none of the manual computation's", i);
      }
      value = mlirOperationGetOperand(end, mlirOpResultGetResultNumber(value));
    }
    int number = fiarBlockValueOf(block, end, value);
    if (number < 0) {
      return false;
    }
    fiarBlockNameArgument(block, true, i, mlirLocationUnknownGet(mlirOperationGetContext(end)));
    block->results[i].type = mlirValueGetType(value);
    block->results[i].shard_dim = -1;
    if (mlirShapedTypeGetRank(block->results[i].type) > FIAR_BLOCK_RANK) {
      return fiarErrorAt(end, "result %d has more than %d dimensions", i, FIAR_BLOCK_RANK);
    }
    if (block->values[number].home == FIAR_HOME_ARENA) {
      block->values[number].home = FIAR_HOME_RESULT;
      block->values[number].index = i;
    } else {
      int copy = fiarBlockValueAdd(block, value, FIAR_HOME_RESULT, i);
      if (copy < 0 || !copy_to_result(block, number, copy)) {
        return false;
      }
      block->values[copy].type = block->values[number].type;
      (void)fiarMapSet(&block->value_of, value.ptr, 0, (uint32_t)number);
      number = copy;
    }
    block->results[i].value = number;
    ++block->values[number].uses;
  }
  return true;
}

// ---- tokens ----

// The first dimension of a step's rows is the tokens; its results have as many.
static bool spread_tokens(FiarBlock* block, FiarBlockStep* step) {
  MlirOperation at = mlirOperationIsNull(step->op) ? block->function : step->op;
  if (mlirOperationIsNull(step->op) && !block->values[step->pointers[0].value].by_tokens) {
    return true;  // a copy of what no step takes for rows
  }
  for (int i = 0; i < step->n_pointers; ++i) {
    FiarBlockValue* value = &block->values[step->pointers[i].value];
    if (i >= step->row_inputs && i < step->n_inputs) {
      continue;  // shares_no_tokens
    }
    if (value->home == FIAR_HOME_PACKED) {
      return fiarErrorAt(at, "tokens cannot vary here: its rows are a constant");
    }
    int64_t rows = rows_of(value->type);
    block->tokens = block->tokens == 0 ? rows : block->tokens;
    if (rows < 2 || rows != block->tokens || step->row_inputs == 0 || step->rows % rows != 0 ||
        value->bytes % (uint64_t)rows != 0) {
      return fiarErrorAt(at,
                         "tokens cannot vary here: its rows must be the first dimension, the same "
                         "number in the whole block and more than one (%" PRId64 " and %" PRId64
                         ")",
                         rows, block->tokens);
    }
    value->by_tokens = true;
  }
  bool padded = (step->kind == FIAR_BLOCK_QUANTIZE && step->params.quantize.scale_layout != 0) ||
                ((step->kind == FIAR_BLOCK_ALL_REDUCE_NORM || step->kind == FIAR_BLOCK_RMS_NORM) &&
                 (step->params.norm.scale_layout != 0 || step->params.norm.residual_layout != 0)) ||
                step->kind == FIAR_BLOCK_ALL_GATHER_ROWS || step->kind == FIAR_BLOCK_TAKE_ROWS;
  step->by_tokens = true;
  return !padded || fiarErrorAt(at, "tokens cannot vary here: its rows are padded or sharded");
}

// Behind spread_tokens for all steps, since a later one may say that a value depends on the tokens.
static bool shares_no_tokens(FiarBlock* block, const FiarBlockStep* step) {
  for (int i = step->row_inputs; i < step->n_inputs; ++i) {
    if (block->values[step->pointers[i].value].by_tokens && step->by_tokens) {
      return fiarErrorAt(mlirOperationIsNull(step->op) ? block->function : step->op,
                         "an operand that is the same for all rows depends on the tokens");
    }
  }
  return true;
}

static bool plan_tokens(FiarBlock* block) {
  for (int i = 0; i < block->n_steps && block->max_tokens > 0; ++i) {
    if (!spread_tokens(block, &block->steps[i])) {
      return false;
    }
  }
  for (int i = 0; i < block->n_steps; ++i) {
    if (!shares_no_tokens(block, &block->steps[i])) {
      return false;
    }
  }
  for (int i = 0; i < block->n_arguments; ++i) {
    block->arguments[i].by_tokens = block->values[block->arguments[i].value].by_tokens;
  }
  for (int i = 0; i < block->n_results; ++i) {
    block->results[i].by_tokens = block->values[block->results[i].value].by_tokens;
    if (block->results[i].by_tokens && rows_of(block->results[i].type) != block->tokens) {
      return fiarErrorAt(block->function,
                         "tokens cannot vary here: the first dimension of result %d is not them",
                         i);
    }
  }
  return true;
}

// ---- memory ----

static void note_uses(FiarBlock* block) {
  for (int i = 0; i < block->n_steps; ++i) {
    for (int k = 0; k < block->steps[i].n_inputs; ++k) {
      ++block->values[block->steps[i].pointers[k].value].uses;
    }
  }
}

// Outputs that nothing reads are not asked for.
static void drop_unused(FiarBlock* block) {
  for (int i = 0; i < block->n_steps; ++i) {
    FiarBlockStep* step = &block->steps[i];
    int kept = step->n_inputs;
    for (int k = step->n_inputs; k < step->n_pointers; ++k) {
      if (block->values[step->pointers[k].value].uses > 0) {
        step->pointers[kept++] = step->pointers[k];
      }
    }
    step->n_pointers = kept;
    step->dropped |= kept == step->n_inputs;
  }
}

static void note_lifetimes(FiarBlock* block) {
  for (int i = 0; i < block->n_steps; ++i) {
    const FiarBlockStep* step = &block->steps[i];
    for (int k = 0; k < step->n_pointers && !step->dropped; ++k) {
      FiarBlockValue* value = &block->values[step->pointers[k].value];
      value->first = value->first < 0 ? i : value->first;
      value->last = i;
    }
  }
}

// Values, then the scratch of each product, which lives for its step.
static bool plan_arena(FiarBlock* block) {
  size_t count = (size_t)block->n_values + (size_t)block->n_steps, bytes = 0;
  FiarLifetime* lives = calloc(count + 1, sizeof *lives);
  if (lives == NULL) {
    return fiarErrorAt(block->function, "out of memory");
  }
  for (int i = 0; i < block->n_values; ++i) {
    const FiarBlockValue* value = &block->values[i];
    bool in_arena = value->home == FIAR_HOME_ARENA && value->first >= 0;
    lives[i] =
        (FiarLifetime){in_arena ? fiarBlockBytes(block, value) : 0, value->first, value->last, 0};
  }
  for (int i = 0; i < block->n_steps; ++i) {
    FiarBlockStep* step = &block->steps[i];
    if (step->kind == FIAR_BLOCK_MATMUL && !step->dropped) {
      int64_t most = step->by_tokens ? step->rows / block->tokens * block->max_tokens : step->rows;
      step->params.matmul.workspace_bytes = FIAR_MATMUL_WORKSPACE(most, step->params.matmul.n);
      lives[block->n_values + i] = (FiarLifetime){step->params.matmul.workspace_bytes, i, i, 0};
    }
  }
  bool good = fiarArenaPlan(lives, count, FIAR_ARENA_ALIGNMENT, &bytes);
  for (int i = 0; i < block->n_values; ++i) {
    if (block->values[i].home == FIAR_HOME_ARENA) {
      block->values[i].offset = lives[i].offset;
    }
  }
  for (int i = 0; i < block->n_steps; ++i) {
    block->steps[i].scratch = lives[block->n_values + i].offset;
  }
  block->arena_bytes = bytes;
  free(lives);
  return good || fiarErrorAt(block->function, "its values need more memory than can be addressed");
}

// ---- all of it ----

static bool plan(FiarBlock* block, FiarView* view, const FiarBlockOptions* options) {
  MlirBlock body;
  MlirOperation wrapper, end = {NULL};
  if (!find_function(block) || !find_body(block, &body, &wrapper) ||
      !read_arguments(block, body, wrapper) || !read_steps(block, view, body, &end) ||
      !read_results(block, wrapper, end)) {
    return false;
  }
  settle_parts(block);
  fiarBlockName(block, options->name);
  block->max_tokens = options->max_tokens;
  note_uses(block);
  drop_unused(block);
  if (!fiarBlockPackScales(block) || !plan_tokens(block) || !fiarBlockSwizzle(block)) {
    return false;
  }
  fiarBlockPack(block, options->separate);
  note_lifetimes(block);
  return plan_arena(block) && !block->failed;
}

bool fiarBlockPlan(MlirOperation module, const FiarBlockOptions* options, FiarBlock* out_block) {
  FiarBlockOptions known = {.struct_size = sizeof known};
  *out_block = (FiarBlock){.module = module};
  if (!fiarOptionsTake(module, "FiarBlockOptions", options, &known)) {
    return false;
  }
  if (!fiarStringEqual(fiarOpName(module), "builtin.module")) {
    return fiarErrorAt(module, "a block is compiled from a builtin.module");
  }
  if (known.max_tokens < 0) {
    return fiarErrorAt(module, "max-tokens is %lld, must be at least 0",
                       (long long)known.max_tokens);
  }
  FiarView view;
  bool good = fiarViewInit(&view, module) && plan(out_block, &view, &known);
  fiarViewClear(&view);
  return good;
}

void fiarBlockFree(FiarBlock* block) {
  free(block->arguments);
  free(block->results);
  free(block->values);
  free(block->steps);
  free(block->packed);
  free(block->constants);
  fiarMapClear(&block->value_of);
  *block = (FiarBlock){0};
}
