// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// torch.operator: vLLM's norms and quantisers, which write their results over operands,
//   torch.operator "torch._C.rms_norm"(%out, %x, %w, %eps) : (...) -> ()
// or, once made functional (auto_functionalized), give what they wrote as results, in the order of
// the operands:
//   %n = torch.operator "torch._C.rms_norm"(%out, %x, %w, %eps) : (...) -> !torch.vtensor<..>
#include <math.h>
#include <string.h>

#include "frontends/primitive.h"
#include "mlir-c/BuiltinAttributes.h"

static const char inverse[] = "torch.aten.reciprocal";

// The floor under a token's scale: 1 / (448 * 512) in f32.
static const double token_floor = 0x1.24924ap-18;

// What an operand is, a letter each. Capitals are written, in the order of the results.
//   x  what is normalised or quantised      X  the same, becomes the norm
//   r  the residual                         R  the same, becomes the sum
//   N  the norm      Q  the codes     S  the scales, all three written without being read
//   w  weight        s  a scale       e  eps            f  a floor under amax
//   g  group size    b  the bound 448 and  B  -448      l  whether scales are swizzled
//   0  false         n  none          -  anything
// Letters behind a '|' are operands that may be absent.
typedef struct NamedRow {
  MlirStringRef name;
  const char* operands;
  fiar_quant_t quant;
} NamedRow;

static const NamedRow rows[] = {
    {FIAR_TEXT("torch._C.rms_norm"), "Nxwe", FIAR_QUANT_NONE},
    {FIAR_TEXT("torch._C.fused_add_rms_norm"), "XRwe", FIAR_QUANT_NONE},
    {FIAR_TEXT("torch._C.static_scaled_fp8_quant"), "Qxs|n", FIAR_QUANT_FP8_STATIC},
    {FIAR_TEXT("torch._C.rms_norm_static_fp8_quant"), "Qxwse", FIAR_QUANT_FP8_STATIC},
    {FIAR_TEXT("torch._C.fused_add_rms_norm_static_fp8_quant"), "QxRwse", FIAR_QUANT_FP8_STATIC},
    {FIAR_TEXT("torch._C.dynamic_per_token_scaled_fp8_quant"), "QxSn", FIAR_QUANT_FP8_TOKEN},
    {FIAR_TEXT("torch._C.per_token_group_fp8_quant"), "xQSgfBb0|--", FIAR_QUANT_FP8_GROUP},
    {FIAR_TEXT("torch._C.scaled_fp4_quant"), "QxSs|l", FIAR_QUANT_NVFP4},
    {FIAR_TEXT("torch._C.scaled_fp4_quant.out"), "xslQS", FIAR_QUANT_NVFP4},
};

MlirAttribute fiarTorchConstant(MlirOperation op, intptr_t operand) {
  static const MlirStringRef kinds[] = {
      FIAR_TEXT("torch.constant.int"), FIAR_TEXT("torch.constant.float"),
      FIAR_TEXT("torch.constant.bool"), FIAR_TEXT("torch.constant.str")};
  if (operand >= mlirOperationGetNumOperands(op) ||
      !mlirValueIsAOpResult(mlirOperationGetOperand(op, operand))) {
    return mlirAttributeGetNull();
  }
  MlirOperation constant = mlirOpResultGetOwner(mlirOperationGetOperand(op, operand));
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    if (fiarTextEqual(fiarOpName(constant), kinds[i])) {
      return fiarOpAttribute(constant, "value");
    }
  }
  return mlirAttributeGetNull();
}

static bool number_at(MlirOperation op, intptr_t operand, double* out_number) {
  return fiarReadNumber(fiarTorchConstant(op, operand), out_number);
}

static bool is_none(MlirValue value) {
  for (int depth = 0; depth < 2 && mlirValueIsAOpResult(value); ++depth) {
    MlirOperation op = mlirOpResultGetOwner(value);
    if (fiarStringEqual(fiarOpName(op), "torch.constant.none")) {
      return true;
    }
    if (!fiarStringEqual(fiarOpName(op), "torch.derefine")) {
      return false;
    }
    value = mlirOperationGetOperand(op, 0);
  }
  return false;
}

static void add_result(FiarNamed* named, FiarNamedResult result, int operand) {
  named->results[named->n_results] = result;
  named->written[named->n_results++] = operand;
}

static bool read_number(FiarNamed* named, MlirOperation op, int at, char letter) {
  double number;
  if (!number_at(op, at, &number)) {
    return false;
  }
  switch (letter) {
    case 'e':
      named->eps = number;
      return true;
    case 'f':
      named->scale_min = (double)((float)number / 448.0f);
      return number >= 0;
    case 'g':
      named->group_size = fiarWhole(number);
      return number > 0;
    case 'l':
      named->scale_layout =
          number != 0 ? FIAR_SCALE_LAYOUT_SWIZZLED_128X4 : FIAR_SCALE_LAYOUT_LINEAR;
      return true;
    case 'b':
      return number == 448;
    case 'B':
      return number == -448;
    default:
      return number == 0;
  }
}

static bool read_operand(FiarNamed* named, MlirOperation op, int at, char letter) {
  MlirValue value = mlirOperationGetOperand(op, at);
  switch (letter) {
    case 'X':
      add_result(named, FIAR_NAMED_NORM, at);
      named->x = value;
      return true;
    case 'x':
      named->x = value;
      return true;
    case 'R':
      add_result(named, FIAR_NAMED_SUM, at);
      named->residual = value;
      return true;
    case 'N':
      add_result(named, FIAR_NAMED_NORM, at);
      return true;
    case 'Q':
      add_result(named, FIAR_NAMED_CODES, at);
      return true;
    case 'S':
      add_result(named, FIAR_NAMED_SCALES, at);
      return true;
    case 'w':
      named->weight = value;
      return true;
    case 's':
      named->scale = value;
      return true;
    case 'n':
      return is_none(value);
    case '-':
      return true;
    default:
      return read_number(named, op, at, letter);
  }
}

static const NamedRow* row_of(MlirOperation op) {
  if (!fiarStringEqual(fiarOpName(op), "torch.operator")) {
    return NULL;
  }
  MlirStringRef name = fiarAttributeText(fiarOpAttribute(op, "name"));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    if (fiarTextEqual(name, rows[i].name)) {
      return &rows[i];
    }
  }
  return NULL;
}

bool fiarNamedRead(MlirOperation op, FiarNamed* out_named) {
  const NamedRow* row = row_of(op);
  *out_named = (FiarNamed){0};
  if (row == NULL) {
    return false;
  }
  intptr_t operands = mlirOperationGetNumOperands(op);
  out_named->quant = row->quant;
  out_named->normalises = strpbrk(row->operands, "e") != NULL;
  out_named->inverse = row->quant == FIAR_QUANT_FP8_STATIC ? inverse : NULL;
  out_named->scale_min = row->quant == FIAR_QUANT_FP8_TOKEN ? token_floor : 0;
  // Before it could be chosen, vLLM's fp4 scales were always swizzled.
  out_named->scale_layout =
      row->quant == FIAR_QUANT_NVFP4 ? FIAR_SCALE_LAYOUT_SWIZZLED_128X4 : FIAR_SCALE_LAYOUT_LINEAR;
  int at = 0;
  bool optional = false;
  for (const char* letter = row->operands; *letter != '\0'; ++letter) {
    if (*letter == '|') {
      optional = true;
      continue;
    }
    if (at == operands && optional) {
      break;
    }
    if (at >= operands || !read_operand(out_named, op, at++, *letter)) {
      return false;
    }
  }
  intptr_t results = mlirOperationGetNumResults(op);
  return at == operands && (results == 0 || results == out_named->n_results);
}

MlirStringRef fiarTorchName(MlirOperation op) {
  MlirStringRef name = fiarOpName(op);
  return fiarStringEqual(name, "torch.operator") ? fiarAttributeText(fiarOpAttribute(op, "name"))
                                                 : name;
}

// torch.aten.add_, torch.aten.add_.Tensor, torch.aten.add.out; but not __and__.
static bool says_that_it_writes(MlirStringRef name) {
  for (size_t from = 0, to; from < name.length; from = to + 1) {
    for (to = from; to < name.length && name.data[to] != '.';) {
      ++to;
    }
    MlirStringRef part = mlirStringRefCreate(name.data + from, to - from);
    bool dunder = part.length > 1 && part.data[0] == '_' && part.data[1] == '_';
    if ((part.length > 1 && part.data[part.length - 1] == '_' && !dunder) ||
        fiarStringEqual(part, "out")) {
      return true;
    }
  }
  return false;
}

bool fiarMayWrite(MlirOperation op) {
  static const char torch[] = "torch.";
  MlirStringRef name = fiarOpName(op);
  if (name.length < sizeof torch || memcmp(name.data, torch, sizeof torch - 1) != 0) {
    return false;
  }
  // An op by name without results is there for its effects.
  bool effects = fiarStringEqual(name, "torch.operator") && mlirOperationGetNumResults(op) == 0;
  if (!effects && (row_of(op) != NULL || !says_that_it_writes(fiarTorchName(op)))) {
    return false;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    if (fiarMayHoldTensors(mlirValueGetType(mlirOperationGetOperand(op, i)))) {
      return true;
    }
  }
  return false;
}

bool fiarMayAlias(FiarView* view, MlirOperation op) {
  static const MlirStringRef views[] = {FIAR_TEXT("torch.aten.slice.Tensor"),
                                        FIAR_TEXT("torch.aten.select.int"),
                                        FIAR_TEXT("torch.aten.t"),
                                        FIAR_TEXT("torch.aten.detach"),
                                        FIAR_TEXT("torch.aten.alias"),
                                        FIAR_TEXT("torch.aten.permute"),
                                        FIAR_TEXT("torch.aten.contiguous"),
                                        FIAR_TEXT("torch.aten.transpose.int"),
                                        FIAR_TEXT("torch.aten.view.dtype"),
                                        FIAR_TEXT("torch.aten.split.Tensor"),
                                        FIAR_TEXT("torch.aten.chunk"),
                                        FIAR_TEXT("torch.aten.as_strided"),
                                        FIAR_TEXT("torch.aten.squeeze.dim"),
                                        FIAR_TEXT("torch.aten.to.dtype"),
                                        FIAR_TEXT("torch.prim.ListConstruct"),
                                        FIAR_TEXT("torch.derefine"),
                                        FIAR_TEXT("torch.prims.convert_element_type")};
  switch (fiarPrimitiveRead(view, op).kind) {
    case FIAR_PRIM_IDENTITY:
    case FIAR_PRIM_RESHAPE:
    case FIAR_PRIM_BROADCAST:
    case FIAR_PRIM_TRANSPOSE:
    case FIAR_PRIM_CONVERT:
    case FIAR_PRIM_CALL:
    case FIAR_PRIM_UNKNOWN:
      return true;
    default:
      break;
  }
  MlirStringRef name = fiarOpName(op);
  for (size_t i = 0; i < sizeof views / sizeof *views; ++i) {
    if (fiarTextEqual(name, views[i])) {
      return true;
    }
  }
  return false;
}
