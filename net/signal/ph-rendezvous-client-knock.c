/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-rendezvous-client-private.h"

/* What the server may take to answer beyond the knock's own time: a slow line, both ways. */
#define ANSWER_MAX (PH_RENDEZVOUS_KNOCK_TIME + 10 * PH_SEC)

/* Both addresses or none: a server that does not knock says neither, and so does one that is older. */
void
ph_client_read_knock (PhRendezvousClient *self, JsonObject *welcome)
{
  const char *from = ph_json_string (welcome, "knock_from");
  const char *to = ph_json_string (welcome, "knock_to");

  self->can_knock = from != NULL && to != NULL && ph_addr_parse (from, 1, &self->knock_from)
                    && ph_addr_parse (to, 1, &self->knock_to)
                    && self->knock_from.family == self->knock_to.family;
}

bool
ph_rendezvous_client_can_knock (const PhRendezvousClient *self, PhAddr *ret_from, PhAddr *ret_to)
{
  if (self->state != PH_RENDEZVOUS_ONLINE || !self->can_knock)
    return false;
  *ret_from = self->knock_from;
  *ret_to = self->knock_to;
  ret_from->port = ret_to->port = 0;
  return true;
}

bool
ph_rendezvous_client_knock (PhRendezvousClient *self, PhTime now, uint16_t port,
                            const uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN])
{
  JsonObject *message;

  if (self->state != PH_RENDEZVOUS_ONLINE || !self->can_knock || self->knock_by != PH_NEVER
      || port < PH_RENDEZVOUS_KNOCK_PORT_MIN)
    return false;
  message = ph_json_message ("knock");
  json_object_set_int_member (message, "port", port);
  ph_json_set_bytes (message, "token", ph_slice (token, PH_RENDEZVOUS_KNOCK_TOKEN_LEN));
  ph_client_send (self, message);
  self->knock_by = ph_time_add (now, ANSWER_MAX);
  return true;
}

void
ph_client_knock_ended (PhRendezvousClient *self, PhRendezvousCode code)
{
  if (self->knock_by == PH_NEVER)
    return;
  self->knock_by = PH_NEVER;
  ph_client_event (self, PH_RENDEZVOUS_EVENT_KNOCKED)->event.code = code;
}

void
ph_client_knock_timeout (PhRendezvousClient *self, PhTime now)
{
  if (now >= self->knock_by)
    ph_client_knock_ended (self, PH_RENDEZVOUS_TIMED_OUT);
}
