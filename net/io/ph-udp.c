/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-udp-private.h"

#include <errno.h>
#include <glib-unix.h>
#include <netinet/udp.h>
#include <unistd.h>

/* Several milliseconds of a 10 Gbit/s line: what arrives while the engine is busy elsewhere. */
#define SOCKET_BUFFER_BYTES (4 << 20)

typedef struct {
  GSource source;
  PhUdp *udp; /* borrowed; NULL once closed */
} UdpSource;

/* --- Making -------------------------------------------------------------------------------------- */

static bool
set_option (int fd, int level, int option, int value)
{
  return setsockopt (fd, level, option, &value, sizeof value) == 0;
}

static void
set_buffer (int fd, int forced_option, int option)
{
  /* The forced one is not bounded by net.core.*mem_max, and is for root only. */
  if (!set_option (fd, SOL_SOCKET, forced_option, SOCKET_BUFFER_BYTES))
    set_option (fd, SOL_SOCKET, option, SOCKET_BUFFER_BYTES);
}

/* None of these is needed for datagrams to flow. */
static void
set_options (PhUdp *self, PhUdpFlags flags)
{
  set_buffer (self->fd, SO_RCVBUFFORCE, SO_RCVBUF);
  set_buffer (self->fd, SO_SNDBUFFORCE, SO_SNDBUF);
  set_option (self->fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  if (self->local.family == PH_FAMILY_IPV4 && self->way.prefix.len == 0) {
    struct in_addr out;

    /* Multicast leaves by the interface that has this address, whatever the routes say. */
    memcpy (&out, self->local.ip, sizeof out);
    setsockopt (self->fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out);
    set_option (self->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    set_option (self->fd, IPPROTO_IP, IP_RECVTOS, 1);
  } else {
    set_option (self->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    set_option (self->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  }
  if ((flags & PH_UDP_NO_GRO) == 0)
    set_option (self->fd, SOL_UDP, UDP_GRO, 1);
  /* Setting the default segment size to none fails where the kernel does not know the option. */
  self->gso = (flags & PH_UDP_NO_GSO) == 0 && set_option (self->fd, SOL_UDP, UDP_SEGMENT, 0);
}

static bool
fail (GError **error, const PhAddr *local, int err)
{
  char text[PH_ADDR_STRING_MAX];
  GIOErrorEnum code = err == EADDRNOTAVAIL ? G_IO_ERROR_NOT_FOUND : g_io_error_from_errno (err);

  g_set_error (error, G_IO_ERROR, (int)code, "UDP %s: %s", ph_addr_format (local, text),
               g_strerror (err));
  return false;
}

static bool
open_socket (PhUdp *self, const PhAddr *local, GError **error)
{
  PhSockaddr name;
  socklen_t len = ph_sockaddr_from_addr (local, &name);

  self->fd = socket (name.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (self->fd < 0)
    return fail (error, local, errno);
  if (local->family == PH_FAMILY_IPV6 && !set_option (self->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
    return fail (error, local, errno);
  if (bind (self->fd, &name.sa, len) != 0)
    return fail (error, local, errno);
  len = sizeof name;
  if (getsockname (self->fd, &name.sa, &len) != 0)
    return fail (error, local, errno);
  self->local = ph_sockaddr_to_addr (&name.sa);
  return true;
}

/* --- The source ---------------------------------------------------------------------------------- */

static void
listen_for (PhUdp *self, GIOCondition condition)
{
  g_source_modify_unix_fd (self->source, self->source_tag, condition);
}

static void
send_kept (PhUdp *self)
{
  if (ph_udp_transmit (self, &self->kept) == PH_UDP_BLOCKED)
    return;
  self->kept.len = 0;
  listen_for (self, G_IO_IN);
  self->callbacks.writable (self->user, self->id);
}

static void
destroy (PhUdp *self)
{
  g_source_unref (self->source);
  g_free (self->kept_data);
  g_free (self);
}

static gboolean
udp_dispatch (GSource *source, GSourceFunc unused, gpointer unused_data)
{
  PhUdp *self = ((UdpSource *)source)->udp;
  GIOCondition condition;

  if (self == NULL)
    return G_SOURCE_REMOVE;
  condition = g_source_query_unix_fd (source, self->source_tag);
  self->dispatching = true;
  if ((condition & (G_IO_IN | G_IO_ERR | G_IO_HUP)) != 0)
    ph_udp_receive (self);
  if (!self->closed && (condition & G_IO_OUT) != 0 && self->kept.len > 0)
    send_kept (self);
  self->dispatching = false;
  if (self->closed) {
    destroy (self);
    return G_SOURCE_REMOVE;
  }
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs udp_funcs = {.dispatch = udp_dispatch};

static void
attach (PhUdp *self, GMainContext *context)
{
  self->source = g_source_new (&udp_funcs, sizeof (UdpSource));
  ((UdpSource *)self->source)->udp = self;
  g_source_set_static_name (self->source, "porthole UDP");
  self->source_tag = g_source_add_unix_fd (self->source, self->fd, G_IO_IN);
  g_source_attach (self->source, context);
}

/* --- Public -------------------------------------------------------------------------------------- */

static PhUdp *
udp_new (GMainContext *context, uint32_t id, const PhAddr *local, const PhNat64Way *way,
         PhUdpFlags flags, const PhUdpCallbacks *callbacks, void *user, GError **error)
{
  PhUdp *self;

  g_assert (ph_addr_is_set (local));
  self = g_new0 (PhUdp, 1);
  self->id = id;
  self->callbacks = *callbacks;
  self->user = user;
  if (way != NULL)
    self->way = *way;
  if (!open_socket (self, local, error)) {
    if (self->fd >= 0)
      close (self->fd);
    g_free (self);
    return NULL;
  }
  if (way != NULL) {
    const uint16_t port = self->local.port;

    self->local = way->own;
    self->local.port = port;
  }
  set_options (self, flags);
  attach (self, context);
  return self;
}

PhUdp *
ph_udp_new (GMainContext *context, uint32_t id, const PhAddr *local, PhUdpFlags flags,
            const PhUdpCallbacks *callbacks, void *user, GError **error)
{
  return udp_new (context, id, local, NULL, flags, callbacks, user, error);
}

PhUdp *
ph_udp_new_on_way (GMainContext *context, uint32_t id, const PhNat64Way *way,
                   const PhUdpCallbacks *callbacks, void *user, GError **error)
{
  return udp_new (context, id, &way->base, way, PH_UDP_DEFAULT, callbacks, user, error);
}

void
ph_udp_free (PhUdp *self)
{
  if (self == NULL || self->closed)
    return;
  self->closed = true;
  ((UdpSource *)self->source)->udp = NULL;
  g_source_destroy (self->source);
  close (self->fd);
  if (!self->dispatching)
    destroy (self);
}

uint32_t
ph_udp_id (const PhUdp *self)
{
  return self->id;
}

const PhAddr *
ph_udp_local (const PhUdp *self)
{
  return &self->local;
}

const PhNat64Way *
ph_udp_way (const PhUdp *self)
{
  return self->way.prefix.len > 0 ? &self->way : NULL;
}

void
ph_udp_set_outlet (PhUdp *self, uint32_t interface)
{
  const bool ipv4 = self->local.family == PH_FAMILY_IPV4;

  /* Not SO_BINDTODEVICE: that cannot be taken back, and keeps out what comes in another way. */
  if (interface != self->outlet
      && set_option (self->fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6,
                     ipv4 ? IP_UNICAST_IF : IPV6_UNICAST_IF, (int)htonl (interface)))
    self->outlet = interface;
}

uint32_t
ph_udp_outlet (const PhUdp *self)
{
  return self->outlet;
}

/* Where packets to `remote` go, in its place; false: nowhere from here. */
static bool
address (const PhUdp *self, PhAddr *remote)
{
  if (self->way.prefix.len > 0)
    return ph_nat64_synthesise (&self->way.prefix, remote, remote);
  return remote->family == self->local.family;
}

PhUdpResult
ph_udp_send (PhUdp *self, const PhTransmit *tx)
{
  PhTransmit rest = *tx;
  PhUdpResult result;

  if (self->kept.len > 0 || !address (self, &rest.remote)) {
    self->stats.soft_errors++;
    return PH_UDP_ERROR;
  }
  result = ph_udp_transmit (self, &rest);
  if (result == PH_UDP_BLOCKED) {
    g_assert (rest.len <= PH_TRANSMIT_MAX);
    if (self->kept_data == NULL)
      self->kept_data = g_malloc (PH_TRANSMIT_MAX);
    memcpy (self->kept_data, rest.data, rest.len);
    self->kept = rest;
    self->kept.data = self->kept_data;
    listen_for (self, G_IO_IN | G_IO_OUT);
  }
  return result;
}

bool
ph_udp_is_blocked (const PhUdp *self)
{
  return self->kept.len > 0;
}

const PhUdpStats *
ph_udp_stats (const PhUdp *self)
{
  return &self->stats;
}

bool
ph_udp_uses_gso (const PhUdp *self)
{
  return self->gso;
}

int
ph_udp_fd (const PhUdp *self)
{
  return self->fd;
}
