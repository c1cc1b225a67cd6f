/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The people this profile knows, by device key. */

#pragma once

#include "app/store/ph-store.h"

/* As many meeting points as a client stays connected to (design.md part 4). */
#define PH_STORE_RENDEZVOUS_MAX 8

typedef struct {
  uint8_t key[PH_STORE_KEY_LEN]; /* Ed25519 device key */
  char *name;
  char **rendezvous; /* NULL-terminated, at most PH_STORE_RENDEZVOUS_MAX; NULL: none */
  bool blocked;
  bool auto_accept; /* take offers without asking... */
  uint64_t auto_accept_max; /* ...up to so many bytes each; 0: no cap */
  bool verified; /* the person compared safety numbers */
  int64_t
      alerted_at; /* somebody without the key answered in its place, and nobody has dismissed that */
  int64_t added_at;
  int64_t last_seen; /* 0: never */
} PhStoreContact;

void ph_store_contact_free (PhStoreContact *contact);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhStoreContact, ph_store_contact_free)

/* All, by name. */
GPtrArray *ph_store_list_contacts (PhStore *self, GError **error);
/* NULL without an error: unknown. */
PhStoreContact *
ph_store_get_contact (PhStore *self, const uint8_t key[PH_STORE_KEY_LEN], GError **error);
/* Adds the contact or replaces what is known under its key. */
bool ph_store_put_contact (PhStore *self, const PhStoreContact *contact, GError **error);
/* Writes last_seen of these (PhStoreContact), in one transaction. */
bool ph_store_put_seen (PhStore *self, const GPtrArray *contacts, GError **error);
/* Transfers with the contact stay in the history. PH_STORE_ERROR_MISSING if there is none. */
bool ph_store_remove_contact (PhStore *self, const uint8_t key[PH_STORE_KEY_LEN], GError **error);

/* Makes everything that is stored another person's: `settings` (key, value, key, value, ..., NULL) and
 * `contacts` (PhStoreContact) come, all else goes, in one transaction. */
bool ph_store_replace_person (PhStore *self, const char *const *settings, const GPtrArray *contacts,
                              GError **error);
