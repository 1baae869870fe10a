// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the tests of fiar-check share. Internal to the tests.
#ifndef FIAR_UNIT_TESTS_CHECK_HOLDS_H
#define FIAR_UNIT_TESTS_CHECK_HOLDS_H

#include <stdbool.h>
#include <stdint.h>

#include "fiar/compiler.h"

// Does fiar-check let the rewrite of the model (MLIR text, in a context of its own) pass? Fails the
// cmocka test where the text does not parse, or where the verdict and the messages disagree.
bool check_holds(const char* model, MlirLogicalResult (*rewrite)(MlirOperation, void*),
                 const void* rewrite_data, int64_t seeds);

// The same with more options; the messages are set here.
bool check_holds_with(const char* model, FiarCheckOptions options);

// One way to make a rewrite wrong, at the first op of a name.
typedef struct check_breakage {
  const char* op;
  const char*
      attribute;  // set to the value that this text parses to; NULL: two operands change places
  const char* value;
  int first, second;  // the operands
} check_breakage_t;

// Breaks the module; NULL does nothing.
void check_break(MlirOperation module, const check_breakage_t* breakage);

#endif  // FIAR_UNIT_TESTS_CHECK_HOLDS_H
