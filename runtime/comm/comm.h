// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The inside of a communicator, and the ways its ranks exchange small messages. Internal.
#ifndef FIAR_COMM_COMM_H
#define FIAR_COMM_COMM_H

#include <pthread.h>

#include "comm/launcher.h"
#include "runtime_impl.h"

// How ranks reach one another. Every function but close is called by one thread at a time.
typedef struct fiar_transport {
  // Ends by deadline_ns (fiar_now_ns) or when a rank is seen to be gone.
  fiar_status_t (*all_gather)(void* state, const void* mine, void* all, size_t bytes,
                              int64_t deadline_ns);
  fiar_status_t (*alive)(void* state);  // OK, or PEER_LOST. Any thread. NULL: cannot tell
  void (*leave)(void* state);           // tells the others that this rank gives up. NULL: cannot
  void (*close)(void* state);
} fiar_transport_t;

enum { FIAR_MAX_BACKENDS = 16, FIAR_MAX_OUTGROWN = 48 };

// One for each backend; several handles and the calls themselves hold on to it.
struct fiar_workspace {
  fiar_comm_t* comm;
  const fiar_backend_t* backend;
  void* state;  // NULL: not open
  // States that were too small. CUDA graphs captured on them may be replayed until the workspace
  // goes.
  void* outgrown[FIAR_MAX_OUTGROWN];
  int32_t outgrown_count;
  size_t bytes;         // opened with
  size_t failed_bytes;  // 0, or the least size that could not be opened
  fiar_status_t failed_status;
  char failed_text[512];
  int32_t holders;
  bool serves_calls;  // then it stays until the communicator goes
};

struct fiar_comm {
  int32_t rank, world, device, timeout_ms;
  char forced_backend[16];
  const fiar_transport_t* transport;
  void* transport_state;
  bool ready;  // peers and caps are known
  fiar_peer_t peers[FIAR_MAX_WORLD];
  fiar_caps_t caps;
  void* nccl;
  void* compute;
  const char* latest_backend;
  pthread_mutex_t lock;  // of what follows, which fiar_comm_async_error reads from any thread
  fiar_status_t broken;  // once a collective has failed
  char broken_text[512];
  uint64_t agreed_calls[1024];  // digests of calls that all ranks were seen to make alike
  struct fiar_workspace workspaces[FIAR_MAX_BACKENDS];  // by index in the backend table
};

// Closes all of its states; it may be opened again. Nothing to do where it never was.
void fiar_workspace_close(fiar_workspace_t* workspace);

// Learns the peers and agrees on the capabilities; at once where that is done. Collective.
fiar_status_t fiar_comm_ready(fiar_comm_t* comm);

// The communicator of a call, ready: comm itself, or where that is NULL the group's.
fiar_status_t fiar_comm_of_group(fiar_comm_t* comm, int32_t group, fiar_comm_t** out_comm);

// The same for what a rank does without the others: it may not be ready (peers and caps unknown).
fiar_status_t fiar_comm_alone(fiar_comm_t* comm, int32_t group, fiar_comm_t** out_comm);

// No group of the process or of the calling thread names the communicator from now on.
void fiar_groups_forget(const fiar_comm_t* comm);

int64_t fiar_now_ns(void);   // monotonic
int64_t fiar_host_id(void);  // equal for processes that can reach one another's abstract sockets

// ---- The board: ranks of one host over shared memory, processes or threads ----
extern const fiar_transport_t fiar_board_transport;

// All ranks' states at once, for threads of one process.
fiar_status_t fiar_board_create_threads(int32_t world, void** out_states);

// Collective among processes (or threads) of one host that agree on `name`. world >= 2.
fiar_status_t fiar_board_join(const char* name, int32_t rank, int32_t world, int64_t deadline_ns,
                              void** out_state);

// ---- Meeting: how the processes of a board get at its memory ----
//
// Rank 0 passes the descriptor `fd` to all others, who
// get their own in *out_fd; rank 0 gets its own back. `attach` (each rank's) runs before anyone
// returns; where one fails all fail alike.
typedef fiar_status_t (*fiar_attach_fn)(void* context, int fd);
fiar_status_t fiar_meet(const char* name, int32_t rank, int32_t world, int64_t deadline_ns, int fd,
                        fiar_attach_fn attach, void* context);

#endif  // FIAR_COMM_COMM_H
