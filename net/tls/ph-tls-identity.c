/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/tls/ph-tls-identity.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <sodium.h>
#include <time.h>

#ifdef __aarch64__
#include <sys/auxv.h>
#endif

/* The whole range that X.509 can say, so that no clock is needed on either side: RFC 5280 §4.1.2.5 gives
 * the end as the value for "no well-defined expiration date". */
#define NOT_BEFORE ((time_t)0)
#define NOT_AFTER ((time_t)INT64_C (253402300799)) /* 99991231235959Z */
#define COMMON_NAME "porthole"

/* One of everything, because both ends are Porthole: Ed25519 is the device key, X25519 the key exchange of
 * the same curve, and two ciphers for machines with and without AES instructions. The client's order
 * counts. SHA-384 belongs to no cipher here. */
#define PRIORITY_COMMON                                                                            \
  "NONE:+VERS-TLS1.3:+AEAD:+ECDHE-ECDSA:+GROUP-X25519:+SIGN-EDDSA-ED25519:+CTYPE-X509:"            \
  "%DISABLE_TLS13_COMPAT_MODE:"
static const char priority_aes_first[] = PRIORITY_COMMON "+AES-128-GCM:+CHACHA20-POLY1305";
static const char priority_chacha_first[] = PRIORITY_COMMON "+CHACHA20-POLY1305:+AES-128-GCM";

/* TLS alerts, RFC 8446 §6. */
enum {
  ALERT_BAD_CERTIFICATE = 42,
  ALERT_UNSUPPORTED_CERTIFICATE = 43,
  ALERT_CERTIFICATE_REVOKED = 44,
  ALERT_CERTIFICATE_EXPIRED = 45,
  ALERT_CERTIFICATE_UNKNOWN = 46,
  ALERT_UNKNOWN_CA = 48,
  ALERT_ACCESS_DENIED = 49,
  ALERT_DECRYPT_ERROR = 51,
  ALERT_CERTIFICATE_REQUIRED = 116,
};

struct _PhTlsIdentity {
  grefcount refs;
  uint8_t key[PH_KEY_LEN];
  gnutls_certificate_credentials_t credentials;
  gnutls_datum_t certificate; /* DER, GnuTLS' memory */
};

/* Every call below is on our own, well-formed values: what fails is the installation. */
static void
must (int result)
{
  if (result < 0)
    g_error ("GnuTLS: %s", gnutls_strerror (result));
}

static bool
cpu_has_aes (void)
{
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports ("aes") && __builtin_cpu_supports ("pclmul");
#elif defined(__aarch64__)
  return (getauxval (AT_HWCAP) & (1u << 3 /* AES */)) != 0;
#else
  return false;
#endif
}

static gnutls_x509_privkey_t
import_seed (const uint8_t seed[PH_TLS_SEED_LEN], uint8_t key[PH_KEY_LEN])
{
  uint8_t secret[crypto_sign_SECRETKEYBYTES];
  gnutls_x509_privkey_t privkey;

  crypto_sign_seed_keypair (key, secret, seed);

  const gnutls_datum_t x = {key, PH_KEY_LEN};
  const gnutls_datum_t k = {secret, PH_TLS_SEED_LEN};

  must (gnutls_x509_privkey_init (&privkey));
  must (gnutls_x509_privkey_import_ecc_raw (privkey, GNUTLS_ECC_CURVE_ED25519, &x, NULL, &k));
  sodium_memzero (secret, sizeof secret);
  return privkey;
}

static gnutls_x509_crt_t
make_certificate (gnutls_x509_privkey_t privkey)
{
  static const uint8_t serial[] = {1};
  gnutls_x509_crt_t crt;

  must (gnutls_x509_crt_init (&crt));
  must (gnutls_x509_crt_set_version (crt, 3));
  must (gnutls_x509_crt_set_serial (crt, serial, sizeof serial));
  must (gnutls_x509_crt_set_dn_by_oid (crt, GNUTLS_OID_X520_COMMON_NAME, 0, COMMON_NAME,
                                       sizeof COMMON_NAME - 1));
  must (gnutls_x509_crt_set_activation_time (crt, NOT_BEFORE));
  must (gnutls_x509_crt_set_expiration_time (crt, NOT_AFTER));
  must (gnutls_x509_crt_set_key (crt, privkey));
  /* Ed25519 brings its own hash; GnuTLS wants to be told so. */
  must (gnutls_x509_crt_sign2 (crt, crt, privkey, GNUTLS_DIG_SHA512, 0));
  return crt;
}

PhTlsIdentity *
ph_tls_identity_new (const uint8_t seed[PH_TLS_SEED_LEN])
{
  PhTlsIdentity *self = g_new0 (PhTlsIdentity, 1);
  gnutls_x509_privkey_t privkey = import_seed (seed, self->key);
  gnutls_x509_crt_t crt = make_certificate (privkey);

  g_ref_count_init (&self->refs);
  must (gnutls_x509_crt_export2 (crt, GNUTLS_X509_FMT_DER, &self->certificate));
  must (gnutls_certificate_allocate_credentials (&self->credentials));
  must (gnutls_certificate_set_x509_key (self->credentials, &crt, 1, privkey));
  gnutls_x509_crt_deinit (crt);
  gnutls_x509_privkey_deinit (privkey);
  return self;
}

PhTlsIdentity *
ph_tls_identity_ref (PhTlsIdentity *self)
{
  g_ref_count_inc (&self->refs);
  return self;
}

void
ph_tls_identity_unref (PhTlsIdentity *self)
{
  if (self == NULL || !g_ref_count_dec (&self->refs))
    return;
  gnutls_certificate_free_credentials (self->credentials);
  gnutls_free (self->certificate.data);
  g_free (self);
}

const uint8_t *
ph_tls_identity_key (const PhTlsIdentity *self)
{
  return self->key;
}

PhSlice
ph_tls_identity_certificate (const PhTlsIdentity *self)
{
  return ph_slice (self->certificate.data, self->certificate.size);
}

gnutls_session_t
ph_tls_session_new (PhTlsIdentity *self, PhTlsFlags flags)
{
  const gnutls_datum_t alpn = {(unsigned char *)(uintptr_t)PH_TLS_ALPN, sizeof PH_TLS_ALPN - 1};
  const bool client = (flags & PH_TLS_CLIENT) != 0;
  unsigned init = GNUTLS_NO_TICKETS | GNUTLS_NO_STATUS_REQUEST | GNUTLS_NONBLOCK;
  gnutls_session_t session;

  init |= client ? GNUTLS_CLIENT : GNUTLS_SERVER;
  if ((flags & PH_TLS_QUIC) != 0)
    init |= GNUTLS_NO_END_OF_EARLY_DATA; /* RFC 9001 §8.3 */

  must (gnutls_init (&session, init));
  must (gnutls_priority_set_direct (
      session, cpu_has_aes () ? priority_aes_first : priority_chacha_first, NULL));
  must (gnutls_credentials_set (session, GNUTLS_CRD_CERTIFICATE, self->credentials));
  must (gnutls_alpn_set_protocols (session, &alpn, 1, GNUTLS_ALPN_MANDATORY));
  if (!client)
    gnutls_certificate_server_set_request (session, GNUTLS_CERT_REQUIRE);
  gnutls_handshake_set_timeout (session, 0); /* timeouts are the transport's */
  return session;
}

bool
ph_tls_check_peer (gnutls_session_t session, const uint8_t key[PH_KEY_LEN])
{
  unsigned count = 0;
  const gnutls_datum_t *chain = gnutls_certificate_get_peers (session, &count);
  gnutls_pcert_st pcert;
  gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
  gnutls_datum_t x = {NULL, 0};
  bool same = false;

  if (chain == NULL || count != 1
      || gnutls_certificate_type_get2 (session, GNUTLS_CTYPE_PEERS) != GNUTLS_CRT_X509
      || gnutls_pcert_import_x509_raw (&pcert, chain, GNUTLS_X509_FMT_DER, 0) < 0)
    return false;

  if (gnutls_pubkey_get_pk_algorithm (pcert.pubkey, NULL) == GNUTLS_PK_EDDSA_ED25519
      && gnutls_pubkey_export_ecc_raw2 (pcert.pubkey, &curve, &x, NULL, 0) >= 0) {
    same = curve == GNUTLS_ECC_CURVE_ED25519 && x.size == PH_KEY_LEN
           && memcmp (x.data, key, PH_KEY_LEN) == 0;
    gnutls_free (x.data);
  }
  gnutls_pcert_deinit (&pcert);
  return same;
}

bool
ph_tls_check_session (gnutls_session_t session)
{
  const unsigned early = GNUTLS_SFLAGS_EARLY_DATA | GNUTLS_SFLAGS_EARLY_START;
  gnutls_datum_t alpn;
  unsigned count = 0;

  return gnutls_protocol_get_version (session) == GNUTLS_TLS1_3
         && gnutls_session_is_resumed (session) == 0
         && (gnutls_session_get_flags (session) & early) == 0
         && gnutls_certificate_get_peers (session, &count) != NULL && count == 1
         && gnutls_certificate_get_ours (session) != NULL
         && gnutls_sign_algorithm_get (session) == (int)GNUTLS_SIGN_EDDSA_ED25519
         && gnutls_sign_algorithm_get_client (session) == (int)GNUTLS_SIGN_EDDSA_ED25519
         && gnutls_alpn_get_selected_protocol (session, &alpn) == 0
         && ph_slice_equal (ph_slice (alpn.data, alpn.size), ph_slice_string (PH_TLS_ALPN));
}

bool
ph_tls_alert_is_identity (unsigned alert)
{
  switch (alert) {
  case ALERT_BAD_CERTIFICATE:
  case ALERT_UNSUPPORTED_CERTIFICATE:
  case ALERT_CERTIFICATE_REVOKED:
  case ALERT_CERTIFICATE_EXPIRED:
  case ALERT_CERTIFICATE_UNKNOWN:
  case ALERT_UNKNOWN_CA:
  case ALERT_ACCESS_DENIED:
  case ALERT_DECRYPT_ERROR: /* the signature over the handshake is not by the key shown */
  case ALERT_CERTIFICATE_REQUIRED:
    return true;
  default:
    return false;
  }
}
