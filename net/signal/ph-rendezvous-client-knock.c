/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-rendezvous-client-private.h"

/* What the server may take to answer beyond the knock's own time: a slow line, both ways. */
#define ANSWER_MAX (PH_RENDEZVOUS_KNOCK_TIME + 10 * PH_SEC)

/* A server that does not knock, or is older, says nothing. */
void
ph_client_read_knock (PhRendezvousClient *self, JsonObject *welcome)
{
  const char *to = ph_json_string (welcome, "knock_to");

  self->knock_to = (PhAddr){0};
  if (to != NULL && ph_addr_parse (to, 1, &self->knock_to))
    self->knock_to.port = 0;
}

bool
ph_rendezvous_client_can_knock (const PhRendezvousClient *self, PhAddr *ret_to)
{
  if (self->state != PH_RENDEZVOUS_ONLINE || !ph_addr_is_set (&self->knock_to))
    return false;
  *ret_to = self->knock_to;
  return true;
}

uint64_t
ph_rendezvous_client_knock (PhRendezvousClient *self, PhTime now, uint16_t port,
                            const uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN])
{
  PhClientKnock *knock = self->knocks;
  JsonObject *message;
  PhAddr to;

  while (knock < self->knocks + PH_RENDEZVOUS_KNOCKS_MAX && knock->handle != 0)
    knock++;
  if (knock == self->knocks + PH_RENDEZVOUS_KNOCKS_MAX || port < PH_RENDEZVOUS_KNOCK_PORT_MIN
      || !ph_rendezvous_client_can_knock (self, &to))
    return 0;
  message = ph_json_message ("knock");
  json_object_set_int_member (message, "port", port);
  ph_json_set_bytes (message, "token", ph_slice (token, PH_RENDEZVOUS_KNOCK_TOKEN_LEN));
  ph_client_send (self, message);
  knock->handle = self->next_handle++;
  memcpy (knock->token, token, sizeof knock->token);
  knock->by = ph_time_add (now, ANSWER_MAX);
  return knock->handle;
}

static void
end (PhRendezvousClient *self, PhClientKnock *knock, PhRendezvousCode code)
{
  PhClientEvent *event = ph_client_event (self, PH_RENDEZVOUS_EVENT_KNOCKED);

  event->event.handle = knock->handle;
  event->event.code = code;
  knock->handle = 0;
}

void
ph_client_handle_knocked (PhRendezvousClient *self, JsonObject *message, PhRendezvousCode code)
{
  uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN];

  if (!ph_json_bytes (message, "token", token, sizeof token))
    return;
  for (unsigned i = 0; i < PH_RENDEZVOUS_KNOCKS_MAX; i++)
    if (self->knocks[i].handle != 0 && memcmp (self->knocks[i].token, token, sizeof token) == 0)
      end (self, &self->knocks[i], code);
}

void
ph_client_knocks_offline (PhRendezvousClient *self)
{
  for (unsigned i = 0; i < PH_RENDEZVOUS_KNOCKS_MAX; i++)
    if (self->knocks[i].handle != 0)
      end (self, &self->knocks[i], PH_RENDEZVOUS_LOST);
}

void
ph_client_knocks_timeout (PhRendezvousClient *self, PhTime now)
{
  for (unsigned i = 0; i < PH_RENDEZVOUS_KNOCKS_MAX; i++)
    if (self->knocks[i].handle != 0 && now >= self->knocks[i].by)
      end (self, &self->knocks[i], PH_RENDEZVOUS_TIMED_OUT);
}

PhTime
ph_client_knocks_deadline (const PhRendezvousClient *self)
{
  PhTime first = PH_NEVER;

  for (unsigned i = 0; i < PH_RENDEZVOUS_KNOCKS_MAX; i++)
    if (self->knocks[i].handle != 0)
      first = ph_time_min (first, self->knocks[i].by);
  return first;
}
