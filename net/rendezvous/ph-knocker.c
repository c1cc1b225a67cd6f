/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/rendezvous/ph-knocker.h"

#include <gio/gio.h>

struct _PhKnocker {
  GMainContext *context; /* owned */
  GPtrArray *calls; /* of Call, owned */
};

typedef struct {
  PhKnocker *knocker; /* borrowed */
  GSocket *socket; /* owned */
  GSource *source; /* owned */
  uint8_t greeting[PH_RENDEZVOUS_GREETING_LEN];
} Call;

static void
call_free (void *data)
{
  Call *call = data;

  if (call->source != NULL)
    g_source_destroy (call->source);
  g_clear_pointer (&call->source, g_source_unref);
  g_clear_object (&call->socket); /* closes it; what was sent is delivered */
  g_free (call);
}

PhKnocker *
ph_knocker_new (void)
{
  PhKnocker *self = g_new0 (PhKnocker, 1);

  self->context = g_main_context_ref_thread_default ();
  self->calls = g_ptr_array_new_with_free_func (call_free);
  return self;
}

void
ph_knocker_free (PhKnocker *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->calls);
  g_main_context_unref (self->context);
  g_free (self);
}

/* Connected, refused, or the socket's time is over. */
static gboolean
on_connected (GSocket *socket, GIOCondition condition, void *user)
{
  Call *call = user;

  if (g_socket_check_connect_result (socket, NULL))
    g_socket_send (socket, (const char *)call->greeting, sizeof call->greeting, NULL, NULL);
  g_ptr_array_remove_fast (call->knocker->calls, call);
  return G_SOURCE_REMOVE;
}

static GSocketAddress *
to_socket_address (const PhAddr *addr)
{
  char text[PH_ADDR_STRING_MAX];

  return g_inet_socket_address_new_from_string (ph_addr_format_ip (addr, text), addr->port);
}

bool
ph_knocker_knock (PhKnocker *self, const PhRoomsKnock *knock)
{
  g_autoptr (GSocketAddress) from = to_socket_address (&knock->from);
  g_autoptr (GSocketAddress) to = to_socket_address (&knock->to);
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocket) socket = g_socket_new (g_socket_address_get_family (to), G_SOCKET_TYPE_STREAM,
                                             G_SOCKET_PROTOCOL_TCP, NULL);
  Call *call;

  if (socket == NULL)
    return false;
  g_socket_set_blocking (socket, FALSE);
  g_socket_set_timeout (socket, PH_RENDEZVOUS_KNOCK_TIME / PH_SEC);
  if (!g_socket_bind (socket, from, FALSE, NULL))
    return false;
  if (!g_socket_connect (socket, to, NULL, &error)
      && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_PENDING))
    return false;

  call = g_new0 (Call, 1);
  call->knocker = self;
  memcpy (call->greeting, knock->greeting, sizeof call->greeting);
  call->source = g_socket_create_source (socket, G_IO_OUT, NULL);
  call->socket = g_steal_pointer (&socket);
  g_source_set_callback (call->source, G_SOURCE_FUNC (on_connected), call, NULL);
  g_source_attach (call->source, self->context);
  g_ptr_array_add (self->calls, call);
  return true;
}
