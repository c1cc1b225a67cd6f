/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-export.h"

#include <sodium.h>

/* The first line of the file; the version fixes the cost of the key derivation, so that a file cannot ask for
 * more. */
#define MAGIC "porthole identity 1\n"
#define MAGIC_LEN (sizeof MAGIC - 1)
#define OVERHEAD                                                                                   \
  (MAGIC_LEN + crypto_pwhash_SALTBYTES + crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)

#define CONTACT_BLOCKED 1u
#define CONTACT_AUTO_ACCEPT 2u
#define CONTACT_VERIFIED 4u
#define CONTACT_FLAGS 7u

static void
setting_free (gpointer data)
{
  PhExportSetting *self = data;

  g_free (self->key);
  g_free (self->value);
  g_free (self);
}

PhExport *
ph_export_new (void)
{
  PhExport *self = g_new0 (PhExport, 1);

  self->settings = g_ptr_array_new_with_free_func (setting_free);
  self->contacts = g_ptr_array_new_with_free_func ((GDestroyNotify)ph_store_contact_free);
  return self;
}

void
ph_export_free (PhExport *self)
{
  if (self == NULL)
    return;
  sodium_memzero (self->seed, sizeof self->seed);
  g_ptr_array_unref (self->settings);
  g_ptr_array_unref (self->contacts);
  g_free (self);
}

void
ph_export_add_setting (PhExport *self, const char *key, const char *value)
{
  PhExportSetting *setting = g_new0 (PhExportSetting, 1);

  setting->key = g_strdup (key);
  setting->value = g_strdup (value);
  g_ptr_array_add (self->settings, setting);
}

/* --- The plain form ----------------------------------------------------------------------------- */

static void
write_contact (PhWriter *w, const PhStoreContact *contact)
{
  const unsigned n = contact->rendezvous != NULL ? g_strv_length (contact->rendezvous) : 0;

  ph_write_bytes (w, contact->key, sizeof contact->key);
  ph_write_counted (w, ph_slice_string (contact->name));
  ph_write_u8 (w, (uint8_t)((contact->blocked ? CONTACT_BLOCKED : 0)
                            | (contact->auto_accept ? CONTACT_AUTO_ACCEPT : 0)
                            | (contact->verified ? CONTACT_VERIFIED : 0)));
  ph_write_u64 (w, contact->auto_accept_max);
  ph_write_u64 (w, (uint64_t)contact->added_at);
  ph_write_u8 (w, (uint8_t)n);
  for (unsigned i = 0; i < n; i++)
    ph_write_counted (w, ph_slice_string (contact->rendezvous[i]));
}

static bool
is_short (const char *text)
{
  return text != NULL && strlen (text) <= PH_EXPORT_TEXT_MAX;
}

static bool
is_within_limits (const PhExport *self)
{
  if (self->settings->len > PH_EXPORT_SETTINGS_MAX || self->contacts->len > PH_EXPORT_CONTACTS_MAX)
    return false;
  for (guint i = 0; i < self->settings->len; i++) {
    const PhExportSetting *setting = self->settings->pdata[i];

    if (!is_short (setting->key) || !is_short (setting->value))
      return false;
  }
  for (guint i = 0; i < self->contacts->len; i++) {
    const PhStoreContact *contact = self->contacts->pdata[i];

    if (!is_short (contact->name))
      return false;
    for (unsigned r = 0; contact->rendezvous != NULL && contact->rendezvous[r] != NULL; r++) {
      if (!is_short (contact->rendezvous[r]) || r >= PH_STORE_RENDEZVOUS_MAX)
        return false;
    }
  }
  return true;
}

GBytes *
ph_export_encode (const PhExport *self)
{
  g_autofree uint8_t *room = NULL;
  PhWriter w;
  GBytes *bytes = NULL;

  if (!is_within_limits (self))
    return NULL;
  room = g_malloc (PH_EXPORT_LEN_MAX);
  w = ph_writer (room, PH_EXPORT_LEN_MAX - OVERHEAD);
  ph_write_bytes (&w, self->seed, sizeof self->seed);
  ph_write_u16 (&w, (uint16_t)self->settings->len);
  for (guint i = 0; i < self->settings->len; i++) {
    const PhExportSetting *setting = self->settings->pdata[i];

    ph_write_counted (&w, ph_slice_string (setting->key));
    ph_write_counted (&w, ph_slice_string (setting->value));
  }
  ph_write_u16 (&w, (uint16_t)self->contacts->len);
  for (guint i = 0; i < self->contacts->len; i++)
    write_contact (&w, self->contacts->pdata[i]);
  if (ph_writer_ok (&w))
    bytes = g_bytes_new (room, ph_writer_len (&w));
  sodium_memzero (room, sizeof self->seed);
  return bytes;
}

/* Never NULL. What is no text poisons the reader. */
static char *
read_text (PhReader *r)
{
  const PhSlice text = ph_read_counted (r, PH_EXPORT_TEXT_MAX);

  if (ph_reader_ok (r)
      && (text.len == 0 || g_utf8_validate_len ((const char *)text.data, text.len, NULL)))
    return g_strndup ((const char *)text.data, text.len);
  ph_reader_poison (r);
  return g_strdup ("");
}

static void
read_contact (PhReader *r, PhStoreContact *contact)
{
  g_autoptr (GStrvBuilder) addresses = g_strv_builder_new ();
  PhDeviceId id;
  uint8_t flags, n;

  ph_read_bytes (r, contact->key, sizeof contact->key);
  contact->name = read_text (r);
  flags = ph_read_u8 (r);
  contact->blocked = (flags & CONTACT_BLOCKED) != 0;
  contact->auto_accept = (flags & CONTACT_AUTO_ACCEPT) != 0;
  contact->verified = (flags & CONTACT_VERIFIED) != 0;
  contact->auto_accept_max = ph_read_u64 (r);
  contact->added_at = (int64_t)ph_read_u64 (r);
  n = ph_read_u8 (r);
  if ((flags & ~CONTACT_FLAGS) != 0 || n > PH_STORE_RENDEZVOUS_MAX || contact->added_at < 0
      || (ph_reader_ok (r)
          && !ph_device_id_from_bytes (ph_slice (contact->key, sizeof contact->key), &id)))
    ph_reader_poison (r);
  for (unsigned i = 0; i < n && ph_reader_ok (r); i++)
    g_strv_builder_take (addresses, read_text (r));
  contact->rendezvous = g_strv_builder_end (addresses);
}

PhExport *
ph_export_decode (PhSlice bytes)
{
  g_autoptr (PhExport) self = ph_export_new ();
  PhReader r = ph_reader (bytes);
  unsigned n;

  ph_read_bytes (&r, self->seed, sizeof self->seed);
  n = ph_read_u16 (&r);
  if (n > PH_EXPORT_SETTINGS_MAX)
    ph_reader_poison (&r);
  for (unsigned i = 0; i < n && ph_reader_ok (&r); i++) {
    g_autofree char *key = read_text (&r);
    g_autofree char *value = read_text (&r);

    ph_export_add_setting (self, key, value);
  }
  n = ph_read_u16 (&r);
  if (n > PH_EXPORT_CONTACTS_MAX)
    ph_reader_poison (&r);
  for (unsigned i = 0; i < n && ph_reader_ok (&r); i++) {
    PhStoreContact *contact = g_new0 (PhStoreContact, 1);

    g_ptr_array_add (self->contacts, contact);
    read_contact (&r, contact);
  }
  return ph_reader_done (&r) ? g_steal_pointer (&self) : NULL;
}

/* --- The file ----------------------------------------------------------------------------------- */

static bool
derive (const char *passphrase, const uint8_t *salt, uint8_t key[crypto_secretbox_KEYBYTES])
{
  return crypto_pwhash (key, crypto_secretbox_KEYBYTES, passphrase, strlen (passphrase), salt,
                        crypto_pwhash_OPSLIMIT_MODERATE, crypto_pwhash_MEMLIMIT_MODERATE,
                        crypto_pwhash_ALG_ARGON2ID13)
         == 0;
}

GBytes *
ph_export_seal (GBytes *plain, const char *passphrase, const PhRandom *random)
{
  gsize len;
  const uint8_t *data = g_bytes_get_data (plain, &len);
  uint8_t key[crypto_secretbox_KEYBYTES];
  g_autofree uint8_t *file = g_malloc (OVERHEAD + len);
  uint8_t *salt = file + MAGIC_LEN;
  uint8_t *nonce = salt + crypto_pwhash_SALTBYTES;

  memcpy (file, MAGIC, MAGIC_LEN);
  ph_random_bytes (random, salt, crypto_pwhash_SALTBYTES + crypto_secretbox_NONCEBYTES);
  if (!derive (passphrase, salt, key))
    return NULL; /* not enough memory */
  crypto_secretbox_easy (nonce + crypto_secretbox_NONCEBYTES, data, len, nonce, key);
  sodium_memzero (key, sizeof key);
  return g_bytes_new_take (g_steal_pointer (&file), OVERHEAD + len);
}

PhExportResult
ph_export_open (PhSlice file, const char *passphrase, GBytes **ret_plain)
{
  const uint8_t *salt, *nonce;
  uint8_t key[crypto_secretbox_KEYBYTES];
  g_autofree uint8_t *plain = NULL;
  bool ok;

  if (file.len < OVERHEAD || file.len > PH_EXPORT_LEN_MAX
      || memcmp (file.data, MAGIC, MAGIC_LEN) != 0)
    return PH_EXPORT_NOT_ONE;
  salt = file.data + MAGIC_LEN;
  nonce = salt + crypto_pwhash_SALTBYTES;
  plain = g_malloc (file.len - OVERHEAD + 1);
  ok = derive (passphrase, salt, key)
       && crypto_secretbox_open_easy (plain, nonce + crypto_secretbox_NONCEBYTES,
                                      file.len - OVERHEAD + crypto_secretbox_MACBYTES, nonce, key)
              == 0;
  sodium_memzero (key, sizeof key);
  if (!ok)
    return PH_EXPORT_LOCKED;
  *ret_plain = g_bytes_new_take (g_steal_pointer (&plain), file.len - OVERHEAD);
  return PH_EXPORT_OK;
}
