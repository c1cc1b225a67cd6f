/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An exported identity: what makes a profile a person's, in a file that only a passphrase opens
 * (docs/protocol.md, "Exported identity").
 *
 * The file is foreign bytes: decoding accepts only what encoding makes, within the limits below. */

#pragma once

#include "app/store/ph-store-contacts.h"
#include "net/base/ph-random.h"
#include "net/signal/ph-device-id.h"

/* 10,000 contacts with long addresses; bounds what is read and held. */
#define PH_EXPORT_LEN_MAX (8u << 20)
#define PH_EXPORT_CONTACTS_MAX 10000u
#define PH_EXPORT_SETTINGS_MAX 64u
#define PH_EXPORT_TEXT_MAX 4096u

typedef struct {
  char *key;
  char *value;
} PhExportSetting;

typedef struct {
  uint8_t seed[PH_IDENTITY_SEED_LEN];
  GPtrArray *settings; /* PhExportSetting, owned */
  GPtrArray *contacts; /* PhStoreContact, owned */
} PhExport;

PhExport *ph_export_new (void);
/* Wipes the key. */
void ph_export_free (PhExport *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PhExport, ph_export_free)
void ph_export_add_setting (PhExport *self, const char *key, const char *value);

/* The plain form. NULL: more than the limits allow. */
GBytes *ph_export_encode (const PhExport *self);
/* NULL: not one. */
PhExport *ph_export_decode (PhSlice bytes);

typedef enum {
  PH_EXPORT_OK,
  PH_EXPORT_NOT_ONE, /* no such file, or made by a later version */
  PH_EXPORT_LOCKED, /* the passphrase is another, or the file is damaged */
} PhExportResult;

/* Both take a second and a quarter of a gigabyte on purpose: not on a thread that others wait for. */
GBytes *ph_export_seal (GBytes *plain, const char *passphrase, const PhRandom *random);
PhExportResult ph_export_open (PhSlice file, const char *passphrase, GBytes **ret_plain);
