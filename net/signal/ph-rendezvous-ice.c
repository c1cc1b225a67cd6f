/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-rendezvous-ice.h"

#include "net/base/ph-addr.h"

#include <string.h>

#define PORT_PLAIN 3478
#define PORT_TLS 5349

static bool
host_is_sane (const char *host)
{
  if (host[0] == '\0' || host[0] == ':')
    return false;
  for (const char *c = host; *c != '\0'; c++)
    if (!g_ascii_isalnum (*c) && strchr (".-:[]", *c) == NULL)
      return false;
  return true;
}

/* Adds the default port where there is none. */
static bool
parse_host_port (const char *text, uint16_t port_default, char *out, size_t cap)
{
  const char *bracket = strrchr (text, ']');
  const char *colon = strrchr (bracket != NULL ? bracket : text, ':');
  guint64 port = port_default;

  if (!host_is_sane (text) || (bracket == NULL && strchr (text, ':') != colon))
    return false;
  if (colon != NULL && !g_ascii_string_to_unsigned (colon + 1, 10, 1, 65535, &port, NULL))
    return false;

  const size_t host_len = colon != NULL ? (size_t)(colon - text) : strlen (text);
  const int len = g_snprintf (out, cap, "%.*s:%u", (int)host_len, text, (unsigned)port);

  if (len < 0 || (size_t)len >= cap)
    return false;
  PhAddr addr;

  return bracket == NULL || ph_addr_parse (out, 0, &addr);
}

bool
ph_ice_server_parse (const char *uri, PhIceServer *ret_server)
{
  PhIceServer server = {0};
  const char *colon = strchr (uri, ':');

  if (colon == NULL || strlen (uri) > sizeof server.host_port)
    return false;

  g_autofree char *scheme = g_ascii_strdown (uri, colon - uri);
  g_autofree char *rest = g_ascii_strdown (colon + 1, -1);
  char *query = strchr (rest, '?');
  const char *transport = "";

  if (query != NULL) {
    *query = '\0';
    if (!g_str_has_prefix (query + 1, "transport="))
      return false;
    transport = query + 1 + strlen ("transport=");
  }

  if (g_str_equal (scheme, "stun") && query == NULL)
    server.kind = PH_ICE_SERVER_STUN;
  else if (g_str_equal (scheme, "turn") && (query == NULL || g_str_equal (transport, "udp")))
    server.kind = PH_ICE_SERVER_TURN_UDP;
  else if (g_str_equal (scheme, "turn") && g_str_equal (transport, "tcp"))
    server.kind = PH_ICE_SERVER_TURN_TCP;
  else if (g_str_equal (scheme, "turns") && (query == NULL || g_str_equal (transport, "tcp")))
    server.kind = PH_ICE_SERVER_TURNS_TCP;
  else
    return false;

  if (!parse_host_port (rest, server.kind == PH_ICE_SERVER_TURNS_TCP ? PORT_TLS : PORT_PLAIN,
                        server.host_port, sizeof server.host_port))
    return false;
  *ret_server = server;
  return true;
}

/* Percent-encoded text from `text` to `end` into `out`. */
static bool
decode (const char *text, const char *end, char *out, size_t cap)
{
  g_autofree char *plain = g_uri_unescape_segment (text, end, NULL);

  return plain != NULL && *plain != '\0' && g_utf8_validate (plain, -1, NULL)
         && g_strlcpy (out, plain, cap) < cap;
}

bool
ph_ice_server_parse_own (const char *text, PhIceServer *ret_server)
{
  const char *scheme_end = strchr (text, ':');
  const char *name = scheme_end != NULL ? scheme_end + 1 : NULL;
  const char *name_end = name != NULL ? strchr (name, ':') : NULL;
  const char *at = name_end != NULL ? strchr (name_end, '@') : NULL;
  PhIceServer server;

  if (at == NULL)
    return false;

  g_autofree char *uri = g_strdup_printf ("%.*s%s", (int)(name - text), text, at + 1);

  if (!ph_ice_server_parse (uri, &server) || server.kind == PH_ICE_SERVER_STUN
      || !decode (name, name_end, server.username, sizeof server.username)
      || !decode (name_end + 1, at, server.password, sizeof server.password))
    return false;
  *ret_server = server;
  return true;
}

bool
ph_ice_servers_equal (const PhIceServers *a, const PhIceServers *b)
{
  if (a->n != b->n)
    return false;
  for (unsigned i = 0; i < a->n; i++) {
    const PhIceServer *x = &a->servers[i];
    const PhIceServer *y = &b->servers[i];

    if (x->kind != y->kind || !g_str_equal (x->host_port, y->host_port)
        || !g_str_equal (x->username, y->username) || !g_str_equal (x->password, y->password))
      return false;
  }
  return true;
}
