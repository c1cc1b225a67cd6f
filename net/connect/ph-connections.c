/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect/ph-connections.h"

struct _PhConnections {
  uint32_t last_id;
  GPtrArray *all; /* PhConnection, owned */
  GArray *ops; /* PhConnectionOp */
};

PhConnections *
ph_connections_new (void)
{
  PhConnections *self = g_new0 (PhConnections, 1);

  self->last_id = PH_SOCKET_CONNECTION;
  self->all = g_ptr_array_new_with_free_func (g_free);
  self->ops = g_array_new (FALSE, FALSE, sizeof (PhConnectionOp));
  return self;
}

void
ph_connections_free (PhConnections *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->all);
  g_array_unref (self->ops);
  g_free (self);
}

PhConnection *
ph_connections_find (const PhConnections *self, uint32_t id)
{
  for (unsigned i = 0; i < self->all->len; i++) {
    PhConnection *connection = self->all->pdata[i];

    if (connection->id == id)
      return connection;
  }
  return NULL;
}

PhConnection *
ph_connections_between (const PhConnections *self, uint32_t port, const PhAddr *remote)
{
  for (unsigned i = 0; i < self->all->len; i++) {
    PhConnection *connection = self->all->pdata[i];

    if (connection->open && connection->port == port && ph_addr_equal (&connection->remote, remote))
      return connection;
  }
  return NULL;
}

static PhConnection *
add (PhConnections *self, uint32_t id, uint32_t port, const PhAddr *remote, PhConnectionUse use)
{
  PhConnection *connection = g_new0 (PhConnection, 1);

  connection->id = id;
  connection->port = port;
  connection->remote = *remote;
  connection->use = use;
  connection->stranger_until = PH_NEVER;
  g_ptr_array_add (self->all, connection);
  return connection;
}

static void
ask (PhConnections *self, PhConnectionOpType type, uint32_t id, uint32_t port, const PhAddr *remote)
{
  const PhConnectionOp op = {
      .type = type,
      .socket = id,
      .port = port,
      .remote = remote != NULL ? *remote : (PhAddr){0},
  };

  g_array_append_val (self->ops, op);
}

uint32_t
ph_connections_open (PhConnections *self, uint32_t port, const PhAddr *remote, PhConnectionUse use)
{
  if (self->all->len >= PH_CONNECTIONS_MAX)
    return 0;
  add (self, ++self->last_id, port, remote, use);
  ask (self, PH_CONNECTION_OPEN, self->last_id, port, remote);
  return self->last_id;
}

static void
forget (PhConnections *self, uint32_t id, PhConnectionOpType how)
{
  PhConnection *connection = ph_connections_find (self, id);

  if (connection == NULL)
    return;
  ask (self, how, id, 0, NULL);
  g_ptr_array_remove_fast (self->all, connection);
}

void
ph_connections_close (PhConnections *self, uint32_t id)
{
  forget (self, id, PH_CONNECTION_CLOSE);
}

void
ph_connections_abort (PhConnections *self, uint32_t id)
{
  forget (self, id, PH_CONNECTION_ABORT);
}

static bool
may_accept (const PhConnections *self, const PhAddr *remote)
{
  unsigned strangers = 0;
  unsigned alike = 0;

  for (unsigned i = 0; i < self->all->len; i++) {
    const PhConnection *connection = self->all->pdata[i];

    if (connection->use != PH_CONNECTION_STRANGER)
      continue;
    strangers++;
    alike += ph_addr_equal_ip (&connection->remote, remote);
  }
  return self->all->len < PH_CONNECTIONS_MAX && strangers < PH_CONNECTIONS_STRANGERS_MAX
         && alike < PH_CONNECTIONS_STRANGERS_PER_IP_MAX;
}

static bool
handle_accepted (PhConnections *self, PhTime now, const PhConnectionEvent *event)
{
  PhConnection *connection;

  if (!may_accept (self, &event->remote)) {
    ask (self, PH_CONNECTION_ABORT, event->socket, 0, NULL);
    return false;
  }
  connection = add (self, event->socket, event->port, &event->remote, PH_CONNECTION_STRANGER);
  connection->open = true;
  connection->stranger_until = ph_time_add (now, PH_CONNECTIONS_STRANGER);
  return true;
}

bool
ph_connections_handle_event (PhConnections *self, PhTime now, const PhConnectionEvent *event)
{
  PhConnection *connection;

  if (event->type == PH_CONNECTION_ACCEPTED)
    return handle_accepted (self, now, event);
  connection = ph_connections_find (self, event->socket);
  if (connection == NULL)
    return false; /* its end is on the way to the driver */
  if (event->type == PH_CONNECTION_OPENED)
    connection->open = true;
  else
    g_ptr_array_remove_fast (self->all, connection);
  return true;
}

bool
ph_connections_poll_op (PhConnections *self, PhConnectionOp *ret_op)
{
  if (self->ops->len == 0)
    return false;
  *ret_op = g_array_index (self->ops, PhConnectionOp, 0);
  g_array_remove_index (self->ops, 0);
  return true;
}

void
ph_connections_frame (PhConnections *self, PhTransmit *tx)
{
  const PhConnection *connection = ph_connections_find (self, tx->socket);

  if (connection == NULL || connection->use == PH_CONNECTION_SERVER)
    return;
  if (tx->headroom == 0) {
    g_assert (tx->len + PH_ICE_FRAME_HEADER_LEN <= tx->cap);
    memmove (tx->data + PH_ICE_FRAME_HEADER_LEN, tx->data, tx->len);
    tx->len += PH_ICE_FRAME_HEADER_LEN;
  }
  g_assert (tx->headroom == 0 || tx->headroom == PH_ICE_FRAME_HEADER_LEN);
  ph_ice_frame_write_header (tx->data, tx->len - PH_ICE_FRAME_HEADER_LEN);
}

void
ph_connections_handle_timeout (PhConnections *self, PhTime now)
{
  for (unsigned i = self->all->len; i-- > 0;) {
    const PhConnection *connection = self->all->pdata[i];

    if (connection->use == PH_CONNECTION_STRANGER && now >= connection->stranger_until)
      ph_connections_abort (self, connection->id);
  }
}

PhTime
ph_connections_next_timeout (const PhConnections *self, const char **ret_why)
{
  PhTime next = PH_NEVER;

  for (unsigned i = 0; i < self->all->len; i++) {
    const PhConnection *connection = self->all->pdata[i];

    if (connection->use == PH_CONNECTION_STRANGER && connection->stranger_until < next) {
      next = connection->stranger_until;
      *ret_why = "a stranger says nothing";
    }
  }
  return next;
}
