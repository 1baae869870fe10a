// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// torch-mlir. Elementwise ops broadcast as PyTorch's do; scalars, dimensions and the group are
// operands made of constants. A process group is a name whose size the module does not say: the
// pass's option `world` does.
#include <string.h>

#include "frontends/primitive.h"
#include "mlir-c/BuiltinAttributes.h"

// aten.rms_norm without eps takes the smallest step of f32 at 1.
static const double default_eps = 0x1p-23;

static MlirOperation defining(FiarPrimitive* p, intptr_t operand) {
  MlirOperation none = {NULL};
  if (operand >= mlirOperationGetNumOperands(p->op)) {
    return none;
  }
  MlirValue value = mlirOperationGetOperand(p->op, operand);
  return mlirValueIsAOpResult(value) ? mlirOpResultGetOwner(value) : none;
}

static MlirAttribute constant_at(FiarPrimitive* p, intptr_t operand) {
  return fiarTorchConstant(p->op, operand);
}

static bool number_at(FiarPrimitive* p, intptr_t operand, double* out_number) {
  return fiarReadNumber(constant_at(p, operand), out_number);
}

// A list of constant ints; -1 where it is none.
static int ints_at(FiarPrimitive* p, intptr_t operand, int64_t* out_ints, int max) {
  FiarPrimitive list = {.op = defining(p, operand)};
  if (!fiarIsOp(list.op, "torch.prim.ListConstruct")) {
    return -1;
  }
  intptr_t n = mlirOperationGetNumOperands(list.op);
  for (intptr_t i = 0; i < n; ++i) {
    double number;
    if (i == max || !number_at(&list, i, &number)) {
      return -1;
    }
    out_ints[i] = fiarWhole(number);
  }
  return (int)n;
}

static void give_up(FiarPrimitive* p) {
  p->kind = FIAR_PRIM_PURE;
}

static void read_first(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 1;
}

// (x, dtype, layout, device, ..): a conversion where the device is not said.
static void read_to_copy(FiarView* view, FiarPrimitive* p) {
  (void)view;
  bool stays = p->n_in < 4 || fiarIsOp(defining(p, 3), "torch.constant.none");
  p->kind = stays ? p->kind : FIAR_PRIM_PURE;
  p->n_in = 1;
}

static void read_two(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 2;
  p->broadcasts = true;
}

// add and sub scale their second operand by alpha.
static void read_with_alpha(FiarView* view, FiarPrimitive* p) {
  double alpha;
  read_two(view, p);
  if (!number_at(p, 2, &alpha) || alpha != 1) {
    give_up(p);
  }
}

// The second operand is a number.
static void read_scalar(FiarView* view, FiarPrimitive* p) {
  (void)view;
  double alpha = 1;
  p->n_in = 1;
  p->has_number = number_at(p, 1, &p->number);
  bool has_alpha = mlirOperationGetNumOperands(p->op) > 2;
  if (!p->has_number || (has_alpha && (!number_at(p, 2, &alpha) || alpha != 1))) {
    give_up(p);
  }
}

static void read_clamp(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 1;
  p->has_number = number_at(p, 1, &p->number) && number_at(p, 2, &p->number2);
  if (!p->has_number) {
    give_up(p);
  }
}

// (x, dims, keepdim[, dtype]): another dtype would convert first.
static void read_reduce(FiarView* view, FiarPrimitive* p) {
  (void)view;
  double keep;
  MlirOperation dtype = defining(p, 3);
  p->n_dims = ints_at(p, 1, p->dims, FIAR_MAX_RANK);
  p->n_in = 1;
  bool plain = mlirOperationIsNull(dtype) || fiarIsOp(dtype, "torch.constant.none");
  if (p->n_dims < 1 || !number_at(p, 2, &keep) || !plain) {
    p->n_dims = 0;
    give_up(p);
    return;
  }
  p->keep_dims = keep != 0;
}

// Right-aligned, as broadcasting is.
static void read_expand(FiarView* view, FiarPrimitive* p) {
  (void)view;
  FiarShape from, to;
  p->n_in = 1;
  if (!fiarShapeRead(mlirValueGetType(p->in[0]), &from) ||
      !fiarShapeRead(mlirValueGetType(mlirOperationGetResult(p->op, 0)), &to) ||
      from.rank > to.rank) {
    give_up(p);
    return;
  }
  p->n_dims = from.rank;
  for (int i = 0; i < from.rank; ++i) {
    p->dims[i] = to.rank - from.rank + i;
  }
}

static void read_constant(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->has_number = fiarReadNumber(fiarOpAttribute(p->op, "value"), &p->number);
}

// (x, normalized_shape, weight, eps), each of the last two maybe none.
static void read_rms_norm(FiarView* view, FiarPrimitive* p) {
  (void)view;
  int64_t normalized[FIAR_MAX_RANK];
  FiarShape shape;
  MlirOperation eps = defining(p, 3), weight = defining(p, 2);
  bool known = p->n_in == 4 && ints_at(p, 1, normalized, FIAR_MAX_RANK) == 1 &&
               fiarShapeRead(mlirValueGetType(p->in[0]), &shape) && shape.rank > 0 &&
               shape.size[shape.rank - 1] == normalized[0];
  p->number = default_eps;
  if (!known || (!fiarIsOp(eps, "torch.constant.none") && !number_at(p, 3, &p->number))) {
    give_up(p);
    return;
  }
  p->n_in = fiarIsOp(weight, "torch.constant.none") ? 1 : 2;
  p->in[1] = p->in[2];
}

static void read_process_group(FiarPrimitive* p, intptr_t group) {
  p->kind = FIAR_PRIM_ALL_REDUCE;
  p->mode = FIAR_GROUPS_PROCESS;
  p->groups = constant_at(p, group);
}

// (x, weight, eps[, variance_size]): x is converted to the weight's type before the product.
static void read_vllm_norm(FiarPrimitive* p) {
  FiarShape x, weight;
  bool known =
      (p->n_in == 3 || (p->n_in == 4 && fiarIsOp(defining(p, 3), "torch.constant.none"))) &&
      number_at(p, 2, &p->number);
  if (!known) {
    return;
  }
  p->kind = FIAR_PRIM_RMS_NORM;
  p->n_in = fiarIsOp(defining(p, 1), "torch.constant.none") ? 1 : 2;
  p->before_weight = p->n_in == 2 && fiarShapeRead(mlirValueGetType(p->in[0]), &x) &&
                     fiarShapeRead(mlirValueGetType(p->in[1]), &weight) && x.elem == weight.elem;
}

// Half an all-reduce: the operands' places of its dimension, group size and group. c10d's are along
// the first dimension.
static bool read_half(FiarPrimitive* p, MlirStringRef name) {
  static const struct {
    MlirStringRef name;
    FiarPrimitiveKind kind;
    int reduction, dimension, world, group;
  } halves[] = {
      {FIAR_TEXT("torch._c10d_functional.reduce_scatter_tensor"), FIAR_PRIM_REDUCE_SCATTER, 1, -1,
       2, 3},
      {FIAR_TEXT("torch._c10d_functional.all_gather_into_tensor"), FIAR_PRIM_ALL_GATHER, -1, -1, 1,
       2},
      {FIAR_TEXT("torch.vllm.reduce_scatter"), FIAR_PRIM_REDUCE_SCATTER, -1, 1, 2, 3},
      {FIAR_TEXT("torch.vllm.all_gather"), FIAR_PRIM_ALL_GATHER, -1, 1, 2, 3},
  };
  for (size_t i = 0; i < sizeof halves / sizeof *halves; ++i) {
    if (!fiarTextEqual(name, halves[i].name)) {
      continue;
    }
    double dimension = 0, world = 0;
    FiarShape shape;
    bool known = mlirOperationGetNumOperands(p->op) == halves[i].group + 1 &&
                 mlirOperationGetNumResults(p->op) == 1 &&
                 (halves[i].dimension < 0 || number_at(p, halves[i].dimension, &dimension)) &&
                 number_at(p, halves[i].world, &world) && world >= 1 &&
                 fiarShapeRead(mlirValueGetType(p->in[0]), &shape);
    MlirStringRef reduction = halves[i].reduction < 0
                                  ? mlirStringRefCreateFromCString("sum")
                                  : fiarAttributeText(constant_at(p, halves[i].reduction));
    p->kind = known ? halves[i].kind : FIAR_PRIM_COLLECTIVE;
    p->n_in = 1;
    p->n_dims = 1;
    p->dims[0] = fiarWhole(dimension) + (known && dimension < 0 ? shape.rank : 0);
    p->world = fiarWhole(world);
    p->mode = FIAR_GROUPS_PROCESS;
    p->groups = constant_at(p, halves[i].group);
    p->reduction = fiarStringEqual(reduction, "sum") ? "sum" : "another reduction";
    return true;
  }
  return false;
}

static const char in_place_seen[] = "one that writes over an operand that other ops use";

// Whether nothing but this op can see the memory of its first operand.
static bool is_private_memory(FiarView* view, FiarPrimitive* p) {
  MlirOpOperand use = mlirValueGetFirstUse(p->in[0]);
  MlirOperation maker = defining(p, 0);
  return mlirOpOperandIsNull(mlirOpOperandGetNextUse(use)) && !mlirOperationIsNull(maker) &&
         !fiarMayAlias(view, maker);
}

// torch.operator holds any op by name. Those not listed may change their operands.
static void read_operator(FiarView* view, FiarPrimitive* p) {
  FiarNamed named;
  MlirStringRef name = fiarAttributeText(fiarOpAttribute(p->op, "name"));
  p->kind = FIAR_PRIM_UNKNOWN;
  if (fiarStringEqual(name, "torch._c10d_functional.all_reduce") && p->n_in == 3) {
    MlirStringRef reduction = fiarAttributeText(constant_at(p, 1));
    read_process_group(p, 2);
    p->reduction = fiarStringEqual(reduction, "sum") ? "sum" : "another reduction";
  } else if (fiarStringEqual(name, "torch._c10d_functional.all_reduce_") && p->n_in == 3) {
    MlirStringRef reduction = fiarAttributeText(constant_at(p, 1));
    read_process_group(p, 2);
    p->reduction = !is_private_memory(view, p)         ? in_place_seen
                   : fiarStringEqual(reduction, "sum") ? "sum"
                                                       : "another reduction";
  } else if (read_half(p, name)) {
    return;
  } else if (fiarStringEqual(name, "torch.vllm.all_reduce") && p->n_in == 2) {
    read_process_group(p, 1);
    p->reduction = "sum";
  } else if (fiarStringEqual(name, "torch._c10d_functional.wait_tensor") && p->n_in == 1) {
    p->kind = FIAR_PRIM_IDENTITY;
  } else if (fiarStringEqual(name, "torch.vllm_ir.rms_norm")) {
    read_vllm_norm(p);
  } else if (mlirOperationGetNumResults(p->op) > 0 && fiarNamedRead(p->op, &named)) {
    p->kind = FIAR_PRIM_NAMED;
  }
}

static const char* const dialects[] = {"torch", NULL};

static const FiarOpRow rows[] = {
    {"operator", FIAR_PRIM_ALL_REDUCE, read_operator},
    {"aten.add.Tensor", FIAR_PRIM_ADD, read_with_alpha},
    {"aten.sub.Tensor", FIAR_PRIM_SUB, read_with_alpha},
    {"aten.mul.Tensor", FIAR_PRIM_MUL, read_two},
    {"aten.div.Tensor", FIAR_PRIM_DIV, read_two},
    {"aten.maximum", FIAR_PRIM_MAX, read_two},
    {"aten.minimum", FIAR_PRIM_MIN, read_two},
    {"aten.add.Scalar", FIAR_PRIM_ADD, read_scalar},
    {"aten.sub.Scalar", FIAR_PRIM_SUB, read_scalar},
    {"aten.mul.Scalar", FIAR_PRIM_MUL, read_scalar},
    {"aten.div.Scalar", FIAR_PRIM_DIV, read_scalar},
    {"aten.clamp_min", FIAR_PRIM_MAX, read_scalar},
    {"aten.clamp_max", FIAR_PRIM_MIN, read_scalar},
    {"aten.clamp", FIAR_PRIM_CLAMP, read_clamp},
    {"aten.pow.Tensor_Scalar", FIAR_PRIM_POWER, read_scalar},
    {"aten.square", FIAR_PRIM_SQUARE, NULL},
    {"aten.sqrt", FIAR_PRIM_SQRT, NULL},
    {"aten.rsqrt", FIAR_PRIM_RSQRT, NULL},
    {"aten.reciprocal", FIAR_PRIM_RECIPROCAL, NULL},
    {"aten.abs", FIAR_PRIM_ABS, NULL},
    {"aten.mean.dim", FIAR_PRIM_REDUCE_MEAN, read_reduce},
    {"aten.sum.dim_IntList", FIAR_PRIM_REDUCE_ADD, read_reduce},
    {"aten.amax", FIAR_PRIM_REDUCE_MAX, read_reduce},
    {"aten.expand", FIAR_PRIM_BROADCAST, read_expand},
    {"aten.view", FIAR_PRIM_RESHAPE, read_first},
    {"aten._unsafe_view", FIAR_PRIM_RESHAPE, read_first},
    {"aten.reshape", FIAR_PRIM_RESHAPE, read_first},
    {"aten.unsqueeze", FIAR_PRIM_RESHAPE, read_first},
    {"aten.flatten.using_ints", FIAR_PRIM_RESHAPE, read_first},
    {"aten.to.dtype", FIAR_PRIM_CONVERT, read_first},
    {"prims.convert_element_type", FIAR_PRIM_CONVERT, read_first},
    {"aten._to_copy", FIAR_PRIM_CONVERT, read_to_copy},
    {"aten.rms_norm", FIAR_PRIM_RMS_NORM, read_rms_norm},
    {"aten._fused_rms_norm", FIAR_PRIM_RMS_NORM, read_rms_norm},
    {"vtensor.literal", FIAR_PRIM_CONSTANT, read_constant},
#define PURE(name) {name, FIAR_PRIM_PURE, NULL},
    // clang-format off
    PURE("constant.int") PURE("constant.float") PURE("constant.bool") PURE("constant.str")
    PURE("constant.none") PURE("prim.ListConstruct") PURE("aten.mm") PURE("aten.matmul")
    PURE("aten.linear") PURE("aten.silu") PURE("aten.gelu") PURE("aten.tanh") PURE("aten.sigmoid")
    PURE("aten.empty.memory_format") PURE("aten.empty_like") PURE("aten.new_empty")
    PURE("aten.zeros") PURE("aten.zeros_like") PURE("aten.new_zeros") PURE("aten.full")
    PURE("aten.transpose.int") PURE("aten.permute") PURE("aten.slice.Tensor") PURE("aten.cat")
    PURE("aten.t") PURE("aten.select.int") PURE("aten.squeeze.dim") PURE("aten.detach")
    PURE("aten.contiguous") PURE("aten.clone") PURE("aten.embedding") PURE("aten.addmm")
    PURE("aten.bmm") PURE("aten.rsub.Scalar") PURE("aten._scaled_mm") PURE("aten.neg") PURE("aten.exp") PURE("aten.cos")
    PURE("aten.sin") PURE("aten.softmax.int") PURE("aten._softmax") PURE("aten.where.self")
    PURE("aten.index.Tensor") PURE("aten.gather") PURE("aten.arange") PURE("aten.arange.start_step")
    PURE("aten.scaled_dot_product_attention") PURE("derefine") PURE("constant.device")
// clang-format on
#undef PURE
                                                            {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_torch = {dialects, rows};
