/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-file-item.h"

#include "app/engine/ph-safe-name.h"
#include "app/model/ph-format.h"

#include <glib/gi18n.h>

struct _PhFileItem {
  GObject parent_instance;

  char *path;
  char *display_path;
  char *sent_as;
  char *sha256;
  uint64_t size;
  uint32_t index;
  PhFileState state;
  bool folder;
};

enum {
  PROP_0,
  PROP_PATH,
  PROP_SENT_AS,
  PROP_FOLDER,
  PROP_SIZE,
  PROP_SIZE_TEXT,
  PROP_SHA256,
  PROP_STATE,
  PROP_STATE_TEXT,
  N_PROPS
};

G_DEFINE_FINAL_TYPE (PhFileItem, ph_file_item, G_TYPE_OBJECT)

static const char *
state_text (PhFileState state)
{
  switch (state) {
  case PH_FILE_PARTIAL:
    return C_ ("state of a file", "Under way");
  case PH_FILE_DONE:
    return C_ ("state of a file", "Complete");
  case PH_FILE_WAITING:
  default:
    return C_ ("state of a file", "Waiting");
  }
}

static void
ph_file_item_finalize (GObject *object)
{
  PhFileItem *self = PH_FILE_ITEM (object);

  g_free (self->path);
  g_free (self->display_path);
  g_free (self->sent_as);
  g_free (self->sha256);
  G_OBJECT_CLASS (ph_file_item_parent_class)->finalize (object);
}

static void
ph_file_item_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhFileItem *self = PH_FILE_ITEM (object);

  switch (id) {
  case PROP_PATH:
    g_value_set_string (value, self->display_path);
    break;
  case PROP_SENT_AS:
    g_value_set_string (value, self->sent_as);
    break;
  case PROP_FOLDER:
    g_value_set_boolean (value, self->folder);
    break;
  case PROP_SIZE:
    g_value_set_uint64 (value, self->size);
    break;
  case PROP_SIZE_TEXT:
    g_value_take_string (value, self->folder ? g_strdup ("") : ph_format_size (self->size));
    break;
  case PROP_SHA256:
    g_value_set_string (value, self->sha256);
    break;
  case PROP_STATE:
    g_value_set_int (value, (int)self->state);
    break;
  case PROP_STATE_TEXT:
    g_value_set_string (value, state_text (self->state));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_file_item_class_init (PhFileItemClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  GParamSpec *properties[N_PROPS] = {
      [PROP_PATH] = g_param_spec_string ("path", NULL, NULL, "", flags),
      [PROP_SENT_AS] = g_param_spec_string ("sent-as", NULL, NULL, "", flags),
      [PROP_FOLDER] = g_param_spec_boolean ("folder", NULL, NULL, FALSE, flags),
      [PROP_SIZE] = g_param_spec_uint64 ("size", NULL, NULL, 0, G_MAXUINT64, 0, flags),
      [PROP_SIZE_TEXT] = g_param_spec_string ("size-text", NULL, NULL, "", flags),
      [PROP_SHA256] = g_param_spec_string ("sha256", NULL, NULL, "", flags),
      [PROP_STATE] = g_param_spec_int ("state", NULL, NULL, 0, PH_FILE_DONE, 0, flags),
      [PROP_STATE_TEXT] = g_param_spec_string ("state-text", NULL, NULL, "", flags),
  };

  object_class->finalize = ph_file_item_finalize;
  object_class->get_property = ph_file_item_get_property;
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ph_file_item_init (PhFileItem *self)
{
}

PhFileItem *
ph_file_item_new (const PhFileView *view)
{
  PhFileItem *self = g_object_new (PH_TYPE_FILE_ITEM, NULL);

  self->path = g_strdup (view->path);
  self->display_path = ph_display_name (view->path);
  self->sent_as = ph_display_name (view->sent_as);
  self->sha256 = g_strdup (view->sha256);
  self->size = view->size;
  self->index = view->index;
  self->state = view->state;
  self->folder = view->folder;
  return self;
}

uint32_t
ph_file_item_index (PhFileItem *self)
{
  return self->index;
}

const char *
ph_file_item_path (PhFileItem *self)
{
  return self->path;
}
