// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ranks of one host exchange messages through a board of shared memory: for each rank two slots,
// used in turn, and a count of the pieces it has put up. A rank that puts up piece k + 1 has read
// everyone's piece k, so when all have put up k + 1 the slots of piece k are free for k + 2: no
// second handshake.
//
// Each process holds a lock on its byte of the memory file. The kernel drops it however the process
// ends, zombies included, so a missing lock is a rank that has ended.
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "comm/comm.h"

enum { SLOT_BYTES = 1 << 18, SPINS = 200, SLICE_NS = 20 * 1000 * 1000 };

typedef struct board_rank {
  _Alignas(64) atomic_uint pieces;  // put up so far; others wait on it
  atomic_int gone;                  // left the group, or gave up
  _Atomic uint64_t bytes[2];        // of the message whose piece lies in the slot
  _Atomic int64_t pid;
} board_rank_t;

typedef struct board_memory {
  atomic_int attached;  // threads only: how many states are left
  board_rank_t ranks[FIAR_MAX_WORLD];
  _Alignas(64) unsigned char slots[];  // [world][2][SLOT_BYTES]
} board_memory_t;

typedef struct board {
  board_memory_t* memory;
  size_t memory_bytes;
  int32_t rank, world;
  int lock_fd;  // -1 for threads
  unsigned pieces;
  pid_t pid;  // a process that was forked from this one is not the rank
} board_t;

int64_t fiar_now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static size_t bytes_of_board(int32_t world) {
  return sizeof(board_memory_t) + (size_t)world * 2 * SLOT_BYTES;
}

static unsigned char* slot_of(const board_t* board, int32_t rank, unsigned piece) {
  return board->memory->slots + ((size_t)rank * 2 + piece % 2) * SLOT_BYTES;
}

static struct flock lock_of(int32_t rank) {
  return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = rank, .l_len = 1};
}

static bool has_left(const board_t* board, int32_t rank) {
  return atomic_load(&board->memory->ranks[rank].gone) != 0;
}

// Without having left: that gives the lock back, too, but only after it is said.
static bool has_ended(const board_t* board, int32_t rank) {
  if (board->lock_fd < 0 || rank == board->rank) {
    return false;
  }
  struct flock lock = lock_of(rank);
  return fcntl(board->lock_fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK &&
         !has_left(board, rank);
}

static fiar_status_t fail_lost(const board_t* board, int32_t rank, const char* how) {
  return FIAR_FAIL(PEER_LOST, "rank %d of %d (process %lld) has %s", rank, board->world,
                   (long long)atomic_load(&board->memory->ranks[rank].pid), how);
}

static bool has_put_up(const board_t* board, int32_t rank, unsigned piece) {
  const unsigned pieces =
      atomic_load_explicit(&board->memory->ranks[rank].pieces, memory_order_acquire);
  return (int32_t)(pieces - piece) >= 0;
}

// PEER_LOST for a rank that will never put up its `piece`-th piece. One that ended goes before
// those that left because of it. Pieces are looked at last: a rank may have put up its last one
// just before it went.
static fiar_status_t check_peers(const board_t* board, unsigned piece) {
  for (int32_t rank = 0; rank < board->world; ++rank) {
    if (has_ended(board, rank) && !has_put_up(board, rank, piece)) {
      return fail_lost(board, rank, "ended");
    }
  }
  for (int32_t rank = 0; rank < board->world; ++rank) {
    if (has_left(board, rank) && !has_put_up(board, rank, piece)) {
      return fail_lost(board, rank, "left the group");
    }
  }
  return FIAR_OK;
}

static void futex_wait(atomic_uint* word, unsigned seen, int64_t nanoseconds) {
  struct timespec limit = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  (void)syscall(SYS_futex, (void*)word, FUTEX_WAIT, seen, &limit, NULL, 0);
}

static void futex_wake_all(atomic_uint* word) {
  (void)syscall(SYS_futex, (void*)word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static fiar_status_t fail_late(const board_t* board, unsigned piece) {
  char late[256] = "";
  size_t used = 0;
  for (int32_t rank = 0; rank < board->world && used + 16 < sizeof late; ++rank) {
    if (!has_put_up(board, rank, piece)) {
      used += (size_t)snprintf(late + used, sizeof late - used, "%s%d", used ? ", " : "", rank);
    }
  }
  return FIAR_FAIL(TIMEOUT, "rank %s of %d did not arrive in time", late, board->world);
}

// Until rank has put up `piece` pieces.
static fiar_status_t wait_for(const board_t* board, int32_t rank, unsigned piece,
                              int64_t deadline_ns) {
  atomic_uint* word = &board->memory->ranks[rank].pieces;
  for (int spin = 0;; ++spin) {
    const unsigned seen = atomic_load(word);
    if (has_put_up(board, rank, piece)) {
      return FIAR_OK;
    }
    if (spin < SPINS) {
      continue;
    }
    const int64_t left = deadline_ns - fiar_now_ns();
    FIAR_TRY(check_peers(board, piece));
    if (left <= 0) {
      return fail_late(board, piece);
    }
    futex_wait(word, seen, left < SLICE_NS ? left : SLICE_NS);
  }
}

static fiar_status_t gather_piece(board_t* board, const unsigned char* mine, unsigned char* all,
                                  size_t stride, size_t count, size_t total, int64_t deadline_ns) {
  const unsigned piece = board->pieces;
  board_rank_t* self = &board->memory->ranks[board->rank];
  memcpy(slot_of(board, board->rank, piece), mine, count);
  atomic_store(&self->bytes[piece % 2], total);
  board->pieces = piece + 1;
  atomic_store_explicit(&self->pieces, board->pieces, memory_order_release);
  futex_wake_all(&self->pieces);
  for (int32_t rank = 0; rank < board->world; ++rank) {
    FIAR_TRY(wait_for(board, rank, piece + 1, deadline_ns));
    const uint64_t theirs = atomic_load(&board->memory->ranks[rank].bytes[piece % 2]);
    if (theirs != total) {
      return FIAR_FAIL(MISMATCH,
                       "the ranks make different calls: rank %d exchanges %zu bytes, rank %d %llu",
                       board->rank, total, rank, (unsigned long long)theirs);
    }
    if (count > 0) {
      memmove(all + (size_t)rank * stride, slot_of(board, rank, piece), count);
    }
  }
  return FIAR_OK;
}

static fiar_status_t board_all_gather(void* state, const void* mine, void* all, size_t bytes,
                                      int64_t deadline_ns) {
  board_t* board = state;
  size_t at = 0;
  do {
    const size_t count = bytes - at < SLOT_BYTES ? bytes - at : SLOT_BYTES;
    FIAR_TRY(gather_piece(board, (const unsigned char*)mine + at, (unsigned char*)all + at, bytes,
                          count, bytes, deadline_ns));
    at += count;
  } while (at < bytes);
  return FIAR_OK;
}

// Of whom the next piece could not come.
static fiar_status_t board_alive(void* state) {
  const board_t* board = state;
  return check_peers(board, atomic_load(&board->memory->ranks[board->rank].pieces) + 1);
}

static void board_leave(void* state) {
  board_t* board = state;
  board_rank_t* self = &board->memory->ranks[board->rank];
  if (board->pid == getpid()) {
    atomic_store(&self->gone, 1);
    futex_wake_all(&self->pieces);
  }
}

static void board_close(void* state) {
  board_t* board = state;
  if (!board) {
    return;
  }
  if (board->memory) {
    board_leave(board);
    if (board->lock_fd >= 0) {
      (void)munmap(board->memory, board->memory_bytes);
    } else if (atomic_fetch_sub(&board->memory->attached, 1) == 1) {
      free(board->memory);
    }
  }
  if (board->lock_fd >= 0) {
    (void)close(board->lock_fd);
  }
  free(board);
}

const fiar_transport_t fiar_board_transport = {
    .all_gather = board_all_gather,
    .alive = board_alive,
    .leave = board_leave,
    .close = board_close,
};

fiar_status_t fiar_board_create_threads(int32_t world, void** out_states) {
  const size_t bytes = (bytes_of_board(world) + 63) / 64 * 64;
  board_memory_t* memory = aligned_alloc(64, bytes);
  if (!memory) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory for %d ranks", bytes, world);
  }
  memset(memory, 0, sizeof *memory);
  memset(out_states, 0, (size_t)world * sizeof *out_states);
  for (int32_t rank = 0; rank < world; ++rank) {
    board_t* board = calloc(1, sizeof *board);
    if (!board) {
      for (int32_t made = 0; made < rank; ++made) {
        free(out_states[made]);
        out_states[made] = NULL;
      }
      free(memory);
      return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *board);
    }
    *board = (board_t){memory, bytes, rank, world, -1, 0, getpid()};
    atomic_store(&memory->ranks[rank].pid, (int64_t)getpid());
    out_states[rank] = board;
  }
  atomic_store(&memory->attached, world);
  return FIAR_OK;
}

// Maps the memory and takes this rank's lock, on a file description of its own: one that came
// through the socket is shared with its sender, and so would the lock be.
static fiar_status_t board_attach(void* context, int fd) {
  board_t* board = context;
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  board->lock_fd = open(path, O_RDWR | O_CLOEXEC);
  if (board->lock_fd < 0) {
    return FIAR_FAIL(SYSTEM_ERROR, "open(\"%s\"): %s", path, strerror(errno));
  }
  struct flock lock = lock_of(board->rank);
  if (fcntl(board->lock_fd, F_OFD_SETLK, &lock) != 0) {
    return FIAR_FAIL(SYSTEM_ERROR, "fcntl(F_OFD_SETLK): %s", strerror(errno));
  }
  void* memory =
      mmap(NULL, board->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, board->lock_fd, 0);
  if (memory == MAP_FAILED) {
    return FIAR_FAIL(SYSTEM_ERROR, "mmap of %zu shared bytes: %s", board->memory_bytes,
                     strerror(errno));
  }
  board->memory = memory;
  atomic_store(&board->memory->ranks[board->rank].pid, (int64_t)getpid());
  return FIAR_OK;
}

fiar_status_t fiar_board_join(const char* name, int32_t rank, int32_t world, int64_t deadline_ns,
                              void** out_state) {
  *out_state = NULL;
  board_t* board = calloc(1, sizeof *board);
  if (!board) {
    return FIAR_FAIL(OUT_OF_MEMORY, "%zu bytes of host memory", sizeof *board);
  }
  *board = (board_t){NULL, bytes_of_board(world), rank, world, -1, 0, getpid()};
  fiar_status_t status = FIAR_OK;
  int fd = -1;
  if (rank == 0) {
    fd = memfd_create("fiar", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)board->memory_bytes) != 0) {
      status = FIAR_FAIL(SYSTEM_ERROR, "a memory file of %zu bytes: %s", board->memory_bytes,
                         strerror(errno));
      goto done;
    }
  }
  FIAR_TRY_DONE(fiar_meet(name, rank, world, deadline_ns, fd, board_attach, board));
  *out_state = board;
  board = NULL;
done:
  if (fd >= 0) {
    (void)close(fd);
  }
  board_close(board);
  return status;
}
