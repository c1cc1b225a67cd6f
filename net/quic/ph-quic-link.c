/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/quic/ph-quic-private.h"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#define MODULE "quic"
#define PROBES_MAX 6

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

/* --- What ngtcp2 tells ------------------------------------------------------------------------ */

static int
on_handshake_completed (ngtcp2_conn *conn, void *user_data)
{
  PhQuicLink *self = user_data;

  /* The server's handshake is confirmed when it is complete: RFC 9001 §4.1.2. */
  if (!self->client)
    self->confirmed = true;
  if (!ph_tls_check_session (self->session) || !ph_tls_check_peer (self->session, self->peer_key)) {
    self->key_refused = true;
    return NGTCP2_ERR_CALLBACK_FAILURE;
  }
  return ph_quic_stream_send_hello (self) ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int
on_handshake_confirmed (ngtcp2_conn *conn, void *user_data)
{
  PhQuicLink *self = user_data;

  self->confirmed = true;
  return 0;
}

static int
on_stream_open (ngtcp2_conn *conn, int64_t id, void *user_data)
{
  PhQuicLink *self = user_data;
  PhQuicStream *stream = ph_quic_stream_new (self, id, false);

  /* The first two bits of a stream id say who opened it and that it is one-way: the peer's first. */
  stream->hello = id >> 2 == 0;
  stream->tell_opened = true;
  ngtcp2_conn_set_stream_user_data (conn, id, stream);
  return 0;
}

static int
on_stream_data (ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *data,
                size_t len, void *user_data, void *stream_user_data)
{
  const bool fin = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;

  if (!ph_quic_stream_arrived (user_data, stream_user_data, ph_slice (data, len), fin))
    return NGTCP2_ERR_CALLBACK_FAILURE;
  return 0;
}

static int
on_acked (ngtcp2_conn *conn, int64_t id, uint64_t offset, uint64_t len, void *user_data,
          void *stream_user_data)
{
  ph_quic_stream_acked (user_data, stream_user_data, len);
  return 0;
}

static int
on_stream_close (ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t code, void *user_data,
                 void *stream_user_data)
{
  PhQuicLink *self = user_data;

  PhQuicStream *stream = stream_user_data;

  self->lost_closed += ngtcp2_conn_get_stream_loss_count (conn, id);
  /* The reader's STOP_SENDING shows only here, once our RESET_STREAM in answer is acknowledged. */
  if (stream->local && (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0)
    ph_quic_stream_dropped (self, stream, code);
  ph_quic_stream_closed (self, stream);
  return 0;
}

static int
on_stream_reset (ngtcp2_conn *conn, int64_t id, uint64_t final_size, uint64_t code, void *user_data,
                 void *stream_user_data)
{
  ph_quic_stream_dropped (user_data, stream_user_data, code);
  return 0;
}

static void
on_rand (uint8_t *dest, size_t len, const ngtcp2_rand_ctx *rand_ctx)
{
  const PhQuicLink *self = rand_ctx->native_handle;

  ph_random_bytes (&self->random, dest, len);
}

static int
on_path_challenge (ngtcp2_conn *conn, uint8_t *data, void *user_data)
{
  const PhQuicLink *self = user_data;

  ph_random_bytes (&self->random, data, NGTCP2_PATH_CHALLENGE_DATALEN);
  return 0;
}

static bool
add_cid (PhQuicLink *self, const ngtcp2_cid *cid)
{
  if (self->n_cids == G_N_ELEMENTS (self->cids))
    return false;
  self->cids[self->n_cids++] = *cid;
  return true;
}

static void
new_cid (PhQuicLink *self, ngtcp2_cid *ret_cid, size_t len)
{
  uint8_t bytes[NGTCP2_MAX_CIDLEN];

  g_assert (len <= sizeof bytes);
  ph_random_bytes (&self->random, bytes, len);
  ngtcp2_cid_init (ret_cid, bytes, len);
}

static int
on_new_cid (ngtcp2_conn *conn, ngtcp2_cid *ret_cid, uint8_t *token, size_t len, void *user_data)
{
  PhQuicLink *self = user_data;

  new_cid (self, ret_cid, len);
  ph_random_bytes (&self->random, token, NGTCP2_STATELESS_RESET_TOKENLEN);
  return add_cid (self, ret_cid) ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int
on_remove_cid (ngtcp2_conn *conn, const ngtcp2_cid *cid, void *user_data)
{
  PhQuicLink *self = user_data;

  for (size_t i = 0; i < self->n_cids; i++) {
    if (ngtcp2_cid_eq (&self->cids[i], cid)) {
      self->cids[i] = self->cids[--self->n_cids];
      break;
    }
  }
  return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    .handshake_completed = on_handshake_completed,
    .handshake_confirmed = on_handshake_confirmed,
    .stream_open = on_stream_open,
    .recv_stream_data = on_stream_data,
    .acked_stream_data_offset = on_acked,
    .stream_close = on_stream_close,
    .stream_reset = on_stream_reset,
    .rand = on_rand,
    .get_path_challenge_data = on_path_challenge,
    .get_new_connection_id = on_new_cid,
    .remove_connection_id = on_remove_cid,
};

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
  check_ready (self, now);
}

static void
quic_handle_timeout (PhLink *link, PhTime now)
{
  PhQuicLink *self = ph_quic (link);

  g_assert (now >= self->last_now);
  self->last_now = now;
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
  return self->close_due ? self->last_now : ngtcp2_conn_get_expiry (self->conn);
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
    .set_low_mark = ph_quic_set_low_mark,
    .consumed = ph_quic_consumed,
    .reset_stream = ph_quic_reset_stream,
    .close = quic_close,
    .stats = quic_stats,
};

/* --- Making one ------------------------------------------------------------------------------- */

static ngtcp2_conn *
get_conn (ngtcp2_crypto_conn_ref *conn_ref)
{
  return ((PhQuicLink *)conn_ref->user_data)->conn;
}

/* Called within the handshake, when the peer has shown its certificate and proved to hold its key. */
static int
verify_peer (gnutls_session_t session)
{
  const ngtcp2_crypto_conn_ref *conn_ref = gnutls_session_get_ptr (session);
  PhQuicLink *self = conn_ref->user_data;

  self->key_refused = !ph_tls_check_peer (session, self->peer_key);
  return self->key_refused ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

static void
make_session (PhQuicLink *self)
{
  self->session =
      ph_tls_session_new (self->identity, PH_TLS_QUIC | (self->client ? PH_TLS_CLIENT : 0));
  self->conn_ref = (ngtcp2_crypto_conn_ref){get_conn, self};
  gnutls_session_set_ptr (self->session, &self->conn_ref);
  gnutls_session_set_verify_function (self->session, verify_peer);

  const int result = self->client ? ngtcp2_crypto_gnutls_configure_client_session (self->session)
                                  : ngtcp2_crypto_gnutls_configure_server_session (self->session);

  g_assert (result == 0);
}

static uint64_t
or_default (uint64_t value, uint64_t fallback)
{
  return value != 0 ? value : fallback;
}

static void
make_path (PhQuicLink *self)
{
  /* Documentation addresses: what ngtcp2 is told never changes and is never sent to. */
  self->local = (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons (1), .sin_addr.s_addr = htonl (0xc0000201)};
  self->remote = (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons (2), .sin_addr.s_addr = htonl (0xc0000202)};
  self->path = (ngtcp2_path){
      .local = {(ngtcp2_sockaddr *)&self->local, sizeof self->local},
      .remote = {(ngtcp2_sockaddr *)&self->remote, sizeof self->remote},
  };
}

/* The sizes to probe for, the hoped-for one first: then what is left by PPPoE, by common tunnels
 * (WireGuard over IPv4 and IPv6) and by IPv6's least MTU. ngtcp2 skips what is larger than the most. */
static size_t
make_probes (size_t most, uint16_t probes[PROBES_MAX])
{
  static const uint16_t usual[] = {1444, 1392, 1372, 1332, 1232};
  size_t n = 0;

  probes[n++] = (uint16_t)most;
  for (size_t i = 0; i < G_N_ELEMENTS (usual); i++) {
    if (usual[i] < most)
      probes[n++] = usual[i];
  }
  return n;
}

/* `hd`: a server's first Initial; NULL for a client. */
static int
make_conn (PhQuicLink *self, const PhQuicConfig *config, PhTime now, const ngtcp2_pkt_hd *hd)
{
  const uint64_t window_max = or_default (config->window_max, 64 << 20);
  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  uint16_t probes[PROBES_MAX];
  ngtcp2_cid scid;
  ngtcp2_cid dcid;

  ngtcp2_settings_default (&settings);
  settings.initial_ts = now;
  settings.rand_ctx.native_handle = self;
  settings.cc_algo =
      config->congestion == PH_QUIC_CUBIC ? NGTCP2_CC_ALGO_CUBIC : NGTCP2_CC_ALGO_BBR;
  settings.max_tx_udp_payload_size = or_default (config->max_udp_payload, 1452);
  settings.no_pmtud = settings.max_tx_udp_payload_size == NGTCP2_MAX_UDP_PAYLOAD_SIZE;
  settings.pmtud_probes = probes;
  settings.pmtud_probeslen = make_probes (settings.max_tx_udp_payload_size, probes);
  settings.max_window = window_max;
  settings.max_stream_window = window_max;
  settings.handshake_timeout = or_default (config->handshake_timeout, 10 * PH_SEC);
  g_assert (settings.max_tx_udp_payload_size >= NGTCP2_MAX_UDP_PAYLOAD_SIZE);
  g_assert (settings.max_tx_udp_payload_size <= PH_QUIC_DATAGRAM_MAX);

  ngtcp2_transport_params_default (&params);
  params.initial_max_stream_data_uni = or_default (config->stream_window, 4 << 20);
  params.initial_max_data = or_default (config->link_window, 8 << 20);
  params.initial_max_streams_uni = PH_QUIC_STREAMS_MAX + 1; /* and the hello */
  params.initial_max_streams_bidi = 0;
  params.max_idle_timeout = or_default (config->idle_timeout, 30 * PH_SEC);
  params.max_udp_payload_size = PH_QUIC_DATAGRAM_MAX;
  params.disable_active_migration = 1;
  params.grease_quic_bit = 0;

  new_cid (self, &scid, PH_QUIC_CID_LEN);
  add_cid (self, &scid);
  if (hd == NULL) {
    new_cid (self, &dcid, NGTCP2_MAX_CIDLEN);
    return ngtcp2_conn_client_new (&self->conn, &dcid, &scid, &self->path, NGTCP2_PROTO_VER_V1,
                                   &callbacks, &settings, &params, NULL, self);
  }
  /* The client addresses the id that it made up until it has our first packet. */
  add_cid (self, &hd->dcid);
  params.original_dcid = hd->dcid;
  params.original_dcid_present = 1;
  return ngtcp2_conn_server_new (&self->conn, &hd->scid, &scid, &self->path, hd->version,
                                 &callbacks, &settings, &params, NULL, self);
}

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
  memcpy (self->peer_key, config->peer_key, sizeof self->peer_key);
  self->streams = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, ph_quic_stream_free);
  self->pool = ph_buf_pool_new (PH_QUIC_BUF_SIZE, PH_QUIC_BUFS_KEPT);
  g_queue_init (&self->sending);
  g_queue_init (&self->telling);
  ngtcp2_ccerr_default (&self->ccerr);
  make_path (self);
  make_session (self);

  const int result = make_conn (self, config, now, config->client ? NULL : &hd);

  g_assert (result == 0);
  ngtcp2_conn_set_tls_native_handle (self->conn, self->session);
  if (config->keepalive != PH_NEVER)
    ngtcp2_conn_set_keep_alive_timeout (self->conn, or_default (config->keepalive, 10 * PH_SEC));
  return &self->link;
}
