/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/sim/ph-sim-endpoint.h"

static PhEndpoint *
endpoint_of (void *core)
{
  return ((PhSimEndpoint *)core)->endpoint;
}

void
ph_sim_endpoint_handle_packet (void *core, PhTime now, const PhDatagram *in)
{
  ph_endpoint_handle_packet (endpoint_of (core), now, in);
}

bool
ph_sim_endpoint_poll_transmit (void *core, PhTime now, PhTransmit *tx)
{
  return ph_endpoint_poll_transmit (endpoint_of (core), now, tx);
}

bool
ph_sim_endpoint_poll_connection (void *core, PhConnectionOp *ret_op)
{
  return ph_endpoint_poll_connection (endpoint_of (core), ret_op);
}

void
ph_sim_endpoint_handle_connection (void *core, PhTime now, const PhConnectionEvent *event)
{
  ph_endpoint_handle_connection (endpoint_of (core), now, event);
}

void
ph_sim_endpoint_set_blocked (void *core, uint32_t socket, bool blocked)
{
  ph_endpoint_set_blocked (endpoint_of (core), socket, blocked);
}

void
ph_sim_tell_session (PhSession *session, PhTime now, PhConnectorEvent *event)
{
  switch (event->type) {
  case PH_CONNECTOR_EVENT_LINK_WRITABLE:
  case PH_CONNECTOR_EVENT_LINK_READY:
    ph_session_set_peer_takes_early (session, event->peer_takes_early);
    ph_session_add_link (session, now, event->link, event->overtaken);
    break;
  case PH_CONNECTOR_EVENT_LINK:
    ph_session_handle_link_event (session, now, event->link, &event->link_event);
    ph_buf_slice_clear (&event->link_event.data);
    break;
  case PH_CONNECTOR_EVENT_LINK_CLOSED:
    ph_session_link_closed (session, now, event->link);
    break;
  case PH_CONNECTOR_EVENT_PATH:
  case PH_CONNECTOR_EVENT_FAILED:
    break;
  }
}

PhTime
ph_sim_session_timeout (const PhSession *session, PhTime when, const char **ret_why)
{
  const char *why = "";
  const PhTime at = ph_session_next_timeout (session, &why);

  if (at >= when)
    return when;
  *ret_why = why;
  return at;
}

static bool
is_over (void *user)
{
  const PhPeerTransfer *transfer = user;

  return transfer->past != PH_PAST_UNKNOWN;
}

bool
ph_sim_run_over (PhSim *sim, const PhPeerTransfer *transfer, PhTime interval)
{
  return ph_sim_run_while_not (sim, ph_sim_now (sim) + interval, is_over, (void *)transfer);
}
