/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-network-button.h"

#include "app/model/ph-network-words.h"

#include <glib/gi18n.h>

struct _PhNetworkButton {
  AdwBin parent_instance;

  GtkButton *button;
  GtkImage *image;

  PhClient *client;
  const char *style; /* class on the image; "" none */
};

enum { PROP_0, PROP_CLIENT, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhNetworkButton, ph_network_button, ADW_TYPE_BIN)

static void
show (PhNetworkButton *self, const char *icon, const char *style, const char *words)
{
  g_autofree char *label = NULL;

  gtk_image_set_from_icon_name (self->image, icon);
  if (*self->style != '\0')
    gtk_widget_remove_css_class (GTK_WIDGET (self->image), self->style);
  if (*style != '\0')
    gtk_widget_add_css_class (GTK_WIDGET (self->image), style);
  self->style = style;
  gtk_widget_set_tooltip_text (GTK_WIDGET (self->button), words);
  /* Translators: the name of a button for screen readers; %s is a sentence about the network. */
  label = g_strdup_printf (_ ("Network: %s"), words);
  gtk_accessible_update_property (GTK_ACCESSIBLE (self->button), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                  label, -1);
}

static void
refresh (PhNetworkButton *self)
{
  const char *offline = ph_client_get_status_text (self->client);
  PhReach reach;

  if (ph_client_get_status (self->client) != PH_STATUS_ONLINE && *offline != '\0') {
    show (self, "ph-reach-offline-symbolic", "warning", offline);
    return;
  }
  reach = ph_network_reach (ph_client_get_network (self->client));
  show (self, ph_reach_icon (reach), ph_reach_style (reach), ph_reach_headline (reach));
}

void
ph_network_button_set_client (PhNetworkButton *self, PhClient *client)
{
  g_return_if_fail (PH_IS_NETWORK_BUTTON (self));

  if (self->client != NULL) {
    g_signal_handlers_disconnect_by_data (self->client, self);
    g_signal_handlers_disconnect_by_data (ph_client_get_network (self->client), self);
  }
  if (!g_set_object (&self->client, client) || client == NULL)
    return;
  g_signal_connect_object (client, "notify::status", G_CALLBACK (refresh), self, G_CONNECT_SWAPPED);
  g_signal_connect_object (client, "notify::status-text", G_CALLBACK (refresh), self,
                           G_CONNECT_SWAPPED);
  g_signal_connect_object (ph_client_get_network (client), "notify::report", G_CALLBACK (refresh),
                           self, G_CONNECT_SWAPPED);
  refresh (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CLIENT]);
}

static void
ph_network_button_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, PH_NETWORK_BUTTON (object)->client);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_network_button_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  switch (id) {
  case PROP_CLIENT:
    ph_network_button_set_client (PH_NETWORK_BUTTON (object), g_value_get_object (value));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_network_button_dispose (GObject *object)
{
  g_clear_object (&PH_NETWORK_BUTTON (object)->client);
  G_OBJECT_CLASS (ph_network_button_parent_class)->dispose (object);
}

static void
ph_network_button_class_init (PhNetworkButtonClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->get_property = ph_network_button_get_property;
  object_class->set_property = ph_network_button_set_property;
  object_class->dispose = ph_network_button_dispose;
  properties[PROP_CLIENT] =
      g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT,
                           G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ph_network_button_init (PhNetworkButton *self)
{
  self->style = "";
  self->image = GTK_IMAGE (gtk_image_new ());
  gtk_accessible_update_state (GTK_ACCESSIBLE (self->image), GTK_ACCESSIBLE_STATE_HIDDEN, TRUE, -1);
  self->button = GTK_BUTTON (gtk_button_new ());
  gtk_button_set_child (self->button, GTK_WIDGET (self->image));
  gtk_widget_add_css_class (GTK_WIDGET (self->button), "image-button");
  gtk_actionable_set_action_name (GTK_ACTIONABLE (self->button), "app.network");
  adw_bin_set_child (ADW_BIN (self), GTK_WIDGET (self->button));
}
