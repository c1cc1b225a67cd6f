/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A TLS client with the right key that says whatever it is told: what a link must stand from a contact
 * whose program is not ours. */

#pragma once

#include "net/tls/ph-tls-frame.h"
#include "net/tls/ph-tls-link.h"

typedef struct {
  PhTime now;
  PhLink *link; /* owned: the server */
  PhTlsIdentity *identity[2];
  gnutls_session_t session;
  GByteArray *to_liar;
  uint8_t *out; /* PH_TRANSMIT_MAX */
  uint64_t heard; /* bytes of plain text from the link */
  uint64_t held; /* bytes that the link has handed out and that nobody consumed */
  bool ready;
  PhLinkEvent closed; /* type CLOSED once it is told */
} PhTestTlsLiar;

/* After the handshake, before the hello. */
void ph_test_tls_liar_init (PhTestTlsLiar *self);
void ph_test_tls_liar_clear (PhTestTlsLiar *self);
void ph_test_tls_liar_say (PhTestTlsLiar *self, PhSlice plain);
void ph_test_tls_liar_say_frame (PhTestTlsLiar *self, uint8_t type, uint32_t stream, bool fin,
                                 PhTlsFrameBody body);
void ph_test_tls_liar_say_hello (PhTestTlsLiar *self);
/* `claimed` in the header, `len` bytes after it. */
void ph_test_tls_liar_say_data (PhTestTlsLiar *self, uint32_t stream, size_t claimed, size_t len,
                                bool fin);
