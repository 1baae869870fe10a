// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The pass fiar-check: rewrites a clone and compares what both versions compute on simulated ranks.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/evaluate.h"
#include "ir/options.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/BuiltinTypes.h"
#include "mlir-c/Diagnostics.h"

// The largest group of ranks that is simulated.
#define MAX_RANKS 64

typedef struct Check {
  const FiarCheckOptions* options;
  FiarView view;  // of the module as it was
  FiarEvaluation old, new;
  int64_t differences;
} Check;

static MlirWalkResult set_id(MlirOperation op, void* next) {
  MlirType type = mlirIntegerTypeGet(mlirOperationGetContext(op), 64);
  mlirOperationSetDiscardableAttributeByName(op, mlirStringRefCreateFromCString(FIAR_CHECK_ID),
                                             mlirIntegerAttrGet(type, ++*(int64_t*)next));
  return MlirWalkResultAdvance;
}

static MlirWalkResult clear_id(MlirOperation op, void* unused) {
  (void)unused;
  mlirOperationRemoveDiscardableAttributeByName(op, mlirStringRefCreateFromCString(FIAR_CHECK_ID));
  return MlirWalkResultAdvance;
}

static void complain(Check* check, MlirLocation location, const char* text) {
  ++check->differences;
  if (check->options->message != NULL) {
    check->options->message(FIAR_MESSAGE_ERROR, location, mlirStringRefCreateFromCString(text),
                            check->options->message_data);
  } else {
    mlirEmitError(location, text);
  }
}

static bool same_number(double a, double b) {
  return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b));
}

// Distance in units of the last place of the element type, at the larger of the two; of denormal
// numbers that is the smallest one.
static double ulps(FiarElement elem, double a, double b) {
  int digits = elem == FIAR_ELEM_BF16 ? 8 : elem == FIAR_ELEM_F16 ? 11 : 24;
  int least = elem == FIAR_ELEM_BF16 ? -133 : elem == FIAR_ELEM_F16 ? -24 : -149;
  int exponent;
  (void)frexp(fmax(fabs(a), fabs(b)), &exponent);
  exponent -= digits;
  return fabs(a - b) / ldexp(1, exponent < least ? least : exponent);
}

// What docs/numerics.md lets differ: nothing where roots are coarse, nor for what no norm went
// into; two ulps in a norm, more where the element type is f32 itself, whose association shows;
// anything in what is computed from one (the runs with coarse roots compare it).
static bool close_enough(const FiarEvalOptions* run, const FiarTensor* tensor, double before,
                         double after) {
  bool tainted = tensor->taint != FIAR_TAINT_EXACT;
  if (tensor->shape.elem == FIAR_ELEM_F4E2M1FN && isnan(before)) {
    return true;  // the IR leaves open which code a NaN becomes
  }
  if (tensor->shape.elem == FIAR_ELEM_F8E8M0FNU && isnan(after)) {
    return true;  // sources count with a NaN's bits; the block's codes are NaN, too, and compared
  }
  if (same_number(before, after) || (run->data == FIAR_CHECK_OVERFLOW && tainted)) {
    return true;
  }
  if (tainted && fabs(before - after) < ldexp(1, -140)) {
    return true;  // denormal products round as they associate
  }
  if (run->roots != FIAR_ROOTS_TRUE || !tainted) {
    return false;
  }
  // The IR adds squares one by one: an error that grows with the row.
  const FiarShape* shape = &tensor->shape;
  bool wide = shape->elem == FIAR_ELEM_F32 && shape->rank > 0;
  double bound = wide ? 8 + (double)shape->size[shape->rank - 1] / 8 : 2;
  return tensor->taint == FIAR_TAINT_DERIVED || ulps(tensor->shape.elem, before, after) <= bound;
}

// How coarse the roots of a module may be made.
typedef struct Roots {
  FiarView* view;
  FiarRoots coarsest;
  bool power, half;  // raises to powers, and has a 0.5: maybe square roots
  bool unrounded;    // a norm of an unrounded sum: two bits are exact for integers only
} Roots;

static const char* const data_names[] = {
#define X(name, text, meaning) text,
    FIAR_CHECK_DATA_TABLE(X)
#undef X
};
static const char* const root_names[] = {
#define X(name, text, meaning) text,
    FIAR_ROOTS_TABLE(X)
#undef X
};

static void compare_elements(Check* check, const FiarEvalOptions* run,
                             const FiarObservation* before, const FiarTensor* tensor,
                             const double* a, const double* b) {
  for (int64_t i = 0; i < run->ranks * tensor->count; ++i) {
    if (close_enough(run, tensor, a[i], b[i])) {
      continue;
    }
    char text[320];
    MlirStringRef name = fiarOpName(before->op);
    (void)snprintf(text, sizeof text,
                   "operand %d of %.*s differs after the rewrite: rank %d, element %" PRId64
                   ": %.9g became %.9g (%s data, %s roots, seed %" PRIu64 ")",
                   before->operand, (int)name.length, name.data, (int)(i / tensor->count),
                   i % tensor->count, a[i], b[i], data_names[run->data], root_names[run->roots],
                   run->seed);
    complain(check, mlirOperationGetLocation(before->op), text);
    return;
  }
}

// The elements of a tensor that nothing has looked at are made now, into *out_made.
static const double* elements_of(const FiarEvalOptions* run, const FiarTensor* tensor,
                                 double** out_made) {
  *out_made = NULL;
  if (tensor->at != NULL) {
    return tensor->at;
  }
  *out_made = malloc((size_t)(run->ranks * tensor->count) * sizeof **out_made + 1);
  if (*out_made != NULL) {
    fiarInvent(run, tensor, *out_made);
  }
  return *out_made;
}

static bool compare_tensors(Check* check, const FiarEvalOptions* run, const FiarObservation* before,
                            const FiarObservation* after) {
  const FiarTensor *a = &before->tensor, *b = &after->tensor;
  if (a->count != b->count || a->shape.elem != b->shape.elem) {
    complain(check, mlirOperationGetLocation(before->op), "an operand changed its type");
    return true;
  }
  if (a->at == NULL && b->at == NULL && a->key == b->key && a->replicated == b->replicated) {
    return true;
  }
  double *made_a, *made_b;
  const double *at_a = elements_of(run, a, &made_a), *at_b = elements_of(run, b, &made_b);
  if (at_a != NULL && at_b != NULL) {
    compare_elements(check, run, before, b, at_a, at_b);
  }
  free(made_a);
  free(made_b);
  return at_a != NULL && at_b != NULL;
}

// Where an observation stands among those of its op and operand: a function's ops see one a call.
typedef struct Places {
  FiarMap met;  // (id, operand) -> how often so far
  FiarMap at;   // (id, operand and occurrence) -> index
} Places;

// An op's number as a map's key.
static const void* key_of(int64_t id) {
  return (const void*)(uintptr_t)(id + 2);
}

// The key of the next observation of this op and operand; 0 without memory.
static uint32_t next_place(FiarMap* met, const FiarObservation* seen) {
  const void* id = key_of(seen->id);
  const uint32_t* found = fiarMapFind(met, id, (uint32_t)seen->operand);
  uint32_t occurrence = found == NULL ? 1 : *found + 1;
  return fiarMapSet(met, id, (uint32_t)seen->operand, occurrence)
             ? occurrence << 8 | (uint32_t)(seen->operand & 255)
             : 0;
}

static bool index_observations(const FiarEvaluation* after, Places* places) {
  for (size_t i = 0; i < after->count; ++i) {
    const FiarObservation* seen = &after->list[i];
    uint32_t place = next_place(&places->met, seen);
    if (place == 0 || !fiarMapSet(&places->at, key_of(seen->id), place, (uint32_t)i)) {
      return false;
    }
  }
  return true;
}

// Whatever was seen before must be seen after, save by ops that could be left out.
static bool compare(Check* check, const FiarEvalOptions* run, const FiarEvaluation* before,
                    const FiarEvaluation* after) {
  Places places = {{0}, {0}};
  FiarMap met = {0};
  bool done = index_observations(after, &places);
  for (size_t i = 0; done && i < before->count; ++i) {
    const FiarObservation* seen = &before->list[i];
    uint32_t place = next_place(&met, seen);
    const uint32_t* at = fiarMapFind(&places.at, key_of(seen->id), place);
    done = place != 0;
    if (at != NULL) {
      done = done && compare_tensors(check, run, seen, &after->list[*at]);
    } else if (!fiarPrimitivePure(&check->view, seen->op)) {
      complain(check, mlirOperationGetLocation(seen->op), "the rewrite lost this op");
    }
  }
  fiarMapClear(&met);
  fiarMapClear(&places.met);
  fiarMapClear(&places.at);
  return done;
}

static bool run_once(Check* check, MlirOperation before, MlirOperation after,
                     const FiarEvalOptions* run) {
  FiarEvaluation *old = &check->old, *new = &check->new;
  bool done = fiarEvaluate(before, run, old) && fiarEvaluate(after, run, new);
  if (!done) {
    char text[320];
    (void)snprintf(text, sizeof text, "fiar-check cannot run the module: %s",
                   old->error[0] != '\0' ? old->error : new->error);
    complain(check, mlirOperationGetLocation(before), text);
  } else {
    done = compare(check, run, old, new);
  }
  return done;
}

static MlirWalkResult limit_roots(MlirOperation op, void* data) {
  Roots* roots = data;
  FiarPrimitiveKind kind = fiarPrimitiveKind(roots->view, op);
  FiarShape shape;
  if (kind == FIAR_PRIM_POWER || kind == FIAR_PRIM_CONSTANT) {
    FiarPrimitive read = fiarPrimitiveRead(roots->view, op);
    roots->power |= kind == FIAR_PRIM_POWER;
    roots->half |= read.has_number && read.number == 0.5;
  }
  bool wide = kind == FIAR_PRIM_ALL_REDUCE && mlirOperationGetNumOperands(op) > 0 &&
              fiarPrimitiveRead(roots->view, op).kind == FIAR_PRIM_ALL_REDUCE;
  if (wide) {  // a tensor or, of MPI, a buffer
    MlirType type = mlirValueGetType(mlirOperationGetOperand(op, 0));
    wide = fiarShapeRead(type, &shape)
               ? shape.elem == FIAR_ELEM_F32
               : mlirTypeIsAMemRef(type) && mlirTypeIsAF32(mlirShapedTypeGetElementType(type));
  }
  roots->unrounded |= fiarStringEqual(fiarAttributeText(fiarOpAttribute(op, "norm_input")), "f32");
  if (kind == FIAR_PRIM_SQRT || wide) {
    roots->coarsest = FIAR_ROOTS_POWERS;
  }
  return MlirWalkResultAdvance;
}

static void run_all(Check* check, MlirOperation before, MlirOperation after, int ranks) {
  Roots limit = {.view = &check->view, .coarsest = FIAR_ROOTS_TWO_BITS};
  mlirOperationWalk(before, limit_roots, &limit, MlirWalkPreOrder);
  mlirOperationWalk(after, limit_roots, &limit, MlirWalkPreOrder);
  if (limit.power && limit.half) {
    limit.coarsest = FIAR_ROOTS_POWERS;
  }
  for (int64_t seed = 0; seed < check->options->seeds; ++seed) {
    for (FiarCheckData data = 0; data < sizeof data_names / sizeof *data_names; ++data) {
      bool exact = data == FIAR_CHECK_INTEGER || !limit.unrounded;
      FiarRoots last = exact ? limit.coarsest : FIAR_ROOTS_POWERS;
      for (FiarRoots roots = FIAR_ROOTS_TRUE; roots <= last; ++roots) {
        FiarEvalOptions run = {.ranks = ranks,
                               .data = data,
                               .roots = roots,
                               .world = check->options->world,
                               .products = check->options->products,
                               .seed = (uint64_t)(check->options->first_seed + seed)};
        if (!run_once(check, before, after, &run) || check->differences > 0) {
          return;
        }
      }
    }
  }
}

static const char nothing_checked[] =
    "nothing was checked: no collective says which ranks, up to 64, it has; the option `world` says "
    "it for groups that have names";

MlirLogicalResult fiarCheck(MlirOperation module, const FiarCheckOptions* options) {
  FiarCheckOptions known = {.struct_size = sizeof known};
  if (!fiarOptionsTake(module, "FiarCheckOptions", options, &known)) {
    return mlirLogicalResultFailure();
  }
  Check check = {.options = &known};
  int ranks = fiarEvaluationRanks(module, known.world);
  if (ranks == 0 && known.products) {
    ranks = 1;
  }
  if (known.seeds < 1 || known.world < 0) {
    complain(&check, mlirOperationGetLocation(module),
             known.seeds < 1 ? "seeds is below 1: nothing would be checked" : "world is below 0");
    return mlirLogicalResultFailure();
  }
  if (ranks < 1 || ranks > MAX_RANKS) {
    if (known.message != NULL) {
      known.message(FIAR_MESSAGE_MISSED, mlirOperationGetLocation(module),
                    mlirStringRefCreateFromCString(nothing_checked), known.message_data);
    }
    return mlirLogicalResultSuccess();
  }
  int64_t id = 0;
  mlirOperationWalk(module, set_id, &id, MlirWalkPreOrder);
  MlirOperation after = mlirOperationClone(module);
  if (!fiarViewInit(&check.view, module)) {
    complain(&check, mlirOperationGetLocation(module), "out of memory");
  } else if (mlirLogicalResultIsFailure(known.rewrite(after, known.rewrite_data))) {
    complain(&check, mlirOperationGetLocation(module), "the rewrite failed");
  } else if (!mlirOperationVerify(after)) {
    complain(&check, mlirOperationGetLocation(module), "what the rewrite made is not valid");
  } else {
    run_all(&check, module, after, ranks);
  }
  fiarEvaluationFree(&check.old);
  fiarEvaluationFree(&check.new);
  fiarViewClear(&check.view);
  mlirOperationDestroy(after);
  mlirOperationWalk(module, clear_id, NULL, MlirWalkPreOrder);
  return check.differences == 0 ? mlirLogicalResultSuccess() : mlirLogicalResultFailure();
}
