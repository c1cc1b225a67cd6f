/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-network-words.h"

#include "app/model/ph-format.h"

#include <glib/gi18n.h>
#include <json-glib/json-glib.h>

/* Kinds of NAT as the report names them; what they are called, and what they mean. */
static const struct {
  const char *type;
  PhReach reach;
  const char *name;
  const char *meaning;
} kinds[] = {
    {"open", PH_REACH_EVERYBODY, N_ ("None: this computer has a public address"),
     N_ ("No router and no firewall stands between this computer and the internet.")},
    {"firewalled", PH_REACH_MOST, N_ ("No translation, but a firewall"),
     N_ ("This computer has a public address. A firewall lets answers in, so direct connections "
         "are opened from inside.")},
    {"full-cone", PH_REACH_EVERYBODY, N_ ("Open to everybody (full cone)"),
     N_ ("Your router lets everybody in through a port that Porthole has opened.")},
    {"address-restricted", PH_REACH_MOST, N_ ("Open to known addresses (address-restricted)"),
     N_ ("Your router lets in whom this computer has spoken to. Porthole opens the way from both "
         "sides.")},
    {"port-restricted", PH_REACH_MOST, N_ ("Open to exact answers (port-restricted)"),
     N_ ("Your router lets in exact answers only. Porthole opens the way from both sides; that "
         "works with all but the strictest networks.")},
    {"symmetric", PH_REACH_SOME, N_ ("A new port for everybody (symmetric)"),
     N_ ("Your router uses a new port for everybody, which is hard to foresee. Direct connections "
         "need an easier network on the other side; else files take a relay.")},
    {"udp-blocked", PH_REACH_HARD, N_ ("UDP does not get through"),
     N_ ("UDP does not get out of this network. TCP or a relay may still help.")},
};

static const char *
not_known (void)
{
  return C_ ("a fact about the network", "Not known");
}

static int
find_kind (PhNetworkItem *network)
{
  const char *type = ph_network_item_text (network, "type");

  for (size_t i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (g_strcmp0 (type, kinds[i].type) == 0)
      return (int)i;
  return -1;
}

static bool
is_yes (PhNetworkItem *network, const char *name)
{
  return g_strcmp0 (ph_network_item_text (network, name), "true") == 0;
}

static bool
is_no (PhNetworkItem *network, const char *name)
{
  return g_strcmp0 (ph_network_item_text (network, name), "false") == 0;
}

/* "true", or the name of the protocol that serves. */
static bool
has_mapping (PhNetworkItem *network)
{
  const char *text = ph_network_item_text (network, "portmap");

  return text != NULL && *text != '\0' && g_strcmp0 (text, "false") != 0
         && g_strcmp0 (text, "none") != 0 && g_strcmp0 (text, "unknown") != 0;
}

/* A mapped port is one that everybody can come in by, whatever the router does otherwise: where that was
 * seen from outside. */
static bool
has_open_mapping (PhNetworkItem *network)
{
  const int kind = find_kind (network);
  const bool udp = kind < 0 || kinds[kind].reach != PH_REACH_HARD;

  return has_mapping (network)
         && ((udp && is_yes (network, "portmap_open")) || is_yes (network, "portmap_tcp_open"));
}

PhReach
ph_network_reach (PhNetworkItem *network)
{
  const int kind = find_kind (network);

  if (has_open_mapping (network))
    return PH_REACH_EVERYBODY;
  return kind >= 0 ? kinds[kind].reach : PH_REACH_UNKNOWN;
}

const char *
ph_reach_headline (PhReach reach)
{
  switch (reach) {
  case PH_REACH_EVERYBODY:
    return _ ("Everybody can reach you directly");
  case PH_REACH_MOST:
    return _ ("Most people can reach you directly");
  case PH_REACH_SOME:
    return _ ("Some people can reach you directly");
  case PH_REACH_HARD:
    return _ ("Hardly anybody can reach you directly");
  case PH_REACH_UNKNOWN:
  default:
    return _ ("It is not known yet who can reach you");
  }
}

const char *
ph_reach_icon (PhReach reach)
{
  switch (reach) {
  case PH_REACH_EVERYBODY:
    return "ph-reach-everybody-symbolic";
  case PH_REACH_MOST:
    return "ph-reach-most-symbolic";
  case PH_REACH_SOME:
    return "ph-reach-some-symbolic";
  case PH_REACH_HARD:
    return "ph-reach-hard-symbolic";
  case PH_REACH_UNKNOWN:
  default:
    return "ph-reach-unknown-symbolic";
  }
}

const char *
ph_reach_style (PhReach reach)
{
  switch (reach) {
  case PH_REACH_EVERYBODY:
  case PH_REACH_MOST:
    return "success";
  case PH_REACH_SOME:
    return "warning";
  case PH_REACH_HARD:
    return "error";
  case PH_REACH_UNKNOWN:
  default:
    return "dimmed";
  }
}

const char *
ph_network_meaning (PhNetworkItem *network)
{
  const int kind = find_kind (network);

  if (kind < 0)
    return _ ("No server that tells this has answered yet. Connecting is tried all the same.");
  if (has_open_mapping (network))
    return _ ("Your router has opened a port for Porthole, so that others find their way in.");
  return _ (kinds[kind].meaning);
}

/* --- Details of the network ---------------------------------------------------------------------- */

static const char *
answer (PhNetworkItem *network, const char *name, const char *yes, const char *no)
{
  const char *text = ph_network_item_text (network, name);

  if (g_strcmp0 (text, "true") == 0)
    return yes;
  return g_strcmp0 (text, "false") == 0 ? no : not_known ();
}

/* Addresses of one family, without their ports: those belong to one socket and mean nothing here. */
static char *
public_addresses (PhNetworkItem *network, bool ipv6)
{
  g_autoptr (JsonNode) root = json_from_string (ph_network_item_text (network, "public"), NULL);
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_free);
  JsonArray *array;

  if (root == NULL || !JSON_NODE_HOLDS_ARRAY (root))
    return g_strdup ("");
  array = json_node_get_array (root);
  for (guint i = 0; i < json_array_get_length (array); i++) {
    JsonNode *node = json_array_get_element (array, i);
    const char *text = JSON_NODE_HOLDS_VALUE (node) ? json_node_get_string (node) : NULL;
    g_autoptr (GSocketConnectable) address =
        text != NULL ? g_network_address_parse (text, 0, NULL) : NULL;
    const char *host;

    if (address == NULL)
      continue;
    host = g_network_address_get_hostname (G_NETWORK_ADDRESS (address));
    if (g_hostname_is_ip_address (host) && (strchr (host, ':') != NULL) == ipv6
        && !g_ptr_array_find_with_equal_func (found, host, g_str_equal, NULL))
      g_ptr_array_add (found, g_strdup (host));
  }
  g_ptr_array_add (found, NULL);
  return g_strjoinv ("\n", (char **)found->pdata);
}

static char *
router_words (PhNetworkItem *network)
{
  const int kind = find_kind (network);

  return g_strdup (kind >= 0 ? _ (kinds[kind].name) : not_known ());
}

static const char *
udp_words (PhNetworkItem *network)
{
  const int kind = find_kind (network);

  if (kind < 0)
    return not_known ();
  return kinds[kind].reach == PH_REACH_HARD ? _ ("Blocked") : C_ ("UDP or TCP", "Works");
}

static const char *
tcp_words (PhNetworkItem *network)
{
  const char *mapping = ph_network_item_text (network, "tcp_mapping");
  const char *filtering = ph_network_item_text (network, "tcp_filtering");

  if (g_strcmp0 (filtering, "endpoint-independent") == 0
      || (has_mapping (network) && is_yes (network, "portmap_tcp_open")))
    return _ ("Works, and everybody is let in");
  if (is_no (network, "nat") && filtering != NULL && g_strcmp0 (filtering, "unknown") != 0)
    return _ ("Works; a firewall lets only answers in");
  if (g_strcmp0 (mapping, "endpoint-independent") == 0)
    return _ ("Direct connections work with most networks");
  if (g_strcmp0 (mapping, "address-dependent") == 0
      || g_strcmp0 (mapping, "address-and-port-dependent") == 0)
    return _ ("Direct connections need an easier network on the other side");
  return not_known ();
}

static char *
mapping_words (PhNetworkItem *network)
{
  const char *text = ph_network_item_text (network, "portmap");

  if (has_mapping (network) && !has_open_mapping (network))
    return g_strdup (is_no (network, "portmap_open") || is_no (network, "portmap_tcp_open")
                         ? _ ("Your router says that it opens a port, but nothing comes through")
                         : not_known ());
  if (g_strcmp0 (text, "true") == 0)
    return g_strdup (_ ("Your router opens a port when asked"));
  if (g_strcmp0 (text, "pcp") == 0)
    text = "PCP";
  else if (g_strcmp0 (text, "nat-pmp") == 0)
    text = "NAT-PMP";
  else if (g_strcmp0 (text, "upnp") == 0 || g_strcmp0 (text, "upnp-igd") == 0)
    text = "UPnP";
  else if (has_mapping (network))
    return g_strdup (_ ("Your router opens a port when asked"));
  else if (g_strcmp0 (text, "false") == 0 || g_strcmp0 (text, "none") == 0)
    return g_strdup (_ ("Your router does not offer it"));
  else
    return g_strdup (not_known ());
  /* Translators: %s is a protocol, such as UPnP. */
  return g_strdup_printf (_ ("Your router opens a port when asked (%s)"), text);
}

/* Of a slow test that somebody has to ask for. */
static char *
lifetime_words (PhNetworkItem *network)
{
  guint64 least_s;

  if (!g_ascii_string_to_unsigned (ph_network_item_text (network, "mapping_lifetime_s"), 10, 1,
                                   G_MAXUINT32, &least_s, NULL))
    return g_strdup (not_known ());
  /* Translators: seconds for which the router keeps a port open that nothing uses. */
  return g_strdup_printf (_ ("Stay open for %u s at least"), (unsigned)least_s);
}

static char *
ipv6_words (PhNetworkItem *network)
{
  const char *filtering = ph_network_item_text (network, "ipv6_filtering");
  const char *out = ph_network_item_text (network, "ipv6_reaches_out");

  if (g_strcmp0 (out, "false") == 0)
    return g_strdup (_ ("Does not reach the internet"));
  if (g_strcmp0 (out, "true") != 0)
    return g_strdup (not_known ());
  if (g_strcmp0 (filtering, "endpoint-independent") == 0)
    return g_strdup (_ ("Works, and everybody is let in"));
  if (g_strcmp0 (filtering, "address-dependent") == 0
      || g_strcmp0 (filtering, "address-and-port-dependent") == 0)
    return g_strdup (_ ("Works; a firewall lets only answers in"));
  return g_strdup (_ ("Works"));
}

GListStore *
ph_network_details (PhNetworkItem *network)
{
  GListStore *details = g_list_store_new (PH_TYPE_DETAIL);
  g_autofree char *public4 = public_addresses (network, false);
  g_autofree char *public6 = public_addresses (network, true);
  const bool known = find_kind (network) >= 0;

  ph_detail_add_take (details, _ ("Router"), router_words (network));
  ph_detail_add (details, _ ("Public IPv4 address"), *public4 != '\0' ? public4 : not_known ());
  if (*public6 != '\0')
    ph_detail_add (details, _ ("Public IPv6 address"), public6);
  else
    ph_detail_add (details, _ ("Public IPv6 address"),
                   known && !is_yes (network, "ipv6") ? C_ ("IPv6 address", "None on this network")
                                                      : not_known ());
  if (*public6 != '\0')
    ph_detail_add_take (details, "IPv6", ipv6_words (network));
  if (*ph_network_item_text (network, "nat64") != '\0')
    ph_detail_add (details, "IPv4", _ ("Works, by way of this network’s translator (NAT64)"));
  ph_detail_add (details, "UDP", udp_words (network));
  ph_detail_add (details, "TCP", tcp_words (network));
  ph_detail_add_take (details, _ ("Port mapping"), mapping_words (network));
  ph_detail_add (details, _ ("Port numbers"),
                 answer (network, "port_preserving", _ ("Your router keeps them"),
                         _ ("Your router changes them")));
  ph_detail_add_take (details, _ ("Ports that nothing uses"), lifetime_words (network));
  ph_detail_add (details, _ ("Others behind your router"),
                 answer (network, "hairpin", _ ("Can use your public address"),
                         _ ("Cannot use your public address; the local one is used")));
  return details;
}

/* --- Servers ------------------------------------------------------------------------------------- */

static const char *
status_words (PhStatus status)
{
  switch (status) {
  case PH_STATUS_ONLINE:
    return C_ ("meeting point", "Connected");
  case PH_STATUS_CONNECTING:
    return C_ ("meeting point", "Connecting…");
  case PH_STATUS_OFFLINE:
    return C_ ("meeting point", "Does not answer");
  case PH_STATUS_REPLACED:
    return C_ ("meeting point", "Used by another Porthole with this identity");
  case PH_STATUS_NOT_CONFIGURED:
  default:
    return C_ ("meeting point", "None is set");
  }
}

/* Without the pin of its key: that is for programs. */
static char *
short_address (const char *address)
{
  const char *pin = strchr (address, '#');

  return pin != NULL ? g_strndup (address, (size_t)(pin - address)) : g_strdup (address);
}

static void
add_round_trip (GListStore *details, PhNetworkItem *network, const char *title, const char *name)
{
  const char *text = ph_network_item_text (network, name);
  guint64 ms;

  if (text != NULL && g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT32, &ms, NULL))
    /* Translators: milliseconds of a round trip. */
    ph_detail_add_take (details, title, g_strdup_printf (_ ("%u ms"), (unsigned)ms));
  else
    ph_detail_add (details, title, not_known ());
}

GListStore *
ph_network_servers (PhClient *client)
{
  GListStore *details = g_list_store_new (PH_TYPE_DETAIL);
  PhNetworkItem *network = ph_client_get_network (client);
  const PhStatus status = ph_client_get_status (client);
  const char *address = ph_client_get_setting (client, "rendezvous");

  ph_detail_add (details, _ ("Meeting point"), status_words (status));
  if (*address != '\0')
    ph_detail_add_take (details, _ ("Its address"), short_address (address));
  if (status != PH_STATUS_NOT_CONFIGURED)
    add_round_trip (details, network, _ ("Round trip to the meeting point"), "rendezvous_rtt_ms");
  add_round_trip (details, network, _ ("Round trip to the STUN server"), "stun_rtt_ms");
  ph_detail_add (details, _ ("Relay"),
                 answer (network, "relay", _ ("Ready for where no direct path can be had"),
                         _ ("None: without a direct path, files wait")));
  if (is_yes (network, "relay"))
    add_round_trip (details, network, _ ("Round trip to the relay"), "relay_rtt_ms");
  return details;
}

/* --- Report -------------------------------------------------------------------------------------- */

char *
ph_network_checked (PhNetworkItem *network, int64_t now)
{
  guint64 checked_at;
  gboolean checking;
  g_autofree char *moment = NULL;

  g_object_get (network, "checking", &checking, NULL);
  if (checking)
    return g_strdup (C_ ("network", "Checking…"));
  if (!g_ascii_string_to_unsigned (ph_network_item_text (network, "checked_at"), 10, 1, G_MAXINT64,
                                   &checked_at, NULL))
    return g_strdup (C_ ("network", "Not checked yet"));
  moment = ph_format_moment ((int64_t)checked_at, now);
  /* Translators: %s is a moment, such as "14:03" or "Yesterday, 14:03". */
  return g_strdup_printf (_ ("Last checked: %s"), moment);
}

char *
ph_network_report_text (PhClient *client, int64_t now)
{
  PhNetworkItem *network = ph_client_get_network (client);
  g_autoptr (GListStore) details = ph_network_details (network);
  g_autoptr (GListStore) servers = ph_network_servers (client);
  g_autofree char *checked = ph_network_checked (network, now);
  GString *out = g_string_new (NULL);
  g_autofree char *raw = NULL;

  g_string_append_printf (out, "%s\n%s\n%s\n", ph_reach_headline (ph_network_reach (network)),
                          ph_network_meaning (network), checked);
  ph_details_write (G_LIST_MODEL (details), _ ("This Network"), out);
  ph_details_write (G_LIST_MODEL (servers), _ ("Servers"), out);
  g_object_get (network, "report", &raw, NULL);
  if (raw != NULL && *raw != '\0')
    g_string_append_printf (out, "\n%s\n", raw);
  return g_string_free_and_steal (out);
}
