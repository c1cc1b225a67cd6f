/* SPDX-License-Identifier: GPL-3.0-or-later */
/* id, config, nat: this device, its settings, its network. */

#include "app/cli/ph-commands.h"
#include "app/cli/ph-words.h"
#include "app/engine/ph-safe-name.h"

#include <glib/gi18n.h>

/* STUN's retransmissions end well before. */
#define NAT_TIMEOUT_MS 15000

PhExit
ph_cmd_id (PhCli *cli, int argc, char **argv)
{
  g_auto (GStrv) args = NULL;
  JsonBuilder *object;
  PhExit status;

  if (!ph_commands_parse (cli, argc, argv, NULL, 0, 0, &args))
    return PH_EXIT_USAGE;
  status = ph_cli_open (cli);
  if (status != PH_EXIT_DONE)
    return status;
  object = ph_output_begin ("id");
  if (object == NULL) {
    ph_output_line ("%s", ph_engine_device_id (cli->engine));
    return PH_EXIT_DONE;
  }
  ph_output_string (object, "id", ph_engine_device_id (cli->engine));
  ph_output_end (object);
  return PH_EXIT_DONE;
}

/* --- config -------------------------------------------------------------------------------------- */

static PhExit
check_key (const char *key)
{
  const char *const *keys = ph_engine_setting_keys ();
  g_autofree char *shown = ph_display_name (key);
  g_autofree char *near = NULL;
  g_autofree char *all = NULL;

  if (g_strv_contains (keys, key))
    return PH_EXIT_DONE;
  near = ph_words_nearest (key, keys);
  if (near != NULL)
    return ph_output_fail (PH_EXIT_USAGE, "unknown-setting",
                           _ ("There is no setting “%s”. Did you mean %s?"), shown, near);
  all = g_strjoinv (", ", (char **)keys);
  return ph_output_fail (PH_EXIT_USAGE, "unknown-setting",
                         _ ("There is no setting “%s”. The settings are: %s"), shown, all);
}

static PhExit
config_show (PhCli *cli, const char *key, bool with_key)
{
  PhExit status = ph_cli_wait (cli, ph_engine_get_setting (cli->engine, key));
  g_autofree char *shown = NULL;
  JsonBuilder *object;

  if (status != PH_EXIT_DONE)
    return status;
  object = ph_output_begin ("config");
  if (object != NULL) {
    ph_output_string (object, "key", key);
    ph_output_string (object, "value", cli->text);
    ph_output_end (object);
    return PH_EXIT_DONE;
  }
  shown = ph_words_message (cli->text);
  if (with_key)
    ph_output_line ("%s = %s", key, shown);
  else
    ph_output_line ("%s", shown);
  return PH_EXIT_DONE;
}

static PhExit
config_show_all (PhCli *cli)
{
  const char *const *keys = ph_engine_setting_keys ();
  PhExit status = PH_EXIT_DONE;

  for (size_t i = 0; keys[i] != NULL && status == PH_EXIT_DONE; i++)
    status = config_show (cli, keys[i], true);
  return status;
}

static PhExit
config_set (PhCli *cli, const char *key, const char *value)
{
  g_autofree char *absolute = NULL;

  /* A setting outlives the working folder. */
  if (strcmp (key, "download-dir") == 0 && value[0] != '\0')
    absolute = g_canonicalize_filename (value, NULL);
  return ph_cli_wait (
      cli, ph_engine_set_setting (cli->engine, key, absolute != NULL ? absolute : value));
}

PhExit
ph_cmd_config (PhCli *cli, int argc, char **argv)
{
  g_auto (GStrv) args = NULL;
  bool get, set;
  PhExit status;
  guint n;

  if (!ph_commands_parse (cli, argc, argv, NULL, 0, 3, &args))
    return PH_EXIT_USAGE;
  n = g_strv_length (args);
  get = n == 2 && strcmp (args[0], "get") == 0;
  set = n == 3 && strcmp (args[0], "set") == 0;
  if (n > 0 && !get && !set)
    return ph_output_fail (PH_EXIT_USAGE, "usage",
                           _ ("Usage: porthole-cli config [get KEY | set KEY VALUE]"));
  status = n > 0 ? check_key (args[1]) : PH_EXIT_DONE;
  if (status == PH_EXIT_DONE)
    status = ph_cli_open (cli);
  if (status != PH_EXIT_DONE)
    return status;
  if (set)
    return config_set (cli, args[1], args[2]);
  return get ? config_show (cli, args[1], false) : config_show_all (cli);
}

/* --- nat ----------------------------------------------------------------------------------------- */

static const char *
verdict (const char *type)
{
  static const struct {
    const char *type;
    const char *words;
  } table[] = {
      {"open", N_ ("This computer is reachable from the internet: everybody gets a direct path.")},
      {"firewalled",
       N_ ("A public address behind a firewall: direct paths are opened from inside.")},
      {"full-cone",
       N_ ("A router that lets everybody in once a port is open: direct paths are easy.")},
      {"address-restricted",
       N_ ("A router that lets in whom this computer has spoken to: direct paths are easy.")},
      {"port-restricted",
       N_ ("A router that lets in only exact answers: direct paths work with most other networks.")},
      {"symmetric", N_ ("A router that uses a new port for everybody: direct paths need an easier "
                        "network on the other side.")},
      {"udp-blocked", N_ ("UDP does not get out of this network: only TCP or a relay can help.")},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (table); i++)
    if (g_strcmp0 (type, table[i].type) == 0)
      return _ (table[i].words);
  return _ ("What kind of router this is could not be found out.");
}

static char *value_words (JsonNode *node);

static char *
list_words (JsonArray *array)
{
  GString *list = g_string_new (NULL);

  for (guint i = 0; i < json_array_get_length (array); i++) {
    g_autofree char *each = value_words (json_array_get_element (array, i));

    g_string_append_printf (list, "%s%s", i > 0 ? ", " : "", each);
  }
  return g_string_free_and_steal (list);
}

static char *
value_words (JsonNode *node)
{
  g_autofree char *text = NULL;

  if (JSON_NODE_HOLDS_ARRAY (node) && json_array_get_length (json_node_get_array (node)) > 0)
    return list_words (json_node_get_array (node));
  if (JSON_NODE_HOLDS_ARRAY (node))
    return g_strdup (_ ("unknown"));

  if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING)
    return ph_display_name (json_node_get_string (node));
  if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_BOOLEAN)
    return g_strdup (json_node_get_boolean (node) ? _ ("yes") : _ ("no"));
  if (JSON_NODE_HOLDS_NULL (node))
    return g_strdup (_ ("unknown"));
  text = json_to_string (node, FALSE);
  return ph_display_name (text);
}

static PhExit
show_report (const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) root = json_from_string (text, &error);
  JsonObject *report;
  JsonObjectIter iter;
  const char *member;
  JsonNode *node;

  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return ph_output_fail (PH_EXIT_FAILED, "failed", _ ("The network report cannot be read."));
  report = json_node_get_object (root);
  if (ph_output_is_json ()) {
    json_object_set_string_member (report, "event", "nat");
    ph_output_node (root);
    return PH_EXIT_DONE;
  }
  ph_output_line ("%s", verdict (json_object_get_string_member_with_default (report, "type", "")));
  json_object_iter_init_ordered (&iter, report);
  while (json_object_iter_next_ordered (&iter, &member, &node)) {
    g_autofree char *value = value_words (node);

    ph_output_line ("  %-24s %s", member, value);
  }
  return PH_EXIT_DONE;
}

/* Tells how far the slow test has come. */
static void
lifetime_event (PhCli *cli, const PhEvent *event, void *user)
{
  gint64 *told_s = user;
  g_autoptr (JsonNode) root = NULL;
  JsonObject *report;
  gint64 survived_s;

  if (event->type != PH_EVENT_NETWORK || event->text == NULL)
    return;
  root = json_from_string (event->text, NULL);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return;
  report = json_node_get_object (root);
  if (!json_object_has_member (report, "mapping_lifetime_s")
      || json_object_get_null_member (report, "mapping_lifetime_s"))
    return;
  survived_s = json_object_get_int_member (report, "mapping_lifetime_s");
  if (survived_s <= *told_s)
    return;
  *told_s = survived_s;
  ph_output_note (_ ("Still open after %d s of silence"), (int)survived_s);
}

static PhExit
measure_lifetime (PhCli *cli)
{
  gint64 told_s = 0;
  PhExit status;

  ph_output_note (_ ("Testing how long the router keeps a port open that nothing uses: this takes "
                     "up to ten minutes. Ctrl+C stops it."));
  cli->on_event = lifetime_event;
  cli->user = &told_s;
  status = ph_cli_wait (cli, ph_engine_nat_lifetime (cli->engine, true));
  if (cli->interrupted) {
    cli->interrupted = false;
    ph_cli_wait (cli, ph_engine_nat_lifetime (cli->engine, false));
  }
  cli->on_event = NULL;
  return status;
}

PhExit
ph_cmd_nat (PhCli *cli, int argc, char **argv)
{
  g_auto (GStrv) args = NULL;
  gboolean lifetime = FALSE;
  const GOptionEntry entries[] = {
      {"lifetime", 0, 0, G_OPTION_ARG_NONE, &lifetime,
       N_ ("Test also how long unused ports stay open (some minutes)"), NULL},
      G_OPTION_ENTRY_NULL,
  };
  PhExit status;

  if (!ph_commands_parse (cli, argc, argv, entries, 0, 0, &args))
    return PH_EXIT_USAGE;
  status = ph_cli_open_online (cli);
  cli->online = !ph_output_is_json (); /* one object, without the status beside it */
  if (status == PH_EXIT_DONE)
    status = ph_cli_wait (cli, ph_engine_network_report (cli->engine, NAT_TIMEOUT_MS));
  if (status == PH_EXIT_DONE && lifetime)
    status = measure_lifetime (cli);
  return status == PH_EXIT_DONE ? show_report (cli->text) : status;
}
