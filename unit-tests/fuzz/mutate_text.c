// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// libFuzzer's mutator for MLIR text. Bytes changed blindly hardly ever parse, so this one trades
// tokens for tokens of their kind, changes numbers, and moves lines, within a module and between
// two.
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"

// The mutator's own generator (xorshift), from the seed that libFuzzer gives.
typedef struct Dice {
  uint32_t state;
} Dice;

static uint32_t roll(Dice* dice, size_t below) {
  dice->state ^= dice->state << 13;
  dice->state ^= dice->state >> 17;
  dice->state ^= dice->state << 5;
  return below == 0 ? 0 : (uint32_t)(dice->state % below);
}

typedef struct Span {
  size_t at, size;
} Span;

static bool is_word(uint8_t c) {
  return isalnum(c) || c == '_' || c == '.' || c == '$';
}

// The bracket's end: behind the one that closes it, or the end of the line.
static size_t close_of(const uint8_t* text, size_t size, size_t at) {
  int depth = 0;
  for (; at < size && text[at] != '\n'; ++at) {
    depth += text[at] == '<';
    depth -= text[at] == '>';
    if (depth == 0) {
      return at + 1;
    }
  }
  return at;
}

// The token at a place: a word with its sigil, a type with its brackets, a string, or one byte.
static Span token_at(const uint8_t* text, size_t size, size_t at) {
  while (at > 0 && is_word(text[at]) && is_word(text[at - 1])) {
    --at;
  }
  if (at > 0 && is_word(text[at]) && strchr("%@#!^", text[at - 1]) != NULL) {
    --at;
  }
  size_t end = at + 1;
  if (text[at] == '"') {
    while (end < size && text[end] != '"' && text[end] != '\n') {
      ++end;
    }
    end += end < size && text[end] == '"';
  } else if (is_word(text[at]) || strchr("%@#!^", text[at]) != NULL) {
    while (end < size && is_word(text[end])) {
      ++end;
    }
    if (end < size && text[end] == '<') {
      end = close_of(text, size, end);
    }
  }
  return (Span){at, end - at};
}

// Tokens of one kind may stand for one another: by their first byte.
static int kind_of(uint8_t c) {
  return isdigit(c) ? '0' : isalpha(c) ? 'a' : c;
}

static Span line_at(const uint8_t* text, size_t size, size_t at) {
  size_t start = at, end = at;
  while (start > 0 && text[start - 1] != '\n') {
    --start;
  }
  while (end < size && text[end] != '\n') {
    ++end;
  }
  return (Span){start, end + (end < size) - start};
}

// Puts `size` bytes in the place of a span. Gives the new size: the old one where it has no room.
static size_t replace(uint8_t* data, size_t size, size_t room, Span old, const uint8_t* bytes,
                      size_t count) {
  if (size - old.size + count > room) {
    return size;
  }
  memmove(data + old.at + count, data + old.at + old.size, size - old.at - old.size);
  memcpy(data + old.at, bytes, count);
  return size - old.size + count;
}

// As replace, with a piece of another text or of the same one.
static size_t paste(uint8_t* data, size_t size, size_t room, Span old, const uint8_t* from,
                    Span piece) {
  uint8_t* copy = malloc(piece.size + 1);
  if (copy == NULL) {
    return size;
  }
  memcpy(copy, from + piece.at, piece.size);
  size = replace(data, size, room, old, copy, piece.size);
  free(copy);
  return size;
}

static size_t swap_tokens(uint8_t* data, size_t size, size_t room, Dice* dice) {
  Span old = token_at(data, size, roll(dice, size));
  for (int tries = 0; tries < 64; ++tries) {
    Span other = token_at(data, size, roll(dice, size));
    bool same = other.size == old.size && memcmp(data + other.at, data + old.at, old.size) == 0;
    if (!same && kind_of(data[other.at]) == kind_of(data[old.at])) {
      return paste(data, size, room, old, data, other);
    }
  }
  return size;
}

static const char* const numbers[] = {
    "0",  "1",   "-1",      "2", "3", "64", "?", "2147483648", "9223372036854775807",
    "1x", "0.0", "1.0e+300"};
static const char* const words[] = {"f32",
                                    "bf16",
                                    "f16",
                                    "f64",
                                    "i1",
                                    "ui8",
                                    "f8E4M3FN",
                                    "f4E2M1FN",
                                    "f8E8M0FNU",
                                    "index",
                                    "complex<f32>",
                                    "tensor<*xf32>",
                                    "tensor<0x64xbf16>",
                                    "tensor<?x64xbf16>",
                                    "tensor<f32>",
                                    "memref<4xf32>",
                                    "vector<4xf32>",
                                    "none",
                                    "dense<>",
                                    "dense<0x7F>",
                                    "dense_resource<r>",
                                    "unit",
                                    "array<i64>",
                                    "array<i64: -1>",
                                    "add",
                                    "multiply",
                                    "divide",
                                    "convert",
                                    "reshape",
                                    "broadcast_in_dim",
                                    "all_reduce",
                                    "@main",
                                    "%0",
                                    "%arg0",
                                    "%0#1",
                                    "{}",
                                    "[]",
                                    "()",
                                    "({})",
                                    "<{}>",
                                    "loc(unknown)"};

static size_t put(uint8_t* data, size_t size, size_t room, Span old, const char* text) {
  return replace(data, size, room, old, (const uint8_t*)text, strlen(text));
}

static size_t change_number(uint8_t* data, size_t size, size_t room, Dice* dice) {
  size_t at = roll(dice, size);
  while (at < size && !isdigit(data[at])) {
    ++at;
  }
  size_t end = at;
  while (end < size && isdigit(data[end])) {
    ++end;
  }
  if (at == end) {
    return size;
  }
  char near[32];
  (void)snprintf(near, sizeof near, "%llu",
                 strtoull((const char*)data + at, NULL, 10) + (roll(dice, 2) == 0 ? 1 : ~0ull));
  bool known = roll(dice, 3) != 0;
  return put(data, size, room, (Span){at, end - at},
             known ? numbers[roll(dice, sizeof numbers / sizeof *numbers)] : near);
}

static size_t put_word(uint8_t* data, size_t size, size_t room, Dice* dice) {
  return put(data, size, room, token_at(data, size, roll(dice, size)),
             words[roll(dice, sizeof words / sizeof *words)]);
}

static size_t delete_token(uint8_t* data, size_t size, size_t room, Dice* dice) {
  return put(data, size, room, token_at(data, size, roll(dice, size)), "");
}

static size_t delete_line(uint8_t* data, size_t size, size_t room, Dice* dice) {
  return put(data, size, room, line_at(data, size, roll(dice, size)), "");
}

static size_t copy_line(uint8_t* data, size_t size, size_t room, Dice* dice) {
  Span to = {line_at(data, size, roll(dice, size)).at, 0};
  return paste(data, size, room, to, data, line_at(data, size, roll(dice, size)));
}

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  static size_t (*const changes[])(uint8_t*, size_t, size_t, Dice*) = {
      swap_tokens, swap_tokens, swap_tokens, change_number, change_number,
      put_word,    copy_line,   delete_line, delete_token};
  const size_t n_changes = sizeof changes / sizeof *changes;
  Dice dice = {seed | 1};
  (void)roll(&dice, 1);
  if (size == 0 || roll(&dice, 16) == 0) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  // strtoull reads to a byte that is no digit: there is one behind the text.
  uint8_t* text = malloc(max_size + 1);
  if (text == NULL) {
    return size;
  }
  memcpy(text, data, size);
  for (uint32_t left = 1 + roll(&dice, 3); left > 0 && size > 0; --left) {
    text[size] = 0;
    size = changes[roll(&dice, n_changes)](text, size, max_size, &dice);
  }
  memcpy(data, text, size);
  free(text);
  return size;
}

// The first text with some lines of the second.
size_t LLVMFuzzerCustomCrossOver(const uint8_t* a, size_t a_size, const uint8_t* b, size_t b_size,
                                 uint8_t* out, size_t max_size, unsigned int seed) {
  Dice dice = {seed | 1};
  size_t size = a_size < max_size ? a_size : max_size;
  memcpy(out, a, size);
  for (uint32_t left = 1 + roll(&dice, 8); left > 0 && size > 0 && b_size > 0; --left) {
    Span to = {line_at(out, size, roll(&dice, size)).at, 0};
    size = paste(out, size, max_size, to, b, line_at(b, b_size, roll(&dice, b_size)));
  }
  return size;
}
