/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/ice/ph-ice-candidate.h"

#include <glib.h>

#define COMPONENT 1
#define RANK_MAX 1000
/* What a link-local address loses in local preference: it is only good on one cable. */
#define LINK_LOCAL_MALUS 0x4000
#define LINK_LOCAL_MALUS_TCP 0x1000

/* RFC 8445 §5.1.2.2 recommends 126, 100, 110 and 0. A mapped port lets strangers in, so it is tried
 * before what a STUN server saw. */
static const uint8_t type_preference[PH_N_CANDIDATE_TYPES] = {
    [PH_CANDIDATE_HOST] = 126,   [PH_CANDIDATE_SRFLX] = 100, [PH_CANDIDATE_PRFLX] = 110,
    [PH_CANDIDATE_MAPPED] = 105, [PH_CANDIDATE_RELAY] = 0,
};

/* RFC 6544 §4.2: TCP candidates come after UDP candidates of their type. */
#define TCP_MALUS 40

static const char *const type_names[PH_N_CANDIDATE_TYPES] = {
    [PH_CANDIDATE_HOST] = "host",   [PH_CANDIDATE_SRFLX] = "srflx",
    [PH_CANDIDATE_PRFLX] = "prflx", [PH_CANDIDATE_MAPPED] = "mapped",
    [PH_CANDIDATE_RELAY] = "relay",
};

static const char *const tcp_type_names[PH_N_CANDIDATE_TRANSPORTS] = {
    [PH_CANDIDATE_TCP_ACTIVE] = "active",
    [PH_CANDIDATE_TCP_PASSIVE] = "passive",
    [PH_CANDIDATE_TCP_SO] = "so",
};

/* --- Priorities and foundations ----------------------------------------------------------------- */

/* RFC 6544 §4.2: of two ends one must be able to take a connection. What listens and connects at the same
 * time is worth most where a NAT is in between, and least where there is none. */
static unsigned
direction_preference (PhCandidateType type, PhCandidateTransport transport)
{
  const bool behind = type != PH_CANDIDATE_HOST && type != PH_CANDIDATE_RELAY;

  switch (transport) {
  case PH_CANDIDATE_TCP_ACTIVE:
    return behind ? 4 : 6;
  case PH_CANDIDATE_TCP_PASSIVE:
    return behind ? 2 : 4;
  case PH_CANDIDATE_TCP_SO:
    return behind ? 6 : 2;
  default:
    return 0;
  }
}

/* RFC 6544 §4.2: 13 bits beside the direction. */
#define TCP_PREFERENCE_MAX 8191

static unsigned
type_preference_of (PhCandidateType type, PhCandidateTransport transport)
{
  const unsigned preference = type_preference[type];

  return transport == PH_CANDIDATE_UDP ? preference : preference - MIN (preference, TCP_MALUS);
}

static uint32_t
priority_from (unsigned type_pref, unsigned local_pref)
{
  return (uint32_t)(type_pref << 24 | local_pref << 8 | (256 - COMPONENT));
}

uint32_t
ph_candidate_priority (PhCandidateType type, PhCandidateTransport transport, const PhAddr *base,
                       unsigned rank)
{
  const bool tcp = transport != PH_CANDIDATE_UDP;
  const unsigned type_pref = type_preference_of (type, transport);
  unsigned local_pref = (tcp ? TCP_PREFERENCE_MAX : G_MAXUINT16) - 2 * MIN (rank, RANK_MAX);

  if (base->family != PH_FAMILY_IPV6)
    local_pref--;
  if (ph_addr_scope (base) == PH_SCOPE_LINK_LOCAL)
    local_pref -= tcp ? LINK_LOCAL_MALUS_TCP : LINK_LOCAL_MALUS;
  if (tcp)
    local_pref += direction_preference (type, transport) << 13;
  return priority_from (type_pref, local_pref);
}

uint32_t
ph_candidate_prflx_priority (const PhCandidate *local)
{
  unsigned local_pref = local->priority >> 8 & 0xffff;

  if (local->transport != PH_CANDIDATE_UDP)
    local_pref = (local_pref & TCP_PREFERENCE_MAX)
                 | direction_preference (PH_CANDIDATE_PRFLX, local->transport) << 13;
  return priority_from (type_preference_of (PH_CANDIDATE_PRFLX, local->transport), local_pref);
}

/* Same type, base, transport and server: same foundation (RFC 8445 §5.1.1.3). Two that collide are
 * checked one after the other, nothing worse. */
static void
set_foundation (PhCandidate *candidate, const PhAddr *server)
{
  PhAddr base = candidate->base;
  PhAddr via = *server;
  const unsigned kind = (unsigned)candidate->type << 4 | candidate->transport;

  base.port = 0;
  via.port = 0;
  g_snprintf (candidate->foundation, sizeof candidate->foundation, "%08x",
              ph_addr_hash (&base) * 31u + ph_addr_hash (&via) * 7u + kind);
}

static PhCandidate
local_candidate (PhCandidateType type, PhCandidateTransport transport, PhAddr addr, PhAddr base,
                 uint32_t socket, unsigned rank, const PhAddr *server)
{
  PhCandidate candidate = {
      .type = (uint8_t)type,
      .transport = (uint8_t)transport,
      .addr = addr,
      .base = base,
      .socket = socket,
  };

  candidate.priority = ph_candidate_priority (type, transport, &base, rank);
  set_foundation (&candidate, server);
  return candidate;
}

PhCandidate
ph_candidate_host (PhAddr addr, uint32_t socket, unsigned rank)
{
  const PhAddr none = {0};

  return local_candidate (PH_CANDIDATE_HOST, PH_CANDIDATE_UDP, addr, addr, socket, rank, &none);
}

PhCandidate
ph_candidate_host_tcp (PhAddr addr, PhCandidateTransport transport, uint32_t port, unsigned rank)
{
  const PhAddr none = {0};

  g_assert (transport != PH_CANDIDATE_UDP);
  return local_candidate (PH_CANDIDATE_HOST, transport, addr, addr, port, rank, &none);
}

static PhCandidate
from_host (PhCandidateType type, const PhCandidate *host, PhAddr addr, PhAddr server)
{
  const PhCandidateTransport transport = host->transport;
  unsigned local_pref = host->priority >> 8 & 0xffff;
  PhCandidate candidate =
      local_candidate (type, transport, addr, host->base, host->socket, 0, &server);

  /* The interface's preference comes from the host candidate. */
  if (transport != PH_CANDIDATE_UDP)
    local_pref = (local_pref & TCP_PREFERENCE_MAX) | direction_preference (type, transport) << 13;
  candidate.priority = priority_from (type_preference_of (type, transport), local_pref);
  candidate.related = host->base;
  return candidate;
}

PhCandidate
ph_candidate_srflx (const PhCandidate *host, PhAddr mapped, PhAddr server)
{
  return from_host (PH_CANDIDATE_SRFLX, host, mapped, server);
}

PhCandidate
ph_candidate_mapped (const PhCandidate *host, PhAddr external)
{
  return from_host (PH_CANDIDATE_MAPPED, host, external, (PhAddr){0});
}

PhCandidate
ph_candidate_relay (PhAddr relayed, PhAddr mapped, uint32_t socket, PhAddr server)
{
  PhCandidate candidate =
      local_candidate (PH_CANDIDATE_RELAY, PH_CANDIDATE_UDP, relayed, relayed, socket, 0, &server);

  candidate.related = mapped;
  return candidate;
}

bool
ph_candidate_usable (const PhAddr *addr, bool allow_loopback)
{
  const PhScope scope = ph_addr_scope (addr);

  if (addr->port == 0 || scope == PH_SCOPE_UNUSABLE)
    return false;
  return scope != PH_SCOPE_LOOPBACK || allow_loopback;
}

bool
ph_candidate_is_told (const PhCandidate *candidate)
{
  return ph_addr_scope (&candidate->addr) != PH_SCOPE_CONTINUITY;
}

const char *
ph_candidate_type_name (PhCandidateType type)
{
  return type_names[type];
}

/* --- The compact form --------------------------------------------------------------------------- */

/* RFC 8839 §5.1: ice-char. */
static bool
is_foundation (PhSlice text)
{
  if (text.len == 0 || text.len > PH_FOUNDATION_MAX)
    return false;
  for (size_t i = 0; i < text.len; i++) {
    const char c = (char)text.data[i];

    if (!g_ascii_isalnum (c) && c != '+' && c != '/')
      return false;
  }
  return true;
}

static void
set_text_foundation (PhCandidate *candidate, PhSlice text)
{
  memcpy (candidate->foundation, text.data, text.len);
  candidate->foundation[text.len] = '\0';
}

void
ph_candidate_write (PhWriter *w, const PhCandidate *candidate)
{
  const PhSlice ip = ph_addr_ip (&candidate->addr);

  g_assert (ip.len != 0);
  ph_write_u8 (w, candidate->type);
  ph_write_u8 (w, candidate->transport);
  ph_write_counted (w, ip);
  ph_write_u16 (w, candidate->addr.port);
  ph_write_u32 (w, candidate->priority);
  ph_write_counted (w, ph_slice_string (candidate->foundation));
}

void
ph_candidate_read (PhReader *r, PhCandidate *ret_candidate)
{
  PhCandidate candidate = {0};

  *ret_candidate = candidate;
  candidate.type = ph_read_u8 (r);
  candidate.transport = ph_read_u8 (r);

  const PhSlice ip = ph_read_counted (r, sizeof candidate.addr.ip);
  const uint16_t port = ph_read_u16 (r);

  candidate.priority = ph_read_u32 (r);

  const PhSlice foundation = ph_read_counted (r, PH_FOUNDATION_MAX);

  if (!ph_reader_ok (r))
    return;
  candidate.addr = ph_addr_from_bytes (ip, port);
  if (candidate.type >= PH_N_CANDIDATE_TYPES || candidate.transport >= PH_N_CANDIDATE_TRANSPORTS
      || candidate.priority == 0 || candidate.priority > G_MAXINT32 || ip.len == 0
      || ph_addr_ip (&candidate.addr).len != ip.len || !is_foundation (foundation)) {
    ph_reader_poison (r);
    return;
  }
  set_text_foundation (&candidate, foundation);
  *ret_candidate = candidate;
}

/* --- SDP ---------------------------------------------------------------------------------------- */

static bool
index_of (const char *const *names, size_t n_names, const char *text, uint8_t *ret_index)
{
  for (size_t i = 0; i < n_names; i++) {
    if (names[i] != NULL && strcmp (names[i], text) == 0) {
      *ret_index = (uint8_t)i;
      return true;
    }
  }
  return false;
}

static bool
parse_number (const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
  guint64 value;

  if (!g_ascii_string_to_unsigned (text, 10, min, max, &value, NULL))
    return false;
  *ret_value = value;
  return true;
}

/* An address literal without brackets, as SDP has them. */
static bool
parse_sdp_addr (const char *ip, const char *port, PhAddr *ret_addr)
{
  uint64_t number;

  return strpbrk (ip, "[]%") == NULL && (strchr (ip, ':') != NULL || strchr (ip, '.') != NULL)
         && parse_number (port, 0, G_MAXUINT16, &number)
         && ph_addr_parse (ip, (uint16_t)number, ret_addr) && ret_addr->port == number;
}

/* What follows the address: "typ X" and then pairs of names and values. */
static bool
parse_sdp_rest (char **words, PhCandidate *candidate)
{
  const char *raddr = NULL, *rport = NULL, *tcptype = NULL;
  PhAddr related;

  if (words[0] == NULL || words[1] == NULL || strcmp (words[0], "typ") != 0
      || !index_of (type_names, PH_N_CANDIDATE_TYPES, words[1], &candidate->type))
    return false;

  for (words += 2; words[0] != NULL && words[1] != NULL; words += 2) {
    if (strcmp (words[0], "raddr") == 0)
      raddr = words[1];
    else if (strcmp (words[0], "rport") == 0)
      rport = words[1];
    else if (strcmp (words[0], "tcptype") == 0)
      tcptype = words[1];
  }
  if (raddr != NULL && rport != NULL && parse_sdp_addr (raddr, rport, &related)
      && ph_addr_scope (&related) != PH_SCOPE_UNUSABLE)
    candidate->related = related;
  if (candidate->transport == PH_CANDIDATE_UDP)
    return true;
  return tcptype != NULL
         && index_of (tcp_type_names, PH_N_CANDIDATE_TRANSPORTS, tcptype, &candidate->transport);
}

/* More words than any candidate has. */
#define SDP_WORDS_MAX 64
enum {
  WORD_FOUNDATION,
  WORD_COMPONENT,
  WORD_TRANSPORT,
  WORD_PRIORITY,
  WORD_IP,
  WORD_PORT,
  N_WORDS
};

bool
ph_candidate_parse_sdp (const char *text, PhCandidate *ret_candidate)
{
  PhCandidate candidate = {0};
  uint64_t number;

  if (g_str_has_prefix (text, "a="))
    text += 2;
  if (g_str_has_prefix (text, "candidate:"))
    text += strlen ("candidate:");

  g_auto (GStrv) words = g_strsplit (text, " ", SDP_WORDS_MAX);

  if (g_strv_length (words) < N_WORDS || !is_foundation (ph_slice_string (words[WORD_FOUNDATION]))
      || !parse_number (words[WORD_COMPONENT], COMPONENT, COMPONENT, &number)
      || !parse_number (words[WORD_PRIORITY], 1, G_MAXINT32, &number))
    return false;
  candidate.priority = (uint32_t)number;
  set_text_foundation (&candidate, ph_slice_string (words[WORD_FOUNDATION]));

  if (g_ascii_strcasecmp (words[WORD_TRANSPORT], "tcp") == 0)
    candidate.transport = PH_CANDIDATE_TCP_ACTIVE;
  else if (g_ascii_strcasecmp (words[WORD_TRANSPORT], "udp") != 0)
    return false;
  if (!parse_sdp_addr (words[WORD_IP], words[WORD_PORT], &candidate.addr)
      || !parse_sdp_rest (words + N_WORDS, &candidate))
    return false;

  *ret_candidate = candidate;
  return true;
}

const char *
ph_candidate_format_sdp (const PhCandidate *candidate, char out[PH_CANDIDATE_SDP_MAX])
{
  const bool mapped = candidate->type == PH_CANDIDATE_MAPPED;
  PhAddr plain = candidate->addr;
  PhAddr related = candidate->related;
  char ip[PH_ADDR_STRING_MAX], related_ip[PH_ADDR_STRING_MAX];
  int len;

  plain.scope = 0;
  related.scope = 0;
  len = g_snprintf (out, PH_CANDIDATE_SDP_MAX, "candidate:%s %d %s %u %s %u typ %s",
                    candidate->foundation, COMPONENT,
                    candidate->transport == PH_CANDIDATE_UDP ? "udp" : "tcp", candidate->priority,
                    ph_addr_format_ip (&plain, ip), plain.port,
                    mapped ? type_names[PH_CANDIDATE_SRFLX] : type_names[candidate->type]);
  if (candidate->type != PH_CANDIDATE_HOST) {
    const bool known = ph_addr_is_set (&related);

    /* RFC 8839 §5.1: must be there; a side that keeps its base to itself writes zeros. */
    len += g_snprintf (out + len, (gulong)(PH_CANDIDATE_SDP_MAX - len), " raddr %s rport %u",
                       known ? ph_addr_format_ip (&related, related_ip) : "0.0.0.0",
                       known ? related.port : 0u);
  }
  if (candidate->transport != PH_CANDIDATE_UDP)
    len += g_snprintf (out + len, (gulong)(PH_CANDIDATE_SDP_MAX - len), " tcptype %s",
                       tcp_type_names[candidate->transport]);
  g_assert (len < PH_CANDIDATE_SDP_MAX);
  return out;
}
