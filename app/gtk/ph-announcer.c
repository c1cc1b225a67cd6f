/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-announcer.h"

#include "app/model/ph-format.h"

#include <glib/gi18n.h>

/* About as long as a sentence takes to be spoken. */
#define INTERVAL_MS 4000

typedef struct {
  GtkWidget *widget; /* borrowed: this goes with it */
  char *waiting; /* what is said next */
  unsigned others; /* and how much else there was to say */
  guint timer; /* runs while something is spoken */
} Announcer;

static void
announcer_free (gpointer data)
{
  Announcer *self = data;

  g_clear_handle_id (&self->timer, g_source_remove);
  g_free (self->waiting);
  g_free (self);
}

static gboolean
spoken (gpointer data)
{
  Announcer *self = data;
  g_autofree char *text = g_steal_pointer (&self->waiting);
  g_autofree char *more = NULL;

  if (text == NULL) {
    self->timer = 0;
    return G_SOURCE_REMOVE;
  }
  if (self->others > 0)
    /* Translators: %s is a sentence of its own: what has happened last */
    more = g_strdup_printf (ngettext ("%s, and %u more transfer has changed",
                                      "%s, and %u more transfers have changed", self->others),
                            text, self->others);
  self->others = 0;
  gtk_accessible_announce (GTK_ACCESSIBLE (self->widget), more != NULL ? more : text,
                           GTK_ACCESSIBLE_ANNOUNCEMENT_PRIORITY_MEDIUM);
  return G_SOURCE_CONTINUE;
}

static void
happened (PhClient *client, PhTransferItem *item, GtkWidget *widget)
{
  Announcer *self = g_object_get_data (G_OBJECT (widget), "announcer");
  char *text = ph_format_transfer_news (ph_transfer_item_view (item));

  if (text == NULL || self == NULL)
    return;
  if (self->waiting != NULL)
    self->others++;
  g_free (self->waiting);
  self->waiting = text;
  if (self->timer == 0) {
    self->timer = g_timeout_add (INTERVAL_MS, spoken, self);
    spoken (self);
  }
}

void
ph_announcer_add (GtkWidget *widget, PhClient *client)
{
  Announcer *self = g_new0 (Announcer, 1);

  self->widget = widget;
  g_object_set_data_full (G_OBJECT (widget), "announcer", self, announcer_free);
  g_signal_connect_object (client, "offered", G_CALLBACK (happened), widget, G_CONNECT_DEFAULT);
  g_signal_connect_object (client, "ended", G_CALLBACK (happened), widget, G_CONNECT_DEFAULT);
}
