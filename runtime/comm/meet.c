// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How processes of one host find one another: rank 0 listens on an abstract Unix socket, the others
// connect and get the memory's descriptor. Abstract names vanish with their process and the memory
// has no name at all, so whatever dies when, nothing is left behind.
//
//   others  hello ->  0     world and rank, checked
//   0  reply + fd ->  others
//   others  ack ->    0     the memory is attached, or why not
//   0  reply ->       others  the agreed outcome
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "comm/comm.h"
#include "fiar/version.h"

enum { MAGIC = 0x72616966, RETRY_MS = 5, HELLO_MS = 2000 };

typedef struct message {
  uint32_t magic;
  int32_t rank, world;
  int32_t status;
  char text[256];
} message_t;

static uint64_t hash_text(const char* text) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);  // FNV-1a
  for (; *text != '\0'; ++text) {
    hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
  }
  return hash;
}

int64_t fiar_host_id(void) {
  char boot[64] = "";
  FILE* file = fopen("/proc/sys/kernel/random/boot_id", "re");
  if (file) {
    (void)!fread(boot, 1, sizeof boot - 1, file);
    (void)fclose(file);
  }
  struct stat network;  // abstract sockets do not cross network namespaces
  const uint64_t space = stat("/proc/self/ns/net", &network) == 0 ? (uint64_t)network.st_ino : 0;
  return (int64_t)(hash_text(boot) ^ space * UINT64_C(0x9e3779b97f4a7c15));
}

static socklen_t address_of(const char* name, struct sockaddr_un* address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  const int length =
      snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "fiar.%u.%016llx",
               (unsigned)getuid(), (unsigned long long)hash_text(name));
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static int left_ms(int64_t deadline_ns) {
  const int64_t left = (deadline_ns - fiar_now_ns()) / 1000000;
  return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static bool same_user(int fd) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == getuid();
}

// The socket takes a message whole or not at all (SOCK_SEQPACKET). fd < 0: none goes along.
static fiar_status_t send_message(int socket_fd, int32_t to, const message_t* message, int fd) {
  struct iovec part = {.iov_base = (void*)message, .iov_len = sizeof *message};
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd >= 0) {
    packet.msg_control = control.room;
    packet.msg_controllen = sizeof control.room;
    struct cmsghdr* header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  if (sendmsg(socket_fd, &packet, MSG_NOSIGNAL) != (ssize_t)sizeof *message) {
    return FIAR_FAIL(PEER_LOST, "rank %d has ended or given up while the ranks met (%s)", to,
                     strerror(errno));
  }
  return FIAR_OK;
}

static fiar_status_t receive_message(int socket_fd, int32_t from, int64_t deadline_ns,
                                     message_t* out_message, int* out_fd) {
  struct pollfd wait = {.fd = socket_fd, .events = POLLIN};
  int ready;
  do {
    ready = poll(&wait, 1, left_ms(deadline_ns));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) {
    return FIAR_FAIL(TIMEOUT, "rank %d did not answer in time while the ranks met", from);
  }
  struct iovec part = {.iov_base = out_message, .iov_len = sizeof *out_message};
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct msghdr packet = {.msg_iov = &part,
                          .msg_iovlen = 1,
                          .msg_control = control.room,
                          .msg_controllen = sizeof control.room};
  const ssize_t got = recvmsg(socket_fd, &packet, MSG_CMSG_CLOEXEC);
  if (got <= 0) {
    return FIAR_FAIL(PEER_LOST, "rank %d has ended or given up while the ranks met", from);
  }
  const struct cmsghdr* header = CMSG_FIRSTHDR(&packet);
  if (header && header->cmsg_type == SCM_RIGHTS) {
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    if (out_fd) {
      *out_fd = fd;
    } else {
      (void)close(fd);
    }
  }
  if (got != (ssize_t)sizeof *out_message || out_message->magic != MAGIC) {
    return FIAR_FAIL(MISMATCH, "rank %d runs another version of fiar than this one's %s", from,
                     FIAR_VERSION_STRING);
  }
  return FIAR_OK;
}

static message_t message_of(int32_t rank, int32_t world, fiar_status_t status) {
  message_t message = {.magic = MAGIC, .rank = rank, .world = world, .status = (int32_t)status};
  if (status != FIAR_OK) {
    (void)snprintf(message.text, sizeof message.text, "%s", fiar_last_error());
  }
  return message;
}

static fiar_status_t status_of(const message_t* message) {
  return message->status == FIAR_OK ? FIAR_OK
                                    : fiar_fail((fiar_status_t)message->status, "%.*s",
                                                (int)sizeof message->text, message->text);
}

// ---- Rank 0 ----

static fiar_status_t fail_absent(const int* sockets, int32_t world) {
  char absent[256] = "";
  size_t used = 0;
  for (int32_t rank = 1; rank < world && used + 16 < sizeof absent; ++rank) {
    if (sockets[rank] < 0) {
      used += (size_t)snprintf(absent + used, sizeof absent - used, "%s%d", used ? ", " : "", rank);
    }
  }
  return FIAR_FAIL(TIMEOUT, "rank %s of %d did not arrive in time", absent, world);
}

static fiar_status_t check_hello(const message_t* hello, const int* sockets, int32_t world) {
  if (hello->world != world) {
    return FIAR_FAIL(MISMATCH, "rank 0 was told of %d ranks, rank %d of %d", world, hello->rank,
                     hello->world);
  }
  if (hello->rank < 1 || hello->rank >= world || sockets[hello->rank] >= 0) {
    return FIAR_FAIL(MISMATCH,
                     "two processes say that they are rank %d of %d; give each job its FIAR_JOB_ID",
                     hello->rank, world);
  }
  return FIAR_OK;
}

// Fills in sockets[1 .. world). A process that does not fit in is told so and fails all.
static fiar_status_t accept_ranks(int listener, int32_t world, int64_t deadline_ns, int* sockets) {
  for (int32_t arrived = 1; arrived < world;) {
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    const int left = left_ms(deadline_ns);  // looked at also where strangers keep coming
    const int ready = left > 0 ? poll(&wait, 1, left) : 0;
    if (ready < 0 && errno == EINTR) {
      continue;
    }
    if (ready <= 0) {
      return fail_absent(sockets, world);
    }
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED) {
        continue;
      }
      return FIAR_FAIL(SYSTEM_ERROR, "accept4: %s", strerror(errno));
    }
    // One that connects and says nothing must not use up the others' time.
    const int64_t hello_ns = fiar_now_ns() + (int64_t)HELLO_MS * 1000000;
    message_t hello;
    if (!same_user(fd) || receive_message(fd, -1, hello_ns < deadline_ns ? hello_ns : deadline_ns,
                                          &hello, NULL) != FIAR_OK) {
      (void)close(fd);  // not one of ours, or ended at once: its rank will be missed
      continue;
    }
    const fiar_status_t status = check_hello(&hello, sockets, world);
    if (status != FIAR_OK) {
      const message_t reply = message_of(0, world, status);
      (void)send_message(fd, hello.rank, &reply, -1);
      (void)close(fd);
      return status_of(&reply);
    }
    sockets[hello.rank] = fd;
    ++arrived;
  }
  return FIAR_OK;
}

static fiar_status_t send_all(const int* sockets, int32_t world, fiar_status_t status, int fd) {
  const message_t reply = message_of(0, world, status);
  for (int32_t rank = 1; rank < world; ++rank) {
    if (sockets[rank] >= 0) {
      const fiar_status_t sent = send_message(sockets[rank], rank, &reply, fd);
      status = status == FIAR_OK ? sent : status;
    }
  }
  return reply.status == FIAR_OK ? status : status_of(&reply);
}

static fiar_status_t collect_acks(const int* sockets, int32_t world, int64_t deadline_ns) {
  for (int32_t rank = 1; rank < world; ++rank) {
    message_t ack;
    FIAR_TRY(receive_message(sockets[rank], rank, deadline_ns, &ack, NULL));
    FIAR_TRY(status_of(&ack));
  }
  return FIAR_OK;
}

static fiar_status_t listen_at(const char* name, int* out_listener) {
  struct sockaddr_un address;
  const socklen_t length = address_of(name, &address);
  *out_listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (*out_listener < 0) {
    return FIAR_FAIL(SYSTEM_ERROR, "socket(AF_UNIX): %s", strerror(errno));
  }
  if (bind(*out_listener, (const struct sockaddr*)&address, length) != 0) {
    return errno == EADDRINUSE
               ? FIAR_FAIL(MISMATCH,
                           "another process is rank 0 of a job called \"%s\"; give each job its "
                           "FIAR_JOB_ID",
                           name)
               : FIAR_FAIL(SYSTEM_ERROR, "bind(\"%s\"): %s", address.sun_path + 1, strerror(errno));
  }
  if (listen(*out_listener, FIAR_MAX_WORLD) != 0) {
    return FIAR_FAIL(SYSTEM_ERROR, "listen: %s", strerror(errno));
  }
  return FIAR_OK;
}

static fiar_status_t meet_as_first(const char* name, int32_t world, int64_t deadline_ns, int fd,
                                   fiar_attach_fn attach, void* context) {
  int sockets[FIAR_MAX_WORLD];
  memset(sockets, -1, sizeof sockets);
  int listener = -1;
  fiar_status_t status = listen_at(name, &listener);
  if (status == FIAR_OK) {
    status = accept_ranks(listener, world, deadline_ns, sockets);
    status = status == FIAR_OK ? attach(context, fd) : status;
    const fiar_status_t sent = send_all(sockets, world, status, status == FIAR_OK ? fd : -1);
    if (status == FIAR_OK) {
      status = sent == FIAR_OK ? collect_acks(sockets, world, deadline_ns) : sent;
      status = send_all(sockets, world, status, -1);
    }
  }
  for (int32_t rank = 1; rank < world; ++rank) {
    if (sockets[rank] >= 0) {
      (void)close(sockets[rank]);
    }
  }
  if (listener >= 0) {
    (void)close(listener);
  }
  return status;
}

// ---- The others ----

static fiar_status_t connect_to(const char* name, int64_t deadline_ns, int* out_socket) {
  struct sockaddr_un address;
  const socklen_t length = address_of(name, &address);
  *out_socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (*out_socket < 0) {
    return FIAR_FAIL(SYSTEM_ERROR, "socket(AF_UNIX): %s", strerror(errno));
  }
  while (connect(*out_socket, (const struct sockaddr*)&address, length) != 0) {
    if (errno != ECONNREFUSED && errno != ENOENT && errno != EAGAIN && errno != EINTR) {
      return FIAR_FAIL(SYSTEM_ERROR, "connect(\"%s\"): %s", address.sun_path + 1, strerror(errno));
    }
    if (left_ms(deadline_ns) == 0) {
      return FIAR_FAIL(TIMEOUT, "rank 0 did not arrive in time");
    }
    (void)poll(NULL, 0, RETRY_MS);
  }
  return same_user(*out_socket)
             ? FIAR_OK
             : FIAR_FAIL(SYSTEM_ERROR, "another user listens at \"%s\"", address.sun_path + 1);
}

static fiar_status_t meet_as_other(const char* name, int32_t rank, int32_t world,
                                   int64_t deadline_ns, fiar_attach_fn attach, void* context) {
  int fd = -1, socket_fd = -1;
  message_t message = message_of(rank, world, FIAR_OK);
  // Rank 0 knows first who is missing; give its answer a moment to get here.
  const int64_t patient_ns = deadline_ns + INT64_C(1000000000);
  fiar_status_t status = FIAR_OK;
  FIAR_TRY_DONE(connect_to(name, deadline_ns, &socket_fd));
  FIAR_TRY_DONE(send_message(socket_fd, 0, &message, -1));
  FIAR_TRY_DONE(receive_message(socket_fd, 0, patient_ns, &message, &fd));
  FIAR_TRY_DONE(status_of(&message));
  const message_t ack = message_of(rank, world, attach(context, fd));
  FIAR_TRY_DONE(send_message(socket_fd, 0, &ack, -1));
  FIAR_TRY_DONE(receive_message(socket_fd, 0, patient_ns, &message, NULL));
  FIAR_TRY_DONE(status_of(&message));
done:
  if (fd >= 0) {
    (void)close(fd);
  }
  if (socket_fd >= 0) {
    (void)close(socket_fd);
  }
  return status;
}

fiar_status_t fiar_meet(const char* name, int32_t rank, int32_t world, int64_t deadline_ns, int fd,
                        fiar_attach_fn attach, void* context) {
  return rank == 0 ? meet_as_first(name, world, deadline_ns, fd, attach, context)
                   : meet_as_other(name, rank, world, deadline_ns, attach, context);
}
