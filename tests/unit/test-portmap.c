/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/portmap/ph-nat-pmp.h"
#include "net/portmap/ph-portmap.h"
#include "tests/support/ph-test.h"

#include <netinet/in.h>

#define START (100 * PH_SEC)
#define SOCKET 3

/* A client and, where a test lets it answer, its router. */
typedef struct {
  PhRandomSeeded seed;
  PhPortmap *portmap;
  PhAddr local;
  PhAddr gateway;
  PhAddr external; /* port: what is given; 0: what is asked for */
  PhTime now;
  uint32_t epoch_s;
  uint8_t last[PH_PCP_REQUEST_MAX];
  size_t last_len;
  unsigned n_sent;
} World;

static World *
world_new (void)
{
  World *w = g_new0 (World, 1);
  PhPortmapConfig config = {.socket = SOCKET};

  w->now = START;
  w->local = config.local = ph_addr_ipv4 (192, 168, 1, 2, 0);
  w->gateway = config.gateway = ph_addr_ipv4 (192, 168, 1, 1, 0);
  w->gateway.port = PH_PCP_PORT;
  w->external = ph_addr_ipv4 (203, 0, 113, 7, 0);
  config.random = ph_test_random (&w->seed, "portmap");
  w->portmap = ph_portmap_new (&config, w->now);
  return w;
}

static void
world_free (World *w)
{
  ph_portmap_free (w->portmap);
  g_free (w);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (World, world_free)

static bool
poll (World *w)
{
  uint8_t data[1500];
  PhTransmit tx = {.data = data, .cap = sizeof data};

  if (!ph_portmap_poll_transmit (w->portmap, w->now, &tx))
    return false;
  g_assert_cmpuint (tx.socket, ==, SOCKET);
  g_assert_true (ph_addr_equal (&tx.remote, &w->gateway));
  g_assert_cmpuint (tx.len, <=, sizeof w->last);
  memcpy (w->last, data, tx.len);
  w->last_len = tx.len;
  w->n_sent++;
  return true;
}

static bool
receive_from (World *w, const PhAddr *from, const void *bytes, size_t len)
{
  const PhDatagram in = {.socket = SOCKET, .remote = *from, .bytes = ph_slice (bytes, len)};

  return ph_portmap_handle_packet (w->portmap, w->now, &in);
}

static void
write_ip (PhWriter *out, const PhAddr *addr)
{
  ph_write_zeros (out, 10);
  ph_write_u16 (out, 0xffff);
  ph_write_bytes (out, addr->ip, 4);
}

/* A PCP server's answer to the last request. */
static bool
answer_pcp (World *w, uint8_t result, uint32_t lifetime_s)
{
  uint8_t bytes[64];
  PhWriter out = ph_writer (bytes, sizeof bytes);
  PhReader in = ph_reader (ph_slice (w->last, w->last_len));

  g_assert_cmpuint (ph_read_u8 (&in), ==, 2);
  ph_write_u8 (&out, 2);
  ph_write_u8 (&out, ph_read_u8 (&in) | 0x80);
  ph_write_u8 (&out, 0);
  ph_write_u8 (&out, result);
  ph_write_u32 (&out, lifetime_s);
  ph_write_u32 (&out, w->epoch_s);
  ph_write_zeros (&out, 12);
  ph_read_skip (&in, 22);
  if (w->last_len > 24) {
    ph_write_slice (&out, ph_read_slice (&in, 12 + 4 + 2));
    ph_write_u16 (&out, w->external.port != 0 ? w->external.port : ph_read_u16 (&in));
    write_ip (&out, &w->external);
  }
  g_assert_true (ph_writer_ok (&out));
  return receive_from (w, &w->gateway, bytes, ph_writer_len (&out));
}

/* The same of a router that knows NAT-PMP alone. */
static bool
answer_nat_pmp (World *w, uint16_t result, uint32_t lifetime_s)
{
  uint8_t bytes[16];
  PhWriter out = ph_writer (bytes, sizeof bytes);
  PhReader in = ph_reader (ph_slice (w->last, w->last_len));
  const uint8_t version = ph_read_u8 (&in), opcode = ph_read_u8 (&in);

  ph_write_u8 (&out, 0);
  ph_write_u8 (&out, opcode | 0x80);
  ph_write_u16 (&out, version != 0 ? 1 : result);
  ph_write_u32 (&out, w->epoch_s);
  if (version == 0 && opcode == PH_NAT_PMP_ADDRESS) {
    ph_write_bytes (&out, w->external.ip, 4);
  } else if (version == 0) {
    ph_read_skip (&in, 2);
    ph_write_u16 (&out, ph_read_u16 (&in));
    ph_write_u16 (&out, w->external.port != 0 ? w->external.port : ph_read_u16 (&in));
    ph_write_u32 (&out, lifetime_s);
  }
  return receive_from (w, &w->gateway, bytes, ph_writer_len (&out));
}

/* To the next deadline. */
static void
wait (World *w)
{
  const char *why = NULL;
  const PhTime next = ph_portmap_next_timeout (w->portmap, &why);

  g_assert_cmpuint (next, !=, PH_NEVER);
  g_assert_nonnull (why);
  w->epoch_s += (uint32_t)(ph_time_since (next, w->now) / PH_SEC);
  w->now = MAX (w->now, next);
  ph_portmap_handle_timeout (w->portmap, w->now);
}

static void
expect_event (World *w, uint32_t id, const char *external)
{
  PhPortmapEvent event;
  char text[PH_ADDR_STRING_MAX];

  g_assert_true (ph_portmap_poll_event (w->portmap, &event));
  g_assert_cmpuint (event.id, ==, id);
  if (external == NULL)
    g_assert_false (ph_addr_is_set (&event.external));
  else
    g_assert_cmpstr (ph_addr_format (&event.external, text), ==, external);
}

static void
expect_no_event (World *w)
{
  PhPortmapEvent event;

  g_assert_false (ph_portmap_poll_event (w->portmap, &event));
}

/* Up to a mapping by PCP. */
static void
map_by_pcp (World *w)
{
  g_assert_true (poll (w));
  g_assert_true (answer_pcp (w, 0, 0));
  g_assert_cmpint (ph_portmap_state (w->portmap), ==, PH_PORTMAP_PCP);
  g_assert_true (ph_portmap_add (w->portmap, w->now, 9, PH_PORTMAP_UDP, 5000));
  g_assert_true (poll (w));
  g_assert_true (answer_pcp (w, 0, 7200));
  expect_event (w, 9, "203.0.113.7:5000");
}

/* --- The cases ---------------------------------------------------------------------------------- */

static void
test_pcp (void)
{
  g_autoptr (World) w = world_new ();
  /* RFC 6887 figure 2 and 9: version, opcode, lifetime, client; nonce; protocol, ports, address. */
  static const uint8_t head[24] = {2, 1, 0, 0, 0, 0, 0x1c, 0x20, 0,   0,   0, 0,
                                   0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 2};
  static const uint8_t tail[24] = {IPPROTO_UDP, 0, 0, 0, 0x13, 0x88, 0x13, 0x88, [18] = 0xff, 0xff};

  map_by_pcp (w);
  g_assert_cmpmem (w->last, 24, head, 24);
  g_assert_cmpmem (w->last + 36, w->last_len - 36, tail, sizeof tail);
  g_assert_true (ph_portmap_done (w->portmap));
  g_assert_cmpstr (ph_portmap_protocol_name (w->portmap), ==, "pcp");

  /* Renewed between a half and five eighths of the lifetime, with the same nonce. */
  uint8_t nonce[12];

  memcpy (nonce, w->last + 24, sizeof nonce);
  wait (w);
  g_assert_cmpuint (w->now, >=, START + 3600 * PH_SEC);
  g_assert_cmpuint (w->now, <=, START + 4500 * PH_SEC);
  g_assert_true (poll (w));
  g_assert_cmpmem (w->last + 24, 12, nonce, 12);
  g_assert_true (answer_pcp (w, 0, 7200));
  expect_no_event (w);

  /* And deleted at the end, with the nonce, for no time and no port. */
  ph_portmap_close (w->portmap, w->now);
  g_assert_true (poll (w));
  g_assert_cmpmem (w->last + 24, 12, nonce, 12);
  g_assert_cmpuint (w->last[4] | w->last[5] | w->last[6] | w->last[7], ==, 0);
  g_assert_cmpuint (w->last[42] | w->last[43], ==, 0);
  g_assert_false (poll (w));
}

/* Closed before the answer has come: it may be granted all the same. */
static void
test_close_early (void)
{
  g_autoptr (World) w = world_new ();

  g_assert_true (poll (w));
  g_assert_true (answer_pcp (w, 0, 0));
  g_assert_true (ph_portmap_add (w->portmap, w->now, 9, PH_PORTMAP_UDP, 5000));
  g_assert_true (poll (w));
  g_assert_true (ph_portmap_add (w->portmap, w->now, 10, PH_PORTMAP_UDP, 5001));
  ph_portmap_close (w->portmap, w->now);
  g_assert_true (poll (w));
  g_assert_cmpuint (w->last[4] | w->last[5] | w->last[6] | w->last[7], ==, 0);
  g_assert_cmpuint (w->last[41], ==, 0x88);
  g_assert_false (poll (w));
}

static void
test_nat_pmp (void)
{
  g_autoptr (World) w = world_new ();

  g_assert_true (ph_portmap_add (w->portmap, w->now, 9, PH_PORTMAP_TCP, 5000));
  g_assert_true (poll (w));
  g_assert_true (answer_nat_pmp (w, 0, 0));
  g_assert_cmpint (ph_portmap_state (w->portmap), ==, PH_PORTMAP_NAT_PMP);
  g_assert_true (poll (w));
  g_assert_cmpmem (w->last, w->last_len, "\0\0", 2);
  g_assert_true (answer_nat_pmp (w, 0, 0));
  g_assert_true (poll (w));
  g_assert_cmpmem (w->last, w->last_len, "\0\2\0\0\x13\x88\x13\x88\0\0\x1c\x20", 12);
  w->external.port = 6000;
  g_assert_true (answer_nat_pmp (w, 0, 3600));
  expect_event (w, 9, "203.0.113.7:6000");
  g_assert_cmpstr (ph_portmap_protocol_name (w->portmap), ==, "nat-pmp");

  /* Renewing asks for the address as well, and a new one is told. */
  wait (w);
  w->external = ph_addr_ipv4 (203, 0, 113, 8, 6000);
  g_assert_true (poll (w));
  g_assert_true (answer_nat_pmp (w, 0, 3600));
  g_assert_true (poll (w));
  g_assert_cmpuint (w->last_len, ==, 2);
  g_assert_true (answer_nat_pmp (w, 0, 0));
  expect_event (w, 9, "203.0.113.8:6000");
  expect_no_event (w);
}

/* The answer with the address is lost: the port alone is of no use and is asked for again. */
static void
test_nat_pmp_address_lost (void)
{
  g_autoptr (World) w = world_new ();

  g_assert_true (ph_portmap_add (w->portmap, w->now, 9, PH_PORTMAP_UDP, 5000));
  g_assert_true (poll (w));
  g_assert_true (answer_nat_pmp (w, 0, 0));
  g_assert_true (poll (w));
  g_assert_true (poll (w));
  g_assert_true (answer_nat_pmp (w, 0, 3600));
  expect_no_event (w);
  g_assert_true (poll (w));
  g_assert_cmpuint (w->last_len, ==, 2);
  g_assert_true (answer_nat_pmp (w, 0, 0));
  wait (w);
  g_assert_true (poll (w));
  g_assert_true (answer_nat_pmp (w, 0, 3600));
  expect_event (w, 9, "203.0.113.7:5000");
}

static void
test_silence (void)
{
  g_autoptr (World) w = world_new ();
  PhPortmapUpnp task;
  const PhTime start = w->now;

  g_assert_true (ph_portmap_add (w->portmap, w->now, 9, PH_PORTMAP_UDP, 5000));
  while (ph_portmap_state (w->portmap) == PH_PORTMAP_PROBING) {
    while (poll (w))
      ;
    g_assert_false (ph_portmap_poll_upnp (w->portmap, &task));
    wait (w);
  }
  g_assert_cmpuint (w->n_sent, ==, 3 + 2);
  g_assert_cmpuint (w->now, ==, start + 1750 * PH_MSEC);
  g_assert_false (poll (w));
  g_assert_true (ph_portmap_poll_upnp (w->portmap, &task));
  g_assert_false (ph_portmap_poll_upnp (w->portmap, &task));
  g_assert_false (ph_portmap_done (w->portmap));
  ph_portmap_upnp_done (w->portmap, w->now, 9, PH_PORTMAP_UPNP_ABSENT, NULL, 0);
  g_assert_true (ph_portmap_done (w->portmap));
  g_assert_null (ph_portmap_protocol_name (w->portmap));
  expect_no_event (w);

  /* Somebody may switch it on: asked again after a quarter of an hour. */
  wait (w);
  g_assert_cmpuint (w->now, ==, start + 1750 * PH_MSEC + 900 * PH_SEC);
  g_assert_cmpint (ph_portmap_state (w->portmap), ==, PH_PORTMAP_PROBING);
  map_by_pcp (w);
}

static void
test_upnp (void)
{
  g_autoptr (World) w = world_new ();
  const PhAddr external = ph_addr_ipv4 (203, 0, 113, 7, 5000);
  PhPortmapUpnp task;

  g_assert_true (ph_portmap_add (w->portmap, w->now, 9, PH_PORTMAP_UDP, 5000));
  g_assert_true (ph_portmap_add (w->portmap, w->now, 10, PH_PORTMAP_TCP, 5001));
  while (ph_portmap_state (w->portmap) == PH_PORTMAP_PROBING)
    wait (w);
  g_assert_true (ph_portmap_poll_upnp (w->portmap, &task));
  g_assert_cmpuint (task.id, ==, 9);
  g_assert_cmpuint (task.lifetime_s, ==, 7200);
  g_assert_false (ph_portmap_poll_upnp (w->portmap, &task));
  /* The driver takes its time; an answer to what was not asked counts for nothing. */
  w->now += 30 * PH_SEC;
  ph_portmap_handle_timeout (w->portmap, w->now);
  ph_portmap_upnp_done (w->portmap, w->now, 10, PH_PORTMAP_UPNP_DONE, &external, 7200);
  expect_no_event (w);
  ph_portmap_upnp_done (w->portmap, w->now, 9, PH_PORTMAP_UPNP_DONE, &external, 0);
  expect_event (w, 9, "203.0.113.7:5000");
  g_assert_true (ph_portmap_poll_upnp (w->portmap, &task));
  g_assert_cmpuint (task.id, ==, 10);
  ph_portmap_upnp_done (w->portmap, w->now, 10, PH_PORTMAP_UPNP_REFUSED, NULL, 0);
  g_assert_true (ph_portmap_done (w->portmap));
  g_assert_cmpstr (ph_portmap_protocol_name (w->portmap), ==, "upnp");

  ph_portmap_close (w->portmap, w->now);
  g_assert_true (ph_portmap_poll_upnp (w->portmap, &task));
  g_assert_cmpuint (task.id, ==, 9);
  g_assert_cmpuint (task.lifetime_s, ==, 0);
  g_assert_false (ph_portmap_poll_upnp (w->portmap, &task));
}

/* A server that has started again says so with its epoch; what it has forgotten is asked for at once. */
static void
test_restart (void)
{
  g_autoptr (World) w = world_new ();

  map_by_pcp (w);
  g_assert_true (ph_portmap_add (w->portmap, w->now, 10, PH_PORTMAP_TCP, 5001));
  g_assert_true (poll (w));
  w->now += 600 * PH_SEC;
  w->epoch_s = 3;
  g_assert_true (answer_pcp (w, 0, 7200));
  expect_event (w, 10, "203.0.113.7:5001");
  g_assert_true (poll (w));
  g_assert_cmpuint (w->last[41], ==, 0x88);
  g_assert_true (answer_pcp (w, 0, 7200));
  expect_no_event (w);
  g_assert_false (poll (w));

  /* Time that passes at both ends is none. */
  wait (w);
  g_assert_true (poll (w));
  g_assert_true (answer_pcp (w, 0, 7200));
  g_assert_false (poll (w));
}

/* Refused: told if it was there, and asked again when the server says. */
static void
test_refusal (void)
{
  g_autoptr (World) w = world_new ();
  const char *why;

  map_by_pcp (w);
  wait (w);
  g_assert_true (poll (w));
  g_assert_true (answer_pcp (w, 8, 600));
  expect_event (w, 9, NULL);
  g_assert_null (ph_portmap_protocol_name (w->portmap));
  g_assert_cmpuint (ph_portmap_next_timeout (w->portmap, &why), ==, w->now + 600 * PH_SEC);
  wait (w);
  g_assert_true (poll (w));
  g_assert_true (answer_pcp (w, 0, 7200));
  expect_event (w, 9, "203.0.113.7:5000");
  /* A server that asks for a year is not believed. */
  wait (w);
  g_assert_true (poll (w));
  g_assert_true (answer_pcp (w, 8, UINT32_MAX));
  g_assert_cmpuint (ph_portmap_next_timeout (w->portmap, &why), ==, w->now + 1800 * PH_SEC);
}

/* The router has gone: the mapping is asked for until it has expired, and then told as lost. */
static void
test_expiry (void)
{
  g_autoptr (World) w = world_new ();
  const PhTime expires = w->now + 7200 * PH_SEC;

  map_by_pcp (w);
  while (w->now < expires) {
    expect_no_event (w);
    g_assert_cmpuint (w->n_sent, <, 120);
    wait (w);
    while (poll (w))
      ;
  }
  g_assert_cmpuint (w->now, ==, expires);
  expect_event (w, 9, NULL);
}

/* Nothing is taken from strangers, for another request, or twice; nor an address that cannot be. */
static void
test_strangers (void)
{
  g_autoptr (World) w = world_new ();
  const PhAddr stranger = ph_addr_ipv4 (192, 168, 1, 9, PH_PCP_PORT);
  const PhAddr gateway = w->gateway;

  g_assert_true (poll (w));
  w->gateway = stranger;
  g_assert_false (answer_pcp (w, 0, 0));
  w->gateway = gateway;
  g_assert_true (answer_pcp (w, 0, 0));
  g_assert_true (ph_portmap_add (w->portmap, w->now, 9, PH_PORTMAP_UDP, 5000));
  g_assert_true (poll (w));
  w->last[24] ^= 1;
  g_assert_false (answer_pcp (w, 0, 7200));
  w->last[24] ^= 1;
  w->last[41] ^= 1;
  g_assert_false (answer_pcp (w, 0, 7200));
  w->last[41] ^= 1;
  expect_no_event (w);
  w->external = ph_addr_ipv4 (0, 0, 0, 0, 5000);
  g_assert_true (answer_pcp (w, 0, 7200));
  expect_no_event (w);
  g_assert_false (answer_pcp (w, 0, 7200));
}

static void
test_limit (void)
{
  g_autoptr (World) w = world_new ();

  for (uint32_t i = 1; i <= PH_PORTMAP_MAX; i++)
    g_assert_true (ph_portmap_add (w->portmap, w->now, i, PH_PORTMAP_UDP, (uint16_t)i));
  g_assert_false (ph_portmap_add (w->portmap, w->now, 99, PH_PORTMAP_UDP, 99));
}

static void
test_parse (void)
{
  PhPcpResponse pcp;
  PhNatPmpResponse nat_pmp;
  const uint8_t bytes[60] = {2, 0x81};

  /* Every length but the whole is refused, and so are requests. */
  for (size_t len = 0; len < 60; len++)
    g_assert_false (ph_pcp_parse (ph_slice (bytes, len), &pcp));
  g_assert_true (ph_pcp_parse (ph_slice (bytes, 60), &pcp));
  g_assert_false (ph_pcp_parse (ph_slice ("\2\1", 2), &pcp));
  for (size_t len = 0; len < 8; len++)
    g_assert_false (ph_nat_pmp_parse (ph_slice ("\0\x80\0\1\0\0\0\5", len), &nat_pmp));
  g_assert_true (ph_nat_pmp_parse (ph_slice ("\0\x80\0\1\0\0\0\5", 8), &nat_pmp));
  g_assert_false (ph_nat_pmp_parse (ph_slice ("\0\x80\0\0\0\0\0\5", 8), &nat_pmp));
  g_assert_true (ph_nat_pmp_parse (ph_slice ("\0\x80\0\0\0\0\0\5\xcb\0\x71\7", 12), &nat_pmp));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/portmap/pcp", test_pcp);
  g_test_add_func ("/portmap/close-early", test_close_early);
  g_test_add_func ("/portmap/nat-pmp", test_nat_pmp);
  g_test_add_func ("/portmap/nat-pmp-address-lost", test_nat_pmp_address_lost);
  g_test_add_func ("/portmap/silence", test_silence);
  g_test_add_func ("/portmap/upnp", test_upnp);
  g_test_add_func ("/portmap/restart", test_restart);
  g_test_add_func ("/portmap/refusal", test_refusal);
  g_test_add_func ("/portmap/expiry", test_expiry);
  g_test_add_func ("/portmap/strangers", test_strangers);
  g_test_add_func ("/portmap/limit", test_limit);
  g_test_add_func ("/portmap/parse", test_parse);
  return g_test_run ();
}
