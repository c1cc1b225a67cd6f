/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All TCP of one owner on a GMainContext: ports that listen and connections, in and out.
 *
 * Every socket of a port is bound with SO_REUSEADDR and SO_REUSEPORT, by bind(2): connections leave from
 * the port that listens, and so from the address that a NAT has given it. (g_socket_bind() would clear
 * SO_REUSEPORT again.) Everything is non-blocking, reads are large, and the kernel is given little more
 * than it can send (TCP_NOTSENT_LOWAT), so that bytes written last do not wait behind megabytes.
 *
 * A connection ends with a reset wherever that loses nothing: a port and an address that have just been
 * connected can then be connected again, instead of waiting out TIME_WAIT.
 *
 * Where the machine has no descriptors left, who wants to connect waits until there are some again, and is
 * taken then; connecting is UNREACHABLE.
 *
 * All calls and callbacks are on the thread that runs the context. Calls may be made in callbacks; a
 * callback is never made within a call. */

#pragma once

#include "net/base/ph-connection.h"
#include "net/nat/ph-nat64.h"

#include <gio/gio.h>

/* What one port keeps of strangers' connections that it has not been asked for, at most: each costs a
 * descriptor. Whoever decides about them does so in seconds. */
#define PH_TCP_ACCEPTED_MAX 128

typedef struct _PhTcp PhTcp;

typedef struct {
  /* An id for a connection that was accepted. */
  uint32_t (*new_id) (void *user);
  void (*event) (void *user, const PhConnectionEvent *event);
  /* Bytes, borrowed for the call. */
  void (*received) (void *user, const PhDatagram *in);
  /* No more for now: after one or more of the two above. */
  void (*batch_done) (void *user);
  /* `socket`, which had answered PH_TCP_BLOCKED, takes more. */
  void (*writable) (void *user, uint32_t socket);
} PhTcpCallbacks;

typedef enum {
  PH_TCP_SENT, /* the kernel has it */
  PH_TCP_BLOCKED, /* kept, and sent later: bulk should wait for `writable`. A little more is kept too */
  PH_TCP_ERROR, /* dropped: no such connection, not open, or too much is kept already */
} PhTcpResult;

typedef struct {
  uint64_t bytes_sent;
  uint64_t bytes_received;
  uint64_t send_calls;
  uint64_t receive_calls;
  uint64_t blocked;
} PhTcpStats;

/* NULL `context`: the default one. `callbacks` is copied; `user` outlives this. */
PhTcp *ph_tcp_new (GMainContext *context, const PhTcpCallbacks *callbacks, void *user);
/* What was sent is still delivered by the kernel, but for what is kept of full connections. May be called in a
 * callback. */
void ph_tcp_free (PhTcp *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhTcp, ph_tcp_free)

/* A port with the id `id` at `local` (its port 0: any). Errors are of G_IO_ERROR, as ph_udp_new()'s. */
bool ph_tcp_listen (PhTcp *self, uint32_t id, const PhAddr *local, GError **error);
/* The same on a way through a NAT64 translator, as ph_udp_new_on_way(). */
bool ph_tcp_listen_on_way (PhTcp *self, uint32_t id, const PhNat64Way *way, GError **error);
/* What the port connects to and what it accepts from here on goes by this interface (ph_outlet_for()); 0: as
 * the routes say, for what it connects to. */
void ph_tcp_set_outlet (PhTcp *self, uint32_t id, uint32_t interface);
/* Its connections stay. */
void ph_tcp_unlisten (PhTcp *self, uint32_t id);
/* The bound address of a port or the local one of a connection; NULL: no such socket. */
const PhAddr *ph_tcp_local (const PhTcp *self, uint32_t id);

void ph_tcp_do (PhTcp *self, const PhConnectionOp *op);
/* tx->socket says which connection; tx->remote is not looked at. */
PhTcpResult ph_tcp_send (PhTcp *self, const PhTransmit *tx);
bool ph_tcp_is_blocked (const PhTcp *self, uint32_t socket);

const PhTcpStats *ph_tcp_stats (const PhTcp *self);
unsigned ph_tcp_n_connections (const PhTcp *self);
/* For tests that look at the kernel's options; -1: no such socket. */
int ph_tcp_fd (const PhTcp *self, uint32_t id);
