/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contacts on one network, over a wire in memory: who finds whom, what is lost, what a stranger sees. */

#include "net/nearby/ph-nearby.h"
#include "tests/support/ph-test.h"

#define DEVICES 3
#define EVENTS_MAX 256

typedef struct {
  uint32_t to; /* index of the device */
  bool multicast;
  PhAddr from;
  PhTime at;
  size_t len;
  uint8_t bytes[PH_NEARBY_DATAGRAM_MAX];
} Flight;

typedef struct {
  PhIdentity identity;
  PhNearby *nearby;
  PhAddr addr;
  bool on_wire;
  unsigned here, gone, signals;
  GString *heard; /* all signals' bodies, parted by '|' */
  GString *met; /* what came of invitations */
} Device;

typedef struct {
  PhRandomSeeded state;
  PhRandom random;
  PhTime now;
  Device devices[DEVICES];
  GQueue flights; /* Flight, owned */
  unsigned sent;
  unsigned multicast;
  unsigned lose_one_in; /* 0: none */
  GByteArray *last; /* what was last sent */
} World;

static void
device_start (World *world, unsigned i)
{
  const PhNearbyConfig config = {
      .identity = &world->devices[i].identity,
      .name = (const char *const[]){"Ann", "Ben", "Cat"}[i],
      .random = world->random,
  };

  world->devices[i].nearby = ph_nearby_new (&config, world->now);
  ph_nearby_add_socket (world->devices[i].nearby, world->now, 10 + i, &world->devices[i].addr,
                        1 + i);
}

/* `ipv6`: on a network that has nothing but link-local IPv6, if it is set. */
static void
set_up (World *world, const void *ipv6)
{
  world->random = ph_test_random (&world->state, "nearby");
  world->now = PH_SEC;
  world->last = g_byte_array_new ();
  for (unsigned i = 0; i < DEVICES; i++) {
    Device *device = &world->devices[i];

    ph_identity_generate (&device->identity, &world->random);
    device->addr = ph_addr_ipv4 (192, 168, 1, (uint8_t)(10 + i), (uint16_t)(40000 + i));
    if (ipv6 != NULL) {
      const uint8_t ip[16] = {0xfe, 0x80, [15] = (uint8_t)(10 + i)};

      device->addr = ph_addr_from_bytes (ph_slice (ip, sizeof ip), (uint16_t)(40000 + i));
    }
    device->on_wire = true;
    device->heard = g_string_new (NULL);
    device->met = g_string_new (NULL);
    device_start (world, i);
  }
}

static void
tear_down (World *world, const void *data)
{
  for (unsigned i = 0; i < DEVICES; i++) {
    ph_nearby_free (world->devices[i].nearby);
    g_string_free (world->devices[i].heard, TRUE);
    g_string_free (world->devices[i].met, TRUE);
  }
  g_queue_clear_full (&world->flights, g_free);
  g_byte_array_unref (world->last);
}

static void
watch_each_other (World *world, unsigned a, unsigned b)
{
  ph_nearby_watch (world->devices[a].nearby, world->now, &world->devices[b].identity.id);
  ph_nearby_watch (world->devices[b].nearby, world->now, &world->devices[a].identity.id);
}

static void
fly (World *world, unsigned from, unsigned to, bool multicast, const PhTransmit *tx)
{
  Flight *flight = g_new0 (Flight, 1);

  flight->to = to;
  flight->multicast = multicast;
  flight->from = world->devices[from].addr;
  flight->at = world->now + PH_MSEC;
  flight->len = tx->len;
  memcpy (flight->bytes, tx->data, tx->len);
  g_queue_push_tail (&world->flights, flight);
}

static void
send_out (World *world, unsigned from, const PhTransmit *tx)
{
  const PhFamily family = world->devices[from].addr.family;
  /* An IPv6 group is one of an interface; the device's is 1 + from. */
  const PhAddr group = ph_nearby_group (family, family == PH_FAMILY_IPV6 ? 1 + from : 0);
  const bool multicast = ph_addr_equal (&tx->remote, &group);

  world->sent++;
  world->multicast += multicast;
  g_byte_array_set_size (world->last, 0);
  g_byte_array_append (world->last, tx->data, (guint)tx->len);
  g_assert_cmpuint (tx->socket, ==, 10 + from);
  if (!world->devices[from].on_wire
      || (world->lose_one_in > 0 && ph_random_below (&world->random, world->lose_one_in) == 0))
    return;
  for (unsigned i = 0; i < DEVICES; i++) {
    if (world->devices[i].on_wire
        && (multicast || ph_addr_equal (&tx->remote, &world->devices[i].addr)))
      fly (world, from, i, multicast, tx);
  }
}

static void
take_events (Device *device)
{
  PhNearbyEvent event;

  while (ph_nearby_poll_event (device->nearby, &event)) {
    switch (event.type) {
    case PH_NEARBY_EVENT_HERE:
      device->here++;
      break;
    case PH_NEARBY_EVENT_GONE:
      device->gone++;
      break;
    case PH_NEARBY_EVENT_SIGNAL:
      device->signals++;
      g_string_append_len (device->heard, (const char *)event.body.data, (gssize)event.body.len);
      g_string_append_c (device->heard, '|');
      break;
    case PH_NEARBY_EVENT_INVITATION_USED:
      g_string_append_printf (device->met, "used by %s|", event.name);
      break;
    case PH_NEARBY_EVENT_INVITATION_ANSWERED:
      g_string_append (device->met, "answered|");
      break;
    case PH_NEARBY_EVENT_ACCEPTED:
      g_string_append_printf (device->met, "accepted by %s|", event.name);
      break;
    case PH_NEARBY_EVENT_INVITATION_FAILED:
    case PH_NEARBY_EVENT_ACCEPT_FAILED:
      g_string_append_printf (device->met, "%s|", ph_rendezvous_code_string (event.code));
      break;
    }
  }
}

static void
settle (World *world)
{
  uint8_t data[PH_TRANSMIT_MAX];

  for (unsigned i = 0; i < DEVICES; i++) {
    PhTransmit tx = {.data = data, .cap = sizeof data};

    if (world->devices[i].nearby == NULL)
      continue;
    while (ph_nearby_poll_transmit (world->devices[i].nearby, world->now, &tx))
      send_out (world, i, &tx);
    take_events (&world->devices[i]);
  }
}

/* Runs until `until`. */
static void
run (World *world, PhTime until)
{
  for (;;) {
    PhTime next = until;
    const Flight *first;
    const char *why;

    settle (world);
    first = g_queue_peek_head (&world->flights);
    if (first != NULL)
      next = ph_time_min (next, first->at);
    for (unsigned i = 0; i < DEVICES; i++) {
      if (world->devices[i].nearby != NULL)
        next = ph_time_min (next, ph_nearby_next_timeout (world->devices[i].nearby, &why));
    }
    world->now = MAX (world->now, next);
    while ((first = g_queue_peek_head (&world->flights)) != NULL && first->at <= world->now) {
      g_autofree Flight *flight = g_queue_pop_head (&world->flights);
      const PhDatagram in = {
          .socket = 10 + flight->to,
          .remote = flight->from,
          .bytes = ph_slice (flight->bytes, flight->len),
      };

      PhNearby *nearby = world->devices[flight->to].nearby;

      if (nearby != NULL && flight->multicast)
        ph_nearby_handle_multicast (nearby, world->now, 1 + flight->to, &in.remote, in.bytes);
      else if (nearby != NULL)
        g_assert_true (ph_nearby_handle_packet (nearby, world->now, &in));
    }
    for (unsigned i = 0; i < DEVICES; i++) {
      if (world->devices[i].nearby != NULL)
        ph_nearby_handle_timeout (world->devices[i].nearby, world->now);
    }
    if (world->now >= until) {
      settle (world);
      return;
    }
  }
}

static bool
sees (const World *world, unsigned a, unsigned b)
{
  return ph_nearby_is_here (world->devices[a].nearby, &world->devices[b].identity.id);
}

static bool
say (World *world, unsigned from, unsigned to, const char *body)
{
  return ph_nearby_send (world->devices[from].nearby, world->now, &world->devices[to].identity.id,
                         ph_slice_string (body));
}

/* --- Finding ------------------------------------------------------------------------------------ */

static void
test_contacts_find_each_other (World *world, const void *data)
{
  watch_each_other (world, 0, 1);
  run (world, world->now + 20 * PH_MSEC);
  g_assert_true (sees (world, 0, 1));
  g_assert_true (sees (world, 1, 0));
  run (world, world->now + 300 * PH_SEC);
  g_assert_cmpuint (world->devices[0].here, ==, 1);
  g_assert_cmpuint (world->devices[0].gone, ==, 0);
  /* Whoever has nobody to find keeps silent; two have a burst and one announcement in half a minute. */
  g_assert_cmpuint (world->multicast, >=, 2 * 10);
  g_assert_cmpuint (world->multicast, <=, 2 * (1 + PH_NEARBY_BURST + 300 / 22));
}

static void
test_one_sided (World *world, const void *data)
{
  ph_nearby_watch (world->devices[0].nearby, world->now, &world->devices[1].identity.id);
  run (world, world->now + 60 * PH_SEC);
  g_assert_cmpuint (world->devices[0].here + world->devices[1].here, ==, 0);
}

static void
test_found_despite_loss (World *world, const void *data)
{
  world->lose_one_in = 2;
  watch_each_other (world, 0, 1);
  run (world, world->now + 95 * PH_SEC);
  g_assert_true (sees (world, 0, 1));
  g_assert_true (sees (world, 1, 0));
}

static void
test_leaving (World *world, const void *data)
{
  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  ph_nearby_leave (world->devices[1].nearby, world->now);
  run (world, world->now + 10 * PH_MSEC);
  g_assert_false (sees (world, 0, 1));
  run (world, world->now + 60 * PH_SEC);
  g_assert_false (sees (world, 0, 1));
}

static void
test_silence (World *world, const void *data)
{
  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  world->devices[1].on_wire = false;
  run (world, world->now + PH_NEARBY_LIFE - 40 * PH_SEC);
  g_assert_true (sees (world, 0, 1));
  run (world, world->now + 41 * PH_SEC);
  g_assert_false (sees (world, 0, 1));
  world->devices[1].on_wire = true;
  ph_nearby_network_changed (world->devices[1].nearby, world->now);
  run (world, world->now + PH_SEC);
  g_assert_true (sees (world, 0, 1));
  g_assert_true (sees (world, 1, 0));
}

/* A meeting point says that one has gone. One who was killed is gone soon; one who has only lost the meeting
 * point says so, and nothing happens. */
static void
test_doubt (World *world, const void *data)
{
  watch_each_other (world, 0, 1);
  run (world, world->now + 10 * PH_SEC);
  for (unsigned i = 0; i < 10; i++) {
    ph_nearby_doubt (world->devices[0].nearby, world->now, &world->devices[1].identity.id);
    ph_nearby_doubt (world->devices[0].nearby, world->now, &world->devices[2].identity.id);
    g_assert_true (say (world, 0, 1, "still"));
    run (world, world->now + 700 * PH_MSEC);
  }
  run (world, world->now + 60 * PH_SEC);
  g_assert_cmpuint (world->devices[0].here, ==, 1);
  g_assert_cmpuint (world->devices[0].gone, ==, 0);
  g_assert_cmpuint (world->devices[1].signals, ==, 10);

  world->devices[1].on_wire = false;
  ph_nearby_doubt (world->devices[0].nearby, world->now, &world->devices[1].identity.id);
  run (world, world->now + PH_NEARBY_SEARCH_MAX - PH_MSEC);
  g_assert_true (sees (world, 0, 1));
  run (world, world->now + PH_MSEC);
  g_assert_false (sees (world, 0, 1));
  world->devices[1].on_wire = true;
  run (world, world->now + PH_NEARBY_INTERVAL);
  g_assert_true (sees (world, 0, 1));
}

/* However often it is doubted: the network does not hear more than bursts of it, of all contacts together. */
static void
test_doubts_are_bounded (World *world, const void *data)
{
  const PhTime begun = world->now;

  watch_each_other (world, 0, 1);
  watch_each_other (world, 0, 2);
  while (world->now < begun + 60 * PH_SEC) {
    ph_nearby_doubt (world->devices[0].nearby, world->now, &world->devices[1].identity.id);
    ph_nearby_doubt (world->devices[0].nearby, world->now, &world->devices[2].identity.id);
    run (world, world->now + 10 * PH_MSEC);
  }
  g_assert_cmpuint (world->devices[0].gone, ==, 0);
  g_assert_cmpuint (world->multicast, <=, 60 * PH_NEARBY_BURST);
}

static void
test_many_contacts (World *world, const void *data)
{
  for (unsigned i = 0; i < 200; i++) {
    PhIdentity other;

    ph_identity_generate (&other, &world->random);
    ph_nearby_watch (world->devices[0].nearby, world->now, &other.id);
  }
  watch_each_other (world, 0, 1);
  run (world, world->now + 20 * PH_MSEC);
  g_assert_true (sees (world, 0, 1));
  g_assert_true (sees (world, 1, 0));
}

/* What goes over the wire holds no key and nothing constant but the first five bytes. */
static void
test_nothing_to_track (World *world, const void *data)
{
  g_autoptr (GByteArray) first = g_byte_array_new ();
  guint same = 0;

  ph_nearby_watch (world->devices[0].nearby, world->now, &world->devices[2].identity.id);
  run (world, world->now + 10 * PH_MSEC);
  g_byte_array_append (first, world->last->data, world->last->len);
  run (world, world->now + 60 * PH_SEC);
  g_assert_cmpuint (first->len, ==,
                    PH_NEARBY_HEADER_LEN + PH_NEARBY_ENTRIES_STEP * PH_NEARBY_ENTRY_LEN);
  g_assert_cmpuint (world->last->len, ==, first->len);
  for (guint i = 5; i < first->len; i++)
    same += first->data[i] == world->last->data[i];
  g_assert_cmpuint (same, <, 12); /* chance: one in 256 */
}

/* --- Signals ------------------------------------------------------------------------------------ */

static void
test_signals_in_order (World *world, const void *data)
{
  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  world->lose_one_in = 4;
  g_assert_true (say (world, 0, 1, "one"));
  g_assert_true (say (world, 0, 1, "two"));
  g_assert_true (say (world, 1, 0, "back"));
  g_assert_true (say (world, 0, 1, "three"));
  run (world, world->now + 10 * PH_SEC);
  /* A quarter is lost: enough to give a contact up once in a hundred runs, and never to confuse it. */
  g_assert_true (g_str_has_prefix ("one|two|three|", world->devices[1].heard->str));
  g_assert_true (g_str_has_prefix ("back|", world->devices[0].heard->str));
  if (world->devices[0].gone + world->devices[1].gone == 0) {
    g_assert_cmpstr (world->devices[1].heard->str, ==, "one|two|three|");
    g_assert_cmpstr (world->devices[0].heard->str, ==, "back|");
  }
}

static void
test_long_signal (World *world, const void *data)
{
  g_autofree char *body = g_strnfill (PH_ENVELOPE_BODY_MAX, 'x');
  g_autofree char *wanted = g_strconcat (body, "|after|", NULL);

  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  g_assert_true (say (world, 0, 1, body));
  g_assert_true (say (world, 0, 1, "after"));
  run (world, world->now + PH_SEC);
  g_assert_cmpstr (world->devices[1].heard->str, ==, wanted);
}

static void
test_nobody_answers (World *world, const void *data)
{
  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  world->devices[1].on_wire = false;
  g_assert_true (say (world, 0, 1, "lost"));
  run (world, world->now + 10 * PH_SEC);
  g_assert_false (sees (world, 0, 1));
  g_assert_false (say (world, 0, 1, "more"));
}

static void
test_queue_is_bounded (World *world, const void *data)
{
  unsigned taken = 0;

  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  while (taken < 2 * PH_NEARBY_QUEUE_MAX && say (world, 0, 1, "more"))
    taken++;
  g_assert_cmpuint (taken, ==, PH_NEARBY_QUEUE_MAX);
}

/* The other side begins anew: what was for its earlier run does not reach the new one. */
static void
test_restart (World *world, const void *data)
{
  Device *other = &world->devices[1];

  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  g_assert_true (say (world, 0, 1, "before"));
  run (world, world->now + PH_SEC);
  ph_nearby_free (other->nearby);
  device_start (world, 1);
  ph_nearby_watch (other->nearby, world->now, &world->devices[0].identity.id);
  run (world, world->now + PH_SEC);
  g_assert_cmpuint (world->devices[0].gone, ==, 1);
  g_assert_cmpuint (world->devices[0].here, ==, 2);
  g_assert_true (say (world, 0, 1, "after"));
  g_assert_true (say (world, 1, 0, "yes"));
  run (world, world->now + PH_SEC);
  g_assert_cmpstr (other->heard->str, ==, "before|after|");
  g_assert_cmpstr (world->devices[0].heard->str, ==, "yes|");
}

/* One side has lost the other for a moment, the other side has not noticed: nothing is taken for a repetition. */
static void
test_lost_on_one_side (World *world, const void *data)
{
  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  g_assert_true (say (world, 0, 1, "one"));
  g_assert_true (say (world, 0, 1, "two"));
  run (world, world->now + PH_SEC);
  world->devices[1].on_wire = false;
  g_assert_true (say (world, 0, 1, "lost"));
  run (world, world->now + 10 * PH_SEC);
  g_assert_false (sees (world, 0, 1));
  g_assert_true (sees (world, 1, 0));
  world->devices[1].on_wire = true;
  ph_nearby_network_changed (world->devices[0].nearby, world->now);
  run (world, world->now + PH_SEC);
  g_assert_true (say (world, 0, 1, "three"));
  g_assert_true (say (world, 1, 0, "back"));
  run (world, world->now + PH_SEC);
  g_assert_cmpstr (world->devices[1].heard->str, ==, "one|two|three|");
  g_assert_cmpstr (world->devices[0].heard->str, ==, "back|");
}

/* --- Strangers ---------------------------------------------------------------------------------- */

static void
test_replay (World *world, const void *data)
{
  PhDatagram in = {.socket = 11};

  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  g_assert_true (say (world, 0, 1, "once"));
  settle (world);
  g_autoptr (GByteArray) packet = g_byte_array_new ();
  g_byte_array_append (packet, world->last->data, world->last->len);
  run (world, world->now + PH_SEC);
  in.remote = world->devices[0].addr;
  in.bytes = ph_slice (packet->data, packet->len);
  ph_nearby_handle_packet (world->devices[1].nearby, world->now, &in);
  run (world, world->now + PH_SEC);
  g_assert_cmpstr (world->devices[1].heard->str, ==, "once|");

  /* One wrong bit anywhere, and it is nobody's. */
  for (guint i = 0; i < packet->len; i++) {
    packet->data[i] ^= 1;
    ph_nearby_handle_packet (world->devices[1].nearby, world->now, &in);
    packet->data[i] ^= 1;
  }
  run (world, world->now + PH_SEC);
  g_assert_cmpstr (world->devices[1].heard->str, ==, "once|");
}

/* A recorded announcement, sent to one address later: no answer, and nobody is there. */
static void
test_recording (World *world, const void *data)
{
  PhDatagram in = {.socket = 10, .remote = world->devices[2].addr};
  g_autoptr (GByteArray) recorded = g_byte_array_new ();
  unsigned sent;

  watch_each_other (world, 0, 1);
  world->devices[0].on_wire = false;
  run (world, world->now + PH_SEC);
  ph_nearby_network_changed (world->devices[1].nearby, world->now);
  ph_nearby_handle_timeout (world->devices[1].nearby, world->now);
  settle (world);
  g_byte_array_append (recorded, world->last->data, world->last->len);
  world->devices[1].on_wire = false;
  run (world, world->now + 12 * PH_SEC);
  sent = world->sent;
  in.bytes = ph_slice (recorded->data, recorded->len);
  ph_nearby_handle_packet (world->devices[0].nearby, world->now, &in);
  settle (world);
  g_assert_false (sees (world, 0, 1));
  g_assert_cmpuint (world->sent, ==, sent);
}

/* Our own announcement, sent back to us, is not a contact's. */
static void
test_echo (World *world, const void *data)
{
  PhDatagram in = {.socket = 10, .remote = world->devices[2].addr};

  ph_nearby_watch (world->devices[0].nearby, world->now, &world->devices[1].identity.id);
  run (world, world->now + 10 * PH_MSEC);
  in.bytes = ph_slice (world->last->data, world->last->len);
  ph_nearby_handle_packet (world->devices[0].nearby, world->now, &in);
  g_assert_false (sees (world, 0, 1));
}

/* A flood makes us do a bounded amount of work, and a contact is found all the same afterwards. */
static void
test_flood (World *world, const void *data)
{
  uint8_t noise[PH_NEARBY_HEADER_LEN + 20 * PH_NEARBY_ENTRY_LEN] = {0x0e, 'p', 'h', 1, 1};
  const PhDatagram in = {
      .socket = 10,
      .remote = world->devices[2].addr,
      .bytes = ph_slice (noise, sizeof noise),
  };

  watch_each_other (world, 0, 1);
  for (unsigned i = 0; i < 10000; i++) {
    ph_random_bytes (&world->random, noise + 5, sizeof noise - 5);
    ph_nearby_handle_packet (world->devices[0].nearby, world->now, &in);
  }
  run (world, world->now + 3 * PH_SEC);
  g_assert_true (sees (world, 0, 1));
}

static void
test_unwatch (World *world, const void *data)
{
  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  ph_nearby_unwatch (world->devices[0].nearby, world->now, &world->devices[1].identity.id);
  run (world, world->now + PH_SEC);
  g_assert_false (sees (world, 0, 1));
  g_assert_cmpuint (world->devices[0].gone, ==, 1);
  run (world, world->now + PH_NEARBY_LIFE + PH_SEC);
  g_assert_false (sees (world, 1, 0));
}

/* Blocked for a moment: the other side has not noticed, and takes nothing for a repetition. */
static void
test_watched_again (World *world, const void *data)
{
  const PhDeviceId *ben = &world->devices[1].identity.id;

  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  g_assert_true (say (world, 0, 1, "one"));
  g_assert_true (say (world, 0, 1, "two"));
  run (world, world->now + PH_SEC);
  ph_nearby_unwatch (world->devices[0].nearby, world->now, ben);
  ph_nearby_watch (world->devices[0].nearby, world->now, ben);
  run (world, world->now + PH_SEC);
  g_assert_cmpuint (world->devices[1].gone, ==, 0);
  g_assert_true (say (world, 0, 1, "three"));
  g_assert_true (say (world, 1, 0, "back"));
  run (world, world->now + PH_SEC);
  g_assert_cmpstr (world->devices[1].heard->str, ==, "one|two|three|");
  g_assert_cmpstr (world->devices[0].heard->str, ==, "back|");
}

static void
test_socket_removed (World *world, const void *data)
{
  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  ph_nearby_remove_socket (world->devices[0].nearby, world->now, 10);
  g_assert_false (sees (world, 0, 1));
  g_assert_false (say (world, 0, 1, "nowhere"));
}

/* --- Invitations -------------------------------------------------------------------------------- */

static PhInvitation
invite (World *world, uint64_t *ret_handle)
{
  PhInvitation invitation;

  ph_invitation_make (&invitation, &world->devices[0].identity.id, NULL, "Ann", &world->random);
  *ret_handle = ph_nearby_invite (world->devices[0].nearby, world->now, &invitation, 3600 * PH_SEC);
  g_assert_cmpuint (*ret_handle, !=, 0);
  run (world, world->now + 10 * PH_SEC);
  return invitation;
}

static void
assert_met (const World *world, unsigned i, const char *met)
{
  g_assert_cmpstr (world->devices[i].met->str, ==, met);
}

/* Two who have never met, one of whom holds the other's link, and no meeting point. */
static void
test_invitation (World *world, const void *data)
{
  uint64_t handle;
  const PhInvitation invitation = invite (world, &handle);

  g_assert_cmpuint (ph_nearby_accept (world->devices[1].nearby, world->now, &invitation), !=, 0);
  run (world, world->now + 20 * PH_MSEC);
  assert_met (world, 0, "used by Ben|answered|");
  assert_met (world, 1, "accepted by Ann|");
  /* A contact to be is none. */
  g_assert_cmpuint (world->devices[0].here + world->devices[1].here, ==, 0);
  g_assert_false (sees (world, 1, 0));
  watch_each_other (world, 0, 1);
  run (world, world->now + PH_SEC);
  g_assert_true (sees (world, 0, 1));
  run (world, world->now + 2 * PH_NEARBY_USED_MEMORY);
  assert_met (world, 0, "used by Ben|answered|");
  assert_met (world, 1, "accepted by Ann|");
  g_assert_cmpuint (world->devices[0].gone + world->devices[1].gone, ==, 0);
}

static void
test_invitation_despite_loss (World *world, const void *data)
{
  uint64_t handle;
  const PhInvitation invitation = invite (world, &handle);

  world->lose_one_in = 4;
  ph_nearby_accept (world->devices[1].nearby, world->now, &invitation);
  run (world, world->now + PH_NEARBY_ACCEPT_MAX);
  assert_met (world, 0, "used by Ben|answered|");
  assert_met (world, 1, "accepted by Ann|");
}

static void
test_invitation_serves_once (World *world, const void *data)
{
  uint64_t handle;
  const PhInvitation invitation = invite (world, &handle);

  ph_nearby_accept (world->devices[1].nearby, world->now, &invitation);
  run (world, world->now + 15 * PH_SEC);
  ph_nearby_accept (world->devices[2].nearby, world->now, &invitation);
  run (world, world->now + 15 * PH_SEC);
  assert_met (world, 2, "invitation-used|");
  /* Whoever has used it may ask again. */
  ph_nearby_accept (world->devices[1].nearby, world->now, &invitation);
  run (world, world->now + 15 * PH_SEC);
  assert_met (world, 1, "accepted by Ann|accepted by Ann|");
  assert_met (world, 0, "used by Ben|answered|");
}

/* Both at the same moment: one of them. */
static void
test_invitation_raced (World *world, const void *data)
{
  uint64_t handle;
  const PhInvitation invitation = invite (world, &handle);

  ph_nearby_accept (world->devices[1].nearby, world->now, &invitation);
  ph_nearby_accept (world->devices[2].nearby, world->now, &invitation);
  run (world, world->now + PH_NEARBY_ACCEPT_MAX + PH_SEC);
  if (strcmp (world->devices[1].met->str, "accepted by Ann|") == 0) {
    assert_met (world, 2, "invitation-used|");
    assert_met (world, 0, "used by Ben|answered|");
  } else {
    assert_met (world, 1, "invitation-used|");
    assert_met (world, 2, "accepted by Ann|");
    assert_met (world, 0, "used by Cat|answered|");
  }
}

/* The one who has used it is still on the network when the next one comes, and is not in the way. */
static void
test_invitation_for_the_late (World *world, const void *data)
{
  for (unsigned i = 0; i < 20; i++) {
    uint64_t handle, accepting;
    const PhInvitation invitation = invite (world, &handle);

    ph_nearby_accept (world->devices[1].nearby, world->now, &invitation);
    run (world, world->now + i * 200 * PH_MSEC + 20 * PH_MSEC);
    accepting = ph_nearby_accept (world->devices[2].nearby, world->now, &invitation);
    ph_nearby_accept_hurry (world->devices[2].nearby, world->now, accepting);
    run (world, world->now + PH_NEARBY_SEARCH_MAX);
    assert_met (world, 1, "accepted by Ann|");
    assert_met (world, 2, "invitation-used|");
    g_string_truncate (world->devices[1].met, 0);
    g_string_truncate (world->devices[2].met, 0);
    run (world, world->now + 2 * PH_NEARBY_USED_MEMORY);
  }
}

static void
test_invitation_used_elsewhere (World *world, const void *data)
{
  uint64_t handle;
  const PhInvitation invitation = invite (world, &handle);

  ph_nearby_invitation_used (world->devices[0].nearby, world->now, handle,
                             &world->devices[2].identity.id);
  ph_nearby_accept (world->devices[1].nearby, world->now, &invitation);
  run (world, world->now + PH_SEC);
  assert_met (world, 1, "invitation-used|");
  assert_met (world, 0, "");
}

static void
test_invitation_withdrawn (World *world, const void *data)
{
  uint64_t handle, accepting;
  const PhInvitation invitation = invite (world, &handle);
  PhTime begun;

  ph_nearby_withdraw (world->devices[0].nearby, world->now, handle);
  begun = world->now;
  accepting = ph_nearby_accept (world->devices[1].nearby, world->now, &invitation);
  run (world, begun + PH_SEC);
  ph_nearby_accept_hurry (world->devices[1].nearby, world->now, accepting);
  run (world, begun + PH_NEARBY_SEARCH_MAX - PH_MSEC);
  assert_met (world, 1, "");
  run (world, begun + PH_NEARBY_SEARCH_MAX);
  assert_met (world, 1, "timed-out|");
  assert_met (world, 0, "");
}

/* A guess is not even answered, and costs the invitation nothing. */
static void
test_invitation_guessed (World *world, const void *data)
{
  uint64_t handle;
  const PhInvitation invitation = invite (world, &handle);
  PhInvitation guess = invitation;
  unsigned sent;

  guess.secret[15] ^= 1;
  ph_nearby_accept (world->devices[2].nearby, world->now, &guess);
  sent = world->sent - world->multicast;
  run (world, world->now + PH_NEARBY_ACCEPT_MAX);
  assert_met (world, 2, "timed-out|");
  g_assert_cmpuint (world->sent - world->multicast, ==, sent);
  ph_nearby_accept (world->devices[1].nearby, world->now, &invitation);
  run (world, world->now + PH_SEC);
  assert_met (world, 0, "used by Ben|answered|");
}

/* Somebody who has the secret, and says `body` to the inviter out of turn. */
static void
forge (World *world, const PhInvitation *invitation, uint64_t sequence, PhSlice body)
{
  uint8_t bytes[PH_NEARBY_DATAGRAM_MAX];
  PhWriter w = ph_writer (bytes, sizeof bytes);
  PhNearby *inviter = world->devices[0].nearby;
  PhNearbyKey to_inviter, from_inviter;
  PhNearbyEntry entry = {.epoch = {{7}}, .flags = PH_NEARBY_FLAG_ANSWER};
  PhNearbyMessage message;

  ph_nearby_invitation_keys (invitation, false, &to_inviter, &from_inviter);
  run (world, world->now + 2 * PH_NEARBY_ANSWER_INTERVAL);
  ph_nearby_write_header (&w, PH_NEARBY_ANNOUNCE, &world->random);
  ph_nearby_write_entry (&w, &to_inviter, &entry);
  ph_nearby_handle_multicast (inviter, world->now, 1, &world->devices[2].addr,
                              ph_slice (bytes, ph_writer_len (&w)));
  settle (world);
  g_assert_true (ph_nearby_parse (ph_slice (world->last->data, world->last->len), &message));
  g_assert_true (ph_nearby_find_entry (&message, &from_inviter, &entry));

  const PhNearbyPacket packet = {
      .sender_epoch = {{7}},
      .receiver_epoch = entry.epoch,
      .kind = PH_NEARBY_DATA,
      .sequence = sequence,
      .bytes = body,
  };
  PhDatagram in = {.socket = 10, .remote = world->devices[2].addr};

  w = ph_writer (bytes, sizeof bytes);
  ph_nearby_write_header (&w, PH_NEARBY_PACKET, &world->random);
  ph_nearby_write_packet (&w, &to_inviter, &packet);
  in.bytes = ph_slice (bytes, ph_writer_len (&w));
  g_assert_true (ph_nearby_handle_packet (inviter, world->now, &in));
  settle (world);
}

static void
test_invitation_wrong_answer (World *world, const void *data)
{
  uint64_t handle;
  const PhInvitation invitation = invite (world, &handle);
  uint8_t body[1 + PH_DEVICE_ID_LEN + 300] = {0};

  /* What is no answer changes nothing: too short, another kind, by nobody. */
  forge (world, &invitation, 1, ph_slice (body, 10));
  forge (world, &invitation, 2, ph_slice (body, sizeof body));
  body[0] = 1;
  forge (world, &invitation, 3, ph_slice (body, sizeof body));
  assert_met (world, 0, "");
  memcpy (body + 1, world->devices[2].identity.id.key, PH_DEVICE_ID_LEN);
  forge (world, &invitation, 4, ph_slice (body, sizeof body));
  assert_met (world, 0, "wrong-secret|");
  /* It is ended, and whoever comes with the right one is told. */
  run (world, world->now + 2 * PH_SEC);
  ph_nearby_accept (world->devices[1].nearby, world->now, &invitation);
  run (world, world->now + 5 * PH_SEC);
  assert_met (world, 1, "invitation-ended|");
  run (world, world->now + PH_NEARBY_USED_MEMORY);
  assert_met (world, 0, "wrong-secret|");
}

static void
test_invitations_are_bounded (World *world, const void *data)
{
  PhInvitation invitation;

  for (unsigned i = 0; i <= PH_NEARBY_INVITATIONS_MAX; i++) {
    ph_invitation_make (&invitation, &world->devices[0].identity.id, NULL, "", &world->random);
    g_assert_true (
        (ph_nearby_invite (world->devices[0].nearby, world->now, &invitation, PH_SEC) != 0)
        == (i < PH_NEARBY_INVITATIONS_MAX));
  }
  run (world, world->now + PH_SEC);
  g_assert_true (g_str_has_prefix (world->devices[0].met->str, "invitation-expired|"));
  g_assert_cmpuint (ph_nearby_invite (world->devices[0].nearby, world->now, &invitation, PH_SEC),
                    !=, 0);
}

int
main (int argc, char **argv)
{
#define ADD(name, func) g_test_add ("/nearby/" name, World, NULL, set_up, func, tear_down)
  ph_test_init (&argc, &argv);
  ADD ("contacts-find-each-other", test_contacts_find_each_other);
  g_test_add ("/nearby/contacts-find-each-other-ipv6", World, "ipv6", set_up,
              test_contacts_find_each_other, tear_down);
  g_test_add ("/nearby/signals-in-order-ipv6", World, "ipv6", set_up, test_signals_in_order,
              tear_down);
  g_test_add ("/nearby/invitation-ipv6", World, "ipv6", set_up, test_invitation, tear_down);
  ADD ("one-sided", test_one_sided);
  ADD ("found-despite-loss", test_found_despite_loss);
  ADD ("leaving", test_leaving);
  ADD ("silence", test_silence);
  ADD ("doubt", test_doubt);
  ADD ("doubts-are-bounded", test_doubts_are_bounded);
  ADD ("many-contacts", test_many_contacts);
  ADD ("nothing-to-track", test_nothing_to_track);
  ADD ("signals-in-order", test_signals_in_order);
  ADD ("long-signal", test_long_signal);
  ADD ("nobody-answers", test_nobody_answers);
  ADD ("queue-is-bounded", test_queue_is_bounded);
  ADD ("restart", test_restart);
  ADD ("lost-on-one-side", test_lost_on_one_side);
  ADD ("replay", test_replay);
  ADD ("recording", test_recording);
  ADD ("echo", test_echo);
  ADD ("flood", test_flood);
  ADD ("unwatch", test_unwatch);
  ADD ("watched-again", test_watched_again);
  ADD ("socket-removed", test_socket_removed);
  ADD ("invitation", test_invitation);
  ADD ("invitation-despite-loss", test_invitation_despite_loss);
  ADD ("invitation-serves-once", test_invitation_serves_once);
  ADD ("invitation-raced", test_invitation_raced);
  ADD ("invitation-for-the-late", test_invitation_for_the_late);
  ADD ("invitation-used-elsewhere", test_invitation_used_elsewhere);
  ADD ("invitation-withdrawn", test_invitation_withdrawn);
  ADD ("invitation-guessed", test_invitation_guessed);
  ADD ("invitation-wrong-answer", test_invitation_wrong_answer);
  ADD ("invitations-are-bounded", test_invitations_are_bounded);
  return g_test_run ();
}
