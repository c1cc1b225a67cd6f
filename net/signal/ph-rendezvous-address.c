/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-rendezvous-address.h"

#include "net/base/ph-addr.h"
#include "net/signal/ph-base64.h"

#include <glib.h>

#define HOST_LEN_MAX 253 /* RFC 1035 §2.3.4, in text */

static bool
take_prefix (const char **p, const char *prefix)
{
  const size_t len = strlen (prefix);

  if (g_ascii_strncasecmp (*p, prefix, len) != 0)
    return false;
  *p += len;
  return true;
}

/* "0" to "65535", nothing else; 0 on failure. */
static uint16_t
parse_port (const char *text)
{
  guint64 port;

  if (!g_ascii_string_to_unsigned (text, 10, 1, 65535, &port, NULL))
    return 0;
  return (uint16_t)port;
}

static bool
is_dns_name (const char *host)
{
  for (const char *c = host; *c != '\0'; c++)
    if (!g_ascii_isalnum (*c) && *c != '-' && *c != '.')
      return false;
  return host[0] != '\0' && host[0] != '-' && host[0] != '.';
}

/* Splits host and port, makes the host canonical (lower case, shortest form of an address). */
static bool
parse_authority (const char *authority, uint16_t port_default, char host[HOST_LEN_MAX + 1],
                 uint16_t *ret_port)
{
  const char *colon = authority[0] == '[' ? strstr (authority, "]:") : strchr (authority, ':');
  const bool has_port = colon != NULL;

  if (has_port && *colon == ']')
    colon++;

  const size_t len = has_port ? (size_t)(colon - authority) : strlen (authority);
  const uint16_t port = has_port ? parse_port (colon + 1) : port_default;

  if (port == 0 || len == 0 || len > HOST_LEN_MAX)
    return false;
  memcpy (host, authority, len);
  host[len] = '\0';

  PhAddr addr;

  /* What looks like an address is one: resolvers disagree about the rest ("127.1", "0x7f.1"). */
  if (host[0] == '[') {
    char text[PH_ADDR_STRING_MAX];

    if (host[len - 1] != ']')
      return false;
    if (!ph_addr_parse (host, port, &addr) || addr.family != PH_FAMILY_IPV6 || addr.scope != 0)
      return false;
    g_snprintf (host, HOST_LEN_MAX + 1, "[%s]", ph_addr_format_ip (&addr, text));
  } else if (g_ascii_isdigit (host[len - 1])) {
    if (!ph_addr_parse (host, port, &addr) || addr.family != PH_FAMILY_IPV4)
      return false;
  } else if (is_dns_name (host)) {
    for (char *c = host; *c != '\0'; c++)
      *c = g_ascii_tolower (*c);
  } else {
    return false;
  }
  *ret_port = port;
  return true;
}

PhRendezvousAddressError
ph_rendezvous_address_parse (const char *text, PhRendezvousAddress *ret_address)
{
  PhRendezvousAddress address = {0};
  char host[HOST_LEN_MAX + 1];
  uint16_t port;

  if (strlen (text) > 2 * PH_RENDEZVOUS_ADDRESS_STRING_MAX)
    return PH_RENDEZVOUS_ADDRESS_BAD_HOST;

  g_autofree char *copy = g_strstrip (g_strdup (text));
  const char *p = copy;

  if (take_prefix (&p, "wss://"))
    address.tls = true;
  else if (!take_prefix (&p, "ws://"))
    return PH_RENDEZVOUS_ADDRESS_BAD_SCHEME;

  const size_t authority_len = strcspn (p, "/#?@");
  g_autofree char *authority = g_strndup (p, authority_len);

  p += authority_len;
  if (*p == '/')
    p++;
  if (*p == '#') {
    if (!address.tls || !take_prefix (&p, "#pin=")
        || !ph_base64_decode_exact (p, address.pin, sizeof address.pin))
      return PH_RENDEZVOUS_ADDRESS_BAD_PIN;
    address.has_pin = true;
  } else if (*p != '\0') {
    return PH_RENDEZVOUS_ADDRESS_BAD_PATH;
  }
  if (!parse_authority (authority, address.tls ? 443 : 80, host, &port))
    return PH_RENDEZVOUS_ADDRESS_BAD_HOST;

  const char *scheme = address.tls ? "wss" : "ws";

  g_snprintf (address.origin, sizeof address.origin, "%s://%s:%u", scheme, host, port);
  if (port == (address.tls ? 443 : 80))
    g_snprintf (address.url, sizeof address.url, "%s://%s/", scheme, host);
  else
    g_snprintf (address.url, sizeof address.url, "%s/", address.origin);
  *ret_address = address;
  return PH_RENDEZVOUS_ADDRESS_OK;
}

const char *
ph_rendezvous_address_format (const PhRendezvousAddress *address,
                              char out[PH_RENDEZVOUS_ADDRESS_STRING_MAX])
{
  char pin[PH_BASE64_CHARS (PH_RENDEZVOUS_PIN_LEN) + 1];

  if (!address->has_pin) {
    g_strlcpy (out, address->url, PH_RENDEZVOUS_ADDRESS_STRING_MAX);
    return out;
  }
  ph_base64_encode (ph_slice (address->pin, sizeof address->pin), pin);
  g_snprintf (out, PH_RENDEZVOUS_ADDRESS_STRING_MAX, "%s#pin=%s", address->url, pin);
  return out;
}

bool
ph_rendezvous_address_equal (const PhRendezvousAddress *a, const PhRendezvousAddress *b)
{
  return g_str_equal (a->url, b->url) && a->has_pin == b->has_pin
         && memcmp (a->pin, b->pin, sizeof a->pin) == 0;
}
