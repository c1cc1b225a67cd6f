/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-welcome.h"

#include "app/gtk/ph-closures.h"

struct _PhWelcome {
  AdwBin parent_instance;

  AdwEntryRow *name_row;

  PhClient *client;
  char *message; /* why the name was not taken */
  bool busy;
};

enum { PROP_0, PROP_CLIENT, PROP_MESSAGE, PROP_BUSY, N_PROPS };
enum { DONE, N_SIGNALS };

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (PhWelcome, ph_welcome, ADW_TYPE_BIN)

static bool
is_blank (const char *text)
{
  g_autofree char *stripped = g_strstrip (g_strdup (text != NULL ? text : ""));

  return *stripped == '\0';
}

static gboolean
can_begin (PhWelcome *self, const char *name, gboolean busy)
{
  return !busy && !is_blank (name);
}

static void
show_state (PhWelcome *self, bool busy, const char *message)
{
  self->busy = busy;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_BUSY]);
  if (g_set_str (&self->message, message))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MESSAGE]);
}

static void
stored (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhWelcome) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  show_state (self, false, error != NULL ? error->message : "");
  if (error == NULL)
    g_signal_emit (self, signals[DONE], 0);
}

static void
begin (PhWelcome *self)
{
  g_autofree char *name =
      g_strstrip (g_strdup (gtk_editable_get_text (GTK_EDITABLE (self->name_row))));

  if (self->client == NULL || self->busy || *name == '\0')
    return;
  show_state (self, true, "");
  ph_client_set_setting_async (self->client, "name", name, stored, g_object_ref (self));
}

static void
prefill (PhWelcome *self)
{
  const char *name = self->client != NULL ? ph_client_get_setting (self->client, "name") : "";

  if (*name != '\0' && is_blank (gtk_editable_get_text (GTK_EDITABLE (self->name_row))))
    gtk_editable_set_text (GTK_EDITABLE (self->name_row), name);
}

void
ph_welcome_set_client (PhWelcome *self, PhClient *client)
{
  g_return_if_fail (PH_IS_WELCOME (self));

  if (!g_set_object (&self->client, client))
    return;
  if (client != NULL)
    g_signal_connect_object (client, "setting-changed::name", G_CALLBACK (prefill), self,
                             G_CONNECT_SWAPPED);
  prefill (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CLIENT]);
}

static gboolean
ph_welcome_grab_focus (GtkWidget *widget)
{
  return gtk_widget_grab_focus (GTK_WIDGET (PH_WELCOME (widget)->name_row));
}

static void
ph_welcome_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhWelcome *self = PH_WELCOME (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  case PROP_MESSAGE:
    g_value_set_string (value, self->message);
    break;
  case PROP_BUSY:
    g_value_set_boolean (value, self->busy);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_welcome_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  switch (id) {
  case PROP_CLIENT:
    ph_welcome_set_client (PH_WELCOME (object), g_value_get_object (value));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_welcome_dispose (GObject *object)
{
  PhWelcome *self = PH_WELCOME (object);

  gtk_widget_dispose_template (GTK_WIDGET (self), PH_TYPE_WELCOME);
  g_clear_object (&self->client);
  G_OBJECT_CLASS (ph_welcome_parent_class)->dispose (object);
}

static void
ph_welcome_finalize (GObject *object)
{
  g_free (PH_WELCOME (object)->message);
  G_OBJECT_CLASS (ph_welcome_parent_class)->finalize (object);
}

static void
ph_welcome_class_init (PhWelcomeClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);

  object_class->get_property = ph_welcome_get_property;
  object_class->set_property = ph_welcome_set_property;
  object_class->dispose = ph_welcome_dispose;
  object_class->finalize = ph_welcome_finalize;
  widget_class->grab_focus = ph_welcome_grab_focus;

  properties[PROP_CLIENT] =
      g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT,
                           G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);
  properties[PROP_MESSAGE] =
      g_param_spec_string ("message", NULL, NULL, "", G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  properties[PROP_BUSY] =
      g_param_spec_boolean ("busy", NULL, NULL, FALSE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);
  signals[DONE] = g_signal_new ("done", PH_TYPE_WELCOME, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                G_TYPE_NONE, 0);

  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-welcome.ui");
  gtk_widget_class_bind_template_child (widget_class, PhWelcome, name_row);
  gtk_widget_class_bind_template_callback (widget_class, can_begin);
  gtk_widget_class_bind_template_callback (widget_class, begin);
  ph_closures_bind (widget_class);
}

static void
ph_welcome_init (PhWelcome *self)
{
  self->message = g_strdup ("");
  gtk_widget_init_template (GTK_WIDGET (self));
}
