/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files of the TCP driver:
 *
 *   ph-tcp.c             ports, operations, what the owner asks
 *   ph-tcp-connection.c  one connection: its bytes, its states, its end
 *   ph-tcp-socket.c      descriptors and their options
 */

#pragma once

#include "net/io/ph-tcp.h"

typedef struct {
  PhTcp *tcp; /* borrowed */
  uint32_t id;
  int fd;
  PhAddr local;
  PhAddr bound; /* `local`, but on a way */
  PhNat64Way way; /* prefix.len 0: none */
  uint32_t outlet; /* 0: none */
  unsigned n_accepted; /* connections that are still there */
  GSource *source; /* what waits for strangers, or for descriptors to take them with */
} PhTcpPort;

typedef enum {
  PH_TCP_CONNECTING,
  PH_TCP_OPEN,
  PH_TCP_CLOSING, /* we have said our last; waiting for the other side */
  PH_TCP_DEAD, /* out of the table; freed when nobody runs it */
} PhTcpState;

typedef struct {
  PhTcp *tcp; /* borrowed */
  PhTcpState state;
  uint32_t id;
  uint32_t port;
  bool accepted;
  bool flushing; /* to be closed when what is kept has gone */
  int fd; /* -1: it has failed already, with `error` */
  int error; /* of connecting, to be told */
  PhAddr local;
  PhAddr remote;
  PhAddr own; /* the IP of `local` on a way; unset: as the kernel says */
  GSource *source;
  void *tag; /* of `fd` in `source`; NULL: none */
  bool dispatching;

  /* What did not fit. */
  uint8_t *kept;
  size_t kept_off;
  size_t kept_len;
} PhTcpConnection;

struct _PhTcp {
  GMainContext *context; /* owned, or NULL */
  PhTcpCallbacks callbacks;
  void *user;
  GPtrArray *ports; /* PhTcpPort, owned */
  GHashTable *connections; /* id -> PhTcpConnection, owned */
  PhTcpStats stats;
  bool freed;
  unsigned dispatching; /* sources that run: the memory stays until they are through */
};

/* --- ph-tcp.c --- */

PhTcpPort *ph_tcp_find_port (const PhTcp *self, uint32_t id);
/* Takes what is waiting at the port. */
void ph_tcp_accept (PhTcpPort *port);
/* Around callbacks: false if the owner has freed us meanwhile (then nothing may be touched). */
void ph_tcp_enter (PhTcp *self);
bool ph_tcp_leave (PhTcp *self);

/* --- ph-tcp-connection.c --- */

PhTcpConnection *ph_tcp_connection_new (PhTcp *self, uint32_t id, PhTcpPort *port, int fd,
                                        const PhAddr *remote, PhTcpState state);
/* Takes it off the table, with a reset if `reset`. */
void ph_tcp_connection_end (PhTcpConnection *self, bool reset);
void ph_tcp_connection_close (PhTcpConnection *self);
/* Lets the kernel end it. */
void ph_tcp_connection_leave (PhTcpConnection *self);
PhTcpResult ph_tcp_connection_send (PhTcpConnection *self, const uint8_t *data, size_t len);
/* Notes the local address; false, with errno: there is none. */
bool ph_tcp_connection_note_local (PhTcpConnection *self);
void ph_tcp_connection_tell (PhTcpConnection *self, PhConnectionEventType type);

/* --- ph-tcp-socket.c --- */

/* Both: -1 with errno. */
int ph_tcp_socket_new (uint8_t family);
/* Shares its port with others that are bound like this. */
int ph_tcp_socket_new_bound (const PhAddr *local);
/* Whatever it sends leaves by this interface. For good: only root takes it back. */
void ph_tcp_socket_hold_to (int fd, uint32_t interface);
/* What depends on the path: after the handshake. */
void ph_tcp_socket_opened (int fd);
void ph_tcp_socket_reset_on_close (int fd);
bool ph_tcp_socket_name (int fd, PhAddr *ret_local);
