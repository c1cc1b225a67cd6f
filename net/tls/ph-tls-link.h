/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A link over TLS 1.3 on a TCP connection, by GnuTLS. What a link promises is said in net/link/ph-link.h;
 * this is how it is had on a stream of bytes. TLS brings secrecy and the peer's key, a framing of our own
 * (ph-tls-frame.h, docs/protocol.md) brings streams and flow control.
 *
 * Bytes. handle_packet takes what was read from the connection, poll_transmit gives what is to be written,
 * at most 65,535 bytes a call, and leaves `headroom` before them: one frame of RFC 4571. Where one call
 * ends and the next begins means nothing. Every byte must arrive, in order. Whoever writes to the connection
 * does not poll while it is full: then nothing is encrypted that could wait, and what matters gets ahead.
 *
 * READY. As over QUIC: each side says HELLO once its handshake is complete, and is READY when it has the
 * other's. A server that does not accept the client's key never says it.
 *
 * Queued bytes are those that the other side's link has not said it has. Their buffers are let go as soon as
 * they are encrypted: TCP keeps what it may have to send again.
 *
 * Left out: resumption, early data, renegotiation (ph-tls-identity.h), bidirectional streams. */

#pragma once

#include "net/base/ph-trace.h"
#include "net/link/ph-link.h"
#include "net/tls/ph-tls-identity.h"

/* Zero means the default in every field that has one. */
typedef struct {
  bool client;
  PhTlsIdentity *identity; /* the link takes a reference */
  uint8_t peer_key[PH_KEY_LEN];
  PhTrace trace; /* `user` outlives the link */

  uint64_t stream_window; /* unconsumed bytes per stream to begin with; 4 MiB */
  uint64_t link_window; /* the same for all streams together; 8 MiB */
  uint64_t window_max; /* up to which both grow by themselves on long lines; 32 MiB */
  PhTime idle_timeout; /* silence that ends an established link; 30 s */
  PhTime keepalive; /* how often the other side is asked for a sign of life; 10 s */
  PhTime handshake_timeout; /* 10 s */
} PhTlsLinkConfig;

/* A link on a connection that was made `now`. */
PhLink *ph_tls_link_new (const PhTlsLinkConfig *config, PhTime now);
/* The connection is no more. Unless the link has ended already it ends now, with PH_LINK_ERROR_TIMEOUT. */
void ph_tls_link_hang_up (PhLink *link, PhTime now);
/* When the last record came that the peer has encrypted with this link's keys; 0: never. */
PhTime ph_tls_link_authentic_at (const PhLink *link);
/* Whether this is a link that ph_tls_link_new() made. */
bool ph_link_is_tls (const PhLink *link);
