/* SPDX-License-Identifier: GPL-3.0-or-later */

#define G_LOG_DOMAIN "porthole"

#include "app/model/ph-client-private.h"

#include "app/model/ph-format.h"

#include <string.h>

/* What a person may still look for on somebody's page; the history has the rest. */
#define RECENT_MAX 200u

enum {
  PROP_0,
  PROP_STATUS,
  PROP_ONLINE,
  PROP_STATUS_TEXT,
  PROP_DEVICE_ID,
  PROP_NAME,
  PROP_LOADED,
  PROP_CONTACTS,
  PROP_TRANSFERS,
  PROP_NETWORK,
  PROP_RUNNING,
  N_PROPS
};

enum { SETTING_CHANGED, OFFERED, ENDED, ALERT, FORGOTTEN, N_SIGNALS };

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (PhClient, ph_client, G_TYPE_OBJECT)

static void
notify (PhClient *self, guint id)
{
  g_object_notify_by_pspec (G_OBJECT (self), properties[id]);
}

/* --- Events -------------------------------------------------------------------------------------- */

static void
status_event (PhClient *self, const PhStatusView *view)
{
  g_autofree char *text = ph_format_status (view);
  const bool changed = self->status != view->status;

  self->status = view->status;
  if (changed) {
    notify (self, PROP_STATUS);
    notify (self, PROP_ONLINE);
  }
  if (g_set_str (&self->status_text, text))
    notify (self, PROP_STATUS_TEXT);
}

static void
contact_event (PhClient *self, const PhContactView *view)
{
  PhContactItem *known = g_hash_table_lookup (self->contacts_by_id, view->id);
  g_autoptr (PhContactItem) item = NULL;
  guint position;

  if (known != NULL) {
    const bool renamed = strcmp (ph_contact_item_name (known), view->name) != 0;
    const bool added = view->added_at > ph_contact_item_added_at (known);

    ph_contact_item_show (known, view);
    if (added)
      ph_client_set_contact_hidden (self, known, false);
    /* Sorted and filtered lists look at an item when it comes. */
    if (renamed && g_list_store_find (self->contacts, known, &position))
      g_list_model_items_changed (G_LIST_MODEL (self->contacts), position, 1, 1);
    return;
  }
  item = ph_contact_item_new (view);
  g_hash_table_insert (self->contacts_by_id, (char *)ph_contact_item_id (item),
                       g_object_ref (item));
  /* Oldest first, so that the newest ends up at the top. */
  for (guint i = g_list_model_get_n_items (G_LIST_MODEL (self->transfers)); i > 0; i--) {
    g_autoptr (PhTransferItem) transfer =
        g_list_model_get_item (G_LIST_MODEL (self->transfers), i - 1);

    if (strcmp (ph_transfer_item_view (transfer)->contact, view->id) == 0)
      ph_contact_item_add_transfer (item, transfer);
  }
  g_list_store_append (self->contacts, item);
}

static void
contact_removed_event (PhClient *self, const char *id)
{
  g_autoptr (PhContactItem) item = NULL;
  guint position;

  if (!g_hash_table_steal_extended (self->contacts_by_id, id, NULL, (gpointer *)&item))
    return;
  if (g_list_store_find (self->contacts, item, &position))
    g_list_store_remove (self->contacts, position);
}

/* Somebody who is offline may stay so for days: what waits for them is not under way. */
static bool
is_running (const PhTransferView *view)
{
  switch (view->state) {
  case PH_TRANSFER_PREPARING:
  case PH_TRANSFER_CONNECTING:
  case PH_TRANSFER_ACTIVE:
  case PH_TRANSFER_CHECKING:
    return true;
  case PH_TRANSFER_OFFERED:
    return view->direction == PH_DIRECTION_SEND;
  case PH_TRANSFER_WAITING:
  case PH_TRANSFER_PAUSED:
  case PH_TRANSFER_DONE:
  case PH_TRANSFER_DECLINED:
  case PH_TRANSFER_CANCELLED:
  case PH_TRANSFER_FAILED:
  default:
    return false;
  }
}

static void
count_running (PhClient *self)
{
  unsigned running = 0;
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->transfers_by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    if (is_running (ph_transfer_item_view (value)))
      running++;
  }
  if (self->running == running)
    return;
  self->running = running;
  notify (self, PROP_RUNNING);
}

static int
newest_first (gconstpointer a, gconstpointer b, gpointer unused)
{
  const PhTransferView *x = ph_transfer_item_view (PH_TRANSFER_ITEM ((gpointer)a));
  const PhTransferView *y = ph_transfer_item_view (PH_TRANSFER_ITEM ((gpointer)b));

  if (x->created_at == y->created_at)
    return 0;
  return x->created_at > y->created_at ? -1 : 1;
}

static void
list_transfer (PhClient *self, PhTransferItem *item)
{
  const PhTransferView *view = ph_transfer_item_view (item);
  PhContactItem *contact = g_hash_table_lookup (self->contacts_by_id, view->contact);
  g_autoptr (PhTransferItem) head = g_list_model_get_item (G_LIST_MODEL (self->transfers), 0);

  /* Of two made in the same second, the one that was heard of later goes first. */
  if (head == NULL || ph_transfer_item_view (head)->created_at <= view->created_at)
    g_list_store_insert (self->transfers, 0, item);
  else
    g_list_store_insert_sorted (self->transfers, item, newest_first, NULL);
  if (contact != NULL)
    ph_contact_item_add_transfer (contact, item);
}

static void
unlist_transfer (PhClient *self, PhTransferItem *item)
{
  const char *contact_id = ph_transfer_item_view (item)->contact;
  PhContactItem *contact = g_hash_table_lookup (self->contacts_by_id, contact_id);
  guint position;

  if (contact != NULL)
    ph_contact_item_remove_transfer (contact, item);
  if (g_list_store_find (self->transfers, item, &position))
    g_list_store_remove (self->transfers, position);
}

/* The item is borrowed. */
static PhTransferItem *
add_transfer (PhClient *self, const PhTransferView *view)
{
  PhTransferItem *item = ph_transfer_item_new (view);

  g_hash_table_insert (self->transfers_by_id, (char *)ph_transfer_item_id (item), item);
  list_transfer (self, item);
  return item;
}

static void
transfer_event (PhClient *self, const PhTransferView *view)
{
  PhContactItem *contact = g_hash_table_lookup (self->contacts_by_id, view->contact);
  PhTransferItem *item = g_hash_table_lookup (self->transfers_by_id, view->id);
  const bool known = item != NULL;
  bool changed;

  if (known) {
    changed = ph_transfer_item_show (item, view);
    if (contact != NULL)
      ph_contact_item_update (contact);
  } else {
    item = add_transfer (self, view);
    changed = true;
  }
  if (!changed)
    return;
  count_running (self);
  if (view->state == PH_TRANSFER_OFFERED && view->direction == PH_DIRECTION_RECEIVE)
    g_signal_emit (self, signals[OFFERED], 0, item);
  else if (known && ph_transfer_state_ended (view->state))
    g_signal_emit (self, signals[ENDED], 0, item);
}

static void
setting_event (PhClient *self, const PhSettingView *view)
{
  const char *key = g_intern_string (view->key);

  if (view->is_set)
    g_hash_table_add (self->settings_set, (gpointer)key);
  else
    g_hash_table_remove (self->settings_set, key);
  g_hash_table_replace (self->settings, (gpointer)key, g_strdup (view->value));
  g_signal_emit (self, signals[SETTING_CHANGED], g_quark_from_static_string (key), key);
  if (g_str_equal (key, "name"))
    notify (self, PROP_NAME);
}

static void
forgotten_event (PhClient *self, const char *id, const char *contact)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->transfers_by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const PhTransferView *view = ph_transfer_item_view (value);

    if (!ph_transfer_state_ended (view->state) || (*id != '\0' && !g_str_equal (view->id, id))
        || (*contact != '\0' && !g_str_equal (view->contact, contact)))
      continue;
    unlist_transfer (self, value);
    g_hash_table_iter_remove (&iter);
  }
  g_signal_emit (self, signals[FORGOTTEN], 0, id);
}

static void
alert_event (PhClient *self, const PhEvent *event)
{
  PhContactItem *contact = g_hash_table_lookup (self->contacts_by_id, event->contact.id);

  if (contact != NULL)
    g_signal_emit (self, signals[ALERT], 0, contact, event->text);
}

static void
on_event (const PhEvent *event, gpointer user_data)
{
  PhClient *self = user_data;

  switch (event->type) {
  case PH_EVENT_LOADED:
    self->loaded = true;
    notify (self, PROP_LOADED);
    break;
  case PH_EVENT_STATUS:
    status_event (self, &event->status);
    break;
  case PH_EVENT_CONTACT:
    contact_event (self, &event->contact);
    break;
  case PH_EVENT_CONTACT_REMOVED:
    contact_removed_event (self, event->contact.id);
    break;
  case PH_EVENT_TRANSFER:
    transfer_event (self, &event->transfer);
    break;
  case PH_EVENT_SETTING:
    setting_event (self, &event->setting);
    break;
  case PH_EVENT_NETWORK:
    ph_network_item_show (self->network, event->text, g_get_real_time () / G_USEC_PER_SEC);
    break;
  case PH_EVENT_ALERT:
    alert_event (self, event);
    break;
  case PH_EVENT_FORGOTTEN:
    forgotten_event (self, event->transfer.id, event->contact.id);
    break;
  case PH_EVENT_INVITATION:
  case PH_EVENT_HISTORY:
  case PH_EVENT_FILE:
  case PH_EVENT_DONE:
    ph_client_command_event (self, event);
    break;
  case PH_EVENT_EXPLAIN:
  default:
    break;
  }
}

/* --- Object -------------------------------------------------------------------------------------- */

static void
ph_client_dispose (GObject *object)
{
  ph_client_close (PH_CLIENT (object));
  G_OBJECT_CLASS (ph_client_parent_class)->dispose (object);
}

static void
ph_client_finalize (GObject *object)
{
  PhClient *self = PH_CLIENT (object);

  g_object_unref (self->contacts);
  g_object_unref (self->transfers);
  g_object_unref (self->network);
  g_hash_table_unref (self->contacts_by_id);
  g_hash_table_unref (self->transfers_by_id);
  g_hash_table_unref (self->settings);
  g_hash_table_unref (self->settings_set);
  g_hash_table_unref (self->commands);
  g_free (self->status_text);
  G_OBJECT_CLASS (ph_client_parent_class)->finalize (object);
}

static void
ph_client_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhClient *self = PH_CLIENT (object);

  switch (id) {
  case PROP_STATUS:
    g_value_set_enum (value, (int)self->status);
    break;
  case PROP_ONLINE:
    g_value_set_boolean (value, self->status == PH_STATUS_ONLINE);
    break;
  case PROP_STATUS_TEXT:
    g_value_set_string (value, self->status_text);
    break;
  case PROP_DEVICE_ID:
    g_value_set_string (value, ph_client_get_device_id (self));
    break;
  case PROP_NAME:
    g_value_set_string (value, ph_client_get_setting (self, "name"));
    break;
  case PROP_LOADED:
    g_value_set_boolean (value, self->loaded);
    break;
  case PROP_CONTACTS:
    g_value_set_object (value, self->contacts);
    break;
  case PROP_TRANSFERS:
    g_value_set_object (value, self->transfers);
    break;
  case PROP_NETWORK:
    g_value_set_object (value, self->network);
    break;
  case PROP_RUNNING:
    g_value_set_uint (value, self->running);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_client_class_init (PhClientClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->dispose = ph_client_dispose;
  object_class->finalize = ph_client_finalize;
  object_class->get_property = ph_client_get_property;

  properties[PROP_STATUS] =
      g_param_spec_enum ("status", NULL, NULL, PH_TYPE_STATUS, PH_STATUS_NOT_CONFIGURED, flags);
  properties[PROP_ONLINE] = g_param_spec_boolean ("online", NULL, NULL, FALSE, flags);
  properties[PROP_STATUS_TEXT] = g_param_spec_string ("status-text", NULL, NULL, "", flags);
  properties[PROP_DEVICE_ID] = g_param_spec_string ("device-id", NULL, NULL, NULL, flags);
  properties[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, "", flags);
  properties[PROP_LOADED] = g_param_spec_boolean ("loaded", NULL, NULL, FALSE, flags);
  properties[PROP_CONTACTS] =
      g_param_spec_object ("contacts", NULL, NULL, G_TYPE_LIST_MODEL, flags);
  properties[PROP_TRANSFERS] =
      g_param_spec_object ("transfers", NULL, NULL, G_TYPE_LIST_MODEL, flags);
  properties[PROP_NETWORK] =
      g_param_spec_object ("network", NULL, NULL, PH_TYPE_NETWORK_ITEM, flags);
  properties[PROP_RUNNING] = g_param_spec_uint ("running", NULL, NULL, 0, G_MAXUINT, 0, flags);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  signals[SETTING_CHANGED] =
      g_signal_new ("setting-changed", PH_TYPE_CLIENT, G_SIGNAL_RUN_LAST | G_SIGNAL_DETAILED, 0,
                    NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
  signals[OFFERED] = g_signal_new ("offered", PH_TYPE_CLIENT, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                   NULL, G_TYPE_NONE, 1, PH_TYPE_TRANSFER_ITEM);
  signals[ENDED] = g_signal_new ("ended", PH_TYPE_CLIENT, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                 G_TYPE_NONE, 1, PH_TYPE_TRANSFER_ITEM);
  signals[ALERT] = g_signal_new ("alert", PH_TYPE_CLIENT, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                 G_TYPE_NONE, 2, PH_TYPE_CONTACT_ITEM, G_TYPE_STRING);
  signals[FORGOTTEN] = g_signal_new ("forgotten", PH_TYPE_CLIENT, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                     NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void
ph_client_init (PhClient *self)
{
  self->contacts = g_list_store_new (PH_TYPE_CONTACT_ITEM);
  self->transfers = g_list_store_new (PH_TYPE_TRANSFER_ITEM);
  self->network = ph_network_item_new ();
  self->contacts_by_id = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_object_unref);
  self->transfers_by_id = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_object_unref);
  self->settings = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  self->settings_set = g_hash_table_new (g_str_hash, g_str_equal);
  self->commands = g_hash_table_new (NULL, NULL);
  self->status_text = g_strdup ("");
  self->status = PH_STATUS_CONNECTING;
}

/* The newest of the history join the list that lives. */
static void
recent_loaded (GObject *object, GAsyncResult *result, gpointer data)
{
  PhClient *self = PH_CLIENT (object);
  g_autoptr (GPtrArray) rows = ph_client_finish_rows (self, result, NULL);

  /* Oldest first, so that each goes to the top of what is there. */
  for (guint i = rows != NULL ? rows->len : 0; i > 0; i--) {
    const PhTransferView *view = ph_transfer_item_view (rows->pdata[i - 1]);

    if (!g_hash_table_contains (self->transfers_by_id, view->id))
      add_transfer (self, view);
  }
}

PhClient *
ph_client_new (const char *profile, GError **error)
{
  g_autoptr (PhClient) self = g_object_new (PH_TYPE_CLIENT, NULL);
  const PhHistoryQuery recent = {.limit = RECENT_MAX};

  self->engine = ph_engine_new (profile, on_event, self, error);
  if (self->engine == NULL)
    return NULL;
  ph_client_load_history_async (self, &recent, recent_loaded, NULL);
  return g_steal_pointer (&self);
}

void
ph_client_close (PhClient *self)
{
  g_clear_pointer (&self->remote, ph_remote_free);
  g_clear_pointer (&self->engine, ph_engine_free);
  ph_client_cancel_commands (self);
}

void
ph_client_connect (PhClient *self)
{
  if (self->engine != NULL)
    ph_engine_connect (self->engine);
}

void
ph_client_export (PhClient *self, GDBusConnection *connection)
{
  g_autoptr (GError) error = NULL;

  if (connection == NULL || self->engine == NULL || self->remote != NULL)
    return;
  self->remote = ph_remote_export (connection, self->engine, &error);
  if (self->remote == NULL)
    g_warning ("The command line cannot use this profile: %s", error->message);
}

/* --- Getters ------------------------------------------------------------------------------------- */

GListModel *
ph_client_get_contacts (PhClient *self)
{
  return G_LIST_MODEL (self->contacts);
}

GListModel *
ph_client_get_transfers (PhClient *self)
{
  return G_LIST_MODEL (self->transfers);
}

PhNetworkItem *
ph_client_get_network (PhClient *self)
{
  return self->network;
}

PhStatus
ph_client_get_status (PhClient *self)
{
  return self->status;
}

const char *
ph_client_get_status_text (PhClient *self)
{
  return self->status_text;
}

const char *
ph_client_get_device_id (PhClient *self)
{
  return self->engine != NULL ? ph_engine_device_id (self->engine) : "";
}

bool
ph_client_get_loaded (PhClient *self)
{
  return self->loaded;
}

unsigned
ph_client_get_running (PhClient *self)
{
  return self->running;
}

PhContactItem *
ph_client_find_contact (PhClient *self, const char *id)
{
  return g_hash_table_lookup (self->contacts_by_id, id);
}

PhTransferItem *
ph_client_find_transfer (PhClient *self, const char *id)
{
  return g_hash_table_lookup (self->transfers_by_id, id);
}

const char *
ph_client_get_setting (PhClient *self, const char *key)
{
  const char *value = g_hash_table_lookup (self->settings, key);

  return value != NULL ? value : "";
}

bool
ph_client_get_flag (PhClient *self, const char *key)
{
  return g_str_equal (ph_client_get_setting (self, key), "true");
}

bool
ph_client_setting_is_set (PhClient *self, const char *key)
{
  return g_hash_table_contains (self->settings_set, key);
}

/* --- Removals that may be undone ----------------------------------------------------------------- */

void
ph_client_set_contact_hidden (PhClient *self, PhContactItem *contact, bool hidden)
{
  guint position;
  const bool listed = g_list_store_find (self->contacts, contact, &position);

  if (hidden && listed)
    g_list_store_remove (self->contacts, position);
  else if (!hidden && !listed
           && ph_client_find_contact (self, ph_contact_item_id (contact)) != NULL)
    g_list_store_append (self->contacts, contact);
}

bool
ph_client_get_contact_hidden (PhClient *self, PhContactItem *contact)
{
  return ph_client_find_contact (self, ph_contact_item_id (contact)) == contact
         && !g_list_store_find (self->contacts, contact, NULL);
}

void
ph_client_set_transfer_hidden (PhClient *self, PhTransferItem *transfer, bool hidden)
{
  const bool listed = g_list_store_find (self->transfers, transfer, NULL);

  if (hidden && listed)
    unlist_transfer (self, transfer);
  else if (!hidden && !listed
           && ph_client_find_transfer (self, ph_transfer_item_id (transfer)) != NULL)
    list_transfer (self, transfer);
}
