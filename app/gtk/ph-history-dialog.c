/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-history-dialog.h"

#include "app/gtk/ph-closures.h"
#include "app/gtk/ph-escape.h"
#include "app/gtk/ph-history-row.h"
#include "app/gtk/ph-transfer-commands.h"
#include "app/gtk/ph-transfer-page.h"
#include "app/model/ph-history.h"

#include <glib/gi18n.h>

struct _PhHistoryDialog {
  AdwDialog parent_instance;

  AdwNavigationView *view;
  AdwNavigationPage *list_page;
  AdwToastOverlay *toasts;
  GtkWidget *search_bar;
  GtkSearchEntry *search_entry;
  GtkListBox *list;
  GtkMenuButton *menu_button;

  PhClient *client;
  PhContactItem *contact; /* NULL: everybody */
  PhHistory *history;
};

enum { PROP_0, PROP_CLIENT, PROP_CONTACT, PROP_HISTORY, PROP_EMPTY_TEXT, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhHistoryDialog, ph_history_dialog, ADW_TYPE_DIALOG)

static char *
visible_page (PhHistoryDialog *self, guint n, gboolean loading, const char *search,
              gboolean missed_only)
{
  if (n > 0)
    return g_strdup ("rows");
  if (loading)
    return g_strdup ("loading");
  if (search != NULL && *search != '\0')
    return g_strdup ("nothing-found");
  return g_strdup (missed_only ? "no-missed" : "empty");
}

static const char *
empty_text (PhHistoryDialog *self)
{
  if (self->client != NULL && ph_client_get_flag (self->client, "private-mode"))
    return _ ("Private mode is on: what ends is not kept.");
  return _ ("What was sent and received is listed here.");
}

static void
toast (PhHistoryDialog *self, const char *words)
{
  AdwToast *made = adw_toast_new (words);

  adw_toast_set_use_markup (made, FALSE);
  adw_toast_overlay_add_toast (self->toasts, made);
}

/* --- Rows ------------------------------------------------------------------------------------------ */

static GtkWidget *
make_row (gpointer item, gpointer user_data)
{
  return ph_history_row_new (item);
}

static void
edge_reached (PhHistoryDialog *self, GtkPositionType edge)
{
  if (edge == GTK_POS_BOTTOM)
    ph_history_load_more (self->history);
}

static void
row_activated (PhHistoryDialog *self, PhHistoryRow *row)
{
  adw_navigation_view_push (self->view,
                            ph_transfer_page_new (self->client, ph_history_row_get_transfer (row)));
}

/* Borrowed; NULL if it is not listed. */
static PhTransferItem *
find_transfer (PhHistoryDialog *self, GVariant *id)
{
  GListModel *items = ph_history_get_items (self->history);

  for (guint i = 0; i < g_list_model_get_n_items (items); i++) {
    g_autoptr (PhTransferItem) item = g_list_model_get_item (items, i);

    if (g_str_equal (ph_transfer_item_id (item), g_variant_get_string (id, NULL)))
      return item; /* the list's */
  }
  return NULL;
}

/* --- What to do with one --------------------------------------------------------------------------- */

static void
open_transfer (GtkWidget *widget, const char *action, GVariant *id)
{
  PhHistoryDialog *self = PH_HISTORY_DIALOG (widget);
  PhTransferItem *item = find_transfer (self, id);

  if (item != NULL)
    ph_transfer_open (widget, self->client, item);
}

static void
show_in_folder (GtkWidget *widget, const char *action, GVariant *id)
{
  PhHistoryDialog *self = PH_HISTORY_DIALOG (widget);
  PhTransferItem *item = find_transfer (self, id);

  if (item != NULL)
    ph_transfer_show_in_folder (widget, self->client, item);
}

static void
sent_again (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhHistoryDialog) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  toast (self, error != NULL ? error->message : _ ("Sending again"));
}

static void
send_again (GtkWidget *widget, const char *action, GVariant *id)
{
  PhHistoryDialog *self = PH_HISTORY_DIALOG (widget);

  ph_client_send_again_async (self->client, g_variant_get_string (id, NULL), sent_again,
                              g_object_ref (self));
}

/* --- Forgetting ------------------------------------------------------------------------------------ */

/* One that can come back until its toast is gone. */
typedef struct {
  PhHistory *history;
  PhTransferItem *item;
} Forgotten;

static void
forgotten_free (gpointer data, GClosure *closure)
{
  Forgotten *forgotten = data;

  g_object_unref (forgotten->history);
  g_object_unref (forgotten->item);
  g_free (forgotten);
}

static void
undo_clicked (AdwToast *made, gpointer data)
{
  const Forgotten *forgotten = data;

  ph_history_unhide (forgotten->history, forgotten->item);
}

static void
toast_dismissed (AdwToast *made, gpointer data)
{
  const Forgotten *forgotten = data;

  ph_history_commit (forgotten->history, forgotten->item);
}

static void
forget (GtkWidget *widget, const char *action, GVariant *id)
{
  PhHistoryDialog *self = PH_HISTORY_DIALOG (widget);
  PhTransferItem *item = find_transfer (self, id);
  AdwToast *made = NULL;
  Forgotten *forgotten;

  if (item == NULL)
    return;
  forgotten = g_new (Forgotten, 1);
  forgotten->history = g_object_ref (self->history);
  forgotten->item = g_object_ref (item);
  ph_history_hide (self->history, item);
  made = adw_toast_new (_ ("Removed from the history"));
  adw_toast_set_button_label (made, _ ("_Undo"));
  g_signal_connect (made, "button-clicked", G_CALLBACK (undo_clicked), forgotten);
  g_signal_connect_data (made, "dismissed", G_CALLBACK (toast_dismissed), forgotten, forgotten_free,
                         G_CONNECT_AFTER);
  adw_toast_overlay_add_toast (self->toasts, made);
}

static void
cleared (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhHistoryDialog) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  toast (self, error != NULL ? error->message : _ ("History cleared"));
}

static void
clear_answered (AdwAlertDialog *alert, const char *response, PhHistoryDialog *self)
{
  if (g_str_equal (response, "clear"))
    ph_client_forget_async (self->client, NULL,
                            self->contact != NULL ? ph_contact_item_id (self->contact) : NULL,
                            cleared, g_object_ref (self));
}

static void
clear (GtkWidget *widget, const char *action, GVariant *parameter)
{
  PhHistoryDialog *self = PH_HISTORY_DIALOG (widget);
  AdwAlertDialog *alert = ADW_ALERT_DIALOG (adw_alert_dialog_new (_ ("Clear History?"), NULL));

  if (self->contact != NULL)
    adw_alert_dialog_format_body (
        alert,
        /* Translators: %s is the name of a person or device. */
        _ ("All finished transfers with %s are forgotten. The files stay where they are."),
        ph_contact_item_display_name (self->contact));
  else
    adw_alert_dialog_set_body (
        alert, _ ("All finished transfers are forgotten. The files stay where they are."));
  adw_alert_dialog_add_responses (alert, "cancel", _ ("_Cancel"), "clear", _ ("C_lear"), NULL);
  adw_alert_dialog_set_response_appearance (alert, "clear", ADW_RESPONSE_DESTRUCTIVE);
  adw_alert_dialog_set_default_response (alert, "cancel");
  adw_alert_dialog_set_close_response (alert, "cancel");
  g_signal_connect_object (alert, "response", G_CALLBACK (clear_answered), self, 0);
  adw_dialog_present (ADW_DIALOG (alert), widget);
}

static void
find (GtkWidget *widget, const char *action, GVariant *parameter)
{
  PhHistoryDialog *self = PH_HISTORY_DIALOG (widget);

  gtk_search_bar_set_search_mode (GTK_SEARCH_BAR (self->search_bar), TRUE);
  gtk_widget_grab_focus (GTK_WIDGET (self->search_entry));
}

/* F10, as in a window: GTK would look for the menu of the window behind. */
static gboolean
open_menu (GtkWidget *widget, GVariant *args, gpointer user_data)
{
  gtk_menu_button_popup (PH_HISTORY_DIALOG (widget)->menu_button);
  return GDK_EVENT_STOP;
}

/* --- Object ---------------------------------------------------------------------------------------- */

static void
count_changed (PhHistoryDialog *self)
{
  guint n;

  g_object_get (self->history, "n-items", &n, NULL);
  gtk_widget_action_set_enabled (GTK_WIDGET (self), "history.clear", n > 0);
}

static void
ph_history_dialog_constructed (GObject *object)
{
  PhHistoryDialog *self = PH_HISTORY_DIALOG (object);
  GSimpleActionGroup *group = g_simple_action_group_new ();
  g_autoptr (GPropertyAction) missed_only = NULL;

  G_OBJECT_CLASS (ph_history_dialog_parent_class)->constructed (object);
  self->history = ph_history_new (
      self->client, self->contact != NULL ? ph_contact_item_id (self->contact) : NULL);
  g_object_notify_by_pspec (object, properties[PROP_HISTORY]);
  g_object_notify_by_pspec (object, properties[PROP_EMPTY_TEXT]);
  if (self->contact != NULL) {
    g_autofree char *title = g_strdup_printf (
        /* Translators: %s is the name of a person or device. */
        _ ("History With %s"), ph_contact_item_display_name (self->contact));

    adw_navigation_page_set_title (self->list_page, title);
  }
  adw_dialog_set_title (ADW_DIALOG (self), adw_navigation_page_get_title (self->list_page));
  gtk_search_bar_connect_entry (GTK_SEARCH_BAR (self->search_bar),
                                GTK_EDITABLE (self->search_entry));
  g_object_bind_property (self->search_entry, "text", self->history, "search", 0);
  gtk_list_box_bind_model (self->list, ph_history_get_items (self->history), make_row, NULL, NULL);
  g_signal_connect_object (self->history, "notify::n-items", G_CALLBACK (count_changed), self,
                           G_CONNECT_SWAPPED);
  count_changed (self);

  missed_only = g_property_action_new ("missed-only", self->history, "missed-only");
  g_action_map_add_action (G_ACTION_MAP (group), G_ACTION (missed_only));
  gtk_widget_insert_action_group (GTK_WIDGET (self), "filter", G_ACTION_GROUP (group));
  g_object_unref (group);
}

static void
ph_history_dialog_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhHistoryDialog *self = PH_HISTORY_DIALOG (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  case PROP_CONTACT:
    g_value_set_object (value, self->contact);
    break;
  case PROP_HISTORY:
    g_value_set_object (value, self->history);
    break;
  case PROP_EMPTY_TEXT:
    g_value_set_string (value, empty_text (self));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_history_dialog_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  PhHistoryDialog *self = PH_HISTORY_DIALOG (object);

  switch (id) {
  case PROP_CLIENT:
    self->client = g_value_dup_object (value);
    break;
  case PROP_CONTACT:
    self->contact = g_value_dup_object (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_history_dialog_dispose (GObject *object)
{
  gtk_widget_dispose_template (GTK_WIDGET (object), PH_TYPE_HISTORY_DIALOG);
  G_OBJECT_CLASS (ph_history_dialog_parent_class)->dispose (object);
}

static void
ph_history_dialog_finalize (GObject *object)
{
  PhHistoryDialog *self = PH_HISTORY_DIALOG (object);

  g_clear_object (&self->history);
  g_clear_object (&self->contact);
  g_clear_object (&self->client);
  G_OBJECT_CLASS (ph_history_dialog_parent_class)->finalize (object);
}

static void
install_actions (GtkWidgetClass *widget_class)
{
  gtk_widget_class_install_action (widget_class, "history.open", "s", open_transfer);
  gtk_widget_class_install_action (widget_class, "history.show-in-folder", "s", show_in_folder);
  gtk_widget_class_install_action (widget_class, "history.send-again", "s", send_again);
  gtk_widget_class_install_action (widget_class, "history.forget", "s", forget);
  gtk_widget_class_install_action (widget_class, "history.clear", NULL, clear);
  gtk_widget_class_install_action (widget_class, "history.find", NULL, find);
  gtk_widget_class_add_binding_action (widget_class, GDK_KEY_f, GDK_CONTROL_MASK, "history.find",
                                       NULL);
  gtk_widget_class_add_binding (widget_class, GDK_KEY_F10, 0, open_menu, NULL);
}

static void
ph_history_dialog_class_init (PhHistoryDialogClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags once = readable | G_PARAM_WRITABLE | G_PARAM_CONSTRUCT_ONLY;

  object_class->constructed = ph_history_dialog_constructed;
  object_class->get_property = ph_history_dialog_get_property;
  object_class->set_property = ph_history_dialog_set_property;
  object_class->dispose = ph_history_dialog_dispose;
  object_class->finalize = ph_history_dialog_finalize;
  properties[PROP_CLIENT] = g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT, once);
  properties[PROP_CONTACT] =
      g_param_spec_object ("contact", NULL, NULL, PH_TYPE_CONTACT_ITEM, once);
  properties[PROP_HISTORY] = g_param_spec_object ("history", NULL, NULL, PH_TYPE_HISTORY, readable);
  properties[PROP_EMPTY_TEXT] = g_param_spec_string ("empty-text", NULL, NULL, "", readable);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  install_actions (widget_class);
  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-history-dialog.ui");
  gtk_widget_class_bind_template_child (widget_class, PhHistoryDialog, view);
  gtk_widget_class_bind_template_child (widget_class, PhHistoryDialog, list_page);
  gtk_widget_class_bind_template_child (widget_class, PhHistoryDialog, toasts);
  gtk_widget_class_bind_template_child (widget_class, PhHistoryDialog, search_bar);
  gtk_widget_class_bind_template_child (widget_class, PhHistoryDialog, search_entry);
  gtk_widget_class_bind_template_child (widget_class, PhHistoryDialog, list);
  gtk_widget_class_bind_template_child (widget_class, PhHistoryDialog, menu_button);
  gtk_widget_class_bind_template_callback (widget_class, visible_page);
  gtk_widget_class_bind_template_callback (widget_class, edge_reached);
  gtk_widget_class_bind_template_callback (widget_class, row_activated);
  ph_closures_bind (widget_class);
}

static void
ph_history_dialog_init (PhHistoryDialog *self)
{
  gtk_widget_init_template (GTK_WIDGET (self));
  ph_escape_past_toasts (GTK_WIDGET (self->list));
}

AdwDialog *
ph_history_dialog_new (PhClient *client, PhContactItem *contact)
{
  return g_object_new (PH_TYPE_HISTORY_DIALOG, "client", client, "contact", contact, NULL);
}
