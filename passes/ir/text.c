// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ir/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fiarWrite(const FiarWriter* writer, const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length < 0) {
    return;
  }
  size_t size = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
  if (writer->to != NULL) {
    writer->to(mlirStringRefCreate(text, size), writer->data);
  } else {
    fwrite(text, 1, size, stderr);
  }
}

void fiarWriteJsonString(const FiarWriter* writer, const char* text) {
  fiarWrite(writer, "\"");
  for (; *text != '\0'; ++text) {
    if (*text == '"' || *text == '\\') {
      fiarWrite(writer, "\\%c", *text);
    } else if ((unsigned char)*text < 0x20) {
      fiarWrite(writer, "\\u%04x", (unsigned char)*text);
    } else {
      fiarWrite(writer, "%c", *text);
    }
  }
  fiarWrite(writer, "\"");
}

typedef struct buffer {
  char* data;
  size_t size, length;
} buffer_t;

static void buffer_append(MlirStringRef part, void* data) {
  buffer_t* buffer = data;
  size_t room = buffer->size - 1 - buffer->length;
  size_t length = part.length < room ? part.length : room;
  memcpy(buffer->data + buffer->length, part.data, length);
  buffer->length += length;
  buffer->data[buffer->length] = '\0';
}

void fiarLocationText(MlirLocation location, char* out_text) {
  buffer_t buffer = {out_text, FIAR_LOCATION_SIZE, 0};
  out_text[0] = '\0';
  for (int depth = 0; depth < 8; ++depth) {
    if (mlirLocationIsAName(location)) {
      MlirLocation child = mlirLocationNameGetChildLoc(location);
      if (mlirLocationEqual(child, mlirLocationUnknownGet(mlirLocationGetContext(location)))) {
        buffer_append(mlirIdentifierStr(mlirLocationNameGetName(location)), &buffer);
        return;
      }
      location = child;
    } else if (mlirLocationIsACallSite(location)) {
      location = mlirLocationCallSiteGetCallee(location);
    } else if (mlirLocationIsAFused(location) && mlirLocationFusedGetNumLocations(location) > 0) {
      unsigned n = mlirLocationFusedGetNumLocations(location);
      MlirLocation* all = malloc(n * sizeof *all);
      if (all == NULL) {
        break;
      }
      mlirLocationFusedGetLocations(location, all);
      location = all[0];
      free(all);
    } else {
      break;
    }
  }
  if (mlirLocationIsAFileLineColRange(location)) {
    MlirStringRef name = mlirIdentifierStr(mlirLocationFileLineColRangeGetFilename(location));
    const char* base = name.data;
    for (size_t i = 0; i < name.length; ++i) {
      base = name.data[i] == '/' ? name.data + i + 1 : base;
    }
    snprintf(out_text, FIAR_LOCATION_SIZE, "%.*s:%d:%d",
             (int)(name.length - (size_t)(base - name.data)), base,
             mlirLocationFileLineColRangeGetStartLine(location),
             mlirLocationFileLineColRangeGetStartColumn(location));
  } else {
    mlirLocationPrint(location, buffer_append, &buffer);
  }
}
