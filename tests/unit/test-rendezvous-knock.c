/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Knocks: a device asks the server whether it gets through, and whoever asks for more gets nothing. */

#include "net/signal/ph-base64.h"
#include "tests/unit/rendezvous-world.h"

#define PORT 40000

static const uint8_t token[PH_RENDEZVOUS_KNOCK_TOKEN_LEN] = "token of a knock";

static uint64_t
knock (World *w, unsigned i)
{
  return ph_rendezvous_client_knock (w->parties[i].client, w->now, PORT, token);
}

/* As a client of somebody else's making would. `members` begins with a comma. */
static void
say (World *w, unsigned i, const char *members)
{
  g_queue_push_tail (&w->parties[i].wire->up, g_strdup_printf ("{\"type\":\"knock\"%s}", members));
  world_deliver (w);
}

static void
say_port (World *w, unsigned i, const char *port)
{
  char text[PH_BASE64_CHARS (sizeof token) + 1];
  g_autofree char *members =
      g_strdup_printf (",\"port\":%s,\"token\":\"%s\"", port,
                       ph_base64_encode (ph_slice (token, sizeof token), text));

  say (w, i, members);
}

static PhAddr
addr (const char *text, uint16_t port)
{
  PhAddr result;

  g_assert_true (ph_addr_parse (text, port, &result));
  return result;
}

static void
set_up (World *w, unsigned n)
{
  world_init (w, "knock", n);
  world_start (w, false);
  world_deliver (w);
}

static const PhRoomsKnock *
last_knock (const World *w)
{
  g_assert_cmpuint (w->knocks->len, >, 0);
  return &g_array_index (w->knocks, PhRoomsKnock, w->knocks->len - 1);
}

/* Comes from where the connection of a client from `home` arrived. */
static void
test_answered (gconstpointer home)
{
  const PhAddr to = addr (home, PORT);
  const PhAddr from = addr (to.family == PH_FAMILY_IPV6 ? WORLD_LOCAL_6 : WORLD_LOCAL_4, 0);
  uint8_t greeting[PH_RENDEZVOUS_GREETING_LEN];
  uint64_t handle;
  PhAddr told_to;
  World w;

  world_init (&w, "knock", 1);
  w.remote = addr (home, 5000);
  world_start (&w, false);
  world_deliver (&w);
  g_assert_true (ph_rendezvous_client_can_knock (w.parties[0].client, &told_to));
  g_assert_true (ph_addr_equal_ip (&told_to, &to));
  handle = knock (&w, 0);
  g_assert_cmpuint (handle, !=, 0);
  world_deliver (&w);

  g_assert_cmpuint (w.knocks->len, ==, 1);
  g_assert_true (ph_addr_equal (&last_knock (&w)->to, &to));
  g_assert_true (ph_addr_equal (&last_knock (&w)->from, &from));
  ph_rendezvous_greeting (token, greeting);
  g_assert_cmpmem (last_knock (&w)->greeting, sizeof greeting, greeting, sizeof greeting);
  g_assert_cmpmem (greeting + 2, 17, "porthole/1 knock ", 17);

  /* The answer says nothing by its time either. */
  world_run (&w, PH_RENDEZVOUS_KNOCK_TIME - 1);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED), ==, 0);
  world_run (&w, 1);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED), ==, 1);
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED)->code, ==, PH_RENDEZVOUS_OK);
  g_assert_cmpuint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED)->handle, ==, handle);
  world_clear (&w);
}

/* Several, each with an answer of its own; not too many, also for a client that does not count. */
static void
test_several (void)
{
  uint8_t tokens[PH_RENDEZVOUS_KNOCKS_MAX][PH_RENDEZVOUS_KNOCK_TOKEN_LEN] = {{0}};
  uint64_t handles[PH_RENDEZVOUS_KNOCKS_MAX];
  World w;

  set_up (&w, 1);
  for (unsigned i = 0; i < PH_RENDEZVOUS_KNOCKS_MAX; i++) {
    tokens[i][0] = (uint8_t)i;
    handles[i] = ph_rendezvous_client_knock (w.parties[0].client, w.now, PORT, tokens[i]);
    world_run (&w, PH_SEC / 10);
  }
  g_assert_cmpuint (knock (&w, 0), ==, 0);
  say_port (&w, 0, "40000");
  g_assert_cmpuint (w.knocks->len, ==, PH_RENDEZVOUS_KNOCKS_MAX);
  world_run (&w, PH_RENDEZVOUS_KNOCK_TIME - PH_RENDEZVOUS_KNOCKS_MAX * PH_SEC / 10);
  for (unsigned i = 0; i < PH_RENDEZVOUS_KNOCKS_MAX; i++) {
    g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED), ==, i + 1);
    g_assert_cmpuint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED)->handle, ==, handles[i]);
    world_run (&w, PH_SEC / 10);
  }
  world_clear (&w);
}

/* The address is the one that the connection comes from, whatever the client says. */
static void
test_only_at_home (void)
{
  const PhAddr to = ph_addr_ipv4 (198, 51, 100, 1, PORT);
  World w;

  set_up (&w, 1);
  say (&w, 0,
       ",\"port\":40000,\"token\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"to\":\"192.0.2.99\","
       "\"address\":\"192.0.2.99\",\"host\":\"192.0.2.99\",\"knock_to\":\"192.0.2.99\"");
  g_assert_cmpuint (w.knocks->len, ==, 1);
  g_assert_true (ph_addr_equal (&last_knock (&w)->to, &to));
  world_clear (&w);
}

/* Not through a proxy, and not within the network that the server is in. */
static void
test_not_everywhere (void)
{
  static const struct {
    const char *remote;
    bool proxy;
  } cases[] = {
      {"198.51.100.1", true}, {"127.0.0.1", false},   {"10.0.0.1", false},
      {"100.64.0.1", false},  {"169.254.0.1", false}, {WORLD_LOCAL_4, false},
      {"2001:db8::77", true}, {"::1", false},         {"fd00::77", false},
      {"fe80::77%1", false},  {"ff02::77", false},    {WORLD_LOCAL_6, false},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    PhAddr to;
    World w;

    g_test_message ("case %zu", i);
    world_init (&w, "knock", 1);
    w.remote = addr (cases[i].remote, 5000);
    w.no_knocks = cases[i].proxy;
    world_start (&w, false);
    world_deliver (&w);
    g_assert_false (ph_rendezvous_client_can_knock (w.parties[0].client, &to));
    g_assert_cmpuint (knock (&w, 0), ==, 0);
    say_port (&w, 0, "40000");
    world_run (&w, PH_RENDEZVOUS_KNOCK_TIME);
    g_assert_cmpuint (w.knocks->len, ==, 0);
    g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_OFFLINE), ==, 0);
    world_clear (&w);
  }
}

static void
test_ports (void)
{
  static const char *const refused[] = {"0", "22", "443", "1023"};
  static const char *const malformed[] = {"-1", "65536", "\"40000\"", "1e99", "null", "[40000]"};
  World w;

  set_up (&w, 1);
  for (size_t i = 0; i < G_N_ELEMENTS (refused); i++)
    say_port (&w, 0, refused[i]);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_OFFLINE), ==, 0);
  g_assert_cmpuint (ph_rendezvous_client_knock (w.parties[0].client, w.now, 1023, token), ==, 0);
  for (size_t i = 0; i < G_N_ELEMENTS (malformed); i++) {
    say_port (&w, 0, malformed[i]);
    g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_OFFLINE)->code, ==,
                     PH_RENDEZVOUS_MALFORMED);
    world_run (&w, PH_RENDEZVOUS_BACKOFF_MAX);
    g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_ONLINE), ==, i + 2);
  }
  say (&w, 0, ",\"port\":40000,\"token\":\"AAAA\"");
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_OFFLINE)->code, ==,
                   PH_RENDEZVOUS_MALFORMED);
  g_assert_cmpuint (w.knocks->len, ==, 0);
  world_clear (&w);
}

/* A device has twelve a minute, over its connections; an address thirty, over its devices. An address is a /64 of
 * IPv6: a computer has as many there as it likes. */
static void
test_rates (gconstpointer home)
{
  World w;

  world_init (&w, "knock", WORLD_CLIENTS_MAX);
  w.remote = addr (home, 5000);
  world_start (&w, false);
  world_deliver (&w);
  for (unsigned k = 0; k < 20; k++) {
    say_port (&w, 0, "40000");
    world_cut (&w, 0);
    while (ph_rendezvous_client_state (w.parties[0].client) != PH_RENDEZVOUS_ONLINE) {
      ph_rendezvous_client_network_changed (w.parties[0].client, w.now);
      world_deliver (&w);
    }
  }
  g_assert_cmpuint (w.knocks->len, ==, PH_ROOMS_KNOCKS_PER_KEY);
  world_run (&w, 60 * PH_SEC);
  g_array_set_size (w.knocks, 0);

  for (unsigned i = 0; i < w.n && w.remote.family == PH_FAMILY_IPV6; i++) {
    w.remote.ip[15] = (uint8_t)i;
    world_cut (&w, i);
    world_run (&w, PH_RENDEZVOUS_BACKOFF_MAX);
  }
  for (unsigned k = 0; k < 2 * PH_RENDEZVOUS_KNOCKS_MAX; k++) {
    for (unsigned i = 0; i < w.n; i++)
      say_port (&w, i, "40000");
    if (k == PH_RENDEZVOUS_KNOCKS_MAX - 1)
      world_run (&w, PH_RENDEZVOUS_KNOCK_TIME);
  }
  /* 30 at once, and one every two seconds. */
  g_assert_cmpuint (w.knocks->len, ==,
                    PH_ROOMS_KNOCKS_PER_ADDRESS + PH_RENDEZVOUS_KNOCK_TIME / PH_SEC / 2);
  world_clear (&w);
}

static void
test_gone_meanwhile (void)
{
  World w;

  set_up (&w, 1);
  g_assert_cmpuint (knock (&w, 0), !=, 0);
  world_deliver (&w);
  world_cut (&w, 0);
  world_deliver (&w);
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED)->code, ==, PH_RENDEZVOUS_LOST);
  world_run (&w, 2 * PH_RENDEZVOUS_KNOCK_TIME);
  /* The answer to the connection before is none for this one. */
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_ONLINE), ==, 2);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED), ==, 1);
  g_assert_cmpuint (knock (&w, 0), !=, 0);
  world_server_stop (&w);
  world_deliver (&w);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED), ==, 2);
  world_clear (&w);
}

static void
test_cannot (void)
{
  World w;

  set_up (&w, 1);
  w.knocks_fail = true;
  g_assert_cmpuint (knock (&w, 0), !=, 0);
  world_deliver (&w);
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED)->code, ==,
                   PH_RENDEZVOUS_KNOCK_REFUSED);
  g_assert_cmpuint (knock (&w, 0), !=, 0);
  world_clear (&w);
}

/* A server that forgets to answer, and one that answers what nobody asked. */
static void
test_lying_server (void)
{
  World w;

  set_up (&w, 1);
  g_queue_push_tail (&w.parties[0].wire->down, g_strdup ("{\"type\":\"knocked\"}"));
  g_queue_push_tail (&w.parties[0].wire->down,
                     g_strdup ("{\"type\":\"knocked\",\"token\":\"AAAAAAAAAAAAAAAAAAAAAA\"}"));
  world_deliver (&w);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED), ==, 0);

  g_assert_cmpuint (knock (&w, 0), !=, 0);
  g_free (ph_rendezvous_client_poll_text (w.parties[0].client)); /* it never gets there */
  world_run (&w, 20 * PH_SEC);
  g_assert_cmpint (world_last (&w, 0, PH_RENDEZVOUS_EVENT_KNOCKED)->code, ==,
                   PH_RENDEZVOUS_TIMED_OUT);
  g_assert_cmpuint (world_count (&w, 0, PH_RENDEZVOUS_EVENT_OFFLINE), ==, 0);
  world_clear (&w);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_data_func ("/rendezvous-knock/answered/ipv4", "198.51.100.1", test_answered);
  g_test_add_data_func ("/rendezvous-knock/answered/ipv6", "2001:db8:7::1", test_answered);
  g_test_add_func ("/rendezvous-knock/several", test_several);
  g_test_add_func ("/rendezvous-knock/only-at-home", test_only_at_home);
  g_test_add_func ("/rendezvous-knock/not-everywhere", test_not_everywhere);
  g_test_add_func ("/rendezvous-knock/ports", test_ports);
  g_test_add_data_func ("/rendezvous-knock/rates/ipv4", "198.51.100.1", test_rates);
  g_test_add_data_func ("/rendezvous-knock/rates/ipv6", "2001:db8:7::1", test_rates);
  g_test_add_func ("/rendezvous-knock/gone-meanwhile", test_gone_meanwhile);
  g_test_add_func ("/rendezvous-knock/cannot", test_cannot);
  g_test_add_func ("/rendezvous-knock/lying-server", test_lying_server);
  return g_test_run ();
}
