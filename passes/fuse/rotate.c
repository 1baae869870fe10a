// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The pass fiar-rotate-loops: the norm with which a loop's body begins goes behind the sum with
// which the body ends, where it fuses.
//
//   while (h) {                            while (h, n = norm(h0)) {
//     n = norm(h)                   ->       ...
//     ...                                    h1 = h + all_reduce(x)
//     yield h + all_reduce(x)                yield h1, norm(h1)
//   }                                      }
//
// Whether that fuses is asked of fiar-fuse itself, on a clone.
#include <stdlib.h>
#include <string.h>

#include "fuse/fuse.h"
#include "ir/array.h"
#include "ir/carried.h"

enum { MAX_MOVED = 4, MAX_CALLS = 8 };

// What is known of an op of the body.
enum {
  MOVABLE = 1,  // cheap, and made of carried values and of what is there before the loop
  CHAIN = 2,    // made of the carried value that the rotation is about
  SUMMED = 4,   // by way of a sum along something, as norms are
  SPREAD = 8,   // not of CHAIN, and fewer elements spread over the shape, as weights are
};

typedef struct rotation {
  FiarView* view;
  FiarCarriedLoop loop;
  intptr_t carried;            // the value that is normalised
  FiarMap flags;               // ops of the body -> the above; none for an op that stays
  MlirValue moved[MAX_MOVED];  // results of the body's ops that the loop is to carry
  intptr_t n_moved;
  FiarMap in_slice;      // the ops that these are made of -> which of `slice`
  MlirOperation* slice;  // in the order of the body
  size_t n_slice;
  bool failed;
} rotation_t;

// ---- what may move ----

// Of the ops that the view knows only as free of effects. StableHLO clamps where a slice starts:
// for the round that never comes they read what the last one reads.
static bool is_cheap_by_name(MlirOperation op) {
  static const char* const names[] = {"stablehlo.dynamic_slice", "stablehlo.iota",
                                      "stablehlo.get_dimension_size"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    if (fiarIsOp(op, names[i])) {
      return true;
    }
  }
  return false;
}

// Torch's tensors may be written over, and by ops that are not looked for here.
static bool is_of_torch(MlirOperation op) {
  static const char torch[] = "torch.";
  MlirStringRef name = fiarOpName(op);
  return name.length >= sizeof torch && memcmp(name.data, torch, sizeof torch - 1) == 0;
}

// Cheap enough to be computed once more, behind the last round: nothing that multiplies matrices or
// exchanges. *out_sums is set where the op, or a function that it calls, sums along something.
static bool is_cheap(FiarView* view, MlirOperation op, int depth, bool* out_sums) {
  const FiarPrimitive primitive = fiarPrimitiveRead(view, op);
  const FiarPrimitiveKind kind = primitive.kind;
  *out_sums |= kind == FIAR_PRIM_REDUCE_ADD || kind == FIAR_PRIM_REDUCE_MEAN ||
               kind == FIAR_PRIM_REDUCE_DOT || kind == FIAR_PRIM_RMS_NORM;
  if (kind == FIAR_PRIM_PURE) {
    return is_cheap_by_name(op);
  }
  if (kind != FIAR_PRIM_CALL) {
    return (kind == FIAR_PRIM_IDENTITY || kind >= FIAR_PRIM_ADD) && kind != FIAR_PRIM_MATMUL &&
           kind != FIAR_PRIM_BLOCK_MATMUL && kind != FIAR_PRIM_LOOPS && !is_of_torch(op);
  }
  MlirRegion region = depth == MAX_CALLS || mlirOperationIsNull(primitive.callee)
                          ? (MlirRegion){NULL}
                          : mlirOperationGetFirstRegion(primitive.callee);
  MlirBlock block = mlirRegionIsNull(region) ? (MlirBlock){NULL} : mlirRegionGetFirstBlock(region);
  if (mlirBlockIsNull(block) || !fiarPrimitivePure(view, op)) {
    return false;
  }
  bool cheap = true;
  for (MlirOperation inner = mlirBlockGetFirstOperation(block), next; cheap; inner = next) {
    next = mlirOperationGetNextInBlock(inner);
    if (mlirOperationIsNull(next)) {
      break;  // the return
    }
    cheap = is_cheap(view, inner, depth + 1, out_sums);
  }
  return cheap;
}

// Whether an op's regions use values of the block it is in.
static MlirWalkResult find_capture(MlirOperation inner, void* data) {
  const MlirOperation op = *(const MlirOperation*)data;
  MlirBlock block = mlirOperationGetBlock(op);
  for (intptr_t i = 0; !mlirOperationEqual(inner, op) && i < mlirOperationGetNumOperands(inner);
       ++i) {
    MlirValue operand = mlirOperationGetOperand(inner, i);
    MlirBlock of = mlirValueIsABlockArgument(operand)
                       ? mlirBlockArgumentGetOwner(operand)
                       : mlirOperationGetBlock(mlirOpResultGetOwner(operand));
    if (mlirBlockEqual(of, block)) {
      *(MlirOperation*)data = (MlirOperation){NULL};
      return MlirWalkResultInterrupt;
    }
  }
  return MlirWalkResultAdvance;
}

static bool captures(MlirOperation op) {
  MlirOperation looked_at = op;
  mlirOperationWalk(op, find_capture, &looked_at, MlirWalkPreOrder);
  return mlirOperationIsNull(looked_at);
}

static uint32_t flags_of_op(const rotation_t* rotation, MlirOperation op) {
  const uint32_t* flags = fiarMapFind(&rotation->flags, op.ptr, 0);
  return flags == NULL ? 0 : *flags;
}

static uint32_t flags_of(const rotation_t* rotation, MlirValue value) {
  const FiarCarriedLoop* loop = &rotation->loop;
  if (mlirValueIsAOpResult(value)) {
    MlirOperation op = mlirOpResultGetOwner(value);
    return mlirBlockEqual(mlirOperationGetBlock(op), loop->body) ? flags_of_op(rotation, op)
                                                                 : MOVABLE;
  }
  if (!mlirBlockEqual(mlirBlockArgumentGetOwner(value), loop->body)) {
    return MOVABLE;
  }
  const intptr_t number = mlirBlockArgumentGetArgNumber(value) - loop->first_argument;
  return number < 0 ? 0 : number == rotation->carried ? MOVABLE | CHAIN : MOVABLE;
}

static bool is_spread(const rotation_t* rotation, MlirValue value) {
  if (!mlirValueIsAOpResult(value)) {
    return false;
  }
  const FiarPrimitiveKind kind = fiarPrimitiveKind(rotation->view, mlirOpResultGetOwner(value));
  return flags_of(rotation, value) & SPREAD || kind == FIAR_PRIM_BROADCAST ||
         kind == FIAR_PRIM_CONSTANT;
}

// Whether an operand from elsewhere has an element of its own for each of the result's.
static bool reads_a_whole_tensor(const rotation_t* rotation, MlirOperation op) {
  FiarShape result, shape;
  bool whole = false;
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    MlirValue operand = mlirOperationGetOperand(op, i);
    whole |= fiarShapeRead(mlirValueGetType(mlirOperationGetResult(op, 0)), &result) &&
             fiarShapeRead(mlirValueGetType(operand), &shape) &&
             fiarShapeElements(&shape) == fiarShapeElements(&result) &&
             !(flags_of(rotation, operand) & CHAIN) && !is_spread(rotation, operand);
  }
  return whole;
}

// The rows of a norm from all ranks, as sequence parallelism has them: a fused op sends them along.
static bool gathers_rows(FiarView* view, MlirOperation op) {
  return fiarPrimitiveRead(view, op).kind == FIAR_PRIM_ALL_GATHER && !is_of_torch(op);
}

static void flag(rotation_t* rotation, MlirOperation op) {
  uint32_t flags = MOVABLE;
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    const uint32_t of = flags_of(rotation, mlirOperationGetOperand(op, i));
    if (of == 0) {
      return;
    }
    flags |= of & (CHAIN | SUMMED);
  }
  bool sums = false;
  const bool gathers = flags & SUMMED && gathers_rows(rotation->view, op);
  if (mlirOperationGetNumResults(op) == 0 ||
      (!gathers && !is_cheap(rotation->view, op, 0, &sums)) || captures(op)) {
    return;
  }
  const bool whole = reads_a_whole_tensor(rotation, op);
  if (flags & SUMMED && whole) {
    return;  // what meets another tensor is past the norm
  }
  flags |= sums && flags & CHAIN ? SUMMED : 0;
  flags |= !whole && !(flags & CHAIN) ? SPREAD : 0;
  rotation->failed |= !fiarMapSet(&rotation->flags, op.ptr, 0, flags);
}

// ---- what moves ----

static bool stays(const rotation_t* rotation, MlirOperation user) {
  while (!mlirBlockEqual(mlirOperationGetBlock(user), rotation->loop.body)) {
    user = mlirOperationGetParentOperation(user);
  }
  return (flags_of_op(rotation, user) & CHAIN) == 0;
}

// Whether the op only lays its operand out, or widens it: what it is made of is less to carry.
static bool is_layout(FiarView* view, MlirOperation op) {
  const FiarPrimitive p = fiarPrimitiveRead(view, op);
  FiarShape from, to;
  return p.kind == FIAR_PRIM_BROADCAST || p.kind == FIAR_PRIM_RESHAPE ||
         p.kind == FIAR_PRIM_TRANSPOSE || p.kind == FIAR_PRIM_IDENTITY ||
         (p.kind == FIAR_PRIM_CONVERT && fiarShapeRead(mlirValueGetType(p.in[0]), &from) &&
          fiarShapeRead(mlirValueGetType(mlirOperationGetResult(op, 0)), &to) &&
          to.elem == FIAR_ELEM_F32);
}

static bool all_stay(const rotation_t* rotation, MlirValue value) {
  bool all = true;
  for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use);
       use = mlirOpOperandGetNextUse(use)) {
    all = all && stays(rotation, mlirOpOperandGetOwner(use));
  }
  return all;
}

// Keeps what only lays out the norm for what stays from moving: this op, and those before it.
static void trim(rotation_t* rotation, MlirOperation op) {
  while (flags_of_op(rotation, op) & SUMMED && mlirOperationGetNumResults(op) == 1 &&
         is_layout(rotation->view, op) && all_stay(rotation, mlirOperationGetResult(op, 0))) {
    fiarMapRemove(&rotation->flags, op.ptr, 0);
    MlirValue in = mlirOperationGetOperand(op, 0);
    if (!mlirValueIsAOpResult(in)) {
      return;
    }
    op = mlirOpResultGetOwner(in);
  }
}

// Results that only norms have, where they go on into what stays.
static void find_moved(rotation_t* rotation, MlirOperation op) {
  const bool may_move = flags_of_op(rotation, op) & SUMMED;
  for (intptr_t i = 0; may_move && i < mlirOperationGetNumResults(op); ++i) {
    MlirValue value = mlirOperationGetResult(op, i);
    bool moves = false;
    for (MlirOpOperand use = mlirValueGetFirstUse(value); !mlirOpOperandIsNull(use) && !moves;
         use = mlirOpOperandGetNextUse(use)) {
      moves = stays(rotation, mlirOpOperandGetOwner(use));
    }
    if (moves && rotation->n_moved < MAX_MOVED) {
      rotation->moved[rotation->n_moved] = value;
    }
    rotation->n_moved += moves;
  }
}

static void mark_slice(rotation_t* rotation, MlirValue value) {
  MlirOperation op =
      mlirValueIsAOpResult(value) ? mlirOpResultGetOwner(value) : (MlirOperation){NULL};
  if (mlirOperationIsNull(op) || !mlirBlockEqual(mlirOperationGetBlock(op), rotation->loop.body) ||
      fiarMapFind(&rotation->in_slice, op.ptr, 0) != NULL) {
    return;
  }
  rotation->failed |= !fiarMapSet(&rotation->in_slice, op.ptr, 0, 0);
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op) && !rotation->failed; ++i) {
    mark_slice(rotation, mlirOperationGetOperand(op, i));
  }
}

static void order_op(rotation_t* rotation, MlirOperation op) {
  uint32_t* number = fiarMapFind(&rotation->in_slice, op.ptr, 0);
  if (number != NULL) {
    *number = (uint32_t)rotation->n_slice;
    rotation->slice[rotation->n_slice++] = op;
  }
}

static void each_op(rotation_t* rotation, void (*visit)(rotation_t* rotation, MlirOperation op)) {
  for (MlirOperation op = mlirBlockGetFirstOperation(rotation->loop.body);
       !mlirOperationEqual(op, rotation->loop.yield); op = mlirOperationGetNextInBlock(op)) {
    visit(rotation, op);
  }
}

// False where nothing moves, or too much.
static bool plan(rotation_t* rotation) {
  each_op(rotation, flag);
  each_op(rotation, trim);
  each_op(rotation, find_moved);
  if (rotation->failed || rotation->n_moved == 0 || rotation->n_moved > MAX_MOVED) {
    return false;
  }
  for (intptr_t i = 0; i < rotation->n_moved; ++i) {
    mark_slice(rotation, rotation->moved[i]);
  }
  rotation->slice = calloc(rotation->in_slice.size + 1, sizeof *rotation->slice);
  if (rotation->slice == NULL || rotation->failed) {
    return false;
  }
  each_op(rotation, order_op);
  return true;
}

// ---- the rewrite ----

// What an operand of the slice is for a copy of it that is made of these carried values.
static MlirValue operand_of_copy(const rotation_t* rotation, const MlirOperation* copies,
                                 MlirValue value, const MlirValue* carried) {
  if (mlirValueIsABlockArgument(value)) {
    return mlirBlockEqual(mlirBlockArgumentGetOwner(value), rotation->loop.body)
               ? carried[mlirBlockArgumentGetArgNumber(value) - rotation->loop.first_argument]
               : value;
  }
  const uint32_t* number = fiarMapFind(&rotation->in_slice, mlirOpResultGetOwner(value).ptr, 0);
  return number == NULL
             ? value
             : mlirOperationGetResult(copies[*number], mlirOpResultGetResultNumber(value));
}

// Computes what moves from the carried values, in front of an op.
static bool copy_slice(const rotation_t* rotation, const MlirValue* carried, MlirOperation before,
                       MlirValue* out_moved) {
  MlirOperation* copies = calloc(rotation->n_slice, sizeof *copies);
  for (size_t at = 0; copies != NULL && at < rotation->n_slice; ++at) {
    MlirOperation op = rotation->slice[at];
    copies[at] = mlirOperationClone(op);
    for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
      MlirValue operand = mlirOperationGetOperand(op, i);
      mlirOperationSetOperand(copies[at], i, operand_of_copy(rotation, copies, operand, carried));
    }
    mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(before), before, copies[at]);
  }
  for (intptr_t i = 0; copies != NULL && i < rotation->n_moved; ++i) {
    out_moved[i] = operand_of_copy(rotation, copies, rotation->moved[i], carried);
  }
  free(copies);
  return copies != NULL;
}

static void copy_attributes(MlirOperation op, MlirOperationState* state) {
  for (intptr_t i = 0; i < mlirOperationGetNumAttributes(op); ++i) {
    MlirNamedAttribute attribute = mlirOperationGetAttribute(op, i);
    mlirOperationStateAddAttributes(state, 1, &attribute);
  }
}

// The loop once more, with its operands and n more; the old one goes.
static void replace_loop(MlirOperation op, const MlirValue* operands, intptr_t n_operands,
                         intptr_t n) {
  const intptr_t n_results = mlirOperationGetNumResults(op);
  MlirOperationState state = mlirOperationStateGet(mlirIdentifierStr(mlirOperationGetName(op)),
                                                   mlirOperationGetLocation(op));
  mlirOperationStateAddOperands(&state, n_operands + n, operands);
  copy_attributes(op, &state);
  for (intptr_t i = 0; i < n_results + n; ++i) {
    MlirType type = mlirValueGetType(i < n_results ? mlirOperationGetResult(op, i)
                                                   : operands[n_operands + i - n_results]);
    mlirOperationStateAddResults(&state, 1, &type);
  }
  for (intptr_t i = 0; i < mlirOperationGetNumRegions(op); ++i) {
    MlirRegion region = mlirRegionCreate();
    mlirRegionTakeBody(region, mlirOperationGetRegion(op, i));
    mlirOperationStateAddOwnedRegions(&state, 1, &region);
  }
  MlirOperation made = mlirOperationCreate(&state);
  mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(op), op, made);
  for (intptr_t i = 0; i < n_results; ++i) {
    mlirValueReplaceAllUsesOfWith(mlirOperationGetResult(op, i), mlirOperationGetResult(made, i));
  }
  mlirOperationDestroy(op);
}

// In the body and the condition: arguments for what is carried, which is used where it was
// computed.
static void add_arguments(const rotation_t* rotation) {
  const FiarCarriedLoop* loop = &rotation->loop;
  MlirLocation location = mlirOperationGetLocation(loop->op);
  for (intptr_t i = 0; i < rotation->n_moved; ++i) {
    MlirType type = mlirValueGetType(rotation->moved[i]);
    MlirValue argument = mlirBlockAddArgument(loop->body, type, location);
    if (!mlirBlockIsNull(loop->condition)) {
      (void)mlirBlockAddArgument(loop->condition, type, location);
    }
    mlirValueReplaceAllUsesOfWith(rotation->moved[i], argument);
  }
  for (size_t at = rotation->n_slice; at > 0; --at) {  // what only made them
    MlirOperation op = rotation->slice[at - 1];
    bool used = false;
    for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
      used |= !mlirOpOperandIsNull(mlirValueGetFirstUse(mlirOperationGetResult(op, i)));
    }
    if (!used) {
      mlirOperationDestroy(op);
    }
  }
}

static MlirValue* operands_of(MlirOperation op, intptr_t more) {
  const intptr_t n = mlirOperationGetNumOperands(op);
  MlirValue* operands = calloc((size_t)(n + more), sizeof *operands);
  for (intptr_t i = 0; operands != NULL && i < n; ++i) {
    operands[i] = mlirOperationGetOperand(op, i);
  }
  return operands;
}

static bool carry(const rotation_t* rotation) {
  const FiarCarriedLoop* loop = &rotation->loop;
  const intptr_t n_operands = mlirOperationGetNumOperands(loop->op), n = rotation->n_moved;
  MlirValue* start = operands_of(loop->op, n);
  MlirValue* yielded = operands_of(loop->yield, n);
  const bool done =
      start != NULL && yielded != NULL &&
      copy_slice(rotation, start + loop->first_operand, loop->op, start + n_operands) &&
      copy_slice(rotation, yielded, loop->yield, yielded + loop->count);
  if (done) {
    mlirOperationSetOperands(loop->yield, loop->count + n, yielded);
    add_arguments(rotation);
    replace_loop(loop->op, start, n_operands, n);
  }
  free(start);
  free(yielded);
  return done;
}

// ---- which loops ----

// Carried values that the body makes anew, of a shape that norms have.
static bool may_be_hidden(const FiarCarriedLoop* loop, intptr_t carried) {
  FiarShape shape;
  MlirValue next = mlirOperationGetOperand(loop->yield, carried);
  return mlirValueIsAOpResult(next) && fiarShapeRead(mlirValueGetType(next), &shape) &&
         shape.rank >= 2;
}

// One number for each result: with more of them it would have to say more.
static bool is_annotated(MlirOperation op) {
  return !mlirAttributeIsNull(fiarOpAttribute(op, "sdy.sharding")) ||
         !mlirAttributeIsNull(fiarOpAttribute(op, "mhlo.sharding"));
}

typedef struct search {
  size_t wanted;  // how many loops to pass by
  FiarCarriedLoop loop;
  bool found;
} search_t;

static MlirWalkResult find_loop(MlirOperation op, void* data) {
  search_t* search = data;
  search->found = fiarCarriedLoopRead(op, &search->loop) && search->wanted-- == 0;
  return search->found ? MlirWalkResultInterrupt : MlirWalkResultAdvance;
}

static bool loop_at(MlirOperation module, size_t number, FiarCarriedLoop* out_loop) {
  search_t search = {.wanted = number};
  mlirOperationWalk(module, find_loop, &search, MlirWalkPreOrder);
  *out_loop = search.loop;
  return search.found;
}

// Plans to rotate one loop for one of the values that it carries, and does `what`, if anything,
// with the plan. False: there is nothing to rotate, and the module is as it was.
static bool rotate(MlirOperation module, size_t number, intptr_t carried,
                   bool (*what)(const rotation_t* rotation)) {
  FiarView view;
  rotation_t rotation = {.view = &view, .carried = carried};
  const bool done = fiarViewInit(&view, module) && loop_at(module, number, &rotation.loop) &&
                    may_be_hidden(&rotation.loop, carried) && plan(&rotation) &&
                    (what == NULL || what(&rotation));
  fiarMapClear(&rotation.flags);
  fiarMapClear(&rotation.in_slice);
  free(rotation.slice);
  fiarViewClear(&view);
  return done;
}

// How many all-reduces fuse in a module that may be spoilt; -1: fiar-fuse refuses it.
static int64_t count_fused(MlirOperation module, int64_t world) {
  FiarFuseOptions options = {
      .struct_size = sizeof options, .world = world, .message = fiarSayNothing};
  FiarFuseCounts counts = {0};
  return mlirLogicalResultIsSuccess(fiarFuse(module, &options, &counts)) ? counts.fused : -1;
}

// The same of a clone, rotated where `number` is one of a loop's.
static int64_t count_on_clone(MlirOperation module, int64_t world, const size_t* number,
                              intptr_t carried) {
  MlirOperation clone = mlirOperationClone(module);
  const bool ready = number == NULL || rotate(clone, *number, carried, carry);
  const int64_t fused = ready ? count_fused(clone, world) : -1;
  mlirOperationDestroy(clone);
  return fused;
}

MlirLogicalResult fiarRotateLoops(MlirOperation module, int64_t world) {
  FiarCarriedLoop loop;
  int64_t fused = -1;
  for (size_t number = 0; loop_at(module, number, &loop); ++number) {
    const intptr_t count = is_annotated(loop.op) ? 0 : loop.count;
    for (intptr_t carried = 0; carried < count; ++carried) {
      if (!rotate(module, number, carried, NULL)) {
        continue;
      }
      fused = fused < 0 ? count_on_clone(module, world, NULL, 0) : fused;
      const int64_t then = fused < 0 ? -1 : count_on_clone(module, world, &number, carried);
      if (then > fused && rotate(module, number, carried, carry)) {
        fused = then;
      }
    }
  }
  return mlirLogicalResultSuccess();
}
