/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One UDP socket on a GMainContext.
 *
 * What comes in is read in large batches (recvmmsg, UDP_GRO), split into single datagrams and handed
 * over; when nothing more is there, or a bounded amount was read, `batch_done` tells the owner to
 * settle once for all of it: hundreds of packets then share one acknowledgement. What goes out is one
 * system call per PhTransmit (UDP_SEGMENT); where the kernel refuses that, datagrams go out one by
 * one in sendmmsg calls from then on.
 *
 * Datagrams are never fragmented (path MTU discovery is the transport's): one that is too large for
 * the interface counts as sent and lost. ICMP errors are not reported: anybody can forge them.
 *
 * All calls and callbacks are on the thread that runs the context. The receive buffers are shared by
 * all sockets of a thread, so that hundreds of sockets cost no memory; a callback must not run the
 * context again. */

#pragma once

#include "net/base/ph-datagram.h"
#include "net/nat/ph-nat64.h"

#include <gio/gio.h>

typedef struct _PhUdp PhUdp;

typedef struct {
  /* Datagrams in order of arrival, borrowed for the call. */
  void (*received) (void *user, const PhDatagram *datagrams, size_t n);
  /* No more for now: after one or more `received`. */
  void (*batch_done) (void *user);
  /* Socket `socket`, which had answered PH_UDP_BLOCKED, takes more. */
  void (*writable) (void *user, uint32_t socket);
} PhUdpCallbacks;

typedef enum {
  PH_UDP_SENT, /* gone; or lost on the way, as datagrams may be */
  PH_UDP_BLOCKED, /* kept, and sent later: send no more on this socket until `writable` */
  PH_UDP_ERROR, /* not sent and dropped (no route, no buffer space, blocked before): a loss */
} PhUdpResult;

/* For showing and for tests. A datagram of a batch counts as one datagram. */
typedef struct {
  uint64_t datagrams_sent;
  uint64_t datagrams_received;
  uint64_t bytes_sent;
  uint64_t bytes_received;
  uint64_t send_calls;
  uint64_t receive_calls;
  uint64_t gso_batches; /* system calls that sent more than one datagram with UDP_SEGMENT */
  uint64_t gro_batches; /* receive buffers that held more than one datagram */
  uint64_t blocked; /* times the socket's send buffer was full */
  uint64_t too_large; /* datagrams larger than the interface's MTU */
  uint64_t soft_errors; /* sends that the system refused for a reason that may pass */
  uint64_t truncated; /* datagrams larger than a receive buffer, thrown away */
  uint64_t kernel_drops; /* datagrams the kernel threw away because the receive buffer was full */
} PhUdpStats;

typedef enum {
  PH_UDP_DEFAULT = 0,
  PH_UDP_NO_GSO = 1 << 0, /* for tests: as on a kernel or device without the offload */
  PH_UDP_NO_GRO = 1 << 1,
} PhUdpFlags;

/* Binds to `local` (port 0: any) and listens on `context` (NULL: the default one). `id` is put into
 * every datagram. `callbacks` is copied; `user` outlives the socket. Errors are of G_IO_ERROR, among
 * them ADDRESS_IN_USE, NOT_FOUND (this computer does not have the address) and PERMISSION_DENIED. */
PhUdp *ph_udp_new (GMainContext *context, uint32_t id, const PhAddr *local, PhUdpFlags flags,
                   const PhUdpCallbacks *callbacks, void *user, GError **error);
/* The same on a way through a NAT64 translator (ph-nat64.h): bound to the way's IPv6 address, while its local
 * address and those of everybody else are of IPv4. What it cannot translate it does not send, and what
 * does not come from the translator it does not receive. */
PhUdp *ph_udp_new_on_way (GMainContext *context, uint32_t id, const PhNat64Way *way,
                          const PhUdpCallbacks *callbacks, void *user, GError **error);
/* Closes at once; a kept transmit is dropped. May be called in a callback. */
void ph_udp_free (PhUdp *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhUdp, ph_udp_free)

uint32_t ph_udp_id (const PhUdp *self);
/* The bound address, with its real port. */
const PhAddr *ph_udp_local (const PhUdp *self);
/* NULL: it is an ordinary socket. */
const PhNat64Way *ph_udp_way (const PhUdp *self);
/* What is sent leaves by this interface, whatever the routes prefer (ph_outlet_for()); 0: as they say. Not of a
 * socket on a way. */
void ph_udp_set_outlet (PhUdp *self, uint32_t interface);
uint32_t ph_udp_outlet (const PhUdp *self);
/* tx->socket is not looked at. tx->data is read before this returns. */
PhUdpResult ph_udp_send (PhUdp *self, const PhTransmit *tx);
bool ph_udp_is_blocked (const PhUdp *self);
const PhUdpStats *ph_udp_stats (const PhUdp *self);
/* Whether batches still leave as one system call. */
bool ph_udp_uses_gso (const PhUdp *self);
/* For tests that provoke the kernel. */
int ph_udp_fd (const PhUdp *self);
