// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

static const char* host_unavailable(int32_t world) {
  return world <= 16 ? NULL : "the host backend serves up to 16 ranks";
}

static void host_use(int32_t device) {
  (void)device;
}

static void* host_allocate(size_t bytes) {
  void* at = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!at) {
    (void)fprintf(stderr, "no memory for %zu bytes\n", bytes);
    exit(2);
  }
  return at;
}

static void host_write(void* at, const void* host, size_t bytes) {
  memcpy(at, host, bytes);
}

static void host_read(void* host, const void* at, size_t bytes) {
  memcpy(host, at, bytes);
}

static fiar_status_t host_issue(conformance_call_fn call, void* context) {
  return call(context, NULL);
}

const conformance_memory_t conformance_memory_host = {
    .name = "host",
    .unavailable = host_unavailable,
    .device = FIAR_DEVICE_NONE,
    .use = host_use,
    .allocate = host_allocate,
    .release = free,
    .write = host_write,
    .read = host_read,
    .issue = host_issue,
};
