// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Weights from safetensors files: what is read, whose part it is, and that no bytes make it read
// anything else.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/safetensors.h"
#include "ranks.h"

enum { ROOM = 4096, ROWS = 6, COLS = 4 };

static char path[64];

// A file of a header and `bytes` of data, 0, 1, 2 and so on.
static size_t compose(const char* header, size_t bytes, unsigned char file[ROOM]) {
  const size_t length = strlen(header);
  memset(file, 0, 8);
  file[0] = (unsigned char)length;
  file[1] = (unsigned char)(length >> 8);
  for (size_t i = 0; i < length; ++i) {
    file[8 + i] = (unsigned char)header[i];
  }
  for (size_t i = 0; i < bytes; ++i) {
    file[8 + length + i] = (unsigned char)i;
  }
  return 8 + length + bytes;
}

static void write_file(const unsigned char* file, size_t bytes) {
  (void)snprintf(path, sizeof path, "weights_test_%ld.safetensors", (long)getpid());
  FILE* out = fopen(path, "wb");
  assert_non_null(out);
  assert_int_equal(fwrite(file, 1, bytes, out), bytes);
  assert_int_equal(fclose(out), 0);
}

// w is [6, 4] bytes 0 to 23, s a scalar, p packed codes.
static const char good[] =
    "{\"__metadata__\": {\"format\": \"pt\"}, "
    "\"w\":{\"dtype\":\"U8\",\"shape\":[6,4],\"data_offsets\":[0,24]},"
    "\"block.s \\u00e9\" : { \"shape\" : [ ] , \"data_offsets\" : [ 24 , 28 ] , \"dtype\" : \"F32\" },"
    "\"p\":{\"dtype\":\"U8\",\"shape\":[2,2],\"data_offsets\":[28,32]},"
    "\"wide\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[32,40]},"
    "\"none\":{\"dtype\":\"F8_E4M3\",\"shape\":[0,4],\"data_offsets\":[40,40]}}  ";

static int write_good(void** state) {
  (void)state;
  unsigned char file[ROOM];
  write_file(file, compose(good, 40, file));
  return 0;
}

static int remove_file(void** state) {
  (void)state;
  return unlink(path);
}

static fiar_weight_params want(const char* name, uint8_t dtype, int32_t rank,
                               const int64_t* shape) {
  return (fiar_weight_params){.struct_size = sizeof(fiar_weight_params),
                              .name = name,
                              .shape = shape,
                              .rank = rank,
                              .shard_dim = -1,
                              .dtype = dtype};
}

// ---- On three ranks, threads ----

static int each_rank_gets_its_part(const ranks_self_t* self) {
  fiar_weights_t* weights = NULL;
  RANKS_OK(fiar_weights_open(self->argument, &weights));
  unsigned char part[ROWS * COLS];
  int64_t rows[] = {ROWS / self->world, COLS}, whole[] = {ROWS, COLS}, cols[] = {ROWS, 1};
  fiar_weight_params params = want("w", FIAR_ELEMENT_BYTE, 2, rows);
  params.shard_dim = 0;
  RANKS_OK(fiar_weights_load(self->comm, weights, &params, part));
  for (int i = 0; i < 2 * COLS; ++i) {
    RANKS_CHECK(part[i] == self->rank * 2 * COLS + i, "[%d] is %d", i, part[i]);
  }
  params.transposed = 1;
  RANKS_OK(fiar_weights_load(self->comm, weights, &params, part));
  for (int i = 0; i < 2 * COLS; ++i) {
    RANKS_CHECK(part[i] == (self->rank * 2 + i % 2) * COLS + i / 2, "[%d] is %d", i, part[i]);
  }
  params = want("w", FIAR_ELEMENT_BYTE, 2, whole);
  RANKS_OK(fiar_weights_load(self->comm, weights, &params, part));
  RANKS_CHECK(part[23] == 23, "the last is %d", part[23]);
  params.shape = cols;
  params.shard_dim = 1;  // 4 columns are no multiple of 3
  RANKS_CHECK(fiar_weights_load(self->comm, weights, &params, part) == FIAR_INVALID_ARGUMENT,
              "taken");
  RANKS_CHECK(strstr(fiar_last_error(), "its shape is [6, 4] of U8, wanted is [6, 3] of i8"), "%s",
              fiar_last_error());
  fiar_weights_close(weights);
  return 0;
}

static int columns_are_gathered(const ranks_self_t* self) {
  fiar_weights_t* weights = NULL;
  RANKS_OK(fiar_weights_open(self->argument, &weights));
  unsigned char part[ROWS * COLS / 2];
  int64_t cols[] = {ROWS, COLS / self->world};
  fiar_weight_params params = want("w", FIAR_ELEMENT_BYTE, 2, cols);
  params.shard_dim = 1;
  RANKS_OK(fiar_weights_load(self->comm, weights, &params, part));
  for (int i = 0; i < ROWS * 2; ++i) {
    RANKS_CHECK(part[i] == i / 2 * COLS + self->rank * 2 + i % 2, "[%d] is %d", i, part[i]);
  }
  fiar_weights_close(weights);
  return 0;
}

static void run_on(int32_t world, const char* body) {
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = FIAR_DEVICE_NONE;
  const ranks_run_t run = {
      .body = body, .argument = path, .world = world, .threads = 1, .options = &options};
  assert_int_equal(ranks_run(&run, NULL), 0);
}

static void ranks_get_their_parts(void** state) {
  (void)state;
  run_on(3, "each_rank_gets_its_part");
  run_on(2, "columns_are_gathered");
}

// ---- One rank ----

static void names_dtypes_and_shapes_are_checked(void** state) {
  (void)state;
  fiar_comm_options_t options = FIAR_COMM_OPTIONS_DEFAULT;
  options.device = FIAR_DEVICE_NONE;
  fiar_comm_t* comm = NULL;
  fiar_weights_t* weights = NULL;
  assert_int_equal(fiar_comm_create_threads(1, NULL, &options, &comm), FIAR_OK);
  assert_int_equal(fiar_weights_open(path, &weights), FIAR_OK);
  unsigned char to[64];
  const int64_t w[] = {6, 4}, flat[] = {24}, codes[] = {2, 4}, odd[] = {2, 3}, one[] = {1},
                none[] = {0, 4};
  const struct {
    fiar_weight_params params;
    const char* words;  // NULL: accepted
  } rows[] = {
      {want("block.s \xc3\xa9", FIAR_ELEMENT_F32, 0, NULL), NULL},
      {want("p", FIAR_ELEMENT_E2M1, 2, codes), NULL},
      {want("none", FIAR_ELEMENT_E4M3, 2, none), NULL},
      {want("v", FIAR_ELEMENT_F32, 2, w), "it has no tensor \"v\""},
      {want("w", FIAR_ELEMENT_F32, 2, w), "tensor \"w\": its dtype is U8, wanted is f32"},
      {want("w", FIAR_ELEMENT_BYTE, 1, flat), "its shape is [6, 4] of U8, wanted is [24] of i8"},
      {want("p", FIAR_ELEMENT_E2M1, 2, odd), "its shape is [2, 2] of U8, wanted is [2, 3]"},
      {want("wide", FIAR_ELEMENT_BYTE, 1, one), "its dtype is I64"},
      {want(NULL, FIAR_ELEMENT_BYTE, 1, one), "name is NULL"},
      {want("w", FIAR_ELEMENT_BYTE, 9, w), "rank is 9, must be 0 to 8"},
      {want("w", FIAR_ELEMENT_BYTE, 2, NULL), "shape is NULL, with rank 2"},
      {want("w", 4, 2, w), "dtype is 4"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    const fiar_status_t status = fiar_weights_load(comm, weights, &rows[i].params, to);
    if ((status == FIAR_OK) != (rows[i].words == NULL) ||
        (rows[i].words && !strstr(fiar_last_error(), rows[i].words))) {
      fail_msg("row %zu: %s", i, fiar_last_error());
    }
  }
  fiar_weight_params params = want("w", FIAR_ELEMENT_BYTE, 2, w);
  params.shard_dim = 2;
  assert_int_equal(fiar_weights_load(comm, weights, &params, to), FIAR_INVALID_ARGUMENT);
  assert_non_null(strstr(fiar_last_error(), "shard_dim is 2, must be -1 or below rank = 2"));
  params.shard_dim = -1;
  assert_int_equal(fiar_weights_load(comm, weights, &params, NULL), FIAR_INVALID_ARGUMENT);
  assert_int_equal(fiar_weights_load(comm, NULL, &params, to), FIAR_INVALID_ARGUMENT);
  fiar_weights_close(weights);
  fiar_weights_close(NULL);
  fiar_comm_destroy(comm);
}

static void files_that_are_none_are_named(void** state) {
  (void)state;
  fiar_weights_t* weights = NULL;
  assert_int_equal(fiar_weights_open("/nowhere/w.safetensors", &weights), FIAR_SYSTEM_ERROR);
  assert_non_null(strstr(fiar_last_error(), "/nowhere/w.safetensors: open: No such file"));
  assert_null(weights);
  assert_int_equal(fiar_weights_open("/", &weights), FIAR_INVALID_ARGUMENT);
  assert_non_null(strstr(fiar_last_error(), "no file"));
  assert_int_equal(fiar_weights_open(NULL, &weights), FIAR_INVALID_ARGUMENT);
}

static void wrong_headers_are_refused(void** state) {
  (void)state;
#define T(type, shape, from, to) \
  "\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]"
  static const struct {
    const char *header, *words;
  } rows[] = {
      {"{\"w\":{" T("U8", "[4]", 0, 5) "}}", "\"w\": its data_offsets span 5 bytes"},
      {"{\"w\":{" T("U8", "[9]", 0, 9) "}}", "\"w\": its data_offsets are [0, 9], of 8 bytes"},
      {"{\"w\":{" T("U8", "[0]", 5, 4) "}}", "are [5, 4]"},
      {"{\"w\":{" T("X9", "[4]", 0, 4) "}}", "\"w\": its dtype is \"X9\""},
      {"{\"w\":{" T("F32", "[4611686018427387904,4]", 0, 0) "}}", "span 0 bytes"},
      {"{\"w\":{" T("U8", "[1]", 0, 1) "},\"w\":{" T("U8", "[1]", 1, 2) "}}",
       "\"w\" is there twice"},
      {"{\"w\":{\"dtype\":\"U8\",\"shape\":[1]}}", "tensor \"w\": its header is not"},
      {"{\"w\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
       "tensor \"w\""},
      {"{\"w\":{" T("U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}}", "tensor \"w\": its header"},
      {"{\"w\":{" T("U8", "[-1]", 0, 1) "}}", "tensor \"w\": its header"},
      {"{\"w\":{" T("U8", "[1]", 0, 99999999999999999999) "}}", "tensor \"w\": its header"},
      {"{\"w\\u0000\":{" T("U8", "[1]", 0, 1) "}}", "its header is not what it should be at byte"},
      {"{\"w\\ud800x\":{" T("U8", "[1]", 0, 1) "}}", "at byte"},
      {"{\"w\":{" T("U8", "[1]", 0, 1) "}} x", "at byte"},
      {"{\"w\":{" T("U8", "[1]", 0, 1) "}", "at byte"},
      {"", "at byte"},
      {"[]", "at byte 8"},
  };
#undef T
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    unsigned char file[ROOM];
    const size_t bytes = compose(rows[i].header, 8, file);
    fiar_tensor_table_t table;
    const fiar_status_t status = fiar_safetensors_parse(file, bytes, &table);
    fiar_safetensors_free(&table);
    if (status != FIAR_INVALID_ARGUMENT || !strstr(fiar_last_error(), rows[i].words)) {
      fail_msg("%s gives %s", rows[i].header, status == FIAR_OK ? "OK" : fiar_last_error());
    }
  }
  const unsigned char no_file[] = {0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, '{', '}'};
  fiar_tensor_table_t table;
  assert_int_equal(fiar_safetensors_parse(no_file, 4, &table), FIAR_INVALID_ARGUMENT);
  fiar_safetensors_free(&table);
  assert_int_equal(fiar_safetensors_parse(no_file, 10, &table), FIAR_INVALID_ARGUMENT);
  assert_non_null(strstr(fiar_last_error(), "a header of 16777215 bytes in a file of 10"));
  fiar_safetensors_free(&table);
}

// Under AddressSanitizer this is what it is for: every file lies in memory of just its size.
static void any_bytes_are_judged(void** state) {
  (void)state;
  unsigned char whole[ROOM];
  const size_t bytes = compose(good, 40, whole);
  uint32_t random = 1;
  int taken = 0;
  for (int turn = 0; turn < 20000; ++turn) {
    random = random * 1664525u + 1013904223u;
    const size_t length = turn % 3 == 0 ? (random >> 8) % (bytes + 1) : bytes;
    unsigned char* file = malloc(length > 0 ? length : 1);
    assert_non_null(file);
    memcpy(file, whole, length);
    for (int change = 0; length > 0 && change < turn % 4; ++change) {
      random = random * 1664525u + 1013904223u;
      static const unsigned char likely[] = "{}[]\",:\\u09aF";
      const unsigned pick = random >> 9;
      file[(random >> 8) % length] = pick % 2 ? likely[pick / 2 % 13] : (unsigned char)(pick / 2);
    }
    fiar_tensor_table_t table;
    if (fiar_safetensors_parse(file, length, &table) == FIAR_OK) {
      ++taken;
      for (size_t i = 0; i < table.count; ++i) {
        const fiar_tensor_entry_t* entry = &table.entries[i];
        assert_true(entry->data >= file && entry->bytes <= length &&
                    entry->data + entry->bytes <= file + length);
        assert_ptr_equal(fiar_safetensors_find(&table, entry->name), entry);
      }
    }
    fiar_safetensors_free(&table);
    free(file);
  }
  assert_true(taken > 1000 && taken < 19000);
}

int main(void) {
  static const ranks_body_t bodies[] = {RANKS_BODY(each_rank_gets_its_part),
                                        RANKS_BODY(columns_are_gathered)};
  ranks_main(bodies, sizeof bodies / sizeof *bodies);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(ranks_get_their_parts, write_good, remove_file),
      cmocka_unit_test_setup_teardown(names_dtypes_and_shapes_are_checked, write_good, remove_file),
      cmocka_unit_test(files_that_are_none_are_named),
      cmocka_unit_test(wrong_headers_are_refused),
      cmocka_unit_test(any_bytes_are_judged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
