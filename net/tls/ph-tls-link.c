/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/tls/ph-tls-private.h"

#define MODULE "tls"

static const unsigned edges[] = {
    [PH_LINK_CONNECTING] = 1u << PH_LINK_READY | 1u << PH_LINK_CLOSED,
    [PH_LINK_READY] = 1u << PH_LINK_CLOSED,
    [PH_LINK_CLOSED] = 0,
};

/* --- State -------------------------------------------------------------------------------------- */

static void
enter (PhTlsLink *self, PhLinkState state, const char *why)
{
  static const char *const names[] = {"connecting", "ready", "closed"};

  g_assert ((edges[self->link.state] & 1u << state) != 0);
  ph_trace (&self->config.trace, self->last_now, MODULE, "%s: %s -> %s: %s",
            self->config.client ? "client" : "server", names[self->link.state], names[state], why);
  self->link.state = state;
}

void
ph_tls_ready (PhTlsLink *self)
{
  enter (self, PH_LINK_READY, "the peer has spoken");
  self->tell_ready = true;
  self->ping_due = true; /* tells the round trip */
}

void
ph_tls_closed (PhTlsLink *self)
{
  self->close_due = false;
  self->tell_closed = true;
  enter (self, PH_LINK_CLOSED, self->reason);
}

/* For logs: whoever wrote it, printable ASCII comes out. */
static void
set_reason (PhTlsLink *self, PhSlice text)
{
  const size_t len = MIN (text.len, sizeof self->reason - 1);

  for (size_t i = 0; i < len; i++)
    self->reason[i] = (char)(text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?');
  self->reason[len] = '\0';
}

void
ph_tls_end_telling (PhTlsLink *self, PhLinkError error, PhTlsCloseKind kind, uint64_t code,
                    const char *reason)
{
  g_assert (!ph_tls_ending (self));
  self->error = error;
  self->close_kind = (uint8_t)kind;
  self->code = code;
  set_reason (self, ph_slice_string (reason));
  self->close_due = true;
}

void
ph_tls_end_silently (PhTlsLink *self, PhLinkError error, uint64_t code, PhSlice reason)
{
  g_assert (!ph_tls_ending (self));
  self->error = error;
  self->code = code;
  set_reason (self, reason);
  ph_tls_closed (self);
}

void
ph_tls_violated (PhTlsLink *self, const char *what)
{
  if (!ph_tls_ending (self))
    ph_tls_end_telling (self, PH_LINK_ERROR_PROTOCOL, PH_TLS_CLOSE_PROTOCOL, 0, what);
}

static void
tls_close (PhLink *link, PhTime now, uint64_t code, const char *reason)
{
  PhTlsLink *self = ph_tls (link);

  if (!ph_tls_ending (self))
    ph_tls_end_telling (self, code == 0 ? PH_LINK_ERROR_NONE : PH_LINK_ERROR_APPLICATION,
                        PH_TLS_CLOSE_APPLICATION, code, reason != NULL ? reason : "");
}

void
ph_tls_link_hang_up (PhLink *link, PhTime now)
{
  PhTlsLink *self = ph_tls (link);

  g_assert (now >= self->last_now);
  self->last_now = now;
  if (self->close_due)
    ph_tls_closed (self); /* the last word cannot be said */
  else if (link->state != PH_LINK_CLOSED)
    ph_tls_end_silently (self, PH_LINK_ERROR_TIMEOUT, 0, ph_slice_string ("connection lost"));
}

/* --- Verbs -------------------------------------------------------------------------------------- */

static void
tls_handle_packet (PhLink *link, PhTime now, const PhDatagram *in)
{
  PhTlsLink *self = ph_tls (link);

  g_assert (now >= self->last_now);
  self->last_now = now;
  if (ph_tls_ending (self) || in->bytes.len == 0)
    return;

  self->heard_at = now;
  self->stats.bytes_received += in->bytes.len;
  self->in = in->bytes;
  if (!self->handshaken)
    ph_tls_shake_hands (self);
  if (self->handshaken)
    ph_tls_receive (self);
  self->in = (PhSlice){0};
}

static PhTime
silence_deadline (const PhTlsLink *self)
{
  if (self->link.state == PH_LINK_CONNECTING)
    return ph_time_add (self->started_at, self->config.handshake_timeout);
  return ph_time_add (self->heard_at, self->config.idle_timeout);
}

static void
tls_handle_timeout (PhLink *link, PhTime now)
{
  PhTlsLink *self = ph_tls (link);

  g_assert (now >= self->last_now);
  self->last_now = now;
  if (ph_tls_ending (self))
    return;
  if (now >= silence_deadline (self)) {
    ph_tls_end_silently (self, PH_LINK_ERROR_TIMEOUT, 0, ph_slice_string ("silence"));
    return;
  }
  if (link->state == PH_LINK_READY && now >= self->ping_at) {
    self->ping_at = ph_time_add (now, self->config.keepalive);
    self->ping_due = true;
  }
}

static PhTime
tls_next_timeout (const PhLink *link, const char **ret_why)
{
  const PhTlsLink *self = ph_tls_const (link);
  const char *why = "tls: silence";
  PhTime next = PH_NEVER;

  if (link->state != PH_LINK_CLOSED && !self->close_due) {
    next = silence_deadline (self);
    if (link->state == PH_LINK_READY && self->ping_at < next) {
      next = self->ping_at;
      why = "tls: sign of life due";
    }
  }
  if (ret_why != NULL)
    *ret_why = why;
  return next;
}

static bool
tls_poll_event (PhLink *link, PhLinkEvent *ret_event)
{
  PhTlsLink *self = ph_tls (link);

  if (self->tell_ready) {
    self->tell_ready = false;
    *ret_event = (PhLinkEvent){.type = PH_LINK_EVENT_READY, .stream = -1};
    return true;
  }
  if (ph_tls_stream_poll_event (self, ret_event))
    return true;
  if (self->tell_closed) {
    self->tell_closed = false;
    *ret_event = (PhLinkEvent){
        .type = PH_LINK_EVENT_CLOSED, .stream = -1, .error = self->error, .code = self->code};
    g_strlcpy (ret_event->reason, self->reason, sizeof ret_event->reason);
    return true;
  }
  return false;
}

static void
tls_stats (const PhLink *link, PhLinkStats *ret_stats)
{
  *ret_stats = ph_tls_const (link)->stats;
}

static void
tls_free (PhLink *link)
{
  PhTlsLink *self = ph_tls (link);

  g_clear_pointer (&self->session, gnutls_deinit);
  g_clear_pointer (&self->identity, ph_tls_identity_unref);
  g_clear_pointer (&self->streams, g_hash_table_unref);
  g_clear_pointer (&self->pool, ph_buf_pool_unref);
  g_clear_pointer (&self->out, g_byte_array_unref);
  ph_buf_slice_clear (&self->payload);
  g_free (self);
}

static const PhLinkClass tls_class = {
    .free = tls_free,
    .handle_packet = tls_handle_packet,
    .handle_timeout = tls_handle_timeout,
    .poll_transmit = ph_tls_poll_transmit,
    .poll_event = tls_poll_event,
    .next_timeout = tls_next_timeout,
    .open_stream = ph_tls_open_stream,
    .send = ph_tls_send,
    .stream_queued = ph_tls_stream_queued,
    .stream_unsent = ph_tls_stream_unsent,
    .set_low_marks = ph_tls_set_low_marks,
    .consumed = ph_tls_consumed,
    .reset_stream = ph_tls_reset_stream,
    .close = tls_close,
    .stats = tls_stats,
};

PhTime
ph_tls_link_authentic_at (const PhLink *link)
{
  return ((const PhTlsLink *)link)->authentic_at;
}

bool
ph_link_is_tls (const PhLink *link)
{
  return link->klass == &tls_class;
}

static void
default_to (uint64_t *value, uint64_t fallback)
{
  if (*value == 0)
    *value = fallback;
}

PhLink *
ph_tls_link_new (const PhTlsLinkConfig *config, PhTime now)
{
  PhTlsLink *self = g_new0 (PhTlsLink, 1);

  self->link.klass = &tls_class;
  self->config = *config;
  default_to (&self->config.stream_window, 4 << 20);
  default_to (&self->config.link_window, 8 << 20);
  default_to (&self->config.window_max, 32 << 20);
  default_to (&self->config.idle_timeout, 30 * PH_SEC);
  default_to (&self->config.keepalive, 10 * PH_SEC);
  default_to (&self->config.handshake_timeout, 10 * PH_SEC);
  self->stream_window = self->config.stream_window;
  self->link_window = self->config.link_window;
  self->config.window_max = MAX (self->config.window_max, self->link_window);
  self->identity = ph_tls_identity_ref (config->identity);
  self->last_now = self->started_at = self->heard_at = now;
  self->told_limit_at = now;
  self->ping_sent_at = now;
  self->ping_at = ph_time_add (now, self->config.keepalive);
  self->streams = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, ph_tls_stream_free);
  self->pool = ph_buf_pool_new (PH_TLS_BUF_SIZE, PH_TLS_BUFS_KEPT);
  self->out = g_byte_array_new ();
  g_queue_init (&self->sending);
  g_queue_init (&self->controls);
  g_queue_init (&self->telling);
  ph_tls_make_session (self);
  if (config->client)
    ph_tls_shake_hands (self);
  return &self->link;
}
