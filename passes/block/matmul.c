// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A product with what is done to it before it is stored:
//
//   %d = dot_general %a, %w                    %out = fiar.matmul(%a, %w, %a_scale, %b_scale)
//   %s = multiply %d, broadcast(%x * %y)   ->
//   %t = add %s, broadcast(%bias)
//   %out = convert %t
//
// Scales are a product of at most two scalars, a vector over the rows and one over the columns.
// Everything up to the last conversion is f32, as the runtime's one rounding demands. Operands that
// are codes with a scale for each block of them along k stay that.
#include <string.h>

#include "block/raise.h"
#include "mlir-c/BuiltinTypes.h"

typedef struct matmul {
  MlirOperation op, last;  // the product, and the last op that belongs to it
  MlirValue a, b, out, bias;
  MlirValue scale[2];       // one f32 each
  MlirValue rows, columns;  // vectors of f32, or the scales of blocks
  const char* blocks;       // block_scale_type, where they are that; else NULL
  bool b_transposed;
  FiarElement elem;  // of out
} matmul_t;

// Operands widened to f32 have the same products as what they widen.
static void take_narrow(FiarRaising* raising, matmul_t* m) {
  MlirValue a = fiarRaiseNarrow(raising, m->a), b = fiarRaiseNarrow(raising, m->b);
  if (fiarValueElement(a) == fiarValueElement(b)) {
    m->a = a;
    m->b = b;
  }
}

static bool is_float(FiarElement elem) {
  return elem == FIAR_ELEM_F16 || elem == FIAR_ELEM_BF16 || elem == FIAR_ELEM_F32;
}

// A matrix, its dimensions exchanged.
static MlirValue transposed(MlirOperation before, MlirValue matrix) {
  FiarShape shape;
  MlirType type = mlirValueGetType(matrix);
  (void)fiarShapeRead(type, &shape);
  const int64_t sizes[2] = {shape.size[1], shape.size[0]};
  FiarBuilder builder =
      fiarBuild(mlirOperationGetContext(before), "fiar.copy", mlirOperationGetLocation(before));
  fiarBuildOperand(&builder, matrix);
  fiarBuildResult(&builder, mlirRankedTensorTypeGet(2, sizes, mlirShapedTypeGetElementType(type),
                                                    (MlirAttribute){NULL}));
  fiarBuildBool(&builder, "transposed", true);
  return mlirOperationGetResult(fiarBuildOp(&builder, before, false, false), 0);
}

// Codes and block scales that both operands were widened from.
static bool take_blocks(FiarRaising* raising, matmul_t* m) {
  FiarBlocks a, b;
  FiarShape shape, scales;
  const int along = m->b_transposed ? 1 : 0;
  (void)fiarShapeRead(mlirValueGetType(m->a), &shape);
  if (!fiarRaiseBlocks(raising, m->a, shape.rank - 1, &a) ||
      !fiarRaiseBlocks(raising, m->b, along, &b) || strcmp(a.type, b.type) != 0 ||
      fiarValueElement(a.codes) != fiarValueElement(b.codes)) {
    return false;
  }
  // The runtime wants a row of scales for each of b's columns.
  (void)fiarShapeRead(mlirValueGetType(b.scales), &scales);
  if (along == 0 && scales.rank != 2) {
    return false;
  }
  m->a = a.codes;
  m->b = b.codes;
  m->rows = a.scales;
  m->columns = along == 0 ? transposed(m->op, b.scales) : b.scales;
  m->blocks = a.type;
  return true;
}

// An op that says all of it.
static bool take_block_product(FiarRaising* raising, const FiarPrimitive* p, matmul_t* m) {
  FiarShape a, scales, out;
  int64_t block = 0;
  *m = (matmul_t){.op = p->op, .last = p->op, .b_transposed = true};
  m->a = fiarRaiseThrough(raising, p->in[0]);
  m->b = fiarRaiseThrough(raising, p->in[1]);
  m->rows = fiarRaiseThrough(raising, p->in[2]);
  m->columns = fiarRaiseThrough(raising, p->in[3]);
  m->out = mlirOperationGetResult(p->op, 0);
  m->blocks = fiarRaiseBlockType(m->a, m->rows, &block);
  if (m->blocks == NULL || fiarValueElement(m->a) != fiarValueElement(m->b) ||
      fiarValueElement(m->rows) != fiarValueElement(m->columns)) {
    return fiarRaiseLeave(
        raising, p->op, "block scales of %s for %s: the runtime has no such format",
        fiarElementText(fiarValueElement(m->rows)), fiarElementText(fiarValueElement(m->a)));
  }
  for (int i = 0; i < 2; ++i) {
    (void)fiarShapeRead(mlirValueGetType(p->in[i]), &a);
    (void)fiarShapeRead(mlirValueGetType(p->in[2 + i]), &scales);
    if (a.size[a.rank - 1] < 1 || a.size[a.rank - 1] != block * scales.size[scales.rank - 1] ||
        fiarShapeElements(&a) != block * fiarShapeElements(&scales)) {
      return fiarRaiseLeave(raising, p->op, "its blocks have not %lld elements", (long long)block);
    }
  }
  (void)fiarShapeRead(mlirValueGetType(m->out), &out);
  m->elem = out.elem;
  return is_float(out.elem) ||
         fiarRaiseLeave(raising, p->op, "a product stored as %s; f16, bf16 and f32 can be said",
                        fiarElementText(out.elem));
}

// The product itself: a's last dimension against either of b's two.
static bool take_product(FiarRaising* raising, const FiarPrimitive* p, matmul_t* m) {
  FiarShape a, b, out;
  m->op = m->last = p->op;
  m->a = fiarRaiseThrough(raising, p->in[0]);
  m->b = fiarRaiseThrough(raising, p->in[1]);
  m->out = mlirOperationGetResult(p->op, 0);
  if (!fiarShapeRead(mlirValueGetType(m->a), &a) || !fiarShapeRead(mlirValueGetType(m->b), &b) ||
      !fiarShapeRead(mlirValueGetType(m->out), &out)) {
    return fiarRaiseLeave(raising, p->op, "its operands are no ranked tensors");
  }
  if (b.rank != 2 || a.rank < 2 || p->dims[0] != a.rank - 1) {
    return fiarRaiseLeave(raising, p->op,
                          "only products of the left operand's last dimension with a matrix can be "
                          "said");
  }
  if (b.size[0] < 1 || b.size[1] < 1 || a.size[a.rank - 1] < 1) {
    return fiarRaiseLeave(raising, p->op, "its sizes beside the rows must be known");
  }
  m->elem = out.elem;
  m->b_transposed = p->dims2[0] == 1;
  FiarPrimitive source = fiarRaiseSource(raising, m->b);
  if (source.kind == FIAR_PRIM_TRANSPOSE && source.n_dims == 2 && source.dims[0] == 1) {
    m->b = fiarRaiseThrough(raising, source.in[0]);
    m->b_transposed = !m->b_transposed;
  }
  if (!take_blocks(raising, m)) {
    take_narrow(raising, m);
  }
  FiarElement from = fiarValueElement(m->a), with = fiarValueElement(m->b);
  bool codes = m->blocks != NULL || (from == FIAR_ELEM_F8E4M3FN && with == FIAR_ELEM_F8E4M3FN);
  if (!(is_float(from) && from == with) && !codes) {
    return fiarRaiseLeave(raising, p->op, "a product of %s and %s: the runtime has none",
                          fiarElementText(from), fiarElementText(with));
  }
  return is_float(out.elem) ||
         fiarRaiseLeave(raising, p->op, "a product stored as %s; f16, bf16 and f32 can be said",
                        fiarElementText(out.elem));
}

// The only user of what there is so far, where it is elementwise and of one type.
static FiarPrimitive next_op(FiarRaising* raising, const matmul_t* m) {
  MlirOperation user = fiarRaiseOnlyUser(m->out);
  FiarPrimitive none = {.kind = FIAR_PRIM_UNKNOWN};
  if (mlirOperationIsNull(user) ||
      !mlirBlockEqual(mlirOperationGetBlock(user), mlirOperationGetBlock(m->op)) ||
      mlirOperationGetNumResults(user) != 1) {
    return none;
  }
  return fiarPrimitiveRead(&raising->fusion.view, user);
}

static MlirValue other_operand(const matmul_t* m, const FiarPrimitive* p) {
  return mlirValueEqual(p->in[0], m->out) ? p->in[1] : p->in[0];
}

static void take_result(matmul_t* m, const FiarPrimitive* p) {
  m->last = p->op;
  m->out = mlirOperationGetResult(p->op, 0);
}

static bool same_type(const matmul_t* m, const FiarPrimitive* p) {
  return p->n_in == 2 && mlirTypeEqual(mlirValueGetType(m->out),
                                       mlirValueGetType(mlirOperationGetResult(p->op, 0)));
}

// Takes one product along. False: there is none, or it stays one of its own.
static bool take_scale(FiarRaising* raising, matmul_t* m) {
  FiarPrimitive p = next_op(raising, m);
  FiarFactor factors[FIAR_MAX_FACTORS];
  if (m->elem != FIAR_ELEM_F32 || p.kind != FIAR_PRIM_MUL || !same_type(m, &p)) {
    return false;
  }
  int count = fiarRaiseFactors(raising, other_operand(m, &p), factors);
  matmul_t scaled = *m;
  for (int i = 0; i < count; ++i) {
    MlirValue* to = factors[i].kind == FIAR_FACTOR_ROWS      ? &scaled.rows
                    : factors[i].kind == FIAR_FACTOR_COLUMNS ? &scaled.columns
                    : fiarIsValue(scaled.scale[0])           ? &scaled.scale[1]
                                                             : &scaled.scale[0];
    if (fiarIsValue(*to)) {
      return false;
    }
    *to = factors[i].value;
  }
  if (count > 0) {
    take_result(&scaled, &p);
    *m = scaled;
  }
  return count > 0;
}

static void take_bias(FiarRaising* raising, matmul_t* m) {
  FiarPrimitive p = next_op(raising, m);
  if (m->elem != FIAR_ELEM_F32 || p.kind != FIAR_PRIM_ADD || !same_type(m, &p)) {
    return;
  }
  // Back to the vector: over the last dimension alone.
  MlirValue bias = fiarRaiseNarrow(raising, other_operand(m, &p));
  FiarShape out, shape;
  (void)fiarShapeRead(mlirValueGetType(m->out), &out);
  int64_t along = out.rank - 1;
  for (;;) {
    FiarPrimitive source = fiarRaiseSource(raising, bias);
    if (source.kind != FIAR_PRIM_BROADCAST || source.n_dims < 1) {
      break;
    }
    if (source.dims[source.n_dims - 1] != along) {
      return;
    }
    along = source.n_dims - 1;
    bias = fiarRaiseNarrow(raising, source.in[0]);
  }
  if (!fiarShapeRead(mlirValueGetType(bias), &shape) || shape.rank < 1 ||
      shape.size[shape.rank - 1] != out.size[out.rank - 1] ||
      fiarShapeElements(&shape) != out.size[out.rank - 1] || !is_float(shape.elem) ||
      fiarShapeElements(&out) == fiarShapeElements(&shape)) {
    return;  // a residual, or a bias of one row that may be one
  }
  m->bias = bias;
  take_result(m, &p);
}

static void take_rounding(FiarRaising* raising, matmul_t* m) {
  FiarPrimitive p = next_op(raising, m);
  if (m->elem == FIAR_ELEM_F32 && p.kind == FIAR_PRIM_CONVERT && p.n_in == 1) {
    FiarElement to = fiarValueElement(mlirOperationGetResult(p.op, 0));
    if (to == FIAR_ELEM_F16 || to == FIAR_ELEM_BF16) {
      m->elem = to;
      take_result(m, &p);
    }
  }
}

static void build(FiarRaising* raising, const matmul_t* m) {
  MlirContext context = mlirOperationGetContext(m->op);
  FiarBuilder builder = fiarBuild(context, "fiar.matmul", mlirOperationGetLocation(m->op));
  MlirValue operands[] = {m->a, m->b, m->bias, m->scale[0], m->scale[1], m->rows, m->columns};
  for (size_t i = 0; i < sizeof operands / sizeof *operands; ++i) {
    fiarBuildOperand(&builder, operands[i]);
  }
  fiarBuildResult(&builder, mlirValueGetType(m->out));
  fiarBuildBool(&builder, "b_transposed", m->b_transposed);
  fiarBuildText(&builder, "a_scale_is", "divisor");
  fiarBuildText(&builder, "b_scale_is", "divisor");
  const char* vector = m->blocks != NULL ? "block" : "vector";
  fiarBuildText(&builder, "a_scaling", fiarIsValue(m->rows) ? vector : "none");
  fiarBuildText(&builder, "b_scaling", fiarIsValue(m->columns) ? vector : "none");
  fiarBuildText(&builder, "block_scale_type", m->blocks != NULL ? m->blocks : "f32");
  fiarBuildText(&builder, "block_scale_layout", "linear");
  MlirOperation op = fiarBuildOp(&builder, m->last, true, false);
  fiarRaiseReplace(raising, m->last, mlirOperationGetResult(op, 0));
}

void fiarRaiseMatmul(FiarRaising* raising, MlirOperation op, void* data) {
  (void)data;
  FiarPrimitive p = fiarPrimitiveRead(&raising->fusion.view, op);
  matmul_t m = {0};
  if ((p.kind == FIAR_PRIM_MATMUL && take_product(raising, &p, &m)) ||
      (p.kind == FIAR_PRIM_BLOCK_MATMUL && take_block_product(raising, &p, &m))) {
    while (take_scale(raising, &m)) {
    }
    take_bias(raising, &m);
    take_rounding(raising, &m);
    build(raising, &m);
  }
}
