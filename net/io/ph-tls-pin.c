/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/io/ph-tls-pin.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>

static bool
pin_of_der (const GByteArray *der, gnutls_x509_crt_t certificate, gnutls_pubkey_t key,
            uint8_t ret_pin[PH_RENDEZVOUS_PIN_LEN])
{
  const gnutls_datum_t in = {der->data, der->len};
  gnutls_datum_t spki = {0};
  bool ok;

  if (gnutls_x509_crt_import (certificate, &in, GNUTLS_X509_FMT_DER) != 0
      || gnutls_pubkey_import_x509 (key, certificate, 0) != 0
      || gnutls_pubkey_export2 (key, GNUTLS_X509_FMT_DER, &spki) != 0)
    return false;
  ok = gnutls_hash_fast (GNUTLS_DIG_SHA256, spki.data, spki.size, ret_pin) == 0;
  gnutls_free (spki.data);
  return ok;
}

bool
ph_tls_pin (GTlsCertificate *certificate, uint8_t ret_pin[PH_RENDEZVOUS_PIN_LEN])
{
  g_autoptr (GByteArray) der = NULL;
  gnutls_x509_crt_t crt;
  gnutls_pubkey_t key;
  bool ok = false;

  g_object_get (certificate, "certificate", &der, NULL);
  if (der == NULL || gnutls_x509_crt_init (&crt) != 0)
    return false;
  if (gnutls_pubkey_init (&key) == 0) {
    ok = pin_of_der (der, crt, key, ret_pin);
    gnutls_pubkey_deinit (key);
  }
  gnutls_x509_crt_deinit (crt);
  return ok;
}
