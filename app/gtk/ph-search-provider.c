/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-search-provider.h"

#include "app/gtk/ph-window.h"
#include "app/model/ph-person-search.h"

#include <glib/gi18n.h>
#include <string.h>

struct _PhSearchProvider {
  GObject parent_instance;

  GQueue waiting; /* of GDBusMethodInvocation, owned: the contacts are not loaded */
  GDBusNodeInfo *info;
  guint object;
  GDBusConnection *connection; /* borrowed */
  PhApplication *application; /* borrowed */
};

G_DEFINE_FINAL_TYPE (PhSearchProvider, ph_search_provider, G_TYPE_OBJECT)

static const char introspection[] =
    "<node><interface name='org.gnome.Shell.SearchProvider2'>"
    "<method name='GetInitialResultSet'><arg type='as' name='terms' direction='in'/>"
    "<arg type='as' name='results' direction='out'/></method>"
    "<method name='GetSubsearchResultSet'><arg type='as' name='previous_results' direction='in'/>"
    "<arg type='as' name='terms' direction='in'/>"
    "<arg type='as' name='results' direction='out'/></method>"
    "<method name='GetResultMetas'><arg type='as' name='identifiers' direction='in'/>"
    "<arg type='aa{sv}' name='metas' direction='out'/></method>"
    "<method name='ActivateResult'><arg type='s' name='identifier' direction='in'/>"
    "<arg type='as' name='terms' direction='in'/>"
    "<arg type='u' name='timestamp' direction='in'/></method>"
    "<method name='LaunchSearch'><arg type='as' name='terms' direction='in'/>"
    "<arg type='u' name='timestamp' direction='in'/></method>"
    "</interface></node>";

/* --- What is told -------------------------------------------------------------------------------- */

/* Who was found is found again in a moment: looking anew is as cheap as looking among them. */
static void
search (PhClient *client, const char *const *terms, GDBusMethodInvocation *call)
{
  g_auto (GStrv) found = ph_person_search (ph_client_get_contacts (client), terms);

  g_dbus_method_invocation_return_value (call, g_variant_new ("(^as)", found));
}

static void
add_meta (GVariantBuilder *metas, PhContactItem *contact)
{
  g_autoptr (GIcon) icon = g_themed_icon_new ("avatar-default");
  g_autoptr (GVariant) picture = g_icon_serialize (icon);
  g_autofree char *name =
      /* Translators: a result of the desktop's search; %s is the name of a person or device */
      g_strdup_printf (_ ("Send to %s"), ph_contact_item_display_name (contact));
  g_autofree char *presence = NULL;

  g_object_get (contact, "presence-text", &presence, NULL);
  g_variant_builder_open (metas, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (metas, "{sv}", "id", g_variant_new_string (ph_contact_item_id (contact)));
  g_variant_builder_add (metas, "{sv}", "name", g_variant_new_string (name));
  g_variant_builder_add (metas, "{sv}", "description", g_variant_new_string (presence));
  g_variant_builder_add (metas, "{sv}", "icon", picture);
  g_variant_builder_close (metas);
}

static void
describe (PhClient *client, const char *const *ids, GDBusMethodInvocation *call)
{
  GVariantBuilder metas;

  g_variant_builder_init (&metas, G_VARIANT_TYPE ("aa{sv}"));
  for (; *ids != NULL; ids++) {
    PhContactItem *contact = ph_client_find_contact (client, *ids);

    if (contact != NULL && !ph_contact_item_blocked (contact))
      add_meta (&metas, contact);
  }
  g_dbus_method_invocation_return_value (call, g_variant_new ("(aa{sv})", &metas));
}

/* --- What is done -------------------------------------------------------------------------------- */

static PhWindow *
open_window (PhSearchProvider *self)
{
  GtkWindow *window;

  ph_application_wanted (self->application);
  g_application_activate (G_APPLICATION (self->application));
  window = gtk_application_get_active_window (GTK_APPLICATION (self->application));
  return PH_IS_WINDOW (window) ? PH_WINDOW (window) : NULL;
}

static void
activate_result (PhSearchProvider *self, const char *id)
{
  PhWindow *window = open_window (self);
  PhClient *client = ph_application_get_client (self->application);
  PhContactItem *contact = client != NULL ? ph_client_find_contact (client, id) : NULL;

  if (window == NULL || contact == NULL)
    return;
  ph_window_show_contact (window, contact);
  gtk_widget_activate_action (GTK_WIDGET (window), "win.send-files", NULL);
}

static void
launch_search (PhSearchProvider *self, const char *const *terms)
{
  PhWindow *window = open_window (self);
  g_autofree char *text = g_strjoinv (" ", (char **)terms);

  if (window != NULL)
    ph_window_search (window, text);
}

/* --- Calls --------------------------------------------------------------------------------------- */

/* Takes the call. A profile that cannot be opened has nobody in it. */
static void
serve (PhSearchProvider *self, GDBusMethodInvocation *call)
{
  PhClient *client = ph_application_get_client (self->application);
  const char *method = g_dbus_method_invocation_get_method_name (call);
  GVariant *parameters = g_dbus_method_invocation_get_parameters (call);
  g_autofree const char **words = NULL;
  const char *id;

  if (g_str_equal (method, "ActivateResult")) {
    g_variant_get (parameters, "(&s^a&su)", &id, &words, NULL);
    activate_result (self, id);
    g_dbus_method_invocation_return_value (call, NULL);
  } else if (g_str_equal (method, "LaunchSearch")) {
    g_variant_get (parameters, "(^a&su)", &words, NULL);
    launch_search (self, words);
    g_dbus_method_invocation_return_value (call, NULL);
  } else if (g_str_equal (method, "GetResultMetas")) {
    g_variant_get (parameters, "(^a&s)", &words);
    if (client != NULL)
      describe (client, words, call);
    else
      g_dbus_method_invocation_return_value (call, g_variant_new_parsed ("(@aa{sv} [],)"));
  } else {
    g_autoptr (GVariant) terms =
        g_variant_get_child_value (parameters, g_variant_n_children (parameters) - 1);

    words = g_variant_get_strv (terms, NULL);
    if (client != NULL)
      search (client, words, call);
    else
      g_dbus_method_invocation_return_value (call, g_variant_new_parsed ("(@as [],)"));
  }
}

static bool
is_ready (PhSearchProvider *self)
{
  PhClient *client = ph_application_get_client (self->application);

  return client == NULL || ph_client_get_loaded (client);
}

static void
called (GDBusConnection *connection, const char *sender, const char *path, const char *interface,
        const char *method, GVariant *parameters, GDBusMethodInvocation *call, gpointer data)
{
  PhSearchProvider *self = data;

  /* Somebody who types asks again: a program that the bus has started stays a while longer. */
  g_application_hold (G_APPLICATION (self->application));
  g_application_release (G_APPLICATION (self->application));
  if (is_ready (self))
    serve (self, call);
  else
    g_queue_push_tail (&self->waiting, call);
}

void
ph_search_provider_client_changed (PhSearchProvider *self)
{
  g_return_if_fail (PH_IS_SEARCH_PROVIDER (self));
  while (is_ready (self) && self->waiting.length > 0)
    serve (self, g_queue_pop_head (&self->waiting));
}

/* --- Object -------------------------------------------------------------------------------------- */

static void
ph_search_provider_finalize (GObject *object)
{
  PhSearchProvider *self = PH_SEARCH_PROVIDER (object);
  GDBusMethodInvocation *call;

  if (self->object != 0)
    g_dbus_connection_unregister_object (self->connection, self->object);
  while ((call = g_queue_pop_head (&self->waiting)) != NULL)
    g_dbus_method_invocation_return_error_literal (call, G_DBUS_ERROR, G_DBUS_ERROR_DISCONNECTED,
                                                   "closed");
  g_dbus_node_info_unref (self->info);
  G_OBJECT_CLASS (ph_search_provider_parent_class)->finalize (object);
}

static void
ph_search_provider_class_init (PhSearchProviderClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ph_search_provider_finalize;
}

static void
ph_search_provider_init (PhSearchProvider *self)
{
  g_queue_init (&self->waiting);
  self->info = g_dbus_node_info_new_for_xml (introspection, NULL);
}

PhSearchProvider *
ph_search_provider_new (PhApplication *application, GDBusConnection *connection,
                        const char *object_path, GError **error)
{
  static const GDBusInterfaceVTable vtable = {.method_call = called};
  g_autoptr (PhSearchProvider) self = g_object_new (PH_TYPE_SEARCH_PROVIDER, NULL);
  g_autofree char *path = g_strconcat (object_path, "/SearchProvider", NULL);

  self->application = application;
  self->connection = connection;
  self->object = g_dbus_connection_register_object (connection, path, self->info->interfaces[0],
                                                    &vtable, self, NULL, error);
  return self->object != 0 ? g_steal_pointer (&self) : NULL;
}
