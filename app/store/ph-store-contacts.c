/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/store/ph-store-contacts.h"

#include "app/store/ph-store-private.h"

#define CONTACT_COLUMNS                                                                            \
  "key, name, blocked, auto_accept, auto_accept_max, added_at, verified, alerted_at, last_seen"

void
ph_store_contact_free (PhStoreContact *contact)
{
  if (contact == NULL)
    return;
  g_free (contact->name);
  g_strfreev (contact->rendezvous);
  g_free (contact);
}

static char **
read_rendezvous (PhStore *self, const uint8_t *key, GError **error)
{
  g_autoptr (GStrvBuilder) list = g_strv_builder_new ();
  g_autoptr (PhStatement) statement = ph_store_query (
      self, error, "SELECT address FROM contact_rendezvous WHERE contact = ? ORDER BY n", "b", key,
      PH_STORE_KEY_LEN);
  bool ok = statement != NULL;

  while (ok && ph_store_step (self, statement, &ok, error))
    g_strv_builder_take (list, ph_column_text (statement, 0));
  return ok ? g_strv_builder_end (list) : NULL;
}

/* NULL on error. */
static PhStoreContact *
contact_from_row (PhStore *self, PhStatement *statement, GError **error)
{
  g_autoptr (PhStoreContact) contact = g_new0 (PhStoreContact, 1);

  ph_column_bytes (statement, 0, contact->key, sizeof contact->key);
  contact->name = ph_column_text (statement, 1);
  contact->blocked = sqlite3_column_int (statement, 2) != 0;
  contact->auto_accept = sqlite3_column_int (statement, 3) != 0;
  contact->auto_accept_max = (uint64_t)sqlite3_column_int64 (statement, 4);
  contact->added_at = sqlite3_column_int64 (statement, 5);
  contact->verified = sqlite3_column_int (statement, 6) != 0;
  contact->alerted_at = sqlite3_column_int64 (statement, 7);
  contact->last_seen = sqlite3_column_int64 (statement, 8);
  contact->rendezvous = read_rendezvous (self, contact->key, error);
  return contact->rendezvous != NULL ? g_steal_pointer (&contact) : NULL;
}

GPtrArray *
ph_store_list_contacts (PhStore *self, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (GPtrArray) list =
      g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_contact_free);
  g_autoptr (PhStatement) statement = ph_store_query (
      self, error, "SELECT " CONTACT_COLUMNS " FROM contacts ORDER BY name COLLATE NOCASE, key",
      "");
  bool ok = statement != NULL;

  while (ok && ph_store_step (self, statement, &ok, error)) {
    PhStoreContact *contact = contact_from_row (self, statement, error);

    ok = contact != NULL;
    if (ok)
      g_ptr_array_add (list, contact);
  }
  return ok ? g_steal_pointer (&list) : NULL;
}

PhStoreContact *
ph_store_get_contact (PhStore *self, const uint8_t key[PH_STORE_KEY_LEN], GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (PhStatement) statement =
      ph_store_query (self, error, "SELECT " CONTACT_COLUMNS " FROM contacts WHERE key = ?", "b",
                      key, PH_STORE_KEY_LEN);
  bool ok;

  if (statement == NULL || !ph_store_step (self, statement, &ok, error))
    return NULL;
  return contact_from_row (self, statement, error);
}

static bool
put_rendezvous (PhStore *self, const PhStoreContact *contact, GError **error)
{
  if (!ph_store_run (self, error, "DELETE FROM contact_rendezvous WHERE contact = ?", "b",
                     contact->key, PH_STORE_KEY_LEN))
    return false;
  for (int i = 0; contact->rendezvous != NULL && contact->rendezvous[i] != NULL; i++) {
    g_assert (i < PH_STORE_RENDEZVOUS_MAX);
    if (!ph_store_run (self, error, "INSERT INTO contact_rendezvous VALUES (?, ?, ?)", "bis",
                       contact->key, PH_STORE_KEY_LEN, (int64_t)i, contact->rendezvous[i]))
      return false;
  }
  return true;
}

static bool
put_contact (PhStore *self, const PhStoreContact *contact, GError **error)
{
  return ph_store_run (self, error,
                       "INSERT INTO contacts (" CONTACT_COLUMNS
                       ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
                       " ON CONFLICT (key) DO UPDATE SET name = ?2, blocked = ?3, auto_accept = ?4,"
                       " auto_accept_max = ?5, added_at = ?6, verified = ?7, alerted_at = ?8,"
                       " last_seen = ?9",
                       "bsiiiiiii", contact->key, PH_STORE_KEY_LEN, contact->name,
                       (int64_t)contact->blocked, (int64_t)contact->auto_accept,
                       (int64_t)contact->auto_accept_max, contact->added_at,
                       (int64_t)contact->verified, contact->alerted_at, contact->last_seen)
         && put_rendezvous (self, contact, error);
}

bool
ph_store_put_contact (PhStore *self, const PhStoreContact *contact, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (!ph_store_begin (self, error))
    return false;
  return ph_store_end (self, put_contact (self, contact, error), error);
}

bool
ph_store_replace_person (PhStore *self, const char *const *settings, const GPtrArray *contacts,
                         GError **error)
{
  static const char *const tables[] = {"transfers", "receipts", "invitations", "contacts",
                                       "settings"};
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  bool ok = true;

  if (!ph_store_begin (self, error))
    return false;
  for (size_t i = 0; ok && i < G_N_ELEMENTS (tables); i++) {
    g_autofree char *sql = g_strdup_printf ("DELETE FROM %s", tables[i]);

    ok = ph_store_run (self, error, sql, "");
  }
  for (size_t i = 0; ok && settings[i] != NULL; i += 2)
    ok = ph_store_run (self, error, "INSERT OR REPLACE INTO settings VALUES (?, ?)", "ss",
                       settings[i], settings[i + 1]);
  for (guint i = 0; ok && i < contacts->len; i++)
    ok = put_contact (self, contacts->pdata[i], error);
  if (!ph_store_end (self, ok, error))
    return false;
  ph_store_wipe_log (self);
  return true;
}

bool
ph_store_put_seen (PhStore *self, const GPtrArray *contacts, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  bool ok = true;

  if (!ph_store_begin (self, error))
    return false;
  for (guint i = 0; ok && i < contacts->len; i++) {
    const PhStoreContact *contact = contacts->pdata[i];

    ok = ph_store_run (self, error, "UPDATE contacts SET last_seen = ? WHERE key = ?", "ib",
                       contact->last_seen, contact->key, PH_STORE_KEY_LEN);
  }
  return ph_store_end (self, ok, error);
}

bool
ph_store_remove_contact (PhStore *self, const uint8_t key[PH_STORE_KEY_LEN], GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return ph_store_run (self, error, "DELETE FROM contacts WHERE key = ?", "b", key,
                       PH_STORE_KEY_LEN)
         && ph_store_expect_change (self, error);
}
