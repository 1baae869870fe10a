// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// MLIR's own dialects on tensors, but for linalg: shard, func, arith, math, affine, tensor.
#include <string.h>

#include "frontends/primitive.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"

static void read_call(FiarView* view, FiarPrimitive* p) {
  p->callee = fiarViewSymbol(view, fiarOpAttribute(p->op, "callee"));
  if (mlirOperationIsNull(p->callee)) {
    p->kind = FIAR_PRIM_UNKNOWN;
  }
}

static void read_constant(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->has_number = fiarReadNumber(fiarOpAttribute(p->op, "value"), &p->number);
}

static bool constant_number(MlirValue value, double* out_number) {
  return mlirValueIsAOpResult(value) && fiarIsOp(mlirOpResultGetOwner(value), "arith.constant") &&
         fiarReadNumber(fiarOpAttribute(mlirOpResultGetOwner(value), "value"), out_number);
}

// math.fpowi by a constant.
static void read_whole_power(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->has_number = p->n_in == 2 && constant_number(p->in[1], &p->number);
  p->kind = p->has_number ? p->kind : FIAR_PRIM_PURE;
  p->n_in = 1;
}

// arith.sitofp of a constant, where f32 has it.
static void read_whole_to_float(FiarView* view, FiarPrimitive* p) {
  (void)view;
  bool known = p->n_in == 1 && mlirTypeIsAF32(mlirValueGetType(mlirOperationGetResult(p->op, 0))) &&
               constant_number(p->in[0], &p->number) && (double)(float)p->number == p->number;
  p->has_number = known;
  p->kind = known ? p->kind : FIAR_PRIM_PURE;
}

// arith.cmpf: only the ordered equality is the primitive.
static void read_compare(FiarView* view, FiarPrimitive* p) {
  (void)view;
  enum { OEQ = 1 };
  MlirAttribute predicate = fiarOpAttribute(p->op, "predicate");
  if (mlirAttributeIsNull(predicate) || mlirIntegerAttrGetValueInt(predicate) != OEQ) {
    p->kind = FIAR_PRIM_PURE;
  }
}

// arith.extf and truncf round to nearest even unless they say otherwise.
static void read_convert(FiarView* view, FiarPrimitive* p) {
  (void)view;
  enum { TO_NEAREST_EVEN = 0 };
  MlirAttribute mode = fiarOpAttribute(p->op, "roundingmode");
  if (!mlirAttributeIsNull(mode) &&
      !(mlirAttributeIsAInteger(mode) && mlirIntegerAttrGetValueInt(mode) == TO_NEAREST_EVEN)) {
    p->kind = FIAR_PRIM_PURE;
  }
}

// Further operands are sizes or a destination.
static void read_first(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 1;
}

static void read_extract_slice(FiarView* view, FiarPrimitive* p) {
  (void)view;
  fiarReadSlice(p, "static_offsets", "static_strides");
}

// ---- shard ----------

// The word of #shard<partial sum>; the attribute's default is a sum.
static const char* reduction_of(MlirAttribute attribute) {
  static const char* const words[] = {"sum", "max", "min", "product"};
  if (mlirAttributeIsNull(attribute)) {
    return words[0];
  }
  char text[64];
  fiarAttributePrint(attribute, text, sizeof text);
  for (size_t i = 0; i < sizeof words / sizeof *words; ++i) {
    if (strstr(text, words[i]) != NULL) {
      return words[i];
    }
  }
  return "another reduction";
}

static void read_shard_collective(FiarView* view, FiarPrimitive* p) {
  p->mode = FIAR_GROUPS_FLATTENED;
  p->reduction = reduction_of(fiarOpAttribute(p->op, "reduction"));
  p->groups = mlirAttributeGetNull();
  MlirOperation grid = fiarViewSymbol(view, fiarOpAttribute(p->op, "grid"));
  MlirAttribute axes = fiarOpAttribute(p->op, "grid_axes");
  int64_t sizes[FIAR_MAX_RANK];
  bool reduced[FIAR_MAX_RANK] = {false};
  int rank = mlirOperationIsNull(grid)
                 ? -1
                 : fiarReadInts(fiarOpAttribute(grid, "shape"), sizes, FIAR_MAX_RANK);
  if (strcmp(p->reduction, "sum") == 0) {
    p->refusal =
        "which ranks it adds up is not known: its grid is not in the module, or has no such "
        "axis or sizes that are not known";
  }
  if (rank < 0 || mlirAttributeIsNull(axes) || !mlirAttributeIsADenseI16Array(axes)) {
    return;
  }
  for (intptr_t i = 0; i < mlirDenseArrayGetNumElements(axes); ++i) {
    int axis = mlirDenseI16ArrayGetElement(axes, i);
    if (axis < 0 || axis >= rank) {
      return;
    }
    reduced[axis] = true;
  }
  p->groups = fiarGridGroups(mlirOperationGetContext(p->op), sizes, rank, reduced);
  p->refusal = mlirAttributeIsNull(p->groups) ? p->refusal : NULL;
}

// Parts lie in the order of the axes as they are named; the groups have them in the grid's order.
static bool axes_ascend(MlirOperation op) {
  MlirAttribute axes = fiarOpAttribute(op, "grid_axes");
  bool ascend = true;
  for (intptr_t i = 1; i < mlirDenseArrayGetNumElements(axes); ++i) {
    ascend =
        ascend && mlirDenseI16ArrayGetElement(axes, i - 1) < mlirDenseI16ArrayGetElement(axes, i);
  }
  return ascend;
}

static void read_half(FiarPrimitive* p, const char* axis) {
  p->n_dims = 1;
  if (fiarReadInts(fiarOpAttribute(p->op, axis), p->dims, 1) != 1 ||
      mlirAttributeIsNull(p->groups) || !axes_ascend(p->op)) {
    p->n_dims = 0;
    p->kind = FIAR_PRIM_COLLECTIVE;
  }
}

static void read_reduce_scatter(FiarView* view, FiarPrimitive* p) {
  read_shard_collective(view, p);
  read_half(p, "scatter_axis");
}

static void read_all_gather(FiarView* view, FiarPrimitive* p) {
  read_shard_collective(view, p);
  read_half(p, "gather_axis");
}

static const char* const dialects[] = {"builtin", "func",  "arith",  "math",
                                       "tensor",  "shard", "affine", NULL};

static const FiarOpRow rows[] = {
    {"all_reduce", FIAR_PRIM_ALL_REDUCE, read_shard_collective},
    {"reduce_scatter", FIAR_PRIM_REDUCE_SCATTER, read_reduce_scatter},
    {"all_gather", FIAR_PRIM_ALL_GATHER, read_all_gather},
    {"all_slice", FIAR_PRIM_PURE, NULL},
    {"call", FIAR_PRIM_CALL, read_call},
    {"module", FIAR_PRIM_PURE, NULL},
    {"return", FIAR_PRIM_PURE, NULL},
    {"yield", FIAR_PRIM_PURE, NULL},
    {"constant", FIAR_PRIM_CONSTANT, read_constant},
    // arith and math. maxnumf and minnumf drop NaN, so they are not the primitives.
    {"addf", FIAR_PRIM_ADD, NULL},
    {"subf", FIAR_PRIM_SUB, NULL},
    {"mulf", FIAR_PRIM_MUL, NULL},
    {"divf", FIAR_PRIM_DIV, NULL},
    {"maximumf", FIAR_PRIM_MAX, NULL},
    {"minimumf", FIAR_PRIM_MIN, NULL},
    {"powf", FIAR_PRIM_POWER, NULL},
    {"fpowi", FIAR_PRIM_POWER, read_whole_power},
    {"sitofp", FIAR_PRIM_CONSTANT, read_whole_to_float},
    {"absf", FIAR_PRIM_ABS, NULL},
    {"negf", FIAR_PRIM_NEGATE, NULL},
    {"exp", FIAR_PRIM_EXP, NULL},
    {"tanh", FIAR_PRIM_TANH, NULL},
    {"erfc", FIAR_PRIM_ERFC, NULL},
    {"extf", FIAR_PRIM_CONVERT, read_convert},
    {"truncf", FIAR_PRIM_CONVERT, read_convert},
    {"cmpf", FIAR_PRIM_EQUAL, read_compare},
    {"sqrt", FIAR_PRIM_SQRT, NULL},
    {"rsqrt", FIAR_PRIM_RSQRT, NULL},
    {"expand_shape", FIAR_PRIM_RESHAPE, read_first},
    {"collapse_shape", FIAR_PRIM_RESHAPE, read_first},
    {"reshape", FIAR_PRIM_RESHAPE, read_first},
    {"extract_slice", FIAR_PRIM_SLICE, read_extract_slice},
    {"select", FIAR_PRIM_SELECT, NULL},
#define PURE(name) {name, FIAR_PRIM_PURE, NULL},
    PURE("addi") PURE("andi") PURE("apply") PURE("bitcast") PURE("cast") PURE("cmpi") PURE("concat")
        PURE("cos") PURE("dim") PURE("divsi") PURE("divui") PURE("empty") PURE("erf") PURE("exp2")
            PURE("extract") PURE("extsi") PURE("extui") PURE("fma") PURE("from_elements")
                PURE("index_cast") PURE("index_castui") PURE("insert") PURE("insert_slice")
                    PURE("log") PURE("log2") PURE("maxnumf") PURE("minnumf") PURE("muli")
                        PURE("ori") PURE("pad") PURE("remsi") PURE("remui") PURE("sin")
                            PURE("splat") PURE("subi") PURE("trunci") PURE("uitofp") PURE("xori")
#undef PURE
                                {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_upstream = {dialects, rows};
