// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Status codes and the text that goes with them. Stable.
//
// Every function that can fail returns a status. A failing call also leaves one sentence, which
// names the argument and the value, for the calling thread: fiar_last_error(). The library never
// aborts and prints nothing unless the environment asks for it (docs/env.md).
#ifndef FIAR_STATUS_H
#define FIAR_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FIAR_API __attribute__((visibility("default")))
#else
#define FIAR_API
#endif

// Generated code sees an i32.
typedef enum fiar_status {
#define X(name, value, text) FIAR_##name = (value),
#include "fiar/status.def"
#undef X
} fiar_status_t;

// The code's name without prefix ("INVALID_ARGUMENT"), or "UNKNOWN". Static storage.
FIAR_API const char* fiar_status_name(fiar_status_t status);

// The sentence of the calling thread's last failing call, or "" if none failed yet. Valid until the
// thread's next call: also one that succeeds may have tried something in vain.
FIAR_API const char* fiar_last_error(void);

#ifdef __cplusplus
}
#endif
#endif  // FIAR_STATUS_H
