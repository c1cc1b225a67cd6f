/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-network-dialog.h"

#include "app/gtk/ph-closures.h"
#include "app/gtk/ph-detail-list.h"
#include "app/gtk/ph-escape.h"
#include "app/model/ph-network-words.h"

#include <glib/gi18n.h>

/* "Last checked: 14:03" is told to the minute. */
#define REFRESH_INTERVAL_S 60

struct _PhNetworkDialog {
  AdwDialog parent_instance;

  PhDetailList *network_list;
  PhDetailList *servers_list;

  PhClient *client;
  GListStore *network_details;
  GListStore *servers_details;
  char *message; /* why the check failed */
  guint refresh_source;
};

enum {
  PROP_0,
  PROP_CLIENT,
  PROP_CHECKING,
  PROP_ICON_NAME,
  PROP_STYLE,
  PROP_HEADLINE,
  PROP_MEANING,
  PROP_CHECKED,
  PROP_MESSAGE,
  PROP_TESTING,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhNetworkDialog, ph_network_dialog, ADW_TYPE_DIALOG)

static int64_t
unix_now (void)
{
  return g_get_real_time () / G_USEC_PER_SEC;
}

static bool
is_checking (PhNetworkDialog *self)
{
  gboolean checking = FALSE;

  if (self->client != NULL)
    g_object_get (ph_client_get_network (self->client), "checking", &checking, NULL);
  return checking;
}

static bool
is_testing (PhNetworkDialog *self)
{
  return self->client != NULL
         && g_strcmp0 (ph_network_item_text (ph_client_get_network (self->client),
                                             "mapping_lifetime_testing"),
                       "true")
                == 0;
}

static char *
test_title (PhNetworkDialog *self, gboolean testing)
{
  return g_strdup (testing ? _ ("_Stop the Test of Unused Ports") : _ ("_Test Unused Ports"));
}

static char *
emblem_page (PhNetworkDialog *self, gboolean checking)
{
  return g_strdup (checking ? "checking" : "icon");
}

static char **
emblem_classes (PhNetworkDialog *self, const char *style)
{
  const char *const classes[] = {style, NULL};

  return g_strdupv ((char **)classes);
}

/* --- Following the engine -------------------------------------------------------------------------- */

static void
refresh (PhNetworkDialog *self)
{
  g_autoptr (GListStore) details = ph_network_details (ph_client_get_network (self->client));
  g_autoptr (GListStore) servers = ph_network_servers (self->client);

  ph_details_replace (self->network_details, details);
  ph_details_replace (self->servers_details, servers);
  gtk_widget_action_set_enabled (GTK_WIDGET (self), "network.check", !is_checking (self));
  for (guint id = PROP_CHECKING; id <= PROP_CHECKED; id++)
    g_object_notify_by_pspec (G_OBJECT (self), properties[id]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_TESTING]);
}

static gboolean
refresh_words (gpointer data)
{
  g_object_notify_by_pspec (data, properties[PROP_CHECKED]);
  return G_SOURCE_CONTINUE;
}

static void
show_message (PhNetworkDialog *self, const char *message)
{
  if (g_set_str (&self->message, message))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MESSAGE]);
}

static void
checked (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (PhNetworkDialog) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = ph_client_finish (PH_CLIENT (source), result, &error);

  if (!g_error_matches (error, PH_ENGINE_ERROR, PH_ENGINE_ERROR_CANCELLED))
    show_message (self, error != NULL ? error->message : "");
}

static void
check (GtkWidget *widget, const char *action, GVariant *parameter)
{
  PhNetworkDialog *self = PH_NETWORK_DIALOG (widget);

  show_message (self, "");
  ph_client_check_network_async (self->client, checked, g_object_ref (self));
}

/* Minutes: it goes on when the dialog is closed, and can be stopped. */
static void
test_lifetime (GtkWidget *widget, const char *action, GVariant *parameter)
{
  PhNetworkDialog *self = PH_NETWORK_DIALOG (widget);

  show_message (self, "");
  ph_client_measure_lifetime_async (self->client, !is_testing (self), checked, g_object_ref (self));
}

static void
copy (GtkWidget *widget, const char *action, GVariant *parameter)
{
  PhNetworkDialog *self = PH_NETWORK_DIALOG (widget);
  g_autofree char *report = ph_network_report_text (self->client, unix_now ());

  ph_copy_text (GTK_WIDGET (self->network_list), report, _ ("Report copied"));
}

/* --- Object ---------------------------------------------------------------------------------------- */

static void
ph_network_dialog_constructed (GObject *object)
{
  PhNetworkDialog *self = PH_NETWORK_DIALOG (object);

  G_OBJECT_CLASS (ph_network_dialog_parent_class)->constructed (object);
  ph_detail_list_set_model (self->network_list, G_LIST_MODEL (self->network_details));
  ph_detail_list_set_model (self->servers_list, G_LIST_MODEL (self->servers_details));
  g_signal_connect_object (ph_client_get_network (self->client), "notify", G_CALLBACK (refresh),
                           self, G_CONNECT_SWAPPED);
  g_signal_connect_object (self->client, "notify::status", G_CALLBACK (refresh), self,
                           G_CONNECT_SWAPPED);
  g_signal_connect_object (self->client, "setting-changed::rendezvous", G_CALLBACK (refresh), self,
                           G_CONNECT_SWAPPED);
  self->refresh_source = g_timeout_add_seconds (REFRESH_INTERVAL_S, refresh_words, self);
  refresh (self);
}

static void
ph_network_dialog_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhNetworkDialog *self = PH_NETWORK_DIALOG (object);
  PhNetworkItem *network;
  PhReach reach;

  /* The template is bound before the client is there. */
  if (self->client == NULL)
    return;
  network = ph_client_get_network (self->client);
  reach = ph_network_reach (network);
  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  case PROP_CHECKING:
    g_value_set_boolean (value, is_checking (self));
    break;
  case PROP_ICON_NAME:
    g_value_set_string (value, ph_reach_icon (reach));
    break;
  case PROP_STYLE:
    g_value_set_string (value, ph_reach_style (reach));
    break;
  case PROP_HEADLINE:
    g_value_set_string (value, ph_reach_headline (reach));
    break;
  case PROP_MEANING:
    g_value_set_string (value, ph_network_meaning (network));
    break;
  case PROP_CHECKED:
    g_value_take_string (value, ph_network_checked (network, unix_now ()));
    break;
  case PROP_MESSAGE:
    g_value_set_string (value, self->message);
    break;
  case PROP_TESTING:
    g_value_set_boolean (value, is_testing (self));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_network_dialog_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  switch (id) {
  case PROP_CLIENT:
    PH_NETWORK_DIALOG (object)->client = g_value_dup_object (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_network_dialog_dispose (GObject *object)
{
  g_clear_handle_id (&PH_NETWORK_DIALOG (object)->refresh_source, g_source_remove);
  gtk_widget_dispose_template (GTK_WIDGET (object), PH_TYPE_NETWORK_DIALOG);
  G_OBJECT_CLASS (ph_network_dialog_parent_class)->dispose (object);
}

static void
ph_network_dialog_finalize (GObject *object)
{
  PhNetworkDialog *self = PH_NETWORK_DIALOG (object);

  g_object_unref (self->network_details);
  g_object_unref (self->servers_details);
  g_clear_object (&self->client);
  g_free (self->message);
  G_OBJECT_CLASS (ph_network_dialog_parent_class)->finalize (object);
}

static void
ph_network_dialog_class_init (PhNetworkDialogClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->constructed = ph_network_dialog_constructed;
  object_class->get_property = ph_network_dialog_get_property;
  object_class->set_property = ph_network_dialog_set_property;
  object_class->dispose = ph_network_dialog_dispose;
  object_class->finalize = ph_network_dialog_finalize;

  properties[PROP_CLIENT] =
      g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);
  properties[PROP_CHECKING] = g_param_spec_boolean ("checking", NULL, NULL, FALSE, flags);
  properties[PROP_ICON_NAME] = g_param_spec_string ("icon-name", NULL, NULL, "", flags);
  properties[PROP_STYLE] = g_param_spec_string ("style", NULL, NULL, "", flags);
  properties[PROP_HEADLINE] = g_param_spec_string ("headline", NULL, NULL, "", flags);
  properties[PROP_MEANING] = g_param_spec_string ("meaning", NULL, NULL, "", flags);
  properties[PROP_CHECKED] = g_param_spec_string ("checked", NULL, NULL, "", flags);
  properties[PROP_MESSAGE] = g_param_spec_string ("message", NULL, NULL, "", flags);
  properties[PROP_TESTING] = g_param_spec_boolean ("testing", NULL, NULL, FALSE, flags);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gtk_widget_class_install_action (widget_class, "network.check", NULL, check);
  gtk_widget_class_install_action (widget_class, "network.test-lifetime", NULL, test_lifetime);
  gtk_widget_class_install_action (widget_class, "network.copy", NULL, copy);
  g_type_ensure (PH_TYPE_DETAIL_LIST);
  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-network-dialog.ui");
  gtk_widget_class_bind_template_child (widget_class, PhNetworkDialog, network_list);
  gtk_widget_class_bind_template_child (widget_class, PhNetworkDialog, servers_list);
  gtk_widget_class_bind_template_callback (widget_class, test_title);
  gtk_widget_class_bind_template_callback (widget_class, emblem_page);
  gtk_widget_class_bind_template_callback (widget_class, emblem_classes);
  ph_closures_bind (widget_class);
}

static void
ph_network_dialog_init (PhNetworkDialog *self)
{
  self->message = g_strdup ("");
  self->network_details = g_list_store_new (PH_TYPE_DETAIL);
  self->servers_details = g_list_store_new (PH_TYPE_DETAIL);
  gtk_widget_init_template (GTK_WIDGET (self));
  ph_escape_past_toasts (GTK_WIDGET (self->network_list));
}

AdwDialog *
ph_network_dialog_new (PhClient *client)
{
  return g_object_new (PH_TYPE_NETWORK_DIALOG, "client", client, NULL);
}
