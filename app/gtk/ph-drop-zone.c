/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/gtk/ph-drop-zone.h"

#include "app/gtk/ph-send.h"
#include "app/model/ph-file-count.h"
#include "app/model/ph-format.h"

typedef struct {
  GtkWidget *widget; /* borrowed: it owns the drop target, which owns this */
  PhClient *client;
  GCancellable *counting; /* NULL: nothing is counted */
} Zone;

/* What a count is for; a count that was overtaken is cancelled and touches nothing. */
typedef struct {
  GtkWidget *widget;
  PhContactItem *contact;
} Question;

static void
question_free (Question *question)
{
  g_object_unref (question->widget);
  g_object_unref (question->contact);
  g_free (question);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Question, question_free)

static void
stop_counting (Zone *zone)
{
  g_cancellable_cancel (zone->counting);
  g_clear_object (&zone->counting);
}

static void
zone_free (gpointer data)
{
  Zone *zone = data;

  stop_counting (zone);
  g_object_unref (zone->client);
  g_free (zone);
}

/* Who is there; NULL: nobody to send to. */
static PhContactItem *
get_contact (Zone *zone)
{
  PhContactItem *contact = NULL;

  g_object_get (zone->widget, "contact", &contact, NULL);
  if (contact != NULL && ph_contact_item_blocked (contact))
    g_clear_object (&contact);
  return contact;
}

static void
say (GtkWidget *widget, PhContactItem *contact, const PhFileCount *count)
{
  g_autofree char *text = NULL;

  if (contact != NULL)
    text =
        ph_format_send_to (ph_contact_item_name (contact), count->files, count->bytes, count->more);
  g_object_set (widget, "drop-message", text, NULL);
}

/* --- What is dragged ----------------------------------------------------------------------------- */

static void
counted (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Question) question = data;
  PhFileCount count;

  if (ph_file_count_finish (result, &count, NULL))
    say (question->widget, question->contact, &count);
}

static void
value_changed (GtkDropTarget *target, GParamSpec *pspec, Zone *zone)
{
  const GValue *value = gtk_drop_target_get_value (target);
  g_autoptr (PhContactItem) contact = get_contact (zone);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_autoptr (GSList) files = NULL;
  g_auto (GStrv) paths = NULL;
  Question *question;

  stop_counting (zone);
  if (value == NULL || contact == NULL || !G_VALUE_HOLDS (value, GDK_TYPE_FILE_LIST))
    return;
  files = gdk_file_list_get_files (g_value_get_boxed (value));
  for (GSList *l = files; l != NULL; l = l->next) {
    if (g_file_peek_path (l->data) != NULL)
      g_strv_builder_add (builder, g_file_peek_path (l->data));
  }
  paths = g_strv_builder_end (builder);
  question = g_new0 (Question, 1);
  question->widget = g_object_ref (zone->widget);
  question->contact = g_object_ref (contact);
  zone->counting = g_cancellable_new ();
  ph_file_count_async ((const char *const *)paths, zone->counting, counted, question);
}

static gboolean
acceptable (GtkDropTarget *target, GdkDrop *drop, Zone *zone)
{
  g_autoptr (PhContactItem) contact = get_contact (zone);

  return contact != NULL
         && gdk_content_formats_match (gtk_drop_target_get_formats (target),
                                       gdk_drop_get_formats (drop));
}

static GdkDragAction
entered (GtkDropTarget *target, double x, double y, Zone *zone)
{
  g_autoptr (PhContactItem) contact = get_contact (zone);

  say (zone->widget, contact, &(PhFileCount){0});
  return GDK_ACTION_COPY;
}

static void
left (GtkDropTarget *target, Zone *zone)
{
  stop_counting (zone);
  say (zone->widget, NULL, NULL);
}

static gboolean
dropped (GtkDropTarget *target, const GValue *value, double x, double y, Zone *zone)
{
  g_autoptr (PhContactItem) contact = get_contact (zone);
  g_autoptr (GListModel) files = NULL;
  g_autoptr (GSList) list = NULL;

  left (target, zone);
  if (contact == NULL || !G_VALUE_HOLDS (value, GDK_TYPE_FILE_LIST))
    return FALSE;
  list = gdk_file_list_get_files (g_value_get_boxed (value));
  files = ph_send_list_files (list);
  ph_send_files (zone->widget, zone->client, contact, files);
  return TRUE;
}

void
ph_drop_zone_add (GtkWidget *widget, PhClient *client)
{
  GtkDropTarget *target = gtk_drop_target_new (GDK_TYPE_FILE_LIST, GDK_ACTION_COPY);
  Zone *zone = g_new0 (Zone, 1);

  zone->widget = widget;
  zone->client = g_object_ref (client);
  g_object_set_data_full (G_OBJECT (target), "zone", zone, zone_free);
  /* The files are asked for while they hang there, to be counted. */
  gtk_drop_target_set_preload (target, TRUE);
  g_signal_connect (target, "accept", G_CALLBACK (acceptable), zone);
  g_signal_connect (target, "enter", G_CALLBACK (entered), zone);
  g_signal_connect (target, "leave", G_CALLBACK (left), zone);
  g_signal_connect (target, "drop", G_CALLBACK (dropped), zone);
  g_signal_connect (target, "notify::value", G_CALLBACK (value_changed), zone);
  gtk_widget_add_controller (widget, GTK_EVENT_CONTROLLER (target));
}
