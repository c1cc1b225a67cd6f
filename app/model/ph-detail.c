/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-detail.h"

#include <stdbool.h>

struct _PhDetail {
  GObject parent_instance;

  char *title;
  char *value;
};

enum { PROP_0, PROP_TITLE, PROP_VALUE, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhDetail, ph_detail, G_TYPE_OBJECT)

static void
ph_detail_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhDetail *self = PH_DETAIL (object);

  switch (id) {
  case PROP_TITLE:
    g_value_set_string (value, self->title);
    break;
  case PROP_VALUE:
    g_value_set_string (value, self->value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_detail_finalize (GObject *object)
{
  PhDetail *self = PH_DETAIL (object);

  g_free (self->title);
  g_free (self->value);
  G_OBJECT_CLASS (ph_detail_parent_class)->finalize (object);
}

static void
ph_detail_class_init (PhDetailClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->get_property = ph_detail_get_property;
  object_class->finalize = ph_detail_finalize;
  properties[PROP_TITLE] = g_param_spec_string ("title", NULL, NULL, NULL, flags);
  properties[PROP_VALUE] = g_param_spec_string ("value", NULL, NULL, NULL, flags);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ph_detail_init (PhDetail *self)
{
}

void
ph_detail_add (GListStore *details, const char *title, const char *value)
{
  ph_detail_add_take (details, title, g_strdup (value));
}

void
ph_detail_add_take (GListStore *details, const char *title, char *value)
{
  g_autofree char *owned = value;
  g_autoptr (PhDetail) self = NULL;

  if (owned == NULL || *owned == '\0')
    return;
  self = g_object_new (PH_TYPE_DETAIL, NULL);
  self->title = g_strdup (title);
  self->value = g_steal_pointer (&owned);
  g_list_store_append (details, self);
}

const char *
ph_detail_title (PhDetail *self)
{
  return self->title;
}

const char *
ph_detail_value (PhDetail *self)
{
  return self->value;
}

/* --- Lists --------------------------------------------------------------------------------------- */

static bool
same (GListModel *a, GListModel *b, guint position)
{
  g_autoptr (PhDetail) x = g_list_model_get_item (a, position);
  g_autoptr (PhDetail) y = g_list_model_get_item (b, position);

  return x != NULL && y != NULL && g_str_equal (x->title, y->title)
         && g_str_equal (x->value, y->value);
}

void
ph_details_replace (GListStore *details, GListStore *fresh)
{
  GListModel *model = G_LIST_MODEL (details);
  const guint n = g_list_model_get_n_items (G_LIST_MODEL (fresh));

  for (guint i = 0; i < n; i++) {
    g_autoptr (PhDetail) item = NULL;

    if (same (model, G_LIST_MODEL (fresh), i))
      continue;
    item = g_list_model_get_item (G_LIST_MODEL (fresh), i);
    g_list_store_splice (details, i, i < g_list_model_get_n_items (model), (gpointer *)&item, 1);
  }
  if (g_list_model_get_n_items (model) > n)
    g_list_store_splice (details, n, g_list_model_get_n_items (model) - n, NULL, 0);
}

void
ph_details_write (GListModel *details, const char *heading, GString *out)
{
  const guint n = g_list_model_get_n_items (details);

  if (n == 0)
    return;
  if (out->len > 0)
    g_string_append_c (out, '\n');
  g_string_append_printf (out, "%s\n", heading);
  for (guint i = 0; i < n; i++) {
    g_autoptr (PhDetail) item = g_list_model_get_item (details, i);

    g_string_append_printf (out, "  %s: %s\n", item->title, item->value);
  }
}
