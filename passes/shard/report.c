// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shard/shard.h"

static int64_t rows_of(const FiarShardSite* site) {
  return (site->tokens + site->world - 1) / site->world;
}

static void message(const FiarSharding* sharding, const FiarShardSite* site) {
  if (sharding->options->message == NULL || site->before) {
    return;
  }
  char text[224];
  if (site->sharded) {
    (void)snprintf(text, sizeof text,
                   "residual sharded: %" PRId64 " of %" PRId64 " rows on each of %" PRId64 " ranks",
                   rows_of(site), site->tokens, site->world);
  } else {
    (void)snprintf(text, sizeof text, "residual left whole: %s", site->reason);
  }
  sharding->options->message(site->sharded ? FIAR_MESSAGE_REMARK : FIAR_MESSAGE_MISSED,
                             mlirOperationGetLocation(site->op),
                             mlirStringRefCreateFromCString(text), sharding->options->message_data);
}

static void text_report(const FiarSharding* sharding) {
  const FiarShardCounts* counts = &sharding->counts;
  fiarWrite(&sharding->writer,
            "fiar-shard-residual: %" PRId64 " fused calls seen, %" PRId64 " sharded, %" PRId64
            " left; %" PRId64 " fiar.take_rows, %" PRId64 " fiar.all_gather_rows\n",
            counts->seen, counts->sharded, counts->left, counts->takes, counts->gathers);
  int wide = 0;
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    char location[FIAR_LOCATION_SIZE];
    fiarLocationText(mlirOperationGetLocation(sharding->sites[i].op), location);
    int length = (int)strlen(location);
    wide = length > wide ? length : wide;
  }
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    const FiarShardSite* site = &sharding->sites[i];
    char location[FIAR_LOCATION_SIZE];
    fiarLocationText(mlirOperationGetLocation(site->op), location);
    if (site->sharded) {
      fiarWrite(&sharding->writer,
                "  %-*s  sharded  %" PRId64 " of %" PRId64 " rows on each of %" PRId64 " ranks\n",
                wide, location, rows_of(site), site->tokens, site->world);
    } else {
      fiarWrite(&sharding->writer, "  %-*s  left     %s\n", wide, location, site->reason);
    }
  }
}

static void json_report(const FiarSharding* sharding) {
  const FiarShardCounts* counts = &sharding->counts;
  const FiarWriter* writer = &sharding->writer;
  fiarWrite(writer,
            "{\"pass\": \"fiar-shard-residual\", \"seen\": %" PRId64 ", \"sharded\": %" PRId64
            ", \"left\": %" PRId64 ", \"take_rows\": %" PRId64 ", \"all_gather_rows\": %" PRId64
            ",\n  \"calls\": [",
            counts->seen, counts->sharded, counts->left, counts->takes, counts->gathers);
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    const FiarShardSite* site = &sharding->sites[i];
    char location[FIAR_LOCATION_SIZE];
    fiarLocationText(mlirOperationGetLocation(site->op), location);
    fiarWrite(writer, "%s\n    {\"location\": ", i == 0 ? "" : ",");
    fiarWriteJsonString(writer, location);
    fiarWrite(writer, ", \"sharded\": %s, \"world\": %" PRId64, site->sharded ? "true" : "false",
              site->world);
    if (site->sharded) {
      fiarWrite(writer, ", \"tokens\": %" PRId64 ", \"rows\": %" PRId64 "}", site->tokens,
                rows_of(site));
    } else {
      fiarWrite(writer, ", \"reason\": ");
      fiarWriteJsonString(writer, site->reason);
      fiarWrite(writer, "}");
    }
  }
  fiarWrite(writer, "]}\n");
}

void fiarShardReport(FiarSharding* sharding) {
  FiarShardCounts* counts = &sharding->counts;
  // The loops stand behind the fused ops, and are told with them.
  while (sharding->n_sites > 0 && sharding->sites[sharding->n_sites - 1].is_loop) {
    --sharding->n_sites;
  }
  counts->seen = (int64_t)sharding->n_sites;
  for (size_t i = 0; i < sharding->n_sites; ++i) {
    counts->sharded += sharding->sites[i].sharded;
    counts->left += !sharding->sites[i].sharded && !sharding->sites[i].before;
    message(sharding, &sharding->sites[i]);
  }
  if (sharding->options->report == FIAR_REPORT_TEXT) {
    text_report(sharding);
  } else if (sharding->options->report == FIAR_REPORT_JSON) {
    json_report(sharding);
  }
}
