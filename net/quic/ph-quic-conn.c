/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/quic/ph-quic-private.h"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#define PROBES_MAX 6

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
  self->link.writable = true;
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

/* Three times this is waited before a handshake packet is sent again: the peer's TLS takes a few
 * milliseconds on a slow machine, whatever the path's round trip. */
#define RTT_MIN (30 * PH_MSEC)

/* `hd`: a server's first Initial; NULL for a client. */
static int
make_conn (PhQuicLink *self, const PhQuicConfig *config, PhTime now, const ngtcp2_pkt_hd *hd)
{
  const uint64_t window_max = or_default (config->window_max, 32 << 20);
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
  if (config->rtt > 0)
    settings.initial_rtt = MAX (config->rtt, RTT_MIN);
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

void
ph_quic_make_conn (PhQuicLink *self, const PhQuicConfig *config, PhTime now,
                   const ngtcp2_pkt_hd *hd)
{
  make_path (self);
  make_session (self);

  const int result = make_conn (self, config, now, hd);

  g_assert (result == 0); /* there is no other failure than of memory */
  ngtcp2_conn_set_tls_native_handle (self->conn, self->session);
  if (config->keepalive != PH_NEVER)
    ngtcp2_conn_set_keep_alive_timeout (self->conn, or_default (config->keepalive, 10 * PH_SEC));
}
