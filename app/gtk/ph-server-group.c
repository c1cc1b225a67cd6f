/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-server-group.h"

#include "app/gtk/ph-closures.h"

struct _PhServerGroup {
  AdwPreferencesGroup parent_instance;

  AdwEntryRow *entry;
  GtkWidget *test_button;

  PhClient *client;
  char *label;
  char *value;
  char *tried; /* what was applied last */
  char *result; /* of the last test, or why the address was refused */
  PhServerKind kind;
  bool good; /* whether `result` is a good one */
  bool testing;
};

enum { PROP_0, PROP_LABEL, PROP_VALUE, PROP_RESULT, PROP_GOOD, PROP_TESTING, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhServerGroup, ph_server_group, ADW_TYPE_PREFERENCES_GROUP)

static void
notify (PhServerGroup *self, guint id)
{
  g_object_notify_by_pspec (G_OBJECT (self), properties[id]);
}

static gboolean
can_test (PhServerGroup *self, const char *text, gboolean testing)
{
  return text != NULL && *text != '\0' && !testing;
}

static char *
result_icon_name (PhServerGroup *self, gboolean good)
{
  return g_strdup (good ? "object-select-symbolic" : "dialog-warning-symbolic");
}

static char **
result_classes (PhServerGroup *self, gboolean good)
{
  const char *const classes[] = {good ? "success" : "warning", NULL};

  return g_strdupv ((char **)classes);
}

static void
show_result (PhServerGroup *self, bool good, const char *result)
{
  self->good = good;
  notify (self, PROP_GOOD);
  if (g_set_str (&self->result, result))
    notify (self, PROP_RESULT);
}

static void
forget_result (PhServerGroup *self)
{
  show_result (self, true, "");
}

static void
set_testing (PhServerGroup *self, bool testing)
{
  self->testing = testing;
  notify (self, PROP_TESTING);
}

static void
tested (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhServerGroup) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  set_testing (self, false);
  show_result (self, error == NULL, error == NULL ? text : error->message);
}

static void
test (PhServerGroup *self)
{
  const char *address = gtk_editable_get_text (GTK_EDITABLE (self->entry));

  forget_result (self);
  set_testing (self, true);
  ph_client_test_server_async (self->client, self->kind, address, tested, g_object_ref (self));
}

static void
show_value (PhServerGroup *self)
{
  if (g_strcmp0 (gtk_editable_get_text (GTK_EDITABLE (self->entry)), self->value) != 0)
    gtk_editable_set_text (GTK_EDITABLE (self->entry), self->value);
}

static void
apply (PhServerGroup *self)
{
  forget_result (self);
  g_set_str (&self->tried, gtk_editable_get_text (GTK_EDITABLE (self->entry)));
  if (g_set_str (&self->value, gtk_editable_get_text (GTK_EDITABLE (self->entry))))
    notify (self, PROP_VALUE);
}

void
ph_server_group_setup (PhServerGroup *self, PhClient *client, PhServerKind kind)
{
  g_set_object (&self->client, client);
  self->kind = kind;
}

void
ph_server_group_refuse (PhServerGroup *self, const char *message)
{
  /* What was typed comes back, to be mended; what is in force is still the old. */
  gtk_editable_set_text (GTK_EDITABLE (self->entry), self->tried);
  show_result (self, false, message);
}

/* The entry only while it is empty: else all that is in it would be selected, as it is where it had the focus before. */
static gboolean
ph_server_group_grab_focus (GtkWidget *widget)
{
  PhServerGroup *self = PH_SERVER_GROUP (widget);

  gtk_editable_select_region (GTK_EDITABLE (self->entry), 0, 0);
  return gtk_widget_grab_focus (
      gtk_widget_get_sensitive (self->test_button) ? self->test_button : GTK_WIDGET (self->entry));
}

static void
ph_server_group_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhServerGroup *self = PH_SERVER_GROUP (object);

  switch (id) {
  case PROP_LABEL:
    g_value_set_string (value, self->label);
    break;
  case PROP_VALUE:
    g_value_set_string (value, self->value);
    break;
  case PROP_RESULT:
    g_value_set_string (value, self->result);
    break;
  case PROP_GOOD:
    g_value_set_boolean (value, self->good);
    break;
  case PROP_TESTING:
    g_value_set_boolean (value, self->testing);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_server_group_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  PhServerGroup *self = PH_SERVER_GROUP (object);

  switch (id) {
  case PROP_LABEL:
    if (g_set_str (&self->label, g_value_get_string (value)))
      notify (self, PROP_LABEL);
    break;
  case PROP_VALUE:
    if (g_set_str (&self->value, g_value_get_string (value))) {
      show_value (self);
      notify (self, PROP_VALUE);
    }
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_server_group_dispose (GObject *object)
{
  PhServerGroup *self = PH_SERVER_GROUP (object);

  gtk_widget_dispose_template (GTK_WIDGET (self), PH_TYPE_SERVER_GROUP);
  g_clear_object (&self->client);
  G_OBJECT_CLASS (ph_server_group_parent_class)->dispose (object);
}

static void
ph_server_group_finalize (GObject *object)
{
  PhServerGroup *self = PH_SERVER_GROUP (object);

  g_free (self->label);
  g_free (self->value);
  g_free (self->tried);
  g_free (self->result);
  G_OBJECT_CLASS (ph_server_group_parent_class)->finalize (object);
}

static void
ph_server_group_class_init (PhServerGroupClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags writable = readable | G_PARAM_WRITABLE | G_PARAM_EXPLICIT_NOTIFY;

  object_class->get_property = ph_server_group_get_property;
  object_class->set_property = ph_server_group_set_property;
  object_class->dispose = ph_server_group_dispose;
  object_class->finalize = ph_server_group_finalize;
  widget_class->grab_focus = ph_server_group_grab_focus;

  properties[PROP_LABEL] = g_param_spec_string ("label", NULL, NULL, "", writable);
  properties[PROP_VALUE] = g_param_spec_string ("value", NULL, NULL, "", writable);
  properties[PROP_RESULT] = g_param_spec_string ("result", NULL, NULL, "", readable);
  properties[PROP_GOOD] = g_param_spec_boolean ("good", NULL, NULL, TRUE, readable);
  properties[PROP_TESTING] = g_param_spec_boolean ("testing", NULL, NULL, FALSE, readable);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-server-group.ui");
  gtk_widget_class_bind_template_child (widget_class, PhServerGroup, entry);
  gtk_widget_class_bind_template_child (widget_class, PhServerGroup, test_button);
  gtk_widget_class_bind_template_callback (widget_class, can_test);
  gtk_widget_class_bind_template_callback (widget_class, result_icon_name);
  gtk_widget_class_bind_template_callback (widget_class, result_classes);
  gtk_widget_class_bind_template_callback (widget_class, forget_result);
  gtk_widget_class_bind_template_callback (widget_class, test);
  gtk_widget_class_bind_template_callback (widget_class, apply);
  ph_closures_bind (widget_class);
}

static void
ph_server_group_init (PhServerGroup *self)
{
  self->label = g_strdup ("");
  self->value = g_strdup ("");
  self->tried = g_strdup ("");
  self->result = g_strdup ("");
  self->good = true;
  gtk_widget_init_template (GTK_WIDGET (self));
}
