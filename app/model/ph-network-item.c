/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-network-item.h"

#include <json-glib/json-glib.h>
#include <string.h>

struct _PhNetworkItem {
  GObject parent_instance;

  GHashTable *texts; /* name in the report -> text */
  char *report;
  int64_t checked_at;
  bool checking;
};

/* Properties from PROP_TEXTS on are values of the report. */
static const char *const names[] = {"type",    "mapping",         "filtering", "public",
                                    "hairpin", "port_preserving", "port_step", "tcp_mapping",
                                    "ipv6",    "portmap",         "relay"};

enum { PROP_0, PROP_REPORT, PROP_CHECKED_AT, PROP_CHECKING, PROP_TEXTS };

#define N_PROPS (PROP_TEXTS + G_N_ELEMENTS (names))

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhNetworkItem, ph_network_item, G_TYPE_OBJECT)

static void
ph_network_item_finalize (GObject *object)
{
  PhNetworkItem *self = PH_NETWORK_ITEM (object);

  g_hash_table_unref (self->texts);
  g_free (self->report);
  G_OBJECT_CLASS (ph_network_item_parent_class)->finalize (object);
}

static void
ph_network_item_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhNetworkItem *self = PH_NETWORK_ITEM (object);

  if (id == PROP_REPORT)
    g_value_set_string (value, self->report);
  else if (id == PROP_CHECKED_AT)
    g_value_set_int64 (value, self->checked_at);
  else if (id == PROP_CHECKING)
    g_value_set_boolean (value, self->checking);
  else if (id >= PROP_TEXTS && id < N_PROPS)
    g_value_set_string (value, ph_network_item_text (self, names[id - PROP_TEXTS]));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
ph_network_item_class_init (PhNetworkItemClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = ph_network_item_finalize;
  object_class->get_property = ph_network_item_get_property;

  properties[PROP_REPORT] = g_param_spec_string ("report", NULL, NULL, NULL, flags);
  properties[PROP_CHECKED_AT] =
      g_param_spec_int64 ("checked-at", NULL, NULL, 0, G_MAXINT64, 0, flags);
  properties[PROP_CHECKING] = g_param_spec_boolean ("checking", NULL, NULL, FALSE, flags);
  for (size_t i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *name = g_strdelimit (g_strdup (names[i]), "_", '-');

    properties[PROP_TEXTS + i] =
        g_param_spec_string (g_intern_string (name), NULL, NULL, "", flags);
  }
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ph_network_item_init (PhNetworkItem *self)
{
  self->texts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->report = g_strdup ("");
}

PhNetworkItem *
ph_network_item_new (void)
{
  return g_object_new (PH_TYPE_NETWORK_ITEM, NULL);
}

static char *
node_text (JsonNode *node)
{
  if (node == NULL || JSON_NODE_HOLDS_NULL (node))
    return g_strdup ("");
  if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING)
    return json_node_dup_string (node);
  return json_to_string (node, FALSE);
}

bool
ph_network_item_show (PhNetworkItem *self, const char *json, int64_t now)
{
  g_autoptr (JsonNode) root = json_from_string (json, NULL);
  JsonObjectIter iter;
  const char *name;
  JsonNode *node;

  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return false;
  g_hash_table_remove_all (self->texts);
  json_object_iter_init (&iter, json_node_get_object (root));
  while (json_object_iter_next (&iter, &name, &node))
    g_hash_table_replace (self->texts, g_strdup (name), node_text (node));
  g_set_str (&self->report, json);
  self->checked_at = now;
  g_object_freeze_notify (G_OBJECT (self));
  for (guint id = PROP_0 + 1; id < N_PROPS; id++) {
    if (id != PROP_CHECKING)
      g_object_notify_by_pspec (G_OBJECT (self), properties[id]);
  }
  g_object_thaw_notify (G_OBJECT (self));
  return true;
}

void
ph_network_item_set_checking (PhNetworkItem *self, bool checking)
{
  if (self->checking == checking)
    return;
  self->checking = checking;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CHECKING]);
}

const char *
ph_network_item_text (PhNetworkItem *self, const char *name)
{
  const char *text = g_hash_table_lookup (self->texts, name);

  /* The engine's own word for what it cannot tell. */
  return text == NULL || strcmp (text, "unknown") == 0 ? "" : text;
}
