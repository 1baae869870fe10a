// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The runtime, all of it. The conventions of every header:
//
// Names: fiar_ functions, fiar_*_t types, FIAR_ constants. The object comes first, the verb last.
// Errors: a status, and a sentence in fiar_last_error() that names the argument and its value. On
//   failure every out_ argument is NULL or zero and nothing leaks. The library never aborts.
// Ownership: create and get give the caller something to destroy; destroy takes NULL.
// Sizes: bytes are size_t, counts of elements int64_t, times int32_t with the unit in the name.
// Structs that may grow begin with struct_size; reserved fields are 0.
// Threads: different objects are independent; one object is used by one thread at a time.
#ifndef FIAR_FIAR_H
#define FIAR_FIAR_H

#include "fiar/abi.h"
#include "fiar/runtime.h"
#include "fiar/status.h"
#include "fiar/types.h"
#include "fiar/version.h"

#endif  // FIAR_FIAR_H
