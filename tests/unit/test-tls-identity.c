/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two TLS sessions over memory: ours against ours, and ours against peers that are almost right. */

#include "net/tls/ph-tls-identity.h"
#include "tests/support/ph-test.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

static const uint8_t seed_a[PH_TLS_SEED_LEN] = {1, 2, 3};
static const uint8_t seed_b[PH_TLS_SEED_LEN] = {9, 8, 7};

/* --- The certificate -------------------------------------------------------------------------- */

static void
test_key (void)
{
  /* RFC 8032 §7.1, TEST 1. */
  static const uint8_t seed[PH_TLS_SEED_LEN] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60,
                                                0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
                                                0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19,
                                                0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
  static const uint8_t key[PH_KEY_LEN] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7,
                                          0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
                                          0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25,
                                          0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
  g_autoptr (PhTlsIdentity) identity = ph_tls_identity_new (seed);

  g_assert_cmpmem (ph_tls_identity_key (identity), PH_KEY_LEN, key, sizeof key);
}

static void
test_certificate (void)
{
  g_autoptr (PhTlsIdentity) one = ph_tls_identity_new (seed_a);
  g_autoptr (PhTlsIdentity) same = ph_tls_identity_new (seed_a);
  g_autoptr (PhTlsIdentity) other = ph_tls_identity_new (seed_b);
  const PhSlice der = ph_tls_identity_certificate (one);
  const gnutls_datum_t datum = {(unsigned char *)(uintptr_t)der.data, (unsigned)der.len};
  gnutls_x509_crt_t crt;
  gnutls_pubkey_t pubkey;
  gnutls_ecc_curve_t curve;
  gnutls_datum_t x;
  unsigned verified = 0;

  /* The same key gives the same bytes, whenever and wherever. */
  g_assert_true (ph_slice_equal (der, ph_tls_identity_certificate (same)));
  g_assert_false (ph_slice_equal (der, ph_tls_identity_certificate (other)));

  g_assert_cmpint (gnutls_x509_crt_init (&crt), ==, 0);
  g_assert_cmpint (gnutls_x509_crt_import (crt, &datum, GNUTLS_X509_FMT_DER), ==, 0);
  g_assert_cmpint (gnutls_x509_crt_get_version (crt), ==, 3);
  g_assert_cmpint (gnutls_x509_crt_get_signature_algorithm (crt), ==, GNUTLS_SIGN_EDDSA_ED25519);
  g_assert_cmpint (gnutls_x509_crt_get_activation_time (crt), ==, 0);
  g_assert_cmpint (gnutls_x509_crt_check_issuer (crt, crt), ==, 1);

  g_assert_cmpint (gnutls_pubkey_init (&pubkey), ==, 0);
  g_assert_cmpint (gnutls_pubkey_import_x509 (pubkey, crt, 0), ==, 0);
  g_assert_cmpint (gnutls_pubkey_export_ecc_raw (pubkey, &curve, &x, NULL), ==, 0);
  g_assert_cmpint (curve, ==, GNUTLS_ECC_CURVE_ED25519);
  g_assert_cmpmem (x.data, x.size, ph_tls_identity_key (one), PH_KEY_LEN);
  g_assert_cmpint (gnutls_x509_crt_verify (crt, &crt, 1, GNUTLS_VERIFY_DISABLE_CA_SIGN, &verified),
                   ==, 0);
  g_assert_cmpuint (verified & (unsigned)(GNUTLS_CERT_SIGNATURE_FAILURE), ==, 0);
  gnutls_free (x.data);
  gnutls_pubkey_deinit (pubkey);
  gnutls_x509_crt_deinit (crt);
}

/* --- Handshakes ------------------------------------------------------------------------------- */

typedef struct {
  gnutls_session_t session;
  GByteArray *in; /* towards this end; borrowed by the other */
  GByteArray *out;
  const uint8_t *expected;
  bool checked;
  int result; /* of the handshake */
} End;

static ssize_t
push (gnutls_transport_ptr_t ptr, const void *data, size_t len)
{
  End *end = ptr;

  g_byte_array_append (end->out, data, (unsigned)len);
  return (ssize_t)len;
}

static ssize_t
pull (gnutls_transport_ptr_t ptr, void *data, size_t len)
{
  End *end = ptr;
  const unsigned n = MIN ((unsigned)len, end->in->len);

  if (n == 0) {
    gnutls_transport_set_errno (end->session, EAGAIN);
    return -1;
  }
  memcpy (data, end->in->data, n);
  g_byte_array_remove_range (end->in, 0, n);
  return n;
}

static int
verify (gnutls_session_t session)
{
  End *end = gnutls_session_get_ptr (session);

  end->checked = true;
  return ph_tls_check_peer (session, end->expected) ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

static void
attach (End *end, gnutls_session_t session, const uint8_t *expected)
{
  end->session = session;
  end->expected = expected;
  end->result = GNUTLS_E_AGAIN;
  gnutls_session_set_ptr (session, end);
  gnutls_transport_set_ptr (session, end);
  gnutls_transport_set_push_function (session, push);
  gnutls_transport_set_pull_function (session, pull);
  if (expected != NULL)
    gnutls_session_set_verify_function (session, verify);
}

/* Until both have come to an end or neither moves. */
static void
shake (End *client, End *server)
{
  g_autoptr (GByteArray) a = g_byte_array_new ();
  g_autoptr (GByteArray) b = g_byte_array_new ();
  End *ends[] = {client, server};

  client->in = server->out = a;
  server->in = client->out = b;
  for (unsigned i = 0; i < 20; i++) {
    End *end = ends[i % 2];

    if (end->result < 0 && gnutls_error_is_fatal (end->result) == 0)
      end->result = gnutls_handshake (end->session);
    if (end->result < 0 && gnutls_error_is_fatal (end->result) != 0) {
      gnutls_alert_send_appropriate (end->session, end->result);
    } else if (end->result == 0) {
      /* What the other side's last flight brings, an alert for instance, shows in a read. */
      uint8_t byte;
      const ssize_t n = gnutls_record_recv (end->session, &byte, 1);

      if (n < 0 && n != GNUTLS_E_AGAIN && n != GNUTLS_E_INTERRUPTED)
        end->result = (int)n;
    }
  }
  client->in = client->out = server->in = server->out = NULL;
}

static void
test_ours (void)
{
  g_autoptr (PhTlsIdentity) a = ph_tls_identity_new (seed_a);
  g_autoptr (PhTlsIdentity) b = ph_tls_identity_new (seed_b);
  End client = {0};
  End server = {0};

  attach (&client, ph_tls_session_new (a, PH_TLS_CLIENT), ph_tls_identity_key (b));
  attach (&server, ph_tls_session_new (b, 0), ph_tls_identity_key (a));
  shake (&client, &server);
  g_assert_cmpint (client.result, ==, 0);
  g_assert_cmpint (server.result, ==, 0);
  g_assert_true (client.checked && server.checked);
  g_assert_true (ph_tls_check_session (client.session));
  g_assert_true (ph_tls_check_session (server.session));
  g_assert_cmpint (gnutls_group_get (client.session), ==, GNUTLS_GROUP_X25519);
  g_assert_cmpuint (gnutls_session_get_flags (client.session) & GNUTLS_SFLAGS_SESSION_TICKET, ==,
                    0);

  /* Each byte of the key counts. */
  for (unsigned i = 0; i < PH_KEY_LEN; i++) {
    uint8_t key[PH_KEY_LEN];

    memcpy (key, ph_tls_identity_key (b), sizeof key);
    key[i] ^= 1;
    g_assert_false (ph_tls_check_peer (client.session, key));
  }
  gnutls_deinit (client.session);
  gnutls_deinit (server.session);
}

static void
test_wrong_key (void)
{
  for (unsigned wrong = 0; wrong < 2; wrong++) {
    g_autoptr (PhTlsIdentity) a = ph_tls_identity_new (seed_a);
    g_autoptr (PhTlsIdentity) b = ph_tls_identity_new (seed_b);
    End client = {0};
    End server = {0};
    End *refuser = wrong == 0 ? &client : &server;
    End *refused = wrong == 0 ? &server : &client;

    /* The refuser expects its own key. */
    attach (&client, ph_tls_session_new (a, PH_TLS_CLIENT),
            ph_tls_identity_key (wrong == 0 ? a : b));
    attach (&server, ph_tls_session_new (b, 0), ph_tls_identity_key (wrong == 1 ? b : a));
    shake (&client, &server);
    g_assert_cmpint (refuser->result, <, 0);
    g_assert_true (refuser->checked);
    g_assert_cmpint (refused->result, ==, GNUTLS_E_FATAL_ALERT_RECEIVED);
    g_assert_true (ph_tls_alert_is_identity (gnutls_alert_get (refused->session)));
    gnutls_deinit (client.session);
    gnutls_deinit (server.session);
  }
}

/* --- Peers that are almost right --------------------------------------------------------------- */

typedef enum { KEY_NONE, KEY_ED25519, KEY_P256, KEY_CHAIN_OF_TWO } PeerKey;

typedef struct {
  const char *name;
  PeerKey key;
  const char *priority;
  const char *alpn;
} Peer;

static gnutls_x509_privkey_t
make_key (gnutls_pk_algorithm_t algorithm)
{
  const unsigned bits = algorithm == GNUTLS_PK_ECDSA
                            ? (unsigned)GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1)
                            : 0;
  gnutls_x509_privkey_t key;

  gnutls_x509_privkey_init (&key);
  g_assert_cmpint (gnutls_x509_privkey_generate (key, algorithm, bits, 0), ==, 0);
  return key;
}

/* A certificate for `key`, signed by `issuer` as `issuer_crt`, or by itself where that is NULL. */
static gnutls_x509_crt_t
make_certificate (const char *dn, gnutls_x509_privkey_t key, gnutls_x509_privkey_t issuer,
                  gnutls_x509_crt_t issuer_crt)
{
  const gnutls_digest_algorithm_t digest =
      gnutls_x509_privkey_get_pk_algorithm (issuer) == GNUTLS_PK_EDDSA_ED25519 ? GNUTLS_DIG_SHA512
                                                                               : GNUTLS_DIG_SHA256;
  gnutls_x509_crt_t crt;

  gnutls_x509_crt_init (&crt);
  gnutls_x509_crt_set_version (crt, 3);
  gnutls_x509_crt_set_serial (crt, "\1", 1);
  gnutls_x509_crt_set_dn (crt, dn, NULL);
  gnutls_x509_crt_set_activation_time (crt, 0);
  gnutls_x509_crt_set_expiration_time (crt, 4000000000);
  gnutls_x509_crt_set_ca_status (crt, !g_str_equal (dn, "CN=porthole"));
  gnutls_x509_crt_set_key (crt, key);
  g_assert_cmpint (
      gnutls_x509_crt_sign2 (crt, issuer_crt != NULL ? issuer_crt : crt, issuer, digest, 0), ==, 0);

  /* As if read from a file: GnuTLS finds an issuer only by names that were parsed. */
  gnutls_datum_t der;
  gnutls_x509_crt_t parsed;

  g_assert_cmpint (gnutls_x509_crt_export2 (crt, GNUTLS_X509_FMT_DER, &der), ==, 0);
  gnutls_x509_crt_init (&parsed);
  g_assert_cmpint (gnutls_x509_crt_import (parsed, &der, GNUTLS_X509_FMT_DER), ==, 0);
  gnutls_free (der.data);
  gnutls_x509_crt_deinit (crt);
  return parsed;
}

/* The peer's credentials, and its public key where it is one of 32 bytes. */
static gnutls_certificate_credentials_t
make_credentials (PeerKey kind, uint8_t public_key[PH_KEY_LEN])
{
  gnutls_certificate_credentials_t credentials;
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t chain[3]; /* leaf first */
  unsigned n = 0;

  gnutls_certificate_allocate_credentials (&credentials);
  memset (public_key, 0, PH_KEY_LEN);
  if (kind == KEY_NONE)
    return credentials;

  key = make_key (kind == KEY_P256 ? GNUTLS_PK_ECDSA : GNUTLS_PK_EDDSA_ED25519);
  if (kind != KEY_P256) {
    gnutls_datum_t x;

    gnutls_x509_privkey_export_ecc_raw (key, NULL, &x, NULL, NULL);
    g_assert_cmpuint (x.size, ==, PH_KEY_LEN);
    memcpy (public_key, x.data, x.size);
    gnutls_free (x.data);
  }
  if (kind == KEY_CHAIN_OF_TWO) {
    gnutls_x509_privkey_t issuer = make_key (GNUTLS_PK_EDDSA_ED25519);
    gnutls_x509_privkey_t root = make_key (GNUTLS_PK_EDDSA_ED25519);

    /* GnuTLS does not send a root: the issuer is one between. */
    chain[2] = make_certificate ("CN=root", root, root, NULL);
    chain[1] = make_certificate ("CN=issuer", issuer, root, chain[2]);
    chain[0] = make_certificate ("CN=porthole", key, issuer, chain[1]);
    gnutls_x509_crt_deinit (chain[2]);
    gnutls_x509_privkey_deinit (issuer);
    gnutls_x509_privkey_deinit (root);
    n = 2;
  } else {
    chain[n++] = make_certificate ("CN=porthole", key, key, NULL);
  }
  g_assert_cmpint (gnutls_certificate_set_x509_key (credentials, chain, (int)n, key), ==, 0);
  for (unsigned i = 0; i < n; i++)
    gnutls_x509_crt_deinit (chain[i]);
  gnutls_x509_privkey_deinit (key);
  return credentials;
}

static gnutls_session_t
peer_session (const Peer *peer, bool client, gnutls_certificate_credentials_t credentials)
{
  gnutls_session_t session;

  gnutls_init (&session, (client ? GNUTLS_CLIENT : GNUTLS_SERVER) | GNUTLS_NONBLOCK);
  g_assert_cmpint (gnutls_priority_set_direct (session, peer->priority, NULL), ==, 0);
  gnutls_credentials_set (session, GNUTLS_CRD_CERTIFICATE, credentials);
  if (peer->alpn != NULL) {
    const gnutls_datum_t alpn = {(unsigned char *)(uintptr_t)peer->alpn,
                                 (unsigned)strlen (peer->alpn)};

    gnutls_alpn_set_protocols (session, &alpn, 1, 0);
  }
  if (!client)
    gnutls_certificate_server_set_request (session, GNUTLS_CERT_REQUEST);
  return session;
}

/* Our end against `peer`: whether our side would go on. */
static bool
accepts (const Peer *peer, bool we_are_client)
{
  g_autoptr (PhTlsIdentity) us = ph_tls_identity_new (seed_a);
  uint8_t expected[PH_KEY_LEN];
  gnutls_certificate_credentials_t credentials = make_credentials (peer->key, expected);
  End ours = {0};
  End theirs = {0};
  bool ok;

  attach (&ours, ph_tls_session_new (us, we_are_client ? PH_TLS_CLIENT : 0), expected);
  attach (&theirs, peer_session (peer, !we_are_client, credentials), NULL);
  shake (we_are_client ? &ours : &theirs, we_are_client ? &theirs : &ours);
  ok = ours.result == 0 && ours.checked && ph_tls_check_session (ours.session);
  gnutls_deinit (ours.session);
  gnutls_deinit (theirs.session);
  gnutls_certificate_free_credentials (credentials);
  return ok;
}

static void
test_peers (void)
{
  static const Peer right = {"right", KEY_ED25519, "NORMAL:-VERS-ALL:+VERS-TLS1.3", PH_TLS_ALPN};
  static const Peer wrong[] = {
      {"no certificate", KEY_NONE, "NORMAL", PH_TLS_ALPN},
      {"a P-256 key", KEY_P256, "NORMAL", PH_TLS_ALPN},
      {"a chain", KEY_CHAIN_OF_TWO, "NORMAL", PH_TLS_ALPN},
      {"TLS 1.2", KEY_ED25519, "NORMAL:-VERS-ALL:+VERS-TLS1.2", PH_TLS_ALPN},
      {"another ALPN", KEY_ED25519, "NORMAL", "h2"},
      {"no ALPN", KEY_ED25519, "NORMAL", NULL},
      {"no Ed25519", KEY_ED25519, "NORMAL:-SIGN-EDDSA-ED25519", PH_TLS_ALPN},
      {"no X25519", KEY_ED25519, "NORMAL:-GROUP-X25519", PH_TLS_ALPN},
  };

  g_assert_true (accepts (&right, false));
  g_assert_true (accepts (&right, true));
  for (unsigned i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_test_message ("%s", wrong[i].name);
    g_assert_false (accepts (&wrong[i], false));
    g_assert_false (accepts (&wrong[i], true));
  }
}

static void
test_alerts (void)
{
  static const unsigned identity[] = {42, 43, 44, 45, 46, 48, 49, 51, 116};
  unsigned count = 0;

  for (unsigned alert = 0; alert < 256; alert++)
    count += ph_tls_alert_is_identity (alert);
  g_assert_cmpuint (count, ==, G_N_ELEMENTS (identity));
  for (unsigned i = 0; i < G_N_ELEMENTS (identity); i++)
    g_assert_true (ph_tls_alert_is_identity (identity[i]));
}

int
main (int argc, char **argv)
{
  ph_test_init (&argc, &argv);
  g_test_add_func ("/tls-identity/key", test_key);
  g_test_add_func ("/tls-identity/certificate", test_certificate);
  g_test_add_func ("/tls-identity/ours", test_ours);
  g_test_add_func ("/tls-identity/wrong-key", test_wrong_key);
  g_test_add_func ("/tls-identity/peers", test_peers);
  g_test_add_func ("/tls-identity/alerts", test_alerts);
  return g_test_run ();
}
