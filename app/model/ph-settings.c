/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-settings.h"

#define MEGABYTE 1e6

typedef enum { KIND_TEXT, KIND_YES_NO, KIND_NUMBER, KIND_MEGABYTES } Kind;

/* In the order of the properties, from 1 on. */
static const struct {
  const char *key;
  Kind kind;
} settings[] = {
    {"name", KIND_TEXT},
    {"download-dir", KIND_TEXT},
    {"rendezvous", KIND_TEXT},
    {"stun", KIND_TEXT},
    {"turn", KIND_TEXT},
    {"speed-limit-up", KIND_MEGABYTES},
    {"speed-limit-down", KIND_MEGABYTES},
    {"queue-days", KIND_NUMBER},
    {"private-mode", KIND_YES_NO},
    {"auto-start", KIND_YES_NO},
    {"run-in-background", KIND_YES_NO},
    {"notifications", KIND_YES_NO},
    {"guess-ports", KIND_YES_NO},
    {"nearby", KIND_YES_NO},
    {"port-mapping", KIND_YES_NO},
};

/* While the engine has not answered, what was written is what bound widgets see: an answer to an earlier
 * one would turn a spin button back under the person's hand. */
typedef struct {
  char *text;
  unsigned pending;
} Wanted;

struct _PhSettings {
  GObject parent_instance;

  PhClient *client;
  Wanted wanted[G_N_ELEMENTS (settings)];
};

enum { PROP_CLIENT = G_N_ELEMENTS (settings) + 1, N_PROPS };
enum { REFUSED, N_SIGNALS };

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (PhSettings, ph_settings, G_TYPE_OBJECT)

static guint
find_property (const char *key)
{
  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    if (g_strcmp0 (settings[i].key, key) == 0)
      return i + 1;
  return 0;
}

static const char *
get_text (PhSettings *self, guint id)
{
  const Wanted *wanted = &self->wanted[id - 1];

  return wanted->pending > 0 ? wanted->text
                             : ph_client_get_setting (self->client, settings[id - 1].key);
}

static void
setting_changed (PhSettings *self, const char *key)
{
  const guint id = find_property (key);

  if (id != 0 && self->wanted[id - 1].pending == 0)
    g_object_notify_by_pspec (G_OBJECT (self), properties[id]);
}

typedef struct {
  PhSettings *settings;
  guint id;
} Write;

static void
written (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Write *write = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  if (--write->settings->wanted[write->id - 1].pending == 0)
    g_object_notify_by_pspec (G_OBJECT (write->settings), properties[write->id]);
  if (error != NULL && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_signal_emit (write->settings, signals[REFUSED], 0, settings[write->id - 1].key,
                   error->message);
  g_object_unref (write->settings);
  g_free (write);
}

static char *
to_text (const GValue *value, Kind kind)
{
  switch (kind) {
  case KIND_YES_NO:
    return g_strdup (g_value_get_boolean (value) ? "true" : "false");
  case KIND_NUMBER:
    return g_strdup_printf ("%.0f", g_value_get_double (value));
  case KIND_MEGABYTES:
    return g_strdup_printf ("%.0f", g_value_get_double (value) * MEGABYTE);
  case KIND_TEXT:
  default:
    return g_strstrip (
        g_strdup (g_value_get_string (value) != NULL ? g_value_get_string (value) : ""));
  }
}

static void
ph_settings_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  PhSettings *self = PH_SETTINGS (object);
  g_autofree char *text = NULL;
  Write *write;

  if (id == PROP_CLIENT) {
    self->client = g_value_dup_object (value);
    g_signal_connect_object (self->client, "setting-changed", G_CALLBACK (setting_changed), self,
                             G_CONNECT_SWAPPED);
    return;
  }
  g_return_if_fail (id >= 1 && id <= G_N_ELEMENTS (settings));
  text = to_text (value, settings[id - 1].kind);
  if (g_strcmp0 (text, get_text (self, id)) == 0)
    return;
  self->wanted[id - 1].pending++;
  g_set_str (&self->wanted[id - 1].text, text);
  write = g_new (Write, 1);
  write->settings = g_object_ref (self);
  write->id = id;
  ph_client_set_setting_async (self->client, settings[id - 1].key, text, written, write);
}

static void
ph_settings_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhSettings *self = PH_SETTINGS (object);
  const char *text;

  if (id == PROP_CLIENT) {
    g_value_set_object (value, self->client);
    return;
  }
  g_return_if_fail (id >= 1 && id <= G_N_ELEMENTS (settings));
  text = get_text (self, id);
  switch (settings[id - 1].kind) {
  case KIND_YES_NO:
    g_value_set_boolean (value, g_str_equal (text, "true"));
    break;
  case KIND_NUMBER:
    g_value_set_double (value, g_ascii_strtod (text, NULL));
    break;
  case KIND_MEGABYTES:
    g_value_set_double (value, g_ascii_strtod (text, NULL) / MEGABYTE);
    break;
  case KIND_TEXT:
  default:
    g_value_set_string (value, text);
    break;
  }
}

static void
ph_settings_finalize (GObject *object)
{
  PhSettings *self = PH_SETTINGS (object);

  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    g_free (self->wanted[i].text);
  g_clear_object (&self->client);
  G_OBJECT_CLASS (ph_settings_parent_class)->finalize (object);
}

static GParamSpec *
make_property (const char *key, Kind kind)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  if (kind == KIND_YES_NO)
    return g_param_spec_boolean (key, NULL, NULL, FALSE, flags);
  if (kind == KIND_TEXT)
    return g_param_spec_string (key, NULL, NULL, "", flags);
  return g_param_spec_double (key, NULL, NULL, 0, G_MAXDOUBLE, 0, flags);
}

static void
ph_settings_class_init (PhSettingsClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->get_property = ph_settings_get_property;
  object_class->set_property = ph_settings_set_property;
  object_class->finalize = ph_settings_finalize;
  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    properties[i + 1] = make_property (settings[i].key, settings[i].kind);
  properties[PROP_CLIENT] =
      g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);
  signals[REFUSED] = g_signal_new ("refused", PH_TYPE_SETTINGS, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                   NULL, G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_STRING);
}

static void
ph_settings_init (PhSettings *self)
{
}

PhSettings *
ph_settings_new (PhClient *client)
{
  return g_object_new (PH_TYPE_SETTINGS, "client", client, NULL);
}
