/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tests/support/ph-test-tls-liar.h"

#include <errno.h>

static ssize_t
pull (gnutls_transport_ptr_t pointer, void *out, size_t len)
{
  PhTestTlsLiar *self = pointer;
  const size_t n = MIN (len, self->to_liar->len);

  if (n == 0) {
    gnutls_transport_set_errno (self->session, EAGAIN);
    return -1;
  }
  memcpy (out, self->to_liar->data, n);
  g_byte_array_remove_range (self->to_liar, 0, (guint)n);
  return (ssize_t)n;
}

static void
settle (PhTestTlsLiar *self)
{
  PhTransmit tx = {.data = self->out, .cap = PH_TRANSMIT_MAX};
  PhLinkEvent event;

  while (ph_link_poll_event (self->link, &event)) {
    if (event.type == PH_LINK_EVENT_READY)
      self->ready = true;
    if (event.type == PH_LINK_EVENT_CLOSED)
      self->closed = event;
    if (event.type == PH_LINK_EVENT_STREAM_DATA)
      self->held += event.data.len;
    ph_buf_slice_clear (&event.data);
  }
  while (ph_link_poll_transmit (self->link, self->now, &tx))
    g_byte_array_append (self->to_liar, tx.data, (guint)tx.len);
  while (ph_link_poll_event (self->link, &event)) {
    if (event.type == PH_LINK_EVENT_CLOSED)
      self->closed = event;
    ph_buf_slice_clear (&event.data);
  }
}

static ssize_t
push (gnutls_transport_ptr_t pointer, const void *data, size_t len)
{
  PhTestTlsLiar *self = pointer;
  const PhDatagram in = {.bytes = ph_slice (data, len)};

  self->now += PH_MSEC;
  ph_link_handle_packet (self->link, self->now, &in);
  settle (self);
  return (ssize_t)len;
}

/* The same two keys every time: what is said counts, not by whom. */
static void
make_identities (PhTestTlsLiar *self)
{
  for (uint8_t i = 0; i < 2; i++) {
    uint8_t seed[PH_TLS_SEED_LEN] = {i};

    self->identity[i] = ph_tls_identity_new (seed);
  }
}

static int
trust (gnutls_session_t session)
{
  return 0;
}

static void
listen (PhTestTlsLiar *self)
{
  uint8_t plain[1024];
  ssize_t n;

  while ((n = gnutls_record_recv (self->session, plain, sizeof plain)) > 0)
    self->heard += (uint64_t)n;
}

void
ph_test_tls_liar_init (PhTestTlsLiar *self)
{
  PhTlsLinkConfig config = {0};
  int result;

  *self = (PhTestTlsLiar){.now = 1000 * PH_SEC};
  make_identities (self);
  self->out = g_malloc (PH_TRANSMIT_MAX);
  self->to_liar = g_byte_array_new ();
  config.identity = self->identity[0];
  memcpy (config.peer_key, ph_tls_identity_key (self->identity[1]), PH_KEY_LEN);
  self->link = ph_tls_link_new (&config, self->now);
  self->session = ph_tls_session_new (self->identity[1], PH_TLS_CLIENT);
  gnutls_session_set_verify_function (self->session, trust);
  gnutls_transport_set_ptr (self->session, self);
  gnutls_transport_set_pull_function (self->session, pull);
  gnutls_transport_set_push_function (self->session, push);
  do
    result = gnutls_handshake (self->session);
  while (result < 0 && gnutls_error_is_fatal (result) == 0);
  g_assert_cmpint (result, ==, 0);
  listen (self);
}

void
ph_test_tls_liar_clear (PhTestTlsLiar *self)
{
  gnutls_deinit (self->session);
  ph_link_free (self->link);
  for (unsigned i = 0; i < 2; i++)
    ph_tls_identity_unref (self->identity[i]);
  g_byte_array_unref (self->to_liar);
  g_free (self->out);
}

void
ph_test_tls_liar_say (PhTestTlsLiar *self, PhSlice plain)
{
  while (plain.len > 0) {
    const ssize_t n = gnutls_record_send (self->session, plain.data, plain.len);

    g_assert_cmpint (n, >, 0);
    plain.data += n;
    plain.len -= (size_t)n;
  }
  listen (self);
}

void
ph_test_tls_liar_say_frame (PhTestTlsLiar *self, uint8_t type, uint32_t stream, bool fin,
                            PhTlsFrameBody body)
{
  uint8_t data[PH_TLS_FRAME_HEADER_LEN + PH_TLS_CONTROL_MAX];
  PhWriter w = ph_writer (data, sizeof data);

  ph_tls_frame_write (&w, type, stream, fin, &body);
  g_assert_true (ph_writer_ok (&w));
  ph_test_tls_liar_say (self, ph_slice (data, ph_writer_len (&w)));
}

void
ph_test_tls_liar_say_hello (PhTestTlsLiar *self)
{
  ph_test_tls_liar_say_frame (self, PH_TLS_FRAME_HELLO, 0, false,
                              (PhTlsFrameBody){
                                  .limit = 8 << 20,
                                  .stream_limit = 4 << 20,
                                  .streams = 64,
                              });
}

void
ph_test_tls_liar_say_data (PhTestTlsLiar *self, uint32_t stream, size_t claimed, size_t len,
                           bool fin)
{
  g_autofree uint8_t *data = g_malloc0 (PH_TLS_FRAME_HEADER_LEN + len);
  PhWriter w = ph_writer (data, PH_TLS_FRAME_HEADER_LEN);

  ph_tls_frame_write_data_header (&w, stream, claimed, fin);
  ph_test_tls_liar_say (self, ph_slice (data, PH_TLS_FRAME_HEADER_LEN + len));
}
