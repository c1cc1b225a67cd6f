/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Invitation links, rendezvous addresses, acceptances. */

#include "net/signal/ph-base64.h"
#include "net/signal/ph-invitation.h"
#include "net/signal/ph-rendezvous-ice.h"
#include "tests/support/ph-test.h"

#include <sodium.h>

#define PIN "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static void
test_addresses (void)
{
  static const struct {
    const char *in;
    const char *out; /* NULL: refused with `error` */
    const char *origin;
    PhRendezvousAddressError error;
  } cases[] = {
      {"ws://192.168.1.5:8080", "ws://192.168.1.5:8080/", "ws://192.168.1.5:8080", 0},
      {"  WSS://Meet.Example.ORG/\n", "wss://meet.example.org/", "wss://meet.example.org:443", 0},
      {"wss://meet.example.org:443", "wss://meet.example.org/", "wss://meet.example.org:443", 0},
      {"ws://localhost:80/", "ws://localhost/", "ws://localhost:80", 0},
      {"ws://[2001:DB8:0::1]:81/", "ws://[2001:db8::1]:81/", "ws://[2001:db8::1]:81", 0},
      {"ws://[2001:db8::1]", "ws://[2001:db8::1]/", "ws://[2001:db8::1]:80", 0},
      {"wss://h:1/#pin=" PIN, "wss://h:1/#pin=" PIN, "wss://h:1", 0},
      {"wss://h:1#pin=" PIN, "wss://h:1/#pin=" PIN, "wss://h:1", 0},
      {"https://h/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_SCHEME},
      {"192.0.2.1:80", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_SCHEME},
      {"", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_SCHEME},
      {"ws://", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_HOST},
      {"ws://:80/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_HOST},
      {"ws://h:0/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_HOST},
      {"ws://h:65536/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_HOST},
      {"ws://h:/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_HOST},
      {"ws://h:+8/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_HOST},
      {"ws://a b/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_HOST},
      {"ws://127.1/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_HOST},
      {"ws://[fe80::1%2]/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_HOST},
      {"ws://[::1/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_HOST},
      {"ws://[192.0.2.1]/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_HOST},
      {"ws://user@h/", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_PATH},
      {"ws://h/x", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_PATH},
      {"ws://h/?q", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_PATH},
      {"ws://h/#pin=" PIN, NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_PIN},
      {"wss://h/#pin=AAEC", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_PIN},
      {"wss://h/#other", NULL, NULL, PH_RENDEZVOUS_ADDRESS_BAD_PIN},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    PhRendezvousAddress address;
    char text[PH_RENDEZVOUS_ADDRESS_STRING_MAX];

    g_test_message ("%s", cases[i].in);
    g_assert_cmpint (ph_rendezvous_address_parse (cases[i].in, &address), ==, cases[i].error);
    if (cases[i].out == NULL)
      continue;
    g_assert_cmpstr (ph_rendezvous_address_format (&address, text), ==, cases[i].out);
    g_assert_cmpstr (address.origin, ==, cases[i].origin);

    PhRendezvousAddress again;

    g_assert_cmpint (ph_rendezvous_address_parse (text, &again), ==, PH_RENDEZVOUS_ADDRESS_OK);
    g_assert_true (ph_rendezvous_address_equal (&address, &again));
  }
}

static void
test_ice_uris (void)
{
  static const struct {
    const char *uri;
    int kind; /* -1: refused */
    const char *host_port;
  } cases[] = {
      {"stun:192.0.2.1", PH_ICE_SERVER_STUN, "192.0.2.1:3478"},
      {"STUN:stun.example.org:19302", PH_ICE_SERVER_STUN, "stun.example.org:19302"},
      {"turn:turn.example.org", PH_ICE_SERVER_TURN_UDP, "turn.example.org:3478"},
      {"turn:t:5000?transport=udp", PH_ICE_SERVER_TURN_UDP, "t:5000"},
      {"turn:t?transport=tcp", PH_ICE_SERVER_TURN_TCP, "t:3478"},
      {"turns:t", PH_ICE_SERVER_TURNS_TCP, "t:5349"},
      {"turn:[2001:db8::1]", PH_ICE_SERVER_TURN_UDP, "[2001:db8::1]:3478"},
      {"turn:[2001:db8::1]:9", PH_ICE_SERVER_TURN_UDP, "[2001:db8::1]:9"},
      {"stuns:t", -1, NULL},
      {"stun:", -1, NULL},
      {"stun::3478", -1, NULL},
      {"stun:t:0", -1, NULL},
      {"stun:t:70000", -1, NULL},
      {"stun:2001:db8::1", -1, NULL},
      {"stun:[x]:1", -1, NULL},
      {"stun:t?transport=udp", -1, NULL},
      {"turn:t?transport=sctp", -1, NULL},
      {"turn:a b", -1, NULL},
      {"t:3478", -1, NULL},
      {"", -1, NULL},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    PhIceServer server;

    g_test_message ("%s", cases[i].uri);
    g_assert_true (ph_ice_server_parse (cases[i].uri, &server) == (cases[i].kind >= 0));
    if (cases[i].kind >= 0) {
      g_assert_cmpint (server.kind, ==, cases[i].kind);
      g_assert_cmpstr (server.host_port, ==, cases[i].host_port);
    }
  }
}

static void
test_own_turn_uris (void)
{
  static const struct {
    const char *text;
    const char *host_port; /* NULL: refused */
    const char *username;
    const char *password;
  } cases[] = {
      {"turn:me:secret@t", "t:3478", "me", "secret"},
      {"turns:me:a%40b%3Ac%25@[2001:db8::1]", "[2001:db8::1]:5349", "me", "a@b:c%"},
      {"turn:1%3Ax:p@t:9?transport=tcp", "t:9", "1:x", "p"},
      {"turn:t", NULL, NULL, NULL},
      {"turn:me@t", NULL, NULL, NULL},
      {"turn::p@t", NULL, NULL, NULL},
      {"turn:me:@t", NULL, NULL, NULL},
      {"turn:me:p@", NULL, NULL, NULL},
      {"turn:me:%zz@t", NULL, NULL, NULL},
      {"turn:me:%00@t", NULL, NULL, NULL},
      {"turn:me:%ff@t", NULL, NULL, NULL},
      {"stun:me:p@t", NULL, NULL, NULL},
      {"", NULL, NULL, NULL},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    PhIceServer server;

    g_test_message ("%s", cases[i].text);
    g_assert_true (ph_ice_server_parse_own (cases[i].text, &server)
                   == (cases[i].host_port != NULL));
    if (cases[i].host_port == NULL)
      continue;
    g_assert_cmpstr (server.host_port, ==, cases[i].host_port);
    g_assert_cmpstr (server.username, ==, cases[i].username);
    g_assert_cmpstr (server.password, ==, cases[i].password);
  }
}

static void
test_base64_is_strict (void)
{
  uint8_t out[8];
  size_t len;

  g_assert_true (ph_base64_decode (ph_slice_string ("AQID"), out, sizeof out, &len));
  g_assert_cmpuint (len, ==, 3);
  g_assert_true (ph_base64_decode (ph_slice_string (""), out, sizeof out, &len));
  g_assert_cmpuint (len, ==, 0);
  g_assert_true (ph_base64_decode_exact ("_-8", out, 2));
  g_assert_false (ph_base64_decode_exact ("_-9", out, 2)); /* trailing bits */
  g_assert_false (ph_base64_decode_exact ("/+8", out, 2));
  g_assert_false (ph_base64_decode_exact ("_-8=", out, 2));
  g_assert_false (ph_base64_decode_exact ("_-8\n", out, 2));
  g_assert_false (ph_base64_decode_exact ("_-8", out, 1));
  g_assert_false (ph_base64_decode_exact ("_-8", out, 3));
  g_assert_false (ph_base64_decode_exact ("A", out, 0));
}

static PhInvitation
make (PhRandom *random, const char *address_text, const char *name)
{
  PhIdentity identity;
  PhRendezvousAddress address;
  PhInvitation invitation;

  ph_identity_generate (&identity, random);
  g_assert_cmpint (ph_rendezvous_address_parse (address_text, &address), ==,
                   PH_RENDEZVOUS_ADDRESS_OK);
  ph_invitation_make (&invitation, &identity.id, &address, name, random);
  return invitation;
}

static void
test_link_round_trip (void)
{
  PhRandomSeeded state;
  PhRandom random = ph_test_random (&state, "invitation");
  g_autofree char *long_host = g_strnfill (253, 'a');
  g_autofree char *long_address = g_strdup_printf ("wss://%s:65535/#pin=" PIN, long_host);
  g_autofree char *long_name = g_strnfill (300, 'n');
  const char *const addresses[] = {"ws://192.168.1.5:8080", "wss://h/#pin=" PIN, long_address};
  const char *const names[] = {"", "Zo\xc3\xab", long_name};

  for (size_t i = 0; i < G_N_ELEMENTS (addresses); i++)
    for (size_t j = 0; j < G_N_ELEMENTS (names); j++) {
      const PhInvitation in = make (&random, addresses[i], names[j]);
      PhInvitation out;
      char link[PH_INVITATION_LINK_MAX];

      g_assert_cmpint (ph_invitation_parse (ph_invitation_format (&in, link), &out), ==,
                       PH_INVITATION_OK);
      g_assert_true (ph_device_id_equal (&in.inviter, &out.inviter));
      g_assert_cmpmem (in.secret, sizeof in.secret, out.secret, sizeof out.secret);
      g_assert_true (ph_rendezvous_address_equal (&in.rendezvous, &out.rendezvous));
      g_assert_cmpstr (in.name, ==, out.name);
      g_assert_cmpuint (strlen (out.name), <=, PH_NAME_LEN_MAX);
    }
}

static void
test_damaged_links (void)
{
  PhRandomSeeded state;
  PhRandom random = ph_test_random (&state, "damaged");
  const PhInvitation in = make (&random, "wss://h/#pin=" PIN, "Name");
  PhInvitation out;
  char link[PH_INVITATION_LINK_MAX];
  const size_t len = strlen (ph_invitation_format (&in, link));
  const size_t start = strlen ("porthole:");
  unsigned bad_checks = 0;

  for (size_t cut = start; cut < len; cut++) {
    g_autofree char *text = g_strndup (link, cut);

    g_assert_cmpint (ph_invitation_parse (text, &out), ==, PH_INVITATION_TRUNCATED);
  }
  for (size_t i = start; i < len; i++) {
    g_autofree char *text = g_strdup (link);

    text[i] = text[i] == 'A' ? 'B' : 'A';
    g_assert_cmpint (ph_invitation_parse (text, &out), !=, PH_INVITATION_OK);
    bad_checks += ph_invitation_parse (text, &out) == PH_INVITATION_BAD_CHECK;
  }
  g_assert_cmpuint (bad_checks, >, len - start - 12);

  g_autofree char *longer = g_strconcat (link, "AAAA", NULL);
  g_assert_cmpint (ph_invitation_parse (longer, &out), ==, PH_INVITATION_BAD_CHECK);

  g_autofree char *foreign = g_strconcat (link, "!", NULL);
  g_assert_cmpint (ph_invitation_parse (foreign, &out), ==, PH_INVITATION_NOT_A_LINK);
  g_assert_cmpint (ph_invitation_parse ("https://example.org", &out), ==, PH_INVITATION_NOT_A_LINK);
  g_assert_cmpint (ph_invitation_parse ("", &out), ==, PH_INVITATION_NOT_A_LINK);
  g_assert_cmpint (ph_invitation_parse ("porthole:", &out), ==, PH_INVITATION_TRUNCATED);
  g_assert_cmpint (ph_invitation_parse ("porthole:AgAA", &out), ==, PH_INVITATION_UNKNOWN_VERSION);

  g_autofree char *huge = g_strnfill (100000, 'A');
  memcpy (huge, "porthole:", start);
  g_assert_cmpint (ph_invitation_parse (huge, &out), ==, PH_INVITATION_NOT_A_LINK);
}

static void
test_links_survive_mail (void)
{
  PhRandomSeeded state;
  PhRandom random = ph_test_random (&state, "mail");
  const PhInvitation in = make (&random, "ws://h", "Name");
  PhInvitation out;
  char link[PH_INVITATION_LINK_MAX];
  g_autoptr (GString) text = g_string_new (ph_invitation_format (&in, link));

  for (size_t i = 40; i < text->len; i += 42)
    g_string_insert (text, (gssize)i, "\r\n ");
  g_string_prepend (text, "  ");
  memcpy (text->str + 2, "PORTHOLE:", 9);
  g_assert_cmpint (ph_invitation_parse (text->str, &out), ==, PH_INVITATION_OK);
  g_assert_cmpmem (in.secret, sizeof in.secret, out.secret, sizeof out.secret);
}

/* What a newer Porthole adds is skipped; nonsense with a right check is refused. */
static void
test_contents (void)
{
  PhRandomSeeded state;
  PhRandom random = ph_test_random (&state, "contents");
  const PhInvitation in = make (&random, "ws://h", "N");
  static const struct {
    const char *fields;
    size_t len;
    PhInvitationError error;
  } cases[] = {
      {"\x01\x06ws://h", 8, PH_INVITATION_OK},
      {"\x09\x02xx\x01\x06ws://h", 12, PH_INVITATION_OK},
      {"\x40\x99\x00\x01\x06ws://h", 11, PH_INVITATION_OK},
      {"", 0, PH_INVITATION_OK},
      {"\x02\x01N", 3, PH_INVITATION_OK},
      {"\x01\x06ftp://", 8, PH_INVITATION_MALFORMED},
      {"\x01\x06ws://h\x02\x01\x07", 11, PH_INVITATION_MALFORMED},
      {"\x01\x06ws://h\x02\x01\xff", 11, PH_INVITATION_MALFORMED},
      {"\x01\x06ws://h\x02\x05N", 11, PH_INVITATION_MALFORMED},
      {"\x01\x07ws://h\x00", 9, PH_INVITATION_MALFORMED},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    uint8_t bytes[200];
    PhWriter w = ph_writer (bytes, sizeof bytes);
    PhInvitation out;

    ph_write_u8 (&w, 1);
    ph_write_u16 (&w, (uint16_t)(48 + cases[i].len));
    ph_write_bytes (&w, in.inviter.key, 32);
    ph_write_bytes (&w, in.secret, 16);
    ph_write_bytes (&w, cases[i].fields, cases[i].len);

    uint8_t check[32];
    const size_t len = ph_writer_len (&w);

    crypto_generichash (check, sizeof check, bytes, len, NULL, 0);
    ph_write_bytes (&w, check, 4);

    g_autofree char *encoded = ph_base64_dup (ph_slice (bytes, len + 4));
    g_autofree char *link = g_strconcat ("porthole:", encoded, NULL);

    g_test_message ("case %zu", i);
    g_assert_cmpint (ph_invitation_parse (link, &out), ==, cases[i].error);
  }
}

/* For the inviter's own network: no meeting point is in it. */
static void
test_without_a_meeting_point (void)
{
  PhRandomSeeded state;
  PhRandom random = ph_test_random (&state, "nearby");
  const PhInvitation with = make (&random, "ws://h", "N");
  PhInvitation in, out;
  char link[PH_INVITATION_LINK_MAX];

  ph_invitation_make (&in, &with.inviter, NULL, "N", &random);
  g_assert_false (ph_invitation_has_rendezvous (&in));
  g_assert_cmpint (ph_invitation_parse (ph_invitation_format (&in, link), &out), ==,
                   PH_INVITATION_OK);
  g_assert_false (ph_invitation_has_rendezvous (&out));
  g_assert_cmpstr (out.name, ==, "N");
  g_assert_cmpmem (in.secret, sizeof in.secret, out.secret, sizeof out.secret);
  g_assert_cmpint (ph_invitation_parse (ph_invitation_format (&with, link), &out), ==,
                   PH_INVITATION_OK);
  g_assert_true (ph_invitation_has_rendezvous (&out));
}

static void
test_names_are_cleaned (void)
{
  char out[PH_NAME_LEN_MAX + 1];
  g_autoptr (GString) umlauts = g_string_new ("x");

  ph_name_clean ("a\nb\x1b[31m\x7f", out);
  g_assert_cmpstr (out, ==, "a b [31m ");
  ph_name_clean ("\xff", out);
  g_assert_cmpstr (out, ==, "\xef\xbf\xbd");
  ph_name_clean (NULL, out);
  g_assert_cmpstr (out, ==, "");
  for (unsigned i = 0; i < 100; i++)
    g_string_append (umlauts, "\xc3\xa4");
  ph_name_clean (umlauts->str, out);
  g_assert_cmpuint (strlen (out), ==, PH_NAME_LEN_MAX - 1);
  g_assert_true (g_utf8_validate (out, -1, NULL));
}

static void
test_lookup_tells_nothing_twice (void)
{
  const uint8_t zero[16] = {0};
  const uint8_t one[16] = {1};
  const PhLookupId a = ph_invitation_lookup (zero);
  const PhLookupId b = ph_invitation_lookup (one);
  uint8_t expected[16];

  crypto_generichash (expected, 16, (const uint8_t *)"porthole/1 lookup", 18, zero, 16);
  g_assert_cmpmem (a.bytes, 16, expected, 16);
  g_assert_cmpint (memcmp (a.bytes, b.bytes, 16), !=, 0);
}

static void
test_acceptance (void)
{
  PhRandomSeeded state;
  PhRandom random = ph_test_random (&state, "acceptance");
  uint8_t secret[16];
  uint8_t other[16];
  uint8_t sealed[PH_ACCEPTANCE_MAX];
  PhIdentity alice;
  PhIdentity bob;
  PhIdentity eve;
  PhAcceptance out;

  ph_identity_generate (&alice, &random);
  ph_identity_generate (&bob, &random);
  ph_identity_generate (&eve, &random);
  ph_random_bytes (&random, secret, sizeof secret);
  ph_random_bytes (&random, other, sizeof other);

  PhAcceptance in = {PH_ACCEPTANCE_ACCEPT, bob.id, alice.id, "Bob"};
  const size_t len = ph_acceptance_seal (&in, secret, &bob, &random, sealed);
  const PhSlice bytes = ph_slice (sealed, len);

  g_assert_true (ph_acceptance_open (bytes, PH_ACCEPTANCE_ACCEPT, secret, &alice, &bob.id, &out));
  g_assert_cmpstr (out.name, ==, "Bob");

  g_assert_false (ph_acceptance_open (bytes, PH_ACCEPTANCE_WELCOME, secret, &alice, &bob.id, &out));
  g_assert_false (ph_acceptance_open (bytes, PH_ACCEPTANCE_ACCEPT, other, &alice, &bob.id, &out));
  g_assert_false (ph_acceptance_open (bytes, PH_ACCEPTANCE_ACCEPT, secret, &eve, &bob.id, &out));
  g_assert_false (ph_acceptance_open (bytes, PH_ACCEPTANCE_ACCEPT, secret, &alice, &eve.id, &out));
  for (size_t i = 0; i < len; i++) {
    sealed[i] ^= 1;
    g_assert_false (
        ph_acceptance_open (bytes, PH_ACCEPTANCE_ACCEPT, secret, &alice, &bob.id, &out));
    sealed[i] ^= 1;
    g_assert_false (ph_acceptance_open (ph_slice (sealed, i), PH_ACCEPTANCE_ACCEPT, secret, &alice,
                                        &bob.id, &out));
  }

  /* Right look-up ID, wrong secret: the MAC alone gives it away. */
  uint8_t inner[PH_ACCEPTANCE_MAX];
  const size_t mac_at = 1 + 1 + 32 + 32 + 16 + 1 + 3;

  g_assert_true (ph_identity_unseal (&alice, bytes, inner));
  inner[mac_at] ^= 1;
  ph_device_id_seal (&alice.id, &random, ph_slice (inner, len - PH_SEAL_OVERHEAD), sealed);
  g_assert_false (ph_acceptance_open (bytes, PH_ACCEPTANCE_ACCEPT, secret, &alice, &bob.id, &out));
  inner[mac_at] ^= 1;
  inner[len - PH_SEAL_OVERHEAD - 1] ^= 1;
  ph_device_id_seal (&alice.id, &random, ph_slice (inner, len - PH_SEAL_OVERHEAD), sealed);
  g_assert_false (ph_acceptance_open (bytes, PH_ACCEPTANCE_ACCEPT, secret, &alice, &bob.id, &out));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/invitation/addresses", test_addresses);
  g_test_add_func ("/invitation/ice-uris", test_ice_uris);
  g_test_add_func ("/invitation/own-turn-uris", test_own_turn_uris);
  g_test_add_func ("/invitation/base64-is-strict", test_base64_is_strict);
  g_test_add_func ("/invitation/link-round-trip", test_link_round_trip);
  g_test_add_func ("/invitation/damaged-links", test_damaged_links);
  g_test_add_func ("/invitation/links-survive-mail", test_links_survive_mail);
  g_test_add_func ("/invitation/contents", test_contents);
  g_test_add_func ("/invitation/without-a-meeting-point", test_without_a_meeting_point);
  g_test_add_func ("/invitation/names-are-cleaned", test_names_are_cleaned);
  g_test_add_func ("/invitation/lookup-tells-nothing-twice", test_lookup_tells_nothing_twice);
  g_test_add_func ("/invitation/acceptance", test_acceptance);
  return g_test_run ();
}
