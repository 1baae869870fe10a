// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What fiar-raise-block made, and what it left, op by op.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/raise.h"

typedef struct report {
  FiarRaising* raising;
  FiarWriter writer;
  FiarRaiseCounts counts;
  int64_t made[FIAR_BLOCK_OPS + 1];
  int wide;  // of the locations
  bool measures, first;
} report_t;

static bool is_terminator(MlirOperation op) {
  return mlirOperationIsNull(mlirOperationGetNextInBlock(op));
}

// Why the op stays as it is; NULL where it needs no other form.
static const char* reason_of(const report_t* report, MlirOperation op, char* text, size_t size) {
  FiarRaising* raising = report->raising;
  FiarPrimitive p = fiarPrimitiveRead(&raising->fusion.view, op);
  if (fiarBlockOpOf(op) != FIAR_BLOCK_OPS || is_terminator(op) || p.kind == FIAR_PRIM_IDENTITY ||
      p.kind == FIAR_PRIM_RESHAPE || p.kind == FIAR_PRIM_CONSTANT || fiarBlockIsWrapper(op)) {
    return NULL;
  }
  const char* reason = fiarRaiseReason(raising, op);
  if (reason != NULL) {
    return reason;
  }
  static const struct {
    FiarPrimitiveKind kind;
    const char* text;
  } kinds[] = {
      {FIAR_PRIM_ADD, "a sum that is no part of a norm"},
      {FIAR_PRIM_MUL,
       "a product, elementwise, that is no part of a scale, a norm or an activation"},
      {FIAR_PRIM_BATCH_MUL, "a product with batching dimensions"},
      {FIAR_PRIM_REDUCE_ADD, "a sum over a dimension that is no part of a norm"},
      {FIAR_PRIM_REDUCE_MAX, "a maximum over a dimension that is no part of a quantiser"},
      {FIAR_PRIM_CALL, "a call that cannot be looked into"},
      {FIAR_PRIM_UNKNOWN, "an op that no table knows"},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    if (kinds[i].kind == p.kind) {
      return kinds[i].text;
    }
  }
  MlirStringRef name = fiarOpName(op);
  bool dot = name.length > 12 && memcmp(name.data + name.length - 12, ".dot_general", 12) == 0;
  (void)snprintf(text, size,
                 dot ? "a product with batching dimensions or several contracted ones"
                     : "no fiar op computes this");
  return text;
}

static void row(report_t* report, MlirOperation op, const char* reason) {
  char location[FIAR_LOCATION_SIZE];
  fiarLocationText(mlirOperationGetLocation(op), location);
  int length = (int)strlen(location);
  if (report->measures) {
    report->wide = length > report->wide ? length : report->wide;
    ++report->counts.left;
    return;
  }
  MlirStringRef name = fiarOpName(op);
  const FiarRaiseOptions* options = report->raising->options;
  if (options->message != NULL) {
    char text[FIAR_RAISE_REASON + 96];
    (void)snprintf(text, sizeof text, "%.*s left: %s", (int)name.length, name.data, reason);
    options->message(FIAR_MESSAGE_MISSED, mlirOperationGetLocation(op),
                     mlirStringRefCreateFromCString(text), options->message_data);
  }
  if (options->report == FIAR_REPORT_TEXT) {
    fiarWrite(&report->writer, "  %-*s  left  %.*s: %s\n", report->wide, location, (int)name.length,
              name.data, reason);
  } else if (options->report == FIAR_REPORT_JSON) {
    char name_text[96];
    (void)snprintf(name_text, sizeof name_text, "%.*s", (int)name.length, name.data);
    fiarWrite(&report->writer, "%s\n    {\"location\": ", report->first ? "" : ",");
    fiarWriteJsonString(&report->writer, location);
    fiarWrite(&report->writer, ", \"op\": ");
    fiarWriteJsonString(&report->writer, name_text);
    fiarWrite(&report->writer, ", \"reason\": ");
    fiarWriteJsonString(&report->writer, reason);
    fiarWrite(&report->writer, "}");
  }
  report->first = false;
}

static void visit(FiarRaising* raising, MlirOperation op, void* data) {
  (void)raising;
  report_t* report = data;
  char text[FIAR_RAISE_REASON];
  if (report->measures) {
    ++report->made[fiarBlockOpOf(op)];
  }
  const char* reason = reason_of(report, op, text, sizeof text);
  if (reason != NULL) {
    row(report, op, reason);
  }
}

static void walk(report_t* report, bool measures) {
  report->measures = measures;
  report->first = true;
  fiarRaiseEach(report->raising, visit, report);
}

static void write_counts(const report_t* report, const char* format, const char* between) {
  bool first = true;
  for (int i = 0; i < FIAR_BLOCK_OPS; ++i) {
    if (report->made[i] > 0) {
      fiarWrite(&report->writer, "%s", first ? "" : between);
      fiarWrite(&report->writer, format, fiarBlockOpName((FiarBlockOp)i) + strlen("fiar."),
                report->made[i]);
      first = false;
    }
  }
}

void fiarRaiseReport(FiarRaising* raising, FiarRaiseCounts* out_counts) {
  const FiarRaiseOptions* options = raising->options;
  report_t report = {.raising = raising, .writer = {options->report_to, options->report_data}};
  walk(&report, true);
  for (int i = 0; i < FIAR_BLOCK_OPS; ++i) {
    report.counts.fiar_ops += report.made[i];
  }
  *out_counts = report.counts;
  if (options->report == FIAR_REPORT_TEXT) {
    fiarWrite(&report.writer, "fiar-raise-block: %" PRId64 " fiar ops", report.counts.fiar_ops);
    if (report.counts.fiar_ops > 0) {
      fiarWrite(&report.writer, " (");
      write_counts(&report, "%s %" PRId64, ", ");
      fiarWrite(&report.writer, ")");
    }
    fiarWrite(&report.writer, ", %" PRId64 " ops left\n", report.counts.left);
  } else if (options->report == FIAR_REPORT_JSON) {
    fiarWrite(&report.writer,
              "{\"pass\": \"fiar-raise-block\", \"fiar_ops\": %" PRId64 ", \"left\": %" PRId64
              ",\n  \"made\": {",
              report.counts.fiar_ops, report.counts.left);
    write_counts(&report, "\"%s\": %" PRId64, ", ");
    fiarWrite(&report.writer, "},\n  \"ops_left\": [");
  }
  walk(&report, false);
  if (options->report == FIAR_REPORT_JSON) {
    fiarWrite(&report.writer, "]}\n");
  }
}
