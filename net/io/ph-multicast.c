/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-multicast.h"

#include "net/io/ph-sockaddr.h"

#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <unistd.h>

/* Read at most so many before others get their turn: anybody on the network can send them. */
#define DATAGRAMS_MAX 64
#define DATAGRAM_LEN_MAX 2048

struct _PhMulticast {
  PhAddr group;
  int fd;
  GSource *source;
  PhMulticastFunc received;
  void *user;
  bool closed; /* in the callback */
  bool dispatching;
};

static bool
set_option (int fd, int level, int option, int value)
{
  return setsockopt (fd, level, option, &value, sizeof value) == 0;
}

static bool
open_socket (PhMulticast *self)
{
  const bool ipv4 = self->group.family == PH_FAMILY_IPV4;
  PhSockaddr name;
  PhAddr bound = self->group;

  /* A link-local group can be bound to on one interface only: any address, and a look at each datagram's. */
  if (!ipv4)
    memset (bound.ip, 0, sizeof bound.ip);
  bound.scope = 0;

  const socklen_t len = ph_sockaddr_from_addr (&bound, &name);

  self->fd = socket (name.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (self->fd < 0 || !set_option (self->fd, SOL_SOCKET, SO_REUSEADDR, 1))
    return false;
  /* Only what was joined here, not what another program of this computer has joined. */
  if (ipv4)
    return set_option (self->fd, IPPROTO_IP, IP_MULTICAST_ALL, 0)
           && set_option (self->fd, IPPROTO_IP, IP_PKTINFO, 1)
           && bind (self->fd, &name.sa, len) == 0;
  return set_option (self->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
         && set_option (self->fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
         && set_option (self->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
         && bind (self->fd, &name.sa, len) == 0;
}

/* --- Receiving ---------------------------------------------------------------------------------- */

/* Where it came in; 0 if it was not for a group. */
static uint32_t
interface_of (struct msghdr *message)
{
  for (struct cmsghdr *c = CMSG_FIRSTHDR (message); c != NULL; c = CMSG_NXTHDR (message, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;

      memcpy (&info, CMSG_DATA (c), sizeof info);
      return (uint32_t)info.ipi_ifindex;
    }
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;

      memcpy (&info, CMSG_DATA (c), sizeof info);
      return IN6_IS_ADDR_MULTICAST (&info.ipi6_addr) ? info.ipi6_ifindex : 0;
    }
  }
  return 0;
}

/* False when there is nothing (more) to read. */
static bool
receive_one (PhMulticast *self)
{
  uint8_t data[DATAGRAM_LEN_MAX];
  _Alignas (struct cmsghdr) uint8_t control[CMSG_SPACE (sizeof (struct in6_pktinfo))];
  PhSockaddr name;
  struct iovec iov = {data, sizeof data};
  struct msghdr message = {
      .msg_name = &name,
      .msg_namelen = sizeof name,
      .msg_iov = &iov,
      .msg_iovlen = 1,
      .msg_control = control,
      .msg_controllen = sizeof control,
  };
  const ssize_t len = recvmsg (self->fd, &message, 0);

  if (len < 0)
    return errno == EINTR;

  const uint32_t interface = interface_of (&message);

  if (interface != 0 && (message.msg_flags & MSG_TRUNC) == 0) {
    const PhAddr remote = ph_sockaddr_to_addr (&name.sa);

    self->received (self->user, interface, &remote, ph_slice (data, (size_t)len));
  }
  return true;
}

static void
destroy (PhMulticast *self)
{
  if (self->source != NULL)
    g_source_unref (self->source);
  if (self->fd >= 0)
    close (self->fd);
  g_free (self);
}

static gboolean
readable (gint fd, GIOCondition condition, gpointer data)
{
  PhMulticast *self = data;

  self->dispatching = true;
  for (unsigned i = 0; i < DATAGRAMS_MAX && !self->closed && receive_one (self); i++)
    ;
  self->dispatching = false;
  if (self->closed) {
    destroy (self);
    return G_SOURCE_REMOVE;
  }
  return G_SOURCE_CONTINUE;
}

/* --- Public ------------------------------------------------------------------------------------- */

PhMulticast *
ph_multicast_new (GMainContext *context, const PhAddr *group, PhMulticastFunc received, void *user,
                  GError **error)
{
  PhMulticast *self = g_new0 (PhMulticast, 1);

  self->group = *group;
  self->received = received;
  self->user = user;
  if (!open_socket (self)) {
    const int err = errno;

    g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (err), "multicast: %s",
                 g_strerror (err));
    destroy (self);
    return NULL;
  }
  self->source = g_unix_fd_source_new (self->fd, G_IO_IN);
  g_source_set_callback (self->source, G_SOURCE_FUNC (readable), self, NULL);
  g_source_set_static_name (self->source, "porthole multicast");
  g_source_attach (self->source, context);
  return self;
}

void
ph_multicast_free (PhMulticast *self)
{
  if (self == NULL)
    return;
  g_source_destroy (self->source);
  if (self->dispatching)
    self->closed = true;
  else
    destroy (self);
}

static bool
change (PhMulticast *self, uint32_t interface, bool join)
{
  PhSockaddr name;

  ph_sockaddr_from_addr (&self->group, &name);
  if (self->group.family == PH_FAMILY_IPV4) {
    const struct ip_mreqn request = {
        .imr_multiaddr = name.in.sin_addr,
        .imr_ifindex = (int)interface,
    };

    return setsockopt (self->fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                       &request, sizeof request)
           == 0;
  }
  const struct ipv6_mreq request = {
      .ipv6mr_multiaddr = name.in6.sin6_addr,
      .ipv6mr_interface = interface,
  };

  return setsockopt (self->fd, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &request,
                     sizeof request)
         == 0;
}

bool
ph_multicast_join (PhMulticast *self, uint32_t interface)
{
  return change (self, interface, true) || errno == EADDRINUSE;
}

void
ph_multicast_leave (PhMulticast *self, uint32_t interface)
{
  change (self, interface, false);
}
