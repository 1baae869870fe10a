// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// fiar-bench: the floors of a machine and of a point. Internal.
#ifndef FIAR_BENCH_FLOOR_H
#define FIAR_BENCH_FLOOR_H

#include "fiar_bench_rank.h"

typedef struct bench_floors {
  bool measured;       // false on the host, and where peers cannot be reached
  double empty_us;     // an empty kernel in a chain, as one graph
  double launch_us;    // what launching it costs the calling thread, one by one
  double flag_us;      // a 4-byte store, from its issue to the peer's seeing it
  double egress_gb_s;  // 16-byte stores from all SMs to all peers, all devices at once
} bench_floors_t;

// Collective. On the host nothing is measured.
fiar_status_t bench_floors_measure(bench_rank_t* rank, bench_floors_t* out_floors);

// us below which no call of the point can come by the measured floors; 0 where nothing was
// measured. One hop: empty + flag, or (world - 1) messages at the egress rate, whichever is more.
// Two hops: empty + 2 flags, or (world - 1) / world of a message to the rows' owners and as much of
// what comes back, which is `code_bytes` (codes and scales) for a sharded residual. The lesser of
// both.
double bench_floor_us(const bench_floors_t* floors, const bench_case_t* point, int32_t world,
                      double code_bytes);

// The same, with the code_bytes of the point's format.
double bench_point_floor_us(const bench_rank_t* rank, const bench_floors_t* floors,
                            const bench_case_t* point);

#endif  // FIAR_BENCH_FLOOR_H
