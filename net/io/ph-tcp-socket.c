/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-sockaddr.h"
#include "net/io/ph-tcp-private.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* Enough for the kernel to go on while this thread is busy for some milliseconds on a fast line, and little
 * enough for a message to get through on a slow one. */
#define UNSENT_BYTES (256 << 10)
/* From here on a path is long, and may lose packets for other reasons than being full: the line
 * between BBR and CUBIC that the links over datagrams draw too. */
#define FAR_RTT_USEC 1000

static bool
set_option (int fd, int level, int option, int value)
{
  return setsockopt (fd, level, option, &value, sizeof value) == 0;
}

static int
fail_closed (int fd)
{
  const int error = errno;

  close (fd);
  errno = error;
  return -1;
}

int
ph_tcp_socket_new (uint8_t family)
{
  const int domain = family == PH_FAMILY_IPV6 ? AF_INET6 : AF_INET;

  return socket (domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int
ph_tcp_socket_new_bound (const PhAddr *local)
{
  PhSockaddr name;
  const socklen_t len = ph_sockaddr_from_addr (local, &name);
  const int fd = ph_tcp_socket_new (local->family);

  if (fd < 0)
    return -1;
  if (local->family == PH_FAMILY_IPV6 && !set_option (fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
    return fail_closed (fd);
  /* Both, on every socket of a port: with SO_REUSEADDR alone nothing may connect from where another
   * socket listens. */
  if (!set_option (fd, SOL_SOCKET, SO_REUSEADDR, 1) || !set_option (fd, SOL_SOCKET, SO_REUSEPORT, 1)
      || bind (fd, &name.sa, len) != 0)
    return fail_closed (fd);
  return fd;
}

void
ph_tcp_socket_hold_to (int fd, uint32_t interface)
{
  /* Where it fails the socket is no worse than without. */
  set_option (fd, SOL_SOCKET, SO_BINDTOIFINDEX, (int)interface);
}

bool
ph_tcp_socket_name (int fd, PhAddr *ret_local)
{
  PhSockaddr name;
  socklen_t len = sizeof name;

  if (getsockname (fd, &name.sa, &len) != 0)
    return false;
  *ret_local = ph_sockaddr_to_addr (&name.sa);
  return true;
}

static void
set_congestion (int fd)
{
  struct tcp_info info = {0};
  socklen_t len = sizeof info;
  const char *name = "cubic";

  if (getsockopt (fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_rtt > FAR_RTT_USEC)
    name = "bbr";
  /* Where the kernel lacks it, or does not let us, its default stays. */
  setsockopt (fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen (name));
}

void
ph_tcp_socket_opened (int fd)
{
  set_option (fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option (fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES);
  set_congestion (fd);
}

void
ph_tcp_socket_reset_on_close (int fd)
{
  const struct linger linger = {.l_onoff = 1, .l_linger = 0};

  setsockopt (fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}
