/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/unit/rendezvous-world.h"

static uint64_t
unix_time (void *user)
{
  return 1800000000 + ((World *)user)->now / PH_SEC;
}

static PhRendezvousAddress
address (void)
{
  PhRendezvousAddress out;

  g_assert_cmpint (ph_rendezvous_address_parse (WORLD_ADDRESS, &out), ==, PH_RENDEZVOUS_ADDRESS_OK);
  return out;
}

void
world_init (World *w, const char *name, unsigned n_clients)
{
  static const char *const stun[] = {"stun:192.0.2.1:3478", NULL};
  static const char *const turn[] = {"turn:192.0.2.1:3478", NULL};

  memset (w, 0, sizeof *w);
  w->random = ph_test_random (&w->state, name);
  w->now = 1000 * PH_SEC;
  w->next_conn = 1;
  w->n = n_clients;
  w->remote = ph_addr_ipv4 (198, 51, 100, 1, 5000);
  w->knocks = g_array_new (FALSE, TRUE, sizeof (PhRoomsKnock));
  w->config = (PhRoomsConfig){
      .random = w->random,
      .stun_uris = stun,
      .turn_uris = turn,
      .turn_secret = "secret",
      .unix_time = unix_time,
      .user = w,
  };
  world_server_start (w);
  for (unsigned i = 0; i < n_clients; i++) {
    Party *party = &w->parties[i];
    g_autofree char *person = g_strdup_printf ("Party %u", i);

    ph_identity_generate (&party->identity, &w->random);

    const PhRendezvousClientConfig config = {
        .identity = &party->identity,
        .address = address (),
        .name = person,
        .random = w->random,
    };

    party->client = ph_rendezvous_client_new (&config);
    party->heard = g_array_new (FALSE, TRUE, sizeof (Heard));
  }
}

static void
wire_free (Wire *wire)
{
  g_queue_clear_full (&wire->up, g_free);
  g_queue_clear_full (&wire->down, g_free);
  g_free (wire);
}

void
world_clear (World *w)
{
  for (unsigned i = 0; i < w->n; i++) {
    Party *party = &w->parties[i];

    for (unsigned k = 0; k < party->heard->len; k++)
      g_free (g_array_index (party->heard, Heard, k).body);
    g_array_unref (party->heard);
    ph_rendezvous_client_free (party->client);
    g_clear_pointer (&party->wire, wire_free);
  }
  ph_rooms_free (w->rooms);
  g_array_unref (w->knocks);
}

/* --- Settling ----------------------------------------------------------------------------------- */

static Party *
party_of (World *w, uint64_t conn)
{
  for (unsigned i = 0; i < w->n; i++)
    if (w->parties[i].wire != NULL && w->parties[i].wire->conn == conn)
      return &w->parties[i];
  return NULL;
}

static void
settle_server (World *w)
{
  PhRoomsOutput out;
  PhRoomsKnock knock;

  while (w->rooms != NULL && ph_rooms_poll_knock (w->rooms, &knock)) {
    g_array_append_val (w->knocks, knock);
    if (w->knocks_fail)
      ph_rooms_handle_knock_failed (w->rooms, w->now, knock.number);
  }
  while (w->rooms != NULL && ph_rooms_poll_output (w->rooms, &out)) {
    Party *party = party_of (w, out.connection);

    if (party == NULL)
      g_free (out.text);
    else
      g_queue_push_tail (&party->wire->down,
                         out.text != NULL ? out.text : g_strdup_printf ("!%u", out.close_code));
  }
}

static void
dial (World *w, Party *party)
{
  PhAddr local;

  g_assert_true (ph_addr_parse (w->remote.family == PH_FAMILY_IPV6 ? WORLD_LOCAL_6 : WORLD_LOCAL_4,
                                8080, &local));
  party->dials++;
  party->wire = g_new0 (Wire, 1);
  g_queue_init (&party->wire->up);
  g_queue_init (&party->wire->down);
  party->wire->conn = w->next_conn++;
  if (w->rooms == NULL)
    return;
  ph_rooms_handle_open (w->rooms, w->now, party->wire->conn, &w->remote, WORLD_ADDRESS);
  if (!w->no_knocks)
    ph_rooms_allow_knocks (w->rooms, party->wire->conn, &local);
  settle_server (w);
}

static void
hang_up (World *w, Party *party)
{
  const uint64_t conn = party->wire->conn;

  g_clear_pointer (&party->wire, wire_free);
  if (w->rooms != NULL)
    ph_rooms_handle_close (w->rooms, w->now, conn);
  settle_server (w);
}

static void
note (World *w, Party *party, const PhRendezvousEvent *event)
{
  Heard heard = {
      .type = event->type,
      .peer = event->peer,
      .online = event->online,
      .anew = event->anew,
      .handle = event->handle,
      .code = event->code,
      .retry_at = event->retry_at,
      .at = w->now,
      .body =
          event->body.len > 0 ? g_strndup ((const char *)event->body.data, event->body.len) : NULL,
  };

  g_strlcpy (heard.name, event->name, sizeof heard.name);
  if (event->ice != NULL) {
    heard.ice_n = event->ice->n;
    for (unsigned i = 0; i < event->ice->n; i++)
      if (event->ice->servers[i].username[0] != '\0')
        g_strlcpy (heard.ice_username, event->ice->servers[i].username, sizeof heard.ice_username);
  }
  g_array_append_val (party->heard, heard);
}

static void
settle_client (World *w, Party *party)
{
  PhRendezvousRequest request;
  PhRendezvousEvent event;
  char *text;

  while ((request = ph_rendezvous_client_poll_request (party->client))
         != PH_RENDEZVOUS_REQUEST_NONE) {
    if (party->wire != NULL)
      hang_up (w, party);
    if (request == PH_RENDEZVOUS_REQUEST_CONNECT)
      dial (w, party);
  }
  while ((text = ph_rendezvous_client_poll_text (party->client)) != NULL) {
    g_assert_nonnull (party->wire);
    g_queue_push_tail (&party->wire->up, text);
  }
  while (ph_rendezvous_client_poll_event (party->client, &event))
    note (w, party, &event);
}

static void
settle (World *w)
{
  for (unsigned i = 0; i < w->n; i++)
    settle_client (w, &w->parties[i]);
}

/* --- Delivering --------------------------------------------------------------------------------- */

static void
client_lost (World *w, Party *party, PhRendezvousCode code, uint16_t close_code)
{
  hang_up (w, party);
  ph_rendezvous_client_handle_closed (party->client, w->now, code, close_code, "cut");
}

/* One thing that is under way for this party; false if there is none. */
static bool
deliver_one (World *w, Party *party)
{
  Wire *wire = party->wire;
  g_autofree char *text = NULL;

  if (wire == NULL)
    return false;
  if (w->rooms == NULL) {
    client_lost (w, party, wire->greeted ? PH_RENDEZVOUS_LOST : PH_RENDEZVOUS_UNREACHABLE, 0);
    return true;
  }
  if (!wire->greeted) {
    wire->greeted = true;
    ph_rendezvous_client_handle_open (party->client, w->now);
    return true;
  }

  const bool up =
      wire->up.length > 0 && (wire->down.length == 0 || ph_random_below (&w->random, 2) == 0);

  text = g_queue_pop_head (up ? &wire->up : &wire->down);
  if (text == NULL)
    return false;
  if (up) {
    ph_rooms_handle_text (w->rooms, w->now, wire->conn, ph_slice_string (text));
    settle_server (w);
  } else if (text[0] == '!') {
    client_lost (w, party, PH_RENDEZVOUS_LOST, (uint16_t)atoi (text + 1));
  } else {
    ph_rendezvous_client_handle_text (party->client, w->now, ph_slice_string (text));
  }
  return true;
}

static bool
deliver_any (World *w)
{
  const unsigned first = (unsigned)ph_random_below (&w->random, w->n);

  for (unsigned i = 0; i < w->n; i++)
    if (deliver_one (w, &w->parties[(first + i) % w->n])) {
      settle (w);
      return true;
    }
  return false;
}

void
world_deliver (World *w)
{
  settle_server (w);
  settle (w);
  while (deliver_any (w))
    ;
}

static void
fire_timers (World *w)
{
  const char *why;

  if (w->rooms != NULL && ph_rooms_next_timeout (w->rooms, &why) <= w->now) {
    ph_rooms_handle_timeout (w->rooms, w->now);
    settle_server (w);
  }
  for (unsigned i = 0; i < w->n; i++)
    if (ph_rendezvous_client_next_timeout (w->parties[i].client, &why) <= w->now)
      ph_rendezvous_client_handle_timeout (w->parties[i].client, w->now);
}

void
world_run (World *w, PhTime interval)
{
  const PhTime end = w->now + interval;

  for (unsigned rounds = 0;; rounds++) {
    const char *why;
    PhTime next = end;

    g_assert_cmpuint (rounds, <, 100000); /* a timer that fires for ever */
    world_deliver (w);
    if (w->now >= end)
      return;
    if (w->rooms != NULL)
      next = ph_time_min (next, ph_rooms_next_timeout (w->rooms, &why));
    for (unsigned i = 0; i < w->n; i++)
      next = ph_time_min (next, ph_rendezvous_client_next_timeout (w->parties[i].client, &why));
    w->now = MAX (w->now, next);
    fire_timers (w);
  }
}

/* --- What happens to it ------------------------------------------------------------------------- */

void
world_start (World *w, bool mutual)
{
  for (unsigned i = 0; i < w->n; i++) {
    for (unsigned k = 0; mutual && k < w->n; k++)
      g_assert_true (
          ph_rendezvous_client_watch (w->parties[i].client, w->now, &w->parties[k].identity.id));
    ph_rendezvous_client_start (w->parties[i].client, w->now);
  }
}

void
world_cut (World *w, unsigned i)
{
  if (w->parties[i].wire == NULL)
    return;
  client_lost (w, &w->parties[i], PH_RENDEZVOUS_LOST, 0);
  settle (w);
}

void
world_server_stop (World *w)
{
  g_clear_pointer (&w->rooms, ph_rooms_free);
}

void
world_server_start (World *w)
{
  if (w->rooms == NULL)
    w->rooms = ph_rooms_new (&w->config);
}

uint64_t
world_say (World *w, unsigned from, unsigned to, const char *text)
{
  return ph_rendezvous_client_send (w->parties[from].client, w->now, &w->parties[to].identity.id,
                                    ph_slice_string (text));
}

unsigned
world_count (const World *w, unsigned i, PhRendezvousEventType type)
{
  unsigned n = 0;

  for (unsigned k = 0; k < w->parties[i].heard->len; k++)
    n += g_array_index (w->parties[i].heard, Heard, k).type == type;
  return n;
}

const Heard *
world_last (const World *w, unsigned i, PhRendezvousEventType type)
{
  for (unsigned k = w->parties[i].heard->len; k-- > 0;)
    if (g_array_index (w->parties[i].heard, Heard, k).type == type)
      return &g_array_index (w->parties[i].heard, Heard, k);
  g_error ("party %u never heard event %d", i, type);
}

const char *
world_body (const World *w, unsigned i, unsigned nth)
{
  for (unsigned k = 0; k < w->parties[i].heard->len; k++) {
    const Heard *heard = &g_array_index (w->parties[i].heard, Heard, k);

    if (heard->type == PH_RENDEZVOUS_EVENT_SIGNAL && nth-- == 0)
      return heard->body;
  }
  return NULL;
}

PhInvitation
world_invitation (World *w, unsigned by)
{
  const PhRendezvousAddress at = address ();
  PhInvitation invitation;

  ph_invitation_make (&invitation, &w->parties[by].identity.id, &at, "Inviter", &w->random);
  return invitation;
}
