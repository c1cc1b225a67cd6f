/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-sockaddr.h"
#include "net/io/ph-tcp-private.h"

#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

/* One read: what a fast line brings while this thread was away. */
#define READ_BYTES (256 << 10)
/* And what is read before others get their turn. */
#define TURN_BYTES (1 << 20)
/* What is kept of a full connection: one batch, and the small messages that come while it waits. */
#define KEPT_MAX (PH_TRANSMIT_MAX + (16 << 10))
/* The other side has so long to take what we sent last. */
#define CLOSING_USEC (5 * G_USEC_PER_SEC)

typedef struct {
  GSource source;
  PhTcpConnection *connection; /* borrowed; NULL once it is freed */
} ConnectionSource;

static GPrivate thread_buffer = G_PRIVATE_INIT (g_free);

static uint8_t *
get_buffer (void)
{
  uint8_t *buffer = g_private_get (&thread_buffer);

  if (buffer == NULL) {
    buffer = g_malloc (READ_BYTES);
    g_private_set (&thread_buffer, buffer);
  }
  return buffer;
}

static void
destroy (PhTcpConnection *self)
{
  g_source_unref (self->source);
  g_free (self->kept);
  g_free (self);
}

static void
listen_for (PhTcpConnection *self, GIOCondition condition)
{
  g_source_modify_unix_fd (self->source, self->tag, condition);
}

void
ph_tcp_connection_end (PhTcpConnection *self, bool reset)
{
  PhTcpPort *port = ph_tcp_find_port (self->tcp, self->port);

  g_assert (self->state != PH_TCP_DEAD);
  self->state = PH_TCP_DEAD;
  if (self->accepted && port != NULL)
    port->n_accepted--;
  g_hash_table_steal (self->tcp->connections, GUINT_TO_POINTER (self->id));
  ((ConnectionSource *)self->source)->connection = NULL;
  g_source_destroy (self->source);
  if (reset && self->fd >= 0)
    ph_tcp_socket_reset_on_close (self->fd);
  if (self->fd >= 0)
    close (self->fd);
  if (!self->dispatching)
    destroy (self);
}

void
ph_tcp_connection_tell (PhTcpConnection *self, PhConnectionEventType type)
{
  const PhConnectionEvent event = {
      .type = type,
      .socket = self->id,
      .port = self->port,
      .local = self->local,
      .remote = self->remote,
  };

  self->tcp->callbacks.event (self->tcp->user, &event);
}

bool
ph_tcp_connection_note_local (PhTcpConnection *self)
{
  if (!ph_tcp_socket_name (self->fd, &self->local))
    return false;
  if (ph_addr_is_set (&self->own)) {
    self->own.port = self->local.port;
    self->local = self->own;
  }
  return true;
}

/* --- Connecting -------------------------------------------------------------------------------- */

static PhConnectionEventType
judge (int error)
{
  switch (error) {
  case ECONNREFUSED:
  case ECONNRESET:
    return PH_CONNECTION_REFUSED;
  case EADDRNOTAVAIL:
  case EADDRINUSE:
    return PH_CONNECTION_IN_USE;
  default:
    return PH_CONNECTION_UNREACHABLE;
  }
}

/* The event is told after the connection has gone, so that its owner may ask for the next one. */
static void
fail (PhTcpConnection *self, int error)
{
  PhTcpPort *port = ph_tcp_find_port (self->tcp, self->port);
  const PhConnectionEventType type = judge (error);

  if (type == PH_CONNECTION_IN_USE && port != NULL)
    ph_tcp_accept (port); /* the kernel may hold the connection that we wanted */
  if (self->state == PH_TCP_DEAD)
    return;
  ph_tcp_connection_end (self, true);
  ph_tcp_connection_tell (self, type);
}

static void
connected (PhTcpConnection *self)
{
  int error = self->error;
  socklen_t len = sizeof error;

  if (error == 0 && getsockopt (self->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
    error = errno;
  if (error != 0 || !ph_tcp_connection_note_local (self)) {
    fail (self, error);
    return;
  }
  self->state = PH_TCP_OPEN;
  ph_tcp_socket_opened (self->fd);
  listen_for (self, G_IO_IN);
  ph_tcp_connection_tell (self, PH_CONNECTION_OPENED);
}

/* --- Bytes -------------------------------------------------------------------------------------- */

/* The other side has closed, or the connection is broken. */
static void
hung_up (PhTcpConnection *self)
{
  const bool told = self->state == PH_TCP_CLOSING || self->flushing;

  ph_tcp_connection_end (self, true);
  if (!told)
    ph_tcp_connection_tell (self, PH_CONNECTION_CLOSED);
}

static bool
is_wanted (const PhTcpConnection *self)
{
  return self->state == PH_TCP_OPEN && !self->flushing;
}

static void
receive (PhTcpConnection *self)
{
  uint8_t *buffer = get_buffer ();
  size_t total = 0;

  while (total < TURN_BYTES && self->state != PH_TCP_DEAD) {
    const ssize_t n = recv (self->fd, buffer, READ_BYTES, MSG_DONTWAIT);

    self->tcp->stats.receive_calls++;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (n <= 0) {
      hung_up (self);
      return;
    }
    total += (size_t)n;
    self->tcp->stats.bytes_received += (uint64_t)n;
    if (is_wanted (self)) {
      const PhDatagram in = {
          .socket = self->id,
          .remote = self->remote,
          .bytes = ph_slice (buffer, (size_t)n),
      };

      self->tcp->callbacks.received (self->tcp->user, &in);
    }
    if (n < READ_BYTES)
      return; /* a short read has emptied it */
  }
}

/* How much the kernel takes; 0: nothing for now. An error is the next read's to tell. */
static size_t
write_some (PhTcpConnection *self, const uint8_t *data, size_t len)
{
  ssize_t n;

  do
    n = send (self->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  self->tcp->stats.send_calls++;
  if (n <= 0)
    return 0;
  self->tcp->stats.bytes_sent += (uint64_t)n;
  return (size_t)n;
}

static void
shut_down (PhTcpConnection *self)
{
  self->state = PH_TCP_CLOSING;
  listen_for (self, G_IO_IN);
  shutdown (self->fd, SHUT_WR);
}

static void
send_kept (PhTcpConnection *self)
{
  const size_t n = write_some (self, self->kept + self->kept_off, self->kept_len - self->kept_off);

  self->kept_off += n;
  if (self->kept_off < self->kept_len)
    return;
  self->kept_off = self->kept_len = 0;
  if (self->flushing) {
    shut_down (self);
    return;
  }
  listen_for (self, G_IO_IN);
  self->tcp->callbacks.writable (self->tcp->user, self->id);
}

static bool
keep (PhTcpConnection *self, const uint8_t *data, size_t len)
{
  const size_t waiting = self->kept_len - self->kept_off;

  if (waiting + len > KEPT_MAX)
    return false;
  if (self->kept == NULL)
    self->kept = g_malloc (KEPT_MAX);
  memmove (self->kept, self->kept + self->kept_off, waiting);
  memcpy (self->kept + waiting, data, len);
  self->kept_off = 0;
  self->kept_len = waiting + len;
  listen_for (self, G_IO_IN | G_IO_OUT);
  return true;
}

PhTcpResult
ph_tcp_connection_send (PhTcpConnection *self, const uint8_t *data, size_t len)
{
  size_t n = 0;

  if (!is_wanted (self))
    return PH_TCP_ERROR;
  if (self->kept_len == 0)
    n = write_some (self, data, len);
  if (n == len)
    return PH_TCP_SENT;
  self->tcp->stats.blocked++;
  return keep (self, data + n, len - n) ? PH_TCP_BLOCKED : PH_TCP_ERROR;
}

void
ph_tcp_connection_close (PhTcpConnection *self)
{
  if (self->state == PH_TCP_CONNECTING) {
    ph_tcp_connection_end (self, true);
    return;
  }
  if (!is_wanted (self))
    return;
  g_source_set_ready_time (self->source, g_get_monotonic_time () + CLOSING_USEC);
  self->flushing = self->kept_len > 0;
  if (!self->flushing)
    shut_down (self);
}

void
ph_tcp_connection_leave (PhTcpConnection *self)
{
  const bool open = self->state == PH_TCP_OPEN || self->state == PH_TCP_CLOSING;
  uint8_t unread[4096];

  /* Bytes that nobody has read would make the kernel reset the connection, with what it has yet to send. */
  if (open) {
    shutdown (self->fd, SHUT_WR);
    while (recv (self->fd, unread, sizeof unread, MSG_DONTWAIT) > 0)
      ;
  }
  ph_tcp_connection_end (self, !open);
}

/* --- The source --------------------------------------------------------------------------------- */

static void
run (PhTcpConnection *self, GIOCondition condition)
{
  if (self->state == PH_TCP_CONNECTING) {
    connected (self);
    return;
  }
  if (g_source_get_ready_time (self->source) >= 0
      && g_get_monotonic_time () >= g_source_get_ready_time (self->source)) {
    ph_tcp_connection_end (self, true);
    return;
  }
  if ((condition & (G_IO_IN | G_IO_ERR | G_IO_HUP)) != 0)
    receive (self);
  if (self->state == PH_TCP_OPEN && (condition & G_IO_OUT) != 0 && self->kept_len > 0)
    send_kept (self);
}

static gboolean
dispatch (GSource *source, GSourceFunc unused, gpointer unused_data)
{
  PhTcpConnection *self = ((ConnectionSource *)source)->connection;

  if (self == NULL)
    return G_SOURCE_REMOVE;

  PhTcp *tcp = self->tcp;

  ph_tcp_enter (tcp);
  self->dispatching = true;
  run (self, self->tag != NULL ? g_source_query_unix_fd (source, self->tag) : 0);
  self->dispatching = false;

  const bool dead = self->state == PH_TCP_DEAD;

  if (dead)
    destroy (self);
  ph_tcp_leave (tcp);
  return dead ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = dispatch};

PhTcpConnection *
ph_tcp_connection_new (PhTcp *tcp, uint32_t id, PhTcpPort *port, int fd, const PhAddr *remote,
                       PhTcpState state)
{
  PhTcpConnection *self = g_new0 (PhTcpConnection, 1);

  self->tcp = tcp;
  self->state = state;
  self->id = id;
  self->port = port != NULL ? port->id : 0;
  if (port != NULL && port->way.prefix.len > 0)
    self->own = port->way.own;
  self->fd = fd;
  self->remote = *remote;
  self->source = g_source_new (&source_funcs, sizeof (ConnectionSource));
  ((ConnectionSource *)self->source)->connection = self;
  g_source_set_static_name (self->source, "porthole TCP");
  if (fd >= 0)
    self->tag =
        g_source_add_unix_fd (self->source, fd, state == PH_TCP_CONNECTING ? G_IO_OUT : G_IO_IN);
  g_source_attach (self->source, tcp->context);
  g_hash_table_insert (tcp->connections, GUINT_TO_POINTER (id), self);
  return self;
}
