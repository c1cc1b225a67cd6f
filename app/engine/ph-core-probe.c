/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tries servers, one probe each: for a person who tests an address, and for the round trips of the network
 * report. A meeting point is logged in to with a key made for that: with our own it would throw us out. */

#define G_LOG_DOMAIN "porthole"

#include "config.h"

#include "app/engine/ph-core-probe.h"

#include "net/stun/ph-stun-binding.h"
#include "net/turn/ph-turn-client.h"

#include <glib/gi18n-lib.h>

#define STUN_PORT 3478
#define PROBE_MAX (12 * PH_SEC)
#define SOCKET 1
#define RELAYED_SOCKET 2

struct _PhProbe {
  PhCore *core;
  uint32_t command; /* 0: for the report */
  PhServerKind kind;
  bool log_in; /* what the server is for, not only whether it is there */
  PhIceServer server; /* STUN and TURN */
  PhRendezvousAddress address;
  PhTime begun_at; /* the first packet */
  PhTime deadline;
  bool over; /* freed when no callback of its parts is on the stack */

  PhResolve *resolve;
  PhUdp *udp;
  PhStream *stream;
  PhStunBinding *binding;
  PhTurnClient *turn;
  PhIdentity identity;
  PhRendezvousDriver *driver;
};

static void
probe_free (gpointer data)
{
  PhProbe *self = data;

  if (self->resolve != NULL)
    ph_resolve_cancel (self->resolve);
  g_clear_pointer (&self->driver, ph_rendezvous_driver_free);
  g_clear_pointer (&self->turn, ph_turn_client_free);
  g_clear_pointer (&self->binding, ph_stun_binding_free);
  g_clear_pointer (&self->stream, ph_stream_free);
  g_clear_pointer (&self->udp, ph_udp_free);
  ph_identity_wipe (&self->identity);
  g_free (self);
}

/* --- Ends --------------------------------------------------------------------------------------- */

static void
end (PhProbe *self, PhTime rtt)
{
  PhCore *core = self->core;

  if (self->over)
    return;
  self->over = true;
  ph_core_wake (core);
  if (self->command == 0) {
    PhTime *known[] = {&core->rendezvous_rtt, &core->stun_rtt, &core->relay_rtt};

    *known[self->kind] = rtt;
    if (!ph_core_is_probing (core))
      core->checked_unix = ph_core_unix_now ();
  }
}

static void
well (PhProbe *self, PhTime took)
{
  const double ms = (double)took / (double)PH_MSEC;
  /* Translators: %.0f is a number of milliseconds. */
  g_autofree char *text =
      g_strdup_printf (_ ("It works: it answered after %.0f ms"), MAX (ms, 1.0));

  if (!self->over)
    ph_core_done (self->core, self->command, NULL, text);
  end (self, took);
}

static void
badly (PhProbe *self, const char *sentence)
{
  if (!self->over)
    ph_core_fail (self->core, self->command, PH_ENGINE_ERROR_SERVER, "%s", sentence);
  end (self, PH_NEVER);
}

static void
silent (PhProbe *self)
{
  badly (self, _ ("It does not answer. Check the address, and whether a firewall lets it through"));
}

/* --- Over UDP ----------------------------------------------------------------------------------- */

static void
turn_failed (PhProbe *self, const PhTurnEvent *event)
{
  switch (event->why) {
  case PH_TURN_WHY_UNREACHABLE:
    silent (self);
    break;
  case PH_TURN_WHY_UNAUTHORIZED:
    badly (self, _ ("It answers, but does not take this name and password"));
    break;
  case PH_TURN_WHY_FULL:
    badly (self, _ ("It answers, but has no room for more just now"));
    break;
  default:
    badly (self, _ ("It answers, but does not relay for us"));
    break;
  }
}

static void
poll_events (PhProbe *self, PhTime now)
{
  PhStunBindingEvent answer;
  PhTurnEvent event;

  while (self->binding != NULL && ph_stun_binding_poll_event (self->binding, &answer)) {
    if (answer.type == PH_STUN_BINDING_MAPPED)
      well (self, answer.rtt);
    else if (answer.error != 0)
      badly (self, _ ("It answers, but not as a STUN server should"));
    else
      silent (self);
  }
  while (self->turn != NULL && ph_turn_client_poll_event (self->turn, &event)) {
    if (event.type == PH_TURN_EVENT_ALLOCATED) {
      well (self, ph_time_since (now, self->begun_at));
      ph_turn_client_close (self->turn, now);
    } else if (event.type == PH_TURN_EVENT_FAILED) {
      turn_failed (self, &event);
    } else if (event.type == PH_TURN_EVENT_CREDENTIALS_NEEDED) {
      badly (self, _ ("It answers, but does not take this name and password"));
    }
  }
}

static void
drive (PhProbe *self, PhTime now)
{
  PhCore *core = self->core;

  if (self->udp == NULL)
    return;
  for (;;) {
    PhTransmit tx = {.data = core->tx_buffer, .cap = PH_TRANSMIT_MAX};

    if (!(self->binding != NULL && ph_stun_binding_poll_transmit (self->binding, now, &tx))
        && !(self->turn != NULL && ph_turn_client_poll_transmit (self->turn, now, &tx)))
      break;
    ph_udp_send (self->udp, &tx);
  }
  poll_events (self, now);
}

static void
received (void *user, const PhDatagram *datagrams, size_t n)
{
  PhProbe *self = user;
  const PhTime now = ph_core_now (self->core);
  PhDatagram data;

  for (size_t i = 0; i < n; i++) {
    if (self->binding != NULL)
      ph_stun_binding_handle_packet (self->binding, now, &datagrams[i]);
    else if (self->turn != NULL)
      ph_turn_client_handle_packet (self->turn, now, &datagrams[i], &data);
  }
}

static void
batch_done (void *user)
{
  PhProbe *self = user;

  drive (self, ph_core_now (self->core));
  ph_core_settle (self->core);
}

static void
writable (void *user, uint32_t socket)
{
}

static const PhUdpCallbacks udp_callbacks = {received, batch_done, writable};

static void
begin_udp (PhProbe *self, PhTime now, const PhAddr *server)
{
  const bool relay = self->kind == PH_SERVER_TURN && self->log_in && *self->server.username != '\0';
  PhAddr any;

  ph_addr_parse (server->family == PH_FAMILY_IPV6 ? "[::]:0" : "0.0.0.0:0", 0, &any);
  self->udp = ph_udp_new (g_main_context_get_thread_default (), SOCKET, &any, PH_UDP_DEFAULT,
                          &udp_callbacks, self, NULL);
  if (self->udp == NULL) {
    silent (self);
    return;
  }
  if (relay) {
    const PhTurnClientConfig config = {
        .socket = SOCKET,
        .relayed_socket = RELAYED_SOCKET,
        .server = *server,
        .username = self->server.username,
        .password = self->server.password,
        .random = self->core->random,
    };

    self->turn = ph_turn_client_new (&config, now);
  } else {
    const PhStunBindingConfig config = {
        .socket = SOCKET,
        .server = *server,
        .random = self->core->random,
    };

    self->binding = ph_stun_binding_new (&config, now);
    ph_stun_binding_handle_timeout (self->binding, now);
  }
  drive (self, now);
}

/* --- Over TCP ----------------------------------------------------------------------------------- */

static void
stream_opened (void *user, uint32_t id)
{
  PhProbe *self = user;

  well (self, ph_time_since (ph_core_now (self->core), self->begun_at));
  ph_core_settle (self->core);
}

static void
stream_received (void *user, uint32_t id, PhSlice bytes)
{
}

static void
stream_batch_done (void *user)
{
}

static void
stream_closed (void *user, uint32_t id, const GError *error)
{
  PhProbe *self = user;

  silent (self);
  ph_core_settle (self->core);
}

static const PhStreamCallbacks stream_callbacks = {
    stream_opened,
    stream_received,
    stream_batch_done,
    stream_closed,
};

/* --- Looking up --------------------------------------------------------------------------------- */

static void
looked_up (void *user, const PhAddr *addrs, size_t n, const GError *error)
{
  PhProbe *self = user;
  const PhTime now = ph_core_now (self->core);
  const bool udp =
      self->kind != PH_SERVER_RENDEZVOUS
      && (self->server.kind == PH_ICE_SERVER_STUN || self->server.kind == PH_ICE_SERVER_TURN_UDP);

  const PhAddr addr = n > 0 ? ph_core_nat64_reach (self->core, &addrs[0]) : (PhAddr){0};

  self->resolve = NULL;
  self->begun_at = now;
  if (n == 0)
    badly (self, _ ("Its name is not known. Check the address, and that you are online"));
  else if (udp)
    begin_udp (self, now, &addr);
  else
    self->stream = ph_stream_new (SOCKET, &addr, NULL, &stream_callbacks, self);
  ph_core_settle (self->core);
}

static void
look_up (PhProbe *self, const char *host_port, uint16_t port)
{
  self->resolve =
      ph_resolve (g_main_context_get_thread_default (), host_port, port, looked_up, self);
}

/* --- Meeting points ----------------------------------------------------------------------------- */

static void
meeting_event (void *user, PhTime now, const PhRendezvousEvent *event)
{
  PhProbe *self = user;
  g_autofree char *sentence = NULL;

  if (event->type == PH_RENDEZVOUS_EVENT_ONLINE) {
    well (self, ph_time_since (now, self->begun_at));
  } else if (event->type == PH_RENDEZVOUS_EVENT_OFFLINE) {
    /* Translators: %s says why, such as “it does not answer”. */
    sentence = g_strdup_printf (_ ("This is no meeting point that can be used: %s"),
                                ph_meeting_reason (event->code));
    badly (self, sentence);
  }
}

static void
log_in (PhProbe *self, PhTime now)
{
  const PhRendezvousClientConfig config = {
      .identity = &self->identity,
      .address = self->address,
      .name = "",
      .random = self->core->random,
  };

  const PhNat64Prefix nat64 = ph_core_nat64_prefix (self->core);

  ph_identity_generate (&self->identity, &self->core->random);
  self->begun_at = now;
  self->driver = ph_rendezvous_driver_new (&config, meeting_event, self);
  ph_rendezvous_driver_set_nat64 (self->driver, &nat64);
  ph_rendezvous_client_start (ph_rendezvous_driver_client (self->driver), now);
  ph_rendezvous_driver_settle (self->driver);
}

static void
knock (PhProbe *self)
{
  /* "ws://host:port" */
  const char *host = strstr (self->address.origin, "://") + 3;

  look_up (self, host, self->address.tls ? 443 : 80);
}

/* --- Beginning ---------------------------------------------------------------------------------- */

static PhProbe *
probe_new (PhCore *self, uint32_t command, PhServerKind kind)
{
  PhProbe *probe = g_new0 (PhProbe, 1);

  probe->core = self;
  probe->command = command;
  probe->kind = kind;
  probe->log_in = command != 0;
  probe->deadline = ph_time_add (ph_core_now (self), PROBE_MAX);
  g_ptr_array_add (self->probes, probe);
  return probe;
}

static bool
parse (PhProbe *self, const char *text)
{
  g_autofree char *stun = NULL;

  switch (self->kind) {
  case PH_SERVER_RENDEZVOUS:
    return ph_rendezvous_address_parse (text, &self->address) == PH_RENDEZVOUS_ADDRESS_OK;
  case PH_SERVER_STUN:
    stun = g_strconcat (g_str_has_prefix (text, "stun:") ? "" : "stun:", text, NULL);
    return ph_ice_server_parse (stun, &self->server) && self->server.kind == PH_ICE_SERVER_STUN;
  case PH_SERVER_TURN:
    return ph_ice_server_parse_own (text, &self->server)
           || (ph_ice_server_parse (text, &self->server)
               && self->server.kind != PH_ICE_SERVER_STUN);
  }
  return false;
}

void
ph_core_test_server (PhCore *self, const PhCommand *command)
{
  PhProbe *probe;

  if (self->probes->len >= PH_CORE_PROBES_MAX || command->amount > PH_SERVER_TURN) {
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE,
                  _ ("Too many servers are being tested. Wait for their answers"));
    return;
  }
  probe = probe_new (self, command->number, (PhServerKind)command->amount);
  if (command->subject == NULL || !parse (probe, command->subject)) {
    probe->command = 0;
    probe->over = true;
    ph_core_wake (self);
    ph_core_fail (self, command->number, PH_ENGINE_ERROR_BAD_VALUE,
                  _ ("“%s” is not the address of such a server"),
                  command->subject != NULL ? command->subject : "");
  } else if (probe->kind == PH_SERVER_RENDEZVOUS) {
    log_in (probe, ph_core_now (self));
  } else {
    look_up (probe, probe->server.host_port, STUN_PORT);
  }
}

static void
probe_server (PhCore *self, PhServerKind kind, const PhIceServer *server)
{
  PhProbe *probe = probe_new (self, 0, kind);

  probe->server = *server;
  look_up (probe, server->host_port, STUN_PORT);
}

/* The first server of each kind, the settings' before the meeting points'. */
void
ph_core_probe_all (PhCore *self)
{
  g_autofree char *stun = ph_core_setting (self, "stun");
  g_autofree char *turn = ph_core_setting (self, "turn");
  g_auto (GStrv) stuns = g_strsplit_set (stun, ", ", -1);
  g_auto (GStrv) turns = g_strsplit_set (turn, ", ", -1);
  const PhMeeting *meeting = ph_core_own_meeting (self);
  PhIceServer first[PH_SERVER_TURN + 1];
  bool found[PH_SERVER_TURN + 1] = {false};
  PhProbe parser = {.kind = PH_SERVER_STUN};

  for (size_t i = 0; stuns[i] != NULL && !found[PH_SERVER_STUN]; i++)
    found[PH_SERVER_STUN] = *stuns[i] != '\0' && parse (&parser, stuns[i]);
  first[PH_SERVER_STUN] = parser.server;
  parser = (PhProbe){.kind = PH_SERVER_TURN};
  for (size_t i = 0; turns[i] != NULL && !found[PH_SERVER_TURN]; i++)
    found[PH_SERVER_TURN] = *turns[i] != '\0' && parse (&parser, turns[i]);
  first[PH_SERVER_TURN] = parser.server;
  for (unsigned i = 0; meeting != NULL && i < meeting->ice.n; i++) {
    const PhIceServer *server = &meeting->ice.servers[i];
    const PhServerKind kind = server->kind == PH_ICE_SERVER_STUN ? PH_SERVER_STUN : PH_SERVER_TURN;

    if (!found[kind])
      first[kind] = *server;
    found[kind] = true;
  }
  for (PhServerKind kind = PH_SERVER_STUN; kind <= PH_SERVER_TURN; kind++) {
    if (found[kind])
      probe_server (self, kind, &first[kind]);
  }
  if (meeting != NULL) {
    PhProbe *probe = probe_new (self, 0, PH_SERVER_RENDEZVOUS);

    probe->address = meeting->address;
    knock (probe);
  }
  self->rendezvous_rtt = self->stun_rtt = self->relay_rtt = PH_NEVER;
}

bool
ph_core_is_probing (const PhCore *self)
{
  for (guint i = 0; i < self->probes->len; i++) {
    const PhProbe *probe = self->probes->pdata[i];

    if (probe->command == 0 && !probe->over)
      return true;
  }
  return false;
}

/* --- Time --------------------------------------------------------------------------------------- */

void
ph_core_probes_sweep (PhCore *self)
{
  for (guint i = self->probes->len; i-- > 0;) {
    const PhProbe *probe = self->probes->pdata[i];

    /* An allocation that is being given back may take a moment more. */
    if (probe->over
        && (probe->turn == NULL || ph_turn_client_state (probe->turn) != PH_TURN_CLOSING
            || ph_core_now (self) >= probe->deadline))
      g_ptr_array_remove_index (self->probes, i);
  }
}

void
ph_core_probes_handle_timeout (PhCore *self, PhTime now)
{
  for (guint i = 0; i < self->probes->len; i++) {
    PhProbe *probe = self->probes->pdata[i];

    if (probe->binding != NULL)
      ph_stun_binding_handle_timeout (probe->binding, now);
    if (probe->turn != NULL)
      ph_turn_client_handle_timeout (probe->turn, now);
    drive (probe, now);
    if (now >= probe->deadline)
      silent (probe);
  }
  ph_core_probes_sweep (self);
}

PhTime
ph_core_probes_next_timeout (const PhCore *self)
{
  PhTime next = PH_NEVER;
  const char *why;

  for (guint i = 0; i < self->probes->len; i++) {
    const PhProbe *probe = self->probes->pdata[i];

    next = ph_time_min (next, probe->deadline);
    if (probe->binding != NULL && !probe->over)
      next = ph_time_min (next, ph_stun_binding_next_timeout (probe->binding, &why));
    if (probe->turn != NULL)
      next = ph_time_min (next, ph_turn_client_next_timeout (probe->turn, &why));
  }
  return next;
}

GPtrArray *
ph_core_probes_new (void)
{
  return g_ptr_array_new_with_free_func (probe_free);
}
