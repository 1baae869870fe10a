// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The entries that libFuzzer calls, and the one that it offers. Internal to the tests.
#ifndef FIAR_UNIT_TESTS_FUZZ_FUZZ_H
#define FIAR_UNIT_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t* a, size_t a_size, const uint8_t* b, size_t b_size,
                                 uint8_t* out, size_t max_size, unsigned int seed);

size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

#endif  // FIAR_UNIT_TESTS_FUZZ_FUZZ_H
