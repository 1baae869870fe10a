// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The end of the rewrites: dead ops go, and with them private functions that nothing else refers
// to.
#include <stdlib.h>
#include <string.h>

#include "fuse/fuse.h"
#include "mlir-c/BuiltinAttributes.h"

// Ops outside the tables that may be searched for symbols by printing them; beyond, functions stay.
enum { MAX_PRINTED = 512, MAX_ROUNDS = 16 };

typedef struct references {
  FiarFusion* fusion;
  MlirOperation* functions;  // candidates; null once something refers to them
  size_t n_functions;
  size_t n_left;
  int printed;
} references_t;

static void keep_named(references_t* refs, MlirAttribute reference) {
  MlirOperation callee = fiarViewSymbol(&refs->fusion->view, reference);
  for (size_t i = 0; i < refs->n_functions && !mlirOperationIsNull(callee); ++i) {
    if (!mlirOperationIsNull(refs->functions[i]) &&
        mlirOperationEqual(refs->functions[i], callee)) {
      refs->functions[i] = (MlirOperation){NULL};
      --refs->n_left;
    }
  }
}

typedef struct text {
  char* data;
  size_t length, capacity;
} text_t;

static void text_append(MlirStringRef part, void* data) {
  text_t* text = data;
  if (text->length + part.length + 1 > text->capacity) {
    size_t capacity = (text->length + part.length + 1) * 2;
    char* larger = realloc(text->data, capacity);
    if (larger == NULL) {
      return;
    }
    text->data = larger;
    text->capacity = capacity;
  }
  memcpy(text->data + text->length, part.data, part.length);
  text->length += part.length;
  text->data[text->length] = '\0';
}

// Nothing in the C API lists an unregistered op's properties, so its text is searched for @name.
static void keep_printed(references_t* refs, MlirOperation op) {
  text_t text = {0};
  MlirOpPrintingFlags flags = mlirOpPrintingFlagsCreate();
  mlirOpPrintingFlagsElideLargeElementsAttrs(flags, 16);
  mlirOpPrintingFlagsPrintGenericOpForm(flags);
  mlirOpPrintingFlagsSkipRegions(flags);
  mlirOpPrintingFlagsUseLocalScope(flags);
  mlirOperationPrintWithFlags(op, flags, text_append, &text);
  mlirOpPrintingFlagsDestroy(flags);
  for (size_t i = 0; i < refs->n_functions && text.data != NULL; ++i) {
    if (mlirOperationIsNull(refs->functions[i])) {
      continue;
    }
    MlirStringRef name = fiarAttributeText(fiarOpAttribute(refs->functions[i], "sym_name"));
    for (const char* at = strchr(text.data, '@'); at != NULL; at = strchr(at + 1, '@')) {
      // A longer name that begins alike keeps the function, too: that is only careful.
      if (strncmp(at + 1 + (at[1] == '"'), name.data, name.length) == 0) {
        refs->functions[i] = (MlirOperation){NULL};
        --refs->n_left;
        break;
      }
    }
  }
  free(text.data);
}

static void keep_referenced(references_t* refs, MlirOperation op) {
  switch (fiarPrimitiveKind(&refs->fusion->view, op)) {
    case FIAR_PRIM_CALL:
      keep_named(refs, fiarOpAttribute(op, "callee"));
      keep_named(refs, fiarOpAttribute(op, "decomposition"));
      break;
    case FIAR_PRIM_UNKNOWN:
      if (!fiarStringEqual(fiarOpName(op), "func.func") && ++refs->printed <= MAX_PRINTED) {
        keep_printed(refs, op);
      }
      break;
    case FIAR_PRIM_PURE:
    case FIAR_PRIM_START:
    case FIAR_PRIM_ALL_REDUCE:
      if (!mlirAttributeIsNull(fiarOpAttribute(op, "called_computations")) ||
          !mlirAttributeIsNull(fiarOpAttribute(op, "called_computation"))) {
        keep_printed(refs, op);
      }
      break;
    default:
      break;
  }
  for (MlirRegion region = mlirOperationGetFirstRegion(op); !mlirRegionIsNull(region);
       region = mlirRegionGetNextInOperation(region)) {
    for (MlirBlock block = mlirRegionGetFirstBlock(region); !mlirBlockIsNull(block);
         block = mlirBlockGetNextInRegion(block)) {
      for (MlirOperation inner = mlirBlockGetFirstOperation(block);
           !mlirOperationIsNull(inner) && refs->n_left > 0;
           inner = mlirOperationGetNextInBlock(inner)) {
        keep_referenced(refs, inner);
      }
    }
  }
}

static bool is_private(MlirOperation function) {
  return fiarStringEqual(fiarAttributeText(fiarOpAttribute(function, "sym_visibility")), "private");
}

static bool has_candidate(const references_t* refs, MlirOperation function) {
  for (size_t i = 0; i < refs->n_functions; ++i) {
    if (mlirOperationEqual(refs->functions[i], function)) {
      return true;
    }
  }
  return false;
}

static bool candidate_add(references_t* refs, MlirOperation function) {
  if (has_candidate(refs, function)) {
    return true;
  }
  MlirOperation* functions = realloc(refs->functions, (refs->n_functions + 1) * sizeof *functions);
  if (functions == NULL) {
    return false;
  }
  refs->functions = functions;
  refs->functions[refs->n_functions++] = function;
  refs->n_left = refs->n_functions;
  return true;
}

// The private functions that `op`, or what its regions hold, calls, but for those of `going`.
static void collect_callees(references_t* refs, MlirOperation op, const references_t* going) {
  FiarPrimitive primitive = fiarPrimitiveRead(&refs->fusion->view, op);
  if (primitive.kind == FIAR_PRIM_CALL && !mlirOperationIsNull(primitive.callee) &&
      !has_candidate(going, primitive.callee) && is_private(primitive.callee)) {
    (void)candidate_add(refs, primitive.callee);
  }
  for (MlirRegion region = mlirOperationGetFirstRegion(op); !mlirRegionIsNull(region);
       region = mlirRegionGetNextInOperation(region)) {
    for (MlirBlock block = mlirRegionGetFirstBlock(region); !mlirBlockIsNull(block);
         block = mlirBlockGetNextInRegion(block)) {
      for (MlirOperation inner = mlirBlockGetFirstOperation(block); !mlirOperationIsNull(inner);
           inner = mlirOperationGetNextInBlock(inner)) {
        collect_callees(refs, inner, going);
      }
    }
  }
}

// Erases those candidates that nothing refers to any more; what they called are the next
// candidates.
static void erase_unreferenced(references_t* refs) {
  FiarFusion* fusion = refs->fusion;
  for (int round = 0; round < MAX_ROUNDS && refs->n_functions > 0; ++round) {
    references_t next = {.fusion = fusion, .printed = refs->printed};
    keep_referenced(refs, fusion->view.module);
    bool searched_all = refs->printed <= MAX_PRINTED;
    for (size_t i = 0; i < refs->n_functions && searched_all; ++i) {
      if (!mlirOperationIsNull(refs->functions[i])) {
        collect_callees(&next, refs->functions[i], refs);
      }
    }
    for (size_t i = 0; i < refs->n_functions && searched_all; ++i) {
      if (!mlirOperationIsNull(refs->functions[i])) {
        fiarViewForget(&fusion->view, refs->functions[i]);
        mlirOperationDestroy(refs->functions[i]);
      }
    }
    free(refs->functions);
    *refs = next;
  }
}

typedef struct dead_op {
  MlirOperation op;
  uint32_t position;
} dead_op_t;

static int later_first(const void* a, const void* b) {
  uint32_t x = ((const dead_op_t*)a)->position, y = ((const dead_op_t*)b)->position;
  return x > y ? -1 : x < y;
}

static bool is_used(MlirOperation op) {
  bool used = false;
  for (intptr_t i = 0; i < mlirOperationGetNumResults(op) && !used; ++i) {
    used = !mlirOpOperandIsNull(mlirValueGetFirstUse(mlirOperationGetResult(op, i)));
  }
  return used;
}

// Users stand behind what they use, so the last goes first. But for what the regions of
// unregistered ops may hold: what a user before it holds on to waits for the next round, and
// circles stay.
static bool erase_dead(FiarFusion* fusion) {
  dead_op_t* ops = malloc((fusion->n_dead + 1) * sizeof *ops);
  if (ops == NULL) {
    return false;
  }
  for (size_t i = 0; i < fusion->n_dead; ++i) {
    ops[i] = (dead_op_t){fusion->dead_ops[i], fiarPosition(fusion, fusion->dead_ops[i])};
  }
  qsort(ops, fusion->n_dead, sizeof *ops, later_first);
  for (size_t left = fusion->n_dead, before = left + 1; left < before;) {
    before = left;
    left = 0;
    for (size_t i = 0; i < before; ++i) {
      if (is_used(ops[i].op)) {
        ops[left++] = ops[i];
      } else {
        mlirOperationDestroy(ops[i].op);
      }
    }
  }
  free(ops);
  return true;
}

void fiarRewriteFinish(FiarFusion* fusion) {
  references_t refs = {.fusion = fusion};
  for (size_t i = 0; i < fusion->n_dead; ++i) {
    FiarPrimitiveKind kind = fiarPrimitiveKind(&fusion->view, fusion->dead_ops[i]);
    if (kind != FIAR_PRIM_CALL && kind != FIAR_PRIM_START && kind != FIAR_PRIM_ALL_REDUCE) {
      continue;  // nothing that such a row's reader could make a call
    }
    FiarPrimitive primitive = fiarPrimitiveRead(&fusion->view, fusion->dead_ops[i]);
    bool calls = primitive.kind == FIAR_PRIM_CALL || primitive.kind == FIAR_PRIM_START;
    if (calls && !mlirOperationIsNull(primitive.callee) && is_private(primitive.callee)) {
      (void)candidate_add(&refs, primitive.callee);
    }
  }
  fusion->failed |= !erase_dead(fusion);
  fusion->n_dead = 0;
  fiarSplitVariadic(fusion, &fusion->dead);
  if (refs.n_functions > 0) {
    erase_unreferenced(&refs);
  }
  free(refs.functions);
}

void fiarEraseUnreferenced(FiarView* view, const MlirOperation* functions, size_t n) {
  FiarFusion fusion = {.view = *view};
  references_t refs = {.fusion = &fusion};
  for (size_t i = 0; i < n; ++i) {
    (void)candidate_add(&refs, functions[i]);
  }
  erase_unreferenced(&refs);
  free(refs.functions);
  *view = fusion.view;
}

void fiarRewriteClear(FiarFusion* fusion) {
  fiarMapClear(&fusion->positions);
  fiarMapClear(&fusion->kept);
  fiarMapClear(&fusion->started);
  fiarMapClear(&fusion->dead);
  fiarMapClear(&fusion->replaced);
  free(fusion->dead_ops);
  free(fusion->replacements);
  free(fusion->attributes);
}
