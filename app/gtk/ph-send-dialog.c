/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-send-dialog.h"

#include "app/gtk/ph-person-row.h"
#include "app/gtk/ph-send.h"
#include "app/gtk/ph-window.h"
#include "app/model/ph-file-count.h"
#include "app/model/ph-format.h"
#include "app/model/ph-person-search.h"

#include <glib/gi18n.h>

struct _PhSendDialog {
  AdwDialog parent_instance;

  PhClient *client;
  GListModel *files;
  GtkWidget *parent;
  GCancellable *counting;

  GtkSortListModel *sorted;
  GtkCustomFilter *filter;
  AdwWindowTitle *window_title;
  GtkSearchEntry *search_entry;
  GtkListBox *list;
};

enum { PROP_0, PROP_CLIENT, N_PROPS };

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhSendDialog, ph_send_dialog, ADW_TYPE_DIALOG)

static char *
visible_child (PhSendDialog *self, guint n_people)
{
  return g_strdup (n_people > 0 ? "list" : "nobody");
}

static GtkWidget *
create_row (gpointer item, gpointer data)
{
  PhSendDialog *self = data;

  return ph_person_row_new (self->client, item);
}

static void
row_activated (PhSendDialog *self, GtkListBoxRow *row)
{
  PhContactItem *contact = ph_person_row_get_contact (PH_PERSON_ROW (row));
  PhWindow *window = ph_window_of (self->parent);

  if (window != NULL)
    ph_window_show_contact (window, contact);
  ph_send_files (self->parent, self->client, contact, self->files);
  adw_dialog_close (ADW_DIALOG (self));
}

static gboolean
is_found (gpointer item, gpointer data)
{
  PhSendDialog *self = data;
  const char *text = gtk_editable_get_text (GTK_EDITABLE (self->search_entry));

  return ph_person_search_matches (ph_contact_item_name (item), text);
}

static void
search_changed (PhSendDialog *self)
{
  gtk_filter_changed (GTK_FILTER (self->filter), GTK_FILTER_CHANGE_DIFFERENT);
}

/* Enter takes the first one that was found. */
static void
search_activated (PhSendDialog *self)
{
  GtkListBoxRow *row = gtk_list_box_get_row_at_index (self->list, 0);

  if (row != NULL)
    row_activated (self, row);
}

/* The entry keeps Escape to itself. */
static void
search_stopped (PhSendDialog *self)
{
  adw_dialog_close (ADW_DIALOG (self));
}

/* --- How much it is ------------------------------------------------------------------------------ */

static void
counted (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (PhSendDialog) self = data;
  g_autofree char *amount = NULL;
  PhFileCount count;

  if (!ph_file_count_finish (result, &count, NULL) || self->window_title == NULL)
    return;
  amount = ph_format_amount (count.files, count.bytes);
  if (!count.more)
    adw_window_title_set_subtitle (self->window_title, amount);
}

static void
count_files (PhSendDialog *self)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  const guint n = g_list_model_get_n_items (self->files);
  g_auto (GStrv) paths = NULL;

  for (guint i = 0; i < n; i++) {
    g_autoptr (GFile) file = g_list_model_get_item (self->files, i);

    if (g_file_peek_path (file) != NULL)
      g_strv_builder_add (builder, g_file_peek_path (file));
  }
  paths = g_strv_builder_end (builder);
  ph_file_count_async ((const char *const *)paths, self->counting, counted, g_object_ref (self));
}

/* --- Object -------------------------------------------------------------------------------------- */

static void
ph_send_dialog_dispose (GObject *object)
{
  PhSendDialog *self = PH_SEND_DIALOG (object);

  g_cancellable_cancel (self->counting);
  if (self->list != NULL)
    gtk_list_box_bind_model (self->list, NULL, NULL, NULL, NULL);
  if (self->filter != NULL)
    gtk_custom_filter_set_filter_func (self->filter, NULL, NULL, NULL);
  gtk_widget_dispose_template (GTK_WIDGET (self), PH_TYPE_SEND_DIALOG);
  g_clear_object (&self->counting);
  g_clear_object (&self->files);
  g_clear_object (&self->client);
  g_clear_object (&self->parent);
  G_OBJECT_CLASS (ph_send_dialog_parent_class)->dispose (object);
}

static void
ph_send_dialog_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhSendDialog *self = PH_SEND_DIALOG (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_send_dialog_class_init (PhSendDialogClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);

  object_class->dispose = ph_send_dialog_dispose;
  object_class->get_property = ph_send_dialog_get_property;

  properties[PROP_CLIENT] = g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT,
                                                 G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-send-dialog.ui");
  gtk_widget_class_bind_template_child (widget_class, PhSendDialog, sorted);
  gtk_widget_class_bind_template_child (widget_class, PhSendDialog, filter);
  gtk_widget_class_bind_template_child (widget_class, PhSendDialog, window_title);
  gtk_widget_class_bind_template_child (widget_class, PhSendDialog, search_entry);
  gtk_widget_class_bind_template_child (widget_class, PhSendDialog, list);
  gtk_widget_class_bind_template_callback (widget_class, visible_child);
  gtk_widget_class_bind_template_callback (widget_class, row_activated);
  gtk_widget_class_bind_template_callback (widget_class, search_activated);
  gtk_widget_class_bind_template_callback (widget_class, search_changed);
  gtk_widget_class_bind_template_callback (widget_class, search_stopped);
}

static void
ph_send_dialog_init (PhSendDialog *self)
{
  g_type_ensure (PH_TYPE_CLIENT);
  self->counting = g_cancellable_new ();
  gtk_widget_init_template (GTK_WIDGET (self));
  gtk_custom_filter_set_filter_func (self->filter, is_found, self, NULL);
  gtk_search_entry_set_key_capture_widget (self->search_entry, GTK_WIDGET (self));
  gtk_list_box_bind_model (self->list, G_LIST_MODEL (self->sorted), create_row, self, NULL);
}

AdwDialog *
ph_send_dialog_new (PhClient *client, GListModel *files, GtkWidget *parent)
{
  PhSendDialog *self = g_object_new (PH_TYPE_SEND_DIALOG, NULL);

  self->files = g_object_ref (files);
  self->parent = g_object_ref (parent);
  self->client = g_object_ref (client);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CLIENT]);
  count_files (self);
  return ADW_DIALOG (self);
}
