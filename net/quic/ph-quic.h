/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A link over QUIC version 1 (RFC 9000, 9001, 9002), by ngtcp2 and GnuTLS. What a link promises is said in
 * net/link/ph-link.h; this is how it is had on datagrams.
 *
 * Path. The connection sees one constant synthetic path and never migrates: where its datagrams go is the
 * caller's business, who sets tx->socket and tx->remote and hands in whatever belongs to the connection
 * (ph_quic_link_owns() tells), from wherever it came. A path of another size or speed wants a new link: a
 * link whose large packets get lost while the peer is still heard ends with PH_LINK_ERROR_TIMEOUT on
 * both sides.
 *
 * READY. Each side writes one byte on its first stream once its handshake is complete. That stream is the
 * link's own and is never shown. A link is READY when it has received the other's: a server that does
 * not accept the client's key never writes it.
 *
 * Batches. poll_transmit fills whole GSO batches: datagrams of one size, the last may be shorter, one ECN
 * mark. Call it again until it says false. What it says depends on pacing: next_timeout() is
 * when there may be more. Hand in everything that a socket holds before polling, so that one acknowledgement
 * covers many packets.
 *
 * First byte. Short headers are 0x40 to 0x7f and long ones 0xc0 to 0xff: the fixed bit is never greased, so
 * that STUN (0x00 to 0x03) can share the socket. (TURN ChannelData, 0x40 to 0x4f, is told apart by source.)
 *
 * Left out of RFC 9000: version negotiation, Retry and address validation tokens (only paths that ICE has
 * validated get here), 0-RTT, migration, stateless reset, bidirectional streams. */

#pragma once

#include "net/base/ph-random.h"
#include "net/base/ph-trace.h"
#include "net/link/ph-link.h"
#include "net/tls/ph-tls-identity.h"

typedef enum {
  PH_QUIC_BBR, /* keeps its speed on lossy lines; the default */
  PH_QUIC_CUBIC,
} PhQuicCongestion;

/* Zero means the default in every field that has one. */
typedef struct {
  bool client;
  PhTlsIdentity *identity; /* the link takes a reference */
  uint8_t peer_key[PH_KEY_LEN];
  PhRandom random; /* connection ids, reset tokens; `user` outlives the link */
  PhTrace trace; /* likewise */

  /* Server: the datagram with the client's first Initial. It is only looked at: hand it in with
   * ph_link_handle_packet() as well. */
  PhSlice initial;

  PhQuicCongestion congestion;
  size_t max_udp_payload; /* largest datagram to try; 1,452 fits IPv6 over Ethernet */
  uint64_t stream_window; /* unconsumed bytes per stream to begin with; 4 MiB */
  uint64_t link_window; /* the same for all streams together; 8 MiB */
  uint64_t window_max; /* up to which both grow by themselves on long lines; 32 MiB,
                        * enough for 2.5 Gbit/s at 100 ms, and the most a slow disk makes us hold */
  PhTime rtt; /* as ICE has measured it: how soon lost handshake packets are sent again; 333 ms */
  PhTime idle_timeout; /* silence that ends an established link; 30 s */
  PhTime keepalive; /* silence after which we ask; 10 s, PH_NEVER for never */
  PhTime handshake_timeout; /* 10 s */
} PhQuicConfig;

/* A link of one connection that begins `now`. NULL only for a server whose `initial` is not
 * acceptable. */
PhLink *ph_quic_link_new (const PhQuicConfig *config, PhTime now);

/* Whether `datagram` could be the first of a new connection, and the connection ids in it (borrowed).
 * Cheap: only the header is looked at. */
bool ph_quic_is_initial (PhSlice datagram, PhSlice *ret_dcid, PhSlice *ret_scid);

/* Whether `datagram` is addressed to a connection id of `link`, which ph_quic_link_new() made. For a server
 * that includes the id that the client made up for its first packets. */
bool ph_quic_link_owns (const PhLink *link, PhSlice datagram);
