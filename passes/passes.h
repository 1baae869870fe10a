// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the stages of the compiler share. Internal.
#ifndef FIAR_PASSES_H
#define FIAR_PASSES_H

#include "fiar/compiler.h"

#endif  // FIAR_PASSES_H
