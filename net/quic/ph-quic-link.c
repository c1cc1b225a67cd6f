/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/quic/ph-quic-private.h"

#define MODULE "quic"

static const unsigned edges[] = {
    [PH_LINK_CONNECTING] = 1u << PH_LINK_READY | 1u << PH_LINK_CLOSED,
    [PH_LINK_READY] = 1u << PH_LINK_CLOSED,
    [PH_LINK_CLOSED] = 0,
};

/* --- State ------------------------------------------------------------------------------------ */

static void
enter (PhQuicLink *self, PhTime now, PhLinkState state, const char *why)
{
  static const char *const names[] = {"connecting", "ready", "closed"};

  g_assert ((edges[self->link.state] & 1u << state) != 0);
  ph_trace (&self->trace, now, MODULE, "%s: %s -> %s: %s", self->client ? "client" : "server",
            names[self->link.state], names[state], why);
  self->link.state = state;
  if (state == PH_LINK_READY)
    self->tell_ready = true;
  if (state == PH_LINK_CLOSED)
    self->tell_closed = true;
}

void
ph_quic_closed (PhQuicLink *self, PhTime now)
{
  self->close_due = false;
  enter (self, now, PH_LINK_CLOSED, self->reason);
}

/* For logs: whoever wrote it, printable ASCII comes out. */
static void
set_reason (PhQuicLink *self, PhSlice text)
{
  const size_t len = MIN (text.len, sizeof self->reason - 1);

  for (size_t i = 0; i < len; i++)
    self->reason[i] = (char)(text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?');
  self->reason[len] = '\0';
}

/* Ends the link with a last packet that says what `self->ccerr` says. */
static void
end_telling (PhQuicLink *self, PhLinkError error, uint64_t code, const char *reason)
{
  g_assert (!ph_quic_ending (self));
  self->error = error;
  self->code = code;
  set_reason (self, ph_slice_string (reason));
  self->ccerr.reason = (const uint8_t *)self->reason;
  self->ccerr.reasonlen = strlen (self->reason);
  self->close_due = true;
}

/* Ends the link without a word. */
static void
end_silently (PhQuicLink *self, PhTime now, PhLinkError error, uint64_t code, PhSlice reason)
{
  g_assert (!ph_quic_ending (self));
  self->error = error;
  self->code = code;
  set_reason (self, reason);
  ph_quic_closed (self, now);
}

/* The peer has sent a CONNECTION_CLOSE. */
static void
end_by_peer (PhQuicLink *self, PhTime now)
{
  const ngtcp2_ccerr *ccerr = ngtcp2_conn_get_ccerr (self->conn);
  const PhSlice reason = ph_slice (ccerr->reason, ccerr->reasonlen);
  const uint64_t code = ccerr->error_code;
  PhLinkError error = PH_LINK_ERROR_PROTOCOL;

  if (ccerr->type == NGTCP2_CCERR_TYPE_APPLICATION) {
    error = code == 0 ? PH_LINK_ERROR_NONE : PH_LINK_ERROR_APPLICATION;
    end_silently (self, now, error, code, reason);
    return;
  }
  if (code == NGTCP2_NO_ERROR)
    error = PH_LINK_ERROR_NONE;
  else if (code == NGTCP2_NO_VIABLE_PATH)
    error = PH_LINK_ERROR_TIMEOUT;
  else if ((code & ~UINT64_C (0xff)) == NGTCP2_CRYPTO_ERROR
           && ph_tls_alert_is_identity ((unsigned)(code & 0xff)))
    error = PH_LINK_ERROR_IDENTITY;
  end_silently (self, now, error, 0, reason);
}

void
ph_quic_fail (PhQuicLink *self, PhTime now, int liberr)
{
  const char *text = ngtcp2_strerror (liberr);
  PhLinkError error = PH_LINK_ERROR_PROTOCOL;

  if (ph_quic_ending (self))
    return;

  switch (liberr) {
  case NGTCP2_ERR_DRAINING:
    end_by_peer (self, now);
    return;
  case NGTCP2_ERR_IDLE_CLOSE:
  case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
    end_silently (self, now, PH_LINK_ERROR_TIMEOUT, 0, ph_slice_string (text));
    return;
  case NGTCP2_ERR_DROP_CONN:
  case NGTCP2_ERR_RETRY:
  case NGTCP2_ERR_CLOSING:
    end_silently (self, now, PH_LINK_ERROR_PROTOCOL, 0, ph_slice_string (text));
    return;
  case NGTCP2_ERR_CRYPTO: {
    const uint8_t alert = ngtcp2_conn_get_tls_alert (self->conn);

    ngtcp2_ccerr_set_tls_alert (&self->ccerr, alert, NULL, 0);
    if (self->key_refused || ph_tls_alert_is_identity (alert))
      error = PH_LINK_ERROR_IDENTITY;
    break;
  }
  default:
    ngtcp2_ccerr_set_liberr (&self->ccerr, liberr, NULL, 0);
    break;
  }
  end_telling (self, error, 0, self->key_refused ? "not the expected key" : text);
}

static void
quic_close (PhLink *link, PhTime now, uint64_t code, const char *reason)
{
  PhQuicLink *self = ph_quic (link);

  if (ph_quic_ending (self))
    return;
  ngtcp2_ccerr_set_application_error (&self->ccerr, code, NULL, 0);
  end_telling (self, code == 0 ? PH_LINK_ERROR_NONE : PH_LINK_ERROR_APPLICATION, code,
               reason != NULL ? reason : "");
}

static void
check_ready (PhQuicLink *self, PhTime now)
{
  if (self->link.state == PH_LINK_CONNECTING && !ph_quic_ending (self) && self->confirmed
      && self->hello_came)
    enter (self, now, PH_LINK_READY, "handshake confirmed, the peer has spoken");
}

/* When it is settled that the path swallows large packets; PH_NEVER while nothing speaks for it. Where
 * the peer is not heard either it is up to QUIC's idle timeout, and to ICE. */
static PhTime
stall_deadline (const PhQuicLink *self)
{
  if (self->unacked == 0 || self->heard_at == PH_NEVER)
    return PH_NEVER;
  return MAX (ph_time_add (self->progress_at, PH_QUIC_STALL_INTERVAL),
              ph_time_add (self->heard_at, PH_QUIC_STALL_GRACE));
}

static void
note_heard (PhQuicLink *self, PhTime now)
{
  if (self->unacked > 0 && self->heard_at == PH_NEVER
      && ph_time_since (now, self->progress_at) >= PH_QUIC_STALL_ECHO)
    self->heard_at = now;
}

/* A new link finds the path's size anew. */
static void
check_stalled (PhQuicLink *self, PhTime now)
{
  if (ph_quic_ending (self) || now < stall_deadline (self))
    return;
  ngtcp2_ccerr_set_transport_error (&self->ccerr, NGTCP2_NO_VIABLE_PATH, NULL, 0);
  end_telling (self, PH_LINK_ERROR_TIMEOUT, 0, "large packets get lost on this path");
}

/* --- Verbs ------------------------------------------------------------------------------------ */

static void
quic_handle_packet (PhLink *link, PhTime now, const PhDatagram *in)
{
  PhQuicLink *self = ph_quic (link);
  const ngtcp2_pkt_info pi = {.ecn = in->ecn};

  g_assert (now >= self->last_now);
  self->last_now = now;
  if (ph_quic_ending (self) || in->bytes.len == 0)
    return;

  self->stats.bytes_received += in->bytes.len;

  const int result =
      ngtcp2_conn_read_pkt (self->conn, &self->path, &pi, in->bytes.data, in->bytes.len, now);

  if (result != 0)
    ph_quic_fail (self, now, result);
  else
    note_heard (self, now);
  check_ready (self, now);
}

static void
quic_handle_timeout (PhLink *link, PhTime now)
{
  PhQuicLink *self = ph_quic (link);

  g_assert (now >= self->last_now);
  self->last_now = now;
  check_stalled (self, now);
  if (ph_quic_ending (self) || now < ngtcp2_conn_get_expiry (self->conn))
    return;

  const int result = ngtcp2_conn_handle_expiry (self->conn, now);

  if (result != 0)
    ph_quic_fail (self, now, result);
}

static bool
quic_poll_event (PhLink *link, PhLinkEvent *ret_event)
{
  PhQuicLink *self = ph_quic (link);

  if (self->tell_ready) {
    self->tell_ready = false;
    *ret_event = (PhLinkEvent){.type = PH_LINK_EVENT_READY, .stream = -1};
    return true;
  }
  /* Bytes that overtook the hello wait for READY. */
  if (self->confirmed && self->hello_came && ph_quic_stream_poll_event (self, ret_event))
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

static PhTime
quic_next_timeout (const PhLink *link, const char **ret_why)
{
  const PhQuicLink *self = ph_quic_const (link);

  if (ret_why != NULL)
    *ret_why = "quic: pacing, loss detection, acknowledgement or idleness";
  if (link->state == PH_LINK_CLOSED)
    return PH_NEVER;
  if (self->close_due)
    return self->last_now;

  const PhTime expiry = ngtcp2_conn_get_expiry (self->conn);
  const PhTime stall = stall_deadline (self);

  if (expiry <= stall)
    return expiry;
  if (ret_why != NULL)
    *ret_why = "quic: nothing is acknowledged";
  return stall;
}

static void
quic_stats (const PhLink *link, PhLinkStats *ret_stats)
{
  const PhQuicLink *self = ph_quic_const (link);
  ngtcp2_conn_info info;
  GHashTableIter iter;
  void *value;

  ngtcp2_conn_get_conn_info (self->conn, &info);
  *ret_stats = self->stats;
  ret_stats->rtt = info.latest_rtt != UINT64_MAX && info.latest_rtt != 0 ? info.smoothed_rtt : 0;
  ret_stats->datagram_size = ngtcp2_conn_get_path_max_tx_udp_payload_size (self->conn);
  ret_stats->packets_lost = self->lost_closed;
  g_hash_table_iter_init (&iter, self->streams);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const PhQuicStream *stream = value;

    if (stream->local && !stream->closed)
      ret_stats->packets_lost += ngtcp2_conn_get_stream_loss_count (self->conn, stream->id);
  }
}

static void
quic_free (PhLink *link)
{
  PhQuicLink *self = ph_quic (link);

  g_clear_pointer (&self->conn, ngtcp2_conn_del);
  g_clear_pointer (&self->session, gnutls_deinit);
  g_clear_pointer (&self->identity, ph_tls_identity_unref);
  g_clear_pointer (&self->streams, g_hash_table_unref);
  g_clear_pointer (&self->pool, ph_buf_pool_unref);
  g_free (self);
}

static const PhLinkClass quic_class = {
    .free = quic_free,
    .handle_packet = quic_handle_packet,
    .handle_timeout = quic_handle_timeout,
    .poll_transmit = ph_quic_poll_transmit,
    .poll_event = quic_poll_event,
    .next_timeout = quic_next_timeout,
    .open_stream = ph_quic_open_stream,
    .send = ph_quic_send,
    .stream_queued = ph_quic_stream_queued,
    .stream_unsent = ph_quic_stream_unsent,
    .set_low_marks = ph_quic_set_low_marks,
    .consumed = ph_quic_consumed,
    .reset_stream = ph_quic_reset_stream,
    .close = quic_close,
    .stats = quic_stats,
};

PhLink *
ph_quic_link_new (const PhQuicConfig *config, PhTime now)
{
  ngtcp2_pkt_hd hd;

  if (!config->client
      && (config->initial.len == 0
          || ngtcp2_accept (&hd, config->initial.data, config->initial.len) != 0
          || hd.version != NGTCP2_PROTO_VER_V1))
    return NULL;

  PhQuicLink *self = g_new0 (PhQuicLink, 1);

  self->link.klass = &quic_class;
  self->client = config->client;
  self->identity = ph_tls_identity_ref (config->identity);
  self->random = config->random;
  self->trace = config->trace;
  self->last_now = now;
  self->heard_at = PH_NEVER;
  memcpy (self->peer_key, config->peer_key, sizeof self->peer_key);
  self->streams = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, ph_quic_stream_free);
  self->pool = ph_buf_pool_new (PH_QUIC_BUF_SIZE, PH_QUIC_BUFS_KEPT);
  g_queue_init (&self->sending);
  g_queue_init (&self->telling);
  ngtcp2_ccerr_default (&self->ccerr);
  ph_quic_make_conn (self, config, now, config->client ? NULL : &hd);
  return &self->link;
}
