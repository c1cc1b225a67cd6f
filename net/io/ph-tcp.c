/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-sockaddr.h"
#include "net/io/ph-tcp-private.h"

#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

#define BACKLOG 64
/* How long a port is left alone while there are no descriptors: who waits there is still there then, and a
 * port that is watched meanwhile would only say that they wait. */
#define PAUSE_MS 250

/* --- Life --------------------------------------------------------------------------------------- */

static void
port_free (gpointer data)
{
  PhTcpPort *port = data;

  g_source_destroy (port->source);
  g_source_unref (port->source);
  close (port->fd);
  g_free (port);
}

PhTcp *
ph_tcp_new (GMainContext *context, const PhTcpCallbacks *callbacks, void *user)
{
  PhTcp *self = g_new0 (PhTcp, 1);

  self->context = context != NULL ? g_main_context_ref (context) : NULL;
  self->callbacks = *callbacks;
  self->user = user;
  self->ports = g_ptr_array_new_with_free_func (port_free);
  self->connections = g_hash_table_new (NULL, NULL);
  return self;
}

static void
destroy (PhTcp *self)
{
  g_clear_pointer (&self->context, g_main_context_unref);
  g_ptr_array_unref (self->ports);
  g_hash_table_unref (self->connections);
  g_free (self);
}

void
ph_tcp_free (PhTcp *self)
{
  if (self == NULL || self->freed)
    return;

  g_autoptr (GPtrArray) connections = g_hash_table_get_values_as_ptr_array (self->connections);

  self->freed = true;
  for (guint i = 0; i < connections->len; i++)
    ph_tcp_connection_leave (connections->pdata[i]);
  g_ptr_array_set_size (self->ports, 0);
  if (self->dispatching == 0)
    destroy (self);
}

void
ph_tcp_enter (PhTcp *self)
{
  self->dispatching++;
}

bool
ph_tcp_leave (PhTcp *self)
{
  if (!self->freed && self->dispatching == 1)
    self->callbacks.batch_done (self->user);
  self->dispatching--;
  if (!self->freed)
    return true;
  if (self->dispatching == 0)
    destroy (self);
  return false;
}

/* --- Ports -------------------------------------------------------------------------------------- */

PhTcpPort *
ph_tcp_find_port (const PhTcp *self, uint32_t id)
{
  for (guint i = 0; i < self->ports->len; i++) {
    PhTcpPort *port = self->ports->pdata[i];

    if (port->id == id)
      return port;
  }
  return NULL;
}

static void
take_accepted (PhTcpPort *port, int fd, PhAddr remote)
{
  PhTcp *self = port->tcp;
  PhTcpConnection *connection;

  if (port->n_accepted >= PH_TCP_ACCEPTED_MAX || !ph_addr_is_set (&remote)
      || (port->way.prefix.len > 0 && !ph_nat64_extract (&port->way.prefix, &remote, &remote))) {
    ph_tcp_socket_reset_on_close (fd);
    close (fd);
    return;
  }
  ph_tcp_socket_opened (fd);
  connection = ph_tcp_connection_new (self, self->callbacks.new_id (self->user), port, fd, &remote,
                                      PH_TCP_OPEN);
  connection->accepted = true;
  port->n_accepted++;
  ph_tcp_connection_note_local (connection);
  ph_tcp_connection_tell (connection, PH_CONNECTION_ACCEPTED);
}

static void watch (PhTcpPort *port);

static gboolean
pause_over (gpointer data)
{
  PhTcpPort *port = data;

  watch (port);
  return G_SOURCE_REMOVE;
}

static void
set_source (PhTcpPort *port, GSource *source, GSourceFunc func)
{
  if (port->source != NULL) {
    g_source_destroy (port->source);
    g_source_unref (port->source);
  }
  port->source = source;
  g_source_set_static_name (source, "porthole TCP port");
  g_source_set_callback (source, func, port, NULL);
  g_source_attach (source, port->tcp->context);
}

static bool
is_shortage (int error)
{
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void
ph_tcp_accept (PhTcpPort *port)
{
  PhTcp *self = port->tcp;
  const uint32_t id = port->id;

  /* The owner may end the port in a callback. */
  for (unsigned i = 0; i < BACKLOG && ph_tcp_find_port (self, id) == port; i++) {
    PhSockaddr name;
    socklen_t len = sizeof name;
    const int fd = accept4 (port->fd, &name.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
      if (is_shortage (errno))
        set_source (port, g_timeout_source_new (PAUSE_MS), pause_over);
      return;
    }

    take_accepted (port, fd, ph_sockaddr_to_addr (&name.sa));
  }
}

static gboolean
port_ready (int fd, GIOCondition condition, gpointer data)
{
  PhTcpPort *port = data;
  PhTcp *self = port->tcp;

  ph_tcp_enter (self);
  ph_tcp_accept (port);
  ph_tcp_leave (self);
  return G_SOURCE_CONTINUE;
}

static void
watch (PhTcpPort *port)
{
  set_source (port, g_unix_fd_source_new (port->fd, G_IO_IN), G_SOURCE_FUNC (port_ready));
}

static bool
fail (GError **error, const PhAddr *local, int err)
{
  char text[PH_ADDR_STRING_MAX];
  GIOErrorEnum code = err == EADDRNOTAVAIL ? G_IO_ERROR_NOT_FOUND : g_io_error_from_errno (err);

  g_set_error (error, G_IO_ERROR, (int)code, "TCP %s: %s", ph_addr_format (local, text),
               g_strerror (err));
  return false;
}

static bool
listen_at (PhTcp *self, uint32_t id, const PhAddr *local, const PhNat64Way *way, GError **error)
{
  const int fd = ph_tcp_socket_new_bound (local);
  PhTcpPort *port;

  g_assert (ph_tcp_find_port (self, id) == NULL);
  if (fd < 0)
    return fail (error, local, errno);

  port = g_new0 (PhTcpPort, 1);
  port->tcp = self;
  port->id = id;
  port->fd = fd;
  if (listen (fd, BACKLOG) != 0 || !ph_tcp_socket_name (fd, &port->bound)) {
    fail (error, local, errno);
    close (fd);
    g_free (port);
    return false;
  }
  port->local = port->bound;
  if (way != NULL) {
    port->way = *way;
    port->local = way->own;
    port->local.port = port->bound.port;
  }
  watch (port);
  g_ptr_array_add (self->ports, port);
  return true;
}

bool
ph_tcp_listen (PhTcp *self, uint32_t id, const PhAddr *local, GError **error)
{
  return listen_at (self, id, local, NULL, error);
}

bool
ph_tcp_listen_on_way (PhTcp *self, uint32_t id, const PhNat64Way *way, GError **error)
{
  return listen_at (self, id, &way->base, way, error);
}

void
ph_tcp_set_outlet (PhTcp *self, uint32_t id, uint32_t interface)
{
  PhTcpPort *port = ph_tcp_find_port (self, id);

  if (port == NULL || port->outlet == interface)
    return;
  port->outlet = interface;
  if (interface != 0)
    ph_tcp_socket_hold_to (port->fd, interface);
}

void
ph_tcp_unlisten (PhTcp *self, uint32_t id)
{
  PhTcpPort *port = ph_tcp_find_port (self, id);

  if (port != NULL)
    g_ptr_array_remove (self->ports, port);
}

/* --- Operations --------------------------------------------------------------------------------- */

static PhTcpConnection *
find (const PhTcp *self, uint32_t id)
{
  return g_hash_table_lookup (self->connections, GUINT_TO_POINTER (id));
}

static int
new_from (const PhTcpPort *port)
{
  const int fd = ph_tcp_socket_new_bound (&port->bound);

  if (fd >= 0 && port->outlet != 0)
    ph_tcp_socket_hold_to (fd, port->outlet);
  return fd;
}

static void
open_connection (PhTcp *self, const PhConnectionOp *op)
{
  PhTcpPort *port = ph_tcp_find_port (self, op->port);
  PhTcpConnection *connection;
  PhAddr to = op->remote;
  PhSockaddr name;
  socklen_t len = 0;
  int error = 0;
  int fd = -1;

  g_assert (find (self, op->socket) == NULL);
  if (port == NULL || port->way.prefix.len == 0
      || ph_nat64_synthesise (&port->way.prefix, &to, &to))
    len = ph_sockaddr_from_addr (&to, &name);
  if (len == 0 || (op->port != 0 && port == NULL))
    error = ENETUNREACH; /* nothing leads there, or the port is gone */
  else if ((fd = port != NULL ? new_from (port) : ph_tcp_socket_new (op->remote.family)) < 0)
    error = errno;
  else if (connect (fd, &name.sa, len) != 0 && errno != EINPROGRESS)
    error = errno;
  if (error != 0 && fd >= 0) {
    close (fd);
    fd = -1;
  }
  connection = ph_tcp_connection_new (self, op->socket, port, fd, &op->remote, PH_TCP_CONNECTING);
  connection->error = error;
  if (error != 0) /* told later, without a descriptor: there may be none */
    g_source_set_ready_time (connection->source, 0);
}

void
ph_tcp_do (PhTcp *self, const PhConnectionOp *op)
{
  PhTcpConnection *connection;

  if (op->type == PH_CONNECTION_OPEN) {
    open_connection (self, op);
    return;
  }
  connection = find (self, op->socket);
  if (connection == NULL)
    return;
  if (op->type == PH_CONNECTION_ABORT)
    ph_tcp_connection_end (connection, true);
  else
    ph_tcp_connection_close (connection);
}

PhTcpResult
ph_tcp_send (PhTcp *self, const PhTransmit *tx)
{
  PhTcpConnection *connection = find (self, tx->socket);

  return connection != NULL ? ph_tcp_connection_send (connection, tx->data, tx->len) : PH_TCP_ERROR;
}

/* --- Asking ------------------------------------------------------------------------------------- */

const PhAddr *
ph_tcp_local (const PhTcp *self, uint32_t id)
{
  const PhTcpPort *port = ph_tcp_find_port (self, id);
  const PhTcpConnection *connection = find (self, id);

  if (port != NULL)
    return &port->local;
  return connection != NULL ? &connection->local : NULL;
}

bool
ph_tcp_is_blocked (const PhTcp *self, uint32_t socket)
{
  const PhTcpConnection *connection = find (self, socket);

  return connection != NULL && connection->kept_len > 0;
}

const PhTcpStats *
ph_tcp_stats (const PhTcp *self)
{
  return &self->stats;
}

unsigned
ph_tcp_n_connections (const PhTcp *self)
{
  return g_hash_table_size (self->connections);
}

int
ph_tcp_fd (const PhTcp *self, uint32_t id)
{
  const PhTcpPort *port = ph_tcp_find_port (self, id);
  const PhTcpConnection *connection = find (self, id);

  if (port != NULL)
    return port->fd;
  return connection != NULL ? connection->fd : -1;
}
