// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// One fiar op as a call of the runtime: its params, but for what is known only when it runs, and
// the values that its pointers are.
#include <string.h>

#include "block/plan.h"
#include "lower/spelling.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))
#define FIELD(type, name) ((uint32_t)offsetof(type, name))

static void add_pointer(FiarBlockStep* step, uint32_t field, int value) {
  step->pointers[step->n_pointers++] = (FiarStepPointer){field, value};
}

int fiarStepPointerAt(const FiarBlockStep* step, uint32_t field) {
  for (int i = 0; i < step->n_pointers; ++i) {
    if (step->pointers[i].field == field) {
      return i;
    }
  }
  return -1;
}

// Operands come first, then results; absent ones are null.
static bool add_operand(FiarBlock* block, FiarBlockStep* step, uint32_t field, MlirValue value,
                        bool by_rows) {
  if (mlirValueIsNull(value)) {
    return true;
  }
  int number = fiarBlockValueOf(block, step->op, value);
  if (number < 0) {
    return false;
  }
  add_pointer(step, field, number);
  ++step->n_inputs;
  if (by_rows) {  // these stand before the others
    step->row_inputs = step->n_inputs;
  }
  return true;
}

static bool add_result(FiarBlock* block, FiarBlockStep* step, uint32_t field, MlirValue value) {
  if (mlirValueIsNull(value)) {
    return true;
  }
  int number = fiarBlockValueAdd(block, value, FIAR_HOME_ARENA, 0);
  if (number >= 0) {
    add_pointer(step, field, number);
  }
  return number >= 0;
}

// Rows and the length of one; false where a size is dynamic or there is no dimension.
static bool take_rows(MlirOperation op, MlirValue value, int64_t* out_rows, int64_t* out_cols) {
  FiarShape shape;
  if (!fiarShapeRead(mlirValueGetType(value), &shape) || fiarShapeElements(&shape) < 0) {
    return fiarErrorAt(op, "its tensors must have known sizes, and at most %d dimensions",
                       FIAR_MAX_RANK);
  }
  *out_cols = shape.rank > 0 ? shape.size[shape.rank - 1] : 1;
  *out_rows = *out_cols > 0 ? fiarShapeElements(&shape) / *out_cols : 0;
  return *out_cols > 0 || fiarErrorAt(op, "its rows are empty");
}

// Whether the tensor, if there is one, has these rows: what was raised from other dialects' ops is
// as its source had it, and nobody has verified that.
static bool has_rows(MlirOperation op, const char* what, MlirValue value, int64_t rows,
                     int64_t cols) {
  int64_t own_rows = 0, own_cols = 0;
  return mlirValueIsNull(value) ||
         (take_rows(op, value, &own_rows, &own_cols) &&
          ((own_rows == rows && own_cols == cols) ||
           fiarErrorAt(op, "%s has %lld rows of %lld elements; %lld of %lld are computed", what,
                       (long long)own_rows, (long long)own_cols, (long long)rows,
                       (long long)cols)));
}

// Whether the tensor, if there is one, has so many f32.
static bool has_f32(MlirOperation op, const char* what, MlirValue value, int64_t count) {
  FiarShape shape;
  return mlirValueIsNull(value) ||
         (fiarShapeRead(mlirValueGetType(value), &shape) && shape.elem == FIAR_ELEM_F32 &&
          fiarShapeElements(&shape) == count) ||
         fiarErrorAt(op, "%s must have %lld f32", what, (long long)count);
}

static bool take_element(MlirOperation op, MlirValue value, uint8_t* out_element) {
  return mlirValueIsNull(value) || fiarBlockElement(mlirValueGetType(value), out_element) ||
         fiarErrorAt(op, "the runtime does not compute with its element types");
}

static bool take_bool(MlirOperation op, const char* name, uint8_t* out_value) {
  double number;
  if (!fiarReadNumber(fiarOpAttribute(op, name), &number)) {
    return fiarErrorAt(op, "attribute %s must be true or false", name);
  }
  *out_value = number != 0;
  return true;
}

// ---- the norms ----

static bool take_group(FiarBlock* block, const FiarCall* call) {
  if (block->world == 0) {
    block->world = call->world;
    block->groups = call->groups;
  }
  if (!mlirAttributeEqual(block->groups, call->groups) || block->world != call->world) {
    return fiarErrorAt(call->op,
                       "its replica groups are others than an earlier op's; a block has one "
                       "communicator");
  }
  return true;
}

static bool read_norm(FiarBlock* block, FiarBlockStep* step) {
  fiar_all_reduce_norm_params* params = &step->params.norm;
  FiarCallKind kind = step->kind == FIAR_BLOCK_ALL_REDUCE        ? FIAR_CALL_ALL_REDUCE
                      : step->kind == FIAR_BLOCK_ALL_GATHER_ROWS ? FIAR_CALL_ALL_GATHER_ROWS
                      : step->kind == FIAR_BLOCK_TAKE_ROWS       ? FIAR_CALL_TAKE_ROWS
                                                                 : FIAR_CALL_ALL_REDUCE_NORM;
  FiarCall call;
  if (!fiarCallOf(step->op, kind, &call) || !fiarCallParams(&call, params) ||
      (step->kind != FIAR_BLOCK_RMS_NORM && !take_group(block, &call))) {
    return false;
  }
  bool gathers = kind == FIAR_CALL_ALL_GATHER_ROWS;
  MlirValue whole = gathers ? call.results[FIAR_OUT_SUM] : call.operands[FIAR_IN_X];
  if (!take_rows(step->op, whole, &params->tokens, &params->hidden)) {
    return false;
  }
  step->size = sizeof *params;
  step->rows_field = FIELD(fiar_all_reduce_norm_params, tokens);
  step->rows = params->tokens;
  for (int i = 0; i < FIAR_IN_COUNT; ++i) {
    if (!add_operand(block, step, (uint32_t)fiar_operand_slots[i].offset, call.operands[i],
                     i <= FIAR_IN_RESIDUAL)) {
      return false;
    }
  }
  for (int i = 0; i < FIAR_OUT_COUNT; ++i) {
    if (!add_result(block, step, (uint32_t)fiar_result_slots[i].offset, call.results[i])) {
      return false;
    }
  }
  return true;
}

// ---- the others ----

// Whether an operand of a product has the scales that its scaling says, `rows` of them or rows of
// them.
static bool has_scales(MlirOperation op, const char* what, MlirValue value, uint8_t scaling,
                       int64_t rows, const fiar_matmul_params* params) {
  const int64_t block = params->block_scale_type == FIAR_SCALE_TYPE_E4M3 ? 16 : 32;
  if (mlirValueIsNull(value) != (scaling == FIAR_SCALING_NONE)) {
    return fiarErrorAt(op,
                       mlirValueIsNull(value) ? "%s is missing, but its scaling is not none"
                                              : "%s is there, but its scaling is none",
                       what);
  }
  if (scaling == FIAR_SCALING_NONE) {
    return true;
  }
  if (scaling == FIAR_SCALING_VECTOR) {
    return has_f32(op, what, value, rows);
  }
  const int64_t want =
      fiarScaleElements(params->block_scale_layout, false, rows, params->k / block);
  const int64_t bits = fiarBlockBits(mlirValueGetType(value));
  return bits == 8 * want || fiarErrorAt(op, "%s has %lld scales of a byte, not %lld", what,
                                         (long long)bits / 8, (long long)want);
}

static bool read_matmul(FiarBlock* block, FiarBlockStep* step) {
  enum { A, B, BIAS, A_SCALE, B_SCALE, A_SCALES, B_SCALES, COUNT };
  static const FiarSpelled fields[] = {
      FIAR_SPELLED(fiar_matmul_params, a_scale_is, scale_is),
      FIAR_SPELLED(fiar_matmul_params, b_scale_is, scale_is),
      FIAR_SPELLED(fiar_matmul_params, a_scaling, scaling),
      FIAR_SPELLED(fiar_matmul_params, b_scaling, scaling),
      FIAR_SPELLED(fiar_matmul_params, block_scale_type, scale_type),
      FIAR_SPELLED(fiar_matmul_params, block_scale_layout, scale_layout),
  };
#define AT(name) FIELD(fiar_matmul_params, name)
  // a and its scales have the rows; they come first.
  static const struct {
    int slot;
    uint32_t field;
  } order[] = {{A, AT(a)},
               {A_SCALES, AT(a_scales)},
               {B, AT(b)},
               {BIAS, AT(bias)},
               {A_SCALE, AT(a_scale)},
               {B_SCALE, AT(b_scale)},
               {B_SCALES, AT(b_scales)}};
  fiar_matmul_params* params = &step->params.matmul;
  MlirOperation op = step->op;
  MlirValue in[COUNT] = {{NULL}};
  int64_t b_rows = 0, b_cols = 0, m_out = 0;
  *params = (fiar_matmul_params){.struct_size = sizeof *params};
  if (!fiarTakeSegments(op, "operandSegmentSizes", mlirOperationGetNumOperands(op),
                        mlirOperationGetOperand, in, COUNT) ||
      !fiarTakeSpelled(op, fields, LENGTH(fields), params) ||
      !take_bool(op, "b_transposed", &params->b_transposed) ||
      !take_element(op, in[A], &params->a_dtype) || !take_element(op, in[B], &params->b_dtype) ||
      !take_element(op, in[BIAS], &params->bias_dtype) ||
      !take_element(op, mlirOperationGetResult(op, 0), &params->out_dtype) ||
      !take_rows(op, in[A], &params->m, &params->k) || !take_rows(op, in[B], &b_rows, &b_cols) ||
      !take_rows(op, mlirOperationGetResult(op, 0), &m_out, &params->n)) {
    return false;
  }
  if (m_out != params->m || (params->b_transposed ? b_cols : b_rows) != params->k ||
      (params->b_transposed ? b_rows : b_cols) != params->n) {
    return fiarErrorAt(op, "the shapes of a, b and the result are not those of a product");
  }
  int64_t biases = 0, rows_of_bias = 0;
  if (!mlirValueIsNull(in[BIAS]) &&
      (!take_rows(op, in[BIAS], &rows_of_bias, &biases) || rows_of_bias * biases != params->n)) {
    return fiarErrorAt(op, "bias must have %lld elements", (long long)params->n);
  }
  if ((params->a_scaling == FIAR_SCALING_BLOCK) != (params->b_scaling == FIAR_SCALING_BLOCK)) {
    return fiarErrorAt(op, "only one of a_scaling and b_scaling is block");
  }
  if (!has_f32(op, "a_scale", in[A_SCALE], 1) || !has_f32(op, "b_scale", in[B_SCALE], 1) ||
      !has_scales(op, "a_scales", in[A_SCALES], params->a_scaling, params->m, params) ||
      !has_scales(op, "b_scales", in[B_SCALES], params->b_scaling, params->n, params)) {
    return false;
  }
  step->size = sizeof *params;
  step->rows_field = AT(m);
  step->rows = params->m;
  for (int i = 0; i < LENGTH(order); ++i) {
    if (!add_operand(block, step, order[i].field, in[order[i].slot], i < 2)) {
      return false;
    }
  }
  return add_result(block, step, AT(out), mlirOperationGetResult(op, 0));
#undef AT
}

static bool read_quantize(FiarBlock* block, FiarBlockStep* step) {
  static const FiarSpelled fields[] = {
      FIAR_SPELLED(fiar_quantize_params, quant, quant),
      FIAR_SPELLED(fiar_quantize_params, scale_layout, scale_layout),
      FIAR_SPELLED(fiar_quantize_params, scale_type, scale_type),
      FIAR_SPELLED(fiar_quantize_params, scale_is, scale_is),
  };
#define AT(name) FIELD(fiar_quantize_params, name)
  fiar_quantize_params* params = &step->params.quantize;
  MlirOperation op = step->op;
  MlirValue in[2] = {{NULL}}, out[2] = {{NULL}};
  double scale_min, group_size;
  *params = (fiar_quantize_params){.struct_size = sizeof *params};
  if (!fiarTakeSegments(op, "operandSegmentSizes", mlirOperationGetNumOperands(op),
                        mlirOperationGetOperand, in, 2) ||
      !fiarTakeSegments(op, "resultSegmentSizes", mlirOperationGetNumResults(op),
                        mlirOperationGetResult, out, 2) ||
      !fiarTakeSpelled(op, fields, LENGTH(fields), params) ||
      !take_element(op, in[0], &params->dtype) ||
      !take_rows(op, in[0], &params->rows, &params->cols)) {
    return false;
  }
  if (!fiarReadNumber(fiarOpAttribute(op, "scale_min"), &scale_min) ||
      !fiarReadNumber(fiarOpAttribute(op, "group_size"), &group_size)) {
    return fiarErrorAt(op, "needs the attributes scale_min and group_size");
  }
  params->scale_min = (float)scale_min;
  params->group_size = (int32_t)fiarWhole(group_size);
  const FiarCall call = {.op = op,
                         .operands = {[FIAR_IN_X] = in[0], [FIAR_IN_SCALE] = in[1]},
                         .results = {[FIAR_OUT_QUANT] = out[0], [FIAR_OUT_SCALES] = out[1]}};
  fiar_all_reduce_norm_params same = {.quant = params->quant,
                                      .group_size = params->group_size,
                                      .scale_layout = params->scale_layout,
                                      .scale_type = params->scale_type};
  if (!fiarCheckQuantised(&call, &same)) {
    return false;
  }
  step->size = sizeof *params;
  step->rows_field = AT(rows);
  step->rows = params->rows;
  return add_operand(block, step, AT(input), in[0], true) &&
         add_operand(block, step, AT(scale), in[1], false) &&
         add_result(block, step, AT(quant_out), out[0]) &&
         add_result(block, step, AT(scales_out), out[1]);
#undef AT
}

// Where there is no up to combine with, gate's rows hold both.
static bool halve_columns(MlirOperation op, MlirValue up, fiar_activate_params* params) {
  if (!mlirValueIsNull(up) || params->combine == FIAR_COMBINE_NONE) {
    return true;
  }
  if (params->cols % 2 != 0) {
    return fiarErrorAt(op, "gate has rows of %lld elements, which are no two halves",
                       (long long)params->cols);
  }
  params->cols /= 2;
  return true;
}

static bool read_activate(FiarBlock* block, FiarBlockStep* step) {
  static const FiarSpelled fields[] = {
      FIAR_SPELLED(fiar_activate_params, activation, activation),
      FIAR_SPELLED(fiar_activate_params, combine, combine),
      FIAR_SPELLED(fiar_activate_params, rounding, act_rounding),
      FIAR_SPELLED(fiar_activate_params, quant, quant),
      FIAR_SPELLED(fiar_activate_params, scale_is, scale_is),
  };
#define AT(name) FIELD(fiar_activate_params, name)
  fiar_activate_params* params = &step->params.activate;
  MlirOperation op = step->op;
  MlirValue in[3] = {{NULL}}, out[2] = {{NULL}};
  *params = (fiar_activate_params){.struct_size = sizeof *params};
  if (!fiarTakeSegments(op, "operandSegmentSizes", mlirOperationGetNumOperands(op),
                        mlirOperationGetOperand, in, 3) ||
      !fiarTakeSegments(op, "resultSegmentSizes", mlirOperationGetNumResults(op),
                        mlirOperationGetResult, out, 2) ||
      !fiarTakeSpelled(op, fields, LENGTH(fields), params) ||
      !take_element(op, in[0], &params->dtype) || !take_element(op, out[0], &params->out_dtype) ||
      !take_rows(op, in[0], &params->rows, &params->cols) || !halve_columns(op, in[1], params) ||
      !has_f32(op, "scale", in[2], 1) || !has_rows(op, "up", in[1], params->rows, params->cols) ||
      !has_rows(op, "out", out[0], params->rows, params->cols) ||
      !has_rows(op, "quant", out[1], params->rows, params->cols)) {
    return false;
  }
  step->size = sizeof *params;
  step->rows_field = AT(rows);
  step->rows = params->rows;
  return add_operand(block, step, AT(gate), in[0], true) &&
         add_operand(block, step, AT(up), in[1], true) &&
         add_operand(block, step, AT(scale), in[2], false) &&
         add_result(block, step, AT(out), out[0]) && add_result(block, step, AT(quant_out), out[1]);
#undef AT
}

static bool read_copy(FiarBlock* block, FiarBlockStep* step) {
  fiar_copy_params* params = &step->params.copy;
  MlirOperation op = step->op;
  MlirValue in = mlirOperationGetOperand(op, 0), out = mlirOperationGetResult(op, 0);
  *params = (fiar_copy_params){.struct_size = sizeof *params};
  if (!take_bool(op, "transposed", &params->transposed) ||
      !take_element(op, in, &params->in_dtype) || !take_element(op, out, &params->out_dtype) ||
      !take_rows(op, in, &params->rows, &params->cols) ||
      !has_rows(op, "out", out, params->transposed ? params->cols : params->rows,
                params->transposed ? params->rows : params->cols)) {
    return false;
  }
  step->size = sizeof *params;
  step->rows_field = FIELD(fiar_copy_params, rows);
  step->rows = params->rows;
  return add_operand(block, step, FIELD(fiar_copy_params, input), in, !params->transposed) &&
         add_result(block, step, FIELD(fiar_copy_params, out), out);
}

bool fiarStepRead(FiarBlock* block, MlirOperation op, FiarBlockStep* out_step) {
  *out_step = (FiarBlockStep){.kind = fiarBlockOpOf(op), .op = op, .second_b = -1};
  switch (out_step->kind) {
    case FIAR_BLOCK_MATMUL:
      return read_matmul(block, out_step);
    case FIAR_BLOCK_QUANTIZE:
      return read_quantize(block, out_step);
    case FIAR_BLOCK_ACTIVATE:
      return read_activate(block, out_step);
    case FIAR_BLOCK_COPY:
      return read_copy(block, out_step);
    default:
      return read_norm(block, out_step);
  }
}
