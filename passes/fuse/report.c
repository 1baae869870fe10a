// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/fuse.h"
#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/Diagnostics.h"

#define NO_ALL_REDUCE                                                                           \
  "0 all_reduce found; the module still carries sharding annotations: run fiar-opt after SPMD " \
  "partitioning, or use shard_map"
#define SCATTERED \
  "0 all_reduce found, but sums that are scattered by rows: no norm of the rows follows"

// What there is to say of a module without all-reduces, or NULL.
static const char* note_of(const FiarFusion* fusion) {
  return fusion->n_anchors > 0 ? NULL
         : fusion->scatters    ? SCATTERED
         : fusion->sharded     ? NO_ALL_REDUCE
                               : NULL;
}

void fiarSayNothing(FiarMessageKind kind, MlirLocation location, MlirStringRef text, void* data) {
  (void)kind;
  (void)location;
  (void)text;
  (void)data;
}

void fiarMessage(const FiarFusion* fusion, FiarMessageKind kind, MlirLocation location,
                 const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (fusion->options->message != NULL) {
    fusion->options->message(kind, location, mlirStringRefCreateFromCString(text),
                             fusion->options->message_data);
  } else if (kind == FIAR_MESSAGE_ERROR) {
    mlirEmitError(location, text);
  }
}

// ---- shardings ----

static bool text_contains(MlirStringRef text, const char* word) {
  size_t length = strlen(word);
  for (size_t i = 0; i + length <= text.length; ++i) {
    if (memcmp(text.data + i, word, length) == 0) {
      return true;
    }
  }
  return false;
}

// mhlo.sharding "{devices=..}" and sdy.sharding with a quoted axis split something; "{replicated}",
// "{manual}", "{maximal device=0}" and lists without an axis do not.
static bool splits(MlirAttribute mhlo, MlirAttribute sdy) {
  return text_contains(fiarAttributeText(mhlo), "devices=") ||
         text_contains(fiarAttributeText(sdy), "{\"");
}

static bool dictionaries_split(MlirAttribute list) {
  if (mlirAttributeIsNull(list) || !mlirAttributeIsAArray(list)) {
    return false;
  }
  for (intptr_t i = 0; i < mlirArrayAttrGetNumElements(list); ++i) {
    MlirAttribute one = mlirArrayAttrGetElement(list, i);
    if (mlirAttributeIsADictionary(one) &&
        splits(mlirDictionaryAttrGetElementByName(one,
                                                  mlirStringRefCreateFromCString("mhlo.sharding")),
               mlirDictionaryAttrGetElementByName(
                   one, mlirStringRefCreateFromCString("sdy.sharding")))) {
      return true;
    }
  }
  return false;
}

static bool op_splits(MlirOperation op) {
  MlirAttribute none = mlirAttributeGetNull();
  bool constraint = fiarStringEqual(fiarOpName(op), "sdy.sharding_constraint");
  return splits(fiarOpAttribute(op, "mhlo.sharding"), fiarOpAttribute(op, "sdy.sharding")) ||
         (constraint && splits(none, fiarOpAttribute(op, "sharding"))) ||
         dictionaries_split(fiarOpAttribute(op, "arg_attrs")) ||
         dictionaries_split(fiarOpAttribute(op, "res_attrs"));
}

static MlirWalkResult visit(MlirOperation op, void* found) {
  *(bool*)found = op_splits(op);
  return *(bool*)found ? MlirWalkResultInterrupt : MlirWalkResultAdvance;
}

bool fiarHasShardings(MlirOperation module) {
  bool found = false;
  double partitions;
  if (fiarReadNumber(fiarOpAttribute(module, "mhlo.num_partitions"), &partitions) &&
      partitions == 1) {
    return false;
  }
  mlirOperationWalk(module, visit, &found, MlirWalkPreOrder);
  return found;
}

// ---- text ----

enum { FORM_SIZE = 96 };

static const char* quant_text(fiar_quant_t quant) {
  static const char* const texts[] = {
#define X(name, value, text, code_bits, block) [value] = text,
#include "fiar/quant_formats.def"
#undef X
  };
  return texts[quant];
}

// residual + RMSNorm(1 + w) + fp8_static
static void form_text(const FiarAnchor* anchor, char* out_text) {
  const FiarFacts* facts = &anchor->facts;
  char bias[32] = "";
  if (facts->weight_bias != 0) {
    snprintf(bias, sizeof bias, "(%g + w)", facts->weight_bias);
  }
  snprintf(out_text, FORM_SIZE, "%sRMSNorm%s%s%s%s",
           fiarIsValue(facts->residual) ? "residual + " : "",
           fiarIsValue(facts->weight) ? bias : " without weight",
           facts->quant == FIAR_QUANT_NONE ? "" : " + ",
           facts->quant == FIAR_QUANT_NONE ? "" : quant_text(facts->quant),
           anchor->scatters ? ", by rows" : "");
}

static void results_text(const FiarAnchor* anchor, const char* quote, const char* between,
                         char* out_text, size_t size) {
  static const char* const names[] = {"sum", "residual", "norm", "quant", "scales"};
  size_t length = 0;
  out_text[0] = '\0';
  for (int i = 0; i < 5; ++i) {
    if (anchor->wanted & 1u << i) {
      int n = snprintf(out_text + length, size - length, "%s%s%s%s", length == 0 ? "" : between,
                       quote, names[i], quote);
      length += n > 0 ? (size_t)n : 0;
    }
  }
}

static void text_rows(const FiarFusion* fusion) {
  int wide_location = 0, wide_form = 0;
  for (size_t i = 0; i < fusion->n_anchors; ++i) {
    char location[FIAR_LOCATION_SIZE], form[FORM_SIZE];
    fiarLocationText(fusion->anchors[i].location, location);
    form_text(&fusion->anchors[i], form);
    int n = (int)strlen(location), m = fusion->anchors[i].fused ? (int)strlen(form) : 0;
    wide_location = n > wide_location ? n : wide_location;
    wide_form = m > wide_form ? m : wide_form;
  }
  for (size_t i = 0; i < fusion->n_anchors; ++i) {
    const FiarAnchor* anchor = &fusion->anchors[i];
    char location[FIAR_LOCATION_SIZE], form[FORM_SIZE], results[64], why[FIAR_LOCATION_SIZE];
    fiarLocationText(anchor->location, location);
    if (anchor->fused) {
      form_text(anchor, form);
      results_text(anchor, "", ", ", results, sizeof results);
      fiarWrite(&fusion->writer, "  %-*s  fused  %-*s  world %" PRId64 "  eps %g  -> %s\n",
                wide_location, location, wide_form, form, anchor->world, anchor->facts.eps,
                results);
      if (anchor->facts.quant == FIAR_QUANT_NONE && anchor->quant_reason.rank > 0) {
        fiarLocationText(anchor->quant_reason.location, why);
        fiarWrite(&fusion->writer, "  %-*s         without its quantiser (%s): %s\n", wide_location,
                  "", why, anchor->quant_reason.text);
      }
    } else {
      fiarLocationText(anchor->reason.location, why);
      fiarWrite(&fusion->writer, "  %-*s  left   %s%s%s%s\n", wide_location, location,
                anchor->reason.text, strcmp(why, location) == 0 ? "" : " (",
                strcmp(why, location) == 0 ? "" : why, strcmp(why, location) == 0 ? "" : ")");
    }
  }
}

// ---- JSON ----

static void json_reason(const FiarFusion* fusion, const char* key, const FiarReason* reason) {
  char location[FIAR_LOCATION_SIZE];
  fiarLocationText(reason->location, location);
  fiarWrite(&fusion->writer, ", \"%s\": ", key);
  fiarWriteJsonString(&fusion->writer, reason->text);
  fiarWrite(&fusion->writer, ", \"%s_at\": ", key);
  fiarWriteJsonString(&fusion->writer, location);
}

static void json_rows(const FiarFusion* fusion) {
  for (size_t i = 0; i < fusion->n_anchors; ++i) {
    const FiarAnchor* anchor = &fusion->anchors[i];
    const FiarFacts* facts = &anchor->facts;
    char location[FIAR_LOCATION_SIZE], results[80];
    fiarLocationText(anchor->location, location);
    fiarWrite(&fusion->writer, "%s\n    {\"location\": ", i == 0 ? "" : ",");
    fiarWriteJsonString(&fusion->writer, location);
    fiarWrite(&fusion->writer, ", \"fused\": %s, \"world\": %" PRId64,
              anchor->fused ? "true" : "false", anchor->world);
    if (!anchor->fused) {
      json_reason(fusion, "reason", &anchor->reason);
    } else {
      results_text(anchor, "\"", ", ", results, sizeof results);
      fiarWrite(
          &fusion->writer,
          ", \"residual\": %s, \"weight\": %s, \"weight_bias\": %g, \"eps\": %.9g, \"quant\": "
          "\"%s\", \"results\": [%s], \"residual_layout\": \"%s\"",
          fiarIsValue(facts->residual) ? "true" : "false",
          fiarIsValue(facts->weight) ? "true" : "false", facts->weight_bias, facts->eps,
          quant_text(facts->quant), results, fiarResidualLayoutText(anchor));
      if (facts->quant == FIAR_QUANT_NONE && anchor->quant_reason.rank > 0) {
        json_reason(fusion, "quant_left", &anchor->quant_reason);
      }
    }
    fiarWrite(&fusion->writer, "}");
  }
}

// ---- counts ----

// How often each reason occurs, in the order in which they are met.
static void refusal_counts(const FiarFusion* fusion,
                           void (*row)(const FiarFusion*, const char*, int, bool)) {
  bool first = true;
  for (size_t i = 0; i < fusion->n_anchors; ++i) {
    const FiarAnchor* anchor = &fusion->anchors[i];
    int count = 0;
    bool earlier = false;
    for (size_t k = 0; k < fusion->n_anchors && !anchor->fused; ++k) {
      const FiarAnchor* other = &fusion->anchors[k];
      bool same = !other->fused && strcmp(other->reason.text, anchor->reason.text) == 0;
      count += same;
      earlier |= same && k < i;
    }
    if (count > 0 && !earlier) {
      row(fusion, anchor->reason.text, count, first);
      first = false;
    }
  }
}

static void refusal_text(const FiarFusion* fusion, const char* reason, int count, bool first) {
  (void)first;
  fiarWrite(&fusion->writer, "  left %d: %s\n", count, reason);
}

static void refusal_json(const FiarFusion* fusion, const char* reason, int count, bool first) {
  fiarWrite(&fusion->writer, "%s\n    {\"count\": %d, \"reason\": ", first ? "" : ",", count);
  fiarWriteJsonString(&fusion->writer, reason);
  fiarWrite(&fusion->writer, "}");
}

static void report_text(const FiarFusion* fusion, const FiarFuseCounts* counts) {
  fiarWrite(&fusion->writer,
            "fiar-fuse: %" PRId64 " all-reduce%s seen, %" PRId64 " fused, %" PRId64 " left\n",
            counts->seen, counts->seen == 1 ? "" : "s", counts->fused, counts->refused);
  text_rows(fusion);
  if (counts->refused > 1) {
    refusal_counts(fusion, refusal_text);
  }
  if (note_of(fusion) != NULL) {
    fiarWrite(&fusion->writer, "  %s\n", note_of(fusion));
  }
}

static void report_json(const FiarFusion* fusion, const FiarFuseCounts* counts) {
  fiarWrite(&fusion->writer,
            "{\"pass\": \"fiar-fuse\", \"seen\": %" PRId64 ", \"fused\": %" PRId64
            ", \"refused\": %" PRId64 ",\n  \"all_reduces\": [",
            counts->seen, counts->fused, counts->refused);
  json_rows(fusion);
  fiarWrite(&fusion->writer, "],\n  \"refusals\": [");
  refusal_counts(fusion, refusal_json);
  fiarWrite(&fusion->writer, "]");
  if (note_of(fusion) != NULL) {
    fiarWrite(&fusion->writer, ",\n  \"note\": ");
    fiarWriteJsonString(&fusion->writer, note_of(fusion));
  }
  fiarWrite(&fusion->writer, "}\n");
}

static void send_messages(const FiarFusion* fusion) {
  for (size_t i = 0; i < fusion->n_anchors; ++i) {
    const FiarAnchor* anchor = &fusion->anchors[i];
    char form[FORM_SIZE];
    if (!anchor->fused) {
      fiarMessage(fusion, FIAR_MESSAGE_MISSED, anchor->location, "all-reduce left: %s",
                  anchor->reason.text);
      continue;
    }
    form_text(anchor, form);
    fiarMessage(fusion, FIAR_MESSAGE_REMARK, anchor->location,
                "all-reduce over %" PRId64 " ranks fused with %s", anchor->world, form);
    if (anchor->facts.quant == FIAR_QUANT_NONE && anchor->quant_reason.rank > 0) {
      fiarMessage(fusion, FIAR_MESSAGE_MISSED, anchor->location, "quantiser left: %s",
                  anchor->quant_reason.text);
    }
  }
  if (note_of(fusion) != NULL) {
    fiarMessage(fusion, FIAR_MESSAGE_MISSED, mlirOperationGetLocation(fusion->view.module), "%s",
                note_of(fusion));
  }
}

void fiarReport(FiarFusion* fusion, FiarFuseCounts* out_counts) {
  fusion->writer = (FiarWriter){fusion->options->report_to, fusion->options->report_data};
  *out_counts = (FiarFuseCounts){.seen = (int64_t)fusion->n_anchors};
  for (size_t i = 0; i < fusion->n_anchors; ++i) {
    out_counts->fused += fusion->anchors[i].fused;
  }
  out_counts->refused = out_counts->seen - out_counts->fused;
  send_messages(fusion);
  if (fusion->options->report == FIAR_REPORT_TEXT) {
    report_text(fusion, out_counts);
  } else if (fusion->options->report == FIAR_REPORT_JSON) {
    report_json(fusion, out_counts);
  }
}
