/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/stun/ph-stun-binding.h"
#include "tests/support/ph-test.h"

/* --- RFC 5769 ----------------------------------------------------------------------------------- */

static const char short_term_password[] = "VOkJxbRl1RmTxUk/WvJxBt";

/* §2.1 */
static const uint8_t sample_request[] = {
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73,
    0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
    0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09,
    0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14,
    0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
    0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
};

/* §2.2 */
static const uint8_t sample_ipv4_response[] = {
    0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
    0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9,
    0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
};

/* §2.3 */
static const uint8_t sample_ipv6_response[] = {
    0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa,
    0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14,
    0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75,
    0xbf, 0xe3, 0xed, 0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c,
};

/* §2.4 */
static const uint8_t sample_long_term_request[] = {
    0x00, 0x01, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72,
    0xc0, 0x29, 0xda, 0x41, 0x2e, 0x00, 0x06, 0x00, 0x12, 0xe3, 0x83, 0x9e, 0xe3, 0x83, 0x88,
    0xe3, 0x83, 0xaa, 0xe3, 0x83, 0x83, 0xe3, 0x82, 0xaf, 0xe3, 0x82, 0xb9, 0x00, 0x00, 0x00,
    0x15, 0x00, 0x1c, 0x66, 0x2f, 0x2f, 0x34, 0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36,
    0x4f, 0x4c, 0x33, 0x34, 0x6f, 0x4c, 0x39, 0x46, 0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73,
    0x41, 0x00, 0x14, 0x00, 0x0b, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2e, 0x6f, 0x72,
    0x67, 0x00, 0x00, 0x08, 0x00, 0x14, 0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e, 0x02,
    0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2, 0x8c, 0xa8, 0x96, 0x66,
};

#define SLICE(array) ph_slice (array, sizeof array)

static PhStunMessage
parse (PhSlice bytes)
{
  PhStunMessage message;

  g_assert_true (ph_stun_is_stun (bytes));
  g_assert_true (ph_stun_parse (bytes, &message));
  return message;
}

static void
assert_text (const PhStunMessage *message, uint16_t type, const char *text)
{
  PhSlice value;

  g_assert_true (ph_stun_find (message, type, &value));
  g_assert_cmpmem (value.data, value.len, text, strlen (text));
}

static void
test_sample_request (void)
{
  const PhStunMessage message = parse (SLICE (sample_request));
  const PhSlice key = ph_slice_string (short_term_password);
  uint32_t priority;
  uint64_t tie_breaker;

  g_assert_cmpint (message.klass, ==, PH_STUN_REQUEST);
  g_assert_cmpint (message.method, ==, PH_STUN_BINDING);
  assert_text (&message, PH_STUN_SOFTWARE, "STUN test client");
  assert_text (&message, PH_STUN_USERNAME, "evtj:h6vY");
  g_assert_true (ph_stun_get_u32 (&message, PH_STUN_PRIORITY, &priority));
  g_assert_cmphex (priority, ==, 0x6e0001ff);
  g_assert_true (ph_stun_get_u64 (&message, PH_STUN_ICE_CONTROLLED, &tie_breaker));
  g_assert_cmphex (tie_breaker, ==, UINT64_C (0x932ff9b151263b36));
  g_assert_true (ph_stun_check_integrity (&message, key));
  g_assert_false (ph_stun_check_integrity (&message, ph_slice_string ("VOkJxbRl1RmTxUk/WvJxBu")));
}

static void
check_response (PhSlice bytes, const char *mapped)
{
  const PhStunMessage message = parse (bytes);
  const PhAddr expected = ph_test_addr (mapped);
  PhAddr got;

  g_assert_cmpint (message.klass, ==, PH_STUN_SUCCESS);
  assert_text (&message, PH_STUN_SOFTWARE, "test vector");
  g_assert_true (ph_stun_get_mapped (&message, &got));
  g_assert_true (ph_addr_equal (&got, &expected));
  g_assert_true (ph_stun_check_integrity (&message, ph_slice_string (short_term_password)));
}

static void
test_sample_responses (void)
{
  check_response (SLICE (sample_ipv4_response), "192.0.2.1:32853");
  check_response (SLICE (sample_ipv6_response), "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}

static const char long_term_username[] = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9";

static void
test_sample_long_term (void)
{
  const PhStunMessage message = parse (SLICE (sample_long_term_request));
  uint8_t key[16];

  assert_text (&message, PH_STUN_USERNAME, long_term_username);
  assert_text (&message, PH_STUN_NONCE, "f//499k954d6OL34oL9FSTvy64sA");
  assert_text (&message, PH_STUN_REALM, "example.org");
  ph_stun_long_term_key (ph_slice_string (long_term_username), ph_slice_string ("example.org"),
                         ph_slice_string ("TheMatrIX"), key);
  g_assert_true (ph_stun_check_integrity (&message, SLICE (key)));
  key[0] ^= 1;
  g_assert_false (ph_stun_check_integrity (&message, SLICE (key)));
}

/* Our own writer gives the RFC's bytes where its padding is zeros as ours. */
static void
test_build_long_term (void)
{
  const PhStunMessage sample = parse (SLICE (sample_long_term_request));
  uint8_t out[sizeof sample_long_term_request], key[16];
  PhWriter w = ph_writer (out, sizeof out);

  ph_stun_long_term_key (ph_slice_string (long_term_username), ph_slice_string ("example.org"),
                         ph_slice_string ("TheMatrIX"), key);
  ph_stun_begin (&w, PH_STUN_REQUEST, PH_STUN_BINDING, &sample.id);
  ph_stun_put (&w, PH_STUN_USERNAME, ph_slice_string (long_term_username));
  ph_stun_put (&w, PH_STUN_NONCE, ph_slice_string ("f//499k954d6OL34oL9FSTvy64sA"));
  ph_stun_put (&w, PH_STUN_REALM, ph_slice_string ("example.org"));
  ph_stun_put_integrity (&w, SLICE (key));
  g_assert_true (ph_writer_ok (&w));
  g_assert_cmpmem (out, ph_writer_len (&w), sample_long_term_request,
                   sizeof sample_long_term_request);
}

/* Every single bit of a sealed message matters. */
static void
test_bit_flips (void)
{
  uint8_t bytes[sizeof sample_request];
  unsigned survivors = 0;

  for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
    PhStunMessage message;

    memcpy (bytes, sample_request, sizeof bytes);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    if (ph_stun_parse (SLICE (bytes), &message)
        && ph_stun_check_integrity (&message, ph_slice_string (short_term_password)))
      survivors++;
  }
  /* But the type of FINGERPRINT, which a flip turns into an unknown optional attribute: 15 bits.
   * (The top bit too: what is required after the integrity is ignored.) */
  g_assert_cmpuint (survivors, <=, 16);
}

/* --- Parsing ------------------------------------------------------------------------------------ */

static void
test_truncation (void)
{
  for (size_t len = 0; len < sizeof sample_request; len++) {
    g_autofree uint8_t *exact = g_memdup2 (sample_request, len);
    PhStunMessage message;

    g_assert_false (ph_stun_parse (ph_slice (exact, len), &message));
  }
}

static PhWriter
begin (uint8_t *out, size_t cap, PhStunClass klass, uint16_t method)
{
  static const PhStunId id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  PhWriter w = ph_writer (out, cap);

  ph_stun_begin (&w, klass, method, &id);
  return w;
}

static PhStunMessage
parse_written (const PhWriter *w)
{
  g_assert_true (ph_writer_ok (w));
  return parse (ph_slice (w->start, ph_writer_len (w)));
}

static void
test_types (void)
{
  uint8_t out[32];

  for (unsigned klass = 0; klass < 4; klass++) {
    for (unsigned method = 0; method < 0x1000; method++) {
      PhWriter w = begin (out, sizeof out, klass, (uint16_t)method);
      const PhStunMessage message = parse_written (&w);

      g_assert_cmpuint (message.klass, ==, klass);
      g_assert_cmpuint (message.method, ==, method);
    }
  }
}

static void
test_not_stun (void)
{
  uint8_t bytes[sizeof sample_request];
  const struct {
    size_t at;
    uint8_t value;
  } changes[] = {
      {0, 0x40}, /* QUIC or ChannelData */
      {4, 0x22}, /* no cookie */
      {3, 0x54}, /* shorter than the datagram */
      {3, 0x59}, /* not a multiple of four */
  };

  for (size_t i = 0; i < G_N_ELEMENTS (changes); i++) {
    memcpy (bytes, sample_request, sizeof bytes);
    bytes[changes[i].at] = changes[i].value;
    g_assert_false (ph_stun_is_stun (SLICE (bytes)));
  }
}

/* What follows the integrity is not covered by it, so it is not there. */
static void
test_after_integrity (void)
{
  const PhSlice key = ph_slice_string ("secret");
  uint8_t out[256];
  PhWriter w = begin (out, sizeof out, PH_STUN_REQUEST, PH_STUN_BINDING);
  PhStunMessage message;

  ph_stun_put_u32 (&w, PH_STUN_PRIORITY, 7);
  ph_stun_put_integrity (&w, key);
  ph_stun_put_flag (&w, PH_STUN_USE_CANDIDATE);
  ph_stun_put_fingerprint (&w);
  message = parse_written (&w);
  g_assert_true (ph_stun_check_integrity (&message, key));
  g_assert_true (ph_stun_has (&message, PH_STUN_PRIORITY));
  g_assert_false (ph_stun_has (&message, PH_STUN_USE_CANDIDATE));

  /* And nothing may follow the fingerprint. */
  ph_stun_put_flag (&w, PH_STUN_USE_CANDIDATE);
  g_assert_false (ph_stun_parse (ph_slice (out, ph_writer_len (&w)), &message));
}

static void
test_sha256 (void)
{
  const PhSlice key = ph_slice_string ("secret");
  uint8_t out[256];
  PhWriter w = begin (out, sizeof out, PH_STUN_REQUEST, PH_STUN_BINDING);
  PhStunMessage message;

  ph_stun_put (&w, PH_STUN_USERNAME, ph_slice_string ("a:b"));
  ph_stun_put_integrity (&w, key);
  ph_stun_put_integrity_sha256 (&w, key);
  ph_stun_put_fingerprint (&w);
  message = parse_written (&w);
  g_assert_true (ph_stun_check_integrity (&message, key));

  /* The stronger one decides: a wrong one is not made good by the weaker. */
  out[message.integrity_sha256_at + 4] ^= 1;
  message.fingerprint_at = 0;
  g_assert_false (ph_stun_check_integrity (&message, key));
}

static void
test_round_trips (void)
{
  const PhAddr addrs[] = {ph_test_addr ("198.51.100.7:1"), ph_test_addr ("[2001:db8::42]:65535")};
  uint8_t out[256];

  for (size_t i = 0; i < G_N_ELEMENTS (addrs); i++) {
    PhWriter w = begin (out, sizeof out, PH_STUN_ERROR, PH_STUN_BINDING);
    const uint16_t unknown[] = {0x7001, 0x7002};
    PhStunMessage message;
    PhSlice reason, list;
    PhAddr got;
    unsigned code;
    uint16_t types[1];

    ph_stun_put_addr (&w, PH_STUN_OTHER_ADDRESS, &addrs[i]);
    ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &addrs[i]);
    ph_stun_put_error (&w, 487, "Role Conflict");
    ph_stun_put_unknown (&w, unknown, 2);
    ph_stun_put_u32 (&w, PH_STUN_CHANGE_REQUEST, PH_STUN_CHANGE_IP | PH_STUN_CHANGE_PORT);
    message = parse_written (&w);

    g_assert_true (ph_stun_get_addr (&message, PH_STUN_OTHER_ADDRESS, &got));
    g_assert_true (ph_addr_equal (&got, &addrs[i]));
    g_assert_true (ph_stun_get_xor_addr (&message, PH_STUN_XOR_MAPPED_ADDRESS, &got));
    g_assert_true (ph_addr_equal (&got, &addrs[i]));
    g_assert_true (ph_stun_get_error (&message, &code, &reason));
    g_assert_cmpuint (code, ==, 487);
    g_assert_cmpmem (reason.data, reason.len, "Role Conflict", 13);
    g_assert_true (ph_stun_find (&message, PH_STUN_UNKNOWN_ATTRIBUTES, &list));
    g_assert_cmpuint (list.len, ==, 4);
    /* Required and not known: the four attributes below 0x8000 but XOR-MAPPED-ADDRESS. */
    g_assert_cmpuint (
        ph_stun_unknown (&message, (uint16_t[]){PH_STUN_XOR_MAPPED_ADDRESS}, 1, types, 1), ==, 3);
    g_assert_cmphex (types[0], ==, PH_STUN_ERROR_CODE);
  }
}

static void
test_no_room (void)
{
  uint8_t out[40];
  PhWriter w = begin (out, sizeof out, PH_STUN_REQUEST, PH_STUN_BINDING);
  const PhAddr some = ph_test_addr ("192.0.2.1:1");

  ph_stun_put (&w, PH_STUN_USERNAME, ph_slice_string ("far too long for what is left"));
  ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &some);
  ph_stun_put_integrity (&w, ph_slice_string ("k"));
  ph_stun_put_fingerprint (&w);
  g_assert_false (ph_writer_ok (&w));
}

/* --- Transaction -------------------------------------------------------------------------------- */

/* RFC 8489 §6.2.1: with an RTO of 500 ms the client sends at 0, 500, 1500, 3500, 7500, 15500 and
 * 31500 ms and gives up at 39500 ms. */
static void
test_transaction (void)
{
  static const PhTime at_ms[] = {500, 1500, 3500, 7500, 15500, 31500};
  const PhTime start = 77 * PH_SEC;
  PhStunTransaction transaction;

  ph_stun_transaction_start (&transaction, start, &(PhStunId){{1}}, PH_STUN_TIMERS_DEFAULT);
  for (size_t i = 0; i < G_N_ELEMENTS (at_ms); i++) {
    const PhTime due = start + at_ms[i] * PH_MSEC;

    g_assert_cmpuint (transaction.deadline, ==, due);
    g_assert_cmpint (ph_stun_transaction_due (&transaction, due - 1), ==, PH_STUN_WAIT);
    g_assert_cmpint (ph_stun_transaction_due (&transaction, due), ==, PH_STUN_SEND_AGAIN);
  }
  g_assert_cmpuint (transaction.deadline, ==, start + 39500 * PH_MSEC);
  g_assert_cmpint (ph_stun_transaction_due (&transaction, transaction.deadline), ==,
                   PH_STUN_GIVE_UP);
  g_assert_false (ph_stun_transaction_running (&transaction));
  g_assert_cmpint (ph_stun_transaction_due (&transaction, PH_NEVER - 1), ==, PH_STUN_WAIT);
}

/* --- Binding ------------------------------------------------------------------------------------ */

#define SOCKET 3

typedef struct {
  PhRandomSeeded seed;
  PhStunBinding *binding;
  PhAddr server;
  PhTime now;
  uint8_t last[256];
  PhTransmit tx;
} Fixture;

static void
setup (Fixture *f, gconstpointer data)
{
  f->server = ph_test_addr ("203.0.113.1:3478");
  f->now = 5 * PH_SEC;
  f->binding = ph_stun_binding_new (
      &(PhStunBindingConfig){
          .socket = SOCKET,
          .server = f->server,
          .random = ph_test_random (&f->seed, "binding"),
      },
      f->now);
}

static void
teardown (Fixture *f, gconstpointer data)
{
  ph_stun_binding_free (f->binding);
}

/* Lets time pass to the next deadline and returns whether a question was sent. */
static bool
step (Fixture *f)
{
  const char *why;
  const PhTime next = ph_stun_binding_next_timeout (f->binding, &why);

  g_assert_cmpuint (next, !=, PH_NEVER);
  f->now = MAX (f->now, next);
  ph_stun_binding_handle_timeout (f->binding, f->now);
  f->tx = (PhTransmit){.data = f->last, .cap = sizeof f->last};
  if (!ph_stun_binding_poll_transmit (f->binding, f->now, &f->tx))
    return false;
  g_assert_cmpuint (f->tx.socket, ==, SOCKET);
  g_assert_true (ph_addr_equal (&f->tx.remote, &f->server));
  return true;
}

/* Answers the last question with `mapped`, or with the error `code`, from `from`. */
static bool
answer (Fixture *f, const PhAddr *from, const char *mapped, unsigned code)
{
  const PhStunMessage question = parse (ph_slice (f->last, f->tx.len));
  uint8_t out[128];
  PhWriter w = ph_writer (out, sizeof out);

  ph_stun_begin (&w, code != 0 ? PH_STUN_ERROR : PH_STUN_SUCCESS, PH_STUN_BINDING, &question.id);
  if (code != 0) {
    ph_stun_put_error (&w, code, "no");
  } else {
    const PhAddr seen = ph_test_addr (mapped);
    ph_stun_put_xor_addr (&w, PH_STUN_XOR_MAPPED_ADDRESS, &seen);
  }
  return ph_stun_binding_handle_packet (f->binding, f->now,
                                        &(PhDatagram){
                                            .socket = SOCKET,
                                            .remote = *from,
                                            .bytes = ph_slice (out, ph_writer_len (&w)),
                                        });
}

static void
assert_mapped (Fixture *f, const char *mapped)
{
  PhStunBindingEvent event;
  const PhAddr expected = ph_test_addr (mapped);

  g_assert_true (ph_stun_binding_poll_event (f->binding, &event));
  g_assert_cmpint (event.type, ==, PH_STUN_BINDING_MAPPED);
  g_assert_true (ph_addr_equal (&event.mapped, &expected));
}

static void
test_binding_keepalive (Fixture *f, gconstpointer data)
{
  PhStunBindingEvent event;
  PhTime answered;

  g_assert_true (step (f));
  f->now += 30 * PH_MSEC;
  g_assert_true (answer (f, &f->server, "198.51.100.1:4000", 0));
  assert_mapped (f, "198.51.100.1:4000");
  g_assert_false (answer (f, &f->server, "198.51.100.2:1", 0)); /* a second answer is nobody's */

  for (unsigned i = 0; i < 5; i++) {
    answered = f->now;
    g_assert_true (step (f));
    g_assert_cmpuint (f->now - answered, >=, 15 * PH_SEC);
    g_assert_cmpuint (f->now - answered, <, 25 * PH_SEC);
    g_assert_true (answer (f, &f->server, "198.51.100.1:4000", 0));
    g_assert_false (ph_stun_binding_poll_event (f->binding, &event));
  }
  g_assert_true (step (f));
  g_assert_true (answer (f, &f->server, "198.51.100.1:4001", 0));
  assert_mapped (f, "198.51.100.1:4001");
}

static void
test_binding_stranger (Fixture *f, gconstpointer data)
{
  const PhAddr stranger = ph_test_addr ("203.0.113.2:3478");

  g_assert_true (step (f));
  g_assert_false (answer (f, &stranger, "198.51.100.1:4000", 0));

  const PhAddr mapped = ph_stun_binding_mapped (f->binding);

  g_assert_false (ph_addr_is_set (&mapped));
}

/* Silence: five sends, told once, and longer and longer pauses. */
static void
test_binding_silent (Fixture *f, gconstpointer data)
{
  const PhTime start = f->now;
  PhStunBindingEvent event;
  unsigned sends = 0, failures = 0;
  PhTime first_failure = 0;

  while (f->now < start + 600 * PH_SEC) {
    sends += step (f);
    if (ph_stun_binding_poll_event (f->binding, &event)) {
      g_assert_cmpint (event.type, ==, PH_STUN_BINDING_FAILED);
      if (failures++ == 0) {
        first_failure = f->now;
        g_assert_cmpuint (sends, ==, 5);
      }
    }
  }
  g_assert_cmpuint (failures, ==, 1);
  g_assert_cmpuint (first_failure - start, ==, 7750 * PH_MSEC);
  g_assert_cmpuint (sends, <=, 5 * 15);
  g_assert_cmpuint (sends, >=, 5 * 8);

  do
    g_assert_cmpuint (f->now, <, start + 700 * PH_SEC);
  while (!step (f));
  g_assert_true (answer (f, &f->server, "198.51.100.1:4000", 0));
  assert_mapped (f, "198.51.100.1:4000");
}

static void
test_binding_refused (Fixture *f, gconstpointer data)
{
  PhStunBindingEvent event;

  g_assert_true (step (f));
  g_assert_true (answer (f, &f->server, NULL, 420));
  g_assert_true (ph_stun_binding_poll_event (f->binding, &event));
  g_assert_cmpint (event.type, ==, PH_STUN_BINDING_FAILED);
  g_assert_cmpuint (event.error, ==, 420);
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/stun/rfc5769/request", test_sample_request);
  g_test_add_func ("/stun/rfc5769/responses", test_sample_responses);
  g_test_add_func ("/stun/rfc5769/long-term", test_sample_long_term);
  g_test_add_func ("/stun/rfc5769/build-long-term", test_build_long_term);
  g_test_add_func ("/stun/bit-flips", test_bit_flips);
  g_test_add_func ("/stun/truncation", test_truncation);
  g_test_add_func ("/stun/types", test_types);
  g_test_add_func ("/stun/not-stun", test_not_stun);
  g_test_add_func ("/stun/after-integrity", test_after_integrity);
  g_test_add_func ("/stun/sha256", test_sha256);
  g_test_add_func ("/stun/round-trips", test_round_trips);
  g_test_add_func ("/stun/no-room", test_no_room);
  g_test_add_func ("/stun/transaction", test_transaction);
  g_test_add ("/stun/binding/keepalive", Fixture, NULL, setup, test_binding_keepalive, teardown);
  g_test_add ("/stun/binding/stranger", Fixture, NULL, setup, test_binding_stranger, teardown);
  g_test_add ("/stun/binding/silent", Fixture, NULL, setup, test_binding_silent, teardown);
  g_test_add ("/stun/binding/refused", Fixture, NULL, setup, test_binding_refused, teardown);
  return g_test_run ();
}
