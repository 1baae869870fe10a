// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// MLIR's own dialects on tensors: shard, func, arith, math, tensor, and linalg's named ops.
//
// A linalg op's last operand is its destination, which is no input of the value except for reduce,
// where it is the start.
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

// arith.select, and linalg.select with its destination.
static void read_select(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = p->n_in > 3 ? 3 : p->n_in;
}

// ---- linalg
// ------------------------------------------------------------------------------------------

// Named ops of two inputs: the destination's value is not read.
static void read_elementwise(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 2;
}

// linalg.fill of a scalar constant is a splat; of another scalar, a value that is not looked into.
static void read_fill(FiarView* view, FiarPrimitive* p) {
  MlirValue scalar = p->in[0];
  p->n_in = 0;
  if (mlirValueIsAOpResult(scalar)) {
    FiarPrimitive source = fiarPrimitiveRead(view, mlirOpResultGetOwner(scalar));
    if (source.kind == FIAR_PRIM_CONSTANT && source.has_number) {
      p->has_number = true;
      p->number = source.number;
      return;
    }
  }
  p->kind = FIAR_PRIM_PURE;
}

// linalg.broadcast names the dimensions that it adds; the primitive those where the operand's go.
static void read_broadcast(FiarView* view, FiarPrimitive* p) {
  (void)view;
  int64_t added[FIAR_MAX_RANK];
  int n = fiarReadInts(fiarOpAttribute(p->op, "dimensions"), added, FIAR_MAX_RANK);
  FiarShape shape;
  p->n_in = 1;
  if (n < 0 || !fiarShapeRead(mlirValueGetType(mlirOperationGetResult(p->op, 0)), &shape)) {
    p->kind = FIAR_PRIM_PURE;
    return;
  }
  for (int i = 0; i < shape.rank; ++i) {
    bool is_added = false;
    for (int j = 0; j < n; ++j) {
      is_added = is_added || added[j] == i;
    }
    if (!is_added) {
      p->dims[p->n_dims++] = i;
    }
  }
}

static void read_transpose(FiarView* view, FiarPrimitive* p) {
  (void)view;
  p->n_in = 1;
  p->n_dims = fiarReadInts(fiarOpAttribute(p->op, "permutation"), p->dims, FIAR_MAX_RANK);
  if (p->n_dims < 0) {
    p->n_dims = 0;
    p->kind = FIAR_PRIM_PURE;
  }
}

static void read_reduce(FiarView* view, FiarPrimitive* p) {
  FiarPrimitiveKind kind =
      p->n_in == 2 ? fiarReducerKind(view, mlirOperationGetFirstRegion(p->op)) : FIAR_PRIM_UNKNOWN;
  p->kind = kind == FIAR_PRIM_ADD   ? FIAR_PRIM_REDUCE_ADD
            : kind == FIAR_PRIM_MAX ? FIAR_PRIM_REDUCE_MAX
                                    : FIAR_PRIM_PURE;
  p->n_dims = fiarReadInts(fiarOpAttribute(p->op, "dimensions"), p->dims, FIAR_MAX_RANK);
  if (p->n_dims < 0) {
    p->n_dims = 0;
    p->kind = FIAR_PRIM_PURE;
  }
}

// ---- shard
// -------------------------------------------------------------------------------------------

enum { MAX_DEVICES = 4096 };

// The groups as ids: row-major over the grid, a group for each place on the other axes. Null where
// the grid's sizes are not known.
static MlirAttribute grid_groups(MlirContext context, const int64_t* sizes, int rank,
                                 const bool* reduced) {
  int64_t ids[MAX_DEVICES], total = 1, world = 1;
  for (int i = 0; i < rank; ++i) {
    if (sizes[i] < 1 || sizes[i] > MAX_DEVICES / total) {
      return mlirAttributeGetNull();
    }
    total *= sizes[i];
    world *= reduced[i] ? sizes[i] : 1;
  }
  for (int64_t id = 0; id < total; ++id) {
    int64_t group = 0, place = 0, rest = id, stride = total;
    for (int i = 0; i < rank; ++i) {
      stride /= sizes[i];
      int64_t at = rest / stride;
      rest %= stride;
      *(reduced[i] ? &place : &group) = (reduced[i] ? place : group) * sizes[i] + at;
    }
    ids[group * world + place] = id;
  }
  int64_t shape[] = {total / world, world};
  MlirType type =
      mlirRankedTensorTypeGet(2, shape, mlirIntegerTypeGet(context, 64), mlirAttributeGetNull());
  return mlirDenseElementsAttrInt64Get(type, total, ids);
}

typedef struct Text {
  char data[64];
  size_t length;
} Text;

static void append(MlirStringRef piece, void* user) {
  Text* text = user;
  size_t room = sizeof text->data - 1 - text->length;
  size_t length = piece.length < room ? piece.length : room;
  memcpy(text->data + text->length, piece.data, length);
  text->length += length;
}

// The word of #shard<partial sum>; the attribute's default is a sum.
static const char* reduction_of(MlirAttribute attribute) {
  static const char* const words[] = {"sum", "max", "min", "product"};
  if (mlirAttributeIsNull(attribute)) {
    return words[0];
  }
  Text text = {0};
  mlirAttributePrint(attribute, append, &text);
  for (size_t i = 0; i < sizeof words / sizeof *words; ++i) {
    if (strstr(text.data, words[i]) != NULL) {
      return words[i];
    }
  }
  return "another reduction";
}

static void read_shard_all_reduce(FiarView* view, FiarPrimitive* p) {
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
  p->groups = grid_groups(mlirOperationGetContext(p->op), sizes, rank, reduced);
}

static const char* const dialects[] = {"builtin", "func",   "arith", "math",
                                       "tensor",  "linalg", "shard", NULL};

static const FiarOpRow rows[] = {
    {"all_reduce", FIAR_PRIM_ALL_REDUCE, read_shard_all_reduce},
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
    {"absf", FIAR_PRIM_ABS, NULL},
    {"extf", FIAR_PRIM_CONVERT, read_convert},
    {"truncf", FIAR_PRIM_CONVERT, read_convert},
    {"cmpf", FIAR_PRIM_EQUAL, read_compare},
    // math.sqrt has one operand, linalg.sqrt a destination beside it.
    {"sqrt", FIAR_PRIM_SQRT, read_first},
    {"rsqrt", FIAR_PRIM_RSQRT, read_first},
    {"square", FIAR_PRIM_SQUARE, read_first},
    {"reciprocal", FIAR_PRIM_RECIPROCAL, read_first},
    {"abs", FIAR_PRIM_ABS, read_first},
    {"add", FIAR_PRIM_ADD, read_elementwise},
    {"sub", FIAR_PRIM_SUB, read_elementwise},
    {"mul", FIAR_PRIM_MUL, read_elementwise},
    {"div", FIAR_PRIM_DIV, read_elementwise},
    {"max", FIAR_PRIM_MAX, read_elementwise},
    {"min", FIAR_PRIM_MIN, read_elementwise},
    {"fill", FIAR_PRIM_CONSTANT, read_fill},
    {"broadcast", FIAR_PRIM_BROADCAST, read_broadcast},
    {"transpose", FIAR_PRIM_TRANSPOSE, read_transpose},
    {"reduce", FIAR_PRIM_PURE, read_reduce},
    {"expand_shape", FIAR_PRIM_RESHAPE, read_first},
    {"collapse_shape", FIAR_PRIM_RESHAPE, read_first},
    {"reshape", FIAR_PRIM_RESHAPE, read_first},
    {"select", FIAR_PRIM_SELECT, read_select},
#define PURE(name) {name, FIAR_PRIM_PURE, NULL},
    PURE("addi") PURE("andi") PURE("batch_matmul") PURE("bitcast") PURE("cast") PURE("cmpi")
        PURE("concat") PURE("contract") PURE("copy") PURE("cos") PURE("dim") PURE("empty")
            PURE("erf") PURE("exp") PURE("exp2") PURE("extract") PURE("extract_slice") PURE("extsi")
                PURE("extui") PURE("fma") PURE("from_elements") PURE("generic") PURE("index_cast")
                    PURE("insert") PURE("insert_slice") PURE("log") PURE("log2") PURE("map")
                        PURE("matmul") PURE("maxnumf") PURE("minnumf") PURE("muli") PURE("negf")
                            PURE("ori") PURE("pad") PURE("sin") PURE("sitofp") PURE("splat")
                                PURE("subi") PURE("tanh") PURE("trunci") PURE("uitofp") PURE("xori")
#undef PURE
                                    {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_upstream = {dialects, rows};
