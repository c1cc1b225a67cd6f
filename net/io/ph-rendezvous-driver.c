/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-rendezvous-driver.h"

#include "net/io/ph-clock.h"
#include "net/io/ph-nat64-address.h"
#include "net/io/ph-timer.h"
#include "net/io/ph-websocket.h"

struct _PhRendezvousDriver {
  PhRendezvousClient *client; /* owned */
  PhWebsocket *socket; /* owned; NULL while not dialled */
  PhTimer *timer; /* owned */
  PhRendezvousEventFunc func;
  void *user;
  PhNat64Prefix nat64; /* len 0: none */
  bool settling;
  bool again; /* something came in while settling */
};

static void
on_open (void *user)
{
  PhRendezvousDriver *self = user;

  ph_rendezvous_client_handle_open (self->client, ph_clock_now ());
  ph_rendezvous_driver_settle (self);
}

static void
on_text (void *user, PhSlice text)
{
  PhRendezvousDriver *self = user;

  ph_rendezvous_client_handle_text (self->client, ph_clock_now (), text);
  ph_rendezvous_driver_settle (self);
}

static void
on_ended (void *user, PhWebsocketEnd end, uint16_t close_code, const char *why)
{
  static const PhRendezvousCode codes[] = {
      [PH_WEBSOCKET_UNREACHABLE] = PH_RENDEZVOUS_UNREACHABLE,
      [PH_WEBSOCKET_NOT_TRUSTED] = PH_RENDEZVOUS_NOT_TRUSTED,
      [PH_WEBSOCKET_REFUSED] = PH_RENDEZVOUS_NOT_A_RENDEZVOUS,
      [PH_WEBSOCKET_CLOSED] = PH_RENDEZVOUS_LOST,
  };
  PhRendezvousDriver *self = user;

  ph_rendezvous_client_handle_closed (self->client, ph_clock_now (), codes[end], close_code, why);
  g_clear_pointer (&self->socket, ph_websocket_free);
  ph_rendezvous_driver_settle (self);
}

static void
on_timer (void *user, PhTime now)
{
  PhRendezvousDriver *self = user;

  ph_rendezvous_client_handle_timeout (self->client, now);
  ph_rendezvous_driver_settle (self);
}

PhRendezvousDriver *
ph_rendezvous_driver_new (const PhRendezvousClientConfig *config, PhRendezvousEventFunc func,
                          void *user)
{
  PhRendezvousDriver *self = g_new0 (PhRendezvousDriver, 1);

  self->client = ph_rendezvous_client_new (config);
  self->timer = ph_timer_new (g_main_context_get_thread_default (), on_timer, self);
  self->func = func;
  self->user = user;
  return self;
}

void
ph_rendezvous_driver_free (PhRendezvousDriver *self)
{
  if (self == NULL)
    return;
  g_assert (!self->settling);
  ph_websocket_free (self->socket);
  ph_timer_free (self->timer);
  ph_rendezvous_client_free (self->client);
  g_free (self);
}

PhRendezvousClient *
ph_rendezvous_driver_client (PhRendezvousDriver *self)
{
  return self->client;
}

/* Only a literal address is our business: names are the DNS64's. */
static GSocketConnectable *
reach (const PhRendezvousDriver *self, const PhRendezvousAddress *address)
{
  PhAddr literal;

  if (self->nat64.len == 0 || !ph_addr_parse (strstr (address->origin, "://") + 3, 0, &literal))
    return NULL;
  return ph_nat64_address_new (&self->nat64, &literal);
}

static void
dial (PhRendezvousDriver *self)
{
  static const PhWebsocketCallbacks callbacks = {on_open, on_text, on_ended};
  const PhRendezvousAddress *address = ph_rendezvous_client_address (self->client);
  g_autoptr (GSocketConnectable) reached_at = reach (self, address);
  const PhWebsocketConfig config = {
      .url = address->url,
      .address = reached_at,
      .subprotocol = PH_RENDEZVOUS_SUBPROTOCOL,
      .pin = address->has_pin ? address->pin : NULL,
      .frame_max = PH_RENDEZVOUS_FRAME_MAX,
  };

  g_clear_pointer (&self->socket, ph_websocket_free);
  self->socket = ph_websocket_new (&config, &callbacks, self);
}

static void
drain (PhRendezvousDriver *self)
{
  PhRendezvousRequest request;
  PhRendezvousEvent event;
  char *text;

  while ((request = ph_rendezvous_client_poll_request (self->client))
         != PH_RENDEZVOUS_REQUEST_NONE) {
    if (request == PH_RENDEZVOUS_REQUEST_CONNECT)
      dial (self);
    else
      g_clear_pointer (&self->socket, ph_websocket_free);
  }
  while ((text = ph_rendezvous_client_poll_text (self->client)) != NULL) {
    if (self->socket != NULL)
      ph_websocket_send (self->socket, text);
    g_free (text);
  }
  while (ph_rendezvous_client_poll_event (self->client, &event))
    self->func (self->user, ph_clock_now (), &event);
}

void
ph_rendezvous_driver_settle (PhRendezvousDriver *self)
{
  const char *why;

  /* Called by a callback of ours, or by libsoup within a send: the one that runs goes round again. */
  self->again = true;
  if (self->settling)
    return;
  self->settling = true;
  while (self->again) {
    self->again = false;
    drain (self);
  }
  self->settling = false;
  ph_timer_arm (self->timer, ph_rendezvous_client_next_timeout (self->client, &why));
}

bool
ph_rendezvous_driver_remote (const PhRendezvousDriver *self, PhAddr *ret_remote)
{
  return self->socket != NULL && ph_websocket_remote (self->socket, ret_remote);
}

void
ph_rendezvous_driver_set_nat64 (PhRendezvousDriver *self, const PhNat64Prefix *prefix)
{
  self->nat64 = *prefix;
}

void
ph_rendezvous_driver_network_changed (PhRendezvousDriver *self)
{
  const PhTime now = ph_clock_now ();

  if (self->socket != NULL && ph_websocket_is_stranded (self->socket)) {
    ph_rendezvous_client_handle_closed (self->client, now, PH_RENDEZVOUS_LOST, 0,
                                        "its address is gone");
    g_clear_pointer (&self->socket, ph_websocket_free);
  }
  ph_rendezvous_client_network_changed (self->client, now);
  ph_rendezvous_driver_settle (self);
}
