/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-window.h"

#include <glib/gi18n.h>

struct _PhWindow {
  AdwApplicationWindow parent_instance;

  PhClient *client;

  AdwNavigationSplitView *split_view;
  AdwToastOverlay *toasts;
};

enum { PROP_0, PROP_CLIENT, N_PROPS };

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhWindow, ph_window, ADW_TYPE_APPLICATION_WINDOW)

static void
ph_window_dispose (GObject *object)
{
  PhWindow *self = PH_WINDOW (object);

  gtk_widget_dispose_template (GTK_WIDGET (self), PH_TYPE_WINDOW);
  g_clear_object (&self->client);
  G_OBJECT_CLASS (ph_window_parent_class)->dispose (object);
}

static void
ph_window_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhWindow *self = PH_WINDOW (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_window_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  PhWindow *self = PH_WINDOW (object);

  switch (id) {
  case PROP_CLIENT:
    self->client = g_value_dup_object (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_window_class_init (PhWindowClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);

  object_class->dispose = ph_window_dispose;
  object_class->get_property = ph_window_get_property;
  object_class->set_property = ph_window_set_property;

  properties[PROP_CLIENT] =
      g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gtk_widget_class_set_template_from_resource (widget_class, "/org/porthole/Porthole/ph-window.ui");
  gtk_widget_class_bind_template_child (widget_class, PhWindow, split_view);
  gtk_widget_class_bind_template_child (widget_class, PhWindow, toasts);
}

static void
ph_window_init (PhWindow *self)
{
  gtk_widget_init_template (GTK_WIDGET (self));
}

PhWindow *
ph_window_new (PhApplication *application, PhClient *client)
{
  return g_object_new (PH_TYPE_WINDOW, "application", application, "client", client, NULL);
}

PhClient *
ph_window_get_client (PhWindow *self)
{
  g_return_val_if_fail (PH_IS_WINDOW (self), NULL);
  return self->client;
}

void
ph_window_show_contact (PhWindow *self, PhContactItem *contact)
{
  g_return_if_fail (PH_IS_WINDOW (self));
  adw_navigation_split_view_set_show_content (self->split_view, contact != NULL);
}

void
ph_window_add_toast (PhWindow *self, AdwToast *toast)
{
  g_return_if_fail (PH_IS_WINDOW (self));
  adw_toast_overlay_add_toast (self->toasts, toast);
}
