/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/base/ph-addr.h"

#include <arpa/inet.h>
#include <glib.h>

static const uint8_t ipv4_mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

PhAddr
ph_addr_ipv4 (uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
  return (PhAddr){.family = PH_FAMILY_IPV4, .port = port, .ip = {a, b, c, d}};
}

PhAddr
ph_addr_from_bytes (PhSlice ip, uint16_t port)
{
  PhAddr addr = {.port = port};

  if (ip.len == 16 && memcmp (ip.data, ipv4_mapped_prefix, sizeof ipv4_mapped_prefix) == 0)
    ip = ph_slice (ip.data + 12, 4);

  if (ip.len == 4)
    addr.family = PH_FAMILY_IPV4;
  else if (ip.len == 16)
    addr.family = PH_FAMILY_IPV6;
  else
    return (PhAddr){0};
  memcpy (addr.ip, ip.data, ip.len);
  return addr;
}

static bool
parse_ip (const char *text, size_t len, PhFamily family, PhAddr *ret_addr)
{
  char host[INET6_ADDRSTRLEN];
  uint8_t ip[16];

  if (len >= sizeof host)
    return false;
  memcpy (host, text, len);
  host[len] = '\0';
  if (inet_pton (family == PH_FAMILY_IPV4 ? AF_INET : AF_INET6, host, ip) != 1)
    return false;
  *ret_addr = ph_addr_from_bytes (ph_slice (ip, family == PH_FAMILY_IPV4 ? 4 : 16), 0);
  return true;
}

bool
ph_addr_parse (const char *text, uint16_t port_default, PhAddr *ret_addr)
{
  const char *host = text;
  const char *host_end;
  const char *port_text = NULL;
  PhFamily family = PH_FAMILY_IPV4;
  PhAddr addr;
  guint64 scope = 0;
  guint64 port = port_default;

  if (*text == '[') {
    family = PH_FAMILY_IPV6;
    host = text + 1;
    host_end = strchr (host, ']');
    if (host_end == NULL || (host_end[1] != ':' && host_end[1] != '\0'))
      return false;
    if (host_end[1] == ':')
      port_text = host_end + 2;
  } else {
    const char *colon = strchr (text, ':');

    host_end = text + strlen (text);
    if (colon != NULL && strchr (colon + 1, ':') != NULL) {
      family = PH_FAMILY_IPV6;
    } else if (colon != NULL) {
      host_end = colon;
      port_text = colon + 1;
    }
  }

  const char *percent = memchr (host, '%', (size_t)(host_end - host));
  const char *ip_end = host_end;

  if (percent != NULL) {
    g_autofree char *digits = g_strndup (percent + 1, (gsize)(host_end - percent - 1));

    if (family != PH_FAMILY_IPV6
        || !g_ascii_string_to_unsigned (digits, 10, 1, G_MAXUINT32, &scope, NULL))
      return false;
    ip_end = percent;
  }
  if (port_text != NULL && !g_ascii_string_to_unsigned (port_text, 10, 0, G_MAXUINT16, &port, NULL))
    return false;
  if (!parse_ip (host, (size_t)(ip_end - host), family, &addr))
    return false;

  addr.port = (uint16_t)port;
  addr.scope = (uint32_t)scope;
  *ret_addr = addr;
  return true;
}

const char *
ph_addr_format_ip (const PhAddr *addr, char out[PH_ADDR_STRING_MAX])
{
  char ip[INET6_ADDRSTRLEN] = "-";

  if (addr->family != PH_FAMILY_NONE)
    inet_ntop (addr->family == PH_FAMILY_IPV4 ? AF_INET : AF_INET6, addr->ip, ip, sizeof ip);
  if (addr->scope != 0)
    g_snprintf (out, PH_ADDR_STRING_MAX, "%s%%%u", ip, addr->scope);
  else
    g_strlcpy (out, ip, PH_ADDR_STRING_MAX);
  return out;
}

const char *
ph_addr_format (const PhAddr *addr, char out[PH_ADDR_STRING_MAX])
{
  char ip[PH_ADDR_STRING_MAX];

  ph_addr_format_ip (addr, ip);
  g_snprintf (out, PH_ADDR_STRING_MAX, addr->family == PH_FAMILY_IPV6 ? "[%.62s]:%u" : "%.64s:%u",
              ip, addr->port);
  return out;
}

PhSlice
ph_addr_ip (const PhAddr *addr)
{
  switch (addr->family) {
  case PH_FAMILY_IPV4:
    return ph_slice (addr->ip, 4);
  case PH_FAMILY_IPV6:
    return ph_slice (addr->ip, 16);
  default:
    return ph_slice (NULL, 0);
  }
}

bool
ph_addr_equal_ip (const PhAddr *a, const PhAddr *b)
{
  return a->family == b->family && a->scope == b->scope && memcmp (a->ip, b->ip, sizeof a->ip) == 0;
}

bool
ph_addr_equal (const PhAddr *a, const PhAddr *b)
{
  return a->port == b->port && ph_addr_equal_ip (a, b);
}

unsigned
ph_addr_hash (const void *addr)
{
  const PhAddr *a = addr;
  unsigned hash = 5381u + a->family;

  for (size_t i = 0; i < sizeof a->ip; i++)
    hash = hash * 33u + a->ip[i];
  return hash * 65599u + a->port;
}

int
ph_addr_hash_equal (const void *a, const void *b)
{
  return ph_addr_equal (a, b);
}

static PhScope
scope_ipv4 (const uint8_t *ip)
{
  if (ip[0] == 127)
    return PH_SCOPE_LOOPBACK;
  if (ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) || (ip[0] == 192 && ip[1] == 168))
    return PH_SCOPE_PRIVATE;
  if (ip[0] == 169 && ip[1] == 254)
    return PH_SCOPE_LINK_LOCAL;
  if (ip[0] == 192 && ip[1] == 0 && ip[2] == 0 && (ip[3] & 0xf8) == 0)
    return PH_SCOPE_CONTINUITY;
  if (ip[0] == 100 && (ip[1] & 0xc0) == 64)
    return PH_SCOPE_SHARED;
  if (ip[0] == 0 || ip[0] >= 224)
    return PH_SCOPE_UNUSABLE;
  return PH_SCOPE_GLOBAL;
}

static PhScope
scope_ipv6 (const uint8_t *ip)
{
  static const uint8_t zeros[15];

  if (memcmp (ip, zeros, sizeof zeros) == 0)
    return ip[15] == 1 ? PH_SCOPE_LOOPBACK : PH_SCOPE_UNUSABLE;
  if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80)
    return PH_SCOPE_LINK_LOCAL;
  if ((ip[0] & 0xfe) == 0xfc)
    return PH_SCOPE_PRIVATE;
  if (ip[0] == 0xff)
    return PH_SCOPE_UNUSABLE;
  return PH_SCOPE_GLOBAL;
}

PhScope
ph_addr_scope (const PhAddr *addr)
{
  switch (addr->family) {
  case PH_FAMILY_IPV4:
    return scope_ipv4 (addr->ip);
  case PH_FAMILY_IPV6:
    return scope_ipv6 (addr->ip);
  default:
    return PH_SCOPE_UNUSABLE;
  }
}
