/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-history.h"

/* More than a tall window shows, few enough to come at once. */
#define PAGE_ROWS 60u
/* A search follows typing, not each letter. */
#define SEARCH_DELAY_MS 150u
/* What ends within this time is asked for together. */
#define NEWEST_DELAY_MS 250u

struct _PhHistory {
  GObject parent_instance;

  PhClient *client;
  GListStore *items;
  GHashTable *hidden; /* ids that are about to be forgotten */
  char *contact;
  char *search;
  guint search_source;
  guint newest_source;
  unsigned generation; /* of LOAD_ALL: answers to what was asked before it are dropped */
  bool missed_only;
  bool loading;
  bool complete;
};

enum {
  PROP_0,
  PROP_CLIENT,
  PROP_CONTACT,
  PROP_SEARCH,
  PROP_MISSED_ONLY,
  PROP_ITEMS,
  PROP_LOADING,
  PROP_N_ITEMS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhHistory, ph_history, G_TYPE_OBJECT)

static guint
n_items (PhHistory *self)
{
  return g_list_model_get_n_items (G_LIST_MODEL (self->items));
}

static void
set_loading (PhHistory *self, bool loading)
{
  if (self->loading == loading)
    return;
  self->loading = loading;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_LOADING]);
}

/* --- Loading ------------------------------------------------------------------------------------- */

typedef enum { LOAD_ALL, LOAD_MORE, LOAD_NEWEST } LoadKind;

typedef struct {
  PhHistory *history;
  unsigned generation;
  unsigned limit;
  LoadKind kind;
} Load;

static GHashTable *
ids_of_rows (GPtrArray *rows)
{
  GHashTable *ids = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < rows->len; i++)
    g_hash_table_add (ids, (gpointer)ph_transfer_item_id (rows->pdata[i]));
  return ids;
}

static bool
find_item (PhHistory *self, const char *id, guint from, guint *ret_position)
{
  for (guint i = from; i < n_items (self); i++) {
    g_autoptr (PhTransferItem) item = g_list_model_get_item (G_LIST_MODEL (self->items), i);

    if (g_str_equal (ph_transfer_item_id (item), id)) {
      *ret_position = i;
      return true;
    }
  }
  return false;
}

/* Rows that stay keep their object, so that the list does not jump. */
static void
show_rows (PhHistory *self, GPtrArray *rows)
{
  g_autoptr (GHashTable) wanted = ids_of_rows (rows);
  guint at = 0, kept = 0, old;

  for (guint i = n_items (self); i-- > 0;) {
    g_autoptr (PhTransferItem) item = g_list_model_get_item (G_LIST_MODEL (self->items), i);

    if (g_hash_table_contains (wanted, ph_transfer_item_id (item)))
      kept++;
    else
      g_list_store_remove (self->items, i);
  }
  for (guint i = 0; i < rows->len; i++) {
    const char *id = ph_transfer_item_id (rows->pdata[i]);
    g_autoptr (PhTransferItem) shown = g_list_model_get_item (G_LIST_MODEL (self->items), at);

    if (g_hash_table_contains (self->hidden, id))
      continue;
    if (shown != NULL && g_str_equal (ph_transfer_item_id (shown), id)) {
      ph_transfer_item_show (shown, ph_transfer_item_view (rows->pdata[i]));
      kept--;
    } else {
      /* Where the clock was set back a row may have moved. */
      if (kept > 0 && find_item (self, id, at, &old)) {
        g_list_store_remove (self->items, old);
        kept--;
      }
      g_list_store_insert (self->items, at, rows->pdata[i]);
    }
    at++;
  }
}

/* What ended since goes on top. False if there may be a gap between that and the rest. */
static bool
show_newest (PhHistory *self, GPtrArray *rows, unsigned limit)
{
  bool joined = rows->len < limit || n_items (self) == 0;
  guint at = 0, old;

  for (guint i = 0; i < rows->len; i++) {
    const char *id = ph_transfer_item_id (rows->pdata[i]);

    if (find_item (self, id, 0, &old)) {
      joined = true;
      at = old + 1;
    } else if (!g_hash_table_contains (self->hidden, id)) {
      g_list_store_insert (self->items, at++, rows->pdata[i]);
    }
  }
  return joined;
}

static void
append_rows (PhHistory *self, GPtrArray *rows)
{
  for (guint i = 0; i < rows->len; i++)
    if (!g_hash_table_contains (self->hidden, ph_transfer_item_id (rows->pdata[i])))
      g_list_store_append (self->items, rows->pdata[i]);
}

static void reload (PhHistory *self);

static void
loaded (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Load *load = user_data;
  PhHistory *self = load->history;
  g_autoptr (GPtrArray) rows = ph_client_finish_rows (PH_CLIENT (source), result, NULL);

  if (load->generation == self->generation && load->kind == LOAD_NEWEST) {
    if (rows != NULL && !show_newest (self, rows, load->limit))
      reload (self);
  } else if (load->generation == self->generation) {
    if (rows != NULL && load->kind == LOAD_ALL)
      show_rows (self, rows);
    else if (rows != NULL)
      append_rows (self, rows);
    self->complete = rows != NULL && rows->len < load->limit;
    set_loading (self, false);
  }
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_N_ITEMS]);
  g_free (load);
  g_object_unref (self);
}

static void
ask (PhHistory *self, LoadKind kind, PhTransferItem *after, unsigned limit)
{
  const PhHistoryQuery query = {
      .contact = self->contact,
      .search = self->search,
      .missed_only = self->missed_only,
      .limit = limit,
      .before_at = after != NULL ? ph_transfer_item_view (after)->finished_at : 0,
      .before_id = after != NULL ? ph_transfer_item_id (after) : NULL,
  };
  Load *load = g_new0 (Load, 1);

  load->history = g_object_ref (self);
  load->generation = kind == LOAD_ALL ? ++self->generation : self->generation;
  load->limit = limit;
  load->kind = kind;
  if (kind != LOAD_NEWEST)
    set_loading (self, true);
  ph_client_load_history_async (self->client, &query, loaded, load);
}

static void
reload (PhHistory *self)
{
  ask (self, LOAD_ALL, NULL, MAX (PAGE_ROWS, n_items (self)));
}

static gboolean
newest_due (gpointer data)
{
  PhHistory *self = data;

  /* Those that are on their way may be older or newer than what ended. */
  if (self->loading)
    return G_SOURCE_CONTINUE;
  self->newest_source = 0;
  ask (self, LOAD_NEWEST, NULL, PAGE_ROWS);
  return G_SOURCE_REMOVE;
}

/* Many small transfers end one after the other: they are asked for together. */
static void
transfer_ended (PhHistory *self)
{
  if (self->newest_source == 0)
    self->newest_source = g_timeout_add (NEWEST_DELAY_MS, newest_due, self);
}

static void
forgotten (PhHistory *self, const char *id)
{
  guint position;

  if (*id == '\0') {
    reload (self);
    return;
  }
  g_hash_table_remove (self->hidden, id);
  if (find_item (self, id, 0, &position)) {
    g_list_store_remove (self->items, position);
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_N_ITEMS]);
  }
}

void
ph_history_load_more (PhHistory *self)
{
  g_autoptr (PhTransferItem) last = NULL;

  g_return_if_fail (PH_IS_HISTORY (self));
  if (self->loading || self->complete || n_items (self) == 0)
    return;
  last = g_list_model_get_item (G_LIST_MODEL (self->items), n_items (self) - 1);
  ask (self, LOAD_MORE, last, PAGE_ROWS);
}

static gboolean
search_due (gpointer data)
{
  PhHistory *self = data;

  self->search_source = 0;
  ask (self, LOAD_ALL, NULL, PAGE_ROWS);
  return G_SOURCE_REMOVE;
}

static void
search_changed (PhHistory *self)
{
  g_clear_handle_id (&self->search_source, g_source_remove);
  self->search_source = g_timeout_add (SEARCH_DELAY_MS, search_due, self);
}

/* --- Forgetting ---------------------------------------------------------------------------------- */

void
ph_history_hide (PhHistory *self, PhTransferItem *item)
{
  guint position;

  g_hash_table_add (self->hidden, g_strdup (ph_transfer_item_id (item)));
  if (g_list_store_find (self->items, item, &position))
    g_list_store_remove (self->items, position);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_N_ITEMS]);
}

void
ph_history_unhide (PhHistory *self, PhTransferItem *item)
{
  if (g_hash_table_remove (self->hidden, ph_transfer_item_id (item)))
    reload (self);
}

void
ph_history_commit (PhHistory *self, PhTransferItem *item)
{
  if (g_hash_table_contains (self->hidden, ph_transfer_item_id (item)))
    ph_client_forget_async (self->client, ph_transfer_item_id (item), NULL, NULL, NULL);
}

/* --- Object -------------------------------------------------------------------------------------- */

static void
ph_history_constructed (GObject *object)
{
  PhHistory *self = PH_HISTORY (object);

  G_OBJECT_CLASS (ph_history_parent_class)->constructed (object);
  g_signal_connect_object (self->client, "forgotten", G_CALLBACK (forgotten), self,
                           G_CONNECT_SWAPPED);
  g_signal_connect_object (self->client, "ended", G_CALLBACK (transfer_ended), self,
                           G_CONNECT_SWAPPED);
  reload (self);
}

static void
ph_history_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  PhHistory *self = PH_HISTORY (object);

  switch (id) {
  case PROP_CLIENT:
    g_value_set_object (value, self->client);
    break;
  case PROP_CONTACT:
    g_value_set_string (value, self->contact);
    break;
  case PROP_SEARCH:
    g_value_set_string (value, self->search);
    break;
  case PROP_MISSED_ONLY:
    g_value_set_boolean (value, self->missed_only);
    break;
  case PROP_ITEMS:
    g_value_set_object (value, self->items);
    break;
  case PROP_LOADING:
    g_value_set_boolean (value, self->loading);
    break;
  case PROP_N_ITEMS:
    g_value_set_uint (value, n_items (self));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_history_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  PhHistory *self = PH_HISTORY (object);

  switch (id) {
  case PROP_CLIENT:
    self->client = g_value_dup_object (value);
    break;
  case PROP_CONTACT:
    self->contact = g_value_dup_string (value);
    break;
  case PROP_SEARCH:
    if (g_set_str (&self->search, g_value_get_string (value))) {
      search_changed (self);
      g_object_notify_by_pspec (object, pspec);
    }
    break;
  case PROP_MISSED_ONLY:
    if (self->missed_only != g_value_get_boolean (value)) {
      self->missed_only = g_value_get_boolean (value);
      ask (self, LOAD_ALL, NULL, PAGE_ROWS);
      g_object_notify_by_pspec (object, pspec);
    }
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_history_finalize (GObject *object)
{
  PhHistory *self = PH_HISTORY (object);

  g_clear_handle_id (&self->search_source, g_source_remove);
  g_clear_handle_id (&self->newest_source, g_source_remove);
  g_clear_object (&self->client);
  g_object_unref (self->items);
  g_hash_table_unref (self->hidden);
  g_free (self->contact);
  g_free (self->search);
  G_OBJECT_CLASS (ph_history_parent_class)->finalize (object);
}

static void
ph_history_class_init (PhHistoryClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags writable = readable | G_PARAM_WRITABLE | G_PARAM_EXPLICIT_NOTIFY;
  const GParamFlags once = readable | G_PARAM_WRITABLE | G_PARAM_CONSTRUCT_ONLY;

  object_class->constructed = ph_history_constructed;
  object_class->get_property = ph_history_get_property;
  object_class->set_property = ph_history_set_property;
  object_class->finalize = ph_history_finalize;
  properties[PROP_CLIENT] = g_param_spec_object ("client", NULL, NULL, PH_TYPE_CLIENT, once);
  properties[PROP_CONTACT] = g_param_spec_string ("contact", NULL, NULL, NULL, once);
  properties[PROP_SEARCH] = g_param_spec_string ("search", NULL, NULL, NULL, writable);
  properties[PROP_MISSED_ONLY] = g_param_spec_boolean ("missed-only", NULL, NULL, FALSE, writable);
  properties[PROP_ITEMS] = g_param_spec_object ("items", NULL, NULL, G_TYPE_LIST_MODEL, readable);
  properties[PROP_LOADING] = g_param_spec_boolean ("loading", NULL, NULL, FALSE, readable);
  properties[PROP_N_ITEMS] = g_param_spec_uint ("n-items", NULL, NULL, 0, G_MAXUINT, 0, readable);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ph_history_init (PhHistory *self)
{
  self->items = g_list_store_new (PH_TYPE_TRANSFER_ITEM);
  self->hidden = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

PhHistory *
ph_history_new (PhClient *client, const char *contact)
{
  return g_object_new (PH_TYPE_HISTORY, "client", client, "contact", contact, NULL);
}

GListModel *
ph_history_get_items (PhHistory *self)
{
  return G_LIST_MODEL (self->items);
}
