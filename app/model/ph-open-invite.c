/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-open-invite.h"

#include "app/model/ph-format.h"

#include <glib/gi18n.h>
#include <json-glib/json-glib.h>

struct _PhOpenInvite {
  GObject parent_instance;

  char *link;
  char *title;
  char *made_text;
};

enum { PROP_0, PROP_LINK, PROP_TITLE, PROP_MADE_TEXT, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhOpenInvite, ph_open_invite, G_TYPE_OBJECT)

static void
ph_open_invite_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhOpenInvite *self = PH_OPEN_INVITE (object);

  switch (id) {
  case PROP_LINK:
    g_value_set_string (value, self->link);
    break;
  case PROP_TITLE:
    g_value_set_string (value, self->title);
    break;
  case PROP_MADE_TEXT:
    g_value_set_string (value, self->made_text);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_open_invite_finalize (GObject *object)
{
  PhOpenInvite *self = PH_OPEN_INVITE (object);

  g_free (self->link);
  g_free (self->title);
  g_free (self->made_text);
  G_OBJECT_CLASS (ph_open_invite_parent_class)->finalize (object);
}

static void
ph_open_invite_class_init (PhOpenInviteClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->get_property = ph_open_invite_get_property;
  object_class->finalize = ph_open_invite_finalize;
  properties[PROP_LINK] = g_param_spec_string ("link", NULL, NULL, "", flags);
  properties[PROP_TITLE] = g_param_spec_string ("title", NULL, NULL, "", flags);
  properties[PROP_MADE_TEXT] = g_param_spec_string ("made-text", NULL, NULL, "", flags);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ph_open_invite_init (PhOpenInvite *self)
{
}

static PhOpenInvite *
open_invite_new (JsonObject *object, const char *link, int64_t now)
{
  PhOpenInvite *self = g_object_new (PH_TYPE_OPEN_INVITE, NULL);
  const char *name = json_object_get_string_member_with_default (object, "name", "");
  g_autofree char *shown = ph_format_name (name);
  g_autofree char *moment =
      ph_format_moment (json_object_get_int_member_with_default (object, "made_at", now), now);

  self->link = g_strdup (link);
  if (*name != '\0')
    /* Translators: an invitation. %s is the name of a person or device. */
    self->title = g_strdup_printf (_ ("For %s"), shown);
  else
    /* Translators: an invitation. */
    self->title = g_strdup (_ ("For whoever has the link"));
  /* Translators: an invitation. %s is a moment: "14:03", "Yesterday, 14:03". */
  self->made_text = g_strdup_printf (_ ("Made: %s"), moment);
  return self;
}

GPtrArray *
ph_open_invites_read (const char *json, const char *but, int64_t now)
{
  GPtrArray *found = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (JsonNode) root = json_from_string (json, NULL);
  JsonArray *array =
      root != NULL && JSON_NODE_HOLDS_ARRAY (root) ? json_node_get_array (root) : NULL;

  for (guint i = array != NULL ? json_array_get_length (array) : 0; i-- > 0;) {
    JsonObject *object = json_array_get_object_element (array, i);
    const char *link = json_object_get_string_member_with_default (object, "link", "");

    if (!g_str_equal (link, but))
      g_ptr_array_add (found, open_invite_new (object, link, now));
  }
  return found;
}

const char *
ph_open_invite_get_link (PhOpenInvite *self)
{
  return self->link;
}
