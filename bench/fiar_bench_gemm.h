// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-bench: the matmuls before and after a call, as a layer of a model has them. Internal.
#ifndef FIAR_BENCH_GEMM_H
#define FIAR_BENCH_GEMM_H

#include "fiar_bench_rank.h"

// What a bench_gemm_t is: input[tokens, hidden] = x[tokens, hidden / world] w1[hidden, hidden /
// world]^T before the call, and y[tokens, hidden] = out[tokens, hidden] w2[hidden, hidden]^T after
// it, out being the codes of fp8_static or the norm. Weights are random and go round more than the
// last-level cache.

// By fiar_rt_matmul. UNSUPPORTED for f32, for other formats and on the host; UNAVAILABLE without
// cuBLASLt.
fiar_status_t bench_gemm_create(bench_rank_t* rank, const bench_case_t* point,
                                bench_gemm_t** out_gemm);
void bench_gemm_destroy(bench_gemm_t* gemm);  // NULL is harmless

// The index of the call in its chain chooses the weights.
fiar_status_t bench_gemm_before(const bench_gemm_t* gemm, int64_t index, const bench_call_t* call,
                                void* stream);
fiar_status_t bench_gemm_after(const bench_gemm_t* gemm, int64_t index, const bench_call_t* call,
                               void* stream);

#endif  // FIAR_BENCH_GEMM_H
