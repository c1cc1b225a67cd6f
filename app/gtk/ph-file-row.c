/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-file-row.h"

#include "app/gtk/ph-closures.h"
#include "app/model/ph-transfer-words.h"

#include <glib/gi18n.h>

struct _PhFileRow {
  AdwActionRow parent_instance;

  PhFileItem *file;
};

enum { PROP_0, PROP_FILE, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhFileRow, ph_file_row, ADW_TYPE_ACTION_ROW)

static char *
file_words (PhFileRow *self, const char *size, const char *state, const char *sha256,
            const char *sent_as)
{
  GString *words = g_string_new (size);

  if (state != NULL && *state != '\0')
    g_string_append_printf (words, "%s%s", words->len > 0 ? " · " : "", state);
  if (sent_as != NULL && *sent_as != '\0') {
    g_string_append (words, words->len > 0 ? "\n" : "");
    /* Translators: %s is the name that a file had at the other side: another than here, where it could not be used */
    g_string_append_printf (words, _ ("Sent as “%s”"), sent_as);
  }
  if (sha256 != NULL && *sha256 != '\0') {
    g_autofree char *groups = ph_transfer_digest (sha256);

    g_string_append_printf (words, "%sSHA-256 %s", words->len > 0 ? "\n" : "", groups);
  }
  return g_string_free_and_steal (words);
}

static char *
file_icon (PhFileRow *self, gboolean folder)
{
  return g_strdup (folder ? "folder-symbolic" : "text-x-generic-symbolic");
}

static void
copy_sha256 (PhFileRow *self)
{
  g_autofree char *sha256 = NULL;

  g_object_get (self->file, "sha256", &sha256, NULL);
  ph_copy_text (GTK_WIDGET (self), sha256, _ ("SHA-256 copied"));
}

static void
ph_file_row_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  switch (id) {
  case PROP_FILE:
    g_value_set_object (value, PH_FILE_ROW (object)->file);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_file_row_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  switch (id) {
  case PROP_FILE:
    PH_FILE_ROW (object)->file = g_value_dup_object (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_file_row_dispose (GObject *object)
{
  gtk_widget_dispose_template (GTK_WIDGET (object), PH_TYPE_FILE_ROW);
  g_clear_object (&PH_FILE_ROW (object)->file);
  G_OBJECT_CLASS (ph_file_row_parent_class)->dispose (object);
}

static void
ph_file_row_class_init (PhFileRowClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);

  object_class->get_property = ph_file_row_get_property;
  object_class->set_property = ph_file_row_set_property;
  object_class->dispose = ph_file_row_dispose;
  properties[PROP_FILE] =
      g_param_spec_object ("file", NULL, NULL, PH_TYPE_FILE_ITEM,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);
  gtk_widget_class_set_template_from_resource (widget_class,
                                               "/org/porthole/Porthole/ph-file-row.ui");
  gtk_widget_class_bind_template_callback (widget_class, file_words);
  gtk_widget_class_bind_template_callback (widget_class, file_icon);
  gtk_widget_class_bind_template_callback (widget_class, copy_sha256);
  ph_closures_bind (widget_class);
}

static void
ph_file_row_init (PhFileRow *self)
{
  gtk_widget_init_template (GTK_WIDGET (self));
}

GtkWidget *
ph_file_row_new (PhFileItem *file)
{
  return g_object_new (PH_TYPE_FILE_ROW, "file", file, NULL);
}
