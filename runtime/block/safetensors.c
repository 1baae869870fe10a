// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "block/safetensors.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fiar/types.h"

enum { LENGTH_BYTES = 8, MAX_HEADER = 100 << 20 };

static const struct {
  const char* name;
  int bits;
  uint8_t element;
} types[] = {
    {"F16", 16, FIAR_ELEMENT_F16},
    {"BF16", 16, FIAR_ELEMENT_BF16},
    {"F32", 32, FIAR_ELEMENT_F32},
    {"F8_E4M3", 8, FIAR_ELEMENT_E4M3},
    {"F8_E5M2", 8, FIAR_ELEMENT_E5M2},
    {"F4", 4, FIAR_ELEMENT_E2M1},
    {"U8", 8, FIAR_ELEMENT_BYTE},
    {"I8", 8, FIAR_ELEMENT_BYTE},
    {"F8_E8M0", 8, FIAR_ELEMENT_BYTE},
    {"BOOL", 8, FIAR_ELEMENT_BYTE},
    {"I16", 16, 0},
    {"U16", 16, 0},
    {"I32", 32, 0},
    {"U32", 32, 0},
    {"F64", 64, 0},
    {"I64", 64, 0},
    {"U64", 64, 0},
    {"F6_E2M3", 6, 0},
    {"F6_E3M2", 6, 0},
};

// ---- JSON: one token after another, never past `end`. A function says whether it found its token.

typedef struct cursor {
  const char *at, *end;
  char* pool;  // where strings go, without escapes; as long as the header, which they cannot fill
} cursor_t;

// The next byte; 0 at the end.
static char look(const cursor_t* in) {
  if (in->at < in->end) {
    return *in->at;
  }
  return 0;
}

static void skip_space(cursor_t* in) {
  while (look(in) && strchr(" \t\r\n", look(in))) {
    ++in->at;
  }
}

static bool take(cursor_t* in, char wanted) {
  skip_space(in);
  if (in->at >= in->end || *in->at != wanted) {
    return false;
  }
  ++in->at;
  return true;
}

static bool hex_four(cursor_t* in, uint32_t* out) {
  *out = 0;
  for (int i = 0; i < 4; ++i, ++in->at) {
    static const char digits[] = "0123456789abcdefABCDEF";
    const char c = look(in);
    const char* digit = c ? strchr(digits, c) : NULL;
    if (!digit) {
      return false;
    }
    const uint32_t place = (uint32_t)(digit - digits);
    *out = *out * 16 + (place < 16 ? place : place - 6);
  }
  return true;
}

static void put_utf8(cursor_t* in, uint32_t code) {
  static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  const int bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  if (bytes == 1) {
    *in->pool++ = (char)code;
    return;
  }
  for (int i = 0; i < bytes; ++i) {
    const uint32_t six = code >> 6 * (bytes - 1 - i);
    const unsigned char byte = (unsigned char)(i == 0 ? lead[bytes] | six : 0x80u | (six & 0x3Fu));
    memcpy(in->pool++, &byte, 1);
  }
}

// What follows a backslash.
static bool take_escape(cursor_t* in) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  const char c = look(in);
  in->at += c != 0;
  const char* simple = c ? strchr(from, c) : NULL;
  if (simple) {
    *in->pool++ = to[simple - from];
    return true;
  }
  uint32_t code, low;
  if (c != 'u' || !hex_four(in, &code) || code == 0) {
    return false;
  }
  if (code >= 0xD800 && code < 0xE000) {  // half of a pair
    if (code >= 0xDC00 || in->end - in->at < 6 || in->at[0] != '\\' || in->at[1] != 'u') {
      return false;
    }
    in->at += 2;
    if (!hex_four(in, &low) || low < 0xDC00 || low >= 0xE000) {
      return false;
    }
    code = 0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00);
  }
  put_utf8(in, code);
  return true;
}

static bool take_string(cursor_t* in, const char** out) {
  *out = in->pool;
  if (!take(in, '"')) {
    return false;
  }
  while (in->at < in->end && *in->at != '"') {
    const char c = *in->at++;
    if ((unsigned char)c < 0x20 || (c == '\\' && !take_escape(in))) {
      return false;
    }
    if (c != '\\') {
      *in->pool++ = c;
    }
  }
  *in->pool++ = 0;  // in the place of the quotes
  return take(in, '"');
}

static bool take_whole(cursor_t* in, uint64_t* out) {
  *out = 0;
  skip_space(in);
  const char* from = in->at;
  for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; ++in->at) {
    if (*out > (INT64_MAX - 9) / 10) {
      return false;
    }
    *out = *out * 10 + (uint64_t)(*in->at - '0');
  }
  return in->at > from;
}

// At most `most` numbers; *out_count says how many.
static bool take_list(cursor_t* in, uint64_t* out, int most, int* out_count) {
  *out_count = 0;
  if (!take(in, '[')) {
    return false;
  }
  if (take(in, ']')) {
    return true;
  }
  do {
    if (*out_count == most || !take_whole(in, &out[(*out_count)++])) {
      return false;
    }
  } while (take(in, ','));
  return take(in, ']');
}

// ---- Tensors ----

static fiar_status_t fail_at(const cursor_t* in, const char* start, const char* name) {
  return FIAR_FAIL(INVALID_ARGUMENT, "%s%s%sits header is not what it should be at byte %zu",
                   *name ? "tensor \"" : "", name, *name ? "\": " : "",
                   (size_t)(in->at - start) + LENGTH_BYTES);
}

// {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, in any order.
static bool take_tensor(cursor_t* in, fiar_tensor_entry_t* entry, uint64_t offsets[2]) {
  static const char* const keys[] = {"dtype", "shape", "data_offsets"};
  unsigned seen = 0;
  if (!take(in, '{')) {
    return false;
  }
  do {
    const char* key;
    int count = 0;
    uint64_t sizes[FIAR_TENSOR_MAX_RANK];
    if (!take_string(in, &key) || !take(in, ':')) {
      return false;
    }
    unsigned which = 0;
    while (which < FIAR_ARRAY_LENGTH(keys) && strcmp(key, keys[which]) != 0) {
      ++which;
    }
    const bool good = which == 0   ? take_string(in, &entry->type)
                      : which == 1 ? take_list(in, sizes, FIAR_TENSOR_MAX_RANK, &count)
                      : which == 2 ? take_list(in, offsets, 2, &count) && count == 2
                                   : false;
    if (!good || (seen >> which & 1u) != 0) {
      return false;
    }
    seen |= 1u << which;
    if (which == 1) {
      entry->rank = count;
      for (int i = 0; i < count; ++i) {
        entry->shape[i] = (int64_t)sizes[i];
      }
    }
  } while (take(in, ','));
  return take(in, '}') && seen == 7;
}

static fiar_status_t check_tensor(fiar_tensor_entry_t* entry, const uint64_t offsets[2],
                                  const unsigned char* data, uint64_t room) {
  for (size_t i = 0; i < FIAR_ARRAY_LENGTH(types); ++i) {
    if (strcmp(types[i].name, entry->type) == 0) {
      entry->bits = types[i].bits;
      entry->element = types[i].element;
    }
  }
  if (entry->bits == 0) {
    return FIAR_FAIL(INVALID_ARGUMENT, "tensor \"%s\": its dtype is \"%s\", which is not known",
                     entry->name, entry->type);
  }
  if (offsets[0] > offsets[1] || offsets[1] > room) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "tensor \"%s\": its data_offsets are [%llu, %llu], of %llu bytes of data",
                     entry->name, (unsigned long long)offsets[0], (unsigned long long)offsets[1],
                     (unsigned long long)room);
  }
  entry->data = data + offsets[0];
  entry->bytes = offsets[1] - offsets[0];
  uint64_t bits = (uint64_t)entry->bits;
  for (int i = 0; i < entry->rank; ++i) {
    if (__builtin_mul_overflow(bits, (uint64_t)entry->shape[i], &bits)) {
      bits = UINT64_MAX;
      break;
    }
  }
  return bits % 8 == 0 && bits / 8 == entry->bytes
             ? FIAR_OK
             : FIAR_FAIL(INVALID_ARGUMENT,
                         "tensor \"%s\": its data_offsets span %llu bytes, which its shape and "
                         "dtype do not",
                         entry->name, (unsigned long long)entry->bytes);
}

static bool skip_metadata(cursor_t* in) {
  const char* text;
  if (!take(in, '{')) {
    return false;
  }
  if (take(in, '}')) {
    return true;
  }
  do {
    if (!take_string(in, &text) || !take(in, ':') || !take_string(in, &text)) {
      return false;
    }
  } while (take(in, ','));
  return take(in, '}');
}

static fiar_status_t append(fiar_tensor_table_t* table, const fiar_tensor_entry_t* entry) {
  if ((table->count & (table->count - 1)) == 0) {  // full at every power of two
    const size_t room = table->count == 0 ? 1 : 2 * table->count;
    fiar_tensor_entry_t* entries = realloc(table->entries, room * sizeof *entries);
    if (!entries) {
      return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", room * sizeof *entries);
    }
    table->entries = entries;
  }
  table->entries[table->count++] = *entry;
  return FIAR_OK;
}

static fiar_status_t take_all(cursor_t* in, const unsigned char* data, uint64_t room,
                              fiar_tensor_table_t* table) {
  const char* start = in->at;
  if (!take(in, '{')) {
    return fail_at(in, start, "");
  }
  if (take(in, '}')) {
    return FIAR_OK;
  }
  do {
    fiar_tensor_entry_t entry = {0};
    uint64_t offsets[2] = {0, 0};
    if (!take_string(in, &entry.name) || !take(in, ':')) {
      return fail_at(in, start, "");
    }
    if (strcmp(entry.name, "__metadata__") == 0) {
      if (!skip_metadata(in)) {
        return fail_at(in, start, entry.name);
      }
      continue;
    }
    if (!take_tensor(in, &entry, offsets)) {
      return fail_at(in, start, entry.name);
    }
    FIAR_TRY(check_tensor(&entry, offsets, data, room));
    FIAR_TRY(append(table, &entry));
  } while (take(in, ','));
  return take(in, '}') ? FIAR_OK : fail_at(in, start, "");
}

static int by_name(const void* a, const void* b) {
  return strcmp(((const fiar_tensor_entry_t*)a)->name, ((const fiar_tensor_entry_t*)b)->name);
}

static fiar_status_t sort_by_name(fiar_tensor_table_t* table) {
  if (table->count > 1) {
    qsort(table->entries, table->count, sizeof *table->entries, by_name);
  }
  for (size_t i = 1; i < table->count; ++i) {
    if (by_name(&table->entries[i - 1], &table->entries[i]) == 0) {
      return FIAR_FAIL(INVALID_ARGUMENT, "tensor \"%s\" is there twice", table->entries[i].name);
    }
  }
  return FIAR_OK;
}

fiar_status_t fiar_safetensors_parse(const unsigned char* file, size_t bytes,
                                     fiar_tensor_table_t* out_table) {
  *out_table = (fiar_tensor_table_t){0};
  uint64_t length = 0;
  for (size_t i = 0; i < LENGTH_BYTES && i < bytes; ++i) {
    length |= (uint64_t)file[i] << 8 * i;
  }
  if (bytes < LENGTH_BYTES || length > MAX_HEADER || length > bytes - LENGTH_BYTES) {
    return FIAR_FAIL(INVALID_ARGUMENT,
                     "it is no safetensors file: a header of %llu bytes in a file of %zu",
                     (unsigned long long)length, bytes);
  }
  out_table->names = malloc((size_t)length + 1);
  if (!out_table->names) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%llu bytes of host memory", (unsigned long long)length);
  }
  const char* start = (const char*)file + LENGTH_BYTES;
  cursor_t in = {start, start + length, out_table->names};
  FIAR_TRY(take_all(&in, file + LENGTH_BYTES + length, bytes - LENGTH_BYTES - length, out_table));
  skip_space(&in);
  return in.at == in.end ? sort_by_name(out_table) : fail_at(&in, start, "");
}

void fiar_safetensors_free(fiar_tensor_table_t* table) {
  free(table->entries);
  free(table->names);
  *table = (fiar_tensor_table_t){0};
}

const fiar_tensor_entry_t* fiar_safetensors_find(const fiar_tensor_table_t* table,
                                                 const char* name) {
  const fiar_tensor_entry_t wanted = {.name = name};
  return table->count == 0 ? NULL
                           : bsearch(&wanted, table->entries, table->count, sizeof wanted, by_name);
}
