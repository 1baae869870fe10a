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

#endif  // FIAR_UNIT_TESTS_CHECK_HOLDS_H
