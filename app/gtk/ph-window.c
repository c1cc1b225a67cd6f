/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-window.h"

#include "app/gtk/ph-announcer.h"
#include "app/gtk/ph-people-page.h"
#include "app/gtk/ph-person-page.h"
#include "app/gtk/ph-welcome.h"

#include <glib/gi18n.h>

struct _PhWindow {
  AdwApplicationWindow parent_instance;

  PhClient *client;

  AdwNavigationSplitView *split_view;
  AdwToastOverlay *toasts;
  PhPeoplePage *people_page;
  PhPersonPage *person_page;
  GtkStack *stack;
  PhWelcome *welcome;
};

enum { PROP_0, PROP_CLIENT, N_PROPS };

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhWindow, ph_window, ADW_TYPE_APPLICATION_WINDOW)

/* --- Pages --------------------------------------------------------------------------------------- */

static void
person_selected (PhWindow *self)
{
  PhContactItem *contact = NULL;

  g_object_get (self->people_page, "selected", &contact, NULL);
  ph_person_page_set_contact (self->person_page, contact);
  if (contact == NULL)
    adw_navigation_split_view_set_show_content (self->split_view, FALSE);
  g_clear_object (&contact);
}

static void
person_activated (PhWindow *self, PhContactItem *contact)
{
  adw_navigation_split_view_set_show_content (self->split_view, TRUE);
}

void
ph_window_show_contact (PhWindow *self, PhContactItem *contact)
{
  g_return_if_fail (PH_IS_WINDOW (self));
  ph_people_page_select (self->people_page, contact);
  adw_navigation_split_view_set_show_content (self->split_view, contact != NULL);
}

PhContactItem *
ph_window_get_contact (PhWindow *self)
{
  g_return_val_if_fail (PH_IS_WINDOW (self), NULL);
  if (adw_navigation_split_view_get_collapsed (self->split_view)
      && !adw_navigation_split_view_get_show_content (self->split_view))
    return NULL;
  return ph_person_page_get_contact (self->person_page);
}

/* --- First start --------------------------------------------------------------------------------- */

static void
welcome_done (PhWindow *self)
{
  gtk_stack_set_visible_child_name (self->stack, "main");
}

/* Asks for a name, unless there is one or people know this device by what it is called. */
static void
loaded (PhWindow *self)
{
  if (!ph_client_get_loaded (self->client) || ph_client_setting_is_set (self->client, "name")
      || g_list_model_get_n_items (ph_client_get_contacts (self->client)) > 0)
    return;
  ph_welcome_set_client (self->welcome, self->client);
  gtk_stack_set_visible_child_name (self->stack, "welcome");
}

/* --- Actions ------------------------------------------------------------------------------------- */

void
ph_window_search (PhWindow *self, const char *text)
{
  g_return_if_fail (PH_IS_WINDOW (self));
  adw_navigation_split_view_set_show_content (self->split_view, FALSE);
  ph_people_page_search (self->people_page, text);
}

static void
search_activated (GtkWidget *widget, const char *name, GVariant *parameter)
{
  ph_window_search (PH_WINDOW (widget), NULL);
}

/* win.paste and its like are person.paste of the page that is shown. */
static void
person_action_activated (GtkWidget *widget, const char *name, GVariant *parameter)
{
  PhWindow *self = PH_WINDOW (widget);
  g_autofree char *action = g_strconcat ("person.", name + strlen ("win."), NULL);

  if (ph_window_get_contact (self) != NULL)
    gtk_widget_activate_action_variant (GTK_WIDGET (self->person_page), action, NULL);
}

/* --- Object -------------------------------------------------------------------------------------- */

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
  gtk_widget_class_bind_template_child (widget_class, PhWindow, people_page);
  gtk_widget_class_bind_template_child (widget_class, PhWindow, person_page);
  gtk_widget_class_bind_template_child (widget_class, PhWindow, stack);
  gtk_widget_class_bind_template_child (widget_class, PhWindow, welcome);
  gtk_widget_class_bind_template_callback (widget_class, welcome_done);
  gtk_widget_class_bind_template_callback (widget_class, person_activated);
  gtk_widget_class_bind_template_callback (widget_class, person_selected);

  gtk_widget_class_install_action (widget_class, "win.search", NULL, search_activated);
  gtk_widget_class_install_action (widget_class, "win.send-files", NULL, person_action_activated);
  gtk_widget_class_install_action (widget_class, "win.send-folder", NULL, person_action_activated);
  gtk_widget_class_install_action (widget_class, "win.paste", NULL, person_action_activated);
  /* Not an accelerator of the application: a text field comes first. */
  gtk_widget_class_add_binding_action (widget_class, GDK_KEY_v, GDK_CONTROL_MASK, "win.paste",
                                       NULL);
}

static void
ph_window_init (PhWindow *self)
{
  g_type_ensure (PH_TYPE_PEOPLE_PAGE);
  g_type_ensure (PH_TYPE_PERSON_PAGE);
  g_type_ensure (PH_TYPE_WELCOME);
  gtk_widget_init_template (GTK_WIDGET (self));
}

PhWindow *
ph_window_new (PhApplication *application, PhClient *client)
{
  PhWindow *self =
      g_object_new (PH_TYPE_WINDOW, "application", application, "client", client, NULL);

  ph_announcer_add (GTK_WIDGET (self), client);
  g_signal_connect_object (client, "notify::loaded", G_CALLBACK (loaded), self, G_CONNECT_SWAPPED);
  loaded (self);
  return self;
}

PhClient *
ph_window_get_client (PhWindow *self)
{
  g_return_val_if_fail (PH_IS_WINDOW (self), NULL);
  return self->client;
}

/* --- Toasts and troubles ------------------------------------------------------------------------- */

void
ph_window_add_toast (PhWindow *self, AdwToast *toast)
{
  g_return_if_fail (PH_IS_WINDOW (self));
  adw_toast_overlay_add_toast (self->toasts, toast);
}

/* What a toast with Undo is about. */
typedef struct {
  void (*undo) (gpointer data);
  void (*commit) (gpointer data);
  gpointer data;
  GDestroyNotify free_data;
} Undo;

static void
undo_clicked (AdwToast *toast, Undo *undo)
{
  undo->undo (undo->data);
  undo->commit = NULL;
}

/* With the toast, however it went: when its time was over, or with the window. */
static void
undo_gone (gpointer data, GClosure *closure)
{
  Undo *undo = data;

  if (undo->commit != NULL)
    undo->commit (undo->data);
  undo->free_data (undo->data);
  g_free (undo);
}

void
ph_window_offer_undo (PhWindow *self, const char *title, void (*undo) (gpointer data),
                      void (*commit) (gpointer data), gpointer data, GDestroyNotify free_data)
{
  AdwToast *toast = adw_toast_new (title);
  Undo *offer = g_new0 (Undo, 1);

  g_return_if_fail (PH_IS_WINDOW (self));

  *offer = (Undo){undo, commit, data, free_data};
  adw_toast_set_use_markup (toast, FALSE);
  adw_toast_set_button_label (toast, _ ("_Undo"));
  g_signal_connect_data (toast, "button-clicked", G_CALLBACK (undo_clicked), offer, undo_gone,
                         G_CONNECT_DEFAULT);
  ph_window_add_toast (self, toast);
}

PhWindow *
ph_window_of (GtkWidget *widget)
{
  GtkWidget *window = gtk_widget_get_ancestor (widget, PH_TYPE_WINDOW);

  return window != NULL ? PH_WINDOW (window) : NULL;
}

void
ph_window_report (GtkWidget *widget, const char *heading, const GError *error)
{
  AdwAlertDialog *dialog;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  dialog = ADW_ALERT_DIALOG (adw_alert_dialog_new (heading, error->message));
  adw_alert_dialog_add_response (dialog, "close", _ ("_Close"));
  adw_dialog_present (ADW_DIALOG (dialog), widget);
}
