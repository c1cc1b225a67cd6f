/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-transfer-row.h"

#include "app/gtk/ph-transfer-commands.h"

#include <glib/gi18n.h>

struct _PhTransferRow {
  AdwBin parent_instance;

  PhClient *client;
  PhTransferItem *transfer;
};

enum { PROP_0, PROP_CLIENT, PROP_TRANSFER, PROP_DESTINATION, N_PROPS };

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhTransferRow, ph_transfer_row, ADW_TYPE_BIN)

/* --- Closures of the template -------------------------------------------------------------------- */

static char **
icon_classes (PhTransferRow *self, PhTransferState state)
{
  const char *kind = "dimmed";
  const char *classes[2] = {NULL};

  if (state == PH_TRANSFER_DONE)
    kind = "success";
  else if (state == PH_TRANSFER_FAILED)
    kind = "warning";
  else if (state == PH_TRANSFER_ACTIVE || state == PH_TRANSFER_CHECKING)
    kind = "accent";
  classes[0] = kind;
  return g_strdupv ((char **)classes);
}

static gboolean
shows_path (PhTransferRow *self, const char *path, gboolean under_way)
{
  return under_way && path != NULL && *path != '\0';
}

static gboolean
is_said (PhTransferRow *self, const char *text)
{
  return text != NULL && *text != '\0';
}

/* --- Actions ------------------------------------------------------------------------------------- */

/* Name of an action, the item's property that enables it, and what it does. */
static const struct {
  const char *action;
  const char *property; /* NULL: always */
  PhTransferCommand command;
} commands[] = {
    {"transfer.accept", "can-answer", ph_transfer_accept},
    {"transfer.accept-into", "can-answer", ph_transfer_accept_into},
    {"transfer.always-accept", "can-answer", ph_transfer_always_accept},
    {"transfer.decline", "can-answer", ph_transfer_decline},
    {"transfer.pause", "can-pause", ph_transfer_pause},
    {"transfer.resume", "can-resume", ph_transfer_resume},
    {"transfer.cancel", "can-cancel", ph_transfer_cancel},
    {"transfer.send-again", "can-retry", ph_transfer_send_again},
    {"transfer.open", "can-open", ph_transfer_open},
    {"transfer.show-in-folder", "can-open", ph_transfer_show_in_folder},
    {"transfer.details", NULL, ph_transfer_details},
    {"transfer.forget", "ended", ph_transfer_forget},
};

static void
command_activated (GtkWidget *widget, const char *name, GVariant *parameter)
{
  PhTransferRow *self = PH_TRANSFER_ROW (widget);

  for (size_t i = 0; i < G_N_ELEMENTS (commands) && self->transfer != NULL; i++) {
    if (g_str_equal (commands[i].action, name)) {
      commands[i].command (widget, self->client, self->transfer);
      return;
    }
  }
}

static void
update_actions (PhTransferRow *self)
{
  for (size_t i = 0; i < G_N_ELEMENTS (commands); i++) {
    gboolean enabled = self->transfer != NULL;

    if (enabled && commands[i].property != NULL)
      g_object_get (self->transfer, commands[i].property, &enabled, NULL);
    gtk_widget_action_set_enabled (GTK_WIDGET (self), commands[i].action, enabled);
  }
}

/* --- Object -------------------------------------------------------------------------------------- */

static char *
destination (PhTransferRow *self)
{
  g_autofree char *name = NULL;

  if (self->client == NULL)
    return NULL;
  name = g_filename_display_basename (ph_client_get_setting (self->client, "download-dir"));
  /* Translators: %s is the name of a folder */
  return g_strdup_printf (_ ("Will be saved in %s"), name);
}

static void
folder_changed (PhTransferRow *self)
{
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_DESTINATION]);
}

static void
set_transfer (PhTransferRow *self, PhTransferItem *transfer)
{
  if (self->transfer == transfer)
    return;
  if (self->transfer != NULL)
    g_signal_handlers_disconnect_by_func (self->transfer, update_actions, self);
  g_set_object (&self->transfer, transfer);
  if (transfer != NULL) {
    static const char *const signals[] = {"notify::state", "notify::can-pause",
                                          "notify::can-resume", "notify::can-retry",
                                          "notify::can-open"};

    for (size_t i = 0; i < G_N_ELEMENTS (signals); i++)
      g_signal_connect_swapped (transfer, signals[i], G_CALLBACK (update_actions), self);
    gtk_accessible_update_property (GTK_ACCESSIBLE (self), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                    ph_transfer_item_title (transfer), -1);
  }
  update_actions (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_TRANSFER]);
}

static void
ph_transfer_row_dispose (GObject *object)
{
  PhTransferRow *self = PH_TRANSFER_ROW (object);

  if (self->transfer != NULL)
    g_signal_handlers_disconnect_by_func (self->transfer, update_actions, self);
  gtk_widget_dispose_template (GTK_WIDGET (self), PH_TYPE_TRANSFER_ROW);
  g_clear_object (&self->transfer);
  g_clear_object (&self->client);
  G_OBJECT_CLASS (ph_transfer_row_parent_class)->dispose (object);
}

static void
ph_transfer_row_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhTransferRow *self = PH_TRANSFER_ROW (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  case PROP_TRANSFER:
    g_value_set_object (value, self->transfer);
    break;
  case PROP_DESTINATION:
    g_value_take_string (value, destination (self));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_transfer_row_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  PhTransferRow *self = PH_TRANSFER_ROW (object);

  switch (id) {
  case PROP_CLIENT:
    self->client = g_value_dup_object (value);
    if (self->client != NULL)
      g_signal_connect_object (self->client, "setting-changed::download-dir",
                               G_CALLBACK (folder_changed), self, G_CONNECT_SWAPPED);
    folder_changed (self); /* the template is bound already */
    break;
  case PROP_TRANSFER:
    set_transfer (self, g_value_get_object (value));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_transfer_row_class_init (PhTransferRowClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;

  object_class->dispose = ph_transfer_row_dispose;
  object_class->get_property = ph_transfer_row_get_property;
  object_class->set_property = ph_transfer_row_set_property;

  properties[PROP_CLIENT] =
      g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT, flags | G_PARAM_CONSTRUCT_ONLY);
  properties[PROP_TRANSFER] = g_param_spec_object ("transfer", NULL, NULL, PH_TYPE_TRANSFER_ITEM,
                                                   flags | G_PARAM_EXPLICIT_NOTIFY);
  properties[PROP_DESTINATION] = g_param_spec_string ("destination", NULL, NULL, NULL,
                                                      G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-transfer-row.ui");
  gtk_widget_class_bind_template_callback (widget_class, icon_classes);
  gtk_widget_class_bind_template_callback (widget_class, shows_path);
  gtk_widget_class_bind_template_callback (widget_class, is_said);
  for (size_t i = 0; i < G_N_ELEMENTS (commands); i++)
    gtk_widget_class_install_action (widget_class, commands[i].action, NULL, command_activated);
}

static void
ph_transfer_row_init (PhTransferRow *self)
{
  g_type_ensure (PH_TYPE_TRANSFER_ITEM);
  gtk_widget_init_template (GTK_WIDGET (self));
}
