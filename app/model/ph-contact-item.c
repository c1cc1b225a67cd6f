/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-contact-item.h"

#include "app/model/ph-format.h"

#include <glib/gi18n.h>

struct _PhContactItem {
  GObject parent_instance;

  char *id;
  char *name;
  char *display_name;
  char *summary;
  GListStore *transfers;
  int64_t added_at;
  int64_t last_seen;
  uint64_t auto_accept_max;
  double fraction;
  unsigned offers;
  bool online;
  bool blocked;
  bool auto_accept;
  bool verified;
  bool alert;
  bool busy;
};

enum {
  PROP_0,
  PROP_ID,
  PROP_NAME,
  PROP_DISPLAY_NAME,
  PROP_ONLINE,
  PROP_BLOCKED,
  PROP_AUTO_ACCEPT,
  PROP_AUTO_ACCEPT_MAX,
  PROP_VERIFIED,
  PROP_ALERT,
  PROP_PRESENCE_TEXT,
  PROP_TRANSFERS,
  PROP_SUMMARY,
  PROP_BUSY,
  PROP_FRACTION,
  PROP_OFFERS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhContactItem, ph_contact_item, G_TYPE_OBJECT)

static void
notify (PhContactItem *self, guint id)
{
  g_object_notify_by_pspec (G_OBJECT (self), properties[id]);
}

static const char *
presence_text (const PhContactItem *self)
{
  if (self->blocked)
    return _ ("Blocked");
  if (self->alert)
    return _ ("Stop: different key");
  return self->online ? _ ("Online") : _ ("Offline");
}

/* --- What is going on ---------------------------------------------------------------------------- */

typedef struct {
  unsigned offers, active, waiting;
  uint64_t done, total;
  uint32_t files;
  PhDirection direction; /* of the newest that is under way */
} Sums;

static Sums
sum_up (PhContactItem *self)
{
  const guint n = g_list_model_get_n_items (G_LIST_MODEL (self->transfers));
  Sums sums = {0};

  for (guint i = n; i > 0; i--) {
    g_autoptr (PhTransferItem) item = g_list_model_get_item (G_LIST_MODEL (self->transfers), i - 1);
    const PhTransferView *view = ph_transfer_item_view (item);

    if (ph_transfer_state_ended (view->state))
      continue;
    if (view->state == PH_TRANSFER_OFFERED && view->direction == PH_DIRECTION_RECEIVE) {
      sums.offers++;
    } else if (view->state == PH_TRANSFER_ACTIVE || view->state == PH_TRANSFER_CHECKING) {
      sums.active++;
      sums.files += view->files;
      sums.done += view->bytes_done;
      sums.total += view->bytes_total;
      sums.direction = view->direction;
    } else {
      sums.waiting++;
    }
  }
  return sums;
}

static char *
summarize (const PhContactItem *self, const Sums *sums)
{
  const unsigned percent = (unsigned)(self->fraction * 100);

  if (self->alert) /* before anything that goes on */
    return g_strdup (presence_text (self));
  if (sums->offers > 0)
    return g_strdup_printf (
        ngettext ("Wants to send you something", "%u offers wait for you", sums->offers),
        sums->offers);
  if (sums->active > 0 && sums->direction == PH_DIRECTION_SEND)
    /* Translators: a count of files, and how far sending them is in per cent */
    return g_strdup_printf (
        ngettext ("Sending %u file, %u%%", "Sending %u files, %u%%", sums->files), sums->files,
        percent);
  if (sums->active > 0)
    /* Translators: a count of files, and how far receiving them is in per cent */
    return g_strdup_printf (
        ngettext ("Receiving %u file, %u%%", "Receiving %u files, %u%%", sums->files), sums->files,
        percent);
  if (sums->waiting > 0)
    return g_strdup_printf (
        ngettext ("%u transfer is waiting", "%u transfers are waiting", sums->waiting),
        sums->waiting);
  return g_strdup (presence_text (self));
}

void
ph_contact_item_update (PhContactItem *self)
{
  const Sums sums = sum_up (self);
  const double fraction = sums.total > 0 ? (double)sums.done / (double)sums.total : 0;
  const bool busy = sums.active > 0;
  g_autofree char *summary = NULL;

  g_object_freeze_notify (G_OBJECT (self));
  if (self->fraction != fraction) {
    self->fraction = MIN (fraction, 1);
    notify (self, PROP_FRACTION);
  }
  if (self->busy != busy) {
    self->busy = busy;
    notify (self, PROP_BUSY);
  }
  if (self->offers != sums.offers) {
    self->offers = sums.offers;
    notify (self, PROP_OFFERS);
  }
  summary = summarize (self, &sums);
  if (g_set_str (&self->summary, summary))
    notify (self, PROP_SUMMARY);
  g_object_thaw_notify (G_OBJECT (self));
}

/* --- Object -------------------------------------------------------------------------------------- */

static void
ph_contact_item_finalize (GObject *object)
{
  PhContactItem *self = PH_CONTACT_ITEM (object);

  g_free (self->id);
  g_free (self->name);
  g_free (self->display_name);
  g_free (self->summary);
  g_object_unref (self->transfers);
  G_OBJECT_CLASS (ph_contact_item_parent_class)->finalize (object);
}

static void
ph_contact_item_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhContactItem *self = PH_CONTACT_ITEM (object);

  switch (id) {
  case PROP_ID:
    g_value_set_string (value, self->id);
    break;
  case PROP_NAME:
    g_value_set_string (value, self->name);
    break;
  case PROP_DISPLAY_NAME:
    g_value_set_string (value, self->display_name);
    break;
  case PROP_ONLINE:
    g_value_set_boolean (value, self->online);
    break;
  case PROP_BLOCKED:
    g_value_set_boolean (value, self->blocked);
    break;
  case PROP_AUTO_ACCEPT:
    g_value_set_boolean (value, self->auto_accept);
    break;
  case PROP_AUTO_ACCEPT_MAX:
    g_value_set_uint64 (value, self->auto_accept_max);
    break;
  case PROP_VERIFIED:
    g_value_set_boolean (value, self->verified);
    break;
  case PROP_ALERT:
    g_value_set_boolean (value, self->alert);
    break;
  case PROP_PRESENCE_TEXT:
    g_value_set_string (value, presence_text (self));
    break;
  case PROP_TRANSFERS:
    g_value_set_object (value, self->transfers);
    break;
  case PROP_SUMMARY:
    g_value_set_string (value, self->summary);
    break;
  case PROP_BUSY:
    g_value_set_boolean (value, self->busy);
    break;
  case PROP_FRACTION:
    g_value_set_double (value, self->fraction);
    break;
  case PROP_OFFERS:
    g_value_set_uint (value, self->offers);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_contact_item_class_init (PhContactItemClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = ph_contact_item_finalize;
  object_class->get_property = ph_contact_item_get_property;

  properties[PROP_ID] = g_param_spec_string ("id", NULL, NULL, NULL, flags);
  properties[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, NULL, flags);
  properties[PROP_DISPLAY_NAME] = g_param_spec_string ("display-name", NULL, NULL, NULL, flags);
  properties[PROP_ONLINE] = g_param_spec_boolean ("online", NULL, NULL, FALSE, flags);
  properties[PROP_BLOCKED] = g_param_spec_boolean ("blocked", NULL, NULL, FALSE, flags);
  properties[PROP_AUTO_ACCEPT] = g_param_spec_boolean ("auto-accept", NULL, NULL, FALSE, flags);
  properties[PROP_AUTO_ACCEPT_MAX] =
      g_param_spec_uint64 ("auto-accept-max", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  properties[PROP_VERIFIED] = g_param_spec_boolean ("verified", NULL, NULL, FALSE, flags);
  properties[PROP_ALERT] = g_param_spec_boolean ("alert", NULL, NULL, FALSE, flags);
  properties[PROP_PRESENCE_TEXT] = g_param_spec_string ("presence-text", NULL, NULL, NULL, flags);
  properties[PROP_TRANSFERS] =
      g_param_spec_object ("transfers", NULL, NULL, G_TYPE_LIST_MODEL, flags);
  properties[PROP_SUMMARY] = g_param_spec_string ("summary", NULL, NULL, NULL, flags);
  properties[PROP_BUSY] = g_param_spec_boolean ("busy", NULL, NULL, FALSE, flags);
  properties[PROP_FRACTION] = g_param_spec_double ("fraction", NULL, NULL, 0, 1, 0, flags);
  properties[PROP_OFFERS] = g_param_spec_uint ("offers", NULL, NULL, 0, G_MAXUINT, 0, flags);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ph_contact_item_init (PhContactItem *self)
{
  self->transfers = g_list_store_new (PH_TYPE_TRANSFER_ITEM);
}

PhContactItem *
ph_contact_item_new (const PhContactView *view)
{
  PhContactItem *self = g_object_new (PH_TYPE_CONTACT_ITEM, NULL);

  self->id = g_strdup (view->id);
  ph_contact_item_show (self, view);
  return self;
}

static void
show_flag (PhContactItem *self, bool *field, bool value, guint id)
{
  if (*field == value)
    return;
  *field = value;
  notify (self, id);
}

void
ph_contact_item_show (PhContactItem *self, const PhContactView *view)
{
  const bool presence =
      self->online != view->online || self->blocked != view->blocked || self->alert != view->alert;

  g_return_if_fail (PH_IS_CONTACT_ITEM (self));
  g_return_if_fail (g_strcmp0 (view->id, self->id) == 0);

  g_object_freeze_notify (G_OBJECT (self));
  if (g_set_str (&self->name, view->name)) {
    g_free (self->display_name);
    self->display_name = ph_format_name (view->name);
    notify (self, PROP_NAME);
    notify (self, PROP_DISPLAY_NAME);
  }
  show_flag (self, &self->online, view->online, PROP_ONLINE);
  show_flag (self, &self->blocked, view->blocked, PROP_BLOCKED);
  show_flag (self, &self->auto_accept, view->auto_accept, PROP_AUTO_ACCEPT);
  show_flag (self, &self->verified, view->verified, PROP_VERIFIED);
  show_flag (self, &self->alert, view->alert, PROP_ALERT);
  if (self->auto_accept_max != view->auto_accept_max) {
    self->auto_accept_max = view->auto_accept_max;
    notify (self, PROP_AUTO_ACCEPT_MAX);
  }
  if (presence)
    notify (self, PROP_PRESENCE_TEXT);
  self->added_at = view->added_at;
  self->last_seen = view->last_seen;
  ph_contact_item_update (self);
  g_object_thaw_notify (G_OBJECT (self));
}

/* --- Its transfers ------------------------------------------------------------------------------- */

static int
newest_first (gconstpointer a, gconstpointer b, gpointer unused)
{
  const PhTransferView *x = ph_transfer_item_view (PH_TRANSFER_ITEM ((gpointer)a));
  const PhTransferView *y = ph_transfer_item_view (PH_TRANSFER_ITEM ((gpointer)b));

  if (x->created_at != y->created_at)
    return x->created_at > y->created_at ? -1 : 1;
  return 0;
}

void
ph_contact_item_add_transfer (PhContactItem *self, PhTransferItem *transfer)
{
  const PhTransferView *first = NULL;
  g_autoptr (PhTransferItem) head = g_list_model_get_item (G_LIST_MODEL (self->transfers), 0);

  /* Of two made in the same second, the one that was heard of later goes first. */
  first = head != NULL ? ph_transfer_item_view (head) : NULL;
  if (first == NULL || first->created_at <= ph_transfer_item_view (transfer)->created_at)
    g_list_store_insert (self->transfers, 0, transfer);
  else
    g_list_store_insert_sorted (self->transfers, transfer, newest_first, NULL);
  ph_contact_item_update (self);
}

void
ph_contact_item_remove_transfer (PhContactItem *self, PhTransferItem *transfer)
{
  guint position;

  if (!g_list_store_find (self->transfers, transfer, &position))
    return;
  g_list_store_remove (self->transfers, position);
  ph_contact_item_update (self);
}

/* --- Getters ------------------------------------------------------------------------------------- */

const char *
ph_contact_item_id (PhContactItem *self)
{
  return self->id;
}

const char *
ph_contact_item_name (PhContactItem *self)
{
  return self->name;
}

const char *
ph_contact_item_display_name (PhContactItem *self)
{
  return self->display_name;
}

bool
ph_contact_item_online (PhContactItem *self)
{
  return self->online;
}

bool
ph_contact_item_blocked (PhContactItem *self)
{
  return self->blocked;
}

bool
ph_contact_item_verified (PhContactItem *self)
{
  return self->verified;
}

bool
ph_contact_item_alert (PhContactItem *self)
{
  return self->alert;
}

bool
ph_contact_item_auto_accept (PhContactItem *self)
{
  return self->auto_accept;
}

uint64_t
ph_contact_item_auto_accept_max (PhContactItem *self)
{
  return self->auto_accept_max;
}

int64_t
ph_contact_item_last_seen (PhContactItem *self)
{
  return self->last_seen;
}

int64_t
ph_contact_item_added_at (PhContactItem *self)
{
  return self->added_at;
}

GListModel *
ph_contact_item_transfers (PhContactItem *self)
{
  return G_LIST_MODEL (self->transfers);
}
