// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Shared libraries that are opened at run time, since they may be missing. Internal.
#ifndef FIAR_BASE_LIBRARY_H
#define FIAR_BASE_LIBRARY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

// Something that is tried once, by whichever thread comes first, and how it went.
typedef struct fiar_once {
  pthread_mutex_t lock;
  bool tried;
  fiar_status_t status;
  char text[512];  // the sentence of a failure
} fiar_once_t;

#define FIAR_ONCE_INIT \
  { .lock = PTHREAD_MUTEX_INITIALIZER }

// Calls `attempt` the first time; that and every later call give its status, and its sentence as
// the thread's last error. Any thread; those that come during the first call wait for it.
fiar_status_t fiar_once(fiar_once_t* once, fiar_status_t (*attempt)(void));

// Opens the file `named`, or, where that is empty, one of `names` (NULL at the end; only read
// then): the copy that the process already has of any of them before a new one, the first name
// first. *out_name: the name that was taken, or tried last. NULL where none opens: dlerror() says
// why. The library stays open.
void* fiar_library_open(const char* named, const char* const* names, const char** out_name);

// Writes the symbol's address to *out_function, a function pointer; NULL where there is none.
void fiar_library_symbol(void* library, const char* name, void* out_function);

// A function pointer of a table, the symbol that it is, and the library's first version with it.
typedef struct fiar_symbol {
  const char* name;
  size_t offset;  // in the table
  int since;
} fiar_symbol_t;

// Fills the table. The name of the first symbol that this version should have and that is missing;
// NULL: none is. Those of later versions are NULL in the table where they are missing.
const char* fiar_library_fill(void* library, int version, const fiar_symbol_t* symbols,
                              size_t count, void* table);

#endif  // FIAR_BASE_LIBRARY_H
