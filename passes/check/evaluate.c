// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "check/evaluate.h"
#include "ir/array.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/eval_impl.h"
#include "ir/carried.h"
#include "mlir-c/BuiltinAttributes.h"
#include "shard/shard.h"

bool fiarEvalFail(FiarEval* eval, const char* format, ...) {
  if (eval->out->error[0] == '\0') {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(eval->out->error, sizeof eval->out->error, format, args);
    va_end(args);
  }
  return false;
}

double* fiarEvalRoom(FiarEval* eval, int64_t count) {
  FiarEvaluation* out = eval->out;
  const size_t wanted = (size_t)(eval->options->ranks * count) + 1;
  if (out->n_used == out->n_rooms) {
    FiarRoom* rooms = fiarGrow(out->rooms, out->n_rooms, &out->rooms_capacity, sizeof *out->rooms);
    if (rooms == NULL) {
      (void)fiarEvalFail(eval, "out of memory");
      return NULL;
    }
    out->rooms = rooms;
    out->rooms[out->n_rooms++] = (FiarRoom){NULL, 0};
  }
  FiarRoom* room = &out->rooms[out->n_used++];
  if (room->count >= wanted) {
    memset(room->at, 0, wanted * sizeof *room->at);
    return room->at;
  }
  free(room->at);
  room->at = calloc(wanted, sizeof *room->at);
  room->count = room->at == NULL ? 0 : wanted;
  if (room->at == NULL) {
    (void)fiarEvalFail(eval, "out of memory");
  }
  return room->at;
}

static FiarTensor* bound_to(FiarEval* eval, MlirValue value) {
  const uint32_t* found = fiarMapFind(&eval->index, value.ptr, 0);
  return found == NULL || *found == UINT32_MAX ? NULL : &eval->tensors[*found];
}

const FiarTensor* fiarEvalFind(FiarEval* eval, MlirValue value) {
  FiarTensor* tensor = bound_to(eval, value);
  if (tensor != NULL && tensor->at == NULL) {
    tensor->at = fiarEvalRoom(eval, tensor->count);
    if (tensor->at == NULL) {
      return NULL;
    }
    fiarInvent(eval->options, tensor, tensor->at);
  }
  return tensor;
}

// A NaN becomes one of the fp4 codes, of which none is NaN.
static void settle_codes(FiarEval* eval, const FiarTensor* codes) {
  const double code = (eval->options->instead & FIAR_OPEN_CODES) != 0 ? 0 : 6;
  for (int64_t i = 0; i < eval->options->ranks * codes->count; ++i) {
    if (isnan(codes->at[i])) {
      codes->at[i] = code;
      eval->out->open |= FIAR_OPEN_CODES;
    }
  }
}

bool fiarEvalBind(FiarEval* eval, MlirValue value, const FiarTensor* tensor) {
  uint32_t at = UINT32_MAX;  // bound to nothing
  if (tensor != NULL) {
    if (tensor->shape.elem == FIAR_ELEM_F4E2M1FN && tensor->at != NULL) {
      settle_codes(eval, tensor);
    }
    FiarTensor* tensors =
        fiarGrow(eval->tensors, eval->n_tensors, &eval->capacity, sizeof *tensors);
    if (tensors == NULL) {
      return fiarEvalFail(eval, "out of memory");
    }
    eval->tensors = tensors;
    eval->tensors[eval->n_tensors] = *tensor;
    at = (uint32_t)eval->n_tensors++;
  }
  return fiarMapSet(&eval->index, value.ptr, 0, at) || fiarEvalFail(eval, "out of memory");
}

bool fiarEvalShape(MlirValue result, const FiarTensor* like, FiarShape* out_shape) {
  MlirType type = mlirValueGetType(result);
  if (!fiarShapeRead(type, out_shape)) {
    out_shape->rank = 0;
    out_shape->elem = fiarElementOf(type);
  }
  for (int i = 0; i < out_shape->rank; ++i) {
    if (out_shape->size[i] < 0) {
      // A size of 1 may be what a broadcast stretches.
      bool known = like != NULL && like->shape.rank == out_shape->rank && like->shape.size[i] != 1;
      out_shape->size[i] = known ? like->shape.size[i] : FIAR_CHECK_DYNAMIC_SIZE;
    }
  }
  return fiarElementKnown(out_shape->elem);
}

// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
static uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

static double edge_number(FiarElement elem, uint64_t bits, double plain) {
  switch (bits % 16) {
    case 0:
      return 0.0;
    case 1:
      return -0.0;
    case 2:
      return plain * (elem == FIAR_ELEM_F16 ? ldexp(1, -23) : ldexp(1, -130));
    default:
      return plain;
  }
}

static double overflowing_number(FiarElement elem, uint64_t bits, double plain) {
  if (bits % 32 == 0) {
    return (bits & 0xF00) == 0 ? INFINITY : elem == FIAR_ELEM_F16 ? 60000 : ldexp(1, 126);
  }
  return plain;
}

// Whether the tensor's data may scale a product whose association is invisible (FiarEvalOptions).
static bool is_coarse_scale(const FiarEvalOptions* options, const FiarShape* shape) {
  int wide = 0;
  for (int i = 0; i < shape->rank; ++i) {
    wide += shape->size[i] != 1;
  }
  return options->products && options->roots != FIAR_ROOTS_TRUE && shape->elem == FIAR_ELEM_F32 &&
         wide <= 1;
}

static double number_for(const FiarEvalOptions* options, const FiarShape* shape, uint64_t bits) {
  if (shape->elem == FIAR_ELEM_INTEGER) {
    return (double)(bits % 2);
  }
  if (shape->elem == FIAR_ELEM_F8E8M0FNU || is_coarse_scale(options, shape)) {
    return ldexp(1, (int)(bits % 7) - 3);
  }
  // Scalars are scales and the like: near 1, where no block scale overflows, since fused ops then
  // saturate and the IR gives NaN (docs/numerics.md).
  double unit = (double)(bits >> 40) / (double)(1 << 24);
  if (shape->rank == 0) {
    return fiarElementRound(shape->elem, 0.75 + unit / 2);
  }
  double plain =
      options->data == FIAR_CHECK_INTEGER ? (double)(bits >> 20 & 255) - 127 : 8 * unit - 4;
  plain = fiarElementRound(shape->elem, plain);
  if (options->data == FIAR_CHECK_EDGE) {
    plain = edge_number(shape->elem, bits, plain);
  } else if (options->data == FIAR_CHECK_OVERFLOW) {
    plain = overflowing_number(shape->elem, bits, plain);
  }
  return fiarElementRound(shape->elem, plain);
}

void fiarInvent(const FiarEvalOptions* options, const FiarTensor* tensor, double* out) {
  // The first row of a matrix is zero where edges are looked for: its scales are zero, too.
  bool zeros = options->data == FIAR_CHECK_EDGE && tensor->shape.rank > 1;
  int64_t row = zeros ? tensor->shape.size[tensor->shape.rank - 1] : 0;
  for (int rank = 0; rank < options->ranks; ++rank) {
    if (tensor->replicated && rank > 0) {
      memcpy(out + rank * tensor->count, out, (size_t)tensor->count * sizeof *out);
      continue;
    }
    uint64_t key = tensor->key + ((uint64_t)rank << 40);
    for (int64_t i = 0; i < tensor->count; ++i) {
      out[rank * tensor->count + i] =
          i < row ? 0 : number_for(options, &tensor->shape, mix(key + (uint64_t)i));
    }
  }
}

uint64_t fiarEvalKey(const FiarEval* eval, int64_t id, int64_t part) {
  return mix(eval->options->seed ^ mix((uint64_t)id * 64 + (uint64_t)part));
}

// Gives a value data made from who it belongs to, when something computes with it.
static bool invent(FiarEval* eval, MlirValue value, int64_t id, int64_t part, bool replicated) {
  FiarTensor tensor = {0};
  if (!fiarEvalShape(value, NULL, &tensor.shape)) {
    return fiarEvalBind(eval, value, NULL);
  }
  tensor.count = fiarShapeElements(&tensor.shape);
  tensor.key = fiarEvalKey(eval, id, part);
  tensor.replicated = replicated;
  return fiarEvalBind(eval, value, &tensor);
}

int64_t fiarEvalId(MlirOperation op) {
  MlirAttribute id = fiarOpAttribute(op, FIAR_CHECK_ID);
  return mlirAttributeIsNull(id) ? -1 : mlirIntegerAttrGetValueInt(id);
}

static bool observe(FiarEval* eval, MlirOperation op) {
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    MlirValue operand = mlirOperationGetOperand(op, i);
    const FiarTensor* seen = bound_to(eval, operand);
    seen = seen == NULL ? fiarEvalCell(eval, operand) : seen;
    if (seen == NULL) {
      continue;
    }
    FiarEvaluation* out = eval->out;
    FiarObservation* list = fiarGrow(out->list, out->count, &out->capacity, sizeof *list);
    if (list == NULL) {
      return fiarEvalFail(eval, "out of memory");
    }
    out->list = list;
    out->list[out->count++] = (FiarObservation){fiarEvalId(op), (int)i, op, *seen};
  }
  return true;
}

// Evaluates a block up to `stop` (null: to its end).
static bool evaluate_block(FiarEval* eval, MlirBlock block, MlirOperation stop) {
  for (MlirOperation op = mlirBlockGetFirstOperation(block);
       !mlirOperationIsNull(op) && !mlirOperationEqual(op, stop);
       op = mlirOperationGetNextInBlock(op)) {
    if (!fiarEvalOp(eval, op)) {
      return false;
    }
  }
  return true;
}

// Gives a value what another one has.
static bool rebind(FiarEval* eval, MlirValue to, MlirValue from) {
  const FiarTensor* found = bound_to(eval, from);
  FiarTensor held = found == NULL ? (FiarTensor){0} : *found;
  return fiarEvalBind(eval, to, found == NULL ? NULL : &held);
}

// The callee's body on the operands; its last op's operands are the results.
static bool evaluate_call(FiarEval* eval, const FiarPrimitive* p, bool* out_done) {
  enum { MAX_DEPTH = 32 };  // deeper calls, and those of a function by itself, are uninterpreted
  *out_done = false;
  if (eval->depth == MAX_DEPTH || mlirOperationIsNull(p->callee) ||
      mlirOperationGetNumRegions(p->callee) == 0) {
    return true;
  }
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(p->callee, 0));
  if (mlirBlockIsNull(body) || !mlirBlockIsNull(mlirBlockGetNextInRegion(body)) ||
      mlirBlockGetNumArguments(body) != mlirOperationGetNumOperands(p->op)) {
    return true;
  }
  MlirOperation last = fiarLastOp(body);
  if (mlirOperationIsNull(last) ||
      mlirOperationGetNumOperands(last) != mlirOperationGetNumResults(p->op)) {
    return true;
  }
  *out_done = true;
  for (intptr_t i = 0; i < mlirBlockGetNumArguments(body); ++i) {
    if (!rebind(eval, mlirBlockGetArgument(body, i), mlirOperationGetOperand(p->op, i))) {
      return false;
    }
  }
  ++eval->depth;
  bool done = evaluate_block(eval, body, last);
  --eval->depth;
  if (!done) {
    return false;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumResults(p->op); ++i) {
    if (!rebind(eval, mlirOperationGetResult(p->op, i), mlirOperationGetOperand(last, i))) {
      return false;
    }
  }
  return true;
}

static bool evaluate_identity(FiarEval* eval, const FiarPrimitive* p) {
  for (intptr_t i = 0; i < mlirOperationGetNumResults(p->op); ++i) {
    const FiarTensor* found = i < mlirOperationGetNumOperands(p->op)
                                  ? bound_to(eval, mlirOperationGetOperand(p->op, i))
                                  : NULL;
    FiarTensor held = found == NULL ? (FiarTensor){0} : *found;
    if (!fiarEvalBind(eval, mlirOperationGetResult(p->op, i), found == NULL ? NULL : &held)) {
      return false;
    }
  }
  return true;
}

static bool same_on_all_ranks(FiarEval* eval, MlirValue value) {
  const FiarTensor* tensor = bound_to(eval, value);
  if (tensor == NULL || tensor->at == NULL) {
    return tensor == NULL || tensor->replicated;
  }
  for (int64_t i = tensor->count; i < eval->options->ranks * tensor->count; ++i) {
    const double first = tensor->at[i % tensor->count], other = tensor->at[i];
    if (first != other && !(isnan(first) && isnan(other))) {
      return false;
    }
  }
  return true;
}

// A function of operands that are the same on all ranks gives the same results there.
static bool gives_the_same(FiarEval* eval, MlirOperation op) {
  bool same = fiarPrimitiveKind(&eval->view, op) == FIAR_PRIM_PURE &&
              mlirOperationGetNumOperands(op) > 0 && mlirOperationGetNumRegions(op) == 0;
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op) && same; ++i) {
    same = same_on_all_ranks(eval, mlirOperationGetOperand(op, i));
  }
  return same;
}

// Observes the operands, invents the results, and runs what the op's regions hold on invented
// arguments.
static bool evaluate_unknown(FiarEval* eval, MlirOperation op) {
  int64_t id = fiarEvalId(op);
  int64_t part = 0;
  if (!observe(eval, op)) {
    return false;
  }
  for (intptr_t r = 0; r < mlirOperationGetNumRegions(op); ++r) {
    for (MlirBlock block = mlirRegionGetFirstBlock(mlirOperationGetRegion(op, r));
         !mlirBlockIsNull(block); block = mlirBlockGetNextInRegion(block)) {
      for (intptr_t i = 0; i < mlirBlockGetNumArguments(block); ++i) {
        MlirValue argument = mlirBlockGetArgument(block, i);
        if (!invent(eval, argument, id, 1000 + part++, !fiarIsSplit(&eval->view, argument))) {
          return false;
        }
      }
      if (!evaluate_block(eval, block, (MlirOperation){NULL})) {
        return false;
      }
    }
  }
  const bool same = gives_the_same(eval, op);
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op); ++i) {
    if (!invent(eval, mlirOperationGetResult(op, i), id, i, same)) {
      return false;
    }
  }
  fiarEvalForget(eval, op);
  return true;
}

// Whatever the op may have written is new data.
static bool evaluate_writer(FiarEval* eval, MlirOperation op) {
  bool done;
  if (!fiarEvalNamedOp(eval, op, &done) || done) {
    return done;
  }
  if (!evaluate_unknown(eval, op)) {
    return false;
  }
  for (intptr_t i = 0; i < mlirOperationGetNumOperands(op); ++i) {
    FiarShape shape;
    MlirValue operand = mlirOperationGetOperand(op, i);
    if (fiarShapeRead(mlirValueGetType(operand), &shape) &&
        !invent(eval, operand, fiarEvalId(op), 2000 + i, false)) {
      return false;
    }
  }
  return true;
}

// How often the body of a loop is run, whatever its bounds: once more than the first time.
enum { ROUNDS = 2 };

// A round's values are bound before any of them changes: a yield may give them in another order.
static bool next_round(FiarEval* eval, const FiarCarriedLoop* loop, FiarTensor* room) {
  for (intptr_t i = 0; i < loop->count; ++i) {
    const FiarTensor* found = bound_to(eval, mlirOperationGetOperand(loop->yield, i));
    room[i] = found == NULL ? (FiarTensor){.count = -1} : *found;
  }
  for (intptr_t i = 0; i < loop->count; ++i) {
    MlirValue result = mlirOperationGetResult(loop->op, i);
    if (!fiarEvalBind(eval, result, room[i].count < 0 ? NULL : &room[i])) {
      return false;
    }
  }
  return true;
}

static bool run_rounds(FiarEval* eval, const FiarCarriedLoop* loop, FiarTensor* room) {
  int64_t id = fiarEvalId(loop->op);
  for (int round = 0; round < ROUNDS; ++round) {
    for (intptr_t i = 0; i < loop->count; ++i) {
      MlirValue from = round == 0 ? mlirOperationGetOperand(loop->op, loop->first_operand + i)
                                  : mlirOperationGetResult(loop->op, i);
      if (!rebind(eval, mlirBlockGetArgument(loop->body, loop->first_argument + i), from) ||
          (!mlirBlockIsNull(loop->condition) &&
           !rebind(eval, mlirBlockGetArgument(loop->condition, i), from))) {
        return false;
      }
    }
    // The condition is observed, not obeyed; the counter is anything.
    if (!mlirBlockIsNull(loop->condition)
            ? !evaluate_block(eval, loop->condition, (MlirOperation){NULL})
            : !invent(eval, mlirBlockGetArgument(loop->body, 0), id, 500 + round, true)) {
      return false;
    }
    if (!evaluate_block(eval, loop->body, loop->yield) || !next_round(eval, loop, room)) {
      return false;
    }
  }
  return true;
}

static bool evaluate_loop(FiarEval* eval, const FiarCarriedLoop* loop) {
  FiarTensor* room = malloc((size_t)loop->count * sizeof *room + 1);
  bool done = room != NULL ? run_rounds(eval, loop, room) : fiarEvalFail(eval, "out of memory");
  free(room);
  return done;
}

static bool is_fiar(MlirOperation op) {
  MlirStringRef name = fiarOpName(op);
  return name.length > 5 && memcmp(name.data, "fiar.", 5) == 0;
}

// A collective over groups that the module does not say cannot be run, nor is it fused.
bool fiarEvalGroupsKnown(const FiarEval* eval, const FiarPrimitive* p) {
  FiarGroups groups;
  char text[200];
  bool named = !mlirAttributeIsNull(p->groups) && mlirAttributeIsAString(p->groups);
  if (named && (eval->options->world > 0 || p->world > 0)) {
    return true;
  }
  bool known = fiarGroupsExpand(eval->view.module, p->groups, &groups, text, sizeof text);
  fiarGroupsFree(&groups);
  return known;
}

// Whether the ops that use a start's result compute what it started.
static bool is_waited_for(FiarEval* eval, MlirOperation start) {
  MlirOpOperand use = mlirValueGetFirstUse(mlirOperationGetResult(start, 0));
  bool all = !mlirOpOperandIsNull(use);
  for (; all && !mlirOpOperandIsNull(use); use = mlirOpOperandGetNextUse(use)) {
    FiarPrimitive done = fiarPrimitiveRead(&eval->view, mlirOpOperandGetOwner(use));
    all = done.kind == FIAR_PRIM_ALL_REDUCE &&
          fiarStringEqual(mlirStringRefCreateFromCString(done.reduction), "sum") &&
          fiarEvalGroupsKnown(eval, &done);
  }
  return all;
}

bool fiarEvalOp(FiarEval* eval, MlirOperation op) {
  if (is_fiar(op)) {
    return fiarEvalFused(eval, op);
  }
  FiarCarriedLoop loop;
  if (fiarCarriedLoopRead(op, &loop)) {
    return evaluate_loop(eval, &loop);
  }
  bool done = false;
  if (!fiarEvalBuffer(eval, op, &done) || done) {
    return done;
  }
  FiarPrimitive p = fiarPrimitiveRead(&eval->view, op);
  switch (p.kind) {
    case FIAR_PRIM_UNKNOWN:
      if (fiarMayWrite(op)) {
        return evaluate_writer(eval, op);
      }
      break;
    case FIAR_PRIM_PURE:
      if (fiarIsOp(op, "stablehlo.dynamic_slice") && !fiarEvalDynamicSlice(eval, op, &done)) {
        return false;
      }
      break;
    case FIAR_PRIM_COLLECTIVE:
      break;
    case FIAR_PRIM_NAMED:
      if (!fiarEvalNamedOp(eval, op, &done)) {
        return false;
      }
      break;
    case FIAR_PRIM_START:
      if (is_waited_for(eval, op)) {
        return true;
      }
      break;
    case FIAR_PRIM_IDENTITY:
      return evaluate_identity(eval, &p);
    case FIAR_PRIM_ALL_REDUCE:
    case FIAR_PRIM_REDUCE_SCATTER:
      if (mlirOperationGetNumResults(op) > 0 && p.reduction != NULL &&
          strcmp(p.reduction, "sum") == 0 && fiarEvalGroupsKnown(eval, &p)) {
        return fiarEvalCollective(eval, &p);
      }
      break;
    case FIAR_PRIM_ALL_GATHER:
      if (fiarEvalGroupsKnown(eval, &p)) {
        return fiarEvalCollective(eval, &p);
      }
      break;
    case FIAR_PRIM_CALL:
      if (!evaluate_call(eval, &p, &done)) {
        return false;
      }
      fiarEvalForget(eval, op);
      break;
    case FIAR_PRIM_MATMUL:  // before anything asks for the elements of its operands, weights often
    case FIAR_PRIM_BLOCK_MATMUL:
      if (eval->options->products && !fiarEvalProduct(eval, &p, &done)) {
        return false;
      }
      break;
    case FIAR_PRIM_LOOPS:
      if (!fiarEvalLoops(eval, &p, &done)) {
        return false;
      }
      break;
    default:
      if (!fiarEvalCompute(eval, &p, &done)) {
        return false;
      }
  }
  return done || evaluate_unknown(eval, op);
}

// A function that others call is evaluated with them.
static bool is_private(MlirOperation op) {
  return fiarStringEqual(fiarAttributeText(fiarOpAttribute(op, "sym_visibility")), "private");
}

bool fiarEvaluate(MlirOperation module, const FiarEvalOptions* options, FiarEvaluation* out) {
  FiarEval eval = {.options = options, .out = out};
  out->count = out->n_used = 0;
  out->open = 0;
  out->error[0] = '\0';
  bool done = fiarViewInit(&eval.view, module) || fiarEvalFail(&eval, "out of memory");
  MlirBlock body = mlirRegionGetFirstBlock(mlirOperationGetRegion(module, 0));
  for (MlirOperation op = mlirBlockGetFirstOperation(body); done && !mlirOperationIsNull(op);
       op = mlirOperationGetNextInBlock(op)) {
    done = is_private(op) || evaluate_unknown(&eval, op);
  }
  fiarViewClear(&eval.view);
  fiarMapClear(&eval.index);
  fiarMapClear(&eval.cell_index);
  free(eval.tensors);
  free(eval.cells);
  return done;
}

void fiarEvaluationFree(FiarEvaluation* evaluation) {
  for (size_t i = 0; i < evaluation->n_rooms; ++i) {
    free(evaluation->rooms[i].at);
  }
  free(evaluation->rooms);
  free(evaluation->list);
  memset(evaluation, 0, sizeof *evaluation);
}

typedef struct Ranks {
  FiarView* view;
  int64_t largest;
} Ranks;

static MlirWalkResult largest_id(MlirOperation op, void* data) {
  Ranks* ranks = data;
  FiarPrimitiveKind kind = fiarPrimitiveKind(ranks->view, op);
  bool fused = is_fiar(op);
  if (!fused && kind != FIAR_PRIM_ALL_REDUCE && kind != FIAR_PRIM_REDUCE_SCATTER &&
      kind != FIAR_PRIM_ALL_GATHER) {
    return MlirWalkResultAdvance;
  }
  FiarPrimitive p = {0};
  if (!fused) {
    p = fiarPrimitiveRead(ranks->view, op);
  }
  MlirAttribute named = fused ? fiarOpAttribute(op, "groups") : p.groups;
  FiarGroups groups;
  char text[160];
  if (!mlirAttributeIsNull(named) &&
      fiarGroupsExpand(ranks->view->module, named, &groups, text, sizeof text)) {
    for (int64_t i = 0; i < groups.count * groups.size; ++i) {
      ranks->largest = groups.ids[i] > ranks->largest ? groups.ids[i] : ranks->largest;
    }
    fiarGroupsFree(&groups);
  } else if (!mlirAttributeIsNull(named) && mlirAttributeIsAString(named)) {
    double world = (double)(p.world > 0 ? p.world : ranks->view->world);
    (void)(fused && fiarReadNumber(fiarOpAttribute(op, "world"), &world));
    int64_t last = fiarWhole(world) - 1;
    ranks->largest = last > ranks->largest ? last : ranks->largest;
  }
  return MlirWalkResultAdvance;
}

int fiarEvaluationRanks(MlirOperation module, int64_t world) {
  FiarView view;
  Ranks ranks = {&view, -1};
  if (fiarViewInit(&view, module)) {
    view.world = world;
    mlirOperationWalk(module, largest_id, &ranks, MlirWalkPreOrder);
  }
  fiarViewClear(&view);
  return (int)ranks.largest + 1;
}
