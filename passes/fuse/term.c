// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Terms: their storage, those of values from outside, and the reasons that sequences end for.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/fuse.h"

enum { TERMS_A_CHUNK = 256 };

// ---- storage ----

const FiarTerm* fiarTermAt(const FiarFusion* fusion, uint32_t index) {
  return &fusion->term_chunks[index / TERMS_A_CHUNK][index % TERMS_A_CHUNK];
}

// Gives UINT32_MAX, and fails the fusion, when out of memory.
uint32_t fiarTermAdd(FiarFusion* fusion, const FiarTerm* term) {
  if (fusion->n_terms == fusion->n_chunks * TERMS_A_CHUNK) {
    FiarTerm** chunks = realloc(fusion->term_chunks, (fusion->n_chunks + 1) * sizeof *chunks);
    FiarTerm* chunk = chunks == NULL ? NULL : malloc(TERMS_A_CHUNK * sizeof *chunk);
    fusion->term_chunks = chunks == NULL ? fusion->term_chunks : chunks;
    if (chunk == NULL) {
      fusion->failed = true;
      return UINT32_MAX;
    }
    fusion->term_chunks[fusion->n_chunks++] = chunk;
  }
  fusion->term_chunks[fusion->n_terms / TERMS_A_CHUNK][fusion->n_terms % TERMS_A_CHUNK] = *term;
  return (uint32_t)fusion->n_terms++;
}

uint32_t fiarTermDefine(FiarFusion* fusion, MlirValue value, const FiarTerm* term) {
  uint32_t index = fiarTermAdd(fusion, term);
  if (index != UINT32_MAX && !fiarMapSet(&fusion->terms, value.ptr, 0, index)) {
    fusion->failed = true;
  }
  return index;
}

void fiarEvalClear(FiarFusion* fusion) {
  for (size_t i = 0; i < fusion->n_chunks; ++i) {
    free(fusion->term_chunks[i]);
  }
  free(fusion->term_chunks);
  free(fusion->frames);
  fiarPiecesClear(fusion);
  fiarMapClear(&fusion->terms);
}

// ---- terms from outside ----

FiarTerm fiarTermOutside(MlirValue value, uint32_t frame) {
  FiarTerm term = {.role = FIAR_ROLE_OUTSIDE, .facts = {.anchor = -1}};
  FiarShape shape;
  if (!fiarShapeRead(mlirValueGetType(value), &shape)) {
    return term;
  }
  term.layout = fiarLayoutOfBase(&shape);
  if (frame == 0) {
    term.value = term.narrow = term.base = term.vec = value;
  }
  term.base_elem = term.vec_elem = shape.elem;
  return term;
}

bool fiarTermBroadcast(const FiarShape* shape, FiarTerm* term) {
  int rank = term->layout.shape.rank;
  int64_t dims[FIAR_MAX_RANK];
  if (rank > shape->rank) {
    return false;
  }
  for (int i = 0; i < rank; ++i) {
    dims[i] = shape->rank - rank + i;
  }
  FiarLayout in = term->layout;
  FiarShape to = *shape;
  to.elem = in.shape.elem;
  return fiarLayoutBroadcast(&in, dims, rank, &to, &term->layout);
}

// An operand that its op itself broadcasts is no value of that shape.
static bool is_broadcast(const FiarTerm* term) {
  FiarShape shape;
  if (!fiarIsValue(term->value) || !fiarShapeRead(mlirValueGetType(term->value), &shape)) {
    return false;
  }
  return !fiarSameSizes(&shape, &term->layout.shape);
}

FiarTerm fiarTermForeign(const FiarTerm* term) {
  FiarTerm outside = {.role = FIAR_ROLE_OUTSIDE, .facts = {.anchor = -1}};
  outside.layout = fiarLayoutOfBase(&term->layout.shape);
  const bool broadcast = is_broadcast(term);
  for (int i = 0; broadcast && i < term->layout.shape.rank; ++i) {
    outside.layout.label[i] = FIAR_LABEL_SAME;
  }
  outside.value = term->value;
  outside.narrow = outside.base = outside.vec = term->narrow;
  outside.base_elem = outside.vec_elem = term->layout.shape.elem;
  FiarShape shape;
  if (fiarIsValue(term->narrow) && fiarShapeRead(mlirValueGetType(term->narrow), &shape)) {
    outside.base_elem = outside.vec_elem = shape.elem;
  }
  return outside;
}

// ---- reasons ----

// How much a reason says: that a value also leaves the block says least of why nothing was found.
// That the stream of residuals goes on, or is tested, says little more, and a call less than the op
// in it.
typedef enum grade { LEAVES_BLOCK, GOES_ON, VAGUE, PRECISE } grade_t;

// Not yet what a fused op could give.
static bool is_unrounded_norm(const FiarTerm* term) {
  return (term->role == FIAR_ROLE_NORMED || term->role == FIAR_ROLE_NORM) && !term->rounded;
}

// The sum, or its magnitude, which is no step nearer to a norm.
static bool is_hidden(const FiarTerm* term) {
  return term->role == FIAR_ROLE_HIDDEN || term->role == FIAR_ROLE_HIDDEN_ABS;
}

static void refuse(FiarFusion* fusion, const FiarTerm* term, MlirOperation op, grade_t grade,
                   const char* text, va_list arguments) {
  if (!fiarIsChain(term) || term->facts.anchor < 0) {
    return;
  }
  FiarAnchor* anchor = &fusion->anchors[term->facts.anchor];
  // That a norm is not rounded is no quantiser's affair, but what a rule of quantisers says of one
  // is.
  bool of_quant = term->role >= FIAR_ROLE_NORMED && (grade == PRECISE || !is_unrounded_norm(term));
  FiarReason* reason = of_quant ? &anchor->quant_reason : &anchor->reason;
  int role = is_hidden(term) ? FIAR_ROLE_HIDDEN : (int)term->role;
  int rank = role * 8 + (fiarIsValue(term->facts.residual) ? 4 : 0) + (int)grade;
  uint32_t position = fiarPosition(fusion, op);
  if (rank < reason->rank || (rank == reason->rank && position >= reason->position)) {
    return;
  }
  reason->rank = rank;
  reason->position = position;
  reason->location = mlirOperationGetLocation(op);
  vsnprintf(reason->text, sizeof reason->text, text, arguments);
}

void fiarRefuse(FiarFusion* fusion, const FiarTerm* term, MlirOperation op, const char* text, ...) {
  va_list arguments;
  va_start(arguments, text);
  refuse(fusion, term, op, PRECISE, text, arguments);
  va_end(arguments);
  if (is_unrounded_norm(term)) {
    fiarLeaveFor(fusion, term, op, NULL);
  }
}

bool fiarReasonIsPrecise(const FiarReason* reason) {
  return reason->rank > 0 && reason->rank % (PRECISE + 1) == PRECISE;
}

void fiarLeaveNorm(FiarFusion* fusion, const FiarTerm* term, const char* text) {
  FiarAnchor* anchor = &fusion->anchors[term->facts.anchor];
  const int rank = (int)term->role * 8;
  if (rank >= anchor->reason.rank) {
    anchor->reason.rank = rank;
    anchor->reason.location = anchor->location;
    snprintf(anchor->reason.text, sizeof anchor->reason.text, "%s", text);
  }
}

static const char* role_text(FiarRole role) {
  static const char* const texts[] = {
#define X(name, text) text,
      FIAR_ROLE_TABLE(X)
#undef X
  };
  return texts[role];
}

static bool is_test(FiarFusion* fusion, MlirOperation op) {
  FiarPrimitiveKind kind = fiarPrimitiveRead(&fusion->view, op).kind;
  return kind >= FIAR_PRIM_EQUAL && kind <= FIAR_PRIM_LESS_EQUAL;
}

static void refuse_vaguely(FiarFusion* fusion, const FiarTerm* term, MlirOperation op,
                           const char* text, ...) {
  va_list arguments;
  va_start(arguments, text);
  bool last = mlirOperationIsNull(mlirOperationGetNextInBlock(op));
  FiarPrimitiveKind kind = fiarPrimitiveKind(&fusion->view, op);
  bool hidden = is_hidden(term);
  bool goes_on = (hidden && (kind == FIAR_PRIM_ADD || is_test(fusion, op))) ||
                 kind == FIAR_PRIM_CALL || kind == FIAR_PRIM_LOOPS;
  refuse(fusion, term, op, last ? LEAVES_BLOCK : goes_on ? GOES_ON : VAGUE, text, arguments);
  va_end(arguments);
}

static bool ends_in(MlirStringRef text, const char* end) {
  size_t length = strlen(end);
  return text.length > length && memcmp(text.data + text.length - length, end, length) == 0;
}

static bool rounds(MlirStringRef op) {
  static const char* const names[] = {".round_nearest_even", ".round_nearest_afz", ".roundeven",
                                      ".round"};
  bool found = false;
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    found = found || ends_in(op, names[i]);
  }
  return found;
}

// Whether only a quantiser has such a value. A norm times a number is what many a model goes on
// with; one that is clamped to the codes' range, or rounded, is not.
static bool is_of_quantiser(const FiarTerm* term, MlirStringRef op) {
  if (term->role == FIAR_ROLE_SCALED) {
    return term->facts.quant != FIAR_QUANT_FP8_STATIC || (term->clamped && term->number == 448) ||
           rounds(op);
  }
  return term->role >= FIAR_ROLE_AMAX && term->role != FIAR_ROLE_CODES;
}

static void leave_quantiser(FiarFusion* fusion, const FiarTerm* term, MlirOperation op,
                            MlirStringRef name) {
  bool scale = term->role == FIAR_ROLE_STEP || term->role == FIAR_ROLE_AMAX;
  bool last = mlirOperationIsNull(mlirOperationGetNextInBlock(op));
  if (term->role == FIAR_ROLE_CHANGED && rounds(name)) {
    fiarRefuseChanged(fusion, term);
  } else if (scale && (ends_in(name, ".log") || ends_in(name, ".log2"))) {
    fiarRefuse(fusion, term, op,
               "the scale is rounded to a power of two by way of %.*s, which is not exact there",
               (int)name.length, name.data);
  } else if (!last && is_of_quantiser(term, name)) {
    refuse_vaguely(fusion, term, op, "no known quantiser follows: %s goes into %.*s",
                   role_text(term->role), (int)name.length, name.data);
  }
}

// What to say of where the sum goes, beside its name.
static const char* advice_on(MlirStringRef op) {
  static const struct {
    const char *op, *advice;
  } table[] = {
      {"sdy.return", ": a norm fuses with it only inside the same manual computation (shard_map)"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; ++i) {
    if (fiarStringEqual(op, table[i].op)) {
      return table[i].advice;
    }
  }
  return "";
}

void fiarLeaveFor(FiarFusion* fusion, const FiarTerm* term, MlirOperation op, const char* place) {
  MlirStringRef name = place == NULL ? fiarOpName(op) : mlirStringRefCreateFromCString(place);
  if (is_unrounded_norm(term)) {
    const char* elem = fiarElementText(fusion->anchors[term->facts.anchor].elem);
    bool last = mlirOperationIsNull(mlirOperationGetNextInBlock(op));
    refuse_vaguely(
        fusion, term, op,
        last ? "the norm stays in f32: it is not rounded to %s, as the all-reduce is"
             : "the norm is not rounded to %s, as the all-reduce is, before it goes into %.*s",
        elem, (int)name.length, name.data);
    return;
  }
  if (term->role >= FIAR_ROLE_NORMED) {
    leave_quantiser(fusion, term, op, name);
    return;
  }
  bool with_residual = fiarIsValue(term->facts.residual) && term->role == FIAR_ROLE_HIDDEN;
  refuse_vaguely(fusion, term, op, "no RMSNorm follows: %s%s goes into %.*s%s",
                 role_text(term->role), with_residual ? " (with the residual)" : "",
                 (int)name.length, name.data, advice_on(name));
}

bool fiarTermMayGainRows(const FiarTerm* in) {
  const FiarShape* shape = &in->layout.shape;
  const bool whole = !fiarIsChain(in) || fiarLayoutIsFull(&in->layout);
  for (int i = 0; i < shape->rank && whole; ++i) {
    if (shape->size[i] < 0) {
      return true;
    }
  }
  return false;
}
