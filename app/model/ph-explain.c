/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was tried to reach somebody, from the engine's JSON object to words. */

#include "app/engine/ph-safe-name.h"
#include "app/model/ph-transfer-words.h"

#include <glib/gi18n.h>
#include <json-glib/json-glib.h>

/* Addresses come from the other side too, and a page of more than this helps nobody. */
#define ROWS_MAX 200

static const char *
text (JsonObject *object, const char *member)
{
  JsonNode *node = json_object_get_member (object, member);

  return node != NULL && JSON_NODE_HOLDS_VALUE (node)
                 && json_node_get_value_type (node) == G_TYPE_STRING
             ? json_node_get_string (node)
             : "";
}

static char *
shown_text (JsonObject *object, const char *member)
{
  return ph_display_name (text (object, member));
}

typedef void (*Row) (JsonObject *object, GListStore *details);

static void
each (JsonObject *root, const char *member, Row row, GListStore *details)
{
  JsonNode *node = json_object_get_member (root, member);
  JsonArray *array;
  guint n;

  if (node == NULL || !JSON_NODE_HOLDS_ARRAY (node))
    return;
  array = json_node_get_array (node);
  n = json_array_get_length (array);
  for (guint i = 0; i < MIN (n, ROWS_MAX); i++) {
    JsonNode *element = json_array_get_element (array, i);

    if (JSON_NODE_HOLDS_OBJECT (element))
      row (json_node_get_object (element), details);
  }
}

static const char *
kind_title (const char *kind)
{
  if (g_strcmp0 (kind, "host") == 0)
    return _ ("Own address");
  if (g_strcmp0 (kind, "srflx") == 0)
    return _ ("Router’s address, as a server sees it");
  if (g_strcmp0 (kind, "prflx") == 0)
    return _ ("Router’s address, as the other side sees it");
  if (g_strcmp0 (kind, "mapped") == 0)
    return _ ("Port that the router has opened");
  if (g_strcmp0 (kind, "relay") == 0)
    return _ ("Relay");
  return _ ("Address");
}

static void
address_row (JsonObject *object, GListStore *details)
{
  const bool ours = g_strcmp0 (text (object, "side"), "local") == 0;
  g_autofree char *address = shown_text (object, "address");
  g_autofree char *transport = g_ascii_strup (text (object, "transport"), -1);
  g_autofree char *title = g_strdup_printf (
      /* Translators: %s is a kind of network address. */
      ours ? _ ("This computer: %s") : _ ("The other one: %s"), kind_title (text (object, "kind")));
  g_autofree char *safe_transport = ph_display_name (transport);

  ph_detail_add_take (details, title, g_strdup_printf ("%s %s", address, safe_transport));
}

static const char *
state_words (const char *state)
{
  if (g_strcmp0 (state, "valid") == 0)
    return C_ ("attempt to connect", "Works");
  if (g_strcmp0 (state, "in-progress") == 0)
    return C_ ("attempt to connect", "Being tried");
  if (g_strcmp0 (state, "waiting") == 0 || g_strcmp0 (state, "frozen") == 0)
    return C_ ("attempt to connect", "Not tried yet");
  return NULL;
}

/* Why it failed, the last time that it was tried; NULL: nothing that has a sentence. */
static const char *
why_words (const char *why)
{
  if (g_strcmp0 (why, "no answer") == 0)
    return C_ ("attempt to connect", "No answer");
  if (g_strcmp0 (why, "answered with an error") == 0)
    return C_ ("attempt to connect", "Answered with an error");
  if (g_strcmp0 (why, "answered from another address") == 0)
    return C_ ("attempt to connect", "Answered from another address");
  if (g_strcmp0 (why, "went silent") == 0)
    return C_ ("attempt to connect", "Went silent");
  if (g_strcmp0 (why, "better pairs are kept") == 0)
    return C_ ("attempt to connect", "A better one is kept");
  if (g_strcmp0 (why, "our address is gone") == 0)
    return C_ ("attempt to connect", "The address is gone");
  if (g_strcmp0 (why, "no connection") == 0)
    return C_ ("attempt to connect", "No connection");
  if (g_strcmp0 (why, "connection closed") == 0)
    return C_ ("attempt to connect", "Connection closed");
  return NULL;
}

/* "In use", "Works", "Being tried · No answer", "No connection". Newly allocated. */
static char *
attempt_words (JsonObject *object)
{
  const char *state = text (object, "state");
  const char *why = why_words (text (object, "why"));
  const char *words = state_words (state);

  if (json_object_get_boolean_member_with_default (object, "selected", FALSE))
    return g_strdup (C_ ("attempt to connect", "In use"));
  if (g_strcmp0 (state, "failed") == 0)
    return g_strdup (why != NULL ? why : C_ ("attempt to connect", "No answer"));
  if (words == NULL)
    return shown_text (object, "state");
  return why != NULL ? g_strdup_printf ("%s · %s", words, why) : g_strdup (words);
}

static void
attempt_row (JsonObject *object, GListStore *details)
{
  g_autofree char *local = shown_text (object, "local");
  g_autofree char *remote = shown_text (object, "remote");
  g_autofree char *words = attempt_words (object);
  /* Translators: an attempt to connect, from one network address to another. */
  g_autofree char *title = g_strdup_printf (_ ("%s to %s"), local, remote);
  JsonNode *rtt = json_object_get_member (object, "rtt_ms");
  GString *value = g_string_new (words);

  if (rtt != NULL && JSON_NODE_HOLDS_VALUE (rtt) && json_node_get_double (rtt) > 0) {
    g_string_append (value, " · ");
    /* Translators: milliseconds */
    g_string_append_printf (value, _ ("%u ms"), (unsigned)json_node_get_double (rtt));
  }
  ph_detail_add_take (details, title, g_string_free_and_steal (value));
}

static void
log_row (JsonObject *object, GListStore *details)
{
  const gint64 at_ms = json_object_get_int_member_with_default (object, "at_ms", 0);
  /* Translators: seconds before the present, in a log */
  g_autofree char *title = g_strdup_printf (_ ("%.1f s ago"), (double)at_ms / 1000);

  ph_detail_add_take (details, title, shown_text (object, "line"));
}

void
ph_explain_read (const char *json, GListStore *addresses, GListStore *attempts, GListStore *log)
{
  g_autoptr (GListStore) fresh_addresses = g_list_store_new (PH_TYPE_DETAIL);
  g_autoptr (GListStore) fresh_attempts = g_list_store_new (PH_TYPE_DETAIL);
  g_autoptr (GListStore) fresh_log = g_list_store_new (PH_TYPE_DETAIL);
  g_autoptr (JsonNode) root = json != NULL ? json_from_string (json, NULL) : NULL;

  if (root != NULL && JSON_NODE_HOLDS_OBJECT (root)) {
    JsonObject *object = json_node_get_object (root);

    each (object, "candidates", address_row, fresh_addresses);
    each (object, "pairs", attempt_row, fresh_attempts);
    each (object, "log", log_row, fresh_log);
  }
  ph_details_replace (addresses, fresh_addresses);
  ph_details_replace (attempts, fresh_attempts);
  ph_details_replace (log, fresh_log);
}
