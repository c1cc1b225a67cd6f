/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-transfer-page.h"

#include "app/gtk/ph-closures.h"
#include "app/gtk/ph-detail-list.h"
#include "app/gtk/ph-escape.h"
#include "app/gtk/ph-file-row.h"
#include "app/model/ph-transfer-words.h"

#include <glib/gi18n.h>

/* Rows of files that come at once: some screens full. */
#define FILES_PAGE 50u
/* How often what is being tried is asked for, while somebody looks at it. */
#define EXPLAIN_INTERVAL_S 2

struct _PhTransferPage {
  AdwNavigationPage parent_instance;

  PhDetailList *facts_list;
  PhDetailList *path_list;
  PhDetailList *attempts_list;
  PhDetailList *addresses_list;
  PhDetailList *log_list;
  GtkListBox *files_list;
  GtkWidget *path_group;
  GtkWidget *files_group;
  GtkWidget *attempts_group;
  GtkWidget *addresses_group;
  GtkWidget *log_group;
  GtkWidget *more_button;

  PhClient *client;
  PhTransferItem *transfer;
  GListStore *facts;
  GListStore *path;
  GListStore *files;
  GListStore *attempts;
  GListStore *addresses;
  GListStore *log;
  guint explain_source;
  unsigned files_asked; /* questions for files that are not answered yet: in order */
};

enum { PROP_0, PROP_CLIENT, PROP_TRANSFER, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhTransferPage, ph_transfer_page, ADW_TYPE_NAVIGATION_PAGE)

static void
show_unless_empty (GtkWidget *group, GListStore *details)
{
  gtk_widget_set_visible (group, g_list_model_get_n_items (G_LIST_MODEL (details)) > 0);
}

/* --- Facts ----------------------------------------------------------------------------------------- */

static void
refresh (PhTransferPage *self)
{
  const PhTransferView *view = ph_transfer_item_view (self->transfer);

  ph_transfer_facts (view, g_get_real_time () / G_USEC_PER_SEC, self->facts);
  ph_transfer_path (view, self->path);
  show_unless_empty (self->path_group, self->path);
}

/* --- Files ----------------------------------------------------------------------------------------- */

static void
files_loaded (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhTransferPage) self = user_data;
  g_autoptr (GPtrArray) rows = ph_client_finish_rows (PH_CLIENT (source), result, NULL);

  /* Of what was asked before the list was emptied, nothing belongs in it. */
  if (--self->files_asked > 0 || rows == NULL)
    return;
  g_list_store_splice (self->files, g_list_model_get_n_items (G_LIST_MODEL (self->files)), 0,
                       rows->pdata, rows->len);
  show_unless_empty (self->files_group, self->files);
  gtk_widget_set_sensitive (self->more_button, TRUE);
  gtk_widget_set_visible (self->more_button, rows->len == FILES_PAGE);
}

static void
load_files (PhTransferPage *self)
{
  gtk_widget_set_sensitive (self->more_button, FALSE);
  self->files_asked++;
  ph_client_list_files_async (self->client, ph_transfer_item_id (self->transfer),
                              g_list_model_get_n_items (G_LIST_MODEL (self->files)), FILES_PAGE,
                              files_loaded, g_object_ref (self));
}

/* Digests and states are complete when the transfer is. */
static void
reload_files (PhTransferPage *self)
{
  if (!ph_transfer_state_ended (ph_transfer_item_view (self->transfer)->state))
    return;
  g_list_store_remove_all (self->files);
  load_files (self);
}

static GtkWidget *
make_file_row (gpointer item, gpointer user_data)
{
  return ph_file_row_new (item);
}

/* --- What is tried --------------------------------------------------------------------------------- */

static void
explained (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhTransferPage) self = user_data;
  g_autofree char *json = ph_client_finish (PH_CLIENT (source), result, NULL);

  /* What is shown stays, if there is nothing newer. */
  if (json == NULL)
    return;
  ph_explain_read (json, self->addresses, self->attempts, self->log);
  show_unless_empty (self->addresses_group, self->addresses);
  show_unless_empty (self->attempts_group, self->attempts);
  show_unless_empty (self->log_group, self->log);
}

static void
explain (PhTransferPage *self)
{
  ph_client_explain_contact_async (self->client, ph_transfer_item_view (self->transfer)->contact,
                                   explained, g_object_ref (self));
}

/* An ended transfer took the way that its snapshot tells: what the connector is at is about another. */
static gboolean
explain_due (gpointer data)
{
  PhTransferPage *self = data;

  if (ph_transfer_state_ended (ph_transfer_item_view (self->transfer)->state)) {
    self->explain_source = 0;
    return G_SOURCE_REMOVE;
  }
  explain (self);
  return G_SOURCE_CONTINUE;
}

static void
ph_transfer_page_map (GtkWidget *widget)
{
  PhTransferPage *self = PH_TRANSFER_PAGE (widget);

  GTK_WIDGET_CLASS (ph_transfer_page_parent_class)->map (widget);
  explain (self);
  if (self->explain_source == 0)
    self->explain_source = g_timeout_add_seconds (EXPLAIN_INTERVAL_S, explain_due, self);
}

static void
ph_transfer_page_unmap (GtkWidget *widget)
{
  g_clear_handle_id (&PH_TRANSFER_PAGE (widget)->explain_source, g_source_remove);
  GTK_WIDGET_CLASS (ph_transfer_page_parent_class)->unmap (widget);
}

/* --- Copying --------------------------------------------------------------------------------------- */

static void
write_files (PhTransferPage *self, GString *out)
{
  const guint n = g_list_model_get_n_items (G_LIST_MODEL (self->files));

  if (n > 0)
    g_string_append_printf (out, "\n%s\n", _ ("Files"));
  for (guint i = 0; i < n; i++) {
    g_autoptr (PhFileItem) file = g_list_model_get_item (G_LIST_MODEL (self->files), i);
    g_autofree char *path = NULL;
    g_autofree char *size = NULL;
    g_autofree char *sha256 = NULL;

    g_object_get (file, "path", &path, "size-text", &size, "sha256", &sha256, NULL);
    g_string_append_printf (out, "  %s  %s  %s\n", sha256, path, size);
  }
}

static void
copy (GtkWidget *widget, const char *action, GVariant *parameter)
{
  PhTransferPage *self = PH_TRANSFER_PAGE (widget);
  g_autofree char *status = NULL;
  GString *out = g_string_new (ph_transfer_item_title (self->transfer));
  g_autofree char *report = NULL;

  g_object_get (self->transfer, "status-text", &status, NULL);
  g_string_append_printf (out, "\n%s\n", status);
  ph_details_write (G_LIST_MODEL (self->facts), _ ("Transfer"), out);
  ph_details_write (G_LIST_MODEL (self->path), _ ("Path"), out);
  ph_details_write (G_LIST_MODEL (self->attempts), _ ("What Was Tried"), out);
  ph_details_write (G_LIST_MODEL (self->addresses), _ ("Addresses"), out);
  ph_details_write (G_LIST_MODEL (self->log), C_ ("of a connection", "Log"), out);
  write_files (self, out);
  report = g_string_free_and_steal (out);
  ph_copy_text (GTK_WIDGET (self->files_list), report, _ ("Details copied"));
}

/* --- Object ---------------------------------------------------------------------------------------- */

static void
ph_transfer_page_constructed (GObject *object)
{
  PhTransferPage *self = PH_TRANSFER_PAGE (object);

  G_OBJECT_CLASS (ph_transfer_page_parent_class)->constructed (object);
  ph_detail_list_set_model (self->facts_list, G_LIST_MODEL (self->facts));
  ph_detail_list_set_model (self->path_list, G_LIST_MODEL (self->path));
  ph_detail_list_set_model (self->attempts_list, G_LIST_MODEL (self->attempts));
  ph_detail_list_set_model (self->addresses_list, G_LIST_MODEL (self->addresses));
  ph_detail_list_set_model (self->log_list, G_LIST_MODEL (self->log));
  gtk_list_box_bind_model (self->files_list, G_LIST_MODEL (self->files), make_file_row, NULL, NULL);
  show_unless_empty (self->attempts_group, self->attempts);
  show_unless_empty (self->addresses_group, self->addresses);
  show_unless_empty (self->log_group, self->log);

  g_signal_connect_object (self->transfer, "notify", G_CALLBACK (refresh), self, G_CONNECT_SWAPPED);
  g_signal_connect_object (self->transfer, "notify::ended", G_CALLBACK (reload_files), self,
                           G_CONNECT_SWAPPED);
  refresh (self);
  load_files (self);
}

static void
ph_transfer_page_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhTransferPage *self = PH_TRANSFER_PAGE (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  case PROP_TRANSFER:
    g_value_set_object (value, self->transfer);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_transfer_page_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  PhTransferPage *self = PH_TRANSFER_PAGE (object);

  switch (id) {
  case PROP_CLIENT:
    self->client = g_value_dup_object (value);
    break;
  case PROP_TRANSFER:
    self->transfer = g_value_dup_object (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_transfer_page_dispose (GObject *object)
{
  g_clear_handle_id (&PH_TRANSFER_PAGE (object)->explain_source, g_source_remove);
  gtk_widget_dispose_template (GTK_WIDGET (object), PH_TYPE_TRANSFER_PAGE);
  G_OBJECT_CLASS (ph_transfer_page_parent_class)->dispose (object);
}

static void
ph_transfer_page_finalize (GObject *object)
{
  PhTransferPage *self = PH_TRANSFER_PAGE (object);

  g_object_unref (self->facts);
  g_object_unref (self->path);
  g_object_unref (self->files);
  g_object_unref (self->attempts);
  g_object_unref (self->addresses);
  g_object_unref (self->log);
  g_clear_object (&self->transfer);
  g_clear_object (&self->client);
  G_OBJECT_CLASS (ph_transfer_page_parent_class)->finalize (object);
}

static void
bind_children (GtkWidgetClass *widget_class)
{
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, facts_list);
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, path_list);
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, attempts_list);
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, addresses_list);
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, log_list);
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, files_list);
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, path_group);
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, files_group);
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, attempts_group);
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, addresses_group);
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, log_group);
  gtk_widget_class_bind_template_child (widget_class, PhTransferPage, more_button);
}

static void
ph_transfer_page_class_init (PhTransferPageClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);
  const GParamFlags once = G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS;

  object_class->constructed = ph_transfer_page_constructed;
  object_class->get_property = ph_transfer_page_get_property;
  object_class->set_property = ph_transfer_page_set_property;
  object_class->dispose = ph_transfer_page_dispose;
  object_class->finalize = ph_transfer_page_finalize;
  widget_class->map = ph_transfer_page_map;
  widget_class->unmap = ph_transfer_page_unmap;

  properties[PROP_CLIENT] = g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT, once);
  properties[PROP_TRANSFER] =
      g_param_spec_object ("transfer", NULL, NULL, PH_TYPE_TRANSFER_ITEM, once);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gtk_widget_class_install_action (widget_class, "transfer.copy", NULL, copy);
  g_type_ensure (PH_TYPE_DETAIL_LIST);
  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-transfer-page.ui");
  bind_children (widget_class);
  gtk_widget_class_bind_template_callback (widget_class, load_files);
  ph_closures_bind (widget_class);
}

static void
ph_transfer_page_init (PhTransferPage *self)
{
  self->facts = g_list_store_new (PH_TYPE_DETAIL);
  self->path = g_list_store_new (PH_TYPE_DETAIL);
  self->files = g_list_store_new (PH_TYPE_FILE_ITEM);
  self->attempts = g_list_store_new (PH_TYPE_DETAIL);
  self->addresses = g_list_store_new (PH_TYPE_DETAIL);
  self->log = g_list_store_new (PH_TYPE_DETAIL);
  gtk_widget_init_template (GTK_WIDGET (self));
  ph_escape_past_toasts (self->files_group);
}

AdwNavigationPage *
ph_transfer_page_new (PhClient *client, PhTransferItem *transfer)
{
  return g_object_new (PH_TYPE_TRANSFER_PAGE, "client", client, "transfer", transfer, NULL);
}

AdwDialog *
ph_transfer_dialog_new (PhClient *client, PhTransferItem *transfer)
{
  AdwNavigationPage *page = ph_transfer_page_new (client, transfer);
  GtkWidget *view = adw_navigation_view_new ();
  AdwDialog *dialog = adw_dialog_new ();

  adw_navigation_view_add (ADW_NAVIGATION_VIEW (view), page);
  adw_dialog_set_title (dialog, adw_navigation_page_get_title (page));
  adw_dialog_set_content_width (dialog, 560);
  adw_dialog_set_content_height (dialog, 680);
  adw_dialog_set_child (dialog, view);
  return dialog;
}
