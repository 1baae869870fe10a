// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "base/library.h"

#include <dlfcn.h>
#include <string.h>

fiar_status_t fiar_once(fiar_once_t* once, fiar_status_t (*attempt)(void)) {
  pthread_mutex_lock(&once->lock);
  if (!once->tried) {
    once->status = attempt();
    once->tried = true;
    if (once->status != FIAR_OK) {
      strncpy(once->text, fiar_last_error(), sizeof once->text - 1);
    }
  }
  pthread_mutex_unlock(&once->lock);
  return once->status == FIAR_OK ? FIAR_OK : fiar_fail(once->status, "%s", once->text);
}

void* fiar_library_open(const char* named, const char* const* names, const char** out_name) {
  static const int modes[] = {RTLD_NOW | RTLD_NOLOAD, RTLD_NOW | RTLD_LOCAL};
  *out_name = *named ? named : names[0];
  if (*named) {
    return dlopen(named, RTLD_NOW | RTLD_LOCAL);
  }
  for (size_t mode = 0; mode < FIAR_ARRAY_LENGTH(modes); ++mode) {
    for (size_t i = 0; names[i]; ++i) {
      void* library = dlopen(names[i], modes[mode]);
      *out_name = names[i];
      if (library) {
        return library;
      }
    }
  }
  return NULL;
}

// dlsym gives an object pointer; C has no conversion to a function pointer, POSIX says the bits are
// the same.
void fiar_library_symbol(void* library, const char* name, void* out_function) {
  void* address = dlsym(library, name);
  memcpy(out_function, &address, sizeof address);
}

const char* fiar_library_fill(void* library, int version, const fiar_symbol_t* symbols,
                              size_t count, void* table) {
  for (size_t i = 0; i < count; ++i) {
    void* address = dlsym(library, symbols[i].name);
    memcpy((char*)table + symbols[i].offset, &address, sizeof address);
    if (!address && version >= symbols[i].since) {
      return symbols[i].name;
    }
  }
  return NULL;
}
