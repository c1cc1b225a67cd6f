/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/tls/ph-tls-private.h"

#include <errno.h>

/* --- Bytes to and from the connection ----------------------------------------------------------- */

static ssize_t
pull (gnutls_transport_ptr_t pointer, void *out, size_t len)
{
  PhTlsLink *self = pointer;
  const size_t n = MIN (len, self->in.len);

  if (n == 0) {
    gnutls_transport_set_errno (self->session, EAGAIN);
    return -1;
  }
  memcpy (out, self->in.data, n);
  self->in.data += n;
  self->in.len -= n;
  return (ssize_t)n;
}

static ssize_t
push (gnutls_transport_ptr_t pointer, const giovec_t *iov, int n_iov)
{
  PhTlsLink *self = pointer;
  size_t total = 0;

  for (int i = 0; i < n_iov; i++)
    total += iov[i].iov_len;

  const bool direct = self->dest != NULL && self->out->len == 0 && total <= self->room;

  for (int i = 0; i < n_iov; i++) {
    if (direct) {
      memcpy (self->dest, iov[i].iov_base, iov[i].iov_len);
      self->dest += iov[i].iov_len;
      self->room -= iov[i].iov_len;
    } else {
      g_byte_array_append (self->out, iov[i].iov_base, (guint)iov[i].iov_len);
    }
  }
  return (ssize_t)total;
}

/* Called within the handshake, when the peer has shown its certificate and proved to hold its key. */
static int
verify_peer (gnutls_session_t session)
{
  PhTlsLink *self = gnutls_session_get_ptr (session);

  self->key_refused = !ph_tls_check_peer (session, self->config.peer_key);
  return self->key_refused ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

void
ph_tls_make_session (PhTlsLink *self)
{
  self->session = ph_tls_session_new (self->identity, self->config.client ? PH_TLS_CLIENT : 0);
  gnutls_session_set_ptr (self->session, self);
  gnutls_session_set_verify_function (self->session, verify_peer);
  gnutls_transport_set_ptr (self->session, self);
  gnutls_transport_set_pull_function (self->session, pull);
  gnutls_transport_set_vec_push_function (self->session, push);
}

/* --- Failures ----------------------------------------------------------------------------------- */

static void
fail (PhTlsLink *self, int result)
{
  const char *text = gnutls_strerror (result);
  PhLinkError error = PH_LINK_ERROR_PROTOCOL;

  if (ph_tls_ending (self))
    return;
  if (result == GNUTLS_E_FATAL_ALERT_RECEIVED) {
    if (ph_tls_alert_is_identity (gnutls_alert_get (self->session)))
      error = PH_LINK_ERROR_IDENTITY;
    ph_tls_end_silently (self, error, 0, ph_slice_string (text));
    return;
  }
  if (self->key_refused)
    error = PH_LINK_ERROR_IDENTITY;
  gnutls_alert_send_appropriate (self->session, result);
  self->handshaken = false; /* the alert is the last word */
  ph_tls_end_telling (self, error, PH_TLS_CLOSE_PROTOCOL, 0,
                      self->key_refused ? "not the expected key" : text);
}

void
ph_tls_shake_hands (PhTlsLink *self)
{
  int result;

  g_assert (!self->handshaken);
  do
    result = gnutls_handshake (self->session);
  while (result < 0 && result != GNUTLS_E_AGAIN && gnutls_error_is_fatal (result) == 0);
  if (result == GNUTLS_E_AGAIN)
    return;
  if (result < 0) {
    fail (self, result);
    return;
  }
  if (!ph_tls_check_session (self->session)
      || !ph_tls_check_peer (self->session, self->config.peer_key)) {
    self->key_refused = true;
    fail (self, GNUTLS_E_CERTIFICATE_ERROR);
    return;
  }
  self->handshaken = true;
  self->hello_due = true;
  self->overhead = gnutls_record_overhead_size (self->session);
}

/* --- Records ------------------------------------------------------------------------------------ */

size_t
ph_tls_read (PhTlsLink *self, void *out, size_t len)
{
  ssize_t n;

  if (ph_tls_ending (self))
    return 0;
  do
    n = gnutls_record_recv (self->session, out, len);
  while (n < 0 && n != GNUTLS_E_AGAIN && gnutls_error_is_fatal ((int)n) == 0);
  if (n > 0) {
    self->authentic_at = self->last_now;
    return (size_t)n;
  }
  if (n == 0)
    ph_tls_end_silently (self, PH_LINK_ERROR_PROTOCOL, 0,
                         ph_slice_string ("closed without a word"));
  else if (n != GNUTLS_E_AGAIN)
    fail (self, (int)n);
  return 0;
}

void
ph_tls_write (PhTlsLink *self, const void *data, size_t len)
{
  const ssize_t n = gnutls_record_send (self->session, data, len);

  if (n < 0)
    fail (self, (int)n);
  else
    g_assert ((size_t)n == len); /* `push` takes everything */
}

void
ph_tls_write_close_notify (PhTlsLink *self)
{
  gnutls_bye (self->session, GNUTLS_SHUT_WR);
}
