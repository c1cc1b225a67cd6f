/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who we are and whom we expect, in TLS terms: shared by every transport that speaks TLS 1.3.
 *
 * A device is its Ed25519 key. The certificate is only the envelope that TLS wants: self-signed with
 * that key, its contents fixed (one name, one serial, a validity without end), so that it can be made without
 * a clock and says nothing that the key does not say. Whoever checks one looks at the key and at nothing
 * else: no names, no dates, no chain.
 *
 * What a session made here insists on: TLS 1.3; Ed25519 signatures; X25519; a certificate from both
 * sides; ALPN `porthole/1`; no tickets, no pre-shared keys, no early data (resumption would skip the
 * check of the key).
 *
 * GnuTLS draws its own randomness and is the one thing in the cores that does. */

#pragma once

#include "net/base/ph-bytes.h"
#include "net/link/ph-link.h"

#include <gnutls/gnutls.h>

#define PH_TLS_ALPN "porthole/1"
#define PH_TLS_SEED_LEN 32

/* Our key and certificate, ready for any number of sessions at once. Counted references; used on one
 * thread. */
typedef struct _PhTlsIdentity PhTlsIdentity;

/* From the 32-byte seed of an Ed25519 key (RFC 8032 §5.1.5, the first half of libsodium's secret key).
 * Never fails: any 32 bytes are a seed. */
PhTlsIdentity *ph_tls_identity_new (const uint8_t seed[PH_TLS_SEED_LEN]);
PhTlsIdentity *ph_tls_identity_ref (PhTlsIdentity *self);
void ph_tls_identity_unref (PhTlsIdentity *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhTlsIdentity, ph_tls_identity_unref)

/* The public key, PH_KEY_LEN bytes. */
const uint8_t *ph_tls_identity_key (const PhTlsIdentity *self);
/* The certificate, DER. */
PhSlice ph_tls_identity_certificate (const PhTlsIdentity *self);

typedef enum {
  PH_TLS_CLIENT = 1 << 0, /* else server */
  PH_TLS_QUIC = 1 << 1, /* no records: the transport carries the handshake itself */
} PhTlsFlags;

/* A session with everything above set. The caller installs its verify function
 * (gnutls_session_set_verify_function), which calls ph_tls_check_peer(), and its transport, and frees it
 * with gnutls_deinit() while it still holds `self`. */
gnutls_session_t ph_tls_session_new (PhTlsIdentity *self, PhTlsFlags flags);

/* Whether the certificate that the peer has shown is exactly one, holds an Ed25519 key, and that key is
 * `key`. Proof of possession is the handshake's: this is called from within it. */
bool ph_tls_check_peer (gnutls_session_t session, const uint8_t key[PH_KEY_LEN]);
/* Whether a finished handshake came out as it must: TLS 1.3, both sides authenticated by certificate,
 * not resumed, no early data, our ALPN. A belt to the braces of the session's settings. */
bool ph_tls_check_session (gnutls_session_t session);

/* Whether an alert that the peer sent means that it refuses our key, or we its. */
bool ph_tls_alert_is_identity (unsigned alert);
