/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-transfer-item.h"

#include "app/model/ph-format.h"

#include <glib/gi18n.h>

struct _PhTransferItem {
  GObject parent_instance;

  PhTransferView view; /* its strings are owned */
  char *title;
  char *status_text;
};

enum {
  PROP_0,
  PROP_ID,
  PROP_CONTACT,
  PROP_CONTACT_NAME,
  PROP_DIRECTION,
  PROP_STATE,
  PROP_TITLE,
  PROP_STATUS_TEXT,
  PROP_NOTE,
  PROP_ICON_NAME,
  PROP_DIRECTION_TEXT,
  PROP_PATH,
  PROP_PATH_TEXT,
  PROP_PATH_ICON,
  PROP_FRACTION,
  PROP_ENDED,
  PROP_UNDER_WAY,
  PROP_CAN_ANSWER,
  PROP_CAN_PAUSE,
  PROP_CAN_RESUME,
  PROP_CAN_CANCEL,
  PROP_CAN_RETRY,
  PROP_CAN_OPEN,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhTransferItem, ph_transfer_item, G_TYPE_OBJECT)

/* --- The snapshot -------------------------------------------------------------------------------- */

/* Every string of a snapshot, so that copying and freeing cannot forget one. */
static const size_t strings[] = {
    G_STRUCT_OFFSET (PhTransferView, id),           G_STRUCT_OFFSET (PhTransferView, contact),
    G_STRUCT_OFFSET (PhTransferView, contact_name), G_STRUCT_OFFSET (PhTransferView, folder),
    G_STRUCT_OFFSET (PhTransferView, path),         G_STRUCT_OFFSET (PhTransferView, best_path),
    G_STRUCT_OFFSET (PhTransferView, transport),    G_STRUCT_OFFSET (PhTransferView, local_kind),
    G_STRUCT_OFFSET (PhTransferView, remote_kind),  G_STRUCT_OFFSET (PhTransferView, local_addr),
    G_STRUCT_OFFSET (PhTransferView, remote_addr),  G_STRUCT_OFFSET (PhTransferView, code),
    G_STRUCT_OFFSET (PhTransferView, message),
};

static void
clear_view (PhTransferView *view)
{
  for (size_t i = 0; i < G_N_ELEMENTS (strings); i++)
    g_clear_pointer (&G_STRUCT_MEMBER (char *, view, strings[i]), g_free);
  g_strfreev ((char **)view->names);
  view->names = NULL;
}

static void
copy_view (PhTransferView *copy, const PhTransferView *view)
{
  *copy = *view;
  for (size_t i = 0; i < G_N_ELEMENTS (strings); i++) {
    const char *text = G_STRUCT_MEMBER (const char *, view, strings[i]);

    G_STRUCT_MEMBER (char *, copy, strings[i]) = g_strdup (text != NULL ? text : "");
  }
  copy->names = (const char *const *)g_strdupv ((char **)view->names);
}

/* --- What can be done ---------------------------------------------------------------------------- */

static double
fraction (const PhTransferView *view)
{
  if (view->state == PH_TRANSFER_DONE)
    return 1;
  if (view->bytes_total == 0)
    return 0;
  return (double)MIN (view->bytes_done, view->bytes_total) / (double)view->bytes_total;
}

static bool
under_way (const PhTransferView *view)
{
  return view->state == PH_TRANSFER_ACTIVE || view->state == PH_TRANSFER_PAUSED
         || view->state == PH_TRANSFER_CHECKING
         || (view->bytes_done > 0 && !ph_transfer_state_ended (view->state));
}

static bool
can_answer (const PhTransferView *view)
{
  return view->state == PH_TRANSFER_OFFERED && view->direction == PH_DIRECTION_RECEIVE;
}

static bool
can_pause (const PhTransferView *view)
{
  return view->state == PH_TRANSFER_ACTIVE
         || (view->state == PH_TRANSFER_PAUSED && !view->paused_here);
}

static bool
can_resume (const PhTransferView *view)
{
  return view->state == PH_TRANSFER_PAUSED && view->paused_here;
}

static bool
can_cancel (const PhTransferView *view)
{
  return !ph_transfer_state_ended (view->state) && !can_answer (view);
}

static bool
can_retry (const PhTransferView *view)
{
  return view->can_send_again;
}

static bool
can_open (const PhTransferView *view)
{
  return view->direction == PH_DIRECTION_RECEIVE && view->state == PH_TRANSFER_DONE
         && view->folder[0] != '\0';
}

/* Of an ended one the status line is the message. */
static const char *
note (const PhTransferView *view)
{
  const bool is_status = view->state == PH_TRANSFER_FAILED || view->state == PH_TRANSFER_CANCELLED;

  return is_status || view->message == NULL ? "" : view->message;
}

static const char *
icon_name (const PhTransferView *view)
{
  if (view->missed)
    return "call-missed-symbolic";
  switch (view->state) {
  case PH_TRANSFER_DONE:
    return "object-select-symbolic";
  case PH_TRANSFER_DECLINED:
  case PH_TRANSFER_CANCELLED:
    return "action-unavailable-symbolic";
  case PH_TRANSFER_FAILED:
    return "dialog-warning-symbolic";
  case PH_TRANSFER_PREPARING:
  case PH_TRANSFER_WAITING:
  case PH_TRANSFER_CONNECTING:
  case PH_TRANSFER_OFFERED:
  case PH_TRANSFER_ACTIVE:
  case PH_TRANSFER_PAUSED:
  case PH_TRANSFER_CHECKING:
  default:
    return view->direction == PH_DIRECTION_SEND ? "document-send-symbolic"
                                                : "document-save-symbolic";
  }
}

/* --- Object -------------------------------------------------------------------------------------- */

static void
ph_transfer_item_finalize (GObject *object)
{
  PhTransferItem *self = PH_TRANSFER_ITEM (object);

  clear_view (&self->view);
  g_free (self->title);
  g_free (self->status_text);
  G_OBJECT_CLASS (ph_transfer_item_parent_class)->finalize (object);
}

static void
ph_transfer_item_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhTransferItem *self = PH_TRANSFER_ITEM (object);
  const PhTransferView *view = &self->view;

  switch (id) {
  case PROP_ID:
    g_value_set_string (value, view->id);
    break;
  case PROP_CONTACT:
    g_value_set_string (value, view->contact);
    break;
  case PROP_CONTACT_NAME:
    g_value_take_string (value, ph_format_name (view->contact_name));
    break;
  case PROP_DIRECTION:
    g_value_set_enum (value, (int)view->direction);
    break;
  case PROP_STATE:
    g_value_set_enum (value, (int)view->state);
    break;
  case PROP_TITLE:
    g_value_set_string (value, self->title);
    break;
  case PROP_STATUS_TEXT:
    g_value_set_string (value, self->status_text);
    break;
  case PROP_NOTE:
    g_value_set_string (value, note (view));
    break;
  case PROP_ICON_NAME:
    g_value_set_string (value, icon_name (view));
    break;
  case PROP_DIRECTION_TEXT:
    g_value_set_string (value,
                        view->direction == PH_DIRECTION_SEND ? _ ("Outgoing") : _ ("Incoming"));
    break;
  case PROP_PATH:
    g_value_set_string (value, view->path);
    break;
  case PROP_PATH_TEXT:
    g_value_set_string (value, ph_format_path (view->path));
    break;
  case PROP_PATH_ICON:
    g_value_set_string (value, ph_format_path_icon (view->path));
    break;
  case PROP_FRACTION:
    g_value_set_double (value, fraction (view));
    break;
  case PROP_ENDED:
    g_value_set_boolean (value, ph_transfer_state_ended (view->state));
    break;
  case PROP_UNDER_WAY:
    g_value_set_boolean (value, under_way (view));
    break;
  case PROP_CAN_ANSWER:
    g_value_set_boolean (value, can_answer (view));
    break;
  case PROP_CAN_PAUSE:
    g_value_set_boolean (value, can_pause (view));
    break;
  case PROP_CAN_RESUME:
    g_value_set_boolean (value, can_resume (view));
    break;
  case PROP_CAN_CANCEL:
    g_value_set_boolean (value, can_cancel (view));
    break;
  case PROP_CAN_RETRY:
    g_value_set_boolean (value, can_retry (view));
    break;
  case PROP_CAN_OPEN:
    g_value_set_boolean (value, can_open (view));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
install_string (GObjectClass *klass, guint id, const char *name)
{
  properties[id] =
      g_param_spec_string (name, NULL, NULL, NULL, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_property (klass, id, properties[id]);
}

static void
install_boolean (GObjectClass *klass, guint id, const char *name)
{
  properties[id] =
      g_param_spec_boolean (name, NULL, NULL, FALSE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_property (klass, id, properties[id]);
}

static void
install_enum (GObjectClass *klass, guint id, const char *name, GType type)
{
  properties[id] =
      g_param_spec_enum (name, NULL, NULL, type, 0, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_property (klass, id, properties[id]);
}

static void
ph_transfer_item_class_init (PhTransferItemClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = ph_transfer_item_finalize;
  object_class->get_property = ph_transfer_item_get_property;

  install_string (object_class, PROP_ID, "id");
  install_string (object_class, PROP_CONTACT, "contact");
  install_string (object_class, PROP_CONTACT_NAME, "contact-name");
  install_enum (object_class, PROP_DIRECTION, "direction", PH_TYPE_DIRECTION);
  install_enum (object_class, PROP_STATE, "state", PH_TYPE_TRANSFER_STATE);
  install_string (object_class, PROP_TITLE, "title");
  install_string (object_class, PROP_STATUS_TEXT, "status-text");
  install_string (object_class, PROP_NOTE, "note");
  install_string (object_class, PROP_ICON_NAME, "icon-name");
  install_string (object_class, PROP_DIRECTION_TEXT, "direction-text");
  install_string (object_class, PROP_PATH, "path");
  install_string (object_class, PROP_PATH_TEXT, "path-text");
  install_string (object_class, PROP_PATH_ICON, "path-icon");
  properties[PROP_FRACTION] = g_param_spec_double ("fraction", NULL, NULL, 0, 1, 0,
                                                   G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_property (object_class, PROP_FRACTION, properties[PROP_FRACTION]);
  install_boolean (object_class, PROP_ENDED, "ended");
  install_boolean (object_class, PROP_UNDER_WAY, "under-way");
  install_boolean (object_class, PROP_CAN_ANSWER, "can-answer");
  install_boolean (object_class, PROP_CAN_PAUSE, "can-pause");
  install_boolean (object_class, PROP_CAN_RESUME, "can-resume");
  install_boolean (object_class, PROP_CAN_CANCEL, "can-cancel");
  install_boolean (object_class, PROP_CAN_RETRY, "can-retry");
  install_boolean (object_class, PROP_CAN_OPEN, "can-open");
}

static void
ph_transfer_item_init (PhTransferItem *self)
{
}

static void
notify (PhTransferItem *self, guint id)
{
  g_object_notify_by_pspec (G_OBJECT (self), properties[id]);
}

/* Each notification makes widgets look again: only for what is different. */
static void
notify_state (PhTransferItem *self, const PhTransferView *old)
{
  const PhTransferView *view = &self->view;
  const struct {
    guint id;
    bool changed;
  } all[] = {
      {PROP_STATE, old->state != view->state},
      {PROP_NOTE, g_strcmp0 (note (old), note (view)) != 0},
      {PROP_ICON_NAME, icon_name (old) != icon_name (view)},
      {PROP_ENDED, ph_transfer_state_ended (old->state) != ph_transfer_state_ended (view->state)},
      {PROP_UNDER_WAY, under_way (old) != under_way (view)},
      {PROP_CAN_ANSWER, can_answer (old) != can_answer (view)},
      {PROP_CAN_PAUSE, can_pause (old) != can_pause (view)},
      {PROP_CAN_RESUME, can_resume (old) != can_resume (view)},
      {PROP_CAN_CANCEL, can_cancel (old) != can_cancel (view)},
      {PROP_CAN_RETRY, can_retry (old) != can_retry (view)},
      {PROP_CAN_OPEN, can_open (old) != can_open (view)},
      {PROP_CONTACT_NAME, g_strcmp0 (old->contact_name, view->contact_name) != 0},
      {PROP_FRACTION, fraction (old) != fraction (view)},
      {PROP_PATH, g_strcmp0 (old->path, view->path) != 0},
      {PROP_PATH_TEXT, g_strcmp0 (old->path, view->path) != 0},
      {PROP_PATH_ICON, g_strcmp0 (old->path, view->path) != 0},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (all); i++) {
    if (all[i].changed)
      notify (self, all[i].id);
  }
}

PhTransferItem *
ph_transfer_item_new (const PhTransferView *view)
{
  PhTransferItem *self = g_object_new (PH_TYPE_TRANSFER_ITEM, NULL);

  copy_view (&self->view, view);
  self->title = ph_format_names (view->names, view->files);
  self->status_text = ph_format_transfer_status (&self->view, g_get_real_time () / G_USEC_PER_SEC);
  return self;
}

void
ph_transfer_item_refresh (PhTransferItem *self)
{
  char *text = ph_format_transfer_status (&self->view, g_get_real_time () / G_USEC_PER_SEC);

  if (g_strcmp0 (text, self->status_text) == 0) {
    g_free (text);
    return;
  }
  g_free (self->status_text);
  self->status_text = text;
  notify (self, PROP_STATUS_TEXT);
}

bool
ph_transfer_item_show (PhTransferItem *self, const PhTransferView *view)
{
  PhTransferView old = self->view;
  g_autofree char *title = ph_format_names (view->names, view->files);
  const bool changed = old.state != view->state;

  g_return_val_if_fail (PH_IS_TRANSFER_ITEM (self), false);
  g_return_val_if_fail (g_str_equal (view->id, old.id), false);

  copy_view (&self->view, view);
  /* The ID stays the same string for life: tables of items have it as their key. */
  g_free ((char *)self->view.id);
  self->view.id = g_steal_pointer (&old.id);
  g_object_freeze_notify (G_OBJECT (self));
  notify_state (self, &old);
  if (g_set_str (&self->title, title))
    notify (self, PROP_TITLE);
  clear_view (&old);
  ph_transfer_item_refresh (self);
  g_object_thaw_notify (G_OBJECT (self));
  return changed;
}

const PhTransferView *
ph_transfer_item_view (PhTransferItem *self)
{
  g_return_val_if_fail (PH_IS_TRANSFER_ITEM (self), NULL);
  return &self->view;
}

const char *
ph_transfer_item_id (PhTransferItem *self)
{
  g_return_val_if_fail (PH_IS_TRANSFER_ITEM (self), NULL);
  return self->view.id;
}

const char *
ph_transfer_item_title (PhTransferItem *self)
{
  g_return_val_if_fail (PH_IS_TRANSFER_ITEM (self), NULL);
  return self->title;
}
