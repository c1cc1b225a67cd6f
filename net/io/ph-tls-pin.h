/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pin of a TLS server: SHA-256 of its key's SubjectPublicKeyInfo. It outlives renewed
 * certificates. */

#pragma once

#include "net/signal/ph-rendezvous-address.h"

#include <gio/gio.h>

/* False if the certificate's key cannot be read. */
bool ph_tls_pin (GTlsCertificate *certificate, uint8_t ret_pin[PH_RENDEZVOUS_PIN_LEN]);
