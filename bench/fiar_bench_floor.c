// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What no call on this machine can beat: the launch of a kernel, on the device and on the host, the
// way of a flag to a peer, and the rate at which a device stores to its peers while all do.
#include "fiar_bench_floor.h"

#include <math.h>
#include <stdlib.h>

#include "host/reference.h"

static double least(double a, double b) {
  return a < b ? a : b;
}

double bench_floor_us(const bench_floors_t* floors, const bench_case_t* point, int32_t world,
                      double code_bytes) {
  if (!floors->measured || world < 2) {
    return 0;
  }
  double message = (double)(point->tokens * point->hidden) * (double)fiar_dtype_bytes(point->dtype);
  double peers = world - 1;
  double hop1 = peers / world * message;  // rows to their owners
  double back = bench_is_sharded(point) && point->quant != FIAR_QUANT_NONE ? code_bytes : message;
  double wire = 1e-3 / floors->egress_gb_s;  // us a byte
  double two = fmax(floors->empty_us + 2 * floors->flag_us, (hop1 + peers / world * back) * wire);
  double one = fmax(floors->empty_us + floors->flag_us, peers * message * wire);
  return least(one, two);
}

#if FIAR_HAVE_CUDA
#include "cuda/peer_memory.h"
#include "fiar_bench_cuda.h"

enum { FLAG_ROUNDS = 1000, TIMES = 9, PEER_BYTES = 64 << 20, SPIN_NS = 1000 * 1000 * 1000 };

typedef struct floor_rank {
  bench_rank_t* rank;
  fiar_comm_t* comm;
  fiar_peer_memory_t* memory;
  cudaStream_t stream;
  int64_t calls;
} floor_rank_t;

static fiar_status_t enqueue_empty(void* context, void* stream) {
  const floor_rank_t* floor = context;
  int unused = 0;
  for (int64_t call = 0; call < floor->calls; ++call) {
    FIAR_TRY(bench_launch(BENCH_KERNEL_EMPTY, 1, 32, true, &unused, stream));
  }
  return FIAR_OK;
}

static int compare(const void* left, const void* right) {
  double a = *(const double*)left;
  double b = *(const double*)right;
  return (a > b) - (a < b);
}

// The median over TIMES replays of the slowest rank's times, in us.
static fiar_status_t time_slowest(floor_rank_t* floor, bench_launch_t launch,
                                  bench_enqueue_fn enqueue, bench_enqueue_fn align, void* context,
                                  bench_time_t* out_time) {
  bench_rank_t* rank = floor->rank;
  bench_chain_t* chain = NULL;
  double device[TIMES] = {0};
  double host[TIMES] = {0};
  bench_time_t all[BENCH_MAX_RANKS];
  fiar_status_t status =
      rank->device->chain_create(rank->state, launch, enqueue, align, context, &chain);
  FIAR_TRY_DONE(fiar_comm_vote(rank->team, status));
  for (int time = 0; time < TIMES; ++time) {
    bench_time_t mine = {0};
    FIAR_TRY_DONE(fiar_comm_barrier(rank->team));
    FIAR_TRY_DONE(
        fiar_comm_vote(rank->team, rank->device->chain_replay(rank->state, chain, &mine)));
    FIAR_TRY_DONE(fiar_comm_all_gather(rank->team, &mine, all, sizeof *all));
    for (int32_t of = 0; of < rank->world; ++of) {
      device[time] = fmax(device[time], all[of].device_us);
      host[time] = fmax(host[time], all[of].host_us);
    }
  }
  qsort(device, TIMES, sizeof *device, compare);
  qsort(host, TIMES, sizeof *host, compare);
  *out_time = (bench_time_t){.device_us = device[TIMES / 2], .host_us = host[TIMES / 2]};
done:
  rank->device->chain_destroy(rank->state, chain);
  return status;
}

// Ranks 0 and 1 throw a flag to and fro; the others have nothing to do. Word 0 of a share is its
// ball, word 64 its error.
typedef struct flag_context {
  bench_flag_args_t args;
  bool plays;
} flag_context_t;

static fiar_status_t enqueue_flag(void* context, void* stream) {
  flag_context_t* flag = context;
  if (!flag->plays) {
    return FIAR_OK;
  }
  FIAR_TRY(bench_launch(BENCH_KERNEL_FLAG, 1, 1, false, &flag->args, stream));
  flag->args.first += flag->args.rounds;
  return FIAR_OK;
}

static fiar_status_t measure_flag(floor_rank_t* floor, double* out_us) {
  int32_t me = floor->rank->rank;
  uint32_t* mine = floor->memory->at[me];
  uint32_t* theirs = floor->memory->at[me == 0 ? 1 : 0];
  flag_context_t flag = {.args = {.mine = mine,
                                  .theirs = theirs,
                                  .error = mine + 64,
                                  .timeout_ns = SPIN_NS,
                                  .first = 1,
                                  .rounds = FLAG_ROUNDS,
                                  .serves = me == 0},
                         .plays = me < 2};
  bench_time_t time;
  FIAR_TRY(time_slowest(floor, BENCH_EAGER, enqueue_flag, enqueue_flag, &flag, &time));
  *out_us = time.device_us / (2 * FLAG_ROUNDS);
  uint32_t error = 0;
  FIAR_TRY(floor->rank->device->to_host(floor->rank->state, &error, mine + 64, sizeof error));
  return error == 0 ? FIAR_OK : FIAR_FAIL(TIMEOUT, "a flag did not reach its peer");
}

static fiar_status_t enqueue_egress(void* context, void* stream) {
  return bench_launch(BENCH_KERNEL_EGRESS, 0, 512, false, context, stream);
}

static fiar_status_t enqueue_nothing(void* context, void* stream) {
  (void)context;
  (void)stream;
  return FIAR_OK;
}

// Every rank stores PEER_BYTES into its own part of each peer's share.
static fiar_status_t measure_egress(floor_rank_t* floor, double* out_gb_s) {
  const bench_rank_t* rank = floor->rank;
  bench_egress_args_t args = {.vectors = PEER_BYTES / 16, .value = 1};
  for (int32_t step = 1; step < rank->world; ++step) {
    int32_t peer = (rank->rank + step) % rank->world;
    args.peers[args.peer_count++] =
        (char*)floor->memory->at[peer] + (size_t)rank->rank * PEER_BYTES;
  }
  bench_time_t time;
  FIAR_TRY(time_slowest(floor, BENCH_EAGER, enqueue_egress, enqueue_nothing, &args, &time));
  *out_gb_s = (double)(rank->world - 1) * PEER_BYTES / time.device_us * 1e-3;
  return FIAR_OK;
}

static fiar_status_t measure(floor_rank_t* floor, bench_floors_t* out_floors) {
  bench_time_t time;
  FIAR_TRY(time_slowest(floor, BENCH_GRAPH, enqueue_empty, enqueue_nothing, floor, &time));
  out_floors->empty_us = time.device_us / (double)floor->calls;
  FIAR_TRY(time_slowest(floor, BENCH_EAGER, enqueue_empty, enqueue_nothing, floor, &time));
  out_floors->launch_us = time.host_us / (double)floor->calls;
  if (floor->rank->world < 2) {
    return FIAR_OK;
  }
  FIAR_TRY(fiar_peer_memory_create_ipc(floor->comm, (size_t)floor->rank->world * PEER_BYTES, 0,
                                       &floor->memory));
  FIAR_TRY(measure_flag(floor, &out_floors->flag_us));
  FIAR_TRY(measure_egress(floor, &out_floors->egress_gb_s));
  out_floors->measured = true;
  return FIAR_OK;
}

fiar_status_t bench_floors_measure(bench_rank_t* rank, bench_floors_t* out_floors) {
  *out_floors = (bench_floors_t){0};
  if (rank->ordinal == FIAR_DEVICE_NONE) {
    return FIAR_OK;
  }
  floor_rank_t floor = {
      .rank = rank, .stream = rank->device->stream(rank->state), .calls = rank->options->calls};
  FIAR_TRY(bench_comm_create(rank, "auto", &floor.comm));
  fiar_status_t status = measure(&floor, out_floors);
  fiar_peer_memory_destroy(floor.memory, false);
  fiar_comm_destroy(floor.comm);
  return status;
}

#else

fiar_status_t bench_floors_measure(bench_rank_t* rank, bench_floors_t* out_floors) {
  (void)rank;
  *out_floors = (bench_floors_t){0};
  return FIAR_OK;
}
#endif
