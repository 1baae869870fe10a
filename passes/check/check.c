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

// The runs of one version of a module: as it is, and with what is open taken the other way, where
// the first run met something open.
typedef struct Runs {
  FiarEvaluation plain, instead;
  bool both;
} Runs;

typedef struct Check {
  const FiarCheckOptions* options;
  FiarView view;  // of the module as it was
  Runs old, new;
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

// An operand's elements on all ranks, and what they are with what is open taken the other way
// (NULL: the same).
typedef struct Elements {
  const double *at, *instead;
  double* made;  // owned: those of a tensor that nothing has looked at
} Elements;

static Elements elements_of(const FiarEvalOptions* run, const Runs* runs, size_t index) {
  const FiarTensor* tensor = &runs->plain.list[index].tensor;
  Elements elements = {.at = tensor->at};
  if (tensor->at != NULL) {
    elements.instead = runs->both ? runs->instead.list[index].tensor.at : NULL;
    return elements;
  }
  elements.made = malloc((size_t)(run->ranks * tensor->count) * sizeof *elements.made + 1);
  if (elements.made != NULL) {
    fiarInvent(run, tensor, elements.made);
  }
  elements.at = elements.made;
  return elements;
}

// Whether the values of one element agree. A value of the source that depends on what is open may
// become anything; one of the rewrite may be either.
static bool agree(const FiarEvalOptions* run, const FiarTensor* tensor, const Elements* before,
                  const Elements* after, int64_t i) {
  const double was = before->at[i];
  return close_enough(run, tensor, was, after->at[i]) ||
         (before->instead != NULL && !same_number(was, before->instead[i])) ||
         (after->instead != NULL && close_enough(run, tensor, was, after->instead[i]));
}

static void compare_elements(Check* check, const FiarEvalOptions* run, const FiarObservation* seen,
                             const FiarTensor* tensor, const Elements* before,
                             const Elements* after) {
  for (int64_t i = 0; i < run->ranks * tensor->count; ++i) {
    if (agree(run, tensor, before, after, i)) {
      continue;
    }
    char text[320];
    MlirStringRef name = fiarOpName(seen->op);
    (void)snprintf(text, sizeof text,
                   "operand %d of %.*s differs after the rewrite: rank %d, element %" PRId64
                   ": %.9g became %.9g (%s data, %s roots, seed %" PRIu64 ")",
                   seen->operand, (int)name.length, name.data, (int)(i / tensor->count),
                   i % tensor->count, before->at[i], after->at[i], data_names[run->data],
                   root_names[run->roots], run->seed);
    complain(check, mlirOperationGetLocation(seen->op), text);
    return;
  }
}

// Of the operand that stands at these places among what was seen. False: out of memory.
static bool compare_tensors(Check* check, const FiarEvalOptions* run, size_t old, size_t new) {
  const FiarObservation* seen = &check->old.plain.list[old];
  const FiarTensor *a = &seen->tensor, *b = &check->new.plain.list[new].tensor;
  if (a->shape.elem != b->shape.elem || !fiarSameSizes(&a->shape, &b->shape)) {
    complain(check, mlirOperationGetLocation(seen->op), "an operand changed its type");
    return true;
  }
  if (a->at == NULL && b->at == NULL && a->key == b->key && a->replicated == b->replicated) {
    return true;
  }
  Elements before = elements_of(run, &check->old, old);
  Elements after = elements_of(run, &check->new, new);
  const bool made = before.at != NULL && after.at != NULL;
  if (made) {
    compare_elements(check, run, seen, b, &before, &after);
  }
  free(before.made);
  free(after.made);
  return made;
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
static bool compare(Check* check, const FiarEvalOptions* run) {
  const FiarEvaluation *before = &check->old.plain, *after = &check->new.plain;
  Places places = {{0}, {0}};
  FiarMap met = {0};
  bool done = index_observations(after, &places);
  for (size_t i = 0; done && i < before->count; ++i) {
    const FiarObservation* seen = &before->list[i];
    uint32_t place = next_place(&met, seen);
    const uint32_t* at = fiarMapFind(&places.at, key_of(seen->id), place);
    done = place != 0;
    if (at != NULL) {
      done = done && compare_tensors(check, run, i, *at);
    } else if (!fiarPrimitivePure(&check->view, seen->op)) {
      complain(check, mlirOperationGetLocation(seen->op), "the rewrite lost this op");
    }
  }
  fiarMapClear(&met);
  fiarMapClear(&places.met);
  fiarMapClear(&places.at);
  return done;
}

// Runs the module, and where that meets what may be `open` (a mask of FiarOpen) once more.
static bool run_both(MlirOperation module, const FiarEvalOptions* run, unsigned open, Runs* runs) {
  FiarEvalOptions instead = *run;
  instead.instead = open;
  if (!fiarEvaluate(module, run, &runs->plain)) {
    return false;
  }
  runs->both = (runs->plain.open & open) != 0;
  return !runs->both || (fiarEvaluate(module, &instead, &runs->instead) &&
                         runs->instead.count == runs->plain.count);
}

static bool run_once(Check* check, MlirOperation before, MlirOperation after,
                     const FiarEvalOptions* run) {
  if (run_both(before, run, FIAR_OPEN_CODES, &check->old) &&
      run_both(after, run, FIAR_OPEN_SCALES, &check->new)) {
    return compare(check, run);
  }
  char text[320];
  const char* reason = "";
  const FiarEvaluation* const all[] = {&check->old.plain, &check->old.instead, &check->new.plain,
                                       &check->new.instead};
  for (size_t i = 0; i < sizeof all / sizeof *all && reason[0] == '\0'; ++i) {
    reason = all[i]->error;
  }
  (void)snprintf(text, sizeof text, "fiar-check cannot run the module: %s", reason);
  complain(check, mlirOperationGetLocation(before), text);
  return false;
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

static void runs_free(Runs* runs) {
  fiarEvaluationFree(&runs->plain);
  fiarEvaluationFree(&runs->instead);
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
  runs_free(&check.old);
  runs_free(&check.new);
  fiarViewClear(&check.view);
  mlirOperationDestroy(after);
  mlirOperationWalk(module, clear_id, NULL, MlirWalkPreOrder);
  return check.differences == 0 ? mlirLogicalResultSuccess() : mlirLogicalResultFailure();
}
