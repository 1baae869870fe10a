// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// TTIR, tt-mlir's tensor dialect. Groups are an axis of the mesh that a module around the op
// declares:
//   ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x2>]>
#include <stdlib.h>
#include <string.h>

#include "frontends/primitive.h"
#include "mlir-c/BuiltinAttributes.h"

static bool read_text(MlirAttribute attribute, char* out_text, size_t size) {
  MlirStringRef text = fiarAttributeText(attribute);
  if (text.length == 0 || text.length >= size) {
    return false;
  }
  memcpy(out_text, text.data, text.length);
  out_text[text.length] = '\0';
  return true;
}

// The sizes of the only mesh, "1x2"; 0 axes where there is none or more than one.
static int mesh_sizes(MlirOperation op, int64_t* out_sizes) {
  char text[256];
  MlirAttribute meshes = mlirAttributeGetNull();
  while (!mlirOperationIsNull(op) && mlirAttributeIsNull(meshes)) {
    meshes = fiarOpAttribute(op, "ttcore.meshes");
    op = mlirOperationGetParentOperation(op);
  }
  if (mlirAttributeIsNull(meshes) || !read_text(meshes, text, sizeof text)) {
    return 0;
  }
  const char* at = strstr(text, "= ");
  if (at == NULL || strstr(at + 2, "= ") != NULL) {
    return 0;
  }
  int rank = 0;
  for (at += 2; rank < FIAR_MAX_RANK; ++at) {
    char* end;
    out_sizes[rank++] = strtoll(at, &end, 10);
    if (end == at || *end != 'x') {
      return *end == '>' && end != at ? rank : 0;
    }
    at = end;
  }
  return 0;
}

// Older files name a destination, an op that makes it, behind the operands.
static void read_plain(FiarView* view, FiarPrimitive* p) {
  (void)view;
  while (p->n_in > 1 && mlirValueIsAOpResult(p->in[p->n_in - 1]) &&
         fiarStringEqual(fiarOpName(mlirOpResultGetOwner(p->in[p->n_in - 1])), "ttir.empty")) {
    --p->n_in;
  }
}

static void read_all_reduce(FiarView* view, FiarPrimitive* p) {
  read_plain(view, p);
  char text[64];
  int64_t sizes[FIAR_MAX_RANK], axis;
  bool reduced[FIAR_MAX_RANK] = {false};
  int rank = mesh_sizes(p->op, sizes);
  p->mode = FIAR_GROUPS_FLATTENED;
  p->reduction = read_text(fiarOpAttribute(p->op, "reduce_type"), text, sizeof text) &&
                         strstr(text, "<sum>") != NULL
                     ? "sum"
                     : "another reduction";
  MlirAttribute cluster_axis = fiarOpAttribute(p->op, "cluster_axis");
  if (!mlirAttributeIsNull(cluster_axis) && mlirAttributeIsAInteger(cluster_axis)) {
    axis = (int64_t)mlirIntegerAttrGetValueUInt(cluster_axis);
    if (axis >= 0 && axis < rank) {
      reduced[axis] = true;
      p->groups = fiarGridGroups(mlirOperationGetContext(p->op), sizes, rank, reduced);
    }
  }
  if (mlirAttributeIsNull(p->groups) && strcmp(p->reduction, "sum") == 0) {
    p->refusal =
        "which ranks it adds up is not known: the module's ttcore.meshes is no one mesh that "
        "has its cluster_axis";
  }
}

static void read_half(FiarPrimitive* p, const char* dimension) {
  int64_t dim;
  FiarShape shape;
  bool known = fiarReadInts(fiarOpAttribute(p->op, dimension), &dim, 1) == 1 &&
               fiarShapeRead(mlirValueGetType(p->in[0]), &shape);
  if (!known || mlirAttributeIsNull(p->groups)) {
    p->kind = FIAR_PRIM_COLLECTIVE;
    return;
  }
  p->n_dims = 1;
  p->dims[0] = dim < 0 ? dim + shape.rank : dim;
}

static void read_reduce_scatter(FiarView* view, FiarPrimitive* p) {
  read_all_reduce(view, p);
  read_half(p, "scatter_dim");
}

static void read_all_gather(FiarView* view, FiarPrimitive* p) {
  read_all_reduce(view, p);
  read_half(p, "all_gather_dim");
}

static void read_constant(FiarView* view, FiarPrimitive* p) {
  (void)view;
  MlirAttribute value = fiarOpAttribute(p->op, "value");
  value = mlirAttributeIsNull(value) ? fiarOpAttribute(p->op, "fill_value") : value;
  p->has_number = fiarReadNumber(value, &p->number);
}

static void read_dims(FiarPrimitive* p, const char* name) {
  p->n_dims = fiarReadInts(fiarOpAttribute(p->op, name), p->dims, FIAR_MAX_RANK);
  if (p->n_dims < 0) {
    p->n_dims = 0;
    p->kind = FIAR_PRIM_PURE;
  }
}

static void read_reduce(FiarView* view, FiarPrimitive* p) {
  (void)view;
  MlirAttribute keep = fiarOpAttribute(p->op, "keep_dim");
  read_dims(p, "dim_arg");
  p->n_in = 1;
  p->keep_dims =
      !mlirAttributeIsNull(keep) && mlirAttributeIsABool(keep) && mlirBoolAttrGetValue(keep);
}

// broadcast repeats along dimensions of size 1; none moves.
static void read_broadcast(FiarView* view, FiarPrimitive* p) {
  (void)view;
  FiarShape shape;
  p->n_in = 1;
  if (!fiarShapeRead(mlirValueGetType(p->in[0]), &shape)) {
    p->kind = FIAR_PRIM_PURE;
    return;
  }
  p->n_dims = shape.rank;
  for (int i = 0; i < shape.rank; ++i) {
    p->dims[i] = i;
  }
}

static void read_permute(FiarView* view, FiarPrimitive* p) {
  (void)view;
  read_dims(p, "permutation");
}

static void read_slice(FiarView* view, FiarPrimitive* p) {
  (void)view;
  fiarReadSlice(p, "begins", "step");
}

// x, weight and bias, each where operandSegmentSizes says so.
static void read_rms_norm(FiarView* view, FiarPrimitive* p) {
  (void)view;
  int64_t segments[3] = {0}, normalized[FIAR_MAX_RANK];
  FiarShape shape;
  int n = fiarReadInts(fiarOpAttribute(p->op, "operandSegmentSizes"), segments, 3);
  int dims = fiarReadInts(fiarOpAttribute(p->op, "normalized_shape"), normalized, FIAR_MAX_RANK);
  bool known = n == 3 && segments[0] == 1 && segments[2] == 0 && dims == 1 &&
               fiarReadNumber(fiarOpAttribute(p->op, "epsilon"), &p->number) &&
               fiarShapeRead(mlirValueGetType(p->in[0]), &shape) && shape.rank > 0 &&
               shape.size[shape.rank - 1] == normalized[0];
  p->n_in = 1 + (int)segments[1];
  if (!known) {
    p->kind = FIAR_PRIM_PURE;
  }
}

static const char* const dialects[] = {"ttir", "ttcore", NULL};

static const FiarOpRow rows[] = {
    {"all_reduce", FIAR_PRIM_ALL_REDUCE, read_all_reduce},
    {"all_gather", FIAR_PRIM_ALL_GATHER, read_all_gather},
    {"reduce_scatter", FIAR_PRIM_REDUCE_SCATTER, read_reduce_scatter},
    {"add", FIAR_PRIM_ADD, read_plain},
    {"subtract", FIAR_PRIM_SUB, read_plain},
    {"multiply", FIAR_PRIM_MUL, read_plain},
    {"div", FIAR_PRIM_DIV, read_plain},
    {"maximum", FIAR_PRIM_MAX, read_plain},
    {"minimum", FIAR_PRIM_MIN, read_plain},
    {"pow", FIAR_PRIM_POWER, read_plain},
    {"sqrt", FIAR_PRIM_SQRT, read_plain},
    {"rsqrt", FIAR_PRIM_RSQRT, read_plain},
    {"reciprocal", FIAR_PRIM_RECIPROCAL, read_plain},
    {"abs", FIAR_PRIM_ABS, read_plain},
    {"sum", FIAR_PRIM_REDUCE_ADD, read_reduce},
    {"mean", FIAR_PRIM_REDUCE_MEAN, read_reduce},
    {"max", FIAR_PRIM_REDUCE_MAX, read_reduce},
    {"broadcast", FIAR_PRIM_BROADCAST, read_broadcast},
    {"reshape", FIAR_PRIM_RESHAPE, read_plain},
    {"permute", FIAR_PRIM_TRANSPOSE, read_permute},
    {"slice_static", FIAR_PRIM_SLICE, read_slice},
    {"typecast", FIAR_PRIM_CONVERT, read_plain},
    {"constant", FIAR_PRIM_CONSTANT, read_constant},
    {"full", FIAR_PRIM_CONSTANT, read_constant},
    {"rms_norm", FIAR_PRIM_RMS_NORM, read_rms_norm},
    {"device_module", FIAR_PRIM_PURE, NULL},
#define PURE(name) {name, FIAR_PRIM_PURE, NULL},
    // clang-format off
    PURE("arange") PURE("argmax") PURE("concat") PURE("cos") PURE("dot_general") PURE("embedding") PURE("empty")
    PURE("eq") PURE("exp") PURE("le") PURE("linear") PURE("logical_not") PURE("lt") PURE("matmul")
    PURE("mesh_partition") PURE("neg") PURE("reduce_or") PURE("sigmoid") PURE("silu") PURE("sin")
    PURE("softmax") PURE("tanh") PURE("where")
// clang-format on
#undef PURE
                    {NULL, FIAR_PRIM_UNKNOWN, NULL},
};

const FiarFrontend fiar_frontend_ttir = {dialects, rows};
