// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a block, its arguments and its results are called in C and in files.
#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "block/plan.h"
#include "mlir-c/BuiltinAttributes.h"

static bool is_taken(const FiarBlockArgument* list, int count, const char* name) {
  for (int i = 0; i < count; ++i) {
    if (strcmp(list[i].name, name) == 0) {
      return true;
    }
  }
  return false;
}

static bool starts_with(const char* name, const char* prefix) {
  return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool ends_with(const char* name, const char* end) {
  size_t length = strlen(name), n = strlen(end);
  return length >= n && strcmp(name + length - n, end) == 0;
}

// As a C identifier; false where nothing of it is left, or C, its types, libfiar, the program
// around a block (program_) or the block's own parameters take it.
static bool to_identifier(MlirStringRef text, char* out_name) {
  static const char* const reserved[] = {
      "NULL",     "bool",   "true",        "false",    "errno",    "EOF",      "stdin",    "stdout",
      "stderr",   "arena",  "arena_bytes", "stream",   "comm",     "packed",   "tokens",   "main",
      "auto",     "break",  "case",        "char",     "const",    "continue", "default",  "do",
      "double",   "else",   "enum",        "extern",   "float",    "for",      "goto",     "if",
      "inline",   "int",    "long",        "register", "restrict", "return",   "short",    "signed",
      "sizeof",   "static", "struct",      "switch",   "typedef",  "union",    "unsigned", "void",
      "volatile", "while"};
  size_t length = 0;
  for (size_t i = 0; i < text.length && length + 1 < FIAR_BLOCK_NAME; ++i) {
    char c = text.data[i];
    bool fits = isalpha((unsigned char)c) || (length > 0 && isdigit((unsigned char)c)) || c == '_';
    if (fits || (length > 0 && out_name[length - 1] != '_')) {
      out_name[length++] = (char)(fits ? c : '_');
    }
  }
  while (length > 0 && out_name[length - 1] == '_') {
    --length;
  }
  out_name[length] = '\0';
  for (size_t i = 0; i < sizeof reserved / sizeof *reserved; ++i) {
    if (strcmp(out_name, reserved[i]) == 0) {
      return false;
    }
  }
  return length > 0 && !starts_with(out_name, "fiar_") && !starts_with(out_name, "program_") &&
         !ends_with(out_name, "_t");
}

static MlirAttribute attribute_of(MlirOperation function, const char* list, intptr_t i,
                                  const char* name) {
  MlirAttribute all = fiarOpAttribute(function, list);
  if (mlirAttributeIsNull(all) || !mlirAttributeIsAArray(all) ||
      mlirArrayAttrGetNumElements(all) <= i) {
    return mlirAttributeGetNull();
  }
  return mlirDictionaryAttrGetElementByName(mlirArrayAttrGetElement(all, i), fiarString(name));
}

enum { MAX_TRIES = 32 };
static const char underscores[MAX_TRIES + 1] = "________________________________";

// fiar.name for files, where it can stand in their headers as it is.
static void set_label(FiarBlockArgument* argument, MlirStringRef text) {
  bool plain = text.length > 0 && text.length < sizeof argument->label;
  for (size_t i = 0; i < text.length && plain; ++i) {
    unsigned char c = (unsigned char)text.data[i];
    plain = isprint(c) && c != '"' && c != '\\' && c != '%' && c != '?';
  }
  if (plain) {
    memcpy(argument->label, text.data, text.length);
    argument->label[text.length] = '\0';
  }
}

// fiar.name, else the name that the location gives, else argN or resultN.
void fiarBlockNameArgument(FiarBlock* block, bool result, int i, MlirLocation location) {
  FiarBlockArgument* argument = result ? &block->results[i] : &block->arguments[i];
  MlirStringRef text = fiarAttributeText(
      attribute_of(block->function, result ? "res_attrs" : "arg_attrs", i, "fiar.name"));
  set_label(argument, text);
  if (text.length == 0 && !mlirLocationIsNull(location) && mlirLocationIsAName(location)) {
    text = mlirIdentifierStr(mlirLocationNameGetName(location));
  }
  const int before = result ? block->n_arguments : i;
  bool good = to_identifier(text, argument->name);
  for (int tries = 0; tries < MAX_TRIES; ++tries) {
    if (good && !is_taken(block->arguments, before, argument->name) &&
        !(result && is_taken(block->results, i, argument->name))) {
      return;
    }
    (void)snprintf(argument->name, sizeof argument->name, "%s%d%.*s", result ? "result" : "arg", i,
                   tries, underscores);
    good = true;
  }
}

// The function's own name; where that is `main`, the module's without JAX's jit_; `block` where no
// such name will do, as none of libfiar's own or the C library's, which would call the block.
void fiarBlockName(FiarBlock* block, const char* given) {
  MlirStringRef name = fiarAttributeText(fiarOpAttribute(block->function, "sym_name"));
  if (given != NULL) {
    name = fiarString(given);
  } else if (fiarStringEqual(name, "main")) {
    name = fiarAttributeText(fiarOpAttribute(block->module, "sym_name"));
    if (name.length > 4 && memcmp(name.data, "jit_", 4) == 0) {
      name = mlirStringRefCreate(name.data + 4, name.length - 4);
    }
  }
  if (!to_identifier(name, block->name) || dlsym(RTLD_DEFAULT, block->name) != NULL) {
    (void)snprintf(block->name, sizeof block->name, "block");
  }
}
