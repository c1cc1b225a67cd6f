/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ICE candidates, RFC 8445 §5.1: values, priorities, foundations, and their two written forms. */

#pragma once

#include "net/base/ph-addr.h"

typedef enum {
  PH_CANDIDATE_HOST,
  PH_CANDIDATE_SRFLX, /* what a STUN server saw */
  PH_CANDIDATE_PRFLX, /* what the peer saw, or saw us come from */
  PH_CANDIDATE_MAPPED, /* a port that our router forwards (PCP, NAT-PMP, UPnP); in SDP it is srflx */
  PH_CANDIDATE_RELAY,
  PH_N_CANDIDATE_TYPES,
} PhCandidateType;

typedef enum {
  PH_CANDIDATE_UDP,
  PH_CANDIDATE_TCP_ACTIVE,
  PH_CANDIDATE_TCP_PASSIVE,
  PH_CANDIDATE_TCP_SO,
  PH_N_CANDIDATE_TRANSPORTS,
} PhCandidateTransport;

/* RFC 8839 §5.1: 1 to 32 characters. */
#define PH_FOUNDATION_MAX 32

typedef struct {
  uint8_t type; /* PhCandidateType */
  uint8_t transport; /* PhCandidateTransport */
  PhAddr addr; /* where the other side reaches it */
  PhAddr related; /* for people and SDP: base of srflx, mapped address of relay; may be unset */
  uint32_t priority;
  char foundation[PH_FOUNDATION_MAX + 1];

  /* Of local candidates only. */
  PhAddr base; /* the address that packets leave from: of host and relay `addr` itself */
  uint32_t socket; /* the local socket id that carries it */
} PhCandidate;

/* --- Local candidates ------------------------------------------------------------------------- */

/* `rank` orders the machine's addresses, 0 the best (wired before wireless before a VPN); it is
 * clamped at 1000. Priority and foundation are set. */
PhCandidate ph_candidate_host (PhAddr addr, uint32_t socket, unsigned rank);
/* The same on TCP: `port` listens there, and connections leave from it. */
PhCandidate
ph_candidate_host_tcp (PhAddr addr, PhCandidateTransport transport, uint32_t port, unsigned rank);
/* From the host candidate `host`, of its transport; `server` tells foundations apart. */
PhCandidate ph_candidate_srflx (const PhCandidate *host, PhAddr mapped, PhAddr server);
PhCandidate ph_candidate_mapped (const PhCandidate *host, PhAddr external);
/* A relayed address: `socket` is the id that the relay's allocation goes by. */
PhCandidate ph_candidate_relay (PhAddr relayed, PhAddr mapped, uint32_t socket, PhAddr server);

/* RFC 8445 §5.1.2.1 for component 1, with a local preference that interleaves IPv6 before IPv4 (RFC
 * 8421 §4) and puts link-local addresses last. */
uint32_t ph_candidate_priority (PhCandidateType type, PhCandidateTransport transport,
                                const PhAddr *base, unsigned rank);
/* The priority that a check sent from `local` announces for the peer-reflexive candidate that the
 * peer may find, RFC 8445 §7.1.1. */
uint32_t ph_candidate_prflx_priority (const PhCandidate *local);

/* --- Any candidate ---------------------------------------------------------------------------- */

/* Whether packets may be sent there: a unicast address and a port, not loopback unless allowed. */
bool ph_candidate_usable (const PhAddr *addr, bool allow_loopback);
/* Whether a peer is told of it: not of an address that only this computer has a use for. */
bool ph_candidate_is_told (const PhCandidate *candidate);
/* "host", "srflx", "prflx", "mapped", "relay". */
const char *ph_candidate_type_name (PhCandidateType type);

/* The compact form that signals carry (docs/protocol.md): type, transport, address, port, priority,
 * foundation. The base, the related address and the socket stay at home. */
void ph_candidate_write (PhWriter *w, const PhCandidate *candidate);
/* Poisons `r` (and leaves zeros) for anything that ph_candidate_write() would not write. The address may
 * still be of a useless kind: see ph_candidate_usable(). */
void ph_candidate_read (PhReader *r, PhCandidate *ret_candidate);
/* No compact form is longer. */
#define PH_CANDIDATE_WIRE_MAX 64

/* The value of an SDP `candidate` attribute, RFC 8839 §5.1, with or without "candidate:" or
 * "a=candidate:" before it. Unknown extensions are skipped. False for another component than 1, host
 * names, unknown transports or types. */
bool ph_candidate_parse_sdp (const char *text, PhCandidate *ret_candidate);
#define PH_CANDIDATE_SDP_MAX 256
/* "candidate:..." into `out`, which is returned. */
const char *ph_candidate_format_sdp (const PhCandidate *candidate, char out[PH_CANDIDATE_SDP_MAX]);
